//! How much of one log line is shown.

use crate::text::SafeText;

/// Bytes of a line that are shown; the rest is counted. A line of 90,000
/// characters is no rarity, and nobody reads it in a pane.
pub const SHOWN: usize = 16 << 10;

/// A line for showing: safe, at most [`SHOWN`] bytes, then `... +n B`. `more`
/// counts bytes behind `head` that were not even kept.
pub fn capped_line(head: &[u8], more: u64) -> SafeText {
    SafeText::capped_head(head, more, SHOWN)
}
