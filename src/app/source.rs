//! Starts the sources a command line asks for, behind one link.

use crate::situation::{Fact, Observation};
use crate::sources::outbox::Outbox;
use crate::sources::{
    AGREE, COMMAND_QUEUE, Call, Command, EVENT_QUEUE, Event, Link, Options, Want, file_tail, host, probe,
};
use crate::text::SafeText;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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
    let mut own = Own::new(options, tx);
    while let Some(command) = outer.recv().await {
        let passed = match command {
            Command::Open(t) => {
                own.target.clone_from(&t);
                own.name_hosts().await;
                Command::Open(t)
            }
            Command::Act { id } if id == AGREE => {
                own.agreed = true;
                continue;
            }
            Command::Measure { urls, longest } => {
                own.measure(&urls, longest);
                continue;
            }
            Command::Refresh { id, mut wants } => {
                let work = own.start(&wants);
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

/// Logs of hosts being followed, by the host. Dropped with the source.
type Followed = Arc<Mutex<BTreeMap<host::Reached, Option<host::Following>>>>;

/// What badgate asks by itself.
struct Own {
    options: Options,
    tx: mpsc::Sender<Event>,
    target: String,
    /// The person has seen what runs on the hosts.
    agreed: bool,
    asking: host::Asking,
    outbox: Option<Outbox>,
    followed: Followed,
    /// URLs whose idle connection is being watched.
    measuring: Arc<Mutex<BTreeSet<SafeText>>>,
}

impl Own {
    fn new(options: Options, tx: mpsc::Sender<Event>) -> Own {
        let asking = host::Asking { limit: host::LIMIT, look: None };
        let outbox = (!options.hosts.is_empty()).then(|| Outbox::open(tx.clone()));
        Own {
            options,
            tx,
            target: String::new(),
            agreed: false,
            asking,
            outbox,
            followed: Arc::default(),
            measuring: Arc::default(),
        }
    }

    async fn name_hosts(&self) {
        if !self.options.hosts.is_empty() {
            let names = self.options.hosts.iter().map(|h| h.to_string().into()).collect();
            let _ = self.tx.send(Event::Hosts(names)).await;
        }
    }

    /// Starts what is asked of badgate itself; each tells what it saw when it is done.
    fn start(&self, wants: &[Want]) -> Vec<JoinHandle<()>> {
        let mut work = Vec::new();
        if self.options.probe
            && wants.contains(&Want::Probe)
            && let Some(ask) =
                probe::plain::for_target(&self.target, &self.options.resolve, call_limit(&self.options))
        {
            let tx = self.tx.clone();
            work.push(tokio::spawn(async move {
                let seen = probe::plain::observe(&ask, OWN_LIMIT, &probe::quietly()).await;
                let _ = tx.send(Event::Called(called(&ask, &seen))).await;
                let _ = tx.send(Event::Observed(vec![seen])).await;
            }));
        }
        if !wants.contains(&Want::Hosts) || !self.agreed {
            return work;
        }
        for asked in self.options.hosts.clone() {
            let (tx, asking) = (self.tx.clone(), self.asking);
            let (followed, outbox) = (Arc::clone(&self.followed), self.outbox.clone());
            work.push(tokio::spawn(async move {
                let seen = host::observe_by(&asked, &asking).await;
                let answered = seen.iter().find_map(|o| match &o.fact {
                    Fact::Host(h) => Some(h.clone()),
                    _ => None,
                });
                let _ = tx.send(Event::Observed(seen)).await;
                if let (Some(h), Some(outbox)) = (answered, outbox) {
                    let mut all = followed.lock().unwrap_or_else(PoisonError::into_inner);
                    all.entry(asked.clone()).or_insert_with(|| host::follow(&asked, &h, &outbox));
                }
            }));
        }
        work
    }

    /// Watches idle connections, each by itself, and says how far that is.
    fn measure(&self, urls: &[SafeText], longest: Duration) {
        if !self.options.probe {
            return;
        }
        for url in urls.iter().take(MEASURED) {
            let Ok(parsed) = url.parse::<probe::Url>() else { continue };
            if parsed.address().is_some_and(|ip| probe::guard::refusal(ip).is_some()) {
                continue;
            }
            if !self.measuring.lock().unwrap_or_else(PoisonError::into_inner).insert(url.clone()) {
                continue;
            }
            let mut ask = probe::Ask::plain(parsed, call_limit(&self.options));
            ask.thorough = false;
            // A target's certificate is nobody's business: a load balancer does
            // not verify it either.
            ask.insecure = true;
            ask.keepalive = Some(probe::Idle { max: longest.min(probe::idle::LONGEST), pauses: Vec::new() });
            let (tx, measuring, url) = (self.tx.clone(), Arc::clone(&self.measuring), url.clone());
            tokio::spawn(async move {
                let (say, told) = (tx.clone(), Mutex::new(0u64));
                let name = url.clone();
                let say: probe::Say = Arc::new(move |p| {
                    let probe::Progress::Idle { elapsed, max } = p else { return };
                    // Every five seconds; a full channel has more to say.
                    let step = elapsed.as_secs() / 5;
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    if step > *told {
                        *told = step;
                        let line = format!(
                            "{name}: idle for {} s, watching for at most {} s",
                            elapsed.as_secs(),
                            max.as_secs()
                        );
                        let _ = say.try_send(Event::Under { line: line.into() });
                    }
                });
                let within = longest + OWN_LIMIT;
                let seen = probe::plain::observe(&ask, within, &say).await;
                let line = measured(&url, &seen);
                let _ = tx.send(Event::Called(called(&ask, &seen))).await;
                let _ = tx.send(Event::Observed(vec![seen])).await;
                let _ = tx.send(Event::Under { line }).await;
                measuring.lock().unwrap_or_else(PoisonError::into_inner).remove(&url);
            });
        }
    }
}

/// Idle connections watched at a time.
const MEASURED: usize = 8;

/// What became of a measurement, in one line.
fn measured(url: &SafeText, seen: &Observation) -> SafeText {
    let Fact::Probe(p) = &seen.fact else { return format!("{url}: not measured").into() };
    let text = match (p.keepalive_s, p.closed_by, &p.keepalive) {
        (Some(s), Some(by), _) => {
            format!("{url}: idle connections are kept {s:.1} s, ended by {}", by.word())
        }
        (_, _, Some(k)) if k.closes_each => format!("{url}: every connection is ended after its answer"),
        (_, _, Some(k)) if k.at_least_s.is_some() => {
            format!("{url}: idle connections are kept longer than {:.0} s", k.at_least_s.unwrap_or(0.0))
        }
        (_, _, Some(k)) => format!("{url}: not measured: {}", k.failure),
        _ => {
            let why = p.faults.iter().find(|f| f.wrong).map_or("no connection", |f| f.text.as_str());
            format!("{url}: not measured: {why}")
        }
    };
    text.into()
}

/// A probe as an entry of the call log.
fn called(ask: &probe::Ask, seen: &Observation) -> Call {
    let failure = match &seen.fact {
        Fact::Probe(p) if p.exchanges.iter().any(|e| e.status.is_some()) => String::new(),
        Fact::Probe(p) => {
            p.faults.iter().find(|f| f.wrong).map_or("no answer".into(), |f| f.text.to_string())
        }
        Fact::Unknown(why) => why.phrase(),
        _ => String::new(),
    };
    Call {
        at: seen.at,
        operation: format!("probe:{} {}", ask.method, ask.url).into(),
        took_ms: seen.took_ms,
        request_id: SafeText::default(),
        failure: failure.into(),
        answered_at: None,
    }
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
