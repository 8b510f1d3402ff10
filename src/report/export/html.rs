//! The postmortem as one page of HTML for people who look rather than read: no
//! script, nothing loaded from elsewhere (and a policy that forbids both),
//! everything escaped.

use std::fmt::Write;

use super::incident::{Event, Incident, Verdict};
use super::tongue::say;
use super::{Head, svg, words};
use crate::diagnosis::catalogue::Catalogue;
use crate::procedure::Lang;

const STYLE: &str = include_str!("../../../assets/postmortem.css");

/// Text as HTML.
pub(super) fn esc(text: &str) -> String {
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

struct Page<'a> {
    w: String,
    i: &'a Incident,
    lang: Lang,
    titles: Option<Catalogue>,
}

pub(super) fn write(head: &Head, i: &Incident, lang: Lang) -> String {
    let mut page = Page { w: String::new(), i, lang, titles: Catalogue::load(lang.tag()).ok() };
    let t = |s| say(lang, s);
    let title = match i.target.as_str() {
        "" => t("Postmortem").to_owned(),
        target => format!("{}: {}", t("Postmortem"), esc(target)),
    };
    let _ = write!(
        page.w,
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p class=\"dim\">{}</p>\n",
        lang.tag(),
        esc(&head.range())
    );
    if let Some(warning) = head.level.warning() {
        let _ =
            writeln!(page.w, "<p class=\"warning\"><strong>{}:</strong> {}</p>", t("Warning"), esc(warning));
    }
    page.durations();
    page.summary();
    page.section(t("How it went"));
    page.w.push_str(&svg::timeline(i, lang));
    page.phases();
    page.path();
    page.causes();
    page.timeouts();
    page.section(t("Impact"));
    page.list(i.impact.iter().map(|t| esc(t)), t("Not recorded."));
    page.procedure();
    page.section(t("Actions taken"));
    page.events(&i.actions, t("None recorded."));
    page.notes();
    page.section(t("Action items"));
    page.events(&i.todo, t("None recorded."));
    page.section(t("Timeline (UTC)"));
    page.events(&i.timeline, t("Empty."));
    page.observations();
    page.section(t("Not recorded, not readable"));
    let problems = i.gaps.iter().map(line).chain(head.problems.iter().map(|p| esc(p)));
    page.list(problems, t("Nothing: every line of the file was read."));
    page.section(t("What this is made of"));
    let facts: Vec<(&str, String)> =
        head.lines().into_iter().filter(|(n, _)| *n != "warning").map(|(n, v)| (t(n), v)).collect();
    page.facts(&facts);
    page.w.push_str("</body>\n</html>\n");
    page.w
}

