//! What hosts said of themselves: a look at one moment by commands that only
//! read. Sources: Linux man-pages (ss(8), nft(8), iptables(8)), systemd
//! (systemctl(1)), AWS "Monitor network performance for ENA settings on your
//! EC2 instance" (allowances).

use super::{Place, Stand, Witness, numbers};
use crate::diagnosis::case::Case;
use crate::diagnosis::causes::ballot::{Ballot, Seen};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::host::{Listening, Unit};
use crate::situation::probe::Reach;

/// Units that fail on many a healthy host.
const HOUSEKEEPING: &[&str] = &[
    "logrotate",
    "apt-",
    "dnf-",
    "yum-",
    "man-db",
    "fwupd",
    "cloud-",
    "amazon-ssm",
    "update-",
    "certbot",
    "systemd-",
    "snapd",
    "motd",
    "kdump",
    "NetworkManager-wait-online",
    "auditd",
    "fstrim",
    "mdmonitor",
    "smartd",
    "chrony",
    "sysstat",
    "plocate",
    "mlocate",
    "dracut",
    "rpc-",
    "nfs-",
    "getty",
    "ec2-",
];

pub(super) fn is_housekeeping(unit: &str) -> bool {
    HOUSEKEEPING.iter().any(|p| unit.starts_with(p))
}

/// Programs that listen on every host and serve nobody.
const OF_THE_SYSTEM: &[&str] =
    &["sshd", "systemd", "chronyd", "rpcbind", "amazon-ssm", "node_exporter", "dnsmasq", "master", "exim"];

const PROXIES: &[&str] = &["nginx", "httpd", "apache2", "haproxy", "envoy", "caddy", "traefik"];

/// How long servers keep an idle connection unless told otherwise, in seconds
/// (Node.js docs, http `server.keepAliveTimeout`; Gunicorn docs, `keepalive`;
/// Uvicorn docs, `--timeout-keep-alive`; Apache HTTP Server docs,
/// `KeepAliveTimeout`).
const KEPT_S: [(&str, &str, f64); 5] = [
    ("node", "node", 5.0),
    ("gunicorn", "gunicorn", 2.0),
    ("uvicorn", "uvicorn", 5.0),
    ("httpd", "apache", 5.0),
    ("apache2", "apache", 5.0),
];

impl Stand<'_> {
    /// A program that serves others, but not on a port requests come to.
    pub(super) fn elsewhere(&self) -> Option<&Listening> {
        self.h.listening.iter().find(|l| {
            let system = l.port == 22 || OF_THE_SYSTEM.iter().any(|p| l.process.starts_with(p));
            !system && !l.process.is_empty() && !l.is_loopback() && !self.ports.contains(&l.port)
        })
    }

    /// Every port requests come to is open to others.
    pub(super) fn serves(&self) -> bool {
        let open = |p: &u16| self.listeners().any(|l| l.port == *p && !l.is_loopback());
        self.is_target() && self.ports.iter().all(open)
    }

    /// Services that do not run, without those that seldom matter to anybody.
    fn down(&self) -> impl Iterator<Item = &Unit> {
        self.h.units.iter().filter(|u| u.is_down() && !is_housekeeping(&u.name))
    }

    /// A proxy is what takes the connections.
    fn proxy(&self) -> Option<&str> {
        self.listeners().map(|l| l.process.as_str()).find(|p| PROXIES.contains(p))
    }
}

fn of_unit(u: &Unit) -> String {
    let why = if u.result.is_empty() { String::new() } else { format!(" ({})", u.result) };
    let again = if u.restarts > 0 { format!(", restarted {} times", u.restarts) } else { String::new() };
    format!("{} is {}{why}{again}", u.name, u.state)
}

/// Does a rule that drops or rejects name this port? As `iptables -L -n -v`
/// writes it; rules that can be walked are.
fn names(rule: &str, port: u16) -> bool {
    rule.split_whitespace().filter_map(|w| w.strip_prefix("dpt:").or_else(|| w.strip_prefix("dpts:"))).any(
        |w| {
            let range = w.split_once(':').and_then(|(a, z)| Some((a.parse().ok()?, z.parse().ok()?)));
            w.parse() == Ok(port) || range.is_some_and(|(a, z): (u16, u16)| (a..=z).contains(&port))
        },
    )
}

