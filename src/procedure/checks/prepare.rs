//! Step 0: what is examined, since when, how much of it.

use crate::diagnosis::series;
use crate::procedure::desk::{Desk, group_name, number};
use crate::procedure::metrics::{Count, count, fetched};
use crate::situation::Topic;
use crate::situation::elb::{Action, Rule};
use crate::situation::log::Level;
use crate::text::SafeText;
use std::collections::BTreeMap;

pub(super) fn target(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    if let Some((id, e)) = d.read(&s.identity, &Topic::Identity) {
        d.info(w.target_account(&id.account, &id.region), &[e]);
    }
    let Some((t, e)) = d.read(&s.target, &Topic::Target) else { return };
    if t.lb.is_empty() {
        d.found(w.target_none(&t.asked), &[e]);
        return;
    }
    let Some((lb, e)) = d.read_lb(|l| &l.lb, Topic::LoadBalancer) else { return };
    let zones = d.list(lb.zones.iter().map(|z| &z.az));
    d.info(w.target_is(&lb.name, &lb.kind, &lb.scheme, &lb.dns_name, zones), std::slice::from_ref(&e));
    match lb.state.as_str() {
        "active" => d.ok(w.target_active(&lb.name), &[e]),
        "" => {}
        state => {
            let why = if lb.state_reason.is_empty() { state } else { &lb.state_reason };
            d.found(w.target_state(&lb.name, state, why), &[e]);
        }
    }
}

pub(super) fn onset(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    if let Some(e) = fetched(d) {
        let lb = d.lb.clone();
        let sum = |name: &str| count(s, &lb, name, cx.since, cx.now);
        let errors: f64 = LB_CODES.iter().map(|(_, name)| sum(name).value()).sum::<f64>()
            + sum("HTTPCode_Target_5XX_Count").value();
        match series::onset(s) {
            Some(o) => {
                let text = w.onset_at(d.clock(o.at), number(o.baseline), number(o.level));
                d.found(text, std::slice::from_ref(&e));
                if let Some(until) = o.until {
                    d.info(w.onset_over(d.clock(until)), &[e]);
                }
            }
            None if errors > 0.0 => d.info(w.onset_unclear(number(errors), d.clock(cx.since)), &[e]),
            None if matches!(sum("RequestCount"), Count::Known(n) if n > 0.0) => {
                d.ok(w.onset_none(d.clock(cx.since)), &[e]);
            }
            None => d.unknown(w.what_onset(), w.reason_no_traffic(d.clock(cx.since))),
        }
    }
    // A change that was watched is to the second, where metrics are to the minute.
    let first = s
        .active_groups()
        .into_iter()
        .flat_map(|(_, g)| &g.tracks)
        .filter(|(_, t)| t.since_exact && t.state.as_str() != "healthy" && !t.gone)
        .min_by_key(|(_, t)| t.since);
    if let Some((key, t)) = first {
        d.info(w.onset_health(d.target(key), &t.state, d.clock(t.since)), &[]);
    }
    let first = d.lines().filter(|h| h.level == Level::Error).min_by_key(|h| h.line.at);
    if let Some(h) = first {
        d.info(w.onset_log(d.clock(h.line.at), super::logs::sample(&h.line.text)), &[]);
    }
}

/// Codes the load balancer itself answers with, and their metrics.
pub(super) const LB_CODES: [(&str, &str); 4] = [
    ("502", "HTTPCode_ELB_502_Count"),
    ("503", "HTTPCode_ELB_503_Count"),
    ("504", "HTTPCode_ELB_504_Count"),
    ("500", "HTTPCode_ELB_500_Count"),
];

pub(super) fn scope(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    let Some(e) = fetched(d) else { return };
    let lb = d.lb.clone();
    let sum = |name: &str| count(s, &lb, name, cx.since, cx.now);
    let codes: Vec<(&str, f64)> =
        LB_CODES.iter().map(|(code, name)| (*code, sum(name).value())).filter(|(_, n)| *n > 0.0).collect();
    let by_lb: f64 = codes.iter().map(|c| c.1).sum();
    let by_target = sum("HTTPCode_Target_5XX_Count").value();
    let requests = sum("RequestCount");
    if by_lb > 0.0 {
        let list = d.list(codes.iter().map(|(code, n)| format!("{code}: {}", number(*n))));
        d.found(w.scope_by_lb(list, share(by_lb, requests)), std::slice::from_ref(&e));
    }
    if by_target > 0.0 {
        d.found(w.scope_by_target(number(by_target), share(by_target, requests)), std::slice::from_ref(&e));
    }
    if by_lb + by_target == 0.0 {
        match requests {
            Count::Known(n) if n > 0.0 => {
                d.ok(w.scope_none(number(n), d.clock(cx.since)), std::slice::from_ref(&e));
            }
            _ => d.unknown(w.what_scope(), w.reason_no_traffic(d.clock(cx.since))),
        }
        return;
    }
    zones(d, &lb, &e);
}

