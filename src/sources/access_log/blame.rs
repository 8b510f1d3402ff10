//! Which cause a single row speaks for, by the decision tables of each format.
//! Sources: "Troubleshoot your Application Load Balancers", "Access logs" of
//! the Elastic Load Balancing user guides, "Troubleshooting error responses"
//! of the CloudFront developer guide, "API Gateway logging variables",
//! "Application Gateway diagnostics" and "HTTP response codes" of Azure.

use super::{Format, Row};
use crate::situation::shape::{Marks, Shape, shape};

/// What a row says of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Nothing failed, or nobody is to blame.
    None,
    Cause(&'static str),
    /// A target broke the connection off: only all such rows together say why.
    Broken,
    /// A target did not take the connection.
    Refused,
}

/// A row that failed and fits no line of its table.
pub const UNKNOWN: &str = "unclassified";

/// The shape of a load balancer's row. `idle` is the idle timeout in seconds.
pub(super) fn shape_of(r: &Row<'_>, idle: f64) -> Shape {
    let marks = Marks {
        elb: r.lb,
        status: r.target_status(),
        no_target: r.target.is_empty(),
        untimed: r.untimed(),
        took: (r.took >= 0).then(|| r.took as f64 / 1e6),
        error_reason: r.reason,
        actions: r.actions,
    };
    shape(&marks, idle)
}

/// True for rows of requests that an on-call engineer must answer for: a 5xx, or
/// a connection or check that failed.
pub(super) fn fault(format: Format, r: &Row<'_>) -> bool {
    match format {
        Format::AlbConnection => !r.reason.is_empty(),
        Format::AlbHealth => r.class == b"FAIL",
        Format::Nlb => r.class == b"failed" || !r.reason.is_empty(),
        _ => r.lb >= 500 || r.status >= 500,
    }
}

/// The cause a row speaks for.
pub(super) fn blame(format: Format, r: &Row<'_>, idle: f64) -> Blame {
    use Blame::{Cause, None};
    match format {
        Format::Alb if r.failed() => alb(r, idle),
        Format::Alb => None,
        Format::Clb => clb(r, idle),
        Format::Nlb => nlb(r),
        Format::AlbConnection if r.reason.starts_with(b"Failed") || r.reason == b"HandshakeFailed" => {
            Cause("client-tls-handshake-failure")
        }
        Format::AlbHealth if r.class == b"FAIL" => Cause(match r.reason {
            b"TimedOut" | b"RequestTimedOut" | b"ConnectionTimedOut" => "alb-target-connect-timeout",
            b"ConnectionReset" => "alb-target-connection-refused",
            b"ResponseCodeMismatch" | b"ResponseStringMismatch" => "alb-healthcheck-misconfigured",
            b"TargetError" => "app-exception-or-plugin-bug",
            _ => UNKNOWN,
        }),
        Format::AlbConnection | Format::AlbHealth => None,
        Format::CloudFront => cloudfront(r),
        Format::ApiGateway => api_gateway(r),
        Format::AzureGateway => azure(r),
        Format::Web => web(r),
        Format::HaProxy => haproxy(r),
    }
}

fn alb(r: &Row<'_>, idle: f64) -> Blame {
    use Blame::{Cause, None};
    Cause(match shape_of(r, idle) {
        Shape::Answered => match r.status {
            502..=504 => "local-proxy-upstream-failure",
            _ => "app-exception-or-plugin-bug",
        },
        Shape::Lambda => match r.reason {
            b"LambdaInvalidResponse" => "alb-lambda-invalid-response",
            b"LambdaThrottling" => "lambda-throttled",
            b"LambdaRequestTooLarge" | b"LambdaResponseTooLarge" => "lambda-payload-too-large",
            _ => "alb-lambda-invoke-error",
        },
        // A rule that turns somebody away does what it is there for.
        Shape::Auth if r.lb < 500 && r.reason.is_empty() => return None,
        Shape::Auth => "alb-waf-or-auth-failure",
        Shape::Fixed if r.lb >= 500 => "alb-rule-misrouted",
        Shape::Fixed => return None,
        Shape::Refused => return Blame::Refused,
        Shape::Broken => return Blame::Broken,
        Shape::Unconnected => "alb-target-connect-timeout",
        // The answer had begun, and its end never came.
        Shape::Slow if r.times[1] >= 0 && (r.times[1] as f64) < idle * 0.5e6 => "alb-content-length-mismatch",
        Shape::Slow => "alb-target-response-timeout",
        Shape::NoTarget => "alb-no-usable-targets",
        Shape::Aborted => "client-aborts-before-response",
        Shape::Rejected => "client-request-rejected",
        Shape::Other if r.lb < 500 => return None,
        Shape::Other => UNKNOWN,
    })
}

fn clb(r: &Row<'_>, idle: f64) -> Blame {
    Blame::Cause(match (r.lb, r.status) {
        (500.., s) if s == r.lb => match s {
            502..=504 => "local-proxy-upstream-failure",
            _ => "app-exception-or-plugin-bug",
        },
        (502, _) => "clb-malformed-response",
        (503, _) => "clb-no-capacity-503",
        (504, _) if r.untimed() || r.times[1] < 0 || r.times[1] as f64 >= idle * 0.8e6 => {
            "clb-backend-close-or-slow-504"
        }
        (408, 0) => "client-request-rejected",
        (500.., _) => UNKNOWN,
        _ => return Blame::None,
    })
}

