//! Drawing what lies on top.

use super::whence;
use super::{Candidates, FilterBox, FuzzyList, Overlay, SINCE, commands, wrap_line};
use crate::console::keys::{Action, Scope, TABLE};
use crate::console::panes;
use crate::console::state::{PaneId, State};
use crate::console::textbox::TextBox;
use crate::console::theme::Role;
use crate::sources::host::{COMMANDS, follow_script};
use crate::text::{truncate_with, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the overlay, if there is one; gives the place of the cursor.
pub fn draw(state: &State, buf: &mut Buffer) -> Option<(u16, u16)> {
    let screen = buf.area;
    match state.overlay.as_ref()? {
        Overlay::Help { scroll } => {
            let area = popup_area(screen, 78, screen.height);
            lines(state, buf, area, "Keys", "j k move   esc back", &help(state), *scroll);
            None
        }
        Overlay::Calls { scroll } => {
            let area = popup_area(screen, 110, screen.height);
            lines(state, buf, area, "Calls", "newest first   esc back", &calls(state), *scroll);
            None
        }
        Overlay::Detail { detail, scroll } => {
            let area = popup_area(screen, 110, screen.height.saturating_sub(2).max(screen.height * 2 / 3));
            let foot = match detail.jumps.len() {
                0 => "j k move   y copy   esc back".to_owned(),
                1 => "1 goes there   j k move   y copy   esc back".to_owned(),
                n => format!("1-{n} go there   j k move   y copy   esc back"),
            };
            lines(state, buf, area, &detail.title, &foot, &detail.lines, *scroll);
            None
        }
        Overlay::Hosts { step, scroll } => {
            let area = popup_area(screen, 110, screen.height.saturating_sub(2).max(screen.height * 2 / 3));
            let foot = format!("enter runs them   n step {step} without   esc back");
            lines(state, buf, area, "These commands will run", &foot, &hosts(state), *scroll);
            None
        }
        Overlay::Palette(list) => palette(state, buf, screen, list),
        Overlay::Targets(list) => targets(state, buf, screen, list),
        Overlay::Groups { list, chosen } => {
            let groups = state.situation.log_groups.value().map_or(&[][..], Vec::as_slice);
            let rows: Vec<Line<'_>> = list
                .hits
                .iter()
                .filter_map(|i| groups.get(*i))
                .map(|g| {
                    let on = if chosen.contains(&g.name) { "[x] " } else { "[ ] " };
                    Line::from(vec![
                        Span::styled(on, state.theme.style(Role::Key)),
                        Span::styled(g.name.to_string(), state.theme.style(Role::Text)),
                        Span::styled(format!("  {}", origin(g.origin)), state.theme.style(Role::Dim)),
                    ])
                })
                .collect();
            let none = "no log group is known yet; --log-group names one";
            picker(state, buf, screen, list, "Log groups", "space chooses   enter follows", &rows, none)
        }
        Overlay::Acts(list) => {
            let offer = |i: &usize| Some(Line::from(state.offers.get(*i)?.title.to_string()));
            let rows: Vec<Line<'_>> = list.hits.iter().filter_map(offer).collect();
            picker(state, buf, screen, list, "What can be done", "enter does it   esc back", &rows, "nothing")
        }
        Overlay::Since { selected } => {
            let area = popup_area(screen, 40, SINCE.len() as u16 + 2);
            let inner = popup(state, buf, area, "Read the log", "enter reads");
            for (i, (_, words)) in SINCE.iter().enumerate().take(inner.height as usize) {
                row(state, buf, inner, i, &Line::from(*words), i == *selected);
            }
            None
        }
        Overlay::TakeOver { why, .. } => {
            let text = [
                why.to_string(),
                "Ask the cloud from here on, with the credentials of this console?".to_owned(),
                "What is seen is recorded into the same file; badgate still only reads.".to_owned(),
            ];
            let text: Vec<Line<'_>> =
                text.into_iter().map(|l| Line::styled(l, state.theme.style(Role::Text))).collect();
            let area = popup_area(screen, 74, screen.height.saturating_sub(2));
            lines(state, buf, area, "Take over?", "enter yes   esc not now", &text, 0);
            None
        }
        Overlay::Moment(text) => {
            let range = state.past.as_ref().map_or(String::new(), |p| {
                format!(
                    "{} to {}",
                    p.first.strftime("%Y-%m-%d %H:%M:%SZ"),
                    p.last.strftime("%Y-%m-%d %H:%M:%SZ")
                )
            });
            let area = popup_area(screen, 52, 4);
            let inner = popup(state, buf, area, "Go to a time (UTC)", "enter goes   esc back");
            put(state, buf, inner, 1, &Line::styled(range, state.theme.style(Role::Dim)));
            self::input(state, buf, inner, 0, "> ", text)
        }
        Overlay::Note(input) => note(state, buf, screen, input),
        Overlay::Filter(f) => filter(state, buf, screen, f),
        Overlay::Leave { waiting } => {
            let text = format!("{waiting} record(s) are not on disk yet. q leaves all the same, esc stays.");
            let area = popup_area(screen, width(&text) as u16 + 4, 3);
            let inner = popup(state, buf, area, "Leave?", "");
            put(state, buf, inner, 0, &Line::styled(text, state.theme.style(Role::Bad)));
            None
        }
    }
}

fn origin(o: crate::situation::log::GroupOrigin) -> &'static str {
    use crate::situation::log::GroupOrigin as G;
    match o {
        G::Option => "from --log-group",
        G::Config => "from the config file",
        G::Tag => "from a tag",
        G::TaskDefinition => "from the task definition",
        G::NameMatch => "by its name",
    }
}

