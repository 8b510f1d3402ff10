//! The handle through which the rest of the program appends, and the states it
//! can be in. The thread behind it is in `worker`.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::disk::{Disk, OsDisk};
use super::lines::MAX_LINE;
use super::read::{fingerprint, show};
use super::record::{Kind, Record};
use super::state::{Durability, Held, Mode, OpenError, Options, Status, Trouble, Unflushed, WriterState};
use super::worker;
use crate::text::SafeText;

pub(super) type Ack = Box<dyn FnOnce(Result<(), Held>) + Send>;

/// A line on its way to the disk. One without bytes is a barrier: its
/// acknowledgement says that everything before it is on disk.
pub(super) struct Line {
    pub bytes: Vec<u8>,
    pub now: bool,
    pub ack: Option<Ack>,
}

impl Line {
    /// Calls the acknowledgement, once. It is other people's code: a panic in
    /// it must not end the writing.
    pub fn settle(&mut self, outcome: &Result<(), Held>) {
        if let Some(ack) = self.ack.take() {
            let _ = catch_unwind(AssertUnwindSafe(|| ack(outcome.clone())));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.settle(&Err(Held::Refused("the incident file was closed".into())));
    }
}

pub(super) enum Msg {
    Line(Line),
    Close { within: Duration, done: Sender<Result<(), Unflushed>> },
}

/// What the handle and the thread share.
pub(super) struct Shared {
    pub status: Mutex<Status>,
    /// When the thread turned to the disk, while it is there.
    pub busy: Mutex<Option<Instant>>,
    /// Bytes of lines not yet on disk.
    pub held_bytes: AtomicUsize,
    /// Lines not yet on disk.
    pub held: AtomicUsize,
    pub overflowed: AtomicU64,
    pub recorded: AtomicU64,
    pub own: Mutex<HashSet<u64>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Inner {
    tx: Sender<Msg>,
    shared: Arc<Shared>,
    options: Options,
    log_bytes: AtomicU64,
    /// A record did not fit: from here on none is made only to be thrown away.
    logs_full: AtomicBool,
    logs_left_out: AtomicU64,
}

/// Appends records to an incident file from any thread. Clones share one file
/// and one thread; no call but those with a time limit ever waits.
#[derive(Clone)]
pub struct Writer(Arc<Inner>);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("status", &self.status()).finish()
    }
}

impl Writer {
    /// Starts writing and returns at once. Where the file cannot be opened the
    /// state says why, and records are kept until it can.
    pub fn start(path: &Path, mode: Mode, options: Options) -> Result<Self, OpenError> {
        Self::start_on(Box::new(OsDisk), path, mode, options).map(|(writer, _)| writer)
    }

    /// Starts writing and waits, at most `within`, until the file is open.
    pub fn open(path: &Path, mode: Mode, options: Options, within: Duration) -> Result<Self, OpenError> {
        Self::open_on(Box::new(OsDisk), path, mode, options, within)
    }

    /// [`Writer::open`] on another file system.
    pub fn open_on(
        disk: Box<dyn Disk>,
        path: &Path,
        mode: Mode,
        options: Options,
        within: Duration,
    ) -> Result<Self, OpenError> {
        let (writer, opened) = Self::start_on(disk, path, mode, options)?;
        match opened.recv_timeout(within) {
            Ok(Ok(())) => Ok(writer),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(OpenError::Trouble { path: show(path), trouble: Trouble::Stalled(within) }),
        }
    }

