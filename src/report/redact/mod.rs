//! Taking out of an export what should not leave the team.
//!
//! Two ways together, because patterns alone miss about one secret in eight
//! ("A Comparative Study of Software Secrets Reporting by Secret Detection
//! Tools", arXiv 2307.00714): by *shape* (`rules`), and by *field* (`names`):
//! whatever stands under Authorization, a cookie, `DB_PASSWORD=` or
//! `X-Amz-Signature` is a secret, however it looks.
//!
//! At [`Level::All`] accounts, addresses, host names and resource ids become
//! pseudonyms that are the same throughout one export (`pseudonyms`).
//!
//! Where it is in doubt a value is taken out; the incident file keeps it.

mod assign;
mod names;
mod pseudonyms;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::journal::{Problem, Record};
use crate::text::SafeText;
use names::Secrecy;
use pseudonyms::Pseudonyms;

/// How much is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Secrets: keys, tokens, passwords, cookies, signatures.
    #[default]
    Default,
    /// Secrets, and accounts, addresses, host names and ids by pseudonyms.
    All,
    /// Nothing.
    None,
}

impl Level {
    /// One line on what an export at this level risks, where it risks
    /// something.
    pub fn warning(self) -> Option<&'static str> {
        (self == Level::None).then_some(
            "not redacted: it may hold passwords, tokens, cookies, account ids and addresses; \
             share it as you would share credentials",
        )
    }

    /// What was done, for the head of an export.
    pub fn describe(self) -> &'static str {
        match self {
            Level::Default => "default (secrets removed)",
            Level::All => "all (secrets removed; accounts, addresses, hosts and ids by pseudonyms)",
            Level::None => "none (nothing removed)",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Default => "default",
            Level::All => "all",
            Level::None => "none",
        })
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "default" => Ok(Level::Default),
            "all" => Ok(Level::All),
            "none" => Ok(Level::None),
            other => Err(format!("'{other}' is no redaction level; known: default, all, none")),
        }
    }
}

/// Redacts the texts and records of one export. The same input has the same
/// pseudonym for as long as it lives.
#[derive(Debug, Default)]
pub struct Redactor {
    level: Level,
    pseudonyms: Pseudonyms,
    /// Texts yet to come that may belong to a private key whose first line was
    /// seen and whose last was not: logs deliver keys line by line.
    key_lines: usize,
    removed: BTreeMap<&'static str, usize>,
}

impl Redactor {
    /// A redactor for one export.
    pub fn new(level: Level) -> Self {
        Self { level, ..Self::default() }
    }

    /// Learns the host names of a record, so that one that is not recognised by
    /// its form is known wherever it stands. Call it for all records first.
    pub fn learn(&mut self, record: &Record) {
        if self.level == Level::All {
            self.pseudonyms.learn_author(&record.by);
            self.pseudonyms.learn(&record.data);
        }
    }

