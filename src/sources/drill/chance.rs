//! Seeded chance: the same seed tells the same story. Every actor draws from a
//! stream of its own, so that what one does never shifts the draws of another.

/// A stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of one actor.
    pub fn new(seed: u64, actor: &str) -> Chance {
        // FNV-1a: stable from build to build, which the standard hasher is not.
        let mut h = 0xcbf2_9ce4_8422_2325_u64;
        for b in actor.bytes() {
            h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
        Chance(h ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `low` up to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// 0 to `n - 1`; 0 for none.
    pub fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n.max(1)).unwrap_or(1);
        usize::try_from(self.next() % n).unwrap_or(0)
    }

    /// True with this probability.
    pub fn happens(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Time until the next of events that come by chance, this far apart on average.
    pub fn wait(&mut self, mean: f64) -> f64 {
        -(1.0 - self.unit()).max(1e-12).ln() * mean
    }

    /// One of them, by weight.
    pub fn pick<'a, T>(&mut self, list: &'a [(f64, T)]) -> Option<&'a T> {
        let all: f64 = list.iter().map(|x| x.0).sum();
        let mut at = self.unit() * all;
        for (w, x) in list {
            at -= w;
            if at < 0.0 {
                return Some(x);
            }
        }
        list.last().map(|x| &x.1)
    }

    /// So many hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut out = String::with_capacity(digits + 16);
        while out.len() < digits {
            out.push_str(&format!("{:016x}", self.next()));
        }
        out.truncate(digits);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_story() {
        let draw = |seed, actor: &str| {
            let mut c = Chance::new(seed, actor);
            (0..4).map(|_| c.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "web-1"), draw(7, "web-1"));
        assert_ne!(draw(7, "web-1"), draw(8, "web-1"));
        assert_ne!(draw(7, "web-1"), draw(7, "web-2"));
    }

    #[test]
    fn draws_are_spread() {
        let mut c = Chance::new(1, "x");
        let mean = (0..4000).map(|_| c.wait(3.0)).sum::<f64>() / 4000.0;
        assert!((2.7..3.3).contains(&mean), "{mean}");
        let hits = (0..4000).filter(|_| c.happens(0.25)).count();
        assert!((850..1150).contains(&hits), "{hits}");
        let list = [(9.0, 'a'), (1.0, 'b')];
        let a = (0..1000).filter(|_| c.pick(&list) == Some(&'a')).count();
        assert!((850..950).contains(&a), "{a}");
        assert_eq!(c.hex(21).len(), 21);
        assert!((0..100).all(|_| c.below(3) < 3));
    }
}
