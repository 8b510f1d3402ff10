//! Rows that are JSON objects, one a line: load balancers' rows as delivered
//! to CloudWatch Logs, CloudFront standard logs v2, API Gateway, Azure
//! Application Gateway, and web servers that log JSON. Only the first two
//! levels are looked at, nothing is copied: a value with escapes keeps them.

use super::Format;
use super::row::{Clock, Row, code, host_of, millis, no_query, number, request, seconds, text, url_parts};

/// Members that are looked at; an object with more is read as far as this.
const MOST: usize = 96;

/// Members of an object; those of objects in it stand among them.
pub(super) struct Members<'a> {
    all: [(&'a [u8], &'a [u8]); MOST],
    n: usize,
}

impl<'a> Members<'a> {
    /// Reads one object; `None` when the line is no JSON object.
    pub fn read(line: &'a [u8]) -> Option<Members<'a>> {
        let mut m = Members { all: [(b"", b""); MOST], n: 0 };
        let end = m.object(line, 0, 0)?;
        line[end..].iter().all(u8::is_ascii_whitespace).then_some(m)
    }

    /// The value of the first of `names` that is there and not null; empty else.
    pub fn get(&self, names: &[&str]) -> &'a [u8] {
        for name in names {
            for (k, v) in &self.all[..self.n] {
                if k.eq_ignore_ascii_case(name.as_bytes()) && *v != b"null" {
                    return v;
                }
            }
        }
        b""
    }

