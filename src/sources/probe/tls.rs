//! TLS: the handshake as the server makes it, and then what strict
//! verification says of it. The handshake itself accepts any certificate, so
//! that a wrong one can be described; whether a request may follow is decided
//! by [`Handshake::verified`].

use super::chain;
use super::tcp::{Tap, ms};
use crate::situation::probe::{Tls, TlsVariant};
use crate::text::SafeText;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Certificates of a chain that are kept.
const KEPT: usize = 10;

/// The system's trusted roots.
pub struct Roots {
    pub store: Arc<RootCertStore>,
    /// As DER, to look an issuer up by name.
    pub certs: Vec<CertificateDer<'static>>,
    /// Why there are none; empty when there are.
    pub trouble: String,
}

/// Reads the roots once; blocks on the disk.
pub fn roots() -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs.iter().cloned());
        let trouble = if store.is_empty() {
            let why =
                found.errors.first().map_or_else(|| "none are installed".to_owned(), ToString::to_string);
            format!("this system has no trusted roots: {why}")
        } else {
            String::new()
        };
        Roots { store: Arc::new(store), certs: found.certs, trouble }
    })
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

/// Takes any certificate, but only with proof that the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What to offer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Name for SNI and verification; an address when the URL has one.
    pub name: String,
    pub sni: bool,
    pub versions: &'static [&'static SupportedProtocolVersion],
    pub alpn: &'static [&'static [u8]],
}

/// Both versions this program speaks.
pub static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
static ONLY_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
static ONLY_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// A handshake and what it showed.
pub struct Handshake {
    pub report: Tls,
    pub stream: Option<TlsStream<Tap<TcpStream>>>,
    /// The port answered in plain HTTP.
    pub plain_http: bool,
}

/// Shakes hands within `limit` and judges the chain.
pub async fn handshake(tcp: TcpStream, to: SocketAddr, offer: &Offer, limit: Duration) -> Handshake {
    let sni =
        if offer.sni && offer.name.parse::<std::net::IpAddr>().is_err() { offer.name.as_str() } else { "" };
    let mut report = Tls { address: to.to_string().into(), sni: sni.into(), ..Tls::default() };
    let started = Instant::now();
    let failed = |mut report: Tls, why: String, plain_http| {
        report.took_ms = ms(started);
        report.why = why.into();
        Handshake { report, stream: None, plain_http }
    };
    let config = match config(offer) {
        Ok(c) => c,
        Err(e) => return failed(report, e.to_string(), false),
    };
    let name = match ServerName::try_from(offer.name.clone()) {
        Ok(n) => n,
        Err(_) => return failed(report, format!("'{}' is no name TLS can carry", offer.name), false),
    };
    let mut connecting = TlsConnector::from(config).connect(name, Tap::new(tcp)).into_fallible();
    let done = tokio::time::timeout(limit, &mut connecting).await;
    let stream = match done {
        Ok(Ok(stream)) => stream,
        Ok(Err((e, tap))) => {
            let plain = tap.first().starts_with(b"HTTP/");
            return failed(report, why(&e, tap.first()), plain);
        }
        Err(_) => {
            return failed(report, format!("no handshake within {} s", limit.as_secs_f64()), false);
        }
    };
    report.took_ms = ms(started);
    let (_, connection) = stream.get_ref();
    report.version = connection.protocol_version().map_or_else(SafeText::default, |v| version(v).into());
    report.cipher = connection
        .negotiated_cipher_suite()
        .and_then(|s| s.suite().as_str().map(SafeText::from))
        .unwrap_or_default();
    report.alpn = connection.alpn_protocol().map(SafeText::from_bytes).unwrap_or_default();
    let chain: Vec<CertificateDer<'static>> =
        connection.peer_certificates().unwrap_or_default().iter().map(|c| c.clone().into_owned()).collect();
    report.left = chain.len().saturating_sub(KEPT);
    report.chain = chain::describe(&chain[..chain.len().min(KEPT)]);
    match verify(&chain, &offer.name) {
        Ok(()) => report.verified = Some(true),
        Err(why) => {
            report.verified = Some(false);
            report.why = why.into();
        }
    }
    Handshake { report, stream: Some(stream), plain_http: false }
}

