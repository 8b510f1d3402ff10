//! How often we may ask. The account's budget is shared with everyone in it,
//! deployments and auto scaling included, so we keep to a part of it and back
//! off together when AWS says it is too much.

use super::operations::Family;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

/// Our share of one family's budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Calls that may be made at once after a rest.
    pub burst: f64,
    /// Calls a second in the long run.
    pub rate: f64,
    /// Tokens kept back for urgent calls.
    pub reserve: f64,
    /// Calls under way at most.
    pub parallel: usize,
}

/// Our share: about six tenths of the documented budget for what is asked
/// once, so that a second console and the account's own automation fit in.
pub fn share(family: Family) -> Share {
    let s = |burst, rate, reserve, parallel| Share { burst, rate, reserve, parallel };
    match family {
        Family::Sts => s(5.0, 1.0, 0.0, 2),
        Family::Elb => s(30.0, 6.0, 6.0, 24),
        Family::Ec2 => s(40.0, 10.0, 0.0, 16),
        Family::Ecs => s(20.0, 6.0, 0.0, 12),
        Family::Metrics => s(10.0, 5.0, 0.0, 8),
        Family::LogLists => s(4.0, 2.0, 0.0, 2),
        Family::LogEvents => s(4.0, 3.0, 0.0, 3),
        Family::LogTail => s(3.0, 0.5, 0.0, 3),
        Family::Trail => s(2.0, 1.5, 0.0, 2),
        Family::Objects => s(100.0, 100.0, 0.0, 16),
        Family::Around => s(20.0, 5.0, 0.0, 6),
        Family::Front => s(12.0, 4.0, 2.0, 6),
        Family::Zones => s(8.0, 2.0, 0.0, 3),
        Family::Queries => s(8.0, 4.0, 0.0, 6),
    }
}

/// First pause after a throttled call.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// The rate never falls below this part of our share.
const SLOWEST: f64 = 0.1;
/// Each good answer gives back this part of our share's rate.
const RECOVERY: f64 = 0.05;

#[derive(Debug)]
struct Bucket {
    share: Share,
    /// Present refill per second: halves on throttling, creeps back.
    rate: f64,
    tokens: f64,
    filled: Instant,
    blocked: Option<Instant>,
    pause: Duration,
}

impl Bucket {
    fn new(share: Share) -> Self {
        let (rate, tokens) = (share.rate, share.burst);
        Bucket { share, rate, tokens, filled: Instant::now(), blocked: None, pause: FIRST_PAUSE }
    }

    fn refill(&mut self, now: Instant) {
        // Nothing gathers during a pause: it would all go off at its end.
        let from = self.blocked.map_or(self.filled, |until| self.filled.max(until));
        let passed = now.saturating_duration_since(from).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.share.burst);
        self.filled = now;
        if self.blocked.is_some_and(|until| until <= now) {
            self.blocked = None;
        }
    }

    /// Takes a token, or says how long until there may be one.
    fn take(&mut self, now: Instant, urgent: bool) -> Result<(), Duration> {
        self.refill(now);
        let needed = 1.0 + if urgent { 0.0 } else { self.share.reserve };
        if self.tokens >= needed {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(((needed - self.tokens) / self.rate).max(0.001)))
    }

    fn throttled(&mut self, now: Instant, retry_after: Option<Duration>, jitter: f64) -> Instant {
        self.refill(now);
        // A burst that was throttled as one is one warning, not twenty.
        if self.blocked.is_none() {
            let pause = self.pause.mul_f64(1.0 + 0.25 * jitter).max(retry_after.unwrap_or_default());
            self.blocked = Some(now + pause.min(LAST_PAUSE.mul_f64(1.25)));
            self.pause = (self.pause * 2).min(LAST_PAUSE);
            self.rate = (self.rate / 2.0).max(self.share.rate * SLOWEST);
            // What has gathered must not go off at once when the pause ends;
            // urgent calls still find a token.
            self.tokens = self.tokens.min(self.share.reserve + 1.0);
        }
        self.blocked.unwrap_or(now)
    }

    fn answered(&mut self) {
        self.rate = (self.rate + self.share.rate * RECOVERY).min(self.share.rate);
        if self.blocked.is_none() {
            self.pause = (self.pause / 2).max(FIRST_PAUSE);
        }
    }
}

#[derive(Debug)]
struct Lane {
    bucket: Mutex<Bucket>,
    parallel: Semaphore,
}

/// The budgets of one account and region.
#[derive(Debug)]
pub struct Limiter {
    lanes: [Lane; Family::ALL.len()],
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

/// The right to make one call; give it back by dropping it.
#[derive(Debug)]
pub struct Permit<'a>(#[allow(dead_code, reason = "held for its drop")] SemaphorePermit<'a>);

impl Limiter {
    /// Full buckets of [`share`].
    pub fn new() -> Self {
        Self {
            lanes: Family::ALL.map(|f| Lane {
                bucket: Mutex::new(Bucket::new(share(f))),
                parallel: Semaphore::new(share(f).parallel),
            }),
        }
    }

    fn lane(&self, family: Family) -> &Lane {
        &self.lanes[family as usize]
    }

