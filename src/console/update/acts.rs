//! What a source offers to be done, and doing it.

use super::{act, tell};
use crate::console::msg::Effect;
use crate::console::overlay::{FuzzyList, Overlay};
use crate::console::panes::Detail;
use crate::console::state::{EntryKind, Mark, State};
use crate::sources::Command;
use crate::text::SafeText;
use ratatui::text::Line;
use serde_json::json;

/// What is searched in the list.
pub fn labels(state: &State) -> Vec<String> {
    state.offers.iter().map(|o| format!("{} {}", o.title, o.id)).collect()
}

/// Opens the list of what can be done here.
pub fn open(state: &mut State) {
    if state.offers.is_empty() {
        state.say(Mark::Info, "this source offers nothing to do: badgate only reads");
        return;
    }
    state.overlay = Some(Overlay::Acts(FuzzyList::new(&labels(state))));
}

/// The selected thing is done.
pub fn choose(state: &mut State, list: &FuzzyList, effects: &mut Vec<Effect>) {
    let Some(offer) = list.item().and_then(|i| state.offers.get(i)).cloned() else { return };
    state.say(Mark::Info, format!("{}: under way", offer.title));
    effects.push(Effect::Send(Command::Act { id: offer.id }));
}

/// The source says what came of it.
pub fn acted(state: &mut State, id: &SafeText, ok: bool, line: SafeText, effects: &mut Vec<Effect>) {
    let title = state.offers.iter().find(|o| o.id == *id).map_or_else(|| id.clone(), |o| o.title.clone());
    let text = SafeText::from(if ok { title.to_string() } else { format!("failed: {title}") });
    let data = json!({"action": id, "title": title, "ok": ok, "told": line});
    act::write_down(state, state.now, EntryKind::Action, "action", text, data, effects);
    state.say(if ok { Mark::Good } else { Mark::Bad }, line);
}

/// What a person should know first: on top of everything until it is closed,
/// and in the timeline behind that.
pub fn brief(state: &mut State, title: SafeText, lines: &[SafeText]) {
    if let Some(line) = lines.first() {
        let by = state.incident.asked.clone();
        state.enter(tell::entry(state.now, &by, EntryKind::Session, line.clone()));
    }
    let lines = lines.iter().map(|l| Line::from(format!(" {l} "))).collect();
    if state.overlay.is_none() {
        state.overlay =
            Some(Overlay::Detail { detail: Detail { title, lines, jumps: Vec::new() }, scroll: 0 });
    }
    state.dirty = true;
}
