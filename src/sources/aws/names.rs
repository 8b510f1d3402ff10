//! Names to addresses: the system's resolver, and `--resolve` before it.

use super::target::Host;
use crate::situation::Reason;
use crate::text::SafeText;
use futures::future::join;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// A name is not waited for longer than this.
const LONGEST: Duration = Duration::from_secs(6);

/// What a host name led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// Names met on the way (CNAMEs), in order, without the first; lower case.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// Looks names up.
#[derive(Clone, Debug)]
pub struct Names {
    overrides: Vec<Override>,
    resolver: Result<TokioResolver, String>,
}

/// One `HOST:PORT:ADDR[,ADDR]`; host or port may be `*`.
#[derive(Clone, Debug, PartialEq)]
struct Override {
    host: Option<String>,
    port: Option<u16>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// The system's resolver behind these overrides. An override that cannot
    /// be read is an error: it would silently ask the wrong place.
    pub fn system(overrides: &[String]) -> Result<Self, String> {
        let resolver = TokioResolver::builder_tokio()
            .and_then(|b| b.build())
            .map_err(|e| format!("the system's resolver cannot be used: {e}"));
        Self::new(overrides, resolver)
    }

    /// A resolver of one's own behind these overrides.
    fn new(overrides: &[String], resolver: Result<TokioResolver, String>) -> Result<Self, String> {
        let overrides = overrides.iter().map(|o| read(o)).collect::<Result<_, String>>()?;
        Ok(Self { overrides, resolver })
    }

    /// Names and addresses of a host. For a port that is not known the
    /// overrides of 443, then 80, then of any port count.
    pub async fn resolve(&self, host: &Host, port: Option<u16>) -> Result<Resolved, Reason> {
        let name = match host {
            Host::Address(a) => return Ok(Resolved { names: Vec::new(), addresses: vec![*a] }),
            Host::Name(name) => name,
        };
        if let Some(addresses) = self.overridden(name, port) {
            return Ok(Resolved { names: Vec::new(), addresses });
        }
        let resolver =
            self.resolver.as_ref().map_err(|e| Reason::Offline { detail: SafeText::capped(e, 200) })?;
        // Fully qualified: the search list of a bastion must not answer for it.
        let full = format!("{name}.");
        let both =
            join(resolver.lookup(full.clone(), RecordType::A), resolver.lookup(full, RecordType::AAAA));
        let (v4, v6) = timeout(LONGEST, both).await.map_err(|_| Reason::TimedOut {
            after_ms: u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX),
        })?;
        let mut found = Resolved::default();
        let mut failed = None;
        for answer in [v4, v6] {
            match answer {
                Ok(lookup) => found.take(name, lookup.answers()),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        match failed {
            Some(e) if found.addresses.is_empty() => Err(reason(name, &e)),
            _ => Ok(found),
        }
    }

    fn overridden(&self, name: &str, port: Option<u16>) -> Option<Vec<IpAddr>> {
        let fits = |o: &&Override, port: Option<u16>| {
            o.host.as_deref().is_none_or(|h| h == name) && (o.port.is_none() || o.port == port)
        };
        let find = |port| self.overrides.iter().find(|o| fits(o, port));
        let found = match port {
            Some(_) => find(port),
            None => find(Some(443))
                .or_else(|| find(Some(80)))
                .or_else(|| self.overrides.iter().find(|o| o.host.as_deref() == Some(name))),
        };
        found.map(|o| o.addresses.clone())
    }
}

impl Resolved {
    /// Reads the chain of CNAMEs from `name` on, and its addresses.
    fn take(&mut self, name: &str, records: &[Record]) {
        let plain = |n: &dyn ToString| n.to_string().trim_end_matches('.').to_ascii_lowercase();
        let mut at = name.to_ascii_lowercase();
        for _ in 0..records.len() {
            let next = records.iter().find_map(|r| match &r.data {
                RData::CNAME(to) if plain(&r.name) == at => Some(plain(&to.0)),
                _ => None,
            });
            let Some(next) = next else { break };
            if !self.names.contains(&next) {
                self.names.push(next.clone());
            }
            at = next;
        }
        for r in records {
            let address = match &r.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(a) => IpAddr::V6(a.0),
                _ => continue,
            };
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }
}

fn reason(name: &str, e: &NetError) -> Reason {
    if e.is_nx_domain() {
        Reason::NotFound { what: SafeText::from(format!("the host name {name} (DNS: no such name)")) }
    } else if e.is_no_records_found() {
        Reason::NotFound { what: SafeText::from(format!("an address of {name} (DNS: the name has none)")) }
    } else if matches!(e, NetError::Timeout) {
        Reason::TimedOut { after_ms: u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX) }
    } else {
        Reason::Offline { detail: SafeText::capped(format!("DNS for {name}: {e}"), 200) }
    }
}

fn read(text: &str) -> Result<Override, String> {
    let bad = || format!("--resolve {} is not HOST:PORT:ADDR", SafeText::capped(text, 120));
    let (host, rest) = match text.strip_prefix('[') {
        Some(tail) => {
            let (inside, rest) = tail.split_once("]:").ok_or_else(bad)?;
            (inside, rest)
        }
        None => text.split_once(':').ok_or_else(bad)?,
    };
    let (port, list) = rest.split_once(':').ok_or_else(bad)?;
    let port = match port {
        "*" => None,
        p => Some(p.parse().map_err(|_| bad())?),
    };
    let address = |a: &str| a.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| bad());
    let addresses = list.split(',').map(address).collect::<Result<Vec<IpAddr>, String>>()?;
    let host = match host {
        "" => return Err(bad()),
        "*" => None,
        h => Some(h.trim_end_matches('.').to_ascii_lowercase()),
    };
    Ok(Override { host, port, addresses })
}

#[cfg(test)]
mod tests;
