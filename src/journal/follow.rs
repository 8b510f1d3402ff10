use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::{Entry, Lines, MAX_LINE, Why};
use super::paths::successor;
use super::read::{ReadError, continues, fingerprint, open};
use super::writer::{Shared, Writer, lock};

/// Bytes read of one file in one poll: a long file is caught up with over
/// several, so that no poll takes long.
const PER_POLL: usize = 4 << 20;

/// Follows a growing incident, its successors included. The caller says when to
/// look; nothing here waits. A line that is not ended yet is not reported: it
/// may be in the middle of being written.
#[derive(Debug)]
pub struct Follower {
    tails: Vec<Tail>,
    /// Every line delivered, by fingerprint: files that continue others or were
    /// restored after a deletion repeat lines.
    seen: HashSet<u64>,
    begun: bool,
    own: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: File,
    inode: (u64, u64),
    lines: Lines,
    /// An error of the last poll, so that it is told once.
    failing: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Tail {
    fn open(path: &Path) -> Result<Self, ReadError> {
        let file = open(path)?;
        let meta = file.metadata().map_err(|e| ReadError::io(path, &e))?;
        let inode = (meta.dev(), meta.ino());
        Ok(Self {
            path: path.to_path_buf(),
            file,
            inode,
            lines: Lines::new(path.to_path_buf()),
            failing: false,
        })
    }
}

impl Follower {
    /// Opens the file at its beginning. An empty one is fine: it may be about
    /// to be written.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Ok(Self { tails: vec![Tail::open(path)?], seen: HashSet::new(), begun: false, own: None })
    }

    /// Leaves out what this writer appends, which its program knows already.
    /// The writer needs [`super::Options::track_own`].
    pub fn skip_own(&mut self, writer: &Writer) {
        self.own = Some(Arc::clone(writer.shared()));
    }

    /// The files followed, oldest first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.tails.iter().map(|t| t.path.as_path())
    }

    /// What has come since the last poll, and whether more can be had at once.
    pub fn poll(&mut self) -> (Vec<Entry>, bool) {
        let mut out = Vec::new();
        let mut more = false;
        for tail in &mut self.tails {
            more |= tail.poll(&mut self.seen, self.own.as_deref(), &mut out);
        }
        if !more && let Some(last) = self.tails.last() {
            let next = successor(&last.path);
            if let Ok(tail) = Tail::open(&next) {
                self.tails.push(tail);
                more = true;
            }
        }
        if let (false, Some(Entry::Record(first))) = (self.begun, out.first())
            && let Some(name) = continues(first)
        {
            let why = Why::Continues(name.to_owned());
            let lines = Lines::new(self.tails[0].path.clone());
            lines.remark(why, &mut |problem| out.insert(1, problem));
        }
        self.begun |= !out.is_empty();
        (out, more)
    }
}

impl Tail {
    fn poll(&mut self, seen: &mut HashSet<u64>, own: Option<&Shared>, out: &mut Vec<Entry>) -> bool {
        let size = self.reopen_if_replaced();
        match self.read(size, seen, own, out) {
            Ok(more) => {
                self.failing = false;
                more
            }
            Err(e) => {
                if !std::mem::replace(&mut self.failing, true) {
                    self.lines.remark(Why::Unreadable(e.to_string()), &mut |entry| out.push(entry));
                }
                false
            }
        }
    }

    /// A deleted file that was written anew has another inode under the name.
    /// Returns the size of the one that is read, where that is known by now.
    fn reopen_if_replaced(&mut self) -> Option<u64> {
        let meta = self.path.metadata().ok()?;
        if (meta.dev(), meta.ino()) == self.inode {
            return Some(meta.len());
        }
        if let Ok(new) = Tail::open(&self.path) {
            *self = new;
        }
        None
    }

    fn read(
        &mut self,
        size: Option<u64>,
        seen: &mut HashSet<u64>,
        own: Option<&Shared>,
        out: &mut Vec<Entry>,
    ) -> io::Result<bool> {
        let size = size.map_or_else(|| self.file.metadata().map(|m| m.len()), Ok)?;
        let mut at = self.lines.resume_at();
        if size < at {
            // Only whole lines count as read, so this is no repaired write.
            self.lines.remark(Why::Shrunk, &mut |entry| out.push(entry));
            self.lines = Lines::new(self.path.clone());
            at = 0;
        }
        if size == at {
            return Ok(false);
        }
        let (begin, first_line) = (at, self.lines.offset);
        let mut buffer = vec![0; (size - at).min(256 << 10) as usize];
        let mut wanted = |line: &[u8]| {
            let mark = fingerprint(line);
            let mine = own.is_some_and(|own| lock(&own.own).remove(&mark));
            seen.insert(mark) && !mine
        };
        loop {
            let n = self.file.read_at(&mut buffer, at)?;
            if n == 0 {
                break;
            }
            at += n as u64;
            self.lines.push(&buffer[..n], &mut wanted, &mut |entry| out.push(entry));
            let read = (at - begin) as usize;
            // A line longer than a poll must still be passed some day.
            if read >= PER_POLL && self.lines.offset > first_line || read > 2 * MAX_LINE {
                break;
            }
        }
        // An unfinished line is read again from its beginning: until it has
        // its end it may still be cut off and replaced.
        Ok(at < size && self.lines.resume_at() > begin)
    }
}
