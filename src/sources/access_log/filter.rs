//! `--where`: which rows count. A small language over the fields of a row:
//! `status=502 and path~"^/api" and not (target=10.0.1.5:8080 or took>2s)`.

use super::blame::shape_of;
use super::tally::total;
use super::{Format, Row};
use ipnet::IpNet;
use regex::bytes::Regex;
use std::net::IpAddr;
use std::str::FromStr;

/// Brackets within brackets at most.
const DEPTH: usize = 40;

/// An expression, compiled.
#[derive(Clone, Debug)]
pub struct Filter {
    node: Node,
    /// As it was typed.
    text: String,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Number(Number, Compare, f64),
    /// `5xx`
    Hundred(Number, bool, u16),
    Text(Text, bool, Vec<u8>),
    Matches(Text, bool, Regex),
    Within(bool, IpNet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Status,
    TargetStatus,
    RequestTime,
    TargetTime,
    ResponseTime,
    Took,
    Received,
    Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Target,
    Path,
    Host,
    Method,
    Client,
    Agent,
    Group,
    Trace,
    Reason,
    Actions,
    Class,
    Node,
    Format,
    Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Number(Number),
    Text(Text),
}

const FIELDS: [(&str, Field); 22] = [
    ("status", Field::Number(Number::Status)),
    ("target_status", Field::Number(Number::TargetStatus)),
    ("request_time", Field::Number(Number::RequestTime)),
    ("target_time", Field::Number(Number::TargetTime)),
    ("response_time", Field::Number(Number::ResponseTime)),
    ("took", Field::Number(Number::Took)),
    ("received", Field::Number(Number::Received)),
    ("sent", Field::Number(Number::Sent)),
    ("target", Field::Text(Text::Target)),
    ("path", Field::Text(Text::Path)),
    ("host", Field::Text(Text::Host)),
    ("method", Field::Text(Text::Method)),
    ("client", Field::Text(Text::Client)),
    ("agent", Field::Text(Text::Agent)),
    ("group", Field::Text(Text::Group)),
    ("trace", Field::Text(Text::Trace)),
    ("reason", Field::Text(Text::Reason)),
    ("actions", Field::Text(Text::Actions)),
    ("class", Field::Text(Text::Class)),
    ("node", Field::Text(Text::Node)),
    ("format", Field::Text(Text::Format)),
    ("shape", Field::Text(Text::Shape)),
];

/// What is wrong with an expression; one line, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at character {at}")]
pub struct FilterError {
    pub what: String,
    /// Counted from 1.
    pub at: usize,
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(s: &str) -> Result<Filter, FilterError> {
        let mut p = Words { text: s, at: 0 };
        let node = any(&mut p, 0)?;
        match p.peek()? {
            None => Ok(Filter { node, text: s.to_owned() }),
            Some((w, at)) => {
                Err(fail(s, at, format!("expected 'and', 'or' or the end, found '{}'", w.text())))
            }
        }
    }
}

fn fail(text: &str, at: usize, what: impl Into<String>) -> FilterError {
    FilterError { what: what.into(), at: text[..at.min(text.len())].chars().count() + 1 }
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Sign(&'static str),
    Bare(String),
    Quoted(String),
}

impl Word {
    fn text(&self) -> &str {
        match self {
            Word::Sign(s) => s,
            Word::Bare(s) | Word::Quoted(s) => s,
        }
    }

    fn is(&self, words: &[&str]) -> bool {
        match self {
            Word::Sign(s) => words.contains(s),
            Word::Bare(b) => words.iter().any(|w| w.eq_ignore_ascii_case(b)),
            Word::Quoted(_) => false,
        }
    }
}

struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Words<'_> {
    fn peek(&mut self) -> Result<Option<(Word, usize)>, FilterError> {
        let before = self.at;
        let word = self.next();
        self.at = before;
        word
    }

    fn next(&mut self) -> Result<Option<(Word, usize)>, FilterError> {
        const SIGNS: [&str; 13] = ["!=", "!~", "<=", ">=", "==", "&&", "||", "=", "~", "<", ">", "(", ")"];
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        let (from, rest) = (self.at, &self.text[self.at..]);
        let Some(first) = rest.chars().next() else { return Ok(None) };
        if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            self.at += sign.len();
            return Ok(Some((Word::Sign(sign), from)));
        }
        if first == '!' {
            self.at += 1;
            return Ok(Some((Word::Sign("!"), from)));
        }
        if first == '"' || first == '\'' {
            let Some(end) = rest[1..].find(first) else {
                return Err(fail(self.text, from, format!("this {first} has no end")));
            };
            self.at += end + 2;
            return Ok(Some((Word::Quoted(rest[1..=end].to_owned()), from)));
        }
        let end = rest.find(|c: char| c.is_whitespace() || "()=<>~!\"'".contains(c)).unwrap_or(rest.len());
        self.at += end;
        Ok(Some((Word::Bare(rest[..end].to_owned()), from)))
    }

