//! The clients: people with browsers and apps, partners with scripts, robots.
//! Each has an address, an agent, a cart that grows, and takes time to think.

use super::chance::Chance;
use super::deed::BadRequest;
use super::estate::{HOST, LB};
use super::http::{Kind, Wire};
use super::stage::World;
use std::sync::Arc;
use tokio::net::TcpStream;

/// How clients behave at present.
#[derive(Clone, Debug)]
pub struct People {
    /// Times the usual number of requests.
    pub factor: f64,
    /// Tries more after a 5xx.
    pub retries: u32,
    /// Paths and seconds after which their callers leave.
    pub patience: Vec<(String, f64)>,
    /// A part of the callers that sends what is refused.
    pub bad: Option<(f64, BadRequest)>,
    /// Bytes of most uploads.
    pub upload: usize,
    /// Connections to the database, and its use of the processor in percent.
    pub database: (f64, f64),
}

impl Default for People {
    fn default() -> Self {
        People {
            factor: 1.0,
            retries: 0,
            patience: Vec::new(),
            bad: None,
            upload: 18_000,
            database: (38.0, 24.0),
        }
    }
}

/// People at a time.
pub const PEOPLE: usize = 48;

const AGENTS: [(f64, &str); 7] = [
    (
        30.0,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (
        22.0,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    ),
    (12.0, "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    (20.0, "ShopApp/7.4.1 (Android 15; okhttp/4.12.0)"),
    (8.0, "python-requests/2.32.3"),
    (4.0, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    (4.0, "curl/8.14.1"),
];

/// Weight, method, path; `#` stands for a number.
const PAGES: [(f64, (&str, &str)); 14] = [
    (18.0, ("GET", "/")),
    (20.0, ("GET", "/products/#")),
    (10.0, ("GET", "/search?q=tea&page=#")),
    (8.0, ("GET", "/cart")),
    (5.0, ("POST", "/cart")),
    (3.0, ("POST", "/checkout")),
    (10.0, ("GET", "/api/session")),
    (7.0, ("GET", "/api/stock/#")),
    (5.0, ("GET", "/api/quote?sku=#")),
    (6.0, ("GET", "/img/#.webp")),
    (3.0, ("GET", "/account")),
    (2.0, ("POST", "/upload/review")),
    (2.0, ("GET", "/report/orders?day=#")),
    (1.0, ("GET", "/robots.txt")),
];

/// Seconds anybody waits at most.
const WAITS: f64 = 150.0;

/// One client: thinks, asks, thinks; leaves and is followed by another.
pub async fn person(world: Arc<World>, n: usize) {
    let mut chance = Chance::new(world.seed, &format!("person-{n}"));
    let ports = world.ports.clone();
    if ports.is_empty() {
        return;
    }
    let mut wire: Option<Wire> = None;
    let mut who = Who::new(&mut chance);
    // Not all at once.
    world.clock.sleep(chance.unit() * pause(&world)).await;
    loop {
        let people = world.people().clone();
        world.clock.sleep(chance.wait(pause(&world) / people.factor.max(0.01))).await;
        if chance.happens(0.04) {
            who = Who::new(&mut chance);
            wire = None;
        }
        let Some((method, path)) = chance.pick(&PAGES).copied() else { continue };
        let path = path.replace('#', &(chance.below(900) + 100).to_string());
        if method == "POST" && path == "/cart" {
            who.cart += 1;
        }
        if certificate_ended(&world) {
            // The handshake ends with an alert by the client.
            world.count(LB, "ClientTLSNegotiationErrorCount", "");
            wire = None;
            continue;
        }
        let mut tries = 0;
        loop {
            let node = ports[chance.below(ports.len())];
            let status = ask(&world, &mut wire, node, &who, method, &path, &people, &mut chance).await;
            tries += 1;
            if status < 500 || tries > people.retries {
                break;
            }
            world.clock.sleep(chance.between(0.2, 1.0)).await;
        }
    }
}

/// No client takes a certificate that has ended.
fn certificate_ended(world: &World) -> bool {
    let now = world.clock.now();
    world.estate().certificate.not_after.is_some_and(|t| t <= now)
}

/// Seconds one person waits between two requests, so that all together make
/// the usual number. The day rises and falls a little.
fn pause(world: &World) -> f64 {
    let minutes = world.clock.since(world.begun) / 60.0;
    let day = 1.0 + 0.12 * (minutes / 9.0).sin() + 0.05 * (minutes / 2.3).sin();
    #[allow(clippy::cast_precision_loss, reason = "some dozen people")]
    let people = PEOPLE as f64;
    people * 60.0 / (world.drill.world.requests * day)
}

/// Who asks.
struct Who {
    address: String,
    agent: &'static str,
    session: String,
    /// Things in the cart: each is in the cookie.
    cart: usize,
}

impl Who {
    fn new(chance: &mut Chance) -> Who {
        let nets = ["198.51.100", "203.0.113", "192.0.2"];
        let agent = chance.pick(&AGENTS).copied().unwrap_or("curl/8.14.1");
        Who {
            address: format!(
                "{}.{}:{}",
                nets[chance.below(3)],
                chance.below(253) + 1,
                chance.below(30_000) + 32_768
            ),
            agent,
            session: chance.hex(32),
            // Regulars have a list that was never emptied.
            cart: if chance.happens(0.12) { 60 + chance.below(60) } else { chance.below(5) },
        }
    }

    fn cookie(&self) -> String {
        let mut out = format!("sid={}", self.session);
        if self.cart > 0 {
            out.push_str("; cart=");
            for i in 0..self.cart {
                out.push_str(&format!(
                    "sku-{:05}.qty-1.added-2026-11-{:02}.price-{:04}|",
                    10_000 + i * 37,
                    i % 28 + 1,
                    i * 13
                ));
            }
        }
        out
    }
}

/// Asks once; the status, or 599 when there was no answer.
#[allow(clippy::too_many_arguments, reason = "one request has many sides")]
async fn ask(
    world: &Arc<World>,
    held: &mut Option<Wire>,
    port: u16,
    who: &Who,
    method: &str,
    path: &str,
    people: &People,
    chance: &mut Chance,
) -> u16 {
    let bad = people.bad.filter(|(share, _)| chance.happens(*share)).map(|b| b.1);
    let size = match (method, path.starts_with("/upload")) {
        ("POST", true) => {
            if chance.happens(0.8) {
                people.upload
            } else {
                6_000
            }
        }
        ("POST", false) => 180,
        _ => 0,
    };
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {}\r\nCookie: {}\r\nX-Drill-Client: {}\r\n",
        who.agent,
        who.cookie(),
        who.address
    );
    if bad == Some(BadRequest::ForwardedFor) {
        let list: Vec<String> = (0..40).map(|i| format!("10.9.{i}.7")).collect();
        request.push_str(&format!("X-Forwarded-For: {}\r\n", list.join(", ")));
    }
    if bad == Some(BadRequest::RequestLine) {
        request = format!("{method} {path} with blanks HTTP/1.1\r\nHost: {HOST}\r\n");
    }
    if size > 0 {
        request.push_str(&format!("Content-Length: {size}\r\n"));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    let limit = people.patience.iter().find(|(p, _)| path.starts_with(p.as_str())).map_or(WAITS, |p| p.1);
    let mut wire = match held.take().filter(|w| !w.is_gone()) {
        Some(wire) => wire,
        None => match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => Wire::new(stream),
            Err(_) => return 599,
        },
    };
    let talk = async {
        wire.send(&bytes).await.ok()?;
        let head = wire.head(Kind::Response, 64 * 1024).await.ok()?;
        wire.body(head.length(), 0).await.ok()?;
        Some(head.status)
    };
    match world.clock.within(limit, talk).await {
        Ok(Some(status)) => {
            *held = Some(wire);
            status
        }
        // Whoever gives up closes the connection.
        Ok(None) | Err(_) => 599,
    }
}
