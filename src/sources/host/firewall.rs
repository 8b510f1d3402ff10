//! Whether a host's own firewall lets new TCP connections from elsewhere in to
//! a port: `nft list ruleset` and `iptables -S`, walked in the order the kernel
//! walks them. Sources: nft(8), iptables(8), iptables-extensions(8).
//!
//! A rule that asks for more than the port (sender, interface, rate, a set) may
//! or may not match: what follows from it is said of some senders only.

use std::collections::BTreeMap;

/// Rules that are read of one chain, and chains that are followed into each other.
const RULES: usize = 4096;
const DEPTH: usize = 16;
/// Rules looked at for one port, whatever the chains lead into.
const STEPS: usize = 20_000;

/// How a rule takes a new connection to the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fits {
    No,
    /// It depends on more than the port.
    Maybe,
    Yes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    Accept,
    /// Drop or reject.
    Refuse,
    Return,
    Jump(String),
    Goto(String),
    /// Counts or logs, and goes on.
    Nothing,
}

#[derive(Clone, Debug)]
struct Rule {
    /// What it asks for, in words of the tool.
    asks: Vec<String>,
    then: Then,
    text: String,
    nft: bool,
}

#[derive(Clone, Debug, Default)]
struct Chain {
    /// Packets for this host begin here.
    input: bool,
    refuses: bool,
    rules: Vec<Rule>,
}

/// What keeps connections out of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The rule, with the chain it stands in.
    pub rule: String,
    /// It takes some connections only; which depends on more than the port.
    pub some: bool,
}

/// The rules of a host.
#[derive(Clone, Debug, Default)]
pub struct Firewall {
    /// By table and name.
    chains: BTreeMap<(String, String), Chain>,
}

impl Firewall {
    /// Reads what the two tools printed; either may be empty.
    pub fn read(nft: &str, iptables: &str) -> Firewall {
        let mut out = Firewall::default();
        out.read_nft(nft);
        out.read_iptables(iptables);
        out
    }

    fn read_nft(&mut self, text: &str) {
        let (mut table, mut chain): (String, Option<String>) = (String::new(), None);
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("table ") {
                table = format!("nft {}", name.trim_end_matches('{').trim());
                chain = None;
            } else if let Some(name) = line.strip_prefix("chain ") {
                chain = Some(name.trim_end_matches('{').trim().to_owned());
            } else if line == "}" {
                chain = None;
            } else if let Some(name) = &chain {
                // Rules for other kinds of packets (bridge, arp, netdev) stand in tables of their own.
                if !["nft ip ", "nft ip6 ", "nft inet "].iter().any(|f| table.starts_with(f))
                    || line.is_empty()
                {
                    continue;
                }
                let c = self.chains.entry((table.clone(), name.clone())).or_default();
                if line.starts_with("type ") {
                    c.input = line.contains("hook input");
                    c.refuses = line.contains("policy drop");
                } else if c.rules.len() < RULES {
                    c.rules.push(nft_rule(line));
                }
            }
        }
    }

    fn read_iptables(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            let words = words(line);
            let (Some(verb), Some(name)) = (words.first(), words.get(1)) else { continue };
            let key = ("iptables".to_owned(), name.clone());
            match verb.as_str() {
                "-P" => {
                    let c = self.chains.entry(key).or_default();
                    c.input = name == "INPUT";
                    c.refuses = words.get(2).is_some_and(|w| w == "DROP");
                }
                "-A" => {
                    let c = self.chains.entry(key).or_default();
                    c.input |= name == "INPUT";
                    if c.rules.len() < RULES {
                        c.rules.push(iptables_rule(&words[2..], line));
                    }
                }
                _ => {}
            }
        }
    }

    /// What keeps new connections out of the port, if something does.
    pub fn keeps_out(&self, port: u16) -> Option<Kept> {
        let (mut some, mut policy) = (None, None);
        for ((table, name), chain) in self.chains.iter().filter(|(_, c)| c.input) {
            let mut walk = Walk { firewall: self, table, port, steps: 0, doubt: false, some: None };
            let end = walk.chain(name, chain, 0);
            let fell = end.is_none();
            let refused = match end {
                Some(End::Refused(rule)) => Some(rule),
                Some(End::Accepted) => None,
                None => chain
                    .refuses
                    .then(|| format!("{} {name}: policy drop, and no rule accepts port {port}", tool(table))),
            };
            match refused {
                // A rule that may have accepted before leaves it open for whom.
                Some(rule) if walk.doubt => some = some.or(Some(Kept { rule, some: true })),
                // A rule that says so tells more than a default.
                Some(rule) if fell => policy = policy.or(Some(Kept { rule, some: false })),
                Some(rule) => return Some(Kept { rule, some: false }),
                None => some = some.or(walk.some.map(|rule| Kept { rule, some: true })),
            }
        }
        policy.or(some)
    }
}

