//! Causes at the load balancer and on the way to its targets; what comes back
//! from them is judged in [`super::answers`].

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::{Case, Group, TURNED_AWAY};
use crate::diagnosis::fore;
use crate::diagnosis::rows::{Rows, Shape};
use crate::diagnosis::timeouts::{RuleId, Standing};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::elb::{Action, TargetHealth};
use crate::situation::metric::MetricKey;
use crate::situation::{Datum, Reason, Situation};

pub(super) const E502: &str = "HTTPCode_ELB_502_Count";
const E503: &str = "HTTPCode_ELB_503_Count";
pub(super) const E504: &str = "HTTPCode_ELB_504_Count";
pub(super) const T5XX: &str = "HTTPCode_Target_5XX_Count";
pub(super) const CONNECT: &str = "TargetConnectionErrorCount";
pub(super) const TLS: &str = "TargetTLSNegotiationErrorCount";
pub(super) const HEALTH: &str = "elbv2:DescribeTargetHealth";

pub(super) fn health(g: &Group<'_>, value: impl Into<crate::text::SafeText>) -> Seen {
    Seen::new(format!("target health of {}", g.name), value, HEALTH, g.at)
}

pub(super) fn lacks_metrics(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
}

pub(super) fn no_targets(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("target health", c.no_health());
    for g in c.groups.iter().filter(|g| g.in_use && !g.is_lambda()) {
        let Ok(targets) = g.targets.as_ref() else { continue };
        if targets.is_empty() || g.count("unused") == targets.len() {
            let value = if targets.is_empty() {
                "no target is registered".to_string()
            } else {
                format!("all {} targets are unused ({})", targets.len(), reasons(targets))
            };
            // A group nothing may be sent to (blue/green) can be empty in peace.
            let weight = match c.many(E503) || c.count(E503).is_none() {
                true => Decisive,
                false if g.certain => Strong,
                false => Weak,
            };
            if !g.certain {
                b.lack("listener rules: whether anything is sent there", Reason::NotAsked);
            }
            b.pro(weight, health(g, value));
        } else {
            let able = targets.len() - g.count("unused");
            b.con(Weak, health(g, format!("{able} of {} targets can get requests", targets.len())));
        }
    }
    if b.has_pro() {
        if c.many(E503) {
            b.pro(Strong, Seen::metric(c, E503));
        }
    } else if c.no_health().is_none() && c.servers().next().is_some() {
        let g = c.servers().next();
        let at = g.map_or(c.now, |g| g.at);
        b.con(Decisive, Seen::new("target groups in use", "each has usable targets", HEALTH, at));
    }
}

