//! Timers that people measured or looked up, read from their notes.

use super::context::Note;
use crate::diagnosis::timeouts::{Hop, Measured, settings};

/// Names a person can give a timer, with the hop it belongs to.
const KNOWN: [(&str, Hop); 8] = [
    (settings::CLIENT_TIMEOUT, Hop::Client),
    (settings::SERVER_KEEPALIVE, Hop::Target),
    (settings::SERVER_REQUEST, Hop::Target),
    (settings::SERVER_HEADERS, Hop::Target),
    (settings::STOP_GRACE, Hop::Platform),
    (settings::START_UP, Hop::Target),
    (settings::DEPENDENCY, Hop::Dependency),
    (settings::FUNCTION, Hop::Target),
];

/// Timers in the notes, oldest first: lines such as `server.keepalive = 5s`,
/// or `web server.keepalive = 75s` for one target group, anywhere in a note.
/// In the output of step 4's commands also nginx's `keepalive_timeout 75s;`.
pub fn measured(notes: &[Note]) -> Vec<Measured> {
    let mut out = Vec::new();
    for n in notes {
        let looked_up = n.output_of("settings.timeouts").is_some();
        for line in n.text.lines() {
            let found = assignment(line).or_else(|| if looked_up { nginx(line) } else { None });
            if let Some((component, setting, hop, seconds)) = found {
                out.push(Measured {
                    hop,
                    component: component.into(),
                    setting: setting.into(),
                    seconds,
                    at: n.at,
                    source: n.by.clone(),
                });
            }
        }
    }
    out
}

/// `[GROUP ]SETTING = DURATION`, with `=` or `:` or blanks between.
fn assignment(line: &str) -> Option<(&str, &'static str, Hop, f64)> {
    let line = line.trim();
    KNOWN.iter().find_map(|(name, hop)| {
        let at = line.find(name)?;
        let component = line[..at].trim();
        // A sentence that mentions the name is no measurement.
        if component.contains(char::is_whitespace) {
            return None;
        }
        let value = line[at + name.len()..].trim_start_matches([' ', '=', ':']);
        Some((component, *name, *hop, seconds(value.trim())?))
    })
}

/// `keepalive_timeout 75s;` where nginx is the server. A second value is a header only.
fn nginx(line: &str) -> Option<(&str, &'static str, Hop, f64)> {
    let value = line.trim().strip_prefix("keepalive_timeout")?;
    let first = value.trim().trim_end_matches(';').split_whitespace().next()?;
    Some(("", settings::SERVER_KEEPALIVE, Hop::Target, seconds(first)?))
}

/// `5`, `5s`, `1.5 s`, `500ms`, `2m`: seconds.
fn seconds(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "s" | "sec" | "seconds" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let value = number * factor;
    (value.is_finite() && value <= 604_800.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, f64)> {
        let at = "2026-11-22T01:53:12Z".parse().unwrap();
        let notes = [Note { at, by: "yui@bastion".into(), text: crate::text::SafeText::multiline(text) }];
        measured(&notes)
            .into_iter()
            .map(|m| (m.component.to_string(), m.setting.to_string(), m.seconds))
            .collect()
    }

    #[test]
    fn reads_what_people_write() {
        let k = |s| vec![(String::new(), "server.keepalive".to_owned(), s)];
        assert_eq!(read("server.keepalive = 5s"), k(5.0));
        assert_eq!(read("server.keepalive=500ms"), k(0.5));
        assert_eq!(read("tried it:\nserver.keepalive: 2m\nfine"), k(120.0));
        assert_eq!(read("web server.keepalive = 75")[0].0, "web");
        assert_eq!(read("[settings.timeouts]\n    keepalive_timeout 65s 60s;\nsend_timeout 10s;"), k(65.0));
        assert_eq!(read("server.keepalive = 5s\nserver.keepalive = 6s").len(), 2);
    }

    #[test]
    fn prose_is_no_measurement() {
        for text in [
            "raised the server.keepalive = 75s yesterday",
            "server.keepalive is too short",
            "server.keepalive = soon",
            "server.keepalive = 5 apples",
            "keepalive_timeout 65s;",
            "server.keepalive = 99999999999999",
            "",
        ] {
            assert_eq!(read(text), [], "{text}");
        }
    }
}
