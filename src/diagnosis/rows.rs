//! What the rows of the access log say in the window looked at: each failing
//! row is put under one shape, and shapes are counted by target, path,
//! duration. Source of the shapes: "Access logs" and "Troubleshoot your
//! Application Load Balancers", Elastic Load Balancing user guide.

use crate::situation::access::{AccessLog, AccessRow};
pub(super) use crate::situation::shape::Shape;
use crate::situation::shape::{Marks, shape as of_marks};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Failing rows of the window.
pub(super) struct Rows<'a> {
    pub log: &'a AccessLog,
    /// When they were read, and by what call.
    pub at: Timestamp,
    pub source: SafeText,
    from: Timestamp,
    scale: f64,
    failing: Vec<(Shape, &'a AccessRow)>,
    /// Rows in the window that are not failing.
    pub good: f64,
}

fn shape(r: &AccessRow, idle: f64) -> Shape {
    let marks = Marks {
        elb: r.elb,
        status: r.status,
        no_target: r.target.is_empty(),
        untimed: r.untimed(),
        took: r.took(),
        error_reason: r.error_reason.as_bytes(),
        actions: r.actions.as_bytes(),
    };
    of_marks(&marks, idle)
}

/// A name among rows with how much of them it has, and how much of its own
/// requests fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Top {
    pub name: SafeText,
    /// Of the rows looked at.
    pub share: f64,
    /// Failing of all requests with this name; `None` when good ones are not counted.
    pub rate: Option<f64>,
    /// Different names among the rows.
    pub of: usize,
}

impl<'a> Rows<'a> {
    /// The rows since `from`; `None` when the log has none so new.
    pub fn new(
        log: &'a AccessLog,
        at: Timestamp,
        source: &SafeText,
        from: Timestamp,
        idle: f64,
    ) -> Option<Rows<'a>> {
        log.newest.filter(|t| *t >= from)?;
        let failing: Vec<_> =
            log.failing.iter().filter(|r| r.at >= from).map(|r| (shape(r, idle), r)).collect();
        let all: f64 = log.minutes.iter().filter(|t| t.at >= from).map(|t| f64::from(t.rows)).sum();
        let scale = f64::from(log.thinned.max(1));
        let good = (all - failing.len() as f64 * scale).max(0.0);
        Some(Rows { log, at, source: source.clone(), from, scale, failing, good })
    }

    /// Rows of a shape.
    pub fn of(&self, s: Shape) -> impl Iterator<Item = &'a AccessRow> + '_ {
        self.failing.iter().filter(move |(of, _)| *of == s).map(|(_, r)| *r)
    }

    /// How many rows there are of a shape, all that were thinned out included.
    pub fn n(&self, s: Shape) -> f64 {
        self.of(s).count() as f64 * self.scale
    }

    /// Rows that a server's or the load balancer's fault made fail.
    fn faults(&self) -> f64 {
        let none = [Shape::Aborted, Shape::Rejected];
        self.failing.iter().filter(|(s, _)| !none.contains(s)).count() as f64 * self.scale
    }

    /// The faults that no rule answers by intent.
    pub fn unplanned(&self) -> f64 {
        self.faults() - self.n(Shape::Fixed)
    }

    /// A shape has the bulk of the faults.
    pub fn mostly(&self, s: Shape) -> bool {
        self.n(s) >= 3.0 && self.n(s) * 2.0 > self.faults()
    }

    /// The name most rows of a shape have.
    pub fn top(&self, s: Shape, name: impl Fn(&AccessRow) -> &SafeText, good: &[Good]) -> Option<Top> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut all = 0usize;
        for r in self.of(s) {
            *counts.entry(name(r).as_str()).or_default() += 1;
            all += 1;
        }
        let (top, n) = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?;
        let told: f64 = good.iter().filter(|g| g.0 == *top).map(|g| f64::from(g.1)).sum();
        let bad = *n as f64 * self.scale;
        let rate = (!good.is_empty()).then(|| bad / (bad + told).max(1.0));
        Some(Top { name: SafeText::from(*top), share: *n as f64 / all as f64, rate, of: counts.len() })
    }

    /// Good rows by path, in the window.
    pub fn good_paths(&self) -> Vec<Good<'a>> {
        self.log.paths.iter().filter(|p| p.at >= self.minute()).map(|p| Good(&p.of, p.rows)).collect()
    }

    /// Good rows by target, in the window.
    pub fn good_targets(&self) -> Vec<Good<'a>> {
        self.log.targets.iter().filter(|p| p.at >= self.minute()).map(|p| Good(&p.of, p.rows)).collect()
    }

    fn minute(&self) -> Timestamp {
        let s = self.from.as_second();
        Timestamp::from_second(s - s.rem_euclid(60)).unwrap_or(self.from)
    }

    /// Quantiles 0.1, 0.5, 0.9 of the durations of a shape, in seconds.
    pub fn took(&self, s: Shape) -> Option<(f64, f64, f64)> {
        let mut all: Vec<f64> = self.of(s).filter_map(AccessRow::took).collect();
        all.sort_by(f64::total_cmp);
        let q = |q: f64| all.get(((all.len().max(1) - 1) as f64 * q).round() as usize).copied();
        Some((q(0.1)?, q(0.5)?, q(0.9)?))
    }

    /// The median of a number of the rows of a shape.
    pub fn median(&self, s: Shape, value: impl Fn(&AccessRow) -> f64) -> Option<f64> {
        let mut all: Vec<f64> = self.of(s).map(value).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// The part of the rows of a shape that something holds for.
    pub fn part(&self, s: Shape, holds: impl Fn(&AccessRow) -> bool) -> f64 {
        let n = self.of(s).count();
        if n == 0 { 0.0 } else { self.of(s).filter(|r| holds(r)).count() as f64 / n as f64 }
    }

    /// Different minutes in which rows of a shape fall.
    pub fn minutes(&self, s: Shape) -> usize {
        let all: std::collections::BTreeSet<i64> =
            self.of(s).map(|r| r.at.as_second().div_euclid(60)).collect();
        all.len()
    }

    /// Of the requests that were sent on, the part that failed in this shape.
    pub fn share(&self, s: Shape) -> f64 {
        let n = self.n(s);
        n / (n + self.good).max(1.0)
    }

    /// One row in words: `GET /cart to 10.0.1.5:8080: 502 after 0.002 s`.
    pub fn sample(r: &AccessRow) -> String {
        let to = if r.target.is_empty() { String::new() } else { format!(" to {}", r.target) };
        let status = r.status.map_or(String::new(), |s| format!(" (target {s})"));
        let took = r.took().map_or(String::new(), |t| format!(" after {t:.3} s"));
        let reason = if r.error_reason.is_empty() { String::new() } else { format!(", {}", r.error_reason) };
        format!("{} {}{to}: {}{status}{took}{reason}", r.method, r.path, r.elb)
    }
}

