//! Where names lead, as Route 53 holds it and DNS answers it.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::fore::Front;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::diagnosis::ways;
use crate::situation::elb::LoadBalancer;
use crate::situation::front::Record;
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;

const RECORDS: &str = "route53:ListResourceRecordSets";
const CHECKS: &str = "route53:GetHealthCheckStatus";

/// A name whose record leads to a load balancer that is not the one in view,
/// or to one that is gone, and where it leads in a sentence. Only names that
/// ought to lead here are asked for.
pub(in crate::diagnosis) fn astray(s: &Situation) -> Option<(SafeText, SafeText)> {
    let t = s.target.value()?;
    if let Some(dead) = ways::stories(s).into_iter().find(|x| x.dead) {
        return Some((dead.host, dead.text));
    }
    // In front of a distribution, an API or a Classic one, names lead there.
    if !t.distribution.is_empty() || !t.api.is_empty() || !t.classic.is_empty() {
        return None;
    }
    let lb: Option<&LoadBalancer> = s.load_balancer();
    for (host, datum) in &s.fronts.records {
        let Some(r) = datum.value() else { continue };
        let all = ways::ways(s, r);
        // What Route 53 answers with by weight or failover is what clients get.
        let leads: Vec<&str> = all.iter().filter(|w| w.answered).flat_map(|w| balancers(w.record)).collect();
        let Some(first) = leads.first() else { continue };
        let ours = |n: &&str| lb.is_some_and(|lb| ways::same(n, &lb.dns_name));
        // Weighted and blue/green names may lead to several: one of them is enough.
        // A certificate may well be shared with other load balancers: their
        // names lead there by right, unless nobody comes here any more.
        let meant = *host == t.host || lb.is_some_and(|lb| super::super::series::ran_dry(s, &lb.arn));
        // A load balancer that was found and could not be read may be the one.
        let known = lb.is_some() || t.lb.is_empty();
        // Where Route 53 has turned away from what fails here, that is not the fault of the name.
        let diverted = all.iter().any(|w| w.ours && w.ill());
        if known && !leads.iter().any(ours) && meant && !diverted {
            let here = lb.map_or("no load balancer here".into(), |lb| lb.dns_name.to_string());
            let mut said = format!("{host} leads to {first}, not to {here}");
            if let Some(idle) = all.iter().find(|w| w.ours) {
                said.push_str(&format!(" ({})", idle.phrase()));
            }
            return Some((host.clone(), SafeText::capped(said, 600)));
        }
    }
    None
}

/// Names of load balancers that a record leads to.
fn balancers(r: &Record) -> impl Iterator<Item = &str> {
    r.leads_to().filter(|n| n.contains(".elb.") && n.contains(".amazonaws.com"))
}

pub(super) fn record(f: &Front<'_>, b: &mut Ballot) {
    let s = f.s;
    let Some(t) = s.target.get() else { return };
    if let Some((host, value)) = astray(s) {
        let at = s.fronts.records.get(&host).and_then(Datum::as_of).unwrap_or(f.now);
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
    if let Some(x) = ways::stories(s).into_iter().find(|x| x.diverted) {
        // A check that fails because requests fail here is what it is for.
        let failing = f.case.is_some_and(|c| c.failing || c.ill) || f.failing();
        b.pro(
            if failing { Weak } else { Strong },
            Seen::new("health check of the record", x.text, CHECKS, x.at),
        );
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
        let open = s.fronts.records.values().filter_map(Datum::value).find_map(|r| ways::unchecked(s, r));
        b.lack_if("health checks of the records", open);
        let value = format!("the record of {host} leads here");
        b.con(Strong, Seen::new("DNS records", value, RECORDS, f.now));
    } else if let Some(g) = s.fronts.records.values().find_map(|d| d.gap()) {
        b.lack("DNS records of the public name", g.reason.clone());
    } else {
        b.lack("addresses of the public name", Reason::NotAsked);
    }
}
