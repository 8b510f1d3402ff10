//! The legs of one load balancer.

use crate::world::*;
use badgate::diagnosis::path::{LegKind, StageKind, Verdict, legs};
use badgate::situation::net::Protocol;
use badgate::situation::{Reason, Topic};

#[test]
fn a_healthy_shop_is_open_everywhere_and_told_in_two_lines() {
    let all = legs(&Shop::default().situation());
    let told: Vec<_> =
        all.iter().map(|l| (l.kind, l.port, l.verdict, l.targets.len(), l.zones.len())).collect();
    assert_eq!(
        told,
        [
            (LegKind::Listener, Some(443), Verdict::Open, 0, 2),
            (LegKind::TrafficAndHealth, Some(8080), Verdict::Open, 2, 2)
        ],
        "{all:#?}"
    );
}

#[test]
fn an_acl_entry_that_denies_is_named_with_its_number() {
    let mut shop = Shop::default();
    shop.acl("acl-app").name = "nacl-app".into();
    shop.acl("acl-app").entries.push(entry(
        90,
        false,
        false,
        Protocol::Tcp,
        "10.0.1.0/24",
        Some((8080, 8080)),
    ));
    let all = legs(&shop.situation());
    let bad = all.iter().find(|l| l.verdict == Verdict::Blocked).unwrap();
    let by = bad.blocked_by().unwrap();
    assert_eq!((by.stage, by.id.as_str(), by.rule.as_str()), (StageKind::NaclIn, "acl-app", "90"));
    assert!(by.why.starts_with("nacl-app rule 90 denies tcp/8080 from 10.0.1.5"), "{}", by.why);
    assert_eq!(bad.zones, texts(&["us-east-1a"]));
    assert_eq!(bad.targets.len(), 2);
    assert!(all.iter().any(|l| l.verdict == Verdict::Open && l.zones == texts(&["us-east-1b"])));
}

#[test]
fn a_health_port_of_its_own_is_a_leg_of_its_own() {
    let mut shop = Shop::default();
    shop.group.health_check.port = "9000".into();
    let all = legs(&shop.situation());
    let find = |k| all.iter().find(|l| l.kind == k).unwrap();
    assert_eq!(find(LegKind::Traffic).verdict, Verdict::Open);
    let check = find(LegKind::Health);
    assert_eq!((check.port, check.verdict), (Some(9000), Verdict::Blocked));
    assert_eq!(check.blocked_by().unwrap().stage, StageKind::SgIngress);
}

#[test]
fn what_was_denied_is_unknown_with_the_action() {
    let mut shop = Shop::default();
    let denied = Reason::Denied { action: "ec2:DescribeNetworkAcls".into() };
    shop.failed.push((Topic::NetworkAcls(VPC.into()), denied));
    for l in legs(&shop.situation()) {
        assert_eq!(l.verdict, Verdict::Unknown);
        assert!(l.why().contains("ec2:DescribeNetworkAcls"), "{}", l.why());
    }
}

#[test]
fn a_lambda_target_has_no_path() {
    let mut shop = Shop::default();
    shop.group.target_type = "lambda".into();
    let all = legs(&shop.situation());
    assert_eq!(all.last().unwrap().verdict, Verdict::NotApplicable);
}
