//! Security paths: every leg of the request path with its stages, the rule
//! that decides at each, and what could not be seen. Blocked legs first.

use super::frame::{self, Chrome, Fresh};
use super::list::{Key, ListView, Listing, key};
use super::paint::{Ctx, KEEP, Seg, Spread};
use super::wrap::wrap;
use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::state::{Mark, State};
use crate::console::theme::Role;
use crate::diagnosis::path::{Decision, Leg, Stage, Unseen, Verdict};
use crate::situation::Situation;
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Network configuration is asked every 60 seconds; after this many it is stale.
pub const STALE_S: u64 = 180;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct PathsView {
    list: ListView,
}

/// How a verdict is to be taken.
pub fn mark_of(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Open => Mark::Good,
        Verdict::Partly => Mark::Warn,
        Verdict::Blocked => Mark::Bad,
        Verdict::Unknown => Mark::Unknown,
        Verdict::NotApplicable => Mark::Info,
    }
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Blocked => 0,
        Verdict::Partly => 1,
        Verdict::Unknown => 2,
        Verdict::Open => 3,
        Verdict::NotApplicable => 4,
    }
}

fn decision(d: Decision) -> (Mark, &'static str) {
    match d {
        Decision::Allow => (Mark::Good, "allowed"),
        Decision::Deny => (Mark::Bad, "denied"),
        Decision::Partial => (Mark::Warn, "partly"),
        Decision::Unknown => (Mark::Unknown, "unknown"),
        Decision::NotApplicable => (Mark::Info, "not on path"),
    }
}

enum Item<'a> {
    Leg(&'a Leg, bool),
    Stage(&'a Leg, &'a Stage),
    Unseen(&'a Leg, &'a Unseen),
}

/// The rows of the pane.
struct Legs<'a> {
    items: Vec<Item<'a>>,
    at: Timestamp,
}

