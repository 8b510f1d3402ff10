use super::*;

const ACTIONS: &[&str] = &["note", "mark", "quit", "refresh"];

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, SafeText::from("c.toml"), ACTIONS).map_err(|e| e.to_string())
}

#[test]
fn reads_every_key() {
    let c = parse(
        r##"
lang = "ja"
theme = "high-contrast"
color = "256"
ascii = true
sync = "off"
incident_dir = "/srv/inc"
redact = "all"
log_groups = ["/app/shop"]

[[target]]
name = "shop-*"
log_groups = ["/ecs/shop", "/app/shop"]

[poll]
health = "10s"
metrics = "1m"

[keys]
note = "N"
quit = ["q", "x"]

[profile.prod]
tint = "red"
label = "PROD"
"##,
    )
    .unwrap();
    assert_eq!(c.lang, Some(Lang::Ja));
    assert_eq!((c.theme, c.color, c.ascii, c.sync), (Theme::HighContrast, Color::Ansi256, true, Sync::Off));
    assert_eq!(c.incident_dir.as_deref(), Some(Path::new("/srv/inc")));
    assert_eq!(c.redact, Redact::All);
    assert_eq!(c.poll.health, Duration::from_secs(10));
    assert_eq!(c.poll.metrics, Duration::from_secs(60));
    assert_eq!(c.poll.config, Poll::default().config, "what is not named keeps its default");
    assert_eq!(c.remap()["note"], ["N"]);
    assert_eq!(c.keys["quit"].list(), ["q", "x"]);
    assert_eq!(c.profile["prod"], ProfileStyle { tint: Some(Tint::Red), label: "PROD".into() });
    assert_eq!(c.log_groups_for(&["shop-alb"]), ["/ecs/shop", "/app/shop"]);
    assert_eq!(c.log_groups_for(&["pay"]), ["/app/shop"]);
}

