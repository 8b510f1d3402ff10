//! What `badgate probe` prints: text of 80 columns for people, and the
//! document of schema `badgate.probe/1` for programs.

use super::check::wrap;
use crate::situation::probe::{
    Connect, Dns, Exchange, KeepAlive, Phases, Probe, Reach, Repeat, Share, Split, Tls,
};
use crate::text::SafeText;
use serde_json::{Value, json};

/// Schema of the document.
pub const SCHEMA: &str = "badgate.probe/1";

/// 0: it answers and nothing is wrong; 1: something is; 2: what was asked for is refused.
pub fn exit_code(p: &Probe) -> u8 {
    let refused = p.faults.iter().any(|f| f.id == "address-refused") && p.connects.is_empty();
    let answered = p.exchanges.iter().any(|e| e.status.is_some());
    match (refused, answered, p.faults.iter().any(|f| f.wrong)) {
        (true, ..) => 2,
        (_, true, false) => 0,
        _ => 1,
    }
}

/// The document, with a line feed behind it.
pub fn to_json(p: &Probe) -> String {
    let mut out = json!({"schema": SCHEMA});
    // Nothing in it can fail to serialise.
    if let (Value::Object(out), Ok(Value::Object(all))) = (&mut out, serde_json::to_value(p)) {
        out.extend(all);
    }
    serde_json::to_string_pretty(&out).map(|s| s + "\n").unwrap_or_default()
}

/// The same for people.
pub fn to_text(p: &Probe) -> String {
    let mut out = String::new();
    let status = match p.exchanges.iter().find_map(|e| e.status) {
        Some(s) => s.to_string(),
        None => "no answer".into(),
    };
    wrap(
        &mut out,
        "",
        2,
        &format!("{} {}   {status}   {}", p.method, p.url, p.at.strftime("%Y-%m-%d %H:%M:%SZ")),
    );
    if p.insecure {
        wrap(&mut out, "  ! ", 4, "--insecure: requests are sent over certificates that do not verify");
    }
    found(&mut out, p);
    if let Some(d) = &p.dns {
        dns(&mut out, p, d);
    }
    connects(&mut out, p);
    if !p.tls.is_empty() {
        out.push_str("\nTLS\n");
        p.tls.iter().for_each(|t| tls(&mut out, t));
    }
    if !p.exchanges.is_empty() {
        out.push_str("\nHTTP\n");
        p.exchanges.iter().for_each(|e| exchange(&mut out, e));
    }
    if let Some(k) = &p.keepalive {
        idle(&mut out, p, k);
    }
    if let Some(r) = &p.repeat {
        repeat(&mut out, r);
    }
    out
}

fn found(out: &mut String, p: &Probe) {
    if p.faults.is_empty() {
        out.push_str("  + nothing wrong was seen\n");
    }
    let mut all: Vec<_> = p.faults.iter().collect();
    all.sort_by_key(|f| !f.wrong);
    for f in all {
        wrap(out, if f.wrong { "  x wrong  " } else { "  - note   " }, 11, &f.text);
    }
}

fn milli(x: f64) -> String {
    if x >= 1000.0 { format!("{:.2} s", x / 1000.0) } else { format!("{x:.1} ms") }
}

fn dns(out: &mut String, p: &Probe, d: &Dns) {
    out.push_str("\nDNS\n");
    let list = joined(&d.addresses, 8);
    let what = if d.failure.is_empty() { list } else { d.failure.to_string() };
    let sign = if d.failure.is_empty() { "+" } else { "x" };
    wrap(
        out,
        &format!("  {sign} this system   "),
        18,
        &format!("{} -> {what}   {}", p.host, milli(d.took_ms)),
    );
    for a in &d.answers {
        let ok = a.code == "NOERROR" || (a.code == "NXDOMAIN" && a.authoritative);
        let role = if a.authoritative { "has the zone" } else { "resolver" };
        wrap(
            out,
            &format!("  {} {role:<14}", if ok { "+" } else { "x" }),
            18,
            &format!("{}: {}   {}", a.server, a.code, milli(a.took_ms)),
        );
        for r in &a.records {
            wrap(out, "        ", 12, &format!("{} {} {}   TTL {} s", r.name, r.kind, r.value, r.ttl_s));
        }
        if a.left > 0 {
            out.push_str(&format!("        and {} more\n", a.left));
        }
    }
    if let Some(z) = &d.delegation {
        wrap(out, "  - zone          ", 18, &format!("{}: {}", z.zone, joined(&z.child, 8)));
        if !z.parent.is_empty() && z.parent != z.child {
            wrap(out, "  ! by the parent ", 18, &joined(&z.parent, 8));
        }
    }
}

