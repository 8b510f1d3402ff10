//! Input that has no end, or is none: each bounded and named; and what only a
//! real server shows: HTTP/2, and packets on the wire.

use crate::serve::*;
use badgate::situation::Fact;
use badgate::sources::host::{Asking, Look, Reached, observe_by};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program of the test's own in front of the system's.
fn program(dir: &Path, name: &str, text: &str) {
    let file = dir.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_host_that_hangs_floods_or_answers_in_binary_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "df", "sleep 300");
    program(dir.path(), "nstat", "head -c 100000 /dev/urandom");
    program(dir.path(), "ss", "while :; do echo 'LISTEN 0 128 0.0.0.0:80 0.0.0.0:*'; done");
    program(dir.path(), "hostname", "printf 'web\\033]0;x\\007\\033[2J-1\\n'");
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let begun = Instant::now();
    let out = badgate()
        .env("PATH", path)
        .args(["host", "local", "--json", "--timeout", "60s"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(out.stdout.len() < 2_000_000 && !out.stdout.contains(&0x1b), "{}", out.stdout.len());
    let v: Value = serde_json::from_slice(&out.stdout).unwrap();
    let h = &v["hosts"][0]["host"];
    // What hangs is named; what stands after it is there all the same.
    let silent = |id: &str| {
        h["silent"].as_array().unwrap().iter().find(|s| s[0] == id).map(|s| s[1].as_str().unwrap().to_owned())
    };
    assert_eq!(silent("disk").as_deref(), Some("took too long"), "{h:#}");
    assert!(silent("listening").is_some(), "an answer without end is cut off and said to be: {h:#}");
    assert!(h["disks"].as_array().unwrap().is_empty() && h["counters"].as_array().unwrap().is_empty());
    assert!(h["listening"].as_array().unwrap().len() <= 60);
    assert!(h["memory"]["total_mib"].as_u64().unwrap() > 0);
}

#[test]
fn a_real_gzip_bomb_is_never_unpacked() {
    let mut z = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        z.write_all(&[0u8; 1 << 20]).unwrap();
    }
    let packed = z.finish().unwrap();
    assert!(packed.len() < 100_000);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        packed.len()
    );
    let s = Serve::once([head.into_bytes(), packed.clone()].concat());
    let (code, v) = probe(&[&s.url()]);
    assert_eq!(code, 0, "{v:#}");
    // As it was sent, and no more of it than is ever read.
    let bytes = v["exchanges"][0]["body_bytes"].as_u64().unwrap();
    assert!(bytes <= 64 * 1024 && bytes > 0, "{bytes} of {}", packed.len());
}

