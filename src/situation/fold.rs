//! Observations in, situation out. Folding is incremental and never forgets a
//! value because a later question failed.

use super::access::AccessLog;
use super::around::{Certificate, Changes, Database, Function, InstanceStatus, ScalingGroup};
use super::beside::Beside;
use super::datum::{Datum, Gap, Known, Reason};
use super::ecs::{Service, Task, TaskDefinition};
use super::elb::{Attributes, Listener, LoadBalancer, Rule, TargetGroup, TargetHealth, TargetKey};
use super::front::Fronts;
use super::host::Host;
use super::log::{LogGroup, LogRing, Tail};
use super::metric::{MetricKey, Series};
use super::net::{Instance, Interface, NetworkAcl, PrefixList, RouteTable, SecurityGroup, Subnet};
use super::observation::{Fact, Identity, Observation, ResolvedTarget, Searched, Topic};
use super::probe::{Kept, Probe};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Everything known about one load balancer.
#[derive(Clone, Debug, Default)]
pub struct LbState {
    pub lb: Datum<LoadBalancer>,
    pub attributes: Datum<Attributes>,
    pub listeners: Datum<Vec<Listener>>,
    /// Rules by listener ARN.
    pub rules: BTreeMap<SafeText, Datum<Vec<Rule>>>,
    /// ARNs of its target groups; the groups themselves are in `Situation::groups`.
    pub groups: Datum<Vec<SafeText>>,
    pub interfaces: Datum<Vec<Interface>>,
    /// When metrics were last fetched, or why not. Values are in `Situation::metrics`.
    pub metrics: Datum<()>,
    pub tags: Datum<()>,
    /// When metrics of what stands behind it were last fetched, or why not.
    pub host_metrics: Datum<()>,
    pub changes: Datum<Changes>,
    pub access_log: Datum<Box<AccessLog>>,
    /// Certificates by listener ARN.
    pub certificates: BTreeMap<SafeText, Datum<Vec<SafeText>>>,
    pub scaling: Datum<Vec<ScalingGroup>>,
    /// By listener ARN.
    pub listener_attributes: BTreeMap<SafeText, Datum<Attributes>>,
}

/// Everything known about one target group.
#[derive(Clone, Debug, Default)]
pub struct GroupState {
    pub group: Option<TargetGroup>,
    /// When `group` was true. A group may be listed under several load balancers.
    pub group_as_of: Option<Timestamp>,
    pub attributes: Datum<Attributes>,
    pub health: Datum<Vec<TargetHealth>>,
    /// History of each target, by key; targets that left stay with `gone`.
    pub tracks: BTreeMap<TargetKey, TargetTrack>,
    pub services: Datum<Vec<Service>>,
}

/// What became of one target over time.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetTrack {
    pub state: SafeText,
    pub reason: SafeText,
    /// First observation of the present state and reason. When `since_exact`
    /// is false it was already so when we first looked.
    pub since: Timestamp,
    pub since_exact: bool,
    /// The state and reason before, if a change was seen.
    pub before: Option<(SafeText, SafeText)>,
    /// When it was last listed.
    pub last_seen: Timestamp,
    /// No longer listed since `since`.
    pub gone: bool,
}

/// Everything known about one VPC.
#[derive(Clone, Debug, Default)]
pub struct VpcState {
    pub subnets: Datum<Vec<Subnet>>,
    pub security_groups: Datum<Vec<SecurityGroup>>,
    pub network_acls: Datum<Vec<NetworkAcl>>,
    pub route_tables: Datum<Vec<RouteTable>>,
    pub instances: Datum<Vec<Instance>>,
    pub interfaces: Datum<Vec<Interface>>,
    pub status: Datum<Vec<InstanceStatus>>,
    pub databases: Datum<Vec<Database>>,
}

/// Something that changed with this observation, for the timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A target changed state. `from` is `None` for a target first seen after the first look.
    Health {
        group: SafeText,
        target: TargetKey,
        from: Option<(SafeText, SafeText)>,
        to: (SafeText, SafeText),
        at: Timestamp,
    },
    /// A target is no longer listed.
    TargetGone { group: SafeText, target: TargetKey, at: Timestamp },
    /// A configuration datum differs from the one held before.
    Config { topic: Topic, at: Timestamp },
    /// A topic that was answered before can no longer be asked.
    Lost { topic: Topic, reason: Reason, at: Timestamp },
    /// A topic that failed answers again.
    Found { topic: Topic, at: Timestamp },
}

