//! The targets: real servers on loopback ports, each with a process that can
//! end, workers that can be used up, idle connections that it closes when its
//! own time is over, and a log.

use super::chance::Chance;
use super::deed::{Does, Handshake, Packets, Quirk};
use super::estate::Place;
use super::http::{Head, Kind, Trouble, Wire, reason, response};
use super::stage::World;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Longest request head taken.
const HEAD: usize = 96 * 1024;

/// How a target behaves at present.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub keep_alive: f64,
    pub workers: Arc<Semaphore>,
    pub slower: f64,
    /// Used by something else than requests, in percent.
    pub cpu: f64,
    pub memory: f64,
    pub disk: f64,
    pub firewall: Packets,
    /// The machine is silent.
    pub impaired: bool,
    pub handshake: Handshake,
    /// By the id they were begun under.
    pub quirks: Vec<(String, Quirk)>,
    pub revision: u32,
    /// The port the process listens on, as the network knows it.
    pub port: u16,
}

/// One target.
#[derive(Debug)]
pub struct Host {
    pub place: Place,
    /// The real port of the process that runs, or ran last.
    pub real: AtomicU16,
    pub conduct: Mutex<Conduct>,
    /// Counts up with every process; even: none runs.
    process: watch::Sender<u64>,
    /// Tells requests in flight that the load balancer has let go of it.
    pub released: watch::Sender<u64>,
    /// Requests in work.
    pub busy: AtomicUsize,
    /// Milliseconds of work done, for the use of the processors.
    pub worked: AtomicU64,
}

impl Host {
    /// A target whose process does not run yet.
    pub fn new(place: Place, conduct: Conduct) -> Host {
        Host {
            place,
            real: AtomicU16::new(0),
            conduct: Mutex::new(conduct),
            process: watch::Sender::new(0),
            released: watch::Sender::new(0),
            busy: AtomicUsize::new(0),
            worked: AtomicU64::new(0),
        }
    }

    /// How it behaves, to read or to change.
    pub fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while its process runs.
    pub fn runs(&self) -> bool {
        *self.process.borrow() % 2 == 1
    }

    /// Starts the process, if it does not run.
    pub fn start(&self) {
        self.process.send_if_modified(|n| {
            let starts = *n % 2 == 0;
            *n += u64::from(starts);
            starts
        });
    }

    /// Ends the process at once: its port is closed, its connections end.
    pub fn kill(&self) {
        self.process.send_if_modified(|n| {
            let ends = *n % 2 == 1;
            *n += u64::from(ends);
            ends
        });
    }
}

/// Runs the processes of a target, one after the other, until the drill ends.
pub async fn run(world: Arc<World>, n: usize) {
    let Some(host) = world.hosts.get(n).cloned() else { return };
    let mut process = host.process.subscribe();
    loop {
        if *process.borrow_and_update() % 2 == 0 {
            if process.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else {
            // No port or no file descriptor is left: tried again a little later.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            continue;
        };
        if let Ok(a) = listener.local_addr() {
            host.real.store(a.port(), Ordering::Release);
        }
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                gone = process.changed() => {
                    if gone.is_err() {
                        return;
                    }
                    break;
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                taken = listener.accept() => if let Ok((stream, _)) = taken {
                    connections.spawn(serve(Arc::clone(&world), Arc::clone(&host), stream));
                }
            }
        }
    }
}

/// One connection.
async fn serve(world: Arc<World>, host: Arc<Host>, stream: TcpStream) {
    let mut wire = Wire::new(stream);
    let mut chance = Chance::new(world.fresh_seed(), &host.place.name);
    if world.drill.world.protocol == "HTTPS" && !shake_hands(&world, &host, &mut wire).await {
        return;
    }
    // The first request may take its time; later ones must come before the
    // server's own patience with idle connections ends.
    let mut patience = 60.0;
    loop {
        let Ok(Ok(head)) = world.clock.within(patience, wire.head(Kind::Request, HEAD)).await else { return };
        match answer(&world, &host, &mut wire, &head, &mut chance).await {
            After::Keep if !head.closes() => patience = host.conduct().keep_alive,
            After::Reset => return wire.reset(),
            After::Keep | After::Close => return,
        }
    }
}

