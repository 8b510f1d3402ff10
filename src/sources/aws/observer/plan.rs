//! What to ask, from what is known. A question is planned as soon as the
//! thing it is about is known, so waves need no bookkeeping: whatever an
//! answer makes possible is asked next, all of it at once.

use super::fronts::{Front, FrontPlace};
use crate::situation::elb::{LoadBalancer, TargetGroup};
use crate::situation::net::{Destination, Peer};
use crate::situation::{Situation, Topic, short};
use crate::sources::aws::ask::access::Place;
use crate::sources::aws::ask::ecs::ServiceId;
use crate::sources::aws::ask::hosts::HostAsk;
use crate::sources::aws::logs::Clues;
use crate::sources::aws::metrics::Hosts;
use crate::sources::host::Container;
use crate::sources::{Options, Want};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Prefix lists that are read at most.
const PREFIX_LISTS: usize = 40;
/// Task definitions that are read at most.
const TASK_DEFINITIONS: usize = 20;

/// Names a question; its last answer is kept under this name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    Topic(Topic),
    /// Which ECS services there are.
    EcsListing,
    /// Which of them fill our groups; answers `EcsServices` of every group.
    EcsServices,
    /// What Route 53 holds for the names in front; answers `Records` of each.
    Records,
    /// What instances say of themselves; answers `Host` of each.
    Hosts,
    /// The same of containers.
    Inside,
    /// The newest lines of the followed logs, where nothing is followed live.
    Recent,
}

impl Ask {
    /// The kind it belongs to; `None` for the caller's identity.
    pub fn want(&self) -> Option<Want> {
        match self {
            Ask::Topic(topic) => Want::of(topic),
            Ask::EcsListing | Ask::EcsServices => Some(Want::Ecs),
            Ask::Records => Some(Want::Config),
            Ask::Recent => Some(Want::Logs),
            Ask::Hosts | Ask::Inside => Some(Want::Around),
        }
    }
}

/// A question with what is needed to ask it. When this changes, an answer to
/// the old one is out of date.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Identity,
    LoadBalancer(SafeText),
    LbAttributes(SafeText),
    Listeners(SafeText),
    Rules(SafeText),
    TargetGroups(SafeText),
    TgAttributes(SafeText),
    Tags {
        lb: SafeText,
        arns: Vec<SafeText>,
    },
    TargetHealth(SafeText),
    LbInterfaces {
        lb: SafeText,
        dimension: String,
    },
    Subnets(SafeText),
    SecurityGroups(SafeText),
    NetworkAcls(SafeText),
    RouteTables(SafeText),
    Instances(SafeText),
    Interfaces {
        vpc: SafeText,
        addresses: Vec<SafeText>,
    },
    PrefixList(SafeText),
    EcsListing,
    EcsServices {
        groups: Vec<SafeText>,
    },
    EcsTasks(ServiceId),
    TaskDefinition(SafeText),
    Metrics {
        lb: Box<LoadBalancer>,
        groups: Vec<TargetGroup>,
    },
    HostMetrics {
        lb: SafeText,
        hosts: Hosts,
    },
    Changes {
        lb: SafeText,
        onset: Option<Timestamp>,
        resources: Vec<SafeText>,
    },
    AccessLog {
        lb: SafeText,
        place: Place,
        onset: Option<Timestamp>,
    },
    ListenerCertificates(SafeText),
    ListenerAttributes(SafeText),
    Certificate(SafeText),
    InstanceStatus {
        vpc: SafeText,
        instances: Vec<SafeText>,
    },
    Scaling {
        lb: SafeText,
        groups: Vec<SafeText>,
        instances: Vec<SafeText>,
    },
    Databases(SafeText),
    Function(SafeText),
    Distribution(SafeText),
    Api {
        id: SafeText,
        stage: SafeText,
    },
    Classic(SafeText),
    InstanceHealth(SafeText),
    Records(Vec<SafeText>),
    FrontMetrics {
        id: SafeText,
        asks: Vec<crate::sources::aws::metrics::Ask>,
        global: bool,
    },
    FrontLog {
        place: FrontPlace,
        onset: Option<Timestamp>,
    },
    FrontChanges {
        id: SafeText,
        onset: Option<Timestamp>,
        resources: Vec<SafeText>,
    },
    HealthCheck(SafeText),
    /// What it protects, and the web ACL's own ARN where that is known.
    WebAcl {
        of: SafeText,
        acl: SafeText,
    },
    Releases {
        of: SafeText,
        onset: Option<Timestamp>,
    },
    /// With the security groups that let our targets in.
    Caches {
        vpc: SafeText,
        groups: Vec<SafeText>,
    },
    /// Failing traces of the account and region since the onset.
    Traces {
        of: SafeText,
        onset: Option<Timestamp>,
    },
    LogGroups(Clues),
    Recent {
        groups: Vec<SafeText>,
        since: Timestamp,
    },
    Hosts(Vec<HostAsk>),
    Inside(Vec<Container>),
}