impl<'a> Legs<'a> {
    fn new(legs: &'a [Leg], list: &ListView, at: Timestamp) -> Legs<'a> {
        let mut order: Vec<&Leg> = legs.iter().collect();
        order.sort_by_key(|l| rank(l.verdict));
        let only = order.len() == 1;
        let mut items = Vec::new();
        for leg in order {
            let stopped = matches!(leg.verdict, Verdict::Blocked | Verdict::Partly);
            let open = list.fold(leg_key(leg)).unwrap_or(stopped || only);
            items.push(Item::Leg(leg, open));
            if open {
                let stages = leg.report.forward.iter().chain(&leg.report.back);
                items.extend(stages.map(|s| Item::Stage(leg, s)));
                items.extend(leg.report.unknown.iter().map(|u| Item::Unseen(leg, u)));
            }
        }
        Legs { items, at }
    }
}

fn leg_key(l: &Leg) -> Key {
    key((
        l.kind.word(),
        l.to.as_str(),
        l.port,
        l.group.as_ref().map(SafeText::as_str),
        l.targets.first().map(|t| (t.id.as_str(), t.port)),
        l.zones.first().map(SafeText::as_str),
    ))
}

fn whither(l: &Leg) -> String {
    let port = l.port.map_or(String::new(), |p| format!(":{p}"));
    format!("{}{port}", l.to)
}

fn concerns(l: &Leg) -> String {
    match l.targets.len() {
        0 if l.zones.is_empty() => String::new(),
        0 => say::plural(l.zones.len(), "zone", "zones"),
        n => say::plural(n, "target", "targets"),
    }
}

impl Listing for Legs<'_> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn key(&self, i: usize) -> Key {
        match &self.items[i] {
            Item::Leg(l, _) => leg_key(l),
            Item::Stage(l, s) => key((leg_key(l), s.stage.id(), s.id.as_str())),
            Item::Unseen(l, u) => key((leg_key(l), u.stage.id(), u.what.as_str())),
        }
    }

    fn level(&self, i: usize) -> u8 {
        u8::from(!matches!(self.items[i], Item::Leg(..)))
    }

    fn lines(&self, ctx: &Ctx<'_>, i: usize, width: u16) -> Vec<Spread<'_>> {
        match &self.items[i] {
            Item::Leg(l, open) => leg_lines(ctx, l, *open, width),
            Item::Stage(_, s) => {
                let (mark, word) = decision(s.decision);
                let quiet = mark == Mark::Info;
                let role = if quiet { Role::Dim } else { Ctx::role(mark) };
                let body = if quiet { Role::Dim } else { Role::Text };
                let mut segs = vec![
                    Seg::new(role, ctx.sign(mark)).rank(KEEP).min(1),
                    Seg::new(body, format!("{:<13}", s.stage.words())).rank(8).min(13),
                ];
                if quiet {
                    segs.push(Seg::new(Role::Dim, word).whole());
                    return vec![Spread::new(2, segs)];
                }
                segs.push(Seg::new(role, word).rank(7).whole());
                segs.push(Seg::new(Role::Dim, s.id.to_string()).rank(4).min(10).middle());
                let rule = if s.rule.bytes().all(|b| b.is_ascii_digit()) && !s.rule.is_empty() {
                    format!("#{}", s.rule)
                } else {
                    s.rule.to_string()
                };
                segs.push(Seg::new(body, rule).rank(6).min(4));
                vec![Spread::new(2, segs)]
            }
            Item::Unseen(_, u) => {
                let text = format!("{}: {}", u.what, u.reason.phrase());
                let columns = usize::from(width).saturating_sub(4);
                let mut out = Vec::new();
                for (n, part) in wrap(&text, columns, 3, ctx.glyphs.ellipsis).into_iter().enumerate() {
                    let mut segs = Vec::new();
                    if n == 0 {
                        segs.push(ctx.mark(Mark::Unknown));
                    }
                    segs.push(Seg::new(Role::Unknown, part));
                    out.push(Spread::new(if n == 0 { 2 } else { 4 }, segs));
                }
                out
            }
        }
    }

    fn row(&self, i: usize) -> Row {
        let text = match &self.items[i] {
            Item::Leg(l, _) => {
                format!("{} to {} ({}): {}: {}", l.from, whither(l), l.kind.word(), l.verdict.word(), l.why())
            }
            Item::Stage(l, s) => format!(
                "{} to {}: {} {} {} {}: {}",
                l.from,
                whither(l),
                s.stage.words(),
                s.id,
                s.rule,
                decision(s.decision).1,
                s.why
            ),
            Item::Unseen(l, u) => {
                format!("{} to {}: not seen: {}: {}", l.from, whither(l), u.what, u.reason.phrase())
            }
        };
        Row { at: self.at, source: "path evaluation".into(), text: text.into() }
    }

    fn detail(&self, i: usize) -> Option<Detail> {
        let leg = match &self.items[i] {
            // What is closed opens first.
            Item::Leg(_, false) => return None,
            Item::Leg(l, _) | Item::Stage(l, _) | Item::Unseen(l, _) => l,
        };
        let mut d = detail::Builder::new(format!("{} to {}", leg.from, whither(leg)));
        d.pair("verdict", leg.verdict.word()).pair("why", &leg.why()).pair("carries", leg.kind.word());
        if let Some(share) = leg.report.partial {
            d.pair("gets through", &say::percent(share));
        }
        let join = |list: &[String]| list.join(", ");
        d.pair("zones", &join(&leg.zones.iter().map(SafeText::to_string).collect::<Vec<_>>()));
        let targets: Vec<String> = leg
            .targets
            .iter()
            .map(|t| t.port.map_or_else(|| t.id.to_string(), |p| format!("{}:{p}", t.id)))
            .collect();
        d.pair("targets", &join(&targets));
        for (title, stages) in [("there", &leg.report.forward), ("back", &leg.report.back)] {
            d.heading(title);
            for s in stages {
                d.pair(
                    s.stage.words(),
                    &format!("{}: {} {} - {}", decision(s.decision).1, s.id, s.rule, s.why),
                );
            }
        }
        if !leg.report.unknown.is_empty() {
            d.heading("not seen");
            for u in &leg.report.unknown {
                d.pair(u.stage.words(), &format!("{}: {}", u.what, u.reason.phrase()));
            }
        }
        Some(d.done())
    }

    fn unfolded(&self, i: usize) -> Option<bool> {
        match &self.items[i] {
            Item::Leg(_, open) => Some(*open),
            _ => None,
        }
    }
}

