//! Measures one endpoint from where badgate runs: names, connections, TLS,
//! HTTP, and how long an idle connection is really kept. Nothing is sent that
//! a person did not ask for, one request at a time, all of it bounded.

mod chain;
mod dial;
mod dns;
mod exchange;
pub mod guard;
pub mod http1;
mod http2;
pub mod idle;
pub mod plain;
pub mod repeat;
mod stats;
mod tcp;
mod tls;
mod url;
mod who;

pub use dial::Dial;
pub use dns::Servers;
pub use exchange::{Request, USER_AGENT};
pub use stats::apart;
pub use url::{Url, check_host};

use crate::situation::probe::{Connect, Exchange, Fault, Kept, Phases, Probe, Reach};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::Offer;

/// Addresses of one name that are connected to.
const ADDRESSES: usize = 16;

/// What to probe and how.
#[derive(Clone, Debug)]
pub struct Ask {
    pub url: Url,
    /// Addresses for a host and port instead of looking the name up, as curl's `--resolve`.
    pub resolve: Vec<(String, u16, Vec<IpAddr>)>,
    pub via: Via,
    /// Instead of the URL's host, for the `Host` header.
    pub host: Option<String>,
    /// Instead of the URL's host, for TLS.
    pub sni: Option<String>,
    pub method: String,
    pub headers: Vec<(String, String)>,
    /// Send the request although the certificate does not verify.
    pub insecure: bool,
    /// For each connection, handshake and answer.
    pub timeout: Duration,
    pub keepalive: Option<Idle>,
    pub repeat: Option<repeat::Plan>,
    /// Also ask the servers that have the zone, other TLS versions, and HTTP/2.
    /// Off where a plain answer is wanted quickly.
    pub thorough: bool,
    pub servers: Servers,
}

/// Which of the addresses a request is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// The first that can be connected to.
    #[default]
    First,
    /// Each address of the name.
    Each,
    /// Each of these; a port of 0 stands for the URL's.
    These(Vec<SocketAddr>),
}

/// How the idle connection is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    pub max: Duration,
    /// Pauses after which other connections are used again.
    pub pauses: Vec<Duration>,
}

impl Default for Idle {
    fn default() -> Self {
        Idle { max: idle::LONGEST, pauses: idle::PAUSES.to_vec() }
    }
}

impl Ask {
    /// A plain request for a URL.
    pub fn plain(url: Url, timeout: Duration) -> Ask {
        Ask {
            url,
            resolve: Vec::new(),
            via: Via::First,
            host: None,
            sni: None,
            method: "GET".into(),
            headers: Vec::new(),
            insecure: false,
            timeout,
            keepalive: None,
            repeat: None,
            thorough: true,
            servers: Servers::default(),
        }
    }

    /// Sending it more than once changes nothing at the server (RFC 9110, 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    fn request(&self) -> Request {
        Request {
            method: self.method.clone(),
            path: self.url.path.clone(),
            authority: self.host.clone().unwrap_or_else(|| self.url.authority()),
            headers: self.headers.clone(),
        }
    }

    fn offer(&self, alpn: &'static [&'static [u8]]) -> Option<Offer> {
        self.url.https.then(|| Offer {
            name: self.sni.clone().unwrap_or_else(|| self.url.host.clone()),
            sni: true,
            versions: tls::BOTH,
            alpn,
        })
    }

    fn dial(&self, to: SocketAddr) -> Dial {
        Dial {
            to,
            tls: self.offer(&[b"http/1.1"]),
            insecure: self.insecure,
            limit: self.timeout,
            request: self.request(),
        }
    }
}

/// How far a probe is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// What is being done.
    Step(&'static str),
    /// An idle connection is watched.
    Idle { elapsed: Duration, max: Duration },
    /// Requests of a repeated probe.
    Sent { n: u32, of: u32, bad: u32 },
}

/// Told how far a probe is; must not block.
pub type Say = Arc<dyn Fn(Progress) + Send + Sync>;

/// Nobody listens.
pub fn quietly() -> Say {
    Arc::new(|_| {})
}

