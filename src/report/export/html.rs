//! The postmortem as one page of HTML: no script, nothing loaded from
//! elsewhere (and a policy that forbids both), everything escaped.

use super::incident::{Event, Incident};
use super::{Head, words};

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
code,pre{font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere}pre{border-left:3px solid #888;padding-left:1em}\
table{border-collapse:collapse}td,th{border:1px solid #888;padding:.2em .6em;text-align:left;vertical-align:top}\
.warning{border:2px solid #b00;padding:.5em 1em}";

/// Text as HTML.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn write(head: &Head, i: &Incident) -> String {
    let mut w = String::new();
    let title =
        if i.target.is_empty() { "Postmortem".to_owned() } else { format!("Postmortem: {}", esc(&i.target)) };
    w.push_str(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    ));
    if let Some(warning) = head.level.warning() {
        w.push_str(&format!("<p class=\"warning\"><strong>Warning:</strong> {}</p>\n", esc(warning)));
    }
    let facts: Vec<(String, String)> =
        head.lines().into_iter().filter(|(n, _)| *n != "warning").map(|(n, v)| (n.to_owned(), v)).collect();
    table(&mut w, &facts);

    section(&mut w, "Summary");
    let or_none = |text: String| if text.is_empty() { "not recorded".to_owned() } else { text };
    let mut facts = vec![("target".to_owned(), or_none(i.target.to_string()))];
    facts.extend(i.place.iter().map(|(n, v)| ((*n).to_owned(), v.to_string())));
    let people: Vec<&str> = i.people.iter().map(AsRef::as_ref).collect();
    facts.push(("people".to_owned(), or_none(people.join(", "))));
    let causes: Vec<String> = i
        .verdicts
        .iter()
        .filter(|v| matches!(v.standing.as_str(), "confirmed" | "likely"))
        .map(|v| format!("{} ({}{})", v.cause, v.standing, v.became()))
        .collect();
    facts.push(("cause".to_owned(), or_none(causes.join(", "))));
    table(&mut w, &facts);

    section(&mut w, "Impact");
    items(&mut w, i.impact.iter().map(|t| esc(t)), "Not recorded.");

    section(&mut w, "Phases");
    let mut rows: Vec<(String, String)> = i
        .phases
        .iter()
        .map(|p| {
            (
                p.name.to_owned(),
                p.at.map_or("not recorded".to_owned(), |t| format!("{}: {}", words::time(t), p.why)),
            )
        })
        .collect();
    rows.extend(i.durations().into_iter().map(|(n, v)| (n.to_owned(), v)));
    table(&mut w, &rows);

    section(&mut w, "Evidence");
    let verdicts = i.verdicts.iter().map(|v| {
        let mut text = format!(
            "{}{} <code>{}</code> {}",
            esc(&v.standing),
            esc(&v.became()),
            esc(&v.cause),
            esc(&v.hop)
        );
        text.push_str("<ul>");
        for (polarity, what) in &v.evidence {
            text.push_str(&format!("<li>{}: <code>{}</code></li>", esc(polarity), esc(what)));
        }
        for next in &v.next {
            text.push_str(&format!("<li>next: <code>{}</code></li>", esc(next)));
        }
        text + "</ul>"
    });
    items(&mut w, verdicts.chain(i.marks.iter().map(line)), "None recorded.");

    section(&mut w, "Procedure");
    let steps = i.steps.iter().map(|s| {
        let mut text = format!(
            "{} {}: {} ({} by {})<ul>",
            esc(&s.id),
            esc(&s.title),
            esc(&s.state),
            words::time(s.at),
            esc(&s.by)
        );
        for (level, finding) in &s.findings {
            text.push_str(&format!("<li>{} <code>{}</code></li>", esc(level), esc(finding)));
        }
        for unknown in &s.unknown {
            text.push_str(&format!("<li>not known: <code>{}</code></li>", esc(unknown)));
        }
        text + "</ul>"
    });
    items(&mut w, steps, "No step was run.");

    section(&mut w, "Actions taken");
    items(&mut w, i.actions.iter().map(line), "None recorded.");

    section(&mut w, "Notes");
    let notes =
        i.notes.iter().map(|n| format!("{} {}<pre>{}</pre>", words::time(n.at), esc(&n.by), esc(&n.text)));
    items(&mut w, notes, "No note was written.");

    section(&mut w, "Timeline (UTC)");
    items(&mut w, i.timeline.iter().map(line), "Empty.");

    section(&mut w, "Action items");
    items(&mut w, i.todo.iter().map(line), "None recorded.");

    section(&mut w, "Not recorded, not readable");
    let problems = i.gaps.iter().map(line).chain(head.problems.iter().map(|p| esc(p)));
    items(&mut w, problems, "Nothing: every line of the file was read.");
    w.push_str("</body>\n</html>\n");
    w
}

fn section(w: &mut String, title: &str) {
    w.push_str(&format!("<h2>{title}</h2>\n"));
}

fn table(w: &mut String, rows: &[(String, String)]) {
    w.push_str("<table>\n");
    for (name, value) in rows {
        w.push_str(&format!("<tr><th>{}</th><td>{}</td></tr>\n", esc(name), esc(value)));
    }
    w.push_str("</table>\n");
}

/// A list of items that are HTML already.
fn items(w: &mut String, list: impl Iterator<Item = String>, none: &str) {
    let list: Vec<String> = list.collect();
    if list.is_empty() {
        w.push_str(&format!("<p>{none}</p>\n"));
        return;
    }
    w.push_str("<ul>\n");
    for item in list {
        w.push_str(&format!("<li>{item}</li>\n"));
    }
    w.push_str("</ul>\n");
}

fn line(e: &Event) -> String {
    format!("{} {} {}: <code>{}</code>", words::time(e.at), esc(&e.kind), esc(&e.by), esc(&e.text))
}
