//! Rows of web servers and proxies: common and combined log of Apache and
//! nginx with what people put behind it, a format that was given, API
//! Gateway's CLF form, and HAProxy's HTTP log. Sources: "Log Files", Apache
//! HTTP Server; module ngx_http_log_module; "HTTP log format", HAProxy manual.

use super::Format;
use super::elb::{quote_end, tokens};
use super::json::last;
use super::row::{
    Clock, Row, code, host_of, millis, no_query, number, request, scaled, seconds, text, url_parts,
};
use memchr::memchr;

/// Values behind the user agent that are looked at.
const EXTRA: usize = 24;

/// Where the time in brackets stands: `[10/Oct/2000:13:55:36 -0700]`.
fn bracket(line: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        let open = at + memchr(b'[', line.get(at..)?)?;
        let close = open + memchr(b']', &line[open..])?;
        if line.get(open + 3) == Some(&b'/') && line.get(open + 7) == Some(&b'/') {
            return Some((open, close));
        }
        at = open + 1;
    }
}

/// A line of the common or combined form, or API Gateway's CLF.
pub(super) fn clf<'a>(line: &'a [u8], clock: &mut Clock) -> Option<(Format, Row<'a>)> {
    let (open, close) = bracket(line)?;
    let mut before: [&[u8]; 6] = [b""; 6];
    let n = tokens(&line[..open], &mut before);
    // A virtual host may stand in front.
    let client = if n >= 4 { before[1] } else { before[0] };
    let named: &[u8] = if n >= 4 { before[0] } else { b"" };
    let quote = blank(line, close + 1);
    if line.get(quote) != Some(&b'"') {
        return None;
    }
    let end = quote_end(line, quote + 1)?;
    let (method, host, path) = request(&line[quote + 1..end]);
    let mut t: [&[u8]; EXTRA] = [b""; EXTRA];
    let n = words(line.get(end + 1..)?, &mut t);
    if n < 1 {
        return None;
    }
    let mut row = Row {
        at: clock.clf(&line[open + 1..close])?,
        lb: code(t[0])?,
        sent: number(t[1]),
        method,
        host: if host.is_empty() { host_of(named) } else { host },
        path,
        client: text(client),
        ..Row::default()
    };
    if n == 3 && t[2].len() >= 15 && !t[2].contains(&b'/') {
        row.trace = t[2];
        return Some((Format::ApiGateway, row));
    }
    row.agent = t[3];
    extras(&mut row, t.get(4..n).unwrap_or(&[]));
    Some((Format::Web, row))
}

/// As [`tokens`], with `name="quoted value"` as one.
fn words<'a>(line: &'a [u8], out: &mut [&'a [u8]]) -> usize {
    let (mut n, mut at) = (0, 0);
    while n < out.len() {
        at = blank(line, at);
        if at >= line.len() {
            break;
        }
        let (from, mut end) = match line[at] {
            b'"' => (at + 1, quote_end(line, at + 1).unwrap_or(line.len())),
            _ => (at, memchr(b' ', &line[at..]).map_or(line.len(), |i| at + i)),
        };
        if line[at] != b'"'
            && let Some(open) = memchr::memmem::find(&line[at..end], b"=\"")
        {
            end = quote_end(line, at + open + 2).map_or(line.len(), |i| i + 1);
        }
        out[n] = &line[from..end];
        at = end + usize::from(line[at] == b'"');
        n += 1;
    }
    n
}

