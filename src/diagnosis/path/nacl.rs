//! Network ACLs: entries in ascending number, the first that matches decides,
//! what matches none is denied. Stateless: answers are judged on their own.
//! Source: Amazon VPC user guide, "Network ACLs".

use super::flow::{self, Flow};
use super::network::{Network, Side, Spread};
use super::sg::{EXCEPTION, nets_words};
use super::space;
use super::{Cut, Decision, Outcome};
use crate::situation::net::{AclEntry, Protocol};
use crate::text::SafeText;
use ipnet::IpNet;

/// The number of the implicit last entry, shown as `*`.
const LAST: u32 = 32767;

/// A box of packets: peers and destination ports.
#[derive(Clone, Copy, Debug)]
struct Piece {
    net: IpNet,
    ports: (u16, u16),
}

impl Piece {
    fn size(&self) -> f64 {
        space::size(&self.net) * (f64::from(self.ports.1) - f64::from(self.ports.0) + 1.0)
    }
}

/// A decided box. `entry` is `None` for the implicit deny.
struct Decided<'e> {
    piece: Piece,
    entry: Option<&'e AclEntry>,
}

impl Decided<'_> {
    fn allow(&self) -> bool {
        self.entry.is_some_and(|e| e.allow)
    }
}

/// What the ACL of `subnet` says about `flow` to (`egress`) or from `peer`,
/// whose addresses of the right family are `nets`.
pub(super) fn evaluate(
    net: &Network<'_>,
    vpc: &str,
    subnet: &str,
    egress: bool,
    peer: &Side<'_>,
    nets: &[IpNet],
    flow: Flow,
) -> Outcome {
    let acl = match net.acl(vpc, subnet) {
        Ok(a) => a,
        Err(why) => return Outcome::unknown("", format!("network ACL of {subnet}"), why),
    };
    let entries = if egress { &acl.egress } else { &acl.ingress };
    let decided = run(entries, nets, flow);
    let name = if acl.acl.name.is_empty() { &acl.acl.id } else { &acl.acl.name };
    let say = Say { acl: name, id: &acl.acl.id, egress, whom: nets_words(nets, peer), flow };
    summarise(&decided, nets, &peer.spread, &say)
}

/// Names for the sentence.
struct Say<'x> {
    acl: &'x SafeText,
    id: &'x SafeText,
    egress: bool,
    whom: String,
    flow: Flow,
}

impl Say<'_> {
    fn outcome(&self, entry: Option<&AclEntry>, decision: Decision) -> Outcome {
        let side = if self.egress { "to" } else { "from" };
        let verb = if decision == Decision::Allow { "allows" } else { "denies" };
        let flow = self.flow.words();
        let (acl, whom) = (self.acl, &self.whom);
        match entry {
            Some(e) if e.number < LAST => {
                let why =
                    format!("{acl} rule {} {verb} {flow} {side} {whom}{}", e.number, self.entry_words(e));
                Outcome::new(self.id, e.number.to_string(), decision, why)
            }
            _ => {
                let why = format!("{acl} has no rule for {flow} {side} {whom}: rule * denies");
                Outcome::new(self.id, "*", decision, why)
            }
        }
    }

    /// The entry itself where it is wider or narrower than what was asked.
    fn entry_words(&self, e: &AclEntry) -> String {
        let what = match e.protocol {
            Protocol::Tcp | Protocol::Udp => {
                format!("{}/{}", flow::name(e.protocol), flow::range(e.ports.unwrap_or((0, u16::MAX))))
            }
            p => flow::name(p),
        };
        if what == self.flow.words() && e.cidr.to_string() == self.whom {
            String::new()
        } else {
            format!(" ({what} {})", e.cidr)
        }
    }
}

/// Splits what is asked by the entries that decide it.
fn run<'e>(entries: &[&'e AclEntry], nets: &[IpNet], flow: Flow) -> Vec<Decided<'e>> {
    let ports = if flow.has_ports() { flow.ports } else { (0, 0) };
    let mut open: Vec<Piece> = nets.iter().map(|n| Piece { net: *n, ports }).collect();
    let mut done = Vec::new();
    for e in entries {
        if open.is_empty() {
            break;
        }
        let Some(range) = entry_ports(e, flow, ports) else { continue };
        let mut rest = Vec::new();
        for p in open.drain(..) {
            split(p, e, range, &mut done, &mut rest);
        }
        open = rest;
    }
    done.extend(open.into_iter().map(|piece| Decided { piece, entry: None }));
    done
}

