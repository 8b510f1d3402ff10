//! `badgate.check/1`: the contract other programs are written against.

use crate::world::*;
use badgate::diagnosis::Judgement;
use badgate::diagnosis::catalogue::Catalogue;
use badgate::procedure::{Context, Lang, Procedure};
use badgate::report::check::Report;
use badgate::situation::metric::Series;
use badgate::situation::net::Protocol;
use badgate::situation::{Reason, Situation, Topic};
use badgate::text::width;
use serde_json::Value;

fn traffic() -> Series {
    series(LB, "RequestCount", "Sum", (1..=30).rev().map(|m| (minutes_ago(m), 1200.0)).collect())
}

fn report(s: &Situation, lang: Lang) -> Report {
    let p = Procedure::load(lang).unwrap();
    let steps = p.run_all(s, &Context::bare(now(), minutes_ago(30)));
    let words = Catalogue::load(lang.tag()).unwrap();
    Report::new("shop", now(), s, &steps, &Judgement::of(s, &[]), &words)
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

/// A rule of the targets' ACL drops the way to the port.
fn blocked() -> Shop {
    let mut shop = healthy();
    for t in &mut shop.targets {
        (t.state, t.reason) = ("unhealthy".into(), "Target.Timeout".into());
    }
    let counts = (1..=9).rev().map(|m| (minutes_ago(m), 40.0)).collect();
    shop.metrics.push(series(LB, "HTTPCode_ELB_504_Count", "Sum", counts));
    let deny = entry(90, false, false, Protocol::Tcp, "10.0.0.0/16", Some((8080, 8080)));
    shop.acl("acl-app").entries.push(deny);
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
    let r = report(&shop.situation(), Lang::En);
    let v: Value = serde_json::from_str(&r.to_json()).unwrap();
    assert_eq!(keys(&v), ["schema", "target", "at", "situation", "steps", "verdicts", "risks"]);
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

    let r = report(&blocked().situation(), Lang::En);
    let v: Value = serde_json::from_str(&r.to_json()).unwrap();
    let verdicts = v["verdicts"].as_array().unwrap();
    // The agreed members first; what came later behind them.
    for verdict in verdicts {
        let members = keys(verdict);
        for name in ["cause", "standing", "hop", "evidence", "next"] {
            assert!(members.contains(&name), "{name} in {verdict}");
        }
        let standing = verdict["standing"].as_str().unwrap();
        assert!(["confirmed", "likely", "possible", "unchecked", "ruled_out"].contains(&standing));
        assert!(verdict["next"].as_array().unwrap().iter().all(Value::is_string));
        for e in verdict["evidence"].as_array().unwrap() {
            assert_eq!(keys(e), ["polarity", "what", "value", "source", "at"]);
            assert!(["for", "against"].contains(&e["polarity"].as_str().unwrap()));
            assert!(e["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        }
    }
    assert_eq!(verdicts[0]["cause"], "nacl-forward-denied");
    assert_eq!(verdicts[0]["standing"], "confirmed");
    assert_eq!(verdicts[0]["hop"], "network");
    assert!(
        verdicts[0]["evidence"][0]["value"].as_str().unwrap().contains("rule 90 denies tcp/8080"),
        "{v:#}"
    );
    assert_eq!(verdicts[0]["evidence"][0]["source"], "ec2:DescribeNetworkAcls");
    assert!(!verdicts[0]["next"].as_array().unwrap().is_empty());
}

#[test]
fn a_healthy_world_has_risks_and_no_verdict_that_names_anything() {
    let mut shop = healthy();
    let deny = entry(90, false, false, Protocol::Tcp, "10.0.1.0/24", Some((8080, 8080)));
    shop.acl("acl-app").entries.push(deny);
    let r = report(&shop.situation(), Lang::En);
    let v: Value = serde_json::from_str(&r.to_json()).unwrap();
    assert_eq!(r.exit_code(), 0, "{v:#}");
    assert!(!v["verdicts"].as_array().unwrap().iter().any(|v| v["standing"] != "ruled_out"));
    let risk = &v["risks"][0];
    assert_eq!(risk["cause"], "nacl-forward-denied");
    assert_eq!(keys(risk), ["cause", "title", "hop", "evidence", "why", "fix"]);
    assert!(r.to_text().contains("Risks: no cause of what is seen now"));
}

#[test]
fn a_denied_call_leaves_a_verdict_open_and_names_the_action() {
    let mut shop = blocked();
    shop.failed =
        vec![(Topic::NetworkAcls(VPC.into()), Reason::Denied { action: "ec2:DescribeNetworkAcls".into() })];
    let r = report(&shop.situation(), Lang::En);
    let v: Value = serde_json::from_str(&r.to_json()).unwrap();
    let acl = v["verdicts"].as_array().unwrap().iter().find(|v| v["cause"] == "nacl-forward-denied").unwrap();
    assert_eq!(acl["standing"], "unchecked", "{acl:#}");
    assert!(acl["next"].to_string().contains("ec2:DescribeNetworkAcls"), "{acl:#}");
    assert!(acl["missing"].to_string().contains("ec2:DescribeNetworkAcls"));
    let text = r.to_text();
    let open = text.split("\nNot checked\n").nth(1).unwrap();
    assert!(open.contains("nacl-forward-denied") && open.contains("ec2:DescribeNetworkAcls"), "{text}");
}

#[test]
fn there_is_always_a_list_of_verdicts_risks_and_unknowns() {
    let v: Value = serde_json::from_str(&report(&Situation::new(), Lang::En).to_json()).unwrap();
    assert_eq!(v["verdicts"], serde_json::json!([]));
    assert_eq!(v["risks"], serde_json::json!([]));
    let v: Value = serde_json::from_str(&report(&healthy().situation(), Lang::En).to_json()).unwrap();
    assert_eq!(v["situation"]["unknown"], serde_json::json!([]));
}

#[test]
fn exit_codes() {
    let code = |shop: &Shop| report(&shop.situation(), Lang::En).exit_code();
    assert_eq!(code(&healthy()), 0);
    assert_eq!(code(&blocked()), 1);

    let mut deploying = healthy();
    deploying.targets[0].state = "draining".into();
    assert_eq!(code(&deploying), 0, "a target that leaves in good order is no trouble");
    let mut rare = healthy();
    rare.metrics.push(series(LB, "HTTPCode_Target_5XX_Count", "Sum", vec![(minutes_ago(2), 9.0)]));
    assert_eq!(code(&rare), 0, "9 of 36000 requests are no incident");
    let mut failed = healthy();
    failed.lb.state = "failed".into();
    assert_ne!(code(&failed), 0, "a load balancer that failed is no healthy one");

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
        assert_eq!(code(&denied(topic.clone())), 3, "{topic}");
    }
    // What does not decide it may be missing.
    assert_eq!(code(&denied(Topic::LbAttributes(LB.into()))), 0);
    assert_eq!(report(&Situation::new(), Lang::En).exit_code(), 3);
}

#[test]
fn the_text_form_is_readable_at_80_columns_in_both_languages() {
    for lang in Lang::ALL {
        let r = report(&blocked().situation(), lang);
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
    assert_eq!(report(&s, Lang::Ja).to_json(), report(&s, Lang::Ja).to_json());
}
