//! Twenty-three minutes of an outage, lived through by the console itself: what
//! it recorded, and what it showed at some of its moments.

use crate::world::{LB, Shop, VPC, WEB, entry, health, series};
use badgate::app::recorder::record_of;
use badgate::console::caps::{Caps, GlyphSet};
use badgate::console::keys::{Key, Keymap};
use badgate::console::msg::{Effect, Msg, Recalled};
use badgate::console::state::{Incident, JournalState, State};
use badgate::console::{draw, update};
use badgate::diagnosis::catalogue::Catalogue;
use badgate::journal::{Kind, Record};
use badgate::procedure::{Lang, Procedure};
use badgate::situation::around::{ChangeEvent, Changes};
use badgate::situation::log::{LogLine, Tail, TailMode};
use badgate::situation::net::Protocol;
use badgate::situation::{Fact, Identity, Observation, Topic};
use badgate::sources::{Command, Event};
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

pub fn t(clock: &str) -> Timestamp {
    format!("2026-11-22T{clock}Z").parse().unwrap()
}

/// A console as `badgate open shop` begins with.
pub fn console(now: Timestamp) -> State {
    let incident = Incident {
        name: "shop-2026-11-22".into(),
        path: Some("/home/yui/shop-2026-11-22.incident.jsonl".into()),
        author: "yui@bastion".into(),
        asked: "shop".into(),
        opened: now,
        onset: None,
    };
    let caps = Caps { glyphs: GlyphSet::Ascii, ..Caps::default() };
    let mut state = State::new(now, incident, caps, Keymap::default());
    state.set_procedure(Arc::new(Procedure::load(Lang::En).unwrap()));
    state.words = Catalogue::load("en").ok().map(Arc::new);
    state.journal = JournalState::Recording;
    state
}

