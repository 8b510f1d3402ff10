//! The fold of observations: what it must never do, whatever arrives.
#![allow(clippy::field_reassign_with_default, reason = "a test spoils one part of a healthy shop")]

mod world;

use badgate::situation::elb::TargetKey;
use badgate::situation::log::LogLine;
use badgate::situation::metric::MetricKey;
use badgate::situation::{Change, Fact, Observation, Reason, Situation, Topic};
use badgate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use world::*;

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn obs(seconds: i64, topic: Topic, fact: Fact) -> Observation {
    Observation { at: at(seconds), ..observed(topic, fact) }
}

fn failure(seconds: i64, topic: Topic) -> Observation {
    obs(seconds, topic, Fact::Unknown(Reason::TimedOut { after_ms: 5000 }))
}

/// Everything a situation holds, as text; logs are told by arrival and left out.
fn picture(s: &Situation) -> String {
    let mut s = s.clone();
    s.logs = Default::default();
    format!("{s:#?}")
}

fn fold(list: &[Observation]) -> Situation {
    let mut s = Situation::new();
    for o in list {
        s.apply(o);
    }
    s
}

/// One observation of each topic, with the number `i` in its value.
fn answer(kind: usize, i: u16, seconds: i64) -> Observation {
    let mut shop = Shop::default();
    let (lb, tg, vpc) = (|| SafeText::from(LB), || SafeText::from(WEB), || SafeText::from(VPC));
    let (topic, fact) = match kind {
        0 => {
            shop.lb.name = i.to_string().into();
            (Topic::LoadBalancer(lb()), Fact::LoadBalancer(shop.lb))
        }
        1 => (Topic::LbAttributes(lb()), Fact::Attributes(attributes(&[("n", &i.to_string())]))),
        2 => {
            shop.group.port = Some(i);
            (Topic::TargetGroups(lb()), Fact::TargetGroups(vec![shop.group]))
        }
        3 => (Topic::TgAttributes(tg()), Fact::Attributes(attributes(&[("n", &i.to_string())]))),
        4 => (Topic::TargetHealth(tg()), Fact::TargetHealth(vec![health("i-a", i, "healthy", "")])),
        5 => {
            shop.subnets[0].name = i.to_string().into();
            (Topic::Subnets(vpc()), Fact::Subnets(shop.subnets))
        }
        6 => (
            Topic::SecurityGroups(vpc()),
            Fact::SecurityGroups(vec![group(&format!("sg-{i}"), vec![], vec![])]),
        ),
        7 => (Topic::NetworkAcls(vpc()), Fact::NetworkAcls(vec![open_acl(&format!("acl-{i}"), &[])])),
        8 => (
            Topic::RouteTables(vpc()),
            Fact::RouteTables(vec![table(&format!("rtb-{i}"), true, &[], vec![])]),
        ),
        9 => {
            let points = vec![(at(0), f64::from(i))];
            (Topic::Metrics(lb()), Fact::Metrics(vec![series(LB, "RequestCount", "Sum", points)]))
        }
        10 => (Topic::Tags(lb()), Fact::Tags(vec![(lb(), attributes(&[("n", &i.to_string())]))])),
        _ => {
            let listener = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/shop/50dc6c49/aa";
            let rule = badgate::situation::elb::Rule { priority: Some(u32::from(i)), ..Default::default() };
            (Topic::Rules(listener.into()), Fact::Rules(vec![rule]))
        }
    };
    obs(seconds, topic, fact)
}

const KINDS: usize = 12;

