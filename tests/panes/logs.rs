//! The log pane under a stream: who reads is never moved, who follows always
//! sees the newest, and nothing depends on how many lines are held.

use crate::broken::{APP, NGINX, empty, line};
use crate::support::{drawn, dress, text};
use crate::world::observed;
use badgate::console::State;
use badgate::console::caps::{Depth, GlyphSet};
use badgate::console::filter::Filter;
use badgate::console::keys::Action;
use badgate::console::panes::{PaneView, Reply, Row};
use badgate::console::state::{Frozen, PaneId};
use badgate::console::theme::ThemeName;
use badgate::situation::log::{LogLine, LogRing, Tail, TailMode};
use badgate::situation::{Fact, Topic};
use badgate::text::SafeText;

/// A console of 60x13 that shows the logs only, following one group.
fn logs(lines: impl IntoIterator<Item = String>) -> State {
    let mut state = empty();
    dress(&mut state, Depth::Mono, GlyphSet::Ascii, ThemeName::Dark);
    state.focus = PaneId::Logs;
    state.size = (60, 13);
    let tail = Tail { mode: TailMode::Live, note: SafeText::default() };
    state.situation.apply(&observed(Topic::Tail(APP.into()), Fact::Tail(tail)));
    for l in lines {
        push(&mut state, &l);
    }
    state
}

fn push(state: &mut State, text: &str) {
    state.situation.logs.push(line("01:53:50", APP, text));
    state.catch_up();
}

fn press(state: &mut State, action: Action) -> Reply {
    let area = state.layout().inner(PaneId::Logs);
    let mut view = std::mem::take(&mut state.views.logs);
    let reply = view.handle(action, area, state);
    state.views.logs = view;
    reply
}

fn filter(state: &mut State, typed: &str, hides: bool) {
    let parsed = Filter::parse(typed, hides).unwrap();
    state.views.logs.set_filter(parsed);
}

fn row(state: &State) -> Row {
    state.views.logs.selected(state).unwrap()
}

/// The rows between title and diagnosis line.
fn rows(state: &mut State) -> Vec<String> {
    let (w, h) = state.size;
    let shown = text(&drawn(state, w, h));
    shown.lines().skip(4).take(usize::from(h) - 6).map(str::to_owned).collect()
}

fn title(state: &mut State) -> String {
    let (w, h) = state.size;
    text(&drawn(state, w, h)).lines().nth(3).unwrap_or_default().to_owned()
}

fn numbered(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("line {i}")).collect()
}

#[test]
fn the_end_is_followed_until_the_reader_moves() {
    let mut state = logs(numbered(100));
    assert!(rows(&mut state).last().unwrap().ends_with("line 99"));
    push(&mut state, "line 100");
    assert!(rows(&mut state).last().unwrap().ends_with("line 100"));

    press(&mut state, Action::Up);
    assert_eq!(row(&state).text, "line 99");
    let before = rows(&mut state);
    for n in 101..113 {
        push(&mut state, &format!("line {n}"));
    }
    assert_eq!(rows(&mut state), before, "new lines moved the reader");
    assert_eq!(row(&state).text, "line 99");
    assert!(title(&mut state).contains("paused 12 new below"), "{}", title(&mut state));

    press(&mut state, Action::Bottom);
    assert!(rows(&mut state).last().unwrap().ends_with("line 112"));
    assert!(!title(&mut state).contains("paused"));
}

#[test]
fn down_from_the_last_line_follows_again() {
    let mut state = logs(numbered(30));
    press(&mut state, Action::Up);
    press(&mut state, Action::Down);
    assert!(title(&mut state).contains("paused"));
    press(&mut state, Action::Down);
    assert!(!title(&mut state).contains("paused"));
}

#[test]
fn space_pauses_and_goes_on() {
    let mut state = logs(numbered(30));
    press(&mut state, Action::Pause);
    push(&mut state, "later");
    assert!(!rows(&mut state).iter().any(|r| r.contains("later")));
    press(&mut state, Action::Pause);
    assert!(rows(&mut state).iter().any(|r| r.contains("later")));
}

