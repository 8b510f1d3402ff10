//! The real servers, as Debian packages them, started on loopback.

use crate::serve::*;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn kept(port: u16) -> (f64, Value) {
    let (_, v) = probe(&[&format!("http://127.0.0.1:{port}/"), "--keepalive=20s"]);
    (v["keepalive_s"].as_f64().unwrap_or_else(|| panic!("{v:#}")), v)
}

#[test]
fn node_keeps_idle_connections_as_long_as_it_says_it_does() {
    let Some(node) = find("node", "nodejs") else { return };
    // The program tells by itself when it ended the connection of the one
    // request: releases differ by the second they add to the 5 s documented.
    let script = "const http = require('http');\
        const s = http.createServer((q, r) => { r.on('finish', () => { q.socket.answered = process.hrtime.bigint(); }); r.end('ok'); });\
        s.on('connection', c => c.on('close', () => { if (c.answered) console.log('kept', Number(process.hrtime.bigint() - c.answered) / 1e9); }));\
        s.listen(0, '127.0.0.1', () => console.log('port', s.address().port));";
    let mut child =
        Command::new(node).args(["-e", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _running = Running(child);
    let mut word = |want: &str| -> Vec<f64> {
        let line = lines.next().unwrap().unwrap();
        let (head, tail) = line.split_once(' ').unwrap();
        assert_eq!(head, want);
        vec![tail.parse().unwrap()]
    };
    let port = word("port")[0] as u16;
    let (seconds, v) = kept(port);
    // The first connection to end is that of the plain request; the next is the idle one.
    let truth = [word("kept")[0], word("kept")[0]].into_iter().fold(0.0, f64::max);
    assert!((seconds - truth).abs() < 0.2, "measured {seconds}, the server says {truth}");
    assert!((4.8..6.3).contains(&seconds), "{seconds}");
    assert_eq!(v["closed_by"], "fin");
}

#[test]
fn gunicorn_keeps_idle_connections_two_seconds() {
    let Some(gunicorn) = find("gunicorn", "gunicorn") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("app.py"),
        "def app(environ, start):\n    start('200 OK', [('Content-Length', '2')])\n    return [b'ok']\n",
    )
    .unwrap();
    let port = free_port();
    let mut c = Command::new(gunicorn);
    c.args(["-k", "gthread", "--threads", "4", "-b", &format!("127.0.0.1:{port}"), "app:app"])
        .current_dir(dir.path());
    let _running = Running::start(&mut c, port);
    let (seconds, v) = kept(port);
    assert!((seconds - 2.0).abs() < 0.2, "{seconds}: {v:#}");
}

#[test]
fn nginx_keeps_idle_connections_as_configured() {
    let Some(nginx) = find("nginx", "nginx-light") else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let d = dir.path().display();
    let conf = format!(
        "daemon off; worker_processes 1; pid {d}/pid; error_log {d}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f;\n\
         uwsgi_temp_path {d}/u; scgi_temp_path {d}/s; keepalive_timeout 2s;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} location /down {{ proxy_pass http://127.0.0.1:1; }} }} }}\n"
    );
    std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
    let mut c = Command::new(nginx);
    c.arg("-c").arg(dir.path().join("nginx.conf")).arg("-p").arg(dir.path());
    let _running = Running::start(&mut c, port);
    let (seconds, v) = kept(port);
    assert!((seconds - 2.0).abs() < 0.2, "{seconds}: {v:#}");
    let (code, v) = probe(&[&format!("http://127.0.0.1:{port}/down")]);
    assert_eq!((code, &v["exchanges"][0]["who"]["name"]), (1, &"nginx".into()), "{v:#}");
    assert_eq!(v["exchanges"][0]["status"], 502);
}

#[test]
fn haproxy_keeps_idle_connections_as_configured_and_its_page_is_known() {
    let Some(haproxy) = find("haproxy", "haproxy") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (front, back) = (free_port(), Serve::new(drop));
    let conf = format!(
        "defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 2s\n timeout http-keep-alive 1500ms\n\
         frontend f\n bind 127.0.0.1:{front}\n http-request return status 200 content-type text/plain string ok if {{ path / }}\n\
         default_backend b\nbackend b\n server s {}\n",
        back.at
    );
    let file = dir.path().join("haproxy.cfg");
    std::fs::write(&file, conf).unwrap();
    let mut c = Command::new(haproxy);
    c.arg("-db").arg("-f").arg(&file);
    let _running = Running::start(&mut c, front);
    let (seconds, v) = kept(front);
    assert!((seconds - 1.5).abs() < 0.2, "{seconds}: {v:#}");
    let (code, v) = probe(&[&format!("http://127.0.0.1:{front}/down")]);
    assert_eq!(
        (code, &v["exchanges"][0]["status"], &v["exchanges"][0]["who"]["name"]),
        (1, &502.into(), &"haproxy".into()),
        "{v:#}"
    );
}

/// An Apache of its own; `more` goes into its configuration.
pub fn apache(dir: &Path, port: u16, more: &str) -> Option<Running> {
    let apache = find("apache2", "apache2")?;
    let modules = Path::new("/usr/lib/apache2/modules");
    let d = dir.display();
    let load = |names: &[&str]| -> String {
        names.iter().map(|n| format!("LoadModule {n}_module {}/mod_{n}.so\n", modules.display())).collect()
    };
    let conf = format!(
        "{}ServerRoot {d}\nServerName localhost\nPidFile {d}/pid\nErrorLog {d}/error.log\nListen 127.0.0.1:{port}\n\
         User www-data\nGroup www-data\nStartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\n\
         DefaultRuntimeDir {d}\n{more}\n",
        load(&["mpm_event", "authz_core", "proxy", "proxy_http", "env", "alias"])
    );
    std::fs::write(dir.join("httpd.conf"), conf).unwrap();
    let mut c = Command::new(apache);
    c.args(["-DFOREGROUND", "-f"]).arg(dir.join("httpd.conf"));
    Some(Running::start(&mut c, port))
}

#[test]
fn apache_keeps_idle_connections_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let Some(_running) = apache(dir.path(), port, "KeepAliveTimeout 2\nRedirect 404 /\n") else { return };
    let (seconds, v) = kept(port);
    assert!((seconds - 2.0).abs() < 0.2, "{seconds}: {v:#}");
}

