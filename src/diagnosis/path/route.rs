//! Route tables: the most specific route that holds the destination decides,
//! also when its target is gone. Source: Amazon VPC user guide, "Route
//! priority" and "Route tables".

use super::network::{Network, Place, Side, Spread};
use super::sg::{EXCEPTION, nets_words};
use super::space;
use super::{Cut, Decision, Outcome};
use crate::situation::Reason;
use crate::situation::net::{Destination, Route, RouteTable};
use crate::text::SafeText;
use ipnet::IpNet;

/// The part of the destination one route takes; `None` where no route does.
struct Part<'t> {
    route: Option<(&'t Route, IpNet)>,
    nets: Vec<IpNet>,
}

/// Whether packets from `from` find `to`. `answer` is true on the way back of
/// a connection that `to` opened.
pub(super) fn evaluate(
    net: &Network<'_>,
    from: &Side<'_>,
    to: &Side<'_>,
    nets: &[IpNet],
    answer: bool,
) -> Outcome {
    let (vpc, subnet) = match &from.place {
        Place::Outside => return Outcome::skipped("", "outside the VPCs seen"),
        Place::Vpc { why, .. } => {
            return Outcome::unknown("", format!("subnet of {}", from.label), why.clone());
        }
        Place::Subnet { vpc, id } => (*vpc, *id),
    };
    let table = match net.table(vpc, subnet) {
        Ok(t) => t,
        Err(why) => return Outcome::unknown("", format!("route table of {subnet}"), why),
    };
    let parts = match split(net, table, nets) {
        Ok(p) => p,
        Err((what, why)) => return Outcome::unknown(&table.id, what, why),
    };
    let judged: Vec<(Outcome, Vec<IpNet>)> =
        parts.into_iter().map(|p| (judge(net, table, &p, from, to, nets, answer), p.nets)).collect();
    combine(judged, to)
}

/// Splits the destination by the route that takes each part.
fn split<'t>(
    net: &Network<'_>,
    table: &'t RouteTable,
    nets: &[IpNet],
) -> Result<Vec<Part<'t>>, (String, Reason)> {
    let local: Vec<IpNet> = table
        .routes
        .iter()
        .filter(|r| r.target.as_str() == "local")
        .filter_map(|r| if let Destination::Cidr(c) = r.destination { Some(c) } else { None })
        .collect();
    let mut candidates: Vec<(IpNet, u8, &Route)> = Vec::new();
    for r in &table.routes {
        match &r.destination {
            Destination::Cidr(c) => {
                let propagated = r.origin.as_str() == "EnableVgwRoutePropagation";
                // The local route beats a propagated one even where that is more specific.
                if propagated && local.iter().any(|l| space::holds(l, c)) {
                    continue;
                }
                let rank = match r.target.as_str() {
                    "local" => 0,
                    _ if propagated => 3,
                    _ => 1,
                };
                candidates.push((*c, rank, r));
            }
            Destination::PrefixList(id) => match net.prefix_list(id) {
                Ok(list) => candidates.extend(list.cidrs.iter().map(|c| (*c, 2, r))),
                // A gateway endpoint's list holds public addresses of one AWS
                // service: nothing on a path to a target.
                Err(_) if r.target.starts_with("vpce-") => {}
                Err(why) => return Err((format!("entries of prefix list {id} in {}", table.id), why)),
            },
            Destination::Unreadable(text) => {
                return Err((format!("a route of {}", table.id), Reason::Malformed { detail: text.clone() }));
            }
        }
    }
    candidates.retain(|(c, _, _)| nets.iter().any(|n| space::overlap(c, n)));
    candidates.sort_by(|a, b| b.0.prefix_len().cmp(&a.0.prefix_len()).then(a.1.cmp(&b.1)));
    let mut left = nets.to_vec();
    let mut parts = Vec::new();
    for (cidr, _, route) in candidates {
        let taken = space::common(&left, &cidr);
        if space::take(&mut left, &cidr) {
            parts.push(Part { route: Some((route, cidr)), nets: taken });
        }
        if left.is_empty() {
            break;
        }
    }
    if !left.is_empty() {
        parts.push(Part { route: None, nets: left });
    }
    Ok(parts)
}

fn judge(
    net: &Network<'_>,
    table: &RouteTable,
    part: &Part<'_>,
    from: &Side<'_>,
    to: &Side<'_>,
    nets: &[IpNet],
    answer: bool,
) -> Outcome {
    let id = &table.id;
    let name = if table.name.is_empty() { &table.id } else { &table.name };
    let whom = nets_words(nets, to);
    let Some((route, cidr)) = part.route else {
        return Outcome::new(id, "no route", Decision::Deny, format!("{name} has no route to {whom}"));
    };
    let rule = format!("{cidr} -> {}", route.target);
    let say = |decision, text: &str| {
        let tail = if text.is_empty() { String::new() } else { format!(": {text}") };
        Outcome::new(id, rule.clone(), decision, format!("{name} sends {whom} by {rule}{tail}"))
    };
    let unseen = |what: &str| {
        let mut o = Outcome::unknown(id, format!("what lies behind {}", route.target), Reason::NotAsked);
        o.rule = SafeText::from(rule.clone());
        o.why = SafeText::from(format!("{name} sends {whom} by {rule}: {what}"));
        o
    };
    if !route.active {
        return say(Decision::Deny, "blackhole, the target is gone");
    }
    let target = route.target.as_str();
    let kind = target.split('-').next().unwrap_or("");
    let same_vpc = to.vpc().is_some() && to.vpc() == from.vpc();
    match kind {
        "local" if same_vpc => say(Decision::Allow, ""),
        "local" => unseen("it stays in the VPC, but nobody there is known to have the address"),
        "igw" if to.is_internet() || (!to.is_outside() && !to.referable) => internet(from, nets, &say),
        "igw" => say(Decision::Deny, "an internet gateway does not carry private addresses"),
        "eigw" if answer => say(Decision::Deny, "an egress-only gateway lets nobody in"),
        "eigw" if to.is_internet() && v6(nets) => say(Decision::Allow, ""),
        "eigw" => say(Decision::Deny, "an egress-only gateway carries IPv6 to the internet only"),
        "nat" if answer => say(Decision::Deny, "answers would leave with the NAT gateway's address"),
        "nat" if to.is_internet() => through_nat(net, table, target, &say, nets),
        "pcx" if to.vpc().is_some() && !same_vpc => say(Decision::Allow, ""),
        "pcx" => unseen("the peered VPC was not looked at"),
        "tgw" => unseen("the transit gateway's own routes were not looked at"),
        "vgw" => unseen("a VPN or Direct Connect, and what is beyond it"),
        _ => unseen("a middlebox, which may drop it; references to security groups do not match behind it"),
    }
}

