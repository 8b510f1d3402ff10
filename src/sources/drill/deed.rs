//! What can happen in a drill: one table for faults, for what the player does
//! about them, and for what only looks like a fault.

use serde::Deserialize;

/// One thing that happens. In a file: `{ do = "acl-deny", acl = "acl-app", ... }`.
/// Where `hosts` is empty, all targets are meant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    // The network as configured.
    /// Rules of a security group that let this port through are taken out.
    SgRevoke {
        group: String,
        #[serde(default)]
        egress: bool,
        port: u16,
    },
    /// A rule is added; `peer` is a security group or a range of addresses.
    SgAllow {
        group: String,
        #[serde(default)]
        egress: bool,
        port: u16,
        peer: String,
    },
    /// Everything out of a group is let through again.
    SgOpenEgress {
        group: String,
    },
    /// A numbered entry that denies is added.
    AclDeny {
        acl: String,
        number: u32,
        #[serde(default)]
        egress: bool,
        from: u16,
        to: u16,
        cidr: String,
    },
    /// An entry is deleted.
    AclDelete {
        acl: String,
        number: u32,
        #[serde(default)]
        egress: bool,
    },
    /// A more specific route whose target is gone.
    RouteBlackhole {
        table: String,
        cidr: String,
    },
    /// A route is deleted.
    RouteDelete {
        table: String,
        cidr: String,
    },
    /// The firewall on the targets themselves.
    Firewall {
        #[serde(default)]
        hosts: Vec<String>,
        does: Packets,
    },

    // The load balancer.
    /// An attribute of the load balancer, or of its target groups.
    Attribute {
        #[serde(default)]
        of_group: bool,
        key: String,
        value: String,
    },
    /// The health check's path and codes.
    Check {
        path: String,
        codes: String,
    },
    /// A listener rule: a fixed status, or the group it forwards to.
    Rule {
        priority: u32,
        path: String,
        #[serde(default)]
        fixed: Option<u16>,
        #[serde(default)]
        forward: String,
    },
    RuleDelete {
        priority: u32,
    },
    /// Targets leave the group in an orderly way.
    Deregister {
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// Targets (spares too) come into the group.
    Register {
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// The certificate ends in so many minutes; negative: it has ended.
    CertificateEnds {
        minutes: f64,
    },
    /// The identity provider answers, or not.
    IdentityProvider {
        up: bool,
    },
    /// Port requests are sent to.
    Port {
        port: u16,
    },

    // The targets.
    /// The process stops: its port is closed.
    Stop {
        #[serde(default)]
        hosts: Vec<String>,
        #[serde(default)]
        log: Vec<String>,
    },
    Start {
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// The process ends every so many seconds and is back after `down`.
    Crash {
        id: String,
        #[serde(default)]
        hosts: Vec<String>,
        every: f64,
        down: f64,
        log: Vec<String>,
    },
    /// What goes on by this id ends.
    End {
        id: String,
    },
    /// Some requests are answered in another way.
    Quirk {
        id: String,
        #[serde(default)]
        hosts: Vec<String>,
        quirk: Quirk,
    },
    KeepAlive {
        #[serde(default)]
        hosts: Vec<String>,
        seconds: f64,
    },
    Workers {
        #[serde(default)]
        hosts: Vec<String>,
        count: usize,
    },
    /// Work takes so many times as long.
    Slower {
        #[serde(default)]
        hosts: Vec<String>,
        factor: f64,
    },
    /// Something else uses this much of the processors, in percent.
    Cpu {
        #[serde(default)]
        hosts: Vec<String>,
        percent: f64,
    },
    /// Memory in use, in percent; it gets there over `minutes`.
    Memory {
        #[serde(default)]
        hosts: Vec<String>,
        percent: f64,
        #[serde(default)]
        minutes: f64,
    },
    Disk {
        #[serde(default)]
        hosts: Vec<String>,
        percent: f64,
    },
    /// The machine itself: its status check fails and it falls silent.
    Impair {
        #[serde(default)]
        hosts: Vec<String>,
        on: bool,
    },
    /// The TLS handshake of the targets.
    Tls {
        #[serde(default)]
        hosts: Vec<String>,
        does: Handshake,
    },
    /// Targets are ended by Auto Scaling: `graceful`: out of the group first.
    Terminate {
        hosts: Vec<String>,
        #[serde(default)]
        graceful: bool,
        why: String,
    },
    /// Spares are started and come into the group.
    Launch {
        hosts: Vec<String>,
        why: String,
    },

    // Around.
    Database {
        #[serde(default)]
        status: Option<String>,
        #[serde(default)]
        connections: Option<f64>,
        #[serde(default)]
        cpu: Option<f64>,
    },
    /// A deployment of the ECS service: its task definition's revision.
    Deployment {
        revision: u32,
        #[serde(default)]
        failed: bool,
    },
    /// Tasks of this revision come in place of those on these targets.
    Revision {
        hosts: Vec<String>,
        revision: u32,
    },
    /// The machine is gone, interface and all; its address stays in the group.
    Vanish {
        hosts: Vec<String>,
    },
    /// Tasks end and new ones cannot start.
    TaskChurn {
        hosts: Vec<String>,
        reason: String,
    },
    /// How the function behaves.
    Function {
        does: Conduct,
    },
    /// A change for the record (CloudTrail); what it did is another deed.
    Change {
        event: String,
        service: String,
        user: String,
        about: Vec<String>,
    },
    /// A line in a log, once or every so many seconds until its id ends.
    Log {
        #[serde(default)]
        id: String,
        #[serde(default)]
        hosts: Vec<String>,
        #[serde(default)]
        system: bool,
        text: Vec<String>,
        #[serde(default)]
        every: f64,
    },

    // Clients.
    /// So many times as many requests as usual.
    Traffic {
        factor: f64,
    },
    /// Clients try again at once when they get a 5xx, so many times.
    Retries {
        times: u32,
    },
    /// Bytes of most uploads.
    Uploads {
        bytes: usize,
    },
    /// Callers of this path leave after so many seconds.
    Patience {
        path: String,
        seconds: f64,
    },
    /// A part of the callers sends what the load balancer refuses.
    BadCallers {
        share: f64,
        sends: BadRequest,
    },
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packets {
    #[default]
    Pass,
    /// Nothing comes back.
    Drop,
    /// A reset comes back.
    Reject,
}

/// How a target answers the first flight of a TLS handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    #[default]
    Good,
    /// A fatal alert: no protocol or cipher in common.
    Alert,
    /// It does not speak TLS on this port.
    Plain,
}

/// What a caller sends that the load balancer refuses itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRequest {
    /// More than thirty addresses in X-Forwarded-For.
    ForwardedFor,
    /// A request line that is none.
    RequestLine,
}

/// How a function behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    #[default]
    Good,
    /// It waits for something longer than it may.
    TimesOut,
    /// Its answer lacks what the load balancer needs.
    Invalid,
    /// It throws.
    Throws,
    /// Its answer is too large.
    TooLarge,
    /// More runs at once than it is allowed.
    Throttled,
}

