//! The procedure: every step with its key, its state and how many findings;
//! open, a step shows what was found, what is not known and what to run by hand.

use super::frame::{self, Chrome};
use super::list::{Key, ListView, Listing, key};
use super::paint::{Ctx, KEEP, Seg, Spread};
use super::wrap::wrap;
use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::state::{Finding, Mark, Phase, State, StepRun};
use crate::console::theme::Role;
use crate::procedure::{self, CheckResult, Level, Manual, Missing, StepState};
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Lines a finding takes at most; Enter shows all of it.
const LINES_SHOWN: usize = 4;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct ProcedureView {
    list: ListView,
}

enum Item<'a> {
    Step(&'a StepRun, bool),
    /// Something said about the run as a whole.
    Remark(&'a StepRun, &'a Finding),
    Check {
        step: &'a StepRun,
        check: &'a CheckResult,
        open: bool,
    },
    Finding {
        step: &'a StepRun,
        check: &'a CheckResult,
        n: usize,
        finding: &'a procedure::Finding,
    },
    Missing {
        step: &'a StepRun,
        check: &'a CheckResult,
        n: usize,
        missing: &'a Missing,
    },
    /// A command for a person to run; `y` copies it.
    Manual {
        step: &'a StepRun,
        check: &'a CheckResult,
        n: usize,
        manual: &'a Manual,
    },
}

struct Steps<'a> {
    items: Vec<Item<'a>>,
    now: Timestamp,
}

fn level_mark(level: Level) -> Mark {
    match level {
        Level::Ok => Mark::Good,
        Level::Info | Level::Manual => Mark::Info,
        Level::Unknown => Mark::Unknown,
        Level::Found => Mark::Bad,
    }
}

/// How many findings of a step point to trouble, and how much is not known.
fn counts(s: &StepRun) -> (usize, usize) {
    let Some(r) = &s.result else {
        let of = |m: Mark| s.findings.iter().filter(|f| f.mark == m).count();
        return (of(Mark::Bad) + of(Mark::Warn), of(Mark::Unknown));
    };
    let of = |l: Level| r.checks.iter().map(|c| c.of(l).count()).sum::<usize>();
    (of(Level::Found), of(Level::Unknown) + r.checks.iter().map(|c| c.unknown.len()).sum::<usize>())
}

fn check_counts(c: &CheckResult) -> (usize, usize) {
    (c.of(Level::Found).count(), c.of(Level::Unknown).count() + c.unknown.len())
}

fn check_mark(c: &CheckResult) -> Mark {
    let (found, unknown) = check_counts(c);
    match (found, unknown) {
        (1.., _) => Mark::Bad,
        (0, 1..) => Mark::Unknown,
        _ if c.of(Level::Ok).next().is_some() => Mark::Good,
        _ => Mark::Info,
    }
}

/// State of a step: its mark and a word.
pub fn standing(s: &StepRun) -> (Mark, String) {
    match (&s.phase, &s.result) {
        (Phase::NotRun, _) => (Mark::Info, "not run".to_owned()),
        (Phase::Running { .. }, _) => (Mark::Info, "running".to_owned()),
        (Phase::Done { .. }, Some(r)) => {
            let mark = match r.state {
                StepState::Done => Mark::Good,
                StepState::Found(_) => Mark::Bad,
                StepState::Partial | StepState::NothingKnown => Mark::Unknown,
                StepState::ByHand => Mark::Info,
            };
            (mark, r.state.to_string())
        }
        (Phase::Done { .. }, None) => match counts(s) {
            (0, 0) => (Mark::Good, "done".to_owned()),
            (0, _) => (Mark::Unknown, "partial".to_owned()),
            (n, _) => (Mark::Bad, format!("found {n}")),
        },
    }
}

fn finished(s: &StepRun) -> Option<Timestamp> {
    match s.phase {
        Phase::Done { at, .. } => Some(at),
        _ => None,
    }
}

