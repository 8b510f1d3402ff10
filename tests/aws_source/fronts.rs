//! What stands in front of a load balancer or without one: how many round
//! trips it takes to see it all, and what of it is another account's.

use super::places::{BOTH, NEAR, ONE, TWO, balancer, two_accounts};
use super::program::{document, run_with, stdout};
use super::support::{Answer, Fake, Lab, Seen, round_trips};
use super::{Watcher, once};
use serde_json::json;
use std::time::{Duration, Instant};

/// Latency that tells waves apart on a busy machine.
const LATENCY: u32 = 400;

/// Round trips until all that does not hang on trouble is known.
fn trips(lab: &Lab, target: &str) -> u64 {
    lab.latency(LATENCY);
    lab.clear_calls();
    let mut w = Watcher::open(lab, target, once());
    w.whole_picture();
    assert_eq!(w.gaps(), [].into(), "{target}");
    let calls = lab.calls();
    // Not counted: series, rows and changes, which are asked of what is known by then, log groups, which are looked for
    // last, and what zones, caches and deployments say besides.
    let whole = ["sts", "cloudfront", "apigateway", "apigatewayv2", "lambda", "elbv2", "elb", "ec2", "ecs"];
    let later = ["DescribeInstanceStatus", "DescribeListenerCertificates"];
    let counted: Vec<_> = calls
        .into_iter()
        .filter(|c| whole.contains(&c.service.as_str()) && !later.contains(&c.op.as_str()))
        .collect();
    assert!(counted.len() >= 3, "{counted:?}");
    round_trips(&counted)
}

/// A machine that stalls makes two calls of one wave look like two waves,
/// never the other way round: the best of three counts.
#[track_caller]
fn within(lab: &Lab, target: &str, most: u64) {
    let mut all = Vec::new();
    while all.len() < 3 && all.iter().all(|n| *n > most) {
        all.push(trips(lab, target));
    }
    assert!(
        all.iter().any(|n| *n <= most),
        "{target} took {all:?} round trips one after the other, not {most}"
    );
}

fn distribution(lab: &Lab, at: (&str, &str), origin: &str) -> String {
    let origin = json!({ "Id": "alb", "DomainName": origin, "CustomOriginConfig": {
        "HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only" } });
    let behavior = json!({ "TargetOriginId": "alb", "ViewerProtocolPolicy": "allow-all",
        "ForwardedValues": { "QueryString": false, "Cookies": { "Forward": "none" } }, "MinTTL": 0 });
    let config = json!({ "DistributionConfig": { "CallerReference": "c", "Comment": "", "Enabled": true,
        "Origins": { "Quantity": 1, "Items": [origin] }, "DefaultCacheBehavior": behavior } });
    let made = lab.aws_in(at, "cloudfront", "create_distribution", &config);
    made["Distribution"]["Id"].as_str().unwrap().to_owned()
}

const API: &str = "a1b2c3d4e5";

/// Answers as API Gateway gives them for a REST API with one method,
/// integrated with this URI. Everything else is not found.
fn api(fake: &Fake, key: &str, delay: Duration, kind: &str, uri: &str) {
    fake.on("*", Answer::json_error(404, "NotFoundException", "there is none"));
    let base = format!("GET /restapis/{API}");
    let integration = json!({ "type": kind, "httpMethod": "POST", "uri": uri });
    let resources = json!({ "item": [{ "id": "r1", "path": "/",
        "resourceMethods": { "GET": { "httpMethod": "GET", "methodIntegration": integration } } }] });
    let all = [
        (
            base.clone(),
            json!({ "id": API, "name": "orders", "endpointConfiguration": { "types": ["REGIONAL"] } }),
        ),
        (format!("{base}/stages"), json!({ "item": [{ "stageName": "prod", "deploymentId": "d1" }] })),
        (format!("{base}/resources?embed=methods&limit=500"), resources),
        ("GET /vpclinks?limit=500".into(), json!({ "item": [] })),
    ];
    for (operation, answer) in all {
        fake.on_key(key, &operation, Answer::json(&answer.to_string()).after(delay));
    }
}

/// How many of these requests had to wait for one another, if each is answered
/// after `delay`.
fn rounds(mut all: Vec<Seen>, delay: Duration) -> u64 {
    all.sort_by_key(|s| s.at);
    let mut depths: Vec<(Instant, u64)> = Vec::new();
    for s in &all {
        let before = depths.iter().filter(|(at, _)| *at + delay <= s.at).map(|(_, n)| *n).max();
        depths.push((s.at, before.unwrap_or(0) + 1));
    }
    depths.into_iter().map(|d| d.1).max().unwrap_or(0)
}

const HERE: (&str, &str) = (NEAR, "LABWORLD");

#[test]
fn a_distribution_before_a_load_balancer_is_known_after_five_round_trips() {
    let lab = Lab::start("shop");
    let lb = lab.aws("elbv2", "describe_load_balancers", &json!({}));
    let id = distribution(&lab, HERE, lb["LoadBalancers"][0]["DNSName"].as_str().unwrap());
    within(&lab, &id, 5);
}

