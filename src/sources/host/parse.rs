//! The answers of a host, read into facts with units. An answer that is not
//! of the expected form gives nothing; it is never guessed at.

use super::brief::BRIEF;
use super::commands::{COMMANDS, followed};
use super::firewall::Firewall;
use super::settings::{self, Settings};
use crate::situation::host::{Disk, Host, Listening, Local, Memory, Unit};
use crate::text::SafeText;
use std::collections::BTreeMap;

/// Items of each list that are kept.
const KEPT: usize = 60;
/// Log files that are followed.
const LOGS: usize = 12;

/// The answers by command.
#[derive(Debug, Default)]
pub struct Answers {
    by: BTreeMap<String, (String, Option<i32>)>,
    /// The script ran to its end.
    pub whole: bool,
}

impl Answers {
    /// Cuts the output of the script into its answers. Bytes that are no UTF-8
    /// are replaced: what is read of them is words and numbers.
    pub fn read(output: &[u8], mark: &str) -> Answers {
        let text = String::from_utf8_lossy(output);
        let mut out = Answers::default();
        for part in text.split(&format!("{mark} ")).skip(1) {
            let (id, body) = part.split_once('\n').unwrap_or((part, ""));
            if id == "end" {
                out.whole = true;
                continue;
            }
            let end = format!("{mark}=");
            let (body, code) = match body.rsplit_once(&end) {
                Some((body, tail)) => (body, tail.trim().parse().ok()),
                None => (body, None),
            };
            out.by.insert(id.to_owned(), (body.trim_end().to_owned(), code));
        }
        out
    }

    /// What a command printed; empty when it did not run or found nothing.
    pub fn of(&self, id: &str) -> &str {
        self.by.get(id).map_or("", |(text, _)| text.as_str())
    }

    /// How a command ended; `None` when it was cut off.
    pub fn code(&self, id: &str) -> Option<i32> {
        self.by.get(id).and_then(|(_, code)| *code)
    }

    fn ran(&self, id: &str) -> Result<(), &'static str> {
        match self.by.get(id) {
            None => Err("not reached"),
            Some((_, None)) => Err("too long: cut off"),
            Some((_, Some(124))) => Err("took too long"),
            Some((text, Some(127))) if text.contains("not found") => Err("no such command there"),
            Some((text, Some(code))) if (*code != 0 || id == "kernel") && denied(text) => {
                Err("not allowed to this user")
            }
            Some(_) => Ok(()),
        }
    }
}

fn denied(text: &str) -> bool {
    ["ermission denied", "not permitted", "must be root", "Access denied"].iter().any(|w| text.contains(w))
}

/// Reads everything but the clock.
pub fn host(asked: &str, a: &Answers) -> Host {
    let mut h = Host { asked: asked.into(), ..Host::default() };
    let mut name = a.of("name").lines();
    h.name = name.next().map(|n| SafeText::capped(n.trim(), 120)).unwrap_or_default();
    h.cores = name.next().and_then(|n| n.trim().parse().ok());
    h.addresses = name
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter(|w| w.parse::<std::net::IpAddr>().is_ok())
        .take(KEPT)
        .map(SafeText::from)
        .collect();
    h.load = a.of("uptime").split_whitespace().next().and_then(|w| w.parse().ok());
    h.pressure = pressure(a.of("pressure"));
    h.memory = memory(a.of("memory")).or_else(|| free(a.of("memory")));
    h.cpu_busy = busy(a.of("cpu"));
    h.disks = disks(a.of("disk"), a.of("inodes"));
    h.sockets = a.of("sockets").lines().filter_map(counted).take(KEPT).collect();
    h.listening = a.of("listening").lines().filter_map(listening).take(KEPT).collect();
    if let Ok(n) = a.of("waiting").trim().parse::<u64>() {
        // The header of the list is counted along.
        h.sockets.push((SafeText::from_static("CLOSE-WAIT"), n.saturating_sub(1)));
    }
    h.counters = a.of("counters").lines().filter_map(counter).take(KEPT).collect();
    let mut tracked = a.of("conntrack").lines().filter_map(|l| l.trim().parse::<u64>().ok());
    h.conntrack = tracked.next().zip(tracked.next());
    h.kernel = kernel(a.of("kernel"));
    h.firewall = firewall(a.of("nft"), a.of("iptables"));
    let rules = Firewall::read(a.of("nft"), a.of("iptables"));
    for l in &mut h.listening {
        if let Some(kept) = rules.keeps_out(l.port) {
            l.kept_out = SafeText::capped(kept.rule, 240);
            l.kept_out_some = kept.some;
        }
    }
    h.failed_units = a
        .of("units")
        .lines()
        .filter_map(|l| l.split_whitespace().find(|w| w.contains('.')))
        .filter(|w| w.ends_with(".service") || w.ends_with(".socket") || w.ends_with(".mount"))
        .take(KEPT)
        .map(|w| SafeText::capped(w, 120))
        .collect();
    h.units = units(&[a.of("services"), a.of("restarts")]);
    h.allowances = a.of("allowance").lines().filter_map(allowance).take(KEPT).collect();
    h.versions = versions(a.of("versions"));
    let mut all = Settings::default();
    settings::nginx(a.of("nginx"), &mut all);
    settings::apache(a.of("apache"), &mut all);
    settings::assignments("php-fpm", a.of("php-fpm"), &mut all);
    settings::assignments("gunicorn", a.of("gunicorn"), &mut all);
    settings::tomcat(a.of("tomcat"), &mut all);
    settings::puma(a.of("puma"), &mut all);
    settings::node(a.of("node"), &mut all);
    settings::processes(a.of("processes"), &mut all);
    h.settings = all.take();
    let open = a.of("files").lines().map(str::trim);
    let usual = settings::files(a.of("logs")).map(|(file, _)| file);
    for file in open.chain(usual).filter(|f| followed(f)) {
        let file = SafeText::from(file);
        if h.logs.len() < LOGS && !h.logs.contains(&file) {
            h.logs.push(file);
        }
    }
    h
}

