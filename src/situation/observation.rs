//! An observation: the answer to one question at one moment, or the failure
//! to get it. Immutable; everything the console knows came as one.

use super::access::AccessLog;
use super::around::{Certificate, Changes, Database, Function, InstanceStatus, ScalingGroup};
use super::beside::{Caches, HealthCheck, Release, WebAcl};
use super::datum::Reason;
use super::ecs::{Service, Task, TaskDefinition};
use super::elb::{Attributes, Listener, LoadBalancer, Rule, TargetGroup, TargetHealth};
use super::front::{Api, Classic, Distribution, FrontLog, InstanceHealth, Records};
use super::host::Host;
use super::log::{LogGroup, LogLine, Tail};
use super::metric::Series;
use super::net::{Instance, Interface, NetworkAcl, PrefixList, RouteTable, SecurityGroup, Subnet};
use super::probe::Probe;
use super::trace::Traces;
use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The question an observation answers. It is also the key under which the
/// answer is kept: a later answer to the same topic replaces the earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "topic", content = "of", rename_all = "snake_case")]
pub enum Topic {
    /// Who are we? One per session.
    Identity,
    /// What does the TARGET on the command line stand for?
    Target,
    /// One load balancer by ARN.
    LoadBalancer(SafeText),
    /// Attributes of a load balancer, by ARN.
    LbAttributes(SafeText),
    /// Listeners of a load balancer, by ARN.
    Listeners(SafeText),
    /// Rules of a listener, by ARN.
    Rules(SafeText),
    /// Target groups of a load balancer, by its ARN.
    TargetGroups(SafeText),
    /// Attributes of a target group, by ARN.
    TgAttributes(SafeText),
    /// Tags of load balancers and target groups, by load balancer ARN.
    Tags(SafeText),
    /// Target health of a target group, by ARN.
    TargetHealth(SafeText),
    /// Network interfaces of a load balancer, by ARN.
    LbInterfaces(SafeText),
    /// Subnets of a VPC.
    Subnets(SafeText),
    /// Security groups of a VPC (and those its rules refer to in peered VPCs).
    SecurityGroups(SafeText),
    /// Network ACLs of a VPC.
    NetworkAcls(SafeText),
    /// Route tables of a VPC.
    RouteTables(SafeText),
    /// Instances of a VPC.
    Instances(SafeText),
    /// Network interfaces of a VPC that hold target addresses.
    Interfaces(SafeText),
    /// One managed prefix list by id.
    PrefixList(SafeText),
    /// Metrics of a load balancer and its target groups, by load balancer ARN.
    Metrics(SafeText),
    /// ECS services behind a target group, by target group ARN.
    EcsServices(SafeText),
    /// Recent tasks of one ECS service, by service ARN.
    EcsTasks(SafeText),
    /// One ECS task definition by ARN.
    TaskDefinition(SafeText),
    /// Metrics of what stands behind a load balancer (instances, services,
    /// functions, databases), by load balancer ARN.
    HostMetrics(SafeText),
    /// Changes around the onset, by load balancer ARN.
    Changes(SafeText),
    /// Access log of a load balancer, by ARN.
    AccessLog(SafeText),
    /// Certificates of a listener besides its default one, by listener ARN.
    ListenerCertificates(SafeText),
    /// One certificate by ARN.
    Certificate(SafeText),
    /// Status checks of the instances that are targets, by VPC.
    InstanceStatus(SafeText),
    /// Auto Scaling groups that hold targets, by load balancer ARN.
    Scaling(SafeText),
    /// Databases the targets may reach, by VPC.
    Databases(SafeText),
    /// One function by ARN.
    Function(SafeText),
    /// One URL, as a probe found it.
    Probe(SafeText),
    /// One host, by how it was asked for: `local`, `ssh:web-1`.
    Host(SafeText),
    /// Attributes of a listener, by ARN.
    ListenerAttributes(SafeText),
    /// One CloudFront distribution by id.
    Distribution(SafeText),
    /// One API of API Gateway by id.
    Api(SafeText),
    /// One Classic Load Balancer by name.
    Classic(SafeText),
    /// Instances of a Classic Load Balancer, by its name.
    InstanceHealth(SafeText),
    /// What Route 53 holds for one host name.
    Records(SafeText),
    /// Metrics of a distribution, API, function or Classic Load Balancer, by its id.
    FrontMetrics(SafeText),
    /// The log of one of these, by its id.
    FrontLog(SafeText),
    /// Changes around the onset for one of these, by its id.
    FrontChanges(SafeText),
    /// One health check of Route 53 by id.
    HealthCheck(SafeText),
    /// The web ACL of a load balancer or an API's stage by ARN, or of a
    /// distribution by id.
    WebAcl(SafeText),
    /// Deployments of CodeDeploy around the onset, by ARN of the load balancer or
    /// the id of what stands in its place.
    Releases(SafeText),
    /// Caches the targets may reach, by VPC.
    Caches(SafeText),
    /// Failing traces around the onset, by ARN of the load balancer or the id of
    /// what stands in its place.
    Traces(SafeText),
    /// One of several places searched for the target, by its name (`prod/eu-west-1`).
    Place(SafeText),
    /// Log groups that could be tailed.
    LogGroups,
    /// The tail of one log group by name.
    Tail(SafeText),
}

