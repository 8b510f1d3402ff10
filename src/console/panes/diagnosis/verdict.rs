//! A verdict and a risk as they are drawn, and in full.

use super::super::list::Key;
use super::super::list::key;
use super::super::paint::{Ctx, KEEP, Seg, Spread};
use super::super::wrap::wrap;
use super::super::{Detail, Jump, detail, say};
use crate::console::state::{Mark, PaneId, State};
use crate::console::theme::Role;
use crate::diagnosis::catalogue::{Catalogue, Words};
use crate::diagnosis::verdict::{Evidence, Hop, Lack, Next, Polarity, Risk, Standing, Verdict};
use jiff::Timestamp;

/// Pieces of evidence shown for and against the first verdict; Enter shows all.
const FIRST: (usize, usize) = (3, 2);
/// The same for the others.
const OTHERS: (usize, usize) = (1, 1);
/// Lines one piece of evidence takes at most.
const LINES: usize = 2;

/// Sign, colour: how a standing looks.
pub fn mark(s: Standing) -> Mark {
    match s {
        Standing::Confirmed => Mark::Bad,
        Standing::Likely => Mark::Warn,
        Standing::Possible => Mark::Info,
        Standing::Unchecked => Mark::Unknown,
        Standing::RuledOut => Mark::Good,
    }
}

/// True for the standings a reader is told of without asking.
pub fn open(s: Standing) -> bool {
    matches!(s, Standing::Confirmed | Standing::Likely | Standing::Possible)
}

/// What drawing a verdict needs besides it.
#[derive(Clone, Copy)]
pub struct Says<'a> {
    pub words: Option<&'a Catalogue>,
    /// The key that does what is next.
    pub next_key: &'a str,
}

impl<'a> Says<'a> {
    fn of(&self, cause: &str) -> Option<&'a Words> {
        self.words.and_then(|w| w.get(cause))
    }

    /// The title of a cause, its id where there are no words.
    pub fn title(&self, cause: &'a str) -> &'a str {
        self.of(cause).map_or(cause, |w| w.title.as_str())
    }

    /// The first thing to do about a verdict.
    pub fn next(&self, v: &Verdict) -> Option<String> {
        v.next.iter().find_map(|n| self.step(n))
    }

    fn step(&self, n: &Next) -> Option<String> {
        match n {
            Next::Check(id) => self.of(id).map(|w| w.check.to_string()),
            Next::Mitigate(id) => self.of(id).map(|w| w.mitigation.to_string()),
            Next::Learn(l) => Some(lack(l)),
        }
    }
}

pub fn lack(l: &Lack) -> String {
    format!("{}: {}", l.what, l.reason.phrase())
}

pub fn key_of(kind: &str, cause: &str) -> Key {
    key((kind, cause))
}

fn said(e: &Evidence) -> String {
    format!("{}: {}", e.what, e.value)
}

/// Pieces of a labelled line, wrapped under themselves.
struct Lines<'c> {
    ctx: Ctx<'c>,
    width: usize,
    out: Vec<Spread<'static>>,
}

impl Lines<'_> {
    fn add(&mut self, hang: usize, label: &str, label_role: Role, text: &str, role: Role, most: usize) {
        let label = format!("{label:<7}");
        // Where the pane is narrow, the label stands alone with fewer columns.
        let (hang, used) =
            if self.width < 44 { (2, 10) } else { (hang, hang + crate::text::width(&label) + 1) };
        let parts = wrap(text, self.width.saturating_sub(used).max(8), most, self.ctx.glyphs.ellipsis);
        for (n, part) in parts.into_iter().enumerate() {
            let body = Seg::new(role, part).min(4);
            let (at, segs) = if n == 0 {
                (hang, vec![Seg::new(label_role, label.clone()).rank(KEEP).whole(), body])
            } else {
                (used, vec![body])
            };
            self.out.push(Spread::new(u16::try_from(at).unwrap_or(2), segs));
        }
    }
}

