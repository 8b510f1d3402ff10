//! The console on a real pseudo-terminal, with a source and an incident file of
//! its own: starting, typing, resizing, stopping, hanging up, panicking.
//!
//! The program on the terminal is this test binary, which runs `child` when the
//! environment says so.
mod support;
mod world;

use badgate::app::recorder::{self, Wanted};
use badgate::console::caps::{Caps, Wishes};
use badgate::console::keys::Keymap;
use badgate::console::msg::Draft;
use badgate::console::record::{Journal, Recorder};
use badgate::console::run::{self, ConsoleConfig, How};
use badgate::console::state::Incident;
use badgate::console::theme::Theme;
use badgate::diagnosis::catalogue::Catalogue;
use badgate::journal::{self, Kind, Mode};
use badgate::procedure::{Lang, Procedure};
use badgate::situation::log::LogLine;
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::{Command, Event, Link};
use badgate::text::SafeText;
use jiff::Timestamp;
use portable_pty::CommandBuilder;
use rustix::process::{Pid, Signal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{Pty, eventually};
use tokio::sync::mpsc;

const DIR: &str = "BADGATE_TEST_DIR";
const SOURCE: &str = "BADGATE_TEST_SOURCE";

/// The program on the terminal; does nothing in an ordinary run.
#[test]
#[ignore = "run by the other tests, on a terminal"]
fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let kind = std::env::var(SOURCE).unwrap_or_default();
    std::fs::write(dir.join("pid"), std::process::id().to_string()).unwrap();
    let at = Timestamp::now();
    let path = dir.join("a.incident.jsonl");
    let author: SafeText = "yui@bastion".into();
    let wanted = Wanted {
        path: path.clone(),
        mode: Mode::Either,
        author: author.clone(),
        target: "shop".into(),
        drill: None,
    };
    let journal = recorder::open(wanted).unwrap();
    let config = ConsoleConfig {
        target: "shop".into(),
        incident: Incident {
            name: "a".into(),
            path: Some(path),
            author,
            asked: "shop".into(),
            opened: at,
            onset: None,
        },
        caps: Caps::detect(Wishes::default(), |n| std::env::var(n).ok()),
        theme: Theme::default(),
        label: SafeText::default(),
        faces: std::collections::BTreeMap::new(),
        keymap: Keymap::default(),
        procedure: Arc::new(Procedure::load(Lang::En).unwrap()),
        words: Arc::new(Catalogue::load("en").unwrap()),
        following: Vec::new(),
        part: run::Part::Asks,
        exporter: None,
        saver: None,
        log: Some(dir.join("badgate.log")),
        stats: Some(dir.join("stats.json")),
        started: std::time::Instant::now(),
        clock: None,
    };
    let journal = Journal { recorder: Box::new(Fragile(journal.recorder)), ..journal };
    let ended = run::block_on(async {
        let link = source(&kind);
        run::run(config, link, Some(journal), None).await
    });
    let code = match ended.unwrap() {
        Ok(e) => {
            let word = format!("{:?} {}", e.how, e.unsaved.unwrap_or_default());
            std::fs::write(dir.join("ended"), word).unwrap();
            match e.how {
                How::Quit => 0,
                How::HangUp => 129,
                How::Signal(n) => 128 + n,
            }
        }
        Err(e) => {
            eprintln!("{e}");
            101
        }
    };
    std::process::exit(code);
}

/// Panics in the drawing task when told to.
struct Fragile(Box<dyn Recorder>);

impl Recorder for Fragile {
    fn record(&mut self, draft: Draft) {
        let text = draft.data["text"].as_str().unwrap_or("").to_string();
        self.0.record(draft);
        assert!(text != "panic here", "told to: \u{1b}]0;evil\u{7}");
    }
    fn observed(&mut self, list: Vec<Observation>) {
        self.0.observed(list);
    }
    fn close(&mut self, within: Duration) -> Result<(), SafeText> {
        self.0.close(within)
    }
}

