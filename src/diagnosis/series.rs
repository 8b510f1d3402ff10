//! What the metrics of a load balancer say: sparklines aligned to minutes, and
//! the moment the 5xx responses stepped up.
//!
//! Load balancers publish nothing for a minute in which there is nothing to
//! report. A count that is absent is zero only where `RequestCount` has a point
//! for the same minute; otherwise it is unknown.

use crate::situation::metric::{MetricKey, Series};
use crate::situation::{Reason, Situation};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What the numbers of a [`Spark`] count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Requests or connections per minute.
    Count,
    Seconds,
    Hosts,
}

/// One series, a slot a minute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spark {
    /// Stable id: `requests`, `elb_502`, `target_5xx`, `p99`, `healthy`...
    pub id: &'static str,
    /// For a screen, at most 20 columns: `502 by LB`, `healthy web`.
    pub label: SafeText,
    pub unit: Unit,
    /// Oldest first; `None` where nothing is known.
    pub values: Vec<Option<f64>>,
    /// The newest known slot: its minute and value.
    pub last: Option<(Timestamp, f64)>,
    /// Sum over the window for counts, `None` for other units and when nothing is known.
    pub total: Option<f64>,
    /// A rise is bad (errors, latency), or a fall (healthy hosts), or neither.
    pub bad: Bad,
}

/// Which way a series gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bad {
    Up,
    Down,
    Neither,
}

/// The metrics of the load balancer in view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Start of the first slot.
    pub from: Timestamp,
    /// Start of the last slot.
    pub to: Timestamp,
    pub sparks: Vec<Spark>,
    /// Why there is nothing at all; `None` when there is.
    pub unknown: Option<Reason>,
}

impl Summary {
    /// A series by id; for `healthy`, the first group's.
    pub fn get(&self, id: &str) -> Option<&Spark> {
        self.sparks.iter().find(|s| s.id == id)
    }
}

/// Id, label, metric.
const COUNTS: [(&str, &str, &str, Bad); 7] = [
    ("requests", "requests", "RequestCount", Bad::Neither),
    ("elb_502", "502 by LB", "HTTPCode_ELB_502_Count", Bad::Up),
    ("elb_503", "503 by LB", "HTTPCode_ELB_503_Count", Bad::Up),
    ("elb_504", "504 by LB", "HTTPCode_ELB_504_Count", Bad::Up),
    ("elb_5xx", "5xx by LB", "HTTPCode_ELB_5XX_Count", Bad::Up),
    ("target_5xx", "5xx by target", "HTTPCode_Target_5XX_Count", Bad::Up),
    ("connect_errors", "connection errors", "TargetConnectionErrorCount", Bad::Up),
];

/// Sparklines over the last `minutes` minutes before the situation's own now.
/// `None` while no load balancer is in view or nothing was observed at all.
pub fn summary(s: &Situation, minutes: usize) -> Option<Summary> {
    let (arn, at) = (s.lb_arn()?, s.at?);
    let to = floor_minute(at);
    let slots = slots(to, minutes.clamp(1, 1440));
    let requests = s.series(&MetricKey::alb(arn.clone(), "RequestCount", "Sum"));
    let mut sparks = Vec::new();
    for (id, label, metric, bad) in COUNTS {
        let series = s.series(&MetricKey::alb(arn.clone(), metric, "Sum"));
        let values = slots.iter().map(|t| count_at(series, requests, *t)).collect();
        sparks.push(spark(id, label.into(), Unit::Count, bad, values, &slots));
    }
    for (id, stat) in [("p50", "p50"), ("p99", "p99")] {
        let series = s.series(&MetricKey::alb(arn.clone(), "TargetResponseTime", stat));
        let values = slots.iter().map(|t| minute(series, *t)).collect();
        let label = format!("response {stat}");
        sparks.push(spark(id, label.into(), Unit::Seconds, Bad::Up, values, &slots));
    }
    for (tg, state) in s.active_groups() {
        let name = state.group.as_ref().map_or_else(|| tg.clone(), |g| g.name.clone());
        if state.group.as_ref().is_some_and(|g| g.target_type.as_str() == "lambda") {
            continue;
        }
        let series = ["Maximum", "Average", "Minimum"]
            .iter()
            .find_map(|stat| s.series(&MetricKey::alb(tg.clone(), "HealthyHostCount", stat)));
        let values = slots.iter().map(|t| minute(series, *t)).collect();
        let label = SafeText::from(format!("healthy {name}"));
        sparks.push(spark("healthy", label, Unit::Hosts, Bad::Down, values, &slots));
    }
    let nothing = sparks.iter().all(|x| x.last.is_none());
    let unknown = nothing.then(|| {
        s.lb()
            .and_then(|l| l.metrics.why_unknown())
            .unwrap_or_else(|| Reason::NotFound { what: "data points: no traffic in this window".into() })
    });
    Some(Summary { from: slots.first().copied().unwrap_or(to), to, sparks, unknown })
}

