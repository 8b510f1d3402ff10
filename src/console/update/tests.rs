//! The console driven by key strings and messages, without a terminal.

mod hosts;
mod steps;

use super::*;
use crate::console::keys::Key;
use crate::console::msg::Recalled;
use crate::console::overlay::Overlay;
use crate::console::state::tests::state;
use crate::console::state::{Entry, PaneId};
use crate::situation::elb::{TargetGroup, TargetHealth};
use crate::situation::log::LogLine;
use crate::situation::{Fact, Observation, Reason, ResolvedTarget, Topic};
use crate::sources::{Candidate, Command, Event, Want};
use jiff::{SignedDuration, Timestamp};

const LB: &str =
    "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188";
const TG: &str = "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:targetgroup/web/73e2d6bc24d8a067";

/// A console and what it asked for so far.
pub struct Sim {
    pub state: State,
    pub effects: Vec<Effect>,
}

impl Sim {
    pub fn new() -> Sim {
        let mut state = state();
        state.journal = JournalState::Recording;
        state.size = (200, 50);
        Sim { state, effects: Vec::new() }
    }

    pub fn msg(&mut self, msg: Msg) -> &mut Sim {
        self.effects.extend(update(&mut self.state, msg));
        self
    }

    pub fn keys(&mut self, keys: &str) -> &mut Sim {
        for key in Key::sequence(keys).unwrap() {
            self.msg(Msg::Key(key));
        }
        self
    }

    pub fn observe(&mut self, topic: Topic, fact: Fact) -> &mut Sim {
        let o = Observation { at: self.state.now, source: "test".into(), topic, fact, took_ms: 1 };
        self.msg(Msg::Source(Event::Observed(vec![o])))
    }

    pub fn later(&mut self, seconds: i64) -> &mut Sim {
        let t = self.state.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self.msg(Msg::Now(t))
    }

    /// A load balancer with one group, in view.
    pub fn with_target() -> Sim {
        let mut sim = Sim::new();
        let target = ResolvedTarget { lb: LB.into(), ..ResolvedTarget::default() };
        sim.observe(Topic::Target, Fact::Target(target));
        let group = TargetGroup { arn: TG.into(), name: "web".into(), ..TargetGroup::default() };
        sim.observe(Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![group]));
        sim.effects.clear();
        sim
    }

    pub fn health(&mut self, states: &[(&str, &str, &str)]) -> &mut Sim {
        let list = states
            .iter()
            .map(|(id, state, reason)| TargetHealth {
                id: (*id).into(),
                port: Some(8080),
                state: (*state).into(),
                reason: (*reason).into(),
                ..TargetHealth::default()
            })
            .collect();
        self.observe(Topic::TargetHealth(TG.into()), Fact::TargetHealth(list))
    }

    pub fn log(&mut self, lines: &[&str]) -> &mut Sim {
        let at = self.state.now;
        let lines = lines
            .iter()
            .map(|l| LogLine {
                at,
                group: "/app/shop".into(),
                stream: "".into(),
                id: "".into(),
                text: (*l).into(),
            })
            .collect();
        self.observe(Topic::Tail("/app/shop".into()), Fact::LogLines(lines))
    }

    fn drafts(&self) -> Vec<&Draft> {
        self.effects
            .iter()
            .filter_map(|e| match e {
                Effect::Journal(d) => Some(d),
                _ => None,
            })
            .collect()
    }

    fn commands(&self) -> Vec<&Command> {
        self.effects
            .iter()
            .filter_map(|e| match e {
                Effect::Send(c) => Some(c),
                _ => None,
            })
            .collect()
    }

    fn lines(&self) -> Vec<String> {
        self.state.timeline.iter().map(|e| e.text.to_string()).collect()
    }

    fn notice(&self) -> &str {
        self.state.notice.as_ref().map_or("", |n| n.text.as_str())
    }
}

