//! A network of its own with a firewall in it, where the machine allows that:
//! what drops, what rejects and what loses one way only, as a probe meets it and
//! as the host behind says of itself.

use crate::serve::*;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A namespace with a server on port 8080; its own end of the wire is at `.2`.
struct Net {
    name: String,
    address: String,
    _server: Running,
}

impl Drop for Net {
    fn drop(&mut self) {
        // Its end of the wire, and with that ours, goes with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn skipped(why: &str) -> Option<Net> {
    let line = format!("SKIPPED: no network namespaces here: {why}\n");
    match std::fs::OpenOptions::new().write(true).open("/dev/stderr") {
        Ok(mut f) => drop(f.write_all(line.as_bytes())),
        Err(_) => eprint!("{line}"),
    }
    None
}

fn ok(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let done = Command::new(words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|s| s.success())
}

impl Net {
    fn new() -> Option<Net> {
        find("ip", "iproute2")?;
        find("nft", "nftables")?;
        let python = find("python3", "python3")?;
        let id = std::process::id() % 60_000;
        let name = format!("bgt{id}");
        if !ok(&format!("ip netns add {name}")) {
            return skipped("'ip netns add' is not allowed");
        }
        let (net, wire) = (format!("10.213.{}", id % 250), format!("bgv{id}"));
        let address = format!("{net}.2");
        let steps = [
            format!("ip link add {wire} type veth peer name eth0 netns {name}"),
            format!("ip addr add {net}.1/24 dev {wire}"),
            format!("ip link set {wire} up"),
            format!("ip -n {name} addr add {address}/24 dev eth0"),
            format!("ip -n {name} link set eth0 up"),
            format!("ip -n {name} link set lo up"),
        ];
        let made = steps.iter().all(|s| ok(s)) && ok(&format!("ip netns exec {name} nft list ruleset"));
        if !made {
            let _ = ok(&format!("ip netns del {name}"));
            return skipped("interfaces or rules cannot be made");
        }
        let program = "import http.server as h\nclass A(h.BaseHTTPRequestHandler):\n    protocol_version = 'HTTP/1.1'\n    \
             def do_GET(self):\n        self.send_response(200)\n        self.send_header('Content-Length', '2')\n        \
             self.end_headers()\n        self.wfile.write(b'ok')\n    def log_message(self, *a): pass\n\
             h.ThreadingHTTPServer(('0.0.0.0', 8080), A).serve_forever()\n";
        let child = Command::new("ip")
            .args(["netns", "exec", &name])
            .arg(python)
            .args(["-c", program])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let net = Net { name, address, _server: Running(child) };
        for _ in 0..200 {
            if std::net::TcpStream::connect((net.address.as_str(), 8080)).is_ok() {
                return Some(net);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server in the namespace never answered");
    }

    /// These are all the rules there are.
    fn rules(&self, text: &str) {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name, "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("flush ruleset\ntable inet f {{\n{text}\n}}\n");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
    }

    fn probe(&self) -> (i32, Value) {
        probe(&[&format!("http://{}:8080/", self.address), "--timeout", "1500ms"])
    }

    /// What the host behind says of its port.
    fn kept_out(&self) -> (String, bool) {
        let out = Command::new("ip")
            .args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_badgate"), "host", "local", "--json"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let v: Value = serde_json::from_slice(&out.stdout).unwrap();
        let all = v["hosts"][0]["host"]["listening"].as_array().unwrap().clone();
        let l = all.iter().find(|l| l["port"] == 8080).unwrap_or_else(|| panic!("{v:#}"));
        (l["kept_out"].as_str().unwrap().to_owned(), l["kept_out_some"].as_bool().unwrap())
    }
}

#[test]
fn what_a_firewall_does_is_told_apart_from_both_sides() {
    let Some(net) = Net::new() else { return };
    let input =
        |rules: &str| format!("chain input {{ type filter hook input priority 0; policy accept; {rules}; }}");
    let output = |rules: &str| {
        format!("chain output {{ type filter hook output priority 0; policy accept; {rules}; }}")
    };
    for (rules, fault, kept, some) in [
        (input("tcp dport 9 drop"), "", "", false),
        (input("tcp dport 8080 drop"), "tcp-timed-out", "dport 8080 drop", false),
        (input("tcp dport 8080 reject with tcp reset"), "tcp-refused", "reject with tcp reset", false),
        (input("tcp dport 8080 reject"), "tcp-", "dport 8080 reject", false),
        (
            "chain input { type filter hook input priority 0; policy drop; ct state established accept; tcp dport 22 accept; }"
                .to_owned(),
            "tcp-timed-out",
            "policy drop",
            false,
        ),
        // Another port, and other senders: nothing is wrong from here.
        (input("tcp dport 8081 drop"), "", "", false),
        (input("ip saddr 203.0.113.0/24 tcp dport 8080 drop"), "", "203.0.113.0/24", true),
        // One way only: what comes in is let in, and its answer is lost.
        (output("tcp sport 8080 drop"), "tcp-timed-out", "", false),
        // The connection stands; what the server says on it does not arrive.
        (output("tcp sport 8080 tcp flags & psh == psh drop"), "http-timed-out", "", false),
    ] {
        net.rules(&rules);
        let (code, v) = net.probe();
        let all = ids(&v);
        if fault.is_empty() {
            assert_eq!(code, 0, "{rules}: {v:#}");
        } else {
            assert_eq!(code, 1, "{rules}: {v:#}");
            assert!(all.iter().any(|f| f.starts_with(fault)), "{rules}: {all:?}");
        }
        let (rule, only) = net.kept_out();
        assert_eq!(only, some, "{rules}: {rule}");
        assert!(if kept.is_empty() { rule.is_empty() } else { rule.contains(kept) }, "{rules}: {rule}");
    }
}
