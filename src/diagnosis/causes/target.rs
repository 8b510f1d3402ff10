//! Target, application and server resources.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::verdict::Weight::{self, Decisive, Strong, Weak};
use crate::situation::Reason;
use crate::situation::ecs::{Service, Task};
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
    for s in c.signs_of("app-process-down-or-crashing") {
        let own = crash.contains(&s.pattern.id.as_str());
        b.pro(if own { Strong } else { Weak }, Seen::sign(s));
    }
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
        b.lack("processes on the targets", Reason::NotAsked);
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
    for s in c.signs_of("memory-exhausted-oom") {
        let killed = s.pattern.server.as_str() == "kernel" || s.pattern.id.as_str() == "node-heap";
        b.pro(if killed { Decisive } else { Strong }, Seen::sign(s));
    }
    for t in stopped(c).into_iter().filter(|t| out_of_memory(t)).take(3) {
        let sure =
            t.stopped_reason.contains("OutOfMemory") || t.exits.iter().any(|e| e.contains("OutOfMemory"));
        let value = format!("{} {}", t.stopped_reason, t.exits.first().cloned().unwrap_or_default());
        let seen = Seen::new("stopped task", value, "ecs:DescribeTasks", task_at(t, c));
        // 137 alone is also a stop that took too long.
        b.pro(if sure { Decisive } else { Weak }, seen);
    }
    if !b.has_pro() && c.failing {
        b.lack("memory of the targets", Reason::NotAsked);
    }
}

pub(super) fn cpu(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_some() && c.failing {
        b.lack("CPUUtilization of the targets", Reason::NotAsked);
    }
}

pub(super) fn disk(c: &Case<'_>, b: &mut Ballot) {
    signs(c, b, "disk-full", Decisive);
    if !b.has_pro() && c.failing {
        b.lack("disks of the targets", Reason::NotAsked);
    }
}

pub(super) fn pool(c: &Case<'_>, b: &mut Ballot) {
    for s in c.signs_of("worker-or-connection-pool-exhausted") {
        let shared = s.pattern.id.as_str() == "kernel-conntrack";
        b.pro(if shared { Weak } else { Strong }, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack("queues and limits of the servers", Reason::NotAsked);
    }
}

/// A cause deeper inside was named by the logs: database, service, disk.
fn named_inside(c: &Case<'_>) -> bool {
    [
        "dependency-db-unavailable",
        "local-proxy-upstream-failure",
        "disk-full",
        "worker-or-connection-pool-exhausted",
    ]
    .iter()
    .any(|id| c.signs_of(id).next().is_some())
}

pub(super) fn exception(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    if c.mostly(T5XX) {
        b.pro(if named_inside(c) { Weak } else { Strong }, Seen::metric(c, T5XX));
        b.lack_if("logs of the application", c.no_logs());
    } else if c.none(T5XX) && c.failing {
        b.con(Strong, Seen::metric(c, T5XX));
    }
}

pub(super) fn worker_kill(c: &Case<'_>, b: &mut Ballot) {
    let weight = if c.many(E502) { Decisive } else { Weak };
    for s in c.signs_of("app-worker-timeout-kill") {
        let own = matches!(s.pattern.id.as_str(), "gunicorn-timeout" | "php-terminated");
        b.pro(if own { weight } else { Weak }, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack_if("logs of the application", c.no_logs());
    }
}

pub(super) fn host_impaired(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().any(|g| g.tg.is_some_and(|t| t.target_type.as_str() == "instance")) && c.trouble() {
        b.lack("status checks of the instances", Reason::NotAsked);
    }
}

pub(super) fn local_proxy(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let passed_on = c.mostly(T5XX);
    for s in &c.signs {
        let proxy = matches!(s.pattern.server.as_str(), "nginx" | "httpd");
        let upstream = s.sample.contains("upstream")
            || s.sample.contains("backend")
            || s.sample.contains("remote server")
            || s.sample.contains("AH00957");
        if proxy && upstream {
            b.pro(if passed_on { Decisive } else { Weak }, Seen::sign(s));
        }
    }
    for g in c.servers() {
        let targets = g.targets.as_ref().copied().unwrap_or_default();
        let said =
            targets.iter().find(|t| t.description.contains("[502]") || t.description.contains("[504]"));
        if let Some(t) = said {
            let what = format!("target health of {}", g.name);
            let seen = Seen::new(what, t.description.clone(), "elbv2:DescribeTargetHealth", g.at);
            b.pro(if passed_on { Strong } else { Weak }, seen);
        }
    }
    if passed_on && !b.has_pro() {
        b.pro(Weak, Seen::metric(c, T5XX));
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
