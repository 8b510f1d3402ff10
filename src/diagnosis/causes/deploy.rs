//! Deployments and changes, and what the application depends on.

use super::answers::{broken, gone};
use super::ballot::{Ballot, Seen};
use super::caches;
use super::target::{services, stopped};
use crate::diagnosis::around;
use crate::diagnosis::case::Case;
use crate::diagnosis::fore::Front;
use crate::diagnosis::path::Verdict;
use crate::diagnosis::rows::Shape;
use crate::diagnosis::timeouts::{RuleId, Standing};
use crate::diagnosis::verdict::Weight::{self, Decisive, Strong, Weak};
use crate::situation::around::ChangeEvent;
use crate::situation::beside::Release;
use crate::situation::{Reason, short};
use jiff::{SignedDuration, Timestamp};

const E502: &str = "HTTPCode_ELB_502_Count";
const E503: &str = "HTTPCode_ELB_503_Count";
const E504: &str = "HTTPCode_ELB_504_Count";
const T5XX: &str = "HTTPCode_Target_5XX_Count";
const RDS: &str = "AWS/RDS";

/// Events by which new code comes.
const RELEASES: &[&str] = &[
    "UpdateService",
    "CreateDeployment",
    "StartInstanceRefresh",
    "UpdateFunctionCode",
    "UpdateAlias",
    "RegisterTaskDefinition",
];

/// Releases near the onset, as evidence.
fn releases(c: &Case<'_>) -> Vec<Seen> {
    let mut out = Vec::new();
    for s in services(c) {
        for d in &s.deployments {
            let Some(at) = d.created.filter(|at| c.near(*at)) else { continue };
            let before = c.began().map_or(0, |t| t.duration_since(at).as_mins());
            let value = format!("{} began {before} min before the onset", short(&d.task_definition));
            out.push(Seen::new(format!("deployment of {}", s.name), value, "ecs:DescribeServices", at));
        }
    }
    for arn in c.functions().filter_map(|g| g.targets.as_ref().ok()).flat_map(|t| t.iter()).map(|t| &t.id) {
        let f = c.s.functions.get(arn).and_then(|d| d.value());
        if let Some((f, at)) = f.and_then(|f| Some((f, f.modified?))).filter(|(_, at)| c.near(*at)) {
            let what = format!("function {}", f.name);
            out.push(Seen::new(what, "was updated just before", "lambda:GetFunctionConfiguration", at));
        }
    }
    let deployed = c.releases();
    out.extend(deployed.iter().map(|(r, at)| deployment(r, *at, c.began())));
    // The trail has the call that began a deployment as well.
    let told = |e: &ChangeEvent| {
        e.service.starts_with("codedeploy.")
            && deployed.iter().any(|(_, at)| e.at.duration_since(*at).abs() <= SignedDuration::from_mins(3))
    };
    out.extend(c.changed(RELEASES).into_iter().filter(|e| !told(e)).map(Seen::change));
    out
}

fn deployment(r: &Release, at: Timestamp, onset: Option<Timestamp>) -> Seen {
    let before = onset.map_or(0, |t| t.duration_since(at).as_mins());
    let error = if r.error.is_empty() { String::new() } else { format!(" ({})", r.error) };
    let value = format!("{}{error}, began {before} min before the onset", r.status);
    let what = format!("CodeDeploy deployment {} of {}/{}", r.id, r.application, r.group);
    Seen::new(what, value, "codedeploy:BatchGetDeployments", at)
}

/// Functions behind an API, or alone: CodeDeploy shifted them to a new version.
pub(super) fn of_functions(f: &Front<'_>, b: &mut Ballot) {
    let Some((fore, ..)) = f.functions().into_iter().next() else { return };
    let Some(onset) = fore.onset.filter(|_| f.case.is_none()) else { return };
    let mut any = false;
    for r in around::releases_of_path(f.s) {
        if let Some(at) = r.created.filter(|at| around::near_onset(onset, *at)) {
            any = true;
            b.pro(if fore.failing { Strong } else { Weak }, deployment(r, at, Some(onset)));
        }
    }
    if !any && fore.failing {
        b.lack_if("deployments before the onset", around::releases_untold(f.s));
    }
}

/// A release came just before the failure.
pub(super) fn released(c: &Case<'_>) -> bool {
    !releases(c).is_empty()
}

