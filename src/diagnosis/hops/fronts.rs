//! Hops in front of a load balancer, or in its place: web ACL, distribution,
//! API, functions, Classic Load Balancer.

use super::{Hop, HopKind, RECENT, Status, hop};
use crate::diagnosis::fore;
use crate::situation::front::{Distribution, Origin};
use crate::situation::{Datum, Reason, Situation, function_name};
use crate::text::SafeText;

/// The web ACL before something; `given` is its ARN where the thing itself
/// says that it has one.
pub(super) fn firewall(s: &Situation, of: &SafeText, given: &SafeText) -> Option<Hop> {
    let datum = s.beside.acls.get(of);
    let Some(acl) = datum.and_then(Datum::value) else {
        if given.is_empty() {
            return None;
        }
        let why = datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked).phrase();
        return Some(hop(HopKind::Waf, "web ACL", Status::Unknown, "unknown", why));
    };
    if acl.arn.is_empty() {
        return None;
    }
    let make = |status, word: String, why: String| hop(HopKind::Waf, acl.name.clone(), status, word, why);
    let Some((blocked, all)) = fore::recent_blocks(s, acl, RECENT) else {
        let metrics = s.fronts.metrics.get(&acl.arn).map_or(Some(Reason::NotAsked), Datum::why_unknown);
        let why = metrics.map_or("no data points".into(), |r| r.phrase());
        return Some(make(Status::Unknown, "unknown".into(), format!("what it blocks: {why}")));
    };
    if blocked < 0.5 {
        return Some(make(Status::Ok, "no blocks".into(), format!("it blocked nothing in {RECENT} min")));
    }
    let rule = fore::blocking_rule(s, acl, RECENT).map_or(String::new(), |r| format!(", most by {r}"));
    let why = format!("it blocked {blocked:.0} of {all:.0} requests in {RECENT} min{rule}");
    let share = blocked / all.max(1.0);
    // Some blocks are every day's.
    let status = if share >= 0.2 { Status::Warn } else { Status::Ok };
    Some(make(status, format!("blocks {:.0}%", share * 100.0), why))
}

/// Distribution, API, functions and Classic Load Balancer, front to back.
pub(super) fn fronts(s: &Situation) -> Vec<Hop> {
    let Some(t) = s.target.value() else { return Vec::new() };
    let mut out = Vec::new();
    if !t.distribution.is_empty() {
        let d = s.fronts.distributions.get(&t.distribution);
        let name = d.and_then(Datum::value).and_then(|d| d.aliases.first()).unwrap_or(&t.distribution);
        let acl = d.and_then(Datum::value).map(|d| d.web_acl.clone()).unwrap_or_default();
        out.extend(firewall(s, &t.distribution, &acl));
        let mut edge =
            counted(s, HopKind::CloudFront, &t.distribution, name.clone(), d.and_then(Datum::why_unknown));
        let known = d.and_then(Datum::value);
        if known.is_some_and(|d| d.status.as_str() == "InProgress") {
            let own = std::mem::take(&mut edge.why);
            edge.why =
                format!("{own}; it is being deployed: some edges still do what was configured before").into();
        }
        out.push(edge);
        if t.lb.is_empty() && t.classic.is_empty() && t.api.is_empty() {
            out.extend(known.and_then(elsewhere));
        }
    }
    if !t.api.is_empty() {
        let a = s.fronts.apis.get(&t.api);
        let known = a.and_then(Datum::value);
        let name = known.map_or(&t.api, |a| &a.name);
        let acl = known.and_then(|a| a.stages.iter().map(|st| &st.web_acl).find(|acl| !acl.is_empty()));
        out.extend(firewall(s, &t.api, &acl.cloned().unwrap_or_default()));
        out.push(counted(s, HopKind::ApiGateway, &t.api, name.clone(), a.and_then(Datum::why_unknown)));
        for f in known.into_iter().flat_map(|a| a.functions()) {
            out.push(function(s, f));
        }
    }
    if !t.function.is_empty() {
        out.push(function(s, &t.function));
    }
    if !t.classic.is_empty() {
        let c = s.fronts.classics.get(&t.classic);
        out.push(counted(s, HopKind::Clb, &t.classic, t.classic.clone(), c.and_then(Datum::why_unknown)));
        out.push(instances(s, &t.classic));
    }
    out
}

