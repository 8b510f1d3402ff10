//! The drill's clock. All timers of a drill run on it: request times, idle
//! timeouts, health checks, metrics. It runs faster than the wall clock by one
//! factor, so that an hour of an outage fits into ten minutes without any
//! timeout being out of proportion to any other.
//!
//! It is only as fast as the machine can follow. It stands still while the
//! process does not run, and slows down while tasks wait for their turn: a
//! server of the drill must not look slow to a load balancer of the drill
//! because both were held up.

use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks at the clock that counts at most. Somebody looks at
/// it more often than that ([`Clock::beat`]) unless the process is held up.
const GAP: Duration = Duration::from_millis(20);
/// Between two beats.
const BEAT: Duration = Duration::from_millis(10);
/// A beat may be late by this many seconds of the drill before the clock slows down.
const LATE: f64 = 0.2;

/// Where the clock stood when it was last looked at.
#[derive(Clone, Copy, Debug)]
struct Face {
    real: Instant,
    drill: Timestamp,
    pace: f64,
    /// How late beats are lately, in real seconds.
    lag: f64,
    /// The drill is played by another process.
    beside: bool,
}

impl Face {
    /// The pace the machine can follow.
    fn real_pace(&self) -> f64 {
        let held = self.lag * self.pace / LATE;
        self.pace / held.max(1.0)
    }
}

/// A clone is a handle on the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Face>>);

/// The time allowed is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

impl Clock {
    /// A clock that shows `start` now and runs `pace` times as fast as the wall clock.
    pub fn new(start: Timestamp, pace: f64) -> Clock {
        Clock(Arc::new(Mutex::new(Face {
            real: Instant::now(),
            drill: start,
            pace: pace.max(0.01),
            lag: 0.0,
            beside: false,
        })))
    }

    /// The clock of a drill that another process plays. It goes on whatever
    /// becomes of this process, and never beyond the wall clock, whose time it
    /// shows when the drill ends.
    pub fn beside(start: Timestamp, pace: f64) -> Clock {
        let clock = Clock::new(start, pace);
        clock.face().beside = true;
        clock
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of the drill.
    pub fn now(&self) -> Timestamp {
        let mut f = self.face();
        let real = Instant::now();
        let passed = real.duration_since(f.real);
        let passed = if f.beside { passed } else { passed.min(GAP) };
        let pace = f.real_pace();
        f.drill += seconds(passed.as_secs_f64() * pace);
        if f.beside {
            f.drill = f.drill.min(Timestamp::now());
        }
        f.real = real;
        f.drill
    }

    /// Keeps it going while nobody asks for the time.
    pub async fn beat(&self) {
        loop {
            let began = Instant::now();
            tokio::time::sleep(BEAT).await;
            // Timers of the runtime are a millisecond late as a rule.
            let late = (began.elapsed().saturating_sub(BEAT).as_secs_f64() - 0.0015).max(0.0);
            self.now();
            let mut f = self.face();
            // Quick to slow down, slower to trust the machine again.
            f.lag = if late > f.lag { f.lag * 0.5 + late * 0.5 } else { f.lag * 0.9 + late * 0.1 };
        }
    }

    /// Drill seconds in one real second.
    pub fn pace(&self) -> f64 {
        self.face().pace
    }

    /// From now on it runs this many times as fast as the wall clock.
    pub fn set_pace(&self, pace: f64) {
        self.now();
        self.face().pace = pace.max(0.01);
    }

    /// Waits so many seconds of the drill, whatever becomes of the pace meanwhile.
    pub async fn sleep(&self, s: f64) {
        self.sleep_until(self.now() + seconds(s)).await;
    }

    /// Waits for a moment of the drill.
    pub async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.duration_since(self.now()).as_secs_f64();
            if left <= 0.0 {
                return;
            }
            // A pace that changes is noticed within a second.
            let real = (left / self.face().real_pace()).min(1.0);
            tokio::time::sleep(Duration::from_secs_f64(real)).await;
        }
    }

    /// What comes of `future` within so many seconds of the drill.
    pub async fn within<T>(&self, s: f64, future: impl Future<Output = T>) -> Result<T, Late> {
        tokio::select! {
            biased;
            out = future => Ok(out),
            () = self.sleep(s) => Err(Late),
        }
    }

    /// Seconds of the drill since a moment.
    pub fn since(&self, at: Timestamp) -> f64 {
        self.now().duration_since(at).as_secs_f64()
    }
}

/// So many seconds, to the microsecond.
pub fn seconds(s: f64) -> SignedDuration {
    // A float saturates in the cast; a drill lasts hours at most.
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    SignedDuration::from_micros((s * 1e6) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_at_its_pace_and_changes_it() {
        let start: Timestamp = "2026-11-22T01:00:00Z".parse().unwrap();
        let clock = Clock::new(start, 1000.0);
        let beat = clock.clone();
        tokio::spawn(async move { beat.beat().await });
        clock.sleep(20.0).await;
        assert!(clock.since(start) >= 20.0);
        clock.set_pace(1.0);
        let then = clock.now();
        assert!(clock.since(then) < 5.0, "what was a second is a millisecond now");
        std::thread::sleep(Duration::from_millis(200));
        assert!(clock.since(then) < 0.2, "it stands still while the process is held up");
        assert_eq!(clock.within(0.001, std::future::pending::<()>()).await, Err(Late));
        assert_eq!(clock.within(5.0, std::future::ready(7)).await, Ok(7));
    }

    #[test]
    fn beside_another_process_it_goes_on_and_ends_at_the_wall_clock() {
        let hour = SignedDuration::from_hours(1);
        let clock = Clock::beside(Timestamp::now() - hour, 6.0);
        let then = clock.now();
        std::thread::sleep(Duration::from_millis(200));
        assert!(clock.since(then) >= 1.2, "nobody looked at it meanwhile");
        let clock = Clock::beside(Timestamp::now() + hour, 6.0);
        assert!(clock.now() <= Timestamp::now());
    }
}
