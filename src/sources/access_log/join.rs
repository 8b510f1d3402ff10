//! Which hop gave a status: failing rows of CloudFront against failing rows of
//! the load balancer behind it, by time and path. A cache forwards what its
//! origin answers, so that the same failure stands in both logs.

use super::tally::total;
use super::tops::Naming;
use super::{Format, Row};

/// Rows kept of each side.
const MOST: usize = 40_000;
/// Clocks of the two, and the way between them, in us.
const SLACK: i64 = 2_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hop {
    at: i64,
    took: i64,
    path: u64,
    status: u16,
}

/// Failing rows of both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Hops {
    edge: Vec<Hop>,
    lb: Vec<Hop>,
    /// Rows that were not kept.
    left: u64,
}

/// What the two logs say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Failing rows of CloudFront.
    pub edge: u64,
    /// Of these, the load balancer gave the same status.
    pub relayed: u64,
    /// The load balancer failed as well, with another status.
    pub changed: u64,
    /// There is no failing row of the load balancer.
    pub alone: u64,
    /// Rows beyond what is compared.
    pub left: u64,
}

impl Hops {
    pub fn add(&mut self, format: Format, r: &Row<'_>, naming: &Naming) {
        if r.lb < 460 {
            return;
        }
        let side = if format == Format::CloudFront { &mut self.edge } else { &mut self.lb };
        if side.len() >= MOST {
            self.left += 1;
            return;
        }
        side.push(Hop { at: r.at, took: total(r).max(0), path: naming.of(r.path), status: r.lb });
    }

    pub fn merge(&mut self, other: Hops) {
        self.left += other.left;
        for (mine, theirs) in [(&mut self.edge, other.edge), (&mut self.lb, other.lb)] {
            let room = MOST.saturating_sub(mine.len()).min(theirs.len());
            self.left += (theirs.len() - room) as u64;
            mine.extend(&theirs[..room]);
        }
    }

    /// `None` unless both sides were read.
    pub fn joined(mut self, both: bool) -> Option<Joined> {
        if !both || self.edge.is_empty() {
            return None;
        }
        self.edge.sort_unstable();
        self.lb.sort_unstable_by_key(|h| (h.path, h.at));
        let mut used = vec![false; self.lb.len()];
        let mut out = Joined { edge: self.edge.len() as u64, left: self.left, ..Joined::default() };
        for e in &self.edge {
            let from = self.lb.partition_point(|h| (h.path, h.at) < (e.path, e.at - e.took - SLACK));
            let near = |i: &usize| self.lb[*i].path == e.path && self.lb[*i].at <= e.at + SLACK;
            let fits: Vec<usize> =
                (from..self.lb.len()).take_while(near).filter(|i| !used[*i]).take(200).collect();
            let same = fits.iter().find(|i| self.lb[**i].status == e.status);
            match same.or(fits.first()) {
                Some(i) => {
                    used[*i] = true;
                    if self.lb[*i].status == e.status { out.relayed += 1 } else { out.changed += 1 }
                }
                None => out.alone += 1,
            }
        }
        Some(out)
    }
}
