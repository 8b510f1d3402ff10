//! A mergeable sketch of durations: how many fell into each of many small
//! ranges that grow with the value. Two sketches added give what one would
//! have that had seen both.

/// A value and the one a fine sketch gives for it differ by this part at most.
pub const ERROR: f64 = 1.0 / 256.0;
/// The same of a coarse one: of these there are many, and they should stay in
/// the processor's cache.
pub const COARSE_ERROR: f64 = 1.0 / 64.0;

/// Ranges an octave is cut into, as a power of two.
const FINE: u32 = 7;
const COARSE: u32 = 5;
/// Longest duration told apart: 2^36 us are 19 hours.
const LONGEST: u64 = 1 << 36;

/// Durations in microseconds.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// Values below `1 << bits` one by one, then as many ranges for each
    /// octave; as long as the largest value needs.
    counts: Vec<u32>,
    bits: u32,
    /// Some value is no whole number of milliseconds.
    fine: bool,
    max: u64,
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch { counts: Vec::new(), bits: FINE, max: 0, fine: false }
    }
}

impl Sketch {
    /// One that is right within [`COARSE_ERROR`] only.
    pub fn coarse() -> Sketch {
        Sketch { bits: COARSE, ..Sketch::default() }
    }

    /// Takes a duration; a negative one is none.
    #[inline]
    pub fn add(&mut self, micros: i64) {
        if let Ok(v) = u64::try_from(micros) {
            let i = place(v.min(LONGEST - 1), self.bits);
            if i >= self.counts.len() {
                self.grow(i);
            }
            self.counts[i] = self.counts[i].saturating_add(1);
            self.max = self.max.max(v);
            self.fine |= v % 1_000 != 0;
        }
    }

    /// Whole octaves, so that it happens a dozen times at most.
    #[cold]
    fn grow(&mut self, i: usize) {
        self.counts.resize(((i >> self.bits) + 1) << self.bits, 0);
    }

    /// Adds what another, as fine as this, has seen.
    pub fn merge(&mut self, other: &Sketch) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            *a = a.saturating_add(*b);
        }
        self.max = self.max.max(other.max);
        self.fine |= other.fine;
    }

    /// Durations seen.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|n| u64::from(*n)).sum()
    }

    /// The longest, exactly, in seconds.
    pub fn max(&self) -> f64 {
        self.max as f64 / 1e6
    }

    /// The value in seconds that a part `q` of all is below, within [`ERROR`]
    /// of the true one: the value at position `floor(q * count)` of all in order.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let rank = ((count as f64 * q) as u64).min(count.checked_sub(1)?);
        let mut seen = 0;
        for (low, width, n) in self.ranges() {
            seen += n;
            if seen > rank {
                return Some(self.within(low, width) as f64 / 1e6);
            }
        }
        None
    }

    /// What stands for the values of a range: its middle, or the whole
    /// milliseconds in it when the log has no finer ones.
    fn within(&self, low: u64, width: u64) -> u64 {
        let middle = low + width / 2;
        let middle = if self.fine || width < 2 {
            middle
        } else {
            let near = (middle + 500) / 1_000 * 1_000;
            let up = low.div_ceil(1_000) * 1_000;
            match (near >= low && near < low + width, up < low + width) {
                (true, _) => near,
                (false, true) => up,
                (false, false) => middle,
            }
        };
        middle.min(self.max)
    }

    /// Ranges that hold something, in order: lowest value, width (both us), count.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let (bits, first) = (self.bits, 1u64 << self.bits);
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(move |(i, n)| {
            let (octave, slot) = (i >> bits, i as u64 & (first - 1));
            let (low, width) = match octave {
                0 => (slot, 1),
                o => ((first + slot) << (o - 1), 1 << (o - 1)),
            };
            (low, width, u64::from(*n))
        })
    }

    /// The value around which most lie within `part` of it on either side, in
    /// seconds, and how many do, looking at values of at least `least` seconds.
    pub fn densest(&self, part: f64, least: f64) -> Option<(f64, u64)> {
        let all: Vec<(f64, u64)> = self
            .ranges()
            .map(|(low, width, n)| (self.within(low, width) as f64 / 1e6, n))
            .filter(|(v, _)| *v >= least)
            .collect();
        let (mut best, mut from, mut sum) = (None::<(usize, usize, u64)>, 0, 0);
        for (to, (v, n)) in all.iter().enumerate() {
            sum += n;
            while all[from].0 < v * (1.0 - part) / (1.0 + part) {
                sum -= all[from].1;
                from += 1;
            }
            if best.is_none_or(|b| sum > b.2) {
                best = Some((from, to, sum));
            }
        }
        let (from, to, n) = best?;
        let total: f64 = all[from..=to].iter().map(|(v, n)| v * *n as f64).sum();
        Some((total / n as f64, n))
    }
}

#[inline]
fn place(v: u64, bits: u32) -> usize {
    // The octave in front, the ranges within it behind: one number.
    let shift = (63 - (v | 1).leading_zeros()).saturating_sub(bits);
    let octave = usize::from(v >> bits != 0);
    ((octave * shift as usize) << bits) + (v >> shift) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> Sketch {
        let mut s = Sketch::default();
        values.iter().for_each(|v| s.add(*v));
        s
    }

    #[test]
    fn nothing_has_no_quantile() {
        let s = of(&[-1]);
        assert_eq!((s.count(), s.quantile(0.5), s.densest(0.05, 0.0)), (0, None, None));
    }

    #[test]
    fn whole_milliseconds_stay_whole() {
        let s = of(&(0..500).map(|ms| ms * 1_000).collect::<Vec<_>>());
        assert_eq!(s.quantile(0.5), Some(0.25));
        assert_eq!(s.quantile(0.2), Some(0.1));
        assert_eq!(s.max(), 0.499);
    }

    #[test]
    fn a_cluster_is_found_among_what_is_spread() {
        let mut all: Vec<i64> = (0..60).map(|i| 29_900_000 + i * 3_000).collect();
        all.extend((0..60).map(|i| 100_000 + i * 300_000));
        let (at, n) = of(&all).densest(0.03, 1.0).unwrap();
        assert!((29.8..30.2).contains(&at) && n >= 60, "{at} {n}");
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_bound(
            mut values in prop::collection::vec(prop_oneof![0i64..2_000, 0i64..100_000_000, 0i64..1 << 35], 1..400),
            q in 0.0f64..1.0,
        ) {
            let mut coarse = Sketch::coarse();
            values.iter().for_each(|v| coarse.add(*v));
            let s = of(&values);
            values.sort_unstable();
            let rank = ((values.len() as f64 * q) as usize).min(values.len() - 1);
            for (s, error) in [(&s, ERROR), (&coarse, COARSE_ERROR)] {
                let (told, real) = (s.quantile(q).unwrap() * 1e6, values[rank] as f64);
                prop_assert!((told - real).abs() <= real * error + 0.501, "{told} for {real}");
            }
            prop_assert_eq!(s.max(), *values.last().unwrap() as f64 / 1e6);
        }

        #[test]
        fn parts_added_are_the_whole(a in prop::collection::vec(0i64..1 << 34, 0..200), b in prop::collection::vec(0i64..1 << 34, 0..200)) {
            let mut parts = of(&a);
            parts.merge(&of(&b));
            let whole = of(&[a, b].concat());
            prop_assert_eq!(parts.ranges().collect::<Vec<_>>(), whole.ranges().collect::<Vec<_>>());
            prop_assert_eq!(parts.quantile(0.9), whole.quantile(0.9));
        }
    }
}
