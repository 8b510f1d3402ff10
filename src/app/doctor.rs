//! `badgate doctor`: gathers the facts that [`crate::doctor`] judges.

use super::{Failure, print};
use crate::cli::Doctor;
use crate::doctor::{State, terminal, to_text, worst};
use std::process::{Command, Stdio};

/// Prints the report. Exit code 1 when something will not work.
pub fn run(args: Doctor) -> Result<u8, Failure> {
    if args.iam {
        return policy();
    }
    let facts = terminal::Facts {
        env: std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned())))
            .collect(),
        size: crossterm::terminal::size().ok(),
        tmux_options: inside_tmux().then(options).flatten(),
        tmux_version: inside_tmux().then(|| tmux(&["-V"])).flatten().map(|v| v.trim().to_owned()),
    };
    let sections = [terminal::section(&facts)];
    Ok(print(to_text(&sections).as_bytes(), u8::from(worst(&sections) == State::Bad)))
}

fn inside_tmux() -> bool {
    std::env::var_os("TMUX").is_some_and(|v| !v.is_empty())
}

fn options() -> Option<String> {
    Some(format!("{}\n{}", tmux(&["show-options", "-gA"])?, tmux(&["show-options", "-sA"])?))
}

fn tmux(args: &[&str]) -> Option<String> {
    let out = Command::new("tmux").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(feature = "aws")]
fn policy() -> Result<u8, Failure> {
    let policy = crate::sources::aws::operations::iam_policy();
    let text = serde_json::to_string_pretty(&policy)
        .map_err(|e| Failure::failed(format!("cannot write the policy: {e}")))?;
    Ok(print((text + "\n").as_bytes(), 0))
}

#[cfg(not(feature = "aws"))]
fn policy() -> Result<u8, Failure> {
    Err(Failure::usage("this badgate was built without AWS (--no-default-features): it needs no policy"))
}
