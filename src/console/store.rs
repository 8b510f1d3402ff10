//! The incident file behind the console: one thread turns drafts and
//! observations into records (the task that draws does not wait for JSON
//! either), another reads what the file holds and what others append.

use super::msg::{Draft, Durability, JournalNews, Recalled};
use super::record::{Journal, Recorder};
use crate::journal::{
    self, Entry, Follower, Held, Kind, Mode, OpenError, Options, Record, Status, Writer, WriterState,
};
use crate::situation::{Fact, Observation};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Log lines in one record: more would make lines that nothing but badgate reads.
const LINES_PER_RECORD: usize = 500;
/// Records in one slice of what is read back.
const SLICE: usize = 2_000;
/// Slices waiting to be folded.
const SLICES: usize = 4;
/// How often the file is looked at for what others append, and the disk for not answering.
const LOOK: Duration = Duration::from_secs(1);
/// How long opening the file may take before the console starts without an answer.
const OPEN: Duration = Duration::from_secs(3);

/// What goes into the `opened` record.
#[derive(Clone, Debug)]
pub struct Opening {
    /// TARGET as typed.
    pub target: SafeText,
    /// `user@host`.
    pub author: SafeText,
    /// When the console was started.
    pub at: Timestamp,
}

/// Opens an incident file for the console. A file that exists is read back;
/// one that cannot be read or is not ours is an error here, before any screen.
pub fn open(path: &Path, mode: Mode, opening: &Opening) -> Result<Journal, OpenError> {
    let (news, told) = mpsc::unbounded_channel();
    let teller = Arc::new(Teller { news, held: Mutex::new(Pending::default()) });
    let resumed = mode != Mode::New && path.exists();
    let notify = Arc::clone(&teller);
    let options = Options {
        by: opening.author.clone(),
        notify: Some(Arc::new(move |s: &Status| notify.status(s))),
        track_own: true,
        ..Options::default()
    };
    let writer = Writer::open(path, mode, options, OPEN)?;
    // Everything before this line was there before us.
    let mut follower = Follower::open(path)?;
    follower.skip_own(&writer);

    let (jobs, todo) = std_mpsc::channel();
    let scribe = Scribe {
        writer: writer.clone(),
        author: opening.author.clone(),
        teller: Arc::clone(&teller),
        path: path.to_path_buf(),
    };
    thread("journal-in", move || scribe.work(&todo))?;
    let (slices, recalled) = mpsc::channel(SLICES);
    thread("journal-out", move || read_on(follower, &writer, &teller, &slices))?;

    let mut store = Store { jobs };
    store.record(Draft {
        id: 0,
        at: opening.at,
        by: None,
        kind: "opened",
        data: json!({
            "target": opening.target,
            "resumed": resumed,
            "version": env!("CARGO_PKG_VERSION"),
        }),
        durability: Durability::Now,
    });
    Ok(Journal { recorder: Box::new(store), news: told, recalled })
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(|_| ()).map_err(OpenError::Thread)
}

/// Reads an observation out of an `observed` record; `None` for one that this
/// version cannot read.
pub fn observation(data: &Value) -> Option<Observation> {
    serde_json::from_value(data.clone()).ok()
}

/// The records an observation becomes: one, or several for many log lines.
pub fn records(o: Observation) -> Vec<Record> {
    let record = |o: &Observation| {
        let data = serde_json::to_value(o).unwrap_or_else(|e| json!({"unreadable": e.to_string()}));
        Record::new(o.at, o.source.clone(), Kind::Observed, data)
    };
    match o {
        Observation { fact: Fact::LogLines(lines), at, source, topic, took_ms }
            if lines.len() > LINES_PER_RECORD =>
        {
            lines
                .chunks(LINES_PER_RECORD)
                .map(|part| {
                    record(&Observation {
                        at,
                        source: source.clone(),
                        topic: topic.clone(),
                        fact: Fact::LogLines(part.to_vec()),
                        took_ms,
                    })
                })
                .collect()
        }
        o => vec![record(&o)],
    }
}

/// Passes on how the writer is doing.
struct Teller {
    news: mpsc::UnboundedSender<JournalNews>,
    held: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    /// Drafts that were acknowledged as held up; on disk once the trouble is over.
    ids: Vec<u64>,
    moved: usize,
    restored: u32,
    /// What was told last, so that nothing is told twice.
    trouble: Option<(SafeText, usize)>,
}

impl Teller {
    fn tell(&self, news: JournalNews) {
        // Nobody listens when the console has ended.
        let _ = self.news.send(news);
    }