#[test]
fn a_note_is_saved_when_the_disk_has_it_and_not_before() {
    let mut sim = Sim::new();
    sim.keys("arolled back<ctrl-j>web to v41<enter>");
    let draft = sim.drafts()[0].clone();
    assert_eq!((draft.kind, draft.durability), ("note", Durability::Now));
    assert_eq!(draft.data["text"], "rolled back\nweb to v41");
    let entry = |sim: &Sim| sim.state.timeline.last().unwrap().clone();
    assert_eq!((entry(&sim).saved, entry(&sim).by.as_str()), (Saved::Pending, "yui@bastion"));
    assert_eq!(sim.notice(), "");
    sim.msg(Msg::Journal(JournalNews::Saved { id: draft.id + 7 }));
    assert_eq!(entry(&sim).saved, Saved::Pending);
    sim.msg(Msg::Journal(JournalNews::Saved { id: draft.id }));
    assert_eq!(entry(&sim).saved, Saved::Yes);
    assert_eq!(sim.notice(), "note saved");
}

#[test]
fn a_note_without_an_incident_file_says_so() {
    let mut sim = Sim::new();
    sim.state.journal = JournalState::Off;
    sim.keys("ax<enter>");
    assert!(sim.drafts().is_empty());
    assert_eq!(sim.state.timeline[0].saved, Saved::No);
    assert!(sim.notice().contains("no incident file"), "{}", sim.notice());
}

#[test]
fn a_draft_survives_esc_and_leaving() {
    let mut sim = Sim::new();
    sim.keys("ahalf a thou<esc>");
    assert!(sim.state.overlay.is_none());
    assert!(sim.notice().contains("not saved yet"), "{}", sim.notice());
    sim.keys("a");
    let Some(Overlay::Note(input)) = &sim.state.overlay else { panic!() };
    assert_eq!(input.text(), "half a thou");
    let parting = parting(&mut sim.state);
    let [Effect::Journal(draft)] = parting.as_slice() else { panic!("{parting:?}") };
    assert_eq!((&draft.data["text"], &draft.data["draft"]), (&json!("half a thou"), &json!(true)));
    sim.keys("ght<enter>");
    assert_eq!(sim.drafts()[0].data["text"], "half a thought");
    assert!(super::parting(&mut sim.state).is_empty());
    sim.keys("a   <enter>");
    assert_eq!(sim.drafts().len(), 1, "a blank note is no note");
}

#[test]
fn a_phase_of_the_incident_is_a_note_with_its_word() {
    let mut sim = Sim::new();
    sim.keys(":mitigated<enter>");
    let Some(Overlay::Note(input)) = &sim.state.overlay else { panic!("no note is open") };
    assert_eq!(input.text(), "mitigated: ");
    sim.keys("rolled back to 41<enter>");
    assert_eq!(sim.drafts()[0].data["text"], "mitigated: rolled back to 41");
}

#[test]
fn text_being_typed_runs_no_commands() {
    let mut sim = Sim::new();
    sim.keys("aq1zfr<enter>/q<esc>:zzzzz<esc>");
    assert!(!sim.state.zoom && sim.state.frozen.is_none());
    assert!(!sim.effects.iter().any(|e| matches!(e, Effect::Quit | Effect::Send(_))));
}

#[test]
fn a_paste_is_text_and_never_keys() {
    let mut sim = Sim::new();
    sim.msg(Msg::Paste("q\nz\n".into()));
    assert!(!sim.state.zoom && !sim.effects.iter().any(|e| matches!(e, Effect::Quit)));
    assert!(sim.notice().contains("paste"), "{}", sim.notice());
    sim.keys("a").msg(Msg::Paste("one\ntwo \x1b[31mred".into())).keys("<enter>");
    assert_eq!(sim.drafts()[0].data["text"], "one\ntwo ^[[31mred");
}

#[test]
fn targets_that_change_alike_share_an_entry() {
    let mut sim = Sim::with_target();
    let all = |state, reason| ["i-1", "i-2", "i-3", "i-4", "i-5"].map(|id| (id, state, reason));
    sim.health(&all("healthy", ""));
    assert_eq!(sim.lines(), [""; 0], "the first look is no change");
    sim.later(5).health(&[&all("unhealthy", "Target.Timeout")[..4], &[("i-5", "healthy", "")]].concat());
    sim.later(5).health(&all("unhealthy", "Target.Timeout")[..4]);
    assert_eq!(
        sim.lines(),
        [
            "web: 4 targets (i-1:8080, i-2:8080, i-3:8080, ...) healthy -> unhealthy Target.Timeout",
            "web: i-5:8080 no longer registered",
        ]
    );
    let observed = sim.effects.iter().filter(|e| matches!(e, Effect::Observed(_))).count();
    assert_eq!(observed, 3, "every observation goes into the incident file");
}

