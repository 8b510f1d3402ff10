//! What of a line is worth its columns.

use super::{LogsView, Times};
use crate::situation::log::Held;
use jiff::Timestamp;

/// The text without a time of its own that the column beside it shows already.
pub fn told<'h>(view: &LogsView, h: &'h Held) -> &'h str {
    let text = h.line.text.as_str();
    if view.times == Times::Off { text } else { &text[own_time(text, h.line.at)..] }
}

/// Bytes of a time in UTC at the start (`2026-11-22T01:53:50.123Z `, or with a
/// blank in it and without a zone) and of the blanks behind it; 0 where there
/// is none, where it is another second, or where nothing else stands.
fn own_time(text: &str, at: Timestamp) -> usize {
    let b = text.as_bytes();
    if b.len() < 20 || !matches!(b[10], b'T' | b' ') || !b[..4].iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let utc = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    if utc.len() != 19 || b[..10] != utc.as_bytes()[..10] || b[11..19] != utc.as_bytes()[11..] {
        return 0;
    }
    let mut end = 19;
    if matches!(b[end], b'.' | b',') {
        end += 1 + b[end + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    }
    let zone = ["Z", "+00:00", "+0000"].into_iter().find(|z| b[end..].starts_with(z.as_bytes()));
    end += zone.map_or(0, str::len);
    let blanks = b[end..].iter().take_while(|c| **c == b' ').count();
    if blanks == 0 || end + blanks == b.len() { 0 } else { end + blanks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_once() {
        let at: Timestamp = "2026-11-22T01:53:50.123Z".parse().unwrap();
        for (text, left) in [
            ("2026-11-22T01:53:50.123Z INFO  ready", "INFO  ready"),
            ("2026-11-22 01:53:50,123  WARN slow", "WARN slow"),
            ("2026-11-22T01:53:50+00:00 up", "up"),
            ("2026-11-22 01:53:50 \u{30a8}\u{30e9}\u{30fc}", "\u{30a8}\u{30e9}\u{30fc}"),
            // Another second, another zone, part of something longer, nothing else.
            ("2026-11-22T01:53:51.123Z INFO", "2026-11-22T01:53:51.123Z INFO"),
            ("2026-11-22T01:53:50+09:00 up", "2026-11-22T01:53:50+09:00 up"),
            ("2026-11-22T01:53:50Zulu time", "2026-11-22T01:53:50Zulu time"),
            ("2026-11-22T01:53:50.123Z", "2026-11-22T01:53:50.123Z"),
            ("2026-11-22T01:53:50. ", "2026-11-22T01:53:50. "),
            (
                "2026-11-22 \u{3042}\u{3042}\u{3042}\u{3042} x",
                "2026-11-22 \u{3042}\u{3042}\u{3042}\u{3042} x",
            ),
            ("", ""),
        ] {
            assert_eq!(&text[own_time(text, at)..], left);
        }
    }
}
