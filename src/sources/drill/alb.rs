//! The load balancer: a reverse proxy that behaves as an Application Load
//! Balancer does ("Troubleshoot your Application Load Balancers", Elastic Load
//! Balancing user guide). One node a zone, each with a port and connections of
//! its own. A 502 of a drill is never printed: it comes about here.

use super::chance::Chance;
use super::deed::Packets;
use super::estate::{API, Estate, LB, WEB, ZONES};
use super::http::{Head, Kind, Trouble, Wire, reason, response};
use super::lambda;
use super::legs::{Packet, passes};
use super::meter::Row;
use super::server::Host;
use super::stage::World;
use crate::situation::elb::Rule;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream};

/// Seconds in which a target must accept a connection, and shake hands.
const CONNECT: f64 = 10.0;
/// Bytes of a request's and a response's head.
const REQUEST_HEAD: usize = 64 * 1024;
const RESPONSE_HEAD: usize = 32 * 1024;
/// Seconds until nobody has answered for an address in the same network.
const NOBODY_THERE: f64 = 3.1;

/// What idles in the pool.
struct Idle {
    wire: Wire,
    since: Timestamp,
}

/// The load balancer's own state: idle connections by node and target, and
/// whose turn it is.
#[derive(Default)]
pub struct Alb {
    idle: Mutex<HashMap<(usize, usize), VecDeque<Idle>>>,
    turn: AtomicUsize,
}

impl Alb {
    fn idle(&self) -> MutexGuard<'_, HashMap<(usize, usize), VecDeque<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, node: usize, host: usize) -> Option<Wire> {
        self.idle().get_mut(&(node, host))?.pop_front().map(|i| i.wire)
    }

    fn keep(&self, node: usize, host: usize, wire: Wire, since: Timestamp) {
        self.idle().entry((node, host)).or_default().push_back(Idle { wire, since });
    }

    /// Closes what has been idle for too long, and lets go of what the other
    /// side has closed, as far as that is known here by now.
    fn sweep(&self, now: Timestamp, idle: f64) {
        for list in self.idle().values_mut() {
            list.retain(|i| now.duration_since(i.since).as_secs_f64() < idle && !i.wire.is_gone());
        }
    }

    /// Forgets every connection to a target.
    pub fn drop_all(&self, host: usize) {
        self.idle().retain(|(_, h), _| *h != host);
    }
}

/// Sweeps the pools: a close of the other side is known one way later.
pub async fn sweep(world: Arc<World>) {
    loop {
        world.clock.sleep(world.drill.world.far.max(0.2)).await;
        let idle = world.estate().idle();
        world.alb.sweep(world.clock.now(), idle);
    }
}

/// Takes connections of clients on one node.
pub async fn listen(world: Arc<World>, node: usize, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                world.count(LB, "NewConnectionCount", "");
                world.spawn(client(Arc::clone(&world), node, stream));
            }
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn client(world: Arc<World>, node: usize, stream: TcpStream) {
    let mut wire = Wire::new(stream);
    let mut chance = Chance::new(world.fresh_seed(), "alb");
    loop {
        let patience = world.estate().idle();
        let head = match world.clock.within(patience, wire.head(Kind::Request, REQUEST_HEAD)).await {
            Ok(Ok(head)) => head,
            Ok(Err(Trouble::Malformed(_) | Trouble::TooLarge)) => {
                let mut x = Exchange::new(&world, node, Head::default(), &mut chance);
                x.row.class = "Severe".into();
                x.row.class_reason = "BadUri".into();
                let bytes = x.refuse(400);
                let _ = wire.send(&bytes).await;
                return;
            }
            Ok(Err(_)) | Err(_) => return,
        };
        let closes = head.closes();
        let body = match wire.body(head.length(), 1 << 21).await {
            Ok(body) => body,
            Err(_) => return,
        };
        let mut x = Exchange::new(&world, node, head, &mut chance);
        let bytes = tokio::select! {
            biased;
            bytes = x.answer(&body) => Some(bytes),
            // The client has left: whoever works on it, works in vain.
            () = wire.gone() => None,
        };
        match bytes {
            Some(bytes) => {
                if wire.send(&bytes).await.is_err() || closes {
                    return;
                }
            }
            None => {
                x.aborted();
                return;
            }
        }
    }
}

/// What a rule says to do.
enum Plan {
    Forward(SafeText),
    Fixed(u16),
    LoginDown,
}