/// `Target.Timeout x2, Target.NotInUse x1`.
fn reasons(targets: &[TargetHealth]) -> String {
    let mut list: Vec<(&str, usize)> = Vec::new();
    for t in targets.iter().filter(|t| !t.reason.is_empty()) {
        match list.iter_mut().find(|l| l.0 == t.reason.as_str()) {
            Some(l) => l.1 += 1,
            None => list.push((&t.reason, 1)),
        }
    }
    list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    list.iter().take(3).map(|(r, n)| format!("{r} x{n}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn fail_open(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("target health", c.no_health());
    for g in c.servers() {
        let Ok(targets) = g.targets.as_ref() else { continue };
        if targets.is_empty() {
            continue;
        }
        if g.count("unhealthy") == targets.len() {
            b.pro(
                Strong,
                health(g, format!("all {} targets unhealthy: {}", targets.len(), reasons(targets))),
            );
        } else if g.count("healthy") > 0 {
            b.con(Strong, health(g, format!("{} targets are healthy", g.count("healthy"))));
        }
    }
    if c.many("UnhealthyRoutingRequestCount") {
        b.pro(Weak, Seen::metric(c, "UnhealthyRoutingRequestCount"));
    }
}

pub(super) fn partial(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("target health", c.no_health());
    for g in c.servers() {
        let (bad, good) = (g.count("unhealthy"), g.count("healthy"));
        if bad > 0 && good > 0 {
            let targets = g.targets.as_ref().copied().unwrap_or_default();
            b.pro(Strong, health(g, format!("{bad} of {} unhealthy: {}", g.len(), reasons(targets))));
        } else if bad == 0 && g.targets.is_ok() {
            b.con(Strong, health(g, "no target is unhealthy"));
        }
    }
}

/// Codes in a health description such as `Health checks failed with these codes: [404]`.
fn codes(description: &str) -> Vec<u16> {
    let Some((_, tail)) = description.split_once('[') else { return Vec::new() };
    tail.split(']')
        .next()
        .unwrap_or("")
        .split(',')
        .flat_map(|p| p.trim().split('-').next().and_then(|n| n.parse().ok()))
        .collect()
}

pub(super) fn health_check(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("target health", c.no_health());
    for g in c.servers() {
        let Ok(targets) = g.targets.as_ref() else { continue };
        let mismatch: Vec<&TargetHealth> =
            targets.iter().filter(|t| t.reason.as_str() == "Target.ResponseCodeMismatch").collect();
        let path = g.tg.map_or("", |t| t.health_check.path.as_str());
        if let Some(t) = mismatch.first() {
            let found = codes(&t.description);
            let seen = health(g, format!("{} x{} on {path}: {}", t.reason, mismatch.len(), t.description));
            // 3xx and 4xx: the application answers, only not as the check wants it.
            if found.is_empty() {
                b.pro(Weak, seen);
            } else if found.iter().all(|n| (300..500).contains(n)) {
                let works = c.none(T5XX) && c.count(E502).unwrap_or(0.0) < 1.0;
                b.pro(if works { Decisive } else { Strong }, seen);
            } else {
                b.con(Strong, seen);
            }
        } else if g.count("unhealthy") == 0 {
            b.con(Strong, health(g, "no target is unhealthy"));
        }
        let quiet = c.elb_errors().is_some_and(|n| n < 1.0) && c.none(T5XX);
        let slow = g.reason("Target.Timeout");
        if slow > 0 && quiet && c.requests().is_some_and(|n| n > 0.0) && g.count("healthy") > 0 {
            b.pro(Weak, health(g, format!("Target.Timeout x{slow}, while requests are answered")));
        }
    }
    let order = c.inputs.chain.rules.iter().find(|r| r.id == RuleId::R6 && r.standing == Standing::Violated);
    if let Some(r) = order {
        let seen =
            Seen::new("timing of the health check", r.text.clone(), "elbv2:DescribeTargetGroups", c.now);
        b.pro(Weak, seen);
    }
}

/// 502 that come with connection errors.
fn refused_like(c: &Case<'_>) -> bool {
    let (Some(e), Some(n)) = (c.count(E502), c.count(CONNECT)) else { return false };
    c.mostly(E502) && n >= 3.0 && n * 2.0 >= e
}

pub(super) fn refused(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    if refused_like(c) {
        b.pro(Strong, Seen::metric(c, E502));
        b.pro(Strong, Seen::metric(c, CONNECT));
    }
    if let Ok(rows) = &c.rows {
        if rows.mostly(Shape::Refused) && !c.many(TLS) {
            b.pro(Strong, Seen::rows(rows, Shape::Refused, "refused before the request was sent"));
        } else if rows.n(Shape::Refused) < 1.0 && c.many(E502) {
            b.con(Strong, Seen::rows(rows, Shape::Broken, "that broke off after the request was sent"));
        }
    }
    if c.many(TLS) && c.mostly(E502) {
        b.con(Strong, Seen::metric(c, TLS));
    }
    for g in c.servers() {
        let n = g.reason("Target.FailedHealthChecks");
        if n > 0 {
            b.pro(Weak, health(g, format!("Target.FailedHealthChecks x{n}")));
        }
        if let Err(why) = &g.targets {
            b.lack(format!("target health of {}", g.name), why.clone());
        }
    }
    if c.none(CONNECT) && c.failing {
        b.con(Strong, Seen::metric(c, CONNECT));
    }
    if c.mostly(E504) {
        b.con(Strong, Seen::metric(c, E504));
    }
}

pub(super) fn unreachable(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    if c.none(CONNECT) && c.failing {
        b.con(Strong, Seen::metric(c, CONNECT));
    }
    if c.mostly(E504) {
        b.con(Strong, Seen::metric(c, E504));
    }
    if !refused_like(c) {
        return;
    }
    b.pro(Weak, Seen::metric(c, CONNECT));
    for g in c.servers() {
        let targets = g.targets.as_ref().copied().unwrap_or_default();
        if let Some(vpc) = g.tg.and_then(|tg| c.s.vpcs.get(&tg.vpc)) {
            let by_address = g.tg.is_some_and(|tg| tg.target_type.as_str() == "ip");
            if by_address {
                b.lack_if("network interfaces with the targets' addresses", vpc.interfaces.why_unknown());
            } else {
                b.lack_if("state of the instances", vpc.instances.why_unknown());
            }
        }
        for t in targets.iter().filter(|t| !t.is_healthy()) {
            if let Some(i) = c.instance(&t.id) {
                if !matches!(i.state.as_str(), "running" | "") {
                    let seen = Seen::new(
                        format!("instance {}", i.id),
                        i.state.clone(),
                        "ec2:DescribeInstances",
                        g.at,
                    );
                    b.pro(Decisive, seen);
                }
            } else if let Some(at) = nobody_has(c.s, g, t) {
                let seen = Seen::new(
                    format!("address {}", t.id),
                    "no network interface has it",
                    "ec2:DescribeNetworkInterfaces",
                    at,
                );
                b.pro(Decisive, seen);
            }
        }
    }
}

/// When the interfaces of the group's VPC were read, if none has an IP target's address.
fn nobody_has(s: &Situation, g: &Group<'_>, t: &TargetHealth) -> Option<jiff::Timestamp> {
    let tg = g.tg.filter(|tg| tg.target_type.as_str() == "ip")?;
    let ip: std::net::IpAddr = t.id.parse().ok()?;
    let vpc = s.vpcs.get(&tg.vpc)?;
    let inside = vpc.subnets.value()?.iter().flat_map(|x| &x.cidrs).any(|c| c.contains(&ip));
    let known = vpc.interfaces.get()?;
    let held = known.value.iter().any(|i| i.addresses.contains(&ip));
    (inside && !held).then_some(known.as_of)
}

pub(super) fn connect_timeout(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    if c.mostly(E504) {
        if c.many(CONNECT) {
            b.pro(Strong, Seen::metric(c, E504));
            b.pro(Strong, Seen::metric(c, CONNECT));
        } else if c.rows_mostly(Shape::Unconnected) {
            if let Ok(rows) = &c.rows {
                b.pro(Strong, Seen::rows(rows, Shape::Unconnected, "not accepted for ten seconds"));
            }
        } else if c.none(CONNECT) {
            b.con(Strong, Seen::metric(c, CONNECT));
        }
    } else if c.none(E504) && c.failing {
        b.con(Strong, Seen::metric(c, E504));
    }
    for g in c.servers() {
        let n = g.reason("Target.Timeout");
        if n > 0 {
            b.pro(Weak, health(g, format!("Target.Timeout x{n}")));
        }
    }
}

pub(super) fn idle(c: &Case<'_>) -> Option<f64> {
    c.inputs.chain.get("", "idle_timeout.timeout_seconds")?.value.seconds()
}

pub(super) fn response_timeout(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    let slow = c.rows_mostly(Shape::Slow);
    if c.mostly(E504) && (c.none(CONNECT) || slow) {
        b.pro(Strong, Seen::metric(c, E504));
        b.pro(Weak, Seen::metric(c, CONNECT));
        if let (Some(top), Some(idle)) = (c.highest("TargetResponseTime"), idle(c))
            && top >= idle * 0.8
        {
            let value = format!("up to {top:.1} s with an idle timeout of {idle:.0} s");
            b.pro(Strong, Seen::new("TargetResponseTime", value, "cloudwatch:GetMetricData", c.metrics_at()));
        }
    } else if c.mostly(E504) && c.many(CONNECT) {
        b.con(Strong, Seen::metric(c, CONNECT));
    } else if c.none(E504) && c.failing {
        b.con(Strong, Seen::metric(c, E504));
    }
    if let Ok(rows) = &c.rows
        && slow
    {
        if begun(rows, idle(c)) >= 0.8 {
            b.con(Strong, Seen::rows(rows, Shape::Slow, "whose answer had begun"));
        } else {
            let (_, mid, _) = rows.took(Shape::Slow).unwrap_or_default();
            let says = format!("without an answer for {mid:.1} s (median)");
            let fits = idle(c).is_some_and(|i| (mid - i).abs() <= (i * 0.1).max(1.5));
            b.pro(if fits { Decisive } else { Strong }, Seen::rows(rows, Shape::Slow, &says));
        }
    }
    for s in c.signs_of("alb-target-response-timeout") {
        b.pro(Weak, Seen::sign(s));
    }
}

/// Of the rows that ran into the idle timeout, the part whose answer had begun
/// long before: the rest of it never came.
pub(super) fn begun(rows: &Rows<'_>, idle: Option<f64>) -> f64 {
    let half = idle.unwrap_or(60.0) * 0.5;
    rows.part(Shape::Slow, |r| r.target_s.is_some_and(|t| f64::from(t) < half))
}

pub(super) fn tls(c: &Case<'_>, b: &mut Ballot) {
    let https: Vec<_> =
        c.servers().filter(|g| g.tg.is_some_and(|t| t.protocol.as_str() == "HTTPS")).collect();
    if https.is_empty() {
        if c.servers().next().is_some() && c.groups.iter().all(|g| g.tg.is_some()) {
            b.con(
                Decisive,
                Seen::new("target groups in use", "none speaks HTTPS", "elbv2:DescribeTargetGroups", c.now),
            );
        }
        return;
    }
    lacks_metrics(c, b);
    if c.many(TLS) {
        b.pro(if c.failing { Decisive } else { Strong }, Seen::metric(c, TLS));
    } else if c.none(TLS) {
        b.con(Strong, Seen::metric(c, TLS));
    }
}

pub(super) fn mismatch(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    for g in c.servers() {
        let services = g.state.services.value();
        if c.failing {
            b.lack_if("ECS services behind the targets", g.state.services.gap().map(|x| x.reason.clone()));
        }
        for s in services.into_iter().flatten() {
            let definition = c.s.task_definitions.get(&s.task_definition);
            let Some(td) = definition.and_then(Datum::get) else {
                if c.failing {
                    let why = definition.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked);
                    b.lack(format!("ports of the containers of {}", s.name), why);
                }
                continue;
            };
            let ports: Vec<u16> = td.value.containers.iter().flat_map(|x| x.ports.clone()).collect();
            let bridge = td.value.network_mode.as_str() != "awsvpc";
            let targets = g.targets.as_ref().copied().unwrap_or_default();
            if ports.is_empty() || bridge || targets.is_empty() {
                continue;
            }
            let odd = targets.iter().filter_map(|t| t.port).find(|p| !ports.contains(p));
            if let Some(p) = odd {
                let value =
                    format!("targets are registered on {p}; the containers of {} use {ports:?}", s.name);
                b.pro(
                    Strong,
                    Seen::new("port of the target group", value, "ecs:DescribeTaskDefinition", td.as_of),
                );
            }
        }
        let version = g.tg.map_or("", |t| t.protocol_version.as_str());
        if let Ok(rows) = &c.rows
            && rows.mostly(Shape::Broken)
            && rows.share(Shape::Broken) >= 0.8
        {
            let sick = g.len() > 0 && g.reason("Target.FailedHealthChecks") == g.len();
            let says = format!("that broke off: nearly all, with protocol version {version}");
            if matches!(version, "HTTP2" | "GRPC") || sick {
                b.pro(Strong, Seen::rows(rows, Shape::Broken, &says));
            }
        }
        let check_elsewhere = g.tg.and_then(|t| {
            let own: u16 = t.health_check.port.parse().ok()?;
            (Some(own) != t.port).then_some((own, t.port?))
        });
        if let Some((own, traffic)) = check_elsewhere
            && refused_like(c)
            && g.len() > 0
            && g.count("healthy") == g.len()
        {
            let value = format!("checks pass on {own}, requests go to {traffic} and are refused");
            b.pro(Strong, health(g, value));
        }
        if refused_like(c) && g.reason("Target.FailedHealthChecks") > 0 {
            b.pro(
                Weak,
                health(g, format!("Target.FailedHealthChecks x{}", g.reason("Target.FailedHealthChecks"))),
            );
        }
    }
    if c.failing {
        b.lack("what the target port really answers", Reason::NotAsked);
    }
}

/// Fixed responses with a 5xx status among some actions.
fn fixed<'a>(actions: &'a [Action]) -> impl Iterator<Item = u16> + 'a {
    actions
        .iter()
        .filter(|a| a.kind.as_str() == "fixed-response")
        .filter_map(|a| a.status)
        .filter(|s| *s >= 500)
}

