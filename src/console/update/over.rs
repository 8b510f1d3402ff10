//! Keys while something lies on top of the panes.

use super::{act, acts, steps};
use crate::console::filter::Filter;
use crate::console::keys::{Action, Code, Key, Keymap};
use crate::console::msg::Effect;
use crate::console::overlay::{FilterBox, Overlay, SINCE, command_labels, commands, max_scroll, note_cols};
use crate::console::state::{Mark, PaneId, State};
use crate::sources::Command;
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Patterns remembered.
const HISTORY: usize = 50;

/// Takes a key for the overlay.
pub fn key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let Some(overlay) = state.overlay.take() else { return };
    let back = key == Key::plain(Code::Esc) || key == Key::ctrl('c');
    state.overlay = match overlay {
        Overlay::Note(_)
        | Overlay::Filter(_)
        | Overlay::Palette(_)
        | Overlay::Targets(_)
        | Overlay::TakeOver { .. }
            if back =>
        {
            leave(state, overlay);
            None
        }
        _ if back => None,
        Overlay::Help { scroll } => scrolled(state, key, scroll, |scroll| Overlay::Help { scroll }),
        Overlay::Calls { scroll } => scrolled(state, key, scroll, |scroll| Overlay::Calls { scroll }),
        Overlay::Hosts { step, scroll } => match key.types() {
            _ if key.code == Code::Enter => {
                steps::agree(state, step, effects);
                None
            }
            Some('n') => {
                steps::without_hosts(state, step, effects);
                None
            }
            _ => scrolled(state, key, scroll, |scroll| Overlay::Hosts { step, scroll }),
        },
        Overlay::Detail { detail, scroll } => {
            let digit = key.types().and_then(|c| c.to_digit(10)).and_then(|d| usize::try_from(d).ok());
            let jump = digit.and_then(|d| detail.jumps.get(d.checked_sub(1)?));
            if let Some(jump) = jump {
                act::jump(state, jump);
                None
            } else if state.keymap.action(state.focus, key) == Some(Action::Next)
                && state.focus == PaneId::Diagnosis
            {
                act::act(state, Action::Next, effects);
                None
            } else if state.keymap.action(state.focus, key) == Some(Action::Copy) {
                let lines: Vec<String> = detail.lines.iter().map(ToString::to_string).collect();
                effects.push(Effect::Copy(SafeText::multiline(lines.join("\n"))));
                Some(Overlay::Detail { detail, scroll })
            } else {
                scrolled(state, key, scroll, |scroll| Overlay::Detail { detail: detail.clone(), scroll })
            }
        }
        Overlay::Palette(mut list) => {
            if key.code == Code::Enter {
                if let Some(at) = typed_time(list.input.text(), state.now) {
                    act::go_to(state, at);
                } else if let Some(b) = list.item().and_then(|i| commands().get(i).copied()) {
                    act::act(state, b.action, effects);
                }
                // What the command has opened stays open.
                state.overlay.take()
            } else {
                list.key(key, &command_labels());
                Some(Overlay::Palette(list))
            }
        }
        Overlay::Targets(mut list) => {
            let candidates = state.candidates.clone().unwrap_or_default();
            if key.code == Code::Enter {
                match list.item().and_then(|i| candidates.list.get(i)) {
                    Some(c) => {
                        effects.push(Effect::Send(Command::Choose(c.arn.clone())));
                        state.say(Mark::Info, format!("opening {}", c.name));
                        state.candidates = None;
                        state.chosen = true;
                        None
                    }
                    None => Some(Overlay::Targets(list)),
                }
            } else {
                list.key(key, &candidates.labels());
                Some(Overlay::Targets(list))
            }
        }
        Overlay::Groups { mut list, mut chosen } => {
            let names = group_names(state);
            let selected = list.item().and_then(|i| names.get(i).cloned());
            match (key.code, selected) {
                (Code::Char(' ') | Code::Tab, Some(name)) => {
                    if !chosen.remove(&name) {
                        chosen.insert(name);
                    }
                    Some(Overlay::Groups { list, chosen })
                }
                (Code::Enter, selected) => {
                    // Enter on a row with nothing chosen means that row.
                    if chosen.is_empty() {
                        chosen.extend(selected);
                    }
                    follow(state, chosen, effects);
                    None
                }
                _ => {
                    let labels: Vec<String> = names.iter().map(ToString::to_string).collect();
                    list.key(key, &labels);
                    Some(Overlay::Groups { list, chosen })
                }
            }
        }
        Overlay::Acts(mut list) => {
            if key.code == Code::Enter {
                acts::choose(state, &list, effects);
                None
            } else {
                list.key(key, &acts::labels(state));
                Some(Overlay::Acts(list))
            }
        }
        Overlay::Since { selected } => since(state, key, selected, effects),
        Overlay::TakeOver { why, own } => match key.code {
            Code::Enter => {
                super::join::take_over(state, effects);
                None
            }
            // What was being typed when the question came is no answer.
            _ => Some(Overlay::TakeOver { why, own }),
        },
        Overlay::Moment(mut input) => match key.code {
            Code::Enter => super::past::go_to(state, input.text(), effects).then_some(Overlay::Moment(input)),
            _ => {
                input.key(key);
                Some(Overlay::Moment(input))
            }
        },
        Overlay::Note(mut input) => {
            let cols = note_cols(state.size.0);
            match key.code {
                Code::Enter => {
                    if input.is_blank() {
                        None
                    } else if act::note(state, &input.safe(), effects) {
                        state.draft.clear();
                        None
                    } else {
                        Some(Overlay::Note(input))
                    }
                }
                Code::Up | Code::Down => {
                    input.vertical(cols, key.code == Code::Down);
                    Some(Overlay::Note(input))
                }
                _ => {
                    input.key(key);
                    Some(Overlay::Note(input))
                }
            }
        }
        Overlay::Filter(f) => filter(state, key, f),
        Overlay::Leave { waiting } => {
            if state.keymap.action(state.focus, key) == Some(Action::Quit) {
                state.leaving = true;
                effects.push(Effect::Quit);
            }
            Some(Overlay::Leave { waiting })
        }
    };
    // Candidates that came while something else was open.
    if state.overlay.is_none() && !back && state.situation.lb_arn().is_none() {
        act::reopen_picker(state);
    }
}

