//! `--where` and `--log-format` as they are typed.
#![no_main]
use badgate::sources::access_log::filter::Filter;
use badgate::sources::access_log::{Parser, Template};
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = text.parse::<Filter>();
    let (format, line) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(template) = Template::parse(format) {
        let _ = Parser::new(None, Some(Arc::new(template))).line(line.as_bytes(), true);
    }
});