    /// Takes the next word when it is one of these.
    fn eat(&mut self, words: &[&str]) -> Result<bool, FilterError> {
        let before = self.at;
        match self.next()? {
            Some((w, _)) if w.is(words) => Ok(true),
            _ => {
                self.at = before;
                Ok(false)
            }
        }
    }
}

fn any(p: &mut Words<'_>, depth: usize) -> Result<Node, FilterError> {
    let mut all = vec![every(p, depth)?];
    while p.eat(&["or", "||"])? {
        all.push(every(p, depth)?);
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Node::Any(all) })
}

fn every(p: &mut Words<'_>, depth: usize) -> Result<Node, FilterError> {
    let mut all = vec![one(p, depth)?];
    while p.eat(&["and", "&&"])? {
        all.push(one(p, depth)?);
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Node::All(all) })
}

fn one(p: &mut Words<'_>, depth: usize) -> Result<Node, FilterError> {
    if depth > DEPTH {
        return Err(fail(p.text, p.at, format!("more than {DEPTH} brackets within each other")));
    }
    if p.eat(&["not", "!"])? {
        return Ok(Node::Not(Box::new(one(p, depth + 1)?)));
    }
    if p.eat(&["("])? {
        let node = any(p, depth + 1)?;
        return match p.next()? {
            Some((w, _)) if w.is(&[")"]) => Ok(node),
            other => Err(fail(p.text, other.map_or(p.text.len(), |o| o.1), "expected ')'")),
        };
    }
    let known = || FIELDS.map(|f| f.0).join(", ");
    let (word, at) = match p.next()? {
        Some((w @ Word::Bare(_), at)) => (w, at),
        Some((w, at)) => {
            return Err(fail(
                p.text,
                at,
                format!("expected a field, found '{}'; known: {}", w.text(), known()),
            ));
        }
        None => return Err(fail(p.text, p.text.len(), format!("expected a field; known: {}", known()))),
    };
    let name = word.text().to_ascii_lowercase();
    let Some((_, field)) = FIELDS.iter().find(|f| f.0 == name) else {
        let near = crate::config::nearest(&name, FIELDS.iter().map(|f| f.0));
        let hint = near.map_or_else(|| format!("known: {}", known()), |n| format!("did you mean '{n}'?"));
        return Err(fail(p.text, at, format!("there is no field '{}'; {hint}", word.text())));
    };
    let (sign, sign_at) = match p.next()? {
        Some((Word::Sign(s), at)) if !matches!(s, "(" | ")" | "!" | "&&" | "||") => (s, at),
        other => {
            let at = other.map_or(p.text.len(), |o| o.1);
            return Err(fail(p.text, at, format!("'{name}' needs one of = != < <= > >= ~ !~ behind it")));
        }
    };
    let (value, value_at) = match p.next()? {
        Some((Word::Bare(v) | Word::Quoted(v), at)) => (v, at),
        other => {
            let at = other.map_or(p.text.len(), |o| o.1);
            return Err(fail(p.text, at, format!("'{name} {sign}' needs a value")));
        }
    };
    match field {
        Field::Number(n) => number(*n, sign, &value).map_err(|what| {
            let at = if what.starts_with('\'') { value_at } else { sign_at };
            fail(p.text, at, what)
        }),
        Field::Text(t) => text(*t, &name, sign, &value).map_err(|what| fail(p.text, value_at, what)),
    }
}

