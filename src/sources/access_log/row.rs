//! One row of an access log, whatever wrote it, and the small readers of its
//! fields. Everything borrows from the line: a row costs no allocation.

/// One request (or one connection, or one health check) as its log tells it.
///
/// Times are microseconds. Texts are the bytes of the log: nothing here is
/// safe to show before it has become a [`crate::text::SafeText`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// When the response was given, since 1970; logs that note the arrival of
    /// the request have the duration added where they tell it.
    pub at: i64,
    /// From request to response; -1 when not told.
    pub took: i64,
    /// Status the client got; 0 when none is told.
    pub lb: u16,
    /// Status the target gave; 0 when it gave none.
    pub status: u16,
    /// `10.0.1.5:8080`; empty when none was tried, or it is a function.
    pub target: &'a [u8],
    /// Before, in and after the target; -1 where not known.
    pub times: [i64; 3],
    pub received: u64,
    pub sent: u64,
    pub method: &'a [u8],
    /// Host asked for, where the row tells it.
    pub host: &'a [u8],
    /// Path without query.
    pub path: &'a [u8],
    /// Address of the client, its port cut off.
    pub client: &'a [u8],
    pub agent: &'a [u8],
    /// Target group, backend pool.
    pub group: &'a [u8],
    /// Whatever joins the row to others.
    pub trace: &'a [u8],
    /// Why it failed, in the writer's own code: `LambdaUnhandled`,
    /// `OriginDnsError`, `ERRORINFO_UPSTREAM_TIMED_OUT`, `SC--`.
    pub reason: &'a [u8],
    pub actions: &'a [u8],
    /// Desync class, or result type.
    pub class: &'a [u8],
    /// Node or edge that wrote the row.
    pub node: &'a [u8],
}

impl Default for Row<'_> {
    fn default() -> Self {
        Row {
            at: 0,
            took: -1,
            lb: 0,
            status: 0,
            target: b"",
            times: [-1; 3],
            received: 0,
            sent: 0,
            method: b"",
            host: b"",
            path: b"",
            client: b"",
            agent: b"",
            group: b"",
            trace: b"",
            reason: b"",
            actions: b"",
            class: b"",
            node: b"",
        }
    }
}

impl Row<'_> {
    /// None of the three times is known.
    pub fn untimed(&self) -> bool {
        self.times == [-1; 3]
    }

    /// The row tells of a failure: see [`crate::situation::shape::failed`].
    pub fn failed(&self) -> bool {
        crate::situation::shape::failed(self.lb, self.target_status())
    }

    /// Status of the target, if it gave one.
    pub fn target_status(&self) -> Option<u16> {
        (self.status != 0).then_some(self.status)
    }
}

/// `-` and nothing are nothing.
pub(super) fn text(field: &[u8]) -> &[u8] {
    if field == b"-" { b"" } else { field }
}

/// Three digits; 0 for `-`, `000` and nothing; `None` for anything else.
pub(super) fn code(field: &[u8]) -> Option<u16> {
    match field {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        b"-" | b"" | b"0" => Some(0),
        _ => None,
    }
}

/// A number without sign; 0 when it is none.
pub(super) fn number(field: &[u8]) -> u64 {
    if field.is_empty() || field.len() > 18 {
        return 0;
    }
    let mut n = 0;
    for c in field {
        if !c.is_ascii_digit() {
            return 0;
        }
        n = n * 10 + u64::from(c - b'0');
    }
    n
}

/// Seconds such as `0.041` as microseconds; -1 for `-1`, `-` and what is no number.
pub(super) fn seconds(field: &[u8]) -> i64 {
    scaled(field, 1_000_000)
}

/// Milliseconds such as `41` or `41.5` as microseconds; -1 as in [`seconds`].
pub(super) fn millis(field: &[u8]) -> i64 {
    scaled(field, 1_000)
}

