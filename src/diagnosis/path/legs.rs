//! The legs of the request path of one load balancer: clients to its
//! listeners, and its nodes to every target on the traffic and the
//! health-check port. Equal results are told once, with the targets they concern.

use super::eval::between;
use super::memo::{Ask, Memo, decider};
use super::network::{Groups, Network, Place, Side, Spread};
use super::{Block, PathReport, StageKind, Unseen, Verdict, sg};
use crate::situation::elb::{LoadBalancer, TargetGroup, TargetHealth, TargetKey};
use crate::situation::net::Protocol;
use crate::situation::{GroupState, Reason, Situation};
use crate::text::SafeText;
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What a leg carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LegKind {
    /// Clients to a listener.
    Listener,
    /// Requests to targets, where the health check uses another port.
    Traffic,
    /// Health checks on a port of their own.
    Health,
    /// Requests and health checks on the same port.
    TrafficAndHealth,
}

impl LegKind {
    /// A word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            LegKind::Listener => "clients",
            LegKind::Traffic => "traffic",
            LegKind::Health => "health check",
            LegKind::TrafficAndHealth => "traffic and health check",
        }
    }
}

/// One result and everything it holds for.
#[derive(Clone, Debug)]
pub struct Leg {
    pub kind: LegKind,
    /// Who opens the connection: `internet`, `clients`, the load balancer's name.
    pub from: SafeText,
    /// Where to: the load balancer's or the target group's name.
    pub to: SafeText,
    /// ARN of the target group; `None` for listener legs.
    pub group: Option<SafeText>,
    pub protocol: Protocol,
    pub port: Option<u16>,
    pub verdict: Verdict,
    /// Zones of the load balancer this was found from (all alike).
    pub zones: Vec<SafeText>,
    /// Targets it concerns, in API order; empty for listener legs and where targets are unknown.
    pub targets: Vec<TargetKey>,
    /// The evaluation, for the first target and zone of those above.
    pub report: Arc<PathReport>,
}

impl Leg {
    /// The stage that stops it or stops part of it.
    pub fn blocked_by(&self) -> Option<&Block> {
        self.report.blocked_by.as_ref()
    }

    /// One sentence on the verdict.
    pub fn why(&self) -> SafeText {
        self.report.why()
    }
}

/// Every leg of the load balancer in view: listeners by port, then groups in
/// API order, worst results first within a group. Empty while the load
/// balancer itself is not known.
pub fn legs(s: &Situation) -> Vec<Leg> {
    let Some((arn, lb)) = s.lb_arn().zip(s.load_balancer()) else { return Vec::new() };
    let net = Network::of(s);
    let mut out = listener_legs(s, &net, arn, lb);
    let nodes = match net.load_balancer(arn) {
        Ok(n) => n,
        Err((what, reason)) => {
            out.push(unknown_leg(lb, None, Protocol::Tcp, None, what, reason));
            return out;
        }
    };
    let mut memo = Memo::new(&net, &nodes);
    for (arn, state) in s.active_groups() {
        let first = out.len();
        memo.next_group();
        group_legs(s, &net, lb, &nodes, arn, state, &mut memo, &mut out);
        out[first..].sort_by_key(|l| (super::eval::rank(l.verdict), l.port, l.kind));
    }
    out
}

