//! What the environment says about the terminal. Nothing is asked of the
//! terminal itself: a query that is not answered stalls the start, and its
//! answer can end up in a multiplexer's key bindings.

use super::{Item, Section, State};
use crate::text::SafeText;
use std::collections::BTreeMap;

/// The environment and a few facts that only the caller can know.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub env: BTreeMap<String, String>,
    /// Columns and rows, when standard output is a terminal.
    pub size: Option<(u16, u16)>,
    /// `tmux show-options -gA` and `-sA` as `name value` lines, when inside tmux and it answered.
    pub tmux_options: Option<String>,
    /// `tmux -V`, e.g. `tmux 3.3a`.
    pub tmux_version: Option<String>,
}

impl Facts {
    fn var(&self, name: &str) -> &str {
        self.env.get(name).map_or("", String::as_str)
    }
}

/// The terminal section of the report.
pub fn section(f: &Facts) -> Section {
    let mut items = vec![size(f), term(f), colour(f), locale(f)];
    if f.var("SSH_CONNECTION").is_empty() && f.var("SSH_TTY").is_empty() {
        items.push(Item::new(State::Good, "link", "local: drawing at most every 33 ms"));
    } else {
        items.push(Item::new(State::Good, "link", "SSH: drawing at most every 100 ms, no decoration"));
        if f.var("TMUX").is_empty() && f.var("STY").is_empty() {
            items.push(
                Item::new(
                    State::Warn,
                    "multiplexer",
                    "none: when the link drops, the console ends (notes are kept)",
                )
                .mend("tmux new -A -s incident"),
            );
        }
    }
    if !f.var("TMUX").is_empty() {
        items.extend(tmux(f));
    } else if !f.var("STY").is_empty() {
        items.push(Item::new(
            State::Warn,
            "screen",
            "GNU screen: 24-bit colour is not used, synchronized output is not available, copying is wrapped for it",
        ));
    }
    Section { title: SafeText::from("Terminal"), items }
}

fn size(f: &Facts) -> Item {
    match f.size {
        None => Item::new(State::Unknown, "size", "standard output is not a terminal"),
        Some((w, h)) if w < 80 || h < 24 => {
            Item::new(State::Warn, "size", format!("{w}x{h}: one pane at a time, titles are cut"))
                .mend("80x24 shows one pane with tabs, 160x40 and more shows all panes side by side")
        }
        Some((w, h)) if w < 160 => {
            Item::new(State::Good, "size", format!("{w}x{h}: fewer panes at once than at 160 columns"))
        }
        Some((w, h)) => Item::new(State::Good, "size", format!("{w}x{h}: all panes side by side")),
    }
}

fn term(f: &Facts) -> Item {
    match f.var("TERM") {
        "" => Item::new(State::Bad, "TERM", "not set").mend("export TERM=xterm-256color"),
        "dumb" => Item::new(State::Bad, "TERM", "dumb: this terminal cannot place the cursor")
            .mend("use `badgate check` here, which prints plain lines"),
        t => Item::new(State::Good, "TERM", t),
    }
}

fn colour(f: &Facts) -> Item {
    let term = f.var("TERM");
    let screen = term.starts_with("screen") || (!f.var("STY").is_empty());
    let truecolor = matches!(f.var("COLORTERM"), "truecolor" | "24bit");
    if f.env.get("NO_COLOR").is_some_and(|v| !v.is_empty()) {
        Item::new(State::Good, "colour", "off (NO_COLOR); every status is also a glyph and a word")
    } else if truecolor && screen {
        Item::new(
            State::Warn,
            "colour",
            format!("COLORTERM promises 24 bits but TERM={term} seldom keeps it: 256 colours are used"),
        )
        .mend("--color=truecolor if you know better")
    } else if truecolor {
        Item::new(State::Good, "colour", "24-bit")
    } else if term.contains("256color") {
        Item::new(State::Good, "colour", "256 colours")
    } else {
        Item::new(State::Good, "colour", "16 colours")
    }
}

fn locale(f: &Facts) -> Item {
    let lang = ["LC_ALL", "LC_CTYPE", "LANG"].iter().map(|k| f.var(k)).find(|v| !v.is_empty()).unwrap_or("");
    let utf8 = lang.to_ascii_lowercase().replace('-', "").contains("utf8");
    if utf8 {
        Item::new(State::Good, "locale", format!("{lang}: UTF-8 glyphs"))
    } else {
        let shown = if lang.is_empty() { "not set" } else { lang };
        Item::new(
            State::Warn,
            "locale",
            format!("{shown}: ASCII glyphs are used, other scripts may be garbled"),
        )
        .mend("export LC_ALL=C.UTF-8")
    }
}

