//! Certificates of every wrong kind, shown by `openssl s_server`.

use crate::serve::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Keys and certificates, made for one test.
struct Pki {
    dir: tempfile::TempDir,
    openssl: PathBuf,
}

impl Pki {
    fn new() -> Option<Pki> {
        let openssl = find("openssl", "openssl")?;
        let pki = Pki { dir: tempfile::tempdir().unwrap(), openssl };
        pki.key("root");
        pki.run(
            "req -x509 -new -key root.key -out root.crt -days 30 -subj /CN=test-root \
                 -addext basicConstraints=critical,CA:TRUE",
        );
        pki.key("inter");
        pki.run("req -new -key inter.key -out inter.csr -subj /CN=test-intermediate");
        pki.sign("inter", "root", "basicConstraints=critical,CA:TRUE", "-days 30");
        Some(pki)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, line: &str) {
        let done = Command::new(&self.openssl)
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn key(&self, name: &str) {
        self.run(&format!("ecparam -name prime256v1 -genkey -noout -out {name}.key"));
    }

    fn sign(&self, name: &str, by: &str, extensions: &str, days: &str) {
        std::fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        self.run(&format!(
            "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -extfile {name}.ext {days} -out {name}.crt"
        ));
    }

    /// A server's certificate by the intermediate.
    fn leaf(&self, name: &str, host: &str, days: &str) {
        self.key(name);
        self.run(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={host}"));
        self.sign(name, "inter", &format!("subjectAltName=DNS:{host}"), days);
    }

    fn server(&self, options: &str) -> (Running, u16) {
        let port = free_port();
        let mut c = Command::new(&self.openssl);
        c.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-www", "-quiet"])
            .args(options.split_whitespace())
            .current_dir(self.dir.path());
        (Running::start(&mut c, port), port)
    }

    fn ask(&self, port: u16, more: &[&str]) -> (i32, Value) {
        let (url, resolve) = (format!("https://shop.test:{port}/"), format!("shop.test:{port}:127.0.0.1"));
        let mut args = vec![url.as_str(), "--resolve", resolve.as_str()];
        args.extend(more);
        let root = self.path("root.crt");
        let env: [(&str, &Path); 1] = [("SSL_CERT_FILE", &root)];
        probe_with(&args, &env)
    }
}

#[test]
fn a_whole_chain_verifies_and_is_shown() {
    let Some(pki) = Pki::new() else { return };
    pki.leaf("ok", "shop.test", "-days 20");
    let (_running, port) = pki.server("-cert ok.crt -key ok.key -cert_chain inter.crt");
    let (_, v) = pki.ask(port, &[]);
    let t = &v["tls"][0];
    assert_eq!(
        (&t["verified"], &t["version"], &t["sni"]),
        (&true.into(), &"TLS 1.3".into(), &"shop.test".into()),
        "{v:#}"
    );
    assert_eq!(t["chain"][0]["names"][0], "shop.test");
    assert_eq!(t["chain"][0]["signed_by"], "the next one");
    assert_eq!(v["exchanges"][0]["status"], 200);
    let variants: Vec<(&str, bool)> = t["variants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| (x["what"].as_str().unwrap(), x["ok"].as_bool().unwrap()))
        .collect();
    assert_eq!(variants, [("TLS 1.3 only", true), ("TLS 1.2 only", true), ("no SNI", true)]);
}

#[test]
fn each_wrong_certificate_has_its_name_and_stops_the_request() {
    let Some(pki) = Pki::new() else { return };
    pki.leaf("ok", "shop.test", "-days 20");
    pki.leaf("other", "other.test", "-days 20");
    // Expired the moment it is made.
    pki.leaf("old", "shop.test", "-days -1");
    pki.key("own");
    pki.run("req -x509 -new -key own.key -out own.crt -days 20 -subj /CN=shop.test -addext subjectAltName=DNS:shop.test");
    for (options, id) in [
        ("-cert ok.crt -key ok.key", "certificate-missing-intermediate"),
        ("-cert other.crt -key other.key -cert_chain inter.crt", "certificate-wrong-name"),
        ("-cert old.crt -key old.key -cert_chain inter.crt", "certificate-expired"),
        ("-cert own.crt -key own.key", "certificate-self-signed"),
    ] {
        let (_running, port) = pki.server(options);
        let (code, v) = pki.ask(port, &[]);
        assert!(code == 1 && ids(&v).iter().any(|i| i == id), "{id}: {v:#}");
        assert!(v["exchanges"][0]["status"].is_null(), "{id}: nothing is sent over it");
        let (code, v) = pki.ask(port, &["--insecure"]);
        assert_eq!((code, &v["insecure"]), (1, &true.into()), "it is still reported");
        assert_eq!(v["exchanges"][0]["status"], 200, "{id}: {v:#}");
    }
}

#[test]
fn plain_http_on_a_tls_port_and_tls_on_a_plain_one_are_recognised() {
    let plain = Serve::new(|mut s| {
        use std::io::{Read, Write};
        let _ = s.read(&mut [0u8; 600]);
        let _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let (code, v) = probe(&[&format!("https://{}/", plain.at)]);
    assert!(code == 1 && ids(&v).contains(&"plain-http-on-tls-port".to_owned()), "{v:#}");
    let Some(pki) = Pki::new() else { return };
    pki.leaf("ok", "shop.test", "-days 20");
    let (_running, port) = pki.server("-cert ok.crt -key ok.key");
    let (code, v) = probe(&[&format!("http://127.0.0.1:{port}/")]);
    assert_eq!(code, 1, "{v:#}");
    assert!(
        v["faults"][0]["text"].as_str().unwrap().contains("speaks TLS") || ids(&v)[0] == "http-no-answer",
        "{v:#}"
    );
}

#[test]
fn only_old_tls_and_a_long_chain_are_named() {
    let Some(pki) = Pki::new() else { return };
    pki.leaf("ok", "shop.test", "-days 20");
    let one = std::fs::read_to_string(pki.path("inter.crt")).unwrap();
    std::fs::write(pki.path("fifty.crt"), one.repeat(50)).unwrap();
    let (_running, port) = pki.server("-cert ok.crt -key ok.key -cert_chain fifty.crt -tls1_2");
    let (_, v) = pki.ask(port, &[]);
    let t = &v["tls"][0];
    assert_eq!(
        (&t["version"], t["chain"].as_array().unwrap().len(), &t["left"]),
        (&"TLS 1.2".into(), 10, &41.into()),
        "{v:#}"
    );
    assert!(ids(&v).contains(&"certificate-chain-long".to_owned()));
    assert_eq!(t["variants"][0]["ok"], false, "TLS 1.3 only: {t:#}");
}
