//! What a diagnosis says: causes with their standing and the evidence.

use crate::situation::Reason;
use crate::text::SafeText;
use jiff::Timestamp;
use serde::Serialize;

/// How sure a cause is. There are no percentages: each step has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Something was seen that only this cause explains, and nothing speaks against it.
    Confirmed,
    /// What was seen fits this cause better than its neighbours.
    Likely,
    /// What was seen fits, and fits others as well.
    Possible,
    /// What would tell could not be asked. See `missing`.
    Unchecked,
    /// Something was seen that this cause excludes.
    RuledOut,
}

impl Standing {
    /// Words for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Confirmed => "confirmed",
            Standing::Likely => "likely",
            Standing::Possible => "possible",
            Standing::Unchecked => "unchecked",
            Standing::RuledOut => "ruled out",
        }
    }

    /// True for the standings an exit code and a page are about.
    pub fn names_it(self) -> bool {
        matches!(self, Standing::Confirmed | Standing::Likely)
    }
}

/// Where on the path a cause sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    Client,
    Dns,
    CloudFront,
    ApiGateway,
    Tls,
    Alb,
    Nlb,
    Clb,
    Network,
    Target,
    Lambda,
    Deploy,
    Dependency,
}

impl Hop {
    /// A word for a screen, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Hop::Client => "client",
            Hop::Dns => "dns",
            Hop::Tls => "tls",
            Hop::CloudFront => "cloudfront",
            Hop::ApiGateway => "apigateway",
            Hop::Alb => "alb",
            Hop::Nlb => "nlb",
            Hop::Clb => "clb",
            Hop::Network => "network",
            Hop::Target => "target",
            Hop::Lambda => "lambda",
            Hop::Deploy => "deploy",
            Hop::Dependency => "dependency",
        }
    }
}

/// Which way evidence speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    For,
    Against,
}

/// How much one observation says about one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Fits, as it fits others.
    Weak,
    /// Fits this one better than its neighbours.
    Strong,
    /// Settles it.
    Decisive,
}

/// An observation read for or against a cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    pub polarity: Polarity,
    #[serde(skip)]
    pub weight: Weight,
    /// What was looked at.
    pub what: SafeText,
    /// What it said.
    pub value: SafeText,
    /// Who said so: an operation, a metric, a log group.
    pub source: SafeText,
    /// When it was true.
    pub at: Timestamp,
}

/// Something that would tell and is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lack {
    pub what: SafeText,
    #[serde(serialize_with = "Reason::as_phrase")]
    pub reason: Reason,
}

/// What to do next about a verdict. The words are in the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Make the catalogue's cheapest discriminating check of this cause.
    Check(&'static str),
    /// Apply the catalogue's mitigation of this cause.
    Mitigate(&'static str),
    /// Get an answer that is missing: what, and why it is.
    Learn(Lack),
}

/// A cause and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Id of the catalogue.
    pub cause: &'static str,
    pub standing: Standing,
    pub hop: Hop,
    /// For first, then against; heavier first.
    pub evidence: Vec<Evidence>,
    pub missing: Vec<Lack>,
    /// Causes that what was seen cannot tell from this one.
    pub twins: Vec<&'static str>,
    pub next: Vec<Next>,
    /// Why it stands where it stands, in a sentence.
    pub why: SafeText,
}

/// A configuration that could cause a 502 and shows no trace of it now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Risk {
    pub cause: &'static str,
    pub hop: Hop,
    pub evidence: Vec<Evidence>,
    pub why: SafeText,
}

/// Everything a diagnosis says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Best first. The order is explained at [`super::causes::diagnose`].
    pub verdicts: Vec<Verdict>,
    pub risks: Vec<Risk>,
    /// Requests fail, or targets do, in the window looked at.
    pub trouble: bool,
    /// Start of the window: the onset, or an hour before the newest observation.
    pub from: Option<Timestamp>,
}

impl Diagnosis {
    /// The verdict on a cause, if there is one.
    pub fn of(&self, cause: &str) -> Option<&Verdict> {
        self.verdicts.iter().find(|v| v.cause == cause)
    }

    /// The first verdict, when it is confirmed or likely.
    pub fn top(&self) -> Option<&Verdict> {
        self.verdicts.first().filter(|v| v.standing.names_it())
    }
}
