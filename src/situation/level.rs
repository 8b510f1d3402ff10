//! Reads how loud a log line is. One pass over the first bytes, no regex:
//! this runs for every line that arrives.

use super::log::Level;

/// Bytes of a line that are looked at; words of level stand near the front.
const LOOKED_AT: usize = 512;

/// The level a line speaks with, and a 5xx status it names.
pub fn read(text: &str) -> (Level, Option<u16>) {
    let bytes = &text.as_bytes()[..text.len().min(LOOKED_AT)];
    let mut level = glog(bytes);
    let mut status = None;
    let mut i = 0;
    while i < bytes.len() {
        if level.is_some() {
            // Most lines name their level first: the rest is searched for a
            // status alone, which begins with a 5.
            status = status.or_else(|| later_status(bytes, i));
            break;
        }
        if !WORD[usize::from(bytes[i])] {
            i += 1;
            continue;
        }
        let start = i;
        while i < bytes.len() && WORD[usize::from(bytes[i])] {
            i += 1;
        }
        let first = bytes[start];
        if first.is_ascii_digit() {
            if status.is_none() && first == b'5' && i - start == 3 && is_status_place(bytes, start, i) {
                status = number(&bytes[start..i]);
            }
        } else if matches!(i - start, 3..=9) {
            level = level_word(&bytes[start..i])
                .filter(|_| !is_empty_field(bytes, i))
                .or_else(|| numbered(bytes, start, i));
        }
    }
    let level = level.unwrap_or(if status.is_some() { Level::Error } else { Level::Info });
    (level, status)
}

/// The first 5xx status in a line from `from` on, which is no middle of a word.
fn later_status(b: &[u8], from: usize) -> Option<u16> {
    memchr::memchr_iter(b'5', &b[from..]).map(|at| from + at).find_map(|start| {
        let end = start + 3;
        let word = |i: usize| b.get(i).is_some_and(|c| WORD[usize::from(*c)]);
        let alone = end <= b.len() && !word(end) && !start.checked_sub(1).is_some_and(word);
        if alone && is_status_place(b, start, end) { number(&b[start..end]) } else { None }
    })
}

/// Bytes that make up words: letters, digits, `_`, and everything not ASCII.
static WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        table[b] = c.is_ascii_alphanumeric() || c == b'_' || b >= 0x80;
        b += 1;
    }
    table
};

fn level_word(w: &[u8]) -> Option<Level> {
    let is = |name: &str| w.eq_ignore_ascii_case(name.as_bytes());
    let level = |yes: bool, level: Level| yes.then_some(level);
    match w[0] | 0x20 {
        b'e' => level(is("error") || is("err") || is("emerg") || is("exception"), Level::Error),
        b'f' => level(is("fatal"), Level::Error),
        b'c' => level(is("critical") || is("crit"), Level::Error),
        b'p' => level(is("panic"), Level::Error),
        b'a' => level(is("alert"), Level::Error),
        b's' => level(is("severe"), Level::Error),
        b'w' => level(is("warn") || is("warning"), Level::Warn),
        b'i' => level(is("info"), Level::Info),
        b'n' => level(is("notice"), Level::Info),
        b'd' => level(is("debug"), Level::Debug),
        b't' => level(is("trace"), Level::Trace),
        _ => None,
    }
}

/// True when the word that ends at `end` names a field without a value:
/// `"error":null`, `err=nil`, `error=""` say that nothing went wrong.
fn is_empty_field(b: &[u8], end: usize) -> bool {
    let rest = &b[end..];
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let Some((b':' | b'=', value)) = rest.split_first() else { return false };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    [&b"null"[..], b"nil", b"none", b"None", b"\"\"", b"false", b"0,", b"0 ", b"0}"]
        .iter()
        .any(|v| value.starts_with(v))
}

