//! What a step is told besides the situation.

use crate::situation::Change;
use crate::text::SafeText;
use jiff::Timestamp;

/// What a step is told besides the situation. All of it is data: running a
/// step twice with the same context gives the same result.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// When the questions of the step were asked.
    pub started: Timestamp,
    /// Now: when the answers are judged.
    pub now: Timestamp,
    /// Begin of the time looked at.
    pub since: Timestamp,
    /// How many of the newest log lines are looked at, at most. A million lines
    /// take half a second: more than a task that draws can spare.
    pub lines: usize,
    /// What people wrote, oldest first. A note that begins with the id of a
    /// check in brackets (`[resources.host]`) is read as the output of that
    /// check's commands.
    pub notes: &'a [Note],
    /// What changed while it was watched, oldest first. `None` when nothing is
    /// watched over time (`badgate check` looks once).
    pub changes: Option<&'a [Change]>,
    /// The incident file; `None` when nothing is recorded.
    pub incident: Option<&'a Incident>,
    /// Steps that have been run so far, with how they ended.
    pub ran: &'a [(u8, super::StepState)],
}

impl<'a> Context<'a> {
    /// A context in which nothing was noted, watched or recorded, and in which
    /// every line is looked at.
    pub fn bare(now: Timestamp, since: Timestamp) -> Context<'a> {
        Context {
            started: now,
            now,
            since,
            lines: usize::MAX,
            notes: &[],
            changes: None,
            incident: None,
            ran: &[],
        }
    }
}

/// What a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub at: Timestamp,
    /// `user@host`
    pub by: SafeText,
    /// May have several lines.
    pub text: SafeText,
}

impl Note {
    /// What follows `[check]` at the head of the note, when it is there.
    pub fn output_of(&self, check: &str) -> Option<&str> {
        self.text.strip_prefix('[')?.strip_prefix(check)?.strip_prefix(']').map(str::trim)
    }
}

/// What is known of the incident file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incident {
    /// Its path as a person would type it.
    pub file: SafeText,
    pub opened: Option<Timestamp>,
    pub notes: usize,
    pub marks: usize,
    pub observations: usize,
    /// Why it cannot be written at present; empty when all is well.
    pub trouble: SafeText,
}
