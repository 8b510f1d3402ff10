//! What stands beside a request path: health checks of names, web ACLs,
//! deployments, caches, traces. Sources: Amazon Route 53 API reference (2013-04-01),
//! AWS WAF API reference (2019-07-29), AWS CodeDeploy API reference
//! (2014-10-06), Amazon ElastiCache API reference (2015-02-02).

use super::datum::{Datum, Gap, Reason};
use super::observation::{Fact, Topic};
use super::trace::Traces;
use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A health check of Route 53, and what its checkers reported last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    pub id: SafeText,
    /// `HTTP`, `HTTPS`, `HTTP_STR_MATCH`, `TCP`, `CALCULATED`, `CLOUDWATCH_METRIC`, ...
    pub kind: SafeText,
    /// `https://shop.example.com:443/health`; empty for those that check no endpoint.
    pub endpoint: SafeText,
    pub inverted: bool,
    /// Not checked at all: it then counts as healthy.
    pub disabled: bool,
    /// Checkers that have reported; `None` where none are asked or they could not be read.
    pub reports: Option<u32>,
    /// How many of them say that it fails.
    pub failing: u32,
    /// What the first of these says.
    pub why: SafeText,
    /// Parts that could not be read.
    pub gaps: Vec<(SafeText, Reason)>,
}

/// Route 53 takes an endpoint for healthy when more of its checkers than this
/// say so, in per cent ("How Amazon Route 53 determines whether a health check
/// is healthy", developer guide).
const WELL_ABOVE: u32 = 18;

impl HealthCheck {
    /// What the reports come to; `None` where there are none.
    pub fn healthy(&self) -> Option<bool> {
        if self.disabled {
            return Some(!self.inverted);
        }
        let n = self.reports.filter(|n| *n > 0)?;
        let well = n.saturating_sub(self.failing) * 100 > n * WELL_ABOVE;
        Some(well != self.inverted)
    }

    /// `9 of 15 checkers fail at https://...: Failure: Connection timed out`.
    pub fn phrase(&self) -> SafeText {
        let at = if self.endpoint.is_empty() { String::new() } else { format!(" at {}", self.endpoint) };
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        match self.reports {
            _ if self.disabled => format!("it is switched off{at}").into(),
            Some(n) => format!("{} of {n} checkers fail{at}{why}", self.failing).into(),
            None => format!("no checker has reported{at}").into(),
        }
    }
}

/// A web ACL, or that none is associated (an empty ARN).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebAcl {
    pub arn: SafeText,
    pub name: SafeText,
    /// What its metrics call it.
    pub metric: SafeText,
    /// `allow` or `block`: what happens to requests that no rule decides.
    pub default: SafeText,
    pub rules: Vec<AclRule>,
}

impl WebAcl {
    /// One of CloudFront, whose metrics are in one region.
    pub fn is_global(&self) -> bool {
        self.arn.contains(":global/webacl/")
    }
}

/// One rule of a web ACL, first to last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AclRule {
    pub name: SafeText,
    pub metric: SafeText,
    /// `block`, `count`, `allow`, `captcha`, `challenge`; `group` for a group of
    /// rules that decide themselves.
    pub action: SafeText,
}

/// A deployment of CodeDeploy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// `d-ABCDEF123`.
    pub id: SafeText,
    pub application: SafeText,
    /// Deployment group.
    pub group: SafeText,
    /// `Created`, `InProgress`, `Succeeded`, `Failed`, `Stopped`, ...
    pub status: SafeText,
    pub created: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// `user`, `autoscaling`, `codeDeployRollback`, ...
    pub creator: SafeText,
    /// `Server`, `ECS`, `Lambda`.
    pub platform: SafeText,
    /// Code and message when it failed; empty when it did not.
    pub error: SafeText,
    /// Names of target groups and Classic Load Balancers it shifts requests with.
    pub balancers: Vec<SafeText>,
    pub scaling_groups: Vec<SafeText>,
    /// Names of ECS services.
    pub services: Vec<SafeText>,
    /// Tags of the instances it goes to.
    pub tags: Vec<(SafeText, SafeText)>,
    /// Names of the functions it shifts to another version.
    pub functions: Vec<SafeText>,
    /// Why it is not known what functions it goes to, where that was asked in vain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untold: Option<Reason>,
}

/// Caches that the targets may reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caches {
    pub clusters: Vec<Cache>,
    /// Replication groups of these clusters: id, status, automatic failover.
    pub groups: Vec<(SafeText, SafeText, SafeText)>,
    /// Newest first: when, which cluster or group, what.
    pub events: Vec<(Timestamp, SafeText, SafeText)>,
    /// Parts that could not be read.
    pub gaps: Vec<(SafeText, Reason)>,
}

