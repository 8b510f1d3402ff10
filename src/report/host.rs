//! What `badgate host` prints: hosts side by side, with what differs marked,
//! and the document of schema `badgate.host/1`.

use super::check::wrap;
use crate::situation::host::{Capture, Host, Role};
use crate::situation::{Fact, Observation, Topic};
use crate::sources::host::{BRIEF, COMMANDS, Command, inside_commands};
use crate::text::{SafeText, width};
use serde_json::json;

/// Schema of the document.
pub const SCHEMA: &str = "badgate.host/1";

/// Every command a host is asked here or by `ssh`.
pub fn commands() -> String {
    let mut out = String::from("Commands a host is asked, each for at most 5 s; none of them writes:\n");
    listed(&mut out, COMMANDS);
    out
}

/// Every command a host is asked, by whatever way.
pub fn all_commands() -> String {
    commands() + "\n" + &brief_commands() + "\n" + &inside_list()
}

/// Those a container is asked by ECS Exec: some of the first list.
pub fn inside_list() -> String {
    let mut out = String::from(
        "By ECS Exec, in a container, as one line 'sh -c ...' (each for at most 5 s; none of them writes):\n",
    );
    for c in inside_commands() {
        listed(&mut out, std::slice::from_ref(c));
    }
    out
}

/// Those an instance is asked by Run Command.
pub fn brief_commands() -> String {
    let mut out = String::from(
        "By Systems Manager Run Command, shorter, as its answers are cut at 24,000 characters:\n",
    );
    out.push_str("\nlocal (a request of the host to itself, with port and path of its health check)\n");
    out.push_str("  curl -s -o /dev/null -m 3 -w '%{http_code}' http://127.0.0.1:PORT/PATH\n");
    listed(&mut out, BRIEF);
    out
}

fn listed(out: &mut String, commands: &[Command]) {
    for c in commands {
        out.push_str(&format!("\n{} ({})\n  {}\n", c.id, c.what, c.run));
    }
}

fn hosts(seen: &[Observation]) -> impl Iterator<Item = (&SafeText, &Fact, &Observation)> {
    seen.iter().filter_map(|o| match &o.topic {
        Topic::Host(name) => Some((name, &o.fact, o)),
        _ => None,
    })
}

/// The document, with a line feed behind it.
pub fn to_json(seen: &[Observation]) -> String {
    let list: Vec<_> = hosts(seen)
        .map(|(name, fact, o)| match fact {
            Fact::Host(h) => {
                json!({"asked": name, "at": o.at, "took_ms": o.took_ms, "host": h, "unknown": null})
            }
            Fact::Unknown(r) => json!({"asked": name, "at": o.at, "host": null, "unknown": r.phrase()}),
            _ => json!({"asked": name, "at": o.at, "host": null, "unknown": "not asked"}),
        })
        .collect();
    let known: Vec<&Host> = known(seen);
    let differ: Vec<_> = rows(&known)
        .into_iter()
        .filter(|r| r.compare && r.values.iter().any(|v| *v != r.values[0]))
        .map(|r| {
            let odd = r.odd();
            let values: serde_json::Map<String, serde_json::Value> =
                known.iter().zip(&r.values).map(|(h, v)| (h.asked.to_string(), json!(v))).collect();
            let odd: Vec<&str> =
                known.iter().zip(odd).filter(|(_, odd)| *odd).map(|(h, _)| h.asked.as_str()).collect();
            json!({"what": r.label, "values": values, "odd": odd})
        })
        .collect();
    let out = json!({"schema": SCHEMA, "hosts": list, "differ": differ});
    // Nothing in it can fail to serialise.
    serde_json::to_string_pretty(&out).map(|s| s + "\n").unwrap_or_default()
}

fn known(seen: &[Observation]) -> Vec<&Host> {
    hosts(seen)
        .filter_map(|(_, fact, _)| match fact {
            Fact::Host(h) => Some(&**h),
            _ => None,
        })
        .collect()
}

/// One fact of every host.
struct Row {
    label: String,
    /// In the order of the hosts.
    values: Vec<String>,
    /// Hosts that do the same work should have the same here.
    compare: bool,
}