pub(super) fn misrouted(c: &Case<'_>, b: &mut Ballot) {
    let Some(lb) = c.s.lb() else { return };
    b.lack_if("listeners", lb.listeners.why_unknown());
    let mut found = Vec::new();
    for l in lb.listeners.value().into_iter().flatten() {
        let rules = lb.rules.get(&l.arn);
        b.lack_if(
            format!("rules of listener :{}", l.port),
            rules.map_or(Some(Reason::NotAsked), Datum::why_unknown),
        );
        found.extend(fixed(&l.default_actions).map(|s| format!("default action of :{} answers {s}", l.port)));
        for r in rules.and_then(Datum::value).into_iter().flatten() {
            let name = r.priority.map_or("default rule".into(), |p| format!("rule {p}"));
            found.extend(fixed(&r.actions).map(|s| format!("{name} of :{} answers {s}", l.port)));
        }
    }
    found.dedup();
    let at = lb.listeners.as_of().unwrap_or(c.now);
    for f in found {
        let seen = Seen::new("listener actions", f, "elbv2:DescribeRules", at);
        if c.many("HTTP_Fixed_Response_Count") {
            b.pro(Strong, seen);
        } else {
            b.pro(Weak, seen);
        }
    }
    if b.has_pro() && c.many("HTTP_Fixed_Response_Count") {
        b.pro(Strong, Seen::metric(c, "HTTP_Fixed_Response_Count"));
    }
    let edits = c.changed(&["ModifyRule", "CreateRule", "DeleteRule", "SetRulePriorities", "ModifyListener"]);
    let Ok(rows) = &c.rows else { return };
    if rows.mostly(Shape::Fixed) {
        b.pro(Decisive, Seen::rows(rows, Shape::Fixed, "answered by a rule, not by a target"));
    }
    for shape in [Shape::Answered, Shape::Refused, Shape::Broken, Shape::NoTarget, Shape::Unconnected] {
        if !rows.mostly(shape) {
            continue;
        }
        let Some(top) = rows.top(shape, |r| &r.group, &[]).filter(|t| t.share >= 0.9) else { continue };
        let others = c.groups.iter().filter(|g| g.in_use).count() > 1;
        if let Some(e) = edits.first() {
            b.pro(Strong, Seen::change(e));
            let says = format!("all of {}", crate::situation::short(&top.name));
            b.pro(if others { Strong } else { Weak }, Seen::rows(rows, shape, &says));
        }
    }
}

