//! Values of options: what is wrong with one is said in words that follow its name.

use crate::config::is_log_group;
use crate::procedure::Lang;
use std::net::IpAddr;
use std::time::Duration;

/// `HOST:PORT:ADDR[,ADDR]`, as curl's `--resolve`; an IPv6 address may stand in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// Lower case.
    pub host: String,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

impl std::str::FromStr for Resolve {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let form = || "is not HOST:PORT:ADDR, as in shop.example.com:443:203.0.113.9".to_owned();
        let mut parts = s.splitn(3, ':');
        let (Some(host), Some(port), Some(list)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        if host.is_empty() || list.is_empty() {
            return Err(form());
        }
        let port = match port.parse::<u16>() {
            Ok(p) if p > 0 => p,
            _ => return Err(format!("has the port '{port}'; ports are 1 to 65535")),
        };
        let addresses = list
            .split(',')
            .map(|a| {
                let bare = a.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(a);
                bare.parse().map_err(|_| format!("has the address '{a}', which is neither IPv4 nor IPv6"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Resolve { host: host.to_ascii_lowercase(), port, addresses })
    }
}

impl std::fmt::Display for Resolve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{}:{}:{}", self.host, self.port, list.join(","))
    }
}

/// A profile of the AWS config.
pub(super) fn profile(s: &str) -> Result<String, String> {
    match s.trim() {
        "" => Err("is empty; name a profile of the AWS config".into()),
        t if t.chars().any(char::is_control) => Err("holds a control character".into()),
        t => Ok(t.to_owned()),
    }
}

/// A region, by its form.
pub(super) fn region(s: &str) -> Result<String, String> {
    let ok = s.len() <= 32
        && s.contains('-')
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if ok { Ok(s.to_owned()) } else { Err("is no region; regions look like ap-northeast-1".into()) }
}

/// The name of a log group.
pub(super) fn log_group(s: &str) -> Result<String, String> {
    if is_log_group(s) {
        Ok(s.to_owned())
    } else {
        Err("is no log group name: letters, digits and _ - / . # only, at most 512".into())
    }
}

/// A time of an incident, kept as typed.
pub(super) fn moment(s: &str) -> Result<String, String> {
    let some = jiff::Timestamp::UNIX_EPOCH;
    match crate::console::past::typed_moment(s, some, some, some) {
        Some(_) => Ok(s.trim().to_owned()),
        None => Err("is no time; write it like 01:41, 01:41:30 or 2026-11-22T01:41".into()),
    }
}

/// A language the procedure is written in.
pub(super) fn lang(s: &str) -> Result<Lang, String> {
    Lang::of_locale(s).ok_or_else(|| {
        let known: Vec<&str> = Lang::ALL.iter().map(|l| l.tag()).collect();
        format!("is a language the procedure is not written in; known: {}", known.join(", "))
    })
}

/// How far back is looked.
pub(super) fn since(s: &str) -> Result<Duration, String> {
    // CloudWatch keeps one-minute points for 15 days.
    duration(s, Duration::from_secs(60), Duration::from_secs(15 * 86_400), "1m and 15d")
}

/// How long answers are waited for.
pub(super) fn timeout(s: &str) -> Result<Duration, String> {
    duration(s, Duration::from_secs(1), Duration::from_secs(300), "1s and 5m")
}

/// A duration between two bounds, in the words of a person.
pub(super) fn duration(s: &str, least: Duration, most: Duration, bounds: &str) -> Result<Duration, String> {
    let text = s.trim();
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let read = text.parse::<jiff::Span>().ok().and_then(|span| span.to_duration(days).ok());
    let Some(d) = read else {
        let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let hint = if bare { format!("; did you mean '{text}m'?") } else { String::new() };
        return Err(format!("is no duration; write it like 30s, 15m or 2h30m{hint}"));
    };
    match Duration::try_from(d) {
        Ok(d) if d >= least && d <= most => Ok(d),
        _ => Err(format!("must be between {bounds}")),
    }
}
