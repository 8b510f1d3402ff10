//! One row of each form, and what must not be taken for one.

use super::*;
use proptest::prelude::*;

fn read(line: &str) -> Option<(Format, Row<'_>)> {
    match Parser::default().line(line.as_bytes(), true) {
        Line::Row(f, r) => Some((f, r)),
        _ => None,
    }
}

fn us(t: &str) -> i64 {
    t.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn s(b: &[u8]) -> &str {
    std::str::from_utf8(b).unwrap()
}

const ALB: &str = r#"h2 2026-11-22T01:40:10.250000Z app/shop/50dc 203.0.113.9:51000 10.0.1.5:8080 0.001 0.041 -1 502 - 412 277 "GET https://shop.example.com:443/cart/7?c=1 HTTP/2.0" "curl \"8\" x" TLS_AES TLSv1.3 arn:aws:tg/web "Root=1-2" "shop.example.com" "arn:cert" 0 2026-11-22T01:40:10.000000Z "waf,forward" "-" "-" "10.0.1.5:8080" "-" "Ambiguous" "AmbiguousUri" TID_1 "-" "-" "-" 10.0.0.7"#;

#[test]
fn load_balancers_rows_as_text() {
    let (f, r) = read(ALB).unwrap();
    assert_eq!((f, r.lb, r.status, s(r.target)), (Format::Alb, 502, 0, "10.0.1.5:8080"));
    assert_eq!((r.at, r.took, r.times), (us("2026-11-22T01:40:10.25Z"), 250_000, [1_000, 41_000, -1]));
    assert_eq!((s(r.method), s(r.host), s(r.path)), ("GET", "shop.example.com:443", "/cart/7"));
    assert_eq!((s(r.client), s(r.agent), r.received, r.sent), ("203.0.113.9", "curl \\\"8\\\" x", 412, 277));
    assert_eq!((s(r.group), s(r.trace), s(r.actions)), ("arn:aws:tg/web", "Root=1-2", "waf,forward"));
    assert_eq!((s(r.class), s(r.node), s(r.reason)), ("Ambiguous", "10.0.0.7", ""));

    for fields in 21..34 {
        let cut: Vec<&str> = ALB.splitn(2, " TLS_AES").collect();
        let rest: Vec<&str> = cut[1].split(' ').filter(|w| !w.is_empty()).take(fields - 15).collect();
        let line = format!("{} TLS_AES {}", cut[0], rest.join(" "));
        assert!(read(&line).is_some(), "{fields} fields: {line}");
        assert!(read(&format!("{line} \"more\" and more")).is_some());
    }
    let cut = &ALB[..ALB.find("arn:cert").unwrap()];
    assert!(read(cut).is_none(), "20 fields are no row");

    let connection = r#"2026-11-22T01:40:00.000000Z 203.0.113.9 36280 443 TLSv1.2 ECDHE - "CN=x,O=y" NotBefore=1;NotAfter=2 FEF2 Failed:ClientCertUntrusted TID_9"#;
    let (f, r) = read(connection).unwrap();
    assert_eq!(
        (f, s(r.reason), s(r.client), s(r.trace)),
        (Format::AlbConnection, "Failed:ClientCertUntrusted", "203.0.113.9", "TID_9")
    );

    let health = "http 2026-11-22T01:40:00.000000Z 1.121980746 10.0.1.5:80 web FAIL 502 TargetError app/shop/50dc 10.0.0.7";
    let (f, r) = read(health).unwrap();
    assert_eq!((f, r.status, s(r.reason), r.took), (Format::AlbHealth, 502, "TargetError", 1_121_980));

    let clb = r#"2026-11-22T01:40:00.000000Z my-lb 203.0.113.9:2817 10.0.0.1:80 0.000073 0.001048 0.000057 502 - 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7" - -"#;
    let (f, r) = read(clb).unwrap();
    assert_eq!(
        (f, r.lb, r.times, r.at),
        (Format::Clb, 502, [73, 1_048, 57], us("2026-11-22T01:40:00.001178Z"))
    );
    assert!(
        read(&clb.replace("502 -", "- -").replace("GET http://www.example.com:80/ HTTP/1.1", "- - - "))
            .is_some()
    );

    let nlb = "tls 2.0 2026-11-22T01:40:00 net/my/c6e7 g3d4 203.0.113.9:51341 10.0.0.1:80 5 2 98 246 42 arn:cert - ECDHE tlsv12 - nlb.example.com h2 h2 \"h2\",\"http/1.1\" 2026-11-22T01:39:30";
    let (f, r) = read(nlb).unwrap();
    assert_eq!(
        (f, r.took, r.times[0], s(r.reason), s(r.host)),
        (Format::Nlb, 5_000, 2_000, "42", "nlb.example.com")
    );
}

#[test]
fn a_row_without_failure_is_read_alike_in_short() {
    let good = ALB.replace("-1 502 -", "0.002 200 200");
    let (mut a, mut b) = (Parser::default(), Parser::default());
    let (Line::Row(_, short), Line::Row(_, full)) =
        (a.line(good.as_bytes(), false), b.line(good.as_bytes(), true))
    else {
        panic!("both read it")
    };
    assert_eq!(
        (short.at, short.lb, short.times, short.path, short.agent),
        (full.at, full.lb, full.times, full.path, full.agent)
    );
    let cut = &good[..good.find(" arn:aws").unwrap()];
    for full in [false, true] {
        assert_eq!(Parser::default().line(cut.as_bytes(), full), Line::Unreadable);
    }
}

#[test]
fn cloudfront_by_its_columns() {
    let row = "2026-11-22\t01:40:00\tSEA19-C1\t900\t192.0.2.200\tGET\td111.cloudfront.net\t/favicon.ico\t502\t-\tcurl/7\t-\t-\tError\t1pkp==\twww.example.com\thttp\t675\t0.102\t-\t-\t-\tError\tHTTP/1.1\t-\t-\t25260\t0.102\tOriginDnsError\ttext/html\t507\t-\t-";
    let (f, r) = read(row).unwrap();
    assert_eq!(
        (f, r.lb, s(r.reason), s(r.node), r.took),
        (Format::CloudFront, 502, "OriginDnsError", "SEA19-C1", 102_000)
    );
    let mut p = Parser::default();
    assert_eq!(p.line(b"#Version: 1.0", false), Line::Blank);
    assert_eq!(p.line(b"#Fields: date time sc-status c-ip cs-uri-stem time-taken x y z", false), Line::Blank);
    match p.line(b"2026-11-22\t01:40:00\t000\t192.0.2.1\t/a\t0.5\t-\t-\t-", false) {
        Line::Row(Format::CloudFront, r) => assert_eq!((r.lb, r.took, s(r.path)), (0, 500_000, "/a")),
        other => panic!("{other:?}"),
    }
    let v2 = r#"{"date":"2026-11-22","time":"01:40:00","sc-status":"504","x-edge-detailed-result-type":"OriginCommError","time-taken":"30.1","c-ip":"192.0.2.1","cs-uri-stem":"/a","x-edge-result-type":"Error"}"#;
    let (f, r) = read(v2).unwrap();
    assert_eq!((f, r.lb, s(r.reason), r.took), (Format::CloudFront, 504, "OriginCommError", 30_100_000));
}

#[test]
fn json_rows() {
    let alb = r#"{"type":"h2","time":"2026-11-22T01:40:10.250000Z","target_port":"10.0.1.5:8080","request_processing_time":"0.0","target_processing_time":0.041,"response_processing_time":"-1","elb_status_code":"502","target_status_code":"-","received_bytes":"10","request_line":"GET https://q:443/quote HTTP/1.1","error_reason":"-","request_creation_time":"2026-11-22T01:40:10.000000Z","client_port":"203.0.113.9:1"}"#;
    let (f, r) = read(alb).unwrap();
    assert_eq!((f, r.lb, r.status, r.took, s(r.path)), (Format::Alb, 502, 0, 250_000, "/quote"));
    let azure = r#"{"timeStamp":"2026-11-22T01:40:00+00:00","backendPoolName":"pool","operationName":"ApplicationGatewayAccess","properties":{"clientIP":"203.0.113.9","httpMethod":"GET","requestUri":"/a","httpStatus":502,"serverRouted":"10.0.0.4:80","serverStatus":"","serverResponseLatency":"0.04","timeTaken":0.05,"error_info":"ERRORINFO_UPSTREAM_CLOSED_CONNECTION","transactionId":"t1"}}"#;
    let (f, r) = read(azure).unwrap();
    assert_eq!((f, r.lb, s(r.target), s(r.group)), (Format::AzureGateway, 502, "10.0.0.4:80", "pool"));
    assert_eq!((s(r.reason), r.times[1]), ("ERRORINFO_UPSTREAM_CLOSED_CONNECTION", 40_000));
    let api = r#"{"requestId":"4875","ip":"203.0.113.9","requestTime":"22/Nov/2026:01:40:00 +0000","httpMethod":"GET","resourcePath":"/pets","status":"504","integrationLatency":"29010","responseLatency":29020,"error":{"responseType":"INTEGRATION_TIMEOUT"},"list":[1,{"a":"]"}]}"#;
    let (f, r) = read(api).unwrap();
    assert_eq!((f, r.lb, r.times[1], s(r.path)), (Format::ApiGateway, 504, 29_010_000, "/pets"));
    assert_eq!(r.at, us("2026-11-22T01:40:29.020Z"), "the log has the time of the arrival");
    let nginx = r#"{"time_iso8601":"2026-11-22T01:40:00+00:00","remote_addr":"203.0.113.9","request":"GET /x HTTP/1.1","status":502,"upstream_status":"502, 504","upstream_addr":"10.0.0.1:80, 10.0.0.2:80","request_time":0.5}"#;
    let (f, r) = read(nginx).unwrap();
    assert_eq!((f, r.lb, r.status, s(r.target)), (Format::Web, 502, 504, "10.0.0.2:80"));
    for bad in [
        "{",
        "{}",
        r#"{"a":1}"#,
        r#"{"elb_status_code":"502"}"#,
        r#"{"status":"x","time":"2026-11-22T01:40:00Z"}"#,
        r#"{"a":"b}"#,
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
    assert_eq!(read(&format!("{{\"status\":{}", "[".repeat(100_000))), None);
}

#[test]
fn web_servers_rows() {
    let combined =
        r#"203.0.113.9 - - [22/Nov/2026:01:40:00 +0900] "GET /a?b HTTP/1.1" 502 559 "-" "Mozilla/5.0 (X)""#;
    let (f, r) = read(combined).unwrap();
    assert_eq!((f, r.lb, r.sent, s(r.path), s(r.agent)), (Format::Web, 502, 559, "/a", "Mozilla/5.0 (X)"));
    assert_eq!(r.at, us("2026-11-22T01:40:00+09:00"));
    let common = r#"203.0.113.9 - bob [22/Nov/2026:01:40:00 +0000] "GET /a HTTP/1.1" 200 -"#;
    assert_eq!(read(common).map(|(f, r)| (f, r.lb)), Some((Format::Web, 200)));
    let named = format!("www.x.org:80 {common}");
    let (_, r) = read(&named).unwrap();
    assert_eq!((s(r.host), s(r.client)), ("www.x.org", "203.0.113.9"));
    let timed = format!(
        "{combined} \"203.0.113.9\" rt=0.512 uct=\"0.001\" urt=\"0.1, 0.510\" us=\"502, 504\" ua=\"10.0.0.1:80, 10.0.0.2:80\""
    );
    let (_, r) = read(&timed).unwrap();
    assert_eq!((r.took, r.times, r.status, s(r.target)), (512_000, [1_000, 510_000, -1], 504, "10.0.0.2:80"));
    let bare = format!("{combined} 0.512 0.510 10.0.0.2:80 504");
    let (_, r) = read(&bare).unwrap();
    assert_eq!((r.took, r.times[1], r.status, s(r.target)), (512_000, 510_000, 504, "10.0.0.2:80"));

    let api =
        r#"203.0.113.9 - - [22/Nov/2026:01:40:00 +0000] "GET /pets HTTP/1.1" 502 36 4875-2d0f-c99d-4cfa"#;
    assert_eq!(read(api).map(|(f, r)| (f, s(r.trace))), Some((Format::ApiGateway, "4875-2d0f-c99d-4cfa")));

    let ha = r#"Nov 22 01:40:00 localhost haproxy[14389]: 10.0.1.2:33317 [22/Nov/2026:01:39:59.655] http-in static/srv1 10/0/30/-1/109 502 2750 - - SH-- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#;
    let (f, r) = read(ha).unwrap();
    assert_eq!(
        (f, r.lb, r.status, s(r.reason), s(r.target)),
        (Format::HaProxy, 502, 0, "SH--", "static/srv1")
    );
    assert_eq!(
        (r.took, r.times, s(r.path), s(r.client)),
        (109_000, [40_000, -1, -1], "/index.html", "10.0.1.2")
    );
    let fine = ha.replace("10/0/30/-1/109 502", "10/0/30/69/109 200").replace("SH--", "----");
    assert_eq!(read(&fine).map(|(_, r)| (r.lb, r.status, s(r.reason))), Some((200, 200, "")));
}

#[test]
fn formats_that_are_given() {
    let row = |format: &str, line: &'static str| {
        let t = Arc::new(Template::parse(format).unwrap());
        match Parser::new(None, Some(t)).line(line.as_bytes(), true) {
            Line::Row(_, r) => r,
            other => panic!("{format}: {other:?}"),
        }
    };
    let r = row(
        r#"$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent "$http_user_agent" $request_time up=$upstream_addr/$upstream_status"#,
        r#"203.0.113.9 [2026-11-22T01:40:00+00:00] "GET /a HTTP/1.1" 502 12 "say \"hi\"" 0.512 up=10.0.0.1:80, 10.0.0.2:80/502, 504"#,
    );
    assert_eq!(
        (r.lb, r.status, r.took, s(r.target), s(r.agent)),
        (502, 504, 512_000, "10.0.0.2:80", "say \\\"hi\\\"")
    );
    let r = row(
        r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %D"#,
        r#"203.0.113.9 - - [22/Nov/2026:01:40:00 +0000] "GET /a HTTP/1.1" 503 12 "-" "curl" 5120"#,
    );
    assert_eq!((r.lb, r.took, s(r.agent), r.at), (503, 5_120, "curl", us("2026-11-22T01:40:00Z")));
    for (format, why) in [
        ("$status", "has no time"),
        ("%t", "has no status"),
        ("$status$time_local", "nothing between them"),
        ("%t %{Referer", "a brace without end"),
        ("%t %s %", "ends in the middle"),
    ] {
        assert!(Template::parse(format).unwrap_err().contains(why), "{format}");
    }
}

#[test]
fn one_file_may_change_its_form() {
    let mut p = Parser::default();
    for (line, want) in [
        (ALB, Some(Format::Alb)),
        ("rubbish", None),
        (r#"203.0.113.9 - - [22/Nov/2026:01:40:00 +0000] "GET /a HTTP/1.1" 200 5"#, Some(Format::Web)),
        (ALB, Some(Format::Alb)),
    ] {
        let got = match p.line(line.as_bytes(), false) {
            Line::Row(f, _) => Some(f),
            _ => None,
        };
        assert_eq!(got, want, "{line}");
    }
    let mut only = Parser::new(Some(Format::Web), None);
    assert_eq!(only.line(ALB.as_bytes(), false), Line::Unreadable);
    assert_eq!(only.line(b"  \r", false), Line::Blank);
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..300), full: bool) {
        let _ = Parser::default().line(&bytes, full);
    }

    #[test]
    fn no_damage_to_a_row_is_too_odd(at in 0usize..400, with in prop::collection::vec(prop_oneof![Just(b'"'), Just(b' '), Just(b'\\'), any::<u8>()], 0..9), which in 0usize..4) {
        let rows = [ALB, r#"{"time":"2026-11-22T01:40:10Z","elb_status_code":"502","target_port":"-"}"#,
            r#"203.0.113.9 - - [22/Nov/2026:01:40:00 +0000] "GET /a HTTP/1.1" 502 36 "-" "x" 0.5"#,
            "2026-11-22\t01:40:00\tSEA\t9\t1.1.1.1\tGET\th\t/f\t502\t-\tc\t-\t-\tError\t1pkp==\tw\thttp\t675\t0.102"];
        let mut bytes = rows[which].as_bytes().to_vec();
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        for full in [false, true] {
            if let Line::Row(_, r) = Parser::default().line(&bytes, full) {
                prop_assert!(r.lb < 1000 && r.status < 1000 && r.times.iter().all(|t| *t >= -1));
            }
        }
    }
}
