//! The second part of the plan: what is asked only when something is wrong,
//! and what surrounds the path. Certificates and functions are looked at
//! always; they cost a call each and end on a date.

use super::plan::{Ask, Plan, Work};
use crate::diagnosis::series;
use crate::situation::beside::{Cache, SERVERLESS};
use crate::situation::elb::TargetGroup;
use crate::situation::front::Classic;
use crate::situation::metric::MetricKey;
use crate::situation::net::{Peer, SgRule};
use crate::situation::{GroupState, LbState, Situation, Topic};
use crate::sources::aws::ask::access;
use crate::sources::aws::ask::hosts::HostAsk;
use crate::sources::aws::metrics::Hosts;
use crate::sources::host::{Container, Local};
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

/// Instances that are asked by Run Command: of those in trouble and, to
/// compare, of the others.
const ASKED_ILL: usize = 5;
const ASKED_WELL: usize = 2;

/// The instance that a target is, or that holds its address. Addresses of
/// containers are not their host's: what listens there is not seen from it.
fn instance_of(s: &Situation, target: &SafeText) -> Option<SafeText> {
    if target.starts_with("i-") {
        return Some(target.clone());
    }
    let at: IpAddr = target.parse().ok()?;
    let mut held = s.vpcs.values().filter_map(|v| v.interfaces.value()).flatten();
    let own = held.find(|i| i.addresses.contains(&at))?;
    let contained = own.description.contains(":ecs:") || matches!(own.kind.as_str(), "branch" | "trunk");
    (!contained && own.instance.starts_with("i-")).then(|| own.instance.clone())
}

/// Containers that are asked by ECS Exec: a session each.
const INSIDE_ILL: usize = 2;
const INSIDE_WELL: usize = 1;

/// The container behind an address, where its service was made with ECS Exec:
/// the one that serves the port, where its task has several.
fn inside_of(s: &Situation, group: &GroupState, address: &str, port: Option<u16>) -> Option<Container> {
    let services = group.services.value()?.iter().filter(|x| x.exec == Some(true));
    let (service, task) = services.into_iter().find_map(|x| {
        let tasks = s.tasks.get(&x.arn).and_then(|d| d.value())?;
        let task =
            tasks.iter().find(|t| t.address.as_str() == address && t.last_status.as_str() == "RUNNING")?;
        Some((x, task))
    })?;
    let all = s.task_definitions.get(&task.task_definition).and_then(|d| d.value()).map(|d| &d.containers);
    let serving = all.and_then(|all| all.iter().find(|c| port.is_some_and(|p| c.ports.contains(&p))));
    let cluster = crate::situation::short_name(&service.cluster);
    let mut typed = format!("{cluster}/{}", crate::situation::short_name(&task.arn));
    if let Some(c) = serving {
        typed = format!("{typed}/{}", c.name);
    }
    // Names come from outside; those that are none lead nowhere.
    typed.parse().ok()
}

impl Plan {
    /// Asks instances behind the targets what they say of themselves, once
    /// something is wrong and it is known which are in trouble.
    pub(super) fn hosts(&mut self, s: &Situation, lb: &SafeText, groups: &[&TargetGroup]) {
        let Some(state) = s.lbs.get(lb) else { return };
        let groups: Vec<&TargetGroup> =
            groups.iter().copied().filter(|g| matches!(g.target_type.as_str(), "instance" | "ip")).collect();
        let told = groups.iter().all(|g| {
            s.groups.get(&g.arn).is_some_and(|x| x.health.value().is_some() || x.health.gap().is_some())
        });
        if groups.is_empty() || !told || trouble(s, lb, state, &groups) != Some(true) {
            return;
        }
        let mut asks: Vec<(bool, HostAsk)> = Vec::new();
        for g in &groups {
            let health = s.groups.get(&g.arn).and_then(|x| x.health.value()).into_iter().flatten();
            for t in health {
                let Some(id) = instance_of(s, &t.id) else { continue };
                let tls = matches!(g.protocol.as_str(), "HTTPS" | "TLS");
                let port = t.port.or(g.port);
                let local = port.map(|p| Local::new(p, &g.health_check.path, tls));
                if !asks.iter().any(|(_, a)| a.id == id) {
                    asks.push((t.is_healthy(), HostAsk { id, local }));
                }
            }
        }
        self.some_hosts(asks);
        self.some_inside(s, &groups);
    }

