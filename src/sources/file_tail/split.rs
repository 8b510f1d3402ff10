//! Cuts a stream of bytes into lines without ever holding a whole long one.

use crate::sources::line_cap::{SHOWN, capped_line};
use crate::text::SafeText;

/// Bytes of an unfinished line that are held: what [`SHOWN`] can need, as the
/// sanitiser looks no further.
const HELD: usize = 2 * SHOWN + 64;

/// A line as it was cut: its head, and how much of it was let go.
#[derive(Debug)]
pub struct Cut<'a> {
    /// At most [`HELD`] bytes if the line came in pieces, else all of it.
    pub head: &'a [u8],
    /// Bytes behind `head`.
    pub more: u64,
    /// NUL bytes that stood before `head`. A writer that does not append leaves
    /// a hole of them when its file was truncated under it.
    pub nuls: u64,
}

impl Cut<'_> {
    /// The line for showing: one line end cut off, capped, safe.
    pub fn text(&self) -> SafeText {
        let head = if self.more == 0 { crate::text::trim_line_end(self.head) } else { self.head };
        let text = capped_line(head, self.more);
        if self.nuls == 0 { text } else { SafeText::from(format!("(+{} NUL B) {text}", self.nuls)) }
    }
}

/// The unfinished last line between two reads.
#[derive(Debug, Default)]
pub struct Splitter {
    head: Vec<u8>,
    more: u64,
    nuls: u64,
    /// Everything up to the next line feed belongs to a line whose beginning
    /// was not read.
    skipping: bool,
}

impl Splitter {
    /// Starts in the middle of a line: what comes before the first line feed is
    /// left out.
    pub fn skip_to_line(&mut self) {
        self.skipping = true;
    }

    /// True while part of a line is held.
    pub fn is_within_line(&self) -> bool {
        !self.head.is_empty() || self.nuls > 0
    }

    /// Takes bytes, gives every line that is complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(Cut<'_>)) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |i| i + 1));
            bytes = rest;
            if self.skipping {
                self.skipping = end.is_none();
                continue;
            }
            if end.is_some() && !self.is_within_line() && piece[0] != 0 {
                line(Cut { head: piece, more: 0, nuls: 0 });
                continue;
            }
            self.hold(piece);
            if end.is_some() {
                self.flush(&mut line);
            }
        }
    }

    fn hold(&mut self, mut piece: &[u8]) {
        if self.head.is_empty() {
            let nuls = piece.iter().take_while(|b| **b == 0).count();
            self.nuls += nuls as u64;
            piece = &piece[nuls..];
        }
        let fits = piece.len().min(HELD - self.head.len());
        self.head.extend_from_slice(&piece[..fits]);
        self.more += (piece.len() - fits) as u64;
    }

    /// Gives the unfinished line as it is: the writer is done with it, or the
    /// file is gone.
    pub fn flush(&mut self, mut line: impl FnMut(Cut<'_>)) {
        if self.is_within_line() {
            // The line feed at the end of a line that was cut is no content.
            let more = self.more.saturating_sub(u64::from(self.more > 0));
            line(Cut { head: &self.head, more, nuls: self.nuls });
        }
        self.head.clear();
        (self.more, self.nuls) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        for p in pieces {
            splitter.feed(p, |c| out.push(c.text().to_string()));
        }
        splitter.flush(|c| out.push(c.text().to_string()));
        out
    }

    #[test]
    fn cuts_lines_wherever_the_reads_end() {
        let text = b"one\r\ntwo\n\nfour\xff\nlast";
        let want = ["one", "two", "", "four\\xff", "last"];
        assert_eq!(split(&[text]), want);
        for at in 0..text.len() {
            let (a, b) = text.split_at(at);
            assert_eq!(split(&[a, b]), want, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&bytes), want);
    }

    #[test]
    fn a_giant_line_is_capped_and_counted_without_being_held() {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            splitter.feed(&block, |c| out.push(c.text()));
            assert!(splitter.head.capacity() <= 2 * HELD);
        }
        splitter.feed(b"\nnext\n", |c| out.push(c.text()));
        assert_eq!(out.len(), 2);
        assert!(out[0].ends_with(&format!("x... +{} B", (10 << 20) - SHOWN)), "{}", &out[0][SHOWN - 4..]);
        assert_eq!(out[1], "next");
        // The same when it comes in one read.
        let mut whole = vec![b'x'; 10 << 20];
        whole.extend_from_slice(b"\n");
        assert_eq!(split(&[&whole])[0], out[0].as_str());
    }

    #[test]
    fn a_hole_of_nuls_is_named_not_shown() {
        let mut text = vec![0u8; 5000];
        text.extend_from_slice(b"after the hole\nnext\n");
        for size in [1, 7, 4096, 8192] {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(split(&pieces), ["(+5000 NUL B) after the hole", "next"]);
        }
    }

    #[test]
    fn skips_the_line_it_starts_in() {
        let mut splitter = Splitter::default();
        splitter.skip_to_line();
        let mut out = Vec::new();
        splitter.feed(b"half of a", |c| out.push(c.text()));
        splitter.feed(b" line\nwhole\n", |c| out.push(c.text()));
        assert_eq!(out, ["whole"]);
    }
}
