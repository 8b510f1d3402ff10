//! Asks one planned question and turns the answer into observations.

use super::fronts::FrontPlace;
use super::plan::{Ask, Work};
use crate::situation::ecs::{Service, Task};
use crate::situation::{Fact, Identity, Observation, Reason, Topic};
use crate::sources::aws::ask::ecs::{Listing, ServiceId, TaskList};
use crate::sources::aws::ask::{
    access, api, around, caches, classic, deploys, ec2, ecs, edge, elb, exec, front_log, hosts, traces,
    trail, waf,
};
use crate::sources::aws::client::Aws;
use crate::sources::aws::metrics::{self, Window};
use crate::sources::aws::names::Names;
use crate::sources::aws::{logs, operations as op};
use crate::text::SafeText;
use futures::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Changes are looked for this long before the onset.
const CHANGES_BEFORE: SignedDuration = SignedDuration::from_mins(75);
/// Rows are read from this long before the onset, and this far back without one.
const ROWS_BEFORE: SignedDuration = SignedDuration::from_mins(15);
const ROWS_WITHOUT_ONSET: SignedDuration = SignedDuration::from_mins(70);
/// And never further back than this.
const ROWS_LONGEST: SignedDuration = SignedDuration::from_hours(7);
/// Traces that are scanned cost money each, and the newest tell as much as any.
const TRACES_LONGEST: SignedDuration = SignedDuration::from_mins(30);

/// What a question brought.
#[derive(Debug)]
pub struct Answer {
    pub ask: Ask,
    pub observations: Vec<Observation>,
    /// Why it failed, if it did.
    pub failed: Option<Reason>,
    pub side: Side,
}

/// What is learned that is no observation.
#[derive(Debug, Default)]
pub enum Side {
    #[default]
    Nothing,
    EcsListing(Arc<Result<Listing, Reason>>),
    /// Services that fill none of our groups.
    EcsUnrelated(Vec<ServiceId>),
}

/// What is known of ECS besides the situation.
#[derive(Clone, Debug, Default)]
pub struct EcsKnown {
    pub listing: Option<Arc<Result<Listing, Reason>>>,
    /// Looked at and not ours; not looked at again until told to.
    pub unrelated: BTreeSet<ServiceId>,
    /// The services were looked at before.
    pub looked: bool,
}

/// Who is being asked, and since when.
struct Watch {
    source: &'static str,
    start: Instant,
}

impl Watch {
    fn start(op: &op::Operation) -> Self {
        Self { source: op.id, start: Instant::now() }
    }

    fn observe(&self, topic: Topic, fact: Fact) -> Observation {
        Observation {
            at: Timestamp::now(),
            source: SafeText::from_static(self.source),
            topic,
            fact,
            took_ms: u32::try_from(self.start.elapsed().as_millis()).unwrap_or(u32::MAX),
        }
    }
}

/// One question about one topic.
struct Asked {
    topic: Topic,
    watch: Watch,
}

impl Asked {
    fn answer(self, result: Result<Fact, Reason>) -> Answer {
        let failed = result.as_ref().err().cloned();
        let fact = result.unwrap_or_else(Fact::Unknown);
        let observation = self.watch.observe(self.topic.clone(), fact);
        Answer { ask: Ask::Topic(self.topic), observations: vec![observation], failed, side: Side::Nothing }
    }
}

/// What the last answer to the same question left for the next one.
#[derive(Clone, Debug, Default)]
pub struct Before {
    pub ecs: EcsKnown,
    /// When this very question was last answered.
    pub good: Option<Timestamp>,
}

/// An answer that says itself what of it failed.
fn made(ask: Ask, observations: Vec<Observation>) -> Answer {
    let own = |o: &&Observation| !matches!(&ask, Ask::Topic(topic) if *topic != o.topic);
    let failed = observations.iter().filter(own).find_map(|o| match &o.fact {
        Fact::Unknown(reason) => Some(reason.clone()),
        _ => None,
    });
    Answer { ask, observations, failed, side: Side::Nothing }
}