impl Topic {
    /// The resource the question is about; empty for the session-wide ones.
    pub fn subject(&self) -> &str {
        match self {
            Topic::Identity | Topic::Target | Topic::LogGroups => "",
            Topic::LoadBalancer(s)
            | Topic::LbAttributes(s)
            | Topic::Listeners(s)
            | Topic::Rules(s)
            | Topic::TargetGroups(s)
            | Topic::TgAttributes(s)
            | Topic::Tags(s)
            | Topic::TargetHealth(s)
            | Topic::LbInterfaces(s)
            | Topic::Subnets(s)
            | Topic::SecurityGroups(s)
            | Topic::NetworkAcls(s)
            | Topic::RouteTables(s)
            | Topic::Instances(s)
            | Topic::Interfaces(s)
            | Topic::PrefixList(s)
            | Topic::Metrics(s)
            | Topic::EcsServices(s)
            | Topic::EcsTasks(s)
            | Topic::TaskDefinition(s)
            | Topic::HostMetrics(s)
            | Topic::Changes(s)
            | Topic::AccessLog(s)
            | Topic::ListenerCertificates(s)
            | Topic::Certificate(s)
            | Topic::InstanceStatus(s)
            | Topic::Scaling(s)
            | Topic::Databases(s)
            | Topic::Function(s)
            | Topic::Probe(s)
            | Topic::Host(s)
            | Topic::ListenerAttributes(s)
            | Topic::Distribution(s)
            | Topic::Api(s)
            | Topic::Classic(s)
            | Topic::InstanceHealth(s)
            | Topic::Records(s)
            | Topic::FrontMetrics(s)
            | Topic::FrontLog(s)
            | Topic::FrontChanges(s)
            | Topic::HealthCheck(s)
            | Topic::WebAcl(s)
            | Topic::Releases(s)
            | Topic::Caches(s)
            | Topic::Traces(s)
            | Topic::Place(s)
            | Topic::Tail(s) => s.as_str(),
        }
    }

