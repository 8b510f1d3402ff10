//! Signed requests to services of which we need a few operations each:
//! CloudWatch, ECS, CloudTrail, S3, Auto Scaling, ACM, RDS, Lambda, SSM, CloudFront,
//! Route 53, API Gateway, Classic ELB, WAF, CodeDeploy, ElastiCache, X-Ray. The SDK's own crates for these are a
//! million lines to compile for two score questions. What
//! matters of them is used as it is: orchestrator, credentials, signer, HTTP
//! client, and the [guard](super::guard) as interceptor like everywhere else.

use super::operations::Operation as Row;
use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::identity::{SharedIdentityCache, SharedIdentityResolver};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use aws_types::service_config::ServiceConfigKey;

/// A service as requests know it.
#[derive(Debug)]
pub struct Service {
    /// As in the table of operations.
    pub sdk: &'static str,
    /// As in `AWS_ENDPOINT_URL_...` and profiles.
    config: &'static str,
    /// First label of its host name, and its name in signatures.
    host: &'static str,
    /// One for all regions of a partition.
    global: bool,
}

const fn service(sdk: &'static str, config: &'static str, host: &'static str) -> Service {
    Service { sdk, config, host, global: false }
}

/// A service that has no region; its requests are signed for the partition's first.
const fn global(sdk: &'static str, config: &'static str, host: &'static str) -> Service {
    Service { sdk, config, host, global: true }
}

const SERVICES: [Service; 19] = [
    service("Athena", "athena", "athena"),
    service("CloudWatch", "cloudwatch", "monitoring"),
    service("ECS", "ecs", "ecs"),
    service("CloudTrail", "cloudtrail", "cloudtrail"),
    service("S3", "s3", "s3"),
    service("Auto Scaling", "auto_scaling", "autoscaling"),
    service("ACM", "acm", "acm"),
    service("RDS", "rds", "rds"),
    service("Lambda", "lambda", "lambda"),
    service("SSM", "ssm", "ssm"),
    service("WAFV2", "wafv2", "wafv2"),
    service("CodeDeploy", "codedeploy", "codedeploy"),
    service("ElastiCache", "elasticache", "elasticache"),
    service("XRay", "xray", "xray"),
    global("CloudFront", "cloudfront", "cloudfront"),
    global("Route 53", "route_53", "route53"),
    service("API Gateway", "api_gateway", "apigateway"),
    service("ApiGatewayV2", "apigatewayv2", "apigateway"),
    service("Elastic Load Balancing", "elastic_load_balancing", "elasticloadbalancing"),
];

/// One question: what is sent besides host and signature.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub method: &'static str,
    /// Path and query, encoded; begins with a slash.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// S3: the bucket asked.
    pub bucket: Option<String>,
}

impl Question {
    /// JSON with a target header. CloudWatch speaks version 1.0 of that, the
    /// others 1.1.
    pub fn json(target: &str, body: &serde_json::Value) -> Self {
        Question {
            method: "POST",
            path: "/".into(),
            headers: vec![
                (
                    "content-type",
                    format!("application/x-amz-json-1.{}", u8::from(!target.starts_with("Granite"))),
                ),
                ("x-amz-target", target.into()),
            ],
            body: body.to_string(),
            bucket: None,
        }
    }

    /// The query protocol: a form.
    pub fn form(action: &str, version: &str, fields: &[(String, String)]) -> Self {
        let mut body = format!("Action={action}&Version={version}");
        for (k, v) in fields {
            body.push_str(&format!("&{}={}", encode(k), encode(v)));
        }
        let kind = "application/x-www-form-urlencoded; charset=utf-8".into();
        Question {
            method: "POST",
            path: "/".into(),
            headers: vec![("content-type", kind)],
            body,
            bucket: None,
        }
    }

    /// A plain GET.
    pub fn get(path: impl Into<String>) -> Self {
        Question { method: "GET", path: path.into(), ..Question::default() }
    }
}

/// Percent-encodes everything but the unreserved characters (RFC 3986).
pub fn encode(text: &str) -> String {
    encode_but(text, false)
}

/// The same, leaving slashes: for keys of objects.
pub fn encode_path(text: &str) -> String {
    encode_but(text, true)
}

