//! Known error lines, as data, and the grouping of lines nobody knows.

use super::load::WordsError;
use crate::situation::log::{Held, Level};
use crate::text::SafeText;
use jiff::Timestamp;
use regex::Regex;
use serde::Deserialize;
use std::collections::HashMap;

/// Known error lines of servers, runtimes, kernels and clients.
#[derive(Clone, Debug)]
pub struct Patterns {
    list: Vec<Pattern>,
    /// Fits whatever any pattern could fit: one pass over a line that fits none.
    any: Regex,
}

/// One kind of error line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    pub id: SafeText,
    /// Who writes it: `nginx`, `kernel`, ...
    pub server: SafeText,
    /// Parts that must all stand in the line.
    pub all: Vec<String>,
    /// Ids of the cause catalogue it points to.
    pub causes: Vec<SafeText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pattern: Vec<Pattern>,
}

const TEXT: &str = include_str!("../../assets/log_patterns.toml");

/// Lines of one kind.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    pub count: usize,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The newest line of the kind.
    pub sample: &'a Held,
}

impl<'a> Group<'a> {
    fn of(h: &'a Held) -> Self {
        Group { count: 1, first: h.line.at, last: h.line.at, sample: h }
    }

    fn add(&mut self, h: &'a Held) {
        self.count += 1;
        self.first = self.first.min(h.line.at);
        if h.line.at >= self.last {
            self.last = h.line.at;
            self.sample = h;
        }
    }
}

/// Fingerprints kept at most; lines of further kinds are counted together.
const KINDS: usize = 2_000;

impl Patterns {
    /// The embedded patterns.
    pub fn load() -> Result<Patterns, WordsError> {
        Patterns::parse(TEXT, "assets/log_patterns.toml")
    }

    /// Reads a file of patterns. `file` is only for messages.
    pub fn parse(text: &str, file: &str) -> Result<Patterns, WordsError> {
        let wrong =
            |reason: String| WordsError { file: file.into(), place: None, reason: SafeText::from(reason) };
        let read: File = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let mut firsts = Vec::new();
        for (i, p) in read.pattern.iter().enumerate() {
            // The longest part is the rarest.
            match p.all.iter().max_by_key(|a| a.len()).filter(|a| a.len() >= 4) {
                Some(part) => firsts.push(regex::escape(part)),
                None => {
                    return Err(wrong(format!("the pattern '{}' has no part of at least four bytes", p.id)));
                }
            }
            if read.pattern[..i].iter().any(|q| q.id == p.id) {
                return Err(wrong(format!("the pattern '{}' is there twice", p.id)));
            }
        }
        let any = Regex::new(&firsts.join("|")).map_err(|e| wrong(e.to_string()))?;
        Ok(Patterns { list: read.pattern, any })
    }

    /// Every pattern.
    pub fn list(&self) -> &[Pattern] {
        &self.list
    }

    /// The pattern a line fits, if any.
    pub fn of(&self, line: &str) -> Option<&Pattern> {
        if !self.any.is_match(line) {
            return None;
        }
        self.list.iter().find(|p| p.all.iter().all(|part| line.contains(part.as_str())))
    }

    /// Lines by pattern, most lines first.
    pub fn group<'a>(&'a self, lines: impl Iterator<Item = &'a Held>) -> Vec<(&'a Pattern, Group<'a>)> {
        let mut groups: Vec<(&Pattern, Group<'_>)> = Vec::new();
        for h in lines {
            let Some(p) = self.of(&h.line.text) else { continue };
            match groups.iter_mut().find(|(q, _)| std::ptr::eq(*q, p)) {
                Some((_, g)) => g.add(h),
                None => groups.push((p, Group::of(h))),
            }
        }
        groups.sort_by(|a, b| b.1.count.cmp(&a.1.count).then(a.1.first.cmp(&b.1.first)));
        groups
    }

