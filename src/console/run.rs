//! The one task that has a terminal, a clock and channels. It turns what
//! happens into messages, draws when something changed, and carries effects out.

mod given;
mod signals;

use super::msg::{Draft, Durability, Effect, Msg};
use super::panes::Saved;
use super::past::{News, Role};
use super::record::Journal;
use super::state::{JournalState, Metered, State};
use super::term::guard::{self, Guard};
use super::term::input::{self, Input};
use super::term::output::{Meter, Output};
use super::term::parse::Typed;
use super::term::{Screen, Tty, clipboard};
use super::update;
use crate::sources::drill::clock::Clock;
use crate::sources::{self, Command, Event};
use crate::text::SafeText;
use futures::FutureExt;
use jiff::Timestamp;
use rustix::process::Signal;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use given::{ConsoleConfig, Exporter, Part, Projector, Saver, Start};
use signals::Signals;

/// Least time between frames: near, and at the other end of a network.
const FRAME_NEAR: Duration = Duration::from_millis(33);
const FRAME_FAR: Duration = Duration::from_millis(100);
/// The same behind a key: a person waits for it.
const FRAME_KEY: Duration = Duration::from_millis(8);
/// Events taken in one go before the screen gets its turn.
const BATCH: usize = 64;
/// The longest such a go may take.
const BATCH_TIME: Duration = Duration::from_millis(6);
/// How long the incident file may take to be written out when a person leaves,
/// and when the terminal or the session is gone.
const CLOSE: Duration = Duration::from_secs(5);
const CLOSE_GONE: Duration = Duration::from_millis(700);
/// How often a play moves on.
const PLAY: Duration = Duration::from_millis(100);
/// How old the ages in panes may be while nothing happens. The clock in the
/// header goes on every second; a whole frame for it would be most of what an
/// idle console costs.
const AGES: Duration = Duration::from_millis(4500);
/// How long the last frame may take.
const DRAIN: Duration = Duration::from_millis(200);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `q`.
    Quit,
    /// The terminal is gone, or SIGHUP.
    HangUp,
    /// SIGTERM or SIGINT.
    Signal(i32),
}

/// What remains to be said on the normal screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub how: How,
    /// What is not in the incident file, and where it is instead.
    pub unsaved: Option<SafeText>,
}

/// Why there is no console, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no terminal.
    #[error("the console needs a terminal ({0}); `badgate check TARGET` works without")]
    NoTerminal(std::io::Error),
    /// The system refused a thread or a signal handler.
    #[error("the console cannot start: {0}")]
    Start(std::io::Error),
    /// The program is at fault; the report was printed and logged.
    #[error("the console stopped because of an error in badgate; {0}")]
    Panicked(SafeText),
}

/// Runs the console until it is left. `link` is asked for `config.target` once
/// what the incident file holds is folded.
pub async fn run(
    config: ConsoleConfig,
    link: sources::Link,
    journal: Option<Journal>,
    projector: Option<Projector>,
) -> Result<Ended, RunError> {
    guard::install_hooks();
    if let Some(log) = &config.log {
        guard::log_to(log);
    }
    let tty = Tty::open().map_err(RunError::NoTerminal)?;
    let mut signals = Signals::new().map_err(RunError::Start)?;
    let taken = Guard::take(&tty).map_err(RunError::NoTerminal)?;
    let output = Output::start(tty.clone(), config.caps.sync).map_err(RunError::Start)?;
    let mut state = first_state(&config, journal.is_some(), tty.size());
    let mut console = Console::new(&config, &tty, &taken, output, link, journal);
    console.projector = projector;
    if let Part::Replays(start) = &config.part {
        for effect in update::look_back(&mut state, start.ask, start.speed) {
            console.perform(&mut state, effect);
        }
    }
    console.draw(&mut state);
    let first_frame = config.started.elapsed();

    let ended = AssertUnwindSafe(console.turn(&mut state, &mut signals)).catch_unwind().await;

    let how = ended.as_ref().copied().unwrap_or(How::Quit);
    let gone = how != How::Quit;
    // The picture first where somebody looks at it, the file first where nobody does.
    if !gone {
        console.output.drain(DRAIN);
        taken.leave();
    }
    let unsaved = console.close(&mut state, how);
    if how != How::HangUp {
        console.output.drain(DRAIN);
    }
    taken.leave();
    write_stats(&config, &console.meter, first_frame);
    match ended {
        Ok(how) => Ok(Ended { how, unsaved }),
        Err(_) => Err(RunError::Panicked(match unsaved {
            None => "everything written down is in the incident file".into(),
            Some(line) => line,
        })),
    }
}