fn encode_but(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') || (slashes && b == b'/') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub struct Body(pub Vec<u8>);

/// An error the service answered with.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.code().unwrap_or("error"), .0.message().unwrap_or_default())]
pub struct ServiceError(ErrorMetadata);

impl ProvideErrorMetadata for ServiceError {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// Sends questions of all these services.
#[derive(Debug)]
pub struct Plain {
    region: Region,
    http: aws_smithy_runtime_api::client::http::SharedHttpClient,
    credentials: SharedCredentialsProvider,
    cache: SharedIdentityCache,
    timeouts: TimeoutConfig,
    sleep: Option<aws_smithy_async::rt::sleep::SharedAsyncSleep>,
    guard: SharedInterceptor,
    endpoints: [Option<String>; SERVICES.len()],
    fips: bool,
    dual_stack: bool,
}

impl Plain {
    /// Takes what all clients share; `None` where there are no credentials at all.
    pub fn new(sdk: &SdkConfig, guard: impl Intercept + 'static) -> Option<Self> {
        let own = |s: &Service| {
            let key = ServiceConfigKey::builder()
                .service_id(s.config)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build()
                .ok()?;
            let given = sdk.service_config().and_then(|c| c.load_config(key));
            given.filter(|url| !url.is_empty()).or_else(|| sdk.endpoint_url().map(String::from))
        };
        Some(Self {
            region: sdk.region()?.clone(),
            http: sdk.http_client()?,
            credentials: sdk.credentials_provider()?,
            cache: sdk.identity_cache()?,
            timeouts: sdk.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled),
            sleep: sdk.sleep_impl(),
            guard: SharedInterceptor::new(guard),
            endpoints: SERVICES.each_ref().map(own),
            fips: sdk.use_fips().unwrap_or(false),
            dual_stack: sdk.use_dual_stack().unwrap_or(false),
        })
    }

    /// Where questions to this service go, by its name in the table.
    pub fn endpoint(&self, sdk: &str) -> Option<String> {
        let (i, service) = SERVICES.iter().enumerate().find(|(_, s)| s.sdk == sdk)?;
        let own = self.endpoints[i].as_deref();
        let flags = (self.fips, self.dual_stack);
        Some(address(service, self.region.as_ref(), own, flags, &Question::get("/")).0)
    }

    /// Asks.
    pub async fn send(
        &self,
        row: &'static Row,
        question: Question,
    ) -> Result<Body, SdkError<ServiceError, HttpResponse>> {
        let refuse = |what: String| SdkError::construction_failure(BoxError::from(what));
        let (i, service) = SERVICES
            .iter()
            .enumerate()
            .find(|(_, s)| s.sdk == row.sdk_service)
            .ok_or_else(|| refuse(format!("no such service here: {}", row.sdk_service)))?;
        let s3 = service.host == "s3";
        let (endpoint, path) = address(
            service,
            self.region.as_ref(),
            self.endpoints[i].as_deref(),
            (self.fips, self.dual_stack),
            &question,
        );
        let mut signing = SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(if service.global {
                Region::new(first_region(self.region.as_ref()))
            } else {
                self.region.clone()
            })),
            name: Some(SigningName::from(service.host)),
            ..SigV4OperationSigningConfig::default()
        };
        if s3 {
            signing.signing_options.double_uri_encode = false;
            signing.signing_options.normalize_uri_path = false;
            signing.signing_options.content_sha256_header = true;
        }
        let mut layer = Layer::new("signing");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(signing);
        let mut parts = RuntimeComponentsBuilder::new("signing")
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_identity_cache(Some(self.cache.clone()));
        parts.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )));
        parts.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(self.credentials.clone()));
        let mut operation = Operation::builder()
            .service_name(service.sdk)
            .operation_name(row.name)
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .http_client(self.http.clone())
            .endpoint_url(&endpoint)
            .timeout_config(self.timeouts.clone())
            .no_retry()
            .interceptor(self.guard.clone())
            .runtime_plugin(
                StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(parts),
            );
        if let Some(sleep) = &self.sleep {
            operation = operation.sleep_impl(sleep.clone());
        }
        let operation = operation
            .serializer(move |q: Question| request(&q, &path))
            .deserializer(|response: &HttpResponse| read(response))
            .build();
        operation.invoke(question).await
    }
}

