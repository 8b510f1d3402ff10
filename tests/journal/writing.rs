//! The writer on a healthy disk.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use badgate::journal::{
    Durability, Held, Kind, Mode, OpenError, Options, Record, Writer, WriterState, free_path, read,
};
use serde_json::json;

use super::disk::{Call, Fake};
use super::{SOON, file_of, note, notes, quick, record, start, until, write};

#[test]
fn a_new_file_is_private_and_so_is_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/badgate/shop.incident.jsonl");
    let w = Writer::open(&path, Mode::New, quick(), SOON).unwrap();
    w.append_wait(note("hello"), SOON).unwrap();
    let mode = |p: &std::path::Path| p.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
    assert_eq!(w.status().state, WriterState::Recording);
    w.close(SOON).unwrap();
    assert_eq!(w.status().state, WriterState::Closed);
    assert_eq!(notes(&path), ["hello"]);
}

#[test]
fn records_come_back_equal_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let w = Writer::open(&path, Mode::New, quick(), SOON).unwrap();
    for n in 0..500 {
        let durability = if n % 7 == 0 { Durability::Now } else { Durability::Grouped };
        w.append(record(n), durability, |result| result.unwrap());
    }
    w.close(SOON).unwrap();
    let got = read(&path).unwrap();
    assert_eq!(got.problems, []);
    assert_eq!(got.records.len(), 500);
    for (n, mut r) in got.records.into_iter().enumerate() {
        assert!(r.logged > start());
        r.logged = r.at;
        assert_eq!(r, record(n as u64));
    }
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "shop.incident.jsonl", &file_of(3));
    let error = Writer::open(&path, Mode::New, quick(), SOON).unwrap_err();
    assert!(matches!(error, OpenError::Exists(_)), "{error}");
    assert!(error.to_string().contains("exists already; resume it"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), file_of(3));
    let w = Writer::open(&free_path(dir.path(), "shop"), Mode::New, quick(), SOON).unwrap();
    assert!(w.status().path.ends_with("shop-2.incident.jsonl"));
}

#[test]
fn resuming_wants_one_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.incident.jsonl");
    let error = Writer::open(&missing, Mode::Resume, quick(), SOON).unwrap_err();
    assert!(error.to_string().contains("no such incident file"), "{error}");
    assert!(!missing.exists());
    let foreign = write(dir.path(), "hosts", b"127.0.0.1 localhost\n");
    let error = Writer::open(&foreign, Mode::Either, quick(), SOON).unwrap_err();
    assert!(error.to_string().contains("is no incident file"), "{error}");
    assert_eq!(std::fs::read(&foreign).unwrap(), b"127.0.0.1 localhost\n");
    let error = Writer::open(dir.path(), Mode::Either, quick(), SOON).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
}

#[test]
fn records_for_a_refused_file_are_handed_back() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = write(dir.path(), "hosts", b"127.0.0.1 localhost\n");
    let w = Writer::start(&foreign, Mode::Either, quick()).unwrap();
    let error = w.append_wait(note("kept"), SOON).unwrap_err();
    assert!(matches!(error, Held::Refused(_)), "{error}");
    assert!(matches!(w.status().state, WriterState::Refused(_)));
    let unflushed = w.close(SOON).unwrap_err();
    assert_eq!(unflushed.lines.len(), 1);
    let saved = unflushed.rescue(dir.path(), "rescued").unwrap();
    assert_eq!(notes(&saved), ["kept"]);
}

#[test]
fn a_torn_line_is_left_and_ours_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = file_of(3);
    bytes.truncate(bytes.len() - 20);
    let path = write(dir.path(), "x.incident.jsonl", &bytes);
    let w = Writer::open(&path, Mode::Resume, quick(), SOON).unwrap();
    w.append_wait(note("after"), SOON).unwrap();
    w.close(SOON).unwrap();
    let got = read(&path).unwrap();
    assert_eq!(got.records.len(), 3);
    assert_eq!(got.records[2].text(), Some("after"));
    assert_eq!(got.problems.len(), 1);
    assert_eq!(&std::fs::read(&path).unwrap()[..bytes.len()], bytes);
}

