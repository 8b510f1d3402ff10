//! Everything the screen depends on.

use super::caps::Caps;
use super::glyphs::Glyphs;
use super::keys::Keymap;
use super::layout::{self, Layout};
use super::overlay::{Candidates, Overlay};
use super::panes;
use super::past::{Past, Role};
use super::people::People;
use super::standings::Standings;
use super::theme::Theme;
use crate::diagnosis::catalogue::Catalogue;
use crate::diagnosis::judgement::{Judgement, Stale};
use crate::diagnosis::timeouts::Measured;
use crate::procedure::{Procedure, StepResult};
use crate::situation::Topic;
use crate::situation::{Change, Situation, TargetTrack};
use crate::sources::{Call, Offer, Want};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// One of the panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaneId {
    Health,
    Logs,
    Paths,
    Timeouts,
    Diagnosis,
    Procedure,
    Timeline,
    Metrics,
}

impl PaneId {
    /// All panes, in the order of Tab.
    pub const ALL: [PaneId; 8] = [
        PaneId::Health,
        PaneId::Logs,
        PaneId::Paths,
        PaneId::Timeouts,
        PaneId::Diagnosis,
        PaneId::Procedure,
        PaneId::Timeline,
        PaneId::Metrics,
    ];
}

/// View states of the panes.
#[derive(Clone, Debug, Default)]
pub struct Views {
    pub health: panes::HealthView,
    pub logs: panes::LogsView,
    pub paths: panes::PathsView,
    pub timeouts: panes::TimeoutsView,
    pub diagnosis: panes::DiagnosisView,
    pub procedure: panes::ProcedureView,
    pub timeline: panes::TimelineView,
    pub metrics: panes::MetricsView,
}

/// The incident this console works on.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Name shown in the header: the file's name without its suffix.
    pub name: SafeText,
    /// Where it is recorded; `None` when it is not.
    pub path: Option<PathBuf>,
    /// `user@host` of the person here.
    pub author: SafeText,
    /// TARGET as typed; empty for the picker.
    pub asked: SafeText,
    /// When this console (or, resumed, the first one) opened it.
    pub opened: Timestamp,
    /// When the trouble began, once anything tells it (first unhealthy target
    /// or first 502 seen, or a note that says so).
    pub onset: Option<Timestamp>,
}

/// The picture held still.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// When it was taken.
    pub at: Timestamp,
    /// Everything but the log lines, as it was.
    pub situation: Box<Situation>,
    /// Serial number of the first log line that came after.
    pub log_end: u64,
    /// Entries of the timeline that came since, other than a person's.
    pub waiting: Vec<Entry>,
    /// Observations that came since, other than log lines.
    pub behind: u64,
}

/// Where a thing written by a person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// On disk.
    Yes,
    /// Handed to the journal, not confirmed yet: shown as `saving`.
    Pending,
    /// There is no incident file, or it cannot be written just now: shown red.
    No,
}

/// What a timeline entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The console was opened, or the incident resumed or closed.
    Session,
    Health,
    Config,
    /// A question is no longer answered.
    Lost,
    /// A question is answered again.
    Found,
    Step,
    Note,
    Mark,
    Verdict,
    Action,
    /// Something was not recorded or not readable.
    Gap,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it happened (not when it was written).
    pub at: Timestamp,
    /// Person or source.
    pub by: SafeText,
    pub kind: EntryKind,
    /// May have several lines.
    pub text: SafeText,
    pub saved: Saved,
    /// Id of its record while `saved` is `Pending`, else 0.
    pub id: u64,
}

/// How the incident file is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum JournalState {
    /// Nothing is recorded (no file).
    #[default]
    Off,
    /// All is well.
    Recording,
    /// It cannot be written; what waits is kept and tried again.
    Trouble { line: SafeText, waiting: usize },
}

/// One check's result as the procedure pane shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub mark: Mark,
    pub text: SafeText,
}

/// How good a thing is; glyph, word and colour follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    Good,
    Info,
    Warn,
    Bad,
    /// Not known, with the reason in the text.
    Unknown,
}

/// Where a step of the procedure stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    #[default]
    NotRun,
    /// Asking since, at most until.
    Running {
        since: Timestamp,
        until: Timestamp,
        refresh: u64,
    },
    Done {
        at: Timestamp,
        took_ms: u64,
    },
}

/// A step of the procedure with what it found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepRun {
    /// The key that runs it, 0 to 9.
    pub key: u8,
    pub title: SafeText,
    pub phase: Phase,
    /// Worst first, then the commands to run by hand.
    pub findings: Vec<Finding>,
    /// The newest result in full.
    pub result: Option<StepResult>,
}

