//! ECS services and tasks, as far as a request path needs them.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One ECS service that registers targets in one of our groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    pub cluster: SafeText,
    pub name: SafeText,
    pub arn: SafeText,
    pub status: SafeText,
    pub desired: i32,
    pub running: i32,
    pub pending: i32,
    pub task_definition: SafeText,
    pub target_groups: Vec<SafeText>,
    pub health_grace_s: Option<i32>,
    /// ECS Exec leads into its containers; `None` when that was not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<bool>,
    /// Newest first, at most 100.
    pub events: Vec<ServiceEvent>,
    pub deployments: Vec<Deployment>,
}

/// A line of the service's own event list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceEvent {
    pub at: Timestamp,
    pub message: SafeText,
}

/// One deployment of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    pub id: SafeText,
    /// `PRIMARY`, `ACTIVE`, `INACTIVE`.
    pub status: SafeText,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`.
    pub rollout_state: SafeText,
    pub rollout_reason: SafeText,
    pub task_definition: SafeText,
    pub desired: i32,
    pub running: i32,
    pub failed: i32,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
}

/// One task, running or stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    pub arn: SafeText,
    pub cluster: SafeText,
    /// `service:NAME`, ...
    pub group: SafeText,
    pub task_definition: SafeText,
    pub last_status: SafeText,
    pub desired_status: SafeText,
    /// Private address of an awsvpc task; empty otherwise.
    pub address: SafeText,
    pub instance_arn: SafeText,
    pub started: Option<Timestamp>,
    pub stopped: Option<Timestamp>,
    pub stop_code: SafeText,
    pub stopped_reason: SafeText,
    /// `NAME: exit CODE reason`, one per container that ended.
    pub exits: Vec<SafeText>,
}

/// One task definition, as far as logs and timeouts need it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDefinition {
    pub arn: SafeText,
    pub network_mode: SafeText,
    pub containers: Vec<Container>,
}

/// One container of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    pub name: SafeText,
    pub image: SafeText,
    pub ports: Vec<u16>,
    /// `awslogs`, ...
    pub log_driver: SafeText,
    pub log_group: SafeText,
    /// Seconds between SIGTERM and SIGKILL; `None` = the platform's default (30).
    pub stop_timeout_s: Option<i32>,
    pub memory_mib: Option<i32>,
}
