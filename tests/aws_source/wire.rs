//! Answers that no emulator gives, and what is sent.

use super::support::{Answer, Fake};
use super::{once, place, runtime};
use badgate::situation::Reason;
use badgate::sources::Options;
use badgate::sources::aws::ask::{Pages, around, ecs};
use badgate::sources::aws::plain::Question;
use badgate::sources::aws::{Aws, cloudwatch, operations as op};
use std::io::{Read, Write};
use std::net::TcpListener;
use tokio::sync::mpsc;

const HEALTH: &str = "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
<DescribeTargetHealthResult><TargetHealthDescriptions>\
<member><Target><Id>i-1</Id><Port>80</Port></Target><TargetHealth><State>healthy</State></TargetHealth></member>\
<member><Target><Id>i-2</Id><Port>80</Port></Target><TargetHealth><State>unhealthy</State></TargetHealth></member>\
</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>";
const SUBNETS: &str = "<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>\
<subnetSet><item><subnetId>subnet-1</subnetId></item><item><subnetId>subnet-2</subnetId></item></subnetSet></DescribeSubnetsResponse>";
const CLUSTERS: &str =
    "{\"clusterArns\":[\"arn:aws:ecs:us-east-1:1:cluster/a\",\"arn:aws:ecs:us-east-1:1:cluster/b\"]}";
const GROUPS: &str = "{\"logGroups\":[{\"logGroupName\":\"/app/a\"},{\"logGroupName\":\"/app/b\"}]}";

fn aws(endpoint: &str, options: Options) -> (tokio::runtime::Runtime, Aws) {
    let runtime = runtime();
    let (calls, _) = mpsc::channel(64);
    let aws = runtime.block_on(Aws::load_at(Some(place(endpoint)), options, calls)).unwrap();
    (runtime, aws)
}

/// How many rows each protocol's answer is read as.
async fn rows(aws: &Aws) -> [Result<usize, Reason>; 4] {
    let health = aws
        .call(&op::DESCRIBE_TARGET_HEALTH, |c| c.elb.describe_target_health().target_group_arn("tg").send())
        .await;
    let subnets = aws.call(&op::DESCRIBE_SUBNETS, |c| c.ec2.describe_subnets().send()).await;
    let clusters = ecs::clusters(aws).await;
    let groups = aws.call(&op::DESCRIBE_LOG_GROUPS, |c| c.logs.describe_log_groups().send()).await;
    [
        health.map(|o| o.target_health_descriptions().len()),
        subnets.map(|o| o.subnets().len()),
        clusters.map(|o| o.len()),
        groups.map(|o| o.log_groups().len()),
    ]
}

fn cut(body: &str, at: usize) -> Answer {
    let kind = if body.starts_with('<') { Answer::xml } else { Answer::json };
    kind(&body[..at])
}

const ALL: [(&str, &str); 4] = [
    ("DescribeTargetHealth", HEALTH),
    ("DescribeSubnets", SUBNETS),
    ("ListClusters", CLUSTERS),
    ("DescribeLogGroups", GROUPS),
];

#[test]
fn a_document_cut_anywhere_never_reads_as_a_shorter_list() {
    let fake = Fake::start();
    let (runtime, aws) = aws(&fake.endpoint, once());
    for (operation, body) in ALL {
        fake.on(operation, cut(body, body.len()));
    }
    for got in runtime.block_on(rows(&aws)) {
        assert_eq!(got, Ok(2), "whole");
    }
    // Every seventh place, and the last ones before the end.
    let longest = ALL.iter().map(|(_, b)| b.len()).max().unwrap();
    let places: Vec<usize> = (0..longest).step_by(7).collect();
    for at in places {
        let mut asked = Vec::new();
        for (operation, body) in ALL {
            let at = at.min(body.len() - 1);
            asked.push(body[..at].to_owned());
            fake.on(operation, cut(body, at));
        }
        for (got, sent) in runtime.block_on(rows(&aws)).into_iter().zip(asked) {
            let reason = got.expect_err(&sent);
            assert_eq!(reason.word(), "unreadable", "{sent}: {}", reason.phrase());
        }
    }
}

#[test]
fn other_documents_are_not_read_as_empty() {
    let fake = Fake::start();
    let (runtime, aws) = aws(&fake.endpoint, once());
    let pages = [
        Answer::new(200, "text/html", "<html><body>Sign in to the network</body></html>"),
        Answer::new(200, "text/plain", ""),
        Answer::new(200, "text/plain", "ok"),
        Answer::xml("<DescribeTargetHealthResponse/>").then_close(),
    ];
    for page in pages {
        fake.on("*", page.clone());
        let [health, subnets, clusters, groups] = runtime.block_on(rows(&aws));
        for got in [subnets, clusters, groups] {
            assert_eq!(got.expect_err("no list").word(), "unreadable", "{page:?}");
        }
        // Well-formed but without the list: the question's own code refuses that (see the observer).
        assert!(matches!(health, Err(_) | Ok(0)));
    }
}