/// Why a target gave no answer.
enum Failed {
    /// No connection.
    Refused,
    ConnectTimeout,
    Handshake,
    /// The request was sent, and the connection ended.
    Broke,
    /// Sent, and nothing more came until the idle timeout.
    Silent,
}

/// One request and its answer.
struct Exchange<'a> {
    world: &'a Arc<World>,
    node: usize,
    head: Head,
    chance: &'a mut Chance,
    row: Row,
    /// The zone of this node, for metrics.
    az: &'static str,
    sent_at: Option<Timestamp>,
}

impl<'a> Exchange<'a> {
    fn new(world: &'a Arc<World>, node: usize, head: Head, chance: &'a mut Chance) -> Exchange<'a> {
        let (az, _, ip, _) = ZONES[node % ZONES.len()];
        let now = world.clock.now();
        let given = |name: &str| head.get(name).unwrap_or_default().to_owned();
        let trace = format!("Root=1-{:08x}-{}", now.as_second(), chance.hex(24));
        let row = Row {
            at: now,
            created: now,
            client: given("x-drill-client"),
            target: String::new(),
            times: [-1.0; 3],
            elb: 0,
            status: 0,
            received: head.bytes + head.length(),
            sent: 0,
            method: head.word.clone(),
            url: if head.target.is_empty() { "-".into() } else { head.target.clone() },
            agent: given("user-agent"),
            group: String::new(),
            trace,
            rule: String::new(),
            actions: String::new(),
            error: String::new(),
            class: "Acceptable".into(),
            class_reason: String::new(),
            node: IpAddr::from(ip).to_string(),
        };
        Exchange { world, node, head, chance, row, az, sent_at: None }
    }

    /// Writes the row and the counts of an answer.
    fn done(&mut self, elb: u16, status: u16, sent: usize) {
        let now = self.world.clock.now();
        (self.row.at, self.row.elb, self.row.status, self.row.sent) = (now, elb, status, sent);
        let own = status == 0 && self.row.actions != "fixed-response";
        let name = match (own, elb) {
            (true, 500) => "HTTPCode_ELB_500_Count",
            (true, 502) => "HTTPCode_ELB_502_Count",
            (true, 503) => "HTTPCode_ELB_503_Count",
            (true, 504) => "HTTPCode_ELB_504_Count",
            (true, 400..=499) => "HTTPCode_ELB_4XX_Count",
            (false, 200..=299) => "HTTPCode_Target_2XX_Count",
            (false, 300..=399) => "HTTPCode_Target_3XX_Count",
            (false, 400..=499) => "HTTPCode_Target_4XX_Count",
            (false, 500..=599) if status > 0 => "HTTPCode_Target_5XX_Count",
            _ => "",
        };
        let group = self.row.group.clone();
        let mut m = self.world.meter();
        if !name.is_empty() {
            m.count(now, LB, name, self.az);
            if name.starts_with("HTTPCode_Target") && !group.is_empty() {
                m.count(now, &group, name, "");
            }
        }
        if own && (500..600).contains(&elb) {
            m.count(now, LB, "HTTPCode_ELB_5XX_Count", self.az);
        }
        if self.row.actions.ends_with("fixed-response") {
            m.count(now, LB, "HTTP_Fixed_Response_Count", "");
        }
        m.row(&self.row);
    }

    /// An answer by the load balancer itself.
    fn refuse(&mut self, status: u16) -> Vec<u8> {
        let words = reason(status);
        let body = format!(
            "<html>\r\n<head><title>{status} {words}</title></head>\r\n<body>\r\n<center><h1>{status} {words}</h1></center>\r\n</body>\r\n</html>\r\n"
        );
        let bytes = response(
            status,
            words,
            &[("Server", "awselb/2.0"), ("Content-Type", "text/html")],
            body.as_bytes(),
        );
        self.done(status, 0, bytes.len());
        bytes
    }

    fn aborted(&mut self) {
        if self.row.target.is_empty() {
            return;
        }
        self.row.times[1] = -1.0;
        self.done(460, 0, 0);
    }

    async fn answer(&mut self, body: &[u8]) -> Vec<u8> {
        if self.head.get("x-forwarded-for").is_some_and(|v| v.split(',').count() > 30) {
            self.row.class = String::new();
            return self.refuse(463);
        }
        let plan = {
            let e = self.world.estate();
            let (rule, plan) = route(&e, self.head.path());
            self.row.rule = rule.priority.map_or_else(|| "0".into(), |p| p.to_string());
            plan
        };
        match plan {
            Plan::Fixed(status) => {
                self.row.actions = "fixed-response".into();
                let bytes = response(status, reason(status), &[("Server", "awselb/2.0")], b"");
                self.done(status, 0, bytes.len());
                bytes
            }
            Plan::LoginDown => {
                // The endpoint of the identity provider has five seconds.
                self.world.clock.sleep(5.0).await;
                self.row.actions = "authenticate".into();
                self.row.error = "AuthTokenEpRequestTimeout".into();
                self.world.count(LB, "ELBAuthError", "");
                self.refuse(500)
            }
            Plan::Forward(group) => {
                self.row.actions = "forward".into();
                self.row.group = group.to_string();
                if self.world.estate().function.is_some() {
                    self.invoke(body).await
                } else {
                    self.forward(&group, body).await
                }
            }
        }
    }

    /// Whose turn it is; `None` when no target may get requests.
    fn choose(&self, group: &SafeText) -> Option<(usize, u16, bool)> {
        let e = self.world.estate();
        let g = e.group(group)?;
        let healthy: Vec<_> = g.members.iter().filter(|m| m.state.as_str() == "healthy").collect();
        let open = healthy.is_empty();
        // Fail-open: where none is healthy, all get requests.
        let usable: Vec<_> = if open {
            g.members.iter().filter(|m| matches!(m.state.as_str(), "unhealthy" | "initial")).collect()
        } else {
            healthy
        };
        let n = self.world.alb.turn.fetch_add(1, Ordering::Relaxed);
        let m = usable.get(n % usable.len().max(1))?;
        Some((m.host, m.port, open))
    }

    async fn forward(&mut self, group: &SafeText, body: &[u8]) -> Vec<u8> {
        let Some((n, port, open)) = self.choose(group) else { return self.refuse(503) };
        let Some(host) = self.world.hosts.get(n).cloned() else { return self.refuse(503) };
        let subject = if group.as_str() == API { API } else { WEB };
        self.world.count(LB, "RequestCount", self.az);
        self.world.count(subject, "RequestCount", "");
        if open {
            self.world.count(LB, "UnhealthyRoutingRequestCount", "");
            self.world.count(subject, "UnhealthyRoutingRequestCount", "");
        }
        self.row.target = format!("{}:{port}", host.place.address);
        match self.exchange(&host, n, port, body).await {
            Ok((head, body)) => {
                let took = self.sent_at.map_or(0.0, |t| self.world.clock.since(t));
                self.row.times = [0.0, took, 0.0];
                let now = self.world.clock.now();
                {
                    let mut m = self.world.meter();
                    m.time(now, LB, took);
                    m.time(now, subject, took);
                }
                let kind = head.get("content-type").unwrap_or("text/html");
                let bytes = response(head.status, reason(head.status), &[("Content-Type", kind)], &body);
                self.done(head.status, head.status, bytes.len());
                bytes
            }
            Err(Failed::Refused) => {
                self.connection_error(subject);
                self.refuse(502)
            }
            Err(Failed::ConnectTimeout) => {
                self.connection_error(subject);
                self.refuse(504)
            }
            Err(Failed::Handshake) => {
                self.world.count(LB, "TargetTLSNegotiationErrorCount", "");
                self.world.count(subject, "TargetTLSNegotiationErrorCount", "");
                self.refuse(502)
            }
            Err(Failed::Broke) => {
                self.row.times = [0.0, self.sent_at.map_or(0.0, |t| self.world.clock.since(t)), -1.0];
                self.refuse(502)
            }
            Err(Failed::Silent) => {
                let now = self.world.clock.now();
                if let Some(t) = self.sent_at.filter(|_| self.row.times[1] < 0.0) {
                    let waited = self.world.clock.since(t);
                    self.row.times = [0.0, -1.0, -1.0];
                    self.world.meter().time(now, LB, waited);
                }
                self.refuse(504)
            }
        }
    }

    fn connection_error(&self, subject: &str) {
        self.world.count(LB, "TargetConnectionErrorCount", self.az);
        self.world.count(subject, "TargetConnectionErrorCount", "");
    }

    /// Sends the request to a target and reads its answer.
    async fn exchange(
        &mut self,
        host: &Arc<Host>,
        n: usize,
        port: u16,
        body: &[u8],
    ) -> Result<(Head, Vec<u8>), Failed> {
        let (idle, drill_tls) = (self.world.estate().idle(), self.world.drill.world.protocol == "HTTPS");
        let from_port = u16::try_from(1024 + self.chance.below(64_000)).unwrap_or(40_000);
        let reused = self
            .world
            .alb
            .take(self.node, n)
            .filter(|_| reachable(self.world, self.node, host, from_port, port));
        let mut wire = match reused {
            Some(wire) => wire,
            None => {
                let mut wire = connect(self.world, self.node, host, from_port, port).await?;
                if drill_tls {
                    handshake(self.world, &mut wire).await?;
                }
                wire
            }
        };
        let mut request = format!("{} {} HTTP/1.1\r\n", self.head.word, self.head.target);
        for (name, value) in
            self.head.headers.iter().filter(|(n, _)| !n.starts_with("x-drill") && n != "connection")
        {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("x-amzn-trace-id: {}\r\n\r\n", self.row.trace));
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.sent_at = Some(self.world.clock.now());
        self.row.times = [0.0, -1.0, -1.0];
        let mut released = host.released.subscribe();
        let world = Arc::clone(self.world);
        let talk = async {
            wire.send(&bytes).await.map_err(|_| Failed::Broke)?;
            let head = world.clock.within(idle, wire.head(Kind::Response, RESPONSE_HEAD)).await;
            let head = head.map_err(|_| Failed::Silent)?.map_err(|_| Failed::Broke)?;
            self.row.times[1] = self.sent_at.map_or(0.0, |t| world.clock.since(t));
            let body = world.clock.within(idle, wire.body(head.length(), 1 << 16)).await;
            let body = body.map_err(|_| Failed::Silent)?.map_err(|_| Failed::Broke)?;
            Ok((head, body))
        };
        let (head, body) = tokio::select! {
            biased;
            out = talk => out?,
            // Its deregistration delay is over: what is in flight is cut.
            _ = released.changed() => return Err(Failed::Broke),
        };
        if !head.closes() {
            self.world.alb.keep(self.node, n, wire, self.world.clock.now());
        }
        Ok((head, body))
    }

    /// Invokes the function.
    async fn invoke(&mut self, body: &[u8]) -> Vec<u8> {
        self.world.count(LB, "RequestCount", self.az);
        self.world.count(WEB, "RequestCount", "");
        let began = self.world.clock.now();
        let answer = lambda::invoke(self.world, &self.head, body).await;
        self.row.times = [0.0, self.world.clock.since(began), 0.0];
        match answer {
            Ok((status, body)) => {
                let bytes = response(status, reason(status), &[("Content-Type", "application/json")], &body);
                let now = self.world.clock.now();
                self.world.meter().time(now, LB, self.row.times[1]);
                self.done(status, status, bytes.len());
                bytes
            }
            Err(why) => {
                self.row.error = why.into();
                self.world.count(WEB, "LambdaUserError", "");
                self.refuse(502)
            }
        }
    }
}

