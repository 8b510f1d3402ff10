//! Polling, refresh, the budget, and the end.

use super::support::{Lab, eventually};
use super::{Watcher, live, once};
use badgate::sources::{Command, Every, Options, Want};
use std::collections::BTreeMap;
use std::time::Duration;

fn fast() -> Options {
    let quick = Duration::from_millis(300);
    Options { every: Every { health: quick, config: quick, ..Every::default() }, ..live() }
}

fn count(lab: &Lab, op: &str) -> usize {
    lab.calls().iter().filter(|c| c.op == op).count()
}

#[test]
fn a_change_of_health_is_seen_by_itself() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", fast());
    w.until("health", |w| w.health_known());
    lab.health("web", "*", "unhealthy", Some("Target.FailedHealthChecks"));
    w.until("the change", |w| {
        let groups = w.s.active_groups();
        let tracks = groups[0].1.tracks.values();
        tracks
            .into_iter()
            .all(|t| t.reason.as_str() == "Target.FailedHealthChecks" && t.since_exact)
            .then_some(())
    });
}

#[test]
fn what_nobody_looks_at_is_polled_less() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", fast());
    w.send(Command::Watch(vec![Want::Health]));
    w.refresh(1, &Want::ALL);
    w.until("the picture", |w| w.done.contains(&1).then_some(()));
    lab.clear_calls();
    w.during(Duration::from_millis(2400));
    let (health, subnets) = (count(&lab, "DescribeTargetHealth"), count(&lab, "DescribeSubnets"));
    assert!(health >= 3 && subnets <= 3, "health {health}, subnets {subnets}");
    lab.clear_calls();
    w.send(Command::Watch(vec![Want::Network]));
    eventually("the network is polled", || (count(&lab, "DescribeSubnets") >= 3).then_some(()));
}

#[test]
fn a_refresh_asks_its_kinds_anew_and_says_when_it_is_done() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", live());
    w.refresh(1, &Want::ALL);
    w.until("the first", |w| w.done.contains(&1).then_some(()));
    lab.clear_calls();
    lab.latency(100);
    w.refresh(2, &[Want::Network]);
    w.refresh(3, &[]);
    w.until("both", |w| (w.done.contains(&2) && w.done.contains(&3)).then_some(()));
    let mut ops: BTreeMap<String, usize> = BTreeMap::new();
    for call in lab.calls() {
        *ops.entry(call.op).or_default() += 1;
    }
    for op in [
        "DescribeSubnets",
        "DescribeSecurityGroups",
        "DescribeNetworkAcls",
        "DescribeRouteTables",
        "DescribeInstances",
    ] {
        assert_eq!(ops.get(op), Some(&1), "{op}: {ops:?}");
    }
    assert_eq!(ops.get("DescribeListeners"), None, "nothing else is asked: {ops:?}");
}

#[test]
fn refreshes_that_pile_up_are_one_question_at_a_time() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", live());
    w.refresh(1, &Want::ALL);
    w.until("the first", |w| w.done.contains(&1).then_some(()));
    lab.clear_calls();
    lab.latency(300);
    for id in 10..30 {
        w.refresh(id, &[Want::Health]);
    }
    w.until("all of them", |w| (10..30).all(|id| w.done.contains(&id)).then_some(()));
    let health = count(&lab, "DescribeTargetHealth");
    assert!(health <= 3, "{health} calls for twenty refreshes");
    let rows = lab.calls();
    let mut busy: Vec<_> = rows.iter().filter(|c| c.op == "DescribeTargetHealth").collect();
    busy.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    for pair in busy.windows(2) {
        assert!(pair[0].end_ms.is_some_and(|end| end <= pair[1].at_ms), "one under way per topic");
    }
}