/// What the view is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Focus {
    pub lb: Option<SafeText>,
    /// What stands in front of it, or alone.
    pub front: Front,
    /// Only this target group.
    pub target_group: Option<SafeText>,
    /// The ECS services may be matched now: they were listed, or cannot be.
    pub ecs_listed: bool,
    /// What names log groups was answered, or has had its time.
    pub clues: bool,
}

/// The plan, most urgent first.
pub fn plan(s: &Situation, focus: &Focus, options: &Options) -> Vec<(Ask, Work)> {
    let mut plan = Plan(vec![(Ask::Topic(Topic::Identity), Work::Identity)]);
    if let Some(tg) = &focus.target_group {
        plan.add(Topic::TargetHealth(tg.clone()), Work::TargetHealth(tg.clone()));
        plan.add(Topic::TgAttributes(tg.clone()), Work::TgAttributes(tg.clone()));
    }
    // Listing what ECS has needs nothing, so it goes along with the search.
    plan.0.push((Ask::EcsListing, Work::EcsListing));
    plan.fronts(s, &focus.front, options.ssm);
    if let Some(lb) = &focus.lb {
        plan.load_balancer(s, lb, focus, options.ssm);
    }
    plan.traces(s);
    if (focus.lb.is_some() || focus.front.any()) && focus.clues {
        plan.add(Topic::LogGroups, Work::LogGroups(Clues::gather(s, options)));
    }
    plan.0
}

/// Does an answer to this help to name log groups?
pub fn is_clue(ask: &Ask) -> bool {
    match ask {
        Ask::EcsListing | Ask::EcsServices => true,
        Ask::Topic(topic) => matches!(
            topic,
            Topic::LoadBalancer(_)
                | Topic::TargetGroups(_)
                | Topic::Tags(_)
                | Topic::Instances(_)
                | Topic::TaskDefinition(_)
                | Topic::Api(_)
                | Topic::Function(_)
        ),
        Ask::Recent | Ask::Records | Ask::Hosts | Ask::Inside => false,
    }
}

/// As much of a load balancer as its ARN tells.
fn from_arn(arn: &SafeText) -> LoadBalancer {
    let dimension = arn.split_once(":loadbalancer/").map_or("", |(_, d)| d);
    let kind = match dimension.split('/').next() {
        Some("app") => "application",
        Some("net") => "network",
        Some("gwy") => "gateway",
        _ => "",
    };
    LoadBalancer { arn: arn.clone(), name: short(arn).into(), kind: kind.into(), ..LoadBalancer::default() }
}

pub(super) struct Plan(pub(super) Vec<(Ask, Work)>);

impl Plan {
    pub(super) fn add(&mut self, topic: Topic, work: Work) {
        let ask = Ask::Topic(topic);
        if !self.0.iter().any(|(a, _)| *a == ask) {
            self.0.push((ask, work));
        }
    }

