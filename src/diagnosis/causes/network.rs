//! The network between load balancer and targets.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::path::{Decision, Leg, LegKind, StageKind, Verdict};
use crate::diagnosis::rows::Shape;
use crate::diagnosis::timeouts::{RuleId, Standing};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::Reason;
use jiff::Timestamp;

pub(super) fn target_ingress(c: &Case<'_>, b: &mut Ballot) {
    stage(c, b, &[StageKind::SgIngress], "ec2:DescribeSecurityGroups");
}

pub(super) fn lb_egress(c: &Case<'_>, b: &mut Ballot) {
    stage(c, b, &[StageKind::SgEgress], "ec2:DescribeSecurityGroups");
}

pub(super) fn acl_forward(c: &Case<'_>, b: &mut Ballot) {
    stage(c, b, &[StageKind::NaclOut, StageKind::NaclIn], "ec2:DescribeNetworkAcls");
}

pub(super) fn acl_return(c: &Case<'_>, b: &mut Ballot) {
    stage(c, b, &[StageKind::ReturnNaclOut, StageKind::ReturnNaclIn], "ec2:DescribeNetworkAcls");
}

pub(super) fn route(c: &Case<'_>, b: &mut Ballot) {
    stage(c, b, &[StageKind::Route, StageKind::ReturnRoute], "ec2:DescribeRouteTables");
    let clients = c.inputs.legs.iter().filter(|l| l.kind == LegKind::Listener);
    for l in clients.filter(|l| l.verdict == Verdict::Blocked) {
        let Some(by) = l.blocked_by().filter(|by| is_route(by.stage)) else { continue };
        let seen =
            Seen::new("way of clients to a listener", by.why.clone(), "ec2:DescribeRouteTables", read_at(c));
        // Requests that still arrive show that it is not the only way in.
        if c.requests().is_some_and(|n| n > 0.0) { b.pro(Weak, seen) } else { b.pro(Strong, seen) }
    }
}

fn is_route(stage: StageKind) -> bool {
    matches!(stage, StageKind::Route | StageKind::ReturnRoute)
}

fn read_at(c: &Case<'_>) -> Timestamp {
    let vpcs = c.s.vpcs.values();
    let of = vpcs
        .filter_map(|v| v.security_groups.as_of().max(v.network_acls.as_of()).max(v.route_tables.as_of()));
    of.max().unwrap_or(c.now)
}

/// Legs from the load balancer to its targets.
fn inner<'c>(c: &'c Case<'_>) -> impl Iterator<Item = &'c Leg> {
    c.inputs
        .legs
        .iter()
        .filter(|l| l.kind != LegKind::Listener && l.verdict != Verdict::NotApplicable)
        .filter(|l| l.group.as_ref().is_none_or(|g| c.groups.iter().any(|x| x.arn == g && x.in_use)))
}

/// Blocked paths that are told one by one; of more only their number. Behind
/// one load balancer may be a thousand security groups.
const TOLD: usize = 20;

/// One kind of stage on every leg.
fn stage(c: &Case<'_>, b: &mut Ballot, stages: &[StageKind], source: &str) {
    let at = read_at(c);
    let (mut any, mut clear) = (false, true);
    // Blocked paths without and with a trace.
    let (mut strong, mut decisive) = (0, 0);
    for l in inner(c) {
        any = true;
        if let Some(by) = l.blocked_by().filter(|by| stages.contains(&by.stage)) {
            clear = false;
            let (n, weight) = if has_trace(c, l) { (&mut decisive, Decisive) } else { (&mut strong, Strong) };
            *n += 1;
            if *n <= TOLD {
                let what = format!("path {} to {} on {} ({})", l.from, l.to, port(l), l.kind.word());
                b.pro(weight, Seen::new(what, by.why.clone(), source, at));
            }
            continue;
        }
        for u in l.report.unknown.iter().filter(|u| stages.contains(&u.stage)) {
            clear = false;
            b.lack(u.what.clone(), u.reason.clone());
        }
        // A leg that could not be evaluated at all says nothing of any stage.
        let told = l.report.forward.iter().chain(&l.report.back).any(|s| {
            stages.contains(&s.stage) && matches!(s.decision, Decision::Allow | Decision::NotApplicable)
        });
        if !told && l.report.unknown.iter().any(|u| !stages.contains(&u.stage)) {
            clear = false;
            if let Some(u) = l.report.unknown.first() {
                b.lack(u.what.clone(), u.reason.clone());
            }
        }
    }
    if !any {
        if c.servers().next().is_some() || c.groups.is_empty() {
            b.lack("network path to the targets", c.no_health().unwrap_or(Reason::NotAsked));
        }
        return;
    }
    for (n, weight) in [(strong, Strong), (decisive, Decisive)].into_iter().filter(|(n, _)| *n > TOLD) {
        let value = format!("{} more are blocked at this stage", n - TOLD);
        b.pro(weight, Seen::new("further paths", value, source, at));
    }
    if clear {
        b.con(Decisive, Seen::new("every path to the targets", "allowed at this stage", source, at));
    } else if b.has_pro() && decisive == 0 {
        b.dormant();
    }
}

