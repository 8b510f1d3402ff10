//! Step 5: the application, and what was done to it.

use super::logs::sample;
use crate::diagnosis::{around, traced};
use crate::procedure::Evidence;
use crate::procedure::desk::{Desk, group_name, number};
use crate::procedure::metrics::{Count, count, fetched, highest};
use crate::situation::{Change, Reason, Situation, Topic, short};
use crate::text::SafeText;

/// Kinds of unknown error lines that are named.
const KINDS: usize = 5;
/// Changes of the path that are told.
const TOLD: usize = 12;

pub(super) fn errors(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    if let Some(e) = fetched(d) {
        let lb = d.lb.clone();
        match count(s, &lb, "HTTPCode_Target_5XX_Count", cx.since, cx.now) {
            Count::Known(n) if n > 0.0 => d.found(w.target_5xx(number(n), d.clock(cx.since)), &[e]),
            Count::Known(_) => d.ok(w.target_5xx_none(d.clock(cx.since)), &[e]),
            Count::NoTraffic => d.unknown(w.what_target_5xx(), w.reason_no_traffic(d.clock(cx.since))),
        }
    }
    let lines = d.lines().count();
    if lines == 0 {
        d.asked("logs:FilterLogEvents");
        d.unknown(w.what_log_lines(), w.reason_silent(d.clock(cx.since)));
        return;
    }
    let (groups, all) = d.patterns.unnamed(d.lines());
    if all == 0 {
        d.ok(w.error_lines_none(lines, d.clock(cx.since)), &[]);
    }
    for g in groups.iter().take(KINDS) {
        let e = crate::procedure::Evidence {
            what: "error lines".into(),
            source: g.sample.line.group.clone(),
            at: g.last,
        };
        let (first, last) = (d.clock(g.first), d.clock(g.last));
        d.found(w.error_lines(g.count, first, last, sample(&g.sample.line.text)), &[e]);
    }
    d.note_lines_left_out();
    if groups.len() > KINDS {
        d.info(w.error_kinds_more(groups.len() - KINDS), &[]);
    }
}

pub(super) fn latency(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    let Some(e) = fetched(d) else { return };
    let lb = d.lb.clone();
    let peak = ["Maximum", "p99"].iter().find_map(|stat| {
        let (at, v) = highest(s, &lb, "TargetResponseTime", stat, cx.since, cx.now)?;
        Some((*stat, at, v))
    });
    let Some((stat, at, v)) = peak else {
        d.unknown(w.what_latency(), w.reason_no_traffic(d.clock(cx.since)));
        return;
    };
    let idle =
        s.lb().and_then(|l| Situation::attribute_seconds(&l.attributes, "idle_timeout.timeout_seconds"));
    let (text_v, clock) = (format!("{v:.2}"), d.clock(at));
    match idle {
        // The load balancer gives up at its idle timeout, so times pile up just below it.
        Some(idle) if v >= idle * 0.95 => d.found(w.latency_at_idle(stat, text_v, clock, number(idle)), &[e]),
        Some(idle) => d.ok(w.latency_below(stat, text_v, clock, number(idle)), &[e]),
        None => d.info(w.latency_is(stat, text_v, clock), &[e]),
    }
    if let Some((at, p50)) = highest(s, &lb, "TargetResponseTime", "p50", cx.since, cx.now) {
        d.info(w.latency_is("p50", format!("{p50:.2}"), d.clock(at)), &[]);
    }
}

