//! What the API of the cloud would answer about the stage, as observations.

use super::estate::{ACCOUNT, CERTIFICATE, FUNCTION, HOST, LB, LISTENER, REGION, SERVICE, VPC};
use super::lambda;
use super::script::Platform;
use super::server::{APP, SYSTEM};
use super::stage::World;
use crate::situation::around::{Changes, InstanceStatus};
use crate::situation::elb::TargetHealth;
use crate::situation::log::{GroupOrigin, LogGroup};
use crate::situation::{Fact, Identity, Observation, ResolvedTarget, Topic, Want};
use crate::sources::access_log::Reader;
use crate::text::SafeText;
use jiff::SignedDuration;

/// Rows of the access log are delivered this many seconds after the request.
const DELIVERY: i64 = 45;
/// How far back rows are read.
const ROWS: SignedDuration = SignedDuration::from_mins(45);
/// Where the rows come from, in the drill's account.
const ORIGIN: &str = "/aws/vendedlogs/alb/shop";

/// Who we are and what the target stands for.
pub fn target(world: &World) -> Vec<Observation> {
    let identity = Identity {
        account: ACCOUNT.into(),
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/OnCall/drill").into(),
        region: REGION.into(),
        profile: "drill".into(),
        expires: None,
    };
    let dns = world.estate().lb.dns_name.clone();
    let target = ResolvedTarget {
        asked: HOST.into(),
        host: HOST.into(),
        names: vec![dns],
        addresses: vec!["198.51.100.20".into(), "198.51.100.21".into()],
        lb: LB.into(),
        target_group: SafeText::default(),
        matched_by: "addresses".into(),
        ..ResolvedTarget::default()
    };
    vec![
        said(world, "sts:GetCallerIdentity", Topic::Identity, Fact::Identity(identity)),
        said(world, "dns", Topic::Target, Fact::Target(target)),
    ]
}

fn said(world: &World, source: &str, topic: Topic, fact: Fact) -> Observation {
    Observation { at: world.clock.now(), source: source.into(), topic, fact, took_ms: 0 }
}

/// The answers to one kind of question.
pub fn answers(world: &World, want: Want) -> Vec<Observation> {
    match want {
        Want::Health => health(world),
        Want::Config => config(world),
        Want::Network => network(world),
        Want::Metrics => metrics(world),
        Want::Ecs => ecs(world),
        Want::Around => around(world),
        Want::Changes => {
            let e = world.estate();
            let changes = Changes {
                from: world.begun.checked_sub(SignedDuration::from_hours(6)).ok(),
                events: e.changes.clone(),
                cut: SafeText::default(),
            };
            drop(e);
            vec![said(world, "cloudtrail:LookupEvents", Topic::Changes(LB.into()), Fact::Changes(changes))]
        }
        Want::AccessLog => rows(world),
        Want::LogGroups => {
            let group =
                |name: &str| LogGroup { name: name.into(), origin: GroupOrigin::Tag, stored_bytes: None };
            let list = if world.drill.world.platform == Platform::Lambda {
                vec![group(lambda::LOG)]
            } else {
                vec![group(APP), group(SYSTEM)]
            };
            vec![said(world, "logs:DescribeLogGroups", Topic::LogGroups, Fact::LogGroups(list))]
        }
        Want::Logs => Vec::new(),
        // A drill has neither an endpoint nor hosts to ask.
        Want::Probe | Want::Hosts => Vec::new(),
    }
}

fn health(world: &World) -> Vec<Observation> {
    let groups = world.estate().groups.clone();
    groups
        .into_iter()
        .map(|g| {
            let lambda = g.tg.target_type.as_str() == "lambda";
            let own: Option<u16> = g.tg.health_check.port.parse().ok();
            let list = g
                .members
                .iter()
                .map(|m| TargetHealth {
                    id: m.id.clone(),
                    port: (!lambda).then_some(m.port),
                    az: m.az.clone(),
                    health_port: if lambda { None } else { own },
                    state: m.state.clone(),
                    reason: m.reason.clone(),
                    description: m.description.clone(),
                    ..TargetHealth::default()
                })
                .collect();
            said(world, "elbv2:DescribeTargetHealth", Topic::TargetHealth(g.tg.arn), Fact::TargetHealth(list))
        })
        .collect()
}

fn config(world: &World) -> Vec<Observation> {
    let e = world.estate().clone();
    let lb = || SafeText::from(LB);
    let say = |source: &str, topic, fact| said(world, source, topic, fact);
    let mut out = vec![
        say("elbv2:DescribeLoadBalancers", Topic::LoadBalancer(lb()), Fact::LoadBalancer(e.lb)),
        say(
            "elbv2:DescribeLoadBalancerAttributes",
            Topic::LbAttributes(lb()),
            Fact::Attributes(e.lb_attributes),
        ),
        say("elbv2:DescribeListeners", Topic::Listeners(lb()), Fact::Listeners(vec![e.listener])),
        say("elbv2:DescribeRules", Topic::Rules(LISTENER.into()), Fact::Rules(e.rules)),
        say(
            "elbv2:DescribeTargetGroups",
            Topic::TargetGroups(lb()),
            Fact::TargetGroups(e.groups.iter().map(|g| g.tg.clone()).collect()),
        ),
    ];
    for g in e.groups {
        out.push(say(
            "elbv2:DescribeTargetGroupAttributes",
            Topic::TgAttributes(g.tg.arn),
            Fact::Attributes(g.attributes),
        ));
    }
    out
}

