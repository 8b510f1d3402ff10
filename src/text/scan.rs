//! The scanner under [`super::SafeText`].
//!
//! It does not try to recognise escape sequences. Parsers of sequences are
//! where strippers go wrong (private parameters, colon SGR, strings ended by
//! BEL or ST, 8-bit introducers, sequences cut short): a total map over
//! characters that defuses every introducer and every terminator leaves no
//! sequence for a terminal to see, whatever its grammar. What remains of a
//! sequence is readable text such as `^[[31m`.
//!
//! The state between characters is the column (for tabs), a pending CR (for
//! CRLF in multi-line text) and the length of the current run of combining
//! characters.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// Columns between tab stops.
const TAB: usize = 4;

/// Combining characters accepted on one base character. Scripts in use need
/// three or four; a thousand make one screen cell cost kilobytes.
const MAX_COMBINING: usize = 8;

/// Whether line feeds are content or shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// LF is shown as `^J`.
    Single,
    /// LF is kept, CRLF becomes LF, a lone CR is shown.
    Multi,
}

/// True for characters that never pass the sanitiser: C0 (LF and TAB among
/// them), DEL, C1, bidirectional controls, zero-width and other invisible
/// format characters.
///
/// Variation selectors pass: Japanese names are written with them, and they
/// count as combining characters, whose number is limited.
pub fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'                    // soft hyphen
        | '\u{34f}'                   // combining grapheme joiner
        | '\u{61c}'                   // Arabic letter mark
        | '\u{115f}' | '\u{1160}'     // Hangul fillers
        | '\u{17b4}' | '\u{17b5}'     // Khmer inherent vowels
        | '\u{180e}'                  // Mongolian vowel separator
        | '\u{200b}'..='\u{200f}'     // zero width, LRM, RLM
        | '\u{2028}'..='\u{202e}'     // line and paragraph separator, embeddings, overrides
        | '\u{2060}'..='\u{206f}'     // word joiner, invisible operators, isolates
        | '\u{3164}' | '\u{ffa0}'     // Hangul fillers
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'     // interlinear annotation
        | '\u{1bca0}'..='\u{1bca3}'   // shorthand format controls
        | '\u{1d173}'..='\u{1d17a}'   // musical format controls
        | '\u{e0000}'..='\u{e00ff}'   // tags
        | '\u{e01f0}'..='\u{e0fff}'
    )
}

/// One-line text in visible form. Borrows when nothing had to change.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(run(text.as_bytes(), Lines::Single))
    }
}

/// Multi-line text in visible form: LF is kept, everything else as
/// [`sanitise`].
pub fn sanitise_multiline(text: &str) -> Cow<'_, str> {
    if all_in_blocks(text.as_bytes(), |b| matches!(b, b' '..=b'~' | b'\n')) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(run(text.as_bytes(), Lines::Multi))
    }
}

/// Nothing but printable ASCII: a byte is a column.
pub fn is_plain(bytes: &[u8]) -> bool {
    all_in_blocks(bytes, |b| matches!(b, b' '..=b'~'))
}

/// A character that takes one column and never joins its neighbours: printable
/// ASCII and what frames, curves and signs are drawn with.
pub fn stands_alone(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{b7}' | '\u{2026}' | '\u{2190}'..='\u{2193}' | '\u{2500}'..='\u{25a9}')
        || matches!(
            c,
            '\u{25b8}' | '\u{25be}' | '\u{25c6}' | '\u{2713}' | '\u{2717}' | '\u{2800}'..='\u{28ff}'
        )
}

/// Blocks without an early exit become vector instructions; every log line
/// passes here.
fn all_in_blocks(bytes: &[u8], fits: impl Fn(u8) -> bool) -> bool {
    bytes.chunks(64).all(|block| block.iter().fold(true, |all, b| all & fits(*b)))
}

pub(super) fn run(bytes: &[u8], lines: Lines) -> String {
    scan(bytes, lines, usize::MAX).0
}

