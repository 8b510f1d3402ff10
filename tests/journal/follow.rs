use std::io::Write;

use badgate::journal::{Durability, Entry, Follower, Mode, Options, Record, Why, Writer};

use super::{SOON, file_of, note, quick, record, write};

fn all(f: &mut Follower) -> (Vec<Record>, Vec<Why>) {
    let (mut records, mut problems) = (Vec::new(), Vec::new());
    loop {
        let (entries, more) = f.poll();
        for entry in entries {
            match entry {
                Entry::Record(r) => records.push(r),
                Entry::Problem(p) => problems.push(p.why),
            }
        }
        if !more {
            return (records, problems);
        }
    }
}

#[test]
fn new_lines_come_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", b"");
    let mut f = Follower::open(&path).unwrap();
    assert_eq!(all(&mut f), (vec![], vec![]));
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(&file_of(2)).unwrap();
    assert_eq!(all(&mut f).0, [record(0), record(1)]);
    assert_eq!(all(&mut f).0, []);
    // A line that comes in pieces is reported when it is whole.
    let line = record(2).to_line();
    for piece in line.chunks(7) {
        assert_eq!(all(&mut f), (vec![], vec![]));
        file.write_all(piece).unwrap();
    }
    assert_eq!(all(&mut f), (vec![record(2)], vec![]));
}

#[test]
fn a_half_line_cut_off_and_rewritten_is_never_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", &file_of(1));
    let mut f = Follower::open(&path).unwrap();
    assert_eq!(all(&mut f).0.len(), 1);
    let base = file_of(1).len() as u64;
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(&record(1).to_line()[..60]).unwrap();
    assert_eq!(all(&mut f), (vec![], vec![]));
    file.set_len(base).unwrap();
    assert_eq!(all(&mut f), (vec![], vec![]));
    file.write_all(&record(3).to_line()).unwrap();
    assert_eq!(all(&mut f), (vec![record(3)], vec![]));
}

#[test]
fn a_torn_line_that_stays_is_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", &file_of(1));
    let mut f = Follower::open(&path).unwrap();
    all(&mut f);
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(&record(1).to_line()[..60]).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(&record(2).to_line()).unwrap();
    let (records, problems) = all(&mut f);
    assert_eq!(records, [record(2)]);
    assert_eq!(problems.len(), 1);
    assert_eq!(all(&mut f), (vec![], vec![]));
}

#[test]
fn a_long_file_is_caught_up_with_in_steps() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(40_000);
    let bytes: Vec<u8> = (0..130).flat_map(|n| note(&format!("{n} {long}")).to_line()).collect();
    let path = write(dir.path(), "x.incident.jsonl", &bytes);
    let mut f = Follower::open(&path).unwrap();
    let (first, more) = f.poll();
    assert!(more && first.len() < 130);
    assert_eq!(first.len() + all(&mut f).0.len(), 130);
}

#[test]
fn a_chain_and_a_replaced_file_repeat_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", &file_of(2));
    let mut f = Follower::open(&path).unwrap();
    assert_eq!(all(&mut f).0.len(), 2);
    let mut next = record(1).to_line();
    next.extend(record(2).to_line());
    write(dir.path(), "x.2.incident.jsonl", &next);
    assert_eq!(all(&mut f).0, [record(2)]);
    assert_eq!(f.files().count(), 2);
    // Replaced under its name, as an editor or a restoring writer does.
    let other = write(dir.path(), "other", &file_of(4));
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(all(&mut f).0, [record(3)]);
    // Cut short by somebody: said, and nothing comes twice.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(all(&mut f), (vec![], vec![Why::Shrunk]));
}

#[test]
fn an_endless_line_does_not_stop_the_following() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", &file_of(1));
    let mut f = Follower::open(&path).unwrap();
    all(&mut f);
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    let piece = vec![b'x'; 5 << 20];
    for _ in 0..8 {
        file.write_all(&piece).unwrap();
        assert_eq!(all(&mut f), (vec![], vec![]));
    }
    file.write_all(b"\n").unwrap();
    file.write_all(&record(1).to_line()).unwrap();
    assert_eq!(all(&mut f), (vec![record(1)], vec![Why::TooLong(40 << 20)]));
}

#[test]
fn own_lines_are_left_out_and_those_of_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.incident.jsonl");
    let me = Writer::open(&path, Mode::New, Options { track_own: true, ..quick() }, SOON).unwrap();
    let other = Writer::open(&path, Mode::Resume, quick(), SOON).unwrap();
    let mut f = Follower::open(&path).unwrap();
    f.skip_own(&me);
    me.append_wait(note("mine"), SOON).unwrap();
    other.append_wait(note("theirs"), SOON).unwrap();
    me.append(note("mine too"), Durability::Grouped, |_| {});
    me.flush(SOON).unwrap();
    let (records, problems) = all(&mut f);
    assert_eq!(records.iter().map(|r| r.text().unwrap()).collect::<Vec<_>>(), ["theirs"]);
    assert_eq!(problems, []);
}