/// Failing rows come from targets of the newest version only, when two are
/// running: which addresses those are, the tasks say.
fn only_the_new(c: &Case<'_>) -> Option<Seen> {
    let rows = c.rows.as_ref().ok()?;
    let shape = [Shape::Answered, Shape::Broken, Shape::Refused, Shape::Slow]
        .into_iter()
        .find(|s| rows.mostly(*s))?;
    for s in services(c) {
        let tasks = c.s.tasks.get(&s.arn).and_then(|d| d.value())?;
        let running: Vec<_> =
            tasks.iter().filter(|t| t.last_status.as_str() == "RUNNING" && !t.address.is_empty()).collect();
        let newest = s
            .deployments
            .iter()
            .filter(|d| d.status.as_str() == "PRIMARY")
            .map(|d| &d.task_definition)
            .next()
            .unwrap_or(&s.task_definition);
        let new =
            |host: &str| running.iter().any(|t| t.address.as_str() == host && t.task_definition == *newest);
        let old = running.iter().any(|t| t.task_definition != *newest);
        let host = |t: &str| t.rsplit_once(':').map_or(String::new(), |h| h.0.to_string());
        let part = rows.part(shape, |r| new(&host(&r.target)));
        if old && part >= 0.9 {
            let says = format!("all of targets of {}; those of the version before answer", short(newest));
            return Some(Seen::rows(rows, shape, &says));
        }
    }
    None
}

pub(super) fn regression(c: &Case<'_>, b: &mut Ballot) {
    if c.began().is_none() {
        if c.failing {
            b.lack("deployments before the failure", c.no_changes().unwrap_or(Reason::NotAsked));
        }
        return;
    }
    let found = releases(c);
    let any = !found.is_empty();
    // A release explains what the application does, not a lost network path.
    let fits = c.mostly(T5XX)
        || c.many(E502)
        || c.functions().next().is_some()
        || c.servers().any(|g| g.count("unhealthy") > 0);
    let path = c.inputs.legs.iter().any(|l| l.verdict == Verdict::Blocked && l.group.is_some());
    for seen in found {
        b.pro(if fits && !path { Strong } else { Weak }, seen);
    }
    if let Some(seen) = only_the_new(c) {
        b.pro(if any { Decisive } else { Strong }, seen);
    }
    if !any {
        let unknown = c.no_changes().or_else(|| {
            c.groups
                .iter()
                .filter(|g| g.in_use)
                .find_map(|g| g.state.services.gap().map(|x| x.reason.clone()))
        });
        let unknown = unknown.or_else(|| c.no_releases());
        b.lack_if("deployments before the onset", unknown);
    }
}

/// How well a change explains what is seen.
fn explains(c: &Case<'_>, e: &ChangeEvent) -> Weight {
    let is = |names: &[&str]| names.iter().any(|n| e.name.starts_with(n));
    let connect = c.mostly(E504) || c.servers().any(|g| g.reason("Target.Timeout") > 0);
    let refused = c.mostly(E502) && c.many("TargetConnectionErrorCount");
    let weight = |yes: bool| if yes { Strong } else { Weak };
    if is(&[
        "Authorize",
        "Revoke",
        "ModifySecurityGroup",
        "SetSecurityGroups",
        "CreateNetworkAcl",
        "ReplaceNetworkAcl",
        "DeleteNetworkAcl",
        "CreateRoute",
        "ReplaceRoute",
        "DeleteRoute",
        "AssociateRouteTable",
        "DisassociateRouteTable",
        "ModifyNetworkInterface",
        "DeleteNat",
        "DetachInternet",
        "ModifyVpcPeering",
        "DeleteVpcPeering",
    ]) {
        // Where every path is open, no such change can have closed it.
        let blocked = c.inputs.legs.iter().any(|l| l.verdict != Verdict::Open);
        return weight(connect && blocked);
    }
    if is(&["ModifyLoadBalancerAttributes"]) {
        return weight(c.mostly(E504) || c.mostly(E502));
    }
    if is(&[
        "RegisterTargets",
        "DeregisterTargets",
        "StopInstances",
        "RebootInstances",
        "SetDesiredCapacity",
        "UpdateAutoScalingGroup",
        "SuspendProcesses",
        "DetachLoadBalancer",
        "StopTask",
        "RunInstances",
    ]) {
        return weight(c.many(E503) || refused || connect || c.mostly(E502));
    }
    if is(&[
        "ModifyListener",
        "ModifyRule",
        "CreateRule",
        "DeleteRule",
        "SetRulePriorities",
        "ModifyTargetGroup",
        "SetSubnets",
        "UpdateWebACL",
        "AssociateWebACL",
        "CreateListener",
        "DeleteListener",
        "DeleteTargetGroup",
    ]) {
        return Strong;
    }
    if is(&[
        "AddListenerCertificates",
        "RemoveListenerCertificates",
        "DeleteCertificate",
        "ImportCertificate",
    ]) {
        return weight(c.unshaken || c.uncertified);
    }
    if is(&[
        "PutFunctionConcurrency",
        "DeleteFunctionConcurrency",
        "RemovePermission",
        "AddPermission",
        "UpdateFunctionConfiguration",
    ]) {
        return weight(c.functions().next().is_some());
    }
    if is(&["ModifyDB", "RebootDB", "StopDB", "DeleteDB", "FailoverDB"]) {
        return weight(c.mostly(T5XX) || c.mostly(E504));
    }
    Weak
}

