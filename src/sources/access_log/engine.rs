//! Reads everything there is on several threads: plain files in slices, packed
//! ones and streams whole. Memory does not depend on the size of the input.

use super::filter::Filter;
use super::input::{Packing, Patient, Problem, open, packing, reason, unpacked};
use super::lines::{BLOCK, Blocks, Slice, passed_over};
use super::tally::{Rules, Tally};
use super::{Format, Line, Parser, Template};
use crate::text::SafeText;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use super::input::{Afar, Found, Input, WINDOW, find};

/// A part of a plain file that one thread reads at once.
const SLICE: u64 = 8 << 20;
/// Blocks waiting between the thread that unpacks and the one that counts.
const WAITING: usize = 6;
/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);
/// Lines that could not be read, shown of all.
const SHOWN: usize = 5;
/// Problems kept; further ones are counted.
const PROBLEMS: usize = 1_000;
/// Threads at most.
pub const THREADS: usize = 64;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub rules: Rules,
    pub filter: Option<Filter>,
    /// Only rows of this format count.
    pub only: Option<Format>,
    pub template: Option<Arc<Template>>,
    /// 0: as many as there are processors.
    pub threads: usize,
}

/// How far reading is; shared with whoever shows it, or stops it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read, packed as they are.
    pub done: AtomicU64,
    /// Bytes there are, as far as known.
    pub all: AtomicU64,
    pub rows: AtomicU64,
    /// Set from outside: threads end soon, what was read is kept.
    pub stop: AtomicBool,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    pub file: SafeText,
    pub line: SafeText,
}

/// What was read.
#[derive(Debug)]
pub struct Outcome {
    pub tally: Tally,
    /// Files that were read, wholly or in part.
    pub files: usize,
    /// Bytes read, packed as they are.
    pub bytes: u64,
    pub problems: Vec<Problem>,
    /// Problems beyond those kept.
    pub more_problems: usize,
    /// What a person should know though nothing is missing, such as files that
    /// grew while they were read.
    pub notes: Vec<Problem>,
    pub unreadable: Vec<Unreadable>,
    /// Reading was stopped before its end.
    pub stopped: bool,
}

/// One piece of work.
enum Unit {
    /// A stream, read whole.
    Stream(usize, Option<Arc<File>>),
    Slice {
        input: usize,
        file: Arc<File>,
        start: u64,
        end: u64,
        limit: u64,
        head: Arc<Vec<u8>>,
    },
}

/// What threads gather besides counts.
#[derive(Default)]
struct Notes {
    problems: Vec<Problem>,
    more_problems: usize,
    grown: Vec<Problem>,
    /// Inputs that became shorter while they were read.
    short: Vec<usize>,
    unreadable: Vec<(usize, Unreadable)>,
}

struct Shared<'a> {
    inputs: &'a [Input],
    plan: &'a Plan,
    progress: &'a Progress,
    notes: Mutex<Notes>,
    /// Rows, unreadable lines, and of these those that were too long, of each input.
    rows: Vec<[AtomicU64; 3]>,
}

impl Shared<'_> {
    fn note(&self, f: impl FnOnce(&mut Notes)) {
        f(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn problem(&self, input: usize, what: impl std::fmt::Display) {
        let p = Problem::new(&self.inputs[input].name, what);
        self.note(|n| if n.problems.len() < PROBLEMS { n.problems.push(p) } else { n.more_problems += 1 });
    }

    /// Says of each input what only its parts together show; files with lines in them.
    fn sum_up(&self) -> usize {
        let mut files = 0;
        for (i, counts) in self.rows.iter().enumerate() {
            let [rows, unread, long] = counts.each_ref().map(|c| c.load(Ordering::Relaxed));
            files += usize::from(rows + unread > 0);
            if long > 0 {
                self.problem(i, passed_over(long));
            }
            if rows == 0 && unread > long {
                self.problem(
                    i,
                    format!(
                        "none of its {unread} lines is of a format badgate knows; --log-format describes others"
                    ),
                );
            }
            if rows + unread == 0 && !self.stopped() {
                let name = &self.inputs[i].name;
                self.note(|n| {
                    if n.grown.len() < PROBLEMS && !n.problems.iter().any(|p| p.file == *name) {
                        n.grown.push(Problem::new(name, "holds no row"));
                    }
                });
            }
        }
        files
    }

    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }
}

