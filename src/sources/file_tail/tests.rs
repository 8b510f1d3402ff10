use super::*;
use std::fs::{self, File, OpenOptions};
use std::io::Write;

/// A followed file with a clock of its own.
struct Rig {
    dir: tempfile::TempDir,
    path: PathBuf,
    follower: Follower,
    clock: Instant,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        Rig { follower: Follower::new(path.clone()), path, dir, clock: Instant::now() }
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        let mut f = OpenOptions::new().create(true).append(true).open(&self.path).unwrap();
        f.write_all(text.as_ref()).unwrap();
    }

    /// Everything there is now.
    fn lines(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        while self.follower.look(self.clock, |c| out.push(c.text().to_string())).more {}
        out
    }

    fn wait(&mut self, seconds: u64) {
        self.clock += Duration::from_secs(seconds);
    }
}

#[test]
fn gives_each_line_once() {
    let mut rig = Rig::new();
    rig.write("one\ntwo\nthr");
    assert_eq!(rig.lines(), ["one", "two"]);
    assert_eq!(rig.lines(), [""; 0]);
    rig.write("ee\nfour\n");
    assert_eq!(rig.lines(), ["three", "four"]);
    assert_eq!(*rig.follower.state(), State::Open(String::new()));
}

#[test]
fn an_unfinished_line_is_shown_after_a_while() {
    let mut rig = Rig::new();
    rig.write("done\n> ");
    assert_eq!(rig.lines(), ["done"]);
    rig.wait(2);
    assert_eq!(rig.lines(), ["> "]);
    rig.write("answer\n");
    assert_eq!(rig.lines(), ["answer"]);
}

#[test]
fn begins_at_the_last_mebibyte_with_a_whole_line() {
    let mut rig = Rig::new();
    let text: String = (0..200_000).map(|n| format!("line {n:06}\n")).collect();
    rig.write(&text);
    let lines = rig.lines();
    assert_eq!(lines.last().unwrap(), "line 199999");
    assert!(lines.len() > 80_000 && lines.len() <= (1 << 20) / 12, "{}", lines.len());
    assert!(lines.iter().all(|l| l.len() == 11), "no half line");

    // Exactly at a line's start nothing is skipped.
    let mut rig = Rig::new();
    rig.write("x".repeat(99) + "\n");
    rig.write(("y".repeat(63) + "\n").repeat((1 << 20) / 64));
    let lines = rig.lines();
    assert_eq!(lines.len(), (1 << 20) / 64);
}

#[test]
fn begins_within_a_giant_line_rather_than_show_nothing() {
    let mut rig = Rig::new();
    rig.write("x".repeat(3 << 20) + "\n");
    let lines = rig.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("xxx") && lines[0].ends_with(" B"), "{}", &lines[0][lines[0].len() - 20..]);
}

#[test]
fn a_file_renamed_and_made_anew_loses_nothing() {
    let mut rig = Rig::new();
    rig.write("a1\n");
    assert_eq!(rig.lines(), ["a1"]);
    let mut old = OpenOptions::new().append(true).open(&rig.path).unwrap();
    old.write_all(b"a2\n").unwrap();
    fs::rename(&rig.path, rig.dir.path().join("app.log.1")).unwrap();
    rig.write("b1\n");
    assert_eq!(rig.lines(), ["a2", "b1"]);
    assert_eq!(*rig.follower.state(), State::Open("rotated, following the new file".into()));
    // The writer was not told yet and goes on in the old file.
    old.write_all(b"a3\n").unwrap();
    rig.write("b2\n");
    assert_eq!(rig.lines(), ["a3", "b2"]);
    rig.wait(60);
    assert_eq!(rig.lines(), [""; 0]);
    assert!(rig.follower.before.is_empty(), "an old file is let go in the end");
}

