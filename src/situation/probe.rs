//! What a probe found out: one endpoint as it answers, hop by hop. Measured,
//! not configured. Times are milliseconds unless a name ends in `_s`.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One probe of one URL. It is also the document `badgate probe --json`
/// prints (schema `badgate.probe/1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// As asked, without the fragment.
    pub url: SafeText,
    pub at: Timestamp,
    pub method: SafeText,
    /// Host name or address of the URL.
    pub host: SafeText,
    pub port: u16,
    pub https: bool,
    /// What was sent as `Host`.
    pub host_header: SafeText,
    /// Server name of the TLS handshake; empty without TLS or for an address.
    pub sni: SafeText,
    /// The request was sent although the certificate did not verify.
    pub insecure: bool,
    /// Where the addresses come from: `resolver`, `--resolve`, `--via`, `url`.
    pub addresses_by: SafeText,
    /// `None` when no name was looked up.
    pub dns: Option<Dns>,
    pub connects: Vec<Connect>,
    /// Addresses beyond those that were tried.
    pub addresses_left: usize,
    pub tls: Vec<Tls>,
    /// One for each address asked, and one over HTTP/2 where the server speaks it.
    pub exchanges: Vec<Exchange>,
    /// How long the server kept an idle connection, in seconds; `None` when
    /// not measured or not found out.
    pub keepalive_s: Option<f64>,
    /// How the server ended it.
    pub closed_by: Option<ClosedBy>,
    /// Where several addresses were measured: of the one that keeps them the
    /// shortest time, as are the two values above.
    pub keepalive: Option<KeepAlive>,
    /// Each of the addresses, where several were measured.
    pub kept_each: Vec<Kept>,
    pub repeat: Option<Repeat>,
    /// Everything that is wrong or worth knowing, in the order of the path.
    pub faults: Vec<Fault>,
    /// The whole probe.
    pub took_ms: f64,
}

impl Probe {
    /// What it measured of idle connections; `None` when it did not.
    pub fn kept(&self) -> Option<Kept> {
        let kept = Kept::of(&self.url, self.keepalive.as_ref()?, self.keepalive_s, self.closed_by);
        (kept.seconds.is_some() || kept.at_least_s.is_some() || kept.closes_each).then_some(kept)
    }
}

/// How long one address keeps idle connections, as measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    pub url: SafeText,
    /// Address and port.
    pub address: SafeText,
    pub seconds: Option<f64>,
    pub closed_by: Option<ClosedBy>,
    /// Longer than this, when it was not seen ending.
    pub at_least_s: Option<f64>,
    /// It keeps none at all.
    pub closes_each: bool,
}

impl Kept {
    /// What was measured at one address; `seconds` and `by` when it was seen ending.
    pub fn of(url: &SafeText, k: &KeepAlive, seconds: Option<f64>, by: Option<ClosedBy>) -> Kept {
        Kept {
            url: url.clone(),
            address: k.address.clone(),
            seconds,
            closed_by: by,
            at_least_s: k.at_least_s,
            closes_each: k.closes_each,
        }
    }

    /// `for 5.00 s`, `not at all`.
    pub fn words(&self) -> String {
        match (self.closes_each, self.seconds, self.at_least_s) {
            (true, ..) => "not at all".into(),
            (_, Some(s), _) => format!("for {s:.2} s"),
            (_, None, Some(s)) => format!("for more than {s:.0} s"),
            (_, None, None) => "for a time that is not known".into(),
        }
    }

    /// Seconds by which addresses are compared: none at all is the shortest,
    /// and what nobody saw ending comes last.
    pub fn order(&self) -> f64 {
        if self.closes_each { 0.0 } else { self.seconds.unwrap_or(f64::INFINITY) }
    }
}

/// How a connection was ended by the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// In order: what is on its way can still be read.
    Fin,
    /// At once: a request on its way is lost.
    Rst,
}

impl ClosedBy {
    /// `FIN` or `RST`.
    pub fn word(self) -> &'static str {
        match self {
            ClosedBy::Fin => "FIN",
            ClosedBy::Rst => "RST",
        }
    }
}

/// Something a probe noticed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// Kebab-case: `conflicting-content-length`.
    pub id: SafeText,
    /// One sentence.
    pub text: SafeText,
    /// False for what is only worth knowing.
    pub wrong: bool,
}

