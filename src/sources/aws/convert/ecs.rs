//! ECS, in the JSON of its API (`AmazonEC2ContainerServiceV20141113`). Of a
//! task definition only what a request path needs is read; its environment may
//! hold secrets and is not.

use super::{free, id};
use crate::situation::ecs::{Container, Deployment, Service, ServiceEvent, Task, TaskDefinition};
use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;

/// Events of a service that are kept, newest first (the API's own limit).
const EVENTS: usize = 100;

/// The answers and their parts: what is left out is not there.
macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {
        $($(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $(pub $field: $type),+ })+
    };
}

wire! {
    /// `ListClusters`.
    Clusters { cluster_arns: Option<Vec<String>>, next_token: Option<String> }
    /// `ListServices`.
    Services { service_arns: Option<Vec<String>>, next_token: Option<String> }
    /// `ListTasks`.
    TaskArns { task_arns: Option<Vec<String>>, next_token: Option<String> }
    /// `DescribeServices`.
    Described { services: Option<Vec<WireService>> }
    /// `DescribeTasks`.
    Tasks { tasks: Option<Vec<WireTask>> }
    /// `DescribeTaskDefinition`.
    Definition { task_definition: Option<WireDefinition> }
    /// A service.
    WireService {
        cluster_arn: Option<String>,
        service_name: Option<String>,
        service_arn: Option<String>,
        status: Option<String>,
        desired_count: i32,
        running_count: i32,
        pending_count: i32,
        task_definition: Option<String>,
        load_balancers: Option<Vec<WireBalancer>>,
        health_check_grace_period_seconds: Option<i32>,
        enable_execute_command: Option<bool>,
        events: Option<Vec<WireEvent>>,
        deployments: Option<Vec<WireDeployment>>,
    }
    /// Where a service registers its tasks.
    WireBalancer { target_group_arn: Option<String>, advanced_configuration: Option<WireAdvanced> }
    /// Of blue/green services: the group that waits.
    WireAdvanced { alternate_target_group_arn: Option<String> }
    /// A line of a service's events.
    WireEvent { created_at: Option<Seconds>, message: Option<String> }
    /// A deployment.
    WireDeployment {
        id: Option<String>,
        status: Option<String>,
        rollout_state: Option<String>,
        rollout_state_reason: Option<String>,
        task_definition: Option<String>,
        desired_count: i32,
        running_count: i32,
        failed_tasks: i32,
        created_at: Option<Seconds>,
        updated_at: Option<Seconds>,
    }
    /// A task.
    WireTask {
        task_arn: Option<String>,
        cluster_arn: Option<String>,
        group: Option<String>,
        task_definition_arn: Option<String>,
        last_status: Option<String>,
        desired_status: Option<String>,
        container_instance_arn: Option<String>,
        started_at: Option<Seconds>,
        stopped_at: Option<Seconds>,
        stop_code: Option<String>,
        stopped_reason: Option<String>,
        attachments: Option<Vec<WireAttachment>>,
        containers: Option<Vec<WireContainer>>,
    }
    /// A network card of a task, among others.
    WireAttachment { details: Option<Vec<WirePair>> }
    /// A name and its value.
    WirePair { name: Option<String>, value: Option<String> }
    /// A container of a task.
    WireContainer {
        name: Option<String>,
        reason: Option<String>,
        exit_code: Option<i32>,
        network_interfaces: Option<Vec<WireCard>>,
    }
    /// A network card of a container.
    WireCard { private_ipv4_address: Option<String> }
    /// A task definition.
    WireDefinition {
        task_definition_arn: Option<String>,
        network_mode: Option<String>,
        container_definitions: Option<Vec<WireContainerDefinition>>,
    }
    /// A container of a task definition.
    WireContainerDefinition {
        name: Option<String>,
        image: Option<String>,
        port_mappings: Option<Vec<WirePort>>,
        log_configuration: Option<WireLog>,
        stop_timeout: Option<i32>,
        memory: Option<i32>,
        memory_reservation: Option<i32>,
    }
    /// A port of a container.
    WirePort { container_port: Option<i32> }
    /// Where a container logs to.
    WireLog { log_driver: Option<String>, options: Option<HashMap<String, String>> }
}