impl Page<'_> {
    fn section(&mut self, title: &str) {
        let _ = writeln!(self.w, "<h2>{title}</h2>");
    }

    fn durations(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        let names = [t("to detect"), t("to name the cause"), t("to mitigate"), t("to resolve")];
        self.w.push_str("<div class=\"cards\">\n");
        for ((name, value), label) in self.i.durations().into_iter().zip(names) {
            let known = self.i.lasted(name).is_some();
            let none = if known { "" } else { " none" };
            let value = if known { value } else { t("not recorded").to_owned() };
            let _ = writeln!(
                self.w,
                "<div class=\"card{none}\"><b>{}</b><span>{label}</span></div>",
                esc(&value)
            );
        }
        self.w.push_str("</div>\n");
    }

    fn summary(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        let i = self.i;
        let or_none = |text: String| if text.is_empty() { t("not recorded").to_owned() } else { text };
        // What was likely beside a confirmed cause stands below.
        let surest = i.verdicts.first().map_or("", |v| v.standing.as_str());
        let named: Vec<String> = i
            .verdicts
            .iter()
            .filter(|v| {
                matches!(v.standing.as_str(), "confirmed" | "likely") && v.standing.as_str() == surest
            })
            .map(|v| format!("{} ({}{})", v.cause, t(&v.standing), v.became()))
            .collect();
        let mut facts =
            vec![(t("cause"), or_none(named.join(", "))), (t("target"), or_none(i.target.to_string()))];
        facts.extend(i.place.iter().map(|(n, v)| (t(n), v.to_string())));
        let people: Vec<&str> = i.people.iter().map(AsRef::as_ref).collect();
        facts.push((t("people"), or_none(people.join(", "))));
        self.facts(&facts);
    }

    fn facts(&mut self, rows: &[(&str, String)]) {
        self.w.push_str("<table class=\"facts\">\n");
        for (name, value) in rows {
            let _ = writeln!(self.w, "<tr><th>{}</th><td>{}</td></tr>", esc(name), esc(value));
        }
        self.w.push_str("</table>\n");
    }

    fn phases(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        let _ = writeln!(
            self.w,
            "<table>\n<thead><tr><th>{}</th><th>{}</th><th>{}</th></tr></thead>",
            t("phase"),
            t("at (UTC)"),
            t("known by")
        );
        for p in &self.i.phases {
            let at = p.at.map_or(t("not recorded").to_owned(), words::time);
            let why = if p.at.is_some() { esc(&p.why) } else { String::new() };
            let _ = writeln!(self.w, "<tr><td>{}</td><td>{at}</td><td>{why}</td></tr>", t(p.name));
        }
        self.w.push_str("</table>\n");
    }

    fn path(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        let p = &self.i.picture;
        self.section(t("Request path"));
        if p.hops.is_empty() {
            let _ = writeln!(self.w, "<p>{}</p>", t("Nothing was observed of the request path."));
            return;
        }
        self.as_of();
        let broken = p.broken();
        self.w.push_str("<ol class=\"path\">\n");
        for (n, h) in p.hops.iter().enumerate() {
            let here = broken == Some(n);
            let _ = writeln!(
                self.w,
                "<li class=\"hop {}{}\"><div><small>{}</small>{}<span class=\"tag {}\">{}</span> {}{}</div></li>",
                h.status,
                if here { " broken" } else { "" },
                esc(h.kind),
                if h.name.as_str() == h.kind {
                    String::new()
                } else {
                    format!("<strong>{}</strong><br>", esc(&h.name))
                },
                h.status,
                t(h.status),
                esc(&h.word),
                if here { format!("<small>{}</small>", t("broken here")) } else { String::new() }
            );
        }
        self.w.push_str("</ol>\n<ul>\n");
        for h in p.hops.iter().filter(|h| h.status == "bad" || h.status == "warn") {
            let _ = writeln!(self.w, "<li><strong>{}</strong> {}</li>", esc(&h.name), esc(&h.why));
        }
        self.w.push_str("</ul>\n");
    }

    fn as_of(&mut self) {
        if let Some(at) = self.i.picture.as_of {
            let _ = writeln!(
                self.w,
                "<p class=\"dim\">{} {}</p>",
                {
                    let lang = self.lang;
                    let t = |s| say(lang, s);
                    t("as of")
                },
                words::time(at)
            );
        }
    }

    fn causes(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        self.section(t("Causes"));
        let (open, closed): (Vec<&Verdict>, Vec<&Verdict>) =
            self.i.verdicts.iter().partition(|v| match v.standing.as_str() {
                "unchecked" | "ruled out" | "" => false,
                // What was possible for a while, and then was not, needs no room.
                "possible" => v.later.is_none(),
                _ => true,
            });
        if open.is_empty() {
            let _ = writeln!(self.w, "<p>{}</p>", t("No cause was named."));
        }
        for v in open {
            let title = self.titles.as_ref().and_then(|c| c.get(&v.cause)).map(|w| esc(&w.title));
            let _ = writeln!(
                self.w,
                "<div class=\"cause {}\"><span class=\"tag\">{}</span> <strong>{}</strong> <code>{}</code> <span class=\"dim\">{} {}{}</span><ul>",
                class(&v.standing),
                esc(t(&v.standing)),
                title.unwrap_or_default(),
                esc(&v.cause),
                esc(&v.hop),
                words::time(v.at),
                esc(&v.became())
            );
            for (polarity, what) in &v.evidence {
                let _ = writeln!(self.w, "<li>{}: <code>{}</code></li>", esc(t(polarity)), esc(what));
            }
            for next in &v.next {
                let _ = writeln!(self.w, "<li>{}: {}</li>", t("next"), esc(next));
            }
            self.w.push_str("</ul></div>\n");
        }
        if !closed.is_empty() {
            self.w.push_str("<ul class=\"dim\">\n");
            for v in closed {
                let _ = writeln!(
                    self.w,
                    "<li>{} <code>{}</code>{}</li>",
                    esc(t(&v.standing)),
                    esc(&v.cause),
                    esc(&v.became())
                );
            }
            self.w.push_str("</ul>\n");
        }
        if !self.i.marks.is_empty() {
            let _ = writeln!(self.w, "<h3>{}</h3>", t("Marked rows"));
            self.events(&self.i.marks, "");
        }
    }

    fn timeouts(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        let p = &self.i.picture;
        self.section(t("Timeout chain"));
        if p.timers.is_empty() {
            let _ = writeln!(self.w, "<p>{}</p>", t("No timer was observed."));
            return;
        }
        let _ = writeln!(self.w, "<p class=\"dim\">{}</p>", t("drawn to scale, in seconds"));
        self.w.push_str(&svg::chain(&p.timers, lang));
        for o in &p.orders {
            let class = if o.standing == "violated" { "confirmed" } else { "likely" };
            let _ = writeln!(
                self.w,
                "<div class=\"cause {class}\"><span class=\"tag\">{}</span> <code>{}</code>{}<p class=\"dim\">{}</p></div>",
                t(o.standing),
                esc(&o.text),
                svg::order(o),
                esc(&o.why)
            );
        }
    }

    fn procedure(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        self.section(t("Procedure"));
        if self.i.steps.is_empty() {
            let _ = writeln!(self.w, "<p>{}</p>", t("No step was run."));
        }
        for s in &self.i.steps {
            let runs = if s.runs > 1 {
                format!(", {} {} {}", t("last of"), s.runs, t("runs"))
            } else {
                String::new()
            };
            let _ = writeln!(
                self.w,
                "<h3>{} {}: {}</h3><p class=\"dim\">{} {}{runs}</p><ul>",
                esc(&s.id),
                esc(&s.title),
                esc(&s.state),
                words::time(s.at),
                esc(&s.by)
            );
            for (level, finding) in &s.findings {
                let _ = writeln!(self.w, "<li>{} <code>{}</code></li>", esc(level), esc(finding));
            }
            for unknown in &s.unknown {
                let _ = writeln!(self.w, "<li>{}: <code>{}</code></li>", t("not known"), esc(unknown));
            }
            self.w.push_str("</ul>\n");
        }
    }

    fn notes(&mut self) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        self.section(t("Notes"));
        if self.i.notes.is_empty() {
            let _ = writeln!(self.w, "<p>{}</p>", t("No note was written."));
        }
        for n in &self.i.notes {
            let _ = writeln!(
                self.w,
                "<p><strong>{}</strong> <span class=\"dim\">{}</span></p><pre>{}</pre>",
                esc(&n.by),
                words::time(n.at),
                esc(&n.text)
            );
        }
    }

    fn events(&mut self, list: &[Event], none: &str) {
        let lang = self.lang;
        let t = |s| say(lang, s);
        if list.is_empty() {
            let _ = writeln!(self.w, "<p>{none}</p>");
            return;
        }
        let _ = writeln!(
            self.w,
            "<table class=\"events\">\n<thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead>",
            t("at"),
            t("kind"),
            t("by"),
            t("what")
        );
        for e in list {
            let _ = writeln!(
                self.w,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>",
                words::time(e.at),
                esc(&e.kind),
                esc(&e.by),
                esc(&e.text)
            );
        }
        self.w.push_str("</table>\n");
    }

    fn observations(&mut self) {
        let observed = self.i.kinds.get("observed").copied().unwrap_or(0);
        if observed > 0 {
            let lang = self.lang;
            let t = |s| say(lang, s);
            let _ = writeln!(
                self.w,
                "<p class=\"dim\">{observed} {}</p>",
                t("observation(s) are listed in the JSON and CSV exports; above stands what changed.")
            );
        }
    }

    /// A list of items that are HTML already.
    fn list(&mut self, list: impl Iterator<Item = String>, none: &str) {
        let list: Vec<String> = list.collect();
        if list.is_empty() {
            let _ = writeln!(self.w, "<p>{none}</p>");
            return;
        }
        self.w.push_str("<ul>\n");
        for item in list {
            let _ = writeln!(self.w, "<li>{item}</li>");
        }
        self.w.push_str("</ul>\n");
    }
}

/// A class of the style for a standing; what others wrote never becomes one.
fn class(standing: &str) -> &'static str {
    match standing {
        "confirmed" => "confirmed",
        "likely" => "likely",
        _ => "possible",
    }
}

fn line(e: &Event) -> String {
    format!("{} {} {}: <code>{}</code>", words::time(e.at), esc(&e.kind), esc(&e.by), esc(&e.text))
}
