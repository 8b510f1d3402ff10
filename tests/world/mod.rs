//! A small shop on one load balancer, as observations, for tests and benches.
//! Two zones, two load balancer subnets, two application subnets; everything
//! is healthy until a test changes a part before [`Shop::situation`].
#![allow(dead_code, reason = "every test binary uses a part of it")]

use badgate::situation::elb::{
    Attributes, HealthCheck, Listener, LoadBalancer, TargetGroup, TargetHealth, Zone,
};
use badgate::situation::metric::{MetricKey, Series};
use badgate::situation::net::{
    AclEntry, Destination, Instance, Interface, NetworkAcl, Peer, PrefixList, Protocol, Route, RouteTable,
    SecurityGroup, SgRule, Subnet,
};
use badgate::situation::{Fact, Observation, Reason, ResolvedTarget, Situation, Topic};
use badgate::text::SafeText;
use jiff::{SignedDuration, Timestamp};

pub const LB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop/50dc6c49";
pub const WEB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/6d0ecf83";
pub const VPC: &str = "vpc-1";

/// The moment everything is observed: 01:53:51 of the day in the design.
pub fn now() -> Timestamp {
    "2026-11-22T01:53:51Z".parse().unwrap()
}

pub fn minutes_ago(n: i64) -> Timestamp {
    now() - SignedDuration::from_mins(n)
}

pub fn net(s: &str) -> ipnet::IpNet {
    s.parse().unwrap()
}

pub fn texts(list: &[&str]) -> Vec<SafeText> {
    list.iter().map(|s| SafeText::from(*s)).collect()
}

pub fn observed(topic: Topic, fact: Fact) -> Observation {
    Observation { at: now(), source: "test".into(), topic, fact, took_ms: 0 }
}

/// A security group rule for a protocol, a port range and a peer:
/// `10.0.0.0/8`, `sg-...` or `pl-...`.
pub fn rule(protocol: Protocol, ports: Option<(i32, i32)>, peer: &str) -> SgRule {
    let peer = if peer.starts_with("sg-") {
        Peer::Group { id: peer.into(), owner: "".into(), peering: "".into(), peering_status: "".into() }
    } else if peer.starts_with("pl-") {
        Peer::PrefixList(peer.into())
    } else {
        Peer::Cidr(net(peer))
    };
    SgRule {
        protocol,
        from_port: ports.map(|p| p.0),
        to_port: ports.map(|p| p.1),
        peer,
        description: SafeText::default(),
    }
}

pub fn tcp(port: i32, peer: &str) -> SgRule {
    rule(Protocol::Tcp, Some((port, port)), peer)
}

pub fn all_traffic(peer: &str) -> SgRule {
    rule(Protocol::All, None, peer)
}

pub fn group(id: &str, ingress: Vec<SgRule>, egress: Vec<SgRule>) -> SecurityGroup {
    SecurityGroup { id: id.into(), name: "".into(), vpc: VPC.into(), ingress, egress, ..Default::default() }
}

/// An ACL entry; `ports` `None` means all.
pub fn entry(
    number: u32,
    egress: bool,
    allow: bool,
    protocol: Protocol,
    cidr: &str,
    ports: Option<(u16, u16)>,
) -> AclEntry {
    AclEntry { number, egress, allow, protocol, cidr: net(cidr), ports, icmp: None }
}

/// An ACL that lets everything through, like a VPC's default one.
pub fn open_acl(id: &str, subnets: &[&str]) -> NetworkAcl {
    NetworkAcl {
        id: id.into(),
        vpc: VPC.into(),
        subnets: texts(subnets),
        entries: vec![
            entry(100, true, true, Protocol::All, "0.0.0.0/0", None),
            entry(100, false, true, Protocol::All, "0.0.0.0/0", None),
            entry(32767, true, false, Protocol::All, "0.0.0.0/0", None),
            entry(32767, false, false, Protocol::All, "0.0.0.0/0", None),
        ],
        ..Default::default()
    }
}

pub fn route(to: &str, target: &str) -> Route {
    let destination =
        if to.starts_with("pl-") { Destination::PrefixList(to.into()) } else { Destination::Cidr(net(to)) };
    Route { destination, target: target.into(), active: true, origin: "CreateRoute".into() }
}

pub fn table(id: &str, main: bool, subnets: &[&str], routes: Vec<Route>) -> RouteTable {
    RouteTable { id: id.into(), vpc: VPC.into(), main, subnets: texts(subnets), routes, ..Default::default() }
}

pub fn subnet(id: &str, az: &str, cidr: &str) -> Subnet {
    Subnet { id: id.into(), vpc: VPC.into(), az: az.into(), cidrs: vec![net(cidr)], ..Default::default() }
}

