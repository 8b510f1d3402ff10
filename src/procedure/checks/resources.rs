//! Step 1: do the servers have what they need?

use crate::procedure::desk::{Desk, group_name, number};
use crate::procedure::pasted;
use crate::situation::ecs::Task;
use crate::situation::{GroupState, Topic};
use crate::text::SafeText;

fn is_type(g: &GroupState, kind: &str) -> bool {
    g.group.as_ref().is_some_and(|g| g.target_type.as_str() == kind)
}

pub(super) fn instances(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    let groups = d.groups();
    let known = !groups.is_empty();
    let mut any = false;
    for (arn, group) in groups.into_iter().filter(|(_, g)| is_type(g, "instance")) {
        any = true;
        let name = group_name(arn, group);
        let Some((targets, _)) = d.read(&group.health, &Topic::TargetHealth(arn.clone())) else { continue };
        let vpc = group.group.as_ref().map(|g| g.vpc.clone()).unwrap_or_default();
        let topic = Topic::Instances(vpc.clone());
        let Some(v) = s.vpcs.get(&vpc) else {
            d.unasked(&topic);
            continue;
        };
        let Some((list, e)) = d.read(&v.instances, &topic) else { continue };
        let mut running = 0;
        for t in targets {
            let Some(i) = list.iter().find(|i| i.id == t.id) else {
                d.unknown(w.what_instance(&t.id), w.reason_not_listed());
                continue;
            };
            if i.state.as_str() == "running" {
                running += 1;
            } else {
                let why = if i.state_reason.is_empty() { "-" } else { &i.state_reason };
                d.found(w.instance_state(&i.id, &i.state, why), std::slice::from_ref(&e));
            }
            if let Some(at) = i.launched.filter(|at| *at >= d.cx.since) {
                d.info(w.instance_young(&i.id, d.clock(at)), std::slice::from_ref(&e));
            }
        }
        if running > 0 && running == targets.len() {
            d.ok(w.instances_running(name, running), &[e]);
        }
    }
    if known && !any {
        d.info(w.instances_none(), &[]);
    }
}

/// The kernel or the runtime killed it for want of memory. 137 is SIGKILL,
/// which also ends a container that outlived its stop timeout, so the exit
/// code alone counts only when nobody asked for the stop.
pub(super) fn killed_for_memory(t: &Task) -> bool {
    let oom = |text: &str| text.contains("OutOfMemory");
    let asked = ["UserInitiated", "ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice"];
    oom(&t.stopped_reason)
        || t.exits.iter().any(|x| oom(x))
        || (!asked.contains(&t.stop_code.as_str()) && t.exits.iter().any(|x| x.contains("exit 137")))
}

/// What a person types to get into a task; with several containers AWS asks which.
fn exec(cluster: &str, task: &str) -> String {
    let (cluster, task) = (crate::situation::short(cluster), crate::situation::short(task));
    // ARNs come from outside: nothing of them may end an argument.
    let plain = |s: &str| -> String {
        s.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.')).collect()
    };
    format!(
        "aws ecs execute-command --cluster {} --task {} --interactive --command /bin/sh",
        plain(cluster),
        plain(task)
    )
}

pub(super) fn tasks(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    for (arn, group) in d.groups() {
        let name = group_name(arn, group);
        let Some((services, e)) = d.read(&group.services, &Topic::EcsServices(arn.clone())) else { continue };
        if services.is_empty() {
            d.info(w.tasks_none(name), &[e]);
            continue;
        }
        for service in services {
            if service.running < service.desired {
                let text = w.service_short(&service.name, service.running, service.desired, service.pending);
                d.found(text, std::slice::from_ref(&e));
            } else {
                d.ok(w.service_full(&service.name, service.running), std::slice::from_ref(&e));
            }
            let Some(tasks) = s.tasks.get(&service.arn) else {
                d.unasked(&Topic::EcsTasks(service.arn.clone()));
                continue;
            };
            let Some((tasks, e)) = d.read(tasks, &Topic::EcsTasks(service.arn.clone())) else { continue };
            match service.exec {
                Some(true) => {
                    let running = tasks.iter().find(|t| t.last_status.as_str() == "RUNNING");
                    if let Some(t) = running {
                        d.info(
                            w.tasks_exec(&service.name, exec(&t.cluster, &t.arn)),
                            std::slice::from_ref(&e),
                        );
                    }
                }
                Some(false) => d.info(w.tasks_no_exec(&service.name), std::slice::from_ref(&e)),
                None => {}
            }
            let killed = tasks.iter().filter(|t| killed_for_memory(t)).count();
            if killed > 0 {
                d.found(w.tasks_memory(&service.name, killed), &[e]);
            }
        }
    }
}

/// Load as far as a metric tells it: CPU and memory of services and instances.
pub(super) fn load(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    let mut any = false;
    // The average and the maximum of a minute often peak alike: said once.
    let mut said = std::collections::BTreeSet::new();
    for (key, series) in &s.metrics {
        let of_host = key.namespace.as_str() != "AWS/ApplicationELB"
            && matches!(key.name.as_str(), "CPUUtilization" | "MemoryUtilization" | "mem_used_percent");
        let peak = series
            .points
            .iter()
            .filter(|p| p.0 >= cx.since && p.0 < cx.now)
            .copied()
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let (true, Some((at, v))) = (of_host, peak) else { continue };
        any = true;
        let e = crate::procedure::Evidence {
            what: key.name.clone(),
            source: "cloudwatch:GetMetricData".into(),
            at,
        };
        let subject = SafeText::from(crate::situation::short(&key.subject));
        let text = w.load_peak(&key.name, subject, number(v), d.clock(at));
        if !said.insert(text.clone()) {
            continue;
        }
        if v >= 90.0 { d.found(text, &[e]) } else { d.ok(text, &[e]) }
    }
    if !any {
        d.unknown(w.what_load(), w.reason_by_hand());
    }
}

pub(super) fn host(d: &mut Desk<'_>) {
    let w = d.w;
    super::hosts::resources(d);
    d.by_hand();
    for (note, text) in d.outputs() {
        let e = crate::procedure::Evidence { what: "note".into(), source: note.by.clone(), at: note.at };
        let by = note.by.clone();
        for sign in pasted::read(text, d.patterns) {
            let text = match sign {
                pasted::Sign::Disk { mount, percent } => w.pasted_disk(&by, mount, percent),
                pasted::Sign::Inodes { mount, percent } => w.pasted_inodes(&by, mount, percent),
                pasted::Sign::Memory { available_mib, total_mib } => {
                    w.pasted_memory(&by, available_mib, total_mib)
                }
                pasted::Sign::Swap { used_mib, total_mib } => w.pasted_swap(&by, used_mib, total_mib),
                pasted::Sign::Load { one_minute, cores } => w.pasted_load(&by, number(one_minute), cores),
                pasted::Sign::Line { pattern, line } => w.pasted_line(&by, &pattern.server, line),
            };
            d.found(text, std::slice::from_ref(&e));
        }
    }
}
