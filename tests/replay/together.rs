//! Several people in one incident: whole programs on terminals and from shells.

use crate::story::{STORY, console, keys, screen, t};
use crate::support::{Pty, badgate, eventually};
use crate::world;
use badgate::app::recorder::{self, Wanted};
use badgate::console::msg::{Draft, Durability, Effect, JournalNews, Msg, Recalled};
use badgate::console::past::Role;
use badgate::console::record::Journal;
use badgate::console::state::State;
use badgate::console::update;
use badgate::journal::{self, Kind, Mode, Options, Record, Writer};
use badgate::situation::Observation;
use badgate::sources;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// An environment in which no cloud can be reached.
fn environment(user: &str) -> Vec<(String, String)> {
    [
        ("TERM", "xterm-256color"),
        ("LANG", "C.UTF-8"),
        ("USER", user),
        // The folder the program starts in.
        ("HOME", "/"),
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .to_vec()
}

fn on_terminal(user: &str, args: &[&str], cols: u16, rows: u16) -> Pty {
    Pty::badgate(args, &environment(user), cols, rows)
}

fn note(user: &str, path: &Path, text: &str) {
    let out = Command::new(badgate())
        .args(["note", path.to_str().unwrap(), text])
        .env_clear()
        .env("USER", user)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The first console of an incident, without a screen: it records what it sees.
fn first(path: &Path) -> Journal {
    let wanted = Wanted {
        path: path.to_path_buf(),
        mode: Mode::New,
        author: "yui@bastion".into(),
        target: "shop".into(),
        drill: None,
    };
    let mut first = recorder::open(wanted).unwrap();
    see(&mut first);
    first
}

fn see(journal: &mut Journal) {
    let at = Timestamp::now();
    let list = world::Shop::default().observations();
    journal.recorder.observed(list.into_iter().map(|o| Observation { at, ..o }).collect());
}

fn leave(journal: &mut Journal) {
    journal.recorder.record(Draft {
        id: 0,
        at: Timestamp::now(),
        by: None,
        kind: "closed",
        data: json!({"reason": "left"}),
        durability: Durability::Now,
    });
    journal.recorder.close(LONG).unwrap();
}

fn new_file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.incident.jsonl");
    (dir, path)
}

fn notes(path: &Path) -> Vec<(String, String)> {
    let all = journal::read(path).unwrap();
    assert_eq!(all.problems, [], "no line is torn or damaged");
    let notes = all.records.iter().filter(|r| r.kind == Kind::Note);
    notes.map(|r| (r.by.to_string(), r.text().unwrap_or_default().to_owned())).collect()
}

#[test]
fn eight_people_write_at_once_and_nothing_is_lost_or_torn() {
    const EACH: usize = 3;
    let (_dir, path) = new_file();
    let mut yui = first(&path);
    let file = path.to_str().unwrap();
    // Four at consoles that follow, four in shells.
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let user = format!("user{n}");
                if n % 2 == 0 {
                    let mut pty = on_terminal(&user, &["join", file], 80, 24);
                    pty.wait_for_text("FOLLOWING");
                    for i in 0..EACH {
                        pty.send("a");
                        pty.wait_for_text("Note by");
                        pty.send(&format!("note {i} of {user}\r"));
                        pty.wait_until_gone("Note by");
                    }
                    pty.send("q");
                    assert_eq!(pty.wait_exit().exit_code(), 0);
                } else {
                    (0..EACH).for_each(|i| note(&user, path, &format!("note {i} of {user}")));
                }
            });
        }
        // Meanwhile the first one goes on recording.
        for _ in 0..20 {
            see(&mut yui);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    leave(&mut yui);
    let got = notes(&path);
    let texts: BTreeSet<&str> = got.iter().map(|n| n.1.as_str()).collect();
    assert_eq!(got.len(), 8 * EACH, "{got:?}");
    for n in 0..8 {
        for i in 0..EACH {
            assert!(texts.contains(format!("note {i} of user{n}").as_str()));
        }
    }
    assert!(
        got.iter().all(|(by, text)| by.starts_with(text.rsplit(' ').next().unwrap())),
        "each by its author"
    );
}

