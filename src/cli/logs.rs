//! `badgate logs FILE...`: what can be typed.

use super::{Stop, duration, only_one, profile, region};
use crate::sources::access_log::filter::Filter;
use crate::sources::access_log::{Format, Template};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What the exit code of `badgate logs` says.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  rows were read, and none is a 5xx
  1  some of them are, or not everything could be read
  2  the command line is wrong
  3  no row was read";

/// What `--where` knows.
pub(super) const LANGUAGE: &str = "Fields of --where:
  status target_status request_time target_time response_time took received sent
  target path host method client agent group trace reason actions class node format shape
compared by = != < <= > >= and, for text, ~ !~ (regular expression); joined by and, or, not, ( ).
A missing status or text is -, 5xx is any of them, times take ms and s, client takes a network.
  badgate logs alb/ --where 'status=502 and target_status=- and path~\"^/api\" and took>1s'";

#[derive(Args, Debug)]
pub(super) struct LogsArgs {
    /// Files, folders, patterns, '-' for standard input, or s3://BUCKET/PREFIX; .gz and .zst as they are
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    /// What wrote the rows
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    format: Kind,
    /// The log_format of nginx or LogFormat of Apache that wrote the rows
    #[arg(long, value_name = "FORMAT", value_parser = template)]
    log_format: Option<Arc<Template>>,
    /// Only rows from here on: 30m (ago), 2026-11-22T01:40Z, 2026-11-22
    #[arg(long, value_name = "TIME", value_parser = When::from_str)]
    since: Option<When>,
    /// Only rows before this
    #[arg(long, value_name = "TIME", value_parser = When::from_str)]
    until: Option<When>,
    /// Only rows for which this holds; see below
    #[arg(long = "where", value_name = "EXPR", value_parser = Filter::from_str)]
    filter: Option<Filter>,
    /// How many names each list shows
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Print JSON (schema badgate.logs/1) instead of text
    #[arg(long)]
    json: bool,
    /// Where the question is answered
    #[arg(long, value_enum, default_value = "local")]
    engine: Engine,
    /// Threads that read [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// The load balancer's idle timeout
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = timeout)]
    idle_timeout: Duration,
    /// The target groups' deregistration delay
    #[arg(long, value_name = "DURATION", default_value = "300s", value_parser = delay)]
    deregistration_delay: Duration,
    /// Only ASCII glyphs
    #[arg(long)]
    ascii: bool,
    /// AWS profile, for s3:// and the other engines [default: AWS_PROFILE]
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Vec<String>,
    /// AWS region, for s3:// and the other engines
    #[arg(long, value_name = "NAME", value_parser = region)]
    region: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Auto,
    Alb,
    AlbConnection,
    AlbHealth,
    Clb,
    Nlb,
    Cloudfront,
    Apigateway,
    Azure,
    Web,
    Haproxy,
}

/// Where the question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Here.
    Local,
    /// CloudWatch Logs Insights.
    Insights,
    /// Athena.
    Athena,
}

/// A moment as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Ago(Duration),
    At(Timestamp),
}

impl When {
    /// The moment, as of `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            When::At(t) => t,
            When::Ago(d) => now.checked_sub(d).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(s: &str) -> Result<When, String> {
        let t = s.trim();
        let utc = jiff::tz::TimeZone::UTC;
        if let Ok(at) = t.parse::<Timestamp>() {
            return Ok(When::At(at));
        }
        // Without an offset it is UTC, as in the logs.
        let bare = t.strip_suffix('Z').unwrap_or(t);
        let civil = bare
            .parse::<jiff::civil::DateTime>()
            .or_else(|_| jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M", bare))
            .or_else(|_| jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M", bare));
        if let Some(at) = civil.ok().and_then(|c| c.to_zoned(utc).ok()) {
            return Ok(When::At(at.timestamp()));
        }
        if !t.is_empty()
            && t.bytes().next().is_some_and(|b| b.is_ascii_digit())
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ')
        {
            return duration(
                t,
                Duration::from_secs(1),
                Duration::from_secs(10 * 366 * 86_400),
                "1s and 10 years",
            )
            .map(When::Ago);
        }
        Err("is no time: write how long ago (30m, 2h, 3d) or when (2026-11-22T01:40Z, 2026-11-22)".into())
    }
}

/// `badgate logs`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    pub files: Vec<OsString>,
    /// `None`: recognised by content.
    pub format: Option<Format>,
    pub log_format: Option<Arc<Template>>,
    pub since: Option<When>,
    pub until: Option<When>,
    pub filter: Option<Filter>,
    pub top: usize,
    pub json: bool,
    pub engine: Engine,
    /// 0: one a processor.
    pub threads: usize,
    pub idle_timeout: Duration,
    pub deregistration_delay: Duration,
    pub ascii: bool,
    pub profile: Option<String>,
    pub region: Option<String>,
}

impl Logs {
    /// Arguments that are places in S3.
    pub fn remote(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|f| f.to_str()).filter(|f| f.starts_with("s3://"))
    }

