//! The command line: what can be typed, and what it means. Parsing is pure; it
//! reads no environment and no file, so that every mistake can be a test.

mod drill;
mod error;
mod host;
mod logs;
mod page;
mod path;
mod probe;
mod target;
mod values;

pub use drill::Drill;
pub use error::Stop;
pub use host::{Host, Way};
pub use logs::{Engine, Logs, When};
pub use page::{completions, man};
pub use path::{End, Path};
pub use probe::Probe;
pub use target::Target;
pub use values::Resolve;

use crate::config::{Color, Config, Redact, Sync, Theme};
use crate::procedure::Lang;
use crate::sources::host::Reached;
use crate::sources::{Every, MOST_PLACES, Options, Scope};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use values::{duration, lang, log_group, moment, profile, region, since, timeout};

/// What the exit code of `badgate check` says.
const EXIT_CODES: &str = "Exit codes:
  0  nothing confirmed or likely
  1  a cause is confirmed or likely
  2  the command line or the config file is wrong
  3  too little could be observed to say";

/// The terminal console for 502 Bad Gateway: which hop is broken, why, and what to do.
#[derive(Parser, Debug)]
#[command(name = "badgate", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "'badgate open' without TARGET lists what the credentials can see.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Open the console on a load balancer
    Open(OpenArgs),
    /// Run the whole procedure once, without a screen
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Would a packet get there, and its answer back? As configured; nothing is sent
    #[command(after_help = path::EXIT_CODES)]
    Path(path::PathArgs),
    /// Measure one endpoint: DNS, TCP, TLS, HTTP, and how long an idle connection is kept
    #[command(after_help = probe::EXIT_CODES)]
    Probe(probe::ProbeArgs),
    /// Ask hosts what they say of themselves, with a fixed list of commands that only read
    #[command(after_help = host::EXIT_CODES)]
    Host(host::HostArgs),
    /// Write what can be observed of a load balancer into a folder of AWS CLI answers
    Snapshot(SnapshotArgs),
    /// Read access logs: what failed, where, since when, and which cause the rows speak for
    #[command(after_help = format!("{}\n\n{}", logs::LANGUAGE, logs::EXIT_CODES))]
    Logs(Box<logs::LogsArgs>),
    /// Look at an incident file as it was at any moment; no credentials, no network
    Replay(ReplayArgs),
    /// Follow a running incident through its file, and write into it
    Join(JoinArgs),
    /// Practise on a small outage on this machine; no cloud, no credentials
    #[command(after_help = drill::EXIT_CODES)]
    Drill(drill::DrillArgs),
    /// Append a note to an incident file
    Note(Note),
    /// Write an incident file out as a postmortem
    Export(Export),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print a config file with every setting, its default and what it means
    Config {
        /// Print the JSON Schema of the config file instead, for editors
        #[arg(long)]
        schema: bool,
    },
    /// Print the man page
    Man,
    /// Say what in this terminal will get in the way, and the line that mends it
    Doctor(DoctorArgs),
}

#[derive(Args, Debug)]
struct OpenArgs {
    /// Name, ARN or DNS name of a load balancer, ARN of a target group, URL or host name
    target: Option<Target>,
    /// Incident file to begin or to go on with [default: a new one in the incident folder]
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    #[command(flatten)]
    observe: ObserveArgs,
    #[command(flatten)]
    screen: Screen,
}

#[derive(Args, Debug)]
struct DoctorArgs {
    /// What to try the permissions on [default: any load balancer there is]
    target: Option<Target>,
    /// Print the IAM policy with exactly the permissions badgate uses, and nothing else
    #[arg(long)]
    iam: bool,
    /// Print JSON (schema badgate.doctor/1) instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    observe: ObserveArgs,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Name, ARN or DNS name of a load balancer, ARN of a target group, URL or host name
    target: Target,
    /// Print JSON (schema badgate.check/1) instead of text
    #[arg(long)]
    json: bool,
    /// Also record what is observed in this incident file
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// Look at a folder of AWS CLI JSON answers instead of the cloud
    #[arg(long, value_name = "DIR")]
    snapshot: Option<PathBuf>,
    #[command(flatten)]
    observe: ObserveArgs,
}

