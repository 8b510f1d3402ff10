//! The config file: TOML under the XDG config folder. A missing file is fine;
//! one that is there and wrong is refused whole, in one line that says where
//! and what was probably meant, because half a config at night is worse than
//! none.

mod nearest;
mod sample;
mod schema;
mod values;

pub use nearest::nearest;
pub use sample::sample;
pub use schema::schema;
pub use values::{Color, Redact, Sync, Theme};

use crate::procedure::Lang;
use crate::text::SafeText;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file larger than this is not a config file.
const MAX_BYTES: u64 = 1 << 20;

/// What is wrong with a config file. Shown as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
pub struct ConfigError {
    /// The file as it was named.
    pub file: SafeText,
    /// Line and column of the mistake, both from 1; `None` when the file could not be read.
    pub place: Option<(usize, usize)>,
    /// What is wrong and what to do.
    pub what: SafeText,
}

impl ConfigError {
    fn line(&self) -> String {
        match self.place {
            Some((line, column)) => format!("config {}:{line}:{column}: {}", self.file, self.what),
            None => format!("config {}: {}", self.file, self.what),
        }
    }
}

/// Everything the config file can say. Fields that are not set keep their defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Language of the procedure; `None` follows `LC_ALL`, `LC_MESSAGES`, `LANG`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub lang: Option<Lang>,
    /// The palette.
    pub theme: Theme,
    /// How many colours are used.
    pub color: Color,
    /// Only ASCII glyphs.
    pub ascii: bool,
    /// Synchronized output: the terminal shows whole frames only.
    pub sync: Sync,
    /// Folder of incident files; `None` is `$XDG_STATE_HOME/badgate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_dir: Option<PathBuf>,
    /// What exports take out when `--redact` is not given.
    pub redact: Redact,
    /// Log groups to follow for every target.
    pub log_groups: Vec<String>,
    /// What holds for some targets only.
    pub target: Vec<TargetRule>,
    /// How often is asked.
    pub poll: Poll,
    /// Keys by the id of what they do; each replaces the default keys of that id.
    pub keys: BTreeMap<String, Keys>,
    /// How the header looks under a profile.
    pub profile: BTreeMap<String, ProfileStyle>,
}

/// Settings of targets whose name fits a pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetRule {
    /// Name of a load balancer, target group or host; `*` stands for any characters.
    pub name: String,
    /// Log groups to follow for it, best first.
    #[serde(default)]
    pub log_groups: Vec<String>,
}

/// Intervals between questions of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Poll {
    /// Between two looks at target health.
    #[serde(deserialize_with = "health_interval", serialize_with = "as_span")]
    #[schemars(with = "String")]
    pub health: Duration,
    /// Between two questions for metrics.
    #[serde(deserialize_with = "metrics_interval", serialize_with = "as_span")]
    #[schemars(with = "String")]
    pub metrics: Duration,
    /// Between two looks at what is configured.
    #[serde(deserialize_with = "config_interval", serialize_with = "as_span")]
    #[schemars(with = "String")]
    pub config: Duration,
    /// Only where logs are polled; a live tail is pushed.
    #[serde(deserialize_with = "logs_interval", serialize_with = "as_span")]
    #[schemars(with = "String")]
    pub logs: Duration,
}

impl Poll {
    /// Least and most seconds of each interval: below, the console would add
    /// to the outage; above, the screen would be old news.
    pub const BOUNDS: [(&'static str, u64, u64); 4] =
        [("health", 2, 60), ("metrics", 10, 300), ("config", 15, 600), ("logs", 1, 60)];
}

impl Default for Poll {
    fn default() -> Self {
        Poll {
            health: Duration::from_secs(5),
            metrics: Duration::from_secs(30),
            config: Duration::from_secs(60),
            logs: Duration::from_secs(3),
        }
    }
}

/// One key or several for the same thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Keys {
    One(String),
    Many(Vec<String>),
}

impl Keys {
    /// The keys, as written.
    pub fn list(&self) -> &[String] {
        match self {
            Keys::One(k) => std::slice::from_ref(k),
            Keys::Many(ks) => ks,
        }
    }
}

/// How the header looks under a profile, so that nobody takes one for another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileStyle {
    /// Its colour; without it red when the name says production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tint: Option<Tint>,
    /// A word in the header, such as `PROD`; at most 16 characters are shown.
    pub label: String,
}

/// Colour of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tint {
    /// As any other profile, whatever its name says.
    None,
    Red,
    Yellow,
    Blue,
    Purple,
}

