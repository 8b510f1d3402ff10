//! Drawing one line: segments by importance, cut with a mark, masked where
//! privacy asks for it. Every pane draws through here, so there is one place
//! that keeps text inside its rectangle.

use super::{mask, say};
use crate::console::glyphs::Glyphs;
use crate::console::state::{Mark, State};
use crate::console::theme::{Role, Theme};
use crate::text::{is_plain, stands_alone, truncate_with, width};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::borrow::Cow;

/// What drawing depends on besides the data.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    pub theme: &'a Theme,
    pub glyphs: &'a Glyphs,
    /// The moment ages are counted from.
    pub now: Timestamp,
    /// Mask account numbers and addresses.
    pub privacy: bool,
    /// Seconds by which data may be older than it was: an answer that repeats
    /// itself is recorded once a minute only.
    pub slack: u64,
}

impl<'a> Ctx<'a> {
    /// What the state says about drawing.
    pub fn of(state: &'a State) -> Ctx<'a> {
        Ctx {
            theme: &state.theme,
            glyphs: &state.glyphs,
            now: state.shown_now(),
            privacy: state.privacy,
            slack: state.slack(),
        }
    }

    /// The text as it may be shown.
    pub fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.privacy { mask::mask(text) } else { Cow::Borrowed(text) }
    }

    /// The sign of a mark.
    pub fn sign(&self, mark: Mark) -> &'static str {
        match mark {
            Mark::Good => self.glyphs.good,
            Mark::Info => self.glyphs.idle,
            Mark::Warn => self.glyphs.warn,
            Mark::Bad => self.glyphs.bad,
            Mark::Unknown => self.glyphs.unknown,
        }
    }

    /// The colour of a mark.
    pub fn role(mark: Mark) -> Role {
        match mark {
            Mark::Good => Role::Good,
            Mark::Info => Role::Text,
            Mark::Warn => Role::Warn,
            Mark::Bad => Role::Bad,
            Mark::Unknown => Role::Unknown,
        }
    }

    /// The sign of a mark as a segment that is never dropped.
    pub fn mark(&self, mark: Mark) -> Seg<'static> {
        Seg::new(Ctx::role(mark), self.sign(mark)).rank(KEEP).min(1)
    }
}

/// The rank of what must stay.
pub const KEEP: u8 = 9;

/// A piece of a line. Pieces are set apart by one blank unless glued.
#[derive(Clone, Debug)]
pub struct Seg<'a> {
    pub text: Cow<'a, str>,
    pub role: Role,
    /// Pieces of the lowest rank are shortened and left out first.
    pub rank: u8,
    /// Columns below which the piece is left out rather than shortened.
    pub min: usize,
    /// No blank before this piece.
    pub glue: bool,
    /// May be left out without a mark: it is told elsewhere or not missed.
    pub silent: bool,
    /// Cut in the middle, as ids are.
    pub middle: bool,
}

impl<'a> Seg<'a> {
    /// A piece that stays and may be shortened.
    pub fn new(role: Role, text: impl Into<Cow<'a, str>>) -> Seg<'a> {
        Seg { text: text.into(), role, rank: 8, min: 3, glue: false, silent: false, middle: false }
    }

    pub fn rank(self, rank: u8) -> Seg<'a> {
        Seg { rank, ..self }
    }

    pub fn min(self, min: usize) -> Seg<'a> {
        Seg { min, ..self }
    }

    /// Whole or not at all.
    pub fn whole(self) -> Seg<'a> {
        Seg { min: usize::MAX, ..self }
    }

    /// Whole or not at all, and not missed when left out.
    pub fn extra(self) -> Seg<'a> {
        Seg { min: usize::MAX, rank: 0, silent: true, ..self }
    }

    /// Cut in the middle.
    pub fn middle(self) -> Seg<'a> {
        Seg { middle: true, ..self }
    }

    pub fn glue(self) -> Seg<'a> {
        Seg { glue: true, ..self }
    }
}

/// A line: pieces from the left, pieces against the right edge.
#[derive(Clone, Debug, Default)]
pub struct Spread<'a> {
    pub indent: u16,
    pub left: Vec<Seg<'a>>,
    pub right: Vec<Seg<'a>>,
}

impl<'a> Spread<'a> {
    pub fn new(indent: u16, left: Vec<Seg<'a>>) -> Spread<'a> {
        Spread { indent, left, right: Vec::new() }
    }

    pub fn right(self, right: Vec<Seg<'a>>) -> Spread<'a> {
        Spread { right, ..self }
    }
}

/// The part of `area` that lies in the buffer.
pub fn clip(buf: &Buffer, area: Rect) -> Rect {
    area.intersection(buf.area)
}

/// Makes every cell of the area empty.
pub fn clear(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect) {
    let area = clip(buf, area);
    let base = ctx.theme.base();
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buf[(x, y)];
            cell.reset();
            cell.set_style(base);
        }
    }
}

