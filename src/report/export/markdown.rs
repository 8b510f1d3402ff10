//! The postmortem as Markdown.
//!
//! Whatever others wrote stands in code spans and code blocks: there no link,
//! image, HTML or fence of theirs means anything, and nothing of theirs is
//! turned into a link by its form.

use super::incident::{Event, Incident, Phase};
use super::tongue::say;
use super::{Head, words};
use crate::procedure::Lang;
use crate::text::SafeText;

pub(super) fn write(head: &Head, i: &Incident, lang: Lang) -> String {
    let t = |s| say(lang, s);
    let mut w = Out(String::new());
    let title = if i.target.is_empty() { String::new() } else { format!(": {}", code(&i.target)) };
    w.line(&format!("# {}{title}", t("Postmortem")));
    w.blank();
    if let Some(warning) = head.level.warning() {
        w.line(&format!("> **{}: {warning}.**", t("Warning")));
        w.blank();
    }
    for (name, value) in head.lines() {
        if name != "warning" {
            w.line(&format!("- {}: {}", t(name), code(&value)));
        }
    }

    w.section(t("Summary"));
    w.line(t("Two sentences for those who were asleep: what broke, and what made it work again."));
    w.blank();
    summary(&mut w, i, lang);

    w.section(t("Impact"));
    if i.impact.is_empty() {
        w.line(t("Not recorded. Who was affected, how many requests failed, for how long?"));
    }
    for text in &i.impact {
        w.line(&format!("- {}", code(text)));
    }

    w.section(t("Phases"));
    w.line(&format!("| {} | {} | {} |", t("phase"), t("at (UTC)"), t("known by")));
    w.line("|---|---|---|");
    for Phase { name, at, why } in &i.phases {
        let at = at.map_or(t("not recorded").to_owned(), words::time);
        w.line(&format!("| {} | {at} | {} |", t(name), cell(why)));
    }
    w.blank();
    for (name, value) in i.durations() {
        let value = if i.lasted(name).is_some() { value } else { t("not recorded").to_owned() };
        w.line(&format!("- {}: {value}", t(name)));
    }

    picture(&mut w, i, lang);

    w.section(t("Evidence"));
    evidence(&mut w, i, lang);

    w.section(t("Procedure"));
    procedure(&mut w, i, lang);

    w.section(t("Actions taken"));
    w.events(&i.actions, t("None recorded."));

    w.section(t("Notes"));
    notes(&mut w, i, lang);

    w.section(t("Timeline (UTC)"));
    w.events(&i.timeline, t("Empty."));
    let observed = i.kinds.get("observed").copied().unwrap_or(0);
    if observed > 0 {
        w.blank();
        w.line(&format!(
            "{observed} {}",
            t("observation(s) are listed in the JSON and CSV exports; above stands what changed.")
        ));
    }

    w.section(t("Action items"));
    for e in &i.todo {
        w.line(&format!("- [ ] {} ({}, {})", code(&e.text), code(&e.by), words::time(e.at)));
    }
    if i.todo.is_empty() {
        w.line(&format!("- [ ] {}", t("None recorded. A note that begins `action:` becomes one.")));
    }

    w.section(t("Not recorded, not readable"));
    for e in &i.gaps {
        w.line(&format!("- {} {}", words::time(e.at), code(&e.text)));
    }
    for problem in &head.problems {
        w.line(&format!("- {}", code(problem)));
    }
    if i.gaps.is_empty() && head.problems.is_empty() {
        w.line(t("Nothing: every line of the file was read."));
    }
    w.0
}

