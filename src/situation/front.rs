//! What stands in front of a load balancer or without one: CloudFront
//! distributions, API Gateway APIs, Classic Load Balancers, DNS records, and
//! the rows of their logs.
//! Sources of shapes: Amazon CloudFront API reference (2020-05-31), API
//! Gateway API references (v1, v2), Elastic Load Balancing API reference
//! (2012-06-01), Route 53 API reference (2013-04-01).

use super::around::Changes;
use super::datum::{Datum, Gap, Reason};
use super::observation::{Fact, Topic};
use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A CloudFront distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distribution {
    pub id: SafeText,
    pub arn: SafeText,
    /// `d111111abcdef8.cloudfront.net`.
    pub domain: SafeText,
    pub aliases: Vec<SafeText>,
    /// `Deployed` or `InProgress`; empty when it was not read.
    pub status: SafeText,
    pub enabled: bool,
    pub modified: Option<Timestamp>,
    pub origins: Vec<Origin>,
    /// Origin groups: id and origin ids in order.
    pub groups: Vec<(SafeText, Vec<SafeText>)>,
    /// The default one has the pattern `*` and comes last.
    pub behaviors: Vec<Behavior>,
    /// Status, seconds its answer is kept, status shown instead.
    pub errors: Vec<(u16, Option<u32>, Option<u16>)>,
    /// ACM certificate for viewers; empty for the default one.
    pub certificate: SafeText,
    pub web_acl: SafeText,
    /// Bucket and prefix of standard logs; empty when they are off.
    pub log_bucket: SafeText,
    pub log_prefix: SafeText,
}

impl Distribution {
    /// Ids of the origins requests go to, the default behaviour's first.
    pub fn used(&self) -> Vec<&Origin> {
        let mut out: Vec<&Origin> = Vec::new();
        for b in self.behaviors.iter().rev() {
            let ids: Vec<&SafeText> = match self.groups.iter().find(|g| g.0 == b.origin) {
                Some((_, members)) => members.iter().collect(),
                None => vec![&b.origin],
            };
            for id in ids {
                if let Some(o) = self.origins.iter().find(|o| o.id == *id)
                    && !out.iter().any(|x| x.id == o.id)
                {
                    out.push(o);
                }
            }
        }
        out
    }

    /// Is the viewer's Host header sent on to this origin? `None` when the
    /// policies that decide it were not read.
    pub fn forwards_host(&self, origin: &Origin) -> Option<bool> {
        let mut known = Some(false);
        for b in self.behaviors.iter().filter(|b| b.origin == origin.id) {
            match b.host {
                Some(true) => return Some(true),
                Some(false) => {}
                None => known = None,
            }
        }
        known
    }
}

/// Where a distribution fetches from. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    pub id: SafeText,
    pub domain: SafeText,
    /// `custom`, `s3` or `vpc`.
    pub kind: SafeText,
    pub http_port: Option<u16>,
    pub https_port: Option<u16>,
    /// `http-only`, `https-only`, `match-viewer`.
    pub policy: SafeText,
    /// `TLSv1.2`, ...
    pub protocols: Vec<SafeText>,
    pub read_s: Option<u32>,
    pub keepalive_s: Option<u32>,
    pub connect_s: Option<u32>,
    pub attempts: Option<u32>,
    pub completion_s: Option<u32>,
    pub vpc_origin: SafeText,
}

impl Origin {
    /// The ports edges may connect to, with whether it is TLS.
    pub fn ports(&self) -> Vec<(u16, bool)> {
        let (plain, tls) = match self.policy.as_str() {
            "http-only" => (true, false),
            "https-only" => (false, true),
            _ => (true, true),
        };
        let mut out = Vec::new();
        if let Some(p) = self.https_port.filter(|_| tls) {
            out.push((p, true));
        }
        if let Some(p) = self.http_port.filter(|_| plain) {
            out.push((p, false));
        }
        out
    }

    /// True when the edge speaks TLS to it, at least for some viewers.
    pub fn speaks_tls(&self) -> bool {
        matches!(self.policy.as_str(), "https-only" | "match-viewer")
    }
}