    /// What was removed so far: kind of secret and how often.
    pub fn removed(&self) -> &BTreeMap<&'static str, usize> {
        &self.removed
    }

    /// A text without its secrets.
    pub fn text(&mut self, text: &str) -> SafeText {
        match self.level {
            Level::None => SafeText::multiline(text),
            Level::Default => SafeText::multiline(self.secrets(text)),
            Level::All => {
                let text = self.secrets(text);
                SafeText::multiline(self.pseudonyms.text(&text))
            }
        }
    }

    /// A record without its secrets.
    pub fn record(&mut self, record: &Record) -> Record {
        let mut out = record.clone();
        if self.level != Level::None {
            out.by = self.author(&record.by);
            self.json(&mut out.data);
        }
        out
    }

    /// A problem found in the file; its excerpt is as hostile as the file.
    pub fn problem(&mut self, problem: &Problem) -> SafeText {
        let file = problem.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = format!("{file}, line {} (byte {}): {}", problem.line, problem.offset, problem.why);
        self.text(&text).one_line()
    }

    fn author(&mut self, by: &SafeText) -> SafeText {
        let by = self.text(by);
        if self.level == Level::All { self.pseudonyms.author(&by) } else { by }
    }

    /// A JSON value without its secrets: by member name and by text.
    pub fn json(&mut self, value: &mut Value) {
        if self.level != Level::None {
            self.walk(value, None);
        }
    }

    /// `under` is the name of the secret that the value belongs to.
    fn walk(&mut self, value: &mut Value, under: Option<&str>) {
        match value {
            Value::String(text) => match under {
                Some(name) if !names::harmless(text) && !text.starts_with("arn:") => {
                    *text = self.mark(name_id(name));
                }
                _ => *text = self.text(text).to_string(),
            },
            Value::Array(items) => self.walk_array(items, under),
            Value::Object(map) => {
                self.name_and_value(map);
                for (name, item) in std::mem::take(map) {
                    let item = self.member(&name, item, under);
                    let mut name = self.text(&name).one_line().to_string();
                    while map.contains_key(&name) {
                        name.push('~');
                    }
                    map.insert(name, item);
                }
            }
            Value::Number(n) => {
                if under.is_some() {
                    *value = Value::String(self.mark("secret"));
                } else if self.level == Level::All
                    && n.as_u64().is_some_and(|n| (n / 100_000_000_000) % 10 > 0 && n < 1_000_000_000_000)
                {
                    // Twelve digits: an account id that a program took for a number.
                    *value = Value::String(self.text(&n.to_string()).to_string());
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn walk_array(&mut self, items: &mut [Value], under: Option<&str>) {
        // `["Cookie", "sid=..."]`: headers and attributes as pairs.
        if let [Value::String(name), rest @ ..] = items
            && rest.len() == 1
            && let Some(Value::String(text)) = rest.first_mut()
            && self.is_secret(name, text)
        {
            *text = self.mark(name_id(name));
        }
        for item in items {
            self.walk(item, under);
        }
    }

    /// `{"name": "DB_PASSWORD", "value": "..."}`: environments, headers, tags.
    fn name_and_value(&mut self, map: &mut serde_json::Map<String, Value>) {
        let name = ["name", "key", "header", "field"]
            .iter()
            .find_map(|wanted| map.iter().find(|(k, _)| k.eq_ignore_ascii_case(wanted)))
            .and_then(|(_, v)| v.as_str().map(str::to_owned));
        let Some(name) = name else { return };
        for (member, value) in map.iter_mut() {
            if matches!(member.to_ascii_lowercase().as_str(), "value" | "val" | "values" | "content")
                && names::secrecy(&name) != Secrecy::No
            {
                let taken = std::mem::take(value);
                *value = self.member(&name, taken, None);
            }
        }
    }

    fn member(&mut self, name: &str, mut value: Value, under: Option<&str>) -> Value {
        let under = match names::secrecy(name) {
            Secrecy::Strong | Secrecy::Header => Some(name),
            // What describes a secret is none: its name, where it is kept.
            _ if names::describes(name) => None,
            _ => under,
        };
        match &mut value {
            Value::String(text) if under.is_none() && self.is_secret(name, text) => {
                *text = self.mark(name_id(name));
            }
            other => self.walk(other, under),
        }
        value
    }

    fn is_secret(&self, name: &str, value: &str) -> bool {
        match names::secrecy(name) {
            Secrecy::No => false,
            Secrecy::Weak => names::random_looking(value),
            Secrecy::Strong | Secrecy::Header => !names::harmless(value) && !value.starts_with("arn:"),
        }
    }

    fn mark(&mut self, id: &'static str) -> String {
        *self.removed.entry(id).or_default() += 1;
        format!("{MARK} {id}]")
    }

    /// A line of a private key that began in an earlier text.
    fn is_key_line(&mut self, text: &str) -> bool {
        if text.contains("PRIVATE KEY-----") {
            let open = text.rfind("-----BEGIN") > text.rfind("-----END");
            self.key_lines = if open { KEY_LINES } else { 0 };
            return false;
        }
        if self.key_lines == 0 {
            return false;
        }
        self.key_lines -= 1;
        let line = text.trim();
        line.len() >= 4
            && (line.len() >= 16 || line.ends_with('='))
            && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    }

    fn secrets(&mut self, text: &str) -> String {
        if self.is_key_line(text) {
            return self.mark("private-key");
        }
        // Almost every line is clean: the passes copy only what they change.
        let mut out = std::borrow::Cow::Borrowed(text);
        let passes: [rules::Pass; 3] = [rules::tokens, assign::fields, rules::leftovers];
        for pass in passes {
            let removed = &mut self.removed;
            let mut mark = |id: &'static str| {
                *removed.entry(id).or_default() += 1;
                format!("{MARK} {id}]")
            };
            if let Some(changed) = pass(&out, &mut mark) {
                out = std::borrow::Cow::Owned(changed);
            }
        }
        out.into_owned()
    }
}

/// Texts after the beginning of a private key in which its lines are looked
/// for: the lines of the longest, with the other members of their records.
const KEY_LINES: usize = 600;

/// How every mark begins. Its first word alone tells it, for the passes that
/// see single words.
const MARK: &str = "[redacted";

fn name_id(name: &str) -> &'static str {
    let lower = name.to_ascii_lowercase();
    let has = |w: &str| lower.contains(w);
    if has("cookie") {
        "cookie"
    } else if has("authorization") {
        "authorization"
    } else if has("passw") || has("pwd") || has("passphrase") {
        "password"
    } else if has("signature") {
        "signature"
    } else if has("token") {
        "token"
    } else if has("key") {
        "key"
    } else {
        "secret"
    }
}

#[cfg(test)]
mod tests;
