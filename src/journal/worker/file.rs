//! What the thread does at the disk: open, lock, write, sync, and what follows
//! when one of them fails.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Open, Worker};
use crate::journal::disk::{DiskFile, How};
use crate::journal::paths::successor;
use crate::journal::read::{ReadError, fingerprint, show};
use crate::journal::record::Kind;
use crate::journal::state::{Held, Mode, Moved, OpenError, Trouble, WriterState};
use crate::journal::writer::{Line, lock};
use crate::text::SafeText;

/// Bytes handed to the system in one write, unless one line is longer.
const BATCH: usize = 1 << 20;
/// Bytes of one turn at the disk, unless one line is longer.
const PART: usize = 4 << 20;
/// The first pause between looks at a lock that somebody holds, and the last.
const LOCK_POLL: (Duration, Duration) = (Duration::from_micros(125), Duration::from_millis(8));
/// Files a chain may have: a disk that fails every sync gets no more of them.
const MAX_CHAIN: usize = 99;

/// Why an attempt ended.
enum Failure {
    /// It is worth another.
    Trouble(Trouble),
    /// No other will end differently.
    Refused(OpenError),
}

impl From<Trouble> for Failure {
    fn from(t: Trouble) -> Self {
        Failure::Trouble(t)
    }
}

impl Worker {
    /// Opens the file for the first time and tells how it went.
    pub(super) fn first_open(&mut self, opened: &Sender<Result<(), OpenError>>) {
        *lock(&self.shared.busy) = Some(Instant::now());
        let outcome = self.ensure_open();
        *lock(&self.shared.busy) = None;
        let told = match outcome {
            Ok(()) => {
                self.leave_trouble();
                Ok(())
            }
            Err(Failure::Trouble(trouble)) => {
                self.enter_trouble(trouble.clone());
                Err(OpenError::Trouble { path: show(&self.path), trouble })
            }
            Err(Failure::Refused(e)) => {
                self.refuse(&e);
                Err(e)
            }
        };
        let _ = opened.send(told);
    }

    fn refuse(&mut self, e: &OpenError) {
        let why = SafeText::new(e.to_string());
        let outcome = Err(Held::Refused(why.clone()));
        self.queue.iter_mut().for_each(|l| l.settle(&outcome));
        self.refused = Some(why.clone());
        self.publish(|s| s.state = WriterState::Refused(why));
    }

    /// One turn at the disk: everything that waits, then one sync.
    pub(super) fn commit(&mut self) {
        *lock(&self.shared.busy) = Some(Instant::now());
        let outcome = self.attempt();
        *lock(&self.shared.busy) = None;
        self.queued_bytes = self.queue.iter().map(|l| l.bytes.len()).sum();
        if self.queue.is_empty() {
            self.oldest = None;
            self.urgent = false;
        }
        match outcome {
            Ok(()) => self.leave_trouble(),
            Err(Failure::Trouble(trouble)) => self.enter_trouble(trouble),
            Err(Failure::Refused(e)) => self.refuse(&e),
        }
    }

    /// Writes what waits, what people wrote first, and syncs. Of a long queue it
    /// takes only a part: what comes meanwhile may be more urgent than the rest.
    fn attempt(&mut self) -> Result<(), Failure> {
        if self.trouble.is_some() || self.queued_bytes > BATCH {
            // A barrier stays behind everything it waits for.
            self.queue.make_contiguous().sort_by_key(|line| !line.now || line.bytes.is_empty());
        }
        let mut bytes = 0;
        let part = self.queue.iter().position(|line| {
            bytes += line.bytes.len();
            bytes > PART && bytes > line.bytes.len()
        });
        let rest = part.map(|n| self.queue.split_off(n));
        let outcome = self.attempt_part();
        self.queue.extend(rest.into_iter().flatten());
        outcome
    }

    fn attempt_part(&mut self) -> Result<(), Failure> {
        // The second round is for the successor of a file whose sync failed.
        for _ in 0..2 {
            self.ensure_open()?;
            let wrote = self.write_queue();
            if let Err(e) = self.sync_written() {
                self.give_up(&e);
                continue;
            }
            if let Err(Trouble::Io(_) | Trouble::Gone) = wrote {
                // The handle may be what is broken; what it took is synced.
                self.open = None;
            }
            return wrote.map_err(Failure::from);
        }
        Err(Trouble::SyncFailed(self.given_up.clone().unwrap_or_default()).into())
    }

