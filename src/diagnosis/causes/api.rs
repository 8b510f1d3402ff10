//! Causes at API Gateway and at the functions behind it. Sources: "Variables
//! for access logging", "Gateway response types", API Gateway developer guide;
//! "Errors with Lambda integrations", AWS Lambda developer guide.

use super::ballot::{Ballot, Seen, graded};
use crate::diagnosis::fore::{Fore, Front, FrontRows};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::front::{Api, FrontRow};
use crate::situation::{Datum, Reason, function_name};
use crate::text::SafeText;

const METRICS: &str = "cloudwatch:GetMetricData";
const CONFIG: &str = "apigateway:GetResources";
const LAMBDA: &str = "AWS/Lambda";

/// The API and what all its causes lack alike.
fn begin<'f, 'a>(f: &'f Front<'a>, b: &mut Ballot) -> Option<&'f Fore<'a>> {
    let a = f.api.as_ref()?;
    b.lack_of_front(a, "metrics of the API", "rows of the API's access log");
    Some(a)
}

fn config<'a>(f: &Front<'a>, b: &mut Ballot) -> Option<&'a Api> {
    let id = &f.api.as_ref()?.id;
    match f.api_value() {
        Some(api) => {
            for (what, why) in api.gaps.iter().filter(|g| g.0.as_str() == "integrations") {
                b.lack(what.clone(), why.clone());
            }
            Some(api)
        }
        None => {
            let why = f.s.fronts.apis.get(id).and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked);
            b.lack("configuration of the API", why);
            None
        }
    }
}

fn told(r: &FrontRows<'_>, holds: impl Fn(&FrontRow) -> bool + Copy, says: &str) -> Seen {
    Seen::front_rows("access log of the API", r, holds, says)
}

fn signs(a: &Fore<'_>, b: &mut Ballot, causes: &[&str]) -> bool {
    let mut any = false;
    for cause in causes {
        for s in a.signs_of(cause) {
            // Lines that were there all along tell nothing of this hour.
            b.pro(if a.failing { Decisive } else { Weak }, Seen::sign(s));
            any = true;
        }
    }
    any
}

/// Errors of the functions in the window; `None` when they are not known.
fn function_errors(f: &Front<'_>) -> Option<f64> {
    let mut sum = None;
    for (fore, arn, _) in f.functions() {
        if let Some(n) = fore.sum(LAMBDA, "Errors", &arn) {
            sum = Some(sum.unwrap_or(0.0) + n);
        }
    }
    sum
}

/// A function whose runs last as long as they may.
fn at_limit(f: &Front<'_>) -> Option<(Seen, f64)> {
    f.functions().into_iter().find_map(|(fore, arn, known)| {
        let limit = f64::from(known?.timeout_s?);
        let top = fore.highest(LAMBDA, "Duration", "Maximum", &arn)? / 1000.0;
        (top >= limit * 0.97).then(|| {
            let value = format!("runs last up to {top:.1} s, the timeout is {limit:.0} s");
            (Seen::new(format!("Duration of {}", name(&arn)), value, METRICS, fore.metrics_at()), limit)
        })
    })
}

fn name(arn: &SafeText) -> SafeText {
    function_name(arn).unwrap_or(arn).into()
}

/// Not all integrations were read: what those that were have in common says
/// nothing of the others.
fn partial(api: &Api) -> bool {
    api.gaps.iter().any(|g| g.0.as_str() == "integrations")
}

/// Without a function behind the API its causes do not arise.
fn no_function(f: &Front<'_>, b: &mut Ballot) -> bool {
    let Some(api) = config(f, b) else { return false };
    if api.functions().is_empty() && !api.integrations.is_empty() && !partial(api) {
        b.con(Decisive, Seen::new("integrations", "none invokes a function", CONFIG, f.now));
        return true;
    }
    false
}

