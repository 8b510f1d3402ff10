//! Rows of a load balancer's access log, as far as a diagnosis needs them:
//! counts by minute and status for all rows, the failing rows themselves
//! within a bound. Query strings and client addresses are not kept.
//! Source of fields: "Access logs for your Application Load Balancer",
//! Elastic Load Balancing user guide.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was read of an access log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessLog {
    /// `s3://BUCKET/PREFIX` or the name of a log group.
    pub origin: SafeText,
    /// Rows were asked for from here on.
    pub from: Option<Timestamp>,
    /// The newest row read; rows after it have not been delivered yet.
    pub newest: Option<Timestamp>,
    /// Rows read, and lines that could not be read.
    pub rows: u64,
    pub unreadable: u64,
    /// What was left out, when there was too much; empty when all was read.
    pub cut: SafeText,
    /// Every row read, by minute and status. Empty where only failing rows were asked for.
    pub minutes: Vec<Tally>,
    /// Good rows by minute and target, for the targets of failing rows and some others.
    pub targets: Vec<Share>,
    /// Good rows by minute and path, for the paths of failing rows.
    pub paths: Vec<Share>,
    /// Largest request that was answered well, in bytes.
    pub largest_good: u64,
    /// Rows with 4xx or 5xx by the load balancer, or 5xx by the target; oldest first.
    pub failing: Vec<AccessRow>,
    /// Each row of `failing` stands for this many; 1 when all are kept.
    pub thinned: u32,
}

/// Rows of one minute with one pair of statuses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Start of the minute.
    pub at: Timestamp,
    pub elb: u16,
    /// `None` when the target did not answer.
    pub target: Option<u16>,
    pub rows: u32,
}

/// Rows of one minute that have one target or path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub at: Timestamp,
    pub of: SafeText,
    pub rows: u32,
}

/// One failing row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessRow {
    /// When the response was generated.
    pub at: Timestamp,
    /// Milliseconds from the arrival of the request to `at`.
    pub took_ms: Option<u32>,
    /// `10.0.1.5:8080`; empty when no target was tried, or it is a function.
    pub target: SafeText,
    /// Seconds; `None` where the log says -1.
    pub request_s: Option<f32>,
    pub target_s: Option<f32>,
    pub response_s: Option<f32>,
    pub elb: u16,
    pub status: Option<u16>,
    pub received: u64,
    pub method: SafeText,
    /// Path without its query.
    pub path: SafeText,
    pub user_agent: SafeText,
    /// Target group ARN.
    pub group: SafeText,
    /// Priority of the rule that matched; 0 is the default rule.
    pub rule: SafeText,
    pub actions: SafeText,
    pub error_reason: SafeText,
    pub classification: SafeText,
    pub classification_reason: SafeText,
    /// Name asked for in the TLS handshake.
    pub domain: SafeText,
    pub certificate: SafeText,
}

impl AccessRow {
    /// None of the three times is known: no answer was read from a target.
    pub fn untimed(&self) -> bool {
        self.request_s.is_none() && self.target_s.is_none() && self.response_s.is_none()
    }

    /// The request was sent to a target, and its answer never came to an end.
    pub fn sent(&self) -> bool {
        self.request_s.is_some() && self.response_s.is_none()
    }

    /// Seconds from request to response.
    pub fn took(&self) -> Option<f64> {
        self.took_ms.map(|ms| f64::from(ms) / 1000.0)
    }
}