    fn load_balancer(&mut self, s: &Situation, arn: &SafeText, focus: &Focus, ssm: bool) {
        let state = s.lbs.get(arn);
        let lb = state.and_then(|l| l.lb.value());
        let known = state.and_then(|l| l.groups.value());
        let all: Vec<&TargetGroup> = known
            .into_iter()
            .flatten()
            .filter_map(|g| s.groups.get(g).and_then(|state| state.group.as_ref()))
            .collect();
        let only = focus.target_group.as_ref();
        let groups: Vec<&TargetGroup> =
            all.iter().copied().filter(|g| only.is_none_or(|o| *o == g.arn)).collect();
        for g in &groups {
            self.add(Topic::TargetHealth(g.arn.clone()), Work::TargetHealth(g.arn.clone()));
        }
        self.add(Topic::LoadBalancer(arn.clone()), Work::LoadBalancer(arn.clone()));
        self.add(Topic::TargetGroups(arn.clone()), Work::TargetGroups(arn.clone()));
        self.add(Topic::Listeners(arn.clone()), Work::Listeners(arn.clone()));
        self.add(Topic::LbAttributes(arn.clone()), Work::LbAttributes(arn.clone()));
        if let Some((_, dimension)) = arn.split_once(":loadbalancer/") {
            let work = Work::LbInterfaces { lb: arn.clone(), dimension: dimension.to_string() };
            self.add(Topic::LbInterfaces(arn.clone()), work);
        }
        self.network(s, lb, &groups);
        if arn.contains(":loadbalancer/app/") {
            self.firewall(s, arn, &SafeText::default());
        }
        for listener in state.and_then(|l| l.listeners.value()).into_iter().flatten() {
            if matches!(listener.protocol.as_str(), "TCP" | "TCP_UDP" | "TLS") {
                // These have no rules, and a timer of their own.
                let arn = listener.arn.clone();
                self.add(Topic::ListenerAttributes(arn.clone()), Work::ListenerAttributes(arn));
            }
            self.add(Topic::Rules(listener.arn.clone()), Work::Rules(listener.arn.clone()));
        }
        for g in &groups {
            self.add(Topic::TgAttributes(g.arn.clone()), Work::TgAttributes(g.arn.clone()));
        }
        // One question for all tags: it waits until the groups are known, or will not be.
        if known.is_some() || state.is_some_and(|l| l.groups.gap().is_some()) {
            let mut arns = vec![arn.clone()];
            arns.extend(groups.iter().map(|g| g.arn.clone()));
            self.add(Topic::Tags(arn.clone()), Work::Tags { lb: arn.clone(), arns });
            // The same for metrics; where the load balancer may not be
            // described, its ARN says enough.
            if lb.is_some() || state.is_some_and(|l| l.lb.gap().is_some()) {
                let lb = Box::new(lb.cloned().unwrap_or_else(|| from_arn(arn)));
                let groups = groups.iter().map(|g| (*g).clone()).collect();
                self.add(Topic::Metrics(arn.clone()), Work::Metrics { lb, groups });
            }
        }
        self.prefix_lists(s);
        self.ecs(s, &groups, focus);
        self.around(s, arn, &groups);
        if ssm {
            self.hosts(s, arn, &groups);
        }
    }

