//! What a writer is told and what it can say of itself: durability, settings,
//! states, troubles.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::{Disk, OsDisk};
use super::read::ReadError;
use crate::text::SafeText;

/// Bytes of log lines recorded in one incident unless set otherwise.
pub const LOG_CAP: u64 = 64 << 20;

/// When a record must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the acknowledgement, and at once: what people wrote, and what
    /// they will rely on.
    Now,
    /// Within a second, together with others: observations.
    Grouped,
}

/// Which file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A new one; an existing file is never touched.
    New,
    /// An existing one, to be continued.
    Resume,
    /// An existing one, else a new one.
    Either,
}

/// What keeps records from the disk. Displayed as one line: what happened and
/// what to do. Everything is kept in memory and tried again meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No space left, or the quota is used up.
    DiskFull,
    /// The file or its file system is read-only.
    ReadOnly,
    /// No permission.
    Denied,
    /// Another process holds the lock: for how long it was waited.
    Locked(Duration),
    /// The folder is gone, as when a mount is lost.
    Gone,
    /// The system has not answered a call for that long.
    Stalled(Duration),
    /// A sync failed; the file was given up and a successor could not be begun.
    SyncFailed(SafeText),
    /// Any other error of the system.
    Io(SafeText),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::DiskFull => f.write_str("the disk is full: free some space"),
            Trouble::ReadOnly => f.write_str("the file system is read-only: remount it or check the disk"),
            Trouble::Denied => f.write_str("permission denied: give this user write permission"),
            Trouble::Locked(waited) => write!(
                f,
                "another process has held the file's lock for {:.0?}: find it with fuser or lsof",
                waited
            ),
            Trouble::Gone => f.write_str("the folder is gone: bring the mount back"),
            Trouble::Stalled(for_) => {
                write!(f, "the disk has not answered for {} s: check the mount", for_.as_secs())
            }
            Trouble::SyncFailed(why) => {
                write!(f, "the disk failed to store data ({why}): save elsewhere, replace it")
            }
            Trouble::Io(why) => write!(f, "the disk reports: {why}"),
        }
    }
}

impl Trouble {
    pub(super) fn from_io(e: &io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle => Self::Gone,
            _ => Self::Io(SafeText::new(e.to_string())),
        }
    }
}

/// Why a record is not on disk, at the time of the acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Kept in memory and tried again.
    #[error("not on disk yet, kept in memory and retried: {0}")]
    Trouble(Trouble),
    /// No answer within the time allowed; it may still come.
    #[error("not known to be on disk: no answer within {0:?}")]
    NoAnswer(Duration),
    /// Refused: longer than a record can be.
    #[error("not recorded: {0} bytes are more than a record can hold; split it")]
    TooLong(usize),
    /// Refused: too much is waiting in memory already. Counted as a gap.
    #[error("not recorded: too many observations wait for the disk")]
    Overflow,
    /// Refused: the file is no incident file, or the writer was closed.
    #[error("not recorded: {0}")]
    Refused(SafeText),
}

/// The writer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterState {
    /// The file is being opened.
    Opening,
    /// All is well.
    Recording,
    /// Records wait in memory.
    Trouble {
        /// What keeps them.
        reason: Trouble,
        /// Since when.
        since: Timestamp,
        /// How many records wait.
        held: usize,
    },
    /// The file can never be written: why. Records stay in memory.
    Refused(SafeText),
    /// Closed.
    Closed,
}

/// The move to a successor after a failed sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The file given up.
    pub from: PathBuf,
    /// The file that continues it.
    pub to: PathBuf,
    /// The system's words.
    pub why: SafeText,
    /// When.
    pub at: Timestamp,
}

/// What the writer can say of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: WriterState,
    /// The file being written.
    pub path: PathBuf,
    /// The files given up, oldest first.
    pub moved: Vec<Moved>,
    /// The file system has no locks, so lines of several processes may mix.
    pub unlocked: bool,
    /// The file was deleted or replaced under the writer and written anew.
    pub restored: u32,
    /// Records on disk since the start.
    pub recorded: u64,
    /// Log lines left out because of the cap.
    pub logs_left_out: u64,
    /// Observations refused because too many waited.
    pub overflowed: u64,
}

/// Called with every change of state, from the writer's thread.
pub type Notify = Arc<dyn Fn(&Status) + Send + Sync>;

/// Settings of a writer. [`Options::default`] is what the console uses.
#[derive(Clone)]
pub struct Options {
    /// Whose name stands on the records the writer itself makes.
    pub by: SafeText,
    /// Told of every change of state.
    pub notify: Option<Notify>,
    /// Bytes of log lines recorded at most.
    pub log_cap: u64,
    /// Bytes of log lines the incident holds already, when it is resumed: see
    /// [`super::Recovered::log_bytes`].
    pub log_bytes: u64,
    /// Bytes of observations that may wait in memory; what people wrote always
    /// may.
    pub held_cap: usize,
    /// The longest an observation waits for company.
    pub group: Duration,
    /// How long a lock is waited for before it is a visible state.
    pub lock_timeout: Duration,
    /// The first pause after a failure; it doubles up to `retry_max`.
    pub retry_first: Duration,
    /// The longest pause between attempts.
    pub retry_max: Duration,
    /// After this long without an answer of the system the state says so.
    pub stall: Duration,
    /// Remember which lines are this writer's, for [`super::Follower::skip_own`].
    pub track_own: bool,
    /// The clock for `logged`, `since` and gaps.
    pub clock: fn() -> Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: SafeText::from_static("badgate"),
            notify: None,
            log_cap: LOG_CAP,
            log_bytes: 0,
            held_cap: 64 << 20,
            group: Duration::from_millis(500),
            lock_timeout: Duration::from_secs(2),
            retry_first: Duration::from_millis(100),
            retry_max: Duration::from_secs(5),
            stall: Duration::from_secs(4),
            track_own: false,
            clock: Timestamp::now,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("by", &self.by)
            .field("log_cap", &self.log_cap)
            .finish_non_exhaustive()
    }
}

/// Why an incident file could not be opened for writing, in one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It exists and a new one was wanted.
    #[error("{0} exists already; resume it with --incident, or choose another name")]
    Exists(SafeText),
    /// It cannot be continued.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk would not have it.
    #[error("{path}: {trouble}")]
    Trouble {
        /// The file.
        path: SafeText,
        /// What happened and what to do.
        trouble: Trouble,
    },
    /// The system gave no thread.
    #[error("cannot start the thread that writes the incident file: {0}")]
    Thread(io::Error),
}

/// What was not on disk when the time for closing was over.
#[derive(Debug, thiserror::Error)]
#[error("{} record(s) did not reach the disk: {reason}", lines.len())]
pub struct Unflushed {
    /// What kept them.
    pub reason: SafeText,
    /// The lines as they would stand in the file. Empty when the writer's
    /// thread itself hangs in the system.
    pub lines: Vec<Vec<u8>>,
}

impl Unflushed {
    /// Writes the lines to a new incident file in another folder, such as the
    /// temporary one, and names it.
    pub fn rescue(&self, dir: &Path, stem: &str) -> io::Result<PathBuf> {
        let mut disk = OsDisk;
        let path = super::free_path(dir, stem);
        let mut file = disk.open(&path, super::How::Create)?;
        let all = self.lines.concat();
        let mut done = 0;
        while done < all.len() {
            match file.append(&all[done..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => done += n,
            }
        }
        file.sync()?;
        disk.sync_dir(dir)?;
        Ok(path)
    }
}