/// A verdict as drawn in `columns`; `place` counts from 0.
pub fn lines(ctx: &Ctx<'_>, says: Says<'_>, v: &Verdict, place: usize, columns: u16) -> Vec<Spread<'static>> {
    let m = mark(v.standing);
    let mut out =
        head(ctx, m, v.standing.word(), says.title(v.cause), v.cause, columns, v.standing.names_it());
    if !open(v.standing) {
        let why = v.missing.first().map_or_else(|| v.why.to_string(), lack);
        let mut l = Lines { ctx: *ctx, width: usize::from(columns), out };
        l.add(2, "", Role::Dim, &why, Role::Dim, 1);
        return l.out;
    }
    let (most_for, most_against) = if place == 0 { FIRST } else { OTHERS };
    let mut l = Lines { ctx: *ctx, width: usize::from(columns), out: std::mem::take(&mut out) };
    let side = |p: Polarity| v.evidence.iter().filter(move |e| e.polarity == p);
    for (n, e) in side(Polarity::For).take(most_for).enumerate() {
        // What the best verdict rests on first of all is not cut short.
        let most = if place == 0 && n == 0 { LINES * 2 } else { LINES };
        l.add(2, "for", Role::Dim, &said(e), Role::Text, most);
    }
    for e in side(Polarity::Against).take(most_against) {
        l.add(2, "against", Role::Dim, &said(e), Role::Dim, LINES);
    }
    let hidden = side(Polarity::For).count().saturating_sub(most_for)
        + side(Polarity::Against).count().saturating_sub(most_against);
    if hidden > 0 && place == 0 {
        l.add(2, "", Role::Dim, &format!("{hidden} more: enter"), Role::Dim, 1);
    }
    if !v.twins.is_empty() {
        let names: Vec<&str> = v.twins.iter().map(|t| says.title(t)).collect();
        let text = format!("not told apart from: {}", names.join("; "));
        l.add(2, "alike", Role::Unknown, &text, Role::Dim, LINES);
    }
    if (v.standing.names_it() || place == 0)
        && let Some(next) = says.next(v)
    {
        let label = if place == 0 { format!("next {}", says.next_key) } else { "next".into() };
        l.add(2, &label, Role::Key, &next, Role::Text, LINES);
    }
    l.out
}

/// A risk as drawn.
pub fn risk_lines(ctx: &Ctx<'_>, says: Says<'_>, r: &Risk, columns: u16) -> Vec<Spread<'static>> {
    let out = head(ctx, Mark::Info, "risk", says.title(r.cause), r.cause, columns, false);
    let mut l = Lines { ctx: *ctx, width: usize::from(columns), out };
    for e in r.evidence.iter().filter(|e| e.polarity == Polarity::For).take(1) {
        l.add(2, "seen", Role::Dim, &said(e), Role::Dim, LINES);
    }
    l.out
}

fn head(
    ctx: &Ctx<'_>,
    mark: Mark,
    word: &str,
    title: &str,
    cause: &str,
    columns: u16,
    strong: bool,
) -> Vec<Spread<'static>> {
    let columns = usize::from(columns);
    let role = Ctx::role(mark);
    let word = format!("{word:<9}");
    let used = 2 + crate::text::width(&word) + 1;
    let body = if strong { Role::Strong } else { Role::Text };
    let narrow = columns < used + 20;
    let hang = if narrow { 2 } else { used };
    let mut parts = wrap(title, columns.saturating_sub(hang).max(8), 2, ctx.glyphs.ellipsis).into_iter();
    let mut first = vec![ctx.mark(mark), Seg::new(role, word).rank(KEEP).whole()];
    if !narrow {
        first.push(Seg::new(body, parts.next().unwrap_or_default()).min(4));
    }
    let mut out = vec![Spread::new(0, first)];
    let at = u16::try_from(hang).unwrap_or(2);
    out.extend(parts.map(|p| Spread::new(at, vec![Seg::new(body, p)])));
    // The id is what other people and programs call it; where a line has room.
    if let Some(line) = out.first_mut()
        && title != cause
        && used + crate::text::width(title) + crate::text::width(cause) + 3 <= columns
    {
        line.right.push(Seg::new(Role::Dim, cause.to_owned()).extra());
    }
    out
}

/// A verdict in full, its evidence numbered for jumping.
pub fn full(state: &State, says: Says<'_>, v: &Verdict) -> Detail {
    let mut d = detail::Builder::new(format!("{}: {}", v.standing.word(), says.title(v.cause)));
    d.pair("cause", v.cause).pair("hop", v.hop.word()).pair("stands so", &v.why);
    let words = says.of(v.cause);
    let mut jumps = Vec::new();
    for (side, name) in [(Polarity::For, "for"), (Polarity::Against, "against")] {
        let mut any = false;
        for e in v.evidence.iter().filter(|e| e.polarity == side) {
            if !any {
                d.heading(name);
                any = true;
            }
            evidence(&mut d, state, e, &mut jumps);
        }
    }
    if !v.missing.is_empty() {
        d.heading("not known");
        for l in &v.missing {
            d.text(&format!("    {}", lack(l)));
        }
    }
    if !v.twins.is_empty() {
        d.heading("what was seen does not tell it from");
        for t in &v.twins {
            d.pair(&format!("    {t}"), says.title(t));
        }
        if let Some(w) = words {
            d.pair("cheapest check", &w.check);
        }
    }
    let next: Vec<String> = v.next.iter().filter_map(|n| says.step(n)).collect();
    if !next.is_empty() {
        d.heading("next");
        for (n, step) in next.iter().enumerate() {
            d.pair(if n == 0 { says.next_key } else { "" }, step);
        }
    }
    if let Some(w) = words {
        d.heading("about it").pair("what happens", &w.what).pair("clients see", &w.status);
        d.pair("fix", &w.fix).pair("see", &w.source);
    }
    Detail { jumps, ..d.done() }
}

