use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::lines::{Entry, Lines, Problem, Why};
use super::paths::continued;
use super::record::{Kind, Record};
use crate::text::SafeText;

const CHUNK: usize = 256 << 10;

/// Why a file cannot be read as an incident file. Each says in one line what,
/// where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such file.
    #[error("{0}: no such incident file; check the name, or list the folder it should be in")]
    NotFound(SafeText),
    /// A folder.
    #[error("{0} is a folder; name the .incident.jsonl file in it")]
    Folder(SafeText),
    /// A pipe, socket or device, which might never end.
    #[error("{0} is no regular file; copy it into a file first")]
    NotRegular(SafeText),
    /// No permission.
    #[error("{0}: permission denied; ask its owner, or read it as the user who recorded it")]
    Denied(SafeText),
    /// Nothing was ever written.
    #[error("{0} is empty: no record was ever written to it")]
    Empty(SafeText),
    /// Content that is not ours.
    #[error("{path} is no incident file ({why}); nothing was read from it or written to it")]
    Foreign {
        /// The file.
        path: SafeText,
        /// What its first line is.
        why: SafeText,
    },
    /// The system refused.
    #[error("{path} cannot be read: {why}; check the disk and the mount, then try again")]
    Io {
        /// The file.
        path: SafeText,
        /// The system's words.
        why: SafeText,
    },
}

pub(super) fn show(path: &Path) -> SafeText {
    SafeText::from_bytes(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

impl ReadError {
    pub(super) fn io(path: &Path, e: &io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::NotFound => Self::NotFound(show(path)),
            io::ErrorKind::PermissionDenied => Self::Denied(show(path)),
            io::ErrorKind::IsADirectory => Self::Folder(show(path)),
            _ => Self::Io { path: show(path), why: SafeText::new(e.to_string()) },
        }
    }
}

/// Opens for reading without ever waiting for a pipe's other end.
pub(super) fn open(path: &Path) -> Result<File, ReadError> {
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(no_wait)
        .open(path)
        .map_err(|e| ReadError::io(path, &e))?;
    let meta = file.metadata().map_err(|e| ReadError::io(path, &e))?;
    match meta.file_type() {
        t if t.is_dir() => Err(ReadError::Folder(show(path))),
        t if t.is_file() => Ok(file),
        _ => Err(ReadError::NotRegular(show(path))),
    }
}

/// Whether bytes at the start of a file can be the start of one of ours.
pub(super) fn looks_ours(start: &[u8]) -> bool {
    const OURS: &[u8] = b"{\"v\":";
    let n = start.len().min(OURS.len());
    start[..n] == OURS[..n]
}

/// Everything that could be read of an incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The records, in the order of the file.
    pub records: Vec<Record>,
    /// Every line that was not or not wholly read.
    pub problems: Vec<Problem>,
    /// The files read: the one named and those that continue it.
    pub files: Vec<PathBuf>,
    /// Their size together, in bytes.
    pub bytes: u64,
    /// Of these, what observed log lines take: see [`super::Options::log_bytes`].
    pub log_bytes: u64,
}

/// Reads an incident: the file and those that continue it. Never treats what
/// cannot be read as empty: it is an error, or a problem beside what was read.
pub fn read(path: &Path) -> Result<Recovered, ReadError> {
    let mut reader = Reader::open(path)?;
    let mut out = Recovered { files: reader.files().to_vec(), ..Recovered::default() };
    for entry in &mut reader {
        match entry {
            Entry::Record(record) => out.records.push(record),
            Entry::Problem(problem) => out.problems.push(problem),
        }
    }
    out.bytes = reader.bytes;
    out.log_bytes = reader.log_bytes;
    if out.records.is_empty() {
        if let Some(Problem { why: Why::Unreadable(why), .. }) = out.problems.last() {
            return Err(ReadError::Io { path: show(path), why: SafeText::new(why) });
        }
        match out.problems.first() {
            None => return Err(ReadError::Empty(show(path))),
            Some(first) if !reader.began_ours => {
                return Err(ReadError::Foreign {
                    path: show(path),
                    why: SafeText::new(format!("line {}: {}", first.line, first.why)),
                });
            }
            Some(_) => {}
        }
    }
    Ok(out)
}

/// Reads the bytes of one file, as [`read`] does, without a file. `name` is
/// what problems call it.
pub fn parse(name: &Path, bytes: &[u8]) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut lines = Lines::new(name.to_path_buf());
    lines.push(bytes, &mut |_| true, &mut |entry| out.push(entry));
    lines.finish(&mut |entry| out.push(entry));
    out
}

