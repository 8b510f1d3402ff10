//! Everything a path between two ends depends on, asked once: the ends, then
//! the networks they stand in, all of it at the same time.

use super::ask::{ec2, elb};
use super::client::{Aws, Place};
use crate::diagnosis::path::Endpoint;
use crate::situation::elb::LoadBalancer;
use crate::situation::net::{Destination, Instance, Interface, Peer};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::sources::Options;
use crate::text::SafeText;
use futures::future::{join, join_all, join5};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// Prefix lists that are read at most.
const PREFIX_LISTS: usize = 40;

/// One end, looked up.
enum Found {
    Instances(Vec<Instance>),
    Interfaces(Vec<Interface>),
    LoadBalancer(Box<LoadBalancer>),
    Nothing,
}

/// Asks for what decides the path between these ends. A question that is not
/// answered is an observation too: what hangs on it stays unknown, by name.
///
/// # Errors
/// When nothing can be asked at all (no credentials, no region).
pub async fn observe(options: Options, ends: Vec<Endpoint>) -> Result<Vec<Observation>, Reason> {
    observe_at(None, options, ends).await
}

/// The same, at a place that is not the environment's.
///
/// # Errors
/// As [`observe`].
pub async fn observe_at(
    place: Option<Place>,
    options: Options,
    ends: Vec<Endpoint>,
) -> Result<Vec<Observation>, Reason> {
    // Nobody reads the call log here; a full queue must not hold a call.
    let (calls, mut unread) = mpsc::channel(64);
    tokio::spawn(async move { while unread.recv().await.is_some() {} });
    let aws = Aws::load_at(place, options, calls).await?;
    let mut all = Vec::new();
    let mut vpcs: BTreeSet<SafeText> = BTreeSet::new();
    let mut instances: BTreeMap<SafeText, Vec<Instance>> = BTreeMap::new();
    let mut interfaces: BTreeMap<SafeText, Vec<Interface>> = BTreeMap::new();
    for (end, found) in ends.iter().zip(join_all(ends.iter().map(|e| find(&aws, e))).await) {
        match found {
            Ok(Found::Instances(list)) => {
                if let (true, Endpoint::Instance(id)) = (list.is_empty(), end) {
                    all.push(failed(Topic::Instances("".into()), Reason::NotFound { what: id.clone() }));
                }
                for i in list {
                    vpcs.insert(i.vpc.clone());
                    instances.entry(i.vpc.clone()).or_default().push(i);
                }
            }
            Ok(Found::Interfaces(list)) => {
                if let (true, Endpoint::Interface(id)) = (list.is_empty(), end) {
                    all.push(failed(Topic::Interfaces("".into()), Reason::NotFound { what: id.clone() }));
                }
                for i in list {
                    vpcs.insert(i.vpc.clone());
                    interfaces.entry(i.vpc.clone()).or_default().push(i);
                }
            }
            Ok(Found::LoadBalancer(lb)) => {
                vpcs.insert(lb.vpc.clone());
                let topic = Topic::LbInterfaces(lb.arn.clone());
                let nodes = ec2::lb_interfaces(&aws, lb.dimension()).await;
                all.push(told("ec2:DescribeNetworkInterfaces", topic, nodes, Fact::Interfaces));
                let topic = Topic::LoadBalancer(lb.arn.clone());
                all.push(told("elbv2:DescribeLoadBalancers", topic, Ok(*lb), Fact::LoadBalancer));
            }
            Ok(Found::Nothing) => {}
            Err(why) => {
                let topic = match end {
                    Endpoint::Instance(_) => Topic::Instances("".into()),
                    Endpoint::LoadBalancer(name) => Topic::LoadBalancer(name.clone()),
                    _ => Topic::Interfaces("".into()),
                };
                all.push(failed(topic, why));
            }
        }
    }
    vpcs.remove("");
    let networks = join_all(vpcs.iter().map(|vpc| {
        let known = (instances.remove(vpc).unwrap_or_default(), interfaces.remove(vpc).unwrap_or_default());
        network(&aws, vpc, known)
    }));
    for list in networks.await {
        all.extend(list);
    }
    let lists = prefix_lists(&all);
    let read = join_all(lists.iter().map(|id| ec2::prefix_list(&aws, id))).await;
    for (id, list) in lists.iter().zip(read) {
        let topic = Topic::PrefixList(id.clone());
        all.push(told("ec2:GetManagedPrefixListEntries", topic, list, Fact::PrefixList));
    }
    Ok(all)
}

fn told<T>(source: &str, topic: Topic, answer: Result<T, Reason>, fact: impl Fn(T) -> Fact) -> Observation {
    match answer {
        Ok(v) => {
            Observation { at: Timestamp::now(), source: source.into(), topic, fact: fact(v), took_ms: 0 }
        }
        Err(why) => failed(topic, why),
    }
}

