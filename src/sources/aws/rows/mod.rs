//! Access logs that are not here: objects in S3, deliveries in CloudWatch Logs,
//! and the same question put to Insights and Athena.
//!
//! What is fetched is handed to the reader of files as [`Afar`]: it is decoded,
//! counted and judged by the same code, on its threads, while the next pieces
//! are on their way. Memory is bounded by [`UNDER_WAY`], whatever there is.

mod events;
mod fetch;
mod list;
mod query;
mod waits;

pub use events::{Group, group, groups};
pub use fetch::{Story, objects};
pub use list::{Listed, Object, Place, list};
pub use query::{Athena, athena, created, insights, row_form};
pub use waits::{NoWaits, Waits, waits};

use crate::sources::access_log::engine::Progress;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that were asked for and are not counted yet.
pub const UNDER_WAY: usize = 16 << 20;
/// Bytes asked for at once; what breaks off is asked for again from there.
const PIECE: usize = 2 << 20;
/// Requests under way at once.
pub const AT_ONCE: usize = 12;

/// A part of something, in the order of its number.
enum Piece {
    Bytes(Vec<u8>, Option<OwnedSemaphorePermit>),
    /// There is no further one.
    End,
    /// There should be, but it cannot be had.
    Failed(String),
}

/// The pieces of one object or group, as they arrive.
struct Incoming {
    pieces: Receiver<(u64, Piece)>,
    progress: Arc<Progress>,
    /// Tells who fetches that nobody reads any more.
    gone: Arc<AtomicBool>,
    next: u64,
    /// Those that overtook others.
    early: BTreeMap<u64, Piece>,
    /// The one being read, from where, and the room it takes.
    now: (Vec<u8>, usize, Option<OwnedSemaphorePermit>),
    ended: bool,
}

impl Incoming {
    fn new(pieces: Receiver<(u64, Piece)>, progress: Arc<Progress>, gone: Arc<AtomicBool>) -> Incoming {
        Incoming {
            pieces,
            progress,
            gone,
            next: 0,
            early: BTreeMap::new(),
            now: (Vec::new(), 0, None),
            ended: false,
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let (bytes, from, _) = &mut self.now;
            if *from < bytes.len() {
                let n = (bytes.len() - *from).min(buf.len());
                buf[..n].copy_from_slice(&bytes[*from..*from + n]);
                *from += n;
                return Ok(n);
            }
            self.now = (Vec::new(), 0, None);
            if self.ended {
                return Ok(0);
            }
            match self.early.remove(&self.next) {
                Some(Piece::Bytes(bytes, room)) => {
                    self.next += 1;
                    self.now = (bytes, 0, room);
                    continue;
                }
                Some(Piece::End) => {
                    self.ended = true;
                    continue;
                }
                Some(Piece::Failed(what)) => {
                    self.ended = true;
                    return Err(io::Error::other(what));
                }
                None => {}
            }
            if self.progress.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("stopped"));
            }
            match self.pieces.recv_timeout(Duration::from_millis(100)) {
                Ok((n, piece)) => {
                    self.early.insert(n, piece);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    return Err(io::Error::other("could not be fetched to its end"));
                }
            }
        }
    }
}

/// Something that comes in pieces, to be read once.
struct Once {
    name: String,
    incoming: Mutex<Option<Incoming>>,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").field("name", &self.name).finish_non_exhaustive()
    }
}

impl crate::sources::access_log::engine::Afar for Once {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let taken = self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map_or_else(|| Err(io::Error::other("was read before")), |i| Ok(Box::new(i) as _))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn incoming() -> (std::sync::mpsc::Sender<(u64, Piece)>, Incoming) {
        let (tx, rx) = channel();
        (tx, Incoming::new(rx, Arc::default(), Arc::default()))
    }

    #[test]
    fn pieces_are_read_in_their_order() {
        let (tx, mut i) = incoming();
        for (n, p) in [
            (2, Piece::End),
            (1, Piece::Bytes(b"world".to_vec(), None)),
            (0, Piece::Bytes(b"hello ".to_vec(), None)),
        ] {
            tx.send((n, p)).unwrap();
        }
        let mut text = String::new();
        i.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello world");
    }

    #[test]
    fn what_breaks_off_or_is_stopped_is_an_error_after_what_there_was() {
        let (tx, mut i) = incoming();
        tx.send((1, Piece::Failed("denied".into()))).unwrap();
        tx.send((0, Piece::Bytes(b"ab".to_vec(), None))).unwrap();
        let mut got = Vec::new();
        assert_eq!(i.read_to_end(&mut got).unwrap_err().to_string(), "denied");
        assert_eq!(got, b"ab");
        let (tx, mut i) = incoming();
        drop(tx);
        assert!(i.read(&mut [0; 4]).unwrap_err().to_string().contains("to its end"));
        let (_tx, mut i) = incoming();
        i.progress.stop.store(true, Ordering::Relaxed);
        assert_eq!(i.read(&mut [0; 4]).unwrap_err().to_string(), "stopped");
        let gone = i.gone.clone();
        drop(i);
        assert!(gone.load(Ordering::Relaxed));
    }
}
