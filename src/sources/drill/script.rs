//! What a drill is: a TOML file with a story, the world it plays in, what
//! happens when, what the player can do about it, and the truth.
//!
//! Times in a file are minutes of the drill's clock, counted from the onset
//! (before it: negative), except for `par`, which is in real seconds.

use super::deed::Deed;
use crate::config::nearest;
use serde::Deserialize;
use std::path::Path;

/// The drills that are built in.
macro_rules! files {
    ($($name:literal)*) => {
        &[$((concat!($name, ".toml"), include_str!(concat!("../../../assets/drills/", $name, ".toml")))),*]
    };
}

const FILES: &[(&str, &str)] = files! {
    "crashed-on-start"
    "tidy-network-acl"
    "keepalive-race"
    "closed-ingress"
    "narrow-egress"
    "lost-answers"
    "blackhole-route"
    "host-firewall"
    "oom-killer"
    "cpu-burn"
    "disk-full"
    "database-stopped"
    "database-slots"
    "partner-api"
    "cart-exception"
    "bad-release"
    "malformed-status"
    "heavy-cookie"
    "cut-short"
    "slow-search"
    "worker-timeout"
    "upload-limit"
    "short-drain"
    "abrupt-scale-in"
    "retry-storm"
    "sick-instance"
    "wrong-health-path"
    "forgotten-maintenance"
    "wrong-port"
    "nobody-home"
    "expired-certificate"
    "login-down"
    "impatient-callers"
    "chained-proxies"
    "cipher-clean-up"
    "nginx-lost-its-app"
    "conntrack-full"
    "stuck-rollout"
    "flapping-target"
    "ghost-address"
    "function-times-out"
    "function-wrong-shape"
    "function-throws"
    "function-throttled"
    "function-too-large"
};

/// A drill as written down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drill {
    /// Lower case, digits and hyphens.
    pub name: String,
    /// One line for the list.
    pub title: String,
    /// What the person on call is told.
    pub story: String,
    /// Id of the cause.
    pub truth: String,
    /// Causes that are right to name as well: how it comes about, what follows.
    #[serde(default)]
    pub also: Vec<String>,
    /// Words that name the cause in a note, besides its id and title.
    #[serde(default)]
    pub names: Vec<String>,
    /// 1 easy, 2, 3 hard.
    #[serde(default = "one")]
    pub level: u8,
    /// From vague to plain.
    #[serde(default)]
    pub hints: Vec<String>,
    /// What a good response does, in order.
    #[serde(default)]
    pub good: Vec<String>,
    /// Steps of the procedure that find it.
    #[serde(default)]
    pub steps: Vec<u8>,
    /// Minutes of calm before it begins.
    #[serde(default = "calm")]
    pub calm: f64,
    /// Minutes behind the onset at which a run without a screen is judged.
    #[serde(default = "judged_after")]
    pub judged_after: f64,
    #[serde(default)]
    pub par: Par,
    #[serde(default)]
    pub world: Setting,
    #[serde(default, rename = "event")]
    pub events: Vec<Event>,
    #[serde(default, rename = "action")]
    pub actions: Vec<Offer>,
}

/// How long a practised person takes, in real seconds from the onset.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Par {
    pub detect: u32,
    pub name: u32,
    pub mitigate: u32,
}

impl Default for Par {
    fn default() -> Self {
        Par { detect: 45, name: 120, mitigate: 180 }
    }
}

/// What stands behind the load balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// Instances in an Auto Scaling group.
    #[default]
    Ec2,
    /// Tasks of a service, by address.
    Ecs,
    /// A function.
    Lambda,
}

/// The world before anything happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Setting {
    pub platform: Platform,
    /// Targets in service.
    pub targets: usize,
    /// More of them that can be put into service.
    pub spares: usize,
    /// Requests a minute at the time of day the drill begins.
    pub requests: f64,
    /// Image of the container; its server's name is in it.
    pub image: String,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    pub port: u16,
    /// Port of the health check; `None`: the traffic port.
    pub check_port: Option<u16>,
    /// Seconds an idle connection is kept by the targets.
    pub keep_alive: f64,
    /// Requests one target works on at a time.
    pub workers: usize,
    /// Seconds until the load balancer learns that a target has closed an
    /// idle connection: the way there and what lies on it.
    pub far: f64,
    /// The load balancer's idle timeout in seconds.
    pub idle: u32,
    /// Deregistration delay in seconds.
    pub drain: u32,
    /// A second target group, with a rule that sends `/api/*` there.
    pub api_group: bool,
    /// An identity provider in front of `/account`.
    pub login: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            platform: Platform::Ec2,
            targets: 4,
            spares: 2,
            requests: 150.0,
            image: "shop:2026.11.3".into(),
            protocol: "HTTP".into(),
            port: 8080,
            check_port: None,
            keep_alive: 75.0,
            workers: 64,
            far: 0.01,
            idle: 60,
            drain: 120,
            api_group: false,
            login: false,
        }
    }
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Minutes from the onset.
    pub at: f64,
    #[serde(rename = "do")]
    pub deeds: Vec<Deed>,
}

/// Something the player can do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    pub id: String,
    /// One line, as a person would say it.
    pub title: String,
    /// What is seen when it is done.
    #[serde(default)]
    pub told: String,
    #[serde(default, rename = "do")]
    pub deeds: Vec<Deed>,
    /// It ends the failure.
    #[serde(default)]
    pub cures: bool,
    /// Minutes until it has its effect.
    #[serde(default)]
    pub takes: f64,
}