fn failed(topic: Topic, why: Reason) -> Observation {
    Observation { at: Timestamp::now(), source: "aws".into(), topic, fact: Fact::Unknown(why), took_ms: 0 }
}

async fn find(aws: &Aws, end: &Endpoint) -> Result<Found, Reason> {
    match end {
        Endpoint::Internet => Ok(Found::Nothing),
        Endpoint::Instance(id) => {
            Ok(Found::Instances(ec2::instances_by_id(aws, std::slice::from_ref(id)).await?))
        }
        Endpoint::Interface(id) => {
            Ok(Found::Interfaces(ec2::interfaces_by_id(aws, std::slice::from_ref(id)).await?))
        }
        Endpoint::Address(ip) => {
            let text = [SafeText::from(ip.to_string())];
            if crate::diagnosis::path::is_public(*ip) && ip.is_ipv4() {
                return Ok(Found::Interfaces(ec2::interfaces_of_public(aws, &text).await?));
            }
            Ok(Found::Interfaces(ec2::interfaces_at(aws, &text).await?))
        }
        Endpoint::LoadBalancer(name) => {
            let which = if name.starts_with("arn:") {
                elb::Which::Arn(name.clone())
            } else if name.contains('.') {
                // A DNS name begins with the name and a number.
                let first = name.split('.').next().unwrap_or_default();
                let first = first.strip_prefix("internal-").unwrap_or(first);
                elb::Which::Name(first.rsplit_once('-').map_or(first, |(n, _)| n).to_owned())
            } else {
                elb::Which::Name(name.to_string())
            };
            Ok(Found::LoadBalancer(Box::new(elb::load_balancer(aws, which).await?)))
        }
    }
}

/// One VPC. Of its instances and interfaces those of the ends, and its NAT
/// gateways: large networks have thousands that decide nothing.
async fn network(
    aws: &Aws,
    vpc: &SafeText,
    (instances, mut interfaces): (Vec<Instance>, Vec<Interface>),
) -> Vec<Observation> {
    let mut ids: Vec<SafeText> = instances.iter().flat_map(|i| i.interfaces.iter().cloned()).collect();
    ids.retain(|id| !interfaces.iter().any(|i| i.id == *id));
    let more = async {
        let own =
            async { if ids.is_empty() { Ok(Vec::new()) } else { ec2::interfaces_by_id(aws, &ids).await } };
        let (own, nat) = join(own, ec2::nat_interfaces(aws, vpc)).await;
        own.and_then(|mut own| {
            own.extend(nat?);
            Ok(own)
        })
    };
    let (subnets, groups, acls, tables, more) = join5(
        ec2::subnets(aws, vpc),
        ec2::security_groups(aws, vpc),
        ec2::network_acls(aws, vpc),
        ec2::route_tables(aws, vpc),
        more,
    )
    .await;
    let of = || vpc.clone();
    let cards = more.map(|more| {
        interfaces.extend(more);
        interfaces
    });
    vec![
        told("ec2:DescribeSubnets", Topic::Subnets(of()), subnets, Fact::Subnets),
        told("ec2:DescribeSecurityGroups", Topic::SecurityGroups(of()), groups, Fact::SecurityGroups),
        told("ec2:DescribeNetworkAcls", Topic::NetworkAcls(of()), acls, Fact::NetworkAcls),
        told("ec2:DescribeRouteTables", Topic::RouteTables(of()), tables, Fact::RouteTables),
        told("ec2:DescribeInstances", Topic::Instances(of()), Ok(instances), Fact::Instances),
        told("ec2:DescribeNetworkInterfaces", Topic::Interfaces(of()), cards, Fact::Interfaces),
    ]
}

/// Prefix lists that rules and routes refer to. Gateway endpoints' lists hold
/// public addresses of one service, which no path here leads to.
fn prefix_lists(all: &[Observation]) -> Vec<SafeText> {
    let mut ids: BTreeSet<SafeText> = BTreeSet::new();
    for o in all {
        match &o.fact {
            Fact::SecurityGroups(list) => {
                for r in list.iter().flat_map(|g| g.ingress.iter().chain(&g.egress)) {
                    if let Peer::PrefixList(id) = &r.peer {
                        ids.insert(id.clone());
                    }
                }
            }
            Fact::RouteTables(list) => {
                for r in list.iter().flat_map(|t| &t.routes).filter(|r| !r.target.starts_with("vpce-")) {
                    if let Destination::PrefixList(id) = &r.destination {
                        ids.insert(id.clone());
                    }
                }
            }
            _ => {}
        }
    }
    ids.into_iter().take(PREFIX_LISTS).collect()
}
