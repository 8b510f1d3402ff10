//! Names in place of accounts, addresses, hosts and ids. The same input has the
//! same name within one export, so that a reader can still follow which target
//! failed; what it was called is nowhere in the export.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::text::SafeText;

#[derive(Debug, Default)]
pub(super) struct Pseudonyms {
    names: HashMap<(&'static str, String), String>,
    counts: HashMap<&'static str, usize>,
    /// Host names met in fields and URLs, in lower case.
    hosts: BTreeSet<String>,
}

/// Top-level domains by which a dotted word is taken for a host name. Country
/// codes that are file name extensions as well are left to [`Pseudonyms::learn`].
const TLDS: &[&str] = &[
    "com", "net", "org", "io", "dev", "app", "cloud", "info", "biz", "tech", "site", "online", "shop",
    "store", "xyz", "edu", "gov", "mil", "int", "arpa", "internal", "local", "lan", "intranet", "corp",
    "home", "private", "test", "example", "invalid", "onion", "consul", "svc", "aws", "co", "jp", "de", "uk",
    "eu", "fr", "us", "ca", "au", "nz", "cn", "hk", "tw", "kr", "in", "sg", "br", "mx", "ar", "cl", "nl",
    "be", "ch", "at", "it", "es", "pt", "se", "no", "fi", "dk", "cz", "sk", "hu", "ro", "bg", "gr", "tr",
    "il", "ae", "za", "ie", "is", "ai", "me", "tv", "gg", "fm", "im", "ly", "to", "id", "my", "th", "vn",
    "ph", "ru", "ua", "lt", "lv", "ee",
];

/// Fields whose value is a host name whatever it looks like.
const HOST_FIELDS: &[&str] = &[
    "host",
    "hostname",
    "host_name",
    "dns",
    "dns_name",
    "dnsname",
    "domain",
    "server",
    "server_name",
    "sni",
    "fqdn",
    "authority",
    "private_dns_name",
    "public_dns_name",
    "node",
    "instance_name",
];

struct Patterns {
    authority: Regex,
    at_host: Regex,
    dotted: Regex,
    ip_host: Regex,
    v4: Regex,
    v6: Regex,
    resource: Regex,
    elb_tail: Regex,
    arn_tail: Regex,
    account: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    let new = |p: &str| Regex::new(p).ok();
    Some(Patterns {
        authority: new(r"(?i)\b[a-z][a-z0-9+.-]*://(?:[^\s/@]*@)?(?P<h>[a-z0-9_][a-z0-9_.-]*)")?,
        at_host: new(r"[A-Za-z0-9_.+-]@(?P<h>[A-Za-z0-9][A-Za-z0-9_.-]*)")?,
        dotted: new(r"(?i)\b(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?\b")?,
        ip_host: new(r"\bip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}\b")?,
        v4: new(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")?,
        v6: new(r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")?,
        resource: new(
            r"\b(?P<k>i|sg|sgr|subnet|vpc|eni|acl|nacl|rtb|igw|eigw|nat|vpce|vpce-svc|pcx|tgw|tgw-attach|eipalloc|eipassoc|pl|vol|snap|ami|lt|asg|fs|fsap|cgw|vgw|vpn|dopt|r|o|d)-(?P<id>[0-9a-f]{17}|[0-9a-f]{8})\b",
        )?,
        elb_tail: new(
            r"(?P<p>\b(?:app|net|gwy|targetgroup)/[A-Za-z0-9-]+/)(?P<id>[0-9a-f]{16})(?P<more>(?:/[0-9a-f]{16})*)\b",
        )?,
        arn_tail: new(
            r"(?P<p>\barn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[^:\s]*:[^\s]*?[/:])(?P<id>[0-9a-f]{32}|[0-9a-f]{16,17}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b",
        )?,
        account: new(r"\b\d{12}\b")?,
    })
});

impl Pseudonyms {
    fn name(&mut self, kind: &'static str, of: &str) -> String {
        if let Some(name) = self.names.get(&(kind, of.to_owned())) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}-{count}");
        self.names.insert((kind, of.to_owned()), name.clone());
        name
    }

    fn host(&mut self, host: &str) -> String {
        self.name("host", host.trim_end_matches('.').to_ascii_lowercase().as_str())
    }

