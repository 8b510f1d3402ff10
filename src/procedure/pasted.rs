//! Reads what people pasted from a host: the signs of want in the output of
//! `df`, `free`, `uptime`, `nproc` and of logs. Anything else is left to the reader.

use super::patterns::{Pattern, Patterns};
use crate::text::SafeText;

/// A sign of want.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sign<'p> {
    Disk {
        mount: SafeText,
        percent: u32,
    },
    Inodes {
        mount: SafeText,
        percent: u32,
    },
    Memory {
        available_mib: u64,
        total_mib: u64,
    },
    Swap {
        used_mib: u64,
        total_mib: u64,
    },
    Load {
        one_minute: f64,
        cores: u32,
    },
    /// A line of a known pattern.
    Line {
        pattern: &'p Pattern,
        line: SafeText,
    },
}

/// Signs in the order of the text. A table whose header is not seen is not guessed at.
pub(crate) fn read<'p>(text: &str, patterns: &'p Patterns) -> Vec<Sign<'p>> {
    let mut out = Vec::new();
    let mut header: Vec<&str> = Vec::new();
    let mut one_minute = None;
    let mut cores = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"Filesystem") || (words.contains(&"total") && words.contains(&"free")) {
            header = words;
            continue;
        }
        if let Some(p) = patterns.of(line) {
            out.push(Sign::Line { pattern: p, line: SafeText::capped(line.trim(), 160) });
            continue;
        }
        if header.first() == Some(&"Filesystem") {
            disk(&header, &words, &mut out);
        }
        match words.first() {
            Some(&"Mem:") => memory(&header, &words, &mut out),
            Some(&"Swap:") => swap(&words, &mut out),
            _ => {}
        }
        if let Some((_, tail)) = line.split_once("load average") {
            let first = tail.trim_start_matches(['s', ':', ' ']).split([',', ' ']).next();
            one_minute = first.and_then(|v| v.parse::<f64>().ok());
        }
        if let ("CPU(s):", Some(n)) = (words.first().copied().unwrap_or(""), words.get(1)) {
            cores = n.parse().ok();
        } else if let ["nproc", n] | ["nproc:", n] = words.as_slice() {
            cores = n.parse().ok();
        }
    }
    if let (Some(one_minute), Some(cores)) = (one_minute, cores)
        && cores > 0
        && one_minute > 1.5 * f64::from(cores)
    {
        out.push(Sign::Load { one_minute, cores });
    }
    out
}

/// Nearly full: what writes next may fail.
const FULL: u32 = 95;

fn disk(header: &[&str], words: &[&str], out: &mut Vec<Sign<'_>>) {
    let Some(at) = header.iter().position(|h| matches!(*h, "Use%" | "Capacity" | "IUse%")) else { return };
    let (Some(percent), Some(mount)) =
        (words.get(at).and_then(|p| p.strip_suffix('%')).and_then(|p| p.parse().ok()), words.get(at + 1))
    else {
        return;
    };
    // Images and pseudo file systems are full by nature.
    if percent < FULL || mount.starts_with("/snap") || words[0].starts_with("/dev/loop") {
        return;
    }
    let mount = SafeText::from(*mount);
    out.push(if header[at] == "IUse%" {
        Sign::Inodes { mount, percent }
    } else {
        Sign::Disk { mount, percent }
    });
}

/// `free -m`: the header names the columns behind the row's name.
fn memory(header: &[&str], words: &[&str], out: &mut Vec<Sign<'_>>) {
    let column = |name: &str| {
        let at = header.iter().position(|h| *h == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    if let (Some(total), Some(available)) = (column("total"), column("available"))
        && total > 0
        && available * 20 < total
    {
        out.push(Sign::Memory { available_mib: available, total_mib: total });
    }
}

fn swap(words: &[&str], out: &mut Vec<Sign<'_>>) {
    let n = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok());
    if let (Some(total), Some(used)) = (n(1), n(2))
        && total > 0
        && used * 2 > total
    {
        out.push(Sign::Swap { used_mib: used, total_mib: total });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SICK: &str = "\
 01:53:40 up 12 days,  4:11,  1 user,  load average: 9.71, 7.20, 4.02
nproc 2
              total        used        free      shared  buff/cache   available
Mem:           3789        3611          60           2         118          91
Swap:          2047        1900         147
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/nvme0n1p1    20959212 20959200        12     100% /
tmpfs               388096        0    388096       0% /run
/dev/loop3           56000    56000         0     100% /snap/core
Filesystem      Inodes   IUsed   IFree IUse% Mounted on
/dev/nvme0n1p1 5242880 5242879       1   100% /var
[Sun Nov 22 01:40:31 2026] Out of memory: Killed process 2311 (java) total-vm:8123456kB
";

    #[test]
    fn sees_every_sign_of_want() {
        let p = Patterns::load().unwrap();
        let signs = read(SICK, &p);
        assert_eq!(signs.len(), 6, "{signs:?}");
        assert_eq!(signs[0], Sign::Memory { available_mib: 91, total_mib: 3789 });
        assert_eq!(signs[1], Sign::Swap { used_mib: 1900, total_mib: 2047 });
        assert_eq!(signs[2], Sign::Disk { mount: "/".into(), percent: 100 });
        assert_eq!(signs[3], Sign::Inodes { mount: "/var".into(), percent: 100 });
        assert!(matches!(&signs[4], Sign::Line { pattern, .. } if pattern.id == "kernel-oom"));
        assert_eq!(signs[5], Sign::Load { one_minute: 9.71, cores: 2 });
    }

    #[test]
    fn a_healthy_host_and_plain_prose_show_nothing() {
        let p = Patterns::load().unwrap();
        let fine = SICK
            .replace("9.71", "0.40")
            .replace("         91", "       2400")
            .replace("1900", "0")
            .replace("100%", "40%")
            .replace("Out of memory: Killed process", "started");
        assert_eq!(read(&fine, &p), []);
        for text in [
            "restarted nginx, looks better",
            "",
            "Mem: 100 lots",
            "Swap: x",
            "load average: high",
            "/dev/sda1 9 9 0 100% /",
        ] {
            assert_eq!(read(text, &p), [], "{text}");
        }
    }
}
