//! How often is asked again. Pure arithmetic.

use crate::situation::Reason;
use crate::sources::{Every, Want};
use jiff::Timestamp;
use std::time::Duration;

/// Part of the load balancing budget that polling target health may use.
const HEALTH_PART: f64 = 0.5;
/// Part of it that polling configuration may use.
const CONFIG_PART: f64 = 0.25;
/// Of the health budget, what groups in trouble get before the others.
const TROUBLE_PART: f64 = 2.0 / 3.0;
/// Kinds that nobody looks at are asked for this much less often.
const UNWATCHED: u32 = 5;
/// Target health is never older than this: path strip and diagnosis need it.
const HEALTH_AT_LEAST: Duration = Duration::from_secs(15);
/// Whose credentials these are changes seldom, but when they end is on screen.
const IDENTITY: Duration = Duration::from_secs(60);
/// Nothing is asked more often, whatever the configuration says.
const LEAST: Duration = Duration::from_millis(200);
const LOG_GROUPS: Duration = Duration::from_secs(300);
const ECS: Duration = Duration::from_secs(30);
const AROUND: Duration = Duration::from_secs(60);
/// CloudTrail is minutes behind, and two questions a second are the account's.
const CHANGES: Duration = Duration::from_secs(120);
/// Files are written every five minutes.
const ACCESS_LOG: Duration = Duration::from_secs(150);
/// Which services there are at all.
pub const ECS_LISTING: Duration = Duration::from_secs(300);
/// Each look leaves a line in the account's command history.
pub const HOSTS: Duration = Duration::from_secs(300);
/// First pause after a failure that may pass by itself; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(3);
/// A refusal is asked again in case somebody grants the right.
const DENIED: Duration = Duration::from_secs(60);
/// Credentials are looked for again this often.
pub const CREDENTIALS: Duration = Duration::from_secs(15);

/// Intervals for groups in trouble and for the others, so that polling the
/// health of all of them stays within `rate` calls a second (what the family
/// may do at present).
pub fn health(base: Duration, troubled: usize, calm: usize, rate: f64) -> (Duration, Duration) {
    let budget = (rate * HEALTH_PART).max(0.05);
    let all = (troubled + calm) as f64;
    if all / budget <= base.as_secs_f64() {
        return (base, base);
    }
    let at_least = |n: f64, rate: f64| Duration::from_secs_f64((n / rate).max(base.as_secs_f64()));
    let same = at_least(all, budget);
    if troubled == 0 || calm == 0 {
        return (same, same);
    }
    let first = at_least(troubled as f64, budget * TROUBLE_PART);
    let left = budget - troubled as f64 / first.as_secs_f64();
    let rest = at_least(calm as f64, left);
    // Where nearly all are in trouble, none is before another.
    if rest < first { (same, same) } else { (first, rest) }
}

/// The interval for configuration of which there are `calls` calls.
pub fn config(base: Duration, calls: usize, rate: f64) -> Duration {
    base.max(Duration::from_secs_f64(calls as f64 / (rate * CONFIG_PART).max(0.05)))
}

/// The interval of a kind; `None` is the caller's identity.
pub fn interval(want: Option<Want>, every: &Every, watched: bool) -> Duration {
    let unwatched = |base: Duration, factor: u32| if watched { base } else { base * factor };
    let wait = match want {
        None => IDENTITY,
        Some(Want::Health) if watched => every.health,
        Some(Want::Health) => every.health.max(HEALTH_AT_LEAST),
        Some(Want::Config | Want::Network) => unwatched(every.config, UNWATCHED),
        // The path strip shows the errors of the load balancer all the time.
        Some(Want::Metrics) => unwatched(every.metrics, 2),
        Some(Want::Ecs) => unwatched(ECS, UNWATCHED),
        Some(Want::Around) => unwatched(AROUND, UNWATCHED),
        Some(Want::Changes) => CHANGES,
        Some(Want::AccessLog) => ACCESS_LOG,
        Some(Want::LogGroups) => unwatched(LOG_GROUPS, UNWATCHED),
        Some(Want::Logs) => every.logs,
        // No cloud is asked for these.
        Some(Want::Probe | Want::Hosts) => every.config,
    };
    wait.max(LEAST)
}