    /// Some tasks among the targets whose service lets people in (ECS Exec).
    fn some_inside(&mut self, s: &Situation, groups: &[&TargetGroup]) {
        let mut asks: Vec<(bool, Container)> = Vec::new();
        for g in groups.iter().filter(|g| g.target_type.as_str() == "ip") {
            let Some(state) = s.groups.get(&g.arn) else { continue };
            for t in state.health.value().into_iter().flatten() {
                if let Some(inside) = inside_of(s, state, t.id.as_str(), t.port.or(g.port)) {
                    asks.push((t.is_healthy(), inside));
                }
            }
        }
        asks.sort();
        asks.dedup_by(|a, b| a.1 == b.1);
        let (well, ill): (Vec<_>, Vec<_>) = asks.into_iter().partition(|(well, _)| *well);
        let all = ill.into_iter().take(INSIDE_ILL).chain(well.into_iter().take(INSIDE_WELL));
        let mut asks: Vec<Container> = all.map(|(_, c)| c).collect();
        asks.sort();
        if !asks.is_empty() {
            self.0.push((Ask::Inside, Work::Inside(asks)));
        }
    }

    /// The same of a Classic Load Balancer's instances.
    pub(super) fn classic_hosts(&mut self, s: &Situation, c: &Classic) {
        let Some(health) = s.fronts.instance_health.get(&c.name).and_then(|d| d.value()) else { return };
        let behind = c.listeners.iter().find(|l| l.2.starts_with("HTTP")).or(c.listeners.first());
        // `HTTP:8080/healthz`: the path begins at the slash.
        let path = c.health_check.find('/').map_or("/", |at| &c.health_check[at..]);
        let local = behind.map(|l| Local::new(l.3, path, matches!(l.2.as_str(), "HTTPS" | "SSL")));
        let asks = health
            .iter()
            .filter(|i| i.id.starts_with("i-"))
            .map(|i| (i.state.as_str() == "InService", HostAsk { id: i.id.clone(), local: local.clone() }));
        self.some_hosts(asks.collect());
    }