/// `14:02`, `14:02:30`, `goto 14:02`: the last such moment before now, in UTC.
pub fn typed_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    let text = text.strip_prefix("goto").map_or(text, str::trim_start);
    if !text.contains(':') {
        return None;
    }
    let time: jiff::civil::Time = text.trim_end_matches(['Z', 'z']).parse().ok()?;
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let at = today.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    if at <= now { Some(at) } else { at.checked_sub(SignedDuration::from_hours(24)).ok() }
}

/// Esc: back to how it was before.
fn leave(state: &mut State, overlay: Overlay) {
    match overlay {
        Overlay::Note(input) => {
            state.draft = if input.is_blank() { String::new() } else { input.text().to_string() };
            if !state.draft.is_empty() {
                let key = first_key(&state.keymap, Action::Annotate);
                state.say(Mark::Warn, format!("not saved yet: {key} goes on with the note"));
            }
        }
        Overlay::Filter(f) => set_filter(state, &f, f.before.clone()),
        Overlay::TakeOver { .. } => super::join::decline(state),
        Overlay::Targets(_) if state.situation.lb_arn().is_none() => {
            let key = first_key(&state.keymap, Action::Open);
            state.say(Mark::Info, format!("{key} opens the list again"));
        }
        _ => {}
    }
}

/// The key to name for an action.
pub fn first_key(keymap: &Keymap, action: Action) -> String {
    keymap.keys(action).first().map_or_else(|| ":".into(), ToString::to_string)
}

/// Pasted text goes where text can be typed, and nowhere else: it must not run
/// as commands.
pub fn paste(state: &mut State, text: &str) {
    let one_line = || text.lines().next().unwrap_or("").to_string();
    match state.overlay.take() {
        Some(Overlay::Note(mut input)) => {
            if !input.insert(text) {
                state.say(Mark::Warn, "the note is full: the rest of the paste is left out");
            }
            state.overlay = Some(Overlay::Note(input));
        }
        Some(Overlay::Filter(mut f)) => {
            f.input.insert(&one_line());
            apply(state, &mut f);
            state.overlay = Some(Overlay::Filter(f));
        }
        Some(Overlay::Moment(mut input)) => {
            input.insert(&one_line());
            state.overlay = Some(Overlay::Moment(input));
        }
        Some(Overlay::Palette(mut list)) => {
            list.paste(&one_line(), &command_labels());
            state.overlay = Some(Overlay::Palette(list));
        }
        Some(Overlay::Targets(mut list)) => {
            let labels = state.candidates.clone().unwrap_or_default().labels();
            list.paste(&one_line(), &labels);
            state.overlay = Some(Overlay::Targets(list));
        }
        Some(Overlay::Groups { mut list, chosen }) => {
            let labels: Vec<String> = group_names(state).iter().map(ToString::to_string).collect();
            list.paste(&one_line(), &labels);
            state.overlay = Some(Overlay::Groups { list, chosen });
        }
        other => {
            state.overlay = other;
            let key = first_key(&state.keymap, Action::Annotate);
            state.say(Mark::Warn, format!("a paste is not taken for keys; {key} opens a note for it"));
        }
    }
}

