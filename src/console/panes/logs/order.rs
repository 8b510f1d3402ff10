//! Which lines are shown, in which order, without ever walking over all of
//! them at once: positions are serial numbers, and the list of lines a filter
//! leaves is built in slices, newest first.

use crate::console::filter::Filter;
use crate::situation::log::LogRing;
use std::collections::VecDeque;

/// Serial numbers of the lines that a filter leaves, among those looked at.
#[derive(Clone, Debug)]
pub struct Index {
    seqs: VecDeque<u64>,
    /// Lines `low..high` have been looked at.
    low: u64,
    high: u64,
}

impl Default for Index {
    fn default() -> Self {
        Index::unread()
    }
}

impl Index {
    /// An index that has looked at nothing yet and does not know the ring;
    /// `catch_up` begins it at the newest line.
    pub fn unread() -> Index {
        Index { seqs: VecDeque::new(), low: u64::MAX, high: u64::MAX }
    }

    /// An index that has looked at nothing yet; it begins at the newest line.
    pub fn from_end(logs: &LogRing) -> Index {
        let end = logs.range().end;
        Index { seqs: VecDeque::new(), low: end, high: end }
    }

    /// Looks at up to `budget` lines more: new ones first, then older ones.
    /// Returns what is left of the budget.
    pub fn catch_up(&mut self, logs: &LogRing, filter: &Filter, mut budget: usize) -> usize {
        let held = logs.range();
        if self.high > held.end {
            // Never looked at this ring, or it was made anew.
            *self = Index::from_end(logs);
        }
        while self.seqs.front().is_some_and(|s| *s < held.start) {
            self.seqs.pop_front();
        }
        self.low = self.low.max(held.start);
        self.high = self.high.max(self.low);
        while self.high < held.end && budget > 0 {
            if logs.get(self.high).is_some_and(|h| filter.keeps(&h.line.text)) {
                self.seqs.push_back(self.high);
            }
            self.high += 1;
            budget -= 1;
        }
        while self.low > held.start && budget > 0 {
            self.low -= 1;
            if logs.get(self.low).is_some_and(|h| filter.keeps(&h.line.text)) {
                self.seqs.push_front(self.low);
            }
            budget -= 1;
        }
        budget
    }

    /// True when every line held has been looked at.
    pub fn is_complete(&self, logs: &LogRing) -> bool {
        let held = logs.range();
        self.low <= held.start && self.high >= held.end
    }

    /// Share of the lines held that has been looked at, in percent.
    pub fn progress(&self, logs: &LogRing) -> u64 {
        let all = logs.len() as u64;
        ((self.high - self.low.min(self.high)) * 100).checked_div(all).unwrap_or(100)
    }

    /// Lines looked at that the filter left out.
    pub fn hidden(&self) -> u64 {
        (self.high - self.low).saturating_sub(self.seqs.len() as u64)
    }
}

/// The lines that can be shown, in order.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub logs: &'a LogRing,
    /// Lines from here on are not shown (the picture is frozen).
    pub end: u64,
    /// `None`: every line.
    pub index: Option<&'a Index>,
}

