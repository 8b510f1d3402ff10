//! What changed, in a line for the timeline.

use crate::console::state::{Entry, EntryKind, Saved, State};
use crate::situation::elb::TargetKey;
use crate::situation::{Change, Observation, Reason, short};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Targets named in one entry; the others are counted.
const NAMED: usize = 3;

/// An entry that is on disk already or need not be.
pub fn entry(at: Timestamp, by: &SafeText, kind: EntryKind, text: impl Into<SafeText>) -> Entry {
    Entry { at, by: by.clone(), kind, text: text.into(), saved: Saved::Yes, id: 0 }
}

fn target(key: &TargetKey) -> String {
    match key.port {
        Some(port) => format!("{}:{port}", short(&key.id)),
        None => short(&key.id).to_string(),
    }
}

fn state_words(s: &(SafeText, SafeText)) -> String {
    if s.1.is_empty() { s.0.to_string() } else { format!("{} {}", s.0, s.1) }
}

/// Enters the changes of one observation. Targets that change alike at once
/// share an entry.
pub fn changes(state: &mut State, o: &Observation, changes: Vec<Change>) {
    type Transition = (SafeText, String, String);
    let mut moved: BTreeMap<Transition, Vec<String>> = BTreeMap::new();
    let mut gone: BTreeMap<SafeText, Vec<String>> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Health { group, target: t, from, to, .. } => {
                let from = from.as_ref().map_or(String::new(), state_words);
                moved.entry((group, from, state_words(&to))).or_default().push(target(&t));
            }
            Change::TargetGone { group, target: t, .. } => gone.entry(group).or_default().push(target(&t)),
            Change::Config { topic, at } => {
                state.enter(entry(at, &o.source, EntryKind::Config, format!("{topic} changed")));
            }
            // What was never to be had is not lost.
            Change::Lost { reason: Reason::NotApplicable { .. } | Reason::NeedsMeasuring { .. }, .. } => {}
            Change::Lost { topic, reason, at } => {
                // The same trouble at another time (`throttled until`) is no news.
                if state.lost.insert(topic.clone(), reason.word()) != Some(reason.word()) {
                    let text = format!("{topic}: {}", reason.phrase());
                    state.enter(entry(at, &o.source, EntryKind::Lost, text));
                }
            }
            Change::Found { topic, at } => {
                if state.lost.remove(&topic).is_some() {
                    state.enter(entry(at, &o.source, EntryKind::Found, format!("{topic}: answers again")));
                }
            }
        }
    }
    for ((group, from, to), targets) in moved {
        let from = if from.is_empty() { String::from("new") } else { from };
        let text = format!("{}: {} {from} -> {to}", short(&group), named(&targets));
        state.enter(entry(o.at, &o.source, EntryKind::Health, text));
    }
    for (group, targets) in gone {
        let text = format!("{}: {} no longer registered", short(&group), named(&targets));
        state.enter(entry(o.at, &o.source, EntryKind::Health, text));
    }
}

fn named(targets: &[String]) -> String {
    let list = targets.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match targets.len() {
        n if n > NAMED => format!("{n} targets ({list}, ...)"),
        _ => list,
    }
}