/// Reads all inputs. `tick` is called now and then on the calling thread.
pub fn run(inputs: &[Input], plan: &Plan, progress: &Progress, mut tick: impl FnMut(&Progress)) -> Outcome {
    let threads = match plan.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    }
    .clamp(1, THREADS);
    let shared = Shared {
        inputs,
        plan,
        progress,
        notes: Mutex::default(),
        rows: inputs.iter().map(|_| Default::default()).collect(),
    };
    progress.all.store(inputs.iter().map(|i| i.size).sum(), Ordering::Relaxed);
    // The largest first, so that no thread is left with one at the end.
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    // What comes from afar is fetched in the order it is named in.
    order.sort_by_key(|i| {
        (inputs[*i].afar.is_none(), inputs[*i].afar.is_none().then_some(std::cmp::Reverse(inputs[*i].size)))
    });
    let next = AtomicUsize::new(0);
    let waiting: Mutex<Vec<Unit>> = Mutex::default();
    let cutting = AtomicUsize::new(0);
    let alone = inputs.len() == 1 && threads > 1;

    let tally = std::thread::scope(|scope| {
        let (told, ended) = mpsc::channel();
        for _ in 0..threads {
            let (shared, order, next, waiting, told) = (&shared, &order, &next, &waiting, told.clone());
            let cutting = &cutting;
            scope.spawn(move || {
                let mut worker = Worker::new(shared);
                while !shared.stopped() {
                    let unit = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    if let Some(unit) = unit {
                        worker.unit(unit, alone);
                        continue;
                    }
                    cutting.fetch_add(1, Ordering::SeqCst);
                    let found =
                        order.get(next.fetch_add(1, Ordering::SeqCst)).map(|i| cut(shared, *i, waiting));
                    let others = cutting.fetch_sub(1, Ordering::SeqCst) - 1;
                    match found {
                        Some(Some(first)) => worker.unit(first, alone),
                        Some(None) => {}
                        // Somebody is about to cut a file into slices: some of them are for us.
                        None if others > 0 => std::thread::sleep(Duration::from_micros(20)),
                        None if waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() => break,
                        None => {}
                    }
                }
                // Nobody waits when the caller is gone.
                let _ = told.send(worker.tally);
            });
        }
        drop(told);
        let mut sum: Option<Tally> = None;
        loop {
            match ended.recv_timeout(TICK) {
                Ok(t) => match &mut sum {
                    Some(s) => s.merge(t),
                    None => sum = Some(t),
                },
                Err(RecvTimeoutError::Timeout) => tick(progress),
                Err(RecvTimeoutError::Disconnected) => break sum,
            }
        }
    });

    let stopped = progress.stop.load(Ordering::Relaxed);
    let files = shared.sum_up();
    let mut notes = shared.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    notes.problems.sort();
    notes.unreadable.sort();
    notes.unreadable.truncate(SHOWN);
    Outcome {
        tally: tally.unwrap_or_else(|| Tally::new(plan.rules.clone())),
        files,
        bytes: progress.done.load(Ordering::Relaxed),
        problems: notes.problems,
        more_problems: notes.more_problems,
        notes: notes.grown,
        unreadable: notes.unreadable.into_iter().map(|u| u.1).collect(),
        stopped,
    }
}

/// Reads what a file or a stream would hold, on the calling thread.
pub fn stream(bytes: &[u8]) -> Outcome {
    let input =
        Input { name: "-".into(), path: None, afar: None, size: bytes.len() as u64, node: Vec::new() };
    let (plan, progress) = (Plan { threads: 1, ..Plan::default() }, Progress::default());
    let shared = Shared {
        inputs: std::slice::from_ref(&input),
        plan: &plan,
        progress: &progress,
        notes: Mutex::default(),
        rows: vec![Default::default()],
    };
    let mut worker = Worker::new(&shared);
    worker.stream(0, Box::new(bytes), false);
    let tally = worker.tally;
    shared.sum_up();
    let notes = shared.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Outcome {
        tally,
        files: 1,
        bytes: bytes.len() as u64,
        problems: notes.problems,
        more_problems: notes.more_problems,
        notes: notes.grown,
        unreadable: notes.unreadable.into_iter().map(|u| u.1).collect(),
        stopped: false,
    }
}

