//! Any bytes into the sanitiser, as a line, as text and under a cap.
#![no_main]

use badgate::text::{SafeText, is_hostile, sanitise, sanitise_multiline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let line = SafeText::from_bytes(bytes);
    assert!(!line.chars().any(is_hostile), "{line:?}");
    assert_eq!(sanitise(&line), line.as_str(), "twice is once");

    if let Ok(text) = std::str::from_utf8(bytes) {
        let many = sanitise_multiline(text);
        assert!(!many.chars().any(|c| c != '\n' && is_hostile(c)), "{many:?}");
        assert_eq!(sanitise_multiline(&many), many, "twice is once");
        if bytes.iter().all(|b| (b' '..=b'~').contains(b)) {
            assert_eq!(line.as_str(), text, "what is plain is left alone");
        }
    }

    let most = bytes.first().map_or(0, |b| usize::from(*b));
    let capped = SafeText::capped_head(bytes, 0, most);
    assert!(!capped.chars().any(is_hostile), "{capped:?}");
    // What was left out is counted behind the cap: `... +N B`.
    assert!(capped.len() <= most + 32, "{} of {most}: {capped:?}", capped.len());

    if let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(bytes) {
        badgate::text::sanitise_json(&mut value);
        walk(&value);
    }
});

fn walk(value: &serde_json::Value) {
    match value {
        serde_json::Value::String(s) => assert!(!s.chars().any(|c| c != '\n' && is_hostile(c)), "{s:?}"),
        serde_json::Value::Array(all) => all.iter().for_each(walk),
        serde_json::Value::Object(all) => {
            for (name, v) in all {
                assert!(!name.chars().any(is_hostile), "{name:?}");
                walk(v);
            }
        }
        _ => {}
    }
}
