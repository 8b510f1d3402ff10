//! How causes stand and what of it was told. A change is told once it has
//! lasted: while the first answers come in, verdicts come and go.

use crate::diagnosis::verdict::{Standing, Verdict};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A change is told when it is this old.
const LASTS: SignedDuration = SignedDuration::from_secs(2);

#[derive(Clone, Copy, Debug)]
struct Stand {
    /// `None`: no verdict on the cause.
    now: Option<Standing>,
    since: Timestamp,
    told: Option<Standing>,
}

/// What is known of each cause.
#[derive(Clone, Debug, Default)]
pub struct Standings {
    by: BTreeMap<&'static str, Stand>,
}

/// A cause that stands otherwise than was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub cause: &'static str,
    pub was: Option<Standing>,
    /// `None`: nothing speaks for it or against it any more.
    pub now: Option<Standing>,
    pub since: Timestamp,
}

/// Whether a move between the two is news. That a cause nobody thought of is
/// ruled out is none.
fn is_news(was: Option<Standing>, now: Option<Standing>) -> bool {
    let matters =
        |s: Option<Standing>| matches!(s, Some(Standing::Confirmed | Standing::Likely | Standing::Possible));
    was != now && (matters(was) || matters(now))
}

impl Standings {
    /// Takes in a new judgement.
    pub fn take(&mut self, verdicts: &[Verdict], at: Timestamp) {
        let gone: Vec<&'static str> = self
            .by
            .iter()
            .filter(|(cause, s)| s.now.is_some() && !verdicts.iter().any(|v| v.cause == **cause))
            .map(|(cause, _)| *cause)
            .collect();
        for cause in gone {
            self.set(cause, None, at);
        }
        for v in verdicts {
            self.set(v.cause, Some(v.standing), at);
        }
    }

    fn set(&mut self, cause: &'static str, now: Option<Standing>, at: Timestamp) {
        let s = self.by.entry(cause).or_insert(Stand { now: None, since: at, told: None });
        if s.now != now {
            (s.now, s.since) = (now, at);
        }
    }

    /// Somebody (or an earlier session) has told this already.
    pub fn told(&mut self, cause: &'static str, standing: Standing, at: Timestamp) {
        let s = self.by.entry(cause).or_insert(Stand { now: Some(standing), since: at, told: None });
        s.told = Some(standing);
    }

    /// Causes that were told otherwise than `verdicts` has them, where that
    /// would be news.
    pub fn differences(&self, verdicts: &[Verdict]) -> Vec<super::past::Difference> {
        let judged = |cause: &str| verdicts.iter().find(|v| v.cause == cause).map(|v| v.standing);
        let told = self.by.iter().map(|(cause, s)| (*cause, s.told));
        let untold = verdicts.iter().filter(|v| !self.by.contains_key(v.cause)).map(|v| (v.cause, None));
        told.chain(untold)
            .map(|(cause, recorded)| super::past::Difference { cause, recorded, judged: judged(cause) })
            .filter(|d| is_news(d.recorded, d.judged))
            .collect()
    }

    /// What is to be told at `at`; it counts as told from here on. `all`: also
    /// what has not lasted yet.
    pub fn news(&mut self, at: Timestamp, all: bool) -> Vec<Moved> {
        let mut out = Vec::new();
        for (cause, s) in &mut self.by {
            if s.now == s.told {
                continue;
            }
            if !all && at.duration_since(s.since) < LASTS {
                continue;
            }
            if is_news(s.told, s.now) {
                out.push(Moved { cause, was: s.told, now: s.now, since: s.since });
            }
            s.told = s.now;
        }
        // What came first is told first; of one moment, the surest.
        out.sort_by_key(|m| (m.since, m.now.is_none(), m.now, m.cause));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::verdict::Hop;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn verdict(cause: &'static str, standing: Standing) -> Verdict {
        Verdict {
            cause,
            standing,
            hop: Hop::Alb,
            evidence: Vec::new(),
            missing: Vec::new(),
            twins: Vec::new(),
            next: Vec::new(),
            why: "".into(),
        }
    }

    #[test]
    fn a_change_is_told_once_and_only_when_it_lasts() {
        use Standing::*;
        let mut s = Standings::default();
        s.take(&[verdict("a", Likely), verdict("b", RuledOut)], at(0));
        assert_eq!(s.news(at(1), false), [], "not yet");
        s.take(&[verdict("a", Possible), verdict("b", RuledOut)], at(1));
        assert_eq!(s.news(at(2), false), []);
        let told = s.news(at(3), false);
        assert_eq!(told, [Moved { cause: "a", was: None, now: Some(Possible), since: at(1) }]);
        assert_eq!(s.news(at(9), false), [], "told once");
        s.take(&[verdict("a", Confirmed)], at(10));
        s.take(&[verdict("a", Possible)], at(11));
        assert_eq!(s.news(at(20), false), [], "it is as it was told");
    }

    #[test]
    fn a_verdict_that_goes_away_is_news_and_one_nobody_heard_of_is_not() {
        use Standing::*;
        let mut s = Standings::default();
        s.take(&[verdict("a", Likely), verdict("b", Unchecked)], at(0));
        assert_eq!(s.news(at(5), false).len(), 1);
        s.take(&[], at(6));
        let told = s.news(at(8), false);
        assert_eq!(told, [Moved { cause: "a", was: Some(Likely), now: None, since: at(6) }]);
    }

    #[test]
    fn what_an_earlier_session_told_is_not_told_again() {
        use Standing::*;
        let mut s = Standings::default();
        s.told("a", Likely, at(0));
        s.take(&[verdict("a", Likely)], at(100));
        assert_eq!(s.news(at(110), false), []);
        s.take(&[verdict("a", RuledOut)], at(120));
        assert_eq!(s.news(at(120), true).len(), 1, "the last of it goes out at the end");
    }
}
