//! The past is what was: folded from the file, drawn by the same code.

use crate::story::{MOMENTS, STORY, Shot, console, keys, screen, t};
use badgate::app::film::Film;
use badgate::console::msg::{Effect, Msg};
use badgate::console::past::{Ask, News, Role, Shown};
use badgate::console::state::State;
use badgate::console::update;
use badgate::procedure::{Lang, Procedure};
use jiff::SignedDuration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn on_disk(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop-2026-11-22.incident.jsonl");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn film(path: &Path) -> Film {
    let procedure = Arc::new(Procedure::load(Lang::En).unwrap());
    let mut film = Film::open(path, Some(procedure)).unwrap();
    while film.read(100).unwrap() {}
    film
}

fn seek(film: &mut Film, ask: Ask) -> Shown {
    film.seek(&[ask]).unwrap().unwrap_or_else(|line| panic!("{ask:?}: {line}"))
}

/// A console that shows the past.
fn replay(shown: Shown) -> State {
    let mut state = console(t("09:00:00"));
    state.role = Role::Replay;
    update::look_back(&mut state, Ask::At(shown.at), None);
    update::update(&mut state, Msg::Past(News::Scene(shown)));
    state
}

/// Header and key bar tell that this is the past; what is between them must be
/// what was shown. Only the timeline says that it is not being recorded now.
fn between(screen: &str) -> String {
    let rows: Vec<&str> = screen.lines().collect();
    let body = rows[1..rows.len() - 1].join("\n");
    // The word at the end of a title, with the line before it.
    let word = regex::Regex::new(r"-*- (recorded|replay) -").unwrap();
    word.replace_all(&body, "- WORD -").into_owned()
}

fn compare(shot: &Shot, film: &mut Film, ask: Ask) {
    for (w, h) in [(200, 50), (120, 40)] {
        let quick = seek(film, ask);
        let mut past = replay(film.deepen().unwrap().unwrap_or(quick));
        let mut live = (*shot.state).clone();
        let (live, past) = (screen(&mut live, w, h), screen(&mut past, w, h));
        let (live, past) = (between(&live), between(&past));
        for (was, is) in live.lines().zip(past.lines()) {
            assert_eq!(is, was, "{w}x{h} at {}\n{live}\n{past}", shot.at);
        }
        assert_eq!(live.lines().count(), past.lines().count());
    }
}

#[test]
fn a_replay_shows_what_the_live_console_showed() {
    let story = &*STORY;
    assert_eq!(story.shots.len(), MOMENTS.len());
    let (_dir, path) = on_disk(&story.bytes());
    let mut film = film(&path);
    assert!(film.checkpoints() > 2, "the story must be long enough for checkpoints");
    // Forwards, then backwards: another checkpoint, the same picture.
    for shot in story.shots.iter().chain(story.shots.iter().rev()) {
        compare(shot, &mut film, Ask::At(shot.at));
    }
}

#[test]
fn a_picture_does_not_depend_on_the_way_to_it() {
    let story = &*STORY;
    let (_dir, path) = on_disk(&story.bytes());
    let mut film = film(&path);
    // What was shown in haste is completed once nobody waits.
    let settled = |film: &mut Film, ask| {
        let quick = seek(film, ask);
        screen(&mut replay(film.deepen().unwrap().unwrap_or(quick)), 200, 50)
    };
    for clock in ["01:41:00", "01:52:30", "01:36:00", "01:57:59", "01:40:59"] {
        let ask = Ask::At(t(clock));
        let picture = settled(&mut film, ask);
        assert_eq!(picture, settled(&mut self::film(&path), ask), "{clock}");
        assert!(!picture.contains(" before "), "a short log is there from its beginning");
    }
}

