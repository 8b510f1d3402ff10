//! The second part of the plan: what is asked only when something is wrong,
//! and what surrounds the path. Certificates and functions are looked at
//! always; they cost a call each and end on a date.

use super::plan::{Ask, Plan, Work};
use crate::diagnosis::series;
use crate::situation::elb::TargetGroup;
use crate::situation::metric::MetricKey;
use crate::situation::net::Peer;
use crate::situation::{LbState, Situation, Topic};
use crate::sources::aws::ask::access;
use crate::sources::aws::ask::hosts::HostAsk;
use crate::sources::aws::metrics::Hosts;
use crate::sources::host::Local;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Certificates and functions that are read at most.
const CERTIFICATES: usize = 12;
const FUNCTIONS: usize = 10;
/// Instances whose status is read at most.
const INSTANCES: usize = 300;
/// Failures fewer than this in the last hours are no reason to look further.
const FEW: f64 = 3.0;
/// The same for requests the load balancer itself refused: scanners see to a few.
const FEW_REFUSED: f64 = 20.0;
/// Ports of databases, caches and brokers.
const STORES: [u16; 9] = [3306, 5432, 1433, 1521, 27017, 6379, 11211, 9092, 50000];

/// Is something wrong? `None` while it can't be said.
fn trouble(s: &Situation, lb: &SafeText, state: &LbState, groups: &[&TargetGroup]) -> Option<bool> {
    let sick = groups.iter().any(|g| {
        let health = s.groups.get(&g.arn).and_then(|x| x.health.value());
        health.is_some_and(|all| all.is_empty() || all.iter().any(|t| !t.is_healthy()))
    });
    if sick || state.metrics.gap().is_some() {
        return Some(true);
    }
    state.metrics.value()?;
    let sum = |subject: &SafeText, name: &str| {
        let series = s.series(&MetricKey::alb(subject.clone(), name, "Sum"));
        series.map_or(0.0, |x| x.points.iter().map(|p| p.1).filter(|v| v.is_finite()).sum())
    };
    let failures = [
        "HTTPCode_ELB_5XX_Count",
        "HTTPCode_ELB_500_Count",
        "HTTPCode_ELB_502_Count",
        "HTTPCode_ELB_503_Count",
        "HTTPCode_ELB_504_Count",
        "HTTPCode_Target_5XX_Count",
        "TargetConnectionErrorCount",
        "RejectedConnectionCount",
        "ELBAuthError",
    ];
    let refused = ["HTTPCode_ELB_4XX_Count", "ClientTLSNegotiationErrorCount", "ELBAuthFailure"];
    let lambda = groups.iter().any(|g| sum(&g.arn, "LambdaUserError") >= FEW);
    let failing = failures.iter().any(|n| sum(lb, n) >= FEW);
    Some(failing || lambda || refused.iter().any(|n| sum(lb, n) >= FEW_REFUSED))
}

/// Groups of the instances and interfaces that are targets.
fn target_groups_of(s: &Situation, vpc: &SafeText, groups: &[&TargetGroup]) -> BTreeSet<SafeText> {
    let Some(v) = s.vpcs.get(vpc) else { return BTreeSet::new() };
    let ids: BTreeSet<&str> = targets(s, groups).map(|(id, _)| id).collect();
    let mut out: BTreeSet<SafeText> = BTreeSet::new();
    for i in v.instances.value().into_iter().flatten().filter(|i| ids.contains(i.id.as_str())) {
        out.extend(i.groups.iter().cloned());
    }
    for i in v.interfaces.value().into_iter().flatten() {
        if i.addresses.iter().any(|a| ids.contains(a.to_string().as_str())) {
            out.extend(i.groups.iter().cloned());
        }
    }
    out
}

/// Ids of targets, and whether each is healthy.
fn targets<'a>(s: &'a Situation, groups: &'a [&TargetGroup]) -> impl Iterator<Item = (&'a str, bool)> {
    groups
        .iter()
        .filter_map(|g| s.groups.get(&g.arn)?.health.value())
        .flatten()
        .map(|t| (t.id.as_str(), t.is_healthy()))
}

