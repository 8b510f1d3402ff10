//! Rows of which only all together tell the cause: connections that a target
//! broke off or did not take, counted by target, path and duration.

use super::tally::Sample;
use super::tops::ByHash;

/// Groups kept; beyond, rows are counted by target only.
const MOST: usize = 4_096;

/// Target times below this are a request that met a closing connection, in us.
pub(super) const SHORT: i64 = 10_000;
/// Larger requests are large, in bytes.
pub(super) const LARGE: u64 = 64 << 10;

/// What rows of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// Refused, not broken off.
    pub refused: bool,
    /// Number of the target's name.
    pub target: u64,
    /// Number of the path's name; 0 when paths are not told apart.
    pub path: u64,
    /// See [`class`].
    pub class: u8,
    /// The request was large.
    pub large: bool,
}

/// Rows of a group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub key: Key,
    pub rows: u64,
    pub first: i64,
    pub last: i64,
    pub sample: Option<Sample>,
}

/// Groups by the number of their key.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(pub ByHash<Group>);

impl Groups {
    /// Where a row of this key is counted; `coarse` is its number without path.
    pub fn entry(&mut self, number: u64, coarse: u64, key: Key, at: i64) -> &mut Group {
        let (number, key) = if self.0.len() < MOST || self.0.contains_key(&number) {
            (number, key)
        } else {
            (coarse, Key { path: 0, class: coarse_class(key.class), ..key })
        };
        self.0.entry(number).or_insert(Group { key, rows: 0, first: at, last: at, sample: None })
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Groups) {
        for (number, theirs) in other.0 {
            match self.0.get_mut(&number) {
                Some(mine) => {
                    mine.rows += theirs.rows;
                    mine.first = mine.first.min(theirs.first);
                    mine.last = mine.last.max(theirs.last);
                    if theirs.sample.as_ref().is_some_and(|s| mine.sample.as_ref().is_none_or(|m| s < m)) {
                        mine.sample = theirs.sample;
                    }
                }
                None => {
                    self.0.insert(number, theirs);
                }
            }
        }
    }
}

/// Where paths are not told apart any more, durations are by octave.
pub(super) fn coarse_class(class: u8) -> u8 {
    if class < 2 { class } else { 2 + (class - 2) / 14 * 14 }
}

/// 0: below 10 ms, 1: below 100 ms, then a class for each 5 %.
pub(super) fn class(micros: i64) -> u8 {
    if micros < SHORT {
        0
    } else if micros < 100_000 {
        1
    } else {
        2 + ((micros as f64 / 100_000.0).ln() / 1.05f64.ln()).min(253.0) as u8
    }
}

/// Lowest and highest value of a class, in seconds.
pub(super) fn bounds(class: u8) -> (f64, f64) {
    match class {
        0 => (0.0, 0.01),
        1 => (0.01, 0.1),
        c => (0.1 * 1.05f64.powi(i32::from(c) - 2), 0.1 * 1.05f64.powi(i32::from(c) - 1)),
    }
}
