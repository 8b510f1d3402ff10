//! Time series as CloudWatch answers them.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which series: exact-match dimensions, one statistic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricKey {
    /// e.g. `AWS/ApplicationELB`.
    pub namespace: SafeText,
    /// e.g. `HTTPCode_ELB_502_Count`.
    pub name: SafeText,
    /// `Sum`, `Average`, `Maximum`, `Minimum`, `p50`, `p99`.
    pub stat: SafeText,
    /// What the series is about: an ARN or a resource id of ours.
    pub subject: SafeText,
    /// Availability zone, or empty for all of them.
    pub az: SafeText,
}

impl MetricKey {
    /// A key of the `AWS/ApplicationELB` namespace over all zones.
    pub fn alb(subject: impl Into<SafeText>, name: &str, stat: &str) -> Self {
        MetricKey {
            namespace: SafeText::from("AWS/ApplicationELB"),
            name: SafeText::from(name),
            stat: SafeText::from(stat),
            subject: subject.into(),
            az: SafeText::from(""),
        }
    }
}

/// A period counts as settled this many seconds after its end. The nodes of a
/// load balancer report one by one, so a newer point may still grow, and a
/// minute in which one series has its point and another has none may only be
/// half told.
pub const SETTLING_S: i64 = 120;

/// One series. A minute without a point is *absent*, which is not zero:
/// load balancers publish nothing when there is nothing to report, so absence
/// means zero only where `RequestCount` has a point for the same minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub key: MetricKey,
    /// Seconds per point.
    pub period_s: u32,
    /// Start of period and value, ascending by time.
    pub points: Vec<(Timestamp, f64)>,
}

impl Series {
    /// The newest point.
    pub fn last(&self) -> Option<(Timestamp, f64)> {
        self.points.last().copied()
    }

    /// The points of periods that are settled at `now`.
    pub fn settled(&self, now: Timestamp) -> &[(Timestamp, f64)] {
        let last = now.as_second() - SETTLING_S - i64::from(self.period_s);
        &self.points[..self.points.partition_point(|p| p.0.as_second() <= last)]
    }

    /// The value of the period that starts at `t`.
    pub fn at(&self, t: Timestamp) -> Option<f64> {
        self.points.binary_search_by_key(&t, |p| p.0).ok().map(|i| self.points[i].1)
    }

    /// Sum of points in `[from, to)`; `None` when there is not one.
    pub fn sum(&self, from: Timestamp, to: Timestamp) -> Option<f64> {
        let mut hit = self.points.iter().filter(|p| p.0 >= from && p.0 < to).peekable();
        hit.peek()?;
        Some(hit.map(|p| p.1).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_minutes_are_not_settled() {
        let at = |t: &str| format!("2026-11-22T{t}Z").parse::<Timestamp>().unwrap();
        let points = ["01:50:00", "01:51:00", "01:52:00"].map(|t| (at(t), 1.0)).to_vec();
        let series = Series { key: MetricKey::alb("arn", "RequestCount", "Sum"), period_s: 60, points };
        assert_eq!(series.settled(at("01:53:50")).len(), 1);
        assert_eq!(series.settled(at("01:54:00")).len(), 2);
        assert_eq!(series.settled(at("01:55:00")).len(), 3);
        assert_eq!(series.settled(at("01:50:30")).len(), 0);
        assert_eq!(series.sum(at("01:50:00"), at("01:52:00")), Some(2.0));
        assert_eq!(series.sum(at("02:50:00"), at("03:52:00")), None, "absent is not zero");
    }
}
