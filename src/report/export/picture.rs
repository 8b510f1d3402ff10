//! What the drawn parts of a postmortem show, as data: the 5xx curve, the
//! health of each target group over time, the request path with its broken hop
//! and the timeout chain. Every text has been redacted; the JSON form carries
//! the same facts as the drawing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::words::{first, word};
use crate::diagnosis::{around, hops, path, series, timeouts};
use crate::journal::{Kind, Record};
use crate::procedure::{Note, measured};
use crate::report::redact::Redactor;
use crate::situation::{Fact, Observation, Situation, Topic, short};
use crate::text::SafeText;

/// Minutes of the 5xx curve at most: a week.
const MINUTES: usize = 7 * 1440;
/// Health is asked every few seconds and recorded at least once a minute.
/// After this long without a record nobody knows how the targets were.
const HEALTH_HOLDS: SignedDuration = SignedDuration::from_mins(5);
/// Verdicts at which the path is looked at anew; each costs an evaluation of
/// all its legs.
const LOOKS: usize = 64;

/// How many targets of a group were healthy, from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Healthy and all; `None`: nobody knows.
    pub counts: Option<(usize, usize)>,
}

/// The health of one target group over time.
pub(super) struct Lane {
    pub name: SafeText,
    pub spans: Vec<Span>,
}

/// A hop of the request path.
pub(super) struct HopFacts {
    pub kind: &'static str,
    pub name: SafeText,
    /// `ok`, `warn`, `bad`, `unknown`.
    pub status: &'static str,
    pub word: SafeText,
    pub why: SafeText,
}

/// A timer of the timeout chain.
pub(super) struct Timer {
    pub hop: &'static str,
    pub component: SafeText,
    pub label: SafeText,
    /// `None`: not known, and `said` is why.
    pub seconds: Option<f64>,
    pub said: SafeText,
}

/// An inequality between two timers that does not hold, or may not.
pub(super) struct Order {
    pub standing: &'static str,
    pub text: SafeText,
    pub why: SafeText,
    pub left: (SafeText, Option<f64>),
    pub right: (SafeText, Option<f64>),
    pub relation: &'static str,
}

/// A change to the cloud that somebody made.
pub(super) struct CloudChange {
    pub at: Timestamp,
    pub text: SafeText,
}

#[derive(Default)]
pub(super) struct Picture {
    /// 5xx responses by minute, as far as known, oldest first.
    pub errors: Vec<(Timestamp, f64)>,
    pub lanes: Vec<Lane>,
    pub changes: Vec<CloudChange>,
    /// When path and timeouts were as shown: at the verdict that showed most, else at the end.
    pub as_of: Option<Timestamp>,
    pub hops: Vec<HopFacts>,
    pub timers: Vec<Timer>,
    pub orders: Vec<Order>,
}

impl Picture {
    /// The hop that is broken: the deepest one that is bad, since what lies in
    /// front of a broken hop shows its errors.
    pub fn broken(&self) -> Option<usize> {
        self.hops.iter().rposition(|h| h.status == "bad")
    }
}

/// How sure a verdict is; less is surer.
fn surety(r: &Record) -> u8 {
    match word(&r.data, "standing") {
        "confirmed" => 0,
        "likely" => 1,
        _ => 2,
    }
}

/// Watches the fold of an incident and keeps what the drawing needs.
pub(super) struct Watcher {
    lanes: BTreeMap<SafeText, (SafeText, Vec<Span>)>,
    changes: BTreeMap<SafeText, CloudChange>,
    notes: Vec<Note>,
    surest: u8,
    looks: usize,
    taken: Option<Timestamp>,
    hops: Vec<hops::Hop>,
    chain: timeouts::Chain,
    last: Option<Timestamp>,
}

impl Watcher {
    pub fn new() -> Self {
        Self {
            lanes: BTreeMap::new(),
            changes: BTreeMap::new(),
            notes: Vec::new(),
            surest: 2,
            looks: 0,
            taken: None,
            hops: Vec::new(),
            chain: timeouts::Chain::default(),
            last: None,
        }
    }

