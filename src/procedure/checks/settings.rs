//! Step 4: what the load balancer is told to do.

use super::prepare::forwards;
use crate::diagnosis::timeouts::{self, RuleId, Standing};
use crate::procedure::Evidence;
use crate::procedure::desk::{Desk, group_name, number};
use crate::procedure::metrics::{count, fetched};
use crate::situation::elb::{Attributes, HealthCheck};
use crate::situation::{GroupState, Topic};
use crate::text::SafeText;
use std::collections::BTreeSet;

pub(super) fn health(d: &mut Desk<'_>) {
    let w = d.w;
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some(g) = &group.group else {
            d.unasked(&Topic::TargetGroups(arn.clone()));
            continue;
        };
        let hc = &g.health_check;
        if hc.enabled == Some(false) {
            d.found(w.hc_off(name), &[]);
            continue;
        }
        let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let path = if hc.path.is_empty() { "-" } else { hc.path.as_str() };
        let matcher = if hc.matcher.is_empty() { "-" } else { hc.matcher.as_str() };
        let port = match (hc.port.as_str(), g.port) {
            ("traffic-port" | "", Some(p)) => p.to_string(),
            (other, _) => other.to_owned(),
        };
        d.info(
            w.hc_is(
                name,
                &hc.protocol,
                path,
                port,
                matcher,
                number(hc.timeout_s),
                number(hc.interval_s),
                number(hc.healthy_threshold),
                number(hc.unhealthy_threshold),
            ),
            &[],
        );
        judge(d, name, hc);
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let mismatched: Vec<_> =
            targets.iter().filter(|t| t.reason.as_str() == "Target.ResponseCodeMismatch").collect();
        if let Some(first) = mismatched.first() {
            d.found(w.hc_codes(name, mismatched.len(), path, matcher, &first.description), &[e]);
        }
    }
}

fn judge(d: &mut Desk<'_>, name: &str, hc: &HealthCheck) {
    let w = d.w;
    match (hc.timeout_s, hc.interval_s) {
        (Some(t), Some(i)) if t >= i => d.found(w.hc_overlap(name, t, i), &[]),
        (Some(t), Some(i)) => d.ok(w.hc_fits(name, t, i), &[]),
        _ => d.unknown(w.what_hc_times(name), w.reason_not_told()),
    }
    if let (Some(i), Some(n)) = (hc.interval_s, hc.unhealthy_threshold) {
        d.info(w.hc_blind(name, i * n), &[]);
    }
}

/// Who gets requests when targets fail: an Application Load Balancer answers
/// 503 only without a usable target, and fails open when all are unhealthy.
pub(super) fn routing(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((targets, e)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let usable = targets.iter().filter(|t| t.state.as_str() != "unused").count();
        let healthy = targets.iter().filter(|t| t.is_healthy()).count();
        let ill = targets.iter().filter(|t| t.state.starts_with("unhealthy")).count();
        let unchecked = targets.iter().filter(|t| t.state.as_str() == "unavailable").count();
        let text = match (targets.len(), usable, healthy) {
            (0, _, _) => w.routing_no_target(name),
            (_, 0, _) => w.routing_all_unused(name),
            (_, _, 0) if ill > 0 => w.routing_fail_open(name, ill),
            (_, _, 0) if unchecked == usable => {
                d.unknown(w.what_health_of(name), w.reason_hc_off());
                continue;
            }
            (_, _, 0) => w.routing_none_yet(name),
            (all, _, healthy) => {
                let text = w.routing_healthy_only(name, healthy, all);
                d.ok(text, &[e]);
                continue;
            }
        };
        d.found(text, &[e]);
    }
    let Some(e) = fetched(d) else { return };
    let lb = d.lb.clone();
    let open = count(s, &lb, "UnhealthyRoutingRequestCount", cx.since, cx.now).value();
    if open > 0.0 {
        d.found(w.routing_open_count(number(open), d.clock(cx.since)), &[e]);
    }
}