pub(super) fn deployments(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    let onset = crate::diagnosis::series::onset(s).map(|o| o.at);
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((services, e)) = d.read(&group.services, &Topic::EcsServices(arn.clone())) else { continue };
        let e = std::slice::from_ref(&e);
        if services.is_empty() {
            d.info(w.tasks_none(name), e);
        }
        for service in services {
            let mut quiet = true;
            for dep in &service.deployments {
                let version = short(&dep.task_definition);
                match dep.rollout_state.as_str() {
                    "FAILED" => {
                        quiet = false;
                        d.found(w.deployment_failed(&service.name, version, &dep.rollout_reason), e);
                    }
                    "IN_PROGRESS" => {
                        quiet = false;
                        d.found(
                            w.deployment_running(
                                &service.name,
                                version,
                                dep.running,
                                dep.desired,
                                dep.failed,
                            ),
                            e,
                        );
                    }
                    _ => {}
                }
                let near = |at: jiff::Timestamp| match onset {
                    // A deployment begins to act minutes after it was ordered.
                    Some(onset) => {
                        at <= onset.saturating_add(jiff::SignedDuration::from_mins(2)).unwrap_or(onset)
                            && at
                                >= onset.saturating_sub(jiff::SignedDuration::from_mins(20)).unwrap_or(onset)
                    }
                    None => false,
                };
                if let Some(at) = dep.created {
                    if near(at) {
                        quiet = false;
                        let onset = onset.map(|o| d.clock(o)).unwrap_or_default();
                        d.found(w.deployment_at_onset(&service.name, version, d.clock(at), onset), e);
                    } else if at >= cx.since {
                        d.info(w.deployment_recent(&service.name, version, d.clock(at)), e);
                    }
                }
            }
            if quiet {
                d.ok(w.deployments_quiet(&service.name), e);
            }
            let telling = |m: &str| {
                ["is unhealthy in", "unable to", "throttled", "failed"].iter().any(|p| m.contains(p))
            };
            for ev in service.events.iter().filter(|ev| ev.at >= cx.since && telling(&ev.message)).take(KINDS)
            {
                d.found(w.service_event(&service.name, d.clock(ev.at), sample(&ev.message)), e);
            }
        }
    }
    releases(d, onset);
}

/// Deployments of CodeDeploy near the onset that go to something on the path.
fn releases(d: &mut Desk<'_>, onset: Option<jiff::Timestamp>) {
    let Some(datum) = d.s.beside.releases.get(&d.lb) else { return };
    let topic = Topic::Releases(d.lb.clone());
    let Some((all, e)) = d.read(datum, &topic) else { return };
    if let Some(why) = all.iter().find_map(|r| r.untold.as_ref()) {
        d.missing(d.w.topic_of(d.w.topic(&topic), "functions"), why);
    }
    let near = around::timeline(d.s).into_iter().filter(|c| c.near && c.source.starts_with("codedeploy:"));
    for c in near.take(KINDS) {
        let onset = onset.map(|o| d.clock(o)).unwrap_or_default();
        d.found(d.w.release_at_onset(&c.text, d.clock(c.at), onset), std::slice::from_ref(&e));
    }
}

/// Databases and caches the application may call; what else it calls is for a
/// person to look at.
pub(super) fn dependencies(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    for (vpc, v) in &s.vpcs {
        let asked = v.databases.value().is_some() || v.databases.gap().is_some();
        let Some((list, e)) = asked.then(|| d.read(&v.databases, &Topic::Databases(vpc.clone()))).flatten()
        else {
            continue;
        };
        for x in list {
            state(d, &x.id, &x.status, &e);
        }
    }
    for (vpc, datum) in &s.beside.caches {
        let topic = Topic::Caches(vpc.clone());
        let Some((caches, e)) = d.read(datum, &topic) else { continue };
        for x in &caches.clusters {
            state(d, &x.id, &x.status, &e);
        }
        for (id, status, _) in &caches.groups {
            state(d, id, status, &e);
        }
        for (at, id, text) in caches.events.iter().take(KINDS) {
            d.info(w.service_event(id, d.clock(*at), sample(text)), std::slice::from_ref(&e));
        }
        for (what, why) in &caches.gaps {
            d.missing(w.topic_of(w.topic(&topic), what), why);
        }
    }
    traces(d);
    d.by_hand();
}

/// Which services the failing traces of the path end in.
fn traces(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    for (id, datum) in &s.beside.traces {
        let Some((all, e)) = d.read(datum, &Topic::Traces(id.clone())) else { continue };
        let e = std::slice::from_ref(&e);
        let Some(told) = traced::traced(s) else {
            d.info(w.traces_none(), e);
            continue;
        };
        for (_, kind, root) in told.blamed.iter().take(KINDS) {
            d.found(w.traces_end_in(kind.count, told.n, sample(&root.phrase())), e);
        }
        let blamed: u32 = told.blamed.iter().map(|b| b.1.count).sum();
        if blamed < told.n {
            d.info(w.traces_blame_nobody(told.n - blamed, told.n), e);
        }
        if all.cut {
            d.unknown(w.topic(&Topic::Traces(id.clone())), w.reason_more_traces());
        }
    }
}

