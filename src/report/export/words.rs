//! Times, durations and records in words.

use jiff::Timestamp;
use serde_json::Value;

use crate::journal::{Kind, Record};
use crate::text::SafeText;

/// `2026-11-22 01:41:00Z`.
pub(super) fn time(t: Timestamp) -> String {
    let text = format!("{t:.0}");
    text.replacen('T', " ", 1)
}

/// `1h 02m 03s`, `12m 44s`, `3s`; with a minus where the order is odd.
pub(super) fn duration(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs();
    let sign = if seconds < 0 { "-" } else { "" };
    let s = seconds.unsigned_abs();
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{sign}{s}s"),
        (0, m, s) => format!("{sign}{m}m {s:02}s"),
        (h, m, s) => format!("{sign}{h}h {m:02}m {s:02}s"),
    }
}

/// A text member of the data, empty when there is none.
pub(super) fn word<'a>(data: &'a Value, name: &str) -> &'a str {
    data.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The first of these members that is text and not empty.
pub(super) fn first<'a>(data: &'a Value, names: &[&str]) -> &'a str {
    names.iter().map(|n| word(data, n)).find(|w| !w.is_empty()).unwrap_or_default()
}

/// A list member as texts; objects are taken by their `text` or `what`.
pub(super) fn list(data: &Value, name: &str) -> Vec<SafeText> {
    let Some(items) = data.get(name).and_then(Value::as_array) else { return Vec::new() };
    items
        .iter()
        .map(|item| match item {
            Value::String(s) => SafeText::new(s),
            Value::Object(_) => {
                let text = first(item, &["text", "what", "title", "name"]);
                let why = first(item, &["reason", "why", "value"]);
                match (text, why) {
                    ("", _) => SafeText::new(item.to_string()),
                    (text, "") => SafeText::new(text),
                    (text, why) => SafeText::new(format!("{text}: {why}")),
                }
            }
            other => SafeText::new(other.to_string()),
        })
        .collect()
}

/// A scalar member as text, whatever its type.
pub(super) fn scalar(data: &Value, name: &str) -> String {
    match data.get(name) {
        Some(Value::String(s)) => s.clone(),
        Some(v @ (Value::Number(_) | Value::Bool(_))) => v.to_string(),
        _ => String::new(),
    }
}

fn join(parts: &[&str], between: &str) -> String {
    parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(between)
}

/// A record in one sentence, for timelines and the CSV's `summary`. May hold
/// line feeds where a person wrote some.
pub(super) fn summary(r: &Record) -> SafeText {
    let d = &r.data;
    let text = match &r.kind {
        Kind::Opened => match word(d, "continues") {
            "" => {
                let what = if d.get("resumed").and_then(Value::as_bool) == Some(true) {
                    "resumed"
                } else {
                    "opened"
                };
                let place = join(&[word(d, "account"), word(d, "region")], " ");
                join(&[what, word(d, "target"), &place], " ")
            }
            file => format!("continues {file}: {}", word(d, "reason")),
        },
        Kind::Closed => join(&["closed", first(d, &["text", "reason"])], ": "),
        Kind::Note if d.get("draft").and_then(Value::as_bool) == Some(true) => {
            format!("(unfinished) {}", first(d, &["text", "line"]))
        }
        Kind::Note => first(d, &["text", "line"]).to_owned(),
        Kind::Mark => join(&[word(d, "source"), first(d, &["text", "line"])], ": "),
        Kind::Step => {
            let id = scalar(d, "id");
            let head = join(&[&format!("step {id}"), word(d, "title")], " ");
            join(&[&head, &scalar(d, "state")], ": ")
        }
        Kind::Verdict => {
            let head = join(&[word(d, "cause"), word(d, "standing")], " ");
            match word(d, "text") {
                // A line that names the cause says it all.
                text if !word(d, "cause").is_empty() && text.contains(word(d, "cause")) => text.to_owned(),
                _ => join(&[&head, first(d, &["text", "why"])], ": "),
            }
        }
        Kind::Action => {
            let head = join(&[first(d, &["text", "what", "name", "action"]), &scalar(d, "state")], ": ");
            let undo = word(d, "undo");
            if undo.is_empty() { head } else { format!("{head} (undo: {undo})") }
        }
        Kind::Gap => {
            let count = scalar(d, "count");
            let what = join(&[&count, word(d, "what")], " ");
            join(&["not recorded", &what, word(d, "reason")], ": ")
        }
        Kind::Observed => observed(d),
        Kind::Foreign(name) => format!("{name}: {d}"),
    };
    if text.is_empty() { SafeText::new(d.to_string()) } else { SafeText::multiline(text) }
}

fn observed(d: &Value) -> String {
    let topic = word(d, "topic").replace('_', " ");
    let of = word(d, "of");
    let subject = join(&[&topic, crate::situation::short(of)], " of ");
    let data = d.get("data");
    let said = match (word(d, "fact"), data) {
        ("unknown", Some(reason)) => {
            let detail = first(reason, &["action", "detail", "what", "why", "how", "code"]);
            format!("no answer: {}", join(&[&word(reason, "reason").replace('_', " "), detail], ", "))
        }
        ("log_lines", Some(Value::Array(lines))) => match lines.as_slice() {
            [one] => word(one, "text").to_owned(),
            many => format!("{} lines", many.len()),
        },
        (_, Some(Value::Array(items))) => format!("{} item(s)", items.len()),
        _ => "answered".to_owned(),
    };
    join(&[&subject, &said], ": ")
}