/// What happens to requests of one path pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Behavior {
    pub pattern: SafeText,
    /// Id of an origin or of an origin group.
    pub origin: SafeText,
    /// Event (`viewer-request`, ...) and ARN of CloudFront Functions and Lambda@Edge.
    pub functions: Vec<(SafeText, SafeText)>,
    /// The viewer's Host header is sent on; `None` when it is not known.
    pub host: Option<bool>,
}

/// An API of API Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Api {
    pub id: SafeText,
    pub name: SafeText,
    /// `REST`, `HTTP` or `WEBSOCKET`.
    pub kind: SafeText,
    /// `REGIONAL`, `EDGE`, `PRIVATE`.
    pub endpoint: SafeText,
    /// The stage in view; empty when all of them are.
    pub stage: SafeText,
    pub stages: Vec<Stage>,
    pub integrations: Vec<Integration>,
    pub links: Vec<VpcLink>,
    /// What was left out; empty when all was read.
    pub cut: SafeText,
    /// Parts that could not be read.
    pub gaps: Vec<(SafeText, Reason)>,
}

impl Api {
    /// ARNs of the functions behind it.
    pub fn functions(&self) -> Vec<&SafeText> {
        let mut all: Vec<&SafeText> =
            self.integrations.iter().map(|i| &i.function).filter(|f| !f.is_empty()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// A REST API, whose answers and metrics have other names than an HTTP API's.
    pub fn is_rest(&self) -> bool {
        self.kind.as_str() == "REST"
    }

    /// Names of the log groups that its stages write to.
    pub fn log_groups(&self) -> Vec<SafeText> {
        let mut out: Vec<SafeText> = Vec::new();
        for s in &self.stages {
            if !s.access_log.is_empty() {
                out.push(s.access_log.clone());
            }
            if self.is_rest() {
                out.push(format!("API-Gateway-Execution-Logs_{}/{}", self.id, s.name).into());
            }
        }
        out.dedup();
        out
    }
}

/// A stage of an API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    pub name: SafeText,
    /// Log group of the access log; empty when it is off.
    pub access_log: SafeText,
    /// Format of its rows as configured.
    pub format: SafeText,
    pub deployment: SafeText,
    /// When it was last updated.
    pub updated: Option<Timestamp>,
    /// ARN of its web ACL; empty when it has none.
    #[serde(skip_serializing_if = "blank")]
    pub web_acl: SafeText,
}

/// What one method or route is integrated with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Integration {
    /// `GET /orders` or the route key.
    pub route: SafeText,
    /// `AWS_PROXY`, `AWS`, `HTTP_PROXY`, `HTTP`, `MOCK`.
    pub kind: SafeText,
    pub uri: SafeText,
    /// ARN of the function it invokes; empty when it is none.
    pub function: SafeText,
    pub timeout_ms: Option<u32>,
    /// Id of a VPC link; empty when it goes through the internet.
    pub link: SafeText,
    /// Some integration response takes what no other pattern fits; `None` for
    /// proxy integrations, which have none.
    pub has_default: Option<bool>,
    /// `serverNameToVerify`; empty when there is none.
    pub server_name: SafeText,
}

/// A VPC link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VpcLink {
    pub id: SafeText,
    pub name: SafeText,
    /// `AVAILABLE`, `PENDING`, `FAILED`, `INACTIVE`, ...
    pub status: SafeText,
    pub message: SafeText,
    /// ARNs of network load balancers (REST).
    pub targets: Vec<SafeText>,
    pub security_groups: Vec<SafeText>,
}

/// A Classic Load Balancer. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Classic {
    pub name: SafeText,
    pub dns_name: SafeText,
    pub scheme: SafeText,
    pub vpc: SafeText,
    pub zones: Vec<SafeText>,
    pub subnets: Vec<SafeText>,
    pub security_groups: Vec<SafeText>,
    pub instances: Vec<SafeText>,
    /// Protocol and port in front, then behind: `HTTP:80 -> HTTP:8080`.
    pub listeners: Vec<(SafeText, u16, SafeText, u16)>,
    /// `HTTP:8080/healthz`, and what its check allows.
    pub health_check: SafeText,
    pub health_interval_s: Option<u32>,
    pub health_timeout_s: Option<u32>,
    /// `None` where attributes could not be read.
    pub idle_s: Option<u32>,
    pub cross_zone: Option<bool>,
    pub draining_s: Option<u32>,
    /// Bucket and prefix of access logs; empty when they are off.
    pub log_bucket: SafeText,
    pub log_prefix: SafeText,
    /// Why attributes are not known, when they are not.
    pub gap: Option<Reason>,
}

