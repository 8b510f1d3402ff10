//! Drawing the lines on screen and none other.

use super::told::told;
use super::{LogsView, Times};
use crate::console::layout::{FrameKind, inner};
use crate::console::panes::frame::{self, Chrome, title_words};
use crate::console::panes::list::filter_words;
use crate::console::panes::paint::{Ctx, Seg, clip, put};
use crate::console::panes::{explain, nothing_yet, say};
use crate::console::state::{Mark, State};
use crate::console::theme::Role;
use crate::situation::log::{Held, Level, TailMode};
use crate::situation::{Datum, Reason};
use crate::text::width;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::borrow::Cow;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Rows a wrapped line takes at most; Enter shows all of it.
const WRAP_ROWS: usize = 4;
/// Columns by which the rows below the first are set in.
const HANG: usize = 3;
/// Seconds without a line after which the title says so.
const QUIET_S: u64 = 60;
/// Bytes of a line that highlights are looked for in.
const SEARCHED: usize = 16_384;

/// A line on screen.
pub struct Shown {
    pub seq: u64,
    /// Rows above the screen's edge (the topmost line while following the end).
    pub skip: usize,
}

/// The word of a level.
pub fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

fn level_sign(level: Level) -> (&'static str, Role) {
    match level {
        Level::Error => ("E", Role::Bad),
        Level::Warn => ("W", Role::Warn),
        Level::Info => ("I", Role::Dim),
        Level::Debug => ("D", Role::Dim),
        Level::Trace => ("T", Role::Dim),
    }
}

/// What stands before the text of every line; the same for all lines of a
/// frame, so that the texts stand in one column.
struct Head {
    times: Times,
    today: jiff::civil::Date,
    /// Columns of the group's name, 0 when there is only one group.
    group: usize,
}

impl Head {
    fn new(view: &LogsView, state: &State, columns: u16) -> Head {
        let tails = &state.shown().tails;
        let longest = tails.keys().map(|k| width(group_word(k))).max().unwrap_or(0);
        let group = if tails.len() > 1 && columns >= 36 { longest.min(9) } else { 0 };
        // Very narrow: the text is worth more than the clock.
        let times = if columns < 30 && view.times == Times::Clock { Times::Off } else { view.times };
        Head { times, today: state.shown_now().to_zoned(TimeZone::UTC).date(), group }
    }

    fn time(&self, at: Timestamp) -> String {
        let t = at.to_zoned(TimeZone::UTC);
        match self.times {
            Times::Off => String::new(),
            Times::Full => t.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            Times::Clock if t.date() == self.today => t.strftime("%H:%M:%S").to_string(),
            // The same width, and clearly no time of today.
            Times::Clock => t.strftime("%m-%d %Hh").to_string(),
        }
    }

    fn columns(&self, h: &Held) -> usize {
        let time = match self.times {
            Times::Off => 0,
            Times::Full => 24,
            Times::Clock => 9,
        };
        let group = if self.group > 0 { self.group + 1 } else { 0 };
        // Without a time there is no blank for the sign of a late line.
        time + 2 + group + if h.late && time == 0 { 2 } else { 0 }
    }
}

/// The end of a group's name, which is what tells groups apart.
fn group_word(name: &str) -> &str {
    name.rsplit('/').find(|p| !p.is_empty()).unwrap_or(name)
}

/// Rows of a text: byte ranges, and whether text is left over. A row ends at
/// a blank where there is one in its last third, so that words stay whole;
/// the blank itself is not shown at the start of the next row.
fn rows_of(text: &str, first: usize, next: usize, max: usize) -> (Vec<Range<usize>>, bool) {
    let (first, next) = (first.max(1), next.max(1));
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    loop {
        let columns = if out.is_empty() { first } else { next };
        let to = from + fitting(&text[from..], columns);
        if to >= text.len() {
            out.push(from..text.len());
            return (out, false);
        }
        if out.len() + 1 == max {
            out.push(from..to);
            return (out, true);
        }
        let third = from + (to - from) * 2 / 3;
        let rest = &text[from..];
        // A blank right behind the row counts: the row then ends with a word.
        let blank = rest.as_bytes()[..=to - from].iter().rposition(|b| *b == b' ').map(|i| from + i);
        match blank.filter(|b| *b > third) {
            Some(b) => {
                out.push(from..b);
                from = b + 1;
            }
            None => {
                out.push(from..to);
                from = to;
            }
        }
    }
}

