//! What traces say of the path: which of them are of requests on it, and which
//! service they blame. Services trace a part of their requests, and some none:
//! that no trace was found says nothing.

use super::around;
use super::signs;
use crate::situation::trace::{RootCause, RootKind, TraceKind};
use crate::situation::{Reason, Situation, function_name};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Who is to blame for a trace that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// A database or a cache.
    Store,
    /// Another service that was called.
    Remote,
    /// Code of a function.
    Function,
    /// A function that ran out of time.
    TimedOut,
    /// A function that nobody could start, for want of concurrency.
    Throttled,
    /// Code of a service on the path.
    Own,
}

/// Traces of requests on the path.
#[derive(Clone, Debug)]
pub struct Traced<'a> {
    pub at: Timestamp,
    /// How many there are.
    pub n: u32,
    /// Who is blamed by which, the most frequent first.
    pub blamed: Vec<(Blame, &'a TraceKind, &'a RootCause)>,
    /// All kinds, blamed on somebody or not.
    pub kinds: Vec<&'a TraceKind>,
}

/// The newest answer about traces of what is in view, and why there is none.
fn datum(s: &Situation) -> Option<&crate::situation::Datum<crate::situation::trace::Traces>> {
    let t = s.target.value()?;
    [&t.lb, &t.api, &t.classic, &t.function]
        .into_iter()
        .filter(|id| !id.is_empty())
        .find_map(|id| s.beside.traces.get(id))
}

/// Why traces are not known, where they were asked for in vain.
pub fn untold(s: &Situation) -> Option<Reason> {
    let d = datum(s).filter(|d| d.value().is_none())?;
    d.gap().map(|g| g.reason.clone())
}

/// The traces of requests on the path; `None` where none are known.
pub fn traced(s: &Situation) -> Option<Traced<'_>> {
    let k = datum(s)?.get()?;
    if k.value.kinds.is_empty() {
        return None;
    }
    let path = Path::of(s);
    let kinds: Vec<&TraceKind> = k.value.kinds.iter().filter(|t| path.has(t)).collect();
    let n = kinds.iter().map(|t| t.count).sum();
    let blamed = kinds.iter().filter_map(|t| blame(t).map(|(b, r)| (b, *t, r))).collect();
    (n > 0).then_some(Traced { at: k.as_of, n, blamed, kinds })
}

impl Traced<'_> {
    /// How many traces blame one of these, and the most frequent kind of them.
    pub fn of(&self, who: &[Blame]) -> Option<(u32, &TraceKind, &RootCause)> {
        let mut own = self.blamed.iter().filter(|(b, ..)| who.contains(b));
        let (_, kind, root) = own.next()?;
        let n = kind.count + own.map(|(_, k, _)| k.count).sum::<u32>();
        Some((n, kind, root))
    }

    /// Most of them blame one of these.
    pub fn mostly(&self, who: &[Blame]) -> bool {
        self.of(who).is_some_and(|(n, ..)| n >= FEW && n * 2 >= self.n)
    }
}

/// Fewer traces than this show no pattern.
pub const FEW: u32 = 3;

/// What a path is known by in traces.
struct Path<'a> {
    /// Ids, ARNs and names of what it is made of.
    ids: BTreeSet<&'a str>,
    hosts: BTreeSet<&'a str>,
    /// `orders/`: the services of an API's stages begin so.
    stages: Option<String>,
    api: &'a str,
}

impl<'a> Path<'a> {
    fn of(s: &'a Situation) -> Path<'a> {
        let mut ids = around::everything(s);
        ids.extend(s.functions.keys().map(SafeText::as_str));
        let mut hosts: BTreeSet<&str> = BTreeSet::new();
        let (mut stages, mut api) = (None, "");
        hosts.extend(s.load_balancer().map(|l| l.dns_name.as_str()));
        if let Some(t) = s.target.value() {
            hosts.insert(t.host.as_str());
            hosts.extend(t.names.iter().map(SafeText::as_str));
            api = t.api.as_str();
            if let Some(a) = s.fronts.apis.get(&t.api).and_then(|d| d.value()) {
                stages = Some(format!("{}/", a.name));
            }
            let edge = s.fronts.distributions.get(&t.distribution).and_then(|d| d.value());
            hosts.extend(
                edge.into_iter().flat_map(|d| d.aliases.iter().chain([&d.domain])).map(SafeText::as_str),
            );
            let old = s.fronts.classics.get(&t.classic).and_then(|d| d.value());
            hosts.extend(old.map(|c| c.dns_name.as_str()));
        }
        for c in super::case::bound(s) {
            hosts.extend(c.names.iter().chain([&c.domain]).map(SafeText::as_str));
        }
        hosts.remove("");
        ids.remove("");
        Path { ids, hosts, stages, api }
    }

    /// Is this a trace of a request on the path?
    fn has(&self, t: &TraceKind) -> bool {
        let host = host(&t.url);
        let named = self.hosts.iter().any(|h| covers(h, host)) || self.ids.contains(host);
        let resource = |r: &SafeText| {
            self.ids.contains(r.as_str())
                || function_name(r).is_some_and(|f| self.ids.contains(f))
                || !self.api.is_empty()
                    && (r.contains(&format!("/restapis/{}/", self.api))
                        || r.contains(&format!("/apis/{}/", self.api)))
        };
        let service = |n: &SafeText| {
            self.ids.contains(n.as_str())
                || self.hosts.contains(n.as_str())
                || self.stages.as_ref().is_some_and(|p| n.starts_with(p.as_str()))
        };
        named || t.resources.iter().any(resource) || t.services.iter().any(service)
    }
}

/// Host of a URL, without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |u| u.1);
    let name = rest.split('/').next().unwrap_or_default();
    name.rsplit_once(':').filter(|(_, p)| p.parse::<u16>().is_ok()).map_or(name, |(h, _)| h)
}