/// `"level":50`, as pino and bunyan write it: hundreds of lines a second of
/// Node services carry no word of level at all.
fn numbered(b: &[u8], start: usize, end: usize) -> Option<Level> {
    if &b[start..end] != b"level" || start == 0 || b[start - 1] != b'"' {
        return None;
    }
    let value = b[end..].strip_prefix(b"\":")?;
    let digits = value.iter().take_while(|c| c.is_ascii_digit()).count();
    Some(match number(&value[..digits])? {
        10 => Level::Trace,
        20 => Level::Debug,
        30 => Level::Info,
        40 => Level::Warn,
        50 | 60 => Level::Error,
        _ => return None,
    })
}

/// `E1122 01:53:50.123456`, the head of a line by klog and glog.
fn glog(b: &[u8]) -> Option<Level> {
    let (letter, rest) = b.split_first()?;
    let date = rest.len() > 4 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b' ';
    match letter {
        _ if !date => None,
        b'E' | b'F' => Some(Level::Error),
        b'W' => Some(Level::Warn),
        b'I' => Some(Level::Info),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
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
        b'=' | b':' | b'"' | b'(' => names_a_status(&b[..start - 1]),
        _ => false,
    }
}

/// True when the text before a value ends in a name such as `status`,
/// `"elb_status_code":`, `http.status`. The value of another field behind a
/// status, as in `status=200 ms=512`, is not one.
fn names_a_status(b: &[u8]) -> bool {
    let filler = b.iter().rev().take_while(|c| matches!(c, b'"' | b':' | b'=' | b' ' | b'(')).count();
    let b = &b[..b.len() - filler];
    let name =
        b.iter().rev().take(24).take_while(|c| WORD[usize::from(**c)] || matches!(c, b'.' | b'-')).count();
    let name = &b[b.len() - name..];
    [&b"status"[..], b"code", b"http"]
        .iter()
        .any(|k| name.windows(k.len()).any(|w| w.eq_ignore_ascii_case(k)))
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
            ("{\"elb_status_code\":\"502\",\"bytes\":\"512\"}", Level::Error, Some(502)),
            ("http.status: 503", Level::Error, Some(503)),
            ("upstream said HTTP(502)", Level::Error, Some(502)),
            ("bytes=512 (512) \"512\" id:512", Level::Info, None),
            ("took 512 ms", Level::Info, None),
            ("INFO answered 500 to client", Level::Info, Some(500)),
            ("terror and errors", Level::Info, None),
            ("", Level::Info, None),
            ("{\"error\":null,\"status\":200,\"level\":\"debug\"}", Level::Debug, None),
            ("err=nil level=warning", Level::Warn, None),
            ("error: 0x5 bad address", Level::Error, None),
            ("{\"level\":50,\"time\":1795312430123,\"msg\":\"refused\"}", Level::Error, None),
            ("{\"level\":40,\"status\":502}", Level::Warn, Some(502)),
            ("{\"level\":7,\"msg\":\"fine\"}", Level::Info, None),
            ("E1122 01:53:50.123456   7 proxy.go:12] no route", Level::Error, None),
            ("W1122 01:53:50.123456   7 proxy.go:12] slow", Level::Warn, None),
            ("E1122x is a part number", Level::Info, None),
            ("Severe: pool exhausted", Level::Error, None),
            ("\u{65e5}error\u{672c} glued to other letters", Level::Info, None),
            ("notice: reloaded; 5000 lines, 50x, 503ms", Level::Info, None),
        ];
        for (line, level, status) in table {
            assert_eq!(read(line), (level, status), "{line}");
        }
    }

    #[test]
    fn looks_at_the_head_only() {
        let line = format!("{} ERROR 502 ", "x".repeat(LOOKED_AT));
        assert_eq!(read(&line), (Level::Info, None));
        // A cut through a character is no trouble: bytes are read, not characters.
        let line = format!("{}\u{65e5}", "x".repeat(LOOKED_AT - 1));
        assert_eq!(read(&line), (Level::Info, None));
    }

    proptest::proptest! {
        #[test]
        fn a_status_is_the_same_behind_a_level_and_without_one(rest in "[ 502a=:\",)]{0,40}") {
            let (level, status) = read(&format!("INFO {rest}"));
            proptest::prop_assert_eq!(level, Level::Info);
            proptest::prop_assert_eq!(status, read(&format!("said {rest}")).1);
        }
    }
}
