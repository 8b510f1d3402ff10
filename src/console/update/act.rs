//! What keys and the palette do.

use super::over::{first_key, group_names};
use super::{acts, steps};
use crate::console::keys::Action;
use crate::console::msg::{Draft, Durability, Effect};
use crate::console::overlay::{FilterBox, FuzzyList, Overlay, command_labels};
use crate::console::panes::{self, Jump, Reply};
use crate::console::state::{
    Asked, Entry, EntryKind, Frozen, JournalState, Mark, Metered, PaneId, Saved, State,
};
use crate::console::textbox::TextBox;
use crate::sources::{Command, Want};
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The step that is the emergency list.
const EMERGENCY: u8 = 8;

/// Does it.
pub fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    if super::past::refuses(state, action) {
        return;
    }
    match action {
        Action::Time => super::past::open(state, effects),
        Action::People => super::join::list(state),
        Action::TakeOver => super::join::ask(state),
        Action::Earlier
        | Action::Later
        | Action::MinuteBack
        | Action::MinuteOn
        | Action::ChangeBack
        | Action::ChangeOn
        | Action::First
        | Action::Last
        | Action::Play
        | Action::Faster
        | Action::Slower
        | Action::Differences => super::past::act(state, action, effects),
        Action::Step(key) => {
            steps::start(state, key, effects);
            if key == EMERGENCY && !state.offers.is_empty() {
                acts::open(state);
            }
        }
        Action::Act => acts::open(state),
        Action::FocusNext => state.focus = next_pane(state.focus, 1),
        Action::FocusPrevious => state.focus = next_pane(state.focus, PaneId::ALL.len() - 1),
        Action::FocusLeft => towards(state, -1, 0),
        Action::FocusRight => towards(state, 1, 0),
        Action::FocusUp => towards(state, 0, -1),
        Action::FocusDown => towards(state, 0, 1),
        Action::Focus(pane) => state.focus = pane,
        Action::Zoom => state.zoom = !state.zoom,
        Action::Freeze => freeze(state),
        Action::Privacy => {
            state.privacy = !state.privacy;
            state.say(
                Mark::Info,
                if state.privacy { "account numbers and addresses are masked" } else { "nothing is masked" },
            );
        }
        Action::Filter => open_filter(state),
        Action::Annotate => {
            let head = if state.draft.is_empty() && state.focus == PaneId::Procedure {
                steps::note_head(state)
            } else {
                state.draft.clone()
            };
            let input = TextBox::note().with(&head);
            state.overlay = Some(Overlay::Note(input));
        }
        Action::Phase(word) => {
            // What was being written is kept behind it.
            let input = TextBox::note().with(&format!("{word}: {}", state.draft));
            state.overlay = Some(Overlay::Note(input));
        }
        Action::Mark => mark(state, effects),
        Action::Export => {
            // A long incident takes a second or two to be read and redacted.
            state.say(Mark::Info, "writing the postmortem");
            effects.push(Effect::Export);
        }
        Action::Copy => match state.view(state.focus).selected(state) {
            Some(row) => effects.push(Effect::Copy(row.text)),
            None => state.say(Mark::Info, "no row is selected here"),
        },
        Action::Refresh => {
            let id = state.fresh_id();
            state.asked.insert(id, Asked { at: state.now, step: None });
            state.say(Mark::Info, "asking everything anew");
            effects.push(Effect::Send(Command::Refresh { id, wants: Want::ALL.to_vec() }));
        }
        Action::Next => next(state, effects),
        Action::ReloadCredentials => {
            state.say(Mark::Info, "reading the credentials anew");
            effects.push(Effect::Send(Command::ReloadCredentials));
        }
        Action::Since => state.overlay = Some(Overlay::Since { selected: 4 }),
        Action::SaveLogs => match state.views.logs.saved(state) {
            Some(saved) => {
                state.say(Mark::Info, format!("writing {} log lines", saved.lines.len()));
                effects.push(Effect::SaveLogs(saved));
            }
            None => state.say(Mark::Info, "there is no log line to write"),
        },
        Action::LogGroups => {
            if state.situation.log_groups.value().is_none() {
                let id = state.fresh_id();
                effects.push(Effect::Send(Command::Refresh { id, wants: vec![Want::LogGroups] }));
            }
            let labels: Vec<String> = group_names(state).iter().map(ToString::to_string).collect();
            let chosen = followed(state).into_iter().collect();
            state.overlay = Some(Overlay::Groups { list: FuzzyList::new(&labels), chosen });
        }
        Action::Palette => state.overlay = Some(Overlay::Palette(FuzzyList::new(&command_labels()))),
        Action::Help => state.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Calls => state.overlay = Some(Overlay::Calls { scroll: 0 }),
        Action::Meter => {
            state.metered = if state.metered.is_some() { None } else { Some(Metered::default()) };
            effects.push(Effect::Meter(state.metered.is_some()));
        }
        Action::Redraw => effects.push(Effect::Redraw),
        Action::Quit => quit(state, effects),
        Action::Open => open(state, effects),
        Action::Back => back(state),
        Action::NextError
        | Action::PreviousError
        | Action::NextMark
        | Action::Wrap
        | Action::Timestamps
        | Action::Pause => {
            // These come from the palette too, whatever pane has the focus.
            state.focus = PaneId::Logs;
            pane(state, action);
        }
        Action::Down
        | Action::Up
        | Action::Left
        | Action::Right
        | Action::PageDown
        | Action::PageUp
        | Action::Top
        | Action::Bottom
        | Action::NextMatch
        | Action::PreviousMatch => {
            pane(state, action);
        }
    }
}