impl Row {
    /// Which of them are not like most; all that differ where there is no most.
    fn odd(&self) -> Vec<bool> {
        let count = |v: &String| self.values.iter().filter(|x| *x == v).count();
        let most = self.values.iter().map(count).max().unwrap_or(0);
        let usual = self.values.iter().filter(|v| count(v) == most).min();
        let several = self.values.iter().any(|v| count(v) == most && Some(v) != usual);
        self.values.iter().map(|v| self.compare && (several || Some(v) != usual)).collect()
    }
}

/// Rows of settings and versions that are shown.
const SETTINGS: usize = 40;

fn rows(known: &[&Host]) -> Vec<Row> {
    let all = |f: &dyn Fn(&Host) -> String| -> Vec<String> { known.iter().map(|h| f(h)).collect() };
    let opt = |v: Option<String>| v.unwrap_or_else(|| "?".into());
    let row = |label: &str, values, compare| Row { label: label.into(), values, compare };
    let mut rows = vec![
        row("name", all(&|h| h.name.to_string()), false),
        row("load, cores", all(&|h| opt(h.load.zip(h.cores).map(|(l, c)| format!("{l} on {c}")))), false),
        row(
            "memory free",
            all(&|h| opt(h.memory.map(|m| format!("{} of {} MiB", m.available_mib, m.total_mib)))),
            false,
        ),
        row(
            "swap used",
            all(&|h| opt(h.memory.map(|m| format!("{} of {} MiB", m.swap_used_mib, m.swap_total_mib)))),
            false,
        ),
        row(
            "fullest disk",
            all(&|h| {
                let d = h.disks.iter().max_by_key(|d| d.used_percent);
                opt(d.and_then(|d| Some(format!("{} % of {}", d.used_percent?, d.mount))))
            }),
            false,
        ),
        row("clock off by", all(&|h| opt(h.clock_ms.map(|ms| format!("{ms:.0} ms")))), false),
        row(
            "listens",
            all(&|h| {
                let mut ports: Vec<(u16, &str)> =
                    h.listening.iter().map(|l| (l.port, l.process.as_str())).collect();
                ports.sort_unstable();
                ports.dedup();
                let list: Vec<String> = ports
                    .iter()
                    .take(12)
                    .map(|(p, by)| if by.is_empty() { p.to_string() } else { format!("{p}:{by}") })
                    .collect();
                let more = ports.len().saturating_sub(12);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                if list.is_empty() { "?".into() } else { list.join(", ") + &more }
            }),
            true,
        ),
        row(
            "queues",
            all(&|h| {
                let full = h.listening.iter().filter(|l| l.backlog > 0 && l.queued >= l.backlog);
                let full: Vec<String> = full.map(|l| format!("port {} full", l.port)).collect();
                if full.is_empty() { "-".into() } else { full.join(", ") }
            }),
            true,
        ),
        row("failed services", all(&|h| none(&h.failed_units)), true),
        row("kernel", all(&|h| h.kernel.last().map_or("-".into(), ToString::to_string)), true),
        row(
            "firewall",
            all(&|h| {
                let silent = |id: &str| h.silent.iter().any(|(i, _)| i.as_str() == id);
                if silent("nft") && silent("iptables") {
                    return "?".into();
                }
                let kept: Vec<String> = h
                    .listening
                    .iter()
                    .filter(|l| !l.kept_out.is_empty())
                    .map(|l| format!("{}{}", l.port, if l.kept_out_some { " for some" } else { "" }))
                    .collect();
                match (h.firewall.len(), kept.is_empty()) {
                    (0, _) => "no rule refuses".into(),
                    (n, true) => format!("{n} rules, all that listens is open"),
                    (_, false) => format!("shut: {}", kept.join(", ")),
                }
            }),
            true,
        ),
    ];
    let mut names: Vec<(SafeText, SafeText)> = Vec::new();
    for h in known {
        for (s, _) in &h.versions {
            let key = (s.clone(), SafeText::default());
            if !names.contains(&key) {
                names.push(key);
            }
        }
        for s in h.settings.iter().filter(|s| !matches!(s.role, Role::Other)) {
            let key = (s.server.clone(), s.name.clone());
            if !names.contains(&key) {
                names.push(key);
            }
        }
    }
    names.sort();
    for (server, setting) in names.iter().take(SETTINGS) {
        let values = all(&|h| {
            if setting.is_empty() {
                let v = h.versions.iter().find(|(s, _)| s == server);
                return v.map_or("-".into(), |(_, v)| v.to_string());
            }
            let mut list: Vec<&str> = h.settings(server, setting).map(|s| s.value.as_str()).collect();
            list.dedup();
            if list.is_empty() { "-".into() } else { list.join(" ") }
        });
        rows.push(row(format!("{server} {setting}").trim_end(), values, true));
    }
    rows
}

