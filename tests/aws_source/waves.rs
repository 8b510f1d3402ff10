//! Sequential round trips, and the whole picture.

use super::support::{Lab, round_trips};
use super::{Watcher, live, once};
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::Want;
use serde_json::json;

/// Latency that tells waves apart on a busy machine.
const LATENCY: u32 = 400;

fn lb_arn(lab: &Lab) -> String {
    let all = lab.aws("elbv2", "describe_load_balancers", &json!({}));
    all["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap().to_owned()
}

/// Round trips until the first health answer, and until everything is known.
/// A machine that stalls for longer than an answer takes makes two calls of one
/// wave look like two waves, never the other way round: the best of three counts.
#[track_caller]
fn takes(lab: &Lab, target: &str, want: (u64, u64)) {
    let mut all = Vec::new();
    while all.len() < 3 && !all.contains(&want) {
        all.push(trips(lab, target));
    }
    assert_eq!(
        all.iter().min(),
        Some(&want),
        "round trips to health and to the picture of {target}: {all:?}"
    );
}

fn trips(lab: &Lab, target: &str) -> (u64, u64) {
    lab.latency(LATENCY);
    lab.clear_calls();
    let mut w = Watcher::open(lab, target, once());
    w.whole_picture();
    assert_eq!(w.gaps(), [].into(), "{target}");
    let calls = lab.calls();
    let health = calls.iter().filter(|c| c.op == "DescribeTargetHealth").map(|c| c.depth).max().unwrap();
    // Which log groups there are is no part of the static picture: it is looked for last, in several small steps.
    // Nor is what is asked of the surroundings, once it is known that something is wrong.
    let later = ["DescribeInstanceStatus", "ListMetrics", "GetMetricData", "DescribeListenerCertificates"];
    let static_part = |c: &super::support::Call| {
        ["sts", "elbv2", "ec2", "ecs", "cloudwatch"].contains(&c.service.as_str())
            && !later.contains(&c.op.as_str())
    };
    let picture: Vec<_> = calls.into_iter().filter(static_part).collect();
    (health, round_trips(&picture))
}

#[test]
fn health_after_two_round_trips_and_the_picture_after_three() {
    let lab = Lab::start("shop-broken");
    takes(&lab, "shop-alb", (2, 3));
    let arn = lb_arn(&lab);
    takes(&lab, &arn, (2, 3));
    let tg = lab.aws("elbv2", "describe_target_groups", &json!({}));
    let tg = tg["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned();
    let (health, picture) = trips(&lab, &tg);
    assert_eq!(health, 1, "a target group's ARN says all that is needed");
    assert!(picture <= 4, "{picture}");
}

#[test]
fn ecs_takes_one_round_trip_more() {
    let lab = Lab::start("ecs");
    takes(&lab, "web-alb", (2, 4));
}

#[test]
fn addresses_take_no_round_trip_more() {
    let lab = Lab::start("ip-targets");
    takes(&lab, "ip-alb", (2, 3));
}

#[test]
fn the_picture_of_the_broken_shop_is_whole() {
    let lab = Lab::start("shop-broken");
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.whole_picture();
    let s = &w.s;
    assert_eq!(s.identity.value().unwrap().account.as_str(), "123456789012");
    let lb = s.load_balancer().unwrap();
    assert_eq!((lb.kind.as_str(), lb.zones.len()), ("application", 2));
    let state = s.lb().unwrap();
    assert_eq!(state.listeners.value().unwrap().len(), 2);
    assert_eq!(state.rules.values().map(|r| r.value().unwrap().len()).sum::<usize>(), 3);
    assert!(state.attributes.value().unwrap().contains_key("idle_timeout.timeout_seconds"));
    assert!(!state.interfaces.value().unwrap().is_empty());
    let groups = s.active_groups();
    assert_eq!(groups.len(), 1);
    let web = groups[0].1;
    let health = web.health.value().unwrap();
    assert_eq!(health.iter().filter(|t| !t.is_healthy()).count(), 2);
    assert!(health.iter().any(|t| t.reason.as_str() == "Target.Timeout"));
    assert_eq!(
        web.attributes.value().unwrap().get("deregistration_delay.timeout_seconds").unwrap().as_str(),
        "60"
    );
    assert_eq!(s.tags[groups[0].0].get("badgate:log-group").unwrap().as_str(), "/app/shop");
    let vpc = &s.vpcs[&lb.vpc];
    assert_eq!(vpc.instances.value().unwrap().len(), 4);
    assert!(vpc.subnets.value().unwrap().len() >= 4);
    assert!(vpc.security_groups.value().unwrap().len() >= 2);
    assert!(
        vpc.route_tables
            .value()
            .unwrap()
            .iter()
            .any(|r| r.routes.iter().any(|r| r.target.starts_with("nat-")))
    );
    let acls = vpc.network_acls.value().unwrap();
    assert!(
        acls.iter().any(|a| a.entries.iter().any(|e| !e.allow && e.number < 32767)),
        "the entry that denies"
    );
}

#[test]
fn the_picture_of_an_ecs_service_is_whole() {
    let lab = Lab::start("ecs");
    let mut w = Watcher::open(&lab, "web-alb", once());
    w.whole_picture();
    let s = &w.s;
    let groups = s.active_groups();
    let services = groups[0].1.services.value().unwrap();
    assert_eq!(services.len(), 1);
    assert!(services[0].events.iter().any(|e| e.message.contains("steady state")));
    let tasks = s.tasks[&services[0].arn].value().unwrap();
    assert!(tasks.iter().any(|t| t.stop_code.as_str() == "EssentialContainerExited"));
    assert!(tasks.iter().any(|t| t.exits.iter().any(|e| e.contains("exit 137"))));
    assert!(tasks.iter().filter(|t| t.last_status.as_str() == "RUNNING").all(|t| !t.address.is_empty()));
    let definition = s.task_definitions[&services[0].task_definition].value().unwrap();
    assert_eq!(definition.containers[0].log_group.as_str(), "/ecs/web");
    assert_eq!(s.log_groups.value().unwrap()[0].name.as_str(), "/ecs/web", "which the task definition names");
    // The holders of the addresses.
    let lb = s.load_balancer().unwrap();
    assert_eq!(s.vpcs[&lb.vpc].interfaces.value().unwrap().len(), 3);
}

#[test]
fn every_list_is_followed_to_its_last_page() {
    for (world, target) in [("shop-broken", "shop-alb"), ("ecs", "web-alb"), ("ip-targets", "ip-alb")] {
        let whole = Lab::start(world);
        let mut once_read = Watcher::open(&whole, target, once());
        once_read.whole_picture();
        let lab = Lab::start(world);
        // All lists; metrics have hundreds of rows and pages of their own.
        lab.paging(1, "(?!GetMetricData).*");
        let mut paged = Watcher::open(&lab, target, once());
        paged.whole_picture();
        assert_eq!(paged.gaps(), [].into(), "{world}");
        assert_eq!(sizes(&paged), sizes(&once_read), "{world}");
        let calls = lab.calls();
        let twice =
            ["DescribeSecurityGroups", "DescribeSubnets", "DescribeRouteTables", "DescribeNetworkAcls"];
        for op in twice {
            // The VPC of that world has nothing but its default ACL: one page.
            if (world, op) == ("ip-targets", "DescribeNetworkAcls") {
                continue;
            }
            assert!(calls.iter().filter(|c| c.op == op).count() > 1, "{world}: {op} was paged");
        }
    }
}

/// How much is known of each kind.
fn sizes(w: &Watcher) -> Vec<(String, usize)> {
    let s = &w.s;
    let mut all = Vec::new();
    let lb = s.lb().unwrap();
    all.push(("listeners".into(), lb.listeners.value().unwrap().len()));
    let rules = lb.rules.values().map(|r| r.value().unwrap().len());
    all.push(("rules".into(), rules.sum()));
    all.push(("lb interfaces".into(), lb.interfaces.value().unwrap().len()));
    for (_, g) in s.active_groups() {
        all.push((format!("health of {}", g.group.as_ref().unwrap().name), g.health.value().unwrap().len()));
        let services = g.services.value().map_or(0, Vec::len);
        all.push(("services".into(), services));
    }
    let vpc = &s.vpcs[&s.load_balancer().unwrap().vpc];
    all.push(("subnets".into(), vpc.subnets.value().unwrap().len()));
    all.push(("security groups".into(), vpc.security_groups.value().unwrap().len()));
    all.push(("acls".into(), vpc.network_acls.value().unwrap().len()));
    all.push(("tables".into(), vpc.route_tables.value().unwrap().len()));
    all.push(("instances".into(), vpc.instances.value().map_or(0, Vec::len)));
    all.push(("interfaces".into(), vpc.interfaces.value().map_or(0, Vec::len)));
    all.push(("tasks".into(), s.tasks.values().map(|t| t.value().unwrap().len()).sum()));
    all
}

#[test]
fn markers_that_lead_round_in_a_circle_are_refused() {
    let lab = Lab::start("shop");
    let page = "<DescribeListenersResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><DescribeListenersResult><Listeners/><NextMarker>again</NextMarker></DescribeListenersResult></DescribeListenersResponse>";
    lab.fault(&json!({ "op": "DescribeListeners", "canned": page, "ctype": "text/xml" }));
    let mut w = Watcher::open(&lab, "shop-alb", live());
    let gap = w.until("the listeners' gap", |w| w.gap(|t| matches!(t, Topic::Listeners(_))));
    assert!(gap.reason.phrase().contains("circle"), "{}", gap.reason.phrase());
    let asked = lab.calls().iter().filter(|c| c.op == "DescribeListeners").count();
    assert!(asked <= 6, "{asked} calls");
}

#[test]
fn prefix_lists_are_read_with_their_names() {
    let lab = Lab::start("shop");
    let list = lab.aws(
        "ec2",
        "create_managed_prefix_list",
        &json!({
            "PrefixListName": "offices", "MaxEntries": 10, "AddressFamily": "IPv4",
            "Entries": [{ "Cidr": "198.51.100.0/24" }, { "Cidr": "203.0.113.0/25" }],
        }),
    );
    let id = list["PrefixList"]["PrefixListId"].as_str().unwrap().to_owned();
    let lb = lab.aws("elbv2", "describe_load_balancers", &json!({}));
    lab.aws(
        "ec2",
        "authorize_security_group_ingress",
        &json!({
            "GroupId": lb["LoadBalancers"][0]["SecurityGroups"][0],
            "IpPermissions": [{ "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{ "PrefixListId": id }] }],
        }),
    );
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.whole_picture();
    let known = w.s.prefix_lists.iter().find(|(k, _)| k.as_str() == id).unwrap().1.value().unwrap();
    assert_eq!((known.name.as_str(), known.cidrs.len()), ("offices", 2));
    // Without the right to read names the ranges are known all the same.
    lab.fault(&json!({ "op": "DescribeManagedPrefixLists", "kind": "denied" }));
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.whole_picture();
    assert_eq!(w.gaps(), [].into());
    let known = w.s.prefix_lists.iter().find(|(k, _)| k.as_str() == id).unwrap().1.value().unwrap();
    assert_eq!((known.name.as_str(), known.cidrs.len()), ("", 2));
}

#[test]
fn hostile_text_in_tags_and_descriptions_arrives_tamed() {
    let lab = Lab::start("shop");
    let arn = lb_arn(&lab);
    lab.aws(
        "elbv2",
        "add_tags",
        &json!({ "ResourceArns": [arn], "Tags": [{ "Key": "note", "Value": "a\u{202e}b\u{7f}c" }] }),
    );
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.whole_picture();
    let tags = &w.s.tags[w.s.lb_arn().unwrap()];
    let note = tags.get("note").unwrap();
    assert!(!note.contains('\u{202e}') && !note.contains('\u{7f}'), "{note}");
    assert!(note.starts_with('a') && note.contains("202e"), "shown, not dropped: {note}");
}

#[test]
fn calls_are_told_with_their_request_ids() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "DescribeRules", "kind": "denied" }));
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.whole_picture();
    let call = w.until("a call", |w| {
        w.calls.iter().find(|c| c.operation.as_str() == "elbv2:DescribeTargetHealth").cloned()
    });
    assert!(call.failure.is_empty());
    let failed = w.until("a failed call", |w| {
        w.calls.iter().find(|c| c.operation.as_str() == "elbv2:DescribeRules").cloned()
    });
    assert_eq!(failed.failure.as_str(), "AccessDenied");
    let made = lab.calls().len();
    w.until("all calls", |w| (w.calls.len() >= made).then_some(()));
    assert_eq!(w.calls.len(), made, "each call once");
}

/// Not a behaviour but a shape that others rely on: every observation of the
/// source names the operation it came from.
#[test]
fn observations_name_their_operation() {
    let lab = Lab::start("shop");
    let runtime = super::runtime();
    let mut link = {
        let _inside = runtime.enter();
        badgate::sources::aws::start_at(Some(super::place(&lab.endpoint)), "shop-alb".into(), once())
    };
    link.commands
        .blocking_send(badgate::sources::Command::Refresh { id: 1, wants: Want::ALL.to_vec() })
        .unwrap();
    let mut all: Vec<Observation> = Vec::new();
    loop {
        match link.events.blocking_recv().expect("events until done") {
            badgate::sources::Event::Observed(some) => all.extend(some),
            badgate::sources::Event::Done { .. } => break,
            _ => {}
        }
    }
    for o in all.iter().filter(|o| !matches!(o.fact, Fact::Unknown(_))) {
        assert!(o.source.contains(':'), "{} from {}", o.topic, o.source);
    }
}
