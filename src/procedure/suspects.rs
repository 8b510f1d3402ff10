//! The targets in question, worst first, with what a command for them needs.

use crate::situation::elb::{TargetHealth, TargetKey};
use crate::situation::{GroupState, Situation};
use crate::text::SafeText;

/// One registered target with how to reach it.
#[derive(Clone, Debug)]
pub(crate) struct Suspect<'a> {
    pub group_arn: &'a SafeText,
    pub group: &'a GroupState,
    pub health: &'a TargetHealth,
    pub key: TargetKey,
    /// Private address; empty when it is not known.
    pub address: SafeText,
    pub port: Option<u16>,
    pub health_port: Option<u16>,
    /// The load balancer speaks TLS to it.
    pub tls: bool,
    pub place: Place,
}

/// Where a target runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Instance {
        id: SafeText,
    },
    Task {
        cluster: SafeText,
        task: SafeText,
        service: SafeText,
        container: SafeText,
    },
    /// Known by its address only.
    Address,
}

impl Suspect<'_> {
    /// IPv6 addresses stand in brackets; an unknown address in capitals.
    pub fn address_in_url(&self) -> String {
        match self.address.as_str() {
            "" => "TARGET_IP".to_owned(),
            a if a.contains(':') => format!("[{a}]"),
            a => a.to_owned(),
        }
    }
}

/// Every listed target of the groups in view: failing ones first, then those
/// that get no traffic, then healthy ones.
pub(crate) fn suspects(s: &Situation) -> Vec<Suspect<'_>> {
    let mut out = Vec::new();
    for (arn, group) in s.active_groups() {
        for t in group.health.value().into_iter().flatten() {
            if group.group.as_ref().is_some_and(|g| g.target_type.as_str() == "lambda") {
                continue;
            }
            out.push(suspect(s, arn, group, t));
        }
    }
    out.sort_by_key(|t| match t.health.state.as_str() {
        "unhealthy" | "unhealthy.draining" => 0,
        "initial" | "draining" | "unavailable" => 1,
        "healthy" => 2,
        _ => 3,
    });
    out
}

fn suspect<'a>(
    s: &'a Situation,
    arn: &'a SafeText,
    group: &'a GroupState,
    t: &'a TargetHealth,
) -> Suspect<'a> {
    let definition = group.group.as_ref();
    let port = t.port.or(definition.and_then(|g| g.port));
    let checked = definition.and_then(|g| g.health_check.port.parse().ok());
    let instance = s.instance(&t.id);
    let address: SafeText = match instance {
        Some(i) => i.addresses.first().map(ToString::to_string).unwrap_or_default().into(),
        None if t.id.parse::<std::net::IpAddr>().is_ok() => t.id.clone(),
        None => SafeText::default(),
    };
    let place = if t.id.starts_with("i-") {
        Place::Instance { id: t.id.clone() }
    } else {
        by_address(s, group, &t.id)
    };
    Suspect {
        group_arn: arn,
        group,
        health: t,
        key: t.key(),
        address,
        port,
        health_port: t.health_port.or(checked).or(port),
        tls: definition.is_some_and(|g| g.protocol.as_str() == "HTTPS"),
        place,
    }
}

/// The task that holds an address, else an instance that does.
fn by_address(s: &Situation, group: &GroupState, address: &SafeText) -> Place {
    for service in group.services.value().into_iter().flatten() {
        let tasks = s.tasks.get(&service.arn).and_then(|d| d.value());
        if let Some(task) = tasks.into_iter().flatten().find(|t| t.address == *address) {
            let container = s
                .task_definitions
                .get(&task.task_definition)
                .and_then(|d| d.value())
                .and_then(|d| d.containers.first())
                .map(|c| c.name.clone())
                .unwrap_or_default();
            return Place::Task {
                cluster: cluster_name(&service.cluster).into(),
                task: crate::situation::short(&task.arn).into(),
                service: service.name.clone(),
                container,
            };
        }
    }
    let held =
        |i: &&crate::situation::net::Instance| i.addresses.iter().any(|a| a.to_string() == address.as_str());
    match s.vpcs.values().filter_map(|v| v.instances.value()).flatten().find(held) {
        Some(i) => Place::Instance { id: i.id.clone() },
        None => Place::Address,
    }
}

/// `shop` for `arn:...:cluster/shop`, or the name itself.
pub(crate) fn cluster_name(cluster: &str) -> &str {
    cluster.rsplit('/').next().unwrap_or(cluster)
}