/// Asks.
pub async fn run(aws: Aws, work: Work, before: Before) -> Answer {
    let begin = |topic: Topic, op: &op::Operation| Asked { topic, watch: Watch::start(op) };
    let aws = &aws;
    match work {
        Work::Identity => {
            let asked = begin(Topic::Identity, &op::GET_CALLER_IDENTITY);
            asked.answer(identity(aws).await.map(Fact::Identity))
        }
        Work::LoadBalancer(arn) => {
            let asked = begin(Topic::LoadBalancer(arn.clone()), &op::DESCRIBE_LOAD_BALANCERS);
            asked.answer(elb::load_balancer(aws, elb::Which::Arn(arn)).await.map(Fact::LoadBalancer))
        }
        Work::LbAttributes(arn) => {
            let asked = begin(Topic::LbAttributes(arn.clone()), &op::DESCRIBE_LOAD_BALANCER_ATTRIBUTES);
            asked.answer(elb::lb_attributes(aws, &arn).await.map(Fact::Attributes))
        }
        Work::Listeners(arn) => {
            let asked = begin(Topic::Listeners(arn.clone()), &op::DESCRIBE_LISTENERS);
            asked.answer(elb::listeners(aws, &arn).await.map(Fact::Listeners))
        }
        Work::Rules(listener) => {
            let asked = begin(Topic::Rules(listener.clone()), &op::DESCRIBE_RULES);
            asked.answer(elb::rules(aws, &listener).await.map(Fact::Rules))
        }
        Work::TargetGroups(arn) => {
            let asked = begin(Topic::TargetGroups(arn.clone()), &op::DESCRIBE_TARGET_GROUPS);
            asked.answer(elb::target_groups(aws, &arn).await.map(Fact::TargetGroups))
        }
        Work::TgAttributes(arn) => {
            let asked = begin(Topic::TgAttributes(arn.clone()), &op::DESCRIBE_TARGET_GROUP_ATTRIBUTES);
            asked.answer(elb::tg_attributes(aws, &arn).await.map(Fact::Attributes))
        }
        Work::Tags { lb, arns } => {
            let asked = begin(Topic::Tags(lb), &op::DESCRIBE_ELB_TAGS);
            asked.answer(elb::tags(aws, &arns).await.map(Fact::Tags))
        }
        Work::TargetHealth(arn) => {
            let asked = begin(Topic::TargetHealth(arn.clone()), &op::DESCRIBE_TARGET_HEALTH);
            asked.answer(elb::target_health(aws, &arn).await.map(Fact::TargetHealth))
        }
        Work::LbInterfaces { lb, dimension } => {
            let asked = begin(Topic::LbInterfaces(lb), &op::DESCRIBE_NETWORK_INTERFACES);
            asked.answer(ec2::lb_interfaces(aws, &dimension).await.map(Fact::Interfaces))
        }
        Work::Subnets(vpc) => {
            let asked = begin(Topic::Subnets(vpc.clone()), &op::DESCRIBE_SUBNETS);
            asked.answer(ec2::subnets(aws, &vpc).await.map(Fact::Subnets))
        }
        Work::SecurityGroups(vpc) => {
            let asked = begin(Topic::SecurityGroups(vpc.clone()), &op::DESCRIBE_SECURITY_GROUPS);
            asked.answer(ec2::security_groups(aws, &vpc).await.map(Fact::SecurityGroups))
        }
        Work::NetworkAcls(vpc) => {
            let asked = begin(Topic::NetworkAcls(vpc.clone()), &op::DESCRIBE_NETWORK_ACLS);
            asked.answer(ec2::network_acls(aws, &vpc).await.map(Fact::NetworkAcls))
        }
        Work::RouteTables(vpc) => {
            let asked = begin(Topic::RouteTables(vpc.clone()), &op::DESCRIBE_ROUTE_TABLES);
            asked.answer(ec2::route_tables(aws, &vpc).await.map(Fact::RouteTables))
        }
        Work::Instances(vpc) => {
            let asked = begin(Topic::Instances(vpc.clone()), &op::DESCRIBE_INSTANCES);
            asked.answer(ec2::instances(aws, &vpc).await.map(Fact::Instances))
        }
        Work::Interfaces { vpc, addresses } => {
            let asked = begin(Topic::Interfaces(vpc), &op::DESCRIBE_NETWORK_INTERFACES);
            asked.answer(ec2::interfaces_at(aws, &addresses).await.map(Fact::Interfaces))
        }
        Work::PrefixList(id) => {
            let asked = begin(Topic::PrefixList(id.clone()), &op::GET_MANAGED_PREFIX_LIST_ENTRIES);
            asked.answer(ec2::prefix_list(aws, &id).await.map(Fact::PrefixList))
        }
        Work::EcsTasks(service) => {
            let topic = Topic::EcsTasks(SafeText::from(&service.arn));
            let asked = begin(topic, &op::DESCRIBE_TASKS);
            asked.answer(ecs::tasks_of(aws, &service).await.map(Fact::EcsTasks))
        }
        Work::TaskDefinition(arn) => {
            let asked = begin(Topic::TaskDefinition(arn.clone()), &op::DESCRIBE_TASK_DEFINITION);
            asked.answer(ecs::task_definition(aws, &arn).await.map(Fact::TaskDefinition))
        }
        Work::EcsListing => {
            let listing = ecs::list(aws).await;
            let failed = listing.as_ref().err().cloned();
            let side = Side::EcsListing(Arc::new(listing));
            Answer { ask: Ask::EcsListing, observations: Vec::new(), failed, side }
        }
        Work::EcsServices { groups } => services(aws, groups, before.ecs).await,
        Work::Metrics { lb, groups } => {
            let now = Timestamp::now();
            let window = match before.good {
                None => Window::first(now, aws.options().since),
                Some(last) => Window::since(now, last),
            };
            let topic = Topic::Metrics(lb.arn.clone());
            made(Ask::Topic(topic), metrics::ask(aws, &lb, &groups, window).await)
        }
        Work::HostMetrics { lb, hosts } => {
            let now = Timestamp::now();
            let window = match before.good {
                None => Window::first(now, aws.options().since),
                Some(last) => Window::since(now, last),
            };
            made(
                Ask::Topic(Topic::HostMetrics(lb.clone())),
                metrics::ask_hosts(aws, &lb, &hosts, window).await,
            )
        }
        Work::Changes { lb, onset, resources } => {
            let asked = begin(Topic::Changes(lb), &op::LOOKUP_EVENTS);
            let now = Timestamp::now();
            let from = onset.unwrap_or(now).checked_sub(CHANGES_BEFORE).unwrap_or(now);
            asked.answer(trail::changes(aws, from, now, &resources).await.map(Fact::Changes))
        }
        Work::AccessLog { lb, place, onset } => {
            let op = match place {
                access::Place::Bucket(..) => &op::GET_OBJECT,
                access::Place::Delivery => &op::FILTER_LOG_EVENTS,
            };
            let asked = begin(Topic::AccessLog(lb.clone()), op);
            let now = Timestamp::now();
            let since = onset.map_or(ROWS_WITHOUT_ONSET, |t| now.duration_since(t) + ROWS_BEFORE);
            let from = now.checked_sub(since.min(ROWS_LONGEST)).unwrap_or(now);
            let answer = access::read(aws, &lb, &place, from, onset).await;
            asked.answer(answer.map(|log| Fact::AccessLog(Box::new(log))))
        }
        Work::ListenerCertificates(listener) => {
            let topic = Topic::ListenerCertificates(listener.clone());
            let asked = begin(topic, &op::DESCRIBE_LISTENER_CERTIFICATES);
            asked.answer(elb::listener_certificates(aws, &listener).await.map(Fact::CertificateArns))
        }
        Work::ListenerAttributes(arn) => {
            let asked = begin(Topic::ListenerAttributes(arn.clone()), &op::DESCRIBE_LISTENER_ATTRIBUTES);
            asked.answer(elb::listener_attributes(aws, &arn).await.map(Fact::Attributes))
        }
        Work::Certificate(arn) => {
            let asked = begin(Topic::Certificate(arn.clone()), &op::DESCRIBE_CERTIFICATE);
            // CloudFront's are in its own region, whatever ours is.
            let region = arn.split(':').nth(3).unwrap_or_default().to_string();
            let answer = match aws.in_region(&region).await {
                Ok(there) => around::certificate(&there, &arn).await,
                Err(reason) => Err(reason),
            };
            asked.answer(answer.map(Fact::Certificate))
        }
        Work::InstanceStatus { vpc, instances } => {
            let asked = begin(Topic::InstanceStatus(vpc), &op::DESCRIBE_INSTANCE_STATUS);
            asked.answer(around::instance_status(aws, &instances).await.map(Fact::InstanceStatus))
        }
        Work::Scaling { lb, groups, instances } => {
            let asked = begin(Topic::Scaling(lb), &op::DESCRIBE_AUTO_SCALING_GROUPS);
            asked.answer(around::scaling(aws, &groups, &instances).await.map(Fact::Scaling))
        }
        Work::Databases(vpc) => {
            let asked = begin(Topic::Databases(vpc.clone()), &op::DESCRIBE_DB_INSTANCES);
            let all = around::databases(aws).await;
            asked.answer(all.map(|list| {
                let here = list.into_iter().filter(|(of, _)| of.is_empty() || of.as_str() == vpc.as_str());
                Fact::Databases(here.map(|(_, db)| db).collect())
            }))
        }
        Work::Function(arn) => {
            let asked = begin(Topic::Function(arn.clone()), &op::GET_FUNCTION_CONFIGURATION);
            asked.answer(around::function(aws, &arn).await.map(Fact::Function))
        }
        Work::Distribution(id) => {
            let asked = begin(Topic::Distribution(id.clone()), &op::GET_DISTRIBUTION_CONFIG);
            asked.answer(edge::distribution(aws, &id).await.map(|d| Fact::Distribution(Box::new(d))))
        }
        Work::Api { id, stage } => {
            let asked = begin(Topic::Api(id.clone()), &op::GET_REST_API);
            asked.answer(api::api(aws, &id, &stage).await.map(|a| Fact::Api(Box::new(a))))
        }
        Work::Classic(name) => {
            let asked = begin(Topic::Classic(name.clone()), &op::DESCRIBE_CLASSICS);
            asked.answer(classic::classic_named(aws, &name).await.map(|c| Fact::Classic(Box::new(c))))
        }
        Work::InstanceHealth(name) => {
            let asked = begin(Topic::InstanceHealth(name.clone()), &op::DESCRIBE_INSTANCE_HEALTH);
            asked.answer(classic::instance_health(aws, &name).await.map(Fact::InstanceHealth))
        }
        Work::HealthCheck(id) => {
            let asked = begin(Topic::HealthCheck(id.clone()), &op::GET_HEALTH_CHECK);
            asked.answer(edge::health_check(aws, &id).await.map(Fact::HealthCheck))
        }
        Work::WebAcl { of, acl } => {
            let op = if acl.is_empty() { &op::GET_WEB_ACL_FOR_RESOURCE } else { &op::GET_WEB_ACL };
            let asked = begin(Topic::WebAcl(of.clone()), op);
            let answer =
                if acl.is_empty() { waf::of_resource(aws, &of).await } else { waf::by_arn(aws, &acl).await };
            asked.answer(answer.map(Fact::WebAcl))
        }
        Work::Releases { of, onset } => {
            let asked = begin(Topic::Releases(of), &op::LIST_DEPLOYMENTS);
            let now = Timestamp::now();
            let from = onset.unwrap_or(now).checked_sub(CHANGES_BEFORE).unwrap_or(now);
            asked.answer(deploys::releases(aws, from, now).await.map(Fact::Releases))
        }
        Work::Caches { vpc, groups } => {
            let asked = begin(Topic::Caches(vpc), &op::DESCRIBE_CACHE_CLUSTERS);
            asked.answer(caches::caches(aws, &groups).await.map(Fact::Caches))
        }
        Work::Traces { of, onset } => {
            let asked = begin(Topic::Traces(of), &op::GET_TRACE_SUMMARIES);
            let now = Timestamp::now();
            let recent = now.checked_sub(TRACES_LONGEST).unwrap_or(now);
            asked
                .answer(traces::traces(aws, onset.unwrap_or(recent).max(recent), now).await.map(Fact::Traces))
        }
        Work::Records(hosts) => {
            let watch = Watch::start(&op::LIST_RESOURCE_RECORD_SETS);
            let mut all = edge::records(aws, &hosts).await;
            if let Ok(names) = Names::system(&aws.options().resolve) {
                let found = all.iter_mut().filter_map(|(_, r)| r.as_mut().ok());
                join_all(found.map(|r| edge::look_up(&names, r))).await;
            }
            let told = all
                .into_iter()
                .map(|(h, r)| watch.observe(Topic::Records(h), r.map_or_else(Fact::Unknown, Fact::Records)));
            made(Ask::Records, told.collect())
        }
        Work::Hosts(asks) => made(Ask::Hosts, hosts::observe(aws, &asks).await),
        Work::Inside(asks) => {
            // Without the plugin nobody here means ECS Exec: nothing to say.
            let Some(plugin) = crate::sources::host::found() else { return made(Ask::Inside, Vec::new()) };
            let asking = exec::Asking { plugin: Some(plugin), limit: exec::LIMIT };
            made(Ask::Inside, exec::observe(aws, asks.iter(), &asking).await)
        }
        Work::FrontMetrics { id, asks, global } => {
            let now = Timestamp::now();
            let window = match before.good {
                None => Window::first(now, aws.options().since),
                Some(last) => Window::since(now, last),
            };
            let topic = Topic::FrontMetrics(id);
            let there = if global { aws.global().await } else { Ok(aws.clone()) };
            match there {
                Ok(there) => {
                    let answer = metrics::collect(&there, &topic, asks, window).await;
                    made(Ask::Topic(topic), answer)
                }
                Err(reason) => begin(topic, &op::GET_METRIC_DATA).answer(Err(reason)),
            }
        }
        Work::FrontLog { place, onset } => {
            let now = Timestamp::now();
            let since = onset.map_or(ROWS_WITHOUT_ONSET, |t| now.duration_since(t) + ROWS_BEFORE);
            let from = now.checked_sub(since.min(ROWS_LONGEST)).unwrap_or(now);
            let (id, op, answer) = match &place {
                FrontPlace::Edge(d) => (d.id.clone(), &op::GET_OBJECT, front_log::edge(aws, d, from).await),
                FrontPlace::Api(a) => {
                    (a.id.clone(), &op::FILTER_LOG_EVENTS, front_log::api(aws, a, from).await)
                }
                FrontPlace::Classic(c, account) => {
                    (c.name.clone(), &op::GET_OBJECT, front_log::classic(aws, c, account, from).await)
                }
            };
            begin(Topic::FrontLog(id), op).answer(answer.map(|log| Fact::FrontLog(Box::new(log))))
        }
        Work::FrontChanges { id, onset, resources } => {
            let asked = begin(Topic::FrontChanges(id), &op::LOOKUP_EVENTS);
            let now = Timestamp::now();
            let from = onset.unwrap_or(now).checked_sub(CHANGES_BEFORE).unwrap_or(now);
            let answer = trail::everywhere(aws, from, now, &resources).await;
            asked.answer(answer.map(Fact::Changes))
        }
        Work::LogGroups(clues) => made(Ask::Topic(Topic::LogGroups), logs::groups::ask(aws, &clues).await),
        Work::Recent { groups, since } => made(Ask::Recent, logs::recent(aws, &groups, since).await),
    }
}