/// One line for the person, shown in place of the key bar for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub mark: Mark,
    pub text: SafeText,
    /// Goes away at this time.
    pub until: Timestamp,
}

/// How the header looks under one profile, so that nobody takes one for another.
#[derive(Clone, Debug)]
pub struct Face {
    pub theme: Theme,
    /// A word such as `PROD`; empty: none.
    pub label: SafeText,
}

/// Calls kept for the call log.
pub const CALLS_KEPT: usize = 1000;

/// Causes are judged anew at most this often.
const JUDGE_EVERY_MS: i64 = 250;

/// Changes kept for the procedure.
pub const CHANGES_KEPT: usize = 10_000;

/// The whole console.
#[derive(Clone, Debug)]
pub struct State {
    /// Everything observed, live. Panes read [`State::shown`].
    pub situation: Situation,
    /// What the diagnosis says of it; held still while frozen.
    pub derived: Judgement,
    /// What of `derived` is out of date.
    pub stale: Stale,
    /// What of it only tells an older time than it could: it was answered once
    /// more what was known. Becomes stale with the ages on screen.
    pub aged: Stale,
    /// Values that people or probes learned and no API tells.
    pub measured: Vec<Measured>,
    /// The time, as the last message told it.
    pub now: Timestamp,
    pub incident: Incident,
    pub caps: Caps,
    pub theme: Theme,
    pub glyphs: Glyphs,
    pub keymap: Keymap,
    /// Columns and rows.
    pub size: (u16, u16),
    pub focus: PaneId,
    pub zoom: bool,
    /// Mask account numbers and addresses.
    pub privacy: bool,
    pub frozen: Option<Frozen>,
    /// A moment of the past is shown, or about to be.
    pub past: Option<Past>,
    pub role: Role,
    /// Who else is in this incident.
    pub people: People,
    /// What the incident file held when it was opened has been taken in.
    pub caught_up: bool,
    pub views: Views,
    pub overlay: Option<Overlay>,
    pub notice: Option<Notice>,
    /// The causes in words; without them they are shown by id.
    pub words: Option<Arc<Catalogue>>,
    /// How each cause stood when last told.
    pub(super) standings: Standings,
    /// When the causes were judged last.
    pub(super) judged_at: Option<Timestamp>,
    /// Words and checks of the steps; `None` where no step can be run.
    pub procedure: Option<Arc<Procedure>>,
    /// Steps 0 to 9 by key.
    pub steps: Vec<StepRun>,
    /// By `at`, oldest first.
    pub timeline: Vec<Entry>,
    pub journal: JournalState,
    /// Newest last.
    pub calls: VecDeque<Call>,
    /// Log groups being followed.
    pub following: Vec<SafeText>,
    /// The source's last word when it found no target; empty when it did.
    pub no_target: SafeText,
    /// The source has ended: what is shown will not change any more.
    pub source_ended: bool,
    /// What TARGET could stand for, while a person has to pick.
    pub candidates: Option<Candidates>,
    /// One was picked: what is still said of the others comes too late.
    pub chosen: bool,
    /// What can be done through the source.
    pub offers: Vec<Offer>,
    /// Hosts the source would ask.
    pub hosts: Vec<SafeText>,
    /// The person has seen what runs there and agreed.
    pub hosts_agreed: bool,
    /// Seconds of `now` in a second of the person here; more than 1 in a drill.
    pub pace: f64,
    /// A note begun and left with Esc.
    pub draft: String,
    /// A word of the profile for the header, such as `PROD`.
    pub label: SafeText,
    /// The header under each of several profiles; empty where there is one.
    pub faces: BTreeMap<SafeText, Face>,
    /// Profile and region of what is observed, where several are searched.
    pub place: Option<(SafeText, SafeText)>,
    /// Patterns used before, newest last.
    pub filters: Vec<String>,
    /// Show what is written to the terminal; the figures come with [`super::Msg::Metered`].
    pub metered: Option<Metered>,
    /// Something changed that may be on screen.
    pub dirty: bool,
    /// Kinds of data that topics could not be asked for, as last told in the timeline.
    pub(super) lost: BTreeMap<Topic, &'static str>,
    /// Questions asked on demand and not answered yet.
    pub(super) asked: BTreeMap<u64, Asked>,
    /// What the source was last told is on screen.
    pub(super) watched: Vec<Want>,
    pub(super) next_id: u64,
    /// What changed while it was watched, oldest first, at most [`CHANGES_KEPT`].
    pub(super) changes: Vec<Change>,
    /// Topics that something was said of.
    pub(super) answered: BTreeSet<Topic>,
    /// Observations taken in.
    pub(super) observed: usize,
    /// The logs pane has lines it has not looked at yet; [`super::Msg::Slice`] goes on.
    pub more_to_do: bool,
    /// `q` was pressed and everything is done.
    pub(super) leaving: bool,
}