fn tmux(f: &Facts) -> Vec<Item> {
    let mut items = Vec::new();
    match f.tmux_version.as_deref().map(|v| (v, version(v))) {
        Some((v, Some(n))) if n >= (3, 4) => {
            items.push(Item::new(State::Good, "tmux", format!("{v}: synchronized output is honoured")));
        }
        Some((v, Some(_))) => items.push(
            Item::new(
                State::Warn,
                "tmux",
                format!("{v}: frames may tear, it honours synchronized output from 3.4 on"),
            )
            .mend("--sync=off keeps the marks away if you see flicker"),
        ),
        _ => items.push(Item::new(State::Unknown, "tmux", "its version could not be read")),
    }
    let Some(options) = &f.tmux_options else {
        items.push(Item::new(State::Unknown, "tmux options", "could not be read").mend(
            "set -g set-clipboard on\nset -s escape-time 10\nset -g default-terminal tmux-256color\nset -as terminal-features ',*:RGB'",
        ));
        return items;
    };
    let value = |name: &str| {
        options.lines().find_map(|l| {
            let (k, v) = l.split_once(' ')?;
            (k.trim_end_matches('*') == name).then_some(v.trim().trim_matches('"'))
        })
    };
    items.push(match value("set-clipboard") {
        Some("on") => Item::new(State::Good, "tmux set-clipboard", "on: `y` reaches your laptop's clipboard"),
        Some("external") => Item::new(
            State::Warn,
            "tmux set-clipboard",
            "external: a copy from inside is refused unless passthrough is allowed",
        )
        .mend("set -g set-clipboard on"),
        Some("off") => Item::new(
            State::Warn,
            "tmux set-clipboard",
            "off: `y` cannot reach your laptop; it also writes a file",
        )
        .mend("set -g set-clipboard on"),
        _ => Item::new(State::Unknown, "tmux set-clipboard", "not told").mend("set -g set-clipboard on"),
    });
    items.push(match value("escape-time").and_then(|v| v.parse::<u32>().ok()) {
        Some(ms) if ms > 50 => {
            Item::new(State::Warn, "tmux escape-time", format!("{ms} ms: Esc answers late"))
                .mend("set -s escape-time 10")
        }
        Some(ms) => Item::new(State::Good, "tmux escape-time", format!("{ms} ms")),
        None => Item::new(State::Unknown, "tmux escape-time", "not told").mend("set -s escape-time 10"),
    });
    items.push(match value("default-terminal") {
        Some(t) if t.contains("256color") => Item::new(State::Good, "tmux default-terminal", t),
        Some(t) => Item::new(State::Warn, "tmux default-terminal", format!("{t}: only few colours inside"))
            .mend("set -g default-terminal tmux-256color"),
        None => Item::new(State::Unknown, "tmux default-terminal", "not told"),
    });
    items
}

/// `tmux 3.3a` is (3, 3); `tmux next-3.5` is (3, 5).
fn version(v: &str) -> Option<(u32, u32)> {
    let v = v.rsplit([' ', '-']).next()?;
    let (major, rest) = v.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(vars: &[(&str, &str)]) -> Facts {
        Facts {
            env: vars.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect(),
            size: Some((200, 50)),
            ..Facts::default()
        }
    }

    fn state_of(s: &Section, what: &str) -> State {
        s.items.iter().find(|i| i.what.as_str() == what).map(|i| i.state).unwrap()
    }

    #[test]
    fn a_good_terminal_has_nothing_to_mend() {
        let s = section(&facts(&[
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("LANG", "en_US.UTF-8"),
        ]));
        assert!(s.items.iter().all(|i| i.state == State::Good && i.mend.is_empty()), "{s:?}");
    }

    #[test]
    fn names_what_is_wrong_and_the_line_that_mends_it() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, State);
        let table: &[Row] = &[
            (&[("TERM", "")], "TERM", State::Bad),
            (&[("TERM", "dumb")], "TERM", State::Bad),
            (&[("TERM", "screen-256color"), ("COLORTERM", "truecolor")], "colour", State::Warn),
            (&[("TERM", "xterm"), ("LANG", "C")], "locale", State::Warn),
            (&[("TERM", "xterm"), ("SSH_TTY", "/dev/pts/1")], "multiplexer", State::Warn),
        ];
        for (vars, what, want) in table {
            let s = section(&facts(vars));
            assert_eq!(state_of(&s, what), *want, "{vars:?}");
            assert!(!s.items.iter().find(|i| i.what.as_str() == *what).unwrap().mend.is_empty());
        }
    }

    #[test]
    fn reads_tmux_options_and_versions() {
        let mut f = facts(&[("TERM", "tmux-256color"), ("TMUX", "/tmp/x,1,0"), ("LANG", "C.UTF-8")]);
        f.tmux_version = Some("tmux 3.3a".into());
        f.tmux_options =
            Some("set-clipboard external\nescape-time 500\ndefault-terminal \"screen\"\n".into());
        let s = section(&f);
        for what in ["tmux", "tmux set-clipboard", "tmux escape-time", "tmux default-terminal"] {
            assert_eq!(state_of(&s, what), State::Warn, "{what}");
        }
        f.tmux_version = Some("tmux next-3.6".into());
        f.tmux_options = Some("set-clipboard* on\nescape-time 10\ndefault-terminal tmux-256color\n".into());
        assert!(section(&f).items.iter().all(|i| i.state == State::Good), "{:?}", section(&f));
        f.tmux_options = None;
        assert_eq!(state_of(&section(&f), "tmux options"), State::Unknown);
    }

    #[test]
    fn the_worst_item_decides() {
        let s = |state| Section {
            title: "t".into(),
            items: vec![Item::new(state, "a", "b"), Item::new(State::Good, "c", "d")],
        };
        assert_eq!(super::super::worst(&[s(State::Good)]), State::Good);
        assert_eq!(super::super::worst(&[s(State::Warn), s(State::Unknown)]), State::Unknown);
        assert_eq!(super::super::worst(&[s(State::Warn), s(State::Bad)]), State::Bad);
    }
}
