//! Timeout chain: first the order rules that are violated or at risk, with
//! both numbers; then every timer along the path with its value and source,
//! unknown ones with how to learn them; then the rules that hold or are open.

use super::frame::{self, Chrome, Fresh};
use super::list::{Key, ListView, Listing, key};
use super::paint::{Ctx, KEEP, Seg, Spread};
use super::paths::STALE_S;
use super::wrap::wrap;
use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::state::{Mark, State};
use crate::console::theme::Role;
use crate::diagnosis::timeouts::{Chain, Entry, Kind, Rule, Source, Standing, Term, Value};
use crate::situation::{Reason, Situation};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct TimeoutsView {
    list: ListView,
}

/// How a rule is to be taken.
pub fn mark_of(standing: Standing) -> Mark {
    match standing {
        Standing::Violated => Mark::Bad,
        Standing::AtRisk => Mark::Warn,
        Standing::Unknown => Mark::Unknown,
        Standing::Holds => Mark::Good,
        Standing::NotApplicable => Mark::Info,
    }
}

enum Item<'a> {
    /// A rule in full: what must hold and does not.
    Broken(&'a Rule),
    Entry(&'a Entry, Mark),
    /// Health check and warm-up timers of one group, told as a number.
    Health {
        group: &'a str,
        count: usize,
        open: bool,
    },
    /// The other rules, told as numbers.
    Others {
        holds: usize,
        open_ones: usize,
        open: bool,
    },
    Rule(&'a Rule),
}

struct Timers<'a> {
    items: Vec<Item<'a>>,
    at: Timestamp,
}

fn broken(r: &Rule) -> bool {
    matches!(r.standing, Standing::Violated | Standing::AtRisk)
}

/// The worst standing of a broken rule that compares this timer.
fn involved(chain: &Chain, e: &Entry) -> Mark {
    let Some(seconds) = e.value.seconds() else {
        return if matches!(e.value, Value::Unknown(Reason::NotApplicable { .. })) {
            Mark::Info
        } else {
            Mark::Unknown
        };
    };
    let is = |t: &Term| t.seconds == Some(seconds) && t.label.ends_with(e.label.as_str());
    chain
        .rules
        .iter()
        .filter(|r| broken(r) && (e.group.is_empty() || r.group.is_empty() || r.group == e.group))
        .filter(|r| is(&r.left) || is(&r.right))
        .map(|r| mark_of(r.standing))
        .max_by_key(|m| super::worse(*m))
        .unwrap_or(Mark::Info)
}

impl<'a> Timers<'a> {
    fn new(chain: &'a Chain, list: &ListView, at: Timestamp) -> Timers<'a> {
        let mut items: Vec<Item<'a>> = chain.rules.iter().filter(|r| broken(r)).map(Item::Broken).collect();
        let mut last_health: Option<&str> = None;
        for e in &chain.entries {
            let mark = involved(chain, e);
            // Health timing matters here only where a rule is broken.
            if e.kind == Kind::H && !matches!(mark, Mark::Bad | Mark::Warn) {
                let group = e.group.as_str();
                let open = list.fold(key(("health", group))).unwrap_or(false);
                if last_health != Some(group) {
                    last_health = Some(group);
                    let same = |x: &&Entry| x.kind == Kind::H && x.group == e.group;
                    let count = chain.entries.iter().filter(same).count();
                    items.push(Item::Health { group, count, open });
                }
                if !open {
                    continue;
                }
            }
            items.push(Item::Entry(e, mark));
        }
        let count = |s: Standing| chain.rules.iter().filter(|r| r.standing == s).count();
        let (holds, open_ones) = (count(Standing::Holds), count(Standing::Unknown));
        if holds + open_ones > 0 {
            let open = list.fold(key("others")).unwrap_or(false);
            items.push(Item::Others { holds, open_ones, open });
            if open {
                let others =
                    chain.rules.iter().filter(|r| matches!(r.standing, Standing::Holds | Standing::Unknown));
                items.extend(others.map(Item::Rule));
            }
        }
        Timers { items, at }
    }
}

/// `shop idle timeout`: whose timer, and which, without saying it twice.
fn name_of(e: &Entry) -> String {
    if e.label.contains(e.component.as_str()) {
        e.label.to_string()
    } else {
        format!("{} {}", e.component, e.label)
    }
}

fn source_word(v: &Value) -> (Role, &'static str) {
    match v {
        Value::Known { source, .. } => match source {
            Source::Api(_) => (Role::Dim, ""),
            Source::Measured(_) => (Role::Dim, "measured"),
            Source::Configured(_) => (Role::Dim, "configured"),
            Source::Noted(_) => (Role::Dim, "noted"),
            Source::Fixed(_) => (Role::Dim, "fixed"),
            Source::Default(_) => (Role::Dim, "default"),
            Source::Assumed(_) => (Role::Warn, "assumed"),
        },
        Value::Unknown(_) => (Role::Unknown, ""),
    }
}

fn term_line(words: &str, t: &Term, role: Role) -> Spread<'static> {
    let value = t.seconds.map_or_else(|| "?".to_owned(), say::setting);
    let mut left = Vec::new();
    if !words.is_empty() {
        left.push(Seg::new(Role::Text, words.to_owned()).rank(KEEP).whole());
    }
    left.push(Seg::new(Role::Text, t.label.to_string()).rank(7).min(8));
    Spread::new(2, left).right(vec![Seg::new(role, value).rank(KEEP).whole()])
}

fn rule_text(r: &Rule) -> String {
    let mut out = format!("{:?} {}: {}", r.id, r.standing.word(), r.text);
    if r.text.is_empty() {
        out = format!("{:?} {}: {}", r.id, r.standing.word(), r.why);
    }
    out
}

fn rule_detail(r: &Rule) -> Detail {
    let mut d = detail::Builder::new(format!("{:?} {} {}", r.id, r.name, r.standing.word()));
    d.pair("must hold", &r.text);
    let side = |t: &Term| match t.seconds {
        Some(s) => format!("{} = {} ({})", t.label, say::setting(s), t.source),
        None if t.label.is_empty() => String::new(),
        None => format!("{} = not known", t.label),
    };
    d.pair("left", &side(&r.left)).pair("right", &side(&r.right));
    d.pair("why", &r.why).pair("symptom", &r.symptom);
    if let Some(m) = &r.missing {
        d.pair("missing", &m.phrase());
    }
    d.done()
}

impl Listing for Timers<'_> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn key(&self, i: usize) -> Key {
        match &self.items[i] {
            Item::Broken(r) | Item::Rule(r) => {
                key(("rule", r.id, r.group.as_str(), r.left.label.as_str(), r.right.label.as_str()))
            }
            Item::Entry(e, _) => key(("timer", e.group.as_str(), e.component.as_str(), e.setting.as_str())),
            Item::Health { group, .. } => key(("health", *group)),
            Item::Others { .. } => key("others"),
        }
    }

    fn level(&self, i: usize) -> u8 {
        match &self.items[i] {
            Item::Rule(_) => 1,
            Item::Entry(e, m) => u8::from(e.kind == Kind::H && !matches!(m, Mark::Bad | Mark::Warn)),
            _ => 0,
        }
    }

    fn lines(&self, ctx: &Ctx<'_>, i: usize, width: u16) -> Vec<Spread<'_>> {
        match &self.items[i] {
            Item::Broken(r) => {
                let mark = mark_of(r.standing);
                let role = Ctx::role(mark);
                let head = vec![
                    ctx.mark(mark),
                    Seg::new(role, format!("{:?} {}", r.id, r.standing.word())).rank(8).whole(),
                ];
                let right = vec![Seg::new(Role::Dim, r.name.to_string()).rank(3).min(4)];
                let must = format!("must be {}", r.relation);
                vec![
                    Spread::new(0, head).right(right),
                    term_line("", &r.left, role),
                    term_line(&must, &r.right, Role::Strong),
                ]
            }
            Item::Entry(e, mark) => {
                let known = e.value.seconds().is_some();
                let (sign_role, sign) = match mark {
                    Mark::Info => (Role::Dim, " "),
                    m => (Ctx::role(*m), ctx.sign(*m)),
                };
                let role = if known { Role::Text } else { Role::Unknown };
                let indent = u16::from(self.level(i));
                let left = vec![
                    Seg::new(sign_role, sign).rank(KEEP).min(1),
                    Seg::new(role, name_of(e)).rank(7).min(8),
                ];
                let (word_role, word) = source_word(&e.value);
                let value_role = match mark {
                    Mark::Bad | Mark::Warn => Ctx::role(*mark),
                    _ if known => Role::Strong,
                    _ => Role::Unknown,
                };
                let right = vec![
                    Seg::new(word_role, word).rank(2).whole(),
                    Seg::new(value_role, e.value.words()).rank(KEEP).whole(),
                ];
                let mut out = vec![Spread::new(indent, left).right(right)];
                if let Value::Unknown(reason) = &e.value {
                    // How to learn it is a line to read in full with Enter; why
                    // it was not told must be readable at once.
                    let (how, rows) = match reason {
                        Reason::NeedsMeasuring { how } => (how.to_string(), 1),
                        other => (other.phrase(), 2),
                    };
                    let columns = usize::from(width).saturating_sub(usize::from(2 + indent));
                    let parts =
                        if rows == 1 { vec![how] } else { wrap(&how, columns, rows, ctx.glyphs.ellipsis) };
                    out.extend(
                        parts
                            .into_iter()
                            .map(|p| Spread::new(2 + indent, vec![Seg::new(Role::Dim, p).min(8)])),
                    );
                }
                out
            }
            Item::Health { count, open, .. } => {
                let fold = if *open { ctx.glyphs.open } else { ctx.glyphs.closed };
                let group = match &self.items.get(i + 1) {
                    Some(Item::Entry(e, _)) if *open => e.component.to_string(),
                    _ => String::new(),
                };
                let words =
                    format!("{} of health checks and warm-up", say::plural(*count, "timer", "timers"));
                vec![Spread::new(
                    0,
                    vec![
                        Seg::new(Role::Dim, fold).rank(KEEP).min(1),
                        Seg::new(Role::Dim, group).rank(4).min(4),
                        Seg::new(Role::Dim, words).min(8),
                    ],
                )]
            }
            Item::Others { holds, open_ones, open } => {
                let fold = if *open { ctx.glyphs.open } else { ctx.glyphs.closed };
                let mut segs = vec![Seg::new(Role::Dim, fold).rank(KEEP).min(1)];
                if *holds > 0 {
                    segs.push(Seg::new(Role::Good, ctx.glyphs.good).rank(6).whole());
                    segs.push(Seg::new(Role::Good, say::plural(*holds, "rule holds", "rules hold")).whole());
                }
                if *open_ones > 0 {
                    segs.push(Seg::new(Role::Unknown, ctx.glyphs.unknown).rank(6).whole());
                    segs.push(
                        Seg::new(Role::Unknown, format!("{open_ones} cannot be judged")).rank(7).min(8),
                    );
                }
                vec![Spread::new(0, segs)]
            }
            Item::Rule(r) => {
                let mark = mark_of(r.standing);
                vec![Spread::new(
                    1,
                    vec![
                        ctx.mark(mark),
                        Seg::new(Ctx::role(mark), format!("{:?}", r.id)).rank(8).whole(),
                        Seg::new(
                            Role::Dim,
                            if r.text.is_empty() { r.why.to_string() } else { r.text.to_string() },
                        )
                        .min(8),
                    ],
                )]
            }
        }
    }

    fn row(&self, i: usize) -> Row {
        let (at, text): (Option<Timestamp>, String) = match &self.items[i] {
            Item::Broken(r) | Item::Rule(r) => (None, rule_text(r)),
            Item::Entry(e, _) => {
                let (at, source) = match &e.value {
                    Value::Known { at, source, .. } => (*at, source.words()),
                    Value::Unknown(r) => (None, r.phrase()),
                };
                (at, format!("{}: {} ({source})", name_of(e), e.value.words()))
            }
            Item::Health { count, .. } => (None, format!("{count} health check timers")),
            Item::Others { holds, open_ones, .. } => {
                (None, format!("{holds} rules hold, {open_ones} cannot be judged"))
            }
        };
        Row { at: at.unwrap_or(self.at), source: "timeout chain".into(), text: text.into() }
    }

    fn detail(&self, i: usize) -> Option<Detail> {
        match &self.items[i] {
            Item::Broken(r) | Item::Rule(r) => Some(rule_detail(r)),
            Item::Entry(e, _) => {
                let mut d = detail::Builder::new(name_of(e));
                d.pair("value", &e.value.words()).pair("watches", e.kind.word()).pair("hop", e.hop.word());
                d.pair("setting", &e.setting).pair("of", &e.component);
                match &e.value {
                    Value::Known { source, at, .. } => {
                        d.pair("source", &source.words());
                        d.pair("as of", &at.map_or(String::new(), |t| t.to_string()));
                    }
                    Value::Unknown(Reason::NeedsMeasuring { how }) => {
                        d.pair("how to learn", how);
                    }
                    Value::Unknown(r) => {
                        d.pair("unknown", &r.phrase());
                    }
                }
                Some(d.done())
            }
            _ => None,
        }
    }

    fn unfolded(&self, i: usize) -> Option<bool> {
        match &self.items[i] {
            Item::Health { open, .. } | Item::Others { open, .. } => Some(*open),
            _ => None,
        }
    }
}

