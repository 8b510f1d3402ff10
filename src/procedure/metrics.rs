//! Metrics of the load balancer as checks read them.

use super::desk::Desk;
use crate::situation::metric::MetricKey;
use crate::situation::{Situation, Topic};
use crate::text::SafeText;
use jiff::Timestamp;

/// A count over the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Count {
    Known(f64),
    /// No point, and no requests in the same time: nothing can be said.
    NoTraffic,
}

impl Count {
    /// The number; nothing counted is zero.
    pub fn value(self) -> f64 {
        match self {
            Count::Known(v) => v,
            Count::NoTraffic => 0.0,
        }
    }
}

/// A count of the load balancer over `[from, to)`. CloudWatch publishes no
/// point for zero, so absence is zero only where requests were counted.
pub(crate) fn count(s: &Situation, subject: &SafeText, name: &str, from: Timestamp, to: Timestamp) -> Count {
    let sum =
        |name: &str| s.series(&MetricKey::alb(subject.clone(), name, "Sum")).and_then(|x| x.sum(from, to));
    match sum(name) {
        Some(v) => Count::Known(v),
        // Requests without a usable target are not in RequestCount, so any
        // other point of the load balancer shows that it was at work.
        None if sum("RequestCount").is_some() => Count::Known(0.0),
        None => Count::NoTraffic,
    }
}

/// Highest point of a series in the window with its time.
pub(crate) fn highest(
    s: &Situation,
    subject: &SafeText,
    name: &str,
    stat: &str,
    from: Timestamp,
    to: Timestamp,
) -> Option<(Timestamp, f64)> {
    s.series(&MetricKey::alb(subject.clone(), name, stat))?
        .points
        .iter()
        .filter(|p| p.0 >= from && p.0 < to)
        .copied()
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Reads that metrics were fetched at all; the reason is noted when they were not.
pub(crate) fn fetched(d: &mut Desk<'_>) -> Option<super::Evidence> {
    d.read_lb(|l| &l.metrics, Topic::Metrics).map(|(_, e)| e)
}