/// Commands of the full list that gave nothing, and why.
pub fn silent(a: &Answers) -> Vec<(SafeText, SafeText)> {
    COMMANDS.iter().filter_map(|c| Some((c.id.into(), a.ran(c.id).err()?.into()))).collect()
}

/// The same of those a container is asked.
pub fn silent_of(ids: &[&str], a: &Answers) -> Vec<(SafeText, SafeText)> {
    ids.iter().filter_map(|id| Some(((*id).into(), a.ran(id).err()?.into()))).collect()
}

/// The same of the short list, whose lines say no exit code: what was cut off.
pub fn cut(a: &Answers) -> Vec<(SafeText, SafeText)> {
    let why = "not among the 24,000 characters that are kept";
    let gone = BRIEF.iter().filter(|c| !a.by.contains_key(c.id));
    gone.map(|c| (c.id.into(), why.into())).collect()
}

fn lines(text: &str, keep: impl Fn(&str) -> bool) -> Vec<SafeText> {
    text.lines().map(str::trim).filter(|l| keep(l)).take(KEPT).map(|l| SafeText::capped(l, 240)).collect()
}

/// Kernel messages older than this are about another time, seconds.
const KERNEL_AGE: f64 = 1800.0;

/// Messages of the kernel. Where no journal is kept they come from `dmesg`,
/// all since the start of the machine, each with the seconds since then; the
/// first line says how long it has been up.
fn kernel(text: &str) -> Vec<SafeText> {
    let up = text
        .lines()
        .next()
        .and_then(|l| l.strip_prefix("up ")?.split_whitespace().next()?.parse::<f64>().ok());
    lines(text, |l| {
        if l.is_empty() || l.starts_with("up ") || l.starts_with("sh:") || denied(l) {
            return false;
        }
        let stamp = l.strip_prefix('[').and_then(|t| t.split(']').next()?.trim().parse::<f64>().ok());
        match (stamp, up) {
            (Some(at), Some(up)) => up - at <= KERNEL_AGE,
            // Whose age cannot be told may be from last month.
            (Some(_), None) => false,
            (None, _) => true,
        }
    })
}

/// `cpu` then `some avg10=1.23 avg60=...`.
fn pressure(text: &str) -> Vec<(SafeText, f64)> {
    let mut out = Vec::new();
    let mut of = "";
    for line in text.lines().map(str::trim) {
        match line.strip_prefix("some avg10=") {
            Some(tail) => {
                if let Some(v) = tail.split_whitespace().next().and_then(|v| v.parse().ok()) {
                    out.push((SafeText::from(of), v));
                }
            }
            None if matches!(line, "cpu" | "memory" | "io") => of = line,
            None => {}
        }
    }
    out
}

fn memory(text: &str) -> Option<Memory> {
    let mib = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
    };
    let swap_total_mib = mib("SwapTotal")?;
    Some(Memory {
        total_mib: mib("MemTotal")?,
        available_mib: mib("MemAvailable")?,
        swap_total_mib,
        swap_used_mib: swap_total_mib.saturating_sub(mib("SwapFree")?),
    })
}

