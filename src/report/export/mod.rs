//! The postmortem: an incident file as Markdown, HTML, JSON or CSV.
//!
//! Every export says what it is made of: file, range, number of records,
//! filter, redaction level, when it was made, and what could not be read.
//! Records are redacted first (`super::redact`), so no format can show what
//! another one hides; each format then escapes by its own rules, because the
//! text is other people's.

mod csv;
mod html;
mod incident;
mod json;
mod markdown;
mod picture;
mod svg;
mod tongue;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;

use super::redact::{Level, Redactor};
use crate::journal::{Kind, Problem, Record};
use crate::procedure::Lang;
use crate::text::SafeText;
use incident::Incident;
pub(crate) use incident::observation;

/// The schema of the JSON form. Members may be added within a version; none is
/// renamed, removed or given another meaning.
pub const SCHEMA: &str = "badgate.export/1";

/// A form an incident file is exported in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A postmortem with its facts filled in.
    Markdown,
    /// The same as one page without script.
    Html,
    /// All records, `badgate.export/1`.
    Json,
    /// All records, RFC 4180.
    Csv,
}

impl Format {
    /// The ending of a file of that form.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Markdown => "md",
            Format::Html => "html",
            Format::Json => "json",
            Format::Csv => "csv",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "md" | "markdown" => Ok(Format::Markdown),
            "html" => Ok(Format::Html),
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            other => Err(format!("'{other}' is no export format; known: md, html, json, csv")),
        }
    }
}

/// Which records are exported. The default takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Nothing that happened before.
    pub from: Option<Timestamp>,
    /// Nothing that happened after.
    pub to: Option<Timestamp>,
    /// These kinds only; empty for all.
    pub kinds: Vec<Kind>,
}

impl Filter {
    fn takes(&self, r: &Record) -> bool {
        self.from.is_none_or(|t| r.at >= t)
            && self.to.is_none_or(|t| r.at <= t)
            && (self.kinds.is_empty() || self.kinds.contains(&r.kind))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(t) = self.from {
            parts.push(format!("from {}", words::time(t)));
        }
        if let Some(t) = self.to {
            parts.push(format!("to {}", words::time(t)));
        }
        if !self.kinds.is_empty() {
            let kinds: Vec<&str> = self.kinds.iter().map(Kind::as_str).collect();
            parts.push(format!("kinds {}", kinds.join(", ")));
        }
        if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join("; ")) }
    }
}

/// What to export and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The incident file; its name stands in the head.
    pub file: PathBuf,
    /// When the export is made.
    pub generated: Timestamp,
    /// What is taken out.
    pub level: Level,
    /// Which records.
    pub filter: Filter,
    /// What could not be read: [`crate::journal::Recovered::problems`].
    pub problems: Vec<Problem>,
    /// The language of headings and words of this program; what was recorded
    /// stays as it was written. JSON and CSV have none.
    pub lang: Lang,
}

/// Why nothing was exported.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// No record passes the filter.
    #[error("nothing to export: none of {total} record(s) passes the filter ({filter})")]
    Nothing {
        /// Records in the file.
        total: usize,
        /// The filter in words.
        filter: String,
    },
    /// A value could not be written as JSON.
    #[error("cannot write the export as JSON: {0}")]
    Json(String),
}

/// The head of an export.
struct Head {
    file: SafeText,
    first: Timestamp,
    last: Timestamp,
    records: usize,
    of: usize,
    filter: String,
    level: Level,
    generated: Timestamp,
    problems: Vec<SafeText>,
    removed: Vec<(&'static str, usize)>,
}

impl Head {
    fn range(&self) -> String {
        format!("{} to {}", words::time(self.first), words::time(self.last))
    }

    fn count(&self) -> String {
        if self.records == self.of {
            format!("{}", self.of)
        } else {
            format!("{} of {}", self.records, self.of)
        }
    }

    /// The head as names and values, in the order it is shown.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let removed = if self.removed.is_empty() {
            "nothing".to_owned()
        } else {
            let list: Vec<String> = self.removed.iter().map(|(id, n)| format!("{n} {id}")).collect();
            list.join(", ")
        };
        let mut lines = vec![
            ("file", self.file.to_string()),
            ("range", self.range()),
            ("records", self.count()),
            ("filter", self.filter.clone()),
            ("redaction", self.level.describe().to_owned()),
            ("removed", removed),
            ("generated", words::time(self.generated)),
            ("schema", SCHEMA.to_owned()),
        ];
        if let Some(warning) = self.level.warning() {
            lines.push(("warning", warning.to_owned()));
        }
        lines
    }
}

/// Exports the records of an incident file, in the order they were read.
pub fn export(records: &[Record], options: &Options, format: Format) -> Result<String, ExportError> {
    let mut redactor = Redactor::new(options.level);
    records.iter().for_each(|r| redactor.learn(r));
    let taken: Vec<&Record> = records.iter().filter(|r| options.filter.takes(r)).collect();
    let (Some(first), Some(last)) = (taken.iter().map(|r| r.at).min(), taken.iter().map(|r| r.at).max())
    else {
        let filter = options.filter.to_string();
        return Err(ExportError::Nothing { total: records.len(), filter });
    };
    let clean: Vec<Record> = taken.iter().map(|r| redactor.record(r)).collect();
    // What changed is folded from the records as they are, and put into words
    // that are redacted like all others.
    let incident = match format {
        Format::Csv => None,
        _ => Some(Incident::new(&clean, &taken, &mut redactor)),
    };
    let name = options.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let head = Head {
        file: redactor.text(&name).one_line(),
        first,
        last,
        records: clean.len(),
        of: records.len(),
        filter: options.filter.to_string(),
        level: options.level,
        generated: options.generated,
        problems: options.problems.iter().map(|p| redactor.problem(p)).collect(),
        removed: redactor.removed().iter().map(|(id, n)| (*id, *n)).collect(),
    };
    match (format, incident) {
        (Format::Json, Some(i)) => json::write(&head, &i, &clean),
        (Format::Html, Some(i)) => Ok(html::write(&head, &i, options.lang)),
        (Format::Markdown, Some(i)) => Ok(markdown::write(&head, &i, options.lang)),
        (_, _) => Ok(csv::write(&head, &clean)),
    }
}

/// [`export`] as Markdown.
pub fn postmortem(records: &[Record], options: &Options) -> Result<String, ExportError> {
    export(records, options, Format::Markdown)
}

#[cfg(test)]
mod tests;