/// The rule for a path and what it says; rules stand in order of priority,
/// the default rule last.
fn route<'e>(e: &'e Estate, path: &str) -> (&'e Rule, Plan) {
    let fits = |r: &&Rule| {
        r.conditions.iter().filter(|c| c.field.as_str() == "path-pattern").all(|c| {
            c.values.iter().any(|v| match v.strip_suffix('*') {
                Some(head) => path.starts_with(head),
                None => path == v.as_str(),
            })
        })
    };
    // There always is a default rule; the first stands in for it should it not.
    let rule = e.rules.iter().find(fits).unwrap_or(&e.rules[0]);
    let login = rule.actions.iter().any(|a| a.kind.starts_with("authenticate"));
    if login && !e.login_up {
        return (rule, Plan::LoginDown);
    }
    let fixed = rule.actions.iter().find(|a| a.kind.as_str() == "fixed-response").and_then(|a| a.status);
    let group = rule.actions.iter().flat_map(|a| &a.groups).find(|g| g.weight > 0);
    match (fixed, group) {
        (Some(status), _) => (rule, Plan::Fixed(status)),
        (None, Some(g)) => (rule, Plan::Forward(g.arn.clone())),
        (None, None) => (rule, Plan::Fixed(503)),
    }
}

/// Does the network let this connection through at present?
fn reachable(world: &World, node: usize, host: &Host, from_port: u16, port: u16) -> bool {
    let to = IpAddr::V4(host.place.address);
    let from = IpAddr::from(ZONES[node % ZONES.len()].2);
    let c = host.conduct();
    let silent = c.impaired || c.firewall == Packets::Drop;
    drop(c);
    !silent && passes(&world.estate(), Packet { from, from_port, to, to_port: port })
}

