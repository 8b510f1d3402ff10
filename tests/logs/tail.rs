//! Tails over the wire: StartLiveTail's event stream, FilterLogEvents' pages.

use crate::support::{Lab, PATIENCE};
use crate::{aws, runtime};
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::aws::logs::{Tails, recent};
use badgate::sources::{EVENT_QUEUE, Event, Every, Options};
use badgate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Tails of a lab and everything they said.
struct Watch<'a> {
    lab: &'a Lab,
    runtime: Runtime,
    tails: Tails,
    events: mpsc::Receiver<Event>,
    lines: Vec<String>,
    states: Vec<(String, String)>,
}

impl<'a> Watch<'a> {
    fn new(lab: &'a Lab, groups: &[&str]) -> Self {
        let runtime = runtime();
        let (send, events) = mpsc::channel(EVENT_QUEUE);
        let every = Every { logs: Duration::from_secs(2), ..Every::default() };
        let options = Options { every, since: Some(jiff::Span::new().minutes(10)), ..Options::default() };
        let tails = runtime.block_on(async {
            let mut tails = Tails::new(aws(lab, options).await, send);
            tails.follow(&groups.iter().map(|g| SafeText::from(*g)).collect::<Vec<_>>(), None);
            tails
        });
        Watch { lab, runtime, tails, events, lines: Vec::new(), states: Vec::new() }
    }

    /// Waits until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            let next = self.runtime.block_on(async { tokio::time::timeout(left, self.events.recv()).await });
            let Ok(Some(Event::Observed(all))) = next else {
                panic!("waited for {what}; {} lines, {:?}", self.lines.len(), self.states);
            };
            self.take(all);
        }
    }

    fn take(&mut self, all: Vec<Observation>) {
        for o in all {
            let Topic::Tail(group) = &o.topic else { panic!("{:?}", o.topic) };
            match &o.fact {
                Fact::LogLines(lines) => self.lines.extend(lines.iter().map(|l| l.text.to_string())),
                Fact::Tail(t) => self.states.push((group.to_string(), format!("{:?}: {}", t.mode, t.note))),
                Fact::Unknown(r) => self.states.push((group.to_string(), r.phrase())),
                other => panic!("{other:?}"),
            }
        }
    }

    fn state(&self, group: &str) -> &str {
        self.states.iter().rev().find(|s| s.0 == group).map_or("", |s| &s.1)
    }

    fn say(&self, group: &str, text: &str) {
        self.lab.tail(&json!({ "group": group, "message": text }));
    }

    fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|l| l.as_str() == text).count()
    }

    fn sees(&mut self, text: &str) {
        self.until(text, |w| w.count(text) > 0);
    }
}

const APP: &str = "/app/shop";

#[test]
fn history_then_live_then_through_every_end_of_a_session() {
    let lab = Lab::start("shop");
    let mut w = Watch::new(&lab, &[APP]);
    w.until("history and live", |w| w.lines.len() > 100 && w.state(APP) == "Live: ");
    w.say(APP, "one \u{1b}[31mred");
    w.sees("one ^[[31mred");
    for (order, text) in [("end", "two"), ("abort", "three"), ("exception", "four")] {
        lab.tail(&json!([{ order: true }]));
        w.say(APP, text);
        w.sees(text);
        w.until("live again", |w| w.state(APP) == "Live: ");
        w.say(APP, &format!("{text} live"));
        w.sees(&format!("{text} live"));
    }
    for text in ["two", "three", "four", "two live", "three live", "four live"] {
        assert_eq!(w.count(text), 1, "{text}");
    }
    assert!(w.states.iter().any(|s| s.1.contains("live tail was cut")), "{:?}", w.states);
}

#[test]
fn sampling_is_shown() {
    let lab = Lab::start("shop");
    let mut w = Watch::new(&lab, &[APP]);
    w.until("live", |w| w.state(APP) == "Live: ");
    lab.tail(&json!([{ "sampled": true, "message": "one of many" }]));
    w.until("sampled", |w| w.state(APP).starts_with("Sampled: "));
    w.sees("one of many");
}

