//! The thread that owns the incident file.
//!
//! Lines wait in `queue`; once handed to the system they wait in `written`;
//! after a sync they are on disk and forgotten. Whatever fails, a line is in
//! one of the two until it is on disk.

mod file;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::disk::{Disk, DiskFile};
use super::record::{Kind, Record};
use super::state::{Held, Mode, OpenError, Options, Trouble, Unflushed, WriterState};
use super::writer::{Line, Msg, Shared, lock};
use crate::text::SafeText;

/// Messages taken before the disk gets its turn.
const BURST: usize = 8192;
/// Waiting bytes that do not wait for company any longer.
const FULL_GROUP: usize = 512 << 10;
struct Open {
    file: Box<dyn DiskFile>,
    /// Size after our last write, which ended a line: when the file has that
    /// size still, nobody left a torn line behind it.
    clean_end: Option<u64>,
}

pub(super) struct Worker {
    disk: Box<dyn Disk>,
    path: PathBuf,
    mode: Mode,
    options: Options,
    shared: Arc<Shared>,
    open: Option<Open>,
    /// The file was open once, so its folder is not ours to create again.
    was_open: bool,
    /// A sync failed and a successor must be begun: why.
    given_up: Option<SafeText>,
    /// The handle of a file that was deleted under us, until what it holds is
    /// copied.
    ghost: Option<Box<dyn DiskFile>>,
    /// A name was created in the folder and the folder not synced yet.
    folder_unsynced: bool,
    queue: VecDeque<Line>,
    written: Vec<Line>,
    queued_bytes: usize,
    /// Somebody waits for a line in the queue.
    urgent: bool,
    /// When the oldest waiting observation came.
    oldest: Option<Instant>,
    trouble: Option<(Trouble, Timestamp)>,
    pause: Duration,
    retry_at: Instant,
    refused: Option<SafeText>,
    overflow_told: u64,
}

impl Worker {
    pub fn new(
        disk: Box<dyn Disk>,
        path: PathBuf,
        mode: Mode,
        options: Options,
        shared: Arc<Shared>,
    ) -> Self {
        let pause = options.retry_first;
        Self {
            disk,
            path,
            mode,
            options,
            shared,
            open: None,
            was_open: false,
            given_up: None,
            ghost: None,
            folder_unsynced: false,
            queue: VecDeque::new(),
            written: Vec::new(),
            queued_bytes: 0,
            urgent: false,
            oldest: None,
            trouble: None,
            pause,
            retry_at: Instant::now(),
            refused: None,
            overflow_told: 0,
        }
    }

    pub fn run(mut self, rx: Receiver<Msg>, opened: &Sender<Result<(), OpenError>>) {
        self.first_open(opened);
        loop {
            let closing = match self.next_message(&rx) {
                Some(Msg::Line(line)) => {
                    self.take(line);
                    self.drain(&rx)
                }
                Some(Msg::Close { within, done }) => Some((within, done)),
                None => None,
            };
            if let Some((within, done)) = closing {
                return self.close(within, rx, &done);
            }
            let now = Instant::now();
            if self.due(now).is_some_and(|at| at <= now) {
                self.commit();
            }
        }
    }

    /// Waits for a message, or until something is due. `None` when it is.
    fn next_message(&self, rx: &Receiver<Msg>) -> Option<Msg> {
        let gone = || {
            // The last handle is gone without a close.
            let (done, _) = std::sync::mpsc::channel();
            Msg::Close { within: Duration::from_secs(2), done }
        };
        let now = Instant::now();
        match self.due(now) {
            // Nothing waits, so nothing wakes this thread but a message.
            None => Some(rx.recv().unwrap_or_else(|_| gone())),
            Some(at) => match rx.recv_timeout(at.saturating_duration_since(now)) {
                Ok(msg) => Some(msg),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(gone()),
            },
        }
    }

    /// Takes what else has come, so that one sync serves all of it.
    fn drain(&mut self, rx: &Receiver<Msg>) -> Option<(Duration, Sender<Result<(), Unflushed>>)> {
        for _ in 0..BURST {
            match rx.try_recv() {
                Ok(Msg::Line(line)) => self.take(line),
                Ok(Msg::Close { within, done }) => return Some((within, done)),
                Err(_) => break,
            }
        }
        None
    }

