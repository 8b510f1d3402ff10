//! `badgate logs` of what lies in S3 and CloudWatch Logs, and of what Insights
//! and Athena say.

use super::support::fake::{Answer, Fake};
use super::support::{Lab, badgate, http, run};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const DAY: &str = "AWSLogs/123456789012/elasticloadbalancing/us-east-1/2026/05/04";

/// A row of a load balancer's access log.
fn row(minute: u32, n: usize, lb: &str, status: &str) -> String {
    let at = format!("2026-05-04T10:{minute:02}:{:02}.{:06}Z", n % 60, n % 1_000_000);
    let times = if lb == "502" { "0.001 0.002 -1" } else { "0.001 0.050 0.000" };
    format!(
        "h2 {at} app/shop/50dc 203.0.113.9:40000 10.0.1.{}:8080 {times} {lb} {status} 80 120 \
         \"GET https://shop.example.com:443/p/{n} HTTP/2.0\" \"curl/8\" TLS_AES_128_GCM_SHA256 TLSv1.3 arn:x \"Root=1-{n:x}-1\" \
         \"shop.example.com\" \"arn:c\" 1 {at} \"forward\" \"-\" \"-\" \"10.0.1.5:8080\" \"{status}\" \"-\" \"-\" TID_{n:x}\n",
        5 + n % 3
    )
}

fn rows(minute: u32, n: usize) -> String {
    (0..n)
        .map(|i| if i % 10 == 0 { row(minute, i, "502", "-") } else { row(minute, i, "200", "200") })
        .collect()
}

fn gz(text: &str) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::fast());
    e.write_all(text.as_bytes()).unwrap();
    e.finish().unwrap()
}

fn key(stamp: &str) -> String {
    format!("{DAY}/123456789012_elasticloadbalancing_us-east-1_app.shop.50dc_{stamp}_10.0.0.5_3kx9.log.gz")
}

/// Puts something into S3, as nobody in particular.
fn put(lab: &Lab, path: &str, body: &[u8]) {
    let scope = "AWS4-HMAC-SHA256 Credential=AKIALAB/20260504/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let reply = http::request(&lab.endpoint, "PUT", path, &[("authorization", scope)], body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn logs(env: &[(String, String)], args: &[&str]) -> Output {
    run(env, &[&["logs"][..], args].concat())
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn doc(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(out)))
}

#[test]
fn a_bucket_is_read_and_narrowed_to_the_window() {
    let lab = Lab::start("shop");
    put(&lab, "/shop-logs", b"");
    for (stamp, minute) in [("20260504T1005Z", 2), ("20260504T1010Z", 7), ("20260504T1035Z", 32)] {
        put(&lab, &format!("/shop-logs/lb/{}", key(stamp)), &gz(&rows(minute, 200)));
    }
    let elsewhere = key("20260504T1005Z").replace("2026/05/04", "2026/05/01");
    put(&lab, &format!("/shop-logs/lb/{elsewhere}"), &gz(&rows(2, 50)));
    // More than one piece.
    let large: String = (0..8_000).map(|i| row(11, i, "200", "200")).collect();
    put(&lab, "/shop-logs/lb-old/large.log", large.as_bytes());

    let all = logs(&lab.env(), &["s3://shop-logs/lb", "--json"]);
    assert_eq!(all.status.code(), Some(1), "{}", said(&all));
    let all = doc(&all);
    assert_eq!((&all["files"], &all["rows"], &all["engine"]), (&json!(4), &json!(650), &json!("local")));

    let window = ["--since", "2026-05-04T10:06Z", "--until", "2026-05-04T10:20Z"];
    let one = doc(&logs(&lab.env(), &[&["s3://shop-logs/", "--json"][..], &window[..]].concat()));
    // The file of the first interval may hold late rows and is read; they are outside.
    assert_eq!(one["rows"], 200 + 8_000, "{one:#}");
    let causes = one["causes"].as_array().unwrap();
    assert_eq!(causes[0]["cause"], "alb-target-keepalive-shorter");
    let text = logs(&lab.env(), &[&["s3://shop-logs/lb/"][..], &window[..]].concat());
    assert!(String::from_utf8_lossy(&text.stdout).contains("outside of the window"), "{}", said(&text));

    let none = logs(&lab.env(), &["s3://shop-logs/nothing/"]);
    assert_eq!(none.status.code(), Some(3));
    assert!(said(&none).contains("holds no file"), "{}", said(&none));
    let gone = logs(&lab.env(), &["s3://no-such-bucket/"]);
    assert_eq!(gone.status.code(), Some(3));
    assert!(said(&gone).contains("s3://no-such-bucket/: not found"), "{}", said(&gone));
    let bad = logs(&lab.env(), &["s3://Bad_Name/"]);
    assert_eq!(bad.status.code(), Some(2), "{}", said(&bad));
}

