//! Behaviour of the lists: place, folds, filters, and what each row says.

use crate::broken::{at, broken, empty, network_step, shop};
use crate::support::{drawn, dress, press, set_filter, text};
use crate::world::{LB, Shop, WEB, health, observed};
use badgate::console::State;
use badgate::console::caps::{Depth, GlyphSet};
use badgate::console::filter::Filter;
use badgate::console::keys::Action;
use badgate::console::panes::Reply;
use badgate::console::state::{JournalState, PaneId, Phase, Saved};
use badgate::console::theme::ThemeName;
use badgate::situation::elb::{TargetGroup, TargetHealth};
use badgate::situation::{Fact, Observation, Topic};

fn plain(mut state: State, focus: PaneId) -> State {
    dress(&mut state, Depth::Mono, GlyphSet::Ascii, ThemeName::Dark);
    state.focus = focus;
    state.size = (100, 19);
    state.settle();
    state
}

/// The lines of the only pane on screen, its title first.
fn pane(state: &mut State) -> Vec<String> {
    let (w, h) = state.size;
    let area = state.layout().pane(state.focus).unwrap();
    let shown = text(&drawn(state, w, h));
    let rows = shown.lines().skip(usize::from(area.y)).take(usize::from(area.height));
    rows.map(str::to_owned).collect()
}

fn selected(state: &State) -> String {
    state.view(state.focus).selected(state).unwrap().text.to_string()
}

fn has(rows: &[String], part: &str) -> bool {
    rows.iter().any(|r| r.contains(part))
}

fn hides(state: &mut State, typed: &str) {
    let id = state.focus;
    set_filter(state, id, Filter::parse(typed, true).unwrap());
}

fn health_at(state: &mut State, clock: &str, targets: Vec<TargetHealth>) {
    state.situation.apply(&Observation {
        at: at(clock),
        source: "elbv2:DescribeTargetHealth".into(),
        topic: Topic::TargetHealth(WEB.into()),
        fact: Fact::TargetHealth(targets),
        took_ms: 3,
    });
    state.settle();
}

fn shop_without_health() -> State {
    let mut state = empty();
    for o in shop().observations() {
        if !matches!(o.topic, Topic::TargetHealth(_)) {
            state.situation.apply(&o);
        }
    }
    state
}

#[test]
fn a_target_keeps_the_cursor_while_the_list_is_sorted_anew() {
    let mut state = plain(shop_without_health(), PaneId::Health);
    let all = |bad: &[usize]| {
        (0..6)
            .map(|n| {
                let ill = bad.contains(&n);
                let (s, why) = if ill { ("unhealthy", "Target.Timeout") } else { ("healthy", "") };
                health(&format!("i-{n}"), 8080, s, why)
            })
            .collect::<Vec<_>>()
    };
    health_at(&mut state, "01:40:00", all(&[]));
    for _ in 0..4 {
        press(&mut state, PaneId::Health, Action::Down);
    }
    assert!(selected(&state).contains("i-3"), "{}", selected(&state));
    health_at(&mut state, "01:41:00", all(&[5, 3]));
    assert!(selected(&state).contains("i-3:8080 unhealthy"), "{}", selected(&state));
    let rows = pane(&mut state);
    let order: Vec<usize> = ["i-3", "i-5", "i-0", "i-1"]
        .iter()
        .map(|id| rows.iter().position(|r| r.contains(id)).unwrap())
        .collect();
    assert!(order.is_sorted(), "worst first, then by id: {rows:?}");
    assert!(rows[order[0]].starts_with('#'), "the pointer went with it: {rows:?}");
}

#[test]
fn since_when_says_how_well_it_is_known() {
    let mut state = plain(shop_without_health(), PaneId::Health);
    state.size = (90, 19);
    health_at(
        &mut state,
        "01:40:00",
        vec![health("i-a", 80, "unhealthy", "Target.Timeout"), health("i-b", 80, "healthy", "")],
    );
    assert!(has(&pane(&mut state), "Target.Timeout since before 01:40:00"));
    health_at(
        &mut state,
        "01:50:00",
        vec![health("i-a", 80, "unhealthy", "Target.Timeout"), health("i-b", 80, "draining", "")],
    );
    let rows = pane(&mut state);
    assert!(has(&rows, "! draining  i-b:80 1a since 01:50:00 3m was healthy"), "{rows:?}");
    health_at(&mut state, "01:51:00", vec![health("i-a", 80, "unhealthy", "Target.Timeout")]);
    assert!(has(&pane(&mut state), "- gone      i-b:80 since 01:51:00"), "{:?}", pane(&mut state));
    // A mark on a change that was seen carries the time of the change.
    press(&mut state, PaneId::Health, Action::Bottom);
    let row = state.view(PaneId::Health).selected(&state).unwrap();
    assert_eq!(row.at, at("01:51:00"));
}