#[test]
fn who_joins_sees_what_the_first_sees_and_goes_on_when_they_leave() {
    let (_dir, path) = new_file();
    let mut yui = first(&path);
    let file = path.to_str().unwrap();
    let mut ken = on_terminal("ken", &["join", file], 160, 50);
    ken.wait_for_text("FOLLOWING");
    ken.wait_for_text("2/2 healthy");
    ken.wait_for_text("with yui");

    // What is recorded from here on comes too, and what is written in any shell.
    let mut ill = world::Shop::default();
    ill.targets[0].state = "unhealthy".into();
    ill.targets[0].reason = "Target.Timeout".into();
    let at = Timestamp::now();
    yui.recorder.observed(ill.observations().into_iter().map(|o| Observation { at, ..o }).collect());
    ken.wait_for_text("1/2 healthy");
    note("aoi", &path, "restarted nginx on i-a");
    ken.wait_for_text("restarted nginx on i-a");
    // A mark goes into the same file.
    ken.send("m");
    eventually("the mark", || {
        let all = journal::read(&path).unwrap();
        all.records.into_iter().find(|r| r.kind == Kind::Mark && r.by.starts_with("ken@"))
    });
    ken.send("w");
    ken.wait_for_text("Who is here");
    ken.wait_for_text("yui@bastion");
    ken.send("\x1b");
    ken.wait_until_gone("Who is here");

    leave(&mut yui);
    ken.wait_for_text("Take over?");
    ken.wait_for_text("yui@bastion left at");
    ken.send("\r");
    ken.wait_until_gone("FOLLOWING");
    let opened = eventually("the record of it", || {
        let all = journal::read(&path).unwrap();
        all.records.into_iter().find(|r| r.kind == Kind::Opened && r.data.get("took_over_from").is_some())
    });
    assert_eq!(opened.data["took_over_from"], "yui@bastion");
    assert_eq!(opened.data["target"], "shop");
    ken.send("q");
    assert_eq!(ken.wait_exit().exit_code(), 0);
}

#[test]
fn a_note_from_any_shell_appears_in_an_open_console() {
    let (_dir, path) = new_file();
    let file = path.to_str().unwrap();
    let mut pty = on_terminal("yui", &["open", "shop", "--incident", file], 120, 40);
    pty.wait_for_text("REC");
    note("ken", &path, "from a shell");
    pty.wait_for_text("from a shell");
    pty.send("q");
    pty.wait_exit();
}

