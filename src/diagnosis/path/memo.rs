//! Results shared between targets. What subnets decide does not depend on
//! security groups, and most targets of a subnet are alike.

use super::eval::{Carried, admit, between, carry, plainly_open};
use super::legs::LegKind;
use super::network::{Groups, Network, Place, Side};
use super::space;
use super::{PathReport, StageKind, Verdict};
use crate::situation::net::{Destination, Peer, Protocol};
use crate::text::SafeText;
use ipnet::IpNet;
use std::collections::HashMap;
use std::sync::Arc;

/// What makes two results the same line: the verdict and the rule behind it.
pub(super) fn decider(r: &PathReport) -> (Verdict, Option<StageKind>, SafeText, SafeText) {
    if let Some(b) = &r.blocked_by {
        return (r.verdict, Some(b.stage), b.id.clone(), b.rule.clone());
    }
    match r.unknown.first() {
        Some(u) => (r.verdict, Some(u.stage), SafeText::default(), u.reason.phrase().into()),
        None => (r.verdict, None, SafeText::default(), SafeText::default()),
    }
}

/// What the subnets' part of a result depends on: where to, and which of the
/// prefixes that cut the target's subnet hold its address.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Way<'a> {
    as_client: bool,
    subnet: &'a str,
    protocol: Protocol,
    port: Option<u16>,
    /// Prefixes that tell this address from others of its subnet.
    cuts: Vec<u16>,
}

/// A result and the number of the line it is told in.
pub(super) type Told = (Arc<PathReport>, u32);

/// Results already computed, one for each zone.
pub(super) struct Memo<'a> {
    /// By way: what the subnets decide.
    carried: HashMap<Way<'a>, (u32, Vec<Option<Carried>>)>,
    /// By number of the way and of the set of groups.
    held: HashMap<(u32, u32), Vec<Option<Told>>>,
    sets: HashMap<&'a [SafeText], u32>,
    /// Every prefix a rule about targets' addresses names.
    prefixes: Vec<IpNet>,
    cuts_of_subnet: HashMap<&'a str, Arc<[(u16, IpNet)]>>,
    deciders: HashMap<(Verdict, Option<StageKind>, SafeText, SafeText), u32>,
    /// An open result of the group at hand for each question: the others that
    /// are plainly open are told in its line.
    open: HashMap<(bool, Protocol, Option<u16>), Told>,
    zones: usize,
}

