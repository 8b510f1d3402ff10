//! The configured network, indexed for evaluation, and what an endpoint is in it.

use super::Endpoint;
use super::space;
use crate::situation::net::{
    AclEntry, Instance, Interface, NetworkAcl, PrefixList, RouteTable, SecurityGroup, Subnet,
};
use crate::situation::{Datum, Reason, Situation, VpcState};
use crate::text::SafeText;
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

/// Ports a load balancer node, NAT gateway or Lambda answers on as a client,
/// and the widest range any operating system uses (VPC guide, network ACLs).
pub(super) const WIDE: (u16, u16) = (1024, 65535);
/// Linux's default `ip_local_port_range`.
pub(super) const LINUX: (u16, u16) = (32768, 60999);

/// A network ACL with its entries in the order they are evaluated.
pub(super) struct Acl<'a> {
    pub acl: &'a NetworkAcl,
    pub egress: Vec<&'a AclEntry>,
    pub ingress: Vec<&'a AclEntry>,
}

/// The network part of a situation, indexed. Building it is linear in the
/// number of resources; evaluating a path needs no search.
pub struct Network<'a> {
    pub(super) s: &'a Situation,
    groups: HashMap<&'a str, &'a SecurityGroup>,
    subnets: HashMap<&'a str, &'a Subnet>,
    acls: Vec<Acl<'a>>,
    acl_of_subnet: HashMap<&'a str, usize>,
    default_acl: HashMap<&'a str, usize>,
    table_of_subnet: HashMap<&'a str, &'a RouteTable>,
    main_table: HashMap<&'a str, &'a RouteTable>,
    interfaces: HashMap<&'a str, &'a Interface>,
    instances: HashMap<&'a str, &'a Instance>,
    by_address: HashMap<IpAddr, Vec<Holder<'a>>>,
}

/// Who has an address.
#[derive(Clone, Copy)]
pub(super) enum Holder<'a> {
    Interface(&'a Interface),
    Instance(&'a Instance),
}

impl<'a> Holder<'a> {
    fn vpc(self) -> &'a str {
        match self {
            Holder::Interface(i) => &i.vpc,
            Holder::Instance(i) => &i.vpc,
        }
    }
}

/// Security groups of one side of a path.
#[derive(Clone)]
pub(super) enum Groups<'a> {
    Known(&'a [SafeText]),
    /// It has none: outside a VPC, or a Network Load Balancer without groups.
    None(&'static str),
    Unknown(Reason),
}

/// Where one side of a path stands.
#[derive(Clone)]
pub(super) enum Place<'a> {
    Subnet {
        vpc: &'a str,
        id: &'a str,
    },
    /// In this VPC, subnet not known.
    Vpc {
        vpc: &'a str,
        why: Reason,
    },
    /// Not in any VPC seen.
    Outside,
}

/// How a set of addresses is to be read.
#[derive(Clone)]
pub(super) enum Spread {
    /// Every one of them is used.
    Each,
    /// One or some of them are used; which is not known, and why.
    Some(Reason),
    /// Anybody: a few addresses more or less do not matter.
    World,
}

/// One end of a path, resolved.
#[derive(Clone)]
pub(super) struct Side<'a> {
    /// As a person calls it.
    pub label: SafeText,
    pub place: Place<'a>,
    pub groups: Groups<'a>,
    pub addresses: Cow<'a, [IpNet]>,
    /// Where answers really go when that is not `addresses` (a load balancer
    /// that keeps the client's address).
    pub answers_to: Option<Cow<'a, [IpNet]>>,
    pub spread: Spread,
    /// Has a public address; `Err` when that is not known.
    pub public: Result<bool, Reason>,
    /// Security group references match this side's address.
    pub referable: bool,
    /// Ports it opens connections from, and whose default that is.
    pub ephemeral: ((u16, u16), &'static str),
}

impl Side<'_> {
    pub fn is_outside(&self) -> bool {
        matches!(self.place, Place::Outside)
    }

    pub fn vpc(&self) -> Option<&str> {
        match &self.place {
            Place::Subnet { vpc, .. } | Place::Vpc { vpc, .. } => Some(vpc),
            Place::Outside => None,
        }
    }

    /// Outside, and reachable by a public address only.
    pub fn is_internet(&self) -> bool {
        self.is_outside() && self.addresses.iter().any(|n| space::is_public(n.addr()))
    }
}

