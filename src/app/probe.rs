//! `badgate probe URL`.

use super::recorder::record_of;
use super::{Failure, oneshot, print};
use crate::cli::Probe;
use crate::journal::{Durability, author};
use crate::report::probe::{exit_code, to_json, to_text};
use crate::situation::{Fact, Observation, Topic};
use crate::sources::probe::{Progress, Say, probe};
use crate::text::SafeText;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

/// Runs the probe; the exit code is the report's.
pub fn run(args: &Probe) -> Result<u8, Failure> {
    let by = author(|name| std::env::var_os(name));
    let writer = oneshot::open(args.incident.as_deref(), &by, &args.ask.url.to_string(), "probe")?;
    let line = Arc::new(Line::new());
    let told = line.clone();
    let say: Say = Arc::new(move |p| told.show(p));
    let found = crate::console::run::block_on(async { probe(&args.ask, &say).await });
    line.clear();
    let found = found.map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    if let Some(w) = writer {
        let observation = Observation {
            at: found.at,
            source: "probe".into(),
            topic: Topic::Probe(found.url.clone()),
            fact: Fact::Probe(Box::new(found.clone())),
            took_ms: found.took_ms as u32,
        };
        w.append(record_of(&observation), Durability::Now, |_| {});
        oneshot::close(w)?;
    }
    let text = if args.json { to_json(&found) } else { to_text(&found) };
    Ok(print(text.as_bytes(), exit_code(&found)))
}

/// One line on standard error that counts along, where a person sees it.
struct Line {
    shown: bool,
}

impl Line {
    fn new() -> Line {
        Line { shown: std::io::stderr().is_terminal() }
    }

    fn show(&self, p: Progress) {
        if !self.shown {
            return;
        }
        let text = match p {
            Progress::Step(what) => format!("{what} ..."),
            Progress::Idle { elapsed, max } => {
                format!("idle for {} s; watching for at most {} s", elapsed.as_secs(), max.as_secs())
            }
            Progress::Sent { n, of, bad } => format!("{n} of {of} requests, {bad} failed"),
        };
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", SafeText::from(text));
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