/// What people put behind the combined form: `rt=0.5 uct="0.001"`, or durations,
/// addresses and statuses without names.
fn extras<'a>(row: &mut Row<'a>, all: &[&'a [u8]]) {
    let mut floats = 0;
    for t in all {
        if let Some(eq) = memchr(b'=', t).filter(|i| *i > 0 && *i < 32) {
            let value = t[eq + 1..].strip_prefix(b"\"").unwrap_or(&t[eq + 1..]);
            let value = value.strip_suffix(b"\"").unwrap_or(value);
            name(row, &t[..eq], last(value));
            continue;
        }
        let v = last(t);
        let point = memchr(b'.', v);
        if point.is_some() && seconds(v) >= 0 {
            match floats {
                0 => row.took = seconds(v),
                1 => row.times[1] = seconds(v),
                _ => {}
            }
            floats += 1;
        } else if row.status == 0 && v.len() == 3 && code(v).is_some_and(|c| c >= 100) {
            row.status = code(v).unwrap_or(0);
        } else if row.target.is_empty() && (is_address(v) || v.starts_with(b"unix:")) {
            row.target = v;
        }
    }
}

/// `10.0.1.5:8080` or `[::1]:80`: with a port, unlike a forwarded-for.
fn is_address(v: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', v) else { return false };
    let (host, port) = (&v[..colon], &v[colon + 1..]);
    let v4 = host.iter().all(|c| c.is_ascii_digit() || *c == b'.') && host.contains(&b'.');
    (v4 || host.starts_with(b"[")) && !port.is_empty() && port.iter().all(u8::is_ascii_digit)
}

fn name<'a>(row: &mut Row<'a>, key: &[u8], value: &'a [u8]) {
    match key {
        b"rt" | b"request_time" | b"duration" => row.took = seconds(value),
        b"uct" | b"upstream_connect_time" => row.times[0] = seconds(value),
        b"urt" | b"upstream_response_time" | b"upstream_time" => row.times[1] = seconds(value),
        b"uht" | b"upstream_header_time" if row.times[1] < 0 => row.times[1] = seconds(value),
        b"ua" | b"uaddr" | b"upstream" | b"upstream_addr" => row.target = text(value),
        b"us" | b"ustatus" | b"upstream_status" => row.status = code(value).unwrap_or(0),
        b"host" | b"vhost" => row.host = text(value),
        b"rid" | b"request_id" | b"trace" | b"trace_id" => row.trace = text(value),
        _ => {}
    }
}

fn blank(line: &[u8], mut at: usize) -> usize {
    while line.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

/// A line of HAProxy's `option httplog`, with or without a syslog header.
/// Its time is the arrival; the termination state is the reason.
pub(super) fn haproxy<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Row<'a>> {
    let (open, close) = bracket(line)?;
    let mut t: [&[u8]; 12] = [b""; 12];
    let rest = line.get(close + 1..)?;
    if tokens(rest, &mut t) < 9 {
        return None;
    }
    let mut timers = t[2].split(|c| *c == b'/');
    let mut next = || timers.next().map(|v| millis(v.strip_prefix(b"+").unwrap_or(v)));
    let (wait_request, queue, connect, answer) = (next()?, next()?, next()?, next()?);
    let total = next()?;
    // cc, sc: SC--, sH--; four characters.
    if t[7].len() != 4 || t[8].iter().filter(|c| **c == b'/').count() < 4 {
        return None;
    }
    let slash = memchr(b'/', t[1])?;
    let server = &t[1][slash + 1..];
    let client = line[..open].trim_ascii_end().rsplit(|c| *c == b' ').next().unwrap_or(b"");
    let quote = memchr::memrchr(b'"', rest.strip_suffix(b"\"").unwrap_or(b""));
    let (method, host, path) = quote.map_or((b"".as_slice(), b"".as_slice(), b"".as_slice()), |q| {
        request(rest[q + 1..].strip_suffix(b"\"").unwrap_or(b""))
    });
    let before = [wait_request, queue, connect];
    let lb = code(t[3].strip_prefix(b"-").filter(|r| *r == b"1").map_or(t[3], |_| b"-"))?;
    // Two dashes in front: nobody aborted, the status came from the server.
    let normal = t[7].starts_with(b"--");
    Some(Row {
        at: clock.clf(&line[open + 1..close])? + total.max(0),
        took: total,
        lb,
        status: if normal && answer >= 0 { lb } else { 0 },
        target: if server == b"<NOSRV>" { b"" } else { t[1] },
        times: [if before.contains(&-1) { -1 } else { before.iter().sum() }, answer, -1],
        sent: number(t[4]),
        method,
        host,
        path,
        client: host_of(client),
        group: &t[1][..slash],
        reason: if normal { b"" } else { t[7] },
        ..Row::default()
    })
}

