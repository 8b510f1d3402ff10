//! The simulated account: what the cloud's API would tell of a small shop on
//! one load balancer, two zones wide. Plain data; what happens changes it, and
//! what it says holds for the packets of the drill (see [`super::legs`]).

mod pieces;

use super::script::{Drill, Platform};
use crate::situation::around::{Activity, Certificate, ChangeEvent, Database, Function, ScalingGroup};
use crate::situation::ecs::{Deployment, Service, ServiceEvent, Task, TaskDefinition};
use crate::situation::elb::{
    Action, Attributes, HealthCheck, Listener, LoadBalancer, Rule, TargetGroup, Zone,
};
use crate::situation::net::{Instance, Interface, NetworkAcl, RouteTable, SecurityGroup, Subnet};
use crate::text::SafeText;
use jiff::Timestamp;
use std::net::{IpAddr, Ipv4Addr};

pub use pieces::{
    Place, all_out, definition, definition_arn, entry, forward, path_rule, place, route, task, tcp,
};
use pieces::{acl, attributes, hours, instance, interface, sg, subnet, table, texts};

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
