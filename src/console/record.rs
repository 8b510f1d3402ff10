//! The incident file as the console sees it: something that takes drafts and
//! observations without ever making it wait, and tells how they fare.

use super::msg::{Draft, JournalNews, Recalled};
use crate::situation::Observation;
use crate::text::SafeText;
use std::time::Duration;
use tokio::sync::mpsc;

/// Takes what is to be recorded. No call but [`Recorder::close`] waits.
pub trait Recorder: Send {
    /// Records a draft; [`JournalNews::Saved`] follows when it is on disk.
    fn record(&mut self, draft: Draft);

    /// Records observations in groups.
    fn observed(&mut self, list: Vec<Observation>);

    /// Writes everything out, at most `within`. The error is for the person:
    /// what was not written, and where it was put instead.
    fn close(&mut self, within: Duration) -> Result<(), SafeText>;
}

/// An incident file in use.
pub struct Journal {
    pub recorder: Box<dyn Recorder>,
    /// How what was handed over fares.
    pub news: mpsc::UnboundedReceiver<JournalNews>,
    /// Records that were in the file, in slices, then an empty slice, then those
    /// that others append. The source is asked behind the empty slice: what the
    /// file holds comes before what is true now.
    pub recalled: mpsc::Receiver<Vec<Recalled>>,
}