/// Probes. Never fails: what could not be learned stands in the answer.
pub async fn probe(ask: &Ask, say: &Say) -> Probe {
    let started = Instant::now();
    let mut p = Probe {
        url: ask.url.to_string().into(),
        at: Timestamp::now(),
        method: ask.method.as_str().into(),
        host: ask.url.host.as_str().into(),
        port: ask.url.port,
        https: ask.url.https,
        host_header: ask.request().authority.into(),
        sni: ask
            .offer(&[])
            .filter(|o| o.name.parse::<IpAddr>().is_err())
            .map(|o| o.name.into())
            .unwrap_or_default(),
        insecure: ask.insecure && ask.url.https,
        ..Probe::default()
    };
    if ask.url.https {
        // Read while the name is looked up.
        tokio::task::spawn_blocking(|| tls::roots().trouble.len());
    }
    say(Progress::Step("looking the name up"));
    let (addresses, dns_ms, named) = addresses(ask, &mut p).await;
    // Slow, and nothing waits for it.
    let authority = (named && ask.thorough).then(|| {
        let (host, servers, limit) = (ask.url.host.clone(), ask.servers.clone(), ask.timeout);
        tokio::spawn(async move { dns::authority(&host, &servers, limit).await })
    });
    let mut dials: Vec<Dial> = Vec::new();
    if !addresses.is_empty() {
        say(Progress::Step("connecting"));
        let mut attempts = Attempts::start(ask, &addresses);
        let open = attempts.wait(ask.via != Via::First).await;
        for (n, (dial, connect, stream)) in open.into_iter().enumerate() {
            say(Progress::Step("asking"));
            let before = Phases { dns_ms, connect_ms: Some(connect.took_ms), ..Phases::default() };
            one(ask, &dial, connect, stream, before, n == 0, &mut p).await;
            dials.push(dial);
        }
        // An address that drops packets takes the whole time limit: nothing waited for it.
        attempts.wait(true).await;
        attempts.judge(&mut p);
    }
    if let Some(plan) = ask.repeat {
        let r = repeat::run(&dials, plan, ask.timeout, say).await;
        judge_repeat(&r, &mut p.faults);
        p.repeat = Some(r);
    }
    if let Some(plan) = &ask.keepalive {
        idle_of(ask, plan, &dials, say, &mut p).await;
    }
    if let Some(task) = authority
        && let Ok(found) = task.await
    {
        if let Some(d) = &mut p.dns {
            d.answers.extend(found.answers);
            d.delegation = found.delegation;
        }
        p.faults.splice(0..0, found.faults);
    }
    p.took_ms = tcp::ms(started);
    p
}

/// How long each address keeps an idle connection, all watched side by side.
async fn idle_of(ask: &Ask, plan: &Idle, dials: &[Dial], say: &Say, p: &mut Probe) {
    let watched = dials.iter().zip(0u32..).map(|(dial, n)| async move {
        // Requests stay one after another, those of other addresses included.
        tokio::time::sleep(idle::span(plan.pauses.len()) * n).await;
        idle::measure(dial, plan.max, &plan.pauses, ask.timeout, say).await
    });
    let all = futures::future::join_all(watched).await;
    all.iter().for_each(|m| judge_idle(m, &mut p.faults));
    let each: Vec<Kept> = all.iter().map(|m| Kept::of(&p.url, &m.report, m.seconds, m.closed_by)).collect();
    let shortest = each.iter().zip(all).min_by(|a, b| a.0.order().total_cmp(&b.0.order()));
    let Some((first, m)) = shortest else { return };
    let longest = each.iter().max_by(|a, b| a.order().total_cmp(&b.order()));
    if let Some(last) = longest.filter(|l| l.order() - first.order() > 1.0) {
        let text = format!(
            "{} keeps an idle connection {}, {} {}",
            first.address,
            first.words(),
            last.address,
            last.words()
        );
        p.faults.push(Fault::notice("idle-differs", text));
    }
    (p.keepalive_s, p.closed_by, p.keepalive) = (m.seconds, m.closed_by, Some(m.report));
    if each.len() > 1 {
        p.kept_each = each;
    }
}

