//! A folder of AWS CLI JSON answers as a source: `aws ec2
//! describe-security-groups > groups.json` and so on, one answer a file, under
//! any names. A file is known by what is in it.
//!
//! An answer that does not say what it is about (target health, attributes,
//! prefix list entries) is matched by a member beside it, as [`write()`] adds
//! one, or by the file's name. What no file tells is unknown, never assumed.

mod ec2;
mod elb;
mod gather;
mod target;
mod write;

pub use target::{Seen, resolve};
pub use write::write;

use crate::situation::Observation;
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file is read up to this size; the largest answers are a few megabytes.
const LARGEST: u64 = 256 << 20;

/// What a folder holds.
#[derive(Clone, Debug)]
pub struct Folder {
    pub dir: PathBuf,
    /// As of the files' own times; see [`gather`].
    pub observations: Vec<Observation>,
    /// Files that were understood.
    pub files: usize,
    /// One line for each file that was left out, and why.
    pub remarks: Vec<SafeText>,
}

/// Why a folder cannot be used: one clear line for each thing wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct SnapshotError {
    pub problems: Vec<SafeText>,
}

impl SnapshotError {
    fn one(line: String) -> SnapshotError {
        SnapshotError { problems: vec![SafeText::from(line)] }
    }

    fn lines(&self) -> String {
        self.problems.iter().map(SafeText::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// One file, parsed.
struct Answer {
    /// Its name, for messages and as a hint whose answer it is.
    file: SafeText,
    /// When it was written down; for a file of our own, when it was true.
    at: Timestamp,
    body: serde_json::Map<String, Value>,
}

/// Reads a folder.
///
/// # Errors
/// A folder that is not there or holds no answer; a file that is cut off or
/// only one page of several (what is missing there could turn a verdict); two
/// files that contradict each other; an answer nobody can tell whose it is.
pub fn read(dir: &Path) -> Result<Folder, SnapshotError> {
    let shown = dir.display();
    let entries = std::fs::read_dir(dir)
        .map_err(|e| SnapshotError::one(format!("{shown}: the folder cannot be read: {e}")))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    let (mut answers, mut remarks, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths.iter().filter(|p| p.is_file()) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        match parse(path) {
            Ok(Some((body, at))) => answers.push(Answer { file: name.as_str().into(), at, body }),
            Ok(None) => remarks.push(SafeText::from(format!("{name}: no JSON; left out"))),
            Err(why) => problems.push(SafeText::from(format!("{name}: {why}"))),
        }
    }
    let mut folder = Folder { dir: dir.to_path_buf(), observations: Vec::new(), files: 0, remarks };
    gather::gather(answers, &mut folder, &mut problems);
    if folder.files == 0 && problems.is_empty() {
        problems.push(SafeText::from(format!(
            "{shown}: no file here holds an answer of the AWS CLI, such as aws ec2 describe-security-groups"
        )));
    }
    if problems.is_empty() { Ok(folder) } else { Err(SnapshotError { problems }) }
}

/// The object in a file; `None` for what is no JSON at all.
#[allow(clippy::type_complexity, reason = "a pair, used once")]
fn parse(path: &Path) -> Result<Option<(serde_json::Map<String, Value>, Timestamp)>, String> {
    let about = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?;
    if about.len() > LARGEST {
        return Err(format!("larger than {} MiB", LARGEST >> 20));
    }
    let bytes = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let start = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if !is_json && start != Some(&b'{') {
        return Ok(None);
    }
    let mut value: Value = serde_json::from_slice(&bytes).map_err(|e| match e.classify() {
        serde_json::error::Category::Eof if start.is_none() => "the file is empty".to_owned(),
        serde_json::error::Category::Eof => {
            format!("the file is cut off in line {}; run its command again", e.line())
        }
        _ => format!("no JSON from line {}, column {} on", e.line(), e.column()),
    })?;
    strip_nulls(&mut value);
    let at = about.modified().ok().and_then(|t| Timestamp::try_from(t).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    match value {
        Value::Object(body) => {
            let own = body.get(write::AT).and_then(stamp);
            Ok(Some((body, own.unwrap_or(at))))
        }
        _ => Err("holds no answer of the AWS CLI: those are JSON objects (was --query used?)".to_owned()),
    }
}

/// A member that is null is a member that is not there.
fn strip_nulls(v: &mut Value) {
    match v {
        Value::Object(members) => {
            members.retain(|_, x| !x.is_null());
            members.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// A time as the CLI writes it: ISO 8601 (version 2) or seconds (version 1).
fn stamp(v: &Value) -> Option<Timestamp> {
    match v {
        Value::String(s) => s.parse().ok(),
        Value::Number(n) => {
            let ms = n.as_f64()? * 1000.0;
            #[allow(
                clippy::cast_possible_truncation,
                reason = "as casts saturate, and new() checks the range"
            )]
            Timestamp::from_millisecond(ms as i64).ok()
        }
        _ => None,
    }
}
