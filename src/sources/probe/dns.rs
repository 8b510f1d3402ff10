//! Names: what this system makes of one, what each of its resolvers answers,
//! and what the servers that have the zone answer. Each server is asked by
//! itself, so that an answer that does not exist, a server that fails and a
//! server that is silent are told apart.

use super::tcp::ms;
use crate::situation::probe::{Delegation, Dns, DnsAnswer, DnsRecord, Fault};
use crate::text::SafeText;
use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Records of one answer that are kept.
const KEPT: usize = 32;
/// Resolvers of the system, and servers of a zone, that are asked.
const SERVERS: usize = 6;
/// Servers of a zone are often out of reach from where this runs.
const AUTHORITY_LIMIT: Duration = Duration::from_secs(2);

/// Whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// Instead of the system's resolvers; the system's own lookup (hosts file
    /// and all) is then left out too.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// Port of the servers that have a zone; 53 when `None`.
    pub authority_port: Option<u16>,
}

/// What was learned of a name, and its addresses.
#[derive(Debug, Default)]
pub struct Looked {
    pub dns: Dns,
    pub addresses: Vec<IpAddr>,
    pub faults: Vec<Fault>,
}

/// Looks a host name up.
pub async fn look(host: &str, servers: &Servers, limit: Duration) -> Looked {
    let started = Instant::now();
    let resolvers = match &servers.resolvers {
        Some(list) => list.clone(),
        None => system_resolvers().await,
    };
    // Names without a dot are completed by the system in ways of its own.
    let plain = host.contains('.') && !host.ends_with(".local") && !host.ends_with(".localhost");
    let name = Name::from_str(&format!("{host}.")).ok().filter(|_| plain);
    let asked = async {
        let Some(name) = &name else { return Vec::new() };
        let all = resolvers.iter().take(SERVERS).map(|s| both(*s, s.ip().to_string(), name, true, limit));
        futures::future::join_all(all).await
    };
    let (system, answers) = tokio::join!(system_lookup(host, servers, limit), asked);
    let mut out = Looked { dns: Dns { took_ms: ms(started), ..Dns::default() }, ..Looked::default() };
    let direct: Vec<IpAddr> = answers.iter().flat_map(|a| a.addresses.iter().copied()).collect();
    match system {
        Some(Ok(list)) => out.addresses = list,
        Some(Err(why)) => {
            out.dns.failure = why.into();
        }
        None => out.addresses = direct.clone(),
    }
    out.addresses = unique(std::mem::take(&mut out.addresses));
    judge_answers(host, &answers, &mut out);
    out.dns.addresses = out.addresses.iter().map(|a| a.to_string().into()).collect();
    if out.addresses.is_empty() && out.dns.failure.is_empty() {
        out.dns.failure = "the name has no address".into();
    }
    out.dns.answers = answers.into_iter().map(|a| a.report).collect();
    out
}

fn unique(list: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = BTreeSet::new();
    list.into_iter().filter(|a| seen.insert(*a)).collect()
}

async fn system_resolvers() -> Vec<SocketAddr> {
    let read = tokio::task::spawn_blocking(read_system_conf).await;
    match read {
        Ok(Ok((config, _))) => config.name_servers().iter().map(|n| SocketAddr::new(n.ip, 53)).collect(),
        _ => Vec::new(),
    }
}

/// What programs on this system get, hosts file and all.
async fn system_lookup(
    host: &str,
    servers: &Servers,
    limit: Duration,
) -> Option<Result<Vec<IpAddr>, String>> {
    if servers.resolvers.is_some() {
        return None;
    }
    let looked = tokio::time::timeout(limit, tokio::net::lookup_host((host, 0))).await;
    Some(match looked {
        Ok(Ok(list)) => Ok(list.map(|a| a.ip()).collect()),
        Ok(Err(e)) => {
            let text = e.to_string();
            Err(text.rsplit(": ").next().unwrap_or(&text).to_owned())
        }
        Err(_) => Err(format!("the system's resolver gave no answer within {} s", limit.as_secs_f64())),
    })
}

/// One server's answer for a name, with the addresses in it.
struct Answered {
    report: DnsAnswer,
    addresses: Vec<IpAddr>,
}

