//! Collects the timers of one load balancer's path, front to back.

use super::servers::server_default;
use super::{Entry, Hop, Kind, Measured, Rule, Source, Value, settings};
use crate::situation::ecs::{Container, Service};
use crate::situation::elb::{Attributes, LoadBalancer, TargetGroup};
use crate::situation::metric::MetricKey;
use crate::situation::{Datum, GroupState, Reason, Situation};
use crate::text::SafeText;
use jiff::Timestamp;
use serde::Serialize;

/// All timers of the path, front to back, and the rules between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Chain {
    pub entries: Vec<Entry>,
    pub rules: Vec<Rule>,
}

impl Chain {
    /// The timer of this name on this target group, or of the load balancer
    /// when `group` is empty.
    pub fn get(&self, group: &str, setting: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.group.as_str() == group && e.setting.as_str() == setting)
    }
}

pub(super) const IDLE: &str = "idle_timeout.timeout_seconds";
pub(super) const CLIENT_KEEPALIVE: &str = "client_keep_alive.seconds";
pub(super) const DEREGISTRATION: &str = "deregistration_delay.timeout_seconds";
pub(super) const SLOW_START: &str = "slow_start.duration_seconds";
pub(super) const NLB_IDLE: &str = "tcp.idle_timeout.seconds";
pub(super) const CHECK_INTERVAL: &str = "HealthCheckIntervalSeconds";
pub(super) const CHECK_TIMEOUT: &str = "HealthCheckTimeoutSeconds";
pub(super) const TIME_TO_UNHEALTHY: &str = "HealthCheckIntervalSeconds x UnhealthyThresholdCount";
pub(super) const TIME_TO_HEALTHY: &str = "HealthCheckIntervalSeconds x HealthyThresholdCount";
pub(super) const STOP_TIMEOUT: &str = "stopTimeout";
pub(super) const GRACE: &str = "healthCheckGracePeriodSeconds";
pub(super) const LONGEST: &str = "TargetResponseTime Maximum";

const ALB_TS: &str = "AWS docs: ALB troubleshooting";

/// Collects without judging.
pub(super) fn collect(s: &Situation, measured: &[Measured]) -> Chain {
    let mut b = Builder { s, measured, out: Vec::new() };
    let Some(lb) = s.load_balancer() else { return Chain::default() };
    let application = lb.kind.as_str() != "network" && lb.kind.as_str() != "gateway";
    b.client();
    if application {
        b.alb(lb);
    } else if lb.kind.as_str() == "network" {
        b.nlb(lb);
    }
    for (arn, state) in s.active_groups() {
        if let Some(tg) = &state.group {
            b.group(arn, state, tg, application);
        }
    }
    b.dependency();
    Chain { entries: b.out, rules: Vec::new() }
}

struct Builder<'a> {
    s: &'a Situation,
    measured: &'a [Measured],
    out: Vec<Entry>,
}

/// Where an entry goes.
struct Slot<'a> {
    hop: Hop,
    component: &'a SafeText,
    group: &'a str,
}

