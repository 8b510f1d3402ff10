//! The path evaluator against a plain reference that counts packets, over
//! random small networks.
#![allow(clippy::field_reassign_with_default, reason = "a test spoils one part of a healthy shop")]

#[allow(dead_code)]
mod reference;
mod world;

use badgate::diagnosis::path::{Endpoint, Network, PathReport, Verdict, evaluate, legs};
use badgate::situation::elb::{TargetHealth, Zone};
use badgate::situation::net::{
    AclEntry, Instance, Interface, NetworkAcl, Peer, PrefixList, Protocol, Route, RouteTable, SecurityGroup,
    SgRule,
};
use badgate::situation::{Fact, Reason, Situation, Topic};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use reference::{End, Rules, Truth, truth};
use world::*;

const LINUX: (u16, u16) = (32768, 60999);
const NODES: (u16, u16) = (1024, 65535);
const PORT: u16 = 8080;

/// Subnet, VPC, prefix, first three octets, last octet of its first usable address.
const SUBNETS: [(&str, &str, &str, &str, u8); 3] = [
    ("subnet-1", "vpc-1", "10.0.0.0/28", "10.0.0", 4),
    ("subnet-2", "vpc-1", "10.0.0.16/28", "10.0.0", 20),
    ("subnet-3", "vpc-2", "10.1.0.0/28", "10.1.0", 4),
];

const CIDRS: [&str; 9] = [
    "0.0.0.0/0",
    "10.0.0.0/24",
    "10.0.0.0/28",
    "10.0.0.16/28",
    "10.0.0.0/29",
    "10.0.0.4/31",
    "10.0.0.20/32",
    "10.1.0.0/28",
    "10.1.0.4/30",
];

/// A random network and the ends that talk in it.
#[derive(Clone, Debug)]
struct Net {
    rules: Rules,
    ends: Vec<End>,
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![4 => Just(Protocol::Tcp), 1 => Just(Protocol::Udp), 3 => Just(Protocol::All)]
}

fn peer() -> impl Strategy<Value = Peer> {
    let cidr = select(&CIDRS[..]).prop_map(|c| Peer::Cidr(net(c)));
    let reference = (select(vec!["sg-1", "sg-2", "sg-3"]), select(vec!["", "active", "deleted"])).prop_map(
        |(id, status)| Peer::Group {
            id: id.into(),
            owner: "".into(),
            peering: if status.is_empty() { "".into() } else { "pcx-1".into() },
            peering_status: status.into(),
        },
    );
    prop_oneof![5 => cidr, 3 => reference, 1 => Just(Peer::PrefixList("pl-1".into()))]
}

fn sg_rule() -> impl Strategy<Value = SgRule> {
    let ports = prop_oneof![
        3 => Just(Some((8080, 8080))),
        2 => Just(Some((8000, 9000))),
        1 => Just(Some((1, 79))),
        2 => Just(None)
    ];
    (protocol(), ports, peer()).prop_map(|(protocol, ports, peer)| SgRule {
        protocol,
        from_port: ports.map(|p| p.0),
        to_port: ports.map(|p| p.1),
        peer,
        description: "".into(),
    })
}

fn security_group(id: &'static str, vpc: &'static str) -> impl Strategy<Value = SecurityGroup> {
    let list = || prop::collection::vec(sg_rule(), 0..4);
    // Most worlds should get past the groups, so that the other stages decide too.
    (list(), list(), yes(0.6), yes(0.5)).prop_map(move |(mut ingress, mut egress, out, inn)| {
        if out {
            egress.push(all_traffic("0.0.0.0/0"));
        }
        if inn {
            ingress.push(tcp(8080, "10.0.0.0/8"));
        }
        SecurityGroup { id: id.into(), vpc: vpc.into(), ingress, egress, ..Default::default() }
    })
}

fn yes(p: f64) -> impl Strategy<Value = bool> {
    prop::bool::weighted(p)
}

