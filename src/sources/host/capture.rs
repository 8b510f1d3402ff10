//! What passed a host's interfaces for some seconds: `tcpdump` with a filter
//! made of a port and a peer and of nothing a person typed otherwise. Headers
//! only; nothing is written there. The lines are read as `tcpdump -nn -tttt -l`
//! prints them and summed up.

use crate::situation::host::Capture;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Packets after which the capture ends by itself.
const PACKETS: u32 = 20_000;
/// Connections told apart, lines kept as samples, kinds of ICMP kept.
const CONNECTIONS: usize = 4096;
const SAMPLES: usize = 6;
const KINDS: usize = 12;
/// A connection that was silent this long was idle, seconds.
const IDLE: f64 = 1.0;
/// An answer this late is no answer to it, seconds.
const SOON: f64 = 2.0;

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// 1 to 60.
    pub seconds: u32,
    pub port: u16,
    pub peer: Option<IpAddr>,
}

impl Look {
    /// The filter: the port, the peer, and what ICMP says of either.
    pub fn filter(&self) -> String {
        let of = self.peer.map_or_else(String::new, |ip| format!(" and host {ip}"));
        format!("(tcp port {}{of}) or icmp[0] == 3 or icmp6[0] == 1 or icmp6[0] == 2", self.port)
    }

    /// The line that runs on the host.
    pub fn command(&self) -> String {
        format!(
            "TZ=UTC timeout {} tcpdump -i any -nn -tttt -l -s 96 -c {PACKETS} '{}'",
            self.seconds,
            self.filter()
        )
    }

    /// The script for `sh`; what it prints stands between two marks.
    pub fn script(&self, mark: &str) -> String {
        format!(
            "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin; export PATH\necho '{mark} capture'\n\
             {{ {} 2>&1 </dev/null; echo \"{mark}=$?\"; }}\necho '{mark} end'\n",
            self.command()
        )
    }
}

#[derive(Debug, Default)]
struct Connection {
    /// Of the newest packet.
    last: f64,
    syn: Option<(f64, u64)>,
    answered: bool,
    /// The pause before the newest data, and who sent that.
    data: Option<(f64, f64, bool)>,
    /// Who said that it is over: the first of the two ends by name.
    fin: Option<bool>,
}

/// One line, as far as it matters.
#[derive(Debug, PartialEq)]
struct Packet<'a> {
    at: f64,
    from: &'a str,
    to: &'a str,
    flags: &'a str,
    seq: u64,
    length: u64,
}

/// Sums up what tcpdump printed. `Err` says in a line why there is nothing.
pub fn read(look: &Look, text: &str, code: Option<i32>) -> Result<Capture, String> {
    let mut out = Capture {
        port: look.port,
        peer: look.peer.map(|p| p.to_string().into()).unwrap_or_default(),
        seconds: look.seconds,
        ..Capture::default()
    };
    let mut all: BTreeMap<(String, String), Connection> = BTreeMap::new();
    let mut icmp: BTreeMap<String, u32> = BTreeMap::new();
    let mut began = false;
    for line in text.lines() {
        began |= line.contains("listening on") || line.contains("packets captured");
        let Some((at, rest)) = stamped(line) else { continue };
        // The loopback shows each packet twice.
        if rest.starts_with("lo ") && rest.contains(" Out ") {
            continue;
        }
        began = true;
        out.packets += 1;
        if let Some(what) = unreachable(rest) {
            if icmp.len() < KINDS || icmp.contains_key(what) {
                *icmp.entry(what.to_owned()).or_default() += 1;
            }
            sample(&mut out, line);
            continue;
        }
        let Some(p) = packet(at, rest) else { continue };
        follow(&mut all, &mut out, &p, line);
    }
    if !began {
        let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("tcpdump printed nothing");
        let why = match code {
            Some(127) => "there is no tcpdump on this host",
            _ => last.trim(),
        };
        return Err(why.to_owned());
    }
    out.connections = u32::try_from(all.len()).unwrap_or(u32::MAX);
    out.unanswered = all.values().filter(|c| c.syn.is_some() && !c.answered).count() as u32;
    out.icmp = icmp.into_iter().map(|(what, n)| (SafeText::capped(what, 160), n)).collect();
    Ok(out)
}

fn sample(out: &mut Capture, line: &str) {
    if out.samples.len() < SAMPLES {
        out.samples.push(SafeText::capped(line.trim(), 200));
    }
}

