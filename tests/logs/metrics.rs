//! GetMetricData: exact dimensions, pages, faults.

use crate::support::Lab;
use crate::{aws, group, lb, runtime, unknown};
use badgate::situation::metric::{MetricKey, Series};
use badgate::situation::{Fact, Observation, Situation, Topic};
use badgate::sources::Options;
use badgate::sources::aws::metrics::{Window, ask, plan};
use jiff::Timestamp;
use serde_json::json;

fn ask_once(lab: &Lab, window: Window) -> Vec<Observation> {
    let (lb, web) = (lb(lab, "shop-alb"), group(lab, "web"));
    runtime().block_on(async { ask(&aws(lab, Options::default()).await, &lb, &[web], window).await })
}

fn series(all: &[Observation]) -> &[Series] {
    all.iter()
        .find_map(|o| if let Fact::Metrics(s) = &o.fact { Some(s.as_slice()) } else { None })
        .unwrap_or_default()
}

fn find<'a>(all: &'a [Series], key: &MetricKey) -> &'a Series {
    all.iter().find(|s| s.key == *key).unwrap_or_else(|| panic!("no {key:?}"))
}

#[test]
fn the_story_of_an_outage_stands_in_the_series() {
    let lab = Lab::start("shop-broken");
    let all = ask_once(&lab, Window::first(Timestamp::now(), None));
    assert_eq!(all.len(), 1, "nothing is missing: {}", unknown(&all));
    let (lb, web) = (lb(&lab, "shop-alb"), group(&lab, "web"));
    assert_eq!(all[0].topic, Topic::Metrics(lb.arn.clone()));
    assert_eq!(all[0].source, "cloudwatch:GetMetricData");
    let s = series(&all);
    assert_eq!(
        s.len(),
        plan(&lb, std::slice::from_ref(&web)).len(),
        "a series without points is told from one not asked for"
    );
    let onset = Timestamp::from_second(lab.names()["story"]["onset"].as_f64().unwrap() as i64).unwrap();
    let requests = find(s, &MetricKey::alb(lb.arn.clone(), "RequestCount", "Sum"));
    assert!(requests.points.len() > 170, "three hours: {}", requests.points.len());
    assert!(requests.points.iter().all(|p| p.0.as_second() % 60 == 0));
    assert!(requests.points.windows(2).all(|w| w[0].0 < w[1].0));
    let gone = find(s, &MetricKey::alb(lb.arn.clone(), "HTTPCode_ELB_504_Count", "Sum"));
    assert!(
        gone.points.iter().all(|p| p.0.as_second() >= onset.as_second() - 60),
        "{:?}",
        gone.points.first()
    );
    assert!(gone.points.iter().map(|p| p.1).sum::<f64>() > 0.0);
    let mut healthy = MetricKey::alb(web.arn.clone(), "HealthyHostCount", "Maximum");
    assert_eq!(find(s, &healthy).last().unwrap().1, 2.0);
    healthy.az = "us-east-1b".into();
    assert_eq!(find(s, &healthy).last().unwrap().1, 0.0, "one zone has lost all");
    let slow = find(s, &MetricKey::alb(web.arn.clone(), "TargetResponseTime", "p99"));
    assert!(!slow.points.is_empty());
    let lambda = find(s, &MetricKey::alb(lb.arn, "ELBAuthError", "Sum"));
    assert!(lambda.points.is_empty(), "nothing published is nothing, not zero");
}

#[test]
fn pages_cut_through_the_series_and_come_together_again() {
    let lab = Lab::start("shop-broken");
    let window = Window::first(Timestamp::now(), None);
    let whole = ask_once(&lab, window);
    lab.paging(50, "GetMetricData");
    lab.clear_calls();
    let paged = ask_once(&lab, window);
    assert_eq!(lab.calls().len(), 4, "180 minutes at 50 a page");
    assert!(lab.calls().iter().all(|c| c.protocol == "json"));
    assert_eq!(series(&paged), series(&whole));
    assert_eq!(unknown(&paged), "");
}

