//! What `badgate check` says: the document other programs read
//! (`badgate.check/1`), the same for people at 80 columns, and the exit code.

use super::verdicts::{self, RiskLine, VerdictLine};
use crate::diagnosis::Judgement;
use crate::diagnosis::catalogue::Catalogue;
use crate::diagnosis::hops::{self, Hop, Status};
use crate::diagnosis::verdict::Standing;
use crate::procedure::{CheckResult, Level, StepResult, StepState};
use crate::situation::{Reason, Situation, Topic};
use crate::text::{SafeText, width};
use jiff::Timestamp;
use serde::Serialize;

/// Name and version of the JSON shape. Members may be added within a version;
/// none is renamed, removed or given another meaning.
pub const SCHEMA: &str = "badgate.check/1";

/// What `badgate check --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub schema: &'static str,
    /// As typed.
    pub target: SafeText,
    /// When the last answer was judged.
    pub at: Timestamp,
    pub situation: Picture,
    pub steps: Vec<StepLine>,
    /// Best first.
    pub verdicts: Vec<VerdictLine>,
    /// What could cause a 502 and shows no trace now.
    pub risks: Vec<RiskLine>,
    /// Everything that decides whether a cause can be told was observed.
    #[serde(skip)]
    enough: bool,
    /// Requests fail, or targets do.
    #[serde(skip)]
    trouble: bool,
}

/// The request path, and what is not known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picture {
    /// Front to back.
    pub hops: Vec<HopLine>,
    /// Always in English, as `reason` is meant for programs too.
    pub unknown: Vec<Unknown>,
}

/// One hop. `kind` is `client`, `dns`, `alb`, `listener`, `target_group`,
/// `target` or `dependency`; `status` is `ok`, `warn`, `bad` or `unknown`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HopLine {
    pub kind: hops::HopKind,
    pub name: SafeText,
    pub status: Status,
    pub why: SafeText,
}

/// Something that could not be observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    pub what: SafeText,
    pub reason: SafeText,
}

/// One step of the procedure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepLine {
    pub id: u8,
    pub title: SafeText,
    /// `done`, `found N`, `partial`, `nothing known` or `by hand`.
    pub state: StepState,
    /// What was found and what is not known, worst first.
    pub findings: Vec<SafeText>,
    /// The same in full: what was asked, levels, evidence, commands.
    pub checks: Vec<CheckResult>,
}

impl Report {
    /// The document on a situation and what was judged of it.
    pub fn new(
        target: impl Into<SafeText>,
        at: Timestamp,
        s: &Situation,
        steps: &[StepResult],
        judged: &Judgement,
        words: &Catalogue,
    ) -> Report {
        let (verdicts, risks) = verdicts::lines(judged, words);
        Report {
            schema: SCHEMA,
            target: target.into(),
            at,
            trouble: judged.diagnosis.trouble || useless(s),
            enough: essentials(s).is_empty(),
            situation: Picture {
                hops: judged.hops.iter().cloned().map(HopLine::from).collect(),
                unknown: unknown(s),
            },
            steps: steps.iter().map(StepLine::from).collect(),
            verdicts,
            risks,
        }
    }

    /// The document when nothing could be observed at all: a program that reads
    /// it finds the reason where it finds all others.
    pub fn unseen(target: impl Into<SafeText>, at: Timestamp, reason: SafeText) -> Report {
        Report {
            schema: SCHEMA,
            target: target.into(),
            at,
            situation: Picture {
                hops: Vec::new(),
                unknown: vec![Unknown { what: SafeText::from_static("target"), reason }],
            },
            steps: Vec::new(),
            verdicts: Vec::new(),
            risks: Vec::new(),
            enough: false,
            trouble: false,
        }
    }

    /// As JSON, indented, with a line feed at the end.
    pub fn to_json(&self) -> String {
        // Nothing in it can fail to serialise: no map with odd keys, no foreign type.
        serde_json::to_string_pretty(self).map(|s| s + "\n").unwrap_or_default()
    }

    /// Exit code of `badgate check`:
    ///
    /// - 0: everything that matters was observed, and nothing is wrong or no
    ///   cause is better than possible.
    /// - 1: a cause is confirmed or likely.
    /// - 3: no cause is confirmed or likely, and that says nothing, because too
    ///   little was observed, or because requests or targets plainly fail and
    ///   no cause is even possible.
    ///
    /// 2 is for usage and comes before there is a report.
    pub fn exit_code(&self) -> u8 {
        let best = self.verdicts.iter().map(|v| v.standing).min();
        exit_code(best, self.enough, self.trouble)
    }
}