/// Bytes of a text that fit into so many columns; at least one character.
fn fitting(text: &str, columns: usize) -> usize {
    let window = &text.as_bytes()[..text.len().min(columns + 1)];
    if window.is_ascii() {
        return columns.min(text.len());
    }
    let mut used = 0;
    for (i, g) in text.grapheme_indices(true) {
        used += width(g);
        if used > columns && i > 0 {
            return i;
        }
    }
    text.len()
}

/// Columns for the text in the first row and in those below.
fn room(view: &LogsView, head: &Head, h: &Held, columns: u16) -> (usize, usize, usize) {
    let body = usize::from(columns).saturating_sub(1);
    let first = body.saturating_sub(head.columns(h)).max(1);
    let next = body.saturating_sub(HANG).max(1);
    (first, next, if view.no_wrap { 1 } else { WRAP_ROWS })
}

/// Rows a line takes, near enough to turn a page by.
pub fn height(view: &LogsView, h: &Held, columns: u16) -> usize {
    if view.no_wrap {
        return 1;
    }
    let head = Head { times: view.times, today: jiff::civil::Date::default(), group: 0 };
    let (first, next, max) = room(view, &head, h, columns);
    rows_of(told(view, h), first, next, max).0.len()
}

/// The lines on screen, top to bottom, for this size. Costs what is shown.
pub fn viewport(view: &LogsView, state: &State, area: Rect) -> Vec<Shown> {
    let rows = usize::from(area.height);
    let order = view.order(state);
    if rows == 0 || area.width == 0 {
        return Vec::new();
    }
    let head = Head::new(view, state, area.width);
    let ctx = Ctx::of(state);
    let tall = |seq: u64| {
        order.logs.get(seq).map_or(1, |h| {
            let (first, next, max) = room(view, &head, h, area.width);
            if max == 1 { 1 } else { rows_of(&ctx.masked(told(view, h)), first, next, max).0.len() }
        })
    };
    // Lines upwards from `from` until the rows are used up.
    let upwards = |from: u64, rows: usize| {
        let mut out: Vec<Shown> = Vec::new();
        let mut used = 0;
        let mut at = Some(from);
        while let Some(seq) = at {
            let t = tall(seq);
            out.push(Shown { seq, skip: (used + t).saturating_sub(rows) });
            used += t;
            if used >= rows {
                break;
            }
            at = order.before(seq);
        }
        out.reverse();
        out
    };
    let Some(stay) = view.stay else {
        return order.last().map(|last| upwards(last, rows)).unwrap_or_default();
    };
    let Some(selected) = order.near(stay.selected) else { return Vec::new() };
    let top = if stay.centre {
        let above = upwards(selected, (rows / 3).max(1));
        above.first().map_or(selected, |s| s.seq)
    } else {
        order.near(stay.top).unwrap_or(selected).min(selected)
    };
    let mut out = Vec::new();
    let mut used = 0;
    let mut whole = false;
    let mut at = Some(top);
    while let Some(seq) = at.filter(|_| used < rows) {
        let t = tall(seq);
        whole |= seq == selected && (used + t <= rows || used == 0);
        out.push(Shown { seq, skip: 0 });
        used += t;
        at = order.from(seq + 1);
    }
    if !whole {
        return upwards(selected, rows);
    }
    match out.last() {
        // No empty rows below while there are lines above.
        Some(last) if used < rows && order.before(top).is_some() => upwards(last.seq, rows),
        _ => out,
    }
}

/// Columns one may scroll to the right: the longest line on screen.
pub fn widest(view: &LogsView, state: &State, area: Rect) -> usize {
    let logs = &state.situation.logs;
    let head = Head::new(view, state, area.width);
    viewport(view, state, area)
        .iter()
        .filter_map(|s| logs.get(s.seq))
        .map(|h| {
            let (first, ..) = room(view, &head, h, area.width);
            let text = told(view, h);
            let columns = if text.is_ascii() { text.len() } else { width(text) };
            (columns + 1).saturating_sub(first)
        })
        .max()
        .unwrap_or(0)
}

/// Byte offset of a column, and the columns it really stands at.
fn skip_columns(text: &str, columns: usize) -> usize {
    if text.as_bytes()[..text.len().min(columns)].is_ascii() {
        return columns.min(text.len());
    }
    let mut used = 0;
    for (i, g) in text.grapheme_indices(true) {
        if used >= columns {
            return i;
        }
        used += width(g);
    }
    text.len()
}

/// A part of a line that stands out.
struct Hit {
    range: Range<usize>,
    role: Role,
}

