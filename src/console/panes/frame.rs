//! The frame of a pane: its name, a word on what it holds, and always the age
//! and state of its data.

use super::paint::{Ctx, KEEP, Seg, Spread, clear, line, put};
use super::say;
use crate::console::layout::{FrameKind, inner};
use crate::console::theme::Role;
use crate::situation::{Datum, Gap, Reason};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::borrow::Cow;

/// What stands on a frame.
#[derive(Clone, Debug, Default)]
pub struct Chrome<'a> {
    pub title: &'a str,
    /// Behind the title: what the pane holds, in a word or two.
    pub facts: Vec<Seg<'a>>,
    /// At the right: state and age of the data.
    pub status: Vec<Seg<'a>>,
    /// Below at the left: filter, hidden rows, modes.
    pub foot: Vec<Seg<'a>>,
    /// Below at the right: where in the list we are.
    pub place: Vec<Seg<'a>>,
    pub focused: bool,
}

/// Draws the frame with an empty inside and returns the inside.
pub fn draw(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, kind: FrameKind, chrome: Chrome<'_>) -> Rect {
    clear(ctx, buf, area);
    if area.is_empty() || kind == FrameKind::Bare {
        return inner(area, kind);
    }
    let (lines, role) = if chrome.focused {
        (ctx.glyphs.frame_focus, Role::BorderFocus)
    } else {
        (ctx.glyphs.frame, Role::Border)
    };
    let mut horizontal = |y: u16, ends: Option<(&str, &str)>| {
        for x in area.left()..area.right() {
            put(ctx, buf, x, y, lines.horizontal, 1, role);
        }
        if let Some((left, right)) = ends {
            put(ctx, buf, area.x, y, left, 1, role);
            put(ctx, buf, area.right() - 1, y, right, 1, role);
        }
    };
    match kind {
        FrameKind::Ruled => horizontal(area.y, None),
        _ => {
            horizontal(area.y, Some((lines.top_left, lines.top_right)));
            if area.height > 1 {
                horizontal(area.bottom() - 1, Some((lines.bottom_left, lines.bottom_right)));
            }
            for y in area.top() + 1..area.bottom().saturating_sub(1) {
                put(ctx, buf, area.x, y, lines.vertical, 1, role);
                put(ctx, buf, area.right() - 1, y, lines.vertical, 1, role);
            }
        }
    }
    let title_role = if chrome.focused { Role::TitleFocus } else { Role::Title };
    let mut left = vec![Seg::new(title_role, chrome.title).rank(KEEP).min(4)];
    left.extend(chrome.facts);
    let mut right = chrome.status;
    if kind == FrameKind::Ruled {
        left.extend(chrome.foot);
        right.splice(0..0, chrome.place);
        titled(ctx, buf, Rect { height: 1, ..area }, left, right);
    } else {
        titled(ctx, buf, Rect { height: 1, ..area }, left, right);
        if area.height > 1 && (!chrome.foot.is_empty() || !chrome.place.is_empty()) {
            let below = Rect { y: area.bottom() - 1, height: 1, ..area };
            titled(ctx, buf, below, chrome.foot, chrome.place);
        }
    }
    inner(area, kind)
}

/// Writes onto a border: words set off by blanks, the border showing between.
fn titled<'a>(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, left: Vec<Seg<'a>>, right: Vec<Seg<'a>>) {
    // A corner and one piece of line stay on each side.
    let room = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    if room.width < 3 {
        return;
    }
    let blank = || Seg::new(Role::Text, " ").rank(KEEP).whole();
    let pad = |mut segs: Vec<Seg<'a>>| {
        if !segs.is_empty() {
            let first = &mut segs[0];
            first.glue = true;
            segs.insert(0, blank());
            segs.push(blank().glue());
        }
        segs
    };
    let (left, right) = (pad(left), pad(right));
    // What fits is found first on an empty line, then laid over the border.
    let whole = Rect { x: 0, y: 0, width: room.width, height: 1 };
    let mut scratch = Buffer::empty(whole);
    clear(ctx, &mut scratch, whole);
    line(ctx, &mut scratch, whole, &Spread { indent: 0, left, right });
    let written = spans(&scratch);
    for (from, to) in written {
        for x in from..to {
            let (sx, sy) = (room.x + x, room.y);
            if buf.area.contains((sx, sy).into()) {
                buf[(sx, sy)] = scratch[(x, 0)].clone();
            }
        }
    }
}

