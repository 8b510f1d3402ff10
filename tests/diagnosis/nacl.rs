//! Network ACLs: order, statelessness, ephemeral ranges, scope.

use crate::world::*;
use badgate::diagnosis::path::{Decision, Endpoint, Network, PathReport, StageKind, Verdict, evaluate};
use badgate::situation::net::{AclEntry, Protocol};
use rstest::rstest;

fn lb_to(shop: &Shop, to: &str) -> PathReport {
    let s = shop.situation();
    let (from, to) = (Endpoint::LoadBalancer(LB.into()), Endpoint::Instance(to.into()));
    evaluate(&Network::of(&s), &from, &to, Protocol::Tcp, Some(8080))
}

/// The application's ACL with only these entries (and the implicit denies).
fn with(entries: Vec<AclEntry>) -> PathReport {
    let mut shop = Shop::default();
    shop.acl("acl-app").entries = entries;
    lb_to(&shop, "i-a")
}

const ALL: Protocol = Protocol::All;
const TCP: Protocol = Protocol::Tcp;

#[test]
fn the_lowest_number_decides_whatever_order_the_api_lists() {
    let allow = entry(100, false, true, TCP, "10.0.0.0/16", Some((8080, 8080)));
    let deny = entry(90, false, false, TCP, "10.0.0.0/16", Some((8080, 8080)));
    let out = entry(100, true, true, ALL, "0.0.0.0/0", None);
    for list in
        [vec![allow.clone(), deny.clone(), out.clone()], vec![deny.clone(), out.clone(), allow.clone()]]
    {
        let by = with(list).blocked_by.unwrap();
        assert_eq!((by.stage, by.rule.as_str()), (StageKind::NaclIn, "90"));
    }
    let late = AclEntry { number: 110, ..deny };
    assert_eq!(with(vec![allow, late, out]).verdict, Verdict::Open);
}

#[test]
fn what_nothing_matches_is_denied_by_the_star() {
    let by = with(vec![entry(100, true, true, ALL, "0.0.0.0/0", None)]).blocked_by.unwrap();
    assert_eq!((by.stage, by.rule.as_str()), (StageKind::NaclIn, "*"));
    assert!(by.why.contains("rule * denies"), "{}", by.why);
}

#[test]
fn answers_are_judged_on_their_own() {
    let inn = entry(100, false, true, ALL, "0.0.0.0/0", None);
    let r = with(vec![inn.clone()]);
    let by = r.blocked_by.unwrap();
    assert_eq!((r.verdict, by.stage), (Verdict::Blocked, StageKind::ReturnNaclOut));
    // Allowing the service port outwards does not help: answers go to ephemeral ports.
    let wrong = entry(100, true, true, TCP, "0.0.0.0/0", Some((8080, 8080)));
    assert_ne!(with(vec![inn, wrong]).verdict, Verdict::Open);
}

#[rstest]
#[case::documented((1024, 65535), Verdict::Open, None)]
#[case::wider((0, 65535), Verdict::Open, None)]
#[case::half((32768, 65535), Verdict::Partly, Some(32768.0 / 64512.0))]
#[case::linux_only((32768, 60999), Verdict::Partly, Some(28232.0 / 64512.0))]
#[case::low((1, 1023), Verdict::Blocked, None)]
fn ports_a_load_balancer_wants_answers_on(
    #[case] range: (u16, u16),
    #[case] verdict: Verdict,
    #[case] share: Option<f64>,
) {
    let r = with(vec![
        entry(100, false, true, ALL, "0.0.0.0/0", None),
        entry(100, true, true, TCP, "0.0.0.0/0", Some(range)),
    ]);
    assert_eq!(r.verdict, verdict, "{r:#?}");
    match share {
        Some(s) => {
            assert!((r.partial.unwrap() - s).abs() < 1e-9);
            let why = &r.blocked_by.unwrap().why;
            assert!(why.contains("% of connections time out") && why.contains("1024-32767"), "{why}");
        }
        None => assert_eq!(r.partial, None),
    }
}

#[test]
fn the_same_half_cut_twice_is_still_half() {
    let mut shop = Shop::default();
    for (id, egress) in [("acl-app", true), ("acl-pub", false)] {
        let acl = shop.acl(id);
        acl.entries.retain(|e| e.egress != egress);
        acl.entries.push(entry(100, egress, true, TCP, "10.0.0.0/16", Some((32768, 65535))));
    }
    let r = lb_to(&shop, "i-a");
    assert_eq!(r.verdict, Verdict::Partly);
    assert!((r.partial.unwrap() - 32768.0 / 64512.0).abs() < 1e-9, "{:?}", r.partial);
}

#[test]
fn two_halves_cut_are_nothing_left() {
    let mut shop = Shop::default();
    shop.acl("acl-app").entries = vec![
        entry(100, false, true, ALL, "0.0.0.0/0", None),
        entry(100, true, true, TCP, "0.0.0.0/0", Some((32768, 65535))),
    ];
    shop.acl("acl-pub").entries = vec![
        entry(100, true, true, ALL, "0.0.0.0/0", None),
        entry(100, false, true, TCP, "0.0.0.0/0", Some((1024, 32767))),
    ];
    assert_eq!(lb_to(&shop, "i-a").verdict, Verdict::Blocked);
}

