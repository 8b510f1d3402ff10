//! Rows of the logs of CloudFront (standard log, tab separated or JSON), API
//! Gateway (access log in the owner's own format) and Classic Load Balancers.
//! Sources: "Configure and use standard logs", Amazon CloudFront developer
//! guide; "Variables for access logging", API Gateway developer guide;
//! "Access log files", Classic Load Balancers user guide.

use crate::situation::front::{FrontLog, FrontRow};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Failing rows kept at most; then every second one is let go.
const KEPT: usize = 4000;

/// Reads lines into counts and failing rows.
#[derive(Debug, Default)]
pub struct Reader {
    from: Option<Timestamp>,
    log: FrontLog,
    minutes: BTreeMap<(i64, u16), u32>,
    thinned: u32,
    /// Failing rows met so far, kept or not.
    met: u64,
    /// Columns of a CloudFront file, by name.
    columns: Vec<String>,
}

impl Reader {
    /// Rows before `from` are passed over.
    pub fn new(from: Option<Timestamp>) -> Reader {
        Reader { from, thinned: 1, ..Reader::default() }
    }

    /// One line of a CloudFront standard log file, or a row of it as JSON.
    pub fn edge(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(names) = line.strip_prefix("#Fields:") {
            self.columns = names.split_ascii_whitespace().map(String::from).collect();
            return;
        }
        if line.starts_with('#') || line.is_empty() {
            return;
        }
        let row = if line.starts_with('{') {
            let doc: Option<Map<String, Value>> = serde_json::from_str(line).ok();
            doc.and_then(|d| edge_row(|name| text_of(d.get(name)?)))
        } else {
            let cells: Vec<&str> = line.split('\t').collect();
            let at = |name: &str| self.columns.iter().position(|c| c == name);
            edge_row(|name| at(name).and_then(|i| cells.get(i)).map(|c| (*c).to_string()))
        };
        self.take(row);
    }

    /// One event of an API's access log; `format` is the stage's setting, `at`
    /// when the event was written.
    pub fn api(&mut self, line: &str, format: &str, at: Timestamp) {
        let vars = variables(line, format);
        self.take(vars.and_then(|v| api_row(&v, at)));
    }

    /// One line of a Classic Load Balancer's access log.
    pub fn classic(&mut self, line: &str) {
        if !line.trim().is_empty() {
            self.take(classic_row(line));
        }
    }

    fn take(&mut self, row: Option<FrontRow>) {
        let Some(row) = row else {
            self.log.unreadable += 1;
            return;
        };
        if self.from.is_some_and(|f| row.at < f) {
            return;
        }
        self.log.rows += 1;
        self.log.newest = self.log.newest.max(Some(row.at));
        let minute = row.at.as_second().div_euclid(60) * 60;
        *self.minutes.entry((minute, row.status)).or_default() += 1;
        // A row whose inner status is bad is told even where an error page hides it.
        if !(row.status == 0 || row.status >= 400 || row.result.as_str() == "Error") {
            return;
        }
        self.met += 1;
        if self.met.is_multiple_of(u64::from(self.thinned)) {
            self.log.failing.push(row);
        }
        if self.log.failing.len() >= KEPT {
            let mut keep = false;
            self.log.failing.retain(|_| {
                keep = !keep;
                keep
            });
            self.thinned *= 2;
        }
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.log.rows
    }

    /// What was read. `origin` says where from, `cut` what was left out.
    pub fn finish(self, origin: SafeText, cut: SafeText) -> FrontLog {
        let mut log = self.log;
        log.failing.sort_by_key(|r| r.at);
        let minutes = self.minutes.into_iter();
        log.minutes = minutes
            .filter_map(|((t, status), n)| Some((Timestamp::from_second(t).ok()?, status, n)))
            .collect();
        FrontLog { origin, cut, from: self.from, thinned: self.thinned, ..log }
    }
}