/// Why a refresh was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub at: Timestamp,
    /// The step that waits for it; `None` for `r`.
    pub step: Option<u8>,
}

/// What the debug line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    pub bytes: u64,
    pub frames: u64,
    /// Bytes of the newest frame.
    pub last: u64,
}

impl State {
    /// An empty console: everything is "not asked yet".
    pub fn new(now: Timestamp, incident: Incident, caps: Caps, keymap: Keymap) -> State {
        State {
            situation: Situation::new(),
            derived: Judgement::default(),
            stale: Stale::ALL,
            aged: Stale::default(),
            measured: Vec::new(),
            now,
            incident,
            caps,
            theme: Theme::new(caps.depth),
            glyphs: Glyphs::new(caps.glyphs),
            keymap,
            size: (80, 24),
            focus: PaneId::Health,
            zoom: false,
            privacy: false,
            frozen: None,
            past: None,
            role: Role::Live,
            people: People::default(),
            caught_up: false,
            views: Views::default(),
            overlay: None,
            notice: None,
            words: None,
            standings: Standings::default(),
            judged_at: None,
            procedure: None,
            steps: Vec::new(),
            timeline: Vec::new(),
            journal: JournalState::Off,
            calls: VecDeque::new(),
            following: Vec::new(),
            no_target: SafeText::default(),
            source_ended: false,
            candidates: None,
            chosen: false,
            offers: Vec::new(),
            hosts: Vec::new(),
            hosts_agreed: false,
            pace: 1.0,
            draft: String::new(),
            label: SafeText::default(),
            faces: BTreeMap::new(),
            place: None,
            filters: Vec::new(),
            metered: None,
            dirty: true,
            lost: BTreeMap::new(),
            asked: BTreeMap::new(),
            watched: Vec::new(),
            next_id: 0,
            changes: Vec::new(),
            answered: BTreeSet::new(),
            observed: 0,
            more_to_do: false,
            leaving: false,
        }
    }

    /// The facts to show: live, or as they were when the picture was frozen.
    /// Its `logs` are empty while frozen; read `situation.logs` up to [`State::log_end`].
    pub fn shown(&self) -> &Situation {
        self.frozen.as_ref().map_or(&self.situation, |f| &f.situation)
    }

    /// A number not used before in this session.
    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// So many milliseconds of the person here, on the clock of `now`.
    fn lasting(&self, ms: i64) -> SignedDuration {
        #[allow(clippy::cast_possible_truncation, reason = "a pace is below a thousand")]
        SignedDuration::from_millis(ms.saturating_mul((self.pace * 16.0) as i64) / 16)
    }

    /// The line under the panes says this for a while.
    pub(super) fn say(&mut self, mark: Mark, text: impl Into<SafeText>) {
        let seconds = if matches!(mark, Mark::Bad | Mark::Warn) { 10 } else { 4 };
        let until = self.now.checked_add(self.lasting(seconds * 1000)).unwrap_or(self.now);
        self.notice = Some(Notice { mark, text: text.into(), until });
        self.dirty = true;
    }

    /// Puts an entry where it belongs in time. Among those of one moment the
    /// later comer stands last. While the picture is frozen, what people do is
    /// shown and the rest waits.
    pub(super) fn enter(&mut self, entry: Entry) {
        let own = matches!(entry.kind, EntryKind::Note | EntryKind::Mark | EntryKind::Step);
        if let (Some(f), false) = (&mut self.frozen, own) {
            f.waiting.push(entry);
            return;
        }
        let at = self.timeline.partition_point(|e| e.at <= entry.at);
        self.timeline.insert(at, entry);
        self.dirty = true;
    }

    /// Observations that came since the picture was frozen: log lines, others.
    pub fn behind(&self) -> Option<(u64, u64)> {
        let f = self.frozen.as_ref()?;
        Some((self.situation.logs.range().end.saturating_sub(f.log_end), f.behind))
    }

    /// A pane's view, to read.
    pub fn view(&self, id: PaneId) -> &dyn panes::PaneView {
        let v = &self.views;
        match id {
            PaneId::Health => &v.health,
            PaneId::Logs => &v.logs,
            PaneId::Paths => &v.paths,
            PaneId::Timeouts => &v.timeouts,
            PaneId::Diagnosis => &v.diagnosis,
            PaneId::Procedure => &v.procedure,
            PaneId::Timeline => &v.timeline,
            PaneId::Metrics => &v.metrics,
        }
    }