#[test]
fn a_lost_question_is_told_once_and_so_is_its_return() {
    let mut sim = Sim::with_target();
    let topic = Topic::TargetHealth(TG.into());
    for n in 0..3 {
        let until = sim.state.now.checked_add(SignedDuration::from_secs(n)).unwrap();
        sim.later(1).observe(topic.clone(), Fact::Unknown(Reason::Throttled { until }));
    }
    sim.later(1).health(&[("i-1", "healthy", "")]);
    let lines = sim.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("target health of web: throttled"));
    assert_eq!(lines[1], "target health of web: answers again");
}

#[test]
fn what_is_on_screen_is_watched() {
    let mut sim = Sim::new();
    sim.keys("z");
    assert!(sim.commands().is_empty(), "nothing is watched before there is a target");
    let mut sim = Sim::with_target();
    sim.state.watched.clear();
    sim.keys("z");
    let zoomed = sim.commands().last().copied().cloned();
    assert_eq!(zoomed, Some(Command::Watch(vec![Want::Health, Want::Config, Want::Metrics])));
    let before = sim.effects.len();
    sim.keys("jk");
    assert_eq!(sim.effects.len(), before, "said once");
    sim.keys("<tab>");
    let Some(Command::Watch(wants)) = sim.commands().last().copied() else { panic!() };
    assert!(wants.contains(&Want::Logs));
}

#[test]
fn frozen_the_picture_stays_and_what_comes_is_counted() {
    let mut sim = Sim::with_target();
    sim.health(&[("i-1", "healthy", "")]).log(&["a", "b"]);
    sim.keys("f").later(5).health(&[("i-1", "unhealthy", "x")]).log(&["c"]);
    let s = &sim.state;
    let shown = s.shown().groups.values().next().unwrap().health.value().unwrap();
    assert_eq!(shown[0].state.as_str(), "healthy");
    assert_eq!((s.log_end(), s.behind()), (2, Some((1, 1))));
    assert_eq!(s.timeline.len(), 0);
    sim.keys("amine<enter>");
    assert_eq!(sim.state.timeline.len(), 1, "what a person does is shown all the same");
    sim.keys("f");
    let s = &sim.state;
    assert_eq!((s.log_end(), s.behind(), s.timeline.len()), (3, None, 2));
    assert_eq!(
        s.shown().groups.values().next().unwrap().health.value().unwrap()[0].state.as_str(),
        "unhealthy"
    );
}

fn candidate(name: &str, errors: Option<f64>) -> Candidate {
    Candidate {
        arn: format!("arn:{name}").into(),
        name: name.into(),
        kind: "application".into(),
        dns_name: format!("{name}.example").into(),
        region: "eu-west-1".into(),
        place: "".into(),
        errors,
    }
}

#[test]
fn the_picker_sorts_by_errors_and_keeps_what_is_typed() {
    let mut sim = Sim::new();
    let event = |list, more| Msg::Source(Event::Candidates { asked: "".into(), list, more });
    sim.msg(event(vec![candidate("calm", Some(0.0)), candidate("shop", Some(9.0))], true));
    let first = &sim.state.candidates.as_ref().unwrap().list[0];
    assert_eq!(first.name.as_str(), "shop");
    sim.keys("cal");
    sim.msg(event(
        vec![candidate("calm", Some(0.0)), candidate("shop", Some(9.0)), candidate("new", None)],
        false,
    ));
    sim.keys("<esc><enter>");
    assert!(matches!(sim.state.overlay, Some(Overlay::Targets(_))), "enter opens it again");
    sim.keys("calm<enter>");
    assert_eq!(sim.commands(), [&Command::Choose("arn:calm".into())]);
    assert!(sim.state.overlay.is_none());
    // The last of the list comes after the choice: the keys are the console's.
    sim.msg(event(vec![candidate("calm", Some(0.0)), candidate("late", None)], false));
    assert!(sim.state.overlay.is_none(), "the picker does not come back");
}

#[test]
fn candidates_do_not_take_the_keyboard_from_a_note() {
    let mut sim = Sim::new();
    sim.keys("awrit");
    let list = vec![candidate("shop", None)];
    sim.msg(Msg::Source(Event::Candidates { asked: "".into(), list, more: false }));
    sim.keys("ing<enter>");
    assert_eq!(sim.drafts()[0].data["text"], "writing");
    assert!(matches!(sim.state.overlay, Some(Overlay::Targets(_))));
}