pub(super) fn malformed(f: &Front<'_>, b: &mut Ballot) {
    let Some(a) = begin(f, b) else { return };
    if no_function(f, b) {
        return;
    }
    let logged = signs(a, b, &["apigw-lambda-malformed-response"]);
    let errors = function_errors(f);
    let bad = if f.api_value().is_none_or(Api::is_rest) { 502 } else { 500 };
    let holds = |r: &FrontRow| {
        r.status == bad && r.service == Some(200) && r.inner.is_none_or(|s| s < 400) && !errorlike(&r.message)
    };
    if let Some(r) = a.failing_rows() {
        let part = r.part(holds);
        if part >= 0.5 && errors.is_none_or(|n| n < 1.0 || n * 2.0 < r.bad) {
            // A run that was cut off leaves the same row, but for the status behind.
            let whole = r.part(|r| holds(r) && r.inner.is_some()) >= 0.5;
            let weight = match (errors.is_some(), whole) {
                (true, _) => Decisive,
                (false, true) => Strong,
                (false, false) => Weak,
            };
            b.pro(weight, told(r, holds, "though the function answered well"));
            if errors.is_none() {
                b.lack("metrics of the function", a.no_metrics.clone().unwrap_or(Reason::NotAsked));
            }
        } else if part < 0.05 && !logged {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    }
    if let Some(n) = errors.filter(|n| *n >= 3.0)
        && a.errors.is_some_and(|all| n * 2.0 >= all)
    {
        b.con(Strong, Seen::new("Errors of the function", format!("{n:.0}"), METRICS, a.metrics_at()));
    }
}

/// A message that speaks of the function's own failure.
fn errorlike(message: &str) -> bool {
    let m = message.to_ascii_lowercase();
    ["lambda function", "unhandled", "timed out", "task timed", "runtime", "permission", "not authorized"]
        .iter()
        .any(|w| m.contains(w))
}

pub(super) fn function_error(f: &Front<'_>, b: &mut Ballot) {
    let Some(a) = begin(f, b) else { return };
    if no_function(f, b) {
        return;
    }
    let errors = function_errors(f);
    let thrown = errors.is_some_and(|n| n >= 3.0);
    match errors {
        Some(n) if n >= 3.0 => {
            let most = a.errors.is_none_or(|all| n * 2.0 >= all);
            let seen = Seen::new(
                "Errors of the function",
                format!("{n:.0} in this window"),
                METRICS,
                a.metrics_at(),
            );
            b.pro(if most { Strong } else { Weak }, seen);
        }
        Some(n) if n < 1.0 && a.failing => {
            b.con(
                Decisive,
                Seen::new("Errors of the function", "none in this window", METRICS, a.metrics_at()),
            );
        }
        Some(_) => {}
        None if a.failing => {
            b.lack("metrics of the function", a.no_metrics.clone().unwrap_or(Reason::NotAsked))
        }
        None => {}
    }
    let ran_out = at_limit(f).is_some() || a.signs_of("lambda-timeout").next().is_some();
    if ran_out {
        b.con(
            Strong,
            Seen::new("runs of the function", "they end at their time limit", METRICS, a.metrics_at()),
        );
    } else if thrown || errors.is_none() {
        signs(a, b, &["alb-lambda-invoke-error", "apigw-lambda-function-error"]);
        let holds =
            |r: &FrontRow| r.status >= 500 && (r.inner.is_some_and(|s| s >= 500) || errorlike(&r.message));
        if let Some(r) = a.failing_rows().filter(|r| r.part(holds) >= 0.5) {
            b.pro(Decisive, told(r, holds, "with an error of the function"));
        }
    }
}

pub(super) fn function_timeout(f: &Front<'_>, b: &mut Ballot) {
    let all = f.functions();
    let Some((fore, _, _)) = all.first() else { return };
    let failing = fore.failing;
    let told = signs(fore, b, &["lambda-timeout"]);
    for (_, arn, known) in &all {
        if known.is_none() && failing {
            let why = f.s.functions.get(arn).and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked);
            b.lack(format!("configuration of {}", name(arn)), why);
        }
    }
    match at_limit(f) {
        Some((seen, _)) => {
            // One run that long is no incident: errors must come with it.
            let errors = function_errors(f).is_none_or(|n| n >= 3.0);
            b.pro(if failing && errors { Decisive } else { Weak }, seen);
        }
        None if !told => {
            let long = all.iter().filter_map(|(fore, arn, known)| {
                let top = fore.highest(LAMBDA, "Duration", "Maximum", arn)? / 1000.0;
                (top < f64::from(known.as_ref()?.timeout_s?) * 0.8).then_some(top)
            });
            if let Some(top) = long.reduce(f64::max) {
                let value = format!("runs last up to {top:.1} s");
                b.con(Decisive, Seen::new("Duration of the function", value, METRICS, fore.metrics_at()));
            } else if failing {
                b.lack_if("metrics of the function", fore.no_metrics.clone());
            }
        }
        None => {}
    }
}

