//! Signs in logs: known error lines, found once as they arrive. The patterns
//! are data: those shared with the procedure, then more that only a diagnosis
//! needs.

mod sieve;

use crate::situation::log::LogRing;
use crate::text::SafeText;
use aho_corasick::AhoCorasick;
use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::Deserialize;
use sieve::Sieve;
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

const TEXT: &str = include_str!("../../assets/log_patterns.toml");
const MORE: &str = include_str!("../../assets/log_signs.toml");

/// One kind of error line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    pub id: SafeText,
    /// Who writes it: `nginx`, `kernel`, ...
    pub server: SafeText,
    /// Parts that must all stand in the line.
    pub all: Vec<String>,
    /// Ids of causes it points to.
    pub causes: Vec<SafeText>,
    /// A line of the kind.
    #[serde(default)]
    pub example: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pattern: Vec<Pattern>,
}

struct Table {
    list: Vec<Pattern>,
    /// The parts of each in lower case.
    parts: Vec<Vec<String>>,
    /// The longest part of every pattern: one pass over a line that fits none.
    any: Option<AhoCorasick>,
    /// The same, at a glance: most lines need no pass.
    sieve: Option<Sieve>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        // The file is embedded and tried by tests; should it ever not be
        // readable, no sign is seen, which is not the same as a healthy log.
        let read = |text| toml::from_str::<File>(text).map(|f| f.pattern).unwrap_or_default();
        let mut list = read(TEXT);
        list.extend(read(MORE));
        let parts = list.iter().map(|p| p.all.iter().map(|a| a.to_ascii_lowercase()).collect()).collect();
        let longest: Vec<&str> =
            list.iter().filter_map(|p| p.all.iter().max_by_key(|a| a.len())).map(String::as_str).collect();
        let any = AhoCorasick::builder().ascii_case_insensitive(true).build(&longest).ok();
        let sieve = Sieve::new(longest.into_iter());
        Table { any: any.filter(|a| a.patterns_len() > 0), sieve, list, parts }
    })
}

/// The kind a line is of, if it is a known one: an index into [`patterns`].
fn kind(line: &str) -> Option<usize> {
    let t = table();
    if t.sieve.as_ref().is_some_and(|s| !s.may_hold(line.as_bytes())) || !t.any.as_ref()?.is_match(line) {
        return None;
    }
    let line = line.to_ascii_lowercase();
    t.parts.iter().position(|p| p.iter().all(|part| line.contains(part.as_str())))
}

/// The status of a row in the common forms of nginx and Apache: the number behind
/// the quoted request.
fn status(line: &str) -> Option<u16> {
    static VERSION: OnceLock<Finder<'static>> = OnceLock::new();
    let at = VERSION.get_or_init(|| Finder::new(" HTTP/")).find(line.as_bytes())?;
    let number = line.get(at..)?.split_once("\" ")?.1.get(..4)?;
    let (digits, end) = number.split_at_checked(3)?;
    let status: u16 = digits.parse().ok()?;
    (end == " " && (100..600).contains(&status)).then_some(status)
}

/// Every kind there is.
pub fn patterns() -> &'static [Pattern] {
    &table().list
}

/// The kind that a line, or another text of an application, is of.
pub(super) fn known(text: &str) -> Option<&'static Pattern> {
    kind(text).and_then(|k| table().list.get(k))
}

/// Hits kept at most for each kind; older ones are counted only.
const KEPT: usize = 20_000;

#[derive(Clone, Debug, Default)]
struct Hits {
    at: VecDeque<Timestamp>,
    newest: Option<(Timestamp, SafeText, SafeText)>,
}

/// Minutes of which answers are kept: a day and a little.
const MINUTES: usize = 1_500;

/// Signs read from a log ring so far. Feeding it again reads only new lines.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// Rows of web servers by minute since 1970: all, and those answered 5xx.
    answers: BTreeMap<i64, (u64, u64)>,
    next_seq: u64,
    lines: u64,
    hit: u64,
    hits: Vec<Hits>,
}

/// Lines of one kind within a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    pub pattern: &'static Pattern,
    pub count: usize,
    /// Lines of the kind before the window.
    pub before: usize,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The newest line of the kind, and its log group.
    pub sample: SafeText,
    pub group: SafeText,
}

impl Signs {
    /// Reads all lines of a ring.
    pub fn of(logs: &LogRing) -> Signs {
        let mut s = Signs::default();
        s.read(logs, usize::MAX);
        s
    }