#[test]
fn a_file_that_goes_is_missed_and_found_again() {
    let mut rig = Rig::new();
    assert_eq!(rig.lines(), [""; 0]);
    assert_eq!(*rig.follower.state(), State::Missing);
    rig.write("first\n");
    assert_eq!(rig.lines(), ["first"]);
    rig.write("last\n");
    fs::remove_file(&rig.path).unwrap();
    assert_eq!(rig.lines(), ["last"]);
    assert_eq!(*rig.follower.state(), State::Missing);
    rig.write("again\n");
    assert_eq!(rig.lines(), ["again"]);
    assert_eq!(*rig.follower.state(), State::Open(String::new()));
}

#[test]
fn a_truncated_file_is_read_from_its_start() {
    let mut rig = Rig::new();
    rig.write("2026-11-22T01:53:50Z one\n2026-11-22T01:53:51Z two\n");
    assert_eq!(rig.lines().len(), 2);
    File::create(&rig.path).unwrap();
    rig.write("short\n");
    assert_eq!(rig.lines(), ["short"]);
    assert_eq!(*rig.follower.state(), State::Open("truncated, reading from its start".into()));
}

#[test]
fn a_file_truncated_and_grown_beyond_its_old_size_is_noticed() {
    let mut rig = Rig::new();
    rig.write("2026-11-22T01:53:50Z one\n");
    assert_eq!(rig.lines().len(), 1);
    File::create(&rig.path).unwrap();
    rig.write("2026-11-22T01:54:00Z two\n2026-11-22T01:54:01Z three\n");
    assert_eq!(rig.lines(), ["2026-11-22T01:54:00Z two", "2026-11-22T01:54:01Z three"]);
}

#[test]
fn a_sparse_file_after_copytruncate_names_the_hole() {
    let mut rig = Rig::new();
    rig.write("x".repeat(99) + "\n");
    let mut writer = OpenOptions::new().write(true).open(&rig.path).unwrap();
    std::io::Seek::seek(&mut writer, std::io::SeekFrom::End(0)).unwrap();
    assert_eq!(rig.lines().len(), 1);
    File::create(&rig.path).unwrap();
    assert_eq!(rig.lines(), [""; 0]);
    writer.write_all(b"goes on\n").unwrap();
    assert_eq!(rig.lines(), ["(+100 NUL B) goes on"]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = Follower::new(dir.path().to_path_buf());
    follower.look(Instant::now(), |_| {});
    assert_eq!(*follower.state(), State::Failed("is a directory".into()));
    let mut follower = Follower::new(dir.path().join("no/such/folder.log"));
    follower.look(Instant::now(), |_| {});
    assert_eq!(*follower.state(), State::Missing);
}

#[test]
fn a_pipe_is_read_without_waiting_for_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let mut follower = Follower::new(path.clone());
    let mut out: Vec<String> = Vec::new();
    let mut look =
        |out: &mut Vec<String>| follower.look(Instant::now(), |c| out.push(c.text().to_string())).more;
    assert!(!look(&mut out));
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"one\ntwo\n").unwrap();
    assert!(look(&mut out));
    assert_eq!(out, ["one", "two"]);
}

#[test]
fn files_of_one_name_are_told_apart() {
    let of = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    assert_eq!(of(&["/a/app.log", "/b/web.log"]), ["app.log", "web.log"]);
    assert_eq!(of(&["/a/app.log", "/b/app.log", "c.log"]), ["/a/app.log", "/b/app.log", "c.log"]);
}

#[test]
fn a_line_without_a_time_belongs_to_the_one_above() {
    let stamps = Stamps::new(TimeZone::UTC);
    let now: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
    let stamped: Timestamp = "2026-11-22T01:53:50Z".parse().unwrap();
    let mut last = None;
    assert_eq!(time_of(&stamps, &mut last, b"no time yet", now), now);
    assert_eq!(time_of(&stamps, &mut last, b"2026-11-22T01:53:50Z Traceback:", now), stamped);
    for _ in 0..CONTINUATION {
        assert_eq!(time_of(&stamps, &mut last, b"    at pay()", now), stamped);
    }
    assert_eq!(time_of(&stamps, &mut last, b"    at pay()", now), now, "that is no stack trace any more");
}

