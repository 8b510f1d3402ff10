//! Series of what stands behind a load balancer: instances, ECS services,
//! functions, databases, caches. Which combination of dimensions the agent on an
//! instance publishes with is its owner's choice, so that is looked up.

use super::{Ask, Window};
use crate::situation::metric::MetricKey;
use crate::situation::{Observation, Topic, function_name};
use crate::sources::aws::ask::Pages;
use crate::sources::aws::client::Aws;
use crate::sources::aws::cloudwatch::{self, Metric};
use crate::text::SafeText;
use futures::future::join_all;

/// Instances whose series are asked for at most.
const INSTANCES: usize = 40;
/// Pages of 500 of one metric of the agents.
const MOST_PAGES: usize = 4;

/// Whose series are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hosts {
    /// Instance ids, those in trouble first.
    pub instances: Vec<SafeText>,
    /// Cluster name, service name, service ARN.
    pub services: Vec<(SafeText, SafeText, SafeText)>,
    /// Function ARNs.
    pub functions: Vec<SafeText>,
    /// Database ids.
    pub databases: Vec<SafeText>,
    /// Cache cluster ids.
    pub caches: Vec<SafeText>,
    /// Names of serverless caches.
    pub serverless: Vec<SafeText>,
}

impl Hosts {
    /// Nothing to ask for.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
            && self.services.is_empty()
            && self.functions.is_empty()
            && self.databases.is_empty()
            && self.caches.is_empty()
            && self.serverless.is_empty()
    }
}

const INSTANCE: [(&str, &str); 4] = [
    ("CPUUtilization", "Average"),
    ("CPUUtilization", "Maximum"),
    ("CPUCreditBalance", "Minimum"),
    ("StatusCheckFailed", "Maximum"),
];
/// Source: "Metrics and events for Valkey and Redis OSS" (serverless caches),
/// Amazon ElastiCache user guide.
const SERVERLESS: [(&str, &str); 2] = [("CurrConnections", "Maximum"), ("ThrottledCmds", "Sum")];
const SERVICE: [(&str, &str); 4] = [
    ("CPUUtilization", "Average"),
    ("CPUUtilization", "Maximum"),
    ("MemoryUtilization", "Average"),
    ("MemoryUtilization", "Maximum"),
];
const FUNCTION: [(&str, &str); 5] = [
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
    ("Duration", "Maximum"),
    ("ConcurrentExecutions", "Maximum"),
];
const DATABASE: [(&str, &str); 5] = [
    ("DatabaseConnections", "Maximum"),
    ("CPUUtilization", "Average"),
    ("FreeStorageSpace", "Minimum"),
    ("FreeableMemory", "Minimum"),
    ("DiskQueueDepth", "Average"),
];
const CACHE: [(&str, &str); 5] = [
    ("CurrConnections", "Maximum"),
    ("EngineCPUUtilization", "Average"),
    ("CPUUtilization", "Average"),
    ("Evictions", "Sum"),
    ("DatabaseMemoryUsagePercentage", "Maximum"),
];
/// Of the agent on an instance.
const AGENT: [&str; 3] = ["mem_used_percent", "disk_used_percent", "swap_used_percent"];
/// Dimensions the agent is known to publish with.
const AGENT_DIMENSIONS: [&str; 7] =
    ["InstanceId", "ImageId", "InstanceType", "AutoScalingGroupName", "path", "device", "fstype"];

fn key(namespace: &'static str, name: &str, stat: &str, subject: impl Into<SafeText>) -> MetricKey {
    MetricKey {
        namespace: namespace.into(),
        name: name.into(),
        stat: stat.into(),
        subject: subject.into(),
        az: SafeText::default(),
    }
}

fn plan(hosts: &Hosts) -> Vec<Ask> {
    let mut out = Vec::new();
    for id in hosts.instances.iter().take(INSTANCES) {
        out.extend(INSTANCE.map(|(name, stat)| Ask {
            key: key("AWS/EC2", name, stat, id.clone()),
            dimensions: vec![("InstanceId", id.to_string())],
        }));
    }
    for (cluster, service, arn) in &hosts.services {
        out.extend(SERVICE.map(|(name, stat)| Ask {
            key: key("AWS/ECS", name, stat, arn.clone()),
            dimensions: vec![("ClusterName", cluster.to_string()), ("ServiceName", service.to_string())],
        }));
    }
    for arn in &hosts.functions {
        let name_of = function_name(arn).unwrap_or(arn).to_string();
        out.extend(FUNCTION.map(|(name, stat)| Ask {
            key: key("AWS/Lambda", name, stat, arn.clone()),
            dimensions: vec![("FunctionName", name_of.clone())],
        }));
    }
    for id in &hosts.databases {
        out.extend(DATABASE.map(|(name, stat)| Ask {
            key: key("AWS/RDS", name, stat, id.clone()),
            dimensions: vec![("DBInstanceIdentifier", id.to_string())],
        }));
    }
    for id in &hosts.caches {
        out.extend(CACHE.map(|(name, stat)| Ask {
            key: key("AWS/ElastiCache", name, stat, id.clone()),
            dimensions: vec![("CacheClusterId", id.to_string())],
        }));
    }
    for id in &hosts.serverless {
        out.extend(SERVERLESS.map(|(name, stat)| Ask {
            key: key("AWS/ElastiCache", name, stat, id.clone()),
            dimensions: vec![("clusterId", id.to_string())],
        }));
    }
    out
}