/// The same for people, as wide as the terminal: one row for each fact, one
/// column for each host, `!` before what is not like the others.
pub fn to_text(seen: &[Observation], columns: usize) -> String {
    let mut out = String::new();
    for (name, fact, _) in hosts(seen) {
        if let Fact::Unknown(r) = fact {
            wrap(&mut out, "x ", 2, &format!("{name}: {}", r.phrase()));
        }
    }
    let known = known(seen);
    if known.is_empty() {
        return out;
    }
    let rows = rows(&known);
    let label = rows.iter().map(|r| width(&r.label)).max().unwrap_or(0).clamp(12, 26);
    let room = columns.saturating_sub(label + 3);
    let each = room / known.len();
    let names = all_names(&known);
    if each < 14 {
        // Too many for columns: one below the other.
        for r in &rows {
            out.push_str(&format!("{}\n", r.label));
            let odd = r.odd();
            for ((name, value), odd) in names.iter().zip(&r.values).zip(odd) {
                wrap(
                    &mut out,
                    &format!("  {} ", if odd { "!" } else { " " }),
                    6,
                    &format!("{name}: {value}"),
                );
            }
        }
    } else {
        line(&mut out, "", &names, &vec![false; known.len()], label, each);
        for r in &rows {
            line(&mut out, &r.label, &r.values, &r.odd(), label, each);
        }
    }
    let mut told = false;
    for h in &known {
        for l in h.listening.iter().filter(|l| !l.kept_out.is_empty()) {
            told = true;
            let some = if l.kept_out_some { " (some senders)" } else { "" };
            wrap(
                &mut out,
                "  x ",
                6,
                &format!("{}: port {} is shut{some} by {}", h.asked, l.port, l.kept_out),
            );
        }
    }
    for h in &known {
        if let Some(c) = &h.capture {
            capture(&mut out, h, c);
        }
    }
    if told {
        out.push('\n');
    }
    for h in &known {
        let list: Vec<String> = h.silent.iter().map(|(id, why)| format!("{id} ({why})")).collect();
        if !list.is_empty() {
            wrap(&mut out, "  ? ", 6, &format!("{} did not tell: {}", h.asked, list.join(", ")));
        }
    }
    out
}

fn all_names(known: &[&Host]) -> Vec<String> {
    known.iter().map(|h| h.asked.to_string()).collect()
}

