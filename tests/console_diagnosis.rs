//! The diagnosis in the console: it follows the facts, tells what changed, and
//! leads to the rows it was read from.
mod world;

use badgate::console::caps::{Caps, GlyphSet};
use badgate::console::keys::{Key, Keymap};
use badgate::console::msg::{Draft, Effect, Msg, Recalled};
use badgate::console::state::{EntryKind, Incident, JournalState, PaneId, State};
use badgate::console::{draw, update};
use badgate::diagnosis::catalogue::Catalogue;
use badgate::diagnosis::verdict::Standing;
use badgate::procedure::{Lang, Procedure};
use badgate::situation::log::LogLine;
use badgate::situation::net::Protocol;
use badgate::situation::{Fact, Observation, Reason, Topic};
use badgate::sources::{Command, Event, Want};
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;
use world::*;

struct Desk {
    state: State,
    effects: Vec<Effect>,
}

impl Desk {
    fn new(lang: Lang) -> Desk {
        let incident = Incident {
            name: "shop-2026-11-22".into(),
            path: Some("/home/yui/shop.incident.jsonl".into()),
            author: "yui@bastion".into(),
            asked: "shop".into(),
            opened: now(),
            onset: None,
        };
        let caps = Caps { glyphs: GlyphSet::Unicode, ..Caps::default() };
        let mut state = State::new(now(), incident, caps, Keymap::default());
        state.set_procedure(Arc::new(Procedure::load(lang).unwrap()));
        state.words = Catalogue::load(lang.tag()).ok().map(Arc::new);
        state.journal = JournalState::Recording;
        state.size = (200, 50);
        Desk { state, effects: Vec::new() }
    }

    fn on(shop: &Shop) -> Desk {
        let mut d = Desk::new(Lang::En);
        d.see(shop);
        d
    }

    fn msg(&mut self, msg: Msg) {
        let effects = update::update(&mut self.state, msg);
        self.effects.extend(effects);
    }

    fn see(&mut self, shop: &Shop) {
        self.msg(Msg::Source(Event::Observed(shop.observations())));
        self.state.settle();
    }

    fn observe(&mut self, topic: Topic, fact: Fact) {
        let o = Observation { at: self.state.now, source: "test".into(), topic, fact, took_ms: 1 };
        self.msg(Msg::Source(Event::Observed(vec![o])));
        self.state.settle();
    }

    /// Time goes by; the clock is drawn each second.
    fn wait(&mut self, ms: i64) {
        let t = self.state.now.checked_add(SignedDuration::from_millis(ms)).unwrap();
        self.msg(Msg::Now(t));
        self.state.settle();
    }

    fn keys(&mut self, keys: &str) {
        for key in Key::sequence(keys).unwrap() {
            self.msg(Msg::Key(key));
        }
    }

    fn verdicts(&self) -> Vec<&Draft> {
        let drafts = self.effects.iter().filter_map(|e| match e {
            Effect::Journal(d) if d.kind == "verdict" => Some(d),
            _ => None,
        });
        drafts.collect()
    }

    fn stands(&self, cause: &str) -> Option<Standing> {
        self.state.derived.diagnosis.of(cause).map(|v| v.standing)
    }

    fn screen(&mut self, w: u16, h: u16) -> String {
        self.msg(Msg::Resize(w, h));
        self.state.settle();
        let mut terminal = Terminal::new(TestBackend::new(w, h)).unwrap();
        terminal.draw(|frame| _ = draw::draw(&self.state, frame.buffer_mut())).unwrap();
        let buf = terminal.backend().buffer();
        let mut out = String::new();
        for y in 0..h {
            let (mut row, mut x) = (String::new(), 0);
            while x < w {
                row.push_str(buf[(x, y)].symbol());
                x += (badgate::text::width(buf[(x, y)].symbol()) as u16).max(1);
            }
            out.push_str(row.trim_end());
            out.push('\n');
        }
        out
    }
}

