//! Keys and what they do. [`TABLE`] is the one place that knows: dispatch, help,
//! key bar, palette, man page and the config sample all come from it.

use super::state::PaneId;
use std::collections::BTreeMap;
use std::fmt;

/// A key without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A character as typed: capital letters come as such, not as shift.
    Char(char),
    Enter,
    Esc,
    Tab,
    /// Shift-Tab.
    BackTab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    /// Arrows with shift, where the terminal tells them from the bare ones.
    ShiftLeft,
    ShiftRight,
    Home,
    End,
    PageUp,
    PageDown,
}

/// A key as the terminal reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
    /// Held with Alt (Meta): known so that it is not taken for the bare key. Nothing is bound to it.
    pub alt: bool,
}

const NAMES: [(Code, &str); 18] = [
    (Code::Enter, "enter"),
    (Code::Esc, "esc"),
    (Code::Tab, "tab"),
    (Code::BackTab, "backtab"),
    (Code::Backspace, "backspace"),
    (Code::Delete, "delete"),
    (Code::Insert, "insert"),
    (Code::Up, "up"),
    (Code::Down, "down"),
    (Code::Left, "left"),
    (Code::Right, "right"),
    (Code::ShiftLeft, "shift-left"),
    (Code::ShiftRight, "shift-right"),
    (Code::Home, "home"),
    (Code::End, "end"),
    (Code::PageUp, "pgup"),
    (Code::PageDown, "pgdn"),
    (Code::Char(' '), "space"),
];

impl Key {
    /// A character key.
    pub const fn char(c: char) -> Key {
        Key { code: Code::Char(c), ctrl: false, alt: false }
    }

    /// A key without modifiers.
    pub const fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false }
    }

    /// A character with Ctrl.
    pub const fn ctrl(c: char) -> Key {
        Key { code: Code::Char(c), ctrl: true, alt: false }
    }

    /// The character this key types, if it types one.
    pub fn types(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }

    /// Reads `a`, `G`, `ctrl-j`, `enter`, `pgdn`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Key, String> {
        let (ctrl, rest) = match text.strip_prefix("ctrl-") {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, text),
        };
        if let Some((code, _)) = NAMES.iter().find(|(_, n)| n.eq_ignore_ascii_case(rest)) {
            return Ok(Key { code: *code, ctrl, alt: false });
        }
        let mut chars = rest.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() => Ok(Key { code: Code::Char(c), ctrl, alt: false }),
            _ => {
                let names: Vec<&str> = NAMES.iter().map(|n| n.1).collect();
                let hint = nearest(text, &names).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                Err(format!("`{text}` is no key (a character, ctrl-x or a name such as `enter`){hint}"))
            }
        }
    }

    /// Reads a sequence as tests and macros write it: `/err<enter>n<ctrl-j>`.
    /// `<lt>` is the character `<`.
    pub fn sequence(text: &str) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '<'
                && let Some(end) = rest.find('>')
            {
                let name = &rest[1..end];
                keys.push(if name == "lt" { Key::char('<') } else { Key::parse(name)? });
                rest = &rest[end + 1..];
            } else {
                keys.push(Key::char(c));
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(keys)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if self.ctrl {
            text.push_str("ctrl-");
        }
        if self.alt {
            text.push_str("alt-");
        }
        match (NAMES.iter().find(|n| n.0 == self.code), self.code) {
            (Some((_, name)), _) => text.push_str(name),
            (None, Code::Char(c)) => text.push(c),
            (None, _) => text.push('?'),
        }
        f.pad(&text)
    }
}