fn acl_entry() -> impl Strategy<Value = AclEntry> {
    let ports = select(vec![
        None,
        Some((8080, 8080)),
        Some((8000, 9000)),
        Some((1024, 65535)),
        Some((32768, 65535)),
        Some((32768, 60999)),
        Some((1024, 32767)),
        Some((40000, 50000)),
    ]);
    (1u32..300, yes(0.5), yes(0.5), protocol(), select(&CIDRS[..]), ports).prop_map(
        |(number, egress, allow, protocol, cidr, ports)| AclEntry {
            ports: if protocol == Protocol::All { None } else { ports },
            ..entry(number, egress, allow, protocol, cidr, None)
        },
    )
}

fn acl(id: &'static str, subnet: &'static str) -> impl Strategy<Value = NetworkAcl> {
    (prop::collection::vec(acl_entry(), 0..5), yes(0.8)).prop_map(move |(mut entries, open)| {
        // A number is unique per direction.
        let mut seen = Vec::new();
        entries.retain(|e| {
            let fresh = !seen.contains(&(e.number, e.egress));
            seen.push((e.number, e.egress));
            fresh
        });
        if open {
            for egress in [true, false] {
                entries.push(entry(300, egress, true, Protocol::All, "0.0.0.0/0", None));
            }
        }
        entries.push(entry(32767, true, false, Protocol::All, "0.0.0.0/0", None));
        NetworkAcl {
            id: id.into(),
            vpc: "vpc-1".into(),
            subnets: texts(&[subnet]),
            entries,
            ..Default::default()
        }
    })
}

fn routes(local: &'static str) -> impl Strategy<Value = Vec<Route>> {
    let gone = |to: &str, target: &str| Route { active: false, ..route(to, target) };
    let vgw = Route { origin: "EnableVgwRoutePropagation".into(), ..route("10.0.0.16/28", "vgw-1") };
    let far = Route { origin: "EnableVgwRoutePropagation".into(), ..route("10.1.0.0/28", "vgw-1") };
    let extra = vec![
        gone("10.0.0.16/29", "eni-9"),
        gone("10.1.0.0/30", "pcx-9"),
        route("0.0.0.0/0", "igw-1"),
        route("pl-1", "pcx-1"),
        vgw,
        far,
        route("10.0.0.0/28", "eni-8"),
    ];
    (subsequence(extra, 0..3), yes(0.7)).prop_map(move |(mut list, peered)| {
        list.insert(0, route(local, "local"));
        if peered {
            list.push(route("10.1.0.0/28", "pcx-1"));
            list.push(route("10.0.0.0/24", "pcx-1"));
            // A VPC's own range is local already.
            list.retain(|r| r.target.as_str() == "local" || r.destination != list_local(local));
        }
        list
    })
}

fn list_local(local: &str) -> badgate::situation::net::Destination {
    badgate::situation::net::Destination::Cidr(net(local))
}

/// The `nth` end; no two have the same address.
fn end(nth: u8) -> impl Strategy<Value = End> {
    (0usize..3, nth * 2..nth * 2 + 2, subsequence(vec!["sg-1", "sg-2"], 1..=2)).prop_map(
        |(at, host, groups)| {
            let (subnet, vpc, _, head, first) = SUBNETS[at];
            let groups = if vpc == "vpc-2" { vec!["sg-3"] } else { groups };
            End {
                ip: format!("{head}.{}", first + host).parse().unwrap(),
                vpc: vpc.into(),
                subnet: subnet.into(),
                groups: groups.into_iter().map(String::from).collect(),
            }
        },
    )
}

