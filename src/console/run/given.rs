//! What a console is given: its part, what it may call, and what the command
//! line and the config file say.

use crate::console::caps::Caps;
use crate::console::keys::Keymap;
use crate::console::panes::Saved;
use crate::console::past::{Ask, News};
use crate::console::state::{Face, Incident};
use crate::console::theme::Theme;
use crate::diagnosis::catalogue::Catalogue;
use crate::procedure::Procedure;
use crate::sources::drill::clock::Clock;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Writes the postmortem of an incident file; gives one line on where it went.
pub type Exporter = Arc<dyn Fn() -> Result<SafeText, SafeText> + Send + Sync>;

type Begin = Box<dyn FnOnce(std::sync::mpsc::Receiver<Ask>, mpsc::UnboundedSender<News>) + Send>;

/// Whoever folds the past of the incident file. Nothing is read before the
/// first thing is asked.
pub struct Projector {
    begin: Option<Begin>,
    asks: std::sync::mpsc::Sender<Ask>,
    waiting: Option<std::sync::mpsc::Receiver<Ask>>,
    tell: mpsc::UnboundedSender<News>,
    pub(super) news: mpsc::UnboundedReceiver<News>,
}

impl Projector {
    /// `begin` is called once: it takes what is asked and tells what is seen,
    /// elsewhere.
    pub fn new(
        begin: impl FnOnce(std::sync::mpsc::Receiver<Ask>, mpsc::UnboundedSender<News>) + Send + 'static,
    ) -> Projector {
        let (asks, waiting) = std::sync::mpsc::channel();
        let (tell, news) = mpsc::unbounded_channel();
        Projector { begin: Some(Box::new(begin)), asks, waiting: Some(waiting), tell, news }
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        if let (Some(begin), Some(waiting)) = (self.begin.take(), self.waiting.take()) {
            begin(waiting, self.tell.clone());
        }
        // A thread that has ended has told why.
        let _ = self.asks.send(ask);
    }
}

/// Where a replay begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub ask: Ask,
    /// Plays at once, so many seconds of the past a second.
    pub speed: Option<u16>,
}

/// What a console is for.
#[derive(Clone, Copy, Debug, Default)]
pub enum Part {
    /// It asks the source and records.
    #[default]
    Asks,
    /// It follows the incident file; the source is asked when it takes over.
    Follows,
    /// It looks back from this moment on.
    Replays(Start),
}

/// Writes log lines into a file; gives one line on where they went.
pub type Saver = Arc<dyn Fn(Saved) -> Result<SafeText, SafeText> + Send + Sync>;

/// What the command line and the config file say about the console.
pub struct ConsoleConfig {
    /// TARGET as typed; empty for the picker.
    pub target: String,
    pub incident: Incident,
    pub caps: Caps,
    pub theme: Theme,
    /// A word of the profile for the header, such as `PROD`.
    pub label: SafeText,
    /// The header under each of several profiles, by name (empty: the default
    /// credentials); empty where there is one, which `theme` and `label` are of.
    pub faces: BTreeMap<SafeText, Face>,
    pub keymap: Keymap,
    pub procedure: Arc<Procedure>,
    /// The causes in the same language.
    pub words: Arc<Catalogue>,
    /// Log groups named by the person, in force from the start.
    pub following: Vec<SafeText>,
    /// What `e` does; `None`: there is no incident file to export.
    pub exporter: Option<Exporter>,
    /// What this console is for.
    pub part: Part,
    /// What saving log lines does; `None`: there is nowhere to write them.
    pub saver: Option<Saver>,
    /// Reports of panics are appended here.
    pub log: Option<PathBuf>,
    /// Figures of the session are written here at the end, as JSON.
    pub stats: Option<PathBuf>,
    /// When the process began, for the time to the first frame.
    pub started: std::time::Instant,
    /// The clock of a drill; `None`: the wall clock.
    pub clock: Option<Clock>,
}

impl ConsoleConfig {
    /// The time the console lives in.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(Timestamp::now, Clock::now)
    }
}