/// Everything a key or the palette can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    // The procedure.
    Step(u8),
    // Focus and view.
    FocusNext,
    FocusPrevious,
    FocusLeft,
    FocusDown,
    FocusUp,
    FocusRight,
    Focus(PaneId),
    Zoom,
    Freeze,
    Privacy,
    // Moving within a pane.
    Down,
    Up,
    Left,
    Right,
    PageDown,
    PageUp,
    Top,
    Bottom,
    Open,
    Back,
    // Finding.
    Filter,
    NextMatch,
    PreviousMatch,
    // Writing down.
    Annotate,
    /// A note that a phase of the incident began now; the word it begins with.
    Phase(&'static str),
    Mark,
    Export,
    Copy,
    // Asking.
    Next,
    /// The list of what can be done through the source.
    Act,
    Refresh,
    ReloadCredentials,
    // Logs.
    NextError,
    PreviousError,
    NextMark,
    Wrap,
    Timestamps,
    Pause,
    Since,
    LogGroups,
    // Looking back.
    Time,
    Earlier,
    Later,
    ChangeBack,
    ChangeOn,
    MinuteBack,
    MinuteOn,
    First,
    Last,
    Play,
    Faster,
    Slower,
    Differences,
    // Being one of several.
    People,
    TakeOver,
    SaveLogs,
    // The console.
    Palette,
    Help,
    Calls,
    Meter,
    Redraw,
    Quit,
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In every pane, unless the pane has its own use for the key.
    Everywhere,
    /// In one pane.
    In(PaneId),
    /// While the past is shown, before anything a pane has for the key.
    Past,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub action: Action,
    /// Name in the config file and the palette.
    pub id: &'static str,
    /// Default keys; empty for what only the palette reaches.
    pub keys: &'static [&'static str],
    pub scope: Scope,
    /// One word for the key bar; empty: not shown there.
    pub word: &'static str,
    /// One line for help and palette.
    pub about: &'static str,
}

const fn bind(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, scope: Scope::Everywhere, word, about }
}

const fn logs(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, scope: Scope::In(PaneId::Logs), word, about }
}

const fn past(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, scope: Scope::Past, word, about }
}