async fn identity(aws: &Aws) -> Result<Identity, Reason> {
    let out = aws.call(&op::GET_CALLER_IDENTITY, |c| c.sts.get_caller_identity().send()).await?;
    let text = |t: Option<String>| t.map(SafeText::from).unwrap_or_default();
    Ok(Identity {
        account: text(out.account),
        arn: text(out.arn),
        region: aws.region(),
        profile: aws.options().profile.as_deref().map(SafeText::new).unwrap_or_default(),
        expires: aws.expiry(),
    })
}

/// Describes the services that may be ours and says which groups they fill.
/// The tasks that were listed along with them are described at the same time.
async fn services(aws: &Aws, groups: Vec<SafeText>, known: EcsKnown) -> Answer {
    let watch = Watch::start(&op::DESCRIBE_SERVICES);
    let fail = |watch: &Watch, reason: Reason| {
        let say = |g: &SafeText| watch.observe(Topic::EcsServices(g.clone()), Fact::Unknown(reason.clone()));
        Answer {
            ask: Ask::EcsServices,
            observations: groups.iter().map(say).collect(),
            failed: Some(reason.clone()),
            side: Side::Nothing,
        }
    };
    let listing = match known.listing.as_deref() {
        Some(Ok(listing)) => listing,
        Some(Err(reason)) => return fail(&watch, reason.clone()),
        None => return fail(&watch, Reason::NotAsked),
    };
    let wanted: Vec<ServiceId> =
        listing.services.iter().filter(|s| !known.unrelated.contains(s)).cloned().collect();
    // Only the first look has use for the tasks; later each service asks for its own.
    let whole = listing.tasks.iter().filter(|t| t.whole && !known.looked);
    let tasks = join_all(whole.map(|t: &TaskList| async move {
        let got = ecs::describe_tasks(aws, &t.cluster, &t.arns).await.ok()?;
        Some((t.cluster.clone(), got))
    }));
    let (described, tasks) = join(ecs::describe(aws, &wanted), tasks).await;
    let described = match described {
        Ok(described) => described,
        Err(reason) => return fail(&watch, reason),
    };
    let tasks: BTreeMap<String, Vec<Task>> = tasks.into_iter().flatten().collect();
    let ours = |s: &Service| s.target_groups.iter().any(|g| groups.contains(g));
    let mut observations = Vec::new();
    for g in &groups {
        let fill: Vec<Service> = described.iter().filter(|s| s.target_groups.contains(g)).cloned().collect();
        let fact = match &listing.cut {
            // None found among a part of them does not mean that there is none.
            Some(cut) if fill.is_empty() => {
                Fact::Unknown(Reason::Failed { code: "too many".into(), detail: cut.clone() })
            }
            _ => Fact::EcsServices(fill),
        };
        observations.push(watch.observe(Topic::EcsServices(g.clone()), fact));
    }
    for s in described.iter().filter(|s| ours(s)) {
        let Some(all) = tasks.get(s.cluster.as_str()) else { continue };
        let group = format!("service:{}", s.name);
        let its: Vec<Task> = all.iter().filter(|t| t.group.as_str() == group).cloned().collect();
        let mut observation = watch.observe(Topic::EcsTasks(s.arn.clone()), Fact::EcsTasks(ecs::newest(its)));
        observation.source = SafeText::from_static(op::DESCRIBE_TASKS.id);
        observations.push(observation);
    }
    let related: BTreeSet<&str> = described.iter().filter(|s| ours(s)).map(|s| s.arn.as_str()).collect();
    let unrelated = wanted.into_iter().filter(|s| !related.contains(s.arn.as_str())).collect();
    Answer { ask: Ask::EcsServices, observations, failed: None, side: Side::EcsUnrelated(unrelated) }
}
