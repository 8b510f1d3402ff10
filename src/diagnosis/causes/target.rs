//! Target, application and server resources.

use super::ballot::{Ballot, Seen};
use super::proxies::PARTICULAR;
use crate::diagnosis::case::Case;
use crate::diagnosis::rows::Shape;
use crate::diagnosis::traced::Blame;
use crate::diagnosis::verdict::Weight::{self, Decisive, Strong, Weak};
use crate::situation::around::ApplicationCheck;
use crate::situation::ecs::{Service, Task};
use crate::situation::{Reason, short};
use jiff::{SignedDuration, Timestamp};

const T5XX: &str = "HTTPCode_Target_5XX_Count";
const E502: &str = "HTTPCode_ELB_502_Count";

/// Services behind the groups in use.
pub(super) fn services<'c>(c: &'c Case<'_>) -> Vec<&'c Service> {
    c.groups.iter().filter(|g| g.in_use).filter_map(|g| g.state.services.value()).flatten().collect()
}

/// Tasks of those services that stopped in the window or just before it.
pub(super) fn stopped<'c>(c: &'c Case<'_>) -> Vec<&'c Task> {
    let early = c.from.checked_sub(SignedDuration::from_mins(5)).unwrap_or(c.from);
    services(c)
        .iter()
        .filter_map(|s| c.s.tasks.get(&s.arn)?.value())
        .flatten()
        .filter(|t| t.stopped.is_some_and(|at| at >= early))
        .collect()
}

