//! `badgate host local|ssh:NAME ...`.

use super::{Stop, timeout};
use crate::sources::host::Reached;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// What the exit code of `badgate host` says.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  every host answered
  2  the command line is wrong
  3  a host could not be asked";

#[derive(Args, Debug)]
pub(super) struct HostArgs {
    /// Hosts: 'local', or 'ssh:NAME' by the system's own ssh, which never asks for a password here
    #[arg(value_name = "local|ssh:NAME")]
    hosts: Vec<Reached>,
    /// Show every command a host is asked, and ask nothing
    #[arg(long)]
    list: bool,
    /// Print JSON (schema badgate.host/1) instead of text
    #[arg(long)]
    json: bool,
    /// Also record what is observed in this incident file
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// For each host
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
}

/// `badgate host`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub hosts: Vec<Reached>,
    pub list: bool,
    pub json: bool,
    pub incident: Option<PathBuf>,
    pub timeout: Duration,
}

impl HostArgs {
    pub(super) fn checked(mut self) -> Result<Host, Stop> {
        if self.hosts.is_empty() && !self.list {
            return Err(Stop::usage("no host; give 'local' or 'ssh:NAME', or --list to see what would run"));
        }
        self.hosts.dedup();
        if self.hosts.len() > 16 {
            return Err(Stop::usage(format!("{} hosts; at most 16 are asked at a time", self.hosts.len())));
        }
        Ok(Host {
            hosts: self.hosts,
            list: self.list,
            json: self.json,
            incident: self.incident,
            timeout: self.timeout,
        })
    }
}