    /// The others.
    pub fn local(&self) -> Vec<PathBuf> {
        self.files.iter().filter(|f| !f.to_string_lossy().starts_with("s3://")).map(PathBuf::from).collect()
    }
}

impl LogsArgs {
    pub(super) fn checked(self) -> Result<Logs, Stop> {
        if let (Some(When::At(from)), Some(When::At(until))) = (self.since, self.until)
            && from >= until
        {
            return Err(Stop::usage(format!(
                "--since {from} is not before --until {until}: no row can lie between"
            )));
        }
        if self.log_format.is_some() && !matches!(self.format, Kind::Auto | Kind::Web) {
            return Err(Stop::usage("--log-format describes rows of a web server; leave out --format"));
        }
        if self.files.iter().filter(|f| *f == "-").count() > 1 {
            return Err(Stop::usage("standard input ('-') can be read only once"));
        }
        Ok(Logs {
            files: self.files,
            format: match self.format {
                Kind::Auto => None,
                Kind::Alb => Some(Format::Alb),
                Kind::AlbConnection => Some(Format::AlbConnection),
                Kind::AlbHealth => Some(Format::AlbHealth),
                Kind::Clb => Some(Format::Clb),
                Kind::Nlb => Some(Format::Nlb),
                Kind::Cloudfront => Some(Format::CloudFront),
                Kind::Apigateway => Some(Format::ApiGateway),
                Kind::Azure => Some(Format::AzureGateway),
                Kind::Web => Some(Format::Web),
                Kind::Haproxy => Some(Format::HaProxy),
            },
            log_format: self.log_format,
            since: self.since,
            until: self.until,
            filter: self.filter,
            top: usize::from(self.top),
            json: self.json,
            engine: self.engine,
            threads: self.threads.map_or(0, usize::from),
            idle_timeout: self.idle_timeout,
            deregistration_delay: self.deregistration_delay,
            ascii: self.ascii,
            profile: only_one("--profile", self.profile)?,
            region: only_one("--region", self.region)?,
        })
    }
}

fn template(s: &str) -> Result<Arc<Template>, String> {
    Template::parse(s).map(Arc::new)
}

fn timeout(s: &str) -> Result<Duration, String> {
    duration(s, Duration::from_secs(1), Duration::from_secs(4_000), "1s and 4000s")
}

fn delay(s: &str) -> Result<Duration, String> {
    duration(s, Duration::ZERO, Duration::from_secs(3_600), "0s and 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_ages() {
        let at = |t: &str| When::At(t.parse().unwrap());
        for (typed, want) in [
            ("2026-11-22T01:40:00Z", at("2026-11-22T01:40:00Z")),
            ("2026-11-22T01:40Z", at("2026-11-22T01:40:00Z")),
            ("2026-11-22 01:40", at("2026-11-22T01:40:00Z")),
            ("2026-11-22T10:40:00+09:00", at("2026-11-22T01:40:00Z")),
            ("2026-11-22", at("2026-11-22T00:00:00Z")),
            ("30m", When::Ago(Duration::from_secs(1800))),
            ("2d", When::Ago(Duration::from_secs(172_800))),
        ] {
            assert_eq!(typed.parse::<When>(), Ok(want), "{typed}");
        }
        for (typed, why) in [
            ("yesterday", "is no time"),
            ("", "is no time"),
            ("30", "did you mean '30m'"),
            ("2026-13-01", "is no time"),
        ] {
            assert!(typed.parse::<When>().unwrap_err().contains(why), "{typed}");
        }
    }
}
