//! Many requests, one at a time, for a fault that comes only sometimes: how
//! often, and whether it goes with an address, with reused connections or with
//! the time they were idle.

use super::dial::Dial;
use super::exchange::{Read, send};
use super::stats::{histogram, share, split};
use super::tcp::{Io, millis};
use super::{Progress, Say};
use crate::situation::probe::{Repeat, Request};
use crate::text::SafeText;
use futures::FutureExt;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// Most requests of one run.
pub const MOST: u32 = 1000;
/// Least time between two requests: ten a second is no load.
pub const CLOSEST: Duration = Duration::from_millis(100);
/// A run ends after this, however many are left.
pub const LONGEST: Duration = Duration::from_secs(30 * 60);
/// This many failures in a row need no more.
const HOPELESS: u32 = 20;

/// How many, how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub count: u32,
    pub interval: Duration,
}

/// Which connection each request of a round uses (two are held per address),
/// and whether it is opened anew. Reuse comes after one, two and three turns.
const ROUND: [(usize, bool); 6] = [(0, true), (0, false), (1, true), (1, false), (0, false), (1, false)];

type Held = Option<(Box<dyn Io>, Instant)>;

/// Sends the requests, over these addresses in turn.
pub async fn run(dials: &[Dial], plan: Plan, limit: Duration, say: &Say) -> Repeat {
    let mut out = Repeat { asked: plan.count, interval_s: plan.interval.as_secs_f64(), ..Repeat::default() };
    let started = Instant::now();
    let mut held: Vec<[Held; 2]> = dials.iter().map(|_| [None, None]).collect();
    let mut in_a_row = 0;
    let mut bad = 0;
    let mut closed_meanwhile = 0u32;
    for i in 0..plan.count.min(MOST) {
        if dials.is_empty() {
            break;
        }
        tokio::time::sleep_until(started + plan.interval.max(CLOSEST) * i).await;
        if started.elapsed() > LONGEST {
            out.stopped = format!("after {} minutes", LONGEST.as_secs() / 60).into();
            break;
        }
        let n = i as usize % dials.len();
        let (slot, fresh) = ROUND[(i as usize / dials.len()) % ROUND.len()];
        let mut reused = if fresh { None } else { held[n][slot].take() };
        // A peer that closed some time ago is noticed by anyone who looks; the
        // race is only with an end that is still on its way.
        if let Some((io, _)) = &mut reused
            && io.read(&mut [0u8; 64]).now_or_never().is_some()
        {
            closed_meanwhile += 1;
            reused = None;
        }
        let (request, io) = one(&dials[n], reused, limit).await;
        held[n][slot] = io;
        let failed = is_failure(&request);
        in_a_row = if failed { in_a_row + 1 } else { 0 };
        bad += u32::from(failed);
        out.requests.push(request);
        out.sent += 1;
        say(Progress::Sent { n: i + 1, of: plan.count, bad });
        if in_a_row >= HOPELESS {
            out.stopped = format!("after {HOPELESS} failures in a row: this is not sporadic").into();
            break;
        }
    }
    summarise(&mut out);
    if closed_meanwhile > 0 {
        out.outcomes.push(("(idle connection found closed, not used)".into(), closed_meanwhile));
    }
    out
}

fn is_failure(r: &Request) -> bool {
    !r.failure.is_empty() || r.status.is_none_or(|s| s >= 500)
}

async fn one(dial: &Dial, reused: Option<(Box<dyn Io>, Instant)>, limit: Duration) -> (Request, Held) {
    let begun = Instant::now();
    let at = Timestamp::now();
    let mut request = Request { at, address: dial.to.to_string().into(), ..Request::default() };
    let mut io = match reused {
        Some((io, since)) => {
            request.idle_s = Some((since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
            io
        }
        None => match dial.open().await.io {
            Ok(io) => io,
            Err(why) => {
                request.failure = why.into();
                request.took_ms = millis(begun.elapsed());
                return (request, None);
            }
        },
    };
    let sent = send(&mut *io, &dial.request, Read::Look, limit).await;
    request.took_ms = sent
        .first_byte
        .map_or_else(|| millis(begun.elapsed()), |f| millis(f + sent.body.unwrap_or_default()));
    request.status = sent.reader.answer.status;
    request.failure = SafeText::capped(&sent.reader.answer.failure, 120);
    let keep = sent.reusable().then_some((io, sent.finished));
    (request, keep)
}

/// Counts and compares.
fn summarise(out: &mut Repeat) {
    let all: Vec<&Request> = out.requests.iter().collect();
    let of = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let count =
        |f: &dyn Fn(&Request) -> bool| u32::try_from(all.iter().filter(|r| f(r)).count()).unwrap_or(u32::MAX);
    out.bad_gateway = share(count(&|r| r.status == Some(502)), of);
    out.failed = share(count(&is_failure), of);
    let mut outcomes: BTreeMap<SafeText, u32> = BTreeMap::new();
    for r in &all {
        let outcome = match (r.failure.as_str(), r.status) {
            ("", Some(s)) => s.to_string().into(),
            _ => r.failure.clone(),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    let mut outcomes: Vec<(SafeText, u32)> = outcomes.into_iter().collect();
    outcomes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    outcomes.truncate(12);
    out.outcomes = outcomes;
    let by = |key: &dyn Fn(&Request) -> Option<String>| {
        split(all.iter().filter_map(|r| Some((key(r)?, is_failure(r)))))
    };
    out.by_address = by(&|r| Some(r.address.to_string()));
    out.by_connection = by(&|r| Some(if r.idle_s.is_some() { "reused" } else { "new" }.into()));
    out.by_idle = by(&|r| r.idle_s.map(gap));
    out.latency = histogram(all.iter().filter(|r| r.status.is_some()).map(|r| r.took_ms));
}

fn gap(idle: f64) -> String {
    match idle {
        s if s < 1.0 => "below 1 s",
        s if s < 5.0 => "1 to 5 s",
        s if s < 15.0 => "5 to 15 s",
        s if s < 60.0 => "15 to 60 s",
        _ => "60 s and more",
    }
    .into()
}
