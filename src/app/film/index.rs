//! Where things are in an incident file: checkpoints of its fold, its events,
//! its timeline.

use crate::console::past::Scene;
use crate::console::state::{Entry as Line, EntryKind};
use crate::journal::{Entry, Kind, Place, ReadError, Reader, Record};
use jiff::Timestamp;
use std::path::Path;

/// Lines between checkpoints, to begin with.
const SPACING: u64 = 128;
/// Checkpoints at most, and at least however large they are.
const MOST: usize = 256;
const LEAST: usize = 16;
/// Facts that all checkpoints together may hold: a target, a rule, a minute of
/// a metric is one of a few hundred bytes.
const FACTS: usize = 600_000;

/// The moment a line is at: never before that of the line before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub Timestamp);

impl Default for Key {
    fn default() -> Self {
        Key(Timestamp::MIN)
    }
}

impl Key {
    pub fn after(self, next: Timestamp) -> Key {
        Key(self.0.max(next))
    }
}

/// Which of its two times says when a record became known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// When it was written: what a console knew at a moment is what had been
    /// written by then.
    Logged,
    /// When it happened. A file that was written in one go (imported, put
    /// together by a program) has one moment of writing for all.
    At,
}

impl Clock {
    /// The time that orders a record.
    pub fn of(self, r: &Record) -> Timestamp {
        match self {
            Clock::Logged => r.logged,
            Clock::At => r.at,
        }
    }

    /// Looks at the beginning and the end of a file.
    pub fn of_file(path: &Path) -> Result<Clock, ReadError> {
        let records = |entry| match entry {
            Entry::Record(r) => Some(r),
            Entry::Problem(_) => None,
        };
        let mut seen: Vec<Record> = Reader::open(path)?.filter_map(records).take(32).collect();
        let bytes = std::fs::File::open(path).and_then(|f| {
            use std::os::unix::fs::FileExt;
            let size = f.metadata()?.len();
            let wanted = size.min(256 << 10);
            let mut tail = vec![0; wanted as usize];
            let n = f.read_at(&mut tail, size - wanted)?;
            tail.truncate(n);
            Ok(tail)
        });
        seen.extend(crate::journal::parse(path, &bytes.unwrap_or_default()).into_iter().filter_map(records));
        let span = |time: fn(&Record) -> Timestamp| {
            let times = || seen.iter().filter(|r| r.kind != Kind::Mark).map(time);
            match (times().min(), times().max()) {
                (Some(a), Some(b)) => b.duration_since(a).as_secs_f64(),
                _ => 0.0,
            }
        };
        let (logged, at) = (span(|r| r.logged), span(|r| r.at));
        Ok(if at > 60.0 && logged < at / 4.0 { Clock::At } else { Clock::Logged })
    }
}

struct Checkpoint {
    pos: u64,
    key: Key,
    place: Place,
    /// Log lines that had been read.
    line: u64,
    scene: Scene,
}

/// A line of the file that gave entries of the timeline.
#[derive(Clone, Copy, Debug)]
struct Event {
    /// Lines of the file up to and with it.
    pos: u64,
    at: Timestamp,
    /// A verdict or the health of a target changed.
    change: bool,
}

pub struct Index {
    clock: Clock,
    pub first: Timestamp,
    spacing: u64,
    most: usize,
    /// By position; the first is the empty fold.
    checkpoints: Vec<Checkpoint>,
    events: Vec<Event>,
    /// Entries in the order they came, with the position of their line.
    timeline: Vec<(u64, Line)>,
}

impl Index {
    pub fn new(clock: Clock, empty: Scene, place: Place) -> Index {
        let first = Checkpoint { pos: 0, key: Key::default(), place, line: 0, scene: empty };
        Index {
            clock,
            first: Timestamp::UNIX_EPOCH,
            spacing: SPACING,
            most: MOST,
            checkpoints: vec![first],
            events: Vec::new(),
            timeline: Vec::new(),
        }
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Takes in a line that was folded.
    pub fn passed(&mut self, pos: u64, key: Key, entries: Vec<Line>) {
        if entries.is_empty() {
            return;
        }
        let change = entries.iter().any(|e| matches!(e.kind, EntryKind::Verdict | EntryKind::Health));
        self.events.push(Event { pos, at: key.0, change });
        self.timeline.extend(entries.into_iter().map(|e| (pos, e)));
    }

    pub fn wants_checkpoint(&self, pos: u64) -> bool {
        self.checkpoints.last().is_none_or(|c| pos >= c.pos + self.spacing)
    }

    /// Keeps a checkpoint; where there are too many, every other goes. `facts`
    /// is about how many it holds.
    pub fn keep(&mut self, pos: u64, key: Key, place: Place, scene: Scene, facts: usize) {
        let line = scene.log_lines().1;
        self.checkpoints.push(Checkpoint { pos, key, place, line, scene });
        self.most = (FACTS / facts.max(1)).clamp(LEAST, MOST);
        while self.checkpoints.len() > self.most {
            self.spacing *= 2;
            let mut n = 0;
            self.checkpoints.retain(|_| {
                n += 1;
                n % 2 == 1
            });
        }
    }

    pub fn checkpoints(&self) -> usize {
        self.checkpoints.len()
    }

    /// The last checkpoint that is not behind a position.
    pub fn before(&self, pos: u64) -> usize {
        self.checkpoints.partition_point(|c| c.pos <= pos).saturating_sub(1)
    }

    /// The last checkpoint up to `from` that was before a log line.
    pub fn before_line(&self, from: usize, line: u64) -> usize {
        self.checkpoints[..=from].partition_point(|c| c.line <= line).saturating_sub(1)
    }

    pub fn checkpoint(&self, n: usize) -> (u64, &Scene, Key, Place) {
        let c = &self.checkpoints[n];
        (c.pos, &c.scene, c.key, c.place)
    }

    /// A position that is not behind a moment: of the last checkpoint or event
    /// up to it.
    pub fn pos_of(&self, at: Timestamp) -> u64 {
        let c = self.checkpoints.partition_point(|c| c.key.0 <= at).checked_sub(1);
        let e = self.events.partition_point(|e| e.at <= at).checked_sub(1);
        c.map_or(0, |i| self.checkpoints[i].pos).max(e.map_or(0, |i| self.events[i].pos))
    }

    /// The event before or after a position.
    pub fn event(&self, pos: u64, on: bool, change: bool) -> Option<(u64, Timestamp)> {
        let fits = |e: &&Event| !change || e.change;
        let found = if on {
            let from = self.events.partition_point(|e| e.pos <= pos);
            self.events[from..].iter().find(fits)
        } else {
            let to = self.events.partition_point(|e| e.pos < pos);
            self.events[..to].iter().rev().find(fits)
        };
        found.map(|e| (e.pos, e.at))
    }

    /// Events up to a position, and all.
    pub fn count(&self, pos: u64) -> (usize, usize) {
        (self.events.partition_point(|e| e.pos <= pos), self.events.len())
    }

    /// Entries of the timeline up to a position, in the order they came.
    pub fn timeline(&self, pos: u64) -> Vec<Line> {
        let to = self.timeline.partition_point(|(p, _)| *p <= pos);
        self.timeline[..to].iter().map(|(_, e)| e.clone()).collect()
    }
}