/// A release, or the end of an instance: causes of their own, by which nothing
/// of the configuration changes.
fn of_another_cause(e: &ChangeEvent) -> bool {
    e.name.starts_with("TerminateInstance") || RELEASES.iter().any(|r| e.name.starts_with(r))
}

pub(super) fn config_change(c: &Case<'_>, b: &mut Ballot) {
    if !c.trouble() {
        return;
    }
    for e in c.changes().into_iter().filter(|e| !of_another_cause(e)).take(5) {
        b.pro(explains(c, e), Seen::change(e));
    }
    match c.no_changes() {
        Some(why) => b.lack("CloudTrail events before the onset", why),
        None if !b.has_pro() && c.began().is_some() => {
            let at = c.s.lb().and_then(|l| l.changes.as_of()).unwrap_or(c.now);
            let seen = Seen::new(
                "changes",
                "none of the path's configuration just before the onset",
                "cloudtrail:LookupEvents",
                at,
            );
            b.con(Weak, seen);
        }
        None => {}
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
        matches!(
            t.stop_code.as_str(),
            "ServiceSchedulerInitiated" | "SpotInterruption" | "TerminationNotice" | "UserInitiated"
        )
    });
    let stops: Vec<_> = stops.collect();
    let mut taken = false;
    if let Some(t) = stops.last().filter(|_| c.many(E502)) {
        taken = true;
        let value = format!("{} tasks were stopped: {}", stops.len(), t.stopped_reason);
        let seen = Seen::new("stopped tasks", value, "ecs:DescribeTasks", t.stopped.unwrap_or(c.now));
        b.pro(if c.none("TargetConnectionErrorCount") { Strong } else { Weak }, seen);
    }
    let cut = c.many(E502);
    let removals = c.removals();
    if let Some((g, a)) = removals.first().filter(|_| cut) {
        taken = true;
        let value = format!("{} times, such as {}: {}", removals.len(), a.what, a.cause);
        let what = format!("activities of {}", g.name);
        // An instance that was replaced for failing its checks is not the cause of that.
        let replaced = a.cause.contains("health check");
        let seen = Seen::new(what, value, "autoscaling:DescribeScalingActivities", a.at);
        b.pro(if replaced { Weak } else { Strong }, seen);
    }
    for e in
        c.changed(&["TerminateInstance", "StopInstances", "StopTask"]).into_iter().filter(|_| cut).take(2)
    {
        taken = true;
        b.pro(Strong, Seen::change(e));
    }
    if let Ok(rows) = &c.rows
        && cut
    {
        for shape in [Shape::Broken, Shape::Refused] {
            if !rows.mostly(shape) {
                continue;
            }
            let Some(part) = gone(c, rows, shape) else { continue };
            let says = format!("{:.0} % of them on targets that are gone", part * 100.0);
            let seen = Seen::rows(rows, shape, &says);
            if part >= 0.6 {
                b.pro(if taken { Decisive } else { Strong }, seen);
            } else if part <= 0.1 {
                b.con(Strong, seen);
            }
        }
        if let Some(x) = broken(c).filter(|x| x.took.1 >= 20.0) {
            let says = format!("that broke off after {:.1} s (median)", x.took.1);
            b.con(Weak, Seen::rows(x.rows, Shape::Broken, &says));
        }
    }
    if let Some(r) = order {
        let seen = Seen::new("order of drain and stop", r.text.clone(), r.right.source.clone(), c.now);
        if !b.has_pro() {
            b.dormant();
        }
        b.pro(Strong, seen);
    }
    if !b.has_pro() && c.failing {
        b.lack_if(
            "end times of targets",
            c.s.lb().and_then(|l| l.scaling.why_unknown()).or_else(|| c.no_changes()),
        );
    }
}

