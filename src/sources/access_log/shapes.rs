//! What only many rows together show: which cause broke connections off, and
//! the forms that failures have in time, size, place and load.

use super::answer::{MinuteLine, ShapeLine};
use super::groups::{Group, LARGE, bounds};
use super::join::Joined;
use super::tally::{Sample, Tally};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Durations within this part of each other are the same timeout.
const SAME: f64 = 0.03;
/// From here on a duration can be a timeout, in seconds.
const TIMEOUT: f64 = 1.0;

/// Causes of the rows that only the whole explains, with samples.
pub(super) fn settle(t: &Tally) -> BTreeMap<&'static str, (u64, Vec<Sample>)> {
    let mut all: Vec<&Group> = t.groups.0.values().collect();
    all.sort_by(|a, b| (a.first, a.key.class, &a.sample).cmp(&(b.first, b.key.class, &b.sample)));
    let view = View::of(t, &all);
    let mut out: BTreeMap<&'static str, (u64, Vec<Sample>)> = BTreeMap::new();
    for g in all {
        let (n, samples) = out.entry(view.cause(t, g)).or_default();
        *n += g.rows;
        samples.extend(g.sample.clone());
    }
    for (_, samples) in out.values_mut() {
        samples.sort();
        samples.dedup();
        samples.truncate(super::tally::SAMPLES);
    }
    out
}

/// What the groups look like from afar.
struct View {
    /// Broken-off rows, those with large requests, by path, and by target when the
    /// request was worked on for a while.
    large: u64,
    by_path: HashMap<u64, u64>,
    broken: u64,
    worked: HashMap<u64, u64>,
    worked_all: u64,
    /// Refusals by target.
    refused: HashMap<u64, u64>,
    refused_all: u64,
    /// Duration that most of the long ones have.
    cluster: Option<f64>,
    /// Targets that got no rows any more while others did.
    gone: HashSet<u64>,
    /// 95 % of the good answers came within so many seconds.
    usual: f64,
}

impl View {
    fn of(t: &Tally, all: &[&Group]) -> View {
        let mut v = View {
            large: 0,
            by_path: HashMap::new(),
            broken: 0,
            worked: HashMap::new(),
            worked_all: 0,
            refused: HashMap::new(),
            refused_all: 0,
            cluster: cluster(t).map(|c| c.0),
            gone: gone(t),
            usual: t.usual.or_else(|| t.times[1].quantile(0.95)).unwrap_or(0.0),
        };
        for g in all {
            if g.key.refused {
                *v.refused.entry(g.key.target).or_default() += g.rows;
                v.refused_all += g.rows;
                continue;
            }
            v.broken += g.rows;
            v.large += if g.key.large { g.rows } else { 0 };
            *v.by_path.entry(g.key.path).or_default() += g.rows;
            if g.key.class > 0 {
                *v.worked.entry(g.key.target).or_default() += g.rows;
                v.worked_all += g.rows;
            }
        }
        v
    }