/// Addresses to try, how long finding them took, and whether a name was looked up.
async fn addresses(ask: &Ask, p: &mut Probe) -> (Vec<SocketAddr>, Option<f64>, bool) {
    let at = |ip: IpAddr| SocketAddr::new(ip, ask.url.port);
    let given = ask.resolve.iter().find(|(h, port, _)| *h == ask.url.host && *port == ask.url.port);
    let (list, dns_ms, named, by) = match (&ask.via, ask.url.address(), given) {
        (Via::These(list), ..) => {
            let list = list.iter().map(|a| if a.port() == 0 { at(a.ip()) } else { *a }).collect();
            (list, None, false, "--via")
        }
        (_, _, Some((.., ips))) => (ips.iter().map(|ip| at(*ip)).collect(), None, false, "--resolve"),
        (_, Some(ip), None) => (vec![at(ip)], None, false, "url"),
        (_, None, None) => {
            let looked = dns::look(&ask.url.host, &ask.servers, ask.timeout).await;
            let took = looked.dns.took_ms;
            p.faults.extend(looked.faults);
            if looked.addresses.is_empty() && !p.faults.iter().any(|f| f.id.starts_with("dns-n")) {
                let text = format!("{} has no address: {}", ask.url.host, looked.dns.failure);
                p.faults.push(Fault::wrong("dns-no-address", text));
            }
            p.dns = Some(looked.dns);
            (looked.addresses.into_iter().map(at).collect::<Vec<_>>(), Some(took), true, "resolver")
        }
    };
    p.addresses_by = by.into();
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for a in list {
        if let Some(why) = guard::refusal(a.ip()) {
            p.faults.push(Fault::wrong("address-refused", format!("{} is not probed: it {why}", a.ip())));
        } else if seen.insert(a) {
            kept.push(a);
        }
    }
    p.addresses_left = kept.len().saturating_sub(ADDRESSES);
    kept.truncate(ADDRESSES);
    (kept, dns_ms, named)
}

type Opened = (Dial, Connect, tokio::net::TcpStream);

/// Connections to every address, all attempted at once.
struct Attempts {
    running: tokio::task::JoinSet<(usize, Dial, Connect, Option<tokio::net::TcpStream>)>,
    done: Vec<Option<Connect>>,
}

impl Attempts {
    fn start(ask: &Ask, addresses: &[SocketAddr]) -> Attempts {
        let mut running = tokio::task::JoinSet::new();
        for (n, a) in addresses.iter().enumerate() {
            let (dial, limit) = (ask.dial(*a), ask.timeout);
            running.spawn(async move {
                let (connect, stream) = tcp::connect(dial.to, limit).await;
                (n, dial, connect, stream)
            });
        }
        Attempts { running, done: vec![None; addresses.len()] }
    }

    /// Those that are open: all of them, or the first to be.
    async fn wait(&mut self, all: bool) -> Vec<Opened> {
        let mut open = Vec::new();
        while let Some(Ok((n, dial, connect, stream))) = self.running.join_next().await {
            if let Some(slot) = self.done.get_mut(n) {
                *slot = Some(connect.clone());
            }
            if let Some(stream) = stream {
                open.push((n, (dial, connect, stream)));
                if !all {
                    break;
                }
            }
        }
        open.sort_by_key(|(n, _)| *n);
        open.into_iter().map(|(_, o)| o).collect()
    }

    /// Puts what came of them into the report.
    fn judge(self, p: &mut Probe) {
        p.connects = self.done.into_iter().flatten().collect();
        let any_open = p.connects.iter().any(|c| c.outcome == Reach::Open);
        for c in p.connects.iter().filter(|c| c.outcome != Reach::Open) {
            let what = match c.outcome {
                Reach::Refused => "refuses connections: nothing listens on this port, or a firewall rejects",
                Reach::Unreachable => "cannot be reached: no route, or a router or firewall says no",
                Reach::TimedOut => "does not answer: packets are dropped on the way, there or back",
                _ => "could not be tried",
            };
            let text = format!("{} {what}", c.address);
            // A machine without IPv6 says nothing about the endpoint.
            let no_v6 = c.address.starts_with('[') && c.outcome == Reach::Unreachable && any_open;
            p.faults.push(if no_v6 {
                Fault::notice("tcp-no-ipv6", text)
            } else {
                Fault::wrong(id(c.outcome), text)
            });
        }
    }
}

fn id(r: Reach) -> &'static str {
    match r {
        Reach::Refused => "tcp-refused",
        Reach::Unreachable => "tcp-unreachable",
        Reach::TimedOut => "tcp-timed-out",
        Reach::Open | Reach::Failed => "tcp-failed",
    }
}

