//! The path strip.

use crate::world::*;
use badgate::diagnosis::hops::{Hop, HopKind, Status, strip};
use badgate::diagnosis::path::legs;
use badgate::situation::{Fact, Reason, ResolvedTarget, Topic};

fn of(shop: &Shop) -> Vec<Hop> {
    let s = shop.situation();
    strip(&s, &legs(&s))
}

fn hop(shop: &Shop, kind: HopKind) -> Hop {
    of(shop).into_iter().find(|h| h.kind == kind).unwrap()
}

fn with_counts(pairs: &[(&str, f64)]) -> Shop {
    let mut shop = Shop::default();
    shop.metrics = pairs.iter().map(|(n, v)| series(LB, n, "Sum", vec![(minutes_ago(2), *v)])).collect();
    let whole: jiff::Timestamp = "2026-11-22T01:51:00Z".parse().unwrap();
    shop.metrics.iter_mut().for_each(|s| s.points[0].0 = whole);
    shop
}

#[test]
fn the_strip_goes_front_to_back() {
    let kinds: Vec<HopKind> = of(&Shop::default()).iter().map(|h| h.kind).collect();
    assert_eq!(
        kinds,
        [
            HopKind::Client,
            HopKind::Dns,
            HopKind::Alb,
            HopKind::Listener,
            HopKind::TargetGroup,
            HopKind::Target,
            HopKind::Dependency
        ]
    );
}

#[test]
fn what_nobody_looked_at_is_unknown() {
    let empty = badgate::situation::Situation::new();
    assert!(strip(&empty, &[]).iter().all(|h| h.status == Status::Unknown));
    for kind in [HopKind::Client, HopKind::Dependency] {
        assert_eq!(hop(&Shop::default(), kind).status, Status::Unknown);
    }
    assert_eq!(hop(&Shop::default(), HopKind::Alb).status, Status::Unknown, "no metrics: not fine");
}

#[test]
fn the_load_balancer_shows_its_worst_code_with_its_share() {
    let h = hop(&with_counts(&[("RequestCount", 1000.0), ("HTTPCode_ELB_502_Count", 31.0)]), HopKind::Alb);
    assert_eq!((h.status, h.word.as_str()), (Status::Bad, "502 3.1%"));
    let h = hop(&with_counts(&[("RequestCount", 1000.0)]), HopKind::Alb);
    assert_eq!((h.status, h.word.as_str()), (Status::Ok, "no 5xx"));
    let h = hop(&with_counts(&[("RequestCount", 1000.0), ("HTTPCode_Target_5XX_Count", 9.0)]), HopKind::Alb);
    assert_eq!(h.status, Status::Warn);
}

#[test]
fn states_of_the_load_balancer_itself() {
    for (state, status) in
        [("failed", Status::Bad), ("provisioning", Status::Warn), ("active_impaired", Status::Warn)]
    {
        let mut shop = Shop::default();
        shop.lb.state = state.into();
        assert_eq!(hop(&shop, HopKind::Alb).status, status, "{state}");
    }
}

#[test]
fn dns_is_told_when_a_host_name_was_asked() {
    let mut shop = Shop::default();
    assert_eq!(hop(&shop, HopKind::Dns).status, Status::Unknown);
    let target = ResolvedTarget {
        asked: "https://shop.example.com".into(),
        host: "shop.example.com".into(),
        addresses: texts(&["198.51.100.5", "198.51.100.6"]),
        lb: LB.into(),
        matched_by: "addresses".into(),
        ..Default::default()
    };
    shop.more = vec![observed(Topic::Target, Fact::Target(target))];
    let h = hop(&shop, HopKind::Dns);
    assert_eq!((h.status, h.word.as_str()), (Status::Ok, "2 addr"));
}

#[test]
fn target_groups_say_how_many_and_never_that_unhealthy_means_502() {
    let with = |targets: Vec<(&str, &str)>| {
        let mut shop = Shop::default();
        shop.targets =
            targets.iter().enumerate().map(|(i, (s, r))| health(&format!("i-{i}"), 8080, s, r)).collect();
        hop(&shop, HopKind::TargetGroup)
    };
    let h = with(vec![("healthy", ""), ("healthy", "")]);
    assert_eq!((h.status, h.word.as_str()), (Status::Ok, "2/2 healthy"));
    let h = with(vec![("healthy", ""), ("unhealthy", "Target.Timeout")]);
    assert_eq!((h.status, h.word.as_str()), (Status::Warn, "1/2 healthy"));
    let h = with(vec![("unhealthy", "Target.Timeout"), ("unhealthy", "Target.Timeout")]);
    assert_eq!(h.status, Status::Bad);
    assert!(h.why.contains("fail open") && !h.why.contains("502"), "{}", h.why);
    let h = with(vec![]);
    assert!(h.why.contains("503"), "{}", h.why);
    let h = with(vec![("unused", "Target.NotInUse")]);
    assert!(h.why.contains("503"), "{}", h.why);
    let h = with(vec![("unavailable", "Target.HealthCheckDisabled")]);
    assert_eq!(h.status, Status::Unknown);
    let h = with(vec![("initial", "Elb.InitialHealthChecking")]);
    assert_eq!(h.status, Status::Bad);
}

#[test]
fn the_worst_target_is_named() {
    let mut shop = Shop::default();
    shop.targets.push(health("i-c", 8080, "draining", "Target.DeregistrationInProgress"));
    shop.targets.push(health("i-d", 8080, "unhealthy", "Target.FailedHealthChecks"));
    let h = hop(&shop, HopKind::Target);
    assert_eq!(
        (h.status, h.name.as_str(), h.word.as_str()),
        (Status::Bad, "i-d:8080", "Target.FailedHealthChecks")
    );
}

#[test]
fn denied_target_health_is_unknown_with_the_action() {
    let mut shop = Shop::default();
    let denied = Reason::Denied { action: "elasticloadbalancing:DescribeTargetHealth".into() };
    shop.failed.push((Topic::TargetHealth(WEB.into()), denied));
    let h = hop(&shop, HopKind::TargetGroup);
    assert_eq!(h.status, Status::Unknown);
    assert!(h.why.contains("elasticloadbalancing:DescribeTargetHealth"));
    assert_eq!(hop(&shop, HopKind::Target).status, Status::Unknown);
}

#[test]
fn a_closed_listener_is_bad() {
    let mut shop = Shop::default();
    shop.sg("sg-alb").ingress.clear();
    let h = hop(&shop, HopKind::Listener);
    assert_eq!((h.status, h.word.as_str()), (Status::Bad, "blocked"));
    shop.listeners.clear();
    assert_eq!(hop(&shop, HopKind::Listener).word.as_str(), "none");
}