impl Config {
    /// Where the file is looked for: `$XDG_CONFIG_HOME/badgate/config.toml`, or
    /// under `~/.config`. A relative XDG value is ignored, as its specification says.
    /// `env` reads an environment variable.
    pub fn default_path(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
        let absolute = |name: &str| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
        absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|h| h.join(".config")))
            .map(|d| d.join("badgate").join("config.toml"))
    }

    /// Reads the file `explicit` names, which must be there, or else the one at
    /// `default`, which need not be. `actions` are the ids keys can be given to.
    pub fn load(
        explicit: Option<&Path>,
        default: Option<&Path>,
        actions: &[&str],
    ) -> Result<Config, ConfigError> {
        let Some(path) = explicit.or(default) else { return Ok(Config::default()) };
        let file = SafeText::from(path.to_string_lossy());
        let unreadable =
            |what: String| ConfigError { file: file.clone(), place: None, what: SafeText::from(what) };
        match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && explicit.is_none() => {
                return Ok(Config::default());
            }
            Ok(meta) if meta.len() > MAX_BYTES => {
                return Err(unreadable(format!("{} bytes is too large for a config file", meta.len())));
            }
            Ok(_) => {}
            Err(e) => return Err(unreadable(format!("cannot be read: {}", cause(&e)))),
        }
        let bytes = std::fs::read(path).map_err(|e| unreadable(format!("cannot be read: {}", cause(&e))))?;
        let text = String::from_utf8(bytes)
            .map_err(|e| unreadable(format!("is not UTF-8 at byte {}", e.utf8_error().valid_up_to())))?;
        Config::parse(&text, file, actions)
    }

    /// Reads the text of a config file. `file` is only for messages.
    pub fn parse(text: &str, file: SafeText, actions: &[&str]) -> Result<Config, ConfigError> {
        let at = |span: Option<Range<usize>>, what: String| ConfigError {
            file: file.clone(),
            place: span.map(|s| place(text, s.start)),
            what: SafeText::from(what),
        };
        let config: Config = toml::from_str(text).map_err(|e| at(e.span(), explain(e.message())))?;
        for (id, keys) in &config.keys {
            if !actions.contains(&id.as_str()) {
                let hint = nearest(id, actions.iter().copied());
                return Err(at(key_span(text, &["keys", id]), unknown("key binding", id, hint)));
            }
            if keys.list().is_empty() || keys.list().iter().any(|k| k.trim().is_empty()) {
                let what = format!("'{id}' has no key; leave the line out to keep its default");
                return Err(at(key_span(text, &["keys", id]), what));
            }
        }
        if let Some(group) = config.every_log_group().find(|g| !is_log_group(g)) {
            let what =
                format!("'{group}' is no log group name: letters, digits and _ - / . # only, at most 512");
            return Err(at(text.find(group).map(|i| i..i), what));
        }
        Ok(config)
    }

    /// Keys by the id of what they do, in the form the binding table takes.
    pub fn remap(&self) -> BTreeMap<String, Vec<String>> {
        self.keys.iter().map(|(id, keys)| (id.clone(), keys.list().to_vec())).collect()
    }

    fn every_log_group(&self) -> impl Iterator<Item = &str> {
        self.log_groups.iter().chain(self.target.iter().flat_map(|t| &t.log_groups)).map(String::as_str)
    }

    /// Log groups for a target known by any of these names: those of fitting
    /// `[[target]]` entries first, then the general ones.
    pub fn log_groups_for(&self, names: &[&str]) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let fitting = self.target.iter().filter(|t| names.iter().any(|n| fits(&t.name, n)));
        for g in fitting.flat_map(|t| &t.log_groups).chain(&self.log_groups) {
            if !out.contains(g) {
                out.push(g.clone());
            }
        }
        out
    }
}

/// True when `name` fits `pattern`, in which `*` stands for any characters. Case does not count.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(i) => rest = &rest[i + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// True for a name CloudWatch Logs accepts for a log group, or the ARN of one.
pub fn is_log_group(name: &str) -> bool {
    let bare = if name.starts_with("arn:") { name.strip_suffix(":*").unwrap_or(name) } else { name };
    let colon_ok = name.starts_with("arn:");
    (1..=512).contains(&bare.len())
        && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/.#".contains(&b) || (colon_ok && b == b':'))
}

fn cause(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => e.to_string(),
    }
}

/// Line and column, from 1, of a byte offset. Columns count characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let head = &text[..offset];
    let line_start = head.rfind('\n').map_or(0, |i| i + 1);
    (head.matches('\n').count() + 1, head[line_start..].chars().count() + 1)
}

fn unknown(kind: &str, typed: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("unknown {kind} '{typed}'; did you mean '{hint}'?"),
        None => format!("unknown {kind} '{typed}'"),
    }
}

/// Says a parser's message in one line. serde names the unknown word and all
/// known ones in backquotes; the nearest is worth more than the list.
fn explain(message: &str) -> String {
    let message = message.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(", ");
    for (head, kind) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        let Some((typed, rest)) = message.strip_prefix(head).and_then(|r| r.split_once('`')) else {
            continue;
        };
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        let hint = nearest(typed, known.iter().copied());
        let mut line = unknown(kind, typed, hint);
        if hint.is_none() && !known.is_empty() {
            line.push_str(&format!("; known: {}", known.join(", ")));
        }
        return line;
    }
    message
}

/// Where a key stands in the text; found by a second, position-keeping parse,
/// which only a mistake costs.
fn key_span(text: &str, path: &[&str]) -> Option<Range<usize>> {
    let root = toml::de::DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let (last, parents) = path.split_last()?;
    for name in parents {
        let (_, value) = table.iter().find(|(k, _)| k.get_ref() == name)?;
        table = value.get_ref().as_table()?;
    }
    table.iter().find(|(k, _)| k.get_ref() == last).map(|(k, _)| k.span())
}

fn interval<'de, D: Deserializer<'de>>(d: D, name: &str) -> Result<Duration, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(d)?;
    let (_, least, most) =
        Poll::BOUNDS.into_iter().find(|b| b.0 == name).ok_or_else(|| D::Error::custom("no such interval"))?;
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| D::Error::custom(format!("'{text}' is no duration; write it like 5s or 1m30s")))?;
    let secs = span.as_secs_f64();
    if secs < least as f64 || secs > most as f64 {
        return Err(D::Error::custom(format!(
            "poll.{name} must be between {least}s and {most}s, not '{text}'"
        )));
    }
    Ok(span.unsigned_abs())
}

fn health_interval<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    interval(d, "health")
}

fn metrics_interval<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    interval(d, "metrics")
}

fn config_interval<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    interval(d, "config")
}

fn logs_interval<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    interval(d, "logs")
}

fn as_span<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&format!("{}s", d.as_secs()))
}

#[cfg(test)]
mod tests;
