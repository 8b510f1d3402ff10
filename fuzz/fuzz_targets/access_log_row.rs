//! Rows of every form, several behind each other: the reader remembers the last form.
#![no_main]
use badgate::sources::access_log::Parser;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for full in [false, true] {
        let mut parser = Parser::default();
        for line in data.split(|c| *c == b'\n') {
            let _ = parser.line(line, full);
        }
    }
});
