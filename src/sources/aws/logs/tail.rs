//! Follows up to ten log groups: live where that is permitted, else by polling,
//! and never with a hole that is not named.
//!
//! ```text
//! first screen (newest lines) ─┬─ live session ── cut, silent, 3 h over ──┐
//!                              └─ refused ─ poll, and try again later ◄───┤
//!                                                  read over the hole ◄───┘
//! ```
//!
//! Whatever way lines come, the [`Book`] of their group lets each pass once.

use super::api::{Ended, LiveSession, LogApi, Raw, Stretch, Update};
use super::book::{Book, Way};
use super::read::{self, Got};
use crate::situation::log::{Tail, TailMode};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::sources::outbox::Outbox;
use crate::text::SafeText;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, join_all};
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A live session that says nothing for so long is dead: updates come every
/// second, empty ones too.
const SILENCE: Duration = Duration::from_secs(15);
/// What was ingested around the start of a session may be in neither the
/// session nor the read before it; so it is read once more after this pause.
const SETTLE: Duration = Duration::from_secs(5);
/// Tries to read over a hole before it is named.
const TRIES: u32 = 6;
/// A session that lived so long was a good one.
const GOOD_LIFE: Duration = Duration::from_secs(60);
/// Longest pause between two attempts at a live session.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Pause after a refusal that only a person can lift.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// Overlap of two polls in seconds, and of a sweep for lines that come late.
const OVERLAP_S: i64 = 60;
const SWEEP_S: i64 = 300;
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// A poll slows down to this when nothing comes.
const SLOWEST_POLL: Duration = Duration::from_secs(5);
/// Without a new line for so long, nothing comes.
const LULL: Duration = Duration::from_secs(30);
/// A poll that is further behind than this gives up what it has not read, and
/// says so.
const TOO_FAR_BEHIND_S: i64 = 120;
/// A tail that has nothing to say says that it is alive.
const ALIVE: Duration = Duration::from_secs(30);

/// One followed group.
#[derive(Debug)]
pub struct Group {
    name: SafeText,
    book: Book,
    /// The first screen was read.
    screened: bool,
    /// An ascending read that was not finished: where it began, and its token.
    resume: Option<(i64, String)>,
    /// From here on a session left something out, until it is read over. The
    /// newest line will not do: a new session moves it past the hole.
    unread_from: Option<i64>,
    /// How far behind that read was, in seconds.
    behind_s: i64,
    swept: Instant,
    last_line: Instant,
    remark: String,
    said: Option<Said>,
    said_at: Instant,
}

#[derive(Clone, Debug, PartialEq)]
enum Said {
    Tail(TailMode, String),
    Unknown(Reason),
}

impl Group {
    /// A group of which nothing was read yet.
    pub fn new(name: SafeText) -> Self {
        let now = Instant::now();
        Group {
            name,
            book: Book::default(),
            screened: false,
            resume: None,
            unread_from: None,
            behind_s: 0,
            swept: now,
            last_line: now,
            remark: String::new(),
            said: None,
            said_at: now,
        }
    }

    /// Nothing that was begun is left to read.
    fn is_read(&self) -> bool {
        self.screened && self.resume.is_none()
    }
}

/// What all tails have in common.
#[derive(Clone, Debug)]
pub struct Terms {
    /// History is read from here on.
    pub since: Timestamp,
    /// Between two polls.
    pub every: Duration,
    pub outbox: Outbox,
    /// Changes when what was refused may be tried again at once.
    pub again: watch::Receiver<u64>,
}

/// A tail of one set of groups.
pub struct Follow<A: LogApi> {
    api: Arc<A>,
    groups: Vec<Group>,
    terms: Terms,
    sessions: u32,
    failures: u32,
}

/// A read under way: index of the group, where the read began, what it brings.
type Reading = BoxFuture<'static, (usize, i64, Result<Got, Reason>)>;