fn spark(
    id: &'static str,
    label: SafeText,
    unit: Unit,
    bad: Bad,
    values: Vec<Option<f64>>,
    slots: &[Timestamp],
) -> Spark {
    let last = values.iter().zip(slots).rev().find_map(|(v, t)| v.map(|v| (*t, v)));
    let total = (unit == Unit::Count && last.is_some()).then(|| values.iter().flatten().sum());
    Spark { id, label, unit, values, last, total, bad }
}

fn floor_minute(t: Timestamp) -> Timestamp {
    let s = t.as_second();
    Timestamp::from_second(s - s.rem_euclid(60)).unwrap_or(t)
}

/// Minutes up to and including `to`, oldest first.
fn slots(to: Timestamp, minutes: usize) -> Vec<Timestamp> {
    let back = |i: usize| SignedDuration::from_mins(i64::try_from(i).unwrap_or(0));
    (0..minutes).rev().filter_map(|i| to.checked_sub(back(i)).ok()).collect()
}

/// The value of a minute, also where points cover longer periods.
fn minute(series: Option<&Series>, t: Timestamp) -> Option<f64> {
    let s = series?;
    let i = s.points.partition_point(|p| p.0 <= t).checked_sub(1)?;
    let (start, v) = s.points[i];
    let period = i64::from(s.period_s.max(1));
    (t.as_second() - start.as_second() < period && v.is_finite()).then_some(v)
}

/// A count in a minute: its point, or zero where requests were counted. Counts
/// over longer periods are spread evenly.
fn count_at(series: Option<&Series>, requests: Option<&Series>, t: Timestamp) -> Option<f64> {
    let spread = |s: &Series| f64::from(s.period_s.max(60)) / 60.0;
    match minute(series, t) {
        Some(v) => Some(v / series.map_or(1.0, spread)),
        None => minute(requests, t).map(|_| 0.0),
    }
}

/// When the 5xx responses stepped up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Onset {
    /// Start of the first minute of the raised level.
    pub at: Timestamp,
    /// Start of the first minute after it, when it is over.
    pub until: Option<Timestamp>,
    /// 5xx per minute outside.
    pub baseline: f64,
    /// 5xx per minute inside.
    pub level: f64,
    /// The same in a sentence.
    pub why: SafeText,
}

/// Minutes looked back at most.
const LOOK_BACK: usize = 360;
/// Known minutes wanted before the step.
const BEFORE: usize = 3;
/// Gain in log-likelihood a step needs over "no step". 12 is odds of about
/// 160,000 to one for counts that vary by chance alone.
const GAIN: f64 = 12.0;

/// The step of the 5xx series (of the load balancer and of its targets), if
/// there is a clear one.
///
/// A scan over all intervals of minutes: the one in which a higher constant
/// rate explains the counts best (Poisson likelihood ratio) is the candidate.
/// It counts when the gain is at least [`GAIN`], the rate is at least double
/// the rate outside and half a response a minute above it, the median minute
/// inside is above nine in ten of those outside (a lone spike is no step), and
/// at least [`BEFORE`] known minutes lie before it (else it may have been so
/// all along). Minutes without data count neither way. It is over only when a
/// minute that is whole ([`whole_until`]) lies behind it. No randomness: the
/// same series gives the same answer.
pub fn onset(s: &Situation) -> Option<Onset> {
    onset_of(s, s.lb_arn()?)
}

