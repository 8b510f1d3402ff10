//! Builds what Enter opens.

use super::{Detail, mask};
use crate::console::state::State;
use crate::text::SafeText;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Collects labelled values and text.
pub struct Builder {
    title: SafeText,
    lines: Vec<Line<'static>>,
}

impl Builder {
    pub fn new(title: impl Into<SafeText>) -> Builder {
        Builder { title: title.into(), lines: Vec::new() }
    }

    /// A labelled value; left out when empty.
    pub fn pair(&mut self, label: &str, value: &str) -> &mut Builder {
        if value.is_empty() {
            return self;
        }
        for (i, part) in value.split('\n').enumerate() {
            let label = if i == 0 { label } else { "" };
            self.lines.push(Line::from(vec![
                Span::styled(format!("{label:<14} "), Style::new().add_modifier(Modifier::DIM)),
                Span::raw(SafeText::new(part).to_string()),
            ]));
        }
        self
    }

    /// A heading with an empty line above.
    pub fn heading(&mut self, text: &str) -> &mut Builder {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let style = Style::new().add_modifier(Modifier::BOLD);
        self.lines.push(Line::styled(SafeText::new(text).to_string(), style));
        self
    }

    /// Text as it is, line by line.
    pub fn text(&mut self, text: &str) -> &mut Builder {
        self.lines.extend(text.split('\n').map(|l| Line::raw(SafeText::new(l).to_string())));
        self
    }

    pub fn done(self) -> Detail {
        Detail { title: self.title, lines: self.lines, jumps: Vec::new() }
    }
}

/// What may be shown of a detail while privacy is on.
pub fn masked(state: &State, detail: Detail) -> Detail {
    if !state.privacy {
        return detail;
    }
    let lines = detail
        .lines
        .into_iter()
        .map(|mut line| {
            for span in &mut line.spans {
                span.content = mask::mask(&span.content).into_owned().into();
            }
            line
        })
        .collect();
    Detail { title: SafeText::new(mask::mask(&detail.title)), lines, jumps: detail.jumps }
}