    fn has(&self, name: &str) -> bool {
        self.all[..self.n].iter().any(|(k, _)| k.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn object(&mut self, b: &'a [u8], at: usize, depth: usize) -> Option<usize> {
        let mut i = blanks(b, at);
        if *b.get(i)? != b'{' || depth > 2 {
            return None;
        }
        i = blanks(b, i + 1);
        if *b.get(i)? == b'}' {
            return Some(i + 1);
        }
        loop {
            let (key, after) = string(b, i)?;
            i = blanks(b, after);
            if *b.get(i)? != b':' {
                return None;
            }
            i = blanks(b, i + 1);
            i = match *b.get(i)? {
                b'{' if depth == 0 => self.object(b, i, depth + 1)?,
                b'"' => {
                    let (value, after) = string(b, i)?;
                    self.put(key, value);
                    after
                }
                b'{' | b'[' => {
                    let end = nested(b, i)?;
                    self.put(key, &b[i..end]);
                    end
                }
                _ => {
                    let end =
                        i + b[i..].iter().position(|c| matches!(c, b',' | b'}' | b']' | b' ' | b'\t'))?;
                    if end == i {
                        return None;
                    }
                    self.put(key, &b[i..end]);
                    end
                }
            };
            i = blanks(b, i);
            match *b.get(i)? {
                b',' => i = blanks(b, i + 1),
                b'}' => return Some(i + 1),
                _ => return None,
            }
        }
    }

    fn put(&mut self, key: &'a [u8], value: &'a [u8]) {
        if self.n < MOST {
            self.all[self.n] = (key, value);
            self.n += 1;
        }
    }
}

fn blanks(b: &[u8], at: usize) -> usize {
    at + b.get(at..).map_or(0, |r| r.iter().take_while(|c| c.is_ascii_whitespace()).count())
}

/// What stands between the quotes at `at`, and where it goes on behind them.
fn string(b: &[u8], at: usize) -> Option<(&[u8], usize)> {
    if *b.get(at)? != b'"' {
        return None;
    }
    let mut i = at + 1;
    loop {
        i += memchr::memchr2(b'"', b'\\', b.get(i..)?)?;
        if b[i] == b'"' {
            return Some((&b[at + 1..i], i + 1));
        }
        i += 2;
    }
}

/// End of the array or object at `at`.
fn nested(b: &[u8], at: usize) -> Option<usize> {
    let (mut i, mut open) = (at, 0usize);
    loop {
        match *b.get(i)? {
            b'"' => {
                i = string(b, i)?.1;
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
}

/// One line, and what wrote it.
pub(super) fn row<'a>(line: &'a [u8], clock: &mut Clock) -> Option<(Format, Row<'a>)> {
    let m = Members::read(line)?;
    let format = if m.has("elb_status_code") {
        if m.has("target_port") || m.has("target_processing_time") { Format::Alb } else { Format::Clb }
    } else if m.has("sc-status") {
        Format::CloudFront
    } else if m.has("target_addr") {
        Format::AlbHealth
    } else if m.has("tls_handshake_latency") || m.has("tls_verify_status") {
        Format::AlbConnection
    } else if m.has("incoming_tls_alert") || m.has("tls_connection_creation_time") {
        Format::Nlb
    } else if m.has("httpStatus") || m.has("serverRouted") {
        Format::AzureGateway
    } else if m.has("requestId") || m.has("integrationLatency") || m.has("routeKey") || m.has("resourcePath")
    {
        Format::ApiGateway
    } else if m.has("status") {
        Format::Web
    } else {
        return None;
    };
    let row = match format {
        Format::Alb | Format::Clb => alb(&m, clock),
        Format::CloudFront => cloudfront(&m, clock),
        Format::AlbHealth => health(&m, clock),
        Format::AlbConnection => connection(&m, clock),
        Format::Nlb => nlb(&m, clock),
        Format::AzureGateway => azure(&m, clock),
        Format::ApiGateway => api_gateway(&m, clock),
        _ => web(&m, clock),
    }?;
    Some((format, row))
}

fn alb<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let (method, host, path) = request(m.get(&["request_line", "request"]));
    let at = clock.iso(m.get(&["time", "timestamp"]))?;
    let created = clock.iso(m.get(&["request_creation_time"]));
    Some(Row {
        at,
        took: created.map_or(-1, |c| (at - c).max(0)),
        lb: code(m.get(&["elb_status_code"]))?,
        status: code(m.get(&["target_status_code", "backend_status_code"])).unwrap_or(0),
        target: text(m.get(&["target_port", "backend_port"])),
        times: [
            seconds(m.get(&["request_processing_time"])),
            seconds(m.get(&["target_processing_time", "backend_processing_time"])),
            seconds(m.get(&["response_processing_time"])),
        ],
        received: number(m.get(&["received_bytes"])),
        sent: number(m.get(&["sent_bytes"])),
        method,
        host,
        path,
        client: host_of(m.get(&["client_port"])),
        agent: m.get(&["user_agent"]),
        group: text(m.get(&["target_group_arn"])),
        trace: text(m.get(&["trace_id"])),
        actions: text(m.get(&["actions_executed"])),
        reason: text(m.get(&["error_reason"])),
        class: text(m.get(&["classification"])),
        node: text(m.get(&["ip_address"])),
    })
}

fn health<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let took = seconds(m.get(&["latency"]));
    Some(Row {
        at: clock.iso(m.get(&["time"]))? + took.max(0),
        took,
        times: [-1, took, -1],
        status: code(m.get(&["status_code"])).unwrap_or(0),
        target: text(m.get(&["target_addr"])),
        group: text(m.get(&["target_group_id"])),
        class: m.get(&["status"]),
        reason: text(m.get(&["reason_code"])),
        node: text(m.get(&["ip_address"])),
        ..Row::default()
    })
}

fn connection<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let verify = text(m.get(&["tls_verify_status"]));
    let tls = text(m.get(&["tls_protocol"]));
    let latency = seconds(m.get(&["tls_handshake_latency"]));
    let reason: &[u8] = match verify {
        v if v.starts_with(b"Failed") => v,
        _ if !tls.is_empty() && latency < 0 => b"HandshakeFailed",
        _ => b"",
    };
    Some(Row {
        at: clock.iso(m.get(&["time", "timestamp"]))?,
        took: latency,
        client: text(m.get(&["client_ip"])),
        trace: text(m.get(&["conn_trace_id"])),
        class: tls,
        node: text(m.get(&["ip_address"])),
        reason,
        ..Row::default()
    })
}

fn nlb<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let handshake = millis(m.get(&["tls_handshake_time"]));
    let cipher = text(m.get(&["tls_cipher"]));
    Some(Row {
        at: clock.iso(m.get(&["time", "timestamp"]))?,
        took: millis(m.get(&["connection_time"])),
        times: [handshake, -1, -1],
        target: text(m.get(&["destination_port", "destination"])),
        received: number(m.get(&["received_bytes"])),
        sent: number(m.get(&["sent_bytes"])),
        client: host_of(m.get(&["client_port"])),
        reason: text(m.get(&["incoming_tls_alert"])),
        class: if handshake < 0 && cipher.is_empty() { b"failed" } else { b"" },
        host: text(m.get(&["domain_name"])),
        ..Row::default()
    })
}