fn network(world: &World) -> Vec<Observation> {
    let e = world.estate().clone();
    let vpc = || SafeText::from(VPC);
    [
        ("ec2:DescribeNetworkInterfaces", Topic::LbInterfaces(LB.into()), Fact::Interfaces(e.lb_interfaces)),
        ("ec2:DescribeSubnets", Topic::Subnets(vpc()), Fact::Subnets(e.subnets)),
        ("ec2:DescribeSecurityGroups", Topic::SecurityGroups(vpc()), Fact::SecurityGroups(e.security_groups)),
        ("ec2:DescribeNetworkAcls", Topic::NetworkAcls(vpc()), Fact::NetworkAcls(e.acls)),
        ("ec2:DescribeRouteTables", Topic::RouteTables(vpc()), Fact::RouteTables(e.tables)),
        ("ec2:DescribeInstances", Topic::Instances(vpc()), Fact::Instances(e.instances)),
        ("ec2:DescribeNetworkInterfaces", Topic::Interfaces(vpc()), Fact::Interfaces(e.interfaces)),
    ]
    .into_iter()
    .map(|(source, topic, fact)| said(world, source, topic, fact))
    .collect()
}

fn metrics(world: &World) -> Vec<Observation> {
    let (lb, hosts) = {
        let m = world.meter();
        (m.series(true), m.series(false))
    };
    let source = "cloudwatch:GetMetricData";
    vec![
        said(world, source, Topic::Metrics(LB.into()), Fact::Metrics(lb)),
        said(world, source, Topic::HostMetrics(LB.into()), Fact::Metrics(hosts)),
    ]
}

fn ecs(world: &World) -> Vec<Observation> {
    let e = world.estate().clone();
    let Some(service) = e.service else { return Vec::new() };
    let groups = e.groups.iter().map(|g| g.tg.arn.clone());
    let mut out: Vec<Observation> = groups
        .map(|arn| {
            let list = vec![service.clone()];
            said(world, "ecs:DescribeServices", Topic::EcsServices(arn), Fact::EcsServices(list))
        })
        .collect();
    out.push(said(world, "ecs:DescribeTasks", Topic::EcsTasks(SERVICE.into()), Fact::EcsTasks(e.tasks)));
    for d in e.definitions {
        out.push(said(
            world,
            "ecs:DescribeTaskDefinition",
            Topic::TaskDefinition(d.arn.clone()),
            Fact::TaskDefinition(d),
        ));
    }
    out
}

fn around(world: &World) -> Vec<Observation> {
    let e = world.estate().clone();
    let say = |source: &str, topic, fact| said(world, source, topic, fact);
    let mut out = vec![
        say(
            "elbv2:DescribeListenerCertificates",
            Topic::ListenerCertificates(LISTENER.into()),
            Fact::CertificateArns(Vec::new()),
        ),
        say(
            "acm:DescribeCertificate",
            Topic::Certificate(CERTIFICATE.into()),
            Fact::Certificate(e.certificate),
        ),
    ];
    match world.drill.world.platform {
        Platform::Ec2 => {
            let ids = e.groups.iter().flat_map(|g| &g.members).map(|m| m.id.clone());
            let status = |id: SafeText| {
                let bad = e.impaired.contains(&id);
                let word = if bad { "impaired" } else { "ok" };
                InstanceStatus {
                    state: "running".into(),
                    system: word.into(),
                    instance: word.into(),
                    volumes: "ok".into(),
                    id,
                    ..InstanceStatus::default()
                }
            };
            let mut list: Vec<InstanceStatus> = ids.map(status).collect();
            list.dedup_by(|a, b| a.id == b.id);
            out.push(say(
                "ec2:DescribeInstanceStatus",
                Topic::InstanceStatus(VPC.into()),
                Fact::InstanceStatus(list),
            ));
            let scaling = e.scaling.into_iter().collect();
            out.push(say(
                "autoscaling:DescribeAutoScalingGroups",
                Topic::Scaling(LB.into()),
                Fact::Scaling(scaling),
            ));
        }
        Platform::Ecs => {}
        Platform::Lambda => {
            if let Some(f) = e.function {
                out.push(say(
                    "lambda:GetFunctionConfiguration",
                    Topic::Function(FUNCTION.into()),
                    Fact::Function(f),
                ));
            }
        }
    }
    if world.drill.world.platform != Platform::Lambda {
        out.push(say(
            "rds:DescribeDBInstances",
            Topic::Databases(VPC.into()),
            Fact::Databases(vec![e.database]),
        ));
    }
    out
}

/// The access log, read from its lines as it would be read from the cloud.
fn rows(world: &World) -> Vec<Observation> {
    let now = world.clock.now();
    let from = now.checked_sub(ROWS).unwrap_or(now).max(world.begun);
    let to = now.checked_sub(SignedDuration::from_secs(DELIVERY)).unwrap_or(now);
    let lines: Vec<String> = world.meter().rows(from, to).map(str::to_owned).collect();
    let mut reader = Reader::new(Some(from));
    for l in &lines {
        reader.line(l);
    }
    let log = reader.finish(ORIGIN.into(), SafeText::default());
    vec![said(world, "logs:FilterLogEvents", Topic::AccessLog(LB.into()), Fact::AccessLog(Box::new(log)))]
}
