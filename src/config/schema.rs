//! The JSON Schema of the config file, made from the types that read it, for
//! editors that complete and check TOML by a schema.

use super::{Config, Poll};
use crate::procedure::Lang;
use serde_json::{Value, json};

/// A JSON Schema (draft 2020-12) that a config file fulfils. `actions` are the
/// ids keys can be given to, and what they do.
pub fn schema(actions: &[(&str, &str)]) -> Value {
    let mut root = schemars::schema_for!(Config).to_value();
    root["title"] = json!("badgate's config file");
    let langs = Lang::ALL.map(Lang::tag);
    root["properties"]["lang"] = json!({
        "description": "Language of the procedure; without it LC_ALL, LC_MESSAGES, LANG.",
        "enum": langs,
    });
    // What no type can say: which keys there are, and how long an interval may be.
    let keys = &mut root["properties"]["keys"];
    let key = keys["additionalProperties"].take();
    let each = |what: &str| {
        let mut one = key.clone();
        if let Value::Object(members) = &mut one {
            members.insert("description".into(), what.into());
        }
        one
    };
    let properties: serde_json::Map<String, Value> =
        actions.iter().map(|(id, what)| ((*id).to_owned(), each(what))).collect();
    keys["properties"] = Value::Object(properties);
    keys["additionalProperties"] = Value::Bool(false);
    let poll = &mut root["$defs"]["Poll"]["properties"];
    for (name, least, most) in Poll::BOUNDS {
        let said = poll[name]["description"].as_str().unwrap_or_default();
        poll[name]["description"] = format!("{said} Between {least}s and {most}s.").trim().into();
        // Whole numbers with units, as `5s`, `1m 30s` or `PT1M30S`.
        poll[name]["pattern"] = json!(r"^[0-9PTpthms. ]+[a-zA-Z]*$");
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample;
    use crate::console::keys::TABLE;

    fn of_the_table() -> Value {
        let actions: Vec<(&str, &str)> = TABLE.iter().map(|b| (b.id, b.about)).collect();
        schema(&actions)
    }

    /// The sample with every setting in force.
    fn live_sample() -> Value {
        let actions: Vec<_> =
            TABLE.iter().map(|b| (b.id, b.keys.iter().map(|k| (*k).to_owned()).collect(), b.about)).collect();
        let text: String = sample(&actions)
            .lines()
            .map(|l| l.strip_prefix('#').filter(|r| !r.starts_with(' ')).unwrap_or(l).to_owned() + "\n")
            .collect();
        serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
    }

    #[test]
    fn accepts_the_sample_and_the_readme() {
        let validator = jsonschema::validator_for(&of_the_table()).unwrap();
        let sample = live_sample();
        let told: Vec<String> = validator.iter_errors(&sample).map(|e| e.to_string()).collect();
        assert!(told.is_empty(), "{told:#?}");
        let readme = include_str!("../../README.md");
        let block = readme.split("```toml\n").nth(1).and_then(|s| s.split("```").next()).unwrap();
        let value = serde_json::to_value(block.parse::<toml::Table>().unwrap()).unwrap();
        assert!(validator.is_valid(&value), "{block}");
    }

    /// What the program refuses, an editor marks too.
    #[test]
    fn refuses_what_the_program_refuses() {
        let validator = jsonschema::validator_for(&of_the_table()).unwrap();
        for text in [
            "thmee = 'dark'",
            "theme = 'darkish'",
            "lang = 'xx'",
            "log_groups = 'one'",
            "[poll]\nhealthy = '5s'",
            "[poll]\nhealth = 5",
            "[keys]\nquite = 'q'",
            "[keys]\nquit = 1",
            "[profile.prod]\ntint = 'orange'",
            "[[target]]\nlog_groups = []",
        ] {
            let value = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
            assert!(!validator.is_valid(&value), "{text}");
            let ids: Vec<&str> = TABLE.iter().map(|b| b.id).collect();
            assert!(Config::parse(text, "c.toml".into(), &ids).is_err(), "{text}");
        }
    }
}