#[test]
fn a_filter_holds_as_it_is_typed_and_esc_takes_it_back() {
    let mut sim = Sim::with_target();
    sim.keys("<tab>");
    assert_eq!(sim.state.focus, PaneId::Logs);
    let filter = |sim: &Sim| sim.state.view(PaneId::Logs).filter().map(|f| (f.typed.to_string(), f.hides));
    sim.keys("/err");
    assert_eq!(filter(&sim), Some(("err".into(), true)));
    sim.keys("(");
    let Some(Overlay::Filter(f)) = &sim.state.overlay else { panic!() };
    assert!(f.error.is_some());
    assert_eq!(filter(&sim), Some(("err".into(), true)), "a broken pattern changes nothing");
    sim.keys("<enter>");
    assert!(matches!(sim.state.overlay, Some(Overlay::Filter(_))), "and cannot be left with enter");
    sim.keys("<backspace><tab><enter>");
    assert_eq!(filter(&sim), Some(("err".into(), false)));
    sim.keys("/or<esc>");
    assert_eq!(filter(&sim), Some(("err".into(), false)));
    sim.keys("<esc>");
    assert_eq!(filter(&sim), None, "esc with nothing open takes the filter away");
    sim.keys("/<up><enter>");
    assert_eq!(filter(&sim).unwrap().0, "err", "old patterns come back");
}

#[test]
fn the_palette_runs_what_it_finds() {
    let mut sim = Sim::with_target();
    sim.keys(":zoom<enter>");
    assert!(sim.state.zoom && sim.state.overlay.is_none());
    sim.keys(":help<enter>");
    assert!(matches!(sim.state.overlay, Some(Overlay::Help { .. })), "what a command opens stays open");
    sim.keys("<esc>:timeline<enter>");
    assert_eq!(sim.state.focus, PaneId::Timeline);
}

#[test]
fn leaving_with_records_that_are_not_on_disk_wants_a_second_key() {
    let mut sim = Sim::new();
    sim.msg(Msg::Journal(JournalNews::Trouble { line: "the disk is full".into(), waiting: 2 }));
    sim.keys("q");
    assert!(!sim.effects.iter().any(|e| matches!(e, Effect::Quit)));
    sim.keys("<esc>jq");
    assert!(!sim.effects.iter().any(|e| matches!(e, Effect::Quit)));
    sim.keys("q");
    assert!(sim.effects.iter().any(|e| matches!(e, Effect::Quit)));
    let mut sim = Sim::new();
    sim.msg(Msg::Journal(JournalNews::Trouble { line: "the disk is full".into(), waiting: 2 }));
    sim.msg(Msg::Journal(JournalNews::Fine)).keys("q");
    assert!(sim.effects.iter().any(|e| matches!(e, Effect::Quit)));
}

#[test]
fn a_refresh_says_when_it_is_done() {
    let mut sim = Sim::with_target();
    sim.keys("r");
    let Some(Command::Refresh { id, wants }) = sim.commands().last().copied().cloned() else { panic!() };
    assert_eq!(wants, Want::ALL);
    sim.later(1).msg(Msg::Source(Event::Done { id: id + 1 }));
    assert!(sim.notice().contains("asking"));
    sim.later(1).msg(Msg::Source(Event::Done { id }));
    assert!(sim.notice().contains("in 2.0 s"), "{}", sim.notice());
    sim.keys("R");
    assert_eq!(sim.commands().last().copied(), Some(&Command::ReloadCredentials));
}

#[test]
fn what_the_file_holds_comes_back_and_is_not_written_again() {
    let mut first = Sim::with_target();
    first.health(&[("i-1", "healthy", "")]).later(5).health(&[("i-1", "unhealthy", "Target.Timeout")]);
    first.keys("anoted<enter>");
    let mut records = vec![Recalled::Entry {
        at: "2026-11-22T01:40:00Z".parse().unwrap(),
        by: "kei@laptop".into(),
        kind: "opened".into(),
        data: json!({"target": "shop-alb"}),
    }];
    for e in &first.effects {
        match e {
            Effect::Observed(list) => records.extend(list.iter().cloned().map(Recalled::Observed)),
            Effect::Journal(d) => records.push(Recalled::Entry {
                at: d.at,
                by: "yui@bastion".into(),
                kind: d.kind.into(),
                data: d.data.clone(),
            }),
            _ => {}
        }
    }
    let mut second = Sim::new();
    second.msg(Msg::Recalled(records));
    assert!(second.drafts().is_empty());
    assert!(!second.effects.iter().any(|e| matches!(e, Effect::Observed(_))));
    assert_eq!(
        second.lines(),
        ["opened shop-alb", "web: i-1:8080 healthy -> unhealthy Target.Timeout", "noted"]
    );
    assert_eq!(second.state.incident.opened, "2026-11-22T01:40:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(
        second.state.situation.groups.values().next().unwrap().health.value(),
        first.state.situation.groups.values().next().unwrap().health.value()
    );
}

