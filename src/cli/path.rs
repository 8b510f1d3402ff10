//! `badgate path FROM TO[:PORT]`: what the ends may look like.

use super::{Stop, places, profile, region, timeout};
use crate::situation::net::Protocol;
use crate::sources::Scope;
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What the exit code of `badgate path` says.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  open, both ways
  1  blocked, or part of it is
  2  the command line or the folder is wrong
  3  not everything that decides it was seen";

#[derive(Args, Debug)]
pub(super) struct PathArgs {
    /// Who opens the connection: i-..., eni-..., a load balancer's name or ARN, an address, or internet
    from: End,
    /// Where to, the same, with a port: web-alb:443, 10.0.1.5:8080, [2001:db8::1]:80; without one, every port
    #[arg(value_name = "TO[:PORT]")]
    to: String,
    /// Protocol
    #[arg(long, value_enum, default_value = "tcp")]
    protocol: Kind,
    /// Look at a folder of AWS CLI JSON answers instead of the cloud
    #[arg(long, value_name = "DIR")]
    snapshot: Option<PathBuf>,
    /// Print JSON (schema badgate.path/1) instead of text
    #[arg(long)]
    json: bool,
    /// AWS profile; may be repeated, all are searched at once [default: AWS_PROFILE]
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Vec<String>,
    /// AWS region; may be repeated, each profile is searched in each [default: AWS_REGION, then the profile's]
    #[arg(long, value_name = "NAME", value_parser = region)]
    region: Vec<String>,
    /// How long one call may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Tcp,
    Udp,
    Icmp,
}

/// One end of a path, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Internet,
    Address(IpAddr),
    /// `i-...`
    Instance(String),
    /// `eni-...`
    Interface(String),
    /// Name, ARN or DNS name of a load balancer.
    LoadBalancer(String),
}

impl End {
    /// As typed.
    pub fn text(&self) -> String {
        match self {
            End::Internet => "internet".into(),
            End::Address(ip) => ip.to_string(),
            End::Instance(s) | End::Interface(s) | End::LoadBalancer(s) => s.clone(),
        }
    }
}

impl FromStr for End {
    type Err = String;

    fn from_str(typed: &str) -> Result<End, String> {
        let s = typed.trim();
        if s.is_empty() || s.len() > 2048 || s.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(
                "is no end of a path; give i-..., eni-..., a load balancer, an address or internet".into()
            );
        }
        if s.eq_ignore_ascii_case("internet") {
            return Ok(End::Internet);
        }
        let bare = s.strip_prefix('[').and_then(|s| s.strip_suffix(']')).unwrap_or(s);
        if let Ok(ip) = bare.parse() {
            return Ok(End::Address(ip));
        }
        let id = |prefix: &str| {
            s.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
        };
        if id("i-") {
            return Ok(End::Instance(s.into()));
        }
        if id("eni-") {
            return Ok(End::Interface(s.into()));
        }
        if s.contains('/') && !s.starts_with("arn:") {
            return Err("is a range or a URL; a path has one instance, interface, load balancer, address or internet at each end".into());
        }
        Ok(End::LoadBalancer(s.into()))
    }
}

/// `badgate path`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub from: End,
    pub to: End,
    pub protocol: Protocol,
    /// `None`: every port, or an echo request.
    pub port: Option<u16>,
    pub snapshot: Option<PathBuf>,
    pub json: bool,
    /// Where to look; never empty.
    pub places: Vec<Scope>,
    pub timeout: Duration,
}

impl PathArgs {
    pub(super) fn checked(self) -> Result<Path, Stop> {
        let wrong = |why: String| Stop::usage(format!("TO '{}' {why}", self.to));
        let (to, port) = place(&self.to).map_err(wrong)?;
        let protocol = match self.protocol {
            Kind::Tcp => Protocol::Tcp,
            Kind::Udp => Protocol::Udp,
            Kind::Icmp => Protocol::Icmp,
        };
        if let (Protocol::Icmp, Some(port)) = (protocol, port) {
            return Err(Stop::usage(format!("ICMP has no ports; leave out ':{port}'")));
        }
        Ok(Path {
            from: self.from,
            to,
            protocol,
            port,
            snapshot: self.snapshot,
            json: self.json,
            places: places(self.profile, self.region)?,
            timeout: self.timeout,
        })
    }
}

/// `END[:PORT]`. An IPv6 address with a port stands in brackets.
fn place(typed: &str) -> Result<(End, Option<u16>), String> {
    let s = typed.trim();
    if s.parse::<IpAddr>().is_ok() {
        return Ok((s.parse()?, None));
    }
    match s.rsplit_once(':') {
        Some((end, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            match port.parse::<u16>() {
                Ok(n) if n > 0 => Ok((end.parse()?, Some(n))),
                _ => Err(format!("has the port '{port}'; ports are 1 to 65535")),
            }
        }
        _ => Ok((s.parse()?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_ports() {
        let lb = |s: &str| End::LoadBalancer(s.into());
        let arn = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop/50dc";
        for (typed, end, port) in [
            ("i-0a1:8080", End::Instance("i-0a1".into()), Some(8080)),
            ("eni-0b2", End::Interface("eni-0b2".into()), None),
            ("10.0.1.5:443", End::Address("10.0.1.5".parse().unwrap()), Some(443)),
            ("2001:db8::1", End::Address("2001:db8::1".parse().unwrap()), None),
            ("[2001:db8::1]:80", End::Address("2001:db8::1".parse().unwrap()), Some(80)),
            ("Internet", End::Internet, None),
            ("internet:443", End::Internet, Some(443)),
            ("shop-alb:443", lb("shop-alb"), Some(443)),
            ("i-am-a-balancer", lb("i-am-a-balancer"), None),
            (arn, lb(arn), None),
            (&format!("{arn}:443"), lb(arn), Some(443)),
        ] {
            assert_eq!(place(typed), Ok((end, port)), "{typed}");
        }
        for (typed, why) in [
            ("", "no end"),
            ("a b", "no end"),
            ("10.0.1.5:0", "1 to 65535"),
            ("10.0.1.5:70000", "1 to 65535"),
            ("10.0.0.0/16", "a range"),
            ("https://shop.example.com/", "a range or a URL"),
        ] {
            assert!(place(typed).unwrap_err().contains(why), "{typed}");
        }
    }
}
