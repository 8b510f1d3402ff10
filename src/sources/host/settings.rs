//! Keep-alive and timeout settings out of configuration files and command
//! lines. Sources: the manuals of nginx, Apache httpd, Node.js, gunicorn,
//! uvicorn, Puma, php-fpm and Tomcat.

use crate::situation::host::{Role, Setting};
use crate::text::SafeText;

/// Settings that are kept of one host.
const KEPT: usize = 200;

/// Collects settings.
#[derive(Debug, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    fn add(&mut self, server: &str, name: &str, value: &str, unit: Unit, role: Role, place: &str) {
        if self.0.len() < KEPT {
            self.0.push(Setting {
                server: server.into(),
                name: SafeText::capped(name, 60),
                value: SafeText::capped(value.trim(), 80),
                seconds: unit.seconds(value.trim()),
                role,
                place: SafeText::capped(place, 160),
            });
        }
    }

    /// What was found.
    pub fn take(self) -> Vec<Setting> {
        self.0
    }
}

/// What a bare number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
    /// It is no time.
    Count,
}

impl Unit {
    /// `65`, `5s`, `1m30s`, `500ms`, `5000` (milliseconds).
    fn seconds(self, text: &str) -> Option<f64> {
        let factor = match self {
            Unit::Count => return None,
            Unit::Seconds => 1.0,
            Unit::Millis => 0.001,
        };
        let text = text.trim().trim_matches('"').replace('_', "");
        if let Ok(n) = text.parse::<f64>() {
            return (n.is_finite() && n >= 0.0).then_some(n * factor);
        }
        let (mut total, mut rest) = (0.0, text.as_str());
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|n| *n > 0)?;
            let number: f64 = rest[..digits].parse().ok()?;
            let tail = &rest[digits..];
            let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            total += number
                * match &tail[..end] {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" | "min" => 60.0,
                    "h" => 3600.0,
                    "d" => 86_400.0,
                    _ => return None,
                };
            rest = &tail[end..];
        }
        (!text.is_empty()).then_some(total)
    }
}

