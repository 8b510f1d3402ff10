//! Log files and journals of a host, followed: `tail -F` and `journalctl -f`,
//! here or through ssh, each line onto our own clock, no faster than a person
//! could ever read. What is left out is counted and said.

use super::transport::{Reached, end};
use super::{commands, offset};
use crate::situation::host::Host;
use crate::situation::log::{LogLine, Tail, TailMode};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::sources::outbox::Outbox;
use crate::sources::stamp::Stamps;
use crate::text::SafeText;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines a second taken of one host.
const RATE: f64 = 500.0;
/// And at once.
const BURST: f64 = 2_000.0;
/// Bytes of a line that are read; the rest of it is skipped.
const LINE: u64 = 16 * 1024;
/// Bytes of a line that are shown.
const SHOWN: usize = 4096;
/// Before a connection that ended is made again.
const PAUSE: [u64; 4] = [2, 10, 30, 60];

/// Logs of a host being followed; dropping it ends that.
#[derive(Debug)]
pub struct Following {
    stop: Arc<AtomicBool>,
    children: Arc<Mutex<BTreeMap<u32, Child>>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        for child in all.values_mut() {
            let _ = child.kill();
            end(child);
        }
        all.clear();
    }
}

/// What one stream of lines is.
#[derive(Clone, Debug)]
struct Stream {
    host: Reached,
    /// Empty: the journal.
    files: Vec<String>,
    zone: TimeZone,
    skew: SignedDuration,
}

/// Follows what a host that answered has: the files it named, and its journal.
/// `None` when no thread can be had for it.
pub fn follow(host: &Reached, seen: &Host, outbox: &Outbox) -> Option<Following> {
    let files: Vec<String> =
        seen.logs.iter().map(ToString::to_string).filter(|f| commands::followed(f)).collect();
    let skew = SignedDuration::from_millis(seen.clock_ms.unwrap_or(0.0) as i64);
    let zone = seen.zone.as_ref().and_then(|z| offset(z)).unwrap_or(TimeZone::UTC);
    let out = Following { stop: Arc::default(), children: Arc::default() };
    let journal = Stream { host: host.clone(), files: Vec::new(), zone, skew };
    let mut streams = vec![journal.clone()];
    if !files.is_empty() {
        streams.push(Stream { files, ..journal });
    }
    for stream in streams {
        let (stop, children, outbox) = (Arc::clone(&out.stop), Arc::clone(&out.children), outbox.clone());
        std::thread::Builder::new()
            .name("host-tail".into())
            .spawn(move || keep(&stream, &stop, &children, &outbox))
            .ok()?;
    }
    Some(out)
}

impl Stream {
    fn name(&self, file: &str) -> SafeText {
        SafeText::capped(format!("{}:{file}", self.host), 200)
    }

    fn names(&self) -> Vec<SafeText> {
        if self.files.is_empty() {
            return vec![self.name("journal")];
        }
        self.files.iter().map(|f| self.name(f)).collect()
    }

    fn say(&self, outbox: &Outbox, fact: &Fact) {
        for name in self.names() {
            outbox.say(Observation {
                at: Timestamp::now(),
                source: self.host.to_string().into(),
                topic: Topic::Tail(name),
                fact: fact.clone(),
                took_ms: 0,
            });
        }
    }
}

