//! Causes at a Network Load Balancer. It speaks no HTTP: whoever stands in
//! front of it turns its resets into a 502. Source: "CloudWatch metrics for
//! your Network Load Balancer" and "Troubleshoot your Network Load Balancer".

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::path::{LegKind, Verdict};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::Reason;

const METRICS: &str = "cloudwatch:GetMetricData";
const TARGET: &str = "TCP_Target_Reset_Count";
const BALANCER: &str = "TCP_ELB_Reset_Count";
const PORTS: &str = "PortAllocationErrorCount";

fn step(c: &Case<'_>, name: &str) -> Option<Seen> {
    c.flow_step(name).map(|o| Seen::new(name, o.why, METRICS, c.metrics_at()))
}

fn healthy(c: &Case<'_>) -> bool {
    c.no_health().is_none() && c.servers().all(|g| g.count("unhealthy") == 0)
}

pub(super) fn reset(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    b.lack_if("target health", c.no_health());
    let mut resets = false;
    if let Some(seen) = step(c, TARGET) {
        resets = true;
        b.pro(Strong, seen);
    }
    let mut ill = false;
    for g in c.servers() {
        let (bad, all) = (g.count("unhealthy"), g.len());
        if bad > 0 {
            ill = true;
            let value = format!("{bad} of {all} unhealthy");
            let seen =
                Seen::new(format!("target health of {}", g.name), value, "elbv2:DescribeTargetHealth", g.at);
            b.pro(if resets { Decisive } else { Strong }, seen);
        }
    }
    // Resets of its own follow where targets die.
    if let Some(seen) = step(c, BALANCER) {
        b.pro(if ill { Strong } else { Weak }, seen);
    }
    for name in [
        "SecurityGroupBlockedFlowCount_Inbound_TCP",
        "SecurityGroupBlockedFlowCount_Outbound_TCP",
        "RejectedFlowCount",
    ] {
        if let Some(seen) = step(c, name) {
            b.pro(Strong, seen);
        }
    }
    if let Some(n) = c.flows("UnhealthyRoutingFlowCount").filter(|n| *n >= 1.0) {
        b.pro(
            Weak,
            Seen::new("UnhealthyRoutingFlowCount", format!("{n:.0}: it fails open"), METRICS, c.metrics_at()),
        );
    }
    if !resets && !ill {
        if c.no_health().is_none() && c.no_metrics.is_none() {
            b.con(Strong, Seen::new(TARGET, "flat, and no target is unhealthy", METRICS, c.metrics_at()));
        }
        return;
    }
    // Where the way is shut, that is why.
    let legs = c.inputs.legs.iter().filter(|l| l.kind != LegKind::Listener);
    if let Some(l) = legs.filter(|l| l.verdict == Verdict::Blocked).find(|l| c.times_out(l)) {
        b.con(Strong, Seen::new("way to the targets", l.why(), "path evaluation", c.now));
    }
}

pub(super) fn idle(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let told = step(c, BALANCER);
    let resets = told.is_some();
    if let Some(seen) = told {
        let alone = healthy(c) && c.flow_step(TARGET).is_none();
        b.pro(if alone { Strong } else { Weak }, seen);
        if !healthy(c) && c.no_health().is_none() {
            b.con(
                Strong,
                Seen::new(
                    "target health",
                    "targets are unhealthy: their flows are reset as well",
                    "elbv2:DescribeTargetHealth",
                    c.now,
                ),
            );
        }
        if let Some(seen) = step(c, PORTS) {
            b.con(Strong, seen);
        }
    } else if c.flows(BALANCER).is_some_and(|n| n < 1.0) {
        b.con(Strong, Seen::new(BALANCER, "none in this window", METRICS, c.metrics_at()));
    }
    // A short timer is the more telling one.
    let timers: Vec<f64> =
        c.s.lb()
            .into_iter()
            .flat_map(|l| l.listener_attributes.values())
            .filter_map(|d| crate::situation::Situation::attribute_seconds(d, "tcp.idle_timeout.seconds"))
            .collect();
    if let Some(t) = timers.iter().copied().reduce(f64::min) {
        let value = format!("flows idle for {t:.0} s are forgotten, and reset when used again");
        let seen =
            Seen::new("idle timeout of the listener", value, "elbv2:DescribeListenerAttributes", c.now);
        if resets {
            b.pro(if t < 350.0 { Strong } else { Weak }, seen);
        }
    } else if resets {
        let why = c.s.lb().and_then(|l| l.listener_attributes.values().find_map(|d| d.why_unknown()));
        b.lack("idle timeout of the listener", why.unwrap_or(Reason::NotAsked));
    }
}

pub(super) fn exhausted(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    if let Some(n) = c.flows(PORTS).filter(|n| *n >= 1.0) {
        let seen = Seen::new(PORTS, format!("{n:.0} in this window"), METRICS, c.metrics_at());
        b.pro(Decisive, seen);
        if let Some(seen) = step(c, PORTS) {
            b.pro(Strong, seen);
        }
    } else if c.no_metrics.is_none() {
        b.con(Strong, Seen::new(PORTS, "none in this window", METRICS, c.metrics_at()));
    }
    for g in c.servers() {
        let preserved = g.state.attributes.value().and_then(|a| {
            a.iter()
                .find(|(k, _)| k.as_str() == "preserve_client_ip.enabled")
                .map(|(_, v)| v.as_str() == "true")
        });
        if preserved == Some(true) && b.has_pro() {
            b.pro(
                Weak,
                Seen::new(
                    format!("attributes of {}", g.name),
                    "client addresses are preserved",
                    "elbv2:DescribeTargetGroupAttributes",
                    g.at,
                ),
            );
        }
    }
}
