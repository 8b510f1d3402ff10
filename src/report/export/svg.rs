//! Drawings of a postmortem as inline SVG: what happened when, and the timeout
//! chain. Colours are classes that the page's style fills in, so that the same
//! drawing is right in light, in dark and on paper; no meaning is told by
//! colour alone.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::html::esc;
use super::incident::{Event, Incident};
use super::picture::{Lane, Order, Timer};
use super::tongue::say;
use crate::procedure::Lang;

/// Columns of the drawing, in its own units.
const WIDTH: f64 = 1000.0;
/// Where lanes begin: their names stand to the left.
const LEFT: f64 = 132.0;
const RIGHT: f64 = 984.0;
/// Authors that have a lane of their own.
const AUTHORS: usize = 6;
/// Characters of a lane's name.
const NAME: usize = 19;

struct Scale {
    from: Timestamp,
    to: Timestamp,
}

impl Scale {
    fn x(&self, t: Timestamp) -> f64 {
        let all = self.to.duration_since(self.from).as_secs_f64().max(1.0);
        let part = t.duration_since(self.from).as_secs_f64() / all;
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// Round moments to label the axis with, at most about eight.
    fn marks(&self) -> Vec<Timestamp> {
        const STEPS: [i64; 14] =
            [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
        let all = self.to.duration_since(self.from).as_secs().max(1);
        let step = STEPS.into_iter().find(|s| all / s <= 8).unwrap_or(all / 8 / 86_400 * 86_400 + 86_400);
        let first = self.from.as_second().div_euclid(step) * step + step;
        (0..)
            .map(|i| first + i * step)
            .take_while(|s| *s <= self.to.as_second())
            .filter_map(|s| Timestamp::from_second(s).ok())
            .collect()
    }
}

/// The first characters of a text, for a label.
fn short(text: &str, most: usize) -> String {
    let one = text.lines().next().unwrap_or_default();
    if one.chars().count() <= most {
        return one.to_owned();
    }
    one.chars().take(most.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// Draws what happened when: 5xx, health, verdicts, steps, notes by author,
/// marks, changes and actions below each other on one axis.
pub(super) fn timeline(i: &Incident, lang: Lang) -> String {
    let t = |s| say(lang, s);
    let Some(scale) = scale(i) else { return String::new() };
    let mut d = Drawing { out: String::new(), y: 0.0, scale: &scale, lanes: Vec::new() };
    d.phases(i, lang);
    if !i.picture.errors.is_empty() {
        d.curve(&i.picture.errors, t("5xx a minute"));
    }
    for lane in &i.picture.lanes {
        d.health(lane, lang);
    }
    let of = |kind: &str| i.timeline.iter().filter(|e| e.kind.as_str() == kind).collect::<Vec<_>>();
    d.ticks(t("verdicts"), "verdict", &of("verdict"));
    d.ticks(t("steps"), "step", &of("step"));
    for (name, notes) in by_author(&i.notes, t("others")) {
        d.ticks(&format!("{} {name}", t("notes")), "note", &notes);
    }
    d.ticks(t("marks"), "mark", &i.marks.iter().collect::<Vec<_>>());
    let changes: Vec<(Timestamp, String)> = i
        .picture
        .changes
        .iter()
        .map(|c| (c.at, c.text.to_string()))
        .chain(
            of("change")
                .into_iter()
                .filter(|e| e.text.ends_with(" changed"))
                .map(|e| (e.at, e.text.to_string())),
        )
        .collect();
    d.moments(t("changes"), "change", &changes);
    d.ticks(t("actions"), "action", &i.actions.iter().collect::<Vec<_>>());
    let height = d.y + 22.0;
    let mut grid = String::new();
    for at in scale.marks() {
        let x = scale.x(at);
        let label = if scale.to.duration_since(scale.from).as_hours() >= 24 {
            at.strftime("%m-%d %H:%M").to_string()
        } else {
            at.strftime("%H:%M:%S").to_string().trim_end_matches(":00").to_owned()
        };
        // A whole hour would lose its minutes too.
        let label = if label.len() == 2 { format!("{label}:00") } else { label };
        let _ = write!(
            grid,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"44\" y2=\"{:.1}\"/><text class=\"axis\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            d.y,
            d.y + 16.0
        );
    }
    let mut frame = String::new();
    for (n, (top, bottom, name)) in d.lanes.iter().enumerate() {
        if n % 2 == 0 {
            let _ = write!(
                frame,
                "<rect class=\"band\" x=\"0\" y=\"{top:.1}\" width=\"{WIDTH}\" height=\"{:.1}\"/>",
                bottom - top
            );
        }
        let _ = write!(
            frame,
            "<text class=\"lane\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            (top + bottom) / 2.0 + 4.0,
            esc(&short(name, NAME))
        );
    }
    format!(
        "<svg class=\"drawing\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">\
         <defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>\
         {frame}{grid}{}</svg>\n",
        esc(t("How it went")),
        d.out
    )
}

/// From a little before the trouble to the end; `None` when nothing is to be drawn.
fn scale(i: &Incident) -> Option<Scale> {
    let first = i.timeline.iter().map(|e| e.at).min();
    let last = i.timeline.iter().map(|e| e.at).max()?;
    let begin = i.phase("onset").into_iter().chain(first).min()?;
    let lead = SignedDuration::from_secs((last.duration_since(begin).as_secs() / 12).clamp(30, 1800));
    let before = begin.checked_sub(lead).unwrap_or(begin);
    // Minutes before the beginning are drawn where there is something in them.
    let from = match i.picture.errors.first() {
        Some((t, _)) => before.max((*t).min(begin)),
        None => begin,
    };
    Some(Scale { from, to: last.max(from.checked_add(SignedDuration::from_mins(1)).ok()?) })
}

/// Notes of the busiest authors, each by the part of the name before the `@`;
/// the rest together.
fn by_author<'a>(notes: &'a [Event], others: &str) -> Vec<(String, Vec<&'a Event>)> {
    let mut by: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for n in notes {
        by.entry(n.by.as_str()).or_default().push(n);
    }
    let mut all: Vec<(&str, Vec<&Event>)> = by.into_iter().collect();
    all.sort_by_key(|(_, list)| std::cmp::Reverse(list.len()));
    let rest = if all.len() > AUTHORS { all.split_off(AUTHORS - 1) } else { Vec::new() };
    let mut out: Vec<(String, Vec<&Event>)> =
        all.into_iter().map(|(by, list)| (by.split('@').next().unwrap_or(by).to_owned(), list)).collect();
    if !rest.is_empty() {
        out.push((others.to_owned(), rest.into_iter().flat_map(|r| r.1).collect()));
    }
    out
}

struct Drawing<'a> {
    out: String,
    y: f64,
    scale: &'a Scale,
    /// Top, bottom and name of each lane.
    lanes: Vec<(f64, f64, String)>,
}

impl Drawing<'_> {
    fn lane(&mut self, height: f64, name: &str) -> f64 {
        let top = self.y;
        self.y += height;
        self.lanes.push((top, self.y, name.to_owned()));
        top
    }

    /// Labels above, one below the other where they would meet.
    fn phases(&mut self, i: &Incident, lang: Lang) {
        let mut ends = [f64::MIN; 3];
        let mut shown: Vec<_> = i.phases.iter().filter_map(|p| Some((p.at?, p.name))).collect();
        shown.sort_by_key(|p| p.0);
        for (at, name) in shown {
            let x = self.scale.x(at);
            let label = format!("{} {}", say(lang, name), at.strftime("%H:%M"));
            let wide = label.chars().map(|c| if c.is_ascii() { 6.4 } else { 12.0 }).sum::<f64>();
            let (anchor, begin) = if x + wide > RIGHT { ("end", x - wide - 3.0) } else { ("start", x + 3.0) };
            let row = ends.iter().position(|e| *e < begin).unwrap_or(2);
            ends[row] = begin + wide + 6.0;
            let y = 11.0 + row as f64 * 14.0;
            let dx = if anchor == "end" { x - 3.0 } else { x + 3.0 };
            let _ = write!(
                self.out,
                "<g class=\"phase {name}\"><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"100%\"/><text x=\"{dx:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text></g>",
                y - 9.0,
                esc(&label)
            );
        }
        self.y = 46.0;
    }

    fn curve(&mut self, errors: &[(Timestamp, f64)], name: &str) {
        let shown: Vec<(Timestamp, f64)> =
            errors.iter().copied().filter(|(t, _)| *t >= self.scale.from && *t <= self.scale.to).collect();
        let top = self.lane(92.0, name) + 8.0;
        let bottom = top + 78.0;
        let most = shown.iter().map(|p| p.1).fold(0.0, f64::max);
        let y = |v: f64| bottom - if most > 0.0 { v / most * 74.0 } else { 0.0 };
        let (mut line, mut area) = (String::new(), String::new());
        let mut before: Option<Timestamp> = None;
        for (at, v) in &shown {
            // A point stands for its minute: a step, not a slope.
            let (x, next) = (self.scale.x(*at), self.scale.x(*at + SignedDuration::from_mins(1)));
            let joined = before.is_some_and(|b| at.duration_since(b).as_secs() <= 60);
            let _ = write!(line, "{}{x:.1} {:.1}H{next:.1}", if joined { "L" } else { "M" }, y(*v));
            let _ = write!(area, "M{x:.1} {bottom:.1}V{:.1}H{next:.1}V{bottom:.1}Z", y(*v));
            before = Some(*at);
        }
        let _ = write!(
            self.out,
            "<path class=\"area\" d=\"{area}\"/><path class=\"line\" d=\"{line}\"/><line class=\"base\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>"
        );
        if most > 0.0 {
            let _ = write!(
                self.out,
                "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{most:.0}</text>",
                LEFT + 4.0,
                top + 8.0
            );
        }
    }

    fn health(&mut self, lane: &Lane, lang: Lang) {
        let top = self.lane(26.0, &format!("{} {}", say(lang, "health"), lane.name)) + 4.0;
        for s in &lane.spans {
            let (x, end) = (self.scale.x(s.from), self.scale.x(s.to));
            let w = (end - x).max(1.0);
            let (class, label, words) = match s.counts {
                None => ("unknown", "?".to_owned(), "not observed"),
                Some((_, 0)) => ("bad", "0".to_owned(), "none healthy"),
                Some((h, n)) if h == n => ("ok", format!("{h}/{n}"), "all healthy"),
                Some((0, n)) => ("bad", format!("0/{n}"), "none healthy"),
                Some((h, n)) => ("warn", format!("{h}/{n}"), "some healthy"),
            };
            let _ = write!(
                self.out,
                "<g class=\"span {class}\"><title>{} {}: {} {label}</title><rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"18\"/>",
                s.from.strftime("%H:%M:%SZ"),
                esc(&lane.name),
                esc(say(lang, words)),
            );
            if w > label.len() as f64 * 7.0 + 6.0 {
                let _ = write!(self.out, "<text x=\"{:.1}\" y=\"{:.1}\">{label}</text>", x + 4.0, top + 13.0);
            }
            self.out.push_str("</g>");
        }
    }

    fn ticks(&mut self, name: &str, class: &str, events: &[&Event]) {
        let list: Vec<(Timestamp, String)> = events.iter().map(|e| (e.at, e.text.to_string())).collect();
        self.moments(name, class, &list);
    }

    /// A dot a moment; those that would lie on each other become one that says
    /// how many they are.
    fn moments(&mut self, name: &str, class: &str, list: &[(Timestamp, String)]) {
        if list.is_empty() {
            return;
        }
        let top = self.lane(22.0, name);
        let mut at: BTreeMap<i64, (usize, f64, Timestamp, &str)> = BTreeMap::new();
        for (t, text) in list {
            let x = self.scale.x(*t);
            let place = at.entry((x / 7.0) as i64).or_insert((0, x, *t, text));
            place.0 += 1;
        }
        for (n, x, t, text) in at.into_values() {
            let r = if n == 1 { 4.0 } else { (4.0 + (n as f64).log2()).min(9.0) };
            let more = if n == 1 { String::new() } else { format!(" (+{})", n - 1) };
            let _ = write!(
                self.out,
                "<g class=\"dot {class}\"><title>{} {}{more}</title><circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"{r:.1}\"/>",
                t.strftime("%H:%M:%SZ"),
                esc(&short(text, 160)),
                top + 11.0
            );
            if n > 1 {
                let label = if n > 99 { "99+".to_owned() } else { n.to_string() };
                let _ = write!(
                    self.out,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                    top + 14.0
                );
            }
            self.out.push_str("</g>");
        }
    }
}

/// The longest value drawn in full: one that is more than five times the next
/// would leave nothing to see of the others.
fn reach(values: &[f64]) -> f64 {
    let mut v: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    v.sort_by(f64::total_cmp);
    while let [.., next, last] = v.as_slice() {
        if last > &(next * 5.0) {
            v.pop();
        } else {
            break;
        }
    }
    v.last().copied().unwrap_or(1.0)
}

/// Draws the timers to one scale, in the order of the path, those not known as
/// such.
pub(super) fn chain(timers: &[Timer], lang: Lang) -> String {
    let t = |s| say(lang, s);
    let known: Vec<f64> = timers.iter().filter_map(|x| x.seconds).collect();
    let most = reach(&known);
    let (left, right) = (390.0, 860.0);
    let mut out = String::new();
    let mut y = 4.0;
    let mut hop = "";
    for timer in timers {
        if timer.hop != hop {
            hop = timer.hop;
            y += 4.0;
        }
        let middle = y + 13.0;
        let name = format!("{} \u{b7} {}", timer.component, timer.label);
        let name = if timer.component.is_empty() { timer.label.to_string() } else { name };
        let _ = write!(
            out,
            "<g class=\"timer\"><title>{}: {}</title><text class=\"lane\" x=\"{:.0}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
            esc(&name),
            esc(&timer.said),
            left - 8.0,
            esc(&short(&name, 56))
        );
        match timer.seconds {
            Some(s) => {
                let beyond = s > most;
                let w = if beyond { right - left } else { (s / most * (right - left)).max(1.5) };
                let _ = write!(
                    out,
                    "<rect class=\"bar\" x=\"{left}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"12\"/>",
                    y + 3.0
                );
                if beyond {
                    // Two strokes through the bar: it goes on.
                    let x = right - 24.0;
                    let _ = write!(
                        out,
                        "<path class=\"cut\" d=\"M{x:.1} {:.1}l5 -16M{:.1} {:.1}l5 -16\"/>",
                        y + 17.0,
                        x + 6.0,
                        y + 17.0
                    );
                }
                let label = crate::diagnosis::timeouts::number(s);
                let note =
                    if beyond { format!(" ({})", t("longer than the drawing")) } else { String::new() };
                let (x, anchor) = if beyond { (WIDTH - 4.0, "end") } else { (left + w + 6.0, "start") };
                let label = if beyond { format!("{label} s") } else { format!("{label} s{note}") };
                let _ = write!(
                    out,
                    "<text class=\"value\" x=\"{x:.1}\" y=\"{middle:.1}\" text-anchor=\"{anchor}\">{}</text>",
                    esc(&label)
                );
            }
            None => {
                let _ = write!(
                    out,
                    "<rect class=\"none\" x=\"{left}\" y=\"{:.1}\" width=\"40\" height=\"12\"/><text class=\"value dim\" x=\"{:.1}\" y=\"{middle:.1}\">{}: {}</text>",
                    y + 3.0,
                    left + 46.0,
                    esc(t("not known")),
                    esc(&short(&timer.said, 70))
                );
            }
        }
        out.push_str("</g>");
        y += 19.0;
    }
    format!(
        "<svg class=\"drawing\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\"><defs><pattern id=\"hatch2\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>{out}</svg>\n",
        y + 6.0,
        esc(t("Timeout chain"))
    )
}

/// Draws the two sides of an inequality that does not hold, one above the other.
pub(super) fn order(o: &Order) -> String {
    let (Some(a), Some(b)) = (o.left.1, o.right.1) else { return String::new() };
    let most = a.max(b).max(f64::MIN_POSITIVE);
    let mut out = String::new();
    for (n, (label, v)) in [(&o.left.0, a), (&o.right.0, b)].into_iter().enumerate() {
        let y = 3.0 + n as f64 * 20.0;
        let w = (v / most * 420.0).max(1.5);
        let relation =
            if n == 0 && !o.relation.is_empty() { format!(" {}", o.relation) } else { String::new() };
        let _ = write!(
            out,
            "<text class=\"lane\" x=\"382\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"bar {}\" x=\"390\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"14\"/><text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{} s{}</text>",
            y + 11.0,
            esc(&short(label, 54)),
            if n == 0 { "wrong" } else { "" },
            396.0 + w,
            y + 11.0,
            crate::diagnosis::timeouts::number(v),
            esc(&relation)
        );
    }
    format!(
        "<svg class=\"drawing\" viewBox=\"0 0 {WIDTH} 44\" role=\"img\" aria-label=\"{}\">{out}</svg>",
        esc(&o.text)
    )
}
