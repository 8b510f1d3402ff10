//! Reads the time a log line says of itself. By hand and without regex: it
//! runs for every line of a file that is followed.
//!
//! Known forms: ISO 8601 and RFC 3339 (`2026-11-22T01:53:50.123Z`, with a
//! blank, a comma before the fraction, an offset or none), nginx's error log
//! (`2026/11/22 01:53:50`), the Common Log Format (`22/Nov/2026:01:53:50
//! +0000`), syslog (`Nov 22 01:53:50`), Apache's error log (`Sun Nov 22
//! 01:53:50.123456 2026`), seconds or milliseconds since 1970, and JSON and
//! logfmt fields that hold one of them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

/// Bytes from the start within which a stamp of its own may begin; further on
/// a date is more likely part of the message.
const HEAD: usize = 48;
/// Access logs put addresses and user names before their bracketed time.
const HEAD_CLF: usize = 256;
/// Bytes of a JSON or logfmt line in which the time field is looked for.
const FIELDS: usize = 2048;

/// Reads stamps; holds the zone that stamps without one are read in.
#[derive(Clone, Debug)]
pub struct Stamps {
    zone: TimeZone,
}

impl Stamps {
    /// `zone`: of the writer, for forms that do not say.
    pub fn new(zone: TimeZone) -> Self {
        Stamps { zone }
    }

    /// The time in `line`, if it has one. `now` supplies the year where the
    /// form has none; what lies more than a day after it is not a stamp.
    pub fn read(&self, line: &[u8], now: Timestamp) -> Option<Timestamp> {
        let start = line.iter().position(|b| *b != b' ')?;
        let line = &line[start..];
        let found = if line[0] == b'{' { self.json(line, now) } else { self.text(line, now) };
        let day_ahead = now.as_second().saturating_add(86_400);
        found.filter(|t| t.as_second() <= day_ahead)
    }

    fn text(&self, line: &[u8], now: Timestamp) -> Option<Timestamp> {
        if let Some(t) = epoch_head(line) {
            return Some(t);
        }
        let end = line.len().min(HEAD_CLF);
        let mut i = 0;
        let mut boundary = true;
        while i < end {
            let b = line[i];
            if boundary && b.is_ascii_digit() {
                let digits = line[i..].iter().take_while(|c| c.is_ascii_digit()).count();
                let found = match digits {
                    4 if i < HEAD => self.iso(&line[i..]),
                    2 => clf(&line[i..]),
                    _ => None,
                };
                if found.is_some() {
                    return found;
                }
                i += digits;
                boundary = false;
                continue;
            }
            if boundary
                && i < HEAD
                && b.is_ascii_uppercase()
                && let Some(t) = self.month_first(&line[i..], now)
            {
                return Some(t);
            }
            // `time=2026-...` and `T` between date and time: letters end a
            // boundary, signs begin one.
            boundary = !b.is_ascii_alphanumeric();
            i += 1;
        }
        self.logfmt(line)
    }

    /// `ts=...` or `time="..."` behind other fields.
    fn logfmt(&self, line: &[u8]) -> Option<Timestamp> {
        let window = &line[..line.len().min(FIELDS)];
        let mut from = 0;
        while let Some(n) = window[from..].iter().position(|b| *b == b'=') {
            let eq = from + n;
            let name = window[..eq].rsplit(|b| *b == b' ').next().unwrap_or_default();
            let value = &window[eq + 1..];
            if is_time_name(name)
                && let Some(t) = self.value(value.strip_prefix(b"\"").unwrap_or(value))
            {
                return Some(t);
            }
            from = eq + 1;
        }
        None
    }

    /// A time field of a JSON object, wherever it stands. No parse of the
    /// whole: strings are told from what lies between them, no more.
    fn json(&self, line: &[u8], now: Timestamp) -> Option<Timestamp> {
        if let Some(t) = self.fields(&line[..line.len().min(FIELDS)]) {
            return Some(t);
        }
        // Docker's json-file driver writes the time last, behind the message.
        let tail = &line[line.len().saturating_sub(160)..];
        let at = tail.windows(8).rposition(|w| w == b"\"time\":\"")?;
        self.value(&tail[at + 8..]).filter(|_| line.len() > FIELDS || now > Timestamp::UNIX_EPOCH)
    }

