//! Clients, names and TLS in front of the load balancer.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::verdict::Weight::{Strong, Weak};
use crate::situation::Reason;

fn host(c: &Case<'_>) -> Option<String> {
    c.s.target.value().map(|t| t.host.to_string()).filter(|h| !h.is_empty())
}

pub(super) fn record(c: &Case<'_>, b: &mut Ballot) {
    match c.s.target.get() {
        Some(t) if !t.value.host.is_empty() && !t.value.lb.is_empty() => {
            let value =
                format!("{} leads to this load balancer, matched by {}", t.value.host, t.value.matched_by);
            b.con(Strong, Seen::new("name resolution", value, t.source.clone(), t.as_of));
        }
        _ => b.lack("addresses of the public name", Reason::NotAsked),
    }
}

pub(super) fn delegation(c: &Case<'_>, b: &mut Ballot) {
    match c.s.target.get() {
        Some(t) if !t.value.addresses.is_empty() => {
            let value = format!("{} resolves to {} addresses", t.value.host, t.value.addresses.len());
            b.con(Strong, Seen::new("name resolution", value, t.source.clone(), t.as_of));
        }
        _ => b.lack("answers of the name servers", Reason::NotAsked),
    }
}

pub(super) fn stale(c: &Case<'_>, b: &mut Ballot) {
    if c.failing {
        // Whoever sends to old addresses leaves no trace at this load balancer.
        b.con(Strong, Seen::metric(c, "HTTPCode_ELB_5XX_Count"));
    }
    b.lack("peer addresses in the callers' error logs", Reason::NotAsked);
}

pub(super) fn aborts(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    if c.many("HTTPCode_ELB_4XX_Count") && c.highest("TargetResponseTime").is_some_and(|s| s >= 10.0) {
        b.pro(Weak, Seen::metric(c, "HTTPCode_ELB_4XX_Count"));
    }
    if c.failing {
        b.lack("access log rows with status 460", Reason::NotAsked);
    }
}

pub(super) fn rejected(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let errors = c.count("HTTPCode_ELB_4XX_Count");
    let all = c.requests().unwrap_or(0.0);
    if errors.is_some_and(|n| n >= 3.0 && n > all * 0.05) {
        b.pro(Weak, Seen::metric(c, "HTTPCode_ELB_4XX_Count"));
    } else if c.none("HTTPCode_ELB_4XX_Count") {
        b.con(Strong, Seen::metric(c, "HTTPCode_ELB_4XX_Count"));
    }
}

pub(super) fn certificate(c: &Case<'_>, b: &mut Ballot) {
    let listeners = c.s.lb().and_then(|l| l.listeners.value());
    let tls = listeners.is_none_or(|l| l.iter().any(|l| matches!(l.protocol.as_str(), "HTTPS" | "TLS")));
    if !tls {
        let at = c.s.lb().and_then(|l| l.listeners.as_of()).unwrap_or(c.now);
        b.con(Strong, Seen::new("listeners", "none speaks TLS", "elbv2:DescribeListeners", at));
        return;
    }
    let name = host(c).unwrap_or_else(|| "the host name".into());
    b.lack(format!("certificate served for {name}"), Reason::NotAsked);
}

pub(super) fn handshake(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    const NAME: &str = "ClientTLSNegotiationErrorCount";
    let (errors, all) = (c.count(NAME), c.requests().unwrap_or(0.0));
    // Scanners fail handshakes all day: only a part of the traffic counts.
    if errors.is_some_and(|n| n >= 10.0 && n > all * 0.2) {
        b.pro(Strong, Seen::metric(c, NAME));
    } else if c.none(NAME) {
        b.con(Strong, Seen::metric(c, NAME));
    }
}