fn port(l: &Leg) -> String {
    l.port.map_or_else(|| "every port".into(), |p| p.to_string())
}

/// Something fails the way a blocked path fails: checks that time out on these
/// very targets, or connections that do.
fn has_trace(c: &Case<'_>, l: &Leg) -> bool {
    c.many("HTTPCode_ELB_504_Count") || c.times_out(l)
}

pub(super) fn host_firewall(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let open = inner(c).all(|l| l.verdict == Verdict::Open) && inner(c).next().is_some();
    let refused = c.mostly("HTTPCode_ELB_502_Count") && c.many("TargetConnectionErrorCount");
    let silent = c.mostly("HTTPCode_ELB_504_Count") && c.many("TargetConnectionErrorCount");
    for s in c.signs_of("host-firewall-blocks") {
        // The kernel of a target says that it dropped what the network let through.
        let own = open && silent && s.pattern.server.as_str() == "kernel" && s.before <= s.count * 2;
        b.pro(if own { Strong } else { Weak }, Seen::sign(s));
    }
    if open && silent {
        let seen = Seen::new(
            "path to the targets",
            "open in the network, yet connections time out",
            "security groups, network ACLs, routes",
            read_at(c),
        );
        // A full queue lets some connections through; a firewall none.
        let all = c.rows.as_ref().is_ok_and(|r| {
            let good = r.good_targets();
            let top = r.top(Shape::Unconnected, |x| &x.target, &good);
            r.mostly(Shape::Unconnected) && top.is_some_and(|t| t.rate.is_some_and(|x| x >= 0.97))
        });
        b.pro(if all { Strong } else { Weak }, seen);
        b.pro(Weak, Seen::metric(c, "TargetConnectionErrorCount"));
    } else if open && refused {
        b.pro(Weak, Seen::metric(c, "TargetConnectionErrorCount"));
    }
    if c.none("TargetConnectionErrorCount") && c.failing {
        b.con(Strong, Seen::metric(c, "TargetConnectionErrorCount"));
    }
    b.lack("firewall rules of the hosts", c.no_hosts());
}

pub(super) fn conntrack(c: &Case<'_>, b: &mut Ballot) {
    for s in c.signs.iter().filter(|s| s.pattern.id.as_str() == "kernel-conntrack") {
        b.pro(if c.failing { Decisive } else { Strong }, Seen::sign(s));
    }
    let at_risk = c
        .inputs
        .chain
        .rules
        .iter()
        .find(|r| r.id == RuleId::R7 && matches!(r.standing, Standing::Violated | Standing::AtRisk));
    if let Some(r) = at_risk {
        let seen = Seen::new("order of idle timers", r.text.clone(), "load balancer attributes", c.now);
        if c.drizzle() {
            b.pro(Weak, seen);
        } else {
            b.pro(Strong, seen);
            if c.signs.iter().all(|s| s.pattern.id.as_str() != "kernel-conntrack") {
                b.dormant();
            }
        }
    }
    if !b.has_pro() && c.failing {
        b.lack("connection tracking of hosts and interfaces", c.no_hosts());
    }
}
