//! The second part of the plan: what is asked only when something is wrong,
//! and what surrounds the path. Certificates and functions are looked at
//! always; they cost a call each and end on a date.

use super::plan::{Ask, Plan, Work};
use crate::diagnosis::series;
use crate::situation::beside::{Cache, SERVERLESS};
use crate::situation::elb::TargetGroup;
use crate::situation::metric::MetricKey;
use crate::situation::net::{Peer, SgRule};
use crate::situation::{LbState, Situation, Topic};
use crate::sources::aws::ask::access;
use crate::sources::aws::metrics::Hosts;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;

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
/// Ports of caches: Redis and Valkey, the same with a port of its own for
/// replicas, Memcached.
const CACHE_PORTS: [u16; 3] = [6379, 6380, 11211];

/// Is something wrong? `None` while it can't be said.
pub(super) fn trouble(
    s: &Situation,
    lb: &SafeText,
    state: &LbState,
    groups: &[&TargetGroup],
) -> Option<bool> {
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

/// Security groups of the VPC that let the targets in on a port of a cache, by
/// their groups or by their addresses; in order.
fn let_in(s: &Situation, vpc: &SafeText, groups: &[&TargetGroup]) -> Vec<SafeText> {
    let ours = target_groups_of(s, vpc, groups);
    let ids: BTreeSet<&str> = targets(s, groups).map(|(id, _)| id).collect();
    let mut at: Vec<IpAddr> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    for id in ids.iter().filter(|id| id.starts_with("i-")) {
        at.extend(s.instance(id).into_iter().flat_map(|i| &i.addresses));
    }
    let all = s.vpcs.get(vpc).and_then(|v| v.security_groups.value()).into_iter().flatten();
    let lets = |r: &SgRule| {
        let port = CACHE_PORTS.iter().any(|p| {
            let p = i32::from(*p);
            r.from_port.is_none_or(|a| a <= p) && r.to_port.is_none_or(|b| b >= p)
        });
        let us = match &r.peer {
            Peer::Group { id, .. } => ours.contains(id),
            Peer::Cidr(net) => at.iter().any(|a| net.contains(a)),
            _ => false,
        };
        port && us
    };
    let open = all.filter(|g| !ours.contains(&g.id) && g.ingress.iter().any(lets));
    let open: BTreeSet<SafeText> = open.map(|g| g.id.clone()).collect();
    open.into_iter().collect()
}

impl Plan {
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
                    | Topic::Releases(_)
                    | Topic::Caches(_)
                    | Topic::Traces(_)
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
            self.add(Topic::Releases(lb.clone()), Work::Releases { of: lb.clone(), onset });
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
            let open = let_in(s, vpc, groups);
            if !open.is_empty() {
                let work = Work::Caches { vpc: (*vpc).clone(), groups: open };
                self.add(Topic::Caches((*vpc).clone()), work);
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
        let asked = self.0.iter().filter_map(|(a, _)| match a {
            Ask::Topic(Topic::Caches(vpc)) => Some(vpc),
            _ => None,
        });
        let (mut caches, mut serverless) = (Vec::new(), Vec::new());
        for vpc in asked {
            let d = s.beside.caches.get(vpc);
            match d.and_then(|d| d.value()) {
                Some(all) => {
                    let (without, with): (Vec<&Cache>, Vec<&Cache>) =
                        all.clusters.iter().partition(|c| c.class.as_str() == SERVERLESS);
                    caches.extend(with.iter().map(|c| c.id.clone()));
                    serverless.extend(without.iter().map(|c| c.id.clone()));
                }
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
        let hosts = Hosts { instances, services, functions, databases, caches, serverless };
        if !open && !hosts.is_empty() {
            self.add(Topic::HostMetrics(lb.clone()), Work::HostMetrics { lb: lb.clone(), hosts });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::elb::TargetHealth;
    use crate::situation::net::{Instance, Protocol, SecurityGroup};
    use crate::situation::{Fact, Observation};

    const TG: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/web/73e2";

    fn learn(s: &mut Situation, topic: Topic, fact: Fact) {
        let at = "2026-11-22T02:00:00Z".parse().unwrap();
        s.apply(&Observation { at, source: "test".into(), topic, fact, took_ms: 0 });
    }

    #[test]
    fn caches_are_asked_for_where_a_group_lets_the_targets_in() {
        let mut s = Situation::new();
        let group = TargetGroup { arn: TG.into(), vpc: "vpc-1".into(), ..TargetGroup::default() };
        let target = TargetHealth { id: "i-1".into(), ..TargetHealth::default() };
        learn(&mut s, Topic::TargetHealth(TG.into()), Fact::TargetHealth(vec![target]));
        let i = Instance {
            id: "i-1".into(),
            vpc: "vpc-1".into(),
            groups: vec!["sg-app".into()],
            addresses: vec!["10.0.1.5".parse().unwrap()],
            ..Instance::default()
        };
        learn(&mut s, Topic::Instances("vpc-1".into()), Fact::Instances(vec![i]));
        let rule = |port: i32, peer: Peer| SgRule {
            protocol: Protocol::Tcp,
            from_port: Some(port),
            to_port: Some(port),
            peer,
            description: SafeText::default(),
        };
        let by_group = || Peer::Group {
            id: "sg-app".into(),
            owner: SafeText::default(),
            peering: SafeText::default(),
            peering_status: SafeText::default(),
        };
        let cidr = |net: &str| Peer::Cidr(net.parse().unwrap());
        let sg = |id: &str, r: SgRule| SecurityGroup {
            id: id.into(),
            vpc: "vpc-1".into(),
            ingress: vec![r],
            ..SecurityGroup::default()
        };
        let all = vec![
            sg("sg-redis", rule(6379, by_group())),
            sg("sg-memcached", rule(11211, cidr("10.0.1.0/24"))),
            sg("sg-far", rule(6379, cidr("10.9.0.0/16"))),
            sg("sg-web", rule(443, by_group())),
            sg("sg-app", rule(6379, by_group())),
        ];
        learn(&mut s, Topic::SecurityGroups("vpc-1".into()), Fact::SecurityGroups(all));
        let open = let_in(&s, &"vpc-1".into(), &[&group]);
        assert_eq!(open.iter().map(SafeText::as_str).collect::<Vec<_>>(), ["sg-memcached", "sg-redis"]);
    }
}
