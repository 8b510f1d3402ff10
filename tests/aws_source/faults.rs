//! Each call failing in each way. Only its own topic suffers, what it was is
//! said, and it heals by itself.

use super::support::Lab;
use super::{Watcher, live};
use badgate::sources::{Command, Want};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The world it is tried in, the operation, and the topics that fall with it.
const CALLS: &[(&str, &str, &str, &[&str])] = &[
    ("shop", "shop-alb", "GetCallerIdentity", &["caller identity"]),
    ("shop", "shop-alb", "DescribeLoadBalancers", &["load balancer"]),
    ("shop", "shop-alb", "DescribeListeners", &["listeners"]),
    ("shop", "shop-alb", "DescribeRules", &["listener rules"]),
    ("shop", "shop-alb", "DescribeLoadBalancerAttributes", &["load balancer attributes"]),
    ("shop", "shop-alb", "DescribeTargetGroups", &["target groups"]),
    ("shop", "shop-alb", "DescribeTargetGroupAttributes", &["target group attributes"]),
    ("shop", "shop-alb", "DescribeTargetHealth", &["target health"]),
    ("shop", "shop-alb", "DescribeTags", &["tags"]),
    ("shop", "shop-alb", "DescribeInstances", &["instances"]),
    ("ecs", "web-alb", "DescribeNetworkInterfaces", &["load balancer interfaces", "network interfaces"]),
    ("shop", "shop-alb", "DescribeSecurityGroups", &["security groups"]),
    ("shop", "shop-alb", "DescribeNetworkAcls", &["network ACLs"]),
    ("shop", "shop-alb", "DescribeRouteTables", &["route tables"]),
    ("shop", "shop-alb", "DescribeSubnets", &["subnets"]),
    ("shop", "shop-alb", "GetMetricData", &["metrics", "metrics of targets"]),
    ("shop", "shop-alb", "DescribeLogGroups", &["log groups"]),
    ("ecs", "web-alb", "ListClusters", &["ECS services"]),
    ("ecs", "web-alb", "ListServices", &["ECS services"]),
    ("ecs", "web-alb", "DescribeServices", &["ECS services"]),
    ("ecs", "web-alb", "ListTasks", &["ECS tasks"]),
    ("ecs", "web-alb", "DescribeTasks", &["ECS tasks"]),
    ("ecs", "web-alb", "DescribeTaskDefinition", &["task definition"]),
    ("shop", "shop-alb", "DescribeListenerCertificates", &["listener certificates"]),
    ("shop", "shop-alb", "DescribeCertificate", &["certificate"]),
    ("shop", "shop-alb", "GetWebACLForResource", &["web ACL"]),
    // What is asked only when something is wrong.
    ("shop-broken", "shop-alb", "ListDeployments", &["CodeDeploy deployments"]),
    ("shop-broken", "shop-alb", "POST /TraceSummaries", &["traces"]),
    ("shop-broken", "shop-alb", "DescribeInstanceStatus", &["instance status"]),
    ("shop-broken", "shop-alb", "DescribeAutoScalingGroups", &["Auto Scaling groups"]),
    ("shop-broken", "shop-alb", "LookupEvents", &["changes"]),
];

/// A fault as the emulator takes it, and the word for it.
fn faults(op: &str) -> Vec<(Value, &'static str)> {
    let mut all = vec![
        (json!({ "kind": "denied" }), "denied"),
        (json!({ "kind": "throttle" }), "throttled"),
        (json!({ "kind": "expired" }), "credentials"),
        (json!({ "kind": "internal" }), "failed"),
        (json!({ "truncate": true }), "unreadable"),
        (json!({ "drop": "mid" }), "unreadable"),
        (json!({ "drop": "rst" }), "offline"),
        (json!({ "hang": true }), "timed out"),
    ];
    // One operation of each protocol.
    if ["DescribeTargetHealth", "DescribeSubnets", "ListClusters", "GetMetricData"].contains(&op) {
        let page = "<html><body>502 Bad Gateway</body></html>";
        all.push((json!({ "canned": page, "ctype": "text/html", "status": 502 }), "failed"));
        all.push((json!({ "canned": "", "status": 200 }), "unreadable"));
        all.push((json!({ "drop": "before" }), "offline"));
    }
    all
}