/// What comes after a session, or instead of it.
#[derive(Clone, Debug, PartialEq)]
enum Next {
    Reopen,
    /// Poll for so long; why, for the note.
    Poll(Duration, String),
}

impl<A: LogApi> Follow<A> {
    /// A tail of `groups` (at most ten).
    pub fn new(api: Arc<A>, groups: Vec<Group>, terms: Terms) -> Self {
        Follow { api, groups, terms, sessions: 0, failures: 0 }
    }

    /// Runs until it is dropped or the console is gone.
    pub async fn run(mut self) {
        let screens: Vec<Reading> = (0..self.groups.len()).map(|i| self.reading(i)).collect();
        let (opened, screens) = futures::join!(self.open(), join_all(screens));
        for (i, from_ms, got) in screens {
            // Where a live session stands, it says what is missing in its note.
            if let Err(reason) = self.take(i, from_ms, got)
                && opened.is_err()
            {
                self.fail(i, reason);
            }
        }
        self.keep(opened).await;
    }

    /// Asks for a live session. An order to try again that comes from here on is
    /// for the answer to this call: were it forgotten when polling begins, a
    /// refusal under way would stand for minutes after its cause is gone.
    fn open(&mut self) -> impl Future<Output = Result<A::Session, Reason>> + use<A> {
        self.terms.again.mark_unchanged();
        let names = self.groups.iter().map(|g| g.name.clone()).collect();
        let api = Arc::clone(&self.api);
        async move { api.live(names).await }
    }

    async fn keep(mut self, mut opened: Result<A::Session, Reason>) {
        while !self.terms.outbox.is_closed() {
            let next = match opened {
                Ok(session) => {
                    let start = Instant::now();
                    let end = self.live(session).await;
                    self.after_end(&end, start.elapsed())
                }
                Err(reason) if self.groups.len() > 1 && concerns_one(&reason) => return self.split().await,
                Err(reason) => self.after_refusal(&reason),
            };
            if let Next::Poll(span, why) = next {
                self.poll(span, &why).await;
            }
            opened = self.open().await;
        }
    }

