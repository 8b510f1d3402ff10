//! Starts the sources a command line asks for, behind one link.

use crate::sources::{
    COMMAND_QUEUE, Command, EVENT_QUEUE, Event, Link, Options, Want, file_tail, host, probe,
};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A link that begins to observe with the first [`Command::Open`], which says
/// what: until then the incident file may still be read back. `log_files` are
/// followed at once. All sources tell into the one channel, so that no second
/// queue of log lines stands between target health and the console. Must be
/// called within a tokio runtime; returns at once.
pub fn start(options: Options, log_files: Vec<PathBuf>) -> std::io::Result<Link> {
    let (commands, outer) = mpsc::channel(COMMAND_QUEUE);
    let (onward, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (tx, events) = mpsc::channel(EVENT_QUEUE);
    tokio::spawn(probes(options.clone(), outer, onward, tx.clone()));
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

/// How long a step waits for the probe and the hosts it asked for; what comes
/// later is told all the same.
const OWN_FIRST: Duration = Duration::from_secs(10);
/// How long a probe may take in all.
const OWN_LIMIT: Duration = Duration::from_secs(30);

/// Takes what no cloud answers out of what is asked of it, and answers that: a
/// probe of the target, the hosts. The refresh goes on when that is done, so
/// that it is not said to be done before.
async fn probes(
    options: Options,
    mut outer: mpsc::Receiver<Command>,
    onward: mpsc::Sender<Command>,
    tx: mpsc::Sender<Event>,
) {
    let mut target = String::new();
    while let Some(command) = outer.recv().await {
        let passed = match command {
            Command::Open(t) => {
                target.clone_from(&t);
                Command::Open(t)
            }
            Command::Refresh { id, mut wants } => {
                let work = own(&options, &target, &wants, &tx);
                wants.retain(|w| !matches!(w, Want::Probe | Want::Hosts));
                let passed = Command::Refresh { id, wants };
                if !work.is_empty() {
                    let onward = onward.clone();
                    tokio::spawn(async move {
                        let all = futures::future::join_all(work);
                        let _ = tokio::time::timeout(OWN_FIRST, all).await;
                        let _ = onward.send(passed).await;
                    });
                    continue;
                }
                passed
            }
            other => other,
        };
        if onward.send(passed).await.is_err() {
            return;
        }
    }
}

/// Starts what is asked of badgate itself; each tells what it saw when it is done.
fn own(options: &Options, target: &str, wants: &[Want], tx: &mpsc::Sender<Event>) -> Vec<JoinHandle<()>> {
    let mut work = Vec::new();
    if options.probe
        && wants.contains(&Want::Probe)
        && let Some(ask) = probe::plain::for_target(target, &options.resolve, call_limit(options))
    {
        let tx = tx.clone();
        work.push(tokio::spawn(async move {
            let seen = probe::plain::observe(&ask, OWN_LIMIT, &probe::quietly()).await;
            let _ = tx.send(Event::Observed(vec![seen])).await;
        }));
    }
    let hosts = if wants.contains(&Want::Hosts) { options.hosts.clone() } else { Vec::new() };
    for asked in hosts {
        let tx = tx.clone();
        work.push(tokio::spawn(async move {
            let seen = host::observe(&asked, host::LIMIT).await;
            let _ = tx.send(Event::Observed(seen)).await;
        }));
    }
    work
}

fn call_limit(options: &Options) -> Duration {
    options.call_timeout.unwrap_or(OWN_LIMIT).min(OWN_LIMIT)
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
