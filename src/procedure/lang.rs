//! The language people read the procedure in.

use serde::{Deserialize, Serialize};

/// A language the procedure is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    #[default]
    En,
    Ja,
}

impl Lang {
    /// Every language there is.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Ja];

    /// `en`, `ja`.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ja => "ja",
        }
    }

    /// The language of a locale name such as `ja_JP.UTF-8`, `ja`, `en-GB`;
    /// `None` for one we have no words in. `C` and `POSIX` are English.
    pub fn of_locale(locale: &str) -> Option<Lang> {
        let language = locale.split(['_', '-', '.', '@']).next().unwrap_or("").to_ascii_lowercase();
        match language.as_str() {
            "ja" | "jpn" | "japanese" => Some(Lang::Ja),
            "en" | "eng" | "english" | "c" | "posix" => Some(Lang::En),
            _ => None,
        }
    }

    /// The language of a session: what was asked for, else the first of
    /// `LC_ALL`, `LC_MESSAGES`, `LANG` that is set and not empty (POSIX order),
    /// else English. A locale we have no words in is English too.
    pub fn from_env(
        asked: Option<Lang>,
        lc_all: Option<&str>,
        lc_messages: Option<&str>,
        lang: Option<&str>,
    ) -> Lang {
        if let Some(l) = asked {
            return l;
        }
        let locale = [lc_all, lc_messages, lang].into_iter().flatten().find(|v| !v.is_empty());
        locale.and_then(Lang::of_locale).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_in_posix_order() {
        let table = [
            (None, None, None, None, Lang::En),
            (None, None, None, Some("ja_JP.UTF-8"), Lang::Ja),
            (None, Some(""), Some("ja_JP.UTF-8"), Some("en_US.UTF-8"), Lang::Ja),
            (None, Some("C"), Some("ja_JP.UTF-8"), Some("ja_JP.UTF-8"), Lang::En),
            (None, None, None, Some("de_DE.UTF-8"), Lang::En),
            (None, None, None, Some("ja"), Lang::Ja),
            (Some(Lang::En), Some("ja_JP.UTF-8"), None, None, Lang::En),
            (Some(Lang::Ja), Some("C"), None, None, Lang::Ja),
        ];
        for (asked, all, messages, lang, want) in table {
            assert_eq!(
                Lang::from_env(asked, all, messages, lang),
                want,
                "{asked:?} {all:?} {messages:?} {lang:?}"
            );
        }
    }
}
