//! Step 6: watching it happen.

use crate::procedure::Evidence;
use crate::procedure::desk::{Desk, number};
use crate::situation::log::TailMode;
use crate::situation::probe::Probe;
use crate::situation::{Datum, Topic};

pub(super) fn tail(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    if s.tails.is_empty() {
        d.asked("logs:StartLiveTail");
        d.unknown(w.what_live_tail(), w.reason_no_log_group());
    }
    for (name, tail) in &s.tails {
        let Some((t, e)) = d.read(tail, &Topic::Tail(name.clone())) else { continue };
        let newest = s.logs.iter().rev().find(|h| h.line.group == *name).map(|h| d.clock(h.line.at));
        let newest = newest.unwrap_or_else(|| "-".to_owned());
        match t.mode {
            TailMode::Live => d.ok(w.tail_is_live(name, newest), &[e]),
            TailMode::File => d.ok(w.tail_is_file(name, newest), &[e]),
            TailMode::Sampled => d.found(w.tail_is_sampled(name, newest), &[e]),
            TailMode::Polled => {
                let why = if t.note.is_empty() { "-" } else { t.note.as_str() };
                d.info(w.tail_is_polled(name, newest, why), &[e]);
            }
        }
    }
    let group = s
        .tails
        .keys()
        .next()
        .cloned()
        .or_else(|| s.log_groups.value().and_then(|g| g.first()).map(|g| g.name.clone()));
    let list = crate::procedure::suspects::suspects(s);
    d.by_hand_for(
        |v| {
            v.set("log_group", group.as_deref().unwrap_or(""));
        },
        &list,
    );
}

pub(super) fn tls(d: &mut Desk<'_>) {
    let w = d.w;
    certificates(d);
    let listeners = d.read_lb(|l| &l.listeners, Topic::Listeners);
    let groups = d.groups();
    let at_target =
        groups.iter().any(|(_, g)| g.group.as_ref().is_some_and(|g| g.protocol.as_str() == "HTTPS"));
    if let Some((listeners, e)) = listeners
        && !listeners.iter().any(|l| l.protocol.as_str() == "HTTPS")
        && !at_target
    {
        d.info(w.tls_none(), &[e]);
        return;
    }
    d.by_hand();
}

/// What probes of this incident found, newest of each URL.
fn probes<'a>(d: &mut Desk<'a>) -> Vec<(&'a Probe, Evidence)> {
    let s = d.s;
    s.probes
        .iter()
        .filter_map(|(url, datum)| {
            let (p, e) = d.read(datum, &Topic::Probe(url.clone()))?;
            Some((&**p, e))
        })
        .collect()
}

pub(super) fn request(d: &mut Desk<'_>) {
    let w = d.w;
    for (p, e) in probes(d) {
        for x in &p.exchanges {
            let Some(status) = x.status else { continue };
            let by = if x.who.name.is_empty() { w.probe_by_nobody() } else { x.who.name.clone() };
            let text = w.probe_answer(&p.url, status, by, number(x.phases.total_ms()));
            let e = std::slice::from_ref(&e);
            if status >= 500 { d.found(text, e) } else { d.ok(text, e) }
        }
        // Certificates and idle connections have checks of their own, and the
        // status was said.
        let elsewhere = ["certificate-", "tls-", "idle-", "http-5"];
        for f in p.faults.iter().filter(|f| !elsewhere.iter().any(|h| f.id.starts_with(h))) {
            let e = std::slice::from_ref(&e);
            if f.wrong { d.found(w.probe_said(&f.text), e) } else { d.info(w.probe_said(&f.text), e) }
        }
    }
    d.by_hand();
}

fn certificates(d: &mut Desk<'_>) {
    let w = d.w;
    for (p, e) in probes(d) {
        let e = std::slice::from_ref(&e);
        for t in p.tls.iter().filter(|t| t.verified == Some(true)) {
            d.ok(w.probe_verified(&t.address, &t.version), e);
        }
        for f in p.faults.iter().filter(|f| f.id.starts_with("certificate-") || f.id.starts_with("tls-")) {
            if f.wrong { d.found(w.probe_said(&f.text), e) } else { d.info(w.probe_said(&f.text), e) }
        }
    }
}

pub(super) fn keepalive(d: &mut Desk<'_>) {
    let w = d.w;
    for k in d.s.kept.values().filter_map(Datum::get) {
        d.asked("probe");
        let e = [Evidence { what: "probe".into(), source: k.source.clone(), at: k.as_of }];
        let v = &k.value;
        let text = match (v.seconds, v.closed_by, v.at_least_s) {
            (Some(s), Some(by), _) => w.probe_kept(&v.address, format!("{s:.1}"), by.word()),
            (_, _, Some(least)) => w.probe_kept_longer(&v.address, number(least)),
            _ => w.probe_closes_each(&v.address),
        };
        d.info(text, &e);
    }
    d.by_hand();
}
