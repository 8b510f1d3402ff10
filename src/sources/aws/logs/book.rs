//! What was already shown of one log group.
//!
//! The same event reaches us on several ways: a poll reads a stretch of time
//! again to find what arrived late, a live session starts while the history is
//! read, a hole is filled after a cut. FilterLogEvents names each event by an
//! id, a live tail does not. So events are counted by what they are (stream,
//! time, text): the n-th event of a kind is shown when no way has brought n of
//! its kind before. Equal lines within one millisecond are all shown, none twice.

use super::api::Raw;
use crate::situation::log::LogLine;
use crate::sources::line_cap::capped_line;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Events remembered: what the overlap of two reads can hold, many times over.
const REMEMBERED: usize = 100_000;
/// What a repeated stretch may hold, about a page; beyond it the stretch is
/// shortened, or reading again would take all the calls there are.
const AGAIN_EVENTS: u32 = 5_000;
const AGAIN_BYTES: u64 = 512 << 10;
/// Lines of one event that are shown one by one; the rest is one capped line.
const LINES_OF_EVENT: usize = 200;
/// Seconds of which events are counted.
const COUNTED_S: i64 = 900;

/// On which way an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// FilterLogEvents.
    Read,
    /// A live session, by number.
    Live(u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    read: u32,
    live: u32,
    session: u32,
    shown: u32,
}

/// The memory of one group.
#[derive(Debug, Default)]
pub struct Book {
    kinds: HashMap<u64, Count>,
    order: VecDeque<u64>,
    ids: HashSet<u64>,
    ids_order: VecDeque<u64>,
    /// Events and their bytes by second, the newest ones.
    seconds: BTreeMap<i64, (u32, u64)>,
    /// The newest time of an event, in milliseconds.
    newest_ms: Option<i64>,
}

impl Book {
    /// The newest time seen.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// Lines of those events that were not shown yet, by time.
    pub fn new_lines(&mut self, group: &SafeText, way: Way, mut events: Vec<Raw>) -> Vec<LogLine> {
        events.sort_by_key(|e| e.at_ms);
        let mut out = Vec::new();
        let mut streams: HashMap<String, SafeText> = HashMap::new();
        for e in &events {
            let Some(id) = self.enter(way, e) else { continue };
            let stream = match streams.get(&e.stream) {
                Some(s) => s.clone(),
                None => streams.entry(e.stream.clone()).or_insert_with(|| SafeText::from(&e.stream)).clone(),
            };
            split(group, &stream, &id, e, &mut out);
        }
        out
    }

    /// The id to show an event under, or `None` when it was shown.
    fn enter(&mut self, way: Way, e: &Raw) -> Option<String> {
        self.newest_ms = self.newest_ms.max(Some(e.at_ms));
        if !e.id.is_empty() && !self.remember_id(hash(&e.id)) {
            return None;
        }
        let kind = hash(&(&e.stream, e.at_ms, &e.message));
        if !self.kinds.contains_key(&kind) {
            self.order.push_back(kind);
            if self.order.len() > REMEMBERED
                && let Some(old) = self.order.pop_front()
            {
                self.kinds.remove(&old);
            }
        }
        let count = self.kinds.entry(kind).or_default();
        let nth = match way {
            Way::Read => {
                count.read += 1;
                count.read
            }
            Way::Live(session) => {
                count.live = if count.session == session { count.live + 1 } else { 1 };
                count.session = session;
                count.live
            }
        };
        if nth <= count.shown {
            return None;
        }
        count.shown = nth;
        self.tally(e);
        Some(if nth == 1 { format!("{kind:016x}") } else { format!("{kind:016x}.{nth}") })
    }