/// A centred rectangle of at most this size within the screen.
fn popup_area(screen: Rect, w: u16, h: u16) -> Rect {
    let w = w.min(screen.width);
    let h = h.min(screen.height);
    Rect::new(screen.x + (screen.width - w) / 2, screen.y + (screen.height - h) / 2, w, h)
}

/// Clears a rectangle and frames it; gives what is inside.
fn popup(state: &State, buf: &mut Buffer, area: Rect, title: &str, foot: &str) -> Rect {
    let area = area.intersection(buf.area);
    let base = state.theme.base();
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buf[(x, y)];
            cell.reset();
            cell.set_style(base);
        }
    }
    if area.width < 3 || area.height < 3 {
        return area;
    }
    let g = &state.glyphs.frame_focus;
    let style = state.theme.style(Role::BorderFocus);
    let (l, r, t, b) = (area.left(), area.right() - 1, area.top(), area.bottom() - 1);
    for x in l + 1..r {
        buf[(x, t)].set_symbol(g.horizontal).set_style(style);
        buf[(x, b)].set_symbol(g.horizontal).set_style(style);
    }
    for y in t + 1..b {
        buf[(l, y)].set_symbol(g.vertical).set_style(style);
        buf[(r, y)].set_symbol(g.vertical).set_style(style);
    }
    buf[(l, t)].set_symbol(g.top_left).set_style(style);
    buf[(r, t)].set_symbol(g.top_right).set_style(style);
    buf[(l, b)].set_symbol(g.bottom_left).set_style(style);
    buf[(r, b)].set_symbol(g.bottom_right).set_style(style);
    let room = (area.width - 2) as usize;
    let title = truncate_with(title, room.saturating_sub(2), state.glyphs.ellipsis);
    if !title.is_empty() {
        buf.set_string(l + 1, t, format!(" {title} "), state.theme.style(Role::TitleFocus));
    }
    if !foot.is_empty() && width(foot) + 2 <= room {
        let x = r - width(foot) as u16 - 2;
        buf.set_string(x, b, format!(" {foot} "), state.theme.style(Role::Dim));
    }
    Rect::new(l + 1, t + 1, area.width - 2, area.height - 2)
}