/// `*.example.com` covers one label.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        _ if host.is_empty() => false,
        Some(tail) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(tail)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// Types of services that keep data, as X-Ray names them.
const STORES: [&str; 9] =
    ["Database", "DynamoDB", "RDS", "ElastiCache", "DocDB", "Redshift", "Neptune", "Redis", "MemoryDB"];

/// Who is to blame for traces of a kind: what X-Ray names as the reason of the
/// fault; of the time only where the caller gave up waiting.
fn blame(t: &TraceKind) -> Option<(Blame, &RootCause)> {
    let late = t.status == Some(504) || t.status == Some(503) && t.longest_s >= 10.0;
    let of = |kind: RootKind| t.roots.iter().find(move |r| r.kind == kind);
    let fault = of(RootKind::Fault).filter(|r| !late || r.inferred || r.remote || !r.exception.is_empty());
    let time = of(RootKind::Time).filter(|_| late);
    let r = fault.or(time).or_else(|| of(RootKind::Error)).or_else(|| of(RootKind::Fault))?;
    let lambda = r.service_type.contains("Lambda");
    let text = format!("{}: {}", r.exception, r.message);
    let lower = text.to_ascii_lowercase();
    let store = |kind: &str| STORES.iter().any(|n| kind.contains(n));
    let points_to = |cause: &str| {
        // A refused call may be to any service: who was called says more.
        signs::known(&text).is_some_and(|p| p.causes.len() == 1 && p.causes[0].as_str() == cause)
    };
    let who = if store(&r.service_type) || points_to("dependency-db-unavailable") {
        Blame::Store
    } else if r.inferred && !lambda || r.remote {
        Blame::Remote
    } else if lambda && (lower.contains("timed out after") || lower.contains("task timed out")) {
        Blame::TimedOut
    } else if lambda && t.throttled && r.exception.is_empty() {
        Blame::Throttled
    } else if r.kind == RootKind::Time {
        // That a service of the path is slow is no reason why.
        return None;
    } else if points_to("dependency-external-api-slow") {
        Blame::Remote
    } else if lambda {
        Blame::Function
    } else {
        Blame::Own
    };
    Some((who, r))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(
        kind: RootKind,
        service: &str,
        service_type: &str,
        inferred: bool,
        told: (&str, &str),
    ) -> RootCause {
        RootCause {
            kind,
            way: vec!["shop".into(), service.into()],
            service_type: service_type.into(),
            inferred,
            exception: told.0.into(),
            message: told.1.into(),
            ..RootCause::default()
        }
    }

    #[test]
    fn the_end_of_the_way_is_to_blame() {
        use RootKind::{Error, Fault, Time};
        let none = ("", "");
        for (status, r, want) in [
            (500, root(Fault, "orders", "Database::SQL", true, none), Some(Blame::Store)),
            (500, root(Fault, "carts", "AWS::DynamoDB::Table", true, none), Some(Blame::Store)),
            (
                500,
                root(
                    Fault,
                    "shop",
                    "AWS::EC2::Instance",
                    false,
                    ("OperationalError", "could not connect to server: refused"),
                ),
                Some(Blame::Store),
            ),
            (500, root(Fault, "pay.example.net", "remote", true, none), Some(Blame::Remote)),
            (
                500,
                root(Fault, "shop", "AWS::ECS::Container", false, ("KeyError", "'total'")),
                Some(Blame::Own),
            ),
            (
                500,
                root(
                    Fault,
                    "shop",
                    "AWS::ECS::Container",
                    false,
                    ("Error", "connect ECONNREFUSED 10.0.1.5:9000"),
                ),
                Some(Blame::Own),
            ),
            (
                502,
                root(Fault, "quotes", "AWS::Lambda::Function", false, ("TypeError", "x is undefined")),
                Some(Blame::Function),
            ),
            (
                502,
                root(
                    Fault,
                    "quotes",
                    "AWS::Lambda::Function",
                    false,
                    ("", "Task timed out after 3.00 seconds"),
                ),
                Some(Blame::TimedOut),
            ),
            (504, root(Time, "pay.example.net", "remote", true, none), Some(Blame::Remote)),
            (504, root(Time, "shop", "AWS::EC2::Instance", false, none), None),
            (500, root(Time, "pay.example.net", "remote", true, none), None),
            (500, root(Error, "pay.example.net", "remote", true, none), Some(Blame::Remote)),
        ] {
            let t =
                TraceKind { count: 5, status: Some(status), roots: vec![r.clone()], ..TraceKind::default() };
            assert_eq!(blame(&t).map(|b| b.0), want, "{}", r.phrase());
        }
    }

    #[test]
    fn a_host_is_read_from_a_url() {
        for (url, want) in [
            ("https://shop.example.com/cart", "shop.example.com"),
            ("http://10.0.1.5:8080/", "10.0.1.5"),
            ("/cart", ""),
            ("", ""),
        ] {
            assert_eq!(host(url), want);
        }
        assert!(covers("*.example.com", "shop.example.com") && !covers("*.example.com", "a.b.example.com"));
        assert!(!covers("*.example.com", "") && !covers("", ""));
    }
}
