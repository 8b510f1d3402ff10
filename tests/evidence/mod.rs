//! What surrounds the shop of the scenarios: access log rows, changes, status
//! checks, series of hosts, as data.

use crate::world::*;
use badgate::situation::access::{AccessLog, AccessRow, Share, Tally};
use badgate::situation::around::{
    Activity, ApplicationCheck, Certificate, ChangeEvent, Changes, Database, Function, InstanceStatus,
    ScalingGroup,
};
use badgate::situation::beside::{Caches, Release, WebAcl};
use badgate::situation::metric::{MetricKey, Series};
use badgate::situation::trace::{TraceKind, Traces};
use badgate::situation::{Fact, Topic};
use jiff::SignedDuration;
use serde::Deserialize;

pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:1:function:quotes";
pub const CERTIFICATE: &str = "arn:aws:acm:us-east-1:1:certificate/aa";

/// All of it; what is empty was asked and found to be so.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Kinds of failing rows.
    pub rows: Vec<Rows>,
    /// Good rows a minute, over the whole hour.
    pub good: u32,
    /// Paths of the good rows.
    pub good_paths: Vec<String>,
    /// Minutes before now, event, what it is about.
    pub changes: Option<Vec<(f64, String, String)>>,
    /// Instance and the state of its checks.
    pub status: Vec<(String, String)>,
    /// Namespace, name, statistic, subject, value before the onset, value since.
    pub series: Vec<(String, String, String, String, f64, f64)>,
    /// Id and status.
    pub databases: Vec<(String, String)>,
    /// The web ACL before the load balancer.
    pub acl: Option<WebAcl>,
    /// What it blocks in a minute, before the onset and since.
    pub blocks: Option<(f64, f64)>,
    /// Deployments of CodeDeploy.
    pub releases: Option<Vec<Release>>,
    pub caches: Option<Caches>,
    /// Kinds of failing traces.
    pub traces: Option<Vec<TraceKind>>,
    /// Minutes before now, what, cause.
    pub activities: Option<Vec<(f64, String, String)>>,
    /// Days until the certificate ends.
    pub certificate_days: Option<i64>,
    /// State, timeout in seconds, and who may invoke it.
    pub function: Option<(String, u32, Vec<String>)>,
}

/// Failing rows of one kind, spread evenly over a stretch of time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rows {
    pub n: u32,
    pub elb: u16,
    pub status: Option<u16>,
    pub targets: Vec<String>,
    /// Request, target, response; -1 for none.
    pub times: Option<[f32; 3]>,
    pub took: f64,
    pub paths: Vec<String>,
    pub method: Option<String>,
    pub received: u64,
    pub reason: String,
    pub actions: String,
    /// Only in the first so many minutes.
    pub lasting: Option<i64>,
}

