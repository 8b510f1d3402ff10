//! What sources say, and what they are told to look at.

use super::{SLICE, acts, over, steps, tell};
use crate::console::msg::Effect;
use crate::console::overlay::{Candidates, FuzzyList, Overlay};
use crate::console::state::{CALLS_KEPT, CHANGES_KEPT, Mark, PaneId, State};
use crate::situation::{Datum, Fact, Observation, Topic};
use crate::sources::{Command, Event, Want};
use crate::text::SafeText;

/// Takes in what a source says.
pub fn event(state: &mut State, event: Event, effects: &mut Vec<Effect>) {
    match event {
        Event::Observed(list) => {
            let mut news = false;
            for o in &list {
                news |= observe(state, o);
            }
            state.catch_up();
            state.dirty |= news || state.frozen.is_some();
            if list.iter().any(|o| o.topic == Topic::LogGroups) {
                regroup(state);
            }
            effects.push(Effect::Observed(list));
        }
        Event::Candidates { asked, list, more } => candidates(state, Candidates::new(asked, list, more)),
        Event::NoTarget { line } => {
            state.chosen = false;
            state.no_target = line.clone();
            state.say(Mark::Bad, line);
        }
        Event::Done { id } => done(state, id, effects),
        Event::Called(call) => {
            if state.calls.len() == CALLS_KEPT {
                state.calls.pop_front();
            }
            state.calls.push_back(call);
            state.dirty |= matches!(state.overlay, Some(Overlay::Calls { .. }));
        }
        Event::Brief { title, lines } => acts::brief(state, title, &lines),
        Event::Offers(list) => {
            state.offers = list;
            state.dirty = true;
        }
        Event::Under { line } => state.say(Mark::Info, line),
        Event::Hosts(list) => state.hosts = list,
        Event::Acted { id, ok, line } => acts::acted(state, &id, ok, line, effects),
        Event::Place { profile, region } => {
            if let Some(face) = state.faces.get(&profile).cloned() {
                state.theme = face.theme;
                state.label = face.label;
            }
            state.place = Some((profile, region));
            state.dirty = true;
        }
        Event::Over { line } => {
            state.say(Mark::Info, line);
            state.leaving = true;
            effects.push(Effect::Quit);
        }
    }
}

/// Says an answer what is held already? Then only ages differ, which move on by
/// themselves and are not worth a frame.
fn known(state: &State, o: &Observation) -> bool {
    fn is<T: PartialEq>(held: Option<&Datum<T>>, now: &T) -> bool {
        held.and_then(Datum::value) == Some(now)
    }
    let s = &state.situation;
    match (&o.topic, &o.fact) {
        (_, Fact::Unknown(_)) => false,
        (Topic::Tail(group), Fact::LogLines(lines)) => {
            lines.is_empty() && s.tails.get(group).is_some_and(|d| d.value().is_some())
        }
        (Topic::Tail(group), Fact::Tail(now)) => is(s.tails.get(group), now),
        (Topic::TargetHealth(group), Fact::TargetHealth(now)) => {
            is(s.groups.get(group).map(|g| &g.health), now)
        }
        (Topic::EcsServices(group), Fact::EcsServices(now)) => {
            is(s.groups.get(group).map(|g| &g.services), now)
        }
        (Topic::Identity, Fact::Identity(now)) => is(Some(&s.identity), now),
        (Topic::HealthCheck(id), Fact::HealthCheck(now)) => is(s.beside.checks.get(id), now),
        (Topic::Tags(lb), Fact::Tags(now)) => {
            let told = s.lbs.get(lb).is_some_and(|l| l.tags.value().is_some());
            told && now.iter().all(|(arn, tags)| s.tags.get(arn) == Some(tags))
        }
        // What differs from what is held is among the changes.
        (topic, _) => matches!(Want::of(topic), Some(Want::Network | Want::Config)),
    }
}