#[test]
fn all_unhealthy_is_said_to_fail_open() {
    let mut state = plain(shop_without_health(), PaneId::Health);
    let ill = |id| health(id, 80, "unhealthy", "Target.ResponseCodeMismatch");
    health_at(&mut state, "01:40:00", vec![ill("i-a"), ill("i-b")]);
    assert!(has(&pane(&mut state), "! fail open: requests go to all of them"));
    health_at(&mut state, "01:41:00", vec![ill("i-a"), health("i-b", 80, "healthy", "")]);
    assert!(!has(&pane(&mut state), "fail open"));
    health_at(&mut state, "01:42:00", vec![]);
    assert!(has(&pane(&mut state), "x 0/0 healthy no targets"), "{:?}", pane(&mut state));
}

/// Fifty groups of a hundred targets; three of them are ill.
fn many() -> State {
    let mut state = shop_without_health();
    let groups: Vec<TargetGroup> = (0..50)
        .map(|n| TargetGroup {
            arn: format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/g{n:02}/1").into(),
            name: format!("g{n:02}").into(),
            ..Shop::default().group
        })
        .collect();
    for (n, g) in groups.iter().enumerate() {
        let targets = (0..100).map(|t| {
            let ill = n == 37 && t < 3;
            let (s, why) = if ill { ("unhealthy", "Target.Timeout") } else { ("healthy", "") };
            health(&format!("i-{n:02}{t:03}"), 8080, s, why)
        });
        let fact = Fact::TargetHealth(targets.collect());
        state.situation.apply(&observed(Topic::TargetHealth(g.arn.clone()), fact));
    }
    state.situation.apply(&observed(Topic::TargetGroups(LB.into()), Fact::TargetGroups(groups)));
    state.settle();
    state
}

#[test]
fn of_many_groups_the_ill_one_is_open_and_on_top() {
    let mut state = plain(many(), PaneId::Health);
    let rows = pane(&mut state);
    assert!(rows[0].contains("! 4997/5000 healthy 50 groups"), "{rows:?}");
    assert!(rows[1].contains("v g37 ! 97/100 healthy"), "{rows:?}");
    assert!(has(&rows, "x unhealthy i-37000:8080"));
    assert!(has(&rows, "+ 97 healthy >"));
    assert!(has(&rows, "> g00 + 100/100 healthy"));
    assert!(rows[0].contains("/54"), "{rows:?}");

    press(&mut state, PaneId::Health, Action::Bottom);
    assert_eq!(selected(&state), "g49: 100/100 healthy");
    assert_eq!(press(&mut state, PaneId::Health, Action::Open), Reply::Handled);
    assert!(has(&pane(&mut state), "v g49 + 100/100 healthy"));
    // Open the number, and walk through all of it.
    press(&mut state, PaneId::Health, Action::Down);
    press(&mut state, PaneId::Health, Action::Open);
    press(&mut state, PaneId::Health, Action::Bottom);
    assert!(selected(&state).contains("i-49099"), "{}", selected(&state));
    // Left leads back to the group, and again closes it.
    press(&mut state, PaneId::Health, Action::Left);
    assert_eq!(selected(&state), "g49: 100/100 healthy");
    press(&mut state, PaneId::Health, Action::Left);
    assert!(has(&pane(&mut state), "> g49 + 100/100 healthy"));
}

#[test]
fn a_filter_keeps_what_a_hit_belongs_to_and_counts_the_rest() {
    let mut state = plain(many(), PaneId::Health);
    hides(&mut state, "i-37001");
    let rows = pane(&mut state);
    assert!(has(&rows, "g37") && has(&rows, "i-37001"));
    assert!(!has(&rows, "i-37000") && !has(&rows, "g00"));
    assert!(rows[0].contains("/i-37001 52 hidden"), "{rows:?}");
    hides(&mut state, "no such target");
    assert!(pane(&mut state)[0].contains("54 hidden"));
    hides(&mut state, "");
    assert!(has(&pane(&mut state), "g00"));

    set_filter(&mut state, PaneId::Health, Filter::parse("g0[13]", false).unwrap());
    press(&mut state, PaneId::Health, Action::NextMatch);
    assert_eq!(selected(&state), "g01: 100/100 healthy");
    press(&mut state, PaneId::Health, Action::NextMatch);
    assert_eq!(selected(&state), "g03: 100/100 healthy");
    assert!(matches!(press(&mut state, PaneId::Health, Action::NextMatch), Reply::Say(_)));
}