fn fresh(s: &Situation) -> Fresh<'_> {
    let mut fresh = Fresh::default();
    if let Some(lb) = s.lb() {
        fresh = fresh.with(&lb.attributes);
    }
    for (_, g) in s.active_groups() {
        fresh = fresh.with(&g.attributes);
    }
    fresh
}

/// Draws the pane.
pub fn draw(
    state: &State,
    view: &TimeoutsView,
    area: Rect,
    kind: FrameKind,
    focused: bool,
    buf: &mut Buffer,
) {
    let ctx = &Ctx::of(state);
    let s = state.shown();
    let chain = &state.derived.timeouts;
    let list = Timers::new(chain, &view.list, s.at.unwrap_or(ctx.now));
    let inside = crate::console::layout::inner(area, kind);
    let window = view.list.window(ctx, &list, inside);
    let mut facts = Vec::new();
    for standing in [Standing::Violated, Standing::AtRisk] {
        let n = chain.rules.iter().filter(|r| r.standing == standing).count();
        if n > 0 {
            let role = Ctx::role(mark_of(standing));
            let words = format!("{} {n} {}", ctx.sign(mark_of(standing)), standing.word());
            facts.push(Seg::new(role, words).rank(6).whole());
        }
    }
    let chrome = Chrome {
        title: "Timeout chain",
        facts,
        status: fresh(s).status(ctx, STALE_S),
        foot: window.foot(ctx, view.list.filter.as_ref()),
        place: window.place(),
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if list.items.is_empty() {
        super::explain(ctx, buf, inside, &super::nothing_yet(state, None, "no timer is known"));
    }
    window.draw(ctx, buf, inside, focused, &view.list);
}

impl TimeoutsView {
    fn timers<'a>(&self, state: &'a State) -> Timers<'a> {
        Timers::new(&state.derived.timeouts, &self.list, state.shown().at.unwrap_or(state.now))
    }
}

impl PaneView for TimeoutsView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        let timers = self.timers(state);
        self.list.handle(action, &Ctx::of(state), &timers, area)
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let timers = self.timers(state);
        self.list.selected(&timers).map(|i| timers.row(i))
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let timers = self.timers(state);
        self.list.selected(&timers).and_then(|i| timers.detail(i)).map(|d| detail::masked(state, d))
    }

    fn seek(&mut self, what: &str, area: Rect, state: &State) {
        let list = self.timers(state);
        self.list.seek(what, &Ctx::of(state), &list, area);
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.list.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.list.filter.as_ref()
    }
}
