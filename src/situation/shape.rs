//! How one request failed, read from one row of a load balancer's access log.
//! The diagnosis and the reader of whole logs judge rows by this one table.
//! Source of the shapes: "Access logs" and "Troubleshoot your Application Load
//! Balancers", Elastic Load Balancing user guide.

/// How one request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// The target answered, and its answer was a 5xx.
    Answered,
    /// A function: the error reason says how.
    Lambda,
    /// 502 before the request was sent: refused or unreachable.
    Refused,
    /// 504 before the request was sent: nothing answered for ten seconds.
    Unconnected,
    /// 504 after the request was sent.
    Slow,
    /// 502 after the request was sent.
    Broken,
    /// 503 without a target.
    NoTarget,
    /// A fixed response by a rule.
    Fixed,
    /// The firewall or the identity provider.
    Auth,
    /// 460: the client left.
    Aborted,
    /// The load balancer refused the request itself.
    Rejected,
    Other,
}

/// What of a row decides its shape.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    /// Status the client got.
    pub elb: u16,
    /// Status the target gave; `None` when it gave none.
    pub status: Option<u16>,
    /// The row names no target.
    pub no_target: bool,
    /// None of the three times is known.
    pub untimed: bool,
    /// Seconds from request to response.
    pub took: Option<f64>,
    /// `-` or a code such as `LambdaInvalidResponse`.
    pub error_reason: &'a [u8],
    /// `waf,forward`.
    pub actions: &'a [u8],
}

/// The ten seconds in which a target must accept a connection.
const CONNECT_S: std::ops::RangeInclusive<f64> = 9.0..=12.5;

/// Status the client got when the row tells of a failure: a 5xx of anybody, or
/// a 4xx that no target gave.
pub fn failed(elb: u16, status: Option<u16>) -> bool {
    elb >= 500 || status.is_some_and(|s| s >= 500) || (elb >= 400 && status.is_none())
}

/// The shape of a failing row. `idle` is the load balancer's idle timeout in seconds.
pub fn shape(m: &Marks<'_>, idle: f64) -> Shape {
    let has = |starts: &[&str]| starts.iter().any(|s| m.error_reason.starts_with(s.as_bytes()));
    if m.status.is_some_and(|s| s >= 500) {
        return Shape::Answered;
    }
    if has(&["Lambda"]) {
        return Shape::Lambda;
    }
    if has(&["Auth", "JWT", "JWKS", "WAF"]) || contains(m.actions, b"waf-failed") || m.elb == 561 {
        return Shape::Auth;
    }
    if contains(m.actions, b"fixed-response") {
        return Shape::Fixed;
    }
    match m.elb {
        460 => Shape::Aborted,
        401 | 403 if m.actions.ends_with(b"waf") || contains(m.actions, b"authenticate") => Shape::Auth,
        400..=499 | 501 | 505 | 507 => Shape::Rejected,
        503 if m.no_target => Shape::NoTarget,
        502 if m.no_target => Shape::Other,
        502 if m.untimed => Shape::Refused,
        502 => Shape::Broken,
        504 if m.no_target => Shape::Other,
        504 if m.untimed => match m.took {
            // With an idle timeout of ten seconds the two look alike.
            Some(t) if CONNECT_S.contains(&t) || t < idle * 0.8 => Shape::Unconnected,
            None => Shape::Unconnected,
            Some(_) => Shape::Slow,
        },
        504 => Shape::Slow,
        _ => Shape::Other,
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|w| w == part)
}