#[test]
fn fifty_groups_keep_within_the_budget_and_trouble_is_looked_at_first() {
    let lab = Lab::start("many");
    let mut w = Watcher::open(&lab, "many-alb", live());
    w.refresh(1, &[Want::Health, Want::Config]);
    w.until("all groups", |w| w.done.contains(&1).then_some(()));
    assert_eq!(w.s.active_groups().len(), 50);
    assert!(w.health_known().is_some());
    let first: Vec<_> = lab.calls().into_iter().filter(|c| c.service == "elbv2").collect();
    let times = |op: &str| {
        let mut at: Vec<f64> = first.iter().filter(|c| c.op == op).map(|c| c.at_ms).collect();
        at.sort_by(f64::total_cmp);
        at
    };
    // Health is asked anew while attributes still wait for the budget: the first round counts.
    let (health, attributes) = (times("DescribeTargetHealth"), times("DescribeTargetGroupAttributes"));
    assert!(health[49] < attributes[49], "health before attributes");
    // No window of ten seconds holds more than the bucket and its refill.
    for c in &first {
        let within = first.iter().filter(|o| o.at_ms >= c.at_ms && o.at_ms < c.at_ms + 10_000.0).count();
        assert!(within <= 30 + 60 + 1, "{within} calls within ten seconds");
    }
    lab.clear_calls();
    w.during(Duration::from_secs(12));
    let rows = lab.calls();
    let elb = rows.iter().filter(|c| c.service == "elbv2").count();
    assert!(elb <= 12 * 6 + 12, "{elb} calls in twelve seconds");
}

#[test]
fn asked_once_means_nothing_is_polled() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", Options { every: fast().every, ..once() });
    w.whole_picture();
    let before = lab.calls().len();
    w.during(Duration::from_millis(1500));
    assert_eq!(lab.calls().len(), before);
    w.refresh(2, &[Want::Health]);
    w.until("the second look", |w| w.done.contains(&2).then_some(()));
    assert_eq!(count(&lab, "DescribeTargetHealth"), 2);
}

#[test]
fn logs_are_followed_as_asked() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", live());
    w.send(Command::Tail { groups: vec!["/app/shop".into()], since: None });
    w.until("lines of the past", |w| (!w.s.logs.is_empty()).then_some(()));
    let line = serde_json::json!([{ "group": "/app/shop", "message": "ERROR the very last line" }]);
    eventually("the live line", || {
        lab.tail(&line);
        w.during(Duration::from_millis(500));
        w.s.logs.iter().any(|l| l.line.text.as_str().contains("the very last line")).then_some(())
    });
    assert!(w.s.tails.values().next().unwrap().value().is_some());
}

#[test]
fn asked_once_logs_are_read_once() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.send(Command::Tail { groups: vec!["/app/shop".into()], since: None });
    w.whole_picture();
    assert!(!w.s.logs.is_empty());
    assert_eq!(count(&lab, "StartLiveTail"), 0);
    let before = count(&lab, "FilterLogEvents");
    w.during(Duration::from_secs(1));
    assert_eq!(count(&lab, "FilterLogEvents"), before);
}

#[test]
fn the_source_ends_with_its_link() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", fast());
    w.until("health", |w| w.health_known());
    let Watcher { runtime, link, .. } = w;
    drop(link);
    let still = eventually("quiet", || {
        let before = lab.calls().len();
        std::thread::sleep(Duration::from_millis(1200));
        let after = lab.calls().len();
        (before == after).then_some(after)
    });
    assert!(still > 0);
    drop(runtime);
}

#[test]
fn nothing_waits_for_a_console_that_does_not_read() {
    let lab = Lab::start("shop");
    let quick = Duration::from_millis(50);
    let options = Options { every: Every { health: quick, config: quick, ..Every::default() }, ..live() };
    let mut w = Watcher::open(&lab, "shop-alb", options);
    w.until("health", |w| w.health_known());
    // Nobody reads for a while: the queues fill, and then nothing more is asked.
    std::thread::sleep(Duration::from_secs(3));
    // Commands are taken all the same, and the newest facts come through.
    lab.health("web", "*", "draining", Some("Target.DeregistrationInProgress"));
    w.refresh(9, &[Want::Health]);
    w.until("the refresh", |w| w.done.contains(&9).then_some(()));
    w.until("the newest state", |w| {
        let groups = w.s.active_groups();
        groups[0].1.health.value()?.iter().all(|t| t.state.as_str() == "draining").then_some(())
    });
}