impl<'a> Steps<'a> {
    fn new(state: &'a State, list: &ListView) -> Steps<'a> {
        let mut items = Vec::new();
        // The step that ran last is open, the others are told in a line.
        let last = state.steps.iter().filter_map(|s| Some((finished(s)?, s.key))).max().map(|(_, key)| key);
        for s in &state.steps {
            let some = s.result.is_some() || !s.findings.is_empty();
            let open = some && list.fold(key(("step", s.key))).unwrap_or(Some(s.key) == last);
            items.push(Item::Step(s, open));
            if open {
                step_items(s, list, &mut items);
            }
        }
        Steps { items, now: state.shown_now() }
    }
}

fn step_items<'a>(s: &'a StepRun, list: &ListView, items: &mut Vec<Item<'a>>) {
    let Some(result) = &s.result else {
        items.extend(s.findings.iter().map(|f| Item::Remark(s, f)));
        return;
    };
    let said = |f: &Finding| result.checks.iter().flat_map(|c| &c.findings).any(|x| x.text == f.text);
    items.extend(
        s.findings.iter().filter(|f| f.mark == Mark::Unknown && !said(f)).map(|f| Item::Remark(s, f)),
    );
    // What was found comes first, what is not known next; the documented order within.
    let mut checks: Vec<&CheckResult> = result.checks.iter().collect();
    checks.sort_by_key(|c| std::cmp::Reverse(super::worse(check_mark(c))));
    for check in checks {
        let troubled = check_counts(check).0 > 0;
        let open = list.fold(check_key(s, check)).unwrap_or(troubled);
        items.push(Item::Check { step: s, check, open });
        if !open {
            continue;
        }
        let mut findings: Vec<(usize, &procedure::Finding)> = check.findings.iter().enumerate().collect();
        findings.sort_by_key(|(_, f)| std::cmp::Reverse(f.level));
        items.extend(findings.into_iter().map(|(n, finding)| Item::Finding { step: s, check, n, finding }));
        let missing = check.unknown.iter().enumerate();
        items.extend(missing.map(|(n, missing)| Item::Missing { step: s, check, n, missing }));
        let manual = check.manual.iter().enumerate();
        items.extend(manual.map(|(n, manual)| Item::Manual { step: s, check, n, manual }));
    }
}

fn check_key(s: &StepRun, c: &CheckResult) -> Key {
    key(("check", s.key, c.id.as_str()))
}

/// A sign and a text over as many lines as allowed.
fn signed(
    ctx: &Ctx<'_>,
    indent: u16,
    sign: Seg<'static>,
    role: Role,
    text: &str,
    width: u16,
) -> Vec<Spread<'static>> {
    let columns = usize::from(width.saturating_sub(indent + 2));
    let mut out = Vec::new();
    for (n, part) in wrap(text, columns, LINES_SHOWN, ctx.glyphs.ellipsis).into_iter().enumerate() {
        let text = Seg::new(role, part);
        if n == 0 {
            out.push(Spread::new(indent, vec![sign.clone(), text]));
        } else {
            out.push(Spread::new(indent + 2, vec![text]));
        }
    }
    out
}

