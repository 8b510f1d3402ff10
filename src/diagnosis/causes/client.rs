//! Clients, names and TLS in front of the load balancer.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::{Case, bound, certificate_fault};
use crate::diagnosis::rows::Shape;
use crate::diagnosis::signs::Sign;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::elb::Listener;
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;
use std::net::{IpAddr, SocketAddr};

fn host(c: &Case<'_>) -> Option<String> {
    c.s.target.value().map(|t| t.host.to_string()).filter(|h| !h.is_empty())
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
    let calls = calls(c.s, &c.signs);
    for x in &calls {
        let whose =
            if x.ours { "an address of the load balancer" } else { "no address of the load balancer" };
        let value = format!("{} has tried {}, {whose}", x.name, x.peer);
        let seen = Seen::new("error log of a caller", value, format!("log {}", x.sign.group), x.sign.last);
        if x.ours {
            b.con(Strong, seen);
        } else {
            b.pro(Strong, seen);
        }
    }
    if c.failing {
        // Whoever sends to old addresses leaves no trace at this load balancer.
        b.con(Strong, Seen::metric(c, "HTTPCode_ELB_5XX_Count"));
    }
    if calls.is_empty() {
        let nodes = c.s.lb().and_then(|l| l.interfaces.why_unknown());
        b.lack("peer addresses in the callers' error logs", nodes.unwrap_or(Reason::NotAsked));
    }
}

/// A connection that a proxy in front tried to the load balancer's name, and failed.
struct Call<'s> {
    sign: &'s Sign,
    /// `nginx`, `httpd`.
    name: SafeText,
    peer: IpAddr,
    /// The load balancer has this address now.
    ours: bool,
}

/// Failed connections of callers, as a followed log of theirs tells them. None
/// while the load balancer's own addresses are not known.
fn calls<'s>(s: &Situation, signs: &'s [Sign]) -> Vec<Call<'s>> {
    let Some(nodes) = s.lb().and_then(|l| l.interfaces.value()).filter(|n| !n.is_empty()) else {
        return Vec::new();
    };
    let nodes: Vec<IpAddr> =
        nodes.iter().flat_map(|i| i.public_addresses.iter().chain(&i.addresses)).copied().collect();
    let names: Vec<String> = s
        .load_balancer()
        .map(|lb| &lb.dns_name)
        .into_iter()
        .chain(s.target.value().map(|t| &t.host))
        .filter(|n| n.contains('.') && n.parse::<IpAddr>().is_err())
        .map(|n| n.to_ascii_lowercase())
        .collect();
    let kinds = ["nginx-connect-refused", "nginx-connect-timeout", "httpd-connect-failed"];
    let of_kind = signs.iter().filter(|x| kinds.contains(&x.pattern.id.as_str()));
    of_kind
        .filter_map(|sign| {
            let line = sign.sample.to_ascii_lowercase();
            let httpd = sign.pattern.server.as_str() == "httpd";
            let tail = if httpd {
                line.split_once("attempt to connect to ")?.1
            } else {
                line.split_once("upstream: \"")?.1.split_once("://")?.1
            };
            let peer = tail.split(['/', '"', ' ']).next()?.parse::<SocketAddr>().ok()?.ip();
            let ours = nodes.contains(&peer);
            // httpd writes whom it calls by name. nginx writes the host its own
            // client asked for: an address that is not ours may be anybody's.
            let named = httpd && names.iter().any(|n| tail.contains(n.as_str()));
            (ours || named).then(|| Call { sign, name: sign.pattern.server.clone(), peer, ours })
        })
        .collect()
}

/// A caller still sends to an address that the load balancer does not have:
/// trouble that none of its metrics shows.
pub(in crate::diagnosis) fn misdialled(s: &Situation, signs: &[Sign]) -> bool {
    calls(s, signs).iter().any(|x| !x.ours)
}

