//! The words of the cause catalogue.

use super::causes;
use super::verdict::{Next, Verdict};
use crate::text::SafeText;
use serde::Deserialize;

const EN: &str = include_str!("../../assets/causes.en.toml");
const JA: &str = include_str!("../../assets/causes.ja.toml");

/// One cause in words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    pub id: SafeText,
    pub title: SafeText,
    /// What the client sees, and who answers it.
    pub status: SafeText,
    /// What happens.
    pub what: SafeText,
    /// The cheapest test that tells it from its neighbours.
    pub check: SafeText,
    /// What helps at once.
    pub mitigation: SafeText,
    /// What keeps it from coming back.
    pub fix: SafeText,
    /// Where this is documented.
    pub source: SafeText,
}

/// Every cause in one language.
#[derive(Clone, Debug)]
pub struct Catalogue {
    words: Vec<Words>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lang: String,
    cause: Vec<Words>,
}

/// A catalogue file that cannot be used; one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct CatalogueError {
    pub file: SafeText,
    pub reason: SafeText,
}

impl Catalogue {
    /// The embedded catalogue in `ja`, or in English for any other tag.
    ///
    /// # Errors
    /// None for the embedded files: tests hold them together with the rules.
    pub fn load(lang: &str) -> Result<Catalogue, CatalogueError> {
        match lang {
            "ja" => Catalogue::parse(JA, "ja", "assets/causes.ja.toml"),
            _ => Catalogue::parse(EN, "en", "assets/causes.en.toml"),
        }
    }

    /// Reads a catalogue. `file` is only for messages.
    ///
    /// # Errors
    /// What is no TOML of this shape, another language, an empty field, a
    /// cause given twice, unknown to the rules, or missing.
    pub fn parse(text: &str, lang: &str, file: &str) -> Result<Catalogue, CatalogueError> {
        let wrong = |reason: String| CatalogueError { file: file.into(), reason: reason.into() };
        let read: File = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
            let said = e.message().lines().map(str::trim).collect::<Vec<_>>().join(" ");
            wrong(format!("line {line}: {said}"))
        })?;
        if read.lang != lang {
            return Err(wrong(format!("the language is '{}', not '{lang}'", read.lang)));
        }
        for (i, w) in read.cause.iter().enumerate() {
            if causes::rule_of(&w.id).is_none() {
                return Err(wrong(format!("there is no rule for the cause '{}'", w.id)));
            }
            if read.cause[..i].iter().any(|o| o.id == w.id) {
                return Err(wrong(format!("the cause '{}' is there twice", w.id)));
            }
            let fields = [&w.title, &w.status, &w.what, &w.check, &w.mitigation, &w.fix, &w.source];
            if fields.iter().any(|f| f.trim().is_empty()) {
                return Err(wrong(format!("the cause '{}' has an empty field", w.id)));
            }
        }
        if let Some(r) = causes::RULES.iter().find(|r| !read.cause.iter().any(|w| w.id.as_str() == r.id)) {
            return Err(wrong(format!("the cause '{}' is missing", r.id)));
        }
        Ok(Catalogue { words: read.cause })
    }

    /// The words of a cause.
    pub fn get(&self, id: &str) -> Option<&Words> {
        self.words.iter().find(|w| w.id.as_str() == id)
    }

    /// Every cause, in the catalogue's order.
    pub fn all(&self) -> &[Words] {
        &self.words
    }

    /// What to do next about a verdict, in words, most useful first.
    pub fn next(&self, v: &Verdict) -> Vec<SafeText> {
        v.next
            .iter()
            .filter_map(|n| match n {
                Next::Check(id) => self.get(id).map(|w| w.check.clone()),
                Next::Mitigate(id) => self.get(id).map(|w| w.mitigation.clone()),
                Next::Learn(l) => Some(format!("{}: {}", l.what, l.reason.phrase()).into()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_words_match_one_to_one_in_every_language() {
        let (en, ja) = (Catalogue::load("en").unwrap(), Catalogue::load("ja").unwrap());
        assert_eq!(en.all().len(), causes::RULES.len());
        let ids = |c: &Catalogue| c.all().iter().map(|w| w.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&en), ids(&ja));
        for (a, b) in en.all().iter().zip(ja.all()) {
            assert_eq!(a.source, b.source, "{}", a.id);
            assert_ne!(a.title, b.title, "{} is not translated", a.id);
        }
    }

    #[test]
    fn a_wrong_catalogue_says_why_in_one_line() {
        let wrong = |from: &str, to: &str| {
            let e = Catalogue::parse(&EN.replacen(from, to, 1), "en", "c.toml").unwrap_err().to_string();
            assert!(!e.contains('\n'), "{e}");
            e
        };
        assert_eq!(
            wrong("id = \"disk-full\"", "id = \"disk-empty\""),
            "c.toml: there is no rule for the cause 'disk-empty'"
        );
        assert_eq!(
            wrong("id = \"disk-full\"", "id = \"cpu-saturated\""),
            "c.toml: the cause 'cpu-saturated' is there twice"
        );
        assert!(wrong("title = \"The disk", "titel = \"The disk").starts_with("c.toml: line "));
        assert!(wrong("lang = \"en\"", "lang = \"fr\"").contains("'fr'"));
        let e = wrong("fix = \"Rotation and an alarm.\"", "fix = \" \"");
        assert_eq!(e, "c.toml: the cause 'disk-full' has an empty field");
        let at = EN.find("[[cause]]\nid = \"lambda-payload").unwrap();
        let cut = Catalogue::parse(&EN[..at], "en", "c.toml").unwrap_err().to_string();
        assert_eq!(cut, "c.toml: the cause 'lambda-payload-too-large' is missing");
    }
}
