//! What probes met and what hosts said, as evidence for causes. The rules judge
//! what a cloud tells; whatever was measured at the endpoint, at a target or
//! on a host is added here, whichever rule it concerns.
//!
//! A probe tells of the place its connection went to and of nothing else: an
//! answer of one target says nothing of the next. A host that is no target of
//! the groups in use tells nothing for certain.

mod hosts;
mod probes;

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::timeouts::has_target;
use crate::diagnosis::verdict::Weight::{self, Strong, Weak};
use crate::situation::host::{Host, Listening};
use crate::situation::probe::{Connect, Exchange, Probe, Reach, Tls};
use crate::situation::{Datum, Known, Situation};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// What was measured longer before the window than this tells of another time.
const EARLY: SignedDuration = SignedDuration::from_mins(2);
/// Without a window, the last so many minutes count.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// Faults of an answer that a strict hop refuses (RFC 9112; AWS docs: Application
/// Load Balancer, HTTP 502).
const MALFORMED: &[&str] = &[
    "bad-chunk",
    "bad-content-length",
    "bad-header-name",
    "bad-status-line",
    "bad-transfer-encoding",
    "bad-version",
    "blank-before-colon",
    "conflicting-content-length",
    "control-in-header",
    "header-without-colon",
    "length-and-chunked",
    "length-on-204",
    "not-http",
    "obs-fold",
];
const LARGE: &[&str] = &["header-block-large", "header-block-endless"];

/// Where something was measured.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// A target of a group in use, with the group's name and protocol.
    Target { group: SafeText, https: bool },
    /// Under the name or at the addresses users are sent to.
    Front,
    /// An origin of the distribution in view.
    Origin,
}

/// All that was measured lately.
pub(super) struct Witness<'a> {
    s: &'a Situation,
    probes: Vec<&'a Known<Box<Probe>>>,
    hosts: Vec<Stand<'a>>,
    /// Every target of the groups in use is on a host that answered.
    covered: bool,
}

/// One host that answered.
struct Stand<'a> {
    h: &'a Host,
    at: Timestamp,
    /// The ports requests come to; empty when it is no target.
    ports: Vec<u16>,
}

impl Stand<'_> {
    fn seen(&self, what: &str, value: impl Into<SafeText>) -> Seen {
        Seen::new(format!("{what} on {}", self.h.asked), value, format!("host {}", self.h.asked), self.at)
    }

    fn is_target(&self) -> bool {
        !self.ports.is_empty()
    }

    /// A command of the list gave nothing.
    fn silent(&self, id: &str) -> bool {
        self.h.silent.iter().any(|(i, _)| i.as_str() == id)
    }

    fn listeners(&self) -> impl Iterator<Item = &Listening> {
        self.h.listening.iter().filter(|l| self.ports.contains(&l.port))
    }
}