/// One line at a row of a rectangle, cut to its width.
fn put(state: &State, buf: &mut Buffer, area: Rect, y: usize, line: &Line<'_>) {
    if y >= area.height as usize || area.width == 0 {
        return;
    }
    let _ = state;
    buf.set_line(area.x, area.y + y as u16, line, area.width);
}

fn row(state: &State, buf: &mut Buffer, area: Rect, y: usize, line: &Line<'_>, selected: bool) {
    if y >= area.height as usize || area.width < 3 {
        return;
    }
    let at = area.y + y as u16;
    let pointer = if selected { state.glyphs.pointer } else { " " };
    buf.set_string(area.x, at, pointer, state.theme.style(Role::Key));
    buf.set_line(area.x + 2, at, line, area.width - 2);
    if selected {
        buf.set_style(Rect::new(area.x, at, area.width, 1), state.theme.style(Role::Selected));
    }
}

/// Rows of a text that is scrolled, with what is above and below said.
fn lines(
    state: &State,
    buf: &mut Buffer,
    area: Rect,
    title: &str,
    foot: &str,
    text: &[Line<'_>],
    scroll: usize,
) {
    let cols = area.width.saturating_sub(2) as usize;
    let rows: Vec<Line<'static>> = text.iter().flat_map(|l| wrap_line(l, cols)).collect();
    let height = (area.height.saturating_sub(2) as usize).max(1);
    // No taller than it must be.
    let area =
        if rows.len() < height { popup_area(buf.area, area.width, rows.len() as u16 + 2) } else { area };
    let top = scroll.min(rows.len().saturating_sub(height));
    let more = rows.len().saturating_sub(top + height);
    let foot = match (top, more) {
        (0, 0) => foot.to_string(),
        _ => format!("{top} above, {more} below   {foot}"),
    };
    let inner = popup(state, buf, area, title, &foot);
    for (y, line) in rows.iter().skip(top).take(height).enumerate() {
        put(state, buf, inner, y, line);
    }
}

/// The largest scroll that still shows something new, for `update`.
pub(in crate::console) fn max_scroll(state: &State, overlay: &Overlay) -> usize {
    let (text, w, h): (Vec<Line<'_>>, u16, u16) = match overlay {
        Overlay::Help { .. } => (help(state), 78, state.size.1),
        Overlay::Calls { .. } => (calls(state), 110, state.size.1),
        Overlay::Detail { detail, .. } => {
            let h = state.size.1.saturating_sub(2).max(state.size.1 * 2 / 3);
            (detail.lines.clone(), 110, h)
        }
        Overlay::Hosts { .. } => {
            (hosts(state), 110, state.size.1.saturating_sub(2).max(state.size.1 * 2 / 3))
        }
        _ => return 0,
    };
    let cols = w.min(state.size.0).saturating_sub(2) as usize;
    let rows: usize = text.iter().map(|l| wrap_line(l, cols).len()).sum();
    rows.saturating_sub((h.min(state.size.1).saturating_sub(2) as usize).max(1))
}

/// Which hosts, and every command that runs there.
fn hosts(state: &State) -> Vec<Line<'static>> {
    let style = |r| state.theme.style(r);
    let names: Vec<&str> = state.hosts.iter().map(crate::text::SafeText::as_str).collect();
    let mut out = vec![
        Line::styled(format!("on {}", names.join(", ")), style(Role::Strong)),
        Line::styled(
            "None of them writes, starts or stops anything; each takes 5 s at most.",
            style(Role::Text),
        ),
    ];
    for c in COMMANDS {
        out.push(Line::styled(format!("{} ({})", c.id, c.what), style(Role::Key)));
        out.push(Line::styled(format!("  {}", c.run), style(Role::Text)));
    }
    out.push(Line::styled("log (while the console is open)", style(Role::Key)));
    for run in [follow_script(&["FILES".into()]), follow_script(&[])] {
        let run = run.trim_end().rsplit("exec ").next().unwrap_or_default().to_owned();
        out.push(Line::styled(format!("  {run}"), style(Role::Text)));
    }
    out
}