/// The ports of `asked` that the entry is about; `None` when it is not about
/// these packets at all.
fn entry_ports(e: &AclEntry, flow: Flow, asked: (u16, u16)) -> Option<(u16, u16)> {
    match e.protocol {
        Protocol::All => Some(asked),
        p if p != flow.protocol => None,
        Protocol::Tcp | Protocol::Udp => {
            let (lo, hi) = e.ports.unwrap_or((0, u16::MAX));
            let range = (lo.max(asked.0), hi.min(asked.1));
            (range.0 <= range.1).then_some(range)
        }
        Protocol::Icmp | Protocol::Icmpv6 => {
            flow::icmp_takes(e.icmp.unwrap_or((-1, -1)), flow.icmp).then_some(asked)
        }
        Protocol::Other(_) => Some(asked),
    }
}

/// Takes the part of `p` that `e` decides; the rest goes on to later entries.
fn split<'e>(
    p: Piece,
    e: &'e AclEntry,
    range: (u16, u16),
    done: &mut Vec<Decided<'e>>,
    rest: &mut Vec<Piece>,
) {
    let (lo, hi) = (range.0.max(p.ports.0), range.1.min(p.ports.1));
    if lo > hi || !space::overlap(&p.net, &e.cidr) {
        rest.push(p);
        return;
    }
    let hit = if space::holds(&e.cidr, &p.net) {
        p.net
    } else {
        let mut others = Vec::new();
        space::minus(p.net, &e.cidr, &mut others);
        rest.extend(others.into_iter().map(|net| Piece { net, ports: p.ports }));
        // The prefix itself, without host bits the entry may have been written with.
        e.cidr.trunc()
    };
    done.push(Decided { piece: Piece { net: hit, ports: (lo, hi) }, entry: Some(e) });
    if p.ports.0 < lo {
        rest.push(Piece { net: hit, ports: (p.ports.0, lo - 1) });
    }
    if hi < p.ports.1 {
        rest.push(Piece { net: hit, ports: (hi + 1, p.ports.1) });
    }
}

fn summarise(decided: &[Decided<'_>], nets: &[IpNet], spread: &Spread, say: &Say<'_>) -> Outcome {
    let all: f64 = decided.iter().map(|d| d.piece.size()).sum();
    let denied: f64 = decided.iter().filter(|d| !d.allow()).map(|d| d.piece.size()).sum();
    let biggest = |allow: bool| {
        decided
            .iter()
            .filter(|d| d.allow() == allow)
            .max_by(|a, b| a.piece.size().total_cmp(&b.piece.size()).then(number(b).cmp(&number(a))))
            .and_then(|d| d.entry)
    };
    if all <= 0.0 || denied >= all {
        return say.outcome(biggest(false), Decision::Deny);
    }
    if denied <= 0.0 {
        return say.outcome(biggest(true), Decision::Allow);
    }
    // Which peers are cut off altogether, and which only on some ports?
    let by_address = decided.iter().any(|d| !nets.contains(&d.piece.net));
    match spread {
        Spread::World if denied / all <= EXCEPTION => return say.outcome(biggest(true), Decision::Allow),
        Spread::Some(why) if by_address => {
            let what = format!("addresses behind {}", say.whom);
            return Outcome::unknown(say.id, what, why.clone());
        }
        _ => {}
    }
    let deny = biggest(false);
    let mut out = say.outcome(deny, Decision::Partial);
    let share = denied / all;
    let cut = ports_words(decided);
    let extent = format!("about {} % of connections time out", percent(share));
    let text = if say.flow.has_ports() && say.flow.ports.0 < say.flow.ports.1 {
        let number = deny.filter(|e| e.number < LAST).map_or("*".to_string(), |e| e.number.to_string());
        let side = if say.egress { "to" } else { "from" };
        format!(
            "{} rule {number} denies {} of the answers {side} {} (need {}): {extent}",
            say.acl,
            cut,
            say.whom,
            say.flow.words(),
        )
    } else {
        format!("{}: {extent}", out.why)
    };
    out.why = SafeText::from(text);
    out.cuts = decided
        .iter()
        .filter(|d| !d.allow())
        .map(|d| Cut { net: d.piece.net, ports: say.flow.has_ports().then_some(d.piece.ports) })
        .collect();
    out
}

fn number(d: &Decided<'_>) -> u32 {
    d.entry.map_or(LAST, |e| e.number)
}

/// A share as a whole percentage that is neither 0 nor 100.
pub(super) fn percent(share: f64) -> u32 {
    ((share * 100.0).round() as u32).clamp(1, 99)
}

/// `ports 1024-32767`: the ports that are denied, joined.
fn ports_words(decided: &[Decided<'_>]) -> String {
    let mut ranges: Vec<(u16, u16)> = decided.iter().filter(|d| !d.allow()).map(|d| d.piece.ports).collect();
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for r in ranges {
        match joined.last_mut() {
            Some(last) if r.0 <= last.1.saturating_add(1) => last.1 = last.1.max(r.1),
            _ => joined.push(r),
        }
    }
    let words: Vec<String> = joined.iter().take(3).map(|r| flow::range(*r)).collect();
    format!("ports {}{}", words.join(", "), if joined.len() > 3 { ", ..." } else { "" })
}
