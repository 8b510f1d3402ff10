//! `badgate export FILE`: the postmortem, on standard output or in files.

use super::{Failure, complain, config, lang, print};
use crate::cli::{Export, Format};
use crate::config::Redact;
use crate::console::run::Exporter;
use crate::journal::{self, SUFFIX};
use crate::procedure::Lang;
use crate::report::export::{self, Filter, Options};
use crate::report::redact::Level;
use crate::text::SafeText;
use jiff::Timestamp;
use std::io::Write;
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
        let mut file = std::fs::File::create(&temporary)?;
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
