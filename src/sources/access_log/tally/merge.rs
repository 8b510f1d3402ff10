//! How counts of parts are added up.

use super::{TARGETS, Tally};

impl Tally {
    /// Adds what another has counted by the same rules.
    pub fn merge(&mut self, other: Tally) {
        self.rows += other.rows;
        self.outside += other.outside;
        self.filtered += other.filtered;
        self.unparsed += other.unparsed;
        self.late += other.late;
        self.beyond += other.beyond;
        self.faults += other.faults;
        self.large_good += other.large_good;
        for (mine, theirs) in self.formats.iter_mut().zip(other.formats) {
            *mine += theirs;
        }
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = [self.last, other.last].into_iter().flatten().max();
        let mut as_mine = Vec::with_capacity(other.pairs.len());
        for (statuses, n) in other.pairs {
            let i = self.pair(statuses);
            self.pairs[usize::from(i)].1 += n - 1;
            as_mine.push(i);
        }
        for (at, theirs) in other.minutes {
            let Some(mine) = self.minute(at) else {
                self.beyond += u64::from(theirs.rows);
                continue;
            };
            mine.rows = mine.rows.saturating_add(theirs.rows);
            for (pair, n) in theirs.pairs {
                let pair = as_mine[usize::from(pair)];
                match mine.pairs.iter_mut().find(|p| p.0 == pair) {
                    Some(p) => p.1 = p.1.saturating_add(n),
                    None => mine.pairs.push((pair, n)),
                }
            }
            for (a, b) in mine.steps.iter_mut().zip(theirs.steps) {
                *a = a.saturating_add(b);
            }
        }
        for (mine, theirs) in self.times.iter_mut().zip(&other.times) {
            mine.merge(theirs);
        }
        for (number, theirs) in other.targets {
            let room = self.targets.len() < TARGETS;
            match self.targets.get_mut(&number) {
                Some(mine) => {
                    mine.rows += theirs.rows;
                    mine.faults += theirs.faults;
                    mine.first = mine.first.min(theirs.first);
                    mine.last = mine.last.max(theirs.last);
                    mine.last_good = mine.last_good.max(theirs.last_good);
                    if let (Some(a), Some(b)) = (&mut mine.times, &theirs.times) {
                        a.iter_mut().zip(b.iter()).for_each(|(a, b)| a.merge(b));
                    } else {
                        mine.times = None;
                    }
                }
                None if room => {
                    self.targets.insert(number, theirs);
                }
                None => {}
            }
        }
        self.targets_502.merge(other.targets_502);
        self.paths.merge(other.paths);
        self.bad_paths.merge(other.bad_paths);
        self.bad_agents.merge(other.bad_agents);
        self.bad_networks.merge(other.bad_networks);
        self.bad_nodes.merge(other.bad_nodes);
        self.bad_classes.merge(other.bad_classes);
        self.bad_reasons.merge(other.bad_reasons);
        self.bad_groups.merge(other.bad_groups);
        for (cause, (n, samples)) in other.causes {
            let mine = self.causes.entry(cause).or_default();
            mine.0 += n;
            samples.0.into_iter().for_each(|s| mine.1.add(s));
        }
        self.groups.merge(other.groups);
        for (mine, theirs) in [
            (&mut self.broken, &other.broken),
            (&mut self.slow, &other.slow),
            (&mut self.aborted, &other.aborted),
            (&mut self.good_sizes, &other.good_sizes),
            (&mut self.broken_sizes, &other.broken_sizes),
        ] {
            mine.merge(theirs);
        }
        self.hops.merge(other.hops);
    }
}