impl<'a> Witness<'a> {
    /// `from` is the beginning of the window, where there is one.
    pub fn new(s: &'a Situation, from: Option<Timestamp>) -> Witness<'a> {
        let now = s.at.unwrap_or(Timestamp::UNIX_EPOCH);
        let recent = now.checked_sub(FRESH).unwrap_or(now);
        // What was measured before the trouble began is about a better time.
        let early = from.and_then(|t| t.checked_sub(EARLY).ok()).unwrap_or(recent);
        let probes = s.probes.values().filter_map(Datum::get).filter(|k| k.as_of >= early).collect();
        let hosts: Vec<Stand<'a>> = s
            .hosts
            .values()
            .filter_map(Datum::get)
            .filter(|k| k.as_of >= early)
            .map(|k| Stand { h: &k.value, at: k.as_of, ports: ports(s, &k.value) })
            .collect();
        let mut out = Witness { s, probes, hosts, covered: false };
        out.covered = out.covers();
        out
    }

    fn covers(&self) -> bool {
        let addresses: Vec<IpAddr> = self
            .hosts
            .iter()
            .filter(|h| h.is_target())
            .flat_map(|h| h.h.addresses.iter().filter_map(|a| a.parse().ok()))
            .collect();
        let mut any = false;
        for (_, g) in self.s.active_groups() {
            for t in g.health.value().into_iter().flatten() {
                any = true;
                let own: Option<IpAddr> = t.id.parse().ok();
                let instance = self.s.instance(&t.id).map(|i| i.addresses.as_slice()).unwrap_or_default();
                let asked = self.hosts.iter().any(|h| h.h.is_target(&t.id));
                if !asked && !own.iter().chain(instance).any(|a| addresses.contains(a)) {
                    return false;
                }
            }
        }
        any
    }

    /// Requests from here to where users are sent fail, or cannot be sent.
    pub fn troubled(&self) -> bool {
        self.at_front().any(|(k, _)| {
            k.value.faults.iter().any(|f| {
                let gateway = matches!(f.id.as_str(), "http-502" | "http-503" | "http-504" | "http-500");
                let before = ["dns-nx", "dns-serv", "dns-no-", "certificate-", "plain-http", "tcp-refused"];
                f.wrong && (gateway || before.iter().any(|h| f.id.starts_with(h)))
            })
        })
    }

    fn at_front(&self) -> impl Iterator<Item = (&'a Known<Box<Probe>>, Vec<&'a str>)> {
        self.probes.iter().filter_map(|k| {
            let places: Vec<(&str, Option<Place>)> =
                addresses(&k.value).map(|a| (a, self.place(&k.value, a))).collect();
            let own = self.is_front(&k.value);
            let at: Vec<&str> =
                places.iter().filter(|(_, p)| *p == Some(Place::Front)).map(|(a, _)| *a).collect();
            (own && (!at.is_empty() || places.is_empty())).then_some((*k, at))
        })
    }

    /// Is it the name users are sent to?
    fn is_front(&self, p: &Probe) -> bool {
        let Some(t) = self.s.target.value() else { return false };
        let lb = self.s.load_balancer().map_or("", |l| l.dns_name.as_str());
        let same = |n: &str| !n.is_empty() && p.host.eq_ignore_ascii_case(n.trim_end_matches('.'));
        // Where no name was given, whatever name was probed is the users'.
        let unnamed = t.host.is_empty() && p.host.parse::<IpAddr>().is_err();
        unnamed || same(&t.host) || same(lb) || t.names.iter().any(|n| same(n))
    }

    fn place(&self, p: &Probe, address: &str) -> Option<Place> {
        if let Ok(at) = address.parse::<SocketAddr>() {
            for (_, g) in self.s.active_groups() {
                if has_target(self.s, g, at) {
                    let tg = g.group.as_ref()?;
                    return Some(Place::Target {
                        group: tg.name.clone(),
                        https: matches!(tg.protocol.as_str(), "HTTPS" | "TLS"),
                    });
                }
            }
        }
        if self.is_front(p) {
            return Some(Place::Front);
        }
        let origins = self.s.target.value().and_then(|t| self.s.fronts.distributions.get(&t.distribution));
        let of = origins.and_then(Datum::value)?;
        of.origins.iter().any(|o| o.domain.eq_ignore_ascii_case(&p.host)).then_some(Place::Origin)
    }

    fn connects(&self) -> impl Iterator<Item = (&'a Known<Box<Probe>>, &'a Connect, Place)> {
        self.probes
            .iter()
            .flat_map(|k| k.value.connects.iter().map(move |c| (*k, c)))
            .filter_map(|(k, c)| Some((k, c, self.place(&k.value, &c.address)?)))
    }

    fn exchanges(&self) -> impl Iterator<Item = (&'a Known<Box<Probe>>, &'a Exchange, Place)> {
        self.probes
            .iter()
            .flat_map(|k| k.value.exchanges.iter().map(move |e| (*k, e)))
            .filter_map(|(k, e)| Some((k, e, self.place(&k.value, &e.address)?)))
    }

    fn handshakes(&self) -> impl Iterator<Item = (&'a Known<Box<Probe>>, &'a Tls, Place)> {
        self.probes
            .iter()
            .flat_map(|k| k.value.tls.iter().map(move |t| (*k, t)))
            .filter_map(|(k, t)| Some((k, t, self.place(&k.value, &t.address)?)))
    }

    fn targets(&self) -> impl Iterator<Item = &Stand<'a>> {
        self.hosts.iter().filter(|h| h.is_target())
    }