pub(super) fn throttled(f: &Front<'_>, b: &mut Ballot) {
    for (fore, arn, known) in f.functions() {
        let what = format!("Throttles of {}", name(&arn));
        match fore.sum(LAMBDA, "Throttles", &arn) {
            Some(n) if n >= 3.0 => {
                let seen = Seen::new(what, format!("{n:.0} in this window"), METRICS, fore.metrics_at());
                b.pro(if fore.failing { Decisive } else { Strong }, seen);
            }
            Some(_) => b.con(Strong, Seen::new(what, "none in this window", METRICS, fore.metrics_at())),
            None if fore.failing => b.lack_if("metrics of the function", fore.no_metrics.clone()),
            None => {}
        }
        if known.is_some_and(|k| k.reserved == Some(0)) {
            let what = format!("concurrency of {}", name(&arn));
            let value = "0 is set aside: it is switched off";
            b.pro(Decisive, Seen::new(what, value, "lambda:GetFunctionConcurrency", fore.now));
        }
        if let Some((_, why)) = known.and_then(|k| k.gaps.iter().find(|g| g.0.contains("concurrency"))) {
            b.lack("reserved concurrency", why.clone());
        }
    }
}

pub(super) fn payload(f: &Front<'_>, b: &mut Ballot) {
    if let Some((fore, _, _)) = f.functions().first() {
        let any = signs(fore, b, &["lambda-payload-too-large"]);
        if !any && fore.failing && f.case.is_none() {
            b.lack("lines of the function's log that say so", Reason::NotAsked);
        }
    }
}

