//! The URL of a probe: only what a request needs.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An `http` or `https` URL, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub https: bool,
    /// Lower case, no trailing dot, no brackets.
    pub host: String,
    pub port: u16,
    /// Path and query as they are sent; begins with `/`.
    pub path: String,
}

impl Url {
    /// The host when it is an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What goes into the `Host` header: the port only when it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.https { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.path)
    }
}

impl FromStr for Url {
    type Err = String;

    /// The error is the rest of a line that begins with the URL.
    fn from_str(typed: &str) -> Result<Url, String> {
        let s = typed.trim();
        if s.is_empty() {
            return Err("is empty; give a URL such as https://shop.example.com/".into());
        }
        if s.len() > 8192 {
            return Err(format!("is {} bytes long; at most 8192", s.len()));
        }
        if s.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("holds a blank or a control character; write it percent-encoded".into());
        }
        let Some((scheme, rest)) = s.split_once("://") else {
            return Err(format!("is no URL; write 'https://{s}'"));
        };
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(format!("has the scheme '{scheme}'; http and https are known")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err("holds a user name or password; leave it out".into());
        }
        let (host, port) = split_port(authority)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        check_host(&host)?;
        let tail = tail.split('#').next().unwrap_or_default();
        let path = if tail.starts_with('/') { encoded(tail) } else { format!("/{}", encoded(tail)) };
        Ok(Url { https, host, port: port.unwrap_or(if https { 443 } else { 80 }), path })
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let number = |p: &str| match p {
        "" => Ok(None),
        p => match p.parse::<u16>() {
            Ok(n) if n > 0 => Ok(Some(n)),
            _ => Err(format!("has the port '{p}'; ports are 1 to 65535")),
        },
    };
    if let Some(inner) = authority.strip_prefix('[') {
        let Some((host, tail)) = inner.split_once(']') else { return Err("lacks the closing ']'".into()) };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("has '[{host}]', which is no IPv6 address"));
        }
        return match tail.strip_prefix(':') {
            Some(p) => Ok((host, number(p)?)),
            None if tail.is_empty() => Ok((host, None)),
            None => Err(format!("has '{tail}' behind the address")),
        };
    }
    match authority.split_once(':') {
        Some((_, p)) if p.contains(':') => Err("holds an IPv6 address; put it in brackets".into()),
        Some((host, p)) => Ok((host, number(p)?)),
        None => Ok((authority, None)),
    }
}

/// Is it a host name or an address? The error is the rest of a line.
pub fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("is a URL without a host".into());
    }
    if host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if !host.is_ascii() {
        return Err(format!("has the host '{host}'; write it in ASCII (xn--...)"));
    }
    if host.len() > 253 {
        return Err("has a host name longer than 253 characters".into());
    }
    // Programs read 0x7f.1 or 2130706433 as an address; what is meant must be plain.
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.starts_with("0x") || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(format!("has the host '{host}', which is no whole address"));
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.split('.').all(label) {
        Ok(())
    } else {
        Err(format!("has the host '{host}', which is no host name"))
    }
}

/// Only visible ASCII goes on the wire.
fn encoded(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for b in s.bytes() {
        if b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_what_is_sent_of_them() {
        for (typed, shown, authority) in [
            ("https://Shop.Example.com", "https://shop.example.com/", "shop.example.com"),
            ("HTTP://shop.example.com.:80/a?b=c#d", "http://shop.example.com/a?b=c", "shop.example.com"),
            ("https://shop.example.com:8443?x", "https://shop.example.com:8443/?x", "shop.example.com:8443"),
            ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/", "[2001:db8::1]:8080"),
            ("http://10.0.0.1/caf\u{e9}", "http://10.0.0.1/caf%C3%A9", "10.0.0.1"),
            ("http://web:/x", "http://web/x", "web"),
        ] {
            let url: Url = typed.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.authority().as_str()), (shown, authority));
        }
        for (typed, why) in [
            ("", "empty"),
            ("shop.example.com", "write 'https://shop.example.com'"),
            ("ftp://x/", "scheme 'ftp'"),
            ("https://", "without a host"),
            ("https:///path", "without a host"),
            ("https://u:p@shop.example.com/", "user name or password"),
            ("https://shop.example.com:0/", "1 to 65535"),
            ("https://shop.example.com:99999/", "1 to 65535"),
            ("https://[::1/", "closing"),
            ("https://::1/", "brackets"),
            ("https://a b/", "blank"),
            ("https://2130706433/", "no whole address"),
            ("https://0x7f.1/", "no whole address"),
            ("https://sh\u{f6}p.example.com/", "ASCII"),
            ("https://a..b/", "no host name"),
        ] {
            let e = typed.parse::<Url>().unwrap_err();
            assert!(e.contains(why), "{typed}: {e}");
        }
    }
}
