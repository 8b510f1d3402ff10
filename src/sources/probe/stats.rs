//! The little statistics a repeated probe needs.

use crate::situation::probe::{Share, Split};
use std::collections::BTreeMap;

/// A proportion with Wilson's score interval at 95 %: it holds for few
/// requests and for proportions near 0 and 1 too.
pub fn share(count: u32, of: u32) -> Share {
    if of == 0 {
        return Share { high: 1.0, ..Share::default() };
    }
    const Z: f64 = 1.959_964;
    let (n, p) = (f64::from(of), f64::from(count) / f64::from(of));
    let z2 = Z * Z;
    let middle = p + z2 / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    let low = if count == 0 { 0.0 } else { ((middle - spread) / scale).max(0.0) };
    let high = if count == of { 1.0 } else { ((middle + spread) / scale).min(1.0) };
    Share { count, of, share: p, low, high }
}

/// Failures by what requests have in common.
pub fn split(all: impl Iterator<Item = (String, bool)>) -> Vec<Split> {
    let mut by: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for (key, failed) in all {
        let entry = by.entry(key).or_default();
        entry.0 += u32::from(failed);
        entry.1 += 1;
    }
    by.into_iter().map(|(of, (failed, n))| Split { of: of.into(), failed: share(failed, n) }).collect()
}

/// Upper bounds of the latency histogram, milliseconds.
const BOUNDS: [f64; 11] = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0];

/// Counts by latency; empty ends are left out.
pub fn histogram(all: impl Iterator<Item = f64>) -> Vec<(Option<f64>, u32)> {
    let mut counts = [0u32; BOUNDS.len() + 1];
    for ms in all {
        counts[BOUNDS.iter().position(|b| ms <= *b).unwrap_or(BOUNDS.len())] += 1;
    }
    let used = |c: &u32| *c > 0;
    let (Some(first), Some(last)) = (counts.iter().position(used), counts.iter().rposition(used)) else {
        return Vec::new();
    };
    (first..=last).map(|i| (BOUNDS.get(i).copied(), counts[i])).collect()
}

/// Do two groups differ beyond chance: their intervals do not touch.
pub fn apart(a: &Share, b: &Share) -> bool {
    a.of > 0 && b.of > 0 && (a.low > b.high || b.low > a.high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_s_interval() {
        // Reference values: 0 of 10 -> 0..0.2775; 1 of 100 -> 0.0018..0.0545; 5 of 10 -> 0.2366..0.7634.
        for (count, of, low, high) in
            [(0, 10, 0.0, 0.2775), (1, 100, 0.0018, 0.0545), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
        {
            let s = share(count, of);
            assert!((s.low - low).abs() < 5e-4 && (s.high - high).abs() < 5e-4, "{s:?}");
        }
        assert_eq!((share(0, 0).low, share(0, 0).high), (0.0, 1.0));
        assert!(apart(&share(0, 200), &share(20, 100)));
        assert!(!apart(&share(1, 10), &share(3, 10)));
    }

    #[test]
    fn latencies_are_counted_between_the_first_and_the_last_bound_used() {
        let h = histogram([7.0, 8.0, 90.0, 20_000.0].into_iter());
        assert_eq!(h.first(), Some(&(Some(10.0), 2)));
        assert_eq!(h.last(), Some(&(None, 1)));
        assert_eq!(h.iter().map(|(_, n)| n).sum::<u32>(), 4);
        assert!(histogram(std::iter::empty()).is_empty());
    }
}