impl Builder<'_> {
    fn push(&mut self, slot: &Slot<'_>, setting: &str, label: &str, kind: Kind, value: Value) {
        self.out.push(Entry {
            hop: slot.hop,
            component: slot.component.clone(),
            group: slot.group.into(),
            setting: setting.into(),
            label: label.into(),
            kind,
            value,
        });
    }

    /// What was learned by hand, else `Unknown` with how to learn it.
    fn learned(&self, slot: &Slot<'_>, setting: &str, how: String) -> Value {
        learned(self.measured, slot.hop, slot.component, setting)
            .unwrap_or(Value::Unknown(Reason::NeedsMeasuring { how: how.into() }))
    }

    fn client(&mut self) {
        let name = SafeText::from("client");
        let slot = Slot { hop: Hop::Client, component: &name, group: "" };
        let how =
            "ask the client's owner, or time a request that never ends: curl -m 0 -w '%{time_total}' URL";
        let v = self.learned(&slot, settings::CLIENT_TIMEOUT, how.into());
        self.push(&slot, settings::CLIENT_TIMEOUT, "client's own limit", Kind::R, v);
    }

    fn alb(&mut self, lb: &LoadBalancer) {
        let state = self.s.lb();
        let none = Datum::default();
        let attrs = state.map_or(&none, |l| &l.attributes);
        let slot = Slot { hop: Hop::LoadBalancer, component: &lb.name, group: "" };
        let doc = "AWS docs: ALB attributes";
        self.push(
            &slot,
            CLIENT_KEEPALIVE,
            "client keep-alive, total",
            Kind::T,
            attribute(attrs, CLIENT_KEEPALIVE, 3600.0, doc),
        );
        self.push(&slot, IDLE, "idle timeout", Kind::K, attribute(attrs, IDLE, 60.0, doc));
        let fixed = |doc: &str| Value::Known { seconds: 10.0, source: Source::Fixed(doc.into()), at: None };
        self.push(&slot, "connect", "connect to target", Kind::C, fixed(ALB_TS));
        let tls = self
            .s
            .active_groups()
            .iter()
            .any(|(_, g)| g.group.as_ref().is_some_and(|g| g.protocol.as_str() == "HTTPS"));
        if tls {
            self.push(&slot, "tls", "TLS handshake with target", Kind::C, fixed(ALB_TS));
        }
    }

    fn nlb(&mut self, lb: &LoadBalancer) {
        let slot = Slot { hop: Hop::LoadBalancer, component: &lb.name, group: "" };
        let how = format!(
            "aws elbv2 describe-listener-attributes --listener-arn ARN, key {NLB_IDLE} (350 unless set)"
        );
        let v = self.learned(&slot, NLB_IDLE, how);
        self.push(&slot, NLB_IDLE, "TCP flow idle", Kind::K, v);
    }

    fn group(&mut self, arn: &SafeText, state: &GroupState, tg: &TargetGroup, application: bool) {
        let slot = Slot { hop: Hop::TargetGroup, component: &tg.name, group: arn };
        let lambda = tg.target_type.as_str() == "lambda";
        let doc = "AWS docs: target group attributes";
        if !lambda {
            let v = attribute(&state.attributes, DEREGISTRATION, 300.0, doc);
            self.push(&slot, DEREGISTRATION, "deregistration delay", Kind::D, v);
            if application {
                let v = attribute(&state.attributes, SLOW_START, 0.0, doc);
                self.push(&slot, SLOW_START, "slow start (0 = off)", Kind::H, v);
            }
        }
        self.health(&slot, tg);
        if lambda {
            let target = Slot { hop: Hop::Target, component: &tg.name, group: arn };
            let how = "aws lambda get-function-configuration --function-name NAME --query Timeout";
            let v = self.learned(&target, settings::FUNCTION, how.into());
            self.push(&target, settings::FUNCTION, "function timeout", Kind::T, v);
            return;
        }
        if tg.target_type.as_str() != "alb" {
            self.server(arn, state, tg);
        }
    }

    fn health(&mut self, slot: &Slot<'_>, tg: &TargetGroup) {
        let h = &tg.health_check;
        if h.enabled == Some(false) {
            return;
        }
        let at = self.s.lb().and_then(|l| l.groups.as_of());
        let api = |seconds: u32| Value::Known {
            seconds: f64::from(seconds),
            source: Source::Api("elbv2:DescribeTargetGroups".into()),
            at,
        };
        let missing = || Value::Unknown(Reason::NotFound { what: "health check setting".into() });
        let value = |v: Option<u32>| v.map_or_else(missing, api);
        self.push(slot, CHECK_INTERVAL, "health check interval", Kind::H, value(h.interval_s));
        self.push(slot, CHECK_TIMEOUT, "health check timeout", Kind::H, value(h.timeout_s));
        let product = |n: Option<u32>| h.interval_s.zip(n).map(|(i, n)| i.saturating_mul(n));
        let bad = value(product(h.unhealthy_threshold));
        self.push(slot, TIME_TO_UNHEALTHY, "time to unhealthy", Kind::H, bad);
        let good = value(product(h.healthy_threshold));
        self.push(slot, TIME_TO_HEALTHY, "time to healthy", Kind::H, good);
    }

    fn server(&mut self, arn: &SafeText, state: &GroupState, tg: &TargetGroup) {
        let target = Slot { hop: Hop::Target, component: &tg.name, group: arn };
        let services: Vec<&Service> = state.services.value().into_iter().flatten().collect();
        let containers = containers(self.s, &services);

        let command = idle_command(self.s, state, tg);
        let how = format!("time until it closes an idle connection, in bash inside the VPC: {command}");
        let mut keep = self.learned(&target, settings::SERVER_KEEPALIVE, how);
        if keep.seconds().is_none()
            && let Some(d) = containers.iter().find_map(|c| server_default(&c.0.image))
        {
            keep = Value::Known {
                seconds: d.keepalive_s,
                source: Source::Assumed(format!("{} default ({})", d.server, d.doc).into()),
                at: None,
            };
        }
        self.push(&target, settings::SERVER_KEEPALIVE, "server keep-alive", Kind::K, keep);

        let how =
            "the server's own limit: gunicorn --timeout, proxy_read_timeout, server.requestTimeout, ...";
        let v = self.learned(&target, settings::SERVER_REQUEST, how.into());
        self.push(&target, settings::SERVER_REQUEST, "server's request limit", Kind::R, v);

        let longest = longest(self.s, arn);
        self.push(&target, LONGEST, "longest request seen", Kind::R, longest);

        let platform = Slot { hop: Hop::Platform, component: &tg.name, group: arn };
        if services.is_empty() {
            let how = "on the target: systemctl show UNIT -p TimeoutStopUSec";
            let v = self.learned(&platform, settings::STOP_GRACE, how.into());
            self.push(&platform, settings::STOP_GRACE, "stop grace of the process", Kind::D, v);
        } else {
            self.ecs(arn, &services, &containers);
        }
    }

    fn ecs(&mut self, arn: &SafeText, services: &[&Service], containers: &[(&Container, Timestamp)]) {
        for s in services {
            let platform = Slot { hop: Hop::Platform, component: &s.name, group: arn };
            let v = match s.health_grace_s {
                Some(n) => Value::Known {
                    seconds: f64::from(n),
                    source: Source::Api("ecs:DescribeServices".into()),
                    at: None,
                },
                None => Value::Known {
                    seconds: 0.0,
                    source: Source::Default("AWS docs: ECS service definition".into()),
                    at: None,
                },
            };
            self.push(&platform, GRACE, "ECS health check grace", Kind::H, v);
        }
        // The container that is killed first is the one that counts.
        let shortest = containers.iter().min_by_key(|(c, _)| c.stop_timeout_s.unwrap_or(30));
        let name = shortest.map_or_else(|| SafeText::from("task"), |(c, _)| c.name.clone());
        let platform = Slot { hop: Hop::Platform, component: &name, group: arn };
        let v = match shortest {
            Some((c, at)) => match c.stop_timeout_s {
                Some(n) => Value::Known {
                    seconds: f64::from(n),
                    source: Source::Api("ecs:DescribeTaskDefinition".into()),
                    at: Some(*at),
                },
                None => Value::Known {
                    seconds: 30.0,
                    source: Source::Default("AWS docs: ECS stopTimeout".into()),
                    at: Some(*at),
                },
            },
            None => Value::Unknown(task_definition_reason(self.s, services)),
        };
        self.push(&platform, STOP_TIMEOUT, "ECS stop timeout", Kind::D, v);
    }

    fn dependency(&mut self) {
        let name = SafeText::from("dependency");
        let slot = Slot { hop: Hop::Dependency, component: &name, group: "" };
        let how = "the application's configuration: database and HTTP client timeouts";
        let v = self.learned(&slot, settings::DEPENDENCY, how.into());
        self.push(&slot, settings::DEPENDENCY, "call to a dependency", Kind::R, v);
    }
}

