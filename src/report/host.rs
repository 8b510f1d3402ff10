//! What `badgate host` prints: hosts side by side, with what differs marked,
//! and the document of schema `badgate.host/1`.

use super::check::wrap;
use crate::situation::host::{Host, Role};
use crate::situation::{Fact, Observation, Topic};
use crate::sources::host::{BRIEF, COMMANDS};
use crate::text::SafeText;
use serde_json::json;

/// Schema of the document.
pub const SCHEMA: &str = "badgate.host/1";

/// Every command a host is asked.
pub fn commands() -> String {
    let mut out = String::from("Commands a host is asked, each for at most 5 s; none of them writes:\n");
    for c in COMMANDS {
        out.push_str(&format!("\n{} ({})\n  {}\n", c.id, c.what, c.run));
    }
    out.push_str("\nBy Systems Manager Run Command, shorter, as its answers are cut at 24,000 characters:\n");
    out.push_str("\nlocal (a request of the host to itself, with port and path of its health check)\n");
    out.push_str("  curl -s -o /dev/null -m 3 -w '%{http_code}' http://127.0.0.1:PORT/PATH\n");
    for c in BRIEF {
        out.push_str(&format!("\n{} ({})\n  {}\n", c.id, c.what, c.run));
    }
    out
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
    let out = json!({"schema": SCHEMA, "hosts": list});
    // Nothing in it can fail to serialise.
    serde_json::to_string_pretty(&out).map(|s| s + "\n").unwrap_or_default()
}

/// The same for people, 80 columns: one row for each fact, one value for each host.
pub fn to_text(seen: &[Observation]) -> String {
    let mut out = String::new();
    let mut known: Vec<&Host> = Vec::new();
    for (name, fact, _) in hosts(seen) {
        match fact {
            Fact::Host(h) => known.push(h),
            Fact::Unknown(r) => wrap(&mut out, "x ", 2, &format!("{name}: {}", r.phrase())),
            _ => {}
        }
    }
    if known.is_empty() {
        return out;
    }
    let all = |f: &dyn Fn(&Host) -> String| -> Vec<String> { known.iter().map(|h| f(h)).collect() };
    let opt = |v: Option<String>| v.unwrap_or_else(|| "?".into());
    let mut rows: Vec<(String, Vec<String>, bool)> = vec![
        ("asked".into(), all(&|h| h.asked.to_string()), false),
        ("name".into(), all(&|h| h.name.to_string()), false),
        ("load, cores".into(), all(&|h| opt(h.load.zip(h.cores).map(|(l, c)| format!("{l} on {c}")))), false),
        (
            "memory free".into(),
            all(&|h| opt(h.memory.map(|m| format!("{} of {} MiB", m.available_mib, m.total_mib)))),
            false,
        ),
        (
            "swap used".into(),
            all(&|h| opt(h.memory.map(|m| format!("{} of {} MiB", m.swap_used_mib, m.swap_total_mib)))),
            false,
        ),
        (
            "fullest disk".into(),
            all(&|h| {
                let d = h.disks.iter().max_by_key(|d| d.used_percent);
                opt(d.and_then(|d| Some(format!("{} % of {}", d.used_percent?, d.mount))))
            }),
            false,
        ),
        ("clock off by".into(), all(&|h| opt(h.clock_ms.map(|ms| format!("{ms:.0} ms")))), false),
        ("failed services".into(), all(&|h| none(&h.failed_units)), true),
        ("kernel".into(), all(&|h| h.kernel.last().map_or("-".into(), ToString::to_string)), true),
        ("drops, rejects".into(), all(&|h| format!("{} rules", h.firewall.len())), true),
    ];
    let mut names: Vec<(SafeText, SafeText)> = Vec::new();
    for h in &known {
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
    for (server, setting) in names.iter().take(40) {
        let values = all(&|h| {
            if setting.is_empty() {
                let v = h.versions.iter().find(|(s, _)| s == server);
                return v.map_or("-".into(), |(_, v)| v.to_string());
            }
            let mut list: Vec<&str> = h.settings(server, setting).map(|s| s.value.as_str()).collect();
            list.dedup();
            if list.is_empty() { "-".into() } else { list.join(" ") }
        });
        rows.push((format!("{server} {setting}").trim_end().to_owned(), values, true));
    }
    for (label, values, compare) in rows {
        let differs = compare && values.iter().any(|v| *v != values[0]);
        let sign = if differs { "!" } else { " " };
        wrap(&mut out, &format!("{sign} {label:<26} "), 29, &values.join(" | "));
    }
    for h in &known {
        for (id, why) in &h.silent {
            wrap(&mut out, "  ? ", 4, &format!("{}: {id}: {why}", h.asked));
        }
    }
    out
}

fn none(list: &[SafeText]) -> String {
    if list.is_empty() {
        return "none".into();
    }
    list.iter().map(SafeText::as_str).collect::<Vec<_>>().join(" ")
}