fn first_state(config: &ConsoleConfig, recorded: bool, size: Option<(u16, u16)>) -> State {
    let mut state = State::new(config.now(), config.incident.clone(), config.caps, config.keymap.clone());
    state.theme = config.theme;
    state.label = config.label.clone();
    state.faces = config.faces.clone();
    state.following.clone_from(&config.following);
    state.set_procedure(Arc::clone(&config.procedure));
    state.words = Some(Arc::clone(&config.words));
    state.begin();
    state.role = match config.part {
        Part::Asks => Role::Live,
        Part::Follows => Role::Join,
        Part::Replays(_) => Role::Replay,
    };
    // A terminal that says 0x0 does not know; it is drawn for anyway.
    state.size = size.filter(|s| s.0 > 0 && s.1 > 0).unwrap_or((80, 24));
    state.journal = if recorded { JournalState::Recording } else { JournalState::Off };
    state
}

/// Figures for benchmarks and bug reports.
fn write_stats(config: &ConsoleConfig, meter: &Meter, first_frame: Duration) {
    let Some(path) = &config.stats else { return };
    let (bytes, frames, writes) = meter.totals();
    let text = serde_json::json!({
        "first_frame_ms": first_frame.as_secs_f64() * 1000.0,
        "bytes": bytes,
        "frames": frames,
        "writes": writes,
    });
    let _ = std::fs::write(path, format!("{text}\n"));
}

struct Console<'a> {
    config: &'a ConsoleConfig,
    tty: &'a Tty,
    taken: &'a Guard,
    output: Output,
    meter: Arc<Meter>,
    screen: Screen,
    link: sources::Link,
    source_open: bool,
    /// Commands the source had no room for.
    commands: VecDeque<Command>,
    journal: Option<Journal>,
    projector: Option<Projector>,
    /// The journal has said all it holds, and the source was asked for the target.
    opened: bool,
    told: (mpsc::Sender<Msg>, mpsc::Receiver<Msg>),
    /// Bytes that go out with the next frame but are no part of it.
    aside: Vec<u8>,
    /// No frame before this.
    next_frame: Instant,
    last_frame: Instant,
    /// When the ages on screen were last brought up to date.
    aged_at: Instant,
    end: Option<How>,
}

