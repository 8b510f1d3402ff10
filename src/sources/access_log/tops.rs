//! The names that have most rows, in bounded memory (the summary of J. Misra
//! and D. Gries, "Finding repeated elements", 1982, in its mergeable form): as
//! long as there are no more names than fit, counts are exact; beyond, each is
//! too small by at most [`Top::lost`].

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// Longest name kept, in bytes.
const LONGEST: usize = 240;

/// Hashes keys that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// A map whose keys are hashes already.
pub(super) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Same>>;

/// How names become numbers: keyed, so that nobody who writes into a log can
/// choose names that meet, and the same in all threads.
#[derive(Clone, Debug, Default)]
pub struct Naming(foldhash::fast::RandomState);

impl Naming {
    /// The number of a name.
    #[inline]
    pub fn of(&self, name: &[u8]) -> u64 {
        let mut h = self.0.build_hasher();
        h.write(name);
        h.finish()
    }

    /// The number of anything.
    pub fn of_any(&self, what: impl Hash) -> u64 {
        self.0.hash_one(what)
    }
}

/// Names with their counts.
#[derive(Clone, Debug)]
pub struct Top {
    names: ByHash<(Box<[u8]>, u64)>,
    most: usize,
    lost: u64,
}

impl Top {
    /// Counts are exact up to `most` names.
    pub fn new(most: usize) -> Top {
        Top { names: ByHash::default(), most: most.max(1), lost: 0 }
    }

    /// Counts `n` of a name; `hash` is its number.
    #[inline]
    pub fn add(&mut self, hash: u64, name: &[u8], n: u64) {
        if let Some(known) = self.names.get_mut(&hash) {
            known.1 += n;
            return;
        }
        if self.names.len() >= self.most * 2 {
            self.prune();
        }
        self.names.insert(hash, (name[..name.len().min(LONGEST)].into(), n));
    }

    /// What is lost when there are twice as many names as are kept: the
    /// count of the first that is dropped is taken from all.
    fn prune(&mut self) {
        let mut counts: Vec<u64> = self.names.values().map(|n| n.1).collect();
        if counts.len() <= self.most {
            return;
        }
        let (_, cut, _) = counts.select_nth_unstable_by(self.most, |a, b| b.cmp(a));
        let cut = *cut;
        self.lost += cut;
        self.names.retain(|_, n| {
            n.1 = n.1.saturating_sub(cut);
            n.1 > 0
        });
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Top) {
        self.lost += other.lost;
        for (hash, (name, n)) in other.names {
            match self.names.get_mut(&hash) {
                Some(known) => known.1 += n,
                None => {
                    self.names.insert(hash, (name, n));
                }
            }
        }
        if self.names.len() > self.most * 2 {
            self.prune();
        }
    }

    /// By how much a count may be too small; 0 when all are exact.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Different names seen; at least so many once counts are not exact.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// No name was counted.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The count of a name.
    pub fn count(&self, hash: u64) -> u64 {
        self.names.get(&hash).map_or(0, |n| n.1)
    }

    /// The name behind a number, while it is kept.
    pub fn name(&self, hash: u64) -> Option<&[u8]> {
        self.names.get(&hash).map(|n| &*n.0)
    }

    /// Sum of all counts kept.
    pub fn total(&self) -> u64 {
        self.names.values().map(|n| n.1).sum()
    }

    /// Names by falling count, then by name; `(number, name, count)`.
    pub fn best(&self, n: usize) -> Vec<(u64, &[u8], u64)> {
        let mut all: Vec<(u64, &[u8], u64)> =
            self.names.iter().map(|(h, (name, n))| (*h, &**name, *n)).collect();
        all.sort_unstable_by(|a, b| b.2.cmp(&a.2).then(a.1.cmp(b.1)));
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn fill(names: &Naming, most: usize, rows: &[u16]) -> Top {
        let mut t = Top::new(most);
        for r in rows {
            let name = format!("/p/{r}");
            t.add(names.of(name.as_bytes()), name.as_bytes(), 1);
        }
        t
    }

    proptest! {
        #[test]
        fn counts_are_exact_or_within_what_was_lost(
            rows in prop::collection::vec(prop_oneof![3 => 0u16..4, 1 => 0u16..400], 0..3000),
            cut in 0usize..3000,
            most in 4usize..64,
        ) {
            let names = Naming::default();
            let cut = cut.min(rows.len());
            let mut t = fill(&names, most, &rows[..cut]);
            t.merge(fill(&names, most, &rows[cut..]));
            let mut real: BTreeMap<u16, u64> = BTreeMap::new();
            rows.iter().for_each(|r| *real.entry(*r).or_default() += 1);
            for (r, n) in &real {
                let told = t.count(names.of(format!("/p/{r}").as_bytes()));
                prop_assert!(told <= *n && told + t.lost() >= *n, "{} told {told} of {n}, lost {}", r, t.lost());
            }
            prop_assert!(t.lost() <= rows.len() as u64 / most as u64 + 1, "the bound is rows / names kept");
            prop_assert!(t.len() <= most * 2);
            if real.len() <= most {
                prop_assert_eq!(t.lost(), 0);
            }
        }
    }
}