fn summary(w: &mut Out, i: &Incident, lang: Lang) {
    let t = |s| say(lang, s);
    let target = if i.target.is_empty() { t("not recorded").to_owned() } else { code(&i.target) };
    w.line(&format!("- {}: {target}", t("target")));
    for (name, value) in &i.place {
        w.line(&format!("- {}: {}", t(name), code(value)));
    }
    let people: Vec<String> = i.people.iter().map(|p| code(p)).collect();
    w.line(&format!(
        "- {}: {}",
        t("people"),
        if people.is_empty() { t("not recorded").to_owned() } else { people.join(", ") }
    ));
    let causes: Vec<String> = i
        .verdicts
        .iter()
        .filter(|v| matches!(v.standing.as_str(), "confirmed" | "likely"))
        .map(|v| format!("{} ({}{})", code(&v.cause), t(&v.standing), v.became()))
        .collect();
    w.line(&format!(
        "- {}: {}",
        t("cause"),
        if causes.is_empty() { t("not recorded").to_owned() } else { causes.join(", ") }
    ));
}

/// The facts of the drawings: the page for browsers draws the same.
fn picture(w: &mut Out, i: &Incident, lang: Lang) {
    let t = |s| say(lang, s);
    let p = &i.picture;
    if !p.hops.is_empty() {
        w.section(t("Request path"));
        if let Some(at) = p.as_of {
            w.line(&format!("{} {}:", t("as of"), words::time(at)));
            w.blank();
        }
        for (n, h) in p.hops.iter().enumerate() {
            let here =
                if p.broken() == Some(n) { format!(" **{}**", t("broken here")) } else { String::new() };
            w.line(&format!(
                "- {} {}: {} {}{here}: {}",
                h.kind,
                code(&h.name),
                t(h.status),
                code(&h.word),
                code(&h.why)
            ));
        }
    }
    if !p.lanes.is_empty() || !p.errors.is_empty() {
        w.section(t("How it went"));
        if let Some((at, most)) = p.errors.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            let all: f64 = p.errors.iter().map(|e| e.1).sum();
            w.line(&format!(
                "- {}: {all:.0} in {} min, most {most:.0} at {}",
                t("5xx a minute"),
                p.errors.len(),
                words::time(*at)
            ));
        }
        for lane in &p.lanes {
            for s in &lane.spans {
                let counts = match s.counts {
                    None => t("not observed").to_owned(),
                    Some((h, n)) => format!("{h}/{n} {}", t("healthy")),
                };
                w.line(&format!(
                    "- {} {}: {counts} ({} to {})",
                    t("health"),
                    code(&lane.name),
                    words::time(s.from),
                    words::time(s.to)
                ));
            }
        }
        for c in &p.changes {
            w.line(&format!("- {} {}: {}", t("changes"), words::time(c.at), code(&c.text)));
        }
    }
    if !p.timers.is_empty() {
        w.section(t("Timeout chain"));
        for x in &p.timers {
            let value = match x.seconds {
                Some(s) => format!("{} s", crate::diagnosis::timeouts::number(s)),
                None => t("not known").to_owned(),
            };
            let of = if x.component.is_empty() { String::new() } else { format!("{} ", code(&x.component)) };
            w.line(&format!("- {of}{}: {value} ({})", code(&x.label), code(&x.said)));
        }
        for o in &p.orders {
            w.line(&format!("- **{}** {}: {}", t(o.standing), code(&o.text), code(&o.why)));
        }
    }
}

fn evidence(w: &mut Out, i: &Incident, lang: Lang) {
    let t = |s| say(lang, s);
    if i.verdicts.is_empty() && i.marks.is_empty() {
        w.line(t("None recorded. A row marked with `m` stands here."));
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
            w.line(&format!("  - {}: {}", t("next"), code(next)));
        }
    }
    if !i.marks.is_empty() {
        w.blank();
        w.line(&format!("{}:", t("Marked rows")));
        w.blank();
        w.events(&i.marks, "");
    }
}

fn procedure(w: &mut Out, i: &Incident, lang: Lang) {
    let t = |s| say(lang, s);
    if i.steps.is_empty() {
        w.line(t("No step was run."));
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
            w.line(&format!("  - {}: {}", t("not known"), code(text)));
        }
    }
}

fn notes(w: &mut Out, i: &Incident, lang: Lang) {
    let t = |s| say(lang, s);
    if i.notes.is_empty() {
        w.line(t("No note was written."));
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