fn minutes(counts: &[(&str, f64)], shop: &mut Shop) {
    let points = |v: f64, n: i64| (1..=n).rev().map(|m| (minutes_ago(m), v)).collect();
    shop.metrics.push(series(LB, "RequestCount", "Sum", points(1200.0, 60)));
    for (name, v) in counts {
        shop.metrics.push(series(LB, name, "Sum", points(*v, 9)));
    }
}

/// An entry of the targets' network ACL drops the way to the port.
fn blocked() -> Shop {
    let mut shop = Shop::default();
    for t in &mut shop.targets {
        (t.state, t.reason) = ("unhealthy".into(), "Target.Timeout".into());
    }
    minutes(&[("HTTPCode_ELB_504_Count", 40.0), ("TargetConnectionErrorCount", 40.0)], &mut shop);
    let deny = entry(90, false, false, Protocol::Tcp, "10.0.0.0/16", Some((8080, 8080)));
    shop.acl("acl-app").entries.push(deny);
    shop
}

/// 502 from something on every target: several causes look alike.
fn alike() -> Shop {
    let mut shop = Shop::default();
    minutes(&[("HTTPCode_ELB_502_Count", 300.0)], &mut shop);
    shop
}

const ACL: &str = "nacl-forward-denied";

#[test]
fn a_verdict_is_journaled_once_it_lasts_and_again_when_it_changes() {
    let mut d = Desk::on(&blocked());
    assert_eq!(d.stands(ACL), Some(Standing::Confirmed));
    assert_eq!(d.verdicts().len(), 0, "answers are still coming in");
    d.wait(1000);
    assert_eq!(d.verdicts().len(), 0);
    d.wait(1500);
    let first = (*d.verdicts()[0]).clone();
    assert_eq!(
        (first.by.as_deref(), first.at),
        (Some("badgate"), now()),
        "when it was judged, not when told"
    );
    assert_eq!((&first.data["cause"], &first.data["standing"]), (&ACL.into(), &"confirmed".into()));
    assert_eq!(first.data["was"], serde_json::Value::Null);
    assert!(first.data["evidence"][0]["value"].as_str().unwrap().contains("rule 90 denies tcp/8080"));
    assert!(first.data["next"][0].is_string());
    let told = d.verdicts().len();
    for _ in 0..5 {
        d.wait(1000);
    }
    assert_eq!(d.verdicts().len(), told, "told once");
    let entry = |d: &Desk| -> Vec<String> {
        let verdicts = d.state.timeline.iter().filter(|e| e.kind == EntryKind::Verdict);
        verdicts.map(|e| e.text.to_string()).collect()
    };
    assert!(entry(&d)[0].starts_with("confirmed nacl-forward-denied: path shop to web"), "{:?}", entry(&d));

    // Somebody mends it.
    let mended = Shop { acls: Shop::default().acls, ..blocked() };
    d.see(&mended);
    d.wait(300);
    assert_ne!(d.stands(ACL), Some(Standing::Confirmed));
    d.wait(3000);
    let last = d.verdicts().into_iter().rev().find(|v| v.data["cause"] == ACL).unwrap().clone();
    assert_eq!(last.data["was"], "confirmed");
    assert!(entry(&d).iter().any(|t| t.contains(ACL) && t.contains("(was confirmed)")), "{:?}", entry(&d));
}

#[test]
fn what_an_earlier_session_found_is_not_told_again() {
    let mut before = Desk::on(&blocked());
    before.wait(3000);
    let records: Vec<Recalled> = before
        .verdicts()
        .iter()
        .map(|v| Recalled::Entry {
            at: v.at,
            by: "badgate".into(),
            kind: v.kind.into(),
            data: v.data.clone(),
        })
        .collect();
    let told = records.len();
    assert!(told >= 1);

    let mut d = Desk::new(Lang::En);
    d.msg(Msg::Recalled(records));
    assert_eq!(d.state.timeline.iter().filter(|e| e.kind == EntryKind::Verdict).count(), told);
    d.see(&blocked());
    d.wait(3000);
    assert_eq!(d.verdicts().len(), 0, "{:?}", d.verdicts());
}