impl<'a> Network<'a> {
    /// Indexes the network part of a situation.
    pub fn of(s: &'a Situation) -> Network<'a> {
        let mut n = Network {
            s,
            groups: HashMap::new(),
            subnets: HashMap::new(),
            acls: Vec::new(),
            acl_of_subnet: HashMap::new(),
            default_acl: HashMap::new(),
            table_of_subnet: HashMap::new(),
            main_table: HashMap::new(),
            interfaces: HashMap::new(),
            instances: HashMap::new(),
            by_address: HashMap::new(),
        };
        for v in s.vpcs.values() {
            n.add_vpc(v);
        }
        for lb in s.lbs.values() {
            for i in lb.interfaces.value().into_iter().flatten() {
                n.add_interface(i);
            }
        }
        n
    }

    fn add_vpc(&mut self, v: &'a VpcState) {
        for g in v.security_groups.value().into_iter().flatten() {
            self.groups.insert(&g.id, g);
        }
        for x in v.subnets.value().into_iter().flatten() {
            self.subnets.insert(&x.id, x);
        }
        for acl in v.network_acls.value().into_iter().flatten() {
            let pick = |egress: bool| {
                let mut list: Vec<&AclEntry> = acl.entries.iter().filter(|e| e.egress == egress).collect();
                list.sort_by_key(|e| e.number);
                list
            };
            let at = self.acls.len();
            self.acls.push(Acl { acl, egress: pick(true), ingress: pick(false) });
            for subnet in &acl.subnets {
                self.acl_of_subnet.insert(subnet, at);
            }
            if acl.is_default {
                self.default_acl.insert(&acl.vpc, at);
            }
        }
        for t in v.route_tables.value().into_iter().flatten() {
            for subnet in &t.subnets {
                self.table_of_subnet.insert(subnet, t);
            }
            if t.main {
                self.main_table.insert(&t.vpc, t);
            }
        }
        for i in v.interfaces.value().into_iter().flatten() {
            self.add_interface(i);
        }
        for i in v.instances.value().into_iter().flatten() {
            self.instances.insert(&i.id, i);
            for a in &i.addresses {
                self.by_address.entry(*a).or_default().push(Holder::Instance(i));
            }
        }
    }

    fn add_interface(&mut self, i: &'a Interface) {
        if self.interfaces.insert(&i.id, i).is_some() {
            return;
        }
        for a in i.addresses.iter().chain(&i.public_addresses) {
            // An interface says more than the instance it hangs on: it goes first.
            self.by_address.entry(*a).or_default().insert(0, Holder::Interface(i));
        }
    }

    /// A security group, or why it is not known.
    pub(super) fn group(&self, id: &str, vpc: Option<&str>) -> Result<&'a SecurityGroup, Reason> {
        self.groups.get(id).copied().ok_or_else(|| self.missing(vpc, |v| v.security_groups.why_unknown(), id))
    }