pub(super) fn timeouts(d: &mut Desk<'_>) {
    let w = d.w;
    // The values come from these; each says so itself when it is missing.
    d.read_lb(|l| &l.attributes, Topic::LbAttributes);
    let measured = d.measured();
    let chain = timeouts::chain(d.s, &measured);
    if chain.rules.is_empty() {
        d.unknown(w.what_timeouts(), w.reason_no_chain());
    }
    let mut holds = BTreeSet::new();
    // Several rules may wait for the same number: it is asked for once.
    let mut open: Vec<(Vec<String>, SafeText, SafeText)> = Vec::new();
    for r in &chain.rules {
        let id = format!("{:?}", r.id);
        let subject = if r.text.is_empty() { r.name.clone() } else { r.text.clone() };
        let e = crate::procedure::Evidence {
            what: format!("{id} {}", r.name).into(),
            source: r.left.source.clone(),
            at: d.s.at.unwrap_or(d.cx.now),
        };
        match r.standing {
            Standing::Violated => d.found(w.rule_violated(&id, subject, why(d, r.id)), &[e]),
            Standing::AtRisk => d.found(w.rule_at_risk(&id, subject, why(d, r.id)), &[e]),
            Standing::Unknown => {
                let reason = r.missing.as_ref().map_or_else(|| r.why.clone(), |m| w.reason(m));
                match open.iter_mut().find(|o| o.2 == reason) {
                    Some(o) if o.0.contains(&id) => {}
                    Some(o) => o.0.push(id),
                    None => open.push((vec![id], subject, reason)),
                }
            }
            Standing::Holds => {
                holds.insert(id);
            }
            Standing::NotApplicable => {}
        }
    }
    for (ids, subject, reason) in open {
        d.unknown(w.what_rule(ids.join(", "), subject), reason);
    }
    if !holds.is_empty() {
        let list = d.list(&holds);
        d.ok(w.rules_hold(list), &[]);
    }
    let list = crate::procedure::suspects::suspects(d.s);
    d.by_hand_for(|_| {}, &list);
}

/// Why a rule must hold, and what is seen when it does not.
pub(super) fn why(d: &Desk<'_>, rule: RuleId) -> SafeText {
    let w = d.w;
    match rule {
        RuleId::R1 => w.rule_r_one(),
        RuleId::R2 => w.rule_r_two(),
        RuleId::R3 => w.rule_r_three(),
        RuleId::R4 => w.rule_r_four(),
        RuleId::R5 => w.rule_r_five(),
        RuleId::R6 => w.rule_r_six(),
        RuleId::R7 => w.rule_r_seven(),
        RuleId::R8 => w.rule_r_eight(),
        RuleId::R9 => w.rule_r_nine(),
        RuleId::R10 => w.rule_r_ten(),
        RuleId::R11 => w.rule_r_eleven(),
    }
}

/// Names with several record sets, and the web ACL: what decides before a listener.
fn before_listeners(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    for x in crate::diagnosis::ways::stories(s) {
        let e = Evidence {
            what: "DNS records".into(),
            source: "route53:ListResourceRecordSets".into(),
            at: x.at,
        };
        if x.word.is_empty() {
            d.info(w.record_sets(&x.text), &[e]);
        } else {
            d.found(w.record_sets(&x.text), &[e]);
        }
    }
    for (id, datum) in &s.beside.acls {
        let Some((acl, e)) = d.read(datum, &Topic::WebAcl(id.clone())) else { continue };
        if !acl.arn.is_empty() {
            d.info(w.web_acl_is(&acl.name, acl.rules.len(), &acl.default), &[e]);
        }
    }
}

pub(super) fn listeners(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    before_listeners(d);
    let Some((listeners, e)) = d.read_lb(|l| &l.listeners, Topic::Listeners) else { return };
    if listeners.is_empty() {
        d.found(w.listener_none(), &[e]);
        return;
    }
    let mut used: BTreeSet<&SafeText> = BTreeSet::new();
    let mut all_rules_known = true;
    for l in listeners {
        let secure = matches!(l.protocol.as_str(), "HTTPS" | "TLS");
        d.info(
            w.listener_is(l.port, &l.protocol, l.certificates.len(), actions(&l.default_actions)),
            std::slice::from_ref(&e),
        );
        if secure && l.certificates.is_empty() {
            d.found(w.listener_no_certificate(l.port), std::slice::from_ref(&e));
        }
        used.extend(forwards(&l.default_actions));
        let rules = match s.lb().and_then(|lb| lb.rules.get(&l.arn)) {
            Some(datum) => d.read(datum, &Topic::Rules(l.arn.clone())),
            None => {
                d.unasked(&Topic::Rules(l.arn.clone()));
                None
            }
        };
        let Some((rules, e)) = rules else {
            all_rules_known = false;
            continue;
        };
        d.info(w.rules_counted(l.port, rules.len()), std::slice::from_ref(&e));
        for r in rules {
            used.extend(forwards(&r.actions));
            let place = r.priority.map_or_else(|| w.rule_default().to_string(), |p| p.to_string());
            for a in &r.actions {
                if a.kind.as_str() == "forward"
                    && !a.groups.is_empty()
                    && a.groups.iter().all(|g| g.weight == 0)
                {
                    d.found(w.rule_no_weight(l.port, &place), std::slice::from_ref(&e));
                }
                if let Some(status) = a.status.filter(|c| a.kind.as_str() == "fixed-response" && *c >= 500) {
                    d.found(w.rule_fixed_5xx(l.port, &place, status), std::slice::from_ref(&e));
                }
            }
        }
    }
    let groups = d.groups();
    let mut idle = false;
    if all_rules_known {
        for (arn, group) in groups {
            if !used.contains(arn) {
                idle = true;
                d.found(w.group_unused(group_name(arn, group)), std::slice::from_ref(&e));
            }
        }
        if !idle && !used.is_empty() {
            d.ok(w.groups_all_used(used.len()), &[e]);
        }
    }
}

