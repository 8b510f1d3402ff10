//! What running a step gives. It goes into the incident file as it is and is
//! read back from there, so a replay shows what was found, not what would be.

use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How good or bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Looked at, and as it should be.
    Ok,
    /// A fact without judgement.
    Info,
    /// Something to be done by hand, or its output as a person noted it.
    Manual,
    /// Could not be learned; the reason is in the text.
    Unknown,
    /// Points to trouble.
    Found,
}

/// An observation a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was observed: `target health of web`, `HTTPCode_ELB_502_Count`.
    pub what: SafeText,
    /// Who said so: `elbv2:DescribeTargetHealth`.
    pub source: SafeText,
    /// When it was true.
    pub at: Timestamp,
}

/// One thing a check has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub level: Level,
    /// One line, in the language the step was run in.
    pub text: SafeText,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// Something a check would have needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub what: SafeText,
    pub reason: SafeText,
}

/// A command for a person to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// What it shows, and where to run it.
    pub what: SafeText,
    /// The line to paste into a shell.
    pub run: SafeText,
    /// The host this line is for, when it reaches one by SSM or ECS Exec by
    /// itself; empty for a line to be typed on the spot.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub host: SafeText,
    /// It changes something. Everything else only reads.
    #[serde(default, skip_serializing_if = "is_false")]
    pub changes: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(b: &bool) -> bool {
    !*b
}

/// What one check asked and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Stable, language-free: `network.paths`.
    pub id: SafeText,
    pub title: SafeText,
    /// Operations that were asked, in order: `elbv2:DescribeTargetHealth`.
    pub asked: Vec<SafeText>,
    pub findings: Vec<Finding>,
    pub unknown: Vec<Missing>,
    pub manual: Vec<Manual>,
}

impl CheckResult {
    /// Findings of one level.
    pub fn of(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.level == level)
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Everything was looked at and nothing points to trouble.
    Done,
    /// So many findings point to trouble. Some things may be unknown all the same.
    Found(usize),
    /// Nothing found so far, but not everything could be learned.
    Partial,
    /// Nothing could be learned.
    NothingKnown,
    /// There is nothing to look at from here: commands to run by hand only.
    ByHand,
}

impl StepState {
    /// The state that follows from the checks of a step.
    pub fn of(checks: &[CheckResult]) -> StepState {
        let count = |l: Level| checks.iter().map(|c| c.of(l).count()).sum::<usize>();
        let (found, known) = (count(Level::Found), count(Level::Ok) + count(Level::Info));
        let missing = count(Level::Unknown) + checks.iter().map(|c| c.unknown.len()).sum::<usize>();
        match (found, missing, known) {
            (1.., _, _) => StepState::Found(found),
            (0, 1.., 0) => StepState::NothingKnown,
            (0, 1.., _) => StepState::Partial,
            (0, 0, 0) => StepState::ByHand,
            (0, 0, _) => StepState::Done,
        }
    }
}

impl fmt::Display for StepState {
    /// `done`, `found 2`, `partial`, `nothing known`, `by hand`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepState::Done => f.pad("done"),
            StepState::Found(n) => f.pad(&format!("found {n}")),
            StepState::Partial => f.pad("partial"),
            StepState::NothingKnown => f.pad("nothing known"),
            StepState::ByHand => f.pad("by hand"),
        }
    }
}

impl std::str::FromStr for StepState {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "done" => StepState::Done,
            "partial" => StepState::Partial,
            "nothing known" => StepState::NothingKnown,
            "by hand" => StepState::ByHand,
            other => match other.strip_prefix("found ").map(str::parse) {
                Some(Ok(n)) => StepState::Found(n),
                _ => return Err(format!("'{other}' is no state of a step")),
            },
        })
    }
}

impl Serialize for StepState {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepState {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a step found. The `data` of a `step` record in the incident file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// Key of the step, 0 to 9.
    pub id: u8,
    pub title: SafeText,
    pub state: StepState,
    /// When its questions were asked.
    pub started: Timestamp,
    /// When the answers were judged.
    pub finished: Timestamp,
    pub checks: Vec<CheckResult>,
}

impl StepResult {
    /// Every finding, worst first; the order of the checks within a level.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.checks.iter().flat_map(|c| &c.findings).collect();
        all.sort_by_key(|f| std::cmp::Reverse(f.level));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(levels: &[Level]) -> CheckResult {
        CheckResult {
            id: "a.b".into(),
            title: "".into(),
            asked: vec![],
            findings: levels
                .iter()
                .map(|l| Finding { level: *l, text: "t".into(), evidence: vec![] })
                .collect(),
            unknown: vec![],
            manual: vec![],
        }
    }

    #[test]
    fn unknown_is_never_done() {
        use Level::*;
        let table: &[(&[Level], StepState, &str)] = &[
            (&[Ok, Info], StepState::Done, "done"),
            (&[Ok, Unknown], StepState::Partial, "partial"),
            (&[Unknown], StepState::NothingKnown, "nothing known"),
            (&[Unknown, Manual], StepState::NothingKnown, "nothing known"),
            (&[Manual], StepState::ByHand, "by hand"),
            (&[], StepState::ByHand, "by hand"),
            (&[Ok, Unknown, Found, Found], StepState::Found(2), "found 2"),
        ];
        for (levels, state, word) in table {
            let got = StepState::of(&[check(levels)]);
            assert_eq!(got, *state, "{levels:?}");
            assert_eq!(got.to_string(), *word);
            assert_eq!(word.parse(), Result::Ok(got));
        }
        assert!("found".parse::<StepState>().is_err() && "found x".parse::<StepState>().is_err());
    }

    #[test]
    fn a_missing_datum_without_a_finding_counts_too() {
        let mut c = check(&[Level::Ok]);
        c.unknown.push(Missing { what: "x".into(), reason: "y".into() });
        assert_eq!(StepState::of(&[c]), StepState::Partial);
    }

    #[test]
    fn comes_back_from_json_as_it_was() {
        let at: Timestamp = "2026-11-22T01:53:12Z".parse().unwrap();
        let step = StepResult {
            id: 3,
            title: "ネットワーク".into(),
            state: StepState::Found(1),
            started: at,
            finished: at,
            checks: vec![check(&[Level::Found])],
        };
        let json = serde_json::to_string(&step).unwrap();
        assert!(json.contains("\"state\":\"found 1\""), "{json}");
        assert_eq!(serde_json::from_str::<StepResult>(&json).unwrap(), step);
    }
}
