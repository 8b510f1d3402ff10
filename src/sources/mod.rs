//! Outside systems. A source does one thing: it is asked, and it answers with
//! observations. What it is asked and how it answers is the same for all of
//! them, so that a replayed file or a drill looks to the console like a cloud.

use crate::situation::Observation;
pub use crate::situation::Want;
use crate::text::SafeText;
use jiff::Timestamp;
use std::cmp::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

pub mod access_log;
#[cfg(feature = "aws")]
pub mod aws;
pub mod drill;
pub mod file_tail;
pub mod front_log;
pub mod host;
mod line_cap;
pub mod outbox;
pub mod probe;
pub mod snapshot;
pub mod stamp;

/// What the console and `check` ask of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Find what this TARGET stands for and observe it. Empty: list what there is.
    Open(String),
    /// One of the candidates was picked (ARN of a load balancer).
    Choose(SafeText),
    /// Ask these kinds of questions now, however fresh the last answers are.
    /// When every one was answered or has failed, the source says [`Event::Done`] with `id`.
    Refresh { id: u64, wants: Vec<Want> },
    /// What is on screen: kinds that are not watched are polled no more than needed.
    Watch(Vec<Want>),
    /// Follow these log groups (and stop following others), from `since` on.
    Tail { groups: Vec<SafeText>, since: Option<Timestamp> },
    /// Read credentials anew from their source and try again what failed for want of them.
    ReloadCredentials,
    /// Measure how long these keep an idle connection, side by side; what comes
    /// of it is told as it becomes known. URLs with addresses, and for how long.
    Measure { urls: Vec<SafeText>, longest: Duration },
    /// Do one of the things the source has offered ([`Event::Offers`]).
    Act { id: SafeText },
}

/// What a source says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Facts, in the order they became known.
    Observed(Vec<Observation>),
    /// TARGET fits several things, or none was given: a person must pick.
    Candidates {
        /// What was typed; empty when nothing was.
        asked: SafeText,
        list: Vec<Candidate>,
        /// True while more pages are still being read.
        more: bool,
    },
    /// TARGET fits nothing, or cannot be looked up; one line: what was
    /// searched, in which account and region, and what to do.
    NoTarget { line: SafeText },
    /// Every question of this refresh was answered or has failed.
    Done { id: u64 },
    /// One finished call to the outside, for the call log.
    Called(Call),
    /// What a person should know before anything else.
    Brief { title: SafeText, lines: Vec<SafeText> },
    /// What a person can do through this source.
    Offers(Vec<Offer>),
    /// Hosts that would be asked, by name. Nothing runs there before a person was
    /// shown what and agreed: [`Command::Act`] of [`AGREE`].
    Hosts(Vec<SafeText>),
    /// How far something is that takes a while: for the line a person reads.
    Under { line: SafeText },
    /// One of them was done, or was not; what is seen of it.
    Acted { id: SafeText, ok: bool, line: SafeText },
    /// It is over, as planned: the console may be left.
    Over { line: SafeText },
    /// What follows was found with this profile and in this region. Said where
    /// several places are searched, before the first fact about the target.
    /// The profile is empty for the default credentials.
    Place { profile: SafeText, region: SafeText },
}

/// The id of [`Command::Act`] that lets the fixed list run on the hosts.
pub const AGREE: &str = "hosts-agreed";

/// Something a person can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub id: SafeText,
    /// One line.
    pub title: SafeText,
}

/// Something TARGET could stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub arn: SafeText,
    pub name: SafeText,
    /// `application`, `network`, ...
    pub kind: SafeText,
    pub dns_name: SafeText,
    pub region: SafeText,
    /// Which of several places it is in ([`Scope::name`]); empty where one is searched.
    pub place: SafeText,
    /// 5xx of the last minutes, when already known; the picker sorts by it.
    pub errors: Option<f64>,
}

