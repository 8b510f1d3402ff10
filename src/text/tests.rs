use proptest::prelude::*;
use serde_json::json;

use super::*;

/// One of each kind of sequence that was seen to reach terminals raw through
/// log viewers, and what it must look like.
#[test]
fn hostile_kinds_are_shown() {
    let table: &[(&str, &[u8], &str)] = &[
        ("clipboard write, OSC 52", b"a\x1b]52;c;ZXZpbA==\x07b", "a^[]52;c;ZXZpbA==^Gb"),
        ("title, OSC 0", b"\x1b]0;owned\x07", "^[]0;owned^G"),
        (
            "link, OSC 8 with ST",
            b"\x1b]8;;http://x.invalid/\x1b\\here\x1b]8;;\x1b\\",
            "^[]8;;http://x.invalid/^[\\here^[]8;;^[\\",
        ),
        ("cursor report", b"\x1b[6nQ", "^[[6nQ"),
        ("DCS request", b"\x1bP$qm\x1b\\", "^[P$qm^[\\"),
        ("clear and forge", b"\x1b[2J\x1b[1;1HOK 200", "^[[2J^[[1;1HOK 200"),
        ("concealed text", b"\x1b[8mroot\x1b[0m", "^[[8mroot^[[0m"),
        ("C1 CSI as UTF-8", "\u{9b}31mred".as_bytes(), "\\u{9b}31mred"),
        ("carriage return", b"ERROR\rINFO ", "ERROR^MINFO "),
        ("right-to-left override", "user\u{202e}txt.exe".as_bytes(), "user\\u{202e}txt.exe"),
        ("zero width space", "ad\u{200b}min".as_bytes(), "ad\\u{200b}min"),
        ("bell", b"ding\x07dong", "ding^Gdong"),
        ("alternate screen", b"\x1b[?1049lgone", "^[[?1049lgone"),
        ("mouse reports", b"\x1b[?1003h", "^[[?1003h"),
        ("C1 as a raw byte", b"\x9b31m", "\\x9b31m"),
        ("colon SGR", b"\x1b[38:2::1:2:3mx", "^[[38:2::1:2:3mx"),
        ("unterminated OSC", b"\x1b]0;never", "^[]0;never"),
        ("APC, PM, SOS", b"\x1b_a\x1b^b\x1bXc", "^[_a^[^b^[Xc"),
        ("forged row", b"one\ntwo", "one^Jtwo"),
        ("NUL and DEL", b"a\0b\x7f", "a^@b^?"),
        ("tag characters", "x\u{e0041}".as_bytes(), "x\\u{e0041}"),
        ("isolates", "\u{2066}x\u{2069}".as_bytes(), "\\u{2066}x\\u{2069}"),
        ("BOM and soft hyphen", "\u{feff}a\u{ad}".as_bytes(), "\\u{feff}a\\u{ad}"),
        ("not UTF-8", b"caf\xe9 \xff\xfe", "caf\\xe9 \\xff\\xfe"),
        ("cut UTF-8", &[0xe3, 0x81], "\\xe3\\x81"),
    ];
    for (kind, input, want) in table {
        assert_eq!(SafeText::from_bytes(input).as_str(), *want, "{kind}");
    }
}

#[test]
fn ordinary_text_passes_unchanged() {
    for text in [
        "",
        "GET /a?b=c 502",
        "\u{65e5}\u{672c}\u{8a9e} \u{30ed}\u{30b0}",
        "Zu\u{308}rich",
        "\u{845b}\u{e0100}\u{98fe}",
    ] {
        assert_eq!(SafeText::new(text), *text);
        assert!(sanitise(text) == text);
    }
    assert!(matches!(sanitise("plain"), std::borrow::Cow::Borrowed(_)));
}

#[test]
fn tabs_reach_the_next_stop() {
    assert_eq!(SafeText::new("a\tbc\t\td"), "a   bc      d");
    assert_eq!(SafeText::new("\u{65e5}\tx"), "\u{65e5}  x");
    assert_eq!(SafeText::multiline("ab\n\tx"), "ab\n    x");
}