/// First flight of a TLS handshake: the client's hello is met with the server's
/// or with an alert. Nothing is encrypted: the drill has no use for keys.
async fn shake_hands(world: &World, host: &Host, wire: &mut Wire) -> bool {
    let Ok(Ok(hello)) = world.clock.within(10.0, wire.raw(4096)).await else { return false };
    let does = host.conduct().handshake;
    let looks_like_tls = hello.first() == Some(&0x16);
    match does {
        Handshake::Good if looks_like_tls => wire.send(&[0x16, 3, 3, 0, 4, 2, 0, 0, 0]).await.is_ok(),
        Handshake::Alert => {
            // Alert, fatal, handshake_failure.
            let _ = wire.send(&[0x15, 3, 3, 0, 2, 2, 40]).await;
            let text = "[error] 911#911: *81 SSL_do_handshake() failed (SSL: error:0A0000C1:SSL routines::no shared \
                        cipher) while SSL handshaking, client: 10.20.0.11, server: 0.0.0.0:8443";
            if world.fresh_seed().is_multiple_of(4) {
                world.log(APP, &host.place.name, text);
            }
            false
        }
        _ => {
            let _ = wire.send(&response(400, reason(400), &[("Connection", "close")], b"")).await;
            false
        }
    }
}

/// What becomes of a connection behind an answer.
enum After {
    Keep,
    Close,
    Reset,
}

/// Log groups of a drill.
pub const APP: &str = "/app/shop";
pub const SYSTEM: &str = "/host/messages";

/// The quirk that concerns a request, if any.
fn quirk(c: &Conduct, head: &Head, check: bool, chance: &mut Chance) -> Option<Quirk> {
    let path = head.path();
    let cookies = head.get("cookie").map_or(0, str::len);
    c.quirks
        .iter()
        .map(|(_, q)| q)
        .filter(|q| if check { q.checks } else { true })
        .filter(|q| check || q.paths.is_empty() || q.paths.iter().any(|p| path.starts_with(p.as_str())))
        .filter(|q| q.cookies_over == 0 || cookies > q.cookies_over)
        .filter(|q| q.body_over == 0 || head.length() > q.body_over)
        .find(|q| q.share >= 1.0 || chance.happens(q.share))
        .cloned()
}