/// A row of the table; a value that is longer than its column goes on below.
fn line(out: &mut String, label: &str, values: &[String], odd: &[bool], left: usize, each: usize) {
    let cells: Vec<Vec<String>> = values.iter().map(|v| fold(v, each - 3)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    for y in 0..height {
        let mut text = format!("{:left$} ", if y == 0 { label } else { "" });
        for (cell, odd) in cells.iter().zip(odd) {
            let part = cell.get(y).map_or("", String::as_str);
            let sign = if *odd && y == 0 { "!" } else { " " };
            let pad = each.saturating_sub(2 + width(part));
            text.push_str(&format!(" {sign}{part}{}", " ".repeat(pad)));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

/// A text in pieces of at most so many columns, broken at blanks where it can be.
fn fold(text: &str, most: usize) -> Vec<String> {
    let (mut out, mut now) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let gap = usize::from(!now.is_empty());
        if width(&now) + gap + width(word) <= most {
            if gap == 1 {
                now.push(' ');
            }
            now.push_str(word);
            continue;
        }
        if !now.is_empty() {
            out.push(std::mem::take(&mut now));
        }
        for c in word.chars() {
            let mut next = now.clone();
            next.push(c);
            if width(&next) > most {
                out.push(std::mem::take(&mut now));
            }
            now.push(c);
        }
    }
    out.push(now);
    out
}

fn capture(out: &mut String, h: &Host, c: &Capture) {
    let of = if c.peer.is_empty() { String::new() } else { format!(" with {}", c.peer) };
    let head = format!(
        "{}: {} packets in {} s on port {}{of}, {} connections",
        h.asked, c.packets, c.seconds, c.port, c.connections
    );
    wrap(out, "  - ", 6, &head);
    if c.packets == 0 {
        wrap(out, "    ? ", 8, "nothing passed: this tells nothing, not that all is well");
        return;
    }
    let mut say = |bad: bool, text: String| wrap(out, if bad { "    x " } else { "    + " }, 8, &text);
    if c.resets_after_idle > 0 {
        let idle = c.idle_s.map_or(String::new(), |s| format!(", the longest pause {s:.1} s"));
        say(true, format!("{} RST to what came after a pause{idle}: a keep-alive race", c.resets_after_idle));
    }
    if c.refused > 0 {
        say(true, format!("{} SYN refused by RST", c.refused));
    }
    if c.unanswered > 0 || c.syn_retransmits > 0 {
        say(true, format!("{} SYN never answered, {} sent again", c.unanswered, c.syn_retransmits));
    }
    for (what, n) in &c.icmp {
        say(true, format!("ICMP {what} x{n}"));
    }
    if c.resets_after_idle + c.refused + c.unanswered == 0 && c.icmp.is_empty() {
        say(false, format!("{} RST, none of them after a pause, nothing refused or unanswered", c.resets));
    }
}

fn none(list: &[SafeText]) -> String {
    if list.is_empty() {
        return "none".into();
    }
    list.iter().map(SafeText::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::host::{Listening, Setting};
    use jiff::Timestamp;

    fn host(n: usize, keep: &str) -> Observation {
        let h = Host {
            asked: format!("ssh:web-{n}").into(),
            name: format!("web-{n}").into(),
            listening: vec![Listening { port: 8080, process: "node".into(), ..Listening::default() }],
            settings: vec![Setting {
                server: "node".into(),
                name: "keepAliveTimeout".into(),
                value: keep.into(),
                role: Role::KeepAlive,
                ..Setting::default()
            }],
            ..Host::default()
        };
        Observation {
            at: Timestamp::UNIX_EPOCH,
            source: h.asked.clone(),
            topic: Topic::Host(h.asked.clone()),
            fact: Fact::Host(Box::new(h)),
            took_ms: 1,
        }
    }

    #[test]
    fn the_one_of_four_that_is_not_like_the_others_is_marked() {
        let four: Vec<Observation> =
            ["65000", "65000", "5000", "65000"].iter().enumerate().map(|(n, k)| host(n, k)).collect();
        for columns in [80, 120, 200] {
            let text = to_text(&four, columns);
            assert!(text.lines().all(|l| width(l) <= columns), "{text}");
            let line = text.lines().find(|l| l.contains("keepAlive")).unwrap();
            assert!(line.contains("!5000") && line.matches('!').count() == 1, "{line}");
        }
        // More than columns can take: one below the other.
        let many: Vec<Observation> =
            (0..16).map(|n| host(n, if n == 9 { "5000" } else { "65000" })).collect();
        let text = to_text(&many, 80);
        assert!(text.contains("  ! ssh:web-9: 5000") && text.lines().all(|l| width(l) <= 80), "{text}");
        let v: serde_json::Value = serde_json::from_str(&to_json(&four)).unwrap();
        assert_eq!(v["differ"][0]["what"], "node keepAliveTimeout");
        assert_eq!(v["differ"][0]["odd"], json!(["ssh:web-2"]));
        assert_eq!(v["differ"].as_array().unwrap().len(), 1, "{v:#}");
        // Two that differ are both marked: nobody knows which is right.
        let v: serde_json::Value = serde_json::from_str(&to_json(&four[1..3])).unwrap();
        assert_eq!(v["differ"][0]["odd"], json!(["ssh:web-1", "ssh:web-2"]));
    }
}
