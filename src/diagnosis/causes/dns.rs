//! Where names lead, as Route 53 holds it and DNS answers it.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::fore::Front;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::elb::LoadBalancer;
use crate::situation::front::Records;
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;

const RECORDS: &str = "route53:ListResourceRecordSets";

fn same(a: &str, b: &str) -> bool {
    let bare = |n: &str| {
        let n = n.trim_end_matches('.').to_ascii_lowercase();
        n.strip_prefix("dualstack.").map_or(n.clone(), String::from)
    };
    bare(a) == bare(b)
}

/// A name whose record leads to a load balancer that is not the one in view,
/// with where it leads. Only names that ought to lead here are asked for.
pub(in crate::diagnosis) fn astray(s: &Situation) -> Option<(SafeText, SafeText)> {
    let t = s.target.value()?;
    // In front of a distribution, an API or a Classic one, names lead there.
    if !t.distribution.is_empty() || !t.api.is_empty() || !t.classic.is_empty() {
        return None;
    }
    let lb: Option<&LoadBalancer> = s.load_balancer();
    for (host, datum) in &s.fronts.records {
        let Some(r) = datum.value() else { continue };
        let leads: Vec<&str> = balancers(r);
        let Some(first) = leads.first() else { continue };
        let ours = |n: &&str| lb.is_some_and(|lb| same(n, &lb.dns_name));
        // Weighted and blue/green names may lead to several: one of them is enough.
        // A certificate may well be shared with other load balancers: their
        // names lead there by right, unless nobody comes here any more.
        let meant = *host == t.host || lb.is_some_and(|lb| super::super::series::ran_dry(s, &lb.arn));
        // A load balancer that was found and could not be read may be the one.
        let known = lb.is_some() || t.lb.is_empty();
        if known && !leads.iter().any(ours) && meant {
            return Some((host.clone(), SafeText::from(*first)));
        }
    }
    None
}

/// Names of load balancers that records lead to.
fn balancers(r: &Records) -> Vec<&str> {
    let all = r.records.iter().flat_map(|x| x.leads_to());
    all.filter(|n| n.contains(".elb.") && n.contains(".amazonaws.com")).collect()
}

pub(super) fn record(f: &Front<'_>, b: &mut Ballot) {
    let s = f.s;
    let Some(t) = s.target.get() else { return };
    if let Some((host, to)) = astray(s) {
        let at = s.fronts.records.get(&host).and_then(Datum::as_of).unwrap_or(f.now);
        let here = s.load_balancer().map_or("no load balancer here".into(), |lb| lb.dns_name.to_string());
        let value = format!("{host} leads to {to}, not to {here}");
        b.pro(Decisive, Seen::new("DNS records", value, RECORDS, at));
        if let Some(c) = f.case
            && !c.failing
        {
            b.pro(
                Weak,
                Seen::new(
                    "5xx of this load balancer",
                    "none that stand out",
                    "cloudwatch:GetMetricData",
                    c.metrics_at(),
                ),
            );
        }
        return;
    }
    let hosts: Vec<&SafeText> = s
        .fronts
        .records
        .iter()
        .filter(|(_, d)| d.value().is_some_and(|r| !r.records.is_empty()))
        .map(|(h, _)| h)
        .collect();
    let found = !(t.value.lb.is_empty()
        && t.value.distribution.is_empty()
        && t.value.api.is_empty()
        && t.value.classic.is_empty());
    let by_name = !matches!(t.value.matched_by.as_str(), "id" | "name" | "arn" | "");
    if !t.value.host.is_empty() && found && by_name {
        let value = format!("{} leads here, matched by {}", t.value.host, t.value.matched_by);
        b.con(Strong, Seen::new("name resolution", value, t.source.clone(), t.as_of));
    } else if let (true, Some(lb)) = (s.load_balancer().is_none() && !t.value.lb.is_empty(), s.lb()) {
        b.lack("DNS name of the load balancer", lb.lb.why_unknown().unwrap_or(Reason::NotAsked));
    } else if let Some(host) = hosts.first() {
        let value = format!("the record of {host} leads here");
        b.con(Strong, Seen::new("DNS records", value, RECORDS, f.now));
    } else if let Some(g) = s.fronts.records.values().find_map(|d| d.gap()) {
        b.lack("DNS records of the public name", g.reason.clone());
    } else {
        b.lack("addresses of the public name", Reason::NotAsked);
    }
}