    fn fields(&self, b: &[u8]) -> Option<Timestamp> {
        let mut i = 0;
        while i < b.len() {
            if b[i] != b'"' {
                i += 1;
                continue;
            }
            let start = i + 1;
            i = end_of_string(b, start)?;
            let name = &b[start..i];
            i += 1;
            let mut v = i;
            while v < b.len() && matches!(b[v], b' ' | b':') {
                v += 1;
            }
            if b.get(i) == Some(&b':') || (v > i && b[i..v].contains(&b':')) {
                i = v;
                if is_time_name(name) {
                    let quoted = b.get(v) == Some(&b'"');
                    if let Some(t) = self.value(&b[(v + usize::from(quoted)).min(b.len())..]) {
                        return Some(t);
                    }
                }
                // A string value must not be taken for the next name.
                if b.get(v) == Some(&b'"') {
                    i = end_of_string(b, v + 1)? + 1;
                }
            }
        }
        None
    }

    /// The value of a time field: any of the forms, or a number.
    fn value(&self, v: &[u8]) -> Option<Timestamp> {
        let digits = v.iter().take_while(|c| c.is_ascii_digit()).count();
        match digits {
            4 => self.iso(v),
            2 => clf(v),
            10 | 13 | 16 | 19 => epoch(v, digits),
            _ => None,
        }
    }

    /// `2026-11-22T01:53:50`, `2026/11/22 01:53:50`, with what may follow.
    fn iso(&self, b: &[u8]) -> Option<Timestamp> {
        let sep = *b.get(4)?;
        if !matches!(sep, b'-' | b'/')
            || *b.get(7)? != sep
            || !matches!(*b.get(10)?, b'T' | b't' | b' ' | b'_')
        {
            return None;
        }
        let date = Date::new(num(b, 0, 4)?.cast_signed(), two(b, 5)?, two(b, 8)?).ok()?;
        let (time, used) = clock(&b[11..])?;
        self.zoned(date.to_datetime(time), &b[11 + used..])
    }

    /// `Nov 22 01:53:50` (syslog) and `Sun Nov 22 01:53:50.1 2026` (Apache).
    fn month_first(&self, b: &[u8], now: Timestamp) -> Option<Timestamp> {
        let b = if is_weekday(b) { &b[4..] } else { b };
        let month = month(b)?;
        if *b.get(3)? != b' ' {
            return None;
        }
        let day = if *b.get(4)? == b' ' { num(b, 5, 1)? as i8 } else { two(b, 4)? };
        if *b.get(6)? != b' ' {
            return None;
        }
        let (time, used) = clock(&b[7..])?;
        let rest = &b[7 + used..];
        if let Some(year) = rest.strip_prefix(b" ").and_then(|y| num(y, 0, 4))
            && (1990..2100).contains(&year)
        {
            return self.zoned(Date::new(year.cast_signed(), month, day).ok()?.to_datetime(time), b"");
        }
        // No year: the newest one that does not put the line into the future.
        let year = now.to_zoned(self.zone.clone()).year();
        [year + 1, year, year - 1].into_iter().find_map(|y| {
            let t = self.zoned(Date::new(y, month, day).ok()?.to_datetime(time), b"")?;
            (t.as_second() <= now.as_second().saturating_add(86_400)).then_some(t)
        })
    }

    fn zoned(&self, at: DateTime, rest: &[u8]) -> Option<Timestamp> {
        match offset(rest) {
            Some(o) => o.to_timestamp(at).ok(),
            None => self.zone.to_ambiguous_timestamp(at).compatible().ok(),
        }
    }
}

fn is_time_name(name: &[u8]) -> bool {
    const NAMES: [&str; 13] = [
        "time",
        "timestamp",
        "@timestamp",
        "ts",
        "t",
        "datetime",
        "date",
        "$date",
        "eventtime",
        "asctime",
        "time_local",
        "time_iso8601",
        "starttime",
    ];
    NAMES.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
}

/// Index of the quote that ends the string whose text starts at `i`.
fn end_of_string(b: &[u8], mut i: usize) -> Option<usize> {
    loop {
        match b.get(i)? {
            b'\\' => i += 2,
            b'"' => return Some(i),
            _ => i += 1,
        }
    }
}

fn num(b: &[u8], at: usize, len: usize) -> Option<u16> {
    let mut n = 0u16;
    for c in b.get(at..at + len)? {
        n = n * 10 + u16::from(c.is_ascii_digit().then(|| c - b'0')?);
    }
    Some(n)
}

fn two(b: &[u8], at: usize) -> Option<i8> {
    num(b, at, 2).map(|n| n as i8)
}

/// `01:53:50`, with a fraction behind `.` or `,`; and the bytes it took.
fn clock(b: &[u8]) -> Option<(jiff::civil::Time, usize)> {
    if *b.get(2)? != b':' || *b.get(5)? != b':' {
        return None;
    }
    let (mut nanos, mut used) = (0i32, 8);
    if matches!(b.get(8), Some(b'.' | b',')) {
        let digits = b[9..].iter().take_while(|c| c.is_ascii_digit()).count();
        for i in 0..9 {
            nanos = nanos * 10 + if i < digits { i32::from(b[9 + i] - b'0') } else { 0 };
        }
        used = if digits > 0 { 9 + digits } else { 8 };
    }
    // A leap second is shown as the second before it.
    let time = jiff::civil::Time::new(two(b, 0)?, two(b, 3)?, two(b, 6)?.min(59), nanos).ok()?;
    Some((time, used))
}

