//! The names of all panes, where only one of them is shown.

use super::paint::{Ctx, clear, clip, put};
use crate::console::state::{Mark, PaneId, State};
use crate::console::theme::Role;
use crate::diagnosis::hops::HopKind;
use crate::text::width;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

fn name(id: PaneId) -> &'static str {
    match id {
        PaneId::Health => "Health",
        PaneId::Logs => "Logs",
        PaneId::Paths => "Paths",
        PaneId::Timeouts => "Timeouts",
        PaneId::Diagnosis => "Diagnosis",
        PaneId::Procedure => "Procedure",
        PaneId::Timeline => "Timeline",
        PaneId::Metrics => "Metrics",
    }
}

/// The worst of what a pane holds, where that is something to go and see.
fn trouble(state: &State, id: PaneId) -> Option<Mark> {
    let d = &state.derived;
    let worst = |marks: &mut dyn Iterator<Item = Mark>| {
        marks.max_by_key(|m| super::worse(*m)).filter(|m| matches!(m, Mark::Bad | Mark::Warn))
    };
    match id {
        PaneId::Health => {
            let groups = d.hops.iter().filter(|h| h.kind == HopKind::TargetGroup);
            worst(&mut groups.map(|h| super::strip::mark_of(h.status)))
        }
        PaneId::Paths => worst(&mut d.legs.iter().map(|l| super::paths::mark_of(l.verdict))),
        PaneId::Timeouts => worst(&mut d.timeouts.rules.iter().map(|r| super::timeouts::mark_of(r.standing))),
        PaneId::Metrics => d.onset.as_ref().filter(|o| o.until.is_none()).map(|_| Mark::Bad),
        PaneId::Procedure => worst(&mut state.steps.iter().map(|s| super::procedure::standing(s).0)),
        PaneId::Diagnosis => {
            let named = d.diagnosis.verdicts.iter().filter(|v| v.standing.names_it());
            worst(&mut named.map(|v| super::diagnosis::mark_of(v.standing)))
        }
        // These are to be read.
        PaneId::Logs | PaneId::Timeline => None,
    }
}

/// Draws the tabs. Where not all fit, the ones around the active one are
/// shown, with a mark on the side where there are more.
pub fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    clear(ctx, buf, area);
    let area = clip(buf, area);
    if area.is_empty() {
        return;
    }
    let all = PaneId::ALL;
    let here = all.iter().position(|id| *id == state.focus).unwrap_or(0);
    let marks: Vec<Option<Mark>> = all.iter().map(|id| trouble(state, *id)).collect();
    let wide = |i: usize| width(name(all[i])) + 1 + usize::from(marks[i].is_some()) * 2;
    let room = usize::from(area.width);
    let (mut from, mut to) = (here, here + 1);
    let mut used = wide(here);
    // Two columns are kept for the marks.
    loop {
        let marks = usize::from(from > 0) * 2 + usize::from(to < all.len()) * 2;
        if to < all.len() && used + wide(to) + marks <= room {
            used += wide(to);
            to += 1;
        } else if from > 0 && used + wide(from - 1) + marks <= room {
            from -= 1;
            used += wide(from);
        } else {
            break;
        }
    }
    let mut x = area.x;
    let end = area.right();
    let mut write = |x: &mut u16, text: &str, role: Role| {
        *x += put(ctx, buf, *x, area.y, text, end.saturating_sub(*x), role);
    };
    if from > 0 {
        write(&mut x, ctx.glyphs.back, Role::Dim);
    }
    for (i, id) in all.iter().enumerate().take(to).skip(from) {
        write(&mut x, " ", Role::Dim);
        write(&mut x, name(*id), if i == here { Role::Tab } else { Role::Dim });
        if let Some(mark) = marks[i] {
            write(&mut x, " ", Role::Dim);
            write(&mut x, ctx.sign(mark), Ctx::role(mark));
        }
    }
    if to < all.len() {
        write(&mut x, " ", Role::Dim);
        write(&mut x, ctx.glyphs.arrow, Role::Dim);
    }
}
