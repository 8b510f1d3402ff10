use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::crc::crc32;
use super::lines::Why;
use crate::text::{SafeText, sanitise_json};

/// The version of the layout this program writes.
pub const VERSION: u32 = 1;

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The incident began, or a file continues another.
    Opened,
    /// One observation from a source.
    Observed,
    /// A step of the procedure and what it found.
    Step,
    /// What a person wrote.
    Note,
    /// A row a person marked, at the time the row happened.
    Mark,
    /// A verdict changed.
    Verdict,
    /// A change made to the cloud, with its undo.
    Action,
    /// Something was not recorded, and why.
    Gap,
    /// The incident ended.
    Closed,
    /// A kind this version does not know, kept under its name.
    Foreign(SafeText),
}

impl Kind {
    /// The name in the file.
    pub fn as_str(&self) -> &str {
        match self {
            Kind::Opened => "opened",
            Kind::Observed => "observed",
            Kind::Step => "step",
            Kind::Note => "note",
            Kind::Mark => "mark",
            Kind::Verdict => "verdict",
            Kind::Action => "action",
            Kind::Gap => "gap",
            Kind::Closed => "closed",
            Kind::Foreign(name) => name,
        }
    }

    /// The kind of that name; [`Kind::Foreign`] for a name not known here.
    pub fn from_name(name: &str) -> Self {
        match name {
            "opened" => Kind::Opened,
            "observed" => Kind::Observed,
            "step" => Kind::Step,
            "note" => Kind::Note,
            "mark" => Kind::Mark,
            "verdict" => Kind::Verdict,
            "action" => Kind::Action,
            "gap" => Kind::Gap,
            "closed" => Kind::Closed,
            other => Kind::Foreign(SafeText::new(other)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line of the incident file. All text in it has passed the sanitiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Version of the layout the line was written in.
    pub v: u32,
    /// When it happened, in whole microseconds.
    pub at: Timestamp,
    /// When it was handed to the writer, in whole microseconds.
    pub logged: Timestamp,
    /// `user@host`, or the name of the source.
    pub by: SafeText,
    /// What it is.
    pub kind: Kind,
    /// What the kind says. Strings may hold line feeds, but no other control.
    pub data: Value,
}

impl Record {
    /// A record to append. Sanitises `data`; `logged` is set by the writer.
    pub fn new(at: Timestamp, by: SafeText, kind: Kind, mut data: Value) -> Self {
        sanitise_json(&mut data);
        let at = whole_microseconds(at);
        Self { v: VERSION, at, logged: at, by, kind, data }
    }

    /// The text member of a note or mark.
    pub fn text(&self) -> Option<&str> {
        self.data.get("text").and_then(Value::as_str)
    }

    /// Whether this is an observation of log lines, whose number is capped.
    pub fn is_log(&self) -> bool {
        self.kind == Kind::Observed && self.data.get("fact").and_then(Value::as_str) == Some("log_lines")
    }

    /// The line of the file, LF included, in the version this program writes.
    pub fn to_line(mut self) -> Vec<u8> {
        // The members are public, so what was put in after `new` is walked too.
        sanitise_json(&mut self.data);
        let mut line = format!(
            "{{\"v\":{VERSION},\"at\":\"{:.6}\",\"logged\":\"{:.6}\",\"by\":{},\"kind\":{},\"data\":{}",
            whole_microseconds(self.at),
            whole_microseconds(self.logged),
            Value::from(self.by.one_line().as_str()),
            Value::from(self.kind.as_str()),
            self.data,
        )
        .into_bytes();
        let crc = crc32(&[&line, b"}"]);
        line.extend_from_slice(format!("{CRC_OPEN}{crc:08x}\"}}\n").as_bytes());
        line
    }
}

/// The file holds microseconds; anything finer would not come back equal.
fn whole_microseconds(t: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(t.as_microsecond()).unwrap_or(t)
}

const CRC_OPEN: &str = ",\"crc\":\"";
/// `,"crc":"01234567"}`
const CRC_LEN: usize = CRC_OPEN.len() + 8 + 2;

enum Crc {
    Matches,
    Differs,
    Absent,
}

fn check(line: &[u8]) -> Crc {
    let Some(at) = line.len().checked_sub(CRC_LEN) else { return Crc::Absent };
    let (body, tail) = line.split_at(at);
    let Some(digits) = tail.strip_prefix(CRC_OPEN.as_bytes()).and_then(|t| t.strip_suffix(b"\"}")) else {
        return Crc::Absent;
    };
    // Compared as text: an upper-case digit is a flipped bit too.
    if format!("{:08x}", crc32(&[body, b"}"])).as_bytes() == digits { Crc::Matches } else { Crc::Differs }
}

/// The members of a line of version 1 and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    v: u32,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    logged: Cow<'a, str>,
    #[serde(borrow)]
    by: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    data: Value,
    #[serde(default, borrow)]
    crc: Option<Cow<'a, str>>,
}

/// Reads a line without its LF. The second value is what is odd about a record
/// that can be used all the same. `need_crc` is for pieces of a broken line,
/// where only a checksum tells a record from an accident.
pub(super) fn parse(line: &[u8], need_crc: bool) -> Result<(Record, Option<Why>), Why> {
    let checked = match check(line) {
        Crc::Differs => return Err(Why::Damaged),
        Crc::Matches => true,
        Crc::Absent => false,
    };
    if need_crc && !checked {
        return Err(Why::Damaged);
    }
    match serde_json::from_slice::<Wire<'_>>(line) {
        Ok(wire) if wire.v == VERSION => {
            let time = |name, text: &str| {
                text.parse::<Timestamp>()
                    .map(whole_microseconds)
                    .map_err(|_| Why::NotARecord(format!("`{name}` is no RFC 3339 time")))
            };
            let mut record = Record {
                v: wire.v,
                at: time("at", &wire.at)?,
                logged: time("logged", &wire.logged)?,
                by: SafeText::new(&wire.by),
                kind: Kind::from_name(&wire.kind),
                data: wire.data,
            };
            sanitise_json(&mut record.data);
            // A checksum elsewhere than at the end cannot be checked.
            let odd =
                (wire.crc.is_some() && !checked).then(|| Why::UnknownMember("crc not at the end".into()));
            Ok((record, odd))
        }
        _ => parse_odd(line),
    }
}

/// The slow way, for lines that are not exactly version 1.
fn parse_odd(line: &[u8]) -> Result<(Record, Option<Why>), Why> {
    if std::str::from_utf8(line).is_err() {
        return Err(Why::NotUtf8);
    }
    let value: Value = serde_json::from_slice(line).map_err(|e| {
        if e.is_eof() { Why::NotJson("it ends in the middle".into()) } else { Why::NotJson(short(&e)) }
    })?;
    let Value::Object(mut map) = value else { return Err(Why::NotARecord("it is no JSON object".into())) };
    let v = match map.get("v").map(Value::as_u64) {
        Some(Some(v)) if v >= 1 => u32::try_from(v).unwrap_or(u32::MAX),
        Some(_) => return Err(Why::NotARecord("`v` is no version".into())),
        None => return Err(Why::NotARecord("it has no `v`".into())),
    };
    let mut text = |name: &str| match map.shift_remove(name) {
        Some(Value::String(s)) => Ok(s),
        Some(_) => Err(Why::NotARecord(format!("`{name}` is no text"))),
        None => Err(Why::NotARecord(format!("it has no `{name}`"))),
    };
    let time = |name: &str, text: String| {
        text.parse::<Timestamp>()
            .map(whole_microseconds)
            .map_err(|_| Why::NotARecord(format!("`{name}` is no RFC 3339 time")))
    };
    let at = time("at", text("at")?)?;
    let logged = text("logged").and_then(|t| time("logged", t));
    let by = text("by");
    let kind = text("kind")?;
    // A newer layout may have dropped what is not needed to place a record.
    let (logged, by) =
        if v > VERSION { (logged.unwrap_or(at), by.unwrap_or_default()) } else { (logged?, by?) };
    let data = match map.shift_remove("data") {
        Some(data) => data,
        None if v > VERSION => Value::Null,
        None => return Err(Why::NotARecord("it has no `data`".into())),
    };
    map.shift_remove("v");
    map.shift_remove("crc");
    let odd = if v > VERSION {
        Why::Newer(v)
    } else {
        let names: Vec<&str> = map.keys().map(String::as_str).collect();
        Why::UnknownMember(names.join(", "))
    };
    let mut record = Record { v, at, logged, by: SafeText::new(by), kind: Kind::from_name(&kind), data };
    sanitise_json(&mut record.data);
    Ok((record, Some(odd)))
}

/// serde_json's message without its "at line 1".
fn short(e: &serde_json::Error) -> String {
    let text = e.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} at column {}", e.column())
}
