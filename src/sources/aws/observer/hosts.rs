//! The part of the plan about what runs behind the targets: which instances
//! are asked by Run Command, which containers by ECS Exec.

use super::more::trouble;
use super::plan::{Ask, Plan, Work};
use crate::situation::ecs::{Service, Task};
use crate::situation::elb::TargetGroup;
use crate::situation::front::Classic;
use crate::situation::net::Interface;
use crate::situation::{Situation, short_name};
use crate::sources::aws::ask::hosts::HostAsk;
use crate::sources::host::{Container, Local};
use crate::text::SafeText;
use std::collections::HashMap;
use std::net::IpAddr;

/// Instances that are asked by Run Command: of those in trouble and, to
/// compare, of the others.
const BY_COMMAND: Most = Most { ill: 5, well: 2, alone: 5 };

/// Containers that are asked by ECS Exec: a session each.
const BY_EXEC: Most = Most { ill: 2, well: 1, alone: 1 };

/// How many are asked.
struct Most {
    ill: usize,
    /// Others, to compare.
    well: usize,
    /// Others where none is ill: requests fail all the same, and any may tell.
    alone: usize,
}

/// Who holds which address: looked up for each of what may be thousands of targets.
struct Holders<'a>(HashMap<IpAddr, &'a Interface>);

impl<'a> Holders<'a> {
    fn of(s: &'a Situation) -> Holders<'a> {
        let mut held = HashMap::new();
        for i in s.vpcs.values().filter_map(|v| v.interfaces.value()).flatten() {
            for at in &i.addresses {
                held.entry(*at).or_insert(i);
            }
        }
        Holders(held)
    }

    /// The instance that a target is, or that holds its address. Addresses of
    /// containers are not their host's: what listens there is not seen from it.
    fn instance(&self, target: &SafeText) -> Option<SafeText> {
        if target.starts_with("i-") {
            return Some(target.clone());
        }
        let own = self.0.get(&target.parse().ok()?)?;
        let contained = own.description.contains(":ecs:") || matches!(own.kind.as_str(), "branch" | "trunk");
        (!contained && own.instance.starts_with("i-")).then(|| own.instance.clone())
    }
}

/// Running tasks by address, of services that were made with ECS Exec.
struct Open<'a>(HashMap<&'a str, (&'a Service, &'a Task)>);

impl<'a> Open<'a> {
    fn of(s: &'a Situation, groups: &[&TargetGroup]) -> Open<'a> {
        let mut open = HashMap::new();
        let states = groups.iter().filter_map(|g| s.groups.get(&g.arn));
        let services = states.filter_map(|g| g.services.value()).flatten();
        for x in services.filter(|x| x.exec == Some(true)) {
            let tasks = s.tasks.get(&x.arn).and_then(|d| d.value()).into_iter().flatten();
            for t in tasks.filter(|t| t.last_status.as_str() == "RUNNING" && !t.address.is_empty()) {
                open.entry(t.address.as_str()).or_insert((x, t));
            }
        }
        Open(open)
    }

    /// The container behind an address: the one that serves the port, where its
    /// task has several.
    fn container(&self, s: &Situation, address: &str, port: Option<u16>) -> Option<Container> {
        let (service, task) = self.0.get(address)?;
        let all = s.task_definitions.get(&task.task_definition).and_then(|d| d.value());
        let serving =
            all.and_then(|all| all.containers.iter().find(|c| port.is_some_and(|p| c.ports.contains(&p))));
        let mut typed = format!("{}/{}", short_name(&service.cluster), short_name(&task.arn));
        if let Some(c) = serving {
            typed = format!("{typed}/{}", c.name);
        }
        // Names come from outside; those that are none lead nowhere.
        typed.parse().ok()
    }
}

/// Adds what the first of these lead to, each once, until there are so many.
fn pick<T, A>(
    out: &mut Vec<A>,
    until: usize,
    from: &[T],
    ask: &impl Fn(&T) -> Option<A>,
    same: fn(&A, &A) -> bool,
) {
    for t in from {
        if out.len() >= until {
            return;
        }
        out.extend(ask(t).filter(|a| !out.iter().any(|x| same(x, a))));
    }
}

/// Some of those in trouble, and some others to compare them with. Always in
/// the same order: another one would be another question.
fn some<T: Ord, A: Ord>(
    targets: Vec<(bool, T)>,
    most: &Most,
    ask: impl Fn(&T) -> Option<A>,
    same: fn(&A, &A) -> bool,
) -> Vec<A> {
    let (mut well, mut ill): (Vec<T>, Vec<T>) = (Vec::new(), Vec::new());
    for (is_well, t) in targets {
        if is_well { well.push(t) } else { ill.push(t) }
    }
    ill.sort();
    well.sort();
    let mut out = Vec::new();
    pick(&mut out, most.ill, &ill, &ask, same);
    let until = if out.is_empty() { most.alone } else { out.len() + most.well };
    pick(&mut out, until, &well, &ask, same);
    out.sort();
    out
}

/// A target: its id, port and the place of its group.
type Member<'a> = (&'a SafeText, Option<u16>, usize);

