//! What the SDK's errors mean to a person: one [`Reason`] each.

use super::guard::{NotWhole, Refused};
use super::operations::Operation;
use crate::situation::Reason;
use crate::text::SafeText;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use std::error::Error;
use std::time::Duration;

/// Longest text of a service that is kept of an error.
const LONGEST: usize = 300;
/// A clock that is off by more than this can be the reason for a refused signature.
const SKEW: SignedDuration = SignedDuration::from_mins(4);

/// A call that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub reason: Reason,
    /// Trying again at once may well help.
    pub transient: bool,
    /// AWS said too much, and perhaps when to come back.
    pub throttled: Option<Option<Duration>>,
}

impl Failure {
    fn of(reason: Reason) -> Self {
        Self { reason, transient: false, throttled: None }
    }

    fn transient(reason: Reason) -> Self {
        Self { reason, transient: true, throttled: None }
    }
}

/// What is known about a call that failed, besides its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried<'a> {
    pub op: &'a Operation,
    /// How long the call ran.
    pub took: Duration,
    /// Tells a wrong clock from a wrong signature.
    pub now: Timestamp,
    /// Whose credentials were to be used, when somebody said.
    pub profile: Option<&'a str>,
}

/// Reads one error.
pub(super) fn read<E>(tried: Tried<'_>, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(refused) = find::<Refused>(error) {
        return Failure::of(Reason::Failed {
            code: "not allowed".into(),
            detail: text(&refused.to_string()),
        });
    }
    match error {
        SdkError::TimeoutError(_) => Failure::of(timed_out(tried.took)),
        SdkError::ServiceError(context) => service(tried, context.err(), context.raw()),
        SdkError::ResponseError(context) => {
            let detail = match find::<NotWhole>(error) {
                Some(what) => what.to_string(),
                None if !context.raw().status().is_success() => {
                    return http_error(context.raw());
                }
                None => root(error),
            };
            Failure::transient(Reason::Malformed { detail: text(&detail) })
        }
        other => {
            if let Some(credentials) = find::<CredentialsError>(other) {
                return Failure::of(Reason::Credentials {
                    detail: text(&no_credentials(credentials, tried.profile)),
                });
            }
            if let SdkError::DispatchFailure(f) = other {
                if f.is_timeout() {
                    return Failure::of(timed_out(tried.took));
                }
                if f.is_io() || f.is_other() {
                    return Failure::transient(Reason::Offline { detail: text(&root(other)) });
                }
            }
            Failure::of(Reason::Failed { code: "not sent".into(), detail: text(&root(other)) })
        }
    }
}

