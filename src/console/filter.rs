//! The pattern of `/`: a regular expression, `!` in front turns it around, and
//! behind `~` stand letters that come in this order, not far from each other.
//! Behind `where ` stands an expression about rows of access logs instead, as
//! for `badgate logs --where`: `where status=502 and took>1s`.

use crate::sources::access_log::filter::Filter as Where;
use crate::sources::access_log::{Line, Parser};
use crate::text::SafeText;
use regex::{Regex, RegexBuilder};

/// Memory a compiled pattern may take; a person types these, a program does not.
const COMPILED_MAX: usize = 1 << 20;
/// What stands before an expression.
const WHERE: &str = "where ";
/// What stands before letters to be found with others between them.
const FUZZY: char = '~';
/// How many others there may be between two letters of a word. With more, a
/// log line fits almost anything.
const BETWEEN: &str = ".{0,8}?";
/// A pattern that is found nowhere: an expression has no place in a line.
const NOWHERE: &str = "[^\\s\\S]";
/// What a row's duration is compared with to tell its shape, in seconds: the
/// idle timeout that load balancers come with.
const IDLE: f64 = 60.0;

/// A pattern that is in force in a pane.
#[derive(Clone, Debug)]
pub struct Filter {
    /// As typed, with the `!`.
    pub typed: SafeText,
    /// Rows that match are meant out rather than in.
    pub inverse: bool,
    /// Rows that are not meant are hidden; else matches are only highlighted
    /// and stepped through with `n` and `N`.
    pub hides: bool,
    /// What stands behind the `!`, compiled. Small letters match both cases; a
    /// capital letter makes the pattern mind case.
    pub regex: Regex,
    /// Asked of rows instead; lines that are none never fit.
    rows: Option<Where>,
}

impl Filter {
    /// Compiles what was typed. `Ok(None)` for an empty pattern (no filter);
    /// the error is one line for the person who types.
    pub fn parse(typed: &str, hides: bool) -> Result<Option<Filter>, SafeText> {
        let (inverse, pattern) = match typed.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, typed),
        };
        if pattern.is_empty() {
            return Ok(None);
        }
        let minds_case = pattern.chars().any(char::is_uppercase);
        let (pattern, rows) = match pattern.strip_prefix(WHERE) {
            Some(text) => {
                let rows = text.parse::<Where>().map_err(|e| SafeText::new(e.to_string()))?;
                (NOWHERE.to_owned(), Some(rows))
            }
            None => match pattern.strip_prefix(FUZZY) {
                Some(letters) if letters.trim().is_empty() => return Ok(None),
                Some(letters) => (fuzzy(letters), None),
                None => (pattern.to_owned(), None),
            },
        };
        let regex = RegexBuilder::new(&pattern)
            .case_insensitive(!minds_case)
            .size_limit(COMPILED_MAX)
            .build()
            .map_err(|e| one_line(&e))?;
        Ok(Some(Filter { typed: SafeText::new(typed), inverse, hides, regex, rows }))
    }

    /// True for a row that the person means.
    pub fn keeps(&self, text: &str) -> bool {
        let fits = match &self.rows {
            None => self.regex.is_match(text),
            Some(rows) => match Parser::default().line(text.as_bytes(), true) {
                Line::Row(format, row) => rows.holds(format, &row, IDLE),
                // No row is left out because it is not another one, either.
                Line::Blank | Line::Unreadable => return false,
            },
        };
        fits != self.inverse
    }
}

/// `wb 80` finds `web-1 10.0.1.5:8080`: the letters of each word in order and
/// near each other, the words in order at any distance.
fn fuzzy(letters: &str) -> String {
    let near = |word: &str| {
        word.chars().map(|c| regex::escape(c.encode_utf8(&mut [0; 4]))).collect::<Vec<_>>().join(BETWEEN)
    };
    letters.split_whitespace().map(near).collect::<Vec<_>>().join(".*?")
}

/// The regex crate explains over several lines with a caret; the last line
/// says what is wrong.
fn one_line(e: &regex::Error) -> SafeText {
    let text = e.to_string();
    let last = text.lines().last().unwrap_or("not a regular expression");
    SafeText::new(last.strip_prefix("error: ").unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_inverse_and_case() {
        let keeps = |p: &str, t: &str| Filter::parse(p, true).unwrap().unwrap().keeps(t);
        assert!(keeps("err", "an ERROR"));
        assert!(!keeps("Err", "an ERROR"));
        assert!(!keeps("!err", "an ERROR"));
        assert!(keeps("!err", "fine"));
        assert!(keeps("50[234]", "status 502"));
        assert!(Filter::parse("", true).unwrap().is_none());
        assert!(Filter::parse("!", true).unwrap().is_none());
    }

    #[test]
    fn letters_are_found_with_others_between_them() {
        let keeps = |p: &str, t: &str| Filter::parse(p, true).unwrap().unwrap().keeps(t);
        let row = "unhealthy i-0b8a3f24:8080 web-2 Target.Timeout";
        for p in ["~unh", "~uhlt", "~wb2", "~w2 tmo", "~8080 web", "~i-08a", "~tt"] {
            assert!(keeps(p, row), "{p}");
            assert!(!keeps(&format!("!{p}"), row), "{p}");
        }
        for p in ["~utt", "~web unh", "~Unh", "~2w.*", "~wb[2]"] {
            assert!(!keeps(p, row), "{p}");
        }
        assert!(keeps("~a.b", "a-.-b") && !keeps("~a.b", "a--b"), "a letter is a letter");
        assert!(Filter::parse("~", true).unwrap().is_none());
        assert!(Filter::parse("!~ ", true).unwrap().is_none());
    }

    #[test]
    fn expressions_are_asked_of_rows() {
        let row = |status: &str| {
            format!(
                "203.0.113.9 - - [04/May/2026:10:00:00 +0000] \"GET /api/a HTTP/1.1\" {status} 5 \"-\" \"x\""
            )
        };
        let keeps = |p: &str, t: &str| Filter::parse(p, true).unwrap().unwrap().keeps(t);
        assert!(keeps("where status=5xx and path~\"^/api\"", &row("502")));
        assert!(!keeps("where status=5xx", &row("200")));
        assert!(keeps("!where status=5xx", &row("200")));
        for p in ["where status=5xx", "!where status=5xx"] {
            assert!(!keeps(p, "502 says the application"), "{p}");
        }
        assert!(keeps("where", "this is where it broke"), "a word is a word");
        let f = Filter::parse("where status=502", true).unwrap().unwrap();
        assert!(f.regex.find(&row("502")).is_none(), "nothing is highlighted");
        let e = Filter::parse("where statsu=502", true).unwrap_err();
        assert!(e.contains("status") && !e.contains('\n'), "{e}");
    }

    #[test]
    fn a_bad_pattern_is_one_line() {
        for bad in ["(", "[a", "a{99999999}", "*", "\\p{nope}"] {
            let e = Filter::parse(bad, true).unwrap_err();
            assert!(!e.is_empty() && !e.contains('\n'), "{bad}: {e}");
        }
    }
}