/// `free -m`: total, used, free, shared, buffers and cache, available.
fn free(text: &str) -> Option<Memory> {
    let row = |name: &str| -> Option<Vec<u64>> {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(name))?;
        Some(line.split_whitespace().map_while(|w| w.parse().ok()).collect())
    };
    let (mem, swap) = (row("Mem:")?, row("Swap:").unwrap_or_default());
    Some(Memory {
        total_mib: *mem.first()?,
        available_mib: *mem.get(5)?,
        swap_total_mib: swap.first().copied().unwrap_or(0),
        swap_used_mib: swap.get(1).copied().unwrap_or(0),
    })
}

/// What is not idle: the last sample of `vmstat`, or the summary of `top`,
/// whichever says more.
fn busy(text: &str) -> Option<f64> {
    let mut idle: Vec<f64> = Vec::new();
    let mut column = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(at) = words.iter().position(|w| *w == "id").filter(|_| words.contains(&"us")) {
            column = Some(at);
        } else if let Some(at) = column.filter(|_| words.len() >= 15) {
            if let Some(v) = words.get(at).and_then(|w| w.parse().ok()) {
                // Of two samples the first is the mean since boot.
                idle = vec![v];
            }
        } else if line.trim_start().starts_with("%Cpu") {
            column = None;
            let share =
                line.split(',').find_map(|p| p.trim().strip_suffix(" id")?.trim().parse::<f64>().ok());
            idle.extend(share);
        } else {
            column = None;
        }
    }
    idle.into_iter().filter(|v| (0.0..=100.0).contains(v)).map(|v| 100.0 - v).reduce(f64::max)
}

/// `systemctl status` and `systemctl show`, of whatever both say.
fn units(texts: &[&str]) -> Vec<Unit> {
    let mut out: Vec<Unit> = Vec::new();
    for text in texts {
        let mut at = None;
        for line in text.lines().map(str::trim) {
            let head = line.strip_prefix("Id=").or_else(|| {
                let first = line.strip_prefix(['\u{25cf}', '\u{25cb}', '\u{d7}', '*'])?.trim_start();
                first.split_whitespace().next().filter(|w| w.ends_with(".service"))
            });
            if let Some(name) = head {
                let found = out.iter().position(|u| u.name.as_str() == name);
                at = Some(found.unwrap_or_else(|| {
                    out.push(Unit { name: SafeText::capped(name, 120), ..Unit::default() });
                    out.len() - 1
                }));
                continue;
            }
            let Some(u) = at.and_then(|i: usize| out.get_mut(i)) else { continue };
            if let Some(n) = line.strip_prefix("NRestarts=") {
                u.restarts = u.restarts.max(n.parse().unwrap_or(0));
            } else if let Some(state) = line.strip_prefix("SubState=") {
                u.state = SafeText::capped(state, 40);
            } else if let Some(active) = line.strip_prefix("Active: ") {
                let mut inner = active.split(['(', ')']);
                let word = inner.next().unwrap_or_default().trim();
                let sub = inner.next().unwrap_or_default();
                u.state = SafeText::capped(
                    if word == "failed" || sub.is_empty() || sub.contains(':') { word } else { sub },
                    40,
                );
                if let Some((_, r)) = active.split_once("Result: ") {
                    u.result = SafeText::capped(r.split(')').next().unwrap_or_default(), 40);
                }
            }
        }
    }
    out.retain(|u| u.restarts > 0 || u.is_down());
    out.truncate(KEPT);
    out
}

/// `     conntrack_allowance_exceeded: 0`.
fn allowance(line: &str) -> Option<(SafeText, u64)> {
    let (name, n) = line.trim().split_once(':')?;
    let n = n.trim().parse().ok().filter(|n| *n > 0)?;
    name.ends_with("_exceeded").then(|| (SafeText::capped(name, 60), n))
}

/// The status a host gave itself; `000` is none.
pub fn local(port: u16, path: &str, said: &str) -> Option<Local> {
    let code: u16 = said.trim().rsplit(char::is_whitespace).next()?.parse().ok()?;
    Some(Local { port, path: SafeText::capped(path, 120), status: (code > 0).then_some(code) })
}