/// Topics of the family of an operation: throttling stops all of it for a while.
fn family(op: &str) -> BTreeSet<&'static str> {
    let elb = [
        "load balancer",
        "listeners",
        "listener rules",
        "load balancer attributes",
        "target groups",
        "target group attributes",
        "target health",
        "tags",
        "listener certificates",
    ];
    let ec2 = [
        "instances",
        "load balancer interfaces",
        "network interfaces",
        "security groups",
        "network ACLs",
        "route tables",
        "subnets",
        "prefix list",
        "instance status",
    ];
    let ecs = ["ECS services", "ECS tasks", "task definition"];
    let of: &[&[&str]] = &[
        &elb,
        &ec2,
        &ecs,
        &["caller identity"],
        &["metrics", "metrics of targets"],
        &["log groups", "access log"],
        &[
            "certificate",
            "Auto Scaling groups",
            "databases",
            "function",
            "web ACL",
            "CodeDeploy deployments",
            "caches",
            "traces",
        ],
        &["changes"],
    ];
    let all = CALLS.iter().find(|c| c.2 == op).unwrap().3;
    of.iter().find(|f| f.contains(&all[0])).unwrap().iter().copied().collect()
}

/// Emulators at a time: the tables run side by side, and a machine that is too
/// busy to answer makes faults of its own.
struct Places(Mutex<usize>, Condvar);

static PLACES: Places = Places(Mutex::new(4), Condvar::new());