/// A series of an agent, if it is of one of our instances. The subject of a
/// disk is `INSTANCE PATH`.
fn agent(metric: &Metric, instances: &[SafeText]) -> Option<Ask> {
    let mut dimensions = Vec::new();
    for d in &metric.dimensions {
        let name = AGENT_DIMENSIONS.iter().find(|n| **n == d.name)?;
        dimensions.push((*name, d.value.clone()));
    }
    let of = |n: &str| dimensions.iter().find(|d| d.0 == n).map(|d| d.1.as_str());
    let id = of("InstanceId").filter(|id| instances.iter().any(|i| i.as_str() == *id))?;
    // What the kernel keeps in memory is always as full as it likes.
    if of("fstype").is_some_and(|t| matches!(t, "squashfs" | "overlay" | "tmpfs" | "devtmpfs" | "iso9660")) {
        return None;
    }
    let subject = of("path").map_or_else(|| id.to_string(), |path| format!("{id} {path}"));
    let name = AGENT.iter().find(|n| **n == metric.metric_name)?;
    Some(Ask { key: key("CWAgent", name, "Maximum", SafeText::from(subject)), dimensions })
}

/// Series of the agents on these instances; none where listing them fails:
/// most hosts have no agent, and the others are told by the rest.
async fn agents(aws: &Aws, name: &'static str, instances: &[SafeText]) -> Vec<Ask> {
    let mut out = Vec::new();
    let mut pages = Pages::default();
    for _ in 0..MOST_PAGES {
        let Ok((metrics, next)) = cloudwatch::list(aws, &pages, "CWAgent", name).await else { break };
        out.extend(metrics.iter().filter_map(|m| agent(m, instances)));
        if !pages.advance(next).unwrap_or(false) {
            break;
        }
    }
    out
}

/// Asks for all of them.
pub async fn ask(aws: &Aws, lb: &SafeText, hosts: &Hosts, window: Window) -> Vec<Observation> {
    let mut asks = plan(hosts);
    if !hosts.instances.is_empty() {
        let found = join_all(AGENT.map(|name| agents(aws, name, &hosts.instances))).await;
        asks.extend(found.into_iter().flatten());
    }
    super::collect(aws, &Topic::HostMetrics(lb.clone()), asks, window).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, dims: &[(&str, &str)]) -> Metric {
        Metric::new("CWAgent", name, dims.iter().copied())
    }

    #[test]
    fn the_agents_own_dimensions_are_asked_for() {
        let ours = [SafeText::from("i-1")];
        let disk =
            metric("disk_used_percent", &[("InstanceId", "i-1"), ("path", "/data"), ("fstype", "xfs")]);
        let ask = agent(&disk, &ours).unwrap();
        assert_eq!((ask.key.subject.as_str(), ask.dimensions.len()), ("i-1 /data", 3));
        let plain = agent(&metric("mem_used_percent", &[("InstanceId", "i-1")]), &ours).unwrap();
        assert_eq!(plain.key.subject, "i-1");
        for other in [
            metric("mem_used_percent", &[("InstanceId", "i-2")]),
            metric("disk_used_percent", &[("InstanceId", "i-1"), ("path", "/snap"), ("fstype", "squashfs")]),
            metric("mem_used_percent", &[("InstanceId", "i-1"), ("Odd", "x")]),
            metric("cpu_usage", &[("InstanceId", "i-1")]),
        ] {
            assert!(agent(&other, &ours).is_none(), "{other:?}");
        }
    }

    #[test]
    fn each_kind_has_its_own_dimensions() {
        let hosts = Hosts {
            instances: vec!["i-1".into()],
            services: vec![("prod".into(), "web".into(), "arn:svc".into())],
            functions: vec!["arn:aws:lambda:r:1:function:quotes:live".into()],
            databases: vec!["shopdb".into()],
            caches: vec!["shop-001".into()],
            serverless: vec!["sess".into()],
        };
        let asks = plan(&hosts);
        let dims = |ns: &str| {
            asks.iter().find(|a| a.key.namespace == ns).map(|a| a.dimensions.clone()).unwrap_or_default()
        };
        assert_eq!(dims("AWS/EC2"), [("InstanceId", "i-1".to_string())]);
        assert_eq!(dims("AWS/Lambda"), [("FunctionName", "quotes".to_string())]);
        assert_eq!(dims("AWS/ECS").len(), 2);
        assert_eq!(dims("AWS/ElastiCache"), [("CacheClusterId", "shop-001".to_string())]);
        let without: Vec<_> =
            asks.iter().filter(|a| a.dimensions[0] == ("clusterId", "sess".to_string())).collect();
        assert_eq!(without.len(), 2, "serverless caches have a dimension of their own");
        assert_eq!(asks.len(), 25);
    }
}
