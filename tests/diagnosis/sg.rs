//! Security groups: the documented semantics, one line each.

use crate::world::*;
use badgate::diagnosis::path::{Endpoint, Network, PathReport, StageKind, Verdict, evaluate};
use badgate::situation::net::{Peer, PrefixList, Protocol, SgRule};
use badgate::situation::{Reason, Topic};
use rstest::rstest;

fn to_app(shop: &Shop, protocol: Protocol, port: Option<u16>) -> PathReport {
    let s = shop.situation();
    let from = Endpoint::LoadBalancer(LB.into());
    evaluate(&Network::of(&s), &from, &Endpoint::Instance("i-a".into()), protocol, port)
}

/// The application's group holds exactly this rule; is the path open?
fn with_ingress(rule: SgRule) -> PathReport {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![rule];
    to_app(&shop, Protocol::Tcp, Some(8080))
}

#[rstest]
#[case::one_port(rule(Protocol::Tcp, Some((8080, 8080)), "10.0.0.0/16"), true)]
#[case::range_holds_the_port(rule(Protocol::Tcp, Some((8000, 8080)), "10.0.0.0/16"), true)]
#[case::range_ends_before(rule(Protocol::Tcp, Some((8000, 8079)), "10.0.0.0/16"), false)]
#[case::every_port(rule(Protocol::Tcp, Some((0, 65535)), "10.0.0.0/16"), true)]
#[case::no_ports_is_every_port(rule(Protocol::Tcp, None, "10.0.0.0/16"), true)]
#[case::minus_one_is_every_port(rule(Protocol::Tcp, Some((-1, -1)), "10.0.0.0/16"), true)]
#[case::all_traffic(rule(Protocol::All, None, "10.0.0.0/16"), true)]
#[case::all_traffic_ignores_ports(rule(Protocol::All, Some((1, 1)), "10.0.0.0/16"), true)]
#[case::udp_is_not_tcp(rule(Protocol::Udp, None, "10.0.0.0/16"), false)]
#[case::icmp_is_not_tcp(rule(Protocol::Icmp, Some((-1, -1)), "10.0.0.0/16"), false)]
#[case::another_protocol(rule(Protocol::Other(50), None, "10.0.0.0/16"), false)]
#[case::another_range(rule(Protocol::Tcp, Some((8080, 8080)), "10.0.3.0/24"), false)]
#[case::ipv6_rule_for_ipv4(rule(Protocol::Tcp, Some((8080, 8080)), "::/0"), false)]
#[case::reference(rule(Protocol::Tcp, Some((8080, 8080)), "sg-alb"), true)]
#[case::reference_to_another(rule(Protocol::Tcp, Some((8080, 8080)), "sg-other"), false)]
fn one_rule_decides(#[case] rule: SgRule, #[case] open: bool) {
    let r = with_ingress(rule);
    assert_eq!(r.verdict, if open { Verdict::Open } else { Verdict::Blocked }, "{r:#?}");
    if !open {
        let by = r.blocked_by.unwrap();
        assert_eq!((by.stage, by.id.as_str()), (StageKind::SgIngress, "sg-app"));
    }
}

#[test]
fn any_group_of_the_interface_may_allow() {
    let mut shop = Shop::default();
    shop.instances[0].groups = texts(&["sg-none", "sg-app"]);
    shop.security_groups.push(group("sg-none", vec![], vec![]));
    assert_eq!(to_app(&shop, Protocol::Tcp, Some(8080)).verdict, Verdict::Open);
}

#[test]
fn a_group_without_egress_rules_sends_nothing() {
    let mut shop = Shop::default();
    shop.sg("sg-alb").egress.clear();
    let by = to_app(&shop, Protocol::Tcp, Some(8080)).blocked_by.unwrap();
    assert_eq!((by.stage, by.id.as_str()), (StageKind::SgEgress, "sg-alb"));
    assert!(by.why.contains("no egress rule at all"), "{}", by.why);
}

#[test]
fn egress_by_reference_to_the_targets_group() {
    let mut shop = Shop::default();
    shop.sg("sg-alb").egress = vec![tcp(8080, "sg-app")];
    assert_eq!(to_app(&shop, Protocol::Tcp, Some(8080)).verdict, Verdict::Open);
}

#[test]
fn replies_pass_without_a_rule_of_their_own() {
    let mut shop = Shop::default();
    shop.sg("sg-app").egress.clear();
    assert_eq!(to_app(&shop, Protocol::Tcp, Some(8080)).verdict, Verdict::Open);
}

#[test]
fn a_self_reference_matches_members_of_the_group() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![tcp(8080, "sg-app")];
    let s = shop.situation();
    let net = Network::of(&s);
    let (a, b) = (Endpoint::Instance("i-a".into()), Endpoint::Instance("i-b".into()));
    assert_eq!(evaluate(&net, &a, &b, Protocol::Tcp, Some(8080)).verdict, Verdict::Open);
    let lb = Endpoint::LoadBalancer(LB.into());
    assert_eq!(evaluate(&net, &lb, &b, Protocol::Tcp, Some(8080)).verdict, Verdict::Blocked);
}