pub(super) fn capacity(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("state of the load balancer", c.s.lb().and_then(|l| l.lb.why_unknown()));
    if let Some(lb) = c.s.load_balancer()
        && lb.state.as_str() == "active_impaired"
    {
        let seen =
            Seen::new("state of the load balancer", lb.state.clone(), "elbv2:DescribeLoadBalancers", c.now);
        b.pro(Decisive, seen);
    }
    lacks_metrics(c, b);
    for name in TURNED_AWAY {
        if c.many(name) {
            b.pro(Decisive, Seen::metric(c, name));
        } else if c.none(name) {
            b.con(Strong, Seen::metric(c, name));
        }
    }
}

/// Requests that the web ACL blocked in the window, as part of the 4xx by the
/// load balancer, while those step up: nearly all of them, or next to none.
pub(super) fn blocked(c: &Case<'_>) -> Option<(f64, Seen)> {
    let acl = c.s.beside.acls.get(&c.lb)?.value().filter(|a| !a.arn.is_empty())?;
    let refused = c.refused_4xx();
    if !c.refusing || refused < 1.0 {
        return None;
    }
    let key = MetricKey {
        namespace: "AWS/WAFV2".into(),
        ..MetricKey::alb(acl.arn.clone(), "BlockedRequests", "Sum")
    };
    let series = c.s.series(&key);
    let asked = c.s.fronts.metrics.get(&acl.arn)?;
    asked.value()?;
    let n = series.map_or(0.0, |x| x.points.iter().filter(|p| p.0 >= c.from).map(|p| p.1).sum());
    let rule = fore::blocking_rule(c.s, acl, 60).map_or(String::new(), |r| format!(", most by rule {r}"));
    let value = format!("web ACL {} blocked {n:.0} with {refused:.0} responses 4xx{rule}", acl.name);
    let seen = Seen::new("blocks of the web ACL", value, "cloudwatch:GetMetricData", asked.as_of()?);
    Some((n / refused, seen))
}

