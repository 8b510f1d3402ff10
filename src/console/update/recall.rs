//! Records of the incident file, read back when it is resumed or written into
//! it by somebody else. They become what they were: facts, notes, marks, steps.

use super::{observe, steps, tell};
use crate::console::msg::Recalled;
use crate::console::past::Role;
use crate::console::state::{EntryKind, State};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::Value;

/// Takes records in, in the order of the file.
pub fn take(state: &mut State, records: Vec<Recalled>) {
    for r in records {
        match r {
            Recalled::Observed(o) => {
                observe::observe(state, &o);
                state.people.observed(o.at);
            }
            Recalled::Entry { at, by, kind, data } => {
                state.people.heard(at, &by, &kind, &data);
                entry(state, at, &by, &kind, &data);
            }
        }
    }
    state.catch_up();
    state.dirty = true;
}

fn entry(state: &mut State, at: Timestamp, by: &SafeText, kind: &str, data: &Value) {
    let word = |name: &str| SafeText::multiline(data.get(name).and_then(Value::as_str).unwrap_or(""));
    let (kind, text) = match kind {
        "opened" => {
            // The first to open it is when the incident began to be worked on.
            state.incident.opened = state.incident.opened.min(at);
            let asked = word("target");
            if state.role == Role::Join && state.incident.asked.is_empty() {
                state.incident.asked = asked.clone();
            }
            let what = match data.get("command").and_then(Value::as_str) {
                _ if data.get("took_over_from").is_some() => "took over",
                Some("join") => "joined",
                _ => "opened",
            };
            (EntryKind::Session, SafeText::from(format!("{what} {asked}").trim_end().to_string()))
        }
        "closed" => {
            let why = first_of(data, &["reason", "state"]);
            let text = if why.is_empty() { "closed".into() } else { format!("closed: {why}").into() };
            (EntryKind::Session, text)
        }
        "note" if data.get("draft").and_then(Value::as_bool) == Some(true) => {
            (EntryKind::Note, SafeText::multiline(format!("(draft) {}", word("text"))))
        }
        "note" => (EntryKind::Note, word("text")),
        "mark" => {
            let source = word("source");
            let text = word("text");
            (EntryKind::Mark, if source.is_empty() { text } else { format!("{source}: {text}").into() })
        }
        "verdict" => {
            super::standing::recall(state, at, data);
            (EntryKind::Verdict, first_of(data, &["text", "cause"]))
        }
        "action" => (EntryKind::Action, first_of(data, &["text", "what", "name"])),
        "gap" => {
            let what = word("what");
            (EntryKind::Gap, format!("not recorded: {what} ({})", word("reason")).into())
        }
        "step" => return steps::recall(state, at, by, data),
        // A kind of a newer version: shown as it is rather than not at all.
        other => (EntryKind::Session, format!("{other}: {data}").into()),
    };
    if text.is_empty() {
        return;
    }
    state.enter(tell::entry(at, by, kind, text));
    if kind == EntryKind::Note {
        state.read_notes();
    }
}

fn first_of(data: &Value, names: &[&str]) -> SafeText {
    names
        .iter()
        .find_map(|n| data.get(n).and_then(Value::as_str))
        .map_or_else(|| SafeText::new(data.to_string()), SafeText::multiline)
}
