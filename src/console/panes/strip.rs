//! The path strip: every hop of the request path on one line. What is broken
//! keeps its words longest; what is fine gives way first, and leaves a mark.

use super::paint::{Ctx, put};
use crate::console::state::{Mark, State};
use crate::console::theme::Role;
use crate::diagnosis::hops::{Hop, HopKind, Status};
use crate::text::width;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// How a status is to be taken.
pub fn mark_of(status: Status) -> Mark {
    match status {
        Status::Ok => Mark::Good,
        Status::Warn => Mark::Warn,
        Status::Bad => Mark::Bad,
        Status::Unknown => Mark::Unknown,
    }
}

/// How much of a hop is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Show {
    Nothing,
    /// Kind and sign.
    Sign,
    /// Kind, name and sign.
    Name,
    /// And its word.
    Word,
}

type Words = Vec<(Role, String)>;

fn words(ctx: &Ctx<'_>, hop: &Hop, show: Show) -> Words {
    let mark = mark_of(hop.status);
    let role = Ctx::role(mark);
    let kind = match hop.kind {
        // A port or an address speaks for itself.
        HopKind::Listener | HopKind::Target if show >= Show::Name => "",
        k => k.word(),
    };
    let name = ctx.masked(&hop.name).into_owned();
    let mut out: Words = Vec::new();
    if show == Show::Nothing {
        return out;
    }
    if !kind.is_empty() {
        out.push((Role::Dim, kind.to_owned()));
    }
    let named = show >= Show::Name && !name.is_empty() && name != kind && hop.kind != HopKind::Dns;
    if named {
        let limit = if hop.status == Status::Ok { 16 } else { 26 };
        let name = super::say::middle(&name, limit, ctx.glyphs.ellipsis).into_owned();
        let name = crate::text::truncate_with(&name, limit, ctx.glyphs.ellipsis).into_owned();
        out.push((Role::Text, name));
    }
    out.push((role, ctx.sign(mark).to_owned()));
    if show == Show::Word {
        out.push((role, ctx.masked(&hop.word).into_owned()));
    }
    out
}

fn columns(words: &Words) -> usize {
    words.iter().map(|w| width(&w.1) + 1).sum::<usize>().saturating_sub(1)
}

/// What gives way first: the lower the sooner.
fn weight(hop: &Hop) -> u8 {
    let status = match hop.status {
        Status::Bad => 30,
        Status::Warn => 20,
        Status::Ok => 0,
        Status::Unknown => 2,
    };
    // Where the fault of a 502 mostly shows.
    let kind = match hop.kind {
        HopKind::Alb | HopKind::Nlb | HopKind::Clb => 6,
        HopKind::CloudFront | HopKind::ApiGateway | HopKind::Lambda => 5,
        HopKind::TargetGroup => 5,
        HopKind::Target => 4,
        HopKind::Listener => 3,
        HopKind::Dns | HopKind::Waf => 2,
        // Hardly ever known from here.
        HopKind::Client | HopKind::Dependency => 0,
    };
    status + kind
}

/// Chooses how much of each hop is shown in so many columns.
fn choose(ctx: &Ctx<'_>, hops: &[Hop], room: usize) -> Vec<Show> {
    let link = width(ctx.glyphs.link) + 2;
    let mut show: Vec<Show> = hops
        .iter()
        .map(|h| match h.status {
            // "ok" says nothing a sign does not say, but for a count.
            Status::Ok if h.kind != HopKind::TargetGroup => Show::Name,
            _ => Show::Word,
        })
        .collect();
    let need = |show: &[Show]| {
        let mut sum = 0;
        let mut pieces = 0usize;
        let mut gap = false;
        for (h, s) in hops.iter().zip(show) {
            if *s == Show::Nothing {
                // Neighbours left out share one mark.
                if !gap {
                    (sum, pieces) = (sum + 1, pieces + 1);
                }
                gap = true;
            } else {
                (sum, pieces) = (sum + columns(&words(ctx, h, *s)), pieces + 1);
                gap = false;
            }
        }
        sum + link * pieces.saturating_sub(1)
    };
    while need(&show) > room {
        // The words of all hops go before any hop goes.
        let candidate = (0..hops.len())
            .filter(|i| show[*i] > Show::Nothing)
            .min_by_key(|i| (weight(&hops[*i]) / 10, show[*i] == Show::Sign, weight(&hops[*i])));
        let Some(i) = candidate else { break };
        show[i] = match show[i] {
            Show::Word => Show::Name,
            Show::Name => Show::Sign,
            _ => Show::Nothing,
        };
    }
    show
}

/// Draws the strip.
pub fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    super::paint::clear(ctx, buf, area);
    let area = super::paint::clip(buf, area);
    if area.width < 4 || area.height == 0 {
        return;
    }
    let hops = &state.derived.hops;
    let mut x = area.x + 1;
    let end = area.right();
    let mut write = |x: &mut u16, text: &str, role: Role| {
        *x += put(ctx, buf, *x, area.y, text, end.saturating_sub(*x), role);
    };
    if hops.is_empty() {
        write(&mut x, ctx.glyphs.unknown, Role::Unknown);
        write(&mut x, " path not known yet", Role::Unknown);
        return;
    }
    let show = choose(ctx, hops, usize::from(area.width) - 1);
    let mut gap = false;
    let mut first = true;
    for (hop, s) in hops.iter().zip(show) {
        let pieces = if s == Show::Nothing {
            if gap {
                continue;
            }
            vec![(Role::Dim, ctx.glyphs.ellipsis.to_owned())]
        } else {
            words(ctx, hop, s)
        };
        gap = s == Show::Nothing;
        if !first {
            write(&mut x, " ", Role::Text);
            write(&mut x, ctx.glyphs.link, Role::Border);
            write(&mut x, " ", Role::Text);
        }
        first = false;
        for (n, (role, text)) in pieces.iter().enumerate() {
            if n > 0 {
                write(&mut x, " ", Role::Text);
            }
            write(&mut x, text, *role);
        }
    }
}