    /// What kind of question it is, in words: `target health`, `network ACLs`.
    pub fn name(&self) -> &'static str {
        match self {
            Topic::Identity => "caller identity",
            Topic::Target => "target",
            Topic::LoadBalancer(_) => "load balancer",
            Topic::LbAttributes(_) => "load balancer attributes",
            Topic::Listeners(_) => "listeners",
            Topic::Rules(_) => "listener rules",
            Topic::TargetGroups(_) => "target groups",
            Topic::TgAttributes(_) => "target group attributes",
            Topic::Tags(_) => "tags",
            Topic::TargetHealth(_) => "target health",
            Topic::LbInterfaces(_) => "load balancer interfaces",
            Topic::Subnets(_) => "subnets",
            Topic::SecurityGroups(_) => "security groups",
            Topic::NetworkAcls(_) => "network ACLs",
            Topic::RouteTables(_) => "route tables",
            Topic::Instances(_) => "instances",
            Topic::Interfaces(_) => "network interfaces",
            Topic::PrefixList(_) => "prefix list",
            Topic::Metrics(_) => "metrics",
            Topic::EcsServices(_) => "ECS services",
            Topic::EcsTasks(_) => "ECS tasks",
            Topic::TaskDefinition(_) => "task definition",
            Topic::HostMetrics(_) => "metrics of targets",
            Topic::Changes(_) => "changes",
            Topic::AccessLog(_) => "access log",
            Topic::ListenerCertificates(_) => "listener certificates",
            Topic::Certificate(_) => "certificate",
            Topic::InstanceStatus(_) => "instance status",
            Topic::Scaling(_) => "Auto Scaling groups",
            Topic::Databases(_) => "databases",
            Topic::Function(_) => "function",
            Topic::Probe(_) => "probe",
            Topic::Host(_) => "host",
            Topic::ListenerAttributes(_) => "listener attributes",
            Topic::Distribution(_) => "CloudFront distribution",
            Topic::Api(_) => "API",
            Topic::Classic(_) => "Classic Load Balancer",
            Topic::InstanceHealth(_) => "instance health",
            Topic::Records(_) => "DNS records",
            Topic::FrontMetrics(_) => "metrics",
            Topic::FrontLog(_) => "access log",
            Topic::FrontChanges(_) => "changes",
            Topic::HealthCheck(_) => "Route 53 health check",
            Topic::WebAcl(_) => "web ACL",
            Topic::Releases(_) => "CodeDeploy deployments",
            Topic::Caches(_) => "caches",
            Topic::Traces(_) => "traces",
            Topic::Place(_) => "search",
            Topic::LogGroups => "log groups",
            Topic::Tail(_) => "log tail",
        }
    }
}

impl std::fmt::Display for Topic {
    /// `target health of web`: the name and the readable end of the subject.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subject = short(self.subject());
        if subject.is_empty() { f.write_str(self.name()) } else { write!(f, "{} of {subject}", self.name()) }
    }
}

/// The name a person knows a resource by: `shop` for
/// `arn:...:loadbalancer/app/shop/50dc6c49`, the id itself for other ids.
pub fn short(id: &str) -> &str {
    if !id.starts_with("arn:") {
        return id;
    }
    let tail = id.splitn(6, ':').nth(5).unwrap_or(id);
    if let Some(group) = tail.strip_prefix("log-group:") {
        return group;
    }
    let mut parts = tail.split('/');
    match parts.next() {
        Some("loadbalancer") => parts.nth(1).unwrap_or(tail),
        Some("targetgroup") => parts.next().unwrap_or(tail),
        Some("listener" | "listener-rule") => parts.nth(1).unwrap_or(tail),
        Some("service" | "task" | "task-definition") => parts.next_back().unwrap_or(tail),
        _ => tail,
    }
}

/// The last part of an ARN's path, or the whole of what is no ARN: `prod` for
/// `arn:aws:ecs:r:1:cluster/prod`.
pub fn short_name(id: &str) -> &str {
    if id.starts_with("arn:") { id.rsplit(['/', ':']).next().unwrap_or(id) } else { id }
}