fn joined(list: &[SafeText], most: usize) -> String {
    let mut text = list.iter().take(most).map(SafeText::as_str).collect::<Vec<_>>().join(", ");
    if list.len() > most {
        text.push_str(&format!(" and {} more", list.len() - most));
    }
    text
}

fn connects(out: &mut String, p: &Probe) {
    if p.connects.is_empty() {
        return;
    }
    out.push_str(&format!("\nTCP   (addresses by {})\n", p.addresses_by));
    for c in &p.connects {
        connect(out, c);
    }
    if p.addresses_left > 0 {
        out.push_str(&format!("    and {} addresses that were not tried\n", p.addresses_left));
    }
}

fn connect(out: &mut String, c: &Connect) {
    let sign = if c.outcome == Reach::Open { "+" } else { "x" };
    let detail = if c.detail.is_empty() { String::new() } else { format!("   {}", c.detail) };
    wrap(
        out,
        &format!("  {sign} {:<12}", c.outcome.word()),
        16,
        &format!("{}   {}{detail}", c.address, milli(c.took_ms)),
    );
}

fn tls(out: &mut String, t: &Tls) {
    let sign = if t.verified == Some(true) { "+" } else { "x" };
    let sni = if t.sni.is_empty() { "no server name".into() } else { format!("name {}", t.sni) };
    if t.version.is_empty() {
        wrap(
            out,
            &format!("  {sign} "),
            4,
            &format!("{} ({sni}): {}   {}", t.address, t.why, milli(t.took_ms)),
        );
    } else {
        let head = format!("{} ({sni}): {}, {}   {}", t.address, t.version, t.cipher, milli(t.took_ms));
        wrap(out, &format!("  {sign} "), 4, &head);
        let verdict = if t.verified == Some(true) {
            "verifies against this system's roots".into()
        } else {
            format!("does not verify: {}", t.why)
        };
        wrap(out, "      ", 6, &verdict);
    }
    for (i, c) in t.chain.iter().enumerate() {
        let until = c.not_after.map_or("?".into(), |t| t.strftime("%Y-%m-%d").to_string());
        let names = if i == 0 && !c.names.is_empty() {
            format!(", for {}", joined(&c.names, 4))
        } else {
            String::new()
        };
        wrap(
            out,
            &format!("      {i} "),
            8,
            &format!("{}{names}, until {until}, signed by {}", c.subject, c.signed_by),
        );
    }
    if t.left > 0 {
        out.push_str(&format!("      and {} more certificates\n", t.left));
    }
    for v in &t.variants {
        wrap(out, &format!("    {} {:<14}", if v.ok { "+" } else { "-" }, v.what), 20, &v.result);
    }
}

fn exchange(out: &mut String, e: &Exchange) {
    let bad = !e.failure.is_empty() || e.status.is_none_or(|s| s >= 500);
    let line = if e.status_line.is_empty() { e.failure.clone() } else { e.status_line.clone() };
    wrap(
        out,
        &format!("  {} ", if bad { "x" } else { "+" }),
        4,
        &format!("{} over {}: {line}", e.address, e.protocol),
    );
    if !e.failure.is_empty() && !e.status_line.is_empty() {
        wrap(out, "      ", 6, &e.failure);
    }
    wrap(out, "      ", 6, &phases(&e.phases));
    if e.status.is_none() {
        return;
    }
    let cut = if e.body_cut { " and more, not read" } else { "" };
    let keeps = if e.keeps { "connection kept" } else { "connection closed" };
    wrap(
        out,
        "      ",
        6,
        &format!("headers {} B, body {} B{cut} ({}), {keeps}", e.header_bytes, e.body_bytes, e.framing),
    );
    if !e.location.is_empty() {
        wrap(out, "      ", 6, &format!("points to {} (not followed)", e.location));
    }
    if !e.interim.is_empty() {
        wrap(
            out,
            "      ",
            6,
            &format!(
                "interim answers: {}",
                e.interim.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
            ),
        );
    }
    let by = if e.who.name.is_empty() {
        "nothing tells by whom".into()
    } else {
        format!("made by {}", e.who.name)
    };
    let why = if e.who.why.is_empty() { String::new() } else { format!(": {}", joined(&e.who.why, 3)) };
    wrap(out, "      ", 6, &format!("{by}{why}"));
    if !e.who.through.is_empty() {
        wrap(out, "      ", 6, &format!("through {}", joined(&e.who.through, 8)));
    }
    for (name, value) in &e.headers {
        wrap(out, "        ", 10, &format!("{name}: {value}"));
    }
}