/// True when some machine has this address.
fn held(world: &World, host: &Host) -> bool {
    let a = IpAddr::V4(host.place.address);
    let e = world.estate();
    e.instances.iter().any(|i| i.addresses.contains(&a))
        || e.interfaces.iter().any(|i| i.addresses.contains(&a))
}

/// Opens a connection to a target.
async fn connect(
    world: &World,
    node: usize,
    host: &Arc<Host>,
    from_port: u16,
    port: u16,
) -> Result<Wire, Failed> {
    if !held(world, host) {
        world.clock.sleep(NOBODY_THERE).await;
        return Err(Failed::Refused);
    }
    if !reachable(world, node, host, from_port, port) {
        // The packet is lost, and so is every repetition of it.
        world.clock.sleep(CONNECT).await;
        return Err(Failed::ConnectTimeout);
    }
    let (firewall, listens) = {
        let c = host.conduct();
        (c.firewall, c.port)
    };
    if firewall == Packets::Reject {
        return Err(Failed::Refused);
    }
    // The real port stands for the one the process listens on. Another one is closed.
    let real = if listens == port || world.drill.world.check_port == Some(port) {
        host.real.load(Ordering::Acquire)
    } else {
        world.closed_port
    };
    match world.clock.within(CONNECT, TcpStream::connect(("127.0.0.1", real))).await {
        Ok(Ok(stream)) => Ok(Wire::new(stream)),
        Ok(Err(_)) => Err(Failed::Refused),
        Err(_) => Err(Failed::ConnectTimeout),
    }
}