/// Answers every request on a port with these bytes, then closes.
fn raw(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut piece = [0; 4096];
            // Head and body fit into a few pieces; the answer does not depend on them.
            while let Ok(n) = stream.read(&mut piece) {
                head.extend_from_slice(&piece[..n]);
                if n == 0 || n < piece.len() {
                    break;
                }
            }
            let _ = stream.write_all(&answer);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    });
    endpoint
}

#[test]
fn half_a_body_is_refused_however_it_is_framed() {
    let half = |body: &str| body[..body.len() / 2].to_owned();
    for (i, (operation, body)) in ALL.into_iter().enumerate() {
        let part = half(body);
        let framings = [
            // Content-Length promises more than comes.
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{part}", body.len()),
            // A chunk, but no last one.
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{part}\r\n", part.len()),
            // A chunk cut off.
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{part}", body.len()),
            // Rightly framed, but half the document.
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{part}\r\n0\r\n\r\n",
                part.len()
            ),
            // No length at all: the end of the connection is the end of the body.
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{part}"),
        ];
        for framing in framings {
            let (runtime, aws) = aws(&raw(framing.clone().into_bytes()), once());
            let got = runtime.block_on(rows(&aws))[i].clone();
            let reason = got.expect_err(&framing);
            assert_eq!(reason.word(), "unreadable", "{operation}: {framing}: {}", reason.phrase());
        }
        let whole = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
        let (runtime, aws) = aws(&raw(whole.into_bytes()), once());
        assert_eq!(runtime.block_on(rows(&aws))[i], Ok(2), "{operation}");
    }
}

#[test]
fn half_an_answer_of_metrics_is_refused() {
    const METRICS: &str = r#"{"MetricDataResults": [{"Id": "a", "Values": [1.0]}, {"Id": "b"}]}"#;
    let fake = Fake::start();
    let (runtime, aws) = aws(&fake.endpoint, once());
    let ask = || runtime.block_on(cloudwatch::data(&aws, &Pages::default(), &[], (0, 60)));
    fake.on("GetMetricData", Answer::json(METRICS));
    assert_eq!(ask().unwrap().0.len(), 2);
    for at in 0..METRICS.len() {
        fake.on("GetMetricData", Answer::json(&METRICS[..at]));
        let reason = ask().expect_err("half of it");
        assert_eq!(reason.word(), "unreadable", "{at}: {}", reason.phrase());
    }
}

#[test]
fn a_second_try_heals_a_lost_connection_and_no_more_than_one() {
    let fake = Fake::start();
    let (runtime, aws) = aws(&fake.endpoint, once());
    fake.on("ListClusters", Answer::json(CLUSTERS)).on_times("ListClusters", 1, Answer::reset());
    let ask = || runtime.block_on(ecs::clusters(&aws));
    assert_eq!(ask().unwrap().len(), 2);
    fake.on("ListClusters", Answer::reset());
    let before = fake.requests_of("ListClusters").len();
    assert_eq!(ask().unwrap_err().word(), "offline");
    assert_eq!(fake.requests_of("ListClusters").len() - before, 2);
}

#[test]
fn a_throttled_family_asks_nothing_until_its_pause_ends() {
    let fake = Fake::start();
    let (runtime, aws) = aws(&fake.endpoint, once());
    fake.on("DescribeTargetHealth", Answer::throttled("elbv2").header("retry-after", "30"));
    fake.on("ListClusters", Answer::json(CLUSTERS));
    let health = || {
        runtime.block_on(aws.call(&op::DESCRIBE_TARGET_HEALTH, |c| {
            c.elb.describe_target_health().target_group_arn("tg").send()
        }))
    };
    let Err(Reason::Throttled { until }) = health() else { panic!("not throttled") };
    let ahead = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((20..=31).contains(&ahead), "what AWS asks for: {ahead} s");
    for _ in 0..20 {
        assert_eq!(health().unwrap_err().word(), "throttled");
    }
    assert_eq!(fake.requests_of("DescribeTargetHealth").len(), 1, "nobody knocks during the pause");
    let other = runtime.block_on(ecs::clusters(&aws));
    assert!(other.is_ok(), "other families go on");
}