/// Does a security group of the VPC let the targets in on a port of a store?
fn reaches_a_store(s: &Situation, vpc: &SafeText, groups: &[&TargetGroup]) -> bool {
    let ours = target_groups_of(s, vpc, groups);
    let all = s.vpcs.get(vpc).and_then(|v| v.security_groups.value()).into_iter().flatten();
    all.filter(|g| !ours.contains(&g.id)).flat_map(|g| &g.ingress).any(|r| {
        let from_us = matches!(&r.peer, Peer::Group { id, .. } if ours.contains(id));
        from_us
            && STORES.iter().any(|p| {
                let p = i32::from(*p);
                r.from_port.is_none_or(|a| a <= p) && r.to_port.is_none_or(|b| b >= p)
            })
    })
}

/// Instances that are asked by Run Command: of those in trouble and, to
/// compare, of the others.
const ASKED_ILL: usize = 5;
const ASKED_WELL: usize = 2;

impl Plan {
    /// Asks instances behind the targets what they say of themselves, once
    /// something is wrong and it is known which are in trouble.
    pub(super) fn hosts(&mut self, s: &Situation, lb: &SafeText, groups: &[&TargetGroup]) {
        let Some(state) = s.lbs.get(lb) else { return };
        let groups: Vec<&TargetGroup> =
            groups.iter().copied().filter(|g| g.target_type.as_str() == "instance").collect();
        let told = groups.iter().all(|g| {
            s.groups.get(&g.arn).is_some_and(|x| x.health.value().is_some() || x.health.gap().is_some())
        });
        if groups.is_empty() || !told || trouble(s, lb, state, &groups) != Some(true) {
            return;
        }
        let mut asks: Vec<(bool, HostAsk)> = Vec::new();
        for g in &groups {
            let health = s.groups.get(&g.arn).and_then(|x| x.health.value()).into_iter().flatten();
            for t in health.filter(|t| t.id.starts_with("i-")) {
                let tls = matches!(g.protocol.as_str(), "HTTPS" | "TLS");
                let port = t.port.or(g.port);
                let local = port.map(|p| Local::new(p, &g.health_check.path, tls));
                if !asks.iter().any(|(_, a)| a.id == t.id) {
                    asks.push((t.is_healthy(), HostAsk { id: t.id.clone(), local }));
                }
            }
        }
        asks.sort();
        let (well, ill): (Vec<_>, Vec<_>) = asks.into_iter().partition(|(well, _)| *well);
        // Where none is ill, requests fail all the same: any of them may tell.
        let more = if ill.is_empty() { ASKED_ILL } else { ASKED_WELL };
        let ill = ill.into_iter().take(ASKED_ILL);
        let mut asks: Vec<HostAsk> = ill.chain(well.into_iter().take(more)).map(|(_, a)| a).collect();
        // In a fixed order: another one would be another question.
        asks.sort();
        if !asks.is_empty() {
            self.0.push((Ask::Hosts, Work::Hosts(asks)));
        }
    }

