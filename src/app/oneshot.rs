//! The incident file of a command that asks once and ends: `--incident FILE`.

use super::Failure;
use crate::journal::{Durability, Kind, Mode, Options, Record, Writer};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// How long the disk may take to open the file, and for the last of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens or begins the file, where one is wanted, and records that `command`
/// looks at `target`.
pub(super) fn open(
    path: Option<&Path>,
    by: &SafeText,
    target: &str,
    command: &'static str,
) -> Result<Option<Writer>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let options = Options { by: by.clone(), ..Options::default() };
    let writer = Writer::open(path, Mode::Either, options, PATIENCE).map_err(Failure::failed)?;
    let opened = json!({"target": target, "version": env!("CARGO_PKG_VERSION"), "command": command});
    writer.append(Record::new(Timestamp::now(), by.clone(), Kind::Opened, opened), Durability::Now, |_| {});
    Ok(Some(writer))
}

/// Waits until all of it is on the disk.
pub(super) fn close(writer: Writer) -> Result<(), Failure> {
    writer.close(PATIENCE).map_err(|e| Failure::failed(format!("the incident file is not complete: {e}")))
}