/// The fold of all observations up to a moment.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// The newest observation's time: the situation's own "now".
    pub at: Option<Timestamp>,
    pub identity: Datum<Identity>,
    pub target: Datum<ResolvedTarget>,
    pub lbs: BTreeMap<SafeText, LbState>,
    pub groups: BTreeMap<SafeText, GroupState>,
    pub vpcs: BTreeMap<SafeText, VpcState>,
    pub prefix_lists: BTreeMap<SafeText, Datum<PrefixList>>,
    pub tags: BTreeMap<SafeText, Attributes>,
    pub metrics: BTreeMap<MetricKey, Series>,
    /// Tasks by service ARN.
    pub tasks: BTreeMap<SafeText, Datum<Vec<Task>>>,
    pub task_definitions: BTreeMap<SafeText, Datum<TaskDefinition>>,
    /// By ARN.
    pub certificates: BTreeMap<SafeText, Datum<Certificate>>,
    /// By ARN.
    pub functions: BTreeMap<SafeText, Datum<Function>>,
    /// The newest probe of each URL.
    pub probes: BTreeMap<SafeText, Datum<Box<Probe>>>,
    /// What was measured of idle connections, by address and port. A later
    /// probe that does not measure leaves it as it is.
    pub kept: BTreeMap<SafeText, Datum<Kept>>,
    /// The newest look at each host, by how it was asked for.
    pub hosts: BTreeMap<SafeText, Datum<Box<Host>>>,
    /// Distributions, APIs, Classic Load Balancers, records.
    pub fronts: Fronts,
    /// Health checks of names, web ACLs, deployments, caches.
    pub beside: Beside,
    /// Places searched for the target, by name; empty where one was searched.
    pub places: BTreeMap<SafeText, Datum<Searched>>,
    pub log_groups: Datum<Vec<LogGroup>>,
    /// State of each followed log, by group name.
    pub tails: BTreeMap<SafeText, Datum<Tail>>,
    pub logs: LogRing,
    /// Every topic whose newest attempt failed.
    pub gaps: BTreeMap<Topic, Gap>,
}

impl Situation {
    /// An empty situation: everything is "not asked yet".
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one observation in; says what changed by it.
    pub fn apply(&mut self, o: &Observation) -> Vec<Change> {
        self.at = self.at.max(Some(o.at));
        let mut changes = Vec::new();
        if let Fact::Unknown(reason) = &o.fact {
            self.fail(&o.topic, reason, o.at, &mut changes);
            return changes;
        }
        let Some(differs) = self.take(o, &mut changes) else { return changes };
        if self.gaps.get(&o.topic).is_some_and(|g| g.at <= o.at) {
            self.gaps.remove(&o.topic);
            changes.insert(0, Change::Found { topic: o.topic.clone(), at: o.at });
        }
        if differs {
            changes.push(Change::Config { topic: o.topic.clone(), at: o.at });
        }
        changes
    }

    /// The newest probe of the target's own name; of any, when the target is
    /// no name.
    pub fn probe(&self) -> Option<&Known<Box<Probe>>> {
        let host = self.target.value().map(|t| t.host.as_str()).filter(|h| !h.is_empty());
        self.probes
            .values()
            .filter_map(Datum::get)
            .filter(|k| match host {
                Some(h) => k.value.host.eq_ignore_ascii_case(h),
                // What was sent straight to an address went to a target, not to the front.
                None => k.value.host.parse::<std::net::IpAddr>().is_err(),
            })
            .max_by_key(|k| k.as_of)
    }

