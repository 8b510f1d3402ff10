//! Reads rows of an Application Load Balancer's access log, as text lines of
//! files in S3 or as JSON records in CloudWatch Logs, and gathers them into an
//! [`AccessLog`]: exact counts, failing rows within a bound.
//!
//! Fields are only ever appended to the format, so surplus ones are ignored; a
//! line with fewer than the 21 fields every row has is counted as unreadable.

use super::elb::tokens;
use crate::situation::access::{AccessLog, AccessRow, Share, Tally};
use crate::situation::shape::failed;
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Failing rows kept; beyond it every second one goes.
const KEPT: usize = 1_500;
/// Paths and targets counted at most.
const NAMES: usize = 5_000;
/// Paths and targets reported at most, in a minute each.
const TOLD: usize = 20;
/// Longest text kept of a field.
const LONGEST: usize = 200;

/// Gathers rows.
#[derive(Debug, Default)]
pub struct Reader {
    from: Option<Timestamp>,
    rows: u64,
    unreadable: u64,
    newest: Option<Timestamp>,
    minutes: BTreeMap<(Timestamp, u16, Option<u16>), u32>,
    good_targets: HashMap<(Timestamp, String), u32>,
    good_paths: HashMap<(Timestamp, String), u32>,
    largest_good: u64,
    failing: Vec<AccessRow>,
    seen: u64,
    thinned: u32,
}

/// One row as it stands in the log.
#[derive(Default)]
struct Fields<'a> {
    time: &'a str,
    target: &'a str,
    times: [&'a str; 3],
    elb: &'a str,
    status: &'a str,
    received: &'a str,
    request: &'a str,
    agent: &'a str,
    group: &'a str,
    domain: &'a str,
    certificate: &'a str,
    rule: &'a str,
    created: &'a str,
    actions: &'a str,
    error_reason: &'a str,
    classification: &'a str,
    classification_reason: &'a str,
}

