//! From bytes to records and problems, one line at a time.

use std::fmt;
use std::io::BufRead;
use std::path::PathBuf;

use super::record::{self, Record};
use crate::text::SafeText;

/// The longest line that is written or read as a record, in bytes.
pub const MAX_LINE: usize = 16 << 20;

/// How much of an unreadable line a [`Problem`] shows.
const EXCERPT: usize = 240;

/// What one line of the file gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A record.
    Record(Record),
    /// Something that could not be read, or a remark about the record before.
    Problem(Problem),
}

/// One line that is not, or not quite, a record. The file keeps it as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// Line number, from 1.
    pub line: u64,
    /// Byte offset of the line in the file.
    pub offset: u64,
    /// What is wrong.
    pub why: Why,
    /// Whether a record was read from the line all the same.
    pub kept: bool,
    /// The beginning of the line.
    pub excerpt: SafeText,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The last line has no end: a write was cut short, or is still going on.
    Torn,
    /// The checksum does not match.
    Damaged,
    /// The line is no JSON.
    NotJson(String),
    /// The line is not UTF-8.
    NotUtf8,
    /// JSON, but no record.
    NotARecord(String),
    /// Whole records stand in a line that is broken otherwise: how many.
    Glued(usize),
    /// Written by a newer version; kept as far as it is understood.
    Newer(u32),
    /// A record of our version with members we do not know.
    UnknownMember(String),
    /// Longer than [`MAX_LINE`]: how long.
    TooLong(u64),
    /// The rest of the file could not be read.
    Unreadable(String),
    /// The file became shorter while it was followed.
    Shrunk,
    /// The file continues another one, which was not read.
    Continues(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Torn => f.write_str("the line has no end, so its write was cut short"),
            Why::Damaged => f.write_str("the line is damaged: its checksum does not match"),
            Why::NotJson(what) => write!(f, "the line is no JSON: {what}"),
            Why::NotUtf8 => f.write_str("the line is not UTF-8"),
            Why::NotARecord(what) => write!(f, "the line is no record: {what}"),
            Why::Glued(n) => write!(f, "the line is broken, but {n} whole record(s) in it were read"),
            Why::Newer(v) => {
                write!(f, "written by a newer version (layout {v}); update badgate to read all of it")
            }
            Why::UnknownMember(names) => write!(f, "the record has unknown members: {names}"),
            Why::TooLong(n) => write!(f, "the line is {n} bytes long, more than a record can be"),
            Why::Unreadable(what) => write!(f, "the rest of the file cannot be read: {what}"),
            Why::Shrunk => f.write_str("the file became shorter: somebody changed it"),
            Why::Continues(name) => write!(f, "this file continues {name}; read that one to see all"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = SafeText::new(self.file.to_string_lossy());
        write!(
            f,
            "{file}, line {} (byte {}): {}",
            self.line,
            self.offset,
            SafeText::new(self.why.to_string())
        )?;
        if self.kept {
            return Ok(());
        }
        f.write_str("; skipped, and left in the file")
    }
}

/// Counts lines and offsets and turns each into entries.
#[derive(Debug)]
pub(super) struct Lines {
    file: PathBuf,
    /// The number of the line that comes next, from 1.
    pub line: u64,
    /// Where the line that comes next begins.
    pub offset: u64,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Bytes of a line too long to hold, `partial` included.
    overlong: u64,
    /// Bytes of the lines that hold observed log lines.
    pub log_bytes: u64,
}

impl Lines {
    pub fn new(file: PathBuf) -> Self {
        Self { file, line: 1, offset: 0, partial: Vec::new(), overlong: 0, log_bytes: 0 }
    }