pub fn instance(id: &str, subnet: &str, groups: &[&str], address: &str) -> Instance {
    Instance {
        id: id.into(),
        state: "running".into(),
        vpc: VPC.into(),
        subnet: subnet.into(),
        groups: texts(groups),
        addresses: vec![address.parse().unwrap()],
        ..Default::default()
    }
}

pub fn interface(id: &str, subnet: &str, groups: &[&str], address: &str) -> Interface {
    Interface {
        id: id.into(),
        kind: "interface".into(),
        status: "in-use".into(),
        vpc: VPC.into(),
        subnet: subnet.into(),
        groups: texts(groups),
        addresses: vec![address.parse().unwrap()],
        ..Default::default()
    }
}

pub fn health(id: &str, port: u16, state: &str, reason: &str) -> TargetHealth {
    TargetHealth {
        id: id.into(),
        port: Some(port),
        az: "us-east-1a".into(),
        state: state.into(),
        reason: reason.into(),
        ..Default::default()
    }
}

pub fn series(subject: &str, name: &str, stat: &str, points: Vec<(Timestamp, f64)>) -> Series {
    Series { key: MetricKey::alb(subject, name, stat), period_s: 60, points }
}

pub fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(k, v)| (SafeText::from(*k), SafeText::from(*v))).collect()
}

/// Everything about the shop; change a part, then ask for the situation.
#[derive(Clone)]
pub struct Shop {
    pub lb: LoadBalancer,
    pub lb_attributes: Attributes,
    pub listeners: Vec<Listener>,
    pub group: TargetGroup,
    pub group_attributes: Attributes,
    pub targets: Vec<TargetHealth>,
    pub subnets: Vec<Subnet>,
    pub security_groups: Vec<SecurityGroup>,
    pub acls: Vec<NetworkAcl>,
    pub tables: Vec<RouteTable>,
    pub instances: Vec<Instance>,
    pub interfaces: Vec<Interface>,
    pub lb_interfaces: Vec<Interface>,
    pub prefix_lists: Vec<PrefixList>,
    pub metrics: Vec<Series>,
    /// Topics that failed instead of answering.
    pub failed: Vec<(Topic, Reason)>,
    /// More observations, folded last.
    pub more: Vec<Observation>,
}

impl Default for Shop {
    fn default() -> Shop {
        let zones = [("us-east-1a", "subnet-pub-a"), ("us-east-1b", "subnet-pub-b")];
        let node = |id: &str, subnet: &str, ip: &str, public: &str| Interface {
            description: "ELB app/shop/50dc6c49".into(),
            requester: "amazon-elb".into(),
            public_addresses: vec![public.parse().unwrap()],
            ..interface(id, subnet, &["sg-alb"], ip)
        };
        Shop {
            lb: LoadBalancer {
                arn: LB.into(),
                name: "shop".into(),
                dns_name: "shop-1.us-east-1.elb.amazonaws.com".into(),
                kind: "application".into(),
                scheme: "internet-facing".into(),
                vpc: VPC.into(),
                state: "active".into(),
                ip_address_type: "ipv4".into(),
                security_groups: texts(&["sg-alb"]),
                zones: zones.iter().map(|(a, s)| Zone { az: (*a).into(), subnet: (*s).into() }).collect(),
                ..Default::default()
            },
            lb_attributes: attributes(&[
                ("idle_timeout.timeout_seconds", "60"),
                ("client_keep_alive.seconds", "3600"),
            ]),
            listeners: vec![Listener {
                arn: "listener-1".into(),
                lb: LB.into(),
                port: 443,
                protocol: "HTTPS".into(),
                ..Default::default()
            }],
            group: TargetGroup {
                arn: WEB.into(),
                name: "web".into(),
                protocol: "HTTP".into(),
                protocol_version: "HTTP1".into(),
                port: Some(8080),
                vpc: VPC.into(),
                target_type: "instance".into(),
                lb_arns: texts(&[LB]),
                health_check: HealthCheck {
                    enabled: Some(true),
                    protocol: "HTTP".into(),
                    port: "traffic-port".into(),
                    path: "/health".into(),
                    interval_s: Some(30),
                    timeout_s: Some(5),
                    healthy_threshold: Some(5),
                    unhealthy_threshold: Some(2),
                    matcher: "200".into(),
                },
            },
            group_attributes: attributes(&[
                ("deregistration_delay.timeout_seconds", "300"),
                ("slow_start.duration_seconds", "0"),
            ]),
            targets: vec![health("i-a", 8080, "healthy", ""), health("i-b", 8080, "healthy", "")],
            subnets: vec![
                subnet("subnet-pub-a", "us-east-1a", "10.0.1.0/24"),
                subnet("subnet-pub-b", "us-east-1b", "10.0.2.0/24"),
                subnet("subnet-app-a", "us-east-1a", "10.0.11.0/24"),
                subnet("subnet-app-b", "us-east-1b", "10.0.12.0/24"),
            ],
            security_groups: vec![
                group("sg-alb", vec![tcp(443, "0.0.0.0/0")], vec![all_traffic("0.0.0.0/0")]),
                group("sg-app", vec![tcp(8080, "sg-alb")], vec![all_traffic("0.0.0.0/0")]),
            ],
            acls: vec![
                open_acl("acl-pub", &["subnet-pub-a", "subnet-pub-b"]),
                open_acl("acl-app", &["subnet-app-a", "subnet-app-b"]),
            ],
            tables: vec![
                table(
                    "rtb-pub",
                    false,
                    &["subnet-pub-a", "subnet-pub-b"],
                    vec![route("10.0.0.0/16", "local"), route("0.0.0.0/0", "igw-1")],
                ),
                table("rtb-main", true, &[], vec![route("10.0.0.0/16", "local")]),
            ],
            instances: vec![
                instance("i-a", "subnet-app-a", &["sg-app"], "10.0.11.10"),
                instance("i-b", "subnet-app-b", &["sg-app"], "10.0.12.10"),
            ],
            interfaces: Vec::new(),
            lb_interfaces: vec![
                node("eni-lb-a", "subnet-pub-a", "10.0.1.5", "198.51.100.5"),
                node("eni-lb-b", "subnet-pub-b", "10.0.2.5", "198.51.100.6"),
            ],
            prefix_lists: Vec::new(),
            metrics: Vec::new(),
            failed: Vec::new(),
            more: Vec::new(),
        }
    }
}

