//! `badgate.export/1`.

use serde_json::{Map, Value, json};

use super::incident::{Event, Incident};
use super::{ExportError, Head, SCHEMA, picture};
use crate::journal::Record;

pub(super) fn write(head: &Head, i: &Incident, records: &[Record]) -> Result<String, ExportError> {
    let events = |list: &[Event]| -> Vec<Value> {
        list.iter().map(|e| json!({"at": stamp(e.at), "by": e.by, "kind": e.kind, "text": e.text})).collect()
    };
    let place: Map<String, Value> = i.place.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let phases: Vec<Value> =
        i.phases.iter().map(|p| json!({"phase": p.name, "at": p.at.map(stamp), "why": p.why})).collect();
    let durations: Map<String, Value> =
        i.durations().into_iter().map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect();
    let verdicts: Vec<Value> = i
        .verdicts
        .iter()
        .map(|v| {
            let evidence: Vec<Value> =
                v.evidence.iter().map(|(p, what)| json!({"polarity": p, "what": what})).collect();
            json!({"cause": v.cause, "standing": v.standing, "hop": v.hop, "at": stamp(v.at), "evidence": evidence, "next": v.next,
                "later": v.later.as_ref().map(|(standing, at)| json!({"standing": standing, "at": stamp(*at)}))})
        })
        .collect();
    let steps: Vec<Value> = i
        .steps
        .iter()
        .map(|s| {
            let findings: Vec<Value> =
                s.findings.iter().map(|(level, text)| json!({"level": level, "text": text})).collect();
            json!({"id": s.id, "title": s.title, "state": s.state, "at": stamp(s.at), "by": s.by, "runs": s.runs,
                "findings": findings, "unknown": s.unknown})
        })
        .collect();
    let all: Vec<Value> = records
        .iter()
        .map(|r| {
            json!({"v": r.v, "at": stamp(r.at), "logged": stamp(r.logged), "by": r.by, "kind": r.kind.as_str(), "data": r.data})
        })
        .collect();
    let document = json!({
        "schema": SCHEMA,
        "file": head.file,
        "range": {"from": stamp(head.first), "to": stamp(head.last)},
        "records_exported": head.records,
        "records_in_file": head.of,
        "filter": head.filter,
        "redaction": head.level.to_string(),
        "removed": head.removed.iter().map(|(id, n)| ((*id).to_owned(), json!(n))).collect::<Map<_, _>>(),
        "warning": head.level.warning(),
        "generated": stamp(head.generated),
        "problems": head.problems,
        "incident": {
            "target": i.target,
            "place": place,
            "phases": phases,
            "durations": durations,
            "impact": i.impact,
            "verdicts": verdicts,
            "steps": steps,
            "actions": events(&i.actions),
            "todo": events(&i.todo),
            "people": i.people,
            "timeline": events(&i.timeline),
            "picture": picture::as_json(&i.picture),
        },
        "records": all,
    });
    let mut text = serde_json::to_string_pretty(&document).map_err(|e| ExportError::Json(e.to_string()))?;
    text.push('\n');
    Ok(text)
}

fn stamp(t: jiff::Timestamp) -> String {
    format!("{t:.6}")
}
