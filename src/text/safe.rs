use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::scan::{self, Lines, is_plain, sanitise_multiline};

/// Text in which nothing can reach a terminal's interpreter: no C0 (but LF in
/// multi-line text), no DEL, no C1, no bidirectional or invisible controls.
///
/// A clone is a reference count. Sanitising the text of a `SafeText` again
/// gives the same text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeText(Arc<str>);

impl SafeText {
    /// One-line text: LF and CR are shown as `^J` and `^M`.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::from_bytes(text.as_ref().as_bytes())
    }

    /// A label written in this program. It is sanitised all the same.
    pub fn from_static(text: &'static str) -> Self {
        Self::new(text)
    }

    /// One-line text from bytes of unknown encoding. Bytes that are no UTF-8
    /// are shown as `\xff`.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if is_plain(bytes) => Self(text.into()),
            _ => Self(scan::run(bytes, Lines::Single).into()),
        }
    }

    /// Text with line breaks, such as a note or a stack trace: LF is kept,
    /// CRLF becomes LF, anything else as in [`SafeText::new`].
    pub fn multiline(text: impl AsRef<[u8]>) -> Self {
        Self(scan::run(text.as_ref(), Lines::Multi).into())
    }

    /// One-line text of at most `max_bytes`, then `... +n B` where `n` counts
    /// the bytes of the input that were left out. Costs `max_bytes`, not the
    /// length of the input.
    pub fn capped(input: impl AsRef<[u8]>, max_bytes: usize) -> Self {
        Self::cap(input.as_ref(), Lines::Single, max_bytes)
    }

    /// As [`SafeText::capped`] with LF kept.
    pub fn capped_multiline(input: impl AsRef<[u8]>, max_bytes: usize) -> Self {
        Self::cap(input.as_ref(), Lines::Multi, max_bytes)
    }

    /// As [`SafeText::capped`] for a line of which only the head was kept:
    /// `more` bytes came behind `head` and count among those left out.
    pub fn capped_head(head: &[u8], more: u64, max_bytes: usize) -> Self {
        if more == 0
            && head.len() <= max_bytes
            && is_plain(head)
            && let Ok(text) = std::str::from_utf8(head)
        {
            return if text.is_empty() { Self::default() } else { Self(text.into()) };
        }
        Self::cap_head(head, Lines::Single, max_bytes, more)
    }

    fn cap(input: &[u8], lines: Lines, max_bytes: usize) -> Self {
        Self::cap_head(input, lines, max_bytes, 0)
    }

    fn cap_head(input: &[u8], lines: Lines, max_bytes: usize, more: u64) -> Self {
        let (mut out, left) = scan::scan(input, lines, max_bytes);
        let left = left as u64 + more;
        if left > 0 {
            use fmt::Write;
            // Writing to a String cannot fail.
            let _ = write!(out, "... +{left} B");
        }
        Self(out.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with line feeds shown as `^J`, for places that hold one line.
    pub fn one_line(&self) -> SafeText {
        if self.0.contains('\n') { Self::new(&self.0) } else { self.clone() }
    }
}

impl Deref for SafeText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SafeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SafeText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Default for SafeText {
    /// Empty text. It costs no allocation: lines without a stream or an id
    /// are held by the million.
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl From<&str> for SafeText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&String> for SafeText {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<String> for SafeText {
    fn from(text: String) -> Self {
        if is_plain(text.as_bytes()) { Self(text.into()) } else { Self::new(&text) }
    }
}

impl From<Cow<'_, str>> for SafeText {
    fn from(text: Cow<'_, str>) -> Self {
        Self::new(&text)
    }
}

impl PartialEq<str> for SafeText {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for SafeText {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl Serialize for SafeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What is read is sanitised again, whoever wrote it. Line feeds are kept, so
/// that every `SafeText` comes back equal; where one line is wanted, see
/// [`SafeText::one_line`].
impl<'de> Deserialize<'de> for SafeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::multiline(text.as_bytes()))
    }
}

/// Sanitises every string of a JSON value in place: text keeps its line feeds,
/// member names are one line. Two members whose names become equal would lose
/// one of them, so the later gets a `~` behind its name.
pub fn sanitise_json(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = sanitise_multiline(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sanitise_json),
        Value::Object(map) => {
            if !map.keys().all(|k| is_plain(k.as_bytes())) {
                for (name, item) in std::mem::take(map) {
                    let mut name = scan::sanitise(&name).into_owned();
                    while map.contains_key(&name) {
                        name.push('~');
                    }
                    map.insert(name, item);
                }
            }
            map.values_mut().for_each(sanitise_json);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
