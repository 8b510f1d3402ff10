//! What each form of TARGET leads to.

use super::support::Lab;
use super::{Watcher, live, once};
use badgate::sources::{Command, Options};
use serde_json::{Value, json};

fn dns_name(lab: &Lab, name: &str) -> String {
    let all = lab.aws("elbv2", "describe_load_balancers", &json!({ "Names": [name] }));
    all["LoadBalancers"][0]["DNSName"].as_str().unwrap().to_owned()
}

fn lb_arn(lab: &Lab, name: &str) -> String {
    let all = lab.aws("elbv2", "describe_load_balancers", &json!({ "Names": [name] }));
    all["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap().to_owned()
}

fn group_arn(lab: &Lab, name: &str) -> String {
    let all = lab.aws("elbv2", "describe_target_groups", &json!({ "Names": [name] }));
    all["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned()
}

fn listener_arn(lab: &Lab, lb: &str) -> String {
    let all = lab.aws("elbv2", "describe_listeners", &json!({ "LoadBalancerArn": lb }));
    all["Listeners"][0]["ListenerArn"].as_str().unwrap().to_owned()
}

fn resolved(lab: &Lab, target: &str, options: Options) -> badgate::situation::ResolvedTarget {
    let mut w = Watcher::open(lab, target, options);
    w.until(target, |w| w.s.target.value().cloned())
}

#[test]
fn every_form_of_a_target_leads_to_its_load_balancer() {
    let lab = Lab::start("twins");
    let arn = lb_arn(&lab, "shop-alb");
    let dns = dns_name(&lab, "shop-alb");
    let group = group_arn(&lab, "web");
    let listener = listener_arn(&lab, &arn);
    let console = format!(
        "https://us-east-1.console.aws.amazon.com/ec2/home?region=us-east-1#LoadBalancer:loadBalancerArn={};tab=listeners",
        arn.replace(':', "%3A").replace('/', "%2F")
    );
    let table: Vec<(String, &str)> = vec![
        ("shop-alb".into(), "name"),
        (" shop-alb ".into(), "name"),
        (arn.clone(), "arn"),
        (listener, "arn"),
        (group.clone(), "arn"),
        ("web".into(), "target group name"),
        (dns.clone(), "dns name"),
        (format!("{}.", dns.to_uppercase()), "dns name"),
        (format!("dualstack.{dns}"), "dns name"),
        (format!("https://{dns}/cart?a=1"), "dns name"),
        (format!("http://{dns}:8080"), "dns name"),
        (console, "arn"),
    ];
    for (target, by) in table {
        let got = resolved(&lab, &target, live());
        assert_eq!((got.lb.as_str(), got.matched_by.as_str()), (arn.as_str(), by), "{target}");
        assert_eq!(got.asked.as_str(), target.trim(), "as typed");
        let only = if target == group || target == "web" { group.as_str() } else { "" };
        assert_eq!(got.target_group.as_str(), only, "{target}");
    }
}

#[test]
fn a_host_name_is_matched_by_the_addresses_behind_it() {
    let lab = Lab::start("shop");
    let arn = lb_arn(&lab, "shop-alb");
    // By the addresses of the load balancer's interfaces.
    let cards = lab.aws(
        "ec2",
        "describe_network_interfaces",
        &json!({ "Filters": [{ "Name": "description", "Values": ["ELB app/shop-alb/*"] }] }),
    );
    let address = cards["NetworkInterfaces"][0]["PrivateIpAddress"]
        .as_str()
        .expect("an interface of the load balancer");
    let options = Options { resolve: vec![format!("shop.example.com:443:{address}")], ..live() };
    let got = resolved(&lab, "https://shop.example.com/", options.clone());
    assert_eq!((got.lb.as_str(), got.matched_by.as_str()), (arn.as_str(), "addresses"));
    assert_eq!((got.host.as_str(), got.addresses[0].as_str()), ("shop.example.com", address));
    // By the addresses that its own DNS name resolves to, where no interface tells.
    let dns = dns_name(&lab, "shop-alb");
    let options = Options {
        resolve: vec!["shop.example.com:443:203.0.113.9".into(), format!("{dns}:443:203.0.113.9")],
        ..live()
    };
    let got = resolved(&lab, "https://shop.example.com/", options);
    assert_eq!((got.lb.as_str(), got.matched_by.as_str()), (arn.as_str(), "addresses"));
    // An address that is somebody else's.
    let host = lab.aws("ec2", "describe_instances", &Value::Object(serde_json::Map::default()));
    let other = host["Reservations"][0]["Instances"][0]["PrivateIpAddress"].as_str().unwrap();
    let mut w = Watcher::open(&lab, other, once());
    let line = w.until("a line", |w| w.no_target.first().cloned());
    assert!(line.contains("belongs to eni-") && line.contains("not to a load balancer"), "{line}");
}

#[test]
fn several_load_balancers_at_one_address_are_offered() {
    let lab = Lab::start("twins");
    let (one, two) = (dns_name(&lab, "shop-alb"), dns_name(&lab, "shop-api"));
    let to = |name: &str| format!("{name}:443:203.0.113.9");
    let options = Options { resolve: vec![to("shop.example.com"), to(&one), to(&two)], ..live() };
    let mut w = Watcher::open(&lab, "shop.example.com", options);
    let list = w.until("candidates", |w| w.candidates.clone()).0;
    let mut names: Vec<&str> = list.iter().map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["shop-alb", "shop-api"]);
    assert!(w.s.target.value().is_none());
    w.send(Command::Choose(list[0].arn.clone()));
    w.until("the chosen one", |w| w.health_known());
    assert_eq!(w.s.lb_arn(), Some(&list[0].arn));
}

#[test]
fn without_a_target_everything_is_listed_worst_first() {
    let lab = Lab::start("twins");
    lab.paging(2, "DescribeLoadBalancers");
    let mut w = Watcher::open(&lab, "", live());
    let list = w.until("the sorted list", |w| {
        let (list, more) = w.candidates.as_ref()?;
        (!more && list.iter().any(|c| c.errors.is_some())).then(|| list.clone())
    });
    assert_eq!(list.len(), 5, "all pages");
    assert_eq!(list[0].name.as_str(), "shop-api", "the one with errors comes first");
    assert!(list[0].errors.unwrap() > 0.0);
    let network = list.iter().find(|c| c.name.as_str() == "shop-nlb").unwrap();
    assert_eq!((network.kind.as_str(), network.errors), ("network", None), "not known is not zero");
    assert!(list.iter().all(|c| c.region.as_str() == "us-east-1" && !c.dns_name.is_empty()));
    assert!(w.lists >= 3, "pages are shown as they come: {}", w.lists);
}

#[test]
fn what_is_not_there_is_one_line() {
    let lab = Lab::start("twins");
    let gone =
        |kind: &str, rest: &str| format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:{kind}/{rest}");
    let foreign =
        "arn:aws:elasticloadbalancing:us-east-1:999999999999:loadbalancer/app/shop/50dc6c495c0c9188";
    let table = [
        (
            "shop-abl".to_owned(),
            vec!["named shop-abl", "nearest: shop-alb", "account 123456789012", "us-east-1"],
        ),
        ("zebra".to_owned(), vec!["named zebra", "5 there"]),
        (gone("loadbalancer", "app/nope/50dc6c495c0c9188"), vec!["no load balancer nope", "123456789012"]),
        (gone("targetgroup", "nope/50dc6c495c0c9188"), vec!["no target group nope"]),
        (foreign.to_owned(), vec!["belongs to account 999999999999", "--profile"]),
        ("shop-ab-1.us-east-1.elb.amazonaws.com".to_owned(), vec!["DNS name shop-ab-1", "nearest: shop-"]),
        ("https://user:pw@shop.example.com".to_owned(), vec!["user name or password"]),
        ("my shop".to_owned(), vec!["neither"]),
        ("203.0.113.99".to_owned(), vec!["203.0.113.99", "no load balancer's"]),
    ];
    for (target, want) in table {
        let mut w = Watcher::open(&lab, &target, once());
        let line = w.until(&target, |w| w.no_target.first().cloned());
        for part in want {
            assert!(line.contains(part), "{target}: {line} lacks {part}");
        }
        assert!(!line.contains('\n') && !line.contains("pw@"), "{line}");
    }
    let options = Options { region: Some("eu-west-1".into()), ..once() };
    let mut w = Watcher::open(&lab, "shop-alb", options);
    let line = w.until("the wrong region", |w| w.no_target.first().cloned());
    assert!(line.contains("region eu-west-1") && line.contains("--region"), "{line}");
    let empty = Lab::start("empty");
    let mut w = Watcher::open(&empty, "", once());
    let line = w.until("an empty account", |w| w.no_target.first().cloned());
    assert!(line.contains("there is no load balancer"), "{line}");
}

#[test]
fn the_region_in_an_arn_or_dns_name_wins() {
    let lab = Lab::start("shop");
    let options = Options { region: Some("eu-west-1".into()), ..live() };
    let arn = lb_arn(&lab, "shop-alb");
    for target in [arn.clone(), dns_name(&lab, "shop-alb")] {
        let mut w = Watcher::open(&lab, &target, options.clone());
        w.until("health in the region of the target", |w| w.health_known());
        assert_eq!(w.s.lb_arn().map(|a| a.as_str()), Some(arn.as_str()));
        assert_eq!(w.until("who", |w| w.s.identity.value().cloned()).region.as_str(), "us-east-1");
    }
    assert!(lab.calls().iter().all(|c| c.region == "us-east-1"), "nothing is asked in the wrong region");
}

#[test]
fn a_group_of_no_load_balancer_says_so() {
    let lab = Lab::start("shop");
    let vpc = lab.names()["network"]["vpc"].clone();
    let made = lab.aws(
        "elbv2",
        "create_target_group",
        &json!({ "Name": "orphan", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "instance" }),
    );
    let arn = made["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned();
    for target in [arn.as_str(), "orphan"] {
        let mut w = Watcher::open(&lab, target, once());
        let line = w.until("a line", |w| w.no_target.first().cloned());
        assert!(line.contains("orphan is attached to no load balancer"), "{line}");
    }
}

#[test]
fn another_target_replaces_the_first() {
    let lab = Lab::start("twins");
    let mut w = Watcher::open(&lab, "no-such", live());
    w.until("the line", |w| w.no_target.first().cloned());
    w.send(Command::Open("payments".into()));
    w.until("the second target", |w| w.health_known());
    assert_eq!(w.s.load_balancer().unwrap().name.as_str(), "payments");
    w.send(Command::Open("shop-api".into()));
    w.until("the third target", |w| {
        w.s.load_balancer().filter(|lb| lb.name.as_str() == "shop-api")?;
        w.health_known()
    });
}