#[test]
fn several_groups_share_one_session() {
    let lab = Lab::start("shop");
    let mut w = Watch::new(&lab, &[APP, "/app/payments"]);
    w.until("live", |w| w.state(APP) == "Live: " && w.state("/app/payments") == "Live: ");
    w.say("/app/payments", "paid");
    w.sees("paid");
    let opened = lab.calls().iter().filter(|c| c.op == "StartLiveTail").count();
    assert_eq!(opened, 1);
    // One of them goes; the other is followed on.
    w.runtime.block_on(async { w.tails.follow(&["/app/payments".into()], None) });
    w.say("/app/payments", "paid again");
    w.sees("paid again");
}

#[test]
fn polls_with_pages_where_live_is_denied() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "StartLiveTail", "kind": "denied" }));
    let mut w = Watch::new(&lab, &[APP]);
    w.until("polling", |w| w.state(APP).starts_with("Polled: live tail needs logs:StartLiveTail"));
    lab.paging(3, "FilterLogEvents");
    for i in 0..5 {
        w.say(APP, &format!("line {i}"));
    }
    for i in 0..5 {
        w.sees(&format!("line {i}"));
    }
    assert!((0..5).all(|i| w.count(&format!("line {i}")) == 1));

    lab.clear_faults();
    w.tails.try_again();
    w.until("live", |w| w.state(APP).starts_with("Live: "));
}

#[test]
fn what_cannot_be_read_says_why_and_heals() {
    let lab = Lab::start("shop");
    lab.fault(
        &json!([{ "op": "StartLiveTail", "kind": "denied" }, { "op": "FilterLogEvents", "kind": "denied" }]),
    );
    let mut w = Watch::new(&lab, &[APP, "/gone"]);
    w.until("the reason", |w| {
        w.state(APP) == "access denied: needs logs:FilterLogEvents" && !w.state("/gone").is_empty()
    });
    assert!(w.lines.is_empty());
    lab.clear_faults();
    w.tails.try_again();
    w.until("lines", |w| !w.lines.is_empty() && w.state(APP).starts_with("Live: "));
    w.until("the missing one", |w| w.state("/gone").starts_with("not found: "));
}

#[test]
fn faults_of_a_poll_are_states_that_pass() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "StartLiveTail", "kind": "denied" }));
    let mut w = Watch::new(&lab, &[APP]);
    w.until("polling", |w| w.state(APP).starts_with("Polled"));
    for (i, (fault, word)) in [
        (json!({ "kind": "throttle", "times": 1 }), "throttled until"),
        (json!({ "truncate": true, "times": 2 }), "unreadable answer"),
        (json!({ "kind": "expired", "times": 1 }), "credentials: "),
        (json!({ "drop": "rst", "times": 2 }), "unreachable"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut doc = fault.clone();
        doc["op"] = json!("FilterLogEvents");
        lab.fault(&doc);
        w.until(word, |w| w.state(APP).starts_with(word));
        w.say(APP, &format!("after {i}"));
        w.sees(&format!("after {i}"));
        w.until("polling", |w| w.state(APP).starts_with("Polled"));
    }
}

#[test]
fn the_recent_lines_once() {
    let lab = Lab::start("shop-broken");
    let since = Timestamp::now() - SignedDuration::from_mins(5);
    let all = runtime().block_on(async {
        let aws = aws(&lab, Options::default()).await;
        recent(&aws, &[APP.into(), "/gone".into(), APP.into()], since).await
    });
    let Fact::LogLines(lines) = &all[0].fact else { panic!("{:?}", all[0]) };
    assert!(lines.len() > 100);
    assert!(lines.iter().all(|l| l.at >= since && l.group == APP && !l.id.is_empty()));
    assert!(lines.windows(2).all(|w| w[0].at <= w[1].at));
    assert!(matches!(all[1].fact, Fact::Tail(_)));
    assert!(matches!(all[2].fact, Fact::Unknown(_)));
    assert_eq!(all.len(), 3);
}