pub(super) fn aborts(c: &Case<'_>, b: &mut Ballot) {
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    if c.many("HTTPCode_ELB_4XX_Count") && c.highest("TargetResponseTime").is_some_and(|s| s >= 10.0) {
        b.pro(Weak, Seen::metric(c, "HTTPCode_ELB_4XX_Count"));
    }
    match &c.rows {
        Ok(rows) => {
            let n = rows.n(Shape::Aborted);
            let (low, mid, high) = rows.took(Shape::Aborted).unwrap_or_default();
            let says = format!("whose client left after {mid:.1} s (median)");
            let clustered = mid >= 1.0 && high - low <= (mid * 0.15).max(1.0);
            if n >= 5.0 && rows.share(Shape::Aborted) >= 0.02 {
                b.pro(if clustered { Decisive } else { Strong }, Seen::rows(rows, Shape::Aborted, &says));
            } else if n < 1.0 {
                b.con(
                    Strong,
                    Seen::new("access log", "no row with status 460", rows.source.clone(), rows.at),
                );
            }
        }
        Err(why) if c.trouble() => b.lack("access log rows with status 460", why.clone()),
        Err(_) => {}
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
    if c.refusing {
        b.lack_if("access log rows of the refused requests", c.no_rows());
    }
    if let Some((_, seen)) = super::alb::blocked(c).filter(|(part, _)| *part >= 0.8) {
        b.con(Strong, seen);
    }
    if let Ok(rows) = &c.rows {
        let n = rows.n(Shape::Rejected);
        if n >= 5.0 && c.refusing {
            let of = rows.top(Shape::Rejected, |r| &r.classification_reason, &[]);
            let of = of.filter(|t| !t.name.is_empty()).map_or(String::new(), |t| format!(" ({})", t.name));
            let says = format!("refused by the load balancer itself{of}");
            let most = n > rows.n(Shape::Aborted) + rows.n(Shape::Auth);
            b.pro(if most { Decisive } else { Weak }, Seen::rows(rows, Shape::Rejected, &says));
        } else if n < 1.0 {
            b.con(Strong, Seen::new("access log", "no row of the kind", rows.source.clone(), rows.at));
        }
    }
}

pub(super) fn certificate(c: &Case<'_>, b: &mut Ballot) {
    let Some(lb) = c.s.lb() else { return };
    let listeners = lb.listeners.value();
    let speaks = |l: &Listener| matches!(l.protocol.as_str(), "HTTPS" | "TLS");
    if !listeners.is_none_or(|l| l.iter().any(speaks)) {
        let at = lb.listeners.as_of().unwrap_or(c.now);
        b.con(Strong, Seen::new("listeners", "none speaks TLS", "elbv2:DescribeListeners", at));
        return;
    }
    const DESCRIBE: &str = "acm:DescribeCertificate";
    b.lack_if("listeners", lb.listeners.why_unknown());
    let bound = bound(c.s);
    let mut sound = 0;
    for x in &bound {
        if let Some(fault) = certificate_fault(x, c.now) {
            b.pro(Decisive, Seen::new(format!("certificate {}", x.arn), fault, DESCRIBE, c.now));
        } else {
            sound += 1;
            if x.renewal.starts_with("FAILED") || x.renewal.starts_with("PENDING_VALIDATION") {
                let value = format!("renewal of {}: {}", x.domain, x.renewal);
                b.pro(Weak, Seen::new(format!("certificate {}", x.arn), value, DESCRIBE, c.now));
            }
        }
    }
    for l in listeners.into_iter().flatten().filter(|l| speaks(l)) {
        let more = lb.certificates.get(&l.arn);
        b.lack_if(format!("certificates of listener :{}", l.port), more.and_then(Datum::why_unknown));
        for arn in l.certificates.iter().filter(|a| a.contains(":acm:")) {
            let d = c.s.certificates.get(arn);
            b.lack_if(format!("certificate {arn}"), d.map_or(Some(Reason::NotAsked), Datum::why_unknown));
        }
    }
    // Names the rules and the person speak of must be covered by some certificate.
    let mut names: Vec<String> = host(c).into_iter().collect();
    for r in lb.rules.values().filter_map(Datum::value).flatten() {
        let hosts = r.conditions.iter().filter(|x| x.field.as_str() == "host-header").flat_map(|x| &x.values);
        names.extend(hosts.filter(|h| !h.contains(['*', '?'])).map(ToString::to_string));
    }
    names.sort();
    names.dedup();
    for name in names.iter().filter(|n| n.contains('.') && !n.ends_with(".amazonaws.com")) {
        if sound > 0 && !bound.iter().any(|x| x.covers(name)) {
            let value = format!("no certificate of the listeners covers {name}");
            let seen = Seen::new("names of certificates", value, DESCRIBE, c.now);
            b.pro(if c.unshaken { Strong } else { Weak }, seen);
        }
    }
    let gone = c.changed(&[
        "RemoveListenerCertificates",
        "ModifyListener",
        "DeleteCertificate",
        "ImportCertificate",
    ]);
    if let (Some(e), true) = (gone.first(), c.unshaken) {
        // A change of a listener may be of anything; the certificates tell.
        let in_order = sound > 0 && sound == bound.len() && !b.has_pro();
        let of_anything = e.name.as_str() == "ModifyListener";
        b.pro(if in_order || of_anything { Weak } else { Strong }, Seen::change(e));
    }
    if sound > 0 && sound == bound.len() && !b.has_pro() {
        let value = format!("{sound} in use, each issued and in its time");
        b.con(Strong, Seen::new("certificates", value, DESCRIBE, c.now));
    }
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