fn listener_legs(s: &Situation, net: &Network<'_>, arn: &SafeText, lb: &LoadBalancer) -> Vec<Leg> {
    let Some(state) = s.lbs.get(arn) else { return Vec::new() };
    let listeners = match state.listeners.value() {
        Some(l) => l,
        None => {
            let why = state.listeners.why_unknown().unwrap_or(Reason::NotAsked);
            let mut leg = unknown_leg(lb, None, Protocol::Tcp, None, "listeners".into(), why);
            leg.kind = LegKind::Listener;
            return vec![leg];
        }
    };
    let nodes = net.load_balancer(arn).unwrap_or_default();
    let public = lb.scheme.as_str() == "internet-facing";
    let internet = net.internet();
    let mut out: Vec<Leg> = Vec::new();
    for l in listeners {
        let protocols: &[Protocol] = match l.protocol.as_str() {
            "UDP" | "QUIC" => &[Protocol::Udp],
            "TCP_UDP" | "TCP_QUIC" => &[Protocol::Tcp, Protocol::Udp],
            _ => &[Protocol::Tcp],
        };
        for protocol in protocols {
            let first = out.len();
            for (node, zone) in nodes.iter().zip(&lb.zones) {
                let report = if public {
                    between(net, &internet, node, *protocol, Some(l.port))
                } else {
                    admitted(net, node, *protocol, l.port)
                };
                let report = Arc::new(report);
                let key = decider(&report);
                match out[first..].iter_mut().find(|x| decider(&x.report) == key) {
                    Some(held) => held.zones.push(zone.az.clone()),
                    None => out.push(Leg {
                        kind: LegKind::Listener,
                        from: if public { "internet".into() } else { "clients".into() },
                        to: lb.name.clone(),
                        group: None,
                        protocol: *protocol,
                        port: Some(l.port),
                        verdict: report.verdict,
                        zones: vec![zone.az.clone()],
                        targets: Vec::new(),
                        report,
                    }),
                }
            }
        }
    }
    out
}

/// An internal load balancer's clients are not known. What can be told is
/// whether its groups admit anybody at all on this port, and whom.
fn admitted(net: &Network<'_>, node: &Side<'_>, protocol: Protocol, port: u16) -> PathReport {
    let flow = super::flow::Flow::request(protocol, Some(port), false);
    let mut who: Vec<String> = Vec::new();
    let mut unseen: Option<(SafeText, Reason)> = None;
    let ids: &[SafeText] = match &node.groups {
        Groups::Known(ids) => ids,
        Groups::None(_) => {
            who.push("anybody (no security group)".into());
            &[]
        }
        Groups::Unknown(why) => {
            unseen = Some(("security groups of the load balancer".into(), why.clone()));
            &[]
        }
    };
    for id in ids {
        match net.group(id, node.vpc()) {
            Ok(g) => {
                who.extend(g.ingress.iter().filter(|r| sg::takes(r, flow)).map(|r| sg::peer_words(&r.peer)))
            }
            Err(why) => unseen = Some((format!("rules of {id}").into(), why)),
        }
    }
    let mut r = PathReport {
        schema: super::SCHEMA,
        from: "clients".into(),
        to: node.label.clone(),
        protocol,
        port: Some(port),
        verdict: Verdict::Unknown,
        blocked_by: None,
        partial: None,
        forward: Vec::new(),
        back: Vec::new(),
        unknown: Vec::new(),
    };
    if let Some((what, reason)) = unseen {
        r.unknown.push(Unseen { stage: StageKind::SgIngress, what, reason });
    } else if who.is_empty() {
        let id = ids.first().cloned().unwrap_or_default();
        let why = format!("no ingress rule of {id} allows {} from anybody", flow.words());
        r.verdict = Verdict::Blocked;
        r.blocked_by =
            Some(Block { stage: StageKind::SgIngress, id, rule: "no rule".into(), why: why.into() });
    } else {
        who.dedup();
        let more = who.len().saturating_sub(4);
        who.truncate(4);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        let how =
            format!("an internal load balancer's clients are not listed; admitted: {}{tail}", who.join(", "));
        r.unknown.push(Unseen {
            stage: StageKind::SgIngress,
            what: "where clients connect from".into(),
            reason: Reason::NeedsMeasuring { how: how.into() },
        });
    }
    r
}

