//! The shape and order of a diagnosis. Which cause a world gets is tested in
//! `tests/scenarios`.

use crate::world::*;
use badgate::diagnosis::catalogue::Catalogue;
use badgate::diagnosis::causes::{RULES, rule_of};
use badgate::diagnosis::verdict::{Next, Polarity, Standing};
use badgate::diagnosis::{Inputs, diagnose, examine, path, series, signs, timeouts};
use badgate::situation::Situation;

fn failing(names: &[(&str, f64)]) -> Shop {
    let mut shop = Shop::default();
    let minute = |m: i64| {
        let whole: jiff::Timestamp = "2026-11-22T01:53:00Z".parse().unwrap();
        whole - jiff::SignedDuration::from_mins(m)
    };
    shop.metrics =
        vec![series(LB, "RequestCount", "Sum", (0..60).rev().map(|m| (minute(m), 900.0)).collect())];
    for (name, v) in names {
        shop.metrics.push(series(LB, name, "Sum", (0..12).rev().map(|m| (minute(m), *v)).collect()));
    }
    shop
}

#[test]
fn nothing_in_view_is_no_diagnosis() {
    assert_eq!(examine(&Situation::new(), &[]), Default::default());
}

#[test]
fn the_order_is_by_standing_and_nearness_to_the_root() {
    let mut shop = failing(&[("HTTPCode_ELB_504_Count", 300.0), ("TargetConnectionErrorCount", 300.0)]);
    shop.sg("sg-app").ingress.clear();
    shop.targets = vec![
        health("i-a", 8080, "unhealthy", "Target.Timeout"),
        health("i-b", 8080, "unhealthy", "Target.Timeout"),
    ];
    let d = examine(&shop.situation(), &[]);
    let named: Vec<&str> = d.verdicts.iter().filter(|v| v.standing.names_it()).map(|v| v.cause).collect();
    assert_eq!(
        named,
        ["sg-target-ingress-missing", "alb-target-connect-timeout", "alb-all-unhealthy-fail-open"]
    );
    let tier = |s: Standing| match s {
        Standing::Confirmed | Standing::Likely => 0,
        Standing::Possible => 1,
        Standing::Unchecked => 2,
        Standing::RuledOut => 3,
    };
    assert!(d.verdicts.windows(2).all(|w| tier(w[0].standing) <= tier(w[1].standing)));
    assert_eq!(d.from, Some("2026-11-22T01:42:00Z".parse().unwrap()), "judged from the onset on");
}

#[test]
fn evidence_says_what_value_source_and_when() {
    let mut shop = failing(&[("HTTPCode_ELB_504_Count", 300.0), ("TargetConnectionErrorCount", 300.0)]);
    shop.sg("sg-app").ingress.clear();
    let d = examine(&shop.situation(), &[]);
    let v = d.top().unwrap();
    assert_eq!((v.cause, v.standing), ("sg-target-ingress-missing", Standing::Confirmed));
    let e = &v.evidence[0];
    assert_eq!(e.polarity, Polarity::For);
    assert!(e.what.contains("path shop to web on 8080"), "{}", e.what);
    assert!(e.value.contains("sg-app"), "{}", e.value);
    assert_eq!((e.source.as_str(), e.at), ("ec2:DescribeSecurityGroups", now()));
    let json = serde_json::to_value(v).unwrap();
    assert_eq!(json["evidence"][0]["polarity"], "for");
    assert_eq!(json["standing"], "confirmed");
    assert_eq!(json["hop"], "network");
}

#[test]
fn causes_nothing_tells_apart_name_each_other_and_the_check_that_would() {
    let d = examine(&failing(&[("HTTPCode_ELB_502_Count", 300.0)]).situation(), &[]);
    let v = d.of("alb-target-response-malformed").unwrap();
    assert_eq!(v.standing, Standing::Possible);
    assert!(v.twins.contains(&"alb-target-header-too-large"), "{:?}", v.twins);
    assert!(!v.twins.contains(&v.cause));
    assert_eq!(v.next[0], Next::Check("alb-target-response-malformed"));
    for lang in ["en", "ja"] {
        let words = Catalogue::load(lang).unwrap();
        let next = words.next(v);
        assert_eq!(next[0], words.get(v.cause).unwrap().check);
        assert!(next.iter().any(|n| n.contains("access log rows")), "{next:?}");
    }
}

#[test]
fn twins_are_mutual_and_known() {
    for r in RULES {
        for t in r.twins {
            assert!(rule_of(t).is_some(), "{} names {t}", r.id);
        }
    }
}

#[test]
fn given_parts_and_computed_parts_say_the_same() {
    let s = failing(&[("HTTPCode_ELB_502_Count", 300.0)]).situation();
    let (legs, chain, onset) = (path::legs(&s), timeouts::chain(&s, &[]), series::onset(&s));
    let signs = signs::Signs::of(&s.logs);
    let given = diagnose(&s, &Inputs { legs: &legs, chain: &chain, onset: onset.as_ref(), signs: &signs });
    assert_eq!(given, examine(&s, &[]));
}
