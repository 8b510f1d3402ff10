//! Rows delivered to a log group, page by page.

use super::{Incoming, Once, Piece};
use crate::situation::Reason;
use crate::sources::access_log::engine::{Input, Progress};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// Pages under way or not yet counted; each has up to 1 MB.
const PAGES: usize = 8;
/// Pauses that the service asks for are kept, up to this long for one page.
const PATIENCE: Duration = Duration::from_secs(120);

/// A log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Bytes it stores, all of its time.
    pub bytes: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// Looks a group up by its whole name.
///
/// # Errors
/// When it is not there, with the names that begin alike; or cannot be asked for.
pub async fn groups(aws: &Aws, name: &str) -> Result<Group, Reason> {
    let out = aws
        .call(&op::DESCRIBE_LOG_GROUPS, |c| {
            c.logs.describe_log_groups().log_group_name_prefix(name).limit(50).send()
        })
        .await?;
    let list = out.log_groups.unwrap_or_default();
    let Some(g) = list.iter().find(|g| g.log_group_name() == Some(name)) else {
        let alike: Vec<&str> = list.iter().filter_map(|g| g.log_group_name()).take(3).collect();
        let hint = if alike.is_empty() { String::new() } else { format!(" (there is {})", alike.join(", ")) };
        return Err(Reason::NotFound { what: format!("log group {name}{hint}").into() });
    };
    Ok(Group {
        name: name.into(),
        bytes: g.stored_bytes().and_then(|b| u64::try_from(b).ok()).unwrap_or(0),
        created: g.creation_time().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    })
}

/// The rows of a group as an input; reading begins at once, on the runtime this
/// is called in.
pub fn group(
    aws: &Aws,
    name: &str,
    (from, until): (Timestamp, Option<Timestamp>),
    progress: &Arc<Progress>,
) -> Input {
    let (tx, rx) = sync_channel(PAGES + 2);
    let gone = Arc::<AtomicBool>::default();
    let incoming = Incoming::new(rx, progress.clone(), gone.clone());
    let task =
        Task { aws: aws.clone(), group: name.to_string(), from, until, progress: progress.clone(), gone };
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(PAGES));
        let mut n = 0;
        let ended = task.pages(&room, |piece| {
            // Never full: there is a permit for every page.
            let sent = tx.try_send((n, piece)).is_ok();
            n += 1;
            sent
        });
        let last = match ended.await {
            Ok(()) => Piece::End,
            Err(what) => Piece::Failed(what),
        };
        let _ = tx.try_send((n, last));
    });
    let shown = format!("cwl:{name}");
    Input {
        name: shown.as_str().into(),
        path: None,
        afar: Some(Arc::new(Once { name: shown, incoming: Mutex::new(Some(incoming)) })),
        size: 0,
        node: Vec::new(),
    }
}

struct Task {
    aws: Aws,
    group: String,
    from: Timestamp,
    until: Option<Timestamp>,
    progress: Arc<Progress>,
    gone: Arc<AtomicBool>,
}

impl Task {
    async fn pages(&self, room: &Arc<Semaphore>, mut take: impl FnMut(Piece) -> bool) -> Result<(), String> {
        let mut token: Option<String> = None;
        let mut began = Instant::now();
        loop {
            let Ok(space) = room.clone().acquire_owned().await else { return Ok(()) };
            if self.progress.stop.load(Ordering::Relaxed) || self.gone.load(Ordering::Relaxed) {
                return Ok(());
            }
            let answer = self
                .aws
                .call(&op::FILTER_LOG_EVENTS, |c| {
                    let ask = c.logs.filter_log_events();
                    let ask = if self.group.starts_with("arn:") {
                        ask.log_group_identifier(&self.group)
                    } else {
                        ask.log_group_name(&self.group)
                    };
                    ask.start_time(self.from.as_millisecond())
                        .set_end_time(self.until.map(Timestamp::as_millisecond))
                        .set_next_token(token.clone())
                        .send()
                })
                .await;
            let out = match answer {
                Ok(out) => out,
                Err(Reason::Throttled { until }) if began.elapsed() < PATIENCE => {
                    let wait = until.duration_since(Timestamp::now());
                    sleep(Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(20)).await;
                    continue;
                }
                Err(reason) => return Err(format!("could not be read to its end: {}", reason.phrase())),
            };
            began = Instant::now();
            let mut bytes = Vec::new();
            for e in out.events.into_iter().flatten() {
                let line = e.message.unwrap_or_default();
                // One event is one row, whatever is in it.
                bytes.extend(line.trim_end().bytes().map(|b| if b == b'\n' { b' ' } else { b }));
                bytes.push(b'\n');
            }
            if !bytes.is_empty() && !take(Piece::Bytes(bytes, Some(space))) {
                return Ok(());
            }
            match out.next_token.filter(|t| !t.is_empty()) {
                None => return Ok(()),
                next if next == token => return Err("its pages lead round in a circle".into()),
                next => token = next,
            }
        }
    }
}
