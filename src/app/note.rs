//! `badgate note FILE TEXT...`: append a note from any shell.

use super::{Failure, drilled};
use crate::cli::Note;
use crate::journal::{Kind, Mode, Options, Record, Writer, author};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::json;
use std::io::Read;
use std::time::Duration;

/// The longest note taken from standard input, in bytes. More than anybody
/// writes; less than what would make every later reading of the file slow.
const LONGEST: u64 = 1 << 20;

/// How long the disk may take before we say that it did not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Appends the note; says nothing when it is on disk.
pub fn run(args: &Note) -> Result<u8, Failure> {
    let text = match args.words() {
        Some(words) => words,
        None => from_stdin()?,
    };
    let text = SafeText::multiline(text.trim());
    if text.is_empty() {
        return Err(Failure::usage(
            "the note is empty; write it behind the file name, or '-' and pipe it in",
        ));
    }
    let by = author(|name| std::env::var_os(name));
    let options = Options { by: by.clone(), ..Options::default() };
    let writer = Writer::open(&args.file, Mode::Resume, options, PATIENCE)
        .map_err(|e| Failure::failed(format!("the note is not saved: {e}")))?;
    // In a drill it is the drill's time.
    let at = drilled::clock(&args.file).map_or_else(Timestamp::now, |c| c.now());
    let record = Record::new(at, by, Kind::Note, json!({ "text": text }));
    writer
        .append_wait(record, PATIENCE)
        .map_err(|held| Failure::failed(format!("the note is not saved: {held}")))?;
    writer.close(PATIENCE).map_err(|e| Failure::failed(format!("the note is not saved: {e}")))?;
    Ok(0)
}

fn from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::failed(format!("cannot read the note from standard input: {e}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::usage(format!(
            "the note is longer than {} KiB; put it into a file of its own and name that file in the note",
            LONGEST >> 10
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