fn cloudfront<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let (date, time) = (m.get(&["date"]), m.get(&["time"]));
    let at = match number(m.get(&["timestamp(ms)"])) {
        0 if date.len() == 10 && time.len() == 8 => {
            let mut stamp = [0; 19];
            stamp[..10].copy_from_slice(date);
            stamp[10] = b'T';
            stamp[11..].copy_from_slice(time);
            clock.iso(&stamp)?
        }
        0 => {
            i64::try_from(number(m.get(&["timestamp"]))).ok().filter(|t| *t > 0 && *t < 1 << 40)? * 1_000_000
        }
        ms => i64::try_from(ms).ok().filter(|t| *t < 1 << 50)? * 1_000,
    };
    Some(Row {
        at,
        took: seconds(m.get(&["time-taken"])),
        lb: code(m.get(&["sc-status"]))?,
        times: [-1, seconds(m.get(&["time-to-first-byte"])), -1],
        received: number(m.get(&["cs-bytes"])),
        sent: number(m.get(&["sc-bytes"])),
        method: text(m.get(&["cs-method"])),
        host: text(m.get(&["cs(Host)"])),
        path: text(m.get(&["cs-uri-stem"])),
        client: text(m.get(&["c-ip"])),
        agent: text(m.get(&["cs(User-Agent)"])),
        group: text(m.get(&["r-host"])),
        trace: text(m.get(&["x-edge-request-id"])),
        class: text(m.get(&["x-edge-result-type"])),
        reason: text(m.get(&["x-edge-detailed-result-type"])),
        node: text(m.get(&["x-edge-location"])),
        ..Row::default()
    })
}

fn api_gateway<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let at = match m.get(&["requestTime", "time", "timestamp"]) {
        b"" => epoch_ms(m.get(&["requestTimeEpoch"]))?,
        t => clock.clf(t).or_else(|| clock.iso(t)).or_else(|| epoch_ms(t))?,
    };
    let took = millis(m.get(&["responseLatency", "latency"]));
    let within = millis(m.get(&["integrationLatency", "integration.latency", "integration_latency"]));
    // The function's own status stands behind the invocation's.
    let status = ["integration.status", "integrationStatus", "integration_status"]
        .iter()
        .find_map(|n| code(m.get(&[n])).filter(|s| *s > 0))
        .unwrap_or(0);
    let kind = text(m.get(&["error.responseType", "errorResponseType", "responseType"]));
    let words = [
        "integrationErrorMessage",
        "integration.error",
        "integrationError",
        "error.message",
        "errorMessage",
        "error",
    ];
    let path = m.get(&["path", "resourcePath"]);
    let route = m.get(&["routeKey"]);
    let (of_route, path_of_route) = match memchr::memchr(b' ', route) {
        Some(i) => (&route[..i], &route[i + 1..]),
        None => (b"".as_slice(), route),
    };
    let method = text(m.get(&["httpMethod"]));
    Some(Row {
        // The log has the time of the arrival.
        at: at + took.max(0),
        took,
        lb: code(m.get(&["status"]))?,
        status,
        times: [-1, within, -1],
        sent: number(m.get(&["responseLength"])),
        method: if method.is_empty() { of_route } else { method },
        host: text(m.get(&["domainName"])),
        path: no_query(if path.is_empty() { path_of_route } else { path }),
        client: text(m.get(&["ip", "sourceIp", "identity.sourceIp"])),
        agent: text(m.get(&["userAgent"])),
        group: text(m.get(&["apiId", "stage"])),
        trace: text(m.get(&["requestId", "extendedRequestId"])),
        reason: if kind.is_empty() { text(m.get(&words)) } else { kind },
        class: text(m.get(&["integrationStatus"])),
        ..Row::default()
    })
}