    /// The ACL of a subnet: its own, else the VPC's default one.
    pub(super) fn acl(&self, vpc: &str, subnet: &str) -> Result<&Acl<'a>, Reason> {
        self.acl_of_subnet
            .get(subnet)
            .or_else(|| self.default_acl.get(vpc))
            .map(|i| &self.acls[*i])
            .ok_or_else(|| {
                self.missing(Some(vpc), |v| v.network_acls.why_unknown(), "network ACL of the subnet")
            })
    }

    /// The route table of a subnet: its own, else the VPC's main one.
    pub(super) fn table(&self, vpc: &str, subnet: &str) -> Result<&'a RouteTable, Reason> {
        self.table_of_subnet.get(subnet).or_else(|| self.main_table.get(vpc)).copied().ok_or_else(|| {
            self.missing(Some(vpc), |v| v.route_tables.why_unknown(), "route table of the subnet")
        })
    }

    /// A prefix list, or why it is not known.
    pub(super) fn prefix_list(&self, id: &str) -> Result<&'a PrefixList, Reason> {
        match self.s.prefix_lists.get(id) {
            None => Err(Reason::NotAsked),
            Some(d) => d.value().ok_or_else(|| d.why_unknown().unwrap_or(Reason::NotAsked)),
        }
    }

    /// A subnet by id.
    pub(super) fn subnet(&self, id: &str) -> Option<&'a Subnet> {
        self.subnets.get(id).copied()
    }

    pub(super) fn interface_of_nat(&self, nat: &str) -> Option<&'a Interface> {
        self.interfaces
            .values()
            .filter(|i| i.kind.as_str() == "nat_gateway" && i.description.ends_with(nat))
            .min_by(|a, b| a.id.cmp(&b.id))
            .copied()
    }

    fn missing(&self, vpc: Option<&str>, why: impl Fn(&VpcState) -> Option<Reason>, what: &str) -> Reason {
        match vpc.and_then(|id| self.s.vpcs.get(id)) {
            Some(v) => why(v).unwrap_or_else(|| Reason::NotFound { what: SafeText::from(what) }),
            None => Reason::NotAsked,
        }
    }

    /// Every place an endpoint stands: one, or one per zone of a load balancer.
    /// `Err` says what could not be looked up and why.
    pub(super) fn resolve(&self, e: &Endpoint) -> Result<Vec<Side<'a>>, (SafeText, Reason)> {
        match e {
            Endpoint::Internet => Ok(vec![self.internet()]),
            Endpoint::Address(ip) => Ok(vec![self.address(*ip, None)]),
            Endpoint::Interface(id) => {
                let i = self
                    .interfaces
                    .get(id.as_str())
                    .copied()
                    .ok_or_else(|| (id.clone(), self.any_missing(|v| v.interfaces.why_unknown(), id)))?;
                Ok(vec![self.interface(i, i.id.clone())])
            }
            Endpoint::Instance(id) => {
                let i = self
                    .instances
                    .get(id.as_str())
                    .copied()
                    .ok_or_else(|| (id.clone(), self.any_missing(|v| v.instances.why_unknown(), id)))?;
                Ok(vec![self.instance(i)])
            }
            Endpoint::LoadBalancer(arn) => self.load_balancer(arn),
        }
    }

    fn any_missing(&self, why: impl Fn(&VpcState) -> Option<Reason>, what: &str) -> Reason {
        let mut reasons = self.s.vpcs.values().map(why);
        match reasons.next() {
            None => Reason::NotAsked,
            Some(first) => first
                .or_else(|| reasons.flatten().next())
                .unwrap_or_else(|| Reason::NotFound { what: SafeText::from(what) }),
        }
    }

    /// Anybody on the internet.
    pub(super) fn internet(&self) -> Side<'a> {
        let mut all = space::internet4().to_vec();
        all.push(space::internet6());
        Side {
            label: "internet".into(),
            place: Place::Outside,
            groups: Groups::None("outside"),
            addresses: Cow::Owned(all),
            answers_to: None,
            spread: Spread::World,
            public: Ok(true),
            referable: false,
            ephemeral: (WIDE, "clients use"),
        }
    }

    /// An instance by its primary interface.
    pub(super) fn instance(&self, i: &'a Instance) -> Side<'a> {
        let primary = i.interfaces.first().and_then(|id| self.interfaces.get(id.as_str()));
        Side {
            label: i.id.clone(),
            place: place(&i.vpc, &i.subnet),
            groups: Groups::Known(&i.groups),
            addresses: singles(&i.addresses[..i.addresses.len().min(1)], &i.addresses),
            answers_to: None,
            spread: Spread::Each,
            public: primary.map_or_else(|| Err(Reason::NotAsked), |p| Ok(!p.public_addresses.is_empty())),
            referable: true,
            ephemeral: (LINUX, "Linux uses"),
        }
    }

    /// A network interface by its primary addresses.
    pub(super) fn interface(&self, i: &'a Interface, label: SafeText) -> Side<'a> {
        let wide = matches!(i.kind.as_str(), "nat_gateway" | "lambda" | "network_load_balancer")
            || i.description.starts_with("ELB ");
        Side {
            label,
            place: place(&i.vpc, &i.subnet),
            groups: Groups::Known(&i.groups),
            addresses: singles(&i.addresses[..i.addresses.len().min(1)], &i.addresses),
            answers_to: None,
            spread: Spread::Each,
            public: Ok(!i.public_addresses.is_empty()),
            referable: true,
            ephemeral: if wide { (WIDE, "it uses") } else { (LINUX, "Linux uses") },
        }
    }

    /// Whoever has this address; `vpc` is looked at first.
    pub(super) fn address(&self, ip: IpAddr, vpc: Option<&str>) -> Side<'a> {
        let label = SafeText::from(ip.to_string());
        let here = Cow::Owned(vec![IpNet::from(ip)]);
        let holders = self.by_address.get(&ip).map_or(&[][..], Vec::as_slice);
        let holder = holders.iter().find(|h| vpc.is_some_and(|v| h.vpc() == v)).or(holders.first());
        match holder {
            Some(Holder::Interface(i)) => {
                let private = i.addresses.contains(&ip);
                return Side { addresses: here, referable: private, ..self.interface(i, label) };
            }
            Some(Holder::Instance(i)) => return Side { addresses: here, label, ..self.instance(i) },
            None => {}
        }
        let net = IpNet::from(ip);
        let inside = self
            .subnets
            .values()
            .filter(|s| s.cidrs.iter().any(|c| c.contains(&net)))
            .min_by_key(|s| (vpc.is_none_or(|v| s.vpc.as_str() != v), s.id.clone()));
        let side = Side {
            label,
            place: Place::Outside,
            groups: Groups::None("outside"),
            addresses: here,
            answers_to: None,
            spread: Spread::Each,
            public: Ok(space::is_public(ip)),
            referable: false,
            ephemeral: (LINUX, "Linux uses"),
        };
        match inside {
            Some(s) => {
                let why = self.missing(
                    Some(&s.vpc),
                    |v| v.interfaces.why_unknown(),
                    "the network interface that has this address",
                );
                Side {
                    place: Place::Subnet { vpc: &s.vpc, id: &s.id },
                    groups: Groups::Unknown(why.clone()),
                    public: Err(why),
                    referable: true,
                    ..side
                }
            }
            // A private address may well be in a VPC whose subnets nobody has told us.
            None if !space::is_public(ip) => match self.subnets_unknown(vpc) {
                Some((vpc, why)) => Side {
                    place: Place::Vpc { vpc, why: why.clone() },
                    groups: Groups::Unknown(why.clone()),
                    public: Err(why),
                    referable: true,
                    ..side
                },
                None => side,
            },
            None => side,
        }
    }

    fn subnets_unknown(&self, vpc: Option<&str>) -> Option<(&'a str, Reason)> {
        self.s
            .vpcs
            .iter()
            .filter(|(id, _)| vpc.is_none_or(|v| id.as_str() == v))
            .find_map(|(id, v)| Some((id.as_str(), v.subnets.why_unknown()?)))
    }

    /// The nodes of a load balancer, one side per zone.
    pub(super) fn load_balancer(&self, arn: &SafeText) -> Result<Vec<Side<'a>>, (SafeText, Reason)> {
        let state = self.s.lbs.get(arn).ok_or_else(|| (arn.clone(), Reason::NotAsked))?;
        let lb = state
            .lb
            .value()
            .ok_or_else(|| (arn.clone(), state.lb.why_unknown().unwrap_or(Reason::NotAsked)))?;
        if lb.zones.is_empty() {
            return Err((arn.clone(), Reason::NotFound { what: "subnets of the load balancer".into() }));
        }
        let groups = || {
            if !lb.security_groups.is_empty() {
                Groups::Known(&lb.security_groups)
            } else if lb.kind.as_str() == "application" {
                Groups::Unknown(Reason::NotFound { what: "security groups of the load balancer".into() })
            } else {
                Groups::None("the load balancer has no security group")
            }
        };
        let sides = lb.zones.iter().map(|z| {
            let (addresses, spread) = self.node_addresses(&state.interfaces, &z.subnet);
            Side {
                label: SafeText::from(format!("{} in {}", lb.name, z.az)),
                place: place(&lb.vpc, &z.subnet),
                groups: groups(),
                addresses,
                answers_to: None,
                spread,
                public: match lb.scheme.as_str() {
                    "internet-facing" => Ok(true),
                    "internal" => Ok(false),
                    _ => Err(Reason::NotFound { what: "scheme of the load balancer".into() }),
                },
                referable: true,
                ephemeral: (WIDE, "load balancer nodes use"),
            }
        });
        Ok(sides.collect())
    }

    /// Addresses of a load balancer's nodes in a subnet: its interfaces'
    /// when they were seen, else any address of the subnet.
    fn node_addresses(
        &self,
        interfaces: &'a Datum<Vec<Interface>>,
        subnet: &str,
    ) -> (Cow<'a, [IpNet]>, Spread) {
        let seen: Vec<IpNet> = interfaces
            .value()
            .into_iter()
            .flatten()
            .filter(|i| i.subnet.as_str() == subnet)
            .flat_map(|i| i.addresses.iter().map(|a| IpNet::from(*a)))
            .collect();
        if !seen.is_empty() {
            return (Cow::Owned(seen), Spread::Each);
        }
        let why = interfaces
            .why_unknown()
            .unwrap_or_else(|| Reason::NotFound { what: "addresses of the load balancer's nodes".into() });
        let range = self.subnet(subnet).map_or(&[][..], |s| s.cidrs.as_slice());
        (Cow::Borrowed(range), Spread::Some(why))
    }
}

fn place<'a>(vpc: &'a SafeText, subnet: &'a SafeText) -> Place<'a> {
    if subnet.is_empty() {
        Place::Vpc { vpc, why: Reason::NotFound { what: "its subnet".into() } }
    } else {
        Place::Subnet { vpc, id: subnet }
    }
}

/// The first address of each family, as one-address prefixes.
fn singles<'a>(first: &[IpAddr], all: &[IpAddr]) -> Cow<'a, [IpNet]> {
    let mut out: Vec<IpNet> = first.iter().map(|a| IpNet::from(*a)).collect();
    if let Some(other) = all.iter().find(|a| first.first().is_some_and(|f| f.is_ipv4() != a.is_ipv4())) {
        out.push(IpNet::from(*other));
    }
    Cow::Owned(out)
}
