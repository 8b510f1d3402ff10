//! Running a step of the procedure: ask anew what it needs, judge when the
//! answers are there (or when they have been waited for long enough), write the
//! result down.

use super::act;
use crate::console::msg::Effect;
use crate::console::overlay::Overlay;
use crate::console::past::Role;
use crate::console::state::{
    Asked, Entry, EntryKind, Finding, JournalState, Mark, PaneId, Phase, Saved, State, StepRun,
};
use crate::diagnosis::timeouts::to_measure;
use crate::procedure::{self, Context, Level, Note, Procedure, StepResult, StepState};
use crate::sources::{AGREE, Command, Want};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long a step waits for answers before it judges without them.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// Newest log lines a step looks at. Each takes half a microsecond, and a frame waits meanwhile.
const LINES: usize = 20_000;
/// How far back a step looks when nothing tells when the trouble began.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(30);

impl State {
    /// Uses this procedure; its steps stand in the pane, not run yet.
    pub fn set_procedure(&mut self, p: Arc<Procedure>) {
        self.steps = p
            .steps
            .iter()
            .map(|s| StepRun { key: s.id, title: s.title.clone(), ..StepRun::default() })
            .collect();
        self.procedure = Some(p);
    }

    /// What people wrote, as the procedure reads it.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.timeline
            .iter()
            .filter(|e| e.kind == EntryKind::Note)
            .map(|e| Note { at: e.at, by: e.by.clone(), text: e.text.clone() })
            .collect()
    }
}

/// The person has seen what runs on the hosts, and wants it.
pub fn agree(state: &mut State, key: u8, effects: &mut Vec<Effect>) {
    state.hosts_agreed = true;
    effects.push(Effect::Send(Command::Act { id: AGREE.into() }));
    let names: Vec<&str> = state.hosts.iter().map(SafeText::as_str).collect();
    let text =
        SafeText::from(format!("let the fixed list of commands that only read run on {}", names.join(", ")));
    let data = serde_json::json!({"action": AGREE, "title": text, "ok": true, "told": ""});
    act::write_down(state, state.now, EntryKind::Action, "action", text, data, effects);
    start(state, key, effects);
}

/// Begins a step, and leaves the hosts alone.
pub fn without_hosts(state: &mut State, key: u8, effects: &mut Vec<Effect>) {
    let wants = state.procedure.as_ref().map(|p| p.wants(key).to_vec()).unwrap_or_default();
    begin(state, key, wants.into_iter().filter(|w| *w != Want::Hosts).collect(), effects);
}

/// Begins a step. What would run on hosts is shown before it does, once.
pub fn start(state: &mut State, key: u8, effects: &mut Vec<Effect>) {
    let Some(p) = state.procedure.clone() else { return };
    let wants = p.wants(key).to_vec();
    let asks = wants.contains(&Want::Hosts) && !state.hosts.is_empty() && !state.hosts_agreed;
    if asks && !state.source_ended && state.role != Role::Join {
        state.overlay = Some(Overlay::Hosts { step: key, scroll: 0 });
        return;
    }
    begin(state, key, wants, effects);
}

fn begin(state: &mut State, key: u8, wants: Vec<Want>, effects: &mut Vec<Effect>) {
    let Some(run) = state.steps.iter().find(|s| s.key == key) else { return };
    if matches!(run.phase, Phase::Running { .. }) {
        state.say(Mark::Info, format!("step {key} is under way"));
        return;
    }
    let at = state.now;
    let until = at.checked_add(PATIENCE).unwrap_or(at);
    // Who follows asks nobody: a step judges what is known.
    if wants.is_empty() || state.source_ended || state.role == Role::Join {
        finish(state, key, at, false, effects);
        return;
    }
    let id = state.fresh_id();
    state.asked.insert(id, Asked { at, step: Some(key) });
    if let Some(run) = state.steps.iter_mut().find(|s| s.key == key) {
        run.phase = Phase::Running { since: at, until, refresh: id };
    }
    let title = state.steps.iter().find(|s| s.key == key).map(|s| s.title.clone()).unwrap_or_default();
    state.say(Mark::Info, format!("step {key} {title}: asking"));
    if wants.contains(&Want::Probe) {
        let (urls, seconds) = to_measure(&state.situation);
        if !urls.is_empty() {
            // Takes longer than the step waits: it is told when it is known.
            let longest = Duration::from_secs_f64(seconds.clamp(5.0, 400.0));
            effects.push(Effect::Send(Command::Measure { urls, longest }));
        }
    }
    effects.push(Effect::Send(Command::Refresh { id, wants }));
}

/// Judges the steps that have waited long enough.
pub fn overdue(state: &mut State, effects: &mut Vec<Effect>) {
    let late: Vec<(u8, Timestamp, u64)> = state
        .steps
        .iter()
        .filter_map(|s| match s.phase {
            Phase::Running { since, until, refresh } if until <= state.now => Some((s.key, since, refresh)),
            _ => None,
        })
        .collect();
    for (key, since, refresh) in late {
        state.asked.remove(&refresh);
        finish(state, key, since, true, effects);
    }
}

