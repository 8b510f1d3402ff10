//! The one place every request passes, below everything that decides what to
//! ask. It refuses what is not a read, keeps the host of custom endpoints as
//! it was given, refuses answers that are not all there, and notes each call.

use super::operations::{self, Deed};
use super::whole::{self, Wire};
use crate::sources::Call;
use crate::text::SafeText;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_types::endpoint_config::EndpointUrl;
use aws_types::request_id::RequestId;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;

/// The interceptor of all our clients.
#[derive(Debug)]
pub struct Guard {
    allow_changes: bool,
    calls: mpsc::Sender<Call>,
    /// Queries started here and not ended here: no others are ever ended.
    ours: Mutex<HashSet<String>>,
}

impl Guard {
    /// Notes go to `calls`; when nobody takes them they are let go.
    pub fn new(allow_changes: bool, calls: mpsc::Sender<Call>) -> Self {
        Self { allow_changes, calls, ours: Mutex::default() }
    }

    fn refuse(&self, cfg: &ConfigBag) -> Result<(), BoxError> {
        let (service, name) =
            cfg.load::<Metadata>().map_or(("an unnamed service", ""), |m| (m.service(), m.name()));
        if operations::may_sign(service, name, self.allow_changes) {
            return Ok(());
        }
        Err(Refused { operation: format!("{service} {name}") }.into())
    }
}

/// A request that must not be signed.
#[derive(Debug, thiserror::Error)]
#[error("refused to sign {operation}: it is not on the list of reads")]
pub struct Refused {
    operation: String,
}

/// An answer that is not all there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotWhole(String);

#[derive(Debug)]
struct Begun(Timestamp, Instant);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Begun(Timestamp::now(), Instant::now()));
        Ok(())
    }

    /// The first look, before credentials are so much as loaded.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.refuse(cfg)
    }

    /// Live tail asks for the host `stream-HOST`, also where HOST is a custom
    /// endpoint that has no such sibling. There the prefix is taken off before
    /// the endpoint is applied, so that the request goes, and is signed for,
    /// where it was told to go.
    fn modify_before_retry_loop(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let streaming =
            cfg.load::<EndpointPrefix>().is_some_and(|p| matches!(p.as_str(), "stream-" | "streaming-"));
        let elsewhere = cfg.load::<EndpointUrl>().is_some_and(|url| !has_stream_sibling(&url.0));
        if streaming && elsewhere {
            cfg.interceptor_state().unset::<EndpointPrefix>();
        }
        Ok(())
    }

    /// The second look: nothing between the first one and the signer may have
    /// put another operation in place.
    fn read_before_signing(
        &self,
        ctx: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.refuse(cfg)?;
        let Some(meta) = cfg.load::<Metadata>() else { return Ok(()) };
        // A body that cannot be looked at is not believed.
        let body = ctx.request().body().bytes().unwrap_or_default();
        if !self.allow_changes && operations::changes(meta.service(), meta.name(), body) {
            let what = "with anything but a single SELECT";
            return Err(Refused { operation: format!("{} {} {what}", meta.service(), meta.name()) }.into());
        }
        if let Some((field, Deed::Ends)) = operations::query_field(meta.service(), meta.name()) {
            let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
            if !named(body, field).is_some_and(|id| ours.contains(&id)) {
                let what = "of a query that was not started here";
                return Err(
                    Refused { operation: format!("{} {} {what}", meta.service(), meta.name()) }.into()
                );
            }
        }
        if meta.service() == "SSM" && meta.name() == "SendCommand" && !only_asks(body) {
            return Err(Refused { operation: "SSM SendCommand with a script of its own".into() }.into());
        }
        if meta.service() == "ECS" && meta.name() == "ExecuteCommand" && !only_asks_inside(body) {
            return Err(Refused { operation: "ECS ExecuteCommand with a command of its own".into() }.into());
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        ctx: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A body that streams has no bytes in memory; its own framing has checksums.
        let response = ctx.response();
        let (Some(body), Some(meta)) = (response.body().bytes(), cfg.load::<Metadata>()) else {
            return Ok(());
        };
        if !response.status().is_success() {
            return Ok(());
        }
        if let Some((field, Deed::Starts)) = operations::query_field(meta.service(), meta.name())
            && let Some(id) = named(body, field)
        {
            self.ours.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
        let wire = match meta.service() {
            "CloudWatch" | "CloudWatch Logs" | "ECS" | "CloudTrail" | "ACM" | "Lambda" | "SSM"
            | "API Gateway" | "ApiGatewayV2" | "Athena" | "WAFV2" | "CodeDeploy" | "XRay" => Wire::Json,
            "EC2"
            | "STS"
            | "Elastic Load Balancing v2"
            | "Auto Scaling"
            | "RDS"
            | "CloudFront"
            | "Route 53"
            | "ElastiCache"
            | "Elastic Load Balancing" => Wire::Xml,
            "S3" if meta.name() == "ListObjectsV2" => Wire::Xml,
            _ => return Ok(()),
        };
        whole::check(wire, body).map_err(|what| NotWhole(what).into())
    }

    fn read_after_execution(
        &self,
        ctx: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(Begun(at, start)), Some(meta)) = (cfg.load::<Begun>(), cfg.load::<Metadata>()) else {
            return Ok(());
        };
        let operation = operations::find(meta.service(), meta.name())
            .map_or_else(|| format!("{}:{}", meta.service(), meta.name()), |op| op.id.to_string());
        let request_id = ctx.response().and_then(|r| r.request_id()).unwrap_or_default();
        let call = Call {
            at: *at,
            operation: operation.into(),
            took_ms: u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX),
            request_id: SafeText::capped(request_id, 80),
            failure: failure(ctx),
            answered_at: ctx.response().and_then(|r| date(r.headers().get("date")?)),
        };
        // The log of calls is a courtesy: it never makes a call wait.
        let _ = self.calls.try_send(call);
        Ok(())
    }
}