impl Places {
    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.1.wait_while(lock(), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        *lock() += 1;
        self.1.notify_one();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn try_one(world: &str, target: &str, op: &str, hit: &[&str], fault: &Value, word: &str) {
    let lab = Lab::start(world);
    let mut order = fault.clone();
    order["op"] = json!(op);
    lab.fault(&order);
    let case = format!("{op} with {fault}");
    let mut w = Watcher::open(&lab, target, live());
    w.refresh(1, &Want::ALL);
    let hit: BTreeSet<String> = hit.iter().map(ToString::to_string).collect();
    w.until(&format!("{case}: the gap"), |w| {
        let met = w.gaps();
        (hit.is_subset(&met) && w.done.contains(&1)).then_some(())
    });
    for (topic, gap) in w.failed() {
        if hit.contains(topic.name()) {
            assert_eq!(gap.reason.word(), word, "{case}: {topic}: {}", gap.reason.phrase());
        } else {
            assert_eq!(word, "throttled", "{case}: {topic} fell too: {}", gap.reason.phrase());
            assert!(family(op).contains(topic.name()), "{case}: {topic} is of another family");
        }
    }
    if word == "denied" {
        let gap = w.failed().next().unwrap().1;
        // Of what has no operation in its request, the path says which it is.
        let name = op.rsplit('/').next().unwrap_or(op);
        assert!(gap.reason.phrase().contains(name), "the missing action is named: {}", gap.reason.phrase());
    }
    lab.clear_faults();
    match word {
        // A refusal is asked again once a minute: a person presses r.
        "denied" => w.refresh(2, &Want::ALL),
        "credentials" => w.send(Command::ReloadCredentials),
        _ => {}
    }
    w.until(&format!("{case}: healing"), |w| {
        (w.gaps().is_empty() && w.health_known().is_some()).then_some(())
    });
}

/// Runs the cases of some faults side by side: they mostly wait.
fn table(words: &[&str]) {
    let cases: Vec<_> = CALLS
        .iter()
        .flat_map(|c| faults(c.2).into_iter().map(move |f| (c, f)))
        .filter(|(c, (_, word))| words.contains(word) && !(c.2 == "GetCallerIdentity" && *word == "denied"))
        .collect();
    assert!(!cases.is_empty());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || {
            while let Some((c, (fault, word))) =
                cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
            {
                PLACES.within(|| try_one(c.0, c.1, c.2, c.3, fault, word));
            }
        };
        let all: Vec<_> = (0..6).map(|_| scope.spawn(worker)).collect();
        for handle in all {
            if let Err(panic) = handle.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn each_call_denied() {
    table(&["denied"]);
}

#[test]
fn each_call_throttled() {
    table(&["throttled"]);
}

#[test]
fn each_call_with_expired_credentials() {
    table(&["credentials"]);
}

#[test]
fn each_call_failing_at_the_service() {
    table(&["failed"]);
}

#[test]
fn each_answer_cut_short() {
    table(&["unreadable"]);
}

#[test]
fn each_connection_lost() {
    table(&["offline"]);
}

#[test]
fn each_call_hanging() {
    table(&["timed out"]);
}

#[test]
fn a_failure_keeps_the_last_known_value() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-alb", live());
    w.until("health", |w| w.health_known());
    lab.fault(&json!({ "op": "DescribeTargetHealth", "drop": "rst" }));
    w.refresh(1, &[Want::Health]);
    w.until("the gap", |w| w.gaps().contains("target health").then_some(()));
    let groups = w.s.active_groups();
    let health = &groups[0].1.health;
    assert_eq!(health.value().unwrap().len(), 4, "what was seen stays");
    assert!(!health.is_current(), "and is marked as old");
}

#[test]
fn credentials_that_fail_at_first_are_found_without_restart() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "kind": "expired" }));
    let mut w = Watcher::open(&lab, "shop-alb", live());
    let line = w.until("one clear line", |w| w.no_target.first().cloned());
    assert!(line.contains("shop-alb cannot be looked up") && line.contains("expired"), "{line}");
    lab.clear_faults();
    w.send(Command::ReloadCredentials);
    w.until("the picture after all", |w| w.health_known());
    assert_eq!(w.no_target.len(), 1, "said once: {:?}", w.no_target);
}

#[test]
fn a_network_that_is_down_at_the_start_is_waited_out() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "drop": "before" }));
    let mut w = Watcher::open(&lab, "shop-alb", live());
    w.until("the gap", |w| w.gaps().contains("target").then_some(()));
    assert!(w.no_target.is_empty(), "what passes is no reason to give up: {:?}", w.no_target);
    lab.clear_faults();
    w.until("the picture after all", |w| w.health_known());
}

#[test]
fn a_wrong_clock_is_named_and_signed_around() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "DescribeTags", "kind": "skew", "date_offset": -7200 }));
    let mut w = Watcher::open(&lab, "shop-alb", live());
    let gap = w.until("the gap", |w| w.gap(|t| t.name() == "tags"));
    assert!(gap.reason.phrase().contains("clock"), "{}", gap.reason.phrase());
}

#[test]
fn asked_once_what_may_pass_is_tried_again_and_what_may_not_is_said() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "DescribeRules", "kind": "throttle", "times": 2 }));
    lab.fault(&json!({ "op": "DescribeSubnets", "drop": "rst", "times": 3 }));
    lab.fault(&json!({ "op": "DescribeTags", "kind": "denied" }));
    let mut w = Watcher::open(&lab, "shop-alb", super::once());
    w.whole_picture();
    assert_eq!(w.gaps(), ["tags".to_owned()].into());
    lab.fault(&json!({ "op": "DescribeRules", "drop": "rst" }));
    let mut w = Watcher::open(&lab, "shop-alb", super::once());
    w.whole_picture();
    assert!(w.gaps().contains("listener rules"), "given up in the end: {:?}", w.gaps());
}