/// The name of a function in its ARN, without version or alias: `quotes` for
/// `arn:aws:lambda:r:1:function:quotes:live`.
pub fn function_name(arn: &str) -> Option<&str> {
    let (head, rest) = arn.split_once(":function:")?;
    head.starts_with("arn:").then(|| rest.split(':').next().unwrap_or(rest))
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", content = "data", rename_all = "snake_case")]
pub enum Fact {
    Identity(Identity),
    Target(ResolvedTarget),
    LoadBalancer(LoadBalancer),
    Attributes(Attributes),
    Listeners(Vec<Listener>),
    Rules(Vec<Rule>),
    TargetGroups(Vec<TargetGroup>),
    /// Resource ARN and its tags.
    Tags(Vec<(SafeText, Attributes)>),
    TargetHealth(Vec<TargetHealth>),
    Interfaces(Vec<Interface>),
    Subnets(Vec<Subnet>),
    SecurityGroups(Vec<SecurityGroup>),
    NetworkAcls(Vec<NetworkAcl>),
    RouteTables(Vec<RouteTable>),
    Instances(Vec<Instance>),
    PrefixList(PrefixList),
    Metrics(Vec<Series>),
    EcsServices(Vec<Service>),
    EcsTasks(Vec<Task>),
    TaskDefinition(TaskDefinition),
    Changes(Changes),
    AccessLog(Box<AccessLog>),
    /// ARNs, in the API's order.
    CertificateArns(Vec<SafeText>),
    Certificate(Certificate),
    InstanceStatus(Vec<InstanceStatus>),
    Scaling(Vec<ScalingGroup>),
    Databases(Vec<Database>),
    Function(Function),
    Probe(Box<Probe>),
    Host(Box<Host>),
    Distribution(Box<Distribution>),
    Api(Box<Api>),
    Classic(Box<Classic>),
    InstanceHealth(Vec<InstanceHealth>),
    Records(Records),
    FrontLog(Box<FrontLog>),
    HealthCheck(HealthCheck),
    /// One with an empty ARN: none is associated.
    WebAcl(WebAcl),
    Releases(Vec<Release>),
    Caches(Caches),
    Traces(Traces),
    Place(Searched),
    LogGroups(Vec<LogGroup>),
    /// New lines of a tail, oldest first.
    LogLines(Vec<LogLine>),
    /// How a tail is doing.
    Tail(Tail),
    /// Nobody answered.
    Unknown(Reason),
}

/// One fact seen from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When it was true (for an answer: when the answer was complete).
    pub at: Timestamp,
    /// Who said so: `elbv2:DescribeTargetHealth`, `dns`, `note`.
    pub source: SafeText,
    #[serde(flatten)]
    pub topic: Topic,
    #[serde(flatten)]
    pub fact: Fact,
    /// How long the answer took, in milliseconds; 0 when not measured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_ms: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Who the credentials belong to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    pub account: SafeText,
    pub arn: SafeText,
    pub region: SafeText,
    pub profile: SafeText,
    /// When the credentials end; `None` for those that do not say.
    pub expires: Option<Timestamp>,
}

/// What the search of one place came to, where several are searched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Searched {
    /// Empty for the default credentials.
    pub profile: SafeText,
    pub region: SafeText,
    /// ARNs or ids of what fits the target there; none: it is not there.
    pub found: Vec<SafeText>,
    /// It is observed with this profile and in this region from now on.
    pub opened: bool,
}

fn blank(text: &SafeText) -> bool {
    text.is_empty()
}

/// What the TARGET on the command line turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedTarget {
    /// As typed.
    pub asked: SafeText,
    /// Host name in front, when the target was a URL or host name.
    pub host: SafeText,
    /// Names met on the way (CNAMEs), in order.
    pub names: Vec<SafeText>,
    /// Addresses the host name resolves to.
    pub addresses: Vec<SafeText>,
    /// ARN of the load balancer.
    pub lb: SafeText,
    /// Restricts the view to this target group, when the target was one.
    pub target_group: SafeText,
    /// Id of the CloudFront distribution in front; empty when there is none.
    #[serde(skip_serializing_if = "blank")]
    pub distribution: SafeText,
    /// Id of the API in front, or behind the distribution.
    #[serde(skip_serializing_if = "blank")]
    pub api: SafeText,
    /// Name of the Classic Load Balancer.
    #[serde(skip_serializing_if = "blank")]
    pub classic: SafeText,
    /// ARN of the function asked for, when nothing stands in front of it.
    #[serde(skip_serializing_if = "blank")]
    pub function: SafeText,
    /// How it was matched: `name`, `arn`, `dns name`, `addresses`.
    pub matched_by: SafeText,
}