/// The help text, from the table and the keys in force.
fn help(state: &State) -> Vec<Line<'static>> {
    let style = |r| state.theme.style(r);
    let keys = |a: Action| {
        let keys: Vec<String> = state.keymap.keys(a).iter().map(ToString::to_string).collect();
        keys.join(" ")
    };
    let mut out = Vec::new();
    let mut section = |title: String, scope: Scope| {
        let mut rows = TABLE.iter().filter(|b| b.scope == scope && !state.keymap.keys(b.action).is_empty());
        let Some(first) = rows.next() else { return };
        if !out.is_empty() {
            out.push(Line::default());
        }
        out.push(Line::styled(title, style(Role::Strong)));
        for b in std::iter::once(first).chain(rows) {
            let key = keys(b.action);
            out.push(Line::from(vec![
                Span::styled(format!("  {key:<14} "), style(Role::Key)),
                Span::styled(b.about, style(Role::Text)),
            ]));
        }
    };
    section("In every pane".into(), Scope::Everywhere);
    for pane in PaneId::ALL {
        section(format!("In: {}", panes::title(pane)), Scope::In(pane));
    }
    section("While the past is shown".into(), Scope::Past);
    let palette = keys(Action::Palette);
    out.push(Line::default());
    out.push(Line::styled(
        format!("{palette} finds every command by name, also those without a key."),
        style(Role::Dim),
    ));
    for line in [
        "While writing a note: enter saves, ctrl-j breaks the line, esc keeps the draft.",
        ": and a time such as 01:41 goes to that time in the log.",
        "While filtering: tab hides other rows or only shows matches, up brings back old patterns.",
    ] {
        out.push(Line::styled(line, style(Role::Dim)));
    }
    out
}

fn calls(state: &State) -> Vec<Line<'static>> {
    let style = |r| state.theme.style(r);
    if state.calls.is_empty() {
        return vec![Line::styled("nothing was asked yet", style(Role::Dim))];
    }
    state
        .calls
        .iter()
        .rev()
        .map(|c| {
            let (role, end) = if c.failure.is_empty() {
                (Role::Dim, c.request_id.to_string())
            } else {
                (Role::Bad, format!("{} {}", c.failure, c.request_id))
            };
            Line::from(vec![
                Span::styled(format!("{} ", c.at.strftime("%H:%M:%S")), style(Role::Dim)),
                Span::styled(format!("{:<38} ", c.operation.as_str()), style(Role::Text)),
                Span::styled(format!("{:>6} ms ", c.took_ms), style(Role::Info)),
                Span::styled(end, style(role)),
            ])
        })
        .collect()
}