/// Gives an action to the focused pane.
fn pane(state: &mut State, action: Action) -> bool {
    let focus = state.focus;
    let area = state.layout().inner(focus);
    match state.with_view(focus, |v, s| v.handle(action, area, s)) {
        Reply::Handled => true,
        Reply::Ignored => false,
        Reply::Say(text) => {
            state.say(Mark::Info, text);
            true
        }
    }
}

/// Shows a row of another pane.
pub fn jump(state: &mut State, to: &Jump) {
    state.focus = to.pane;
    if to.pane == PaneId::Logs {
        return go_to(state, to.at);
    }
    let area = state.layout().inner(to.pane);
    state.with_view(to.pane, |v, s| v.seek(&to.text, area, s));
}

/// What the diagnosis names as next: a check is a step of the procedure that
/// looks there, a mitigation stands in the emergency list, a missing answer is
/// asked for once more.
fn next(state: &mut State, effects: &mut Vec<Effect>) {
    let found = panes::next(state, &state.views.diagnosis);
    let Some((title, _, step)) = found else {
        state.say(Mark::Info, "no cause is named yet, so there is no next");
        return;
    };
    match step {
        Some(step) => {
            state.focus = PaneId::Procedure;
            steps::start(state, step, effects);
            state.say(Mark::Info, format!("step {step} for: {title}"));
        }
        None => act(state, Action::Refresh, effects),
    }
}

/// Shows the log at a moment.
pub fn go_to(state: &mut State, at: Timestamp) {
    state.focus = PaneId::Logs;
    let mut view = std::mem::take(&mut state.views.logs);
    view.go_to_time(at, state);
    state.views.logs = view;
    let day = at.strftime("%Y-%m-%d %H:%M:%SZ");
    state.say(Mark::Info, format!("the log at {day}"));
}

fn next_pane(from: PaneId, by: usize) -> PaneId {
    let at = PaneId::ALL.iter().position(|p| *p == from).unwrap_or(0);
    PaneId::ALL[(at + by) % PaneId::ALL.len()]
}

/// The pane next to the focused one in a direction; where a screen shows only
/// one, the next or previous.
fn towards(state: &mut State, dx: i32, dy: i32) {
    let layout = state.layout();
    let Some(here) = layout.pane(state.focus) else { return };
    if layout.panes.len() < 2 {
        state.focus = next_pane(state.focus, if dx + dy > 0 { 1 } else { PaneId::ALL.len() - 1 });
        return;
    }
    let centre = |r: ratatui::layout::Rect| {
        (i32::from(r.x) * 2 + i32::from(r.width), i32::from(r.y) * 2 + i32::from(r.height))
    };
    let (hx, hy) = centre(here);
    let best = layout
        .panes
        .iter()
        .filter(|(id, _)| *id != state.focus)
        .filter(|(_, r)| {
            // Wholly on that side.
            match (dx, dy) {
                (1, _) => r.x >= here.right(),
                (-1, _) => r.right() <= here.x,
                (_, 1) => r.y >= here.bottom(),
                _ => r.bottom() <= here.y,
            }
        })
        .min_by_key(|(_, r)| {
            let (x, y) = centre(*r);
            // A column is half as wide as a row is high; off the axis costs double.
            let (ax, ay) = ((x - hx).abs(), (y - hy).abs() * 2);
            if dx != 0 { ax + ay * 2 } else { ay + ax * 2 }
        });
    if let Some((id, _)) = best {
        state.focus = *id;
    }
}

fn freeze(state: &mut State) {
    if let Some(f) = state.frozen.take() {
        for entry in f.waiting {
            state.enter(entry);
        }
        state.settle();
        return;
    }
    state.settle();
    // The log stays in one place: it may be long, and its lines never change.
    let logs = std::mem::take(&mut state.situation.logs);
    let situation = Box::new(state.situation.clone());
    state.situation.logs = logs;
    state.frozen = Some(Frozen {
        at: state.now,
        situation,
        log_end: state.situation.logs.range().end,
        waiting: Vec::new(),
        behind: 0,
    });
}