fn text_of(v: &Value) -> Option<String> {
    match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn short(text: Option<String>) -> SafeText {
    let text = text.unwrap_or_default();
    if text == "-" { SafeText::default() } else { SafeText::capped(text, 300) }
}

fn edge_row(get: impl Fn(&str) -> Option<String>) -> Option<FrontRow> {
    let at = match (get("date"), get("time")) {
        (Some(d), Some(t)) => format!("{d}T{t}Z").parse().ok()?,
        _ => match get("timestamp(ms)") {
            Some(ms) => Timestamp::from_millisecond(ms.parse().ok()?).ok()?,
            None => Timestamp::from_second(get("timestamp")?.parse().ok()?).ok()?,
        },
    };
    let status = get("sc-status")?;
    Some(FrontRow {
        at,
        status: if status == "000" { 0 } else { status.parse().ok()? },
        method: short(get("cs-method")),
        path: short(get("cs-uri-stem")),
        took_s: get("time-taken").and_then(|t| t.parse().ok()),
        result: short(get("x-edge-result-type")),
        detail: short(get("x-edge-detailed-result-type")),
        place: short(get("x-edge-location")),
        ..FrontRow::default()
    })
}

/// Values of a row by the variable they stand for, as far as the format or the
/// names of its members tell.
fn variables(line: &str, format: &str) -> Option<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    let name = |v: &str| v.trim().strip_prefix("$context.").map(str::to_ascii_lowercase);
    if let Ok(Value::Object(row)) = serde_json::from_str::<Value>(line.trim()) {
        let form: Map<String, Value> = serde_json::from_str(format.trim()).unwrap_or_default();
        for (k, v) in &row {
            let Some(value) = text_of(v) else { continue };
            let said = form.get(k).and_then(Value::as_str).and_then(name);
            let key = said.unwrap_or_else(|| k.trim_start_matches("$context.").to_ascii_lowercase());
            out.insert(key, value);
        }
        return Some(out);
    }
    let (names, cells) = (tokens(format), tokens(line));
    if names.is_empty() || names.len() != cells.len() {
        return None;
    }
    for (n, c) in names.iter().zip(&cells) {
        // A quoted part may hold several: method, path and protocol.
        let (several, parts) = (n.split(' '), c.split(' '));
        for (n, c) in several.zip(parts) {
            if let Some(n) = name(n) {
                out.insert(n, c.to_string());
            }
        }
    }
    Some(out)
}

/// Parts of a line divided by blanks or commas; quotes and brackets hold together.
fn tokens(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut part = String::new();
    let mut until: Option<char> = None;
    let end = |part: &mut String, out: &mut Vec<String>| {
        if !part.is_empty() {
            out.push(std::mem::take(part));
        }
    };
    for c in line.trim().chars() {
        match (until, c) {
            (Some(u), c) if c == u => {
                until = None;
                out.push(std::mem::take(&mut part));
            }
            (Some(_), c) => part.push(c),
            (None, '"') => {
                end(&mut part, &mut out);
                until = Some('"');
            }
            (None, '[') => {
                end(&mut part, &mut out);
                until = Some(']');
            }
            (None, c) if c.is_whitespace() || c == ',' => end(&mut part, &mut out),
            (None, c) => part.push(c),
        }
    }
    end(&mut part, &mut out);
    out
}

fn api_row(v: &BTreeMap<String, String>, at: Timestamp) -> Option<FrontRow> {
    let get = |names: &[&str]| names.iter().find_map(|n| v.get(*n)).cloned();
    let code = |names: &[&str]| get(names).and_then(|t| t.parse::<u16>().ok());
    let took = get(&["integrationlatency", "integration.latency", "integration_latency", "responselatency"]);
    Some(FrontRow {
        at,
        status: get(&["status", "statuscode"])?.parse().ok()?,
        method: short(get(&["httpmethod", "method"])),
        path: short(get(&["resourcepath", "routekey", "path"])),
        took_s: took.and_then(|t| t.parse::<f32>().ok()).map(|ms| ms / 1000.0),
        detail: short(get(&[
            "error.responsetype",
            "error_responsetype",
            "responsetype",
            "errorresponsetype",
        ])),
        inner: code(&["integration.status", "integration_status"]),
        service: code(&["integrationstatus", "integration.integrationstatus"]),
        message: short(
            get(&["integrationerrormessage", "integration.error", "integration_error", "integrationerror"])
                .filter(|m| m != "-")
                .or_else(|| get(&["error.message", "error.messagestring", "errormessage"])),
        ),
        ..FrontRow::default()
    })
}

