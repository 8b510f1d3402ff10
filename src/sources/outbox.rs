//! Where log lines wait for the console.
//!
//! Logs are the only source that can say more than a screen can take. Their
//! lines must not keep target health out of the event channel, nor grow without
//! bound while the console is busy. So a tail never writes into the channel: it
//! puts its lines into an outbox, and a pump moves them on while the channel is
//! nearly empty, at most five times a second while lines are few, without
//! pause while they are many.
//!
//! A tail that can be read again later (a file, a poll) asks for [`room`] and
//! waits. A live tail cannot wait: its oldest waiting lines are dropped and
//! counted, and the tail says so in its note.
//!
//! [`room`]: Outbox::has_room

use super::Event;
use crate::situation::log::LogLine;
use crate::situation::{Fact, Observation, Topic};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Lines in one observation at most.
pub const BATCH_LINES: usize = 8192;
/// Bytes of text in one event, after which it is sent.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of text that may wait; beyond it the oldest lines of live tails go.
const WAITING_BYTES: usize = 16 << 20;
/// Below this a tail that can wait may go on reading.
const ROOM_BYTES: usize = WAITING_BYTES / 4;
/// Events in the channel above which no log line is sent: the rest of the
/// channel belongs to those who have little to say, and need to say it.
const CROWDED: usize = 8;
/// Pause between two small batches: lines that come in a trickle are shown
/// five times a second at most.
const BREATH: Duration = Duration::from_millis(200);
/// Pause before a crowded channel is looked at again.
const CROWD_PAUSE: Duration = Duration::from_millis(4);
/// What a line costs besides its text.
const LINE_COST: usize = 96;

/// Lines and tail states on their way to the console. A clone is a handle.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Handle>);

/// What all handles share; its end tells the pump to send the rest and stop.
#[derive(Debug)]
struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.filled.notify_one();
    }
}

impl std::ops::Deref for Outbox {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0.0
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Inner {
    state: Mutex<State>,
    /// Something was put in.
    filled: Notify,
    /// Something was taken out, or the console is gone.
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Observation>,
    bytes: usize,
    /// Lines dropped, by log group.
    dropped: BTreeMap<SafeText, u64>,
    /// The console is gone.
    closed: bool,
    /// The last tail is gone.
    ended: bool,
}

impl Outbox {
    /// An outbox and the task that empties it into `events`. The task ends when
    /// the console hangs up or the last handle is dropped. Must be called
    /// within a tokio runtime.
    pub fn open(events: mpsc::Sender<Event>) -> Outbox {
        let inner =
            Arc::new(Inner { state: Mutex::default(), filled: Notify::new(), drained: Notify::new() });
        tokio::spawn(pump(Arc::clone(&inner), events));
        Outbox(Arc::new(Handle(inner)))
    }

    /// Puts lines in, oldest first; older lines that wait are dropped when
    /// there is no room. `at`: when the source gave them.
    pub fn lines(&self, group: &SafeText, source: &SafeText, at: Timestamp, lines: Vec<LogLine>) {
        let mut state = self.lock();
        let mut rest = lines.into_iter();
        loop {
            let part: Vec<LogLine> = rest.by_ref().take(BATCH_LINES).collect();
            if part.is_empty() {
                break;
            }
            state.add(group, source, at, part);
        }
        state.shed();
        drop(state);
        self.filled.notify_one();
    }

    /// Puts in anything else a tail has to say. It is never dropped, and stays
    /// in order with the lines.
    pub fn say(&self, observation: Observation) {
        self.lock().waiting.push_back(observation);
        self.filled.notify_one();
    }

    /// Lines of this group dropped since the outbox was opened.
    pub fn dropped(&self, group: &SafeText) -> u64 {
        self.lock().dropped.get(group).copied().unwrap_or(0)
    }

    /// True when a tail that can wait may read on.
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        state.closed || state.bytes < ROOM_BYTES
    }

