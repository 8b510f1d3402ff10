//! How long a server really keeps an idle connection: one request, then
//! silence, timing the server's end of it. Other connections, asked at the
//! same time, are used again after set pauses: a hop that forgets connections
//! without a word shows only there.

use super::dial::Dial;
use super::exchange::{Read, send};
use super::tcp::Io;
use super::{Progress, Say};
use crate::situation::probe::{ClosedBy, KeepAlive, Reuse};
use crate::text::SafeText;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// How long is watched at most.
pub const LONGEST: Duration = Duration::from_secs(400);
/// Pauses after which a connection is used again: around what servers and
/// load balancers are set to (5, 60, 75, 120, 350 s).
pub const PAUSES: [Duration; 5] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(62),
    Duration::from_secs(122),
    Duration::from_secs(355),
];
/// Requests are sent one after another; this long lies between two.
const APART: Duration = Duration::from_millis(20);

/// How long the first requests of one address take up, with so many pauses.
pub fn span(pauses: usize) -> Duration {
    APART * u32::try_from(pauses + 1).unwrap_or(1)
}

/// What came out of it: seconds and who closed how, where it was seen.
#[derive(Debug, Default)]
pub struct Measured {
    pub report: KeepAlive,
    pub seconds: Option<f64>,
    pub closed_by: Option<ClosedBy>,
}

/// Measures for at most `max`. Stops as soon as the value is known.
pub async fn measure(
    dial: &Dial,
    max: Duration,
    pauses: &[Duration],
    limit: Duration,
    say: &Say,
) -> Measured {
    let mut out = Measured {
        report: KeepAlive { address: dial.to.to_string().into(), ..KeepAlive::default() },
        ..Measured::default()
    };
    let (mut io, since) = match first(dial, limit, &mut out.report).await {
        Ok(Some(open)) => open,
        Ok(None) => return out,
        Err(why) => {
            out.report.failure = why.into();
            return out;
        }
    };
    let others = FuturesUnordered::new();
    for (n, pause) in pauses.iter().filter(|p| **p < max).enumerate() {
        let start = APART * u32::try_from(n + 1).unwrap_or(1);
        others.push(reuse(dial, *pause, start, limit));
    }
    let mut others = others.fuse();
    let watching = watch(&mut *io, since, max);
    tokio::pin!(watching);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let seen = loop {
        tokio::select! {
            biased;
            seen = &mut watching => break seen,
            Some(r) = others.next() => out.report.reuses.push(r),
            _ = tick.tick() => say(Progress::Idle { elapsed: since.elapsed(), max }),
        }
    };
    out.report.unasked = seen.unasked;
    match seen.end {
        Some((by, after)) => {
            out.seconds = Some(to_seconds(after));
            out.closed_by = Some(by);
        }
        None => {
            // What has just become due may still tell.
            while let Ok(Some(r)) = tokio::time::timeout(Duration::from_millis(200), others.next()).await {
                out.report.reuses.push(r);
            }
            let broken =
                out.report.reuses.iter().filter(|r| !r.ok).map(|r| r.idle_s).fold(f64::INFINITY, f64::min);
            let good = out
                .report
                .reuses
                .iter()
                .filter(|r| r.ok && r.idle_s < broken)
                .map(|r| r.idle_s)
                .fold(0.0, f64::max);
            if broken.is_finite() {
                out.report.at_least_s = Some(good).filter(|g| *g > 0.0);
                out.report.failure = format!(
                    "the connection is forgotten without a word: used again after {good} s it worked, after {broken} s not"
                )
                .into();
            } else {
                out.report.at_least_s = Some(to_seconds(max));
            }
        }
    }
    out.report.reuses.sort_by(|a, b| a.idle_s.total_cmp(&b.idle_s));
    out
}

fn to_seconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The first request; `None` when the server keeps no connection.
async fn first(
    dial: &Dial,
    limit: Duration,
    report: &mut KeepAlive,
) -> Result<Option<(Box<dyn Io>, Instant)>, String> {
    let mut io = dial.open().await.io?;
    let sent = send(&mut *io, &dial.request, Read::Drain, limit).await;
    let a = &sent.reader.answer;
    if !a.failure.is_empty() {
        return Err(a.failure.clone());
    }
    if sent.cut {
        return Err(
            "the body is too large to be read to its end; measure a smaller page, or --method HEAD".into()
        );
    }
    report.announced_s = a.header("keep-alive").and_then(announced);
    if !sent.reusable() {
        report.closes_each = true;
        return Ok(None);
    }
    Ok(Some((io, sent.finished)))
}

/// `timeout=5, max=100`.
fn announced(value: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let seconds = text
        .split(',')
        .find_map(|p| p.trim().strip_prefix("timeout")?.trim().strip_prefix('=')?.trim().parse().ok());
    seconds.filter(|s: &f64| s.is_finite() && *s >= 0.0)
}

struct Seen {
    end: Option<(ClosedBy, Duration)>,
    unasked: SafeText,
}

/// Waits for the end of an idle connection.
async fn watch(io: &mut dyn Io, since: Instant, max: Duration) -> Seen {
    let mut seen = Seen { end: None, unasked: SafeText::default() };
    let mut buffer = [0u8; 1024];
    let deadline = since + max;
    // A server that talks without end while it should be idle is cut off.
    for _ in 0..64 {
        let by = match tokio::time::timeout_at(deadline, io.read(&mut buffer)).await {
            Err(_) => return seen,
            Ok(Ok(0)) => ClosedBy::Fin,
            Ok(Ok(n)) => {
                if seen.unasked.is_empty() {
                    let line = buffer[..n].split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or_default();
                    seen.unasked = SafeText::capped(line, 120);
                }
                continue;
            }
            Ok(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => ClosedBy::Fin,
            Ok(Err(_)) => ClosedBy::Rst,
        };
        seen.end = Some((by, since.elapsed()));
        return seen;
    }
    seen
}

/// Uses a connection again after a pause.
async fn reuse(dial: &Dial, pause: Duration, start: Duration, limit: Duration) -> Reuse {
    let idle_s = to_seconds(pause);
    let failed = |result: String| Reuse { idle_s, ok: false, result: result.into() };
    tokio::time::sleep(start).await;
    let mut io = match dial.open().await.io {
        Ok(io) => io,
        Err(why) => return failed(why),
    };
    let sent = send(&mut *io, &dial.request, Read::Drain, limit).await;
    if !sent.reusable() {
        return failed(format!("not kept: {}", sent.outcome()));
    }
    tokio::time::sleep_until(sent.finished + pause).await;
    let again = send(&mut *io, &dial.request, Read::Drain, limit).await;
    Reuse { idle_s, ok: again.reader.answer.failure.is_empty(), result: again.outcome().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_announces() {
        for (value, want) in [
            (&b"timeout=5"[..], Some(5.0)),
            (b"max=100, Timeout = 72", Some(72.0)),
            (b"max=100", None),
            (b"timeout=soon", None),
            (b"timeout=-1", None),
        ] {
            assert_eq!(announced(value), want);
        }
    }
}
