//! Security groups: any rule of any group that matches allows; there is no
//! deny and no order; nothing matching means the packet is dropped.
//! Source: Amazon VPC user guide, "Security group rules".

use super::flow::{self, Flow};
use super::network::{Groups, Network, Side, Spread};
use super::space;
use super::{Cut, Decision, Outcome};
use crate::situation::Reason;
use crate::situation::net::{Peer, Protocol, SgRule};
use crate::text::SafeText;
use ipnet::IpNet;

/// Part of the internet that may be refused before a rule is more than an
/// exception ("everybody but these addresses").
pub(super) const EXCEPTION: f64 = 0.1;

/// Which way a group is asked.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    Egress,
    Ingress,
}

impl Way {
    fn name(self) -> &'static str {
        if self == Way::Egress { "egress" } else { "ingress" }
    }

    fn towards(self) -> &'static str {
        if self == Way::Egress { "to" } else { "from" }
    }
}

/// What the groups of `own` say about `flow` to or from `peer`, whose
/// addresses of the right family are `nets`. With `refs` false, references to
/// groups do not match: something between the two rewrites or relays.
pub(super) fn evaluate(
    net: &Network<'_>,
    way: Way,
    own: &Side<'_>,
    peer: &Side<'_>,
    nets: &[IpNet],
    flow: Flow,
    refs: bool,
) -> Outcome {
    let ids = match &own.groups {
        Groups::Known(ids) => *ids,
        Groups::None(why) => return Outcome::skipped("", why),
        Groups::Unknown(why) => {
            return Outcome::unknown("", format!("security groups of {}", own.label), why.clone());
        }
    };
    if ids.is_empty() {
        return Outcome::unknown(
            "",
            format!("security groups of {}", own.label),
            Reason::NotFound { what: "security groups".into() },
        );
    }
    let mut left = nets.to_vec();
    let mut covering: Vec<(SafeText, String)> = Vec::new();
    let mut unsure: Option<(String, Reason)> = None;
    let mut stale = None;
    let mut rules_seen = 0usize;
    for id in ids {
        let group = match net.group(id, own.vpc()) {
            Ok(g) => g,
            Err(why) => {
                unsure.get_or_insert((format!("rules of {id}"), why));
                continue;
            }
        };
        let label = label(&group.id, &group.name);
        for rule in if way == Way::Egress { &group.egress } else { &group.ingress } {
            rules_seen += 1;
            if !takes(rule, flow) {
                continue;
            }
            match takes_peer(net, rule, peer, nets, own.vpc(), refs, &mut left) {
                Hit::All => {
                    let words = rule_words(rule);
                    let why = format!(
                        "{label} allows {} {} {}",
                        flow.words(),
                        way.towards(),
                        peer_words(&rule.peer)
                    );
                    return Outcome::new(&group.id, words, Decision::Allow, why);
                }
                Hit::Part => covering.push((group.id.clone(), peer_words(&rule.peer))),
                Hit::None => {}
                Hit::Stale(status) => stale = Some(format!("{} (peering is {status})", rule_words(rule))),
                Hit::Unsure(what, why) => {
                    unsure.get_or_insert((what, why));
                }
            }
        }
    }
    let id = ids.first().map_or("", |i| i.as_str());
    let whole = space::weight(nets);
    let share = if whole > 0.0 { 1.0 - space::weight(&left) / whole } else { 0.0 };
    let who = list(&covering);
    if left.is_empty() && !covering.is_empty() {
        let id = &covering[0].0;
        let why = format!("{id} allows {} {} {who}", flow.words(), way.towards());
        return Outcome::new(id, who, Decision::Allow, why);
    }
    if let Some((what, why)) = unsure {
        return Outcome::unknown(id, what, why);
    }
    if covering.is_empty() {
        return refused(ids, net, way, own, peer, nets, flow, rules_seen, stale);
    }
    let id = covering[0].0.clone();
    match &peer.spread {
        Spread::Some(why) => Outcome::unknown(&id, format!("addresses of {}", peer.label), why.clone()),
        Spread::World if 1.0 - share <= EXCEPTION => {
            let why = format!("{id} allows {} {} nearly everybody ({who})", flow.words(), way.towards());
            Outcome::new(&id, who, Decision::Allow, why)
        }
        _ => {
            let why = format!("{id} allows {} {} {who} only", flow.words(), way.towards());
            Outcome::partial(&id, who, why, left.iter().map(|n| Cut { net: *n, ports: None }).collect())
        }
    }
}

