//! Every built-in drill, played at a quick pace without a screen: the first
//! verdict must be the truth. All are played side by side, since they mostly wait.

use badgate::app::drill::{Outcome, try_out};
use badgate::diagnosis::causes::rule_of;
use badgate::diagnosis::verdict::Standing;
use badgate::procedure::{Lang, Procedure};
use badgate::sources::drill::script::{self, Drill};
use std::sync::Arc;

/// Drill seconds in a second. Slow enough for a busy machine: a health check's
/// five seconds are a quarter of a second.
const PACE: f64 = 20.0;
/// Where the clock of every drill begins: what a minute holds, and with it a
/// verdict, must not hang on the second the tests run in.
fn start() -> jiff::Timestamp {
    "2026-11-20T10:00:17.25Z".parse().unwrap()
}

/// Drills at a time.
const AT_ONCE: usize = 6;

fn line(d: &Drill, out: &Outcome) -> (bool, String) {
    let word = |s: Option<Standing>| s.map_or("absent", |s| s.word());
    let (top, standing) = out.top().map_or(("-", "nothing named"), |(c, s)| (c, s.word()));
    let missing: Vec<&String> =
        d.also.iter().filter(|c| !out.stands(c).is_some_and(Standing::names_it)).collect();
    let right = top == d.truth && missing.is_empty();
    let mark = if right { "ok  " } else { "FAIL" };
    let also = if missing.is_empty() { String::new() } else { format!("; not named: {missing:?}") };
    let (bad, all) = out.failing;
    let text = format!(
        "{mark} {:<28} truth {:<36} {:<10} top {top} ({standing}) failing {bad}/{all}{also}",
        d.name,
        d.truth,
        word(out.stands(&d.truth)),
    );
    (right, text)
}

#[test]
fn the_first_verdict_of_every_drill_is_the_truth() {
    let only = std::env::var("DRILL").unwrap_or_default();
    let drills: Vec<Drill> = script::all()
        .unwrap()
        .into_iter()
        .filter(|d| only.is_empty() || only.split(',').any(|o| o == d.name))
        .collect();
    let procedure = Arc::new(Procedure::load(Lang::En).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut lines = Vec::new();
    for batch in drills.chunks(AT_ONCE) {
        let running: Vec<_> = batch
            .iter()
            .cloned()
            .map(|d| {
                let p = Arc::clone(&procedure);
                runtime.spawn(async move {
                    let out = try_out(&d, 7, start(), PACE, &p).await.unwrap();
                    line(&d, &out)
                })
            })
            .collect();
        for r in running {
            lines.push(runtime.block_on(r).unwrap());
        }
    }
    // Drills run in real time: what a machine that is busy with other things
    // spoiled is played once more, alone and slower. A wrong verdict stays wrong.
    for (d, line_of) in drills.iter().zip(&mut lines).filter(|(_, l)| !l.0) {
        eprintln!("{}, once more", line_of.1);
        *line_of = runtime
            .block_on(async { line(d, &try_out(d, 7, start(), PACE / 2.0, &procedure).await.unwrap()) });
    }
    let matrix: Vec<&str> = lines.iter().map(|l| l.1.as_str()).collect();
    println!("{}", matrix.join("\n"));
    assert!(lines.iter().all(|l| l.0), "some verdicts are not the truth:\n{}", matrix.join("\n"));
}

#[test]
fn every_drill_is_whole() {
    let all = script::all().unwrap();
    let mut names: Vec<&str> = all.iter().map(|d| d.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "a name stands twice");
    for d in &all {
        for cause in d.also.iter().chain([&d.truth]) {
            assert!(rule_of(cause).is_some(), "{}: no rule judges {cause}", d.name);
        }
        assert!(d.actions.iter().any(|a| a.cures), "{}: nothing cures it", d.name);
        assert!(d.actions.iter().any(|a| !a.cures), "{}: nothing tempts", d.name);
        assert!(d.hints.len() >= 2 && d.good.len() >= 2 && !d.steps.is_empty(), "{}: too thin", d.name);
        assert!(d.story.is_ascii() && d.title.is_ascii(), "{}", d.name);
    }
}

#[test]
fn a_bad_file_gets_one_line_with_the_place() {
    let good = include_str!("../../assets/drills/tidy-network-acl.toml");
    assert!(Drill::parse("x.toml", good).is_ok());
    for (from, to, want) in [
        ("calm", "calm", ""),
        ("level = 1", "level = \"easy\"", "line"),
        ("truth = ", "trooth = ", "trooth"),
        ("is = \"acl-deny\"", "is = \"acl-forbid\"", "acl-forbid"),
        ("hosts = [\"web-2\"]", "hosts = [\"web-22\"]", "no target 'web-22'"),
        ("id = \"restart\"", "id = \"scale-out\"", "an id of its own"),
        ("at = -3.0", "at = -300.0", "outside of the drill"),
        ("name = \"tidy-network-acl\"", "name = \"Tidy!\"", "lower case"),
    ] {
        let text = good.replacen(from, to, 1);
        match Drill::parse("x.toml", &text) {
            Ok(_) => assert!(want.is_empty(), "{to} is taken"),
            Err(e) => {
                let e = e.to_string();
                assert!(!e.contains('\n') && e.starts_with("x.toml line ") && e.contains(want), "{e}");
            }
        }
    }
}
