use super::*;
use crate::text::SafeText;

fn run(line: &[&str]) -> Result<Invocation, Stop> {
    parse(std::iter::once("badgate").chain(line.iter().copied()).map(OsString::from))
}

fn usage(line: &[&str]) -> String {
    match run(line).unwrap_err() {
        Stop::Usage(s) => s.to_string(),
        Stop::Show(s) => panic!("{line:?} shows {s}"),
    }
}

fn open(line: &[&str]) -> Open {
    match run(&[&["open"], line].concat()).unwrap() {
        Invocation::Open(o) => *o,
        other => panic!("{other:?}"),
    }
}

#[test]
fn open_with_nothing_is_the_picker_with_defaults() {
    let o = open(&[]);
    assert_eq!(o.target, None);
    assert_eq!(o.observe.since, Duration::from_secs(1800));
    assert_eq!(o.observe.timeout, Duration::from_secs(30));
    assert!(!o.observe.allow_changes && !o.observe.no_probe);
    assert_eq!(o.screen, Screen::default());
}

#[test]
fn open_takes_every_option() {
    let o = open(&[
        "shop-alb",
        "--incident",
        "shop.incident.jsonl",
        "--profile",
        "prod",
        "--region",
        "ap-northeast-1",
        "--log-group",
        "/app/shop",
        "--log-group=/ecs/shop",
        "--log-file",
        "a.log",
        "--since",
        "2h 30m",
        "--resolve",
        "Shop.example.com:443:203.0.113.9,[2001:db8::1]",
        "--no-probe",
        "--timeout",
        "5s",
        "--allow-changes",
        "--lang",
        "ja_JP.UTF-8",
        "--config",
        "c.toml",
        "--color",
        "256",
        "--theme",
        "high-contrast",
        "--sync",
        "off",
        "--ascii",
    ]);
    assert_eq!(o.target, Some(Target::Name("shop-alb".into())));
    assert_eq!(o.observe.log_groups, ["/app/shop", "/ecs/shop"]);
    assert_eq!(o.observe.since, Duration::from_secs(9000));
    assert_eq!(o.observe.timeout, Duration::from_secs(5));
    assert_eq!(o.observe.lang, Some(Lang::Ja));
    assert_eq!(o.observe.resolve[0].to_string(), "shop.example.com:443:203.0.113.9,2001:db8::1");
    assert_eq!(
        o.screen,
        Screen {
            color: Some(Color::Ansi256),
            theme: Some(Theme::HighContrast),
            sync: Some(Sync::Off),
            ascii: true
        }
    );

    let config = Config::parse(
        "log_groups=['/all']\n[[target]]\nname='shop*'\nlog_groups=['/one']",
        SafeText::from("c"),
        &[],
    )
    .unwrap();
    let told = o.observe.options(o.target.as_ref(), &config, true);
    assert_eq!(told.config_log_groups, ["/one", "/all"]);
    assert_eq!(told.region.as_deref(), Some("ap-northeast-1"));
    assert_eq!(told.places.len(), 1);
    assert_eq!(told.since.unwrap().get_seconds(), 9000);
    assert!(told.live && told.allow_changes);
}