    fn take(&mut self, mut line: Line) {
        if let Some(why) = &self.refused {
            line.settle(&Err(Held::Refused(why.clone())));
        }
        if self.trouble.is_some() && line.now {
            // A person waits: try soon, however long the pause has become.
            self.retry_at = self.retry_at.min(Instant::now() + self.options.retry_first);
        }
        self.queued_bytes += line.bytes.len();
        self.urgent |= line.now;
        self.oldest.get_or_insert_with(Instant::now);
        self.queue.push_back(line);
    }

    /// When the disk must next be turned to.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.refused.is_some() {
            return None;
        }
        if self.trouble.is_some() {
            return Some(self.retry_at);
        }
        if self.urgent || self.queued_bytes >= FULL_GROUP {
            return Some(now);
        }
        self.oldest.map(|at| at + self.options.group)
    }

    fn close(mut self, within: Duration, rx: Receiver<Msg>, done: &Sender<Result<(), Unflushed>>) {
        let until = Instant::now() + within;
        loop {
            if self.refused.is_none() {
                self.commit();
            }
            let now = Instant::now();
            let wait = match (&self.trouble, &self.refused) {
                (Some(_), None) => self.retry_at.saturating_duration_since(now),
                // A last gap record may have come with the healing.
                (None, None) if !self.queue.is_empty() => Duration::ZERO,
                _ => break,
            };
            if now + wait >= until {
                break;
            }
            std::thread::sleep(wait);
        }
        let lines: Vec<Vec<u8>> = std::mem::take(&mut self.written)
            .into_iter()
            .chain(std::mem::take(&mut self.queue))
            .map(|mut line| std::mem::take(&mut line.bytes))
            .filter(|bytes| !bytes.is_empty())
            .collect();
        let reason = match (&self.trouble, &self.refused) {
            (Some((trouble, _)), _) => SafeText::new(trouble.to_string()),
            (None, Some(why)) => why.clone(),
            (None, None) => "there was no time left for them".into(),
        };
        self.open = None;
        // Nobody can hand over a line any more that nobody would take.
        drop(rx);
        self.publish(|status| status.state = WriterState::Closed);
        let _ = done.send(if lines.is_empty() { Ok(()) } else { Err(Unflushed { reason, lines }) });
    }

    // States.

    fn publish(&self, change: impl FnOnce(&mut super::Status)) {
        let changed = {
            let mut status = lock(&self.shared.status);
            let before = status.clone();
            change(&mut status);
            (*status != before).then(|| status.clone())
        };
        if let (Some(status), Some(notify)) = (changed, &self.options.notify) {
            let _ = catch_unwind(AssertUnwindSafe(|| notify(&status)));
        }
    }

    fn enter_trouble(&mut self, trouble: Trouble) {
        let since = self.trouble.take().map_or_else(self.options.clock, |(_, since)| since);
        self.retry_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(self.options.retry_max);
        let outcome = Err(Held::Trouble(trouble.clone()));
        self.queue.iter_mut().filter(|l| l.now).for_each(|l| l.settle(&outcome));
        // A barrier has said all it can.
        self.queue.retain(|l| !l.bytes.is_empty());
        let held = self.shared.held.load(Ordering::Relaxed);
        self.trouble = Some((trouble.clone(), since));
        self.publish(|s| s.state = WriterState::Trouble { reason: trouble, since, held });
    }

    fn leave_trouble(&mut self) {
        self.pause = self.options.retry_first;
        let healed = self.trouble.take().is_some();
        self.publish(|s| s.state = WriterState::Recording);
        let lost = self.shared.overflowed.load(Ordering::Relaxed);
        if healed && lost > self.overflow_told {
            let data = json!({
                "what": "observations",
                "reason": "too many waited for the disk",
                "count": lost - self.overflow_told,
            });
            self.overflow_told = lost;
            self.own_record(Kind::Gap, data, false);
        }
    }

    /// Queues a record of the writer's own.
    fn own_record(&mut self, kind: Kind, data: serde_json::Value, first: bool) {
        let now = (self.options.clock)();
        let bytes = Record { logged: now, ..Record::new(now, self.options.by.clone(), kind, data) }.to_line();
        self.shared.held_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.shared.held.fetch_add(1, Ordering::Relaxed);
        self.queued_bytes += bytes.len();
        self.urgent = true;
        let line = Line { bytes, now: true, ack: None };
        if first { self.queue.push_front(line) } else { self.queue.push_back(line) }
    }
}
