//! The console's one transition. Pure: no clock, no I/O, no await. What is to
//! be done outside comes back as effects.

mod act;
mod acts;
mod join;
mod observe;
mod over;
mod past;
mod recall;
mod standing;
mod steps;
mod tell;

pub use join::with as company;
pub use over::first_key;
pub use past::{ago, begin as look_back, only_now};

use super::msg::{Draft, Durability, Effect, JournalNews, Msg};
use super::overlay::Overlay;
use super::state::{EntryKind, JournalState, Mark, Saved, State};
use crate::text::SafeText;
use serde_json::json;

/// Lines a slice of background work looks at: a few milliseconds.
pub const SLICE: usize = 20_000;

/// Takes a message in; says what is to be done.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Now(t) => {
            state.on_live(|s| now(s, t, &mut effects));
            past::play(state, &mut effects);
        }
        Msg::Key(key) => {
            state.dirty = true;
            if state.overlay.is_some() {
                over::key(state, key, &mut effects);
            } else if past::key(state, key, &mut effects) {
            } else if let Some(action) = state.keymap.action(state.focus, key) {
                act::act(state, action, &mut effects);
            } else if key == super::keys::Key::ctrl('c') {
                state.say(Mark::Info, "q leaves");
            }
        }
        Msg::Paste(text) => {
            state.dirty = true;
            over::paste(state, &text);
        }
        Msg::Resize(w, h) => {
            state.size = (w, h);
            state.dirty = true;
        }
        Msg::Source(event) => state.on_live(|s| observe::event(s, event, &mut effects)),
        Msg::SourceEnded => {
            state.source_ended = true;
            let line = "the source has ended: what you see will not change any more";
            state.on_live(|s| own(s, line.into()));
            // What ended it is worth more than that it ended.
            if state.notice.as_ref().is_none_or(|n| n.mark != Mark::Bad) {
                state.say(Mark::Bad, line);
            }
        }
        Msg::Journal(news) => state.on_live(|s| journal(s, news)),
        Msg::Recalled(records) => state.on_live(|s| recall::take(s, records)),
        Msg::Past(news) => past::news(state, news),
        Msg::Slice => {
            let behind = state.on_live(State::catch_up);
            state.more_to_do |= state.catch_up() | behind;
            state.dirty = true;
        }
        Msg::Told { ok, line } => state.say(if ok { Mark::Good } else { Mark::Bad }, line),
        Msg::Failed(line) => {
            let line = SafeText::from(format!("a part of badgate failed: {line}"));
            state.on_live(|s| own(s, line.clone()));
            state.say(Mark::Bad, line);
        }
        Msg::Metered(m) => {
            if state.metered.is_some_and(|old| old != m) {
                state.metered = Some(m);
                state.dirty = true;
            }
        }
        Msg::Continued => {
            state.dirty = true;
            effects.push(Effect::Redraw);
        }
    }
    observe::watch(state, &mut effects);
    effects
}

impl State {
    /// The first entry of the timeline: this session.
    pub fn begin(&mut self) {
        let text = format!("opened {}", self.incident.asked);
        let by = self.incident.author.clone();
        self.enter(tell::entry(self.now, &by, EntryKind::Session, text.trim_end().to_string()));
    }
}

/// What is to be written down before the program ends, however it ends: a note
/// that was being written is kept as it stands.
pub fn parting(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    state.on_live(|s| standing::tell_all(s, &mut effects));
    let text = match &state.overlay {
        Some(Overlay::Note(input)) => input.safe(),
        _ => SafeText::multiline(&state.draft),
    };
    if text.trim().is_empty() {
        return effects;
    }
    state.draft.clear();
    effects.push(Effect::Journal(Draft {
        id: 0,
        at: state.now,
        by: None,
        kind: "note",
        data: json!({"text": text, "draft": true}),
        durability: Durability::Now,
    }));
    effects
}

/// Takes records in as a resumed file gives them.
pub(super) fn take_back(state: &mut State, records: Vec<super::msg::Recalled>) {
    recall::take(state, records);
}

fn now(state: &mut State, t: jiff::Timestamp, effects: &mut Vec<Effect>) {
    // A clock that was set back must not bring old notices back to life.
    state.now = t;
    if state.notice.as_ref().is_some_and(|n| n.until <= t) {
        state.notice = None;
        state.dirty = true;
    }
    steps::overdue(state, effects);
    standing::tell(state, effects);
    join::look(state);
}

fn journal(state: &mut State, news: JournalNews) {
    state.dirty = true;
    match news {
        JournalNews::Saved { id } => {
            let Some(entry) = state.timeline.iter_mut().rev().find(|e| id != 0 && e.id == id) else { return };
            entry.id = 0;
            entry.saved = Saved::Yes;
            let what = match entry.kind {
                EntryKind::Note => "note saved",
                EntryKind::Mark => "marked",
                _ => return,
            };
            state.say(Mark::Good, what);
        }
        JournalNews::Refused { id, line } => {
            if let Some(entry) = state.timeline.iter_mut().rev().find(|e| id != 0 && e.id == id) {
                (entry.id, entry.saved) = (0, Saved::No);
            }
            state.say(Mark::Bad, line);
        }
        JournalNews::Fine => {
            if matches!(state.journal, JournalState::Trouble { .. }) {
                state.say(Mark::Good, "the incident file is written again; nothing was lost");
            }
            state.journal = JournalState::Recording;
        }
        JournalNews::Trouble { line, waiting } => state.journal = JournalState::Trouble { line, waiting },
        JournalNews::Moved { path, line } => {
            state.incident.path = Some(path);
            state.say(Mark::Warn, line.clone());
            own(state, line);
        }
        JournalNews::Remark { line } => own(state, line),
    }
}

/// Enters what happened to this program itself.
fn own(state: &mut State, line: SafeText) {
    let entry = tell::entry(state.now, &SafeText::from("badgate"), EntryKind::Gap, line);
    state.enter(entry);
}

#[cfg(test)]
pub(in crate::console) mod tests;
