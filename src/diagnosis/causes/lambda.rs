//! Lambda functions as targets.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::rows::Shape;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::Datum;
use crate::situation::around::Function;

const USER_ERROR: &str = "LambdaUserError";
const SPACE: &str = "AWS/Lambda";
const CONFIG: &str = "lambda:GetFunctionConfiguration";

/// Error reasons of each cause, by their beginning.
const INVALID: &[&str] = &["LambdaInvalidResponse"];
const THROTTLED: &[&str] = &["LambdaThrottling"];
const TOO_LARGE: &[&str] = &["LambdaResponseTooLarge", "LambdaRequestTooLarge"];
/// Of these, an unhandled error may be a timeout as well.
const UNHANDLED: &str = "LambdaUnhandled";

/// ARNs of the functions behind the groups in use.
fn arns<'c>(c: &'c Case<'_>) -> Vec<&'c str> {
    let targets = c.functions().filter_map(|g| g.targets.as_ref().ok());
    targets.flat_map(|t| t.iter()).map(|t| t.id.as_str()).collect()
}

/// What is known of these functions.
fn known<'c>(c: &'c Case<'_>, b: &mut Ballot) -> Vec<&'c Function> {
    let mut out = Vec::new();
    for arn in arns(c) {
        let d = c.s.functions.iter().find(|(k, _)| k.as_str() == arn).map(|(_, d)| d);
        match d.and_then(Datum::value) {
            Some(f) => out.push(f),
            None if c.failing => {
                let why = d.and_then(Datum::why_unknown).unwrap_or(crate::situation::Reason::NotAsked);
                b.lack("configuration of the function", why);
            }
            None => {}
        }
    }
    out
}

/// What all five have in common: errors of a function behind the load
/// balancer. `None` when no function is.
fn failing(c: &Case<'_>, b: &mut Ballot, own: &[&str]) -> Option<bool> {
    c.functions().next()?;
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let mut errors = false;
    for g in c.functions() {
        if let Some(n) = c.group_count(g.arn, USER_ERROR).filter(|n| *n >= 3.0) {
            errors = true;
            let what = format!("{USER_ERROR} of {}", g.name);
            b.pro(Weak, Seen::new(what, c.share(n), "cloudwatch:GetMetricData", c.metrics_at()));
        }
    }
    if !errors && c.functions().all(|g| c.group_count(g.arn, USER_ERROR).is_some_and(|n| n < 1.0)) {
        b.con(
            Strong,
            Seen::new(USER_ERROR, "none in this window", "cloudwatch:GetMetricData", c.metrics_at()),
        );
    }
    match &c.rows {
        Ok(rows) if rows.n(Shape::Lambda) >= 1.0 => {
            let mine = rows.part(Shape::Lambda, |r| own.iter().any(|o| r.error_reason.starts_with(o)));
            let top = rows.top(Shape::Lambda, |r| &r.error_reason, &[]);
            let says = top.map_or_else(String::new, |t| format!("with {}", t.name));
            let seen = Seen::rows(rows, Shape::Lambda, &says);
            if mine >= 0.5 {
                b.pro(Decisive, seen);
            } else if mine <= 0.05 && !own.is_empty() {
                b.con(Decisive, seen);
            }
        }
        Ok(_) => {}
        Err(why) if c.failing => b.lack("error reason in the access log", why.clone()),
        Err(_) => {}
    }
    Some(errors || c.failing)
}

fn signs(c: &Case<'_>, b: &mut Ballot, cause: &str, errors: bool) -> bool {
    let mut any = false;
    for s in c.signs_of(cause) {
        b.pro(if errors { Decisive } else { Strong }, Seen::sign(s));
        any = true;
    }
    any
}

/// Rows whose error reason is the one that timeouts and crashes share.
fn unhandled(c: &Case<'_>) -> f64 {
    let part = |r: &crate::diagnosis::rows::Rows<'_>| {
        r.part(Shape::Lambda, |x| x.error_reason.as_str() == UNHANDLED)
    };
    c.rows.as_ref().map_or(0.0, part)
}

/// The function whose runs last as long as they may.
fn at_limit(c: &Case<'_>, b: &mut Ballot) -> Option<Seen> {
    known(c, b).into_iter().find_map(|f| {
        let limit = f64::from(f.timeout_s?);
        let level = c.level(SPACE, "Duration", "Maximum", &f.arn)?;
        let top = level.peak / 1000.0;
        (top >= limit * 0.97).then(|| {
            let value = format!("runs last up to {top:.1} s, the timeout is {limit:.0} s");
            Seen::new(format!("Duration of {}", f.name), value, "cloudwatch:GetMetricData", level.at)
        })
    })
}

