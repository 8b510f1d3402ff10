//! The incident file: recovery of broken files, following, several writers,
//! failing and lying disks, killed processes.

mod disk;
mod faults;
mod follow;
mod lying;
mod processes;
mod recovery;
mod writing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use badgate::journal::{Kind, Options, Record};
use badgate::text::SafeText;
use jiff::Timestamp;
use serde_json::json;

/// Long enough for anything a healthy machine does, however busy it is.
const SOON: Duration = Duration::from_secs(30);

fn start() -> Timestamp {
    "2026-11-22T01:40:58.123456Z".parse().unwrap()
}

/// The n-th record of a made-up incident. Kinds and text vary with `n`.
fn record(n: u64) -> Record {
    let at = start() + Duration::from_millis(n * 37);
    let (kind, data) = match n % 5 {
        0 => (Kind::Note, json!({"text": format!("note {n}: \u{63a5}\u{7d9a} refused\nsecond line")})),
        1 => (
            Kind::Step,
            json!({"id": n, "title": "network", "state": "found", "findings": ["nacl-app rule 90"]}),
        ),
        2 => (Kind::Mark, json!({"text": format!("{n} ERROR [x] \u{1b}[31mrefused"), "source": "log"})),
        3 => (Kind::Observed, json!({"topic": "target_health", "fact": "target_health", "data": [{"n": n}]})),
        _ => (Kind::Verdict, json!({"cause": "target-port-closed", "standing": "likely", "n": n})),
    };
    Record::new(at, SafeText::new("yui@bastion"), kind, data)
}

/// The whole file of `n` such records.
fn file_of(n: u64) -> Vec<u8> {
    (0..n).flat_map(|i| record(i).to_line()).collect()
}

fn note(text: &str) -> Record {
    Record::new(start(), SafeText::new("yui@bastion"), Kind::Note, json!({"text": text}))
}

/// Options with pauses short enough for tests.
fn quick() -> Options {
    Options {
        group: Duration::from_millis(2),
        lock_timeout: Duration::from_millis(40),
        retry_first: Duration::from_millis(2),
        retry_max: Duration::from_millis(20),
        ..Options::default()
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The texts of all notes of an incident, in order.
fn notes(path: &Path) -> Vec<String> {
    let all = badgate::journal::read(path).unwrap();
    all.records.iter().filter(|r| r.kind == Kind::Note).map(|r| r.text().unwrap().to_owned()).collect()
}

/// Waits until something becomes true; says what did not.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is() {
        assert!(begin.elapsed() < SOON, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
