//! Where everything goes, for every size of terminal.

use super::state::PaneId;
use ratatui::layout::Rect;

/// The rectangles of one frame; all of them within the frame, any may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Incident header, one line.
    pub header: Rect,
    /// Path strip, one or two lines.
    pub strip: Rect,
    /// The one line of diagnosis of small screens; empty elsewhere.
    pub verdict: Rect,
    /// Panes on screen with their outer rectangle (frame included).
    pub panes: Vec<(PaneId, Rect)>,
    /// Key bar or message line.
    pub bar: Rect,
}

impl Layout {
    /// The outer rectangle of a pane, if it is on screen.
    pub fn pane(&self, id: PaneId) -> Option<Rect> {
        self.panes.iter().find(|p| p.0 == id).map(|p| p.1)
    }
}

/// Lays out a screen of `size` columns and rows.
pub fn compute(size: (u16, u16), focus: PaneId, zoom: bool) -> Layout {
    let _ = zoom;
    let area = Rect::new(0, 0, size.0, size.1);
    Layout { panes: vec![(focus, area)], ..Layout::default() }
}
