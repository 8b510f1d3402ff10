//! Looking back: every pane as it was at a moment.
//!
//! The past is folded from the incident file by somebody else (a thread, see
//! `app::film`) through the same [`State`] that shows the present, and comes here
//! as a [`Scene`]: all that panes read. While it is shown, the live scene goes on
//! behind it: [`State::flip`] puts one in the place of the other.

use super::msg::Recalled;
use super::panes::LogsView;
use super::standings::Standings;
use super::state::{Entry, Frozen, State, StepRun};
use super::update;
use crate::diagnosis::judgement::{Judgement, Stale};
use crate::diagnosis::timeouts::Measured;
use crate::diagnosis::verdict::Standing;
use crate::situation::log::LogRing;
use crate::situation::{Change, Situation, Topic};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How fast a replay can go, in seconds of the past a second.
pub const SPEEDS: [u16; 6] = [1, 2, 5, 10, 30, 60];

/// Log lines a checkpoint keeps: a screen or two.
const TAIL: usize = 200;

/// See [`State::slack`].
const SLACK: u64 = 70;

/// All that panes read and that changes with time.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    situation: Situation,
    derived: Judgement,
    stale: Stale,
    aged: Stale,
    measured: Vec<Measured>,
    standings: Standings,
    judged_at: Option<Timestamp>,
    steps: Vec<StepRun>,
    timeline: Vec<Entry>,
    lost: BTreeMap<Topic, &'static str>,
    changes: Vec<Change>,
    answered: BTreeSet<Topic>,
    observed: usize,
    logs: LogsView,
    onset: Option<Timestamp>,
    opened: Timestamp,
    frozen: Option<Frozen>,
    following: Vec<SafeText>,
    no_target: SafeText,
    more_to_do: bool,
}

impl Scene {
    /// Log lines that came before the first one held, and those held.
    pub fn log_lines(&self) -> (u64, u64) {
        let range = self.situation.logs.range();
        (range.start, range.end)
    }
}

/// Where to go, from where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To a moment.
    At(Timestamp),
    /// Seconds back or on.
    By(i64),
    /// To the next event, or the one before.
    Event { on: bool },
    /// To the next change of a verdict or of target health, or the one before.
    Change { on: bool },
    /// To the beginning or the end.
    Edge { end: bool },
}

/// A cause that stands otherwise than was recorded at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    pub cause: &'static str,
    pub recorded: Option<Standing>,
    /// What this program says of the same facts.
    pub judged: Option<Standing>,
}

/// The situation at a moment.
#[derive(Clone, Debug)]
pub struct Shown {
    pub scene: Box<Scene>,
    /// The moment.
    pub at: Timestamp,
    /// The first and the last moment there is.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Events up to here, and all.
    pub event: usize,
    pub events: usize,
    pub differences: Vec<Difference>,
}

/// What is told of the past.
#[derive(Clone, Debug)]
pub enum News {
    /// The file is being read: bytes so far, bytes of all.
    Reading { done: u64, of: u64 },
    /// Here it is.
    Scene(Shown),
    /// There is nothing in that direction.
    Edge(SafeText),
    /// The file cannot be read; why.
    Failed(SafeText),
}

/// What came behind the past while it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    pub events: usize,
    pub lines: u64,
}

/// The past as it is shown.
#[derive(Clone, Debug)]
pub struct Past {
    /// The scene that is not in place just now: the live one while the past is shown.
    other: Box<Scene>,
    /// The past is in place (not while it is still being read).
    pub shown: bool,
    pub at: Timestamp,
    pub first: Timestamp,
    pub last: Timestamp,
    pub event: usize,
    pub events: usize,
    pub differences: Vec<Difference>,
    /// Bytes read so far and of all, while the file is being read.
    pub reading: Option<(u64, u64)>,
    /// Somebody was asked and has not answered yet.
    pub asked: bool,
    /// Playing: since when, from which moment on.
    pub playing: Option<(Timestamp, Timestamp)>,
    /// Play as soon as there is something to be seen.
    pub play_first: bool,
    /// Index into [`SPEEDS`].
    pub speed: usize,
    /// Log lines and timeline entries there were when the present was left.
    left: (u64, usize),
}