fn sign_of(ctx: &Ctx<'_>, mark: Mark) -> Seg<'static> {
    let role = if mark == Mark::Info { Role::Dim } else { Ctx::role(mark) };
    Seg::new(role, ctx.sign(mark)).rank(KEEP).min(1)
}

fn body_role(mark: Mark) -> Role {
    match mark {
        Mark::Bad | Mark::Warn => Role::Text,
        Mark::Unknown => Role::Unknown,
        Mark::Good | Mark::Info => Role::Dim,
    }
}

impl Steps<'_> {
    fn step_lines(&self, ctx: &Ctx<'_>, s: &StepRun, open: bool) -> Vec<Spread<'static>> {
        let (mark, word) = standing(s);
        let (role, sign) = match s.phase {
            Phase::Running { .. } => (Role::Busy, ctx.glyphs.busy),
            Phase::NotRun => (Role::Dim, ctx.sign(mark)),
            Phase::Done { .. } => (Ctx::role(mark), ctx.sign(mark)),
        };
        let quiet = matches!(s.phase, Phase::NotRun);
        let fold = match (self.foldable(s), open) {
            (false, _) => " ",
            (true, true) => ctx.glyphs.open,
            (true, false) => ctx.glyphs.closed,
        };
        let left = vec![
            Seg::new(Role::Key, s.key.to_string()).rank(KEEP).whole(),
            Seg::new(Role::Dim, fold).rank(KEEP).whole().glue(),
            Seg::new(if quiet { Role::Text } else { Role::Strong }, s.title.to_string()).rank(7).min(6),
        ];
        let mut right = Vec::new();
        let (found, unknown) = counts(s);
        if unknown > 0 && found > 0 {
            let words = format!("{} {unknown} unknown", ctx.glyphs.unknown);
            right.push(Seg::new(Role::Unknown, words).extra());
        }
        // One column of words, whatever the step.
        right.push(Seg::new(role, format!("{sign} {word:<8}")).rank(8).whole());
        vec![Spread::new(0, left).right(right)]
    }

    fn foldable(&self, s: &StepRun) -> bool {
        s.result.is_some() || !s.findings.is_empty()
    }
}

impl Listing for Steps<'_> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn key(&self, i: usize) -> Key {
        match &self.items[i] {
            Item::Step(s, _) => key(("step", s.key)),
            Item::Remark(s, f) => key(("remark", s.key, f.text.as_str())),
            Item::Check { step, check, .. } => check_key(step, check),
            Item::Finding { step, check, n, .. } => key(("finding", check_key(step, check), *n)),
            Item::Missing { step, check, n, .. } => key(("missing", check_key(step, check), *n)),
            Item::Manual { step, check, n, .. } => key(("manual", check_key(step, check), *n)),
        }
    }

    fn level(&self, i: usize) -> u8 {
        match &self.items[i] {
            Item::Step(..) => 0,
            Item::Remark(..) | Item::Check { .. } => 1,
            _ => 2,
        }
    }

    fn lines(&self, ctx: &Ctx<'_>, i: usize, width: u16) -> Vec<Spread<'_>> {
        match &self.items[i] {
            Item::Step(s, open) => self.step_lines(ctx, s, *open),
            Item::Remark(_, f) => signed(ctx, 2, sign_of(ctx, f.mark), body_role(f.mark), &f.text, width),
            Item::Check { check, open, .. } => {
                let mark = check_mark(check);
                let (found, unknown) = check_counts(check);
                let words = match (mark, found, unknown) {
                    (Mark::Bad, n, _) => format!("found {n}"),
                    (Mark::Unknown, _, n) => format!("{n} unknown"),
                    (Mark::Good, ..) => "ok".to_owned(),
                    _ if !check.manual.is_empty() => "by hand".to_owned(),
                    _ => String::new(),
                };
                let role = if mark == Mark::Info { Role::Dim } else { Ctx::role(mark) };
                let left =
                    vec![sign_of(ctx, mark), Seg::new(Role::Text, check.title.to_string()).rank(7).min(6)];
                let fold = if *open { ctx.glyphs.open } else { ctx.glyphs.closed };
                let right =
                    vec![Seg::new(role, words).rank(6).whole(), Seg::new(Role::Dim, fold).rank(3).whole()];
                vec![Spread::new(2, left).right(right)]
            }
            Item::Finding { finding, .. } => {
                let mark = level_mark(finding.level);
                signed(ctx, 4, sign_of(ctx, mark), body_role(mark), &finding.text, width)
            }
            Item::Missing { missing, .. } => {
                let text = format!("{}: {}", missing.what, missing.reason);
                signed(ctx, 4, sign_of(ctx, Mark::Unknown), Role::Unknown, &text, width)
            }
            Item::Manual { manual, .. } => {
                let (role, sign) = if manual.changes {
                    (Role::Warn, ctx.glyphs.warn)
                } else {
                    (Role::Info, ctx.glyphs.arrow)
                };
                let sign = Seg::new(role, sign).rank(KEEP).min(1);
                let what = match manual.host.as_str() {
                    "" => manual.what.to_string(),
                    host => format!("{} ({host})", manual.what),
                };
                let mut out = signed(ctx, 4, sign, Role::Dim, &what, width);
                if manual.changes {
                    out.push(Spread::new(6, vec![Seg::new(Role::Warn, "changes something:")]));
                }
                let columns = usize::from(width.saturating_sub(6));
                for part in wrap(&manual.run, columns, 2, ctx.glyphs.ellipsis) {
                    out.push(Spread::new(6, vec![Seg::new(Role::Text, part)]));
                }
                out
            }
        }
    }

    fn row(&self, i: usize) -> Row {
        let at = |s: &StepRun| finished(s).unwrap_or(self.now);
        let of = |s: &StepRun, c: &CheckResult| SafeText::from(format!("step {} {}", s.key, c.title));
        match &self.items[i] {
            Item::Step(s, _) => Row {
                at: at(s),
                source: "procedure".into(),
                text: format!("step {} {}: {}", s.key, s.title, standing(s).1).into(),
            },
            Item::Remark(s, f) => {
                Row { at: at(s), source: format!("step {}", s.key).into(), text: f.text.one_line() }
            }
            Item::Check { step, check, .. } => {
                let found: Vec<&str> = check.of(Level::Found).map(|f| f.text.as_str()).collect();
                let text = if found.is_empty() { check.title.to_string() } else { found.join("; ") };
                Row { at: at(step), source: of(step, check), text: text.into() }
            }
            Item::Finding { step, check, finding, .. } => {
                Row { at: at(step), source: of(step, check), text: finding.text.one_line() }
            }
            Item::Missing { step, check, missing, .. } => {
                let text = format!("{}: {}", missing.what, missing.reason);
                Row { at: at(step), source: of(step, check), text: text.into() }
            }
            Item::Manual { step, check, manual, .. } => {
                Row { at: at(step), source: of(step, check), text: manual.run.clone() }
            }
        }
    }

    fn detail(&self, i: usize) -> Option<Detail> {
        match &self.items[i] {
            // What is closed opens first.
            Item::Step(s, open) => (*open || !self.foldable(s)).then(|| step_detail(s)),
            Item::Remark(s, _) => Some(step_detail(s)),
            Item::Check { open: false, .. } => None,
            Item::Check { step, check, .. }
            | Item::Finding { step, check, .. }
            | Item::Missing { step, check, .. }
            | Item::Manual { step, check, .. } => {
                let mut d = detail::Builder::new(format!("{} {}", step.key, check.title));
                check_detail(&mut d, check);
                Some(d.done())
            }
        }
    }

    fn unfolded(&self, i: usize) -> Option<bool> {
        match &self.items[i] {
            Item::Step(s, open) if self.foldable(s) => Some(*open),
            Item::Check { open, .. } => Some(*open),
            _ => None,
        }
    }
}

