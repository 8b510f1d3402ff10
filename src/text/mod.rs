//! Text that is safe to show, store and export.
//!
//! Logs, tags, headers, descriptions and file names are written by others and
//! may hold terminal escape sequences, forged lines or invisible characters.
//! Everything from outside becomes a [`SafeText`] once, where it enters; the
//! console, the incident file and the exports accept nothing else.
//!
//! What is hostile is *shown*, never dropped: ESC as `^[`, other C0 controls in
//! caret notation (`^M`), C1 controls, bidirectional controls and invisible
//! characters as `\u{202e}`, bytes that are no UTF-8 as `\xff`. Tabs become
//! spaces.

mod safe;
mod scan;
mod width;

pub use safe::{SafeText, sanitise_json};
pub use scan::{is_hostile, is_plain, sanitise, sanitise_multiline, stands_alone};
pub use width::{truncate_width, truncate_with, width};

/// Cuts one line ending (LF or CRLF) off the end, so that a log message that
/// was delivered with its line feed does not show a `^J`.
pub fn trim_line_end(bytes: &[u8]) -> &[u8] {
    match bytes {
        [head @ .., b'\r', b'\n'] | [head @ .., b'\n'] => head,
        _ => bytes,
    }
}

#[cfg(test)]
mod tests;