    fn network(&mut self, s: &Situation, lb: Option<&LoadBalancer>, groups: &[&TargetGroup]) {
        let mut vpcs: BTreeSet<&SafeText> = lb.iter().map(|l| &l.vpc).collect();
        vpcs.extend(groups.iter().map(|g| &g.vpc));
        for g in groups.iter().filter(|g| g.target_type.as_str() == "ip") {
            let addresses = addresses(s, g);
            // Addresses are often shared by VPCs that know nothing of each
            // other; only the holder that is peered with ours can be meant.
            let peered = peered(s, &g.vpc);
            let held = s.vpcs.get(&g.vpc).and_then(|v| v.interfaces.value()).into_iter().flatten();
            let ours = held.filter(|i| i.addresses.iter().any(|a| addresses.contains(&a.to_string())));
            vpcs.extend(ours.map(|i| &i.vpc).filter(|v| **v == g.vpc || peered.contains(v.as_str())));
        }
        for vpc in vpcs.into_iter().filter(|v| !v.is_empty()) {
            self.add(Topic::Subnets(vpc.clone()), Work::Subnets(vpc.clone()));
            self.add(Topic::SecurityGroups(vpc.clone()), Work::SecurityGroups(vpc.clone()));
            self.add(Topic::NetworkAcls(vpc.clone()), Work::NetworkAcls(vpc.clone()));
            self.add(Topic::RouteTables(vpc.clone()), Work::RouteTables(vpc.clone()));
            let theirs = || groups.iter().filter(|g| g.vpc == *vpc);
            // Asked for before the health says which: it saves a round trip.
            if theirs().any(|g| g.target_type.as_str() == "instance") {
                self.add(Topic::Instances(vpc.clone()), Work::Instances(vpc.clone()));
            }
            let ip = theirs().filter(|g| g.target_type.as_str() == "ip");
            let wanted: BTreeSet<String> = ip.flat_map(|g| addresses(s, g)).collect();
            if !wanted.is_empty() {
                let addresses = wanted.into_iter().map(SafeText::from).collect();
                self.add(Topic::Interfaces(vpc.clone()), Work::Interfaces { vpc: vpc.clone(), addresses });
            }
        }
    }

    fn prefix_lists(&mut self, s: &Situation) {
        let mut met: BTreeSet<&SafeText> = BTreeSet::new();
        for vpc in s.vpcs.values() {
            for g in vpc.security_groups.value().into_iter().flatten() {
                met.extend(g.ingress.iter().chain(&g.egress).filter_map(|r| match &r.peer {
                    Peer::PrefixList(id) => Some(id),
                    _ => None,
                }));
            }
            for table in vpc.route_tables.value().into_iter().flatten() {
                met.extend(table.routes.iter().filter_map(|r| match &r.destination {
                    Destination::PrefixList(id) => Some(id),
                    _ => None,
                }));
            }
        }
        for id in met.into_iter().take(PREFIX_LISTS) {
            self.add(Topic::PrefixList(id.clone()), Work::PrefixList(id.clone()));
        }
    }

    fn ecs(&mut self, s: &Situation, groups: &[&TargetGroup], focus: &Focus) {
        let ours: Vec<SafeText> = groups
            .iter()
            .filter(|g| matches!(g.target_type.as_str(), "instance" | "ip"))
            .map(|g| g.arn.clone())
            .collect();
        if focus.ecs_listed && !ours.is_empty() {
            self.0.push((Ask::EcsServices, Work::EcsServices { groups: ours.clone() }));
        }
        let mut definitions: BTreeSet<&SafeText> = BTreeSet::new();
        let services =
            ours.iter().filter_map(|g| s.groups.get(g)).filter_map(|g| g.services.value()).flatten();
        for service in services {
            let id = ServiceId { cluster: service.cluster.to_string(), arn: service.arn.to_string() };
            self.add(Topic::EcsTasks(service.arn.clone()), Work::EcsTasks(id));
            definitions.insert(&service.task_definition);
            definitions.extend(service.deployments.iter().map(|d| &d.task_definition));
        }
        for arn in definitions.into_iter().filter(|a| !a.is_empty()).take(TASK_DEFINITIONS) {
            self.add(Topic::TaskDefinition(arn.clone()), Work::TaskDefinition(arn.clone()));
        }
    }
}

/// Addresses registered in a group, as far as its health is known.
fn addresses(s: &Situation, g: &TargetGroup) -> BTreeSet<String> {
    let health = s.groups.get(&g.arn).and_then(|state| state.health.value()).into_iter().flatten();
    health.map(|t| t.id.to_string()).filter(|id| id.parse::<std::net::IpAddr>().is_ok()).collect()
}

