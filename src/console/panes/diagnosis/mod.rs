//! Diagnosis: the causes, best first, each with its standing, what was seen for
//! and against it and what to do next; then risks, the facts they were judged
//! by, and what nobody looked at. Where no cause stands, the facts stand alone.

mod verdict;

use super::frame::{self, Chrome};
use super::list::{Key, ListView, Listing, key};
use super::paint::{Ctx, KEEP, Seg, Spread};
use super::wrap::wrap;
use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::state::{Mark, PaneId, State};
use crate::console::theme::Role;
use crate::diagnosis::hops::{Hop, HopKind, Status};
use crate::diagnosis::path::{Leg, LegKind, Verdict};
use crate::diagnosis::series::Onset;
use crate::diagnosis::timeouts::{Rule, Standing};
use crate::diagnosis::verdict::{Next, Risk, Standing as Stands, Verdict as Cause};
use crate::situation::{Gap, Topic};
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use verdict::Says;
pub use verdict::mark as mark_of;

/// Unanswered questions told one by one where nothing else is wrong.
const GAPS_OPEN: usize = 8;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct DiagnosisView {
    list: ListView,
}

enum Item<'a> {
    /// A cause and its place.
    Cause(&'a Cause, usize),
    Risk(&'a Risk),
    /// What the causes were judged by, folded away while one stands.
    Judged {
        facts: usize,
        open: bool,
    },
    /// Causes nobody could look into, or that are ruled out.
    Aside {
        standing: Stands,
        causes: usize,
        open: bool,
    },
    /// One of them.
    Apart(&'a Cause),
    Leg(&'a Leg),
    Rule(&'a Rule),
    Hop(&'a Hop),
    Onset(&'a Onset),
    /// Questions that got no answer.
    Gaps {
        gaps: &'a BTreeMap<Topic, Gap>,
        open: bool,
    },
    Gap(&'a Topic, &'a Gap),
    /// Hops nobody looked at.
    Unseen(Vec<&'a Hop>),
    /// Nothing bad in what was seen.
    Quiet,
}

struct Facts<'a> {
    items: Vec<Item<'a>>,
    at: Timestamp,
    state: &'a State,
    next_key: String,
}

fn leg_mark(l: &Leg) -> Mark {
    if l.verdict == Verdict::Blocked { Mark::Bad } else { Mark::Warn }
}

impl Item<'_> {
    fn mark(&self) -> Mark {
        match self {
            Item::Cause(v, _) | Item::Apart(v) => verdict::mark(v.standing),
            Item::Risk(_) | Item::Judged { .. } => Mark::Info,
            Item::Aside { standing, .. } => verdict::mark(*standing),
            Item::Leg(l) => leg_mark(l),
            Item::Rule(r) => super::timeouts::mark_of(r.standing),
            Item::Hop(h) => super::strip::mark_of(h.status),
            Item::Onset(_) => Mark::Bad,
            Item::Gaps { .. } | Item::Gap(..) | Item::Unseen(_) => Mark::Unknown,
            Item::Quiet => Mark::Info,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Item::Cause(v, _) | Item::Apart(v) => v.standing.word(),
            Item::Risk(_) => "risk",
            Item::Judged { .. } => "facts",
            Item::Aside { standing, .. } => standing.word(),
            Item::Leg(l) => l.verdict.word(),
            Item::Rule(r) => r.standing.word(),
            Item::Hop(h) => match h.status {
                Status::Bad => "failing",
                Status::Warn => "degraded",
                s => s.word(),
            },
            Item::Onset(_) => "errors",
            Item::Gaps { .. } | Item::Gap(..) | Item::Unseen(_) => "unknown",
            Item::Quiet => "",
        }
    }

    /// The fact in a sentence.
    fn headline(&self) -> String {
        match self {
            Item::Cause(v, _) | Item::Apart(v) => v.cause.to_owned(),
            Item::Risk(r) => r.cause.to_owned(),
            Item::Judged { facts, .. } => format!("{} behind it", say::plural(*facts, "fact", "facts")),
            Item::Aside { causes, standing, .. } => {
                let n = say::plural(*causes, "cause", "causes");
                match standing {
                    Stands::RuledOut => n,
                    _ => format!("{n}: an answer is missing"),
                }
            }
            Item::Leg(l) => l.why().to_string(),
            Item::Rule(r) => r.text.to_string(),
            Item::Hop(h) => format!("{}: {}", h.name, h.why),
            Item::Onset(o) => o.why.to_string(),
            Item::Gaps { gaps, .. } => {
                format!("{} without an answer", say::plural(gaps.len(), "question", "questions"))
            }
            Item::Gap(topic, gap) => format!("{topic}: {}", gap.reason.phrase()),
            Item::Unseen(hops) => {
                let names: Vec<&str> = hops.iter().map(|h| h.kind.word()).collect();
                format!("not known: {}", names.join(", "))
            }
            Item::Quiet => "nothing wrong in what was seen so far".to_owned(),
        }
    }

    /// What it concerns, on a second line.
    fn about(&self) -> String {
        match self {
            Item::Leg(l) => {
                let port = l.port.map_or(String::new(), |p| format!(":{p}"));
                let mut out = format!("{} to {}{port}, {}", l.from, l.to, l.kind.word());
                if l.kind != LegKind::Listener && !l.targets.is_empty() {
                    out.push_str(&format!(", {}", say::plural(l.targets.len(), "target", "targets")));
                }
                if let Some(share) = l.report.partial {
                    out.push_str(&format!(", {} gets through", say::percent(share)));
                }
                out
            }
            Item::Rule(r) if !r.symptom.is_empty() => format!("shows as: {}", r.symptom),
            _ => String::new(),
        }
    }
}

impl<'a> Facts<'a> {
    fn new(state: &'a State, list: &ListView) -> Facts<'a> {
        let d = &state.derived;
        let s = state.shown();
        let mut items: Vec<Item<'a>> = Vec::new();
        let stopped = |l: &&Leg| matches!(l.verdict, Verdict::Blocked | Verdict::Partly);
        items.extend(d.legs.iter().filter(stopped).map(Item::Leg));
        let broken = |r: &&Rule| matches!(r.standing, Standing::Violated | Standing::AtRisk);
        items.extend(d.timeouts.rules.iter().filter(broken).map(Item::Rule));
        items.extend(d.onset.iter().filter(|o| o.until.is_none()).map(Item::Onset));
        let listener_told = d.legs.iter().any(|l| l.kind == LegKind::Listener && stopped(&l));
        let bad = d.hops.iter().filter(|h| matches!(h.status, Status::Bad | Status::Warn));
        // A target's state is told with its group's, a listener's with its leg's.
        items.extend(
            bad.filter(|h| h.kind != HopKind::Target && !(h.kind == HopKind::Listener && listener_told))
                .map(Item::Hop),
        );
        let kind = |i: &Item<'_>| match i {
            Item::Leg(_) => 0,
            Item::Hop(h) if h.kind == HopKind::TargetGroup => 1,
            Item::Rule(_) => 2,
            Item::Onset(_) => 3,
            _ => 4,
        };
        items.sort_by_key(|i| (std::cmp::Reverse(super::worse(i.mark())), kind(i)));
        let verdicts = &d.diagnosis.verdicts;
        let standing: Vec<&Cause> = verdicts.iter().filter(|v| verdict::open(v.standing)).collect();
        if !standing.is_empty() {
            let facts = std::mem::take(&mut items);
            items.extend(standing.iter().enumerate().map(|(i, v)| Item::Cause(v, i)));
            items.extend(d.diagnosis.risks.iter().map(Item::Risk));
            if !facts.is_empty() {
                let open = list.fold(key("judged")).unwrap_or(false);
                items.push(Item::Judged { facts: facts.len(), open });
                if open {
                    items.extend(facts);
                }
            }
        } else {
            items.extend(d.diagnosis.risks.iter().map(Item::Risk));
        }
        // Quiet is said of what was seen; where nothing was, nothing is said.
        if items.is_empty() && d.hops.iter().any(|h| h.status == Status::Ok) {
            items.push(Item::Quiet);
        }
        if !s.gaps.is_empty() {
            // Where nothing is wrong, what could not be asked is the news.
            let calm = !items.iter().any(|i| matches!(i.mark(), Mark::Bad | Mark::Warn));
            let open = list.fold(key("gaps")).unwrap_or(calm && s.gaps.len() <= GAPS_OPEN);
            items.push(Item::Gaps { gaps: &s.gaps, open });
            if open {
                items.extend(s.gaps.iter().map(|(t, g)| Item::Gap(t, g)));
            }
        }
        let unseen: Vec<&Hop> = d.hops.iter().filter(|h| h.status == Status::Unknown).collect();
        if !unseen.is_empty() && s.lb().is_some() {
            items.push(Item::Unseen(unseen));
        }
        for which in [Stands::Unchecked, Stands::RuledOut] {
            let apart = || verdicts.iter().filter(|v| v.standing == which);
            let causes = apart().count();
            if causes > 0 {
                let open = list.fold(key(("aside", which))).unwrap_or(false);
                items.push(Item::Aside { standing: which, causes, open });
                if open {
                    items.extend(apart().map(Item::Apart));
                }
            }
        }
        let next_key = crate::console::update::first_key(&state.keymap, Action::Next);
        Facts { items, at: s.at.unwrap_or(state.now), state, next_key }
    }

    fn says(&self) -> Says<'_> {
        Says { words: self.state.words.as_deref(), next_key: &self.next_key }
    }

    /// The cause that `next` is about: the selected one, or the best.
    fn cause_for_next(&self, selected: Option<usize>) -> Option<&Cause> {
        let at = |i: usize| match self.items.get(i) {
            Some(Item::Cause(v, _) | Item::Apart(v)) => Some(*v),
            _ => None,
        };
        selected.and_then(at).or_else(|| (0..self.items.len()).find_map(at))
    }
}

/// What `next` of the selected cause, or of the best one, asks for: the cause,
/// the first thing to do, and the step of the procedure that does it.
pub fn next(state: &State, view: &DiagnosisView) -> Option<(SafeText, Next, Option<u8>)> {
    let facts = Facts::new(state, &view.list);
    let focused = state.focus == PaneId::Diagnosis;
    let selected = if focused { view.list.selected(&facts) } else { None };
    let v = facts.cause_for_next(selected)?;
    let next = v.next.first()?.clone();
    let step = verdict::step_of(&next, v.hop);
    Some((facts.says().title(v.cause).into(), next, step))
}

impl Listing for Facts<'_> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn key(&self, i: usize) -> Key {
        match &self.items[i] {
            Item::Cause(v, _) => verdict::key_of("cause", v.cause),
            Item::Apart(v) => verdict::key_of("apart", v.cause),
            Item::Risk(r) => verdict::key_of("risk", r.cause),
            Item::Judged { .. } => key("judged"),
            Item::Aside { standing, .. } => key(("aside", *standing)),
            Item::Gaps { .. } => key("gaps"),
            Item::Unseen(_) => key("unseen"),
            Item::Quiet => key("quiet"),
            // The words of a fact are its identity, but for numbers that move.
            other => {
                let words: String = other.headline().chars().filter(|c| !c.is_ascii_digit()).collect();
                key((other.word(), words, other.about()))
            }
        }
    }

    fn level(&self, i: usize) -> u8 {
        u8::from(matches!(self.items[i], Item::Gap(..) | Item::Apart(_)))
    }

    fn lines(&self, ctx: &Ctx<'_>, i: usize, width: u16) -> Vec<Spread<'_>> {
        let item = &self.items[i];
        match item {
            Item::Cause(v, place) => return verdict::lines(ctx, self.says(), v, *place, width),
            Item::Apart(v) => return verdict::lines(ctx, self.says(), v, usize::MAX, width),
            Item::Risk(r) => return verdict::risk_lines(ctx, self.says(), r, width),
            _ => {}
        }
        let mark = item.mark();
        let role = Ctx::role(mark);
        let child = matches!(item, Item::Gap(..));
        let base = u16::from(child) * 2;
        let mut head = vec![ctx.mark(mark)];
        let mut used = 2 + usize::from(base);
        if !child && !item.word().is_empty() {
            let word = format!("{:<8}", item.word());
            used += crate::text::width(&word) + 1;
            head.push(Seg::new(role, word).rank(KEEP).whole());
        }
        let columns = usize::from(width);
        let narrow = columns < used + 20;
        let body = if matches!(mark, Mark::Bad) { Role::Strong } else { Role::Text };
        let hang = if narrow { 2 } else { used };
        let room = columns.saturating_sub(hang);
        let mut parts = wrap(&item.headline(), room, 3, ctx.glyphs.ellipsis).into_iter();
        let mut out = Vec::new();
        if narrow {
            out.push(Spread::new(base, head));
        } else {
            head.push(Seg::new(body, parts.next().unwrap_or_default()).min(4));
            out.push(Spread::new(base, head));
        }
        let hang = u16::try_from(hang).unwrap_or(2);
        out.extend(parts.map(|p| Spread::new(hang, vec![Seg::new(body, p)])));
        let about = item.about();
        if !about.is_empty() {
            let parts = wrap(&about, room, 2, ctx.glyphs.ellipsis);
            out.extend(parts.into_iter().map(|p| Spread::new(hang, vec![Seg::new(Role::Dim, p)])));
        }
        if let Some(open) = self.unfolded(i)
            && let Some(first) = out.first_mut()
        {
            let fold = if open { ctx.glyphs.open } else { ctx.glyphs.closed };
            first.right.push(Seg::new(Role::Dim, fold).rank(3).whole());
        }
        out
    }

    fn row(&self, i: usize) -> Row {
        let item = &self.items[i];
        let at = match item {
            Item::Onset(o) => o.at,
            Item::Gap(_, g) => g.at,
            Item::Cause(v, _) | Item::Apart(v) => verdict::newest(&v.evidence).unwrap_or(self.at),
            Item::Risk(r) => verdict::newest(&r.evidence).unwrap_or(self.at),
            _ => self.at,
        };
        let said = match item {
            Item::Cause(v, _) | Item::Apart(v) => v.evidence.first(),
            Item::Risk(r) => r.evidence.first(),
            _ => None,
        };
        let about = said.map_or_else(|| item.about(), |e| format!("{}: {}", e.what, e.value));
        let tail = if about.is_empty() { String::new() } else { format!(" ({about})") };
        Row {
            at,
            source: "diagnosis".into(),
            text: format!("{} {}{tail}", item.word(), item.headline()).into(),
        }
    }

    fn text(&self, i: usize) -> String {
        let row = self.row(i).text;
        match &self.items[i] {
            Item::Cause(v, _) | Item::Apart(v) => format!("{row} {}", self.says().title(v.cause)),
            Item::Risk(r) => format!("{row} {}", self.says().title(r.cause)),
            _ => row.to_string(),
        }
    }

    fn detail(&self, i: usize) -> Option<Detail> {
        let item = &self.items[i];
        match item {
            Item::Cause(v, _) | Item::Apart(v) => return Some(verdict::full(self.state, self.says(), v)),
            Item::Risk(r) => return Some(verdict::full_risk(self.state, self.says(), r)),
            // Enter opens these in place.
            Item::Judged { .. } | Item::Aside { .. } => return None,
            _ => {}
        }
        let mut d = detail::Builder::new(item.word());
        d.text(&item.headline());
        d.pair("about", &item.about());
        match item {
            Item::Rule(r) => {
                d.pair("why", &r.why).pair("symptom", &r.symptom);
            }
            Item::Unseen(hops) => {
                for h in hops {
                    d.pair(h.kind.word(), &h.why);
                }
            }
            Item::Leg(l) => {
                if let Some(b) = l.blocked_by() {
                    d.pair("stage", b.stage.words()).pair("resource", &b.id).pair("rule", &b.rule);
                }
            }
            _ => {}
        }
        Some(d.done())
    }

    fn unfolded(&self, i: usize) -> Option<bool> {
        match &self.items[i] {
            Item::Gaps { open, .. } | Item::Judged { open, .. } | Item::Aside { open, .. } => Some(*open),
            _ => None,
        }
    }
}

/// How many causes stand how, for the title.
fn summary(ctx: &Ctx<'_>, items: &[Item<'_>]) -> Vec<Seg<'static>> {
    let standing =
        |s: Stands| items.iter().filter(|i| matches!(i, Item::Cause(v, _) if v.standing == s)).count();
    for s in [Stands::Confirmed, Stands::Likely, Stands::Possible] {
        let n = standing(s);
        if n > 0 {
            let mark = verdict::mark(s);
            let text = format!("{} {n} {}", ctx.sign(mark), s.word());
            return vec![Seg::new(Ctx::role(mark), text).rank(6).whole()];
        }
    }
    let bad = items.iter().filter(|i| i.mark() == Mark::Bad).count();
    if bad > 0 {
        let text = format!("{} {bad} wrong", ctx.glyphs.bad);
        return vec![Seg::new(Role::Bad, text).rank(6).whole()];
    }
    Vec::new()
}

/// Draws the pane.
pub fn draw(
    state: &State,
    view: &DiagnosisView,
    area: Rect,
    kind: FrameKind,
    focused: bool,
    buf: &mut Buffer,
) {
    let ctx = &Ctx::of(state);
    let list = Facts::new(state, &view.list);
    let inside = crate::console::layout::inner(area, kind);
    let window = view.list.window(ctx, &list, inside);
    let facts = summary(ctx, &list.items);
    let age = state.shown().at.map(|t| say::age(say::seconds_since(t, ctx.now)));
    let chrome = Chrome {
        title: "Diagnosis",
        facts,
        status: vec![Seg::new(Role::Dim, age.unwrap_or_default()).rank(5).whole()],
        foot: window.foot(ctx, view.list.filter.as_ref()),
        place: window.place(),
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if list.items.is_empty() {
        super::explain(ctx, buf, inside, &super::nothing_yet(state, None, "nothing is known yet"));
    }
    window.draw(ctx, buf, inside, focused, &view.list);
}

/// The best verdict, or the worst fact, on one line, for screens without room for the pane.
pub fn verdict(state: &State, area: Rect, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    super::paint::clear(ctx, buf, area);
    let list = Facts::new(state, &ListView::default());
    let spread = match list.items.first() {
        None => {
            let (mark, text) = super::nothing_yet(state, None, "nothing is known yet");
            Spread::new(0, vec![ctx.mark(mark), Seg::new(Ctx::role(mark), text).min(4)])
        }
        Some(item) => {
            let mark = item.mark();
            let mut left = vec![ctx.mark(mark)];
            if !item.word().is_empty() {
                left.push(Seg::new(Ctx::role(mark), item.word()).rank(8).whole());
            }
            let body = if matches!(mark, Mark::Bad | Mark::Warn) { Role::Strong } else { Role::Text };
            let text = match item {
                Item::Cause(v, _) => list.says().title(v.cause).to_owned(),
                Item::Risk(r) => list.says().title(r.cause).to_owned(),
                _ => item.headline(),
            };
            left.push(Seg::new(body, text).rank(7).min(4));
            let counts =
                |i: &&Item<'_>| matches!(i, Item::Cause(..)) || matches!(i.mark(), Mark::Bad | Mark::Warn);
            let more = list.items.iter().skip(1).filter(counts).count();
            let right = if more > 0 {
                vec![Seg::new(Role::Dim, format!("+{more} more")).rank(6).whole()]
            } else {
                Vec::new()
            };
            Spread::new(0, left).right(right)
        }
    };
    let body = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    super::paint::line(ctx, buf, body, &spread);
}

impl PaneView for DiagnosisView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        let facts = Facts::new(state, &self.list);
        self.list.handle(action, &Ctx::of(state), &facts, area)
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let facts = Facts::new(state, &self.list);
        self.list.selected(&facts).map(|i| facts.row(i))
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let facts = Facts::new(state, &self.list);
        self.list.selected(&facts).and_then(|i| facts.detail(i)).map(|d| detail::masked(state, d))
    }

    fn seek(&mut self, what: &str, area: Rect, state: &State) {
        let facts = Facts::new(state, &self.list);
        self.list.seek(what, &Ctx::of(state), &facts, area);
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.list.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.list.filter.as_ref()
    }
}
