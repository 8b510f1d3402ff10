//! `badgate.check/1`: the contract other programs are written against.

use crate::world::*;
use badgate::procedure::{Context, Lang, Procedure};
use badgate::report::check::{Evidence, Polarity, Report, Standing, Verdict};
use badgate::situation::metric::Series;
use badgate::situation::{Reason, Situation, Topic};
use badgate::text::width;
use serde_json::Value;

fn traffic() -> Series {
    series(LB, "RequestCount", "Sum", (1..=30).rev().map(|m| (minutes_ago(m), 1200.0)).collect())
}

fn report(s: &Situation, lang: Lang, verdicts: Vec<Verdict>) -> Report {
    let p = Procedure::load(lang).unwrap();
    let steps = p.run_all(s, &Context::bare(now(), minutes_ago(30)));
    Report::new("shop", now(), s, &steps, verdicts)
}

fn verdict(standing: Standing) -> Verdict {
    Verdict {
        cause: "nacl-forward-denied".into(),
        standing,
        hop: "network".into(),
        evidence: vec![Evidence {
            polarity: Polarity::For,
            what: "acl-app".into(),
            value: "rule 90 denies tcp/8080".into(),
            source: "ec2:DescribeNetworkAcls".into(),
            at: now(),
        }],
        next: vec!["allow tcp/8080 from 10.0.1.0/24".into()],
    }
}

fn healthy() -> Shop {
    Shop { metrics: vec![traffic()], ..Shop::default() }
}

fn broken() -> Shop {
    let mut shop = healthy();
    shop.targets[0].state = "unhealthy".into();
    shop.targets[0].reason = "Target.Timeout".into();
    shop
}