fn listing(keys: &[(&str, usize)]) -> Answer {
    let all: String = keys
        .iter()
        .map(|(k, size)| {
            format!("<Contents><Key>{k}</Key><Size>{size}</Size><LastModified>2026-05-04T10:40:00Z</LastModified></Contents>")
        })
        .collect();
    Answer::xml(&format!("<ListBucketResult>{all}</ListBucketResult>"))
}

const LIST: &str = "GET /shop-logs?delimiter=%2F&list-type=2&prefix=";

#[test]
fn what_breaks_off_is_asked_for_again_and_what_is_denied_is_named() {
    let fake = Fake::start();
    let body = gz(&rows(2, 300));
    fake.on(
        LIST,
        listing(&[("good.gz", body.len()), ("secret.gz", 500), ("cut.gz", body.len()), ("gone.gz", 70)]),
    );
    fake.on("GET /shop-logs/good.gz", Answer::new(200, "binary/octet-stream", body.clone()));
    fake.on_times("GET /shop-logs/good.gz", 4, Answer::new(200, "binary/octet-stream", body.clone()).half());
    let error = |code: &str| {
        Answer::new(
            403,
            "application/xml",
            format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
        )
    };
    fake.on("GET /shop-logs/secret.gz", error("AccessDenied"));
    fake.on(
        "GET /shop-logs/gone.gz",
        Answer::new(404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>"),
    );
    fake.on("GET /shop-logs/cut.gz", Answer::new(200, "binary/octet-stream", body.clone()));
    fake.on_times(
        "GET /shop-logs/cut.gz",
        2,
        Answer::new(503, "application/xml", "<Error><Code>SlowDown</Code><Message>slowly</Message></Error>"),
    );
    let out = logs(&fake.env(), &["s3://shop-logs/", "--json"]);
    let told = said(&out);
    assert_eq!(out.status.code(), Some(1), "{told}");
    assert_eq!((&doc(&out)["files"], &doc(&out)["rows"]), (&json!(2), &json!(600)), "{told}");
    assert!(told.contains("s3://shop-logs/secret.gz: may not be read: needs s3:GetObject"), "{told}");
    assert!(told.contains("s3://shop-logs/gone.gz: vanished"), "{told}");
    assert!(told.contains("pieces broke off") && told.contains("throttled us"), "{told}");
    assert!(told.contains("1 pieces of files were denied") || told.contains("were denied"), "{told}");
}

#[test]
fn a_large_download_is_not_begun_unasked() {
    let fake = Fake::start();
    fake.on(LIST, listing(&[("a.gz", 300 << 20), ("b.gz", 1 << 20)]));
    let out = logs(&fake.env(), &["s3://shop-logs/"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(said(&out).contains("in 2 files are to be downloaded: say so with --yes"), "{}", said(&out));
    fake.on(LIST, listing(&[("a.gz", 30 << 30)]));
    let out = logs(&fake.env(), &["s3://shop-logs/"]);
    assert!(said(&out).contains("--engine athena"), "{}", said(&out));
    assert!(fake.requests().iter().all(|r| r.operation == LIST), "nothing was fetched");
}

#[test]
fn a_bucket_of_another_region_is_asked_there() {
    let fake = Fake::start();
    let body = gz(&rows(2, 30));
    fake.on(LIST, listing(&[("a.gz", body.len())]));
    fake.on_times(
        LIST,
        1,
        Answer::new(
            400,
            "application/xml",
            "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>",
        ),
    );
    fake.on("GET /shop-logs/a.gz", Answer::new(200, "binary/octet-stream", body));
    let out = logs(&fake.env(), &["s3://shop-logs/", "--json"]);
    assert_eq!(doc(&out)["rows"], 30, "{}", said(&out));
    let got = fake.requests_of("GET /shop-logs/a.gz");
    assert_eq!(got[0].signed_scope().unwrap().1, "eu-west-1");
}

fn group(bytes: u64) -> Answer {
    Answer::json(
        &json!({ "logGroups": [{ "logGroupName": "/aws/alb", "storedBytes": bytes, "creationTime": 1_700_000_000_000_u64 }] })
            .to_string(),
    )
}

fn events(lines: &[String], next: Option<&str>) -> Answer {
    let all: Vec<Value> = lines.iter().map(|l| json!({ "message": l.trim_end(), "timestamp": 1 })).collect();
    Answer::json(&json!({ "events": all, "nextToken": next }).to_string())
}

#[test]
fn a_log_group_is_read_page_by_page() {
    let fake = Fake::start();
    let lines: Vec<String> =
        (0..40).map(|i| row(2, i, if i % 4 == 0 { "502" } else { "200" }, "-")).collect();
    fake.on("DescribeLogGroups", group(5_000));
    fake.on("FilterLogEvents", events(&lines[30..], None));
    fake.on_times("FilterLogEvents", 1, events(&lines[20..30], Some("c")));
    fake.on_times("FilterLogEvents", 1, events(&[], Some("b")));
    fake.on_times("FilterLogEvents", 1, events(&lines[..20], Some("a")));
    let window = ["--since", "2026-05-04T10:00Z", "--until", "2026-05-04T11:00Z"];
    let out = logs(&fake.env(), &[&["cwl:/aws/alb", "--json"][..], &window[..]].concat());
    let d = doc(&out);
    assert_eq!((&d["rows"], &d["unparsed"]), (&json!(40), &json!(0)), "{}", said(&out));
    let asked: Value = serde_json::from_slice(&fake.requests_of("FilterLogEvents")[0].body).unwrap();
    assert_eq!(asked["startTime"], 1_777_888_800_000_u64);

    let none = logs(&fake.env(), &["cwl:/aws/al"]);
    assert!(said(&none).contains("log group /aws/al (there is /aws/alb)"), "{}", said(&none));
    fake.on("DescribeLogGroups", group(1 << 50));
    let large = logs(&fake.env(), &[&["cwl:/aws/alb"][..], &window[..]].concat());
    assert!(said(&large).contains("--engine insights"), "{}", said(&large));
}

#[test]
fn insights_answers_the_same_question() {
    let fake = Fake::start();
    let failing: Vec<String> = (0..20).map(|i| row(2, i, "502", "-")).collect();
    fake.on("DescribeLogGroups", group(5_000));
    fake.on("FilterLogEvents", events(&failing[..1], None));
    fake.on("StartQuery", Answer::json(r#"{"queryId":"q"}"#));
    let result = |rows: Value| {
        Answer::json(
            &json!({ "status": "Complete", "statistics": { "bytesScanned": 1000.0 }, "results": rows })
                .to_string(),
        )
    };
    let f = |list: &[(&str, &str)]| -> Value {
        list.iter().map(|(k, v)| json!({ "field": k, "value": v })).collect()
    };
    let lines: Value = failing.iter().map(|l| f(&[("@message", l.trim_end()), ("@ptr", "x")])).collect();
    // The last rule is used first.
    fake.on_times("GetQueryResults", 1, result(lines));
    fake.on_times(
        "GetQueryResults",
        1,
        result(json!([f(&[
            ("n", "980"),
            ("p50", "0.05"),
            ("p90", "0.1"),
            ("p99", "0.4"),
            ("longest", "2")
        ])])),
    );
    fake.on_times(
        "GetQueryResults",
        1,
        result(json!([
            f(&[("target_port", "10.0.1.5:8080"), ("elb_status_code", "200"), ("n", "320")]),
            f(&[("target_port", "10.0.1.6:8080"), ("elb_status_code", "200"), ("n", "320")]),
            f(&[("target_port", "10.0.1.7:8080"), ("elb_status_code", "200"), ("n", "320")]),
            f(&[("target_port", "10.0.1.6:8080"), ("elb_status_code", "502"), ("n", "20")]),
        ])),
    );
    fake.on_times(
        "GetQueryResults",
        1,
        result(json!([
            f(&[
                ("bin(1m)", "2026-05-04 10:02:00.000"),
                ("elb_status_code", "200"),
                ("target_status_code", "200"),
                ("n", "960")
            ]),
            f(&[
                ("bin(1m)", "2026-05-04 10:02:00.000"),
                ("elb_status_code", "502"),
                ("target_status_code", "-"),
                ("n", "20")
            ]),
        ])),
    );
    fake.on_times("GetQueryResults", 1, Answer::json(r#"{"status":"Running","results":[]}"#));
    let window = ["--since", "2026-05-04T10:00Z", "--until", "2026-05-04T11:00Z"];
    let out =
        logs(&fake.env(), &[&["cwl:/aws/alb", "--engine", "insights", "--json"][..], &window[..]].concat());
    let d = doc(&out);
    assert_eq!((&d["engine"], &d["rows"]), (&json!("insights"), &json!(980)), "{}", said(&out));
    assert_eq!(d["per_minute"][0]["lb_502"], 20);
    assert_eq!(d["targets_502"], json!([{ "target": "10.0.1.6:8080", "count": 20 }]));
    assert_eq!(d["target_time"]["p99"], 0.4);
    assert_eq!(d["causes"][0]["count"], 20, "{:#}", d["causes"]);
    assert!(said(&out).contains("Insights will read about"), "{}", said(&out));
    let asked: Value = serde_json::from_slice(&fake.requests_of("StartQuery")[0].body).unwrap();
    assert!(asked["queryString"].as_str().unwrap().contains("parse @message"), "plain rows: {asked:#}");
}

#[test]
fn athena_is_asked_in_selects_and_creates_only_with_leave() {
    let fake = Fake::start();
    let url = "s3://shop-logs/AWSLogs/123456789012/elasticloadbalancing/us-east-1/";
    fake.on("*", listing(&[]));
    fake.on("StartQueryExecution", Answer::json(r#"{"QueryExecutionId":"q"}"#));
    let state = |s: &str, why: &str| {
        Answer::json(
            &json!({ "QueryExecution": { "Status": { "State": s, "StateChangeReason": why }, "Statistics": { "DataScannedInBytes": 7 } } })
                .to_string(),
        )
    };
    fake.on("GetQueryExecution", state("FAILED", "TABLE_NOT_FOUND: line 1:1: Table does not exist"));
    let window = ["--since", "2026-05-04T10:00Z", "--until", "2026-05-04T11:00Z"];
    let args = [&[url, "--engine", "athena", "--json"][..], &window[..]].concat();
    let out = logs(&fake.env(), &args);
    assert_eq!(out.status.code(), Some(3));
    assert!(said(&out).contains("--allow-changes creates it"), "{}", said(&out));
    let statements = || -> Vec<String> {
        let all = fake.requests_of("StartQueryExecution");
        all.iter()
            .map(|r| {
                serde_json::from_slice::<Value>(&r.body).unwrap()["QueryString"].as_str().unwrap().to_string()
            })
            .collect()
    };
    assert!(statements().iter().all(|s| s.starts_with("SELECT ")), "{:?}", statements());

    fake.on("GetQueryExecution", state("SUCCEEDED", ""));
    let cells = |list: &[&str]| json!({ "Data": list.iter().map(|c| json!({ "VarCharValue": c })).collect::<Vec<_>>() });
    // Every question gets the same answer: one that fits counts by minute, with its header.
    let rows = json!([cells(&["m", "lb", "t", "n"]), cells(&["2026-05-04T10:02", "502", "-", "12"])]);
    fake.on("GetQueryResults", Answer::json(&json!({ "ResultSet": { "Rows": rows } }).to_string()));
    let out = logs(&fake.env(), &[&args[..], &["--allow-changes"][..]].concat());
    let d = doc(&out);
    assert_eq!((&d["engine"], &d["rows"]), (&json!("athena"), &json!(12)), "{}", said(&out));
    assert!(
        statements().iter().any(|s| s.starts_with("CREATE EXTERNAL TABLE IF NOT EXISTS")),
        "{:?}",
        statements()
    );
    assert!(said(&out).contains("Athena will read about"), "{}", said(&out));

    let out = logs(&fake.env(), &[url, "--ddl"]);
    let ddl = String::from_utf8_lossy(&out.stdout);
    assert!(ddl.contains("'projection.day.format' = 'yyyy/MM/dd'") && ddl.ends_with(";\n"), "{ddl}");
}

/// Runs, presses Ctrl-C once `operation` was asked `times`, and waits for the end.
fn interrupted(fake: &Fake, args: &[&str], (operation, times): (&str, usize)) -> Output {
    let child = Command::new(badgate())
        .arg("logs")
        .args(args)
        .env_clear()
        .envs(fake.env())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while fake.requests_of(operation).len() < times {
        assert!(began.elapsed().as_secs() < 60, "{operation} was never asked {times} times");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    child.wait_with_output().unwrap()
}

fn named(fake: &Fake, operation: &str, field: &str) -> Vec<String> {
    let body = |b: &[u8]| serde_json::from_slice::<Value>(b).unwrap()[field].as_str().unwrap().to_string();
    let mut ids: Vec<String> = fake.requests_of(operation).iter().map(|r| body(&r.body)).collect();
    ids.sort();
    ids
}

const HOUR: [&str; 4] = ["--since", "2026-05-04T10:00Z", "--until", "2026-05-04T11:00Z"];

#[test]
fn a_query_nobody_waits_for_is_ended_at_insights() {
    let fake = Fake::start();
    fake.on("DescribeLogGroups", group(5_000));
    fake.on("FilterLogEvents", events(&[row(2, 1, "502", "-")], None));
    fake.on("StartQuery", Answer::json(r#"{"queryId":"ours-1"}"#));
    fake.on("GetQueryResults", Answer::json(r#"{"status":"Running","results":[]}"#));
    fake.on("StopQuery", Answer::json(r#"{"success":true}"#));
    let args = [&["cwl:/aws/alb", "--engine", "insights"][..], &HOUR[..]].concat();
    let out = interrupted(&fake, &args, ("GetQueryResults", 1));
    assert_eq!(out.status.code(), Some(130), "{}", said(&out));
    assert!(said(&out).contains("stopped; Insights: the query was ended"), "{}", said(&out));
    assert_eq!(named(&fake, "StopQuery", "queryId"), ["ours-1"]);

    // Who may not end it is told which one goes on.
    let fake = Fake::start();
    fake.on("DescribeLogGroups", group(5_000));
    fake.on("FilterLogEvents", events(&[row(2, 1, "502", "-")], None));
    fake.on("StartQuery", Answer::json(r#"{"queryId":"ours-2"}"#));
    fake.on("GetQueryResults", Answer::json(r#"{"status":"Running","results":[]}"#));
    fake.on("StopQuery", Answer::denied("logs", "logs:StopQuery"));
    let out = interrupted(&fake, &args, ("GetQueryResults", 1));
    assert_eq!(out.status.code(), Some(130), "{}", said(&out));
    assert!(
        said(&out).contains("query ours-2 may go on (access denied: needs logs:StopQuery)"),
        "{}",
        said(&out)
    );
}

#[test]
fn queries_nobody_waits_for_are_ended_at_athena() {
    let url = "s3://shop-logs/AWSLogs/123456789012/elasticloadbalancing/us-east-1/";
    let args = [&[url, "--engine", "athena"][..], &HOUR[..]].concat();
    let began = |fake: &Fake| {
        fake.on("*", listing(&[]));
        for id in ["d", "c", "b", "a"] {
            fake.on_times(
                "StartQueryExecution",
                1,
                Answer::json(&json!({ "QueryExecutionId": id }).to_string()),
            );
        }
        fake.on("GetQueryExecution", Answer::json(r#"{"QueryExecution":{"Status":{"State":"RUNNING"}}}"#));
        fake.on("StopQueryExecution", Answer::json("{}"));
    };
    let fake = Fake::start();
    began(&fake);
    let out = interrupted(&fake, &args, ("GetQueryExecution", 4));
    assert_eq!(out.status.code(), Some(130), "{}", said(&out));
    assert!(said(&out).contains("stopped; Athena: the query was ended"), "{}", said(&out));
    assert_eq!(named(&fake, "StopQueryExecution", "QueryExecutionId"), ["a", "b", "c", "d"]);

    // One that fails ends the three beside it, and is the one that is told.
    let fake = Fake::start();
    began(&fake);
    fake.on_times(
        "GetQueryExecution",
        1,
        Answer::json(
            r#"{"QueryExecution":{"Status":{"State":"FAILED","StateChangeReason":"HIVE_BAD_DATA: a row"}}}"#,
        ),
    );
    let out = logs(&fake.env(), &args);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("HIVE_BAD_DATA"), "{}", said(&out));
    assert_eq!(named(&fake, "StopQueryExecution", "QueryExecutionId").len(), 3);
}

#[test]
fn rows_are_judged_by_the_timeouts_their_load_balancer_has() {
    let lab = Lab::start("shop");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alb.log");
    std::fs::write(&file, rows(2, 30)).unwrap();
    let file = file.to_str().unwrap();
    // The delay of the world's one target group is not the usual one.
    let out = logs(&lab.env(), &[file, "--target", "shop-alb"]);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        text.contains("judged by an idle timeout of 60 s and a deregistration delay of 60 s"),
        "{text}{}",
        said(&out)
    );
    let out = logs(&lab.env(), &[file, "--target", "shop-alb", "--idle-timeout", "30s"]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("idle timeout of 30 s"), "{}", said(&out));

    lab.fault(&json!({ "op": "DescribeTargetGroupAttributes", "kind": "denied" }));
    let out = logs(&lab.env(), &[file, "--target", "shop-alb"]);
    assert!(said(&out).contains("the deregistration delay of shop-alb is not known"), "{}", said(&out));
    assert!(String::from_utf8_lossy(&out.stdout).contains("delay of 300 s"), "{}", said(&out));
    let out = logs(&lab.env(), &[file, "--target", "no-such-lb"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("no-such-lb"), "{}", said(&out));
}
