//! `badgate replay FILE`: the console on an incident file, as it was at any
//! moment. Nothing is asked of anybody and nothing is written.

use super::open::{name_of, theme, wishes};
use super::{Failure, config, film, lang};
use crate::cli::Replay;
use crate::console::caps::Caps;
use crate::console::keys::Keymap;
use crate::console::past::{Ask, typed_moment};
use crate::console::run::{ConsoleConfig, How, Part, RunError, Start, block_on, run as console};
use crate::console::state::Incident;
use crate::console::theme::Tint;
use crate::diagnosis::catalogue::Catalogue;
use crate::journal::{Entry, Reader, author};
use crate::procedure::Procedure;
use crate::sources::{COMMAND_QUEUE, Link};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Opens the console on the past; returns when it was left.
pub fn run(args: &Replay, started: Instant) -> Result<u8, Failure> {
    let config = config(args.config.as_deref())?;
    let keymap = Keymap::new(&config.remap()).map_err(|errors| Failure::usage(errors.join("; ")))?;
    let lang = lang(args.lang, &config);
    let procedure = Arc::new(Procedure::load(lang).map_err(Failure::failed)?);
    let words = Catalogue::load(lang.tag()).map_err(Failure::failed)?;
    let begun = begun(&args.file)?;
    let ask = match &args.at {
        // The file says which day is meant; shortly before it begins is its beginning.
        Some(text) => {
            let early = begun.checked_sub(SignedDuration::from_hours(1)).unwrap_or(begun);
            typed_moment(text, begun, early, Timestamp::MAX).map(Ask::At)
        }
        None => Some(Ask::Edge { end: args.speed.is_none() }),
    };
    let Some(ask) = ask else {
        return Err(Failure::usage("--at is no time; write it like 01:41, 01:41:30 or 2026-11-22T01:41"));
    };
    let var = |name: &str| std::env::var(name).ok();
    let caps = Caps::detect(wishes(&args.screen, &config), var);
    let console_config = ConsoleConfig {
        incident: Incident {
            name: name_of(&args.file),
            path: Some(args.file.clone()),
            author: author(|name| std::env::var_os(name)),
            asked: SafeText::default(),
            opened: begun,
            onset: None,
        },
        target: String::new(),
        caps,
        theme: theme(args.screen.theme.unwrap_or(config.theme), caps.depth, Tint::None),
        label: SafeText::default(),
        faces: std::collections::BTreeMap::new(),
        keymap,
        procedure: Arc::clone(&procedure),
        words: Arc::new(words),
        following: Vec::new(),
        part: Part::Replays(Start { ask, speed: args.speed }),
        exporter: Some(super::export::beside(&args.file, config.redact, lang)),
        saver: Some(super::export::save_beside(&args.file, config.redact)),
        log: None,
        stats: std::env::var_os("BADGATE_STATS").map(Into::into),
        started,
        clock: None,
    };
    let projector = film::projector(args.file.clone(), procedure);
    let ended = block_on(async move { console(console_config, nobody(), None, Some(projector)).await })
        .map_err(|e| Failure::failed(format!("cannot start: {e}")))?
        .map_err(|e| match e {
            RunError::NoTerminal(e) => Failure::failed(format!(
                "a replay needs a terminal ({e}); `badgate export FILE` works without"
            )),
            other => Failure::failed(other),
        })?;
    Ok(match ended.how {
        How::Quit => 0,
        How::HangUp => 129,
        How::Signal(n) => 128_u8.saturating_add(u8::try_from(n).unwrap_or(0)),
    })
}

/// The moment of the first record; a file without any is refused before there
/// is a screen.
fn begun(path: &Path) -> Result<Timestamp, Failure> {
    let mut reader = Reader::open(path).map_err(Failure::failed)?;
    if let Some(at) = reader.by_ref().find_map(|entry| match entry {
        Entry::Record(r) => Some(r.at),
        Entry::Problem(_) => None,
    }) {
        return Ok(at);
    }
    // Whatever is wrong with it, reading all of it says so in one line.
    match crate::journal::read(path) {
        Err(e) => Err(Failure::failed(e)),
        Ok(_) => Err(Failure::failed(format!("{} holds no record that can be read", path.display()))),
    }
}

/// A source that never says anything and never ends.
fn nobody() -> Link {
    let (commands, mut inbox) = mpsc::channel(COMMAND_QUEUE);
    let (tx, events) = mpsc::channel(1);
    tokio::spawn(async move {
        while inbox.recv().await.is_some() {}
        drop(tx);
    });
    Link { commands, events }
}
