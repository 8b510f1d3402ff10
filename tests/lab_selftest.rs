//! The emulator itself: that it answers as AWS does where it matters, fails as told, counts what it is asked, and leaves
//! nothing behind. The SDK is not needed for that: a request is routed by the scope in its Authorization header.
mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::http::{self, Reply};
use support::{Lab, eventually, lab, round_trips};

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

fn scope(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIALAB/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0000"
    )
}

/// A call in the query protocol (`elasticloadbalancing`, `ec2`, `sts`): the form without its Version.
fn query(lab: &Lab, service: &str, form: &str) -> std::io::Result<Reply> {
    let version = match service {
        "ec2" => "2016-11-15",
        "sts" => "2011-06-15",
        _ => "2015-12-01",
    };
    let body = format!("{form}&Version={version}");
    let headers = [("authorization", &*scope(service)), ("content-type", FORM)];
    http::request(&lab.endpoint, "POST", "/", &headers, body.as_bytes())
}

/// A call in the JSON protocol; `target` is the value of X-Amz-Target.
fn json_call(lab: &Lab, service: &str, target: &str, body: &Value) -> std::io::Result<Reply> {
    let scope = scope(service);
    let headers = [
        ("authorization", &*scope),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target),
    ];
    http::request(&lab.endpoint, "POST", "/", &headers, body.to_string().as_bytes())
}

fn logs(lab: &Lab, operation: &str, body: &Value) -> Value {
    let reply = json_call(lab, "logs", &format!("Logs_20140328.{operation}"), body).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).expect("JSON")
}

fn ok(reply: std::io::Result<Reply>) -> String {
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.whole);
    reply.text()
}

/// What stands between `<tag>` and `</tag>`, each time.
fn values(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&*open).skip(1).filter_map(|rest| rest.split(&*close).next()).map(str::to_owned).collect()
}

fn code(reply: &Reply) -> String {
    values(&reply.text(), "Code").first().cloned().unwrap_or_else(|| {
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        body["__type"].as_str().unwrap_or_default().to_owned()
    })
}

#[test]
fn every_protocol_is_answered_in_kind() {
    let lab = Lab::start("shop");
    let balancers =
        ok(query(&lab, "elasticloadbalancing", "Action=DescribeLoadBalancers&Names.member.1=shop-alb"));
    assert_eq!(values(&balancers, "LoadBalancerName"), ["shop-alb"]);
    let groups = ok(query(&lab, "ec2", "Action=DescribeSecurityGroups"));
    assert!(values(&groups, "groupName").contains(&"sg-alb".to_owned()));
    let account = ok(query(&lab, "sts", "Action=GetCallerIdentity"));
    assert_eq!(values(&account, "Account"), ["123456789012"]);
    let found = logs(&lab, "DescribeLogGroups", &json!({ "logGroupNamePrefix": "/app/shop" }));
    assert_eq!(found["logGroups"][0]["logGroupName"], "/app/shop");

    let missing =
        query(&lab, "elasticloadbalancing", "Action=DescribeLoadBalancers&Names.member.1=nix").expect("one");
    assert_eq!((missing.status, &*code(&missing)), (400, "LoadBalancerNotFound"));
    let unknown = query(&lab, "ec2", "Action=MakeCoffee").expect("one");
    assert_eq!(code(&unknown), "InvalidAction");
    let other = json_call(&lab, "swf", "SimpleWorkflowService.Nothing", &json!({})).expect("an answer");
    assert_eq!(other.status, 501, "{}", other.text());
}

#[test]
fn cloudwatch_is_served_in_cbor() {
    let lab = Lab::start("shop");
    // {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount"}
    let mut body = vec![0xa2];
    for text in ["Namespace", "AWS/ApplicationELB", "MetricName", "RequestCount"] {
        body.push(0x60 | u8::try_from(text.len()).expect("short"));
        body.extend_from_slice(text.as_bytes());
    }
    let scope = scope("monitoring");
    let headers = [
        ("authorization", &*scope),
        ("content-type", "application/cbor"),
        ("smithy-protocol", "rpc-v2-cbor"),
    ];
    let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
    let reply = http::request(&lab.endpoint, "POST", path, &headers, &body).expect("an answer");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/cbor")));
    assert_eq!(reply.header("smithy-protocol"), Some("rpc-v2-cbor"));
    assert!(reply.text().contains("RequestCount") && !reply.text().contains("HTTPCode"), "{}", reply.text());

    lab.fault(&json!({ "kind": "throttle", "svc": "cloudwatch" }));
    let reply = http::request(&lab.endpoint, "POST", path, &headers, &body).expect("an answer");
    assert_eq!((reply.status, reply.body[0]), (400, 0xa2));
    assert!(reply.text().contains("__type") && reply.text().contains("ThrottlingException"));
}