/// May this pass by itself within a moment?
pub fn may_pass(reason: &Reason) -> bool {
    match reason {
        Reason::Throttled { .. }
        | Reason::TimedOut { .. }
        | Reason::Offline { .. }
        | Reason::Malformed { .. } => true,
        Reason::Failed { code, .. } => {
            code.starts_with("HTTP 5") || code.contains("nternal") || code.contains("navailable")
        }
        _ => false,
    }
}

/// When to ask again after `failures` failures in a row.
pub fn again(reason: &Reason, failures: u32, interval: Duration, now: Timestamp) -> Duration {
    match reason {
        Reason::Throttled { until } => {
            // A little later than all others wake up.
            Duration::try_from(until.duration_since(now)).unwrap_or_default() + Duration::from_millis(50)
        }
        Reason::Denied { .. } | Reason::NotFound { .. } | Reason::NotApplicable { .. } => {
            interval.max(DENIED)
        }
        Reason::Credentials { .. } => CREDENTIALS,
        r if may_pass(r) => FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(interval),
        _ => interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(5);

    #[test]
    fn health_polling_stays_within_its_part_whatever_the_number_of_groups() {
        for rate in [0.6, 3.0, 6.0] {
            for troubled in [0, 1, 5, 17, 50, 200] {
                for calm in [0, 1, 10, 49, 500] {
                    let (a, b) = health(BASE, troubled, calm, rate);
                    let used = troubled as f64 / a.as_secs_f64() + calm as f64 / b.as_secs_f64();
                    assert!(used <= rate * HEALTH_PART * 1.001, "{troubled}+{calm} at {rate}: {used}");
                    assert!(a >= BASE && b >= BASE);
                    assert!(a <= b || troubled == 0, "trouble is looked at first");
                }
            }
        }
        assert_eq!(health(BASE, 2, 10, 6.0), (BASE, BASE), "a small shop is polled as asked");
        let (troubled, calm) = health(BASE, 3, 47, 6.0);
        assert_eq!(troubled, BASE);
        assert!(calm > BASE * 3 && calm < BASE * 5, "{calm:?}");
    }

    #[test]
    fn configuration_of_many_groups_is_asked_less_often() {
        let minute = Duration::from_secs(60);
        assert_eq!(config(minute, 12, 6.0), minute);
        assert!(config(minute, 300, 6.0) >= Duration::from_secs(200));
    }

    #[test]
    fn what_is_not_watched_is_polled_less_but_health_stays_fresh() {
        let every = Every::default();
        for want in Want::ALL {
            assert!(interval(Some(want), &every, false) >= interval(Some(want), &every, true), "{want:?}");
        }
        assert_eq!(interval(Some(Want::Health), &every, false), HEALTH_AT_LEAST);
        let none = Duration::ZERO;
        let never = Every { health: none, metrics: none, config: none, logs: none };
        for want in Want::ALL {
            assert!(interval(Some(want), &never, true) >= LEAST, "{want:?} would be asked without pause");
        }
    }

    #[test]
    fn failures_are_retried_sooner_than_the_interval_and_later_each_time() {
        let minute = Duration::from_secs(60);
        let now: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
        let offline = Reason::Offline { detail: "reset".into() };
        let waits: Vec<u64> = (1..8).map(|n| again(&offline, n, minute, now).as_secs()).collect();
        assert_eq!(waits, [3, 6, 12, 24, 48, 60, 60]);
        assert_eq!(again(&offline, 40, BASE, now), BASE);
        let until = "2026-11-22T02:00:07Z".parse().unwrap();
        let wait = again(&Reason::Throttled { until }, 3, BASE, now);
        assert!(wait >= Duration::from_secs(7) && wait < Duration::from_secs(8));
        let past = "2026-11-22T01:00:00Z".parse().unwrap();
        assert!(again(&Reason::Throttled { until: past }, 1, BASE, now) < Duration::from_secs(1));
        assert_eq!(again(&Reason::Denied { action: "x:Y".into() }, 1, BASE, now), DENIED);
        assert!(!may_pass(&Reason::Denied { action: "x:Y".into() }));
        let internal = Reason::Failed { code: "InternalFailure".into(), detail: "".into() };
        assert!(may_pass(&internal));
        let invalid = Reason::Failed { code: "ValidationError".into(), detail: "".into() };
        assert!(!may_pass(&invalid));
    }
}