fn number(field: Number, sign: &str, value: &str) -> Result<Node, String> {
    let compare = match sign {
        "=" | "==" => Compare::Eq,
        "!=" => Compare::Ne,
        "<" => Compare::Lt,
        "<=" => Compare::Le,
        ">" => Compare::Gt,
        ">=" => Compare::Ge,
        _ => return Err("a number is compared by = != < <= > >=".into()),
    };
    let status = matches!(field, Number::Status | Number::TargetStatus);
    if status && (value == "-" || value.is_empty()) {
        return Ok(Node::Number(field, compare, 0.0));
    }
    if status
        && let [d @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] = value.as_bytes()
        && matches!(compare, Compare::Eq | Compare::Ne)
    {
        return Ok(Node::Hundred(field, compare == Compare::Eq, u16::from(d - b'0')));
    }
    let units: &[(&str, f64)] = match field {
        Number::Status | Number::TargetStatus => &[],
        Number::Received | Number::Sent => {
            &[("kb", 1e3), ("mb", 1e6), ("k", 1024.0), ("m", 1_048_576.0), ("b", 1.0)]
        }
        _ => &[("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0)],
    };
    let lower = value.to_ascii_lowercase();
    let (digits, unit) = units
        .iter()
        .find_map(|(u, by)| lower.strip_suffix(u).filter(|d| d.parse::<f64>().is_ok()).map(|d| (d, *by)))
        .unwrap_or((&lower, 1.0));
    match digits.parse::<f64>() {
        Ok(n) if n.is_finite() => Ok(Node::Number(field, compare, n * unit)),
        _ => Err(format!("'{value}' is no number")),
    }
}

fn text(field: Text, name: &str, sign: &str, value: &str) -> Result<Node, String> {
    let positive = !sign.starts_with('!');
    match sign {
        "=" | "==" | "!=" => {
            if field == Text::Client && value.contains('/') {
                let net = value
                    .parse::<IpNet>()
                    .map_err(|_| format!("'{value}' is no network, as 10.0.0.0/8 is"))?;
                return Ok(Node::Within(positive, net));
            }
            let value = if value == "-" { "" } else { value };
            Ok(Node::Text(field, positive, value.as_bytes().to_vec()))
        }
        "~" | "!~" => {
            let re = regex::bytes::RegexBuilder::new(value).size_limit(1 << 20).build();
            re.map(|re| Node::Matches(field, positive, re)).map_err(|e| {
                let e = e.to_string();
                let last = e.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("'{value}' is no regular expression: {last}")
            })
        }
        _ => Err(format!("'{name}' is text; it is compared by = != ~ !~")),
    }
}

impl Filter {
    /// True when a row counts. `idle` is the idle timeout in seconds.
    pub fn holds(&self, format: Format, row: &Row<'_>, idle: f64) -> bool {
        self.node.holds(format, row, idle)
    }
}

impl Node {
    fn holds(&self, f: Format, r: &Row<'_>, idle: f64) -> bool {
        match self {
            Node::All(all) => all.iter().all(|n| n.holds(f, r, idle)),
            Node::Any(all) => all.iter().any(|n| n.holds(f, r, idle)),
            Node::Not(n) => !n.holds(f, r, idle),
            Node::Number(field, compare, n) => match of_number(*field, r) {
                None => *compare == Compare::Ne,
                Some(v) => match compare {
                    Compare::Eq => v == *n,
                    Compare::Ne => v != *n,
                    Compare::Lt => v < *n,
                    Compare::Le => v <= *n,
                    Compare::Gt => v > *n,
                    Compare::Ge => v >= *n,
                },
            },
            Node::Hundred(field, positive, h) => {
                of_number(*field, r).is_some_and(|v| (v / 100.0) as u16 == *h) == *positive
            }
            Node::Text(field, positive, v) => (of_text(*field, f, r, idle) == v.as_slice()) == *positive,
            Node::Matches(field, positive, re) => re.is_match(of_text(*field, f, r, idle)) == *positive,
            Node::Within(positive, net) => {
                let ip = std::str::from_utf8(r.client)
                    .ok()
                    .and_then(|c| c.trim_matches(['[', ']']).parse::<IpAddr>().ok());
                ip.is_some_and(|ip| net.contains(&ip)) == *positive
            }
        }
    }
}

/// `None` where the row does not tell it.
fn of_number(n: Number, r: &Row<'_>) -> Option<f64> {
    let time = |us: i64| (us >= 0).then(|| us as f64 / 1e6);
    match n {
        Number::Status => Some(f64::from(r.lb)),
        Number::TargetStatus => Some(f64::from(r.status)),
        Number::RequestTime => time(r.times[0]),
        Number::TargetTime => time(r.times[1]),
        Number::ResponseTime => time(r.times[2]),
        Number::Took => time(total(r)),
        Number::Received => Some(r.received as f64),
        Number::Sent => Some(r.sent as f64),
    }
}

fn of_text<'a>(t: Text, f: Format, r: &Row<'a>, idle: f64) -> &'a [u8] {
    match t {
        Text::Target => r.target,
        Text::Path => r.path,
        Text::Host => r.host,
        Text::Method => r.method,
        Text::Client => r.client,
        Text::Agent => r.agent,
        Text::Group => r.group,
        Text::Trace => r.trace,
        Text::Reason => r.reason,
        Text::Actions => r.actions,
        Text::Class => r.class,
        Text::Node => r.node,
        Text::Format => f.name().as_bytes(),
        Text::Shape if f == Format::Alb && r.failed() => {
            use crate::situation::shape::Shape;
            match shape_of(r, idle) {
                Shape::Answered => b"answered",
                Shape::Lambda => b"lambda",
                Shape::Refused => b"refused",
                Shape::Unconnected => b"unconnected",
                Shape::Slow => b"slow",
                Shape::Broken => b"broken",
                Shape::NoTarget => b"no-target",
                Shape::Fixed => b"fixed",
                Shape::Auth => b"auth",
                Shape::Aborted => b"aborted",
                Shape::Rejected => b"rejected",
                Shape::Other => b"other",
            }
        }
        Text::Shape => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row<'static> {
        Row {
            lb: 502,
            target: b"10.0.1.5:8080",
            path: b"/api/cart",
            client: b"203.0.113.9",
            times: [0, 41_000, -1],
            received: 70_000,
            ..Row::default()
        }
    }

    fn holds(expression: &str) -> bool {
        expression.parse::<Filter>().unwrap_or_else(|e| panic!("{expression}: {e}")).holds(
            Format::Alb,
            &row(),
            60.0,
        )
    }

    #[test]
    fn expressions_say_what_they_mean() {
        for yes in [
            "status=502",
            "status = 5xx and target_status = -",
            "status!=200 && path~'^/api' and not path ~ \"order\"",
            "target=10.0.1.5:8080 or status=1",
            "(status=200 or status=502) and client=203.0.113.0/24",
            "client != 10.0.0.0/8",
            "target_time>=41ms and target_time<0.05",
            "response_time != 1",
            "not response_time < 1",
            "received > 64k",
            "shape=broken",
            "format=alb",
            "reason=-",
            "! status=200 || status=200",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "status=200",
            "target!=10.0.1.5:8080",
            "path!~^/api",
            "status=4xx",
            "response_time>0",
            "status=502 and (status=200)",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (expression, want) in [
            ("", "expected a field"),
            ("statsu=502", "there is no field 'statsu'; did you mean 'status'?, at character 1"),
            ("status", "'status' needs one of = != < <= > >= ~ !~ behind it, at character 7"),
            ("status=", "'status =' needs a value, at character 8"),
            ("status=abc", "'abc' is no number, at character 8"),
            ("status~5", "a number is compared by = != < <= > >=, at character 7"),
            ("path<3", "'path' is text"),
            ("path~\"[\"", "is no regular expression"),
            ("path=\"x", "this \" has no end, at character 6"),
            ("(status=502", "expected ')', at character 12"),
            ("status=502 status=503", "expected 'and', 'or' or the end, found 'status', at character 12"),
            ("client=1.2.3.4/99", "'1.2.3.4/99' is no network"),
            ("\u{e9}=1 and =", "there is no field"),
        ] {
            let e = expression.parse::<Filter>().unwrap_err().to_string();
            assert!(e.contains(want), "{expression}: {e}");
        }
        assert!("(".repeat(100_000).parse::<Filter>().is_err(), "no depth of brackets overflows the stack");
    }
}
