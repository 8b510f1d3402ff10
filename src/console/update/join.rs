//! Being one of several: who is here, and going on where somebody left off.

use super::act::write_record;
use crate::console::keys::Action;
use crate::console::msg::Effect;
use crate::console::overlay::Overlay;
use crate::console::panes::Detail;
use crate::console::past::Role;
use crate::console::people::Part;
use crate::console::state::{EntryKind, Mark, State};
use crate::sources::Command;
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::text::Line;
use serde_json::json;

/// Asks whether to take over once nobody asks the cloud any more.
pub fn look(state: &mut State) {
    if state.role != Role::Join || !state.caught_up {
        return;
    }
    if let Some(Overlay::TakeOver { own: false, .. }) = state.overlay
        && state.people.vacant(state.now).is_none()
    {
        state.overlay = None;
        let who = state.people.asking().map_or_else(String::new, |p| p.by.to_string());
        state.say(Mark::Info, format!("{who} asks the cloud now"));
    }
    if state.overlay.is_some() {
        return;
    }
    if state.people.declined == Some(state.people.state()) {
        return;
    }
    if let Some(why) = state.people.vacant(state.now) {
        state.overlay = Some(Overlay::TakeOver { why, own: false });
        state.dirty = true;
    }
}

/// Opens the question on the person's own wish.
pub fn ask(state: &mut State) {
    if state.role != Role::Join {
        state.say(Mark::Info, "this console asks the cloud already");
        return;
    }
    let why = state.people.vacant(state.now).unwrap_or_else(|| match state.people.asking() {
        Some(p) => format!("{} asks the cloud now; both would", p.by).into(),
        None => "nobody asks the cloud now".into(),
    });
    state.overlay = Some(Overlay::TakeOver { why, own: true });
}

/// Not now: not asked again until something changes.
pub fn decline(state: &mut State) {
    state.people.declined = Some(state.people.state());
    let key = super::first_key(&state.keymap, Action::Palette);
    state.say(Mark::Info, format!("still following; {key} take-over asks again"));
}

/// Goes on asking the cloud from here.
pub fn take_over(state: &mut State, effects: &mut Vec<Effect>) {
    if state.role != Role::Join {
        return;
    }
    state.role = Role::Live;
    let target = match state.incident.asked.as_str() {
        "" => state.on_live(|s| s.situation.lb_arn().map(ToString::to_string)).unwrap_or_default(),
        asked => asked.to_owned(),
    };
    let from = state.people.all().find(|p| p.part == Part::Asks).map(|p| p.by.clone());
    let data = json!({"target": target, "resumed": true, "command": "open", "took_over_from": from});
    write_record(state, "opened", data, effects);
    let by = state.incident.author.clone();
    let entry = super::tell::entry(state.now, &by, EntryKind::Session, "took over");
    state.on_live(|s| s.enter(entry));
    state.chosen = false;
    effects.push(Effect::Send(Command::Open(target)));
    // What is watched was never heard by the source.
    state.watched.clear();
    state.say(Mark::Good, "asking the cloud from here on");
}

fn age(now: Timestamp, t: Timestamp) -> String {
    let s = now.duration_since(t).as_secs().max(0);
    match s {
        0..=59 => format!("{s}s"),
        60..=3599 => format!("{}m", s / 60),
        3600..=86_399 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d", s / 86_400),
    }
}

/// Opens the list of people.
pub fn list(state: &mut State) {
    let own = match state.role {
        Role::Live => "asks the cloud",
        Role::Join => "follows",
        Role::Replay => "looks back",
    };
    let mut lines = vec![Line::from(format!("{:<24} {own} (you)", state.incident.author.as_str()))];
    for p in state.people.all() {
        let what = match p.left {
            Some(t) => format!("left {} ago, at {}", age(state.now, t), t.strftime("%H:%M:%SZ")),
            None => {
                let seen = state.people.last_seen(p);
                let here = state.people.here(state.now).contains(&p);
                let doubt = if here { "" } else { "  perhaps gone" };
                format!(
                    "{}, came {} ago, last wrote {} ago{doubt}",
                    p.part.word(),
                    age(state.now, p.since),
                    age(state.now, seen)
                )
            }
        };
        lines.push(Line::from(format!("{:<24} {what}", p.by.as_str())));
    }
    if state.people.all().next().is_none() {
        lines.push(Line::from("nobody else has opened this incident file"));
    }
    lines.push(Line::default());
    lines.push(Line::from(
        "Known from the incident file: who only reads is seen when they come and when they write.",
    ));
    let detail = Detail { title: SafeText::from("Who is here"), lines, jumps: Vec::new() };
    state.overlay = Some(Overlay::Detail { detail, scroll: 0 });
}

/// Names for the header: `with ken, aoi +2`.
pub fn with(state: &State) -> Option<String> {
    let here = state.people.here(state.now);
    let mut names: Vec<&str> = here.iter().map(|p| p.name()).collect();
    names.dedup();
    let rest = names.len().saturating_sub(2);
    names.truncate(2);
    if names.is_empty() {
        return None;
    }
    let more = if rest > 0 { format!(" +{rest}") } else { String::new() };
    Some(format!("with {}{more}", names.join(", ")))
}
