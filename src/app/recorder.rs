//! The incident file in the form the console wants it: drafts in, news out.

use crate::console::msg::{Draft, Durability as Wish, JournalNews, Recalled};
use crate::console::record::{Journal, Recorder};
use crate::journal::{
    Durability, Entry, Follower, Held, Kind, Mode, OpenError, Options, Problem, ReadError, Reader, Record,
    Status, Writer, WriterState,
};
use crate::situation::log::LogLine;
use crate::situation::{Fact, Observation, Topic};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as sync_mpsc};
use std::time::Duration;
use tokio::sync::mpsc;

/// Records handed to the console in one slice when an incident is resumed.
const SLICE: usize = 500;
/// Slices that may wait for the console.
const SLICES: usize = 4;
/// How often the file is looked at for what others append.
const LOOK: Duration = Duration::from_millis(500);
/// Log lines in one record: small enough that a torn record costs little.
const LINES_A_RECORD: usize = 200;
/// An answer equal to the last one is recorded again after this long, so that
/// a replay can tell "still so" from "not asked".
const STILL_SO: SignedDuration = SignedDuration::from_secs(60);
/// Text of an observation of which nothing but its time is new.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is needed to open an incident file.
pub struct Wanted {
    pub path: PathBuf,
    pub mode: Mode,
    /// `user@host`.
    pub author: SafeText,
    /// TARGET as typed.
    pub target: SafeText,
}

/// Opens the file and everything around it: the writer, the reading back, the
/// watch for what others write.
pub fn open(wanted: Wanted) -> Result<Journal, OpenError> {
    let (news, news_rx) = mpsc::unbounded_channel();
    let existed = wanted.mode != Mode::New && wanted.path.exists();
    let notify_news = news.clone();
    let told: Mutex<usize> = Mutex::new(0);
    let options = Options {
        by: wanted.author.clone(),
        notify: Some(Arc::new(move |status: &Status| {
            let mut moves = told.lock().unwrap_or_else(PoisonError::into_inner);
            for moved in status.moved.iter().skip(*moves) {
                let line = format!("the disk failed under {}: {}", shown(&moved.from), moved.why);
                let _ = notify_news.send(JournalNews::Moved { path: moved.to.clone(), line: line.into() });
            }
            *moves = status.moved.len();
            let _ = notify_news.send(match &status.state {
                WriterState::Opening | WriterState::Recording | WriterState::Closed => JournalNews::Fine,
                WriterState::Trouble { reason, held, .. } => {
                    JournalNews::Trouble { line: reason.to_string().into(), waiting: *held }
                }
                WriterState::Refused(why) => JournalNews::Trouble { line: why.clone(), waiting: 0 },
            });
        })),
        // Until the file has been read its log lines count for nothing; the cap
        // is a bound on what this console adds.
        track_own: true,
        ..Options::default()
    };
    let writer = Writer::open(&wanted.path, wanted.mode, options, PATIENCE)?;
    writer.append(
        Record::new(
            Timestamp::now(),
            wanted.author.clone(),
            Kind::Opened,
            json!({"target": wanted.target, "version": env!("CARGO_PKG_VERSION"), "resumed": existed}),
        ),
        Durability::Now,
        |_| {},
    );
    let stop = Arc::new(AtomicBool::new(false));
    let (recalled, recalled_rx) = mpsc::channel(SLICES);
    let back = ReadBack { path: wanted.path.clone(), writer: writer.clone(), recalled, news: news.clone() };
    let stopped = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("journal-follow".into())
        .spawn(move || back.run(&stopped))
        .map_err(OpenError::Thread)?;
    let waiter = Waiter::start(writer.clone(), news.clone()).map_err(OpenError::Thread)?;
    let recorder = Recording {
        writer,
        author: wanted.author,
        news,
        waiter,
        last: BTreeMap::new(),
        stop,
        path: wanted.path,
    };
    Ok(Journal { recorder: Box::new(recorder), news: news_rx, recalled: recalled_rx })
}

fn shown(path: &Path) -> SafeText {
    SafeText::from(path.to_string_lossy())
}

/// Reads the file back, then watches it for what others append.
struct ReadBack {
    path: PathBuf,
    writer: Writer,
    recalled: mpsc::Sender<Vec<Recalled>>,
    news: mpsc::UnboundedSender<JournalNews>,
}

