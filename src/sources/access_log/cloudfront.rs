//! CloudFront standard logs as tab-separated text. Source of the fields:
//! "Standard logging (access logs)", Amazon CloudFront developer guide.

use super::row::{Clock, Row, code, number, seconds, text};
use memchr::memchr_iter;

/// What badgate reads of a row.
const READ: [&[u8]; 16] = [
    b"date",
    b"time",
    b"x-edge-location",
    b"sc-bytes",
    b"c-ip",
    b"cs-method",
    b"cs(Host)",
    b"cs-uri-stem",
    b"sc-status",
    b"cs(User-Agent)",
    b"x-edge-result-type",
    b"x-edge-request-id",
    b"cs-bytes",
    b"time-taken",
    b"time-to-first-byte",
    b"x-edge-detailed-result-type",
];

/// The columns of the legacy format, in its order.
const LEGACY: [&[u8]; 33] = [
    b"date",
    b"time",
    b"x-edge-location",
    b"sc-bytes",
    b"c-ip",
    b"cs-method",
    b"cs(Host)",
    b"cs-uri-stem",
    b"sc-status",
    b"cs(Referer)",
    b"cs(User-Agent)",
    b"cs-uri-query",
    b"cs(Cookie)",
    b"x-edge-result-type",
    b"x-edge-request-id",
    b"x-host-header",
    b"cs-protocol",
    b"cs-bytes",
    b"time-taken",
    b"x-forwarded-for",
    b"ssl-protocol",
    b"ssl-cipher",
    b"x-edge-response-result-type",
    b"cs-protocol-version",
    b"fle-status",
    b"fle-encrypted-fields",
    b"c-port",
    b"time-to-first-byte",
    b"x-edge-detailed-result-type",
    b"sc-content-type",
    b"sc-content-len",
    b"sc-range-start",
    b"sc-range-end",
];

/// Columns that a row can have at most: v2 logs may select many more than 33.
const MOST: usize = 80;

/// In which column each of [`READ`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns([Option<u8>; READ.len()]);

impl Default for Columns {
    fn default() -> Self {
        Columns::of(LEGACY.iter().copied())
    }
}

impl Columns {
    fn of<'a>(names: impl Iterator<Item = &'a [u8]>) -> Columns {
        let mut at = [None; READ.len()];
        for (i, name) in names.take(MOST).enumerate() {
            if let Some(k) = READ.iter().position(|r| r.eq_ignore_ascii_case(name)) {
                at[k] = u8::try_from(i).ok();
            }
        }
        Columns(at)
    }

    /// What a `#Fields:` line says; `None` for any other line.
    pub fn header(line: &[u8]) -> Option<Columns> {
        let names = line.strip_prefix(b"#Fields:")?;
        Some(Columns::of(names.split(|c| matches!(c, b' ' | b'\t')).filter(|n| !n.is_empty())))
    }
}

/// One row. Its time is the end of the response.
pub(super) fn tab<'a>(line: &'a [u8], columns: &Columns, clock: &mut Clock) -> Option<Row<'a>> {
    let mut f: [&[u8]; MOST] = [b""; MOST];
    let (mut n, mut start) = (0, 0);
    for tab in memchr_iter(b'\t', line) {
        if n == MOST - 1 {
            break;
        }
        f[n] = &line[start..tab];
        start = tab + 1;
        n += 1;
    }
    f[n] = &line[start..];
    if n < 8 {
        return None;
    }
    let at = |k: usize| columns.0[k].map_or(b"".as_slice(), |i| f[usize::from(i)]);
    let (date, time) = (at(0), at(1));
    if date.len() != 10 || time.len() != 8 {
        return None;
    }
    let mut stamp = [0; 19];
    stamp[..10].copy_from_slice(date);
    stamp[10] = b'T';
    stamp[11..].copy_from_slice(time);
    Some(Row {
        at: clock.iso(&stamp)?,
        node: text(at(2)),
        sent: number(at(3)),
        client: text(at(4)),
        method: text(at(5)),
        host: text(at(6)),
        path: text(at(7)),
        lb: code(at(8))?,
        agent: text(at(9)),
        class: text(at(10)),
        trace: text(at(11)),
        received: number(at(12)),
        took: seconds(at(13)),
        times: [-1, seconds(at(14)), -1],
        reason: text(at(15)),
        ..Row::default()
    })
}
