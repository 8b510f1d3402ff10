//! Appends a second, durable and grouped, and opening a file of a million
//! entries. Files lie in the temporary folder, so TMPDIR chooses the disk.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use badgate::journal::{
    Durability, Entry, Follower, Kind, Mode, Options, Reader, Record, Writer, free_path, read,
};
use badgate::text::SafeText;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use jiff::Timestamp;
use serde_json::json;

const ENTRIES: usize = 1_000_000;
const LONG: Duration = Duration::from_secs(120);

fn main() {
    divan::main();
}

fn at(n: usize) -> Timestamp {
    Timestamp::from_microsecond(1_795_311_658_000_000 + n as i64 * 40_000).unwrap_or_default()
}

fn note(n: usize) -> Record {
    let text = format!("note {n}: targets in 1a answer again, 1c still refuses, asked the database team");
    Record::new(at(n), SafeText::from_static("yui@bastion"), Kind::Note, json!({ "text": text }))
}

/// About what one observed log line takes.
fn log_line(n: usize) -> Record {
    let text = format!(
        "{n} ERROR [upstream] connect() failed (111: Connection refused) while connecting to 10.0.3.17:8080"
    );
    let data = json!({"source": "logs:FilterLogEvents", "topic": "tail", "of": "/app/shop", "fact": "log_lines",
        "data": [{"at": at(n).to_string(), "text": text}]});
    Record::new(at(n), SafeText::from_static("logs:FilterLogEvents"), Kind::Observed, data)
}

/// A file of a million entries, nine in ten of them log lines, written once.
static MILLION: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("million.incident.jsonl");
    let mut bytes = Vec::new();
    for n in 0..ENTRIES {
        bytes.extend(if n % 10 == 0 { note(n) } else { log_line(n) }.to_line());
    }
    std::fs::write(&path, bytes).expect("room for the file");
    (dir, path)
});

fn size(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// One note after the other, each on disk before the next is written.
#[divan::bench(sample_count = 5)]
fn append_durable_one_by_one(bencher: Bencher) {
    const N: usize = 200;
    let dir = tempfile::tempdir().expect("a temporary folder");
    bencher
        .counter(ItemsCount::new(N))
        .with_inputs(|| {
            let path = free_path(dir.path(), "bench");
            Writer::open(&path, Mode::New, Options::default(), LONG).expect("a writer")
        })
        .bench_refs(|writer| {
            for n in 0..N {
                writer.append_wait(note(n), LONG).expect("on disk");
            }
        });
}

/// Eight people at once: those who wait share a sync.
#[divan::bench(sample_count = 5)]
fn append_durable_eight_threads(bencher: Bencher) {
    const N: usize = 200;
    let dir = tempfile::tempdir().expect("a temporary folder");
    bencher
        .counter(ItemsCount::new(N * 8))
        .with_inputs(|| {
            let path = free_path(dir.path(), "bench");
            Writer::open(&path, Mode::New, Options::default(), LONG).expect("a writer")
        })
        .bench_refs(|writer| {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for n in 0..N {
                            writer.append_wait(note(n), LONG).expect("on disk");
                        }
                    });
                }
            });
        });
}

/// Observations, until the last is on disk.
#[divan::bench(sample_count = 5)]
fn append_grouped(bencher: Bencher) {
    const N: usize = 100_000;
    let dir = tempfile::tempdir().expect("a temporary folder");
    bencher
        .counter(ItemsCount::new(N))
        .with_inputs(|| {
            let path = free_path(dir.path(), "bench");
            let records: Vec<Record> = (0..N).map(log_line).collect();
            (Writer::open(&path, Mode::New, Options::default(), LONG).expect("a writer"), records)
        })
        .bench_values(|(writer, records)| {
            for record in records {
                writer.append(record, Durability::Grouped, |_| {});
            }
            writer.flush(LONG).expect("on disk");
        });
}

/// All records in memory.
#[divan::bench(sample_count = 3)]
fn open_a_million_entries(bencher: Bencher) {
    let path = &MILLION.1;
    bencher
        .counter(ItemsCount::new(ENTRIES))
        .counter(BytesCount::new(size(path)))
        .bench(|| read(path).expect("readable").records.len());
}

/// One after the other, as the fold takes them.
#[divan::bench(sample_count = 3)]
fn stream_a_million_entries(bencher: Bencher) {
    let path = &MILLION.1;
    bencher
        .counter(ItemsCount::new(ENTRIES))
        .counter(BytesCount::new(size(path)))
        .bench(|| Reader::open(path).expect("readable").filter(|e| matches!(e, Entry::Record(_))).count());
}

/// A second person joins late.
#[divan::bench(sample_count = 3)]
fn catch_up_with_a_million_entries(bencher: Bencher) {
    let path = &MILLION.1;
    bencher.counter(ItemsCount::new(ENTRIES)).bench(|| {
        let mut follower = Follower::open(path).expect("readable");
        let mut count = 0;
        loop {
            let (entries, more) = follower.poll();
            count += entries.len();
            if !more {
                return count;
            }
        }
    });
}
