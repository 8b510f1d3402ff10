//! ECS. Of a task definition only what a request path needs is kept; its
//! environment may hold secrets and is not read.

use super::{free, id, time};
use crate::situation::ecs::{Container, Deployment, Service, ServiceEvent, Task, TaskDefinition};
use crate::text::SafeText;
use aws_sdk_ecs::types as sdk;

/// Events of a service that are kept, newest first (the API's own limit).
const EVENTS: usize = 100;

/// A service.
pub fn service(x: &sdk::Service) -> Service {
    let mut events: Vec<ServiceEvent> = x
        .events
        .iter()
        .flatten()
        .filter_map(|e| Some(ServiceEvent { at: time(&e.created_at)?, message: free(&e.message) }))
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
        events,
        deployments: x.deployments.iter().flatten().map(deployment).collect(),
    }
}

fn deployment(x: &sdk::Deployment) -> Deployment {
    Deployment {
        id: id(&x.id),
        status: id(&x.status),
        rollout_state: x.rollout_state.as_ref().map(|s| SafeText::new(s.as_str())).unwrap_or_default(),
        rollout_reason: free(&x.rollout_state_reason),
        task_definition: id(&x.task_definition),
        desired: x.desired_count,
        running: x.running_count,
        failed: x.failed_tasks,
        created: time(&x.created_at),
        updated: time(&x.updated_at),
    }
}

/// A task.
pub fn task(x: &sdk::Task) -> Task {
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
        started: time(&x.started_at),
        stopped: time(&x.stopped_at),
        stop_code: x.stop_code.as_ref().map(|c| SafeText::new(c.as_str())).unwrap_or_default(),
        stopped_reason: free(&x.stopped_reason),
        exits: x.containers.iter().flatten().filter_map(exit).collect(),
    }
}

/// How a container ended; none while it runs.
fn exit(c: &sdk::Container) -> Option<SafeText> {
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
pub fn task_definition(x: &sdk::TaskDefinition) -> TaskDefinition {
    TaskDefinition {
        arn: id(&x.task_definition_arn),
        network_mode: x.network_mode.as_ref().map(|m| SafeText::new(m.as_str())).unwrap_or_default(),
        containers: x.container_definitions.iter().flatten().map(container).collect(),
    }
}

fn container(x: &sdk::ContainerDefinition) -> Container {
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
        log_driver: log.map(|l| SafeText::new(l.log_driver.as_str())).unwrap_or_default(),
        log_group: group.map(SafeText::from).unwrap_or_default(),
        stop_timeout_s: x.stop_timeout,
        memory_mib: x.memory.or(x.memory_reservation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn a_service_with_its_events_newest_first() {
        let event =
            |at, m: &str| sdk::ServiceEvent::builder().created_at(DateTime::from_secs(at)).message(m).build();
        let x = sdk::Service::builder()
            .service_name("web")
            .service_arn("arn:web")
            .desired_count(4)
            .running_count(1)
            .load_balancers(sdk::LoadBalancer::builder().target_group_arn("tg").build())
            .events(event(10, "older"))
            .events(event(20, "newer"))
            .deployments(
                sdk::Deployment::builder()
                    .status("PRIMARY")
                    .rollout_state(sdk::DeploymentRolloutState::Failed)
                    .failed_tasks(3)
                    .build(),
            )
            .build();
        let got = service(&x);
        assert_eq!((got.desired, got.running, got.target_groups.len()), (4, 1, 1));
        assert_eq!(got.events.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["newer", "older"]);
        assert_eq!((got.deployments[0].rollout_state.as_str(), got.deployments[0].failed), ("FAILED", 3));
    }

    #[test]
    fn a_stopped_task_says_why() {
        let detail = |k: &str, v: &str| sdk::KeyValuePair::builder().name(k).value(v).build();
        let x = sdk::Task::builder()
            .task_arn("t")
            .group("service:web")
            .last_status("STOPPED")
            .stop_code(sdk::TaskStopCode::EssentialContainerExited)
            .stopped_reason("Essential container in task exited")
            .attachments(
                sdk::Attachment::builder()
                    .details(detail("subnetId", "s"))
                    .details(detail("privateIPv4Address", "10.0.1.9"))
                    .build(),
            )
            .containers(
                sdk::Container::builder().name("app").exit_code(137).reason("OutOfMemoryError").build(),
            )
            .containers(sdk::Container::builder().name("proxy").reason("CannotPullContainerError").build())
            .containers(sdk::Container::builder().name("sidecar").build())
            .build();
        let got = task(&x);
        assert_eq!((got.address.as_str(), got.stop_code.as_str()), ("10.0.1.9", "EssentialContainerExited"));
        assert_eq!(got.exits, ["app: exit 137 OutOfMemoryError", "proxy: CannotPullContainerError"]);
    }

    #[test]
    fn a_task_definition_names_its_log_groups_and_nothing_secret() {
        let log = sdk::LogConfiguration::builder()
            .log_driver(sdk::LogDriver::Awslogs)
            .options("awslogs-group", "/ecs/web")
            .build()
            .unwrap();
        let secret = sdk::KeyValuePair::builder().name("DB_PASSWORD").value("hunter2").build();
        let x = sdk::TaskDefinition::builder()
            .network_mode(sdk::NetworkMode::Awsvpc)
            .container_definitions(
                sdk::ContainerDefinition::builder()
                    .name("app")
                    .port_mappings(sdk::PortMapping::builder().container_port(8080).build())
                    .environment(secret)
                    .log_configuration(log)
                    .stop_timeout(45)
                    .build(),
            )
            .build();
        let got = task_definition(&x);
        let c = &got.containers[0];
        assert_eq!((c.log_driver.as_str(), c.log_group.as_str()), ("awslogs", "/ecs/web"));
        assert_eq!((c.ports.as_slice(), c.stop_timeout_s), (&[8080][..], Some(45)));
        assert!(!format!("{got:?}").contains("hunter2"));
    }
}