    /// Calls a pane's view with the rest of the state to read.
    pub(super) fn with_view<R>(
        &mut self,
        id: PaneId,
        call: impl FnOnce(&mut dyn panes::PaneView, &State) -> R,
    ) -> R {
        macro_rules! lend {
            ($field:ident) => {{
                let mut view = std::mem::take(&mut self.views.$field);
                let r = call(&mut view, self);
                self.views.$field = view;
                r
            }};
        }
        match id {
            PaneId::Health => lend!(health),
            PaneId::Logs => lend!(logs),
            PaneId::Paths => lend!(paths),
            PaneId::Timeouts => lend!(timeouts),
            PaneId::Diagnosis => lend!(diagnosis),
            PaneId::Procedure => lend!(procedure),
            PaneId::Timeline => lend!(timeline),
            PaneId::Metrics => lend!(metrics),
        }
    }

    /// Brings what is derived from the facts up to date. Called before a frame
    /// is drawn; while frozen it does nothing, so the picture stays whole.
    pub fn settle(&mut self) {
        // The past was judged when it was folded; what goes on behind it is not.
        if self.past.as_ref().is_some_and(|p| p.shown) {
            self.on_live(State::settle);
            return;
        }
        if self.frozen.is_some() {
            return;
        }
        if self.derived.settle(&mut self.stale, &self.situation, &self.measured) {
            self.find_onset();
        }
        self.judge();
    }

    /// A frame with the ages of now is due, and with the times at which things
    /// were last seen as they were.
    pub fn age(&mut self) {
        self.stale.add(std::mem::take(&mut self.aged));
        self.dirty = true;
    }

    /// Only the clock tells this moment from the last frame: nothing changed,
    /// nothing waits to be judged, and nothing on screen counts seconds.
    pub fn rests(&self) -> bool {
        !self.dirty
            && !self.more_to_do
            && self.stale == Stale::default()
            && self.overlay.is_none()
            && self.past.is_none()
            && self.pace <= 1.0
    }

    /// Judges the causes, at most every [`JUDGE_EVERY_MS`]: an error storm or a
    /// wave of answers makes one verdict, not a hundred. What is put off is
    /// done with the next frame after that; the clock alone makes one a second.
    fn judge(&mut self) {
        let early = self.judged_at.is_some_and(|t| {
            (SignedDuration::ZERO..self.lasting(JUDGE_EVERY_MS)).contains(&self.now.duration_since(t))
        });
        if early || !self.derived.judge(&mut self.stale, &self.situation) {
            return;
        }
        self.judged_at = Some(self.now);
        self.standings.take(&self.derived.diagnosis.verdicts, self.now);
    }

    /// When the trouble began: the step in the errors, else the first target
    /// that was seen to fall ill. What was found once stays.
    fn find_onset(&mut self) {
        let fell_ill = || {
            let ill =
                |t: &&TargetTrack| t.since_exact && !t.gone && t.state.as_str().starts_with("unhealthy");
            self.situation.groups.values().flat_map(|g| g.tracks.values()).filter(ill).map(|t| t.since).min()
        };
        let found = self.derived.onset.as_ref().map(|o| o.at).or_else(fell_ill);
        self.incident.onset = found.or(self.incident.onset);
    }

    /// Log lines with this serial number and later are not shown.
    pub fn log_end(&self) -> u64 {
        self.frozen.as_ref().map_or(self.situation.logs.range().end, |f| f.log_end)
    }

    /// The time that ages are counted from: now, or the moment of the freeze.
    /// In the past: the moment that is shown.
    pub fn shown_now(&self) -> Timestamp {
        match &self.past {
            Some(p) if p.shown => p.at,
            _ => self.frozen.as_ref().map_or(self.now, |f| f.at),
        }
    }

    /// Where everything goes on the present screen.
    pub fn layout(&self) -> Layout {
        layout::compute(self.size, self.focus, self.zoom)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An empty console at a fixed time.
    pub fn state() -> State {
        let now: Timestamp = "2026-11-22T01:53:51Z".parse().unwrap();
        let incident = Incident {
            name: "shop-2026-11-22".into(),
            path: None,
            author: "yui@bastion".into(),
            asked: "shop-alb".into(),
            opened: now,
            onset: None,
        };
        State::new(now, incident, Caps::default(), Keymap::default())
    }
}
