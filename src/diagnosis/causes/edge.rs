//! Causes at CloudFront and between its edges and the origin. Source of the
//! result types: "Standard log file fields", and of the causes: "HTTP 502, 503
//! and 504 status code", Amazon CloudFront developer guide.

use super::ballot::{Ballot, Seen, graded};
use super::origins::{about, shut};
use crate::diagnosis::case::certificate_fault;
use crate::diagnosis::fore::{Fore, Front, FrontRows};
use crate::diagnosis::series;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::front::{FrontRow, Origin};
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;
use jiff::SignedDuration;

pub(super) const CONFIG: &str = "cloudfront:GetDistributionConfig";
pub(super) const METRICS: &str = "cloudwatch:GetMetricData";
const SPACE: &str = "AWS/CloudFront";

const BAD: &[&str] = &[
    "OriginHeaderTooBigError",
    "OriginInvalidResponseError",
    "OriginError",
    "OriginContentRangeLengthError",
    "OriginZeroSizeObjectError",
];
pub(super) const COMM: &[&str] = &["OriginCommError", "OriginReadError", "OriginWriteError"];

/// The front and its rows, with what all causes lack alike. `None` where no
/// distribution is in view.
pub(super) fn begin<'f, 'a>(f: &'f Front<'a>, b: &mut Ballot) -> Option<&'f Fore<'a>> {
    let e = f.edge.as_ref()?;
    b.lack_of_front(e, "metrics of the distribution", "rows of the distribution's log");
    Some(e)
}

pub(super) fn rows<'f, 'a>(e: &'f Fore<'a>) -> Option<&'f FrontRows<'a>> {
    e.rows.as_ref().ok().filter(|r| r.some())
}

pub(super) fn is(r: &FrontRow, list: &[&str]) -> bool {
    list.contains(&r.detail.as_str())
}

fn told(r: &FrontRows<'_>, holds: impl Fn(&FrontRow) -> bool + Copy, says: &str) -> Seen {
    Seen::front_rows("log of the distribution", r, holds, says)
}

/// Votes by the part of the failing rows that are of a kind: the bulk speaks
/// for, next to none against. True when the bulk is.
pub(super) fn vote(
    e: &Fore<'_>,
    b: &mut Ballot,
    weight: crate::diagnosis::verdict::Weight,
    says: &str,
    holds: impl Fn(&FrontRow) -> bool + Copy,
) -> bool {
    let Some(r) = rows(e).filter(|_| e.failing) else { return false };
    let part = r.part(holds);
    if part >= 0.5 {
        b.pro(weight, told(r, holds, says));
        return true;
    }
    if part >= 0.1 {
        b.pro(Weak, told(r, holds, says));
    } else if part < 0.02 {
        let value = format!("none of {} failing rows {says}, but {}", r.failing.len(), r.sample(|_| true));
        b.con(Decisive, Seen::new("log of the distribution", value, r.source.clone(), r.at));
    }
    false
}

/// The origin requests go to by default.
pub(super) fn origin<'a>(f: &Front<'a>, b: &mut Ballot) -> Option<&'a Origin> {
    let id = &f.edge.as_ref()?.id;
    let datum = f.s.fronts.distributions.get(id);
    match f.distribution() {
        Some(d) => d.used().into_iter().find(|o| o.kind.as_str() != "s3"),
        None => {
            b.lack(
                "configuration of the distribution",
                datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked),
            );
            None
        }
    }
}

pub(super) fn dns(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let bulk = vote(e, b, Decisive, "say OriginDnsError", |r| is(r, &["OriginDnsError"]));
    let Some(o) = origin(f, b) else { return };
    let known = f.s.fronts.records.get(&o.domain).and_then(Datum::get);
    if let Some(k) = known
        && !k.value.zone.is_empty()
        && k.value.records.is_empty()
    {
        let value = format!("zone {} holds no record of {}", k.value.zone, o.domain);
        let seen = Seen::new("DNS records", value, "route53:ListResourceRecordSets", k.as_of);
        b.pro(graded(bulk, e.failing), seen);
    }
    for c in e.changed(&["DeleteHostedZone", "ChangeResourceRecordSets"], &[]) {
        if bulk {
            b.pro(Weak, Seen::change(c));
        }
    }
}

pub(super) fn slow(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    let (limit, times) = (f64::from(o.read_s.unwrap_or(30)), o.attempts.unwrap_or(3));
    let late = |r: &FrontRow| {
        r.status == 504 && is(r, COMM) && r.took_s.is_none_or(|t| about(f64::from(t), limit, times))
    };
    let says = format!("ended at a multiple of the {limit:.0} s that the edge waits");
    let bulk = vote(e, b, Strong, &says, late);
    if let Some(c) = f.case {
        if let Some(t) = c.highest("TargetResponseTime").filter(|t| *t >= limit * 0.95) {
            let value = format!("up to {t:.1} s, the edge waits {limit:.0} s");
            let seen = Seen::new("TargetResponseTime", value, METRICS, c.metrics_at());
            b.pro(graded(bulk, e.failing), seen);
        }
        if let Ok(r) = &c.rows
            && let n = r.n(crate::diagnosis::rows::Shape::Aborted)
            && n >= 3.0
            && bulk
        {
            b.pro(
                Decisive,
                Seen::rows(r, crate::diagnosis::rows::Shape::Aborted, "whose client, the edge, left"),
            );
        }
    }
    if bulk && shut(f, o).is_some() {
        b.con(
            Strong,
            Seen::new("way to the origin", "shut: no request gets there", "path evaluation", f.now),
        );
    }
}