/// TLS and one request over a connection that stands; for the first address
/// also what else the server speaks.
async fn one(
    ask: &Ask,
    dial: &Dial,
    connect: Connect,
    stream: tokio::net::TcpStream,
    before: Phases,
    first: bool,
    p: &mut Probe,
) {
    let address = connect.address.clone();
    let dialled = dial.upgrade(connect, Some(stream)).await;
    let before = Phases { tls_ms: dialled.tls.as_ref().map(|t| t.took_ms), ..before };
    if dialled.plain_http {
        let text = format!("{address} speaks plain HTTP on this port; the URL wants TLS");
        p.faults.push(Fault::wrong("plain-http-on-tls-port", text));
    }
    let variants = async {
        match &dial.tls {
            Some(offer)
                if first && ask.thorough && dialled.tls.as_ref().is_some_and(|t| !t.version.is_empty()) =>
            {
                tls::variants(dial.to, offer, ask.timeout).await
            }
            _ => Vec::new(),
        }
    };
    let asked = async {
        match dialled.io {
            Ok(mut io) => {
                let sent = exchange::send(&mut *io, &dial.request, exchange::Read::Look, ask.timeout).await;
                exchange::record(&sent, address.clone(), before)
            }
            Err(why) => Exchange {
                at: Timestamp::now(),
                address: address.clone(),
                protocol: "HTTP/1.1".into(),
                phases: before,
                failure: why.into(),
                ..Exchange::default()
            },
        }
    };
    // Handshakes are no requests: they may go beside the one request.
    let (variants, answer) = tokio::join!(variants, asked);
    if let Some(mut report) = dialled.tls {
        report.variants = variants;
        judge_tls(&report, ask.insecure, &mut p.faults);
        p.tls.push(report);
    }
    judge_exchange(&answer, &mut p.faults);
    let answered = answer.status.is_some();
    p.exchanges.push(answer);
    if first && ask.thorough && ask.url.https && answered && ask.is_safe() {
        second(ask, dial, p).await;
    }
}

/// The same over HTTP/2, if the server chooses it.
async fn second(ask: &Ask, dial: &Dial, p: &mut Probe) {
    let dial = Dial { tls: ask.offer(&[b"h2", b"http/1.1"]), ..dial.clone() };
    let d = dial.open().await;
    let Some(t) = d.tls.filter(|t| t.alpn == "h2") else { return };
    let Ok(io) = d.io else { return };
    let before = Phases { connect_ms: Some(d.connect.took_ms), tls_ms: Some(t.took_ms), ..Phases::default() };
    let answer = http2::send(io, &dial.request, ask.url.https, d.connect.address, ask.timeout, before).await;
    let one = p.exchanges.last().and_then(|e| e.status);
    if let (Some(one), Some(two)) = (one, answer.status)
        && one != two
        && (one >= 500 || two >= 500)
    {
        let text = format!("over HTTP/1.1 the answer is {one}, over HTTP/2 {two}");
        p.faults.push(Fault::wrong("protocols-differ", text));
    }
    judge_exchange(&answer, &mut p.faults);
    p.exchanges.push(answer);
}

fn judge_tls(t: &crate::situation::probe::Tls, insecure: bool, faults: &mut Vec<Fault>) {
    match t.verified {
        None => {
            if !t.why.is_empty() {
                faults.push(Fault::wrong("tls-handshake", format!("{}: no TLS: {}", t.address, t.why)));
            }
        }
        Some(false) => {
            let id = match t.why.split(':').next().unwrap_or_default() {
                "expired" => "certificate-expired",
                "not valid yet" => "certificate-not-yet-valid",
                "wrong name" => "certificate-wrong-name",
                "self-signed" => "certificate-self-signed",
                "missing intermediate" => "certificate-missing-intermediate",
                _ => "certificate-untrusted",
            };
            let sent = if insecure { " (--insecure: the request was sent all the same)" } else { "" };
            faults.push(Fault::wrong(
                id,
                format!("{}: the certificate does not verify: {}{sent}", t.address, t.why),
            ));
        }
        Some(true) => {}
    }
    if let Some(soon) =
        t.chain.iter().find_map(|c| c.not_after.map(|until| (c, until))).filter(|(_, until)| {
            let left = until.as_second() - Timestamp::now().as_second();
            (0..14 * 86_400).contains(&left)
        })
    {
        let days = (soon.1.as_second() - Timestamp::now().as_second()) / 86_400;
        let text = format!("{}: the certificate of {} expires in {days} days", t.address, soon.0.subject);
        faults.push(Fault::notice("certificate-expires-soon", text));
    }
    let count = t.chain.len() + t.left;
    if count > 6 {
        let text = format!("{}: {count} certificates are sent; clients give up on long chains", t.address);
        faults.push(Fault::notice("certificate-chain-long", text));
    }
    if t.chain.iter().any(|c| c.signed_by.starts_with("another one")) {
        faults.push(Fault::notice("certificate-order", format!("{}: the chain is out of order", t.address)));
    }
    let with = t.chain.first().map(|c| c.subject.clone()).unwrap_or_default();
    if let Some(v) =
        t.variants.iter().find(|v| v.what == "no SNI" && v.ok && !v.result.ends_with(with.as_str()))
    {
        let text =
            format!("{}: without a server name it shows another certificate ({})", t.address, v.result);
        faults.push(Fault::notice("sni-decides", text));
    }
}

