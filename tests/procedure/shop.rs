//! The shop these tests break, and how a check is run and read.

pub use crate::world::*;
pub use badgate::procedure::{CheckResult, Context, Incident, Lang, Level, Note, Procedure, StepState};
pub use badgate::situation::ecs::{Container, Deployment, Service, ServiceEvent, Task, TaskDefinition};
pub use badgate::situation::elb::{Action, Condition, Rule, WeightedGroup};
pub use badgate::situation::log::{GroupOrigin, LogGroup, LogLine, Tail, TailMode};
pub use badgate::situation::metric::{MetricKey, Series};
pub use badgate::situation::net::Protocol;
pub use badgate::situation::{Change, Fact, Identity, Observation, Reason, ResolvedTarget, Situation, Topic};
pub use badgate::text::SafeText;
pub use jiff::{SignedDuration, Timestamp};
pub use std::sync::LazyLock;

pub static EN: LazyLock<Procedure> = LazyLock::new(|| Procedure::load(Lang::En).unwrap());
pub static JA: LazyLock<Procedure> = LazyLock::new(|| Procedure::load(Lang::Ja).unwrap());

pub const SERVICE: &str = "arn:aws:ecs:us-east-1:1:service/shop/web";
pub const CLUSTER: &str = "arn:aws:ecs:us-east-1:1:cluster/shop";
pub const V1: &str = "arn:aws:ecs:us-east-1:1:task-definition/web:1";
pub const V2: &str = "arn:aws:ecs:us-east-1:1:task-definition/web:2";

pub fn context() -> Context<'static> {
    Context::bare(now(), minutes_ago(30))
}

/// Runs one check; every sentence of it must also be there in Japanese.
pub fn run_with(s: &Situation, check: &str, cx: &Context<'_>) -> CheckResult {
    let of = |p: &Procedure| {
        let step = p.steps.iter().find(|x| x.checks.iter().any(|c| c.id.as_str() == check)).unwrap().id;
        let all = p.run(step, s, cx).unwrap().checks;
        all.into_iter().find(|c| c.id.as_str() == check).unwrap()
    };
    let (en, ja) = (of(&EN), of(&JA));
    let shape =
        |c: &CheckResult| c.findings.iter().map(|f| (f.level, f.evidence.clone())).collect::<Vec<_>>();
    assert_eq!(shape(&en), shape(&ja), "both languages say the same things");
    assert_eq!(en.asked, ja.asked);
    assert_eq!(
        en.manual.iter().map(|m| &m.run).collect::<Vec<_>>(),
        ja.manual.iter().map(|m| &m.run).collect::<Vec<_>>()
    );
    en
}

pub fn run(s: &Situation, check: &str) -> CheckResult {
    run_with(s, check, &context())
}

#[track_caller]
pub fn says(c: &CheckResult, level: Level, part: &str) {
    assert!(c.of(level).any(|f| f.text.contains(part)), "no {level:?} '{part}' in {:#?}", c.findings);
}

#[track_caller]
pub fn silent(c: &CheckResult, level: Level) {
    assert_eq!(c.of(level).map(|f| f.text.to_string()).collect::<Vec<_>>(), Vec::<String>::new(), "{}", c.id);
}

#[track_caller]
pub fn asked(c: &CheckResult, operation: &str) {
    assert!(c.asked.iter().any(|a| a.as_str() == operation), "{operation} is not in {:?}", c.asked);
}

pub fn denied(action: &str) -> Reason {
    Reason::Denied { action: action.into() }
}

pub fn forward(group: &str, weight: u32) -> Action {
    Action {
        kind: "forward".into(),
        groups: vec![WeightedGroup { arn: group.into(), weight }],
        ..Default::default()
    }
}

