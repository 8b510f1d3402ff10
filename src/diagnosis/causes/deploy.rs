//! Deployments and changes, and what the application depends on.

use super::alb::NEAR;
use super::ballot::{Ballot, Seen};
use super::target::{services, stopped};
use crate::diagnosis::case::Case;
use crate::diagnosis::timeouts::{RuleId, Standing};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::Reason;
use jiff::SignedDuration;

const E502: &str = "HTTPCode_ELB_502_Count";
const E504: &str = "HTTPCode_ELB_504_Count";
const T5XX: &str = "HTTPCode_Target_5XX_Count";

pub(super) fn regression(c: &Case<'_>, b: &mut Ballot) {
    let Some(onset) = c.inputs.onset else {
        if c.failing {
            b.lack("deployments before the failure", Reason::NotAsked);
        }
        return;
    };
    let services = services(c);
    for s in &services {
        for d in &s.deployments {
            let Some(at) = d.created else { continue };
            let before = onset.at.duration_since(at);
            let near = before <= NEAR && before >= -SignedDuration::from_mins(2);
            let what = format!("deployment of {}", s.name);
            let value = format!("{} began {} min before the onset", d.task_definition, before.as_mins());
            if near {
                b.pro(Strong, Seen::new(what, value, "ecs:DescribeServices", at));
            }
        }
    }
    if services.is_empty() || !b.has_pro() {
        b.lack("deployments before the onset", Reason::NotAsked);
    }
}

pub(super) fn config_change(c: &Case<'_>, b: &mut Ballot) {
    if c.trouble() {
        b.lack("CloudTrail events before the onset", Reason::NotAsked);
    }
}

pub(super) fn ungraceful(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let order = c.inputs.chain.rules.iter().find(|r| {
        r.id == RuleId::R5 && r.standing == Standing::Violated && r.left.label.contains("deregistration")
    });
    let stops = stopped(c).into_iter().filter(|t| {
        matches!(t.stop_code.as_str(), "ServiceSchedulerInitiated" | "SpotInterruption" | "TerminationNotice")
    });
    let stops: Vec<_> = stops.collect();
    if let Some(t) = stops.last().filter(|_| c.many(E502)) {
        let value = format!("{} tasks were stopped: {}", stops.len(), t.stopped_reason);
        let seen = Seen::new("stopped tasks", value, "ecs:DescribeTasks", t.stopped.unwrap_or(c.now));
        b.pro(if c.none("TargetConnectionErrorCount") { Strong } else { Weak }, seen);
    }
    if let Some(r) = order {
        let seen = Seen::new("order of drain and stop", r.text.clone(), r.right.source.clone(), c.now);
        if !b.has_pro() {
            b.dormant();
        }
        b.pro(Strong, seen);
    }
    if !b.has_pro() && c.failing {
        b.lack("end times of targets", Reason::NotAsked);
    }
}

pub(super) fn database(c: &Case<'_>, b: &mut Ballot) {
    let suffers = c.mostly(T5XX) || c.mostly(E504);
    for s in c.signs_of("dependency-db-unavailable") {
        // A refused call may be to any service.
        let own = s.pattern.id.as_str() != "node-refused";
        let weight = match (own, suffers) {
            (true, true) => Decisive,
            (true, false) => Strong,
            _ => Weak,
        };
        b.pro(weight, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack("state of the databases", Reason::NotAsked);
    }
}

pub(super) fn external(c: &Case<'_>, b: &mut Ballot) {
    let suffers = c.mostly(T5XX) || c.mostly(E504);
    for s in c.signs_of("dependency-external-api-slow") {
        b.pro(if suffers { Strong } else { Weak }, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack_if("logs of the application", c.no_logs());
    }
}
