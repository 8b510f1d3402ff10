//! Usage errors as one line: what is wrong, where, and what to do.

use crate::config::nearest;
use crate::text::SafeText;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Why the command line did not become an [`super::Invocation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Help or the version was asked for: for standard output, exit 0.
    Show(String),
    /// For standard error, exit 2: one line without its line feed.
    Usage(SafeText),
}

impl Stop {
    /// Exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self {
            Stop::Show(_) => 0,
            Stop::Usage(_) => 2,
        }
    }

    pub(super) fn usage(what: impl std::fmt::Display) -> Stop {
        Stop::Usage(SafeText::from(format!("badgate: {what}")))
    }
}

/// Says what clap found in one line. `command` is the subcommand typed, if any.
pub(super) fn explain(e: &clap::Error, command: Option<&str>) -> Stop {
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop::Show(e.to_string());
    }
    let see = match command {
        Some(c) => format!("see 'badgate {c} --help'"),
        None => "see 'badgate --help'".to_owned(),
    };
    let arg = argument(text(e, ContextKind::InvalidArg).unwrap_or_default());
    let value = text(e, ContextKind::InvalidValue).unwrap_or_default();
    let what = match e.kind() {
        ErrorKind::UnknownArgument => {
            let hint = text(e, ContextKind::SuggestedArg).map(|s| format!("; did you mean '{s}'?"));
            let kind = if arg.starts_with('-') { "option" } else { "argument" };
            format!("unexpected {kind} '{arg}'{}", hint.unwrap_or(format!("; {see}")))
        }
        ErrorKind::InvalidSubcommand => {
            let typed = text(e, ContextKind::InvalidSubcommand).unwrap_or_default();
            match text(e, ContextKind::SuggestedSubcommand) {
                Some(s) => format!("there is no command '{typed}'; did you mean '{s}'?"),
                None => {
                    format!("there is no command '{typed}'; 'badgate open TARGET' opens the console, {see}")
                }
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => match values(e) {
            known if known.is_empty() => format!("{arg} needs a value; {see}"),
            known => format!("{arg} needs a value: {}", known.join(", ")),
        },
        ErrorKind::InvalidValue => {
            let known = values(e);
            match nearest(&value, known.iter().map(String::as_str)) {
                Some(s) => format!("{arg}: unknown value '{value}'; did you mean '{s}'?"),
                None => format!("{arg}: unknown value '{value}'; known: {}", known.join(", ")),
            }
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(e).map(ToString::to_string).unwrap_or_default();
            format!("{arg} '{value}' {why}")
        }
        ErrorKind::MissingRequiredArgument => format!("{arg} is missing; {see}"),
        ErrorKind::ArgumentConflict => {
            let prior = argument(text(e, ContextKind::PriorArg).unwrap_or_default());
            if prior == arg || prior.is_empty() {
                format!("{arg} may be given only once")
            } else {
                format!("{arg} and {prior} exclude each other")
            }
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "no command; 'badgate open TARGET' opens the console, 'badgate --help' lists the others"
                .to_owned()
        }
        ErrorKind::InvalidUtf8 => format!("an argument is not UTF-8; {see}"),
        _ => {
            let first = e.to_string();
            let first = first.lines().next().unwrap_or_default();
            format!("{}; {see}", first.trim_start_matches("error: "))
        }
    };
    Stop::usage(what)
}

/// `--region <REGION>` is known to people as `--region`, `[TARGET]` as `TARGET`.
fn argument(a: String) -> String {
    let head = a.split([' ', '=']).next().unwrap_or(&a);
    if head.starts_with('-') { head.to_owned() } else { a.trim_matches(['<', '>', '[', ']', '.']).to_owned() }
}

fn values(e: &clap::Error) -> Vec<String> {
    match e.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(all)) => all.clone(),
        _ => Vec::new(),
    }
}

fn text(e: &clap::Error, kind: ContextKind) -> Option<String> {
    match e.get(kind)? {
        ContextValue::String(s) => Some(s.clone()),
        ContextValue::Strings(all) => all.first().cloned(),
        _ => None,
    }
}
