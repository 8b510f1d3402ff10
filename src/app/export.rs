//! `badgate export FILE`: the postmortem, on standard output or in files.

use super::{Failure, complain, config, lang, print};
use crate::cli::{Export, Format};
use crate::config::Redact;
use crate::console::panes::Saved;
use crate::console::run::{Exporter, Saver};
use crate::journal::{self, SUFFIX};
use crate::procedure::Lang;
use crate::report::export::{self, Filter, Options};
use crate::report::redact::{Level, Redactor};
use crate::text::SafeText;
use jiff::Timestamp;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the export.
pub fn run(args: &Export) -> Result<u8, Failure> {
    let config = config(args.config.as_deref())?;
    let lang = lang(args.lang, &config);
    let level = level(args.redact.unwrap_or(config.redact));
    let incident = journal::read(&args.file).map_err(Failure::failed)?;
    if let Some(warning) = level.warning() {
        complain(&SafeText::from(format!("badgate: {warning}")));
    }
    let options = Options {
        file: args.file.clone(),
        generated: Timestamp::now(),
        level,
        filter: Filter::default(),
        problems: incident.problems,
        lang,
    };
    let several = args.format.len() > 1;
    for format in &args.format {
        let format = form(*format);
        let text = export::export(&incident.records, &options, format).map_err(Failure::failed)?;
        match place(args, several, format.extension()) {
            None => _ = print(text.as_bytes(), 0),
            Some(path) => {
                write_whole(&path, text.as_bytes())
                    .map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))?;
                print(format!("{}\n", SafeText::from(path.to_string_lossy())).as_bytes(), 0);
            }
        }
    }
    Ok(0)
}

/// Where one format goes; `None` is standard output.
fn place(args: &Export, several: bool, extension: &str) -> Option<PathBuf> {
    match args.output.as_deref() {
        Some(p) if p.as_os_str() == "-" => None,
        Some(dir) if several || dir.is_dir() => {
            let name = args.file.file_name().map(PathBuf::from).unwrap_or_default();
            Some(dir.join(sibling(&name, extension)))
        }
        Some(file) => Some(file.to_path_buf()),
        None if several => Some(sibling(&args.file, extension)),
        None => None,
    }
}

/// `NAME.incident.jsonl` becomes `NAME.md`.
fn sibling(path: &Path, extension: &str) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(SUFFIX).unwrap_or(&name);
    path.with_file_name(format!("{stem}.{extension}"))
}

/// Writes a file so that it is either the old one or the whole new one.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// What `e` in the console does: the Markdown beside the incident file.
pub fn beside(path: &Path, redact: Redact, lang: Lang) -> Exporter {
    let path = path.to_path_buf();
    let level = level(redact);
    Arc::new(move || {
        let incident = journal::read(&path).map_err(|e| SafeText::from(e.to_string()))?;
        let options = Options {
            file: path.clone(),
            generated: Timestamp::now(),
            level,
            filter: Filter::default(),
            problems: incident.problems,
            lang,
        };
        let text =
            export::postmortem(&incident.records, &options).map_err(|e| SafeText::from(e.to_string()))?;
        let to = sibling(&path, "md");
        write_whole(&to, text.as_bytes())
            .map_err(|e| SafeText::from(format!("cannot write {}: {e}", to.display())))?;
        Ok(SafeText::from(format!("written to {}", to.display())))
    })
}

/// What saving log lines in the console does: a text file beside the incident
/// file that says what it holds. Secrets are taken out as in every export.
pub fn save_beside(path: &Path, redact: Redact) -> Saver {
    let path = path.to_path_buf();
    let level = level(redact);
    Arc::new(move |saved| {
        let now = Timestamp::now();
        let to = sibling(&path, &format!("{}.log", now.strftime("%Y%m%dT%H%M%SZ")));
        let text = log_text(&saved, level, now);
        write_whole(&to, text.as_bytes())
            .map_err(|e| SafeText::from(format!("cannot write {}: {e}", to.display())))?;
        Ok(SafeText::from(format!("{} log lines written to {}", saved.lines.len(), to.display())))
    })
}

/// A head of `#` lines, then a line each: time, group, text, with tabs between.
fn log_text(saved: &Saved, level: Level, now: Timestamp) -> String {
    let mut redactor = Redactor::new(level);
    let mut out = format!("# badgate log lines, written {now:.0}\n");
    for line in &saved.head {
        out.push_str(&format!("# {}\n", redactor.text(line)));
    }
    out.push_str(&format!("# redaction: {}\n", level.describe()));
    for l in &saved.lines {
        let (group, text) = (redactor.text(&l.group), redactor.text(&l.text));
        out.push_str(&format!("{:.3}\t{group}\t{}\n", l.at, text.one_line()));
    }
    out
}

fn level(redact: Redact) -> Level {
    match redact {
        Redact::Default => Level::Default,
        Redact::All => Level::All,
        Redact::None => Level::None,
    }
}

fn form(format: Format) -> export::Format {
    match format {
        Format::Md => export::Format::Markdown,
        Format::Html => export::Format::Html,
        Format::Json => export::Format::Json,
        Format::Csv => export::Format::Csv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::log::LogLine;

    #[test]
    fn saved_lines_say_what_they_are_and_hold_no_secret() {
        let line = |text: &str| LogLine {
            at: "2026-11-22T01:53:50.123456Z".parse().unwrap(),
            group: "/app/shop".into(),
            stream: SafeText::default(),
            id: SafeText::default(),
            text: text.into(),
        };
        let secret = "AKIAIOSFODNN7EXAMPLE";
        let saved = Saved {
            head: vec!["filter: err (3 lines hidden)".into()],
            lines: vec![line("GET /a 502"), line(&format!("key {secret} used"))],
        };
        let now = "2026-11-22T02:00:00Z".parse().unwrap();
        let text = log_text(&saved, Level::Default, now);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], "# badgate log lines, written 2026-11-22T02:00:00Z");
        assert_eq!(rows[1], "# filter: err (3 lines hidden)");
        assert_eq!(rows[3], "2026-11-22T01:53:50.123Z\t/app/shop\tGET /a 502");
        assert!(!text.contains(secret), "{text}");
        assert!(log_text(&saved, Level::None, now).contains(secret));
    }
}
