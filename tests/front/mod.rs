//! What stands in front of the shop of the scenarios, or without it: a
//! distribution, an API, a Classic or a Network Load Balancer, as data.

use crate::world::*;
use badgate::situation::around::{Certificate, ChangeEvent, Changes, Function};
use badgate::situation::beside::HealthCheck;
use badgate::situation::front::{
    Api, Behavior, Classic, Distribution, FrontLog, FrontRow, InstanceHealth, Integration, Origin, Record,
    Records, Stage, VpcLink,
};
use badgate::situation::metric::{MetricKey, Series};
use badgate::situation::{Fact, ResolvedTarget, Topic};
use badgate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

pub const EDGE: &str = "E1A2B3C4D5F6G7";
pub const API: &str = "a1b2c3d4e5";
pub const CLASSIC: &str = "old-shop";
pub const FN: &str = "arn:aws:lambda:us-east-1:1:function:orders";
pub const NLB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/inner/70dc6c49";
const LISTENER: &str = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/shop/50dc6c49/aa";
const NLISTENER: &str = "arn:aws:elasticloadbalancing:us-east-1:1:listener/net/inner/70dc6c49/aa";
pub const CERT: &str = "arn:aws:acm:us-east-1:1:certificate/bb";

/// Everything in front; what is not given is as in a healthy world.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Front {
    /// `edge`, `api`, `http`, `classic`, `function` or `network`.
    kind: String,
    /// Minutes before now, when it began.
    onset: Option<i64>,
    /// Part of the requests that fail since then; 0.9 unless given.
    share: Option<f64>,
    /// Metrics of failing requests are there.
    no_metrics: bool,
    /// Kinds of failing rows, spread evenly since the onset; no log at all when
    /// neither these nor good ones are given.
    rows: Vec<Row>,
    good: u32,
    /// The shop on a load balancer stands behind.
    behind: bool,
    origin: Option<OriginWorld>,
    /// Seconds errors are kept.
    error_ttl: Option<u32>,
    host_forwarded: bool,
    /// Functions at the edge.
    functions: Vec<String>,
    /// Names of the listener's certificate and days until it ends.
    certificate: Option<(Vec<String>, i64)>,
    /// Security policy, port and protocol of the listener behind.
    listener: Option<(String, u16, String)>,
    /// Namespace, name, statistic, subject, before, since.
    series: Vec<(String, String, String, String, f64, f64)>,
    /// Minutes before now, event, about.
    changes: Vec<(f64, String, String)>,
    integration: Option<IntegrationWorld>,
    function: Option<FunctionWorld>,
    /// Status and message of the VPC link.
    link: Option<(String, String)>,
    /// State, reason code, description.
    instances: Vec<(String, String, String)>,
    idle: Option<u32>,
    cross_zone: Option<bool>,
    /// Host name and what its alias leads to; empty: the zone is there, the record is not.
    records: BTreeMap<String, String>,
    /// Host name and its record sets, where there are several.
    sets: BTreeMap<String, Vec<Record>>,
    /// Health checks of these.
    checks: Vec<HealthCheck>,
    /// Host name asked for.
    host: Option<String>,
    /// Addresses it resolved to when it was looked for.
    addresses: Vec<String>,
    /// Seconds of the Network Load Balancer's listener.
    flow_idle: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    n: u32,
    status: u16,
    detail: String,
    /// Seconds, taken in turn.
    took: Vec<f32>,
    method: String,
    service: Option<u16>,
    inner: Option<u16>,
    message: String,
    untimed: bool,
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OriginWorld {
    domain: Option<String>,
    https_port: Option<u16>,
    policy: Option<String>,
    protocols: Vec<String>,
    read: Option<u32>,
    keepalive: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct IntegrationWorld {
    kind: String,
    uri: String,
    timeout_ms: Option<u32>,
    link: bool,
    has_default: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FunctionWorld {
    timeout: Option<u32>,
    reserved: Option<u32>,
    /// Who may invoke it; API Gateway unless given.
    invokers: Option<Vec<String>>,
}

impl Front {
    /// Its id, by its kind.
    pub fn id(&self) -> SafeText {
        subject(if self.kind == "http" { "api" } else { &self.kind })
    }
}

fn minute(ago: i64) -> Timestamp {
    let whole: Timestamp = "2026-11-22T01:53:00Z".parse().unwrap();
    whole - SignedDuration::from_mins(ago)
}

fn subject(name: &str) -> SafeText {
    match name {
        "edge" => EDGE.into(),
        "api" => API.into(),
        "classic" => CLASSIC.into(),
        "function" => FN.into(),
        "nlb" => NLB.into(),
        "lb" => LB.into(),
        other => other.into(),
    }
}

fn series(f: &Front, namespace: &str, name: &str, stat: &str, of: &str, before: f64, since: f64) -> Series {
    let onset = f.onset.unwrap_or(0);
    let key = MetricKey {
        namespace: namespace.into(),
        name: name.into(),
        stat: stat.into(),
        subject: subject(of),
        az: SafeText::default(),
    };
    let points = (0..60).rev().map(|m| (minute(m), if m < onset { since } else { before })).collect();
    Series { key, period_s: 60, points }
}

fn log(f: &Front) -> FrontLog {
    let onset = f.onset.unwrap_or(0).max(1);
    let mut failing = Vec::new();
    let mut counts: BTreeMap<(Timestamp, u16), u32> = BTreeMap::new();
    for m in 0..60i64 {
        if f.good > 0 {
            counts.insert((minute(m), 200), f.good);
        }
    }
    for kind in &f.rows {
        for i in 0..kind.n {
            let back = f64::from(i + 1) / f64::from(kind.n + 1) * (onset * 60) as f64;
            let at = now() - SignedDuration::from_millis((back * 1000.0) as i64);
            let start = Timestamp::from_second(at.as_second() - at.as_second().rem_euclid(60)).unwrap();
            *counts.entry((start, kind.status)).or_default() += 1;
            let took = kind.took.get(i as usize % kind.took.len().max(1)).copied();
            failing.push(FrontRow {
                at,
                status: kind.status,
                method: if kind.method.is_empty() { "GET".into() } else { kind.method.as_str().into() },
                path: if kind.path.is_empty() { "/cart".into() } else { kind.path.as_str().into() },
                took_s: took,
                result: "Error".into(),
                detail: kind.detail.as_str().into(),
                service: kind.service,
                inner: kind.inner,
                message: kind.message.as_str().into(),
                untimed: kind.untimed,
                ..FrontRow::default()
            });
        }
    }
    failing.sort_by_key(|r| r.at);
    FrontLog {
        origin: "s3://logs".into(),
        newest: Some(now()),
        rows: counts.values().map(|n| u64::from(*n)).sum(),
        minutes: counts.into_iter().map(|((t, s), n)| (t, s, n)).collect(),
        failing,
        thinned: 1,
        ..FrontLog::default()
    }
}

fn texts(list: &[String]) -> Vec<SafeText> {
    list.iter().map(|t| t.as_str().into()).collect()
}

/// Puts it in front of the shop; `shop` keeps its load balancer only when one
/// stands behind.
pub fn add(shop: &mut Shop, f: &Front) {
    let mut target = ResolvedTarget { asked: "shop".into(), matched_by: "id".into(), ..Default::default() };
    target.host = f.host.as_deref().unwrap_or_default().into();
    target.addresses = texts(&f.addresses);
    let mut own: Vec<Series> = Vec::new();
    let share = f.share.unwrap_or(0.9);
    let failing = f.onset.is_some();
    let id: SafeText = match f.kind.as_str() {
        "edge" => {
            target.distribution = EDGE.into();
            edge(shop, f);
            own.push(series(f, "AWS/CloudFront", "Requests", "Sum", "edge", 100.0, 100.0));
            own.push(series(f, "AWS/CloudFront", "5xxErrorRate", "Average", "edge", 0.0, share * 100.0));
            EDGE.into()
        }
        "api" | "http" => {
            target.api = API.into();
            api(shop, f);
            let name = if f.kind == "api" { "5XXError" } else { "5xx" };
            own.push(series(f, "AWS/ApiGateway", "Count", "Sum", "api", 100.0, 100.0));
            own.push(series(f, "AWS/ApiGateway", name, "Sum", "api", 0.0, share * 100.0));
            API.into()
        }
        "classic" => {
            target.classic = CLASSIC.into();
            classic(shop, f);
            own.push(series(f, "AWS/ELB", "RequestCount", "Sum", "classic", 100.0, 100.0));
            own.push(series(f, "AWS/ELB", "HTTPCode_ELB_5XX", "Sum", "classic", 0.0, share * 100.0));
            CLASSIC.into()
        }
        "function" => {
            target.function = FN.into();
            function(shop, f);
            own.push(series(f, "AWS/Lambda", "Invocations", "Sum", "function", 100.0, 100.0));
            FN.into()
        }
        "network" => {
            target.lb = NLB.into();
            network(shop, f);
            SafeText::default()
        }
        "" => {
            target.lb = LB.into();
            SafeText::default()
        }
        other => panic!("no front of the kind '{other}'"),
    };
    if f.behind {
        target.lb = LB.into();
    }
    own.extend(f.series.iter().map(|(ns, name, stat, of, a, b)| series(f, ns, name, stat, of, *a, *b)));
    let (mine, theirs): (Vec<Series>, Vec<Series>) = own.into_iter().partition(|s| s.key.subject != LB);
    shop.metrics.extend(theirs);
    if !id.is_empty() {
        if !f.no_metrics {
            shop.more.push(observed(Topic::FrontMetrics(id.clone()), Fact::Metrics(mine)));
        }
        if f.good > 0 || !f.rows.is_empty() {
            shop.more.push(observed(Topic::FrontLog(id.clone()), Fact::FrontLog(Box::new(log(f)))));
        }
        if failing {
            let event = |(ago, name, about): &(f64, String, String)| ChangeEvent {
                at: now() - SignedDuration::from_millis((ago * 60_000.0) as i64),
                name: name.as_str().into(),
                user: "mika".into(),
                about: vec![about.as_str().into()],
                ..ChangeEvent::default()
            };
            let changes = Changes { events: f.changes.iter().map(event).collect(), ..Changes::default() };
            shop.more.push(observed(Topic::FrontChanges(id), Fact::Changes(changes)));
        }
    } else if f.kind == "network" {
        shop.more.push(observed(Topic::Metrics(NLB.into()), Fact::Metrics(mine)));
    }
    for (host, to) in &f.records {
        let record = Record {
            name: host.as_str().into(),
            kind: "A".into(),
            alias: to.as_str().into(),
            ..Record::default()
        };
        let records = Records {
            zone: "example.com".into(),
            zone_id: "Z1".into(),
            records: if to.is_empty() { vec![] } else { vec![record] },
        };
        shop.more.push(observed(Topic::Records(host.as_str().into()), Fact::Records(records)));
    }
    for (host, list) in &f.sets {
        let records = Records { zone: "example.com".into(), zone_id: "Z1".into(), records: list.clone() };
        shop.more.push(observed(Topic::Records(host.as_str().into()), Fact::Records(records)));
    }
    for c in &f.checks {
        shop.more.push(observed(Topic::HealthCheck(c.id.clone()), Fact::HealthCheck(c.clone())));
    }
    shop.more.insert(0, observed(Topic::Target, Fact::Target(target)));
}

fn edge(shop: &mut Shop, f: &Front) {
    let o = f.origin.as_ref();
    let protocols = o.map(|o| texts(&o.protocols)).filter(|p| !p.is_empty());
    let origin = Origin {
        id: "main".into(),
        domain: o.and_then(|o| o.domain.as_deref()).unwrap_or("origin.example.com").into(),
        kind: "custom".into(),
        http_port: Some(80),
        https_port: o.and_then(|o| o.https_port).or(Some(443)),
        policy: o.and_then(|o| o.policy.as_deref()).unwrap_or("https-only").into(),
        protocols: protocols.unwrap_or_else(|| vec!["TLSv1.2".into()]),
        read_s: o.and_then(|o| o.read).or(Some(30)),
        keepalive_s: o.and_then(|o| o.keepalive).or(Some(5)),
        connect_s: Some(10),
        attempts: Some(3),
        ..Origin::default()
    };
    let functions = f.functions.iter().map(|a| ("viewer-request".into(), a.as_str().into())).collect();
    let d = Distribution {
        id: EDGE.into(),
        domain: "d111.cloudfront.net".into(),
        aliases: vec!["www.example.com".into()],
        status: "Deployed".into(),
        enabled: true,
        behaviors: vec![Behavior {
            pattern: "*".into(),
            origin: "main".into(),
            functions,
            host: Some(f.host_forwarded),
        }],
        origins: vec![origin],
        errors: vec![(502, Some(f.error_ttl.unwrap_or(10)), None)],
        ..Distribution::default()
    };
    shop.more.push(observed(Topic::Distribution(EDGE.into()), Fact::Distribution(Box::new(d))));
    if !f.behind {
        return;
    }
    let (policy, port, protocol) = f
        .listener
        .clone()
        .unwrap_or_else(|| ("ELBSecurityPolicy-TLS13-1-2-2021-06".into(), 443, "HTTPS".into()));
    let l = &mut shop.listeners[0];
    (l.arn, l.port) = (LISTENER.into(), port);
    (l.protocol, l.ssl_policy) = (protocol.as_str().into(), policy.as_str().into());
    l.certificates = vec![CERT.into()];
    let (names, days) = f.certificate.clone().unwrap_or_else(|| (vec!["origin.example.com".into()], 200));
    let c = Certificate {
        arn: CERT.into(),
        status: "ISSUED".into(),
        domain: names[0].as_str().into(),
        names: texts(&names),
        not_after: Some(now() + SignedDuration::from_hours(24 * days)),
        ..Certificate::default()
    };
    shop.more.push(observed(Topic::Certificate(CERT.into()), Fact::Certificate(c)));
    shop.more.push(observed(Topic::ListenerCertificates(LISTENER.into()), Fact::CertificateArns(vec![])));
    if let Some(idle) = f.idle {
        shop.lb_attributes = attributes(&[("idle_timeout.timeout_seconds", &idle.to_string())]);
    }
}

fn function(shop: &mut Shop, f: &Front) {
    let w = f.function.as_ref();
    let usual = || vec!["apigateway.amazonaws.com".to_string()];
    let one = Function {
        arn: FN.into(),
        name: "orders".into(),
        state: "Active".into(),
        timeout_s: Some(w.and_then(|w| w.timeout).unwrap_or(3)),
        reserved: w.and_then(|w| w.reserved),
        invokers: Some(texts(&w.and_then(|w| w.invokers.clone()).unwrap_or_else(usual))),
        ..Function::default()
    };
    shop.more.push(observed(Topic::Function(FN.into()), Fact::Function(one)));
}

fn api(shop: &mut Shop, f: &Front) {
    let i = f.integration.as_ref();
    let invokes = i.is_none_or(|i| i.uri.is_empty());
    let integration = Integration {
        route: "GET /orders".into(),
        kind: i.map(|i| i.kind.as_str()).filter(|k| !k.is_empty()).unwrap_or("AWS_PROXY").into(),
        uri: i.map_or("", |i| i.uri.as_str()).into(),
        function: if invokes { FN.into() } else { SafeText::default() },
        timeout_ms: i.and_then(|i| i.timeout_ms).or(Some(29_000)),
        link: if i.is_some_and(|i| i.link) { "l1".into() } else { SafeText::default() },
        has_default: i.and_then(|i| i.has_default),
        ..Integration::default()
    };
    let link = f.link.as_ref().map(|(status, message)| VpcLink {
        id: "l1".into(),
        name: "inner".into(),
        status: status.as_str().into(),
        message: message.as_str().into(),
        ..VpcLink::default()
    });
    let api = Api {
        id: API.into(),
        name: "orders".into(),
        kind: if f.kind == "http" { "HTTP".into() } else { "REST".into() },
        stages: vec![Stage { name: "prod".into(), access_log: "/apigw/orders".into(), ..Stage::default() }],
        integrations: vec![integration],
        links: link.into_iter().collect(),
        ..Api::default()
    };
    shop.more.push(observed(Topic::Api(API.into()), Fact::Api(Box::new(api))));
    if invokes {
        function(shop, f);
    }
}

fn classic(shop: &mut Shop, f: &Front) {
    let c = Classic {
        name: CLASSIC.into(),
        dns_name: "old-shop-1.us-east-1.elb.amazonaws.com".into(),
        idle_s: f.idle.or(Some(60)),
        cross_zone: f.cross_zone.or(Some(true)),
        listeners: vec![("HTTP".into(), 80, "HTTP".into(), 8080)],
        ..Classic::default()
    };
    shop.more.push(observed(Topic::Classic(CLASSIC.into()), Fact::Classic(Box::new(c))));
    let usual = vec![("InService".to_string(), "N/A".to_string(), "N/A".to_string()); 2];
    let list = if f.instances.is_empty() { &usual } else { &f.instances };
    let health = list.iter().enumerate().map(|(i, (state, reason, text))| InstanceHealth {
        id: format!("i-{i}").into(),
        state: state.as_str().into(),
        reason: reason.as_str().into(),
        description: text.as_str().into(),
    });
    shop.more.push(observed(Topic::InstanceHealth(CLASSIC.into()), Fact::InstanceHealth(health.collect())));
}

fn network(shop: &mut Shop, f: &Front) {
    shop.lb.arn = NLB.into();
    shop.lb.name = "inner".into();
    shop.lb.kind = "network".into();
    shop.group.lb_arns = vec![NLB.into()];
    shop.group.protocol = "TCP".into();
    let l = &mut shop.listeners[0];
    (l.arn, l.lb, l.protocol) = (NLISTENER.into(), NLB.into(), "TCP".into());
    // Without client addresses kept, targets see those of the load balancer.
    let seconds = f.flow_idle.unwrap_or(350).to_string();
    let list = attributes(&[("tcp.idle_timeout.seconds", &seconds)]);
    shop.more.push(observed(Topic::ListenerAttributes(NLISTENER.into()), Fact::Attributes(list)));
    shop.metrics.clear();
}