    /// Remembers the host of `user@host`.
    pub fn learn_author(&mut self, by: &str) {
        if let Some((_, host)) = by.rsplit_once('@') {
            self.hosts.insert(host.to_ascii_lowercase());
        }
    }

    /// Remembers host names in fields that hold them and in URLs.
    pub fn learn(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.learn_text(text),
            Value::Array(items) => items.iter().for_each(|i| self.learn(i)),
            Value::Object(map) => {
                for (name, item) in map {
                    if let Value::String(host) = item
                        && HOST_FIELDS.contains(&name.to_ascii_lowercase().as_str())
                    {
                        self.learn_host(host);
                    }
                    self.learn(item);
                }
            }
            _ => {}
        }
    }

    fn learn_text(&mut self, text: &str) {
        let Some(p) = &*PATTERNS else { return };
        if text.contains("://") {
            for c in p.authority.captures_iter(text) {
                if let Some(host) = c.name("h") {
                    self.learn_host(host.as_str());
                }
            }
        }
    }

    fn learn_host(&mut self, host: &str) {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let named = host.bytes().any(|b| b.is_ascii_alphabetic())
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if named && host.parse::<IpAddr>().is_err() && host != "localhost" {
            self.hosts.insert(host);
        }
    }

    /// `user@host` with the host's pseudonym.
    pub fn author(&mut self, by: &SafeText) -> SafeText {
        match by.rsplit_once('@') {
            Some((user, host)) if !host.starts_with("host-") => {
                let host = self.host(host);
                format!("{user}@{host}").into()
            }
            _ => by.clone(),
        }
    }

    /// A text with pseudonyms.
    pub fn text(&mut self, text: &str) -> String {
        let Some(p) = &*PATTERNS else { return "[redacted]".to_owned() };
        let mut out = text.to_owned();
        let id = |me: &mut Self, kind: &str, id: &str| {
            let name = me.name("id", &format!("{kind}{id}"));
            format!("{kind}{name}")
        };
        out = each(&p.elb_tail, &out, |c| {
            let mut whole = format!("{}{}", &c["p"], self.name("id", &c["id"]));
            for more in c["more"].split('/').filter(|m| !m.is_empty()) {
                whole.push('/');
                whole.push_str(&self.name("id", more));
            }
            Some(whole)
        });
        out = each(&p.arn_tail, &out, |c| Some(format!("{}{}", &c["p"], self.name("id", &c["id"]))));
        out = each(&p.ip_host, &out, |c| {
            // Whole names with this at the front are taken below.
            let host = c[0].to_owned();
            self.hosts.insert(host);
            None
        });
        out = self.hosts_in(p, &out);
        out = each(&p.v6, &out, |c| self.v6(&c[0]));
        out = each(&p.v4, &out, |c| {
            let ip = c[0].parse::<IpAddr>().ok()?;
            // Everybody's, and what they mean would be lost.
            (!ip.is_loopback() && !ip.is_unspecified()).then(|| self.name("ip", &ip.to_string()))
        });
        out = each(&p.resource, &out, |c| {
            let kind = format!("{}-", &c["k"]);
            Some(id(self, &kind, &c["id"]))
        });
        each(&p.account, &out, |c| Some(self.name("acct", &c[0])))
    }

    fn hosts_in(&mut self, p: &Patterns, text: &str) -> String {
        let mut out = each(&p.dotted, text, |c| {
            let lower = c[0].to_ascii_lowercase();
            let tld = lower.rsplit('.').next().unwrap_or_default();
            let known = self.hosts.contains(&lower) || TLDS.contains(&tld);
            known.then(|| self.host(&lower))
        });
        out = each(&p.at_host, &out, |c| {
            let host = &c["h"];
            if host.starts_with("host-") {
                return None;
            }
            let name = self.host(host);
            c[0].strip_suffix(host).map(|before| format!("{before}{name}"))
        });
        // Names without a dot are replaced where they were learned from a
        // field and cannot be a common word.
        let plain: Vec<String> = self
            .hosts
            .iter()
            .filter(|h| h.len() >= 4 && h.bytes().any(|b| b.is_ascii_digit() || b == b'-'))
            .filter(|h| !h.contains('.'))
            .cloned()
            .collect();
        for host in plain {
            out = self.whole_word(&out, &host);
        }
        // In a URL even a common word is a host.
        each(&p.authority, &out, |c| {
            let host = &c["h"];
            if host.starts_with("host-") || host.parse::<IpAddr>().is_ok() || host == "localhost" {
                return None;
            }
            let name = self.host(host);
            c[0].strip_suffix(host).map(|before| format!("{before}{name}"))
        })
    }

