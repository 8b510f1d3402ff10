//! What the simulated account is put together from.

use super::{ACCOUNT, LISTENER, REGION, VPC, ZONES};
use crate::situation::ecs::{Container, Task, TaskDefinition};
use crate::situation::elb::{Action, Attributes, Condition, Rule, WeightedGroup};
use crate::situation::net::{
    AclEntry, Destination, Instance, Interface, NetworkAcl, Peer, Protocol, Route, RouteTable, SecurityGroup,
    SgRule, Subnet,
};
use crate::text::SafeText;
use ipnet::{IpNet, Ipv4Net};
use jiff::{SignedDuration, Timestamp};
use std::net::{IpAddr, Ipv4Addr};

/// Where a target stands: name, id, address, zone, subnet.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub name: String,
    /// Instance id.
    pub instance: String,
    pub address: Ipv4Addr,
    pub az: &'static str,
    pub subnet: &'static str,
}

/// The place of the n-th target.
pub fn place(n: usize) -> Place {
    let (az, _, _, subnet) = ZONES[n % 2];
    let low = u8::try_from(10 + n / 2).unwrap_or(200);
    let third = if n.is_multiple_of(2) { 10 } else { 11 };
    Place {
        name: format!("web-{}", n + 1),
        instance: format!("i-0{:x}a3f{:02x}c7d1e{:02x}4", 0xb1 + n * 7, 0x21 + n * 3, 0x5e + n),
        address: Ipv4Addr::new(10, 20, third, low),
        az,
        subnet,
    }
}

pub(super) fn net(a: [u8; 4], bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(a), bits))
}

/// Any address.
pub fn anywhere() -> IpNet {
    net([0, 0, 0, 0], 0)
}

pub(super) fn whole_vpc() -> IpNet {
    net([10, 20, 0, 0], 16)
}

pub(super) fn texts(list: &[&str]) -> Vec<SafeText> {
    list.iter().map(|s| SafeText::from(*s)).collect()
}

/// A rule of a security group for TCP on one port.
pub fn tcp(port: u16, peer: &str) -> SgRule {
    let peer = match peer.parse::<IpNet>() {
        Ok(net) => Peer::Cidr(net),
        Err(_) => Peer::Group {
            id: peer.into(),
            owner: ACCOUNT.into(),
            peering: SafeText::default(),
            peering_status: SafeText::default(),
        },
    };
    SgRule {
        protocol: Protocol::Tcp,
        from_port: Some(i32::from(port)),
        to_port: Some(i32::from(port)),
        peer,
        description: SafeText::default(),
    }
}

/// Everything to anywhere.
pub fn all_out() -> SgRule {
    SgRule {
        protocol: Protocol::All,
        from_port: None,
        to_port: None,
        peer: Peer::Cidr(anywhere()),
        description: SafeText::default(),
    }
}

pub(super) fn sg(id: &str, name: &str, ingress: Vec<SgRule>) -> SecurityGroup {
    SecurityGroup {
        id: id.into(),
        name: name.into(),
        vpc: VPC.into(),
        owner: ACCOUNT.into(),
        description: SafeText::default(),
        ingress,
        egress: vec![all_out()],
    }
}

/// An entry of a network ACL for TCP, or for everything.
pub fn entry(number: u32, egress: bool, allow: bool, cidr: IpNet, ports: Option<(u16, u16)>) -> AclEntry {
    let protocol = if ports.is_some() { Protocol::Tcp } else { Protocol::All };
    AclEntry { number, egress, allow, protocol, cidr, ports, icmp: None }
}

pub(super) fn acl(id: &str, name: &str, subnets: &[&str]) -> NetworkAcl {
    let both = |number, allow| [true, false].map(|egress| entry(number, egress, allow, anywhere(), None));
    NetworkAcl {
        id: id.into(),
        name: name.into(),
        vpc: VPC.into(),
        is_default: false,
        subnets: texts(subnets),
        entries: both(100, true).into_iter().chain(both(32767, false)).collect(),
    }
}

/// A route to a range of addresses.
pub fn route(to: IpNet, target: &str, active: bool) -> Route {
    let origin = if target == "local" { "CreateRouteTable" } else { "CreateRoute" };
    Route { destination: Destination::Cidr(to), target: target.into(), active, origin: origin.into() }
}

