//! What badgate hands over: the answer of `badgate check`, and the postmortem.

pub mod check;
pub mod debrief;
pub mod export;
pub mod host;
pub mod logs;
pub mod path;
pub mod probe;
pub mod redact;
pub mod verdicts;

pub use export::{Format, Options, export, postmortem};
