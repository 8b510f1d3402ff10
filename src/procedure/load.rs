//! Reads the words of the procedure. The files are part of the program; they
//! are read with the same care as any other file, because people edit them.

use super::Lang;
use super::checks::TABLE;
use super::patterns::Patterns;
use super::phrases::PHRASES;
use crate::situation::{Reason, Topic};
use crate::text::SafeText;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;

/// What is wrong with a file of words: file, place, reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", place.map(|(l, c)| format!(":{l}:{c}")).unwrap_or_default())]
pub struct WordsError {
    /// `assets/procedure.en.toml`.
    pub file: SafeText,
    /// Line and column from 1, where the parser knows them.
    pub place: Option<(usize, usize)>,
    pub reason: SafeText,
}

/// The procedure in one language: its steps, and the phrases findings are said in.
#[derive(Clone, Debug)]
pub struct Procedure {
    pub lang: Lang,
    /// In the order of their keys, 0 to 9.
    pub steps: Vec<Step>,
    pub(crate) words: Words,
    pub(crate) patterns: Patterns,
}

/// One step as documented.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// 0 to 7 the documented steps, 8 emergency, 9 prevention.
    pub id: u8,
    /// The key that runs it.
    pub key: SafeText,
    pub title: SafeText,
    /// Why this step, in one or two sentences.
    pub about: SafeText,
    #[serde(rename = "check")]
    pub checks: Vec<Check>,
}

/// One check as documented.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The same in every language: `network.paths`.
    pub id: SafeText,
    pub title: SafeText,
    /// What it asks, in one sentence.
    pub asks: SafeText,
    /// Commands for what cannot be asked from here.
    #[serde(default)]
    pub manual: Vec<Template>,
}

/// A command with places for names and numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What it shows.
    pub what: SafeText,
    /// Where it is run.
    pub on: On,
    /// A shell line; `{name}` stands for a value, quoted for the shell when it needs to be.
    pub run: SafeText,
    /// Left out where this is known not to be on the path.
    #[serde(default)]
    pub only: Option<Only>,
    /// It changes something.
    #[serde(default)]
    pub changes: bool,
}

/// What must be on the path for a command to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// An ECS service.
    Ecs,
    /// Targets registered by instance id.
    Instances,
    /// A target group that is spoken to in TLS.
    TlsTarget,
    /// A listener that speaks TLS.
    TlsListener,
    /// Access logs of the load balancer in a bucket.
    AccessLogs,
}

/// Where a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// In the shell badgate was started from.
    Here,
    /// On every host of a target that is in question.
    Host,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lang: Lang,
    step: Vec<Step>,
    phrases: BTreeMap<String, SafeText>,
    topics: BTreeMap<String, SafeText>,
}

const EN: &str = include_str!("../../assets/procedure.en.toml");
const JA: &str = include_str!("../../assets/procedure.ja.toml");

impl Procedure {
    /// The procedure in this language.
    pub fn load(lang: Lang) -> Result<Procedure, WordsError> {
        match lang {
            Lang::En => Procedure::parse(EN, "assets/procedure.en.toml"),
            Lang::Ja => Procedure::parse(JA, "assets/procedure.ja.toml"),
        }
    }

    /// Reads a file of words. `file` is only for messages.
    ///
    /// # Errors
    /// What is no TOML of this shape; a step, check or phrase that is missing,
    /// unknown or given twice; a placeholder that is missing or unknown.
    pub fn parse(text: &str, file: &str) -> Result<Procedure, WordsError> {
        let wrong =
            |place, reason: String| WordsError { file: file.into(), place, reason: SafeText::from(reason) };
        let read: File = toml::from_str(text).map_err(|e| {
            let reason = e.message().lines().map(str::trim).collect::<Vec<_>>().join(" ");
            wrong(e.span().map(|s| place(text, s.start)), reason)
        })?;
        let somewhere = |needle: &str| text.find(needle).map(|i| place(text, i));
        let ids: Vec<u8> = read.step.iter().map(|s| s.id).collect();
        if ids != (0..=9).collect::<Vec<u8>>() {
            return Err(wrong(None, format!("the steps must be 0 to 9 in order, not {ids:?}")));
        }
        for step in &read.step {
            let known: Vec<&str> = TABLE
                .iter()
                .filter(|(id, _)| *id == step.id)
                .flat_map(|(_, checks)| checks.iter().map(|(name, _)| *name))
                .collect();
            let have: Vec<&str> = step.checks.iter().map(|c| c.id.as_str()).collect();
            if known != have {
                let at =
                    have.iter().find(|h| !known.contains(h)).and_then(|h| somewhere(&format!("\"{h}\"")));
                return Err(wrong(
                    at,
                    format!(
                        "step {} must have the checks {}, not {}",
                        step.id,
                        known.join(", "),
                        have.join(", ")
                    ),
                ));
            }
        }
        let words = Words::build(&read.phrases, read.topics).map_err(|(key, reason)| {
            wrong(somewhere(&format!("\n{key} =")).map(|(l, _)| (l + 1, 1)), reason)
        })?;
        Ok(Procedure { lang: read.lang, steps: read.step, words, patterns: Patterns::load()? })
    }