/// Writes text at a place, at most `columns` wide, without a mark where it is
/// cut. Returns the columns used.
pub fn put(ctx: &Ctx<'_>, buf: &mut Buffer, x: u16, y: u16, text: &str, columns: u16, role: Role) -> u16 {
    let room = clip(buf, Rect::new(x, y, columns, 1));
    if room.is_empty() || room.x != x {
        return 0;
    }
    let style = ctx.theme.base().patch(ctx.theme.style(role));
    // Nearly all text is plain, and nearly all time would go into looking for
    // characters that belong together. One more byte is looked at than there is
    // room for: it may belong to the last.
    let bytes = text.as_bytes();
    let n = bytes.len().min(usize::from(room.width));
    if is_plain(bytes.get(..=n).unwrap_or(bytes)) {
        for (b, x) in bytes[..n].iter().zip(x..) {
            buf[(x, y)].set_char(char::from(*b)).set_style(style);
        }
        return u16::try_from(n).unwrap_or(room.width);
    }
    // So are frames, curves and signs.
    let room_for = usize::from(room.width);
    if text.chars().take(room_for + 1).all(stands_alone) {
        let mut end = x;
        for (c, x) in text.chars().take(room_for).zip(x..) {
            buf[(x, y)].set_char(c).set_style(style);
            end = x + 1;
        }
        return end - x;
    }
    let (end, _) = buf.set_stringn(x, y, text, room_for, style);
    end - x
}

/// Draws a line into the first row of `area`, whose cells must be empty.
pub fn line(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, spread: &Spread<'_>) {
    let area = clip(buf, Rect { height: area.height.min(1), ..area });
    if area.is_empty() {
        return;
    }
    let indent = spread.indent.min(area.width.saturating_sub(1));
    let room = usize::from(area.width - indent);
    let (pieces, used_right) = fit(ctx, spread, room);
    let mut x = area.x + indent;
    for (text, role, blank, right) in pieces {
        if right && used_right > 0 {
            let start = area.right().saturating_sub(u16::try_from(used_right).unwrap_or(0));
            // The first piece on the right jumps there, later ones follow it.
            x = x.max(start);
        }
        x += u16::from(blank);
        let left = area.right().saturating_sub(x);
        x += put(ctx, buf, x, area.y, &text, left, role);
    }
}

/// Columns of a blank and the mark that something was left out.
const MARK: usize = 2;

type Piece<'a> = (Cow<'a, str>, Role, bool, bool);

/// Shortens and leaves out until everything fits. Each piece comes with its
/// role, whether a blank stands before it and whether it belongs to the right
/// edge; the second value is the width of the right part.
fn fit<'s>(ctx: &Ctx<'_>, spread: &'s Spread<'_>, room: usize) -> (Vec<Piece<'s>>, usize) {
    struct Part<'s> {
        text: Cow<'s, str>,
        role: Role,
        rank: u8,
        min: usize,
        glue: bool,
        silent: bool,
        middle: bool,
        right: bool,
        full: usize,
        now: usize,
    }
    let part = |seg: &'s Seg<'_>, right: bool| {
        let text = ctx.masked(&seg.text);
        // No line is wider than the widest screen: a long text is not measured.
        let full = width(&truncate_with(&text, room + 2, ""));
        Part {
            text,
            role: seg.role,
            rank: seg.rank,
            min: seg.min,
            glue: seg.glue,
            silent: seg.silent,
            middle: seg.middle,
            right,
            full,
            now: full,
        }
    };
    let mut parts: Vec<Part<'s>> = spread.left.iter().map(|s| part(s, false)).collect();
    parts.extend(spread.right.iter().map(|s| part(s, true)));
    parts.retain(|p| p.full > 0);

    // A piece that was shortened already says that something is missing.
    let last_left = |parts: &[Part<'_>]| parts.iter().rposition(|p| !p.right && p.now > 0);
    let says_cut = |parts: &[Part<'_>], cut: bool| {
        cut && last_left(parts).is_some_and(|i| parts[i].now == parts[i].full)
    };
    let need = |parts: &[Part<'_>], cut: bool| {
        let mut sum = 0;
        let mut any_left = false;
        for (i, p) in parts.iter().enumerate().filter(|(_, p)| p.now > 0) {
            let first_right = p.right && !parts[..i].iter().any(|q| q.right && q.now > 0);
            let blank = if first_right { any_left } else { sum > 0 && !p.glue };
            sum += p.now + usize::from(blank);
            any_left |= !p.right;
        }
        sum + if says_cut(parts, cut) { MARK } else { 0 }
    };
    let mut cut = false;
    loop {
        let over = need(&parts, cut).saturating_sub(room);
        if over == 0 {
            break;
        }
        // Lowest rank first; among equals the last.
        let Some(i) = (0..parts.len()).rev().filter(|i| parts[*i].now > 0).min_by_key(|i| parts[*i].rank)
        else {
            break;
        };
        let only = parts.iter().filter(|p| p.now > 0).count() == 1;
        // Shortening the last piece makes the mark behind it needless.
        let spare = if says_cut(&parts, cut) && last_left(&parts) == Some(i) { MARK } else { 0 };
        let p = &mut parts[i];
        let least = if only { 1 } else { p.min.min(p.full) };
        if p.now > least {
            p.now -= over.saturating_sub(spare).max(1).min(p.now - least);
        } else if only {
            cut = false;
            p.now = p.now.min(room);
            break;
        } else {
            p.now = 0;
            cut |= !p.silent;
        }
    }
    let last_left = last_left(&parts);
    let say_cut = cut && last_left.is_some_and(|i| parts[i].now == parts[i].full);

    let mut out: Vec<Piece<'s>> = Vec::new();
    let mut used_right = 0;
    let mut seen_right = false;
    for (i, p) in parts.into_iter().enumerate() {
        if p.now > 0 {
            let text = if p.now >= p.full {
                p.text
            } else if p.middle && p.text.is_ascii() && p.now >= 6 {
                Cow::Owned(say::middle(&p.text, p.now, ctx.glyphs.ellipsis).into_owned())
            } else {
                shorten(p.text, p.now, ctx.glyphs.ellipsis)
            };
            let blank = if p.right && !seen_right { false } else { !out.is_empty() && !p.glue };
            if p.right {
                used_right += width(&text) + usize::from(blank);
                seen_right = true;
            }
            out.push((text, p.role, blank, p.right));
        }
        if say_cut && last_left == Some(i) {
            out.push((Cow::Borrowed(ctx.glyphs.ellipsis), Role::Dim, true, false));
        }
    }
    (out, used_right)
}