    fn whole_word(&mut self, text: &str, host: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let mut out = String::new();
        let mut at = 0;
        for (i, _) in lower.match_indices(host) {
            let end = i + host.len();
            if i >= at && edge(text[..i].chars().next_back()) && edge(text[end..].chars().next()) {
                out.push_str(&text[at..i]);
                out.push_str(&self.host(host));
                at = end;
            }
        }
        if at == 0 {
            return text.to_owned();
        }
        out.push_str(&text[at..]);
        out
    }

    fn v6(&mut self, found: &str) -> Option<String> {
        // A sentence may end behind an address.
        let address = found.trim_end_matches(['.', ':']);
        let tail = &found[address.len()..];
        let (address, tail) = if address.parse::<Ipv6Addr>().is_ok() { (address, tail) } else { (found, "") };
        let ip = address.parse::<Ipv6Addr>().ok()?;
        // `a::b` is a path in some languages.
        if ip.is_loopback() || ip.is_unspecified() || !address.bytes().any(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(self.name("ip", &ip.to_string()) + tail)
    }
}

/// Replaces matches for which `with` has a replacement.
fn each(regex: &Regex, text: &str, mut with: impl FnMut(&Captures<'_>) -> Option<String>) -> String {
    regex.replace_all(text, |c: &Captures<'_>| with(c).unwrap_or_else(|| c[0].to_owned())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_compile() {
        assert!(PATTERNS.is_some());
    }

    #[test]
    fn the_same_input_has_the_same_name() {
        let mut p = Pseudonyms::default();
        let table = [
            ("10.0.1.5 -> 10.0.1.6:8080, 10.0.1.5/32", "ip-1 -> ip-2:8080, ip-1/32"),
            ("0.0.0.0/0 and 127.0.0.1 and ::1 and ::/0", "0.0.0.0/0 and 127.0.0.1 and ::1 and ::/0"),
            ("2001:db8::1 is 2001:0db8:0:0:0:0:0:1.", "ip-3 is ip-3."),
            ("[2001:db8::2]:443 ::ffff:10.9.8.7", "[ip-4]:443 ip-5"),
            ("01:53:50 std::io de::ad 10.0.1.5", "01:53:50 std::io de::ad ip-1"),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/shop/50dc6c495c0c9188",
                "arn:aws:elasticloadbalancing:eu-west-1:acct-1:loadbalancer/app/shop/id-1",
            ),
            ("app/shop/50dc6c495c0c9188 of 111122223333", "app/shop/id-1 of acct-1"),
            ("i-0a1b2c3d4e5f60718 in sg-11112222, i-0a1b2c3d4e5f60718", "i-id-2 in sg-id-3, i-id-2"),
            ("shop.example.com. SHOP.example.com main.rs 1.2.3", "host-1. host-1 main.rs 1.2.3"),
            ("ip-10-0-1-5.eu-west-1.compute.internal", "host-2"),
            ("https://backend:8080/x http://u@api.example.rs/y", "https://host-4:8080/x http://u@host-3/y"),
            ("mail yui@example.net", "mail yui@host-5"),
            (
                "arn:aws:ecs:eu-west-1:111122223333:task/prod/0123456789abcdef0123456789abcdef",
                "arn:aws:ecs:eu-west-1:acct-1:task/prod/id-4",
            ),
        ];
        for (text, want) in table {
            assert_eq!(p.text(text), want);
        }
    }

    #[test]
    fn hosts_are_learned_from_fields() {
        let mut p = Pseudonyms::default();
        p.learn(&serde_json::json!({"dns_name": "shop.internal.rs", "server": "web-3", "host": "db"}));
        p.learn_author("yui@bastion-7");
        assert_eq!(
            p.text("web-3 asked shop.internal.rs, db asked bastion-7"),
            "host-3 asked host-1, db asked host-2"
        );
    }
}