/// Databases of the VPCs in view.
fn databases(c: &Case<'_>, b: &mut Ballot) -> bool {
    let suffers = c.mostly(T5XX) || c.mostly(E504);
    let mut seen_any = false;
    for v in c.s.vpcs.values() {
        for d in v.databases.value().into_iter().flatten() {
            seen_any = true;
            let at = v.databases.as_of().unwrap_or(c.now);
            let name = format!("database {}", d.id);
            let fine = [
                "available",
                "backing-up",
                "storage-optimization",
                "configuring-enhanced-monitoring",
                "configuring-log-exports",
                "",
            ];
            if !fine.contains(&d.status.as_str()) {
                let weight = match (suffers, d.status.as_str()) {
                    (true, "modifying" | "maintenance" | "upgrading") => Strong,
                    (true, _) => Decisive,
                    _ => Weak,
                };
                b.pro(weight, Seen::new(name.clone(), d.status.clone(), "rds:DescribeDBInstances", at));
            }
            load(c, b, &d.id, &name, suffers);
        }
        if let Some(gap) = v.databases.gap().filter(|_| suffers) {
            b.lack("state of the databases", gap.reason.clone());
        }
    }
    let edits = c.changed(&["ModifyDB", "RebootDB", "StopDB", "DeleteDB", "FailoverDB"]);
    for e in edits.into_iter().filter(|_| suffers).take(2) {
        b.pro(Strong, Seen::change(e));
    }
    seen_any
}

/// What the metrics of one database say.
fn load(c: &Case<'_>, b: &mut Ballot, id: &str, name: &str, suffers: bool) {
    let metric = "cloudwatch:GetMetricData";
    if let Some(l) = c.level(RDS, "DatabaseConnections", "Maximum", id) {
        let before = l.before.unwrap_or(l.now);
        let value = format!("{:.0} connections, {before:.0} before", l.peak);
        let seen = Seen::new(name, value, metric, l.at);
        if l.peak >= 20.0 && l.now >= before * 2.0 + 10.0 {
            b.pro(if suffers { Strong } else { Weak }, seen);
        } else if before >= 10.0 && l.now <= before * 0.2 && suffers {
            // Nobody is connected any more: it is down, or out of reach.
            b.pro(Strong, seen);
        }
    }
    if let Some(l) = c.level(RDS, "CPUUtilization", "Average", id).filter(|l| l.now >= 90.0) {
        let value = format!("CPU at {:.0} %", l.now);
        let risen = l.before.is_none_or(|x| x < 75.0);
        b.pro(if suffers && risen { Strong } else { Weak }, Seen::new(name, value, metric, l.at));
    }
    if let Some(l) =
        c.level(RDS, "FreeStorageSpace", "Minimum", id).filter(|l| l.low < 64.0 * 1024.0 * 1024.0)
    {
        let value = format!("{:.0} MiB of storage left", l.low / 1_048_576.0);
        b.pro(if suffers { Strong } else { Weak }, Seen::new(name, value, metric, l.at));
    }
}

pub(super) fn database(c: &Case<'_>, b: &mut Ballot) {
    let suffers = c.mostly(T5XX) || c.mostly(E504);
    for s in c.signs_of("dependency-db-unavailable") {
        // A refused call may be to any service.
        let own = s.pattern.id.as_str() != "node-refused";
        let usual = s.before > s.count * 2;
        let weight = match (own && !usual, suffers) {
            (true, true) => Decisive,
            (true, false) => Strong,
            _ => Weak,
        };
        b.pro(weight, Seen::sign(s));
    }
    let any = databases(c, b) | caches::caches(c, b, suffers);
    if !b.has_pro() && c.failing {
        if any {
            b.lack_if("metrics of databases and caches", c.no_host_metrics());
        } else {
            b.lack_if("logs of the application", c.no_logs());
        }
    }
}

pub(super) fn external(c: &Case<'_>, b: &mut Ballot) {
    let suffers = c.mostly(T5XX) || c.mostly(E504);
    // Where the logs name a database, its failing calls are the database's.
    let store = c.signs_of("dependency-db-unavailable").any(|s| s.pattern.causes.len() == 1);
    for s in c.signs_of("dependency-external-api-slow") {
        let usual = s.before > s.count * 2;
        b.pro(if suffers && !usual && !store { Strong } else { Weak }, Seen::sign(s));
    }
    if !b.has_pro() && c.failing {
        b.lack_if("logs of the application", c.no_logs());
    }
}