fn shorten<'s>(text: Cow<'s, str>, columns: usize, ellipsis: &str) -> Cow<'s, str> {
    match text {
        Cow::Borrowed(t) => truncate_with(t, columns, ellipsis),
        Cow::Owned(t) => Cow::Owned(truncate_with(&t, columns, ellipsis).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::caps::Depth;
    use crate::console::glyphs::UNICODE;

    fn drawn(width: u16, spread: &Spread<'_>, privacy: bool) -> String {
        let theme = Theme::new(Depth::Mono);
        let ctx = Ctx { theme: &theme, glyphs: &UNICODE, now: Timestamp::UNIX_EPOCH, privacy, slack: 0 };
        let mut buf = Buffer::empty(Rect::new(0, 0, width, 1));
        line(&ctx, &mut buf, Rect::new(0, 0, width, 1), spread);
        let mut out = String::new();
        let mut skip = 0;
        for x in 0..width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buf[(x, 0)].symbol();
            skip = crate::text::width(symbol).saturating_sub(1);
            out.push_str(symbol);
        }
        out
    }

    fn sample() -> Spread<'static> {
        Spread::new(
            1,
            vec![
                Seg::new(Role::Bad, "x").rank(KEEP).min(1),
                Seg::new(Role::Strong, "i-0a1b2c3d").rank(7).min(5),
                Seg::new(Role::Dim, "ap-northeast-1a").rank(1).whole(),
                Seg::new(Role::Text, "Target.Timeout").rank(6).min(6),
            ],
        )
        .right(vec![Seg::new(Role::Dim, "12m").rank(3).whole()])
    }

    #[test]
    fn what_matters_least_goes_first_and_leaves_a_mark() {
        for (width, want) in [
            (52, " x i-0a1b2c3d ap-northeast-1a Target.Timeout     12m"),
            (36, " x i-0a1b2c3d Target.Timeout \u{2026}   12m"),
            (30, " x i-0a1b2c3d Target.Timeout \u{2026}"),
            (24, " x i-0a1b2c3d Target.Ti\u{2026}"),
            (16, " x i-0a1b2c3d \u{2026} "),
            (10, " x i-0a1b\u{2026}"),
            (3, " x "),
            (1, "x"),
        ] {
            assert_eq!(drawn(width, &sample(), false), want, "{width}");
        }
    }

    #[test]
    fn wide_characters_are_never_split() {
        let s = Spread::new(0, vec![Seg::new(Role::Text, "\u{65e5}\u{672c}\u{8a9e}\u{30ed}\u{30b0}")]);
        assert_eq!(drawn(10, &s, false), "\u{65e5}\u{672c}\u{8a9e}\u{30ed}\u{30b0}");
        assert_eq!(drawn(9, &s, false), "\u{65e5}\u{672c}\u{8a9e}\u{30ed}\u{2026}");
        assert_eq!(drawn(8, &s, false), "\u{65e5}\u{672c}\u{8a9e}\u{2026} ");
        assert_eq!(drawn(1, &s, false), "\u{2026}");
    }

    #[test]
    fn privacy_masks_before_cutting() {
        let s = Spread::new(0, vec![Seg::new(Role::Text, "from 203.0.113.77 to 10.0.1.9")]);
        assert_eq!(drawn(30, &s, true), "from *.*.*.77 to *.*.*.9      ");
        assert_eq!(drawn(9, &s, true), "from *.*\u{2026}");
    }
}
