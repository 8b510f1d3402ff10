//! What a step asks of hosts.

use super::*;
use crate::procedure::{Lang, Procedure};
use crate::situation::net::Instance;
use crate::sources::AGREE;
use std::sync::Arc;

fn sim() -> Sim {
    let mut sim = Sim::with_target();
    sim.state.set_procedure(Arc::new(Procedure::load(Lang::ALL[0]).unwrap()));
    sim
}

fn wants(sim: &Sim) -> Vec<Want> {
    let all = sim.effects.iter().rev();
    all.into_iter()
        .find_map(|e| match e {
            Effect::Send(Command::Refresh { wants, .. }) => Some(wants.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

fn agreed(sim: &Sim) -> bool {
    sim.effects.iter().any(|e| matches!(e, Effect::Send(Command::Act { id }) if id.as_str() == AGREE))
}

#[test]
fn what_runs_on_hosts_is_shown_before_it_runs_and_once() {
    let mut sim = sim();
    sim.msg(Msg::Source(Event::Hosts(vec!["ssh:web-1".into()])));
    sim.keys("1");
    assert!(matches!(sim.state.overlay, Some(Overlay::Hosts { step: 1, .. })), "{:?}", sim.state.overlay);
    assert!(wants(&sim).is_empty() && !agreed(&sim), "nothing is asked before");
    // Reading it is no answer, nor is going back.
    sim.keys("jj<esc>");
    assert!(sim.state.overlay.is_none() && wants(&sim).is_empty() && !agreed(&sim));
    sim.keys("1n");
    assert!(!wants(&sim).is_empty() && !wants(&sim).contains(&Want::Hosts) && !agreed(&sim));
    sim.keys("3<enter>");
    assert!(wants(&sim).contains(&Want::Hosts) && agreed(&sim));
    // It is on record who let it run, and is not asked again.
    let said = sim.state.timeline.iter().find(|e| e.text.contains("ssh:web-1")).unwrap();
    assert_eq!(said.kind, EntryKind::Action);
    sim.effects.clear();
    sim.keys("2");
    assert!(sim.state.overlay.is_none() && wants(&sim).contains(&Want::Hosts));
}

#[test]
fn without_hosts_a_step_just_runs() {
    let mut sim = sim();
    sim.keys("1");
    assert!(sim.state.overlay.is_none() && !wants(&sim).is_empty());
}

#[test]
fn step_six_measures_what_nobody_measured_yet() {
    let mut sim = sim();
    let mut group = TargetGroup { arn: TG.into(), name: "web".into(), ..TargetGroup::default() };
    (group.protocol, group.port, group.vpc) = ("HTTP".into(), Some(8080), "vpc-1".into());
    group.health_check.path = "/health".into();
    sim.observe(Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![group]));
    sim.health(&[("i-a", "unhealthy", "Target.Timeout"), ("10.0.9.9", "healthy", "")]);
    let i =
        Instance { id: "i-a".into(), addresses: vec!["10.0.11.10".parse().unwrap()], ..Instance::default() };
    sim.observe(Topic::Instances("vpc-1".into()), Fact::Instances(vec![i]));
    sim.effects.clear();
    sim.keys("6");
    let asked = sim.effects.iter().find_map(|e| match e {
        Effect::Send(Command::Measure { urls, longest }) => Some((urls.clone(), longest.as_secs())),
        _ => None,
    });
    let (urls, longest) = asked.unwrap();
    // Healthy ones first; as long as the load balancer's idle timeout and a little more.
    assert_eq!(urls, ["http://10.0.9.9:8080/health", "http://10.0.11.10:8080/health"]);
    assert_eq!(longest, 63);
}
