//! SDK types to the vocabulary of the situation. Pure functions: what the
//! API wrote goes in, what we know comes out. What cannot be read is an error
//! or marked unreadable, never a guess.

pub mod ec2;
pub mod ecs;
pub mod elb;

use crate::situation::Reason;
use crate::text::SafeText;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

/// Longest free text that is kept (descriptions, reasons, fixed bodies).
const FREE_TEXT: usize = 1024;

/// An id or name; absent is empty.
fn id(text: &Option<String>) -> SafeText {
    SafeText::new(text.as_deref().unwrap_or_default())
}

/// Text somebody wrote; absent is empty, long is cut.
fn free(text: &Option<String>) -> SafeText {
    SafeText::capped(text.as_deref().unwrap_or_default(), FREE_TEXT)
}

/// Several ids, in the API's order.
fn ids(list: &Option<Vec<String>>) -> Vec<SafeText> {
    list.iter().flatten().map(SafeText::from).collect()
}

/// A time of the API.
pub(super) fn time(t: &Option<DateTime>) -> Option<Timestamp> {
    let t = t.as_ref()?;
    Timestamp::new(t.secs(), i32::try_from(t.subsec_nanos()).ok()?).ok()
}

/// A port of the API; none where the number is no port.
fn port(n: Option<i32>) -> Option<u16> {
    u16::try_from(n?).ok()
}

/// A list the API always writes, empty or not: an answer without it is not
/// read as "there are none".
pub(super) fn listed<T>(list: Option<Vec<T>>, name: &str) -> Result<Vec<T>, Reason> {
    list.ok_or_else(|| Reason::Malformed { detail: SafeText::from(format!("the answer lacks {name}")) })
}
