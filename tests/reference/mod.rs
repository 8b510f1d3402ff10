//! A slow, plain path evaluator: one packet at a time, every rule by a loop,
//! every port by counting. It shares no code with the one it checks.

use badgate::situation::net::{
    Destination, NetworkAcl, Peer, PrefixList, Protocol, Route, RouteTable, SecurityGroup, SgRule,
};
use std::net::IpAddr;

/// One end: where it is and which groups it carries.
#[derive(Clone, Debug)]
pub struct End {
    pub ip: IpAddr,
    pub vpc: String,
    pub subnet: String,
    pub groups: Vec<String>,
}

/// The rules of the world.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub groups: Vec<SecurityGroup>,
    pub acls: Vec<NetworkAcl>,
    pub tables: Vec<RouteTable>,
    pub lists: Vec<PrefixList>,
}

/// What one stage does with one packet; `None` when the configuration cannot tell.
type Stage = Option<bool>;

/// What becomes of all connections from `from` (any of several addresses, on
/// any port of the range) to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Truth {
    Open,
    Blocked,
    /// Share of connections that get through.
    Partly(f64),
    Unknown,
}

pub fn truth(
    rules: &Rules,
    froms: &[End],
    to: &End,
    protocol: Protocol,
    port: u16,
    ports: (u16, u16),
) -> Truth {
    let (mut good, mut bad, mut unsure) = (0u64, 0u64, 0u64);
    for from in froms {
        // What does not depend on the opener's port is asked once per address.
        let fixed = fixed_stages(rules, from, to, protocol, port);
        if fixed.contains(&Some(false)) {
            bad += u64::from(ports.1 - ports.0) + 1;
            continue;
        }
        let same = from.subnet == to.subnet;
        let out = entries(rules, &to.subnet, true, protocol, from.ip);
        let inn = entries(rules, &from.subnet, false, protocol, to.ip);
        for sport in ports.0..=ports.1 {
            let back = same || first_says(&out, sport) && first_says(&inn, sport);
            match (back, fixed.contains(&None)) {
                (false, _) => bad += 1,
                (true, true) => unsure += 1,
                (true, false) => good += 1,
            }
        }
    }
    match (good, bad, unsure) {
        (_, 0, 0) => Truth::Open,
        (0, _, 0) => Truth::Blocked,
        (_, _, 0) => Truth::Partly(good as f64 / (good + bad) as f64),
        _ => Truth::Unknown,
    }
}

fn fixed_stages(rules: &Rules, from: &End, to: &End, protocol: Protocol, port: u16) -> [Stage; 6] {
    let (there, relayed) = routed(rules, from, to);
    let (back, _) = routed(rules, to, from);
    let same = from.subnet == to.subnet;
    [
        groups_allow(rules, from, to, false, protocol, port, relayed),
        Some(same || acl_allows(rules, &from.subnet, true, protocol, port, to.ip)),
        there,
        Some(same || acl_allows(rules, &to.subnet, false, protocol, port, from.ip)),
        groups_allow(rules, to, from, true, protocol, port, relayed),
        back,
    ]
}

fn groups_allow(
    rules: &Rules,
    own: &End,
    peer: &End,
    ingress: bool,
    protocol: Protocol,
    port: u16,
    relayed: bool,
) -> Stage {
    let mut doubt = false;
    for id in &own.groups {
        for g in rules.groups.iter().filter(|g| g.id.as_str() == id) {
            for r in if ingress { &g.ingress } else { &g.egress } {
                if about(r, protocol, port) {
                    match is_peer(rules, r, own, peer, relayed) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => doubt = true,
                    }
                }
            }
        }
    }
    if doubt { None } else { Some(false) }
}

fn about(r: &SgRule, protocol: Protocol, port: u16) -> bool {
    if r.protocol == Protocol::All {
        return true;
    }
    if r.protocol != protocol {
        return false;
    }
    let port = i32::from(port);
    match (r.from_port, r.to_port) {
        (Some(a), Some(b)) if a >= 0 => a <= port && port <= b,
        _ => true,
    }
}