/// Asks one server for both kinds of addresses.
async fn both(server: SocketAddr, shown: String, name: &Name, recurse: bool, limit: Duration) -> Answered {
    let started = Instant::now();
    let (v4, v6) = tokio::join!(
        ask(server, name, RecordType::A, recurse, limit),
        ask(server, name, RecordType::AAAA, recurse, limit)
    );
    let mut report = DnsAnswer { server: shown.into(), took_ms: ms(started), ..DnsAnswer::default() };
    let (mut addresses, mut records) = (Vec::new(), Vec::<DnsRecord>::new());
    report.code = match (&v4, &v6) {
        (Ok(m), _) | (_, Ok(m)) => code(m.metadata.response_code).into(),
        (Err(why), _) => why.as_str().into(),
    };
    for m in [&v4, &v6].into_iter().flatten() {
        report.authoritative |= m.metadata.authoritative;
        for r in &m.answers {
            let (kind, value) = match &r.data {
                RData::A(a) => ("A", IpAddr::from(a.0).to_string()),
                RData::AAAA(a) => ("AAAA", IpAddr::from(a.0).to_string()),
                RData::CNAME(c) => ("CNAME", c.0.to_string()),
                _ => continue,
            };
            match &r.data {
                RData::A(a) => addresses.push(a.0.into()),
                RData::AAAA(a) => addresses.push(a.0.into()),
                _ => {}
            }
            let record = DnsRecord {
                name: SafeText::capped(r.name.to_string(), 255),
                kind: kind.into(),
                value: SafeText::capped(value, 255),
                ttl_s: r.ttl,
            };
            if records.len() < KEPT && !records.contains(&record) {
                records.push(record);
            } else if records.len() >= KEPT {
                report.left += 1;
            }
        }
    }
    report.records = records;
    Answered { report, addresses }
}

fn code(c: ResponseCode) -> String {
    match c {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        other => format!("{other:?}"),
    }
}

/// Asks one server one question. The error is `timed out`, `unreachable`, or what was wrong.
async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recurse: bool,
    limit: Duration,
) -> Result<Message, String> {
    let mut query = Message::query();
    query.metadata.recursion_desired = recurse;
    query.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    query.set_edns(edns);
    let bytes = query.to_vec().map_err(|e| e.to_string())?;
    let id = query.metadata.id;
    let deadline = Instant::now() + limit;
    // A datagram may be lost: half the time for the first, half for the second.
    for half in [limit / 2, limit] {
        let left = half.min(deadline.saturating_duration_since(Instant::now()));
        match tokio::time::timeout(left, over_udp(server, &bytes, id)).await {
            Ok(Ok(m)) if !m.metadata.truncation => return Ok(m),
            Ok(Ok(_)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                return match tokio::time::timeout(left, over_tcp(server, &bytes, id)).await {
                    Ok(done) => done,
                    Err(_) => Err("timed out over TCP, after a truncated answer".into()),
                };
            }
            Ok(Err(e)) => return Err(e),
            Err(_) => {}
        }
    }
    Err("timed out".into())
}

async fn over_udp(server: SocketAddr, bytes: &[u8], id: u16) -> Result<Message, String> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let trouble = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::ConnectionRefused => "refused: no name server listens there".to_owned(),
        _ => format!("unreachable: {e}"),
    };
    let socket = UdpSocket::bind(any).await.map_err(trouble)?;
    socket.connect(server).await.map_err(trouble)?;
    socket.send(bytes).await.map_err(trouble)?;
    let mut buffer = vec![0u8; 4096];
    loop {
        let n = socket.recv(&mut buffer).await.map_err(trouble)?;
        match Message::from_vec(&buffer[..n]) {
            Ok(m) if m.metadata.id == id => return Ok(m),
            // Not an answer to this question.
            Ok(_) => {}
            Err(e) => return Err(format!("unreadable answer: {e}")),
        }
    }
}

async fn over_tcp(server: SocketAddr, bytes: &[u8], id: u16) -> Result<Message, String> {
    let trouble = |e: std::io::Error| format!("truncated over UDP, and over TCP: {e}");
    let mut stream = TcpStream::connect(server).await.map_err(trouble)?;
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await.map_err(trouble)?;
    let n = stream.read_u16().await.map_err(trouble)?;
    let mut buffer = vec![0u8; usize::from(n)];
    stream.read_exact(&mut buffer).await.map_err(trouble)?;
    match Message::from_vec(&buffer) {
        Ok(m) if m.metadata.id == id => Ok(m),
        Ok(_) => Err("unreadable answer: it belongs to another question".into()),
        Err(e) => Err(format!("unreadable answer: {e}")),
    }
}

