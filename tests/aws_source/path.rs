//! `badgate path` asked of the cloud: what decides the path is asked, and the
//! answer is the one the console gives.

use super::support::Lab;
use super::{Watcher, once, place, runtime};
use badgate::diagnosis::path::{Endpoint, LegKind, Network, Verdict, evaluate, legs};
use badgate::situation::net::Protocol;
use badgate::situation::{Situation, Topic};
use badgate::sources::aws::path::observe_at;

fn look(lab: &Lab, ends: &[Endpoint]) -> Situation {
    let list = runtime().block_on(observe_at(Some(place(&lab.endpoint)), once(), ends.to_vec())).unwrap();
    let mut s = Situation::new();
    list.iter().for_each(|o| _ = s.apply(o));
    s
}

#[test]
fn the_path_is_the_one_the_console_shows() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.refresh(1, &badgate::sources::Want::ALL);
    w.until("everything", |w| w.done.contains(&1).then_some(()));
    let shown = legs(&w.s);
    let leg = shown.iter().find(|l| l.kind != LegKind::Listener && !l.targets.is_empty()).unwrap();
    let target = leg.targets[0].clone();
    lab.clear_calls();

    let ends = [Endpoint::LoadBalancer("shop-alb".into()), Endpoint::Instance(target.id.clone())];
    let s = look(&lab, &ends);
    assert!(s.gaps.is_empty(), "{:?}", s.gaps);
    let from = Endpoint::parse("shop-alb", &s).unwrap();
    let r = evaluate(&Network::of(&s), &from, &ends[1], Protocol::Tcp, target.port);
    assert_eq!(r.verdict, leg.verdict, "{} / {}", r.why(), leg.why());
    let r = evaluate(&Network::of(&s), &Endpoint::Internet, &from, Protocol::Tcp, Some(80));
    assert_eq!(r.verdict, Verdict::Open, "{}", r.why());
    // Nothing about health, metrics or logs: a path needs none of it.
    let asked: Vec<String> = lab.calls().iter().map(|c| c.op.clone()).collect();
    assert!(asked.iter().all(|c| c.starts_with("Describe") || c.starts_with("Get")), "{asked:?}");
    assert!(!asked.iter().any(|c| c.contains("Health") || c.contains("Metric")), "{asked:?}");
}

#[test]
fn an_end_that_is_not_there_is_unknown_by_name() {
    let lab = Lab::start("shop");
    let ends = [Endpoint::Internet, Endpoint::Instance("i-0123456789abcdef0".into())];
    let s = look(&lab, &ends);
    let r = evaluate(&Network::of(&s), &ends[0], &ends[1], Protocol::Tcp, Some(80));
    assert_eq!(r.verdict, Verdict::Unknown);
    assert!(r.why().contains("i-0123456789abcdef0"), "{}", r.why());
    assert!(s.gaps.contains_key(&Topic::Instances("".into())));
}
