//! Which hop gave a status: failing rows of CloudFront against failing rows of
//! the load balancer behind it, by trace id where both have the same one, else by
//! time and path. A cache forwards what its origin answers, so that the same
//! failure stands in both logs.

use super::tally::total;
use super::tops::Naming;
use super::{Format, Row};
use std::collections::HashMap;

/// Rows kept of each side.
const MOST: usize = 40_000;
/// Clocks of the two, and the way between them, in us.
const SLACK: i64 = 2_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hop {
    at: i64,
    took: i64,
    path: u64,
    /// Number of the trace id; 0 when there is none.
    trace: u64,
    status: u16,
    /// The target gave the same status.
    target: bool,
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
    /// ... which a target had given it.
    pub by_target: u64,
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
        let trace = root(r.trace);
        side.push(Hop {
            at: r.at,
            took: total(r).max(0),
            path: naming.of(r.path),
            trace: if trace.is_empty() { 0 } else { naming.of(trace) },
            status: r.lb,
            target: r.status == r.lb,
        });
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
        let by_trace: HashMap<u64, usize> =
            self.lb.iter().enumerate().filter(|(_, h)| h.trace != 0).map(|(i, h)| (h.trace, i)).collect();
        let mut out = Joined { edge: self.edge.len() as u64, left: self.left, ..Joined::default() };
        for e in &self.edge {
            let from = self.lb.partition_point(|h| (h.path, h.at) < (e.path, e.at - e.took - SLACK));
            let near = |i: &usize| self.lb[*i].path == e.path && self.lb[*i].at <= e.at + SLACK;
            let fits: Vec<usize> =
                (from..self.lb.len()).take_while(near).filter(|i| !used[*i]).take(200).collect();
            let same = fits.iter().find(|i| self.lb[**i].status == e.status);
            let traced = by_trace.get(&e.trace).filter(|i| e.trace != 0 && !used[**i]);
            match traced.or(same).or(fits.first()) {
                Some(i) => {
                    used[*i] = true;
                    let lb = self.lb[*i];
                    if lb.status == e.status {
                        out.relayed += 1;
                        out.by_target += u64::from(lb.target);
                    } else {
                        out.changed += 1;
                    }
                }
                None => out.alone += 1,
            }
        }
        Some(out)
    }
}

/// What names the request in a trace header: `Root=1-67891233-abcdef012345678912345678`
/// of `Self=...;Root=...;Parent=...`, else all of it.
fn root(trace: &[u8]) -> &[u8] {
    trace.split(|c| *c == b';').find(|p| p.starts_with(b"Root=")).unwrap_or(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, path: &'static str, trace: &'static str, lb: u16, status: u16) -> Row<'static> {
        Row { at, lb, status, took: 1_000, path: path.as_bytes(), trace: trace.as_bytes(), ..Row::default() }
    }

    #[test]
    fn a_trace_id_joins_what_time_and_path_do_not() {
        let naming = Naming::default();
        let mut hops = Hops::default();
        let mut edge = |r: Row<'_>| hops.add(Format::CloudFront, &r, &naming);
        edge(row(1_000_000, "/a", "Root=1-aa-1", 502, 0));
        edge(row(1_000_000, "/b", "edge-id-of-its-own", 502, 0));
        edge(row(1_000_000, "/c", "Root=1-cc-1", 502, 0));
        edge(row(1_000_000, "/d", "", 504, 0));
        // Rewritten on the way, and much later by the other clock.
        hops.add(Format::Alb, &row(90_000_000, "/x/a", "Self=1-0-0;Root=1-aa-1", 502, 502), &naming);
        hops.add(Format::Alb, &row(1_100_000, "/b", "Root=1-bb-1", 502, 0), &naming);
        hops.add(Format::Alb, &row(90_000_000, "/c", "Root=1-cc-2", 502, 0), &naming);
        let j = hops.joined(true).unwrap();
        assert_eq!((j.edge, j.relayed, j.by_target, j.changed, j.alone), (4, 2, 1, 0, 2));
    }
}