fn tool(table: &str) -> &str {
    table.split(' ').next().unwrap_or(table)
}

enum End {
    Accepted,
    Refused(String),
}

struct Walk<'a> {
    firewall: &'a Firewall,
    table: &'a str,
    port: u16,
    steps: usize,
    /// A rule that may have accepted was passed.
    doubt: bool,
    /// A rule that may have refused was passed.
    some: Option<String>,
}

impl Walk<'_> {
    /// `None` when the chain lets the packet fall through.
    fn chain(&mut self, name: &str, chain: &Chain, depth: usize) -> Option<End> {
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > STEPS || depth > DEPTH {
                self.doubt = true;
                return None;
            }
            let fits = rule.fits(self.port);
            if fits == Fits::No {
                continue;
            }
            let sure = fits == Fits::Yes;
            match &rule.then {
                Then::Nothing => {}
                Then::Accept if sure => return Some(End::Accepted),
                Then::Accept => self.doubt = true,
                Then::Refuse => {
                    let text = format!("{} {name}: {}", tool(self.table), rule.text);
                    if sure {
                        return Some(End::Refused(text));
                    }
                    // Only one that speaks of the port is about this server.
                    if rule.names(self.port) && self.some.is_none() {
                        self.some = Some(text);
                    }
                }
                Then::Return if sure => return None,
                Then::Return => self.doubt = true,
                Then::Jump(to) | Then::Goto(to) => {
                    let key = (self.table.to_owned(), to.clone());
                    let Some(next) = self.firewall.chains.get(&key) else {
                        self.doubt = true;
                        continue;
                    };
                    match self.chain(to, next, depth + 1) {
                        Some(end) if sure => return Some(end),
                        Some(End::Accepted) => self.doubt = true,
                        Some(End::Refused(text)) => self.some = self.some.take().or(Some(text)),
                        None if sure && matches!(rule.then, Then::Goto(_)) => return None,
                        None => {}
                    }
                }
            }
        }
        None
    }
}

/// Words of a line; what stands in quotes or braces is one word.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word) = (Vec::new(), String::new());
    let (mut quoted, mut braced) = (false, 0usize);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => braced += 1,
            '}' if !quoted => braced = braced.saturating_sub(1),
            c if c.is_whitespace() && !quoted && braced == 0 => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn nft_rule(line: &str) -> Rule {
    let bare = line.split(" # handle").next().unwrap_or(line);
    let all = words(bare);
    let mut then = Then::Nothing;
    let mut asks = Vec::new();
    let mut it = all.into_iter().peekable();
    while let Some(w) = it.next() {
        match w.as_str() {
            "accept" => then = Then::Accept,
            "drop" => then = Then::Refuse,
            "reject" => {
                then = Then::Refuse;
                break;
            }
            "return" => then = Then::Return,
            "jump" | "goto" => {
                let to = it.next().unwrap_or_default();
                then = if w == "jump" { Then::Jump(to) } else { Then::Goto(to) };
            }
            "counter" => {
                // counter packets N bytes N
                while it.peek().is_some_and(|w| {
                    matches!(w.as_str(), "packets" | "bytes") || w.bytes().all(|b| b.is_ascii_digit())
                }) {
                    it.next();
                }
            }
            "comment" => drop(it.next()),
            "log" => {
                while it.peek().is_some_and(|w| {
                    matches!(w.as_str(), "prefix" | "level" | "flags" | "all" | "group") || w.starts_with('"')
                }) {
                    let w = it.next().unwrap_or_default();
                    if matches!(w.as_str(), "level" | "group") {
                        it.next();
                    }
                }
            }
            _ => asks.push(w),
        }
    }
    Rule { asks, then, text: bare.to_owned(), nft: true }
}

