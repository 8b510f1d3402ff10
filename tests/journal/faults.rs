//! Each call of the writer, failing in each way it can.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use badgate::journal::{
    Durability, Held, Kind, Mode, OpenError, Options, Trouble, Writer, WriterState, read,
};
use rstest::rstest;
use rustix::io::Errno;

use super::disk::{Call, Fake, Fault};
use super::{SOON, file_of, note, quick, record, until};

const PATH: &str = "/d/x.incident.jsonl";

fn open(fake: &Fake, options: Options) -> Writer {
    Writer::open_on(Box::new(fake.clone()), Path::new(PATH), Mode::Either, options, SOON).unwrap()
}

/// The notes in all files of the fake, read as the program reads them.
fn notes(fake: &Fake) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<_> = fake.world().names.keys().cloned().collect();
    for name in names {
        std::fs::write(dir.path().join(name.file_name().unwrap()), fake.content(&name).unwrap()).unwrap();
    }
    super::notes(&dir.path().join("x.incident.jsonl"))
}

fn reason(w: &Writer) -> Option<Trouble> {
    match w.status().state {
        WriterState::Trouble { reason, held, .. } => {
            assert!(held > 0);
            Some(reason)
        }
        _ => None,
    }
}

/// A call fails in one way until the disk is healed: the state says it, the
/// person is told at once, nothing is lost, and it heals by itself.
#[rstest]
#[case::disk_full(Call::Append, Fault::Errno(Errno::NOSPC), "the disk is full")]
#[case::quota(Call::Append, Fault::Errno(Errno::DQUOT), "the disk is full")]
#[case::too_big(Call::Append, Fault::Errno(Errno::FBIG), "the disk is full")]
#[case::short(Call::Append, Fault::Short(30), "the disk is full")]
#[case::nothing_taken(Call::Append, Fault::Short(0), "the disk is full")]
#[case::io_error(Call::Append, Fault::Errno(Errno::IO), "the disk reports")]
#[case::read_only(Call::Append, Fault::Errno(Errno::ROFS), "read-only")]
#[case::stale_mount(Call::Append, Fault::Errno(Errno::STALE), "bring the mount back")]
#[case::lock_held(Call::Lock, Fault::Busy, "another process has held")]
#[case::lock_error(Call::Lock, Fault::Errno(Errno::IO), "the disk reports")]
#[case::status_error(Call::Status, Fault::Errno(Errno::IO), "the disk reports")]
#[case::read_error(Call::Read, Fault::Errno(Errno::IO), "the disk reports")]
fn trouble_is_seen_and_heals(#[case] call: Call, #[case] fault: Fault, #[case] says: &str) {
    let fake = Fake::new();
    let w = open(&fake, quick());
    w.append_wait(note("before"), SOON).unwrap();
    // A torn line of somebody else makes the writer read before it writes.
    fake.append_as_other(Path::new(PATH), b"{\"v\":1,\"at\":");
    fake.script(move |c, _| (c == call).then_some(fault));
    let (tx, rx) = mpsc::channel();
    w.append(note("during"), Durability::Now, move |r| tx.send(r).unwrap());
    let told = rx.recv_timeout(SOON).unwrap().unwrap_err();
    assert!(told.to_string().contains(says), "{told}");
    assert!(told.to_string().contains("kept in memory and retried"), "{told}");
    for n in 0..20 {
        w.append(record(5 * n + 3), Durability::Grouped, |_| {});
    }
    until("the state says so", || reason(&w).is_some_and(|t| t.to_string().contains(says)));
    until("all are held", || matches!(w.status().state, WriterState::Trouble { held: 21, .. }));
    fake.heal();
    until("it heals", || w.status().state == WriterState::Recording);
    w.append_wait(note("after"), SOON).unwrap();
    w.close(SOON).unwrap();
    assert_eq!(notes(&fake), ["before", "during", "after"]);
}

