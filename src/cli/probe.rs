//! `badgate probe URL`: what may be asked for, and what is refused before
//! anything is sent.

use super::{Resolve, Stop, duration, timeout};
use crate::sources::probe::{Ask, Idle, Servers, Url, Via, check_host, guard, idle, repeat};
use clap::Args;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What the exit code of `badgate probe` says.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  it answers, and nothing is wrong with the answer
  1  it does not answer, answers 5xx, or something is wrong on the way
  2  the command line is wrong, or the address is one that is never probed";

#[derive(Args, Debug)]
pub(super) struct ProbeArgs {
    /// http or https URL; a query string is sent and recorded
    url: Option<String>,
    /// Print JSON (schema badgate.probe/1) instead of text
    #[arg(long)]
    json: bool,
    /// Use this address for a host and port, as curl does; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    resolve: Vec<Resolve>,
    /// Ask each of these addresses: a load balancer's node, the target itself [without ADDR: each of the name]
    #[arg(long, value_name = "ADDR", num_args = 0.., value_delimiter = ',')]
    via: Option<Vec<String>>,
    /// Send this as Host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Send this as the server name of TLS, and verify for it
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// Request method
    #[arg(long, value_name = "NAME", default_value = "GET", value_parser = method)]
    method: String,
    /// Send this header too; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Send the request although the certificate does not verify; the report says so
    #[arg(long)]
    insecure: bool,
    /// Send N requests, one at a time, for a fault that comes only sometimes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(repeat::MOST)))]
    count: Option<u32>,
    /// From one of these requests to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Measure how long an idle connection is kept, watching for at most MAX [default: 400s]
    #[arg(long, value_name = "MAX", num_args = 0..=1, require_equals = true, value_parser = longest)]
    keepalive: Option<Option<Duration>>,
    /// For each connection, handshake and answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
    /// Also record what is observed in this incident file
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
}

/// `badgate probe`, checked.
#[derive(Clone, Debug)]
pub struct Probe {
    pub ask: Ask,
    pub json: bool,
    pub incident: Option<PathBuf>,
}

impl PartialEq for Probe {
    fn eq(&self, other: &Probe) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for Probe {}

impl ProbeArgs {
    pub(super) fn checked(mut self) -> Result<Probe, Stop> {
        // '--via URL' takes the URL for an address; what is meant is plain.
        if let (None, Some(list)) = (&self.url, &mut self.via)
            && let Some(n) = list.iter().position(|v| v.contains("://"))
        {
            self.url = Some(list.remove(n));
        }
        let Some(typed) = self.url else {
            return Err(Stop::usage("URL is missing; see 'badgate probe --help'"));
        };
        let url: Url = typed.parse().map_err(|why| Stop::usage(format!("URL '{typed}' {why}")))?;
        let via = match &self.via {
            None => Via::First,
            Some(list) if list.is_empty() => Via::Each,
            Some(list) => Via::These(list.iter().map(|a| address(a)).collect::<Result<_, _>>()?),
        };
        let resolve: Vec<(String, u16, Vec<IpAddr>)> =
            self.resolve.into_iter().map(|r| (r.host, r.port, r.addresses)).collect();
        let mut named: Vec<IpAddr> = url.address().into_iter().collect();
        named.extend(resolve.iter().flat_map(|(.., ips)| ips));
        if let Via::These(list) = &via {
            named.extend(list.iter().map(SocketAddr::ip));
        }
        if let Some((ip, why)) = named.iter().find_map(|ip| Some((ip, guard::refusal(*ip)?))) {
            return Err(Stop::usage(format!("{ip} {why}; it is never probed")));
        }
        for (option, name) in [("--sni", &self.sni), ("--host", &self.host)] {
            let Some(name) = name else { continue };
            let host = if option == "--host" { without_port(name) } else { name };
            check_host(&host.to_ascii_lowercase())
                .map_err(|_| Stop::usage(format!("{option} '{name}' is no host name")))?;
        }
        let ask = Ask {
            url,
            resolve,
            via,
            host: self.host,
            sni: self.sni.map(|s| s.to_ascii_lowercase()),
            method: self.method,
            headers: self.header,
            insecure: self.insecure,
            timeout: self.timeout,
            keepalive: self
                .keepalive
                .map(|max| Idle { max: max.unwrap_or(idle::LONGEST), ..Idle::default() }),
            repeat: self.count.map(|count| repeat::Plan { count, interval: self.interval }),
            thorough: true,
            servers: Servers::default(),
        };
        if !ask.is_safe() && (ask.repeat.is_some() || ask.keepalive.is_some()) {
            let option = if ask.repeat.is_some() { "--count" } else { "--keepalive" };
            return Err(Stop::usage(format!(
                "{option} sends the request more than once; {} may change something each time: use GET or HEAD",
                ask.method
            )));
        }
        if let Some(plan) = ask.repeat
            && plan.interval * plan.count > repeat::LONGEST
        {
            let most = repeat::LONGEST.as_secs() / 60;
            return Err(Stop::usage(format!(
                "--count {} at --interval {} s takes longer than {most} minutes; give fewer or a shorter interval",
                plan.count,
                plan.interval.as_secs_f64()
            )));
        }
        Ok(Probe { ask, json: self.json, incident: self.incident })
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.parse::<u16>().is_ok() => name,
        _ => host.trim_start_matches('[').trim_end_matches(']'),
    }
}

/// `ADDR` or `ADDR:PORT`; the port 0 stands for the URL's.
fn address(typed: &str) -> Result<SocketAddr, Stop> {
    let bare = typed.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(typed);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 0));
    }
    typed.parse().map_err(|_| {
        Stop::usage(format!(
            "--via '{typed}' is no address; give 10.0.1.5, 10.0.1.5:8080 or [2001:db8::1]:8080"
        ))
    })
}