impl Candidate {
    /// The order in which a person picks: what fails most, what has no count
    /// behind what has none failing, then by name.
    pub fn worst_first(&self, other: &Candidate) -> Ordering {
        let errors = |c: &Candidate| c.errors.unwrap_or(-1.0);
        let by_errors = errors(other).total_cmp(&errors(self));
        by_errors.then_with(|| self.name.cmp(&other.name)).then_with(|| self.arn.cmp(&other.arn))
    }
}

/// One finished call, as evidence of what was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub at: Timestamp,
    /// `elbv2:DescribeTargetHealth`.
    pub operation: SafeText,
    pub took_ms: u32,
    /// Request id of the answer; empty when there was none.
    pub request_id: SafeText,
    /// Empty on success, else the reason in one phrase.
    pub failure: SafeText,
    /// What time it is by the answer (its `Date`, whole seconds); `None` when
    /// there was no answer or it did not say.
    pub answered_at: Option<Timestamp>,
}

/// A running source: its two ends. Dropping it stops the source.
pub struct Link {
    pub commands: mpsc::Sender<Command>,
    pub events: mpsc::Receiver<Event>,
}

/// Commands waiting at most; a person cannot type faster than they are taken.
pub const COMMAND_QUEUE: usize = 64;
/// Events waiting at most; a source that is ahead of the screen waits.
pub const EVENT_QUEUE: usize = 256;

/// Where to look: a profile and a region. What is not given is found as the
/// AWS CLI finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub profile: Option<String>,
    pub region: Option<String>,
}

impl Scope {
    /// As people are told of it: `prod/eu-west-1`, or `prod` where the region
    /// is the profile's own. Credentials without a profile go by AWS_PROFILE,
    /// else `default`. The same for the whole session.
    pub fn name(&self) -> SafeText {
        let from_env = || std::env::var("AWS_PROFILE").ok().filter(|p| !p.trim().is_empty());
        let profile = self.profile.clone().or_else(from_env).unwrap_or_else(|| "default".into());
        match &self.region {
            Some(region) => SafeText::capped(format!("{profile}/{region}"), 120),
            None => SafeText::capped(profile, 120),
        }
    }
}

/// Places searched at a time, at most.
pub const MOST_PLACES: usize = 16;

/// What the command line and the config file say about observing.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub profile: Option<String>,
    pub region: Option<String>,
    /// All the places to search, where there are several; fewer than two: only
    /// `profile` and `region` count.
    pub places: Vec<Scope>,
    /// Log groups named by the person, best first.
    pub log_groups: Vec<String>,
    /// Log groups named by the config file.
    pub config_log_groups: Vec<String>,
    /// How far back metrics and logs are read at first. Default 30 minutes.
    pub since: Option<jiff::Span>,
    /// `HOST:PORT:ADDR` overrides for name resolution, as curl's.
    pub resolve: Vec<String>,
    /// A plain request may be sent to the target itself.
    pub probe: bool,
    /// Hosts to ask with commands that only read.
    pub hosts: Vec<host::Reached>,
    /// When something is wrong, instances behind the targets are asked by
    /// Systems Manager Run Command, with commands that only read.
    pub ssm: bool,
    /// Mutating operations may be signed. Off by default.
    pub allow_changes: bool,
    /// Poll live data. False for `check`, which asks everything once.
    pub live: bool,
    /// Deadline of one call; `None` leaves it to the source.
    pub call_timeout: Option<Duration>,
    /// How often is asked again.
    pub every: Every,
}

/// How often each kind of question is asked again while it is watched. A
/// source stretches these to keep within an API's limits, never shortens them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    pub health: Duration,
    pub metrics: Duration,
    pub config: Duration,
    /// Between polls of a log that cannot be followed live.
    pub logs: Duration,
}

impl Default for Every {
    fn default() -> Self {
        Every {
            health: Duration::from_secs(5),
            metrics: Duration::from_secs(30),
            config: Duration::from_secs(60),
            logs: Duration::from_secs(3),
        }
    }
}
