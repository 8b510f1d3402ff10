//! Causes that keep CloudFront from connecting to an origin: its port, its
//! certificate, its name, its protocols, its firewall.

use super::ballot::{Ballot, Seen, graded};
use super::edge::{COMM, CONFIG, METRICS, begin, is, origin, relayed, rows, vote};
use crate::diagnosis::case::{bound, certificate_fault};
use crate::diagnosis::fore::{Fore, Front};
use crate::diagnosis::path::{LegKind, Verdict};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::front::{FrontRow, Origin};
use crate::situation::net::{Peer, Protocol};
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;

/// What of the configuration keeps a connection from coming about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Port,
    Expired,
    Name,
    Protocol,
}

/// What was found wrong at the origin, and what could not be told.
struct Origins {
    found: Vec<(Fault, Seen)>,
    open: Vec<(Fault, Reason)>,
}

/// The faults of the origin's own side, as far as its load balancer is known;
/// `Err` while it is not.
fn faults(f: &Front<'_>, o: &Origin) -> Result<Origins, Reason> {
    let lb =
        f.s.lb()
            .ok_or_else(|| Reason::NotFound { what: "the origin among the load balancers here".into() })?;
    let listeners = match lb.listeners.get() {
        Some(k) => k,
        None => return Err(lb.listeners.why_unknown().unwrap_or(Reason::NotAsked)),
    };
    let at = listeners.as_of;
    let mut out = Vec::new();
    let mut open = Vec::new();
    let secure = |p: &str| matches!(p, "HTTPS" | "TLS");
    let mut any_tls = false;
    for (port, tls) in o.ports() {
        let found = listeners.value.iter().find(|l| l.port == port);
        let value = match found {
            None => {
                let there: Vec<String> =
                    listeners.value.iter().map(|l| format!("{}:{}", l.protocol, l.port)).collect();
                Some(format!(
                    "edges connect to port {port}; the load balancer listens on {}",
                    there.join(", ")
                ))
            }
            // TCP passes on whatever comes.
            Some(l) if l.protocol.as_str() == "TCP" => None,
            Some(l) if secure(&l.protocol) != tls => {
                let want = if tls { "TLS" } else { "plain HTTP" };
                Some(format!("edges speak {want} on port {port}, where the listener speaks {}", l.protocol))
            }
            Some(l) => {
                any_tls |= tls && secure(&l.protocol);
                None
            }
        };
        if let Some(value) = value {
            out.push((
                Fault::Port,
                Seen::new("origin settings and listeners", value, "elbv2:DescribeListeners", at),
            ));
        }
    }
    if !any_tls {
        return Ok(Origins { found: out, open });
    }
    let used = |l: &&crate::situation::elb::Listener| {
        secure(&l.protocol) && o.ports().iter().any(|(p, tls)| *tls && *p == l.port)
    };
    let certificates = bound(f.s);
    let unread = listeners.value.iter().filter(used).find_map(|l| {
        let one = |a: &SafeText| {
            let d = f.s.certificates.get(a);
            d.map_or(Some(Reason::NotAsked), Datum::why_unknown)
        };
        let more = lb.certificates.get(&l.arn);
        let own = l.certificates.iter().filter(|a| a.contains(":acm:")).find_map(one);
        own.or_else(|| more.map_or(Some(Reason::NotAsked), Datum::why_unknown))
    });
    if let (true, Some(why)) = (certificates.is_empty(), &unread) {
        open.extend([(Fault::Name, why.clone()), (Fault::Expired, why.clone())]);
    }
    if !certificates.is_empty() {
        let names: Vec<&str> = std::iter::once(o.domain.as_str())
            .chain(
                f.distribution()
                    .filter(|d| d.forwards_host(o) != Some(false))
                    .into_iter()
                    .flat_map(|d| d.aliases.iter().map(SafeText::as_str)),
            )
            .collect();
        let covering: Vec<_> = certificates.iter().filter(|c| names.iter().any(|n| c.covers(n))).collect();
        let bad = |c: &&&crate::situation::around::Certificate| certificate_fault(c, f.now).is_some();
        // The one that is served: a covering one, else the default one.
        let served =
            covering.iter().copied().find(|c| !bad(c)).or(covering.first().copied()).or(certificates.first());
        if let Some(c) = served
            && let Some(fault) = certificate_fault(c, f.now)
        {
            let what = format!("certificate {}", c.arn);
            out.push((Fault::Expired, Seen::new(what, fault, "acm:DescribeCertificate", f.now)));
        }
        if let (true, Some(why)) = (covering.is_empty(), &unread) {
            open.extend([(Fault::Name, why.clone()), (Fault::Expired, why.clone())]);
        }
        if covering.is_empty() && unread.is_none() {
            let there: Vec<&str> = certificates
                .iter()
                .flat_map(|c| c.names.iter().chain([&c.domain]))
                .map(SafeText::as_str)
                .take(4)
                .collect();
            let value = format!(
                "the certificates cover {}, the edge asks for {}",
                there.join(", "),
                names.join(" or ")
            );
            out.push((
                Fault::Name,
                Seen::new("names of certificates", value, "acm:DescribeCertificate", f.now),
            ));
        }
    }
    for l in listeners.value.iter().filter(used) {
        if let Some(value) = no_common_version(&o.protocols, &l.ssl_policy) {
            out.push((Fault::Protocol, Seen::new("TLS versions", value, CONFIG, at)));
        } else if offered(&l.ssl_policy).is_none() {
            let how = format!("which TLS versions the policy '{}' offers: probe the listener", l.ssl_policy);
            open.push((Fault::Protocol, Reason::NeedsMeasuring { how: how.into() }));
        }
    }
    Ok(Origins { found: out, open })
}

