//! The incident file in the form the console wants it: drafts in, news out.
//!
//! Three threads stand between, so that the task that draws waits for nothing:
//! one (`scribe`) turns what is handed over into records (JSON takes its time too), the
//! writer's own puts them on the disk, and one reads what the file held and what
//! others append.

mod scribe;

use crate::console::msg::{JournalNews, Recalled};
use crate::console::record::Journal;
use crate::journal::{
    Durability, Entry, Follower, Held, Kind, Mode, OpenError, Options, Problem, ReadError, Reader, Record,
    Status, Writer, WriterState,
};
use crate::situation::Observation;
use crate::text::SafeText;
use jiff::Timestamp;
use scribe::Scribe;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Records handed to the console in one slice when an incident is resumed.
const SLICE: usize = 500;
/// Slices that may wait for the console.
const SLICES: usize = 4;
/// How often the file is looked at for what others append, and the disk for not
/// answering. With the time a record may wait for company, what one sees is with
/// the others within a second.
const LOOK: Duration = Duration::from_millis(400);
/// How long opening the file may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is needed to open an incident file.
pub struct Wanted {
    pub path: PathBuf,
    pub mode: Mode,
    /// `user@host`.
    pub author: SafeText,
    /// TARGET as typed.
    pub target: SafeText,
    /// A drill: when its clock begins, and what is kept of it.
    pub drill: Option<(Timestamp, serde_json::Value)>,
}

/// Opens the file and everything around it: the writer, the reading back, the
/// watch for what others write.
pub fn open(wanted: Wanted) -> Result<Journal, OpenError> {
    open_for(wanted, "open")
}

/// [`open`] for another command than `badgate open`: it stands in the `opened`
/// record, with a name of this session that tells it from others of the same
/// person.
pub fn open_for(wanted: Wanted, command: &'static str) -> Result<Journal, OpenError> {
    let session = session();
    let (teller, news_rx) = Teller::new();
    let resumed = wanted.mode != Mode::New && wanted.path.exists();
    let notify = Arc::clone(&teller);
    let options = Options {
        by: wanted.author.clone(),
        notify: Some(Arc::new(move |status: &Status| notify.status(status))),
        track_own: true,
        ..Options::default()
    };
    let writer = Writer::open(&wanted.path, wanted.mode, options, PATIENCE)?;
    let mut opened = json!({"target": wanted.target, "version": env!("CARGO_PKG_VERSION"), "resumed": resumed,
        "command": command, "session": session});
    // Who comes to a drill comes at its time.
    let mut at = crate::app::drilled::clock(&wanted.path).map_or_else(Timestamp::now, |c| c.now());
    if let Some((begins, about)) = wanted.drill {
        at = begins;
        opened["drill"] = about;
    }
    writer.append(Record::new(at, wanted.author.clone(), Kind::Opened, opened), Durability::Now, |_| {});

    let (recalled, recalled_rx) = mpsc::channel(SLICES);
    let back =
        ReadBack { path: wanted.path.clone(), writer: writer.clone(), teller: Arc::clone(&teller), recalled };
    thread("journal-follow", move || back.run())?;
    let (scribe, desk) = Scribe::new(writer, wanted.author, teller, wanted.path, session);
    thread("journal-scribe", move || scribe.work())?;
    Ok(Journal { recorder: Box::new(desk), news: news_rx, recalled: recalled_rx })
}

/// A name for this run: two of one person on one machine differ.
fn session() -> SafeText {
    let since = Timestamp::now().as_nanosecond().unsigned_abs();
    format!("{:x}-{:x}", std::process::id(), since & 0xffff_ffff_ffff).into()
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(|_| ()).map_err(OpenError::Thread)
}