    fn status(&self, s: &Status) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for m in &s.moved[held.moved.min(s.moved.len())..] {
            let line =
                format!("the incident goes on in {} ({})", SafeText::new(m.to.to_string_lossy()), m.why);
            self.tell(JournalNews::Moved { path: m.to.clone(), line: line.into() });
        }
        held.moved = s.moved.len();
        if s.restored > held.restored {
            held.restored = s.restored;
            let line = "the incident file was deleted or replaced; what was written here was written anew";
            self.tell(JournalNews::Remark { line: line.into() });
        }
        match &s.state {
            WriterState::Recording => {
                for id in held.ids.drain(..) {
                    self.tell(JournalNews::Saved { id });
                }
                if held.trouble.take().is_some() {
                    self.tell(JournalNews::Fine);
                }
            }
            WriterState::Trouble { reason, held: waiting, .. } => {
                self.trouble(&mut held, SafeText::new(reason.to_string()), *waiting);
            }
            WriterState::Refused(why) => self.trouble(&mut held, why.clone(), 1),
            WriterState::Opening | WriterState::Closed => {}
        }
    }

    fn trouble(&self, held: &mut Pending, line: SafeText, waiting: usize) {
        let now = Some((line.clone(), waiting));
        if held.trouble != now {
            held.trouble = now;
            self.tell(JournalNews::Trouble { line, waiting });
        }
    }

    fn acknowledged(&self, id: u64, outcome: Result<(), Held>) {
        match outcome {
            Ok(()) if id != 0 => self.tell(JournalNews::Saved { id }),
            Ok(()) => {}
            Err(Held::Trouble(_) | Held::NoAnswer(_)) => {
                if id != 0 {
                    self.held.lock().unwrap_or_else(PoisonError::into_inner).ids.push(id);
                }
            }
            Err(refused) => self.tell(JournalNews::Refused { id, line: SafeText::new(refused.to_string()) }),
        }
    }
}

enum Job {
    Draft(Draft),
    Observed(Vec<Observation>),
    Close { within: Duration, done: std_mpsc::Sender<Result<(), SafeText>> },
}

/// The console's end.
struct Store {
    jobs: std_mpsc::Sender<Job>,
}

impl Recorder for Store {
    fn record(&mut self, draft: Draft) {
        let _ = self.jobs.send(Job::Draft(draft));
    }

    fn observed(&mut self, list: Vec<Observation>) {
        let _ = self.jobs.send(Job::Observed(list));
    }

    fn close(&mut self, within: Duration) -> Result<(), SafeText> {
        let (done, closed) = std_mpsc::channel();
        if self.jobs.send(Job::Close { within, done }).is_err() {
            // Closed before.
            return Ok(());
        }
        let stuck =
            || Err("the disk does not answer: what was written last may not be in the incident file".into());
        closed.recv_timeout(within + Duration::from_millis(250)).unwrap_or_else(|_| stuck())
    }
}

/// The thread that makes records.
struct Scribe {
    writer: Writer,
    author: SafeText,
    teller: Arc<Teller>,
    path: PathBuf,
}

impl Scribe {
    fn work(self, todo: &std_mpsc::Receiver<Job>) {
        while let Ok(job) = todo.recv() {
            match job {
                Job::Draft(draft) => self.draft(draft),
                Job::Observed(list) => {
                    for record in list.into_iter().flat_map(records) {
                        if record.is_log() {
                            self.writer.append_log(record, false);
                        } else {
                            self.writer.append(record, journal::Durability::Grouped, |_| {});
                        }
                    }
                }
                Job::Close { within, done } => {
                    let _ = done.send(self.close(within));
                    return;
                }
            }
        }
    }

    fn draft(&self, draft: Draft) {
        let by = draft.by.unwrap_or_else(|| self.author.clone());
        let record = Record::new(draft.at, by, Kind::from_name(draft.kind), draft.data);
        let durability = match draft.durability {
            Durability::Now => journal::Durability::Now,
            Durability::Grouped => journal::Durability::Grouped,
        };
        let (teller, id) = (Arc::clone(&self.teller), draft.id);
        self.writer.append(record, durability, move |outcome| teller.acknowledged(id, outcome));
    }

    fn close(&self, within: Duration) -> Result<(), SafeText> {
        let Err(left) = self.writer.close(within) else { return Ok(()) };
        let stem = self
            .path
            .file_name()
            .and_then(|n| n.to_str()?.strip_suffix(journal::SUFFIX))
            .unwrap_or("incident");
        let line = match left.rescue(&std::env::temp_dir(), &format!("{stem}-rescued")) {
            Ok(path) => format!("{left}; they are in {}", path.display()),
            Err(e) => format!("{left}; and they could not be put into the temporary folder either: {e}"),
        };
        Err(SafeText::new(line))
    }
}

/// The thread that reads: what the file holds, then what others append.
fn read_on(mut follower: Follower, writer: &Writer, teller: &Teller, slices: &mpsc::Sender<Vec<Recalled>>) {
    let mut first = true;
    loop {
        let (entries, more) = follower.poll();
        let mut slice = Vec::new();
        for entry in entries {
            match entry {
                Entry::Record(r) => {
                    if first && r.is_log() {
                        writer.count_log_bytes(r.clone().to_line().len() as u64);
                    }
                    slice.extend(recalled(r));
                }
                Entry::Problem(p) => {
                    let line = format!("line {} of the incident file: {}", p.line, p.why);
                    teller.tell(JournalNews::Remark { line: SafeText::new(line) });
                }
            }
            if slice.len() >= SLICE && slices.blocking_send(std::mem::take(&mut slice)).is_err() {
                return;
            }
        }
        if !slice.is_empty() && slices.blocking_send(slice).is_err() {
            return;
        }
        if more {
            continue;
        }
        if std::mem::take(&mut first) && slices.blocking_send(Vec::new()).is_err() {
            return;
        }
        std::thread::sleep(LOOK);
        if slices.is_closed() {
            return;
        }
        // A call that never returns is seen from outside only.
        teller.status(&writer.status());
    }
}