    /// [`Writer::start`] on another file system. The receiver tells once how
    /// the opening went.
    pub fn start_on(
        disk: Box<dyn Disk>,
        path: &Path,
        mode: Mode,
        options: Options,
    ) -> Result<(Self, Receiver<Result<(), OpenError>>), OpenError> {
        let status = Status {
            state: WriterState::Opening,
            path: path.to_path_buf(),
            moved: Vec::new(),
            unlocked: false,
            restored: 0,
            recorded: 0,
            logs_left_out: 0,
            overflowed: 0,
        };
        let shared = Arc::new(Shared {
            status: Mutex::new(status),
            busy: Mutex::new(None),
            held_bytes: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            overflowed: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            own: Mutex::new(HashSet::new()),
        });
        let (tx, rx) = mpsc::channel();
        let (opened_tx, opened_rx) = mpsc::channel();
        let thread =
            worker::Worker::new(disk, path.to_path_buf(), mode, options.clone(), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || thread.run(rx, &opened_tx))
            .map_err(OpenError::Thread)?;
        let log_bytes = AtomicU64::new(options.log_bytes);
        let inner = Inner {
            tx,
            shared,
            options,
            log_bytes,
            logs_full: AtomicBool::new(false),
            logs_left_out: AtomicU64::new(0),
        };
        Ok((Self(Arc::new(inner)), opened_rx))
    }

    /// Appends a record. `ack` is called once, from the writer's thread: with
    /// `Ok` when the record is on disk, or with what holds it up. A record held
    /// by [`Held::Trouble`] is not lost: see [`Status::state`].
    pub fn append(
        &self,
        record: Record,
        durability: Durability,
        ack: impl FnOnce(Result<(), Held>) + Send + 'static,
    ) {
        self.send(self.line(record), durability, Box::new(ack));
    }

    /// Appends a record of `lines` observed log lines, unless the incident holds
    /// its fill of them; `always` is for what is marked or used as evidence. The
    /// record is not even made when there is no room. Says whether it is recorded.
    pub fn append_log(&self, lines: u64, always: bool, record: impl FnOnce() -> Record) -> bool {
        let inner = &*self.0;
        let cap = inner.options.log_cap;
        if always || !inner.logs_full.load(Ordering::Relaxed) {
            let line = self.line(record());
            let size = line.len() as u64;
            let before = inner.log_bytes.fetch_add(size, Ordering::Relaxed);
            if always || before.saturating_add(size) <= cap {
                self.send(line, Durability::Grouped, Box::new(|_| {}));
                return true;
            }
            inner.log_bytes.fetch_sub(size, Ordering::Relaxed);
            inner.logs_full.store(true, Ordering::Relaxed);
        }
        if inner.logs_left_out.fetch_add(lines, Ordering::Relaxed) == 0 {
            self.gap(json!({
                "what": "log lines",
                "reason": "the incident holds as many log lines as allowed; marked ones and evidence are still recorded",
                "limit_bytes": cap,
            }));
        }
        false
    }

    /// Appends what people rely on and waits for the disk. Where the disk is in
    /// trouble it is tried again until the time is over; the record stays in
    /// memory even then, as long as the writer lives.
    pub fn append_wait(&self, record: Record, within: Duration) -> Result<(), Held> {
        let until = Instant::now() + within;
        let (tx, rx) = mpsc::channel();
        self.append(record, Durability::Now, move |result| _ = tx.send(result));
        let mut outcome = rx.recv_timeout(within).unwrap_or(Err(Held::NoAnswer(within)));
        while let Err(Held::Trouble(_)) = outcome {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            std::thread::sleep(left.min(self.0.options.retry_first));
            match self.flush(until.saturating_duration_since(Instant::now())) {
                Err(Held::NoAnswer(_)) => break,
                other => outcome = other,
            }
        }
        outcome
    }

    /// Waits until everything appended so far is on disk, at most `within`.
    pub fn flush(&self, within: Duration) -> Result<(), Held> {
        let (tx, rx) = mpsc::channel();
        self.send(Vec::new(), Durability::Now, Box::new(move |result| _ = tx.send(result)));
        rx.recv_timeout(within).unwrap_or(Err(Held::NoAnswer(within)))
    }

