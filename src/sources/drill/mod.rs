//! The drill: a small outage on this machine, to practise on.
//!
//! Its data plane is real and lives on loopback: a reverse proxy that behaves
//! as an Application Load Balancer does, servers with processes, workers and
//! idle timeouts, clients that take time to think. Faults are done to these;
//! every 502 comes about as it would in the cloud. Its control plane is
//! simulated: what the API would tell is told as observations, and a rule that
//! blocks blocks the packets of the drill.
//!
//! What is simplified, so that nobody is misled: time runs faster than the
//! wall clock, all of it by one factor ([`clock`]). TLS towards clients is not
//! spoken, and of TLS towards targets only the first flight is. The addresses
//! in rows and logs are those of the simulated network; the sockets are on
//! 127.0.0.1. CPU, memory and disk of the machines are numbers of the story.
//!
//! All of it is tasks of this process: when the process ends, however it ends,
//! no port and no process is left.

mod alb;
mod chance;
pub mod clock;
pub mod deed;
mod estate;
mod facts;
mod health;
mod http;
mod lambda;
mod legs;
mod meter;
mod play;
pub mod script;
mod server;
mod stage;
mod traffic;

pub use estate::HOST;
pub use play::HINT;
pub use stage::Deeds;

use super::{COMMAND_QUEUE, Command, EVENT_QUEUE, Event, Link, Offer, Want};
use crate::situation::log::{Tail, TailMode, worth_following};
use crate::situation::{Fact, Observation, Topic};
use crate::text::SafeText;
use chance::Chance;
use clock::{Clock, seconds};
use jiff::Timestamp;
use script::Drill;
use stage::World;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How a drill is run.
#[derive(Clone, Debug)]
pub struct Wish {
    pub drill: Drill,
    pub seed: u64,
    /// Drill seconds in a real second.
    pub pace: f64,
    /// The pace of the calm before the onset; the last minute of it is at `pace`.
    pub calm_pace: f64,
    /// When the drill's clock starts.
    pub start: Timestamp,
    /// Real time after which it ends by itself.
    pub lasts: Duration,
}

/// What the one who started a drill keeps of it. Dropping it ends the drill.
pub struct Handle {
    pub clock: Clock,
    pub onset: Timestamp,
    world: Arc<World>,
    _over: DropGuard,
}

impl Handle {
    /// What the player has done so far.
    pub fn deeds(&self) -> Deeds {
        self.world.deeds().clone()
    }

    /// Ports on loopback where the load balancer's nodes listen.
    pub fn ports(&self) -> &[u16] {
        &self.world.ports
    }

    /// Failing and all requests of the last minutes of the drill.
    pub fn failing(&self, minutes: i64) -> (usize, usize) {
        self.world.meter().share_failing(self.world.clock.now(), minutes)
    }

    /// A thing the player can do, done by its id.
    ///
    /// # Errors
    /// There is no such thing.
    pub fn act(&self, id: &str) -> Result<SafeText, SafeText> {
        play::act(&self.world, id)
    }
}

/// Starts a drill. Must be called within a tokio runtime.
///
/// # Errors
/// The system gives no port.
pub async fn start(wish: Wish) -> std::io::Result<(Link, Handle)> {
    let over = CancellationToken::new();
    let clock = Clock::new(wish.start, wish.calm_pace.max(wish.pace));
    let world = World::begin(wish.drill.clone(), wish.seed, clock.clone(), over.clone()).await?;
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (tx, events) = mpsc::channel(EVENT_QUEUE);
    {
        // The calm passes quickly; from just before the onset on it is slow.
        let (clock, at) = (clock.clone(), world.onset - seconds(45.0));
        let pace = wish.pace;
        world.spawn(async move {
            clock.sleep_until(at).await;
            clock.set_pace(pace);
        });
    }
    let source = Source {
        world: Arc::clone(&world),
        tx,
        lasts: wish.lasts,
        pace: wish.pace,
        follows: Vec::new(),
        next: 0,
        since: None,
    };
    tokio::spawn(source.run(inbox, over.clone()));
    let handle = Handle { clock, onset: world.onset, world, _over: over.drop_guard() };
    Ok((Link { commands, events }, handle))
}

/// Answers the console as a cloud would.
struct Source {
    world: Arc<World>,
    tx: mpsc::Sender<Event>,
    lasts: Duration,
    pace: f64,
    /// Log groups followed, and the next line to tell.
    follows: Vec<SafeText>,
    next: u64,
    since: Option<Timestamp>,
}

/// Between two looks at the logs: lines come ten times a second at most.
const BREATH: Duration = Duration::from_millis(100);

/// What is asked again, and after how many seconds of the drill.
const AGAIN: [(Want, f64); 7] = [
    (Want::Health, 4.0),
    (Want::Metrics, 20.0),
    (Want::Config, 30.0),
    (Want::Network, 30.0),
    (Want::Ecs, 30.0),
    (Want::Around, 60.0),
    (Want::AccessLog, 60.0),
];
/// Changes arrive later than anything else, as CloudTrail's do.
const CHANGES: f64 = 90.0;