#[test]
fn a_reference_does_not_match_public_addresses() {
    let mut shop = Shop::default();
    shop.interfaces = vec![{
        let mut i = interface("eni-bastion", "subnet-pub-a", &["sg-alb"], "10.0.1.99");
        i.public_addresses = vec!["198.51.100.99".parse().unwrap()];
        i
    }];
    let s = shop.situation();
    let net = Network::of(&s);
    let to = Endpoint::Instance("i-a".into());
    let by = |a: &str| {
        evaluate(&net, &Endpoint::Address(a.parse().unwrap()), &to, Protocol::Tcp, Some(8080))
            .forward
            .into_iter()
            .find(|s| s.stage == StageKind::SgIngress)
            .unwrap()
            .decision
    };
    use badgate::diagnosis::path::Decision;
    assert_eq!(by("10.0.1.99"), Decision::Allow);
    assert_eq!(by("198.51.100.99"), Decision::Deny);
}

#[test]
fn prefix_lists_are_expanded_and_unknown_ones_decide_nothing() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![tcp(8080, "pl-lb")];
    let open = to_app(&shop, Protocol::Tcp, Some(8080));
    assert_eq!(open.verdict, Verdict::Unknown);
    assert_eq!(open.unknown[0].reason, Reason::NotAsked);
    shop.prefix_lists = vec![PrefixList {
        id: "pl-lb".into(),
        name: "".into(),
        cidrs: vec![net("10.0.1.0/24"), net("10.0.2.0/24")],
    }];
    assert_eq!(to_app(&shop, Protocol::Tcp, Some(8080)).verdict, Verdict::Open);
    shop.prefix_lists[0].cidrs.pop();
    let part = to_app(&shop, Protocol::Tcp, Some(8080));
    assert_eq!((part.verdict, part.partial), (Verdict::Partly, Some(0.5)));
}

#[rstest]
#[case("active", Verdict::Open)]
#[case("deleted", Verdict::Blocked)]
#[case("", Verdict::Unknown)]
fn a_peered_reference_needs_an_active_peering(#[case] status: &str, #[case] verdict: Verdict) {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![SgRule {
        peer: Peer::Group {
            id: "sg-alb".into(),
            owner: "1".into(),
            peering: "pcx-1".into(),
            peering_status: status.into(),
        },
        ..tcp(8080, "10.9.9.9/32")
    }];
    let r = to_app(&shop, Protocol::Tcp, Some(8080));
    assert_eq!(r.verdict, verdict, "{r:#?}");
    if verdict == Verdict::Blocked {
        assert!(r.why().contains("stale rule"), "{}", r.why());
    }
}

#[rstest]
#[case::echo_request(Some((8, 0)), true)]
#[case::any_code(Some((8, -1)), true)]
#[case::any_type(Some((-1, -1)), true)]
#[case::echo_reply_only(Some((0, 0)), false)]
#[case::no_fields(None, true)]
fn icmp_uses_type_and_code(#[case] fields: Option<(i32, i32)>, #[case] open: bool) {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress = vec![rule(Protocol::Icmp, fields, "0.0.0.0/0")];
    let r = to_app(&shop, Protocol::Icmp, None);
    assert_eq!(r.verdict == Verdict::Open, open, "{r:#?}");
}

#[test]
fn a_rule_nobody_can_read_is_a_doubt_and_no_refusal() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress =
        vec![SgRule { peer: Peer::Unreadable("10.0.0/24".into()), ..tcp(8080, "0.0.0.0/0") }];
    let r = to_app(&shop, Protocol::Tcp, Some(8080));
    assert_eq!(r.verdict, Verdict::Unknown);
    assert!(matches!(r.unknown[0].reason, Reason::Malformed { .. }));
}

#[test]
fn a_group_that_was_not_listed_is_a_doubt() {
    let mut shop = Shop::default();
    shop.instances[0].groups = texts(&["sg-elsewhere"]);
    let r = to_app(&shop, Protocol::Tcp, Some(8080));
    assert_eq!(r.verdict, Verdict::Unknown);
    assert_eq!(r.unknown[0].reason, Reason::NotFound { what: "sg-elsewhere".into() });
}

#[test]
fn a_certain_refusal_outweighs_a_doubt() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress.clear();
    let denied = Reason::Denied { action: "ec2:DescribeRouteTables".into() };
    shop.failed.push((Topic::RouteTables(VPC.into()), denied));
    let r = to_app(&shop, Protocol::Tcp, Some(8080));
    assert_eq!(r.verdict, Verdict::Blocked);
    assert!(!r.unknown.is_empty());
}

#[test]
fn an_address_nobody_is_known_to_have_has_unknown_groups() {
    let s = Shop::default().situation();
    let from = Endpoint::LoadBalancer(LB.into());
    let r = evaluate(
        &Network::of(&s),
        &from,
        &Endpoint::Address("10.0.11.77".parse().unwrap()),
        Protocol::Tcp,
        Some(8080),
    );
    assert_eq!(r.verdict, Verdict::Unknown);
    assert_eq!(r.unknown[0].stage, StageKind::SgIngress);
}