    /// Waits until there is room, or the console is gone.
    pub async fn room(&self) {
        while !self.has_room() {
            // The timeout covers a wake-up taken by another tail.
            let _ = tokio::time::timeout(BREATH, self.drained.notified()).await;
        }
    }

    /// True when nobody will ever read what is put in.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl Inner {
    /// A tail that panicked while it held the lock leaves a usable queue.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(lines: &[LogLine]) -> usize {
    lines.iter().map(|l| l.text.len() + LINE_COST).sum()
}

impl State {
    fn add(&mut self, group: &SafeText, source: &SafeText, at: Timestamp, lines: Vec<LogLine>) {
        self.bytes += cost(&lines);
        if let Some(Observation { topic: Topic::Tail(g), fact: Fact::LogLines(held), at: when, .. }) =
            self.waiting.back_mut()
            && g == group
            && held.len() + lines.len() <= BATCH_LINES
        {
            held.extend(lines);
            *when = at;
            return;
        }
        self.waiting.push_back(Observation {
            at,
            source: source.clone(),
            topic: Topic::Tail(group.clone()),
            fact: Fact::LogLines(lines),
            took_ms: 0,
        });
    }

    /// Drops the oldest lines until what waits is within bounds.
    fn shed(&mut self) {
        while self.bytes > WAITING_BYTES {
            let oldest = self.waiting.iter().position(|o| matches!(o.fact, Fact::LogLines(_)));
            let Some(Observation { topic: Topic::Tail(group), fact: Fact::LogLines(lines), .. }) =
                oldest.and_then(|i| self.waiting.remove(i))
            else {
                return;
            };
            self.bytes -= cost(&lines);
            *self.dropped.entry(group).or_default() += lines.len() as u64;
        }
    }

    /// The next event's worth, and whether it is a full one.
    fn take(&mut self) -> (Vec<Observation>, bool) {
        let (mut out, mut lines, mut bytes) = (Vec::new(), 0, 0);
        let mut full = false;
        while let Some(next) = self.waiting.front() {
            if let Fact::LogLines(more) = &next.fact {
                if lines > 0 && lines + more.len() > BATCH_LINES {
                    full = true;
                    break;
                }
                lines += more.len();
                bytes += cost(more);
            }
            out.extend(self.waiting.pop_front());
            if bytes >= BATCH_BYTES {
                full = true;
                break;
            }
        }
        self.bytes -= bytes;
        (out, full)
    }
}

async fn pump(inner: Arc<Inner>, events: mpsc::Sender<Event>) {
    let free = events.max_capacity() - CROWDED.min(events.max_capacity() / 2);
    loop {
        let (batch, full, ended) = {
            let mut state = inner.lock();
            let (batch, full) = state.take();
            (batch, full, state.ended)
        };
        if batch.is_empty() {
            if ended {
                return;
            }
            tokio::select! {
                () = inner.filled.notified() => continue,
                () = events.closed() => break,
            }
        }
        inner.drained.notify_one();
        while events.capacity() < free && !events.is_closed() {
            tokio::time::sleep(CROWD_PAUSE).await;
        }
        if events.send(Event::Observed(batch)).await.is_err() {
            break;
        }
        if !full {
            breathe(&inner).await;
        }
    }
    inner.lock().closed = true;
    inner.drained.notify_waiters();
}