fn follow(all: &mut BTreeMap<(String, String), Connection>, out: &mut Capture, p: &Packet<'_>, line: &str) {
    let first = p.from < p.to;
    let key = if first { (p.from, p.to) } else { (p.to, p.from) };
    let key = (key.0.to_owned(), key.1.to_owned());
    if all.len() >= CONNECTIONS && !all.contains_key(&key) {
        return;
    }
    let fresh = !all.contains_key(&key);
    let c = all.entry(key).or_default();
    let gap = if fresh { 0.0 } else { p.at - c.last };
    let has = |f: char| p.flags.contains(f);
    if has('S') && !has('.') {
        match c.syn {
            Some((_, seq)) if seq == p.seq && !c.answered => {
                out.syn_retransmits += 1;
                sample(out, line);
            }
            // The same two ports again: another connection.
            _ => *c = Connection { syn: Some((p.at, p.seq)), ..Connection::default() },
        }
    } else if has('R') {
        out.resets += 1;
        let unanswered = c.syn.is_some() && !c.answered;
        if unanswered {
            out.refused += 1;
            c.answered = true;
        } else if let Some((at, idle, by)) = c.data.filter(|(at, ..)| p.at - at <= SOON) {
            // The end had been said, or nothing for a while; then something was
            // sent, and that was answered so.
            let _ = at;
            if by != first && (idle >= IDLE || c.fin.is_some_and(|f| f != by)) {
                out.resets_after_idle += 1;
                out.idle_s = Some(out.idle_s.map_or(idle, |x| x.max(idle)));
            }
        }
        sample(out, line);
    } else {
        if has('S') {
            c.answered = true;
        }
        if has('F') {
            c.fin = c.fin.or(Some(first));
        }
        if p.length > 0 {
            c.data = Some((p.at, gap, first));
        }
    }
    c.last = p.at;
}

/// Seconds of the line and what follows the time.
fn stamped(line: &str) -> Option<(f64, &str)> {
    let (stamp, rest) = line.split_at_checked(26)?;
    let (day, time) = stamp.split_once(' ')?;
    let at: Timestamp = format!("{day}T{time}Z").parse().ok()?;
    Some((at.as_microsecond() as f64 / 1e6, rest.trim_start()))
}

/// What ICMP says cannot be reached.
fn unreachable(rest: &str) -> Option<&str> {
    let (_, what) = rest.split_once("ICMP")?;
    what.contains("unreachable").then(|| {
        let what = what.trim_start_matches(['6', ',', ' ']);
        what.split(", length").next().unwrap_or(what).trim()
    })
}