fn network() -> impl Strategy<Value = Net> {
    let groups =
        (security_group("sg-1", "vpc-1"), security_group("sg-2", "vpc-1"), security_group("sg-3", "vpc-2"))
            .prop_map(|(a, b, c)| vec![a, b, c]);
    let acls = (acl("acl-1", "subnet-1"), acl("acl-2", "subnet-2"), acl("acl-3", "subnet-3")).prop_map(
        |(a, b, mut c)| {
            c.vpc = "vpc-2".into();
            vec![a, b, c]
        },
    );
    let tables =
        (routes("10.0.0.0/24"), routes("10.0.0.0/24"), routes("10.1.0.0/28")).prop_map(|(a, b, c)| {
            let main =
                |id: &str, vpc: &str, routes| RouteTable { vpc: vpc.into(), ..table(id, true, &[], routes) };
            vec![
                main("rtb-1", "vpc-1", a),
                table("rtb-2", false, &["subnet-2"], b),
                main("rtb-3", "vpc-2", c),
            ]
            .into_iter()
            .map(|t| if t.id.as_str() == "rtb-2" { RouteTable { vpc: "vpc-1".into(), ..t } } else { t })
            .collect::<Vec<_>>()
        });
    let list = subsequence(CIDRS[1..].to_vec(), 0..3).prop_map(|c| PrefixList {
        id: "pl-1".into(),
        name: "".into(),
        cidrs: c.into_iter().map(net).collect(),
    });
    (groups, acls, tables, list, (end(0), end(1), end(2), end(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d]))
        .prop_map(|(groups, acls, tables, list, ends)| Net {
            rules: Rules { groups, acls, tables, lists: vec![list] },
            ends,
        })
}

/// The observations of a random network, each of which may be withheld.
fn facts(n: &Net, ends_as_instances: bool) -> Vec<(Topic, Fact)> {
    let mut out = Vec::new();
    for vpc in ["vpc-1", "vpc-2"] {
        let v = || vpc.into();
        let mine: Vec<&(&str, &str, &str, &str, u8)> = SUBNETS.iter().filter(|s| s.1 == vpc).collect();
        let subnets = mine
            .iter()
            .map(|s| badgate::situation::net::Subnet { vpc: vpc.into(), ..subnet(s.0, "az", s.2) })
            .collect();
        out.push((Topic::Subnets(v()), Fact::Subnets(subnets)));
        let groups = n.rules.groups.iter().filter(|g| g.vpc.as_str() == vpc).cloned().collect();
        out.push((Topic::SecurityGroups(v()), Fact::SecurityGroups(groups)));
        let acls = n.rules.acls.iter().filter(|g| g.vpc.as_str() == vpc).cloned().collect();
        out.push((Topic::NetworkAcls(v()), Fact::NetworkAcls(acls)));
        let tables = n.rules.tables.iter().filter(|g| g.vpc.as_str() == vpc).cloned().collect();
        out.push((Topic::RouteTables(v()), Fact::RouteTables(tables)));
        let here = n.ends.iter().enumerate().filter(|(_, e)| e.vpc == vpc);
        let names = |e: &End| e.groups.iter().map(|g| g.as_str().into()).collect();
        if ends_as_instances {
            let all = here.map(|(i, e)| Instance {
                vpc: vpc.into(),
                groups: names(e),
                ..instance(&format!("i-{i}"), &e.subnet, &[], &e.ip.to_string())
            });
            out.push((Topic::Instances(v()), Fact::Instances(all.collect())));
        } else {
            let all = here.map(|(i, e)| Interface {
                vpc: vpc.into(),
                groups: names(e),
                ..interface(&format!("eni-{i}"), &e.subnet, &[], &e.ip.to_string())
            });
            out.push((Topic::Interfaces(v()), Fact::Interfaces(all.collect())));
        }
    }
    for l in &n.rules.lists {
        out.push((Topic::PrefixList(l.id.clone()), Fact::PrefixList(l.clone())));
    }
    out
}

fn fold(facts: Vec<(Topic, Fact)>) -> Situation {
    let mut s = Situation::new();
    for (topic, fact) in facts {
        s.apply(&observed(topic, fact));
    }
    s
}

