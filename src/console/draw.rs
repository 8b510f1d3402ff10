//! One frame: chrome, panes, overlay.

use super::state::State;
use super::{chrome, overlay, panes};
use ratatui::Frame;

/// Draws the whole screen; gives the place of the cursor where one is needed.
/// [`State::settle`] must have been called since the last message.
pub fn draw(state: &State, frame: &mut Frame<'_>) -> Option<(u16, u16)> {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return None;
    }
    let layout = state.layout();
    let base = state.theme.base();
    frame.buffer_mut().set_style(area, base);
    panes::draw(state, frame);
    chrome::header(state, frame.buffer_mut(), layout.header);
    chrome::bar(state, frame.buffer_mut(), layout.bar);
    let cursor = overlay::draw(state, frame).filter(|(x, y)| *x < area.width && *y < area.height);
    if let Some(at) = cursor {
        frame.set_cursor_position(at);
    }
    cursor
}