fn open_filter(state: &mut State) {
    let before = state.view(state.focus).filter().cloned();
    let input = TextBox::line().with(before.as_ref().map_or("", |f| f.typed.as_str()));
    let hides = before.as_ref().is_none_or(|f| f.hides);
    state.overlay =
        Some(Overlay::Filter(FilterBox { input, pane: state.focus, hides, error: None, before, back: 0 }));
}

fn open(state: &mut State, effects: &mut Vec<Effect>) {
    if reopen_picker(state) {
        return;
    }
    let _ = effects;
    if let Some(detail) = state.view(state.focus).detail(state) {
        state.overlay = Some(Overlay::Detail { detail, scroll: 0 });
    } else {
        pane(state, Action::Open);
    }
}

/// Opens the load balancer picker while there is something to pick and nothing
/// was; true when it did.
pub fn reopen_picker(state: &mut State) -> bool {
    match &state.candidates {
        Some(c) if state.situation.lb_arn().is_none() => {
            state.overlay = Some(Overlay::Targets(FuzzyList::new(&c.labels())));
            true
        }
        _ => false,
    }
}

/// Esc with nothing open: the last thing that narrows the view goes away.
fn back(state: &mut State) {
    let focus = state.focus;
    // Nothing narrows the view as much as another time does.
    if super::past::leave(state) {
        return;
    }
    if state.notice.take().is_some() {
        return;
    }
    if pane(state, Action::Back) {
        return;
    }
    if state.view(focus).filter().is_some() {
        state.with_view(focus, |v, _| v.set_filter(None));
        state.catch_up();
    } else if state.zoom {
        state.zoom = false;
    } else if state.frozen.is_some() {
        freeze(state);
    }
}

/// Log groups being followed, by our wish or the source's own choice.
pub fn followed(state: &State) -> Vec<SafeText> {
    if state.following.is_empty() {
        state.situation.tails.iter().filter(|(_, t)| t.value().is_some()).map(|(g, _)| g.clone()).collect()
    } else {
        state.following.clone()
    }
}

/// Writes an entry of the person here into timeline and incident file.
pub fn write_down(
    state: &mut State,
    at: Timestamp,
    kind: EntryKind,
    name: &'static str,
    text: SafeText,
    data: Value,
    effects: &mut Vec<Effect>,
) {
    let recorded = state.journal != JournalState::Off;
    let id = if recorded { state.fresh_id() } else { 0 };
    let by = state.incident.author.clone();
    let saved = if recorded { Saved::Pending } else { Saved::No };
    state.enter(Entry { at, by, kind, text, saved, id });
    if recorded {
        effects.push(Effect::Journal(Draft {
            id,
            at,
            by: None,
            kind: name,
            data,
            durability: Durability::Now,
        }));
    } else {
        state.say(Mark::Bad, "kept on screen only: there is no incident file");
    }
}

/// Writes a record of this console itself, such as that it took over.
pub fn write_record(state: &mut State, name: &'static str, data: Value, effects: &mut Vec<Effect>) {
    if state.journal == JournalState::Off {
        return;
    }
    effects.push(Effect::Journal(Draft {
        id: 0,
        at: state.now,
        by: None,
        kind: name,
        data,
        durability: Durability::Now,
    }));
}

/// Saves a note; the editor may close.
pub fn note(state: &mut State, text: &SafeText, effects: &mut Vec<Effect>) -> bool {
    let text = SafeText::multiline(text.trim_end());
    let at = state.now;
    state.on_live(|s| {
        write_down(s, at, EntryKind::Note, "note", text.clone(), json!({ "text": text }), effects);
        s.read_notes();
    });
    true
}

fn mark(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(row) = state.view(state.focus).selected(state) else {
        state.say(Mark::Info, "no row is selected here");
        return;
    };
    // The pane may show its marks.
    pane(state, Action::Mark);
    let data = json!({"text": row.text, "source": row.source, "pane": panes::title(state.focus)});
    let text = SafeText::from(format!("{}: {}", row.source, row.text));
    state.on_live(|s| write_down(s, row.at, EntryKind::Mark, "mark", text, data, effects));
}

fn quit(state: &mut State, effects: &mut Vec<Effect>) {
    if let JournalState::Trouble { waiting, .. } = state.journal
        && waiting > 0
    {
        state.overlay = Some(Overlay::Leave { waiting });
        let key = first_key(&state.keymap, Action::Quit);
        state.say(Mark::Bad, format!("{waiting} record(s) are not on disk; {key} again leaves"));
        return;
    }
    state.leaving = true;
    effects.push(Effect::Quit);
}
