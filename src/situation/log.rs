//! Log lines, held in a bounded ring that counts what it had to let go.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

fn str_is_empty(s: &SafeText) -> bool {
    s.is_empty()
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it happened, by the writer's clock.
    pub at: Timestamp,
    /// Log group, file or host it came from.
    pub group: SafeText,
    /// Stream within the group; empty when there is none.
    #[serde(default, skip_serializing_if = "str_is_empty")]
    pub stream: SafeText,
    /// The source's own event id, for dedupe; empty when there is none.
    #[serde(default, skip_serializing_if = "str_is_empty")]
    pub id: SafeText,
    pub text: SafeText,
}

/// How loud a line is. Read from the text, never from the source's word alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// A line in the ring, with what was read from it once at arrival.
#[derive(Clone, Debug)]
pub struct Held {
    /// Serial number: never reused, so a reader's position survives eviction.
    pub seq: u64,
    pub level: Level,
    /// HTTP status 500 to 599 named in the line, if any.
    pub status_5xx: Option<u16>,
    /// Arrived after a line with a later time was already shown.
    pub late: bool,
    pub line: LogLine,
}

/// The newest lines, in order of arrival, within two bounds.
///
/// A line of 200 bytes costs about 320 bytes here: its text, and [`Held`].
/// Names of groups and streams are shared between lines, and an id is given up
/// once it is too old to meet its duplicate.
#[derive(Clone, Debug)]
pub struct LogRing {
    lines: VecDeque<Held>,
    next_seq: u64,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
    dropped: u64,
    duplicates: u64,
    newest: Option<Timestamp>,
    ids: RecentIds,
    groups: Names,
    streams: Names,
}

impl Default for LogRing {
    fn default() -> Self {
        LogRing::new(1_000_000, 256 << 20)
    }
}

impl LogRing {
    /// A ring of at most `max_lines` lines and `max_bytes` bytes of text.
    pub fn new(max_lines: usize, max_bytes: usize) -> Self {
        LogRing {
            lines: VecDeque::new(),
            next_seq: 0,
            bytes: 0,
            max_lines: max_lines.max(1),
            max_bytes,
            dropped: 0,
            duplicates: 0,
            newest: None,
            ids: RecentIds::default(),
            groups: Names::default(),
            streams: Names::default(),
        }
    }

    /// Takes a line; false when its id was seen before.
    pub fn push(&mut self, mut line: LogLine) -> bool {
        if !line.id.is_empty() {
            match self.ids.add(&line.id, self.next_seq) {
                Seen::Before => {
                    self.duplicates += 1;
                    return false;
                }
                Seen::New { forgotten: Some(seq) } => {
                    if let Some(i) = self.index(seq) {
                        self.lines[i].line.id = SafeText::default();
                    }
                }
                Seen::New { forgotten: None } => {}
            }
        }
        self.groups.share(&mut line.group);
        self.streams.share(&mut line.stream);
        let late = self.newest.is_some_and(|n| line.at < n);
        self.newest = self.newest.max(Some(line.at));
        self.bytes += line.text.len();
        let (level, status_5xx) = crate::situation::level::read(&line.text);
        self.lines.push_back(Held { seq: self.next_seq, level, status_5xx, late, line });
        self.next_seq += 1;
        while self.lines.len() > self.max_lines || (self.bytes > self.max_bytes && self.lines.len() > 1) {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= old.line.text.len();
                self.dropped += 1;
            }
        }
        true
    }

    /// Position of a serial number among the lines held.
    fn index(&self, seq: u64) -> Option<usize> {
        let first = self.lines.front()?.seq;
        let i = usize::try_from(seq.checked_sub(first)?).ok()?;
        (i < self.lines.len()).then_some(i)
    }

    /// Lines held, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Held> + ExactSizeIterator {
        self.lines.iter()
    }

    /// The line with this serial number, if still held.
    pub fn get(&self, seq: u64) -> Option<&Held> {
        self.lines.get(self.index(seq)?)
    }

    /// Number of lines held.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Serial numbers held: `first..next`.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.lines.front().map_or(self.next_seq, |h| h.seq)..self.next_seq
    }

    /// Bytes of text held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lines let go because the ring was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Lines refused because their id was already held.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// A ring of the newest `lines` lines alone, with the same serial numbers;
    /// the others count as dropped.
    pub fn tail(&self, lines: usize) -> LogRing {
        let skip = self.lines.len().saturating_sub(lines);
        let mut out = LogRing::new(self.max_lines, self.max_bytes);
        out.lines = self.lines.iter().skip(skip).cloned().collect();
        out.bytes = out.lines.iter().map(|h| h.line.text.len()).sum();
        out.next_seq = self.next_seq;
        out.dropped = self.dropped + skip as u64;
        (out.duplicates, out.newest) = (self.duplicates, self.newest);
        // What an overlapping poll may bring again is among the newest.
        for h in out.lines.iter().filter(|h| !h.line.id.is_empty()) {
            let _ = out.ids.add(&h.line.id, h.seq);
        }
        out
    }

    /// Sets other bounds; they hold with the next line.
    pub fn bound(&mut self, max_lines: usize, max_bytes: usize) {
        (self.max_lines, self.max_bytes) = (max_lines.max(1), max_bytes);
    }

    /// Forgets everything (another log group was chosen).
    pub fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
        self.newest = None;
        self.ids.clear();
    }
}