/// `Z`, `+09:00`, ` +0900`, ` UTC` at the start of what follows a time.
fn offset(b: &[u8]) -> Option<Offset> {
    let b = b.strip_prefix(b" ").unwrap_or(b);
    match b.first()? {
        b'Z' | b'z' => Some(Offset::UTC),
        b'U' if b.starts_with(b"UTC") => Some(Offset::UTC),
        b'G' if b.starts_with(b"GMT") => Some(Offset::UTC),
        sign @ (b'+' | b'-') => {
            let colon = usize::from(b.get(3) == Some(&b':'));
            let seconds = i32::from(num(b, 1, 2)?) * 3600 + num(b, 3 + colon, 2).map_or(0, i32::from) * 60;
            Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).ok()
        }
        _ => None,
    }
}

/// `22/Nov/2026:01:53:50 +0000`.
fn clf(b: &[u8]) -> Option<Timestamp> {
    if *b.get(2)? != b'/' || *b.get(6)? != b'/' || *b.get(11)? != b':' {
        return None;
    }
    let date = Date::new(num(b, 7, 4)?.cast_signed(), month(&b[3..])?, two(b, 0)?).ok()?;
    let (time, used) = clock(&b[12..])?;
    offset(&b[12 + used..]).unwrap_or(Offset::UTC).to_timestamp(date.to_datetime(time)).ok()
}

fn month(b: &[u8]) -> Option<i8> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let name = b.get(..3)?;
    MONTHS.iter().position(|m| *m == name).map(|i| i as i8 + 1)
}