/// A call that fails once is made good before anybody is told of trouble for
/// long.
#[rstest]
#[case(Call::Append, Fault::Short(1))]
#[case(Call::Append, Fault::Short(25))]
#[case(Call::Append, Fault::Errno(Errno::IO))]
#[case(Call::Truncate, Fault::Errno(Errno::IO))]
#[case(Call::Lock, Fault::Busy)]
fn one_failure_is_made_good(#[case] call: Call, #[case] fault: Fault) {
    let fake = Fake::new();
    let w = open(&fake, quick());
    w.append_wait(note("before"), SOON).unwrap();
    let mut left = 1;
    let mut shorts = 1;
    fake.script(move |c, _| {
        if call == Call::Truncate && c == Call::Append && shorts > 0 {
            shorts -= 1;
            return Some(Fault::Short(20));
        }
        (c == call && left > 0).then(|| {
            left -= 1;
            fault
        })
    });
    w.append_wait(note("during"), SOON).unwrap();
    w.close(SOON).unwrap();
    assert_eq!(notes(&fake), ["before", "during"]);
}

#[test]
fn a_half_written_line_is_cut_off_again() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    w.append_wait(note("before"), SOON).unwrap();
    let clean = fake.content(Path::new(PATH)).unwrap();
    fake.script(|c, _| (c == Call::Append).then_some(Fault::Short(40)));
    assert!(w.append_wait(note("during"), Duration::from_millis(20)).is_err());
    until("the half line is gone", || fake.content(Path::new(PATH)).unwrap() == clean);
}

#[test]
fn a_half_written_line_with_anothers_behind_it_is_not_cut() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    w.append_wait(note("before"), SOON).unwrap();
    // Between the short write and the look at the size somebody who knows no
    // locks appends a line.
    let (mut short, mut other) = (true, None);
    let shared = fake.clone();
    let line = note("theirs").to_line();
    fake.script(move |c, _| match c {
        Call::Append if std::mem::take(&mut short) => {
            other = Some(());
            Some(Fault::Short(40))
        }
        Call::Status if other.take().is_some() => {
            let (shared, line) = (shared.clone(), line.clone());
            // The world is locked during a script, so another thread writes.
            std::thread::spawn(move || shared.append_as_other(Path::new(PATH), &line));
            Some(Fault::Slow(Duration::from_millis(50)))
        }
        _ => None,
    });
    w.append_wait(note("ours"), SOON).unwrap();
    w.close(SOON).unwrap();
    assert_eq!(notes(&fake), ["before", "theirs", "ours"]);
}

#[test]
fn on_a_full_disk_what_people_wrote_goes_first() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    // Room for one note, and for none of the long observations.
    let room = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&room);
    fake.script(move |c, _| {
        (c == Call::Append).then(|| {
            if left.load(Ordering::SeqCst) == 0 { Fault::Errno(Errno::NOSPC) } else { Fault::Short(300) }
        })
    });
    for n in 0..10 {
        let mut r = record(3);
        r.data["pad"] = serde_json::json!(format!("{n}").repeat(4000));
        w.append(r, Durability::Grouped, |_| {});
    }
    w.append(note("matters most"), Durability::Now, |_| {});
    until("the disk is full", || reason(&w) == Some(Trouble::DiskFull));
    room.store(1, Ordering::SeqCst);
    until("the note is on disk", || w.status().recorded == 1);
    assert_eq!(notes(&fake), ["matters most"]);
    fake.heal();
    w.close(SOON).unwrap();
    assert_eq!(w.status().recorded, 11);
}