impl Witness<'_> {
    /// What passed the interfaces of the targets.
    pub(super) fn wire(&self, cause: &str, b: &mut Ballot) {
        for h in self.targets() {
            let Some(c) = h.h.capture.as_ref().filter(|c| h.ports.contains(&c.port)) else { continue };
            let what = format!("packets of {} s", c.seconds);
            match cause {
                "alb-target-keepalive-shorter" if c.resets_after_idle > 0 => {
                    let value = format!("{} RST to requests that came after a pause", c.resets_after_idle);
                    b.pro(Strong, h.seen(&what, value));
                }
                "alb-target-connection-refused" if c.refused > 0 => {
                    b.pro(Strong, h.seen(&what, format!("{} connections refused by RST", c.refused)));
                }
                // It came in here, and nothing went out: this host does not answer.
                "host-firewall-blocks" | "worker-or-connection-pool-exhausted" if c.unanswered > 0 => {
                    b.pro(Weak, h.seen(&what, format!("{} connections never answered", c.unanswered)));
                }
                "host-firewall-blocks" if c.icmp.iter().any(|(w, _)| w.contains("prohibited")) => {
                    b.pro(Strong, h.seen(&what, "ICMP: administratively prohibited"));
                }
                _ => {}
            }
        }
    }

    /// The server that takes the connections, by what it does unless told otherwise.
    pub(super) fn server(&self, b: &mut Ballot, case: Option<&Case<'_>>) {
        let Some(c) = case else { return };
        let steady = c.servers().all(|g| g.count("unhealthy") == 0);
        let fits = steady && c.drizzle() && c.none("TargetConnectionErrorCount");
        let found = self.targets().find_map(|h| {
            let own = |l: &&Listening| KEPT_S.iter().any(|(p, ..)| l.process.starts_with(p));
            let l = h.listeners().find(own)?;
            let (_, server, seconds) = KEPT_S.iter().find(|(p, ..)| l.process.starts_with(p))?;
            h.h.keepalive_of(server).is_none().then_some((h, l, *seconds))
        });
        if let Some((h, l, seconds)) = found {
            let value = format!(
                "{} listens on {}: it closes idle connections after {seconds} s unless told otherwise",
                l.process, l.port
            );
            b.pro(if fits { Strong } else { Weak }, h.seen("server", value));
        }
    }

    /// A proxy takes the connections, and what is behind it does not run.
    pub(super) fn behind_proxy(&self, b: &mut Ballot, case: Option<&Case<'_>>) {
        let passed_on = case.is_some_and(|c| {
            c.mostly("HTTPCode_Target_5XX_Count") || c.rows_mostly(crate::diagnosis::rows::Shape::Answered)
        });
        for h in self.targets() {
            let Some(proxy) = h.proxy() else { continue };
            let weight = if passed_on { Decisive } else { Weak };
            if let Some((l, status)) =
                h.h.local.as_ref().and_then(|l| Some((l, l.status.filter(|s| matches!(s, 502 | 504))?)))
            {
                let value = format!("{proxy} on {} answers {status} to the host itself", l.port);
                b.pro(weight, h.seen("answer", value));
            }
            for u in h.down().filter(|u| !u.name.starts_with(proxy)).take(2) {
                b.pro(weight, h.seen("services", format!("{proxy} listens, {}", of_unit(u))));
            }
        }
    }

    /// The program listens, and not where requests come to.
    pub(super) fn other_port(&self, b: &mut Ballot, case: Option<&Case<'_>>) {
        if !case.is_some_and(|c| c.many("TargetConnectionErrorCount")) {
            return;
        }
        for h in self.targets().filter(|h| h.listeners().next().is_none()) {
            if let Some(l) = h.elsewhere() {
                let value =
                    format!("{} listens on {}, requests come to {}", l.process, l.port, numbers(&h.ports));
                b.pro(Weak, h.seen("listening ports", value));
            }
        }
    }

    pub(super) fn process(&self, b: &mut Ballot, failing: bool, case: Option<&Case<'_>>) {
        let refused =
            case.is_some_and(|c| c.many("HTTPCode_ELB_502_Count") && c.many("TargetConnectionErrorCount"));
        let answered = case.is_some_and(|c| c.mostly("HTTPCode_Target_5XX_Count"));
        for (k, c, place) in self.connects() {
            if let (Place::Target { group, .. }, Reach::Refused) = (&place, c.outcome) {
                let value = format!("target of {group} refuses");
                b.pro(Strong, Seen::new(format!("connection to {}", c.address), value, "probe", k.as_of));
            }
        }
        for h in self.targets() {
            for u in h.down().filter(|u| u.result.as_str() != "oom-kill").take(3) {
                // Behind a proxy that listens it is told of the proxy.
                let fits = (refused && !h.serves()) || (answered && h.proxy().is_none());
                let weight = if fits && failing { Decisive } else { Weak };
                b.pro(weight, h.seen("services", of_unit(u)));
            }
            let again =
                h.h.units.iter().filter(|u| !u.is_down() && u.restarts >= 3 && !is_housekeeping(&u.name));
            for u in again.take(2) {
                let weight = if failing && case.is_some_and(|c| c.many("HTTPCode_ELB_502_Count")) {
                    Strong
                } else {
                    Weak
                };
                b.pro(weight, h.seen("services", of_unit(u)));
            }
            let mut server_failed = false;
            let told = |unit: &str| h.h.units.iter().any(|u| u.name.as_str() == unit);
            for unit in h.h.failed_units.iter().filter(|u| !told(u) && !is_housekeeping(u)) {
                let name = unit.split('.').next().unwrap_or_default();
                let server =
                    ["nginx", "apache2", "httpd", "haproxy", "tomcat", "puma", "gunicorn", "php", "node"]
                        .iter()
                        .any(|s| name.starts_with(s));
                server_failed |= server;
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
                    let killed = h.h.units.iter().any(|u| u.result.as_str() == "oom-kill");
                    let weight = match h.elsewhere() {
                        // It is up, on another port; or the kernel ended it.
                        _ if killed => Strong,
                        Some(_) => Weak,
                        // A service that is known to have ended says why.
                        None if failing && (h.down().next().is_some() || server_failed) => Decisive,
                        None => Weak,
                    };
                    b.pro(weight, h.seen("listening ports", value));
                }
                Some(l) => {
                    let by = if l.process.is_empty() { "a process" } else { l.process.as_str() };
                    b.con(
                        self.against(b),
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
            for u in h.h.units.iter().filter(|u| u.result.as_str() == "oom-kill") {
                b.pro(if failing { Decisive } else { Strong }, h.seen("services", of_unit(u)));
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
                b.con(self.against(b), h.seen("memory", value));
            }
        }
    }

    pub(super) fn cpu(&self, b: &mut Ballot, failing: bool) {
        for h in self.targets() {
            if let Some(busy) = h.h.cpu_busy.filter(|v| *v >= 92.0) {
                let load = h.h.load.map_or_else(String::new, |l| format!(", load {l}"));
                b.pro(
                    if failing { Strong } else { Weak },
                    h.seen("processors", format!("{busy:.0} % busy{load}")),
                );
            }
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
                b.con(self.against(b), h.seen("processor", value));
            }
        }
    }

    pub(super) fn disk(&self, b: &mut Ballot, failing: bool) {
        for h in self.targets().filter(|h| !h.h.disks.is_empty()) {
            b.learned("disks of the targets");
            let mut full = false;
            // What is mounted there is of the boot loader, or of somebody's backup.
            let of_interest =
                h.h.disks
                    .iter()
                    .filter(|d| !["/boot", "/mnt", "/media"].iter().any(|m| d.mount.starts_with(m)));
            for d in of_interest {
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
                b.con(self.against(b), h.seen("disks", value));
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
            for (name, n) in h.h.allowances.iter().filter(|(name, _)| name.starts_with("conntrack")) {
                let value = format!("{n} packets since the interface came up");
                b.pro(if failing { Strong } else { Weak }, h.seen(name, value));
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

    pub(super) fn firewall(&self, b: &mut Ballot, failing: bool, case: Option<&Case<'_>>) {
        let connects = case.is_none_or(|c| c.many("TargetConnectionErrorCount"));
        let (mut clean, mut any) = (true, false);
        for h in self.targets() {
            // One of the two says it all; both silent say nothing.
            if h.silent("nft") && h.silent("iptables") {
                clean = false;
                continue;
            }
            any = true;
            let counted = h.h.firewall.iter().find(|r| h.ports.iter().any(|p| names(r, *p)));
            if let Some(rule) = counted {
                clean = false;
                // Whom it is for is not compared with who sends.
                let weight = match (failing, connects) {
                    (true, true) => Decisive,
                    (true, false) => Weak,
                    (false, _) => Strong,
                };
                b.pro(weight, h.seen("firewall", rule.clone()));
                continue;
            }
            for l in h.listeners().filter(|l| !l.kept_out.is_empty()) {
                clean = false;
                let what = format!("firewall of port {}", l.port);
                let weight = match (l.kept_out_some, failing) {
                    // It takes some senders; that the load balancer's connections
                    // fail, and nothing in between stops them, says which.
                    (true, true) if connects => Strong,
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
                b.con(
                    if self.covered { Strong } else { Weak },
                    h.seen("firewall", "no rule keeps requests out"),
                );
            }
        }
    }

    pub(super) fn queue(&self, b: &mut Ballot, failing: bool) {
        for h in self.targets() {
            let mut full = false;
            for l in h.listeners().filter(|l| l.is_full()) {
                full = true;
                let value = format!("{} of {} places taken on port {}", l.queued, l.backlog, l.port);
                b.pro(
                    if failing && l.queued > 20 { Decisive } else { Strong },
                    h.seen("queue of connections", value),
                );
            }
            if let Some((name, n)) =
                h.h.counters.iter().find(|(n, v)| n.as_str() == "TcpExtListenOverflows" && *v > 0)
            {
                // Since the machine started: it may have been long ago.
                let weight = if failing && *n >= 1000 { Strong } else { Weak };
                b.pro(weight, h.seen(name, format!("{n} since it started")));
            }
            if let Some((_, n)) = h.h.sockets.iter().find(|(s, n)| s.as_str() == "CLOSE-WAIT" && *n >= 100) {
                let weight = if failing && *n >= 500 { Strong } else { Weak };
                b.pro(weight, h.seen("sockets in CLOSE-WAIT", n.to_string()));
            }
            if !full && h.listeners().next().is_some() {
                b.learned("queues and limits of the servers");
                b.con(Weak, h.seen("queue of connections", "not full"));
            }
        }
    }
}