/// [`onset`] of one load balancer, in view or not.
pub fn onset_of(s: &Situation, lb: &SafeText) -> Option<Onset> {
    let (minutes, known) = errors(s, lb, LOOK_BACK)?;
    step(&minutes, &known, whole_until(s.at), "5xx responses")
}

/// The 5xx responses of the load balancer in view and of its targets, a minute
/// each, oldest first, over at most `minutes` minutes before the newest
/// observation. Minutes nobody told of are left out: they are unknown, not zero.
pub fn errors_per_minute(s: &Situation, minutes: usize) -> Vec<(Timestamp, f64)> {
    let found = s.lb_arn().and_then(|lb| errors(s, lb, minutes));
    found.map(|(at, counts)| at.into_iter().zip(counts).collect()).unwrap_or_default()
}

/// The step of the sum of some counts of a load balancer that has not ended:
/// `None` when the last twenty minutes have hardly any.
pub fn step_of(s: &Situation, lb: &SafeText, names: &[&str]) -> Option<Onset> {
    let at = s.at?;
    let series = |name: &str| s.series(&MetricKey::alb(lb.clone(), name, "Sum"));
    let requests = series("RequestCount");
    let (mut minutes, mut known) = (Vec::new(), Vec::new());
    for t in slots(floor_minute(at), LOOK_BACK) {
        let told: Vec<f64> = names.iter().filter_map(|n| count_at(series(n), requests, t)).collect();
        if !told.is_empty() {
            minutes.push(t);
            known.push(told.iter().sum::<f64>().max(0.0));
        }
    }
    // Only what still goes on is asked for, and a scan is not for nothing.
    let lately: f64 = known.iter().rev().take(20).sum();
    if lately < 10.0 {
        return None;
    }
    step(&minutes, &known, whole_until(s.at), names.first().copied().unwrap_or_default())
}

/// Minutes that begin after this are still being counted: the one that runs,
/// and the one before it, whose counts may not all have been published. That
/// they are low does not say that something ended.
pub(super) fn whole_until(at: Option<Timestamp>) -> Timestamp {
    at.and_then(|t| t.checked_sub(SignedDuration::from_mins(2)).ok()).unwrap_or(Timestamp::MAX)
}

pub(super) fn step(minutes: &[Timestamp], known: &[f64], whole: Timestamp, what: &str) -> Option<Onset> {
    let n = known.len();
    let sum: f64 = known.iter().sum();
    if n <= BEFORE || sum <= 0.0 {
        return None;
    }
    let mut prefix = Vec::with_capacity(n + 1);
    prefix.push(0.0);
    for v in known {
        prefix.push(prefix[prefix.len() - 1] + v);
    }
    let mut best: Option<(f64, usize, usize)> = None;
    for i in BEFORE..n {
        for j in i + 1..=n {
            let (inside, m) = (prefix[j] - prefix[i], (j - i) as f64);
            let (outside, k) = (sum - inside, n as f64 - m);
            if inside / m <= outside / k {
                continue;
            }
            let gain = part(inside, m) + part(outside, k) - part(sum, n as f64);
            if best.is_none_or(|(g, _, _)| gain > g + 1e-9) {
                best = Some((gain, i, j));
            }
        }
    }
    let (gain, i, j) = best?;
    let inside = &known[i..j];
    let outside: Vec<f64> = known[..i].iter().chain(&known[j..]).copied().collect();
    let until = minutes.get(j).copied().filter(|t| *t <= whole);
    let level = inside.iter().sum::<f64>() / inside.len() as f64;
    let baseline = outside.iter().sum::<f64>() / outside.len().max(1) as f64;
    let clear = gain >= GAIN
        && level >= 2.0 * baseline + 0.5
        && quantile(inside, 0.5) > quantile(&outside, 0.9)
        // One minute alone may only be the newest: it has just begun.
        && (inside.len() > 1 || j == n);
    if !clear {
        return None;
    }
    let at = minutes[i];
    let over = until.map_or(String::new(), |u| format!(" until {}", clock(u)));
    let why =
        format!("{what} went from {} to {} a minute at {}{over}", figure(baseline), figure(level), clock(at));
    Some(Onset { at, until, baseline, level, why: why.into() })
}