#[test]
fn legs_open_and_close() {
    let mut state = plain(broken(), PaneId::Paths);
    let rows = pane(&mut state);
    assert!(rows[1].contains("x blocked shop > web:8080"), "{rows:?}");
    assert!(has(&rows, "x NACL in       denied acl-0f4d1c2b9a8e7d605 #90"), "{rows:?}");
    assert!(state.view(PaneId::Paths).detail(&state).is_some(), "an open leg shows its detail");
    press(&mut state, PaneId::Paths, Action::Left);
    assert!(!has(&pane(&mut state), "NACL in"));
    assert!(state.view(PaneId::Paths).detail(&state).is_none(), "a closed leg opens first");
    press(&mut state, PaneId::Paths, Action::Open);
    assert!(has(&pane(&mut state), "NACL in"));
    for _ in 0..4 {
        press(&mut state, PaneId::Paths, Action::Down);
    }
    let stage = selected(&state);
    assert!(stage.contains("NACL in acl-0f4d1c2b9a8e7d605 90 denied"), "{stage}");
    let detail = state.view(PaneId::Paths).detail(&state).unwrap();
    assert!(detail.lines.iter().any(|l| l.to_string().contains("i-0a1b2c3d4e5f60718:8080")));
}

#[test]
fn a_violated_rule_stands_first_with_both_numbers() {
    let mut state = plain(broken(), PaneId::Timeouts);
    let rows = pane(&mut state);
    assert!(rows[0].contains("x 1 violated"), "{rows:?}");
    assert!(rows[1].contains("x R1 violated"), "{rows:?}");
    assert!(rows[2].contains("web server keep-alive") && rows[2].ends_with("5 s"), "{rows:?}");
    assert!(rows[3].contains("must be > shop idle timeout") && rows[3].ends_with("60 s"), "{rows:?}");
    assert_eq!(selected(&state), "R1 violated: web server keep-alive 5 s > shop idle timeout 60 s");
    // An unknown timer says how to learn it, in full with Enter.
    press(&mut state, PaneId::Timeouts, Action::Down);
    let detail = state.view(PaneId::Timeouts).detail(&state).unwrap();
    assert!(
        detail.lines.iter().any(|l| l.to_string().contains("how to learn") && l.to_string().contains("curl"))
    );
    // Rules that hold are told as a number, and one by one when asked.
    press(&mut state, PaneId::Timeouts, Action::Bottom);
    assert_eq!(press(&mut state, PaneId::Timeouts, Action::Open), Reply::Handled);
    press(&mut state, PaneId::Timeouts, Action::Bottom);
    assert!(selected(&state).starts_with('R'), "{}", selected(&state));
}

#[test]
fn the_step_that_ran_last_is_open_and_its_commands_can_be_copied() {
    let mut state = plain(broken(), PaneId::Procedure);
    state.size = (100, 26);
    let rows = pane(&mut state);
    assert!(has(&rows, "3v Network and security"), "{rows:?}");
    assert!(has(&rows, "x found 1"));
    assert!(has(&rows, "2  Server logs") && has(&rows, "~ running"));
    assert!(has(&rows, "x network ACL acl-0f4d1c2b9a8e7d605 rule 90 denies"));
    assert!(!has(&rows, "nft"), "what is not known is told in a line until it is opened");
    let found = rows.iter().position(|r| r.contains("Firewall of the host")).unwrap();
    let first = rows.iter().position(|r| r.contains("0> Preparation")).unwrap();
    for _ in first..found {
        press(&mut state, PaneId::Procedure, Action::Down);
    }
    press(&mut state, PaneId::Procedure, Action::Open);
    let rows = pane(&mut state);
    assert!(has(&rows, "? host firewall: no way to ask the host yet"), "{rows:?}");
    assert!(has(&rows, "> rules in force, on the target (i-0a1b2c3d4e5f60718)"), "{rows:?}");
    press(&mut state, PaneId::Procedure, Action::Down);
    press(&mut state, PaneId::Procedure, Action::Down);
    assert_eq!(selected(&state), "sudo nft list ruleset");
    let row = state.view(PaneId::Procedure).selected(&state).unwrap();
    assert_eq!(row.at, at("01:53:12"));
}