/// All there is.
pub const TABLE: &[Binding] = &[
    bind(Action::Step(0), "step-0", &["0"], "", "run step 0: preparation"),
    bind(Action::Step(1), "step-1", &["1"], "", "run step 1 of the procedure"),
    bind(Action::Step(2), "step-2", &["2"], "", "run step 2 of the procedure"),
    bind(Action::Step(3), "step-3", &["3"], "", "run step 3 of the procedure"),
    bind(Action::Step(4), "step-4", &["4"], "", "run step 4 of the procedure"),
    bind(Action::Step(5), "step-5", &["5"], "", "run step 5 of the procedure"),
    bind(Action::Step(6), "step-6", &["6"], "", "run step 6 of the procedure"),
    bind(Action::Step(7), "step-7", &["7"], "", "run step 7 of the procedure"),
    bind(Action::Step(8), "emergency", &["8"], "", "emergency actions: what stops the bleeding"),
    bind(Action::Step(9), "prevention", &["9"], "", "prevention: what keeps it from coming back"),
    bind(Action::Annotate, "annotate", &["a"], "note", "write a note into the incident file"),
    bind(Action::Phase("onset"), "onset", &[], "", "note when it began, for the postmortem"),
    bind(Action::Phase("detected"), "detected", &[], "", "note when it was noticed, for the postmortem"),
    bind(
        Action::Phase("diagnosed"),
        "diagnosed",
        &[],
        "",
        "note that the cause is known, for the postmortem",
    ),
    bind(
        Action::Phase("mitigated"),
        "mitigated",
        &[],
        "",
        "note that users are served again, for the postmortem",
    ),
    bind(Action::Phase("resolved"), "resolved", &[], "", "note that it is over, for the postmortem"),
    bind(
        Action::Mark,
        "mark",
        &["m"],
        "mark",
        "put the selected row into the timeline, at the time it happened",
    ),
    bind(
        Action::Filter,
        "filter",
        &["/"],
        "filter",
        "filter: regular expression, !not, ~fuzzy, where status=5xx",
    ),
    bind(Action::NextMatch, "next-match", &["n"], "", "next match"),
    bind(Action::PreviousMatch, "previous-match", &["N"], "", "previous match"),
    bind(Action::Zoom, "zoom", &["z"], "zoom", "show one pane on the whole screen, and back"),
    bind(
        Action::Freeze,
        "freeze",
        &["f"],
        "freeze",
        "hold the picture still; what comes in meanwhile is kept and counted",
    ),
    bind(Action::Next, "next", &["x"], "", "do what the diagnosis names as next"),
    bind(Action::Act, "act", &["X"], "", "what can be done here: mitigations, where the source offers any"),
    bind(Action::Refresh, "refresh", &["r"], "", "ask everything anew"),
    bind(
        Action::ReloadCredentials,
        "reload-credentials",
        &["R"],
        "",
        "read the credentials anew, after a new login",
    ),
    bind(Action::Export, "export", &["e"], "", "write the postmortem next to the incident file"),
    bind(Action::Copy, "copy", &["y"], "", "copy the selected row to the terminal's clipboard (OSC 52)"),
    bind(Action::Privacy, "privacy", &["p"], "", "mask account numbers and addresses on screen"),
    bind(Action::FocusNext, "focus-next", &["tab"], "pane", "next pane"),
    bind(Action::FocusPrevious, "focus-previous", &["backtab"], "", "previous pane"),
    bind(Action::FocusLeft, "focus-left", &["H"], "", "pane to the left"),
    bind(Action::FocusDown, "focus-down", &["J"], "", "pane below"),
    bind(Action::FocusUp, "focus-up", &["K"], "", "pane above"),
    bind(Action::FocusRight, "focus-right", &["L"], "", "pane to the right"),
    bind(Action::Focus(PaneId::Health), "target-health", &[], "", "go to target health"),
    bind(Action::Focus(PaneId::Logs), "logs", &[], "", "go to the logs"),
    bind(Action::Focus(PaneId::Paths), "security-paths", &[], "", "go to the security paths"),
    bind(Action::Focus(PaneId::Timeouts), "timeout-chain", &[], "", "go to the timeout chain"),
    bind(Action::Focus(PaneId::Diagnosis), "diagnosis", &[], "", "go to the diagnosis"),
    bind(Action::Focus(PaneId::Procedure), "procedure", &[], "", "go to the procedure"),
    bind(Action::Focus(PaneId::Timeline), "timeline", &[], "", "go to the timeline"),
    bind(Action::Focus(PaneId::Metrics), "metrics", &[], "", "go to the metrics"),
    bind(Action::Down, "down", &["j", "down"], "", "down a row"),
    bind(Action::Up, "up", &["k", "up"], "", "up a row"),
    bind(Action::Left, "left", &["h", "left"], "", "scroll left"),
    bind(Action::Right, "right", &["l", "right"], "", "scroll right"),
    bind(Action::PageDown, "page-down", &["pgdn", "ctrl-f"], "", "down a page"),
    bind(Action::PageUp, "page-up", &["pgup"], "", "up a page"),
    bind(Action::Top, "top", &["g", "home"], "", "first row"),
    bind(Action::Bottom, "bottom", &["G", "end"], "", "last row; in the logs: follow again"),
    bind(Action::Open, "open", &["enter"], "", "open the selected row"),
    bind(Action::Back, "back", &["esc"], "", "back: close what is open, clear the filter, leave zoom"),
    logs(Action::NextError, "next-error", &["e"], "error", "next error or 5xx"),
    logs(Action::PreviousError, "previous-error", &["E"], "", "previous error or 5xx"),
    logs(Action::NextMark, "next-mark", &["M"], "", "next marked line"),
    logs(Action::Wrap, "wrap", &["w"], "wrap", "wrap long lines"),
    logs(Action::Timestamps, "timestamps", &["T"], "", "time of each line: clock, full, none"),
    logs(Action::Pause, "pause", &["space"], "pause", "stop following, and follow again"),
    logs(Action::Since, "since", &["s"], "since", "read the log from an earlier time on"),
    logs(Action::LogGroups, "log-groups", &["o"], "groups", "choose the log groups to follow"),
    bind(
        Action::Time,
        "time",
        &["t"],
        "time",
        "look back: every pane as it was at a moment; in the past: type a time to go there",
    ),
    past(Action::Earlier, "earlier", &["left"], "event", "to the event before"),
    past(Action::Later, "later", &["right"], "", "to the next event"),
    past(
        Action::ChangeBack,
        "change-back",
        &["["],
        "change",
        "to the change of a verdict or of target health before",
    ),
    past(Action::ChangeOn, "change-on", &["]"], "", "to the next change of a verdict or of target health"),
    past(Action::MinuteBack, "minute-back", &["{", "shift-left"], "minute", "a minute back"),
    past(Action::MinuteOn, "minute-on", &["}", "shift-right"], "", "a minute on"),
    past(Action::Play, "play", &["space"], "play", "play from here on, and stop"),
    past(Action::Faster, "faster", &["+"], "faster", "play faster, up to 60 times"),
    past(Action::Slower, "slower", &["-"], "", "play slower"),
    past(Action::First, "first-moment", &["<"], "", "to the beginning"),
    past(Action::Last, "last-moment", &[">"], "", "to the end"),
    past(
        Action::Differences,
        "differences",
        &["d"],
        "differences",
        "causes that this badgate judges otherwise than was recorded then",
    ),
    bind(Action::People, "people", &["w"], "", "who else is in this incident, and since when"),
    bind(
        Action::TakeOver,
        "take-over",
        &[],
        "",
        "after `badgate join`: ask the cloud from here on, when the first one has left",
    ),
    logs(
        Action::SaveLogs,
        "save-logs",
        &["S"],
        "",
        "write the lines shown into a file beside the incident file",
    ),
    bind(Action::Palette, "palette", &[":"], "palette", "find any command by its name"),
    bind(Action::Help, "help", &["?"], "help", "all keys"),
    bind(Action::Calls, "calls", &[], "", "calls made to the outside, with duration and request id"),
    bind(
        Action::Meter,
        "meter",
        &[],
        "",
        "show bytes written to the terminal, frames and memory of the logs",
    ),
    bind(Action::Redraw, "redraw", &["ctrl-l"], "", "draw the whole screen anew"),
    bind(Action::Quit, "quit", &["q"], "", "leave; nothing is ever unsaved"),
];