fn share(n: f64, requests: Count) -> String {
    match requests {
        // Requests without a usable target are not counted, so errors can outnumber requests.
        Count::Known(all) if all >= n && all > 0.0 => format!("{:.1} %", n / all * 100.0),
        _ => "-".to_owned(),
    }
}

/// Does one zone carry the errors?
fn zones(d: &mut Desk<'_>, lb: &SafeText, e: &crate::procedure::Evidence) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    let mut by_zone: BTreeMap<&str, f64> = BTreeMap::new();
    for (key, series) in &s.metrics {
        if key.subject != *lb || key.az.is_empty() || key.stat.as_str() != "Sum" {
            continue;
        }
        let held = by_zone.entry(key.az.as_str()).or_default();
        if LB_CODES.iter().any(|(_, name)| *name == key.name.as_str())
            || key.name.as_str() == "HTTPCode_Target_5XX_Count"
        {
            *held += series.sum(cx.since, cx.now).unwrap_or(0.0);
        }
    }
    let total: f64 = by_zone.values().sum();
    let Some((worst, most)) = by_zone.iter().max_by(|a, b| a.1.total_cmp(b.1)) else { return };
    if by_zone.len() < 2 || total <= 0.0 {
        return;
    }
    if *most / total >= 0.9 {
        d.found(w.scope_one_zone(worst, format!("{:.0} %", most / total * 100.0)), std::slice::from_ref(e));
    } else {
        let list = d.list(by_zone.iter().map(|(az, n)| format!("{az}: {}", number(*n))));
        d.info(w.scope_zones(list), std::slice::from_ref(e));
    }
}

pub(super) fn affected(d: &mut Desk<'_>) {
    let w = d.w;
    let groups = d.groups();
    for (arn, group) in &groups {
        let name = group_name(arn, group);
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth((*arn).clone())) else {
            continue;
        };
        let bad: Vec<_> = targets.iter().filter(|t| !t.is_healthy()).collect();
        if targets.is_empty() {
            d.found(w.affected_empty(name), &[e]);
        } else if bad.is_empty() {
            d.ok(w.affected_none(name, targets.len()), &[e]);
        } else {
            let list = d.list(bad.iter().map(|t| format!("{} {}", d.target(&t.key()), t.state)));
            d.found(w.affected_group(name, bad.len(), targets.len(), list), std::slice::from_ref(&e));
            let zone = &bad[0].az;
            let elsewhere = targets.iter().any(|t| t.az != *zone);
            if !zone.is_empty() && elsewhere && bad.iter().all(|t| t.az == *zone) {
                d.found(w.affected_zone(name, zone), &[e]);
            }
        }
    }
    routes(d, &groups);
}

/// Which requests go to which group.
fn routes(d: &mut Desk<'_>, groups: &[(&SafeText, &crate::situation::GroupState)]) {
    let w = d.w;
    let Some((listeners, e)) = d.read_lb(|l| &l.listeners, Topic::Listeners) else { return };
    let mut by_group: BTreeMap<&SafeText, Vec<String>> = BTreeMap::new();
    for l in listeners {
        let port = l.port;
        let Some(rules) = d.s.lb().and_then(|lb| lb.rules.get(&l.arn)) else {
            for g in forwards(&l.default_actions) {
                by_group.entry(g).or_default().push(format!(":{port}"));
            }
            continue;
        };
        let Some((rules, _)) = d.read(rules, &Topic::Rules(l.arn.clone())) else { continue };
        for r in rules {
            for g in forwards(&r.actions) {
                by_group.entry(g).or_default().push(format!(":{port}{}", conditions(r)));
            }
        }
    }
    for (arn, group) in groups {
        if let Some(list) = by_group.get(arn) {
            let list = d.list(list);
            d.info(w.affected_routes(group_name(arn, group), list), std::slice::from_ref(&e));
        }
    }
}

/// Groups that get a share of a forward action.
pub(super) fn forwards(actions: &[Action]) -> impl Iterator<Item = &SafeText> {
    actions.iter().flat_map(|a| &a.groups).filter(|g| g.weight > 0).map(|g| &g.arn)
}

/// Conditions in short: ` shop.example.com /api/*`; nothing for the default rule.
fn conditions(r: &Rule) -> String {
    r.conditions
        .iter()
        .map(|c| {
            let values: Vec<&str> = c.values.iter().map(SafeText::as_str).collect();
            format!(" {}", values.join("|"))
        })
        .collect()
}