/// Identifies a line by its text, to leave out what a file repeats of the one
/// it continues.
pub(super) fn fingerprint(line: &[u8]) -> u64 {
    let mut h = DefaultHasher::new();
    line.hash(&mut h);
    h.finish()
}

/// Streams the entries of an incident in constant memory, file after file.
#[derive(Debug)]
pub struct Reader {
    files: Vec<PathBuf>,
    /// Index of the file after the current one.
    next: usize,
    current: Option<(File, Lines)>,
    ready: VecDeque<Entry>,
    buffer: Vec<u8>,
    /// Lines of the files read, kept only where another file continues them.
    seen: Option<HashSet<u64>>,
    bytes: u64,
    log_bytes: u64,
    began_ours: bool,
    begun: bool,
}

impl Reader {
    /// Opens the file and finds those that continue it.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = open(path)?;
        let files = continued(path);
        let seen = (files.len() > 1).then(HashSet::new);
        Ok(Self {
            current: Some((file, Lines::new(path.to_path_buf()))),
            files,
            next: 1,
            ready: VecDeque::new(),
            buffer: vec![0; CHUNK],
            seen,
            bytes: 0,
            log_bytes: 0,
            began_ours: false,
            begun: false,
        })
    }

    /// Bytes of log lines in the files read to their end so far.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// The files that are read, oldest first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Reads one more chunk; false at the end of the last file.
    fn fill(&mut self) -> bool {
        let Self { ready, seen, .. } = self;
        let mut each = |entry| ready.push_back(entry);
        let Some((file, lines)) = &mut self.current else {
            let Some(path) = self.files.get(self.next) else { return false };
            self.next += 1;
            let lines = Lines::new(path.clone());
            match open(path) {
                Ok(file) => self.current = Some((file, lines)),
                Err(e) => lines.remark(Why::Unreadable(e.to_string()), &mut each),
            }
            return true;
        };
        let n = loop {
            match file.read(&mut self.buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match n {
            Ok(0) => {
                lines.finish(&mut each);
                self.log_bytes += lines.log_bytes;
                self.current = None;
            }
            Ok(n) => {
                let chunk = &self.buffer[..n];
                if self.bytes == 0 {
                    self.began_ours = looks_ours(chunk);
                }
                self.bytes += n as u64;
                let mut wanted = |line: &[u8]| match seen {
                    Some(seen) => seen.insert(fingerprint(line)),
                    None => true,
                };
                lines.push(chunk, &mut wanted, &mut each);
            }
            Err(e) => {
                lines.remark(Why::Unreadable(e.to_string()), &mut each);
                self.current = None;
            }
        }
        true
    }
}

impl Iterator for Reader {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.ready.is_empty() && self.fill() {}
        let entry = self.ready.pop_front();
        if let (false, Some(Entry::Record(first))) = (std::mem::replace(&mut self.begun, true), &entry)
            && let Some(name) = continues(first)
        {
            let lines = Lines::new(self.files[0].clone());
            let why = Why::Continues(name.to_owned());
            lines.remark(why, &mut |problem| self.ready.push_front(problem));
        }
        entry
    }
}

/// Whether a file may be appended to: it is empty or holds a record of ours.
pub(super) fn check_ours(path: &Path) -> Result<(), ReadError> {
    let mut file = open(path)?;
    let mut start = [0; 8];
    let mut have = 0;
    while have < start.len() {
        match file.read(&mut start[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ReadError::io(path, &e)),
        }
    }
    if looks_ours(&start[..have]) {
        return Ok(());
    }
    // The first line may be the damaged one: any record will do.
    let mut first = None;
    for entry in Reader::open(path)? {
        match entry {
            Entry::Record(_) => return Ok(()),
            Entry::Problem(p) => _ = first.get_or_insert(p),
        }
    }
    let why =
        first.map_or_else(|| "it holds no record".to_owned(), |p| format!("line {}: {}", p.line, p.why));
    Err(ReadError::Foreign { path: show(path), why: SafeText::new(why) })
}

/// The file that a first record says its own file continues.
pub(super) fn continues(first: &Record) -> Option<&str> {
    (first.kind == Kind::Opened).then(|| first.data.get("continues").and_then(|v| v.as_str())).flatten()
}