#[test]
fn two_apaches_race_when_the_inner_ends_what_the_outer_uses_again() {
    let (inner_dir, front_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (inner, front) = (free_port(), free_port());
    let Some(_inner) = apache(inner_dir.path(), inner, "KeepAliveTimeout 1\nRedirect 404 /\n") else {
        return;
    };
    // 300 ms each way between the two: the end of a connection is on its way
    // while the next request sets out.
    let relay = delayed(inner, Duration::from_millis(300));
    let d = front_dir.path();
    let more = format!(
        "ProxyPass / http://127.0.0.1:{relay}/\n\
         CustomLog {}/access.log \"%h %l %u %t \\\"%r\\\" %>s %b\"\n",
        d.display()
    );
    let _front = apache(d, front, &more).unwrap();
    let url = format!("http://127.0.0.1:{front}/");
    let (code, v) = probe(&[&url, "--count", "6", "--interval", "1300ms"]);
    assert_eq!(code, 1);
    assert!(v["repeat"]["bad_gateway"]["count"].as_u64().unwrap() >= 1, "{:#}", v["repeat"]);
    let log = std::fs::read_to_string(front_dir.path().join("error.log")).unwrap();
    assert!(log.contains("AH01102") && log.contains("AH00898"), "{log}");

    // Most requests find a fresh connection: many at once, none after a pause.
    let many: Vec<_> = (0..12)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..14 {
                    let _ = answer(front);
                }
            })
        })
        .collect();
    many.into_iter().for_each(|t| t.join().unwrap());
    let log = || std::fs::read_to_string(d.join("error.log")).unwrap();
    for _ in 0..6 {
        if log().matches("AH01102").count() >= 3 {
            break;
        }
        probe(&[&url, "--count", "2", "--interval", "1300ms"]);
    }
    let file = |name: &str| d.join(name).display().to_string();
    let check = |more: &[&str]| -> Value {
        let mut c = badgate();
        c.args(["check", &url, "--json", "--log-file", &file("error.log")]).args(more);
        c.env_clear().env("HOME", d).env("AWS_EC2_METADATA_DISABLED", "true");
        let out = c.output().unwrap();
        serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)))
    };
    // No cloud knows this server; its logs and the probe say enough.
    let v = check(&["--log-file", &file("access.log")]);
    let first = &v["verdicts"][0];
    let (cause, standing) = (&first["cause"], &first["standing"]);
    assert_eq!((cause, standing), (&"apache-two-tier-keepalive-race".into(), &"likely".into()), "{v:#}");
    let unknown = v["situation"]["unknown"].as_array().unwrap();
    assert!(unknown.iter().any(|u| u["reason"].as_str().unwrap().contains("credentials")), "{v:#}");
}

