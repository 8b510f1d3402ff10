//! Kinds of questions: what a step of the procedure or a pane needs asked.

use super::observation::Topic;

/// Kinds of questions, coarser than [`Topic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// Target health of every group in view.
    Health,
    /// Load balancer, listeners, rules, groups, attributes, tags.
    Config,
    /// Subnets, security groups, ACLs, routes, interfaces, instances, prefix lists.
    Network,
    /// Time series.
    Metrics,
    /// Services, tasks and task definitions behind the groups.
    Ecs,
    /// Status checks, Auto Scaling, certificates, databases, functions.
    Around,
    /// Changes around the onset (CloudTrail), traces of what fails since (X-Ray).
    Changes,
    /// Rows of the load balancer's access log.
    AccessLog,
    /// Which log groups there are.
    LogGroups,
    /// Recent log lines of the followed groups.
    Logs,
    /// One plain request to the target itself. No cloud answers it, and it is
    /// asked only where a step says so: it is not among [`Want::ALL`].
    Probe,
    /// What the hosts say of themselves; as [`Want::Probe`], only where a step asks.
    Hosts,
}

impl Want {
    /// All kinds a cloud answers.
    pub const ALL: [Want; 10] = [
        Want::Health,
        Want::Config,
        Want::Network,
        Want::Metrics,
        Want::Ecs,
        Want::Around,
        Want::Changes,
        Want::AccessLog,
        Want::LogGroups,
        Want::Logs,
    ];

    /// The kind a topic belongs to; `None` for identity and target, and for
    /// what badgate measures by itself: those touch everything.
    pub fn of(topic: &Topic) -> Option<Want> {
        Some(match topic {
            Topic::Identity | Topic::Target | Topic::Probe(_) | Topic::Host(_) | Topic::Place(_) => {
                return None;
            }
            Topic::TargetHealth(_) | Topic::InstanceHealth(_) => Want::Health,
            Topic::LoadBalancer(_)
            | Topic::LbAttributes(_)
            | Topic::Listeners(_)
            | Topic::Rules(_)
            | Topic::TargetGroups(_)
            | Topic::TgAttributes(_)
            | Topic::Tags(_)
            | Topic::ListenerAttributes(_)
            | Topic::Distribution(_)
            | Topic::Api(_)
            | Topic::Classic(_)
            | Topic::Records(_)
            | Topic::HealthCheck(_)
            | Topic::WebAcl(_) => Want::Config,
            Topic::LbInterfaces(_)
            | Topic::Subnets(_)
            | Topic::SecurityGroups(_)
            | Topic::NetworkAcls(_)
            | Topic::RouteTables(_)
            | Topic::Instances(_)
            | Topic::Interfaces(_)
            | Topic::PrefixList(_) => Want::Network,
            Topic::Metrics(_) | Topic::HostMetrics(_) | Topic::FrontMetrics(_) => Want::Metrics,
            Topic::Changes(_) | Topic::FrontChanges(_) | Topic::Releases(_) | Topic::Traces(_) => {
                Want::Changes
            }
            Topic::AccessLog(_) | Topic::FrontLog(_) => Want::AccessLog,
            Topic::ListenerCertificates(_)
            | Topic::Certificate(_)
            | Topic::InstanceStatus(_)
            | Topic::Scaling(_)
            | Topic::Databases(_)
            | Topic::Caches(_)
            | Topic::Function(_) => Want::Around,
            Topic::EcsServices(_) | Topic::EcsTasks(_) | Topic::TaskDefinition(_) => Want::Ecs,
            Topic::LogGroups => Want::LogGroups,
            Topic::Tail(_) => Want::Logs,
        })
    }
}