/// One cache cluster: a node of Redis or Valkey, or all nodes of Memcached. A
/// serverless cache is one whose class is `serverless`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cache {
    pub id: SafeText,
    pub arn: SafeText,
    /// Replication group; empty when it stands alone.
    pub group: SafeText,
    /// `available`, `rebooting cluster nodes`, `incompatible-network`, ...
    pub status: SafeText,
    /// `redis`, `valkey`, `memcached`.
    pub engine: SafeText,
    pub class: SafeText,
    pub port: Option<u16>,
    pub security_groups: Vec<SafeText>,
    /// Address that clients connect to; empty where each node has its own.
    pub endpoint: SafeText,
    /// Nodes that are not available, with their status.
    pub ill: Vec<(SafeText, SafeText)>,
}

/// Class of what has no nodes of its own.
pub const SERVERLESS: &str = "serverless";

/// The part of an answer about caches that tells of these.
pub const WITHOUT_NODES: &str = "serverless caches";

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// By id.
    pub checks: BTreeMap<SafeText, Datum<HealthCheck>>,
    /// By ARN of what they protect; by id for distributions.
    pub acls: BTreeMap<SafeText, Datum<WebAcl>>,
    /// By ARN of the load balancer or function, the name of a Classic Load
    /// Balancer, or the id of an API.
    pub releases: BTreeMap<SafeText, Datum<Vec<Release>>>,
    /// By VPC.
    pub caches: BTreeMap<SafeText, Datum<Caches>>,
    /// By ARN of the load balancer, or the id of what stands in its place.
    pub traces: BTreeMap<SafeText, Datum<Traces>>,
}

fn set<T: Clone + PartialEq>(slot: &mut Datum<T>, v: &T, at: Timestamp, source: &SafeText) -> bool {
    let differs = slot.value().is_some_and(|old| old != v);
    slot.learn(v.clone(), at, source.clone()) && differs
}

impl Beside {
    /// Stores a fact; whether it replaced another configuration, `None` when
    /// it is not of these topics.
    pub(super) fn take(&mut self, topic: &Topic, fact: &Fact, at: Timestamp, src: &SafeText) -> Option<bool> {
        Some(match (topic, fact) {
            (Topic::HealthCheck(id), Fact::HealthCheck(v)) => {
                // How many checkers report changes all the time; that it fails is news.
                let slot = self.checks.entry(id.clone()).or_default();
                let before = slot.value().map(HealthCheck::healthy);
                set(slot, v, at, src);
                before.is_some_and(|b| b.is_some() && v.healthy().is_some() && b != v.healthy())
            }
            (Topic::WebAcl(id), Fact::WebAcl(v)) => set(self.acls.entry(id.clone()).or_default(), v, at, src),
            (Topic::Releases(id), Fact::Releases(v)) => {
                set(self.releases.entry(id.clone()).or_default(), v, at, src);
                false
            }
            (Topic::Caches(vpc), Fact::Caches(v)) => {
                let slot = self.caches.entry(vpc.clone()).or_default();
                let told = |c: &Caches| (c.clusters.clone(), c.groups.clone());
                let before = slot.value().map(told);
                set(slot, v, at, src);
                before.is_some_and(|b| b != told(v))
            }
            (Topic::Traces(id), Fact::Traces(v)) => {
                set(self.traces.entry(id.clone()).or_default(), v, at, src);
                false
            }
            _ => return None,
        })
    }

    /// Hands a failure to the datum of a topic; `None` when it is not of these.
    pub(super) fn fail(&mut self, topic: &Topic, gap: Gap) -> Option<bool> {
        Some(match topic {
            Topic::HealthCheck(id) => self.checks.entry(id.clone()).or_default().fail(gap),
            Topic::WebAcl(id) => self.acls.entry(id.clone()).or_default().fail(gap),
            Topic::Releases(id) => self.releases.entry(id.clone()).or_default().fail(gap),
            Topic::Caches(vpc) => self.caches.entry(vpc.clone()).or_default().fail(gap),
            Topic::Traces(id) => self.traces.entry(id.clone()).or_default().fail(gap),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_fails_when_too_few_checkers_say_that_all_is_well() {
        let of = |reports, failing| HealthCheck { reports, failing, ..HealthCheck::default() };
        assert_eq!(of(None, 0).healthy(), None);
        assert_eq!(of(Some(0), 0).healthy(), None, "nobody has said anything");
        assert_eq!(of(Some(16), 16).healthy(), Some(false));
        assert_eq!(of(Some(16), 14).healthy(), Some(false), "12 % are too few");
        assert_eq!(of(Some(16), 13).healthy(), Some(true), "19 % are enough");
        let inverted = HealthCheck { inverted: true, ..of(Some(16), 0) };
        assert_eq!(inverted.healthy(), Some(false));
        let off = HealthCheck { disabled: true, ..of(None, 0) };
        assert_eq!(off.healthy(), Some(true));
    }
}