impl Reader {
    /// Rows answered before `from` are passed over.
    pub fn new(from: Option<Timestamp>) -> Self {
        Reader { from, thinned: 1, ..Reader::default() }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// One line of a file, or one message of a log group in either format.
    pub fn line(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        let read = if line.starts_with('{') { self.json(line) } else { self.text(line) };
        if read.is_none() {
            self.unreadable += 1;
        }
    }

    fn text(&mut self, line: &str) -> Option<()> {
        let mut all: [&[u8]; 34] = [b"-"; 34];
        if tokens(line.as_bytes(), &mut all) < 21 {
            return None;
        }
        // Cut at blanks and quotes, text stays text.
        let at = |i: usize| all.get(i).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("-");
        self.take(&Fields {
            time: at(1),
            target: at(4),
            times: [at(5), at(6), at(7)],
            elb: at(8),
            status: at(9),
            received: at(10),
            request: at(12),
            agent: at(13),
            group: at(16),
            domain: at(18),
            certificate: at(19),
            rule: at(20),
            created: at(21),
            actions: at(22),
            error_reason: at(24),
            classification: at(27),
            classification_reason: at(28),
        })
    }

    fn json(&mut self, line: &str) -> Option<()> {
        let doc: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| match doc.get(name) {
            Some(Value::String(s)) => s.clone(),
            Some(Value::Number(n)) => n.to_string(),
            _ => "-".to_string(),
        };
        let (time, target) = (text("time"), text("target_port"));
        let times =
            ["request_processing_time", "target_processing_time", "response_processing_time"].map(text);
        let rest = [
            "elb_status_code",
            "target_status_code",
            "received_bytes",
            "request_line",
            "user_agent",
            "target_group_arn",
            "domain_name",
            "chosen_cert_arn",
            "matched_rule_priority",
            "request_creation_time",
            "actions_executed",
            "error_reason",
            "classification",
            "classification_reason",
        ]
        .map(text);
        let [
            elb,
            status,
            received,
            request,
            agent,
            group,
            domain,
            certificate,
            rule,
            created,
            actions,
            error_reason,
            classification,
            classification_reason,
        ] = rest.each_ref().map(String::as_str);
        self.take(&Fields {
            time: &time,
            target: &target,
            times: times.each_ref().map(String::as_str),
            elb,
            status,
            received,
            request,
            agent,
            group,
            domain,
            certificate,
            rule,
            created,
            actions,
            error_reason,
            classification,
            classification_reason,
        })
    }

    fn take(&mut self, f: &Fields<'_>) -> Option<()> {
        let at: Timestamp = f.time.parse().ok()?;
        let elb: u16 = f.elb.parse().ok()?;
        if self.from.is_some_and(|from| at < from) {
            return Some(());
        }
        let status = f.status.parse::<u16>().ok();
        let minute = Timestamp::from_second(at.as_second() - at.as_second().rem_euclid(60)).ok()?;
        self.rows += 1;
        self.newest = self.newest.max(Some(at));
        *self.minutes.entry((minute, elb, status)).or_default() += 1;
        let (method, path) = request(f.request);
        let received = f.received.parse().unwrap_or(0);
        if !failed(elb, status) {
            if elb < 400 {
                self.largest_good = self.largest_good.max(received);
            }
            count(&mut self.good_targets, minute, f.target);
            count(&mut self.good_paths, minute, path);
            return Some(());
        }
        self.seen += 1;
        if !self.seen.is_multiple_of(u64::from(self.thinned)) {
            return Some(());
        }
        let created: Option<Timestamp> = f.created.parse().ok();
        let took_ms =
            created.map(|c| at.duration_since(c).as_millis()).and_then(|ms| u32::try_from(ms.max(0)).ok());
        let seconds = |t: &str| t.parse::<f32>().ok().filter(|s| *s >= 0.0);
        let text = |t: &str| if t == "-" { SafeText::default() } else { SafeText::capped(t, LONGEST) };
        self.failing.push(AccessRow {
            at,
            took_ms,
            target: text(f.target),
            request_s: seconds(f.times[0]),
            target_s: seconds(f.times[1]),
            response_s: seconds(f.times[2]),
            elb,
            status,
            received,
            method: text(method),
            path: text(path),
            user_agent: text(f.agent),
            group: text(f.group),
            rule: text(f.rule),
            actions: text(f.actions),
            error_reason: text(f.error_reason),
            classification: text(f.classification),
            classification_reason: text(f.classification_reason),
            domain: text(f.domain),
            certificate: text(f.certificate),
        });
        if self.failing.len() > KEPT {
            let mut keep = false;
            self.failing.retain(|_| {
                keep = !keep;
                keep
            });
            self.thinned *= 2;
        }
        Some(())
    }

    /// All that was read.
    pub fn finish(mut self, origin: SafeText, cut: SafeText) -> AccessLog {
        self.failing.sort_by_key(|r| r.at);
        let mut paths: HashMap<&str, u32> = HashMap::new();
        let mut targets: HashMap<&str, u32> = HashMap::new();
        for r in &self.failing {
            *paths.entry(&r.path).or_default() += 1;
            *targets.entry(&r.target).or_default() += 1;
        }
        let told = shares(&self.good_targets, &targets, true);
        let told_paths = shares(&self.good_paths, &paths, false);
        AccessLog {
            origin,
            from: self.from,
            newest: self.newest,
            rows: self.rows,
            unreadable: self.unreadable,
            cut,
            minutes: self
                .minutes
                .iter()
                .map(|((at, elb, target), rows)| Tally { at: *at, elb: *elb, target: *target, rows: *rows })
                .collect(),
            targets: told,
            paths: told_paths,
            largest_good: self.largest_good,
            failing: self.failing,
            thinned: self.thinned,
        }
    }
}

fn count(map: &mut HashMap<(Timestamp, String), u32>, minute: Timestamp, name: &str) {
    let key = (minute, name.to_string());
    if let Some(n) = map.get_mut(&key) {
        *n += 1;
    } else if map.len() < NAMES * 12 {
        map.insert(key, 1);
    }
}

/// Counts of the names that failing rows have most, and of others to compare
/// them with.
fn shares(good: &HashMap<(Timestamp, String), u32>, bad: &HashMap<&str, u32>, others: bool) -> Vec<Share> {
    let mut names: Vec<(&str, u32)> = bad.iter().map(|(n, c)| (*n, *c)).collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    names.truncate(TOLD);
    let mut told: HashSet<&str> = names.iter().map(|n| n.0).collect();
    let mut rest: BTreeMap<&str, u32> = BTreeMap::new();
    for ((_, name), n) in good {
        if !told.contains(name.as_str()) {
            *rest.entry(name).or_default() += n;
        }
    }
    if others {
        let mut rest: Vec<(&str, u32)> = rest.iter().map(|(n, c)| (*n, *c)).collect();
        rest.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        told.extend(rest.iter().take(TOLD).map(|r| r.0));
    }
    let mut out: Vec<Share> = Vec::new();
    let mut else_where: BTreeMap<Timestamp, u32> = BTreeMap::new();
    for ((at, name), rows) in good {
        if told.contains(name.as_str()) {
            out.push(Share { at: *at, of: SafeText::capped(name, LONGEST), rows: *rows });
        } else {
            *else_where.entry(*at).or_default() += rows;
        }
    }
    out.extend(else_where.into_iter().map(|(at, rows)| Share { at, of: SafeText::default(), rows }));
    out.sort_by(|a, b| a.at.cmp(&b.at).then(a.of.as_str().cmp(b.of.as_str())));
    out
}

/// Method and path of `GET https://host:443/path?query HTTP/1.1`.
fn request(line: &str) -> (&str, &str) {
    let mut words = line.split(' ');
    let method = words.next().unwrap_or("-");
    let url = words.next().unwrap_or("-");
    let rest = url.split_once("://").map_or(url, |u| u.1);
    let path = rest.find('/').map_or("/", |i| &rest[i..]);
    let end = path.find(['?', '#', ';']).unwrap_or(path.len());
    (method, &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: &str, target: &str, times: &str, codes: &str, path: &str, reason: &str) -> String {
        format!(
            "h2 2026-11-22T{time}.250000Z app/shop/50dc 203.0.113.9:5000 {target} {times} {codes} 412 277 \
             \"GET https://shop.example.com:443{path} HTTP/2.0\" \"curl \\\"8\\\" x\" TLS_AES TLSv1.3 arn:tg \
             \"Root=1-2\" \"shop.example.com\" \"arn:cert\" 0 2026-11-22T{time}.000000Z \"forward\" \"-\" \"{reason}\" \
             \"{target}\" \"-\" \"-\" \"-\" TID_1 \"-\" \"-\" \"-\" 10.0.0.5 more"
        )
    }

    fn read(lines: &[String]) -> AccessLog {
        let mut r = Reader::new(None);
        for l in lines {
            r.line(l);
        }
        r.finish("here".into(), "".into())
    }

    #[test]
    fn reads_a_row_and_keeps_no_query() {
        let a = read(&[row("01:40:00", "10.0.1.5:8080", "0.000 0.001 -1", "502 -", "/pay?card=4111", "-")]);
        assert_eq!((a.rows, a.unreadable, a.failing.len()), (1, 0, 1));
        let r = &a.failing[0];
        assert_eq!((r.elb, r.status, r.took_ms), (502, None, Some(250)));
        assert_eq!((r.path.as_str(), r.method.as_str(), r.target.as_str()), ("/pay", "GET", "10.0.1.5:8080"));
        assert_eq!((r.request_s, r.target_s, r.response_s), (Some(0.0), Some(0.001), None));
        assert!(r.sent() && !r.untimed());
        assert!(!serde_json::to_string(&a).unwrap().contains("4111"), "no query is kept");
        assert!(!serde_json::to_string(&a).unwrap().contains("203.0.113.9"), "no client address is kept");
    }

    #[test]
    fn good_rows_are_counted_by_minute_target_and_path() {
        let mut lines: Vec<String> =
            (0..5).map(|i| row(&format!("01:40:0{i}"), "a:1", "0 0.1 0", "200 200", "/x", "-")).collect();
        lines.push(row("01:41:00", "b:1", "-1 -1 -1", "502 -", "/x", "-"));
        lines.push(row("01:41:01", "-", "-1 -1 -1", "404 404", "/y", "-"));
        lines.push("h2 cut".into());
        let a = read(&lines);
        assert_eq!((a.rows, a.unreadable, a.failing.len()), (7, 1, 1), "a target's 404 is no failure");
        assert_eq!(a.minutes.iter().map(|t| t.rows).sum::<u32>(), 7);
        let a_rows: u32 = a.targets.iter().filter(|s| s.of == "a:1").map(|s| s.rows).sum();
        assert_eq!(a_rows, 5);
        assert_eq!(a.paths.iter().filter(|s| s.of == "/x").map(|s| s.rows).sum::<u32>(), 5);
        assert!(a.failing[0].untimed());
    }

    #[test]
    fn records_of_a_log_group_are_read_alike() {
        let record = r#"{"time":"2026-11-22T01:40:00.250000Z","target_port":"-","request_processing_time":"0.0","target_processing_time":0.041,"response_processing_time":"0.0","elb_status_code":"502","target_status_code":"-","received_bytes":"10","request_line":"GET https://q:443/quote HTTP/1.1","error_reason":"LambdaInvalidResponse","request_creation_time":"2026-11-22T01:40:00.000000Z","actions_executed":"forward","matched_rule_priority":"0"}"#;
        let a = read(&[record.to_string(), "{\"a\":1}".into()]);
        assert_eq!((a.rows, a.unreadable), (1, 1));
        assert_eq!(a.failing[0].error_reason, "LambdaInvalidResponse");
        assert_eq!(a.failing[0].path, "/quote");
    }

    #[test]
    fn many_failing_rows_are_thinned_and_counted_exactly() {
        let line = row("01:40:00", "a:1", "-1 -1 -1", "502 -", "/", "-");
        let lines = vec![line; KEPT * 5];
        let a = read(&lines);
        assert!(a.failing.len() <= KEPT && a.failing.len() > KEPT / 4, "{}", a.failing.len());
        let about = a.failing.len() * a.thinned as usize;
        assert!(about.abs_diff(KEPT * 5) < KEPT, "{about}");
        assert_eq!(a.minutes[0].rows as usize, KEPT * 5);
    }

    #[test]
    fn no_line_brings_it_down() {
        for line in ["\"", "\"\" \"", "{", "{}", "a \"b", "\u{65e5}\u{672c} \"\u{8a9e}", "h2 x y z"] {
            let mut r = Reader::new(None);
            r.line(line);
            assert_eq!(r.finish("".into(), "".into()).unreadable, 1, "{line}");
        }
    }
}