#[test]
fn too_many_waiting_observations_become_a_gap_and_notes_never_do() {
    let fake = Fake::new();
    let w = open(&fake, Options { held_cap: 5_000, ..quick() });
    fake.script(|c, _| (c == Call::Append).then_some(Fault::Errno(Errno::NOSPC)));
    let refused = Arc::new(AtomicUsize::new(0));
    for n in 0..100 {
        let refused = Arc::clone(&refused);
        w.append(record(5 * n + 3), Durability::Grouped, move |r| {
            if matches!(r, Err(Held::Overflow)) {
                refused.fetch_add(1, Ordering::SeqCst);
            }
        });
        w.append(note(&format!("note {n}")), Durability::Now, |_| {});
    }
    let refused = refused.load(Ordering::SeqCst);
    assert!(refused > 50, "{refused}");
    assert_eq!(w.status().overflowed, refused as u64);
    until("the disk is full", || reason(&w) == Some(Trouble::DiskFull));
    fake.heal();
    until("it heals", || w.status().state == WriterState::Recording);
    w.close(SOON).unwrap();
    assert_eq!(notes(&fake).len(), 100);
    let dir = tempfile::tempdir().unwrap();
    let path = super::write(dir.path(), "x.incident.jsonl", &fake.content(Path::new(PATH)).unwrap());
    let gap = read(&path).unwrap().records.into_iter().find(|r| r.kind == Kind::Gap).unwrap();
    assert_eq!(gap.data["count"], refused);
}

#[test]
fn a_failed_sync_is_final_for_the_file() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    w.append_wait(note("safe"), SOON).unwrap();
    // Only the first file's syncs fail, and only once: a second try would be
    // answered with success, which would be a lie.
    let mut once = true;
    fake.script(move |c, p| {
        (c == Call::Sync && p == Path::new(PATH) && std::mem::take(&mut once))
            .then_some(Fault::Errno(Errno::IO))
    });
    w.append(record(3), Durability::Grouped, |_| {});
    w.append_wait(note("in doubt"), SOON).unwrap();
    w.append_wait(note("later"), SOON).unwrap();
    let next = Path::new("/d/x.2.incident.jsonl");
    let status = w.status();
    assert_eq!(status.path, next);
    assert_eq!(status.state, WriterState::Recording);
    assert_eq!((status.moved[0].from.as_path(), status.moved[0].to.as_path()), (Path::new(PATH), next));
    w.close(SOON).unwrap();
    let syncs_after = fake.world().calls.iter().filter(|c| **c == Call::Sync).count();
    assert_eq!(syncs_after, 4, "safe, the failed one, and two in the successor: never again the first");
    // The successor alone holds all that was in doubt, and says what it is.
    let dir = tempfile::tempdir().unwrap();
    let path = super::write(dir.path(), "y.incident.jsonl", &fake.content(next).unwrap());
    let second = read(&path).unwrap();
    assert_eq!(second.records[0].kind, Kind::Opened);
    assert_eq!(second.records[0].data["continues"], "x.incident.jsonl");
    assert_eq!(second.records.len(), 4);
    // Together nothing comes twice.
    assert_eq!(notes(&fake), ["safe", "in doubt", "later"]);
}

#[test]
fn a_successor_another_process_began_is_joined() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    fake.put(Path::new("/d/x.2.incident.jsonl"), &note("theirs").to_line());
    fake.script(|c, p| (c == Call::Sync && p == Path::new(PATH)).then_some(Fault::Errno(Errno::IO)));
    w.append_wait(note("ours"), SOON).unwrap();
    w.close(SOON).unwrap();
    let mut got = notes(&fake);
    got.sort();
    assert_eq!(got, ["ours", "theirs"]);
    assert_eq!(fake.world().names.len(), 2);
}

