//! Looking back: keys, playing, and what is told of the past.

use super::over::first_key;
use crate::console::keys::{Action, Key};
use crate::console::msg::Effect;
use crate::console::overlay::Overlay;
use crate::console::panes::Detail;
use crate::console::past::{Ask, News, Past, Role, SPEEDS, played, typed_moment};
use crate::console::state::{Mark, State};
use crate::console::textbox::TextBox;
use crate::diagnosis::verdict::Standing;
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::text::Line;

/// Begins to look back at `ask`, and to play from there if `speed` says how fast.
pub fn begin(state: &mut State, ask: Ask, speed: Option<u16>) -> Vec<Effect> {
    state.look_back();
    if let (Some(past), Some(speed)) = (&mut state.past, speed) {
        past.speed = SPEEDS.iter().rposition(|s| *s <= speed).unwrap_or(0);
        past.play_first = true;
    }
    vec![Effect::Past(ask)]
}

/// `t`: look back, or type a time to go to.
pub fn open(state: &mut State, effects: &mut Vec<Effect>) {
    if state.past.as_ref().is_some_and(|p| p.shown) {
        state.overlay = Some(Overlay::Moment(TextBox::line()));
    } else if state.incident.path.is_none() {
        state.say(Mark::Bad, "nothing is recorded, so there is nothing to look back on");
    } else if state.past.is_none() {
        let now = state.now;
        effects.extend(begin(state, Ask::At(now), None));
    }
}

/// Keys that mean something else in the past; true when this was one.
pub fn key(state: &mut State, key: Key, effects: &mut Vec<Effect>) -> bool {
    if !state.past.as_ref().is_some_and(|p| p.shown) {
        return false;
    }
    if let Some(action) = state.keymap.in_past(key) {
        act(state, action, effects);
        return true;
    }
    // Steps are for the present: a digit begins a time.
    if let Some(c) = key.types().filter(char::is_ascii_digit) {
        state.overlay = Some(Overlay::Moment(TextBox::line().with(c.encode_utf8(&mut [0; 4]))));
        return true;
    }
    false
}

/// Whether an action has no meaning while the past is shown.
pub fn only_now(role: Role, action: Action) -> bool {
    asks(action) || (role == Role::Replay && writes(action))
}

fn writes(action: Action) -> bool {
    matches!(action, Action::Annotate | Action::Phase(_) | Action::Mark)
}

fn asks(action: Action) -> bool {
    matches!(
        action,
        Action::Step(_)
            | Action::Next
            | Action::Refresh
            | Action::ReloadCredentials
            | Action::Freeze
            | Action::Since
            | Action::LogGroups
    )
}

/// What changes the present, or asks of it, cannot be done in the past; true
/// when `action` is refused.
pub fn refuses(state: &mut State, action: Action) -> bool {
    let (writes, asks) = (writes(action), asks(action));
    if state.role == Role::Replay && (writes || asks) {
        state.say(Mark::Info, "a replay changes nothing; `badgate join FILE` writes into an incident");
        return true;
    }
    let steps = matches!(action, Action::Step(_) | Action::Next | Action::Freeze);
    if state.role == Role::Join && asks && !steps {
        state.say(Mark::Info, "this console follows; take-over (in the palette) asks the cloud from here");
        return true;
    }
    if asks && state.past.as_ref().is_some_and(|p| p.shown) {
        let key = first_key(&state.keymap, Action::Back);
        state.say(Mark::Info, format!("that is for the present; {key} returns to it"));
        return true;
    }
    false
}

/// Back to the present; true when there was a past to leave.
pub fn leave(state: &mut State) -> bool {
    if state.past.is_none() || state.role == Role::Replay {
        return false;
    }
    state.look_up();
    true
}