    fn bucket(&self, family: Family) -> MutexGuard<'_, Bucket> {
        self.lane(family).bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a token, then for a place among the calls under way. While
    /// the family is backing off nobody waits: the answer is when to come
    /// back, for the pane to show.
    pub async fn admit(&self, family: Family, urgent: bool) -> Result<Permit<'_>, Timestamp> {
        loop {
            let wait = {
                let now = Instant::now();
                let mut bucket = self.bucket(family);
                bucket.refill(now);
                if let Some(until) = bucket.blocked {
                    return Err(clock_time(until, now));
                }
                match bucket.take(now, urgent) {
                    Ok(()) => break,
                    Err(wait) => wait,
                }
            };
            sleep(wait).await;
        }
        // Never closed, so acquiring cannot fail; if it did, there is no call.
        let Ok(permit) = self.lane(family).parallel.acquire().await else { return Err(Timestamp::now()) };
        // The family may have been throttled while we stood in line.
        match self.blocked_until(family) {
            Some(until) => Err(until),
            None => Ok(Permit(permit)),
        }
    }

    /// Calls a second that are allowed in the long run at present.
    pub fn rate(&self, family: Family) -> f64 {
        self.bucket(family).rate
    }

    /// AWS said too much: everyone of this family pauses. Returns until when.
    pub fn throttled(&self, family: Family, retry_after: Option<Duration>) -> Timestamp {
        let now = Instant::now();
        let until = self.bucket(family).throttled(now, retry_after, super::jitter());
        clock_time(until, now)
    }

    /// An answer that was not throttled: the pace recovers slowly.
    pub fn answered(&self, family: Family) {
        self.bucket(family).answered();
    }

    /// Until when this family pauses, if it does.
    pub fn blocked_until(&self, family: Family) -> Option<Timestamp> {
        let now = Instant::now();
        let mut bucket = self.bucket(family);
        bucket.refill(now);
        bucket.blocked.map(|until| clock_time(until, now))
    }
}

/// A moment of the monotonic clock as a time of day.
fn clock_time(at: Instant, now: Instant) -> Timestamp {
    let ahead = SignedDuration::try_from(at.saturating_duration_since(now)).unwrap_or_default();
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls admitted within `span` when asked for without end.
    async fn admitted(limiter: &Limiter, family: Family, urgent: bool, span: Duration) -> usize {
        let end = Instant::now() + span;
        let mut n = 0;
        while let Ok(Ok(_permit)) = tokio::time::timeout_at(end, limiter.admit(family, urgent)).await {
            n += 1;
        }
        n
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_within_our_share_for_every_family() {
        for family in Family::ALL {
            let limiter = Limiter::new();
            let s = share(family);
            let n = admitted(&limiter, family, true, Duration::from_secs(20)).await as f64;
            assert!(n <= s.burst + s.rate * 20.0, "{family:?}: {n}");
            assert!(n >= s.burst + s.rate * 20.0 - 2.0, "{family:?}: {n}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_the_last_tokens_to_urgent_calls() {
        let limiter = Limiter::new();
        let s = share(Family::Elb);
        let calm = admitted(&limiter, Family::Elb, false, Duration::from_millis(1)).await;
        assert_eq!(calm as f64, s.burst - s.reserve);
        let urgent = admitted(&limiter, Family::Elb, true, Duration::from_millis(1)).await;
        assert_eq!(urgent as f64, s.reserve);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_burst_pauses_everyone_once_and_longer_each_time() {
        let limiter = Limiter::new();
        let mut last = Duration::ZERO;
        for round in 0..8 {
            let start = Instant::now();
            let first = limiter.throttled(Family::Elb, None);
            for _ in 0..20 {
                limiter.throttled(Family::Elb, None);
            }
            assert!(limiter.admit(Family::Elb, true).await.is_err(), "round {round}");
            assert!(limiter.admit(Family::Ec2, true).await.is_ok(), "other families go on");
            assert!(
                limiter
                    .blocked_until(Family::Elb)
                    .is_some_and(|t| t >= first - SignedDuration::from_millis(50))
            );
            while limiter.blocked_until(Family::Elb).is_some() {
                sleep(Duration::from_millis(100)).await;
            }
            let pause = start.elapsed();
            assert!(pause >= last.min(LAST_PAUSE), "pause {pause:?} after {last:?}");
            assert!(pause <= LAST_PAUSE.mul_f64(1.26));
            last = pause.mul_f64(0.75);
            assert!(
                limiter.admit(Family::Elb, true).await.is_ok(),
                "an urgent call gets through after the pause"
            );
        }
        let slow = admitted(&limiter, Family::Elb, true, Duration::from_secs(60)).await as f64;
        let s = share(Family::Elb);
        assert!(slow <= s.rate * SLOWEST * 60.0 + s.reserve + 1.0, "{slow}");
    }

    #[tokio::test(start_paused = true)]
    async fn honours_retry_after_and_recovers() {
        let limiter = Limiter::new();
        let start = Instant::now();
        limiter.throttled(Family::LogEvents, Some(Duration::from_secs(7)));
        while limiter.blocked_until(Family::LogEvents).is_some() {
            sleep(Duration::from_millis(50)).await;
        }
        assert!(start.elapsed() >= Duration::from_secs(7));
        for _ in 0..100 {
            limiter.answered(Family::LogEvents);
        }
        sleep(Duration::from_secs(10)).await;
        let s = share(Family::LogEvents);
        let n = admitted(&limiter, Family::LogEvents, true, Duration::from_secs(10)).await as f64;
        assert!(n >= s.burst + s.rate * 10.0 - 2.0, "{n}");
    }

    #[tokio::test(start_paused = true)]
    async fn bounds_the_calls_under_way() {
        let limiter = Limiter::new();
        let mut held = Vec::new();
        for _ in 0..share(Family::Elb).parallel {
            held.push(limiter.admit(Family::Elb, true).await.unwrap());
        }
        let more = tokio::time::timeout(Duration::from_secs(5), limiter.admit(Family::Elb, true)).await;
        assert!(more.is_err());
        held.pop();
        assert!(limiter.admit(Family::Elb, true).await.is_ok());
    }
}