    fn sync_written(&mut self) -> io::Result<()> {
        if self.written.iter().any(|l| !l.bytes.is_empty()) {
            match &mut self.open {
                Some(open) => open.file.sync()?,
                None => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
        for mut line in self.written.drain(..) {
            if !line.bytes.is_empty() {
                self.shared.held.fetch_sub(1, Ordering::Relaxed);
                self.shared.held_bytes.fetch_sub(line.bytes.len(), Ordering::Relaxed);
                self.shared.recorded.fetch_add(1, Ordering::Relaxed);
            }
            line.settle(&Ok(()));
        }
        Ok(())
    }

    /// After a failed sync the system may have dropped the data and forgotten
    /// that it did: asking again would be answered with a lie. So the file gets
    /// no more of ours, and what was not known to be on disk goes to another.
    fn give_up(&mut self, e: &io::Error) {
        for line in std::mem::take(&mut self.written).into_iter().rev() {
            self.queue.push_front(line);
        }
        self.open = None;
        self.given_up = Some(SafeText::new(e.to_string()));
    }

    fn ensure_open(&mut self) -> Result<(), Failure> {
        if self.open.is_none() {
            if let Some(why) = self.given_up.clone() {
                self.begin_successor(&why)?;
            } else if self.ghost.is_some() {
                self.restore()?;
            } else {
                self.open_named()?;
            }
            self.was_open = true;
        }
        if self.folder_unsynced {
            let parent = self.path.parent().unwrap_or(Path::new(""));
            self.disk.sync_dir(parent).map_err(|e| Trouble::from_io(&e))?;
            self.folder_unsynced = false;
        }
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<()> {
        let file = self.disk.open(path, How::Create)?;
        self.open = Some(Open { file, clean_end: Some(0) });
        self.folder_unsynced = true;
        Ok(())
    }

    /// Opens a file that exists, once it is known to be one of ours.
    fn existing(&mut self, path: &Path) -> Result<(), Failure> {
        match self.disk.check(path) {
            Ok(()) => {}
            Err(ReadError::Denied(_)) => return Err(Trouble::Denied.into()),
            Err(ReadError::Io { why, .. }) => return Err(Trouble::Io(why).into()),
            Err(e) => return Err(Failure::Refused(e.into())),
        }
        let file = self.disk.open(path, How::Existing).map_err(|e| Trouble::from_io(&e))?;
        self.open = Some(Open { file, clean_end: None });
        Ok(())
    }

    fn open_named(&mut self) -> Result<(), Failure> {
        let mut path = self.path.clone();
        let create = if self.was_open {
            !self.disk.exists(&path)
        } else {
            let exists = self.disk.exists(&path);
            if !exists
                && self.mode != Mode::Resume
                && let Some(parent) = path.parent()
            {
                self.disk.create_dir(parent).map_err(|e| Trouble::from_io(&e))?;
            }
            self.mode == Mode::New || (self.mode == Mode::Either && !exists)
        };
        if create {
            return match self.create(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match self.mode {
                    Mode::New if !self.was_open => Err(Failure::Refused(OpenError::Exists(show(&path)))),
                    _ => self.existing(&path),
                },
                other => other.map_err(|e| Trouble::from_io(&e).into()),
            };
        }
        // A chain is continued at its end.
        let mut next = successor(&path);
        while self.disk.exists(&next) {
            path = next;
            next = successor(&path);
        }
        self.existing(&path)?;
        self.path = path.clone();
        self.publish(|s| s.path = path);
        Ok(())
    }

    /// Begins (or joins, if another process was first) the file that continues
    /// the one whose sync failed.
    fn begin_successor(&mut self, why: &SafeText) -> Result<(), Failure> {
        if lock(&self.shared.status).moved.len() >= MAX_CHAIN {
            return Err(Trouble::SyncFailed(why.clone()).into());
        }
        let from = self.path.clone();
        let to = successor(&from);
        match self.create(&to) {
            Ok(()) => {
                let name = from.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                let data = json!({
                    "continues": name,
                    "reason": format!("a sync of that file failed ({why}); what was not known to be on disk follows again"),
                });
                self.own_record(Kind::Opened, data, true);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.existing(&to).map_err(|_| Trouble::SyncFailed(why.clone()))?;
            }
            Err(e) => return Err(Trouble::SyncFailed(SafeText::new(format!("{why}; then: {e}"))).into()),
        }
        self.path = to.clone();
        self.given_up = None;
        let at = (self.options.clock)();
        let why = why.clone();
        self.publish(|s| {
            s.path = to.clone();
            s.moved.push(Moved { from, to, why, at });
        });
        Ok(())
    }

    // Writing.

    fn write_queue(&mut self) -> Result<(), Trouble> {
        if self.queue.iter().all(|l| l.bytes.is_empty()) {
            self.written.extend(self.queue.drain(..));
            return Ok(());
        }
        // Deleted and restored, then deleted again: not for ever.
        for _ in 0..3 {
            self.lock_file()?;
            let outcome = self.write_locked();
            if let Some(open) = &mut self.open {
                open.file.unlock();
            }
            match outcome {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    self.ghost = self.open.take().map(|open| open.file);
                    match self.ensure_open() {
                        Ok(()) => {}
                        Err(Failure::Trouble(t)) => return Err(t),
                        Err(Failure::Refused(e)) => return Err(Trouble::Io(SafeText::new(e.to_string()))),
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Io("the file is deleted again and again".into()))
    }

    fn lock_file(&mut self) -> Result<(), Trouble> {
        let Some(open) = &mut self.open else { return Err(Trouble::Gone) };
        let began = Instant::now();
        let mut nap = LOCK_POLL.0;
        loop {
            match open.file.try_lock() {
                Ok(true) => return Ok(()),
                Ok(false) if began.elapsed() >= self.options.lock_timeout => break,
                Ok(false) => std::thread::sleep(nap),
                // A file system without locks: a single write at the end of
                // the file is all there is, and the state says so.
                Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                    self.publish(|s| s.unlocked = true);
                    return Ok(());
                }
                Err(e) => return Err(Trouble::from_io(&e)),
            }
            nap = (nap * 2).min(LOCK_POLL.1);
        }
        let since = match &self.trouble {
            Some((Trouble::Locked(_), since)) => (self.options.clock)().duration_since(*since).unsigned_abs(),
            _ => Duration::ZERO,
        };
        Err(Trouble::Locked(since.max(began.elapsed())))
    }

    /// Writes the queue under the lock. False: the file has been deleted.
    fn write_locked(&mut self) -> Result<bool, Trouble> {
        let mut cut_short = false;
        while !self.queue.is_empty() {
            let Some(open) = &mut self.open else { return Err(Trouble::Gone) };
            let status = open.file.status().map_err(|e| Trouble::from_io(&e))?;
            if status.links == 0 {
                return Ok(false);
            }
            let end = status.len;
            // Somebody's torn line is left as it is: an LF before ours makes
            // ours whole.
            let torn = open.clean_end != Some(end) && !ends_clean(&mut *open.file, end)?;
            let (batch, count) = gather(&self.queue, torn, self.trouble.is_some());
            let taken = if batch.is_empty() { Ok(0) } else { open.file.append(&batch) };
            if matches!(taken, Ok(n) if n == batch.len()) {
                open.clean_end = Some(end + batch.len() as u64);
                self.written.extend(self.queue.drain(..count));
                cut_short = false;
                continue;
            }
            let n = *taken.as_ref().unwrap_or(&0);
            let (whole, keep) = whole_lines(&self.queue, count, torn, n);
            open.clean_end = None;
            // Cut our own half line off, unless somebody without the lock has
            // written behind it: then it stays, torn.
            let ours = end + n as u64;
            if n > keep && open.file.status().is_ok_and(|s| s.len == ours) {
                // If it cannot be cut it is seen as torn next time.
                let _ = open.file.truncate(end + keep as u64);
            }
            self.written.extend(self.queue.drain(..whole));
            match taken {
                Err(e) => return Err(Trouble::from_io(&e)),
                // Once may be chance; asking again brings the system's reason.
                Ok(_) if cut_short && whole == 0 => return Err(Trouble::DiskFull),
                Ok(_) => cut_short = true,
            }
        }
        Ok(true)
    }

    /// The file was deleted or replaced while open. Its content is still there
    /// behind the handle: write what is missing to the name it had.
    fn restore(&mut self) -> Result<(), Failure> {
        let path = self.path.clone();
        if self.disk.exists(&path) {
            self.existing(&path)?;
        } else {
            self.create(&path).map_err(|e| Trouble::from_io(&e))?;
        }
        if let Err(trouble) = self.lock_file() {
            self.open = None;
            return Err(trouble.into());
        }
        let copied = match (&mut self.open, &mut self.ghost) {
            (Some(open), Some(ghost)) => copy_missing(&mut **ghost, &mut *open.file),
            _ => Ok(()),
        };
        match copied {
            Ok(()) => {
                if let Some(open) = &mut self.open {
                    open.file.unlock();
                }
                self.ghost = None;
                self.publish(|s| s.restored += 1);
                Ok(())
            }
            Err(e) => {
                self.open = None;
                Err(Trouble::from_io(&e).into())
            }
        }
    }
}

fn ends_clean(file: &mut dyn DiskFile, end: u64) -> Result<bool, Trouble> {
    if end == 0 {
        return Ok(true);
    }
    let mut last = [0];
    match file.read_at(&mut last, end - 1) {
        Ok(1) => Ok(last == [b'\n']),
        Ok(_) => Ok(false),
        Err(e) => Err(Trouble::from_io(&e)),
    }
}

/// The bytes of one write and how many lines they are. While in trouble lines
/// go one by one, so that what fits gets in.
fn gather(queue: &VecDeque<Line>, torn: bool, one_by_one: bool) -> (Vec<u8>, usize) {
    let mut batch = Vec::new();
    let mut count = 0;
    for line in queue {
        let size = line.bytes.len();
        if size > 0 && batch.len() > usize::from(torn) && (one_by_one || batch.len() + size > BATCH) {
            break;
        }
        if torn && size > 0 && batch.is_empty() {
            batch.push(b'\n');
        }
        batch.extend_from_slice(&line.bytes);
        count += 1;
    }
    (batch, count)
}

/// How many lines lie wholly in the first `n` bytes of a batch, and where the
/// last of them ends.
fn whole_lines(queue: &VecDeque<Line>, count: usize, torn: bool, n: usize) -> (usize, usize) {
    let mut keep = usize::from(torn);
    if n < keep {
        return (0, 0);
    }
    let mut whole = 0;
    for line in queue.iter().take(count) {
        if keep + line.bytes.len() > n {
            break;
        }
        keep += line.bytes.len();
        whole += 1;
    }
    (whole, keep)
}

fn read_all(file: &mut dyn DiskFile) -> io::Result<Vec<u8>> {
    let len = file.status()?.len;
    let mut all = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let mut have = 0;
    while have < all.len() {
        match file.read_at(&mut all[have..], have as u64)? {
            0 => break,
            n => have += n,
        }
    }
    all.truncate(have);
    Ok(all)
}

fn copy_missing(from: &mut dyn DiskFile, to: &mut dyn DiskFile) -> io::Result<()> {
    let there = read_all(to)?;
    let have: HashSet<u64> = there.split(|b| *b == b'\n').map(fingerprint).collect();
    let mut missing = Vec::new();
    if !there.is_empty() && !there.ends_with(b"\n") {
        missing.push(b'\n');
    }
    for line in read_all(from)?.split(|b| *b == b'\n') {
        if !line.is_empty() && !have.contains(&fingerprint(line)) {
            missing.extend_from_slice(line);
            missing.push(b'\n');
        }
    }
    let mut done = 0;
    while done < missing.len() {
        match to.append(&missing[done..])? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => done += n,
        }
    }
    to.sync()
}