/// Versions a security policy offers, where its name tells.
/// Source: "Security policies for your Application Load Balancer".
fn offered(policy: &str) -> Option<&'static [&'static str]> {
    Some(match policy {
        p if p.contains("TLS13-1-3") => &["TLSv1.3"],
        p if p.contains("TLS13-1-2") => &["TLSv1.2", "TLSv1.3"],
        p if p.contains("TLS13-1-1") => &["TLSv1.1", "TLSv1.2", "TLSv1.3"],
        p if p.contains("TLS13-1-0") => &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
        p if p.contains("TLS-1-2") || p.contains("FS-1-2") => &["TLSv1.2"],
        p if p.contains("TLS-1-1") || p.contains("FS-1-1") => &["TLSv1.1", "TLSv1.2"],
        p if p.contains("2016-08")
            || p.contains("2015-05")
            || p.contains("FS-2018")
            || p.contains("TLS-1-0") =>
        {
            &["TLSv1", "TLSv1.1", "TLSv1.2"]
        }
        _ => return None,
    })
}

fn no_common_version(ours: &[SafeText], policy: &str) -> Option<String> {
    let theirs = offered(policy)?;
    if ours.is_empty() || ours.iter().any(|v| theirs.contains(&v.as_str())) {
        return None;
    }
    let ours: Vec<&str> = ours.iter().map(SafeText::as_str).collect();
    Some(format!("edges offer {}, the listener takes {} ({policy})", ours.join(", "), theirs.join(", ")))
}

/// Rows of connections that failed at once.
fn connect(r: &FrontRow) -> bool {
    r.status == 502 && is(r, &["OriginConnectError"])
}

