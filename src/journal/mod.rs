//! The incident file: append, recover, follow.
//!
//! `NAME.incident.jsonl` is UTF-8 with one JSON object a line, LF-ended and
//! append-only:
//!
//! | member | what |
//! |---|---|
//! | `v` | 1, the version of this layout |
//! | `at` | RFC 3339, UTC, microseconds: when it happened |
//! | `logged` | the same form: when it was handed to the writer |
//! | `by` | `user@host`, or the name of the source |
//! | `kind` | `opened`, `observed`, `step`, `note`, `mark`, `verdict`, `action`, `gap`, `closed` |
//! | `data` | what the kind says |
//! | `crc` | CRC-32 (IEEE), eight hex digits, of the line without this member |
//!
//! `crc` stands last. It is written always and optional when read, so that
//! other programs may append with `echo`; a line that has it and does not match
//! is damaged. A line is one `write` under an exclusive `flock`. A torn, damaged
//! or foreign line is reported, skipped and left as it is.
//!
//! After a failed `fdatasync` nobody can say what is on the disk, so the file is
//! given up: `NAME.2.incident.jsonl` continues it, begins with an `opened`
//! record that names it, and repeats what was not known to be on disk.
//! [`read`] and [`Follower`] read such a chain as one incident.

mod crc;
mod disk;
mod follow;
mod lines;
mod paths;
mod read;
mod record;
mod state;
mod tape;
mod worker;
mod writer;

pub use disk::{Disk, DiskFile, How, OsDisk, Status as FileStatus};
pub use follow::Follower;
pub use lines::{Entry, MAX_LINE, Problem, Why};
pub use paths::{SUFFIX, author, continued, default_dir, free_path, stem, successor};
pub use read::{ReadError, Reader, Recovered, parse, read};
pub use record::{Kind, Record, VERSION};
pub use state::{
    Durability, Held, LOG_CAP, Mode, Moved, OpenError, Options, Status, Trouble, Unflushed, WriterState,
};
pub use tape::{Place, Read, Tape};
pub use writer::Writer;