    /// Takes in an observation that was just folded.
    pub fn observed(&mut self, o: &Observation, s: &Situation) {
        self.last = self.last.max(Some(o.at));
        match (&o.topic, &o.fact) {
            (Topic::TargetHealth(tg), Fact::TargetHealth(targets)) => {
                let healthy = targets.iter().filter(|t| t.is_healthy()).count();
                self.health(tg, o.at, Some((healthy, targets.len())), s);
            }
            (Topic::TargetHealth(tg), Fact::Unknown(_)) => self.health(tg, o.at, None, s),
            (Topic::Releases(_), Fact::Releases(_)) => {
                for r in around::releases_of_path(s) {
                    let Some(at) = r.created else { continue };
                    let text = format!("CodeDeploy {} of {}/{}: {}", r.id, r.application, r.group, r.status);
                    // What became of it is told by the newest look.
                    self.changes.insert(r.id.clone(), CloudChange { at, text: text.into() });
                }
            }
            (Topic::Changes(_) | Topic::FrontChanges(_), Fact::Changes(list)) => {
                for e in list.events.iter().filter(|e| e.failed.is_empty()) {
                    let about: Vec<&str> = e.about.iter().take(3).map(|a| short(a)).collect();
                    let text = format!("{} by {} ({})", e.name, e.user, about.join(", "));
                    let id = if e.id.is_empty() {
                        SafeText::new(format!("{} {text}", e.at))
                    } else {
                        e.id.clone()
                    };
                    self.changes.entry(id).or_insert(CloudChange { at: e.at, text: text.into() });
                }
            }
            _ => {}
        }
    }

    fn health(&mut self, tg: &SafeText, at: Timestamp, counts: Option<(usize, usize)>, s: &Situation) {
        let (name, spans) = self.lanes.entry(tg.clone()).or_default();
        let known = s.groups.get(tg).and_then(|g| g.group.as_ref()).map(|g| g.name.clone());
        *name = known.unwrap_or_else(|| SafeText::from(short(tg)));
        if let Some(open) = spans.last_mut() {
            if at < open.from {
                return;
            }
            let holds = open.from.max(open.to).checked_add(HEALTH_HOLDS).unwrap_or(at);
            if at > holds {
                open.to = holds;
                spans.push(Span { from: holds, to: at, counts: None });
            } else {
                open.to = at;
                if open.counts == counts {
                    return;
                }
            }
        }
        spans.push(Span { from: at, to: at, counts });
    }

    /// Takes in any other record, in the order of the file.
    pub fn record(&mut self, r: &Record, s: &Situation) {
        match r.kind {
            Kind::Note => {
                let text = SafeText::multiline(first(&r.data, &["text", "line"]));
                self.notes.push(Note { at: r.at, by: r.by.clone(), text });
            }
            Kind::Verdict if surety(r) < self.surest => {
                self.surest = surety(r);
                self.take(s, r.at, 0);
            }
            // The first sure verdict may come before the last hop has shown it.
            Kind::Verdict if self.surest < 2 && self.looks < LOOKS => {
                self.looks += 1;
                self.take(s, r.at, self.bad() + 1);
            }
            _ => {}
        }
    }

    fn bad(&self) -> usize {
        self.hops.iter().filter(|h| h.status == hops::Status::Bad).count()
    }

    /// Takes the path as it is, if at least that many of its hops are bad.
    fn take(&mut self, s: &Situation, at: Timestamp, least: usize) {
        let hops = hops::strip(s, &path::legs(s));
        if hops.iter().filter(|h| h.status == hops::Status::Bad).count() < least {
            return;
        }
        self.hops = hops;
        self.chain = timeouts::chain(s, &measured(&self.notes));
        self.taken = Some(at);
    }

