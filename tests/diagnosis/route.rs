//! Routes: most specific first, whatever its target; gateways; peering.

use crate::world::*;
use badgate::diagnosis::path::{Endpoint, Network, PathReport, StageKind, Verdict, evaluate};
use badgate::situation::net::{Interface, PrefixList, Protocol, Route, RouteTable, Subnet};
use badgate::situation::{Fact, Reason, Topic};
use rstest::rstest;

fn path(shop: &Shop, from: Endpoint, to: Endpoint) -> PathReport {
    let s = shop.situation();
    evaluate(&Network::of(&s), &from, &to, Protocol::Tcp, Some(8080))
}

fn lb() -> Endpoint {
    Endpoint::LoadBalancer(LB.into())
}

fn app() -> Endpoint {
    Endpoint::Instance("i-a".into())
}

fn with_pub_route(r: Route) -> PathReport {
    let mut shop = Shop::default();
    shop.table("rtb-pub").routes.push(r);
    path(&shop, lb(), app())
}

fn gone(to: &str, target: &str) -> Route {
    Route { active: false, ..route(to, target) }
}

#[test]
fn a_more_specific_blackhole_swallows() {
    let r = with_pub_route(gone("10.0.11.0/24", "eni-gone"));
    let by = r.blocked_by.unwrap();
    assert_eq!(
        (by.stage, by.id.as_str(), by.rule.as_str()),
        (StageKind::Route, "rtb-pub", "10.0.11.0/24 -> eni-gone")
    );
    assert!(by.why.contains("blackhole"), "{}", by.why);
}

#[test]
fn a_less_specific_blackhole_does_not_matter() {
    assert_eq!(with_pub_route(gone("10.0.0.0/8", "pcx-gone")).verdict, Verdict::Open);
}

#[test]
fn a_middlebox_is_a_doubt_and_references_do_not_match_behind_it() {
    let r = with_pub_route(route("10.0.11.0/24", "eni-fw"));
    assert_eq!(r.blocked_by.unwrap().stage, StageKind::SgIngress);
    let mut shop = Shop::default();
    shop.table("rtb-pub").routes.push(route("10.0.11.0/24", "eni-fw"));
    shop.sg("sg-app").ingress = vec![tcp(8080, "10.0.0.0/16")];
    assert_eq!(path(&shop, lb(), app()).verdict, Verdict::Unknown);
}

#[test]
fn a_static_route_beats_a_propagated_one() {
    let propagated = |to: &str| Route { origin: "EnableVgwRoutePropagation".into(), ..route(to, "vgw-1") };
    // More specific, but never against the local route.
    assert_eq!(with_pub_route(propagated("10.0.11.0/24")).verdict, Verdict::Open);
    let mut shop = Shop::default();
    shop.table("rtb-main").routes.extend([propagated("0.0.0.0/0"), route("0.0.0.0/0", "igw-1")]);
    shop.interfaces = vec![Interface {
        public_addresses: vec!["198.51.100.9".parse().unwrap()],
        ..interface("eni-a", "subnet-app-a", &["sg-app"], "10.0.11.40")
    }];
    let r = path(&shop, Endpoint::Interface("eni-a".into()), Endpoint::Internet);
    assert_eq!(r.verdict, Verdict::Open, "{r:#?}");
}

#[test]
fn the_main_table_serves_subnets_that_name_none() {
    let mut shop = Shop::default();
    shop.table("rtb-main").routes.clear();
    let by = path(&shop, lb(), app()).blocked_by.unwrap();
    assert_eq!(
        (by.stage, by.id.as_str(), by.rule.as_str()),
        (StageKind::ReturnRoute, "rtb-main", "no route")
    );
}

#[test]
fn prefix_list_destinations_are_expanded() {
    let mut shop = Shop::default();
    shop.table("rtb-pub").routes.push(gone("pl-1", "tgw-1"));
    assert_eq!(path(&shop, lb(), app()).verdict, Verdict::Unknown);
    shop.prefix_lists =
        vec![PrefixList { id: "pl-1".into(), name: "".into(), cidrs: vec![net("10.0.11.0/28")] }];
    assert_eq!(path(&shop, lb(), app()).verdict, Verdict::Blocked);
    shop.prefix_lists[0].cidrs = vec![net("10.99.0.0/16")];
    assert_eq!(path(&shop, lb(), app()).verdict, Verdict::Open);
}

#[test]
fn a_gateway_endpoint_nobody_expanded_is_not_in_the_way() {
    assert_eq!(with_pub_route(route("pl-s3", "vpce-1")).verdict, Verdict::Open);
}