pub(super) fn rejected(f: &Front<'_>, b: &mut Ballot) {
    let Some(a) = begin(f, b) else { return };
    if no_function(f, b) {
        return;
    }
    signs(a, b, &["apigw-lambda-invoke-rejected"]);
    let holds = |r: &FrontRow| {
        let m = r.message.to_ascii_lowercase();
        r.status >= 500
            && (r.service.is_some_and(|s| (400..500).contains(&s))
                || m.contains("permission")
                || m.contains("not authorized")
                || m.contains("accessdenied")
                || m.contains("rate exceeded")
                || m.contains("toomanyrequests"))
    };
    let mut refused = false;
    if let Some(r) = a.failing_rows() {
        let part = r.part(holds);
        if part >= 0.5 {
            refused = true;
            b.pro(Strong, told(r, holds, "because the call was refused"));
        } else if part < 0.05 {
            b.con(Strong, told(r, |_| true, "are of other kinds"));
        }
    }
    let slowed = f
        .functions()
        .iter()
        .any(|(fore, arn, _)| fore.sum(LAMBDA, "Throttles", arn).is_some_and(|n| n >= 3.0));
    let mut lets = true;
    for (fore, arn, known) in f.functions() {
        let datum = f.s.functions.get(&arn);
        if let Some(Reason::NotFound { what }) = datum.and_then(Datum::why_unknown) {
            b.pro(
                Decisive,
                Seen::new(format!("function {}", name(&arn)), what, "lambda:GetFunctionConfiguration", f.now),
            );
            continue;
        }
        let Some(k) = known else {
            if a.failing {
                b.lack(
                    format!("function {}", name(&arn)),
                    datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked),
                );
            }
            continue;
        };
        if let Some((what, why)) = k.gaps.iter().find(|g| g.0.contains("policy")) {
            b.lack(what.clone(), why.clone());
        }
        let admits = |p: &str| p == "*" || p.starts_with("apigateway.");
        if let Some(list) = &k.invokers {
            let seen = |v: &str| Seen::new(format!("function {}", k.name), v, "lambda:GetPolicy", f.now);
            if list.iter().any(|p| admits(p)) {
                if !refused {
                    b.con(Weak, seen("its policy lets API Gateway invoke it"));
                }
            } else {
                lets = false;
                let few =
                    fore.sum(LAMBDA, "Invocations", &arn).is_none_or(|n| n * 2.0 < a.requests.unwrap_or(0.0));
                b.pro(
                    if refused || (a.failing && few) { Decisive } else { Weak },
                    seen("its policy does not let API Gateway invoke it"),
                );
            }
        }
    }
    for c in a.changed(&["RemovePermission", "DeleteFunction", "DeleteAlias"], &[]) {
        b.pro(if refused { Strong } else { Weak }, Seen::change(c));
    }
    if slowed && lets {
        b.con(
            Strong,
            Seen::new(
                "Throttles of the function",
                "calls are refused for want of concurrency",
                METRICS,
                a.metrics_at(),
            ),
        );
    }
}

