//! Worlds and the verdicts they must get. The worlds are data
//! (`tests/scenarios/*.toml`): a healthy shop with one thing spoiled.
#![allow(clippy::field_reassign_with_default, reason = "a test spoils one part of a healthy shop")]

mod coverage;
mod evidence;
mod front;
mod world;

use badgate::diagnosis::causes::{RULES, examine};
use badgate::diagnosis::timeouts::{Hop, Measured, settings};
use badgate::diagnosis::verdict::{Diagnosis, Standing, Verdict};
use badgate::situation::ecs::{Container, Deployment, Service, ServiceEvent, Task, TaskDefinition};
use badgate::situation::elb::{Action, TargetHealth, WeightedGroup};
use badgate::situation::log::LogLine;
use badgate::situation::net::Protocol;
use badgate::situation::{Fact, Observation, Reason, Topic};
use badgate::text::SafeText;
use serde::Deserialize;
use std::collections::BTreeMap;
use world::*;

const LISTENER: &str = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/shop/50dc6c49/aa";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    /// What happened, for people.
    #[allow(dead_code, reason = "read by people")]
    story: String,
    #[serde(default)]
    world: World,
    expect: Expect,
}

/// What is not as in the healthy shop. Times are minutes before now.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct World {
    /// When the failure began; counts below are per minute since then.
    onset: Option<i64>,
    /// Requests per minute; 900 unless given.
    requests: Option<f64>,
    /// Metric name and its count in every minute since the onset.
    counts: BTreeMap<String, f64>,
    /// Metric name and minutes before now in which it is 1, over the whole hour.
    drizzle: BTreeMap<String, Vec<i64>>,
    /// Counts per minute of the target group.
    group_counts: BTreeMap<String, f64>,
    /// Largest response time in seconds since the onset.
    slowest: Option<f64>,
    /// State, reason, description; one for each target.
    health: Option<Vec<(String, String, String)>>,
    /// Names of changes to the network; see `spoil`.
    network: Vec<String>,
    target_type: Option<String>,
    protocol: Option<String>,
    health_path: Option<String>,
    lb_state: Option<String>,
    /// State of the first instance.
    instance_state: Option<String>,
    /// Minutes before now, and text.
    log: Vec<(f64, String)>,
    ecs: Option<Ecs>,
    /// A fixed response by the default action.
    fixed: Option<u16>,
    /// A second group nothing is sent to, with no targets.
    idle_group: bool,
    /// Seconds of `server.keepalive`, as measured.
    keepalive: Option<f64>,
    /// Rows, changes and surroundings.
    around: evidence::Evidence,
    /// What stands in front of the shop, or without it.
    front: Option<front::Front>,
    /// What probes met, just now.
    probes: Vec<badgate::situation::probe::Probe>,
    /// What hosts say of themselves.
    hosts: Vec<badgate::situation::host::Host>,
    /// Ids of instances that could not be asked.
    silent_hosts: Vec<String>,
    /// IAM actions that are denied.
    denied: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ecs {
    desired: i32,
    running: i32,
    image: String,
    ports: Vec<u16>,
    /// Minutes before now, and message.
    events: Vec<(i64, String)>,
    /// Minutes before now.
    deployed: Option<i64>,
    /// Minutes before now, stop code, reason, exit.
    stopped: Vec<(i64, String, String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    /// The first verdict is one of these, confirmed or likely. Empty: nobody is named.
    top: Vec<String>,
    /// Standing the first verdict must have.
    standing: Option<String>,
    /// Never confirmed or likely.
    never: Vec<String>,
    /// Cause and its standing.
    stands: BTreeMap<String, String>,
    /// Causes told apart from the verdicts, as risks.
    risks: Vec<String>,
    /// Cause, and what one of its missing answers must say.
    missing: BTreeMap<String, String>,
    trouble: Option<bool>,
}

fn minute(ago: i64) -> jiff::Timestamp {
    let whole: jiff::Timestamp = "2026-11-22T01:53:00Z".parse().unwrap();
    whole - jiff::SignedDuration::from_mins(ago)
}

fn build(w: &World) -> (Shop, Vec<Measured>) {
    let mut shop = Shop::default();
    let requests = w.requests.unwrap_or(900.0);
    let hour = || 0..60i64;
    shop.metrics.push(series(
        LB,
        "RequestCount",
        "Sum",
        hour().rev().map(|m| (minute(m), requests)).collect(),
    ));
    shop.metrics.push(series(
        WEB,
        "RequestCount",
        "Sum",
        hour().rev().map(|m| (minute(m), requests)).collect(),
    ));
    let onset = w.onset.unwrap_or(60);
    let since = |v: f64| (0..onset).rev().map(|m| (minute(m), v)).collect::<Vec<_>>();
    for (name, v) in &w.counts {
        shop.metrics.push(series(LB, name, "Sum", since(*v)));
    }
    for (name, v) in &w.group_counts {
        shop.metrics.push(series(WEB, name, "Sum", since(*v)));
    }
    for (name, minutes) in &w.drizzle {
        let mut points: Vec<_> = minutes.iter().map(|m| (minute(*m), 1.0)).collect();
        points.sort_by_key(|p| p.0);
        shop.metrics.push(series(LB, name, "Sum", points));
    }
    if let Some(v) = w.slowest {
        shop.metrics.push(series(LB, "TargetResponseTime", "Maximum", since(v)));
    }
    if let Some(list) = &w.health {
        shop.targets = list
            .iter()
            .zip(["i-a", "i-b", "i-c", "i-d"])
            .map(|((state, reason, text), id)| TargetHealth {
                description: text.as_str().into(),
                ..health(id, 8080, state, reason)
            })
            .collect();
    }
    for change in &w.network {
        spoil(&mut shop, change);
    }
    let set = |slot: &mut SafeText, v: &Option<String>| {
        if let Some(v) = v {
            *slot = v.as_str().into();
        }
    };
    set(&mut shop.group.target_type, &w.target_type);
    set(&mut shop.group.protocol, &w.protocol);
    set(&mut shop.group.health_check.path, &w.health_path);
    set(&mut shop.lb.state, &w.lb_state);
    set(&mut shop.instances[0].state, &w.instance_state);
    let forward = Action {
        kind: "forward".into(),
        groups: vec![WeightedGroup { arn: WEB.into(), weight: 1 }],
        ..Default::default()
    };
    let answer = w.fixed.map(|status| Action {
        kind: "fixed-response".into(),
        status: Some(status),
        ..Default::default()
    });
    let fixed = answer.is_some();
    shop.listeners[0].default_actions = vec![answer.unwrap_or_else(|| forward.clone())];
    let rule = badgate::situation::elb::Rule {
        listener: "listener-1".into(),
        priority: Some(10),
        actions: vec![forward],
        ..Default::default()
    };
    shop.listeners[0].arn = LISTENER.into();
    let rules = if fixed { vec![rule] } else { vec![] };
    shop.more.push(observed(Topic::Rules(LISTENER.into()), Fact::Rules(rules)));
    if w.idle_group {
        let mut idle = shop.group.clone();
        idle.arn = format!("{WEB}9").into();
        idle.name = "green".into();
        let both = vec![shop.group.clone(), idle.clone()];
        shop.more.push(observed(Topic::TargetGroups(LB.into()), Fact::TargetGroups(both)));
        shop.more.push(observed(Topic::TargetHealth(idle.arn), Fact::TargetHealth(vec![])));
    }
    if let Some(e) = &w.ecs {
        ecs(&mut shop, e);
    }
    if !w.log.is_empty() {
        let lines = w.log.iter().map(|(ago, text)| LogLine {
            at: now() - jiff::SignedDuration::from_millis((ago * 60_000.0) as i64),
            group: "/app/shop".into(),
            stream: "".into(),
            id: "".into(),
            text: text.as_str().into(),
        });
        shop.more.push(observed(Topic::Tail("/app/shop".into()), Fact::LogLines(lines.collect())));
    }
    evidence::add(&mut shop, &w.around, onset);
    if let Some(f) = &w.front {
        front::add(&mut shop, f);
    }
    for action in &w.denied {
        let topic = topic_of(action, w);
        shop.more.retain(|o| o.topic != topic);
        // `of the hosts` tells one call from the same about something else.
        let call = action.split(" of ").next().unwrap_or(action);
        let denied = Reason::Denied { action: call.into() };
        let usual = matches!(
            topic,
            Topic::TargetHealth(_)
                | Topic::LbAttributes(_)
                | Topic::LoadBalancer(_)
                | Topic::Listeners(_)
                | Topic::Instances(_)
                | Topic::Interfaces(_)
                | Topic::SecurityGroups(_)
                | Topic::NetworkAcls(_)
                | Topic::RouteTables(_)
                | Topic::Metrics(_)
        );
        if usual {
            shop.failed.push((topic, denied));
        } else {
            shop.more.push(observed(topic, Fact::Unknown(denied)));
        }
    }
    for p in &w.probes {
        shop.more.push(observed(Topic::Probe(p.url.clone()), Fact::Probe(Box::new(p.clone()))));
    }
    for h in &w.hosts {
        shop.more.push(observed(Topic::Host(h.asked.clone()), Fact::Host(Box::new(h.clone()))));
    }
    for id in &w.silent_hosts {
        let denied = Reason::Denied { action: "ssm:SendCommand".into() };
        shop.more.push(observed(Topic::Host(format!("ssm:{id}").into()), Fact::Unknown(denied)));
    }
    let measured = w.keepalive.map(|seconds| Measured {
        hop: Hop::Target,
        component: "".into(),
        setting: settings::SERVER_KEEPALIVE.into(),
        seconds,
        at: now(),
        source: "probe".into(),
    });
    (shop, measured.into_iter().collect())
}

/// What cannot be read without the right to a call.
fn topic_of(action: &str, w: &World) -> Topic {
    match action {
        "elasticloadbalancing:DescribeTargetHealth" => Topic::TargetHealth(WEB.into()),
        "elasticloadbalancing:DescribeLoadBalancerAttributes" => Topic::LbAttributes(LB.into()),
        "elasticloadbalancing:DescribeListeners" => Topic::Listeners(LB.into()),
        "elasticloadbalancing:DescribeRules" => Topic::Rules(LISTENER.into()),
        "elasticloadbalancing:DescribeInstanceHealth" => Topic::InstanceHealth(front::CLASSIC.into()),
        "acm:DescribeCertificate" => Topic::Certificate(evidence::CERTIFICATE.into()),
        "acm:DescribeCertificate of the origin" => Topic::Certificate(front::CERT.into()),
        "autoscaling:DescribeScalingActivities" => Topic::Scaling(LB.into()),
        "cloudwatch:GetMetricData" => Topic::Metrics(LB.into()),
        "cloudwatch:GetMetricData of the hosts" => Topic::HostMetrics(LB.into()),
        "cloudwatch:GetMetricData of the NLB" => Topic::Metrics(front::NLB.into()),
        "cloudwatch:GetMetricData of the front" | "front metrics" => Topic::FrontMetrics(front_id(w)),
        "ec2:DescribeInstances" => Topic::Instances(VPC.into()),
        "ec2:DescribeInstanceStatus" => Topic::InstanceStatus(VPC.into()),
        "ec2:DescribeNetworkInterfaces" => Topic::Interfaces(VPC.into()),
        "ec2:DescribeSecurityGroups" => Topic::SecurityGroups(VPC.into()),
        "ec2:DescribeNetworkAcls" => Topic::NetworkAcls(VPC.into()),
        "ec2:DescribeRouteTables" => Topic::RouteTables(VPC.into()),
        "ecs:DescribeServices" => Topic::EcsServices(WEB.into()),
        "ecs:DescribeTaskDefinition" => Topic::TaskDefinition("arn:td:7".into()),
        "rds:DescribeDBInstances" => Topic::Databases(VPC.into()),
        "elasticache:DescribeCacheClusters" => Topic::Caches(VPC.into()),
        "xray:GetTraceSummaries" => Topic::Traces(LB.into()),
        "xray:GetTraceSummaries of the API" => Topic::Traces(front::API.into()),
        "codedeploy:ListDeployments" => Topic::Releases(LB.into()),
        "wafv2:GetWebACLForResource" => Topic::WebAcl(LB.into()),
        "route53:GetHealthCheck" => Topic::HealthCheck("hc-1".into()),
        "logs:FilterLogEvents" => Topic::Tail("/app/shop".into()),
        "s3:GetObject" => Topic::AccessLog(LB.into()),
        "s3:GetObject of the front" | "logs:FilterLogEvents of the front" | "front log" => {
            Topic::FrontLog(front_id(w))
        }
        "cloudtrail:LookupEvents" => Topic::Changes(LB.into()),
        "lambda:GetFunctionConfiguration" => Topic::Function(evidence::FUNCTION.into()),
        "lambda:GetFunctionConfiguration of the API" => Topic::Function(front::FN.into()),
        "cloudfront:GetDistributionConfig" => Topic::Distribution(front::EDGE.into()),
        "apigateway:GET" => Topic::Api(front::API.into()),
        "route53:ListResourceRecordSets" => Topic::Records("shop.example.com".into()),
        other => panic!("no topic for {other}"),
    }
}

/// What the front of a world is known by.
fn front_id(w: &World) -> SafeText {
    w.front.as_ref().map(front::Front::id).unwrap_or_default()
}

fn ecs(shop: &mut Shop, e: &Ecs) {
    let service = Service {
        name: "shop".into(),
        arn: "arn:svc".into(),
        task_definition: "arn:td:7".into(),
        target_groups: texts(&[WEB]),
        desired: e.desired,
        running: e.running,
        events: e
            .events
            .iter()
            .map(|(m, t)| ServiceEvent { at: minutes_ago(*m), message: t.as_str().into() })
            .collect(),
        deployments: e
            .deployed
            .iter()
            .map(|m| Deployment {
                task_definition: "arn:td:7".into(),
                created: Some(minutes_ago(*m)),
                rollout_state: "COMPLETED".into(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let container = Container {
        name: "app".into(),
        image: e.image.as_str().into(),
        ports: e.ports.clone(),
        ..Default::default()
    };
    let definition =
        TaskDefinition { arn: "arn:td:7".into(), network_mode: "awsvpc".into(), containers: vec![container] };
    let tasks = e.stopped.iter().map(|(m, code, reason, exit)| Task {
        arn: format!("arn:task/{m}").into(),
        stopped: Some(minutes_ago(*m)),
        stop_code: code.as_str().into(),
        stopped_reason: reason.as_str().into(),
        exits: if exit.is_empty() { vec![] } else { vec![exit.as_str().into()] },
        ..Default::default()
    });
    shop.more.extend([
        observed(Topic::EcsServices(WEB.into()), Fact::EcsServices(vec![service])),
        observed(Topic::TaskDefinition("arn:td:7".into()), Fact::TaskDefinition(definition)),
        observed(Topic::EcsTasks("arn:svc".into()), Fact::EcsTasks(tasks.collect())),
    ]);
}

/// Changes to the network by name.
fn spoil(shop: &mut Shop, change: &str) {
    let deny = |n, egress, cidr: &str, ports| entry(n, egress, false, Protocol::Tcp, cidr, ports);
    match change {
        "app group without ingress" => shop.sg("sg-app").ingress.clear(),
        "app group admits ssh only" => shop.sg("sg-app").ingress = vec![tcp(22, "10.0.0.0/16")],
        "balancer group without egress" => shop.sg("sg-alb").egress.clear(),
        "balancer group egress 443 only" => shop.sg("sg-alb").egress = vec![tcp(443, "0.0.0.0/0")],
        "app acl denies 8080" => {
            shop.acl("acl-app").entries.push(deny(90, false, "10.0.0.0/16", Some((8080, 8080))));
        }
        "app acl denies zone a" => {
            shop.acl("acl-app").entries.push(deny(90, false, "10.0.1.0/24", Some((8080, 8080))));
        }
        "public acl denies 8080 out" => {
            shop.acl("acl-pub").entries.push(deny(80, true, "10.0.0.0/16", Some((8080, 8080))));
        }
        "app acl denies answers" => {
            shop.acl("acl-app").entries.push(deny(90, true, "10.0.0.0/16", Some((1024, 65535))));
        }
        "app acl denies half the answers" => {
            shop.acl("acl-app").entries.push(deny(90, true, "10.0.0.0/16", Some((1024, 32767))));
        }
        "blackhole to the app" => {
            let mut r = route("10.0.11.0/24", "eni-gone");
            r.active = false;
            shop.table("rtb-pub").routes.push(r.clone());
            r.destination = badgate::situation::net::Destination::Cidr(net("10.0.12.0/24"));
            shop.table("rtb-pub").routes.push(r);
        }
        "no way back" => shop.table("rtb-main").routes.clear(),
        other => panic!("no change called '{other}'"),
    }
}

fn judge(s: &Scenario) -> Diagnosis {
    let (shop, measured) = build(&s.world);
    judge_shop(s, &shop, &measured)
}

fn judge_shop(s: &Scenario, shop: &Shop, measured: &[Measured]) -> Diagnosis {
    let observations: Vec<Observation> = shop.observations();
    let mut situation = badgate::situation::Situation::new();
    for o in &observations {
        situation.apply(o);
    }
    let first = examine(&situation, measured);
    assert_eq!(first, examine(&situation, measured), "{}: not deterministic", s.name);
    first
}

fn standing(v: Option<&Verdict>) -> String {
    v.map_or_else(|| "absent".into(), |v| v.standing.word().replace(' ', "_"))
}

fn check(s: &Scenario, problems: &mut Vec<String>) {
    let d = judge(s);
    let named: Vec<String> = d
        .verdicts
        .iter()
        .filter(|v| v.standing.names_it())
        .map(|v| format!("{} ({})", v.cause, v.standing.word()))
        .collect();
    let mut wrong = |what: String| problems.push(format!("{}: {what}; named: {}", s.name, named.join(", ")));
    let known = |id: &str| RULES.iter().any(|r| r.id == id);
    let e = &s.expect;
    let mentioned =
        e.top.iter().chain(&e.never).chain(e.stands.keys()).chain(e.missing.keys()).chain(&e.risks);
    for id in mentioned {
        if !known(id) {
            wrong(format!("the scenario names the unknown cause '{id}'"));
        }
    }
    match d.top() {
        Some(v) if e.top.is_empty() => wrong(format!("nobody should be named, {} is", v.cause)),
        Some(v) if !e.top.iter().any(|t| t == v.cause) => wrong(format!("want {:?} first", e.top)),
        None if !e.top.is_empty() => wrong(format!("want {:?} first", e.top)),
        Some(v) if e.standing.as_ref().is_some_and(|w| *w != v.standing.word()) => {
            wrong(format!("{} should be {:?}", v.cause, e.standing));
        }
        _ => {}
    }
    for n in &e.never {
        if d.of(n).is_some_and(|v| v.standing.names_it()) {
            wrong(format!("{n} must not be named"));
        }
    }
    for (cause, want) in &e.stands {
        let have = standing(d.of(cause));
        if have != *want {
            wrong(format!("{cause} is {have}, want {want}"));
        }
    }
    for (cause, text) in &e.missing {
        let told = d.of(cause).is_some_and(|v| v.missing.iter().any(|l| l.reason.phrase().contains(text)));
        if !told {
            wrong(format!(
                "{cause} does not say that {text} is missing: {:?}",
                d.of(cause).map(|v| &v.missing)
            ));
        }
    }
    for r in &e.risks {
        if !d.risks.iter().any(|x| x.cause == r) {
            wrong(format!("{r} is no risk: {:?}", d.risks.iter().map(|r| r.cause).collect::<Vec<_>>()));
        }
    }
    if e.trouble.is_some_and(|t| t != d.trouble) {
        wrong(format!("trouble is {}", d.trouble));
    }
    for v in &d.verdicts {
        if v.standing == Standing::RuledOut && !v.missing.is_empty() && v.evidence.is_empty() {
            wrong(format!("{} is ruled out by what is not known", v.cause));
        }
        if v.standing == Standing::Unchecked && v.missing.is_empty() {
            wrong(format!("{} is unchecked and lacks nothing", v.cause));
        }
    }
}

fn scenarios() -> Vec<Scenario> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        file.scenario
    };
    let all: Vec<Scenario> = files.iter().flat_map(read).collect();
    assert!(all.len() > 40, "only {} scenarios were read", all.len());
    all
}

#[test]
fn every_world_gets_its_verdict() {
    let mut problems = Vec::new();
    for s in &scenarios() {
        check(s, &mut problems);
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Every observation of every world in turn may not be made: the cause is
/// perhaps not found any more, but it is never ruled out, and nobody else is
/// named who must not be.
#[test]
fn what_is_withheld_excuses_nobody() {
    let mut problems = Vec::new();
    for s in &scenarios() {
        let (shop, measured) = build(&s.world);
        let topics: Vec<Topic> = shop.observations().into_iter().map(|o| o.topic).collect();
        for topic in topics.into_iter().filter(|t| !matches!(t, Topic::Target | Topic::Tail(_))) {
            let mut less = shop.clone();
            let denied = Reason::Denied { action: topic.name().into() };
            less.more.retain(|o| o.topic != topic);
            less.failed.push((topic.clone(), denied));
            let d = judge_shop(s, &less, &measured);
            for cause in &s.expect.top {
                if standing(d.of(cause)) == "ruled_out" {
                    problems.push(format!(
                        "{}: without {topic}, {cause} is ruled out: {:#?}",
                        s.name,
                        d.of(cause)
                    ));
                }
            }
            for n in &s.expect.never {
                if d.of(n).is_some_and(|v| v.standing.names_it()) {
                    problems.push(format!("{}: without {topic}, {n} is named: {:#?}", s.name, d.of(n)));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
