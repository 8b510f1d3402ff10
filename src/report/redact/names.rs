//! What the name of a field says about its value, and what a value says about
//! itself.

/// How surely a field of that name holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It does not.
    No,
    /// It may; the value decides ([`random_looking`]).
    Weak,
    /// It does, unless the value is a placeholder.
    Strong,
    /// A header whose value, to the end of the line, is a secret.
    Header,
}

/// Words of a name: split at anything but letters and digits, and where lower
/// case turns to upper.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            let new = !before.is_ascii_alphanumeric()
                || (c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()));
            if new {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
        before = c;
    }
    words
}

/// Headers that carry credentials, without their hyphens.
const HEADERS: &[&str] = &[
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "xapikey",
    "xauthtoken",
    "xaccesstoken",
    "xcsrftoken",
    "xxsrftoken",
    "xgoogapikey",
    "xvaulttoken",
    "xgitlabtoken",
    "privatetoken",
    "jobtoken",
    "xamzsecuritytoken",
    "xamznoidcaccesstoken",
    "xamznoidcdata",
    "ocpapimsubscriptionkey",
];

/// Words that make a name a secret's wherever they stand in it.
const STRONG: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "sessiontoken",
    "securitytoken",
    "bearertoken",
    "authkey",
    "accountkey",
    "connectionstring",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "credential",
    "clientassertion",
    "samlresponse",
    "samlrequest",
];

/// Last words that make a name a secret's.
const STRONG_LAST: &[&str] =
    &["pass", "pw", "pwd", "psw", "otp", "totp", "jwt", "cvv", "passwords", "secrets"];

/// Last words that may.
const WEAK_LAST: &[&str] = &[
    "token",
    "tokens",
    "key",
    "keys",
    "auth",
    "signature",
    "sig",
    "session",
    "sessionid",
    "sid",
    "nonce",
    "csrf",
    "xsrf",
    "ticket",
    "hmac",
    "salt",
    "sas",
    "code",
    "pin",
    "webhook",
    "dsn",
];

/// Last words of what is known *about* a secret.
const ABOUT: &[&str] = &[
    "age",
    "alg",
    "algorithm",
    "arn",
    "arns",
    "at",
    "bits",
    "changed",
    "class",
    "count",
    "duration",
    "enabled",
    "encrypted",
    "endpoint",
    "error",
    "errors",
    "exists",
    "expiration",
    "expires",
    "expiry",
    "field",
    "file",
    "format",
    "group",
    "header",
    "hint",
    "host",
    "id",
    "ids",
    "in",
    "index",
    "invalid",
    "issuer",
    "len",
    "length",
    "limit",
    "location",
    "manager",
    "max",
    "min",
    "minutes",
    "missing",
    "mode",
    "name",
    "names",
    "param",
    "path",
    "policy",
    "prefix",
    "provider",
    "ref",
    "region",
    "required",
    "reset",
    "rotation",
    "seconds",
    "size",
    "state",
    "status",
    "store",
    "time",
    "timeout",
    "ttl",
    "type",
    "types",
    "uri",
    "url",
    "usage",
    "used",
    "user",
    "valid",
    "validity",
    "version",
    "from",
];

/// What a field of that name holds.
pub(super) fn secrecy(name: &str) -> Secrecy {
    let words = words(name);
    let Some(last) = words.last().map(String::as_str) else { return Secrecy::No };
    let joined = words.concat();
    // The name of a service, as in IAM actions and ARNs.
    if joined.starts_with("secretsmanager") {
        return Secrecy::No;
    }
    let header = joined.strip_prefix("http").unwrap_or(&joined);
    if HEADERS.contains(&header) || last == "authorization" {
        return Secrecy::Header;
    }
    if matches!(last, "cookie" | "cookies") {
        // `stickiness.lb_cookie` is a load balancer's setting.
        let setting = words.iter().any(|w| matches!(w.as_str(), "stickiness" | "lb" | "app"));
        return if setting { Secrecy::No } else { Secrecy::Header };
    }
    // `accessKeyId` and `secretId` are identifiers that may be secret enough.
    if matches!(last, "id" | "ids")
        && ["key", "secret", "session", "token"].iter().any(|w| joined.contains(w))
    {
        return Secrecy::Weak;
    }
    if ABOUT.contains(&last) {
        return Secrecy::No;
    }
    if STRONG_LAST.contains(&last) || STRONG.iter().any(|w| joined.contains(w)) {
        return Secrecy::Strong;
    }
    if WEAK_LAST.contains(&last) || last.ends_with("token") || last.ends_with("signature") {
        return Secrecy::Weak;
    }
    Secrecy::No
}