/// A shop that is well known at once; `flood` adds log lines without end,
/// `fragile` panics when it is told to ask anew.
fn source(kind: &str) -> Link {
    let (commands, mut asked) = mpsc::channel(8);
    let (events, told) = mpsc::channel(64);
    let kind = kind.to_string();
    tokio::spawn(async move {
        while let Some(command) = asked.recv().await {
            match command {
                Command::Open(_) => {
                    let mut list = world::Shop::default().observations();
                    let now = Timestamp::now();
                    list.iter_mut().for_each(|o| o.at = now);
                    let _ = events.send(Event::Observed(list)).await;
                    if kind == "flood" {
                        tokio::spawn(flood(events.clone()));
                    }
                }
                Command::Refresh { .. } if kind == "fragile" => panic!("the source fell over"),
                Command::Refresh { id, .. } => {
                    let _ = events.send(Event::Done { id }).await;
                }
                _ => {}
            }
        }
    });
    Link { commands, events: told }
}

async fn flood(events: mpsc::Sender<Event>) {
    let mut n = 0u64;
    loop {
        let at = Timestamp::now();
        let line = |n: u64| LogLine {
            at,
            group: "/app/shop".into(),
            stream: "".into(),
            id: "".into(),
            text: format!("{n} GET /cart/{} 200 日本 \u{1b}[2J", n % 97).into(),
        };
        let lines = (n..n + 100).map(line).collect();
        n += 100;
        let o = Observation {
            at,
            source: "logs:StartLiveTail".into(),
            topic: Topic::Tail("/app/shop".into()),
            fact: Fact::LogLines(lines),
            took_ms: 0,
        };
        if events.send(Event::Observed(vec![o])).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A console on a terminal, and its folder.
struct Running {
    pty: Pty,
    dir: tempfile::TempDir,
}

fn command(dir: &Path, source: &str) -> CommandBuilder {
    let exe = std::env::current_exe().unwrap();
    let mut c = CommandBuilder::new(exe);
    c.args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"]);
    environment(&mut c, dir, source);
    c
}

fn environment(c: &mut CommandBuilder, dir: &Path, source: &str) {
    c.env_clear();
    for (name, value) in
        [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), (SOURCE, source), ("PATH", "/usr/bin:/bin")]
    {
        c.env(name, value);
    }
    c.env(DIR, dir);
}

impl Running {
    fn start(source: &str, cols: u16, rows: u16) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let pty = Pty::spawn(command(dir.path(), source), cols, rows);
        Running { pty, dir }
    }

    /// Waits until the picture is there.
    fn ready(self) -> Running {
        self.pty.wait_for_text("REC");
        self.pty.wait_for_text("shop");
        self
    }

    fn note(&mut self, text: &str) {
        self.pty.send("a");
        self.pty.wait_for_text("Note by");
        self.pty.send(text);
        self.pty.send("\r");
        self.pty.wait_for_text("note saved");
    }

    /// Texts of the notes in the incident file.
    fn notes(&self) -> Vec<String> {
        let read = journal::read(&self.dir.path().join("a.incident.jsonl")).unwrap();
        assert_eq!(read.problems, []);
        read.records
            .iter()
            .filter(|r| r.kind == Kind::Note)
            .map(|r| r.text().unwrap_or("?").to_string())
            .collect()
    }

    fn pid(&self) -> Pid {
        let text = eventually("the process id", || {
            std::fs::read_to_string(self.dir.path().join("pid")).ok().filter(|t| !t.is_empty())
        });
        Pid::from_raw(text.parse().unwrap()).unwrap()
    }

    fn ended(&self) -> String {
        eventually("the end", || {
            std::fs::read_to_string(self.dir.path().join("ended")).ok().filter(|t| !t.is_empty())
        })
    }

    /// One letter, as /proc says it: R, S, T (stopped), Z.
    fn process_state(pid: Pid) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    }
}

fn on_alternate_screen(pty: &Pty) -> bool {
    pty.with_screen(vt100::Screen::alternate_screen)
}

/// What the terminal is left as: normal screen, cursor seen, no modes.
fn assert_given_back(pty: &Pty) {
    pty.wait_for("the normal screen", |s| !s.alternate_screen());
    pty.with_screen(|s| {
        assert!(!s.hide_cursor(), "the cursor is hidden");
        assert!(!s.bracketed_paste(), "bracketed paste is on");
    });
}

