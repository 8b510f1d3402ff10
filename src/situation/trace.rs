//! Traces of failing requests, as AWS X-Ray sums them up. Source: AWS X-Ray API
//! reference, `TraceSummary`, `FaultRootCause`, `ErrorRootCause`,
//! `ResponseTimeRootCause`.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Failing traces of a stretch of time, those alike together. Services trace a
/// part of their requests only: counts are of traces, not of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traces {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// The most frequent first.
    pub kinds: Vec<TraceKind>,
    /// There were more traces than were read.
    pub cut: bool,
}

/// Traces that failed alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceKind {
    pub count: u32,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Id of the newest: `1-5759e988-bd862e3fe1be46a994272793`.
    pub sample: SafeText,
    /// What the newest was asked for, without its query; empty where it is not told.
    pub url: SafeText,
    /// What the caller got; `None` where it is not told.
    pub status: Option<u16>,
    /// Some service refused for want of capacity (429).
    pub throttled: bool,
    /// The longest of them, in seconds.
    pub longest_s: f64,
    /// Names of the services that took part.
    pub services: Vec<SafeText>,
    /// ARNs of resources and ids of instances that took part.
    pub resources: Vec<SafeText>,
    /// Where X-Ray sees the reason, the worst first.
    pub roots: Vec<RootCause>,
}

/// What a root cause is the reason of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKind {
    /// 5xx.
    #[default]
    Fault,
    /// 4xx on the way.
    Error,
    /// The time it took.
    Time,
}

/// The way from the entry of a request to the service where it went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootCause {
    pub kind: RootKind,
    /// Names of the services on the way, the entry first, the culprit last.
    pub way: Vec<SafeText>,
    /// Type of the last: `AWS::Lambda::Function`, `AWS::ECS::Container`,
    /// `Database::SQL`, `remote`, ...
    pub service_type: SafeText,
    /// X-Ray knows the last only from those who called it.
    pub inferred: bool,
    /// The part of the last service it happened in: a segment or subsegment.
    pub entity: SafeText,
    /// That part was a call to another service.
    pub remote: bool,
    /// Name and message of the exception nearest the end; empty when none was told.
    pub exception: SafeText,
    pub message: SafeText,
}

impl RootCause {
    /// The service where it went wrong.
    pub fn culprit(&self) -> &str {
        self.way.last().map_or("", SafeText::as_str)
    }

    /// `shop > orders > db.internal (Database::SQL), ConnectionError: refused`.
    pub fn phrase(&self) -> SafeText {
        let mut out = self.way.iter().map(SafeText::as_str).collect::<Vec<_>>().join(" > ");
        if !self.service_type.is_empty() {
            out.push_str(&format!(" ({})", self.service_type));
        }
        if !self.entity.is_empty() && self.entity.as_str() != self.culprit() {
            out.push_str(&format!(" in {}", self.entity));
        }
        let told: Vec<&str> = [&self.exception, &self.message]
            .into_iter()
            .map(SafeText::as_str)
            .filter(|t| !t.is_empty())
            .collect();
        if !told.is_empty() {
            out.push_str(&format!(", {}", told.join(": ")));
        }
        SafeText::capped(out, 400).one_line()
    }
}
