//! The pattern of `/`: a regular expression, `!` in front turns it around.

use crate::text::SafeText;
use regex::{Regex, RegexBuilder};

/// Memory a compiled pattern may take; a person types these, a program does not.
const COMPILED_MAX: usize = 1 << 20;

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
        let regex = RegexBuilder::new(pattern)
            .case_insensitive(!pattern.chars().any(char::is_uppercase))
            .size_limit(COMPILED_MAX)
            .build()
            .map_err(|e| one_line(&e))?;
        Ok(Some(Filter { typed: SafeText::new(typed), inverse, hides, regex }))
    }

    /// True for a row that the person means.
    pub fn keeps(&self, text: &str) -> bool {
        self.regex.is_match(text) != self.inverse
    }
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
    fn a_bad_pattern_is_one_line() {
        for bad in ["(", "[a", "a{99999999}", "*", "\\p{nope}"] {
            let e = Filter::parse(bad, true).unwrap_err();
            assert!(!e.is_empty() && !e.contains('\n'), "{bad}: {e}");
        }
    }
}
