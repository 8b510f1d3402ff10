//! Puts the parts together: one function a command, nothing that decides
//! anything about a cloud or a screen.

mod check;
mod doctor;
pub mod drill;
mod drilled;
mod export;
pub mod film;
mod host;
mod logs;
mod note;
mod oneshot;
mod open;
mod path;
mod probe;
pub mod recorder;
mod replay;
mod snapshot;
pub mod source;

use crate::cli::{self, Invocation, Stop};
use crate::config::Config;
use crate::procedure::Lang;
use crate::text::SafeText;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Why a command ended without doing what it was asked. Displayed as one line
/// for standard error: what is wrong, where, what to do.
#[derive(Debug)]
pub struct Failure {
    /// 2 for a wrong command line or config file, 1 for anything else (3 for
    /// a check that could not observe enough).
    pub code: u8,
    /// The line, without `badgate:` in front.
    pub line: SafeText,
}

impl Failure {
    /// Something the person typed cannot be right.
    pub fn usage(line: impl std::fmt::Display) -> Self {
        Failure { code: 2, line: SafeText::from(line.to_string()) }
    }

    /// Something did not work.
    pub fn failed(line: impl std::fmt::Display) -> Self {
        Failure { code: 1, line: SafeText::from(line.to_string()) }
    }
}

/// Runs one command line, program name first; returns the exit code. `started`
/// is when the process began.
pub fn run(args: impl IntoIterator<Item = OsString>, started: Instant) -> u8 {
    let invocation = match cli::parse(args) {
        Ok(i) => i,
        Err(stop) => {
            let code = stop.exit_code();
            match stop {
                Stop::Show(text) => return print(text.as_bytes(), code),
                Stop::Usage(line) => {
                    complain(&line);
                    return code;
                }
            }
        }
    };
    let done = match invocation {
        Invocation::Open(args) => open::run(&args, started),
        Invocation::Join(args) => open::join(&args, started),
        Invocation::Check(args) => check::run(&args),
        Invocation::Path(args) => path::run(&args),
        Invocation::Host(args) => host::run(&args),
        Invocation::Probe(args) => probe::run(&args),
        Invocation::Snapshot(args) => snapshot::run(&args),
        Invocation::Logs(args) => logs::run(&args),
        Invocation::Replay(args) => replay::run(&args, started),
        Invocation::Note(args) => note::run(&args),
        Invocation::Export(args) => export::run(&args),
        Invocation::Drill(args) => drill::run(&args, started),
        Invocation::Completions(shell) => Ok(print(&cli::completions(shell), 0)),
        Invocation::Config { schema } => Ok(print(config_text(schema).as_bytes(), 0)),
        Invocation::Doctor(args) => doctor::run(args),
        Invocation::Man => cli::man()
            .map(|page| print(&page, 0))
            .map_err(|e| Failure::failed(format!("cannot write the man page: {e}"))),
    };
    done.unwrap_or_else(|failure| {
        complain(&SafeText::from(format!("badgate: {}", failure.line)));
        failure.code
    })
}

/// Writes to standard output. A reader that has gone away (`| head`) is no
/// failure of ours; a full disk is.
pub(crate) fn print(bytes: &[u8], code: u8) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => code,
        Err(e) => {
            complain(&SafeText::from(format!("badgate: cannot write to standard output: {e}")));
            1
        }
    }
}

/// One line on standard error; when that is closed too, there is nobody left to tell.
fn complain(line: &SafeText) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The config file, or the one line that says what is wrong with it.
fn config(explicit: Option<&Path>) -> Result<Config, Failure> {
    let default = Config::default_path(|name| std::env::var_os(name));
    let actions: Vec<&str> = crate::console::keys::TABLE.iter().map(|b| b.id).collect();
    Config::load(explicit, default.as_deref(), &actions).map_err(|e| Failure::usage(e.to_string()))
}

/// The sample config file, or the JSON Schema of config files.
fn config_text(schema: bool) -> String {
    use crate::console::keys::TABLE;
    if schema {
        let actions: Vec<(&str, &str)> = TABLE.iter().map(|b| (b.id, b.about)).collect();
        return format!("{:#}\n", crate::config::schema(&actions));
    }
    let own = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect();
    let actions: Vec<(&str, Vec<String>, &str)> =
        TABLE.iter().map(|b| (b.id, own(b.keys), b.about)).collect();
    crate::config::sample(&actions)
}

/// The language of the procedure: option, config file, environment, in that order.
fn lang(option: Option<Lang>, config: &Config) -> Lang {
    let var = |name: &str| std::env::var(name).ok();
    Lang::from_env(
        option.or(config.lang),
        var("LC_ALL").as_deref(),
        var("LC_MESSAGES").as_deref(),
        var("LANG").as_deref(),
    )
}

/// Where incident files are kept.
fn incident_dir(config: &Config) -> PathBuf {
    config.incident_dir.clone().unwrap_or_else(|| crate::journal::default_dir(|name| std::env::var_os(name)))
}