/// The first flight of a TLS handshake with a target.
async fn handshake(world: &World, wire: &mut Wire) -> Result<(), Failed> {
    // Record, handshake, client hello; what follows matters to nobody here.
    let hello = [0x16, 3, 1, 0, 8, 1, 0, 0, 4, 3, 3, 0, 0];
    wire.send(&hello).await.map_err(|_| Failed::Handshake)?;
    let answer = world.clock.within(CONNECT, wire.raw(9)).await;
    match answer {
        Ok(Ok(bytes)) if bytes.first() == Some(&0x16) => Ok(()),
        _ => Err(Failed::Handshake),
    }
}

/// How a health check ended.
pub enum Checked {
    Passed,
    /// A status the check does not take.
    Code(u16),
    TimedOut,
    Failed,
}

/// One health check, on a connection of its own, as a node does it.
pub async fn check(
    world: &Arc<World>,
    node: usize,
    host: &Arc<Host>,
    port: u16,
    path: &str,
    limit: f64,
    codes: &str,
) -> Checked {
    let mut chance = Chance::new(world.fresh_seed(), "check");
    let from_port = u16::try_from(1024 + chance.below(64_000)).unwrap_or(40_000);
    let probe = async {
        let mut wire = connect(world, node, host, from_port, port).await?;
        if world.drill.world.protocol == "HTTPS" {
            handshake(world, &mut wire).await?;
        }
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}:{port}\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n",
            host.place.address
        );
        wire.send(request.as_bytes()).await.map_err(|_| Failed::Broke)?;
        let head = wire.head(Kind::Response, RESPONSE_HEAD).await.map_err(|_| Failed::Broke)?;
        let _ = wire.body(head.length(), 0).await;
        Ok(head.status)
    };
    match world.clock.within(limit, probe).await {
        Err(_) | Ok(Err(Failed::ConnectTimeout | Failed::Silent)) => Checked::TimedOut,
        Ok(Err(_)) => Checked::Failed,
        Ok(Ok(status)) if accepted(codes, status) => Checked::Passed,
        Ok(Ok(status)) => Checked::Code(status),
    }
}

/// Is the status among `200,300-399`?
fn accepted(codes: &str, status: u16) -> bool {
    codes.split(',').any(|part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
            (Ok(low), Ok(high)) => (low..=high).contains(&status),
            _ => false,
        }
    })
}
