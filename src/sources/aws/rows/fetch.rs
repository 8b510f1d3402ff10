//! Objects, fetched in pieces: several at a time, in the order they are read.

use super::list::Object;
use super::{AT_ONCE, Incoming, Once, PIECE, Piece, UNDER_WAY};
use crate::situation::Reason;
use crate::sources::access_log::engine::{Input, Progress};
use crate::sources::access_log::node_of;
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::{Question, encode_path};
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// A piece that does not come is asked for so often.
const TRIES: u32 = 5;
/// Pauses that S3 asks for are kept, up to this long for one piece.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happened on the way, for the report.
#[derive(Debug, Default)]
pub struct Story {
    /// Pauses that S3 asked for.
    pub throttled: AtomicU64,
    /// Pieces that broke off and were asked for again.
    pub resumed: AtomicU64,
    /// Objects that may not be read.
    pub denied: AtomicU64,
}

/// One object as those who fetch it know it.
struct Wanted {
    object: Object,
    gone: Arc<AtomicBool>,
    pieces: Sender<(u64, Piece)>,
}

/// The objects as inputs, in this order; fetching begins at once, on the
/// runtime this is called in, and ends when the inputs are dropped.
pub fn objects(
    aws: &Aws,
    bucket: &str,
    objects: Vec<Object>,
    progress: &Arc<Progress>,
    story: &Arc<Story>,
) -> Vec<Input> {
    let mut inputs = Vec::with_capacity(objects.len());
    let mut wanted = Vec::with_capacity(objects.len());
    for object in objects {
        let (pieces, rx) = channel();
        let gone = Arc::<AtomicBool>::default();
        let name = format!("s3://{bucket}/{}", object.key);
        let incoming = Incoming::new(rx, progress.clone(), gone.clone());
        inputs.push(Input {
            name: name.as_str().into(),
            path: None,
            afar: Some(Arc::new(Once { name, incoming: Mutex::new(Some(incoming)) })),
            size: object.size,
            node: node_of(object.key.rsplit('/').next().unwrap_or_default()),
        });
        wanted.push(Wanted { object, gone, pieces });
    }
    let fetcher =
        Fetcher { aws: aws.clone(), bucket: bucket.into(), progress: progress.clone(), story: story.clone() };
    tokio::spawn(dispatch(Arc::new(fetcher), wanted));
    inputs
}

struct Fetcher {
    aws: Aws,
    bucket: String,
    progress: Arc<Progress>,
    story: Arc<Story>,
}

/// Asks for piece after piece as room becomes free. As all pieces are asked
/// for in the order in which they are read, those that take up room are always
/// the ones that somebody waits for.
async fn dispatch(fetcher: Arc<Fetcher>, wanted: Vec<Wanted>) {
    let room = Arc::new(Semaphore::new(UNDER_WAY >> 10));
    let lines = Arc::new(Semaphore::new(AT_ONCE));
    for w in wanted {
        let w = Arc::new(w);
        let mut n = 0;
        let mut from = 0;
        while from < w.object.size {
            let size = (w.object.size - from).min(PIECE as u64);
            let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
            let (Ok(space), Ok(line)) =
                (room.clone().acquire_many_owned(kib).await, lines.clone().acquire_owned().await)
            else {
                return;
            };
            if fetcher.progress.stop.load(Ordering::Relaxed) {
                return;
            }
            // Nobody reads on: it was binary, or broken.
            if w.gone.load(Ordering::Relaxed) {
                break;
            }
            let (fetcher, w) = (fetcher.clone(), w.clone());
            tokio::spawn(async move {
                let piece = match fetcher.piece(&w.object, from, size).await {
                    Ok(bytes) => Piece::Bytes(bytes, Some(space)),
                    Err(what) => Piece::Failed(what),
                };
                // Nobody waits when the reader has gone.
                let _ = w.pieces.send((n, piece));
                drop(line);
            });
            n += 1;
            from += size;
        }
        let _ = w.pieces.send((n, Piece::End));
    }
}

impl Fetcher {
    /// `size` bytes of an object. What broke off is asked for again; a pause
    /// that S3 asks for is kept.
    async fn piece(&self, o: &Object, from: u64, size: u64) -> Result<Vec<u8>, String> {
        let began = Instant::now();
        let mut tries = 0;
        let mut have: Vec<u8> = Vec::new();
        loop {
            let start = from + have.len() as u64;
            let path = format!("/{}", encode_path(&o.key));
            let answer = self
                .aws
                .call(&op::GET_OBJECT, |c| {
                    let mut q = Question { bucket: Some(self.bucket.clone()), ..Question::get(path.clone()) };
                    if size < o.size || start > 0 {
                        q.headers.push(("range", format!("bytes={start}-{}", from + size - 1)));
                    }
                    // The pieces must be of one and the same version.
                    if !o.etag.is_empty() {
                        q.headers.push(("if-match", o.etag.clone()));
                    }
                    async move { c.plain(&op::GET_OBJECT, q).await }
                })
                .await;
            let why = match answer {
                // Somebody in between does not know ranges.
                Ok(body) if body.0.len() as u64 == o.size && start > 0 => {
                    let end = usize::try_from(from + size).unwrap_or(usize::MAX).min(body.0.len());
                    let start = usize::try_from(start).unwrap_or(usize::MAX).min(end);
                    have.extend_from_slice(&body.0[start..end]);
                    return Ok(have);
                }
                Ok(body) => {
                    have.extend_from_slice(&body.0);
                    match (have.len() as u64).cmp(&size) {
                        std::cmp::Ordering::Equal => return Ok(have),
                        std::cmp::Ordering::Greater => {
                            return Err("became larger while it was fetched".into());
                        }
                        std::cmp::Ordering::Less => "cut short".to_string(),
                    }
                }
                Err(Reason::Throttled { until }) if began.elapsed() < PATIENCE => {
                    self.story.throttled.fetch_add(1, Ordering::Relaxed);
                    let wait = until.duration_since(Timestamp::now());
                    sleep(Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(20)).await;
                    if self.progress.stop.load(Ordering::Relaxed) {
                        return Err("stopped".into());
                    }
                    continue;
                }
                Err(Reason::Throttled { .. }) => {
                    return Err(format!("was not given: S3 throttled us for {} s", PATIENCE.as_secs()));
                }
                Err(
                    reason @ (Reason::TimedOut { .. } | Reason::Offline { .. } | Reason::Malformed { .. }),
                ) => reason.phrase(),
                Err(Reason::Denied { action }) => {
                    self.story.denied.fetch_add(1, Ordering::Relaxed);
                    return Err(format!(
                        "may not be read: needs {action}, and kms:Decrypt where it is encrypted so"
                    ));
                }
                Err(Reason::NotFound { .. }) => return Err("vanished before it was read".into()),
                Err(Reason::Failed { code, .. }) if code.as_str() == "PreconditionFailed" => {
                    return Err("was written anew while it was fetched".into());
                }
                Err(Reason::Failed { code, .. }) if code.as_str() == "InvalidObjectState" => {
                    return Err("is in an archive (Glacier): restore it first".into());
                }
                Err(reason) => return Err(reason.phrase()),
            };
            tries += 1;
            self.story.resumed.fetch_add(1, Ordering::Relaxed);
            if tries >= TRIES || self.progress.stop.load(Ordering::Relaxed) {
                return Err(format!("could not be fetched in {tries} tries ({why})"));
            }
            sleep(Duration::from_millis(100) * 2u32.pow(tries)).await;
        }
    }
}