#[test]
fn multiline_keeps_line_feeds_only() {
    assert_eq!(SafeText::multiline("a\r\nb\nc\rd\r"), "a\nb\nc^Md^M");
    assert_eq!(SafeText::multiline("a\r\r\nb\x1b[m"), "a^M\nb^[[m");
    assert_eq!(SafeText::multiline("a\nb").one_line(), "a^Jb");
}

#[test]
fn a_pile_of_combining_marks_is_shown() {
    let zalgo = format!("x{}y", "\u{301}".repeat(10));
    let want = format!("x{}\\u{{301}}\\u{{301}}y", "\u{301}".repeat(8));
    assert_eq!(SafeText::new(&zalgo), want.as_str());
}

#[test]
fn capping_counts_what_is_left_out() {
    assert_eq!(SafeText::capped("abcdef", 6), "abcdef");
    assert_eq!(SafeText::capped("abcdef", 4), "abcd... +2 B");
    // A visible form is never cut in half.
    assert_eq!(SafeText::capped("abc\x1b[m", 4), "abc... +3 B");
    assert_eq!(SafeText::capped("a\u{65e5}\u{672c}", 5), "a\u{65e5}... +3 B");
    assert_eq!(SafeText::capped_multiline("\r\n\r\nab", 2), "\n\n... +2 B");
    assert_eq!(SafeText::capped_multiline("a\r", 2), "a... +1 B");
    assert_eq!(SafeText::capped_multiline("a\rb", 2), "a... +2 B");
    assert_eq!(SafeText::capped("", 0), "");
    assert_eq!(SafeText::capped("x", 0), "... +1 B");
    let long = vec![b'x'; 10_000_000];
    assert_eq!(SafeText::capped(&long, 3), "xxx... +9999997 B");
}

#[test]
fn line_ends_are_trimmed_once() {
    assert_eq!(trim_line_end(b"a\r\n"), b"a");
    assert_eq!(trim_line_end(b"a\n\n"), b"a\n");
    assert_eq!(trim_line_end(b"a\r"), b"a\r");
    assert_eq!(trim_line_end(b"\n"), b"");
}

