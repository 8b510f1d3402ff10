//! The network as configured: security groups, network ACLs, routes,
//! interfaces. Source of shapes: Amazon EC2 API reference, version 2016-11-15.

use crate::text::SafeText;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An IP protocol as security groups and ACLs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `-1`: every protocol, every port.
    All,
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    /// Any other protocol number; ports do not apply.
    Other(u8),
}

impl Protocol {
    /// Reads a name or number as the EC2 API writes them (`tcp`, `6`, `-1`).
    pub fn parse(s: &str) -> Option<Protocol> {
        match s.to_ascii_lowercase().as_str() {
            "-1" | "all" => Some(Protocol::All),
            "tcp" | "6" => Some(Protocol::Tcp),
            "udp" | "17" => Some(Protocol::Udp),
            "icmp" | "1" => Some(Protocol::Icmp),
            "icmpv6" | "58" => Some(Protocol::Icmpv6),
            other => other.parse().ok().map(Protocol::Other),
        }
    }
}

/// A security group; one rule per peer (the API's nested lists are flattened).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityGroup {
    pub id: SafeText,
    pub name: SafeText,
    pub vpc: SafeText,
    pub owner: SafeText,
    pub description: SafeText,
    pub ingress: Vec<SgRule>,
    pub egress: Vec<SgRule>,
}

/// One permission of a security group towards one peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SgRule {
    pub protocol: Protocol,
    /// First port, or ICMP type; `None` or -1 means all.
    pub from_port: Option<i32>,
    /// Last port, or ICMP code; `None` or -1 means all.
    pub to_port: Option<i32>,
    pub peer: Peer,
    #[serde(default)]
    pub description: SafeText,
}

/// Who a security group rule is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    Cidr(IpNet),
    /// Another (or the same) security group; matches private addresses of its interfaces.
    Group {
        id: SafeText,
        /// Owner account when it is not ours.
        owner: SafeText,
        /// Peering connection when the group is in a peered VPC.
        peering: SafeText,
        /// `active`, ...; empty when not peered.
        peering_status: SafeText,
    },
    PrefixList(SafeText),
    /// Something the API wrote that we cannot read: decides nothing.
    Unreadable(SafeText),
}

/// A network ACL: ordered, stateless, one per subnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkAcl {
    pub id: SafeText,
    pub name: SafeText,
    pub vpc: SafeText,
    pub is_default: bool,
    pub subnets: Vec<SafeText>,
    pub entries: Vec<AclEntry>,
}

/// One numbered entry of a network ACL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AclEntry {
    /// 1 to 32766; 32767 is the implicit final deny (`*`).
    pub number: u32,
    pub egress: bool,
    pub allow: bool,
    pub protocol: Protocol,
    pub cidr: IpNet,
    /// Inclusive port range; `None` = all ports.
    pub ports: Option<(u16, u16)>,
    /// ICMP type and code; -1 = all; `None` = all.
    pub icmp: Option<(i32, i32)>,
}

/// A route table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteTable {
    pub id: SafeText,
    pub name: SafeText,
    pub vpc: SafeText,
    /// True for the table of subnets that name none.
    pub main: bool,
    /// Explicitly associated subnets.
    pub subnets: Vec<SafeText>,
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    pub destination: Destination,
    /// `local`, `igw-...`, `nat-...`, `pcx-...`, `tgw-...`, `eni-...`, `i-...`, `vpce-...`.
    pub target: SafeText,
    /// False when the API says `blackhole`: the target is gone.
    pub active: bool,
    /// `CreateRouteTable`, `CreateRoute`, `EnableVgwRoutePropagation`.
    #[serde(default)]
    pub origin: SafeText,
}

/// What a route is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    Cidr(IpNet),
    PrefixList(SafeText),
    Unreadable(SafeText),
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subnet {
    pub id: SafeText,
    pub name: SafeText,
    pub vpc: SafeText,
    pub az: SafeText,
    /// IPv4 and IPv6 ranges.
    pub cidrs: Vec<IpNet>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    pub id: SafeText,
    pub description: SafeText,
    /// `interface`, `nat_gateway`, `lambda`, ...
    pub kind: SafeText,
    pub status: SafeText,
    pub vpc: SafeText,
    pub subnet: SafeText,
    pub az: SafeText,
    pub groups: Vec<SafeText>,
    /// Private addresses, IPv4 and IPv6, primary first.
    pub addresses: Vec<IpAddr>,
    pub public_addresses: Vec<IpAddr>,
    /// Instance it is attached to; empty when none.
    pub instance: SafeText,
    /// AWS service or account that manages it; empty for the customer's own.
    pub requester: SafeText,
    pub source_dest_check: Option<bool>,
}

/// An EC2 instance, as far as a request path needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    pub id: SafeText,
    pub name: SafeText,
    /// `running`, `stopped`, ...
    pub state: SafeText,
    pub state_reason: SafeText,
    pub instance_type: SafeText,
    pub vpc: SafeText,
    pub subnet: SafeText,
    pub az: SafeText,
    /// Groups of the primary interface.
    pub groups: Vec<SafeText>,
    /// Private addresses, primary first.
    pub addresses: Vec<IpAddr>,
    pub interfaces: Vec<SafeText>,
    pub launched: Option<jiff::Timestamp>,
    pub tags: BTreeMap<SafeText, SafeText>,
}

/// A managed prefix list with its entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrefixList {
    pub id: SafeText,
    pub name: SafeText,
    pub cidrs: Vec<IpNet>,
}
