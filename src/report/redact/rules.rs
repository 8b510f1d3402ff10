//! Secrets by their shape. The families are those that public scanners cover
//! (issuers' documented token formats); the patterns are our own.

use std::sync::LazyLock;

use base64::Engine;
use regex::{Captures, Regex};

use super::names;

pub(super) type Mark<'a> = &'a mut dyn FnMut(&'static str) -> String;

/// Takes secrets of some kind out of a text. `None`: there was none.
pub(super) type Pass = fn(&str, Mark<'_>) -> Option<String>;

/// One family. The group `s`, or else the whole match, is the secret.
struct Rule {
    id: &'static str,
    pattern: &'static str,
    holds: fn(&str) -> bool,
}

const fn rule(id: &'static str, pattern: &'static str) -> Rule {
    Rule { id, pattern, holds: |_| true }
}

const fn rule_if(id: &'static str, pattern: &'static str, holds: fn(&str) -> bool) -> Rule {
    Rule { id, pattern, holds }
}

/// Formats that say by themselves what they are.
const TOKENS: &[Rule] = &[
    // A block cut short is secret to its end.
    rule(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    rule("private-key", r"PuTTY-User-Key-File-\d[\s\S]*?Private-MAC: ?[0-9a-f]+"),
    rule("private-key", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    rule("jwt", r"\bey[JI][A-Za-z0-9_-]{6,}={0,2}\.[A-Za-z0-9_-]{6,}={0,2}(?:\.[A-Za-z0-9_.+/=-]*)?"),
    rule(
        "aws-session-token",
        r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|FQoDYXdz|AgoJb3JpZ2lu)[A-Za-z0-9/+=_-]{20,}",
    ),
    rule("slack", r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}"),
    rule("slack", r"\bxapp-\d-[A-Za-z0-9-]{10,}"),
    rule("slack", r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<s>[A-Za-z0-9/_+-]{16,})"),
    rule("github", r"\bgh[pousr]_[A-Za-z0-9]{20,255}"),
    rule("github", r"\bgithub_pat_[A-Za-z0-9_]{20,255}"),
    rule("gitlab", r"\bgl(?:pat|ptt|dt|cbt|ft|rt|soat|agent|imt|oas|ffct|rtr)-[A-Za-z0-9_.-]{16,}"),
    rule("gitlab", r"\bGR1348941[A-Za-z0-9_-]{16,}"),
    rule("stripe", r"\b(?:[srp]k_(?:test|live|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,})"),
    rule("google", r"\bAIza[A-Za-z0-9_-]{30,}"),
    rule("google", r"\bya29\.[A-Za-z0-9_-]{16,}"),
    rule("google", r"\bGOCSPX-[A-Za-z0-9_-]{16,}"),
    rule("azure", r"\b[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{28,40}"),
    rule("npm", r"\bnpm_[A-Za-z0-9]{30,}"),
    rule(
        "package-registry",
        r"\b(?:pypi-[A-Za-z0-9_-]{40,}|rubygems_[a-f0-9]{40,}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}|cio[A-Za-z0-9]{32}\b)",
    ),
    rule("ai-service", r"\b(?:sk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{30,})"),
    rule("sendgrid", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    rule("twilio", r"\bSK[0-9a-f]{32}\b"),
    rule("mailgun", r"\b(?:key|pubkey)-[0-9a-f]{32}\b"),
    rule("shopify", r"\bshp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}"),
    rule("digitalocean", r"\bdo[opr]_v1_[a-f0-9]{40,}"),
    rule("vault", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    rule("terraform", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    rule("doppler", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{20,}"),
    rule("new-relic", r"\bNR(?:AK|JS|II|BR|RA)-[A-Za-z0-9]{16,}"),
    rule("atlassian", r"\bATATT3[A-Za-z0-9_=-]{30,}"),
    rule("grafana", r"\b(?:glc_[A-Za-z0-9+/=]{20,}|glsa_[A-Za-z0-9]{20,}_[A-Fa-f0-9]{8})"),
    rule("telegram", r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"),
    rule(
        "service-token",
        r"\b(?:lin_api_[A-Za-z0-9]{30,}|ntn_[A-Za-z0-9]{30,}|pul-[a-f0-9]{40}|dapi[a-f0-9]{32}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{30,}|sntry[su]_[A-Za-z0-9+/=_-]{30,}|sq0[a-z]{3}-[A-Za-z0-9_-]{22,}|HRKU-[A-Za-z0-9_-]{30,}|fo1_[A-Za-z0-9_-]{30,}|figd_[A-Za-z0-9_-]{30,}|tskey-[a-z]+-[A-Za-z0-9-]{16,}|nvapi-[A-Za-z0-9_-]{40,}|CCIPAT_[A-Za-z0-9_]{30,}|bkua_[a-z0-9]{30,}|sbp_[a-f0-9]{40}|xkeysib-[a-f0-9]{40,}[A-Za-z0-9-]*)",
    ),
];

/// Looked for last: they need a look at what stands around them.
const LEFTOVERS: &[Rule] = &[
    rule_if("basic-auth", r"(?i)\bbasic\s+(?P<s>[A-Za-z0-9+/_-]{6,}={0,2})", is_basic),
    rule_if("bearer", r"(?i)\bbearer\s+(?P<s>[A-Za-z0-9._~+/-]{8,}={0,2})", is_bearer),
    rule("url-password", r"(?i)\b[a-z][a-z0-9+.-]*://(?P<s>[^\s/@:\x22'<>\[\]]*:[^\s/@\x22'<>]+)@"),
    rule(
        "url-password",
        r"(?i)\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?|mssql|ldaps?|smtps?)://(?P<s>[^\s@:\x22'<>]*:[^\s\x22'<>]+)@",
    ),
    rule_if(
        "url-password",
        r"(?i)\b[a-z][a-z0-9+.-]*://(?P<s>[^\s/@:\x22'<>\[\]]{12,})@",
        names::random_looking,
    ),
    rule(
        "command-line",
        r#"(?i)\bcurl\b[^\n]*?\s(?:-u|--user|--proxy-user)[ =]*["']?(?P<s>[^\s"':]+:[^\s"']+)"#,
    ),
    rule_if(
        "command-line",
        r#"(?i)\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n]*?\s-p(?P<s>[^\s"']+)"#,
        |v| !["ort", "rotocol", "lugin", "ager", "rompt"].iter().any(|o| v.starts_with(o)),
    ),
    rule("command-line", r#"(?i)\bsshpass\s+-p\s*["']?(?P<s>[^\s"']+)"#),
    rule("password", r#"(?i)\bidentified\s+by\s+['"](?P<s>[^'"]+)['"]"#),
    rule_if(
        "password",
        r#"(?i)\b(?:password|passphrase|passwd|passcode)\s+(?:is|was|to|of)\s+["'`]?(?P<s>[^\s"'`,;]+)"#,
        not_prose,
    ),
    rule_if(
        "password",
        r#"(?i)\x{30d1}\x{30b9}\x{30ef}\x{30fc}\x{30c9}\s*(?:\x{306f}|[:=\x{ff1a}\x{ff1d}])\s*["'\x{300c}]?(?P<s>[^\s"'\x{300d}\x{3001}\x{3002}]+)"#,
        not_prose,
    ),
    rule(
        "xml",
        r"(?i)<(?:[a-z0-9_.-]+:)?[a-z0-9_.-]*(?:password|passwd|secret|token|api_?key|credential)[^<>/]*>(?P<s>[^<>]+)</",
    ),
    rule_if(
        "aws-secret-key",
        r#"(?i)(?:aws|secret|access)[a-z0-9_ .-]{0,24}(?:key|secret|token)[^A-Za-z0-9/+]{1,8}(?P<s>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        |v| names::entropy(v) > 3.0,
    ),
    rule_if("base64-block", r"(?P<s>[A-Za-z0-9+/]{60,}={0,2})", is_base64_block),
    rule_if("base64-block", r"(?P<s>[A-Za-z0-9_-]{60,}={0,2})", is_base64_block),
];

/// An access key id is half a credential, and where it stands the other half
/// is not far.
const ACCESS_KEY: &str = r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b";
const FORTY: &str = r"(?:^|[^A-Za-z0-9/+])(?P<s>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)";

fn is_basic(value: &str) -> bool {
    let engines = [
        &base64::engine::general_purpose::STANDARD,
        &base64::engine::general_purpose::STANDARD_NO_PAD,
        &base64::engine::general_purpose::URL_SAFE,
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
    ];
    engines.iter().any(|e| e.decode(value).is_ok_and(|d| d.contains(&b':')))
        || (value.len() >= 16 && names::random_looking(value))
}

/// "bearer token" and "bearer authentication" are words.
fn is_bearer(value: &str) -> bool {
    value.bytes().any(|b| b.is_ascii_digit())
        || (value.len() >= 16
            && value.bytes().any(|b| b.is_ascii_uppercase())
            && value.bytes().any(|b| b.is_ascii_lowercase()))
}

/// In "the password is stored in..." the next word is no password.
fn not_prose(value: &str) -> bool {
    let word = value.trim_end_matches(['.', ':', '!', '?', ')']);
    let common = [
        "a",
        "an",
        "correct",
        "stored",
        "set",
        "still",
        "now",
        "being",
        "only",
        "rotated",
        "already",
        "never",
        "on",
        "at",
        "known",
        "old",
        "new",
        "same",
        "different",
        "kept",
        "read",
        "sent",
        "used",
        "ours",
        "theirs",
        "encrypted",
        "hashed",
        "be",
        "this",
        "that",
        "his",
        "her",
        "their",
        "our",
        "my",
        "your",
        "use",
        "log",
        "login",
        "connect",
        "database",
        "db",
        "server",
    ];
    !names::harmless(word) && !common.contains(&word.to_ascii_lowercase().as_str())
}

/// Key material and opaque tokens, not paths, hashes or words.
fn is_base64_block(value: &str) -> bool {
    let count = |f: fn(&u8) -> bool| value.as_bytes().iter().filter(|b| f(b)).count();
    count(u8::is_ascii_uppercase) >= 8
        && count(u8::is_ascii_lowercase) >= 8
        && count(u8::is_ascii_digit) >= 3
        && names::entropy(value) >= 4.3
}

struct Compiled {
    rule: &'static Rule,
    regex: Regex,
}

/// A test makes sure that every pattern compiles.
fn compile(rules: &'static [Rule]) -> Vec<Compiled> {
    rules
        .iter()
        .filter_map(|rule| Regex::new(rule.pattern).ok().map(|regex| Compiled { rule, regex }))
        .collect()
}

static TOKEN_RULES: LazyLock<Vec<Compiled>> = LazyLock::new(|| compile(TOKENS));
static LEFTOVER_RULES: LazyLock<Vec<Compiled>> = LazyLock::new(|| compile(LEFTOVERS));
static KEYS: LazyLock<Option<(Regex, Regex)>> =
    LazyLock::new(|| Some((Regex::new(ACCESS_KEY).ok()?, Regex::new(FORTY).ok()?)));

/// Replaces the group `s` of every match that `holds`. `None`: no change.
pub(super) fn replace(
    regex: &Regex,
    text: &str,
    holds: impl Fn(&str) -> bool,
    mut with: impl FnMut(&str) -> String,
) -> Option<String> {
    if !regex.is_match(text) {
        return None;
    }
    let mut changed = false;
    let out = regex.replace_all(text, |c: &Captures<'_>| {
        let Some(whole) = c.get(0) else { return String::new() };
        let secret = c.name("s").unwrap_or(whole);
        if !holds(secret.as_str()) || secret.as_str().starts_with(super::MARK) {
            return whole.as_str().to_owned();
        }
        changed = true;
        let (before, after) = (
            &whole.as_str()[..secret.start() - whole.start()],
            &whole.as_str()[secret.end() - whole.start()..],
        );
        format!("{before}{}{after}", with(secret.as_str()))
    });
    changed.then(|| out.into_owned())
}

fn apply(rules: &[Compiled], text: &str, mark: Mark<'_>) -> Option<String> {
    let mut current: Option<String> = None;
    for Compiled { rule, regex } in rules {
        let changed = replace(regex, current.as_deref().unwrap_or(text), rule.holds, |_| mark(rule.id));
        current = changed.or(current);
    }
    current
}

/// Tokens of known formats.
pub(super) fn tokens(text: &str, mark: Mark<'_>) -> Option<String> {
    let mut current = apply(&TOKEN_RULES, text, mark);
    if let Some((id, forty)) = &*KEYS
        && let Some(changed) =
            replace(id, current.as_deref().unwrap_or(text), |_| true, |_| mark("aws-access-key"))
    {
        // Twice, because the separator between two matches belongs to one.
        let mut both = changed;
        for _ in 0..2 {
            let secret = |v: &str| names::entropy(v) > 3.5 && v.bytes().any(|b| !b.is_ascii_hexdigit());
            if let Some(next) = replace(forty, &both, secret, |_| mark("aws-secret-key")) {
                both = next;
            }
        }
        current = Some(both);
    }
    current
}

/// What is known for a secret by what stands around it.
pub(super) fn leftovers(text: &str, mark: Mark<'_>) -> Option<String> {
    apply(&LEFTOVER_RULES, text, mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for rule in TOKENS.iter().chain(LEFTOVERS) {
            Regex::new(rule.pattern).unwrap();
        }
        assert_eq!(TOKEN_RULES.len() + LEFTOVER_RULES.len(), TOKENS.len() + LEFTOVERS.len());
        assert!(KEYS.is_some());
    }
}