#[test]
fn a_disk_that_fails_every_sync_is_trouble_and_loses_nothing() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    fake.script(|c, _| (c == Call::Sync).then_some(Fault::Errno(Errno::IO)));
    let told = w.append_wait(note("kept"), Duration::from_millis(30)).unwrap_err();
    assert!(told.to_string().contains("failed to store data"), "{told}");
    until("the state says so", || matches!(reason(&w), Some(Trouble::SyncFailed(_))));
    fake.heal();
    until("it heals", || w.status().state == WriterState::Recording);
    w.close(SOON).unwrap();
    assert_eq!(notes(&fake), ["kept"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_opened_later() {
    for (call, errno) in
        [(Call::Open, Errno::NOSPC), (Call::CreateDir, Errno::ROFS), (Call::SyncDir, Errno::IO)]
    {
        let fake = Fake::new();
        fake.script(move |c, _| (c == call).then_some(Fault::Errno(errno)));
        let error =
            Writer::open_on(Box::new(fake.clone()), Path::new(PATH), Mode::New, quick(), SOON).unwrap_err();
        assert!(matches!(error, OpenError::Trouble { .. }), "{error}");
        assert!(error.to_string().starts_with(PATH), "{error}");
        // The console starts all the same.
        let fake = Fake::new();
        fake.script(move |c, _| (c == call).then_some(Fault::Errno(errno)));
        let (w, _) = Writer::start_on(Box::new(fake.clone()), Path::new(PATH), Mode::New, quick()).unwrap();
        w.append(note("early"), Durability::Now, |_| {});
        until("trouble", || matches!(w.status().state, WriterState::Trouble { held: 1, .. }));
        fake.heal();
        until("it heals", || w.status().state == WriterState::Recording);
        w.close(SOON).unwrap();
        assert_eq!(notes(&fake), ["early"], "{call:?}");
    }
}

#[test]
fn a_file_system_without_locks_is_used_and_named() {
    let fake = Fake::new();
    fake.script(|c, _| (c == Call::Lock).then_some(Fault::Errno(Errno::NOTSUP)));
    let w = open(&fake, quick());
    w.append_wait(note("x"), SOON).unwrap();
    assert!(w.status().unlocked);
}

#[test]
fn a_disk_that_does_not_answer_is_seen_and_holds_nobody() {
    let fake = Fake::new();
    let w = open(&fake, Options { stall: Duration::from_millis(20), ..quick() });
    fake.script(|c, _| (c == Call::Sync).then_some(Fault::Slow(Duration::from_millis(600))));
    let begin = Instant::now();
    w.append(note("x"), Durability::Now, |_| {});
    for n in 0..1000 {
        w.append(record(n), Durability::Grouped, |_| {});
    }
    until("the stall is seen", || matches!(reason(&w), Some(Trouble::Stalled(_))));
    assert!(matches!(w.flush(Duration::from_millis(10)), Err(Held::NoAnswer(_))));
    assert!(w.close(Duration::from_millis(10)).is_err());
    assert!(begin.elapsed() < Duration::from_secs(20), "somebody waited for the disk");
}

#[test]
fn closing_on_a_full_disk_hands_the_lines_back_in_time() {
    let fake = Fake::new();
    let w = open(&fake, quick());
    w.append_wait(note("on disk"), SOON).unwrap();
    fake.script(|c, _| (c == Call::Append).then_some(Fault::Errno(Errno::NOSPC)));
    w.append(note("homeless"), Durability::Now, |_| {});
    w.append(record(3), Durability::Grouped, |_| {});
    let unflushed = w.close(Duration::from_millis(50)).unwrap_err();
    assert_eq!(unflushed.lines.len(), 2);
    assert!(
        unflushed.to_string().contains("2 record(s) did not reach the disk: the disk is full"),
        "{unflushed}"
    );
    let dir = tempfile::tempdir().unwrap();
    let saved = unflushed.rescue(dir.path(), "rescue").unwrap();
    assert_eq!(super::notes(&saved), ["homeless"]);
}

#[test]
fn a_real_full_disk() {
    // /dev/full answers ENOSPC to every write, but it is no regular file, so
    // the limit on file sizes stands in for a full disk.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    std::fs::write(&path, file_of(5)).unwrap();
    let error = Writer::open(Path::new("/dev/full"), Mode::Resume, quick(), SOON).unwrap_err();
    assert!(error.to_string().contains("is no regular file"), "{error}");
}
