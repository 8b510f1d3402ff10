use super::*;

const M: &str = "==m==";

fn answers(all: &[(&str, &str, i32)]) -> Answers {
    let mut text = String::from("banner of the host\n");
    for (id, body, code) in all {
        text.push_str(&format!("{M} {id}\n{body}\n{M}={code}\n\n"));
    }
    text.push_str(&format!("{M} end\n"));
    Answers::read(text.as_bytes(), M)
}

#[test]
fn answers_become_facts_with_units() {
    let a = answers(&[
        (
            "files",
            "/srv/shop/log/production.log\n/var/log/nginx/error.log\n/tmp/$(reboot).log\nls: cannot open",
            0,
        ),
        ("logs", "#badgate /var/log/nginx/error.log\nline", 0),
        ("name", "web-1\n4\n10.0.1.5 fd12::1 ", 0),
        ("uptime", "9.71 7.20 4.02 2/300 411", 0),
        (
            "pressure",
            "cpu\nsome avg10=12.50 avg60=1.00 avg300=0 total=1\nmemory\nsome avg10=0.00 avg60=0\nfull avg10=9\nio\n",
            0,
        ),
        (
            "memory",
            "MemTotal:        3880000 kB\nMemAvailable:      93184 kB\nSwapTotal:       2097148 kB\nSwapFree:         151548 kB",
            0,
        ),
        (
            "disk",
            "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/nvme0n1p1 20959212 20959200 12 100% /\n/dev/loop3 5 5 0 100% /snap/x\n",
            0,
        ),
        ("inodes", "Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/nvme0n1p1 100 7 93 7% /\n", 0),
        ("sockets", "    812 CLOSE-WAIT\n     40 ESTAB", 0),
        (
            "listening",
            "LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:((\"nginx\",pid=7,fd=6))\nLISTEN 12 10 [::]:8080 [::]:*",
            0,
        ),
        ("counters", "#kernel\nTcpExtListenOverflows           41                 0.0", 0),
        ("conntrack", "65000\n65536", 0),
        (
            "nft",
            "table inet f {\n chain input {\n type filter hook input priority 0; policy accept;\n tcp dport 8080 drop\n tcp dport 80 accept\n }\n}",
            0,
        ),
        ("iptables", "-P INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT", 0),
        ("units", "nginx.service loaded failed failed A web server", 0),
        (
            "versions",
            "nginx version: nginx/1.29.8\nsh: 1: httpd: not found\nServer version: Apache/2.4.57 (Debian)\nv20.20.2\ngunicorn (version 20.1.0)",
            0,
        ),
        (
            "kernel",
            "up 9000.10 1.0\n[ 3000.1] Out of memory: Killed process 3 (old)\n[ 8999.5] oom-kill:constraint=NONE\nOut of memory: Killed process 7 (java)",
            0,
        ),
    ]);
    assert!(a.whole);
    let h = host("ssh:web-1", &a);
    let silent = silent(&a);
    assert_eq!((h.name.as_str(), h.cores, h.load, h.addresses.len()), ("web-1", Some(4), Some(9.71), 2));
    assert_eq!(h.pressure[0], ("cpu".into(), 12.5));
    assert_eq!(
        h.memory,
        Some(Memory { total_mib: 3789, available_mib: 91, swap_total_mib: 2047, swap_used_mib: 1900 })
    );
    assert_eq!(h.disks, [Disk { mount: "/".into(), used_percent: Some(100), inodes_percent: Some(7) }]);
    assert_eq!(h.sockets[0], ("CLOSE-WAIT".into(), 812));
    assert_eq!((h.listening[0].process.as_str(), h.listening[0].port), ("nginx", 80));
    assert_eq!((h.listening[1].queued, h.listening[1].backlog), (12, 10));
    assert_eq!(h.counters, [("TcpExtListenOverflows".into(), 41)]);
    assert_eq!(h.conntrack, Some((65_000, 65_536)));
    assert_eq!(h.firewall, ["nft input: tcp dport 8080 drop", "iptables -P INPUT DROP"]);
    assert_eq!(h.failed_units, ["nginx.service"]);
    assert_eq!(h.version("nginx"), Some(vec![1, 29, 8]));
    assert_eq!(h.versions.len(), 4);
    // Names of files become part of a command: only plain ones.
    assert_eq!(h.logs, ["/srv/shop/log/production.log", "/var/log/nginx/error.log"]);
    // What the kernel said hours ago is about another time.
    assert_eq!(h.kernel, ["[ 8999.5] oom-kill:constraint=NONE", "Out of memory: Killed process 7 (java)"]);
    assert_eq!(h.listening[1].kept_out, "nft input: tcp dport 8080 drop");
    // Commands that never ran say so.
    assert!(silent.iter().any(|(id, why)| id == "processes" && why == "not reached"));
}

