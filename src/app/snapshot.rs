//! `badgate snapshot TARGET DIR`, and reading such a folder back.

use super::{Failure, check, config, print};
use crate::cli::Snapshot;
use crate::situation::{Observation, Situation};
use crate::sources::Options;
use crate::sources::snapshot;
use crate::text::SafeText;
use std::path::Path;

/// Load balancers named when TARGET is none of them.
const NAMED: usize = 5;

/// Observes once and writes the folder.
pub fn run(args: &Snapshot) -> Result<u8, Failure> {
    let config = config(args.observe.config.as_deref())?;
    let dir = args.dir.as_path();
    // Answers of two times in one folder contradict each other.
    match std::fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Failure::usage(format!("{} is not empty; name a new folder", dir.display())));
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Failure::usage(format!("{}: {e}", dir.display()))),
    }
    // A snapshot is what the cloud answers; nothing is sent to the target.
    let options = Options {
        probe: false,
        hosts: Vec::new(),
        ssm: false,
        ..args.observe.options(Some(&args.target), &config, false)
    };
    let target = args.target.text().to_owned();
    let (log_files, timeout) = (args.observe.log_files.clone(), args.observe.timeout);
    let observations = check::look(options, log_files, target, timeout)?;
    let files = snapshot::write(dir, &observations)
        .map_err(|e| Failure::failed(format!("{}: {e}", dir.display())))?;
    let line = SafeText::from(format!("{files} files in {}", dir.display()));
    Ok(print(format!("{line}\n").as_bytes(), 0))
}

/// What a folder holds. Files that were left out are told on standard error.
pub fn read(dir: &Path) -> Result<(Vec<Observation>, Situation), Failure> {
    let folder = snapshot::read(dir).map_err(|e| {
        // Each problem is a line of its own; the last is the command's.
        let mut problems = e.problems;
        let last = problems.pop().unwrap_or_default();
        for p in problems {
            super::complain(&SafeText::from(format!("badgate: {p}")));
        }
        Failure::usage(last)
    })?;
    for remark in &folder.remarks {
        super::complain(&SafeText::from(format!("badgate: {remark}")));
    }
    let mut s = Situation::new();
    for o in &folder.observations {
        s.apply(o);
    }
    Ok((folder.observations, s))
}

/// What is in the folder about TARGET, the target itself last.
pub fn observe(dir: &Path, target: &str) -> Result<Vec<Observation>, Failure> {
    let (mut all, s) = read(dir)?;
    let at = s.at.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    match snapshot::resolve(target, &s, at) {
        Ok(o) => all.push(o),
        Err(names) => {
            return Err(Failure { code: 3, line: nowhere(target, "no load balancer", dir, &names) });
        }
    }
    Ok(all)
}

/// `'shopp' is no load balancer of DIR; there are shop, billing`.
pub fn nowhere(what: &str, kind: &str, dir: &Path, names: &[SafeText]) -> SafeText {
    let list: Vec<&str> = names.iter().take(NAMED).map(SafeText::as_str).collect();
    let rest = names.len().saturating_sub(NAMED);
    let there = match (list.is_empty(), rest) {
        (true, _) => "no file of aws elbv2 describe-load-balancers is there".to_owned(),
        (false, 0) => format!("there are {}", list.join(", ")),
        (false, n) => format!("there are {} and {n} more", list.join(", ")),
    };
    format!("'{what}' is {kind} of {}; {there}", dir.display()).into()
}
