//! A box of text that a person edits: one line (filter, palette) or several (a
//! note). What goes in is sanitised as it goes in, so a pasted escape sequence
//! is seen for what it is before it is sent anywhere.

use super::keys::{Code, Key};
use crate::text::{SafeText, sanitise, sanitise_multiline, width};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Text with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextBox {
    text: String,
    /// Byte offset, always between graphemes.
    cursor: usize,
    multiline: bool,
    /// Bytes it may hold.
    max: usize,
}

impl TextBox {
    /// One line of at most 1 KiB.
    pub fn line() -> TextBox {
        TextBox { max: 1 << 10, ..TextBox::default() }
    }

    /// Several lines of at most 64 KiB.
    pub fn note() -> TextBox {
        TextBox { multiline: true, max: 64 << 10, ..TextBox::default() }
    }

    /// The same with a text to begin with, cursor at its end.
    pub fn with(mut self, text: &str) -> TextBox {
        self.insert(text);
        self
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text to hand on.
    pub fn safe(&self) -> SafeText {
        SafeText::multiline(&self.text)
    }

    /// True when there is nothing but blanks.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Bytes before the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    /// Puts text in at the cursor; false when not all of it fits.
    pub fn insert(&mut self, text: &str) -> bool {
        let clean = if self.multiline { sanitise_multiline(text) } else { sanitise(text) };
        let room = self.max.saturating_sub(self.text.len());
        let mut end = clean.len().min(room);
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        self.text.insert_str(self.cursor, &clean[..end]);
        self.cursor += end;
        self.settle();
        end == clean.len()
    }

    /// A combining mark typed behind a letter joins it; the cursor must not
    /// stay in between.
    fn settle(&mut self) {
        let at = self.cursor;
        self.cursor = self
            .text
            .grapheme_indices(true)
            .map(|(i, g)| i + g.len())
            .take_while(|end| *end <= at)
            .last()
            .filter(|end| *end == at)
            .unwrap_or_else(|| self.next(at.min(self.text.len())));
        if at == 0 {
            self.cursor = 0;
        }
    }

    /// Takes an editing key; false for a key that edits nothing. Enter is never taken.
    pub fn key(&mut self, key: Key) -> bool {
        if key.alt {
            return false;
        }
        match (key.code, key.ctrl) {
            (Code::Char(c), false) => {
                self.insert(c.encode_utf8(&mut [0; 4]));
            }
            (Code::Char('j'), true) if self.multiline => {
                self.insert("\n");
            }
            (Code::Backspace, false) => self.delete(self.before(self.cursor)..self.cursor),
            (Code::Char('h'), true) => self.delete(self.before(self.cursor)..self.cursor),
            (Code::Delete, false) | (Code::Char('d'), true) => {
                self.delete(self.cursor..self.next(self.cursor))
            }
            (Code::Char('w'), true) | (Code::Backspace, true) => self.delete(self.word_before()..self.cursor),
            (Code::Char('u'), true) => self.delete(self.line_start()..self.cursor),
            (Code::Char('k'), true) => self.delete(self.cursor..self.line_end()),
            (Code::Left, false) => self.cursor = self.before(self.cursor),
            (Code::Right, false) => self.cursor = self.next(self.cursor),
            (Code::Left, true) => self.cursor = self.word_before(),
            (Code::Right, true) => self.cursor = self.word_after(),
            (Code::Home, _) => self.cursor = self.line_start(),
            (Code::End, _) | (Code::Char('e'), true) => self.cursor = self.line_end(),
            _ => return false,
        }
        true
    }

    fn delete(&mut self, range: Range<usize>) {
        self.cursor = range.start;
        self.text.replace_range(range, "");
        self.settle();
    }

    fn before(&self, at: usize) -> usize {
        self.text[..at].graphemes(true).next_back().map_or(0, |g| at - g.len())
    }

    fn next(&self, at: usize) -> usize {
        // From the start of the text: a grapheme may depend on what is before it.
        self.text
            .grapheme_indices(true)
            .map(|(i, g)| i + g.len())
            .find(|end| *end > at)
            .unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        let head = self.text[..self.cursor].trim_end_matches(' ');
        head.rfind([' ', '\n']).map_or(0, |i| i + 1).min(self.cursor)
    }

    fn word_after(&self) -> usize {
        let tail = &self.text[self.cursor..];
        let skip = tail.len() - tail.trim_start_matches([' ', '\n']).len();
        tail[skip..].find([' ', '\n']).map_or(self.text.len(), |i| self.cursor + skip + i)
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |i| i + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |i| self.cursor + i)
    }

