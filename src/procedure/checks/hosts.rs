//! What the hosts said of themselves, in steps 1 to 3: beside the commands for
//! those that were not asked.

use crate::procedure::Evidence;
use crate::procedure::desk::{Desk, number};
use crate::situation::Topic;
use crate::situation::host::{Host, Role};

/// A file system or its inodes in use to this share is nearly full, percent.
const FULL: u32 = 95;
/// Clocks further apart than this make logs hard to read together, ms.
const CLOCK: f64 = 2000.0;

/// Hosts that answered, by how they were asked for.
fn asked<'a>(d: &mut Desk<'a>) -> Vec<(&'a Host, Evidence)> {
    let s = d.s;
    s.hosts
        .iter()
        .filter_map(|(name, datum)| {
            let (h, e) = d.read(datum, &Topic::Host(name.clone()))?;
            Some((&**h, e))
        })
        .collect()
}

/// Step 1: processor, memory, disks, services.
pub(super) fn resources(d: &mut Desk<'_>) {
    let w = d.w;
    for (h, e) in asked(d) {
        let e = std::slice::from_ref(&e);
        let mut bad = Vec::new();
        if let (Some(load), Some(cores)) = (h.load, h.cores)
            && load > 1.5 * f64::from(cores.max(1))
        {
            bad.push(w.host_load(&h.asked, number(load), cores));
        }
        if let Some(m) = h.memory {
            if m.available_mib * 20 < m.total_mib {
                bad.push(w.host_memory(&h.asked, m.available_mib, m.total_mib));
            }
            if m.swap_used_mib * 2 > m.swap_total_mib {
                bad.push(w.host_swap(&h.asked, m.swap_used_mib, m.swap_total_mib));
            }
        }
        for disk in &h.disks {
            if let Some(p) = disk.used_percent.filter(|p| *p >= FULL) {
                bad.push(w.host_disk(&h.asked, &disk.mount, p));
            }
            if let Some(p) = disk.inodes_percent.filter(|p| *p >= FULL) {
                bad.push(w.host_inodes(&h.asked, &disk.mount, p));
            }
        }
        for (what, share) in h.pressure.iter().filter(|(_, share)| *share >= 40.0) {
            bad.push(w.host_pressure(&h.asked, what, number(*share)));
        }
        for line in h.kernel.iter().rev().take(3) {
            bad.push(w.host_kernel(&h.asked, line));
        }
        for unit in &h.failed_units {
            bad.push(w.host_unit(&h.asked, unit));
        }
        if let Some(ms) = h.clock_ms.filter(|ms| ms.abs() >= CLOCK) {
            bad.push(w.host_clock(&h.asked, number(ms / 1000.0)));
        }
        if bad.is_empty() {
            let memory = h.memory.map_or("?".to_owned(), |m| m.available_mib.to_string());
            let load = h.load.map_or("?".to_owned(), number);
            let disk =
                h.disks.iter().filter_map(|d| d.used_percent).max().map_or("?".to_owned(), |p| p.to_string());
            // What did not answer is not well.
            if h.load.is_some() && h.memory.is_some() && !h.disks.is_empty() {
                d.ok(w.host_fine(&h.asked, load, memory, disk), e);
            } else {
                d.info(w.host_fine(&h.asked, load, memory, disk), e);
            }
        }
        for text in bad {
            d.found(text, e);
        }
        for (id, why) in
            h.silent.iter().filter(|(id, _)| matches!(id.as_str(), "uptime" | "memory" | "disk" | "kernel"))
        {
            d.unknown(w.host_answer(&h.asked, id), why.clone());
        }
    }
    differ(d);
}