fn agrees(r: &PathReport, t: Truth) -> Result<(), TestCaseError> {
    match t {
        Truth::Open => prop_assert_eq!(r.verdict, Verdict::Open, "{:#?}", r),
        Truth::Blocked => prop_assert_eq!(r.verdict, Verdict::Blocked, "{:#?}", r),
        Truth::Unknown => {
            prop_assert!(matches!(r.verdict, Verdict::Unknown | Verdict::Partly), "{:#?}", r);
        }
        Truth::Partly(share) => {
            prop_assert_eq!(r.verdict, Verdict::Partly, "{:#?}", r);
            let told = r.partial.unwrap();
            prop_assert!((told - share).abs() < 1e-6, "told {told}, is {share}: {r:#?}");
        }
    }
    prop_assert_eq!(r.blocked_by.is_some(), matches!(r.verdict, Verdict::Blocked | Verdict::Partly));
    prop_assert_eq!(r.verdict == Verdict::Open, r.unknown.is_empty() && r.blocked_by.is_none());
    Ok(())
}

fn tcp_path(s: &Situation, from: &Endpoint, to: &Endpoint) -> PathReport {
    evaluate(&Network::of(s), from, to, Protocol::Tcp, Some(PORT))
}

/// A load balancer in the first subnet whose nodes have these addresses.
fn with_balancer(n: &Net, nodes: &[End], known: bool, targets: Vec<TargetHealth>) -> Situation {
    let mut shop = Shop::default();
    shop.lb.zones = vec![Zone { az: "az".into(), subnet: "subnet-1".into() }];
    shop.lb.security_groups = texts(&["sg-1"]);
    shop.lb_interfaces = nodes
        .iter()
        .enumerate()
        .map(|(i, e)| interface(&format!("eni-lb-{i}"), &e.subnet, &["sg-1"], &e.ip.to_string()))
        .collect();
    shop.targets = targets;
    shop.group.port = Some(PORT);
    if !known {
        let denied = Reason::Denied { action: "ec2:DescribeNetworkInterfaces".into() };
        shop.failed.push((Topic::LbInterfaces(LB.into()), denied));
    }
    let mut s = Situation::new();
    let network = |t: &Topic| {
        matches!(
            t,
            Topic::Subnets(_)
                | Topic::SecurityGroups(_)
                | Topic::NetworkAcls(_)
                | Topic::RouteTables(_)
                | Topic::Instances(_)
                | Topic::Interfaces(_)
        )
    };
    for o in shop.observations().iter().filter(|o| !network(&o.topic)) {
        s.apply(o);
    }
    for (t, f) in facts(n, true) {
        s.apply(&observed(t, f));
    }
    s
}