    /// Everything, without its secrets. `end` is when the incident ends.
    pub fn picture(mut self, s: &Situation, end: Timestamp, redactor: &mut Redactor) -> Picture {
        if self.taken.is_none()
            && let Some(at) = s.at
        {
            self.take(s, at, 0);
        }
        let mut line = |t: &str| redactor.text(t).one_line();
        let lanes = self
            .lanes
            .into_values()
            .map(|(name, mut spans)| {
                if let Some(open) = spans.last_mut() {
                    let holds = open.to.checked_add(HEALTH_HOLDS).unwrap_or(end);
                    open.to = open.to.max(end.min(holds));
                    let from = open.to;
                    if from < end {
                        spans.push(Span { from, to: end, counts: None });
                    }
                }
                Lane { name: line(&name), spans }
            })
            .collect();
        let mut changes: Vec<CloudChange> = self.changes.into_values().collect();
        changes.sort_by_key(|c| c.at);
        for c in &mut changes {
            c.text = line(&c.text);
        }
        // Without a load balancer every hop is unknown, which is nothing to draw.
        let seen = s.target.value().is_some();
        let hops = self.hops.iter().filter(|_| seen).map(|h| HopFacts {
            kind: h.kind.word(),
            name: line(&h.name),
            status: h.status.word(),
            word: line(&h.word),
            why: line(&h.why),
        });
        let hops = hops.collect();
        let timers = self.chain.entries.iter().map(|e| {
            let said = match &e.value {
                timeouts::Value::Known { source, .. } => source.words(),
                timeouts::Value::Unknown(why) => why.phrase(),
            };
            Timer {
                hop: e.hop.word(),
                component: line(&e.component),
                label: line(&e.label),
                seconds: e.value.seconds().filter(|v| v.is_finite()),
                said: line(&said),
            }
        });
        let timers = timers.collect();
        let wrong = |r: &&timeouts::Rule| {
            matches!(r.standing, timeouts::Standing::Violated | timeouts::Standing::AtRisk)
        };
        let orders = self.chain.rules.iter().filter(wrong).map(|r| Order {
            standing: r.standing.word(),
            text: line(&r.text),
            why: line(&r.why),
            left: (line(&r.left.label), r.left.seconds),
            right: (line(&r.right.label), r.right.seconds),
            relation: r.relation,
        });
        let orders = orders.collect();
        Picture {
            errors: series::errors_per_minute(s, MINUTES),
            lanes,
            changes,
            as_of: self.taken,
            hops,
            timers,
            orders,
        }
    }
}

/// The picture's facts for the JSON form.
pub(super) fn as_json(p: &Picture) -> Value {
    let stamp = |t: Timestamp| format!("{t:.6}");
    let lanes: Vec<Value> = p
        .lanes
        .iter()
        .map(|l| {
            let spans: Vec<Value> = l
                .spans
                .iter()
                .map(|s| {
                    json!({"from": stamp(s.from), "to": stamp(s.to),
                        "healthy": s.counts.map(|c| c.0), "targets": s.counts.map(|c| c.1)})
                })
                .collect();
            json!({"group": l.name, "spans": spans})
        })
        .collect();
    let errors: Vec<Value> = p.errors.iter().map(|(t, v)| json!({"at": stamp(*t), "count": v})).collect();
    let hops: Vec<Value> = p
        .hops
        .iter()
        .map(|h| json!({"kind": h.kind, "name": h.name, "status": h.status, "word": h.word, "why": h.why}))
        .collect();
    let timers: Vec<Value> = p
        .timers
        .iter()
        .map(|t| json!({"hop": t.hop, "component": t.component, "label": t.label, "seconds": t.seconds, "said": t.said}))
        .collect();
    let orders: Vec<Value> =
        p.orders.iter().map(|o| json!({"standing": o.standing, "text": o.text, "why": o.why})).collect();
    json!({
        "errors_5xx_per_minute": errors,
        "health": lanes,
        "changes": p.changes.iter().map(|c| json!({"at": stamp(c.at), "text": c.text})).collect::<Vec<_>>(),
        "path_as_of": p.as_of.map(stamp),
        "path": hops,
        "broken_hop": p.broken().map(|i| p.hops[i].name.clone()),
        "timeouts": timers,
        "timeout_order": orders,
    })
}
