//! What a probe met and what a host said, as evidence for causes: each in its
//! plain case, where nothing was measured, and where something only looks alike.

use crate::world::*;
use badgate::diagnosis::causes::examine;
use badgate::diagnosis::verdict::Polarity;
use badgate::situation::front::{Distribution, Origin};
use badgate::situation::host::{Capture, Disk, Host, Listening, Memory};
use badgate::situation::probe::{
    Connect, Dns, DnsAnswer, DnsRecord, Exchange, Fault, Probe, Reach, Tls, Who,
};
use badgate::situation::{Fact, Observation, ResolvedTarget, Topic};
use jiff::SignedDuration;

/// How the load balancer fares besides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Day {
    Calm,
    /// 502, without a connection error.
    Broken,
    /// 502 with as many connection errors.
    Refused,
    /// 504 with as many connection errors.
    Silent,
    /// 5xx by the targets themselves.
    Answered,
}

fn shop(day: Day) -> Shop {
    let mut shop = Shop::default();
    let minutes = || (0..60).rev().map(minutes_ago);
    for of in [LB, WEB] {
        shop.metrics.push(series(of, "RequestCount", "Sum", minutes().map(|t| (t, 900.0)).collect()));
    }
    let names: &[&str] = match day {
        Day::Calm => &[],
        Day::Broken => &["HTTPCode_ELB_502_Count"],
        Day::Refused => &["HTTPCode_ELB_502_Count", "TargetConnectionErrorCount"],
        Day::Silent => &["HTTPCode_ELB_504_Count", "TargetConnectionErrorCount"],
        Day::Answered => &["HTTPCode_Target_5XX_Count"],
    };
    for name in names {
        let since = (0..20).rev().map(|m| (minutes_ago(m), 300.0)).collect();
        shop.metrics.push(series(LB, name, "Sum", since));
    }
    shop
}

fn standing(shop: &Shop, cause: &str) -> String {
    let d = examine(&shop.situation(), &[]);
    if d.risks.iter().any(|r| r.cause == cause) {
        return "risk".into();
    }
    d.of(cause).map_or("absent".into(), |v| v.standing.word().replace('_', " "))
}

/// All that a row of a table says: the day, what was measured, the cause, and
/// how it must stand.
type Row<'a> = (&'a str, Day, Vec<Observation>, &'a str, &'a str);