fn shown(path: &Path) -> SafeText {
    SafeText::from(path.to_string_lossy())
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

/// Passes on how the writer is doing, each thing once.
struct Teller {
    news: mpsc::UnboundedSender<JournalNews>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// Drafts that trouble held up when they were acknowledged; they are on
    /// disk once it is over.
    held: Vec<u64>,
    moved: usize,
    restored: u32,
    trouble: Option<(SafeText, usize)>,
}

impl Teller {
    fn new() -> (Arc<Teller>, mpsc::UnboundedReceiver<JournalNews>) {
        let (news, rx) = mpsc::unbounded_channel();
        (Arc::new(Teller { news, told: Mutex::new(Told::default()) }), rx)
    }

    fn tell(&self, news: JournalNews) {
        // Nobody listens when the console has ended.
        let _ = self.news.send(news);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self, s: &Status) {
        let mut told = self.told();
        for moved in s.moved.iter().skip(told.moved) {
            let line = format!("the disk failed under {}: {}", shown(&moved.from), moved.why);
            self.tell(JournalNews::Moved { path: moved.to.clone(), line: line.into() });
        }
        told.moved = s.moved.len();
        if s.restored > told.restored {
            told.restored = s.restored;
            let line = "the incident file was deleted or replaced; what was written here was written anew";
            self.tell(JournalNews::Remark { line: line.into() });
        }
        let trouble = match &s.state {
            WriterState::Recording => None,
            WriterState::Trouble { reason, held, .. } => Some((SafeText::from(reason.to_string()), *held)),
            WriterState::Refused(why) => Some((why.clone(), 1)),
            WriterState::Opening | WriterState::Closed => return,
        };
        if trouble.is_none() {
            for id in told.held.drain(..) {
                self.tell(JournalNews::Saved { id });
            }
        }
        if told.trouble != trouble {
            self.tell(match &trouble {
                None => JournalNews::Fine,
                Some((line, waiting)) => JournalNews::Trouble { line: line.clone(), waiting: *waiting },
            });
            told.trouble = trouble;
        }
    }

    fn acknowledged(&self, id: u64, outcome: Result<(), Held>) {
        match outcome {
            _ if id == 0 => {}
            Ok(()) => self.tell(JournalNews::Saved { id }),
            Err(Held::Trouble(_) | Held::NoAnswer(_)) => self.told().held.push(id),
            Err(refused) => self.tell(JournalNews::Refused { id, line: refused.to_string().into() }),
        }
    }
}

/// Reads the file back, then watches it for what others append.
struct ReadBack {
    path: PathBuf,
    writer: Writer,
    teller: Arc<Teller>,
    recalled: mpsc::Sender<Vec<Recalled>>,
}

impl ReadBack {
    fn run(self) {
        match Follower::open(&self.path) {
            Ok(mut follower) => {
                follower.skip_own(&self.writer);
                self.follow(follower);
            }
            Err(e) => {
                let line = format!("the incident file cannot be read back: {e}");
                self.teller.tell(JournalNews::Remark { line: line.into() });
                let _ = self.recalled.blocking_send(Vec::new());
            }
        }
    }

    fn follow(&self, mut follower: Follower) {
        let mut first = true;
        loop {
            let (entries, more) = follower.poll();
            let mut slice = Vec::new();
            for entry in entries {
                match entry {
                    Entry::Record(r) => {
                        if first && r.is_log() {
                            self.writer.count_log_bytes(r.clone().to_line().len() as u64);
                        }
                        slice.extend(recall(r));
                    }
                    Entry::Problem(p) => self.remark(&p),
                }
                if slice.len() >= SLICE && self.recalled.blocking_send(std::mem::take(&mut slice)).is_err() {
                    return;
                }
            }
            if !slice.is_empty() && self.recalled.blocking_send(slice).is_err() {
                return;
            }
            if more {
                continue;
            }
            // The console asks no source before it has seen the end of the file.
            if std::mem::take(&mut first) && self.recalled.blocking_send(Vec::new()).is_err() {
                return;
            }
            std::thread::sleep(LOOK);
            if self.recalled.is_closed() {
                return;
            }
            // The writer cannot tell of a call that never returns.
            self.teller.status(&self.writer.status());
        }
    }

    fn remark(&self, p: &Problem) {
        let line = format!("{} line {}: {}", shown(&p.file), p.line, p.why);
        self.teller.tell(JournalNews::Remark { line: line.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::msg::{Draft, Durability as Wish};
    use crate::situation::log::LogLine;
    use crate::situation::{Fact, Reason, Topic};

    pub(super) fn lines(n: usize) -> Observation {
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
            drill: None,
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
            drill: None,
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
        assert_eq!(second.recalled.blocking_recv().map(|v| v.len()), Some(0), "an empty slice ends the file");

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

    #[test]
    fn a_file_that_is_not_ours_is_refused_before_any_screen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "dear diary\n").unwrap();
        let wanted = Wanted {
            path: path.clone(),
            mode: Mode::Either,
            author: "y@b".into(),
            target: "shop".into(),
            drill: None,
        };
        let e = open(wanted).err().map(|e| e.to_string()).unwrap();
        assert!(!e.contains('\n') && e.contains("notes.txt"), "{e}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary\n");
    }

    #[test]
    fn what_trouble_held_up_is_told_when_it_is_on_disk() {
        let (news, mut rx) = mpsc::unbounded_channel();
        let teller = Teller { news, told: Mutex::new(Told::default()) };
        let status = |state| Status {
            state,
            path: PathBuf::from("a"),
            moved: Vec::new(),
            unlocked: false,
            restored: 0,
            recorded: 0,
            logs_left_out: 0,
            overflowed: 0,
        };
        let trouble = || WriterState::Trouble {
            reason: crate::journal::Trouble::DiskFull,
            since: lines(0).at,
            held: 1,
        };
        teller.status(&status(WriterState::Recording));
        teller.acknowledged(4, Err(Held::Trouble(crate::journal::Trouble::DiskFull)));
        teller.status(&status(trouble()));
        teller.status(&status(trouble()));
        teller.status(&status(WriterState::Recording));
        teller.acknowledged(5, Err(Held::TooLong(9)));
        drop(teller);
        let mut all = Vec::new();
        while let Some(n) = rx.blocking_recv() {
            all.push(match n {
                JournalNews::Saved { id } => format!("saved {id}"),
                JournalNews::Trouble { waiting, .. } => format!("trouble {waiting}"),
                JournalNews::Fine => "fine".into(),
                JournalNews::Refused { id, .. } => format!("refused {id}"),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(all, ["trouble 1", "saved 4", "fine", "refused 5"]);
    }
}