fn request(q: &Question, path: &str) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(q.body.clone()));
    request.set_method(q.method)?;
    request.set_uri(path)?;
    let headers = request.headers_mut();
    for (name, value) in &q.headers {
        headers.try_insert(*name, value.clone())?;
    }
    headers.try_insert("user-agent", concat!("badgate/", env!("CARGO_PKG_VERSION")))?;
    if !q.body.is_empty() {
        headers.try_insert("content-length", q.body.len().to_string())?;
    }
    Ok(request)
}

fn read(response: &HttpResponse) -> Result<Body, OrchestratorError<ServiceError>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(Body(body.to_vec()));
    }
    let (code, message) = error_of(response.headers().get("x-amzn-errortype"), body);
    let mut meta = ErrorMetadata::builder();
    if let Some(code) = code {
        meta = meta.code(code);
    }
    if let Some(message) = message {
        meta = meta.message(message);
    }
    Err(OrchestratorError::operation(ServiceError(meta.build())))
}

/// Code and message of an error, in JSON or XML.
fn error_of(header: Option<&str>, body: &[u8]) -> (Option<String>, Option<String>) {
    let short = |code: &str| {
        let code = code.rsplit('#').next().unwrap_or(code);
        code.split(':').next().unwrap_or(code).to_string()
    };
    let header = header.map(short);
    if let Ok(doc) = serde_json::from_slice::<serde_json::Value>(body) {
        let text = |names: &[&str]| names.iter().find_map(|n| doc.get(n)?.as_str().map(String::from));
        return (
            header.or_else(|| text(&["__type", "code", "Code"]).map(|c| short(&c))),
            text(&["message", "Message", "errorMessage"]),
        );
    }
    let root = super::xml::Node::parse(body).unwrap_or_default();
    let error = root.child("Error").or_else(|| root.at(&["Errors", "Error"])).unwrap_or(&root);
    let text = |name: &str| Some(error.text_of(name).to_string()).filter(|t| !t.is_empty());
    (header.or_else(|| text("Code")), text("Message"))
}

/// Where a question goes, and its path there.
fn address(
    service: &Service,
    region: &str,
    own: Option<&str>,
    (fips, dual_stack): (bool, bool),
    q: &Question,
) -> (String, String) {
    let in_path = |bucket: &str| {
        let rest = q.path.strip_prefix('/').unwrap_or(&q.path);
        let slash = if rest.is_empty() || rest.starts_with('?') { "" } else { "/" };
        format!("/{}{slash}{rest}", encode(bucket))
    };
    if let Some(url) = own {
        let path = q.bucket.as_deref().map_or_else(|| q.path.clone(), in_path);
        return (url.trim_end_matches('/').to_string(), path);
    }
    let (plain, dual) = suffixes(region);
    if service.global {
        // Source: the SDK's endpoint rules of these two services.
        let host = match (service.host, region.starts_with("cn-")) {
            ("cloudfront", true) => format!("cloudfront.cn-northwest-1.{plain}"),
            (host, _) => format!("{host}.{plain}"),
        };
        return (format!("https://{host}"), q.path.clone());
    }
    let name = format!("{}{}", service.host, if fips { "-fips" } else { "" });
    let host = match (service.host, dual_stack) {
        ("s3", true) => format!("{name}.dualstack.{region}.{plain}"),
        (_, true) => format!("{name}.{region}.{dual}"),
        (_, false) => format!("{name}.{region}.{plain}"),
    };
    match q.bucket.as_deref() {
        // A dot in the name does not fit the certificate of the virtual host.
        Some(b) if b.contains('.') => (format!("https://{host}"), in_path(b)),
        Some(b) => (format!("https://{b}.{host}"), q.path.clone()),
        None => (format!("https://{host}"), q.path.clone()),
    }
}