fn is_weekday(b: &[u8]) -> bool {
    b.len() > 4
        && b[3] == b' '
        && [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"].iter().any(|d| b.starts_with(*d))
}

/// `1795312430.123 ...` or `1795312430123 ...` at the start of a line.
fn epoch_head(b: &[u8]) -> Option<Timestamp> {
    let digits = b.iter().take(20).take_while(|c| c.is_ascii_digit()).count();
    let ends = matches!(b.get(digits), None | Some(b' ' | b'.' | b',' | b'\t' | b':' | b']'));
    if matches!(digits, 10 | 13 | 16 | 19) && ends { epoch(b, digits) } else { None }
}

/// Seconds, milli-, micro- or nanoseconds since 1970 by the number of digits;
/// seconds may have a fraction. None outside 2000 to 2100.
fn epoch(b: &[u8], digits: usize) -> Option<Timestamp> {
    let whole: i64 = std::str::from_utf8(&b[..digits]).ok()?.parse().ok()?;
    let per_second = 10i64.pow(digits as u32 - 10);
    let mut nanos = (whole % per_second) * (1_000_000_000 / per_second);
    if digits == 10 && b.get(10) == Some(&b'.') {
        let mut unit = 100_000_000;
        for c in b[11..].iter().take(9).take_while(|c| c.is_ascii_digit()) {
            nanos += i64::from(c - b'0') * unit;
            unit /= 10;
        }
    }
    let seconds = whole / per_second;
    (946_684_800..4_102_444_800).contains(&seconds).then(|| Timestamp::new(seconds, nanos as i32).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_servers_write() {
        let now = utc("2026-11-22T02:00:00Z");
        let stamps = Stamps::new(TimeZone::UTC);
        let t = "2026-11-22T01:53:50Z";
        let ms = "2026-11-22T01:53:50.123Z";
        let table = [
            ("2026-11-22T01:53:50Z GET /", t),
            ("2026-11-22T01:53:50.123Z GET /", ms),
            ("2026-11-22T10:53:50.123+09:00 GET /", ms),
            ("2026-11-22 10:53:50,123 +0900 INFO", ms),
            ("2026-11-21 20:53:50-0500 INFO", t),
            ("2026-11-22 01:53:50 UTC [12] LOG:  ready", t),
            ("2026-11-22 01:53:50.123 INFO", ms),
            ("[2026-11-22 01:53:50 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)", t),
            ("2026/11/22 01:53:50 [error] 12#12: *3 connect() failed", t),
            ("10.0.1.7 - - [22/Nov/2026:01:53:50 +0000] \"GET / HTTP/1.1\" 502 157", t),
            ("2001:db8:85a3::8a2e:370:7334 - yui.tanaka@example.com [22/Nov/2026:10:53:50 +0900] \"GET /", t),
            ("Nov 22 01:53:50 web-1 kernel: Out of memory", t),
            ("<34>Nov 22 01:53:50 web-1 su: failed", t),
            ("<165>1 2026-11-22T01:53:50.123Z web-1 app 7 ID47 - up", ms),
            ("Dec  1 01:53:50 web-1 cron: last year", "2025-12-01T01:53:50Z"),
            ("[Sun Nov 22 01:53:50.123000 2026] [proxy:error] AH00957", ms),
            ("1795312430 plain seconds", t),
            ("1795312430.123    57 10.0.0.1 TCP_MISS/502", ms),
            ("1795312430123 millis", ms),
            ("{\"level\":50,\"time\":1795312430123,\"msg\":\"x\"}", ms),
            ("{\"ts\":1795312430.123,\"msg\":\"x\"}", ms),
            ("{\"msg\":\"time\\\":\\\"no\", \"timestamp\" : \"2026-11-22T01:53:50.123Z\"}", ms),
            ("{\"msg\":\"time\",\"x\":\"timestamp\",\"@timestamp\":\"2026-11-22T01:53:50Z\"}", t),
            ("{\"t\":{\"$date\":\"2026-11-22T01:53:50.123+00:00\"},\"s\":\"I\"}", ms),
            ("{\"time_local\":\"22/Nov/2026:01:53:50 +0000\",\"status\":502}", t),
            (
                "{\"log\":\"2025-01-01 not the stamp\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-22T01:53:50.123Z\"}",
                ms,
            ),
            (
                "level=info caller=/a/very/long/path/to/a/file/main.go:120 ts=2026-11-22T01:53:50.123Z msg=up",
                ms,
            ),
            ("time=\"2026-11-22T01:53:50Z\" level=error", t),
            ("  2026-11-22T01:53:50Z indented", t),
            ("2026-11-22T01:53:60Z leap", "2026-11-22T01:53:59Z"),
        ];
        for (line, want) in table {
            assert_eq!(stamps.read(line.as_bytes(), now), Some(utc(want)), "{line}");
        }
        let long = format!("{{\"log\":\"{}\",\"time\":\"2026-11-22T01:53:50Z\"}}", "x".repeat(5000));
        assert_eq!(stamps.read(long.as_bytes(), now), Some(utc(t)));
    }

    #[test]
    fn does_not_invent_a_time() {
        let now = utc("2026-11-22T02:00:00Z");
        let stamps = Stamps::new(TimeZone::UTC);
        for line in [
            "",
            "   ",
            "    at com.example.Shop.pay(Shop.java:2026)",
            "certificate ends at 2027-01-01T00:00:00Z",
            "2026-11-22",
            "2026-13-45 99:99:99",
            "2099-11-22T01:53:50Z from the future",
            "version 2026-11-2201:53:50",
            "{\"time\":12}",
            "{\"time\":\"soon\"}",
            "{\"time",
            "{\"time\":",
            "{\"time\":\"",
            "{\"a\\",
            "1795312430abc",
            "12345678901 eleven digits",
            "Nov",
            "Nov 22 01:53",
            "22/Nov/2026",
            "a long sentence that ends with a date in the past, namely 2020-01-01T00:00:00Z",
        ] {
            assert_eq!(stamps.read(line.as_bytes(), now), None, "{line}");
        }
    }

    #[test]
    fn reads_zoneless_forms_in_the_writers_zone() {
        let now = utc("2026-11-22T02:00:00Z");
        let stamps = Stamps::new(TimeZone::fixed(Offset::constant(9)));
        let want = Some(utc("2026-11-22T01:53:50Z"));
        for line in ["2026/11/22 10:53:50 [error]", "Nov 22 10:53:50 web-1 x", "2026-11-22T01:53:50Z"] {
            assert_eq!(stamps.read(line.as_bytes(), now), want, "{line}");
        }
    }

    #[test]
    fn the_turn_of_the_year_belongs_to_the_old_one() {
        let stamps = Stamps::new(TimeZone::UTC);
        let now = utc("2027-01-01T00:00:05Z");
        assert_eq!(stamps.read(b"Dec 31 23:59:59 web-1 x", now), Some(utc("2026-12-31T23:59:59Z")));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Stamps::new(TimeZone::UTC).read(&line, utc("2026-11-22T02:00:00Z"));
        }

        #[test]
        fn never_panics_on_near_misses(line in r#"[\{"]?("time"|ts|time)?[:= "]{0,3}[0-9T:/,. +Z-]{0,30}(Nov|Sun)?[0-9: /]{0,20}"#) {
            let _ = Stamps::new(TimeZone::UTC).read(line.as_bytes(), utc("2026-11-22T02:00:00Z"));
        }
    }
}
