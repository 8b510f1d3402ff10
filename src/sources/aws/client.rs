//! The clients of all services over one HTTP client and one credentials
//! cache, and [`Aws::call`], the way every question is asked.

use super::error::{self, Tried};
use super::guard::Guard;
use super::limiter::Limiter;
use super::operations::Operation;
use super::plain::{Body, Plain, Question, ServiceError};
use crate::situation::Reason;
use crate::sources::{Call, Options, Scope};
use crate::text::SafeText;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use std::error::Error;
use std::ffi::OsString;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// From the request's last byte to the answer's first.
const READ: Duration = Duration::from_secs(8);
/// One call with its body, unless the options say otherwise.
const DEADLINE: Duration = Duration::from_secs(12);
/// The SDK's own limits end a call this much earlier, so that it is noted.
const EARLIER: Duration = Duration::from_millis(500);
/// Loading configuration: profiles, and the instance's own region at worst.
const LOAD: Duration = Duration::from_secs(10);
/// Credentials are renewed this long before they end.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// The clients. All share connections and credentials.
#[derive(Debug)]
pub struct Clients {
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub sts: aws_sdk_sts::Client,
    /// The services we ask little of; `None` without credentials.
    pub plain: Option<Plain>,
    region: SafeText,
    expiry: Arc<Mutex<Option<Timestamp>>>,
}

/// A handle on one account and region. Cheap to clone; clones share the
/// budget, the pauses and, after [`Aws::reload`], the new credentials.
#[derive(Clone, Debug)]
pub struct Aws {
    shared: Arc<Shared>,
}

/// Where and as whom to ask, for those who do not want it from the
/// environment: an emulator with keys of its own.
#[derive(Clone, Debug)]
pub struct Place {
    pub endpoint_url: String,
    pub access_key: String,
    pub secret_key: String,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    place: Option<Place>,
    calls: mpsc::Sender<Call>,
    limiter: Limiter,
    clients: RwLock<Arc<Clients>>,
    /// Handles on other regions: a path through CloudFront is in two.
    elsewhere: tokio::sync::Mutex<Vec<(String, Aws)>>,
}

impl Aws {
    /// Reads configuration from options, environment and profile files; the
    /// finished calls are noted on `calls`. Takes as long as the region takes
    /// to find (a second or two where an instance must be asked for its own),
    /// so it belongs in a task.
    pub async fn load(options: Options, calls: mpsc::Sender<Call>) -> Result<Self, Reason> {
        Self::load_at(None, options, calls).await
    }

