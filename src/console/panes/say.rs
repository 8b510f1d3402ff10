//! Numbers, times and names as people read them. ASCII, short, and no more
//! precise than is of use: an age that changes every second costs a line of
//! bytes every second, in every pane.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// Seconds from `then` to `now`; zero when `then` is ahead (clocks differ).
pub fn seconds_since(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - then.as_second()).unwrap_or(0)
}

/// How old data is, in steps: `now`, `10s`, `30s`, `1m`, `2m`, ... `1h`, `3d`.
pub fn age(seconds: u64) -> Cow<'static, str> {
    match seconds {
        0..10 => Cow::Borrowed("now"),
        10..30 => Cow::Borrowed("10s"),
        30..60 => Cow::Borrowed("30s"),
        60..3600 => Cow::Owned(format!("{}m", seconds / 60)),
        3600..172_800 => Cow::Owned(format!("{}h", seconds / 3600)),
        _ => Cow::Owned(format!("{}d", seconds / 86_400)),
    }
}

/// How long something lasts: `42s`, `12m44s`, `3h05m`, `2d04h`. Without `fine`
/// the seconds are left out from one minute on.
pub fn lasting(seconds: u64, fine: bool) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 if fine => format!("{}m{:02}s", seconds / 60, seconds % 60),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A clock time in UTC, with the date when it is not today's: `01:40:58`,
/// `11-21 23:59:58`.
pub fn clock(t: Timestamp, now: Timestamp) -> String {
    let (t, now) = (t.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let format = if t.date() == now.date() {
        "%H:%M:%S"
    } else if t.year() == now.year() {
        "%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    t.strftime(format).to_string()
}

/// A count with separators: `3,412`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count in at most four or five columns: `87`, `9.9k`, `412k`, `1.2M`.
pub fn compact(v: f64) -> String {
    if !v.is_finite() {
        return "?".to_owned();
    }
    let a = v.abs();
    let (scaled, unit) = match a {
        _ if a < 1000.0 => {
            return if a.fract() == 0.0 || a >= 100.0 { format!("{v:.0}") } else { trim(format!("{v:.1}")) };
        }
        _ if a < 1e6 => (v / 1e3, "k"),
        _ if a < 1e9 => (v / 1e6, "M"),
        _ => (v / 1e9, "G"),
    };
    if scaled.abs() >= 100.0 {
        format!("{scaled:.0}{unit}")
    } else {
        format!("{}{unit}", trim(format!("{scaled:.1}")))
    }
}

fn trim(text: String) -> String {
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A duration in seconds as measured: `850us`, `42ms`, `1.2s`, `75s`.
pub fn latency(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "?".to_owned(),
        s if s < 0.001 => format!("{:.0}us", s * 1e6),
        s if s < 1.0 => format!("{:.0}ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1}s"),
        s => format!("{s:.0}s"),
    }
}

/// A setting in seconds: `60 s`, `2.5 s`.
pub fn setting(seconds: f64) -> String {
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { format!("{seconds} s") }
}

/// A percentage: `3.1%`, `42%`, `<0.1%`.
pub fn percent(share: f64) -> String {
    let p = share * 100.0;
    match p {
        p if !p.is_finite() => "?".to_owned(),
        p if p <= 0.0 => "0%".to_owned(),
        p if p < 0.1 => "<0.1%".to_owned(),
        p if p < 10.0 => format!("{p:.1}%"),
        p => format!("{p:.0}%"),
    }
}

/// One and many: `1 target`, `3 targets`.
pub fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

/// A long resource id cut in the middle, where ids differ least:
/// `i-0a1b2c3d4e5f60718` in 11 columns is `i-0a1...0718` with its ellipsis.
pub fn middle<'a>(id: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    if !id.is_ascii() || id.len() <= columns || columns < 6 {
        return Cow::Borrowed(id);
    }
    let room = columns - crate::text::width(ellipsis);
    let tail = (room / 2).min(4);
    Cow::Owned(format!("{}{ellipsis}{}", &id[..room - tail], &id[id.len() - tail..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let seconds = [0, 9, 10, 29, 31, 60, 3599, 3600, 90_000, 200_000];
        let ages: Vec<String> = seconds.iter().map(|s| age(*s).into_owned()).collect();
        assert_eq!(ages, ["now", "now", "10s", "10s", "30s", "1m", "59m", "1h", "25h", "2d"]);
        let fine: Vec<String> = [5, 764, 11_100, 187_200].iter().map(|s| lasting(*s, true)).collect();
        assert_eq!(fine, ["5s", "12m44s", "3h05m", "2d04h"]);
        assert_eq!(lasting(764, false), "12m");
        let now: Timestamp = "2026-11-22T01:53:51Z".parse().unwrap();
        assert_eq!(clock("2026-11-22T01:40:58Z".parse().unwrap(), now), "01:40:58");
        assert_eq!(clock("2026-11-21T23:59:58Z".parse().unwrap(), now), "11-21 23:59:58");
        assert_eq!(clock("2025-11-21T23:59:58Z".parse().unwrap(), now), "2025-11-21 23:59:58");
        assert_eq!(seconds_since(now, "2026-11-22T01:53:00Z".parse().unwrap()), 0);
    }

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 3_412_000].map(count), ["0", "999", "1,000", "3,412,000"]);
        let compacts = [0.0, 3.0, 3.17, 87.5, 432.1, 9940.0, 412_000.0, 1.25e6, 3e9, f64::NAN].map(compact);
        assert_eq!(compacts, ["0", "3", "3.2", "87.5", "432", "9.9k", "412k", "1.2M", "3G", "?"]);
        assert_eq!([0.00085, 0.042, 1.25, 75.0].map(latency), ["850us", "42ms", "1.2s", "75s"]);
        assert_eq!([60.0, 2.5].map(setting), ["60 s", "2.5 s"]);
        assert_eq!([0.0, 0.0003, 0.031, 0.42].map(percent), ["0%", "<0.1%", "3.1%", "42%"]);
        assert_eq!(plural(1, "target", "targets"), "1 target");
        assert_eq!(plural(5000, "target", "targets"), "5,000 targets");
    }

    #[test]
    fn ids_keep_both_ends() {
        assert_eq!(middle("i-0a1b2c3d4e5f60718", 11, "\u{2026}"), "i-0a1b\u{2026}0718");
        assert_eq!(middle("i-0a1b2c3d4e5f60718", 19, "\u{2026}"), "i-0a1b2c3d4e5f60718");
        assert_eq!(middle("\u{65e5}\u{672c}\u{8a9e}", 2, "~"), "\u{65e5}\u{672c}\u{8a9e}");
    }
}
