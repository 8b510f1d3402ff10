//! A datum is known, or unknown *with the reason*. There is no third state
//! and no default: nothing in badgate reads a missing value as a good one.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// Why something is not known. Every variant can be shown to a person as is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Nobody has asked yet.
    NotAsked,
    /// The caller may not ask: `action` is the IAM action (`ec2:DescribeSubnets`).
    Denied { action: SafeText },
    /// The API said we ask too often; the next try is not before `until`.
    Throttled { until: Timestamp },
    /// Credentials are missing, expired or not valid.
    Credentials { detail: SafeText },
    /// No answer within the deadline.
    TimedOut { after_ms: u64 },
    /// The endpoint could not be reached (DNS, refused, reset, TLS).
    Offline { detail: SafeText },
    /// The thing asked for does not exist (any more).
    NotFound { what: SafeText },
    /// The answer arrived but cannot be read: cut short, not the documented shape.
    Malformed { detail: SafeText },
    /// The service answered with an error of its own.
    Failed { code: SafeText, detail: SafeText },
    /// The question makes no sense here (a Lambda target has no port).
    NotApplicable { why: SafeText },
    /// No API tells it; `how` says how a person can learn it.
    NeedsMeasuring { how: SafeText },
}

impl Reason {
    /// The phrase as a JSON string: for `serialize_with`.
    pub fn as_phrase<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.phrase())
    }

    /// One short phrase for a pane title or a JSON `reason`, ASCII, no newline.
    pub fn phrase(&self) -> String {
        match self {
            Reason::NotAsked => "not asked yet".into(),
            Reason::Denied { action } => format!("access denied: needs {action}"),
            Reason::Throttled { until } => format!("throttled until {}", clock(*until)),
            Reason::Credentials { detail } => format!("credentials: {detail}"),
            Reason::TimedOut { after_ms } => format!("timed out after {:.1} s", *after_ms as f64 / 1000.0),
            Reason::Offline { detail } => format!("unreachable: {detail}"),
            Reason::NotFound { what } => format!("not found: {what}"),
            Reason::Malformed { detail } => format!("unreadable answer: {detail}"),
            Reason::Failed { code, detail } if detail.is_empty() => format!("failed: {code}"),
            Reason::Failed { code, detail } => format!("failed: {code}: {detail}"),
            Reason::NotApplicable { why } => format!("not applicable: {why}"),
            Reason::NeedsMeasuring { how } => format!("no API tells: {how}"),
        }
    }

    /// A word for a pane title: `denied`, `throttled`, `expired`...
    pub fn word(&self) -> &'static str {
        match self {
            Reason::NotAsked => "not asked",
            Reason::Denied { .. } => "denied",
            Reason::Throttled { .. } => "throttled",
            Reason::Credentials { .. } => "credentials",
            Reason::TimedOut { .. } => "timed out",
            Reason::Offline { .. } => "offline",
            Reason::NotFound { .. } => "not found",
            Reason::Malformed { .. } => "unreadable",
            Reason::Failed { .. } => "failed",
            Reason::NotApplicable { .. } => "n/a",
            Reason::NeedsMeasuring { .. } => "unknown",
        }
    }
}

fn clock(t: Timestamp) -> String {
    t.strftime("%H:%M:%SZ").to_string()
}

/// A failed attempt to learn something: the reason, and when it was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why there is no answer.
    #[serde(flatten)]
    pub reason: Reason,
    /// When the attempt failed.
    pub at: Timestamp,
}

/// A value with the moment it was true and who said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known<T> {
    /// The datum itself.
    pub value: T,
    /// When it was true.
    pub as_of: Timestamp,
    /// Who said so, e.g. `elbv2:DescribeTargetHealth`.
    pub source: SafeText,
}

/// A datum of the situation. It keeps the last known value when a later
/// attempt fails, so a failed call never blanks what was seen before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datum<T> {
    known: Option<Known<T>>,
    gap: Option<Gap>,
}

impl<T> Default for Datum<T> {
    fn default() -> Self {
        Datum { known: None, gap: None }
    }
}

impl<T> Datum<T> {
    /// A datum that is known from the start (tests, notes, measured values).
    pub fn known(value: T, as_of: Timestamp, source: impl Into<SafeText>) -> Self {
        Datum { known: Some(Known { value, as_of, source: source.into() }), gap: None }
    }

    /// A datum whose only attempt failed.
    pub fn unknown(reason: Reason, at: Timestamp) -> Self {
        Datum { known: None, gap: Some(Gap { reason, at }) }
    }

    /// Takes a new answer, unless a newer one is already held.
    /// Returns false for an answer that came too late.
    pub fn learn(&mut self, value: T, as_of: Timestamp, source: SafeText) -> bool {
        if self.known.as_ref().is_some_and(|k| k.as_of > as_of) {
            return false;
        }
        if self.gap.as_ref().is_some_and(|g| g.at <= as_of) {
            self.gap = None;
        }
        self.known = Some(Known { value, as_of, source });
        true
    }

    /// Takes a failed attempt; the last known value stays. Returns false for
    /// a failure that came too late to matter.
    pub fn fail(&mut self, gap: Gap) -> bool {
        let newer_value = self.known.as_ref().is_some_and(|k| k.as_of > gap.at);
        let newer_gap = self.gap.as_ref().is_some_and(|g| g.at > gap.at);
        if newer_value || newer_gap {
            return false;
        }
        self.gap = Some(gap);
        true
    }

    /// The last known value, however old.
    pub fn value(&self) -> Option<&T> {
        self.known.as_ref().map(|k| &k.value)
    }

    /// The last known value with its time and source.
    pub fn get(&self) -> Option<&Known<T>> {
        self.known.as_ref()
    }

    /// The failure of the newest attempt, if the newest attempt failed.
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// Why there is no value at all; `None` when there is one, stale or not.
    pub fn why_unknown(&self) -> Option<Reason> {
        match (&self.known, &self.gap) {
            (Some(_), _) => None,
            (None, Some(g)) => Some(g.reason.clone()),
            (None, None) => Some(Reason::NotAsked),
        }
    }

    /// When the value was true.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.known.as_ref().map(|k| k.as_of)
    }

    /// True when there is a value and the newest attempt did not fail.
    pub fn is_current(&self) -> bool {
        self.known.is_some() && self.gap.is_none()
    }
}