async fn answer(
    world: &Arc<World>,
    host: &Arc<Host>,
    wire: &mut Wire,
    head: &Head,
    chance: &mut Chance,
) -> After {
    let began = world.clock.now();
    let conduct = host.conduct().clone();
    let check = head.get("user-agent").is_some_and(|a| a.starts_with("ELB-HealthChecker"));
    let quirk = quirk(&conduct, head, check, chance);
    if matches!(quirk.as_ref().map(|q| q.does), Some(Does::RefuseBody)) {
        note(world, host, head, quirk.as_ref(), began);
        return After::Reset;
    }
    match wire.body(head.length(), 0).await {
        Ok(_) => {}
        Err(Trouble::Closed | Trouble::Cut | Trouble::Malformed(_) | Trouble::TooLarge) => {
            return After::Close;
        }
    }
    // A worker takes it; until one is free it waits.
    let Ok(_permit) = Arc::clone(&conduct.workers).acquire_owned().await else { return After::Close };
    let _busy = Busy::begin(host);
    let own = if check { 0.004 } else { cost(head.path(), chance) };
    let work = own * conduct.slower;
    let does = quirk.as_ref().map(|q| q.does);
    match does {
        Some(Does::Hang) => {
            note(world, host, head, quirk.as_ref(), began);
            // The other side ends it.
            wire.gone().await;
            return After::Close;
        }
        Some(Does::KillWorker(s)) => {
            world.clock.sleep(s).await;
            note(world, host, head, quirk.as_ref(), began);
            return After::Close;
        }
        Some(Does::OutOfMemory(s)) => {
            world.clock.sleep(work).await;
            note(world, host, head, quirk.as_ref(), began);
            world.killed(host, s);
            return After::Reset;
        }
        Some(Does::Slow(s) | Does::Late { seconds: s, .. }) => {
            // The connection may end before the answer is ready.
            tokio::select! {
                () = world.clock.sleep(work + s) => {}
                () = wire.gone() => {
                    note(world, host, head, quirk.as_ref(), began);
                    return After::Close;
                }
            }
        }
        _ => world.clock.sleep(work).await,
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds of one request"
    )]
    host.worked.fetch_add((own * 1000.0) as u64, Ordering::Relaxed);
    let after = match does {
        Some(Does::Reset) => After::Reset,
        Some(Does::BadStatusLine) => {
            let _ = wire.send(b"HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n").await;
            After::Close
        }
        Some(Does::LargeHeader(bytes)) => {
            let cookie = format!("cart={}; Path=/", "x".repeat(bytes));
            let _ = wire.send(&response(200, "OK", &[("Set-Cookie", &cookie)], b"{}")).await;
            After::Close
        }
        Some(Does::ShortBody) => {
            let body =
                b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 48231\r\n\r\n%PDF-1.7 ";
            let _ = wire.send(body).await;
            wire.gone().await;
            After::Close
        }
        Some(Does::Status(status) | Does::Late { status, .. }) => {
            let server = [("Server", "nginx"), ("Content-Type", "text/html")];
            let sent = wire.send(&response(status, reason(status), &server, b"<html></html>")).await;
            if sent.is_ok() { After::Keep } else { After::Close }
        }
        _ => {
            // The application knows one path for checks.
            let unknown = check && head.path() != "/healthz";
            let status = if unknown { 404 } else { 200 };
            let kind = [("Server", "shop"), ("Content-Type", "application/json")];
            let sent = wire.send(&response(status, reason(status), &kind, b"{\"ok\":true}")).await;
            if sent.is_ok() { After::Keep } else { After::Close }
        }
    };
    if !check {
        match &quirk {
            Some(q) if !q.log.is_empty() => note(world, host, head, Some(q), began),
            _ => served(world, host, head, does, began),
        }
    }
    after
}

/// Seconds of work for a path.
fn cost(path: &str, chance: &mut Chance) -> f64 {
    let base = match path.split('/').nth(1).unwrap_or("") {
        "search" => 0.18,
        "checkout" => 0.22,
        "report" => 0.6,
        "img" => 0.004,
        "api" => 0.03,
        "upload" => 0.12,
        _ => 0.05,
    };
    base * chance.between(0.6, 1.8)
}

fn trace(head: &Head) -> &str {
    head.get("x-amzn-trace-id").unwrap_or("-")
}

/// The line of an ordinary answer.
fn served(world: &World, host: &Host, head: &Head, does: Option<Does>, began: jiff::Timestamp) {
    let status = match does {
        Some(Does::Status(s) | Does::Late { status: s, .. }) => s,
        Some(Does::Reset | Does::BadStatusLine | Does::LargeHeader(_) | Does::ShortBody) => return,
        _ => 200,
    };
    let ms = world.clock.since(began) * 1000.0;
    let level = if status >= 500 { "ERROR" } else { "INFO " };
    let (method, url, trace) = (&head.word, &head.target, trace(head));
    world.log(
        APP,
        &host.place.name,
        &format!("{level} http: {method} {url} {status} {ms:.0}ms trace={trace}"),
    );
}

/// The lines a quirk leaves.
fn note(world: &World, host: &Host, head: &Head, quirk: Option<&Quirk>, began: jiff::Timestamp) {
    let Some(q) = quirk else { return };
    let ms = format!("{:.0}", world.clock.since(began) * 1000.0);
    for line in &q.log {
        let text = line
            .replace("{method}", &head.word)
            .replace("{path}", head.path())
            .replace("{ms}", &ms)
            .replace("{host}", &host.place.name)
            .replace("{trace}", trace(head));
        // Lines of the kernel stand in another log.
        let group = if text.starts_with("kernel:") { SYSTEM } else { APP };
        world.log(group, &host.place.name, &text);
    }
}

/// Counts a request as in work until it is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl Busy<'_> {
    fn begin(host: &Host) -> Busy<'_> {
        host.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&host.busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