fn members<'a>(s: &'a Situation, groups: &[&TargetGroup]) -> Vec<(bool, Member<'a>)> {
    let mut out = Vec::new();
    for (i, g) in groups.iter().enumerate() {
        let health = s.groups.get(&g.arn).and_then(|x| x.health.value()).into_iter().flatten();
        out.extend(health.map(|t| (t.is_healthy(), (&t.id, t.port.or(g.port), i))));
    }
    out
}

impl Plan {
    /// Asks what runs behind the targets what it says of itself, once something
    /// is wrong and it is known which are in trouble.
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
        let holders = Holders::of(s);
        let ask = |(id, port, group): &Member<'_>| {
            let g = groups.get(*group)?;
            let tls = matches!(g.protocol.as_str(), "HTTPS" | "TLS");
            let local = port.map(|p| Local::new(p, &g.health_check.path, tls));
            Some(HostAsk { id: holders.instance(id)?, local })
        };
        self.by_command(some(members(s, &groups), &BY_COMMAND, ask, |a, b| a.id == b.id));
        let by_address: Vec<&TargetGroup> =
            groups.iter().copied().filter(|g| g.target_type.as_str() == "ip").collect();
        let open = Open::of(s, &by_address);
        if !open.0.is_empty() {
            let ask = |(id, port, _): &Member<'_>| open.container(s, id, *port);
            let asks = some(members(s, &by_address), &BY_EXEC, ask, |a, b| a == b);
            if !asks.is_empty() {
                self.0.push((Ask::Inside, Work::Inside(asks)));
            }
        }
    }

    /// The same of a Classic Load Balancer's instances.
    pub(super) fn classic_hosts(&mut self, s: &Situation, c: &Classic) {
        let Some(health) = s.fronts.instance_health.get(&c.name).and_then(|d| d.value()) else { return };
        let behind = c.listeners.iter().find(|l| l.2.starts_with("HTTP")).or(c.listeners.first());
        // `HTTP:8080/healthz`: the path begins at the slash.
        let path = c.health_check.find('/').map_or("/", |at| &c.health_check[at..]);
        let local = behind.map(|l| Local::new(l.3, path, matches!(l.2.as_str(), "HTTPS" | "SSL")));
        let all = health.iter().filter(|i| i.id.starts_with("i-"));
        let all = all.map(|i| (i.state.as_str() == "InService", &i.id)).collect();
        let ask = |id: &&SafeText| Some(HostAsk { id: (*id).clone(), local: local.clone() });
        self.by_command(some(all, &BY_COMMAND, ask, |a, b| a.id == b.id));
    }

    fn by_command(&mut self, asks: Vec<HostAsk>) {
        if !asks.is_empty() {
            self.0.push((Ask::Hosts, Work::Hosts(asks)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::ecs::TaskDefinition;
    use crate::situation::elb::{HealthCheck, TargetHealth};
    use crate::situation::front::InstanceHealth;
    use crate::situation::{Fact, Observation, Topic};

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
        let holders = Holders::of(&s);
        let of = |t: &str| holders.instance(&t.into()).map(|i| i.to_string());
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
    fn of_many_some_are_asked_the_ill_first_and_each_once() {
        let all = |ill: usize, well: usize| {
            let well = (0..well).rev().map(|n| (true, n));
            (100..100 + ill).rev().map(|n| (false, n)).chain(well).collect::<Vec<_>>()
        };
        // Two targets of one instance each; some lead to none.
        let ask = |n: &usize| (!n.is_multiple_of(10)).then_some(n / 2);
        let of = |ill, well| some(all(ill, well), &BY_COMMAND, ask, |a, b| a == b);
        assert_eq!(of(30, 30), [0, 1, 50, 51, 52, 53, 54]);
        assert_eq!(of(0, 30), [0, 1, 2, 3, 4]);
        assert_eq!(of(1, 2), [0], "an ill one that leads nowhere is as if it were not there");
        assert!(of(0, 0).is_empty());
    }
}