    /// Stores a fact; true when it replaced a different configuration value,
    /// `None` when it does not belong under its topic.
    fn take(&mut self, o: &Observation, changes: &mut Vec<Change>) -> Option<bool> {
        let (at, src) = (o.at, &o.source);
        Some(match (&o.topic, &o.fact) {
            (Topic::Identity, Fact::Identity(v)) => {
                set(&mut self.identity, v, at, src);
                false
            }
            (Topic::Target, Fact::Target(v)) => {
                set(&mut self.target, v, at, src);
                false
            }
            (Topic::LoadBalancer(arn), Fact::LoadBalancer(v)) => set(&mut self.lb_mut(arn).lb, v, at, src),
            (Topic::LbAttributes(arn), Fact::Attributes(v)) => {
                set(&mut self.lb_mut(arn).attributes, v, at, src)
            }
            (Topic::Listeners(arn), Fact::Listeners(v)) => set(&mut self.lb_mut(arn).listeners, v, at, src),
            (Topic::Rules(listener), Fact::Rules(v)) => {
                let lb = self.lb_of_listener(listener);
                set(self.lb_mut(&lb).rules.entry(listener.clone()).or_default(), v, at, src)
            }
            (Topic::TargetGroups(lb), Fact::TargetGroups(v)) => self.take_groups(lb, v, at, src),
            (Topic::TgAttributes(tg), Fact::Attributes(v)) => {
                set(&mut self.groups.entry(tg.clone()).or_default().attributes, v, at, src)
            }
            (Topic::Tags(lb), Fact::Tags(v)) => {
                if self.lb_mut(lb).tags.learn((), at, src.clone()) {
                    for (arn, tags) in v {
                        self.tags.insert(arn.clone(), tags.clone());
                    }
                }
                false
            }
            (Topic::TargetHealth(tg), Fact::TargetHealth(v)) => {
                self.take_health(tg, v, at, src, changes);
                false
            }
            (Topic::LbInterfaces(lb), Fact::Interfaces(v)) => {
                set(&mut self.lb_mut(lb).interfaces, v, at, src)
            }
            (Topic::Subnets(vpc), Fact::Subnets(v)) => set(&mut self.vpc_mut(vpc).subnets, v, at, src),
            (Topic::SecurityGroups(vpc), Fact::SecurityGroups(v)) => {
                set(&mut self.vpc_mut(vpc).security_groups, v, at, src)
            }
            (Topic::NetworkAcls(vpc), Fact::NetworkAcls(v)) => {
                set(&mut self.vpc_mut(vpc).network_acls, v, at, src)
            }
            (Topic::RouteTables(vpc), Fact::RouteTables(v)) => {
                set(&mut self.vpc_mut(vpc).route_tables, v, at, src)
            }
            (Topic::Instances(vpc), Fact::Instances(v)) => set(&mut self.vpc_mut(vpc).instances, v, at, src),
            (Topic::Interfaces(vpc), Fact::Interfaces(v)) => {
                set(&mut self.vpc_mut(vpc).interfaces, v, at, src)
            }
            (Topic::PrefixList(id), Fact::PrefixList(v)) => {
                set(self.prefix_lists.entry(id.clone()).or_default(), v, at, src)
            }
            (Topic::Metrics(lb), Fact::Metrics(v)) => {
                let newest = self.lb_mut(lb).metrics.learn((), at, src.clone());
                self.take_metrics(v, newest);
                false
            }
            (Topic::EcsServices(tg), Fact::EcsServices(v)) => {
                set(&mut self.groups.entry(tg.clone()).or_default().services, v, at, src);
                false
            }
            (Topic::EcsTasks(service), Fact::EcsTasks(v)) => {
                set(self.tasks.entry(service.clone()).or_default(), v, at, src);
                false
            }
            (Topic::TaskDefinition(arn), Fact::TaskDefinition(v)) => {
                set(self.task_definitions.entry(arn.clone()).or_default(), v, at, src)
            }
            (Topic::FrontMetrics(id), Fact::Metrics(v)) => {
                let newest = self.fronts.metrics.entry(id.clone()).or_default().learn((), at, src.clone());
                self.take_metrics(v, newest);
                false
            }
            (Topic::HostMetrics(lb), Fact::Metrics(v)) => {
                let newest = self.lb_mut(lb).host_metrics.learn((), at, src.clone());
                self.take_metrics(v, newest);
                false
            }
            (Topic::Changes(lb), Fact::Changes(v)) => {
                set(&mut self.lb_mut(lb).changes, v, at, src);
                false
            }
            (Topic::AccessLog(lb), Fact::AccessLog(v)) => {
                set(&mut self.lb_mut(lb).access_log, v, at, src);
                false
            }
            (Topic::ListenerCertificates(listener), Fact::CertificateArns(v)) => {
                let lb = self.lb_of_listener(listener);
                set(self.lb_mut(&lb).certificates.entry(listener.clone()).or_default(), v, at, src)
            }
            (Topic::ListenerAttributes(listener), Fact::Attributes(v)) => {
                let lb = self.lb_of_listener(listener);
                set(self.lb_mut(&lb).listener_attributes.entry(listener.clone()).or_default(), v, at, src)
            }
            (Topic::Certificate(arn), Fact::Certificate(v)) => {
                set(self.certificates.entry(arn.clone()).or_default(), v, at, src)
            }
            (Topic::InstanceStatus(vpc), Fact::InstanceStatus(v)) => {
                set(&mut self.vpc_mut(vpc).status, v, at, src)
            }
            (Topic::Scaling(lb), Fact::Scaling(v)) => {
                set(&mut self.lb_mut(lb).scaling, v, at, src);
                false
            }
            (Topic::Databases(vpc), Fact::Databases(v)) => set(&mut self.vpc_mut(vpc).databases, v, at, src),
            (Topic::Function(arn), Fact::Function(v)) => {
                set(self.functions.entry(arn.clone()).or_default(), v, at, src)
            }
            (Topic::Probe(url), Fact::Probe(v)) => {
                if let Some(kept) = v.kept() {
                    set(self.kept.entry(kept.address.clone()).or_default(), &kept, at, src);
                }
                set(self.probes.entry(url.clone()).or_default(), v, at, src);
                false
            }
            (Topic::Host(name), Fact::Host(v)) => {
                set(self.hosts.entry(name.clone()).or_default(), v, at, src);
                false
            }
            (Topic::Place(name), Fact::Place(v)) => {
                set(self.places.entry(name.clone()).or_default(), v, at, src);
                false
            }
            (Topic::LogGroups, Fact::LogGroups(v)) => {
                set(&mut self.log_groups, v, at, src);
                false
            }
            (Topic::Tail(group), Fact::Tail(v)) => {
                set(self.tails.entry(group.clone()).or_default(), v, at, src);
                false
            }
            (Topic::Tail(_), Fact::LogLines(lines)) => {
                for line in lines {
                    self.logs.push(line.clone());
                }
                false
            }
            // A fact under a topic it does not belong to can only come from a
            // damaged or newer journal; it is kept there and shown nowhere.
            (topic, fact) => {
                let told = self.fronts.take(topic, fact, at, src);
                return told.or_else(|| self.beside.take(topic, fact, at, src));
            }
        })
    }