/// The region that requests to services without one are signed for.
pub fn first_region(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "cn-northwest-1",
        r if r.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// Suffixes of host names, plain and dual stack, by partition.
/// Source: the SDK's `partitions.json`.
fn suffixes(region: &str) -> (&'static str, &'static str) {
    match region {
        r if r.starts_with("cn-") => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        r if r.starts_with("us-iso-") => ("c2s.ic.gov", "api.aws.ic.gov"),
        r if r.starts_with("us-isob-") => ("sc2s.sgov.gov", "api.aws.scloud"),
        r if r.starts_with("eu-isoe-") => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        r if r.starts_with("us-isof-") => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        r if r.starts_with("eusc-") => ("amazonaws.eu", "api.amazonwebservices.eu"),
        _ => ("amazonaws.com", "api.aws"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(
        host: &str,
        region: &str,
        own: Option<&str>,
        flags: (bool, bool),
        bucket: Option<&str>,
    ) -> String {
        let service = SERVICES.iter().find(|s| s.config == host || s.host == host).unwrap();
        let q = Question { bucket: bucket.map(String::from), ..Question::get("/k/a?x=1") };
        let (endpoint, path) = address(service, region, own, flags, &q);
        format!("{endpoint}{path}")
    }

    #[test]
    fn addresses_are_those_of_the_services() {
        let no = (false, false);
        for (got, want) in [
            (place("acm", "eu-west-1", None, no, None), "https://acm.eu-west-1.amazonaws.com/k/a?x=1"),
            (place("rds", "cn-north-1", None, no, None), "https://rds.cn-north-1.amazonaws.com.cn/k/a?x=1"),
            (
                place("lambda", "us-east-1", None, (true, false), None),
                "https://lambda-fips.us-east-1.amazonaws.com/k/a?x=1",
            ),
            (
                place("lambda", "us-east-1", None, (false, true), None),
                "https://lambda.us-east-1.api.aws/k/a?x=1",
            ),
            (
                place("s3", "eu-west-1", None, no, Some("logs")),
                "https://logs.s3.eu-west-1.amazonaws.com/k/a?x=1",
            ),
            (
                place("s3", "eu-west-1", None, no, Some("a.b")),
                "https://s3.eu-west-1.amazonaws.com/a.b/k/a?x=1",
            ),
            (place("cloudfront", "eu-west-1", None, no, None), "https://cloudfront.amazonaws.com/k/a?x=1"),
            (place("route_53", "eu-west-1", None, no, None), "https://route53.amazonaws.com/k/a?x=1"),
            (
                place("apigatewayv2", "eu-west-1", None, no, None),
                "https://apigateway.eu-west-1.amazonaws.com/k/a?x=1",
            ),
            (place("s3", "x-y-1", Some("http://[::1]:9/"), no, Some("b")), "http://[::1]:9/b/k/a?x=1"),
            (
                place("s3", "eu-west-1", None, (false, true), Some("b")),
                "https://b.s3.dualstack.eu-west-1.amazonaws.com/k/a?x=1",
            ),
        ] {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn text_is_encoded_as_the_signer_expects() {
        assert_eq!(encode("a/b c+é~"), "a%2Fb%20c%2B%C3%A9~");
        assert_eq!(encode_path("a/b c"), "a/b%20c");
        let q = Question::form("DoIt", "2011", &[("Ids.member.1".into(), "i-1&x".into())]);
        assert_eq!(q.body, "Action=DoIt&Version=2011&Ids.member.1=i-1%26x");
    }

    #[test]
    fn errors_are_read_in_every_form() {
        let of = |h: Option<&str>, b: &str| error_of(h, b.as_bytes());
        let two = |a: &str, b: &str| (Some(a.to_string()), Some(b.to_string()));
        assert_eq!(
            of(None, r#"{"__type":"a.b#ThrottlingException","message":"m"}"#),
            two("ThrottlingException", "m")
        );
        assert_eq!(
            of(Some("AccessDeniedException:http://x"), r#"{"Message":"m"}"#),
            two("AccessDeniedException", "m")
        );
        let query = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        assert_eq!(of(None, query), two("AccessDenied", "no"));
        assert_eq!(
            of(None, "<Error><Code>NoSuchKey</Code><Message>x</Message></Error>"),
            two("NoSuchKey", "x")
        );
        assert_eq!(of(None, "gateway says no"), (None, None));
    }
}
