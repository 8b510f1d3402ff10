//! What happens to the console, and what it wants done.

use super::keys::Key;
use super::panes::Saved;
use crate::situation::Observation;
use crate::sources::{Command, Event};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::Value;
use std::path::PathBuf;

/// Something happened. Every message carries what `update` needs: it reads no
/// clock and asks nobody.
#[derive(Clone, Debug)]
pub enum Msg {
    /// The time. Sent before every batch of other messages and each second.
    Now(Timestamp),
    /// A key.
    Key(Key),
    /// Text pasted in one piece (bracketed paste), line ends as LF.
    Paste(String),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// A source says something.
    Source(Event),
    /// The source has ended; nothing more will come.
    SourceEnded,
    /// How the journal is doing, or that something is on disk.
    Journal(JournalNews),
    /// Records read back from the incident file (resume), or written into it by
    /// someone else. Folded and shown, not journaled again.
    Recalled(Vec<Recalled>),
    /// Something of the past.
    Past(super::past::News),
    /// Spare time: go on with work that is cut into slices (filter indexes).
    Slice,
    /// The result of an effect that ends with one line (copy, export).
    Told { ok: bool, line: SafeText },
    /// A task or thread of this program has panicked; the report is in the log.
    Failed(SafeText),
    /// What was written to the terminal so far, while the debug line is shown.
    Metered(super::state::Metered),
    /// The process was continued after a stop: everything is stale.
    Continued,
}

/// A record of the incident file as the console takes it in.
#[derive(Clone, Debug)]
pub enum Recalled {
    Observed(Observation),
    /// Any other kind, for the timeline: note, mark, step...
    Entry {
        at: Timestamp,
        by: SafeText,
        kind: String,
        data: Value,
    },
}

/// What the journal's task reports.
#[derive(Clone, Debug)]
pub enum JournalNews {
    /// The record handed over under this id is on disk.
    Saved { id: u64 },
    /// The record under this id will never be on disk; why.
    Refused { id: u64, line: SafeText },
    /// All is well (again): nothing waits but what came in just now.
    Fine,
    /// Writing does not work; what waits is kept in memory and tried again.
    Trouble { line: SafeText, waiting: usize },
    /// The incident continues in another file.
    Moved { path: PathBuf, line: SafeText },
    /// Something worth a line in the timeline: a torn line found, the log cap reached.
    Remark { line: SafeText },
}

/// How soon a record must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At once, and say so ([`JournalNews::Saved`]): what a person wrote.
    Now,
    /// Within a second, together with others: what sources said.
    Grouped,
}

/// A record to be written; the journal adds `v`, `logged` and its checksum.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Comes back in [`JournalNews::Saved`]; 0 when nobody waits for it.
    pub id: u64,
    pub at: Timestamp,
    /// `None`: the person at this console.
    pub by: Option<SafeText>,
    /// `note`, `mark`, `step`, `gap`, `closed`...
    pub kind: &'static str,
    pub data: Value,
    pub durability: Durability,
}

/// Something to be done outside of `update`.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell the source.
    Send(Command),
    /// Write a record.
    Journal(Draft),
    /// Write observations, grouped.
    Observed(Vec<Observation>),
    /// Put text on the clipboard of the terminal (OSC 52).
    Copy(SafeText),
    /// Write the postmortem next to the incident file.
    Export,
    /// Fold the past as of another moment; [`Msg::Past`] follows.
    Past(super::past::Ask),
    /// Write log lines into a file next to the incident file.
    SaveLogs(Saved),
    /// Draw everything anew: the screen may hold something else.
    Redraw,
    /// Show, or no longer show, what is written to the terminal.
    Meter(bool),
    /// Leave; the incident file is flushed first.
    Quit,
}