    /// The state, the file and the counters now.
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let busy = *lock(&shared.busy);
        let mut status = lock(&shared.status).clone();
        let held = shared.held.load(Ordering::Relaxed);
        status.logs_left_out = self.0.logs_left_out.load(Ordering::Relaxed);
        status.recorded = shared.recorded.load(Ordering::Relaxed);
        status.overflowed = shared.overflowed.load(Ordering::Relaxed);
        if let WriterState::Trouble { held: count, .. } = &mut status.state {
            *count = held;
        }
        // The thread cannot tell of a call that never returns.
        if let Some(stalled) = busy.map(|b| b.elapsed()).filter(|d| *d > self.0.options.stall) {
            let now = (self.0.options.clock)();
            let since = jiff::SignedDuration::try_from(stalled).ok().and_then(|d| now.checked_sub(d).ok());
            let reason = Trouble::Stalled(stalled);
            status.state = WriterState::Trouble { reason, since: since.unwrap_or(now), held };
        }
        status
    }

    /// Bytes of log lines recorded, for the next [`Options::log_bytes`].
    pub fn log_bytes(&self) -> u64 {
        self.0.log_bytes.load(Ordering::Relaxed)
    }

    /// Counts log lines that the incident holds already, for a resumed file that
    /// is still being read when the writer starts.
    pub fn count_log_bytes(&self, bytes: u64) {
        self.0.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Writes everything out and ends the thread, at most `within`. Other
    /// clones can append no more.
    pub fn close(&self, within: Duration) -> Result<(), Unflushed> {
        let left_out = self.0.logs_left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            self.gap(json!({"what": "log lines", "reason": "the cap was reached", "count": left_out}));
        }
        let (done, rx) = mpsc::channel();
        if self.0.tx.send(Msg::Close { within, done }).is_err() {
            return match self.status().state {
                WriterState::Closed => Ok(()),
                _ => Err(Unflushed { reason: "the writer's thread is gone".into(), lines: Vec::new() }),
            };
        }
        // The thread keeps to the time by itself unless the system holds it.
        rx.recv_timeout(within + Duration::from_millis(200)).unwrap_or_else(|_| {
            let reason = SafeText::new(Trouble::Stalled(within).to_string());
            Err(Unflushed { reason, lines: Vec::new() })
        })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    fn gap(&self, data: serde_json::Value) {
        let record = Record::new((self.0.options.clock)(), self.0.options.by.clone(), Kind::Gap, data);
        self.append(record, Durability::Now, |_| {});
    }

    fn line(&self, mut record: Record) -> Vec<u8> {
        record.logged = (self.0.options.clock)();
        record.to_line()
    }

    fn send(&self, bytes: Vec<u8>, durability: Durability, ack: Ack) {
        let Inner { shared, options, tx, .. } = &*self.0;
        if bytes.len() > MAX_LINE {
            return ack(Err(Held::TooLong(bytes.len())));
        }
        let now = durability == Durability::Now;
        let waiting = shared.held_bytes.load(Ordering::Relaxed);
        if !now && waiting + bytes.len() > options.held_cap {
            shared.overflowed.fetch_add(1, Ordering::Relaxed);
            return ack(Err(Held::Overflow));
        }
        if options.track_own
            && let Some(text) = bytes.strip_suffix(b"\n")
        {
            lock(&shared.own).insert(fingerprint(text));
        }
        shared.held_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        let counted = usize::from(!bytes.is_empty());
        shared.held.fetch_add(counted, Ordering::Relaxed);
        // A line that cannot be sent is dropped, which tells who waits for it.
        if tx.send(Msg::Line(Line { bytes, now, ack: Some(ack) })).is_err() {
            shared.held.fetch_sub(counted, Ordering::Relaxed);
        }
    }
}

impl Drop for Inner {
    /// The last handle going away closes the file, but never hangs for it.
    fn drop(&mut self) {
        let within = Duration::from_secs(2);
        let (done, rx) = mpsc::channel();
        if self.tx.send(Msg::Close { within, done }).is_ok() {
            let _ = rx.recv_timeout(within);
        }
    }
}