#[test]
fn a_chain_is_resumed_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let first = write(dir.path(), "x.incident.jsonl", &file_of(1));
    let second = write(dir.path(), "x.2.incident.jsonl", &file_of(1));
    let w = Writer::open(&first, Mode::Resume, quick(), SOON).unwrap();
    assert_eq!(w.status().path, second);
    w.append_wait(note("more"), SOON).unwrap();
    assert!(notes(&first).contains(&"more".to_owned()));
    assert_eq!(std::fs::read(&first).unwrap(), file_of(1));
}

#[test]
fn one_sync_serves_all_who_wait() {
    let fake = Fake::new();
    // The first sync takes its time; meanwhile others queue up.
    let mut first = true;
    fake.script(move |call, _| {
        (call == Call::Sync && std::mem::take(&mut first))
            .then_some(super::disk::Fault::Slow(Duration::from_millis(100)))
    });
    let path = std::path::Path::new("/d/x.incident.jsonl");
    let w = Writer::open_on(Box::new(fake.clone()), path, Mode::New, quick(), SOON).unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    for n in 0..50 {
        let done = Arc::clone(&done);
        w.append(note(&n.to_string()), Durability::Now, move |r| {
            r.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
        });
        if n == 0 {
            until("the first sync has begun", || fake.world().calls.contains(&Call::Sync));
        }
    }
    until("all are acknowledged", || done.load(Ordering::SeqCst) == 50);
    let syncs = fake.world().calls.iter().filter(|c| **c == Call::Sync).count();
    assert_eq!(syncs, 2, "one for the first note, one for the 49 that came during it");
    assert_eq!(w.status().recorded, 50);
}

#[test]
fn an_acknowledgement_comes_after_the_sync_and_observations_wait_for_company() {
    let fake = Fake::new();
    let path = std::path::Path::new("/d/x.incident.jsonl");
    let options = Options { group: Duration::from_millis(200), ..quick() };
    let w = Writer::open_on(Box::new(fake.clone()), path, Mode::New, options, SOON).unwrap();
    let (tx, rx) = mpsc::channel();
    let seen = fake.clone();
    for n in 0..20 {
        let (tx, seen) = (tx.clone(), seen.clone());
        w.append(record(n), Durability::Grouped, move |r| {
            r.unwrap();
            let calls = seen.world().calls.clone();
            tx.send(calls.iter().filter(|c| **c == Call::Sync).count()).unwrap();
        });
    }
    for _ in 0..20 {
        assert_eq!(rx.recv_timeout(SOON).unwrap(), 1, "one sync, and before the acknowledgement");
    }
    let writes = fake.world().calls.iter().filter(|c| **c == Call::Append).count();
    assert!(writes <= 2, "{writes} writes for one group");
}

#[test]
fn an_idle_writer_leaves_the_disk_alone() {
    let fake = Fake::new();
    let path = std::path::Path::new("/d/x.incident.jsonl");
    let w = Writer::open_on(Box::new(fake.clone()), path, Mode::New, quick(), SOON).unwrap();
    w.append_wait(note("x"), SOON).unwrap();
    let calls = fake.world().calls.len();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(fake.world().calls.len(), calls);
}

fn log(n: usize) -> Record {
    let data = json!({"fact": "log_lines", "data": [{"text": format!("{n} {}", "x".repeat(100))}]});
    Record::new(start(), "logs".into(), Kind::Observed, data)
}

#[test]
fn log_lines_stop_at_the_cap_and_the_gap_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let size = log(0).to_line().len() as u64;
    let options = Options { log_cap: 10 * size + 9, log_bytes: 4 * size, ..quick() };
    let w = Writer::open(&path, Mode::New, options, SOON).unwrap();
    let taken: Vec<bool> = (0..9).map(|n| w.append_log(1, false, || log(n))).collect();
    assert_eq!(taken, [true, true, true, true, true, true, false, false, false]);
    assert!(w.append_log(1, true, || log(9)), "evidence passes the cap");
    assert_eq!(w.status().logs_left_out, 3);
    assert_eq!(w.log_bytes(), 11 * size);
    w.append_wait(note("still heard"), SOON).unwrap();
    w.close(SOON).unwrap();
    let got = read(&path).unwrap();
    assert_eq!(got.records.iter().filter(|r| r.is_log()).count(), 7);
    let gaps: Vec<_> = got.records.iter().filter(|r| r.kind == Kind::Gap).map(|r| r.data.clone()).collect();
    assert_eq!(gaps.len(), 2);
    assert_eq!(gaps[0]["limit_bytes"], json!(10 * size + 9));
    assert_eq!(gaps[1]["count"], json!(3));
    assert_eq!(got.log_bytes, 7 * size);
    assert!(notes(&path).contains(&"still heard".to_owned()));
}