/// Opens an input: a stream, or slices of which all but the first wait for whoever comes.
fn cut(shared: &Shared<'_>, input: usize, waiting: &Mutex<Vec<Unit>>) -> Option<Unit> {
    let Some(path) = &shared.inputs[input].path else { return Some(Unit::Stream(input, None)) };
    let opened = match open(path) {
        Ok(o) => o,
        Err(what) => {
            shared.problem(input, what);
            return None;
        }
    };
    if opened.packing != Packing::Plain || !opened.regular {
        return Some(Unit::Stream(input, Some(opened.file)));
    }
    if opened.size == 0 {
        shared.problem(input, "is empty");
        return None;
    }
    let head = Arc::new(opened.head);
    let mut units: Vec<Unit> = (0..opened.size.div_ceil(SLICE))
        .rev()
        .map(|n| Unit::Slice {
            input,
            file: opened.file.clone(),
            start: n * SLICE,
            end: ((n + 1) * SLICE).min(opened.size),
            limit: opened.size,
            head: head.clone(),
        })
        .collect();
    let first = units.pop();
    waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(units);
    first
}

/// What one thread has.
struct Worker<'a> {
    shared: &'a Shared<'a>,
    tally: Tally,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared<'a>) -> Self {
        Worker { shared, tally: Tally::new(shared.plan.rules.clone()) }
    }

    fn parser(&self) -> Parser {
        Parser::new(self.shared.plan.only, self.shared.plan.template.clone())
    }

    fn unit(&mut self, unit: Unit, alone: bool) {
        self.tally.begin_part();
        match unit {
            Unit::Slice { input, file, start, end, limit, head } => {
                let mut parser = self.parser();
                if start > 0 {
                    parser.learn(&head);
                }
                let seen = file.clone();
                let mut blocks = Blocks::new(Slice::new(file, start, end, limit), start > 0);
                let ended = self.drain(input, &mut parser, &mut blocks);
                self.finish(input, ended, blocks.long);
                self.changed(input, blocks.source.short, (end == limit).then_some((&seen, limit)));
                self.shared.progress.done.fetch_add(end - start, Ordering::Relaxed);
            }
            Unit::Stream(input, file) => {
                let source: Box<dyn Read + Send + '_> = match file {
                    Some(file) if regular(&file) => Box::new(Whole(file)),
                    Some(file) => Box::new(Patient { source: Pipe(file), stop: &self.shared.progress.stop }),
                    None => match &self.shared.inputs[input].afar {
                        Some(afar) => match afar.open() {
                            Ok(source) => source,
                            Err(e) => return self.shared.problem(input, reason(&e)),
                        },
                        None => Box::new(Patient { source: io::stdin(), stop: &self.shared.progress.stop }),
                    },
                };
                self.stream(input, source, alone);
            }
        }
    }

    fn stream(&mut self, input: usize, source: Box<dyn Read + Send + '_>, alone: bool) {
        match unpacked(source, &self.shared.progress.done) {
            Err(what) => self.shared.problem(input, what),
            Ok(stream) if alone => self.piped(input, stream),
            Ok(stream) => {
                let mut blocks = Blocks::new(stream, false);
                let ended = self.drain(input, &mut self.parser(), &mut blocks);
                self.finish(input, ended, blocks.long);
            }
        }
    }

    fn drain<R: Read>(
        &mut self,
        input: usize,
        parser: &mut Parser,
        blocks: &mut Blocks<R>,
    ) -> io::Result<()> {
        let mut first = true;
        while !self.shared.stopped() {
            let Some(block) = blocks.next()? else { break };
            if std::mem::take(&mut first) && !self.looks_like_text(block) {
                return Err(io::Error::other("is binary, no access log"));
            }
            self.block(input, parser, block);
        }
        Ok(())
    }

    fn looks_like_text(&self, block: &[u8]) -> bool {
        packing(&block[..block.len().min(4096)]) == Ok(Packing::Plain)
    }

    /// One stream alone: a thread of its own unpacks, this one counts.
    fn piped(&mut self, input: usize, stream: Box<dyn Read + Send + '_>) {
        let shared = self.shared;
        std::thread::scope(|scope| {
            let (full, blocks) = mpsc::sync_channel::<Vec<u8>>(WAITING);
            let (empty, used) = mpsc::channel::<Vec<u8>>();
            let unpacks = scope.spawn(move || {
                let mut blocks = Blocks::new(stream, false);
                let ended = loop {
                    if shared.stopped() {
                        break Ok(());
                    }
                    match blocks.next() {
                        Ok(Some(block)) => {
                            let mut copy = used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
                            copy.clear();
                            copy.extend_from_slice(block);
                            if full.send(copy).is_err() {
                                break Ok(());
                            }
                        }
                        Ok(None) => break Ok(()),
                        Err(e) => break Err(e),
                    }
                };
                (ended, blocks.long)
            });
            let mut parser = self.parser();
            let mut first = true;
            let mut binary = false;
            for block in &blocks {
                if std::mem::take(&mut first) && !self.looks_like_text(&block) {
                    binary = true;
                    break;
                }
                self.block(input, &mut parser, &block);
                let _ = empty.send(block);
            }
            drop(blocks);
            let (ended, long) = unpacks.join().unwrap_or((Ok(()), 0));
            let ended = if binary { Err(io::Error::other("is binary, no access log")) } else { ended };
            self.finish(input, ended, long);
        });
    }

    fn finish(&mut self, input: usize, ended: io::Result<()>, long: u64) {
        if long > 0 {
            self.tally.unparsed += long;
            let counts = &self.shared.rows[input];
            counts[1].fetch_add(long, Ordering::Relaxed);
            counts[2].fetch_add(long, Ordering::Relaxed);
        }
        if let Err(e) = ended
            && !self.shared.stopped()
        {
            let rows = self.shared.rows[input][0].load(Ordering::Relaxed);
            let what = match e.kind() {
                io::ErrorKind::UnexpectedEof => "is cut off".to_string(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("is damaged ({e})"),
                _ => reason(&e),
            };
            let kept = if rows > 0 { format!("; {rows} rows before that were read") } else { String::new() };
            self.shared.problem(input, format!("{what}{kept}"));
        }
    }

    /// Notes what became of a file while it was read. `end`: its last slice was
    /// read just now, and it had this size at first.
    fn changed(&self, input: usize, short: bool, end: Option<(&File, u64)>) {
        if short {
            let mut new = false;
            self.shared.note(|n| {
                new = !n.short.contains(&input);
                n.short.push(input);
                n.short.dedup();
            });
            if new {
                self.shared
                    .problem(input, "was cut or written anew while it was read; rows of it are missing");
            }
        }
        if let Some((file, limit)) = end
            && let Some(more) =
                file.metadata().ok().and_then(|m| m.len().checked_sub(limit)).filter(|n| *n > 0)
        {
            let what = format!("grew by {more} bytes while it was read; they were left out");
            let p = Problem::new(&self.shared.inputs[input].name, what);
            self.shared.note(|n| {
                if n.grown.len() < PROBLEMS {
                    n.grown.push(p)
                }
            });
        }
    }

    fn block(&mut self, input: usize, parser: &mut Parser, block: &[u8]) {
        let (plan, node) = (self.shared.plan, &self.shared.inputs[input].node);
        let full = plan.filter.is_some();
        let (mut rows, mut unread, mut start) = (0, 0, 0);
        while start < block.len() {
            let end = memchr::memchr(b'\n', &block[start..]).map_or(block.len(), |i| start + i);
            match parser.line(&block[start..end], full) {
                Line::Row(format, row) => {
                    rows += 1;
                    if self.tally.within(row.at) {
                        match &plan.filter {
                            Some(f) if !f.holds(format, &row, plan.rules.idle) => self.tally.filtered += 1,
                            _ => self.tally.take(format, &row, node),
                        }
                    }
                }
                Line::Blank => {}
                Line::Unreadable => {
                    unread += 1;
                    if unread <= SHOWN as u64 {
                        self.sample(input, &block[start..end]);
                    }
                }
            }
            start = end + 1;
        }
        self.tally.unparsed += unread;
        self.shared.progress.rows.fetch_add(rows, Ordering::Relaxed);
        let counts = &self.shared.rows[input];
        counts[0].fetch_add(rows, Ordering::Relaxed);
        counts[1].fetch_add(unread, Ordering::Relaxed);
    }

    fn sample(&self, input: usize, line: &[u8]) {
        self.shared.note(|n| {
            if n.unreadable.len() < SHOWN {
                let file = self.shared.inputs[input].name.clone();
                n.unreadable.push((input, Unreadable { file, line: SafeText::capped(line, 160) }));
            }
        });
    }
}

fn regular(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.is_file())
}

/// A file that is waited for.
struct Pipe(Arc<File>);

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl std::os::fd::AsFd for Pipe {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A file read from its start, however often it is shared.
struct Whole(Arc<File>);

impl Read for Whole {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

#[cfg(test)]
mod tests;