/// The answer of a command that prints files, each behind `#badgate NAME`.
pub fn files(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("#badgate ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, "")))
}

/// nginx: directives by the block they stand in.
pub fn nginx(text: &str, out: &mut Settings) {
    const KNOWN: [(&str, Unit, Role); 15] = [
        ("keepalive_timeout", Unit::Seconds, Role::KeepAlive),
        ("keepalive_requests", Unit::Count, Role::Limit),
        ("keepalive", Unit::Count, Role::Limit),
        ("proxy_read_timeout", Unit::Seconds, Role::Request),
        ("proxy_connect_timeout", Unit::Seconds, Role::Request),
        ("proxy_send_timeout", Unit::Seconds, Role::Request),
        ("fastcgi_read_timeout", Unit::Seconds, Role::Request),
        ("uwsgi_read_timeout", Unit::Seconds, Role::Request),
        ("client_header_timeout", Unit::Seconds, Role::Request),
        ("client_body_timeout", Unit::Seconds, Role::Request),
        ("send_timeout", Unit::Seconds, Role::Request),
        ("worker_connections", Unit::Count, Role::Limit),
        ("proxy_buffer_size", Unit::Count, Role::Other),
        ("proxy_http_version", Unit::Count, Role::Other),
        ("proxy_pass", Unit::Count, Role::Other),
    ];
    for (place, body) in files(text) {
        let mut blocks: Vec<String> = Vec::new();
        for statement in statements(body) {
            match statement {
                Statement::Open(words) => blocks.push(words),
                Statement::Close => {
                    blocks.pop();
                }
                Statement::Directive(words) => {
                    let mut words = words.split_whitespace();
                    let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
                    let Some((_, unit, role)) = KNOWN.iter().find(|(n, ..)| *n == name) else { continue };
                    let upstream = blocks.iter().any(|b| b.starts_with("upstream"));
                    if upstream && name == "keepalive_timeout" {
                        out.add(
                            "nginx",
                            "upstream keepalive_timeout",
                            value,
                            *unit,
                            Role::UpstreamKeepAlive,
                            place,
                        );
                    } else {
                        out.add("nginx", name, value, *unit, *role, place);
                    }
                }
            }
        }
    }
}

enum Statement {
    Open(String),
    Close,
    Directive(String),
}

/// The statements of an nginx file; comments and quotes are respected.
fn statements(body: &str) -> Vec<Statement> {
    let (mut out, mut word, mut quote, mut comment) = (Vec::new(), String::new(), None, false);
    for c in body.chars() {
        match (comment, quote, c) {
            (true, _, '\n') => comment = false,
            (true, ..) => {}
            (_, Some(q), c) => {
                if c == q {
                    quote = None;
                } else {
                    word.push(c);
                }
            }
            (_, None, '\'' | '"') => quote = Some(c),
            (_, None, '#') => comment = true,
            (_, None, ';') => out.push(Statement::Directive(std::mem::take(&mut word))),
            (_, None, '{') => out.push(Statement::Open(std::mem::take(&mut word).trim().to_owned())),
            (_, None, '}') => {
                word.clear();
                out.push(Statement::Close);
            }
            (_, None, c) => word.push(if c == '\n' { ' ' } else { c }),
        }
    }
    out
}

/// Apache httpd: directives, and the parameters of `ProxyPass`.
pub fn apache(text: &str, out: &mut Settings) {
    const KNOWN: [(&str, &str, Unit, Role); 8] = [
        ("keepalivetimeout", "KeepAliveTimeout", Unit::Seconds, Role::KeepAlive),
        ("keepalive", "KeepAlive", Unit::Count, Role::Other),
        ("maxkeepaliverequests", "MaxKeepAliveRequests", Unit::Count, Role::Limit),
        ("timeout", "Timeout", Unit::Seconds, Role::Request),
        ("proxytimeout", "ProxyTimeout", Unit::Seconds, Role::Request),
        ("maxrequestworkers", "MaxRequestWorkers", Unit::Count, Role::Limit),
        ("serverlimit", "ServerLimit", Unit::Count, Role::Limit),
        ("listen", "Listen", Unit::Count, Role::Other),
    ];
    for (place, body) in files(text) {
        for line in body.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            let first = first.to_ascii_lowercase();
            if let Some((_, name, unit, role)) = KNOWN.iter().find(|(n, ..)| *n == first) {
                if let Some(value) = words.next() {
                    out.add("apache", name, value, *unit, *role, place);
                }
            } else if first == "proxypass" || first == "balancermember" || first == "proxyset" {
                for pair in words {
                    let Some((name, value)) = pair.split_once('=') else { continue };
                    let (unit, role) = match name.to_ascii_lowercase().as_str() {
                        "ttl" => (Unit::Seconds, Role::UpstreamKeepAlive),
                        "timeout" | "connectiontimeout" | "retry" => (Unit::Seconds, Role::Request),
                        "disablereuse" | "enablereuse" => (Unit::Count, Role::Other),
                        _ => continue,
                    };
                    out.add("apache", &name.to_ascii_lowercase(), value, unit, role, place);
                }
            } else if first == "setenv" || first == "setenvif" {
                let rest: Vec<&str> = words.collect();
                for name in ["proxy-initial-not-pooled", "proxy-nokeepalive"] {
                    if rest.iter().any(|w| w.split('=').next() == Some(name)) {
                        out.add("apache", name, "1", Unit::Count, Role::Other, place);
                    }
                }
            }
        }
    }
}

/// `name = value` files: php-fpm pools and gunicorn's Python.
pub fn assignments(server: &str, text: &str, out: &mut Settings) {
    const KNOWN: [(&str, &str, Unit, Role); 9] = [
        ("php-fpm", "request_terminate_timeout", Unit::Seconds, Role::Request),
        ("php-fpm", "pm.max_children", Unit::Count, Role::Limit),
        ("php-fpm", "listen.backlog", Unit::Count, Role::Limit),
        ("php-fpm", "process_idle_timeout", Unit::Seconds, Role::Other),
        ("gunicorn", "keepalive", Unit::Seconds, Role::KeepAlive),
        ("gunicorn", "timeout", Unit::Seconds, Role::Request),
        ("gunicorn", "graceful_timeout", Unit::Seconds, Role::Other),
        ("gunicorn", "workers", Unit::Count, Role::Limit),
        ("gunicorn", "worker_class", Unit::Count, Role::Other),
    ];
    for (place, body) in files(text) {
        for line in body.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';'])) {
            let Some((name, value)) = line.split_once('=') else { continue };
            let name = name.trim();
            if let Some((_, _, unit, role)) = KNOWN.iter().find(|(s, n, ..)| *s == server && *n == name) {
                let value = value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
                out.add(server, name, value, *unit, *role, place);
            }
        }
    }
}