    /// What an absence on the hosts that answered is worth: one look, now, does
    /// not undo what was counted over minutes.
    fn against(&self, b: &Ballot) -> Weight {
        if self.covered && !b.has_pro() { Strong } else { Weak }
    }

    /// Adds what was measured to the evidence for a cause. `case` is the load
    /// balancer's window, where there is one.
    pub fn testify(&self, cause: &str, case: Option<&Case<'_>>, b: &mut Ballot) {
        let failing = case.is_none_or(Case::trouble) || self.troubled();
        self.wire(cause, b);
        match cause {
            "dns-delegation-or-resolution-failure" => self.names(b),
            "dns-record-wrong-target" => self.dangling(b),
            "dns-stale-cache-at-caller" => self.differing(b),
            "lb-listener-cert-problem" => self.certificate(b),
            "client-tls-handshake-failure" => self.handshake(b),
            "alb-target-tls-failure" => self.target_tls(b),
            "alb-protocol-or-port-mismatch" => {
                self.protocol(b);
                self.other_port(b, case);
            }
            "alb-target-keepalive-shorter" => self.server(b, case),
            "alb-target-connection-refused" => self.refused(b),
            "alb-target-connect-timeout" => self.silent(b),
            "alb-target-host-unreachable" => self.reach(b, Reach::Unreachable, Strong),
            "alb-target-response-malformed" | "clb-malformed-response" => self.framing(b, MALFORMED),
            "alb-target-header-too-large" => self.framing(b, LARGE),
            "alb-content-length-mismatch" => self.framing(b, &["early-close"]),
            "alb-target-response-timeout" => self.slow(b),
            "app-exception-or-plugin-bug" => self.own_error(b),
            "local-proxy-upstream-failure" => {
                self.proxy(b);
                self.behind_proxy(b, case);
            }
            "cf-origin-dns-error"
            | "cf-origin-connect-refused"
            | "cf-origin-cert-invalid"
            | "cf-origin-tls-name-mismatch"
            | "cf-origin-unreachable-timeout"
            | "cf-origin-bad-response" => {
                self.origin(cause, b);
            }
            "app-process-down-or-crashing" => self.process(b, failing, case),
            "memory-exhausted-oom" => self.memory(b, failing),
            "cpu-saturated" => self.cpu(b, failing),
            "disk-full" => self.disk(b, failing),
            "conntrack-or-mtu-drop" => self.conntrack(b, failing),
            "host-firewall-blocks" => self.firewall(b, failing, case),
            "worker-or-connection-pool-exhausted" => self.queue(b, failing),
            _ => {}
        }
    }
}

/// Ports of this host that requests of the groups in use come to.
fn ports(s: &Situation, h: &Host) -> Vec<u16> {
    let own: Vec<IpAddr> = h.addresses.iter().filter_map(|a| a.parse().ok()).collect();
    let mut out = BTreeSet::new();
    for (_, g) in s.active_groups() {
        let default = g.group.as_ref().and_then(|t| t.port);
        // A host that was asked by the id of its instance is known by that.
        let by_id = g.health.value().into_iter().flatten().filter(|t| h.is_target(&t.id));
        out.extend(by_id.filter_map(|t| t.port.or(default)));
        let targets = g.health.value().into_iter().flatten();
        let all: BTreeSet<u16> = targets.filter_map(|t| t.port.or(default)).collect();
        for port in all.into_iter().take(16) {
            if own.iter().any(|ip| has_target(s, g, SocketAddr::new(*ip, port))) {
                out.insert(port);
            }
        }
    }
    out.into_iter().collect()
}

/// Every address a probe connected to or tried to.
fn addresses(p: &Probe) -> impl Iterator<Item = &str> {
    p.connects.iter().map(|c| c.address.as_str())
}

fn numbers(list: &[u16]) -> String {
    list.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}