fn node(host: u8) -> End {
    End {
        ip: format!("10.0.0.{host}").parse().unwrap(),
        vpc: "vpc-1".into(),
        subnet: "subnet-1".into(),
        groups: vec!["sg-1".into()],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two interfaces, or two instances: every verdict and every share.
    #[test]
    fn between_two_hosts(n in network(), instances in yes(0.5)) {
        let s = fold(facts(&n, instances));
        let (from, to) = (&n.ends[0], &n.ends[1]);
        let t = truth(&n.rules, std::slice::from_ref(from), to, Protocol::Tcp, PORT, LINUX);
        let kind = |i: usize| if instances {
            Endpoint::Instance(format!("i-{i}").as_str().into())
        } else {
            Endpoint::Interface(format!("eni-{i}").as_str().into())
        };
        agrees(&tcp_path(&s, &kind(0), &kind(1)), t)?;
        // The same ends by address.
        agrees(&tcp_path(&s, &Endpoint::Address(from.ip), &Endpoint::Address(to.ip)), t)?;
    }

    /// Whatever is withheld, nothing becomes open and nothing is invented.
    #[test]
    fn a_gap_never_opens_a_path(n in network(), gaps in prop::collection::vec(yes(0.25), 11)) {
        let whole = tcp_path(&fold(facts(&n, true)), &Endpoint::Instance("i-0".into()), &Endpoint::Instance("i-1".into()));
        let mut some = facts(&n, true);
        for ((topic, fact), gone) in some.iter_mut().zip(&gaps) {
            let keeps = matches!(topic, Topic::Instances(_));
            if *gone && !keeps {
                *fact = Fact::Unknown(Reason::Denied { action: "ec2:Describe".into() });
            }
        }
        let seen = tcp_path(&fold(some), &Endpoint::Instance("i-0".into()), &Endpoint::Instance("i-1".into()));
        let fits = match seen.verdict {
            Verdict::Open => whole.verdict == Verdict::Open,
            Verdict::Blocked => whole.verdict == Verdict::Blocked,
            Verdict::Partly => matches!(whole.verdict, Verdict::Partly | Verdict::Blocked),
            Verdict::Unknown => !seen.unknown.is_empty(),
            Verdict::NotApplicable => false,
        };
        prop_assert!(fits, "whole {:#?} seen {:#?}", whole, seen);
    }

    /// The nodes of a load balancer: several addresses, the wide port range.
    #[test]
    fn from_a_load_balancer(n in network(), hosts in subsequence(vec![4u8, 5, 9, 12], 1..=3)) {
        let nodes: Vec<End> = hosts.iter().map(|h| node(*h)).collect();
        prop_assume!(nodes.iter().all(|e| e.ip != n.ends[0].ip));
        let t = truth(&n.rules, &nodes, &n.ends[0], Protocol::Tcp, PORT, NODES);
        let s = with_balancer(&n, &nodes, true, Vec::new());
        let r = tcp_path(&s, &Endpoint::LoadBalancer(LB.into()), &Endpoint::Instance("i-0".into()));
        agrees(&r, t)?;
    }

    /// Node addresses not known: open only when every address of the subnet
    /// would be, blocked only when none would.
    #[test]
    fn from_a_load_balancer_at_an_unknown_address(n in network()) {
        let subnet: Vec<End> = (0..16).map(node).collect();
        let truths: Vec<Truth> = subnet
            .iter()
            .map(|e| truth(&n.rules, std::slice::from_ref(e), &n.ends[0], Protocol::Tcp, PORT, NODES))
            .collect();
        let s = with_balancer(&n, &[], false, Vec::new());
        let r = tcp_path(&s, &Endpoint::LoadBalancer(LB.into()), &Endpoint::Instance("i-0".into()));
        match r.verdict {
            Verdict::Open => prop_assert!(truths.iter().all(|t| *t == Truth::Open), "{truths:?} {r:#?}"),
            Verdict::Blocked => prop_assert!(truths.iter().all(|t| *t == Truth::Blocked), "{truths:?} {r:#?}"),
            Verdict::Partly => prop_assert!(truths.iter().all(|t| *t != Truth::Open), "{truths:?} {r:#?}"),
            _ => {
                // Several stages that each refuse other addresses may add up to all of them.
                let added_up = truths[0] == Truth::Blocked && r.unknown.len() > 1;
                let mixed =
                    added_up || truths.iter().any(|t| t != &truths[0]) || truths.contains(&Truth::Unknown);
                prop_assert!(mixed, "{truths:?} {r:#?}");
            }
        }
    }

    /// Grouping and sharing of results loses no target and changes no verdict.
    #[test]
    fn legs_tell_each_target_as_a_path_of_its_own(n in network(), hosts in subsequence(vec![13u8, 14], 1..=2)) {
        let nodes: Vec<End> = hosts.iter().map(|h| node(*h)).collect();
        let targets: Vec<TargetHealth> = (0..n.ends.len()).map(|i| health(&format!("i-{i}"), PORT, "healthy", "")).collect();
        let s = with_balancer(&n, &nodes, true, targets);
        let told = legs(&s);
        for (i, e) in n.ends.iter().enumerate() {
            let id = format!("i-{i}");
            let mine: Vec<_> = told.iter().filter(|l| l.targets.iter().any(|t| t.id.as_str() == id)).collect();
            prop_assert_eq!(mine.len(), 1, "{:#?}", told);
            let t = truth(&n.rules, &nodes, e, Protocol::Tcp, PORT, NODES);
            let expected = match t {
                Truth::Open => Verdict::Open,
                Truth::Blocked => Verdict::Blocked,
                Truth::Partly(_) => Verdict::Partly,
                Truth::Unknown => mine[0].verdict,
            };
            prop_assert_eq!(mine[0].verdict, expected, "{:#?}", mine);
            prop_assert!(mine[0].verdict != Verdict::Open || t == Truth::Open);
        }
    }
}