/// Puma: `persistent_timeout 20`.
pub fn puma(text: &str, out: &mut Settings) {
    for (place, body) in files(text) {
        for line in body.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            let mut words = line.split([' ', '(', ')']).filter(|w| !w.is_empty());
            let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
            let role = match name {
                "persistent_timeout" => Role::KeepAlive,
                "worker_timeout" | "first_data_timeout" => Role::Request,
                _ => continue,
            };
            out.add("puma", name, value, Unit::Seconds, role, place);
        }
    }
}

/// Node.js: assignments in the program, in milliseconds.
pub fn node(text: &str, out: &mut Settings) {
    for (place, body) in files(text) {
        for line in body.lines().map(str::trim).filter(|l| !l.starts_with("//")) {
            for (name, role) in [
                ("keepAliveTimeout", Role::KeepAlive),
                ("headersTimeout", Role::Request),
                ("requestTimeout", Role::Request),
            ] {
                let Some((_, tail)) = line.split_once(name) else { continue };
                let value = tail.trim_start_matches([' ', '=', ':']).split([';', ',', '}', ' ', ')']).next();
                // `65 * 1000` and names of constants are left to people.
                let plain = !tail.contains('*');
                if let Some(value) = value
                    .filter(|v| plain && !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
                {
                    out.add("node", name, value, Unit::Millis, role, place);
                }
            }
        }
    }
}

/// Tomcat: attributes of `<Connector>`, in milliseconds.
pub fn tomcat(text: &str, out: &mut Settings) {
    for (place, body) in files(text) {
        for connector in body.split("<Connector").skip(1) {
            let connector = connector.split('>').next().unwrap_or_default();
            let value = |name: &str| {
                let (_, tail) = connector.split_once(&format!("{name}=\""))?;
                tail.split('"').next()
            };
            let own = value("keepAliveTimeout");
            // Without one of its own, connectionTimeout decides.
            if let Some(v) = own.or_else(|| value("connectionTimeout")) {
                let name = if own.is_some() { "keepAliveTimeout" } else { "connectionTimeout" };
                out.add("tomcat", name, v, Unit::Millis, Role::KeepAlive, place);
            }
            if let Some(v) = value("maxThreads") {
                out.add("tomcat", "maxThreads", v, Unit::Count, Role::Limit, place);
            }
        }
    }
}

/// Command lines of running servers (`ps -eo pid=,args=`).
pub fn processes(text: &str, out: &mut Settings) {
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let program = |name: &str| words.iter().take(3).any(|w| w.rsplit('/').next() == Some(name));
        let option = |names: &[&str]| {
            words.iter().enumerate().find_map(|(i, w)| {
                names.iter().find_map(|n| match w.strip_prefix(n) {
                    Some("") => words.get(i + 1).copied(),
                    Some(v) => v.strip_prefix('='),
                    None => None,
                })
            })
        };
        let known: &[(&str, &[&str], &str, Unit, Role)] = if program("gunicorn") {
            &[
                ("gunicorn", &["--keep-alive"], "keepalive", Unit::Seconds, Role::KeepAlive),
                ("gunicorn", &["--timeout", "-t"], "timeout", Unit::Seconds, Role::Request),
                ("gunicorn", &["--workers", "-w"], "workers", Unit::Count, Role::Limit),
                ("gunicorn", &["--worker-class", "-k"], "worker_class", Unit::Count, Role::Other),
            ]
        } else if program("uvicorn") {
            &[
                ("uvicorn", &["--timeout-keep-alive"], "timeout_keep_alive", Unit::Seconds, Role::KeepAlive),
                ("uvicorn", &["--limit-concurrency"], "limit_concurrency", Unit::Count, Role::Limit),
            ]
        } else if program("node") {
            &[("node", &["--max-http-header-size"], "max-http-header-size", Unit::Count, Role::Other)]
        } else {
            &[]
        };
        for (server, names, name, unit, role) in known {
            if let Some(value) = option(names) {
                let already = out.0.iter().any(|s| {
                    s.server.as_str() == *server && s.name.as_str() == *name && s.value.as_str() == value
                });
                if !already {
                    out.add(server, name, value, *unit, *role, "command line");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(f: impl Fn(&str, &mut Settings), text: &str) -> Vec<String> {
        let mut out = Settings::default();
        f(text, &mut out);
        out.take()
            .iter()
            .map(|s| format!("{} {}={} {:?} {:?}", s.server, s.name, s.value, s.seconds, s.role))
            .collect()
    }

    #[test]
    fn nginx_by_block() {
        let text = "#badgate /etc/nginx/nginx.conf\nhttp { keepalive_timeout 65s 60; # keepalive_timeout 1s;\n\
            upstream app { server 127.0.0.1:3000; keepalive 16; keepalive_timeout 1m30s; }\n\
            server { location / { proxy_pass http://app; proxy_read_timeout 90; } } }\n";
        assert_eq!(
            of(nginx, text),
            [
                "nginx keepalive_timeout=65s Some(65.0) KeepAlive",
                "nginx keepalive=16 None Limit",
                "nginx upstream keepalive_timeout=1m30s Some(90.0) UpstreamKeepAlive",
                "nginx proxy_pass=http://app None Other",
                "nginx proxy_read_timeout=90 Some(90.0) Request",
            ]
        );
    }

    #[test]
    fn apache_and_its_proxy() {
        let text = "#badgate /etc/httpd/conf/httpd.conf\n# KeepAliveTimeout 99\nKeepAliveTimeout 5\nkeepalivetimeout 500ms\n\
            ProxyPass / http://10.0.0.7/ ttl=4 retry=0 disablereuse=On\nSetEnv proxy-initial-not-pooled 1\nTimeout 60\n";
        assert_eq!(
            of(apache, text),
            [
                "apache KeepAliveTimeout=5 Some(5.0) KeepAlive",
                "apache KeepAliveTimeout=500ms Some(0.5) KeepAlive",
                "apache ttl=4 Some(4.0) UpstreamKeepAlive",
                "apache retry=0 Some(0.0) Request",
                "apache disablereuse=On None Other",
                "apache proxy-initial-not-pooled=1 None Other",
                "apache Timeout=60 Some(60.0) Request",
            ]
        );
    }

    #[test]
    fn application_servers() {
        assert_eq!(
            of(
                processes,
                " 7 /usr/bin/python3 /usr/bin/gunicorn --keep-alive 75 -w4 --timeout=120 app:app\n 8 /usr/bin/gunicorn --keep-alive 75 app\n 9 uvicorn app:app --timeout-keep-alive 5\n 10 vim gunicorn.txt --keep-alive 3\n"
            ),
            [
                "gunicorn keepalive=75 Some(75.0) KeepAlive",
                "gunicorn timeout=120 Some(120.0) Request",
                "uvicorn timeout_keep_alive=5 Some(5.0) KeepAlive",
            ]
        );
        assert_eq!(
            of(
                node,
                "#badgate /srv/server.js\nserver.keepAliveTimeout = 65_000;\nserver.headersTimeout = 66 * 1000\n"
            ),
            ["node keepAliveTimeout=65_000 Some(65.0) KeepAlive"]
        );
        assert_eq!(
            of(
                tomcat,
                "#badgate server.xml\n<Connector port=\"8080\" connectionTimeout=\"20000\"\n maxThreads=\"200\" />"
            ),
            ["tomcat connectionTimeout=20000 Some(20.0) KeepAlive", "tomcat maxThreads=200 None Limit"]
        );
        assert_eq!(
            of(puma, "#badgate puma.rb\npersistent_timeout 20\n# worker_timeout 3\n"),
            ["puma persistent_timeout=20 Some(20.0) KeepAlive"]
        );
        assert_eq!(
            of(
                |t, o| assignments("php-fpm", t, o),
                "#badgate www.conf\npm.max_children = 5\n;request_terminate_timeout = 9\nrequest_terminate_timeout = 30s\n"
            ),
            [
                "php-fpm pm.max_children=5 None Limit",
                "php-fpm request_terminate_timeout=30s Some(30.0) Request"
            ]
        );
        assert_eq!(
            of(|t, o| assignments("gunicorn", t, o), "#badgate gunicorn.conf.py\nkeepalive = 2  # seconds\n"),
            ["gunicorn keepalive=2 Some(2.0) KeepAlive"]
        );
    }

    #[test]
    fn nonsense_is_no_time() {
        for (text, want) in [
            ("5", Some(5.0)),
            ("", None),
            ("soon", None),
            ("5 parsecs", None),
            ("-1", None),
            ("1h", Some(3600.0)),
            ("s5", None),
        ] {
            assert_eq!(Unit::Seconds.seconds(text), want, "{text}");
        }
    }
}