    /// One group of several cannot be tailed live: now each is on its own.
    fn split(self) -> BoxFuture<'static, ()> {
        let Follow { api, groups, terms, .. } = self;
        let alone = groups.into_iter().map(move |group| {
            let mut one = Follow::new(Arc::clone(&api), vec![group], terms.clone());
            async move {
                let opened = one.open().await;
                one.keep(opened).await;
            }
        });
        join_all(alone).map(|_| ()).boxed()
    }

    fn after_end(&mut self, end: &Ended, lived: Duration) -> Next {
        if *end == Ended::Timeout || lived >= GOOD_LIFE {
            self.failures = 0;
            return Next::Reopen;
        }
        self.failures += 1;
        let Ended::Cut(what) = end else { return Next::Reopen };
        Next::Poll(pause(self.failures), format!("live tail was cut: {what}"))
    }

    fn after_refusal(&mut self, reason: &Reason) -> Next {
        match reason {
            Reason::Denied { action } => Next::Poll(REFUSED_PAUSE, format!("live tail needs {action}")),
            Reason::Throttled { until } => {
                let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
                Next::Poll(wait.clamp(Duration::from_secs(5), LONGEST_PAUSE), "live tail throttled".into())
            }
            Reason::Failed { code, .. } if code.contains("LimitExceeded") => {
                Next::Poll(LONGEST_PAUSE, "too many live tails in this account".into())
            }
            Reason::Failed { code, .. }
                if code.contains("InvalidParameter") || code.contains("InvalidOperation") =>
            {
                Next::Poll(REFUSED_PAUSE, "no live tail of this log class".into())
            }
            other => {
                self.failures += 1;
                Next::Poll(pause(self.failures + 2), format!("no live tail: {}", other.phrase()))
            }
        }
    }

    // -- live

    /// Passes a session's lines on until it ends.
    async fn live(&mut self, mut session: A::Session) -> Ended {
        self.sessions += 1;
        let way = Way::Live(self.sessions);
        let mut sampled_until: Option<Instant> = None;
        let mut readings: FuturesUnordered<Reading> = FuturesUnordered::new();
        let mut due = None;
        let mut tries = 0;
        if self.sessions > 1 {
            let (since_ms, now_ms) = (self.terms.since.as_millisecond(), Timestamp::now().as_millisecond());
            for group in &mut self.groups {
                let from_ms = group.book.again_from(since_ms, now_ms, OVERLAP_S);
                group.unread_from = Some(group.unread_from.map_or(from_ms, |u| u.min(from_ms)));
            }
        }
        loop {
            let update = tokio::select! {
                update = timeout(SILENCE, session.next()) => match update {
                    Ok(Ok(update)) => update,
                    Ok(Err(end)) => return end,
                    Err(_) => return Ended::Cut(format!("silent for {} s", SILENCE.as_secs())),
                },
                Some((i, from_ms, got)) = readings.next(), if !readings.is_empty() => {
                    match self.take(i, from_ms, got) {
                        Ok(()) if self.groups[i].is_read() => {}
                        Ok(()) => due = Some(Instant::now() + self.terms.every),
                        Err(reason) => {
                            tries += 1;
                            if tries > TRIES || matches!(reason, Reason::Denied { .. }) {
                                self.name_hole(i, &reason);
                            } else {
                                due = Some(Instant::now() + SETTLE);
                            }
                        }
                    }
                    continue;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    readings.extend((0..self.groups.len()).map(|i| self.reading(i)));
                    continue;
                }
            };
            match update {
                Update::Started => {
                    // A reopened session has a hole before it: read at once, and
                    // again when the service has settled. A first one is read before.
                    if self.sessions > 1 {
                        readings.extend((0..self.groups.len()).map(|i| self.reading(i)));
                    }
                    due = Some(Instant::now() + SETTLE);
                    self.say_all(TailMode::Live, "");
                }
                Update::Events { .. } if self.terms.outbox.is_closed() => {
                    return Ended::Cut("the console is gone".into());
                }
                Update::Events { sampled, events } => {
                    if sampled {
                        sampled_until = Some(Instant::now() + GOOD_LIFE / 6);
                    }
                    let is_sampled = sampled_until.is_some_and(|t| t > Instant::now());
                    self.pass(way, events);
                    if is_sampled {
                        self.say_all(TailMode::Sampled, "the service leaves out lines above 500 a second");
                    } else {
                        self.say_all(TailMode::Live, "");
                    }
                }
            }
        }
    }

    fn pass(&mut self, way: Way, events: Vec<Raw>) {
        let mut parts: Vec<Vec<Raw>> = self.groups.iter().map(|_| Vec::new()).collect();
        for e in events {
            let of = if parts.len() == 1 { Some(0) } else { self.index_of(&e.group) };
            if let Some(part) = of.and_then(|i| parts.get_mut(i)) {
                part.push(e);
            }
        }
        for (i, part) in parts.into_iter().enumerate() {
            self.show(i, way, part);
        }
    }

    /// `123456789012:/app/shop`, an ARN or a plain name.
    fn index_of(&self, identifier: &str) -> Option<usize> {
        self.groups.iter().position(|g| {
            let name = g.name.rsplit(':').next().unwrap_or(&g.name);
            identifier == g.name.as_str() || identifier.rsplit(':').next() == Some(name)
        })
    }

    fn show(&mut self, i: usize, way: Way, events: Vec<Raw>) {
        let Some(group) = self.groups.get_mut(i) else { return };
        let lines = group.book.new_lines(&group.name, way, events);
        if lines.is_empty() {
            return;
        }
        group.last_line = Instant::now();
        let source = SafeText::from_static(match way {
            Way::Read => "logs:FilterLogEvents",
            Way::Live(_) => "logs:StartLiveTail",
        });
        self.terms.outbox.lines(&group.name, &source, Timestamp::now(), lines);
    }

    // -- reading

    /// The read this group needs next: its first screen, the rest of a read, or
    /// what is new with some overlap.
    fn reading(&mut self, i: usize) -> Reading {
        let api = Arc::clone(&self.api);
        let group = &mut self.groups[i];
        let name = group.name.clone();
        let since_ms = self.terms.since.as_millisecond();
        let now_ms = Timestamp::now().as_millisecond();
        if !group.screened {
            return async move { (i, since_ms, read::screen(&*api, &name, since_ms, now_ms).await) }.boxed();
        }
        let (from_ms, token) = match group.resume.clone() {
            Some((from_ms, token)) => (from_ms, Some(token)),
            None => {
                let sweep = group.swept.elapsed() >= SWEEP_EVERY;
                if sweep {
                    group.swept = Instant::now();
                }
                let again = group.book.again_from(since_ms, now_ms, if sweep { SWEEP_S } else { OVERLAP_S });
                (group.unread_from.map_or(again, |u| u.min(again)), None)
            }
        };
        let stretch = Stretch { group: name, from_ms, to_ms: None, newest_first: false, token };
        async move { (i, from_ms, read::forward(&*api, stretch, read::PAGES).await) }.boxed()
    }

    /// Takes what a read brought: shows what is new in it, and remembers where
    /// to go on.
    fn take(&mut self, i: usize, from_ms: i64, got: Result<Got, Reason>) -> Result<(), Reason> {
        let got = match got {
            Ok(got) => got,
            Err(reason) => {
                if let Some(group) = self.groups.get_mut(i) {
                    // A token may be what was wrong: begin anew, the book knows the rest.
                    group.resume = None;
                }
                return Err(reason);
            }
        };
        let now_ms = Timestamp::now().as_millisecond();
        let Some(group) = self.groups.get_mut(i) else { return Ok(()) };
        if !group.screened {
            group.screened = true;
            group.swept = Instant::now();
            if let Some(ms) = got.cut_off_ms
                && group.remark.is_empty()
            {
                group.remark = format!("read from {} on", clock(ms.min(now_ms)));
            }
        }
        group.resume = None;
        if let Some(token) = got.token {
            let upto = got.events.iter().map(|e| e.at_ms).max().or(group.book.newest_ms());
            let behind_s = (now_ms - upto.unwrap_or(now_ms)) / 1000;
            let gaining = group.behind_s == 0 || behind_s < group.behind_s;
            group.behind_s = behind_s.max(1);
            if behind_s > TOO_FAR_BEHIND_S && !gaining {
                let from = clock(now_ms - behind_s * 1000);
                group.remark = format!("too many lines: not all read from {from} to {}", clock(now_ms));
                group.screened = false;
                group.behind_s = 0;
            } else {
                group.resume = Some((from_ms, token));
            }
        } else {
            group.behind_s = 0;
            group.unread_from = group.unread_from.filter(|u| *u < from_ms);
        }
        self.show(i, Way::Read, got.events);
        Ok(())
    }

    fn name_hole(&mut self, i: usize, reason: &Reason) {
        if let Some(group) = self.groups.get_mut(i) {
            group.remark = if group.screened {
                format!(
                    "lines before {} may be missing: {}",
                    clock(Timestamp::now().as_millisecond()),
                    reason.phrase()
                )
            } else {
                format!("no lines from before: {}", reason.phrase())
            };
        }
    }

    // -- polling

    /// Polls for `span`, or until what was refused may be tried again.
    async fn poll(&mut self, span: Duration, why: &str) {
        let end = Instant::now() + span;
        let mut pause = self.terms.every;
        let mut failures = 0;
        loop {
            // What is not read now can be read later: a console that is behind
            // makes a poll wait, not lose lines.
            self.terms.outbox.room().await;
            let readings: Vec<Reading> = (0..self.groups.len()).map(|i| self.reading(i)).collect();
            let mut wait: Option<Duration> = None;
            let mut behind = false;
            for (i, from_ms, got) in join_all(readings).await {
                match self.take(i, from_ms, got) {
                    Ok(()) => {
                        behind |= self.groups[i].resume.is_some();
                        let note = format!("{why}; polled every {} s", self.terms.every.as_secs().max(1));
                        self.say(i, TailMode::Polled, &note);
                    }
                    Err(reason) => {
                        let pause = match &reason {
                            Reason::Throttled { until } => {
                                Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
                            }
                            _ => Duration::ZERO,
                        };
                        wait = wait.max(Some(pause));
                        self.fail(i, reason);
                    }
                }
            }
            if self.terms.outbox.is_closed() {
                return;
            }
            failures = if wait.is_some() { failures + 1 } else { 0 };
            pause = match wait {
                Some(wait) => wait.max(self.terms.every * failures.min(6)),
                None if behind => self.terms.every / 2,
                None if self.groups.iter().all(|g| g.last_line.elapsed() > LULL) => {
                    (pause * 3 / 2).min(SLOWEST_POLL.max(self.terms.every))
                }
                None => self.terms.every,
            };
            let now = Instant::now();
            if now >= end {
                return;
            }
            tokio::select! {
                () = sleep(pause.min(end - now).max(Duration::from_millis(50))) => {}
                changed = self.terms.again.changed() => if changed.is_ok() { return } else { sleep(pause).await },
            }
        }
    }

    // -- saying

    fn say_all(&mut self, mode: TailMode, note: &str) {
        for i in 0..self.groups.len() {
            self.say(i, mode, note);
        }
    }

    /// Says how a group's tail does, when that is news or the last word is old.
    fn say(&mut self, i: usize, mode: TailMode, note: &str) {
        let Some(group) = self.groups.get_mut(i) else { return };
        let dropped = match self.terms.outbox.dropped(&group.name) {
            0 => String::new(),
            n => format!("{n} lines dropped, the console was too slow"),
        };
        let late = match &group.resume {
            Some(_) => "behind, catching up".to_string(),
            None => String::new(),
        };
        let parts = [note, &late, &group.remark, &dropped].into_iter().filter(|p| !p.is_empty());
        let said = Said::Tail(mode, parts.collect::<Vec<_>>().join("; "));
        self.utter(i, said);
    }

    fn fail(&mut self, i: usize, reason: Reason) {
        self.utter(i, Said::Unknown(reason));
    }

    fn utter(&mut self, i: usize, what: Said) {
        let Some(group) = self.groups.get_mut(i) else { return };
        if group.said.as_ref() == Some(&what) && group.said_at.elapsed() < ALIVE {
            return;
        }
        let fact = match &what {
            Said::Tail(mode, note) => Fact::Tail(Tail { mode: *mode, note: SafeText::capped(note, 400) }),
            Said::Unknown(reason) => Fact::Unknown(reason.clone()),
        };
        self.terms.outbox.say(Observation {
            at: Timestamp::now(),
            source: SafeText::from_static("logs"),
            topic: Topic::Tail(group.name.clone()),
            fact,
            took_ms: 0,
        });
        group.said = Some(what);
        group.said_at = Instant::now();
    }
}

/// A refusal that may be about one group of several.
fn concerns_one(reason: &Reason) -> bool {
    match reason {
        Reason::Denied { .. } | Reason::NotFound { .. } => true,
        Reason::Failed { code, .. } => code.contains("Invalid") || code.contains("Validation"),
        _ => false,
    }
}

/// Doubles with each failure: 2 s, 4 s, ... up to [`LONGEST_PAUSE`].
fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(7)).min(LONGEST_PAUSE)
}

fn clock(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "?".into(), |t| t.strftime("%H:%M:%SZ").to_string())
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
