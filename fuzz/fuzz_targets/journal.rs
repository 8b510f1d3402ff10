//! Any bytes as an incident file.
#![no_main]

use badgate::journal::{Entry, parse};
use badgate::text::is_hostile;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let name = Path::new("a.incident.jsonl");
    let entries = parse(name, bytes);
    let has_content = bytes.split(|b| *b == b'\n').any(|l| !l.iter().all(u8::is_ascii_whitespace));
    assert!(!has_content || !entries.is_empty(), "a line that is not blank is a record or a problem");
    for entry in entries {
        match entry {
            Entry::Record(mut record) => {
                let line = record.clone().to_line();
                let back = parse(name, &line);
                record.v = badgate::journal::VERSION;
                assert_eq!(back, [Entry::Record(record)], "what was read is written and read back");
            }
            Entry::Problem(problem) => {
                assert!(problem.offset <= bytes.len() as u64);
                let said = problem.to_string();
                assert!(!said.chars().any(is_hostile), "{said:?}");
            }
        }
    }
});