fn one() -> u8 {
    1
}

fn calm() -> f64 {
    6.0
}

fn judged_after() -> f64 {
    8.0
}

/// Why a file is no drill: one line with the place and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bad(pub String);

impl Drill {
    /// Reads a drill; `file` is named in the error.
    ///
    /// # Errors
    /// What is not TOML, not a drill, or contradicts itself.
    pub fn parse(file: &str, text: &str) -> Result<Drill, Bad> {
        let drill: Drill = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
            Bad(format!("{file} line {line}: {}", e.message().replace('\n', " ")))
        })?;
        drill.check().map_err(|(find, why)| {
            let line = text.lines().position(|l| !find.is_empty() && l.contains(&find)).map_or(1, |n| n + 1);
            Bad(format!("{file} line {line}: {why}"))
        })?;
        Ok(drill)
    }

    /// Reads a file of a team's own.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`Drill::parse`].
    pub fn load(path: &Path) -> Result<Drill, Bad> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Bad(format!("{shown}: cannot be read: {e}")))?;
        Drill::parse(&shown, &text)
    }

    /// What to look for in the text, and what is wrong with it.
    fn check(&self) -> Result<(), (String, String)> {
        let bad = |find: &str, why: String| Err((find.to_owned(), why));
        let plain = |s: &str| {
            !s.is_empty()
                && s.len() <= 48
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !plain(&self.name) {
            return bad("name", "name: lower case letters, digits and hyphens, at most 48".into());
        }
        if self.title.trim().is_empty() || self.story.trim().is_empty() {
            return bad("title", "title and story must say something".into());
        }
        for (what, v, low, high) in [
            ("calm", self.calm, 4.0, 60.0),
            ("judged-after", self.judged_after, 2.0, 60.0),
            ("requests", self.world.requests, 10.0, 2000.0),
            ("keep-alive", self.world.keep_alive, 0.5, 4000.0),
            ("far", self.world.far, 0.0, 5.0),
        ] {
            if !(low..=high).contains(&v) {
                return bad(what, format!("{what} is {v}; it must be between {low} and {high}"));
            }
        }
        for (what, v, low, high) in [
            ("targets", self.world.targets, 1, 16),
            ("spares", self.world.spares, 0, 8),
            ("workers", self.world.workers, 1, 1000),
        ] {
            if !(low..=high).contains(&v) {
                return bad(what, format!("{what} is {v}; it must be between {low} and {high}"));
            }
        }
        if !matches!(self.world.protocol.as_str(), "HTTP" | "HTTPS") {
            return bad("protocol", format!("protocol is '{}'; HTTP or HTTPS", self.world.protocol));
        }
        if self.events.is_empty() {
            return bad("", "nothing happens: there is no [[event]]".into());
        }
        if let Some(e) = self.events.iter().find(|e| e.at < -self.calm || e.at > 24.0 * 60.0) {
            return bad(&format!("at = {}", e.at), format!("an event at {} lies outside of the drill", e.at));
        }
        if let Some(s) = self.steps.iter().find(|s| **s > 9) {
            return bad("steps", format!("step {s}: there are steps 0 to 9"));
        }
        let mut ids: Vec<&str> = Vec::new();
        for a in &self.actions {
            if !plain(&a.id) || ids.contains(&a.id.as_str()) {
                return bad(&a.id, format!("action '{}': each needs a plain id, and an id of its own", a.id));
            }
            ids.push(&a.id);
        }
        let names = self.hosts();
        let deeds =
            self.events.iter().flat_map(|e| &e.deeds).chain(self.actions.iter().flat_map(|a| &a.deeds));
        for d in deeds {
            for h in d.hosts() {
                if !names.contains(h) {
                    let known = names.join(", ");
                    return bad(&format!("\"{h}\""), format!("there is no target '{h}'; known: {known}"));
                }
            }
        }
        Ok(())
    }

    /// Names of all targets, spares last: `web-1`, `web-2`...
    pub fn hosts(&self) -> Vec<String> {
        (1..=self.world.targets + self.world.spares).map(|n| format!("web-{n}")).collect()
    }
}

/// Every built-in drill, in the order of the list.
///
/// # Errors
/// A built-in file is bad; a test keeps that from happening.
pub fn all() -> Result<Vec<Drill>, Bad> {
    FILES.iter().map(|(file, text)| Drill::parse(file, text)).collect()
}

/// The drill that is played when none is named.
///
/// # Errors
/// A built-in file is bad.
pub fn first() -> Result<Drill, Bad> {
    let (file, text) = FILES[0];
    Drill::parse(file, text)
}

/// The built-in drill of a name.
///
/// # Errors
/// No drill has this name; the one meant is named where it can be guessed.
pub fn named(name: &str) -> Result<Drill, Bad> {
    let all = all()?;
    if let Some(d) = all.iter().find(|d| d.name == name) {
        return Ok(d.clone());
    }
    let names: Vec<&str> = all.iter().map(|d| d.name.as_str()).collect();
    let hint = nearest(name, names.iter().copied())
        .or_else(|| names.iter().find(|n| n.contains(name)).copied())
        .map_or_else(String::new, |n| format!(" (did you mean '{n}'?)"));
    Err(Bad(format!("there is no drill '{name}'{hint}; --list names them all")))
}