/// The query a document names.
fn named(body: &[u8], field: &str) -> Option<String> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get(field)?.as_str().map(String::from)
}

/// Does a `SendCommand` run the list of questions to hosts, and nothing
/// besides? Not even with changes allowed is anything else sent to a host.
fn only_asks(body: &[u8]) -> bool {
    let Ok(said) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    let lines = said["Parameters"]["commands"].as_array();
    let lines: Option<Vec<&str>> = lines.and_then(|all| all.iter().map(serde_json::Value::as_str).collect());
    said["DocumentName"] == "AWS-RunShellScript" && lines.is_some_and(|l| crate::sources::host::is_ours(&l))
}

/// The same of an `ExecuteCommand`.
fn only_asks_inside(body: &[u8]) -> bool {
    let said = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    said["command"].as_str().is_some_and(crate::sources::host::is_inside)
}

/// The time in a `Date` header: `Sun, 22 Nov 2026 01:53:50 GMT`.
fn date(header: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(header).ok().map(|z| z.timestamp())
}

/// The failure in one phrase: the service's code, else what kind of trouble.
fn failure(ctx: &FinalizerInterceptorContextRef<'_>) -> SafeText {
    let Some(Err(error)) = ctx.output_or_error() else { return SafeText::default() };
    if error.is_timeout_error() {
        return "timed out".into();
    }
    if let Some(response) = ctx.response() {
        if error.is_operation_error() {
            let body = response.body().bytes().unwrap_or_default();
            let code = error_code(response.headers().get("x-amzn-errortype"), body);
            let code = code.unwrap_or_else(|| format!("HTTP {}", response.status().as_u16()));
            return SafeText::capped(code, 120);
        }
        return "unreadable answer".into();
    }
    if error.is_connector_error() { "unreachable".into() } else { "not sent".into() }
}