    /// Reads at most `lines` of what came since the last time; true when there
    /// is more.
    pub fn read(&mut self, logs: &LogRing, lines: usize) -> bool {
        self.hits.resize_with(table().list.len(), Hits::default);
        let range = logs.range();
        if range.end < self.next_seq {
            // Another ring: begin anew.
            *self = Signs::default();
            self.hits.resize_with(table().list.len(), Hits::default);
        }
        let from = self.next_seq.max(range.start);
        let to = range.end.min(from.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX)));
        for seq in from..to {
            let Some(held) = logs.get(seq) else { continue };
            self.lines += 1;
            if let Some(status) = status(&held.line.text) {
                let minute = self.answers.entry(held.line.at.as_second().div_euclid(60)).or_default();
                minute.0 += 1;
                minute.1 += u64::from(status >= 500);
                if self.answers.len() > MINUTES {
                    self.answers.pop_first();
                }
            }
            let Some(hits) = kind(&held.line.text).and_then(|k| self.hits.get_mut(k)) else { continue };
            self.hit += 1;
            if hits.at.len() >= KEPT {
                hits.at.pop_front();
            }
            hits.at.push_back(held.line.at);
            if hits.newest.as_ref().is_none_or(|n| n.0 <= held.line.at) {
                hits.newest = Some((held.line.at, held.line.text.clone(), held.line.group.clone()));
            }
        }
        self.next_seq = to;
        to < range.end
    }

    /// Lines of a known kind among those read so far.
    pub fn hits(&self) -> u64 {
        self.hit
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Rows of web servers among them since the minute of `from`: all, and
    /// those answered with a 5xx.
    pub fn answers_since(&self, from: Timestamp) -> (u64, u64) {
        let minutes = self.answers.range(from.as_second().div_euclid(60)..);
        minutes.fold((0, 0), |sum, (_, n)| (sum.0 + n.0, sum.1 + n.1))
    }

    /// Kinds with a line at or after `from`, most lines first.
    pub fn since(&self, from: Timestamp) -> Vec<Sign> {
        let mut out: Vec<Sign> = Vec::new();
        for (pattern, hits) in patterns().iter().zip(&self.hits) {
            let inside: Vec<Timestamp> = hits.at.iter().filter(|t| **t >= from).copied().collect();
            let (Some(first), Some(last)) = (inside.iter().min(), inside.iter().max()) else { continue };
            let Some((_, sample, group)) = hits.newest.clone() else { continue };
            let before = hits.at.len() - inside.len();
            out.push(Sign {
                pattern,
                count: inside.len(),
                before,
                first: *first,
                last: *last,
                sample,
                group,
            });
        }
        out.sort_by(|a, b| b.count.cmp(&a.count).then(a.pattern.id.cmp(&b.pattern.id)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::causes;
    use crate::situation::log::LogLine;

    fn push(ring: &mut LogRing, at: &str, text: &str) {
        ring.push(LogLine {
            at: format!("2026-11-22T{at}Z").parse().unwrap(),
            group: "/app".into(),
            stream: "".into(),
            id: "".into(),
            text: text.into(),
        });
    }

    #[test]
    fn the_patterns_are_readable() {
        assert!(patterns().len() > 40);
        assert!(table().any.is_some());
    }

    #[test]
    fn every_example_is_of_its_kind() {
        let named: Vec<&Pattern> = patterns().iter().filter(|p| !p.example.is_empty()).collect();
        assert!(named.len() > 100);
        for p in named {
            let found = kind(&p.example).map(|i| &patterns()[i]);
            // An earlier kind may know the line as well, if it says the same.
            let same = found.is_some_and(|f| f.id == p.id || f.causes == p.causes);
            assert!(same, "{} is taken for {:?}", p.id, found.map(|f| &f.id));
        }
        for fine in [
            "level=info msg=\"request served\" status=200 path=/cart ms=12",
            "GET /health 200 1ms",
            "worker started, 0 errors, queue empty",
            "connected to database in 3 ms",
            "deployment finished; shutting down old workers gracefully",
        ] {
            assert_eq!(kind(fine), None, "{fine}");
        }
    }

    #[test]
    fn every_pattern_points_to_causes_there_are_or_will_be() {
        // Other gateways and proxies have catalogue groups that follow later.
        let later = ["apache-", "nginx-", "azure-"];
        for p in patterns() {
            for c in &p.causes {
                let known = causes::rule_of(c).is_some() || later.iter().any(|l| c.starts_with(l));
                assert!(known, "{} points to {c}", p.id);
            }
        }
    }

    #[test]
    fn reading_again_reads_only_what_is_new() {
        let mut ring = LogRing::new(3, 1 << 20);
        push(&mut ring, "01:40:00", "kernel: Out of memory: Killed process 1 (a)");
        let mut s = Signs::of(&ring);
        assert!(!s.read(&ring, 100));
        assert_eq!(s.lines(), 1);
        for t in ["01:41:00", "01:42:00", "01:43:00"] {
            push(&mut ring, t, "No space left on device");
        }
        assert!(!s.read(&ring, 100));
        let all = s.since("2026-11-22T00:00:00Z".parse().unwrap());
        let told: Vec<(&str, usize)> = all.iter().map(|x| (x.pattern.id.as_str(), x.count)).collect();
        assert_eq!(told, [("disk-full", 3), ("kernel-oom", 1)], "a line that left the ring stays counted");
        let late = s.since("2026-11-22T01:42:00Z".parse().unwrap());
        assert_eq!((late.len(), late[0].count, late[0].before), (1, 2, 1));
    }

    #[test]
    fn the_status_of_a_row_stands_behind_its_request() {
        let row = |s: &str| {
            format!(
                "10.0.0.9 - - [22/Nov/2026:21:42:36 +0000] \"GET /a?b=1 HTTP/1.1\" {s} 381 \"-\" \"curl\""
            )
        };
        assert_eq!(status(&row("502")), Some(502));
        assert_eq!(status(&row("20")), None);
        assert_eq!(status("AH01102: error reading status line from remote server"), None);
        assert_eq!(status("said \"GET / HTTP/1.1\" and went"), None);
        assert_eq!(status("\"GET / HTTP/1.1\" 50"), None);
    }

    #[test]
    fn rows_of_web_servers_are_counted_by_the_minute() {
        let mut ring = LogRing::new(2, 1 << 20);
        let mut s = Signs::default();
        for (t, status) in [("01:40:10", 200), ("01:41:00", 502), ("01:41:59", 499), ("01:42:00", 500)] {
            push(&mut ring, t, &format!("10.0.0.9 - - \"GET / HTTP/1.1\" {status} 3"));
            s.read(&ring, 100);
        }
        let since = |t: &str| s.answers_since(format!("2026-11-22T{t}Z").parse().unwrap());
        assert_eq!((since("01:41:30"), since("01:42:00"), since("01:43:00")), ((3, 2), (1, 1), (0, 0)));
    }
}