#[test]
fn the_short_list_is_read_as_well() {
    let a = answers(&[
        (
            "memory",
            "      total  used free shared buff/cache available\nMem:  1910 1851 31 2 28 14\nSwap: 511 511 0",
            0,
        ),
        (
            "cpu",
            "procs ---memory---\n r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st\n 1 0 0 1 1 1 0 0 1 1 1 1 6 2 92 0 0\n \
             9 0 0 1 1 1 0 0 1 1 1 1 80 15 5 0 0\ntop - 02:41\n%Cpu(s):  6.1 us,  2.0 sy,  0.0 ni, 91.5 id,  0.0 wa",
            0,
        ),
        ("waiting", "41\n", 0),
        (
            "services",
            "\u{25cf} shopd.service - shop\n     Active: activating (auto-restart) (Result: oom-kill)\nNRestarts=9\n\
             \u{25cf} nginx.service\n     Active: active (running) since Sun\nNRestarts=0\n\
             \u{d7} web.service - w\n  Active: failed (Result: exit-code) since x",
            0,
        ),
        ("restarts", "Id=a.service\nId=worker.service\nNRestarts=3\nSubState=auto-restart", 0),
        ("allowance", "     bw_in_allowance_exceeded: 0\n     conntrack_allowance_exceeded: 48211", 0),
        (
            "iptables",
            "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n pkts bytes target prot opt in out source destination\n \
             4812 288K REJECT     tcp  --  *  *  0.0.0.0/0  0.0.0.0/0  tcp dpt:8080 reject-with tcp-reset\nChain FORWARD (policy DROP 0 packets)",
            0,
        ),
    ]);
    let h = host("ssm:i-1", &a);
    let m = h.memory.unwrap();
    assert_eq!((m.total_mib, m.available_mib, m.swap_used_mib), (1910, 14, 511));
    assert_eq!(h.cpu_busy, Some(95.0), "the second sample, not the mean since boot");
    assert_eq!(h.sockets, [("CLOSE-WAIT".into(), 40)]);
    let units: Vec<String> =
        h.units.iter().map(|u| format!("{} {} {} {}", u.name, u.state, u.result, u.restarts)).collect();
    assert_eq!(
        units,
        [
            "shopd.service auto-restart oom-kill 9",
            "web.service failed exit-code 0",
            "worker.service auto-restart  3"
        ]
    );
    assert_eq!(h.allowances, [("conntrack_allowance_exceeded".into(), 48_211)]);
    assert_eq!(h.firewall.len(), 2);
    assert!(h.firewall[0].contains("iptables INPUT: 4812 288K REJECT tcp"), "{:?}", h.firewall);
    assert_eq!(local(80, "/h", "200\n").unwrap().status, Some(200));
    assert_eq!(local(80, "/h", "000").unwrap().status, None);
    assert_eq!(local(80, "/h", "curl: not found"), None);
}

#[test]
fn binary_and_cut_output_gives_nothing_and_no_panic() {
    for junk in [
        &b""[..],
        b"\xff\xfe\x00==m== name\n\xff\xff\n",
        b"==m== memory\nMemTotal: x kB\n==m==",
        b"==m== end",
    ] {
        let h = host("local", &Answers::read(junk, M));
        assert_eq!((h.memory, h.load, h.listening.len()), (None, None, 0));
    }
    let a = answers(&[
        ("disk", "x", 124),
        ("nft", "sh: 1: nft: not found", 127),
        (
            "iptables",
            "iptables v1.8.9 (nf_tables): Could not fetch rule set: Permission denied (you must be root)",
            4,
        ),
        ("kernel", "up 9.0 1.0\ndmesg: read kernel buffer failed: Operation not permitted", 0),
    ]);
    let silent = silent(&a);
    let why = |id: &str| silent.iter().find(|(i, _)| i.as_str() == id).map(|(_, w)| w.to_string());
    assert_eq!(why("disk").as_deref(), Some("took too long"));
    assert_eq!(why("nft").as_deref(), Some("no such command there"));
    for id in ["iptables", "kernel"] {
        assert_eq!(why(id).as_deref(), Some("not allowed to this user"), "{id}");
    }
    assert!(host("local", &a).kernel.is_empty());
}
