//! Rows of Elastic Load Balancing as text: Application (access, connection and
//! health-check log), Network and Classic Load Balancers. Source of the fields:
//! "Access logs", "Connection logs" and "Health check logs" of the three user
//! guides. Fields are only ever appended, so surplus ones are ignored.

use super::row::{Clock, Row, code, host_of, millis, number, request, seconds, text};
use memchr::{memchr, memchr_iter};

/// A row of an Application Load Balancer has at least these fields.
const LEAST: usize = 21;
/// The last field that is read is the 34th.
const MOST: usize = 34;

/// Where a quoted value that began before `from` ends: at a quote with a blank
/// or the end of the line behind it that no backslash takes away.
pub(super) fn quote_end(line: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let i = at + memchr(b'"', line.get(at..)?)?;
        if matches!(line.get(i + 1), None | Some(b' ')) {
            let slashes = line[from..i].iter().rev().take_while(|c| **c == b'\\').count();
            if slashes % 2 == 0 {
                return Some(i);
            }
        }
        at = i + 1;
    }
}

/// Splits at blanks outside of quotes into `out`; returns how many there are
/// (no more than fit). The last value may lack its closing quote.
pub(super) fn tokens<'a>(line: &'a [u8], out: &mut [&'a [u8]]) -> usize {
    let mut n = 0;
    let mut at = 0;
    while n < out.len() {
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        if at >= line.len() {
            break;
        }
        let end;
        if line[at] == b'"' {
            end = quote_end(line, at + 1).unwrap_or(line.len());
            out[n] = &line[at + 1..end];
            at = end + 1;
        } else {
            end = memchr(b' ', &line[at..]).map_or(line.len(), |i| at + i);
            out[n] = &line[at..end];
            at = end;
        }
        n += 1;
    }
    n
}

/// The first twelve fields, and where the one behind them begins. They are so
/// short that eight bytes looked at together find their ends sooner than a
/// search that is begun anew for each.
#[inline]
fn first_fields(line: &[u8]) -> Option<([&[u8]; 12], usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * ONES;
    let mut f: [&[u8]; 12] = [b""; 12];
    let (mut n, mut start) = (0, 0);
    let (words, _) = line.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let x = u64::from_le_bytes(*word) ^ (ONES * 0x20);
        // The high bit of each byte that is a blank, and of no other.
        let mut found = !(((x & LOW) + LOW) | x | LOW);
        while found != 0 {
            let blank = i * 8 + (found.trailing_zeros() / 8) as usize;
            f[n] = line.get(start..blank)?;
            start = blank + 1;
            n += 1;
            if n == f.len() {
                return Some((f, start));
            }
            found &= found - 1;
        }
    }
    // A row with so little behind its twelfth field is none.
    None
}

/// One line of an Application Load Balancer's access log. Without `full`, the
/// fields behind the user agent are read for failing rows only: they cost as
/// much as all others together.
pub(super) fn alb<'a>(line: &'a [u8], full: bool, clock: &mut Clock) -> Option<Row<'a>> {
    let (f, start) = first_fields(line)?;
    if line.get(start) != Some(&b'"') {
        return None;
    }
    let req_end = quote_end(line, start + 1)?;
    let agent_at = req_end + 2;
    if line.get(agent_at) != Some(&b'"') {
        return None;
    }
    let agent_end = quote_end(line, agent_at + 1)?;
    let rest = line.get(agent_end + 2..)?.trim_ascii_end();
    let (method, host, path) = request(&line[start + 1..req_end]);
    let mut row = Row {
        at: clock.iso(f[1])?,
        lb: code(f[8])?,
        status: code(f[9])?,
        target: text(f[4]),
        times: [seconds(f[5]), seconds(f[6]), seconds(f[7])],
        received: number(f[10]),
        sent: number(f[11]),
        method,
        host,
        path,
        client: host_of(f[3]),
        agent: &line[agent_at + 1..agent_end],
        ..Row::default()
    };
    if full || row.failed() {
        // From the 15th field on: ssl_cipher.
        let mut t: [&[u8]; MOST - 14] = [b""; MOST - 14];
        if tokens(rest, &mut t) + 14 < LEAST {
            return None;
        }
        row.group = text(t[2]);
        row.trace = text(t[3]);
        row.took = clock.iso(t[7]).map_or(-1, |created| (row.at - created).max(0));
        row.actions = text(t[8]);
        row.reason = text(t[10]);
        row.class = text(t[13]);
        row.node = text(t[19]);
    } else if memchr_iter(b' ', rest).count() + 15 < LEAST {
        return None;
    }
    Some(row)
}

