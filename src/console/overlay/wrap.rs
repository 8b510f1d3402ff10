//! Breaking styled lines into rows.

use crate::text::width;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

/// A line as rows of at most `cols` columns, broken at blanks where there are
/// any in the second half of a row, else between graphemes. Rows after the
/// first begin where the text of the first does.
pub fn wrap_line(line: &Line<'_>, cols: usize) -> Vec<Line<'static>> {
    let cols = cols.max(2);
    // (grapheme, style) flattened; lines of a detail view are short.
    let mut cells: Vec<(&str, ratatui::style::Style)> = Vec::new();
    for span in &line.spans {
        cells.extend(span.content.graphemes(true).map(|g| (g, span.style)));
    }
    let mut rows = Vec::new();
    let mut start = 0;
    let margin = cells.iter().take_while(|c| c.0 == " ").count().min(cols / 4);
    loop {
        let margin = if start == 0 { 0 } else { margin };
        let (mut taken, mut end) = (margin, start);
        while end < cells.len() && taken + width(cells[end].0) <= cols {
            taken += width(cells[end].0);
            end += 1;
        }
        if end < cells.len() {
            let half = start + (end - start) / 2;
            if let Some(blank) = (half..end).rev().find(|i| cells[*i].0 == " ") {
                end = blank + 1;
            }
            // A grapheme wider than the row must still go somewhere.
            end = end.max(start + 1);
        }
        let mut spans: Vec<Span<'static>> = Vec::new();
        if margin > 0 {
            spans.push(Span::raw(" ".repeat(margin)));
        }
        for (g, style) in &cells[start..end] {
            match spans.last_mut() {
                Some(last) if last.style == *style => last.content.to_mut().push_str(g),
                _ => spans.push(Span::styled((*g).to_string(), *style)),
            }
        }
        rows.push(Line { spans, style: line.style, alignment: line.alignment });
        start = end;
        if start >= cells.len() {
            return rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str, cols: usize) -> Vec<String> {
        wrap_line(&Line::from(text.to_string()), cols).iter().map(Line::to_string).collect()
    }

    #[test]
    fn breaks_at_blanks() {
        assert_eq!(rows("allow tcp 8080 from here", 10), ["allow tcp ", "8080 from ", "here"]);
        assert_eq!(rows("aaaaaaaaaaaa", 5), ["aaaaa", "aaaaa", "aa"]);
        assert_eq!(rows("日本語", 4), ["日本", "語"]);
        assert_eq!(rows("", 4), [""]);
    }

    #[test]
    fn a_margin_is_kept() {
        assert_eq!(rows("  allow tcp 8080", 12), ["  allow tcp ", "  8080"]);
        assert_eq!(rows("      a b", 4).concat().replace(' ', ""), "ab");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-z 日é]{0,80}", cols in 0usize..20) {
            let rows = rows(&text, cols);
            let margin = text.chars().take_while(|c| *c == ' ').count().min(cols.max(2) / 4);
            let mut whole = rows[0].clone();
            whole.extend(rows[1..].iter().map(|r| r.strip_prefix(&" ".repeat(margin)).unwrap()));
            prop_assert_eq!(whole, text);
            for r in rows {
                prop_assert!(width(&r) <= cols.max(2));
            }
        }
    }
}
