//! Reads how loud a log line is. One pass over the first bytes, no regex:
//! this runs for every line that arrives.

use super::log::Level;

/// Bytes of a line that are looked at; words of level stand near the front.
const LOOKED_AT: usize = 512;

/// The level a line speaks with, and a 5xx status it names.
pub fn read(text: &str) -> (Level, Option<u16>) {
    let bytes = &text.as_bytes()[..text.len().min(LOOKED_AT)];
    let mut level = None;
    let mut status = None;
    let mut i = 0;
    while i < bytes.len() {
        if !is_word(bytes[i]) {
            i += 1;
            continue;
        }
        let start = i;
        while i < bytes.len() && is_word(bytes[i]) {
            i += 1;
        }
        let word = &bytes[start..i];
        if level.is_none() {
            level = level_word(word);
        }
        if status.is_none() && word.len() == 3 && word[0] == b'5' && is_status_place(bytes, start, i) {
            status = std::str::from_utf8(word).ok().and_then(|w| w.parse().ok());
        }
        if level.is_some() && status.is_some() {
            break;
        }
    }
    let level = level.unwrap_or(if status.is_some() { Level::Error } else { Level::Info });
    (level, status)
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

fn level_word(w: &[u8]) -> Option<Level> {
    let is = |names: &[&str]| names.iter().any(|n| w.eq_ignore_ascii_case(n.as_bytes()));
    if w.len() < 3 || w.len() > 9 {
        return None;
    }
    if is(&["error", "err", "fatal", "crit", "critical", "panic", "emerg", "alert", "severe", "exception"]) {
        Some(Level::Error)
    } else if is(&["warn", "warning"]) {
        Some(Level::Warn)
    } else if is(&["info", "notice"]) {
        Some(Level::Info)
    } else if is(&["debug"]) {
        Some(Level::Debug)
    } else if is(&["trace"]) {
        Some(Level::Trace)
    } else {
        None
    }
}

/// A three-digit word is a status when it stands between blanks or quotes,
/// or behind `status=` or `"status":`; a byte count or a duration seldom does.
fn is_status_place(b: &[u8], start: usize, end: usize) -> bool {
    let digits = b[start..end].iter().all(u8::is_ascii_digit);
    let before = start.checked_sub(1).map_or(b' ', |i| b[i]);
    let after = b.get(end).copied().unwrap_or(b' ');
    if !digits || !matches!(after, b' ' | b'"' | b',' | b'}' | b')' | b']' | b';') {
        return false;
    }
    match before {
        b' ' => {
            // `" 502 ` of access logs, `HTTP/1.1 502`, `status 502`, and the lone ` 502 `.
            let unit = b.get(end + 1..end + 3).unwrap_or(b"");
            !matches!(unit, b"ms" | b"us" | b"kB" | b"MB" | b"by" | b"B ")
        }
        b'=' | b':' | b'"' | b'(' => {
            let head = &b[..start];
            let tail = &head[head.len().saturating_sub(24)..];
            let lower = tail.to_ascii_lowercase();
            [&b"status"[..], b"code", b"http"].iter().any(|k| lower.windows(k.len()).any(|w| w == *k))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_levels_and_statuses() {
        let table = [
            ("2026-11-22 01:53:50 ERROR upstream refused", Level::Error, None),
            ("level=warn msg=\"slow\"", Level::Warn, None),
            ("[error] 12#12: *3 upstream prematurely closed", Level::Error, None),
            ("GET / HTTP/1.1\" 502 157", Level::Error, Some(502)),
            ("status=504 path=/a", Level::Error, Some(504)),
            ("{\"status\":503,\"ms\":2}", Level::Error, Some(503)),
            ("level=info msg=\"request served\" status=200 ms=512", Level::Info, None),
            ("took 512 ms", Level::Info, None),
            ("INFO answered 500 to client", Level::Info, Some(500)),
            ("terror and errors", Level::Info, None),
            ("", Level::Info, None),
        ];
        for (line, level, status) in table {
            assert_eq!(read(line), (level, status), "{line}");
        }
    }
}
