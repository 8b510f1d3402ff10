use super::*;
use crate::procedure::phrases::PHRASES;
use std::collections::BTreeSet;

const FILES: [(&str, &str); 2] = [
    ("procedure.en.toml", include_str!("../../assets/procedure.en.toml")),
    ("procedure.ja.toml", include_str!("../../assets/procedure.ja.toml")),
];

fn load(lang: Lang) -> Procedure {
    Procedure::load(lang).unwrap_or_else(|e| panic!("{e}"))
}

fn wrong(text: &str) -> String {
    Procedure::parse(text, "p.toml").unwrap_err().to_string()
}

#[test]
fn every_language_has_every_step_check_command_and_phrase() {
    let (en, ja) = (load(Lang::En), load(Lang::Ja));
    assert_eq!((en.lang, ja.lang), (Lang::En, Lang::Ja));
    assert_eq!(en.steps.len(), 10);
    for (a, b) in en.steps.iter().zip(&ja.steps) {
        assert_eq!((a.id, &a.key), (b.id, &b.key));
        assert_eq!(a.key.as_str(), a.id.to_string());
        let ids = |s: &Step| s.checks.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(a), ids(b));
        for (c, k) in a.checks.iter().zip(&b.checks) {
            let commands =
                |c: &Check| c.manual.iter().map(|m| (m.on, m.run.clone(), m.changes)).collect::<Vec<_>>();
            assert_eq!(commands(c), commands(k), "the commands of {} are the same in every language", c.id);
        }
    }
}

/// Text in the Japanese file that is the same as in the English one was left
/// untranslated, but for what has no other form.
#[test]
fn nothing_was_left_in_english() {
    let japanese = |t: &str| {
        t.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c) || ('\u{4e00}'..='\u{9fff}').contains(&c))
    };
    let ja = load(Lang::Ja);
    for s in &ja.steps {
        assert!(japanese(&s.title) && japanese(&s.about), "{}", s.id);
        for c in &s.checks {
            assert!((japanese(&c.title) || c.title == "TLS") && japanese(&c.asks), "{}", c.id);
            for m in &c.manual {
                assert!(japanese(&m.what), "{}: {}", c.id, m.what);
            }
        }
    }
    let file: toml::Table = FILES[1].1.parse().unwrap();
    for (table, same) in [("phrases", &["leg_not_applicable", "health_other"][..]), ("topics", &[])] {
        for (id, text) in file[table].as_table().unwrap() {
            assert!(japanese(text.as_str().unwrap()) || same.contains(&id.as_str()), "{id}");
        }
    }
}

#[test]
fn every_phrase_in_the_files_is_one_the_checks_speak() {
    for (name, text) in FILES {
        let file: toml::Table = text.parse().unwrap();
        let have: BTreeSet<&str> = file["phrases"].as_table().unwrap().keys().map(String::as_str).collect();
        let said: BTreeSet<&str> = PHRASES.iter().map(|(id, _)| *id).collect();
        assert_eq!(have, said, "{name}");
    }
}

#[test]
fn a_file_that_is_wrong_says_file_place_and_reason() {
    let good = FILES[0].1;
    assert!(Procedure::parse(good, "p.toml").is_ok());
    assert!(wrong("lang = ").starts_with("p.toml:1:"));
    assert!(wrong(&good.replacen("about", "abuot", 1)).contains("unknown field `abuot`"));
    assert_eq!(
        wrong(&good.replacen("{what}: not known, {reason}", "{what}: not known", 1))
            .split_once(": ")
            .unwrap()
            .1,
        "the phrase 'unknown' lacks {reason}"
    );
    assert!(wrong(&good.replacen("{what}: not known", "{waht} {what}: not known", 1)).contains("{waht}"));
    assert!(wrong(&good.replacen("{what}: not known", "{what: not known", 1)).contains("do not close"));
    assert!(wrong(&good.replacen("unknown = ", "unknwon = ", 1)).contains("the phrase 'unknown' is missing"));
    assert!(
        wrong(&good.replacen("[phrases]", "[phrases]\nmore = \"x\"", 1))
            .contains("the phrase 'more' is not used")
    );
    assert!(
        wrong(&good.replacen("id = \"network.paths\"", "id = \"network.path\"", 1)).contains("network.path,")
    );
    assert!(wrong(&good.replacen("id = 3", "id = 4", 1)).contains("0 to 9 in order"));
    assert!(wrong(&good.replacen("tail = \"log tail\"", "", 1)).contains("the topic 'tail' is missing"));
    let line = wrong(&good.replacen("{what}: not known, {reason}", "{what}", 1));
    let at: usize = line.split(':').nth(1).unwrap().parse().unwrap();
    assert!(good.lines().nth(at - 1).unwrap().starts_with("unknown ="), "{line}");
}