#[test]
fn a_thousand_redirects_are_one_request() {
    let s = Serve::new(|mut s| {
        for n in 0..1000 {
            if !request(&mut s) {
                return;
            }
            let answer = format!("HTTP/1.1 302 Found\r\nLocation: /{n}\r\nContent-Length: 0\r\n\r\n");
            if s.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let (code, v) = probe(&[&s.url()]);
    assert_eq!((code, v["exchanges"].as_array().unwrap().len()), (0, 1));
    assert_eq!(v["exchanges"][0]["location"], "/0");
}

#[test]
fn headers_without_measure_are_counted_and_cut() {
    let many: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    let s = Serve::once(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 2\r\n\r\nok"));
    let (code, v) = probe(&[&s.url()]);
    assert_eq!(code, 1, "{:#}", v["faults"]);
    assert!(ids(&v).iter().any(|f| f.starts_with("header-block-")), "{:?}", ids(&v));
    assert!(v.to_string().len() < 300_000);
}

#[test]
fn an_address_that_is_none_is_one_line() {
    for url in [
        "",
        "http://",
        "http://[::1",
        "http://a b/",
        "ftp://x/",
        "http://x:99999/",
        "http://x\u{1b}[2J/",
        "http:///etc/passwd",
        &format!("http://{}/", "a".repeat(300)),
    ] {
        let ran = run(&["probe", url]);
        assert_eq!(ran.code, 2, "{url}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(!ran.err.contains('\u{1b}'));
    }
}

#[test]
fn nginx_answers_over_http2_as_over_http1() {
    let Some(nginx) = find("nginx", "nginx-light") else { return };
    let Some(openssl) = find("openssl", "openssl") else { return };
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path().display();
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=shop.test"])
        .args(["-addext", "subjectAltName=DNS:shop.test"])
        .arg("-keyout")
        .arg(dir.path().join("key.pem"))
        .arg("-out")
        .arg(dir.path().join("cert.pem"))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let port = free_port();
    let conf = format!(
        "daemon off; worker_processes 1; pid {d}/pid; error_log {d}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f;\n\
         uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
         server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {d}/cert.pem; ssl_certificate_key {d}/key.pem;\n\
         location / {{ add_header X-Which $server_protocol always; return 200 ok; }}\n\
         location /down {{ proxy_pass http://127.0.0.1:1; }} }} }}\n"
    );
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let mut c = Command::new(nginx);
    c.arg("-c").arg(dir.path().join("nginx.conf")).arg("-p").arg(dir.path());
    let _running = Running::start(&mut c, port);
    let ask = |path: &str| {
        let resolve = format!("shop.test:{port}:127.0.0.1");
        probe(&[&format!("https://shop.test:{port}{path}"), "--resolve", &resolve, "--insecure"])
    };
    let (_, v) = ask("/");
    let all = v["exchanges"].as_array().unwrap();
    let spoken: Vec<&str> = all.iter().map(|e| e["protocol"].as_str().unwrap()).collect();
    assert_eq!(spoken, ["HTTP/1.1", "HTTP/2"], "{v:#}");
    for (e, which) in all.iter().zip(["HTTP/1.1", "HTTP/2.0"]) {
        assert_eq!((&e["status"], &e["failure"]), (&200.into(), &"".into()), "{e:#}");
        let said = e["headers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|h| h[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case("x-which")));
        assert_eq!(said.unwrap()[1], which);
        assert_eq!(e["body_bytes"], 2);
    }
    let (code, v) = ask("/down");
    assert_eq!(code, 1);
    for e in v["exchanges"].as_array().unwrap() {
        assert_eq!((&e["status"], &e["who"]["name"]), (&502.into(), &"nginx".into()), "{e:#}");
    }
    assert!(!ids(&v).contains(&"protocols-differ".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_is_seen_on_the_wire() {
    if find("tcpdump", "tcpdump").is_none() {
        return;
    }
    // Says that it ends after a moment, and resets what comes then.
    let s = Serve::new(|mut s| {
        if !request(&mut s) {
            return;
        }
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        std::thread::sleep(Duration::from_millis(1200));
        // Closed altogether: what arrives afterwards meets a closed port.
    });
    let (at, refused) = (s.at, free_port());
    let client = std::thread::spawn(move || {
        for _ in 0..6 {
            let _ = std::net::TcpStream::connect(("127.0.0.1", refused));
            let mut c = std::net::TcpStream::connect(at).unwrap();
            c.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut buffer = [0u8; 256];
            let _ = c.read(&mut buffer).unwrap();
            std::thread::sleep(Duration::from_millis(1400));
            let _ = c.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let asking = |port| Asking {
        limit: Duration::from_secs(60),
        look: Some(Look { seconds: 6, port, peer: Some("127.0.0.1".parse().unwrap()) }),
    };
    let (raced, shut) = futures::future::join(
        observe_by(&Reached::Local, &asking(at.port())),
        observe_by(&Reached::Local, &asking(refused)),
    )
    .await;
    client.join().unwrap();
    let (Fact::Host(raced), Fact::Host(shut)) = (&raced[0].fact, &shut[0].fact) else { panic!("{raced:?}") };
    let Some(c) = &raced.capture else {
        let why = raced.silent.iter().find(|(id, _)| id == "capture").map(|(_, why)| why.to_string());
        eprintln!("SKIPPED: tcpdump may not capture here: {why:?}");
        return;
    };
    assert!(c.connections >= 1 && c.resets_after_idle >= 1, "{c:#?}");
    assert!(c.idle_s.is_some_and(|s| (0.1..5.0).contains(&s)), "{c:#?}");
    let c = shut.capture.as_ref().unwrap();
    assert!(c.refused >= 1 && c.resets_after_idle == 0, "{c:#?}");
}
