//! The stage: the world of a drill while it runs, shared by everybody on it.

use super::alb::Alb;
use super::chance::Chance;
use super::clock::{Clock, seconds};
use super::deed::{Conduct as Function, Handshake, Packets};
use super::estate::{Estate, place};
use super::meter::Meter;
use super::script::{Drill, Platform};
use super::server::{Conduct, Host};
use super::traffic::People;
use super::{alb, health, lambda, play, server, traffic};
use crate::situation::log::LogLine;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Log lines kept.
const LINES: usize = 60_000;

/// The logs of all machines, in order of writing.
#[derive(Debug, Default)]
pub struct Logs {
    lines: VecDeque<LogLine>,
    /// Lines written before the first one held.
    gone: u64,
}

impl Logs {
    /// Lines from this number on that are of one of these groups and not older
    /// than `since`, and the number to go on with.
    pub fn from(&self, seq: u64, groups: &[SafeText], since: Option<Timestamp>) -> (Vec<LogLine>, u64) {
        let skip = usize::try_from(seq.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        let all = self.lines.iter().skip(skip);
        let wanted = all.filter(|l| groups.contains(&l.group) && since.is_none_or(|t| l.at >= t));
        (wanted.cloned().collect(), self.gone + self.lines.len() as u64)
    }
}

/// What the player has done, and what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deeds {
    /// When and which action.
    pub acted: Vec<(Timestamp, String)>,
    /// Hints asked for.
    pub hints: usize,
    /// When the action that cures had its effect.
    pub cured: Option<Timestamp>,
}

/// Everything and everybody.
pub struct World {
    pub drill: Drill,
    pub seed: u64,
    pub clock: Clock,
    /// When the drill's clock began, and when the failure does.
    pub begun: Timestamp,
    pub onset: Timestamp,
    pub alb: Alb,
    pub hosts: Vec<Arc<Host>>,
    /// Ports of the load balancer's nodes on loopback.
    pub ports: Vec<u16>,
    /// A port that is taken and closed.
    pub closed_port: u16,
    pub function_port: u16,
    /// Runs of the function at present.
    pub runs: AtomicUsize,
    estate: Mutex<Estate>,
    meter: Mutex<Meter>,
    logs: Mutex<Logs>,
    people: Mutex<People>,
    function: Mutex<Function>,
    deeds: Mutex<Deeds>,
    ongoing: Mutex<HashMap<String, CancellationToken>>,
    draws: AtomicU64,
    over: CancellationToken,
    /// Held so that nobody else takes it.
    _closed: TcpSocket,
}

/// What is opened before the first packet.
struct Doors {
    nodes: Vec<TcpListener>,
    function: TcpListener,
}