pub(super) fn table(id: &str, name: &str, main: bool, subnets: &[&str], way_out: &str) -> RouteTable {
    RouteTable {
        id: id.into(),
        name: name.into(),
        vpc: VPC.into(),
        main,
        subnets: texts(subnets),
        routes: vec![route(whole_vpc(), "local", true), route(anywhere(), way_out, true)],
    }
}

pub(super) fn interface(id: &str, subnet: &str, az: &str, groups: &[&str], address: IpAddr) -> Interface {
    Interface {
        id: id.into(),
        kind: "interface".into(),
        status: "in-use".into(),
        vpc: VPC.into(),
        subnet: subnet.into(),
        az: az.into(),
        groups: texts(groups),
        addresses: vec![address],
        ..Interface::default()
    }
}

pub(super) fn instance(p: &Place, running: bool, launched: Timestamp) -> Instance {
    let tags = [("Name", p.name.as_str()), ("service", "shop"), ("badgate:log-group", "/app/shop")];
    Instance {
        id: p.instance.as_str().into(),
        name: p.name.as_str().into(),
        state: if running { "running" } else { "stopped" }.into(),
        instance_type: "m7g.large".into(),
        vpc: VPC.into(),
        subnet: p.subnet.into(),
        az: p.az.into(),
        groups: texts(&["sg-app"]),
        addresses: vec![IpAddr::V4(p.address)],
        launched: Some(launched),
        tags: tags.iter().map(|(k, v)| (SafeText::from(*k), SafeText::from(*v))).collect(),
        ..Instance::default()
    }
}

/// An action that forwards to one group.
pub fn forward(group: &str) -> Action {
    Action {
        kind: "forward".into(),
        order: 1,
        groups: vec![WeightedGroup { arn: group.into(), weight: 1 }],
        status: None,
        detail: SafeText::default(),
    }
}

/// A rule for one path pattern.
pub fn path_rule(priority: u32, path: &str, actions: Vec<Action>) -> Rule {
    Rule {
        arn: format!(
            "{}/{:016x}",
            LISTENER.replace(":listener/", ":listener-rule/"),
            u64::from(priority) * 0x9e37_79b9
        )
        .into(),
        listener: LISTENER.into(),
        priority: Some(priority),
        conditions: vec![Condition { field: "path-pattern".into(), values: vec![path.into()] }],
        actions,
    }
}

pub(super) fn attributes(pairs: &[(&str, String)]) -> Attributes {
    pairs.iter().map(|(k, v)| (SafeText::from(*k), SafeText::from(v.as_str()))).collect()
}

pub(super) fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

/// The definition of one revision.
pub fn definition(revision: u32, image: &str, port: u16) -> TaskDefinition {
    TaskDefinition {
        arn: definition_arn(revision),
        network_mode: "awsvpc".into(),
        containers: vec![Container {
            name: "app".into(),
            image: image.into(),
            ports: vec![port],
            log_driver: "awslogs".into(),
            log_group: "/app/shop".into(),
            stop_timeout_s: Some(120),
            memory_mib: Some(2048),
        }],
    }
}

/// The ARN of a revision.
pub fn definition_arn(revision: u32) -> SafeText {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/shop:{revision}").into()
}

/// A running task on a target's place.
pub fn task(p: &Place, revision: u32, started: Timestamp) -> Task {
    Task {
        arn: format!(
            "arn:aws:ecs:{REGION}:{ACCOUNT}:task/prod/{}{revision:02}",
            p.instance.trim_start_matches("i-")
        )
        .into(),
        cluster: "prod".into(),
        group: "service:shop".into(),
        task_definition: definition_arn(revision),
        last_status: "RUNNING".into(),
        desired_status: "RUNNING".into(),
        address: p.address.to_string().into(),
        started: Some(started),
        ..Task::default()
    }
}

pub(super) fn subnet(id: &str, az: &str, base: [u8; 4]) -> Subnet {
    Subnet {
        id: id.into(),
        name: id.trim_start_matches("subnet-").into(),
        vpc: VPC.into(),
        az: az.into(),
        cidrs: vec![net(base, 24)],
    }
}