    fn remember_id(&mut self, id: u64) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.ids_order.push_back(id);
        if self.ids_order.len() > REMEMBERED
            && let Some(old) = self.ids_order.pop_front()
        {
            self.ids.remove(&old);
        }
        true
    }

    fn tally(&mut self, e: &Raw) {
        let second = self.seconds.entry(e.at_ms.div_euclid(1000)).or_default();
        second.0 += 1;
        second.1 += e.message.len() as u64;
        if self.seconds.len() as i64 > COUNTED_S {
            self.seconds.pop_first();
        }
    }

    /// From when to read again: `back_s` seconds before the newest event (but
    /// never ahead of `now_ms`: a writer's clock may be), shortened where more
    /// than a page lies in between. `start_ms` when nothing was seen yet.
    pub fn again_from(&self, start_ms: i64, now_ms: i64, back_s: i64) -> i64 {
        let Some(newest) = self.newest_ms else { return start_ms };
        let top = newest.min(now_ms);
        let floor = top - back_s * 1000;
        let (mut events, mut bytes) = (0, 0);
        for (second, n) in self.seconds.range(..=top.div_euclid(1000)).rev() {
            events += n.0;
            bytes += n.1;
            if events > AGAIN_EVENTS || bytes > AGAIN_BYTES {
                // The crowded second itself is read again whole.
                return floor.max(second * 1000).max(start_ms);
            }
            if second * 1000 < floor {
                break;
            }
        }
        floor.max(start_ms)
    }
}

/// Stable over restarts of the tail, so that the ring knows what it has.
fn hash(what: &impl Hash) -> u64 {
    let mut h = DefaultHasher::new();
    what.hash(&mut h);
    h.finish()
}