    /// Some of those in trouble, and some others to compare them with.
    fn some_hosts(&mut self, mut asks: Vec<(bool, HostAsk)>) {
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
    use crate::situation::ecs::{Service, Task, TaskDefinition};
    use crate::situation::elb::{HealthCheck, TargetHealth};
    use crate::situation::front::InstanceHealth;
    use crate::situation::net::{Instance, Interface, Protocol, SecurityGroup};
    use crate::situation::{Fact, Observation};

    const TG: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/web/73e2";

    fn learn(s: &mut Situation, topic: Topic, fact: Fact) {
        let at = "2026-11-22T02:00:00Z".parse().unwrap();
        s.apply(&Observation { at, source: "test".into(), topic, fact, took_ms: 0 });
    }

    fn held(at: &str, instance: &str, description: &str, kind: &str) -> Interface {
        Interface {
            addresses: vec![at.parse().unwrap()],
            instance: instance.into(),
            description: description.into(),
            kind: kind.into(),
            vpc: "vpc-1".into(),
            groups: vec!["sg-app".into()],
            ..Interface::default()
        }
    }

    #[test]
    fn an_address_is_asked_of_the_instance_that_holds_it_and_never_of_a_containers_host() {
        let mut s = Situation::new();
        let all = vec![
            held("10.0.1.5", "i-1", "", "interface"),
            held("10.0.1.6", "i-2", "arn:aws:ecs:r:1:attachment/9c", "interface"),
            held("10.0.1.7", "i-3", "", "branch"),
            held("10.0.1.8", "", "RDSNetworkInterface", "interface"),
        ];
        learn(&mut s, Topic::Interfaces("vpc-1".into()), Fact::Interfaces(all));
        let of = |t: &str| instance_of(&s, &t.into()).map(|i| i.to_string());
        assert_eq!(of("10.0.1.5").as_deref(), Some("i-1"));
        assert_eq!(of("i-9").as_deref(), Some("i-9"));
        for other in ["10.0.1.6", "10.0.1.7", "10.0.1.8", "10.0.1.9", "arn:aws:lambda:r:1:function:f"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_in_trouble_are_asked_by_run_command() {
        let mut s = Situation::new();
        let lb: SafeText = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/50dc".into();
        let group = TargetGroup {
            arn: TG.into(),
            vpc: "vpc-1".into(),
            target_type: "ip".into(),
            protocol: "HTTP".into(),
            port: Some(8080),
            health_check: HealthCheck { path: "/up".into(), ..HealthCheck::default() },
            ..TargetGroup::default()
        };
        learn(&mut s, Topic::TargetGroups(lb.clone()), Fact::TargetGroups(vec![group.clone()]));
        learn(
            &mut s,
            Topic::Interfaces("vpc-1".into()),
            Fact::Interfaces(vec![held("10.0.1.5", "i-1", "", "interface")]),
        );
        let target =
            TargetHealth { id: "10.0.1.5".into(), state: "unhealthy".into(), ..TargetHealth::default() };
        learn(&mut s, Topic::TargetHealth(TG.into()), Fact::TargetHealth(vec![target]));
        let mut plan = Plan(Vec::new());
        plan.hosts(&s, &lb, &[&group]);
        let want = HostAsk { id: "i-1".into(), local: Some(Local::new(8080, "/up", false)) };
        assert_eq!(plan.0, [(Ask::Hosts, Work::Hosts(vec![want]))]);
    }

    #[test]
    fn tasks_in_trouble_are_asked_by_ecs_exec_where_their_service_has_it() {
        const ID: &str = "0123456789abcdef0123456789abcdef";
        for (exec, asked) in [(Some(true), true), (Some(false), false), (None, false)] {
            let mut s = Situation::new();
            let lb: SafeText = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/50dc".into();
            let group = TargetGroup {
                arn: TG.into(),
                target_type: "ip".into(),
                port: Some(8080),
                ..TargetGroup::default()
            };
            learn(&mut s, Topic::TargetGroups(lb.clone()), Fact::TargetGroups(vec![group.clone()]));
            let target =
                TargetHealth { id: "10.0.1.6".into(), state: "unhealthy".into(), ..TargetHealth::default() };
            learn(&mut s, Topic::TargetHealth(TG.into()), Fact::TargetHealth(vec![target]));
            let service = Service {
                arn: "arn:aws:ecs:r:1:service/shop/web".into(),
                cluster: "arn:aws:ecs:r:1:cluster/shop".into(),
                exec,
                ..Service::default()
            };
            let task = Task {
                arn: format!("arn:aws:ecs:r:1:task/shop/{ID}").into(),
                last_status: "RUNNING".into(),
                task_definition: "td:1".into(),
                address: "10.0.1.6".into(),
                ..Task::default()
            };
            let of = Topic::EcsTasks(service.arn.clone());
            learn(&mut s, Topic::EcsServices(TG.into()), Fact::EcsServices(vec![service]));
            learn(&mut s, of, Fact::EcsTasks(vec![task]));
            let named = |name: &str, port: u16| crate::situation::ecs::Container {
                name: name.into(),
                ports: vec![port],
                ..crate::situation::ecs::Container::default()
            };
            let definition = TaskDefinition {
                arn: "td:1".into(),
                containers: vec![named("envoy", 9901), named("web", 8080)],
                ..TaskDefinition::default()
            };
            learn(&mut s, Topic::TaskDefinition("td:1".into()), Fact::TaskDefinition(definition));
            let mut plan = Plan(Vec::new());
            plan.hosts(&s, &lb, &[&group]);
            let want = format!("shop/{ID}/web").parse().unwrap();
            let want: &[(Ask, Work)] = if asked { &[(Ask::Inside, Work::Inside(vec![want]))] } else { &[] };
            assert_eq!(plan.0, want, "{exec:?}");
        }
    }

    #[test]
    fn instances_of_a_classic_load_balancer_are_asked_on_their_own_port() {
        let mut s = Situation::new();
        let one = |id: &str, state: &str| InstanceHealth {
            id: id.into(),
            state: state.into(),
            ..InstanceHealth::default()
        };
        let health = vec![one("i-1", "InService"), one("i-2", "OutOfService")];
        learn(&mut s, Topic::InstanceHealth("old".into()), Fact::InstanceHealth(health));
        let c = Classic {
            name: "old".into(),
            listeners: vec![("TCP".into(), 22, "TCP".into(), 22), ("HTTPS".into(), 443, "HTTP".into(), 8081)],
            health_check: "HTTP:8081/healthz".into(),
            ..Classic::default()
        };
        let mut plan = Plan(Vec::new());
        plan.classic_hosts(&s, &c);
        let Some((Ask::Hosts, Work::Hosts(asks))) = plan.0.first() else { panic!("{:?}", plan.0) };
        assert_eq!(asks.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["i-1", "i-2"]);
        assert!(asks.iter().all(|a| a.local == Some(Local::new(8081, "/healthz", false))));
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
