//! Several processes on one file, and processes that are killed. The children
//! are this test binary, told by a variable what to be.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use badgate::journal::{Durability, Kind, Mode, Record, Writer, read};
use serde_json::json;

use super::disk::Dice;
use super::{SOON, notes, quick, record, start};

const ROLE: &str = "BADGATE_TEST_ROLE";

fn spawn(role: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture", "--test-threads=1"])
        .env(ROLE, format!("{role}:{}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: does what the variable says, in a child process.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut parts = role.splitn(3, ':');
    let (what, tag, path) =
        (parts.next().unwrap(), parts.next().unwrap(), PathBuf::from(parts.next().unwrap()));
    match what {
        "many" => {
            let w = Writer::open(&path, Mode::Either, quick(), SOON).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let w = w.clone();
                    scope.spawn(move || {
                        for n in 0..100 {
                            let text = format!("{tag}-{thread}-{n} {}", "x".repeat((n % 13) * 97));
                            let r = Record::new(start(), tag.into(), Kind::Note, json!({ "text": text }));
                            if n % 10 == 0 {
                                w.append_wait(r, SOON).unwrap();
                            } else {
                                w.append(r, Durability::Grouped, |result| result.unwrap());
                            }
                        }
                    });
                }
            });
            w.close(SOON).unwrap();
        }
        "victim" => {
            let w = Writer::open(&path, Mode::Either, quick(), SOON).unwrap();
            let mut out = std::io::stdout();
            for n in 0.. {
                w.append(record(5 * n + 3), Durability::Grouped, |_| {});
                let text = format!("{tag}-{n} {}", "y".repeat(n as usize % 900));
                let r = Record::new(start(), tag.into(), Kind::Note, json!({ "text": text }));
                w.append_wait(r, SOON).unwrap();
                // Only what is acknowledged is claimed.
                writeln!(out, "ACK {tag}-{n}").unwrap();
                out.flush().unwrap();
            }
        }
        other => panic!("no role {other}"),
    }
}

#[test]
fn eight_threads_in_two_processes_lose_and_tear_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let children: Vec<Child> = ["many:a", "many:b"].iter().map(|role| spawn(role, &path)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let all = read(&path).unwrap();
    assert_eq!(all.problems, []);
    let mut got: Vec<String> = notes(&path).iter().map(|t| t.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(got.len(), 1600);
    // Each thread's notes stand in the order it wrote them.
    for tag in ["a", "b"] {
        for thread in 0..8 {
            let head = format!("{tag}-{thread}-");
            let own: Vec<_> = got.iter().filter_map(|t| t.strip_prefix(&head)).collect();
            assert_eq!(own, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 1600);
}

/// Kills a writing child `times` times at seeded moments. No note that it had
/// claimed to be on disk is missing, and no line but the last of a life is torn.
fn kill_again_and_again(times: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(502);
    let mut path = PathBuf::new();
    let mut claimed = BTreeSet::new();
    let mut claims = 0;
    for life in 0..times {
        if life % 50 == 0 {
            check(&path, &claimed, life);
            claimed.clear();
            path = dir.path().join(format!("{life}.incident.jsonl"));
        }
        let mut child = spawn(&format!("victim:{life}"), &path);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // The moment counts from the first claim, so that on a busy machine
        // not all are killed before anything happened; some are.
        if dice.roll(10) > 0 {
            read_claims(&mut out, &mut claimed, true);
        }
        std::thread::sleep(Duration::from_micros(dice.roll(12_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        read_claims(&mut out, &mut claimed, false);
        claims += claimed.len();
    }
    check(&path, &claimed, times);
    assert!(claims as u64 > times, "the children hardly lived: {claims} claims");
}

/// Notes what the child says is on disk, until its end or the first claim.
fn read_claims(out: &mut impl BufRead, claimed: &mut BTreeSet<String>, first_only: bool) {
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        // A line the kill cut short claims nothing.
        let claim = line.split_once("ACK ").and_then(|(_, what)| what.strip_suffix('\n'));
        if let Some(what) = claim {
            claimed.insert(what.to_owned());
            if first_only {
                return;
            }
        }
        line.clear();
    }
}

fn check(path: &Path, claimed: &BTreeSet<String>, life: u64) {
    if claimed.is_empty() {
        return;
    }
    let there: BTreeSet<String> =
        notes(path).iter().map(|t| t.split(' ').next().unwrap().to_owned()).collect();
    let lost: Vec<_> = claimed.difference(&there).collect();
    assert!(lost.is_empty(), "before life {life}: acknowledged and lost: {lost:?}");
}

#[test]
fn killed_a_hundred_times_no_acknowledged_note_is_lost() {
    kill_again_and_again(100);
}

/// The full figure. Run with `cargo test --test journal -- --ignored`.
#[test]
#[ignore = "takes most of a minute; a hundred kills run by default"]
fn killed_a_thousand_times_no_acknowledged_note_is_lost() {
    kill_again_and_again(1000);
}
