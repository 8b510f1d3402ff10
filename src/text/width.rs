use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::scan::{is_plain, stands_alone};

/// Columns the text takes on a terminal, counted grapheme by grapheme as the
/// renderer lays it out. Control characters count nothing.
pub fn width(text: &str) -> usize {
    if is_plain(text.as_bytes()) {
        return text.len();
    }
    if text.chars().all(stands_alone) {
        return text.chars().count();
    }
    text.graphemes(true).map(cell_width).sum()
}

fn cell_width(grapheme: &str) -> usize {
    if grapheme.chars().any(char::is_control) { 0 } else { grapheme.width() }
}

/// The text in at most `cols` columns, cut between graphemes, with an ellipsis
/// where something was cut.
pub fn truncate_width(text: &str, cols: usize) -> Cow<'_, str> {
    truncate_with(text, cols, "\u{2026}")
}

/// As [`truncate_width`] with another marker, such as `~` where glyphs must be
/// ASCII. A marker wider than `cols` is left out.
pub fn truncate_with<'a>(text: &'a str, cols: usize, marker: &str) -> Cow<'a, str> {
    // A long line is not measured to its end: the first `cols` columns say all.
    let mut taken = 0;
    let mut end = 0;
    let marker = if width(marker) <= cols { marker } else { "" };
    let room = cols - width(marker);
    // Of plain text a byte is a column, and between two of them may be cut.
    if let Some(seen) = text.as_bytes().get(..=cols) {
        if is_plain(seen) {
            return Cow::Owned(format!("{}{marker}", &text[..room]));
        }
    } else if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    if text.chars().take(cols + 1).all(stands_alone) {
        // Nothing is cut where the last column is the last character.
        return match text.char_indices().nth(cols) {
            None => Cow::Borrowed(text),
            Some(_) => {
                let end = text.char_indices().nth(room).map_or(text.len(), |(i, _)| i);
                Cow::Owned(format!("{}{marker}", &text[..end]))
            }
        };
    }
    let mut cut = 0;
    for (i, grapheme) in text.grapheme_indices(true) {
        let w = cell_width(grapheme);
        if taken + w > cols {
            return Cow::Owned(format!("{}{marker}", &text[..cut]));
        }
        taken += w;
        end = i + grapheme.len();
        if taken <= room {
            cut = end;
        }
    }
    Cow::Borrowed(&text[..end])
}