#[test]
fn a_record_longer_than_a_line_can_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let w = Writer::open(&path, Mode::New, quick(), SOON).unwrap();
    let error = w.append_wait(note(&"x".repeat(badgate::journal::MAX_LINE)), SOON).unwrap_err();
    assert!(matches!(error, Held::TooLong(_)), "{error}");
    w.append_wait(note("short"), SOON).unwrap();
    w.close(SOON).unwrap();
    assert_eq!(notes(&path), ["short"]);
}

#[test]
fn a_panicking_acknowledgement_does_not_end_the_writing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let w = Writer::open(&path, Mode::New, quick(), SOON).unwrap();
    w.append(note("one"), Durability::Now, |_| panic!("on purpose"));
    w.append_wait(note("two"), SOON).unwrap();
    w.close(SOON).unwrap();
    assert_eq!(notes(&path), ["one", "two"]);
}

#[test]
fn dropping_the_last_handle_writes_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let options = Options { group: Duration::from_secs(60), ..quick() };
    let w = Writer::open(&path, Mode::New, options, SOON).unwrap();
    let clone = w.clone();
    drop(w);
    clone.append(note("last words"), Durability::Grouped, |_| {});
    drop(clone);
    assert_eq!(notes(&path), ["last words"]);
}

#[test]
fn after_closing_nothing_is_taken_silently() {
    let dir = tempfile::tempdir().unwrap();
    let w = Writer::open(&dir.path().join("x.incident.jsonl"), Mode::New, quick(), SOON).unwrap();
    w.close(SOON).unwrap();
    assert!(matches!(w.append_wait(note("late"), SOON), Err(Held::Refused(_))));
    assert!(w.close(SOON).is_ok(), "closing twice is fine");
}

#[test]
fn every_change_of_state_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let options =
        Options { notify: Some(Arc::new(move |s| sink.lock().unwrap().push(s.state.clone()))), ..quick() };
    let w = Writer::open(&dir.path().join("x.incident.jsonl"), Mode::New, options, SOON).unwrap();
    for n in 0..5 {
        w.append_wait(record(n), SOON).unwrap();
    }
    w.close(SOON).unwrap();
    assert_eq!(*told.lock().unwrap(), [WriterState::Recording, WriterState::Closed]);
}

#[test]
fn a_deleted_file_is_written_anew_with_all_it_held() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let a = Writer::open(&path, Mode::New, quick(), SOON).unwrap();
    let b = Writer::open(&path, Mode::Resume, quick(), SOON).unwrap();
    a.append_wait(note("one"), SOON).unwrap();
    b.append_wait(note("two"), SOON).unwrap();
    let inode = path.metadata().unwrap().ino();
    std::fs::remove_file(&path).unwrap();
    a.append_wait(note("three"), SOON).unwrap();
    b.append_wait(note("four"), SOON).unwrap();
    a.append_wait(note("five"), SOON).unwrap();
    assert_ne!(path.metadata().unwrap().ino(), inode);
    assert_eq!(notes(&path), ["one", "two", "three", "four", "five"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(a.status().restored, 1);
    // Replaced by an editor that had read it before the last note.
    let other = write(dir.path(), "editor", &std::fs::read(&path).unwrap());
    a.append_wait(note("six"), SOON).unwrap();
    std::fs::rename(&other, &path).unwrap();
    b.append_wait(note("seven"), SOON).unwrap();
    assert_eq!(notes(&path), ["one", "two", "three", "four", "five", "six", "seven"]);
}