#[test]
fn events_and_changes_can_be_gone_through_one_by_one() {
    let story = &*STORY;
    let (_dir, path) = on_disk(&story.bytes());
    let mut film = film(&path);
    let first = seek(&mut film, Ask::Edge { end: false });
    assert_eq!(first.at, t("01:35:00"));
    let mut seen = vec![first.at];
    let mut changes = Vec::new();
    while let Ok(shown) = film.seek(&[Ask::Event { on: true }]).unwrap() {
        assert!(shown.at >= *seen.last().unwrap(), "events go forwards in time");
        seen.push(shown.at);
    }
    while let Ok(shown) = film.seek(&[Ask::Change { on: false }]).unwrap() {
        changes.push(shown.at);
    }
    let end = seek(&mut film, Ask::Edge { end: true });
    assert_eq!((end.event, end.events), (end.events, end.events));
    assert_eq!(seen.len(), end.events, "each event once");
    assert!(changes.contains(&t("01:41:00")) && changes.len() > 5, "{changes:?}");
    let line = film.seek(&[Ask::Event { on: true }]).unwrap().unwrap_err();
    assert!(line.contains("the end"), "{line}");
    // Several keys at once lead where one after the other would.
    seek(&mut film, Ask::At(t("01:42:00")));
    let at_once = film.seek(&[Ask::By(60), Ask::By(60), Ask::By(-30)]).unwrap().unwrap();
    assert_eq!(at_once.at, t("01:43:30"));
    assert_eq!(
        film.seek(&[Ask::By(-36_000)]).unwrap().unwrap().at,
        t("01:35:00"),
        "not before the beginning"
    );
}

#[test]
fn the_judgement_of_then_is_compared_with_what_was_recorded() {
    let mut story = STORY.clone();
    let (_dir, path) = on_disk(&story.bytes());
    let mut one = film(&path);
    for clock in ["01:39:00", "01:43:00", "01:56:00"] {
        assert_eq!(
            seek(&mut one, Ask::At(t(clock))).differences,
            [],
            "{clock}: the same program, the same facts"
        );
    }
    // Somebody else's program was sure of something else.
    for r in &mut story.records {
        let wrong = r.kind == badgate::journal::Kind::Verdict && r.data["cause"] == "nacl-forward-denied";
        if wrong {
            r.data["cause"] = "alb-keepalive-race".into();
        }
    }
    let (_dir, path) = on_disk(&story.bytes());
    let shown = seek(&mut film(&path), Ask::At(t("01:43:00")));
    let causes: Vec<&str> = shown.differences.iter().map(|d| d.cause).collect();
    assert!(causes.contains(&"nacl-forward-denied"), "{causes:?}");
    let mut state = replay(shown);
    assert!(screen(&mut state, 200, 50).lines().next().unwrap().contains("judged otherwise"));
    keys(&mut state, "d");
    let all = screen(&mut state, 120, 40);
    assert!(all.contains("recorded not judged") && all.contains("judged confirmed"), "{all}");
}

#[test]
fn a_file_written_in_one_go_is_replayed_by_when_things_happened() {
    let mut story = STORY.clone();
    for r in &mut story.records {
        r.logged = t("12:00:00");
    }
    let (_dir, path) = on_disk(&story.bytes());
    let mut film = film(&path);
    assert_eq!(film.range(), (t("01:35:00"), t("01:57:59")));
    assert_eq!(seek(&mut film, Ask::Change { on: true }).at, t("01:41:00"));
}

/// The live console at 01:50, looking back at 01:41.
fn looking_back() -> (State, Film, tempfile::TempDir) {
    let story = &*STORY;
    let (dir, path) = on_disk(&story.bytes());
    let mut film = film(&path);
    let mut state = story.shots.iter().find(|s| s.at == t("01:50:00")).unwrap().state.as_ref().clone();
    let effects = keys(&mut state, "t");
    assert!(matches!(effects[..], [Effect::Past(Ask::At(at))] if at == t("01:50:00")), "{effects:?}");
    let shown = seek(&mut film, Ask::At(t("01:41:30")));
    update::update(&mut state, Msg::Past(News::Scene(shown)));
    (state, film, dir)
}