#[derive(Args, Debug)]
struct SnapshotArgs {
    /// Name, ARN or DNS name of a load balancer, ARN of a target group, URL or host name
    target: Target,
    /// Folder to write; it is made, and must not hold anything yet
    dir: PathBuf,
    #[command(flatten)]
    observe: ObserveArgs,
}

#[derive(Args, Debug)]
struct ObserveArgs {
    /// AWS profile; may be repeated, all are searched at once [default: AWS_PROFILE]
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Vec<String>,
    /// AWS region; may be repeated, each profile is searched in each [default: AWS_REGION, then the profile's]
    #[arg(long, value_name = "NAME", value_parser = region)]
    region: Vec<String>,
    /// Log group to follow; may be repeated
    #[arg(long, value_name = "NAME", value_parser = log_group)]
    log_group: Vec<String>,
    /// Local log file to follow; may be repeated
    #[arg(long, value_name = "FILE")]
    log_file: Vec<PathBuf>,
    /// How far back logs and metrics are read at first
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = since)]
    since: Duration,
    /// Use this address for a host and port, as curl does; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    resolve: Vec<Resolve>,
    /// Ask this host too, with a fixed list of commands that only read; may be repeated
    #[arg(long, value_name = "local|ssh:NAME")]
    host: Vec<Reached>,
    /// When something is wrong, ask instances behind the targets too, by Systems Manager Run Command (and ECS tasks by
    /// ECS Exec, where it is enabled and session-manager-plugin is installed),
    /// with a fixed list of commands that only read ('badgate host --list') [default: yes for check, no for open]
    #[arg(long, value_enum, value_name = "yes|no", hide_possible_values = true)]
    ssm: Option<YesNo>,
    /// Send nothing to the target itself: ask the cloud's API only
    #[arg(long)]
    no_probe: bool,
    /// How long one call may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
    /// Let actions change the cloud; without it badgate only reads
    #[arg(long)]
    allow_changes: bool,
    /// Language of the procedure: en, ja [default: LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_name = "LANG", value_parser = lang)]
    lang: Option<Lang>,
    /// Config file [default: $XDG_CONFIG_HOME/badgate/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum YesNo {
    Yes,
    No,
}

/// How the screen is drawn. `None` leaves it to the config file.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// How many colours are used [default: what the terminal is known to show]
    #[arg(long, value_enum)]
    pub color: Option<Color>,
    /// Palette
    #[arg(long, value_enum)]
    pub theme: Option<Theme>,
    /// Synchronized output
    #[arg(long, value_enum)]
    pub sync: Option<Sync>,
    /// Only ASCII glyphs
    #[arg(long)]
    pub ascii: bool,
}

/// How and what to observe, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observe {
    /// Where to look, first the one that was named first; never empty.
    pub places: Vec<Scope>,
    pub log_groups: Vec<String>,
    pub log_files: Vec<PathBuf>,
    pub since: Duration,
    pub resolve: Vec<Resolve>,
    /// Hosts that are asked by commands.
    pub hosts: Vec<Reached>,
    /// Instances are asked by Run Command; `None` leaves it to the command.
    pub ssm: Option<bool>,
    pub no_probe: bool,
    /// Deadline of one call.
    pub timeout: Duration,
    pub allow_changes: bool,
    pub lang: Option<Lang>,
    pub config: Option<PathBuf>,
}

impl Observe {
    /// What the sources are told. `live` is true for the console.
    pub fn options(&self, target: Option<&Target>, config: &Config, live: bool) -> Options {
        let names = target.map(Target::names).unwrap_or_default();
        let first = self.places.first().cloned().unwrap_or_default();
        Options {
            profile: first.profile,
            region: first.region,
            places: self.places.clone(),
            log_groups: self.log_groups.clone(),
            config_log_groups: config.log_groups_for(&names),
            since: Some(jiff::Span::new().seconds(i64::try_from(self.since.as_secs()).unwrap_or(1800))),
            resolve: self.resolve.iter().map(ToString::to_string).collect(),
            probe: !self.no_probe,
            hosts: self.hosts.clone(),
            // A person at the console says so; a check is asked to look everywhere.
            ssm: self.ssm.unwrap_or(!live),
            allow_changes: self.allow_changes,
            live,
            call_timeout: Some(self.timeout),
            every: Every {
                health: config.poll.health,
                metrics: config.poll.metrics,
                config: config.poll.config,
                logs: config.poll.logs,
            },
        }
    }
}

