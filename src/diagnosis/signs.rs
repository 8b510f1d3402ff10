//! Signs in logs: known error lines, found once as they arrive. The patterns
//! are data, shared with the procedure.

use crate::situation::log::LogRing;
use crate::text::SafeText;
use jiff::Timestamp;
use regex::Regex;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::OnceLock;

const TEXT: &str = include_str!("../../assets/log_patterns.toml");

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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pattern: Vec<Pattern>,
}

struct Table {
    list: Vec<Pattern>,
    /// The rarest part of every pattern: one pass over a line that fits none.
    any: Option<Regex>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        // The file is embedded and tried by tests; should it ever not be
        // readable, no sign is seen, which is not the same as a healthy log.
        let list = toml::from_str::<File>(TEXT).map(|f| f.pattern).unwrap_or_default();
        let rarest = list.iter().filter_map(|p| p.all.iter().max_by_key(|a| a.len()));
        let parts: Vec<String> = rarest.map(|a| regex::escape(a)).collect();
        let any = if parts.is_empty() { None } else { Regex::new(&parts.join("|")).ok() };
        Table { list, any }
    })
}

/// The kind a line is of, if it is a known one: an index into [`patterns`].
fn kind(line: &str) -> Option<usize> {
    let t = table();
    if !t.any.as_ref()?.is_match(line) {
        return None;
    }
    t.list.iter().position(|p| p.all.iter().all(|part| line.contains(part.as_str())))
}

/// Every kind there is.
pub fn patterns() -> &'static [Pattern] {
    &table().list
}

/// Hits kept at most for each kind; older ones are counted only.
const KEPT: usize = 20_000;

#[derive(Clone, Debug, Default)]
struct Hits {
    at: VecDeque<Timestamp>,
    newest: Option<(Timestamp, SafeText, SafeText)>,
}

/// Signs read from a log ring so far. Feeding it again reads only new lines.
#[derive(Clone, Debug, Default)]
pub struct Signs {
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
    fn every_pattern_points_to_causes_there_are_or_will_be() {
        // Other gateways and proxies have catalogue groups that follow later.
        let later = ["apache-", "nginx-", "azure-", "cf-", "apigw-", "nlb-", "clb-"];
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
}
