//! Causes at CloudFront and between its edges and the origin. Source of the
//! result types: "Standard log file fields", and of the causes: "HTTP 502, 503
//! and 504 status code", Amazon CloudFront developer guide.

use super::ballot::{Ballot, Seen, graded};
use crate::diagnosis::case::{bound, certificate_fault};
use crate::diagnosis::fore::{Fore, Front, FrontRows};
use crate::diagnosis::path::{LegKind, Verdict};
use crate::diagnosis::series;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::front::{FrontRow, Origin};
use crate::situation::net::{Peer, Protocol};
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;
use jiff::SignedDuration;

const CONFIG: &str = "cloudfront:GetDistributionConfig";
const METRICS: &str = "cloudwatch:GetMetricData";
const SPACE: &str = "AWS/CloudFront";

const BAD: &[&str] = &[
    "OriginHeaderTooBigError",
    "OriginInvalidResponseError",
    "OriginError",
    "OriginContentRangeLengthError",
    "OriginZeroSizeObjectError",
];
const COMM: &[&str] = &["OriginCommError", "OriginReadError", "OriginWriteError"];

/// The front and its rows, with what all causes lack alike. `None` where no
/// distribution is in view.
fn begin<'f, 'a>(f: &'f Front<'a>, b: &mut Ballot) -> Option<&'f Fore<'a>> {
    let e = f.edge.as_ref()?;
    b.lack_of_front(e, "metrics of the distribution", "rows of the distribution's log");
    Some(e)
}

fn rows<'f, 'a>(e: &'f Fore<'a>) -> Option<&'f FrontRows<'a>> {
    e.rows.as_ref().ok().filter(|r| r.some())
}

fn is(r: &FrontRow, list: &[&str]) -> bool {
    list.contains(&r.detail.as_str())
}

fn told(r: &FrontRows<'_>, holds: impl Fn(&FrontRow) -> bool + Copy, says: &str) -> Seen {
    Seen::front_rows("log of the distribution", r, holds, says)
}

/// Votes by the part of the failing rows that are of a kind: the bulk speaks
/// for, next to none against. True when the bulk is.
fn vote(
    e: &Fore<'_>,
    b: &mut Ballot,
    weight: crate::diagnosis::verdict::Weight,
    says: &str,
    holds: impl Fn(&FrontRow) -> bool + Copy,
) -> bool {
    let Some(r) = rows(e).filter(|_| e.failing) else { return false };
    let part = r.part(holds);
    if part >= 0.5 {
        b.pro(weight, told(r, holds, says));
        return true;
    }
    if part >= 0.1 {
        b.pro(Weak, told(r, holds, says));
    } else if part < 0.02 {
        let value = format!("none of {} failing rows {says}, but {}", r.failing.len(), r.sample(|_| true));
        b.con(Decisive, Seen::new("log of the distribution", value, r.source.clone(), r.at));
    }
    false
}

/// The origin requests go to by default.
fn origin<'a>(f: &Front<'a>, b: &mut Ballot) -> Option<&'a Origin> {
    let id = &f.edge.as_ref()?.id;
    let datum = f.s.fronts.distributions.get(id);
    match f.distribution() {
        Some(d) => d.used().into_iter().find(|o| o.kind.as_str() != "s3"),
        None => {
            b.lack(
                "configuration of the distribution",
                datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked),
            );
            None
        }
    }
}

