//! How fast log lines get in, and what a million of them costs.
//!
//!     cargo bench --no-default-features --bench ingest
//!
//! The last line printed is the memory that a full ring takes.

use badgate::situation::log::{LogLine, LogRing};
use badgate::situation::{Fact, Situation, level};
use badgate::sources::stamp::Stamps;
use badgate::sources::{EVENT_QUEUE, Event, file_tail};
use badgate::text::SafeText;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{BufWriter, Write};
use std::time::Duration;

const MILLION: usize = 1_000_000;

fn main() {
    divan::main();
    if let Some((lines, bytes, took)) = memory() {
        eprintln!("ring of {lines} lines of 200 B: {} MB resident, {took:?} to fill", bytes >> 20);
    }
}

/// Lines as servers write them, 200 bytes each.
fn line(n: usize) -> String {
    let head = match n % 4 {
        0 => format!(
            "2026-11-22T01:53:{:02}.{:03}Z INFO  request served path=/cart/{n} status=200 ms=12",
            n / 1000 % 60,
            n % 1000
        ),
        1 => format!(
            "10.0.{}.{} - - [22/Nov/2026:01:53:50 +0000] \"GET /cart/{n} HTTP/1.1\" 502 157 \"-\" \"curl/8\"",
            n % 200,
            n % 250
        ),
        2 => format!(
            "{{\"level\":\"error\",\"time\":\"2026-11-22T01:53:50.123Z\",\"msg\":\"upstream refused\",\"n\":{n}}}"
        ),
        _ => format!("2026/11/22 01:53:50 [error] 12#12: *{n} connect() failed (111: Connection refused)"),
    };
    format!("{head:-<200}")
}

fn logged(n: usize, group: &SafeText) -> LogLine {
    let at = Timestamp::from_millisecond(1_795_312_430_000 + n as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    LogLine {
        at,
        group: group.clone(),
        stream: SafeText::default(),
        id: SafeText::default(),
        text: line(n).into(),
    }
}

fn sample() -> Vec<String> {
    (0..10_000).map(line).collect()
}

#[divan::bench]
fn level_of_10_000_lines(bencher: Bencher) {
    let lines = sample();
    bencher.counter(ItemsCount::new(lines.len())).counter(BytesCount::new(200 * lines.len())).bench_local(
        || {
            for l in &lines {
                black_box(level::read(l));
            }
        },
    );
}

#[divan::bench]
fn time_of_10_000_lines(bencher: Bencher) {
    let lines = sample();
    let stamps = Stamps::new(TimeZone::UTC);
    let now = Timestamp::from_second(1_795_320_000).unwrap_or(Timestamp::UNIX_EPOCH);
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        for l in &lines {
            black_box(stamps.read(l.as_bytes(), now));
        }
    });
}

#[divan::bench]
fn sanitise_10_000_lines(bencher: Bencher) {
    let lines = sample();
    bencher.counter(ItemsCount::new(lines.len())).counter(BytesCount::new(200 * lines.len())).bench_local(
        || {
            for l in &lines {
                black_box(SafeText::from_bytes(l.as_bytes()));
            }
        },
    );
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn million_lines_into_the_ring(bencher: Bencher) {
    let group = SafeText::from("/app/shop");
    bencher
        .counter(ItemsCount::new(MILLION))
        .with_inputs(|| (0..MILLION).map(|n| logged(n, &group)).collect::<Vec<_>>())
        .bench_local_values(|lines| {
            let mut ring = LogRing::default();
            for l in lines {
                ring.push(l);
            }
            ring
        });
}

/// As in a poll: half of the lines were seen before.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn hundred_thousand_ids_twice(bencher: Bencher) {
    let group = SafeText::from("/app/shop");
    bencher
        .counter(ItemsCount::new(200_000usize))
        .with_inputs(|| {
            let with_id = |n: usize| LogLine { id: format!("{n:016x}").into(), ..logged(n, &group) };
            (0..100_000).flat_map(|n| [with_id(n), with_id(n)]).collect::<Vec<_>>()
        })
        .bench_local_values(|lines| {
            let mut ring = LogRing::default();
            for l in lines {
                ring.push(l);
            }
            ring
        });
}

/// From a file that appears to the last line in the situation: reading,
/// sanitising, times, levels, the channel and the fold.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn million_lines_from_a_file(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let prepared = dir.path().join("prepared.log");
    let mut out = BufWriter::new(std::fs::File::create(&prepared).expect("a file"));
    for n in 0..MILLION {
        writeln!(out, "{}", line(n)).expect("written");
    }
    out.flush().expect("written");
    drop(out);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    bencher
        .counter(ItemsCount::new(MILLION))
        .with_inputs(|| {
            let path = dir.path().join("app.log");
            let _ = std::fs::remove_file(&path);
            path
        })
        .bench_local_values(|path| {
            runtime.block_on(async {
                let (send, mut events) = tokio::sync::mpsc::channel(EVENT_QUEUE);
                let tail = file_tail::start(vec![path.clone()], send).expect("a tail");
                // The first word is that there is no file; then it is there, all of it.
                events.recv().await;
                std::fs::hard_link(&prepared, &path).expect("a link");
                let mut situation = Situation::new();
                while situation.logs.range().end < MILLION as u64 {
                    let Some(Event::Observed(all)) = events.recv().await else { break };
                    for o in &all {
                        situation.apply(o);
                    }
                }
                drop(tail);
                situation.logs.range()
            })
        });
}

/// Lines, bytes and time of a ring filled through the fold, as the console does it.
fn memory() -> Option<(usize, usize, Duration)> {
    let before = resident()?;
    let start = std::time::Instant::now();
    let group = SafeText::from("/app/shop");
    let mut situation = Situation::new();
    for part in 0..MILLION / 1000 {
        let lines = (part * 1000..(part + 1) * 1000).map(|n| logged(n, &group)).collect();
        let o = badgate::situation::Observation {
            at: Timestamp::UNIX_EPOCH,
            source: SafeText::from("bench"),
            topic: badgate::situation::Topic::Tail(group.clone()),
            fact: Fact::LogLines(lines),
            took_ms: 0,
        };
        situation.apply(&o);
    }
    Some((situation.logs.len(), resident()?.saturating_sub(before), start.elapsed()))
}

fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}
