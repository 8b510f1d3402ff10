//! The simulated account: what the cloud's API would tell of a small shop on
//! one load balancer, two zones wide. Plain data; what happens changes it, and
//! what it says holds for the packets of the drill (see [`super::legs`]).

use super::script::{Drill, Platform};
use crate::situation::around::{Activity, Certificate, ChangeEvent, Database, Function, ScalingGroup};
use crate::situation::ecs::{Container, Deployment, Service, ServiceEvent, Task, TaskDefinition};
use crate::situation::elb::{
    Action, Attributes, Condition, HealthCheck, Listener, LoadBalancer, Rule, TargetGroup, WeightedGroup,
    Zone,
};
use crate::situation::net::{
    AclEntry, Destination, Instance, Interface, NetworkAcl, Peer, Protocol, Route, RouteTable, SecurityGroup,
    SgRule, Subnet,
};
use crate::text::SafeText;
use ipnet::{IpNet, Ipv4Net};
use jiff::{SignedDuration, Timestamp};
use std::net::{IpAddr, Ipv4Addr};

/// An account that nobody has.
pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "ap-northeast-1";
pub const HOST: &str = "shop.example.com";
pub const LB: &str =
    "arn:aws:elasticloadbalancing:ap-northeast-1:111122223333:loadbalancer/app/shop/50dc6c495c0c9188";
pub const LISTENER: &str = "arn:aws:elasticloadbalancing:ap-northeast-1:111122223333:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2";
pub const WEB: &str =
    "arn:aws:elasticloadbalancing:ap-northeast-1:111122223333:targetgroup/web/6d0ecf831eec9f09";
pub const API: &str =
    "arn:aws:elasticloadbalancing:ap-northeast-1:111122223333:targetgroup/api/943f017f100becff";
pub const CERTIFICATE: &str =
    "arn:aws:acm:ap-northeast-1:111122223333:certificate/7c1f3a0e-55aa-4b0e-9d3f-2f6c0d1b8a11";
pub const FUNCTION: &str = "arn:aws:lambda:ap-northeast-1:111122223333:function:quotes";
pub const SERVICE: &str = "arn:aws:ecs:ap-northeast-1:111122223333:service/prod/shop";
pub const VPC: &str = "vpc-0d511a11";
pub const DATABASE: &str = "shop-db";
/// Reason of a target that refuses or resets its checks.
pub const ALB_FAILED: &str = "Target.FailedHealthChecks";
pub const SCALING: &str = "shop-web";

/// Zones, subnets of the load balancer, its node there, subnets of the targets.
pub const ZONES: [(&str, &str, [u8; 4], &str); 2] = [
    ("ap-northeast-1a", "subnet-pub-a", [10, 20, 0, 11], "subnet-app-a"),
    ("ap-northeast-1c", "subnet-pub-c", [10, 20, 1, 11], "subnet-app-c"),
];

/// How a target is doing, in the words of the API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// Index among the hosts.
    pub host: usize,
    pub id: SafeText,
    pub port: u16,
    pub az: SafeText,
    pub state: SafeText,
    pub reason: SafeText,
    pub description: SafeText,
    /// Checks passed and failed in a row.
    pub good: u32,
    pub bad: u32,
    /// Until when a target on its way out may answer what it has begun.
    pub leaves: Option<Timestamp>,
}

/// A target group with its members.
#[derive(Clone, Debug)]
pub struct Group {
    pub tg: TargetGroup,
    pub attributes: Attributes,
    pub members: Vec<Member>,
}

/// Everything the API tells.
#[derive(Clone, Debug)]
pub struct Estate {
    pub lb: LoadBalancer,
    pub lb_attributes: Attributes,
    pub listener: Listener,
    pub rules: Vec<Rule>,
    pub groups: Vec<Group>,
    pub subnets: Vec<Subnet>,
    pub security_groups: Vec<SecurityGroup>,
    pub acls: Vec<NetworkAcl>,
    pub tables: Vec<RouteTable>,
    pub instances: Vec<Instance>,
    pub interfaces: Vec<Interface>,
    pub lb_interfaces: Vec<Interface>,
    pub database: Database,
    pub scaling: Option<ScalingGroup>,
    pub certificate: Certificate,
    pub changes: Vec<ChangeEvent>,
    pub service: Option<Service>,
    pub tasks: Vec<Task>,
    pub definitions: Vec<TaskDefinition>,
    pub function: Option<Function>,
    /// Instances whose status check fails.
    pub impaired: Vec<SafeText>,
    /// The identity provider answers.
    pub login_up: bool,
}

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