/// Sanitises until the output would pass `limit` bytes. Returns the output and
/// the number of input bytes that did not fit.
pub(super) fn scan(bytes: &[u8], lines: Lines, limit: usize) -> (String, usize) {
    // An input byte becomes at least one output byte, but for CRLF, so what
    // lies beyond twice the limit can never fit: it is not even looked at.
    // The slack keeps a character cut by this slice beyond the limit.
    let window = &bytes[..bytes.len().min(limit.saturating_mul(2).saturating_add(8))];
    let mut s = Scanner::new(lines, limit, window.len());
    for chunk in window.utf8_chunks() {
        if !(s.valid(chunk.valid()) && s.invalid(chunk.invalid())) {
            break;
        }
    }
    s.settle_cr();
    (s.out, bytes.len() - s.used)
}

/// Methods that take input return false once the limit is reached.
struct Scanner {
    out: String,
    lines: Lines,
    limit: usize,
    /// Input bytes whose visible form is in `out` (or waits in `pending_cr`).
    used: usize,
    column: usize,
    combining: usize,
    /// A CR whose visible form waits for the next character (multi-line only).
    pending_cr: bool,
}

impl Scanner {
    fn new(lines: Lines, limit: usize, expected: usize) -> Self {
        let out = String::with_capacity(expected.min(limit).saturating_add(16));
        Self { out, lines, limit, used: 0, column: 0, combining: 0, pending_cr: false }
    }

    /// Appends the ASCII form of `bytes` input bytes, whole or not at all.
    fn emit(&mut self, piece: &str, bytes: usize) -> bool {
        if self.out.len() + piece.len() > self.limit {
            return false;
        }
        self.out.push_str(piece);
        self.column += piece.len();
        self.used += bytes;
        true
    }

    /// Writes a waiting CR. One that does not fit counts as not used.
    fn settle_cr(&mut self) -> bool {
        if !std::mem::take(&mut self.pending_cr) {
            return true;
        }
        self.used -= 1;
        self.emit("^M", 1)
    }

    fn invalid(&mut self, bytes: &[u8]) -> bool {
        self.combining = 0;
        bytes.iter().all(|b| self.settle_cr() && self.emit(&format!("\\x{b:02x}"), 1))
    }

    fn valid(&mut self, text: &str) -> bool {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let plain = rest.bytes().take_while(|b| matches!(b, b' '..=b'~')).count();
            if plain == 0 {
                if !self.special(c) {
                    return false;
                }
                rest = &rest[c.len_utf8()..];
                continue;
            }
            if !self.settle_cr() {
                return false;
            }
            let fits = plain.min(self.limit - self.out.len());
            self.combining = 0;
            if !self.emit(&rest[..fits], fits) || fits < plain {
                return false;
            }
            rest = &rest[plain..];
        }
        true
    }

    /// One character that is not printable ASCII.
    fn special(&mut self, c: char) -> bool {
        if self.lines == Lines::Multi {
            match c {
                '\n' => return self.line_feed(),
                '\r' => {
                    let room = self.settle_cr();
                    self.pending_cr = room;
                    self.used += usize::from(room);
                    return room;
                }
                _ if !self.settle_cr() => return false,
                _ => {}
            }
        }
        if c == '\t' {
            self.combining = 0;
            return self.emit(&"    "[self.column % TAB..], 1);
        }
        if is_hostile(c) {
            self.combining = 0;
            return self.visible(c);
        }
        let width = c.width().unwrap_or(0);
        self.combining = if width == 0 { self.combining + 1 } else { 0 };
        if self.combining > MAX_COMBINING {
            return self.visible(c);
        }
        if self.out.len() + c.len_utf8() > self.limit {
            return false;
        }
        self.out.push(c);
        self.column += width;
        self.used += c.len_utf8();
        true
    }

    fn line_feed(&mut self) -> bool {
        let cr = usize::from(std::mem::take(&mut self.pending_cr));
        if !self.emit("\n", 1) {
            self.used -= cr;
            return false;
        }
        self.column = 0;
        self.combining = 0;
        true
    }

    fn visible(&mut self, c: char) -> bool {
        let code = u32::from(c);
        if code < 0x20 || code == 0x7f {
            let caret = char::from_u32(code ^ 0x40).unwrap_or('?');
            return self.emit(&format!("^{caret}"), 1);
        }
        self.emit(&format!("\\u{{{code:x}}}"), c.len_utf8())
    }
}