/// The screen as text.
pub fn screen(state: &mut State, w: u16, h: u16) -> String {
    let before = state.size;
    update::update(state, Msg::Resize(w, h));
    state.settle();
    let mut terminal = Terminal::new(TestBackend::new(w, h)).unwrap();
    terminal.draw(|frame| _ = draw::draw(state, frame.buffer_mut())).unwrap();
    let buf = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..h {
        let mut row = String::new();
        let mut x = 0;
        while x < w {
            let symbol = buf[(x, y)].symbol();
            row.push_str(symbol);
            x += (badgate::text::width(symbol) as u16).max(1);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    update::update(state, Msg::Resize(before.0, before.1));
    out
}

pub fn keys(state: &mut State, keys: &str) -> Vec<Effect> {
    Key::sequence(keys).unwrap().into_iter().flat_map(|k| update::update(state, Msg::Key(k))).collect()
}

/// The live console at a moment, to be drawn at any size.
#[derive(Clone)]
pub struct Shot {
    pub at: Timestamp,
    pub state: Box<State>,
}

/// Moments all over the story: quiet, breaking, broken, mended.
pub const MOMENTS: [&str; 10] = [
    "01:35:30", "01:40:40", "01:41:05", "01:42:10", "01:43:15", "01:46:30", "01:50:00", "01:52:10",
    "01:53:30", "01:57:30",
];

/// The story, told once.
pub static STORY: LazyLock<Story> = LazyLock::new(|| tell(&MOMENTS));

#[derive(Clone)]
pub struct Story {
    pub records: Vec<Record>,
    pub shots: Vec<Shot>,
}

impl Story {
    pub fn bytes(&self) -> Vec<u8> {
        self.records.iter().flat_map(|r| r.clone().to_line()).collect()
    }
}

struct Teller {
    state: State,
    records: Vec<Record>,
}

impl Teller {
    fn write(&mut self, at: Timestamp, by: &str, kind: Kind, data: Value) {
        let mut r = Record::new(at, by.into(), kind, data);
        r.logged = self.state.now;
        self.records.push(r);
    }

    fn did(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Observed(list) => {
                    for o in list {
                        let mut r = record_of(&o);
                        r.logged = self.state.now;
                        self.records.push(r);
                    }
                }
                Effect::Journal(d) => {
                    let by = d.by.unwrap_or_else(|| "yui@bastion".into());
                    self.write(d.at, &by, Kind::from_name(d.kind), d.data);
                    if d.id != 0 {
                        let saved = badgate::console::msg::JournalNews::Saved { id: d.id };
                        update::update(&mut self.state, Msg::Journal(saved));
                    }
                }
                Effect::Send(Command::Refresh { id, .. }) => {
                    let more = update::update(&mut self.state, Msg::Source(Event::Done { id }));
                    self.did(more);
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, msg: Msg) {
        let effects = update::update(&mut self.state, msg);
        self.did(effects);
    }

    fn see(&mut self, source: &str, topic: Topic, fact: Fact) {
        let o = Observation { at: self.state.now, source: source.into(), topic, fact, took_ms: 40 };
        self.take(Msg::Source(Event::Observed(vec![o])));
    }

    fn press(&mut self, text: &str) {
        let effects = keys(&mut self.state, text);
        self.did(effects);
    }

    /// Somebody else writes into the file.
    fn other(&mut self, by: &str, kind: Kind, data: Value) {
        let at = self.state.now;
        self.write(at, by, kind.clone(), data.clone());
        let entry = Recalled::Entry { at, by: by.into(), kind: kind.to_string(), data };
        self.take(Msg::Recalled(vec![entry]));
    }

    fn shop(&mut self, shop: &Shop) {
        let now = self.state.now;
        let list = shop.observations().into_iter().map(|o| Observation { at: now, ..o }).collect();
        self.take(Msg::Source(Event::Observed(list)));
    }
}

/// Minutes of metrics as CloudWatch would tell them at `now`.
fn metrics(now: Timestamp) -> Fact {
    let first = t("01:05:00");
    let minutes = (now.duration_since(first).as_secs() / 60).max(0);
    let points = |value: &dyn Fn(i64) -> f64| {
        (0..minutes).map(|m| (first + SignedDuration::from_mins(m), value(m))).collect::<Vec<_>>()
    };
    // Minute 36 is 01:41.
    let bad = |m: i64| if (36..48).contains(&m) { 110.0 + (m % 5) as f64 * 9.0 } else { 0.0 };
    Fact::Metrics(vec![
        series(LB, "RequestCount", "Sum", points(&|m| 1000.0 + (m % 7) as f64 * 13.0)),
        series(LB, "HTTPCode_ELB_502_Count", "Sum", points(&bad)),
        series(LB, "HTTPCode_ELB_5XX_Count", "Sum", points(&bad)),
        series(LB, "TargetConnectionErrorCount", "Sum", points(&bad)),
    ])
}

fn targets(now: Timestamp) -> Fact {
    let ill = |from: &str, to: &str| now >= t(from) && now < t(to);
    let one = |id: &str, sick: bool| {
        if sick { health(id, 8080, "unhealthy", "Target.Timeout") } else { health(id, 8080, "healthy", "") }
    };
    Fact::TargetHealth(vec![one("i-a", ill("01:40:58", "01:53:20")), one("i-b", ill("01:41:20", "01:53:00"))])
}

fn lines(now: Timestamp, n: i64) -> Fact {
    let bad = now >= t("01:40:40") && now < t("01:52:50");
    let line = |i: i64| LogLine {
        at: now,
        group: "/app/shop".into(),
        stream: "web".into(),
        id: "".into(),
        text: if bad && i == 2 {
            format!("{n} ERROR upstream timed out (110) while connecting to 10.0.11.10:8080").into()
        } else {
            format!("{n} GET /cart/{} 200 {} ms", n % 97, n % 40 + i).into()
        },
    };
    Fact::LogLines((0..3).map(line).collect())
}

/// Tells the story; `shots` are moments at which the console is kept.
fn tell(shots: &[&str]) -> Story {
    let begin = t("01:35:00");
    let mut s = Teller { state: console(begin), records: Vec::new() };
    s.write(
        begin,
        "yui@bastion",
        Kind::Opened,
        json!({"target": "shop", "version": "0.1.0", "resumed": false}),
    );
    s.state.begin();
    let mut kept = Vec::new();
    let mut shop = Shop::default();
    let deny = entry(90, false, false, Protocol::Tcp, "10.0.0.0/16", Some((8080, 8080)));
    for second in 0..23 * 60 {
        let now = begin + SignedDuration::from_secs(second);
        s.take(Msg::Now(now));
        let clock = now.strftime("%H:%M:%S").to_string();
        match clock.as_str() {
            "01:35:01" => {
                let id = Identity {
                    account: "123456789012".into(),
                    region: "us-east-1".into(),
                    profile: "prod".into(),
                    ..Identity::default()
                };
                s.see("sts:GetCallerIdentity", Topic::Identity, Fact::Identity(id));
                s.shop(&shop);
                let tail = Tail { mode: TailMode::Live, note: "".into() };
                s.see("logs:StartLiveTail", Topic::Tail("/app/shop".into()), Fact::Tail(tail));
            }
            "01:40:36" => {
                shop.acl("acl-app").entries.insert(0, deny.clone());
                let acls = Fact::NetworkAcls(shop.acls.clone());
                s.see("ec2:DescribeNetworkAcls", Topic::NetworkAcls(VPC.into()), acls);
            }
            "01:42:00" => {
                let event = ChangeEvent {
                    at: t("01:40:31"),
                    name: "ReplaceNetworkAclEntry".into(),
                    service: "ec2.amazonaws.com".into(),
                    user: "deploy".into(),
                    about: vec!["acl-app".into()],
                    ..ChangeEvent::default()
                };
                let changes = Changes { from: Some(t("01:10:00")), events: vec![event], cut: "".into() };
                s.see("cloudtrail:LookupEvents", Topic::Changes(LB.into()), Fact::Changes(changes));
            }
            "01:42:30" => s.press("adetected: page from the shop <lt>checkout> team<enter>"),
            "01:43:10" => s.press("3"),
            "01:44:00" => s.other(
                "ken@laptop",
                Kind::Opened,
                json!({"target": "shop", "resumed": true, "command": "join"}),
            ),
            "01:44:20" => {
                s.other("ken@laptop", Kind::Note, json!({"text": "impact: checkout fails for everybody"}))
            }
            "01:45:30" => s.other(
                "ken@laptop",
                Kind::Note,
                json!({"text": "the network change of 01:40 is in\nterraform PR 4711 & \"reviewed\""}),
            ),
            "01:46:00" => s.press("<tab>m<backtab>"),
            "01:52:00" => {
                shop.acl("acl-app").entries.remove(0);
                s.other(
                    "yui@bastion",
                    Kind::Action,
                    json!({"text": "deleted rule 90 of acl-app", "state": "done", "undo": "create-network-acl-entry --rule-number 90"}),
                );
                let acls = Fact::NetworkAcls(shop.acls.clone());
                s.see("ec2:DescribeNetworkAcls", Topic::NetworkAcls(VPC.into()), acls);
            }
            "01:54:00" => s.press("amitigated: rule 90 is gone, targets come back<enter>"),
            "01:55:30" => {
                s.other("ken@laptop", Kind::Note, json!({"text": "action: test network ACLs in CI"}))
            }
            "01:57:00" => s.press("aresolved: no 502 for three minutes<enter>"),
            _ => {}
        }
        if second > 1 && second % 20 == 0 {
            s.see("elbv2:DescribeTargetHealth", Topic::TargetHealth(WEB.into()), targets(now));
        }
        if second > 1 && second % 30 == 5 {
            s.see("cloudwatch:GetMetricData", Topic::Metrics(LB.into()), metrics(now));
        }
        if second > 1 && second % 2 == 0 {
            s.see("logs:StartLiveTail", Topic::Tail("/app/shop".into()), lines(now, second));
        }
        if second % 5 == 0 {
            s.state.settle();
        }
        if shots.contains(&clock.as_str()) {
            // As the run loop does before it draws.
            s.state.settle();
            kept.push(Shot { at: now, state: Box::new(s.state.clone()) });
        }
    }
    let end = s.state.now;
    s.write(end, "yui@bastion", Kind::Closed, json!({"reason": "left"}));
    Story { records: s.records, shots: kept }
}