/// A list with an input line on top.
#[allow(clippy::too_many_arguments, reason = "one popup, drawn in one place")]
fn picker(
    state: &State,
    buf: &mut Buffer,
    screen: Rect,
    list: &FuzzyList,
    title: &str,
    foot: &str,
    rows: &[Line<'_>],
    none: &str,
) -> Option<(u16, u16)> {
    let wanted = rows.len().max(1) as u16 + 3;
    let area = popup_area(screen, 100, wanted.clamp(6, screen.height.saturating_sub(2).max(6)));
    let inner = popup(state, buf, area, title, foot);
    let cursor = input(state, buf, inner, 0, "> ", &list.input);
    let height = inner.height.saturating_sub(1) as usize;
    let body = Rect { y: inner.y + 1.min(inner.height), height: height as u16, ..inner };
    if rows.is_empty() {
        let text =
            if list.input.is_blank() || list.input.text().contains(':') { none } else { "nothing fits" };
        put(state, buf, body, 0, &Line::styled(text.to_string(), state.theme.style(Role::Dim)));
    }
    let top = list.selected.saturating_sub(height.saturating_sub(1));
    for (y, line) in rows.iter().skip(top).take(height).enumerate() {
        row(state, buf, body, y, line, top + y == list.selected);
    }
    cursor
}

/// One line of input; scrolls so that the cursor is in it.
fn input(
    state: &State,
    buf: &mut Buffer,
    area: Rect,
    y: u16,
    prompt: &str,
    text: &TextBox,
) -> Option<(u16, u16)> {
    if y >= area.height || (area.width as usize) < prompt.len() + 2 {
        return None;
    }
    let room = area.width as usize - prompt.len() - 1;
    let (mut from, all) = (0, text.text());
    while width(&all[from..text.cursor()]) > room {
        from += all[from..].chars().next().map_or(1, char::len_utf8);
    }
    let at = area.y + y;
    buf.set_string(area.x, at, prompt, state.theme.style(Role::Key));
    let shown = truncate_with(&all[from..], room, state.glyphs.ellipsis);
    buf.set_string(area.x + prompt.len() as u16, at, shown, state.theme.style(Role::Text));
    let col = prompt.len() + width(&all[from..text.cursor()]);
    Some((area.x + col as u16, at))
}

fn palette(state: &State, buf: &mut Buffer, screen: Rect, list: &FuzzyList) -> Option<(u16, u16)> {
    let commands = commands();
    let rows: Vec<Line<'_>> = list
        .hits
        .iter()
        .filter_map(|i| commands.get(*i))
        .map(|b| {
            let keys: Vec<String> = state.keymap.keys(b.action).iter().map(ToString::to_string).collect();
            let about = match b.action {
                Action::Step(n) => state.steps.iter().find(|s| s.key == n && !s.title.is_empty()),
                _ => None,
            };
            let about = about
                .map_or_else(|| b.about.to_string(), |s| format!("run step {n}: {}", s.title, n = s.key));
            Line::from(vec![
                Span::styled(format!("{:<20} ", b.id), state.theme.style(Role::Text)),
                Span::styled(format!("{:<8} ", keys.join(" ")), state.theme.style(Role::Key)),
                Span::styled(about, state.theme.style(Role::Dim)),
            ])
        })
        .collect();
    let none = "a time such as 01:41 goes to it in the log; anything else is the name of a command";
    picker(state, buf, screen, list, "Commands", "enter runs", &rows, none)
}

fn targets(state: &State, buf: &mut Buffer, screen: Rect, list: &FuzzyList) -> Option<(u16, u16)> {
    let empty = Candidates::default();
    let c = state.candidates.as_ref().unwrap_or(&empty);
    let wide = c.list.iter().map(|c| width(&c.name)).max().unwrap_or(0).clamp(8, 40);
    // Where there are several places, which one it is tells the rows apart.
    let places = c.list.iter().any(|c| !c.place.is_empty());
    let where_wide = c.list.iter().map(|c| width(&whence(c))).max().unwrap_or(0).min(32);
    let rows: Vec<Line<'_>> = list
        .hits
        .iter()
        .filter_map(|i| c.list.get(*i))
        .map(|c| {
            let errors = match c.errors {
                Some(n) if n > 0.0 => Span::styled(format!("{n:>8.0} 5xx  "), state.theme.style(Role::Bad)),
                Some(_) => Span::styled(format!("{:>8} 5xx  ", 0), state.theme.style(Role::Dim)),
                None => Span::styled(format!("{:>8}      ", "?"), state.theme.style(Role::Unknown)),
            };
            let name = truncate_with(&c.name, wide, state.glyphs.ellipsis);
            let pad = " ".repeat(wide - width(&name).min(wide));
            Line::from(vec![
                errors,
                Span::styled(format!("{name}{pad}  "), state.theme.style(Role::Text)),
                if places {
                    let at = whence(c);
                    let at = truncate_with(&at, where_wide, state.glyphs.ellipsis);
                    let pad = " ".repeat(where_wide - width(&at).min(where_wide));
                    Span::styled(format!("{at}{pad}  "), state.theme.style(Role::Text))
                } else {
                    Span::raw("")
                },
                Span::styled(
                    if places {
                        format!("{} {}", c.kind, c.dns_name)
                    } else {
                        format!("{} {}  {}", c.kind, c.region, c.dns_name)
                    },
                    state.theme.style(Role::Dim),
                ),
            ])
        })
        .collect();
    let title = match (c.asked.is_empty(), c.more) {
        (true, false) => format!("Which load balancer? {} found", c.list.len()),
        (true, true) => format!("Which load balancer? {} found so far", c.list.len()),
        (false, more) => {
            let so_far = if more { " so far" } else { "" };
            format!("{} fits {}{so_far}; which one?", c.asked, c.list.len())
        }
    };
    picker(state, buf, screen, list, &title, "enter opens   esc back", &rows, "still looking")
}

fn note(state: &State, buf: &mut Buffer, screen: Rect, text: &TextBox) -> Option<(u16, u16)> {
    let w = screen.width.min(100);
    let (rows, (crow, ccol)) = text.rows(note_cols(screen.width));
    let height = (rows.len() as u16 + 2).clamp(3, (screen.height / 2).max(3)).min(screen.height);
    // Near the bottom: what the note is about stays in sight.
    let y = screen.bottom().saturating_sub(height + 1).max(screen.y);
    let area = Rect::new(screen.x + (screen.width - w) / 2, y, w, height.min(screen.bottom() - y));
    let foot = "enter saves   ctrl-j new line   esc keeps the draft";
    let inner = popup(state, buf, area, &format!("Note by {}", state.incident.author), foot);
    let top = (crow + 1).saturating_sub(inner.height as usize);
    for (y, r) in rows.iter().skip(top).take(inner.height as usize).enumerate() {
        put(state, buf, inner, y, &Line::styled((*r).to_string(), state.theme.style(Role::Note)));
    }
    let at = (inner.x + (ccol as u16).min(inner.width.saturating_sub(1)), inner.y + (crow - top) as u16);
    (!inner.is_empty()).then_some(at)
}

/// Columns of the note box on a screen of this width.
pub(in crate::console) fn note_cols(screen: u16) -> usize {
    screen.min(100).saturating_sub(2) as usize
}

fn filter(state: &State, buf: &mut Buffer, screen: Rect, f: &FilterBox) -> Option<(u16, u16)> {
    let bar = state.layout().bar;
    let area = if bar.is_empty() {
        Rect { y: screen.bottom().saturating_sub(1), height: 1.min(screen.height), ..screen }
    } else {
        bar.intersection(screen)
    };
    if area.is_empty() {
        return None;
    }
    buf.set_style(area, state.theme.base());
    for x in area.left()..area.right() {
        buf[(x, area.y)].set_symbol(" ");
    }
    let (word, role) = match &f.error {
        Some(e) => (e.to_string(), Role::Bad),
        None if f.hides => {
            (format!("{}: hides other rows   tab: only mark", panes::title(f.pane)), Role::Dim)
        }
        None => (format!("{}: marks matches   tab: hide others", panes::title(f.pane)), Role::Dim),
    };
    let typed = width(f.input.text()) + 4;
    let room = (area.width as usize).saturating_sub(typed);
    let word = truncate_with(&word, room.min(area.width as usize / 2), state.glyphs.ellipsis).into_owned();
    let w = width(&word) as u16;
    buf.set_string(area.right() - w, area.y, &word, state.theme.style(role));
    let left = Rect { width: area.width - w, ..area };
    input(state, buf, left, 0, "/", &f.input)
}
