//! The signs the chrome is drawn with: one set for terminals that show
//! Unicode, one in plain ASCII, which is also the way out where box lines are
//! drawn two columns wide. No emoji.

use super::caps::GlyphSet;

/// What sparklines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bars {
    /// Two points a column, four levels each.
    Braille,
    /// One point a column, eight levels.
    Block,
    /// One point a column, five levels of ASCII.
    Ascii,
}

/// The lines of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    pub horizontal: &'static str,
    pub vertical: &'static str,
    pub top_left: &'static str,
    pub top_right: &'static str,
    pub bottom_left: &'static str,
    pub bottom_right: &'static str,
}

/// A set of signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Which set it is.
    pub set: GlyphSet,
    /// Works.
    pub good: &'static str,
    /// Broken.
    pub bad: &'static str,
    /// Look at it.
    pub warn: &'static str,
    /// Not known.
    pub unknown: &'static str,
    /// Under way.
    pub busy: &'static str,
    /// Nothing to judge.
    pub idle: &'static str,
    /// Where text was cut.
    pub ellipsis: &'static str,
    /// From one thing to the next.
    pub arrow: &'static str,
    /// Back again.
    pub back: &'static str,
    /// Points at the selected row.
    pub pointer: &'static str,
    /// Marks a row a person marked.
    pub mark: &'static str,
    /// A row that can be opened.
    pub closed: &'static str,
    /// A row that is open.
    pub open: &'static str,
    /// Between hops of the path strip.
    pub link: &'static str,
    /// Between words of a title.
    pub dot: &'static str,
    /// More above, more below.
    pub up: &'static str,
    pub down: &'static str,
    /// Continues a wrapped line.
    pub wrap: &'static str,
    /// Frames of panes without and with the keyboard.
    pub frame: Lines,
    pub frame_focus: Lines,
    /// What sparklines are made of.
    pub bars: Bars,
    /// A minute without a point, which is not zero.
    pub absent: &'static str,
}

/// Signs for terminals that show Unicode.
pub const UNICODE: Glyphs = Glyphs {
    set: GlyphSet::Unicode,
    good: "\u{2713}",
    bad: "\u{2717}",
    warn: "!",
    unknown: "?",
    busy: "~",
    idle: "-",
    ellipsis: "\u{2026}",
    arrow: "\u{2192}",
    back: "\u{2190}",
    pointer: "\u{258c}",
    mark: "\u{25c6}",
    closed: "\u{25b8}",
    open: "\u{25be}",
    link: "\u{2500}\u{2500}",
    dot: "\u{b7}",
    up: "\u{2191}",
    down: "\u{2193}",
    wrap: "\u{21aa}",
    frame: Lines {
        horizontal: "\u{2500}",
        vertical: "\u{2502}",
        top_left: "\u{250c}",
        top_right: "\u{2510}",
        bottom_left: "\u{2514}",
        bottom_right: "\u{2518}",
    },
    frame_focus: Lines {
        horizontal: "\u{2501}",
        vertical: "\u{2503}",
        top_left: "\u{250f}",
        top_right: "\u{2513}",
        bottom_left: "\u{2517}",
        bottom_right: "\u{251b}",
    },
    bars: Bars::Braille,
    absent: " ",
};

/// Signs in ASCII.
pub const ASCII: Glyphs = Glyphs {
    set: GlyphSet::Ascii,
    good: "+",
    bad: "x",
    warn: "!",
    unknown: "?",
    busy: "~",
    idle: "-",
    ellipsis: "~",
    arrow: ">",
    back: "<",
    pointer: "#",
    mark: "*",
    closed: ">",
    open: "v",
    link: "--",
    dot: "|",
    up: "^",
    down: "v",
    wrap: "\\",
    frame: Lines {
        horizontal: "-",
        vertical: "|",
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
    },
    frame_focus: Lines {
        horizontal: "=",
        vertical: "#",
        top_left: "#",
        top_right: "#",
        bottom_left: "#",
        bottom_right: "#",
    },
    bars: Bars::Ascii,
    absent: " ",
};

impl Glyphs {
    /// The signs of a set.
    pub fn new(set: GlyphSet) -> Glyphs {
        match set {
            GlyphSet::Unicode => UNICODE,
            GlyphSet::Ascii => ASCII,
        }
    }
}

impl Default for Glyphs {
    fn default() -> Self {
        ASCII
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    fn signs(g: &Glyphs) -> Vec<&'static str> {
        let frames = [g.frame, g.frame_focus]
            .into_iter()
            .flat_map(|l| [l.horizontal, l.vertical, l.top_left, l.top_right, l.bottom_left, l.bottom_right])
            .collect::<Vec<_>>();
        [
            g.good, g.bad, g.warn, g.unknown, g.busy, g.idle, g.ellipsis, g.arrow, g.back, g.pointer, g.mark,
            g.closed, g.open, g.dot, g.up, g.down, g.wrap, g.absent,
        ]
        .into_iter()
        .chain(frames)
        .collect()
    }

    #[test]
    fn every_sign_is_one_column_and_ascii_is_ascii() {
        for g in [UNICODE, ASCII] {
            for sign in signs(&g) {
                assert_eq!(sign.width(), 1, "{sign:?}");
                assert!(g.set == GlyphSet::Unicode || sign.is_ascii(), "{sign:?}");
            }
            assert_eq!(g.link.width(), 2);
        }
    }

    #[test]
    fn statuses_have_different_signs() {
        for g in [UNICODE, ASCII] {
            let mut all = [g.good, g.bad, g.warn, g.unknown, g.busy, g.idle];
            all.sort_unstable();
            assert!(all.windows(2).all(|w| w[0] != w[1]), "{all:?}");
        }
    }
}