fn unknown_leg(
    lb: &LoadBalancer,
    group: Option<(&SafeText, &TargetGroup)>,
    protocol: Protocol,
    port: Option<u16>,
    what: SafeText,
    reason: Reason,
) -> Leg {
    let not_applicable = matches!(reason, Reason::NotApplicable { .. });
    let to = group.map_or_else(|| lb.name.clone(), |g| g.1.name.clone());
    let report = PathReport {
        schema: super::SCHEMA,
        from: lb.name.clone(),
        to: to.clone(),
        protocol,
        port,
        verdict: if not_applicable { Verdict::NotApplicable } else { Verdict::Unknown },
        blocked_by: None,
        partial: None,
        forward: Vec::new(),
        back: Vec::new(),
        unknown: vec![Unseen { stage: StageKind::Route, what, reason }],
    };
    Leg {
        kind: LegKind::TrafficAndHealth,
        from: lb.name.clone(),
        to,
        group: group.map(|g| g.0.clone()),
        protocol,
        port,
        verdict: report.verdict,
        zones: Vec::new(),
        targets: Vec::new(),
        report: Arc::new(report),
    }
}

#[allow(clippy::too_many_arguments, reason = "one loop body, split for length only")]
fn group_legs<'a>(
    s: &Situation,
    net: &Network<'a>,
    lb: &LoadBalancer,
    nodes: &[Side<'a>],
    arn: &SafeText,
    state: &GroupState,
    memo: &mut Memo<'a>,
    out: &mut Vec<Leg>,
) {
    let Some(tg) = &state.group else { return };
    let (protocol, check_protocol) = protocols(tg);
    let named = Some((arn, tg));
    if tg.target_type.as_str() == "lambda" {
        let why = Reason::NotApplicable { why: "the load balancer invokes a Lambda function by API".into() };
        out.push(unknown_leg(lb, named, protocol, None, "network path".into(), why));
        return;
    }
    let Some(targets) = state.health.value() else {
        let why = state.health.why_unknown().unwrap_or(Reason::NotAsked);
        out.push(unknown_leg(lb, named, protocol, tg.port, "targets".into(), why));
        return;
    };
    let preserve = lb.kind.as_str() == "network" && preserves_client_ip(state, tg);
    let internet = lb.scheme.as_str() == "internet-facing";
    let clients = preserve.then(|| clients_of(net, nodes, internet));
    let one_zone = stays_in_zone(s, state, lb);
    let mut index: HashMap<(u32, LegKind, Option<u16>), usize> = HashMap::new();

    for t in targets {
        let sides = target_sides(net, tg, t);
        let port = t.port.or(tg.port);
        let check = check_port(tg, t, port);
        let enabled = tg.health_check.enabled != Some(false);
        let traffic = Ask { kind: LegKind::Traffic, protocol, port, as_client: preserve };
        let both = enabled && check == port && check_protocol == protocol && !preserve;
        let asks = if both {
            [Some(Ask { kind: LegKind::TrafficAndHealth, ..traffic }), None]
        } else {
            let health =
                Ask { kind: LegKind::Health, protocol: check_protocol, port: check, as_client: false };
            [Some(traffic), enabled.then_some(health)]
        };
        let wanted = |z: usize| {
            let zone = lb.zones.get(z).map_or("", |z| z.az.as_str());
            !one_zone || t.az.is_empty() || t.az.as_str() == "all" || t.az.as_str() == zone
        };
        for ask in asks.iter().flatten() {
            let froms = clients.as_deref().filter(|_| ask.as_client).unwrap_or(nodes);
            for side in &sides {
                memo.look(net, ask, froms, side, wanted, |z, (report, line)| {
                    let at = *index.entry((*line, ask.kind, ask.port)).or_insert_with(|| {
                        out.push(Leg {
                            kind: ask.kind,
                            from: lb.name.clone(),
                            to: tg.name.clone(),
                            group: Some(arn.clone()),
                            protocol: ask.protocol,
                            port: ask.port,
                            verdict: report.verdict,
                            zones: Vec::new(),
                            targets: Vec::new(),
                            report: Arc::clone(report),
                        });
                        out.len() - 1
                    });
                    let leg = &mut out[at];
                    if let Some(zone) = lb.zones.get(z).filter(|zone| !leg.zones.contains(&zone.az)) {
                        leg.zones.push(zone.az.clone());
                    }
                    if leg.targets.last().is_none_or(|k| k.id != t.id || k.port != t.port) {
                        leg.targets.push(t.key());
                    }
                });
            }
        }
    }
}