#[test]
fn metrics_stand_on_whole_minutes_and_tell_the_story() {
    let lab = Lab::start("shop-broken");
    let dimension = lab.names()["load_balancers"]["shop-alb"]["arn"].as_str().expect("an ARN").to_owned();
    let dimension = dimension.split_once("loadbalancer/").expect("an ARN").1.to_owned();
    let metric = |name: &str| {
        let dimensions = json!([{ "Name": "LoadBalancer", "Value": dimension }]);
        let stat = json!({ "Metric": { "Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions },
                           "Period": 60, "Stat": "Sum" });
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
        let body = json!({ "MetricDataQueries": [{ "Id": "m", "MetricStat": stat }],
                           "StartTime": now - 1800, "EndTime": now, "ScanBy": "TimestampAscending" });
        let reply = json_call(&lab, "monitoring", "GraniteServiceVersion20100801.GetMetricData", &body);
        let answer: Value = serde_json::from_str(&ok(reply)).expect("JSON");
        let result = answer["MetricDataResults"][0].clone();
        let times: Vec<f64> =
            result["Timestamps"].as_array().expect("times").iter().filter_map(Value::as_f64).collect();
        let values: Vec<f64> =
            result["Values"].as_array().expect("values").iter().filter_map(Value::as_f64).collect();
        assert_eq!(times.len(), values.len());
        assert!(times.iter().all(|t| t % 60.0 == 0.0), "{times:?}");
        assert!(times.is_sorted());
        values
    };
    assert!(metric("RequestCount").len() >= 28);
    assert!(metric("HTTPCode_ELB_502_Count").iter().sum::<f64>() > 10.0);
    assert!(metric("TargetConnectionErrorCount").iter().sum::<f64>() > 10.0);
    // Absent, not zero: no request was answered with that.
    assert!(metric("HTTPCode_ELB_503_Count").is_empty());
}

#[test]
fn every_list_is_paged_when_the_world_asks_for_it() {
    let lab = Lab::start("shop-broken");
    let arn = lab.names()["load_balancers"]["shop-alb"]["arn"].as_str().expect("an ARN").to_owned();
    let listener = lab.names()["listeners"]["shop-alb:443"].as_str().expect("an ARN").to_owned();
    lab.aws(
        "elbv2",
        "create_load_balancer",
        &json!({ "Name": "another", "Subnets": lab.names()["network"]["public"] }),
    );
    lab.aws(
        "elbv2",
        "create_target_group",
        &json!({ "Name": "spare", "Protocol": "HTTP", "Port": 80,
                                                     "VpcId": lab.names()["network"]["vpc"] }),
    );
    let elb = "elasticloadbalancing";
    for (service, form, row, token_in, token_out) in [
        (elb, "Action=DescribeLoadBalancers".to_owned(), "LoadBalancerArn", "Marker", "NextMarker"),
        (elb, "Action=DescribeTargetGroups".to_owned(), "TargetGroupName", "Marker", "NextMarker"),
        (
            elb,
            format!("Action=DescribeListeners&LoadBalancerArn={arn}"),
            "ListenerArn",
            "Marker",
            "NextMarker",
        ),
        (elb, format!("Action=DescribeRules&ListenerArn={listener}"), "RuleArn", "Marker", "NextMarker"),
        ("ec2", "Action=DescribeSecurityGroups".to_owned(), "groupDescription", "NextToken", "nextToken"),
        ("ec2", "Action=DescribeNetworkInterfaces".to_owned(), "macAddress", "NextToken", "nextToken"),
        ("ec2", "Action=DescribeSubnets".to_owned(), "subnetArn", "NextToken", "nextToken"),
        ("ec2", "Action=DescribeNetworkAcls".to_owned(), "entrySet", "NextToken", "nextToken"),
        ("ec2", "Action=DescribeRouteTables".to_owned(), "routeSet", "NextToken", "nextToken"),
        ("ec2", "Action=DescribeInstances".to_owned(), "reservationId", "NextToken", "nextToken"),
        ("ec2", "Action=DescribeManagedPrefixLists".to_owned(), "prefixListArn", "NextToken", "nextToken"),
    ] {
        lab.paging(0, ".*");
        let whole = ok(query(&lab, service, &form));
        let all = values(&whole, row);
        assert!(all.len() > 1 && values(&whole, token_out).is_empty(), "{form}: {whole}");
        lab.paging(1, ".*");
        let (mut found, mut token) = (Vec::new(), String::new());
        for page in 0.. {
            assert!(page < 50, "{form} never ends");
            let next = if token.is_empty() { String::new() } else { format!("&{token_in}={token}") };
            let answer = ok(query(&lab, service, &format!("{form}{next}")));
            let rows = values(&answer, row);
            assert_eq!(rows.len(), 1, "{form}");
            found.extend(rows);
            match values(&answer, token_out).first() {
                Some(t) => token = t.replace('=', "%3D"),
                None => break,
            }
        }
        assert_eq!(found, all, "{form}");
    }
}

#[test]
fn page_sizes_are_those_of_the_api() {
    let lab = Lab::start("shop");
    let refused = query(&lab, "ec2", "Action=DescribeSubnets&MaxResults=2").expect("an answer");
    assert_eq!((refused.status, &*code(&refused)), (400, "InvalidParameterValue"));
    let id = lab.names()["instances"]["web-1"].as_str().expect("an id").to_owned();
    let both =
        query(&lab, "ec2", &format!("Action=DescribeInstances&MaxResults=5&InstanceId.1={id}")).expect("one");
    assert_eq!(code(&both), "InvalidParameterCombination");
    let two = ok(query(&lab, "elasticloadbalancing", "Action=DescribeTargetGroups&PageSize=1"));
    assert_eq!(values(&two, "TargetGroupName"), ["web"]);
}

#[test]
fn log_events_are_filtered_paged_and_never_lost_behind_an_empty_page() {
    let lab = Lab::start("shop");
    let group = "/app/payments";
    for text in ["GET / 200", "ERROR one", "ERROR two kinds", "WARN three"] {
        lab.tail(&json!({ "group": group, "message": text }));
    }
    let messages = |body: Value| -> Vec<String> {
        let answer = logs(&lab, "FilterLogEvents", &body);
        answer["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|e| e["message"].as_str().unwrap_or("").into())
            .collect()
    };
    let with = |pattern: &str| messages(json!({ "logGroupName": group, "filterPattern": pattern }));
    assert_eq!(with("").len(), 4);
    assert_eq!(with("ERROR"), ["ERROR one", "ERROR two kinds"]);
    assert_eq!(with("ERROR -two"), ["ERROR one"]);
    assert_eq!(with("?one ?three"), ["ERROR one", "WARN three"]);
    assert_eq!(with("\"two kinds\""), ["ERROR two kinds"]);
    assert_eq!(with("%[0-9]{3}%"), ["GET / 200"]);

    lab.paging(1, "FilterLogEvents");
    let (mut found, mut token, mut empty) = (Vec::new(), Value::Null, 0);
    loop {
        let mut body = json!({ "logGroupName": group });
        if !token.is_null() {
            body["nextToken"] = token;
        }
        let answer = logs(&lab, "FilterLogEvents", &body);
        let events = answer["events"].as_array().expect("events").clone();
        assert!(events.len() <= 1);
        empty += usize::from(events.is_empty());
        found.extend(events.iter().map(|e| e["message"].as_str().unwrap_or("").to_owned()));
        token = answer["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(found, ["GET / 200", "ERROR one", "ERROR two kinds", "WARN three"]);
    assert!(empty > 0, "AWS may answer an empty page with a token, so the emulator does");
}

#[test]
fn faults_speak_the_language_of_each_service() {
    let lab = Lab::start("empty");
    for (kind, balancing, ec2, logs) in [
        ("throttle", (400, "Throttling"), (503, "RequestLimitExceeded"), (400, "ThrottlingException")),
        ("denied", (403, "AccessDenied"), (403, "UnauthorizedOperation"), (400, "AccessDeniedException")),
        ("expired", (403, "ExpiredToken"), (400, "RequestExpired"), (400, "ExpiredTokenException")),
        ("badkey", (403, "InvalidClientTokenId"), (401, "AuthFailure"), (400, "UnrecognizedClientException")),
        ("internal", (500, "InternalFailure"), (500, "InternalError"), (500, "InternalFailure")),
    ] {
        lab.fault(&json!({ "kind": kind, "retry_after": 7 }));
        let replies = [
            (query(&lab, "elasticloadbalancing", "Action=DescribeLoadBalancers"), balancing),
            (query(&lab, "ec2", "Action=DescribeVpcs"), ec2),
            (json_call(&lab, "logs", "Logs_20140328.DescribeLogGroups", &json!({})), logs),
        ];
        for (reply, (status, name)) in replies {
            let reply = reply.expect("an answer");
            assert_eq!((reply.status, &*code(&reply)), (status, name), "{kind}");
            assert_eq!(reply.header("retry-after"), Some("7"));
        }
        lab.clear_faults();
    }
    let denied = json!({ "kind": "denied", "op": "DescribeLoadBalancers" });
    lab.fault(&denied);
    let text = query(&lab, "elasticloadbalancing", "Action=DescribeLoadBalancers").expect("an answer").text();
    assert!(text.contains("elasticloadbalancing:DescribeLoadBalancers"), "{text}");
    ok(query(&lab, "ec2", "Action=DescribeVpcs"));
}

#[test]
fn faults_choose_their_calls() {
    let lab = Lab::start("empty");
    let vpcs = || query(&lab, "ec2", "Action=DescribeVpcs").expect("an answer").status;
    lab.fault(&json!({ "op": "DescribeVpcs", "kind": "throttle", "skip": 1, "times": 2 }));
    assert_eq!([vpcs(), vpcs(), vpcs(), vpcs()], [200, 503, 503, 200]);
    lab.fault(&json!({ "op": "Describe.*", "match": "Names.member.1=bad", "code": "Odd", "status": 418 }));
    let named = |n: &str| {
        query(&lab, "elasticloadbalancing", &format!("Action=DescribeLoadBalancers&Names.member.1={n}"))
    };
    assert_eq!(named("bad").expect("an answer").status, 418);
    assert_eq!(code(&named("good").expect("an answer")), "LoadBalancerNotFound");
    let refused =
        http::request(&lab.endpoint, "POST", "/_lab/faults", &[], br#"{"oops": 1}"#).expect("an answer");
    assert_eq!(refused.status, 400, "a fault with a typing error must not pass for one");
}

#[test]
fn faults_of_the_line() {
    let lab = Lab::start("shop");
    let ask = || query(&lab, "elasticloadbalancing", "Action=DescribeLoadBalancers");
    let whole = ok(ask());
    let with = |fault: Value| {
        lab.clear_faults();
        lab.fault(&fault);
        ask()
    };
    assert_eq!(with(json!({ "drop": "before" })).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(with(json!({ "drop": "rst" })).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let half = with(json!({ "drop": "mid" })).expect("half an answer");
    assert!(!half.whole && half.body.len() == whole.len() / 2);
    let cut = with(json!({ "truncate": true })).expect("an answer");
    assert!(cut.whole && cut.body.len() == whole.len() / 2, "correctly framed, but only half the document");
    assert_eq!(ok(with(json!({ "trickle": 0.001 }))), whole);
    let html = with(json!({ "canned": "<html>502</html>", "status": 502, "ctype": "text/html" }))
        .expect("an answer");
    assert_eq!((html.status, &*html.text()), (502, "<html>502</html>"));
    let skewed = with(json!({ "date_offset": -86400 })).expect("an answer");
    let now = with(json!({ "headers": { "x-lab": "here" } })).expect("an answer");
    assert_ne!(skewed.header("date"), now.header("date"));
    assert_eq!(now.header("x-lab"), Some("here"));
}

#[test]
fn a_hanging_call_is_let_go_when_faults_end() {
    let lab = Lab::start("empty");
    lab.fault(&json!({ "op": "DescribeVpcs", "hang": true }));
    std::thread::scope(|s| {
        let asked = s.spawn(|| query(&lab, "ec2", "Action=DescribeVpcs").expect("an answer").status);
        eventually("the call to arrive", || lab.calls().iter().any(|c| c.op == "DescribeVpcs").then_some(()));
        assert!(lab.calls().iter().all(|c| c.end_ms.is_none()), "it hangs");
        // Another call is not held up by it.
        ok(query(&lab, "ec2", "Action=DescribeSubnets"));
        lab.clear_faults();
        assert_eq!(asked.join().expect("the asking thread"), 200);
    });
}

#[test]
fn connections_are_kept_open() {
    let lab = Lab::start("empty");
    let mut stream = http::connect(&lab.endpoint).expect("a connection");
    let scope = scope("ec2");
    for _ in 0..3 {
        let headers = [("authorization", &*scope), ("content-type", FORM)];
        http::send(&mut stream, "POST", "/", &headers, b"Action=DescribeVpcs&Version=2016-11-15")
            .expect("sent");
        assert_eq!(http::read_reply(&mut stream).expect("an answer").status, 200);
    }
    let calls = lab.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|c| c.connection == calls[0].connection && c.region == "us-east-1"));
    assert!(calls.iter().all(|c| c.access_key == "AKIALAB" && c.service == "ec2" && c.status == 200));
}

#[test]
fn the_log_of_calls_counts_round_trips() {
    let lab = Lab::start("empty");
    ok(query(&lab, "ec2", "Action=DescribeVpcs"));
    lab.latency(150);
    lab.clear_calls();
    let ask = |op: &str| ok(query(&lab, "ec2", &format!("Action={op}")));
    ask("DescribeVpcs");
    std::thread::scope(|s| {
        for op in ["DescribeSubnets", "DescribeSecurityGroups", "DescribeNetworkAcls"] {
            s.spawn(move || ask(op));
        }
    });
    ask("DescribeRouteTables");
    let calls = lab.calls();
    let depth = |op: &str| calls.iter().find(|c| c.op == op).map(|c| c.depth);
    assert_eq!(depth("DescribeVpcs"), Some(1));
    for op in ["DescribeSubnets", "DescribeSecurityGroups", "DescribeNetworkAcls"] {
        assert_eq!(depth(op), Some(2));
    }
    assert_eq!((depth("DescribeRouteTables"), round_trips(&calls)), (Some(3), 3));
}

#[test]
fn health_is_what_the_test_says() {
    let lab = Lab::start("shop-broken");
    let names = lab.names();
    let group = names["target_groups"]["web"].as_str().expect("an ARN").to_owned();
    let ask = || {
        ok(query(
            &lab,
            "elasticloadbalancing",
            &format!("Action=DescribeTargetHealth&TargetGroupArn={group}"),
        ))
    };
    let states = |xml: &str| {
        let mut states = values(xml, "State");
        states.retain(|s| s != "no_override");
        states.sort();
        states
    };
    let xml = ask();
    assert_eq!(states(&xml), ["healthy", "healthy", "unhealthy", "unhealthy"]);
    assert!(xml.contains("Target.Timeout") && values(&xml, "HealthCheckPort").iter().all(|p| p == "8080"));
    let id = names["story"]["healthy"][0].as_str().expect("an id").to_owned();
    lab.health("web", &id, "unhealthy", Some("Target.ResponseCodeMismatch"));
    assert!(ask().contains("Health checks failed with these codes"));
    lab.health("*", "*", "draining", Some("Target.DeregistrationInProgress"));
    assert_eq!(states(&ask()), ["draining"; 4], "what was said last holds");
    lab.control("DELETE", "health", &Value::Null);
    assert_eq!(states(&ask()), states(&xml), "without a word from the test it is the world's story again");
    lab.aws("ec2", "stop_instances", &json!({ "InstanceIds": [id] }));
    assert!(ask().contains("Target.InvalidState"));
}

#[test]
fn the_account_looks_like_aws_where_moto_does_not() {
    let lab = Lab::start("shop-broken");
    let names = lab.names();
    let acl = names["network_acls"]["nacl-app-b"].as_str().expect("an id").to_owned();
    let show = || ok(query(&lab, "ec2", &format!("Action=DescribeNetworkAcls&NetworkAclId.1={acl}")));
    let numbers = values(&show(), "ruleNumber");
    assert_eq!(numbers.iter().filter(|n| *n == "32767").count(), 2, "{numbers:?}");
    assert!(numbers.contains(&"90".to_owned()));
    let delete = format!("Action=DeleteNetworkAclEntry&NetworkAclId={acl}&RuleNumber=90&Egress=false");
    let dry = query(&lab, "ec2", &format!("{delete}&DryRun=true")).expect("an answer");
    assert_eq!((dry.status, &*code(&dry)), (412, "DryRunOperation"));
    assert_eq!(values(&show(), "ruleNumber"), numbers, "a dry run changes nothing");
    ok(query(&lab, "ec2", &delete));
    assert_ne!(values(&show(), "ruleNumber"), numbers);

    let arn = names["load_balancers"]["shop-alb"]["arn"].as_str().expect("an ARN").to_owned();
    let description = format!("ELB {}", arn.split_once("loadbalancer/").expect("an ARN").1);
    let filter =
        format!("Action=DescribeNetworkInterfaces&Filter.1.Name=description&Filter.1.Value.1={description}");
    let interfaces = ok(query(&lab, "ec2", &filter.replace(' ', "+")));
    assert_eq!(
        values(&interfaces, "privateIpAddress").len(),
        4,
        "two nodes, each address twice in the answer"
    );
    assert!(interfaces.contains("amazon-elb"));
    let attributes = ok(query(
        &lab,
        "elasticloadbalancing",
        &format!("Action=DescribeLoadBalancerAttributes&LoadBalancerArn={arn}"),
    ));
    assert!(
        attributes.contains("client_keep_alive.seconds")
            && attributes.contains("idle_timeout.timeout_seconds")
    );
    let listeners =
        ok(query(&lab, "elasticloadbalancing", &format!("Action=DescribeListeners&LoadBalancerArn={arn}")));
    assert!(listeners.contains("<ForwardConfig>") && listeners.contains("<TargetGroupArn>"), "{listeners}");
    assert_eq!(values(&listeners, "SslPolicy").len(), 1, "HTTP has none");
}

#[test]
fn every_world_stands() {
    let listed =
        Command::new(lab::python()).arg(lab::folder().join("start.py")).arg("--list").output().expect("run");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let worlds: Vec<&str> = listed.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(worlds, ["shop", "shop-broken", "ecs", "ip-targets", "many", "empty", "twins", "ec2-by-name"]);
    for world in worlds {
        let lab = Lab::start(world);
        let xml = ok(query(&lab, "elasticloadbalancing", "Action=DescribeLoadBalancers"));
        let expected = match world {
            "empty" => 0,
            "twins" => 5,
            _ => 1,
        };
        assert_eq!(values(&xml, "LoadBalancerName").len(), expected, "{world}");
        if let Some(groups) = lab.names()["target_groups"].as_object() {
            for arn in groups.values().filter_map(Value::as_str) {
                let form = format!("Action=DescribeTargetHealth&TargetGroupArn={arn}");
                assert!(ok(query(&lab, "elasticloadbalancing", &form)).contains("<State>"), "{world}");
            }
        }
    }
}

#[test]
fn tasks_of_a_service_carry_the_addresses_of_the_targets() {
    let lab = Lab::start("ecs");
    let ecs = |operation: &str, body: Value| -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        serde_json::from_str(&ok(json_call(&lab, "ecs", &target, &body))).expect("JSON")
    };
    let services = ecs("DescribeServices", json!({ "cluster": "shop", "services": ["web"] }));
    assert_eq!(services["services"][0]["runningCount"], 3);
    assert!(
        services["services"][0]["events"][0]["message"].as_str().is_some_and(|m| m.contains("steady state"))
    );
    let tasks = ecs("ListTasks", json!({ "cluster": "shop", "serviceName": "web" }))["taskArns"].clone();
    let tasks = ecs("DescribeTasks", json!({ "cluster": "shop", "tasks": tasks }))["tasks"].clone();
    let text = tasks.to_string();
    for ip in lab.names()["addresses"].as_object().expect("addresses").values().filter_map(Value::as_str) {
        assert!(text.contains(ip), "{ip} is no task");
    }
    let stopped = ecs("ListTasks", json!({ "cluster": "shop", "desiredStatus": "STOPPED" }));
    assert_eq!(stopped["taskArns"].as_array().map(Vec::len), Some(1));
    let definition = ecs("DescribeTaskDefinition", json!({ "taskDefinition": "web" }));
    let options = &definition["taskDefinition"]["containerDefinitions"][0]["logConfiguration"]["options"];
    assert_eq!(options["awslogs-group"], "/ecs/web");
}

#[test]
fn a_live_world_goes_on() {
    let lab = Lab::start_live("shop");
    let newest = || {
        let answer = logs(&lab, "FilterLogEvents", &json!({ "logGroupName": "/app/shop" }));
        answer["events"].as_array().and_then(|e| e.last()).and_then(|e| e["timestamp"].as_i64()).unwrap_or(0)
    };
    let first = newest();
    eventually("two more seconds of log lines", || (newest() > first + 2000).then_some(()));
}

#[test]
fn a_live_tail_streams_until_it_is_told_to_end() {
    let lab = Lab::start("shop");
    let arn = lab.names()["log_groups"]["/app/shop"].as_str().expect("an ARN").to_owned();
    let open = |group: &str| {
        let mut stream = http::connect(&lab.endpoint).expect("a connection");
        let scope = scope("logs");
        let headers = [
            ("authorization", &*scope),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "Logs_20140328.StartLiveTail"),
        ];
        let body = json!({ "logGroupIdentifiers": [group] }).to_string();
        http::send(&mut stream, "POST", "/", &headers, body.as_bytes()).expect("sent");
        stream
    };
    let refused = http::read_reply(&mut open(&format!("{arn}:*"))).expect("an answer");
    assert_eq!((refused.status, &*code(&refused)), (400, "InvalidParameterException"));

    let mut stream = open(&arn);
    let mut bytes = Vec::new();
    let read_until = |stream: &mut TcpStream, bytes: &mut Vec<u8>, text: &str| {
        while http::find(bytes, text.as_bytes()).is_none() {
            assert!(http::read_more(stream, bytes).expect("the stream"), "it ended without {text}");
        }
    };
    read_until(&mut stream, &mut bytes, "sessionStart");
    lab.tail(&json!({ "group": "/app/shop", "message": "a line that is also kept" }));
    lab.tail(&json!({ "group": "/app/payments", "message": "of another group" }));
    read_until(&mut stream, &mut bytes, "a line that is also kept");
    lab.tail(&json!([{ "message": "said to all tails" }, { "sampled": true }]));
    read_until(&mut stream, &mut bytes, "said to all tails");
    read_until(&mut stream, &mut bytes, r#""sampled": true"#);
    lab.tail(&json!({ "end": true }));
    // The last chunk says that it is over; the connection itself stays for other calls.
    read_until(&mut stream, &mut bytes, "\r\n0\r\n\r\n");
    assert!(http::find(&bytes, b"of another group").is_none());
    let kept =
        logs(&lab, "FilterLogEvents", &json!({ "logGroupName": "/app/shop", "filterPattern": "kept" }));
    assert_eq!(kept["events"].as_array().map(Vec::len), Some(1), "what a tail shows is in the group");

    let mut stream = open(&arn);
    let mut bytes = Vec::new();
    read_until(&mut stream, &mut bytes, "sessionUpdate");
    lab.tail(&json!({ "abort": true }));
    stream.read_to_end(&mut bytes).ok();
    assert!(!bytes.ends_with(b"0\r\n\r\n"), "cut off in the middle");
}

#[test]
fn labs_are_apart_and_gone_when_dropped() {
    let (one, two) = (Lab::start("shop"), Lab::start("shop"));
    let group = one.names()["target_groups"]["web"].clone();
    one.aws("elbv2", "delete_listener", &json!({ "ListenerArn": one.names()["listeners"]["shop-alb:80"] }));
    let listeners = |lab: &Lab| {
        let arn = lab.names()["load_balancers"]["shop-alb"]["arn"].as_str().expect("an ARN").to_owned();
        let form = format!("Action=DescribeListeners&LoadBalancerArn={arn}");
        values(&ok(query(lab, "elasticloadbalancing", &form)), "ListenerArn").len()
    };
    assert!(group.is_string());
    assert_eq!((listeners(&one), listeners(&two)), (1, 2));
    let endpoint = one.endpoint.clone();
    drop(one);
    eventually("the dropped lab to be gone", || http::connect(&endpoint).is_err().then_some(()));
    ok(query(&two, "sts", "Action=GetCallerIdentity"));
}

#[test]
fn nothing_outlives_a_killed_test_program() {
    let mut nursery = Command::new(lab::python())
        .arg(lab::folder().join("start.py"))
        .arg("--nursery")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut orders = nursery.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(nursery.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        serde_json::from_str(&answers.next().expect("a line").expect("a line")).expect("JSON")
    };
    assert_eq!(next()["ready"], true);
    writeln!(orders, r#"{{"world": "empty"}}"#).expect("written");
    let endpoint = next()["url"].as_str().expect("a URL").to_owned();
    assert!(http::connect(&endpoint).is_ok());
    nursery.kill().expect("kill -9");
    nursery.wait().expect("reaped");
    eventually("its lab to end with it", || http::connect(&endpoint).is_err().then_some(()));
}

#[test]
fn a_world_started_by_hand_ends_with_its_stdin() {
    let mut started = Command::new(lab::python())
        .arg(lab::folder().join("start.py"))
        .args(["empty", "--print-env"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let stdin = started.stdin.take();
    let mut lines = BufReader::new(started.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let ready = lines.by_ref().find_map(|l| {
        said.push(l.clone());
        l.strip_prefix("ready ").map(str::to_owned)
    });
    let endpoint = ready.expect("it says where it is");
    assert!(said.contains(&format!("export AWS_ENDPOINT_URL={endpoint}")), "{said:?}");
    assert!(http::connect(&endpoint).is_ok());
    drop(stdin);
    assert!(started.wait().expect("its end").success());
}

#[test]
fn the_latency_proxy_counts_waves() {
    let lab = Lab::start("empty");
    let mut proxy = Command::new(lab::python())
        .arg(lab::folder().join("latency_proxy.py"))
        .args(["--to", &lab.endpoint, "--rtt-ms", "120", "--connect-rtts", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut lines = BufReader::new(proxy.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let endpoint =
        lines.next().and_then(|l| l.strip_prefix("ready ").map(str::to_owned)).expect("it says where it is");
    let ask = |op: &str| {
        let body = format!("Action={op}&Version=2016-11-15");
        let headers = [("authorization", &*scope("ec2")), ("content-type", FORM)];
        assert_eq!(
            http::request(&endpoint, "POST", "/", &headers, body.as_bytes()).expect("an answer").status,
            200
        );
    };
    ask("DescribeVpcs");
    std::thread::scope(|s| {
        for op in ["DescribeSubnets", "DescribeSecurityGroups"] {
            s.spawn(move || ask(op));
        }
    });
    drop(proxy.stdin.take());
    let report: Value = serde_json::from_str(&lines.next().expect("a report")).expect("JSON");
    assert_eq!((&report["requests"], &report["waves"]), (&json!(3), &json!(2)), "{report}");
    proxy.wait().expect("its end");
}

#[test]
fn the_environment_is_made_once_however_many_ask() {
    let script = lab::folder().join("make_venv.py");
    let ready = lab::python();
    let parent = ready.ancestors().nth(3).expect("the target folder").to_owned();
    let asked: Vec<_> = (0..3)
        .map(|_| {
            Command::new("python3").arg(&script).arg(&parent).stdout(Stdio::piped()).spawn().expect("python3")
        })
        .collect();
    for one in asked {
        let out = one.wait_with_output().expect("its end");
        assert!(out.status.success());
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), ready.display().to_string());
    }
}
