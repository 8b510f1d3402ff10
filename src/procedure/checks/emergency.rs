//! Key 8: what stops the bleeding. Nothing here changes anything; the commands
//! that do say so and are for a person to run.

use super::network::{blocked, leg_name};
use crate::diagnosis::path::{self, Verdict};
use crate::diagnosis::timeouts::{self, Standing};
use crate::procedure::desk::{Desk, group_name};
use crate::procedure::suspects::{cluster_name, suspects};
use crate::situation::{Topic, short};

pub(super) fn health(d: &mut Desk<'_>) {
    let w = d.w;
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let healthy = targets.iter().filter(|t| t.is_healthy()).count();
        let text = w.capacity(name, healthy, targets.len());
        if healthy == targets.len() && healthy > 0 { d.ok(text, &[e]) } else { d.found(text, &[e]) }
    }
}

pub(super) fn paths(d: &mut Desk<'_>) {
    let w = d.w;
    let legs = path::legs(d.s);
    let mut open = Vec::new();
    if legs.is_empty() {
        d.unknown(w.what_paths(), w.reason_no_legs());
    }
    for leg in &legs {
        let name = leg_name(d, leg);
        match leg.verdict {
            Verdict::Blocked | Verdict::Partly => blocked(d, leg, &name),
            Verdict::Open => open.push(name),
            Verdict::Unknown => match leg.report.unknown.first() {
                Some(u) => {
                    let what = w.what_leg(name, &u.what);
                    d.missing(what, &u.reason);
                }
                None => d.unknown(w.what_leg(name, "-"), w.reason_no_legs()),
            },
            Verdict::NotApplicable => {}
        }
    }
    if !open.is_empty() {
        let list = d.list(open);
        d.ok(w.leg_open(list), &[]);
    }
}

pub(super) fn timeouts(d: &mut Desk<'_>) {
    let w = d.w;
    let measured = d.measured();
    let chain = timeouts::chain(d.s, &measured);
    if chain.rules.is_empty() {
        d.unknown(w.what_timeouts(), w.reason_no_chain());
    }
    let mut open = 0;
    let mut held = 0;
    for r in &chain.rules {
        let id = format!("{:?}", r.id);
        match r.standing {
            Standing::Violated => d.found(w.rule_violated(id, &r.text, super::settings::why(d, r.id)), &[]),
            Standing::AtRisk => d.found(w.rule_at_risk(id, &r.text, super::settings::why(d, r.id)), &[]),
            Standing::Unknown => open += 1,
            Standing::Holds => held += 1,
            Standing::NotApplicable => {}
        }
    }
    if open > 0 {
        d.unknown(w.what_rules(open), w.reason_see_step_4());
    } else if held > 0 {
        d.ok(w.rules_rest_hold(held), &[]);
    }
    d.by_hand();
}

/// Taking failing targets out helps only while others carry the load.
pub(super) fn remove(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let healthy = targets.iter().filter(|t| t.is_healthy()).count();
        let ill = targets.iter().filter(|t| t.state.starts_with("unhealthy")).count();
        let text = match (ill, healthy) {
            (0, _) => w.remove_none(name),
            (_, 0) => w.remove_last(name),
            (ill, healthy) => w.remove_leaves(name, ill, healthy),
        };
        d.info(text, &[e]);
    }
    let ill: Vec<_> = suspects(s).into_iter().filter(|t| t.health.state.starts_with("unhealthy")).collect();
    if !ill.is_empty() {
        d.by_hand_for(|_| {}, &ill);
    }
}

/// The version before the present one, where the service still knows it.
pub(super) fn rollback(d: &mut Desk<'_>) {
    let w = d.w;
    let mut before = None;
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((services, e)) = d.read(&group.services, &Topic::EcsServices(arn.clone())) else { continue };
        if services.is_empty() {
            d.info(w.rollback_elsewhere(name), std::slice::from_ref(&e));
        }
        for service in services {
            let older = service
                .deployments
                .iter()
                .find(|x| x.status.as_str() != "PRIMARY" && x.task_definition != service.task_definition);
            match older {
                Some(x) => {
                    let (now, then) = (short(&service.task_definition), short(&x.task_definition));
                    d.info(w.rollback_to(&service.name, now, then), std::slice::from_ref(&e));
                    before.get_or_insert((service, x.task_definition.clone()));
                }
                None => {
                    d.info(
                        w.rollback_unknown(&service.name, short(&service.task_definition)),
                        std::slice::from_ref(&e),
                    );
                    before.get_or_insert((service, "".into()));
                }
            }
        }
    }
    if let Some((service, definition)) = before {
        let list = suspects(d.s);
        d.by_hand_for(
            |v| {
                v.set("cluster", cluster_name(&service.cluster)).set("service", &service.name);
                v.set("task_definition", &definition);
            },
            &list,
        );
    } else {
        d.by_hand();
    }
}

pub(super) fn scale(d: &mut Desk<'_>) {
    let w = d.w;
    let mut first = None;
    for (arn, group) in d.groups() {
        let Some((services, e)) = d.read(&group.services, &Topic::EcsServices(arn.clone())) else { continue };
        for service in services {
            d.info(
                w.scale_service(&service.name, service.running, service.desired),
                std::slice::from_ref(&e),
            );
            first.get_or_insert(service);
        }
    }
    let list = suspects(d.s);
    d.by_hand_for(
        |v| {
            if let Some(service) = first {
                v.set("cluster", cluster_name(&service.cluster)).set("service", &service.name);
                v.set("more", &(service.desired + 1).max(2).to_string());
            }
        },
        &list,
    );
}