#[test]
fn serde_sanitises_what_it_reads() {
    let text: SafeText = serde_json::from_str(r#""a\u001b[31m\nb\u202e""#).unwrap();
    assert_eq!(text, "a^[[31m\nb\\u{202e}");
    assert_eq!(serde_json::to_string(&SafeText::multiline("a\nb")).unwrap(), r#""a\nb""#);
}

#[test]
fn json_is_walked_whole() {
    let mut value = json!({"a\u{1b}": ["x\u{7}", {"b": "\u{202e}"}], "a^[": 1, "n": null});
    sanitise_json(&mut value);
    assert_eq!(value, json!({"a^[": ["x^G", {"b": "\\u{202e}"}], "a^[~": 1, "n": null}));
}

#[test]
fn widths_count_cells() {
    assert_eq!(width("abc"), 3);
    assert_eq!(width("\u{65e5}\u{672c}"), 4);
    assert_eq!(width("u\u{308}"), 1);
    assert_eq!(truncate_width("abcdef", 6), "abcdef");
    assert_eq!(truncate_width("abcdef", 4), "abc\u{2026}");
    assert_eq!(truncate_width("\u{65e5}\u{672c}\u{8a9e}", 4), "\u{65e5}\u{2026}");
    assert_eq!(truncate_with("abcdef", 4, "~"), "abc~");
    assert_eq!(truncate_with("abcdef", 2, "..."), "ab");
    assert_eq!(truncate_width("abc", 0), "");
    assert_eq!(truncate_width("u\u{308}u\u{308}u\u{308}", 2), "u\u{308}\u{2026}");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let spicy = prop_oneof![
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        any::<u8>().prop_map(|b| vec![b]),
        (0u8..0x20).prop_map(|b| vec![b]),
        prop::sample::select(vec![
            "\u{9b}",
            "\u{202e}",
            "\u{200b}",
            "\r\n",
            "\t",
            "\u{301}",
            "\u{e0041}",
            "\\",
            "^"
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
    ];
    prop::collection::vec(spicy, 0..60).prop_map(|v| v.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_hostile_remains_and_twice_is_once(input in bytes()) {
        let one = SafeText::from_bytes(&input);
        prop_assert!(!one.chars().any(is_hostile), "{one:?}");
        prop_assert_eq!(SafeText::new(&one), one.clone());

        let multi = SafeText::multiline(&input);
        prop_assert!(!multi.chars().any(|c| c != '\n' && is_hostile(c)), "{:?}", multi);
        prop_assert_eq!(SafeText::multiline(multi.as_bytes()), multi.clone());

        let back: SafeText = serde_json::from_str(&serde_json::to_string(&multi).unwrap()).unwrap();
        prop_assert_eq!(back, multi);
    }

    /// Every printable character of the input is still there, in order.
    #[test]
    fn nothing_vanishes(input in "\\PC{0,40}") {
        let safe = SafeText::new(&input);
        let mut rest = safe.chars();
        for c in input.chars().filter(|c| c.is_alphanumeric() && !is_hostile(*c)) {
            if unicode_width::UnicodeWidthChar::width(c) != Some(0) {
                prop_assert!(rest.any(|r| r == c), "{c:?} is gone from {safe:?}");
            }
        }
    }

    #[test]
    fn a_cap_is_a_prefix_of_the_whole(input in bytes(), cap in 0usize..80) {
        let whole = SafeText::multiline(&input);
        let capped = SafeText::capped_multiline(&input, cap);
        match capped.rsplit_once("... +") {
            Some((head, n)) if whole != capped => {
                prop_assert!(whole.starts_with(head));
                prop_assert!(head.len() <= cap);
                let left: usize = n.trim_end_matches(" B").parse().unwrap();
                prop_assert!(left >= 1 && left <= input.len());
                let used = SafeText::multiline(&input[..input.len() - left]);
                prop_assert_eq!(used.as_str(), head);
            }
            _ => prop_assert_eq!(capped, whole),
        }
    }

    #[test]
    fn truncation_never_passes_the_columns(input in "\\PC{0,40}", cols in 0usize..50) {
        let cut = truncate_width(&input, cols);
        prop_assert!(width(&cut) <= cols);
        if width(&input) <= cols {
            prop_assert_eq!(&cut, &input);
        }
    }
}

/// Of each such character by itself and next to every kind of neighbour.
#[test]
fn what_stands_alone_is_one_cell_wherever_it_stands() {
    use unicode_segmentation::UnicodeSegmentation;
    use unicode_width::UnicodeWidthStr;
    let all: Vec<char> = (' '..='\u{ffff}').filter(|c| stands_alone(*c)).collect();
    assert!(all.len() > 500 && !all.contains(&'\u{25b6}') && !all.contains(&'\u{301}'));
    for c in &all {
        assert_eq!(c.to_string().width(), 1, "{c:?}");
        for other in ['a', '\u{2500}', '\u{2713}', '\u{2800}', *c] {
            assert_eq!(format!("{c}{other}{c}").graphemes(true).count(), 3, "{c:?} {other:?}");
        }
    }
}

proptest! {
    /// The quick ways measure and cut as the slow one does.
    #[test]
    fn quick_ways_agree_with_graphemes(text in "[ab\u{2500}\u{2713}\u{28ff}\u{301}\u{65e5}\u{200d}]{0,12}", cols in 0usize..14) {
        use unicode_segmentation::UnicodeSegmentation;
        use unicode_width::UnicodeWidthStr;
        let slow = |t: &str| t.graphemes(true).map(UnicodeWidthStr::width).sum::<usize>();
        prop_assert_eq!(width(&text), slow(&text));
        let cut = truncate_width(&text, cols);
        prop_assert!(slow(&cut) <= cols);
        if slow(&text) <= cols {
            prop_assert_eq!(cut.as_ref(), text.as_str());
        } else if cols > 0 {
            // As many whole graphemes as leave a column for the mark.
            let mut want = String::new();
            for g in text.graphemes(true) {
                if slow(&want) + g.width() > cols - 1 { break }
                want.push_str(g);
            }
            prop_assert_eq!(cut.as_ref(), format!("{want}\u{2026}"));
        }
    }
}