/// Collects observations of a real tail until `done`.
async fn collect(
    events: &mut mpsc::Receiver<Event>,
    mut done: impl FnMut(&[Observation]) -> bool,
) -> Vec<Observation> {
    let mut all = Vec::new();
    while !done(&all) {
        let next = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
        let Event::Observed(more) = next.expect("the tail fell silent").expect("the tail ended") else {
            continue;
        };
        all.extend(more);
    }
    all
}

fn lines_of(all: &[Observation]) -> Vec<&LogLine> {
    all.iter()
        .filter_map(|o| if let Fact::LogLines(l) = &o.fact { Some(l) } else { None })
        .flatten()
        .collect()
}

#[tokio::test]
async fn speaks_as_every_source_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "2026-11-22T01:53:50Z ERROR connect() failed \x1b[31mred\n").unwrap();
    let (send, mut events) = mpsc::channel(64);
    let missing = dir.path().join("missing.log");
    let tail = start(vec![path.clone(), missing.clone()], send).unwrap();
    let all = collect(&mut events, |o| o.len() >= 3 && !lines_of(o).is_empty()).await;
    let state = |name: &str| {
        all.iter().find(|o| o.topic == Topic::Tail(name.into()) && !matches!(o.fact, Fact::LogLines(_)))
    };
    assert!(
        matches!(&state("app.log").unwrap().fact, Fact::Tail(t) if t.mode == TailMode::File && t.note.is_empty())
    );
    let Fact::Unknown(reason) = &state("missing.log").unwrap().fact else {
        panic!("a missing file is unknown")
    };
    assert!(reason.phrase().contains("missing.log"), "{}", reason.phrase());
    let line = lines_of(&all)[0];
    assert_eq!(line.at, "2026-11-22T01:53:50Z".parse().unwrap());
    assert_eq!(
        (line.group.as_str(), line.text.as_str()),
        ("app.log", "2026-11-22T01:53:50Z ERROR connect() failed ^[[31mred")
    );

    fs::write(&missing, "here now\n").unwrap();
    let all = collect(&mut events, |o| !lines_of(o).is_empty()).await;
    assert_eq!(lines_of(&all)[0].text, "here now");
    drop(tail);
    // The thread lets go of the channel.
    while tokio::time::timeout(Duration::from_secs(30), events.recv())
        .await
        .expect("the tail goes on")
        .is_some()
    {}
}

#[tokio::test]
async fn a_burst_comes_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "").unwrap();
    let (send, mut events) = mpsc::channel(256);
    let _tail = start(vec![path.clone()], send).unwrap();
    collect(&mut events, |o| !o.is_empty()).await;
    let text: String = (0..300_000).map(|n| format!("line {n}\n")).collect();
    fs::write(&path, &text).unwrap();
    let mut next = 0;
    while next < 300_000 {
        let all = collect(&mut events, |o| !lines_of(o).is_empty()).await;
        for line in lines_of(&all) {
            assert_eq!(line.text, format!("line {next}").as_str());
            next += 1;
        }
    }
}

#[test]
fn once_reads_to_the_end_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "2026-11-22T01:53:50Z one\ntwo\nthree without an end").unwrap();
    let all = once(&[path, dir.path().join("missing.log")]);
    let texts: Vec<&str> = lines_of(&all).iter().map(|l| l.text.as_str()).collect();
    assert_eq!(texts, ["2026-11-22T01:53:50Z one", "two", "three without an end"]);
    assert!(matches!(&all[1].fact, Fact::Tail(t) if t.mode == TailMode::File));
    assert!(matches!(&all[2].fact, Fact::Unknown(Reason::NotFound { .. })));
    assert_eq!(all.len(), 3);
}
