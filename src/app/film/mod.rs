//! The past of an incident, as of any moment.
//!
//! The file is folded once from beginning to end, through the same code that a
//! resumed console folds it with. On the way checkpoints of the fold are kept,
//! the place in the file with each, and where the events are. A moment is then
//! folded from the checkpoint before it. Checkpoints are thinned out so that
//! there are never more than a budget allows: what is held in memory does not
//! grow with the length of the incident, but for its timeline.

mod index;
mod projector;

pub use projector::projector;

use crate::app::recorder::recall;
use crate::console::caps::Caps;
use crate::console::keys::Keymap;
use crate::console::past::{Ask, Shown};
use crate::console::state::{Entry as Line, Incident, State};
use crate::journal::{Entry, Read, ReadError, Record, Tape};
use crate::procedure::Procedure;
use crate::text::SafeText;
use index::{Index, Key};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Log lines held as of a moment, and bytes of them. The logs pane says how
/// many came before.
const LINES: usize = 20_000;
const BYTES: usize = 16 << 20;
/// With fewer lines than this a moment is folded once more, from further back,
/// while nobody waits.
const ENOUGH: u64 = 4_000;

/// A fold of the file up to some line.
struct Fold {
    state: State,
    tape: Tape,
    /// Lines of the file that are in it.
    pos: u64,
    /// The newest moment in it.
    key: Key,
}

impl Fold {
    fn new(path: &Path, procedure: Option<&Arc<Procedure>>) -> Result<Fold, ReadError> {
        let tape = Tape::open(path)?;
        let incident = Incident {
            name: SafeText::default(),
            path: Some(path.to_path_buf()),
            author: SafeText::default(),
            asked: SafeText::default(),
            // The first record moves it back to when it was opened.
            opened: Timestamp::MAX,
            onset: None,
        };
        let mut state = State::new(Timestamp::UNIX_EPOCH, incident, Caps::default(), Keymap::default());
        state.bound_logs(LINES, BYTES);
        if let Some(p) = procedure {
            state.set_procedure(Arc::clone(p));
        }
        Ok(Fold { state, tape, pos: 0, key: Key::default() })
    }

    /// Folds one line in; the entries of the timeline it gave. `None` at the end.
    fn step(&mut self, clock: index::Clock) -> Result<Option<Vec<Line>>, ReadError> {
        let Read::Line(entries) = self.tape.read()? else { return Ok(None) };
        Ok(Some(self.take(entries, clock)))
    }

    fn take(&mut self, entries: Vec<Entry>, clock: index::Clock) -> Vec<Line> {
        self.pos += 1;
        let records: Vec<Record> = entries
            .into_iter()
            .filter_map(|e| match e {
                Entry::Record(r) => Some(r),
                Entry::Problem(_) => None,
            })
            .collect();
        for r in &records {
            self.key = self.key.after(clock.of(r));
        }
        let recalled: Vec<_> = records.into_iter().filter_map(recall).collect();
        if recalled.is_empty() { Vec::new() } else { self.state.fold(recalled) }
    }

