//! One frame: chrome, panes, overlay.

use super::state::State;
use super::{chrome, overlay, panes};
use ratatui::buffer::Buffer;

/// Draws the whole screen; gives the place of the cursor where one is needed.
/// [`State::settle`] must have been called since the last message.
pub fn draw(state: &State, buf: &mut Buffer) -> Option<(u16, u16)> {
    let area = buf.area;
    if area.width == 0 || area.height == 0 {
        return None;
    }
    let layout = state.layout();
    let base = state.theme.base();
    buf.set_style(area, base);
    panes::draw(state, buf);
    chrome::header(state, buf, layout.header);
    chrome::bar(state, buf, layout.bar);
    overlay::draw(state, buf).filter(|(x, y)| *x < area.width && *y < area.height)
}