fn epoch_ms(b: &[u8]) -> Option<i64> {
    i64::try_from(number(b)).ok().filter(|ms| *ms > 0 && *ms < 1 << 50).map(|ms| ms * 1_000)
}

fn azure<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let took = seconds(m.get(&["timeTaken"]));
    let method = text(m.get(&["httpMethod"]));
    let (host, path) = url_parts(m.get(&["requestUri", "originalRequestUriWithArgs"]));
    let named = text(m.get(&["originalHost", "host"]));
    Some(Row {
        at: clock.iso(m.get(&["timeStamp", "time"]))?,
        took,
        lb: code(m.get(&["httpStatus"]))?,
        status: code(m.get(&["serverStatus"])).unwrap_or(0),
        target: text(m.get(&["serverRouted"])),
        times: [-1, seconds(m.get(&["serverResponseLatency"])), -1],
        received: number(m.get(&["receivedBytes"])),
        sent: number(m.get(&["sentBytes"])),
        method,
        host: if named.is_empty() { host } else { named },
        path,
        client: text(m.get(&["clientIP"])),
        agent: text(m.get(&["userAgent"])),
        group: text(m.get(&["backendPoolName", "ruleName"])),
        trace: text(m.get(&["transactionId"])),
        reason: text(m.get(&["error_info"])),
        class: text(m.get(&["WAFMode"])),
        node: text(m.get(&["instanceId"])),
        ..Row::default()
    })
}

/// nginx and others with a `log_format` of JSON, by the names of their variables.
fn web<'a>(m: &Members<'a>, clock: &mut Clock) -> Option<Row<'a>> {
    let stamp = m.get(&["time_iso8601", "time", "timestamp", "@timestamp", "time_local", "msec", "ts"]);
    let at = clock.iso(stamp).or_else(|| clock.clf(stamp)).or_else(|| {
        let us = seconds(stamp);
        (us > 0).then_some(us)
    })?;
    let line = request(m.get(&["request"]));
    let (host, path) = url_parts(m.get(&["uri", "request_uri", "path"]));
    let method = text(m.get(&["request_method", "method"]));
    let named = text(m.get(&["host", "http_host", "server_name"]));
    Some(Row {
        at,
        took: seconds(m.get(&["request_time", "duration"])),
        lb: code(m.get(&["status"]))?,
        status: code(last(m.get(&["upstream_status"]))).unwrap_or(0),
        target: text(last(m.get(&["upstream_addr"]))),
        times: [
            seconds(last(m.get(&["upstream_connect_time"]))),
            seconds(last(m.get(&["upstream_response_time", "upstream_header_time"]))),
            -1,
        ],
        received: number(m.get(&["request_length"])),
        sent: number(m.get(&["bytes_sent", "body_bytes_sent"])),
        method: if method.is_empty() { line.0 } else { method },
        host: if named.is_empty() { host } else { named },
        path: if line.2.is_empty() { path } else { line.2 },
        client: text(m.get(&["remote_addr", "client_ip", "remote_ip"])),
        agent: text(m.get(&["http_user_agent", "user_agent"])),
        trace: text(m.get(&["request_id", "http_x_amzn_trace_id"])),
        ..Row::default()
    })
}

/// The last of several attempts: `10.0.1.5:80, 10.0.1.6:80`.
pub(super) fn last(list: &[u8]) -> &[u8] {
    let tail = list.rsplit(|c| *c == b',').next().unwrap_or(list).trim_ascii();
    // `a : b` where a request was redirected within the server.
    match tail.windows(3).rposition(|w| w == b" : ") {
        Some(i) => tail[i + 3..].trim_ascii(),
        None => tail,
    }
}
