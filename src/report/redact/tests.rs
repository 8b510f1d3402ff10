use base64::Engine;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::journal::Kind;
use crate::report::export::{Filter, Format, Options, export};

/// Reproducible choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % sides
    }

    fn of(&mut self, alphabet: &str, n: usize) -> String {
        let all: Vec<char> = alphabet.chars().collect();
        (0..n).map(|_| all[self.roll(all.len())]).collect()
    }

    fn upper(&mut self, n: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", n)
    }

    fn word(&mut self, n: usize) -> String {
        // A digit and both cases, as random material of this length has.
        let text = self.of("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789", n - 3);
        format!("{text}7aQ")
    }

    fn base64(&mut self, n: usize) -> String {
        let bytes: Vec<u8> = (0..n).map(|_| self.roll(256) as u8).collect();
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    fn hex(&mut self, n: usize) -> String {
        self.of("0123456789abcdef", n)
    }

    fn lower(&mut self, n: usize) -> String {
        self.of("abcdefghjkmnpqrstuvwxyz", n)
    }
}

/// A secret of each family with the text it stands in. The second value is
/// what must be gone.
fn specimens(d: &mut Dice) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    // Tokens that say what they are, in a sentence without any key word.
    let mut bare = |family: &'static str, secret: String, d: &mut Dice| {
        let places = [
            format!("saw {secret} in the pod"),
            format!("[{secret}]"),
            format!("x={secret}; y"),
            format!("GET /cb?x={secret}&y=1 HTTP/1.1 502"),
            format!("{{\"a\":\"{secret}\"}}"),
        ];
        all.push((family, places[d.roll(places.len())].clone(), secret));
    };
    let s = format!("{}{}", ["AKIA", "ASIA", "ABIA", "ACCA"][d.roll(4)], d.upper(16));
    bare("aws access key", s, d);
    let s = format!("IQoJb3JpZ2luX2VjE{}", d.word(200));
    bare("aws session token", s, d);
    let s = format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{}.{}", d.word(40), d.word(43));
    bare("jwt", s, d);
    let s = format!("xoxb-{}-{}-{}", d.of("0123456789", 12), d.of("0123456789", 12), d.word(24));
    bare("slack", s, d);
    let s = format!("xapp-1-A{}-{}-{}", d.upper(9), d.of("0123456789", 13), d.hex(64));
    bare("slack app", s, d);
    let s = format!("{}_{}", ["ghp", "gho", "ghu", "ghs", "ghr"][d.roll(5)], d.word(36));
    bare("github", s, d);
    let s = format!("github_pat_{}_{}", d.word(22), d.word(59));
    bare("github fine-grained", s, d);
    let s = format!("glpat-{}", d.word(20));
    bare("gitlab", s, d);
    let s = format!("{}_live_{}", ["sk", "rk"][d.roll(2)], d.word(24));
    bare("stripe", s, d);
    let s = format!("AIza{}", d.word(35));
    bare("google", s, d);
    let s = format!("ya29.{}", d.word(60));
    bare("google oauth", s, d);
    let s = format!("{}8Q~{}", d.word(4).get(..3).unwrap_or("abc"), d.word(34));
    bare("azure client secret", s, d);
    let s = format!("npm_{}", d.word(36));
    bare("npm", s, d);
    let s = format!("pypi-AgEIcHlwaS5vcmc{}", d.word(60));
    bare("pypi", s, d);
    let s = format!("sk-proj-{}", d.word(48));
    bare("ai service", s, d);
    let s = format!("SG.{}.{}", d.word(22), d.word(43));
    bare("sendgrid", s, d);
    let s = format!("hvs.{}", d.word(40));
    bare("vault", s, d);
    let s = format!("dop_v1_{}", d.hex(64));
    bare("digitalocean", s, d);
    let s = format!("shpat_{}", d.hex(32));
    bare("shopify", s, d);
    let s = format!("SK{}", d.hex(32));
    bare("twilio", s, d);
    let s = format!("glsa_{}_{}", d.word(32), d.hex(8));
    bare("grafana", s, d);
    let s = format!("{}:AA{}", d.of("123456789", 9), d.word(33));
    bare("telegram", s, d);
    let s = format!("dapi{}", d.hex(32));
    bare("databricks", s, d);

    // What only its surroundings tell.
    let mut told = |family: &'static str, text: String, secret: String| all.push((family, text, secret));
    let s = d.base64(30);
    told("aws secret key", format!("aws_secret_access_key = {s}"), s.clone());
    let s = d.base64(30);
    told("aws pair", format!("AKIA{} {s}", d.upper(16)), s.clone());
    let s = d.base64(64);
    told(
        "azure storage",
        format!(
            "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={s};EndpointSuffix=core.windows.net"
        ),
        s.clone(),
    );
    let s = d.word(43);
    told(
        "azure sas",
        format!("https://shop.blob.core.windows.net/c?sv=2022-11-02&sr=c&sig={s}%3D&sp=r"),
        s.clone(),
    );
    let s = d.hex(64);
    told(
        "presigned url",
        format!("https://b.s3.amazonaws.com/k?X-Amz-Date=20261122T014100Z&X-Amz-Signature={s}"),
        s.clone(),
    );
    let s = d.word(200);
    told("presigned token", format!("GET /k?X-Amz-Security-Token={s}&X-Amz-Expires=300 502"), s.clone());
    let s = d.upper(16);
    told("presigned credential", format!("?X-Amz-Credential=AKIA{s}%2F20261122%2Feu-west-1&x=1"), s.clone());
    let s = d.lower(9);
    told("short password", format!("password={s}"), s.clone());
    let s = d.lower(9);
    told(
        "password in JSON",
        format!("{{\"user\":\"shop\",\"password\":\"{s}, {}\"}}", d.lower(5)),
        s.clone(),
    );
    let s = d.lower(9);
    told(
        "password in JSON in JSON",
        format!("{{\"log\":\"{{\\\"dbPassword\\\":\\\"{s}\\\"}}\"}}"),
        s.clone(),
    );
    let s = format!("{}\\\"{}", d.lower(6), d.lower(9));
    told(
        "password with a quote",
        format!("{{\"password\":\"{s}\"}}"),
        s.rsplit('"').next().unwrap().to_owned(),
    );
    let s = d.lower(9);
    told("yaml", format!("  db_password: {s}"), s.clone());
    let s = d.lower(9);
    told("python", format!("config = {{'passwd': '{s}'}}"), s.clone());
    let s = d.lower(9);
    told("ruby", format!(":client_secret=>\"{s}\""), s.clone());
    let s = d.word(32);
    told("api key", format!("api_key: \"{s}\""), s.clone());
    let s = d.hex(32);
    told("token", format!("auth_token={s}"), s.clone());
    let s = d.lower(10);
    told("url password", format!("connect postgres://shop:{s}@db.internal:5432/shop refused"), s.clone());
    let s = format!("{}/{}", d.lower(6), d.lower(6));
    told("url password with a slash", format!("redis://:{s}@cache:6379/0"), s.clone());
    let s = d.word(30);
    told("token as user", format!("git clone https://{s}@git.example.com/shop.git"), s.clone());
    let s = d.lower(10);
    told("env dump", format!("PATH=/usr/bin HOME=/root DB_PASS={s} LANG=C"), s.clone());
    let s = d.word(24);
    told("env key", format!("export STRIPE_KEY={s}"), s.clone());
    let s = d.lower(10);
    told("PGPASSWORD", format!("PGPASSWORD={s} psql -h db"), s.clone());
    let s = d.word(30);
    told("bearer", format!("> authorization: Bearer {s}"), s.clone());
    let s = d.word(30);
    told("bearer alone", format!("called with Bearer {s} and got 502"), s.clone());
    let s = base64::engine::general_purpose::STANDARD.encode(format!("shop:{}", d.lower(10)));
    told("basic", format!("curl -H 'Authorization: Basic {s}' https://shop.example.com"), s.clone());
    let s = d.lower(12);
    told("header", format!("X-Api-Key: {s}^M^JHost: shop"), s.clone());
    let s = d.hex(64);
    told(
        "sigv4 header",
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIA{}/20261122/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature={s}",
            d.upper(16)
        ),
        s.clone(),
    );
    let s = d.word(26);
    told("cookie", format!("Cookie: lang=ja; sid={s}; theme=dark"), s.clone());
    let s = d.word(26);
    told("set-cookie", format!("< set-cookie: session={s}; Path=/; HttpOnly"), s.clone());
    let s = d.lower(11);
    told("curl -u", format!("curl -s -u admin:{s} http://10.0.1.5:8080/health"), s.clone());
    let s = d.lower(11);
    told("flag", format!("mysqladmin --user root --password {s} status"), s.clone());
    let s = d.lower(11);
    told("mysql -p", format!("mysql -h db -u root -p{s} shop"), s.clone());
    let s = d.lower(11);
    told("sql", format!("CREATE USER shop IDENTIFIED BY '{s}'"), s.clone());
    let s = d.lower(11);
    told("xml", format!("<db><password>{s}</password></db>"), s.clone());
    let s = d.lower(11);
    told("prose", format!("FYI the db password is {s}, rotate it"), s.clone());
    let s = d.lower(11);
    told(
        "prose in Japanese",
        format!(
            "DB\u{306e}\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}\u{306f}{s}\u{3001}\u{5909}\u{66f4}\u{5fc5}\u{8981}"
        ),
        s.clone(),
    );
    let s = d.word(40);
    told("oauth code", format!("GET /callback?code={s}&state=x HTTP/1.1"), s.clone());
    let s = d.word(28);
    told("random query value", format!("GET /reset?u=7&r={s} HTTP/1.1"), s.clone());
    let s = format!("{}\n{}\n{}", d.base64(48), d.base64(48), d.base64(40));
    told(
        "private key",
        format!("-----BEGIN RSA PRIVATE KEY-----\n{s}\n-----END RSA PRIVATE KEY-----"),
        s.lines().nth(1).unwrap().to_owned(),
    );
    let s = d.base64(48);
    told("private key cut short", format!("-----BEGIN OPENSSH PRIVATE KEY-----^J{s}"), s.clone());
    let s = d.base64(48);
    told("a line of a private key", s.clone(), s.clone());
    let s = format!("T{}/B{}/{}", d.upper(8), d.upper(8), d.word(24));
    told("slack webhook", format!("POST https://hooks.slack.com/services/{s}"), s.clone());
    all
}

