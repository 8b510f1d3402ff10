//! Every timeout and keep-alive along the request path, where its value comes
//! from, and the inequalities that must hold between neighbours.
//!
//! Sources: Elastic Load Balancing guides (attributes, troubleshooting),
//! Amazon ECS developer guide (stopTimeout), and the manuals of the servers.

mod entries;
mod probed;
mod rules;
mod servers;

pub use entries::Chain;
pub(super) use probed::has_target;
pub use probed::to_measure;
pub use rules::{Rule, RuleId, Standing, Term};
pub use servers::{ServerDefault, server_default};

use crate::situation::{Reason, Situation};
use crate::text::SafeText;
use jiff::Timestamp;
use serde::Serialize;

/// The timeouts of the load balancer in view and the rules between them.
/// `measured` holds what people learned that no API tells; what probes of the
/// targets measured is read from the situation. A later one about the same
/// thing replaces an earlier one.
pub fn chain(s: &Situation, measured: &[Measured]) -> Chain {
    let mut all = probed::measured(s);
    all.extend_from_slice(measured);
    let mut c = entries::collect(s, &all);
    c.rules = rules::check(s, &c, &all);
    c
}

/// Which part of the path a timeout belongs to, front to back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    Client,
    LoadBalancer,
    TargetGroup,
    /// The server process on the target.
    Target,
    /// The platform that starts and stops the process.
    Platform,
    Dependency,
}

impl Hop {
    /// A word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Hop::Client => "client",
            Hop::LoadBalancer => "load balancer",
            Hop::TargetGroup => "target group",
            Hop::Target => "server",
            Hop::Platform => "platform",
            Hop::Dependency => "dependency",
        }
    }
}

/// What a timer watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// Connecting.
    C,
    /// Waiting for a response, or silence while a request is open.
    R,
    /// An idle connection kept for reuse.
    K,
    /// Total lifetime.
    T,
    /// Draining before the end.
    D,
    /// Health checks and warming up.
    H,
}

impl Kind {
    /// A word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Kind::C => "connect",
            Kind::R => "wait",
            Kind::K => "keep-alive",
            Kind::T => "lifetime",
            Kind::D => "drain",
            Kind::H => "health",
        }
    }
}

/// How we come to know a value, best first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "source", content = "by", rename_all = "snake_case")]
pub enum Source {
    /// An API said so; the operation.
    Api(SafeText),
    /// Measured by a probe.
    Measured(SafeText),
    /// Read on the host, in a configuration file or a command line.
    Configured(SafeText),
    /// A person wrote it down.
    Noted(SafeText),
    /// The service documents it as fixed.
    Fixed(SafeText),
    /// Not set: the service documents this default.
    Default(SafeText),
    /// What the server does unless configured otherwise; nobody looked.
    Assumed(SafeText),
}

impl Source {
    /// True when it was told or measured for this very system.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Source::Assumed(_))
    }

    /// A phrase for a screen.
    pub fn words(&self) -> String {
        match self {
            Source::Api(op) => op.to_string(),
            Source::Measured(by) => format!("measured by {by}"),
            Source::Configured(place) => format!("configured: {place}"),
            Source::Noted(by) => format!("noted by {by}"),
            Source::Fixed(doc) => format!("fixed ({doc})"),
            Source::Default(doc) => format!("default ({doc})"),
            Source::Assumed(what) => format!("assumed: {what}"),
        }
    }
}

/// The value of a timer, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    Known {
        seconds: f64,
        source: Source,
        /// When it was true; `None` for what is fixed or a default.
        at: Option<Timestamp>,
    },
    Unknown(Reason),
}

impl Value {
    /// Seconds, when known.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Value::Known { seconds, .. } => Some(*seconds),
            Value::Unknown(_) => None,
        }
    }

    /// `60 s`, `3600 s`, `2.5 s`, or the reason's word.
    pub fn words(&self) -> String {
        match self {
            Value::Known { seconds, .. } => format!("{} s", number(*seconds)),
            Value::Unknown(r) => r.word().to_string(),
        }
    }
}

/// Seconds without a needless fraction.
pub(crate) fn number(seconds: f64) -> String {
    if (seconds - seconds.round()).abs() < 0.005 {
        format!("{}", seconds.round())
    } else {
        format!("{seconds:.2}").trim_end_matches('0').to_string()
    }
}

/// One timer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub hop: Hop,
    /// Name of what has it: the load balancer, a target group, a container.
    pub component: SafeText,
    /// ARN of the target group it belongs to; empty for others.
    pub group: SafeText,
    /// The name a person changes it by: an attribute key, an API field, or one
    /// of [`settings`].
    pub setting: SafeText,
    /// The same in words, for a screen.
    pub label: SafeText,
    pub kind: Kind,
    pub value: Value,
}

/// Names of timers that no AWS attribute stands for.
pub mod settings {
    /// The client's own limit for a response.
    pub const CLIENT_TIMEOUT: &str = "client.timeout";
    /// How long the server keeps an idle connection.
    pub const SERVER_KEEPALIVE: &str = "server.keepalive";
    /// How long the server lets one request run.
    pub const SERVER_REQUEST: &str = "server.request_timeout";
    /// Node.js `server.headersTimeout`.
    pub const SERVER_HEADERS: &str = "server.headers_timeout";
    /// How long a process may run after it was told to stop.
    pub const STOP_GRACE: &str = "server.stop_grace";
    /// From start to the first good answer.
    pub const START_UP: &str = "server.start_up";
    /// The server's limit for calls to what it depends on.
    pub const DEPENDENCY: &str = "dependency.timeout";
    /// Timeout of a Lambda function.
    pub const FUNCTION: &str = "function.timeout";
}

/// A value learned outside the APIs.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub hop: Hop,
    /// Name of the target group (or other component) it is about; empty: all of the hop.
    pub component: SafeText,
    /// One of [`settings`].
    pub setting: SafeText,
    pub seconds: f64,
    pub at: Timestamp,
    /// `probe` for a measurement; `configured: PLACE` for what was read on a
    /// host; anything else is who noted it.
    pub source: SafeText,
}