/// Judges a step on what is known now.
pub fn finish(state: &mut State, key: u8, started: Timestamp, late: bool, effects: &mut Vec<Effect>) {
    let Some(p) = state.procedure.clone() else { return };
    let notes = state.notes();
    let incident = incident(state, &notes);
    let ran: Vec<(u8, StepState)> =
        state.steps.iter().filter_map(|s| Some((s.key, s.result.as_ref()?.state))).collect();
    let back = state.now.checked_sub(LOOK_BACK).unwrap_or(state.now);
    let cx = Context {
        started,
        now: state.now,
        since: state.incident.onset.map_or(back, |t| t.min(back)),
        lines: LINES,
        notes: &notes,
        changes: Some(&state.changes),
        incident: incident.as_ref(),
        ran: &ran,
    };
    let Some(result) = p.run(key, &state.situation, &cx) else { return };
    let text = line(&result);
    let worst = if matches!(result.state, StepState::Found(_)) { Mark::Bad } else { Mark::Info };
    let data = serde_json::to_value(&result).unwrap_or_default();
    show(state, result);
    if late && let Some(run) = state.steps.iter_mut().find(|s| s.key == key) {
        let text =
            format!("not everything was answered within {} s; this is what was known", PATIENCE.as_secs());
        run.findings.insert(0, Finding { mark: Mark::Unknown, text: text.into() });
    }
    act::write_down(state, state.now, EntryKind::Step, "step", text.clone(), data, effects);
    if state.journal != JournalState::Off {
        state.say(worst, text);
    }
}

/// Takes in a step that is in the incident file already.
pub fn recall(state: &mut State, at: Timestamp, by: &SafeText, data: &serde_json::Value) {
    let entry = |text| Entry { at, by: by.clone(), kind: EntryKind::Step, text, saved: Saved::Yes, id: 0 };
    match serde_json::from_value::<StepResult>(data.clone()) {
        Ok(result) => {
            state.enter(entry(line(&result)));
            let newer = |s: &StepRun| s.result.as_ref().is_none_or(|r| r.finished <= result.finished);
            if state.steps.iter().any(|s| s.key == result.id && newer(s)) {
                show(state, result);
            }
        }
        // Another version's; what it says is still worth a line.
        Err(_) => {
            let word = |n: &str| data.get(n).map(|v| v.to_string()).unwrap_or_default();
            let text = format!("step {} {}: {}", word("id"), word("title"), word("state"));
            state.enter(entry(SafeText::new(text)));
        }
    }
}

fn line(r: &StepResult) -> SafeText {
    format!("step {} {}: {}", r.id, r.title, r.state).into()
}

/// Puts a result into the procedure pane.
fn show(state: &mut State, result: StepResult) {
    let Some(run) = state.steps.iter_mut().find(|s| s.key == result.id) else { return };
    let took = result.finished.duration_since(result.started).as_millis();
    run.phase = Phase::Done { at: result.finished, took_ms: u64::try_from(took).unwrap_or(0) };
    run.findings = result
        .findings()
        .into_iter()
        .map(|f| Finding {
            mark: match f.level {
                Level::Ok => Mark::Good,
                Level::Info | Level::Manual => Mark::Info,
                Level::Unknown => Mark::Unknown,
                Level::Found => Mark::Bad,
            },
            text: f.text.clone(),
        })
        .collect();
    for check in &result.checks {
        for m in &check.manual {
            let text = format!("[{}] {}: {}", check.id, m.what, m.run);
            run.findings.push(Finding { mark: Mark::Info, text: text.into() });
        }
    }
    run.result = Some(result);
    state.dirty = true;
}

fn incident(state: &State, notes: &[Note]) -> Option<procedure::Incident> {
    let path = state.incident.path.as_ref()?;
    let trouble = match &state.journal {
        JournalState::Trouble { line, .. } => line.clone(),
        _ => SafeText::default(),
    };
    Some(procedure::Incident {
        file: SafeText::new(path.to_string_lossy()),
        opened: Some(state.incident.opened),
        notes: notes.len(),
        marks: state.timeline.iter().filter(|e| e.kind == EntryKind::Mark).count(),
        observations: state.observed,
        trouble,
    })
}

/// A note that begins with the id of a check in brackets is the output of that
/// check's commands: what `a` begins with while such a check is selected.
pub fn note_head(state: &State) -> String {
    let Some(row) = state.view(PaneId::Procedure).selected(state) else { return String::new() };
    state
        .steps
        .iter()
        .filter_map(|s| s.result.as_ref())
        .flat_map(|r| r.checks.iter().map(move |c| (r.id, c)))
        // Rows of the pane name the step and the check they belong to.
        .find(|(step, c)| !c.manual.is_empty() && row.source.as_str() == format!("step {step} {}", c.title))
        .map_or_else(String::new, |(_, c)| format!("[{}]\n", c.id))
}