/// Names of members that describe a secret in a list of them.
pub(super) fn describes(name: &str) -> bool {
    matches!(
        words(name).last().map(String::as_str),
        Some("name" | "key" | "type" | "id" | "arn" | "from" | "at")
    )
}

/// Query parameters whose value is taken out, however it looks.
pub(super) fn secret_parameter(name: &str) -> bool {
    let joined = words(name).concat();
    secrecy(name) != Secrecy::No
        || matches!(
            joined.as_str(),
            "state"
                | "awsaccesskeyid"
                | "keypairid"
                | "xamzcredential"
                | "xgoogcredential"
                | "credential"
                | "assertion"
        )
}

/// Values that stand for a secret or say how it fared.
pub(super) fn harmless(value: &str) -> bool {
    let v = value.trim();
    let lower = v.to_ascii_lowercase();
    v.is_empty()
        || v.starts_with(super::MARK)
        || v.chars().all(|c| matches!(c, '*' | '.' | '-' | '\u{2022}' | '\u{2026}'))
        || (v.len() >= 3 && lower.chars().all(|c| c == 'x'))
        || (v.starts_with("${") && v.ends_with('}'))
        || (v.starts_with("{{") && v.ends_with("}}"))
        || (v.starts_with('<') && v.ends_with('>') && v.len() < 40)
        || v.starts_with('%') && v.len() == 2
        || matches!(
            lower.as_str(),
            "null"
                | "none"
                | "nil"
                | "true"
                | "false"
                | "undefined"
                | "unset"
                | "empty"
                | "yes"
                | "no"
                | "ok"
                | "n/a"
                | "required"
                | "incorrect"
                | "invalid"
                | "wrong"
                | "expired"
                | "missing"
                | "mismatch"
                | "failed"
                | "failure"
                | "denied"
                | "rejected"
                | "accepted"
                | "changed"
                | "reset"
                | "refused"
                | "unknown"
                | "authentication"
                | "redacted"
                | "hidden"
                | "masked"
                | "the"
                | "is"
                | "was"
                | "not"
                | "must"
                | "cannot"
                | "does"
                | "has"
                | "for"
                | "and"
                | "or"
                | "too"
                | "in"
                | "of"
                | "to"
                | "from"
                | "with"
                | "bearer"
                | "basic"
        )
}

/// Bits of entropy per character.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    for b in text.bytes() {
        counts[usize::from(b)] += 1;
    }
    let n = text.len() as f64;
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / n).map(|p| -p * p.log2()).sum()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `8-4-4-4-12` hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(|g| is_hex(g))
}

/// Ids of resources, which are long and random and no secrets: `i-0a1b2c3d`,
/// ARNs, addresses, paths, dates, versions.
fn is_plain_id(v: &str) -> bool {
    let resource = v
        .rsplit_once('-')
        .is_some_and(|(head, id)| head.len() <= 12 && matches!(id.len(), 8 | 17) && is_hex(id));
    resource
        || v.starts_with("arn:")
        || v.starts_with('/')
        || (v.contains('/') && !v.bytes().any(|b| b.is_ascii_uppercase()))
        || v.starts_with("http://")
        || v.starts_with("https://")
        || v.parse::<std::net::IpAddr>().is_ok()
        || v.bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':' | b'T' | b'Z' | b'+' | b'/' | b'_'))
}

/// Whether a value looks made by a machine to be unguessable.
pub(super) fn random_looking(value: &str) -> bool {
    let v = value.trim();
    let digits = v.bytes().filter(u8::is_ascii_digit).count();
    let letters = v.bytes().filter(u8::is_ascii_alphabetic).count();
    if v.len() < 8 || harmless(v) || is_plain_id(v) || v.contains(' ') || letters == 0 {
        return false;
    }
    let mixed = v.bytes().any(|b| b.is_ascii_lowercase()) && v.bytes().any(|b| b.is_ascii_uppercase());
    (digits > 0 && entropy(v) >= 2.8) || (mixed && v.len() >= 16 && entropy(v) >= 3.6)
}

/// A long random value under a name that says nothing, as in a query string.
/// Identifiers that logs are read by (UUIDs, numbers) are not meant.
pub(super) fn token_like(value: &str) -> bool {
    let v = value.trim();
    let hex = is_hex(v);
    !is_uuid(v)
        && random_looking(v)
        && ((hex && v.len() >= 32) || (!hex && v.len() >= 20 && entropy(v) >= 3.5 && !v.contains('.')))
}