/// The default shop, with what its own default leaves out: rules, identity,
/// access logs, a certificate, traffic, tags and a log that is read.
pub fn shop() -> Shop {
    let mut shop = Shop::default();
    let listener = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/shop/50dc6c49/f2f7";
    shop.listeners[0].arn = listener.into();
    shop.listeners[0].default_actions = vec![forward(WEB, 1)];
    shop.listeners[0].certificates = texts(&["arn:aws:acm:us-east-1:1:certificate/7f"]);
    shop.lb_attributes.insert("access_logs.s3.enabled".into(), "true".into());
    shop.lb_attributes.insert("access_logs.s3.bucket".into(), "shop-logs".into());
    shop.targets[1].az = "us-east-1b".into();
    shop.metrics = vec![traffic()];
    let rules = vec![
        Rule {
            priority: Some(10),
            conditions: vec![Condition { field: "path-pattern".into(), values: texts(&["/api/*"]) }],
            actions: vec![forward(WEB, 1)],
            ..Default::default()
        },
        Rule { actions: vec![forward(WEB, 1)], ..Default::default() },
    ];
    let tags = vec![
        (SafeText::from(LB), attributes(&[("aws:cloudformation:stack-name", "shop")])),
        (SafeText::from(WEB), attributes(&[("ManagedBy", "terraform")])),
    ];
    shop.more = vec![
        observed(
            Topic::Identity,
            Fact::Identity(Identity {
                account: "123456789012".into(),
                region: "us-east-1".into(),
                ..Default::default()
            }),
        ),
        observed(Topic::Rules(listener.into()), Fact::Rules(rules)),
        observed(Topic::Tags(LB.into()), Fact::Tags(tags)),
        observed(Topic::EcsServices(WEB.into()), Fact::EcsServices(vec![])),
        observed(
            Topic::LogGroups,
            Fact::LogGroups(vec![LogGroup {
                name: "/app/shop".into(),
                origin: GroupOrigin::Option,
                stored_bytes: None,
            }]),
        ),
        observed(
            Topic::Tail("/app/shop".into()),
            Fact::Tail(Tail { mode: TailMode::Live, note: SafeText::default() }),
        ),
        lines(&["INFO request served status=200"]),
    ];
    shop
}

pub fn each_minute(f: impl Fn(i64) -> f64) -> Vec<(Timestamp, f64)> {
    (1..=40).rev().map(|m| (at_minute(m), f(m))).collect()
}

pub fn at_minute(ago: i64) -> Timestamp {
    let t = minutes_ago(ago).as_second();
    Timestamp::from_second(t - t.rem_euclid(60)).unwrap()
}

pub fn traffic() -> Series {
    series(LB, "RequestCount", "Sum", each_minute(|_| 1200.0))
}

/// A count that is published only in the newest `minutes` minutes.
pub fn burst(name: &str, minutes: i64, n: f64) -> Series {
    series(LB, name, "Sum", each_minute(|_| n).into_iter().filter(|p| p.0 >= at_minute(minutes)).collect())
}

pub fn lines(texts: &[&str]) -> Observation {
    let lines = texts
        .iter()
        .zip(1i64..)
        .map(|(t, i)| LogLine {
            at: minutes_ago(12) + SignedDuration::from_secs(i),
            group: "/app/shop".into(),
            stream: "".into(),
            id: format!("e{i}-{t}").into(),
            text: (*t).into(),
        })
        .collect();
    observed(Topic::Tail("/app/shop".into()), Fact::LogLines(lines))
}

/// The same shop on ECS: IP targets, one service of two tasks.
pub fn ecs_shop() -> (Shop, Service, Vec<Task>) {
    let mut shop = shop();
    shop.group.target_type = "ip".into();
    shop.targets = vec![health("10.0.11.10", 8080, "healthy", ""), health("10.0.12.10", 8080, "healthy", "")];
    shop.targets[1].az = "us-east-1b".into();
    shop.more.retain(|o| !matches!(o.topic, Topic::EcsServices(_)));
    let service = Service {
        cluster: CLUSTER.into(),
        name: "web".into(),
        arn: SERVICE.into(),
        desired: 2,
        running: 2,
        task_definition: V2.into(),
        deployments: vec![Deployment {
            status: "PRIMARY".into(),
            rollout_state: "COMPLETED".into(),
            task_definition: V2.into(),
            desired: 2,
            running: 2,
            created: Some(minutes_ago(600)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let task = |n: &str, ip: &str| Task {
        arn: format!("arn:aws:ecs:us-east-1:1:task/shop/{n}").into(),
        cluster: CLUSTER.into(),
        task_definition: V2.into(),
        last_status: "RUNNING".into(),
        address: ip.into(),
        ..Default::default()
    };
    let tasks = vec![task("t1", "10.0.11.10"), task("t2", "10.0.12.10")];
    (shop, service, tasks)
}

pub fn with_ecs(mut shop: Shop, service: Service, tasks: Vec<Task>) -> Situation {
    let definition = TaskDefinition {
        arn: V2.into(),
        containers: vec![Container {
            name: "app".into(),
            log_driver: "awslogs".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    shop.more.extend([
        observed(Topic::EcsServices(WEB.into()), Fact::EcsServices(vec![service])),
        observed(Topic::EcsTasks(SERVICE.into()), Fact::EcsTasks(tasks)),
        observed(Topic::TaskDefinition(V2.into()), Fact::TaskDefinition(definition)),
    ]);
    shop.situation()
}
