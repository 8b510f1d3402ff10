//! Changes of standing, for the timeline and the incident file.

use super::tell;
use crate::console::msg::{Draft, Durability, Effect};
use crate::console::standings::Moved;
use crate::console::state::{EntryKind, JournalState, State};
use crate::diagnosis::causes::rule_of;
use crate::diagnosis::verdict::Standing;
use crate::report::verdicts::{self, JUDGE};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Tells what has changed and lasted.
pub fn tell(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    for moved in state.standings.news(now, false) {
        enter(state, moved, effects);
    }
}

/// Tells everything that was not told: the console ends.
pub fn tell_all(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    for moved in state.standings.news(now, true) {
        enter(state, moved, effects);
    }
}

fn enter(state: &mut State, m: Moved, effects: &mut Vec<Effect>) {
    let found = state.derived.diagnosis.of(m.cause).filter(|v| Some(v.standing) == m.now);
    let data = match found {
        Some(v) => verdicts::record(v, m.was, state.words.as_deref()),
        None => json!({
            "cause": m.cause,
            // Of the five words, the one that says that nothing is known.
            "standing": m.now.unwrap_or(Standing::Unchecked),
            "was": m.was,
            "text": verdicts::headline(m.cause, m.now, m.was, &[]),
        }),
    };
    let text = SafeText::new(data.get("text").and_then(Value::as_str).unwrap_or(m.cause));
    let by = SafeText::from(JUDGE);
    state.enter(tell::entry(m.since, &by, EntryKind::Verdict, text));
    if state.journal != JournalState::Off {
        effects.push(Effect::Journal(Draft {
            id: 0,
            at: m.since,
            by: Some(by),
            kind: "verdict",
            data,
            durability: Durability::Grouped,
        }));
    }
}

/// A verdict of the incident file: it need not be told again.
pub fn recall(state: &mut State, at: Timestamp, data: &Value) {
    let word = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let standing =
        [Standing::Confirmed, Standing::Likely, Standing::Possible, Standing::Unchecked, Standing::RuledOut]
            .into_iter()
            .find(|s| s.word().replace(' ', "_") == word("standing"));
    if let (Some(rule), Some(standing)) = (rule_of(word("cause")), standing) {
        state.standings.told(rule.id, standing, at);
    }
}
