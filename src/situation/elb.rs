//! Load balancers as their owner configured them (ELBv2 vocabulary).
//! Source of shapes: Elastic Load Balancing API reference, version 2015-12-01.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Attributes by key, as the API names them (`idle_timeout.timeout_seconds`).
pub type Attributes = BTreeMap<SafeText, SafeText>;

/// One load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    pub arn: SafeText,
    pub name: SafeText,
    pub dns_name: SafeText,
    /// `application`, `network`, `gateway`.
    pub kind: SafeText,
    /// `internet-facing` or `internal`.
    pub scheme: SafeText,
    pub vpc: SafeText,
    /// `active`, `provisioning`, `active_impaired`, `failed`.
    pub state: SafeText,
    pub state_reason: SafeText,
    /// `ipv4`, `dualstack`, ...
    pub ip_address_type: SafeText,
    pub security_groups: Vec<SafeText>,
    pub zones: Vec<Zone>,
    pub created: Option<Timestamp>,
}

impl LoadBalancer {
    /// The `app/NAME/ID` part of the ARN: the CloudWatch dimension and the
    /// tail of the description of the load balancer's network interfaces.
    pub fn dimension(&self) -> &str {
        self.arn.split_once(":loadbalancer/").map_or("", |(_, d)| d)
    }
}

/// One availability zone a load balancer has a node in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Zone {
    pub az: SafeText,
    pub subnet: SafeText,
}

/// One listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    pub arn: SafeText,
    pub lb: SafeText,
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`, ...
    pub protocol: SafeText,
    pub ssl_policy: SafeText,
    /// ARNs; the default certificate first.
    pub certificates: Vec<SafeText>,
    pub default_actions: Vec<Action>,
}

/// One listener rule. The default rule has `priority` `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    pub arn: SafeText,
    pub listener: SafeText,
    pub priority: Option<u32>,
    pub conditions: Vec<Condition>,
    pub actions: Vec<Action>,
}

/// One condition of a rule: `path-pattern` in `/api/*`, ...
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    pub field: SafeText,
    pub values: Vec<SafeText>,
}

/// One action of a rule or listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// `forward`, `redirect`, `fixed-response`, `authenticate-oidc`, ...
    pub kind: SafeText,
    pub order: i32,
    /// Target groups of a forward action, with weights (a single target is weight 1).
    pub groups: Vec<WeightedGroup>,
    /// Status code of a fixed response or redirect.
    pub status: Option<u16>,
    /// Redirect target or fixed body, in short.
    pub detail: SafeText,
}

/// A share of a forward action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeightedGroup {
    pub arn: SafeText,
    pub weight: u32,
}

/// One target group with its health check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetGroup {
    pub arn: SafeText,
    pub name: SafeText,
    /// `HTTP`, `HTTPS`, `TCP`, ...; empty for Lambda.
    pub protocol: SafeText,
    /// `HTTP1`, `HTTP2`, `GRPC`; empty when it does not apply.
    pub protocol_version: SafeText,
    /// Default traffic port; `None` for Lambda.
    pub port: Option<u16>,
    pub vpc: SafeText,
    /// `instance`, `ip`, `lambda`, `alb`.
    pub target_type: SafeText,
    pub lb_arns: Vec<SafeText>,
    pub health_check: HealthCheck,
}

impl TargetGroup {
    /// `targetgroup/NAME/ID`, the CloudWatch dimension.
    pub fn dimension(&self) -> &str {
        self.arn.rsplit_once(':').map_or("", |(_, d)| d)
    }
}

/// How a target group decides that a target is healthy. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    pub enabled: Option<bool>,
    pub protocol: SafeText,
    /// `traffic-port` or a number.
    pub port: SafeText,
    pub path: SafeText,
    pub interval_s: Option<u32>,
    pub timeout_s: Option<u32>,
    pub healthy_threshold: Option<u32>,
    pub unhealthy_threshold: Option<u32>,
    /// Expected HTTP or gRPC codes, e.g. `200-299`.
    pub matcher: SafeText,
}

/// One target as the load balancer sees it now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetHealth {
    /// Instance id, IP address, function ARN or load balancer ARN.
    pub id: SafeText,
    pub port: Option<u16>,
    pub az: SafeText,
    /// Port of the health check; `None` when the API said `traffic-port`.
    pub health_port: Option<u16>,
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`, `unhealthy.draining`.
    pub state: SafeText,
    /// `Target.Timeout`, `Target.FailedHealthChecks`, ...; empty when healthy.
    pub reason: SafeText,
    pub description: SafeText,
    /// `normal` or `anomalous`; empty when not reported.
    pub anomaly: SafeText,
    /// Administrative override (zonal shift), empty when none.
    pub override_state: SafeText,
}

impl TargetHealth {
    /// Identity within a group: the same id may be registered on several ports.
    pub fn key(&self) -> TargetKey {
        TargetKey { id: self.id.clone(), port: self.port }
    }

    /// True only for `healthy`; every other state is something to look at.
    pub fn is_healthy(&self) -> bool {
        self.state.as_str() == "healthy"
    }
}

/// A target within a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetKey {
    pub id: SafeText,
    pub port: Option<u16>,
}