    fn cause(&self, t: &Tally, g: &Group) -> &'static str {
        if g.key.refused { self.refusal(t, g) } else { self.breach(t, g) }
    }

    fn refusal(&self, t: &Tally, g: &Group) -> &'static str {
        // A reset comes at once; a host that is not there takes seconds.
        if bounds(g.key.class).0 >= 1.0 {
            return "alb-target-host-unreachable";
        }
        let secure = |target: &u64| {
            t.targets.get(target).is_some_and(|x| {
                let port = x.name.rsplit(|c| *c == b':').next().unwrap_or_default();
                matches!(port, b"443" | b"8443" | b"9443") && x.rows > 2 * x.faults
            })
        };
        let handshakes: Vec<u64> = self.refused.iter().filter(|(x, _)| secure(x)).map(|(_, n)| *n).collect();
        let (most, sum) = (handshakes.iter().max().copied().unwrap_or(0), handshakes.iter().sum::<u64>());
        // Now and then, on several targets that answer otherwise: no port is closed there.
        if secure(&g.key.target) && handshakes.len() >= 3 && most * 2 <= sum {
            return "alb-target-tls-failure";
        }
        "alb-target-connection-refused"
    }

    fn breach(&self, t: &Tally, g: &Group) -> &'static str {
        let (low, high) = bounds(g.key.class);
        if g.key.large && self.large >= 3 && self.large > t.large_good {
            return "alb-early-close-on-upload";
        }
        if self.gone.contains(&g.key.target)
            && let Some(x) = t.targets.get(&g.key.target)
            && g.last >= x.last_good - 5_000_000
            && (g.last - x.last_good) as f64 <= (t.rules.deregistration + 60.0) * 1e6
        {
            return "alb-deregistration-delay-elapsed";
        }
        if let Some(at) = self.cluster
            && high >= at * (1.0 - 2.0 * SAME)
            && low <= at * (1.0 + 2.0 * SAME)
        {
            return "app-worker-timeout-kill";
        }
        let here = self.by_path.get(&g.key.path).copied().unwrap_or(0);
        let of_path = t.paths.count(g.key.path).max(here);
        let (others, of_others) = (self.broken - here, t.rows.saturating_sub(of_path));
        let rate = |bad: u64, all: u64| bad as f64 / all.max(1) as f64;
        if g.key.path != 0
            && !t.partial
            && here >= 5
            && rate(here, of_path) >= 0.3
            && rate(others, of_others) * 5.0 < rate(here, of_path)
        {
            return "alb-target-response-malformed";
        }
        let down = t.targets.get(&g.key.target).is_some_and(|x| x.faults >= 5 && x.faults * 2 >= x.rows);
        if g.key.class == 0 {
            return if down { "app-process-down-or-crashing" } else { "alb-target-keepalive-shorter" };
        }
        let mine = self.worked.get(&g.key.target).copied().unwrap_or(0);
        if down || mine * 10 >= self.worked_all * 6 || low > self.usual {
            return "app-process-down-or-crashing";
        }
        // As long as a good answer takes, on any target: it was answered, and not well.
        "alb-target-response-malformed"
    }
}

/// The duration that the bulk of the long broken-off requests have, how many, of how many.
fn cluster(t: &Tally) -> Option<(f64, u64, u64)> {
    let long: u64 = t.broken.ranges().filter(|(low, _, _)| *low as f64 >= TIMEOUT * 1e6).map(|r| r.2).sum();
    let (at, n) = t.broken.densest(SAME, TIMEOUT)?;
    (n >= 10 && n * 10 >= long * 6).then_some((at, n, long))
}

/// Targets that got no rows any more while others did.
fn gone(t: &Tally) -> HashSet<u64> {
    let Some(last) = t.last else { return HashSet::new() };
    let quiet = 60_000_000;
    let there = t.targets.values().filter(|x| x.rows >= 20 && x.last > last - quiet).count();
    if there == 0 {
        return HashSet::new();
    }
    t.targets
        .iter()
        .filter(|(_, x)| x.rows >= 20 && x.faults > 0 && x.last < last - quiet && x.last_good > i64::MIN)
        .filter(|(_, x)| &*x.name != b"-")
        .map(|(number, _)| *number)
        .collect()
}

