//! Step 3: can the load balancer reach the targets, and what do refusals say?

use crate::diagnosis::path::{self, Leg, Verdict};
use crate::procedure::desk::{Desk, group_name, number};
use crate::procedure::metrics::{Count, count, fetched};
use crate::situation::elb::TargetHealth;
use crate::situation::{Datum, GroupState, Topic};
use crate::text::SafeText;
use std::collections::{BTreeMap, BTreeSet};

/// Notes down that the network was asked, without complaining about what is
/// missing: each leg says itself what it lacks.
fn note_asked(d: &mut Desk<'_>) {
    fn source<T>(d: &mut Desk<'_>, datum: &Datum<T>, topic: &Topic) {
        match datum.get() {
            Some(known) => d.asked(&known.source),
            None => d.asked(crate::procedure::desk::operation(topic)),
        }
    }
    let s = d.s;
    if let Some(lb) = s.lb() {
        source(d, &lb.interfaces, &Topic::LbInterfaces(SafeText::default()));
    }
    for v in s.vpcs.values() {
        source(d, &v.security_groups, &Topic::SecurityGroups(SafeText::default()));
        source(d, &v.network_acls, &Topic::NetworkAcls(SafeText::default()));
        source(d, &v.route_tables, &Topic::RouteTables(SafeText::default()));
        source(d, &v.subnets, &Topic::Subnets(SafeText::default()));
        source(d, &v.instances, &Topic::Instances(SafeText::default()));
    }
}

/// `shop -> web tcp/8080 (traffic)`.
pub(super) fn leg_name(d: &Desk<'_>, leg: &Leg) -> String {
    let port = leg.port.map_or_else(|| "*".to_owned(), |p| p.to_string());
    let w = d.w;
    let kind = match leg.kind {
        path::LegKind::Listener => w.leg_clients(),
        path::LegKind::Traffic => w.leg_traffic(),
        path::LegKind::Health => w.leg_health(),
        path::LegKind::TrafficAndHealth => w.leg_both(),
    };
    // Zones are named where they make a difference.
    let nodes = d.s.load_balancer().map_or(0, |lb| lb.zones.len());
    let from = if leg.zones.is_empty() || leg.zones.len() >= nodes {
        String::new()
    } else {
        format!(", {}", d.list(&leg.zones))
    };
    format!("{} -> {}:{port} ({kind}{from})", leg.from, leg.to)
}

pub(super) fn paths(d: &mut Desk<'_>) {
    let w = d.w;
    note_asked(d);
    let legs = path::legs(d.s);
    if legs.is_empty() {
        // No leg at all means that the load balancer or its groups are not known.
        if d.read_lb(|l| &l.lb, Topic::LoadBalancer).is_some() && !d.groups().is_empty() {
            d.unknown(w.what_paths(), w.reason_no_legs());
        }
        return;
    }
    let mut open = Vec::new();
    for leg in &legs {
        let name = leg_name(d, leg);
        match leg.verdict {
            Verdict::Open => open.push(name),
            Verdict::Blocked | Verdict::Partly => blocked(d, leg, &name),
            Verdict::Unknown => match leg.report.unknown.first() {
                Some(u) => {
                    let what = w.what_leg(name, &u.what);
                    d.missing(what, &u.reason);
                }
                None => d.unknown(w.what_leg(name, "-"), w.reason_no_legs()),
            },
            Verdict::NotApplicable => d.info(w.leg_not_applicable(name, leg.why()), &[]),
        }
    }
    if !open.is_empty() {
        let list = d.list(open);
        d.ok(w.leg_open(list), &[]);
    }
}

/// Says which rule stops a leg, and for whom.
pub(super) fn blocked(d: &mut Desk<'_>, leg: &Leg, name: &str) {
    let w = d.w;
    let targets = d.list(leg.targets.iter().map(|t| d.target(t)));
    let whom = if leg.targets.is_empty() { leg.to.clone() } else { targets };
    let e = leg.blocked_by().map(|b| crate::procedure::Evidence {
        what: format!("{} {} {}", b.stage.id(), b.id, b.rule).into(),
        source: "badgate.path/1".into(),
        at: d.s.at.unwrap_or(d.cx.now),
    });
    let text = match leg.verdict {
        Verdict::Partly => w.leg_partly(name, leg.why(), whom),
        _ => w.leg_blocked(name, leg.why(), whom),
    };
    d.found(text, e.as_slice());
}