#[test]
fn every_mistake_is_one_line_with_its_place_and_a_hint() {
    let table = [
        ("log_group = []", "config c.toml:1:1: unknown key 'log_group'; did you mean 'log_groups'?"),
        ("\n\n  thmee = 1", "config c.toml:3:3: unknown key 'thmee'; did you mean 'theme'?"),
        (
            "zzz = 1",
            "config c.toml:1:1: unknown key 'zzz'; known: lang, theme, color, ascii, sync, incident_dir, redact, \
             log_groups, target, poll, keys, profile",
        ),
        ("theme = \"drak\"", "config c.toml:1:9: unknown value 'drak'; did you mean 'dark'?"),
        ("[poll]\nhelth = \"5s\"", "config c.toml:2:1: unknown key 'helth'; did you mean 'health'?"),
        ("[poll]\nhealth = \"1s\"", "config c.toml:2:10: poll.health must be between 2s and 60s, not '1s'"),
        ("[poll]\nlogs = \"1h\"", "config c.toml:2:8: poll.logs must be between 1s and 60s, not '1h'"),
        ("[poll]\nlogs = \"soon\"", "config c.toml:2:8: 'soon' is no duration; write it like 5s or 1m30s"),
        ("[poll]\nlogs = \"-5s\"", "config c.toml:2:8: poll.logs must be between 1s and 60s, not '-5s'"),
        ("[keys]\nnoet = \"N\"", "config c.toml:2:1: unknown key binding 'noet'; did you mean 'note'?"),
        ("[keys]\nnote = []", "config c.toml:2:1: 'note' has no key; leave the line out to keep its default"),
        (
            "log_groups = [\"a b\"]",
            "config c.toml:1:16: 'a b' is no log group name: letters, digits and _ - / . # only, at most 512",
        ),
        ("[profile.prod]\ntnit = \"red\"", "config c.toml:2:1: unknown key 'tnit'; did you mean 'tint'?"),
    ];
    for (text, want) in table {
        assert_eq!(parse(text).unwrap_err(), want, "{text}");
    }
    for broken in ["ascii = 1", "= 3", "[[target]]", "ascii = true\nascii = false", "log_groups = \"x\""] {
        let line = parse(broken).unwrap_err();
        assert!(line.starts_with("config c.toml:") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn hostile_text_in_a_message_is_shown_in_visible_form() {
    let line = parse("\"x\\u001b[2Jy\" = 1").unwrap_err();
    assert!(line.contains("^[[2J") && !line.contains('\u{1b}'), "{line:?}");
}

#[test]
fn patterns_fit_as_people_expect() {
    for (pattern, name, want) in [
        ("shop", "shop", true),
        ("shop", "shop-2", false),
        ("shop*", "shop-2", true),
        ("*", "", true),
        ("*.example.com", "www.example.com", true),
        ("*.example.com", "example.com", false),
        ("a*b*c", "a-x-b-y-c", true),
        ("a*b*c", "a-c-b", false),
        ("aba*ba", "aba", false),
        ("SHOP", "shop", true),
        ("", "x", false),
    ] {
        assert_eq!(fits(pattern, name), want, "{pattern} {name}");
    }
}

#[test]
fn the_sample_names_every_key_and_its_defaults_are_the_defaults() {
    let actions = [
        ("note", vec!["a".to_owned()], "write a note"),
        ("mark", vec!["m".to_owned(), "\\".to_owned()], "mark the row"),
    ];
    let text = sample(&actions);
    assert_eq!(parse(&text).unwrap(), Config::default(), "a sample that is not edited changes nothing");

    let live: String = text
        .lines()
        .map(|l| {
            l.strip_prefix('#').filter(|r| !r.starts_with(' ')).unwrap_or(if l.starts_with('#') {
                ""
            } else {
                l
            })
        })
        .fold(String::new(), |s, l| s + l + "\n");
    let c = parse(&live).unwrap_or_else(|e| panic!("{e}\n{live}"));
    let d = Config::default();
    assert_eq!(
        (c.theme, c.color, c.ascii, c.sync, c.redact, c.poll),
        (d.theme, d.color, d.ascii, d.sync, d.redact, d.poll)
    );
    assert_eq!(c.keys["mark"].list(), ["m", "\\"]);

    // Every field of the struct is in the sample: the struct with all options
    // set, written as TOML, has no top-level key that the sample lacks.
    let full =
        toml::Table::try_from(Config { lang: Some(Lang::En), incident_dir: Some("/x".into()), ..d }).unwrap();
    let shown: toml::Table = live.parse().unwrap();
    for key in full.keys() {
        assert!(shown.contains_key(key), "{key} is not in the sample");
    }
    for key in full["poll"].as_table().unwrap().keys() {
        assert!(shown["poll"].as_table().unwrap().contains_key(key), "poll.{key} is not in the sample");
    }
}

#[test]
fn a_missing_file_is_fine_unless_it_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.toml");
    assert_eq!(Config::load(None, Some(&missing), ACTIONS).unwrap(), Config::default());
    assert_eq!(Config::load(None, None, ACTIONS).unwrap(), Config::default());
    let line = Config::load(Some(&missing), None, ACTIONS).unwrap_err().to_string();
    assert!(line.ends_with("none.toml: cannot be read: there is no such file"), "{line}");
    let line = Config::load(None, Some(dir.path()), ACTIONS).unwrap_err().to_string();
    assert!(line.contains("cannot be read") && !line.contains('\n'), "{line}");

    let latin1 = dir.path().join("latin1.toml");
    std::fs::write(&latin1, b"# caf\xe9").unwrap();
    let line = Config::load(Some(&latin1), None, ACTIONS).unwrap_err().to_string();
    assert!(line.ends_with("is not UTF-8 at byte 5"), "{line}");
}

#[test]
fn the_path_follows_xdg() {
    let path = |vars: &[(&str, &str)]| {
        Config::default_path(|n| vars.iter().find(|v| v.0 == n).map(|v| v.1.into()))
            .map(|p| p.display().to_string())
    };
    assert_eq!(path(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]).unwrap(), "/x/badgate/config.toml");
    assert_eq!(
        path(&[("XDG_CONFIG_HOME", "rel"), ("HOME", "/h")]).unwrap(),
        "/h/.config/badgate/config.toml"
    );
    assert_eq!(path(&[("XDG_CONFIG_HOME", "")]), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Whatever the file holds: a config, or one printable line with its place.
    #[test]
    fn any_text_is_a_config_or_one_line(
        head in "(theme|poll|keys|target|profile|log_groups|x|\\[keys\\]|\\[\\[target\\]\\]|\\[poll\\])?",
        text in "\\PC{0,40}[\\n\\t =\"'\\[\\]{}.,#]{0,6}.{0,40}",
    ) {
        if let Err(line) = parse(&format!("{head}{text}")) {
            proptest::prop_assert!(line.starts_with("config c.toml"), "{}", line);
            proptest::prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
    }
}

/// What README shows is what people copy.
#[test]
fn the_settings_in_the_readme_are_accepted() {
    let readme = include_str!("../../README.md");
    let block = readme.split("```toml\n").nth(1).and_then(|s| s.split("```").next()).unwrap();
    let ids: Vec<&str> = crate::console::keys::TABLE.iter().map(|b| b.id).collect();
    let config = Config::parse(block, "README.md".into(), &ids).unwrap_or_else(|e| panic!("{e}"));
    assert!(!config.keys.is_empty() && !config.log_groups.is_empty(), "{config:?}");
    crate::console::keys::Keymap::new(&config.remap()).unwrap();
}
