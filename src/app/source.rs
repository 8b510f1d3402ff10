//! Starts the sources a command line asks for, behind one link.

use crate::sources::{COMMAND_QUEUE, Command, EVENT_QUEUE, Event, Link, Options, file_tail};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// A link that begins to observe with the first [`Command::Open`], which says
/// what: until then the incident file may still be read back. `log_files` are
/// followed at once. All sources tell into the one channel, so that no second
/// queue of log lines stands between target health and the console. Must be
/// called within a tokio runtime; returns at once.
pub fn start(options: Options, log_files: Vec<PathBuf>) -> std::io::Result<Link> {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (tx, events) = mpsc::channel(EVENT_QUEUE);
    let tail = if log_files.is_empty() { None } else { Some(file_tail::start(log_files, tx.clone())?) };
    tokio::spawn(async move {
        observe(options, inbox, tx.clone()).await;
        // The files go on without the cloud, as long as somebody takes their lines.
        if let Some(_tail) = tail {
            tx.closed().await;
        }
    });
    Ok(Link { commands, events })
}

async fn observe(options: Options, mut inbox: mpsc::Receiver<Command>, tx: mpsc::Sender<Event>) {
    // What is said before there is a target waits for it.
    let mut early = Vec::new();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Open(target) => return cloud(target, options, early, inbox, tx).await,
            other => early.push(other),
        }
    }
}

#[cfg(feature = "aws")]
use crate::sources::aws::observe as cloud;

/// Without the cloud every target is unknown, and the one line says why.
#[cfg(not(feature = "aws"))]
async fn cloud(
    _target: String,
    _options: Options,
    mut early: Vec<Command>,
    mut inbox: mpsc::Receiver<Command>,
    tx: mpsc::Sender<Event>,
) {
    use crate::text::SafeText;
    let line = "this badgate was built without AWS (--no-default-features): nothing can be observed";
    if tx.send(Event::NoTarget { line: SafeText::from(line) }).await.is_err() {
        return;
    }
    early.reverse();
    loop {
        let next = match early.pop() {
            Some(command) => Some(command),
            None => inbox.recv().await,
        };
        match next {
            Some(Command::Refresh { id, .. }) if tx.send(Event::Done { id }).await.is_err() => return,
            Some(_) => {}
            None => return,
        }
    }
}