#[test]
fn the_internet_reaches_a_public_load_balancer_only_by_its_gateway() {
    let mut shop = Shop::default();
    let from = || Endpoint::Internet;
    let s = shop.situation();
    let open = evaluate(&Network::of(&s), &from(), &lb(), Protocol::Tcp, Some(443));
    assert_eq!(open.verdict, Verdict::Open, "{open:#?}");
    shop.table("rtb-pub").routes.pop();
    let s = shop.situation();
    let by = evaluate(&Network::of(&s), &from(), &lb(), Protocol::Tcp, Some(443)).blocked_by.unwrap();
    assert_eq!((by.stage, by.rule.as_str()), (StageKind::ReturnRoute, "no route"));
    shop.table("rtb-pub").routes.push(route("0.0.0.0/0", "nat-1"));
    let s = shop.situation();
    let by = evaluate(&Network::of(&s), &from(), &lb(), Protocol::Tcp, Some(443)).blocked_by.unwrap();
    assert!(by.why.contains("NAT gateway's address"), "{}", by.why);
}

#[test]
fn an_internal_load_balancer_is_not_reached_from_the_internet() {
    let mut shop = Shop::default();
    shop.lb.scheme = "internal".into();
    let s = shop.situation();
    let by =
        evaluate(&Network::of(&s), &Endpoint::Internet, &lb(), Protocol::Tcp, Some(443)).blocked_by.unwrap();
    assert_eq!((by.stage, by.rule.as_str()), (StageKind::Route, "no public address"));
}

#[test]
fn some_of_the_internet_is_not_the_internet() {
    let mut shop = Shop::default();
    shop.sg("sg-alb").ingress = vec![tcp(443, "203.0.113.0/24")];
    let s = shop.situation();
    let r = evaluate(&Network::of(&s), &Endpoint::Internet, &lb(), Protocol::Tcp, Some(443));
    assert_eq!(r.verdict, Verdict::Partly);
    assert!(r.blocked_by.unwrap().why.contains("203.0.113.0/24 only"));
    // A single banned address does not make it closed.
    shop.sg("sg-alb").ingress = vec![tcp(443, "0.0.0.0/0")];
    shop.acl("acl-pub").entries.push(entry(50, false, false, Protocol::All, "203.0.113.7/32", None));
    let s = shop.situation();
    let r = evaluate(&Network::of(&s), &Endpoint::Internet, &lb(), Protocol::Tcp, Some(443));
    assert_eq!(r.verdict, Verdict::Open, "{r:#?}");
    let s = shop.situation();
    let banned = Endpoint::Address("203.0.113.7".parse().unwrap());
    let r = evaluate(&Network::of(&s), &banned, &lb(), Protocol::Tcp, Some(443));
    assert_eq!(r.blocked_by.unwrap().rule.as_str(), "50");
}

fn nat_world() -> Shop {
    let mut shop = Shop::default();
    shop.table("rtb-main").routes.push(route("0.0.0.0/0", "nat-1"));
    shop
}

#[test]
fn out_by_a_nat_gateway_when_its_own_subnet_gets_out() {
    let mut shop = nat_world();
    let unseen = path(&shop, app(), Endpoint::Internet);
    assert_eq!(unseen.verdict, Verdict::Unknown, "the gateway itself was not seen");
    let nat = |subnet: &str| Interface {
        kind: "nat_gateway".into(),
        description: "Interface for NAT Gateway nat-1".into(),
        public_addresses: vec!["198.51.100.77".parse().unwrap()],
        ..interface("eni-nat", subnet, &[], "10.0.1.200")
    };
    shop.interfaces = vec![nat("subnet-pub-a")];
    assert_eq!(path(&shop, app(), Endpoint::Internet).verdict, Verdict::Open);
    shop.interfaces = vec![nat("subnet-app-a")];
    let by = path(&shop, app(), Endpoint::Internet).blocked_by.unwrap();
    assert!(by.why.contains("without a way to the internet"), "{}", by.why);
}

#[test]
fn out_by_an_internet_gateway_needs_a_public_address() {
    let mut shop = Shop::default();
    shop.table("rtb-main").routes.push(route("0.0.0.0/0", "igw-1"));
    assert_eq!(path(&shop, app(), Endpoint::Internet).verdict, Verdict::Unknown);
    shop.interfaces = vec![interface("eni-a", "subnet-app-a", &["sg-app"], "10.0.11.10")];
    let r = path(&shop, Endpoint::Interface("eni-a".into()), Endpoint::Internet);
    assert!(r.blocked_by.unwrap().why.contains("no public address"));
}