/// The error code of an answer, however the protocol writes it.
fn error_code(header: Option<&str>, body: &[u8]) -> Option<String> {
    let short = |code: &str| {
        let code = code.rsplit('#').next().unwrap_or(code);
        code.split(':').next().unwrap_or(code).to_string()
    };
    if let Some(code) = header {
        return Some(short(code));
    }
    let text = std::str::from_utf8(body).ok()?;
    if let Some((_, tail)) = text.split_once("<Code>") {
        return Some(tail.split_once('<')?.0.to_string());
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(short(value.get("__type").or_else(|| value.get("code"))?.as_str()?))
}

/// True for AWS's own public Logs endpoints: only they have a `stream-` twin.
fn has_stream_sibling(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |u| u.1);
    let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let ours =
        [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu", ".api.amazonwebservices.com.cn"];
    (host.starts_with("logs.") || host.starts_with("logs-fips.")) && ours.iter().any(|d| host.ends_with(d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use std::sync::Arc;

    #[test]
    fn reads_the_time_of_an_answer() {
        let at = date("Sun, 22 Nov 2026 01:53:50 GMT").unwrap();
        assert_eq!(at, "2026-11-22T01:53:50Z".parse().unwrap());
        assert_eq!(date("yesterday"), None);
    }

    #[test]
    fn knows_which_endpoints_have_a_stream_twin() {
        let table = [
            ("https://logs.us-east-1.amazonaws.com", true),
            ("https://logs.us-east-1.amazonaws.com:443/", true),
            ("https://logs-fips.us-gov-west-1.amazonaws.com", true),
            ("https://logs.eu-west-1.api.aws", true),
            ("http://127.0.0.1:5000", false),
            ("http://[::1]:5000", false),
            ("http://localhost:4566/", false),
            ("https://vpce-0a1-b2.logs.us-east-1.vpce.amazonaws.com", false),
            ("https://logs.example.com", false),
            ("https://logs.amazonaws.com.evil.example", false),
        ];
        for (url, want) in table {
            assert_eq!(has_stream_sibling(url), want, "{url}");
        }
    }

    /// Notes where a request would have gone.
    #[derive(Clone, Debug, Default)]
    struct Recorder(Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Recorder {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            self.0.lock().unwrap().push(request.uri().to_string());
            HttpConnectorFuture::ready(Err(ConnectorError::io("recorded".into())))
        }
    }

    #[tokio::test]
    async fn live_tail_goes_to_the_stream_twin_where_there_is_one() {
        let table = [
            (None, "https://stream-logs.us-east-1.amazonaws.com/"),
            (Some("https://logs.us-east-1.amazonaws.com"), "https://stream-logs.us-east-1.amazonaws.com/"),
            (Some("http://127.0.0.1:5000"), "http://127.0.0.1:5000/"),
            (Some("http://[::1]:5000"), "http://[::1]:5000/"),
            (Some("https://logs.example.com"), "https://logs.example.com/"),
        ];
        for (endpoint, want) in table {
            let recorder = Recorder::default();
            let connector = recorder.clone();
            let config = aws_sdk_cloudwatchlogs::Config::builder()
                .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
                .region(aws_config::Region::new("us-east-1"))
                .credentials_provider(aws_credential_types::Credentials::new("A", "s", None, None, "test"))
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone())))
                .retry_config(aws_config::retry::RetryConfig::disabled())
                .interceptor(Guard::new(false, mpsc::channel(1).0));
            let config = match endpoint {
                Some(url) => config.endpoint_url(url).build(),
                None => config.build(),
            };
            let client = aws_sdk_cloudwatchlogs::Client::from_conf(config);
            let arn = "arn:aws:logs:us-east-1:1:log-group:/app";
            let _ = client.start_live_tail().log_group_identifiers(arn).send().await;
            let _ = client.describe_log_groups().send().await;
            let went = recorder.0.lock().unwrap().clone();
            assert_eq!(went.len(), 2, "{endpoint:?}");
            assert_eq!(went[0], want, "{endpoint:?}");
            assert!(!went[1].contains("stream-"), "{endpoint:?}: {}", went[1]);
        }
    }

    #[test]
    fn reads_the_code_of_every_protocol() {
        let table: [(Option<&str>, &str, Option<&str>); 6] = [
            (
                None,
                "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
                Some("Throttling"),
            ),
            (
                None,
                "<Response><Errors><Error><Code>RequestLimitExceeded</Code>",
                Some("RequestLimitExceeded"),
            ),
            (
                None,
                r#"{"__type":"com.amazon#ThrottlingException","message":"x"}"#,
                Some("ThrottlingException"),
            ),
            (Some("AccessDeniedException:http://internal/"), "", Some("AccessDeniedException")),
            (None, "<html>502</html>", None),
            (None, "", None),
        ];
        for (header, body, want) in table {
            assert_eq!(error_code(header, body.as_bytes()).as_deref(), want, "{body}");
        }
    }
}