/// Folds one observation in and tells the timeline what it changed. False when
/// it said nothing new.
pub fn observe(state: &mut State, o: &Observation) -> bool {
    let known = known(state, o);
    let is_log = matches!(o.fact, Fact::LogLines(_));
    if let (Some(f), false) = (&mut state.frozen, is_log) {
        f.behind += 1;
    }
    let minute = |s: &State| s.situation.at.map(|t| t.as_second().div_euclid(60));
    let before = minute(state);
    let changes = state.situation.apply(o);
    if before.is_some() && minute(state) != before {
        // What is told by the minute moves on with it.
        (state.stale.metrics, state.stale.strip) = (true, true);
    }
    let first = !is_log && state.answered.insert(o.topic.clone());
    let news = !known || first || !changes.is_empty();
    if news {
        state.stale.touch(o, &changes, first);
    } else if Want::of(&o.topic).is_some() {
        state.aged.touch(o, &changes, first);
    }
    state.observed += 1;
    if !changes.is_empty() {
        let extra = (state.changes.len() + changes.len()).saturating_sub(CHANGES_KEPT);
        state.changes.drain(..extra.min(state.changes.len()));
        state.changes.extend_from_slice(&changes);
        tell::changes(state, o, changes);
    }
    if state.situation.target.value().is_some() {
        state.no_target = SafeText::default();
    }
    news
}

/// Log groups that came while a person is choosing among them.
fn regroup(state: &mut State) {
    let labels: Vec<String> = over::group_names(state).iter().map(ToString::to_string).collect();
    if let Some(Overlay::Groups { list, .. }) = &mut state.overlay {
        list.refresh(&labels);
    }
}

fn candidates(state: &mut State, new: Candidates) {
    if state.chosen {
        // The list went on growing while somebody picked from it: opened
        // again, it would take the keys meant for the console.
        return;
    }
    let labels = new.labels();
    state.candidates = Some(new);
    state.dirty = true;
    match &mut state.overlay {
        Some(Overlay::Targets(list)) => list.refresh(&labels),
        // Whatever the person is doing goes on; the picker opens when it is closed.
        Some(_) => {}
        None => state.overlay = Some(Overlay::Targets(FuzzyList::new(&labels))),
    }
}

fn done(state: &mut State, id: u64, effects: &mut Vec<Effect>) {
    let Some(asked) = state.asked.remove(&id) else { return };
    if let Some(step) = asked.step {
        steps::finish(state, step, asked.at, false, effects);
        return;
    }
    let took = state.now.duration_since(asked.at).as_secs_f64();
    state.say(Mark::Good, format!("everything was asked anew in {took:.1} s"));
}

/// Tells the source what is on screen, when that has changed.
pub fn watch(state: &mut State, effects: &mut Vec<Effect>) {
    if state.situation.lb_arn().is_none() {
        return;
    }
    // The header, the path strip and the diagnosis need these on any screen.
    let mut wants = vec![Want::Health, Want::Metrics, Want::Config];
    for (pane, _) in state.layout().panes {
        wants.extend_from_slice(match pane {
            PaneId::Logs => &[Want::Logs][..],
            PaneId::Paths => &[Want::Network],
            PaneId::Timeouts => &[Want::Ecs],
            PaneId::Diagnosis => &[Want::Network, Want::Ecs],
            PaneId::Health | PaneId::Metrics | PaneId::Procedure | PaneId::Timeline => &[],
        });
    }
    wants.sort_unstable();
    wants.dedup();
    if wants != state.watched {
        state.watched.clone_from(&wants);
        effects.push(Effect::Send(Command::Watch(wants)));
    }
}

impl State {
    /// Reads what people measured out of their notes.
    pub(in crate::console) fn read_notes(&mut self) {
        let measured = crate::procedure::measured(&self.notes());
        if measured != self.measured {
            self.measured = measured;
            self.stale.timeouts = true;
        }
    }

    /// Goes on with indexing the log for the logs pane; true when there is more to do.
    pub fn catch_up(&mut self) -> bool {
        let mut view = std::mem::take(&mut self.views.logs);
        let more = view.catch_up(&self.situation.logs, SLICE);
        self.views.logs = view;
        // Signs are read while the picture is frozen too: lines leave the ring.
        let read = self.derived.read_logs(&self.situation, SLICE);
        self.stale.causes |= read.news;
        self.more_to_do = more || read.more;
        self.more_to_do
    }
}