impl Past {
    /// Seconds of the past a second while playing.
    pub fn factor(&self) -> u16 {
        SPEEDS[self.speed.min(SPEEDS.len() - 1)]
    }
}

/// What this console is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It asks a source and records.
    #[default]
    Live,
    /// It follows an incident file that somebody else records into, and writes
    /// what its person writes.
    Join,
    /// It shows a finished incident and changes nothing.
    Replay,
}

impl State {
    /// Begins to look back. Panes show the past once it has been read.
    pub(super) fn look_back(&mut self) {
        if self.past.is_some() {
            return;
        }
        let now = self.now;
        self.past = Some(Past {
            other: Box::default(),
            shown: false,
            at: now,
            first: now,
            last: now,
            event: 0,
            events: 0,
            differences: Vec::new(),
            reading: None,
            asked: true,
            playing: None,
            play_first: false,
            speed: 0,
            left: (self.situation.logs.range().end, self.timeline.len()),
        });
        self.dirty = true;
    }

    /// Back to the present.
    pub(super) fn look_up(&mut self) {
        if self.past.as_ref().is_some_and(|p| p.shown) {
            self.flip();
        }
        self.past = None;
        self.settle();
        self.catch_up();
        self.dirty = true;
    }

    /// Puts the scene that lies behind in the place of the one that is shown.
    fn flip(&mut self) {
        // Taken out meanwhile, so that it can be swapped with its surroundings.
        let Some(mut past) = self.past.take() else { return };
        let o = &mut *past.other;
        macro_rules! swap {
            ($($field:ident),*) => { $(std::mem::swap(&mut self.$field, &mut o.$field);)* };
        }
        swap!(
            situation, derived, stale, aged, measured, standings, judged_at, steps, timeline, lost, changes
        );
        swap!(answered, observed, frozen, following, no_target, more_to_do);
        std::mem::swap(&mut self.views.logs, &mut o.logs);
        std::mem::swap(&mut self.incident.onset, &mut o.onset);
        std::mem::swap(&mut self.incident.opened, &mut o.opened);
        past.shown = !past.shown;
        self.past = Some(past);
    }

    /// Does something to the live scene, whatever is shown.
    pub(super) fn on_live<R>(&mut self, change: impl FnOnce(&mut State) -> R) -> R {
        let behind = self.past.as_ref().is_some_and(|p| p.shown);
        if !behind {
            return change(self);
        }
        self.flip();
        let out = change(self);
        // Whoever looked up meanwhile has no scene to flip back to.
        self.flip();
        out
    }

    /// How much older than it was data may look here, in seconds: an answer that
    /// repeats itself is recorded once a minute only.
    pub fn slack(&self) -> u64 {
        let from_file = self.role == Role::Join || self.past.as_ref().is_some_and(|p| p.shown);
        if from_file { SLACK } else { 0 }
    }

    /// Somebody plays: time has to be told more often than each second.
    pub fn is_playing(&self) -> bool {
        self.past.as_ref().is_some_and(|p| p.shown && p.playing.is_some())
    }

    /// What came in behind the past.
    pub fn behind_past(&self) -> Option<Behind> {
        let past = self.past.as_ref().filter(|p| p.shown)?;
        let logs = past.other.situation.logs.range().end;
        Some(Behind {
            events: past.other.timeline.len().saturating_sub(past.left.1),
            lines: logs.saturating_sub(past.left.0),
        })
    }

    /// Shows what was told of the past.
    pub(super) fn show_past(&mut self, shown: Shown) {
        if self.past.is_none() {
            return;
        }
        let again = self.past.as_ref().is_some_and(|p| p.shown);
        if again {
            self.flip();
        }
        let Some(past) = &mut self.past else { return };
        let mut scene = shown.scene;
        // The first look back begins with the eyes of the present.
        let before = if again { &past.other.logs } else { &self.views.logs };
        scene.logs = before.in_another(scene.situation.logs.range());
        scene.frozen = None;
        past.other = scene;
        (past.at, past.first, past.last) = (shown.at, shown.first, shown.last);
        (past.event, past.events) = (shown.event, shown.events);
        past.differences = shown.differences;
        past.reading = None;
        past.asked = false;
        self.flip();
        self.catch_up();
        self.dirty = true;
    }