/// A decimal number times `unit`, which is a power of ten.
pub(super) fn scaled(field: &[u8], unit: i64) -> i64 {
    // `0.041`, as most are.
    if let [whole @ b'0'..=b'9', b'.', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = field {
        let n = |d: &u8| i64::from(d - b'0');
        return n(whole) * unit + (n(a) * 100 + n(b) * 10 + n(c)) * unit / 1_000;
    }
    if field.is_empty() || field.len() > 18 {
        return -1;
    }
    let mut whole: i64 = 0;
    let mut i = 0;
    while let Some(c) = field.get(i).filter(|c| c.is_ascii_digit()) {
        whole = whole * 10 + i64::from(c - b'0');
        i += 1;
    }
    if i == 0 || whole > 1 << 40 {
        return -1;
    }
    let mut out = whole.saturating_mul(unit);
    if field.get(i) == Some(&b'.') {
        i += 1;
        let mut part = unit / 10;
        while let Some(c) = field.get(i).filter(|c| c.is_ascii_digit()) {
            out += i64::from(c - b'0') * part;
            part /= 10;
            i += 1;
        }
    }
    if i == field.len() { out } else { -1 }
}

/// An address without its port.
pub(super) fn host_of(address: &[u8]) -> &[u8] {
    match address.iter().rposition(|c| *c == b':') {
        Some(i) => &address[..i],
        None => address,
    }
}

/// Method, host and path of `GET https://host:443/path?query HTTP/1.1`.
pub(super) fn request(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let Some(blank) = line.iter().position(|c| *c == b' ') else { return (b"", b"", b"") };
    let (method, rest) = (&line[..blank], &line[blank + 1..]);
    let url = &rest[..memchr::memchr(b' ', rest).unwrap_or(rest.len())];
    let (host, path) = url_parts(url);
    (text(method), host, path)
}

/// Host and path of a URL, or of a path alone.
pub(super) fn url_parts(url: &[u8]) -> (&[u8], &[u8]) {
    let known = url.strip_prefix(b"https://").or_else(|| url.strip_prefix(b"http://"));
    let after = match (known, url.iter().take(8).position(|c| *c == b':')) {
        (Some(after), _) => after,
        (None, Some(i)) if url[i + 1..].starts_with(b"//") => &url[i + 3..],
        _ => return (b"", no_query(if url.is_empty() || url == b"-" { b"/" } else { url })),
    };
    match memchr::memchr(b'/', after) {
        Some(i) => (&after[..i], no_query(&after[i..])),
        None => (after, b"/"),
    }
}

/// A path without what stands behind `?`, `#` or `;`.
pub(super) fn no_query(path: &[u8]) -> &[u8] {
    &path[..memchr::memchr3(b'?', b'#', b';', path).unwrap_or(path.len())]
}

/// Reads times; rows follow each other, so that all but the seconds of a time
/// is mostly the time before's.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    minute: [u8; 16],
    base: i64,
}

impl Clock {
    /// `2026-05-04T10:00:00.123456Z`, with or without fraction; `Z`, an offset or nothing behind it.
    pub fn iso(&mut self, b: &[u8]) -> Option<i64> {
        let minute: &[u8; 16] = b.first_chunk()?;
        if *minute != self.minute {
            let sep = |i: usize, c: u8| minute[i] == c;
            let dated = sep(4, b'-') && sep(7, b'-') && matches!(minute[10], b'T' | b' ') && sep(13, b':');
            if !dated {
                return None;
            }
            let n = |from: usize, to: usize| digits(&minute[from..to]);
            let day = days(n(0, 4)?, n(5, 7)?, n(8, 10)?)?;
            let (hour, min) = (n(11, 13)?, n(14, 16)?);
            if hour > 23 || min > 59 {
                return None;
            }
            self.base = (day * 86_400 + hour * 3_600 + min * 60) * 1_000_000;
            self.minute = *minute;
        }
        let mut rest = &b[16..];
        let mut micros = 0;
        if let [b':', tens @ b'0'..=b'6', ones @ b'0'..=b'9', tail @ ..] = rest {
            micros = i64::from((tens - b'0') * 10 + (ones - b'0')) * 1_000_000;
            rest = tail;
        }
        // `.123456Z`, as most are.
        if let [b'.', digits @ .., b'Z'] = rest
            && let Ok(six) = <&[u8; 6]>::try_from(digits)
            && six.iter().all(u8::is_ascii_digit)
        {
            let n = six.iter().fold(0, |n, c| n * 10 + i64::from(c - b'0'));
            return Some(self.base + micros + n);
        }
        if let [b'.', tail @ ..] = rest {
            let mut part = 100_000;
            let mut i = 0;
            while let Some(c) = tail.get(i).filter(|c| c.is_ascii_digit()) {
                micros += i64::from(c - b'0') * part;
                part /= 10;
                i += 1;
            }
            rest = &tail[i..];
        }
        match rest {
            b"Z" | b"" => Some(self.base + micros),
            _ => Some(self.base + micros - offset(rest)? * 1_000_000),
        }
    }

    /// `10/Oct/2000:13:55:36 -0700`, with or without fraction and offset (none: UTC).
    pub fn clf(&mut self, b: &[u8]) -> Option<i64> {
        let head: &[u8; 20] = b.first_chunk()?;
        if head[2] != b'/' || head[6] != b'/' || head[11] != b':' || head[14] != b':' || head[17] != b':' {
            return None;
        }
        const MONTHS: [&[u8; 3]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(&head[3..6]))?;
        let n = |from: usize, to: usize| digits(&head[from..to]);
        let day = days(n(7, 11)?, month as i64 + 1, n(0, 2)?)?;
        let (hour, min, sec) = (n(12, 14)?, n(15, 17)?, n(18, 20)?);
        if hour > 23 || min > 59 || sec > 60 {
            return None;
        }
        let mut micros = (day * 86_400 + hour * 3_600 + min * 60 + sec) * 1_000_000;
        let mut rest = &b[20..];
        if let [b'.', tail @ ..] = rest {
            let n = tail.iter().take_while(|c| c.is_ascii_digit()).count();
            micros += scaled(&[b"0.", &tail[..n.min(6)]].concat(), 1_000_000).max(0);
            rest = &tail[n..];
        }
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        if rest.is_empty() {
            return Some(micros);
        }
        Some(micros - offset(rest)? * 1_000_000)
    }
}

