//! Drawing a state into text.

use badgate::console::State;
use badgate::console::caps::{Caps, Depth, GlyphSet};
use badgate::console::filter::Filter;
use badgate::console::glyphs::Glyphs;
use badgate::console::keys::Action;
use badgate::console::panes::{self, PaneView, Reply};
use badgate::console::state::PaneId;
use badgate::console::theme::{Theme, ThemeName, Tint};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// The panes on a terminal of this size.
pub fn drawn(state: &mut State, width: u16, height: u16) -> Buffer {
    state.size = (width, height);
    state.settle();
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| panes::draw(state, frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

/// Colours and signs as a terminal of this kind gets them.
pub fn dress(state: &mut State, depth: Depth, glyphs: GlyphSet, theme: ThemeName) {
    state.caps = Caps { depth, glyphs, ..state.caps };
    state.theme = Theme::with(theme, depth, Tint::None);
    state.glyphs = Glyphs::new(glyphs);
}

/// The text of a buffer, a line per row, without blanks at the end.
pub fn text(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let mut line = String::new();
        let mut skip = 0;
        for x in buf.area.left()..buf.area.right() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buf[(x, y)].symbol();
            skip = badgate::text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The styles of a buffer: a letter per cell, and what each letter stands for.
pub fn styles(buf: &Buffer) -> String {
    let mut seen: Vec<Style> = Vec::new();
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let mut line = String::new();
        for x in buf.area.left()..buf.area.right() {
            let style = buf[(x, y)].style();
            let n = seen.iter().position(|s| *s == style).unwrap_or_else(|| {
                seen.push(style);
                seen.len() - 1
            });
            line.push(char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[n]));
        }
        out.push_str(&line);
        out.push('\n');
    }
    for (n, s) in seen.iter().enumerate() {
        let name = char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[n]);
        out.push_str(&format!("{name}: {}\n", words(*s)));
    }
    out
}

fn words(s: Style) -> String {
    let colour = |c: Option<Color>| match c {
        None | Some(Color::Reset) => "-".to_owned(),
        Some(Color::Rgb(r, g, b)) => format!("#{r:02x}{g:02x}{b:02x}"),
        Some(other) => other.to_string(),
    };
    let mods = s.add_modifier;
    let mods = if mods == Modifier::empty() { String::new() } else { format!(" {mods:?}") };
    format!("{} on {}{mods}", colour(s.fg), colour(s.bg))
}

/// Gives an action to a pane, as the console does.
pub fn press(state: &mut State, id: PaneId, action: Action) -> Reply {
    let area = state.layout().inner(id);
    macro_rules! lend {
        ($field:ident) => {{
            let mut view = std::mem::take(&mut state.views.$field);
            let reply = view.handle(action, area, state);
            state.views.$field = view;
            reply
        }};
    }
    match id {
        PaneId::Health => lend!(health),
        PaneId::Logs => lend!(logs),
        PaneId::Paths => lend!(paths),
        PaneId::Timeouts => lend!(timeouts),
        PaneId::Diagnosis => lend!(diagnosis),
        PaneId::Procedure => lend!(procedure),
        PaneId::Timeline => lend!(timeline),
        PaneId::Metrics => lend!(metrics),
    }
}

/// Sets or clears the filter of a pane.
pub fn set_filter(state: &mut State, id: PaneId, filter: Option<Filter>) {
    let v = &mut state.views;
    match id {
        PaneId::Health => v.health.set_filter(filter),
        PaneId::Logs => v.logs.set_filter(filter),
        PaneId::Paths => v.paths.set_filter(filter),
        PaneId::Timeouts => v.timeouts.set_filter(filter),
        PaneId::Diagnosis => v.diagnosis.set_filter(filter),
        PaneId::Procedure => v.procedure.set_filter(filter),
        PaneId::Timeline => v.timeline.set_filter(filter),
        PaneId::Metrics => v.metrics.set_filter(filter),
    }
}