#[test]
fn an_api_before_a_function_is_known_after_three_round_trips() {
    let delay = Duration::from_millis(u64::from(LATENCY));
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:orders";
    let uri = format!("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations");
    let mut all = Vec::new();
    while all.len() < 3 && all.iter().all(|n| *n > 3) {
        let fake = Fake::start();
        api(&fake, "AKIALAB", delay, "AWS_PROXY", &uri);
        let path = format!("GET /2015-03-31/functions/{}", arn.replace(':', "%3A"));
        let config = json!({ "FunctionArn": arn, "FunctionName": "orders", "State": "Active", "Timeout": 3 });
        fake.on(&format!("{path}/configuration"), Answer::json(&config.to_string()).after(delay));
        let mut w = Watcher::open_at(&fake.endpoint, API, once());
        w.whole_picture();
        let f = w.s.functions.values().next().and_then(|d| d.value()).expect("the function");
        assert_eq!((f.name.as_str(), f.timeout_s), ("orders", Some(3)));
        let known = w.s.fronts.apis.values().next().and_then(|d| d.value()).expect("the API");
        assert_eq!((known.stages.len(), known.integrations.len(), known.gaps.len()), (1, 1, 0));
        let counted = |s: &Seen| s.operation.contains("/restapis/") || s.operation.contains("/functions/");
        let seen: Vec<Seen> = fake.requests().into_iter().filter(counted).collect();
        assert!(seen.len() >= 4, "{seen:?}");
        all.push(rounds(seen, delay));
    }
    assert!(all.iter().any(|n| *n <= 3), "{all:?} round trips one after the other");
}

#[test]
fn an_api_before_a_load_balancer_of_another_account_is_followed() {
    let (lab, fake) = (Lab::start("empty"), Fake::start());
    let home = tempfile::tempdir().unwrap();
    let mut env = two_accounts(&lab, home.path());
    // API Gateway is answered here: the emulator has no such API.
    for name in ["AWS_ENDPOINT_URL_API_GATEWAY", "AWS_ENDPOINT_URL_APIGATEWAYV2"] {
        env.push((name.into(), fake.endpoint.clone()));
    }
    let (_, dns) = balancer(&lab, (NEAR, TWO), "inner-alb");
    api(&fake, &Lab::key_of(ONE), Duration::ZERO, "HTTP_PROXY", &format!("http://{dns}/"));
    let check = || run_with(&[&["check", API, "--json", "--no-probe"][..], &BOTH[..]].concat(), env.clone());
    let doc = document(&check());
    let hops = doc["situation"]["hops"].to_string();
    assert!(hops.contains("orders") && hops.contains("inner-alb"), "{doc:#}");
    let calls = lab.calls();
    let keys =
        |op: &str| calls.iter().filter(|c| c.op == op).map(|c| c.access_key.clone()).collect::<Vec<_>>();
    assert!(!keys("DescribeListeners").is_empty());
    assert!(
        keys("DescribeListeners").iter().all(|k| *k == Lab::key_of(TWO)),
        "{:?}",
        keys("DescribeListeners")
    );
    let metrics = keys("GetMetricData");
    assert!(
        metrics.contains(&Lab::key_of(ONE)) && metrics.contains(&Lab::key_of(TWO)),
        "each in its own: {metrics:?}"
    );
    let stages = fake.requests_of(&format!("GET /restapis/{API}/stages"));
    assert!(!stages.is_empty() && stages.iter().all(|s| s.signed_scope().unwrap().0 == Lab::key_of(ONE)));
    // What stands behind may not be read there: the API is told of all the same.
    lab.fault(&json!({ "kind": "denied", "svc": "elbv2", "key": Lab::key_of(TWO) }));
    let doc = document(&check());
    assert!(doc["situation"]["hops"].to_string().contains("orders"), "{doc:#}");
}

#[test]
fn a_path_is_looked_for_in_every_place_given() {
    let lab = Lab::start("empty");
    let home = tempfile::tempdir().unwrap();
    let env = two_accounts(&lab, home.path());
    balancer(&lab, (NEAR, TWO), "inner-alb");
    let path = |more: &[&str]| {
        let ask = ["path", "internet", "inner-alb:80", "--json"];
        run_with(&[&ask[..], more].concat(), env.clone())
    };
    let out = path(&BOTH);
    let doc = document(&out);
    let text = doc.to_string();
    assert!(
        !text.contains("not asked") && doc["verdict"].as_str().is_some_and(|v| v != "unknown"),
        "{doc:#}"
    );
    let asked = lab.calls();
    for account in [ONE, TWO] {
        assert!(asked.iter().any(|c| c.access_key == Lab::key_of(account)), "{account} was not asked");
    }
    // In one of them only, it is in none.
    let out = path(&BOTH[..2]);
    assert!(stdout(&out).contains("unknown"), "{}", stdout(&out));
    // One place that fails is named, and the other one decides.
    lab.fault(&json!({ "kind": "expired", "key": Lab::key_of(ONE) }));
    let out = path(&BOTH);
    let again = document(&out);
    assert_eq!(again["verdict"], doc["verdict"], "{again:#}");
}