/// A risk in full.
pub fn full_risk(state: &State, says: Says<'_>, r: &Risk) -> Detail {
    let mut d = detail::Builder::new(format!("risk: {}", says.title(r.cause)));
    d.pair("cause", r.cause).pair("hop", r.hop.word()).pair("why a risk", &r.why);
    let mut jumps = Vec::new();
    d.heading("seen");
    for e in &r.evidence {
        evidence(&mut d, state, e, &mut jumps);
    }
    if let Some(w) = says.of(r.cause) {
        d.heading("what it would do").text(&w.what);
        d.heading("what keeps it from happening").text(&w.fix);
        d.pair("see", &w.source);
    }
    Detail { jumps, ..d.done() }
}

fn evidence(d: &mut detail::Builder, state: &State, e: &Evidence, jumps: &mut Vec<Jump>) {
    // One digit is one key.
    let target = if jumps.len() < 9 { jump(state, e) } else { None };
    let label = match target {
        Some(j) => {
            let label = format!("{} {}", jumps.len() + 1, short(j.pane));
            jumps.push(j);
            label
        }
        None => String::from(" "),
    };
    d.pair(&label, &format!("{}: {}", e.what, e.value));
    d.pair(" ", &format!("{}, {}", e.source, say::clock(e.at, state.shown_now())));
}

fn short(pane: PaneId) -> &'static str {
    match pane {
        PaneId::Health => "health",
        PaneId::Logs => "logs",
        PaneId::Paths => "paths",
        PaneId::Timeouts => "timeouts",
        PaneId::Metrics => "metrics",
        PaneId::Timeline => "timeline",
        PaneId::Diagnosis => "diagnosis",
        PaneId::Procedure => "procedure",
    }
}

/// Where the row stands that a piece of evidence was read from.
fn jump(state: &State, e: &Evidence) -> Option<Jump> {
    let rule = state.derived.timeouts.rules.iter().any(|r| r.text == e.value);
    let pane = match e.source.split_once(':') {
        _ if rule => PaneId::Timeouts,
        _ if e.source.starts_with("log ") => PaneId::Logs,
        Some(("cloudwatch", _)) => PaneId::Metrics,
        Some(("ec2", "DescribeInstances" | "DescribeInstanceStatus")) => PaneId::Health,
        Some(("ec2", _)) => PaneId::Paths,
        Some(("elbv2", _)) => PaneId::Health,
        Some(("logs", _)) => PaneId::Logs,
        // A change has its place in time.
        Some(("cloudtrail", _)) => PaneId::Timeline,
        _ => return None,
    };
    Some(Jump { pane, at: e.at, text: format!("{} {}", e.what, e.value).into() })
}

/// The step of the procedure that looks into a verdict: what `next` runs.
pub fn step_of(n: &Next, hop: Hop) -> Option<u8> {
    match n {
        Next::Mitigate(_) => Some(8),
        Next::Learn(_) => None,
        // What a request to the target itself tells, and nothing else does.
        Next::Check(
            "alb-target-keepalive-shorter"
            | "alb-target-response-malformed"
            | "alb-target-header-too-large"
            | "alb-content-length-mismatch"
            | "lb-listener-cert-problem",
        ) => Some(6),
        Next::Check(_) => Some(match hop {
            Hop::Client | Hop::Dns => 0,
            Hop::Alb | Hop::Tls | Hop::CloudFront | Hop::ApiGateway | Hop::Nlb | Hop::Clb => 4,
            Hop::Network => 3,
            Hop::Target => 2,
            Hop::Lambda | Hop::Dependency => 5,
            Hop::Deploy => 6,
        }),
    }
}

/// Times of evidence, for the row's own time.
pub fn newest(list: &[Evidence]) -> Option<Timestamp> {
    list.iter().filter(|e| e.polarity == Polarity::For).map(|e| e.at).max()
}