/// Known minutes and the 5xx in each, oldest first.
fn errors(s: &Situation, arn: &SafeText, minutes: usize) -> Option<(Vec<Timestamp>, Vec<f64>)> {
    let at = s.at?;
    let series = |name: &str| s.series(&MetricKey::alb(arn.clone(), name, "Sum"));
    let requests = series("RequestCount");
    let parts = [
        "HTTPCode_ELB_500_Count",
        "HTTPCode_ELB_502_Count",
        "HTTPCode_ELB_503_Count",
        "HTTPCode_ELB_504_Count",
    ]
    .map(series);
    let (elb, target) = (series("HTTPCode_ELB_5XX_Count"), series("HTTPCode_Target_5XX_Count"));
    // Fixed responses are in none of those counts.
    let fixed = if answers_5xx(s, arn) { series("HTTP_Fixed_Response_Count") } else { None };
    let mut out = (Vec::new(), Vec::new());
    for t in slots(floor_minute(at), minutes) {
        let single: Vec<f64> = parts.iter().filter_map(|p| count_at(*p, None, t)).collect();
        let split = (!single.is_empty()).then(|| single.iter().sum::<f64>());
        // The 5XX series holds the single codes too: the larger of the two counts.
        let lb = match (split, count_at(elb, None, t)) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let behind = count_at(target, None, t);
        let fixed = fixed.and_then(|f| count_at(Some(f), None, t));
        let lb = match (lb, fixed) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
        let quiet = minute(requests, t).map(|_| 0.0);
        let v = match (lb, behind) {
            (None, None) => quiet,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
        if let Some(v) = v {
            out.0.push(t);
            out.1.push(v.max(0.0));
        }
    }
    Some(out)
}

/// 5xx of a load balancer and its targets since a moment, as far as known.
pub(super) fn failures_since(s: &Situation, lb: &SafeText, from: Timestamp) -> Option<f64> {
    let (minutes, known) = errors(s, lb, LOOK_BACK)?;
    let inside: Vec<f64> = minutes.iter().zip(&known).filter(|(t, _)| **t >= from).map(|(_, n)| *n).collect();
    (!inside.is_empty()).then(|| inside.iter().sum())
}

/// Have the requests of a load balancer all but ceased in the last minutes?
pub(super) fn ran_dry(s: &Situation, lb: &SafeText) -> bool {
    let Some(x) = s.series(&MetricKey::alb(lb.clone(), "RequestCount", "Sum")) else { return false };
    let Some(at) = s.at else { return false };
    let recent = at.checked_sub(SignedDuration::from_mins(8)).unwrap_or(at);
    let mut before: Vec<f64> = x.points.iter().filter(|p| p.0 < recent).map(|p| p.1).collect();
    before.sort_by(f64::total_cmp);
    let usual = before.get(before.len() / 2).copied().unwrap_or(0.0);
    let now: f64 = x.points.iter().filter(|p| p.0 >= recent).map(|p| p.1).sum::<f64>() / 8.0;
    usual >= 5.0 && now < usual * 0.3
}

/// Does an action of the load balancer answer with a 5xx by itself?
fn answers_5xx(s: &Situation, lb: &SafeText) -> bool {
    let Some(lb) = s.lbs.get(lb) else { return false };
    let listeners = lb.listeners.value().into_iter().flatten().flat_map(|l| &l.default_actions);
    let rules = lb.rules.values().filter_map(|d| d.value()).flatten().flat_map(|r| &r.actions);
    listeners.chain(rules).any(|a| a.kind.as_str() == "fixed-response" && a.status.is_some_and(|n| n >= 500))
}

/// Log-likelihood of `sum` events in `len` minutes at their own rate, without
/// the terms that cancel.
fn part(sum: f64, len: f64) -> f64 {
    if sum <= 0.0 || len <= 0.0 { 0.0 } else { sum * (sum / len).ln() }
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    let i = ((v.len().saturating_sub(1)) as f64 * q).round() as usize;
    v.get(i).copied().unwrap_or(0.0)
}

fn clock(t: Timestamp) -> String {
    t.strftime("%H:%MZ").to_string()
}

fn figure(v: f64) -> String {
    if v >= 10.0 { format!("{v:.0}") } else { format!("{v:.1}") }
}