/// An origin that is of AWS and was not found where it was looked for.
fn elsewhere(d: &Distribution) -> Option<Hop> {
    let is = |o: &&Origin, part: &str| o.domain.to_ascii_lowercase().contains(part);
    let used = d.used();
    let find = |part: &str| used.iter().copied().find(|o| is(o, part));
    let (kind, origin) = find(".elb.")
        .map(|o| (HopKind::Alb, o))
        .or_else(|| find(".execute-api.").map(|o| (HopKind::ApiGateway, o)))?;
    let why = "not among what may be read with these credentials: it is gone, or of another account (give its --profile as well)";
    Some(hop(kind, origin.domain.clone(), Status::Unknown, "not found", why))
}

fn counted(s: &Situation, kind: HopKind, id: &SafeText, name: SafeText, gap: Option<Reason>) -> Hop {
    let Some((bad, all)) = fore::recent(s, id, RECENT) else {
        let metrics = s.fronts.metrics.get(id).map_or(Some(Reason::NotAsked), Datum::why_unknown);
        let why = gap.or(metrics).map_or("no data points".into(), |r| r.phrase());
        return hop(kind, name, Status::Unknown, "unknown", why);
    };
    if bad < 0.5 {
        let why = format!("no 5xx among {all:.0} requests in {RECENT} min");
        return hop(kind, name, Status::Ok, "no 5xx", why);
    }
    let share = if all > 0.0 { (bad / all * 100.0).min(100.0) } else { 100.0 };
    let why = format!("{bad:.0} of {all:.0} requests ended with 5xx in {RECENT} min");
    hop(kind, name, Status::Bad, format!("5xx {share:.1}%"), why)
}

fn function(s: &Situation, arn: &SafeText) -> Hop {
    let name = function_name(arn).unwrap_or(arn);
    let Some(d) = s.functions.get(arn) else {
        return hop(HopKind::Lambda, name, Status::Unknown, "unknown", "it was not looked at");
    };
    let Some(f) = d.value() else {
        if let Some(Reason::NotFound { .. }) = d.why_unknown() {
            let why = "there is no such function any more, and requests are still sent to it";
            return hop(HopKind::Lambda, name, Status::Bad, "not there", why);
        }
        let why = d.why_unknown().map_or(String::new(), |r| r.phrase());
        return hop(HopKind::Lambda, name, Status::Unknown, "unknown", why);
    };
    if !matches!(f.state.as_str(), "" | "Active" | "Inactive") {
        return hop(
            HopKind::Lambda,
            name,
            Status::Bad,
            f.state.clone(),
            format!("{} {}", f.state, f.state_reason),
        );
    }
    match fore::recent_errors(s, arn, RECENT) {
        Some(n) if n >= 1.0 => hop(
            HopKind::Lambda,
            name,
            Status::Bad,
            format!("errors {n:.0}"),
            format!("{n:.0} errors and throttles in {RECENT} min"),
        ),
        Some(_) => hop(HopKind::Lambda, name, Status::Ok, "no errors", format!("no errors in {RECENT} min")),
        None => hop(HopKind::Lambda, name, Status::Unknown, "unknown", "its metrics are not known"),
    }
}

fn instances(s: &Situation, name: &SafeText) -> Hop {
    let d = s.fronts.instance_health.get(name);
    let Some(all) = d.and_then(Datum::value) else {
        let why = d.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked).phrase();
        return hop(HopKind::Target, "instances", Status::Unknown, "unknown", why);
    };
    let well = all.iter().filter(|i| i.state.as_str() == "InService").count();
    let word = format!("{well}/{} in service", all.len());
    let status = match well {
        n if n == all.len() && n > 0 => Status::Ok,
        0 => Status::Bad,
        _ => Status::Warn,
    };
    let first = all.iter().find(|i| i.state.as_str() != "InService");
    let why = first.map_or_else(|| word.clone(), |i| format!("{word}; {}: {}", i.id, i.description));
    hop(HopKind::Target, "instances", status, word, why)
}