/// True when the load balancer cannot serve anybody, whatever the counts say.
fn useless(s: &Situation) -> bool {
    s.lb().is_some_and(|l| {
        l.lb.value().is_some_and(|lb| lb.state.as_str() == "failed")
            || l.listeners.value().is_some_and(Vec::is_empty)
    })
}

/// See [`Report::exit_code`]. `best` is the strongest standing of any cause,
/// `None` when no cause was judged; `trouble`: requests or targets fail.
pub fn exit_code(best: Option<Standing>, enough: bool, trouble: bool) -> u8 {
    match best {
        Some(Standing::Confirmed | Standing::Likely) => 1,
        _ if !enough => 3,
        Some(Standing::Possible) => 0,
        _ if trouble => 3,
        _ => 0,
    }
}

impl From<Hop> for HopLine {
    fn from(h: Hop) -> Self {
        HopLine { kind: h.kind, name: h.name, status: h.status, why: h.why }
    }
}

impl From<&StepResult> for StepLine {
    fn from(r: &StepResult) -> Self {
        StepLine {
            id: r.id,
            title: r.title.clone(),
            state: r.state,
            findings: texts(r),
            checks: r.checks.clone(),
        }
    }
}

/// Every finding once, worst first.
fn texts(r: &StepResult) -> Vec<SafeText> {
    let mut out: Vec<SafeText> = Vec::new();
    for f in r.findings() {
        if !out.contains(&f.text) {
            out.push(f.text.clone());
        }
    }
    out
}

/// Topics without which nothing can be said about a 502: what stands where,
/// how each target is, and whether requests fail.
fn essentials(s: &Situation) -> Vec<(Topic, Reason)> {
    let mut out = Vec::new();
    let mut need = |topic: Topic, why: Option<Reason>| {
        if let Some(reason) = why {
            out.push((topic, reason));
        }
    };
    need(Topic::Target, s.target.why_unknown());
    if let Some(t) = s.target.value() {
        let f = &s.fronts;
        let why = |d: Option<Option<Reason>>| d.unwrap_or(Some(Reason::NotAsked));
        let mut front = |topic: Topic, id: &SafeText, d: Option<Option<Reason>>| {
            need(topic, why(d));
            let metrics = f.metrics.get(id).map(|m| m.why_unknown());
            need(Topic::FrontMetrics(id.clone()), why(metrics));
        };
        if !t.distribution.is_empty() {
            let id = &t.distribution;
            front(Topic::Distribution(id.clone()), id, f.distributions.get(id).map(|d| d.why_unknown()));
        }
        if !t.api.is_empty() {
            front(Topic::Api(t.api.clone()), &t.api, f.apis.get(&t.api).map(|d| d.why_unknown()));
        }
        if !t.classic.is_empty() {
            let id = &t.classic;
            front(Topic::Classic(id.clone()), id, f.classics.get(id).map(|d| d.why_unknown()));
        }
        if !t.function.is_empty() {
            let id = &t.function;
            front(Topic::Function(id.clone()), id, s.functions.get(id).map(|d| d.why_unknown()));
        }
        if !t.classic.is_empty() {
            let health = f.instance_health.get(&t.classic).map(|d| d.why_unknown());
            need(Topic::InstanceHealth(t.classic.clone()), why(health));
        }
        let alone = [&t.distribution, &t.api, &t.classic, &t.function].iter().any(|x| !x.is_empty());
        if alone && t.lb.is_empty() {
            return out;
        }
    }
    let Some(arn) = s.lb_arn().cloned() else {
        need(Topic::LoadBalancer(SafeText::default()), Some(Reason::NotAsked));
        return out;
    };
    let Some(lb) = s.lb() else {
        need(Topic::LoadBalancer(arn), Some(Reason::NotAsked));
        return out;
    };
    need(Topic::LoadBalancer(arn.clone()), lb.lb.why_unknown());
    need(Topic::Listeners(arn.clone()), lb.listeners.why_unknown());
    need(Topic::TargetGroups(arn.clone()), lb.groups.why_unknown());
    need(Topic::Metrics(arn), lb.metrics.why_unknown());
    for (tg, group) in s.active_groups() {
        need(Topic::TargetHealth(tg.clone()), group.health.why_unknown());
    }
    out
}

