//! Bytes from the terminal to keys and pastes.
//!
//! A state machine over what has arrived, so that a sequence cut in two by the
//! network is put together again. Answers to queries (we send none, but the
//! program before us may have) and sequences nobody knows give no key at all.

use crate::console::keys::{Code, Key};

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    Key(Key),
    /// A paste, with line ends as LF. `cut` is true when it was longer than [`PASTE_MAX`].
    Paste {
        text: String,
        cut: bool,
    },
}

/// Bytes of one paste that are kept.
pub const PASTE_MAX: usize = 1 << 20;
/// Bytes an escape sequence may have before it is taken for garbage.
const SEQUENCE_MAX: usize = 4096;
const PASTE_END: &[u8] = b"\x1b[201~";

/// What the parser waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing.
    Nothing,
    /// An escape: the key itself, or the begin of a sequence?
    Escape,
    /// The rest of a sequence or of a character.
    Rest,
    /// The end of a paste.
    Paste,
}

/// The state machine.
#[derive(Debug, Default)]
pub struct Parser {
    buf: Vec<u8>,
    paste: Option<Paste>,
    /// The last thing given was an Esc that nothing followed in time.
    lone_escape: bool,
}

#[derive(Debug, Default)]
struct Paste {
    bytes: Vec<u8>,
    cut: bool,
}

enum Step {
    /// So many bytes were taken; a key may have come of it.
    Took(usize, Option<Key>),
    PasteBegins(usize),
    More,
}

impl Parser {
    /// What it waits for, to choose how long to wait.
    pub fn pending(&self) -> Pending {
        match (&self.paste, self.buf.as_slice()) {
            (Some(_), _) => Pending::Paste,
            (None, []) => Pending::Nothing,
            (None, [0x1b]) => Pending::Escape,
            (None, _) => Pending::Rest,
        }
    }

    /// Takes bytes in.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Typed>) {
        if self.lone_escape && !bytes.is_empty() {
            self.lone_escape = false;
            // The tail of an arrow key whose escape came early, over a slow
            // link: nobody types these bytes in one go.
            if is_tail(bytes) {
                self.buf.push(0x1b);
            }
        }
        self.buf.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            if self.paste.is_some() {
                match self.take_paste(at, out) {
                    Some(n) => at += n,
                    None => return,
                }
                continue;
            }
            if at == self.buf.len() {
                break;
            }
            match step(&self.buf[at..]) {
                Step::Took(n, key) => {
                    at += n;
                    out.extend(key.map(Typed::Key));
                }
                Step::PasteBegins(n) => {
                    at += n;
                    self.paste = Some(Paste::default());
                }
                Step::More => break,
            }
        }
        self.buf.drain(..at);
    }

    /// Nothing came in time: what is pending is what it is.
    pub fn timeout(&mut self, out: &mut Vec<Typed>) {
        match self.pending() {
            Pending::Nothing => {}
            Pending::Escape => {
                self.buf.clear();
                self.lone_escape = true;
                out.push(Typed::Key(Key::plain(Code::Esc)));
            }
            Pending::Rest => self.buf.clear(),
            Pending::Paste => {
                // The end never came. Better a paste too short than keys that
                // never work again.
                let rest = std::mem::take(&mut self.buf);
                if let Some(mut paste) = self.paste.take() {
                    paste.add(&rest);
                    out.push(paste.done());
                }
            }
        }
    }

    /// Moves paste bytes from `buf[at..]`; `None` when all of it was taken.
    fn take_paste(&mut self, at: usize, out: &mut Vec<Typed>) -> Option<usize> {
        let paste = self.paste.as_mut()?;
        let rest = &self.buf[at..];
        if let Some(end) = rest.windows(PASTE_END.len()).position(|w| w == PASTE_END) {
            paste.add(&rest[..end]);
            out.extend(self.paste.take().map(Paste::done));
            return Some(end + PASTE_END.len());
        }
        // The end mark may be cut in two: keep as many bytes as may belong to it.
        let keep = (1..PASTE_END.len()).rev().find(|n| rest.ends_with(&PASTE_END[..*n])).unwrap_or(0);
        paste.add(&rest[..rest.len() - keep]);
        let gone = self.buf.len() - keep;
        self.buf.drain(..gone);
        None
    }
}