#[test]
fn what_was_not_told_yet_is_written_when_the_console_ends() {
    let mut d = Desk::on(&blocked());
    let last = update::parting(&mut d.state);
    assert!(
        last.iter().any(|e| matches!(e, Effect::Journal(x) if x.kind == "verdict" && x.data["cause"] == ACL))
    );
}

#[test]
fn a_storm_of_log_lines_is_judged_a_few_times_a_second_and_not_a_line() {
    let mut d = Desk::on(&alike());
    d.wait(1000);
    let cause = "memory-exhausted-oom";
    let before = d.stands(cause);
    assert!(!matches!(before, Some(Standing::Confirmed | Standing::Likely)), "{before:?}");
    let line = |at: Timestamp| LogLine {
        at,
        group: "/app/shop".into(),
        stream: "".into(),
        id: "".into(),
        text: "kernel: Out of memory: Killed process 4242 (java) total-vm:8123456kB".into(),
    };
    let at = d.state.now;
    let dull = LogLine { text: "GET / 200".into(), ..line(at) };
    // That there is a log at all is news.
    d.observe(Topic::Tail("/app/shop".into()), Fact::LogLines(vec![dull.clone()]));
    assert!(!d.state.stale.causes);
    d.observe(Topic::Tail("/app/shop".into()), Fact::LogLines(vec![line(at)]));
    d.wait(10);
    assert_eq!(d.stands(cause), before, "judged a moment ago");
    d.wait(300);
    assert!(d.stands(cause).is_some_and(Standing::names_it), "{:?}", d.stands(cause));
    // Lines that say nothing known cause no judgement at all.
    d.observe(Topic::Tail("/app/shop".into()), Fact::LogLines(vec![dull]));
    assert!(!d.state.stale.causes);
}

#[test]
fn signs_are_not_counted_twice_when_the_log_is_read_anew() {
    let mut d = Desk::on(&alike());
    d.state.following = vec!["/app/shop".into()];
    let at = d.state.now;
    let lines = vec![LogLine {
        at,
        group: "/app/shop".into(),
        stream: "".into(),
        id: "".into(),
        text: "kernel: Out of memory: Killed process 4242 (java)".into(),
    }];
    for _ in 0..2 {
        d.observe(Topic::Tail("/app/shop".into()), Fact::LogLines(lines.clone()));
        let seen = d.state.derived.signs.since(minutes_ago(60));
        assert_eq!(seen.iter().map(|s| s.count).sum::<usize>(), 1);
        d.keys(":since<enter><enter>");
    }
}

#[test]
fn enter_opens_a_verdict_and_a_digit_leads_to_the_row() {
    let mut d = Desk::on(&blocked());
    d.keys(":diagnosis<enter><enter>");
    let shown = d.screen(200, 50);
    assert!(shown.contains("1 paths"), "{shown}");
    assert!(
        shown.contains("rule 90 denies tcp/8080") && shown.contains("ec2:DescribeNetworkAcls"),
        "{shown}"
    );
    d.keys("1");
    assert_eq!(d.state.focus, PaneId::Paths);
    let row = d.state.view(PaneId::Paths).selected(&d.state).unwrap();
    assert!(row.text.contains("shop") && row.text.contains("8080"), "{row:?}");
    assert!(d.state.overlay.is_none());
    // A digit that leads nowhere does nothing, least of all run a step.
    d.keys(":diagnosis<enter><enter>9");
    assert!(d.state.overlay.is_some());
    assert!(!d.effects.iter().any(|e| matches!(e, Effect::Send(Command::Refresh { .. }))));
}

#[test]
fn next_is_a_key() {
    // Confirmed: what stops the bleeding.
    let mut d = Desk::on(&blocked());
    d.keys("x");
    assert_eq!(d.state.focus, PaneId::Procedure);
    let asked = d
        .effects
        .iter()
        .any(|e| matches!(e, Effect::Send(Command::Refresh { wants, .. }) if wants != &Want::ALL.to_vec()));
    let ran = d.state.timeline.iter().any(|e| e.text.starts_with("step 8"));
    assert!(asked || ran, "{:?}", d.effects);

    // Nothing is judged: nothing is next.
    let mut d = Desk::new(Lang::En);
    d.keys("x");
    assert_eq!(d.effects.len(), 0);
    assert!(d.state.notice.as_ref().unwrap().text.contains("no cause"));
}