/// `df -P`: the last two columns are the share in use and the mount point.
fn disks(space: &str, inodes: &str) -> Vec<Disk> {
    let rows = |text: &str| -> Vec<(String, u32)> {
        text.lines()
            .skip(1)
            .filter_map(|l| {
                let words: Vec<&str> = l.split_whitespace().collect();
                // Images are full by nature; pseudo file systems have no size.
                if words.len() < 6 || words[0].starts_with("/dev/loop") || words[5].starts_with("/snap") {
                    return None;
                }
                Some((words[5..].join(" "), words[4].strip_suffix('%')?.parse().ok()?))
            })
            .collect()
    };
    let mut out: Vec<Disk> = rows(space)
        .into_iter()
        .take(KEPT)
        .map(|(mount, used)| Disk {
            mount: SafeText::capped(&mount, 120),
            used_percent: Some(used),
            inodes_percent: None,
        })
        .collect();
    for (mount, used) in rows(inodes) {
        if let Some(d) = out.iter_mut().find(|d| d.mount.as_str() == mount) {
            d.inodes_percent = Some(used);
        }
    }
    out
}

/// `  12 CLOSE-WAIT`.
fn counted(line: &str) -> Option<(SafeText, u64)> {
    let mut words = line.split_whitespace();
    let n = words.next()?.parse().ok()?;
    Some((SafeText::capped(words.next()?, 20), n))
}

/// `LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=1,fd=6))`.
fn listening(line: &str) -> Option<Listening> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (&"LISTEN", Some(queued), Some(backlog), Some(local)) =
        (words.first()?, words.get(1), words.get(2), words.get(3))
    else {
        return None;
    };
    let (address, port) = local.rsplit_once(':')?;
    let process = line.split_once("users:((\"").and_then(|(_, t)| t.split('"').next()).unwrap_or_default();
    Some(Listening {
        address: SafeText::capped(address, 60),
        port: port.parse().ok()?,
        queued: queued.parse().ok()?,
        backlog: backlog.parse().ok()?,
        process: SafeText::capped(process, 60),
        ..Listening::default()
    })
}

/// `TcpExtListenOverflows           0                  0.0`.
fn counter(line: &str) -> Option<(SafeText, u64)> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|n| n.starts_with("Tcp"))?;
    Some((SafeText::capped(name, 60), words.next()?.parse().ok()?))
}

/// Rules that keep packets out, nftables with the chain they stand in.
fn firewall(nft: &str, iptables: &str) -> Vec<SafeText> {
    let mut out = Vec::new();
    let mut chain = "";
    for line in nft.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ") {
            chain = name.trim_end_matches(" {");
        }
        let refuses = line.split_whitespace().any(|w| matches!(w.trim_end_matches(';'), "drop" | "reject"));
        if refuses && out.len() < KEPT {
            out.push(SafeText::capped(format!("nft {chain}: {line}"), 240));
        }
    }
    for line in iptables.lines().map(str::trim) {
        // Rules as they are written (-S) or as they are counted (-L -v).
        let refuses = ["-j DROP", "-j REJECT", "INPUT DROP", "FORWARD DROP", "OUTPUT DROP", "(policy DROP"];
        if let Some(name) = line.strip_prefix("Chain ") {
            chain = name.split_whitespace().next().unwrap_or_default();
        }
        let counted = line.starts_with(|c: char| c.is_ascii_digit())
            && line.split_whitespace().nth(2).is_some_and(|w| matches!(w, "DROP" | "REJECT"));
        if counted && out.len() < KEPT {
            let words: Vec<&str> = line.split_whitespace().collect();
            out.push(SafeText::capped(format!("iptables {chain}: {}", words.join(" ")), 240));
        } else if refuses.iter().any(|r| line.contains(r)) && out.len() < KEPT {
            out.push(SafeText::capped(format!("iptables {line}"), 240));
        }
    }
    out
}

fn versions(text: &str) -> Vec<(SafeText, SafeText)> {
    let mut out = Vec::new();
    for line in text.lines().map(str::trim) {
        let found = [
            ("nginx", line.strip_prefix("nginx version: nginx/")),
            ("apache", line.strip_prefix("Server version: Apache/")),
            ("haproxy", line.strip_prefix("HAProxy version ")),
            ("gunicorn", line.strip_prefix("gunicorn (version ")),
            ("puma", line.strip_prefix("puma version ")),
            ("php-fpm", line.strip_prefix("PHP ")),
            ("node", line.strip_prefix('v').filter(|l| l.starts_with(|c: char| c.is_ascii_digit()))),
        ];
        let Some((server, Some(tail))) = found.into_iter().find(|(_, t)| t.is_some()) else { continue };
        let version: String = tail.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        if !version.is_empty() {
            out.push((SafeText::from(server), SafeText::from(version.trim_end_matches('.'))));
        }
    }
    out
}

#[cfg(test)]
mod tests;
