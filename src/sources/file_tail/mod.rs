//! Follows local log files: `--log-file`.
//!
//! A file is read by path, as `tail -F` does: it may be rotated, truncated, go
//! away and come back. One thread looks at all files; it reads no faster than
//! the console takes the lines, and a file loses nothing by waiting.
//!
//! Speaks the same language as every source: [`Event::Observed`] with
//! [`Topic::Tail`] of the file's name, lines as [`Fact::LogLines`], how it is
//! doing as [`Fact::Tail`] or [`Fact::Unknown`].

mod follow;
mod split;

use super::Event;
use super::outbox::Outbox;
use super::stamp::Stamps;
use crate::situation::log::{LogLine, Tail, TailMode};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::text::SafeText;
use follow::{Follower, State};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use split::Cut;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Pause between two looks at files that grow.
const BUSY: Duration = Duration::from_millis(100);
/// Pause between two looks at files that rest.
const QUIET: Duration = Duration::from_millis(250);
/// Looks without a byte after which files count as resting.
const LOOKS_TO_REST: u32 = 20;
/// Pause before a full outbox is looked at again.
const HELD_UP: Duration = Duration::from_millis(5);
/// Lines without a time of their own that may follow one that has it: a stack
/// trace belongs to the moment of the line above.
const CONTINUATION: u32 = 500;
/// A quiet tail says that it is alive this often.
const ALIVE: Duration = Duration::from_secs(30);

/// A running tail of files. Dropping it stops the tail.
#[derive(Debug)]
pub struct FileTail {
    stop: Arc<AtomicBool>,
}

impl Drop for FileTail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Follows these files from about their last MiB on, into `events`. A file that
/// does not exist yet is waited for, and says so. Must be called within a tokio
/// runtime.
pub fn start(paths: Vec<PathBuf>, events: mpsc::Sender<Event>) -> std::io::Result<FileTail> {
    follow_into(paths, Outbox::open(events), TimeZone::system())
}

/// As [`start`], into an outbox that other tails use as well. `zone`: how times
/// without a zone are read.
pub fn follow_into(paths: Vec<PathBuf>, outbox: Outbox, zone: TimeZone) -> std::io::Result<FileTail> {
    let stop = Arc::new(AtomicBool::new(false));
    let files = names(&paths)
        .into_iter()
        .zip(paths)
        .map(|(name, path)| Followed::new(name, path, Stamps::new(zone.clone())))
        .collect();
    let stopped = Arc::clone(&stop);
    std::thread::Builder::new().name("file-tail".into()).spawn(move || run(files, &outbox, &stopped))?;
    Ok(FileTail { stop })
}

/// Reads the last MiB or so of each file, once: for a headless check. Per file
/// its lines and how it is, or why it cannot be read. Blocks while it reads.
pub fn once(paths: &[PathBuf]) -> Vec<Observation> {
    let stamps = Stamps::new(TimeZone::system());
    let mut out = Vec::new();
    for (name, path) in names(paths).into_iter().zip(paths) {
        let mut file = Followed::new(name, path.clone(), stamps.clone());
        let mut lines = Vec::new();
        // A pipe that never ends is left after as much as a file's last look.
        for _ in 0..64 {
            if !file.read(&mut lines) {
                break;
            }
        }
        file.finish(&mut lines);
        if !lines.is_empty() {
            out.push(file.observe(Timestamp::now(), Fact::LogLines(lines)));
        }
        out.push(file.observe(Timestamp::now(), file.fact()));
    }
    out
}

/// What each file is called: its file name, or the path as given where two
/// files share a name.
fn names(paths: &[PathBuf]) -> Vec<SafeText> {
    let short = |p: &Path| SafeText::from_bytes(p.file_name().unwrap_or(p.as_os_str()).as_bytes());
    let mut out: Vec<SafeText> = paths.iter().map(|p| short(p)).collect();
    for i in 0..out.len() {
        if paths.iter().enumerate().any(|(j, p)| j != i && short(p) == short(&paths[i])) {
            out[i] = SafeText::from_bytes(paths[i].as_os_str().as_bytes());
        }
    }
    out
}

