//! Any text as a config file.
#![no_main]

use badgate::config::Config;
use badgate::text::is_hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(text, "c.toml".into(), &["note", "mark", "quit"]) {
        Ok(config) => {
            // Key sequences are read later; they must be keys or one line too.
            if let Err(lines) = badgate::console::keys::Keymap::new(&config.remap()) {
                assert!(lines.iter().all(|l| !l.chars().any(is_hostile)), "{lines:?}");
            }
            let _ = config.log_groups_for(&["shop-alb"]);
        }
        Err(e) => {
            let line = e.to_string();
            assert!(line.starts_with("config c.toml"), "{line}");
            assert!(!line.chars().any(is_hostile), "{line:?}");
        }
    }
});