/// Moves about in the past.
pub fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(past) = state.past.as_mut().filter(|p| p.shown) else {
        let key = first_key(&state.keymap, Action::Time);
        state.say(Mark::Info, format!("this is the present; {key} looks back"));
        return;
    };
    let ask = match action {
        Action::Earlier => Ask::Event { on: false },
        Action::Later => Ask::Event { on: true },
        Action::ChangeBack => Ask::Change { on: false },
        Action::ChangeOn => Ask::Change { on: true },
        Action::MinuteBack => Ask::By(-60),
        Action::MinuteOn => Ask::By(60),
        Action::First => Ask::Edge { end: false },
        Action::Last => Ask::Edge { end: true },
        Action::Play => {
            past.playing = match past.playing {
                Some(_) => None,
                None if past.at >= past.last => {
                    state.say(Mark::Info, "this is the end; nothing was recorded after it");
                    return;
                }
                None => Some((now, past.at)),
            };
            return;
        }
        Action::Faster | Action::Slower => {
            past.speed = if action == Action::Faster {
                (past.speed + 1).min(SPEEDS.len() - 1)
            } else {
                past.speed.saturating_sub(1)
            };
            if past.playing.is_some() {
                past.playing = Some((now, past.at));
            }
            let text = format!("{} s of the past a second", past.factor());
            state.say(Mark::Info, text);
            return;
        }
        Action::Differences => {
            differences(state);
            return;
        }
        _ => return,
    };
    past.playing = None;
    past.asked = true;
    effects.push(Effect::Past(ask));
}

/// Goes to a time as typed; true when it is none and has to be mended.
pub fn go_to(state: &mut State, text: &str, effects: &mut Vec<Effect>) -> bool {
    let Some(past) = &mut state.past else { return false };
    match typed_moment(text, past.at, past.first, past.last) {
        Some(at) => {
            past.playing = None;
            past.asked = true;
            effects.push(Effect::Past(Ask::At(at)));
            false
        }
        None => {
            state.say(Mark::Warn, "that is no time; write it like 01:41, 01:41:30 or 2026-11-22 01:41");
            true
        }
    }
}

/// Goes on with a play.
pub fn play(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(past) = state.past.as_mut().filter(|p| p.shown && !p.asked) else { return };
    let Some(to) = played(past, now) else { return };
    if past.at >= past.last {
        past.playing = None;
        state.say(Mark::Info, "the end of what was recorded");
    } else if to > past.at {
        past.asked = true;
        effects.push(Effect::Past(Ask::At(to)));
    }
}

/// Takes in what is told of the past.
pub fn news(state: &mut State, news: News) {
    state.dirty = true;
    let now = state.now;
    let Some(past) = &mut state.past else { return };
    match news {
        News::Reading { done, of } => past.reading = Some((done, of)),
        News::Scene(shown) => {
            let play = std::mem::take(&mut past.play_first);
            let at = shown.at;
            state.show_past(shown);
            if let (true, Some(past)) = (play, &mut state.past) {
                past.playing = Some((now, at));
            }
        }
        News::Edge(line) => {
            past.asked = false;
            state.say(Mark::Info, line);
        }
        News::Failed(line) => {
            past.asked = false;
            let first = !past.shown;
            state.say(Mark::Bad, line);
            if first && state.role != Role::Replay {
                state.look_up();
            }
        }
    }
}

fn word(s: Option<Standing>) -> &'static str {
    s.map_or("not judged", Standing::word)
}

/// Opens the causes that were recorded otherwise than they are judged now.
fn differences(state: &mut State) {
    let Some(past) = &state.past else { return };
    if past.differences.is_empty() {
        state.say(Mark::Good, "every cause is judged as it was recorded");
        return;
    }
    let title = format!("Judged otherwise than recorded, {}", past.at.strftime("%H:%M:%SZ"));
    let mut lines = vec![
        Line::from("A change is recorded once it has lasted two seconds; what remains then is"),
        Line::from("this badgate judging the same facts otherwise than the one that recorded them."),
        Line::default(),
    ];
    for d in &past.differences {
        let name = state.words.as_ref().and_then(|w| w.get(d.cause)).map(|w| w.title.to_string());
        lines.push(Line::from(format!("{}  {}", d.cause, name.unwrap_or_default()).trim_end().to_owned()));
        lines.push(Line::from(format!("    recorded {:<12} judged {}", word(d.recorded), word(d.judged))));
    }
    let detail = Detail { title: SafeText::from(title), lines, jumps: Vec::new() };
    state.overlay = Some(Overlay::Detail { detail, scroll: 0 });
}

/// How long ago, or how much later than now, in the words of the header.
pub fn ago(past: &Past, now: Timestamp) -> String {
    let s = now.duration_since(past.at).as_secs().max(0);
    match s {
        0..=59 => format!("{s}s ago"),
        60..=3599 => format!("{}m{:02}s ago", s / 60, s % 60),
        3600..=86_399 => format!("{}h{:02}m ago", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h ago", s / 86_400, s % 86_400 / 3600),
    }
}
