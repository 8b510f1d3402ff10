//! What a postmortem wants to know, read out of the records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::picture::{Picture, Watcher};
use super::words::{self, duration, first, list, scalar, time, word};
use crate::diagnosis::series;
use crate::journal::{Kind, Record};
use crate::report::redact::Redactor;
use crate::situation::elb::TargetKey;
use crate::situation::{Change, Fact, Observation, Situation, short};
use crate::text::SafeText;

/// The phases of an incident, in order.
pub(super) const PHASES: [&str; 5] = ["onset", "detected", "diagnosed", "mitigated", "resolved"];

/// Durations that are asked for: name, from which phase, to which.
const DURATIONS: [(&str, &str, &str); 4] = [
    ("time to detect", "onset", "detected"),
    ("time to diagnose", "detected", "diagnosed"),
    ("time to mitigate", "detected", "mitigated"),
    ("time to resolve", "onset", "resolved"),
];

/// When a phase began, and how that is known.
pub(super) struct Phase {
    pub name: &'static str,
    pub at: Option<Timestamp>,
    pub why: SafeText,
}

/// A cause and how it stood at the end.
pub(super) struct Verdict {
    pub cause: SafeText,
    pub standing: SafeText,
    pub hop: SafeText,
    pub at: Timestamp,
    /// `for` or `against`, and the sentence.
    pub evidence: Vec<(SafeText, SafeText)>,
    pub next: Vec<SafeText>,
    /// How it stood last, when that was less sure, and since when.
    pub later: Option<(SafeText, Timestamp)>,
}

impl Verdict {
    /// `, ruled out since 01:59:00Z` when it stands otherwise by now.
    pub fn became(&self) -> String {
        let Some((standing, at)) = &self.later else { return String::new() };
        let word = if standing.is_empty() { "not judged" } else { standing.as_str() };
        format!(", {word} since {}", at.strftime("%H:%M:%SZ"))
    }
}

/// The last run of a step of the procedure.
pub(super) struct Step {
    pub id: SafeText,
    pub title: SafeText,
    pub state: SafeText,
    pub at: Timestamp,
    pub by: SafeText,
    pub runs: usize,
    /// Level (may be empty) and text.
    pub findings: Vec<(SafeText, SafeText)>,
    pub unknown: Vec<SafeText>,
}

/// One line of the timeline.
pub(super) struct Event {
    pub at: Timestamp,
    pub by: SafeText,
    pub kind: SafeText,
    pub text: SafeText,
}

pub(super) struct Incident {
    pub target: SafeText,
    /// Account, region and the like, as far as recorded.
    pub place: Vec<(&'static str, SafeText)>,
    pub phases: Vec<Phase>,
    pub impact: Vec<SafeText>,
    pub verdicts: Vec<Verdict>,
    pub steps: Vec<Step>,
    pub notes: Vec<Event>,
    pub marks: Vec<Event>,
    pub actions: Vec<Event>,
    pub gaps: Vec<Event>,
    pub todo: Vec<Event>,
    pub timeline: Vec<Event>,
    pub people: Vec<SafeText>,
    /// How many records of each kind.
    pub kinds: BTreeMap<SafeText, usize>,
    /// What is drawn.
    pub picture: Picture,
}

fn event(r: &Record) -> Event {
    Event { at: r.at, by: r.by.one_line(), kind: r.kind.as_str().into(), text: words::summary(r) }
}

/// What stands behind `impact:`, `action:` and the like at the head of a note.
fn headed<'a>(text: &'a str, heads: &[&str]) -> Option<&'a str> {
    let (head, rest) = text.split_once(':')?;
    let head = head.trim().to_ascii_lowercase();
    heads.contains(&head.as_str()).then(|| rest.trim()).filter(|r| !r.is_empty())
}

/// Whether a note or mark says that a phase began: by a `phase` in its data, or
/// by a note that begins `mitigated:`.
fn phase_of(r: &Record) -> Option<&'static str> {
    if !matches!(r.kind, Kind::Note | Kind::Mark | Kind::Action) {
        return None;
    }
    let named = word(&r.data, "phase").to_ascii_lowercase();
    let text = r.text().unwrap_or_default();
    PHASES.into_iter().find(|p| *p == named || (r.kind == Kind::Note && headed(text, &[p]).is_some()))
}