fn open<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Opens the ports and starts everybody. Must be called within a tokio
    /// runtime. Everything ends when `over` is cancelled, and with the process.
    pub async fn begin(
        drill: Drill,
        seed: u64,
        clock: Clock,
        over: CancellationToken,
    ) -> std::io::Result<Arc<World>> {
        more_files();
        let local = "127.0.0.1:0";
        let doors = Doors {
            nodes: vec![TcpListener::bind(local).await?, TcpListener::bind(local).await?],
            function: TcpListener::bind(local).await?,
        };
        let closed = TcpSocket::new_v4()?;
        closed.bind(([127, 0, 0, 1], 0).into())?;
        let ports = doors.nodes.iter().map(|l| l.local_addr().map(|a| a.port())).collect::<Result<_, _>>()?;
        let begun = clock.now();
        let w = &drill.world;
        let hosts = (0..w.targets + w.spares)
            .map(|n| {
                let conduct = Conduct {
                    keep_alive: w.keep_alive,
                    workers: Arc::new(Semaphore::new(w.workers)),
                    slower: 1.0,
                    cpu: 0.0,
                    memory: 46.0,
                    disk: 61.0,
                    firewall: Packets::Pass,
                    impaired: false,
                    handshake: Handshake::Good,
                    quirks: Vec::new(),
                    revision: 41,
                    port: w.port,
                };
                Arc::new(Host::new(place(n), conduct))
            })
            .collect();
        let world = Arc::new(World {
            estate: Mutex::new(Estate::new(&drill, begun)),
            onset: begun + seconds(drill.calm * 60.0),
            alb: Alb::default(),
            hosts,
            ports,
            closed_port: closed.local_addr()?.port(),
            function_port: doors.function.local_addr()?.port(),
            runs: AtomicUsize::new(0),
            meter: Mutex::default(),
            logs: Mutex::default(),
            people: Mutex::default(),
            function: Mutex::default(),
            deeds: Mutex::default(),
            ongoing: Mutex::default(),
            draws: AtomicU64::new(0),
            over,
            _closed: closed,
            drill,
            seed,
            clock,
            begun,
        });
        world.start(doors);
        Ok(world)
    }

    fn start(self: &Arc<Self>, doors: Doors) {
        let me = || Arc::clone(self);
        for (n, l) in doors.nodes.into_iter().enumerate() {
            self.spawn(alb::listen(me(), n, l));
        }
        self.spawn(alb::sweep(me()));
        let clock = self.clock.clone();
        self.spawn(async move { clock.beat().await });
        if self.drill.world.platform == Platform::Lambda {
            self.spawn(lambda::run(me(), doors.function));
        } else {
            for (n, h) in self.hosts.iter().enumerate() {
                if n < self.drill.world.targets {
                    h.start();
                }
                self.spawn(server::run(me(), n));
            }
            let groups = self.estate().groups.len();
            for g in 0..groups {
                self.spawn(health::run(me(), g));
            }
        }
        for n in 0..traffic::PEOPLE {
            self.spawn(traffic::person(me(), n));
        }
        self.spawn(play::measure(me()));
        self.spawn(play::story(me()));
    }

    /// A task that ends with the drill.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = over.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// A task that ends with the drill, or when what goes on under its id is ended.
    pub fn go_on(&self, id: &str, work: impl Future<Output = ()> + Send + 'static) {
        let token = CancellationToken::new();
        if let Some(before) = open(&self.ongoing).insert(id.to_owned(), token.clone()) {
            before.cancel();
        }
        self.spawn(async move {
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Ends what goes on under an id.
    pub fn end(&self, id: &str) {
        if let Some(t) = open(&self.ongoing).remove(id) {
            t.cancel();
        }
    }

    /// What the API tells, to read or to change.
    pub fn estate(&self) -> MutexGuard<'_, Estate> {
        open(&self.estate)
    }

    /// Counts and rows.
    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        open(&self.meter)
    }

    /// Log lines.
    pub fn logs(&self) -> MutexGuard<'_, Logs> {
        open(&self.logs)
    }

    /// How clients behave.
    pub fn people(&self) -> MutexGuard<'_, People> {
        open(&self.people)
    }

    /// What the player has done.
    pub fn deeds(&self) -> MutexGuard<'_, Deeds> {
        open(&self.deeds)
    }

    /// How the function behaves.
    pub fn function(&self) -> Function {
        *open(&self.function)
    }

    /// From now on it behaves so.
    pub fn set_function(&self, f: Function) {
        *open(&self.function) = f;
    }

    /// Counts one of something at the load balancer now.
    pub fn count(&self, subject: &str, name: &'static str, az: &str) {
        let now = self.clock.now();
        self.meter().count(now, subject, name, az);
    }

    /// Writes a log line.
    pub fn log(&self, group: &'static str, stream: &str, text: &str) {
        let line = LogLine {
            at: self.clock.now(),
            group: group.into(),
            stream: stream.into(),
            id: SafeText::default(),
            text: text.into(),
        };
        let mut logs = self.logs();
        if logs.lines.len() == LINES {
            logs.lines.pop_front();
            logs.gone += 1;
        }
        logs.lines.push_back(line);
    }

    /// A number no other draw of this drill begins with.
    pub fn fresh_seed(&self) -> u64 {
        let n = self.draws.fetch_add(1, Ordering::Relaxed);
        Chance::new(self.seed ^ n.rotate_left(17), "draw").next()
    }

    /// Indexes of targets by name; none named: all that are in service.
    pub fn named(&self, names: &[String]) -> Vec<usize> {
        if names.is_empty() {
            return (0..self.drill.world.targets).collect();
        }
        (0..self.hosts.len()).filter(|n| names.contains(&self.hosts[*n].place.name)).collect()
    }

    /// The kernel has killed a process; it is started anew after so many seconds.
    pub fn killed(self: &Arc<Self>, host: &Arc<Host>, down: f64) {
        host.kill();
        let (me, host) = (Arc::clone(self), Arc::clone(host));
        self.spawn(async move {
            me.clock.sleep(down).await;
            if !host.conduct().impaired {
                host.start();
            }
        });
    }
}

/// Asks for as many file descriptors as the system allows: each request in
/// flight has four ends in this process.
fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let want = now.maximum.unwrap_or(4096).min(8192);
    if now.current.is_some_and(|n| n < want) {
        // A refusal leaves what there was, which is enough for most drills.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(want), maximum: now.maximum });
    }
}
