//! What the terminal can do, read from the environment alone: badgate sends no
//! query to a terminal, since an answer that comes late or never reads as keys.

/// How many colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// None: bold, reverse and underline only (`NO_COLOR`, `TERM=dumb`).
    Mono,
    /// The terminal's own 16.
    Ansi16,
    /// The fixed palette of 256.
    Ansi256,
    /// 24 bits.
    True,
}

/// Which characters frames, sparklines and status glyphs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GlyphSet {
    /// Box drawing and block elements; all of them one column wide.
    Unicode,
    /// ASCII only (a console font, a locale that is not UTF-8).
    Ascii,
}

/// Everything decided once at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub depth: Depth,
    pub glyphs: GlyphSet,
    /// Frames are wrapped in synchronized-output marks (mode 2026).
    pub sync: bool,
    /// The terminal is at the other end of a network: draw less often.
    pub remote: bool,
    /// Inside tmux or GNU screen: escape sequences for the outer terminal need wrapping.
    pub multiplexer: Multiplexer,
}

/// What stands between the program and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Multiplexer {
    None,
    Tmux,
    Screen,
}

/// A choice made by an option or the config file; `Auto` looks at the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice<T> {
    #[default]
    Auto,
    Is(T),
}

impl<T: Copy> Choice<T> {
    fn or(self, auto: impl FnOnce() -> T) -> T {
        match self {
            Choice::Auto => auto(),
            Choice::Is(v) => v,
        }
    }
}

/// What the person asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    pub depth: Choice<Depth>,
    pub glyphs: Choice<GlyphSet>,
    pub sync: Choice<bool>,
}

impl Default for Caps {
    fn default() -> Self {
        Caps {
            depth: Depth::Ansi16,
            glyphs: GlyphSet::Unicode,
            sync: false,
            remote: false,
            multiplexer: Multiplexer::None,
        }
    }
}

impl Caps {
    /// Decides from wishes and an environment (`var` answers for a variable's value).
    pub fn detect(wishes: Wishes, var: impl Fn(&str) -> Option<String>) -> Caps {
        let set = |name: &str| var(name).filter(|v| !v.is_empty());
        let term = set("TERM").unwrap_or_default();
        let multiplexer = if set("TMUX").is_some() || term.starts_with("tmux") {
            Multiplexer::Tmux
        } else if set("STY").is_some() || term.starts_with("screen") {
            Multiplexer::Screen
        } else {
            Multiplexer::None
        };
        Caps {
            depth: wishes.depth.or(|| depth(&set, &term, multiplexer)),
            glyphs: wishes.glyphs.or(|| glyphs(&set, &term)),
            // A terminal that does not know the mode ignores it; the few that
            // print what they do not know are named here.
            sync: wishes
                .sync
                .or(|| !matches!(term.as_str(), "" | "dumb" | "linux" | "vt100" | "vt220" | "ansi")),
            remote: set("SSH_CONNECTION").is_some() || set("SSH_TTY").is_some(),
            multiplexer,
        }
    }
}

fn depth(set: &impl Fn(&str) -> Option<String>, term: &str, multiplexer: Multiplexer) -> Depth {
    if set("NO_COLOR").is_some() || matches!(term, "" | "dumb" | "vt100" | "vt220") {
        return Depth::Mono;
    }
    let said_true = set("COLORTERM").is_some_and(|v| matches!(v.as_str(), "truecolor" | "24bit"));
    // GNU screen hands COLORTERM through from the outer terminal and then cuts
    // 24-bit colours down wrongly; tmux converts them to what it has.
    if said_true && multiplexer != Multiplexer::Screen && !term.starts_with("screen") {
        return Depth::True;
    }
    if term.contains("direct") {
        Depth::True
    } else if term.contains("256color") || said_true {
        Depth::Ansi256
    } else {
        Depth::Ansi16
    }
}

fn glyphs(set: &impl Fn(&str) -> Option<String>, term: &str) -> GlyphSet {
    // The kernel's console has box drawing but few block elements.
    if matches!(term, "linux" | "dumb" | "vt100" | "vt220" | "") {
        return GlyphSet::Ascii;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| set(n)).unwrap_or_default();
    let upper = locale.to_ascii_uppercase();
    // An empty or C locale is what a bare container has; its terminal is
    // nearly always UTF-8. Only a locale that names another charset says no.
    let other_charset = upper.contains('.') && !upper.contains("UTF-8") && !upper.contains("UTF8");
    if other_charset { GlyphSet::Ascii } else { GlyphSet::Unicode }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Caps {
        Caps::detect(Wishes::default(), |n| vars.iter().find(|v| v.0 == n).map(|v| v.1.to_string()))
    }

    #[test]
    fn depth_follows_the_terminal_and_not_colorterm_alone() {
        let table: [(&[(&str, &str)], Depth); 10] = [
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("TERM", "xterm-256color")], Depth::Ansi256),
            (&[("TERM", "xterm")], Depth::Ansi16),
            (&[("TERM", "screen-256color"), ("COLORTERM", "truecolor")], Depth::Ansi256),
            (&[("TERM", "screen"), ("STY", "1.x"), ("COLORTERM", "truecolor")], Depth::Ansi256),
            (&[("TERM", "tmux-256color"), ("TMUX", "/tmp/x"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("COLORTERM", "24bit")], Depth::Mono),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "")], Depth::Ansi256),
            (&[("TERM", "dumb")], Depth::Mono),
            (&[("TERM", "linux")], Depth::Ansi16),
        ];
        for (vars, want) in table {
            assert_eq!(with(vars).depth, want, "{vars:?}");
        }
    }

    #[test]
    fn glyphs_follow_the_locale() {
        for (locale, want) in [
            ("", GlyphSet::Unicode),
            ("C", GlyphSet::Unicode),
            ("ja_JP.UTF-8", GlyphSet::Unicode),
            ("en_US.utf8", GlyphSet::Unicode),
            ("ja_JP.EUC-JP", GlyphSet::Ascii),
            ("en_US.ISO-8859-1", GlyphSet::Ascii),
        ] {
            assert_eq!(with(&[("TERM", "xterm"), ("LANG", locale)]).glyphs, want, "{locale}");
        }
        assert_eq!(with(&[("TERM", "linux"), ("LANG", "en_US.UTF-8")]).glyphs, GlyphSet::Ascii);
    }

    #[test]
    fn wishes_win() {
        let wishes = Wishes {
            depth: Choice::Is(Depth::Mono),
            glyphs: Choice::Is(GlyphSet::Ascii),
            sync: Choice::Is(false),
        };
        let caps = Caps::detect(wishes, |n| (n == "TERM").then(|| "xterm-direct".into()));
        assert_eq!((caps.depth, caps.glyphs, caps.sync), (Depth::Mono, GlyphSet::Ascii, false));
    }

    #[test]
    fn a_far_terminal_is_known_by_ssh() {
        assert!(with(&[("TERM", "xterm"), ("SSH_TTY", "/dev/pts/3")]).remote);
        assert!(!with(&[("TERM", "xterm")]).remote);
    }
}
