//! When one question is asked.

use super::plan::Work;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The state of one question.
#[derive(Debug, Default)]
pub struct Slot {
    /// When it is asked next; `None`: not by itself.
    pub due: Option<Instant>,
    pub running: bool,
    /// Asked anew as soon as the answer under way is there.
    pub again: bool,
    /// It was answered, or failed, at least once.
    pub answered: bool,
    /// Number of the newest question begun.
    pub begun: u64,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure was for want of credentials.
    pub credentials: bool,
    /// When the last answer or failure came.
    pub last: Option<Instant>,
    /// What was asked.
    pub work: Option<Work>,
    /// When this very question was last answered.
    pub good: Option<Timestamp>,
}

impl Slot {
    /// A question to be asked at `at`.
    pub fn due(at: Instant) -> Self {
        Self { due: Some(at), ..Self::default() }
    }

    /// The question is `work` from now on. One that differs from the last is
    /// asked at once: what was answered is out of date.
    pub fn ask(&mut self, work: &Work, now: Instant) {
        if self.work.as_ref() == Some(work) {
            return;
        }
        if self.work.is_some() {
            self.good = None;
            self.again = self.running;
            self.due = Some(now);
        }
        self.work = Some(work.clone());
    }

    /// Question number `count` begins.
    pub fn begin(&mut self, count: u64) {
        self.running = true;
        self.due = None;
        self.begun = count;
    }

    /// Somebody wants an answer from now. A first question that is still under
    /// way will do; what never changes need not be asked again.
    pub fn refresh(&mut self, mark: u64, now: Instant, unchanging: bool) {
        if (self.running && !self.answered) || (unchanging && self.answered && self.failures == 0) {
            self.begun = mark;
        } else if self.running {
            self.again = true;
        } else {
            // One-shot sources count tries; a person's wish starts them anew.
            self.failures = 0;
            self.due = Some(now);
        }
    }

    /// Asked at the latest `interval` after the last answer.
    pub fn sooner(&mut self, now: Instant, interval: Duration) {
        if !self.running {
            let due = self.last.map_or(now, |last| (last + interval).max(now));
            self.due = Some(self.due.map_or(due, |d| d.min(due)));
        }
    }

    /// True when a question begun at `mark` or later has ended. Where nothing
    /// is polled, a failure that will be tried again has not ended.
    pub fn is_over(&self, mark: u64, live: bool) -> bool {
        !self.running && !self.again && self.begun >= mark && (live || self.due.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_takes_only_answers_from_now() {
        let now = Instant::now();
        // Idle and answered: asked again.
        let mut slot = Slot { answered: true, begun: 3, ..Slot::default() };
        slot.refresh(10, now, false);
        assert_eq!(slot.due, Some(now));
        assert!(!slot.is_over(10, true));
        slot.begin(11);
        assert!(!slot.is_over(10, true));
        slot.running = false;
        assert!(slot.is_over(10, true));
        // A later question under way was begun too early: once more.
        let mut slot = Slot { answered: true, running: true, begun: 3, ..Slot::default() };
        slot.refresh(10, now, false);
        assert!(slot.again && !slot.is_over(10, true));
        // The very first one under way will do.
        let mut slot = Slot { running: true, begun: 3, ..Slot::default() };
        slot.refresh(10, now, false);
        assert!(!slot.again);
        slot.running = false;
        assert!(slot.is_over(10, true));
        // What cannot change is not asked again.
        let mut slot = Slot { answered: true, begun: 3, ..Slot::default() };
        slot.refresh(10, now, true);
        assert!(slot.due.is_none() && slot.is_over(10, true));
    }

    #[test]
    fn a_failure_that_is_retried_ends_a_refresh_only_where_polling_goes_on() {
        let slot =
            Slot { due: Some(Instant::now()), begun: 5, answered: true, failures: 1, ..Slot::default() };
        assert!(slot.is_over(5, true));
        assert!(!slot.is_over(5, false));
    }

    #[test]
    fn another_question_is_asked_at_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        let mut slot = Slot { due: Some(later), good: Some(Timestamp::UNIX_EPOCH), ..Slot::default() };
        slot.ask(&Work::Identity, now);
        assert_eq!(slot.due, Some(later), "the first is asked when it is due");
        slot.ask(&Work::Identity, now);
        assert!(slot.due == Some(later) && slot.good.is_some());
        slot.ask(&Work::Subnets("vpc-1".into()), now);
        assert!(slot.due == Some(now) && slot.good.is_none());
        slot.running = true;
        slot.ask(&Work::Identity, now);
        assert!(slot.again, "once the answer under way is there");
    }

    #[test]
    fn sooner_never_means_later() {
        let now = Instant::now();
        let mut slot = Slot { due: Some(now + Duration::from_secs(2)), last: Some(now), ..Slot::default() };
        slot.sooner(now, Duration::from_secs(60));
        assert_eq!(slot.due, Some(now + Duration::from_secs(2)));
        slot.sooner(now, Duration::from_secs(1));
        assert_eq!(slot.due, Some(now + Duration::from_secs(1)));
        slot.sooner(now + Duration::from_secs(90), Duration::from_secs(1));
        assert_eq!(slot.due, Some(now + Duration::from_secs(1)));
    }
}