/// What a part of a given format stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Client,
    Time,
    Request,
    Method,
    Uri,
    Status,
    Sent,
    Received,
    Agent,
    Host,
    /// Duration in a unit of so many to a second.
    Took(i64),
    Upstream,
    UpstreamStatus,
    UpstreamConnect,
    UpstreamTime,
    Trace,
    Other,
}

/// A `log_format` of nginx or a `LogFormat` of Apache, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    head: Vec<u8>,
    /// Each field with what stands behind it.
    fields: Vec<(Field, Vec<u8>)>,
}

impl Template {
    /// Reads a format with `$variables` or `%directives`.
    ///
    /// # Errors
    /// One line: what is wrong with it.
    pub fn parse(format: &str) -> Result<Template, String> {
        let b = format.as_bytes();
        let mut t = Template { head: Vec::new(), fields: Vec::new() };
        let nginx = format.contains('$');
        let mut i = 0;
        while i < b.len() {
            let (field, end) = match b[i] {
                b'$' if nginx => variable(b, i + 1),
                b'%' if !nginx && b.get(i + 1) == Some(&b'%') => {
                    t.literal(b'%');
                    i += 2;
                    continue;
                }
                b'%' if !nginx => directive(b, i + 1)?,
                b'\\' if !nginx && i + 1 < b.len() => {
                    t.literal(b[i + 1]);
                    i += 2;
                    continue;
                }
                c => {
                    t.literal(c);
                    i += 1;
                    continue;
                }
            };
            if t.fields.last().is_some_and(|f| f.1.is_empty()) {
                return Err(format!("has two fields with nothing between them, at byte {i}"));
            }
            t.fields.push((field, Vec::new()));
            if field == Field::Time && !nginx {
                // %t brings its own brackets.
                t.put_before(b"[");
                if let Some(last) = t.fields.last_mut() {
                    last.1.push(b']');
                }
            }
            i = end;
        }
        let has = |f: Field| t.fields.iter().any(|(g, _)| *g == f);
        if !has(Field::Time) {
            return Err("has no time: $time_local, $time_iso8601, $msec or %t is needed".into());
        }
        if !has(Field::Status) {
            return Err("has no status: $status or %>s is needed".into());
        }
        Ok(t)
    }

    fn literal(&mut self, c: u8) {
        match self.fields.last_mut() {
            Some(last) => last.1.push(c),
            None => self.head.push(c),
        }
    }

    /// Adds to the text in front of the last field.
    fn put_before(&mut self, text: &[u8]) {
        match self.fields.len() {
            0 | 1 => self.head.extend(text),
            n => self.fields[n - 2].1.extend(text),
        }
    }

    pub(super) fn row<'a>(&self, line: &'a [u8], clock: &mut Clock) -> Option<Row<'a>> {
        let mut rest = line.strip_prefix(self.head.as_slice())?;
        let mut row = Row::default();
        let mut timed = false;
        for (field, after) in &self.fields {
            let end = match after.as_slice() {
                [] => rest.len(),
                [b'"', ..] => quote_end(rest, 0).or_else(|| memchr(b'"', rest))?,
                until => memchr::memmem::find(rest, until)?,
            };
            let v = &rest[..end];
            rest = rest.get(end + after.len()..)?;
            match field {
                Field::Client => row.client = text(v),
                Field::Time => {
                    row.at = clock.clf(v).or_else(|| clock.iso(v)).or_else(|| {
                        let us = seconds(v);
                        (us > 0).then_some(us)
                    })?;
                    timed = true;
                }
                Field::Request => (row.method, row.host, row.path) = request(v),
                Field::Method => row.method = text(v),
                Field::Uri => (_, row.path) = url_parts(no_query(v)),
                Field::Status => row.lb = code(v)?,
                Field::Sent => row.sent = number(v),
                Field::Received => row.received = number(v),
                Field::Agent => row.agent = v,
                Field::Host => row.host = text(v),
                Field::Took(per) => row.took = scaled(v, *per),
                Field::Upstream => row.target = text(last(v)),
                Field::UpstreamStatus => row.status = code(last(v)).unwrap_or(0),
                Field::UpstreamConnect => row.times[0] = seconds(last(v)),
                Field::UpstreamTime => row.times[1] = seconds(last(v)),
                Field::Trace => row.trace = text(v),
                Field::Other => {}
            }
        }
        timed.then_some(row)
    }
}