fn iptables_rule(all: &[String], line: &str) -> Rule {
    let (mut asks, mut then) = (Vec::new(), Then::Nothing);
    let mut it = all.iter().peekable();
    while let Some(w) = it.next() {
        match w.as_str() {
            "-j" | "-g" => {
                let to = it.next().cloned().unwrap_or_default();
                then = match to.as_str() {
                    "ACCEPT" => Then::Accept,
                    "DROP" | "REJECT" | "TARPIT" => Then::Refuse,
                    "RETURN" => Then::Return,
                    "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "" => Then::Nothing,
                    _ if w == "-g" => Then::Goto(to),
                    _ => Then::Jump(to),
                };
                // What follows is of the target, not of the packet.
                break;
            }
            // The name of a module; what it asks for follows.
            "-m" => {
                if it.peek().is_some_and(|m| m.as_str() == "comment") {
                    it.next();
                    if it.peek().is_some_and(|w| w.as_str() == "--comment") {
                        it.next();
                        it.next();
                    }
                } else {
                    it.next();
                }
            }
            _ => asks.push(w.clone()),
        }
    }
    Rule { asks, then, text: line.to_owned(), nft: false }
}

impl Rule {
    /// The port stands in it.
    fn names(&self, port: u16) -> bool {
        self.asks.iter().any(|w| among(w, port) == Some(true))
    }

    fn fits(&self, port: u16) -> Fits {
        if self.nft { self.nft_fits(port) } else { self.iptables_fits(port) }
    }

    fn nft_fits(&self, port: u16) -> Fits {
        let mut out = Fits::Yes;
        let mut it = self.asks.iter().map(String::as_str).peekable();
        while let Some(w) = it.next() {
            let one = match (w, it.peek().copied()) {
                ("tcp" | "th", Some("dport")) => {
                    it.next();
                    let (not, value) = operand(&mut it);
                    decided(among(value, port), not)
                }
                ("udp" | "sctp" | "dccp" | "icmp" | "icmpv6" | "igmp" | "esp" | "ah", _) => {
                    return Fits::No;
                }
                ("ct", Some("state")) => {
                    it.next();
                    let (not, value) = operand(&mut it);
                    if value == "vmap" {
                        it.next();
                        // Which verdict it has for new ones is in the map.
                        Fits::Maybe
                    } else {
                        decided(Some(value.split([',', '{', '}', ' ']).any(|s| s == "new")), not)
                    }
                }
                ("iif" | "iifname", _) => {
                    let (not, value) = operand(&mut it);
                    if value.trim_matches('"') == "lo" { decided(Some(false), not) } else { Fits::Maybe }
                }
                ("meta", Some("l4proto" | "nfproto")) => {
                    let what = it.next();
                    let (not, value) = operand(&mut it);
                    if what == Some("nfproto") {
                        Fits::Maybe
                    } else {
                        decided(Some(value.split([',', '{', '}', ' ']).any(|p| p == "tcp" || p == "6")), not)
                    }
                }
                ("ip", Some("protocol")) | ("ip6", Some("nexthdr")) => {
                    it.next();
                    let (not, value) = operand(&mut it);
                    decided(Some(value.split([',', '{', '}', ' ']).any(|p| p == "tcp" || p == "6")), not)
                }
                _ => {
                    // Whatever else it asks for, with its operand.
                    it.by_ref().for_each(|w| {
                        if matches!(w, "udp") {
                            out = Fits::No;
                        }
                    });
                    // The port may stand behind it all the same.
                    let rest = self.port_fits(port);
                    return out.min(rest).min(Fits::Maybe);
                }
            };
            out = out.min(one);
            if out == Fits::No {
                return Fits::No;
            }
        }
        out
    }