/// Names of the members of an object, in order.
fn keys(v: &Value) -> Vec<&str> {
    v.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_document_has_the_agreed_shape() {
    let mut shop = broken();
    shop.failed =
        vec![(Topic::NetworkAcls(VPC.into()), Reason::Denied { action: "ec2:DescribeNetworkAcls".into() })];
    let r = report(&shop.situation(), Lang::En, vec![verdict(Standing::Likely)]);
    let v: Value = serde_json::from_str(&r.to_json()).unwrap();
    assert_eq!(keys(&v), ["schema", "target", "at", "situation", "steps", "verdicts"]);
    assert_eq!(v["schema"], "badgate.check/1");
    assert_eq!(v["target"], "shop");
    assert_eq!(v["at"], "2026-11-22T01:53:51Z");

    assert_eq!(keys(&v["situation"]), ["hops", "unknown"]);
    let hops = v["situation"]["hops"].as_array().unwrap();
    for h in hops {
        assert_eq!(keys(h), ["kind", "name", "status", "why"]);
        assert!(["ok", "warn", "bad", "unknown"].contains(&h["status"].as_str().unwrap()), "{h}");
    }
    let kinds: Vec<&str> = hops.iter().map(|h| h["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["client", "dns", "alb", "listener", "target_group", "target", "dependency"]);
    let unknown = v["situation"]["unknown"].as_array().unwrap();
    assert_eq!(
        unknown.as_slice(),
        [serde_json::json!({
            "what": "network ACLs of vpc-1",
            "reason": "access denied: needs ec2:DescribeNetworkAcls"
        })]
    );

    let steps = v["steps"].as_array().unwrap();
    assert_eq!(
        steps.iter().map(|s| s["id"].as_u64().unwrap()).collect::<Vec<_>>(),
        (0..=7).collect::<Vec<_>>()
    );
    for s in steps {
        assert_eq!(keys(s), ["id", "title", "state", "findings", "checks"]);
        assert!(s["title"].is_string() && s["state"].is_string());
        assert!(s["findings"].as_array().unwrap().iter().all(Value::is_string));
        for c in s["checks"].as_array().unwrap() {
            assert_eq!(keys(c), ["id", "title", "asked", "findings", "unknown", "manual"]);
        }
    }
    assert!(steps[0]["state"].as_str().unwrap().starts_with("found "));
    assert!(steps[0]["findings"][0].as_str().unwrap().starts_with("web: 1 of 2 targets are not healthy"));

    let verdicts = v["verdicts"].as_array().unwrap();
    assert_eq!(keys(&verdicts[0]), ["cause", "standing", "hop", "evidence", "next"]);
    assert_eq!(verdicts[0]["standing"], "likely");
    assert_eq!(keys(&verdicts[0]["evidence"][0]), ["polarity", "what", "value", "source", "at"]);
    assert_eq!(verdicts[0]["evidence"][0]["polarity"], "for");
}

#[test]
fn there_is_always_a_list_of_verdicts_and_of_unknowns() {
    let v: Value = serde_json::from_str(&report(&healthy().situation(), Lang::En, vec![]).to_json()).unwrap();
    assert_eq!(v["verdicts"], serde_json::json!([]));
    assert_eq!(v["situation"]["unknown"], serde_json::json!([]));
}

#[test]
fn exit_codes() {
    let code = |shop: &Shop, verdicts| report(&shop.situation(), Lang::En, verdicts).exit_code();
    assert_eq!(code(&healthy(), vec![]), 0);
    assert_eq!(code(&broken(), vec![verdict(Standing::Confirmed)]), 1);
    assert_eq!(code(&broken(), vec![verdict(Standing::Likely), verdict(Standing::RuledOut)]), 1);
    assert_eq!(code(&broken(), vec![verdict(Standing::Possible)]), 0);
    assert_eq!(code(&broken(), vec![]), 3, "trouble without a verdict is not nothing");

    let mut deploying = healthy();
    deploying.targets[0].state = "draining".into();
    assert_eq!(code(&deploying, vec![]), 0, "a target that leaves in good order is no trouble");
    let mut failing = healthy();
    failing.metrics.push(series(LB, "HTTPCode_Target_5XX_Count", "Sum", vec![(minutes_ago(2), 9.0)]));
    assert_eq!(code(&failing, vec![]), 3, "targets answer 5xx");

    let denied = |topic: Topic| {
        let mut shop = healthy();
        shop.failed = vec![(topic, Reason::Denied { action: "x:Y".into() })];
        shop
    };
    for topic in [
        Topic::LoadBalancer(LB.into()),
        Topic::Listeners(LB.into()),
        Topic::TargetGroups(LB.into()),
        Topic::TargetHealth(WEB.into()),
        Topic::Metrics(LB.into()),
    ] {
        assert_eq!(code(&denied(topic.clone()), vec![]), 3, "{topic}");
    }
    // What does not decide it may be missing.
    assert_eq!(code(&denied(Topic::LbAttributes(LB.into())), vec![]), 0);
    assert_eq!(report(&Situation::new(), Lang::En, vec![]).exit_code(), 3);
}

#[test]
fn the_text_form_is_readable_at_80_columns_in_both_languages() {
    for lang in Lang::ALL {
        let r = report(&broken().situation(), lang, vec![verdict(Standing::Confirmed)]);
        let text = r.to_text();
        for word in ["Path", "Verdicts", "confirmed", "nacl-forward-denied", "? unknown", "x found"] {
            assert!(text.contains(word), "{word}");
        }
        let commands: Vec<String> = r
            .steps
            .iter()
            .flat_map(|s| &s.checks)
            .flat_map(|c| &c.manual)
            .map(|m| format!("        {}", m.run))
            .collect();
        for line in text.lines() {
            assert!(
                width(line) <= 80 || commands.iter().any(|c| c == line),
                "{} columns: {line}",
                width(line)
            );
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn the_document_is_the_same_for_the_same_facts() {
    let s = broken().situation();
    assert_eq!(report(&s, Lang::Ja, vec![]).to_json(), report(&s, Lang::Ja, vec![]).to_json());
}
