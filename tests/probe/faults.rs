//! What answers can be wrong in, and that each is bounded and named.

use crate::serve::*;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn a_plain_answer_is_fine() {
    let s = Serve::new(|mut s| {
        while request(&mut s) {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nServer: demo\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let (code, v) = probe(&[&s.url()]);
    assert_eq!((code, ids(&v).len()), (0, 0), "{v:#}");
    let e = &v["exchanges"][0];
    assert_eq!((&e["status"], &e["status_line"]), (&200.into(), &"HTTP/1.1 200 OK".into()));
    assert_eq!((&e["header_bytes"], &e["body_bytes"]), (&52.into(), &2.into()));
    assert_eq!(e["keeps"], true);
    for phase in ["connect_ms", "first_byte_ms", "body_ms"] {
        assert!(e["phases"][phase].as_f64().is_some_and(|ms| ms >= 0.0), "{phase}: {e:#}");
    }
    assert_eq!((&v["keepalive_s"], &v["closed_by"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(s.seen.load(Ordering::SeqCst), 1, "a plain probe is one request");

    let ran = run(&["probe", &s.url()]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.lines().all(|l| l.chars().count() <= 80), "{}", ran.out);
    assert!(ran.out.contains("nothing wrong was seen"), "{}", ran.out);
}

#[test]
fn each_framing_fault_has_its_name() {
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(40_000));
    for (wire, id, code) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc"[..],
            "conflicting-content-length",
            1,
        ),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "obs-fold", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody", "body-after-no-body", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "early-close", 1),
        (b"HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\nContent-Length: 0\r\n\r\n", "http-502", 1),
        (b"", "http-no-answer", 1),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not-http", 1),
        (large.as_bytes(), "header-block-large", 1),
    ] {
        let s = Serve::once(wire);
        let (got, v) = probe(&[&s.url()]);
        assert!(ids(&v).iter().any(|i| i == id) && got == code, "{id}: {v:#}");
    }
}

#[test]
fn who_made_the_502_is_said() {
    let s = Serve::once(
        "HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.24.0\r\nVia: 1.1 x.cloudfront.net (CloudFront)\r\nX-Cache: Error from \
         cloudfront\r\nSet-Cookie: session=secret-value; Path=/\r\n\r\n<html><hr><center>nginx/1.24.0</center>",
    );
    let (_, v) = probe(&[&s.url()]);
    let e = &v["exchanges"][0];
    assert_eq!(e["who"]["name"], "nginx");
    assert!(e["who"]["through"][0].as_str().unwrap().contains("CloudFront"));
    assert!(!v.to_string().contains("secret-value"), "a cookie's value is nobody's business");
}

#[test]
fn endless_and_slow_answers_end_in_time_and_are_named() {
    let endless_head = Serve::new(|mut s| {
        request(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n");
        while s.write_all(&[b"X: ".to_vec(), b"y".repeat(4000), b"\r\n".to_vec()].concat()).is_ok() {}
    });
    let endless_body = Serve::new(|mut s| {
        request(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while s.write_all(&[b'x'; 4096]).is_ok() {}
    });
    // A small answer that would unpack to a large one: it is never unpacked.
    let bomb = Serve::new(|mut s| {
        request(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1048576\r\n\r\n");
        let _ = s.write_all(&vec![0x1f; 1_048_576]);
    });
    let loris = Serve::new(|mut s| {
        request(&mut s);
        for b in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n".iter().cycle() {
            if s.write_all(&[*b]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let silent = Serve::new(|s| {
        std::thread::sleep(Duration::from_secs(120));
        drop(s);
    });
    let (_, v) = probe(&[&endless_head.url()]);
    assert!(ids(&v).contains(&"header-block-endless".to_owned()), "{v:#}");
    for s in [&endless_body, &bomb] {
        let (code, v) = probe(&[&s.url()]);
        let e = &v["exchanges"][0];
        assert_eq!((code, &e["body_cut"]), (0, &true.into()), "{v:#}");
        assert!(e["body_bytes"].as_u64().unwrap() < 100_000, "{e:#}");
    }
    for s in [&loris, &silent] {
        let begun = Instant::now();
        let (code, v) = probe(&[&s.url(), "--timeout", "1s"]);
        assert_eq!(code, 1);
        assert!(ids(&v).contains(&"http-timed-out".to_owned()), "{v:#}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn redirects_are_shown_and_never_followed() {
    let s = Serve::new(|mut s| {
        request(&mut s);
        let _ = s.write_all(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
    });
    let (code, v) = probe(&[&s.url()]);
    assert_eq!((code, &v["exchanges"][0]["location"]), (0, &"/again".into()), "{v:#}");
    assert_eq!(s.seen.load(Ordering::SeqCst), 1);
}

#[test]
fn a_reset_and_a_refusal_are_told_apart() {
    let resets = Serve::new(|mut s| {
        request(&mut s);
        reset(s);
    });
    let (code, v) = probe(&[&resets.url()]);
    assert!(code == 1 && ids(&v).contains(&"http-reset".to_owned()), "{v:#}");
    let (code, v) = probe(&[&format!("http://127.0.0.1:{}/", free_port())]);
    assert!(code == 1 && ids(&v) == ["tcp-refused"], "{v:#}");
    assert_eq!(v["connects"][0]["outcome"], "refused");
}

#[test]
fn hostile_answers_cannot_reach_the_terminal() {
    let s = Serve::once(&b"HTTP/1.1 502 \x1b]0;owned\x07\x1b[2J\r\nServer: \x1b[31mred\r\nX-\xff: \x9b1m\r\n\r\n\x1b[0m\xe2\x80\xae"[..]);
    for json in [true, false] {
        let url = s.url();
        let args: Vec<&str> = if json { vec!["probe", &url, "--json"] } else { vec!["probe", &url] };
        let ran = run(&args);
        assert!(ran.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ran.out);
        assert!(!ran.out.contains('\u{202e}'));
    }
}

#[test]
fn resolve_and_via_decide_where_requests_go() {
    let ok = |text: &'static str| {
        Serve::new(move |mut s| {
            while request(&mut s) {
                let _ = write!(s, "HTTP/1.1 200 OK\r\nX-Node: {text}\r\nContent-Length: 0\r\n\r\n");
            }
        })
    };
    let (a, b) = (ok("a"), ok("b"));
    let url = format!("http://shop.example.com:{}/", a.at.port());
    let resolve = format!("shop.example.com:{}:127.0.0.1", a.at.port());
    let (code, v) = probe(&[&url, "--resolve", &resolve]);
    assert_eq!((code, &v["addresses_by"]), (0, &"--resolve".into()), "{v:#}");
    assert_eq!(v["host_header"], format!("shop.example.com:{}", a.at.port()));
    assert!(v["dns"].is_null(), "nothing was looked up");
    let via = format!("{},{}", a.at, b.at);
    let (code, v) = probe(&[&url, "--via", &via]);
    assert_eq!(code, 0);
    let nodes: Vec<&str> = v["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            e["headers"].as_array().unwrap().iter().find(|h| h[0] == "X-Node").unwrap()[1].as_str().unwrap()
        })
        .collect();
    assert_eq!(nodes, ["a", "b"]);
}

#[test]
fn headers_go_out_and_their_values_stay_out_of_the_report() {
    let s = Serve::new(|mut s| {
        let mut all = Vec::new();
        let mut byte = [0u8; 1];
        while !all.ends_with(b"\r\n\r\n") {
            if std::io::Read::read(&mut s, &mut byte).ok() != Some(1) {
                return;
            }
            all.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&all).into_owned();
        let seen = text.contains("Authorization: Bearer t0ken\r\n")
            && text.contains("Host: other.example.com\r\n")
            && text.starts_with("HEAD / HTTP/1.1\r\n")
            && text.contains("User-Agent: badgate/");
        let status = if seen { "200 OK" } else { "400 Bad Request" };
        let _ = write!(s, "HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
    });
    let url = s.url();
    let (code, v) = probe(&[
        &url,
        "--method",
        "head",
        "--host",
        "other.example.com",
        "--header",
        "Authorization: Bearer t0ken",
    ]);
    assert_eq!((code, &v["exchanges"][0]["status"]), (0, &200.into()), "{v:#}");
    assert!(!v.to_string().contains("t0ken"));
}

#[test]
fn the_sporadic_is_counted_and_what_it_goes_with_is_said() {
    // Every request on a connection used before is lost, as behind a server
    // that forgets connections.
    let s = Serve::new(|mut s| {
        if request(&mut s) {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        if request(&mut s) {
            let _ = s.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let (code, v) = probe(&[&s.url(), "--count", "24", "--interval", "100ms"]);
    assert_eq!(code, 1);
    let r = &v["repeat"];
    assert_eq!((&r["sent"], &r["failed"]["of"]), (&24.into(), &24.into()), "{r:#}");
    let failed = r["bad_gateway"]["count"].as_u64().unwrap();
    assert!((8..=16).contains(&failed), "{r:#}");
    let (low, high) = (r["failed"]["low"].as_f64().unwrap(), r["failed"]["high"].as_f64().unwrap());
    let share = r["failed"]["share"].as_f64().unwrap();
    assert!(low < share && share < high && high < 1.0 && low > 0.0, "{r:#}");
    assert!(ids(&v).contains(&"repeat-correlates".to_owned()), "{v:#}");
    let text = run(&["probe", &s.url(), "--count", "3", "--interval", "100ms"]).out;
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn what_always_fails_is_not_asked_again_and_again() {
    let s = Serve::once("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    let (code, v) = probe(&[&s.url(), "--count", "300", "--interval", "100ms"]);
    assert_eq!(code, 1);
    assert_eq!(v["repeat"]["sent"], 20, "{:#}", v["repeat"]["stopped"]);
    assert!(v["repeat"]["stopped"].as_str().unwrap().contains("in a row"));
}

#[test]
fn a_probe_is_on_record_in_the_incident_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.incident.jsonl");
    let s = Serve::once("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    let ran = run(&["probe", &s.url(), "--incident", file.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["kind"], "opened");
    let observed = lines.iter().find(|l| l["kind"] == "observed").unwrap();
    assert_eq!(observed["data"]["topic"], "probe", "{observed:#}");
    assert_eq!(observed["data"]["data"]["exchanges"][0]["status"], 502, "{observed:#}");
}
