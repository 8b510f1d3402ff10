//! Whole screens with everything on them: header, panes, key bar, and what lies
//! on top, driven by keys as a person types them.
mod world;

use badgate::console::caps::{Caps, GlyphSet};
use badgate::console::keys::{Key, Keymap};
use badgate::console::msg::{JournalNews, Msg};
use badgate::console::state::{Incident, JournalState, State};
use badgate::console::{draw, update};
use badgate::diagnosis::catalogue::Catalogue;
use badgate::procedure::{Lang, Procedure};
use badgate::situation::log::{GroupOrigin, LogGroup, LogLine};
use badgate::situation::{Fact, Identity, Observation, Topic};
use badgate::sources::{Call, Candidate, Event};
use jiff::SignedDuration;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;

/// An empty console that is being recorded.
fn blank(glyphs: GlyphSet) -> State {
    let incident = Incident {
        name: "shop-2026-11-22".into(),
        path: Some("/home/yui/shop.incident.jsonl".into()),
        author: "yui@bastion".into(),
        asked: "shop".into(),
        opened: world::now(),
        onset: None,
    };
    let caps = Caps { glyphs, ..Caps::default() };
    let mut state = State::new(world::now(), incident, caps, Keymap::default());
    state.set_procedure(Arc::new(Procedure::load(Lang::En).unwrap()));
    state.words = Catalogue::load("en").ok().map(Arc::new);
    state.journal = JournalState::Recording;
    state.begin();
    state
}

fn send(state: &mut State, topic: Topic, fact: Fact) {
    let o = Observation { at: state.now, source: "test".into(), topic, fact, took_ms: 1 };
    update::update(state, Msg::Source(Event::Observed(vec![o])));
}

/// The shop with two ill targets and a few log lines.
fn shop() -> State {
    let mut state = blank(GlyphSet::Ascii);
    let mut shop = world::Shop::default();
    for t in shop.targets.iter_mut().take(1) {
        t.state = "unhealthy".into();
        t.reason = "Target.Timeout".into();
    }
    update::update(&mut state, Msg::Source(Event::Observed(shop.observations())));
    let id = Identity {
        account: "123456789012".into(),
        arn: "arn:aws:iam::123456789012:user/yui".into(),
        region: "us-east-1".into(),
        profile: "prod".into(),
        expires: world::now().checked_add(SignedDuration::from_mins(41)).ok(),
    };
    send(&mut state, Topic::Identity, Fact::Identity(id));
    let line = |text: &str| LogLine {
        at: world::now(),
        group: "/app/shop".into(),
        stream: "".into(),
        id: "".into(),
        text: text.into(),
    };
    let lines =
        ["GET /cart 200 12 ms", "ERROR connection refused 10.0.11.10:8080", "決済 502 \u{1b}[2J"].map(line);
    send(&mut state, Topic::Tail("/app/shop".into()), Fact::LogLines(lines.to_vec()));
    let group = |name: &str, origin| LogGroup { name: name.into(), origin, stored_bytes: None };
    let groups =
        vec![group("/app/shop", GroupOrigin::TaskDefinition), group("/ecs/shop-web", GroupOrigin::NameMatch)];
    send(&mut state, Topic::LogGroups, Fact::LogGroups(groups));
    state
}

fn keys(state: &mut State, keys: &str) {
    for key in Key::sequence(keys).unwrap() {
        update::update(state, Msg::Key(key));
    }
}