impl Order<'_> {
    fn held(&self) -> std::ops::Range<u64> {
        let held = self.logs.range();
        held.start.min(self.end)..held.end.min(self.end)
    }

    pub fn last(&self) -> Option<u64> {
        self.before(self.end)
    }

    pub fn first(&self) -> Option<u64> {
        self.from(0)
    }

    /// The nearest line with a number below `seq`.
    pub fn before(&self, seq: u64) -> Option<u64> {
        let held = self.held();
        let seq = seq.min(held.end);
        match self.index {
            None => seq.checked_sub(1).filter(|s| *s >= held.start),
            Some(index) => {
                let i = index.seqs.partition_point(|s| *s < seq);
                i.checked_sub(1).map(|i| index.seqs[i]).filter(|s| *s >= held.start)
            }
        }
    }

    /// The nearest line with this number or above.
    pub fn from(&self, seq: u64) -> Option<u64> {
        let held = self.held();
        let seq = seq.max(held.start);
        match self.index {
            None => (seq < held.end).then_some(seq),
            Some(index) => {
                let i = index.seqs.partition_point(|s| *s < seq);
                index.seqs.get(i).copied().filter(|s| *s < held.end)
            }
        }
    }

    /// The line itself, or its nearest neighbour when it is not shown.
    pub fn near(&self, seq: u64) -> Option<u64> {
        self.from(seq).or_else(|| self.last())
    }

    /// Lines with this number or above.
    pub fn count_from(&self, seq: u64) -> u64 {
        let held = self.held();
        match self.index {
            None => held.end.saturating_sub(seq.max(held.start)),
            Some(index) => {
                let from = index.seqs.partition_point(|s| *s < seq.max(held.start));
                let to = index.seqs.partition_point(|s| *s < held.end);
                to.saturating_sub(from) as u64
            }
        }
    }

    /// Lines in all.
    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.count_from(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::log::LogLine;
    use proptest::prelude::*;

    fn ring(max: usize, texts: impl IntoIterator<Item = String>) -> LogRing {
        let mut ring = LogRing::new(max, usize::MAX);
        for text in texts {
            push(&mut ring, &text);
        }
        ring
    }

    fn push(ring: &mut LogRing, text: &str) {
        ring.push(LogLine {
            at: jiff::Timestamp::UNIX_EPOCH,
            group: "g".into(),
            stream: "".into(),
            id: "".into(),
            text: text.into(),
        });
    }

    fn filter(p: &str) -> Filter {
        Filter::parse(p, true).unwrap().unwrap()
    }

    #[test]
    fn newest_lines_are_found_first() {
        let ring =
            ring(1000, (0..100).map(|i| format!("line {i} {}", if i % 10 == 0 { "bad" } else { "ok" })));
        let f = filter("bad");
        let mut index = Index::from_end(&ring);
        assert_eq!(index.catch_up(&ring, &f, 15), 0);
        let order = Order { logs: &ring, end: ring.range().end, index: Some(&index) };
        assert_eq!((order.last(), order.count()), (Some(90), 1));
        assert_eq!(index.progress(&ring), 15);
        assert!(!index.is_complete(&ring));
        index.catch_up(&ring, &f, 1000);
        assert!(index.is_complete(&ring));
        assert_eq!(index.hidden(), 90);
        let order = Order { logs: &ring, end: 45, index: Some(&index) };
        assert_eq!((order.first(), order.last(), order.count()), (Some(0), Some(40), 5));
        assert_eq!((order.before(40), order.from(21), order.near(44)), (Some(30), Some(30), Some(40)));
    }

    #[test]
    fn an_emptied_ring_starts_over() {
        let mut held = ring(10, (0..5).map(|i| i.to_string()));
        let f = filter("[0-9]");
        let mut index = Index::from_end(&held);
        index.catch_up(&held, &f, 100);
        held.clear();
        index.catch_up(&held, &f, 100);
        let order = Order { logs: &held, end: held.range().end, index: Some(&index) };
        assert_eq!((order.first(), order.last(), order.count(), index.hidden()), (None, None, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However the work is sliced and whatever the ring lets go meanwhile,
        /// the result is what looking at everything gives.
        #[test]
        fn slices_come_to_the_same(
            batches in prop::collection::vec((0usize..40, 0usize..30), 1..12),
            max in 5usize..60,
            inverse in any::<bool>(),
        ) {
            let f = filter(if inverse { "!7" } else { "7" });
            let mut held = LogRing::new(max, usize::MAX);
            let mut index = Index::from_end(&held);
            let mut n = 0;
            for (lines, budget) in batches {
                for _ in 0..lines {
                    push(&mut held, &n.to_string());
                    n += 1;
                }
                index.catch_up(&held, &f, budget);
            }
            index.catch_up(&held, &f, 10_000);
            prop_assert!(index.is_complete(&held));
            let want: Vec<u64> = held.iter().filter(|h| f.keeps(&h.line.text)).map(|h| h.seq).collect();
            prop_assert_eq!(index.hidden(), held.len() as u64 - want.len() as u64);
            let order = Order { logs: &held, end: held.range().end, index: Some(&index) };
            let mut got = Vec::new();
            let mut at = order.first();
            while let Some(s) = at {
                got.push(s);
                at = order.from(s + 1);
            }
            prop_assert_eq!(&got, &want);
            let mut back = Vec::new();
            let mut at = order.last();
            while let Some(s) = at {
                back.push(s);
                at = order.before(s);
            }
            back.reverse();
            prop_assert_eq!(&back, &want);
            prop_assert_eq!(order.count(), want.len() as u64);
        }
    }
}