pub(super) fn dns(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let bulk = vote(e, b, Decisive, "say OriginDnsError", |r| is(r, &["OriginDnsError"]));
    let Some(o) = origin(f, b) else { return };
    let known = f.s.fronts.records.get(&o.domain).and_then(Datum::get);
    if let Some(k) = known
        && !k.value.zone.is_empty()
        && k.value.records.is_empty()
    {
        let value = format!("zone {} holds no record of {}", k.value.zone, o.domain);
        let seen = Seen::new("DNS records", value, "route53:ListResourceRecordSets", k.as_of);
        b.pro(graded(bulk, e.failing), seen);
    }
    for c in e.changed(&["DeleteHostedZone", "ChangeResourceRecordSets"], &[]) {
        if bulk {
            b.pro(Weak, Seen::change(c));
        }
    }
}

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
fn shut(f: &Front<'_>, o: &Origin) -> Option<Seen> {
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
fn about(took: f64, limit: f64, times: u32) -> bool {
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

pub(super) fn slow(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    let (limit, times) = (f64::from(o.read_s.unwrap_or(30)), o.attempts.unwrap_or(3));
    let late = |r: &FrontRow| {
        r.status == 504 && is(r, COMM) && r.took_s.is_none_or(|t| about(f64::from(t), limit, times))
    };
    let says = format!("ended at a multiple of the {limit:.0} s that the edge waits");
    let bulk = vote(e, b, Strong, &says, late);
    if let Some(c) = f.case {
        if let Some(t) = c.highest("TargetResponseTime").filter(|t| *t >= limit * 0.95) {
            let value = format!("up to {t:.1} s, the edge waits {limit:.0} s");
            let seen = Seen::new("TargetResponseTime", value, METRICS, c.metrics_at());
            b.pro(graded(bulk, e.failing), seen);
        }
        if let Ok(r) = &c.rows
            && let n = r.n(crate::diagnosis::rows::Shape::Aborted)
            && n >= 3.0
            && bulk
        {
            b.pro(
                Decisive,
                Seen::rows(r, crate::diagnosis::rows::Shape::Aborted, "whose client, the edge, left"),
            );
        }
    }
    if bulk && shut(f, o).is_some() {
        b.con(
            Strong,
            Seen::new("way to the origin", "shut: no request gets there", "path evaluation", f.now),
        );
    }
}

/// How long the origin keeps an idle connection, and who says so.
fn origin_idle(f: &Front<'_>) -> Result<(f64, &'static str), Reason> {
    let lb = f.s.lb().ok_or(Reason::NeedsMeasuring {
        how: "how long the origin keeps an idle connection: measure it with an idle probe".into(),
    })?;
    let idle = Situation::attribute_seconds(&lb.attributes, "idle_timeout.timeout_seconds");
    idle.map(|s| (s, "elbv2:DescribeLoadBalancerAttributes"))
        .ok_or_else(|| lb.attributes.why_unknown().unwrap_or(Reason::NotAsked))
}

pub(super) fn keep_alive(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    let quick = |r: &FrontRow| r.status == 502 && is(r, COMM) && r.took_s.is_none_or(|t| t < 2.0);
    let mut bulk = false;
    if let Some(r) = rows(e).filter(|_| e.failing) {
        let share = r.bad / r.all.max(1.0);
        let writes = r.part(|r| quick(r) && !matches!(r.method.as_str(), "GET" | "HEAD"));
        if r.part(quick) >= 0.5 && share <= 0.25 {
            bulk = true;
            let says = format!(
                "broke off at once, {:.1} % of all requests, {:.0} % of them writes",
                share * 100.0,
                writes * 100.0
            );
            b.pro(if writes >= 0.6 { Strong } else { Weak }, told(r, quick, &says));
        } else if r.part(quick) < 0.1 {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    }
    let ours = o.keepalive_s.map(f64::from);
    match (ours, origin_idle(f)) {
        (Some(ours), Ok((theirs, source))) => {
            let value = format!("the edge keeps {ours:.0} s, the origin {theirs:.0} s");
            let seen = Seen::new("idle timers", value, source, f.now);
            if ours >= theirs {
                b.pro(if bulk { Decisive } else { Strong }, seen);
                if !bulk {
                    b.dormant();
                }
            } else {
                b.con(Strong, seen);
            }
        }
        (Some(ours), Err(why)) if bulk => {
            if ours > 5.0 {
                b.pro(
                    Strong,
                    Seen::new(
                        "idle timers",
                        format!("the edge keeps {ours:.0} s instead of the usual 5"),
                        CONFIG,
                        f.now,
                    ),
                );
            }
            b.lack("how long the origin keeps an idle connection", why);
        }
        _ => {}
    }
}

pub(super) fn bad_response(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let holds = |r: &FrontRow| is(r, BAD);
    // OriginError is also what an answer passed on is called.
    let named = |r: &FrontRow| r.detail.as_str() == "OriginError";
    let mut passed = false;
    if rows(e).is_some_and(|r| r.part(named) >= 0.5) {
        let unseen = inner_unknown(f);
        passed = unseen.is_some() || inner_fails(f, e);
        b.lack_if("failures of what stands behind", unseen);
    }
    vote(e, b, if passed { Weak } else { Decisive }, "say that the answer cannot be used", holds);
}

pub(super) fn function(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let told = vote(e, b, Decisive, "come from a function at the edge", |r| {
        [&r.detail, &r.result].iter().any(|w| {
            (w.starts_with("Function") || w.starts_with("Lambda"))
                && (w.contains("Error") || w.contains("Throttled") || w.contains("Limit"))
        })
    });
    let d = f.distribution();
    let arns: Vec<&SafeText> =
        d.into_iter().flat_map(|d| &d.behaviors).flat_map(|b| &b.functions).map(|f| &f.1).collect();
    let mut counted = false;
    for name in ["LambdaExecutionError", "LambdaValidationError", "LambdaLimitExceededErrors"] {
        if let Some(n) = e.sum(SPACE, name, &e.id).filter(|n| *n >= 3.0) {
            counted = true;
            let seen = Seen::new(name, format!("{n:.0}"), METRICS, e.metrics_at());
            b.pro(if e.failing { Decisive } else { Strong }, seen);
        }
    }
    for arn in &arns {
        let Some(name) = arn.split(":function/").nth(1) else { continue };
        for metric in ["FunctionValidationErrors", "FunctionExecutionErrors", "FunctionThrottles"] {
            if let Some(n) = e.sum(SPACE, metric, &name.into()).filter(|n| *n >= 3.0) {
                counted = true;
                let what = format!("{metric} of {name}");
                let seen = Seen::new(what, format!("{n:.0}"), METRICS, e.metrics_at());
                b.pro(if e.failing { Decisive } else { Strong }, seen);
            }
        }
    }
    if arns.is_empty() && !told && !counted {
        match d {
            Some(_) => b.con(Decisive, Seen::new("behaviours", "no function is associated", CONFIG, f.now)),
            None => {
                origin(f, b);
            }
        }
    } else if e.failing {
        let about: Vec<&str> = arns.iter().map(|a| a.as_str()).collect();
        for c in e.changed(&["PublishFunction", "UpdateFunction", "UpdateDistribution"], &about) {
            b.pro(if told || counted { Strong } else { Weak }, Seen::change(c));
        }
    }
}

/// Why it is not known whether what stands behind fails, when it is not.
fn inner_unknown(f: &Front<'_>) -> Option<Reason> {
    match (&f.api, &f.classic, f.case) {
        (Some(a), _, _) => a.no_metrics.clone(),
        (_, Some(c), _) => c.no_metrics.clone(),
        (_, _, Some(c)) => c.no_metrics.clone(),
        _ => None,
    }
}

/// Does what stands behind fail about as much, in the last minutes?
fn inner_fails(f: &Front<'_>, e: &Fore<'_>) -> bool {
    let recent = f.now.checked_sub(SignedDuration::from_mins(10)).unwrap_or(f.now);
    if let Some(a) = &f.api {
        return a.failing && a.errors.unwrap_or(0.0) * 2.0 >= e.errors.unwrap_or(0.0);
    }
    if let Some(c) = &f.classic {
        return c.failing && c.errors.unwrap_or(0.0) * 2.0 >= e.errors.unwrap_or(0.0);
    }
    let Some(lb) = f.s.lb_arn() else { return false };
    series::failures_since(f.s, lb, recent).is_some_and(|n| n >= 3.0)
}

/// The failures are those of what stands behind, passed on.
fn relayed(f: &Front<'_>, e: &Fore<'_>) -> bool {
    let own = rows(e).is_some_and(|r| {
        r.part(|r| {
            r.detail.starts_with("Origin") && !matches!(r.detail.as_str(), "OriginError" | "OriginShieldHit")
        }) >= 0.5
    });
    !own && inner_fails(f, e)
}

pub(super) fn cached(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let instant = |r: &FrontRow| {
        matches!(r.detail.as_str(), "Error" | "Hit" | "RefreshHit")
            && r.status >= 500
            && r.took_s.is_some_and(|t| t < 0.02)
    };
    let kept = f
        .distribution()
        .map(|d| d.errors.iter().filter(|x| x.0 >= 500).filter_map(|x| x.1).max().unwrap_or(10));
    let Some(r) = rows(e).filter(|_| e.failing) else {
        if let Some(s) = kept.filter(|s| *s >= 300) {
            let value = format!("errors are kept for {s} s");
            b.pro(Weak, Seen::new("error caching", value, CONFIG, f.now));
        }
        return;
    };
    if r.part(instant) < 0.5 {
        if r.part(instant) < 0.05 {
            b.con(Decisive, told(r, |_| true, "went to the origin"));
        }
        return;
    }
    let says = "were answered at once, from the cache";
    if let Some(why) = inner_unknown(f) {
        b.pro(Weak, told(r, instant, says));
        b.lack("failures of what stands behind", why);
        return;
    }
    if inner_fails(f, e) {
        b.pro(Weak, told(r, instant, says));
        b.con(Strong, Seen::new("load balancer behind", "it fails as well now", METRICS, f.now));
        return;
    }
    b.pro(if kept.is_some_and(|s| s >= 30) { Decisive } else { Strong }, told(r, instant, says));
    if let Some(s) = kept.filter(|s| *s >= 30) {
        let value = format!("errors are kept for {s} s instead of the usual 10");
        b.pro(Strong, Seen::new("error caching", value, CONFIG, f.now));
    }
}

/// The certificate for viewers.
pub(super) fn viewers(f: &Front<'_>, b: &mut Ballot) {
    let Some(d) = f.distribution().filter(|d| d.certificate.contains(":acm:")) else { return };
    let datum = f.s.certificates.get(&d.certificate);
    match datum.and_then(Datum::get) {
        Some(c) => {
            let what = format!("certificate {}", d.certificate);
            if let Some(fault) = certificate_fault(&c.value, f.now) {
                b.pro(Decisive, Seen::new(what, fault, c.source.clone(), c.as_of));
            } else if let Some(name) = d.aliases.iter().find(|a| !a.starts_with('*') && !c.value.covers(a)) {
                let value = format!("it does not cover {name}");
                b.pro(Weak, Seen::new(what, value, c.source.clone(), c.as_of));
            }
        }
        None => {
            b.lack("certificate for viewers", datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked))
        }
    }
}

pub(super) fn capacity(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    vote(e, b, Decisive, "say that there was no capacity", |r| {
        [&r.detail, &r.result].iter().any(|w| matches!(w.as_str(), "CapacityExceeded" | "LimitExceeded"))
    });
}