fn config(offer: &Offer) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = provider();
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(offer.versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.enable_sni = offer.sni;
    // A resumed session shows no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = offer.alpn.iter().map(|p| p.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Verifies strictly, as a client without exceptions would: no missing
/// certificate is fetched (CloudFront does not fetch any either).
fn verify(chain: &[CertificateDer<'static>], name: &str) -> Result<(), String> {
    let Some((own, rest)) = chain.split_first() else {
        return Err("the server sent no certificate".into());
    };
    let roots = roots();
    if !roots.trouble.is_empty() {
        return Err(roots.trouble.clone());
    }
    let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.store.clone(), provider())
        .build()
        .map_err(|e| e.to_string())?;
    match verifier.verify_server_cert(own, rest, &name, &[], UnixTime::now()) {
        Ok(_) => Ok(()),
        Err(e) => Err(chain::explain(&e, chain, &roots.certs, &name.to_str())),
    }
}

fn version(v: rustls::ProtocolVersion) -> &'static str {
    match v {
        rustls::ProtocolVersion::TLSv1_3 => "TLS 1.3",
        rustls::ProtocolVersion::TLSv1_2 => "TLS 1.2",
        _ => "an old TLS version",
    }
}

/// Why a handshake failed, in a phrase.
fn why(e: &std::io::Error, first: &[u8]) -> String {
    if first.starts_with(b"HTTP/") {
        return "it answers in plain HTTP: this port speaks no TLS".into();
    }
    if !first.is_empty() && !matches!(first[0], 0x14..=0x18) {
        return format!("it answers with no TLS: {}", SafeText::capped(first, 40));
    }
    if let Some(inner) = e.get_ref().and_then(|i| i.downcast_ref::<rustls::Error>()) {
        return match inner {
            rustls::Error::AlertReceived(a) => match a {
                rustls::AlertDescription::ProtocolVersion => {
                    "the server speaks neither TLS 1.2 nor TLS 1.3 as offered".into()
                }
                rustls::AlertDescription::HandshakeFailure => {
                    "the server refused: no cipher in common, or no certificate for this name".into()
                }
                rustls::AlertDescription::UnrecognisedName => "the server knows no such name".into(),
                other => format!("the server refused with the alert {other:?}"),
            },
            other => other.to_string(),
        };
    }
    match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "closed within the handshake".into(),
        std::io::ErrorKind::ConnectionReset => "reset within the handshake".into(),
        _ => e.to_string(),
    }
}

/// What else the server would have said: other versions, no server name.
pub async fn variants(to: SocketAddr, offer: &Offer, limit: Duration) -> Vec<TlsVariant> {
    let mut asked = vec![
        ("TLS 1.3 only", Offer { versions: ONLY_13, ..offer.clone() }),
        ("TLS 1.2 only", Offer { versions: ONLY_12, ..offer.clone() }),
    ];
    if offer.sni && offer.name.parse::<std::net::IpAddr>().is_err() {
        asked.push(("no SNI", Offer { sni: false, ..offer.clone() }));
    }
    let all = asked.into_iter().map(|(what, offer)| async move {
        let (connected, tcp) = super::tcp::connect(to, limit).await;
        let Some(tcp) = tcp else {
            let result = format!("{} {}", connected.outcome.word(), connected.detail).into();
            return TlsVariant { what: what.into(), result, ..TlsVariant::default() };
        };
        let h = handshake(tcp, to, &offer, limit).await;
        let fingerprint = h
            .stream
            .as_ref()
            .and_then(|s| s.get_ref().1.peer_certificates()?.first().map(chain::fingerprint))
            .unwrap_or_default();
        let result = if h.stream.is_some() {
            let subject = h.report.chain.first().map(|c| c.subject.clone()).unwrap_or_default();
            format!("{}, {subject}", h.report.version).into()
        } else {
            h.report.why
        };
        TlsVariant { what: what.into(), ok: h.stream.is_some(), result, fingerprint }
    });
    futures::future::join_all(all).await
}