/// Ids remembered for dedupe: several overlapping polls of 10,000 events.
const REMEMBERED_IDS: usize = 1 << 16;

/// Names shared between lines, per kind. Streams of short-lived tasks come and
/// go by the thousand; when there are more, sharing starts anew.
const SHARED_NAMES: usize = 4096;

enum Seen {
    Before,
    /// First time; the line with serial number `forgotten` may drop its id.
    New {
        forgotten: Option<u64>,
    },
}

/// The newest ids by their keyed 64-bit hash: among 65,536 of them a line is
/// taken for a duplicate by mistake once in 10^10 rings.
#[derive(Clone, Debug, Default)]
struct RecentIds {
    hasher: RandomState,
    known: HashSet<u64>,
    order: VecDeque<(u64, u64)>,
}

impl RecentIds {
    fn add(&mut self, id: &str, seq: u64) -> Seen {
        let hash = self.hasher.hash_one(id);
        if !self.known.insert(hash) {
            return Seen::Before;
        }
        self.order.push_back((hash, seq));
        let mut forgotten = None;
        if self.order.len() > REMEMBERED_IDS
            && let Some((old, seq)) = self.order.pop_front()
        {
            self.known.remove(&old);
            forgotten = Some(seq);
        }
        Seen::New { forgotten }
    }

    fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
    }
}

/// One allocation per name instead of one per line: lines read from a journal
/// or off the wire each bring their own.
#[derive(Clone, Debug, Default)]
struct Names {
    last: SafeText,
    known: HashSet<SafeText>,
}

impl Names {
    fn share(&mut self, name: &mut SafeText) {
        if *name != self.last {
            if let Some(held) = self.known.get(name.as_str()) {
                self.last = held.clone();
            } else {
                if self.known.len() >= SHARED_NAMES {
                    self.known.clear();
                }
                self.known.insert(name.clone());
                self.last = name.clone();
            }
        }
        *name = self.last.clone();
    }
}

/// How a log is being followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TailMode {
    /// CloudWatch Logs live tail session.
    Live,
    /// Live tail that the service samples (more than 500 events a second).
    Sampled,
    /// Repeated FilterLogEvents.
    Polled,
    /// A local file.
    File,
}

/// State of the tail of one log group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    pub mode: TailMode,
    /// Why it is not live, or other remark; may be empty.
    #[serde(default)]
    pub note: SafeText,
}

/// A log group that could be tailed, and why we think so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    pub name: SafeText,
    pub origin: GroupOrigin,
    /// Stored bytes when the API said so.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
}

/// Where a log group's name comes from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupOrigin {
    /// `--log-group`.
    Option,
    /// The config file.
    Config,
    /// A `badgate:log-group` tag on the target group or instance.
    Tag,
    /// The awslogs driver of an ECS task definition.
    TaskDefinition,
    /// Its name resembles the load balancer's or a target group's.
    NameMatch,
}