    /// Error lines that no pattern knows, by what is left when
    /// numbers, ids and quoted values are taken out; most lines first. The
    /// second value is the number of error lines in all, known or not.
    pub fn unnamed<'a>(&'a self, lines: impl Iterator<Item = &'a Held>) -> (Vec<Group<'a>>, usize) {
        let mut kinds: HashMap<String, Group<'_>> = HashMap::new();
        let mut errors = 0;
        for h in lines.filter(|h| h.level == Level::Error) {
            errors += 1;
            if self.of(&h.line.text).is_some() {
                continue;
            }
            let mut print = fingerprint(&h.line.text);
            if kinds.len() >= KINDS && !kinds.contains_key(&print) {
                print.clear();
            }
            kinds.entry(print).and_modify(|g| g.add(h)).or_insert_with(|| Group::of(h));
        }
        let mut groups: Vec<Group<'_>> = kinds.into_values().collect();
        groups.sort_by(|a, b| {
            b.count.cmp(&a.count).then(a.first.cmp(&b.first)).then(a.sample.seq.cmp(&b.sample.seq))
        });
        (groups, errors)
    }
}

/// What two lines that differ only in time, numbers, ids or values have in common.
fn fingerprint(text: &str) -> String {
    let mut out = String::with_capacity(96);
    for word in text.split(|c: char| c.is_whitespace() || "=,;()[]{}".contains(c)).filter(|w| !w.is_empty()) {
        let quoted = word.starts_with(['"', '\'']);
        let part = if quoted || word.bytes().any(|b| b.is_ascii_digit()) { "#" } else { word };
        if part == "#" && out.ends_with('#') {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
        if out.len() > 160 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::log::{LogLine, LogRing};

    fn ring(lines: &[(&str, &str)]) -> LogRing {
        let mut r = LogRing::default();
        for (at, text) in lines {
            r.push(LogLine {
                at: format!("2026-11-22T{at}Z").parse().unwrap(),
                group: "/app/shop".into(),
                stream: "".into(),
                id: "".into(),
                text: (*text).into(),
            });
        }
        r
    }

    fn at(t: &str) -> Timestamp {
        format!("2026-11-22T{t}Z").parse().unwrap()
    }

    /// One real line for each pattern, and the pattern that must name it.
    #[test]
    fn every_pattern_names_the_line_it_is_for() {
        let lines = [
            (
                "nginx-connect-refused",
                "2026/11/22 01:41:07 [error] 29#29: *81 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.1.17, server: _, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:3000/\"",
            ),
            (
                "nginx-upstream-closed",
                "[error] 29#29: *9 upstream prematurely closed connection while reading response header from upstream, client: 10.0.1.17",
            ),
            (
                "nginx-upstream-reset",
                "[error] 7#7: *1 recv() failed (104: Connection reset by peer) while reading response header from upstream",
            ),
            (
                "nginx-connect-timeout",
                "[error] 7#7: *1 upstream timed out (110: Connection timed out) while connecting to upstream",
            ),
            (
                "nginx-read-timeout",
                "[error] 7#7: *1 upstream timed out (110: Connection timed out) while reading response header from upstream",
            ),
            (
                "nginx-no-live-upstreams",
                "[error] 7#7: *1 no live upstreams while connecting to upstream, client: 10.0.1.17",
            ),
            (
                "nginx-big-header",
                "[error] 7#7: *1 upstream sent too big header while reading response header from upstream",
            ),
            (
                "nginx-invalid-header",
                "[error] 7#7: *1 upstream sent invalid header: \"x y: 1\" while reading response header",
            ),
            ("nginx-worker-connections", "[alert] 7#7: 1024 worker_connections are not enough"),
            ("too-many-open-files", "[crit] 7#7: accept4() failed (24: Too many open files)"),
            ("nginx-large-body", "[error] 7#7: *1 client intended to send too large body: 20971520 bytes"),
            (
                "nginx-unix-backlog",
                "[error] 7#7: *1 connect() to unix:/run/php-fpm/www.sock failed (11: Resource temporarily unavailable) while connecting to upstream",
            ),
            (
                "nginx-unix-missing",
                "[crit] 7#7: *1 connect() to unix:/run/php-fpm/www.sock failed (2: No such file or directory) while connecting to upstream",
            ),
            (
                "nginx-upstream-name",
                "[emerg] 7#7: host not found in upstream \"api\" in /etc/nginx/conf.d/a.conf:3",
            ),
            (
                "httpd-connect-failed",
                "[proxy:error] [pid 9] (111)Connection refused: AH00957: HTTP: attempt to connect to 127.0.0.1:8080 (127.0.0.1) failed",
            ),
            (
                "httpd-backend-failed",
                "[proxy_http:error] [pid 9] AH01114: HTTP: failed to make connection to backend: 127.0.0.1",
            ),
            (
                "httpd-status-line",
                "[proxy_http:error] [pid 9] (104)Connection reset by peer: AH01102: error reading status line from remote server 10.0.2.7:80",
            ),
            (
                "httpd-read-error",
                "[proxy:error] [pid 9] AH00898: Error reading from remote server returned by /",
            ),
            (
                "httpd-response-body",
                "[proxy_http:error] [pid 9] (70014)End of file found: AH01110: error reading response",
            ),
            (
                "httpd-request-body",
                "[proxy_http:error] [pid 9] (32)Broken pipe: AH01097: pass request body failed to 10.0.2.7:80",
            ),
            (
                "httpd-request-body-flush",
                "[proxy_http:error] [pid 9] (32)Broken pipe: AH01084: pass request body failed to 10.0.2.7:80",
            ),
            (
                "httpd-max-workers",
                "[mpm_event:error] [pid 9] AH00484: server reached MaxRequestWorkers setting, consider raising it",
            ),
            (
                "php-max-children",
                "WARNING: [pool www] server reached pm.max_children setting (50), consider raising it",
            ),
            (
                "php-terminated",
                "WARNING: [pool www] child 37, script '/a.php' (request: \"GET /a.php\") execution timed out (31.2 sec), terminating",
            ),
            (
                "php-child-killed",
                "WARNING: [pool www] child 37 exited on signal 9 (SIGKILL) after 3.2 seconds from start",
            ),
            (
                "php-child-crashed",
                "WARNING: [pool www] child 37 exited on signal 11 (SIGSEGV - core dumped) after 3.2 seconds",
            ),
            ("gunicorn-timeout", "[2026-11-22 01:41:07 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)"),
            (
                "gunicorn-killed",
                "[2026-11-22 01:41:08 +0000] [7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?",
            ),
            ("java-memory", "java.lang.OutOfMemoryError: Java heap space"),
            ("java-rejected", "java.util.concurrent.RejectedExecutionException: Task rejected"),
            (
                "java-db-pool",
                "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms.",
            ),
            (
                "httpd-status-timeout",
                "[proxy_http:error] (70007)The timeout specified has expired: [client 10.0.1.9:1] AH01102: error reading status line from remote server 10.0.2.7:80",
            ),
            (
                "httpd-worker-disabled",
                "[proxy:error] AH00959: ap_proxy_connect_backend disabling worker for (10.0.2.7:80) for 60s",
            ),
            (
                "node-heap",
                "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            ),
            ("files-limit", "Error: listen EMFILE: too many open files"),
            ("node-refused", "Error: connect ECONNREFUSED 10.0.9.4:5432"),
            ("kernel-oom", "kernel: Out of memory: Killed process 2311 (java) total-vm:8123456kB"),
            ("kernel-oom-kill", "kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)"),
            (
                "kernel-syn-flood",
                "kernel: TCP: request_sock_TCP: Possible SYN flooding on port 8080. Sending cookies.",
            ),
            ("kernel-conntrack", "kernel: nf_conntrack: nf_conntrack: table full, dropping packet"),
            ("disk-full", "OSError: [Errno 28] No space left on device"),
            ("lambda-timeout", "2026-11-22T01:41:07Z 7c1f Task timed out after 3.00 seconds"),
            ("lambda-exit", "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"RequestId: 1 Error\"}"),
            ("lambda-killed", "RequestId: 1 Error: Runtime exited with error: signal: killed"),
            ("lambda-import", "{\"errorType\":\"Runtime.ImportModuleError\"}"),
            ("lambda-report-timeout", "REPORT RequestId: 1 Duration: 3000.00 ms Status: timeout"),
            ("db-too-many-connections", "FATAL: sorry, too many connections already"),
            ("db-no-slots", "FATAL: remaining connection slots are reserved for roles with SUPERUSER"),
            ("db-host-name", "psycopg.OperationalError: could not translate host name \"db\" to address"),
        ];
        let p = Patterns::load().unwrap();
        for (id, line) in lines {
            assert_eq!(p.of(line).map(|p| p.id.as_str()), Some(id), "{line}");
        }
        for pattern in p.list() {
            assert!(lines.iter().any(|(id, _)| pattern.id == *id), "no line tries {}", pattern.id);
        }
        for fine in ["GET / 200", "connected to upstream", "worker started", ""] {
            assert_eq!(p.of(fine), None, "{fine}");
        }
    }

    #[test]
    fn groups_count_and_keep_the_newest_line() {
        let p = Patterns::load().unwrap();
        let logs = ring(&[
            ("01:39:00", "connect() failed (111: x) while connecting to upstream old"),
            ("01:41:09", "connect() failed (111: x) while connecting to upstream b"),
            ("01:41:07", "connect() failed (111: x) while connecting to upstream a"),
            ("01:41:08", "WORKER TIMEOUT (pid:9)"),
        ]);
        let groups = p.group(logs.iter().filter(|h| h.line.at >= at("01:40:00")));
        assert_eq!(groups.len(), 2);
        let (pattern, g) = &groups[0];
        assert_eq!((pattern.id.as_str(), g.count), ("nginx-connect-refused", 2));
        assert_eq!((g.first, g.last), (at("01:41:07"), at("01:41:09")));
        assert!(g.sample.line.text.ends_with(" b"));
    }

    #[test]
    fn unnamed_errors_are_grouped_by_what_stays_the_same() {
        let p = Patterns::load().unwrap();
        let logs = ring(&[
            ("01:41:01", "2026-11-22 01:41:01 ERROR order 17 failed: KeyError 'sku-9'"),
            ("01:41:02", "2026-11-22 01:41:02 ERROR order 18 failed: KeyError 'sku-4'"),
            ("01:41:03", "ERROR cache is gone"),
            ("01:41:04", "INFO fine"),
            ("01:41:05", "ERROR WORKER TIMEOUT (pid:9)"),
        ]);
        let (groups, errors) = p.unnamed(logs.iter());
        assert_eq!(errors, 4);
        assert_eq!(groups.iter().map(|g| g.count).collect::<Vec<_>>(), [2, 1]);
        assert!(groups[0].sample.line.text.contains("sku-4"));
    }

    #[test]
    fn a_file_that_is_wrong_says_why() {
        let wrong = |t: &str| Patterns::parse(t, "p.toml").unwrap_err().to_string();
        let one = "[[pattern]]\nid='a'\nserver='x'\nall=['abcd']\ncauses=[]\n";
        assert!(Patterns::parse(one, "p.toml").is_ok());
        assert!(wrong(&(one.to_owned() + one)).contains("p.toml: the pattern 'a' is there twice"));
        assert!(wrong(&one.replace("abcd", "a")).contains("at least four bytes"));
        assert!(wrong(&one.replace("causes", "cause")).starts_with("p.toml: "));
    }
}
