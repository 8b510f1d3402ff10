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