    /// Takes the next bytes of the file; `each` gets every whole line (without
    /// its LF) and what it is. Where `wanted` says no, the line is counted and
    /// not read.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        wanted: &mut dyn FnMut(&[u8]) -> bool,
        each: &mut dyn FnMut(Entry),
    ) {
        while let Some((line, rest)) = split_line(bytes) {
            bytes = rest;
            if self.overlong > 0 {
                let length = self.overlong + line.len() as u64;
                self.too_long(length, each);
                self.advance(length + 1);
            } else if self.partial.len() + line.len() > MAX_LINE {
                let length = (self.partial.len() + line.len()) as u64;
                let begin = line.len().min(EXCERPT * 4);
                self.partial.extend_from_slice(&line[..begin]);
                self.too_long(length, each);
                self.advance(length + 1);
            } else if self.partial.is_empty() {
                self.whole(line, wanted, each);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.whole(&whole, wanted, each);
                whole.clear();
                self.partial = whole;
            }
        }
        if self.overlong > 0 {
            self.overlong += bytes.len() as u64;
        } else if self.partial.len() + bytes.len() > MAX_LINE {
            self.overlong = (self.partial.len() + bytes.len()) as u64;
            if self.partial.is_empty() {
                self.partial.extend_from_slice(&bytes[..bytes.len().min(EXCERPT * 4)]);
            }
            self.partial.truncate(EXCERPT * 4);
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    /// The file ended here: what is left has no end.
    pub fn finish(&mut self, each: &mut dyn FnMut(Entry)) {
        if self.overlong > 0 {
            let length = self.overlong;
            self.too_long(length, each);
            self.advance(length);
        } else if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            // JSON that was cut short never parses, so what parses is whole but
            // for its LF.
            match record::parse(&line, false) {
                Ok((record, _)) => {
                    each(Entry::Record(record));
                    self.problem(Why::Torn, true, &line, each);
                }
                Err(_) => self.problem(Why::Torn, false, &line, each),
            }
            self.advance(line.len() as u64);
        }
    }

    /// Forgets a line whose end has not come, to read it again later, and says
    /// from which offset. Only a line too long to hold is not read again.
    pub fn resume_at(&mut self) -> u64 {
        if self.overlong == 0 {
            self.partial.clear();
        }
        self.offset + self.overlong
    }

    /// Reports something about the place where the next line begins.
    pub fn remark(&self, why: Why, each: &mut dyn FnMut(Entry)) {
        self.problem(why, false, b"", each);
    }

    fn advance(&mut self, bytes: u64) {
        self.line += 1;
        self.offset += bytes;
        self.partial.clear();
        self.overlong = 0;
    }

    fn too_long(&self, length: u64, each: &mut dyn FnMut(Entry)) {
        self.problem(Why::TooLong(length), false, &self.partial, each);
    }

    fn whole(&mut self, line: &[u8], wanted: &mut dyn FnMut(&[u8]) -> bool, each: &mut dyn FnMut(Entry)) {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        // An empty line says nothing, so there is nothing to report.
        if !text.is_empty() && wanted(text) {
            match record::parse(text, false) {
                Ok((record, odd)) => {
                    if record.is_log() {
                        self.log_bytes += line.len() as u64 + 1;
                    }
                    each(Entry::Record(record));
                    if let Some(why) = odd {
                        self.problem(why, true, text, each);
                    }
                }
                Err(why) => self.salvage(text, why, each),
            }
        }
        self.advance(line.len() as u64 + 1);
    }

    /// A broken line may hold whole records: behind a torn one that got no LF,
    /// behind the zeroes of a lost block, or two whose LF was damaged.
    fn salvage(&self, line: &[u8], why: Why, each: &mut dyn FnMut(Entry)) {
        // Inside a JSON string the quotes are escaped, so this is an object.
        const START: &[u8] = b"{\"v\":";
        let starts: Vec<usize> =
            line.windows(START.len()).enumerate().filter(|(_, w)| *w == START).map(|(i, _)| i).collect();
        let mut found = 0;
        // One start at the beginning is the line that was just refused, unless
        // junk follows its end.
        for (i, start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).copied().unwrap_or(line.len());
            let piece = &line[*start..end];
            let Some(close) = piece.iter().rposition(|b| *b == b'}') else { continue };
            if let Ok((record, _)) = record::parse(&piece[..=close], true) {
                each(Entry::Record(record));
                found += 1;
            }
        }
        if found > 0 {
            self.problem(Why::Glued(found), true, line, each);
        } else {
            self.problem(why, false, line, each);
        }
    }

    fn problem(&self, why: Why, kept: bool, line: &[u8], each: &mut dyn FnMut(Entry)) {
        let excerpt = SafeText::capped(line, EXCERPT);
        each(Entry::Problem(Problem {
            file: self.file.clone(),
            line: self.line,
            offset: self.offset,
            why,
            kept,
            excerpt,
        }));
    }
}

/// The first line without its LF, and what follows it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    // The standard library's own search for a byte; it cannot fail on memory.
    let n = rest.skip_until(b'\n').ok()?;
    bytes[..n].strip_suffix(b"\n").map(|line| (line, rest))
}