pub(super) fn reasons(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    let groups = d.groups();
    for (arn, group) in groups {
        let name = group_name(arn, group);
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let mut kinds: BTreeMap<(&str, &str), Vec<&TargetHealth>> = BTreeMap::new();
        for t in targets.iter().filter(|t| !t.is_healthy()) {
            kinds.entry((&t.state, &t.reason)).or_default().push(t);
        }
        if kinds.is_empty() && !targets.is_empty() {
            d.ok(w.reasons_none(name), std::slice::from_ref(&e));
        }
        for ((state, reason), list) in kinds {
            let meaning = meaning(d, group, reason, list[0]);
            let named = d.list(list.iter().map(|t| d.target(&t.key())));
            let label = if reason.is_empty() { state } else { reason };
            let text = w.reasons_group(name, label, list.len(), named, meaning);
            // Starting and leaving are states of work, not of trouble.
            if matches!(state, "initial" | "draining") {
                d.info(text, std::slice::from_ref(&e));
            } else {
                d.found(text, std::slice::from_ref(&e));
            }
        }
    }
    let Some(e) = fetched(d) else { return };
    let lb = d.lb.clone();
    match count(s, &lb, "TargetConnectionErrorCount", cx.since, cx.now) {
        Count::Known(n) if n > 0.0 => d.found(w.connection_errors(number(n), d.clock(cx.since)), &[e]),
        Count::Known(_) => d.ok(w.connection_errors_none(d.clock(cx.since)), &[e]),
        Count::NoTraffic => d.unknown(w.what_connection_errors(), w.reason_no_traffic(d.clock(cx.since))),
    }
}

/// What a health reason says about the network and the application behind it.
fn meaning(d: &Desk<'_>, group: &GroupState, reason: &str, t: &TargetHealth) -> SafeText {
    let w = d.w;
    let hc = group.group.as_ref().map(|g| &g.health_check);
    match reason {
        "Target.Timeout" => {
            let seconds = hc.and_then(|h| h.timeout_s).map_or_else(|| "?".to_owned(), |n| n.to_string());
            w.health_timeout(seconds)
        }
        "Target.FailedHealthChecks" => w.health_failed(),
        "Target.ResponseCodeMismatch" => w.health_codes(&t.description),
        "Target.NotInUse" => w.health_not_in_use(),
        "Target.InvalidState" => w.health_invalid_state(),
        "Target.NotRegistered" => w.health_not_registered(),
        "Target.IpUnusable" => w.health_ip_unusable(),
        "Target.DeregistrationInProgress" => w.health_draining(),
        "Target.HealthCheckDisabled" => w.health_disabled(),
        "Elb.RegistrationInProgress" | "Elb.InitialHealthChecking" => w.health_initial(),
        "Elb.InternalError" => w.health_internal(),
        _ if t.description.is_empty() => w.health_other(&t.state),
        _ => w.health_other(&t.description),
    }
}

pub(super) fn zones(d: &mut Desk<'_>) {
    let w = d.w;
    let Some((lb, e)) = d.read_lb(|l| &l.lb, Topic::LoadBalancer) else { return };
    let enabled: BTreeSet<&str> = lb.zones.iter().map(|z| z.az.as_str()).collect();
    let mut strange = false;
    let mut seen = false;
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((targets, _)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let zones: BTreeSet<&str> =
            targets.iter().map(|t| t.az.as_str()).filter(|z| !z.is_empty() && *z != "all").collect();
        seen |= !zones.is_empty();
        for zone in zones.difference(&enabled) {
            strange = true;
            d.found(w.zone_not_enabled(name, zone), std::slice::from_ref(&e));
        }
        // Without cross-zone balancing each node answers for its own zone alone.
        let key = "load_balancing.cross_zone.enabled";
        let off = group.attributes.value().and_then(|a| a.get(key)).is_some_and(|v| v.as_str() == "false");
        if off && !targets.is_empty() {
            for zone in &enabled {
                let here: Vec<_> = targets.iter().filter(|t| t.az.as_str() == *zone).collect();
                if here.is_empty() {
                    strange = true;
                    d.found(w.zone_empty(name, zone), std::slice::from_ref(&e));
                } else if here.iter().all(|t| !t.is_healthy()) {
                    strange = true;
                    d.found(w.zone_unhealthy(name, zone), std::slice::from_ref(&e));
                }
            }
        }
    }
    if seen && !strange {
        let list = d.list(&enabled);
        d.ok(w.zones_fit(list), &[e]);
    }
}