/// A time: seconds since 1970 with a fraction, or words (RFC 3339).
#[derive(Clone, Copy, Debug)]
pub struct Seconds(Option<Timestamp>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Seconds(match serde_json::Value::deserialize(d)? {
            serde_json::Value::Number(n) => {
                n.as_f64().and_then(|s| Timestamp::from_microsecond((s * 1e6).round() as i64).ok())
            }
            serde_json::Value::String(s) => s.parse().ok(),
            _ => None,
        }))
    }
}

fn time(t: Option<Seconds>) -> Option<Timestamp> {
    t?.0
}

/// A service.
pub fn service(x: &WireService) -> Service {
    let mut events: Vec<ServiceEvent> = x
        .events
        .iter()
        .flatten()
        .filter_map(|e| Some(ServiceEvent { at: time(e.created_at)?, message: free(&e.message) }))
        .collect();
    events.sort_by_key(|e| std::cmp::Reverse(e.at));
    events.truncate(EVENTS);
    Service {
        cluster: id(&x.cluster_arn),
        name: id(&x.service_name),
        arn: id(&x.service_arn),
        status: id(&x.status),
        desired: x.desired_count,
        running: x.running_count,
        pending: x.pending_count,
        task_definition: id(&x.task_definition),
        target_groups: x
            .load_balancers
            .iter()
            .flatten()
            .flat_map(|l| {
                // Blue/green services name the group that waits here.
                let waits = l.advanced_configuration.as_ref();
                let waits = waits.and_then(|a| a.alternate_target_group_arn.clone());
                l.target_group_arn.clone().into_iter().chain(waits)
            })
            .map(SafeText::from)
            .collect(),
        health_grace_s: x.health_check_grace_period_seconds,
        exec: x.enable_execute_command,
        events,
        deployments: x.deployments.iter().flatten().map(deployment).collect(),
    }
}

fn deployment(x: &WireDeployment) -> Deployment {
    Deployment {
        id: id(&x.id),
        status: id(&x.status),
        rollout_state: id(&x.rollout_state),
        rollout_reason: free(&x.rollout_state_reason),
        task_definition: id(&x.task_definition),
        desired: x.desired_count,
        running: x.running_count,
        failed: x.failed_tasks,
        created: time(x.created_at),
        updated: time(x.updated_at),
    }
}

/// A task.
pub fn task(x: &WireTask) -> Task {
    let by_attachment = x
        .attachments
        .iter()
        .flatten()
        .flat_map(|a| a.details.iter().flatten())
        .find(|d| d.name.as_deref() == Some("privateIPv4Address"))
        .and_then(|d| d.value.clone());
    let by_container = || {
        let cards = x.containers.iter().flatten().flat_map(|c| c.network_interfaces.iter().flatten());
        cards.filter_map(|n| n.private_ipv4_address.clone()).next()
    };
    Task {
        arn: id(&x.task_arn),
        cluster: id(&x.cluster_arn),
        group: id(&x.group),
        task_definition: id(&x.task_definition_arn),
        last_status: id(&x.last_status),
        desired_status: id(&x.desired_status),
        address: by_attachment.or_else(by_container).map(SafeText::from).unwrap_or_default(),
        instance_arn: id(&x.container_instance_arn),
        started: time(x.started_at),
        stopped: time(x.stopped_at),
        stop_code: id(&x.stop_code),
        stopped_reason: free(&x.stopped_reason),
        exits: x.containers.iter().flatten().filter_map(exit).collect(),
    }
}

/// How a container ended; none while it runs.
fn exit(c: &WireContainer) -> Option<SafeText> {
    let name = c.name.as_deref().unwrap_or("?");
    let reason = c.reason.as_deref().unwrap_or_default();
    let text = match c.exit_code {
        Some(code) => format!("{name}: exit {code} {reason}"),
        None if !reason.is_empty() => format!("{name}: {reason}"),
        None => return None,
    };
    Some(SafeText::capped(text.trim_end(), super::FREE_TEXT))
}

