//! Steps of the procedure.

use super::*;
use crate::console::state::Phase;
use crate::procedure::{Lang, Procedure};
use std::sync::Arc;

fn sim() -> Sim {
    let mut sim = Sim::with_target();
    sim.state.set_procedure(Arc::new(Procedure::load(Lang::En).unwrap()));
    sim.health(&[("i-1", "unhealthy", "Target.Timeout")]);
    sim.effects.clear();
    sim
}

fn phase(sim: &Sim, key: u8) -> &Phase {
    &sim.state.steps.iter().find(|s| s.key == key).unwrap().phase
}

#[test]
fn a_step_asks_then_judges_then_writes() {
    let mut sim = sim();
    sim.keys("1");
    let Some(Command::Refresh { id, wants }) = sim.commands().last().copied().cloned() else { panic!() };
    assert!(wants.contains(&Want::Health));
    assert!(matches!(phase(&sim, 1), Phase::Running { .. }));
    sim.keys("1");
    assert_eq!(sim.commands().len(), 1, "a step under way is not begun again");
    sim.later(2).msg(Msg::Source(Event::Done { id }));
    assert!(matches!(phase(&sim, 1), Phase::Done { took_ms: 2000, .. }));
    let draft = sim.drafts().last().copied().unwrap().clone();
    assert_eq!((draft.kind, draft.durability, &draft.data["id"]), ("step", Durability::Now, &json!(1)));
    let run = sim.state.steps.iter().find(|s| s.key == 1).unwrap();
    assert!(!run.findings.is_empty());
    assert!(sim.lines().last().unwrap().starts_with("step 1 "));
    // The same comes back from the file.
    let mut second = self::sim();
    second.msg(Msg::Recalled(vec![Recalled::Entry {
        at: draft.at,
        by: "yui@bastion".into(),
        kind: "step".into(),
        data: draft.data.clone(),
    }]));
    assert_eq!(second.state.steps.iter().find(|s| s.key == 1).unwrap(), run);
    assert!(second.drafts().is_empty());
}

#[test]
fn a_step_does_not_wait_for_ever() {
    let mut sim = sim();
    sim.keys("3").later(19);
    assert!(matches!(phase(&sim, 3), Phase::Running { .. }));
    sim.later(2);
    assert!(matches!(phase(&sim, 3), Phase::Done { .. }));
    let run = sim.state.steps.iter().find(|s| s.key == 3).unwrap();
    assert!(run.findings[0].text.contains("not everything was answered"));
    let drafts = sim.drafts().len();
    let Some(Command::Refresh { id, .. }) = sim.commands().last().copied().cloned() else { panic!() };
    sim.msg(Msg::Source(Event::Done { id }));
    assert_eq!(sim.drafts().len(), drafts, "an answer that comes late is no second result");
}

#[test]
fn every_key_runs_its_step_even_when_nothing_answers_any_more() {
    let mut sim = sim();
    sim.msg(Msg::SourceEnded).keys("0123456789");
    assert_eq!(sim.drafts().iter().filter(|d| d.kind == "step").count(), 10);
}

#[test]
fn what_a_person_measured_is_read_from_the_note() {
    let mut sim = sim();
    sim.keys("aserver.keepalive = 5s<enter>");
    assert_eq!(sim.state.measured.len(), 1);
    assert!(sim.state.stale.timeouts);
}