#[test]
fn pages_overlap_and_reach_both_ends() {
    let mut state = logs(numbered(50));
    press(&mut state, Action::Top);
    assert_eq!(row(&state).text, "line 0");
    let mut seen = vec![row(&state).text.to_string()];
    for _ in 0..30 {
        press(&mut state, Action::PageDown);
        seen.push(row(&state).text.to_string());
    }
    assert_eq!(seen.last().unwrap(), "line 49");
    press(&mut state, Action::Top);
    press(&mut state, Action::Bottom);
    for _ in 0..30 {
        press(&mut state, Action::PageUp);
    }
    assert_eq!(row(&state).text, "line 0");
}

#[test]
fn a_reader_keeps_the_line_while_old_ones_are_let_go() {
    let mut state = logs([]);
    state.situation.logs = LogRing::new(50, usize::MAX);
    for n in 0..50 {
        push(&mut state, &format!("line {n}"));
    }
    for _ in 0..20 {
        press(&mut state, Action::Up);
    }
    assert_eq!(row(&state).text, "line 29");
    for n in 50..75 {
        push(&mut state, &format!("line {n}"));
    }
    assert_eq!(row(&state).text, "line 29");
    assert!(rows(&mut state).iter().any(|r| r.ends_with("line 29")));
    for n in 75..200 {
        push(&mut state, &format!("line {n}"));
    }
    // The line is gone: the oldest one held takes its place.
    assert_eq!(row(&state).text, "line 150");
    assert!(title(&mut state).contains("dropped 150"), "{}", title(&mut state));
}

#[test]
fn a_filter_hides_and_counts() {
    let mut state =
        logs((0..100).map(|i| format!("{} line {i}", if i % 10 == 0 { "ERROR" } else { "INFO" })));
    filter(&mut state, "error", true);
    state.catch_up();
    let shown = rows(&mut state);
    assert!(shown.iter().filter(|r| !r.is_empty()).all(|r| r.contains("ERROR")), "{shown:?}");
    assert!(title(&mut state).contains("/error 90 hidden"), "{}", title(&mut state));
    filter(&mut state, "!error", true);
    state.catch_up();
    assert!(rows(&mut state).iter().all(|r| r.contains("INFO")));
    assert!(title(&mut state).contains("/!error 10 hidden"));
    filter(&mut state, "nothing like it", true);
    state.catch_up();
    assert!(rows(&mut state)[0].contains("none of 100 lines matches /nothing like it"));
    filter(&mut state, "", true);
    assert!(rows(&mut state).last().unwrap().contains("line 99"));
}

#[test]
fn a_long_log_is_filtered_in_slices_newest_first() {
    let mut state = logs((0..5000).map(|i| format!("line {i} {}", if i % 7 == 0 { "hit" } else { "" })));
    filter(&mut state, "hit", true);
    let mut view = std::mem::take(&mut state.views.logs);
    assert!(view.catch_up(&state.situation.logs, 500));
    state.views.logs = view;
    let first = rows(&mut state);
    assert!(first.last().unwrap().contains("line 4998 hit"), "{first:?}");
    assert!(title(&mut state).contains("10%"), "{}", title(&mut state));
    // New lines are looked at before old ones.
    state.situation.logs.push(line("01:53:51", APP, "line 5000 hit"));
    let mut view = std::mem::take(&mut state.views.logs);
    view.catch_up(&state.situation.logs, 1);
    state.views.logs = view;
    assert!(rows(&mut state).last().unwrap().contains("line 5000 hit"));
    while state.catch_up() {}
    assert!(!title(&mut state).contains('%'));
    press(&mut state, Action::Top);
    assert_eq!(row(&state).text, "line 0 hit");
}