/// Network protocol of requests and of health checks.
fn protocols(tg: &TargetGroup) -> (Protocol, Protocol) {
    let traffic = match tg.protocol.as_str() {
        "UDP" | "QUIC" | "GENEVE" => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    (traffic, Protocol::Tcp)
}

fn check_port(tg: &TargetGroup, t: &TargetHealth, traffic: Option<u16>) -> Option<u16> {
    t.health_port.or_else(|| tg.health_check.port.parse().ok()).or(traffic)
}

/// Default of `preserve_client_ip.enabled`: off for IP targets over TCP and
/// TLS, on otherwise (Network Load Balancer guide, "Client IP preservation").
fn preserves_client_ip(state: &GroupState, tg: &TargetGroup) -> bool {
    let set = state.attributes.value().and_then(|a| a.get("preserve_client_ip.enabled"));
    match set.map(SafeText::as_str) {
        Some("true") => true,
        Some("false") => false,
        _ => !(tg.target_type.as_str() == "ip" && matches!(tg.protocol.as_str(), "TCP" | "TLS")),
    }
}

/// True when nodes send to targets of their own zone only.
fn stays_in_zone(s: &Situation, state: &GroupState, lb: &LoadBalancer) -> bool {
    const KEY: &str = "load_balancing.cross_zone.enabled";
    let of = |a: Option<&crate::situation::elb::Attributes>| a.and_then(|a| a.get(KEY)).cloned();
    match of(state.attributes.value()).as_deref() {
        Some("true") => false,
        Some("false") => true,
        _ if lb.kind.as_str() == "network" => {
            of(s.lb().and_then(|l| l.attributes.value())).as_deref() == Some("false")
        }
        _ => false,
    }
}

/// The load balancer's nodes as targets see them when the client's address is
/// kept: its groups, but anybody's address.
fn clients_of<'a>(net: &Network<'a>, nodes: &[Side<'a>], internet: bool) -> Vec<Side<'a>> {
    let anybody = net.internet();
    nodes
        .iter()
        .map(|n| {
            let mut side = n.clone();
            side.answers_to = Some(n.addresses.clone());
            if internet {
                side.addresses = anybody.addresses.clone();
                side.spread = Spread::World;
            } else {
                side.spread = Spread::Some(Reason::NeedsMeasuring {
                    how: "clients of an internal load balancer with client IP preservation".into(),
                });
            }
            side
        })
        .collect()
}

/// Where a target stands: one place, or the zones of a load balancer.
fn target_sides<'a>(net: &Network<'a>, tg: &TargetGroup, t: &TargetHealth) -> Vec<Side<'a>> {
    match tg.target_type.as_str() {
        "instance" => match net.resolve(&super::Endpoint::Instance(t.id.clone())) {
            Ok(sides) => sides,
            Err((_, why)) => vec![unseen_side(t, why)],
        },
        "alb" => net.load_balancer(&t.id).unwrap_or_else(|(_, why)| vec![unseen_side(t, why)]),
        _ => match t.id.parse::<IpAddr>() {
            Ok(ip) => vec![net.address(ip, Some(&tg.vpc))],
            Err(_) => vec![unseen_side(t, Reason::Malformed { detail: t.id.clone() })],
        },
    }
}

fn unseen_side<'a>(t: &TargetHealth, why: Reason) -> Side<'a> {
    Side {
        label: t.id.clone(),
        place: Place::Vpc { vpc: "", why: why.clone() },
        groups: Groups::Unknown(why.clone()),
        addresses: std::borrow::Cow::Borrowed(&[]),
        answers_to: None,
        spread: Spread::Some(why.clone()),
        public: Err(why),
        referable: true,
        ephemeral: ((1024, 65535), "it uses"),
    }
}