fn v6(nets: &[IpNet]) -> bool {
    nets.iter().any(|n| matches!(n, IpNet::V6(_)))
}

fn internet(from: &Side<'_>, nets: &[IpNet], say: &dyn Fn(Decision, &str) -> Outcome) -> Outcome {
    if v6(nets) {
        return say(Decision::Allow, "");
    }
    match &from.public {
        Ok(true) => say(Decision::Allow, ""),
        Ok(false) => say(Decision::Deny, &format!("{} has no public address", from.label)),
        Err(why) => {
            let mut o = say(Decision::Unknown, "");
            o.unknown = Some((format!("public address of {}", from.label).into(), why.clone()));
            o
        }
    }
}

/// A public NAT gateway works when its own subnet reaches the internet.
fn through_nat(
    net: &Network<'_>,
    table: &RouteTable,
    nat: &str,
    say: &dyn Fn(Decision, &str) -> Outcome,
    nets: &[IpNet],
) -> Outcome {
    let unknown = |why: Reason| {
        let mut o = say(Decision::Unknown, "");
        o.unknown = Some((format!("subnet of {nat}").into(), why));
        o
    };
    let Some(i) = net.interface_of_nat(nat) else {
        return unknown(Reason::NotFound { what: format!("interface of {nat}").into() });
    };
    let own = match net.table(&table.vpc, &i.subnet) {
        Ok(t) => t,
        Err(why) => return unknown(why),
    };
    if i.public_addresses.is_empty() {
        return say(Decision::Deny, &format!("{nat} has no public address"));
    }
    match split(net, own, nets) {
        Ok(parts) => {
            let whole: f64 = parts.iter().map(|p| space::weight(&p.nets)).sum();
            let out: f64 = parts
                .iter()
                .filter(|p| p.route.is_some_and(|(r, _)| r.active && r.target.starts_with("igw-")))
                .map(|p| space::weight(&p.nets))
                .sum();
            if whole > 0.0 && out / whole > 1.0 - EXCEPTION {
                say(Decision::Allow, "")
            } else {
                say(Decision::Deny, &format!("{nat} stands in a subnet without a way to the internet"))
            }
        }
        Err((_, why)) => unknown(why),
    }
}

/// One answer for all parts of the destination.
fn combine(mut judged: Vec<(Outcome, Vec<IpNet>)>, to: &Side<'_>) -> Outcome {
    judged.sort_by(|a, b| space::weight(&b.1).total_cmp(&space::weight(&a.1)));
    if judged.is_empty() {
        return Outcome::unknown(
            "",
            format!("addresses of {}", to.label),
            Reason::NotFound { what: "addresses".into() },
        );
    }
    let whole: f64 = judged.iter().map(|j| space::weight(&j.1)).sum();
    let weight = |d: Decision| -> f64 {
        judged.iter().filter(|j| j.0.decision == d).map(|j| space::weight(&j.1)).sum()
    };
    let (deny, unknown, allow) = (weight(Decision::Deny), weight(Decision::Unknown), weight(Decision::Allow));
    let pick = |d: Decision| judged.iter().find(|j| j.0.decision == d).map(|j| j.0.clone());
    let world = matches!(to.spread, Spread::World) && whole > 0.0;
    if world && deny / whole > 1.0 - EXCEPTION || (deny > 0.0 && allow + unknown <= 0.0) {
        return pick(Decision::Deny).unwrap_or_default();
    }
    if world && allow / whole > 1.0 - EXCEPTION || (allow > 0.0 && deny + unknown <= 0.0) {
        return pick(Decision::Allow).unwrap_or_default();
    }
    if unknown > 0.0 {
        return pick(Decision::Unknown).unwrap_or_default();
    }
    let mut out = pick(Decision::Deny).unwrap_or_default();
    if let Spread::Some(why) = &to.spread {
        out.decision = Decision::Unknown;
        out.unknown = Some((format!("addresses of {}", to.label).into(), why.clone()));
        return out;
    }
    out.decision = Decision::Partial;
    let denied = judged.iter().filter(|j| j.0.decision == Decision::Deny);
    out.cuts = denied.flat_map(|j| &j.1).map(|n| Cut { net: *n, ports: None }).collect();
    out
}