#[test]
fn every_profile_is_searched_in_every_region_once() {
    let places = |line: &[&str]| match run(&[&["check", "shop"], line].concat()).unwrap() {
        Invocation::Check(c) => c.observe.places,
        other => panic!("{other:?}"),
    };
    let names = |line: &[&str]| {
        let all = places(line).into_iter();
        all.map(|p| format!("{}/{}", p.profile.unwrap_or_default(), p.region.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["/"]);
    let both = ["--profile", "prod", "--region", "eu-west-1", "--profile", "dev", "--region", "us-east-1"];
    assert_eq!(names(&both), ["prod/eu-west-1", "prod/us-east-1", "dev/eu-west-1", "dev/us-east-1"]);
    assert_eq!(names(&["--profile", "a", "--profile", "b", "--profile", "a"]), ["a/", "b/"]);
    let far = ["--region", "eu-west-1", "--region", "us-east-1", "--region", "eu-west-1"];
    assert_eq!(names(&far), ["/eu-west-1", "/us-east-1"]);
    match run(&["path", "i-1", "i-2:443", "--profile", "a", "--profile", "b"]).unwrap() {
        Invocation::Path(p) => assert_eq!(p.places.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_note_is_words_or_standard_input() {
    let note = |line: &[&str]| match run(&[&["note", "f.jsonl"], line].concat()).unwrap() {
        Invocation::Note(n) => n.words(),
        other => panic!("{other:?}"),
    };
    assert_eq!(note(&["rolled", "back"]).as_deref(), Some("rolled back"));
    assert_eq!(note(&["-"]), None);
    assert_eq!(note(&["-5", "targets"]).as_deref(), Some("-5 targets"));
    assert_eq!(note(&["tried", "--force"]).as_deref(), Some("tried --force"));
}

#[test]
fn export_takes_a_list_of_formats() {
    let export = |line: &[&str]| match run(&[&["export", "f.jsonl"], line].concat()).unwrap() {
        Invocation::Export(e) => e,
        other => panic!("{other:?}"),
    };
    assert_eq!(export(&[]).format, [Format::Md]);
    assert_eq!(export(&[]).redact, None);
    let e = export(&["--format", "md,json,md,csv", "--redact=all", "-o", "-"]);
    assert_eq!(e.format, [Format::Md, Format::Json, Format::Csv]);
    assert_eq!(e.redact, Some(Redact::All));
}

#[test]
fn a_mistake_is_one_line_that_says_what_to_do() {
    let table: &[(&[&str], &str)] = &[
        (
            &[],
            "badgate: no command; 'badgate open TARGET' opens the console, 'badgate --help' lists the others",
        ),
        (&["opne"], "badgate: there is no command 'opne'; did you mean 'open'?"),
        (
            &["wibble"],
            "badgate: there is no command 'wibble'; 'badgate open TARGET' opens the console, see 'badgate --help'",
        ),
        (&["open", "--regon", "x"], "badgate: unexpected option '--regon'; did you mean '--region'?"),
        (&["open", "a", "b"], "badgate: unexpected argument 'b'; see 'badgate open --help'"),
        (&["check"], "badgate: TARGET is missing; see 'badgate check --help'"),
        (&["check", "--json"], "badgate: TARGET is missing; see 'badgate check --help'"),
        (
            &["open", "--since", "30"],
            "badgate: --since '30' is no duration; write it like 30s, 15m or 2h30m; did you mean '30m'?",
        ),
        (
            &["open", "--since", "soon"],
            "badgate: --since 'soon' is no duration; write it like 30s, 15m or 2h30m",
        ),
        (
            &["open", "--since", "1month"],
            "badgate: --since '1month' is no duration; write it like 30s, 15m or 2h30m",
        ),
        (&["open", "--since=-5m"], "badgate: --since '-5m' must be between 1m and 15d"),
        (&["open", "--since", "30d"], "badgate: --since '30d' must be between 1m and 15d"),
        (&["open", "--timeout", "0s"], "badgate: --timeout '0s' must be between 1s and 5m"),
        (&["open", "--timeout"], "badgate: --timeout needs a value; see 'badgate open --help'"),
        (&["open", "--theme", "drak"], "badgate: --theme: unknown value 'drak'; did you mean 'dark'?"),
        (
            &["open", "--color", "many"],
            "badgate: --color: unknown value 'many'; known: auto, truecolor, 256, 16, never",
        ),
        (
            &["open", "--lang", "de"],
            "badgate: --lang 'de' is a language the procedure is not written in; known: en, ja",
        ),
        (
            &["open", "--region", "Tokyo"],
            "badgate: --region 'Tokyo' is no region; regions look like ap-northeast-1",
        ),
        (
            &["logs", "s3://b/p", "--region", "eu-west-1", "--region", "us-east-1"],
            "badgate: --region was given as 'eu-west-1' and 'us-east-1'; this version observes one at a time: run one \
             badgate for each",
        ),
        (
            &[
                "check",
                "x",
                "--profile",
                "a",
                "--profile",
                "b",
                "--profile",
                "c",
                "--profile",
                "d",
                "--profile",
                "e",
                "--profile",
                "f",
                "--region",
                "eu-west-1",
                "--region",
                "us-east-1",
                "--region",
                "us-west-2",
            ],
            "badgate: --profile and --region name 18 places to search (6 x 3); at most 16 are searched at once: name fewer",
        ),
        (
            &["open", "--resolve", "shop:443"],
            "badgate: --resolve 'shop:443' is not HOST:PORT:ADDR, as in shop.example.com:443:203.0.113.9",
        ),
        (
            &["open", "--resolve", "s:0:::1"],
            "badgate: --resolve 's:0:::1' has the port '0'; ports are 1 to 65535",
        ),
        (
            &["open", "--resolve", "s:80:x"],
            "badgate: --resolve 's:80:x' has the address 'x', which is neither IPv4 nor IPv6",
        ),
        (
            &["open", "--log-group", "a b"],
            "badgate: --log-group 'a b' is no log group name: letters, digits and _ - / . # only, at most 512",
        ),
        (&["open", "ftp://x"], "badgate: TARGET 'ftp://x' has the scheme 'ftp'; http and https are known"),
        (&["note", "f"], "badgate: TEXT is missing; see 'badgate note --help'"),
        (
            &["export", "f", "--format", "pdf"],
            "badgate: --format: unknown value 'pdf'; known: md, html, json, csv",
        ),
        (&["export", "f", "--redact", "al"], "badgate: --redact: unknown value 'al'; did you mean 'all'?"),
        (&["open", "--incident", "a", "--incident", "b"], "badgate: --incident may be given only once"),
    ];
    for (line, want) in table {
        assert_eq!(usage(line), *want, "{line:?}");
    }
}

#[test]
fn hostile_arguments_reach_the_terminal_in_visible_form() {
    for line in [
        &["\u{1b}]0;x\u{7}"][..],
        &["open", "--\u{1b}[2J"],
        &["open", "a\nb"],
        &["open", "--since", "\u{9b}31m"],
    ] {
        let said = usage(line);
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf8_is_one_line() {
    use std::os::unix::ffi::OsStringExt;
    let args = ["badgate".into(), "open".into(), OsString::from_vec(b"caf\xe9".to_vec())];
    let Stop::Usage(line) = parse(args).unwrap_err() else { panic!() };
    assert_eq!(line, "badgate: an argument is not UTF-8; see 'badgate open --help'");
}

#[test]
fn help_and_version_are_shown_with_exit_0() {
    for line in [&["--help"][..], &["--version"], &["check", "--help"]] {
        let stop = run(line).unwrap_err();
        assert_eq!(stop.exit_code(), 0);
        assert!(matches!(stop, Stop::Show(_)));
    }
    let Stop::Show(text) = run(&["check", "--help"]).unwrap_err() else { panic!() };
    for code in ["0  nothing", "1  a cause", "2  the command", "3  too little"] {
        assert!(text.contains(code), "{text}");
    }
    let Stop::Show(text) = run(&["--version"]).unwrap_err() else { panic!() };
    assert_eq!(text.trim(), format!("badgate {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_shell_and_the_man_page_know_every_command() {
    use clap::ValueEnum;
    let names: Vec<String> = Cli::command().get_subcommands().map(|s| s.get_name().to_owned()).collect();
    for shell in clap_complete::Shell::value_variants() {
        let script = String::from_utf8(completions(*shell)).unwrap();
        for n in &names {
            assert!(script.contains(n.as_str()), "{shell} lacks {n}");
        }
    }
    let page = String::from_utf8(man().unwrap()).unwrap();
    for n in &names {
        assert!(page.contains(&format!("COMMAND {}", n.to_uppercase())), "{n}");
    }
    assert!(page.contains("EXIT STATUS") && page.contains("too little could be observed"));
}

/// Every command line that README shows is one.
#[test]
fn the_commands_in_the_readme_are_accepted() {
    let readme = include_str!("../../README.md");
    let mut seen = 0;
    for block in readme.split("```sh\n").skip(1).filter_map(|s| s.split("```").next()) {
        for line in block.lines().filter(|l| l.starts_with("badgate ")) {
            let line = line.split(" #").next().and_then(|l| l.split(" | ").next()).unwrap();
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert!(parse(words).is_ok(), "README shows `{line}`");
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} command lines found");
}

/// What shells and `man` are given: a change of the command line shows here.
#[test]
fn completions_and_man_page_as_they_are() {
    for shell in [
        clap_complete::Shell::Bash,
        clap_complete::Shell::Zsh,
        clap_complete::Shell::Fish,
        clap_complete::Shell::Elvish,
        clap_complete::Shell::PowerShell,
    ] {
        let text = String::from_utf8(completions(shell)).unwrap();
        for word in ["open", "check", "drill", "log-group"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        insta::assert_snapshot!(format!("completions_{shell}"), text);
    }
    let page = String::from_utf8(man().unwrap()).unwrap();
    // The version is of the build, not of the page.
    insta::assert_snapshot!("man_page", page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

/// Bash itself reads what is meant for it.
#[test]
fn bash_takes_its_completions() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), completions(clap_complete::Shell::Bash)).unwrap();
    match std::process::Command::new("bash").arg("-n").arg(file.path()).output() {
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
        Err(e) => eprintln!("skipped: no bash here ({e})"),
    }
}