/// Keys that a multiplexer, flow control or job control takes away before they arrive.
const TAKEN: [char; 9] = ['a', 'b', 'g', 'o', 'p', 'q', 's', 't', 'z'];

/// Keys in force: the table's, changed by the config file.
#[derive(Clone, Debug)]
pub struct Keymap {
    by_key: BTreeMap<(Scope, Key), Action>,
    by_action: BTreeMap<Action, Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        // The table is tested to be free of errors; what could not be bound is left out.
        Keymap::build(&BTreeMap::new())
            .unwrap_or(Keymap { by_key: BTreeMap::new(), by_action: BTreeMap::new() })
    }
}

impl Keymap {
    /// Applies `id -> keys` of a config file over the defaults. An id that is
    /// remapped loses its default keys. Refused, each with one line: an unknown
    /// id, a key that cannot be read or never arrives, one key for two things.
    pub fn new(remap: &BTreeMap<String, Vec<String>>) -> Result<Keymap, Vec<String>> {
        Keymap::build(remap)
    }

    fn build(remap: &BTreeMap<String, Vec<String>>) -> Result<Keymap, Vec<String>> {
        let mut errors = Vec::new();
        let ids: Vec<&str> = TABLE.iter().map(|b| b.id).collect();
        for id in remap.keys().filter(|id| !ids.contains(&id.as_str())) {
            let hint = nearest(id, &ids).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            errors.push(format!("keys: `{id}` is no command{hint}"));
        }
        let mut map = Keymap { by_key: BTreeMap::new(), by_action: BTreeMap::new() };
        let mut owner: BTreeMap<(Scope, Key), &str> = BTreeMap::new();
        for b in TABLE {
            let texts: Vec<&str> = match remap.get(b.id) {
                Some(own) => own.iter().map(String::as_str).collect(),
                None => b.keys.to_vec(),
            };
            for text in texts {
                let key = match Key::parse(text) {
                    Ok(key) => key,
                    Err(e) => {
                        errors.push(format!("keys: {}: {e}", b.id));
                        continue;
                    }
                };
                if let Code::Char(c) = key.code
                    && key.ctrl
                    && (TAKEN.contains(&c.to_ascii_lowercase()) || !c.is_ascii_alphabetic())
                {
                    errors.push(format!("keys: {}: `{key}` does not arrive everywhere", b.id));
                    continue;
                }
                if let Some(other) = owner.insert((b.scope, key), b.id)
                    && other != b.id
                {
                    errors.push(format!("keys: `{key}` is bound to both `{other}` and `{}`", b.id));
                    continue;
                }
                map.by_key.insert((b.scope, key), b.action);
                map.by_action.entry(b.action).or_default().push(key);
            }
        }
        if errors.is_empty() { Ok(map) } else { Err(errors) }
    }

    /// What a key does while a pane has the focus.
    pub fn action(&self, focus: PaneId, key: Key) -> Option<Action> {
        self.by_key
            .get(&(Scope::In(focus), key))
            .or_else(|| self.by_key.get(&(Scope::Everywhere, key)))
            .copied()
    }

    /// What a key does while the past is shown, if it has a meaning of its own there.
    pub fn in_past(&self, key: Key) -> Option<Action> {
        self.by_key.get(&(Scope::Past, key)).copied()
    }

    /// Keys of an action, best first.
    pub fn keys(&self, action: Action) -> &[Key] {
        self.by_action.get(&action).map_or(&[], Vec::as_slice)
    }
}