pub(super) fn timeout(f: &Front<'_>, b: &mut Ballot) {
    let Some(a) = begin(f, b) else { return };
    let api = config(f, b);
    let usual = if api.is_none_or(Api::is_rest) { 29_000 } else { 30_000 };
    let limit = api.and_then(|x| x.integrations.iter().filter_map(|i| i.timeout_ms).max()).unwrap_or(usual);
    let limit = f64::from(limit) / 1000.0;
    signs(a, b, &["apigw-integration-timeout"]);
    let holds = |r: &FrontRow| {
        r.detail.as_str() == "INTEGRATION_TIMEOUT"
            || matches!(r.status, 503 | 504) && r.took_s.is_some_and(|t| f64::from(t) >= limit * 0.97)
    };
    let mut bulk = false;
    if let Some(r) = a.failing_rows() {
        if r.part(holds) >= 0.5 {
            bulk = true;
            b.pro(Decisive, told(r, holds, "ended at the limit"));
        } else if r.part(holds) < 0.05 {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    }
    if let Some(top) = a.highest("AWS/ApiGateway", "IntegrationLatency", "Maximum", &a.id) {
        let value = format!("up to {:.1} s, the limit is {limit:.0} s", top / 1000.0);
        let seen = Seen::new("IntegrationLatency", value, METRICS, a.metrics_at());
        if top / 1000.0 >= limit * 0.97 {
            b.pro(if bulk || a.failing { Strong } else { Weak }, seen);
        } else if top / 1000.0 < limit * 0.8 {
            b.con(Decisive, seen);
        }
    }
}

pub(super) fn mapping(f: &Front<'_>, b: &mut Ballot) {
    let Some(a) = begin(f, b) else { return };
    let Some(api) = config(f, b) else { return };
    let own: Vec<_> =
        api.integrations.iter().filter(|i| i.has_default.is_some() && i.kind.as_str() != "MOCK").collect();
    if own.is_empty() && !api.integrations.is_empty() && !partial(api) {
        b.con(Decisive, Seen::new("integrations", "all pass the answer on as it is", CONFIG, f.now));
        return;
    }
    signs(a, b, &["apigw-integration-mapping-error"]);
    let holds = |r: &FrontRow| {
        r.detail.as_str() == "API_CONFIGURATION_ERROR"
            || (r.status == 500 || r.status == 502) && r.service.or(r.inner).is_some_and(|s| s < 400)
    };
    let mut bulk = false;
    if let Some(r) = a.failing_rows() {
        if r.part(holds) >= 0.5 {
            bulk = true;
            b.pro(Strong, told(r, holds, "though the backend answered"));
        } else if r.part(holds) < 0.05 {
            b.con(Strong, told(r, |_| true, "are of other kinds"));
        }
    }
    if let Some(i) = own.iter().find(|i| i.has_default == Some(false)) {
        let value = "no integration response takes what no pattern fits";
        b.pro(graded(bulk, a.failing), Seen::new(i.route.clone(), value, CONFIG, f.now));
    }
    for c in a.changed(
        &[
            "UpdateIntegration",
            "PutIntegration",
            "CreateDeployment",
            "UpdateStage",
            "DeleteIntegration",
            "UpdateGatewayResponse",
            "PutGatewayResponse",
        ],
        &[],
    ) {
        if bulk {
            b.pro(Weak, Seen::change(c));
        }
    }
}

pub(super) fn private(f: &Front<'_>, b: &mut Ballot) {
    let Some(a) = begin(f, b) else { return };
    let Some(api) = config(f, b) else { return };
    let http: Vec<_> =
        api.integrations.iter().filter(|i| i.function.is_empty() && i.kind.as_str() != "MOCK").collect();
    if http.is_empty() && !api.integrations.is_empty() && !partial(api) {
        b.con(Decisive, Seen::new("integrations", "all invoke functions", CONFIG, f.now));
        return;
    }
    let holds = |r: &FrontRow| {
        let m = r.message.to_ascii_lowercase();
        r.detail.as_str() == "INTEGRATION_FAILURE"
            || r.status >= 500
                && r.inner.is_none()
                && (m.contains("network error")
                    || m.contains("vpc link")
                    || m.contains("connect")
                    || m.contains("tls")
                    || m.contains("host"))
    };
    let mut bulk = false;
    if let Some(r) = a.failing_rows() {
        if r.part(holds) >= 0.5 {
            bulk = true;
            b.pro(Strong, told(r, holds, "without an answer of the backend"));
        } else if r.part(|r| r.inner.or(r.service).is_some_and(|s| s >= 500)) >= 0.5 {
            b.con(
                Strong,
                told(r, |r| r.inner.or(r.service).is_some_and(|s| s >= 500), "are the backend's own answer"),
            );
        } else if r.part(holds) < 0.05 {
            b.con(Strong, told(r, |_| true, "are of other kinds"));
        }
    }
    let linked = http.iter().any(|i| !i.link.is_empty());
    for l in
        api.links.iter().filter(|l| linked && (http.iter().any(|i| i.link == l.id) || api.links.len() == 1))
    {
        if matches!(l.status.as_str(), "AVAILABLE" | "") {
            continue;
        }
        let value = format!("{} {}", l.status, l.message);
        let seen = Seen::new(format!("VPC link {}", l.name), value, "apigateway:GetVpcLinks", f.now);
        b.pro(if a.failing { Decisive } else { Strong }, seen);
    }
    if let Some(c) = f.case {
        for g in c.servers().filter(|g| g.targets.is_ok()) {
            let (bad, all) = (g.count("unhealthy") + g.count("unused"), g.len());
            if all == 0 || bad > 0 {
                let value = format!("{bad} of {all} targets cannot be used");
                let seen = Seen::new(
                    format!("target health of {}", g.name),
                    value,
                    "elbv2:DescribeTargetHealth",
                    g.at,
                );
                b.pro(if bulk { Decisive } else { Weak }, seen);
            }
        }
        b.lack_if("target health behind the link", c.no_health());
    }
    for e in a.changed(&["DeleteVpcLink", "UpdateVpcLink", "DeleteLoadBalancer", "DeleteListener"], &[]) {
        b.pro(if bulk { Strong } else { Weak }, Seen::change(e));
    }
}
