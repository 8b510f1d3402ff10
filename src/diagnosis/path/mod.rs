//! Would a packet get there, and its answer back? Evaluates security groups,
//! network ACLs and routes as configured, without sending anything.
//!
//! Semantics: Amazon VPC user guide (security group rules, network ACLs, route
//! priority, peering) and the Elastic Load Balancing guides. Everything that
//! was not observed makes the result `unknown` with the reason, never `open`.

mod eval;
mod flow;
mod legs;
mod memo;
mod nacl;
mod network;
mod route;
mod sg;
mod space;

pub use eval::evaluate;
pub use legs::{Leg, LegKind, legs};
pub use network::Network;
pub use space::is_public;

use crate::situation::net::Protocol;
use crate::situation::{Reason, Situation};
use crate::text::SafeText;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::net::IpAddr;

/// Name and version of the JSON shape of [`PathReport`].
pub const SCHEMA: &str = "badgate.path/1";

/// One end of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Anybody on the internet.
    Internet,
    /// Whoever has this address.
    Address(IpAddr),
    /// `eni-...`
    Interface(SafeText),
    /// `i-...`, by its primary interface.
    Instance(SafeText),
    /// ARN of a load balancer: its nodes in every zone.
    LoadBalancer(SafeText),
}

impl Endpoint {
    /// Reads what a person writes: `internet`, an address, `eni-...`, `i-...`,
    /// or a load balancer's ARN, name or DNS name. `None` when it is none of
    /// these in this situation.
    pub fn parse(text: &str, s: &Situation) -> Option<Endpoint> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("internet") {
            return Some(Endpoint::Internet);
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(Endpoint::Address(ip));
        }
        if text.starts_with("eni-") {
            return Some(Endpoint::Interface(text.into()));
        }
        if text.starts_with("i-") {
            return Some(Endpoint::Instance(text.into()));
        }
        s.lbs
            .iter()
            .find(|(arn, state)| {
                arn.as_str() == text
                    || state.lb.value().is_some_and(|lb| {
                        lb.name.as_str() == text || lb.dns_name.as_str().eq_ignore_ascii_case(text)
                    })
            })
            .map(|(arn, _)| Endpoint::LoadBalancer(arn.clone()))
    }
}

/// What the whole path comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Every stage of both directions lets it through.
    Open,
    /// Some connections get through and some do not. Written as `blocked` in
    /// JSON, with `partial`: whoever asks "is it open?" must not hear yes.
    Partly,
    /// A stage stops it.
    Blocked,
    /// Nothing seen stops it, but not everything was seen.
    Unknown,
    /// There is no network path to speak of (a Lambda target).
    NotApplicable,
}

impl Verdict {
    /// One word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Open => "open",
            Verdict::Partly => "partly blocked",
            Verdict::Blocked => "blocked",
            Verdict::Unknown => "unknown",
            Verdict::NotApplicable => "n/a",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(match self {
            Verdict::Open => "open",
            Verdict::Partly | Verdict::Blocked => "blocked",
            Verdict::Unknown | Verdict::NotApplicable => "unknown",
        })
    }
}

/// Where on the path a decision falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageKind {
    SgEgress,
    NaclOut,
    Route,
    NaclIn,
    SgIngress,
    ReturnNaclOut,
    ReturnRoute,
    ReturnNaclIn,
}

impl StageKind {
    /// `sg-egress`, as in JSON.
    pub fn id(self) -> &'static str {
        match self {
            StageKind::SgEgress => "sg-egress",
            StageKind::NaclOut => "nacl-out",
            StageKind::Route => "route",
            StageKind::NaclIn => "nacl-in",
            StageKind::SgIngress => "sg-ingress",
            StageKind::ReturnNaclOut => "return-nacl-out",
            StageKind::ReturnRoute => "return-route",
            StageKind::ReturnNaclIn => "return-nacl-in",
        }
    }

    /// Words for a screen, at most 16 columns.
    pub fn words(self) -> &'static str {
        match self {
            StageKind::SgEgress => "SG egress",
            StageKind::NaclOut => "NACL out",
            StageKind::Route => "route",
            StageKind::NaclIn => "NACL in",
            StageKind::SgIngress => "SG ingress",
            StageKind::ReturnNaclOut => "back NACL out",
            StageKind::ReturnRoute => "back route",
            StageKind::ReturnNaclIn => "back NACL in",
        }
    }
}

