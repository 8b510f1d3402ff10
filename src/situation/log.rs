//! Log lines, held in a bounded ring that counts what it had to let go.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};

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
    seen: HashSet<SafeText>,
    seen_order: VecDeque<SafeText>,
}

/// Ids remembered for dedupe: two overlapping polls of 10,000 events.
const REMEMBERED_IDS: usize = 20_000;

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
            seen: HashSet::new(),
            seen_order: VecDeque::new(),
        }
    }

    /// Takes a line; false when its id was seen before.
    pub fn push(&mut self, line: LogLine) -> bool {
        if !line.id.is_empty() {
            if !self.seen.insert(line.id.clone()) {
                self.duplicates += 1;
                return false;
            }
            self.seen_order.push_back(line.id.clone());
            if self.seen_order.len() > REMEMBERED_IDS
                && let Some(old) = self.seen_order.pop_front()
            {
                self.seen.remove(&old);
            }
        }
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

    /// Lines held, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Held> + ExactSizeIterator {
        self.lines.iter()
    }

    /// The line with this serial number, if still held.
    pub fn get(&self, seq: u64) -> Option<&Held> {
        let first = self.lines.front()?.seq;
        self.lines.get(usize::try_from(seq.checked_sub(first)?).ok()?)
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

    /// Forgets everything (another log group was chosen).
    pub fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
        self.newest = None;
        self.seen.clear();
        self.seen_order.clear();
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