fn check(rows: Vec<Row<'_>>) {
    let mut wrong = Vec::new();
    for (what, day, more, cause, want) in rows {
        let mut shop = shop(day);
        shop.more.extend(more);
        let have = standing(&shop, cause);
        if have != want {
            let d = examine(&shop.situation(), &[]);
            let v = d.of(cause);
            let e = v.map(|v| {
                v.evidence
                    .iter()
                    .map(|e| format!("{:?} {:?} {}: {}", e.polarity, e.weight, e.what, e.value))
                    .collect::<Vec<_>>()
            });
            let m = v.map(|v| v.missing.iter().map(|m| m.what.to_string()).collect::<Vec<_>>());
            wrong.push(format!("{what}: {cause} is {have}, not {want}: {e:#?} missing {m:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A probe of the name users are sent to.
fn front(f: impl FnOnce(&mut Probe)) -> Observation {
    let mut p = Probe {
        url: "https://shop.example.com/".into(),
        host: "shop.example.com".into(),
        port: 443,
        https: true,
        at: now(),
        method: "GET".into(),
        dns: Some(Dns { addresses: texts(&["198.51.100.5"]), ..Dns::default() }),
        connects: vec![connect("198.51.100.5:443", Reach::Open)],
        ..Probe::default()
    };
    f(&mut p);
    observed(Topic::Probe(p.url.clone()), Fact::Probe(Box::new(p)))
}

fn connect(address: &str, outcome: Reach) -> Connect {
    Connect { address: address.into(), outcome, ..Connect::default() }
}

/// A probe sent straight to an address.
fn at(address: &str, outcome: Reach, e: Option<Exchange>) -> Observation {
    let url = format!("http://{address}/");
    let host = address.rsplit_once(':').unwrap().0;
    let e = e.map(|e| Exchange { address: address.into(), ..e });
    let p = Probe {
        url: url.as_str().into(),
        host: host.into(),
        at: now(),
        connects: vec![connect(address, outcome)],
        faults: e.iter().flat_map(|e| e.faults.clone()).collect(),
        exchanges: e.into_iter().collect(),
        ..Probe::default()
    };
    observed(Topic::Probe(p.url.clone()), Fact::Probe(Box::new(p)))
}

const TARGET: &str = "10.0.11.10:8080";
const STRANGER: &str = "10.0.99.1:8080";

fn answer(status: u16) -> Exchange {
    Exchange { status: Some(status), protocol: "HTTP/1.1".into(), ..Exchange::default() }
}

fn faulty(id: &str, wrong: bool) -> Exchange {
    let fault = if wrong { Fault::wrong(id, id) } else { Fault::notice(id, id) };
    Exchange { faults: vec![fault], ..answer(200) }
}

/// The host of one target, sound; `f` spoils it.
fn host_of(asked: &str, ip: &str, f: impl FnOnce(&mut Host)) -> Observation {
    let mut h = Host {
        asked: asked.into(),
        addresses: texts(&[ip]),
        cores: Some(2),
        load: Some(0.4),
        pressure: vec![("cpu".into(), 2.0)],
        memory: Some(Memory { total_mib: 4000, available_mib: 2000, ..Memory::default() }),
        disks: vec![Disk { mount: "/".into(), used_percent: Some(40), inodes_percent: Some(9) }],
        listening: vec![Listening {
            address: "0.0.0.0".into(),
            port: 8080,
            backlog: 511,
            process: "node".into(),
            ..Listening::default()
        }],
        conntrack: Some((400, 65_536)),
        ..Host::default()
    };
    f(&mut h);
    observed(Topic::Host(h.asked.clone()), Fact::Host(Box::new(h)))
}

fn host(f: impl FnOnce(&mut Host)) -> Vec<Observation> {
    vec![host_of("ssh:web-1", "10.0.11.10", f)]
}

/// Both targets are asked; one is spoiled.
fn both(f: impl FnOnce(&mut Host)) -> Vec<Observation> {
    vec![host_of("ssh:web-1", "10.0.11.10", f), host_of("ssh:web-2", "10.0.12.10", |_| {})]
}

#[test]
fn names_by_a_probe() {
    let nx = |records: Vec<DnsRecord>| {
        move |p: &mut Probe| {
            p.connects.clear();
            let answers = vec![DnsAnswer {
                server: "10.0.0.2".into(),
                code: "NXDOMAIN".into(),
                records,
                ..DnsAnswer::default()
            }];
            p.dns = Some(Dns { answers, ..Dns::default() });
            p.faults = vec![Fault::wrong("dns-nxdomain", "10.0.0.2 says that it does not exist")];
        }
    };
    let cname = DnsRecord {
        name: "shop.example.com".into(),
        kind: "CNAME".into(),
        value: "old-1.us-east-1.elb.amazonaws.com".into(),
        ttl_s: 60,
    };
    let fault = |id: &'static str, wrong: bool| {
        move |p: &mut Probe| p.faults = vec![if wrong { Fault::wrong(id, id) } else { Fault::notice(id, id) }]
    };
    let fails = "dns-delegation-or-resolution-failure";
    let wrong = "dns-record-wrong-target";
    check(vec![
        ("nobody has it", Day::Calm, vec![front(nx(vec![]))], fails, "confirmed"),
        ("it leads to nothing", Day::Calm, vec![front(nx(vec![cname]))], wrong, "confirmed"),
        (
            "a zone in trouble",
            Day::Calm,
            vec![front(|p| {
                p.dns = Some(Dns::default());
                p.faults = vec![Fault::wrong("dns-servfail", "cannot answer")];
            })],
            fails,
            "confirmed",
        ),
        (
            "a lame server, and others that answer",
            Day::Broken,
            vec![front(fault("dns-lame-delegation", true))],
            fails,
            "likely",
        ),
        // Absent, and alike.
        ("not probed", Day::Broken, vec![], fails, "unchecked"),
        ("it resolves", Day::Broken, vec![front(|_| {})], fails, "ruled out"),
        (
            "a CDN answers differently by resolver",
            Day::Broken,
            vec![front(fault("dns-resolvers-differ", false))],
            fails,
            "ruled out",
        ),
        ("another name", Day::Broken, vec![at(STRANGER, Reach::Open, None)], fails, "unchecked"),
        // Where it leads.
        ("to the load balancer", Day::Broken, vec![front(|_| {})], wrong, "ruled out"),
        (
            "elsewhere",
            Day::Broken,
            vec![front(|p| p.dns = Some(Dns { addresses: texts(&["203.0.113.77"]), ..Dns::default() }))],
            wrong,
            "likely",
        ),
        (
            "through a CDN",
            Day::Broken,
            vec![front(|p| {
                p.dns = Some(Dns { addresses: texts(&["203.0.113.77"]), ..Dns::default() });
                let who = Who { name: "cloudflare".into(), ..Who::default() };
                p.exchanges = vec![Exchange { address: "198.51.100.5:443".into(), who, ..answer(502) }];
            })],
            wrong,
            "unchecked",
        ),
    ]);
}

#[test]
fn tls_by_a_probe() {
    let shown = |verified: Option<bool>, why: &'static str| {
        move |p: &mut Probe| {
            p.tls = vec![Tls {
                address: "198.51.100.5:443".into(),
                version: if verified.is_some() { "TLS 1.3".into() } else { "".into() },
                verified,
                why: why.into(),
                ..Tls::default()
            }];
            if let Some(false) = verified {
                p.faults = vec![Fault::wrong("certificate-expired", why)];
            }
        }
    };
    let cert = "lb-listener-cert-problem";
    let target = |https: bool, version: &str| {
        let mut o = at(TARGET, Reach::Open, None);
        if let Fact::Probe(p) = &mut o.fact {
            p.https = https;
            p.tls = vec![Tls {
                address: TARGET.into(),
                version: version.into(),
                why: "handshake failure".into(),
                ..Tls::default()
            }];
        }
        o
    };
    check(vec![
        (
            "expired",
            Day::Calm,
            vec![front(shown(Some(false), "expired: ended 2026-11-20"))],
            cert,
            "confirmed",
        ),
        (
            "wrong name",
            Day::Calm,
            vec![front(shown(Some(false), "wrong name: is for old.example.com"))],
            cert,
            "confirmed",
        ),
        (
            "missing intermediate",
            Day::Calm,
            vec![front(shown(Some(false), "missing intermediate: R3"))],
            cert,
            "confirmed",
        ),
        // An own authority may be known to the clients and not to this machine.
        ("self-signed", Day::Calm, vec![front(shown(Some(false), "self-signed"))], cert, "likely"),
        (
            "plain HTTP",
            Day::Calm,
            vec![front(|p| {
                p.faults = vec![Fault::wrong("plain-http-on-tls-port", "198.51.100.5:443 speaks plain HTTP")]
            })],
            cert,
            "confirmed",
        ),
        ("sound", Day::Broken, vec![front(shown(Some(true), ""))], cert, "ruled out"),
        (
            "no handshake",
            Day::Broken,
            vec![front(shown(None, "alert: protocol version"))],
            "client-tls-handshake-failure",
            "possible",
        ),
        ("no handshake is no certificate", Day::Broken, vec![front(shown(None, "alert"))], cert, "absent"),
        // Behind a target group that speaks plain HTTP, TLS at a target is nobody's business.
        (
            "a target of a plain group",
            Day::Broken,
            vec![target(true, "")],
            "alb-target-tls-failure",
            "ruled out",
        ),
    ]);
    // And behind one that speaks TLS only the handshake counts, not the certificate.
    for (version, want) in [("", "likely"), ("TLS 1.2", "ruled out")] {
        let mut shop = shop(Day::Broken);
        shop.group.protocol = "HTTPS".into();
        shop.more.push(target(true, version));
        assert_eq!(standing(&shop, "alb-target-tls-failure"), want, "{version}");
    }
}

#[test]
fn targets_by_a_probe() {
    let (refused, down) = ("alb-target-connection-refused", "app-process-down-or-crashing");
    let (bad, large) = ("alb-target-response-malformed", "alb-target-header-too-large");
    let proxy =
        |who: &str, status| Exchange { who: Who { name: who.into(), ..Who::default() }, ..answer(status) };
    let late = Exchange { failure: "no answer within 30 s".into(), ..Exchange::default() };
    check(vec![
        ("refused", Day::Refused, vec![at(TARGET, Reach::Refused, None)], refused, "confirmed"),
        ("refused", Day::Refused, vec![at(TARGET, Reach::Refused, None)], down, "likely"),
        ("not probed", Day::Broken, vec![], down, "unchecked"),
        ("no target", Day::Broken, vec![at(STRANGER, Reach::Refused, None)], down, "unchecked"),
        ("another port", Day::Broken, vec![at("10.0.11.10:9090", Reach::Refused, None)], down, "unchecked"),
        // Whoever probes may not be let in: silence says little.
        (
            "silent",
            Day::Broken,
            vec![at(TARGET, Reach::TimedOut, None)],
            "alb-target-connect-timeout",
            "ruled out",
        ),
        (
            "silent",
            Day::Silent,
            vec![at(TARGET, Reach::TimedOut, None)],
            "alb-target-connect-timeout",
            "likely",
        ),
        // Framing.
        (
            "folded",
            Day::Broken,
            vec![at(TARGET, Reach::Open, Some(faulty("obs-fold", true)))],
            bad,
            "confirmed",
        ),
        (
            "two lengths",
            Day::Broken,
            vec![at(TARGET, Reach::Open, Some(faulty("conflicting-content-length", true)))],
            bad,
            "confirmed",
        ),
        ("not asked", Day::Broken, vec![], bad, "possible"),
        (
            "untidy, and harmless",
            Day::Broken,
            vec![at(TARGET, Reach::Open, Some(faulty("bare-lf", false)))],
            bad,
            "possible",
        ),
        (
            "the front's own answer",
            Day::Broken,
            vec![front(|p| {
                p.exchanges =
                    vec![Exchange { address: "198.51.100.5:443".into(), ..faulty("obs-fold", true) }]
            })],
            bad,
            "possible",
        ),
        (
            "large",
            Day::Broken,
            vec![at(TARGET, Reach::Open, Some(faulty("header-block-large", true)))],
            large,
            "confirmed",
        ),
        (
            "short body",
            Day::Silent,
            vec![at(TARGET, Reach::Open, Some(faulty("early-close", true)))],
            "alb-content-length-mismatch",
            "confirmed",
        ),
        (
            "late",
            Day::Silent,
            vec![at(TARGET, Reach::Open, Some(late))],
            "alb-target-response-timeout",
            "possible",
        ),
        // Who answers 5xx.
        (
            "nginx on the target",
            Day::Answered,
            vec![at(TARGET, Reach::Open, Some(proxy("nginx", 502)))],
            "local-proxy-upstream-failure",
            "confirmed",
        ),
        (
            "its own error",
            Day::Answered,
            vec![at(TARGET, Reach::Open, Some(answer(500)))],
            "app-exception-or-plugin-bug",
            "likely",
        ),
        (
            "the load balancer's page",
            Day::Broken,
            vec![front(|p| {
                p.exchanges = vec![Exchange { address: "198.51.100.5:443".into(), ..proxy("alb", 502) }]
            })],
            "local-proxy-upstream-failure",
            "ruled out",
        ),
        // What it speaks.
        (
            "no HTTP",
            Day::Broken,
            vec![at(TARGET, Reach::Open, Some(Exchange { status: None, ..faulty("not-http", true) }))],
            "alb-protocol-or-port-mismatch",
            "likely",
        ),
        (
            "HTTP",
            Day::Broken,
            vec![at(TARGET, Reach::Open, Some(answer(200)))],
            "alb-protocol-or-port-mismatch",
            "ruled out",
        ),
    ]);
}

#[test]
fn origins_by_a_probe() {
    let origin = |f: fn(&mut Probe)| {
        let mut p = Probe {
            url: "https://origin.example.net/".into(),
            host: "origin.example.net".into(),
            at: now(),
            connects: vec![connect("203.0.113.40:443", Reach::Open)],
            ..Probe::default()
        };
        f(&mut p);
        observed(Topic::Probe(p.url.clone()), Fact::Probe(Box::new(p)))
    };
    for (what, o, cause, want) in [
        (
            "expired",
            origin(|p| p.faults = vec![Fault::wrong("certificate-expired", "x")]),
            "cf-origin-cert-invalid",
            "risk",
        ),
        (
            "wrong name",
            origin(|p| p.faults = vec![Fault::wrong("certificate-wrong-name", "x")]),
            "cf-origin-tls-name-mismatch",
            "risk",
        ),
        (
            "refused",
            origin(|p| p.faults = vec![Fault::wrong("tcp-refused", "x")]),
            "cf-origin-connect-refused",
            "risk",
        ),
        (
            "gone",
            origin(|p| {
                p.connects.clear();
                p.faults = vec![Fault::wrong("dns-nxdomain", "x")]
            }),
            "cf-origin-dns-error",
            "risk",
        ),
        (
            "edges only",
            origin(|p| p.faults = vec![Fault::wrong("tcp-timed-out", "x")]),
            "cf-origin-unreachable-timeout",
            "absent",
        ),
    ] {
        let mut shop = shop(Day::Calm);
        let d = Distribution {
            id: "E1".into(),
            origins: vec![Origin {
                id: "o".into(),
                domain: "origin.example.net".into(),
                kind: "custom".into(),
                ..Origin::default()
            }],
            ..Distribution::default()
        };
        let target = ResolvedTarget {
            asked: "E1".into(),
            host: "shop.example.com".into(),
            distribution: "E1".into(),
            ..ResolvedTarget::default()
        };
        shop.more.push(observed(Topic::Target, Fact::Target(target)));
        shop.more.push(observed(Topic::Distribution("E1".into()), Fact::Distribution(Box::new(d))));
        shop.more.push(o);
        assert_eq!(standing(&shop, cause), want, "{what}: {:#?}", examine(&shop.situation(), &[]).of(cause));
    }
}

#[test]
fn hosts_as_evidence() {
    let nobody = |h: &mut Host| {
        h.listening[0].port = 22;
        h.listening[0].process = "sshd".into();
    };
    let elsewhere = |h: &mut Host| h.listening[0].port = 9090;
    let full = |h: &mut Host| h.disks[0].used_percent = Some(100);
    let inodes = |h: &mut Host| h.disks[0].inodes_percent = Some(100);
    let killed = |h: &mut Host| h.kernel = texts(&["Out of memory: Killed process 71 (java)"]);
    let table = |h: &mut Host| h.conntrack = Some((65_500, 65_536));
    let dropped = |h: &mut Host| h.listening[0].kept_out = "nft input: tcp dport 8080 drop".into();
    let for_some = |h: &mut Host| {
        dropped(h);
        h.listening[0].kept_out_some = true;
    };
    let queue = |h: &mut Host| (h.listening[0].queued, h.listening[0].backlog) = (12, 10);
    let busy = |h: &mut Host| (h.load, h.pressure) = (Some(11.0), vec![("cpu".into(), 88.0)]);
    let waiting = |h: &mut Host| (h.load, h.pressure) = (Some(11.0), vec![("cpu".into(), 3.0)]);
    let loopback = |h: &mut Host| h.listening[0].address = "127.0.0.1".into();
    let unit = |h: &mut Host| {
        h.failed_units = texts(&["nginx.service"]);
        h.listening[0].port = 22;
    };
    let other_unit = |h: &mut Host| h.failed_units = texts(&["motd-news.service"]);
    let unread = |h: &mut Host| h.silent = vec![("nft".into(), "x".into()), ("iptables".into(), "x".into())];
    let stranger = |f: fn(&mut Host)| vec![host_of("ssh:bastion", "10.0.99.1", f)];
    let (down, oom, disk) = ("app-process-down-or-crashing", "memory-exhausted-oom", "disk-full");
    let (wall, pool) = ("host-firewall-blocks", "worker-or-connection-pool-exhausted");
    check(vec![
        ("nobody listens", Day::Refused, host(nobody), down, "possible"),
        ("nobody listens", Day::Refused, host(nobody), "alb-target-connection-refused", "confirmed"),
        ("it listens elsewhere", Day::Refused, host(elsewhere), down, "possible"),
        ("it listens elsewhere", Day::Refused, host(elsewhere), "alb-target-connection-refused", "confirmed"),
        ("on loopback", Day::Refused, host(loopback), "alb-target-connection-refused", "confirmed"),
        ("not asked", Day::Refused, vec![], down, "unchecked"),
        ("the bastion", Day::Refused, stranger(|h| h.listening[0].port = 9090), down, "unchecked"),
        ("one of two listens", Day::Refused, host(|_| {}), down, "absent"),
        ("both listen", Day::Refused, both(|_| {}), down, "ruled out"),
        ("listening not told", Day::Refused, host(|h| h.listening.clear()), down, "unchecked"),
        ("the service failed", Day::Refused, host(unit), down, "confirmed"),
        ("another service failed", Day::Refused, both(other_unit), down, "ruled out"),
        ("killed", Day::Refused, host(killed), oom, "confirmed"),
        ("killed, in peace", Day::Calm, host(killed), oom, "risk"),
        ("not asked", Day::Refused, vec![], oom, "unchecked"),
        ("enough memory on one of two", Day::Refused, host(|_| {}), oom, "absent"),
        ("enough on both", Day::Refused, both(|_| {}), oom, "ruled out"),
        (
            "the bastion's",
            Day::Refused,
            stranger(|h| h.kernel = texts(&["Out of memory: x"])),
            oom,
            "unchecked",
        ),
        ("full", Day::Answered, host(full), disk, "confirmed"),
        ("no inodes", Day::Answered, host(inodes), disk, "confirmed"),
        ("nearly", Day::Answered, both(|h| h.disks[0].used_percent = Some(90)), disk, "ruled out"),
        ("not asked", Day::Answered, vec![], disk, "unchecked"),
        ("table full", Day::Silent, host(table), "conntrack-or-mtu-drop", "confirmed"),
        (
            "table half full",
            Day::Silent,
            host(|h| h.conntrack = Some((30_000, 65_536))),
            "conntrack-or-mtu-drop",
            "absent",
        ),
        ("not asked", Day::Silent, vec![], "conntrack-or-mtu-drop", "unchecked"),
        ("dropped", Day::Silent, host(dropped), wall, "confirmed"),
        ("dropped, in peace", Day::Calm, host(dropped), wall, "risk"),
        ("dropped for some", Day::Broken, both(for_some), wall, "unchecked"),
        ("no rule", Day::Broken, both(|_| {}), wall, "ruled out"),
        ("rules not to be read", Day::Refused, both(unread), wall, "possible"),
        ("queue full", Day::Silent, host(queue), pool, "likely"),
        ("not asked", Day::Answered, vec![], pool, "unchecked"),
        (
            "overflowed some day",
            Day::Silent,
            host(|h| h.counters = vec![("TcpExtListenOverflows".into(), 9)]),
            pool,
            "possible",
        ),
        ("busy", Day::Silent, host(busy), "cpu-saturated", "likely"),
        ("waits for disks", Day::Silent, host(waiting), "cpu-saturated", "unchecked"),
    ]);
}

#[test]
fn what_was_measured_has_a_source_and_a_time_and_not_from_before() {
    let mut shop = shop(Day::Refused);
    shop.more = host(|h| h.listening[0].port = 9090);
    let d = examine(&shop.situation(), &[]);
    let v = d.of("app-process-down-or-crashing").unwrap();
    let e = v.evidence.iter().find(|e| e.source == "host ssh:web-1").unwrap();
    assert_eq!((e.polarity, e.at, e.value.as_str()), (Polarity::For, now(), "nothing listens on port 8080"));
    // Asked an hour before it began: that was another time.
    shop.more[0].at = now() - SignedDuration::from_mins(80);
    assert_eq!(standing(&shop, "app-process-down-or-crashing"), "unchecked");
    // A request from here that fails is trouble although no metric tells yet.
    let mut calm = self::shop(Day::Calm);
    assert!(!examine(&calm.situation(), &[]).trouble);
    calm.more.push(front(|p| {
        p.faults = vec![Fault::wrong("http-502", "answers 502")];
        p.exchanges = vec![Exchange { address: "198.51.100.5:443".into(), ..answer(502) }];
    }));
    assert!(examine(&calm.situation(), &[]).trouble);
}

#[test]
fn packets_as_evidence() {
    let with = |f: fn(&mut Capture)| {
        host(|h| {
            let mut c =
                Capture { port: 8080, seconds: 10, packets: 90, connections: 9, ..Capture::default() };
            f(&mut c);
            h.capture = Some(c);
        })
    };
    let race = "alb-target-keepalive-shorter";
    let (other_port, quiet) = (with(|c| (c.port, c.resets_after_idle) = (22, 3)), with(|c| c.resets = 3));
    let without = |day| standing(&shop(day), race);
    check(vec![
        ("a race", Day::Broken, with(|c| c.resets_after_idle = 3), race, "possible"),
        // Of another port, or of requests that were under way.
        ("another port", Day::Broken, other_port, race, &without(Day::Broken)),
        ("resets at once", Day::Broken, quiet, race, &without(Day::Broken)),
        (
            "never answered",
            Day::Silent,
            with(|c| c.unanswered = 4),
            "worker-or-connection-pool-exhausted",
            "possible",
        ),
    ]);
}