fn timed_out(took: Duration) -> Reason {
    Reason::TimedOut { after_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
}

fn service<E>(tried: Tried<'_>, e: &E, raw: &HttpResponse) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Tried { op, now, .. } = tried;
    // The SDK has this name for an answer it cannot read, too.
    if raw.status().is_success() {
        return Failure::transient(Reason::Malformed { detail: text(&root(e)) });
    }
    let code = e.code().unwrap_or_default();
    let message = e.message().unwrap_or_default();
    let status = raw.status().as_u16();
    let bare = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    match bare {
        "" => http_error(raw),
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "BandwidthLimitExceeded" => throttled(raw),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "UnauthorizedAccess"
        | "NotAuthorized"
        | "AuthorizationErrorException" => {
            let action = named_action(message).unwrap_or_else(|| op.action.unwrap_or(op.id).to_string());
            Failure::of(Reason::Denied { action: SafeText::capped(action, 120) })
        }
        "RequestTimeTooSkewed" | "RequestInTheFuture" => skewed(raw, now),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "CredentialsExpired" => {
            Failure::of(expired())
        }
        "RequestExpired"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "AuthFailure"
        | "InvalidSignature" => match offset(raw, now) {
            Some(off) if off.abs() > SKEW => skewed(raw, now),
            _ if mentions_time(message) => skewed(raw, now),
            _ if bare == "RequestExpired" => Failure::of(expired()),
            _ if bare == "AuthFailure" => Failure::of(invalid(code)),
            _ => Failure::of(credentials(
                "the signature was refused: check the secret access key, then reload with R",
            )),
        },
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidToken"
        | "InvalidTokenException" => Failure::of(invalid(code)),
        "OptInRequired" | "SubscriptionRequiredException" => {
            Failure::of(credentials("this account has not enabled the service or region"))
        }
        _ if status == 429 => throttled(raw),
        _ if missing(bare) => {
            let what = if message.is_empty() { code } else { message };
            Failure::of(Reason::NotFound { what: text(what) })
        }
        _ => {
            let reason = Reason::Failed { code: SafeText::capped(code, 80), detail: text(message) };
            if status >= 500 && status != 501 { Failure::transient(reason) } else { Failure::of(reason) }
        }
    }
}

/// `TargetGroupNotFound`, `InvalidInstanceID.NotFound`, `ClusterNotFoundException`...
fn missing(code: &str) -> bool {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    code.ends_with("NotFound")
        || matches!(code, "NoSuchDistribution" | "NoSuchHostedZone" | "NoSuchBucket" | "NoSuchKey")
}

/// The action an "is not authorized to perform: ec2:DescribeSubnets" speaks
/// of; it may differ from the operation's own (kms:Decrypt behind a log group).
fn named_action(message: &str) -> Option<String> {
    let (_, tail) = message.split_once("perform: ")?;
    let action: String =
        tail.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '*')).collect();
    let (service, name) = action.split_once(':')?;
    (!service.is_empty() && !name.is_empty()).then_some(action)
}

fn mentions_time(message: &str) -> bool {
    ["Signature expired", "Signature not yet current", "not yet valid", "too skewed"]
        .iter()
        .any(|m| message.contains(m))
}

fn throttled(raw: &HttpResponse) -> Failure {
    let after = raw.headers().get("retry-after").and_then(|s| s.trim().parse().ok()).map(Duration::from_secs);
    // The caller puts the true time in once the limiter has said it.
    let reason = Reason::Throttled { until: Timestamp::UNIX_EPOCH };
    Failure { reason, transient: false, throttled: Some(after) }
}

fn http_error(raw: &HttpResponse) -> Failure {
    let status = raw.status().as_u16();
    if status == 429 {
        return throttled(raw);
    }
    let detail = raw.body().bytes().map(|b| SafeText::capped(b.trim_ascii(), 80)).unwrap_or_default();
    let reason = Reason::Failed { code: SafeText::from(format!("HTTP {status}")), detail };
    if status >= 500 && status != 501 { Failure::transient(reason) } else { Failure::of(reason) }
}

fn credentials(detail: &str) -> Reason {
    Reason::Credentials { detail: text(detail) }
}

fn expired() -> Reason {
    credentials("expired: renew them (for SSO: aws sso login), then reload with R")
}

fn invalid(code: &str) -> Reason {
    credentials(&format!("not valid ({code}): check profile and keys, then reload with R"))
}

/// AWS's clock minus ours, from the answer's Date header.
fn offset(raw: &HttpResponse, now: Timestamp) -> Option<SignedDuration> {
    let date = rfc2822::DateTimeParser::new().parse_timestamp(raw.headers().get("date")?).ok()?;
    Some(date.duration_since(now))
}

fn skewed(raw: &HttpResponse, now: Timestamp) -> Failure {
    let detail = match offset(raw, now) {
        Some(off) if off.abs() > SKEW => {
            let (amount, side) = (off.abs().as_secs(), if off.is_positive() { "behind" } else { "ahead of" });
            let amount = if amount >= 600 { format!("{} min", amount / 60) } else { format!("{amount} s") };
            format!("this machine's clock is {amount} {side} AWS's: set it right")
        }
        _ => "AWS refused the time of the signature: check this machine's clock".into(),
    };
    // The SDK has learnt the offset from this very answer: the next try is signed with it.
    Failure::transient(credentials(&detail))
}