    /// The text broken into rows of at most `cols` columns, and the row and
    /// column of the cursor.
    pub fn rows(&self, cols: usize) -> (Vec<&str>, (usize, usize)) {
        let cols = cols.max(2);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for line in self.text.split('\n') {
            let (mut from, mut taken) = (start, 0);
            for (i, g) in line.grapheme_indices(true) {
                let w = width(g);
                if taken + w > cols {
                    ranges.push(from..start + i);
                    (from, taken) = (start + i, 0);
                }
                taken += w;
            }
            ranges.push(from..start + line.len());
            // The cursor behind a full row stands on a row of its own.
            if taken >= cols && self.cursor == start + line.len() {
                ranges.push(start + line.len()..start + line.len());
            }
            start += line.len() + 1;
        }
        let row = ranges.iter().rposition(|r| r.start <= self.cursor).unwrap_or(0);
        let col = width(&self.text[ranges[row].start..self.cursor.max(ranges[row].start)]);
        (ranges.into_iter().map(|r| &self.text[r]).collect(), (row, col))
    }

    /// Moves the cursor a row up or down as they are shown at this width;
    /// false at the first or last row.
    pub fn vertical(&mut self, cols: usize, down: bool) -> bool {
        let (rows, (row, col)) = self.rows(cols);
        let to = if down { row + 1 } else { row.wrapping_sub(1) };
        let Some(target) = rows.get(to) else { return false };
        let start = target.as_ptr() as usize - self.text.as_ptr() as usize;
        let mut taken = 0;
        let mut at = start;
        for g in target.graphemes(true) {
            if taken + width(g) > col {
                break;
            }
            taken += width(g);
            at += g.len();
        }
        self.cursor = at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(mut b: TextBox, keys: &str) -> TextBox {
        for k in Key::sequence(keys).unwrap() {
            b.key(k);
        }
        b
    }

    #[test]
    fn edits() {
        for (keys, want, cursor) in [
            ("hello", "hello", 5),
            ("helo<left>l", "hello", 4),
            ("日本<left><backspace>", "本", 0),
            ("a b c<ctrl-w><ctrl-w>", "a ", 2),
            ("ab<home><delete>", "b", 0),
            ("one<ctrl-j>two<home><ctrl-k>x", "one\nx", 5),
            ("one<ctrl-j>two<ctrl-u>", "one\n", 4),
            ("a b<ctrl-left><ctrl-left>x", "xa b", 1),
            ("e\u{301}x<left><backspace>", "x", 0),
            ("<backspace><delete><left><right>", "", 0),
        ] {
            let b = typed(TextBox::note(), keys);
            assert_eq!((b.text(), b.cursor()), (want, cursor), "{keys}");
        }
        assert_eq!(typed(TextBox::line(), "a<ctrl-j>b").text(), "ab");
    }

    #[test]
    fn what_is_pasted_is_shown_for_what_it_is() {
        let mut b = TextBox::note();
        b.insert("a\x1b[31mb\nc\u{202e}");
        assert_eq!(b.text(), "a^[[31mb\nc\\u{202e}");
        let mut b = TextBox::line();
        b.insert("a\nb");
        assert_eq!(b.text(), "a^Jb");
    }

    #[test]
    fn it_has_a_bound() {
        let mut b = TextBox::line();
        assert!(!b.insert(&"日".repeat(1000)));
        assert_eq!(b.text().len(), 1023);
    }

    #[test]
    fn rows_and_cursor() {
        let b = typed(TextBox::note(), "abcdef<ctrl-j>日本語x<left>");
        assert_eq!(b.rows(4), (vec!["abcd", "ef", "日本", "語x"], (3, 2)));
        let mut b = typed(TextBox::note(), "abcd");
        assert_eq!(b.rows(4), (vec!["abcd", ""], (1, 0)));
        b.insert("\nxy");
        assert!(b.vertical(10, false));
        assert_eq!(b.cursor(), 2);
        assert!(!b.vertical(10, false));
        assert!(b.vertical(10, true));
        assert_eq!(b.cursor(), 7);
    }

    proptest! {
        #[test]
        fn any_keys_keep_it_whole(
            keys in proptest::collection::vec(
                prop_oneof![
                    any::<char>().prop_map(Key::char),
                    "[a-z]".prop_map(|s| Key::ctrl(s.chars().next().unwrap())),
                    prop_oneof![Just(Code::Left), Just(Code::Right), Just(Code::Home), Just(Code::End),
                        Just(Code::Backspace), Just(Code::Delete)].prop_map(Key::plain),
                    Just(Key { code: Code::Left, ctrl: true, alt: false }),
                    Just(Key { code: Code::Right, ctrl: true, alt: false }),
                ], 0..60),
            cols in 0usize..20,
        ) {
            let mut b = TextBox::note();
            for k in keys {
                b.key(k);
                prop_assert!(b.text.is_char_boundary(b.cursor));
                let (rows, (row, _)) = b.rows(cols);
                prop_assert!(row < rows.len());
                prop_assert_eq!(rows.concat(), b.text.replace('\n', ""));
            }
            b.vertical(cols, true);
            b.vertical(cols, false);
            prop_assert!(b.text.is_char_boundary(b.cursor));
            let safe = b.safe();
            prop_assert_eq!(safe.as_str(), b.text());
        }
    }
}