    /// As [`Aws::load`], but for an emulator when one is given.
    pub async fn load_at(
        place: Option<Place>,
        options: Options,
        calls: mpsc::Sender<Call>,
    ) -> Result<Self, Reason> {
        let clients = Clients::load(&options, place.as_ref(), &calls).await?;
        let clients = RwLock::new(Arc::new(clients));
        let elsewhere = tokio::sync::Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared { options, place, calls, limiter: Limiter::new(), clients, elsewhere }),
        })
    }

    /// Reads configuration and credentials anew, for every clone of this handle.
    pub async fn reload(&self) -> Result<(), Reason> {
        let place = self.shared.place.as_ref();
        let fresh = Clients::load(&self.shared.options, place, &self.shared.calls).await?;
        *self.shared.clients.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        // Those of other regions are made anew when they are next needed.
        self.shared.elsewhere.lock().await.clear();
        Ok(())
    }

    /// The same account in another region; this very handle in its own. Its
    /// budgets are its own, as they are at AWS.
    pub async fn in_region(&self, region: &str) -> Result<Aws, Reason> {
        if self.region().as_str() == region {
            return Ok(self.clone());
        }
        let mut known = self.shared.elsewhere.lock().await;
        if let Some((_, aws)) = known.iter().find(|(r, _)| r == region) {
            return Ok(aws.clone());
        }
        let options = Options { region: Some(region.to_string()), ..self.shared.options.clone() };
        let loading = Self::load_at(self.shared.place.clone(), options, self.shared.calls.clone());
        let aws = Box::pin(loading).await?;
        known.push((region.to_string(), aws.clone()));
        Ok(aws)
    }

    /// The region where CloudFront keeps metrics, certificates and changes.
    pub async fn global(&self) -> Result<Aws, Reason> {
        let first = super::plain::first_region(&self.region());
        self.in_region(first).await
    }

    /// The clients as of now. Ask for them anew for each call: credentials may
    /// have been reloaded in between.
    pub fn clients(&self) -> Arc<Clients> {
        self.shared.clients.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The options this handle was made with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The region asked; never empty.
    pub fn region(&self) -> SafeText {
        self.clients().region.clone()
    }

    /// Where it asks: the profile as it was given, and the region.
    pub fn scope(&self) -> Scope {
        Scope { profile: self.options().profile.clone(), region: Some(self.region().to_string()) }
    }

    /// The budgets, for those who show or plan with them.
    pub fn limiter(&self) -> &Limiter {
        &self.shared.limiter
    }

    /// When the credentials that were last used end; `None` when they do not
    /// say, or none were used yet.
    pub fn expiry(&self) -> Option<Timestamp> {
        *self.clients().expiry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once: waits for a token of the operation's family, sends, and maps
    /// what went wrong. One more try follows a failure that a second try tends
    /// to heal (a reset connection, a 5xx, an answer cut short).
    ///
    /// While the family is backing off the answer is
    /// [`Reason::Throttled`] at once and nothing is sent: come back at `until`.
    /// Never takes longer than the call's deadline and a second one for the
    /// second try, plus the wait for a token.
    pub async fn call<T, E, F, Fut>(&self, op: &'static Operation, ask: F) -> Result<T, Reason>
    where
        F: Fn(Arc<Clients>) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let mut again = true;
        let deadline = deadline(&self.shared.options);
        loop {
            let permit = self
                .shared
                .limiter
                .admit(op.family, op.urgent)
                .await
                .map_err(|until| Reason::Throttled { until })?;
            let start = Instant::now();
            let answer = timeout(deadline, ask(self.clients())).await;
            drop(permit);
            let took = start.elapsed();
            let failure = match answer {
                Ok(Ok(value)) => {
                    self.shared.limiter.answered(op.family);
                    return Ok(value);
                }
                Ok(Err(e)) => {
                    let profile = self.shared.options.profile.as_deref();
                    error::read(Tried { op, took, now: Timestamp::now(), profile }, &e)
                }
                Err(_) => {
                    let after_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                    return Err(Reason::TimedOut { after_ms });
                }
            };
            if let Some(retry_after) = failure.throttled {
                let until = self.shared.limiter.throttled(op.family, retry_after);
                return Err(Reason::Throttled { until });
            }
            // A second long wait is not worth it: the next poll asks again.
            if !(failure.transient && again && took < READ) {
                return Err(failure.reason);
            }
            again = false;
            sleep(Duration::from_millis(50).mul_f64(1.0 + 3.0 * super::jitter())).await;
        }
    }
}

impl Clients {
    /// Asks one of the services without a client of its own.
    pub async fn plain(
        &self,
        op: &'static Operation,
        question: Question,
    ) -> Result<Body, SdkError<ServiceError, HttpResponse>> {
        match &self.plain {
            Some(plain) => plain.send(op, question).await,
            None => Err(SdkError::construction_failure("there are no credentials")),
        }
    }
}

/// The longest that one call may take.
fn deadline(options: &Options) -> Duration {
    options.call_timeout.unwrap_or(DEADLINE).max(EARLIER * 2)
}

/// Hands credentials on, and keeps in mind when they end.
#[derive(Debug)]
struct Watched {
    inner: SharedCredentialsProvider,
    expiry: Arc<Mutex<Option<Timestamp>>>,
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let got = self.inner.provide_credentials().await?;
            let ends = got.expiry().and_then(|t| Timestamp::try_from(t).ok());
            *self.expiry.lock().unwrap_or_else(PoisonError::into_inner) = ends;
            Ok(got)
        })
    }
}

impl Clients {
    async fn load(
        options: &Options,
        place: Option<&Place>,
        calls: &mpsc::Sender<Call>,
    ) -> Result<Self, Reason> {
        if place.is_none() {
            endpoints_are_addresses(std::env::vars_os())?;
        }
        let whole = deadline(options) - EARLIER;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT.min(whole))
            .read_timeout(READ.min(whole))
            .operation_attempt_timeout(whole)
            .operation_timeout(whole + EARLIER / 2)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client()?)
            .timeout_config(timeouts)
            // Retries and back-off are ours (`Aws::call`): shared by all panes, and shown.
            .retry_config(RetryConfig::disabled())
            .identity_cache(IdentityCache::lazy().buffer_time(RENEW_BEFORE).load_timeout(READ).build())
            // Whole bodies fall under the attempt's limit; a live tail may well be silent.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(place) = place {
            let keys = Credentials::new(&place.access_key, &place.secret_key, None, None, "given");
            loader = loader.endpoint_url(&place.endpoint_url).credentials_provider(keys);
        }
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let sdk = timeout(LOAD, loader.load()).await.map_err(|_| Reason::TimedOut {
            after_ms: u64::try_from(LOAD.as_millis()).unwrap_or(u64::MAX),
        })?;
        let Some(region) = sdk.region().map(|r| r.as_ref().to_string()) else {
            return Err(Reason::Credentials { detail: no_region(options).into() });
        };
        if !is_region(&region) {
            let detail = format!("{region} is not a region: give one like eu-west-1 with --region");
            return Err(Reason::Credentials { detail: SafeText::capped(detail, 200) });
        }
        let expiry = Arc::new(Mutex::new(None));
        let sdk = match sdk.credentials_provider() {
            Some(inner) => {
                let watched = Watched { inner, expiry: Arc::clone(&expiry) };
                sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(watched)).build()
            }
            None => sdk,
        };
        let guard = || Guard::new(options.allow_changes, calls.clone());
        Ok(Self {
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                aws_sdk_elasticloadbalancingv2::config::Builder::from(&sdk).interceptor(guard()).build(),
            ),
            ec2: aws_sdk_ec2::Client::from_conf(
                aws_sdk_ec2::config::Builder::from(&sdk).interceptor(guard()).build(),
            ),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(
                aws_sdk_cloudwatchlogs::config::Builder::from(&sdk).interceptor(guard()).build(),
            ),
            sts: aws_sdk_sts::Client::from_conf(
                aws_sdk_sts::config::Builder::from(&sdk).interceptor(guard()).build(),
            ),
            plain: Plain::new(&sdk, guard()),
            region: region.into(),
            expiry,
        })
    }
}

