//! Secrets by the name they stand under in running text: `NAME=value`,
//! `"name": "value"`, headers, query strings.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::names::{self, Secrecy, harmless, random_looking, secret_parameter, token_like};
use super::rules::Mark;

/// A name and what ties it to a value: `=`, `:`, `=>`, `:=`, with quotes that
/// may be escaped (JSON in JSON).
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?P<name>[A-Za-z0-9_.$-]{2,80})(?P<quote>\\*["'`]\]?|\])?(?P<tie>[ \t]{0,2}(?:=>|:=|==|=|:)[ \t]{0,3})"#).ok()
});
/// `--password VALUE`.
static FLAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:^|\s)--?(?P<name>[A-Za-z][A-Za-z0-9-]{2,40})[ \t]+["']?(?P<s>[^\s"'-][^\s"']*)"#).ok()
});
static QUERY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"[?&;](?P<name>[A-Za-z0-9_.~$%\[\]-]{1,64})=(?P<s>[^&\s"'<>#]*)"#).ok());

/// Takes out the values of secret names. `None`: nothing was.
pub(super) fn fields(text: &str, mark: Mark<'_>) -> Option<String> {
    let mut current: Option<String> = None;
    for pass in [query, flags, assignments] {
        let changed = pass(current.as_deref().unwrap_or(text), mark);
        current = changed.or(current);
    }
    current
}

fn query(text: &str, mark: Mark<'_>) -> Option<String> {
    // Without one there is no query, and most lines have none.
    if !text.contains(['?', '&']) {
        return None;
    }
    let regex = QUERY.as_ref()?;
    splice(text, mark, |found| {
        for c in regex.captures_iter(text) {
            let (Some(name), Some(value)) = (c.name("name"), c.name("s")) else { continue };
            if value.is_empty() || value.as_str().starts_with(super::MARK) {
                continue;
            }
            if secret_parameter(name.as_str()) || token_like(value.as_str()) {
                found.push((value.range(), super::name_id(name.as_str())));
            }
        }
    })
}

fn flags(text: &str, mark: Mark<'_>) -> Option<String> {
    if !text.contains("-") {
        return None;
    }
    let regex = FLAG.as_ref()?;
    splice(text, mark, |found| {
        for c in regex.captures_iter(text) {
            let (Some(name), Some(value)) = (c.name("name"), c.name("s")) else { continue };
            if is_secret(name.as_str(), value.as_str()) {
                found.push((value.range(), super::name_id(name.as_str())));
            }
        }
    })
}

fn is_secret(name: &str, value: &str) -> bool {
    match names::secrecy(name) {
        Secrecy::No => false,
        Secrecy::Weak => {
            // A cache key or a commit is no secret.
            let bare_key =
                matches!(name.to_ascii_lowercase().as_str(), "key" | "keys" | "code" | "session" | "id");
            random_looking(value) && !(bare_key && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
        }
        Secrecy::Strong | Secrecy::Header => !harmless(value) && !value.starts_with("arn:"),
    }
}

fn assignments(text: &str, mark: Mark<'_>) -> Option<String> {
    if !text.contains(['=', ':']) {
        return None;
    }
    let regex = NAME.as_ref()?;
    splice(text, mark, |found| {
        let mut from = 0;
        while let Some(c) = regex.captures_at(text, from) {
            let (Some(whole), Some(name)) = (c.get(0), c.name("name")) else { break };
            from = whole.end();
            if name.as_str() == "arn" {
                // `...:secret:shop/db` is where a secret is kept.
                let arn = text[from..]
                    .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '<' | '\\'));
                from = arn.map_or(text.len(), |n| from + n);
                continue;
            }
            let secrecy = names::secrecy(name.as_str());
            // The current folder and the one before.
            let folder = matches!(name.as_str(), "PWD" | "OLDPWD") && text[from..].starts_with('/');
            if secrecy == Secrecy::No || folder {
                continue;
            }
            let value = if secrecy == Secrecy::Header && c.name("quote").is_none() {
                header_value(text, from)
            } else {
                value_at(text, from)
            };
            let Some(value) = value else { continue };
            if is_secret(name.as_str(), &text[value.clone()]) {
                from = value.end;
                found.push((value, super::name_id(name.as_str())));
            }
        }
    })
}

/// The rest of the line: schemes, several cookies, signatures in parts.
fn header_value(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    if rest.starts_with(['"', '\'', '\\', '[', '{']) {
        return value_at(text, from);
    }
    let mut end = rest.len();
    // Line ends in visible form count as line ends.
    for stop in ["\n", "^M", "^J", "\"", "'", "\\r", "\\n", "\\\""] {
        end = end.min(rest.find(stop).unwrap_or(end));
    }
    let value = rest[..end].trim_end();
    (!value.is_empty()).then_some(from..from + value.len())
}

/// The value that begins at `from`: quoted (perhaps with escaped quotes) or up
/// to a blank.
fn value_at(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let slashes = rest.bytes().take_while(|b| *b == b'\\').count();
    let quote = rest[slashes..].chars().next()?;
    if matches!(quote, '"' | '\'' | '`') {
        let begin = slashes + quote.len_utf8();
        let body = &rest[begin..];
        let end = closing(body, slashes, quote).unwrap_or(body.len());
        return (end > 0).then_some(from + begin..from + begin + end);
    }
    if matches!(quote, '{' | '[' | '(') {
        // A mark of ours, or a container: its members have names of their own,
        // and its items are looked at one by one only in real JSON.
        return None;
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '&' | '<' | '>' | '`'))
        .unwrap_or(rest.len());
    let visible = ["^M", "^J"].iter().filter_map(|s| rest[..end].find(s)).min().unwrap_or(end);
    let value = rest[..visible].trim_end_matches([',', ';', ')', '}', ']', '\\']);
    (!value.is_empty()).then_some(from..from + value.len())
}

/// Where a string that was opened with so many backslashes before its quote
/// ends.
fn closing(body: &str, slashes: usize, quote: char) -> Option<usize> {
    let mut run = 0;
    for (i, c) in body.char_indices() {
        match c {
            '\\' => run += 1,
            c if c == quote && (run == slashes || (slashes == 0 && run % 2 == 0)) => {
                return Some(i - run.min(slashes));
            }
            _ => run = 0,
        }
        if c == quote {
            run = 0;
        }
    }
    None
}

/// Replaces the ranges that `find` names.
fn splice(
    text: &str,
    mark: Mark<'_>,
    find: impl FnOnce(&mut Vec<(Range<usize>, &'static str)>),
) -> Option<String> {
    let mut found = Vec::new();
    find(&mut found);
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, id) in found {
        if range.start < at {
            continue;
        }
        out.push_str(&text[at..range.start]);
        out.push_str(&mark(id));
        at = range.end;
    }
    out.push_str(&text[at..]);
    Some(out)
}