fn judge_exchange(e: &Exchange, faults: &mut Vec<Fault>) {
    // Said of TLS and of connecting already.
    let told = ["certificate:", "TLS:", "connecting:"].iter().any(|h| e.failure.starts_with(h));
    if !e.failure.is_empty() && !told {
        let id = match e.failure.as_str() {
            f if f.starts_with("closed without") => "http-no-answer",
            f if f.starts_with("reset") => "http-reset",
            f if f.contains(" within ") => "http-timed-out",
            _ => "http-broken",
        };
        faults.push(Fault::wrong(id, format!("{} over {}: {}", e.address, e.protocol, e.failure)));
    }
    if let Some(status) = e.status.filter(|s| *s >= 500) {
        let who = if e.who.name.is_empty() {
            "nothing tells by whom".into()
        } else {
            format!("made by {}", e.who.name)
        };
        let text = format!("{} answers {status} over {}, {who}", e.address, e.protocol);
        faults.push(Fault::wrong(&format!("http-{status}"), text));
    }
    faults.extend(e.faults.iter().cloned());
}

fn judge_idle(m: &idle::Measured, faults: &mut Vec<Fault>) {
    let r = &m.report;
    if r.failure.starts_with("the connection is forgotten") {
        faults.push(Fault::wrong("idle-silent-drop", format!("{}: {}", r.address, r.failure)));
    } else if !r.failure.is_empty() {
        faults.push(Fault::wrong(
            "idle-not-measured",
            format!("{}: keep-alive not measured: {}", r.address, r.failure),
        ));
    }
    if let (Some(said), Some(found)) = (r.announced_s, m.seconds)
        && (said - found).abs() > 1.0
    {
        let text =
            format!("{}: Keep-Alive announces {said} s, the connection was kept {found:.2} s", r.address);
        faults.push(Fault::notice("idle-not-as-announced", text));
    }
    if m.closed_by == Some(crate::situation::probe::ClosedBy::Rst) {
        let text = format!(
            "{}: the idle connection ends with RST: a request on its way is lost for certain",
            r.address
        );
        faults.push(Fault::notice("idle-rst", text));
    }
}

fn judge_repeat(r: &crate::situation::probe::Repeat, faults: &mut Vec<Fault>) {
    let percent = |x: f64| format!("{:.1} %", x * 100.0);
    if r.failed.count > 0 {
        let text = format!(
            "{} of {} requests failed ({}, between {} and {} at 95 %), {} with 502",
            r.failed.count,
            r.failed.of,
            percent(r.failed.share),
            percent(r.failed.low),
            percent(r.failed.high),
            r.bad_gateway.count
        );
        faults.push(Fault::wrong("repeat-failures", text));
    }
    for (what, all) in
        [("address", &r.by_address), ("connection", &r.by_connection), ("idle time", &r.by_idle)]
    {
        let worst = all.iter().max_by(|a, b| a.failed.share.total_cmp(&b.failed.share));
        let best = all.iter().min_by(|a, b| a.failed.share.total_cmp(&b.failed.share));
        if let (Some(w), Some(b)) = (worst, best)
            && apart(&w.failed, &b.failed)
        {
            let text = format!(
                "failures go with the {what}: {} fails {}, {} {}",
                w.of,
                percent(w.failed.share),
                b.of,
                percent(b.failed.share)
            );
            faults.push(Fault::wrong("repeat-correlates", SafeText::from(text)));
        }
    }
}