/// Operations that change something, as rows of a table they do not stand in.
const fn change(sdk_service: &'static str, name: &'static str, id: &'static str) -> op::Operation {
    let family = op::Family::Around;
    op::Operation { service: "x", sdk_service, name, id, action: None, family, urgent: false, lost: "" }
}
static STOP_TASK: op::Operation = change("ECS", "StopTask", "ecs:StopTask");
static EXECUTE_COMMAND: op::Operation = change("ECS", "ExecuteCommand", "ecs:ExecuteCommand");
static DELETE_ALARMS: op::Operation = change("CloudWatch", "DeleteAlarms", "cloudwatch:DeleteAlarms");

#[test]
fn what_is_no_read_is_never_signed() {
    let fake = Fake::start();
    fake.on("*", Answer::new(200, "text/plain", ""));
    let (runtime, aws) = aws(&fake.endpoint, once());
    let c = aws.clients();
    runtime.block_on(async {
        assert!(c.ec2.terminate_instances().instance_ids("i-1").send().await.is_err());
        assert!(c.ec2.revoke_security_group_ingress().group_id("sg-1").send().await.is_err());
        assert!(c.ec2.get_password_data().instance_id("i-1").send().await.is_err());
        assert!(c.elb.delete_load_balancer().load_balancer_arn("arn").send().await.is_err());
        assert!(c.elb.deregister_targets().target_group_arn("arn").send().await.is_err());
        for row in [&STOP_TASK, &EXECUTE_COMMAND, &DELETE_ALARMS] {
            let q = Question::json(&format!("X.{}", row.name), &serde_json::json!({"task": "t"}));
            assert!(c.plain(row, q).await.is_err(), "{}", row.id);
        }
        assert!(c.logs.delete_log_group().log_group_name("/app").send().await.is_err());
        assert!(c.sts.get_session_token().send().await.is_err());
        assert!(c.sts.assume_role().role_arn("arn").role_session_name("x").send().await.is_err());
    });
    assert_eq!(fake.requests().len(), 0, "not one request left");
    let refused = runtime
        .block_on(aws.call(&op::DESCRIBE_INSTANCES, |c| c.ec2.stop_instances().instance_ids("i-1").send()));
    assert!(refused.unwrap_err().phrase().contains("not on the list of reads"));
    assert_eq!(fake.requests().len(), 0);
}

#[test]
fn with_changes_allowed_secrets_stay_out_of_reach() {
    let fake = Fake::start();
    fake.on("*", Answer::new(200, "text/plain", ""));
    let (runtime, aws) = aws(&fake.endpoint, Options { allow_changes: true, ..once() });
    let c = aws.clients();
    runtime.block_on(async {
        let _ = c.ec2.stop_instances().instance_ids("i-1").send().await;
        assert_eq!(fake.requests_of("StopInstances").len(), 1, "a change that was allowed is sent");
        assert!(c.ec2.get_password_data().instance_id("i-1").send().await.is_err());
        assert!(c.sts.get_session_token().send().await.is_err());
    });
    assert_eq!(fake.requests().len(), 1);
    assert!(fake.requests()[0].signed_scope().is_some());
}