fn run(mut files: Vec<Followed>, outbox: &Outbox, stop: &AtomicBool) {
    let mut resting = 0;
    while !stop.load(Ordering::Relaxed) && !outbox.is_closed() {
        if !outbox.has_room() {
            std::thread::sleep(HELD_UP);
            continue;
        }
        let mut more = false;
        for file in &mut files {
            more |= file.look(outbox);
        }
        resting = if more { 0 } else { resting + 1 };
        if !more {
            std::thread::sleep(if resting > LOOKS_TO_REST { QUIET } else { BUSY });
        }
    }
}

/// A file, its name, and what was said about it last.
struct Followed {
    name: SafeText,
    source: SafeText,
    follower: Follower,
    stamps: Stamps,
    said: Option<State>,
    said_at: Instant,
    /// The last time read from a line, and how many lines since had none.
    last: Option<(Timestamp, u32)>,
}

impl Followed {
    fn new(name: SafeText, path: PathBuf, stamps: Stamps) -> Self {
        Followed {
            name,
            source: SafeText::from("file"),
            follower: Follower::new(path),
            stamps,
            said: None,
            said_at: Instant::now(),
            last: None,
        }
    }

    /// Looks once and passes on what is there; true when there may be more at once.
    fn look(&mut self, outbox: &Outbox) -> bool {
        let mut lines = Vec::new();
        let more = self.read(&mut lines);
        let (now, clock) = (Timestamp::now(), Instant::now());
        let unchanged = self.said.as_ref() == Some(self.follower.state());
        if !unchanged || (lines.is_empty() && clock.duration_since(self.said_at) >= ALIVE) {
            outbox.say(self.observe(now, self.fact()));
            self.said = Some(self.follower.state().clone());
            self.said_at = clock;
        }
        if !lines.is_empty() {
            outbox.lines(&self.name, &self.source, now, lines);
        }
        more
    }

    /// Appends the lines of one look; true when there may be more at once.
    fn read(&mut self, lines: &mut Vec<LogLine>) -> bool {
        let now = Timestamp::now();
        let Followed { name, follower, stamps, last, .. } = self;
        let look = follower.look(Instant::now(), |cut| {
            let at = time_of(stamps, last, cut.head, now);
            lines.push(line_of(name, at, &cut));
        });
        look.more
    }

    /// The end of a file that will not be looked at again: a last line without
    /// a line feed is a line.
    fn finish(&mut self, lines: &mut Vec<LogLine>) {
        let now = Timestamp::now();
        let Followed { name, follower, stamps, last, .. } = self;
        follower.finish(|cut| {
            let at = time_of(stamps, last, cut.head, now);
            lines.push(line_of(name, at, &cut));
        });
    }

    fn observe(&self, at: Timestamp, fact: Fact) -> Observation {
        let (source, topic) = (self.source.clone(), Topic::Tail(self.name.clone()));
        Observation { at, source, topic, fact, took_ms: 0 }
    }

    fn fact(&self) -> Fact {
        let path = SafeText::from_bytes(self.follower.path().as_os_str().as_bytes());
        Fact::Unknown(match self.follower.state() {
            State::Open(note) => {
                return Fact::Tail(Tail { mode: TailMode::File, note: SafeText::from(note.as_str()) });
            }
            State::Missing => Reason::NotFound { what: SafeText::from(format!("file {path}")) },
            State::Denied => Reason::Denied { action: SafeText::from(format!("read permission on {path}")) },
            State::Failed(why) => Reason::Failed {
                code: SafeText::from("file"),
                detail: SafeText::from(format!("{path}: {why}")),
            },
        })
    }
}

fn line_of(name: &SafeText, at: Timestamp, cut: &Cut<'_>) -> LogLine {
    let (stream, id) = (SafeText::default(), SafeText::default());
    LogLine { at, group: name.clone(), stream, id, text: cut.text() }
}

/// The time a line has, or that of the line it continues, or now.
fn time_of(stamps: &Stamps, last: &mut Option<(Timestamp, u32)>, line: &[u8], now: Timestamp) -> Timestamp {
    if let Some(t) = stamps.read(line, now) {
        *last = Some((t, 0));
        return t;
    }
    match last {
        Some((t, n)) if *n < CONTINUATION => {
            *n += 1;
            *t
        }
        _ => now,
    }
}

#[cfg(test)]
mod tests;