/// Does one rule allow all of it? As [`evaluate`], which may allow more, but
/// without a word on why.
pub(super) fn plainly_allows(
    net: &Network<'_>,
    way: Way,
    own: &Side<'_>,
    peer: &Side<'_>,
    nets: &[IpNet],
    flow: Flow,
    refs: bool,
) -> bool {
    let Groups::Known(ids) = &own.groups else { return false };
    let mut left = nets.to_vec();
    ids.iter().filter_map(|id| net.group(id, own.vpc()).ok()).any(|group| {
        let rules = if way == Way::Egress { &group.egress } else { &group.ingress };
        rules
            .iter()
            .filter(|r| takes(r, flow))
            .any(|r| matches!(takes_peer(net, r, peer, nets, own.vpc(), refs, &mut left), Hit::All))
    })
}

#[allow(clippy::too_many_arguments, reason = "one sentence needs all of them")]
fn refused(
    ids: &[SafeText],
    net: &Network<'_>,
    way: Way,
    own: &Side<'_>,
    peer: &Side<'_>,
    nets: &[IpNet],
    flow: Flow,
    rules_seen: usize,
    stale: Option<String>,
) -> Outcome {
    let names: Vec<String> = ids
        .iter()
        .map(|id| net.group(id, own.vpc()).map_or_else(|_| id.to_string(), |g| label(&g.id, &g.name)))
        .collect();
    let names = names.join(", ");
    let whom = match &peer.groups {
        Groups::Known(g) if !g.is_empty() => {
            let g: Vec<&str> = g.iter().map(SafeText::as_str).collect();
            format!("{} ({})", nets_words(nets, peer), g.join(", "))
        }
        _ => nets_words(nets, peer),
    };
    let mut why = if rules_seen == 0 {
        format!(
            "{names} has no {} rule at all: {} {} {whom} is dropped",
            way.name(),
            flow.words(),
            way.towards()
        )
    } else {
        format!("no {} rule of {names} allows {} {} {whom}", way.name(), flow.words(), way.towards())
    };
    if let Some(stale) = stale {
        why.push_str("; stale rule: ");
        why.push_str(&stale);
    }
    Outcome::new(ids.first().map_or("", |i| i.as_str()), "no rule", Decision::Deny, why)
}

/// `10.0.1.0/24`, or the label of a side whose addresses are many.
pub(super) fn nets_words(nets: &[IpNet], side: &Side<'_>) -> String {
    match nets {
        _ if matches!(side.spread, Spread::World) => side.label.to_string(),
        [one] if one.prefix_len() == one.max_prefix_len() => one.addr().to_string(),
        [one] => one.to_string(),
        _ => side.label.to_string(),
    }
}

/// True when a rule is about these packets, whoever the peer.
pub(super) fn takes(rule: &SgRule, flow: Flow) -> bool {
    match rule.protocol {
        Protocol::All => true,
        p if p != flow.protocol => false,
        Protocol::Tcp | Protocol::Udp => {
            let lo = rule.from_port.filter(|p| *p >= 0).unwrap_or(0);
            let hi = rule.to_port.filter(|p| *p >= 0).unwrap_or(i32::from(u16::MAX));
            lo <= i32::from(flow.ports.0) && i32::from(flow.ports.1) <= hi
        }
        Protocol::Icmp | Protocol::Icmpv6 => {
            flow::icmp_takes((rule.from_port.unwrap_or(-1), rule.to_port.unwrap_or(-1)), flow.icmp)
        }
        Protocol::Other(_) => true,
    }
}