/// Runs of cells of a drawn title that hold words, with one blank around.
/// Longer runs of blanks are the place where the border shows.
fn spans(buf: &Buffer) -> Vec<(u16, u16)> {
    let width = buf.area.width;
    let blank = |x: u16| buf[(x, 0)].symbol() == " ";
    let mut out = Vec::new();
    let mut x = 0;
    while x < width {
        if blank(x) {
            x += 1;
            continue;
        }
        let from = x;
        let mut last = x;
        while x < width && (!blank(x) || (x + 1 < width && !blank(x + 1))) {
            if !blank(x) {
                last = x;
            }
            x += 1;
        }
        // The cell behind a wide character is part of it.
        let wide = crate::text::width(buf[(last, 0)].symbol()) > 1;
        let to = last + 1 + u16::from(wide);
        out.push((from.saturating_sub(1), (to + 1).min(width)));
    }
    out
}

/// How fresh what a pane shows is: the oldest answer, and what failed.
#[derive(Clone, Debug, Default)]
pub struct Fresh<'a> {
    oldest: Option<Timestamp>,
    gaps: Vec<&'a Gap>,
    unasked: usize,
}

impl<'a> Fresh<'a> {
    /// Takes a datum in.
    pub fn with<T>(mut self, datum: &'a Datum<T>) -> Fresh<'a> {
        match (datum.as_of(), datum.gap()) {
            (Some(at), _) => self.oldest = Some(self.oldest.map_or(at, |o| o.min(at))),
            (None, None) => self.unasked += 1,
            (None, Some(_)) => {}
        }
        self.gaps.extend(datum.gap());
        self
    }

    /// The age of the oldest answer in seconds.
    pub fn seconds(&self, now: Timestamp) -> Option<u64> {
        self.oldest.map(|t| say::seconds_since(t, now))
    }

    /// State, then age. `limit` is the age in seconds from which data is stale.
    pub fn status(&self, ctx: &Ctx<'_>, limit: u64) -> Vec<Seg<'static>> {
        let age = self.seconds(ctx.now);
        let limit = limit.saturating_add(ctx.slack);
        let mut out = Vec::new();
        if let Some(worst) = self.gaps.iter().max_by_key(|g| weight(&g.reason)) {
            let (role, sign) = if weight(&worst.reason) >= 5 {
                (Role::Bad, ctx.glyphs.bad)
            } else {
                (Role::Warn, ctx.glyphs.warn)
            };
            out.push(Seg::new(role, format!("{sign} {}", title_words(ctx, &worst.reason))).rank(8).min(8));
            let same = self.gaps.iter().filter(|g| g.reason != worst.reason).count();
            if same > 0 {
                out.push(Seg::new(Role::Dim, format!("+{same}")).rank(5).whole());
            }
        } else if let Some(old) = age.filter(|a| *a >= limit) {
            out.push(
                Seg::new(Role::Warn, format!("{} stale {}", ctx.glyphs.warn, say::age(old))).rank(8).whole(),
            );
            return out;
        } else if age.is_none() {
            out.push(Seg::new(Role::Unknown, format!("{} not asked yet", ctx.glyphs.unknown)).rank(8).min(8));
            return out;
        }
        if let Some(old) = age {
            // Beside a reason the age alone says enough.
            let role = if old >= limit { Role::Warn } else { Role::Dim };
            out.push(Seg::new(role, say::age(old)).rank(8).whole());
        }
        out
    }
}

/// How much a reason matters in a title.
fn weight(reason: &Reason) -> u8 {
    match reason {
        Reason::Credentials { .. } => 7,
        Reason::Offline { .. } => 6,
        Reason::TimedOut { .. } | Reason::Failed { .. } | Reason::Malformed { .. } => 4,
        Reason::Denied { .. } => 3,
        Reason::NotFound { .. } => 3,
        Reason::Throttled { .. } => 2,
        Reason::NeedsMeasuring { .. } | Reason::NotApplicable { .. } | Reason::NotAsked => 1,
    }
}

/// A reason as short as a title wants it.
pub fn title_words(ctx: &Ctx<'_>, reason: &Reason) -> Cow<'static, str> {
    match reason {
        // The service is said inside the pane, where there is room for it.
        Reason::Denied { action } => {
            format!("denied: {}", action.split_once(':').map_or(action.as_str(), |(_, a)| a)).into()
        }
        Reason::Throttled { until } => format!("throttled until {}", say::clock(*until, ctx.now)).into(),
        Reason::Credentials { detail } if detail.to_ascii_lowercase().contains("expire") => {
            "credentials expired".into()
        }
        Reason::Credentials { .. } => "no valid credentials".into(),
        Reason::Offline { .. } => "offline".into(),
        Reason::TimedOut { .. } => "timed out".into(),
        Reason::Malformed { .. } => "unreadable answer".into(),
        Reason::Failed { code, .. } => format!("failed: {code}").into(),
        Reason::NotFound { .. } => "not found".into(),
        Reason::NotApplicable { .. } => "n/a".into(),
        Reason::NotAsked => "not asked yet".into(),
        Reason::NeedsMeasuring { .. } => "not measured".into(),
    }
}