/// The newest value learned by hand for this hop, component and setting.
pub(super) fn learned(measured: &[Measured], hop: Hop, component: &str, setting: &str) -> Option<Value> {
    measured
        .iter()
        .filter(|m| m.hop == hop && m.setting.as_str() == setting)
        .filter(|m| m.component.is_empty() || m.component.as_str() == component)
        .filter(|m| m.seconds.is_finite() && m.seconds >= 0.0)
        .max_by_key(|m| m.at)
        .map(|m| Value::Known {
            seconds: m.seconds,
            source: if m.source.split(' ').next() == Some("probe") {
                Source::Measured(m.source.clone())
            } else if let Some(place) = m.source.strip_prefix("configured: ") {
                Source::Configured(place.into())
            } else {
                Source::Noted(m.source.clone())
            },
            at: Some(m.at),
        })
}

/// An attribute in seconds. The API lists every attribute that applies, so a
/// list without the key means the service's default.
fn attribute(attrs: &Datum<Attributes>, key: &str, default: f64, doc: &str) -> Value {
    let Some(known) = attrs.get() else {
        return Value::Unknown(attrs.why_unknown().unwrap_or(Reason::NotAsked));
    };
    match known.value.get(key) {
        None => Value::Known { seconds: default, source: Source::Default(doc.into()), at: Some(known.as_of) },
        Some(text) => match text.parse::<f64>() {
            Ok(n) if n.is_finite() && n >= 0.0 => {
                Value::Known { seconds: n, source: Source::Api(known.source.clone()), at: Some(known.as_of) }
            }
            _ => Value::Unknown(Reason::Malformed { detail: format!("{key} = {text}").into() }),
        },
    }
}