/// The SDK takes whatever stands in these variables for an address, and ends
/// the program where nothing does.
fn endpoints_are_addresses(vars: impl Iterator<Item = (OsString, OsString)>) -> Result<(), Reason> {
    for (name, value) in vars {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if !name.starts_with("AWS_ENDPOINT_URL")
            || ["http://", "https://"].iter().any(|s| value.starts_with(s))
        {
            continue;
        }
        let is = if value.is_empty() { "is set to nothing".into() } else { format!("is '{value}'") };
        let detail = format!("{name} {is}: unset it, or give an address such as https://127.0.0.1:4566");
        return Err(Reason::Credentials { detail: SafeText::capped(detail, 240) });
    }
    Ok(())
}

fn no_region(options: &Options) -> String {
    match &options.profile {
        Some(p) => {
            format!("no region: profile {p} names none (or does not exist); give --region or AWS_REGION")
        }
        None => "no region: give --region, AWS_REGION or a profile that names one".into(),
    }
}

/// A region name ends up in host names: nothing but its own alphabet.
fn is_region(s: &str) -> bool {
    (3..=40).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// One HTTP client: proxies from the environment (a bastion often has no other
/// way out), the system's certificates, and those of `AWS_CA_BUNDLE`.
fn http_client() -> Result<SharedHttpClient, Reason> {
    let mut store = TrustStore::empty().with_native_roots(true);
    if let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|p| !p.is_empty())
        && let Ok(pem) = std::fs::read(&path)
        && is_pem(&pem)
    {
        store = store.with_pem_certificate(pem);
    }
    let context = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|e| Reason::Failed { code: "TLS".into(), detail: SafeText::capped(e.to_string(), 200) })?;
    Ok(HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
        connector
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(context.clone())
            .build()
    }))
}

/// Is every certificate of this bundle base64 of one DER sequence? The TLS
/// library would panic on one that is not.
fn is_pem(bytes: &[u8]) -> bool {
    use base64::Engine;
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1).peekable();
    blocks.peek().is_some()
        && blocks.all(|block| {
            let Some((body, _)) = block.split_once("-----END CERTIFICATE-----") else { return false };
            let body: String = body.split_ascii_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(body)
                .is_ok_and(|der| matches!(der[..], [0x30, 0x82, hi, lo, ..] if der.len() == 4 + usize::from(hi) * 256 + usize::from(lo)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_no_address_is_named_in_one_line() {
        let told = |all: &[(&str, &str)]| {
            let vars = all.iter().map(|(k, v)| (OsString::from(k), OsString::from(v)));
            endpoints_are_addresses(vars).err().map(|r| r.phrase())
        };
        let good = "http://127.0.0.1:4566";
        assert_eq!(told(&[("PATH", ""), ("AWS_ENDPOINT_URL", good), ("AWS_ENDPOINT_URL_EC2", good)]), None);
        let empty = told(&[("AWS_ENDPOINT_URL", "")]).unwrap();
        assert!(empty.contains("AWS_ENDPOINT_URL is set to nothing: unset it"), "{empty}");
        let odd = told(&[("AWS_ENDPOINT_URL_STS", "localhost:4566")]).unwrap();
        assert!(odd.contains("AWS_ENDPOINT_URL_STS is 'localhost:4566'"), "{odd}");
    }

    #[test]
    fn region_names_are_checked() {
        for good in ["us-east-1", "ap-northeast-1", "us-gov-west-1", "eusc-de-east-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", "us", "us-east-1.evil.example", "US-EAST-1", "a/b", "tokyo 1"] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn a_damaged_certificate_bundle_is_left_out() {
        let good = "x\n-----BEGIN CERTIFICATE-----\nMIIBAA==\n-----END CERTIFICATE-----\n";
        assert!(!is_pem(good.as_bytes()), "the length inside must agree");
        let der = [&[0x30, 0x82, 1, 0][..], &[0; 256]].concat();
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        let good = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        assert!(is_pem(good.as_bytes()));
        for bad in ["", "hello", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", &good[..60]] {
            assert!(!is_pem(bad.as_bytes()), "{bad}");
        }
    }
}