impl<'a> Console<'a> {
    fn new(
        config: &'a ConsoleConfig,
        tty: &'a Tty,
        taken: &'a Guard,
        output: Output,
        link: sources::Link,
        journal: Option<Journal>,
    ) -> Console<'a> {
        let meter = output.meter();
        let now = Instant::now();
        Console {
            config,
            tty,
            taken,
            output,
            meter,
            screen: Screen::new((0, 0)),
            link,
            source_open: true,
            commands: VecDeque::new(),
            journal,
            projector: None,
            opened: false,
            told: mpsc::channel(16),
            aside: Vec::new(),
            next_frame: now,
            last_frame: now,
            aged_at: now,
            end: None,
        }
    }

    /// The loop. Ends with the reason.
    async fn turn(&mut self, state: &mut State, signals: &mut Signals) -> How {
        let gone = Arc::new(Notify::new());
        let tell_gone = Arc::clone(&gone);
        let mut typed = match input::start(self.tty.clone(), move || tell_gone.notify_one()) {
            Ok(typed) => typed,
            // Without keys there is no console.
            Err(_) => return How::HangUp,
        };
        if self.journal.is_none() {
            self.open(state);
        }
        let mut tick = next_second();
        loop {
            if let Some(how) = self.end {
                return how;
            }
            let room = self.output.has_room();
            if state.dirty && room && Instant::now() >= self.next_frame {
                self.draw(state);
            }
            let blocked = state.dirty && !room;
            tokio::select! {
                biased;
                s = signals.next() => self.signal(state, s),
                () = gone.notified() => return How::HangUp,
                () = self.output.gone() => return How::HangUp,
                input = typed.recv() => match input {
                    Some(Input::Typed(list)) => self.keys(state, list),
                    Some(Input::Gone) | None => return How::HangUp,
                },
                line = guard::next_report() => {
                    self.take(state, vec![Msg::Failed(line)]);
                }
                event = self.link.events.recv(), if self.source_open => self.events(state, event),
                news = news(&mut self.journal) => match news {
                    Some(Msg::Recalled(list)) if list.is_empty() => self.open(state),
                    Some(msg) => self.take(state, vec![msg]),
                    None => self.journal_ended(state),
                },
                Some(news) = past(&mut self.projector) => self.take(state, vec![Msg::Past(news)]),
                Some(msg) = self.told.1.recv() => self.take(state, vec![msg]),
                permit = self.link.commands.clone().reserve_owned(), if !self.commands.is_empty() => {
                    match (permit, self.commands.pop_front()) {
                        (Ok(permit), Some(command)) => _ = permit.send(command),
                        _ => self.commands.clear(),
                    }
                }
                () = self.output.room(), if blocked => {}
                () = tokio::time::sleep_until(self.next_frame), if state.dirty && !blocked => {}
                () = tokio::time::sleep_until(tick) => {
                    tick = next_second();
                    self.tick(state);
                }
                () = tokio::time::sleep(PLAY), if state.is_playing() => self.take(state, Vec::new()),
                () = std::future::ready(()), if state.more_to_do => self.take(state, vec![Msg::Slice]),
            }
        }
    }

    /// Hands messages to `update` at the present time and does what it asks for.
    fn take(&mut self, state: &mut State, messages: Vec<Msg>) {
        self.now(state);
        for msg in messages {
            self.update(state, msg);
        }
    }

    fn now(&mut self, state: &mut State) {
        state.pace = self.config.clock.as_ref().map_or(1.0, Clock::pace);
        self.update(state, Msg::Now(self.config.now()));
    }

    fn update(&mut self, state: &mut State, msg: Msg) {
        for effect in update::update(state, msg) {
            self.perform(state, effect);
        }
    }

    fn keys(&mut self, state: &mut State, list: Vec<Typed>) {
        self.now(state);
        for typed in list {
            match typed {
                Typed::Key(key) => self.update(state, Msg::Key(key)),
                Typed::Paste { text, cut } => {
                    self.update(state, Msg::Paste(text));
                    if cut {
                        let line = "the paste was too long: its end is left out".into();
                        self.update(state, Msg::Told { ok: false, line });
                    }
                }
            }
            if self.end.is_some() {
                return;
            }
        }
        self.next_frame = self.next_frame.min(self.last_frame + FRAME_KEY);
    }

    fn events(&mut self, state: &mut State, first: Option<Event>) {
        let Some(first) = first else {
            self.source_open = false;
            self.take(state, vec![Msg::SourceEnded]);
            return;
        };
        let begin = Instant::now();
        self.take(state, vec![Msg::Source(first)]);
        for _ in 1..BATCH {
            if begin.elapsed() > BATCH_TIME {
                break;
            }
            match self.link.events.try_recv() {
                Ok(event) => self.update(state, Msg::Source(event)),
                Err(_) => break,
            }
        }
    }

    fn tick(&mut self, state: &mut State) {
        self.take(state, Vec::new());
        if state.metered.is_some() {
            let (bytes, frames, _) = self.meter.totals();
            let last = self.meter.last.load(Ordering::Relaxed);
            self.update(state, Msg::Metered(Metered { bytes, frames, last }));
        }
        let aged = self.last_frame.elapsed() >= AGES || self.aged_at.elapsed() >= AGES;
        if state.rests() && !aged && self.output.has_room() {
            let picture = self.screen.clock(state);
            self.output.frame(&std::mem::take(&mut self.aside), picture);
        } else if aged {
            self.aged_at = Instant::now();
            state.age();
        } else {
            state.dirty = true;
        }
    }

    fn signal(&mut self, state: &mut State, signal: Signal) {
        match signal {
            Signal::HUP => self.end = Some(How::HangUp),
            Signal::TERM | Signal::INT | Signal::QUIT => self.end = Some(How::Signal(signal.as_raw())),
            Signal::TSTP => {
                self.output.drain(DRAIN);
                self.taken.leave();
                // Stops the process right here; the shell has the terminal now.
                // What wakes it is SIGCONT, which comes here next.
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
            }
            Signal::CONT => self.resume(state),
            Signal::WINCH => {
                if let Some((w, h)) = self.tty.size().filter(|s| s.0 > 0 && s.1 > 0)
                    && (w, h) != state.size
                {
                    self.take(state, vec![Msg::Resize(w, h)]);
                }
            }
            _ => {}
        }
    }

    fn resume(&mut self, state: &mut State) {
        if self.taken.again().is_err() {
            self.end = Some(How::HangUp);
            return;
        }
        let mut messages = vec![Msg::Continued];
        if let Some((w, h)) = self.tty.size().filter(|s| s.0 > 0 && s.1 > 0) {
            messages.push(Msg::Resize(w, h));
        }
        self.take(state, messages);
    }

    fn open(&mut self, state: &mut State) {
        state.caught_up = true;
        // Who follows asks the source when they take over.
        if !self.opened && state.role == Role::Live {
            self.opened = true;
            let target = self.config.target.clone();
            self.perform(state, Effect::Send(Command::Open(target)));
        }
    }

    fn journal_ended(&mut self, state: &mut State) {
        // Both of its channels are closed: nothing more will be told.
        if let Some(j) = &mut self.journal {
            j.news.close();
        }
        self.open(state);
    }

    fn perform(&mut self, state: &mut State, effect: Effect) {
        match effect {
            Effect::Send(command) => match self.link.commands.try_send(command) {
                Err(mpsc::error::TrySendError::Full(command)) => self.commands.push_back(command),
                // A source that has ended was told of already.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            },
            Effect::Journal(draft) => {
                if let Some(j) = &mut self.journal {
                    j.recorder.record(draft);
                }
            }
            Effect::Observed(list) => {
                if let Some(j) = &mut self.journal {
                    j.recorder.observed(list);
                }
            }
            Effect::Copy(text) => {
                let told = match clipboard::sequence(&text, self.config.caps.multiplexer) {
                    Some(bytes) => {
                        self.aside.extend_from_slice(&bytes);
                        let line = format!("{} B sent to the terminal's clipboard (OSC 52)", text.len());
                        Msg::Told { ok: true, line: line.into() }
                    }
                    None => {
                        let line =
                            format!("{} B are more than a terminal takes ({} B)", text.len(), clipboard::MAX);
                        Msg::Told { ok: false, line: line.into() }
                    }
                };
                self.update(state, told);
            }
            Effect::Export => self.export(state),
            Effect::Past(ask) => match &mut self.projector {
                Some(p) => p.ask(ask),
                None => {
                    let line = "there is no incident file to look back in".into();
                    self.update(state, Msg::Past(News::Failed(line)));
                }
            },
            Effect::SaveLogs(saved) => self.save_logs(state, saved),
            Effect::Redraw => self.screen.forget(),
            Effect::Meter(_) => {}
            Effect::Quit => self.end = Some(How::Quit),
        }
    }

    fn export(&mut self, state: &mut State) {
        match self.config.exporter.clone() {
            Some(export) => self.apart(move || export()),
            None => {
                let line = "there is no incident file to export".into();
                self.update(state, Msg::Told { ok: false, line });
            }
        }
    }

    fn save_logs(&mut self, state: &mut State, saved: Saved) {
        match self.config.saver.clone() {
            Some(save) => self.apart(move || save(saved)),
            None => {
                let line = "there is no incident file to write log lines beside".into();
                self.update(state, Msg::Told { ok: false, line });
            }
        }
    }

    /// Does slow work on a thread of its own and tells how it ended.
    fn apart(&self, work: impl FnOnce() -> Result<SafeText, SafeText> + Send + 'static) {
        let tell = self.told.0.clone();
        tokio::task::spawn_blocking(move || {
            let msg = match work() {
                Ok(line) => Msg::Told { ok: true, line },
                Err(line) => Msg::Told { ok: false, line },
            };
            let _ = tell.blocking_send(msg);
        });
    }

    fn draw(&mut self, state: &mut State) {
        state.settle();
        let picture = self.screen.frame(state);
        let aside = std::mem::take(&mut self.aside);
        self.output.frame(&aside, picture);
        state.dirty = false;
        self.last_frame = Instant::now();
        self.next_frame = self.last_frame + if self.config.caps.remote { FRAME_FAR } else { FRAME_NEAR };
    }

    /// Writes down what is left and closes the incident file.
    fn close(&mut self, state: &mut State, how: How) -> Option<SafeText> {
        let within = if how == How::Quit { CLOSE } else { CLOSE_GONE };
        let journal = self.journal.as_mut()?;
        for effect in update::parting(state) {
            if let Effect::Journal(draft) = effect {
                journal.recorder.record(draft);
            }
        }
        let why = match how {
            How::Quit => "left".to_owned(),
            How::HangUp => "the terminal is gone".to_owned(),
            How::Signal(n) => format!("signal {n}"),
        };
        journal.recorder.record(Draft {
            id: 0,
            at: self.config.now(),
            by: None,
            kind: "closed",
            data: serde_json::json!({ "reason": why }),
            durability: Durability::Now,
        });
        journal.recorder.close(within).err()
    }
}

/// What is told of the past next; never, when there is none.
async fn past(projector: &mut Option<Projector>) -> Option<News> {
    match projector {
        Some(p) => p.news.recv().await,
        None => std::future::pending().await,
    }
}

/// What the journal tells next; never, when there is none. `None` when it has
/// nothing more to tell.
async fn news(journal: &mut Option<Journal>) -> Option<Msg> {
    let Some(j) = journal else { return std::future::pending().await };
    if j.news.is_closed() && j.recalled.is_closed() {
        return std::future::pending().await;
    }
    tokio::select! {
        biased;
        Some(n) = j.news.recv() => Some(Msg::Journal(n)),
        Some(r) = j.recalled.recv() => Some(Msg::Recalled(r)),
        else => None,
    }
}

/// A moment behind the next whole second of the wall clock.
fn next_second() -> Instant {
    let past = u64::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0);
    Instant::now() + Duration::from_nanos(1_000_000_000 - past.min(999_999_999)) + Duration::from_millis(1)
}

/// `run` for callers that have no runtime: makes one, and does not wait for
/// tasks that are still busy when the console has ended.
pub fn block_on<F: Future>(future: F) -> std::io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let out = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(out)
}