/// Name and number of good rows of a minute.
pub(super) struct Good<'a>(&'a SafeText, u32);

#[cfg(test)]
mod tests {
    use super::*;

    fn row(elb: u16, status: Option<u16>, target: &str, times: [Option<f32>; 3], took: f64) -> AccessRow {
        AccessRow {
            at: "2026-11-22T01:40:00Z".parse().unwrap(),
            took_ms: Some((took * 1000.0) as u32),
            target: target.into(),
            request_s: times[0],
            target_s: times[1],
            response_s: times[2],
            elb,
            status,
            ..AccessRow::default()
        }
    }

    #[test]
    fn each_row_has_its_shape() {
        let none = [None; 3];
        let sent = [Some(0.0), Some(0.001), None];
        let mut lambda = row(502, None, "", [Some(0.0); 3], 0.1);
        lambda.error_reason = "LambdaInvalidResponse".into();
        let mut waf = row(500, None, "", none, 0.1);
        waf.actions = "waf-failed".into();
        let mut fixed = row(503, None, "", none, 0.0);
        fixed.actions = "fixed-response".into();
        for (r, want) in [
            (row(502, Some(502), "a:1", [Some(0.0); 3], 0.1), Shape::Answered),
            (lambda, Shape::Lambda),
            (waf, Shape::Auth),
            (fixed, Shape::Fixed),
            (row(502, None, "a:1", none, 0.004), Shape::Refused),
            (row(502, None, "a:1", sent, 0.002), Shape::Broken),
            (row(504, None, "a:1", none, 10.0), Shape::Unconnected),
            (row(504, None, "a:1", none, 60.0), Shape::Slow),
            (row(504, None, "a:1", [Some(0.0), None, None], 60.0), Shape::Slow),
            (row(503, None, "", none, 0.0), Shape::NoTarget),
            (row(460, None, "a:1", sent, 10.0), Shape::Aborted),
            (row(463, None, "", none, 0.0), Shape::Rejected),
        ] {
            assert_eq!(shape(&r, 60.0), want, "{r:?}");
        }
    }

    #[test]
    fn a_log_that_ends_before_the_window_says_nothing_of_it() {
        let log = AccessLog { newest: Some("2026-11-22T01:30:00Z".parse().unwrap()), ..AccessLog::default() };
        let at = "2026-11-22T01:50:00Z".parse().unwrap();
        let from = "2026-11-22T01:40:00Z".parse().unwrap();
        assert!(Rows::new(&log, at, &"s3".into(), from, 60.0).is_none());
        assert!(Rows::new(&log, at, &"s3".into(), log.newest.unwrap(), 60.0).is_some());
    }
}