#[test]
fn a_note_typed_on_a_terminal_is_in_the_file() {
    let mut r = Running::start("", 120, 40).ready();
    assert!(on_alternate_screen(&r.pty));
    r.note("rolled back \u{65e5}\u{672c}");
    r.pty.send("q");
    assert_eq!(r.pty.wait_exit().exit_code(), 0);
    assert_given_back(&r.pty);
    assert_eq!(r.notes(), ["rolled back \u{65e5}\u{672c}"]);
    let raw = r.pty.raw();
    // Nothing was asked of the terminal, and nothing but these modes was set.
    let text = String::from_utf8_lossy(&raw);
    for query in
        ["\x1b[6n", "\x1b[c", "\x1b[>c", "\x1b]11;?", "\x1b[?u", "\x1b[?2026$p", "\x1bP+q", "\x1b[18t"]
    {
        assert!(!text.contains(query), "asked {query:?}");
    }
    let modes: std::collections::BTreeSet<&str> =
        text.split("\x1b[?").skip(1).filter_map(|t| t.split_once(['h', 'l']).map(|m| m.0)).collect();
    assert_eq!(modes.into_iter().collect::<Vec<_>>(), ["1049", "2004", "2026", "25"]);
    let frames = text.matches("\x1b[?2026h").count();
    assert!(
        frames > 0 && text.matches("\x1b[?2026l").count() > frames,
        "every frame ends, and so does the last"
    );
}

#[test]
fn a_session_is_resumed_with_what_was_written() {
    let mut r = Running::start("", 120, 40).ready();
    r.note("first watch");
    r.pty.send("q");
    r.pty.wait_exit();
    let mut again = Running { pty: Pty::spawn(command(r.dir.path(), ""), 160, 50), dir: r.dir }.ready();
    again.pty.send(":timeline\r");
    again.note("second watch");
    again.pty.send("q");
    again.pty.wait_exit();
    assert_eq!(again.notes(), ["first watch", "second watch"]);
}

#[test]
fn a_storm_of_resizes_loses_nothing() {
    let mut r = Running::start("flood", 120, 40).ready();
    for n in 0..80u16 {
        r.pty.resize(1 + (n * 37) % 210, 1 + (n * 23) % 70);
    }
    r.pty.resize(1, 1);
    r.pty.resize(100, 30);
    r.pty.wait_for_text("REC");
    r.note("still here");
    r.pty.send("q");
    assert_eq!(r.pty.wait_exit().exit_code(), 0);
    assert_eq!(r.notes(), ["still here"]);
}

#[test]
fn the_smallest_terminals_are_lived_with() {
    for (cols, rows) in [(1, 1), (2, 1), (1, 30), (200, 1), (0, 0)] {
        let mut r = Running::start("", cols, rows);
        let pid = r.pid();
        r.pty.wait_for_bytes("a frame", |b| b.windows(8).any(|w| w == b"\x1b[?1049h"));
        r.pty.send("ahello\r\t\tz?\x1b");
        eventually("the note", || {
            std::fs::read(r.dir.path().join("a.incident.jsonl"))
                .ok()
                .filter(|b| String::from_utf8_lossy(b).contains("\"hello\""))
        });
        r.pty.send("q");
        assert_eq!(r.pty.wait_exit().exit_code(), 0, "{cols}x{rows} {pid:?}");
    }
}

#[test]
fn the_leader_of_a_session_ends_when_the_terminal_does() {
    let mut r = Running::start("flood", 120, 40).ready();
    r.note("before");
    let pid = r.pid();
    r.pty.send("ahalf a th");
    r.pty.wait_for_text("half a th");
    r.pty.close_master();
    eventually("the end of the process", || match Running::process_state(pid) {
        None | Some('Z') => Some(()),
        _ => None,
    });
    assert!(r.ended().starts_with("HangUp"), "{}", r.ended());
    assert_eq!(r.notes(), ["before", "half a th"], "what was being written is kept");
}

