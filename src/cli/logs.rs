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
    /// Files, folders, patterns, '-' for standard input, s3://BUCKET/PREFIX, or cwl:GROUP (CloudWatch Logs); .gz and
    /// .zst as they are
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
    /// The load balancer's idle timeout [default: the incident's or target's, else 60s]
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    idle_timeout: Option<Duration>,
    /// The target groups' deregistration delay [default: the incident's or target's, else 300s]
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    deregistration_delay: Option<Duration>,
    /// An incident file that knows both
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    incident: Option<PathBuf>,
    /// What wrote the rows, as for open and check: AWS is asked for both
    #[arg(long, value_name = "TARGET", value_parser = typed)]
    target: Option<String>,
    /// Go on reading one file, pipe or standard input as it is written; a picture every second
    #[arg(long, short = 'f')]
    follow: bool,
    /// Do not ask before large downloads and costly queries
    #[arg(long, short = 'y')]
    yes: bool,
    /// Table for Athena: NAME or DATABASE.NAME
    #[arg(long, value_name = "TABLE", default_value = "default.badgate_alb_logs", value_parser = word)]
    table: String,
    /// Athena's workgroup
    #[arg(long, value_name = "NAME", default_value = "primary", value_parser = word)]
    workgroup: String,
    /// Where Athena puts results [default: where the workgroup says]
    #[arg(long, value_name = "s3://...", value_parser = bucket)]
    output: Option<String>,
    /// Print what creates Athena's table, and do nothing else
    #[arg(long)]
    ddl: bool,
    /// Athena's table may be created where it is missing
    #[arg(long)]
    allow_changes: bool,
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
    /// `None`: the incident's, or what AWS sets.
    pub idle_timeout: Option<Duration>,
    pub deregistration_delay: Option<Duration>,
    pub incident: Option<PathBuf>,
    /// A TARGET whose timeouts are asked for.
    pub target: Option<String>,
    pub follow: bool,
    pub yes: bool,
    /// `DATABASE.NAME` or `NAME`.
    pub table: String,
    pub workgroup: String,
    pub output: Option<String>,
    pub ddl: bool,
    pub allow_changes: bool,
    pub ascii: bool,
    pub profile: Option<String>,
    pub region: Option<String>,
}

impl Logs {
    /// Arguments that are places in S3 or log groups.
    pub fn remote(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|f| f.to_str()).filter(|f| is_remote(f))
    }

    /// Names of log groups among them.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.remote().filter_map(|f| f.strip_prefix(GROUP))
    }

    /// The others.
    pub fn local(&self) -> Vec<PathBuf> {
        self.files.iter().filter(|f| !is_remote(&f.to_string_lossy())).map(PathBuf::from).collect()
    }
}

/// What a log group of CloudWatch Logs begins with.
const GROUP: &str = "cwl:";

fn is_remote(file: &str) -> bool {
    file.starts_with("s3://") || file.starts_with(GROUP)
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
        if self.follow {
            if self.files.len() != 1 || self.files.iter().any(|f| is_remote(&f.to_string_lossy())) {
                return Err(Stop::usage("--follow reads one file, pipe or '-' of this machine"));
            }
            if self.engine != Engine::Local || self.ddl {
                return Err(Stop::usage("--follow is done here: leave out --engine and --ddl"));
            }
        }
        if self.engine != Engine::Local && (self.format != Kind::Auto && self.format != Kind::Alb) {
            return Err(Stop::usage(
                "--engine insights and athena know the rows of Application Load Balancers only",
            ));
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
            incident: self.incident,
            target: self.target,
            follow: self.follow,
            yes: self.yes,
            table: self.table,
            workgroup: self.workgroup,
            output: self.output,
            ddl: self.ddl,
            allow_changes: self.allow_changes,
            ascii: self.ascii,
            profile: only_one("--profile", self.profile)?,
            region: only_one("--region", self.region)?,
        })
    }
}

fn template(s: &str) -> Result<Arc<Template>, String> {
    Template::parse(s).map(Arc::new)
}

fn typed(s: &str) -> Result<String, String> {
    if s.trim().is_empty() {
        return Err("is empty: write a load balancer's name, ARN or DNS name, or a URL".into());
    }
    Ok(s.to_string())
}

fn word(s: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if s.is_empty() || s.len() > 128 || !s.bytes().all(fits) {
        return Err("has letters, digits, _ . and - only".into());
    }
    Ok(s.to_string())
}

fn bucket(s: &str) -> Result<String, String> {
    if !s.starts_with("s3://") || s.len() < 8 || s.chars().any(char::is_control) {
        return Err("is no place in S3: write s3://BUCKET/PREFIX/".into());
    }
    Ok(s.to_string())
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