#[test]
fn a_command_that_changes_something_says_so() {
    let mut state = plain(broken(), PaneId::Procedure);
    let mut result = network_step();
    result.checks[1].manual.push(badgate::procedure::Manual {
        what: "allow the port".into(),
        run: "aws ec2 replace-network-acl-entry ...".into(),
        host: "".into(),
        changes: true,
    });
    state.steps[3].result = Some(result);
    let rows = pane(&mut state);
    assert!(has(&rows, "! allow the port") && has(&rows, "changes something:"), "{rows:?}");
}

#[test]
fn a_running_step_and_an_empty_procedure() {
    let mut state = plain(empty(), PaneId::Procedure);
    assert!(pane(&mut state)[0].contains("0-7 run a step"));
    state.steps[5].phase = Phase::Running { since: at("01:53:50"), until: at("01:54:20"), refresh: 1 };
    assert!(pane(&mut state)[0].contains("~ step 5"));
    state.steps.clear();
    assert!(has(&pane(&mut state), "the procedure is not loaded"));
}

#[test]
fn the_timeline_is_newest_first_and_says_what_is_not_on_disk() {
    let mut state = plain(broken(), PaneId::Timeline);
    let rows = pane(&mut state);
    assert!(rows[1].contains("01:53:50 note    yui saving asking network team"), "{rows:?}");
    let first = rows.iter().position(|r| r.contains("01:53:12")).unwrap();
    let later = rows.iter().position(|r| r.contains("01:45:12")).unwrap();
    assert!(first < later);
    if let Some(e) = state.timeline.last_mut() {
        e.saved = Saved::No;
    }
    state.journal = JournalState::Trouble { line: "the disk is full".into(), waiting: 1 };
    let rows = pane(&mut state);
    assert!(rows[0].contains("x 1 not saved") && rows[0].contains("1 waiting"), "{rows:?}");
    assert!(rows[1].contains("yui NOT SAVED asking"), "{rows:?}");
    // A note written below the reader does not move the reader.
    for _ in 0..3 {
        press(&mut state, PaneId::Timeline, Action::Down);
    }
    let here = selected(&state);
    let mut entry = state.timeline[0].clone();
    entry.at = at("01:53:51");
    entry.text = "another".into();
    state.timeline.push(entry);
    assert_eq!(selected(&state), here);
}

#[test]
fn metrics_tell_absent_from_zero() {
    let mut state = plain(broken(), PaneId::Metrics);
    let rows = pane(&mut state);
    assert!(rows[0].contains("x 5xx since 01:41"), "{rows:?}");
    assert!(rows[1].contains("502 by LB") && rows[1].contains("max 48"), "{rows:?}");
    let zero = rows.iter().find(|r| r.contains("5xx by target")).unwrap();
    assert!(zero.ends_with('_'), "zero is a line: {zero:?}");
    let detail = state.view(PaneId::Metrics).detail(&state).unwrap();
    assert!(detail.lines.iter().any(|l| l.to_string().starts_with("01:41")));
    state.situation.metrics.clear();
    state.stale.metrics = true;
    state.settle();
    let rows = pane(&mut state);
    assert!(has(&rows, "? ") && !has(&rows, "_"), "{rows:?}");
}

#[test]
fn the_strip_keeps_what_is_broken_and_marks_what_it_leaves_out() {
    let mut state = plain(broken(), PaneId::Health);
    for width in [200u16, 140, 100, 80, 60, 44, 30] {
        let shown = text(&drawn(&mut state, width, 24));
        let strip = shown.lines().nth(1).unwrap();
        assert!(badgate::text::width(strip) <= usize::from(width));
        assert!(strip.contains('x'), "{width}: {strip}");
        if width >= 100 {
            assert!(strip.contains("502 3.1%") && strip.contains("Target.Timeout"), "{width}: {strip}");
        }
        if width < 140 {
            assert!(strip.contains('~'), "{width}: what is left out leaves a mark: {strip}");
        }
    }
}

#[test]
fn tabs_show_where_the_trouble_is() {
    let mut state = plain(broken(), PaneId::Logs);
    let shown = text(&drawn(&mut state, 80, 24));
    let tabs = shown.lines().nth(2).unwrap();
    assert_eq!(
        tabs.trim(),
        "Health !  Logs  Paths x  Timeouts x  Diagnosis x  Procedure x  Timeline  Metrics x"
            .replace("  ", " ")
    );
}