#[test]
fn a_child_of_a_leader_that_swallows_the_signal_ends_too() {
    let dir = tempfile::tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut c = CommandBuilder::new("/bin/sh");
    // The shell leads the session and takes the hang-up for itself; it also
    // keeps a descriptor of the terminal open.
    let run = format!(
        "trap : HUP; '{}' --ignored --exact child --nocapture --test-threads=1; sleep 1000",
        exe.display()
    );
    c.args(["-c", &run]);
    environment(&mut c, dir.path(), "flood");
    let mut r = Running { pty: Pty::spawn(c, 120, 40), dir }.ready();
    let pid = r.pid();
    r.note("before");
    r.pty.close_master();
    eventually("the end of the process", || match Running::process_state(pid) {
        None | Some('Z') => Some(()),
        _ => None,
    });
    assert!(r.ended().starts_with("HangUp"), "{}", r.ended());
    assert_eq!(r.notes(), ["before"]);
}

#[test]
fn a_stop_gives_the_terminal_back_and_going_on_takes_it_again() {
    let mut r = Running::start("", 120, 40).ready();
    let pid = r.pid();
    for _ in 0..2 {
        r.pty.signal(Signal::TSTP);
        eventually("the stop", || (Running::process_state(pid) == Some('T')).then_some(()));
        assert_given_back(&r.pty);
        let before = r.pty.written();
        r.pty.signal(Signal::CONT);
        r.pty.wait_for("the alternate screen", vt100::Screen::alternate_screen);
        r.pty.wait_for_text("REC");
        assert!(r.pty.written() > before);
    }
    // Stopped without being asked, as `kill -STOP` does, and gone on.
    r.pty.signal(Signal::STOP);
    eventually("the stop", || (Running::process_state(pid) == Some('T')).then_some(()));
    // What is typed at a console that stands still is not lost.
    r.pty.send("a");
    r.pty.signal(Signal::CONT);
    r.pty.wait_for_text("Note by");
    r.pty.send("\u{1b}");
    r.pty.wait_for_text("run step");
    r.note("after all that");
    r.pty.send("q");
    assert_eq!(r.pty.wait_exit().exit_code(), 0);
    assert_given_back(&r.pty);
}

#[test]
fn a_termination_keeps_what_was_being_written() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut r = Running::start("", 120, 40).ready();
        r.pty.send("aunfinished");
        r.pty.wait_for_text("unfinished");
        r.pty.signal(signal);
        assert_eq!(r.pty.wait_exit().exit_code(), 128 + signal.as_raw() as u32);
        assert_given_back(&r.pty);
        assert_eq!(r.notes(), ["unfinished"]);
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_keeps_the_notes() {
    let mut r = Running::start("", 120, 40).ready();
    r.note("kept");
    r.pty.send("apanic here\r");
    assert_eq!(r.pty.wait_exit().exit_code(), 101);
    assert_given_back(&r.pty);
    let screen = r.pty.screen();
    assert!(
        screen.contains("told to") || String::from_utf8_lossy(&r.pty.raw()).contains("told to"),
        "{screen}"
    );
    let raw = r.pty.raw();
    assert!(!raw.windows(4).any(|w| w == b"\x1b]0;"), "the report is sanitised");
    assert_eq!(r.notes(), ["kept", "panic here"]);
    let log = std::fs::read_to_string(r.dir.path().join("badgate.log")).unwrap();
    assert!(log.contains("told to: ^[]0;evil^G"), "{log}");
}

#[test]
fn a_panic_elsewhere_is_told_and_the_console_goes_on() {
    let mut r = Running::start("fragile", 160, 50).ready();
    r.pty.send("r");
    r.pty.wait_for_text("the source fell over");
    assert!(on_alternate_screen(&r.pty));
    r.note("still here");
    r.pty.send("q");
    assert_eq!(r.pty.wait_exit().exit_code(), 0);
    let log = std::fs::read_to_string(r.dir.path().join("badgate.log")).unwrap();
    assert!(log.contains("the source fell over"), "{log}");
}

#[test]
fn a_paste_does_not_run_as_keys() {
    let mut r = Running::start("", 120, 40).ready();
    r.pty.send("\x1b[200~q\rq\r\x1b[201~");
    r.pty.wait_for_text("a paste is not taken for keys");
    r.pty.send("a\x1b[200~one\rtwo\x1b[201~\r");
    r.pty.wait_for_text("note saved");
    r.pty.send("q");
    r.pty.wait_exit();
    assert_eq!(r.notes(), ["one\ntwo"]);
}
