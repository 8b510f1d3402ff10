//! The plain probe that `check` and step 6 send: one request for the TARGET
//! itself, where it says where that is.

use super::{Ask, Say, Url, guard, probe};
use crate::situation::{Fact, Observation, Reason, Topic};
use jiff::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// What to probe for a TARGET: the URL it is, or the host and port of the
/// first `--resolve`. `None` when neither says where to ask, or when it is an
/// address that is never probed.
pub fn for_target(target: &str, resolve: &[String], timeout: Duration) -> Option<Ask> {
    let resolve: Vec<(String, u16, Vec<IpAddr>)> = resolve.iter().filter_map(|r| entry(r)).collect();
    let url: Url = match target.trim().parse() {
        Ok(url) => url,
        Err(_) => {
            let (host, port, _) = resolve.first()?;
            let scheme = if matches!(port, 443 | 8443) { "https" } else { "http" };
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            format!("{scheme}://{host}:{port}/").parse().ok()?
        }
    };
    let named = url.address().into_iter().chain(resolve.iter().flat_map(|(.., ips)| ips.iter().copied()));
    if named.into_iter().any(|ip| guard::refusal(ip).is_some()) {
        return None;
    }
    let mut ask = Ask::plain(url, timeout);
    ask.resolve = resolve;
    Some(ask)
}

/// `HOST:PORT:ADDR[,ADDR]`, checked where it was typed.
fn entry(text: &str) -> Option<(String, u16, Vec<IpAddr>)> {
    let mut parts = text.splitn(3, ':');
    let (host, port, list) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let addresses = list
        .split(',')
        .filter_map(|a| a.trim_start_matches('[').trim_end_matches(']').parse().ok())
        .collect();
    Some((host.to_ascii_lowercase(), port, addresses))
}

/// Probes, at most `within` long, and says what came of it.
pub async fn observe(ask: &Ask, within: Duration, say: &Say) -> Observation {
    let topic = Topic::Probe(ask.url.to_string().into());
    let done = tokio::time::timeout(within, probe(ask, say)).await;
    let (at, fact, took_ms) = match done {
        Ok(p) => (p.at, Fact::Probe(Box::new(p.clone())), p.took_ms as u32),
        Err(_) => {
            let after_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            (Timestamp::now(), Fact::Unknown(Reason::TimedOut { after_ms }), 0)
        }
    };
    Observation { at, source: "probe".into(), topic, fact, took_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(target: &str, resolve: &[&str]) -> Option<String> {
        let resolve: Vec<String> = resolve.iter().map(|s| (*s).to_owned()).collect();
        for_target(target, &resolve, Duration::from_secs(1)).map(|a| a.url.to_string())
    }

    #[test]
    fn a_url_is_probed_a_name_only_where_an_address_is_given() {
        assert_eq!(url("https://shop.example.com/a", &[]).as_deref(), Some("https://shop.example.com/a"));
        assert_eq!(url("shop-alb", &[]), None);
        assert_eq!(url("shop.example.com", &[]), None);
        let given = ["Shop.example.com:443:203.0.113.9"];
        assert_eq!(url("shop-alb", &given).as_deref(), Some("https://shop.example.com/"));
        assert_eq!(url("shop-alb", &["web:8080:10.0.1.5"]).as_deref(), Some("http://web:8080/"));
        assert_eq!(url("http://169.254.169.254/", &[]), None);
        assert_eq!(url("shop-alb", &["x.example.com:80:169.254.169.254"]), None);
    }
}
