//! OSC 52: text to the clipboard of the terminal at the other end, through
//! whatever stands between.

use crate::console::caps::Multiplexer;
use crate::text::SafeText;
use base64::Engine;

/// Terminals cut or refuse longer sequences: xterm takes 74,994 bytes of
/// base64 text, which is this many of ours.
pub const MAX: usize = 74_994 / 4 * 3;

/// The bytes to write; `None` when the text is too long.
///
/// Under tmux the sequence goes out twice: raw, which tmux takes itself where
/// `set-clipboard` is `on`, and wrapped, which it passes through where
/// `allow-passthrough` is on. Either alone fails with one of the common settings.
pub fn sequence(text: &SafeText, multiplexer: Multiplexer) -> Option<Vec<u8>> {
    if text.len() > MAX {
        return None;
    }
    let data = base64::engine::general_purpose::STANDARD.encode(text.as_bytes());
    let raw = format!("\x1b]52;c;{data}\x1b\\");
    Some(match multiplexer {
        Multiplexer::None => raw.into_bytes(),
        Multiplexer::Tmux => {
            let doubled = raw.replace('\x1b', "\x1b\x1b");
            format!("{raw}\x1bPtmux;{doubled}\x1b\\").into_bytes()
        }
        Multiplexer::Screen => screen(&format!("\x1b]52;c;{data}\x07")),
    })
}

/// GNU screen passes strings on in pieces of at most 768 bytes, each wrapped by
/// itself. An escape inside would end the piece, hence BEL as the terminator.
fn screen(raw: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in raw.as_bytes().chunks(700) {
        out.extend_from_slice(b"\x1bP");
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\x1b\\");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(text: &str, m: Multiplexer) -> String {
        String::from_utf8(sequence(&SafeText::new(text), m).unwrap()).unwrap()
    }

    #[test]
    fn raw_and_wrapped() {
        assert_eq!(seq("hi", Multiplexer::None), "\x1b]52;c;aGk=\x1b\\");
        assert_eq!(
            seq("hi", Multiplexer::Tmux),
            "\x1b]52;c;aGk=\x1b\\\x1bPtmux;\x1b\x1b]52;c;aGk=\x1b\x1b\\\x1b\\"
        );
        assert_eq!(seq("hi", Multiplexer::Screen), "\x1bP\x1b]52;c;aGk=\x07\x1b\\");
    }

    #[test]
    fn utf8_goes_as_bytes() {
        assert_eq!(seq("日本", Multiplexer::None), "\x1b]52;c;5pel5pys\x1b\\");
    }

    #[test]
    fn nothing_of_the_text_reaches_the_terminal_bare() {
        let text = seq("a\x1b]0;evil\x07", Multiplexer::None);
        assert_eq!(text.matches('\x1b').count(), 2);
    }

    #[test]
    fn too_long_is_refused() {
        assert!(sequence(&SafeText::new("x".repeat(MAX)), Multiplexer::None).is_some());
        assert!(sequence(&SafeText::new("x".repeat(MAX + 1)), Multiplexer::None).is_none());
        let pieces = seq(&"x".repeat(3000), Multiplexer::Screen);
        assert!(pieces.split("\x1b\\").all(|p| p.len() <= 768));
    }
}
