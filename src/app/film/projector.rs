//! The thread that folds the past, so that the task that draws waits for
//! nothing.

use super::Film;
use crate::console::past::{Ask, News};
use crate::console::run::Projector;
use crate::procedure::Procedure;
use crate::text::SafeText;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines read before the next word on how far it is.
const SLICE: usize = 5_000;
/// After this long without a key, what was shown in haste is shown in full.
const QUIET: Duration = Duration::from_millis(150);

/// What looks back in this file, begun with the first thing that is asked.
pub fn projector(path: PathBuf, procedure: Arc<Procedure>) -> Projector {
    Projector::new(move |asks, news| {
        // Without a thread nothing is told, and the banner goes on reading.
        let failed = news.clone();
        let work = move || Work { path, procedure, news, film: None }.run(&asks);
        if let Err(e) = std::thread::Builder::new().name("projector".into()).spawn(work) {
            let _ = failed.send(News::Failed(format!("cannot start a thread: {e}").into()));
        }
    })
}

struct Work {
    path: PathBuf,
    procedure: Arc<Procedure>,
    news: mpsc::UnboundedSender<News>,
    film: Option<Film>,
}

impl Work {
    fn run(mut self, asks: &Receiver<Ask>) {
        let mut quiet = None;
        loop {
            let first = match quiet.take() {
                Some(wait) => asks.recv_timeout(wait),
                None => asks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let told = match first {
                Ok(first) => {
                    quiet = Some(QUIET);
                    self.seek(first, asks)
                }
                Err(RecvTimeoutError::Timeout) => self.deepen(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err(line) = told
                && self.news.send(News::Failed(line)).is_err()
            {
                return;
            }
        }
    }

    /// Reads what there is to be read, then goes where was asked. What is asked
    /// meanwhile counts too: only the last of it is folded.
    fn seek(&mut self, first: Ask, asks: &Receiver<Ask>) -> Result<(), SafeText> {
        let path = shown(&self.path);
        let said = |e: crate::journal::ReadError| SafeText::from(e.to_string());
        let fresh = self.film.is_none();
        let film = match &mut self.film {
            Some(film) => film,
            none => none.insert(Film::open(&self.path, Some(Arc::clone(&self.procedure))).map_err(said)?),
        };
        while film.read(SLICE).map_err(said)? {
            let (done, of) = film.progress();
            if fresh && self.news.send(News::Reading { done, of }).is_err() {
                return Ok(());
            }
        }
        if film.is_empty() {
            return Err(format!("{path} holds no record yet").into());
        }
        let mut all = vec![first];
        while let Ok(ask) = asks.try_recv() {
            all.push(ask);
        }
        let news = match film.seek(&all).map_err(said)? {
            Ok(shown) => News::Scene(shown),
            Err(line) => News::Edge(line),
        };
        let _ = self.news.send(news);
        Ok(())
    }

    fn deepen(&mut self) -> Result<(), SafeText> {
        let Some(film) = &mut self.film else { return Ok(()) };
        if let Some(shown) = film.deepen().map_err(|e| SafeText::from(e.to_string()))? {
            let _ = self.news.send(News::Scene(shown));
        }
        Ok(())
    }
}

fn shown(path: &Path) -> SafeText {
    SafeText::from(path.to_string_lossy())
}