fn hits(view: &LogsView, h: &Held, text: &str, here: bool) -> Vec<Hit> {
    let mut end = text.len().min(SEARCHED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let mut out: Vec<Hit> = Vec::new();
    if let Some(f) = view.filter.as_ref().filter(|f| !f.inverse) {
        let role = if here { Role::MatchHere } else { Role::Match };
        let found = f.regex.find_iter(text).filter(|m| !m.is_empty()).take(64);
        out.extend(found.map(|m| Hit { range: m.range(), role }));
    }
    if let Some(status) = h.status_5xx {
        let digits = status.to_string();
        let word = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let found = text
            .match_indices(&digits)
            .find(|(i, _)| !word(i.checked_sub(1).and_then(|i| bytes.get(i))) && !word(bytes.get(i + 3)));
        if let Some((i, _)) = found
            && !out.iter().any(|x| x.range.contains(&i) || x.range.contains(&(i + 2)))
        {
            out.push(Hit { range: i..i + 3, role: Role::Bad });
        }
    }
    out.sort_by_key(|x| x.range.start);
    out
}

/// Draws a piece of a text with what stands out in it.
fn text_piece(
    ctx: &Ctx<'_>,
    buf: &mut Buffer,
    (x, y): (u16, u16),
    columns: usize,
    text: &str,
    range: Range<usize>,
    (role, hits): (Role, &[Hit]),
) {
    let mut x = x;
    let mut left = u16::try_from(columns).unwrap_or(u16::MAX);
    let mut at = range.start;
    let mut write = |x: &mut u16, left: &mut u16, part: &str, role: Role| {
        let used = put(ctx, buf, *x, y, part, *left, role);
        *x += used;
        *left -= used.min(*left);
    };
    for hit in hits {
        let from = hit.range.start.clamp(at, range.end);
        let to = hit.range.end.clamp(from, range.end);
        if from > at {
            write(&mut x, &mut left, &text[at..from], role);
        }
        if to > from {
            write(&mut x, &mut left, &text[from..to], hit.role);
        }
        at = to.max(at);
    }
    if at < range.end {
        write(&mut x, &mut left, &text[at..range.end], role);
    }
}

/// How a log is followed, in a word, and what is wrong with it.
fn tail_status(ctx: &Ctx<'_>, state: &State) -> Vec<Seg<'static>> {
    let s = state.shown();
    let mut out = Vec::new();
    let gap = s
        .tails
        .values()
        .filter_map(Datum::gap)
        .max_by_key(|g| g.at)
        .or_else(|| if s.tails.is_empty() { s.log_groups.gap() } else { None });
    if let Some(gap) = gap {
        let words = format!("{} {}", ctx.glyphs.warn, title_words(ctx, &gap.reason));
        out.push(Seg::new(Role::Warn, words).rank(8).min(8));
    }
    let modes: Vec<TailMode> = s.tails.values().filter_map(|d| d.value()).map(|t| t.mode).collect();
    let has = |m: TailMode| modes.contains(&m);
    if has(TailMode::Sampled) {
        out.push(Seg::new(Role::Warn, format!("{} sampled", ctx.glyphs.warn)).rank(8).whole());
    }
    if has(TailMode::Polled) {
        out.push(Seg::new(Role::Dim, "polled").rank(6).whole());
    }
    if out.is_empty() && has(TailMode::Live) {
        out.push(Seg::new(Role::Good, "live").rank(6).whole());
    }
    if out.is_empty() && has(TailMode::File) {
        out.push(Seg::new(Role::Dim, "file").rank(6).whole());
    }
    if out.is_empty() && s.tails.is_empty() {
        out.push(Seg::new(Role::Unknown, format!("{} not followed", ctx.glyphs.unknown)).rank(8).min(8));
    }
    let dropped = state.situation.logs.dropped();
    if dropped > 0 && state.past.as_ref().is_some_and(|p| p.shown) {
        // Nothing was lost: these lines are at an earlier moment.
        out.push(Seg::new(Role::Dim, format!("{} before", say::count(dropped))).rank(5).whole());
    } else if dropped > 0 {
        out.push(Seg::new(Role::Warn, format!("dropped {}", say::count(dropped))).rank(7).whole());
    }
    out
}

/// Draws the pane.
pub fn draw(state: &State, view: &LogsView, area: Rect, kind: FrameKind, focused: bool, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    let s = state.shown();
    let logs = &state.situation.logs;
    let order = view.order(state);
    let inside = inner(area, kind);
    let shown = viewport(view, state, inside);
    let here = view.here(&order);

    let mut facts = Vec::new();
    let names: Vec<&str> = s.tails.keys().map(|k| k.as_str()).collect();
    match names.as_slice() {
        [] => {}
        [one] => facts.push(Seg::new(Role::Dim, (*one).to_owned()).rank(3).min(6)),
        many => facts.push(Seg::new(Role::Dim, say::plural(many.len(), "group", "groups")).extra()),
    }
    let mut status = tail_status(ctx, state);
    if let Some(newest) = order.last().and_then(|s| logs.get(s)) {
        let quiet = say::seconds_since(newest.line.at, ctx.now);
        if quiet >= QUIET_S {
            status.push(Seg::new(Role::Dim, format!("quiet {}", say::age(quiet))).rank(5).whole());
        }
    }
    let hidden = if view.hides() { view.index.hidden() } else { 0 };
    let mut foot = filter_words(ctx, view.filter.as_ref(), hidden);
    if view.hides() && !view.index.is_complete(logs) {
        let progress = view.index.progress(logs);
        foot.push(Seg::new(Role::Busy, format!("{} {progress}%", ctx.glyphs.busy)).rank(6).whole());
    }
    if view.seek.is_some() {
        foot.push(Seg::new(Role::Busy, format!("{} searching", ctx.glyphs.busy)).rank(6).whole());
    } else if !view.told.is_empty() {
        foot.push(Seg::new(Role::Warn, view.told).rank(5).min(6));
    }
    if view.no_wrap && view.across > 0 {
        foot.push(Seg::new(Role::Dim, format!("column {}", view.across + 1)).rank(3).whole());
    }
    let late = shown.iter().filter_map(|s| logs.get(s.seq)).filter(|h| h.late).count();
    if late > 0 {
        foot.push(Seg::new(Role::Warn, format!("{} {late} late", ctx.glyphs.back)).rank(4).whole());
    }
    let mut place = Vec::new();
    if let Some(stay) = view.stay {
        let new = order.count_from(stay.left_at);
        let below = shown.last().map_or(0, |l| order.count_from(l.seq + 1));
        if new > 0 {
            let words = format!("{} new below", say::count(new));
            place.push(Seg::new(Role::Info, words).rank(7).whole());
            place.push(Seg::new(Role::Info, ctx.glyphs.down).rank(6).whole());
        } else if below > 0 {
            place.push(Seg::new(Role::Dim, format!("{} below", say::count(below))).rank(5).whole());
            place.push(Seg::new(Role::Dim, ctx.glyphs.down).rank(5).whole());
        }
        place.insert(0, Seg::new(Role::Warn, "paused").rank(8).whole());
    }
    let chrome = Chrome { title: "Logs", facts, status, foot, place, focused };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if shown.is_empty() {
        explain(ctx, buf, inside, &nothing(state, view));
        return;
    }

    let head = Head::new(view, state, inside.width);
    let mut y = inside.y;
    for item in &shown {
        let Some(h) = logs.get(item.seq) else { continue };
        let selected = here == Some(item.seq) && (focused || view.stay.is_some());
        y = draw_line(ctx, buf, inside, y, view, &head, h, item, selected, focused);
        if y >= inside.bottom() {
            break;
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "one line of the screen, with everything it depends on")]
fn draw_line(
    ctx: &Ctx<'_>,
    buf: &mut Buffer,
    area: Rect,
    top: u16,
    view: &LogsView,
    head: &Head,
    h: &Held,
    item: &Shown,
    selected: bool,
    focused: bool,
) -> u16 {
    let text: Cow<'_, str> = ctx.masked(told(view, h));
    let (first, next, max) = room(view, head, h, area.width);
    let (mut rows, mut more) = rows_of(&text, first, next, max);
    let mut left_cut = false;
    if view.no_wrap {
        let from = skip_columns(&text, view.across);
        left_cut = from > 0;
        let (inner_rows, rest) = rows_of(&text[from..], first.saturating_sub(usize::from(left_cut)), next, 1);
        rows = inner_rows.into_iter().map(|r| r.start + from..r.end + from).collect();
        more = rest;
    }
    let hits = hits(view, h, &text, selected);
    let role = match h.level {
        Level::Debug | Level::Trace => Role::Dim,
        _ => Role::Text,
    };
    let mut y = top;
    let count = rows.len();
    for (n, range) in rows.into_iter().enumerate().skip(item.skip) {
        if y >= area.bottom() {
            break;
        }
        let mut x = area.x + 1;
        if n == 0 {
            x += line_head(ctx, buf, (x, y), area.right(), head, h);
        } else {
            x += u16::try_from(HANG).unwrap_or(0);
        }
        let columns = usize::from(area.right().saturating_sub(x));
        if left_cut {
            x += put(ctx, buf, x, y, ctx.glyphs.ellipsis, 1, Role::Dim);
        }
        text_piece(
            ctx,
            buf,
            (x, y),
            columns - usize::from(left_cut).min(columns),
            &text,
            range.clone(),
            (role, &hits),
        );
        if n + 1 == count && more {
            let left = text.len() - range.end;
            let note = if view.no_wrap || left < 100 {
                ctx.glyphs.ellipsis.to_owned()
            } else {
                format!("{} +{} B", ctx.glyphs.ellipsis, say::count(left as u64))
            };
            let wide = u16::try_from(width(&note)).unwrap_or(1);
            let at = area.right().saturating_sub(wide);
            if at >= x {
                // A wide character may stand across the place where the mark begins.
                if at > area.x && width(buf_symbol(buf, at - 1, y)) > 1 {
                    put(ctx, buf, at - 1, y, " ", 1, role);
                }
                put(ctx, buf, at, y, &note, wide, Role::Dim);
            }
        }
        if selected {
            let pointer = if focused { Role::Info } else { Role::Dim };
            put(ctx, buf, area.x, y, ctx.glyphs.pointer, 1, pointer);
        }
        if view.marked.contains(&h.seq) && n == item.skip {
            put(ctx, buf, area.x, y, ctx.glyphs.mark, 1, Role::Mark);
        }
        if selected {
            let bar = if focused { Role::Selected } else { Role::SelectedIdle };
            let row = clip(buf, Rect { y, height: 1, ..area });
            buf.set_style(row, ctx.theme.style(bar));
        }
        y += 1;
    }
    y
}

fn buf_symbol(buf: &Buffer, x: u16, y: u16) -> &str {
    if buf.area.contains((x, y).into()) { buf[(x, y)].symbol() } else { " " }
}

/// Time, lateness, level and group; returns the columns used.
fn line_head(ctx: &Ctx<'_>, buf: &mut Buffer, (x, y): (u16, u16), right: u16, head: &Head, h: &Held) -> u16 {
    let mut at = x;
    let mut write = |text: &str, role: Role, columns: u16| {
        put(ctx, buf, at, y, text, columns.min(right.saturating_sub(at)), role);
        at = at.saturating_add(columns + 1).min(right);
    };
    let time = head.time(h.line.at);
    if !time.is_empty() {
        let columns = u16::try_from(time.len()).unwrap_or(8);
        write(&time, if h.late { Role::Warn } else { Role::Dim }, columns);
    } else if h.late {
        write(ctx.glyphs.back, Role::Warn, 1);
    }
    let (sign, role) = level_sign(h.level);
    write(sign, role, 1);
    if head.group > 0 {
        let word = ctx.masked(group_word(&h.line.group)).into_owned();
        let word = crate::text::truncate_with(&word, head.group, ctx.glyphs.ellipsis).into_owned();
        write(&word, Role::Dim, u16::try_from(head.group).unwrap_or(9));
    }
    let end = at;
    if h.late && !time.is_empty() {
        let sign = x.saturating_add(u16::try_from(time.len()).unwrap_or(8));
        put(ctx, buf, sign, y, ctx.glyphs.back, 1.min(right.saturating_sub(sign)), Role::Warn);
    }
    end - x
}

/// Why there is no line to show.
fn nothing(state: &State, view: &LogsView) -> (Mark, String) {
    let s = state.shown();
    let logs = &state.situation.logs;
    if view.hides() && !logs.is_empty() {
        let f = view.filter.as_ref().map_or("", |f| f.typed.as_str());
        return if view.index.is_complete(logs) {
            (
                Mark::Info,
                format!(
                    "none of {} matches /{f}; esc clears the filter",
                    say::plural(logs.len(), "line", "lines")
                ),
            )
        } else {
            (Mark::Info, format!("filtering {}", say::plural(logs.len(), "line", "lines")))
        };
    }
    if let Some(gap) = s.tails.values().find_map(Datum::gap) {
        return (Mark::Unknown, gap.reason.phrase());
    }
    if let Some((name, _)) = s.tails.iter().next() {
        return (Mark::Info, format!("following {name}: no line yet"));
    }
    match s.log_groups.value() {
        Some(list) if list.is_empty() => {
            (Mark::Unknown, "no log group is known for these targets; o names one".to_owned())
        }
        Some(list) => (
            Mark::Unknown,
            format!("{} to choose from; o chooses", say::plural(list.len(), "log group", "log groups")),
        ),
        None => nothing_yet(
            state,
            Some(s.log_groups.why_unknown().unwrap_or(Reason::NotAsked)),
            "no log is followed",
        ),
    }
}