fn step_detail(s: &StepRun) -> Detail {
    let mut d = detail::Builder::new(format!("{} {}", s.key, s.title));
    d.pair("state", &standing(s).1);
    if let Phase::Done { at, took_ms } = &s.phase {
        d.pair("run at", &at.to_string());
        d.pair("took", &say::latency(*took_ms as f64 / 1000.0));
    }
    match &s.result {
        Some(r) => {
            for c in &r.checks {
                d.heading(&c.title);
                check_detail(&mut d, c);
            }
        }
        None => {
            for f in &s.findings {
                d.text(&f.text);
            }
        }
    }
    d.done()
}

fn check_detail(d: &mut detail::Builder, c: &CheckResult) {
    let asked: Vec<&str> = c.asked.iter().map(SafeText::as_str).collect();
    d.pair("asked", &asked.join(", "));
    for f in &c.findings {
        let word = match f.level {
            Level::Ok => "ok",
            Level::Info => "info",
            Level::Manual => "by hand",
            Level::Unknown => "unknown",
            Level::Found => "found",
        };
        d.pair(word, &f.text);
        for e in &f.evidence {
            d.pair("", &format!("  {} ({}, {})", e.what, e.source, e.at));
        }
    }
    for m in &c.unknown {
        d.pair("not known", &format!("{}: {}", m.what, m.reason));
    }
    for m in &c.manual {
        let word = if m.changes { "CHANGES" } else { "run by hand" };
        d.pair(word, &m.what).pair(" ", &m.run);
    }
}

/// Draws the pane.
pub fn draw(
    state: &State,
    view: &ProcedureView,
    area: Rect,
    kind: FrameKind,
    focused: bool,
    buf: &mut Buffer,
) {
    let ctx = &Ctx::of(state);
    let list = Steps::new(state, &view.list);
    let inside = crate::console::layout::inner(area, kind);
    let window = view.list.window(ctx, &list, inside);
    let run = state.steps.iter().filter(|s| matches!(s.phase, Phase::Done { .. })).count();
    let running = state.steps.iter().find(|s| matches!(s.phase, Phase::Running { .. }));
    let newest = state.steps.iter().filter_map(finished).max();
    let total: usize = state.steps.iter().map(|s| counts(s).0).sum();
    let mut facts = Vec::new();
    if total > 0 {
        facts.push(Seg::new(Role::Bad, format!("{} {total} found", ctx.glyphs.bad)).rank(6).whole());
    }
    let mut status = Vec::new();
    if let Some(s) = running {
        status.push(Seg::new(Role::Busy, format!("{} step {}", ctx.glyphs.busy, s.key)).rank(7).whole());
    }
    match newest {
        Some(at) => {
            status.push(Seg::new(Role::Dim, format!("{run}/{} run", state.steps.len())).extra());
            let age = say::age(say::seconds_since(at, ctx.now));
            status.push(Seg::new(Role::Dim, age).rank(5).whole());
        }
        None if running.is_none() => status.push(Seg::new(Role::Dim, "0-7 run a step").rank(4).whole()),
        None => {}
    }
    let chrome = Chrome {
        title: "Procedure",
        facts,
        status,
        foot: window.foot(ctx, view.list.filter.as_ref()),
        place: window.place(),
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if list.items.is_empty() {
        super::explain(ctx, buf, inside, &(Mark::Info, "the procedure is not loaded".to_owned()));
    }
    window.draw(ctx, buf, inside, focused, &view.list);
}

impl PaneView for ProcedureView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        let steps = Steps::new(state, &self.list);
        self.list.handle(action, &Ctx::of(state), &steps, area)
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let steps = Steps::new(state, &self.list);
        self.list.selected(&steps).map(|i| steps.row(i))
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let steps = Steps::new(state, &self.list);
        self.list.selected(&steps).and_then(|i| steps.detail(i)).map(|d| detail::masked(state, d))
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.list.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.list.filter.as_ref()
    }
}