impl ReadBack {
    fn run(self, stop: &AtomicBool) {
        let mut follower = match Follower::open(&self.path) {
            Ok(f) => f,
            Err(e) => {
                let line = format!("the incident file cannot be read back: {e}");
                let _ = self.news.send(JournalNews::Remark { line: line.into() });
                let _ = self.recalled.blocking_send(Vec::new());
                return;
            }
        };
        follower.skip_own(&self.writer);
        let mut first = true;
        loop {
            let (entries, more) = follower.poll();
            let mut slice = Vec::with_capacity(entries.len().min(SLICE));
            for entry in entries {
                match entry {
                    Entry::Record(r) => slice.extend(recall(r)),
                    Entry::Problem(p) => self.remark(&p),
                }
                if slice.len() >= SLICE {
                    if self.recalled.blocking_send(std::mem::take(&mut slice)).is_err() {
                        return;
                    }
                    first = false;
                }
            }
            // The console waits for the first slice before it asks any source.
            if (!slice.is_empty() || (first && !more)) && self.recalled.blocking_send(slice).is_err() {
                return;
            }
            first &= more;
            if !more {
                std::thread::sleep(LOOK);
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn remark(&self, p: &Problem) {
        let line = format!("{} line {}: {}", shown(&p.file), p.line, p.why);
        let _ = self.news.send(JournalNews::Remark { line: line.into() });
    }
}

/// A record as the console takes it in.
pub fn recall(r: Record) -> Option<Recalled> {
    if r.kind == Kind::Observed {
        return Some(Recalled::Observed(observation(r)?));
    }
    Some(Recalled::Entry { at: r.at, by: r.by, kind: r.kind.as_str().to_owned(), data: r.data })
}

/// The observation in an `observed` record; `None` when it is of a newer kind.
pub fn observation(r: Record) -> Option<Observation> {
    let Value::Object(mut data) = r.data else { return None };
    data.insert("at".into(), Value::from(format!("{:.6}", r.at)));
    data.entry("source").or_insert_with(|| Value::from(r.by.as_str()));
    serde_json::from_value(Value::Object(data)).ok()
}

/// An observation as a record: `by` is the source, `at` the moment it was true.
pub fn record_of(o: &Observation) -> Record {
    let mut data = serde_json::to_value(o).unwrap_or_default();
    if let Value::Object(members) = &mut data {
        members.shift_remove("at");
        members.shift_remove("source");
    }
    Record::new(o.at, o.source.clone(), Kind::Observed, data)
}

/// Reads every observation of a finished incident file, in order.
pub fn observations(path: &Path) -> Result<Vec<Observation>, ReadError> {
    let reader = Reader::open(path)?;
    Ok(reader
        .filter_map(|entry| match entry {
            Entry::Record(r) if r.kind == Kind::Observed => observation(r),
            _ => None,
        })
        .collect())
}

/// Says that a record is on disk when it got there later than its
/// acknowledgement: the disk was in trouble at the time.
struct Waiter(sync_mpsc::Sender<u64>);

impl Waiter {
    fn start(writer: Writer, news: mpsc::UnboundedSender<JournalNews>) -> std::io::Result<Waiter> {
        let (tx, rx) = sync_mpsc::channel::<u64>();
        std::thread::Builder::new().name("journal-wait".into()).spawn(move || {
            while let Ok(id) = rx.recv() {
                let mut ids = vec![id];
                loop {
                    ids.extend(rx.try_iter());
                    match writer.flush(PATIENCE) {
                        Ok(()) => break,
                        Err(Held::Refused(_)) => return,
                        Err(_) => std::thread::sleep(LOOK),
                    }
                }
                for id in ids {
                    let _ = news.send(JournalNews::Saved { id });
                }
            }
        })?;
        Ok(Waiter(tx))
    }
}

struct Recording {
    writer: Writer,
    author: SafeText,
    news: mpsc::UnboundedSender<JournalNews>,
    waiter: Waiter,
    /// Of each topic: what was last recorded, as a hash, and when.
    last: BTreeMap<Topic, (u64, Timestamp)>,
    stop: Arc<AtomicBool>,
    path: PathBuf,
}

impl Recording {
    fn lines(&self, o: &Observation, lines: &[LogLine]) {
        for chunk in lines.chunks(LINES_A_RECORD) {
            let part = Observation { fact: Fact::LogLines(chunk.to_vec()), ..o.clone() };
            self.writer.append_log(record_of(&part), false);
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
}

impl Recorder for Recording {
    fn record(&mut self, draft: Draft) {
        let by = draft.by.unwrap_or_else(|| self.author.clone());
        let record = Record::new(draft.at, by, Kind::from_name(draft.kind), draft.data);
        let durability = match draft.durability {
            Wish::Now => Durability::Now,
            Wish::Grouped => Durability::Grouped,
        };
        let (id, news, waiter) = (draft.id, self.news.clone(), self.waiter.0.clone());
        self.writer.append(record, durability, move |result| match result {
            _ if id == 0 => {}
            Ok(()) => {
                let _ = news.send(JournalNews::Saved { id });
            }
            Err(Held::Trouble(_) | Held::NoAnswer(_)) => {
                let _ = waiter.send(id);
            }
            Err(held) => {
                let _ = news.send(JournalNews::Remark { line: held.to_string().into() });
            }
        });
    }

    fn observed(&mut self, list: Vec<Observation>) {
        for o in list {
            if let Fact::LogLines(lines) = &o.fact {
                self.lines(&o, lines);
            } else if !self.is_repetition(&o) {
                self.writer.append(record_of(&o), Durability::Grouped, |_| {});
            }
        }
    }

    fn close(&mut self, within: Duration) -> Result<(), SafeText> {
        self.stop.store(true, Ordering::Relaxed);
        self.writer.close(within).map_err(|unflushed| {
            let stem = self.path.file_stem().map_or("incident".into(), |s| s.to_string_lossy().into_owned());
            let stem = stem.strip_suffix(".incident").unwrap_or(&stem).to_owned() + "-rescued";
            match unflushed.rescue(&std::env::temp_dir(), &stem) {
                _ if unflushed.lines.is_empty() => SafeText::from(unflushed.to_string()),
                Ok(path) => format!("{unflushed}; they are in {}", shown(&path)).into(),
                Err(e) => format!("{unflushed}; they could not be put elsewhere either: {e}").into(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::Reason;

    fn lines(n: usize) -> Observation {
        let at: Timestamp = "2026-11-22T01:53:50.123456Z".parse().unwrap();
        let line = |i: usize| LogLine {
            at,
            group: "/app/shop".into(),
            stream: "".into(),
            id: format!("e{i}").into(),
            text: format!("line {i}").into(),
        };
        Observation {
            at,
            source: "logs:FilterLogEvents".into(),
            topic: Topic::Tail("/app/shop".into()),
            fact: Fact::LogLines((0..n).map(line).collect()),
            took_ms: 7,
        }
    }

    #[test]
    fn an_observation_comes_back_from_its_record() {
        let denied = Observation {
            topic: Topic::NetworkAcls("vpc-1".into()),
            fact: Fact::Unknown(Reason::Denied { action: "ec2:DescribeNetworkAcls".into() }),
            ..lines(0)
        };
        for o in [lines(3), denied] {
            let record = record_of(&o);
            assert_eq!(record.by.as_str(), "logs:FilterLogEvents");
            assert!(record.data.get("at").is_none(), "the record has a time of its own");
            assert_eq!(observation(record).as_ref(), Some(&o));
        }
    }

    #[test]
    fn what_people_and_sources_hand_over_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.incident.jsonl");
        let wanted = Wanted {
            path: path.clone(),
            mode: Mode::New,
            author: "yui@bastion".into(),
            target: "shop-alb".into(),
        };
        let mut journal = open(wanted).unwrap();
        assert_eq!(journal.recalled.blocking_recv().map(|v| v.len()), Some(0), "a new file recalls nothing");
        let at = lines(0).at;
        journal.recorder.record(Draft {
            id: 9,
            at,
            by: None,
            kind: "note",
            data: json!({"text": "nginx restarted"}),
            durability: Wish::Now,
        });
        let saved = std::iter::from_fn(|| journal.news.blocking_recv())
            .any(|n| matches!(n, JournalNews::Saved { id: 9 }));
        assert!(saved);
        let empty = Observation { fact: Fact::LogGroups(Vec::new()), topic: Topic::LogGroups, ..lines(0) };
        journal.recorder.observed(vec![lines(450), empty.clone(), empty]);
        journal.recorder.close(PATIENCE).unwrap();

        let back = crate::journal::read(&path).unwrap();
        let kinds: Vec<String> = back.records.iter().map(|r| r.kind.to_string()).collect();
        // 450 lines are three records; the repeated answer is not written twice.
        assert_eq!(kinds, ["opened", "note", "observed", "observed", "observed", "observed"]);
        assert_eq!(observations(&path).unwrap().len(), 4);
        assert!(back.problems.is_empty(), "{:?}", back.problems);
    }

    #[test]
    fn a_resumed_file_is_recalled_and_what_others_append_follows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.incident.jsonl");
        let wanted = |mode| Wanted {
            path: path.clone(),
            mode,
            author: "yui@bastion".into(),
            target: "shop-alb".into(),
        };
        let mut first = open(wanted(Mode::New)).unwrap();
        first.recorder.observed(vec![lines(2)]);
        first.recorder.close(PATIENCE).unwrap();

        let mut second = open(wanted(Mode::Resume)).unwrap();
        let recalled = second.recalled.blocking_recv().unwrap();
        assert!(
            recalled.iter().any(|r| matches!(r, Recalled::Observed(o) if *o == lines(2))),
            "{recalled:?}"
        );

        let other = Writer::open(&path, Mode::Resume, Options::default(), PATIENCE).unwrap();
        let note = Record::new(lines(0).at, "ken@laptop".into(), Kind::Note, json!({"text": "me too"}));
        other.append_wait(note, PATIENCE).unwrap();
        let seen = std::iter::from_fn(|| second.recalled.blocking_recv())
            .flatten()
            .find_map(|r| match r {
                Recalled::Entry { by, kind, data, .. } if kind == "note" => Some((by, data)),
                _ => None,
            })
            .unwrap();
        assert_eq!(seen.0.as_str(), "ken@laptop");
        assert_eq!(seen.1, json!({"text": "me too"}));
        second.recorder.close(PATIENCE).unwrap();
    }
}
