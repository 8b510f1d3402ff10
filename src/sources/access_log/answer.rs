//! What a reading of access logs says, ready to be shown or written.

use super::Format;
use super::engine::{Outcome, Unreadable};
pub use super::input::Problem;
pub use super::join::Joined;
use super::shapes;
use super::sketch::Sketch;
use super::tally::{SAMPLES, Sample};
use super::tops::Top;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Longest name shown.
const LONGEST: usize = 160;

/// Rows with a pair of statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What the client got, and what the target gave; `None` when none is told.
    pub lb: Option<u16>,
    pub target: Option<u16>,
    pub count: u64,
}

/// A name and how many rows have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: SafeText,
    pub count: u64,
    /// All rows that have it, failing or not, where they are counted.
    pub of: Option<u64>,
}

/// The names most rows of a kind have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// `paths`, `clients`...
    pub what: &'static str,
    pub list: Vec<Named>,
    /// Different names.
    pub distinct: usize,
    /// By how much counts may be too small; 0 when they are exact.
    pub lost: u64,
}

/// Quantiles of durations, in seconds, within [`super::sketch::ERROR`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    pub count: u64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

impl Times {
    pub(super) fn of(s: &Sketch) -> Times {
        Times {
            count: s.count(),
            p50: s.quantile(0.5),
            p90: s.quantile(0.9),
            p99: s.quantile(0.99),
            max: (s.count() > 0).then(|| s.max()),
        }
    }
}

/// One minute.
#[derive(Clone, Debug, PartialEq)]
pub struct MinuteLine {
    pub at: Timestamp,
    pub rows: u64,
    pub lb_502: u64,
    pub lb_503: u64,
    pub lb_504: u64,
    /// 502 for which no target gave a status.
    pub lb_502_bare: u64,
    /// Rows with a 5xx of anybody.
    pub faults: u64,
    /// 99 % of the target times are below this many seconds: a power of two of milliseconds.
    pub p99_below: Option<f64>,
    /// By pair of statuses.
    pub pairs: Vec<Pair>,
}

/// What is told of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetLine {
    pub name: SafeText,
    pub rows: u64,
    pub faults: u64,
    /// Before, in and after the target; `None` for targets beyond those timed.
    pub times: Option<[Times; 3]>,
}

/// Rows that speak for a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseLine {
    /// Id of the catalogue of causes.
    pub cause: &'static str,
    pub count: u64,
    pub samples: Vec<SafeText>,
}

/// A form that the failures have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeLine {
    pub shape: &'static str,
    pub why: SafeText,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub engine: &'static str,
    pub files: usize,
    pub bytes: u64,
    pub rows: u64,
    pub unparsed: u64,
    /// Rows outside of the window, left out by the filter, and out of order.
    pub outside: u64,
    pub filtered: u64,
    pub late: u64,
    /// Rows of minutes beyond those told apart.
    pub beyond: u64,
    pub formats: Vec<(Format, u64)>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub faults: u64,
    pub pairs: Vec<Pair>,
    pub targets_502: Names,
    pub target_time: Times,
    /// Before, in and after the target; then from request to response.
    pub phases: [Times; 4],
    pub targets: Vec<TargetLine>,
    pub minutes: Vec<MinuteLine>,
    pub onset: Option<Timestamp>,
    pub causes: Vec<CauseLine>,
    pub shapes: Vec<ShapeLine>,
    /// Among rows with a 5xx.
    pub tops: Vec<Names>,
    pub joined: Option<Joined>,
    pub problems: Vec<Problem>,
    pub more_problems: usize,
    /// What a person should know though nothing is missing.
    pub notes: Vec<Problem>,
    pub unreadable: Vec<Unreadable>,
    pub stopped: bool,
    pub seconds: f64,
    /// Idle timeout and deregistration delay, in seconds, that rows were judged by.
    pub judged_by: (f64, f64),
}