fn net(a: [u8; 4], bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(a), bits))
}

/// Any address.
pub fn anywhere() -> IpNet {
    net([0, 0, 0, 0], 0)
}

fn whole_vpc() -> IpNet {
    net([10, 20, 0, 0], 16)
}

fn texts(list: &[&str]) -> Vec<SafeText> {
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

fn sg(id: &str, name: &str, ingress: Vec<SgRule>) -> SecurityGroup {
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

fn acl(id: &str, name: &str, subnets: &[&str]) -> NetworkAcl {
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

fn table(id: &str, name: &str, main: bool, subnets: &[&str], way_out: &str) -> RouteTable {
    RouteTable {
        id: id.into(),
        name: name.into(),
        vpc: VPC.into(),
        main,
        subnets: texts(subnets),
        routes: vec![route(whole_vpc(), "local", true), route(anywhere(), way_out, true)],
    }
}

fn interface(id: &str, subnet: &str, az: &str, groups: &[&str], address: IpAddr) -> Interface {
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

fn instance(p: &Place, running: bool, launched: Timestamp) -> Instance {
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

fn attributes(pairs: &[(&str, String)]) -> Attributes {
    pairs.iter().map(|(k, v)| (SafeText::from(*k), SafeText::from(v.as_str()))).collect()
}

fn hours(n: i64) -> SignedDuration {
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

impl Estate {
    /// The account before anything happens.
    pub fn new(drill: &Drill, start: Timestamp) -> Estate {
        let w = &drill.world;
        let places: Vec<Place> = (0..w.targets + w.spares).map(place).collect();
        let launched = start - hours(31);
        let port = w.port;
        let check_port = w.check_port.unwrap_or(port);
        let mut app_in = vec![tcp(port, "sg-alb"), tcp(22, "10.20.0.0/16")];
        if check_port != port {
            app_in.push(tcp(check_port, "sg-alb"));
        }
        let lb_interfaces = ZONES
            .iter()
            .enumerate()
            .map(|(i, (az, subnet, ip, _))| Interface {
                description: "ELB app/shop/50dc6c495c0c9188".into(),
                requester: "amazon-elb".into(),
                public_addresses: vec![IpAddr::V4(Ipv4Addr::new(
                    198,
                    51,
                    100,
                    20 + u8::try_from(i).unwrap_or(0),
                ))],
                ..interface(&format!("eni-0lb{i}"), subnet, az, &["sg-alb"], IpAddr::V4(Ipv4Addr::from(*ip)))
            })
            .collect();
        let mut e = Estate {
            lb: LoadBalancer {
                arn: LB.into(),
                name: "shop".into(),
                dns_name: format!("shop-1286445337.{REGION}.elb.amazonaws.com").into(),
                kind: "application".into(),
                scheme: "internet-facing".into(),
                vpc: VPC.into(),
                state: "active".into(),
                state_reason: SafeText::default(),
                ip_address_type: "ipv4".into(),
                security_groups: texts(&["sg-alb"]),
                zones: ZONES.iter().map(|z| Zone { az: z.0.into(), subnet: z.1.into() }).collect(),
                created: Some(start - hours(24 * 400)),
            },
            lb_attributes: attributes(&[
                ("idle_timeout.timeout_seconds", w.idle.to_string()),
                ("client_keep_alive.seconds", "3600".into()),
                ("access_logs.s3.enabled", "true".into()),
                ("routing.http.desync_mitigation_mode", "defensive".into()),
            ]),
            listener: Listener {
                arn: LISTENER.into(),
                lb: LB.into(),
                port: 443,
                protocol: "HTTPS".into(),
                ssl_policy: "ELBSecurityPolicy-TLS13-1-2-2021-06".into(),
                certificates: texts(&[CERTIFICATE]),
                default_actions: vec![forward(WEB)],
            },
            rules: Vec::new(),
            groups: vec![group(drill, WEB, "web", start)],
            subnets: Vec::new(),
            security_groups: vec![
                sg("sg-alb", "shop-alb", vec![tcp(443, "0.0.0.0/0")]),
                sg("sg-app", "shop-app", app_in),
                sg("sg-db", "shop-db", vec![tcp(5432, "sg-app")]),
            ],
            acls: vec![
                acl("acl-pub", "public", &["subnet-pub-a", "subnet-pub-c"]),
                acl("acl-app-a", "application-a", &["subnet-app-a"]),
                acl("acl-app-c", "application-c", &["subnet-app-c"]),
            ],
            tables: vec![
                table("rtb-pub", "public", false, &["subnet-pub-a", "subnet-pub-c"], "igw-0a11"),
                table("rtb-app", "application", true, &["subnet-app-a", "subnet-app-c"], "nat-0b22"),
            ],
            instances: Vec::new(),
            interfaces: Vec::new(),
            lb_interfaces,
            database: Database {
                id: DATABASE.into(),
                arn: format!("arn:aws:rds:{REGION}:{ACCOUNT}:db:{DATABASE}").into(),
                status: "available".into(),
                engine: "postgres".into(),
                class: "db.r7g.large".into(),
                host: format!("{DATABASE}.c1.{REGION}.rds.amazonaws.com").into(),
                port: Some(5432),
                security_groups: texts(&["sg-db"]),
                multi_az: true,
            },
            scaling: None,
            certificate: Certificate {
                arn: CERTIFICATE.into(),
                status: "ISSUED".into(),
                domain: HOST.into(),
                names: texts(&[HOST, "www.example.com"]),
                not_before: Some(start - hours(24 * 150)),
                not_after: Some(start + hours(24 * 120)),
                kind: "AMAZON_ISSUED".into(),
                renewal: SafeText::default(),
            },
            changes: Vec::new(),
            service: None,
            tasks: Vec::new(),
            definitions: Vec::new(),
            function: None,
            impaired: Vec::new(),
            login_up: true,
        };
        for (az, id, a, _) in ZONES {
            e.subnets.push(subnet(id, az, [10, 20, a[2], 0]));
        }
        for (i, (az, _, _, id)) in ZONES.iter().enumerate() {
            e.subnets.push(subnet(id, az, [10, 20, if i == 0 { 10 } else { 11 }, 0]));
        }
        if w.login {
            let ask = Action { kind: "authenticate-oidc".into(), order: 1, ..Action::default() };
            e.rules.push(path_rule(5, "/account*", vec![ask, Action { order: 2, ..forward(WEB) }]));
        }
        if w.api_group {
            e.groups.push(group(drill, API, "api", start));
            e.rules.push(path_rule(10, "/api/*", vec![forward(API)]));
        }
        e.rules.push(Rule {
            arn: format!("{}/default", LISTENER.replace(":listener/", ":listener-rule/")).into(),
            listener: LISTENER.into(),
            priority: None,
            conditions: Vec::new(),
            actions: vec![forward(WEB)],
        });
        match w.platform {
            Platform::Ec2 => e.settle_instances(&places, w.targets, launched),
            Platform::Ecs => e.settle_tasks(drill, &places, launched),
            Platform::Lambda => e.settle_function(start),
        }
        e
    }

    fn settle_instances(&mut self, places: &[Place], targets: usize, launched: Timestamp) {
        self.instances = places.iter().enumerate().map(|(i, p)| instance(p, i < targets, launched)).collect();
        let size = i32::try_from(targets).unwrap_or(0);
        self.scaling = Some(ScalingGroup {
            name: SCALING.into(),
            min: 2,
            max: i32::try_from(places.len()).unwrap_or(size),
            desired: size,
            health_check: "ELB".into(),
            grace_s: Some(120),
            suspended: Vec::new(),
            target_groups: texts(&[WEB]),
            instances: places[..targets]
                .iter()
                .map(|p| (p.instance.as_str().into(), "InService".into()))
                .collect(),
            activities: Vec::new(),
        });
    }

    fn settle_tasks(&mut self, drill: &Drill, places: &[Place], started: Timestamp) {
        let w = &drill.world;
        self.interfaces = places
            .iter()
            .enumerate()
            .map(|(i, p)| {
                interface(&format!("eni-0task{i}"), p.subnet, p.az, &["sg-app"], IpAddr::V4(p.address))
            })
            .collect();
        self.tasks = places[..w.targets].iter().map(|p| task(p, 41, started)).collect();
        self.definitions = vec![definition(41, &w.image, w.port)];
        let size = i32::try_from(w.targets).unwrap_or(0);
        self.service = Some(Service {
            cluster: "prod".into(),
            name: "shop".into(),
            arn: SERVICE.into(),
            status: "ACTIVE".into(),
            desired: size,
            running: size,
            pending: 0,
            task_definition: definition_arn(41),
            target_groups: texts(&[WEB]),
            health_grace_s: Some(60),
            exec: None,
            events: vec![ServiceEvent {
                at: started + hours(1),
                message: "(service shop) has reached a steady state.".into(),
            }],
            deployments: vec![Deployment {
                id: "ecs-svc/0041".into(),
                status: "PRIMARY".into(),
                rollout_state: "COMPLETED".into(),
                task_definition: definition_arn(41),
                desired: size,
                running: size,
                created: Some(started),
                updated: Some(started + hours(1)),
                ..Deployment::default()
            }],
        });
    }

    fn settle_function(&mut self, start: Timestamp) {
        self.function = Some(Function {
            arn: FUNCTION.into(),
            name: "quotes".into(),
            state: "Active".into(),
            state_reason: SafeText::default(),
            last_update: "Successful".into(),
            modified: Some(start - hours(200)),
            timeout_s: Some(6),
            memory_mib: Some(256),
            reserved: None,
            invokers: Some(texts(&["elasticloadbalancing.amazonaws.com"])),
            ..Function::default()
        });
    }

    /// A group by ARN.
    pub fn group(&self, arn: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.tg.arn.as_str() == arn)
    }

    /// A number among the load balancer's attributes.
    pub fn idle(&self) -> f64 {
        number(&self.lb_attributes, "idle_timeout.timeout_seconds").unwrap_or(60.0)
    }

    /// An activity of Auto Scaling, newest first.
    pub fn activity(&mut self, at: Timestamp, what: String, cause: &str) {
        if let Some(s) = &mut self.scaling {
            s.activities.insert(
                0,
                Activity {
                    at,
                    ended: Some(at),
                    status: "Successful".into(),
                    what: what.into(),
                    cause: cause.into(),
                },
            );
        }
    }
}

/// A number among attributes.
pub fn number(attributes: &Attributes, key: &str) -> Option<f64> {
    attributes.iter().find(|(k, _)| k.as_str() == key)?.1.parse().ok()
}

fn subnet(id: &str, az: &str, base: [u8; 4]) -> Subnet {
    Subnet {
        id: id.into(),
        name: id.trim_start_matches("subnet-").into(),
        vpc: VPC.into(),
        az: az.into(),
        cidrs: vec![net(base, 24)],
    }
}

fn group(drill: &Drill, arn: &str, name: &str, start: Timestamp) -> Group {
    let w = &drill.world;
    let lambda = w.platform == Platform::Lambda;
    let kind = match w.platform {
        Platform::Ec2 => "instance",
        Platform::Ecs => "ip",
        Platform::Lambda => "lambda",
    };
    let health_check = if lambda {
        HealthCheck { enabled: Some(false), ..HealthCheck::default() }
    } else {
        HealthCheck {
            enabled: Some(true),
            protocol: w.protocol.as_str().into(),
            port: w.check_port.map_or_else(|| "traffic-port".into(), |p| p.to_string()).into(),
            path: "/healthz".into(),
            interval_s: Some(10),
            timeout_s: Some(5),
            healthy_threshold: Some(3),
            unhealthy_threshold: Some(2),
            matcher: "200".into(),
        }
    };
    let members = if lambda {
        vec![Member {
            id: FUNCTION.into(),
            state: "unavailable".into(),
            reason: "Target.HealthCheckDisabled".into(),
            description: "Health checks are not enabled for this target".into(),
            ..Member::default()
        }]
    } else {
        (0..w.targets).map(|n| member(w.platform, n, w.port, "healthy")).collect()
    };
    let _ = start;
    Group {
        tg: TargetGroup {
            arn: arn.into(),
            name: name.into(),
            protocol: if lambda { SafeText::default() } else { w.protocol.as_str().into() },
            protocol_version: if lambda { SafeText::default() } else { "HTTP1".into() },
            port: (!lambda).then_some(w.port),
            vpc: if lambda { SafeText::default() } else { VPC.into() },
            target_type: kind.into(),
            lb_arns: texts(&[LB]),
            health_check,
        },
        attributes: if lambda {
            attributes(&[("lambda.multi_value_headers.enabled", "false".into())])
        } else {
            attributes(&[
                ("deregistration_delay.timeout_seconds", w.drain.to_string()),
                ("slow_start.duration_seconds", "0".into()),
                ("load_balancing.algorithm.type", "round_robin".into()),
            ])
        },
        members,
    }
}

/// The n-th target as a member of a group.
pub fn member(platform: Platform, n: usize, port: u16, state: &str) -> Member {
    let p = place(n);
    let initial = state == "initial";
    Member {
        host: n,
        id: if platform == Platform::Ecs { p.address.to_string().into() } else { p.instance.as_str().into() },
        port,
        az: p.az.into(),
        state: state.into(),
        reason: if initial { "Elb.RegistrationInProgress".into() } else { SafeText::default() },
        description: if initial { "Target registration is in progress".into() } else { SafeText::default() },
        ..Member::default()
    }
}