fn at() -> Timestamp {
    "2026-11-22T01:41:00Z".parse().unwrap()
}

fn rec(kind: Kind, by: &str, data: Value) -> Record {
    Record::new(at(), by.into(), kind, data)
}

/// The places of a record that text from outside can stand in.
fn records_with(text: &str) -> Vec<Record> {
    vec![
        rec(Kind::Note, "yui@bastion", json!({ "text": text })),
        rec(Kind::Note, "yui@bastion", json!({ "text": format!("action: look at\n{text}\nplease") })),
        rec(Kind::Mark, "yui@bastion", json!({"text": text, "source": "log", "pane": "logs"})),
        rec(
            Kind::Observed,
            "logs:FilterLogEvents",
            json!({"topic": "tail", "of": "/app/shop", "fact": "log_lines",
            "data": [{"at": "2026-11-22T01:41:00Z", "group": "/app/shop", "text": text}]}),
        ),
        rec(
            Kind::Observed,
            "elbv2:DescribeTags",
            json!({"fact": "tags", "data": [["arn:x", {"comment": text}]]}),
        ),
        rec(
            Kind::Step,
            "yui@bastion",
            json!({"id": 2, "title": "server logs", "state": "found 1",
            "checks": [{"id": "a", "findings": [{"level": "found", "text": text}], "unknown": [{"what": text, "reason": text}]}]}),
        ),
        rec(
            Kind::Verdict,
            "badgate",
            json!({"cause": "app-crash", "standing": "likely",
            "evidence": [{"polarity": "for", "what": "log", "value": text, "source": "logs"}], "next": [text]}),
        ),
        rec(Kind::Action, "yui@bastion", json!({"what": text, "undo": text})),
        rec(Kind::Gap, "badgate", json!({"what": text, "reason": text})),
        rec(Kind::from_name("dream"), text, json!({ text: text })),
    ]
}