/// The forms that failures have.
pub(super) fn shapes(t: &Tally, minutes: &[MinuteLine], joined: Option<&Joined>) -> Vec<ShapeLine> {
    let mut out = Vec::new();
    let mut say = |shape: &'static str, why: String| out.push(ShapeLine { shape, why: why.into() });
    let name = |n: &[u8]| crate::text::SafeText::capped(n, 120);

    if let Some(o) = onset(minutes) {
        let until = o.until.map_or("to the end".into(), |u| format!("until {}", clock(u)));
        say(
            "onset",
            format!(
                "5xx rose from {} to {} of rows at {}, {until}",
                percent(o.before),
                percent(o.after),
                clock(o.at)
            ),
        );
    }
    let all: Vec<&Group> = t.groups.0.values().collect();
    let view = View::of(t, &all);
    let (short, broken) =
        (all.iter().filter(|g| !g.key.refused && g.key.class == 0).map(|g| g.rows).sum::<u64>(), view.broken);
    if short >= 5 && short * 10 >= broken * 3 {
        let targets = all
            .iter()
            .filter(|g| !g.key.refused && g.key.class == 0)
            .map(|g| g.key.target)
            .collect::<HashSet<_>>()
            .len();
        say(
            "closed-while-idle",
            format!(
                "{short} of {broken} connections broke off within 10 ms of the request, on {targets} targets: \
                 as when a target closes connections that the load balancer still keeps"
            ),
        );
    }
    if let Some((at, n, of)) = cluster(t) {
        say(
            "time-cluster",
            format!(
                "{n} of {of} requests that broke off after more than 1 s did so at {at:.1} s: a worker or an outer hop gives up then"
            ),
        );
    }
    for (sketch, what, idle) in [(&t.slow, "504s came", true), (&t.aborted, "clients left", false)] {
        if let Some((at, n)) =
            sketch.densest(SAME, TIMEOUT).filter(|(_, n)| *n >= 5 && *n * 10 >= sketch.count() * 6)
        {
            let why = match (idle, (at / t.rules.idle - 1.0).abs() <= SAME, (9.0..12.5).contains(&at)) {
                (true, true, _) => ": the idle timeout",
                (true, _, true) => ": no connection within the ten seconds there are for it",
                (false, ..) => ": an outer timeout shorter than ours",
                _ => ": a timeout of some hop",
            };
            say("timeout", format!("{n} of {} {what} after {at:.1} s{why}", sketch.count()));
        }
    }
    // One target has far more of a kind of failure than of the requests.
    let rows_of = |target: u64| t.targets.get(&target).map_or(0, |x| x.rows);
    for (counts, sum, what) in [
        (&view.refused, view.refused_all, "refused connections"),
        (&view.worked, view.worked_all, "connections broken off while a request was worked on"),
    ] {
        let top = counts.iter().max_by_key(|(x, n)| (**n, t.targets.get(x).map(|x| x.name.clone())));
        if let Some((x, n)) = top
            && *n >= 5
            && *n * 2 >= sum
            && t.targets.len() > 1
            && rows_of(*x) as f64 / t.rows.max(1) as f64 * 2.0 < *n as f64 / sum as f64
            && let Some(x) = t.targets.get(x)
        {
            say(
                "one-target",
                format!(
                    "{n} of {sum} {what} are of {}, which gets {} of the requests",
                    name(&x.name),
                    percent(x.rows as f64 / t.rows as f64)
                ),
            );
        }
    }
    let worst = t
        .targets
        .values()
        .filter(|x| &*x.name != b"-")
        .max_by(|a, b| a.faults.cmp(&b.faults).then(b.name.cmp(&a.name)));
    if let Some(x) = worst
        && t.targets.len() > 2
        && x.faults >= 10
        && x.faults * 2 >= t.faults
        && (x.rows as f64 / t.rows.max(1) as f64) * 2.0 < x.faults as f64 / t.faults as f64
    {
        say(
            "one-target",
            format!(
                "{} of {} 5xx are of {}, which gets {} of the requests",
                x.faults,
                t.faults,
                name(&x.name),
                percent(x.rows as f64 / t.rows as f64)
            ),
        );
    }
    if let Some((number, path, n)) = t.bad_paths.best(1).first().copied()
        && n >= 10
        && n * 2 >= t.faults
        && t.paths.len() > 1
        && !t.partial
    {
        let of = t.paths.count(number).max(n);
        if (of as f64 / t.rows.max(1) as f64) * 2.0 < n as f64 / t.faults as f64 {
            say(
                "one-path",
                format!(
                    "{n} of {} 5xx are of {}, which is {} of the requests",
                    t.faults,
                    name(path),
                    percent(of as f64 / t.rows as f64)
                ),
            );
        }
    }
    if let (Some(bad), Some(good)) = (t.broken_sizes.quantile(0.5), t.good_sizes.quantile(0.95))
        && t.broken_sizes.count() >= 5
        && bad >= good * 2.0
        && bad * 1e6 >= 2_000.0
    {
        let kind = if bad * 1e6 > LARGE as f64 { "uploads" } else { "headers or cookies" };
        say(
            "large-requests",
            format!(
                "requests that broke off have {:.0} bytes at the median, 95 % of the good ones less than {:.0}: {kind}",
                bad * 1e6,
                good * 1e6
            ),
        );
    }
    for target in gone(t) {
        let Some(x) = t.targets.get(&target) else { continue };
        let n: u64 = all
            .iter()
            .filter(|g| g.key.target == target && g.last >= x.last_good - 5_000_000)
            .map(|g| g.rows)
            .sum();
        if n >= 3 {
            let at = jiff::Timestamp::from_microsecond(x.last_good).map_or(String::new(), clock);
            say(
                "target-gone",
                format!(
                    "{} had its last good answer at {at}, then {n} failures, then nothing: deregistered, or down",
                    name(&x.name)
                ),
            );
        }
    }
    if let Some((quiet, busy)) = by_load(minutes) {
        say(
            "falls-with-load",
            format!(
                "502 without an answer are {} of the rows of quiet minutes and {} of busy ones: connections that idle longer break more often",
                percent(quiet),
                percent(busy)
            ),
        );
    }
    if let Some(j) = joined {
        let more = if j.left > 0 { format!("; {} rows were left out", j.left) } else { String::new() };
        if j.relayed > 0 {
            say(
                "relayed",
                format!(
                    "{} of {} failures of CloudFront were answered by the load balancer with the same status, {} of them by a target{more}",
                    j.relayed, j.edge, j.by_target
                ),
            );
        }
        if j.alone > 0 {
            say(
                "edge-only",
                format!(
                    "{} of {} failures of CloudFront have no failing row at the load balancer: between the two, or at the edge{more}",
                    j.alone, j.edge
                ),
            );
        }
        if j.changed > 0 {
            say(
                "edge-changed",
                format!(
                    "{} of {} failures of CloudFront have a row of another failing status at the load balancer, as when the edge gives up first{more}",
                    j.changed, j.edge
                ),
            );
        }
    }
    out
}

