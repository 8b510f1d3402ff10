//! One frame: chrome, panes, overlay.

use super::panes;
use super::state::State;
use ratatui::Frame;

/// Draws the whole screen.
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    panes::draw(state, frame);
}
