//! Any text as one of the embedded files of words: teams translate them.
#![no_main]

use badgate::diagnosis::catalogue::Catalogue;
use badgate::procedure::{Patterns, Procedure};
use badgate::text::is_hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let one_line = |e: String| assert!(!e.chars().any(is_hostile), "{e:?}");
    if let Err(e) = Catalogue::parse(text, "en", "c.toml") {
        one_line(e.to_string());
    }
    if let Err(e) = Procedure::parse(text, "p.toml") {
        one_line(e.to_string());
    }
    if let Err(e) = Patterns::parse(text, "l.toml") {
        one_line(e.to_string());
    }
});