    pub(super) fn around(&mut self, s: &Situation, lb: &SafeText, groups: &[&TargetGroup]) {
        let Some(state) = s.lbs.get(lb) else { return };
        self.certificates(state);
        let functions = groups.iter().filter(|g| g.target_type.as_str() == "lambda");
        let functions: BTreeSet<SafeText> = functions
            .filter_map(|g| s.groups.get(&g.arn)?.health.value())
            .flatten()
            .map(|t| t.id.clone())
            .collect();
        for arn in functions.iter().take(FUNCTIONS) {
            self.add(Topic::Function(arn.clone()), Work::Function(arn.clone()));
        }
        // What was asked and failed is asked on until it heals: a gap that
        // nobody comes back to would stand there for ever.
        let open = s.gaps.keys().any(|t| {
            matches!(
                t,
                Topic::HostMetrics(_)
                    | Topic::Changes(_)
                    | Topic::AccessLog(_)
                    | Topic::InstanceStatus(_)
                    | Topic::Scaling(_)
                    | Topic::Databases(_)
            )
        });
        if trouble(s, lb, state, groups) != Some(true) && !open {
            return;
        }
        // Where it began is asked of the metrics; until they are known, wait.
        let told = state.metrics.value().is_some() || state.metrics.gap().is_some();
        let onset: Option<Timestamp> = series::onset_of(s, lb).map(|o| o.at);
        if told {
            let mut resources = vec![SafeText::from(crate::situation::short(lb)), lb.clone()];
            resources.extend(groups.iter().map(|g| g.arn.clone()));
            resources.extend(state.lb.value().into_iter().flat_map(|l| l.security_groups.iter().cloned()));
            let work = Work::Changes { lb: lb.clone(), onset, resources };
            self.add(Topic::Changes(lb.clone()), work);
            if let Some(attributes) = state.attributes.value() {
                let place = access::place(attributes);
                let work = Work::AccessLog { lb: lb.clone(), place, onset };
                self.add(Topic::AccessLog(lb.clone()), work);
            }
        }
        let arns = groups.iter().map(|g| g.arn.clone()).collect();
        let mut ids: Vec<(&str, bool)> = targets(s, groups).filter(|t| t.0.starts_with("i-")).collect();
        ids.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(b.0)));
        ids.dedup_by(|a, b| a.0 == b.0);
        let instances: Vec<SafeText> = ids.iter().take(INSTANCES).map(|t| t.0.into()).collect();
        let work = Work::Scaling { lb: lb.clone(), groups: arns, instances: instances.clone() };
        self.add(Topic::Scaling(lb.clone()), work);
        let vpcs: BTreeSet<&SafeText> = groups.iter().map(|g| &g.vpc).filter(|v| !v.is_empty()).collect();
        for vpc in &vpcs {
            let here = s.vpcs.get(*vpc).and_then(|v| v.instances.value()).into_iter().flatten();
            let here: BTreeSet<&str> = here.map(|i| i.id.as_str()).collect();
            let mut known: Vec<SafeText> =
                instances.iter().filter(|i| here.contains(i.as_str())).cloned().collect();
            // In a fixed order: another one would be another question.
            known.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            if !known.is_empty() {
                let work = Work::InstanceStatus { vpc: (*vpc).clone(), instances: known };
                self.add(Topic::InstanceStatus((*vpc).clone()), work);
            }
            if reaches_a_store(s, vpc, groups) {
                self.add(Topic::Databases((*vpc).clone()), Work::Databases((*vpc).clone()));
            }
        }
        self.host_metrics(s, lb, groups, instances, functions.into_iter().collect());
    }

    fn certificates(&mut self, state: &LbState) {
        let mut all: Vec<SafeText> = Vec::new();
        for l in state.listeners.value().into_iter().flatten() {
            if !matches!(l.protocol.as_str(), "HTTPS" | "TLS") {
                continue;
            }
            self.add(Topic::ListenerCertificates(l.arn.clone()), Work::ListenerCertificates(l.arn.clone()));
            let more = state.certificates.get(&l.arn).and_then(|d| d.value()).into_iter().flatten();
            for arn in l.certificates.iter().chain(more) {
                if arn.contains(":acm:") && !all.contains(arn) {
                    all.push(arn.clone());
                }
            }
        }
        for arn in all.into_iter().take(CERTIFICATES) {
            self.add(Topic::Certificate(arn.clone()), Work::Certificate(arn));
        }
    }

    /// One question for all series: it waits until it is known whose.
    fn host_metrics(
        &mut self,
        s: &Situation,
        lb: &SafeText,
        groups: &[&TargetGroup],
        instances: Vec<SafeText>,
        functions: Vec<SafeText>,
    ) {
        let servers = groups.iter().filter(|g| matches!(g.target_type.as_str(), "instance" | "ip"));
        let open = groups.iter().any(|g| {
            s.groups.get(&g.arn).is_none_or(|x| x.health.value().is_none() && x.health.gap().is_none())
        }) || servers.clone().any(|g| {
            s.groups.get(&g.arn).is_none_or(|x| x.services.value().is_none() && x.services.gap().is_none())
        });
        let asked = self.0.iter().filter_map(|(a, _)| match a {
            Ask::Topic(Topic::Databases(vpc)) => Some(vpc),
            _ => None,
        });
        let mut databases = Vec::new();
        for vpc in asked {
            let d = s.vpcs.get(vpc).map(|v| &v.databases);
            match d.and_then(|d| d.value()) {
                Some(list) => databases.extend(list.iter().map(|d| d.id.clone())),
                None if d.is_some_and(|d| d.gap().is_some()) => {}
                None => return,
            }
        }
        let services = servers.filter_map(|g| s.groups.get(&g.arn)?.services.value()).flatten();
        let services = services
            .map(|x| {
                (SafeText::from(crate::situation::short_name(&x.cluster)), x.name.clone(), x.arn.clone())
            })
            .collect();
        let hosts = Hosts { instances, services, functions, databases };
        if !open && !hosts.is_empty() {
            self.add(Topic::HostMetrics(lb.clone()), Work::HostMetrics { lb: lb.clone(), hosts });
        }
    }
}
