//! What stands beside a path: health checks of records, web ACLs, deployments
//! of CodeDeploy, caches, traces. In-process answers for each call, and the emulator
//! for the way from a target to them.

use super::support::{Answer, Fake, Lab};
use super::{Watcher, once, place, runtime};
use badgate::situation::Reason;
use badgate::sources::aws::Aws;
use badgate::sources::aws::ask::{caches, deploys, edge, traces, waf};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const ACL: &str = "arn:aws:wafv2:us-east-1:1:regional/webacl/shop/8a";
const LB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop/50dc";

fn with<T>(fake: &Fake, ask: impl AsyncFnOnce(Aws) -> T) -> T {
    let runtime = runtime();
    let (calls, _) = mpsc::channel(64);
    let aws = runtime.block_on(Aws::load_at(Some(place(&fake.endpoint)), once(), calls)).unwrap();
    runtime.block_on(ask(aws))
}

fn check_config() -> String {
    "<GetHealthCheckResponse><HealthCheck><Id>hc-1</Id><HealthCheckConfig><Type>HTTP</Type>\
     <FullyQualifiedDomainName>shop.example.com</FullyQualifiedDomainName><Port>80</Port><ResourcePath>/up</ResourcePath>\
     </HealthCheckConfig></HealthCheck></GetHealthCheckResponse>"
        .into()
}

fn reports(failing: usize, well: usize) -> String {
    let one = |s: &str| {
        format!(
            "<HealthCheckObservation><Region>us-east-1</Region><StatusReport><Status>{s}</Status></StatusReport></HealthCheckObservation>"
        )
    };
    let bad = one("Failure: HTTP Status Code 502, Bad Gateway").repeat(failing);
    let good = one("Success: HTTP Status Code 200, OK").repeat(well);
    format!(
        "<GetHealthCheckStatusResponse><HealthCheckObservations>{bad}{good}</HealthCheckObservations></GetHealthCheckStatusResponse>"
    )
}

const CHECK: &str = "GET /2013-04-01/healthcheck/hc-1";
const STATUS: &str = "GET /2013-04-01/healthcheck/hc-1/status";

#[test]
fn a_health_check_is_what_its_checkers_say() {
    let fake = Fake::start();
    fake.on(CHECK, Answer::xml(&check_config()));
    let ask = || with(&fake, async |aws: Aws| edge::health_check(&aws, "hc-1").await);
    fake.on(STATUS, Answer::xml(&reports(15, 1)));
    let c = ask().unwrap();
    assert_eq!((c.healthy(), c.endpoint.as_str()), (Some(false), "http://shop.example.com:80/up"));
    fake.on(STATUS, Answer::xml(&reports(2, 14)));
    assert_eq!(ask().unwrap().healthy(), Some(true));
    // Nobody may read the reports: the check is known, how it is, is not.
    fake.on(
        STATUS,
        Answer::query_error(403, "AccessDenied", "not authorized to perform: route53:GetHealthCheckStatus"),
    );
    let c = ask().unwrap();
    assert_eq!(c.healthy(), None);
    assert!(
        matches!(&c.gaps[..], [(_, Reason::Denied { action })] if action.as_str() == "route53:GetHealthCheckStatus"),
        "{c:?}"
    );
    fake.on(STATUS, Answer::xml(&reports(2, 14)).truncated());
    let c = ask().unwrap();
    assert_eq!((c.healthy(), c.gaps[0].1.word()), (None, "unreadable"), "half a list is none");
    fake.on(CHECK, Answer::query_error(403, "AccessDenied", "no"));
    assert_eq!(ask().unwrap_err(), Reason::Denied { action: "route53:GetHealthCheck".into() });
    assert!(
        fake.requests()
            .iter()
            .all(|r| r.signed_scope().is_some_and(|s| s.1 == "us-east-1" && s.2 == "route53"))
    );
}

