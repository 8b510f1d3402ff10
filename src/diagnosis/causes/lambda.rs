//! Lambda functions as targets.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::Reason;

const USER_ERROR: &str = "LambdaUserError";

/// What all five have in common: errors of a function behind the load
/// balancer. `None` when no function is.
fn failing(c: &Case<'_>, b: &mut Ballot) -> Option<bool> {
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
    if c.failing {
        b.lack("error reason in the access log", Reason::NotAsked);
    }
    Some(errors)
}

fn signs(c: &Case<'_>, b: &mut Ballot, cause: &str, errors: bool) {
    for s in c.signs_of(cause) {
        b.pro(if errors { Decisive } else { Strong }, Seen::sign(s));
    }
}

pub(super) fn timeout(c: &Case<'_>, b: &mut Ballot) {
    if let Some(errors) = failing(c, b) {
        signs(c, b, "lambda-timeout", errors);
    }
}

pub(super) fn throttled(c: &Case<'_>, b: &mut Ballot) {
    if failing(c, b).is_some() && c.failing {
        b.lack("Throttles of the function", Reason::NotAsked);
    }
}

pub(super) fn invalid_response(c: &Case<'_>, b: &mut Ballot) {
    failing(c, b);
}

pub(super) fn invoke_error(c: &Case<'_>, b: &mut Ballot) {
    if let Some(errors) = failing(c, b) {
        signs(c, b, "alb-lambda-invoke-error", errors);
    }
}

pub(super) fn payload(c: &Case<'_>, b: &mut Ballot) {
    failing(c, b);
}