fn variable(b: &[u8], at: usize) -> (Field, usize) {
    let braced = b.get(at) == Some(&b'{');
    let from = at + usize::from(braced);
    let n = b[from..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == b'_').count();
    let end = from + n + usize::from(braced && b.get(from + n) == Some(&b'}'));
    let field = match &b[from..from + n] {
        b"remote_addr" => Field::Client,
        b"time_local" | b"time_iso8601" | b"msec" => Field::Time,
        b"request" => Field::Request,
        b"request_method" => Field::Method,
        b"request_uri" | b"uri" | b"document_uri" => Field::Uri,
        b"status" => Field::Status,
        b"body_bytes_sent" | b"bytes_sent" => Field::Sent,
        b"request_length" => Field::Received,
        b"http_user_agent" => Field::Agent,
        b"host" | b"http_host" | b"server_name" => Field::Host,
        b"request_time" => Field::Took(1_000_000),
        b"upstream_addr" => Field::Upstream,
        b"upstream_status" => Field::UpstreamStatus,
        b"upstream_connect_time" => Field::UpstreamConnect,
        b"upstream_response_time" => Field::UpstreamTime,
        b"request_id" | b"http_x_amzn_trace_id" | b"http_x_request_id" => Field::Trace,
        _ => Field::Other,
    };
    (field, end)
}

fn directive(b: &[u8], at: usize) -> Result<(Field, usize), String> {
    let mut i = at;
    while b.get(i).is_some_and(|c| matches!(c, b'<' | b'>' | b'!' | b',' | b'0'..=b'9')) {
        i += 1;
    }
    let mut argument: &[u8] = b"";
    if b.get(i) == Some(&b'{') {
        let close = memchr(b'}', &b[i..]).ok_or_else(|| format!("has a brace without end at byte {i}"))?;
        argument = &b[i + 1..i + close];
        i += close + 1;
    }
    let Some(letter) = b.get(i) else { return Err("ends in the middle of a directive".into()) };
    let field = match (letter, argument) {
        (b'h' | b'a', _) => Field::Client,
        (b't', b"") => Field::Time,
        (b't', _) => return Err("has a time of its own form; only plain %t is read".into()),
        (b'r', _) => Field::Request,
        (b'm', _) => Field::Method,
        (b'U', _) => Field::Uri,
        (b's', _) => Field::Status,
        (b'b' | b'B' | b'O', _) => Field::Sent,
        (b'I', _) => Field::Received,
        (b'D', _) => Field::Took(1),
        (b'T', b"ms") => Field::Took(1_000),
        (b'T', b"us") => Field::Took(1),
        (b'T', _) => Field::Took(1_000_000),
        (b'v' | b'V', _) => Field::Host,
        (b'i', a) if a.eq_ignore_ascii_case(b"user-agent") => Field::Agent,
        (b'i', a) if a.eq_ignore_ascii_case(b"host") => Field::Host,
        (b'i', a) if a.eq_ignore_ascii_case(b"x-amzn-trace-id") => Field::Trace,
        (b'e', b"BALANCER_WORKER_NAME") => Field::Upstream,
        _ => Field::Other,
    };
    Ok((field, i + 1))
}