#[test]
fn matches_are_stepped_through() {
    let mut state = logs((0..60).map(|i| format!("line {i} {}", if i % 20 == 5 { "needle" } else { "hay" })));
    filter(&mut state, "needle", false);
    state.catch_up();
    assert!(rows(&mut state).last().unwrap().ends_with("line 59 hay"), "searching hides nothing");
    let mut hits = Vec::new();
    for _ in 0..3 {
        assert_eq!(press(&mut state, Action::PreviousMatch), Reply::Handled);
        hits.push(row(&state).text.to_string());
        assert!(rows(&mut state).iter().any(|r| r.ends_with(hits.last().unwrap())));
    }
    assert_eq!(hits, ["line 45 needle", "line 25 needle", "line 5 needle"]);
    let end = press(&mut state, Action::PreviousMatch);
    assert_eq!(end, Reply::Say("no further match above".into()));
    press(&mut state, Action::NextMatch);
    assert_eq!(row(&state).text, "line 25 needle");
}

#[test]
fn errors_and_5xx_are_found() {
    let mut lines = numbered(40);
    lines[10] = "ERROR one".into();
    lines[20] = "GET / HTTP/1.1\" 502 157".into();
    lines[30] = "all well".into();
    let mut state = logs(lines);
    press(&mut state, Action::PreviousError);
    assert!(row(&state).text.contains("502"));
    press(&mut state, Action::PreviousError);
    assert_eq!(row(&state).text, "ERROR one");
    assert!(matches!(press(&mut state, Action::PreviousError), Reply::Say(_)));
    press(&mut state, Action::NextError);
    assert!(row(&state).text.contains("502"));
    // The hit stands amid its surroundings, not at an edge.
    let at = rows(&mut state).iter().position(|r| r.contains("502")).unwrap();
    assert!((1..5).contains(&at), "row {at}");
}

#[test]
fn a_search_over_many_lines_goes_on_between_frames() {
    let mut lines = numbered(50_000);
    lines[3] = "the needle".into();
    let mut state = logs([]);
    for l in lines {
        state.situation.logs.push(line("01:53:50", APP, &l));
    }
    filter(&mut state, "needle", false);
    assert_eq!(press(&mut state, Action::PreviousMatch), Reply::Handled);
    assert!(title(&mut state).contains("searching"), "{}", title(&mut state));
    while state.catch_up() {}
    assert_eq!(row(&state).text, "the needle");
    press(&mut state, Action::NextMatch);
    while state.catch_up() {}
    assert!(title(&mut state).contains("no further match below"), "{}", title(&mut state));
}

#[test]
fn marks_are_shown_and_found() {
    let mut state = logs(numbered(40));
    for _ in 0..3 {
        press(&mut state, Action::Up);
    }
    assert_eq!(press(&mut state, Action::Mark), Reply::Ignored, "the console writes the mark");
    press(&mut state, Action::Bottom);
    assert!(rows(&mut state).iter().any(|r| r.starts_with('*') && r.ends_with("line 36")));
    press(&mut state, Action::Top);
    press(&mut state, Action::NextMark);
    assert_eq!(row(&state).text, "line 36");
}

#[test]
fn a_row_carries_the_time_it_happened_and_where() {
    let mut state = logs([]);
    state
        .situation
        .logs
        .push(LogLine { stream: "web/7".into(), ..line("01:41:02", NGINX, "{\"a\":{\"b\":1}}") });
    assert_eq!(row(&state).at, crate::broken::at("01:41:02"));
    assert_eq!(row(&state).source, NGINX);
    let detail = state.views.logs.detail(&state).unwrap();
    let lines: Vec<String> = detail.lines.iter().map(ToString::to_string).collect();
    assert!(lines.iter().any(|l| l.contains("web/7")));
    assert!(lines.iter().any(|l| l.contains("\"b\": 1")), "JSON is set out: {lines:?}");
    state.privacy = true;
    state.situation.logs.push(line("01:41:03", NGINX, "from 203.0.113.77"));
    let detail = state.views.logs.detail(&state).unwrap();
    assert!(detail.lines.iter().all(|l| !l.to_string().contains("203.0.113.77")));
}

