//! Breaking text over lines: at blanks where there are some, anywhere in
//! scripts without them, and never in the middle of a character.

use crate::text::width;
use unicode_segmentation::UnicodeSegmentation;

/// At most `max` lines of at most `columns` columns. The text's own line feeds
/// break too. When text is left over, the last line ends in `ellipsis`.
pub fn wrap(text: &str, columns: usize, max: usize, ellipsis: &str) -> Vec<String> {
    wrap_after(text, columns, columns, max, ellipsis)
}

/// As [`wrap`], with another width for the first line, which stands behind
/// something else.
pub fn wrap_after(text: &str, first: usize, rest_columns: usize, max: usize, ellipsis: &str) -> Vec<String> {
    let mut out = Vec::new();
    if first == 0 || rest_columns == 0 || max == 0 {
        return out;
    }
    let mut paragraphs = text.split('\n').peekable();
    while let Some(paragraph) = paragraphs.next() {
        let mut rest = paragraph;
        loop {
            let columns = if out.is_empty() { first } else { rest_columns };
            let (line, left) = first_line(rest, columns);
            let more = !left.is_empty() || paragraphs.peek().is_some();
            if more && out.len() + 1 == max {
                out.push(with_ellipsis(line, columns, ellipsis));
                return out;
            }
            out.push(line.to_owned());
            if left.is_empty() {
                break;
            }
            rest = left;
        }
    }
    out
}

fn with_ellipsis(line: &str, columns: usize, ellipsis: &str) -> String {
    if width(line) + width(ellipsis) <= columns {
        format!("{line}{ellipsis}")
    } else {
        // One blank more than fits forces the cut to leave its mark.
        crate::text::truncate_with(&format!("{line} "), columns.min(width(line)), ellipsis).into_owned()
    }
}

/// The first line of a paragraph and what follows it. Takes at least one
/// character, so that it comes to an end in any width.
fn first_line(text: &str, columns: usize) -> (&str, &str) {
    let indent = text.len() - text.trim_start_matches(' ').len();
    let text = if indent >= columns { &text[indent..] } else { text };
    let mut used = 0;
    // Where the line may be broken: end of what stays, start of what follows.
    let mut brk: Option<(usize, usize)> = None;
    let mut before_wide = false;
    for (i, g) in text.grapheme_indices(true) {
        // Blanks may hang over the edge: they are cut off the end of a line.
        if g == " " {
            let stay = text[..i].trim_end_matches(' ').len();
            if stay > 0 {
                brk = Some((stay, i + 1));
            }
            before_wide = false;
            used += 1;
            continue;
        }
        let w = width(g);
        // Japanese and Chinese break between any two characters.
        if (w == 2 || before_wide) && i > indent {
            brk = Some((text[..i].trim_end_matches(' ').len(), i));
        }
        if used + w > columns {
            let (end, start) = match brk {
                Some(at) => at,
                None if i == 0 => (g.len(), g.len()),
                None => (i, i),
            };
            return (&text[..end], text[start..].trim_start_matches(' '));
        }
        before_wide = w == 2;
        used += w;
    }
    (text.trim_end_matches(' '), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_scripts_without_blanks() {
        let of = |text: &str, columns, max| wrap(text, columns, max, "\u{2026}");
        assert_eq!(
            of("allow 8080 from the load balancer", 14, 9),
            ["allow 8080", "from the load", "balancer"]
        );
        assert_eq!(of("abcdefghij", 4, 9), ["abcd", "efgh", "ij"]);
        assert_eq!(
            of("\u{65e5}\u{672c}\u{8a9e}\u{306e}\u{30ed}\u{30b0}", 5, 9),
            ["\u{65e5}\u{672c}", "\u{8a9e}\u{306e}", "\u{30ed}\u{30b0}"]
        );
        assert_eq!(of("one\ntwo\n\nthree", 10, 9), ["one", "two", "", "three"]);
        assert_eq!(of("one two three", 5, 2), ["one", "two\u{2026}"]);
        assert_eq!(of("aaaaa bbbbb ccccc", 5, 2), ["aaaaa", "bbbb\u{2026}"]);
        assert_eq!(of("", 5, 3), [""]);
        assert_eq!(of("\u{65e5}", 1, 3), ["\u{65e5}"]);
        assert!(of("x", 0, 3).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "[a-z \u{65e5}\u{672c}\u{8a9e}\n]{0,60}", columns in 2usize..30) {
            let lines = wrap(&text, columns, usize::MAX, "~");
            for line in &lines {
                prop_assert!(width(line) <= columns, "{line:?}");
            }
            let squeeze = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(squeeze(&lines.concat()), squeeze(&text));
        }

        #[test]
        fn no_more_lines_than_asked_and_a_mark_when_cut(text in "[a-z ]{0,80}", columns in 2usize..20, max in 1usize..4) {
            let whole = wrap(&text, columns, usize::MAX, "~");
            let some = wrap(&text, columns, max, "~");
            prop_assert!(some.len() <= max);
            if whole.len() > max {
                prop_assert!(some.last().is_some_and(|l| l.ends_with('~')));
                prop_assert!(some.iter().all(|l| width(l) <= columns));
            } else {
                prop_assert_eq!(some, whole);
            }
        }
    }
}