fn options(level: Level) -> Options {
    let file = std::path::PathBuf::from("/s/shop.incident.jsonl");
    let problem = |text: &str| Problem {
        file: file.clone(),
        line: 3,
        offset: 99,
        why: crate::journal::Why::NotARecord(text.to_owned()),
        kept: false,
        excerpt: SafeText::new(text),
    };
    Options {
        problems: vec![problem("it has no `v`")],
        generated: at(),
        lang: crate::procedure::Lang::En,
        level,
        filter: Filter::default(),
        file,
    }
}

const FORMATS: [Format; 4] = [Format::Markdown, Format::Html, Format::Json, Format::Csv];

/// Whether a secret, or an eight-character piece of it, is in an export. The
/// escapes of the format are undone first.
fn leaked(out: &str, secret: &str) -> Option<String> {
    let plain = out.replace("&quot;", "\"").replace("&amp;", "&").replace("\\\"", "\"").replace("\\\\", "\\");
    let chars: Vec<char> = secret.chars().collect();
    let n = chars.len().min(8);
    chars
        .windows(n)
        .map(|w| w.iter().collect::<String>())
        .find(|piece| out.contains(piece) || plain.contains(piece))
}

#[test]
fn no_secret_of_the_corpus_comes_through_any_format() {
    let mut failures = Vec::new();
    for seed in 1..=3u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for (family, text, secret) in specimens(&mut dice) {
            for level in [Level::Default, Level::All] {
                let records = records_with(&text);
                for format in FORMATS {
                    let out = export(&records, &options(level), format).unwrap();
                    if let Some(piece) = leaked(&out, &secret) {
                        let line = out.lines().find(|l| l.contains(&piece)).unwrap_or_default();
                        failures.push(format!("{family} ({format:?}, {level}): {text}\n   {line}"));
                    }
                }
            }
        }
    }
    failures.dedup_by_key(|f| f.split(" (").next().unwrap_or_default().to_owned());
    assert!(failures.is_empty(), "{} leaks:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn without_redaction_the_corpus_is_all_there() {
    let mut dice = Dice(7);
    for (family, text, secret) in specimens(&mut dice) {
        let out = export(&records_with(&text), &options(Level::None), Format::Csv).unwrap();
        assert!(leaked(&out, &secret).is_some(), "{family}: the corpus proves nothing");
        assert!(out.contains("warning: not redacted"));
    }
}