#[test]
fn causes_that_look_alike_say_so_and_name_the_check() {
    let mut d = Desk::on(&alike());
    d.keys(":diagnosis<enter>");
    let shown = d.screen(120, 40);
    assert!(shown.contains("alike"), "{shown}");
    d.keys("<enter>");
    let shown = d.screen(120, 40);
    assert!(shown.contains("what was seen does not tell it from"), "{shown}");
    assert!(shown.contains("cheapest check"), "{shown}");
}

#[test]
fn a_risk_is_no_verdict() {
    let mut shop = Shop::default();
    minutes(&[], &mut shop);
    let deny = entry(90, false, false, Protocol::Tcp, "10.0.1.0/24", Some((8080, 8080)));
    shop.acl("acl-app").entries.push(deny);
    let mut d = Desk::on(&shop);
    d.wait(5000);
    assert_eq!(d.verdicts().len(), 0);
    let shown = d.screen(200, 50);
    assert!(shown.contains("risk      A network ACL drops packets"), "{shown}");
    assert!(!shown.contains("confirmed") && !shown.contains("likely"), "{shown}");
}

#[test]
fn what_could_not_be_asked_stands_folded_with_its_action() {
    let mut shop = blocked();
    shop.failed =
        vec![(Topic::NetworkAcls(VPC.into()), Reason::Denied { action: "ec2:DescribeNetworkAcls".into() })];
    let mut d = Desk::on(&shop);
    assert_eq!(d.stands(ACL), Some(Standing::Unchecked));
    d.keys(":diagnosis<enter>z");
    assert!(d.screen(120, 40).contains("unchecked"));
    // Through the list to the folded rest; Enter opens it in place.
    d.keys("/unchecked<enter>G<enter><esc>");
    d.keys("<esc>");
    let shown = d.screen(120, 60);
    assert!(shown.contains("ec2:DescribeNetworkAcls"), "{shown}");
}

#[test]
fn a_frozen_picture_keeps_its_verdicts() {
    let mut d = Desk::on(&blocked());
    d.keys("f");
    d.see(&Shop { acls: Shop::default().acls, ..blocked() });
    d.wait(1000);
    assert_eq!(d.stands(ACL), Some(Standing::Confirmed));
    d.keys("f");
    assert_ne!(d.stands(ACL), Some(Standing::Confirmed));
}

#[test]
fn the_verdict_at_every_size() {
    let mut d = Desk::on(&blocked());
    d.keys(":diagnosis<enter>");
    for (w, h) in [(200, 50), (120, 40), (80, 24), (40, 10)] {
        insta::assert_snapshot!(format!("verdicts_{w}x{h}"), d.screen(w, h));
    }
    d.keys("<enter>");
    for (w, h) in [(200, 50), (120, 40), (80, 24), (40, 10)] {
        insta::assert_snapshot!(format!("verdict_open_{w}x{h}"), d.screen(w, h));
    }
}

#[test]
fn in_japanese() {
    let mut d = Desk::new(Lang::Ja);
    d.see(&blocked());
    d.keys(":diagnosis<enter>");
    insta::assert_snapshot!(d.screen(80, 24));
}

#[test]
fn any_size_can_be_drawn() {
    for shop in [blocked(), alike()] {
        let mut d = Desk::on(&shop);
        d.keys(":diagnosis<enter>z");
        for open in ["", "<enter>"] {
            d.keys(open);
            for w in [0, 1, 2, 5, 9, 17, 39, 43, 44, 80, 200] {
                for h in [0, 1, 2, 3, 6, 10, 24, 60] {
                    d.screen(w, h);
                }
            }
        }
    }
}