fn no_credentials(e: &CredentialsError, profile: Option<&str>) -> String {
    let why = deepest(e);
    match (e, profile) {
        (CredentialsError::CredentialsNotLoaded(_), None) => {
            "none found: set AWS_PROFILE or --profile, or log in (aws sso login), then reload with R".into()
        }
        // The SDK says what is wrong with a profile once, to whoever asks first.
        (CredentialsError::CredentialsNotLoaded(_), Some(p)) => no_profile(p),
        (_, Some(p)) if why.contains("initialization error") || why.contains("not defined") => no_profile(p),
        (CredentialsError::ProviderTimedOut(_), _) => {
            "their source did not answer in time; reload with R".into()
        }
        (CredentialsError::InvalidConfiguration(_), _) => format!("configuration is not valid: {why}"),
        _ if is_login(&why) => {
            "the login has expired: log in again (aws sso login), then reload with R".into()
        }
        _ => format!("could not be had: {why}"),
    }
}

fn no_profile(name: &str) -> String {
    format!("profile {name} does not exist or holds none: check ~/.aws/config, log in, then reload with R")
}

fn is_login(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    why.contains("expired") || why.contains("sso token") || why.contains("unauthorizedexception")
}

/// Looks through an error and its sources.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<T>() {
            return Some(found);
        }
        next = e.source();
    }
    None
}

/// The last source of an error: what really happened.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// The last two different words of the chain: `dns error: no such host`.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(e) = next {
        let text = e.to_string();
        if said.last().is_none_or(|l| !l.contains(&text)) {
            said.push(text);
        }
        next = e.source();
    }
    let from = said.len().saturating_sub(2);
    said[from..].join(": ")
}

