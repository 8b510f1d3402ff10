//! From what the console hands over to records for the writer.
//!
//! What people wrote and what sources saw wait in two queues: a note never
//! stands behind a flood of log lines. The second queue is bounded; what it
//! cannot hold is counted and recorded as a gap.

use super::Teller;
use crate::console::msg::{Draft, Durability as Wish};
use crate::console::record::Recorder;
use crate::journal::{Durability, Kind, Record, SUFFIX, Writer};
use crate::situation::{Fact, Observation, Topic};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Log lines in one record: small enough that a torn record costs little.
const LINES_A_RECORD: usize = 200;
/// An answer equal to the last one is recorded again after this long, so that
/// a replay can tell "still so" from "not asked".
const STILL_SO: SignedDuration = SignedDuration::from_secs(60);
/// Log lines that may wait to be recorded; any other observation counts as one.
const WAITING: usize = 100_000;
/// Of the time for closing, what observations may take: the rest is for the
/// disk to store what people wrote.
const OBSERVATIONS_PART: u32 = 3;

/// What waits to become records.
#[derive(Default)]
struct Tray {
    drafts: VecDeque<Draft>,
    observed: VecDeque<Observation>,
    /// Size of `observed`: log lines, and one for anything else.
    waiting: usize,
    missed: Missed,
    closing: Option<Closing>,
    ended: bool,
}

/// What did not fit.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Missed {
    lines: usize,
    others: usize,
}

struct Closing {
    within: Duration,
    /// Observations are recorded up to here.
    until: Instant,
    done: mpsc::Sender<Result<(), SafeText>>,
}

#[derive(Default)]
struct Shared {
    tray: Mutex<Tray>,
    filled: Condvar,
}

impl Shared {
    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(o: &Observation) -> usize {
    match &o.fact {
        Fact::LogLines(lines) => lines.len().max(1),
        _ => 1,
    }
}

/// The console's end.
pub struct Desk(Arc<Shared>);

impl Recorder for Desk {
    fn record(&mut self, draft: Draft) {
        self.0.tray().drafts.push_back(draft);
        self.0.filled.notify_one();
    }

    fn observed(&mut self, list: Vec<Observation>) {
        let mut tray = self.0.tray();
        for o in list {
            let size = size(&o);
            // Whatever its size, one observation always fits into an empty tray.
            if tray.waiting > 0 && tray.waiting + size > WAITING {
                match o.fact {
                    Fact::LogLines(lines) => tray.missed.lines += lines.len(),
                    _ => tray.missed.others += 1,
                }
                continue;
            }
            tray.waiting += size;
            tray.observed.push_back(o);
        }
        drop(tray);
        self.0.filled.notify_one();
    }

    fn close(&mut self, within: Duration) -> Result<(), SafeText> {
        let (done, closed) = mpsc::channel();
        {
            let mut tray = self.0.tray();
            if tray.ended || tray.closing.is_some() {
                return Ok(());
            }
            let until = Instant::now() + within / OBSERVATIONS_PART;
            tray.closing = Some(Closing { within, until, done });
        }
        self.0.filled.notify_one();
        closed.recv_timeout(within + Duration::from_millis(250)).unwrap_or_else(|_| {
            Err("the disk does not answer: what was written last may not be in the incident file".into())
        })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.0.tray().ended = true;
        self.0.filled.notify_one();
    }
}

/// What the scribe does next.
enum Next {
    Drafts(VecDeque<Draft>),
    Observed(Box<Observation>),
    Gap(Missed),
    Close(Closing),
    End,
}

/// Makes records and hands them to the writer.
pub struct Scribe {
    shared: Arc<Shared>,
    pub writer: Writer,
    pub author: SafeText,
    pub teller: Arc<Teller>,
    /// Of each topic: what was last recorded, as a hash, and when.
    last: BTreeMap<Topic, (u64, Timestamp)>,
    path: PathBuf,
    /// Stands in the records of coming and going.
    session: SafeText,
}

impl Scribe {
    /// A scribe and the desk it is given things at.
    pub fn new(
        writer: Writer,
        author: SafeText,
        teller: Arc<Teller>,
        path: PathBuf,
        session: SafeText,
    ) -> (Scribe, Desk) {
        let shared = Arc::new(Shared::default());
        let desk = Desk(Arc::clone(&shared));
        (Scribe { shared, writer, author, teller, last: BTreeMap::new(), path, session }, desk)
    }

