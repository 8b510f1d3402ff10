//! The answer of `badgate logs`, as JSON and as a picture for 80 columns and more.

use crate::sources::access_log::Format;
use crate::sources::access_log::answer::{Answer, MinuteLine, Names, Pair, Times};
use crate::sources::access_log::sketch::{COARSE_ERROR, ERROR};
use crate::text::{SafeText, truncate_with, width};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// The schema of [`to_json`].
pub const SCHEMA: &str = "badgate.logs/1";

/// How the picture is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns.
    pub width: usize,
    pub color: bool,
    pub ascii: bool,
    /// Files that were not opened, as their names lie outside of the window.
    pub skipped: usize,
    /// Rows shown of each cause.
    pub samples: usize,
    /// What matters most comes first: there may be no room for all of it.
    pub brief: bool,
}

/// The document, with a line feed behind it.
pub fn to_json(a: &Answer) -> String {
    let status = |s: Option<u16>| s.map_or(Value::Null, Value::from);
    let named = |n: &Names| -> Vec<Value> {
        n.list.iter().map(|x| json!({"target": x.name, "count": x.count})).collect()
    };
    let doc = json!({
        "schema": SCHEMA,
        "files": a.files,
        "rows": a.rows,
        "unparsed": a.unparsed,
        "window": {"from": a.from, "to": a.to},
        "pairs": a.pairs.iter()
            .map(|p| json!({"lb": status(p.lb), "target": status(p.target), "count": p.count}))
            .collect::<Vec<_>>(),
        "targets_502": named(&a.targets_502),
        "target_time": times(&a.target_time),
        "per_minute": a.minutes.iter()
            .map(|m| json!({
                "minute": m.at, "total": m.rows, "lb_502": m.lb_502, "lb_504": m.lb_504, "lb_503": m.lb_503,
            }))
            .collect::<Vec<_>>(),
        "causes": a.causes.iter()
            .map(|c| json!({"cause": c.cause, "count": c.count, "samples": c.samples}))
            .collect::<Vec<_>>(),
        "shapes": a.shapes.iter().map(|s| json!({"shape": s.shape, "why": s.why})).collect::<Vec<_>>(),
        "engine": a.engine,
        "seconds": (a.seconds * 1000.0).round() / 1000.0,
    });
    // Nothing in it can fail to serialise.
    serde_json::to_string_pretty(&doc).map(|s| s + "\n").unwrap_or_default()
}

fn times(t: &Times) -> Value {
    json!({"count": t.count, "p50": t.p50, "p90": t.p90, "p99": t.p99, "max": t.max})
}

/// The picture.
pub fn to_text(a: &Answer, look: &Look) -> String {
    let mut p = Page { out: String::new(), look };
    p.head(a);
    if a.rows == 0 {
        p.problems(a);
        return p.out;
    }
    p.timeline(a);
    if look.brief {
        p.causes(a);
        p.shapes(a);
        p.targets(a);
        p.pairs(a);
        return p.out;
    }
    p.pairs(a);
    p.causes(a);
    p.shapes(a);
    p.targets(a);
    p.latency(a);
    p.tops(a);
    p.problems(a);
    p.out
}

const RED: &str = "31";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const DIM: &str = "2";