/// Signs in the logs for a cause, as this much evidence. A sign as frequent
/// before the failure as in it says little.
fn signs(c: &Case<'_>, b: &mut Ballot, cause: &str, weight: Weight) {
    for s in c.signs_of(cause) {
        let usual = s.before > s.count * 2;
        b.pro(if usual { Weak } else { weight }, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack_if("logs of the application", c.no_logs());
    }
}

fn task_at(t: &Task, c: &Case<'_>) -> Timestamp {
    t.stopped.unwrap_or(c.now)
}

pub(super) fn process_down(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    // A proxy that misses its upstream is told under local-proxy-upstream-failure.
    let crash = ["php-child-crashed"];
    let refused = c.many(E502) && c.many("TargetConnectionErrorCount");
    for s in c.signs_of("app-process-down-or-crashing") {
        // A process that ends where connections are refused: the one is why the other.
        let ends = refused
            && s.pattern.causes.len() == 1
            && s.before <= s.count * 2
            && !matches!(s.pattern.server.as_str(), "nginx" | "httpd");
        let own = ends || crash.contains(&s.pattern.id.as_str());
        b.pro(if own { Strong } else { Weak }, Seen::sign(s));
    }
    application_checks(c, b);
    let crashed = stopped(c).into_iter().filter(|t| {
        t.stop_code.as_str() == "EssentialContainerExited"
            && !out_of_memory(t)
            && !t.exits.iter().all(|e| e.contains("exit 0") || e.contains("exit 143"))
    });
    for t in crashed.take(3) {
        let value = format!("{} {}", t.stopped_reason, t.exits.first().cloned().unwrap_or_default());
        b.pro(Strong, Seen::new("stopped task", value, "ecs:DescribeTasks", task_at(t, c)));
    }
    if !b.has_pro() && c.failing {
        b.lack("processes on the targets", c.no_hosts());
    }
}

/// Application status checks of EC2, where somebody set any up: AWS asks the
/// application from inside the instance's network (EC2 user guide: application
/// status checks).
fn application_checks(c: &Case<'_>, b: &mut Ballot) {
    for v in c.s.vpcs.values() {
        let at = v.status.as_of().unwrap_or(c.now);
        for x in v.status.value().into_iter().flatten().filter(|x| c.is_target(&x.id)) {
            let silent = |k: &&ApplicationCheck| {
                matches!(k.reason.as_str(), "ConnectionRefused" | "ConnectionReset" | "ResponseTimeout")
            };
            let Some(k) = x.application_checks.iter().find(silent) else {
                // It fails, and how is not known: no more than a hint.
                if x.application.as_str() == "impaired" && x.application_checks.is_empty() {
                    let what = format!("application status of {}", x.id);
                    b.pro(Weak, Seen::new(what, "impaired", "ec2:DescribeInstanceStatus", at));
                    b.lack_if("application status checks", x.application_unread.clone());
                }
                continue;
            };
            let what = format!("application check {} of {}", k.id, x.id);
            let weight = if c.trouble() { Strong } else { Weak };
            b.pro(weight, Seen::new(what, k.reason.clone(), "ec2:DescribeApplicationStatus", at));
        }
    }
}

fn out_of_memory(t: &Task) -> bool {
    let said = |s: &str| s.contains("OutOfMemory") || s.contains("exit 137");
    said(&t.stopped_reason) || t.exits.iter().any(|e| said(e))
}

pub(super) fn memory(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let metric = "cloudwatch:GetMetricData";
    for s in c.signs_of("memory-exhausted-oom") {
        let killed = s.pattern.server.as_str() == "kernel" || s.pattern.id.as_str() == "node-heap";
        b.pro(if killed { Decisive } else { Strong }, Seen::sign(s));
    }
    let mut full = false;
    let mut seen_any = false;
    for (subject, series) in c.all_of("CWAgent", "mem_used_percent") {
        let Some(l) = c.level_of(series) else { continue };
        seen_any = true;
        if l.peak >= 95.0 {
            full = true;
            let value = format!("{:.0} % used, {:.0} % before", l.peak, l.before.unwrap_or(l.now));
            b.pro(
                if c.failing { Strong } else { Weak },
                Seen::new(format!("memory of {subject}"), value, metric, l.at),
            );
        }
    }
    for s in services(c) {
        let Some(l) = c.level("AWS/ECS", "MemoryUtilization", "Maximum", &s.arn) else { continue };
        seen_any = true;
        if l.peak >= 97.0 {
            full = true;
            let value = format!("{:.0} % of what the tasks may use", l.peak);
            let what = format!("MemoryUtilization of {}", s.name);
            b.pro(if c.failing { Strong } else { Weak }, Seen::new(what, value, metric, l.at));
        }
    }
    for t in stopped(c).into_iter().filter(|t| out_of_memory(t)).take(3) {
        let sure =
            t.stopped_reason.contains("OutOfMemory") || t.exits.iter().any(|e| e.contains("OutOfMemory"));
        let value = format!("{} {}", t.stopped_reason, t.exits.first().cloned().unwrap_or_default());
        let seen = Seen::new("stopped task", value, "ecs:DescribeTasks", task_at(t, c));
        // 137 alone is also a stop that took too long.
        b.pro(if sure || full { Decisive } else { Weak }, seen);
    }
    if !b.has_pro() && c.failing {
        if seen_any {
            b.con(Weak, Seen::new("memory", "not used up", metric, c.now));
        } else {
            b.lack("memory of the targets", c.no_host_metrics().unwrap_or_else(no_agent));
        }
    }
}

pub(super) fn cpu(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let metric = "cloudwatch:GetMetricData";
    let ids: Vec<(&str, &'static str)> = c
        .instances()
        .iter()
        .map(|id| (*id, "AWS/EC2"))
        .chain(services(c).into_iter().map(|s| (s.arn.as_str(), "AWS/ECS")))
        .collect();
    let (mut hot, mut cool, mut seen_any) = (0, 0, false);
    for (id, space) in &ids {
        let Some(l) = c.level(space, "CPUUtilization", "Average", id) else { continue };
        seen_any = true;
        let name = format!("CPUUtilization of {}", short(id));
        if l.now >= 88.0 {
            hot += 1;
            let before = l.before.map_or("unknown".into(), |x| format!("{x:.0} %"));
            let value = format!("{:.0} % since the onset, {before} before", l.now);
            let risen = l.before.is_none_or(|x| x < 75.0);
            if hot <= 3 {
                let weight = if risen && c.failing { Decisive } else { Strong };
                b.pro(weight, Seen::new(name, value, metric, l.at));
            }
        } else if let Some(top) = c
            .level(space, "CPUUtilization", "Maximum", id)
            .filter(|t| t.now >= 95.0 && t.before.is_none_or(|x| x < 75.0) && l.now >= 50.0)
        {
            hot += 1;
            let value = format!("peaks of {:.0} % since the onset", top.now);
            b.pro(if c.failing { Strong } else { Weak }, Seen::new(name, value, metric, top.at));
        } else if l.peak < 60.0 {
            cool += 1;
        }
        if let Some(credit) = c.level(space, "CPUCreditBalance", "Minimum", id)
            && credit.low < 1.0
            && credit.before.is_none_or(|x| x >= 1.0)
            && c.failing
        {
            let what = format!("CPUCreditBalance of {id}");
            b.pro(Strong, Seen::new(what, "used up: the instance runs at its baseline", metric, credit.at));
        }
    }
    if seen_any && hot == 0 && cool > 0 && !b.has_pro() {
        b.con(Strong, Seen::new("CPUUtilization", "below 60 % on the targets", metric, c.now));
    }
    if !seen_any && c.failing {
        let why = c.no_host_metrics().unwrap_or_else(|| Reason::NotFound { what: "CPU series".into() });
        b.lack("CPUUtilization of the targets", why);
    }
}

pub(super) fn disk(c: &Case<'_>, b: &mut Ballot) {
    signs(c, b, "disk-full", Decisive);
    let mut seen_any = false;
    for (subject, series) in c.all_of("CWAgent", "disk_used_percent") {
        let Some(l) = c.level_of(series) else { continue };
        seen_any = true;
        if l.peak >= 97.0 {
            let value = format!("{:.0} % used, {:.0} % before", l.peak, l.before.unwrap_or(l.now));
            let weight = if c.failing && l.peak >= 99.0 { Decisive } else { Strong };
            b.pro(weight, Seen::new(format!("disk of {subject}"), value, "cloudwatch:GetMetricData", l.at));
        }
    }
    if !b.has_pro() && c.failing {
        if seen_any {
            b.con(Strong, Seen::new("disks", "below 97 % used", "cloudwatch:GetMetricData", c.now));
        } else {
            b.lack("disks of the targets", c.no_host_metrics().unwrap_or_else(no_agent));
        }
    }
}

/// Nobody tells what happens inside of the targets.
fn no_agent() -> Reason {
    Reason::NotFound { what: "series of an agent on the targets".into() }
}

pub(super) fn pool(c: &Case<'_>, b: &mut Ballot) {
    for s in c.signs_of("worker-or-connection-pool-exhausted") {
        let shared = s.pattern.id.as_str() == "kernel-conntrack";
        b.pro(if shared { Weak } else { Strong }, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack("queues and limits of the servers", c.no_hosts());
    }
}

/// A cause deeper inside was named by the logs: database, service, disk.
fn named_inside(c: &Case<'_>) -> bool {
    [
        "dependency-db-unavailable",
        "local-proxy-upstream-failure",
        "disk-full",
        "worker-or-connection-pool-exhausted",
        "dependency-external-api-slow",
        "apache-two-tier-keepalive-race",
        "apache-proxy-timeout-or-error-state",
        "nginx-upstream-header-or-no-live",
    ]
    .iter()
    .any(|id| c.signs_of(id).next().is_some())
        || c.traced().is_some_and(|t| t.mostly(&[Blame::Store, Blame::Remote]))
}

pub(super) fn exception(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let mut own = false;
    for s in c.signs_of("app-exception-or-plugin-bug").filter(|s| s.before <= s.count * 2) {
        own = true;
        let weight = if c.mostly(T5XX) && !named_inside(c) { Strong } else { Weak };
        b.pro(weight, Seen::sign(s));
    }
    let mut one_path = false;
    if let Ok(rows) = &c.rows
        && rows.mostly(Shape::Answered)
    {
        let gateway = rows.part(Shape::Answered, |r| matches!(r.status, Some(502 | 504)));
        let good = rows.good_paths();
        let top = rows.top(Shape::Answered, |r| &r.path, &good);
        if let Some(t) =
            top.filter(|t| t.share >= 0.7 && t.rate.unwrap_or(0.0) >= 0.5 && rows.n(Shape::Answered) >= 5.0)
        {
            one_path = true;
            let says = format!(
                "{:.0} % on {}, which fails {:.0} % of the time",
                t.share * 100.0,
                t.name,
                t.rate.unwrap_or(0.0) * 100.0
            );
            b.pro(
                if named_inside(c) || gateway > 0.5 { Weak } else { Strong },
                Seen::rows(rows, Shape::Answered, &says),
            );
        } else if gateway >= 0.8 {
            b.con(Strong, Seen::rows(rows, Shape::Answered, "that are a gateway's answers"));
        }
    }
    if c.mostly(T5XX) {
        // A release that came just before says more than that the targets answer 5xx.
        let told_elsewhere = named_inside(c) || (super::deploy::released(c) && !one_path && !own);
        // A handful in an hour is every day's, whatever else fails now.
        b.pro(if told_elsewhere || !c.failing { Weak } else { Strong }, Seen::metric(c, T5XX));
        b.lack_if("logs of the application", c.no_logs());
    } else if c.none(T5XX) && c.failing {
        b.con(Strong, Seen::metric(c, T5XX));
    }
}

pub(super) fn worker_kill(c: &Case<'_>, b: &mut Ballot) {
    let weight = if c.many(E502) { Decisive } else { Weak };
    for s in c.signs_of("app-worker-timeout-kill") {
        let own = !s.pattern.causes.iter().any(|x| x.as_str() != "app-worker-timeout-kill");
        b.pro(if own { weight } else { Weak }, Seen::sign(s));
    }
    if let Some(x) = super::answers::broken(c) {
        let says = format!("that broke off after {:.1} s (median)", x.took.1);
        let seen = Seen::rows(x.rows, Shape::Broken, &says);
        let drained = !c.removals_within(SignedDuration::from_mins(20)).is_empty()
            || !c.changed(&["DeregisterTargets", "UpdateService", "TerminateInstance"]).is_empty();
        match x.deadline() {
            Some(_) if !drained => b.pro(Strong, seen),
            Some(_) => b.pro(Weak, seen),
            None if x.took.2 < 3.0 => b.con(Strong, seen),
            None => {}
        }
    }
    if !b.has_pro() && c.failing {
        b.lack_if("logs of the application", c.no_logs());
    }
}

pub(super) fn host_impaired(c: &Case<'_>, b: &mut Ballot) {
    let on_hosts = c.servers().any(|g| g.tg.is_some_and(|t| t.target_type.as_str() == "instance"));
    if !on_hosts || !c.trouble() {
        return;
    }
    let (mut known, mut sound) = (0, 0);
    for v in c.s.vpcs.values() {
        let at = v.status.as_of().unwrap_or(c.now);
        for x in v.status.value().into_iter().flatten().filter(|x| c.is_target(&x.id)) {
            known += 1;
            let checks = [
                ("system", &x.system),
                ("instance", &x.instance),
                ("volumes", &x.volumes),
                ("performance", &x.performance),
            ];
            let bad: Vec<String> = checks
                .iter()
                .filter(|(_, s)| matches!(s.as_str(), "impaired" | "failed"))
                .map(|(n, s)| format!("{n} {s}"))
                .collect();
            if bad.is_empty() {
                sound += 1;
            } else {
                let concerned = c.servers().any(|g| {
                    g.targets.as_ref().is_ok_and(|t| t.iter().any(|t| t.id == x.id && !t.is_healthy()))
                });
                let value = bad.join(", ");
                let seen =
                    Seen::new(format!("status checks of {}", x.id), value, "ec2:DescribeInstanceStatus", at);
                b.pro(if concerned || c.failing { Decisive } else { Strong }, seen);
            }
            for e in
                x.events.iter().filter(|e| !e.contains("[Completed]") && !e.contains("[Canceled]")).take(1)
            {
                b.pro(
                    Weak,
                    Seen::new(
                        format!("scheduled event of {}", x.id),
                        e.clone(),
                        "ec2:DescribeInstanceStatus",
                        at,
                    ),
                );
            }
        }
        b.lack_if("status checks of the instances", v.status.gap().map(|g| g.reason.clone()));
    }
    for id in c.instances() {
        if let Some(l) = c.level("AWS/EC2", "StatusCheckFailed", "Maximum", id).filter(|l| l.peak >= 1.0) {
            let seen = Seen::new(
                format!("StatusCheckFailed of {id}"),
                "a check failed",
                "cloudwatch:GetMetricData",
                l.at,
            );
            b.pro(Strong, seen);
        }
    }
    if known == 0 && !b.has_pro() {
        b.lack("status checks of the instances", Reason::NotAsked);
    } else if sound == known && known > 0 && !b.has_pro() {
        let value = format!("all pass on {known} instances");
        b.con(Decisive, Seen::new("status checks", value, "ec2:DescribeInstanceStatus", c.now));
    }
}

pub(super) fn local_proxy(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let passed_on = c.mostly(T5XX);
    let mut named = false;
    for s in &c.signs {
        let proxy = matches!(s.pattern.server.as_str(), "nginx" | "httpd");
        let upstream = s.sample.contains("upstream")
            || s.sample.contains("backend")
            || s.sample.contains("remote server")
            || s.sample.contains("AH00957");
        if proxy && upstream {
            // A line that says more has a cause of its own.
            let particular = PARTICULAR.contains(&s.pattern.id.as_str());
            named |= particular;
            b.pro(if passed_on && !particular { Decisive } else { Weak }, Seen::sign(s));
        }
    }
    let mut answers = None;
    if let Ok(rows) = &c.rows
        && rows.mostly(Shape::Answered)
    {
        // Applications seldom answer 502 or 504 of their own; gateways do.
        let part = rows.part(Shape::Answered, |r| matches!(r.status, Some(502 | 504)));
        let says = format!("{:.0} % of them with 502 or 504 by the target itself", part * 100.0);
        let seen = Seen::rows(rows, Shape::Answered, &says);
        answers = Some(part);
        if part >= 0.8 {
            b.pro(if named { Weak } else { Decisive }, seen);
        } else if part >= 0.3 {
            b.pro(Weak, seen);
        } else {
            b.con(Strong, seen);
        }
    }
    for g in c.servers() {
        let targets = g.targets.as_ref().copied().unwrap_or_default();
        let said =
            targets.iter().find(|t| t.description.contains("[502]") || t.description.contains("[504]"));
        if let Some(t) = said {
            let what = format!("target health of {}", g.name);
            let seen = Seen::new(what, t.description.clone(), "elbv2:DescribeTargetHealth", g.at);
            b.pro(if passed_on && !named { Strong } else { Weak }, seen);
        }
    }
    if passed_on && !b.has_pro() && answers.is_none() {
        b.pro(Weak, Seen::metric(c, T5XX));
        b.lack_if("access log rows of the failing requests", c.no_rows());
    } else if c.none(T5XX) && c.failing {
        b.con(Decisive, Seen::metric(c, T5XX));
    }
}

pub(super) fn task_churn(c: &Case<'_>, b: &mut Ballot) {
    let services = services(c);
    let unknown = c.groups.iter().filter(|g| g.in_use).find_map(|g| g.state.services.gap().cloned());
    if let Some(gap) = unknown {
        b.lack("ECS services behind the targets", gap.reason);
    }
    for s in services {
        let short = s.running < s.desired;
        if short {
            let value = format!("{} of {} tasks run", s.running, s.desired);
            b.pro(Weak, Seen::new(format!("service {}", s.name), value, "ecs:DescribeServices", c.now));
        } else {
            let value = format!("{} of {} tasks run", s.running, s.desired);
            b.con(Weak, Seen::new(format!("service {}", s.name), value, "ecs:DescribeServices", c.now));
        }
        let early = c.from.checked_sub(SignedDuration::from_mins(10)).unwrap_or(c.from);
        for e in s.events.iter().filter(|e| e.at >= early) {
            let bad = ["unable to consistently start tasks", "unable to place a task", "is unhealthy in"];
            if bad.iter().any(|p| e.message.contains(p)) {
                let seen = Seen::new(
                    format!("event of {}", s.name),
                    e.message.clone(),
                    "ecs:DescribeServices",
                    e.at,
                );
                b.pro(if short { Decisive } else { Strong }, seen);
                break;
            }
        }
        for d in s.deployments.iter().filter(|d| d.rollout_state.as_str() == "FAILED") {
            let seen = Seen::new(
                format!("deployment of {}", s.name),
                d.rollout_reason.clone(),
                "ecs:DescribeServices",
                d.updated.unwrap_or(c.now),
            );
            b.pro(Strong, seen);
        }
    }
    let failed = stopped(c).into_iter().filter(|t| {
        matches!(t.stop_code.as_str(), "TaskFailedToStart" | "EssentialContainerExited" | "SpotInterruption")
    });
    let failed: Vec<&Task> = failed.collect();
    if let Some(t) = failed.last().filter(|_| failed.len() >= 2) {
        let value = format!("{} tasks stopped: {}", failed.len(), t.stopped_reason);
        b.pro(Strong, Seen::new("stopped tasks", value, "ecs:DescribeTasks", task_at(t, c)));
    }
}