#[test]
fn entries_stand_where_they_happened() {
    let mut sim = Sim::new();
    let at = |s: &str| format!("2026-11-22T01:{s}:00Z").parse::<Timestamp>().unwrap();
    for (minute, text) in [("40", "b"), ("30", "a"), ("50", "d"), ("40", "c")] {
        let e: Entry = tell::entry(at(minute), &"x".into(), EntryKind::Note, text);
        sim.state.enter(e);
    }
    assert_eq!(sim.lines(), ["a", "b", "c", "d"]);
}

#[test]
fn moving_between_panes_follows_the_screen() {
    let mut sim = Sim::with_target();
    for (keys, want) in [
        ("L", PaneId::Logs),
        ("L", PaneId::Paths),
        ("LL", PaneId::Timeouts),
        ("H", PaneId::Paths),
        ("HHH", PaneId::Health),
    ] {
        sim.keys(keys);
        assert_eq!(sim.state.focus, want, "{keys}");
    }
    sim.keys("J");
    assert!(sim.state.layout().pane(sim.state.focus).unwrap().y > 10, "{:?}", sim.state.focus);
    sim.keys("K");
    assert!(sim.state.layout().pane(sim.state.focus).unwrap().y < 10, "{:?}", sim.state.focus);
    sim.msg(Msg::Resize(80, 24)).keys("L");
    sim.keys("<tab><backtab>zHJKL");
}

#[test]
fn notices_go_away_by_themselves() {
    let mut sim = Sim::with_target();
    sim.keys("r").later(3);
    assert_ne!(sim.notice(), "");
    sim.later(2);
    assert_eq!(sim.notice(), "");
}

#[test]
fn a_time_typed_into_the_palette_goes_there() {
    let now: Timestamp = "2026-11-22T01:53:51Z".parse().unwrap();
    let at = |text: &str| over::typed_time(text, now).map(|t| t.to_string());
    assert_eq!(at("01:41").as_deref(), Some("2026-11-22T01:41:00Z"));
    assert_eq!(at("goto 1:41"), None);
    assert_eq!(at("goto 01:41:30Z").as_deref(), Some("2026-11-22T01:41:30Z"));
    assert_eq!(at("23:59").as_deref(), Some("2026-11-21T23:59:00Z"), "the last one before now");
    for text in ["", "zoom", "25:00", "1", "12"] {
        assert_eq!(at(text), None, "{text}");
    }
    let mut sim = Sim::with_target();
    sim.log(&["a", "b"]).keys(":01:41<enter>");
    assert_eq!(sim.state.focus, PaneId::Logs);
    assert!(sim.notice().contains("01:41:00Z"), "{}", sim.notice());
}

#[test]
fn the_onset_is_when_a_target_was_seen_to_fall_ill() {
    let mut sim = Sim::with_target();
    sim.health(&[("i-1", "healthy", "")]);
    sim.state.settle();
    assert_eq!(sim.state.incident.onset, None);
    sim.later(5).health(&[("i-1", "unhealthy", "Target.Timeout")]);
    let fell = sim.state.now;
    sim.state.settle();
    assert_eq!(sim.state.incident.onset, Some(fell));
    sim.later(60).health(&[("i-1", "healthy", "")]);
    sim.state.settle();
    assert_eq!(sim.state.incident.onset, Some(fell), "it stays when it is over");
}