/// What the resolvers' answers say that the addresses alone do not.
fn judge_answers(host: &str, answers: &[Answered], out: &mut Looked) {
    let of = |code: &str| -> Vec<&str> {
        answers.iter().filter(|a| a.report.code.as_str() == code).map(|a| a.report.server.as_str()).collect()
    };
    let gone = of("NXDOMAIN");
    if !gone.is_empty() {
        let text = format!("{} says that {host} does not exist (NXDOMAIN)", gone.join(", "));
        out.faults.push(Fault::wrong("dns-nxdomain", text));
        if out.addresses.is_empty() {
            out.dns.failure = "the name does not exist (NXDOMAIN)".into();
        }
    }
    let failing = of("SERVFAIL");
    if !failing.is_empty() {
        let text = format!(
            "{} cannot answer for {host} (SERVFAIL): the zone's own servers or its signatures are in trouble",
            failing.join(", ")
        );
        out.faults.push(Fault::wrong("dns-servfail", text));
        if out.addresses.is_empty() {
            out.dns.failure = "the resolver cannot answer (SERVFAIL)".into();
        }
    }
    for a in answers {
        let code = a.report.code.as_str();
        if code == "timed out" || code.starts_with("unreachable") || code.starts_with("refused") {
            let text = format!("the resolver {} gave no answer: {code}", a.report.server);
            out.faults.push(Fault::wrong("dns-resolver-silent", text));
        }
    }
    if out.addresses.is_empty() && !answers.is_empty() && answers.iter().all(|a| a.report.code == "timed out")
    {
        out.dns.failure = "no resolver answered in time".into();
    }
    let set = |a: &Answered| -> BTreeSet<IpAddr> { a.addresses.iter().copied().collect() };
    let mut answered = answers.iter().filter(|a| a.report.code.as_str() == "NOERROR");
    if let Some(first) = answered.next()
        && let Some(other) = answered.find(|a| set(a) != set(first))
    {
        let text = format!(
            "the resolvers {} and {} give different addresses (a CDN does; a stale cache too)",
            first.report.server, other.report.server
        );
        out.faults.push(Fault::notice("dns-resolvers-differ", text));
    }
    let system: BTreeSet<IpAddr> = out.addresses.iter().copied().collect();
    if let Some(a) = answers.iter().find(|a| a.report.code == "NOERROR" && !a.addresses.is_empty())
        && !system.is_empty()
        && set(a).is_disjoint(&system)
    {
        let text = format!(
            "this system uses other addresses for {host} than the resolver {} gives: a hosts file or a local cache",
            a.report.server
        );
        out.faults.push(Fault::notice("dns-local-override", text));
    }
}

/// What the servers that have the zone say.
#[derive(Debug, Default)]
pub struct Authority {
    pub answers: Vec<DnsAnswer>,
    pub delegation: Option<Delegation>,
    pub faults: Vec<Fault>,
}

/// Asks the servers that have the name, and compares who has the zone by the
/// zone above with who has it by itself.
pub async fn authority(host: &str, servers: &Servers, limit: Duration) -> Authority {
    let limit = limit.min(AUTHORITY_LIMIT);
    let work = walk(host, servers, limit);
    tokio::time::timeout(limit * 2, work).await.unwrap_or_default()
}