impl Fault {
    /// Something that is wrong.
    pub fn wrong(id: &str, text: impl Into<SafeText>) -> Fault {
        Fault { id: id.into(), text: text.into(), wrong: true }
    }

    /// Something worth knowing.
    pub fn notice(id: &str, text: impl Into<SafeText>) -> Fault {
        Fault { id: id.into(), text: text.into(), wrong: false }
    }
}

/// What the name servers say of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// What this system resolves the name to, whatever the source (hosts file, resolver).
    pub addresses: Vec<SafeText>,
    /// Why it resolves to nothing; empty when it does.
    pub failure: SafeText,
    pub took_ms: f64,
    /// What each server answered; the system's resolvers first.
    pub answers: Vec<DnsAnswer>,
    pub delegation: Option<Delegation>,
}

/// What one server answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsAnswer {
    /// Address, or name and address.
    pub server: SafeText,
    /// It has the zone itself.
    pub authoritative: bool,
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, ..., `timed out`, `unreachable`.
    pub code: SafeText,
    /// CNAMEs and addresses, in the server's order.
    pub records: Vec<DnsRecord>,
    /// Records beyond those kept.
    pub left: usize,
    pub took_ms: f64,
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsRecord {
    pub name: SafeText,
    /// `A`, `AAAA`, `CNAME`.
    pub kind: SafeText,
    pub value: SafeText,
    pub ttl_s: u32,
}

/// Who has the zone, as the zone above and the zone itself say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delegation {
    pub zone: SafeText,
    /// Name servers by the zone above; empty when it could not be asked.
    pub parent: Vec<SafeText>,
    /// Name servers by the zone itself.
    pub child: Vec<SafeText>,
    /// Servers that should have the zone and do not answer for it.
    pub lame: Vec<SafeText>,
}

/// One attempt to connect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// `203.0.113.9:443`, `[2001:db8::1]:443`.
    pub address: SafeText,
    pub outcome: Reach,
    /// What the system said, where it said anything.
    pub detail: SafeText,
    pub took_ms: f64,
}

/// How an attempt to connect ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    Open,
    /// RST: something is there, nothing listens.
    Refused,
    /// ICMP, or no route from here.
    Unreachable,
    /// Silence: dropped on the way.
    TimedOut,
    /// Not tried, or this system would not.
    #[default]
    Failed,
}

impl Reach {
    /// A word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Reach::Open => "open",
            Reach::Refused => "refused",
            Reach::Unreachable => "unreachable",
            Reach::TimedOut => "timed out",
            Reach::Failed => "failed",
        }
    }
}

/// One TLS handshake and what it showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tls {
    pub address: SafeText,
    pub sni: SafeText,
    /// `TLS 1.3`; empty when the handshake failed.
    pub version: SafeText,
    pub cipher: SafeText,
    /// Protocol chosen of those offered; empty when none.
    pub alpn: SafeText,
    pub took_ms: f64,
    /// As sent, the server's own first.
    pub chain: Vec<Cert>,
    /// Certificates beyond those kept.
    pub left: usize,
    /// Strict verification against the system's roots; `None` when there was nothing to verify.
    pub verified: Option<bool>,
    /// Why it does not verify, or why the handshake failed.
    pub why: SafeText,
    /// Handshakes with other versions and names: what, and how it went.
    pub variants: Vec<TlsVariant>,
}

/// A handshake that differs from the request's own in one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsVariant {
    /// `TLS 1.2 only`, `no SNI`.
    pub what: SafeText,
    pub ok: bool,
    /// Version and subject, or why it failed.
    pub result: SafeText,
    /// SHA-256 of the server's certificate, first 8 bytes in hexadecimal; empty without one.
    pub fingerprint: SafeText,
}

/// One certificate of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cert {
    pub subject: SafeText,
    pub issuer: SafeText,
    /// Names and addresses it is for.
    pub names: Vec<SafeText>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    /// `itself`, `the next one`, `a certificate that was not sent`, or a
    /// signature that does not fit.
    pub signed_by: SafeText,
}