    fn take_groups(&mut self, lb: &SafeText, v: &[TargetGroup], at: Timestamp, src: &SafeText) -> bool {
        let mut differs = false;
        for tg in v {
            let held = self.groups.entry(tg.arn.clone()).or_default();
            if held.group_as_of.is_some_and(|t| t > at) {
                continue;
            }
            differs |= held.group.as_ref().is_some_and(|old| old != tg);
            held.group = Some(tg.clone());
            held.group_as_of = Some(at);
        }
        let arns: Vec<SafeText> = v.iter().map(|tg| tg.arn.clone()).collect();
        set(&mut self.lb_mut(lb).groups, &arns, at, src) || differs
    }

    fn take_health(
        &mut self,
        tg: &SafeText,
        v: &[TargetHealth],
        at: Timestamp,
        src: &SafeText,
        changes: &mut Vec<Change>,
    ) {
        let state = self.groups.entry(tg.clone()).or_default();
        let first_look = state.health.get().is_none();
        if !state.health.learn(v.to_vec(), at, src.clone()) {
            return;
        }
        for t in v {
            let key = t.key();
            let now = (t.state.clone(), t.reason.clone());
            match state.tracks.get_mut(&key) {
                None => {
                    state.tracks.insert(
                        key.clone(),
                        TargetTrack {
                            state: now.0.clone(),
                            reason: now.1.clone(),
                            since: at,
                            since_exact: !first_look,
                            before: None,
                            last_seen: at,
                            gone: false,
                        },
                    );
                    if !first_look {
                        changes.push(Change::Health {
                            group: tg.clone(),
                            target: key,
                            from: None,
                            to: now,
                            at,
                        });
                    }
                }
                Some(track) => {
                    let was = (track.state.clone(), track.reason.clone());
                    if track.gone || was != now {
                        track.before = Some(was.clone());
                        (track.state, track.reason) = now.clone();
                        track.since = at;
                        track.since_exact = true;
                        track.gone = false;
                        changes.push(Change::Health {
                            group: tg.clone(),
                            target: key,
                            from: Some(was),
                            to: now,
                            at,
                        });
                    }
                    track.last_seen = at;
                }
            }
        }
        for (key, track) in &mut state.tracks {
            if !track.gone && track.last_seen < at {
                track.gone = true;
                track.since = at;
                changes.push(Change::TargetGone { group: tg.clone(), target: key.clone(), at });
            }
        }
    }