impl Answer {
    /// Makes sense of what was counted. `top` names are listed each.
    pub fn of(outcome: Outcome, top: usize, seconds: f64) -> Answer {
        let Outcome { tally: mut t, files, bytes, problems, more_problems, notes, unreadable, stopped } =
            outcome;
        let minutes = minutes(&t);
        let both = t.formats[Format::CloudFront as usize] > 0 && t.formats[Format::Alb as usize] > 0;
        let joined = std::mem::take(&mut t.hops).joined(both);
        let shapes = shapes::shapes(&t, &minutes, joined.as_ref());
        let stamp = |us: Option<i64>| us.and_then(|us| Timestamp::from_microsecond(us).ok());
        let mut pairs: Vec<Pair> = t.pairs.iter().map(|((lb, status), n)| pair(*lb, *status, *n)).collect();
        pairs.sort_by(|a, b| b.count.cmp(&a.count).then((a.lb, a.target).cmp(&(b.lb, b.target))));
        let mut targets: Vec<&super::tally::Target> = t.targets.values().collect();
        targets.sort_by(|a, b| b.faults.cmp(&a.faults).then(b.rows.cmp(&a.rows)).then(a.name.cmp(&b.name)));
        let targets: Vec<TargetLine> = targets
            .into_iter()
            .take(top)
            .map(|x| TargetLine {
                name: SafeText::capped(&x.name, LONGEST),
                rows: x.rows,
                faults: x.faults,
                times: x.times.as_ref().map(|t| t.each_ref().map(Times::of)),
            })
            .collect();
        let tops = [
            ("paths", &t.bad_paths, Some(&t.paths)),
            ("clients", &t.bad_networks, None),
            ("user agents", &t.bad_agents, None),
            ("nodes", &t.bad_nodes, None),
            ("groups", &t.bad_groups, None),
            ("reasons", &t.bad_reasons, None),
            ("classes", &t.bad_classes, None),
        ]
        .into_iter()
        .filter(|(_, bad, _)| !bad.is_empty())
        .map(|(what, bad, all)| names(what, bad, all, top))
        .collect();
        let formats =
            Format::ALL.into_iter().map(|f| (f, t.formats[f as usize])).filter(|f| f.1 > 0).collect();
        Answer {
            engine: "local",
            files,
            bytes,
            rows: t.rows,
            unparsed: t.unparsed,
            outside: t.outside,
            filtered: t.filtered,
            late: t.late,
            beyond: t.beyond,
            formats,
            from: stamp(t.first),
            to: stamp(t.last),
            faults: t.faults,
            pairs,
            targets_502: names("targets", &t.targets_502, None, top),
            target_time: Times::of(&t.times[1]),
            phases: t.times.each_ref().map(Times::of),
            targets,
            onset: shapes::onset(&minutes).map(|o| o.at),
            minutes,
            causes: causes(&t),
            shapes,
            tops,
            joined,
            problems,
            more_problems,
            notes,
            unreadable,
            stopped,
            seconds,
            judged_by: (t.rules.idle, t.rules.deregistration),
        }
    }
}

fn pair(lb: u16, status: u16, count: u64) -> Pair {
    let some = |s: u16| (s != 0).then_some(s);
    Pair { lb: some(lb), target: some(status), count }
}

fn names(what: &'static str, bad: &Top, all: Option<&Top>, top: usize) -> Names {
    Names {
        what,
        list: bad
            .best(top)
            .into_iter()
            .map(|(number, name, count)| Named {
                name: SafeText::capped(name, LONGEST),
                count,
                of: all.map(|a| a.count(number).max(count)),
            })
            .collect(),
        distinct: bad.len(),
        lost: bad.lost(),
    }
}

fn minutes(t: &super::tally::Tally) -> Vec<MinuteLine> {
    let mut all: Vec<&(i64, super::tally::Minute)> = t.minutes.iter().collect();
    all.sort_by_key(|m| m.0);
    all.into_iter()
        .filter_map(|(minute, m)| {
            let mut line = MinuteLine {
                at: Timestamp::from_second(minute.checked_mul(60)?).ok()?,
                rows: u64::from(m.rows),
                lb_502: 0,
                lb_503: 0,
                lb_504: 0,
                lb_502_bare: 0,
                faults: 0,
                p99_below: p99(&m.steps),
                pairs: Vec::with_capacity(m.pairs.len()),
            };
            for (number, n) in &m.pairs {
                let ((lb, status), n) = (t.pairs.get(usize::from(*number))?.0, u64::from(*n));
                match lb {
                    502 => line.lb_502 += n,
                    503 => line.lb_503 += n,
                    504 => line.lb_504 += n,
                    _ => {}
                }
                if (lb, status) == (502, 0) {
                    line.lb_502_bare += n;
                }
                if lb >= 500 || status >= 500 {
                    line.faults += n;
                }
                line.pairs.push(pair(lb, status, n));
            }
            line.pairs.sort_by(|a, b| b.count.cmp(&a.count).then((a.lb, a.target).cmp(&(b.lb, b.target))));
            Some(line)
        })
        .collect()
}

fn p99(steps: &[u32]) -> Option<f64> {
    let all: u64 = steps.iter().map(|n| u64::from(*n)).sum();
    let rank = (all as f64 * 0.99) as u64;
    let mut seen = 0;
    for (i, n) in steps.iter().enumerate() {
        seen += u64::from(*n);
        if *n > 0 && seen > rank.min(all - 1) {
            return Some((1u64 << i) as f64 / 1e3);
        }
    }
    None
}

/// Causes of 5xx first, each kind by count.
fn causes(t: &super::tally::Tally) -> Vec<CauseLine> {
    let mut all: BTreeMap<&'static str, (u64, Vec<Sample>)> = shapes::settle(t);
    for (cause, (n, samples)) in &t.causes {
        let mine = all.entry(cause).or_default();
        mine.0 += n;
        mine.1.extend(samples.0.iter().cloned());
        mine.1.sort();
        mine.1.truncate(SAMPLES);
    }
    let theirs = |cause: &str| cause.starts_with("client-");
    let mut out: Vec<CauseLine> = all
        .into_iter()
        .map(|(cause, (count, samples))| CauseLine {
            cause,
            count,
            samples: samples.into_iter().map(|s| s.text).collect(),
        })
        .collect();
    out.sort_by(|a, b| {
        theirs(a.cause).cmp(&theirs(b.cause)).then(b.count.cmp(&a.count)).then(a.cause.cmp(b.cause))
    });
    out
}