impl Incident {
    /// `clean` are the redacted records, `raw` the same as they were recorded.
    pub fn new(clean: &[Record], raw: &[&Record], redactor: &mut Redactor) -> Self {
        let of = |kind: Kind| clean.iter().filter(move |r| r.kind == kind);
        let (changes, onset, picture) = fold(raw, redactor);
        let mut timeline: Vec<Event> =
            clean.iter().filter(|r| r.kind != Kind::Observed).map(event).chain(changes).collect();
        timeline.sort_by_key(|e| e.at);
        let mut kinds = BTreeMap::new();
        for r in clean {
            *kinds.entry(SafeText::new(r.kind.as_str())).or_default() += 1;
        }
        let notes = || of(Kind::Note);
        let mut impact: Vec<SafeText> = onset.iter().map(|(_, why)| why.clone()).collect();
        impact.extend(notes().filter_map(|r| headed(r.text()?, &["impact"]).map(SafeText::multiline)));
        let people: BTreeSet<SafeText> = clean
            .iter()
            .filter(|r| matches!(r.kind, Kind::Note | Kind::Mark | Kind::Opened | Kind::Action | Kind::Step))
            .map(|r| r.by.one_line())
            .collect();
        Self {
            target: target(clean),
            place: place(clean),
            phases: phases(clean, onset),
            impact,
            verdicts: verdicts(clean),
            steps: steps(clean),
            notes: notes().map(event).collect(),
            marks: of(Kind::Mark).map(event).collect(),
            actions: of(Kind::Action).map(event).collect(),
            gaps: of(Kind::Gap).map(event).collect(),
            todo: notes()
                .filter_map(|r| {
                    let text =
                        headed(r.text()?, &["action", "action item", "todo", "follow-up", "followup"])?;
                    Some(Event { text: SafeText::multiline(text), ..event(r) })
                })
                .collect(),
            timeline,
            people: people.into_iter().collect(),
            kinds,
            picture,
        }
    }

    /// When a phase began.
    pub fn phase(&self, name: &str) -> Option<Timestamp> {
        self.phases.iter().find(|p| p.name == name).and_then(|p| p.at)
    }

    /// From when to when a duration lasted, if both are known.
    pub fn lasted(&self, name: &str) -> Option<(Timestamp, Timestamp)> {
        let (_, from, to) = DURATIONS.into_iter().find(|d| d.0 == name)?;
        Some((self.phase(from)?, self.phase(to)?))
    }

    /// Durations that a postmortem asks for: name and value, or that it is not
    /// recorded.
    pub fn durations(&self) -> Vec<(&'static str, String)> {
        DURATIONS
            .into_iter()
            .map(|(name, from, to)| {
                let value = match (self.phase(from), self.phase(to)) {
                    (Some(from), Some(to)) => duration(from, to),
                    _ => "not recorded".to_owned(),
                };
                (name, value)
            })
            .collect()
    }
}

/// As somebody typed it, else as it was found: it may have been picked.
fn target(records: &[Record]) -> SafeText {
    let opened = records.iter().filter(|r| r.kind == Kind::Opened);
    let typed = opened.map(|r| word(&r.data, "target")).find(|t| !t.is_empty());
    let found = || {
        let seen = records.iter().filter(|r| r.kind == Kind::Observed && word(&r.data, "fact") == "target");
        seen.filter_map(|r| r.data.get("data"))
            .map(|d| first(d, &["lb", "target_group"]))
            .find(|n| !n.is_empty())
    };
    typed.or_else(|| found().map(short)).map(SafeText::new).unwrap_or_default()
}

fn place(records: &[Record]) -> Vec<(&'static str, SafeText)> {
    let said = |member: &str| {
        let of = |r: &Record| match r.kind {
            Kind::Opened => Some(scalar(&r.data, member)),
            // `identity` observations know it where the opening did not say.
            Kind::Observed if word(&r.data, "fact") == "identity" => {
                r.data.get("data").map(|d| scalar(d, member))
            }
            _ => None,
        };
        records.iter().filter_map(of).find(|v| !v.is_empty()).map(SafeText::new)
    };
    ["account", "region", "profile", "version"]
        .into_iter()
        .filter_map(|name| Some((name, said(name)?)))
        .collect()
}