/// VPCs that hold groups which rules of this VPC refer to by peering.
fn peered<'a>(s: &'a Situation, vpc: &SafeText) -> BTreeSet<&'a str> {
    let groups = s.vpcs.get(vpc).and_then(|v| v.security_groups.value()).into_iter().flatten();
    groups.map(|g| g.vpc.as_str()).filter(|v| *v != vpc.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::ecs::{Deployment, Service};
    use crate::situation::elb::{Listener, TargetHealth};
    use crate::situation::net::{Interface, Protocol, SecurityGroup, SgRule};
    use crate::situation::{Fact, Observation, Reason};

    const LB: &str = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/50dc";
    const TG: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/web/73e2";

    fn learn(s: &mut Situation, topic: Topic, fact: Fact) {
        let at = "2026-11-22T02:00:00Z".parse().unwrap();
        s.apply(&Observation { at, source: "test".into(), topic, fact, took_ms: 0 });
    }

    fn names(s: &Situation, focus: &Focus) -> Vec<String> {
        let shown = |a: &Ask| match a {
            Ask::Topic(t) => t.name().to_string(),
            other => format!("{other:?}"),
        };
        plan(s, focus, &Options::default()).iter().map(|(a, _)| shown(a)).collect()
    }

    fn group(target_type: &str) -> TargetGroup {
        TargetGroup {
            arn: TG.into(),
            vpc: "vpc-1".into(),
            target_type: target_type.into(),
            ..TargetGroup::default()
        }
    }

    fn focus() -> Focus {
        Focus { lb: Some(LB.into()), ..Focus::default() }
    }

    #[test]
    fn each_wave_asks_all_that_the_last_made_possible() {
        let mut s = Situation::new();
        assert_eq!(names(&s, &Focus::default()), ["caller identity", "EcsListing"]);
        let first = names(&s, &focus());
        for asked in [
            "load balancer",
            "target groups",
            "listeners",
            "load balancer attributes",
            "load balancer interfaces",
        ] {
            assert!(first.iter().any(|n| n == asked), "{asked} hangs on the ARN alone: {first:?}");
        }
        assert!(!first.iter().any(|n| n == "tags"), "one question for all tags");
        let lb = LoadBalancer { arn: LB.into(), vpc: "vpc-1".into(), ..LoadBalancer::default() };
        learn(&mut s, Topic::LoadBalancer(LB.into()), Fact::LoadBalancer(lb));
        learn(&mut s, Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![group("instance")]));
        learn(
            &mut s,
            Topic::Listeners(LB.into()),
            Fact::Listeners(vec![Listener { arn: "l".into(), ..Listener::default() }]),
        );
        let second = names(&s, &focus());
        for asked in [
            "target health",
            "target group attributes",
            "listener rules",
            "tags",
            "subnets",
            "security groups",
            "network ACLs",
            "route tables",
            "instances",
        ] {
            assert!(second.iter().any(|n| n == asked), "{asked}: {second:?}");
        }
        assert_eq!(second[2], "target health", "health comes first");
        assert!(!second.iter().any(|n| n == "network interfaces"), "no ip targets, nothing to look up");
        assert!(!second.iter().any(|n| n == "log groups"), "not before all that may name them was asked");
        let ready = Focus { clues: true, ..focus() };
        assert!(names(&s, &ready).iter().any(|n| n == "log groups"));
    }

    #[test]
    fn addresses_are_looked_up_once_health_names_them() {
        let mut s = Situation::new();
        learn(&mut s, Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![group("ip")]));
        assert!(!names(&s, &focus()).iter().any(|n| n == "network interfaces" || n == "instances"));
        let target = |id: &str| TargetHealth { id: id.into(), ..TargetHealth::default() };
        learn(
            &mut s,
            Topic::TargetHealth(TG.into()),
            Fact::TargetHealth(vec![target("10.0.1.9"), target("10.9.0.3")]),
        );
        let work = plan(&s, &focus(), &Options::default());
        let found = work.iter().find_map(|(_, w)| match w {
            Work::Interfaces { vpc, addresses } => Some((vpc.as_str(), addresses.len())),
            _ => None,
        });
        assert_eq!(found, Some(("vpc-1", 2)));
        // A holder in another VPC brings that VPC in only where it is peered with ours.
        let holder = Interface {
            vpc: "vpc-9".into(),
            addresses: vec!["10.9.0.3".parse().unwrap()],
            ..Interface::default()
        };
        learn(&mut s, Topic::Interfaces("vpc-1".into()), Fact::Interfaces(vec![holder]));
        let subnets = |s: &Situation| names(s, &focus()).iter().filter(|n| *n == "subnets").count();
        assert_eq!(subnets(&s), 1);
        let peer = SecurityGroup { id: "sg-9".into(), vpc: "vpc-9".into(), ..SecurityGroup::default() };
        learn(&mut s, Topic::SecurityGroups("vpc-1".into()), Fact::SecurityGroups(vec![peer]));
        assert_eq!(subnets(&s), 2);
    }

    #[test]
    fn one_group_in_view_means_no_question_about_the_others() {
        let mut s = Situation::new();
        let other = TargetGroup { arn: "other".into(), ..group("instance") };
        learn(&mut s, Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![group("instance"), other]));
        let only = Focus { target_group: Some(TG.into()), ..focus() };
        assert_eq!(names(&s, &only).iter().filter(|n| *n == "target health").count(), 1);
        let alone = Focus { lb: None, ..only };
        assert!(
            names(&s, &alone).contains(&"target health".to_string()),
            "before its load balancer is known"
        );
    }

    #[test]
    fn a_failure_holds_nothing_up_that_does_not_need_the_answer() {
        let mut s = Situation::new();
        let denied = || Fact::Unknown(Reason::Denied { action: "x:Y".into() });
        learn(&mut s, Topic::TargetGroups(LB.into()), denied());
        learn(&mut s, Topic::LoadBalancer(LB.into()), denied());
        let asked = names(&s, &focus());
        assert!(asked.contains(&"tags".to_string()), "those of the load balancer at least");
        assert!(asked.contains(&"load balancer".to_string()), "and it is asked again");
        let work = plan(&s, &focus(), &Options::default());
        let metrics =
            work.iter().find_map(|(_, w)| if let Work::Metrics { lb, .. } = w { Some(lb) } else { None });
        let lb = metrics.expect("metrics need no more than the ARN");
        assert_eq!(
            (lb.kind.as_str(), lb.name.as_str(), lb.dimension()),
            ("application", "shop", "app/shop/50dc")
        );
    }

    #[test]
    fn prefix_lists_and_ecs_follow_from_what_names_them() {
        let mut s = Situation::new();
        learn(&mut s, Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![group("ip")]));
        let rule = SgRule {
            protocol: Protocol::Tcp,
            from_port: None,
            to_port: None,
            peer: Peer::PrefixList("pl-1".into()),
            description: SafeText::default(),
        };
        let sg = SecurityGroup { ingress: vec![rule.clone(), rule], ..SecurityGroup::default() };
        learn(&mut s, Topic::SecurityGroups("vpc-1".into()), Fact::SecurityGroups(vec![sg]));
        assert!(!names(&s, &focus()).contains(&"EcsServices".to_string()), "not before they are listed");
        let focus = Focus { ecs_listed: true, ..focus() };
        assert_eq!(names(&s, &focus).iter().filter(|n| *n == "prefix list").count(), 1);
        assert!(names(&s, &focus).contains(&"EcsServices".to_string()));
        let service = Service {
            arn: "svc".into(),
            cluster: "c".into(),
            task_definition: "web:2".into(),
            deployments: vec![
                Deployment { task_definition: "web:2".into(), ..Deployment::default() },
                Deployment { task_definition: "web:1".into(), ..Deployment::default() },
            ],
            ..Service::default()
        };
        learn(&mut s, Topic::EcsServices(TG.into()), Fact::EcsServices(vec![service]));
        let asked = names(&s, &focus);
        assert_eq!(asked.iter().filter(|n| *n == "task definition").count(), 2);
        assert_eq!(asked.iter().filter(|n| *n == "ECS tasks").count(), 1);
    }
}