    /// `tcp dport ...` anywhere in the rule.
    fn port_fits(&self, port: u16) -> Fits {
        let at = self.asks.windows(2).position(|w| w[1] == "dport");
        let Some(at) = at else { return Fits::Maybe };
        if self.asks[at] == "udp" {
            return Fits::No;
        }
        let mut it = self.asks[at + 2..].iter().map(String::as_str).peekable();
        let (not, value) = operand(&mut it);
        decided(among(value, port), not)
    }

    fn iptables_fits(&self, port: u16) -> Fits {
        let mut out = Fits::Yes;
        let mut not = false;
        let mut it = self.asks.iter().map(String::as_str);
        while let Some(w) = it.next() {
            if w == "!" {
                not = true;
                continue;
            }
            let one = match w {
                "-p" => decided(Some(matches!(it.next(), Some("tcp" | "6" | "all"))), not),
                "--dport" | "--dports" | "--ports" => {
                    decided(among(&it.next().unwrap_or_default().replace(':', "-"), port), not)
                }
                "--state" | "--ctstate" => {
                    decided(Some(it.next().is_some_and(|s| s.split(',').any(|s| s == "NEW"))), not)
                }
                "-i" if !not => {
                    if it.next() == Some("lo") {
                        Fits::No
                    } else {
                        Fits::Maybe
                    }
                }
                // `-p tcp --syn`: a new connection.
                "--syn" => decided(Some(true), not),
                _ => {
                    it.next();
                    Fits::Maybe
                }
            };
            not = false;
            out = out.min(one);
        }
        out
    }
}

fn operand<'a>(it: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> (bool, &'a str) {
    match it.next().unwrap_or_default() {
        "!=" => (true, it.next().unwrap_or_default()),
        "==" => (false, it.next().unwrap_or_default()),
        w => (false, w),
    }
}

fn decided(hit: Option<bool>, not: bool) -> Fits {
    match hit {
        None => Fits::Maybe,
        Some(hit) if hit != not => Fits::Yes,
        Some(_) => Fits::No,
    }
}

/// Is the port `8080`, in `8000-8100` or among `{ 80, 443, 8000-8100 }`? `None`
/// for names and sets kept elsewhere.
fn among(text: &str, port: u16) -> Option<bool> {
    let inner = text.trim_start_matches('{').trim_end_matches('}');
    let mut hit = false;
    for part in inner.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        hit |= match part.split_once('-') {
            Some((low, high)) => (low.trim().parse().ok()?..=high.trim().parse().ok()?).contains(&port),
            None => named(part)? == port,
        };
    }
    Some(hit)
}