/// `lo    In  IP 10.0.1.5.40000 > 10.0.11.10.8080: Flags [P.], seq 1:9, ack 1, length 8`.
fn packet(at: f64, rest: &str) -> Option<Packet<'_>> {
    let rest = rest.split_once("IP6 ").or_else(|| rest.split_once("IP "))?.1;
    let (from, rest) = rest.split_once(" > ")?;
    let (to, rest) = rest.split_once(": Flags [")?;
    let (flags, rest) = rest.split_once(']')?;
    let number = |name: &str| {
        let (_, tail) = rest.split_once(name)?;
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        tail[..end].parse::<u64>().ok()
    };
    Some(Packet {
        at,
        from,
        to,
        flags,
        seq: number(" seq ").unwrap_or(0),
        length: number(" length ").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look { seconds: 5, port: 8080, peer: None };
    const A: &str = "10.0.1.5.40000";
    const B: &str = "10.0.11.10.8080";

    fn line(second: f64, from: &str, to: &str, what: &str) -> String {
        format!("2026-11-22 01:53:{second:09.6} eth0  In  IP {from} > {to}: {what}\n")
    }

    fn began() -> String {
        "tcpdump: data link type LINUX_SLL2\nlistening on any, link-type LINUX_SLL2\n".into()
    }

    #[test]
    fn the_filter_is_made_of_port_and_peer_only() {
        let look = Look { peer: Some("10.0.1.5".parse().unwrap()), ..LOOK };
        assert!(look.command().contains("'(tcp port 8080 and host 10.0.1.5) or icmp[0] == 3"));
        assert!(look.command().starts_with("TZ=UTC timeout 5 tcpdump -i any -nn -tttt -l"));
        assert!(!look.command().contains(" -w"));
    }

    #[test]
    fn a_reset_after_a_pause_is_told_from_one_at_once() {
        let shake = |t: f64| {
            line(t, A, B, "Flags [S], seq 7, win 64240, length 0")
                + &line(t + 0.001, B, A, "Flags [S.], seq 9, ack 8, win 65160, length 0")
                + &line(t + 0.002, A, B, "Flags [.], ack 1, win 502, length 0")
                + &line(t + 0.003, A, B, "Flags [P.], seq 1:80, ack 1, win 502, length 79")
                + &line(t + 0.004, B, A, "Flags [P.], seq 1:20, ack 80, win 509, length 19")
        };
        // The server said FIN after 5 s; what came then is reset.
        let raced = began()
            + &shake(1.0)
            + &line(6.0, B, A, "Flags [F.], seq 20, ack 80, win 509, length 0")
            + &line(6.0005, A, B, "Flags [P.], seq 80:160, ack 20, win 502, length 80")
            + &line(6.001, B, A, "Flags [R], seq 20, win 0, length 0");
        let c = read(&LOOK, &raced, Some(124)).unwrap();
        assert_eq!((c.connections, c.resets, c.resets_after_idle, c.refused), (1, 1, 1, 0), "{c:?}");
        // Forgotten on the way: nothing was said, then a reset to what came after 9 s.
        let forgotten = began()
            + &shake(1.0)
            + &line(10.0, A, B, "Flags [P.], seq 80:160, ack 20, win 502, length 80")
            + &line(10.001, B, A, "Flags [R], seq 20, win 0, length 0");
        let c = read(&LOOK, &forgotten, Some(124)).unwrap();
        assert_eq!(c.resets_after_idle, 1);
        assert!((c.idle_s.unwrap() - 8.996).abs() < 0.01, "{c:?}");
        // A worker that dies under a request is no race.
        let died = began()
            + &shake(1.0)
            + &line(1.1, A, B, "Flags [P.], seq 80:160, ack 20, win 502, length 80")
            + &line(1.4, B, A, "Flags [R.], seq 20, ack 160, win 0, length 0");
        let c = read(&LOOK, &died, Some(124)).unwrap();
        assert_eq!((c.resets, c.resets_after_idle), (1, 0), "{c:?}");
    }

    #[test]
    fn refused_unanswered_and_unreachable_are_told_apart() {
        let syn = "Flags [S], seq 7, win 64240, length 0";
        let refused =
            began() + &line(1.0, A, B, syn) + &line(1.001, B, A, "Flags [R.], seq 0, ack 8, win 0, length 0");
        let c = read(&LOOK, &refused, Some(124)).unwrap();
        assert_eq!((c.refused, c.unanswered, c.syn_retransmits), (1, 0, 0), "{c:?}");
        let silent = began() + &line(1.0, A, B, syn) + &line(2.02, A, B, syn) + &line(4.1, A, B, syn);
        let c = read(&LOOK, &silent, Some(124)).unwrap();
        assert_eq!((c.refused, c.unanswered, c.syn_retransmits), (0, 1, 2), "{c:?}");
        let icmp = began()
            + "2026-11-22 01:53:02.000100 eth0  Out IP 10.0.11.10 > 10.0.1.5: ICMP host 10.0.11.10 unreachable - admin prohibited filter, length 68\n";
        let c = read(&LOOK, &icmp, Some(124)).unwrap();
        assert_eq!(c.icmp, [("host 10.0.11.10 unreachable - admin prohibited filter".into(), 1)]);
    }

    #[test]
    fn what_cannot_be_captured_says_why_and_junk_counts_nothing() {
        for (text, code, want) in [
            ("sh: 1: tcpdump: not found", Some(127), "no tcpdump"),
            ("tcpdump: any: You don't have permission to capture on that device", Some(1), "permission"),
            ("", None, "nothing"),
        ] {
            let why = read(&LOOK, text, code).unwrap_err();
            assert!(why.contains(want), "{why}");
        }
        let junk = began()
            + "2026-11-22 01:53:02.000100 \u{1b}[2J IP x > y: Flags [\n\u{0}\u{ff}\n2026-99-99 99:99:99.999999 IP a > b: Flags [S]\n";
        let c = read(&LOOK, &junk, Some(124)).unwrap();
        assert_eq!(c.connections, 0);
    }
}