    // What follows is for whoever folds the past.

    /// Takes records in as a resumed file gives them; gives the entries of the
    /// timeline that came of it.
    pub fn fold(&mut self, records: Vec<Recalled>) -> Vec<Entry> {
        update::take_back(self, records);
        std::mem::take(&mut self.timeline)
    }

    /// The fold so far, small enough to be kept by the hundred: without the
    /// timeline, and of the log its end only.
    pub fn checkpoint(&mut self) -> Scene {
        let logs = std::mem::take(&mut self.situation.logs);
        let mut situation = self.situation.clone();
        situation.logs = logs.tail(TAIL);
        self.situation.logs = logs;
        Scene {
            situation,
            derived: Judgement { signs: self.derived.signs.clone(), ..Judgement::default() },
            stale: Stale::ALL,
            aged: Stale::default(),
            standings: self.standings.clone(),
            steps: self.steps.clone(),
            lost: self.lost.clone(),
            answered: self.answered.clone(),
            observed: self.observed,
            onset: self.incident.onset,
            opened: self.incident.opened,
            no_target: self.no_target.clone(),
            ..Scene::default()
        }
    }

    /// Goes back to a checkpoint, with at most `lines` log lines held from there on.
    pub fn restore(&mut self, from: &Scene, lines: usize, bytes: usize) {
        let from = from.clone();
        self.situation = from.situation;
        self.situation.logs.bound(lines, bytes);
        self.derived = from.derived;
        self.stale = Stale::ALL;
        self.standings = from.standings;
        self.steps = from.steps;
        self.lost = from.lost;
        self.answered = from.answered;
        self.observed = from.observed;
        self.incident.onset = from.onset;
        self.incident.opened = from.opened;
        self.no_target = from.no_target;
        self.timeline.clear();
        self.changes.clear();
        self.measured.clear();
        self.judged_at = None;
        self.views.logs = LogsView::default();
    }

    /// Judges the fold as it is now and gives all of it, with `timeline` as the
    /// entries up to here in the order they came.
    pub fn scene(&mut self, mut timeline: Vec<Entry>) -> (Scene, Vec<Difference>) {
        timeline.sort_by_key(|e| e.at);
        self.timeline = timeline;
        self.read_notes();
        // The rest of the log, and the causes however short a while ago.
        while self.catch_up() {}
        self.judged_at = None;
        self.settle();
        let differences = self.standings.differences(&self.derived.diagnosis.verdicts);
        let scene = Scene {
            situation: self.situation.clone(),
            derived: self.derived.clone(),
            stale: self.stale,
            aged: self.aged,
            measured: self.measured.clone(),
            standings: self.standings.clone(),
            judged_at: self.judged_at,
            steps: self.steps.clone(),
            timeline: std::mem::take(&mut self.timeline),
            lost: self.lost.clone(),
            answered: self.answered.clone(),
            observed: self.observed,
            onset: self.incident.onset,
            opened: self.incident.opened,
            no_target: self.no_target.clone(),
            ..Scene::default()
        };
        (scene, differences)
    }

    /// Bounds the log of a fold.
    pub fn bound_logs(&mut self, lines: usize, bytes: usize) {
        self.situation.logs = LogRing::new(lines, bytes);
    }

    /// Serial numbers of the log lines the fold holds: the first, and the one
    /// behind the last.
    pub fn log_range(&self) -> (u64, u64) {
        let range = self.situation.logs.range();
        (range.start, range.end)
    }