impl<'a> Memo<'a> {
    pub fn new(net: &Network<'a>, nodes: &[Side<'a>]) -> Memo<'a> {
        let mut prefixes = Vec::new();
        for n in nodes {
            collect_prefixes(net, n, &mut prefixes);
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        Memo {
            carried: HashMap::new(),
            held: HashMap::new(),
            sets: HashMap::new(),
            prefixes,
            cuts_of_subnet: HashMap::new(),
            deciders: HashMap::new(),
            open: HashMap::new(),
            zones: nodes.len(),
        }
    }

    /// The targets that follow are of another group.
    pub fn next_group(&mut self) {
        self.open.clear();
    }

    /// The result for one target from each of `froms` that `wanted` names.
    pub fn look(
        &mut self,
        net: &Network<'a>,
        ask: &Ask,
        froms: &[Side<'a>],
        to: &Side<'a>,
        wanted: impl Fn(usize) -> bool,
        mut found: impl FnMut(usize, &Told),
    ) {
        let key = self.key(net, ask, to);
        let Some((way, groups)) = key else {
            for (z, from) in froms.iter().enumerate().filter(|(z, _)| wanted(*z)) {
                let report = between(net, from, to, ask.protocol, ask.port);
                found(z, &tell(&mut self.deciders, report));
            }
            return;
        };
        let number = u32::try_from(self.carried.len()).unwrap_or(u32::MAX);
        let zones = self.zones;
        let slot = |_| None;
        let (number, carried) =
            self.carried.entry(way).or_insert_with(|| (number, (0..zones).map(slot).collect()));
        let told = self.held.entry((*number, groups)).or_insert_with(|| vec![None; zones]);
        for (z, from) in froms.iter().enumerate().filter(|(z, _)| wanted(*z)) {
            let told = told[z].get_or_insert_with(|| {
                let c = carried[z].get_or_insert_with(|| carry(net, from, to, ask.protocol, ask.port));
                let asked = (ask.as_client, ask.protocol, ask.port);
                if let Some(open) = self.open.get(&asked)
                    && plainly_open(net, from, to, ask.protocol, ask.port, c)
                {
                    return open.clone();
                }
                let told = tell(&mut self.deciders, admit(net, from, to, ask.protocol, ask.port, c));
                if told.0.verdict == Verdict::Open {
                    self.open.insert(asked, told.clone());
                }
                told
            });
            found(z, told);
        }
    }

    /// `None` where nothing can be shared: the target's place is not known.
    fn key(&mut self, net: &Network<'a>, ask: &Ask, to: &Side<'a>) -> Option<(Way<'a>, u32)> {
        let Place::Subnet { id: subnet, .. } = to.place else { return None };
        let groups = match &to.groups {
            Groups::Known(ids) => {
                let next = u32::try_from(self.sets.len()).ok()?;
                *self.sets.entry(ids).or_insert(next)
            }
            Groups::Unknown(_) => u32::MAX,
            Groups::None(_) => u32::MAX - 1,
        };
        let [address] = &to.addresses[..] else { return None };
        let cuts = self.cuts(net, subnet)?;
        let cuts = cuts.iter().filter(|(_, p)| space::holds(p, address)).map(|(i, _)| *i).collect();
        let Ask { as_client, protocol, port, .. } = *ask;
        Some((Way { as_client, subnet, protocol, port, cuts }, groups))
    }

    /// Prefixes that hold some but not all addresses of a subnet.
    fn cuts(&mut self, net: &Network<'a>, subnet: &'a str) -> Option<Arc<[(u16, IpNet)]>> {
        if let Some(held) = self.cuts_of_subnet.get(subnet) {
            return Some(Arc::clone(held));
        }
        let ranges = &net.subnet(subnet)?.cidrs;
        let mut cuts = Vec::new();
        for (i, p) in self.prefixes.iter().enumerate() {
            if ranges.iter().any(|r| r != p && space::holds(r, p)) {
                cuts.push((u16::try_from(i).ok()?, *p));
            }
        }
        let cuts: Arc<[(u16, IpNet)]> = cuts.into();
        self.cuts_of_subnet.insert(subnet, Arc::clone(&cuts));
        Some(cuts)
    }
}

/// Numbers a result by the line it belongs to.
fn tell(
    deciders: &mut HashMap<(Verdict, Option<StageKind>, SafeText, SafeText), u32>,
    report: PathReport,
) -> Told {
    let next = u32::try_from(deciders.len()).unwrap_or(u32::MAX);
    let id = *deciders.entry(decider(&report)).or_insert(next);
    (Arc::new(report), id)
}

/// What is asked of one target.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub kind: LegKind,
    pub protocol: Protocol,
    pub port: Option<u16>,
    /// The target sees the client's address.
    pub as_client: bool,
}

/// Prefixes by which a node tells targets apart: egress rules of its groups,
/// entries of its subnet's ACL, routes of its subnet.
fn collect_prefixes(net: &Network<'_>, node: &Side<'_>, out: &mut Vec<IpNet>) {
    let list = |id: &str, out: &mut Vec<IpNet>| {
        if let Ok(l) = net.prefix_list(id) {
            out.extend(&l.cidrs);
        }
    };
    if let Groups::Known(ids) = &node.groups {
        for g in ids.iter().filter_map(|id| net.group(id, node.vpc()).ok()) {
            for r in &g.egress {
                match &r.peer {
                    Peer::Cidr(c) => out.push(*c),
                    Peer::PrefixList(id) => list(id, out),
                    Peer::Group { .. } | Peer::Unreadable(_) => {}
                }
            }
        }
    }
    if let Place::Subnet { vpc, id } = node.place {
        if let Ok(acl) = net.acl(vpc, id) {
            out.extend(acl.egress.iter().chain(&acl.ingress).map(|e| e.cidr));
        }
        if let Ok(table) = net.table(vpc, id) {
            for r in &table.routes {
                match &r.destination {
                    Destination::Cidr(c) => out.push(*c),
                    Destination::PrefixList(id) => list(id, out),
                    Destination::Unreadable(_) => {}
                }
            }
        }
    }
}