    /// The step behind a key.
    pub fn step(&self, id: u8) -> Option<&Step> {
        self.steps.iter().find(|s| s.id == id)
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let head = text.get(..offset).unwrap_or(text);
    let line_start = head.rfind('\n').map_or(0, |i| i + 1);
    (head.matches('\n').count() + 1, head[line_start..].chars().count() + 1)
}

/// The phrases of one language. Every phrase has a method of its name (see
/// `phrases.rs`), so a phrase without its values does not compile.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    phrases: BTreeMap<&'static str, Vec<Piece>>,
    topics: BTreeMap<String, SafeText>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Slot(String),
}

/// Splits `a {b} c`; `None` for a brace without its partner or an empty name.
fn pieces(template: &str) -> Option<Vec<Piece>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(i) = rest.find(['{', '}']) {
        if rest.as_bytes()[i] == b'}' {
            return None;
        }
        let end = i + rest[i..].find('}')?;
        let name = &rest[i + 1..end];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return None;
        }
        out.push(Piece::Text(rest[..i].to_owned()));
        out.push(Piece::Slot(name.to_owned()));
        rest = &rest[end + 1..];
    }
    out.push(Piece::Text(rest.to_owned()));
    Some(out)
}

impl Words {
    /// Errors: the key at fault and the reason.
    fn build(
        given: &BTreeMap<String, SafeText>,
        topics: BTreeMap<String, SafeText>,
    ) -> Result<Words, (String, String)> {
        let mut phrases = BTreeMap::new();
        for (id, slots) in PHRASES {
            let Some(template) = given.get(*id) else {
                return Err(("[phrases]".into(), format!("the phrase '{id}' is missing")));
            };
            let Some(parts) = pieces(template) else {
                return Err(((*id).into(), format!("the braces of the phrase '{id}' do not close")));
            };
            for slot in *slots {
                if !parts.contains(&Piece::Slot((*slot).to_owned())) {
                    return Err(((*id).into(), format!("the phrase '{id}' lacks {{{slot}}}")));
                }
            }
            let stranger = parts.iter().find_map(|p| match p {
                Piece::Slot(n) if !slots.contains(&n.as_str()) => Some(n.clone()),
                _ => None,
            });
            if let Some(n) = stranger {
                return Err(((*id).into(), format!("the phrase '{id}' has {{{n}}}, which it is not given")));
            }
            phrases.insert(*id, parts);
        }
        if let Some(id) = given.keys().find(|k| !phrases.contains_key(k.as_str())) {
            return Err((id.clone(), format!("the phrase '{id}' is not used")));
        }
        for id in TOPICS {
            if !topics.contains_key(*id) {
                return Err(("[topics]".into(), format!("the topic '{id}' is missing")));
            }
        }
        if let Some(id) = topics.keys().find(|k| !TOPICS.contains(&k.as_str())) {
            return Err((id.clone(), format!("there is no topic '{id}'")));
        }
        Ok(Words { phrases, topics })
    }

    pub(super) fn fill(&self, id: &str, values: &[(&str, &dyn Display)]) -> SafeText {
        let mut out = String::new();
        // Loading has made sure that every phrase is there with every slot.
        for piece in self.phrases.get(id).map(Vec::as_slice).unwrap_or_default() {
            match piece {
                Piece::Text(t) => out.push_str(t),
                Piece::Slot(name) => {
                    use std::fmt::Write;
                    if let Some((_, v)) = values.iter().find(|(n, _)| n == name) {
                        let _ = write!(out, "{v}");
                    }
                }
            }
        }
        SafeText::from(out)
    }

    /// What a question is about, in this language: `target health of web`.
    pub(crate) fn topic(&self, topic: &Topic) -> SafeText {
        let name = self.topics.get(topic_key(topic)).cloned().unwrap_or_else(|| topic.name().into());
        match crate::situation::short(topic.subject()) {
            "" => name,
            subject => self.topic_of(name, subject),
        }
    }