fn text(s: &str) -> SafeText {
    SafeText::capped(s.trim(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::aws::operations::{DESCRIBE_SUBNETS, DESCRIBE_TARGET_HEALTH};
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    type Sdk = SdkError<DescribeTargetHealthError, HttpResponse>;

    fn now() -> Timestamp {
        "2026-11-22T02:00:00Z".parse().unwrap()
    }

    fn tried(op: &'static Operation) -> Tried<'static> {
        Tried { op, took: Duration::from_secs(8), now: now(), profile: None }
    }

    fn answered(status: u16, code: &str, message: &str, headers: &[(&'static str, &'static str)]) -> Failure {
        let mut raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::from("<html>\u{1b}[31m</html>"));
        for (k, v) in headers {
            raw.headers_mut().insert(*k, *v);
        }
        let mut meta = ErrorMetadata::builder();
        if !code.is_empty() {
            meta = meta.code(code).message(message);
        }
        let error: Sdk = SdkError::service_error(DescribeTargetHealthError::generic(meta.build()), raw);
        read(tried(&DESCRIBE_TARGET_HEALTH), &error)
    }

    #[test]
    fn every_code_has_its_reason() {
        let table = [
            (400, "Throttling", "throttled"),
            (503, "RequestLimitExceeded", "throttled"),
            (400, "ThrottlingException", "throttled"),
            (429, "Whatever", "throttled"),
            (403, "AccessDenied", "denied"),
            (403, "UnauthorizedOperation", "denied"),
            (403, "Client.UnauthorizedOperation", "denied"),
            (400, "AccessDeniedException", "denied"),
            (403, "ExpiredToken", "credentials"),
            (400, "ExpiredTokenException", "credentials"),
            (400, "RequestExpired", "credentials"),
            (403, "InvalidClientTokenId", "credentials"),
            (400, "UnrecognizedClientException", "credentials"),
            (401, "AuthFailure", "credentials"),
            (403, "SignatureDoesNotMatch", "credentials"),
            (400, "InvalidSignatureException", "credentials"),
            (400, "TargetGroupNotFound", "not found"),
            (400, "InvalidInstanceID.NotFound", "not found"),
            (400, "ClusterNotFoundException", "not found"),
            (400, "ValidationError", "failed"),
            (500, "InternalFailure", "failed"),
        ];
        for (status, code, word) in table {
            assert_eq!(answered(status, code, "m", &[]).reason.word(), word, "{code}");
        }
        assert!(answered(500, "InternalFailure", "", &[]).transient);
        assert!(!answered(501, "UnknownOperationException", "", &[]).transient);
        assert!(!answered(400, "ValidationError", "", &[]).transient);
    }

    #[test]
    fn a_denial_names_the_action_that_is_missing() {
        let plain = answered(403, "AccessDenied", "no", &[]).reason;
        assert_eq!(plain, Reason::Denied { action: "elasticloadbalancing:DescribeTargetHealth".into() });
        let other = answered(
            403,
            "AccessDenied",
            "User: x is not authorized to perform: kms:Decrypt on resource",
            &[],
        );
        assert_eq!(other.reason, Reason::Denied { action: "kms:Decrypt".into() });
    }

    #[test]
    fn throttling_carries_what_aws_asks_for() {
        assert_eq!(answered(400, "Throttling", "", &[]).throttled, Some(None));
        let seven = answered(429, "", "", &[("retry-after", "7")]).throttled;
        assert_eq!(seven, Some(Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let late = [("date", "Sun, 22 Nov 2026 02:12:30 GMT")];
        let phrase = answered(403, "SignatureDoesNotMatch", "Signature expired", &late).reason.phrase();
        assert!(phrase.contains("clock is 12 min behind"), "{phrase}");
        let early = [("date", "Sun, 22 Nov 2026 01:54:00 GMT")];
        let phrase = answered(403, "RequestTimeTooSkewed", "", &early).reason.phrase();
        assert!(phrase.contains("clock is 360 s ahead"), "{phrase}");
        let right = [("date", "Sun, 22 Nov 2026 02:00:01 GMT")];
        let phrase = answered(403, "SignatureDoesNotMatch", "The request signature we calculated", &right)
            .reason
            .phrase();
        assert!(phrase.contains("secret access key"), "{phrase}");
    }

    #[test]
    fn a_proxys_page_is_no_answer_and_carries_no_escape() {
        let got = answered(502, "", "", &[]);
        assert!(got.transient);
        let phrase = got.reason.phrase();
        assert!(
            phrase.contains("HTTP 502") && phrase.contains("^[[31m") && !phrase.contains('\u{1b}'),
            "{phrase}"
        );
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_no_error_of_the_service() {
        let got = answered(200, "", "", &[]);
        assert_eq!(got.reason.word(), "unreadable");
        assert!(got.transient);
    }

    #[test]
    fn transport_trouble_is_told_apart() {
        let read = |e: Sdk| read(tried(&DESCRIBE_SUBNETS), &e);
        assert_eq!(read(SdkError::timeout_error("x")).reason, Reason::TimedOut { after_ms: 8000 });
        let timeout = SdkError::dispatch_failure(ConnectorError::timeout("connect".into()));
        assert_eq!(read(timeout).reason.word(), "timed out");
        let refused = SdkError::dispatch_failure(ConnectorError::io("connection refused".into()));
        let refused = read(refused);
        assert!(refused.transient && refused.reason.phrase().contains("connection refused"));
        let none = CredentialsError::not_loaded_no_source();
        let none = read(SdkError::dispatch_failure(ConnectorError::other(none.into(), None)));
        assert!(none.reason.phrase().contains("none found"), "{:?}", none.reason);
        let prod = Tried { profile: Some("prod"), ..tried(&DESCRIBE_SUBNETS) };
        let none: Sdk = SdkError::dispatch_failure(ConnectorError::other(
            CredentialsError::not_loaded_no_source().into(),
            None,
        ));
        assert!(super::read(prod, &none).reason.phrase().contains("profile prod does not exist"));
        let half = HttpResponse::new(200.try_into().unwrap(), SdkBody::from("<a>"));
        let half = read(SdkError::response_error("XML cut off", half));
        assert!(half.transient && half.reason.word() == "unreadable");
    }
}