fn phases(records: &[Record], onset: Option<(Timestamp, SafeText)>) -> Vec<Phase> {
    let said = |name: &str| {
        records
            .iter()
            .filter(|r| phase_of(r) == Some(name))
            .min_by_key(|r| r.at)
            .map(|r| (r.at, SafeText::new(format!("{} by {}", r.kind, r.by))))
    };
    let debriefed = |name: &str| {
        let told = records.iter().find_map(|r| r.data.get("phases")?.get(name)?.as_str()?.parse().ok());
        told.map(|t| (t, SafeText::from_static("the debrief of the drill")))
    };
    let earliest =
        |wanted: &dyn Fn(&Record) -> bool| records.iter().filter(|r| wanted(r)).map(|r| r.at).min();
    let began = said("onset").or_else(|| debriefed("onset")).or_else(|| onset.clone()).map(|o| o.0);
    let since = |r: &Record| began.is_none_or(|t| r.at >= t);
    // A console that was open before it began has not noticed it by being opened.
    let did = |r: &Record| matches!(r.kind, Kind::Note | Kind::Step | Kind::Action) && since(r);
    let derived = |name: &str| -> Option<(Timestamp, SafeText)> {
        match name {
            // Somebody may have recorded it with a verdict or at the opening.
            "onset" => records
                .iter()
                .find_map(|r| word(&r.data, "onset").parse().ok())
                .map(|t| (t, SafeText::from_static("recorded")))
                .or_else(|| onset.clone()),
            "detected" => {
                let opened = earliest(&|r| r.kind == Kind::Opened && since(r));
                let told = opened.map(|t| (t, "the console was opened".into()));
                told.or_else(|| Some((earliest(&did)?, "the first step or note after the onset".into())))
                    .filter(|_| opened.is_some() || began.is_some())
            }
            "diagnosed" => earliest(&|r| {
                r.kind == Kind::Verdict
                    && since(r)
                    && matches!(word(&r.data, "standing"), "confirmed" | "likely")
            })
            .map(|t| (t, "the first cause that was confirmed or likely".into())),
            "mitigated" => earliest(&|r| {
                r.kind == Kind::Action
                    && matches!(word(&r.data, "state"), "done" | "succeeded" | "ok" | "applied")
            })
            .map(|t| (t, "the first action that was carried out".into())),
            "resolved" => records
                .iter()
                .filter(|r| r.kind == Kind::Closed && word(&r.data, "state") == "resolved")
                .map(|r| (r.at, SafeText::from_static("the incident was closed as resolved")))
                .next_back(),
            _ => None,
        }
    };
    PHASES
        .into_iter()
        .map(|name| match said(name).or_else(|| debriefed(name)).or_else(|| derived(name)) {
            Some((at, why)) => Phase { name, at: Some(at), why },
            None => Phase { name, at: None, why: "not recorded".into() },
        })
        .collect()
}

/// Each cause as it stood at its surest: a cause that was mended stands no
/// longer when the incident ends, and is the cause all the same. What became of
/// it is told beside.
fn verdicts(records: &[Record]) -> Vec<Verdict> {
    let mut best: BTreeMap<SafeText, Verdict> = BTreeMap::new();
    for r in records.iter().filter(|r| r.kind == Kind::Verdict) {
        // One verdict a record, or a list of them.
        let many = r.data.get("verdicts").and_then(Value::as_array);
        for d in many.map_or(std::slice::from_ref(&r.data), Vec::as_slice) {
            let cause = SafeText::new(first(d, &["cause", "text"]));
            if cause.is_empty() {
                continue;
            }
            let evidence = d.get("evidence").and_then(Value::as_array).into_iter().flatten().map(|e| {
                let said = match (first(e, &["what", "text"]), scalar(e, "value")) {
                    (what, value) if value.is_empty() => what.to_owned(),
                    (what, value) => format!("{what}: {value}"),
                };
                let at = match word(e, "at").parse::<Timestamp>() {
                    // More digits than a second has tell a reader nothing.
                    Ok(at) => time(at),
                    Err(_) => word(e, "at").to_owned(),
                };
                let source = [word(e, "source"), &at].join(" ");
                let source = source.trim();
                let said = if source.is_empty() { said } else { format!("{said} ({source})") };
                (SafeText::new(word(e, "polarity")), SafeText::new(said))
            });
            let verdict = Verdict {
                cause: cause.clone(),
                standing: word(d, "standing").replace('_', " ").into(),
                hop: word(d, "hop").into(),
                at: r.at,
                evidence: evidence.collect(),
                next: list(d, "next"),
                later: None,
            };
            match best.get_mut(&cause) {
                Some(before) if rank(before) < rank(&verdict) => {
                    before.later = Some((verdict.standing, verdict.at));
                }
                _ => _ = best.insert(cause, verdict),
            }
        }
    }
    let mut all: Vec<Verdict> = best.into_values().collect();
    all.sort_by_key(rank);
    all
}

/// The surest first.
fn rank(v: &Verdict) -> u8 {
    match v.standing.as_str() {
        "confirmed" => 0,
        "likely" => 1,
        "possible" => 2,
        "unchecked" => 3,
        _ => 4,
    }
}

