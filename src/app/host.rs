//! `badgate host`.

use super::recorder::record_of;
use super::{Failure, print};
use crate::cli::Host;
use crate::journal::{Durability, Kind, Mode, Options as JournalOptions, Record, Writer, author};
use crate::report::host::{commands, to_json, to_text};
use crate::situation::{Fact, Topic};
use crate::sources::host::observe;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// How long the disk may take for the last of an incident file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks every host at once.
pub fn run(args: &Host) -> Result<u8, Failure> {
    if args.list {
        return Ok(print(commands().as_bytes(), 0));
    }
    let by = author(|name| std::env::var_os(name));
    let writer = match &args.incident {
        None => None,
        Some(path) => {
            let options = JournalOptions { by: by.clone(), ..JournalOptions::default() };
            Some(Writer::open(path, Mode::Either, options, PATIENCE).map_err(Failure::failed)?)
        }
    };
    if let Some(w) = &writer {
        let names: Vec<String> = args.hosts.iter().map(ToString::to_string).collect();
        let opened =
            json!({"target": names.join(" "), "version": env!("CARGO_PKG_VERSION"), "command": "host"});
        w.append(Record::new(Timestamp::now(), by, Kind::Opened, opened), Durability::Now, |_| {});
    }
    let asked = async {
        let all = args.hosts.iter().map(|h| observe(h, args.timeout));
        futures::future::join_all(all).await.concat()
    };
    let seen =
        crate::console::run::block_on(asked).map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    if let Some(w) = writer {
        for o in &seen {
            w.append(record_of(o), Durability::Grouped, |_| {});
        }
        w.close(PATIENCE).map_err(|e| Failure::failed(format!("the incident file is not complete: {e}")))?;
    }
    let silent = seen.iter().any(|o| matches!((&o.topic, &o.fact), (Topic::Host(_), Fact::Unknown(_))));
    let text = if args.json { to_json(&seen) } else { to_text(&seen) };
    Ok(print(text.as_bytes(), if silent { 3 } else { 0 }))
}