fn phases(p: &Phases) -> String {
    let named = [
        ("dns", p.dns_ms),
        ("connect", p.connect_ms),
        ("tls", p.tls_ms),
        ("first byte", p.first_byte_ms),
        ("body", p.body_ms),
    ];
    let mut parts: Vec<String> =
        named.iter().filter_map(|(n, ms)| Some(format!("{n} {}", milli((*ms)?)))).collect();
    parts.push(format!("together {}", milli(p.total_ms())));
    parts.join(", ")
}

fn idle(out: &mut String, p: &Probe, k: &KeepAlive) {
    out.push_str("\nKeep-alive\n");
    let (sign, text) = match (p.keepalive_s, p.closed_by) {
        (Some(s), Some(by)) => {
            ("+", format!("{} ended the idle connection after {s:.2} s, by {}", k.address, by.word()))
        }
        _ if k.closes_each => {
            ("-", format!("{} closes every connection after its answer: nothing is reused", k.address))
        }
        _ => match k.at_least_s.filter(|_| k.failure.is_empty()) {
            Some(s) => ("+", format!("{} still kept the idle connection after {s:.0} s", k.address)),
            None => ("?", format!("{}: not known: {}", k.address, k.failure)),
        },
    };
    wrap(out, &format!("  {sign} "), 4, &text);
    if let Some(s) = k.announced_s {
        wrap(out, "    ", 4, &format!("announced: Keep-Alive timeout={s}"));
    }
    if !k.unasked.is_empty() {
        wrap(out, "    ", 4, &format!("before the end it said: {}", k.unasked));
    }
    for other in p.kept_each.iter().filter(|o| o.address != k.address) {
        wrap(out, "    ", 4, &format!("{} kept it {}", other.address, other.words()));
    }
    for r in &k.reuses {
        let sign = if r.ok { "+" } else { "x" };
        wrap(out, &format!("    {sign} "), 6, &format!("used again after {} s: {}", r.idle_s, r.result));
    }
}

fn percent(s: &Share) -> String {
    format!(
        "{} of {} ({:.1} %; {:.1} to {:.1} % at 95 %)",
        s.count,
        s.of,
        s.share * 100.0,
        s.low * 100.0,
        s.high * 100.0
    )
}

fn repeat(out: &mut String, r: &Repeat) {
    out.push_str(&format!("\n{} requests, one every {} s\n", r.sent, r.interval_s));
    if !r.stopped.is_empty() {
        wrap(out, "  ! ", 4, &format!("stopped {}", r.stopped));
    }
    wrap(out, "  502      ", 11, &percent(&r.bad_gateway));
    wrap(out, "  failed   ", 11, &percent(&r.failed));
    let list: Vec<String> = r.outcomes.iter().map(|(what, n)| format!("{what} x{n}")).collect();
    wrap(out, "  outcomes ", 11, &list.join(", "));
    for (title, all) in
        [("address", &r.by_address), ("connection", &r.by_connection), ("idle for", &r.by_idle)]
    {
        splits(out, title, all);
    }
    let most = r.latency.iter().map(|(_, n)| *n).max().unwrap_or(1).max(1);
    for (bound, n) in &r.latency {
        let label = bound.map_or("slower".into(), |b| format!("<= {}", milli(b)));
        let bar = "#".repeat((*n as usize * 40).div_ceil(most as usize));
        out.push_str(format!("  {label:>12} {n:>5} {bar}").trim_end());
        out.push('\n');
    }
}

fn splits(out: &mut String, title: &str, all: &[Split]) {
    for s in all {
        wrap(out, &format!("  {title:<11}"), 13, &format!("{}: failed {}", s.of, percent(&s.failed)));
    }
}