pub fn add(shop: &mut Shop, e: &Evidence, onset: i64) {
    if !e.rows.is_empty() || e.good > 0 {
        shop.more.push(observed(Topic::AccessLog(LB.into()), Fact::AccessLog(Box::new(log(e, onset)))));
    }
    if let Some(list) = &e.changes {
        let events = list
            .iter()
            .map(|(ago, name, about)| ChangeEvent {
                at: before(*ago),
                name: name.as_str().into(),
                user: "mika".into(),
                about: vec![about.as_str().into()],
                id: format!("{name}{ago}").into(),
                ..ChangeEvent::default()
            })
            .collect();
        let changes = Changes { from: Some(before(120.0)), events, ..Changes::default() };
        shop.more.push(observed(Topic::Changes(LB.into()), Fact::Changes(changes)));
    }
    if !e.status.is_empty() {
        // `ok; application ConnectionRefused`: a check of the application fails.
        let all = e.status.iter().map(|(id, state)| {
            let (state, check) = match state.split_once("; application ") {
                Some((state, check)) => (state, Some(check)),
                None => (state.as_str(), None),
            };
            let failing = |reason: &str| ApplicationCheck {
                id: "asc-1".into(),
                reason: reason.into(),
                ..ApplicationCheck::default()
            };
            InstanceStatus {
                id: id.as_str().into(),
                state: "running".into(),
                system: state.into(),
                instance: state.into(),
                application: check.map_or("", |_| "impaired").into(),
                application_checks: check.map(failing).into_iter().collect(),
                ..InstanceStatus::default()
            }
        });
        shop.more.push(observed(Topic::InstanceStatus(VPC.into()), Fact::InstanceStatus(all.collect())));
    }
    if !e.series.is_empty() {
        let all = e.series.iter().map(|(space, name, stat, subject, was, is)| Series {
            key: MetricKey {
                namespace: space.as_str().into(),
                name: name.as_str().into(),
                stat: stat.as_str().into(),
                subject: subject.as_str().into(),
                az: "".into(),
            },
            period_s: 60,
            points: (0..60i64)
                .rev()
                .map(|m| (before(m as f64), if m <= onset { *is } else { *was }))
                .collect(),
        });
        shop.more.push(observed(Topic::HostMetrics(LB.into()), Fact::Metrics(all.collect())));
    }
    if !e.databases.is_empty() {
        let all = e.databases.iter().map(|(id, status)| Database {
            id: id.as_str().into(),
            status: status.as_str().into(),
            ..Database::default()
        });
        shop.more.push(observed(Topic::Databases(VPC.into()), Fact::Databases(all.collect())));
    }
    if let Some(acl) = &e.acl {
        shop.more.push(observed(Topic::WebAcl(LB.into()), Fact::WebAcl(acl.clone())));
        if let Some((was, is)) = e.blocks {
            let of = |subject: String| Series {
                key: MetricKey {
                    namespace: "AWS/WAFV2".into(),
                    name: "BlockedRequests".into(),
                    stat: "Sum".into(),
                    subject: subject.into(),
                    az: "".into(),
                },
                period_s: 60,
                points: (0..60i64)
                    .rev()
                    .map(|m| (before(m as f64), if m < onset { is } else { was }))
                    .collect(),
            };
            let rules = acl.rules.iter().take(1).map(|r| of(format!("{} {}", acl.arn, r.metric)));
            let all = rules.chain([of(acl.arn.to_string())]).collect();
            shop.more.push(observed(Topic::FrontMetrics(acl.arn.clone()), Fact::Metrics(all)));
        }
    }
    if let Some(list) = &e.releases {
        for of in [LB, crate::front::API] {
            shop.more.push(observed(Topic::Releases(of.into()), Fact::Releases(list.clone())));
        }
    }
    if let Some(c) = &e.caches {
        shop.more.push(observed(Topic::Caches(VPC.into()), Fact::Caches(c.clone())));
    }
    if let Some(kinds) = &e.traces {
        // Of whatever stands in view: the API where there is one in front.
        let traces = || Traces { kinds: kinds.clone(), ..Traces::default() };
        for of in [LB, crate::front::API] {
            shop.more.push(observed(Topic::Traces(of.into()), Fact::Traces(traces())));
        }
    }
    if let Some(list) = &e.activities {
        let activities = list.iter().map(|(ago, what, cause)| Activity {
            at: before(*ago),
            status: "Successful".into(),
            what: what.as_str().into(),
            cause: cause.as_str().into(),
            ..Activity::default()
        });
        let group =
            ScalingGroup { name: "web".into(), activities: activities.collect(), ..ScalingGroup::default() };
        shop.more.push(observed(Topic::Scaling(LB.into()), Fact::Scaling(vec![group])));
    }
    if let Some(days) = e.certificate_days {
        shop.listeners[0].protocol = "HTTPS".into();
        shop.listeners[0].certificates = vec![CERTIFICATE.into()];
        let c = Certificate {
            arn: CERTIFICATE.into(),
            status: "ISSUED".into(),
            domain: "shop.example.com".into(),
            not_before: Some(now() - SignedDuration::from_hours(24 * 100)),
            not_after: Some(now() + SignedDuration::from_hours(24 * days)),
            ..Certificate::default()
        };
        shop.more.push(observed(Topic::Certificate(CERTIFICATE.into()), Fact::Certificate(c)));
    }
    if let Some((state, timeout, invokers)) = &e.function {
        shop.group.target_type = "lambda".into();
        shop.targets = vec![health(FUNCTION, 0, "unavailable", "Target.HealthCheckDisabled")];
        let f = Function {
            arn: FUNCTION.into(),
            name: "quotes".into(),
            state: state.as_str().into(),
            timeout_s: Some(*timeout),
            invokers: Some(invokers.iter().map(|i| i.as_str().into()).collect()),
            ..Function::default()
        };
        shop.more.push(observed(Topic::Function(FUNCTION.into()), Fact::Function(f)));
    }
}

fn before(minutes: f64) -> jiff::Timestamp {
    let whole: jiff::Timestamp = "2026-11-22T01:53:00Z".parse().unwrap();
    whole - SignedDuration::from_millis((minutes * 60_000.0) as i64)
}

fn log(e: &Evidence, onset: i64) -> AccessLog {
    let mut log = AccessLog {
        origin: "s3://logs".into(),
        newest: Some(before(1.0)),
        thinned: 1,
        largest_good: 900,
        ..AccessLog::default()
    };
    for m in (1..60i64).rev() {
        let at = before(m as f64);
        log.minutes.push(Tally { at, elb: 200, target: Some(200), rows: e.good });
        for path in &e.good_paths {
            let rows = e.good / e.good_paths.len() as u32;
            log.paths.push(Share { at, of: path.as_str().into(), rows });
        }
    }
    for kind in &e.rows {
        let span = kind.lasting.unwrap_or(onset) as f64 * 60.0 - 60.0;
        for i in 0..kind.n {
            let at = before(onset as f64)
                + SignedDuration::from_millis((span * 1000.0 * f64::from(i) / f64::from(kind.n)) as i64);
            let pick = |list: &[String]| {
                list.get(i as usize % list.len().max(1)).map(|s| s.as_str().into()).unwrap_or_default()
            };
            let time = |k: usize| kind.times.and_then(|t| (t[k] >= 0.0).then_some(t[k]));
            log.minutes.push(Tally { at, elb: kind.elb, target: kind.status, rows: 1 });
            log.failing.push(AccessRow {
                at,
                took_ms: Some((kind.took * 1000.0) as u32),
                target: pick(&kind.targets),
                request_s: time(0),
                target_s: time(1),
                response_s: time(2),
                elb: kind.elb,
                status: kind.status,
                received: kind.received.max(300),
                method: kind.method.as_deref().unwrap_or("GET").into(),
                path: pick(&kind.paths),
                error_reason: kind.reason.as_str().into(),
                actions: kind.actions.as_str().into(),
                group: WEB.into(),
                ..AccessRow::default()
            });
        }
    }
    log
}
