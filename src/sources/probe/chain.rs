//! Certificates as the server sends them: who signs whom, and in words what
//! strict verification finds wrong.

use crate::situation::probe::Cert;
use crate::text::SafeText;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};
use x509_parser::prelude::*;

/// Names of one certificate that are kept.
const NAMES: usize = 20;

/// Describes a chain, the server's own certificate first.
pub fn describe(chain: &[CertificateDer<'static>]) -> Vec<Cert> {
    let parsed: Vec<Option<X509Certificate<'_>>> =
        chain.iter().map(|c| X509Certificate::from_der(c).ok().map(|(_, c)| c)).collect();
    parsed
        .iter()
        .enumerate()
        .map(|(i, cert)| match cert {
            None => Cert { subject: "(unreadable)".into(), ..Cert::default() },
            Some(c) => Cert {
                subject: name(c.subject()),
                issuer: name(c.issuer()),
                names: names(c),
                not_before: Timestamp::from_second(c.validity().not_before.timestamp()).ok(),
                not_after: Timestamp::from_second(c.validity().not_after.timestamp()).ok(),
                signed_by: signer(i, c, &parsed).into(),
            },
        })
        .collect()
}

fn signer(i: usize, c: &X509Certificate<'_>, all: &[Option<X509Certificate<'_>>]) -> &'static str {
    if c.issuer() == c.subject() {
        return if c.verify_signature(None).is_ok() {
            "itself"
        } else {
            "nobody: the signature does not fit"
        };
    }
    let by = all.iter().enumerate().find_map(|(j, p)| {
        let p = p.as_ref().filter(|p| p.subject() == c.issuer())?;
        c.verify_signature(Some(p.public_key())).is_ok().then_some(j)
    });
    match by {
        Some(j) if j == i + 1 => "the next one",
        Some(_) => "another one, out of order",
        None if all.iter().flatten().any(|p| p.subject() == c.issuer()) => {
            "nobody: one with the issuer's name was sent, its key does not fit"
        }
        None => "one that was not sent",
    }
}

/// The common name, or the whole name where there is none.
fn name(n: &X509Name<'_>) -> SafeText {
    let common = n.iter_common_name().next().and_then(|a| a.as_str().ok());
    SafeText::capped(common.map_or_else(|| n.to_string(), str::to_owned), 120)
}

fn names(c: &X509Certificate<'_>) -> Vec<SafeText> {
    let Ok(Some(san)) = c.subject_alternative_name() else { return Vec::new() };
    san.value
        .general_names
        .iter()
        .filter_map(|n| match n {
            GeneralName::DNSName(d) => Some(SafeText::capped(d, 255)),
            GeneralName::IPAddress(b) => match b.len() {
                4 => <[u8; 4]>::try_from(*b).ok().map(|b| std::net::IpAddr::from(b).to_string().into()),
                16 => <[u8; 16]>::try_from(*b).ok().map(|b| std::net::IpAddr::from(b).to_string().into()),
                _ => None,
            },
            _ => None,
        })
        .take(NAMES)
        .collect()
}

/// The first 8 bytes of the SHA-256 of a certificate, in hexadecimal.
pub fn fingerprint(cert: &CertificateDer<'_>) -> SafeText {
    let digest = rustls::crypto::ring::default_provider()
        .cipher_suites
        .iter()
        .find_map(|s| s.tls13().filter(|t| t.common.hash_provider.output_len() == 32))
        .map(|s| s.common.hash_provider.hash(cert));
    digest
        .map(|d| d.as_ref().iter().take(8).map(|b| format!("{b:02x}")).collect::<String>().into())
        .unwrap_or_default()
}

/// Says in words why a chain does not verify.
pub fn explain(
    e: &Error,
    chain: &[CertificateDer<'static>],
    roots: &[CertificateDer<'static>],
    host: &str,
) -> String {
    let described = describe(chain);
    let own = described.first();
    let date =
        |t: Option<Timestamp>| t.map_or_else(|| "?".into(), |t| t.strftime("%Y-%m-%d %H:%M UTC").to_string());
    match e {
        Error::InvalidCertificate(c) => match c {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                let now = Timestamp::now();
                let past = described.iter().find(|c| c.not_after.is_some_and(|t| t < now)).or(own);
                match past {
                    Some(c) => format!("expired: '{}' was valid until {}", c.subject, date(c.not_after)),
                    None => "expired".into(),
                }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                let from = own.and_then(|c| c.not_before);
                format!("not valid yet: valid from {}; is a clock wrong?", date(from))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                let names: Vec<&str> =
                    own.map(|c| c.names.iter().map(SafeText::as_str).take(6).collect()).unwrap_or_default();
                let names = if names.is_empty() { "no name at all".into() } else { names.join(", ") };
                format!("wrong name: it is for {names}, not for {host}")
            }
            CertificateError::UnknownIssuer => unknown_issuer(chain, roots),
            CertificateError::Revoked => "revoked".into(),
            CertificateError::BadSignature => "a signature in the chain does not fit".into(),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "it is not meant for servers".into()
            }
            CertificateError::Other(inner) if inner.to_string().contains("CaUsedAsEndEntity") => match own {
                Some(c) if c.subject == c.issuer => {
                    format!("self-signed: '{}' vouches for itself, and is no trusted root here", c.subject)
                }
                _ => "the server's own certificate is that of an authority".into(),
            },
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// Nobody trusted stands at the end of the chain: which of the ways.
fn unknown_issuer(chain: &[CertificateDer<'static>], roots: &[CertificateDer<'static>]) -> String {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().filter_map(|c| X509Certificate::from_der(c).ok().map(|(_, c)| c)).collect();
    let Some(mut at) = parsed.first() else { return "the certificate cannot be read".into() };
    // As far up as what was sent reaches.
    for _ in 0..parsed.len() {
        if at.issuer() == at.subject() {
            break;
        }
        match parsed.iter().find(|p| p.subject() == at.issuer() && p.subject() != at.subject()) {
            Some(up) => at = up,
            None => break,
        }
    }
    if at.issuer() == at.subject() {
        return if parsed.first().is_some_and(|p| p.subject() == at.subject()) {
            format!("self-signed: '{}' vouches for itself, and is no trusted root here", name(at.subject()))
        } else {
            format!("the chain ends at '{}', which is no trusted root here", name(at.subject()))
        };
    }
    let trusted = roots
        .iter()
        .filter_map(|r| X509Certificate::from_der(r).ok())
        .any(|(_, r)| r.subject() == at.issuer());
    if trusted {
        return format!(
            "'{}' names the trusted root '{}', whose key does not fit",
            name(at.subject()),
            name(at.issuer())
        );
    }
    let fetch = at
        .extensions()
        .iter()
        .find_map(|e| match e.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(aia) => {
                aia.accessdescs.iter().find_map(|d| match &d.access_location {
                    GeneralName::URI(u)
                        if u.ends_with(".crt") || u.ends_with(".cer") || u.ends_with(".der") =>
                    {
                        Some((*u).to_owned())
                    }
                    _ => None,
                })
            }
            _ => None,
        })
        .map_or(String::new(), |u| format!(" (to be had at {})", SafeText::capped(u, 120)));
    format!(
        "missing intermediate: '{}' is signed by '{}', which was not sent and is no trusted root here{fetch}",
        name(at.subject()),
        name(at.issuer())
    )
}