/// When 5xx stepped up, and down again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Onset {
    pub at: jiff::Timestamp,
    pub until: Option<jiff::Timestamp>,
    pub before: f64,
    pub after: f64,
}

/// The first minute with at least five 5xx in which their part is three times
/// what it was in the median minute before, and stays up in the next.
pub(super) fn onset(minutes: &[MinuteLine]) -> Option<Onset> {
    let rate = |m: &MinuteLine| m.faults as f64 / m.rows.max(1) as f64;
    // Minutes with a handful of rows have no rate.
    let fit: Vec<&MinuteLine> = minutes.iter().filter(|m| m.rows >= 5).collect();
    let mut before: Vec<f64> = Vec::new();
    for (i, m) in fit.iter().enumerate() {
        if i >= 3 {
            let mut sorted = before[before.len().saturating_sub(60)..].to_vec();
            sorted.sort_by(f64::total_cmp);
            let base = sorted[sorted.len() / 2];
            let high = (base * 3.0).max(base + 0.005);
            let stays = fit.get(i + 1).is_none_or(|n| rate(n) >= base + (high - base) / 2.0);
            if m.faults >= 5 && rate(m) >= high && stays {
                let end = fit[i..].iter().position(|n| rate(n) < base + (high - base) / 3.0);
                let bad = &fit[i..end.map_or(fit.len(), |e| i + e)];
                let sum = |f: fn(&MinuteLine) -> u64| bad.iter().map(|m| f(m)).sum::<u64>() as f64;
                return Some(Onset {
                    at: m.at,
                    until: end.map(|e| fit[i + e].at),
                    before: base,
                    after: sum(|m| m.faults) / sum(|m| m.rows).max(1.0),
                });
            }
        }
        before.push(rate(m));
    }
    None
}

/// The part of 502 without an answer in the quiet and in the busy half of the minutes, when
/// it falls by half and more as load doubles.
fn by_load(minutes: &[MinuteLine]) -> Option<(f64, f64)> {
    let mut all: Vec<&MinuteLine> = minutes.iter().filter(|m| m.rows >= 20).collect();
    if all.len() < 10 {
        return None;
    }
    all.sort_by_key(|m| m.rows);
    let (quiet, busy) = all.split_at(all.len() / 2);
    let sum = |half: &[&MinuteLine]| {
        let (bad, rows): (u64, u64) = half.iter().fold((0, 0), |s, m| (s.0 + m.lb_502_bare, s.1 + m.rows));
        (bad, rows as f64, bad as f64 / rows.max(1) as f64)
    };
    let ((bad, quiet_rows, quiet_rate), (_, busy_rows, busy_rate)) = (sum(quiet), sum(busy));
    let doubled = busy_rows / busy.len() as f64 >= 2.0 * quiet_rows / quiet.len() as f64;
    (bad >= 20 && doubled && quiet_rate >= 2.0 * busy_rate).then_some((quiet_rate, busy_rate))
}

fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

pub(super) fn percent(part: f64) -> String {
    if part > 0.0 && part < 0.001 {
        format!("{:.3} %", part * 100.0)
    } else {
        format!("{:.1} %", part * 100.0)
    }
}