/// Everything whose newest attempt failed, and what nobody asked but matters.
fn unknown(s: &Situation) -> Vec<Unknown> {
    let mut out: Vec<Unknown> = Vec::new();
    let mut add = |what: String, reason: &Reason| {
        let line = Unknown { what: what.into(), reason: reason.phrase().into() };
        if !out.contains(&line) {
            out.push(line);
        }
    };
    for (topic, reason) in essentials(s) {
        add(topic.to_string(), &reason);
    }
    for (topic, what, reason) in parts(s) {
        add(format!("{what} of {topic}"), &reason);
    }
    for (topic, gap) in &s.gaps {
        if !matches!(gap.reason, Reason::NotApplicable { .. }) {
            add(topic.to_string(), &gap.reason);
        }
    }
    out
}

/// Parts of answers that could not be read, though the rest was.
fn parts(s: &Situation) -> Vec<(Topic, SafeText, Reason)> {
    let mut out = Vec::new();
    for (id, d) in &s.fronts.apis {
        for (what, why) in d.value().into_iter().flat_map(|a| &a.gaps) {
            out.push((Topic::Api(id.clone()), what.clone(), why.clone()));
        }
    }
    for (id, d) in &s.functions {
        for (what, why) in d.value().into_iter().flat_map(|f| &f.gaps) {
            out.push((Topic::Function(id.clone()), what.clone(), why.clone()));
        }
    }
    for (id, d) in &s.beside.checks {
        for (what, why) in d.value().into_iter().flat_map(|c| &c.gaps) {
            out.push((Topic::HealthCheck(id.clone()), what.clone(), why.clone()));
        }
    }
    for (id, d) in &s.beside.releases {
        if let Some(why) = d.value().into_iter().flatten().find_map(|r| r.untold.clone()) {
            out.push((Topic::Releases(id.clone()), "functions".into(), why));
        }
    }
    for (vpc, d) in &s.beside.caches {
        for (what, why) in d.value().into_iter().flat_map(|c| &c.gaps) {
            out.push((Topic::Caches(vpc.clone()), what.clone(), why.clone()));
        }
    }
    for (id, d) in &s.fronts.classics {
        if let Some(why) = d.value().and_then(|c| c.gap.clone()) {
            out.push((Topic::Classic(id.clone()), "attributes".into(), why));
        }
    }
    out
}

/// Columns of the text form.
const COLUMNS: usize = 80;

impl Report {
    /// For people: no colour, at most 80 columns but for commands, which stay
    /// in one piece so that they can be pasted.
    pub fn to_text(&self) -> String {
        let mut out = format!("badgate check {}   {}\n", self.target, self.at.strftime("%Y-%m-%d %H:%M:%SZ"));
        out.push_str("\nPath\n");
        for h in &self.situation.hops {
            let head = format!("  {:<8}{:<13}{}  ", h.status.word(), h.kind.word(), h.name);
            wrap(&mut out, &head, 23, &h.why);
        }
        if !self.situation.unknown.is_empty() {
            out.push_str("\nNot known\n");
            for u in &self.situation.unknown {
                wrap(&mut out, "  ?  ", 5, &format!("{}: {}", u.what, u.reason));
            }
        }
        for step in &self.steps {
            let head = format!("\n{} {}", step.id, step.title);
            let pad =
                COLUMNS.saturating_sub(width(head.trim_start()) + width(&step.state.to_string())).max(2);
            out.push_str(&format!("{head}{:pad$}{}\n", "", step.state));
            let mut said = Vec::new();
            for c in &step.checks {
                check(&mut out, c, &mut said);
            }
        }
        verdicts::text(&mut out, &self.verdicts, &self.risks);
        out
    }
}