#[test]
fn fields_of_records_are_redacted_by_name() {
    let secret = "hunter2swordfish";
    let table = [
        json!({"headers": {"Authorization": secret, "X-Api-Key": secret, "Cookie": [secret, secret]}}),
        json!({"headers": [["authorization", secret], ["set-cookie", secret], ["x-amz-security-token", secret]]}),
        json!({"environment": [{"name": "DB_PASSWORD", "value": secret}, {"Name": "API_SECRET", "Value": secret}]}),
        json!({"tags": [{"key": "admin-password", "value": secret}]}),
        json!({"tags": {"password": secret, "client_secret": {"plain": secret}}}),
        json!({"credentials": {"user": {"deep": [secret]}}}),
        json!({"dbPassword": secret, "PGPASSWORD": secret, "userPwd": secret, "pass": secret}),
        json!({"cookies": {"sid": secret}}),
    ];
    for data in table {
        for level in [Level::Default, Level::All] {
            let clean = Redactor::new(level).record(&rec(Kind::Observed, "x", data.clone()));
            assert!(!clean.data.to_string().contains("hunter2"), "{}", clean.data);
        }
    }
    let clean = Redactor::new(Level::Default).record(&rec(
        Kind::Observed,
        "x",
        json!({"password": 123_456, "pin": 1}),
    ));
    assert_eq!(clean.data, json!({"password": "[redacted secret]", "pin": 1}));
}