/// Follows, and begins again when the connection ends.
fn keep(stream: &Stream, stop: &AtomicBool, children: &Mutex<BTreeMap<u32, Child>>, outbox: &Outbox) {
    let mut tries = 0usize;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let why = once(stream, stop, children, outbox);
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // A host without a journal stays so.
        let Some(why) = why else { return };
        tries = if began.elapsed() > Duration::from_secs(60) { 0 } else { tries + 1 };
        stream.say(outbox, &Fact::Unknown(Reason::Offline { detail: why }));
        let pause = PAUSE[tries.min(PAUSE.len() - 1)];
        for _ in 0..pause * 10 {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// One connection until it ends; why it did, where it is worth another try.
fn once(
    stream: &Stream,
    stop: &AtomicBool,
    children: &Mutex<BTreeMap<u32, Child>>,
    outbox: &Outbox,
) -> Option<SafeText> {
    let (mut child, program) = match stream.host.start() {
        Ok(started) => started,
        Err(e) => return Some(SafeText::capped(e.to_string(), 200)),
    };
    let (Some(mut stdin), Some(stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Some("its streams cannot be had".into());
    };
    let id = child.id();
    children.lock().unwrap_or_else(PoisonError::into_inner).insert(id, child);
    let script = commands::follow_script(&stream.files);
    let fed = stdin.write_all(script.as_bytes()).is_ok();
    drop(stdin);
    let mut reader = Reader::new(stream, outbox);
    if fed {
        reader.read(stdout, stop);
    }
    let mut said = String::new();
    let ended = {
        let mut all = children.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&id)
    };
    if let Some(mut child) = ended {
        end(&mut child);
        // Its streams are closed: what it complained of is all there.
        let _ = stderr.by_ref().take(4096).read_to_string(&mut said);
    }
    let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("the connection ended").trim();
    if stream.files.is_empty() && (last.contains("not found") || last.contains("No journal")) {
        return None;
    }
    Some(SafeText::capped(format!("{program}: {last}"), 200))
}

struct Reader<'a> {
    stream: &'a Stream,
    outbox: &'a Outbox,
    stamps: Stamps,
    group: SafeText,
    /// Lines that may be taken now.
    tokens: f64,
    filled: Instant,
    left_out: u64,
    told: Instant,
    count: u64,
    last: BTreeMap<SafeText, Timestamp>,
}

impl<'a> Reader<'a> {
    fn new(stream: &'a Stream, outbox: &'a Outbox) -> Reader<'a> {
        let now = Instant::now();
        Reader {
            stream,
            outbox,
            stamps: Stamps::new(stream.zone.clone()),
            group: stream.names().into_iter().next().unwrap_or_default(),
            tokens: BURST,
            filled: now,
            left_out: 0,
            told: now,
            count: 0,
            last: BTreeMap::new(),
        }
    }

    fn read(&mut self, from: impl Read, stop: &AtomicBool) {
        let mut from = BufReader::new(from);
        let live = Tail { mode: TailMode::Live, note: SafeText::default() };
        self.stream.say(self.outbox, &Fact::Tail(live));
        let mut buffer = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            buffer.clear();
            match from.by_ref().take(LINE).read_until(b'\n', &mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if buffer.last() != Some(&b'\n') && buffer.len() as u64 >= LINE && skip(&mut from).is_err() {
                return;
            }
            self.line(&buffer);
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() {
            return;
        }
        // `tail -v` says from which file the next lines are; one of ours.
        if let Some(file) = text.strip_prefix("==> ").and_then(|t| t.strip_suffix(" <=="))
            && self.stream.files.iter().any(|f| f == file)
        {
            self.group = self.stream.name(file);
            return;
        }
        let now = Timestamp::now();
        if !self.admit() {
            self.left_out += 1;
            return self.tell();
        }
        let at = self.stamps.read(bytes, now).map(|t| t.checked_sub(self.stream.skew).unwrap_or(t));
        // What has no time of its own belongs to the line above; the first of all, to now.
        let at = at.unwrap_or_else(|| self.last.get(&self.group).copied().unwrap_or(now));
        self.last.insert(self.group.clone(), at);
        self.count += 1;
        let line = LogLine {
            at,
            group: self.group.clone(),
            stream: SafeText::default(),
            id: format!("{}-{}", now.as_microsecond(), self.count).into(),
            text: SafeText::capped(text, SHOWN),
        };
        self.outbox.lines(&self.group, &self.stream.host.to_string().into(), now, vec![line]);
        self.tell();
    }

    fn admit(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + now.duration_since(self.filled).as_secs_f64() * RATE).min(BURST);
        self.filled = now;
        let some = self.tokens >= 1.0;
        if some {
            self.tokens -= 1.0;
        }
        some
    }

    /// Says, now and then, what was left out.
    fn tell(&mut self) {
        if self.left_out > 0 && self.told.elapsed() > Duration::from_secs(1) {
            self.told = Instant::now();
            let note = format!("{} lines left out: more than {RATE} a second", self.left_out);
            let tail = Tail { mode: TailMode::Live, note: note.into() };
            self.stream.say(self.outbox, &Fact::Tail(tail));
        }
    }
}