impl Source {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, over: CancellationToken) {
        let ends = tokio::time::Instant::now() + self.lasts;
        // Nothing is told before somebody asks.
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Open(_)) => break,
                    Some(other) => if !self.command(other).await { return },
                    None => return,
                },
                () = over.cancelled() => return,
            }
        }
        if !self.open().await {
            return;
        }
        let mut due: Vec<(Want, f64, Timestamp)> = AGAIN
            .iter()
            .chain(&[(Want::Changes, CHANGES)])
            .map(|(w, s)| (*w, *s, self.world.clock.now() + seconds(*s)))
            .collect();
        let mut breath = tokio::time::interval(BREATH);
        breath.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let go_on = tokio::select! {
                biased;
                () = over.cancelled() => false,
                () = tokio::time::sleep_until(ends) => {
                    let line = "the drill's time is over";
                    let _ = self.tx.send(Event::Over { line: line.into() }).await;
                    over.cancel();
                    false
                }
                command = inbox.recv() => match command {
                    Some(c) => self.command(c).await,
                    None => false,
                },
                _ = breath.tick() => self.breathe(&mut due).await,
            };
            if !go_on {
                return;
            }
        }
    }

    async fn say(&self, list: Vec<Observation>) -> bool {
        list.is_empty() || self.tx.send(Event::Observed(list)).await.is_ok()
    }

    async fn open(&mut self) -> bool {
        let offers = self.offers();
        let mut all = facts::target(&self.world);
        for want in Want::ALL {
            all.extend(facts::answers(&self.world, want));
        }
        let groups = all.iter().find_map(|o| match &o.fact {
            Fact::LogGroups(list) => Some(worth_following(list)),
            _ => None,
        });
        self.follows = groups.unwrap_or_default();
        let brief = Event::Brief { title: "You are on call".into(), lines: self.brief() };
        self.say(all).await
            && self.tell_tails().await
            && self.tx.send(Event::Offers(offers)).await.is_ok()
            && self.tx.send(brief).await.is_ok()
    }

    /// What can be done, in an order that gives nothing away, and the hints.
    fn offers(&self) -> Vec<Offer> {
        let drill = &self.world.drill;
        let mut chance = Chance::new(self.world.seed, "offers");
        let mut list: Vec<(u64, Offer)> = drill
            .actions
            .iter()
            .map(|a| (chance.next(), Offer { id: a.id.as_str().into(), title: a.title.as_str().into() }))
            .collect();
        list.sort_by_key(|x| x.0);
        let mut out: Vec<Offer> = list.into_iter().map(|x| x.1).collect();
        if !drill.hints.is_empty() {
            let title = format!("Ask for a hint (there are {})", drill.hints.len());
            out.push(Offer { id: play::HINT.into(), title: title.into() });
        }
        out
    }

    /// What the person on call is told.
    fn brief(&self) -> Vec<SafeText> {
        let drill = &self.world.drill;
        let mut out: Vec<SafeText> = vec![SafeText::from(drill.title.as_str()), SafeText::default()];
        out.extend(drill.story.trim().lines().map(SafeText::from));
        let pace = self.pace;
        let minutes = self.lasts.as_secs() / 60;
        for line in [
            String::new(),
            format!(
                "This is a drill on this machine: real servers, real requests, real 502. Its clock runs {pace:.0} times \
                 as fast as yours, and it ends by itself after {minutes} minutes. Nothing you do here touches a cloud."
            ),
            String::new(),
            // Short enough for 80 columns.
            "0-7  run a step of the procedure      x  do what the diagnosis names as next".into(),
            "X    what you can do about it, hints  a  write a note: what you think it is".into(),
            "tab  next pane   enter  open a row    ?  keys   q  leave, see the debrief".into(),
        ] {
            out.push(line.into());
        }
        out
    }

    async fn tell_tails(&self) -> bool {
        let at = self.world.clock.now();
        let tails = self.follows.iter().map(|g| Observation {
            at,
            source: "logs:StartLiveTail".into(),
            topic: Topic::Tail(g.clone()),
            fact: Fact::Tail(Tail { mode: TailMode::Live, note: SafeText::default() }),
            took_ms: 0,
        });
        self.say(tails.collect()).await
    }

    async fn command(&mut self, c: Command) -> bool {
        match c {
            // Its targets are no address of this machine: nothing to measure there.
            Command::Measure { .. } => true,
            Command::Open(_) | Command::Choose(_) | Command::Watch(_) | Command::ReloadCredentials => true,
            Command::Refresh { id, wants } => {
                let all = wants.iter().flat_map(|w| facts::answers(&self.world, *w)).collect();
                self.say(all).await && self.tx.send(Event::Done { id }).await.is_ok()
            }
            Command::Tail { groups, since } => {
                self.follows = groups;
                self.since = since;
                self.next = 0;
                if since.is_none() {
                    self.next = self.world.logs().from(u64::MAX, &[], None).1;
                }
                self.tell_tails().await
            }
            Command::Act { id } => {
                let (ok, line) = match play::act(&self.world, &id) {
                    Ok(line) => (true, line),
                    Err(line) => (false, line),
                };
                self.tx.send(Event::Acted { id, ok, line }).await.is_ok()
            }
        }
    }

    /// New log lines, and the answers that are due again.
    async fn breathe(&mut self, due: &mut [(Want, f64, Timestamp)]) -> bool {
        let (lines, next) = self.world.logs().from(self.next, &self.follows, self.since);
        self.next = next;
        let now = self.world.clock.now();
        let mut out: Vec<Observation> = Vec::new();
        // Lines of several groups come in the order in which they were written.
        for run in lines.chunk_by(|a, b| a.group == b.group) {
            out.push(Observation {
                at: now,
                source: "logs:StartLiveTail".into(),
                topic: Topic::Tail(run[0].group.clone()),
                fact: Fact::LogLines(run.to_vec()),
                took_ms: 0,
            });
        }
        for (want, every, at) in due.iter_mut().filter(|d| d.2 <= now) {
            *at = now + seconds(*every);
            out.extend(facts::answers(&self.world, *want));
        }
        self.say(out).await
    }
}