    /// About how many facts the fold holds: a measure for what keeping it costs.
    pub fn observed_topics(&self) -> usize {
        let s = &self.situation;
        let points: usize = s.metrics.values().map(|m| 8 + m.points.len() / 8).sum();
        let targets: usize = s.groups.values().map(|g| 8 + 2 * g.tracks.len()).sum();
        let network: usize = s
            .vpcs
            .values()
            .map(|v| {
                let rules = v.security_groups.value().into_iter().flatten();
                let rules: usize = rules.map(|g| g.ingress.len() + g.egress.len()).sum();
                let things =
                    v.instances.value().map_or(0, Vec::len) + v.interfaces.value().map_or(0, Vec::len);
                32 + rules + things
            })
            .sum();
        TAIL + self.answered.len() * 4 + points + targets + network
    }
}

/// The moment a play has come to.
pub(super) fn played(past: &Past, now: Timestamp) -> Option<Timestamp> {
    let (since, from) = past.playing?;
    let real = now.duration_since(since).max(SignedDuration::ZERO);
    let gone = real.checked_mul(i32::from(past.factor())).unwrap_or(SignedDuration::MAX);
    Some(from.checked_add(gone).unwrap_or(past.last).min(past.last))
}

/// A time as a person types it, meant for a moment between `first` and `last`:
/// `01:41`, `01:41:30`, `2026-11-22 01:41`, also without the colon's zero. Of
/// the days there are, the one that is nearest to `near`. UTC.
pub fn typed_moment(text: &str, near: Timestamp, first: Timestamp, last: Timestamp) -> Option<Timestamp> {
    let text = text.trim().trim_end_matches(['Z', 'z']);
    let text = text.strip_prefix("goto").map_or(text, str::trim_start);
    let utc = jiff::tz::TimeZone::UTC;
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (Some(date.parse::<jiff::civil::Date>().ok()?), clock.trim()),
        None => (None, text),
    };
    if !clock.contains(':') {
        return None;
    }
    let clock = if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.to_owned() };
    let time: jiff::civil::Time = clock.parse().ok()?;
    let on = |day: jiff::civil::Date| Some(day.to_datetime(time).to_zoned(utc.clone()).ok()?.timestamp());
    if let Some(day) = date {
        return on(day);
    }
    let day = |t: Timestamp| t.to_zoned(utc.clone()).date();
    let mut days = vec![day(near), day(first), day(last)];
    days.extend([day(near).yesterday().ok(), day(near).tomorrow().ok()].into_iter().flatten());
    let all = days.into_iter().filter_map(on);
    // A moment that was is meant before one that was not.
    all.min_by_key(|t| (!(first <= *t && *t <= last), t.duration_since(near).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_time_is_meant_for_a_moment_there_was() {
        let t = |s: &str| s.parse::<Timestamp>().unwrap();
        let (first, last) = (t("2026-11-22T22:00:00Z"), t("2026-11-23T02:00:00Z"));
        let near = t("2026-11-23T01:00:00Z");
        for (typed, want) in [
            ("01:41", "2026-11-23T01:41:00Z"),
            ("1:41", "2026-11-23T01:41:00Z"),
            ("goto 23:10:30Z", "2026-11-22T23:10:30Z"),
            ("2026-11-22 22:15", "2026-11-22T22:15:00Z"),
            // There was none on either day: the nearest one.
            ("03:00", "2026-11-23T03:00:00Z"),
        ] {
            assert_eq!(typed_moment(typed, near, first, last), Some(t(want)), "{typed}");
        }
        for no in ["", "12", "soon", "25:00", "1:2:3:4"] {
            assert_eq!(typed_moment(no, near, first, last), None, "{no}");
        }
    }

    #[test]
    fn playing_goes_as_fast_as_is_said_and_ends_at_the_end() {
        let t = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let mut state = super::super::state::tests::state();
        state.look_back();
        let past = state.past.as_mut().unwrap();
        past.last = t(300);
        past.playing = Some((t(0), t(100)));
        past.speed = 3;
        assert_eq!(played(past, t(5)), Some(t(150)));
        assert_eq!(played(past, t(-5)), Some(t(100)), "a clock set back does not go back in time");
        assert_eq!(played(past, t(1000)), Some(t(300)));
    }
}