/// Reads to the end of the line, and forgets it.
fn skip(from: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let here = from.fill_buf()?;
        if here.is_empty() {
            return Ok(());
        }
        let (n, found) = match here.iter().position(|b| *b == b'\n') {
            Some(n) => (n + 1, true),
            None => (here.len(), false),
        };
        from.consume(n);
        if found {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Event;
    use std::io::Write;
    use tokio::sync::mpsc;

    /// Takes what comes until `done` says that it is enough.
    async fn until(
        rx: &mut mpsc::Receiver<Event>,
        done: impl Fn(&[LogLine], &[Tail]) -> bool,
    ) -> Vec<LogLine> {
        let (mut lines, mut tails) = (Vec::new(), Vec::new());
        while !done(&lines, &tails) {
            let event = tokio::time::timeout(Duration::from_secs(20), rx.recv()).await.expect("in time");
            let Some(Event::Observed(all)) = event else { panic!("{event:?}") };
            for o in all {
                match o.fact {
                    Fact::LogLines(l) => lines.extend(l),
                    Fact::Tail(t) => tails.push(t),
                    _ => {}
                }
            }
        }
        lines
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn lines_of_two_files_come_under_their_names_on_one_clock() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = ["a.log", "b.log"].iter().map(|n| dir.path().join(n)).collect();
        for f in &files {
            std::fs::write(f, "old\n").unwrap();
        }
        let seen = Host {
            logs: files.iter().map(|f| SafeText::new(f.to_string_lossy())).collect(),
            zone: Some("+0900".into()),
            clock_ms: Some(2000.0),
            ..Host::default()
        };
        let (tx, mut rx) = mpsc::channel(64);
        let following = follow(&Reached::Local, &seen, &Outbox::open(tx)).unwrap();
        let add = |n: usize, text: &str| {
            let mut f = std::fs::OpenOptions::new().append(true).open(&files[n]).unwrap();
            f.write_all(text.as_bytes()).unwrap();
        };
        // `tail` takes a moment to begin: lines are added until one is seen.
        let mut lines = Vec::new();
        for _ in 0..100 {
            add(0, "2026/11/22 10:53:50 [error] 7#7: *1 no live upstreams\n");
            let wait = tokio::time::timeout(
                Duration::from_millis(200),
                until(&mut rx, |lines, _| !lines.is_empty()),
            );
            if let Ok(some) = wait.await {
                lines = some;
                break;
            }
        }
        assert!(lines[0].group.ends_with("a.log"), "{lines:?}");
        assert_eq!(lines[0].at, "2026-11-22T01:53:48Z".parse::<Timestamp>().unwrap());
        assert!(!lines.iter().any(|l| l.text == "old"));
        add(1, &format!("{}\nshort\n", "x".repeat(100_000)));
        let lines = until(&mut rx, |lines, _| lines.iter().any(|l| l.text == "short")).await;
        let long = lines.iter().find(|l| l.text.starts_with("xxx")).unwrap();
        assert!(long.group.ends_with("b.log") && long.text.len() < 5000);
        drop(following);
    }

    #[tokio::test]
    async fn what_is_more_than_can_be_read_is_left_out_and_counted() {
        let (tx, _rx) = mpsc::channel(64);
        let outbox = Outbox::open(tx);
        let stream = Stream {
            host: Reached::Local,
            files: vec!["/var/log/a.log".into()],
            zone: TimeZone::UTC,
            skew: SignedDuration::ZERO,
        };
        let mut r = Reader::new(&stream, &outbox);
        let flood = "a line\n".repeat(10_000);
        r.read(flood.as_bytes(), &AtomicBool::new(false));
        assert!(r.count >= BURST as u64 && r.left_out > 0, "{} {}", r.count, r.left_out);
        assert_eq!(r.count + r.left_out, 10_000);
        // A header that is none of ours is a line like others.
        let mut r = Reader::new(&stream, &outbox);
        r.read(&b"==> /etc/shadow <==\nx\n\xff\xfe\x1b[2J\n"[..], &AtomicBool::new(false));
        assert_eq!((r.count, r.group.as_str()), (3, "local:/var/log/a.log"));
    }
}