fn classic_row(line: &str) -> Option<FrontRow> {
    let cells = tokens(line);
    let [at, _, _, back, request, behind, answer, elb, status, _, _, line, ..] = cells.as_slice() else {
        return None;
    };
    let times = [request, behind, answer].map(|t| t.parse::<f32>().ok());
    let mut parts = line.split(' ');
    let method = parts.next().map(String::from);
    let url = parts.next().unwrap_or_default();
    let path = url.splitn(4, '/').nth(3).map_or("/".to_string(), |p| format!("/{p}"));
    let path = path.split('?').next().unwrap_or("/").to_string();
    let untimed = times.iter().all(|t| t.is_none_or(|t| t < 0.0));
    Some(FrontRow {
        at: at.parse().ok()?,
        status: elb.parse().ok()?,
        method: short(method),
        path: short(Some(path)),
        took_s: (!untimed).then(|| times.iter().flatten().filter(|t| **t > 0.0).sum()),
        inner: status.parse().ok().filter(|s| *s > 0),
        place: short(Some(back.clone())),
        untimed,
        ..FrontRow::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(read: impl FnOnce(&mut Reader)) -> FrontRow {
        let mut r = Reader::new(None);
        read(&mut r);
        let log = r.finish("x".into(), "".into());
        assert_eq!((log.rows, log.unreadable), (1, 0));
        log.failing[0].clone()
    }

    #[test]
    fn a_file_of_cloudfront_is_read_by_the_names_of_its_columns() {
        let row = one(|r| {
            r.edge("#Version: 1.0");
            r.edge("#Fields: date time sc-status cs-method cs-uri-stem x-edge-result-type time-taken x-edge-detailed-result-type x-edge-location");
            r.edge("2026-11-22\t01:40:03\t502\tGET\t/cart\tError\t0.131\tOriginDnsError\tNRT57-P2");
        });
        assert_eq!((row.status, row.detail.as_str(), row.took_s), (502, "OriginDnsError", Some(0.131)));
        assert_eq!(row.at.to_string(), "2026-11-22T01:40:03Z");
        let row = one(|r| {
            r.edge(r#"{"timestamp(ms)":"1795312430500","sc-status":"000","x-edge-result-type":"Error","x-edge-detailed-result-type":"ClientCommError"}"#);
        });
        assert_eq!((row.status, row.at.as_second()), (0, 1_795_312_430));
    }

    #[test]
    fn an_api_row_is_read_by_its_format_or_by_its_names() {
        let at: Timestamp = "2026-11-22T01:40:00Z".parse().unwrap();
        let row = one(|r| {
            r.api(
                r#"{"s":"502","why":"Internal","inner":"200","ms":"41"}"#,
                r#"{"s":"$context.status","why":"$context.integrationErrorMessage","inner":"$context.integration.status","ms":"$context.integrationLatency"}"#,
                at,
            );
        });
        assert_eq!((row.status, row.inner, row.message.as_str()), (502, Some(200), "Internal"));
        let row = one(|r| {
            r.api(
                r#"{"status":"504","integrationStatus":"-","integration.status":"-","integrationLatency":"29001","error.responseType":"INTEGRATION_TIMEOUT"}"#,
                "",
                at,
            );
        });
        assert_eq!(
            (row.service, row.detail.as_str(), row.took_s),
            (None, "INTEGRATION_TIMEOUT", Some(29.001))
        );
        let form = r#"$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime]"$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId"#;
        let row = one(|r| {
            r.api(
                r#"203.0.113.9 - - [22/Nov/2026:01:40:00 +0000]"GET /orders HTTP/1.1" 502 36 abc"#,
                form,
                at,
            );
        });
        assert_eq!((row.status, row.method.as_str(), row.path.as_str()), (502, "GET", "/orders"));
    }

    #[test]
    fn a_row_of_a_classic_load_balancer() {
        let row = one(|r| {
            r.classic(r#"2026-11-22T01:40:03.123456Z shop 203.0.113.9:2817 - -1 -1 -1 504 0 0 0 "GET http://shop.example.com:80/cart?a=b HTTP/1.1" "curl/8.9" - -"#);
        });
        assert!(row.untimed && row.place.is_empty() && row.inner.is_none());
        assert_eq!((row.status, row.path.as_str()), (504, "/cart"));
        let mut r = Reader::new(None);
        r.classic("half a line");
        assert_eq!(r.finish("x".into(), "".into()).unreadable, 1);
    }

    #[test]
    fn many_failing_rows_are_thinned_and_still_counted() {
        let at: Timestamp = "2026-11-22T01:40:00Z".parse().unwrap();
        let mut r = Reader::new(None);
        for _ in 0..20_000 {
            r.api(r#"{"status":"502"}"#, "", at);
        }
        let log = r.finish("x".into(), "".into());
        assert!(log.failing.len() < KEPT && log.thinned > 1);
        assert_eq!(log.minutes, [(at, 502, 20_000)]);
        let told = log.failing.len() as f64 * f64::from(log.thinned);
        assert!((told - 20_000.0).abs() < 2_000.0, "{told}");
    }
}