fn method(s: &str) -> Result<String, String> {
    let upper = s.to_ascii_uppercase();
    match upper.as_str() {
        "CONNECT" => Err("asks for a tunnel; that is no probe".into()),
        m if !m.is_empty() && m.len() <= 20 && m.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') => {
            Ok(upper)
        }
        _ => Err("is no method; GET, HEAD and OPTIONS change nothing at the server".into()),
    }
}

fn header(s: &str) -> Result<(String, String), String> {
    let Some((name, value)) = s.split_once(':') else { return Err("is not NAME: VALUE".into()) };
    let (name, value) = (name.trim(), value.trim());
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("has the name '{name}', which no header can have"));
    }
    if value.bytes().any(|b| b < 0x20 || b == 0x7f) || value.len() > 8192 {
        return Err("has a control character in its value, or more than 8192 bytes".into());
    }
    match name.to_ascii_lowercase().as_str() {
        "host" => Err("is what --host is for".into()),
        "connection" | "content-length" | "transfer-encoding" | "upgrade" | "te" | "expect" => {
            Err("would change how the answer ends; it is not sent".into())
        }
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

fn interval(s: &str) -> Result<Duration, String> {
    duration(s, repeat::CLOSEST, Duration::from_secs(600), "100ms and 10m")
}

fn longest(s: &str) -> Result<Duration, String> {
    duration(s, Duration::from_secs(1), idle::LONGEST, "1s and 400s")
}

#[cfg(test)]
mod tests {
    use crate::cli::{Invocation, Stop, parse};
    use crate::sources::probe::Via;

    fn read(line: &str) -> Result<super::Probe, String> {
        match parse(std::iter::once("badgate".into()).chain(line.split(' ').map(Into::into))) {
            Ok(Invocation::Probe(p)) => Ok(*p),
            Ok(other) => panic!("{other:?}"),
            Err(Stop::Usage(line)) => Err(line.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_become_what_is_asked() {
        let p =
            read("probe https://shop.example.com/a --via 10.0.0.1,10.0.0.2:8443 --count 5 --interval 200ms")
                .unwrap();
        assert_eq!(
            p.ask.via,
            Via::These(vec!["10.0.0.1:0".parse().unwrap(), "10.0.0.2:8443".parse().unwrap()])
        );
        assert_eq!(p.ask.repeat.unwrap().count, 5);
        assert!(p.ask.keepalive.is_none() && !p.ask.insecure && !p.json);
        let p = read("probe --via http://shop.example.com/").unwrap();
        assert_eq!((p.ask.via, p.ask.url.port), (Via::Each, 80));
        let p = read("probe --via ::1 http://shop.example.com/ --keepalive").unwrap();
        assert_eq!(p.ask.keepalive.unwrap().max.as_secs(), 400);
        let p =
            read("probe http://shop.example.com/ --keepalive=30s --header X-A:b --host other:81").unwrap();
        assert_eq!(p.ask.keepalive.unwrap().max.as_secs(), 30);
        assert_eq!(p.ask.headers, [("X-A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_is_refused_says_why_in_one_line() {
        for (line, why) in [
            ("probe", "URL is missing"),
            ("probe shop.example.com", "write 'https://shop.example.com'"),
            ("probe https://u:p@shop.example.com/", "user name or password"),
            ("probe http://169.254.169.254/latest/", "never probed"),
            ("probe http://[::ffff:169.254.169.254]/", "never probed"),
            ("probe http://shop.example.com/ --resolve shop.example.com:80:169.254.169.254", "never probed"),
            ("probe http://shop.example.com/ --via 169.254.170.2", "never probed"),
            ("probe http://shop.example.com/ --via nonsense", "no address"),
            ("probe http://shop.example.com/ --header Host:x", "--host"),
            ("probe http://shop.example.com/ --header Transfer-Encoding:chunked", "not sent"),
            ("probe http://shop.example.com/ --header X", "NAME: VALUE"),
            ("probe http://shop.example.com/ --method CONNECT", "tunnel"),
            ("probe http://shop.example.com/ --method POST --count 3", "more than once"),
            ("probe http://shop.example.com/ --method DELETE --keepalive", "more than once"),
            ("probe http://shop.example.com/ --count 100000", "100000"),
            ("probe http://shop.example.com/ --count 2 --interval 1ms", "between 100ms"),
            ("probe http://shop.example.com/ --count 1000 --interval 1m", "30 minutes"),
            ("probe http://shop.example.com/ --keepalive=1h", "between 1s and 400s"),
            ("probe http://shop.example.com/ --sni a..b", "no host name"),
        ] {
            let said = read(line).map(|p| format!("{p:?}")).unwrap_err();
            assert!(said.contains(why) && !said.contains('\n'), "{line}: {said}");
        }
    }
}