/// Waits until [`BREATH`] is over or a whole event's worth has come: a flood
/// must not be held up by the pause that is meant for a trickle.
async fn breathe(inner: &Inner) {
    let over = tokio::time::sleep(BREATH);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            () = inner.filled.notified() => {}
        }
        let state = inner.lock();
        if state.bytes >= BATCH_BYTES || state.ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::log::{Tail, TailMode};

    fn lines(from: usize, n: usize, bytes: usize) -> Vec<LogLine> {
        (from..from + n)
            .map(|i| LogLine {
                at: Timestamp::UNIX_EPOCH,
                group: SafeText::from("/app"),
                stream: SafeText::default(),
                id: SafeText::default(),
                text: SafeText::from(format!("{i:0bytes$}")),
            })
            .collect()
    }

    fn put(outbox: &Outbox, from: usize, n: usize, bytes: usize) {
        outbox.lines(&"/app".into(), &"test".into(), Timestamp::UNIX_EPOCH, lines(from, n, bytes));
    }

    fn texts(event: Event) -> Vec<usize> {
        let Event::Observed(all) = event else { panic!("not an observation") };
        all.into_iter()
            .filter_map(|o| if let Fact::LogLines(l) = o.fact { Some(l) } else { None })
            .flatten()
            .map(|l| l.text.parse().unwrap())
            .collect()
    }

    async fn all(events: &mut mpsc::Receiver<Event>) -> Vec<usize> {
        let mut out = Vec::new();
        while let Some(event) = events.recv().await {
            out.extend(texts(event));
        }
        out
    }

    #[tokio::test]
    async fn passes_everything_on_in_order_and_ends_with_the_last_tail() {
        let (send, mut events) = mpsc::channel(64);
        let outbox = Outbox::open(send);
        for i in 0..100 {
            put(&outbox, i * 100, 100, 8);
        }
        drop(outbox);
        assert_eq!(all(&mut events).await, (0..10_000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_trickle_is_gathered_into_few_events() {
        let (send, mut events) = mpsc::channel(64);
        let outbox = Outbox::open(send);
        let begun = std::time::Instant::now();
        let feed = tokio::spawn(async move {
            for i in 0..200 {
                put(&outbox, i, 1, 8);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let mut count = 0;
        while events.recv().await.is_some() {
            count += 1;
        }
        feed.await.unwrap();
        let most = begun.elapsed().as_millis() / BREATH.as_millis() + 2;
        assert!(count <= most, "{count} events, {most} at most");
    }

    #[tokio::test]
    async fn leaves_the_channel_to_others_while_nobody_reads() {
        let (send, mut events) = mpsc::channel(64);
        let outbox = Outbox::open(send.clone());
        for i in 0..40 {
            put(&outbox, i * 4000, 4000, 100);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(send.capacity() >= 64 - CROWDED - 1, "free slots: {}", send.capacity());
        assert!(!outbox.has_room());
        drop(send);
        let first = texts(events.recv().await.unwrap());
        assert_eq!(first[0], 0, "what is in the channel stays in order");
        let dropped = outbox.dropped(&"/app".into());
        drop(outbox);
        let rest = all(&mut events).await;
        assert_eq!(*rest.last().unwrap(), 159_999, "the newest line survives");
        assert!(dropped > 0, "sixteen MB do not fit");
        assert_eq!(first.len() + rest.len() + dropped as usize, 160_000, "every line is shown or counted");
    }

    #[tokio::test]
    async fn states_are_never_dropped() {
        let (send, mut events) = mpsc::channel(4);
        let outbox = Outbox::open(send);
        let tail = Tail { mode: TailMode::Live, note: SafeText::default() };
        outbox.say(Observation {
            at: Timestamp::UNIX_EPOCH,
            source: "test".into(),
            topic: Topic::Tail("/app".into()),
            fact: Fact::Tail(tail),
            took_ms: 0,
        });
        for i in 0..20 {
            put(&outbox, i * 10_000, 10_000, 200);
        }
        drop(outbox);
        let mut states = 0;
        while let Some(Event::Observed(all)) = events.recv().await {
            states += all.iter().filter(|o| matches!(o.fact, Fact::Tail(_))).count();
        }
        assert_eq!(states, 1);
    }

    #[tokio::test]
    async fn a_tail_that_waits_is_let_go_when_the_console_is_gone() {
        let (send, events) = mpsc::channel(4);
        let outbox = Outbox::open(send);
        for i in 0..10 {
            put(&outbox, i * 10_000, 10_000, 200);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!outbox.has_room() && !outbox.is_closed());
        drop(events);
        outbox.room().await;
        assert!(outbox.is_closed());
    }
}