/// What one stage does with the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Allow,
    Deny,
    /// Lets part of it through (some ports, some addresses).
    Partial,
    #[default]
    Unknown,
    /// This stage is not on the path (same subnet, outside the cloud).
    NotApplicable,
}

/// One stage and what decides it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    pub stage: StageKind,
    /// Id of the resource that decides: `sg-...`, `acl-...`, `rtb-...`; may be empty.
    pub id: SafeText,
    /// The rule that decides, in short: an ACL rule number, `tcp 8080 sg-alb`,
    /// `10.0.0.0/16 -> local`, `no rule`.
    pub rule: SafeText,
    pub decision: Decision,
    /// The same in a sentence.
    pub why: SafeText,
}

/// The stage that stops a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Block {
    pub stage: StageKind,
    pub id: SafeText,
    pub rule: SafeText,
    pub why: SafeText,
}

/// Something that was not seen and could change the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unseen {
    pub stage: StageKind,
    pub what: SafeText,
    #[serde(serialize_with = "Reason::as_phrase")]
    pub reason: Reason,
}

/// The answer for one path. JSON shape `badgate.path/1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathReport {
    pub schema: &'static str,
    pub from: SafeText,
    pub to: SafeText,
    pub protocol: Protocol,
    pub port: Option<u16>,
    pub verdict: Verdict,
    pub blocked_by: Option<Block>,
    /// Share of connections that get through (0 to 1) when that is neither all nor none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<f64>,
    pub forward: Vec<Stage>,
    #[serde(rename = "return")]
    pub back: Vec<Stage>,
    pub unknown: Vec<Unseen>,
}

impl PathReport {
    /// One sentence: what blocks it, what is not known, or that it is open.
    pub fn why(&self) -> SafeText {
        if let Some(b) = &self.blocked_by {
            return b.why.clone();
        }
        match self.unknown.first() {
            Some(u) => SafeText::from(format!("{}: {}", u.what, u.reason.phrase())),
            None => SafeText::from("every stage lets it through, both ways"),
        }
    }
}

/// Packets a stage refuses: peers, and ports where they matter.
#[derive(Clone, Copy, Debug)]
struct Cut {
    net: IpNet,
    ports: Option<(u16, u16)>,
}

/// What one stage found, before it has a place in a report.
#[derive(Clone, Debug, Default)]
struct Outcome {
    id: SafeText,
    rule: SafeText,
    decision: Decision,
    why: SafeText,
    /// What is refused, for `Partial`.
    cuts: Vec<Cut>,
    /// What is not known, for `Unknown`.
    unknown: Option<(SafeText, Reason)>,
}

impl Outcome {
    fn new(id: &str, rule: impl Into<SafeText>, decision: Decision, why: impl Into<SafeText>) -> Outcome {
        Outcome {
            id: id.into(),
            rule: rule.into(),
            decision,
            why: why.into(),
            cuts: Vec::new(),
            unknown: None,
        }
    }

    fn skipped(id: &str, why: &str) -> Outcome {
        Outcome::new(id, "-", Decision::NotApplicable, why)
    }

    fn partial(id: &str, rule: impl Into<SafeText>, why: impl Into<SafeText>, cuts: Vec<Cut>) -> Outcome {
        Outcome { cuts, ..Outcome::new(id, rule, Decision::Partial, why) }
    }

    fn unknown(id: &str, what: impl Into<SafeText>, reason: Reason) -> Outcome {
        let what = what.into();
        let why = SafeText::from(format!("{what}: {}", reason.phrase()));
        Outcome { unknown: Some((what, reason)), ..Outcome::new(id, "?", Decision::Unknown, why) }
    }
}