/// Times of one request, in the order they are spent; `None` for what was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    pub dns_ms: Option<f64>,
    pub connect_ms: Option<f64>,
    pub tls_ms: Option<f64>,
    /// From the request to the first byte of the answer.
    pub first_byte_ms: Option<f64>,
    /// From the first byte to the last.
    pub body_ms: Option<f64>,
}

impl Phases {
    /// All phases together.
    pub fn total_ms(&self) -> f64 {
        [self.dns_ms, self.connect_ms, self.tls_ms, self.first_byte_ms, self.body_ms].iter().flatten().sum()
    }
}

/// One request and its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exchange {
    pub at: Timestamp,
    pub address: SafeText,
    /// `HTTP/1.1` or `HTTP/2`: what was spoken.
    pub protocol: SafeText,
    pub status: Option<u16>,
    /// As sent: `HTTP/1.1 502 Bad Gateway`.
    pub status_line: SafeText,
    /// In the server's order; values of cookies are left out.
    pub headers: Vec<(SafeText, SafeText)>,
    /// Status line and headers as sent.
    pub header_bytes: u64,
    /// Body as far as it was read.
    pub body_bytes: u64,
    /// The body went on and was not read further.
    pub body_cut: bool,
    /// The beginning of the body, for what it says of its author.
    pub body_head: SafeText,
    /// `content-length 120`, `chunked`, `until close`, `no body`.
    pub framing: SafeText,
    /// Interim answers before the final one.
    pub interim: Vec<u16>,
    /// Where a redirect points; it was not followed.
    pub location: SafeText,
    /// The server keeps the connection for another request, by what it said and did.
    pub keeps: bool,
    pub who: Who,
    pub phases: Phases,
    /// Why there is no whole answer; empty when there is.
    pub failure: SafeText,
    pub faults: Vec<Fault>,
}

/// Which hop made the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Who {
    /// `cloudfront`, `alb`, `nginx`, `apache`, ...; empty when nothing tells.
    pub name: SafeText,
    /// What tells it.
    pub why: Vec<SafeText>,
    /// Hops the answer came through, as they say, the nearest to us first.
    pub through: Vec<SafeText>,
}

/// What became of idle connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepAlive {
    pub address: SafeText,
    /// The server ends every connection after its answer: nothing is reused.
    pub closes_each: bool,
    /// Still open after this long; set when it was not seen closing.
    pub at_least_s: Option<f64>,
    /// What the server announces (`Keep-Alive: timeout=5`).
    pub announced_s: Option<f64>,
    /// What came before the end without having been asked for: `HTTP/1.1 408 ...`.
    pub unasked: SafeText,
    /// Other connections, used again after being idle this long.
    pub reuses: Vec<Reuse>,
    /// Why there is no value; empty when there is one.
    pub failure: SafeText,
}

/// A connection used again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reuse {
    pub idle_s: f64,
    pub ok: bool,
    pub result: SafeText,
}

/// Many requests, for what happens only sometimes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repeat {
    pub asked: u32,
    pub interval_s: f64,
    /// Requests really sent.
    pub sent: u32,
    /// Ended before `asked` were sent, and why.
    pub stopped: SafeText,
    /// Answers with status 502.
    pub bad_gateway: Share,
    /// 5xx, and requests without a whole answer.
    pub failed: Share,
    /// How often each outcome came: `200`, `502`, `connection reset`.
    pub outcomes: Vec<(SafeText, u32)>,
    pub by_address: Vec<Split>,
    /// On a new connection, on one used before.
    pub by_connection: Vec<Split>,
    /// By how long a reused connection had been idle.
    pub by_idle: Vec<Split>,
    /// Upper bound in milliseconds (`None`: above the last) and count.
    pub latency: Vec<(Option<f64>, u32)>,
    pub requests: Vec<Request>,
}

/// A proportion with the bounds it lies in at 95 % (Wilson's interval).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    pub count: u32,
    pub of: u32,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// Failures among the requests that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Split {
    pub of: SafeText,
    pub failed: Share,
}

/// One request of many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    pub at: Timestamp,
    pub address: SafeText,
    /// Seconds the connection had been idle; `None` on a new one.
    pub idle_s: Option<f64>,
    pub status: Option<u16>,
    pub failure: SafeText,
    pub took_ms: f64,
}