#[test]
fn the_present_goes_on_behind_the_past() {
    let (mut state, mut film, _dir) = looking_back();
    let head = |s: &mut State| screen(s, 200, 50).lines().next().unwrap().to_owned();
    assert!(head(&mut state).contains("PAST  01:41:30Z"), "{}", head(&mut state));
    assert!(head(&mut state).contains("8m30s ago"));
    assert!(head(&mut state).contains("behind: 0 events, 0 log lines"));
    let before = screen(&mut state, 200, 50);

    // A note is written now, whatever is shown; a log line comes in.
    let effects = keys(&mut state, "astill broken<enter>");
    assert!(
        effects.iter().any(|e| matches!(e, Effect::Journal(d) if d.at == t("01:50:00") && d.kind == "note"))
    );
    update::update(&mut state, Msg::Now(t("01:50:20")));
    let line = badgate::situation::log::LogLine {
        at: t("01:50:10"),
        group: "/app/shop".into(),
        stream: "".into(),
        id: "".into(),
        text: "a line of the present".into(),
    };
    let o = badgate::situation::Observation {
        at: t("01:50:10"),
        source: "test".into(),
        topic: badgate::situation::Topic::Tail("/app/shop".into()),
        fact: badgate::situation::Fact::LogLines(vec![line]),
        took_ms: 0,
    };
    update::update(&mut state, Msg::Source(badgate::sources::Event::Observed(vec![o])));
    let after = screen(&mut state, 200, 50);
    assert_eq!(between(&after), between(&before), "the past does not change");
    assert!(head(&mut state).contains("behind: 1 events, 1 log lines"), "{}", head(&mut state));

    // What asks of the present is refused; a digit begins a time.
    assert!(keys(&mut state, "r").is_empty());
    let effects = keys(&mut state, "1:43<enter>");
    assert!(matches!(effects[..], [Effect::Past(Ask::At(at))] if at == t("01:43:00")), "{effects:?}");
    let effects = keys(&mut state, "[]{}<left><right><shift-left><lt>");
    assert_eq!(effects.len(), 8, "{effects:?}");
    let shown = seek(&mut film, Ask::At(t("01:43:00")));
    update::update(&mut state, Msg::Past(News::Scene(shown)));
    assert!(head(&mut state).contains("PAST  01:43:00Z"));

    keys(&mut state, "<esc>");
    let now = screen(&mut state, 200, 50);
    assert!(now.contains("still broken") && now.contains("a line of the present"), "{now}");
    assert!(!now.contains("PAST"));
}

#[test]
fn playing_asks_for_one_moment_after_the_other() {
    let (mut state, mut film, _dir) = looking_back();
    keys(&mut state, "+++ ");
    let mut at = t("01:41:30");
    for second in 1..=5 {
        let now = t("01:50:00") + SignedDuration::from_secs(second);
        let effects = update::update(&mut state, Msg::Now(now));
        let [Effect::Past(Ask::At(to))] = effects[..] else { panic!("{effects:?}") };
        assert_eq!(to, at + SignedDuration::from_secs(10), "ten times as fast");
        assert!(update::update(&mut state, Msg::Now(now)).is_empty(), "one question at a time");
        at = to;
        let shown = seek(&mut film, Ask::At(to));
        update::update(&mut state, Msg::Past(News::Scene(shown)));
    }
    keys(&mut state, " ");
    assert!(update::update(&mut state, Msg::Now(t("01:51:00"))).is_empty(), "stopped");
    assert!(!state.is_playing());
}

#[test]
fn a_replay_changes_nothing() {
    let story = &*STORY;
    let (_dir, path) = on_disk(&story.bytes());
    let mut state = replay(seek(&mut film(&path), Ask::Edge { end: true }));
    for key in ["a", "m", "r", "R", "x", ":step-3<enter>", ":mitigated<enter>", "f"] {
        let effects = keys(&mut state, key);
        assert!(effects.is_empty() && state.overlay.is_none(), "{key}: {effects:?}");
    }
    assert!(state.notice.as_ref().unwrap().text.contains("a replay changes nothing"));
    keys(&mut state, "<esc><esc>");
    assert!(screen(&mut state, 200, 50).contains("REPLAY"), "there is no present to go back to");
}

macro_rules! banner {
    ($name:ident, $w:expr, $h:expr) => {
        #[test]
        fn $name() {
            let story = &*STORY;
            let (_dir, path) = on_disk(&story.bytes());
            let mut state = replay(seek(&mut film(&path), Ask::At(t("01:43:20"))));
            insta::assert_snapshot!(screen(&mut state, $w, $h));
        }
    };
}

banner!(replay_200x50, 200, 50);
banner!(replay_120x40, 120, 40);
banner!(replay_80x24, 80, 24);
banner!(replay_40x10, 40, 10);

#[test]
fn the_banner_of_a_live_console() {
    let (mut state, _film, _dir) = looking_back();
    let heads: Vec<String> = [200, 120, 80, 40]
        .into_iter()
        .map(|w| {
            let all = screen(&mut state, w, 24);
            let rows: Vec<&str> = all.lines().collect();
            format!("{}\n{}", rows[0], rows[rows.len() - 1])
        })
        .collect();
    insta::assert_snapshot!(heads.join("\n"));
}