/// Ordinary lines of an incident, and what makes them worth reading: none of
/// it may go at the default level.
#[test]
fn ordinary_lines_stay_readable() {
    let table = [
        "2026-11-22T01:41:00.123Z ERROR [upstream] connect() failed (111: Connection refused) while connecting to 10.0.1.5:8080",
        "h2 2026-11-22T01:41:00.123456Z app/shop/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 0.000 0.001 0.000 502 - 34 366",
        "GET /cart?id=42&lang=ja&page=2&sort=price_asc HTTP/1.1 502 0.003",
        "GET /orders/3f2b8a34-57a1-4c11-9d2e-8f0d6c1e2b3a?expand=items HTTP/1.1 200",
        "Root=1-58337262-36d228ad5d99923122bbe354",
        "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCdEf",
        "i-0a1b2c3d4e5f60718 sg-0123456789abcdef0 subnet-11112222 vpc-0aa0bb0cc0dd0ee0f",
        "deployed commit 9fceb02d0ae598e95dc970b74767f19372d61af8 (v1.4.2)",
        "image sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae pulled",
        "nacl-app rule 90 denies tcp/8080 in; stickiness.lb_cookie.duration_seconds = 86400",
        "idle_timeout.timeout_seconds=60 routing.http2.enabled=true deletion_protection.enabled=false",
        "upstream prematurely closed connection while reading response header from upstream, client: 10.0.0.9",
        "authentication failed: password incorrect for user shop",
        "password: required",
        "token expired at 2026-11-22T01:40:58Z; token_type=Bearer expires_in=3600",
        "max_tokens: 512, tokens=1843, session count: 12, key: users/17/cart",
        "bearer token missing; basic authentication required",
        "PWD=/var/app OLDPWD=/root HOME=/root SHELL=/bin/sh LOGNAME=shop",
        "secretsmanager:GetSecretValue denied, secret_arn=arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf",
        "kms key id: 1234abcd-12ab-34cd-56ef-1234567890ab, KeyState=Enabled",
        "java.lang.OutOfMemoryError: Java heap space at com.example.shop.cart.CartService.recalculate(CartService.java:120)",
        "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678",
        "HTTPCode_ELB_502_Count rose from 0 to 412 per minute; TargetResponseTime p99 = 1.92 s",
        "the password is stored in Secrets Manager; passwords rotate every 30 days",
        "nginx: keepalive_timeout 5; proxy_read_timeout 60s; worker_connections 1024",
        "SSL_do_handshake() failed (SSL: error:0A000152:SSL routines::unsafe legacy renegotiation disabled)",
        "mysql: Too many connections; ERROR 1040 (08004) -port 3306",
        "/app/node_modules/express/lib/router/layer.js:95:5 at Layer.handle [as handle_request]",
        "ECS task 0123456789abcdef0123456789abcdef stopped: exit code: 137 (OutOfMemory)",
        "https://shop.example.com/login?next=/cart&utm_source=mail 302",
        "etag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\" content-length: 1256",
        "\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}\u{8a8d}\u{8a3c}\u{306b}\u{5931}\u{6557}\u{3057}\u{307e}\u{3057}\u{305f}",
        "see runbook https://wiki.example.com/x/502#step-3 and ticket OPS-1234",
    ];
    let mut wrong = Vec::new();
    for line in table {
        let got = Redactor::new(Level::Default).text(line);
        if got != *line {
            wrong.push(format!("{line}\n   {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} lines lost something:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn settings_and_references_to_secrets_stay() {
    let data = json!({
        "attributes": {"stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
            "stickiness.app_cookie.cookie_name": "SHOPSESSION", "access_logs.s3.prefix": "shop"},
        "secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/db"}],
        "environment": [{"name": "LANG", "value": "C"}, {"name": "PORT", "value": "8080"}],
        "passwordRequired": true, "password": null, "tokenCount": 12, "id": "i-0a1b2c3d4e5f60718",
        "key": "Name", "value": "shop-web-1",
    });
    let clean = Redactor::new(Level::Default).record(&rec(Kind::Observed, "x", data.clone()));
    assert_eq!(clean.data, data);
}

#[test]
fn all_leaves_no_account_address_host_or_id() {
    let records = vec![
        rec(
            Kind::Opened,
            "yui@bastion-7",
            json!({"target": "https://shop.example.com/cart", "account": "123456789012"}),
        ),
        rec(
            Kind::Observed,
            "elbv2:DescribeLoadBalancers",
            json!({
                "topic": "load_balancer",
                "of": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188",
                "fact": "load_balancer",
                "data": {"dns_name": "shop-1234.eu-west-1.elb.amazonaws.com", "number": 123_456_789_012_u64, "server": "db3-primary"},
            }),
        ),
        rec(
            Kind::Note,
            "ken@laptop-9",
            json!({"text": "10.0.1.5 and 2001:db8::5 (i-0a1b2c3d4e5f60718, sg-11112222) of 123456789012; db3-primary and shop.example.com too; ken on laptop-9"}),
        ),
    ];
    for format in FORMATS {
        let out = export(&records, &options(Level::All), format).unwrap();
        for gone in [
            "123456789012",
            "10.0.1.5",
            "2001:db8",
            "shop.example.com",
            "amazonaws",
            "bastion-7",
            "laptop-9",
            "db3-primary",
            "50dc6c495c0c9188",
            "0a1b2c3d4e5f60718",
            "11112222",
        ] {
            assert!(!out.contains(gone), "{format:?} still has {gone}:\n{out}");
        }
        assert!(
            out.contains("acct-1") && out.contains("ip-1") && out.contains("host-1"),
            "{format:?}: {out}"
        );
        let default = export(&records, &options(Level::Default), format).unwrap();
        assert!(default.contains("10.0.1.5") && default.contains("123456789012"), "{format:?}");
    }
}

#[test]
fn a_key_delivered_line_by_line_is_a_key() {
    let mut dice = Dice(11);
    let body: Vec<String> = [48, 48, 30, 2].into_iter().map(|n| dice.base64(n)).collect();
    let mut lines = vec!["loading key", "-----BEGIN EC PRIVATE KEY-----"];
    lines.extend(body.iter().map(String::as_str));
    lines.extend(["-----END EC PRIVATE KEY-----", "healthy", "abcdefghijklmnopqrstuvwxyz"]);
    let data: Vec<Value> = lines.iter().map(|l| json!({"group": "/app/shop", "text": l})).collect();
    let clean =
        Redactor::new(Level::Default).record(&rec(Kind::Observed, "logs", json!({ "data": data }))).data;
    let text = clean.to_string();
    for line in &body {
        assert!(!text.contains(line.as_str()), "{line} in {text}");
    }
    for kept in ["loading key", "/app/shop", "healthy", "abcdefghijklmnopqrstuvwxyz"] {
        assert!(text.contains(kept), "{kept} not in {text}");
    }
}

#[test]
fn redacting_twice_changes_nothing_more() {
    let mut dice = Dice(3);
    for (family, text, _) in specimens(&mut dice) {
        let once = Redactor::new(Level::Default).text(&text);
        let twice = Redactor::new(Level::Default).text(&once);
        assert_eq!(once, twice, "{family}");
    }
}

#[test]
fn levels_have_names_and_none_has_a_warning() {
    for (name, level) in [("default", Level::Default), ("all", Level::All), ("none", Level::None)] {
        assert_eq!(name.parse::<Level>().unwrap(), level);
        assert_eq!(level.to_string(), name);
        assert_eq!(level.warning().is_some(), level == Level::None);
    }
    assert!("some".parse::<Level>().unwrap_err().contains("known: default, all, none"));
}
