//! Sparklines and the onset of the 5xx responses.

use crate::world::*;
use badgate::diagnosis::series::{onset, summary};
use badgate::situation::{Reason, Topic};
use jiff::Timestamp;

const REQUESTS: &str = "RequestCount";
const E502: &str = "HTTPCode_ELB_502_Count";

/// Points for the minutes before now: `values[0]` is the oldest.
fn points(values: &[Option<f64>]) -> Vec<(Timestamp, f64)> {
    let start: Timestamp = "2026-11-22T01:53:00Z".parse().unwrap();
    let n = values.len() as i64;
    let at = |i: usize| start - jiff::SignedDuration::from_mins(n - 1 - i as i64);
    values.iter().enumerate().filter_map(|(i, v)| v.map(|v| (at(i), v))).collect()
}

fn shop(requests: &[Option<f64>], errors: &[Option<f64>]) -> Shop {
    let mut shop = Shop::default();
    shop.metrics =
        vec![series(LB, REQUESTS, "Sum", points(requests)), series(LB, E502, "Sum", points(errors))];
    shop
}

/// Errors as published: zero is absent.
fn absent_zero(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|v| (*v > 0.0).then_some(*v)).collect()
}

fn busy(n: usize) -> Vec<Option<f64>> {
    vec![Some(900.0); n]
}

fn found(values: &[f64]) -> Option<(String, Option<String>)> {
    let o = onset(&shop(&busy(values.len()), &absent_zero(values)).situation())?;
    let clock = |t: Timestamp| t.strftime("%H:%M").to_string();
    Some((clock(o.at), o.until.map(clock)))
}

#[test]
fn absent_is_zero_only_where_requests_were_counted() {
    let s = shop(&[Some(900.0), None, Some(880.0)], &[None, None, Some(7.0)]).situation();
    let m = summary(&s, 3).unwrap();
    let e = m.get("elb_502").unwrap();
    assert_eq!(e.values, [Some(0.0), None, Some(7.0)]);
    assert_eq!((e.last.unwrap().1, e.total), (7.0, Some(7.0)));
    assert_eq!(m.get("p99").unwrap().values, [None, None, None]);
    assert_eq!(m.get("p99").unwrap().last, None);
}

#[test]
fn errors_without_counted_requests_are_seen() {
    // 503 for want of targets is not in RequestCount.
    let s = shop(&[None, None], &[None, Some(3.0)]).situation();
    assert_eq!(summary(&s, 2).unwrap().get("elb_502").unwrap().values, [None, Some(3.0)]);
}

#[test]
fn longer_periods_are_spread_over_their_minutes() {
    let mut shop = Shop::default();
    let start: Timestamp = "2026-11-22T01:50:00Z".parse().unwrap();
    let mut x = series(LB, E502, "Sum", vec![(start, 50.0)]);
    x.period_s = 300;
    shop.metrics = vec![x];
    let m = summary(&shop.situation(), 4).unwrap();
    assert_eq!(m.get("elb_502").unwrap().values, vec![Some(10.0); 4]);
}

#[test]
fn nothing_at_all_has_its_reason() {
    let mut shop = Shop::default();
    let denied = Reason::Denied { action: "cloudwatch:GetMetricData".into() };
    shop.failed.push((Topic::Metrics(LB.into()), denied.clone()));
    assert_eq!(summary(&shop.situation(), 5).unwrap().unknown, Some(denied));
    assert!(matches!(
        summary(&Shop::default().situation(), 5).unwrap().unknown,
        Some(Reason::NotFound { .. })
    ));
}

#[test]
fn a_step_is_found_at_its_minute() {
    let mut v = vec![0.0; 18];
    v.extend([46.0, 51.0, 39.0, 55.0, 47.0, 60.0, 44.0, 52.0, 49.0, 50.0, 41.0, 58.0]);
    assert_eq!(found(&v), Some(("01:42".into(), None)));
}

#[test]
fn a_step_on_a_noisy_floor_is_found() {
    let mut v: Vec<f64> = (0..40).map(|i| f64::from((i * 7) % 4)).collect();
    v.extend([20.0, 24.0, 19.0, 22.0, 25.0]);
    assert_eq!(found(&v), Some(("01:49".into(), None)));
}

#[test]
fn a_fault_that_is_over_has_its_end() {
    let mut v = vec![0.0; 20];
    v.extend([30.0; 6]);
    v.extend([0.0; 14]);
    assert_eq!(found(&v), Some(("01:34".into(), Some("01:40".into()))));
}

#[test]
fn a_minute_that_still_runs_ends_nothing() {
    let mut v = vec![0.0; 20];
    v.extend([30.0; 8]);
    v.push(1.0);
    assert_eq!(found(&v), Some(("01:45".into(), None)), "one request was counted so far");
    v.push(0.0);
    assert_eq!(found(&v), Some(("01:44".into(), None)), "two minutes are not all published");
    v.push(0.0);
    assert_eq!(found(&v), Some(("01:43".into(), Some("01:51".into()))), "it is over");
}

#[test]
fn a_fault_of_the_newest_minute_is_seen_at_once() {
    let mut v = vec![0.0; 20];
    v.push(40.0);
    assert_eq!(found(&v), Some(("01:53".into(), None)));
}

#[test]
fn a_small_lasting_step_is_found() {
    let mut v = vec![0.0; 40];
    v.extend([2.0, 3.0, 1.0, 2.0, 4.0, 2.0, 1.0, 3.0, 2.0, 2.0, 1.0, 3.0]);
    assert_eq!(found(&v), Some(("01:42".into(), None)));
}

#[test]
fn no_step_where_there_is_none() {
    assert_eq!(found(&vec![0.0; 60]), None, "silence");
    assert_eq!(found(&vec![5.0; 60]), None, "it was always so");
    let noise: Vec<f64> = (0..60).map(|i| f64::from((i * 13) % 5)).collect();
    assert_eq!(found(&noise), None, "noise");
    let mut spike = vec![0.0; 60];
    spike[30] = 50.0;
    assert_eq!(found(&spike), None, "one bad minute");
    let mut sparse = vec![0.0; 60];
    for i in [3, 19, 31, 44, 58] {
        sparse[i] = 1.0;
    }
    assert_eq!(found(&sparse), None, "a stray error now and then");
}

#[test]
fn no_onset_without_a_time_before() {
    let v: Vec<f64> = vec![50.0; 12];
    assert_eq!(found(&v), None);
    // Absent errors and absent requests: nobody knows what was before.
    let mut requests = vec![None; 20];
    requests.extend(busy(12));
    let mut errors = vec![None; 20];
    errors.extend(vec![Some(50.0); 12]);
    assert_eq!(onset(&shop(&requests, &errors).situation()), None);
}

#[test]
fn the_targets_own_errors_count_too() {
    let mut shop = shop(&busy(30), &[]);
    let mut v = vec![0.0; 20];
    v.extend([33.0; 10]);
    shop.metrics.push(series(LB, "HTTPCode_Target_5XX_Count", "Sum", points(&absent_zero(&v))));
    let o = onset(&shop.situation()).unwrap();
    assert_eq!((o.baseline, o.level), (0.0, 33.0));
    assert!(o.why.contains("from 0.0 to 33 a minute at 01:44Z"), "{}", o.why);
}
