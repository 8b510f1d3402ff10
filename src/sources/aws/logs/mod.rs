//! CloudWatch Logs: which groups there are, and what they say.
//!
//! Lines reach the console through an [`Outbox`]; how each tail does is said as
//! [`Fact::Tail`](crate::situation::Fact::Tail), or as an unknown with the
//! reason when nothing can be read at all. A change of the followed groups or
//! of `since` starts the tails anew; line ids are stable, so that the ring
//! drops what it already holds.

mod api;
mod book;
pub mod groups;
mod read;
mod tail;

use super::client::Aws;
use crate::situation::log::{Tail, TailMode};
use crate::situation::{Fact, Observation, Topic};
use crate::sources::Event;
use crate::sources::outbox::Outbox;
use crate::text::SafeText;
use api::AwsLogs;
use book::{Book, Way};
use futures::future::join_all;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tail::{Follow, Group, Terms};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use groups::Clues;

/// Groups of one live session at most.
const GROUPS: usize = 10;
/// How far back logs are read at first when nobody says.
const SINCE: SignedDuration = SignedDuration::from_mins(30);
/// Shortest pause between two polls, and what each group adds to it: of the
/// account's five calls a second others need some, too.
const SHORTEST_POLL: Duration = Duration::from_secs(2);
const PER_GROUP: Duration = Duration::from_millis(700);

/// The running tails of a source. Dropping it ends them.
#[derive(Debug)]
pub struct Tails {
    api: Arc<AwsLogs>,
    aws: Aws,
    outbox: Outbox,
    again: watch::Sender<u64>,
    groups: Vec<SafeText>,
    since: Option<Timestamp>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tails {
    /// No tail yet. Must be called within a tokio runtime.
    pub fn new(aws: Aws, events: mpsc::Sender<Event>) -> Self {
        Self::with_outbox(aws, Outbox::open(events))
    }

    /// As [`Tails::new`] with an outbox that other tails use as well.
    pub fn with_outbox(aws: Aws, outbox: Outbox) -> Self {
        Tails {
            api: Arc::new(AwsLogs::new(aws.clone())),
            aws,
            outbox,
            again: watch::Sender::new(0),
            groups: Vec::new(),
            since: None,
            running: Vec::new(),
        }
    }

    /// Follows exactly these groups, names or ARNs, from `since` on (by default
    /// what the options say, or half an hour). Nothing happens when that is
    /// what is being done.
    pub fn follow(&mut self, groups: &[SafeText], since: Option<Timestamp>) {
        let groups = named(groups);
        if groups == self.groups && since == self.since && self.running.iter().all(|r| !r.0.is_finished()) {
            return;
        }
        self.running.clear();
        let options = self.aws.options();
        let terms = Terms {
            since: since.unwrap_or_else(|| back(Timestamp::now(), options.since)),
            every: options.every.logs.max(SHORTEST_POLL).max(PER_GROUP * groups.len() as u32),
            outbox: self.outbox.clone(),
            again: self.again.subscribe(),
        };
        for part in groups.chunks(GROUPS) {
            let set = part.iter().cloned().map(Group::new).collect();
            let follow = Follow::new(Arc::clone(&self.api), set, terms.clone());
            self.running.push(Running(tokio::spawn(follow.run())));
        }
        (self.groups, self.since) = (groups, since);
    }

    /// The groups that are followed.
    pub fn groups(&self) -> &[SafeText] {
        &self.groups
    }

    /// Credentials or permissions have changed: what was refused is tried again now.
    pub fn try_again(&self) {
        self.again.send_modify(|n| *n += 1);
    }
}

/// The newest lines of these groups since `since`, once: for a headless check
/// and for a refresh. One observation with lines and one with the state per
/// group, or one that says why not.
pub async fn recent(aws: &Aws, groups: &[SafeText], since: Timestamp) -> Vec<Observation> {
    let api = AwsLogs::new(aws.clone());
    let api = &api;
    let groups = named(groups);
    let all = join_all(groups.iter().map(|group| async move {
        let start = Instant::now();
        let now_ms = Timestamp::now().as_millisecond();
        let got = read::screen(api, group, since.as_millisecond(), now_ms).await;
        let took_ms = u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX);
        let observe = |fact| Observation {
            at: Timestamp::now(),
            source: SafeText::from_static("logs:FilterLogEvents"),
            topic: Topic::Tail(group.clone()),
            fact,
            took_ms,
        };
        match got {
            Err(reason) => vec![observe(Fact::Unknown(reason))],
            Ok(got) => {
                let note = got
                    .cut_off_ms
                    .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                    .map_or_else(SafeText::default, |t| {
                        SafeText::from(format!("read from {} on", t.strftime("%H:%M:%SZ")))
                    });
                let lines = Book::default().new_lines(group, Way::Read, got.events);
                vec![
                    observe(Fact::LogLines(lines)),
                    observe(Fact::Tail(Tail { mode: TailMode::Polled, note })),
                ]
            }
        }
    }));
    all.await.into_iter().flatten().collect()
}

/// `since` of the options, as a moment.
pub(super) fn back(now: Timestamp, since: Option<Span>) -> Timestamp {
    let reach = since
        .and_then(|s| s.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .map_or(SINCE, |d| d.abs());
    now.checked_sub(reach).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Each group once, in the order given. An ARN is kept: it may
/// be of another account; only its two spellings become one.
fn named(groups: &[SafeText]) -> Vec<SafeText> {
    let mut out: Vec<SafeText> = Vec::new();
    for group in groups {
        let name = groups::plain_name(group);
        if !name.is_empty() && !out.contains(&name) {
            out.push(name);
        }
    }
    out
}