fn one_each() -> impl Strategy<Value = Vec<Observation>> {
    prop::collection::vec((any::<u16>(), 0i64..100, prop::bool::weighted(0.3)), KINDS).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(kind, (i, t, fails))| {
                let o = answer(kind, i, t);
                if fails { failure(t, o.topic) } else { o }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Answers to different questions may come in any order.
    #[test]
    fn order_of_distinct_topics_does_not_matter(
        list in one_each(),
        order in Just((0..KINDS).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let shuffled: Vec<Observation> = order.iter().map(|i| list[*i].clone()).collect();
        prop_assert_eq!(picture(&fold(&list)), picture(&fold(&shuffled)));
    }

    /// Two answers to one question: the later one stands, in whatever order they come.
    #[test]
    fn a_late_answer_does_not_replace_a_newer_one(kind in 0..KINDS, a in 1u16..500, b in 500u16..1000, gap in 1i64..100) {
        prop_assume!(kind != 4);
        let (old, new) = (answer(kind, a, 0), answer(kind, b, gap));
        let late = fold(&[new.clone(), old.clone()]);
        let first = fold(std::slice::from_ref(&new));
        prop_assert_eq!(picture(&late), picture(&first));
        prop_assert_eq!(picture(&fold(&[old, new])), picture(&first));
    }

    /// A failure takes no value away; a late one is not even noted.
    #[test]
    fn a_failure_never_loses_a_value(kind in 0..KINDS, i in any::<u16>(), when in -50i64..50) {
        let o = answer(kind, i, 0);
        let before = fold(std::slice::from_ref(&o));
        let mut after = before.clone();
        let changes = after.apply(&failure(when, o.topic.clone()));
        let late = when < 0;
        prop_assert_eq!(changes.is_empty(), late, "{:?}", changes);
        prop_assert_eq!(after.gaps.contains_key(&o.topic), !late);
        // Healed by the next answer, which gives back the same picture but for the times.
        after.apply(&Observation { at: at(60), ..o.clone() });
        prop_assert!(after.gaps.is_empty());
        let mut clean = before;
        clean.apply(&Observation { at: at(60), ..o });
        prop_assert_eq!(picture(&after), picture(&clean));
    }

    /// Whatever mixture of answers and failures arrives, the fold does not
    /// forget: what was known stays known, and its own now never goes back.
    #[test]
    fn knowledge_only_grows(list in prop::collection::vec((0..KINDS, any::<u16>(), 0i64..1000, any::<bool>()), 1..40)) {
        let mut s = Situation::new();
        let mut known = std::collections::BTreeSet::new();
        let mut newest = None;
        for (kind, i, t, fails) in list {
            let o = answer(kind, i, t);
            newest = newest.max(Some(o.at));
            if fails {
                s.apply(&failure(t, o.topic.clone()));
            } else {
                known.insert(kind);
                s.apply(&o);
            }
            for k in &known {
                prop_assert!(is_known(&s, *k), "lost {k}");
            }
            prop_assert_eq!(s.at, newest);
        }
    }
}

fn is_known(s: &Situation, kind: usize) -> bool {
    let lb = s.lbs.get(LB);
    let tg = s.groups.get(WEB);
    let vpc = s.vpcs.get(VPC);
    match kind {
        0 => lb.is_some_and(|l| l.lb.value().is_some()),
        1 => lb.is_some_and(|l| l.attributes.value().is_some()),
        2 => tg.is_some_and(|g| g.group.is_some()) && lb.is_some_and(|l| l.groups.value().is_some()),
        3 => tg.is_some_and(|g| g.attributes.value().is_some()),
        4 => tg.is_some_and(|g| g.health.value().is_some()),
        5 => vpc.is_some_and(|v| v.subnets.value().is_some()),
        6 => vpc.is_some_and(|v| v.security_groups.value().is_some()),
        7 => vpc.is_some_and(|v| v.network_acls.value().is_some()),
        8 => vpc.is_some_and(|v| v.route_tables.value().is_some()),
        9 => s.metrics.contains_key(&MetricKey::alb(LB, "RequestCount", "Sum")),
        10 => s.tags.contains_key(LB),
        _ => lb.is_some_and(|l| l.rules.values().any(|r| r.value().is_some())),
    }
}

fn look(seconds: i64, targets: &[(&str, &str, &str)]) -> Observation {
    let list = targets.iter().map(|(id, state, reason)| health(id, 8080, state, reason)).collect();
    obs(seconds, Topic::TargetHealth(WEB.into()), Fact::TargetHealth(list))
}

fn key(id: &str) -> TargetKey {
    TargetKey { id: id.into(), port: Some(8080) }
}

#[test]
fn health_changes_are_told_with_before_and_after() {
    let mut s = Situation::new();
    assert!(
        s.apply(&look(0, &[("i-a", "healthy", ""), ("i-b", "healthy", "")])).is_empty(),
        "the first look is no change"
    );
    let changes = s.apply(&look(5, &[("i-a", "unhealthy", "Target.Timeout"), ("i-b", "healthy", "")]));
    let [Change::Health { target, from, to, at: when, .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((target, *when), (&key("i-a"), at(5)));
    assert_eq!(from.as_ref().unwrap().0.as_str(), "healthy");
    assert_eq!((to.0.as_str(), to.1.as_str()), ("unhealthy", "Target.Timeout"));
    let track = &s.groups[WEB].tracks[&key("i-a")];
    assert_eq!((track.since, track.since_exact), (at(5), true));
    assert!(!s.groups[WEB].tracks[&key("i-b")].since_exact, "healthy since before we looked");
    assert!(s.apply(&look(10, &[("i-a", "unhealthy", "Target.Timeout"), ("i-b", "healthy", "")])).is_empty());
    assert_eq!(s.groups[WEB].tracks[&key("i-a")].since, at(5));
}

#[test]
fn a_changed_reason_is_a_change() {
    let mut s = fold(&[look(0, &[("i-a", "unhealthy", "Target.Timeout")])]);
    assert_eq!(s.apply(&look(5, &[("i-a", "unhealthy", "Target.FailedHealthChecks")])).len(), 1);
}

#[test]
fn targets_come_and_go_and_come_back() {
    let mut s = fold(&[look(0, &[("i-a", "healthy", "")])]);
    let changes = s.apply(&look(5, &[("i-b", "initial", "")]));
    assert!(changes.iter().any(|c| matches!(c, Change::TargetGone { target, .. } if *target == key("i-a"))));
    assert!(
        changes
            .iter()
            .any(|c| matches!(c, Change::Health { target, from: None, .. } if *target == key("i-b")))
    );
    assert!(s.groups[WEB].tracks[&key("i-a")].gone, "its history stays");
    assert!(s.apply(&look(10, &[("i-b", "initial", "")])).is_empty(), "gone is told once");
    let back = s.apply(&look(15, &[("i-a", "healthy", ""), ("i-b", "initial", "")]));
    assert!(matches!(&back[..], [Change::Health { target, .. }] if *target == key("i-a")));
    assert!(!s.groups[WEB].tracks[&key("i-a")].gone);
}

#[test]
fn a_late_look_at_health_changes_nothing() {
    let mut s = fold(&[look(10, &[("i-a", "healthy", "")])]);
    assert!(s.apply(&look(5, &[("i-a", "unhealthy", "Target.Timeout")])).is_empty());
    assert!(s.groups[WEB].health.value().unwrap()[0].is_healthy());
}

#[test]
fn the_same_id_on_two_ports_is_two_targets() {
    let two = vec![health("i-a", 8080, "healthy", ""), health("i-a", 9090, "unhealthy", "Target.Timeout")];
    let s = fold(&[obs(0, Topic::TargetHealth(WEB.into()), Fact::TargetHealth(two))]);
    assert_eq!(s.groups[WEB].tracks.len(), 2);
}

#[test]
fn configuration_changes_are_told_once() {
    let first = answer(7, 1, 0);
    let mut s = fold(std::slice::from_ref(&first));
    assert!(s.apply(&Observation { at: at(5), ..first }).is_empty());
    let changes = s.apply(&answer(7, 2, 10));
    assert!(matches!(&changes[..], [Change::Config { topic: Topic::NetworkAcls(_), .. }]), "{changes:?}");
}

#[test]
fn losing_and_finding_a_topic_is_told_once_each() {
    let topic = Topic::Subnets(VPC.into());
    let mut s = fold(&[answer(5, 1, 0)]);
    assert!(matches!(&s.apply(&failure(5, topic.clone()))[..], [Change::Lost { .. }]));
    assert!(s.apply(&failure(10, topic.clone())).is_empty(), "the same reason again is nothing new");
    let denied = Fact::Unknown(Reason::Denied { action: "ec2:DescribeSubnets".into() });
    assert!(
        matches!(&s.apply(&obs(15, topic.clone(), denied))[..], [Change::Lost { .. }]),
        "another reason is"
    );
    assert!(matches!(&s.apply(&answer(5, 1, 20))[..], [Change::Found { .. }]));
    assert!(s.vpcs[VPC].subnets.is_current());
}

#[test]
fn metrics_merge_and_a_late_answer_only_fills_in() {
    let minute = |m: i64| at(0) + SignedDuration::from_mins(m);
    let send = |t: i64, points: &[(i64, f64)]| {
        let points = points.iter().map(|(m, v)| (minute(*m), *v)).collect();
        obs(t, Topic::Metrics(LB.into()), Fact::Metrics(vec![series(LB, "RequestCount", "Sum", points)]))
    };
    let held = |s: &Situation| -> Vec<f64> {
        s.metrics[&MetricKey::alb(LB, "RequestCount", "Sum")].points.iter().map(|p| p.1).collect()
    };
    let mut s = fold(&[send(0, &[(0, 1.0), (1, 2.0), (2, 3.0)])]);
    // The newest minutes are revised and continued.
    s.apply(&send(60, &[(2, 30.0), (3, 4.0)]));
    assert_eq!(held(&s), [1.0, 2.0, 30.0, 4.0]);
    s.apply(&send(30, &[(-1, 0.5), (2, 99.0)]));
    assert_eq!(held(&s), [0.5, 1.0, 2.0, 30.0, 4.0]);
}

#[test]
fn a_fact_under_a_foreign_topic_is_ignored() {
    let topic = Topic::Subnets(VPC.into());
    let mut s = fold(&[answer(5, 1, 0), failure(5, topic.clone())]);
    let before = picture(&s);
    let foreign = obs(3, topic, Fact::NetworkAcls(vec![]));
    assert!(s.apply(&foreign).is_empty());
    assert_eq!(picture(&s), before);
}

#[test]
fn log_lines_with_a_known_id_are_taken_once() {
    let line = |id: &str| LogLine {
        at: at(0),
        group: "/app".into(),
        stream: "".into(),
        id: id.into(),
        text: "ERROR refused".into(),
    };
    let send = |ids: &[&str]| {
        obs(0, Topic::Tail("/app".into()), Fact::LogLines(ids.iter().map(|i| line(i)).collect()))
    };
    let s = fold(&[send(&["1", "2"]), send(&["2", "3"])]);
    assert_eq!((s.logs.len(), s.logs.duplicates()), (3, 1));
}

#[test]
fn observations_survive_the_journal() {
    for o in Shop::default().observations() {
        let text = serde_json::to_string(&o).unwrap();
        assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), o, "{text}");
    }
}