/// Nothing happens but the clock: at most 60 bytes a second leave.
#[test]
fn an_idle_screen_says_the_time_and_no_more() {
    use crate::console::term::Screen;
    for size in [(200, 50), (120, 40), (80, 24)] {
        let mut sim = Sim::with_target();
        sim.health(&[("i-1", "healthy", ""), ("i-2", "unhealthy", "Target.Timeout")]);
        sim.log(&["GET / 200", "ERROR connection refused"]).msg(Msg::Resize(size.0, size.1));
        sim.state.incident.onset = Some(sim.state.now);
        let mut screen = Screen::new(size);
        sim.state.settle();
        assert!(screen.frame(&sim.state).len() > 500);
        assert_eq!(screen.frame(&sim.state), b"", "{size:?}");
        let mut all = 0;
        for _ in 0..300 {
            sim.later(1);
            sim.state.settle();
            all += screen.frame(&sim.state).len();
        }
        assert!(all / 300 <= 60, "{size:?}: {} bytes a second", all / 300);
    }
}

/// The clock alone is painted without the panes, and looks as a whole frame does.
#[test]
fn an_answer_that_says_what_is_known_is_no_frame() {
    let mut sim = Sim::with_target();
    let ill = [("i-1", "unhealthy", "Target.Timeout")];
    sim.health(&ill).later(60).state.dirty = false;
    sim.health(&ill);
    assert!(!sim.state.dirty, "nothing but its age is new");
    sim.health(&[("i-1", "healthy", "")]);
    assert!(sim.state.dirty);
    sim.state.dirty = false;
    sim.observe(Topic::TargetHealth(TG.into()), Fact::Unknown(Reason::NotAsked));
    assert!(sim.state.dirty, "a call that fails is told");
    sim.state.dirty = false;
    sim.health(&[("i-1", "healthy", "")]);
    assert!(sim.state.dirty, "and that it answers again");
    sim.keys("f").state.dirty = false;
    sim.health(&[("i-1", "healthy", "")]);
    assert!(sim.state.dirty, "what is frozen counts what comes");
}

#[test]
fn the_clock_moves_alone() {
    use crate::console::term::Screen;
    let mut sim = Sim::with_target();
    sim.health(&[("i-1", "healthy", "")]).msg(Msg::Resize(120, 40));
    let (mut screen, mut whole) = (Screen::new((120, 40)), Screen::new((120, 40)));
    sim.state.settle();
    assert_eq!(screen.frame(&sim.state), whole.frame(&sim.state));
    sim.state.dirty = false;
    sim.later(1);
    assert!(sim.state.rests());
    let clock = screen.clock(&sim.state);
    assert!(!clock.is_empty() && clock.len() < 60);
    assert!(whole.frame(&sim.state).starts_with(&clock), "the header comes first");
    assert_eq!(screen.clock(&sim.state), b"", "said once");
    sim.health(&[("i-1", "unhealthy", "Target.Timeout")]);
    assert!(!sim.state.rests(), "something happened");
    sim.state.settle();
    screen.frame(&sim.state);
    sim.state.dirty = false;
    sim.keys("?");
    sim.state.dirty = false;
    assert!(!sim.state.rests(), "an overlay may count seconds");
}

/// Whatever is typed on whatever screen, nothing panics and a frame can be drawn.
mod any_keys {
    use super::*;
    use crate::console::keys::TABLE;
    use crate::console::term::Screen;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = Key> {
        let bound: Vec<Key> = TABLE
            .iter()
            .flat_map(|b| b.keys)
            .filter_map(|k| Key::parse(k).ok())
            .filter(|k| k.types() != Some('q'))
            .collect();
        prop_oneof![
            6 => proptest::sample::select(bound),
            1 => any::<char>().prop_map(Key::char),
            1 => Just(Key::ctrl('j')),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn draw(
            steps in proptest::collection::vec(
                (proptest::collection::vec(key(), 0..12), 0u16..=200, 0u16..=200), 1..8)
        ) {
            let mut sim = Sim::with_target();
            sim.health(&[("i-1", "healthy", ""), ("i-2", "unhealthy", "Target.Timeout")]);
            sim.log(&["GET / 200", "ERROR connection refused", "日本語のログ 502"]);
            sim.msg(Msg::Source(Event::Candidates { asked: "".into(), list: vec![candidate("shop", None)], more: false }));
            let mut screen = Screen::new(sim.state.size);
            for (keys, w, h) in steps {
                for k in keys {
                    sim.msg(Msg::Key(k));
                }
                sim.state.settle();
                screen.frame(&sim.state);
                sim.msg(Msg::Resize(w, h)).health(&[("i-1", "unhealthy", "x")]);
                sim.state.settle();
                screen.frame(&sim.state);
            }
        }
    }
}