impl Paste {
    fn add(&mut self, bytes: &[u8]) {
        let room = PASTE_MAX - self.bytes.len().min(PASTE_MAX);
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn done(self) -> Typed {
        // Terminals send CR for a line end.
        let text = String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n").replace('\r', "\n");
        Typed::Paste { text, cut: self.cut }
    }
}

fn is_tail(bytes: &[u8]) -> bool {
    match bytes {
        [b'O', f] => key_of_letter(*f).is_some(),
        [b'[', params @ .., f] => {
            params.iter().all(|b| b.is_ascii_digit() || *b == b';')
                && (key_of_letter(*f).is_some() || (*f == b'~' && !params.is_empty()))
        }
        _ => false,
    }
}

/// Takes one key off the front of a non-empty buffer.
fn step(b: &[u8]) -> Step {
    match b[0] {
        0x1b => escape(b),
        b'\r' => Step::Took(1, Some(Key::plain(Code::Enter))),
        b'\t' => Step::Took(1, Some(Key::plain(Code::Tab))),
        0x7f | 0x08 => Step::Took(1, Some(Key::plain(Code::Backspace))),
        0 => Step::Took(1, Some(Key::ctrl(' '))),
        c @ 1..=26 => Step::Took(1, Some(Key::ctrl((b'a' + c - 1) as char))),
        c if c < 0x20 => Step::Took(1, None),
        c if c < 0x80 => Step::Took(1, Some(Key::char(c as char))),
        _ => match character(b) {
            Some((n, Some(c))) => Step::Took(n, (!c.is_control()).then(|| Key::char(c))),
            Some((n, None)) => Step::Took(n, None),
            None => Step::More,
        },
    }
}

/// A character of several bytes: its length and itself, `None` when bytes are
/// missing. What is no UTF-8 gives no character.
fn character(b: &[u8]) -> Option<(usize, Option<char>)> {
    let n = match b[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((1, None)),
    };
    let have = &b[..n.min(b.len())];
    match std::str::from_utf8(have) {
        Ok(s) => Some((n, s.chars().next())),
        Err(e) if e.error_len().is_none() => None,
        Err(_) => Some((1, None)),
    }
}

fn escape(b: &[u8]) -> Step {
    match b.get(1) {
        None => Step::More,
        Some(b'[') => csi(b),
        Some(b'O') => match b.get(2) {
            None => Step::More,
            Some(0x1b) => Step::Took(2, None),
            Some(b'M') => Step::Took(3, Some(Key::plain(Code::Enter))),
            Some(f) => Step::Took(3, key_of_letter(*f).map(Key::plain)),
        },
        // Strings: OSC, DCS, APC, PM, SOS. An answer to somebody else's question.
        Some(b']' | b'P' | b'_' | b'^' | b'X') => string(b),
        // Esc and the next key in one packet, over a slow link. It could be Alt
        // with that key as well, but nothing is bound to Alt.
        Some(_) => Step::Took(1, Some(Key::plain(Code::Esc))),
    }
}

fn string(b: &[u8]) -> Step {
    for (i, w) in b.iter().enumerate().skip(2) {
        match w {
            0x07 => return Step::Took(i + 1, None),
            0x1b if b.get(i + 1) == Some(&b'\\') => return Step::Took(i + 2, None),
            0x1b if b.len() > i + 1 => return Step::Took(i, None),
            _ => {}
        }
    }
    if b.len() > SEQUENCE_MAX { Step::Took(b.len(), None) } else { Step::More }
}

fn csi(b: &[u8]) -> Step {
    // The Linux console's function keys: ESC [ [ A.
    if b.get(2) == Some(&b'[') {
        return if b.len() > 3 { Step::Took(4, None) } else { Step::More };
    }
    let Some(end) = b[2..].iter().position(|c| !(0x20..=0x3f).contains(c)).map(|i| i + 2) else {
        return if b.len() > SEQUENCE_MAX { Step::Took(b.len(), None) } else { Step::More };
    };
    let last = b[end];
    if !(0x40..=0x7e).contains(&last) {
        // Not the end of a sequence: it was broken off here.
        return Step::Took(end, None);
    }
    let text = std::str::from_utf8(&b[2..end]).unwrap_or("");
    let mut numbers = text.split(';').map(|n| n.parse::<u16>().unwrap_or(0));
    let first = numbers.next().unwrap_or(0);
    let held = numbers.next().unwrap_or(1).saturating_sub(1);
    let code = match last {
        b'~' => match first {
            1 | 7 => Some(Code::Home),
            2 => Some(Code::Insert),
            3 => Some(Code::Delete),
            4 | 8 => Some(Code::End),
            5 => Some(Code::PageUp),
            6 => Some(Code::PageDown),
            200 => return Step::PasteBegins(end + 1),
            _ => None,
        },
        b'Z' => Some(Code::BackTab),
        // Private markers (`ESC [ ? 1 c`) are answers, not keys.
        _ if text.starts_with(['<', '=', '>', '?']) => None,
        f => key_of_letter(f),
    };
    let code = match (code, held & 1 != 0) {
        (Some(Code::Left), true) => Some(Code::ShiftLeft),
        (Some(Code::Right), true) => Some(Code::ShiftRight),
        (other, _) => other,
    };
    Step::Took(end + 1, code.map(|code| Key { code, ctrl: held & 4 != 0, alt: held & 2 != 0 }))
}

fn key_of_letter(f: u8) -> Option<Code> {
    Some(match f {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Vec<Typed> {
        let (mut p, mut out) = (Parser::default(), Vec::new());
        p.feed(bytes, &mut out);
        p.timeout(&mut out);
        out
    }

    fn keys(bytes: &[u8]) -> String {
        all(bytes)
            .iter()
            .map(|t| match t {
                Typed::Key(k) => k.to_string(),
                Typed::Paste { text, .. } => format!("paste {text:?}"),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn table() {
        for (bytes, want) in [
            (&b"aG?"[..], "a G ?"),
            (b"\r\n\t\x7f\x08", "enter ctrl-j tab backspace backspace"),
            (b"\x03\x0c", "ctrl-c ctrl-l"),
            (b"\x1b", "esc"),
            (b"\x1b\x1b", "esc esc"),
            (b"\x1b[A\x1b[B\x1bOC\x1bOD", "up down right left"),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[5~\x1b[6~", "home end home end pgup pgdn"),
            (b"\x1b[3~\x1b[2~\x1b[Z", "delete insert backtab"),
            (b"\x1b[1;5C\x1b[1;3A", "ctrl-right alt-up"),
            (b"\x1b[1;2D\x1b[1;2C\x1b[1;2A", "shift-left shift-right up"),
            (b"\x1bq", "esc q"),
            ("日é".as_bytes(), "日 é"),
            (b"a\xffb\xe6\x97", "a b"),
            // Function keys, mouse, focus, answers to queries: no key.
            (b"\x1b[[A\x1bOP\x1b[15~\x1b[I\x1b[O\x1b[<0;1;1M\x1b[?62;c\x1b[2;5R", ""),
            (b"\x1b]11;rgb:0000/0000/0000\x07x\x1bP1+r\x1b\\y", "x y"),
            // A broken sequence does not take the next key with it.
            (b"\x1b[1\x1b[Aq", "up q"),
            (b"\x1b[200~a\rb\r\nc\x1b[31m\x1b[201~q", "paste \"a\\nb\\nc\\u{1b}[31m\" q"),
            (b"\x1b[200~never ended", "paste \"never ended\""),
        ] {
            assert_eq!(keys(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn an_arrow_cut_off_behind_its_escape_types_nothing() {
        let (mut p, mut out) = (Parser::default(), Vec::new());
        p.feed(b"\x1b", &mut out);
        assert_eq!(p.pending(), Pending::Escape);
        p.timeout(&mut out);
        p.feed(b"[A", &mut out);
        p.feed(b"[", &mut out);
        assert_eq!(out, [Key::plain(Code::Esc), Key::plain(Code::Up), Key::char('[')].map(Typed::Key));
    }

    #[test]
    fn a_paste_has_a_bound() {
        let mut bytes = b"\x1b[200~".to_vec();
        bytes.resize(PASTE_MAX + 100, b'x');
        bytes.extend_from_slice(b"\x1b[201~q");
        let out = all(&bytes);
        let Typed::Paste { text, cut } = &out[0] else { panic!("{:?}", out.len()) };
        assert_eq!((text.len(), *cut), (PASTE_MAX, true));
        assert_eq!(out[1], Typed::Key(Key::char('q')));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"\x1b[A".to_vec()),
            Just(b"\x1b[1;5D".to_vec()),
            Just(b"\x1bOH".to_vec()),
            Just("日".as_bytes().to_vec()),
            Just(b"\x1b[200~p\rq\x1b[201~".to_vec()),
            Just(b"\x1b]0;t\x07".to_vec()),
            Just(b"j".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..6),
        ]
    }

    proptest! {
        /// How the network cuts the bytes makes no difference.
        #[test]
        fn cuts_do_not_matter(
            pieces in proptest::collection::vec(piece(), 0..20),
            cuts in proptest::collection::vec(1usize..7, 1..200),
        ) {
            let bytes = pieces.concat();
            let (mut p, mut out) = (Parser::default(), Vec::new());
            let (mut rest, mut cut) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let n = (*cut.next().unwrap()).min(rest.len());
                p.feed(&rest[..n], &mut out);
                rest = &rest[n..];
            }
            p.timeout(&mut out);
            prop_assert_eq!(out, all(&bytes));
        }

        #[test]
        fn any_bytes_leave_it_working(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut p, mut out) = (Parser::default(), Vec::new());
            p.feed(&bytes, &mut out);
            p.timeout(&mut out);
            prop_assert_eq!(p.pending(), Pending::Nothing);
            out.clear();
            p.feed(b"zq", &mut out);
            prop_assert_eq!(out.last(), Some(&Typed::Key(Key::char('q'))));
        }
    }
}