/// `said` are the gaps of this step that were told already.
fn check(out: &mut String, c: &CheckResult, said: &mut Vec<SafeText>) {
    out.push_str(&format!("  {}\n", c.title));
    let mut findings: Vec<_> = c.findings.iter().collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.level));
    for f in findings {
        if f.level == Level::Unknown {
            // A check must not stand there as if it had nothing to say.
            if said.contains(&f.text) && c.findings.len() + c.manual.len() > 1 {
                continue;
            }
            said.push(f.text.clone());
        }
        // Sign and word: the sign alone is lost on a screen reader.
        let head = match f.level {
            Level::Found => "    x found    ",
            Level::Unknown => "    ? unknown  ",
            Level::Ok => "    + ok       ",
            Level::Info => "    - info     ",
            Level::Manual => "    > by hand  ",
        };
        wrap(out, head, 15, &f.text);
    }
    // Lines that reach a host by themselves are long; the JSON has them.
    for m in c.manual.iter().filter(|m| m.host.is_empty()) {
        let sign = if m.changes { "!" } else { "#" };
        wrap(out, &format!("        {sign} "), 10, &m.what);
        out.push_str(&format!("        {}\n", m.run));
    }
}

/// Writes `head` and then the text, broken at blanks where there are any and
/// between characters where there are none (Japanese), each further line
/// indented by `indent`.
pub(super) fn wrap(out: &mut String, head: &str, indent: usize, text: &str) {
    use unicode_segmentation::UnicodeSegmentation;
    let mut line = head.to_owned();
    let mut used = width(head);
    let start = |line: &mut String, used: &mut usize, out: &mut String| {
        out.push_str(line.trim_end());
        out.push('\n');
        *line = " ".repeat(indent);
        *used = indent;
    };
    if used > COLUMNS.saturating_sub(20) {
        start(&mut line, &mut used, out);
    }
    for atom in atoms(text) {
        let w = width(atom);
        let blank = atom.chars().all(char::is_whitespace);
        if used + w > COLUMNS && used > indent {
            start(&mut line, &mut used, out);
            if blank {
                continue;
            }
        }
        if w > COLUMNS - indent {
            for g in atom.graphemes(true) {
                if used + width(g) > COLUMNS {
                    start(&mut line, &mut used, out);
                }
                line.push_str(g);
                used += width(g);
            }
            continue;
        }
        line.push_str(atom);
        used += w;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Pieces a line is not broken within: words with their punctuation, blanks,
/// and single characters of scripts that are written without blanks.
fn atoms(text: &str) -> impl Iterator<Item = &str> {
    use unicode_segmentation::UnicodeSegmentation;
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.graphemes(true).next()?;
        let blank = first.chars().all(char::is_whitespace);
        let mut end = first.len();
        if first.is_ascii() {
            let bytes = rest.as_bytes();
            while end < bytes.len() && bytes[end].is_ascii() && bytes[end].is_ascii_whitespace() == blank {
                end += 1;
            }
        }
        // A closing mark stays with what it closes.
        for g in
            rest[end..].graphemes(true).take_while(|g| matches!(*g, "\u{3002}" | "\u{3001}" | "\u{ff09}"))
        {
            end += g.len();
        }
        let (atom, tail) = rest.split_at(end);
        rest = tail;
        Some(atom)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_contract() {
        use Standing::*;
        let table = [
            (Some(Confirmed), true, true, 1),
            (Some(Likely), true, true, 1),
            (Some(Confirmed), false, true, 1),
            (Some(Possible), true, true, 0),
            (Some(Possible), false, true, 3),
            (Some(RuledOut), true, false, 0),
            (Some(RuledOut), false, false, 3),
            (Some(RuledOut), true, true, 3),
            (Some(Unchecked), true, true, 3),
            (Some(Unchecked), true, false, 0),
            (None, true, false, 0),
            (None, true, true, 3),
            (None, false, false, 3),
        ];
        for (best, enough, trouble, want) in table {
            assert_eq!(exit_code(best, enough, trouble), want, "{best:?} enough={enough} trouble={trouble}");
        }
    }

    #[test]
    fn lines_break_at_blanks_and_within_text_that_has_none() {
        for text in [
            "word ".repeat(60),
            "手順書のとおりに確認します。".repeat(12),
            "x".repeat(300),
            "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop/50dc6c49 ".repeat(4),
            String::new(),
        ] {
            let mut out = String::new();
            wrap(&mut out, "    + ok       ", 15, &text);
            for line in out.lines() {
                assert!(width(line) <= COLUMNS, "{line}");
            }
            let joined: String = out.split_whitespace().skip(2).collect();
            assert_eq!(joined, text.split_whitespace().collect::<String>());
        }
    }
}