async fn walk(host: &str, servers: &Servers, limit: Duration) -> Authority {
    let mut out = Authority::default();
    let resolvers = match &servers.resolvers {
        Some(list) => list.clone(),
        None => system_resolvers().await,
    };
    let port = servers.authority_port.unwrap_or(53);
    let Some(resolver) = resolvers.first().copied() else { return out };
    let Ok(name) = Name::from_str(&format!("{host}.")) else { return out };
    if !host.contains('.') {
        return out;
    }
    let Some(zone) = zone_of(resolver, &name, limit).await else { return out };
    let up = zone.base_name();
    let above = zone_of(resolver, &up, limit);
    let (child, above) = tokio::join!(name_servers(resolver, &zone, limit), above);
    let hosts = addresses_of(resolver, &child, port, limit).await;
    let own = async {
        let all = hosts.iter().map(|(n, a)| both(*a, format!("{n} {}", a.ip()), &name, false, limit));
        futures::future::join_all(all).await
    };
    let parent = async {
        match above {
            Some(above) if above != zone => by_parent(resolver, &above, &zone, port, limit).await,
            _ => Vec::new(),
        }
    };
    let (answers, parent) = tokio::join!(own, parent);
    let mut lame = Vec::new();
    for a in &answers {
        let code = a.report.code.as_str();
        let silent = code == "timed out" || code.starts_with("unreachable");
        let has = a.report.authoritative && (code == "NOERROR" || code == "NXDOMAIN");
        if !silent && !has {
            lame.push(a.report.server.clone());
        }
    }
    let texts = |names: &[Name]| -> Vec<SafeText> {
        let mut all: Vec<SafeText> = names.iter().map(|n| lower(n).into()).collect();
        all.sort();
        all
    };
    let (parent, child) = (texts(&parent), texts(&child));
    if !lame.is_empty() {
        let list: Vec<&str> = lame.iter().map(SafeText::as_str).collect();
        let text = format!("lame delegation: {} should have {zone} and does not", list.join(", "));
        out.faults.push(Fault::wrong("dns-lame-delegation", text));
    }
    if !parent.is_empty() && !child.is_empty() && parent != child {
        let text = format!("the zone above {zone} names other servers for it than the zone itself");
        out.faults.push(Fault::notice("dns-delegation-differs", text));
    }
    let sets: Vec<BTreeSet<IpAddr>> = answers
        .iter()
        .filter(|a| a.report.authoritative)
        .map(|a| a.addresses.iter().copied().collect())
        .collect();
    if sets.windows(2).any(|w| w[0] != w[1]) {
        let text = format!("the servers of {zone} give different addresses for {host}");
        out.faults.push(Fault::notice("dns-authorities-differ", text));
    }
    out.delegation = Some(Delegation { zone: SafeText::from(zone.to_string()), parent, child, lame });
    out.answers = answers.into_iter().map(|a| a.report).collect();
    out
}

fn lower(n: &Name) -> String {
    n.to_string().to_ascii_lowercase()
}

/// The zone a name is in, by the SOA that comes with any answer.
async fn zone_of(resolver: SocketAddr, name: &Name, limit: Duration) -> Option<Name> {
    if name.is_root() {
        return Some(Name::root());
    }
    let m = ask(resolver, name, RecordType::SOA, true, limit).await.ok()?;
    m.answers.iter().chain(&m.authorities).find(|r| matches!(r.data, RData::SOA(_))).map(|r| r.name.clone())
}

fn ns(records: &[Record], zone: &Name) -> Vec<Name> {
    let mut all: Vec<Name> = records
        .iter()
        .filter(|r| r.name == *zone)
        .filter_map(|r| match &r.data {
            RData::NS(n) => Some(n.0.clone()),
            _ => None,
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

async fn name_servers(resolver: SocketAddr, zone: &Name, limit: Duration) -> Vec<Name> {
    match ask(resolver, zone, RecordType::NS, true, limit).await {
        Ok(m) => ns(&m.answers, zone),
        Err(_) => Vec::new(),
    }
}

/// The first address of each server.
async fn addresses_of(
    resolver: SocketAddr,
    names: &[Name],
    port: u16,
    limit: Duration,
) -> Vec<(String, SocketAddr)> {
    let all = names.iter().take(SERVERS).map(|n| async move {
        let a = both(resolver, String::new(), n, true, limit).await;
        let ip = a.addresses.iter().find(|a| a.is_ipv4()).or(a.addresses.first()).copied();
        ip.map(|ip| (lower(n), SocketAddr::new(ip, port)))
    });
    futures::future::join_all(all)
        .await
        .into_iter()
        .flatten()
        // A server at a metadata address is no server of a zone.
        .filter(|(_, a)| super::guard::refusal(a.ip()).is_none())
        .collect()
}

/// Who has a zone by the zone above it.
async fn by_parent(resolver: SocketAddr, above: &Name, zone: &Name, port: u16, limit: Duration) -> Vec<Name> {
    let servers = name_servers(resolver, above, limit).await;
    let servers = addresses_of(resolver, &servers[..servers.len().min(2)], port, limit).await;
    for (_, server) in servers {
        if let Ok(m) = ask(server, zone, RecordType::NS, false, limit).await {
            let mut all = ns(&m.answers, zone);
            all.extend(ns(&m.authorities, zone));
            if !all.is_empty() {
                return all;
            }
        }
    }
    Vec::new()
}