impl Shop {
    /// Everything known, as the observations a source would send.
    pub fn observations(&self) -> Vec<Observation> {
        let vpc = || SafeText::from(VPC);
        let lb = || self.lb.arn.clone();
        let tg = || self.group.arn.clone();
        let target = ResolvedTarget {
            asked: "shop".into(),
            lb: lb(),
            matched_by: "name".into(),
            ..Default::default()
        };
        let mut all = vec![
            (Topic::Target, Fact::Target(target)),
            (Topic::LoadBalancer(lb()), Fact::LoadBalancer(self.lb.clone())),
            (Topic::LbAttributes(lb()), Fact::Attributes(self.lb_attributes.clone())),
            (Topic::Listeners(lb()), Fact::Listeners(self.listeners.clone())),
            (Topic::TargetGroups(lb()), Fact::TargetGroups(vec![self.group.clone()])),
            (Topic::TgAttributes(tg()), Fact::Attributes(self.group_attributes.clone())),
            (Topic::TargetHealth(tg()), Fact::TargetHealth(self.targets.clone())),
            (Topic::LbInterfaces(lb()), Fact::Interfaces(self.lb_interfaces.clone())),
            (Topic::Subnets(vpc()), Fact::Subnets(self.subnets.clone())),
            (Topic::SecurityGroups(vpc()), Fact::SecurityGroups(self.security_groups.clone())),
            (Topic::NetworkAcls(vpc()), Fact::NetworkAcls(self.acls.clone())),
            (Topic::RouteTables(vpc()), Fact::RouteTables(self.tables.clone())),
            (Topic::Instances(vpc()), Fact::Instances(self.instances.clone())),
            (Topic::Interfaces(vpc()), Fact::Interfaces(self.interfaces.clone())),
            (Topic::Metrics(lb()), Fact::Metrics(self.metrics.clone())),
        ];
        for p in &self.prefix_lists {
            all.push((Topic::PrefixList(p.id.clone()), Fact::PrefixList(p.clone())));
        }
        for (topic, fact) in &mut all {
            if let Some((_, why)) = self.failed.iter().find(|(t, _)| t == topic) {
                *fact = Fact::Unknown(why.clone());
            }
        }
        let mut out: Vec<Observation> = all.into_iter().map(|(t, f)| observed(t, f)).collect();
        out.extend(self.more.iter().cloned());
        out
    }

    /// The fold of [`Shop::observations`].
    pub fn situation(&self) -> Situation {
        let mut s = Situation::new();
        for o in self.observations() {
            s.apply(&o);
        }
        s
    }

    /// A security group by id, to change it.
    pub fn sg(&mut self, id: &str) -> &mut SecurityGroup {
        self.security_groups.iter_mut().find(|g| g.id.as_str() == id).unwrap()
    }

    /// A network ACL by id, to change it.
    pub fn acl(&mut self, id: &str) -> &mut NetworkAcl {
        self.acls.iter_mut().find(|g| g.id.as_str() == id).unwrap()
    }

    /// A route table by id, to change it.
    pub fn table(&mut self, id: &str) -> &mut RouteTable {
        self.tables.iter_mut().find(|g| g.id.as_str() == id).unwrap()
    }
}