#[test]
fn a_later_answer_extends_what_is_held() {
    let lab = Lab::start("shop-broken");
    let now = Timestamp::now();
    let mut situation = Situation::new();
    for o in ask_once(&lab, Window::first(now, None)) {
        situation.apply(&o);
    }
    let held = situation.metrics.clone();
    let again = ask_once(&lab, Window::again(now));
    assert!(series(&again).iter().all(|s| !s.points.is_empty() && s.points.len() <= 15));
    for o in again {
        situation.apply(&o);
    }
    assert_eq!(situation.metrics, held);
}

#[test]
fn more_than_500_series_are_asked_for_in_several_calls() {
    let lab = Lab::start("many");
    let names = lab.names();
    let name = names["load_balancers"].as_object().unwrap().keys().next().unwrap().clone();
    let (lb, groups) = (
        lb(&lab, &name),
        names["target_groups"].as_object().unwrap().keys().map(|n| group(&lab, n)).collect::<Vec<_>>(),
    );
    let all = runtime().block_on(async {
        ask(&aws(&lab, Options::default()).await, &lb, &groups, Window::first(Timestamp::now(), None)).await
    });
    assert_eq!(unknown(&all), "");
    let asked = plan(&lb, &groups).len();
    assert!(asked > 500);
    assert_eq!(series(&all).len(), asked);
    assert_eq!(lab.calls().len(), asked.div_ceil(500));
}

#[test]
fn what_fails_is_unknown_and_never_an_empty_answer() {
    let lab = Lab::start("shop-broken");
    let window = Window::again(Timestamp::now());
    let table = [
        (json!({ "kind": "denied" }), "access denied: needs cloudwatch:GetMetricData"),
        (json!({ "kind": "throttle" }), "throttled until"),
        (json!({ "kind": "expired" }), "credentials:"),
        (json!({ "truncate": true }), "unreadable answer: JSON cut off"),
        (json!({ "drop": "mid" }), ""),
        (json!({ "drop": "before" }), "unreachable"),
        (json!({ "kind": "internal" }), "failed: InternalFailure"),
        (json!({ "canned": "", "ctype": "application/x-amz-json-1.0" }), "unreadable answer"),
    ];
    for (fault, want) in table {
        let mut doc = fault.clone();
        doc["op"] = json!("GetMetricData");
        lab.fault(&doc);
        let all = ask_once(&lab, window);
        assert_eq!(all.len(), 1, "{fault}");
        let phrase = unknown(&all);
        assert!(!phrase.is_empty() && phrase.starts_with(want), "{fault}: {phrase}");
        lab.clear_faults();
    }
    assert_eq!(unknown(&ask_once(&lab, window)), "");
}

#[test]
fn one_call_of_two_that_fails_takes_only_its_own_series() {
    let lab = Lab::start("many");
    let names = lab.names();
    let name = names["load_balancers"].as_object().unwrap().keys().next().unwrap().clone();
    let groups: Vec<_> = names["target_groups"].as_object().unwrap().keys().map(|n| group(&lab, n)).collect();
    // The second call is known by a dimension that only it carries.
    let last = plan(&lb(&lab, &name), &groups).pop().unwrap().dimensions[1].1.clone();
    lab.fault(&json!({ "op": "GetMetricData", "match": last, "kind": "denied" }));
    let all = runtime().block_on(async {
        ask(&aws(&lab, Options::default()).await, &lb(&lab, &name), &groups, Window::again(Timestamp::now()))
            .await
    });
    assert!(!series(&all).is_empty());
    assert_eq!(unknown(&all), "access denied: needs cloudwatch:GetMetricData");
    assert!(matches!(all.last().unwrap().fact, Fact::Unknown(_)), "the gap is the last word");
}