/// A damaged file is told, never believed in part.
#[test]
fn a_file_without_one_of_its_lines_is_refused_or_means_the_same() {
    let lines: Vec<&str> = FILES[0].1.lines().collect();
    for skip in (0..lines.len()).step_by(11) {
        let rest: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, l)| *l).collect();
        let gone = lines[skip];
        match Procedure::parse(&rest.join("\n"), "p.toml") {
            Err(e) => assert!(e.to_string().starts_with("p.toml"), "{e}"),
            // A comment, a blank, or a mark that may be left out.
            Ok(_) => assert!(
                gone.is_empty() || ["#", "only = ", "changes = "].iter().any(|p| gone.starts_with(p)),
                "{gone}"
            ),
        }
    }
}

/// A value is quoted for the shell as a whole word. Within quotes that would
/// go wrong, so only numbers may stand there.
#[test]
fn no_value_stands_within_quotes_in_a_command() {
    for s in &load(Lang::En).steps {
        for m in s.checks.iter().flat_map(|c| &c.manual) {
            let (mut single, mut double) = (false, false);
            let mut rest = m.run.as_str();
            while let Some(c) = rest.chars().next() {
                match c {
                    '\'' if !double => single = !single,
                    '"' if !single => double = !double,
                    '{' if single || double => {
                        let name = rest[1..].split('}').next().unwrap_or("");
                        let literal = m.run.contains(&format!("%{{{name}}}"));
                        let slot = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                        assert!(
                            !slot || literal || name == "port",
                            "{{{name}}} is within quotes in: {}",
                            m.run
                        );
                    }
                    _ => {}
                }
                rest = &rest[c.len_utf8()..];
            }
            assert!(!single && !double, "quotes do not close in: {}", m.run);
        }
    }
}

/// Commands are there to look, but for those that say otherwise.
#[test]
fn commands_that_change_something_say_so() {
    let mutating = [
        "update-",
        "put-",
        "deregister-",
        "register-",
        "set-",
        "modify-",
        "delete-",
        "create-",
        "terminate-",
        "reboot-",
        "stop-",
        "start-",
    ];
    for s in &load(Lang::En).steps {
        for m in s.checks.iter().flat_map(|c| &c.manual) {
            let changes = m.run.split_whitespace().any(|w| mutating.iter().any(|v| w.starts_with(v)));
            assert_eq!(changes, m.changes, "{}", m.run);
        }
    }
}

/// Every command is one that a shell can read.
#[test]
fn a_shell_can_parse_every_command() {
    for s in &load(Lang::En).steps {
        for m in s.checks.iter().flat_map(|c| &c.manual) {
            let filled = shell::Values::default().fill(&m.run);
            let shell = if filled.contains("/dev/tcp") { "bash" } else { "sh" };
            let out = std::process::Command::new(shell).args(["-n", "-c", &filled]).output().unwrap();
            assert!(out.status.success(), "{filled}: {}", String::from_utf8_lossy(&out.stderr));
        }
    }
}

#[test]
fn every_step_knows_what_to_ask_first() {
    let p = load(Lang::En);
    for step in 0..=9 {
        assert!(!p.wants(step).is_empty(), "{step}");
    }
    assert!(p.wants(10).is_empty());
    assert!(
        p.run(10, &Situation::new(), &Context::bare(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH)).is_none()
    );
}

use jiff::Timestamp;

#[test]
fn with_nothing_known_no_check_says_that_something_is_fine() {
    for lang in Lang::ALL {
        let p = load(lang);
        let s = Situation::new();
        let cx =
            Context::bare("2026-11-22T01:53:51Z".parse().unwrap(), "2026-11-22T01:23:51Z".parse().unwrap());
        for step in 0..=9 {
            let r = p.run(step, &s, &cx).unwrap();
            for c in &r.checks {
                for f in &c.findings {
                    assert!(!matches!(f.level, Level::Ok | Level::Info), "{}: {}", c.id, f.text);
                    assert!(!f.text.contains(['{', '}']), "{}", f.text);
                    assert_ne!(
                        (f.level, c.id.starts_with("record")),
                        (Level::Found, false),
                        "{}: {}",
                        c.id,
                        f.text
                    );
                }
                assert!(
                    !c.unknown.is_empty() || !c.manual.is_empty() || c.of(Level::Found).count() > 0,
                    "{} says nothing at all",
                    c.id
                );
            }
            let states = [StepState::NothingKnown, StepState::Found(1)];
            assert!(states.contains(&r.state), "step {step}: {:?}", r.state);
        }
    }
}
