//! What hosts said of themselves.

use super::{Place, Witness, numbers};
use crate::diagnosis::causes::ballot::{Ballot, Seen};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::probe::Reach;

impl Witness<'_> {
    pub(super) fn process(&self, b: &mut Ballot, failing: bool) {
        for (k, c, place) in self.connects() {
            if let (Place::Target { group, .. }, Reach::Refused) = (&place, c.outcome) {
                let value = format!("target of {group} refuses");
                b.pro(Strong, Seen::new(format!("connection to {}", c.address), value, "probe", k.as_of));
            }
        }
        for h in self.targets() {
            for unit in &h.h.failed_units {
                let name = unit.split('.').next().unwrap_or_default();
                let server =
                    ["nginx", "apache2", "httpd", "haproxy", "tomcat", "puma", "gunicorn", "php", "node"]
                        .iter()
                        .any(|s| name.starts_with(s));
                let weight = if server && h.listeners().next().is_none() { Strong } else { Weak };
                b.pro(weight, h.seen("failed service", unit.clone()));
            }
            if h.h.listening.is_empty() {
                continue;
            }
            b.learned("processes on the targets");
            match h.listeners().next() {
                None => {
                    let value = format!("nothing listens on port {}", numbers(&h.ports));
                    b.pro(if failing { Decisive } else { Strong }, h.seen("listening ports", value));
                }
                Some(l) => {
                    let by = if l.process.is_empty() { "a process" } else { l.process.as_str() };
                    b.con(
                        self.clean(),
                        h.seen("listening ports", format!("{by} listens on port {}", l.port)),
                    );
                }
            }
        }
    }

    pub(super) fn memory(&self, b: &mut Ballot, failing: bool) {
        for h in self.targets() {
            let killed = h.h.kernel.iter().rev().find(|l| {
                let l = l.to_ascii_lowercase();
                l.contains("out of memory") || l.contains("oom-kill")
            });
            if let Some(line) = killed {
                b.pro(if failing { Decisive } else { Strong }, h.seen("kernel", line.clone()));
            }
            let Some(m) = h.h.memory.filter(|m| m.total_mib > 0) else { continue };
            b.learned("memory of the targets");
            let value = format!(
                "{} of {} MiB available, {} MiB swapped",
                m.available_mib, m.total_mib, m.swap_used_mib
            );
            if m.available_mib * 33 < m.total_mib {
                b.pro(if failing { Strong } else { Weak }, h.seen("memory", value));
            } else if killed.is_none() && !h.silent("kernel") && m.available_mib * 5 > m.total_mib {
                b.con(self.clean(), h.seen("memory", value));
            }
        }
    }

    pub(super) fn cpu(&self, b: &mut Ballot) {
        for h in self.targets() {
            let waits = h.h.pressure.iter().find(|(what, _)| what.as_str() == "cpu").map(|(_, share)| *share);
            let (Some(load), Some(cores)) = (h.h.load, h.h.cores.filter(|n| *n > 0)) else { continue };
            let each = load / f64::from(cores);
            let shown = waits.map_or(String::new(), |w| format!(", {w:.0} % of the time something waits"));
            let value = format!("load {load:.1} on {cores} processors{shown}");
            // Load also counts what waits for disks: pressure tells them apart.
            let busy = waits.is_none_or(|w| w >= 40.0);
            if each >= 2.0 && busy {
                b.pro(
                    if waits.is_some_and(|w| w >= 60.0) { Strong } else { Weak },
                    h.seen("processor", value),
                );
            } else if each < 0.7 && waits.is_none_or(|w| w < 20.0) {
                b.con(self.clean(), h.seen("processor", value));
            }
        }
    }

    pub(super) fn disk(&self, b: &mut Ballot, failing: bool) {
        for h in self.targets().filter(|h| !h.h.disks.is_empty()) {
            b.learned("disks of the targets");
            let mut full = false;
            for d in &h.h.disks {
                for (what, used) in [("space", d.used_percent), ("inodes", d.inodes_percent)] {
                    let Some(used) = used.filter(|u| *u >= 97) else { continue };
                    full = true;
                    let weight = if failing && used >= 99 { Decisive } else { Strong };
                    b.pro(weight, h.seen("disk", format!("{used} % of the {what} of {} in use", d.mount)));
                }
            }
            if !full {
                if self.covered {
                    // A full disk would show here, whatever a log says.
                    b.learned("logs of the application");
                }
                let most = h.h.disks.iter().flat_map(|d| [d.used_percent, d.inodes_percent]).flatten().max();
                let value = format!("{} % at most in use", most.unwrap_or(0));
                b.con(self.clean(), h.seen("disks", value));
            }
        }
    }

    pub(super) fn conntrack(&self, b: &mut Ballot, failing: bool) {
        for h in self.targets() {
            if let Some(line) =
                h.h.kernel.iter().rev().find(|l| l.to_ascii_lowercase().contains("table full"))
            {
                b.pro(if failing { Decisive } else { Strong }, h.seen("kernel", line.clone()));
            }
            let Some((used, most)) = h.h.conntrack.filter(|c| c.1 > 0) else { continue };
            b.learned("connection tracking of hosts and interfaces");
            let value = format!("{used} of {most} connections tracked");
            if used * 100 >= most * 97 {
                b.pro(if failing { Decisive } else { Strong }, h.seen("connection tracking", value));
            } else if used * 10 < most * 8 {
                b.con(Weak, h.seen("connection tracking", value));
            }
        }
    }

    pub(super) fn firewall(&self, b: &mut Ballot, failing: bool) {
        let (mut clean, mut any) = (true, false);
        for h in self.targets() {
            // One of the two says it all; both silent say nothing.
            if h.silent("nft") && h.silent("iptables") {
                clean = false;
                continue;
            }
            any = true;
            for l in h.listeners().filter(|l| !l.kept_out.is_empty()) {
                clean = false;
                let what = format!("firewall of port {}", l.port);
                let weight = match (l.kept_out_some, failing) {
                    // Whether it takes the load balancer's connections is not said.
                    (true, _) => Weak,
                    (false, true) => Decisive,
                    (false, false) => Strong,
                };
                b.pro(weight, h.seen(&what, l.kept_out.clone()));
            }
            if h.listeners().next().is_none() {
                clean = false;
            }
        }
        if any && clean {
            if self.covered {
                b.learned("firewall rules of the hosts");
            }
            if let Some(h) = self.targets().next() {
                b.con(self.clean(), h.seen("firewall", "no rule keeps requests out"));
            }
        }
    }

    pub(super) fn queue(&self, b: &mut Ballot) {
        for h in self.targets() {
            let mut full = false;
            for l in h.listeners().filter(|l| l.backlog > 0 && l.queued >= l.backlog) {
                full = true;
                let value = format!("{} of {} places taken on port {}", l.queued, l.backlog, l.port);
                b.pro(Strong, h.seen("queue of connections", value));
            }
            if let Some((name, n)) =
                h.h.counters.iter().find(|(n, v)| n.as_str() == "TcpExtListenOverflows" && *v > 0)
            {
                // Since the machine started: it may have been long ago.
                b.pro(Weak, h.seen(name, format!("{n} since it started")));
            }
            if let Some((_, n)) = h.h.sockets.iter().find(|(s, n)| s.as_str() == "CLOSE-WAIT" && *n >= 100) {
                b.pro(Weak, h.seen("sockets in CLOSE-WAIT", n.to_string()));
            }
            if !full && h.listeners().next().is_some() {
                b.learned("queues and limits of the servers");
                b.con(Weak, h.seen("queue of connections", "not full"));
            }
        }
    }
}