/// Seconds of `Z`, `+09:00`, `-0700`.
fn offset(b: &[u8]) -> Option<i64> {
    let (sign, rest) = match b {
        b"Z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (h, m) = match rest.len() {
        4 => (digits(&rest[..2])?, digits(&rest[2..])?),
        5 if rest[2] == b':' => (digits(&rest[..2])?, digits(&rest[3..])?),
        _ => return None,
    };
    (h <= 18 && m <= 59).then_some(sign * (h * 3_600 + m * 60))
}

fn digits(b: &[u8]) -> Option<i64> {
    let mut n = 0;
    for c in b {
        if !c.is_ascii_digit() {
            return None;
        }
        n = n * 10 + i64::from(c - b'0');
    }
    Some(n)
}

/// Days since 1970 of a date of the Gregorian calendar (after H. Hinnant,
/// "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTH: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = LENGTH.get(usize::try_from(month - 1).ok()?)? + i64::from(leap && month == 2);
    // Years a timestamp can hold on either side of ours.
    if !(1970..=9998).contains(&year) || day < 1 || day > longest {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jiff(t: &str) -> i64 {
        t.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn times_are_what_a_calendar_says() {
        let mut c = Clock::default();
        for t in [
            "2026-05-04T10:00:00.123456Z",
            "2024-02-29T23:59:59Z",
            "1970-01-01T00:00:00Z",
            "2026-05-04T10:00:30.5+09:00",
            "2026-05-04T10:00:30-07:30",
            "2000-03-01T00:00:00.000001Z",
        ] {
            assert_eq!(c.iso(t.as_bytes()), Some(jiff(t)), "{t}");
        }
        assert_eq!(c.iso(b"2018-12-20T02:59:40"), Some(jiff("2018-12-20T02:59:40Z")));
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-05-04T24:00:00Z",
            "-",
            "",
            "x",
            "2026-05-04T10:00:00.1Zx",
            "2026/05/04T10:00:00Z",
            "1900-01-01T00:00:00Z",
        ] {
            assert_eq!(c.iso(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(c.clf(b"10/Oct/2000:13:55:36 -0700"), Some(jiff("2000-10-10T13:55:36-07:00")));
        assert_eq!(c.clf(b"06/Feb/2009:12:14:14.655"), Some(jiff("2009-02-06T12:14:14.655Z")));
        assert_eq!(c.clf(b"31/Feb/2009:12:14:14"), None);
        assert_eq!(c.clf(b"06/Fub/2009:12:14:14"), None);
    }

    #[test]
    fn numbers_are_read_or_are_none() {
        for (t, us) in [
            ("0.041", 41_000),
            ("-1", -1),
            ("-", -1),
            ("", -1),
            ("0.00491", 4_910),
            ("60", 60_000_000),
            ("1.121980746", 1_121_980),
            ("1e3", -1),
            ("0,5", -1),
            (".5", -1),
            ("5.", 5_000_000),
        ] {
            assert_eq!(seconds(t.as_bytes()), us, "{t}");
        }
        assert_eq!(
            (code(b"502"), code(b"-"), code(b"000"), code(b"5o2"), code(b"5020")),
            (Some(502), Some(0), Some(0), None, None)
        );
        assert_eq!((number(b"412"), number(b"-"), number(b"99999999999999999999")), (412, 0, 0));
    }

    #[test]
    fn a_request_line_comes_apart() {
        let parts = |l: &str| {
            let (m, h, p) = request(l.as_bytes());
            [m, h, p].map(|b| String::from_utf8_lossy(b).into_owned())
        };
        assert_eq!(parts("GET https://a.b:443/x/y?card=1 HTTP/2.0"), ["GET", "a.b:443", "/x/y"]);
        assert_eq!(parts("- http://a.b:80- -"), ["", "a.b:80-", "/"]);
        assert_eq!(parts("GET /x;jsessionid=1 HTTP/1.1"), ["GET", "", "/x"]);
        assert_eq!(parts("nothing"), ["", "", ""]);
        assert_eq!(parts("GET /a:b//c HTTP/1.1"), ["GET", "", "/a:b//c"]);
    }
}