    /// Works until the desk is closed or gone.
    pub fn work(mut self) {
        loop {
            match self.next() {
                Next::Drafts(all) => all.into_iter().for_each(|d| self.draft(d)),
                Next::Observed(o) => self.observed(*o),
                Next::Gap(missed) => self.gap(missed),
                Next::Close(closing) => {
                    let since = closing.until - closing.within / OBSERVATIONS_PART;
                    let left = closing.within.saturating_sub(since.elapsed());
                    let _ = closing.done.send(self.close(left));
                    return;
                }
                Next::End => return,
            }
        }
    }

    /// What is most urgent; waits until there is something.
    fn next(&self) -> Next {
        let mut tray = self.shared.tray();
        loop {
            if !tray.drafts.is_empty() {
                return Next::Drafts(std::mem::take(&mut tray.drafts));
            }
            let is_late = tray.closing.as_ref().is_some_and(|c| Instant::now() >= c.until);
            if is_late {
                let left = std::mem::take(&mut tray.observed);
                for o in &left {
                    match &o.fact {
                        Fact::LogLines(lines) => tray.missed.lines += lines.len(),
                        _ => tray.missed.others += 1,
                    }
                }
                tray.waiting = 0;
            }
            if let Some(o) = tray.observed.pop_front() {
                tray.waiting = tray.waiting.saturating_sub(size(&o));
                return Next::Observed(Box::new(o));
            }
            // Told when the flood is over, not once for each of its waves.
            if tray.missed != Missed::default() {
                return Next::Gap(std::mem::take(&mut tray.missed));
            }
            if let Some(closing) = tray.closing.take() {
                tray.ended = true;
                return Next::Close(closing);
            }
            if tray.ended {
                return Next::End;
            }
            tray = self.shared.filled.wait(tray).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn draft(&self, mut draft: Draft) {
        if let ("opened" | "closed", Some(data)) = (draft.kind, draft.data.as_object_mut()) {
            data.insert("session".into(), self.session.as_str().into());
        }
        let by = draft.by.unwrap_or_else(|| self.author.clone());
        let record = Record::new(draft.at, by, Kind::from_name(draft.kind), draft.data);
        let durability = match draft.durability {
            Wish::Now => Durability::Now,
            Wish::Grouped => Durability::Grouped,
        };
        let (teller, id) = (Arc::clone(&self.teller), draft.id);
        self.writer.append(record, durability, move |outcome| teller.acknowledged(id, outcome));
    }

    fn observed(&mut self, o: Observation) {
        if let Fact::LogLines(lines) = &o.fact {
            for chunk in lines.chunks(LINES_A_RECORD) {
                let record = || {
                    let fact = Fact::LogLines(chunk.to_vec());
                    super::record_of(&Observation {
                        fact,
                        topic: o.topic.clone(),
                        source: o.source.clone(),
                        ..o
                    })
                };
                self.writer.append_log(chunk.len() as u64, false, record);
            }
        } else if !self.is_repetition(&o) {
            self.writer.append(super::record_of(&o), Durability::Grouped, |_| {});
        }
    }

    /// True when the same was recorded a short while ago.
    fn is_repetition(&mut self, o: &Observation) -> bool {
        let Ok(text) = serde_json::to_vec(&o.fact) else { return false };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let now = (hasher.finish(), o.at);
        match self.last.get_mut(&o.topic) {
            Some(held) if held.0 == now.0 && o.at.duration_since(held.1) < STILL_SO => true,
            Some(held) => {
                *held = now;
                false
            }
            None => {
                self.last.insert(o.topic.clone(), now);
                false
            }
        }
    }

    fn gap(&self, missed: Missed) {
        for (what, count) in [("log lines", missed.lines), ("observations", missed.others)] {
            if count > 0 {
                let reason = "they came faster than they could be recorded";
                let data = json!({"what": what, "reason": reason, "count": count});
                let record = Record::new(Timestamp::now(), "badgate".into(), Kind::Gap, data);
                self.writer.append(record, Durability::Now, |_| {});
            }
        }
    }

    fn close(&self, within: Duration) -> Result<(), SafeText> {
        self.writer.close(within).map_err(|unflushed| {
            let name = self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let stem = format!("{}-rescued", name.strip_suffix(SUFFIX).unwrap_or(&name));
            match unflushed.rescue(&std::env::temp_dir(), &stem) {
                _ if unflushed.lines.is_empty() => SafeText::from(unflushed.to_string()),
                Ok(path) => format!("{unflushed}; they are in {}", super::shown(&path)).into(),
                Err(e) => format!("{unflushed}; they could not be put elsewhere either: {e}").into(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;
    use crate::console::msg::JournalNews;
    use crate::journal::{Mode, Options, read};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn note(id: u64) -> Draft {
        let data = json!({"text": format!("note {id}")});
        Draft { id, at: lines(0).at, by: None, kind: "note", data, durability: Wish::Now }
    }

    /// A scribe that has not begun, its desk, its file and what it tells.
    fn set_up(dir: &std::path::Path) -> (Scribe, Desk, tokio::sync::mpsc::UnboundedReceiver<JournalNews>) {
        let path = dir.join("a.incident.jsonl");
        let writer = Writer::open(&path, Mode::New, Options::default(), PATIENCE).unwrap();
        let (teller, news) = Teller::new();
        let (scribe, desk) = Scribe::new(writer, "yui@bastion".into(), teller, path, "s1".into());
        (scribe, desk, news)
    }

    #[test]
    fn a_note_goes_before_the_flood_it_came_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (scribe, mut desk, mut news) = set_up(dir.path());
        for _ in 0..20 {
            desk.observed(vec![lines(1000)]);
        }
        desk.record(note(1));
        let worker = std::thread::spawn(move || scribe.work());
        let saved =
            std::iter::from_fn(|| news.blocking_recv()).any(|n| matches!(n, JournalNews::Saved { id: 1 }));
        assert!(saved);
        desk.close(PATIENCE).unwrap();
        worker.join().unwrap();
        let back = read(&dir.path().join("a.incident.jsonl")).unwrap();
        assert_eq!(back.records[0].kind, Kind::Note);
        assert_eq!(back.records.len(), 1 + 20 * 5, "and the flood is there too");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_as_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let (scribe, mut desk, _news) = set_up(dir.path());
        let other = Observation { fact: Fact::LogGroups(Vec::new()), topic: Topic::LogGroups, ..lines(0) };
        desk.observed(vec![lines(WAITING - 1), lines(7), other.clone(), lines(5), other]);
        desk.record(note(1));
        let worker = std::thread::spawn(move || scribe.work());
        // A third of it is for these hundred thousand lines, on a busy machine too.
        desk.close(PATIENCE * 10).unwrap();
        worker.join().unwrap();
        let back = read(&dir.path().join("a.incident.jsonl")).unwrap();
        let gaps: Vec<_> = back.records.iter().filter(|r| r.kind == Kind::Gap).map(|r| &r.data).collect();
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert_eq!((&gaps[0]["what"], &gaps[0]["count"]), (&json!("log lines"), &json!(12)));
        assert_eq!((&gaps[1]["what"], &gaps[1]["count"]), (&json!("observations"), &json!(1)));
        assert!(back.records.iter().any(|r| r.kind == Kind::Note));
    }

    #[test]
    fn closing_without_time_saves_what_people_wrote_and_names_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (scribe, mut desk, _news) = set_up(dir.path());
        desk.observed(vec![lines(300), lines(0)]);
        desk.record(note(1));
        let (done, _closed) = mpsc::channel();
        // The time for observations is over before the scribe begins.
        scribe.shared.tray().closing = Some(Closing { within: PATIENCE, until: Instant::now(), done });
        scribe.work();
        let back = read(&dir.path().join("a.incident.jsonl")).unwrap();
        let kinds: Vec<String> = back.records.iter().map(|r| r.kind.to_string()).collect();
        assert_eq!(kinds, ["note", "gap"]);
        assert_eq!(back.records[1].data["count"], json!(300));
    }
}