fn steps(records: &[Record]) -> Vec<Step> {
    let mut last: BTreeMap<String, Step> = BTreeMap::new();
    for r in records.iter().filter(|r| r.kind == Kind::Step) {
        let d = &r.data;
        let id = scalar(d, "id");
        let checks: Vec<&Value> = d.get("checks").and_then(Value::as_array).into_iter().flatten().collect();
        let mut findings = findings(d);
        let mut unknown = list(d, "unknown");
        for check in checks {
            findings.extend(self::findings(check));
            unknown.extend(list(check, "unknown"));
        }
        let runs = last.get(&id).map_or(0, |s| s.runs) + 1;
        let step = Step {
            id: id.clone().into(),
            title: word(d, "title").into(),
            state: scalar(d, "state").into(),
            at: r.at,
            by: r.by.one_line(),
            runs,
            findings,
            unknown,
        };
        last.insert(id, step);
    }
    last.into_values().collect()
}

fn findings(d: &Value) -> Vec<(SafeText, SafeText)> {
    let levels = d.get("findings").and_then(Value::as_array).into_iter().flatten().map(|f| word(f, "level"));
    levels.map(SafeText::new).zip(list(d, "findings")).collect()
}

type Onset = Option<(Timestamp, SafeText)>;

/// What changed, since when responses fail, and what there is to draw.
fn fold(raw: &[&Record], redactor: &mut Redactor) -> (Vec<Event>, Onset, Picture) {
    let mut situation = Situation::new();
    let mut watcher = Watcher::new();
    let mut events = Vec::new();
    let mut lost: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut onset = None;
    let mut fell_ill: Option<(Timestamp, String)> = None;
    for r in raw.iter().filter(|r| !r.is_log()) {
        if r.kind != Kind::Observed {
            watcher.record(r, &situation);
            continue;
        }
        let Some(observation) = observation(r) else { continue };
        let mut moved: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let changes = situation.apply(&observation);
        watcher.observed(&observation, &situation);
        if matches!(observation.fact, Fact::Metrics(_)) {
            // As in the console, what was found once stays: at the end it may be over.
            onset = series::onset(&situation).or(onset);
        }
        for change in changes {
            let text = match change {
                Change::Health { group, target, from, to, .. } => {
                    let state = |(state, reason): &(SafeText, SafeText)| {
                        format!("{state} {reason}").trim_end().to_owned()
                    };
                    if from.is_some() && to.0.as_str().starts_with("unhealthy") {
                        fell_ill.get_or_insert_with(|| (observation.at, short(&group).to_owned()));
                    }
                    let from = from.as_ref().map_or("new".to_owned(), state);
                    let what = format!("{}: {from} -> {}", short(&group), state(&to));
                    moved.entry(what).or_default().push(name(&target));
                    continue;
                }
                Change::TargetGone { group, target, .. } => {
                    moved
                        .entry(format!("{}: no longer a target", short(&group)))
                        .or_default()
                        .push(name(&target));
                    continue;
                }
                Change::Config { topic, .. } => format!("{topic} changed"),
                // The same trouble again is no news.
                Change::Lost { topic, reason, .. } => match lost.insert(topic.to_string(), reason.word()) {
                    Some(before) if before == reason.word() => continue,
                    _ => format!("{topic}: {}", reason.phrase()),
                },
                Change::Found { topic, .. } => match lost.remove(&topic.to_string()) {
                    Some(_) => format!("{topic}: answers again"),
                    None => continue,
                },
            };
            events.push((r, text));
        }
        events
            .extend(moved.into_iter().map(|(what, targets)| (r, format!("{what}: {}", targets.join(", ")))));
    }
    let onset = onset.map(|o| (o.at, redactor.text(&o.why))).or_else(|| {
        let (at, group) = fell_ill?;
        Some((at, redactor.text(&format!("the first target of {group} became unhealthy"))))
    });
    let end = raw.iter().map(|r| r.at).max().unwrap_or_default();
    let picture = watcher.picture(&situation, end, redactor);
    let events = events
        .into_iter()
        .map(|(r, text)| Event {
            at: r.at,
            by: redactor.text(&r.by).one_line(),
            kind: "change".into(),
            text: redactor.text(&text),
        })
        .collect();
    (events, onset, picture)
}

fn name(target: &TargetKey) -> String {
    match target.port {
        Some(port) => format!("{}:{port}", short(&target.id)),
        None => short(&target.id).to_owned(),
    }
}

/// The observation of a record; its time and source may stand in the record
/// only.
pub(crate) fn observation(r: &Record) -> Option<Observation> {
    let mut data = r.data.clone();
    let map = data.as_object_mut()?;
    map.entry("at").or_insert_with(|| Value::from(r.at.to_string()));
    map.entry("source").or_insert_with(|| Value::from(r.by.as_str()));
    serde_json::from_value(data).ok()
}