    /// Why something is not known, in this language.
    pub(crate) fn reason(&self, reason: &Reason) -> SafeText {
        match reason {
            Reason::NotAsked => self.reason_not_asked(),
            Reason::Denied { action } => self.reason_denied(action),
            Reason::Throttled { until } => self.reason_throttled(until.strftime("%H:%M:%SZ")),
            Reason::Credentials { detail } => self.reason_credentials(detail),
            Reason::TimedOut { after_ms } => {
                self.reason_timed_out(format!("{:.1}", *after_ms as f64 / 1000.0))
            }
            Reason::Offline { detail } => self.reason_offline(detail),
            Reason::NotFound { what } => self.reason_not_found(what),
            Reason::Malformed { detail } => self.reason_malformed(detail),
            Reason::Failed { code, detail } => self.reason_failed(if detail.is_empty() {
                code.clone()
            } else {
                format!("{code}: {detail}").into()
            }),
            Reason::NotApplicable { why } => self.reason_not_applicable(why),
            Reason::NeedsMeasuring { how } => self.reason_needs_measuring(how),
        }
    }
}

/// Keys of the `[topics]` table.
pub(super) const TOPICS: &[&str] = &[
    "identity",
    "target",
    "load_balancer",
    "lb_attributes",
    "listeners",
    "rules",
    "target_groups",
    "tg_attributes",
    "tags",
    "target_health",
    "lb_interfaces",
    "subnets",
    "security_groups",
    "network_acls",
    "route_tables",
    "instances",
    "interfaces",
    "prefix_list",
    "metrics",
    "ecs_services",
    "ecs_tasks",
    "task_definition",
    "host_metrics",
    "changes",
    "access_log",
    "listener_certificates",
    "certificate",
    "instance_status",
    "scaling",
    "databases",
    "function",
    "probe",
    "host",
    "listener_attributes",
    "distribution",
    "api",
    "classic",
    "instance_health",
    "records",
    "front_metrics",
    "front_log",
    "front_changes",
    "health_check",
    "web_acl",
    "releases",
    "caches",
    "traces",
    "place",
    "log_groups",
    "tail",
];

fn topic_key(topic: &Topic) -> &'static str {
    match topic {
        Topic::Identity => "identity",
        Topic::Target => "target",
        Topic::LoadBalancer(_) => "load_balancer",
        Topic::LbAttributes(_) => "lb_attributes",
        Topic::Listeners(_) => "listeners",
        Topic::Rules(_) => "rules",
        Topic::TargetGroups(_) => "target_groups",
        Topic::TgAttributes(_) => "tg_attributes",
        Topic::Tags(_) => "tags",
        Topic::TargetHealth(_) => "target_health",
        Topic::LbInterfaces(_) => "lb_interfaces",
        Topic::Subnets(_) => "subnets",
        Topic::SecurityGroups(_) => "security_groups",
        Topic::NetworkAcls(_) => "network_acls",
        Topic::RouteTables(_) => "route_tables",
        Topic::Instances(_) => "instances",
        Topic::Interfaces(_) => "interfaces",
        Topic::PrefixList(_) => "prefix_list",
        Topic::Metrics(_) => "metrics",
        Topic::EcsServices(_) => "ecs_services",
        Topic::EcsTasks(_) => "ecs_tasks",
        Topic::TaskDefinition(_) => "task_definition",
        Topic::HostMetrics(_) => "host_metrics",
        Topic::Changes(_) => "changes",
        Topic::AccessLog(_) => "access_log",
        Topic::ListenerCertificates(_) => "listener_certificates",
        Topic::Certificate(_) => "certificate",
        Topic::InstanceStatus(_) => "instance_status",
        Topic::Scaling(_) => "scaling",
        Topic::Databases(_) => "databases",
        Topic::Function(_) => "function",
        Topic::Probe(_) => "probe",
        Topic::Host(_) => "host",
        Topic::ListenerAttributes(_) => "listener_attributes",
        Topic::Distribution(_) => "distribution",
        Topic::Api(_) => "api",
        Topic::Classic(_) => "classic",
        Topic::InstanceHealth(_) => "instance_health",
        Topic::Records(_) => "records",
        Topic::FrontMetrics(_) => "front_metrics",
        Topic::FrontLog(_) => "front_log",
        Topic::FrontChanges(_) => "front_changes",
        Topic::HealthCheck(_) => "health_check",
        Topic::WebAcl(_) => "web_acl",
        Topic::Releases(_) => "releases",
        Topic::Caches(_) => "caches",
        Topic::Traces(_) => "traces",
        Topic::Place(_) => "place",
        Topic::LogGroups => "log_groups",
        Topic::Tail(_) => "tail",
    }
}