enum Hit {
    All,
    Part,
    None,
    Stale(String),
    Unsure(String, Reason),
}

fn takes_peer(
    net: &Network<'_>,
    rule: &SgRule,
    peer: &Side<'_>,
    nets: &[IpNet],
    own_vpc: Option<&str>,
    refs: bool,
    left: &mut Vec<IpNet>,
) -> Hit {
    match &rule.peer {
        Peer::Cidr(c) if !nets.is_empty() && nets.iter().all(|n| space::holds(c, n)) => Hit::All,
        Peer::Cidr(c) => part(space::take(left, c)),
        Peer::Group { id, peering, peering_status, .. } => {
            if !refs || !peer.referable {
                return Hit::None;
            }
            match &peer.groups {
                Groups::None(_) => Hit::None,
                Groups::Known(g) if !g.contains(id) => Hit::None,
                Groups::Known(_) if peer.vpc() == own_vpc && peering.is_empty() => Hit::All,
                Groups::Known(_) => match peering_status.as_str() {
                    "active" => Hit::All,
                    "" => Hit::Unsure(format!("peering behind the reference to {id}"), Reason::NotAsked),
                    other => Hit::Stale(other.to_string()),
                },
                Groups::Unknown(why) => {
                    Hit::Unsure(format!("security groups of {}", peer.label), why.clone())
                }
            }
        }
        Peer::PrefixList(id) => match net.prefix_list(id) {
            Ok(list) => {
                if !nets.is_empty() && nets.iter().all(|n| list.cidrs.iter().any(|c| space::holds(c, n))) {
                    return Hit::All;
                }
                let mut hit = false;
                for c in &list.cidrs {
                    hit |= space::take(left, c);
                }
                part(hit)
            }
            Err(why) => Hit::Unsure(format!("entries of prefix list {id}"), why),
        },
        Peer::Unreadable(text) => {
            Hit::Unsure("a security group rule".into(), Reason::Malformed { detail: text.clone() })
        }
    }
}

fn part(hit: bool) -> Hit {
    if hit { Hit::Part } else { Hit::None }
}

fn list(covering: &[(SafeText, String)]) -> String {
    const SHOWN: usize = 3;
    let mut words: Vec<&str> = Vec::new();
    for (_, w) in covering {
        if !words.contains(&w.as_str()) {
            words.push(w);
        }
    }
    let more = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    let mut out = words.join(", ");
    if more > 0 {
        out.push_str(&format!(" and {more} more"));
    }
    out
}

/// `web (sg-1)`, or the id where there is no name.
pub(super) fn label(id: &SafeText, name: &SafeText) -> String {
    if name.is_empty() || name == id { id.to_string() } else { format!("{name} ({id})") }
}

/// A rule as a person writes it: `tcp 8080 sg-alb`.
pub(super) fn rule_words(rule: &SgRule) -> String {
    let what = match rule.protocol {
        Protocol::Tcp | Protocol::Udp => {
            let lo = rule.from_port.filter(|p| *p >= 0).unwrap_or(0).clamp(0, 65535) as u16;
            let hi = rule.to_port.filter(|p| *p >= 0).unwrap_or(65535).clamp(0, 65535) as u16;
            format!("{} {}", flow::name(rule.protocol), flow::range((lo, hi)))
        }
        p => flow::name(p),
    };
    format!("{what} {}", peer_words(&rule.peer))
}

pub(super) fn peer_words(peer: &Peer) -> String {
    match peer {
        Peer::Cidr(c) => c.to_string(),
        Peer::Group { id, .. } => id.to_string(),
        Peer::PrefixList(id) => id.to_string(),
        Peer::Unreadable(t) => format!("({t})"),
    }
}