#[test]
fn a_giant_line_takes_few_rows_and_says_what_is_left() {
    let mut state = logs(numbered(5));
    push(&mut state, &format!("START {}END", "x".repeat(1 << 20)));
    push(&mut state, "after");
    let shown = rows(&mut state);
    assert!(shown.iter().any(|r| r.contains("START")));
    assert!(shown.iter().any(|r| r.contains("~ +1,0") && r.ends_with(" B")), "{shown:?}");
    assert!(shown.last().unwrap().ends_with("after"));
    press(&mut state, Action::Wrap);
    assert!(rows(&mut state).iter().any(|r| r.contains("START") && r.ends_with('~')));
    press(&mut state, Action::Right);
    assert!(rows(&mut state).iter().any(|r| r.contains("~xxx")), "{:?}", rows(&mut state));
    press(&mut state, Action::Wrap);
    assert!(rows(&mut state).iter().any(|r| r.contains("START")));
}

#[test]
fn the_end_of_a_cut_line_is_reached_and_no_further() {
    let mut state = logs([format!("START {}END", "x".repeat(2000))]);
    press(&mut state, Action::Wrap);
    for _ in 0..300 {
        press(&mut state, Action::Right);
    }
    assert!(rows(&mut state).iter().any(|r| r.contains("xEND")), "{:?}", rows(&mut state));
}

#[test]
fn wide_characters_are_cut_where_they_end() {
    let mut state = logs([]);
    push(&mut state, &"\u{65e5}\u{672c}\u{8a9e}\u{30ed}\u{30b0}".repeat(12));
    press(&mut state, Action::Wrap);
    for _ in 0..6 {
        for r in rows(&mut state) {
            assert!(badgate::text::width(&r) <= 60, "{r}");
        }
        press(&mut state, Action::Right);
    }
}

#[test]
fn times_are_shown_three_ways() {
    let mut state = logs(["hello".to_owned()]);
    let day = "2026-11-21T22:10:00Z".parse().unwrap();
    state.situation.logs.push(LogLine { at: day, ..line("01:53:50", APP, "yesterday") });
    let shown = rows(&mut state).join("\n");
    assert!(shown.contains("01:53:50 I hello"), "{shown}");
    assert!(shown.contains("11-21 22h<I yesterday"), "a late line of another day: {shown}");
    press(&mut state, Action::Timestamps);
    assert!(rows(&mut state).join("\n").contains("2026-11-22 01:53:50.000 I hello"));
    press(&mut state, Action::Timestamps);
    assert!(rows(&mut state).iter().any(|r| r.ends_with("I hello") && !r.contains("01:53")));
}

#[test]
fn a_frozen_picture_shows_no_later_line() {
    let mut state = logs(numbered(10));
    state.frozen = Some(Frozen {
        at: state.now,
        situation: Box::new(badgate::situation::Situation {
            tails: state.situation.tails.clone(),
            ..Default::default()
        }),
        log_end: state.situation.logs.range().end,
        waiting: Vec::new(),
        behind: 0,
    });
    push(&mut state, "later");
    assert!(rows(&mut state).last().unwrap().ends_with("line 9"));
    filter(&mut state, "line|later", true);
    while state.catch_up() {}
    assert!(rows(&mut state).last().unwrap().ends_with("line 9"));
    state.frozen = None;
    assert!(rows(&mut state).last().unwrap().ends_with("later"));
}

#[test]
fn a_time_can_be_gone_to() {
    let mut state = logs([]);
    for n in 0..60 {
        state.situation.logs.push(line(&format!("01:{n:02}:00"), APP, &format!("minute {n}")));
    }
    let mut view = std::mem::take(&mut state.views.logs);
    view.go_to_time(crate::broken::at("01:40:58"), &state);
    state.views.logs = view;
    assert_eq!(row(&state).text, "minute 41");
    assert!(rows(&mut state).iter().any(|r| r.contains("minute 40")));
}

#[test]
fn several_groups_are_named() {
    let mut state = logs(["one".to_owned()]);
    let tail = Tail { mode: TailMode::Sampled, note: SafeText::default() };
    state.situation.apply(&observed(Topic::Tail(NGINX.into()), Fact::Tail(tail)));
    state.situation.logs.push(line("01:53:51", NGINX, "two"));
    let shown = rows(&mut state).join("\n");
    assert!(shown.contains("I shop  one") && shown.contains("I nginx two"), "{shown}");
    assert!(title(&mut state).contains("! sampled"), "{}", title(&mut state));
}
