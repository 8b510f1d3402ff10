//! Key 9: what keeps it from coming back.

use crate::procedure::desk::{Desk, group_name};
use crate::situation::Topic;
use std::collections::BTreeSet;

pub(super) fn spread(d: &mut Desk<'_>) {
    let w = d.w;
    if let Some((lb, e)) = d.read_lb(|l| &l.lb, Topic::LoadBalancer) {
        let zones = d.list(lb.zones.iter().map(|z| &z.az));
        match lb.zones.len() {
            0 | 1 => d.found(w.spread_lb_one(&lb.name, zones), &[e]),
            _ => d.ok(w.spread_lb(&lb.name, zones), &[e]),
        }
    }
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        if group.group.as_ref().is_some_and(|g| g.target_type.as_str() == "lambda") {
            continue;
        }
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let healthy: Vec<_> = targets.iter().filter(|t| t.is_healthy()).collect();
        let zones: BTreeSet<&str> = healthy.iter().map(|t| t.az.as_str()).filter(|z| !z.is_empty()).collect();
        let text = w.spread_group(name, healthy.len(), zones.len());
        if healthy.len() >= 2 && zones.len() >= 2 { d.ok(text, &[e]) } else { d.found(text, &[e]) }
    }
}

/// Is it written down as code, so that a change leaves a trace?
pub(super) fn code(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    let Some((_, e)) = d.read_lb(|l| &l.tags, Topic::Tags) else { return };
    let sign = |key: &str| {
        let key = key.to_ascii_lowercase();
        key == "aws:cloudformation:stack-name"
            || key.contains("terraform")
            || key == "managedby"
            || key == "managed-by"
    };
    let lb = d.lb.clone();
    let mut arns = vec![lb];
    arns.extend(s.active_groups().into_iter().map(|(arn, _)| arn.clone()));
    for arn in arns.into_iter().filter(|a| !a.is_empty()) {
        let name = crate::situation::short(&arn);
        match s.tags.get(&arn).and_then(|t| t.iter().find(|(k, _)| sign(k))) {
            Some((k, v)) => d.ok(w.code_tag(name, k, v), std::slice::from_ref(&e)),
            None => d.found(w.code_none(name), std::slice::from_ref(&e)),
        }
    }
}
