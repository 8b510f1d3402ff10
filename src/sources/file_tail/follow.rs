//! One followed file: which bytes are new, whatever its writer or a log rotator
//! does to it.

use super::split::{Cut, Splitter};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes from the end that are read at first.
pub const FIRST_LOOK: u64 = 1 << 20;
/// Bytes read in one go, between two looks at everything else.
const CHUNK: usize = 256 << 10;
/// Further behind than this, the older bytes are passed over and counted: the
/// ring could not hold them anyway.
const TOO_FAR: u64 = 512 << 20;
/// A rotated file is watched for this long: its writer keeps it open until it
/// is told to reopen.
const AFTERLIFE: Duration = Duration::from_secs(10);
/// An unfinished line is shown after this long without a byte.
const UNFINISHED: Duration = Duration::from_secs(1);
/// Bytes at the start by which a file that was truncated and has grown again
/// between two looks is told from one that only grew.
const MARK: usize = 256;

/// How a file is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Read from; with a remark about the last rotation, or empty.
    Open(String),
    Missing,
    Denied,
    /// Cannot be read: the error in words.
    Failed(String),
}

/// What one look at the file brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Bytes were read; look again without pause.
    pub more: bool,
}

/// One file, by path: rotation gives the path to another file.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    now: Option<Reader>,
    /// The files the path belonged to before, until their writers are done.
    pub(super) before: Vec<(Reader, Instant)>,
    state: State,
    /// True once the path was looked at: a file that appears later is read whole.
    looked: bool,
    buffer: Vec<u8>,
}

/// An open file and where we are in it.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    ident: (u64, u64),
    /// A pipe or terminal: no position, no size, no rotation.
    stream: bool,
    at: u64,
    mark: Vec<u8>,
    split: Splitter,
    grew: Instant,
}

impl Follower {
    /// Follows `path`; nothing is opened yet.
    pub fn new(path: PathBuf) -> Self {
        Follower {
            path,
            now: None,
            before: Vec::new(),
            state: State::Missing,
            looked: false,
            buffer: vec![0; CHUNK],
        }
    }