fn state(d: &mut Desk<'_>, name: &SafeText, status: &SafeText, e: &Evidence) {
    if status.as_str() == "available" {
        d.ok(d.w.store_is(name, status), std::slice::from_ref(e));
    } else {
        d.found(d.w.store_ill(name, status), std::slice::from_ref(e));
    }
}

pub(super) fn stops(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    for (arn, group) in d.groups() {
        let Some((services, _)) = d.read(&group.services, &Topic::EcsServices(arn.clone())) else { continue };
        for service in services {
            let topic = Topic::EcsTasks(service.arn.clone());
            let Some(datum) = s.tasks.get(&service.arn) else {
                d.unasked(&topic);
                continue;
            };
            let Some((tasks, e)) = d.read(datum, &topic) else { continue };
            let mut stopped: Vec<_> = tasks
                .iter()
                .filter(|t| t.stopped.is_some_and(|at| at >= cx.since) || t.last_status.as_str() == "STOPPED")
                .collect();
            stopped.sort_by_key(|t| std::cmp::Reverse(t.stopped));
            if stopped.is_empty() {
                d.ok(w.stops_none(&service.name), std::slice::from_ref(&e));
            }
            for t in stopped.iter().take(KINDS) {
                let at = t.stopped.map(|at| d.clock(at)).unwrap_or_else(|| "-".into());
                let exits = if t.exits.is_empty() { "-".into() } else { d.list(&t.exits) };
                let why = if t.stopped_reason.is_empty() { &t.stop_code } else { &t.stopped_reason };
                let text = w.task_stopped(short(&t.arn), at, why, exits);
                // Stops that someone or the scheduler ordered belong to a deployment.
                let ordered = matches!(t.stop_code.as_str(), "UserInitiated" | "ServiceSchedulerInitiated")
                    && !t.stopped_reason.contains("health checks");
                if ordered && !super::resources::killed_for_memory(t) {
                    d.info(text, std::slice::from_ref(&e));
                } else {
                    d.found(text, std::slice::from_ref(&e));
                }
            }
            if stopped.len() > KINDS {
                d.info(w.stops_more(stopped.len() - KINDS), &[e]);
            }
        }
    }
}

pub(super) fn changes(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    match cx.changes {
        None => d.unknown(w.what_changes(), w.reason_one_look()),
        Some(all) => {
            let seen: Vec<_> = all
                .iter()
                .filter_map(|c| match c {
                    Change::Config { topic, at } if *at >= cx.since => Some((topic, *at)),
                    _ => None,
                })
                .collect();
            if seen.is_empty() {
                d.info(w.changes_none(), &[]);
            }
            for (topic, at) in seen.iter().rev().take(KINDS) {
                d.found(w.change_seen(w.topic(topic), d.clock(*at)), &[]);
            }
        }
    }
    let onset = crate::diagnosis::series::onset(s).map(|o| o.at);
    let recorded = around::timeline(s);
    for c in recorded.iter().take(TOLD) {
        let onset = onset.map(|o| d.clock(o)).unwrap_or_else(|| "-".into());
        let e = Evidence { what: "changes".into(), source: c.source.clone(), at: c.at };
        if c.near {
            d.found(w.path_change_near(&c.text, d.clock(c.at), onset), &[e]);
        } else {
            d.info(w.path_change(&c.text, d.clock(c.at)), &[e]);
        }
    }
    let told = s.lb().is_some_and(|l| l.changes.value().is_some())
        || s.fronts.changes.values().any(|c| c.value().is_some());
    if recorded.is_empty() && told {
        d.info(w.path_changes_none(), &[]);
    }
    let young = s
        .vpcs
        .values()
        .filter_map(|v| v.instances.value())
        .flatten()
        .filter(|i| i.launched.is_some_and(|at| at >= cx.since))
        .map(|i| i.id.clone());
    let young = d.list(young);
    if !young.is_empty() {
        d.info(w.instances_launched(d.clock(cx.since), young), &[]);
    }
    if s.lb().is_none() {
        d.missing(
            w.topic(&Topic::LoadBalancer("".into())),
            &s.target.why_unknown().unwrap_or(Reason::NotAsked),
        );
    }
    d.by_hand();
}
