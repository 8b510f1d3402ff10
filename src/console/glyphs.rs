//! Status glyphs and line drawing, in Unicode and in ASCII.

use super::caps::GlyphSet;

/// Characters by meaning, each one column wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    pub set: GlyphSet,
    pub good: &'static str,
    pub warn: &'static str,
    pub bad: &'static str,
    pub unknown: &'static str,
    /// Marks what was cut off.
    pub ellipsis: &'static str,
    /// Points at the selected row.
    pub pointer: &'static str,
}

impl Glyphs {
    /// The characters of a set.
    pub fn new(set: GlyphSet) -> Glyphs {
        let unicode = set == GlyphSet::Unicode;
        Glyphs {
            set,
            good: "+",
            warn: "!",
            bad: "x",
            unknown: "?",
            ellipsis: if unicode { "\u{2026}" } else { "~" },
            pointer: ">",
        }
    }
}