fn scrolled(state: &State, key: Key, scroll: usize, make: impl Fn(usize) -> Overlay) -> Option<Overlay> {
    let action = state.keymap.action(state.focus, key);
    let page = (state.size.1 as usize).saturating_sub(4).max(1);
    let to = match action {
        Some(Action::Down) => scroll + 1,
        Some(Action::Up) => scroll.saturating_sub(1),
        Some(Action::PageDown) => scroll + page,
        Some(Action::PageUp) => scroll.saturating_sub(page),
        Some(Action::Top) => 0,
        Some(Action::Bottom) => usize::MAX,
        Some(Action::Back | Action::Quit | Action::Help | Action::Open) => return None,
        _ => scroll,
    };
    Some(make(to.min(max_scroll(state, &make(0)))))
}

/// Names of the log groups that are known, in the order of the source.
pub fn group_names(state: &State) -> Vec<SafeText> {
    state.situation.log_groups.value().into_iter().flatten().map(|g| g.name.clone()).collect()
}

fn follow(state: &mut State, chosen: BTreeSet<SafeText>, effects: &mut Vec<Effect>) {
    let groups: Vec<SafeText> = group_names(state).into_iter().filter(|n| chosen.contains(n)).collect();
    state.following.clone_from(&groups);
    state.say(
        Mark::Info,
        match groups.as_slice() {
            [] => "no log group is followed".into(),
            [one] => format!("following {one}"),
            many => format!("following {} log groups", many.len()),
        },
    );
    effects.push(Effect::Send(Command::Tail { groups, since: None }));
}

fn since(state: &mut State, key: Key, selected: usize, effects: &mut Vec<Effect>) -> Option<Overlay> {
    let selected = match state.keymap.action(state.focus, key) {
        Some(Action::Down) => (selected + 1).min(SINCE.len() - 1),
        Some(Action::Up) => selected.saturating_sub(1),
        Some(Action::Top) => 0,
        Some(Action::Bottom) => SINCE.len() - 1,
        Some(Action::Open) => {
            let (minutes, words) = SINCE[selected];
            let from = state.now.checked_sub(SignedDuration::from_mins(minutes)).unwrap_or(state.now);
            let groups = act::followed(state);
            if groups.is_empty() {
                state.say(Mark::Warn, "no log group is followed yet");
                return None;
            }
            // Lines would come twice or out of order; they are read anew.
            state.situation.logs.clear();
            state.derived.forget_logs();
            if let Some(f) = &mut state.frozen {
                f.log_end = state.situation.logs.range().end;
            }
            state.say(Mark::Info, format!("reading the log anew, {words}"));
            effects.push(Effect::Send(Command::Tail { groups, since: Some(from) }));
            return None;
        }
        Some(Action::Back | Action::Quit) => return None,
        _ => selected,
    };
    Some(Overlay::Since { selected })
}

fn filter(state: &mut State, key: Key, mut f: FilterBox) -> Option<Overlay> {
    match key.code {
        Code::Enter => {
            if f.error.is_some() {
                return Some(Overlay::Filter(f));
            }
            let typed = f.input.text().to_string();
            if !typed.is_empty() {
                state.filters.retain(|old| *old != typed);
                state.filters.push(typed);
                let extra = state.filters.len().saturating_sub(HISTORY);
                state.filters.drain(..extra);
            }
            return None;
        }
        Code::Tab => f.hides = !f.hides,
        Code::Up | Code::Down => {
            f.back = if key.code == Code::Up {
                (f.back + 1).min(state.filters.len())
            } else {
                f.back.saturating_sub(1)
            };
            f.input.clear();
            if let Some(old) = state.filters.len().checked_sub(f.back).and_then(|i| state.filters.get(i)) {
                f.input.insert(old);
            }
        }
        _ if !f.input.key(key) => return Some(Overlay::Filter(f)),
        _ => {}
    }
    apply(state, &mut f);
    Some(Overlay::Filter(f))
}

/// Puts what is typed into force, if it can be.
fn apply(state: &mut State, f: &mut FilterBox) {
    match Filter::parse(f.input.text(), f.hides) {
        Ok(filter) => {
            f.error = None;
            set_filter(state, f, filter);
        }
        // What was in force before stays so until the pattern is whole.
        Err(e) => f.error = Some(e),
    }
}

fn set_filter(state: &mut State, f: &FilterBox, filter: Option<Filter>) {
    state.with_view(f.pane, |v, _| v.set_filter(filter));
    state.catch_up();
}