/// A second VPC behind a peering connection, with one instance in it.
fn peered(back: Option<Route>) -> Shop {
    let mut shop = Shop::default();
    let far: fn() -> badgate::text::SafeText = || "vpc-2".into();
    shop.table("rtb-pub").routes.push(route("10.9.0.0/16", "pcx-1"));
    let mut routes = vec![route("10.9.0.0/16", "local")];
    routes.extend(back);
    let subnet = Subnet { vpc: far(), ..subnet("subnet-far", "az", "10.9.1.0/24") };
    let mut acl = open_acl("acl-far", &["subnet-far"]);
    acl.vpc = far();
    let mut sg = group("sg-far", vec![tcp(8080, "10.0.0.0/16")], vec![]);
    sg.vpc = far();
    let table = RouteTable { vpc: far(), ..table("rtb-far", true, &[], routes) };
    let mut i = instance("i-far", "subnet-far", &["sg-far"], "10.9.1.10");
    i.vpc = far();
    shop.more = [
        (Topic::Subnets(far()), Fact::Subnets(vec![subnet])),
        (Topic::NetworkAcls(far()), Fact::NetworkAcls(vec![acl])),
        (Topic::SecurityGroups(far()), Fact::SecurityGroups(vec![sg])),
        (Topic::RouteTables(far()), Fact::RouteTables(vec![table])),
        (Topic::Instances(far()), Fact::Instances(vec![i])),
    ]
    .map(|(t, f)| observed(t, f))
    .to_vec();
    shop
}

#[test]
fn peering_needs_a_route_on_both_sides() {
    let far = || Endpoint::Instance("i-far".into());
    let r = path(&peered(Some(route("10.0.0.0/16", "pcx-1"))), lb(), far());
    assert_eq!(r.verdict, Verdict::Open, "{r:#?}");
    let by = path(&peered(None), lb(), far()).blocked_by.unwrap();
    assert_eq!((by.stage, by.id.as_str()), (StageKind::ReturnRoute, "rtb-far"));
    let back = gone("10.0.0.0/16", "pcx-1");
    assert_eq!(path(&peered(Some(back)), lb(), far()).verdict, Verdict::Blocked);
}

#[rstest]
#[case("tgw-1")]
#[case("vgw-1")]
#[case("pcx-2")]
#[case("vpce-gwlb")]
fn what_lies_behind_is_not_seen(#[case] target: &str) {
    let mut shop = Shop::default();
    shop.table("rtb-pub").routes.push(route("10.50.0.0/16", target));
    let r = path(&shop, lb(), Endpoint::Address("10.50.1.1".parse().unwrap()));
    assert_eq!(r.verdict, Verdict::Unknown);
    assert!(r.unknown.iter().any(|u| u.what.contains(target)), "{:#?}", r.unknown);
}

#[test]
fn an_internet_gateway_carries_no_private_addresses() {
    let r = path(&Shop::default(), lb(), Endpoint::Address("10.50.1.1".parse().unwrap()));
    assert!(r.blocked_by.unwrap().why.contains("private addresses"));
}

#[test]
fn ends_that_are_not_there_are_unknown_with_the_reason() {
    let mut shop = Shop::default();
    let r = path(&shop, lb(), Endpoint::Instance("i-none".into()));
    assert_eq!(r.unknown[0].reason, Reason::NotFound { what: "i-none".into() });
    let denied = Reason::Denied { action: "ec2:DescribeInstances".into() };
    shop.failed.push((Topic::Instances(VPC.into()), denied.clone()));
    assert_eq!(path(&shop, lb(), app()).unknown[0].reason, denied);
}

#[test]
fn endpoints_are_read_as_people_write_them() {
    let s = Shop::default().situation();
    let read = |t: &str| Endpoint::parse(t, &s);
    assert_eq!(read("internet"), Some(Endpoint::Internet));
    assert_eq!(read("i-a"), Some(app()));
    assert_eq!(read("eni-1"), Some(Endpoint::Interface("eni-1".into())));
    assert_eq!(read("10.0.0.1"), Some(Endpoint::Address("10.0.0.1".parse().unwrap())));
    assert_eq!(read("[2600::1]"), Some(Endpoint::Address("2600::1".parse().unwrap())));
    for name in ["shop", LB, "Shop-1.us-east-1.elb.amazonaws.com"] {
        assert_eq!(read(name), Some(lb()), "{name}");
    }
    assert_eq!(read("nobody"), None);
}

#[test]
fn the_report_has_the_documented_shape() {
    let mut shop = Shop::default();
    shop.sg("sg-app").ingress.clear();
    let v = serde_json::to_value(path(&shop, lb(), app())).unwrap();
    let keys: Vec<&String> = v.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["schema", "from", "to", "protocol", "port", "verdict", "blocked_by", "forward", "return", "unknown"]
    );
    assert_eq!(v["schema"], "badgate.path/1");
    assert_eq!((&v["from"], &v["to"]), (&"shop".into(), &"i-a".into()));
    assert_eq!((&v["protocol"], &v["port"], &v["verdict"]), (&"tcp".into(), &8080.into(), &"blocked".into()));
    assert_eq!(v["blocked_by"]["stage"], "sg-ingress");
    assert_eq!(v["blocked_by"]["id"], "sg-app");
    assert_eq!(v["forward"].as_array().unwrap().len(), 5);
    assert_eq!(v["return"].as_array().unwrap().len(), 3);
    assert_eq!(v["forward"][0]["decision"], "allow");
    let open = serde_json::to_value(path(&Shop::default(), lb(), app())).unwrap();
    assert_eq!((&open["verdict"], &open["blocked_by"]), (&"open".into(), &serde_json::Value::Null));
}
