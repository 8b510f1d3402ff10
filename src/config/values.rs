//! Settings that the command line and the config file both know, under the
//! same words in both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an enum of words: parse, show, list, serde and clap agree on them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order help shows them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word for it on the command line and in the config file.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl clap::ValueEnum for $name {
            fn value_variants<'a>() -> &'a [Self] { Self::ALL }
            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(clap::builder::PossibleValue::new(self.word()))
            }
        }
    };
}

words! {
    /// How many colours are used.
    Color {
        /// What the terminal is known to show.
        #[default]
        Auto = "auto",
        /// 24-bit.
        TrueColor = "truecolor",
        /// The 256-colour cube.
        Ansi256 = "256",
        /// The 16 named colours.
        Ansi16 = "16",
        /// None: bold, underline and reverse only.
        Never = "never",
    }
}

words! {
    /// A palette.
    Theme {
        #[default]
        Dark = "dark",
        Light = "light",
        HighContrast = "high-contrast",
    }
}

words! {
    /// Synchronized output (mode 2026): the terminal shows whole frames only.
    Sync {
        /// On where it is known to do no harm.
        #[default]
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

words! {
    /// What is taken out of an export.
    Redact {
        /// Secrets: Authorization, cookies, keys, tokens, signed query strings.
        #[default]
        Default = "default",
        /// Secrets, and names of accounts, hosts and addresses by stable pseudonyms.
        All = "all",
        /// Nothing.
        None = "none",
    }
}
