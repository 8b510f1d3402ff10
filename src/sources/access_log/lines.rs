//! Cuts a stream into blocks of whole lines, in bounded memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes read at once.
pub(super) const BLOCK: usize = 128 << 10;
/// Longest line that is read; a longer one is passed over and counted.
pub(super) const LONGEST: usize = 1 << 20;

/// What is said of lines that were too long.
pub(super) fn passed_over(n: u64) -> String {
    let what = if n == 1 { "1 line".into() } else { format!("{n} lines") };
    format!("{what} longer than {} MiB passed over", LONGEST >> 20)
}

/// Blocks of a stream.
pub(super) struct Blocks<R> {
    pub source: R,
    buf: Vec<u8>,
    /// Bytes held, and where those not handed out yet begin.
    have: usize,
    from: usize,
    /// The rest of a line is passed over.
    skip: bool,
    /// Lines that were too long.
    pub long: u64,
    end: Option<io::Result<()>>,
}

impl<R: Read> Blocks<R> {
    /// With `within`, the stream begins in the middle of a line that is not wanted.
    pub fn new(source: R, within: bool) -> Self {
        Blocks { source, buf: vec![0; BLOCK], have: 0, from: 0, skip: within, long: 0, end: None }
    }

    /// The next whole lines; the last of a stream may lack its line feed.
    /// `None` at the end; an error comes after all that could be read before it.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buf.copy_within(self.from..self.have, 0);
        self.have -= self.from;
        self.from = 0;
        loop {
            if let Some(end) = self.end.take() {
                if self.have > 0 && !self.skip {
                    self.from = self.have;
                    self.end = Some(end);
                    return Ok(Some(&self.buf[..self.have]));
                }
                end?;
                return Ok(None);
            }
            if self.have == self.buf.len() {
                if self.have >= LONGEST {
                    self.long += 1;
                    self.skip = true;
                    self.have = 0;
                } else {
                    self.buf.resize((self.have * 2).min(LONGEST), 0);
                }
            }
            let n = match self.source.read(&mut self.buf[self.have..]) {
                Ok(0) => {
                    self.end = Some(Ok(()));
                    continue;
                }
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    self.end = Some(Err(e));
                    continue;
                }
            };
            let fresh = self.have;
            self.have += n;
            if self.skip {
                match memchr::memchr(b'\n', &self.buf[fresh..self.have]) {
                    Some(i) => {
                        self.buf.copy_within(fresh + i + 1..self.have, 0);
                        self.have -= fresh + i + 1;
                        self.skip = false;
                    }
                    None => {
                        self.have = 0;
                        continue;
                    }
                }
                if let Some(i) = memchr::memrchr(b'\n', &self.buf[..self.have]) {
                    self.from = i + 1;
                    return Ok(Some(&self.buf[..=i]));
                }
            } else if let Some(i) = memchr::memrchr(b'\n', &self.buf[fresh..self.have]) {
                self.from = fresh + i + 1;
                return Ok(Some(&self.buf[..fresh + i + 1]));
            }
        }
    }
}

/// The lines of a file that begin in a range of it.
pub(super) struct Slice {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// Where the file ended when it was looked at: what is appended later is not read.
    limit: u64,
    /// The last byte read was a line feed.
    ended: bool,
    /// The file ended before `limit`: somebody cut it in the meantime.
    pub short: bool,
}

impl Slice {
    /// From `start` to `end`, with the rest of the line that `end` falls in.
    /// Unless `start` is 0, what comes first is the end of another's line.
    pub fn new(file: Arc<File>, start: u64, end: u64, limit: u64) -> Slice {
        Slice { file, at: start.saturating_sub(1), end, limit, ended: false, short: false }
    }
}

impl Read for Slice {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let beyond = self.at >= self.end;
        if (beyond && self.ended) || self.at >= self.limit || buf.is_empty() {
            return Ok(0);
        }
        let most = if beyond { self.limit } else { self.end };
        let room = buf.len().min(usize::try_from(most - self.at).unwrap_or(usize::MAX));
        let room = if beyond { room.min(BLOCK / 4) } else { room };
        let mut n = self.file.read_at(&mut buf[..room], self.at)?;
        if n == 0 {
            self.short = true;
            self.at = self.limit;
            return Ok(0);
        }
        if beyond {
            if let Some(i) = memchr::memchr(b'\n', &buf[..n]) {
                n = i + 1;
                self.ended = true;
            }
        } else {
            self.ended = buf[n - 1] == b'\n';
        }
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn all<R: Read>(mut blocks: Blocks<R>) -> (Vec<Vec<u8>>, u64) {
        let mut out = Vec::new();
        while let Ok(Some(block)) = blocks.next() {
            let block = block.strip_suffix(b"\n").unwrap_or(block);
            out.extend(block.split(|c| *c == b'\n').map(<[u8]>::to_vec));
        }
        (out, blocks.long)
    }

    #[test]
    fn a_line_too_long_is_passed_over_and_counted() {
        let text = [b"a\n".to_vec(), vec![b'x'; LONGEST + 7], b"\nb\nc".to_vec()].concat();
        let (lines, long) = all(Blocks::new(&text[..], false));
        assert_eq!((lines, long), (vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()], 1));
        let (lines, long) = all(Blocks::new(&vec![b'x'; LONGEST * 3][..], false));
        assert_eq!((lines.len(), long), (0, 1));
    }

    #[test]
    fn what_was_read_before_an_error_comes_first() {
        struct Broken<'a>(&'a [u8]);
        impl Read for Broken<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() { Err(io::Error::other("gone")) } else { self.0.read(buf) }
            }
        }
        let mut b = Blocks::new(Broken(b"one\ntw"), false);
        assert_eq!(b.next().unwrap().unwrap(), b"one\n");
        assert_eq!(b.next().unwrap().unwrap(), b"tw");
        assert_eq!(b.next().unwrap_err().to_string(), "gone");
    }

    proptest! {
        #[test]
        fn slices_of_a_file_are_its_lines(lines in prop::collection::vec("[a-c]{0,9}", 0..40), cuts in prop::collection::vec(0u64..400, 0..6), ended: bool) {
            let mut text = lines.join("\n");
            if ended && !text.is_empty() { text.push('\n'); }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let (file, size) = (Arc::new(file), text.len() as u64);
            let mut cuts: Vec<u64> = cuts.into_iter().filter(|c| *c < size).chain([0, size]).collect();
            cuts.sort_unstable();
            cuts.dedup();
            let mut got = Vec::new();
            for w in cuts.windows(2) {
                got.extend(all(Blocks::new(Slice::new(file.clone(), w[0], w[1], size), w[0] > 0)).0);
            }
            let want: Vec<Vec<u8>> = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(|l| l.as_bytes().to_vec()).collect();
            if text.is_empty() { prop_assert!(got.is_empty()) } else { prop_assert_eq!(got, want) }
        }
    }
}
