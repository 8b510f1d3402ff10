//! The sample config file, made from the defaults in the code so that it
//! cannot disagree with them.

use super::{Color, Config, Poll, Redact, Sync, Theme};
use crate::procedure::Lang;
use std::fmt::Write;

/// A commented config file that names every key with its default. `actions`
/// are the ids keys can be given to, with their default keys and what they do.
pub fn sample(actions: &[(&str, Vec<String>, &str)]) -> String {
    let d = Config::default();
    let words = |ws: &[&str]| ws.join(", ");
    let mut s = String::new();
    let mut put = |doc: &str, line: &str| {
        for l in doc.lines() {
            let _ = writeln!(s, "# {l}");
        }
        let _ = writeln!(s, "{line}\n");
    };
    put(
        "badgate's config file: $XDG_CONFIG_HOME/badgate/config.toml (~/.config/badgate/config.toml).\nEvery line shows the default; take the leading # away to change it.",
        "",
    );
    put(
        &format!(
            "Language of the procedure: {}. Without it: LC_ALL, LC_MESSAGES, LANG.",
            words(&Lang::ALL.map(Lang::tag))
        ),
        "#lang = \"en\"",
    );
    put(
        &format!("Palette: {}.", words(&Theme::ALL.iter().map(|w| w.word()).collect::<Vec<_>>())),
        &format!("#theme = \"{}\"", d.theme.word()),
    );
    put(
        &format!("Colours: {}.", words(&Color::ALL.iter().map(|w| w.word()).collect::<Vec<_>>())),
        &format!("#color = \"{}\"", d.color.word()),
    );
    put("Only ASCII glyphs.", &format!("#ascii = {}", d.ascii));
    put(
        &format!(
            "Synchronized output: {}. Switch it off if the screen stays blank or tears.",
            words(&Sync::ALL.iter().map(|w| w.word()).collect::<Vec<_>>())
        ),
        &format!("#sync = \"{}\"", d.sync.word()),
    );
    put(
        "Folder of incident files. Without it: $XDG_STATE_HOME/badgate (~/.local/state/badgate).",
        "#incident_dir = \"/var/lib/incidents\"",
    );
    put(
        &format!(
            "What exports take out: {}.",
            words(&Redact::ALL.iter().map(|w| w.word()).collect::<Vec<_>>())
        ),
        &format!("#redact = \"{}\"", d.redact.word()),
    );
    put("Log groups to follow for every target.", "#log_groups = [\"/app/shop\"]");
    put(
        "Settings for targets by name; * stands for any characters. May be repeated.",
        "#[[target]]\n#name = \"shop-*\"\n#log_groups = [\"/ecs/shop\", \"/ecs/shop-nginx\"]",
    );
    let mut poll = String::from("#[poll]");
    let bounds: Vec<String> =
        Poll::BOUNDS.iter().map(|(n, least, most)| format!("{n} {least}s to {most}s")).collect();
    for (name, every) in [
        ("health", d.poll.health),
        ("metrics", d.poll.metrics),
        ("config", d.poll.config),
        ("logs", d.poll.logs),
    ] {
        let _ = write!(poll, "\n#{name} = \"{}s\"", every.as_secs());
    }
    put(&format!("How often is asked ({}).", bounds.join(", ")), &poll);
    put(
        "Header under a profile, so that nobody takes one for another.\ntint: none, red, yellow, blue, purple; red when not set and the name says production.",
        "#[profile.prod]\n#tint = \"red\"\n#label = \"PROD\"",
    );
    let mut keys = String::from("#[keys]");
    for (id, defaults, what) in actions {
        let list: Vec<String> = defaults.iter().map(|k| toml::Value::from(k.as_str()).to_string()).collect();
        let _ = write!(keys, "\n# {what}\n#{id} = [{}]", list.join(", "));
    }
    put("Keys: each line replaces the default keys of what it names.", &keys);
    let trimmed = s.trim_end().len();
    s.truncate(trimmed);
    s.push('\n');
    s
}