fn nlb(r: &Row<'_>) -> Blame {
    Blame::Cause(match r.reason {
        b"42" | b"43" | b"44" | b"45" | b"46" | b"48" => "lb-listener-cert-problem",
        b"40" | b"70" | b"71" => "client-tls-handshake-failure",
        _ if r.class == b"failed" => "client-tls-handshake-failure",
        _ if (345_000_000..=355_000_000).contains(&r.took) => "nlb-idle-timeout-rst",
        _ if r.received > 0 && r.sent == 0 && (0..1_000_000).contains(&r.took) => {
            "nlb-target-reset-or-unhealthy"
        }
        _ => return Blame::None,
    })
}

fn cloudfront(r: &Row<'_>) -> Blame {
    let error = r.class == b"Error";
    Blame::Cause(match (r.lb, r.reason) {
        (0, _) => "client-aborts-before-response",
        (..500, _) => return Blame::None,
        (_, b"CapacityExceeded" | b"LimitExceeded") => "cf-capacity-or-limit",
        (_, b"OriginDnsError") => "cf-origin-dns-error",
        (504, b"OriginConnectError") => "cf-origin-unreachable-timeout",
        (504, b"OriginCommError" | b"OriginReadError") => "cf-origin-response-timeout",
        (_, b"OriginConnectError") => "cf-origin-connect-refused",
        (_, b"OriginCommError" | b"OriginReadError" | b"OriginWriteError") => "cf-origin-keepalive-race",
        (
            _,
            b"OriginHeaderTooBigError"
            | b"OriginInvalidResponseError"
            | b"OriginContentRangeLengthError"
            | b"OriginZeroSizeObjectError",
        ) => "cf-origin-bad-response",
        (502, b"OriginError") => "cf-origin-bad-response",
        // Answered at once and without asking the origin.
        (_, b"Error") if error && (0..2_000).contains(&r.took) => "cf-error-cached",
        _ => "cf-origin-returned-5xx",
    })
}

fn api_gateway(r: &Row<'_>) -> Blame {
    let has = |part: &[u8]| memchr::memmem::find(r.reason, part).is_some();
    Blame::Cause(match (r.lb, r.status) {
        (..500, _) => return Blame::None,
        (_, s) if has(b"INTEGRATION_TIMEOUT") || (r.lb == 504 && s == 0 && !has(b"INTEGRATION_FAILURE")) => {
            "apigw-integration-timeout"
        }
        (504, _) => "apigw-private-integration-broken",
        (_, _) if has(b"imed out") => "lambda-timeout",
        (_, 429) => "lambda-throttled",
        (_, 400..=499) if has(b"API_CONFIGURATION_ERROR") || r.lb == 500 => "apigw-lambda-invoke-rejected",
        (502, 502..=504) => "local-proxy-upstream-failure",
        (502, 500..) => "apigw-lambda-function-error",
        (502, 200) if r.class == b"200" || has(b"Malformed") || r.reason.is_empty() => {
            "apigw-lambda-malformed-response"
        }
        (502, 0) if has(b"Malformed") => "apigw-lambda-malformed-response",
        (502, _) => "apigw-lambda-function-error",
        (503, 0) => "apigw-private-integration-broken",
        (s, t) if s == t => "app-exception-or-plugin-bug",
        _ if has(b"API_CONFIGURATION_ERROR") => "apigw-integration-mapping-error",
        _ => UNKNOWN,
    })
}

fn azure(r: &Row<'_>) -> Blame {
    Blame::Cause(match (r.lb, r.reason) {
        (_, b"ERRORINFO_CLIENT_CLOSED_REQUEST") | (499, _) => "client-aborts-before-response",
        (_, b"ERRORINFO_UPSTREAM_NO_LIVE") => "azure-all-backends-unhealthy",
        (_, b"ERRORINFO_UPSTREAM_CLOSED_CONNECTION") => "azure-backend-reset",
        (_, b"ERRORINFO_UPSTREAM_TIMED_OUT") => "azure-request-timeout",
        (_, reason)
            if reason.starts_with(b"ERRORINFO_") && r.lb < 500 && r.lb >= 400 && r.target.is_empty() =>
        {
            "client-request-rejected"
        }
        (..500, _) => return Blame::None,
        (504, _) if r.status == 0 => "azure-request-timeout",
        (s, _) if s == r.status => match s {
            502..=504 => "local-proxy-upstream-failure",
            _ => "app-exception-or-plugin-bug",
        },
        (502, _) if r.target.is_empty() => "azure-empty-backend-pool",
        _ => UNKNOWN,
    })
}

fn web(r: &Row<'_>) -> Blame {
    Blame::Cause(match r.lb {
        499 => "client-aborts-before-response",
        // What nginx and Apache give when what stands behind them does not answer.
        502..=504 => "local-proxy-upstream-failure",
        500 => "app-exception-or-plugin-bug",
        501.. => UNKNOWN,
        400 | 408 | 413 | 414 | 431 | 494..=497 => "client-request-rejected",
        _ => return Blame::None,
    })
}

/// By the first two characters of the termination state.
fn haproxy(r: &Row<'_>) -> Blame {
    let state = r.reason.first_chunk::<2>().copied().unwrap_or(*b"--");
    Blame::Cause(match (state[0].to_ascii_uppercase(), state[1]) {
        (b'C', _) => "client-aborts-before-response",
        (b'S' | b'P', _) if r.lb >= 500 => "local-proxy-upstream-failure",
        (_, b'R') => "client-request-rejected",
        (b'-', _) if r.lb >= 500 => match r.lb {
            502..=504 => "local-proxy-upstream-failure",
            _ => "app-exception-or-plugin-bug",
        },
        _ if r.lb >= 500 => UNKNOWN,
        _ => return Blame::None,
    })
}