fn of_connecting(f: &Front<'_>, b: &mut Ballot, which: Fault) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    // Where nobody listens, a firewall may as well swallow what comes.
    let fits = |r: &FrontRow| {
        connect(r) || which == Fault::Port && r.status == 504 && is(r, &["OriginConnectError"])
    };
    let connecting = e.failing && vote(e, b, Weak, "say OriginConnectError", fits);
    match faults(f, o) {
        Ok(Origins { found, open }) => {
            let mut any = false;
            for (_, seen) in found.into_iter().filter(|x| x.0 == which) {
                any = true;
                let weight = match (connecting, rows(e)) {
                    (true, _) => Decisive,
                    // Every handshake with it fails, log or not.
                    (false, None)
                        if which == Fault::Expired
                            && e.failing
                            && part_with(e, 502).is_none_or(|p| p >= 0.5) =>
                    {
                        Decisive
                    }
                    (false, None) if e.failing && part_with(e, 502).is_some_and(|p| p < 0.3) => Weak,
                    (false, None) if relayed(f, e) => Weak,
                    (false, None) => Strong,
                    (false, Some(_)) => Weak,
                };
                b.pro(weight, seen);
            }
            if !any {
                let value = match which {
                    Fault::Port => "ports and protocols agree",
                    Fault::Expired => "what is served is issued and in its time",
                    Fault::Name => "a certificate covers the name",
                    Fault::Protocol => "a version in common",
                };
                if let Some((_, why)) = open.into_iter().find(|x| x.0 == which) {
                    b.lack("certificates and policy of the origin's listener", why);
                } else {
                    b.con(Decisive, Seen::new("origin settings and listeners", value, CONFIG, f.now));
                }
            }
        }
        Err(why) if e.failing => b.lack("listener and certificates of the origin", why),
        Err(_) => {}
    }
    // What the load balancer counts of handshakes that failed.
    if matches!(which, Fault::Protocol)
        && let Some(c) = f.case.filter(|c| c.many("ClientTLSNegotiationErrorCount"))
        && b.has_pro()
    {
        b.pro(Strong, Seen::metric(c, "ClientTLSNegotiationErrorCount"));
    }
}

pub(super) fn port(f: &Front<'_>, b: &mut Ballot) {
    of_connecting(f, b, Fault::Port);
}

pub(super) fn certificate(f: &Front<'_>, b: &mut Ballot) {
    of_connecting(f, b, Fault::Expired);
}

pub(super) fn name(f: &Front<'_>, b: &mut Ballot) {
    of_connecting(f, b, Fault::Name);
}

pub(super) fn protocol(f: &Front<'_>, b: &mut Ballot) {
    of_connecting(f, b, Fault::Protocol);
}

pub(super) fn refused(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    let bulk = vote(e, b, Weak, "say OriginConnectError and came at once", |r| {
        connect(r) && r.took_s.is_none_or(|t| t < 3.0)
    });
    if !bulk {
        return;
    }
    let gone = e.changed(&["DeleteListener"], &[]);
    if let Some(c) = gone.first() {
        b.pro(Decisive, Seen::change(c));
        return;
    }
    match faults(f, o) {
        Ok(Origins { found, open }) => match (found.into_iter().next(), open.into_iter().next()) {
            (Some((_, seen)), _) => b.con(Strong, seen),
            (None, Some((_, why))) => b.lack("certificates and policy of the origin's listener", why),
            (None, None) => {
                let value = "nothing else keeps a connection from coming about";
                b.pro(Strong, Seen::new("origin settings and listeners", value, CONFIG, f.now));
            }
        },
        // Without TLS there is nothing but the connection that can fail.
        Err(_) if o.policy.as_str() == "http-only" => {
            b.pro(Strong, Seen::new("origin settings", "plain HTTP only", CONFIG, f.now));
        }
        Err(why) => b.lack("listener and certificates of the origin", why),
    }
}

/// The part of the failures that have a status, as metrics tell; `None` where
/// the distribution has no metrics by status.
fn part_with(e: &Fore<'_>, status: u16) -> Option<f64> {
    let all = e.errors.filter(|n| *n > 0.0)?;
    let told = [502, 503, 504].map(|c| e.rated(&format!("{c}ErrorRate")));
    told.iter().any(Option::is_some).then_some(())?;
    Some(e.rated(&format!("{status}ErrorRate")).unwrap_or(0.0) / all)
}