/// The one of several that is not like the others.
fn differ(d: &mut Desk<'_>) {
    let w = d.w;
    let all = asked(d);
    if all.len() < 2 {
        return;
    }
    let mut said = Vec::new();
    for (server, name) in
        all.iter().flat_map(|(h, _)| h.settings.iter().map(|s| (s.server.clone(), s.name.clone())))
    {
        if said.contains(&(server.clone(), name.clone())) {
            continue;
        }
        said.push((server.clone(), name.clone()));
        let values: Vec<(String, String)> = all
            .iter()
            .map(|(h, _)| {
                let mut list: Vec<&str> = h.settings(&server, &name).map(|s| s.value.as_str()).collect();
                list.dedup();
                let value = if list.is_empty() { "-".to_owned() } else { list.join(" ") };
                (h.asked.to_string(), value)
            })
            .collect();
        if values.iter().any(|(_, v)| *v != values[0].1) {
            let list = d.list(values.iter().map(|(h, v)| format!("{h} {v}")));
            let e: Vec<Evidence> = all.iter().map(|(_, e)| e.clone()).collect();
            d.found(w.hosts_differ(format!("{server} {name}"), list), &e);
        }
    }
}

/// Step 1: queues, sockets, limits.
pub(super) fn limits(d: &mut Desk<'_>) {
    let w = d.w;
    for (h, e) in asked(d) {
        let e = std::slice::from_ref(&e);
        for l in h.listening.iter().filter(|l| l.queued > 0 && l.queued >= l.backlog) {
            d.found(w.host_queue(&h.asked, l.port, l.queued, l.backlog), e);
        }
        let overflows = h.counters.iter().filter(|(n, v)| n.starts_with("TcpExtListen") && *v > 0);
        for (name, v) in overflows {
            d.info(w.host_counter(&h.asked, name, *v), e);
        }
        if let Some((_, n)) = h.sockets.iter().find(|(s, n)| s.as_str() == "CLOSE-WAIT" && *n >= 100) {
            d.found(w.host_close_wait(&h.asked, *n), e);
        }
        if let Some((used, most)) = h.conntrack.filter(|(used, most)| *most > 0 && used * 10 >= most * 9) {
            d.found(w.host_conntrack(&h.asked, used, most), e);
        }
        let timers =
            h.settings.iter().filter(|s| matches!(s.role, Role::KeepAlive | Role::UpstreamKeepAlive));
        for s in timers.take(8) {
            d.info(w.host_setting(&h.asked, &s.server, &s.name, &s.value, &s.place), e);
        }
    }
    d.by_hand();
}

/// Step 2: lines of the hosts' error logs are in the log pane with all others;
/// here is whether they could be read.
pub(super) fn logs(d: &mut Desk<'_>) {
    let w = d.w;
    for (h, e) in asked(d) {
        let head = format!("{}:", h.asked);
        let files = d.s.tails.keys().filter(|k| k.starts_with(&head)).count();
        if files > 0 {
            d.ok(w.host_logs(&h.asked, files), &[e]);
        } else {
            d.info(w.host_no_logs(&h.asked), &[e]);
        }
    }
    d.by_hand();
}

/// Step 3: who listens, and what the host's own firewall keeps out.
pub(super) fn network(d: &mut Desk<'_>) {
    let w = d.w;
    let ports: Vec<u16> = d.s.active_groups().iter().filter_map(|(_, g)| g.group.as_ref()?.port).collect();
    for (h, e) in asked(d) {
        let e = std::slice::from_ref(&e);
        for port in &ports {
            let on: Vec<_> = h.listening.iter().filter(|l| l.port == *port).collect();
            match on.as_slice() {
                [] if h.listening.is_empty() => {
                    d.unknown(w.host_answer(&h.asked, "listening"), w.reason_not_told())
                }
                [] => d.found(w.host_nobody(&h.asked, *port), e),
                all if all.iter().all(|l| l.is_loopback()) => d.found(w.host_loopback(&h.asked, *port), e),
                [first, ..] => d.ok(w.host_listens(&h.asked, *port, &first.process), e),
            }
        }
        let touching: Vec<_> = h
            .firewall
            .iter()
            .filter(|r| {
                ports.iter().any(|p| r.split(|c: char| !c.is_ascii_digit()).any(|n| n == p.to_string()))
            })
            .collect();
        for r in &touching {
            d.found(w.host_firewall(&h.asked, r), e);
        }
        if touching.is_empty() && !h.firewall.is_empty() {
            d.info(w.host_firewall_other(&h.asked, h.firewall.len()), e);
        }
    }
    d.by_hand();
}
