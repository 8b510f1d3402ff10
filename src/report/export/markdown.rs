//! The postmortem as Markdown.
//!
//! Whatever others wrote stands in code spans and code blocks: there no link,
//! image, HTML or fence of theirs means anything, and nothing of theirs is
//! turned into a link by its form.

use super::incident::{Event, Incident, Phase};
use super::{Head, words};
use crate::text::SafeText;

pub(super) fn write(head: &Head, i: &Incident) -> String {
    let mut w = Out(String::new());
    let title = if i.target.is_empty() { String::new() } else { format!(": {}", code(&i.target)) };
    w.line(&format!("# Postmortem{title}"));
    w.blank();
    if let Some(warning) = head.level.warning() {
        w.line(&format!("> **Warning: {warning}.**"));
        w.blank();
    }
    for (name, value) in head.lines() {
        if name != "warning" {
            w.line(&format!("- {name}: {}", code(&value)));
        }
    }

    w.section("Summary");
    w.line("Two sentences for those who were asleep: what broke, and what made it work again.");
    w.blank();
    summary(&mut w, i);

    w.section("Impact");
    if i.impact.is_empty() {
        w.line("Not recorded. Who was affected, how many requests failed, for how long?");
    }
    for text in &i.impact {
        w.line(&format!("- {}", code(text)));
    }

    w.section("Phases");
    w.line("| phase | at (UTC) | known by |");
    w.line("|---|---|---|");
    for Phase { name, at, why } in &i.phases {
        let at = at.map_or("not recorded".to_owned(), words::time);
        w.line(&format!("| {name} | {at} | {} |", cell(why)));
    }
    w.blank();
    for (name, value) in i.durations() {
        w.line(&format!("- {name}: {value}"));
    }

    w.section("Evidence");
    evidence(&mut w, i);

    w.section("Procedure");
    procedure(&mut w, i);

    w.section("Actions taken");
    w.events(&i.actions, "None recorded.");

    w.section("Notes");
    notes(&mut w, i);

    w.section("Timeline (UTC)");
    w.events(&i.timeline, "Empty.");
    let observed = i.kinds.get("observed").copied().unwrap_or(0);
    if observed > 0 {
        w.blank();
        w.line(&format!(
            "{observed} observation(s) are listed in the JSON and CSV exports; above stands what changed."
        ));
    }

    w.section("Action items");
    for e in &i.todo {
        w.line(&format!("- [ ] {} ({}, {})", code(&e.text), code(&e.by), words::time(e.at)));
    }
    if i.todo.is_empty() {
        w.line("- [ ] None recorded. A note that begins `action:` becomes one.");
    }

    w.section("Not recorded, not readable");
    for e in &i.gaps {
        w.line(&format!("- {} {}", words::time(e.at), code(&e.text)));
    }
    for problem in &head.problems {
        w.line(&format!("- {}", code(problem)));
    }
    if i.gaps.is_empty() && head.problems.is_empty() {
        w.line("Nothing: every line of the file was read.");
    }
    w.0
}

fn summary(w: &mut Out, i: &Incident) {
    let target = if i.target.is_empty() { "not recorded".to_owned() } else { code(&i.target) };
    w.line(&format!("- target: {target}"));
    for (name, value) in &i.place {
        w.line(&format!("- {name}: {}", code(value)));
    }
    let people: Vec<String> = i.people.iter().map(|p| code(p)).collect();
    w.line(&format!(
        "- people: {}",
        if people.is_empty() { "not recorded".to_owned() } else { people.join(", ") }
    ));
    let causes: Vec<String> = i
        .verdicts
        .iter()
        .filter(|v| matches!(v.standing.as_str(), "confirmed" | "likely"))
        .map(|v| format!("{} ({}{})", code(&v.cause), v.standing, v.became()))
        .collect();
    w.line(&format!(
        "- cause: {}",
        if causes.is_empty() { "not recorded".to_owned() } else { causes.join(", ") }
    ));
}

fn evidence(w: &mut Out, i: &Incident) {
    if i.verdicts.is_empty() && i.marks.is_empty() {
        w.line("None recorded. A row marked with `m` stands here.");
        return;
    }
    for v in &i.verdicts {
        let hop = if v.hop.is_empty() { String::new() } else { format!(" at {}", code(&v.hop)) };
        let standing =
            if v.standing.is_empty() { "standing not recorded".to_owned() } else { code(&v.standing) };
        w.line(&format!("- {standing}: {}{hop} ({}{})", code(&v.cause), words::time(v.at), v.became()));
        for (polarity, what) in &v.evidence {
            let polarity = if polarity.is_empty() { "evidence".to_owned() } else { code(polarity) };
            w.line(&format!("  - {polarity}: {}", code(what)));
        }
        for next in &v.next {
            w.line(&format!("  - next: {}", code(next)));
        }
    }
    if !i.marks.is_empty() {
        w.blank();
        w.line("Marked rows:");
        w.blank();
        w.events(&i.marks, "");
    }
}

fn procedure(w: &mut Out, i: &Incident) {
    if i.steps.is_empty() {
        w.line("No step was run.");
    }
    for s in &i.steps {
        let runs = if s.runs > 1 { format!(", last of {} runs", s.runs) } else { String::new() };
        let state = if s.state.is_empty() { "state not recorded".to_owned() } else { code(&s.state) };
        w.line(&format!(
            "- {} {}: {state} ({} by {}{runs})",
            code(&s.id),
            code(&s.title),
            words::time(s.at),
            code(&s.by)
        ));
        for (level, text) in &s.findings {
            let level = if level.is_empty() { String::new() } else { format!("{}: ", code(level)) };
            w.line(&format!("  - {level}{}", code(text)));
        }
        for text in &s.unknown {
            w.line(&format!("  - not known: {}", code(text)));
        }
    }
}

fn notes(w: &mut Out, i: &Incident) {
    if i.notes.is_empty() {
        w.line("No note was written.");
    }
    for author in &i.people {
        let own: Vec<&Event> = i.notes.iter().filter(|n| n.by == *author).collect();
        if own.is_empty() {
            continue;
        }
        w.line(&format!("### {}", code(author)));
        w.blank();
        for note in own {
            w.line(&format!("{}:", words::time(note.at)));
            w.blank();
            w.block(&note.text);
            w.blank();
        }
    }
}

struct Out(String);

impl Out {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn blank(&mut self) {
        if !self.0.ends_with("\n\n") {
            self.0.push('\n');
        }
    }

    fn section(&mut self, title: &str) {
        self.blank();
        self.line(&format!("## {title}"));
        self.blank();
    }

    fn events(&mut self, events: &[Event], none: &str) {
        if events.is_empty() {
            self.line(none);
        }
        for e in events {
            self.line(&format!(
                "- {} {} {}: {}",
                words::time(e.at),
                code(&e.kind),
                code(&e.by),
                code(&e.text)
            ));
        }
    }

    /// A code block whose fence is longer than any in the text.
    fn block(&mut self, text: &SafeText) {
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        self.line(&format!("{fence}text"));
        self.line(text);
        self.line(&fence);
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A code span: nothing in it is read as Markdown or HTML.
pub(super) fn code(text: &str) -> String {
    let one = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" / ");
    if one.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&one) + 1);
    let pad = if one.starts_with(['`', ' ']) || one.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{one}{pad}{fence}")
}

/// A code span in a table, where a bar would end the cell.
fn cell(text: &str) -> String {
    code(&text.replace('|', "\u{a6}"))
}
