//! Shapes of `aws ec2 describe-*` answers, as far as a path needs them, read
//! and written. Source: AWS CLI command reference, output sections.

mod machines;

use crate::situation::Reason;
use crate::situation::net::{self, AclEntry, Destination, Peer, Protocol, SgRule};
use crate::text::SafeText;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use machines::{Instance, NetworkInterface, Reservation};

/// Text in a message at most, in bytes.
const SHOWN: usize = 80;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    key: SafeText,
    value: SafeText,
}

fn name_of(tags: &[Tag]) -> SafeText {
    tags.iter().find(|t| t.key.as_str() == "Name").map(|t| t.value.clone()).unwrap_or_default()
}

fn named(name: &SafeText) -> Vec<Tag> {
    if name.is_empty() { Vec::new() } else { vec![Tag { key: "Name".into(), value: name.clone() }] }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityGroup {
    group_id: SafeText,
    group_name: SafeText,
    vpc_id: SafeText,
    owner_id: SafeText,
    description: SafeText,
    ip_permissions: Vec<Permission>,
    ip_permissions_egress: Vec<Permission>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Permission {
    ip_protocol: SafeText,
    from_port: Option<i32>,
    to_port: Option<i32>,
    ip_ranges: Vec<Range4>,
    ipv6_ranges: Vec<Range6>,
    user_id_group_pairs: Vec<Pair>,
    prefix_list_ids: Vec<ListId>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Range4 {
    cidr_ip: SafeText,
    description: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Range6 {
    cidr_ipv6: SafeText,
    description: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Pair {
    group_id: SafeText,
    user_id: SafeText,
    vpc_peering_connection_id: SafeText,
    peering_status: SafeText,
    description: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListId {
    prefix_list_id: SafeText,
    description: SafeText,
}

impl SecurityGroup {
    pub fn read(self) -> net::SecurityGroup {
        let rules = |list: &[Permission]| list.iter().flat_map(|p| permission(p, &self.owner_id)).collect();
        net::SecurityGroup {
            ingress: rules(&self.ip_permissions),
            egress: rules(&self.ip_permissions_egress),
            id: self.group_id,
            name: self.group_name,
            vpc: self.vpc_id,
            owner: self.owner_id,
            description: self.description,
        }
    }

    pub fn write(g: &net::SecurityGroup) -> SecurityGroup {
        let list = |rules: &[SgRule]| rules.iter().map(|r| written(r, &g.owner)).collect();
        SecurityGroup {
            group_id: g.id.clone(),
            group_name: g.name.clone(),
            vpc_id: g.vpc.clone(),
            owner_id: g.owner.clone(),
            description: g.description.clone(),
            ip_permissions: list(&g.ingress),
            ip_permissions_egress: list(&g.egress),
        }
    }
}

/// One rule for each peer of a permission.
fn permission(p: &Permission, owner: &SafeText) -> Vec<SgRule> {
    let protocol = Protocol::parse(&p.ip_protocol);
    let rule = |peer: Peer, description: &SafeText| SgRule {
        protocol: protocol.unwrap_or(Protocol::All),
        from_port: p.from_port,
        to_port: p.to_port,
        // A rule for we know not what protocol decides nothing.
        peer: match protocol {
            Some(_) => peer,
            None => Peer::Unreadable(SafeText::capped(format!("protocol {}", p.ip_protocol), SHOWN)),
        },
        description: description.clone(),
    };
    let cidr = |text: &SafeText| match text.parse() {
        Ok(net) => Peer::Cidr(net),
        Err(_) => Peer::Unreadable(SafeText::capped(text.as_str(), SHOWN)),
    };
    let mut out: Vec<SgRule> = p.ip_ranges.iter().map(|r| rule(cidr(&r.cidr_ip), &r.description)).collect();
    out.extend(p.ipv6_ranges.iter().map(|r| rule(cidr(&r.cidr_ipv6), &r.description)));
    out.extend(p.user_id_group_pairs.iter().map(|g| {
        let peer = Peer::Group {
            id: g.group_id.clone(),
            owner: if g.user_id == *owner { SafeText::default() } else { g.user_id.clone() },
            peering: g.vpc_peering_connection_id.clone(),
            peering_status: g.peering_status.clone(),
        };
        rule(peer, &g.description)
    }));
    out.extend(
        p.prefix_list_ids.iter().map(|l| rule(Peer::PrefixList(l.prefix_list_id.clone()), &l.description)),
    );
    out
}

fn written(r: &SgRule, own: &SafeText) -> Permission {
    let mut p = Permission {
        ip_protocol: protocol_name(r.protocol),
        from_port: r.from_port,
        to_port: r.to_port,
        ..Permission::default()
    };
    let description = r.description.clone();
    match &r.peer {
        Peer::Cidr(c @ IpNet::V4(_)) => p.ip_ranges.push(Range4 { cidr_ip: text(c), description }),
        Peer::Cidr(c @ IpNet::V6(_)) => p.ipv6_ranges.push(Range6 { cidr_ipv6: text(c), description }),
        Peer::Group { id, owner, peering, peering_status } => p.user_id_group_pairs.push(Pair {
            group_id: id.clone(),
            user_id: if owner.is_empty() { own.clone() } else { owner.clone() },
            vpc_peering_connection_id: peering.clone(),
            peering_status: peering_status.clone(),
            description,
        }),
        Peer::PrefixList(id) => {
            p.prefix_list_ids.push(ListId { prefix_list_id: id.clone(), description });
        }
        // It stays unreadable when it is read back.
        Peer::Unreadable(what) => p.ip_ranges.push(Range4 { cidr_ip: what.clone(), description }),
    }
    p
}

fn text(x: impl std::fmt::Display) -> SafeText {
    x.to_string().into()
}

fn protocol_name(p: Protocol) -> SafeText {
    match p {
        Protocol::All => "-1".into(),
        Protocol::Tcp => "tcp".into(),
        Protocol::Udp => "udp".into(),
        Protocol::Icmp => "icmp".into(),
        Protocol::Icmpv6 => "icmpv6".into(),
        Protocol::Other(n) => text(n),
    }
}

/// ACLs write protocols as numbers.
fn protocol_number(p: Protocol) -> SafeText {
    match p {
        Protocol::All => "-1".into(),
        Protocol::Tcp => "6".into(),
        Protocol::Udp => "17".into(),
        Protocol::Icmp => "1".into(),
        Protocol::Icmpv6 => "58".into(),
        Protocol::Other(n) => text(n),
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAcl {
    network_acl_id: SafeText,
    vpc_id: SafeText,
    is_default: bool,
    associations: Vec<AclAssociation>,
    entries: Vec<Entry>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AclAssociation {
    subnet_id: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    rule_number: Option<i64>,
    egress: Option<bool>,
    rule_action: SafeText,
    protocol: SafeText,
    cidr_block: SafeText,
    ipv6_cidr_block: SafeText,
    port_range: Option<Ports>,
    icmp_type_code: Option<Icmp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ports {
    from: Option<i64>,
    to: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Icmp {
    r#type: Option<i32>,
    code: Option<i32>,
}

impl NetworkAcl {
    /// An entry that cannot be read makes the whole list unreadable: with one
    /// number missing any other may decide wrongly.
    pub fn read(self) -> Result<net::NetworkAcl, Reason> {
        let mut entries =
            self.entries.iter().map(|e| e.read(&self.network_acl_id)).collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|e| (e.egress, e.number));
        Ok(net::NetworkAcl {
            id: self.network_acl_id,
            name: name_of(&self.tags),
            vpc: self.vpc_id,
            is_default: self.is_default,
            subnets: self.associations.into_iter().map(|a| a.subnet_id).collect(),
            entries,
        })
    }

    pub fn write(a: &net::NetworkAcl) -> NetworkAcl {
        NetworkAcl {
            network_acl_id: a.id.clone(),
            vpc_id: a.vpc.clone(),
            is_default: a.is_default,
            associations: a.subnets.iter().map(|s| AclAssociation { subnet_id: s.clone() }).collect(),
            entries: a.entries.iter().map(Entry::write).collect(),
            tags: named(&a.name),
        }
    }
}

impl Entry {
    fn read(&self, acl: &SafeText) -> Result<AclEntry, Reason> {
        let unreadable = |what: &str| Reason::Malformed {
            detail: SafeText::capped(
                format!("{acl} entry {} has no readable {what}", self.rule_number.unwrap_or_default()),
                200,
            ),
        };
        let allow = match self.rule_action.as_str() {
            "allow" => true,
            "deny" => false,
            _ => return Err(unreadable("action")),
        };
        let port = |p: Option<i64>| p.and_then(|p| u16::try_from(p).ok()).ok_or_else(|| unreadable("ports"));
        let block = if self.cidr_block.is_empty() { &self.ipv6_cidr_block } else { &self.cidr_block };
        Ok(AclEntry {
            number: self
                .rule_number
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| unreadable("number"))?,
            egress: self.egress.ok_or_else(|| unreadable("direction"))?,
            allow,
            protocol: Protocol::parse(&self.protocol).ok_or_else(|| unreadable("protocol"))?,
            cidr: block.parse().map_err(|_| unreadable("CIDR"))?,
            ports: self.port_range.as_ref().map(|r| Ok((port(r.from)?, port(r.to)?))).transpose()?,
            icmp: self.icmp_type_code.as_ref().map(|c| (c.r#type.unwrap_or(-1), c.code.unwrap_or(-1))),
        })
    }

    fn write(e: &AclEntry) -> Entry {
        let v6 = matches!(e.cidr, IpNet::V6(_));
        Entry {
            rule_number: Some(i64::from(e.number)),
            egress: Some(e.egress),
            rule_action: if e.allow { "allow" } else { "deny" }.into(),
            protocol: protocol_number(e.protocol),
            cidr_block: if v6 { SafeText::default() } else { text(e.cidr) },
            ipv6_cidr_block: if v6 { text(e.cidr) } else { SafeText::default() },
            port_range: e.ports.map(|p| Ports { from: Some(p.0.into()), to: Some(p.1.into()) }),
            icmp_type_code: e.icmp.map(|c| Icmp { r#type: Some(c.0), code: Some(c.1) }),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RouteTable {
    route_table_id: SafeText,
    vpc_id: SafeText,
    associations: Vec<TableAssociation>,
    routes: Vec<Route>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TableAssociation {
    main: bool,
    subnet_id: SafeText,
    association_state: Option<AssociationState>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AssociationState {
    state: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Route {
    destination_cidr_block: SafeText,
    destination_ipv6_cidr_block: SafeText,
    destination_prefix_list_id: SafeText,
    gateway_id: SafeText,
    nat_gateway_id: SafeText,
    transit_gateway_id: SafeText,
    vpc_peering_connection_id: SafeText,
    network_interface_id: SafeText,
    instance_id: SafeText,
    egress_only_internet_gateway_id: SafeText,
    carrier_gateway_id: SafeText,
    local_gateway_id: SafeText,
    core_network_arn: SafeText,
    odb_network_arn: SafeText,
    state: SafeText,
    origin: SafeText,
}

impl RouteTable {
    pub fn read(self) -> net::RouteTable {
        let alive = |a: &&TableAssociation| {
            let state = a.association_state.as_ref().map_or("", |s| s.state.as_str());
            !matches!(state, "disassociated" | "disassociating" | "failed")
        };
        let alive: Vec<&TableAssociation> = self.associations.iter().filter(alive).collect();
        net::RouteTable {
            main: alive.iter().any(|a| a.main),
            subnets: alive.iter().filter(|a| !a.subnet_id.is_empty()).map(|a| a.subnet_id.clone()).collect(),
            name: name_of(&self.tags),
            routes: self.routes.into_iter().map(Route::read).collect(),
            id: self.route_table_id,
            vpc: self.vpc_id,
        }
    }

    pub fn write(t: &net::RouteTable) -> RouteTable {
        let mut associations: Vec<TableAssociation> = t
            .subnets
            .iter()
            .map(|s| TableAssociation { subnet_id: s.clone(), ..TableAssociation::default() })
            .collect();
        if t.main {
            associations.push(TableAssociation { main: true, ..TableAssociation::default() });
        }
        RouteTable {
            route_table_id: t.id.clone(),
            vpc_id: t.vpc.clone(),
            associations,
            routes: t.routes.iter().map(Route::write).collect(),
            tags: named(&t.name),
        }
    }
}

impl Route {
    fn read(self) -> net::Route {
        let cidr = if self.destination_cidr_block.is_empty() {
            &self.destination_ipv6_cidr_block
        } else {
            &self.destination_cidr_block
        };
        let destination = match (cidr.is_empty(), self.destination_prefix_list_id.is_empty()) {
            (false, _) => match cidr.parse() {
                Ok(net) => Destination::Cidr(net),
                Err(_) => Destination::Unreadable(SafeText::capped(cidr.as_str(), SHOWN)),
            },
            (true, false) => Destination::PrefixList(self.destination_prefix_list_id.clone()),
            (true, true) => Destination::Unreadable("no destination".into()),
        };
        // An instance as target comes with its interface, which is the exact one.
        let target = [
            &self.gateway_id,
            &self.nat_gateway_id,
            &self.transit_gateway_id,
            &self.vpc_peering_connection_id,
            &self.network_interface_id,
            &self.instance_id,
            &self.egress_only_internet_gateway_id,
            &self.carrier_gateway_id,
            &self.local_gateway_id,
            &self.core_network_arn,
            &self.odb_network_arn,
        ]
        .into_iter()
        .find(|t| !t.is_empty())
        .cloned()
        .unwrap_or_default();
        net::Route {
            destination,
            target,
            active: matches!(self.state.as_str(), "" | "active"),
            origin: self.origin,
        }
    }

    fn write(r: &net::Route) -> Route {
        let mut out = Route {
            state: if r.active { "active" } else { "blackhole" }.into(),
            origin: r.origin.clone(),
            ..Route::default()
        };
        match &r.destination {
            Destination::Cidr(c @ IpNet::V4(_)) => out.destination_cidr_block = text(c),
            Destination::Cidr(c @ IpNet::V6(_)) => out.destination_ipv6_cidr_block = text(c),
            Destination::PrefixList(id) => out.destination_prefix_list_id = id.clone(),
            Destination::Unreadable(what) => out.destination_cidr_block = what.clone(),
        }
        let id = r.target.clone();
        match r.target.split('-').next().unwrap_or("") {
            "nat" => out.nat_gateway_id = id,
            "tgw" => out.transit_gateway_id = id,
            "pcx" => out.vpc_peering_connection_id = id,
            "eni" => out.network_interface_id = id,
            "i" => out.instance_id = id,
            "eigw" => out.egress_only_internet_gateway_id = id,
            "cagw" => out.carrier_gateway_id = id,
            "lgw" => out.local_gateway_id = id,
            arn if arn.starts_with("arn:") => out.core_network_arn = id,
            _ => out.gateway_id = id,
        }
        out
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    subnet_id: SafeText,
    vpc_id: SafeText,
    availability_zone: SafeText,
    cidr_block: SafeText,
    ipv6_cidr_block_association_set: Vec<Block6>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Block6 {
    ipv6_cidr_block: SafeText,
    ipv6_cidr_block_state: Option<AssociationState>,
}

impl Subnet {
    pub fn read(self) -> net::Subnet {
        let v6 = self.ipv6_cidr_block_association_set.iter().filter(|b| {
            let state = b.ipv6_cidr_block_state.as_ref().map_or("", |s| s.state.as_str());
            matches!(state, "" | "associated")
        });
        let all = std::iter::once(&self.cidr_block).chain(v6.map(|b| &b.ipv6_cidr_block));
        net::Subnet {
            cidrs: all.filter_map(|c| c.parse().ok()).collect(),
            id: self.subnet_id,
            name: name_of(&self.tags),
            vpc: self.vpc_id,
            az: self.availability_zone,
        }
    }

    pub fn write(s: &net::Subnet) -> Subnet {
        let block = |c: &IpNet| Block6 { ipv6_cidr_block: text(c), ipv6_cidr_block_state: None };
        let v4 = s.cidrs.iter().find(|c| matches!(c, IpNet::V4(_)));
        Subnet {
            subnet_id: s.id.clone(),
            vpc_id: s.vpc.clone(),
            availability_zone: s.az.clone(),
            cidr_block: v4.map(text).unwrap_or_default(),
            ipv6_cidr_block_association_set: s
                .cidrs
                .iter()
                .filter(|c| matches!(c, IpNet::V6(_)))
                .map(block)
                .collect(),
            tags: named(&s.name),
        }
    }
}