#[test]
fn only_queries_that_were_started_here_are_ever_ended() {
    for allow_changes in [false, true] {
        let fake = Fake::start();
        fake.on("StartQuery", Answer::json(r#"{"queryId":"ours"}"#));
        fake.on("StartQueryExecution", Answer::json(r#"{"QueryExecutionId":"ours"}"#));
        fake.on("*", Answer::json("{}"));
        let (runtime, aws) = aws(&fake.endpoint, Options { allow_changes, ..once() });
        let c = aws.clients();
        let athena = |row: &'static op::Operation, body: serde_json::Value| {
            c.plain(row, Question::json(&format!("AmazonAthena.{}", row.name), &body))
        };
        runtime.block_on(async {
            let end = |id: &str| c.logs.stop_query().query_id(id).send();
            let id = |id: &str| serde_json::json!({ "QueryExecutionId": id });
            assert!(end("ours").await.is_err(), "it was not started yet");
            assert!(athena(&op::STOP_QUERY_EXECUTION, id("ours")).await.is_err());
            assert_eq!(fake.requests().len(), 0);
            let started = c.logs.start_query().query_string("fields @message").start_time(1).end_time(2);
            started.send().await.unwrap();
            let select = serde_json::json!({ "QueryString": "SELECT 1" });
            athena(&op::START_QUERY_EXECUTION, select).await.unwrap();
            assert!(end("theirs").await.is_err());
            assert!(athena(&op::STOP_QUERY_EXECUTION, id("theirs")).await.is_err());
            assert_eq!(fake.requests().len(), 2, "not one request left");
            end("ours").await.unwrap();
            athena(&op::STOP_QUERY_EXECUTION, id("ours")).await.unwrap();
        });
        assert_eq!(fake.requests_of("StopQuery").len(), 1);
        assert_eq!(fake.requests_of("StopQueryExecution").len(), 1);
    }
}

#[test]
fn live_tail_goes_to_a_custom_endpoint_as_it_was_given() {
    let fake = Fake::start();
    fake.on("StartLiveTail", Answer::json_error(400, "InvalidOperationException", "not here"));
    let (runtime, aws) = aws(&fake.endpoint, once());
    let got = runtime.block_on(aws.call(&op::START_LIVE_TAIL, |c| {
        c.logs.start_live_tail().log_group_identifiers("arn:aws:logs:us-east-1:1:log-group:/app").send()
    }));
    assert!(got.is_err());
    let seen = fake.requests_of("StartLiveTail");
    assert_eq!(seen.len(), 1);
    let host = fake.endpoint.trim_start_matches("http://");
    assert_eq!(seen[0].header("host"), Some(host), "no stream- in front");
    assert!(seen[0].signed_headers().contains(&"host".to_owned()), "and it is signed for");
}

#[test]
fn the_session_asks_nothing_but_what_the_table_lists() {
    let lab = super::support::Lab::start("ecs");
    let mut w = super::Watcher::open(&lab, "web-alb", once());
    w.whole_picture();
    let names: Vec<&str> = op::ALL.iter().map(|o| o.name).collect();
    let calls = lab.calls();
    assert!(calls.len() > 20);
    for call in calls {
        // REST services carry no name of an operation; of those only a GET reads.
        let is_known = names.contains(&call.op.as_str()) || call.op.starts_with("GET /");
        assert!(is_known, "{} is not in the table", call.op);
        assert_eq!(call.access_key, "AKIALAB", "every request is signed");
    }
}

const STATUSES: &str = "<DescribeInstanceStatusResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><instanceStatusSet>\
<item><instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>\
<applicationStatus><status>impaired</status></applicationStatus></item>\
<item><instanceId>i-2</instanceId><instanceState><name>running</name></instanceState>\
<applicationStatus><status>ok</status></applicationStatus></item>\
</instanceStatusSet></DescribeInstanceStatusResponse>";
const WHY: &str = "<DescribeApplicationStatusResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
<applicationStatusesResponseType><instanceSet><item><instanceId>i-1</instanceId><applicationStatus>\
<status>impaired</status><detailSet>\
<item><applicationStatusCheckId>asc-1</applicationStatusCheckId><status>passed</status></item>\
<item><applicationStatusCheckId>asc-2</applicationStatusCheckId><status>failed</status>\
<statusSince>2026-11-22T01:40:00Z</statusSince><reason><code>ResponseCodeMismatch</code><statusCode>502</statusCode></reason></item>\
</detailSet></applicationStatus></item></instanceSet></applicationStatusesResponseType></DescribeApplicationStatusResponse>";

#[test]
fn why_an_application_check_fails_is_asked_where_one_does() {
    let fake = Fake::start();
    fake.on("DescribeInstanceStatus", Answer::xml(STATUSES));
    fake.on("DescribeApplicationStatus", Answer::xml(WHY));
    let (runtime, aws) = aws(&fake.endpoint, once());
    let ids = ["i-1".into(), "i-2".into()];
    let all = runtime.block_on(around::instance_status(&aws, &ids)).unwrap();
    let [bad, good] = &all[..] else { panic!("{all:?}") };
    assert_eq!(bad.application_checks.len(), 1, "{bad:?}");
    let check = &bad.application_checks[0];
    assert_eq!((check.id.as_str(), check.reason.as_str()), ("asc-2", "ResponseCodeMismatch"));
    assert_eq!((check.status_code, check.since), (Some(502), Some("2026-11-22T01:40:00Z".parse().unwrap())));
    assert!(good.application_checks.is_empty() && good.application_unread.is_none());
    let asked = fake.requests_of("DescribeApplicationStatus");
    let body = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert!(asked.len() == 1 && body.contains("i-1") && !body.contains("i-2"), "{body}");

    // What may not be read is said, and the status checks stand all the same.
    let fake = Fake::start();
    fake.on("DescribeInstanceStatus", Answer::xml(STATUSES));
    fake.on("DescribeApplicationStatus", Answer::denied("ec2", "ec2:DescribeApplicationStatus"));
    let (runtime, aws) = self::aws(&fake.endpoint, once());
    let all = runtime.block_on(around::instance_status(&aws, &ids)).unwrap();
    assert_eq!(all[0].application.as_str(), "impaired");
    assert!(matches!(all[0].application_unread, Some(Reason::Denied { .. })), "{:?}", all[0]);
}
