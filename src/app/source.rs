//! Starts the sources a command line asks for, behind one link.

use crate::sources::{COMMAND_QUEUE, Command, EVENT_QUEUE, Event, Link, Options, file_tail};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// A link that begins to observe with the first [`Command::Open`], which says
/// what: until then the incident file may still be read back. `log_files` are
/// followed at once. Must be called within a tokio runtime; returns at once.
pub fn start(options: Options, log_files: Vec<PathBuf>) -> std::io::Result<Link> {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (tx, events) = mpsc::channel(EVENT_QUEUE);
    let tail = if log_files.is_empty() { None } else { Some(file_tail::start(log_files, tx.clone())?) };
    tokio::spawn(async move {
        relay(options, inbox, &tx).await;
        // The files go on without the cloud, as long as somebody takes their lines.
        if let Some(_tail) = tail {
            tx.closed().await;
        }
    });
    Ok(Link { commands, events })
}

async fn relay(options: Options, mut inbox: mpsc::Receiver<Command>, tx: &mpsc::Sender<Event>) {
    // What is said before there is a target waits for it.
    let mut early = Vec::new();
    let target = loop {
        match inbox.recv().await {
            Some(Command::Open(target)) => break target,
            Some(other) => early.push(other),
            None => return,
        }
    };
    let Link { commands, mut events } = cloud(target, options);
    for command in early {
        if commands.send(command).await.is_err() {
            return;
        }
    }
    loop {
        tokio::select! {
            command = inbox.recv() => match command {
                Some(command) => if commands.send(command).await.is_err() { return },
                None => return,
            },
            event = events.recv() => match event {
                Some(event) => if tx.send(event).await.is_err() { return },
                None => return,
            },
        }
    }
}

#[cfg(feature = "aws")]
fn cloud(target: String, options: Options) -> Link {
    crate::sources::aws::start(target, options)
}

/// Without the cloud every target is unknown, and the one line says why.
#[cfg(not(feature = "aws"))]
fn cloud(_target: String, _options: Options) -> Link {
    use crate::text::SafeText;
    let (commands, mut inbox) = mpsc::channel(COMMAND_QUEUE);
    let (tx, events) = mpsc::channel(EVENT_QUEUE);
    tokio::spawn(async move {
        let line = "this badgate was built without AWS (--no-default-features): nothing can be observed";
        let told = tx.send(Event::NoTarget { line: SafeText::from(line) }).await;
        while let (Ok(()), Some(command)) = (&told, inbox.recv().await) {
            if let Command::Refresh { id, .. } = command
                && tx.send(Event::Done { id }).await.is_err()
            {
                return;
            }
        }
    });
    Link { commands, events }
}