/// Groups followed when nobody has chosen: those a person named, else those
/// the configuration or the resources name, else the one whose name fits best.
/// `groups` is in the order of [`GroupOrigin`], as sources give it.
pub fn worth_following(groups: &[LogGroup]) -> Vec<SafeText> {
    const AT_ONCE: usize = 10;
    let Some(best) = groups.iter().map(|g| g.origin).min() else { return Vec::new() };
    let alike = |o: GroupOrigin| match best {
        // A tag and a task definition are equally sure.
        GroupOrigin::Tag | GroupOrigin::TaskDefinition => o <= GroupOrigin::TaskDefinition,
        _ => o == best,
    };
    let most = if best == GroupOrigin::NameMatch { 1 } else { AT_ONCE };
    groups.iter().filter(|g| alike(g.origin)).take(most).map(|g| g.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: i64, id: &str) -> LogLine {
        LogLine {
            at: Timestamp::from_second(n).unwrap(),
            group: SafeText::from("/app/shop".to_string()),
            stream: SafeText::from(format!("i-{}", n % 3)),
            id: SafeText::from(id),
            text: SafeText::from(format!("line {n:05}")),
        }
    }

    #[test]
    fn keeps_the_newest_and_counts_the_rest() {
        let mut ring = LogRing::new(3, 1 << 20);
        for n in 0..5 {
            assert!(ring.push(line(n, "")));
        }
        assert_eq!((ring.len(), ring.dropped(), ring.range()), (3, 2, 2..5));
        assert_eq!(ring.get(2).unwrap().line.text, "line 00002");
        assert!(ring.get(1).is_none() && ring.get(5).is_none());
        assert_eq!(ring.bytes(), 30);

        let mut ring = LogRing::new(100, 25);
        for n in 0..5 {
            ring.push(line(n, ""));
        }
        assert_eq!((ring.len(), ring.dropped(), ring.bytes()), (2, 3, 20));
    }

    #[test]
    fn a_line_larger_than_the_ring_is_still_shown() {
        let mut ring = LogRing::new(100, 4);
        ring.push(line(1, ""));
        ring.push(line(2, ""));
        assert_eq!((ring.len(), ring.dropped()), (1, 1));
    }

    #[test]
    fn refuses_an_id_it_remembers_and_forgets_old_ones() {
        let mut ring = LogRing::default();
        assert!(ring.push(line(1, "a")));
        assert!(!ring.push(line(1, "a")));
        assert_eq!((ring.len(), ring.duplicates()), (1, 1));
        for n in 0..REMEMBERED_IDS {
            assert!(ring.push(line(2, &format!("n{n}"))));
        }
        assert!(ring.get(0).unwrap().line.id.is_empty(), "an id that can meet no duplicate is given up");
        assert_eq!(ring.get(1).unwrap().line.id, "n0");
        assert!(ring.push(line(1, "a")));
        ring.clear();
        assert!(ring.push(line(2, "n9")), "a cleared ring has seen nothing");
    }

    #[test]
    fn marks_lines_that_come_after_later_ones() {
        let mut ring = LogRing::default();
        for n in [5, 7, 6, 7, 8] {
            ring.push(line(n, ""));
        }
        let late: Vec<bool> = ring.iter().map(|h| h.late).collect();
        assert_eq!(late, [false, false, true, false, false]);
    }

    #[test]
    fn lines_share_their_names() {
        let mut ring = LogRing::default();
        for n in 0..6 {
            ring.push(line(n, ""));
        }
        let at = |n: u64| ring.get(n).unwrap().line.clone();
        assert!(std::ptr::eq(at(0).group.as_str(), at(5).group.as_str()));
        assert!(std::ptr::eq(at(0).stream.as_str(), at(3).stream.as_str()));
        assert_eq!(at(1).stream, "i-1");
        assert_eq!(std::mem::size_of::<Held>(), 96, "a million of them is what the memory bound counts on");
    }

    #[test]
    fn follows_what_is_named_before_what_merely_fits() {
        use GroupOrigin::{Config, NameMatch, Option, Tag, TaskDefinition};
        let pick = |origins: &[GroupOrigin]| {
            let groups: Vec<LogGroup> = origins
                .iter()
                .enumerate()
                .map(|(i, o)| LogGroup { name: format!("/{i}").into(), origin: *o, stored_bytes: None })
                .collect();
            worth_following(&groups).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(pick(&[Option, Option, Config, Tag]), "/0 /1");
        assert_eq!(pick(&[Config, Tag]), "/0");
        assert_eq!(pick(&[Tag, TaskDefinition, NameMatch]), "/0 /1");
        assert_eq!(pick(&[NameMatch, NameMatch]), "/0");
        assert_eq!(pick(&[]), "");
    }
}