fn leg_lines(ctx: &Ctx<'_>, l: &Leg, open: bool, width: u16) -> Vec<Spread<'static>> {
    let mark = mark_of(l.verdict);
    let role = Ctx::role(mark);
    let mut first = vec![
        ctx.mark(mark),
        Seg::new(role, l.verdict.word()).rank(8).whole(),
        Seg::new(Role::Dim, l.from.to_string()).rank(4).min(4),
        Seg::new(Role::Dim, ctx.glyphs.arrow).rank(4).whole(),
        Seg::new(Role::Strong, whither(l)).rank(7).min(6),
    ];
    if l.verdict == Verdict::Partly
        && let Some(share) = l.report.partial
    {
        first.push(Seg::new(role, format!("{} passes", say::percent(share))).rank(5).whole());
    }
    let fold = if open { ctx.glyphs.open } else { ctx.glyphs.closed };
    let right = vec![Seg::new(Role::Dim, concerns(l)).rank(3).whole(), Seg::new(Role::Dim, fold).extra()];
    let mut out = vec![Spread::new(0, first).right(right)];
    // What is open needs no reason; all else says why, right below.
    if l.verdict != Verdict::Open {
        let why = l.why();
        let body = match mark {
            Mark::Bad => Role::Strong,
            Mark::Warn => Role::Text,
            _ => Role::Dim,
        };
        let columns = usize::from(width).saturating_sub(2);
        for part in wrap(&why, columns, 3, ctx.glyphs.ellipsis) {
            out.push(Spread::new(2, vec![Seg::new(body, part)]));
        }
    }
    out
}

/// Age and gaps of everything paths are made from.
fn fresh(s: &Situation) -> Fresh<'_> {
    let mut fresh = Fresh::default();
    if let Some(lb) = s.lb() {
        fresh = fresh.with(&lb.listeners).with(&lb.interfaces);
    }
    let vpc = s.load_balancer().map(|lb| &lb.vpc);
    if let Some(v) = vpc.and_then(|id| s.vpcs.get(id)) {
        fresh = fresh.with(&v.subnets).with(&v.security_groups).with(&v.network_acls).with(&v.route_tables);
    }
    fresh
}

/// Draws the pane.
pub fn draw(state: &State, view: &PathsView, area: Rect, kind: FrameKind, focused: bool, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    let s = state.shown();
    let legs = &state.derived.legs;
    let list = Legs::new(legs, &view.list, s.at.unwrap_or(ctx.now));
    let inside = crate::console::layout::inner(area, kind);
    let window = view.list.window(ctx, &list, inside);
    let count = |v: Verdict| legs.iter().filter(|l| l.verdict == v).count();
    let mut facts = Vec::new();
    for verdict in [Verdict::Blocked, Verdict::Partly, Verdict::Unknown] {
        let n = count(verdict);
        if n > 0 {
            let role = Ctx::role(mark_of(verdict));
            let words = format!("{} {n} {}", ctx.sign(mark_of(verdict)), verdict.word());
            let fact = Seg::new(role, words);
            facts.push(if verdict == Verdict::Unknown { fact.extra() } else { fact.rank(6).whole() });
        }
    }
    if facts.is_empty() && !legs.is_empty() {
        facts.push(Seg::new(Role::Good, format!("{} all open", ctx.glyphs.good)).rank(6).whole());
    }
    let chrome = Chrome {
        title: "Security paths",
        facts,
        status: fresh(s).status(ctx, STALE_S),
        foot: window.foot(ctx, view.list.filter.as_ref()),
        place: window.place(),
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if legs.is_empty() {
        super::explain(ctx, buf, inside, &super::nothing_yet(state, None, "no leg to evaluate"));
    }
    window.draw(ctx, buf, inside, focused, &view.list);
}

impl PathsView {
    fn legs<'a>(&self, state: &'a State) -> Legs<'a> {
        Legs::new(&state.derived.legs, &self.list, state.shown().at.unwrap_or(state.now))
    }
}

impl PaneView for PathsView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        let legs = self.legs(state);
        self.list.handle(action, &Ctx::of(state), &legs, area)
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let legs = self.legs(state);
        self.list.selected(&legs).map(|i| legs.row(i))
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let legs = self.legs(state);
        self.list.selected(&legs).and_then(|i| legs.detail(i)).map(|d| detail::masked(state, d))
    }

    fn seek(&mut self, what: &str, area: Rect, state: &State) {
        let list = self.legs(state);
        self.list.seek(what, &Ctx::of(state), &list, area);
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.list.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.list.filter.as_ref()
    }
}
