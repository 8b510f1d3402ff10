//! An incident read from any line on, forwards, as often as wanted: what a
//! replay seeks with. Nothing but the line at hand is held in memory.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::lines::{Entry, Lines};
use super::paths::{continued, successor};
use super::read::{ReadError, fingerprint, open};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Where a line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index into the files of the incident, oldest first.
    file: usize,
    offset: u64,
    /// Number of the line in its file, from 1; 0 for the beginning of all.
    line: u64,
}

/// Reads lines from a place on. Lines that a file repeats of the one it
/// continues are left out, however often they are passed.
#[derive(Debug)]
pub struct Tape {
    files: Vec<PathBuf>,
    at: Place,
    current: Option<File>,
    lines: Lines,
    /// Bytes of the current file from `begins` on; what lies before `used` is done with.
    buffer: Vec<u8>,
    used: usize,
    /// Lines seen, kept only where there is more than one file.
    seen: HashSet<u64>,
    /// How far `seen` has been filled.
    known: Place,
    repeated: HashSet<(usize, u64)>,
}

/// What reading on gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// A line, and what was read from it (nothing for an empty or repeated one).
    Line(Vec<Entry>),
    /// There is nothing more just now. A line without its end does not count:
    /// it may be in the middle of being written.
    End,
}

impl Tape {
    /// Opens the incident at its beginning.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = open(path)?;
        let lines = Lines::new(path.to_path_buf());
        Ok(Self {
            files: continued(path),
            at: Place { file: 0, offset: 0, line: 1 },
            current: Some(file),
            lines,
            buffer: Vec::new(),
            used: 0,
            seen: HashSet::new(),
            known: Place::default(),
            repeated: HashSet::new(),
        })
    }

    /// The files of the incident, oldest first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The size of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
    }

    /// Bytes of all files before the next line.
    pub fn passed(&self) -> u64 {
        let before: u64 =
            self.files.iter().take(self.at.file).filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum();
        before + self.at.offset
    }

    /// Where the next line begins.
    pub fn place(&self) -> Place {
        self.at
    }

    /// Goes to a place it was at before.
    pub fn go_to(&mut self, place: Place) -> Result<(), ReadError> {
        if place == self.at {
            return Ok(());
        }
        if place.file != self.at.file || self.current.is_none() {
            self.current = Some(open(&self.files[place.file])?);
        }
        self.set(place);
        Ok(())
    }

    fn set(&mut self, place: Place) {
        self.at = place;
        self.lines = Lines::new(self.files[place.file].clone());
        (self.lines.line, self.lines.offset) = (place.line, place.offset);
        self.buffer.clear();
        self.used = 0;
    }

    /// Reads the next line.
    pub fn read(&mut self) -> Result<Read, ReadError> {
        loop {
            let Some(file) = &self.current else { return Ok(Read::End) };
            let rest = &self.buffer[self.used..];
            if let Some(n) = rest.iter().position(|b| *b == b'\n') {
                let line = &rest[..=n];
                let mut entries = Vec::new();
                let several = self.files.len() > 1;
                let key = (self.at.file, self.at.offset);
                let new = (self.at.file, self.at.offset) >= (self.known.file, self.known.offset);
                let (seen, repeated) = (&mut self.seen, &mut self.repeated);
                let mut wanted = |text: &[u8]| {
                    if !several {
                        return true;
                    }
                    if new && !seen.insert(fingerprint(text)) {
                        repeated.insert(key);
                    }
                    !repeated.contains(&key)
                };
                self.lines.push(line, &mut wanted, &mut |entry| entries.push(entry));
                self.used += n + 1;
                self.at.offset = self.lines.offset;
                self.at.line = self.lines.line;
                if new {
                    self.known = self.at;
                }
                return Ok(Read::Line(entries));
            }
            let from = self.at.offset + rest.len() as u64;
            let rest = rest.len();
            self.buffer.drain(..self.used);
            self.used = 0;
            let more = CHUNK.max(rest);
            self.buffer.resize(rest + more, 0);
            let n = loop {
                match file.read_at(&mut self.buffer[rest..], from) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            match n {
                Ok(n) => {
                    self.buffer.truncate(rest + n);
                    if n == 0 && !self.next_file()? {
                        // What is there of a line may be written anew.
                        self.buffer.clear();
                        return Ok(Read::End);
                    }
                }
                Err(e) => {
                    self.buffer.clear();
                    return Err(ReadError::io(&self.files[self.at.file], &e));
                }
            }
        }
    }

    /// Goes on with the file that continues the present one, if there is one.
    fn next_file(&mut self) -> Result<bool, ReadError> {
        let next = self.at.file + 1;
        if next == self.files.len() {
            let path = successor(&self.files[self.at.file]);
            if !path.exists() {
                return Ok(false);
            }
            self.files.push(path);
            // The files before were not known to be continued.
            self.remember()?;
        }
        self.current = Some(open(&self.files[next])?);
        self.set(Place { file: next, offset: 0, line: 1 });
        Ok(true)
    }

    /// Fingerprints of all lines up to here.
    fn remember(&mut self) -> Result<(), ReadError> {
        if self.files.len() != 2 {
            return Ok(());
        }
        let bytes = std::fs::read(&self.files[0]).map_err(|e| ReadError::io(&self.files[0], &e))?;
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            self.seen.insert(fingerprint(line.strip_suffix(b"\r").unwrap_or(line)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Kind, Record};
    use serde_json::json;

    fn line(n: usize) -> Vec<u8> {
        let at = jiff::Timestamp::from_second(1_800_000_000 + n as i64).unwrap();
        Record::new(at, "y@b".into(), Kind::Note, json!({"text": format!("note {n}")})).to_line()
    }

    fn texts(tape: &mut Tape) -> Vec<String> {
        let mut out = Vec::new();
        while let Read::Line(entries) = tape.read().unwrap() {
            out.extend(entries.into_iter().map(|e| match e {
                Entry::Record(r) => r.text().unwrap_or("-").to_owned(),
                Entry::Problem(p) => p.why.to_string(),
            }));
        }
        out
    }

    #[test]
    fn every_place_can_be_gone_back_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.incident.jsonl");
        let mut bytes: Vec<u8> = (0..50).flat_map(line).collect();
        bytes.extend_from_slice(b"what is this\n\n");
        bytes.extend(line(50));
        bytes.extend_from_slice(b"{\"v\":1,\"torn");
        std::fs::write(&path, &bytes).unwrap();
        let mut tape = Tape::open(&path).unwrap();
        let mut places = vec![tape.place()];
        let mut one_by_one = Vec::new();
        while let Read::Line(entries) = tape.read().unwrap() {
            one_by_one.push(entries);
            places.push(tape.place());
        }
        assert_eq!(one_by_one.len(), 53);
        for (n, place) in places.iter().enumerate().rev() {
            tape.go_to(*place).unwrap();
            for want in &one_by_one[n..] {
                assert_eq!(tape.read().unwrap(), Read::Line(want.clone()), "from line {n}");
            }
            assert_eq!(tape.read().unwrap(), Read::End, "a line without its end does not count");
        }
        // It grows: the torn line gets its end.
        let end = line(51);
        bytes.truncate(bytes.len() - b"{\"v\":1,\"torn".len());
        bytes.extend(end);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(texts(&mut tape), ["note 51"]);
    }

    #[test]
    fn what_a_successor_repeats_is_read_once_however_often_it_is_passed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.incident.jsonl");
        std::fs::write(&path, [line(0), line(1), line(2)].concat()).unwrap();
        let mut tape = Tape::open(&path).unwrap();
        let begin = tape.place();
        assert_eq!(texts(&mut tape), ["note 0", "note 1", "note 2"]);
        let next = dir.path().join("a.2.incident.jsonl");
        std::fs::write(next, [line(2), line(3)].concat()).unwrap();
        assert_eq!(texts(&mut tape), ["note 3"], "it is found when it comes");
        for _ in 0..2 {
            tape.go_to(begin).unwrap();
            assert_eq!(texts(&mut tape), ["note 0", "note 1", "note 2", "note 3"]);
        }
        let mut whole = Tape::open(&path).unwrap();
        assert_eq!(whole.files().len(), 2);
        assert_eq!(texts(&mut whole), ["note 0", "note 1", "note 2", "note 3"]);
    }
}