    /// The newest answer replaces the points it covers and keeps older ones;
    /// one that comes late only fills in minutes nobody told.
    fn take_metrics(&mut self, v: &[Series], newest: bool) {
        for s in v {
            match self.metrics.get_mut(&s.key) {
                Some(held) if held.period_s == s.period_s => {
                    if newest {
                        if let Some((from, _)) = s.points.first() {
                            held.points.retain(|p| p.0 < *from);
                            held.points.extend_from_slice(&s.points);
                        }
                    } else {
                        for p in &s.points {
                            if let Err(i) = held.points.binary_search_by_key(&p.0, |h| h.0) {
                                held.points.insert(i, *p);
                            }
                        }
                    }
                }
                Some(_) if !newest => {}
                _ => {
                    self.metrics.insert(s.key.clone(), s.clone());
                }
            }
        }
    }

    fn fail(&mut self, topic: &Topic, reason: &Reason, at: Timestamp, changes: &mut Vec<Change>) {
        let gap = Gap { reason: reason.clone(), at };
        if !self.fail_datum(topic, gap.clone()) {
            return;
        }
        if self.gaps.get(topic).is_none_or(|g| g.reason != *reason) {
            changes.push(Change::Lost { topic: topic.clone(), reason: reason.clone(), at });
        }
        self.gaps.insert(topic.clone(), gap);
    }

    /// Hands a failure to the datum of a topic; false when it came too late to matter.
    fn fail_datum(&mut self, topic: &Topic, gap: Gap) -> bool {
        match topic {
            Topic::Identity => self.identity.fail(gap),
            Topic::Target => self.target.fail(gap),
            Topic::LoadBalancer(a) => self.lb_mut(a).lb.fail(gap),
            Topic::LbAttributes(a) => self.lb_mut(a).attributes.fail(gap),
            Topic::Listeners(a) => self.lb_mut(a).listeners.fail(gap),
            Topic::Rules(l) => {
                let lb = self.lb_of_listener(l);
                self.lb_mut(&lb).rules.entry(l.clone()).or_default().fail(gap)
            }
            Topic::TargetGroups(a) => self.lb_mut(a).groups.fail(gap),
            Topic::TgAttributes(a) => self.groups.entry(a.clone()).or_default().attributes.fail(gap),
            Topic::Tags(a) => self.lb_mut(a).tags.fail(gap),
            Topic::TargetHealth(a) => self.groups.entry(a.clone()).or_default().health.fail(gap),
            Topic::LbInterfaces(a) => self.lb_mut(a).interfaces.fail(gap),
            Topic::Subnets(v) => self.vpc_mut(v).subnets.fail(gap),
            Topic::SecurityGroups(v) => self.vpc_mut(v).security_groups.fail(gap),
            Topic::NetworkAcls(v) => self.vpc_mut(v).network_acls.fail(gap),
            Topic::RouteTables(v) => self.vpc_mut(v).route_tables.fail(gap),
            Topic::Instances(v) => self.vpc_mut(v).instances.fail(gap),
            Topic::Interfaces(v) => self.vpc_mut(v).interfaces.fail(gap),
            Topic::PrefixList(id) => self.prefix_lists.entry(id.clone()).or_default().fail(gap),
            Topic::Metrics(a) => self.lb_mut(a).metrics.fail(gap),
            Topic::EcsServices(a) => self.groups.entry(a.clone()).or_default().services.fail(gap),
            Topic::EcsTasks(s) => self.tasks.entry(s.clone()).or_default().fail(gap),
            Topic::TaskDefinition(a) => self.task_definitions.entry(a.clone()).or_default().fail(gap),
            Topic::HostMetrics(a) => self.lb_mut(a).host_metrics.fail(gap),
            Topic::Changes(a) => self.lb_mut(a).changes.fail(gap),
            Topic::AccessLog(a) => self.lb_mut(a).access_log.fail(gap),
            Topic::ListenerCertificates(l) => {
                let lb = self.lb_of_listener(l);
                self.lb_mut(&lb).certificates.entry(l.clone()).or_default().fail(gap)
            }
            Topic::ListenerAttributes(l) => {
                let lb = self.lb_of_listener(l);
                self.lb_mut(&lb).listener_attributes.entry(l.clone()).or_default().fail(gap)
            }
            Topic::Certificate(a) => self.certificates.entry(a.clone()).or_default().fail(gap),
            Topic::InstanceStatus(v) => self.vpc_mut(v).status.fail(gap),
            Topic::Scaling(a) => self.lb_mut(a).scaling.fail(gap),
            Topic::Databases(v) => self.vpc_mut(v).databases.fail(gap),
            Topic::Function(a) => self.functions.entry(a.clone()).or_default().fail(gap),
            Topic::Probe(url) => self.probes.entry(url.clone()).or_default().fail(gap),
            Topic::Host(name) => self.hosts.entry(name.clone()).or_default().fail(gap),
            Topic::Place(name) => self.places.entry(name.clone()).or_default().fail(gap),
            Topic::LogGroups => self.log_groups.fail(gap),
            Topic::Tail(g) => self.tails.entry(g.clone()).or_default().fail(gap),
            other => {
                let told = self.fronts.fail(other, gap.clone());
                told.or_else(|| self.beside.fail(other, gap)).unwrap_or(false)
            }
        }
    }

