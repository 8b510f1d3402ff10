//! Frames on their way to the terminal. A thread of its own writes them, so
//! that a terminal that does not take its bytes (a stalled link, ctrl-s) stops
//! the picture and nothing else: while a frame is under way no other is begun,
//! and the next one is drawn from what is true then.

use super::tty::Tty;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const SYNC_BEGIN: &[u8] = b"\x1b[?2026h";
const SYNC_END: &[u8] = b"\x1b[?2026l";
/// A change this small is one packet and is taken in at once anyway.
const SYNC_FROM: usize = 48;

/// What was written so far. Counters only grow.
#[derive(Debug, Default)]
pub struct Meter {
    pub bytes: AtomicU64,
    pub frames: AtomicU64,
    pub writes: AtomicU64,
    /// Bytes of the newest frame.
    pub last: AtomicU64,
}

impl Meter {
    /// Bytes, frames and system calls so far.
    pub fn totals(&self) -> (u64, u64, u64) {
        let get = |a: &AtomicU64| a.load(Ordering::Relaxed);
        (get(&self.bytes), get(&self.frames), get(&self.writes))
    }
}

#[derive(Default)]
struct Slot {
    frame: Option<Vec<u8>>,
    /// The thread is in the middle of a write.
    writing: bool,
    closed: bool,
}

struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
    /// Somebody waits for room.
    wanted: AtomicBool,
    room: Notify,
    /// The terminal refused bytes for good.
    gone: AtomicBool,
    gone_now: Notify,
    meter: Arc<Meter>,
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end.
pub struct Output {
    shared: Arc<Shared>,
    sync: bool,
}

impl Output {
    /// Starts the thread that writes.
    pub fn start(tty: Tty, sync: bool) -> std::io::Result<Output> {
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot::default()),
            changed: Condvar::new(),
            wanted: AtomicBool::new(false),
            room: Notify::new(),
            gone: AtomicBool::new(false),
            gone_now: Notify::new(),
            meter: Arc::new(Meter::default()),
        });
        let mine = Arc::clone(&shared);
        std::thread::Builder::new().name("terminal-out".into()).spawn(move || write_frames(&tty, &mine))?;
        Ok(Output { shared, sync })
    }

    /// What was written.
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.shared.meter)
    }

    /// True when a frame would be written at once.
    pub fn has_room(&self) -> bool {
        let slot = self.shared.slot();
        slot.frame.is_none() && !slot.writing
    }

    /// Waits until the frame under way is written.
    pub async fn room(&self) {
        self.shared.wanted.store(true, Ordering::SeqCst);
        while !self.has_room() {
            self.shared.room.notified().await;
            self.shared.wanted.store(true, Ordering::SeqCst);
        }
        self.shared.wanted.store(false, Ordering::SeqCst);
    }

    /// Waits until the terminal has refused bytes for good.
    pub async fn gone(&self) {
        while !self.shared.gone.load(Ordering::SeqCst) {
            self.shared.gone_now.notified().await;
        }
    }

    /// Hands a frame over. Call only when there is room. `aside` are bytes that
    /// are no part of the picture (OSC 52); they go in front.
    pub fn frame(&self, aside: &[u8], picture: Vec<u8>) {
        if picture.is_empty() && aside.is_empty() {
            return;
        }
        let bytes = if self.sync && picture.len() >= SYNC_FROM {
            [aside, SYNC_BEGIN, &picture, SYNC_END].concat()
        } else if aside.is_empty() {
            picture
        } else {
            [aside, &picture].concat()
        };
        let mut slot = self.shared.slot();
        if let Some(waiting) = &mut slot.frame {
            // Never lost, since the next frame is told as a difference to this one.
            waiting.extend_from_slice(&bytes);
        } else {
            slot.frame = Some(bytes);
        }
        drop(slot);
        self.shared.changed.notify_all();
    }

    /// Waits (without a runtime) until everything is written, at most that long.
    pub fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut slot = self.shared.slot();
        while slot.frame.is_some() || slot.writing {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return };
            slot = self.shared.changed.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.shared.slot().closed = true;
        self.shared.changed.notify_all();
    }
}

fn write_frames(tty: &Tty, shared: &Shared) {
    loop {
        let mut slot = shared.slot();
        let bytes = loop {
            if let Some(bytes) = slot.frame.take() {
                break bytes;
            }
            if slot.closed {
                return;
            }
            slot = shared.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        };
        slot.writing = true;
        drop(slot);
        let result = if shared.gone.load(Ordering::SeqCst) { Ok(0) } else { tty.write_all(&bytes) };
        let m = &shared.meter;
        match result {
            Ok(writes) => {
                m.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                m.frames.fetch_add(1, Ordering::Relaxed);
                m.writes.fetch_add(writes, Ordering::Relaxed);
                m.last.store(bytes.len() as u64, Ordering::Relaxed);
            }
            Err(_) => {
                shared.gone.store(true, Ordering::SeqCst);
                shared.gone_now.notify_one();
            }
        }
        shared.slot().writing = false;
        shared.changed.notify_all();
        if shared.wanted.load(Ordering::SeqCst) {
            shared.room.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::OwnedFd;
    use std::io::Read;

    /// A terminal that takes nothing: a pipe whose other end is not read.
    fn stalled() -> (Tty, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let nothing = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        (Tty::from_files(nothing, OwnedFd::from(writer)), reader)
    }

    fn until(what: &str, ready: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !ready() {
            assert!(Instant::now() < end, "{what} never came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_terminal_that_takes_nothing_stops_the_picture_and_nothing_else() {
        let (tty, mut reader) = stalled();
        let out = Output::start(tty, true).unwrap();
        let frame = vec![b'x'; 1 << 20];
        assert!(out.has_room());
        out.frame(b"", frame.clone());
        // More than a pipe holds: the thread hangs in the write, and we do not.
        out.drain(Duration::from_millis(20));
        assert!(!out.has_room());
        let taking = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        until("room", || out.has_room());
        out.frame(b"aside", b"small".to_vec());
        drop(out);
        let all = taking.join().unwrap().unwrap();
        assert_eq!(all, [SYNC_BEGIN, &frame, SYNC_END, b"aside", b"small"].concat());
    }

    #[test]
    fn a_terminal_that_is_gone_is_told() {
        let (tty, reader) = stalled();
        drop(reader);
        let out = Output::start(tty, false).unwrap();
        out.frame(b"", b"hello".to_vec());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(out.gone());
        until("room", || out.has_room());
        assert_eq!(out.meter().totals().0, 0);
    }
}
