//! Keys, and which of them are in force.

mod table;

use super::state::PaneId;
use std::collections::BTreeMap;
use std::fmt;

pub use table::{Action, Binding, Scope, TABLE};

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