pub(super) fn auth(c: &Case<'_>, b: &mut Ballot) {
    lacks_metrics(c, b);
    let walled = blocked(c);
    let by_acl = walled.as_ref().is_some_and(|(part, _)| *part >= 0.5);
    match walled {
        Some((part, seen)) if part >= 0.8 => b.pro(Decisive, seen),
        Some((part, seen)) if part >= 0.5 => b.pro(Strong, seen),
        Some((part, seen)) if part < 0.1 => b.con(Weak, seen),
        _ => {}
    }
    if c.refusing && c.rows.is_err() {
        let gap = c.s.beside.acls.get(&c.lb).and_then(|d| d.gap());
        b.lack_if("web ACL of the load balancer", gap.map(|g| g.reason.clone()));
    }
    for name in ["ELBAuthError", "ELBAuthFailure"] {
        if c.many(name) {
            b.pro(Strong, Seen::metric(c, name));
            if c.mostly("HTTPCode_ELB_500_Count") {
                b.pro(Decisive, Seen::metric(c, "HTTPCode_ELB_500_Count"));
            }
        } else if c.none(name) && !c.rows_mostly(Shape::Auth) && !by_acl {
            b.con(Strong, Seen::metric(c, name));
        }
    }
    // 403 by the firewall, 401 and 561 by a login: no metric tells them apart.
    if c.many("HTTPCode_ELB_500_Count") || c.refusing {
        b.lack_if("access log rows of the failing requests", c.no_rows());
    }
    if let Ok(rows) = &c.rows
        && (rows.mostly(Shape::Auth) || (c.refusing && rows.n(Shape::Auth) >= 20.0))
    {
        let of = rows.top(Shape::Auth, |r| &r.error_reason, &[]);
        let says = of.map_or_else(String::new, |t| format!("with {}", t.name));
        b.pro(Decisive, Seen::rows(rows, Shape::Auth, &says));
    }
}