#[test]
fn a_replay_on_a_terminal() {
    let (_dir, path) = new_file();
    std::fs::write(&path, STORY.bytes()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let file = path.to_str().unwrap();
    let mut pty = on_terminal("ken", &["replay", file, "--at", "01:41:30"], 160, 50);
    pty.wait_for_text("REPLAY  2026-11-22 01:41:30Z");
    pty.wait_for_text("0/2 healthy");
    pty.send("\x1b[1;2C");
    pty.wait_for_text("01:42:30Z");
    pty.send("{{");
    pty.wait_for_text("01:40:30Z");
    pty.wait_for_text("2/2 healthy");
    pty.send("]");
    pty.wait_for_text("REPLAY  2026-11-22 01:41:00Z");
    pty.send("01:43\r");
    pty.wait_for_text("REPLAY  2026-11-22 01:43:00Z");
    pty.send("++++ ");
    pty.wait_for_text("playing 30x");
    pty.wait_for_text("REPLAY  2026-11-22 01:57:59Z");
    pty.wait_until_gone("playing");
    pty.send("q");
    assert_eq!(pty.wait_exit().exit_code(), 0);
    assert_eq!(std::fs::read(&path).unwrap(), before, "a replay writes nothing");
}

#[test]
fn what_cannot_be_replayed_or_joined_is_said_in_one_line() {
    let (dir, path) = new_file();
    std::fs::write(dir.path().join("notes.txt"), "dear diary\n").unwrap();
    let wrong = dir.path().join("notes.txt");
    for (command, file) in [("replay", &path), ("join", &path), ("replay", &wrong), ("join", &wrong)] {
        let out = Command::new(badgate())
            .args([command, file.to_str().unwrap()])
            .env_clear()
            .env("HOME", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success());
        assert_eq!(said.lines().count(), 1, "{command} {}: {said}", file.display());
        assert!(said.starts_with("badgate: "), "{said}");
    }
    assert!(!path.exists(), "joining makes no file");
    assert_eq!(std::fs::read_to_string(&wrong).unwrap(), "dear diary\n");
}

/// A console that follows, told of what others recorded.
fn follower(records: &[(i64, &str, &str, Value)]) -> State {
    let mut state = console(t("02:00:00"));
    state.role = Role::Join;
    state.caught_up = true;
    let list = records.iter().map(|(s, by, kind, data)| Recalled::Entry {
        at: t("01:59:00") + SignedDuration::from_secs(*s),
        by: (*by).into(),
        kind: (*kind).to_owned(),
        data: data.clone(),
    });
    update::update(&mut state, Msg::Recalled(list.collect()));
    state
}

#[test]
fn taking_over_is_asked_once_and_only_by_whoever_follows() {
    let opened =
        |session: &str, command: &str| json!({"target": "shop", "session": session, "command": command});
    let mut state = follower(&[
        (0, "yui@bastion", "opened", opened("a", "open")),
        (5, "aoi@desk", "opened", opened("b", "join")),
        (10, "yui@bastion", "closed", json!({"reason": "left", "session": "a"})),
    ]);
    update::update(&mut state, Msg::Now(t("02:00:00")));
    assert!(screen(&mut state, 80, 24).contains("yui@bastion left at 01:59:10Z"));
    // Keys that were meant for something else are no answer.
    assert!(keys(&mut state, "qy3").is_empty());
    assert!(keys(&mut state, "<esc>").is_empty());
    update::update(&mut state, Msg::Now(t("02:00:05")));
    assert!(state.overlay.is_none(), "not asked again");
    assert!(keys(&mut state, "r").is_empty(), "who follows asks nothing of the cloud");
    let step = keys(&mut state, "3");
    assert!(step.iter().any(|e| matches!(e, Effect::Journal(d) if d.kind == "step")), "{step:?}");
    assert!(!step.iter().any(|e| matches!(e, Effect::Send(_))), "{step:?}");

    // On their own wish, later; meanwhile somebody else did.
    keys(&mut state, ":take-over<enter>");
    let effects = keys(&mut state, "<enter>");
    assert!(
        effects.iter().any(|e| matches!(e, Effect::Send(sources::Command::Open(t)) if t == "shop")),
        "{effects:?}"
    );
    assert_eq!(state.role, Role::Live);

    let mut other = follower(&[
        (0, "yui@bastion", "opened", opened("a", "open")),
        (10, "yui@bastion", "closed", json!({"session": "a"})),
    ]);
    update::update(&mut other, Msg::Now(t("02:00:00")));
    assert!(other.overlay.is_some());
    let took = Recalled::Entry {
        at: t("02:00:00"),
        by: "aoi@desk".into(),
        kind: "opened".into(),
        data: json!({"target": "shop", "session": "b", "command": "open", "took_over_from": "yui@bastion"}),
    };
    update::update(&mut other, Msg::Recalled(vec![took]));
    update::update(&mut other, Msg::Now(t("02:00:01")));
    assert!(other.overlay.is_none(), "the question goes when somebody has answered it");
    assert!(other.notice.as_ref().unwrap().text.contains("aoi@desk asks the cloud now"));
    let _ = update::update(&mut other, Msg::Journal(JournalNews::Fine));
}

/// What was whole before the cut is there, whatever the end of the file is like;
/// a console opens on it, a replay shows it, and a note can be added.
#[test]
fn a_file_cut_at_any_byte_of_its_last_4_kib_opens() {
    let (_dir, path) = new_file();
    let line = |n: i64| {
        let at = t("01:00:00") + SignedDuration::from_secs(n);
        let mut r = Record::new(at, "yui@b".into(), Kind::Note, json!({"text": format!("note {n}")}));
        r.logged = at;
        r.to_line()
    };
    let all: Vec<u8> = (0..60).flat_map(line).collect();
    assert!(all.len() > 8192);
    for back in 0..=4096 {
        let cut = &all[..all.len() - back];
        let complete = cut.iter().filter(|b| **b == b'\n').count();
        std::fs::write(&path, cut).unwrap();
        let mut tape = journal::Tape::open(&path).unwrap();
        let mut lines = 0;
        while let journal::Read::Line(entries) = tape.read().unwrap() {
            assert!(matches!(entries[..], [journal::Entry::Record(_)]), "cut {back} bytes before the end");
            lines += 1;
        }
        assert_eq!(lines, complete, "cut {back} bytes before the end");
        if back % 311 == 0 {
            let mut film = badgate::app::film::Film::open(&path, None).unwrap();
            while film.read(1000).unwrap() {}
            assert_eq!(film.range().1.max(world::now()), world::now());
            let w = Writer::open(&path, Mode::Resume, Options::default(), LONG).unwrap();
            let note =
                Record::new(world::now(), "ken@l".into(), Kind::Note, json!({"text": "after the cut"}));
            w.append_wait(note, LONG).unwrap();
            w.close(LONG).unwrap();
            let again = journal::read(&path).unwrap();
            assert_eq!(again.records.last().and_then(Record::text), Some("after the cut"));
            assert!(again.records.len() > complete, "cut {back} bytes before the end");
        }
    }
}