#[test]
fn between_hosts_the_opener_is_taken_for_linux() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![tcp(8080, "sg-app")];
    shop.acl("acl-app").entries = vec![
        entry(100, false, true, ALL, "0.0.0.0/0", None),
        entry(100, true, true, TCP, "10.0.0.0/16", Some((8080, 8080))),
        entry(110, true, true, TCP, "10.0.0.0/16", Some((32768, 65535))),
    ];
    let s = shop.situation();
    let (a, b) = (Endpoint::Instance("i-a".into()), Endpoint::Instance("i-b".into()));
    assert_eq!(evaluate(&Network::of(&s), &a, &b, TCP, Some(8080)).verdict, Verdict::Open);
}

#[test]
fn traffic_within_a_subnet_is_not_asked() {
    let mut shop = Shop::default();
    shop.instances[1].subnet = "subnet-app-a".into();
    shop.instances[1].addresses = vec!["10.0.11.11".parse().unwrap()];
    shop.sg("sg-app").ingress = vec![tcp(8080, "sg-app")];
    shop.acl("acl-app").entries.clear();
    let s = shop.situation();
    let (a, b) = (Endpoint::Instance("i-a".into()), Endpoint::Instance("i-b".into()));
    let r = evaluate(&Network::of(&s), &a, &b, TCP, Some(8080));
    assert_eq!(r.verdict, Verdict::Open);
    let skipped = r.forward.iter().chain(&r.back).filter(|s| s.decision == Decision::NotApplicable);
    assert_eq!(skipped.count(), 4);
}

#[test]
fn a_subnet_that_names_no_acl_has_the_default_one() {
    let mut shop = Shop::default();
    shop.acl("acl-app").subnets.clear();
    assert_eq!(lb_to(&shop, "i-a").verdict, Verdict::Unknown);
    shop.acl("acl-app").is_default = true;
    shop.acl("acl-app").entries.retain(|e| e.egress);
    let by = lb_to(&shop, "i-a").blocked_by.unwrap();
    assert_eq!(by.id.as_str(), "acl-app");
}

#[test]
fn ping_needs_both_types() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![rule(Protocol::Icmp, Some((-1, -1)), "0.0.0.0/0")];
    let icmp = |egress, icmp| AclEntry {
        icmp: Some(icmp),
        ..entry(100, egress, true, Protocol::Icmp, "0.0.0.0/0", None)
    };
    shop.acl("acl-app").entries = vec![icmp(false, (8, -1)), icmp(true, (0, -1))];
    let ping = |shop: &Shop| {
        let s = shop.situation();
        let from = Endpoint::LoadBalancer(LB.into());
        evaluate(&Network::of(&s), &from, &Endpoint::Instance("i-a".into()), Protocol::Icmp, None)
    };
    assert_eq!(ping(&shop).verdict, Verdict::Open);
    shop.acl("acl-app").entries[1].icmp = Some((8, -1));
    assert_eq!(ping(&shop).blocked_by.unwrap().stage, StageKind::ReturnNaclOut);
}

#[test]
fn a_protocol_number_matches_itself_only() {
    let by = with(vec![
        entry(100, false, true, Protocol::Other(50), "0.0.0.0/0", None),
        entry(100, true, true, ALL, "0.0.0.0/0", None),
    ]);
    assert_eq!(by.verdict, Verdict::Blocked);
}

#[test]
fn ipv6_has_entries_of_its_own() {
    let mut shop = Shop::default();
    for (i, a) in ["2600:1:1:b::10", "2600:1:1:c::10"].iter().enumerate() {
        shop.instances[i].addresses = vec![a.parse().unwrap()];
        shop.subnets[i + 2].cidrs.push(net(&format!("2600:1:1:{}::/64", ["b", "c"][i])));
    }
    shop.lb_interfaces.iter_mut().enumerate().for_each(|(i, e)| {
        e.addresses.push(format!("2600:1:1:{i}::5").parse().unwrap());
    });
    let local = route("2600:1:1::/48", "local");
    shop.tables.iter_mut().for_each(|t| t.routes.push(local.clone()));
    let blocked = lb_to(&shop, "i-a");
    assert_eq!(blocked.blocked_by.unwrap().stage, StageKind::SgEgress, "0.0.0.0/0 does not cover IPv6");
    shop.sg("sg-alb").egress.push(all_traffic("::/0"));
    for id in ["acl-app", "acl-pub"] {
        for egress in [true, false] {
            shop.acl(id).entries.push(entry(101, egress, true, ALL, "::/0", None));
        }
    }
    let r = lb_to(&shop, "i-a");
    assert_eq!(r.verdict, Verdict::Open, "{r:#?}");
}