/// Which requests a quirk is about, and what it does to them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quirk {
    /// Beginnings of paths; empty: all but the health check.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The part of them.
    #[serde(default = "whole")]
    pub share: f64,
    /// Only requests whose cookies have more bytes than this.
    #[serde(default)]
    pub cookies_over: usize,
    /// Only requests whose body has more bytes than this.
    #[serde(default)]
    pub body_over: usize,
    /// Health checks too.
    #[serde(default)]
    pub checks: bool,
    pub does: Does,
    /// Lines of the application's log; `{method} {path} {ms} {host} {trace}` are filled in.
    #[serde(default)]
    pub log: Vec<String>,
}

fn whole() -> f64 {
    1.0
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// This status by the application.
    Status(u16),
    /// The same after so many seconds.
    Late { status: u16, seconds: f64 },
    /// A status line that is no HTTP.
    BadStatusLine,
    /// Response headers of so many bytes.
    LargeHeader(usize),
    /// A body shorter than announced.
    ShortBody,
    /// No answer, ever.
    Hang,
    /// So many seconds more.
    Slow(f64),
    /// The connection is reset.
    Reset,
    /// The connection is reset before the body was read.
    RefuseBody,
    /// The worker is killed after so many seconds.
    KillWorker(f64),
    /// The process runs out of memory and is killed; it is back after so many seconds.
    OutOfMemory(f64),
}

impl Deed {
    /// Names of targets it is about.
    pub fn hosts(&self) -> &[String] {
        match self {
            Deed::Firewall { hosts, .. }
            | Deed::Deregister { hosts }
            | Deed::Register { hosts }
            | Deed::Stop { hosts, .. }
            | Deed::Start { hosts }
            | Deed::Crash { hosts, .. }
            | Deed::Quirk { hosts, .. }
            | Deed::KeepAlive { hosts, .. }
            | Deed::Workers { hosts, .. }
            | Deed::Slower { hosts, .. }
            | Deed::Cpu { hosts, .. }
            | Deed::Memory { hosts, .. }
            | Deed::Disk { hosts, .. }
            | Deed::Impair { hosts, .. }
            | Deed::Tls { hosts, .. }
            | Deed::Terminate { hosts, .. }
            | Deed::Launch { hosts, .. }
            | Deed::Revision { hosts, .. }
            | Deed::Vanish { hosts }
            | Deed::TaskChurn { hosts, .. }
            | Deed::Log { hosts, .. } => hosts,
            _ => &[],
        }
    }
}