pub(super) fn timeout(c: &Case<'_>, b: &mut Ballot) {
    let Some(errors) = failing(c, b, &[]) else { return };
    let told = signs(c, b, "lambda-timeout", errors);
    if let Some(seen) = at_limit(c, b) {
        b.pro(if errors { Decisive } else { Strong }, seen);
    } else if !told
        && let Some(f) = known(c, b).first()
        && let Some(level) = c.level(SPACE, "Duration", "Maximum", &f.arn)
        && f.timeout_s.is_some_and(|t| level.peak / 1000.0 < f64::from(t) * 0.8)
    {
        let value = format!("runs last up to {:.1} s", level.peak / 1000.0);
        let what = format!("Duration of {}", f.name);
        b.con(Decisive, Seen::new(what, value, "cloudwatch:GetMetricData", level.at));
    }
    if c.failing && !told {
        b.lack_if("metrics of the function", c.no_host_metrics());
    }
}

pub(super) fn throttled(c: &Case<'_>, b: &mut Ballot) {
    let Some(errors) = failing(c, b, THROTTLED) else { return };
    for f in known(c, b) {
        if let Some(level) = c.level(SPACE, "Throttles", "Sum", &f.arn) {
            let what = format!("Throttles of {}", f.name);
            let value = format!("up to {:.0} a minute", level.peak);
            let seen = Seen::new(what, value, "cloudwatch:GetMetricData", level.at);
            if level.peak >= 1.0 {
                b.pro(if errors { Decisive } else { Strong }, seen);
            } else {
                b.con(Strong, seen);
            }
        }
        if f.reserved == Some(0) {
            let seen = Seen::new(
                format!("concurrency of {}", f.name),
                "0 is set aside: it is switched off",
                "lambda:GetFunctionConcurrency",
                c.now,
            );
            b.pro(Decisive, seen);
        }
    }
    if c.failing {
        b.lack_if("metrics of the function", c.no_host_metrics());
    }
}

pub(super) fn invalid_response(c: &Case<'_>, b: &mut Ballot) {
    failing(c, b, INVALID);
}

pub(super) fn invoke_error(c: &Case<'_>, b: &mut Ballot) {
    let Some(errors) = failing(c, b, &[]) else { return };
    let told = signs(c, b, "alb-lambda-invoke-error", errors);
    if let Ok(rows) = &c.rows {
        let others = [INVALID, THROTTLED, TOO_LARGE].concat();
        let mine = rows.part(Shape::Lambda, |r| {
            !others.iter().any(|o| r.error_reason.starts_with(o)) && r.error_reason.as_str() != UNHANDLED
        });
        let top = rows.top(Shape::Lambda, |r| &r.error_reason, &[]);
        let says = top.map_or_else(String::new, |t| format!("with {}", t.name));
        if mine >= 0.5 {
            b.pro(Decisive, Seen::rows(rows, Shape::Lambda, &says));
        } else if unhandled(c) >= 0.5 {
            // A run that was ended at its limit is told so as well.
            let limit = at_limit(c, b).is_some() || c.signs_of("lambda-timeout").next().is_some();
            let seen = Seen::rows(rows, Shape::Lambda, &says);
            if limit && !told {
                b.con(Strong, seen);
            } else {
                b.pro(Strong, seen);
            }
        } else if rows.n(Shape::Lambda) >= 3.0 {
            b.con(Decisive, Seen::rows(rows, Shape::Lambda, &says));
        }
    }
    for f in known(c, b) {
        let what = format!("function {}", f.name);
        if !matches!(f.state.as_str(), "" | "Active" | "Inactive") {
            let value = format!("{} {}", f.state, f.state_reason);
            b.pro(Decisive, Seen::new(what.clone(), value, CONFIG, c.now));
        }
        if f.last_update.as_str() == "Failed" {
            b.pro(Weak, Seen::new(what.clone(), "its last update failed", CONFIG, c.now));
        }
        let admits = |p: &str| p == "*" || p.starts_with("elasticloadbalancing.");
        if let Some(list) = &f.invokers
            && !list.iter().any(|p| admits(p))
        {
            let seen =
                Seen::new(what, "its policy lets no load balancer invoke it", "lambda:GetPolicy", c.now);
            b.pro(if errors { Strong } else { Weak }, seen);
        }
    }
}

pub(super) fn payload(c: &Case<'_>, b: &mut Ballot) {
    failing(c, b, TOO_LARGE);
}