/// `badgate open`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// `None`: the picker.
    pub target: Option<Target>,
    pub incident: Option<PathBuf>,
    pub observe: Observe,
    pub screen: Screen,
}

/// `badgate check`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub target: Target,
    pub json: bool,
    pub incident: Option<PathBuf>,
    /// A folder to look at instead of the cloud.
    pub snapshot: Option<PathBuf>,
    pub observe: Observe,
}

/// `badgate snapshot`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub target: Target,
    pub dir: PathBuf,
    pub observe: Observe,
}

#[derive(Args, Debug)]
struct JoinArgs {
    /// The incident file that somebody else records into, on this machine or a shared disk
    file: PathBuf,
    #[command(flatten)]
    observe: ObserveArgs,
    #[command(flatten)]
    screen: Screen,
}

#[derive(Args, Debug)]
struct ReplayArgs {
    /// The incident file
    file: PathBuf,
    /// The moment to begin at, in UTC: 01:41, 01:41:30, 2026-11-22T01:41 [default: the end]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<String>,
    /// Play from there (without --at: from the beginning), so many seconds a second, 1 to 60
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=60))]
    speed: Option<u16>,
    /// Language of the procedure: en, ja [default: LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_name = "LANG", value_parser = lang)]
    lang: Option<Lang>,
    /// Config file [default: $XDG_CONFIG_HOME/badgate/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    screen: Screen,
}

/// `badgate replay`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub file: PathBuf,
    /// As typed: what day is meant, the file says.
    pub at: Option<String>,
    pub speed: Option<u16>,
    pub lang: Option<Lang>,
    pub config: Option<PathBuf>,
    pub screen: Screen,
}

/// `badgate note`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The incident file
    pub file: PathBuf,
    /// The note; '-' alone reads it from standard input
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub text: Vec<String>,
}

impl Note {
    /// The words as one text; `None` when standard input holds it.
    pub fn words(&self) -> Option<String> {
        (self.text != ["-"]).then(|| self.text.join(" "))
    }
}

/// `badgate export`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The incident file
    pub file: PathBuf,
    /// What to write, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "md")]
    pub format: Vec<Format>,
    /// What is taken out [default: default, or as the config file says]
    #[arg(long, value_enum)]
    pub redact: Option<Redact>,
    /// Where to: a file for one format, a folder for several, '-' for standard output
    /// [default: standard output for one, beside FILE for several]
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Language of headings: en, ja [default: LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_name = "LANG", value_parser = lang)]
    pub lang: Option<Lang>,
    /// Config file [default: $XDG_CONFIG_HOME/badgate/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `badgate doctor`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doctor {
    pub iam: bool,
    pub json: bool,
    /// `None`: whatever load balancer there is.
    pub target: Option<Target>,
    pub observe: Observe,
}

/// A form an incident file can be exported in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Markdown: a postmortem with its facts filled in.
    Md,
    /// The same as one page for a browser, without script.
    Html,
    Json,
    Csv,
}

/// What the command line asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    Open(Box<Open>),
    /// `incident` is the file to follow, and there is no target.
    Join(Box<Open>),
    Check(Box<Check>),
    Path(Box<Path>),
    Probe(Box<Probe>),
    Host(Host),
    Snapshot(Box<Snapshot>),
    Logs(Box<Logs>),
    Replay(Box<Replay>),
    Drill(Box<Drill>),
    Note(Note),
    Export(Export),
    Completions(clap_complete::Shell),
    /// Print the sample config file, or its schema.
    Config {
        schema: bool,
    },
    Man,
    Doctor(Doctor),
}

