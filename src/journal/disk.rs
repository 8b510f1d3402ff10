//! What the writer needs of a file system, small enough to be replaced by one
//! that fails or lies.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// How a file is opened for appending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Create it with mode 0600; an existing file is an error.
    Create,
    /// Open it; a missing file is an error.
    Existing,
}

/// A file system.
pub trait Disk: Send + 'static {
    /// Opens a file for reading and appending.
    fn open(&mut self, path: &Path, how: How) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a folder and its parents with mode 0700, durably.
    fn create_dir(&mut self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&mut self, dir: &Path) -> io::Result<()>;
    /// Whether something has that name.
    fn exists(&mut self, path: &Path) -> bool;
    /// Whether an existing file may be appended to: one clear reason if not.
    fn check(&mut self, path: &Path) -> Result<(), super::ReadError>;
}

/// Facts about an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Size in bytes.
    pub len: u64,
    /// Names the file has; 0 once it was deleted.
    pub links: u64,
}

/// A file open for appending.
pub trait DiskFile: Send {
    /// Takes the exclusive lock if nobody holds it; never waits.
    fn try_lock(&mut self) -> io::Result<bool>;
    /// Gives the lock back.
    fn unlock(&mut self);
    /// Size and number of names.
    fn status(&mut self) -> io::Result<Status>;
    /// Reads at an offset; 0 at the end.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// One `write` at the end of the file. May take fewer bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts the file.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// `fdatasync`.
    fn sync(&mut self) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn open(&mut self, path: &Path, how: How) -> io::Result<Box<dyn DiskFile>> {
        let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options()
            .read(true)
            .append(true)
            .create_new(how == How::Create)
            .mode(0o600)
            .custom_flags(no_wait)
            .open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.create_dir(parent)?;
            match std::fs::DirBuilder::new().mode(0o700).create(dir) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                other => other?,
            }
            self.sync_dir(parent)?;
        }
        Ok(())
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let folder = match File::open(dir) {
            // One may create names in a folder one may not read.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            other => other?,
        };
        match folder.sync_all() {
            // Some file systems (FUSE, SMB) cannot sync a folder at all; there
            // is nothing better to do there.
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            other => other,
        }
    }

    fn exists(&mut self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn check(&mut self, path: &Path) -> Result<(), super::ReadError> {
        super::read::check_ours(path)
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn try_lock(&mut self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => Ok(false),
            Err(e) if e == rustix::io::Errno::INTR => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn unlock(&mut self) {
        // Closing the file gives the lock back too, so a failure costs nothing.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }

    fn status(&mut self) -> io::Result<Status> {
        let meta = self.0.metadata()?;
        Ok(Status { len: meta.len(), links: meta.nlink() })
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