/// How long the origin keeps an idle connection, and who says so.
fn origin_idle(f: &Front<'_>) -> Result<(f64, &'static str), Reason> {
    let lb = f.s.lb().ok_or(Reason::NeedsMeasuring {
        how: "how long the origin keeps an idle connection: measure it with an idle probe".into(),
    })?;
    let idle = Situation::attribute_seconds(&lb.attributes, "idle_timeout.timeout_seconds");
    idle.map(|s| (s, "elbv2:DescribeLoadBalancerAttributes"))
        .ok_or_else(|| lb.attributes.why_unknown().unwrap_or(Reason::NotAsked))
}

pub(super) fn keep_alive(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let Some(o) = origin(f, b) else { return };
    let quick = |r: &FrontRow| r.status == 502 && is(r, COMM) && r.took_s.is_none_or(|t| t < 2.0);
    let mut bulk = false;
    if let Some(r) = rows(e).filter(|_| e.failing) {
        let share = r.bad / r.all.max(1.0);
        let writes = r.part(|r| quick(r) && !matches!(r.method.as_str(), "GET" | "HEAD"));
        if r.part(quick) >= 0.5 && share <= 0.25 {
            bulk = true;
            let says = format!(
                "broke off at once, {:.1} % of all requests, {:.0} % of them writes",
                share * 100.0,
                writes * 100.0
            );
            b.pro(if writes >= 0.6 { Strong } else { Weak }, told(r, quick, &says));
        } else if r.part(quick) < 0.1 {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    }
    let ours = o.keepalive_s.map(f64::from);
    match (ours, origin_idle(f)) {
        (Some(ours), Ok((theirs, source))) => {
            let value = format!("the edge keeps {ours:.0} s, the origin {theirs:.0} s");
            let seen = Seen::new("idle timers", value, source, f.now);
            if ours >= theirs {
                b.pro(if bulk { Decisive } else { Strong }, seen);
                if !bulk {
                    b.dormant();
                }
            } else {
                b.con(Strong, seen);
            }
        }
        (Some(ours), Err(why)) if bulk => {
            if ours > 5.0 {
                b.pro(
                    Strong,
                    Seen::new(
                        "idle timers",
                        format!("the edge keeps {ours:.0} s instead of the usual 5"),
                        CONFIG,
                        f.now,
                    ),
                );
            }
            b.lack("how long the origin keeps an idle connection", why);
        }
        _ => {}
    }
}

pub(super) fn bad_response(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let holds = |r: &FrontRow| is(r, BAD);
    // OriginError is also what an answer passed on is called.
    let named = |r: &FrontRow| r.detail.as_str() == "OriginError";
    let mut passed = false;
    if rows(e).is_some_and(|r| r.part(named) >= 0.5) {
        let unseen = inner_unknown(f);
        passed = unseen.is_some() || inner_fails(f, e);
        b.lack_if("failures of what stands behind", unseen);
    }
    vote(e, b, if passed { Weak } else { Decisive }, "say that the answer cannot be used", holds);
}

pub(super) fn function(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let told = vote(e, b, Decisive, "come from a function at the edge", |r| {
        [&r.detail, &r.result].iter().any(|w| {
            (w.starts_with("Function") || w.starts_with("Lambda"))
                && (w.contains("Error") || w.contains("Throttled") || w.contains("Limit"))
        })
    });
    let d = f.distribution();
    let arns: Vec<&SafeText> =
        d.into_iter().flat_map(|d| &d.behaviors).flat_map(|b| &b.functions).map(|f| &f.1).collect();
    let mut counted = false;
    for name in ["LambdaExecutionError", "LambdaValidationError", "LambdaLimitExceededErrors"] {
        if let Some(n) = e.sum(SPACE, name, &e.id).filter(|n| *n >= 3.0) {
            counted = true;
            let seen = Seen::new(name, format!("{n:.0}"), METRICS, e.metrics_at());
            b.pro(if e.failing { Decisive } else { Strong }, seen);
        }
    }
    for arn in &arns {
        let Some(name) = arn.split(":function/").nth(1) else { continue };
        for metric in ["FunctionValidationErrors", "FunctionExecutionErrors", "FunctionThrottles"] {
            if let Some(n) = e.sum(SPACE, metric, &name.into()).filter(|n| *n >= 3.0) {
                counted = true;
                let what = format!("{metric} of {name}");
                let seen = Seen::new(what, format!("{n:.0}"), METRICS, e.metrics_at());
                b.pro(if e.failing { Decisive } else { Strong }, seen);
            }
        }
    }
    if arns.is_empty() && !told && !counted {
        match d {
            Some(_) => b.con(Decisive, Seen::new("behaviours", "no function is associated", CONFIG, f.now)),
            None => {
                origin(f, b);
            }
        }
    } else if e.failing {
        let about: Vec<&str> = arns.iter().map(|a| a.as_str()).collect();
        for c in e.changed(&["PublishFunction", "UpdateFunction", "UpdateDistribution"], &about) {
            b.pro(if told || counted { Strong } else { Weak }, Seen::change(c));
        }
    }
}

/// Why it is not known whether what stands behind fails, when it is not.
fn inner_unknown(f: &Front<'_>) -> Option<Reason> {
    match (&f.api, &f.classic, f.case) {
        (Some(a), _, _) => a.no_metrics.clone(),
        (_, Some(c), _) => c.no_metrics.clone(),
        (_, _, Some(c)) => c.no_metrics.clone(),
        _ => None,
    }
}

/// Does what stands behind fail about as much, in the last minutes?
fn inner_fails(f: &Front<'_>, e: &Fore<'_>) -> bool {
    let recent = f.now.checked_sub(SignedDuration::from_mins(10)).unwrap_or(f.now);
    if let Some(a) = &f.api {
        return a.failing && a.errors.unwrap_or(0.0) * 2.0 >= e.errors.unwrap_or(0.0);
    }
    if let Some(c) = &f.classic {
        return c.failing && c.errors.unwrap_or(0.0) * 2.0 >= e.errors.unwrap_or(0.0);
    }
    let Some(lb) = f.s.lb_arn() else { return false };
    series::failures_since(f.s, lb, recent).is_some_and(|n| n >= 3.0)
}

/// The failures are those of what stands behind, passed on.
pub(super) fn relayed(f: &Front<'_>, e: &Fore<'_>) -> bool {
    let own = rows(e).is_some_and(|r| {
        r.part(|r| {
            r.detail.starts_with("Origin") && !matches!(r.detail.as_str(), "OriginError" | "OriginShieldHit")
        }) >= 0.5
    });
    !own && inner_fails(f, e)
}

pub(super) fn cached(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    let instant = |r: &FrontRow| {
        matches!(r.detail.as_str(), "Error" | "Hit" | "RefreshHit")
            && r.status >= 500
            && r.took_s.is_some_and(|t| t < 0.02)
    };
    let kept = f
        .distribution()
        .map(|d| d.errors.iter().filter(|x| x.0 >= 500).filter_map(|x| x.1).max().unwrap_or(10));
    let Some(r) = rows(e).filter(|_| e.failing) else {
        if let Some(s) = kept.filter(|s| *s >= 300) {
            let value = format!("errors are kept for {s} s");
            b.pro(Weak, Seen::new("error caching", value, CONFIG, f.now));
        }
        return;
    };
    if r.part(instant) < 0.5 {
        if r.part(instant) < 0.05 {
            b.con(Decisive, told(r, |_| true, "went to the origin"));
        }
        return;
    }
    let says = "were answered at once, from the cache";
    if let Some(why) = inner_unknown(f) {
        b.pro(Weak, told(r, instant, says));
        b.lack("failures of what stands behind", why);
        return;
    }
    if inner_fails(f, e) {
        b.pro(Weak, told(r, instant, says));
        b.con(Strong, Seen::new("load balancer behind", "it fails as well now", METRICS, f.now));
        return;
    }
    b.pro(if kept.is_some_and(|s| s >= 30) { Decisive } else { Strong }, told(r, instant, says));
    if let Some(s) = kept.filter(|s| *s >= 30) {
        let value = format!("errors are kept for {s} s instead of the usual 10");
        b.pro(Strong, Seen::new("error caching", value, CONFIG, f.now));
    }
}

/// The certificate for viewers.
pub(super) fn viewers(f: &Front<'_>, b: &mut Ballot) {
    let Some(d) = f.distribution().filter(|d| d.certificate.contains(":acm:")) else { return };
    let datum = f.s.certificates.get(&d.certificate);
    match datum.and_then(Datum::get) {
        Some(c) => {
            let what = format!("certificate {}", d.certificate);
            if let Some(fault) = certificate_fault(&c.value, f.now) {
                b.pro(Decisive, Seen::new(what, fault, c.source.clone(), c.as_of));
            } else if let Some(name) = d.aliases.iter().find(|a| !a.starts_with('*') && !c.value.covers(a)) {
                let value = format!("it does not cover {name}");
                b.pro(Weak, Seen::new(what, value, c.source.clone(), c.as_of));
            }
        }
        None => {
            b.lack("certificate for viewers", datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked))
        }
    }
}

pub(super) fn capacity(f: &Front<'_>, b: &mut Ballot) {
    let Some(e) = begin(f, b) else { return };
    vote(e, b, Decisive, "say that there was no capacity", |r| {
        [&r.detail, &r.result].iter().any(|w| matches!(w.as_str(), "CapacityExceeded" | "LimitExceeded"))
    });
}