    fn lb_mut(&mut self, arn: &SafeText) -> &mut LbState {
        self.lbs.entry(arn.clone()).or_default()
    }

    fn vpc_mut(&mut self, id: &SafeText) -> &mut VpcState {
        self.vpcs.entry(id.clone()).or_default()
    }

    /// A listener's ARN contains its load balancer's: `listener/app/N/ID/LID`.
    fn lb_of_listener(&self, listener: &SafeText) -> SafeText {
        match listener.split_once(":listener/") {
            Some((head, tail)) => {
                let lb: Vec<&str> = tail.split('/').take(3).collect();
                SafeText::from(format!("{head}:loadbalancer/{}", lb.join("/")))
            }
            None => SafeText::from(""),
        }
    }

    /// ARN of the load balancer under examination.
    pub fn lb_arn(&self) -> Option<&SafeText> {
        self.target.value().map(|t| &t.lb).filter(|a| !a.is_empty())
    }

    /// State of the load balancer under examination.
    pub fn lb(&self) -> Option<&LbState> {
        self.lbs.get(self.lb_arn()?)
    }

    /// The load balancer under examination, when it is known.
    pub fn load_balancer(&self) -> Option<&LoadBalancer> {
        self.lb()?.lb.value()
    }

    /// Target groups of the load balancer under examination in API order,
    /// narrowed to one when the target was a target group.
    pub fn active_groups(&self) -> Vec<(&SafeText, &GroupState)> {
        let only = self.target.value().map_or("", |t| t.target_group.as_str());
        self.lb()
            .and_then(|lb| lb.groups.value())
            .into_iter()
            .flatten()
            .filter(|arn| only.is_empty() || arn.as_str() == only)
            .filter_map(|arn| self.groups.get_key_value(arn))
            .collect()
    }

    /// One series by key.
    pub fn series(&self, key: &MetricKey) -> Option<&Series> {
        self.metrics.get(key)
    }

    /// The instance with this id, in any VPC seen.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.vpcs.values().filter_map(|v| v.instances.value()).flatten().find(|i| i.id.as_str() == id)
    }

    /// The subnet with this id, in any VPC seen.
    pub fn subnet(&self, id: &str) -> Option<&Subnet> {
        self.vpcs.values().filter_map(|v| v.subnets.value()).flatten().find(|s| s.id.as_str() == id)
    }

    /// A number among a load balancer's or target group's attributes.
    pub fn attribute_seconds(attributes: &Datum<Attributes>, key: &str) -> Option<f64> {
        attributes.value()?.iter().find(|(k, _)| k.as_str() == key)?.1.parse().ok()
    }
}

/// Learns a value; true when a *different* value was held before.
fn set<T: Clone + PartialEq>(slot: &mut Datum<T>, v: &T, at: Timestamp, source: &SafeText) -> bool {
    let differs = slot.value().is_some_and(|old| old != v);
    slot.learn(v.clone(), at, source.clone()) && differs
}