fn recalled(r: Record) -> Option<Recalled> {
    if r.kind != Kind::Observed {
        return Some(Recalled::Entry { at: r.at, by: r.by, kind: r.kind.as_str().to_string(), data: r.data });
    }
    match serde_json::from_value(r.data) {
        Ok(o) => Some(Recalled::Observed(o)),
        // Of another version, or from another program: kept in the file, and nothing to fold.
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::Topic;
    use crate::situation::log::LogLine;
    use std::time::Instant;

    fn opening() -> Opening {
        Opening {
            target: "shop".into(),
            author: "yui@bastion".into(),
            at: "2026-11-22T01:53:51Z".parse().unwrap(),
        }
    }

    fn note(id: u64, text: &str) -> Draft {
        Draft {
            id,
            at: opening().at,
            by: None,
            kind: "note",
            data: json!({ "text": text }),
            durability: Durability::Now,
        }
    }

    /// Waits for news, patiently; what never comes fails the test.
    fn news(j: &mut Journal) -> JournalNews {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match j.news.try_recv() {
                Ok(n) => return n,
                Err(_) => assert!(Instant::now() < end, "no news came"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What comes back up to the first empty slice (`until_end`), or the next slice.
    fn slices(j: &mut Journal, until_end: bool) -> Vec<String> {
        let mut out = Vec::new();
        loop {
            let slice = j.recalled.blocking_recv().expect("the file is being read");
            if until_end && slice.is_empty() {
                return out;
            }
            out.extend(slice.into_iter().map(|r| match r {
                Recalled::Entry { by, kind, data, .. } => format!("{by} {kind} {}", data["text"]),
                Recalled::Observed(o) => format!("observed {}", o.topic),
            }));
            if !until_end {
                return out;
            }
        }
    }

    fn tail(n: usize) -> Observation {
        let at = opening().at;
        let line = |i: usize| LogLine {
            at,
            group: "/app".into(),
            stream: "".into(),
            id: format!("{i}").into(),
            text: format!("line {i}").into(),
        };
        Observation {
            at,
            source: "logs:FilterLogEvents".into(),
            topic: Topic::Tail("/app".into()),
            fact: Fact::LogLines((0..n).map(line).collect()),
            took_ms: 3,
        }
    }

    #[test]
    fn what_is_written_comes_back_when_the_file_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.incident.jsonl");
        let mut j = open(&path, Mode::New, &opening()).unwrap();
        assert_eq!(slices(&mut j, true), [""; 0]);
        j.recorder.observed(vec![tail(2)]);
        j.recorder.record(note(7, "one"));
        assert!(matches!(news(&mut j), JournalNews::Saved { id: 7 }));
        j.recorder.close(Duration::from_secs(60)).unwrap();

        let mut again = open(&path, Mode::Resume, &opening()).unwrap();
        assert_eq!(
            slices(&mut again, true),
            ["yui@bastion opened null", "observed log tail of /app", "yui@bastion note \"one\""]
        );
        again.recorder.close(Duration::from_secs(60)).unwrap();
        assert!(matches!(open(&path, Mode::New, &opening()), Err(OpenError::Exists(_))));
    }

    #[test]
    fn what_others_append_comes_and_what_we_append_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.incident.jsonl");
        let mut ours = open(&path, Mode::New, &opening()).unwrap();
        assert_eq!(slices(&mut ours, true), [""; 0]);
        ours.recorder.record(note(1, "mine"));
        news(&mut ours);
        let kei = Opening { author: "kei@laptop".into(), ..opening() };
        let mut theirs = open(&path, Mode::Resume, &kei).unwrap();
        theirs.recorder.record(note(1, "theirs"));
        news(&mut theirs);
        let mut seen = slices(&mut ours, false);
        while seen.len() < 2 {
            seen.extend(slices(&mut ours, false));
        }
        assert_eq!(seen, ["kei@laptop opened null", "kei@laptop note \"theirs\""]);
    }

    #[test]
    fn many_log_lines_become_several_records_that_say_the_same() {
        let whole = tail(1201);
        let parts = records(whole.clone());
        assert_eq!(parts.len(), 3);
        let mut lines = Vec::new();
        for r in &parts {
            assert!(r.is_log());
            let o = observation(&r.data).unwrap();
            let Fact::LogLines(part) = o.fact else { panic!() };
            lines.extend(part);
        }
        assert_eq!(Fact::LogLines(lines), whole.fact);
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_before_any_screen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "dear diary\n").unwrap();
        let e = open(&path, Mode::Either, &opening()).err().map(|e| e.to_string()).unwrap();
        assert!(!e.contains('\n') && e.contains("notes.txt"), "{e}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary\n");
    }
}