/// One line of an Application Load Balancer's connection log. A connection
/// that failed has its reason; one that did not has none.
pub(super) fn alb_connection<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Row<'a>> {
    let mut t: [&[u8]; 16] = [b""; 16];
    if tokens(line, &mut t) < 11 {
        return None;
    }
    let plain = t[4] == b"-" && t[5] == b"-";
    let verify = text(t[10]);
    // A handshake that broke off leaves cipher and latency empty.
    let reason: &[u8] = match verify {
        v if v.starts_with(b"Failed") => v,
        _ if !plain && t[6] == b"-" => b"HandshakeFailed",
        _ => b"",
    };
    Some(Row {
        at: clock.iso(t[0])?,
        took: seconds(t[6]),
        client: (number(t[2]) > 0).then_some(t[1])?,
        trace: text(t[11]),
        class: text(t[4]),
        node: text(t[14]),
        reason,
        ..Row::default()
    })
}

/// One line of an Application Load Balancer's health-check log.
pub(super) fn alb_health<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Row<'a>> {
    let mut t: [&[u8]; 10] = [b""; 10];
    if tokens(line, &mut t) < 6 || !matches!(t[5], b"PASS" | b"FAIL") {
        return None;
    }
    let took = seconds(t[2]);
    Some(Row {
        at: clock.iso(t[1])? + took.max(0),
        took,
        times: [-1, took, -1],
        status: code(t[6]).unwrap_or(0),
        target: text(t[3]),
        group: text(t[4]),
        class: t[5],
        reason: text(t[7]),
        node: text(t[9]),
        ..Row::default()
    })
}

/// One line of a Classic Load Balancer. Its time is the arrival of the request.
pub(super) fn clb<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Row<'a>> {
    let mut t: [&[u8]; 15] = [b""; 15];
    if tokens(line, &mut t) < 12 {
        return None;
    }
    let times = [seconds(t[4]), seconds(t[5]), seconds(t[6])];
    let took = if times.iter().all(|s| *s < 0) { -1 } else { times.iter().map(|s| s.max(&0)).sum() };
    let (method, host, path) = request(t[11]);
    Some(Row {
        at: clock.iso(t[0])? + took.max(0),
        took,
        lb: code(t[7])?,
        status: code(t[8])?,
        target: text(t[3]),
        times,
        received: number(t[9]),
        sent: number(t[10]),
        method,
        host,
        path,
        client: host_of(t[2]),
        agent: text(t[12]),
        ..Row::default()
    })
}

/// One line of a Network Load Balancer's TLS listener. There is no status: the
/// alert of a handshake that failed is the reason.
pub(super) fn nlb<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Row<'a>> {
    let mut t: [&[u8]; 22] = [b""; 22];
    if tokens(line, &mut t) < 16 || t[0] != b"tls" {
        return None;
    }
    let handshake = millis(t[8]);
    Some(Row {
        at: clock.iso(t[2])?,
        took: millis(t[7]),
        times: [handshake, -1, -1],
        target: text(t[6]),
        received: number(t[9]),
        sent: number(t[10]),
        client: host_of(t[5]),
        reason: text(t[11]),
        // A handshake that was not finished has neither cipher nor duration.
        class: if handshake < 0 && t[14] == b"-" { b"failed" } else { b"" },
        host: text(t[17]),
        ..Row::default()
    })
}