struct Page<'a> {
    out: String,
    look: &'a Look,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        let text = self.fit(text, self.look.width);
        self.out.push_str(&text);
        self.out.push('\n');
    }

    fn fit(&self, text: &str, cols: usize) -> String {
        truncate_with(text, cols, if self.look.ascii { "~" } else { "\u{2026}" }).into_owned()
    }

    fn paint(&self, text: &str, sgr: &str) -> String {
        if self.look.color && !text.is_empty() {
            format!("\x1b[{sgr}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn title(&mut self, text: &str) {
        let text = self.paint(&self.fit(text, self.look.width), BOLD);
        let _ = write!(self.out, "\n{text}\n");
    }

    /// Text over as many lines as it needs, with `mark` in front of the first.
    fn wrapped(&mut self, mark: &str, text: &str) {
        let indent = width(mark);
        let room = self.look.width.saturating_sub(indent).max(20);
        let mut line = String::new();
        let mut first = true;
        let mut flush = |line: &mut String, out: &mut String| {
            let lead = if std::mem::take(&mut first) { mark.to_owned() } else { " ".repeat(indent) };
            let _ = writeln!(out, "{lead}{line}");
            line.clear();
        };
        for word in text.split(' ') {
            let word = truncate_with(word, room, "~");
            if !line.is_empty() && width(&line) + 1 + width(&word) > room {
                flush(&mut line, &mut self.out);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        flush(&mut line, &mut self.out);
    }

    fn bar(&self, part: f64, cols: usize) -> String {
        let full = (part.clamp(0.0, 1.0) * cols as f64).round() as usize;
        let full = if part > 0.0 { full.max(1) } else { full };
        let glyph = if self.look.ascii { "#" } else { "\u{2588}" };
        glyph.repeat(full)
    }

    fn head(&mut self, a: &Answer) {
        let formats: Vec<&str> = a.formats.iter().map(|f| f.0.title()).collect();
        let rate = a.rows as f64 / a.seconds.max(1e-3);
        let what = format!(
            "{} rows of {} in {:.2} s ({} rows/s, {})",
            number(a.rows),
            count(a.files, "file"),
            a.seconds,
            short(rate),
            bytes(a.bytes),
        );
        self.line(&what);
        if let (Some(from), Some(to)) = (a.from, a.to) {
            self.line(&format!("{} to {}  {}", second(from), second(to), formats.join(", ")));
        }
        if a.stopped {
            let text = self.paint("! stopped before the end: this is what was read by then", YELLOW);
            let _ = writeln!(self.out, "{text}");
        }
        let mut left = Vec::new();
        for (n, what) in [
            (a.outside, "outside of the window"),
            (a.filtered, "left out by --where"),
            (a.beyond, "beyond two weeks of minutes, counted only"),
            (a.late, "more than ten minutes out of order"),
        ] {
            if n > 0 {
                left.push(format!("{} {what}", number(n)));
            }
        }
        if self.look.skipped > 0 {
            left.push(format!("{} outside of the window by name", count(self.look.skipped, "file")));
        }
        if !left.is_empty() {
            self.wrapped("  ", &left.join(", "));
        }
        let balanced = |f: &Format| matches!(f, Format::Alb | Format::Clb | Format::Nlb);
        if a.formats.iter().any(|(f, _)| balanced(f)) && !self.look.brief {
            let (idle, delay) = a.judged_by;
            self.line(&format!(
                "  judged by an idle timeout of {idle} s and a deregistration delay of {delay} s"
            ));
        }
        if a.unparsed > 0 {
            let share = a.unparsed as f64 / (a.rows + a.unparsed).max(1) as f64;
            let lines = if a.unparsed == 1 { "line" } else { "lines" };
            let text = format!("! {} {lines} could not be read ({})", number(a.unparsed), percent(share));
            let text = self.paint(&text, YELLOW);
            let _ = writeln!(self.out, "{text}");
        }
        let (bad, share) = (a.faults, a.faults as f64 / a.rows.max(1) as f64);
        let text = match (bad, a.rows) {
            (_, 0) => return,
            (0, _) => "+ no 5xx".to_owned(),
            _ => format!("x {} rows failed (5xx), {}", number(bad), percent(share)),
        };
        let text = self.paint(&text, if bad > 0 { RED } else { DIM });
        let _ = writeln!(self.out, "{text}");
    }

    /// Minutes from left to right: 5xx as columns, rows and latency as strips.
    fn timeline(&mut self, a: &Answer) {
        let drawn = main_part(&a.minutes);
        let (Some(first), Some(last)) = (drawn.first(), drawn.last()) else { return };
        let (from, to) = (minute(first.at), minute(last.at));
        const LABEL: usize = 10;
        let room = (self.look.width.saturating_sub(LABEL + 12)).max(10) as i64;
        let per = ((to - from + 1) + room - 1) / room;
        let per =
            [1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440].into_iter().find(|p| *p >= per).unwrap_or(per);
        let cells = ((to - from) / per + 1) as usize;
        let mut bad = vec![0u64; cells];
        let mut all = vec![0u64; cells];
        let mut slow = vec![0f64; cells];
        for m in drawn {
            let i = ((minute(m.at) - from) / per) as usize;
            bad[i] += m.faults;
            all[i] += m.rows;
            slow[i] = slow[i].max(m.p99_below.unwrap_or(0.0));
        }
        let every = if per == 1 { "minute".to_owned() } else { format!("{per} minutes") };
        self.title(&format!("Every {every}"));
        let most = bad.iter().copied().max().unwrap_or(0);
        if most > 0 {
            const HEIGHT: usize = 5;
            for row in (0..HEIGHT).rev() {
                let label = match row {
                    r if r == HEIGHT - 1 => number(most),
                    0 => "0".into(),
                    _ => String::new(),
                };
                let cells: String =
                    bad.iter().map(|n| self.column(*n as f64 / most as f64, row, HEIGHT)).collect();
                let cells = self.paint(cells.trim_end(), RED);
                let name = if row == HEIGHT - 1 { "5xx" } else { "" };
                let _ = writeln!(self.out, "{name:<4}{label:>6} {cells}");
            }
        }
        let most = all.iter().copied().max().unwrap_or(0).max(1);
        let strip: String = all.iter().map(|n| self.level(*n as f64 / most as f64)).collect();
        let _ = writeln!(self.out, "{:<LABEL$} {strip} max {}", "rows", short(most as f64));
        let worst = slow.iter().copied().fold(0.0, f64::max);
        if worst > 0.0 {
            // Each level is twice as long.
            let strip: String = slow
                .iter()
                .map(|s| self.level(if *s > 0.0 { (s * 1e3).log2() / 16.0 } else { 0.0 }))
                .collect();
            let strip = self.paint(&strip, YELLOW);
            let _ = writeln!(self.out, "{:<LABEL$} {strip} max {worst:.3} s", "p99 below");
        }
        let axis = self.axis(first.at, from, per, cells);
        let _ = writeln!(self.out, "{:<LABEL$} {}", "", axis.trim_end());
        let strays = a.minutes.len() - drawn.len();
        if strays > 0 {
            let all = |list: &[MinuteLine]| list.iter().map(|m| m.rows).sum::<u64>();
            let text = format!(
                "{} rows of {} minutes more than a day away from these are not in the picture",
                number(all(&a.minutes) - all(drawn)),
                number(strays as u64),
            );
            let text = self.paint(&self.fit(&text, self.look.width - 2), YELLOW);
            let _ = writeln!(self.out, "! {text}");
        }
        if let Some(at) = a.onset.filter(|at| (from..=to).contains(&minute(*at))) {
            let i = ((minute(at) - from) / per) as usize;
            let mark = format!("{}^ onset {}", " ".repeat(i.min(cells)), at.strftime("%H:%MZ"));
            let mark = self.paint(&self.fit(&mark, self.look.width - LABEL - 1), RED);
            let _ = writeln!(self.out, "{:<LABEL$} {mark}", "");
        }
    }

    fn axis(&self, first: Timestamp, from: i64, per: i64, cells: usize) -> String {
        let mut out = String::new();
        let mut i = 0;
        // The time of day says nothing where days pass by.
        let form = if per * cells as i64 > 3 * 1440 { "%m-%d" } else { "%H:%M" };
        while i + 5 <= cells.max(5) {
            let at = Timestamp::from_second((from + i as i64 * per) * 60).unwrap_or(first);
            out.push_str(&" ".repeat(i - width(&out).min(i)));
            out.push_str(&at.strftime(form).to_string());
            i += 15;
        }
        out
    }

    /// One character of a column: the part of it that falls in this row.
    fn column(&self, part: f64, row: usize, height: usize) -> char {
        let filled = part * height as f64 - row as f64;
        if filled <= 0.0 && !(row == 0 && part > 0.0) {
            return ' ';
        }
        self.level(filled.clamp(0.05, 1.0))
    }

    fn level(&self, part: f64) -> char {
        const ASCII: [char; 6] = [' ', '.', ':', '+', '*', '#'];
        if part <= 0.0 {
            return ' ';
        }
        if self.look.ascii {
            return ASCII[((part * 5.0).ceil() as usize).clamp(1, 5)];
        }
        let eighth = ((part * 8.0).ceil() as u32).clamp(1, 8);
        char::from_u32(0x2580 + eighth).unwrap_or('#')
    }

    fn pairs(&mut self, a: &Answer) {
        self.title("Status given, and the target's");
        let room = self.look.width.saturating_sub(36).clamp(4, 40);
        for Pair { lb, target, count: n } in a.pairs.iter().take(12) {
            let code = |s: &Option<u16>| s.map_or("-".into(), |s| s.to_string());
            let share = *n as f64 / a.rows.max(1) as f64;
            let text =
                format!("  {:>3} {:>3} {:>13} {:>8}  ", code(lb), code(target), number(*n), percent(share));
            let bar = self.bar(share, room);
            let bad = lb.is_some_and(|s| s >= 500) || target.is_some_and(|s| s >= 500);
            let bar = self.paint(&bar, if bad { RED } else { DIM });
            let _ = writeln!(self.out, "{text}{bar}");
        }
        if a.pairs.len() > 12 {
            self.line(&format!("  and {} more", a.pairs.len() - 12));
        }
    }

    fn causes(&mut self, a: &Answer) {
        if a.causes.is_empty() {
            return;
        }
        self.title("Causes the rows speak for");
        let most = a.causes.iter().map(|c| c.count).max().unwrap_or(1);
        let room = self.look.width.saturating_sub(50).clamp(4, 40);
        for c in &a.causes {
            let bar = self.bar(c.count as f64 / most as f64, room);
            let sgr = if c.cause.starts_with("client-") { DIM } else { RED };
            let (name, bar) = (format!("{:<34}", c.cause), self.paint(&bar, sgr));
            let name = self.paint(&name, BOLD);
            let _ = writeln!(self.out, "  {name} {:>11}  {bar}", number(c.count));
            for s in c.samples.iter().take(self.look.samples) {
                let text = self.paint(&self.fit(&format!("    {s}"), self.look.width), DIM);
                let _ = writeln!(self.out, "{text}");
            }
        }
    }

    fn shapes(&mut self, a: &Answer) {
        if a.shapes.is_empty() {
            return;
        }
        self.title("What all rows together show");
        for s in &a.shapes {
            self.wrapped("  ! ", &format!("{}: {}", s.shape, s.why));
        }
    }

    fn targets(&mut self, a: &Answer) {
        if a.targets.is_empty() || (a.targets.len() == 1 && a.targets[0].name.as_str() == "-") {
            return;
        }
        self.title(&format!("Targets, worst first (seconds within {:.1} %)", COARSE_ERROR * 100.0));
        let name_cols = self.look.width.saturating_sub(56).clamp(12, 44);
        self.line(&format!(
            "  {:<name_cols$} {:>11} {:>9} {:>7} {:>8} {:>8}",
            "", "rows", "5xx", "", "p50 s", "p99 s"
        ));
        for t in &a.targets {
            let time = |q: fn(&Times) -> Option<f64>| {
                t.times.as_ref().and_then(|x| q(&x[1])).map_or("-".into(), |s| format!("{s:.3}"))
            };
            let name = self.fit(&t.name, name_cols);
            let pad = " ".repeat(name_cols.saturating_sub(width(&name)));
            let share = t.faults as f64 / t.rows.max(1) as f64;
            let bad = format!("{:>9} {:>7}", number(t.faults), percent(share));
            let bad = self.paint(&bad, if t.faults > 0 { RED } else { DIM });
            let _ = writeln!(
                self.out,
                "  {name}{pad} {:>11} {bad} {:>8} {:>8}",
                number(t.rows),
                time(|x| x.p50),
                time(|x| x.p99)
            );
        }
    }

    fn latency(&mut self, a: &Answer) {
        if a.phases.iter().all(|t| t.count == 0) {
            return;
        }
        self.title(&format!("Seconds (within {:.1} %)", ERROR * 100.0));
        self.line(&format!(
            "  {:<22} {:>11} {:>9} {:>9} {:>9} {:>9}",
            "", "rows", "p50", "p90", "p99", "max"
        ));
        for (t, what) in
            a.phases.iter().zip(["before the target", "in the target", "after the target", "in all"])
        {
            if t.count == 0 {
                continue;
            }
            let s = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
            self.line(&format!(
                "  {what:<22} {:>11} {:>9} {:>9} {:>9} {:>9}",
                number(t.count),
                s(t.p50),
                s(t.p90),
                s(t.p99),
                s(t.max)
            ));
        }
    }

    fn tops(&mut self, a: &Answer) {
        for n in &a.tops {
            let exact =
                if n.lost > 0 { format!(", each at most {} too low", number(n.lost)) } else { String::new() };
            self.title(&format!(
                "5xx by {} ({}{}{exact})",
                n.what,
                n.distinct,
                if n.lost > 0 { " at least" } else { "" }
            ));
            // Many names with a few rows each say nothing but that.
            let most = n.list.first().map_or(0, |x| x.count);
            if n.distinct > 50 && most * 100 < a.faults {
                self.line(&format!("  spread out: none has more than {}", number(most)));
                continue;
            }
            let shown = if n.what == "paths" { n.list.len() } else { n.list.len().min(5) };
            for x in &n.list[..shown] {
                let of = x.of.map_or(String::new(), |of| format!(" of {}", number(of)));
                let counts = format!("{}{of}", number(x.count));
                // All target groups of an account begin alike.
                let name = x.name.split_once(":targetgroup/").map_or(x.name.as_str(), |n| n.1);
                self.line(&format!("  {counts:>22}  {name}"));
            }
        }
    }

    fn problems(&mut self, a: &Answer) {
        const SHOWN: usize = 10;
        if !a.unreadable.is_empty() {
            self.title("Lines that could not be read, such as");
            for u in &a.unreadable {
                self.line(&format!("  {}: {}", u.file, u.line));
            }
        }
        if !a.notes.is_empty() {
            self.title("Worth knowing");
            for p in a.notes.iter().take(SHOWN) {
                self.wrapped("  ", &format!("{}: {}", p.file, p.what));
            }
            if a.notes.len() > SHOWN {
                self.line(&format!("  and {} more", a.notes.len() - SHOWN));
            }
        }
        if a.problems.is_empty() {
            return;
        }
        self.title("Not read, or not wholly");
        for p in a.problems.iter().take(SHOWN) {
            self.wrapped("  ! ", &format!("{}: {}", p.file, p.what));
        }
        let more = a.problems.len().saturating_sub(SHOWN) + a.more_problems;
        if more > 0 {
            self.line(&format!("  and {more} more"));
        }
    }
}

/// The minutes that are drawn: all of them, but for rows of a clock that was
/// days off, which would leave the rest one column. They are left out when
/// they are few.
fn main_part(minutes: &[MinuteLine]) -> &[MinuteLine] {
    const DAY: i64 = 1440;
    const FEW: f64 = 0.05;
    let rows = |list: &[MinuteLine]| list.iter().map(|m| m.rows).sum::<u64>();
    let largest = minutes
        .chunk_by(|a, b| minute(b.at) - minute(a.at) <= DAY)
        .max_by_key(|part| rows(part))
        .unwrap_or_default();
    if rows(largest) as f64 >= rows(minutes) as f64 * (1.0 - FEW) { largest } else { minutes }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

fn second(at: Timestamp) -> SafeText {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

fn percent(part: f64) -> String {
    if part > 0.0 && part < 0.0005 { "<0.1 %".into() } else { format!("{:.1} %", part * 100.0) }
}

fn count(n: usize, what: &str) -> String {
    format!("{} {what}{}", number(n as u64), if n == 1 { "" } else { "s" })
}

/// `1,234,567`.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn short(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.1} M", n / 1e6),
        n if n >= 1e4 => format!("{:.0} k", n / 1e3),
        n => number(n as u64),
    }
}

fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} B"),
        10_000..1_000_000 => format!("{} kB", n / 1_000),
        1_000_000..10_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}
