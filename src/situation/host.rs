//! What a host says of itself: the answers to a fixed list of commands that
//! only read. Sizes are MiB, shares are percent, times are in the unit their
//! name ends in.

use crate::text::SafeText;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One look at one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// As asked for: `local`, `ssh:web-1`.
    pub asked: SafeText,
    /// What it calls itself.
    pub name: SafeText,
    /// Addresses of its interfaces but for loopback.
    pub addresses: Vec<SafeText>,
    pub cores: Option<u32>,
    /// Of the last minute.
    pub load: Option<f64>,
    /// `cpu`, `memory`, `io`: share of the last 10 s in which something waited for it.
    pub pressure: Vec<(SafeText, f64)>,
    pub memory: Option<Memory>,
    pub disks: Vec<Disk>,
    /// Number of TCP sockets by state: `ESTAB`, `CLOSE-WAIT`.
    pub sockets: Vec<(SafeText, u64)>,
    pub listening: Vec<Listening>,
    /// Kernel counters since boot by name: `TcpExtListenOverflows`.
    pub counters: Vec<(SafeText, u64)>,
    /// Connections tracked, and how many may be.
    pub conntrack: Option<(u64, u64)>,
    /// Lines of the kernel about killed processes, full tables, floods.
    pub kernel: Vec<SafeText>,
    /// Rules that drop or reject.
    pub firewall: Vec<SafeText>,
    pub failed_units: Vec<SafeText>,
    /// Server and its version: `nginx`, `1.29.8`.
    pub versions: Vec<(SafeText, SafeText)>,
    pub settings: Vec<Setting>,
    /// Share of the processors' time that is not idle.
    pub cpu_busy: Option<f64>,
    /// Services that failed, start again and again, or were restarted.
    pub units: Vec<Unit>,
    /// Packets held back because the instance type's allowance was used up, by
    /// name, since the interface came up: `conntrack_allowance_exceeded`.
    pub allowances: Vec<(SafeText, u64)>,
    /// What it answers itself on a target's port.
    pub local: Option<Local>,
    /// Its clock minus ours; positive when it is ahead.
    pub clock_ms: Option<f64>,
    /// Its zone as an offset: `+0900`.
    pub zone: Option<SafeText>,
    /// Commands that gave nothing, and why.
    pub silent: Vec<(SafeText, SafeText)>,
    /// Log files that servers have open, and error logs at their usual places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<SafeText>,
    /// What passed its interfaces, where somebody asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
}

/// What passed a host's interfaces for some seconds, summed up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capture {
    pub port: u16,
    /// The only other side looked at; empty: any.
    pub peer: SafeText,
    pub seconds: u32,
    pub packets: u64,
    pub connections: u32,
    pub resets: u32,
    /// RST to data that came after a pause of a second or more, or after the
    /// other side had said that it ends: what a keep-alive race looks like.
    pub resets_after_idle: u32,
    /// The longest of those pauses, in seconds.
    pub idle_s: Option<f64>,
    /// SYN answered by RST.
    pub refused: u32,
    /// SYN sent again because nothing came back.
    pub syn_retransmits: u32,
    /// Connections whose SYN was never answered.
    pub unanswered: u32,
    /// What ICMP said to be unreachable, and how often.
    pub icmp: Vec<(SafeText, u32)>,
    /// A few of the lines that tell it.
    pub samples: Vec<SafeText>,
}

/// Memory and swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub total_mib: u64,
    pub available_mib: u64,
    pub swap_total_mib: u64,
    pub swap_used_mib: u64,
}

/// One file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    pub mount: SafeText,
    pub used_percent: Option<u32>,
    pub inodes_percent: Option<u32>,
}

/// A service of systemd that is, or was, not well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unit {
    /// `shop.service`.
    pub name: SafeText,
    /// `failed`, `auto-restart`, `running`.
    pub state: SafeText,
    /// Why it ended the last time: `exit-code`, `oom-kill`; empty when not said.
    pub result: SafeText,
    /// Restarts since the unit was started.
    pub restarts: u64,
}

impl Unit {
    /// It does not run now.
    pub fn is_down(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "auto-restart" | "activating")
    }
}

/// The answer of a host to a request from itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Local {
    pub port: u16,
    pub path: SafeText,
    /// `None`: no answer at all.
    pub status: Option<u16>,
}

/// One listening TCP socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listening {
    pub address: SafeText,
    pub port: u16,
    /// Connections that wait to be accepted, and how many may.
    pub queued: u64,
    pub backlog: u64,
    /// Name of the process; empty when only root may know.
    pub process: SafeText,
    /// The rule of the host's own firewall that keeps new connections from
    /// elsewhere out; empty when none does, or when the rules could not be read.
    pub kept_out: SafeText,
    /// That rule takes some senders only: it asks for more than the port.
    pub kept_out_some: bool,
}

/// A timer or limit of a server, as configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// `nginx`, `apache`, `node`, `gunicorn`, `uvicorn`, `puma`, `php-fpm`, `tomcat`.
    pub server: SafeText,
    /// As the server calls it: `keepalive_timeout`.
    pub name: SafeText,
    /// As written.
    pub value: SafeText,
    /// The same in seconds, when it is a time.
    pub seconds: Option<f64>,
    /// What it does.
    pub role: Role,
    /// File or command line.
    pub place: SafeText,
}

/// What a setting does on the request path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// How long the server keeps an idle connection of its clients.
    KeepAlive,
    /// How long the proxy keeps an idle connection to what is behind it.
    UpstreamKeepAlive,
    /// How long a request or its answer may take.
    Request,
    /// Connections kept to what is behind it, or workers.
    Limit,
    #[default]
    Other,
}

impl Listening {
    /// Only the host itself can connect to it.
    pub fn is_loopback(&self) -> bool {
        let bare = self.address.trim_start_matches('[').trim_end_matches(']');
        bare.split('%').next().unwrap_or(bare).parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
    }

    /// More connections wait than may.
    pub fn is_full(&self) -> bool {
        self.backlog > 0 && self.queued >= self.backlog
    }
}

impl Host {
    /// Is it the target of this id: an instance id, or one of its addresses?
    pub fn is_target(&self, id: &str) -> bool {
        self.asked.rsplit(':').next() == Some(id) || self.addresses.iter().any(|a| a.as_str() == id)
    }

    /// Version of a server as numbers: `[1, 29, 8]`.
    pub fn version(&self, server: &str) -> Option<Vec<u32>> {
        let (_, text) = self.versions.iter().find(|(s, _)| s.as_str() == server)?;
        let parts: Vec<u32> = text.split('.').map_while(|p| p.parse().ok()).collect();
        (!parts.is_empty()).then_some(parts)
    }

    /// Settings of a server by name.
    pub fn settings<'a>(&'a self, server: &'a str, name: &'a str) -> impl Iterator<Item = &'a Setting> {
        self.settings.iter().filter(move |s| s.server.as_str() == server && s.name.as_str() == name)
    }

    /// The shortest time this server keeps idle connections anywhere in its
    /// configuration.
    pub fn keepalive_of(&self, server: &str) -> Option<&Setting> {
        self.settings
            .iter()
            .filter(|s| s.server.as_str() == server && s.role == Role::KeepAlive && s.seconds.is_some())
            .min_by(|a, b| a.seconds.unwrap_or(0.0).total_cmp(&b.seconds.unwrap_or(0.0)))
    }
}