/// The screen as text, `|` at the cursor's place where there is one.
fn screen(state: &mut State, w: u16, h: u16) -> String {
    update::update(state, Msg::Resize(w, h));
    state.settle();
    let mut terminal = Terminal::new(TestBackend::new(w, h)).unwrap();
    let mut cursor = None;
    terminal.draw(|frame| cursor = draw::draw(state, frame.buffer_mut())).unwrap();
    let buf = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..h {
        let mut row = String::new();
        let mut x = 0;
        while x < w {
            let symbol = if cursor == Some((x, y)) { "|" } else { buf[(x, y)].symbol() };
            row.push_str(symbol);
            x += (badgate::text::width(buf[(x, y)].symbol()) as u16).max(1);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

macro_rules! shown {
    ($name:ident, $w:expr, $h:expr, $keys:expr) => {
        #[test]
        fn $name() {
            let mut state = shop();
            keys(&mut state, $keys);
            insta::assert_snapshot!(screen(&mut state, $w, $h));
        }
    };
}

shown!(console_200x50, 200, 50, "");
shown!(console_120x40, 120, 40, "");
shown!(console_80x24, 80, 24, "");
shown!(console_40x10, 40, 10, "");
shown!(help_120x60, 120, 60, "?");
shown!(help_80x24_scrolled, 80, 24, "?<pgdn>");
shown!(palette_80x24, 80, 24, ":log");
shown!(note_80x24, 80, 24, "arolled back<ctrl-j>web to v41 \u{65e5}\u{672c}");
shown!(note_40x10, 40, 10, "aa note that is longer than the box is wide");
shown!(filter_80x24, 80, 24, "<tab>/err|502");
shown!(bad_filter_80x24, 80, 24, "<tab>/err(");
shown!(groups_80x24, 80, 24, "<tab>o ");
shown!(since_80x24, 80, 24, "<tab>s");
shown!(detail_80x24, 80, 24, "<tab>k<enter>");
shown!(frozen_80x24, 80, 24, "f");

#[test]
fn the_load_balancer_picker() {
    let mut state = blank(GlyphSet::Unicode);
    let candidate = |name: &str, errors| Candidate {
        arn: format!("arn:{name}").into(),
        name: name.into(),
        kind: "application".into(),
        dns_name: format!("{name}-123.eu-west-1.elb.amazonaws.com").into(),
        region: "eu-west-1".into(),
        place: "".into(),
        errors,
    };
    let list = vec![
        candidate("billing", Some(0.0)),
        candidate("new-one", None),
        candidate("shop", Some(48.0)),
        candidate("shop-internal", Some(2.0)),
    ];
    update::update(&mut state, Msg::Source(Event::Candidates { asked: "".into(), list, more: true }));
    let all = screen(&mut state, 120, 40);
    keys(&mut state, "sho<down>");
    insta::assert_snapshot!(format!("{all}\n{}", screen(&mut state, 80, 24)));
}

#[test]
fn calls_made_to_the_outside() {
    let mut state = shop();
    let call = |operation: &str, took_ms, failure: &str| {
        Msg::Source(Event::Called(Call {
            at: world::now(),
            operation: operation.into(),
            took_ms,
            request_id: "7c1f0c5e".into(),
            failure: failure.into(),
            answered_at: None,
        }))
    };
    update::update(&mut state, call("elbv2:DescribeTargetHealth", 83, ""));
    update::update(
        &mut state,
        call("ec2:DescribeNetworkAcls", 91, "access denied: needs ec2:DescribeNetworkAcls"),
    );
    keys(&mut state, ":calls<enter>");
    insta::assert_snapshot!(screen(&mut state, 80, 24));
}

#[test]
fn what_is_not_on_disk_is_seen_at_once() {
    let mut state = shop();
    let line = "the disk is full: free some space".into();
    keys(&mut state, "alost?<enter>");
    update::update(&mut state, Msg::Journal(JournalNews::Trouble { line, waiting: 3 }));
    keys(&mut state, "q");
    insta::assert_snapshot!(screen(&mut state, 80, 24));
}

#[test]
fn every_size_can_be_drawn_with_everything_on_top() {
    for overlay in ["", "?", ":", "ax", "/(", "<tab>o", "<tab>s", "<tab>k<enter>", ":calls<enter>", "f"] {
        let mut state = shop();
        keys(&mut state, overlay);
        for w in [0, 1, 2, 3, 11, 40, 79, 101, 160, 200] {
            for h in [0, 1, 2, 3, 7, 10, 24, 50, 200] {
                screen(&mut state, w, h);
            }
        }
    }
}