/// Actions in short: `forward web 90, web2 10`, `redirect 301`.
fn actions(list: &[crate::situation::elb::Action]) -> String {
    let words: Vec<String> = list
        .iter()
        .map(|a| {
            let groups: Vec<String> = match a.groups.as_slice() {
                [one] => vec![crate::situation::short(&one.arn).to_owned()],
                many => {
                    many.iter().map(|g| format!("{} {}", crate::situation::short(&g.arn), g.weight)).collect()
                }
            };
            let status = a.status.map(|s| format!(" {s}")).unwrap_or_default();
            format!("{}{status} {}", a.kind, groups.join(", ")).trim_end().to_owned()
        })
        .collect();
    words.join("; ")
}

pub(super) fn certificates(d: &mut Desk<'_>) {
    let w = d.w;
    let Some((listeners, e)) = d.read_lb(|l| &l.listeners, Topic::Listeners) else { return };
    let secure: Vec<_> =
        listeners.iter().filter(|l| matches!(l.protocol.as_str(), "HTTPS" | "TLS")).collect();
    if secure.is_empty() {
        d.info(w.certificates_none(), &[e]);
        return;
    }
    let arns: Vec<String> = secure.iter().flat_map(|l| &l.certificates).map(ToString::to_string).collect();
    for l in secure {
        for c in &l.certificates {
            d.unknown(w.what_certificate(crate::situation::short(c), l.port), w.reason_by_hand());
        }
    }
    let list = crate::procedure::suspects::suspects(d.s);
    d.by_hand_for(
        |v| {
            v.set("certificate", arns.first().map_or("", String::as_str));
        },
        &list,
    );
}

fn get<'a>(a: &'a Attributes, key: &str) -> Option<&'a str> {
    a.get(key).map(SafeText::as_str)
}

pub(super) fn attributes(d: &mut Desk<'_>) {
    let w = d.w;
    if let Some((a, e)) = d.read_lb(|l| &l.attributes, Topic::LbAttributes) {
        let e = std::slice::from_ref(&e);
        match get(a, "idle_timeout.timeout_seconds") {
            Some(v) => d.info(w.attr_idle(v), e),
            None => d.unknown(w.what_idle_timeout(), w.reason_not_told()),
        }
        match get(a, "routing.http.desync_mitigation_mode") {
            Some("strictest") => d.found(w.attr_desync_strictest(), e),
            Some(mode) => d.info(w.attr_desync(mode), e),
            None => {}
        }
        if get(a, "routing.http.drop_invalid_header_fields.enabled") == Some("true") {
            d.info(w.attr_drops_headers(), e);
        }
        match get(a, "access_logs.s3.enabled") {
            Some("true") => d.ok(w.attr_access_logs_on(), e),
            Some(_) => d.found(w.attr_access_logs_off(), e),
            None => d.unknown(w.what_access_logs(), w.reason_not_told()),
        }
    }
    for (arn, group) in d.groups() {
        group_attributes(d, arn, group);
    }
}

fn group_attributes(d: &mut Desk<'_>, arn: &SafeText, group: &GroupState) {
    let w = d.w;
    let name = group_name(arn, group);
    let known = group.attributes.get();
    let Some(known) = known else {
        let reason = group.attributes.why_unknown().unwrap_or(crate::situation::Reason::NotAsked);
        let topic = Topic::TgAttributes(arn.clone());
        d.asked(crate::procedure::desk::operation(&topic));
        d.missing(w.topic(&topic), &reason);
        return;
    };
    d.asked(&known.source);
    let a = &known.value;
    let e = &[crate::procedure::Evidence {
        what: Topic::TgAttributes(arn.clone()).to_string().into(),
        source: known.source.clone(),
        at: known.as_of,
    }];
    match get(a, "deregistration_delay.timeout_seconds") {
        Some("0") => d.found(w.attr_no_delay(name), e),
        Some(v) => d.info(w.attr_delay(name, v), e),
        None => {}
    }
    match get(a, "load_balancing.cross_zone.enabled") {
        Some("false") => d.info(w.attr_cross_zone_off(name), e),
        Some(v) => d.info(w.attr_cross_zone(name, v), e),
        None => {}
    }
    if let Some(v) = get(a, "slow_start.duration_seconds").filter(|v| *v != "0") {
        d.info(w.attr_slow_start(name, v), e);
    }
    if get(a, "stickiness.enabled") == Some("true") {
        d.info(w.attr_sticky(name), e);
    }
}
