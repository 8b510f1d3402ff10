//! Does a packet get from a node of the load balancer to a target, and its
//! answer back? Written anew from the rules of security groups, network ACLs
//! and route tables ("Amazon VPC user guide"), on purpose without the code that
//! diagnoses them: the drill would otherwise agree with any mistake of it.

use super::estate::Estate;
use crate::situation::net::{AclEntry, Destination, Peer, Protocol, RouteTable, SgRule};
use std::net::IpAddr;

/// A connection the load balancer wants to open.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Node of the load balancer and the port it opens.
    pub from: IpAddr,
    pub from_port: u16,
    /// Target and its port.
    pub to: IpAddr,
    pub to_port: u16,
}

/// True when the way there and the way back are open.
pub fn passes(e: &Estate, p: Packet) -> bool {
    let lb_groups = &e.lb.security_groups;
    let target_groups = groups_of(e, p.to);
    let (Some(here), Some(there)) = (subnet_of(e, p.from), subnet_of(e, p.to)) else { return false };
    admits(e, lb_groups, true, p.to, p.to_port, &target_groups)
        && acl(e, here, true, p.to, p.to_port)
        && routed(e, here, p.to)
        && acl(e, there, false, p.from, p.to_port)
        && admits(e, &target_groups, false, p.from, p.to_port, lb_groups)
        // Security groups remember the connection; ACLs and routes do not.
        && acl(e, there, true, p.from, p.from_port)
        && routed(e, there, p.from)
        && acl(e, here, false, p.to, p.from_port)
}

fn groups_of(e: &Estate, a: IpAddr) -> Vec<crate::text::SafeText> {
    let instance = e.instances.iter().find(|i| i.addresses.contains(&a)).map(|i| i.groups.clone());
    let interface = || e.interfaces.iter().find(|i| i.addresses.contains(&a)).map(|i| i.groups.clone());
    instance.or_else(interface).unwrap_or_default()
}

fn subnet_of(e: &Estate, a: IpAddr) -> Option<&str> {
    e.subnets.iter().find(|s| s.cidrs.iter().any(|c| c.contains(&a))).map(|s| s.id.as_str())
}

/// Do these groups let TCP through to (or from) a peer on this port?
fn admits(
    e: &Estate,
    groups: &[crate::text::SafeText],
    out: bool,
    peer: IpAddr,
    port: u16,
    peer_groups: &[crate::text::SafeText],
) -> bool {
    let fits = |r: &SgRule| {
        let protocol = matches!(r.protocol, Protocol::All | Protocol::Tcp);
        let all = r.protocol == Protocol::All || r.from_port.is_none();
        let ports = all
            || r.from_port.is_some_and(|f| f <= i32::from(port))
                && r.to_port.is_some_and(|t| t >= i32::from(port));
        let who = match &r.peer {
            Peer::Cidr(c) => c.contains(&peer),
            Peer::Group { id, .. } => peer_groups.contains(id),
            Peer::PrefixList(_) | Peer::Unreadable(_) => false,
        };
        protocol && ports && who
    };
    let held = e.security_groups.iter().filter(|g| groups.contains(&g.id));
    held.flat_map(|g| if out { &g.egress } else { &g.ingress }).any(fits)
}

/// The first entry that fits decides.
fn acl(e: &Estate, subnet: &str, out: bool, peer: IpAddr, port: u16) -> bool {
    let Some(acl) = e.acls.iter().find(|a| a.subnets.iter().any(|s| s.as_str() == subnet)) else {
        return true;
    };
    let fits = |x: &&AclEntry| {
        x.egress == out
            && matches!(x.protocol, Protocol::All | Protocol::Tcp)
            && x.cidr.contains(&peer)
            && (x.protocol == Protocol::All || x.ports.is_none_or(|(a, b)| (a..=b).contains(&port)))
    };
    acl.entries.iter().filter(fits).min_by_key(|x| x.number).is_some_and(|x| x.allow)
}

/// The most specific route decides, and its target must be there.
fn routed(e: &Estate, subnet: &str, to: IpAddr) -> bool {
    let own = |t: &&RouteTable| t.subnets.iter().any(|s| s.as_str() == subnet);
    let Some(table) = e.tables.iter().find(own).or_else(|| e.tables.iter().find(|t| t.main)) else {
        return false;
    };
    let best = table
        .routes
        .iter()
        .filter_map(|r| match &r.destination {
            Destination::Cidr(c) if c.contains(&to) => Some((c.prefix_len(), r)),
            _ => None,
        })
        .max_by_key(|(bits, _)| *bits);
    // What leaves by a gateway does not come to another subnet of this VPC.
    best.is_some_and(|(_, r)| r.active && r.target.as_str() == "local")
}

#[cfg(test)]
mod tests {
    use super::super::estate::{entry, place, route, tcp};
    use super::super::script;
    use super::*;

    fn shop() -> (Estate, Packet) {
        let drill = script::named("tidy-network-acl").unwrap();
        let e = Estate::new(&drill, "2026-11-22T01:00:00Z".parse().unwrap());
        let to = IpAddr::V4(place(0).address);
        let from = e.lb_interfaces[1].addresses[0];
        (e, Packet { from, from_port: 40_000, to, to_port: 8080 })
    }

    #[test]
    fn each_rule_that_blocks_blocks() {
        let (open, p) = shop();
        assert!(passes(&open, p));
        assert!(!passes(&open, Packet { to_port: 8081, ..p }), "no rule admits it");
        type Spoil = fn(&mut Estate);
        let cases: [(&str, Spoil); 7] = [
            ("ingress", |e| e.security_groups[1].ingress = vec![tcp(8080, "sg-db")]),
            ("egress", |e| e.security_groups[0].egress = vec![tcp(443, "0.0.0.0/0")]),
            ("acl in", |e| {
                e.acls[1].entries.push(entry(
                    90,
                    false,
                    false,
                    "10.20.1.0/24".parse().unwrap(),
                    Some((8000, 8100)),
                ))
            }),
            ("acl out", |e| {
                e.acls[0].entries.push(entry(
                    90,
                    true,
                    false,
                    "10.20.10.0/24".parse().unwrap(),
                    Some((8080, 8080)),
                ))
            }),
            ("acl answers", |e| {
                e.acls[1].entries.push(entry(
                    90,
                    true,
                    false,
                    "0.0.0.0/0".parse().unwrap(),
                    Some((32768, 65535)),
                ))
            }),
            ("route", |e| {
                e.tables[0].routes.push(route("10.20.10.0/24".parse().unwrap(), "vpce-0gone", false))
            }),
            ("way back", |e| e.tables[1].routes.clear()),
        ];
        for (name, spoil) in cases {
            let (mut e, p) = shop();
            spoil(&mut e);
            assert!(!passes(&e, p), "{name}");
        }
        let (mut e, p) = shop();
        e.acls[1].entries.push(entry(90, true, false, "0.0.0.0/0".parse().unwrap(), Some((32768, 65535))));
        assert!(passes(&e, Packet { from_port: 2000, ..p }), "answers to low ports get through");
        e.acls[1].entries.push(entry(80, true, true, "10.20.0.0/16".parse().unwrap(), Some((1024, 65535))));
        assert!(passes(&e, p), "a lower number goes first");
    }
}