/// An event is one line, or a stack trace of several.
fn split(group: &SafeText, stream: &SafeText, id: &str, e: &Raw, out: &mut Vec<LogLine>) {
    let at = Timestamp::from_millisecond(e.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut rest = e.message.trim_end_matches(['\r', '\n']);
    for n in 0.. {
        let (text, more) = match rest.split_once('\n') {
            Some((text, more)) if n < LINES_OF_EVENT => (text, Some(more)),
            _ => (rest, None),
        };
        let id = if n == 0 { SafeText::from(id) } else { SafeText::from(format!("{id}/{n}")) };
        let text = capped_line(text.strip_suffix('\r').unwrap_or(text).as_bytes(), 0);
        out.push(LogLine { at, group: group.clone(), stream: stream.clone(), id, text });
        match more {
            Some(more) => rest = more,
            None => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(at_ms: i64, message: &str, id: &str) -> Raw {
        Raw { group: String::new(), stream: "s".into(), at_ms, message: message.into(), id: id.into() }
    }

    fn texts(lines: Vec<LogLine>) -> Vec<String> {
        lines.into_iter().map(|l| l.text.to_string()).collect()
    }

    fn group() -> SafeText {
        "/app".into()
    }

    #[test]
    fn an_event_read_twice_is_shown_once() {
        let mut book = Book::default();
        assert_eq!(
            texts(book.new_lines(&group(), Way::Read, vec![raw(2, "b", "2"), raw(1, "a", "1")])),
            ["a", "b"]
        );
        assert_eq!(
            texts(book.new_lines(&group(), Way::Read, vec![raw(2, "b", "2"), raw(3, "c", "3")])),
            ["c"]
        );
        assert_eq!(book.newest_ms(), Some(3));
    }

    #[test]
    fn live_and_read_meet_without_gap_or_double() {
        let mut book = Book::default();
        // Two equal lines in one millisecond, live; the history has three of them.
        let live = vec![raw(5, "x", ""), raw(5, "x", "")];
        assert_eq!(book.new_lines(&group(), Way::Live(1), live).len(), 2);
        let read = vec![raw(5, "x", "1"), raw(5, "x", "2"), raw(5, "x", "3"), raw(4, "w", "0")];
        assert_eq!(texts(book.new_lines(&group(), Way::Read, read.clone())), ["w", "x"]);
        assert_eq!(book.new_lines(&group(), Way::Read, read).len(), 0);
        // A later session that brings them again brings nothing new.
        let again = vec![raw(5, "x", ""), raw(5, "x", ""), raw(5, "x", "")];
        assert_eq!(book.new_lines(&group(), Way::Live(2), again).len(), 0);
        assert_eq!(
            book.new_lines(&group(), Way::Live(2), vec![raw(5, "x", "")]).len(),
            1,
            "a fourth one is new"
        );
    }

    #[test]
    fn ids_are_stable_and_distinct() {
        let ids = |way| {
            let mut book = Book::default();
            let events = vec![raw(5, "x", ""), raw(5, "x", ""), raw(6, "x", "")];
            book.new_lines(&group(), way, events).into_iter().map(|l| l.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(Way::Read), ids(Way::Live(3)));
        let all = ids(Way::Read);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn a_stack_trace_becomes_lines() {
        let mut book = Book::default();
        let lines = book.new_lines(&group(), Way::Read, vec![raw(5, "ERROR pay\r\n\tat a\n\tat b\n", "1")]);
        let ids: HashSet<_> = lines.iter().map(|l| l.id.clone()).collect();
        assert_eq!(ids.len(), 3);
        assert!(lines.iter().all(|l| l.at == Timestamp::from_millisecond(5).unwrap()));
        assert_eq!(texts(lines), ["ERROR pay", "    at a", "    at b"]);
        let long = "x\n".repeat(5000);
        let lines = book.new_lines(&group(), Way::Read, vec![raw(6, &long, "2")]);
        assert_eq!(lines.len(), LINES_OF_EVENT + 1);
        assert!(lines.last().unwrap().text.starts_with("x^Jx^J"));
        let giant = "x".repeat(1 << 20);
        let lines = book.new_lines(&group(), Way::Read, vec![raw(7, &giant, "3")]);
        assert!(lines[0].text.len() < 20_000 && lines[0].text.ends_with(" B"));
    }

    #[test]
    fn reads_again_from_before_the_newest_event() {
        let mut book = Book::default();
        let now = 1_000_000_000;
        assert_eq!(book.again_from(7, now, 60), 7, "nothing seen: from the start");
        book.new_lines(&group(), Way::Read, vec![raw(now - 10_000, "a", "1")]);
        assert_eq!(book.again_from(7, now, 60), now - 70_000);
        book.new_lines(&group(), Way::Read, vec![raw(now + 900_000, "clock is ahead", "2")]);
        assert_eq!(book.again_from(7, now, 60), now - 60_000);
        assert_eq!(book.again_from(now - 30_000, now, 60), now - 30_000, "not before the start");
    }

    #[test]
    fn a_crowded_stretch_is_shortened() {
        let mut book = Book::default();
        let events = (0..20_000).map(|n| raw(n, &n.to_string(), "")).collect();
        assert_eq!(book.new_lines(&group(), Way::Live(1), events).len(), 20_000);
        assert_eq!(book.again_from(0, 1 << 40, 60), 14_000, "5,000 events back, at a whole second");
        let mut book = Book::default();
        let long = "x".repeat(100 << 10);
        let events = (0..20).map(|n| raw(n * 1000, &long, "")).collect();
        book.new_lines(&group(), Way::Live(1), events);
        assert_eq!(book.again_from(0, 1 << 40, 60), 14_000, "half a MiB back");
    }

    #[test]
    fn memory_is_bounded() {
        let mut book = Book::default();
        for round in 0..5 {
            let events = (0..50_000i64)
                .map(|n| {
                    let at = round * 50_000 + n;
                    raw(at * 100, "x", &at.to_string())
                })
                .collect();
            book.new_lines(&group(), Way::Read, events);
        }
        assert!(book.kinds.len() <= REMEMBERED && book.ids.len() <= REMEMBERED);
        assert!(book.seconds.len() as i64 <= COUNTED_S);
    }
}