    /// Folds on up to a line, or up to the last one that is not after a moment.
    fn advance(&mut self, to: Goal, clock: index::Clock) -> Result<(), ReadError> {
        loop {
            match to {
                Goal::Line(pos) if self.pos >= pos => return Ok(()),
                _ => {}
            }
            let before = self.tape.place();
            let Read::Line(entries) = self.tape.read()? else { return Ok(()) };
            if let Goal::Moment(at) = to {
                let keys = entries.iter().filter_map(|e| match e {
                    Entry::Record(r) => Some(clock.of(r)),
                    Entry::Problem(_) => None,
                });
                if keys.fold(self.key, Key::after).0 > at {
                    return self.tape.go_to(before);
                }
            }
            self.take(entries, clock);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// So many lines.
    Line(u64),
    Moment(Timestamp),
}

/// The whole incident, and one moment of it.
pub struct Film {
    path: PathBuf,
    procedure: Option<Arc<Procedure>>,
    /// The fold that has been everywhere: it stands at the end.
    whole: Fold,
    index: Index,
    /// The fold that is shown.
    view: Option<Fold>,
    /// The moment shown; later than the newest line folded where nothing happened.
    at: Timestamp,
}

impl Film {
    /// Opens an incident file. [`Film::read`] reads it.
    pub fn open(path: &Path, procedure: Option<Arc<Procedure>>) -> Result<Film, ReadError> {
        let mut whole = Fold::new(path, procedure.as_ref())?;
        let clock = index::Clock::of_file(path)?;
        let first = whole.state.checkpoint();
        let index = Index::new(clock, first, whole.tape.place());
        Ok(Film { path: path.to_path_buf(), procedure, whole, index, view: None, at: Timestamp::UNIX_EPOCH })
    }

    /// Reads on for at most `lines` lines; false at the end. What was appended
    /// since is read by calling it again.
    pub fn read(&mut self, lines: usize) -> Result<bool, ReadError> {
        for _ in 0..lines {
            let before = self.whole.key;
            let Some(entries) = self.whole.step(self.index.clock())? else { return Ok(false) };
            let fold = &mut self.whole;
            if fold.key != Key::default() && before == Key::default() {
                self.index.first = fold.key.0;
            }
            self.index.passed(fold.pos, fold.key, entries);
            if self.index.wants_checkpoint(fold.pos) {
                let place = fold.tape.place();
                let scene = fold.state.checkpoint();
                self.index.keep(fold.pos, fold.key, place, scene, fold.state.observed_topics());
            }
        }
        Ok(true)
    }

    /// Bytes read so far and of all.
    pub fn progress(&self) -> (u64, u64) {
        (self.whole.tape.passed(), self.whole.tape.bytes())
    }

    /// Nothing could be read from the file.
    pub fn is_empty(&self) -> bool {
        self.whole.key == Key::default()
    }

    /// Checkpoints held.
    pub fn checkpoints(&self) -> usize {
        self.index.checkpoints()
    }

    /// The first and the last moment.
    pub fn range(&self) -> (Timestamp, Timestamp) {
        (self.index.first, self.whole.key.0)
    }

    /// Where `ask` leads from `from`; `None` when there is nothing there.
    fn goal(&self, ask: Ask, from: (u64, Timestamp)) -> Option<(Goal, Timestamp)> {
        let (first, last) = self.range();
        let moment = |t: Timestamp| {
            let t = t.clamp(first, last);
            (Goal::Moment(t), t)
        };
        Some(match ask {
            Ask::At(t) => moment(t),
            Ask::By(s) => {
                let to = from.1.checked_add(SignedDuration::from_secs(s)).ok()?.clamp(first, last);
                if to == from.1 {
                    return None;
                }
                moment(to)
            }
            Ask::Event { on } => {
                self.index.event(from.0, on, false).map(|(pos, at)| (Goal::Line(pos), at))?
            }
            Ask::Change { on } => {
                self.index.event(from.0, on, true).map(|(pos, at)| (Goal::Line(pos), at))?
            }
            Ask::Edge { end: true } => (Goal::Line(self.whole.pos), last),
            Ask::Edge { end: false } => moment(first),
        })
    }

    /// Goes through what was asked, one after the other, and shows where that
    /// leads. `Err(line)` in the outer result: nothing is there, says the line.
    pub fn seek(&mut self, asks: &[Ask]) -> Result<Result<Shown, SafeText>, ReadError> {
        let mut from = (self.view.as_ref().map_or(0, |v| v.pos), self.at);
        let mut goal = None;
        let mut missed = None;
        for ask in asks {
            match self.goal(*ask, from) {
                Some((to, at)) => {
                    let pos = match to {
                        Goal::Line(pos) => pos,
                        Goal::Moment(t) => self.index.pos_of(t),
                    };
                    from = (pos, at);
                    goal = Some((to, at));
                }
                None => missed = Some(*ask),
            }
        }
        let Some((goal, at)) = goal else {
            let line = match missed {
                Some(Ask::Change { on: true }) => "no further change of a verdict or of target health",
                Some(Ask::Change { on: false }) => "no earlier change of a verdict or of target health",
                Some(Ask::Event { on: true } | Ask::By(0..)) => "this is the end of what was recorded",
                _ => "this is the beginning",
            };
            return Ok(Err(line.into()));
        };
        self.fold_to(goal, 0)?;
        self.at = at;
        Ok(Ok(self.show()))
    }

    /// The moment shown once more with more of its log, if it has little and
    /// there is more.
    pub fn deepen(&mut self) -> Result<Option<Shown>, ReadError> {
        let Some(view) = &self.view else { return Ok(None) };
        let (first, end) = view.state.log_range();
        if first == 0 || end - first >= ENOUGH {
            return Ok(None);
        }
        let pos = view.pos;
        self.fold_to(Goal::Line(pos), end.saturating_sub(ENOUGH * 2).max(1))?;
        Ok(Some(self.show()))
    }

    /// Brings `view` to a place; `log` says that the fold must begin at a
    /// checkpoint before this log line (0: anywhere).
    fn fold_to(&mut self, goal: Goal, log: u64) -> Result<(), ReadError> {
        let clock = self.index.clock();
        let mut from = self.index.before(goal_pos(goal, &self.index));
        if log > 0 {
            from = self.index.before_line(from, log);
        }
        let view = match &mut self.view {
            Some(view) => view,
            none => none.insert(Fold::new(&self.path, self.procedure.as_ref())?),
        };
        let ahead = match goal {
            Goal::Line(pos) => view.pos > pos,
            Goal::Moment(t) => view.key.0 > t,
        };
        // Where the view stands between the checkpoint and the place, it goes on from there.
        let (at, scene, key, place) = self.index.checkpoint(from);
        if log > 0 || ahead || view.pos < at || view.pos == 0 {
            view.state.restore(scene, LINES, BYTES);
            view.tape.go_to(place)?;
            (view.pos, view.key) = (at, key);
        }
        view.advance(goal, clock)
    }

    fn show(&mut self) -> Shown {
        let (first, last) = self.range();
        let (pos, at) = (self.view.as_ref().map_or(0, |v| v.pos), self.at);
        let timeline = self.index.timeline(pos);
        let (event, events) = self.index.count(pos);
        let view = self.view.as_mut().unwrap_or(&mut self.whole);
        let (scene, differences) = view.state.scene(timeline);
        Shown { scene: Box::new(scene), at, first, last, event, events, differences }
    }
}

fn goal_pos(goal: Goal, index: &Index) -> u64 {
    match goal {
        Goal::Line(pos) => pos,
        Goal::Moment(t) => index.pos_of(t),
    }
}