/// One instance as a Classic Load Balancer sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceHealth {
    pub id: SafeText,
    /// `InService`, `OutOfService`, `Unknown`.
    pub state: SafeText,
    /// `Instance`, `ELB`, `N/A`.
    pub reason: SafeText,
    pub description: SafeText,
}

/// What Route 53 holds for one host name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Records {
    /// The zone that would hold it; empty when this account has none.
    pub zone: SafeText,
    pub zone_id: SafeText,
    pub records: Vec<Record>,
}

/// One record set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    pub name: SafeText,
    /// `A`, `AAAA`, `CNAME`.
    pub kind: SafeText,
    /// DNS name of the alias target; empty when it is none.
    pub alias: SafeText,
    pub values: Vec<SafeText>,
    /// Tells several sets of one name apart; empty where there is one.
    #[serde(skip_serializing_if = "blank")]
    pub set: SafeText,
    pub weight: Option<u32>,
    /// Region of a latency record; empty otherwise.
    #[serde(skip_serializing_if = "blank")]
    pub region: SafeText,
    /// `PRIMARY` or `SECONDARY`; empty otherwise.
    #[serde(skip_serializing_if = "blank")]
    pub failover: SafeText,
    /// Where clients are for whom it is meant: `continent EU`, `country JP`, `default`.
    #[serde(skip_serializing_if = "blank")]
    pub place: SafeText,
    /// Id of its health check; empty when it has none.
    #[serde(skip_serializing_if = "blank")]
    pub check: SafeText,
    /// An alias that is taken for as healthy as what it leads to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub evaluates: bool,
    /// What it leads to has no address any more; `None` when nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<bool>,
}

fn blank(text: &SafeText) -> bool {
    text.is_empty()
}

impl Records {
    /// Names the records lead to; those that are never answered with come last.
    pub fn leads_to(&self) -> impl Iterator<Item = &str> {
        let idle = |r: &&Record| r.weight == Some(0) || r.failover.as_str() == "SECONDARY";
        let live = self.records.iter().filter(move |r| !idle(r));
        live.chain(self.records.iter().filter(idle)).flat_map(Record::leads_to)
    }
}

impl Record {
    /// How Route 53 chooses among the sets of its name: `weight 70`, `failover
    /// PRIMARY`, `latency eu-west-1`; empty for a plain record.
    pub fn policy(&self) -> String {
        if let Some(w) = self.weight {
            return format!("weight {w}");
        }
        for (word, v) in [("failover", &self.failover), ("latency", &self.region), ("for", &self.place)] {
            if !v.is_empty() {
                return format!("{word} {v}");
            }
        }
        if self.set.is_empty() { String::new() } else { "one of several".into() }
    }

    /// Names it leads to.
    pub fn leads_to(&self) -> impl Iterator<Item = &str> {
        let names = self.values.iter().filter(|_| self.kind.as_str() == "CNAME").map(SafeText::as_str);
        names.chain([self.alias.as_str()]).filter(|n| !n.is_empty())
    }
}

/// Rows of the log of something in front: failing ones within a bound, all of
/// them counted. Client addresses and query strings are not kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontLog {
    pub origin: SafeText,
    pub from: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    pub rows: u64,
    pub unreadable: u64,
    /// What was left out; empty when all was read.
    pub cut: SafeText,
    /// Start of minute, status, rows.
    pub minutes: Vec<(Timestamp, u16, u32)>,
    /// Rows with 4xx, 5xx or no status; oldest first.
    pub failing: Vec<FrontRow>,
    /// Each row of `failing` stands for this many.
    pub thinned: u32,
}