/// A port by number, or by the names the tools print for it without `-n`.
fn named(part: &str) -> Option<u16> {
    Some(match part {
        "http" => 80,
        "https" => 443,
        "ssh" => 22,
        "domain" => 53,
        "http-alt" => 8080,
        other => other.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nft(rules: &str, policy: &str) -> Firewall {
        let text = format!(
            "table inet filter {{\n\tset blocked {{\n\t\ttype inet_service\n\t}}\n\tchain input {{\n\t\ttype filter hook input priority filter; policy {policy};\n{rules}\n\t}}\n\tchain web {{\n\t\ttcp dport 8080 counter packets 3 bytes 180 drop\n\t}}\n\tchain forward {{\n\t\ttype filter hook forward priority filter; policy drop;\n\t}}\n}}\n"
        );
        Firewall::read(&text, "")
    }

    #[test]
    fn rules_of_nft_are_walked_as_the_kernel_does() {
        let open = "ct state established,related accept\niif \"lo\" accept\ntcp dport { 22, 8080 } accept";
        for (rules, policy, want) in [
            // Plain.
            ("tcp dport 8080 drop", "accept", Some(false)),
            ("tcp dport 8080 counter packets 1 bytes 2 reject with tcp reset", "accept", Some(false)),
            ("tcp dport { 80, 8000-8100 } drop", "accept", Some(false)),
            ("tcp dport != 22 drop", "accept", Some(false)),
            ("ct state new tcp dport 8080 drop", "accept", Some(false)),
            ("meta l4proto tcp drop", "accept", Some(false)),
            ("jump web", "accept", Some(false)),
            ("ct state established,related accept\ntcp dport 22 accept", "drop", Some(false)),
            ("log prefix \"in drop \" level warn", "drop", Some(false)),
            // Nothing.
            ("", "accept", None),
            (open, "drop", None),
            ("tcp dport 8081 drop\nudp dport 8080 drop\nicmp type echo-request drop", "accept", None),
            ("tcp dport 8080 accept\ntcp dport 8080 drop", "accept", None),
            (
                "ct state invalid drop\niifname \"lo\" drop\ntcp dport 8080 comment \"drop\" accept",
                "drop",
                None,
            ),
            // Look-alikes: for some senders only, or perhaps.
            ("ip saddr 203.0.113.0/24 tcp dport 8080 drop", "accept", Some(true)),
            ("ip saddr 10.0.0.0/16 tcp dport 8080 accept", "drop", Some(true)),
            ("iifname \"eth1\" accept", "drop", Some(true)),
            ("tcp dport 8080 limit rate over 10/second drop", "accept", Some(true)),
            // Of some senders, and not of this port.
            ("ip saddr 203.0.113.0/24 drop", "accept", None),
            ("ip saddr 203.0.113.0/24 tcp dport 22 drop", "accept", None),
        ] {
            let have = nft(rules, policy).keeps_out(8080);
            assert_eq!(have.as_ref().map(|k| k.some), want, "{rules} ({policy}): {have:?}");
        }
        let said = nft("tcp dport 8080 drop", "accept").keeps_out(8080).unwrap();
        assert_eq!(said.rule, "nft input: tcp dport 8080 drop");
        assert!(nft("", "drop").keeps_out(8080).unwrap().rule.contains("policy drop"));
    }

    #[test]
    fn rules_of_iptables_are_walked_too() {
        for (rules, want) in [
            ("-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 8080 -j DROP", Some(false)),
            ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", Some(false)),
            (
                "-P INPUT ACCEPT\n-N WEB\n-A INPUT -j WEB\n-A WEB -p tcp -m multiport --dports 80,8080 -j REJECT --reject-with icmp-port-unreachable",
                Some(false),
            ),
            ("-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp ! --dport 22 -j DROP", Some(false)),
            (
                "-P INPUT ACCEPT\n-A INPUT -p tcp -m comment --comment \"old -j ACCEPT\" -m tcp --dport 8000:8100 -j DROP",
                Some(false),
            ),
            (
                "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 8080 -m conntrack --ctstate NEW -j ACCEPT",
                None,
            ),
            ("-P INPUT ACCEPT\n-P FORWARD DROP\n-A INPUT -p udp -m udp --dport 8080 -j DROP", None),
            ("-P INPUT ACCEPT\n-A INPUT -s 198.51.100.0/24 -p tcp -m tcp --dport 8080 -j DROP", Some(true)),
            ("-P INPUT DROP\n-A INPUT -s 10.0.0.0/8 -j ACCEPT", Some(true)),
            ("", None),
        ] {
            let have = Firewall::read("", rules).keeps_out(8080);
            assert_eq!(have.as_ref().map(|k| k.some), want, "{rules}: {have:?}");
        }
    }

    #[test]
    fn chains_without_end_and_junk_end() {
        let around = "-P INPUT ACCEPT\n-A INPUT -j A\n-A A -j B\n-A A -j B\n-A B -j A\n-A B -j A";
        assert_eq!(Firewall::read("", around).keeps_out(80), None);
        let junk =
            "table inet x {\nchain input {\ntype filter hook input\n\u{0}\u{1b}[31m \"{{{\ntcp dport\n}\n}";
        assert_eq!(Firewall::read(junk, "-A\n-A INPUT\n-P").keeps_out(80), None);
    }
}