    /// The path that is followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the file is doing since the last look.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Reads one chunk of what is new. `clock` only measures pauses.
    pub fn look(&mut self, clock: Instant, mut line: impl FnMut(Cut<'_>)) -> Look {
        let mut look = Look::default();
        self.before.retain_mut(|(reader, until)| {
            let read = reader.read(&mut self.buffer, clock, &mut line).unwrap_or(0);
            look.more |= read > 0;
            let keep = read > 0 || *until > clock;
            if !keep {
                reader.split.flush(&mut line);
            }
            keep
        });
        match std::fs::metadata(&self.path) {
            Ok(meta) => self.look_at(&meta, clock, &mut look, line),
            Err(e) => {
                // What was written before the file went is still ours to read.
                if let Some(old) = self.now.take() {
                    self.before.push((old, clock + AFTERLIFE));
                    look.more = true;
                }
                self.state = failed(&e);
            }
        }
        self.looked = true;
        look
    }

    /// Gives the unfinished lines: there will be no further look.
    pub fn finish(&mut self, mut line: impl FnMut(Cut<'_>)) {
        for reader in self.before.iter_mut().map(|b| &mut b.0).chain(&mut self.now) {
            reader.split.flush(&mut line);
        }
    }

    fn look_at(&mut self, meta: &Metadata, clock: Instant, look: &mut Look, mut line: impl FnMut(Cut<'_>)) {
        let rotated = self.now.as_ref().is_some_and(|r| !r.stream && r.ident != (meta.dev(), meta.ino()));
        if rotated && let Some(old) = self.now.take() {
            self.before.push((old, clock + AFTERLIFE));
            look.more = true;
        }
        if self.now.is_none() {
            match Reader::open(&self.path, meta, !self.looked, clock) {
                Ok(reader) => {
                    let remark = if rotated { "rotated, following the new file" } else { "" };
                    self.state = State::Open(remark.into());
                    self.now = Some(reader);
                }
                Err(e) => {
                    self.state = failed(&e);
                    return;
                }
            }
        }
        let Some(reader) = &mut self.now else { return };
        // What was written before the rotation comes before what was written after.
        if look.more {
            return;
        }
        if let Some(remark) = reader.catch_up(meta.len(), &mut line) {
            self.state = State::Open(remark);
        }
        match reader.read(&mut self.buffer, clock, &mut line) {
            Ok(0) if reader.split.is_within_line() && clock.duration_since(reader.grew) >= UNFINISHED => {
                reader.split.flush(line);
            }
            Ok(n) => look.more |= n > 0,
            Err(e) => self.state = failed(&e),
        }
    }
}

fn failed(e: &io::Error) -> State {
    match e.kind() {
        ErrorKind::NotFound => State::Missing,
        ErrorKind::PermissionDenied => State::Denied,
        _ => State::Failed(e.to_string()),
    }
}

impl Reader {
    fn open(path: &Path, meta: &Metadata, first: bool, clock: Instant) -> io::Result<Reader> {
        if meta.is_dir() {
            return Err(io::Error::other("is a directory"));
        }
        // A pipe without a writer would hold up every other file.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
        // What was opened may be newer than what was looked at.
        let meta = file.metadata()?;
        let kind = meta.file_type();
        let stream = kind.is_fifo() || kind.is_char_device() || kind.is_socket();
        let mut split = Splitter::default();
        let mut at = 0;
        if !stream && first && meta.len() > FIRST_LOOK {
            at = meta.len() - FIRST_LOOK;
            file.seek(SeekFrom::Start(at - 1))?;
            // Only a line that ends within the look can be skipped to; in a
            // giant one we start in the middle.
            let mut byte = [0];
            file.read_exact(&mut byte)?;
            if byte[0] != b'\n' && has_line_end(&file, at)? {
                split.skip_to_line();
            }
        }
        let mut reader = Reader {
            file,
            ident: (meta.dev(), meta.ino()),
            stream,
            at,
            mark: Vec::new(),
            split,
            grew: clock,
        };
        if !stream {
            reader.remember();
        }
        Ok(reader)
    }

    /// Adjusts to a file that shrank, or ran too far ahead; says so.
    fn catch_up(&mut self, len: u64, line: impl FnMut(Cut<'_>)) -> Option<String> {
        if self.stream {
            return None;
        }
        if len < self.at || (len > self.at && !self.is_same()) {
            self.split.flush(line);
            self.at = 0;
            self.mark.clear();
            self.file.seek(SeekFrom::Start(0)).ok()?;
            return Some("truncated, reading from its start".into());
        }
        let behind = len - self.at;
        if behind > TOO_FAR {
            let skip = behind - TOO_FAR / 2;
            self.split.flush(line);
            self.split.skip_to_line();
            self.at += skip;
            self.file.seek(SeekFrom::Start(self.at)).ok()?;
            return Some(format!("{skip} B passed over to keep up"));
        }
        None
    }

    /// Reads one chunk; 0 when there is nothing new.
    fn read(&mut self, buffer: &mut [u8], clock: Instant, line: impl FnMut(Cut<'_>)) -> io::Result<usize> {
        let n = match self.file.read(buffer) {
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(e) => return Err(e),
        };
        if n > 0 {
            self.at += n as u64;
            self.grew = clock;
            self.split.feed(&buffer[..n], line);
            if !self.stream && self.mark.len() < MARK {
                self.remember();
            }
        }
        Ok(n)
    }

    fn remember(&mut self) {
        self.mark = self.head().unwrap_or_default();
    }

    fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = vec![0; MARK];
        let n = self.file.read_at(&mut head, 0)?;
        head.truncate(n);
        Ok(head)
    }

    fn is_same(&self) -> bool {
        self.head().is_ok_and(|head| head.starts_with(&self.mark))
    }
}

fn has_line_end(file: &File, mut at: u64) -> io::Result<bool> {
    let mut block = vec![0; 64 << 10];
    loop {
        let n = file.read_at(&mut block, at)?;
        if n == 0 {
            return Ok(false);
        }
        // The last byte of the file ends the giant line itself; nothing follows.
        if let Some(i) = block[..n].iter().position(|b| *b == b'\n') {
            let mut next = [0];
            return Ok(file.read_at(&mut next, at + i as u64 + 1)? > 0);
        }
        at += n as u64;
    }
}