fn is_peer(rules: &Rules, r: &SgRule, own: &End, peer: &End, relayed: bool) -> Stage {
    match &r.peer {
        Peer::Cidr(c) => Some(c.contains(&peer.ip)),
        Peer::PrefixList(id) => {
            Some(rules.lists.iter().any(|l| l.id == *id && l.cidrs.iter().any(|c| c.contains(&peer.ip))))
        }
        Peer::Group { id, peering, peering_status, .. } => {
            if relayed || !peer.groups.iter().any(|g| g.as_str() == id.as_str()) {
                return Some(false);
            }
            if own.vpc == peer.vpc && peering.is_empty() {
                return Some(true);
            }
            match peering_status.as_str() {
                "active" => Some(true),
                "" => None,
                _ => Some(false),
            }
        }
        Peer::Unreadable(_) => None,
    }
}

fn acl_allows(
    rules: &Rules,
    subnet: &str,
    egress: bool,
    protocol: Protocol,
    port: u16,
    peer: IpAddr,
) -> bool {
    first_says(&entries(rules, subnet, egress, protocol, peer), port)
}

/// The entries about this protocol and peer as port ranges, lowest number first.
fn entries(
    rules: &Rules,
    subnet: &str,
    egress: bool,
    protocol: Protocol,
    peer: IpAddr,
) -> Vec<(u16, u16, bool)> {
    let acl = rules
        .acls
        .iter()
        .find(|a| a.subnets.iter().any(|s| s.as_str() == subnet))
        .or(rules.acls.iter().find(|a| a.is_default))
        .unwrap();
    let mut out = Vec::new();
    for number in 1..=300 {
        for e in acl.entries.iter().filter(|e| e.number == number && e.egress == egress) {
            if !e.cidr.contains(&peer) {
                continue;
            }
            if e.protocol == Protocol::All {
                out.push((0, u16::MAX, e.allow));
            } else if e.protocol == protocol {
                let (a, b) = e.ports.unwrap_or((0, u16::MAX));
                out.push((a, b, e.allow));
            }
        }
    }
    out
}

fn first_says(entries: &[(u16, u16, bool)], port: u16) -> bool {
    for (a, b, allow) in entries {
        if *a <= port && port <= *b {
            return *allow;
        }
    }
    false
}

/// Whether the route leads there, and whether something relays on the way.
fn routed(rules: &Rules, from: &End, to: &End) -> (Stage, bool) {
    let table = rules
        .tables
        .iter()
        .find(|t| t.subnets.iter().any(|s| s.as_str() == from.subnet))
        .or(rules.tables.iter().find(|t| t.main && t.vpc.as_str() == from.vpc))
        .unwrap();
    let Some(r) = best(rules, table, to.ip) else { return (Some(false), false) };
    let relayed = !["local", "pcx", "igw"].iter().any(|k| r.target.starts_with(k));
    if !r.active {
        return (Some(false), relayed);
    }
    let same_vpc = from.vpc == to.vpc;
    let found = match r.target.split('-').next().unwrap() {
        "local" if same_vpc => Some(true),
        "pcx" if !same_vpc => Some(true),
        "igw" => Some(false),
        _ => None,
    };
    (found, relayed)
}

/// The longest prefix; among equals local, then a CIDR, then a prefix list,
/// then a propagated one. Propagated routes never win against local.
fn best<'a>(rules: &Rules, table: &'a RouteTable, ip: IpAddr) -> Option<&'a Route> {
    for len in (0..=32u8).rev() {
        for rank in 0..4 {
            for r in &table.routes {
                let cidrs: Vec<ipnet::IpNet> = match &r.destination {
                    Destination::Cidr(c) => vec![*c],
                    Destination::PrefixList(id) => {
                        rules.lists.iter().find(|l| l.id == *id).map(|l| l.cidrs.clone()).unwrap_or_default()
                    }
                    Destination::Unreadable(_) => vec![],
                };
                let propagated = r.origin.as_str() == "EnableVgwRoutePropagation";
                let own_rank = match &r.destination {
                    Destination::Cidr(_) if r.target.as_str() == "local" => 0,
                    Destination::Cidr(_) if propagated => 3,
                    Destination::Cidr(_) => 1,
                    _ => 2,
                };
                if own_rank != rank {
                    continue;
                }
                let hit = cidrs.iter().any(|c| c.prefix_len() == len && c.contains(&ip));
                let beaten = propagated
                    && table.routes.iter().any(|l| {
                        l.target.as_str() == "local"
                            && matches!((&l.destination, &r.destination), (Destination::Cidr(l), Destination::Cidr(c)) if l.contains(c))
                    });
                if hit && !beaten {
                    return Some(r);
                }
            }
        }
    }
    None
}
