//! `badgate host local|ssh:NAME|ssm:ID|ecs:CLUSTER/TASK ...`.

use super::{Stop, duration, only_one, profile, region, timeout};
use crate::sources::host::{Container, Look, Reached};
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What the exit code of `badgate host` says.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  every host answered
  2  the command line is wrong
  3  a host could not be asked";

#[derive(Args, Debug)]
pub(super) struct HostArgs {
    /// Hosts: 'local'; 'ssh:NAME' by the system's own ssh, which never asks for a password here; 'ssm:ID', an
    /// instance by Systems Manager Run Command; 'ecs:CLUSTER/TASK[/CONTAINER]', a container by ECS Exec and the
    /// system's own session-manager-plugin
    #[arg(value_name = "local|ssh:NAME|ssm:ID|ecs:CLUSTER/TASK")]
    hosts: Vec<Way>,
    /// Show every command a host is asked, and ask nothing
    #[arg(long)]
    list: bool,
    /// Do not ask first: the list is known
    #[arg(long, short = 'y')]
    yes: bool,
    /// Also look for so long at what passes on --port, with tcpdump, headers only
    #[arg(long, value_name = "DURATION", value_parser = seconds, requires = "port")]
    capture: Option<Duration>,
    /// TCP port to look at
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), requires = "capture")]
    port: Option<u16>,
    /// Only what passes between the host and this address
    #[arg(long, value_name = "ADDR", requires = "capture")]
    peer: Option<IpAddr>,
    /// Print JSON (schema badgate.host/1) instead of text
    #[arg(long)]
    json: bool,
    /// Also record what is observed in this incident file
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// For each host
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
    /// AWS profile, for ssm:ID and ecs:CLUSTER/TASK [default: AWS_PROFILE]
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Vec<String>,
    /// AWS region, for ssm:ID and ecs:CLUSTER/TASK
    #[arg(long, value_name = "NAME", value_parser = region)]
    region: Vec<String>,
}

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From here.
    Direct(Reached),
    /// An instance, by Systems Manager Run Command; its id.
    Ssm(String),
    /// A container, by ECS Exec.
    Ecs(Container),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Way::Direct(host) => host.fmt(f),
            Way::Ssm(id) => write!(f, "ssm:{id}"),
            Way::Ecs(container) => container.fmt(f),
        }
    }
}

impl FromStr for Way {
    type Err = String;

    /// The error is the rest of a line.
    fn from_str(typed: &str) -> Result<Way, String> {
        if let Some(container) = typed.trim().strip_prefix("ecs:") {
            return container.parse().map(Way::Ecs);
        }
        let Some(id) = typed.trim().strip_prefix("ssm:") else {
            let direct = typed.parse().map(Way::Direct);
            let all = "'ssh:NAME' nor 'ssm:ID' nor 'ecs:CLUSTER/TASK'";
            return direct.map_err(|why: String| why.replace("'ssh:NAME'", all));
        };
        // Also of machines that are no instances: mi-.
        let digits = id.strip_prefix("i-").or_else(|| id.strip_prefix("mi-")).unwrap_or_default();
        if !(8..=17).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            let id = crate::text::SafeText::capped(id, 80);
            return Err(format!("names '{id}', which is no instance id (i-0123456789abcdef0)"));
        }
        Ok(Way::Ssm(id.to_ascii_lowercase()))
    }
}

/// `badgate host`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub hosts: Vec<Way>,
    pub list: bool,
    /// The person knows what runs.
    pub yes: bool,
    pub look: Option<Look>,
    pub json: bool,
    pub incident: Option<PathBuf>,
    pub timeout: Duration,
    pub profile: Option<String>,
    pub region: Option<String>,
}

impl HostArgs {
    pub(super) fn checked(mut self) -> Result<Host, Stop> {
        if self.hosts.is_empty() && !self.list {
            return Err(Stop::usage(
                "no host; give 'local', 'ssh:NAME', 'ssm:ID' or 'ecs:CLUSTER/TASK', or --list to see what would run",
            ));
        }
        if self.capture.is_some() && self.hosts.iter().any(|h| !matches!(h, Way::Direct(_))) {
            return Err(Stop::usage(
                "--capture looks from 'local' or 'ssh:NAME'; Run Command and ECS Exec have no tcpdump in their lists",
            ));
        }
        let mut met = std::collections::BTreeSet::new();
        self.hosts.retain(|h| met.insert(h.clone()));
        if self.hosts.len() > 16 {
            return Err(Stop::usage(format!("{} hosts; at most 16 are asked at a time", self.hosts.len())));
        }
        Ok(Host {
            hosts: self.hosts,
            list: self.list,
            yes: self.yes,
            look: self.capture.zip(self.port).map(|(time, port)| Look {
                // Between 1 and 60: see `seconds`.
                seconds: u32::try_from(time.as_secs()).unwrap_or(60),
                port,
                peer: self.peer,
            }),
            json: self.json,
            incident: self.incident,
            timeout: self.timeout,
            profile: only_one("--profile", self.profile)?,
            region: only_one("--region", self.region)?,
        })
    }
}

fn seconds(s: &str) -> Result<Duration, String> {
    duration(s, Duration::from_secs(1), Duration::from_secs(60), "1s and 60s")
}

#[cfg(test)]
mod tests {
    use crate::cli::{Invocation, Stop, parse};

    fn read(line: &str) -> Result<super::Host, String> {
        match parse(std::iter::once("badgate".into()).chain(line.split(' ').map(Into::into))) {
            Ok(Invocation::Host(h)) => Ok(h),
            Ok(other) => panic!("{other:?}"),
            Err(Stop::Usage(line)) => Err(line.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn hosts_are_told_apart_and_what_is_wrong_is_one_line() {
        let h = read("host ssh:a local ssh:a ssh:b --capture 5s --port 8080 --peer 10.0.1.5").unwrap();
        assert_eq!(h.hosts.len(), 3);
        let both =
            read("host local ssm:i-0A1B2C3D4E5F60718 ssm:i-0a1b2c3d4e5f60718 --region eu-west-1").unwrap();
        let names: Vec<String> = both.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["local", "ssm:i-0a1b2c3d4e5f60718"]);
        let look = h.look.unwrap();
        assert_eq!((look.seconds, look.port, look.peer), (5, 8080, Some("10.0.1.5".parse().unwrap())));
        for (line, why) in [
            ("host", "no host"),
            ("host web-1", "neither 'local' nor 'ssh:NAME' nor 'ssm:ID' nor 'ecs:CLUSTER/TASK'"),
            ("host ecs:shop", "not CLUSTER/TASK"),
            ("host ecs:shop/../x", "not CLUSTER/TASK"),
            ("host ecs:shop/0123456789abcdef0123456789abcdef --capture 5s --port 80", "ECS Exec"),
            ("host ssm:web-1", "no instance id"),
            ("host ssm:i-0123", "no instance id"),
            ("host ssm:i-0a1b2c3d4e5f60718 --capture 5s --port 80", "Run Command"),
            ("host local --capture 5s", "--port"),
            ("host local --capture 5m --port 80", "60s"),
            ("host local --capture 5s --port 80 --peer web", "--peer"),
            ("host local --capture 5s --port 0", "--port"),
        ] {
            let said = read(line).map(|h| format!("{h:?}")).unwrap_err();
            assert!(said.contains(why) && !said.contains('\n'), "{line}: {said}");
        }
    }
}