/// The way from the edges to the load balancer, when it is shut.
pub(super) fn shut(f: &Front<'_>, o: &Origin) -> Option<Seen> {
    let s = f.s;
    let lb = s.load_balancer()?;
    if lb.scheme.as_str() == "internal" && o.kind.as_str() != "vpc" {
        let value = format!("{} is internal, and the origin is no VPC origin", lb.name);
        return Some(Seen::new("scheme", value, "elbv2:DescribeLoadBalancers", f.now));
    }
    let listeners = s.lb().and_then(|l| l.listeners.value());
    for (port, _) in o.ports() {
        // Where nothing listens, that is what is wrong.
        if listeners.is_some_and(|all| !all.iter().any(|l| l.port == port)) {
            continue;
        }
        if let Some(false) = admits(s, &lb.security_groups, port) {
            let groups: Vec<&str> = lb.security_groups.iter().map(SafeText::as_str).collect();
            let value = format!(
                "{} admit neither everybody nor CloudFront's prefix list on port {port}",
                groups.join(", ")
            );
            return Some(Seen::new(
                "security groups of the load balancer",
                value,
                "ec2:DescribeSecurityGroups",
                f.now,
            ));
        }
        let legs = f.case.map(|c| c.inputs.legs).unwrap_or_default();
        let mine = || legs.iter().filter(|l| l.kind == LegKind::Listener && l.port == Some(port));
        if mine().next().is_some()
            && mine().all(|l| l.verdict == Verdict::Blocked)
            && let Some(l) = mine().next()
        {
            return Some(Seen::new("way of clients to the listener", l.why(), "path evaluation", f.now));
        }
    }
    None
}

/// Do the groups let the edges in on a port? `None` when they were not read.
fn admits(s: &Situation, groups: &[SafeText], port: u16) -> Option<bool> {
    if groups.is_empty() {
        return None;
    }
    let all = s.vpcs.values().filter_map(|v| v.security_groups.value()).flatten();
    let ours: Vec<_> = all.filter(|g| groups.contains(&g.id)).collect();
    if ours.is_empty() {
        return None;
    }
    let p = i32::from(port);
    Some(ours.iter().flat_map(|g| &g.ingress).any(|r| {
        let wide = match &r.peer {
            Peer::Cidr(net) => net.prefix_len() == 0,
            // Which list it is, its name tells where it was read; another one may hold the edges as well.
            Peer::PrefixList(_) => true,
            Peer::Group { .. } | Peer::Unreadable(_) => false,
        };
        wide && matches!(r.protocol, Protocol::All | Protocol::Tcp)
            && r.from_port.is_none_or(|a| a <= p)
            && r.to_port.is_none_or(|b| b >= p)
    }))
}

/// Is a time about a whole number of times this limit?
pub(super) fn about(took: f64, limit: f64, times: u32) -> bool {
    (1..=times.max(1)).any(|k| (took - limit * f64::from(k)).abs() <= (limit * 0.08 * f64::from(k)).max(1.0))
}

pub(super) fn unreachable(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    let (limit, times) = (f64::from(o.connect_s.unwrap_or(10)), o.attempts.unwrap_or(3));
    let silent = |r: &FrontRow| {
        r.status == 504
            && (is(r, &["OriginConnectError"])
                || is(r, COMM) && r.took_s.is_some_and(|t| about(f64::from(t), limit, times)))
    };
    let shut = shut(f, o);
    let bulk =
        vote(e, b, if shut.is_some() { Decisive } else { Strong }, "ended without a connection", silent);
    if let Some(seen) = shut {
        let alone = rows(e).is_none() && part_with(e, 504).is_none_or(|p| p >= 0.5);
        b.pro(graded(bulk, e.failing && alone), seen);
    } else if bulk && rows(e).is_some_and(|r| r.part(|r| is(r, COMM)) >= 0.5) {
        // The same time may be that of an answer that never came.
        let read = f64::from(o.read_s.unwrap_or(30));
        if rows(e).and_then(|r| r.took(0.5, silent)).is_some_and(|t| about(t, read, times)) {
            b.con(
                Strong,
                Seen::new("way to the origin", "open, as far as it was evaluated", "path evaluation", f.now),
            );
        }
    }
    if bulk && let Some(c) = f.case {
        let all = c.requests();
        if all.is_some_and(|n| n < 1.0) {
            b.pro(
                Strong,
                Seen::new("RequestCount", "no request reached the load balancer", METRICS, c.metrics_at()),
            );
        }
    }
}