/// A task definition.
pub fn task_definition(x: &WireDefinition) -> TaskDefinition {
    TaskDefinition {
        arn: id(&x.task_definition_arn),
        network_mode: id(&x.network_mode),
        containers: x.container_definitions.iter().flatten().map(container).collect(),
    }
}

fn container(x: &WireContainerDefinition) -> Container {
    let log = x.log_configuration.as_ref();
    let group = log.and_then(|l| l.options.as_ref()).and_then(|o| o.get("awslogs-group"));
    Container {
        name: id(&x.name),
        image: id(&x.image),
        ports: x
            .port_mappings
            .iter()
            .flatten()
            .filter_map(|p| u16::try_from(p.container_port?).ok())
            .collect(),
        log_driver: log.map(|l| id(&l.log_driver)).unwrap_or_default(),
        log_group: group.map(SafeText::from).unwrap_or_default(),
        stop_timeout_s: x.stop_timeout,
        memory_mib: x.memory.or(x.memory_reservation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn of<T: serde::de::DeserializeOwned>(v: Value) -> T {
        from_value(v).unwrap()
    }

    #[test]
    fn a_service_with_its_events_newest_first() {
        let x: WireService = of(json!({
            "serviceName": "web",
            "serviceArn": "arn:web",
            "desiredCount": 4,
            "runningCount": 1,
            "loadBalancers": [{
                "targetGroupArn": "tg",
                "advancedConfiguration": {"alternateTargetGroupArn": "green"},
            }],
            "events": [
                {"createdAt": 10.25, "message": "older"},
                {"createdAt": 20, "message": "newer"},
                {"message": "without a time"},
            ],
            "deployments": [{"status": "PRIMARY", "rolloutState": "FAILED", "failedTasks": 3}],
            "somethingNew": [1],
        }));
        let got = service(&x);
        assert_eq!((got.desired, got.running), (4, 1));
        assert_eq!(got.target_groups, ["tg", "green"]);
        assert_eq!(got.events.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["newer", "older"]);
        assert_eq!(got.events[1].at.as_millisecond(), 10_250);
        assert_eq!((got.deployments[0].rollout_state.as_str(), got.deployments[0].failed), ("FAILED", 3));
    }

    #[test]
    fn a_stopped_task_says_why() {
        let x: WireTask = of(json!({
            "taskArn": "t",
            "group": "service:web",
            "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "attachments": [{"details": [
                {"name": "subnetId", "value": "s"},
                {"name": "privateIPv4Address", "value": "10.0.1.9"},
            ]}],
            "containers": [
                {"name": "app", "exitCode": 137, "reason": "OutOfMemoryError"},
                {"name": "proxy", "reason": "CannotPullContainerError"},
                {"name": "sidecar"},
            ],
        }));
        let got = task(&x);
        assert_eq!((got.address.as_str(), got.stop_code.as_str()), ("10.0.1.9", "EssentialContainerExited"));
        assert_eq!(got.exits, ["app: exit 137 OutOfMemoryError", "proxy: CannotPullContainerError"]);
    }

    #[test]
    fn the_address_of_a_container_is_read_by_its_name_in_the_api() {
        let x: WireTask =
            of(json!({"containers": [{"networkInterfaces": [{"privateIpv4Address": "10.0.1.7"}]}]}));
        assert_eq!(task(&x).address, "10.0.1.7");
    }

    #[test]
    fn a_task_definition_names_its_log_groups_and_nothing_secret() {
        let x: WireDefinition = of(json!({
            "networkMode": "awsvpc",
            "containerDefinitions": [{
                "name": "app",
                "portMappings": [{"containerPort": 8080}, {"containerPort": 99999}],
                "environment": [{"name": "DB_PASSWORD", "value": "hunter2"}],
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web"}},
                "stopTimeout": 45,
            }],
        }));
        let got = task_definition(&x);
        let c = &got.containers[0];
        assert_eq!((c.log_driver.as_str(), c.log_group.as_str()), ("awslogs", "/ecs/web"));
        assert_eq!((c.ports.as_slice(), c.stop_timeout_s), (&[8080][..], Some(45)));
        assert!(!format!("{x:?}{got:?}").contains("hunter2"));
    }
}