/// The table's line of an action.
pub fn binding(action: Action) -> Option<&'static Binding> {
    TABLE.iter().find(|b| b.action == action)
}

/// The name that a mistyped one most likely means, if one is near.
pub fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    names
        .iter()
        .map(|n| (edits(&typed, n), *n))
        .filter(|(d, n)| *d <= 2.max(n.len() / 3))
        .min_by_key(|(d, _)| *d)
        .map(|(_, n)| n)
}

/// Edit distance with transpositions of neighbours (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut d = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(rows[i - 2][j - 2] + 1);
            }
            row.push(d);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remap(pairs: &[(&str, &[&str])]) -> Result<Keymap, Vec<String>> {
        Keymap::new(
            &pairs
                .iter()
                .map(|(id, keys)| (id.to_string(), keys.iter().map(|k| k.to_string()).collect()))
                .collect(),
        )
    }

    #[test]
    fn the_table_has_no_errors() {
        let map = Keymap::new(&BTreeMap::new()).expect("the default keys");
        let mut ids: Vec<&str> = TABLE.iter().map(|b| b.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), TABLE.len(), "an id stands twice");
        let bound: usize = TABLE.iter().map(|b| b.keys.len()).sum();
        assert_eq!(map.by_key.len(), bound);
        for b in TABLE {
            assert!(!b.about.is_empty() && b.about.is_ascii(), "{}", b.id);
        }
    }

    #[test]
    fn no_default_needs_a_key_that_does_not_arrive() {
        for b in TABLE {
            for k in b.keys {
                let key = Key::parse(k).unwrap();
                assert!(!key.alt);
                if let (true, Code::Char(c)) = (key.ctrl, key.code) {
                    assert!(!TAKEN.contains(&c), "{}: {k}", b.id);
                }
            }
        }
    }

    #[test]
    fn a_pane_has_its_own_use_for_a_key_first() {
        let map = Keymap::default();
        assert_eq!(map.action(PaneId::Logs, Key::char('e')), Some(Action::NextError));
        assert_eq!(map.action(PaneId::Health, Key::char('e')), Some(Action::Export));
        assert_eq!(map.action(PaneId::Logs, Key::char('q')), Some(Action::Quit));
        assert_eq!(map.action(PaneId::Logs, Key { alt: true, ..Key::char('q') }), None);
        assert_eq!(map.action(PaneId::Logs, Key::ctrl('q')), None);
    }

    #[test]
    fn remapping() {
        let map = remap(&[("zoom", &["U", "ctrl-n"])]).unwrap();
        assert_eq!(map.action(PaneId::Health, Key::char('U')), Some(Action::Zoom));
        assert_eq!(map.action(PaneId::Health, Key::ctrl('n')), Some(Action::Zoom));
        assert_eq!(map.action(PaneId::Health, Key::char('z')), None);
        for (pairs, want) in [
            (vec![("zomo", &["U"][..])], "did you mean `zoom`"),
            (vec![("zoom", &["q"])], "bound to both"),
            (vec![("zoom", &["ctrl-b"])], "does not arrive"),
            (vec![("zoom", &["entre"])], "did you mean `enter`"),
            (vec![("zoom", &["f5"])], "is no key"),
        ] {
            let errors = remap(&pairs).unwrap_err();
            assert!(errors.iter().any(|e| e.contains(want)), "{errors:?} lacks {want}");
        }
        assert!(remap(&[("zoom", &["f"]), ("freeze", &["z"])]).is_ok(), "two keys swapped are no duplicate");
    }

    #[test]
    fn keys_read_as_they_are_shown() {
        for text in ["a", "G", "ctrl-j", "enter", "pgdn", "space", "<", "-"] {
            assert_eq!(Key::parse(text).unwrap().to_string(), text);
        }
        let keys = Key::sequence("/e<enter><ctrl-j><lt>").unwrap();
        let shown: Vec<String> = keys.iter().map(Key::to_string).collect();
        assert_eq!(shown, ["/", "e", "enter", "ctrl-j", "<"]);
        assert!(Key::sequence("<nope>").is_err());
    }

    #[test]
    fn nearest_names() {
        assert_eq!(nearest("freze", &["zoom", "freeze"]), Some("freeze"));
        assert_eq!(nearest("xyzzy", &["zoom", "freeze"]), None);
    }
}