/// The first bytes of an answer to one request.
fn answer(port: u16) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let mut s = std::net::TcpStream::connect(("127.0.0.1", port))?;
    s.set_read_timeout(Some(Duration::from_secs(20)))?;
    s.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    s.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn nginx_says_why_it_cannot_use_what_stands_behind() {
    let Some(nginx) = find("nginx", "nginx-light") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (port, d) = (free_port(), dir.path());
    // An answer whose header does not fit nginx's buffer.
    let behind = Serve::new(|mut s| {
        use std::io::{Read, Write};
        let _ = s.read(&mut [0; 4096]);
        let cookie = "c".repeat(20_000);
        let _ = write!(s, "HTTP/1.1 200 OK\r\nSet-Cookie: {cookie}\r\nContent-Length: 0\r\n\r\n");
    });
    let at = d.display();
    let conf = format!(
        "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log {at}/access.log; client_body_temp_path {at}/b; proxy_temp_path {at}/p;\n\
         fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{}; }}\n\
         location /down {{ proxy_pass http://127.0.0.1:1; }} }} }}\n",
        behind.at
    );
    std::fs::write(d.join("nginx.conf"), conf).unwrap();
    let mut c = Command::new(nginx);
    c.arg("-c").arg(d.join("nginx.conf")).arg("-p").arg(d);
    let _running = Running::start(&mut c, port);
    for _ in 0..4 {
        assert!(answer(port).unwrap().starts_with("HTTP/1.1 502"));
    }
    let check = || {
        let mut c = badgate();
        c.args(["check", &format!("http://127.0.0.1:{port}/"), "--json", "--log-file"])
            .arg(d.join("error.log"));
        c.env_clear().env("HOME", d).env("AWS_EC2_METADATA_DISABLED", "true");
        let out = c.output().unwrap();
        let v: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
        (out.status.code(), v)
    };
    let (code, v) = check();
    let first = &v["verdicts"][0];
    assert_eq!(code, Some(1), "{v:#}");
    assert_eq!(first["cause"], "nginx-upstream-header-or-no-live", "{v:#}");
    assert_eq!(first["standing"], "confirmed", "{v:#}");
}

/// Hands bytes on with a delay, both ways.
fn delayed(to: u16, delay: Duration) -> u16 {
    let relay = Serve::new(move |client| {
        let Ok(server) = std::net::TcpStream::connect(("127.0.0.1", to)) else { return };
        let pairs = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
        for (from, into) in pairs {
            std::thread::spawn(move || late(from, into, delay));
        }
    });
    relay.at.port()
}

fn late(mut from: std::net::TcpStream, mut into: std::net::TcpStream, delay: Duration) {
    use std::io::{Read, Write};
    let mut buffer = [0u8; 16_384];
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        std::thread::sleep(delay);
        if n == 0 {
            let _ = into.shutdown(std::net::Shutdown::Write);
            return;
        }
        if into.write_all(&buffer[..n]).is_err() {
            let _ = from.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