/// One failing row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontRow {
    pub at: Timestamp,
    /// Status for the client; 0 when it left.
    pub status: u16,
    pub method: SafeText,
    pub path: SafeText,
    /// Seconds the request took (CloudFront), or the integration did.
    pub took_s: Option<f32>,
    /// CloudFront: `x-edge-result-type`.
    pub result: SafeText,
    /// CloudFront: `x-edge-detailed-result-type`. API Gateway: `$context.error.responseType`.
    pub detail: SafeText,
    /// Status that the backend returned, and that the service in between did.
    pub inner: Option<u16>,
    pub service: Option<u16>,
    /// What the gateway says of the error.
    pub message: SafeText,
    /// CloudFront: edge location. Classic: instance.
    pub place: SafeText,
    /// No time was measured behind (Classic: -1).
    pub untimed: bool,
}

/// Everything known of what stands in front.
#[derive(Clone, Debug, Default)]
pub struct Fronts {
    pub distributions: BTreeMap<SafeText, Datum<Distribution>>,
    pub apis: BTreeMap<SafeText, Datum<Api>>,
    pub classics: BTreeMap<SafeText, Datum<Classic>>,
    /// By name of the load balancer.
    pub instance_health: BTreeMap<SafeText, Datum<Vec<InstanceHealth>>>,
    /// By host name.
    pub records: BTreeMap<SafeText, Datum<Records>>,
    /// When metrics of one of them were fetched. Values are in `Situation::metrics`.
    pub metrics: BTreeMap<SafeText, Datum<()>>,
    pub logs: BTreeMap<SafeText, Datum<Box<FrontLog>>>,
    pub changes: BTreeMap<SafeText, Datum<Changes>>,
}

fn set<T: Clone + PartialEq>(slot: &mut Datum<T>, v: &T, at: Timestamp, source: &SafeText) -> bool {
    let differs = slot.value().is_some_and(|old| old != v);
    slot.learn(v.clone(), at, source.clone()) && differs
}

impl Fronts {
    /// Stores a fact; whether it replaced another configuration, `None` when
    /// it is not of these topics. Metrics are only noted.
    pub(super) fn take(&mut self, topic: &Topic, fact: &Fact, at: Timestamp, src: &SafeText) -> Option<bool> {
        Some(match (topic, fact) {
            (Topic::Distribution(id), Fact::Distribution(v)) => {
                set(self.distributions.entry(id.clone()).or_default(), v.as_ref(), at, src)
            }
            (Topic::Api(id), Fact::Api(v)) => {
                set(self.apis.entry(id.clone()).or_default(), v.as_ref(), at, src)
            }
            (Topic::Classic(n), Fact::Classic(v)) => {
                set(self.classics.entry(n.clone()).or_default(), v.as_ref(), at, src)
            }
            (Topic::InstanceHealth(n), Fact::InstanceHealth(v)) => {
                set(self.instance_health.entry(n.clone()).or_default(), v, at, src);
                false
            }
            (Topic::Records(h), Fact::Records(v)) => {
                set(self.records.entry(h.clone()).or_default(), v, at, src)
            }
            (Topic::FrontLog(s), Fact::FrontLog(v)) => {
                set(self.logs.entry(s.clone()).or_default(), v, at, src);
                false
            }
            (Topic::FrontChanges(s), Fact::Changes(v)) => {
                set(self.changes.entry(s.clone()).or_default(), v, at, src);
                false
            }
            _ => return None,
        })
    }

    /// Hands a failure to the datum of a topic; `None` when it is not of these.
    pub(super) fn fail(&mut self, topic: &Topic, gap: Gap) -> Option<bool> {
        Some(match topic {
            Topic::Distribution(id) => self.distributions.entry(id.clone()).or_default().fail(gap),
            Topic::Api(id) => self.apis.entry(id.clone()).or_default().fail(gap),
            Topic::Classic(n) => self.classics.entry(n.clone()).or_default().fail(gap),
            Topic::InstanceHealth(n) => self.instance_health.entry(n.clone()).or_default().fail(gap),
            Topic::Records(h) => self.records.entry(h.clone()).or_default().fail(gap),
            Topic::FrontMetrics(s) => self.metrics.entry(s.clone()).or_default().fail(gap),
            Topic::FrontLog(s) => self.logs.entry(s.clone()).or_default().fail(gap),
            Topic::FrontChanges(s) => self.changes.entry(s.clone()).or_default().fail(gap),
            _ => return None,
        })
    }
}