/// The longest request the load balancer measured for this group.
fn longest(s: &Situation, group: &SafeText) -> Value {
    let keys = ["Maximum", "p99"].map(|stat| MetricKey::alb(group.clone(), "TargetResponseTime", stat));
    let lb = s.lb_arn().cloned().unwrap_or_default();
    let of_lb = ["Maximum", "p99"].map(|stat| MetricKey::alb(lb.clone(), "TargetResponseTime", stat));
    for key in keys.iter().chain(&of_lb) {
        let points = s.series(key).map(|x| x.points.as_slice()).unwrap_or_default();
        if let Some((at, v)) = points.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            let by = format!("cloudwatch:GetMetricData {} {}", key.name, key.stat);
            return Value::Known { seconds: *v, source: Source::Api(by.into()), at: Some(*at) };
        }
    }
    let why = s.lb().and_then(|l| l.metrics.why_unknown());
    Value::Unknown(why.unwrap_or_else(|| Reason::NotFound { what: "response times in this window".into() }))
}

/// Containers of the services' task definitions, with when they were read.
fn containers<'s>(s: &'s Situation, services: &[&Service]) -> Vec<(&'s Container, Timestamp)> {
    services
        .iter()
        .filter_map(|x| s.task_definitions.get(&x.task_definition)?.get())
        .flat_map(|k| k.value.containers.iter().map(|c| (c, k.as_of)))
        .collect()
}

fn task_definition_reason(s: &Situation, services: &[&Service]) -> Reason {
    services
        .iter()
        .find_map(|x| s.task_definitions.get(&x.task_definition)?.why_unknown())
        .unwrap_or(Reason::NotAsked)
}

/// A command for a person inside the VPC that sends one request to the first
/// target and then says how long the server kept the idle connection. It needs
/// nothing but bash, or openssl where the target speaks TLS.
fn idle_command(s: &Situation, state: &GroupState, tg: &TargetGroup) -> String {
    let first = state.health.value().and_then(|t| t.first());
    let host = first.map_or_else(
        || "TARGET".to_owned(),
        |t| {
            let address = s.instance(&t.id).and_then(|i| i.addresses.first().map(ToString::to_string));
            address.unwrap_or_else(|| t.id.to_string())
        },
    );
    let port = first.and_then(|t| t.port).or(tg.port).map_or_else(|| "PORT".to_owned(), |p| p.to_string());
    let request = r"printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'";
    if tg.protocol.as_str() == "HTTPS" {
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        format!("time ({request}; sleep 400) | openssl s_client -quiet -connect {host}:{port} >/dev/null")
    } else {
        format!("exec 3<>/dev/tcp/{host}/{port}; {request} >&3; time cat <&3 >/dev/null")
    }
}