#[test]
fn a_web_acl_is_there_or_it_is_not_and_a_refusal_is_neither() {
    let fake = Fake::start();
    let ask = || with(&fake, async |aws: Aws| waf::of_resource(&aws, LB).await);
    let acl = json!({ "WebACL": { "ARN": ACL, "Name": "shop", "DefaultAction": { "Allow": {} },
        "VisibilityConfig": { "MetricName": "shop-m" },
        "Rules": [{ "Name": "rate", "Action": { "Block": {} }, "VisibilityConfig": { "MetricName": "rate-m" } }] } });
    fake.on("GetWebACLForResource", Answer::json(&acl.to_string()));
    let got = ask().unwrap();
    assert_eq!((got.name.as_str(), got.rules[0].action.as_str()), ("shop", "block"));
    let sent: Value = serde_json::from_slice(&fake.requests()[0].body).unwrap();
    assert_eq!(sent, json!({ "ResourceArn": LB }));
    for none in [Answer::json("{}"), Answer::json_error(400, "WAFNonexistentItemException", "no such thing")]
    {
        fake.on("GetWebACLForResource", none);
        assert!(ask().unwrap().arn.is_empty());
    }
    for (answer, word) in [
        (Answer::denied("wafv2", "wafv2:GetWebACLForResource"), "denied"),
        (Answer::throttled("wafv2"), "throttled"),
        (Answer::json(&acl.to_string()).truncated(), "unreadable"),
        (Answer::json(r#"{"WebACL":{"Name":"shop"}}"#), "unreadable"),
        (Answer::json("[]"), "unreadable"),
    ] {
        fake.on("GetWebACLForResource", answer.clone());
        assert_eq!(ask().unwrap_err().word(), word, "{answer:?}");
    }
}

#[test]
fn the_acl_of_a_distribution_is_asked_for_where_it_is() {
    let fake = Fake::start();
    let arn = "arn:aws:wafv2:us-east-1:1:global/webacl/edge/9b";
    let acl = json!({ "WebACL": { "ARN": arn, "Name": "edge", "DefaultAction": { "Block": {} },
        "VisibilityConfig": { "MetricName": "edge" } } });
    fake.on("GetWebACL", Answer::json(&acl.to_string()));
    let far = badgate::sources::Options { region: Some("eu-west-1".into()), ..once() };
    let runtime = runtime();
    let (calls, _) = mpsc::channel(64);
    let aws = runtime.block_on(Aws::load_at(Some(place(&fake.endpoint)), far, calls)).unwrap();
    let got = runtime.block_on(waf::by_arn(&aws, arn)).unwrap();
    assert!(got.is_global() && got.default.as_str() == "block");
    let asked = &fake.requests()[0];
    let sent: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(sent, json!({ "Name": "edge", "Scope": "CLOUDFRONT", "Id": "9b" }));
    assert_eq!(asked.signed_scope().unwrap().1, "us-east-1");
    // The classic ones are no ARN, and not read.
    let old = runtime.block_on(waf::by_arn(&aws, "473e64fd-f30b-4765-81a0-62ad96dd167a")).unwrap_err();
    assert_eq!(old.word(), "n/a");
}

#[test]
fn deployments_are_told_with_what_they_go_to() {
    let fake = Fake::start();
    let (from, to) = ("2026-11-22T00:30:00Z".parse().unwrap(), "2026-11-22T01:53:00Z".parse().unwrap());
    let ask = || with(&fake, async |aws: Aws| deploys::releases(&aws, from, to).await);
    let page =
        |ids: &[String], next: Option<&str>| json!({ "deployments": ids, "nextToken": next }).to_string();
    let ids: Vec<String> = (0..30).map(|i| format!("d-{i:02}")).collect();
    fake.on("ListDeployments", Answer::json(&page(&ids[20..], None)));
    fake.on_times("ListDeployments", 1, Answer::json(&page(&ids[..20], Some("more"))));
    let info = |id: &str, at: i64| {
        json!({ "deploymentId": id, "applicationName": "shop", "deploymentGroupName": "web",
        "status": "Succeeded", "createTime": at, "creator": "user" })
    };
    fake.on(
        "BatchGetDeployments",
        Answer::json(&json!({ "deploymentsInfo": [info("d-29", 1_795_312_000)] }).to_string()),
    );
    fake.on_times(
        "BatchGetDeployments",
        1,
        Answer::json(
            &json!({ "deploymentsInfo": [info("d-00", 1_795_311_000), info("d-01", 1_795_313_000)] })
                .to_string(),
        ),
    );
    fake.on(
        "BatchGetDeploymentGroups",
        Answer::json(&json!({ "deploymentGroupsInfo": [{ "applicationName": "shop", "deploymentGroupName": "web",
            "loadBalancerInfo": { "targetGroupInfoList": [{ "name": "web" }] }, "autoScalingGroups": [{ "name": "asg" }] }] }).to_string()),
    );
    let got = ask().unwrap();
    let order: Vec<&str> = got.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(order, ["d-01", "d-29", "d-00"], "newest first, pages and batches together");
    assert!(got.iter().all(|r| r.balancers == ["web"] && r.scaling_groups == ["asg"]));
    let asked: Value = serde_json::from_slice(&fake.requests_of("ListDeployments")[0].body).unwrap();
    assert_eq!(asked["createTimeRange"], json!({ "start": 1_795_307_400, "end": 1_795_312_380 }));
    assert_eq!(fake.requests_of("BatchGetDeployments").len(), 2, "25 in a question");
    // What a deployment goes to may not be read: that it was is known all the same.
    fake.on("BatchGetDeploymentGroups", Answer::denied("codedeploy", "codedeploy:BatchGetDeploymentGroups"));
    assert!(ask().unwrap().iter().all(|r| r.balancers.is_empty()));
    for (operation, answer, word) in [
        ("BatchGetDeployments", Answer::denied("codedeploy", "codedeploy:BatchGetDeployments"), "denied"),
        ("BatchGetDeployments", Answer::json("{}"), "unreadable"),
        ("ListDeployments", Answer::json(&page(&ids, None)).truncated(), "unreadable"),
        ("ListDeployments", Answer::json("{}"), "unreadable"),
        ("ListDeployments", Answer::denied("codedeploy", "codedeploy:ListDeployments"), "denied"),
        ("ListDeployments", Answer::throttled("codedeploy"), "throttled"),
    ] {
        fake.on(operation, answer);
        assert_eq!(ask().unwrap_err().word(), word, "{operation}");
    }
}

#[test]
fn a_deployment_to_functions_is_told_with_their_names() {
    let fake = Fake::start();
    let (from, to) = ("2026-11-22T00:30:00Z".parse().unwrap(), "2026-11-22T01:53:00Z".parse().unwrap());
    let ask = || with(&fake, async |aws: Aws| deploys::releases(&aws, from, to).await);
    let info = |id: &str, platform: &str| {
        json!({ "deploymentId": id, "applicationName": "quotes", "deploymentGroupName": "live",
        "status": "Succeeded", "createTime": 1_795_312_000, "computePlatform": platform })
    };
    fake.on("ListDeployments", Answer::json(&json!({ "deployments": ["d-1", "d-2"] }).to_string()));
    fake.on(
        "BatchGetDeployments",
        Answer::json(
            &json!({ "deploymentsInfo": [info("d-1", "Lambda"), info("d-2", "Server")] }).to_string(),
        ),
    );
    fake.on("BatchGetDeploymentGroups", Answer::json(r#"{"deploymentGroupsInfo":[]}"#));
    fake.on(
        "ListDeploymentTargets",
        Answer::json(r#"{"targetIds":["quotes:live","arn:aws:lambda:us-east-1:1:function:prices:live"]}"#),
    );
    let got = ask().unwrap();
    assert_eq!((&got[0].functions[..], &got[0].untold), (&["quotes".into(), "prices".into()][..], &None));
    assert!(got[1].functions.is_empty() && got[1].untold.is_none());
    assert_eq!(fake.requests_of("ListDeploymentTargets").len(), 1, "of functions only");
    // What may not be listed is said: the deployment may have been to ours.
    for (answer, word) in [
        (Answer::denied("codedeploy", "codedeploy:ListDeploymentTargets"), "denied"),
        (Answer::json("{}"), "unreadable"),
    ] {
        fake.on("ListDeploymentTargets", answer);
        let got = ask().unwrap();
        assert_eq!(got[0].untold.as_ref().map(Reason::word), Some(word));
    }
}

fn clusters() -> String {
    let one = |id: &str, sg: &str| {
        format!(
            "<CacheCluster><CacheClusterId>{id}</CacheClusterId><ReplicationGroupId>sess</ReplicationGroupId><CacheClusterStatus>available</CacheClusterStatus>\
         <SecurityGroups><member><SecurityGroupId>{sg}</SecurityGroupId></member></SecurityGroups></CacheCluster>"
        )
    };
    format!(
        "<DescribeCacheClustersResponse><DescribeCacheClustersResult><CacheClusters>{}{}</CacheClusters></DescribeCacheClustersResult></DescribeCacheClustersResponse>",
        one("sess-001", "sg-cache"),
        one("other-001", "sg-else")
    )
}

#[test]
fn caches_are_those_that_let_the_targets_in() {
    let fake = Fake::start();
    let ask =
        |group: &'static str| with(&fake, async move |aws: Aws| caches::caches(&aws, &[group.into()]).await);
    fake.on("DescribeCacheClusters", Answer::xml(&clusters()));
    fake.on("DescribeServerlessCaches", Answer::xml(NO_SERVERLESS));
    fake.on(
        "DescribeReplicationGroups",
        Answer::xml("<DescribeReplicationGroupsResponse><DescribeReplicationGroupsResult><ReplicationGroups><ReplicationGroup><ReplicationGroupId>sess</ReplicationGroupId><Status>modifying</Status><AutomaticFailover>enabled</AutomaticFailover></ReplicationGroup></ReplicationGroups></DescribeReplicationGroupsResult></DescribeReplicationGroupsResponse>"),
    );
    fake.on(
        "DescribeEvents",
        Answer::xml("<DescribeEventsResponse><DescribeEventsResult><Events><Event><SourceIdentifier>sess-001</SourceIdentifier><Message>Failover completed</Message><Date>2026-11-22T01:40:00.000Z</Date></Event><Event><SourceIdentifier>unrelated</SourceIdentifier><Message>x</Message><Date>2026-11-22T01:41:00Z</Date></Event></Events></DescribeEventsResult></DescribeEventsResponse>"),
    );
    let got = ask("sg-cache").unwrap();
    assert_eq!(got.clusters.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["sess-001"]);
    assert_eq!((got.groups[0].1.as_str(), got.events.len(), got.gaps.len()), ("modifying", 1, 0));
    // Of others nothing more is asked.
    let before = fake.requests().len();
    assert!(ask("sg-nobody").unwrap().clusters.is_empty());
    assert_eq!(fake.requests().len(), before + 2);
    fake.on("DescribeEvents", Answer::query_error(403, "AccessDenied", "no"));
    let got = ask("sg-cache").unwrap();
    assert!(
        matches!(&got.gaps[..], [(_, Reason::Denied { action })] if action.as_str() == "elasticache:DescribeEvents"),
        "{got:?}"
    );
    for (answer, word) in [
        (Answer::query_error(403, "AccessDenied", "no"), "denied"),
        (Answer::query_error(400, "Throttling", "Rate exceeded"), "throttled"),
        (Answer::xml(&clusters()).truncated(), "unreadable"),
        (
            Answer::xml(
                "<DescribeCacheClustersResponse><DescribeCacheClustersResult/></DescribeCacheClustersResponse>",
            ),
            "unreadable",
        ),
    ] {
        fake.on("DescribeCacheClusters", answer);
        assert_eq!(ask("sg-cache").unwrap_err().word(), word);
    }
}

const NO_SERVERLESS: &str = "<DescribeServerlessCachesResponse><DescribeServerlessCachesResult><ServerlessCaches/></DescribeServerlessCachesResult></DescribeServerlessCachesResponse>";

#[test]
fn a_serverless_cache_is_one_of_them() {
    let fake = Fake::start();
    let ask = || with(&fake, async |aws: Aws| caches::caches(&aws, &["sg-cache".into()]).await);
    let page = |name: &str, sg: &str, next: &str| {
        Answer::xml(&format!(
            "<DescribeServerlessCachesResponse><DescribeServerlessCachesResult>{next}<ServerlessCaches><member>\
             <ServerlessCacheName>{name}</ServerlessCacheName><Status>modifying</Status><Engine>valkey</Engine>\
             <Endpoint><Address>{name}-ab.serverless.use1.cache.amazonaws.com</Address><Port>6379</Port></Endpoint>\
             <SecurityGroupIds><SecurityGroupId>{sg}</SecurityGroupId></SecurityGroupIds></member></ServerlessCaches>\
             </DescribeServerlessCachesResult></DescribeServerlessCachesResponse>"
        ))
    };
    fake.on("DescribeCacheClusters", Answer::xml("<DescribeCacheClustersResponse><DescribeCacheClustersResult><CacheClusters/></DescribeCacheClustersResult></DescribeCacheClustersResponse>"));
    fake.on("DescribeServerlessCaches", page("other", "sg-else", ""));
    fake.on_times("DescribeServerlessCaches", 1, page("sess", "sg-cache", "<NextToken>more</NextToken>"));
    let got = ask().unwrap();
    assert_eq!(fake.requests_of("DescribeServerlessCaches").len(), 2, "page by page");
    let [c] = &got.clusters[..] else { panic!("{got:?}") };
    assert_eq!(
        (c.id.as_str(), c.status.as_str(), c.class.as_str(), c.port),
        ("sess", "modifying", "serverless", Some(6379))
    );
    assert_eq!(c.endpoint.as_str(), "sess-ab.serverless.use1.cache.amazonaws.com");
    assert!(fake.requests_of("DescribeEvents").is_empty(), "they have no events of nodes");
    for (answer, word) in [
        (Answer::query_error(403, "AccessDenied", "no"), "denied"),
        (page("sess", "sg-cache", "").truncated(), "unreadable"),
    ] {
        fake.on("DescribeServerlessCaches", answer);
        let got = ask().unwrap();
        assert_eq!((got.gaps[0].0.as_str(), got.gaps[0].1.word()), ("serverless caches", word));
    }
}

#[test]
fn weights_checks_and_the_web_acl_of_a_target_are_found() {
    let lab = Lab::start("shop");
    let lb = lab.aws("elbv2", "describe_load_balancers", &json!({}))["LoadBalancers"][0].clone();
    let (arn, dns) = (lb["LoadBalancerArn"].as_str().unwrap(), lb["DNSName"].as_str().unwrap());
    let acl = lab.aws("wafv2", "create_web_acl", &json!({ "Name": "front", "Scope": "REGIONAL", "DefaultAction": { "Allow": {} },
        "VisibilityConfig": { "SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "front" } }));
    lab.aws("wafv2", "associate_web_acl", &json!({ "WebACLArn": acl["Summary"]["ARN"], "ResourceArn": arn }));
    let zone =
        lab.aws("route53", "create_hosted_zone", &json!({ "Name": "example.test", "CallerReference": "z" }));
    let zone = zone["HostedZone"]["Id"].as_str().unwrap().to_owned();
    let check = lab.aws("route53", "create_health_check", &json!({ "CallerReference": "c", "HealthCheckConfig": {
        "Type": "HTTP", "FullyQualifiedDomainName": "www.example.test", "Port": 80, "ResourcePath": "/up" } }));
    let check = check["HealthCheck"]["Id"].as_str().unwrap().to_owned();
    let set = |name: &str, weight: u32, to: &str, check: Option<&str>| {
        let mut r = json!({ "Name": "www.example.test", "Type": "CNAME", "TTL": 60, "SetIdentifier": name, "Weight": weight,
            "ResourceRecords": [{ "Value": to }] });
        if let Some(id) = check {
            r["HealthCheckId"] = id.into();
        }
        json!({ "Action": "CREATE", "ResourceRecordSet": r })
    };
    let changes = [set("a-idle", 0, "old.example.test", None), set("b-live", 80, dns, Some(&check))];
    lab.aws(
        "route53",
        "change_resource_record_sets",
        &json!({ "HostedZoneId": zone, "ChangeBatch": { "Changes": changes } }),
    );
    // No name server knows the name: the records lead, and not to the set without weight.
    let mut w = Watcher::open(&lab, "www.example.test", once());
    w.whole_picture();
    assert_eq!(w.s.target.value().map(|t| t.lb.as_str()), Some(arn), "{:?}", w.no_target);
    let known = w.s.beside.acls.values().next().and_then(|d| d.value()).expect("the web ACL");
    assert_eq!(known.name.as_str(), "front");
    let records = w.s.fronts.records.get("www.example.test").and_then(|d| d.value()).expect("records");
    let said: Vec<(String, &str)> = records.records.iter().map(|r| (r.policy(), r.check.as_str())).collect();
    assert_eq!(said, [("weight 0".to_owned(), ""), ("weight 80".to_owned(), check.as_str())]);
    let told = w.s.beside.checks.values().next().and_then(|d| d.value()).expect("the health check");
    assert_eq!((told.healthy(), told.endpoint.as_str()), (Some(true), "http://www.example.test:80/up"));
    let hops = badgate::diagnosis::hops::strip(&w.s, &[]);
    let of = |word: &str| {
        hops.iter()
            .find(|h| h.kind.word() == word)
            .unwrap_or_else(|| panic!("{word}: {hops:?}"))
            .why
            .to_string()
    };
    assert!(
        of("dns").contains("b-live, weight 80") && of("dns").contains("a-idle, weight 0"),
        "{}",
        of("dns")
    );
    assert!(hops.iter().any(|h| h.kind.word() == "waf" && h.name.as_str() == "front"), "{hops:?}");
    // What may not be read is told by its name, and nothing else suffers.
    lab.fault(&json!({ "op": "GetWebACLForResource", "kind": "denied" }));
    let mut w = Watcher::open(&lab, "www.example.test", once());
    w.whole_picture();
    assert_eq!(w.gaps(), ["web ACL".to_owned()].into(), "{:?}", w.s.gaps);
}

fn trace(id: &str, service: &str) -> Value {
    json!({ "Id": id, "HasFault": true, "ResponseTime": 0.5, "Http": { "HttpURL": "http://shop.example.com/pay?card=4", "HttpStatus": 500 },
        "ServiceIds": [{ "Name": "shop" }, { "Name": service }], "InstanceIds": [{ "Id": "i-1" }],
        "FaultRootCauses": [{ "Services": [{ "Name": "shop", "EntityPath": [{ "Name": "shop" }] },
            { "Name": service, "Type": "remote", "Inferred": true, "EntityPath": [{ "Name": service, "Remote": true }] }] }] })
}

#[test]
fn failing_traces_are_read_page_by_page_and_no_further_than_due() {
    let fake = Fake::start();
    let (from, to) = ("2026-11-21T01:00:00Z".parse().unwrap(), "2026-11-22T01:53:00Z".parse().unwrap());
    let ask = || with(&fake, async |aws: Aws| traces::traces(&aws, from, to).await);
    let page = |list: &[Value], next: Option<&str>| {
        Answer::json(
            &json!({ "TraceSummaries": list, "NextToken": next, "TracesProcessedCount": 9 }).to_string(),
        )
    };
    const OP: &str = "POST /TraceSummaries";
    fake.on(OP, page(&[trace("1-69218901-b", "pay.example.net")], None));
    fake.on_times(
        OP,
        1,
        page(&[trace("1-69218900-a", "pay.example.net"), trace("1-69218900-c", "stock")], Some("more")),
    );
    let got = ask().unwrap();
    assert_eq!(
        got.kinds.iter().map(|k| (k.count, k.roots[0].culprit())).collect::<Vec<_>>(),
        [(2, "pay.example.net"), (1, "stock")]
    );
    assert!(!got.cut && !got.kinds[0].url.contains("card"), "{got:?}");
    let asked: Vec<Value> =
        fake.requests_of(OP).iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    assert_eq!(
        asked[0]["EndTime"].as_i64().unwrap() - asked[0]["StartTime"].as_i64().unwrap(),
        6 * 3600,
        "the API takes no more"
    );
    assert_eq!((&asked[0]["NextToken"], &asked[1]["NextToken"]), (&Value::Null, &json!("more")));
    assert_eq!(asked[0]["FilterExpression"], "fault = true OR http.status >= 500");
    assert!(fake.requests().iter().all(|r| r.signed_scope().is_some_and(|s| s.2 == "xray")));
    // Pages without end: some are read, and that there are more is said.
    for n in 0..5 {
        fake.on_times(OP, 1, page(&[trace("1-69218900-a", "stock")], Some(&format!("t{n}"))));
    }
    let before = fake.requests_of(OP).len();
    let got = ask().unwrap();
    assert!(got.cut && got.kinds[0].count == 5, "{got:?}");
    assert_eq!(fake.requests_of(OP).len(), before + 5);
    for (answer, word) in [
        (Answer::denied("xray", "xray:GetTraceSummaries"), "denied"),
        (Answer::throttled("xray"), "throttled"),
        (page(&[trace("1-69218900-a", "stock")], None).truncated(), "unreadable"),
        (Answer::json("{}"), "unreadable"),
        (Answer::json("[]"), "unreadable"),
    ] {
        fake.on(OP, answer.clone());
        assert_eq!(ask().unwrap_err().word(), word, "{answer:?}");
    }
}

#[test]
fn traces_are_asked_for_and_that_nobody_traces_is_no_failure() {
    let lab = Lab::start("shop-broken");
    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.whole_picture();
    let told = w.s.beside.traces.values().next().expect("asked, since targets are ill");
    assert_eq!(told.value().map(|t| t.kinds.len()), Some(0), "{told:?}");
    let asked = w.calls.iter().filter(|c| c.operation.as_str() == "xray:GetTraceSummaries").count();
    // Once in the survey, once for the refresh, unless that came in time for the first.
    assert!((1..=2).contains(&asked), "{asked}");
}