/// Reads a command line, program name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Stop> {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = Cli::try_parse_from(&args).map_err(|e| {
        let names = Cli::command();
        let typed = args.get(1).and_then(|a| a.to_str());
        let known = typed.filter(|t| names.get_subcommands().any(|s| s.get_name() == *t));
        error::explain(&e, known)
    })?;
    Ok(match cli.command {
        Command::Open(a) => Invocation::Open(Box::new(Open {
            target: a.target,
            incident: a.incident,
            observe: checked(a.observe)?,
            screen: a.screen,
        })),
        Command::Check(a) => Invocation::Check(Box::new(Check {
            target: a.target,
            json: a.json,
            incident: a.incident,
            snapshot: a.snapshot,
            observe: checked(a.observe)?,
        })),
        Command::Path(a) => Invocation::Path(Box::new(a.checked()?)),
        Command::Host(a) => Invocation::Host(a.checked()?),
        Command::Probe(a) => Invocation::Probe(Box::new(a.checked()?)),
        Command::Snapshot(a) => Invocation::Snapshot(Box::new(Snapshot {
            target: a.target,
            dir: a.dir,
            observe: checked(a.observe)?,
        })),
        Command::Logs(a) => Invocation::Logs(Box::new(a.checked()?)),
        Command::Join(a) => Invocation::Join(Box::new(Open {
            target: None,
            incident: Some(a.file),
            observe: checked(a.observe)?,
            screen: a.screen,
        })),
        Command::Replay(r) => Invocation::Replay(Box::new(Replay {
            file: r.file,
            at: r.at,
            speed: r.speed,
            lang: r.lang,
            config: r.config,
            screen: r.screen,
        })),
        Command::Drill(a) => Invocation::Drill(Box::new(a.checked()?)),
        Command::Note(n) => Invocation::Note(n),
        Command::Export(mut e) => {
            let mut seen = Vec::new();
            e.format.retain(|f| {
                !seen.contains(f) && {
                    seen.push(*f);
                    true
                }
            });
            Invocation::Export(e)
        }
        Command::Completions { shell } => Invocation::Completions(shell),
        Command::Config { schema } => Invocation::Config { schema },
        Command::Man => Invocation::Man,
        Command::Doctor(d) => Invocation::Doctor(Doctor {
            iam: d.iam,
            json: d.json,
            target: d.target,
            observe: checked(d.observe)?,
        }),
    })
}

fn checked(a: ObserveArgs) -> Result<Observe, Stop> {
    Ok(Observe {
        places: places(a.profile, a.region)?,
        log_groups: a.log_group,
        log_files: a.log_file,
        since: a.since,
        resolve: a.resolve,
        hosts: a.host,
        ssm: a.ssm.map(|s| s == YesNo::Yes),
        no_probe: a.no_probe,
        timeout: a.timeout,
        allow_changes: a.allow_changes,
        lang: a.lang,
        config: a.config,
    })
}

/// Every profile in every region, in the order they were named, each once.
fn places(profiles: Vec<String>, regions: Vec<String>) -> Result<Vec<Scope>, Stop> {
    let once = |all: Vec<String>| {
        let mut out: Vec<Option<String>> = Vec::new();
        for one in all {
            if !out.contains(&Some(one.clone())) {
                out.push(Some(one));
            }
        }
        if out.is_empty() { vec![None] } else { out }
    };
    let (profiles, regions) = (once(profiles), once(regions));
    let all = profiles.len() * regions.len();
    if all > MOST_PLACES {
        return Err(Stop::usage(format!(
            "--profile and --region name {all} places to search ({} x {}); at most {MOST_PLACES} are searched at once: name fewer",
            profiles.len(),
            regions.len()
        )));
    }
    let of = |profile: &Option<String>| {
        let profile = profile.clone();
        regions.iter().map(move |region| Scope { profile: profile.clone(), region: region.clone() })
    };
    Ok(profiles.iter().flat_map(of).collect())
}

/// The same value twice is no contradiction; two values wait for a version that can hold them.
fn only_one(option: &str, mut values: Vec<String>) -> Result<Option<String>, Stop> {
    values.dedup();
    match values.as_slice() {
        [] | [_] => Ok(values.pop()),
        [first, second, ..] => Err(Stop::usage(format!(
            "{option} was given as '{first}' and '{second}'; this version observes one at a time: run one badgate for each"
        ))),
    }
}

#[cfg(test)]
mod tests;
