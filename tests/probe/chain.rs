//! What was measured and what hosts have configured decides the timeout chain,
//! the path strip, the procedure and the causes.

use crate::world::*;
use badgate::diagnosis::causes::examine;
use badgate::diagnosis::hops;
use badgate::diagnosis::timeouts::{Chain, RuleId, Source, Standing, Value, chain, settings};
use badgate::procedure::{Context, Lang, Level, Procedure};
use badgate::situation::host::{Host, Listening, Role, Setting};
use badgate::situation::log::LogLine;
use badgate::situation::probe::{Cert, ClosedBy, Exchange, Fault, KeepAlive, Probe, Tls};
use badgate::situation::{Fact, Observation, Situation, Topic};

fn idle(address: &str, seconds: Option<f64>, at_least_s: Option<f64>, closes_each: bool) -> Observation {
    let url = format!("http://{address}/");
    let p = Probe {
        url: url.as_str().into(),
        at: now(),
        keepalive_s: seconds,
        closed_by: seconds.map(|_| ClosedBy::Fin),
        keepalive: Some(KeepAlive {
            address: address.into(),
            closes_each,
            at_least_s,
            ..KeepAlive::default()
        }),
        ..Probe::default()
    };
    observed(Topic::Probe(url.as_str().into()), Fact::Probe(Box::new(p)))
}

fn with(more: Vec<Observation>) -> Situation {
    let mut s = Situation::new();
    for o in Shop::default().observations().iter().chain(&more) {
        s.apply(o);
    }
    s
}

fn r1(c: &Chain) -> Standing {
    c.rules.iter().find(|r| r.id == RuleId::R1).unwrap().standing
}

#[test]
fn a_probe_of_a_target_decides_r1() {
    for (seconds, at_least, each, want) in [
        (None, None, false, Standing::Unknown),
        (Some(5.0), None, false, Standing::Violated),
        (Some(75.0), None, false, Standing::Holds),
        (Some(60.0), None, false, Standing::AtRisk),
        (None, Some(400.0), false, Standing::Holds),
        // A bound below the idle timeout tells nothing.
        (None, Some(20.0), false, Standing::Unknown),
        (None, None, true, Standing::NotApplicable),
    ] {
        let c = chain(&with(vec![idle("10.0.11.10:8080", seconds, at_least, each)]), &[]);
        assert_eq!(r1(&c), want, "{seconds:?} {at_least:?} {each}");
    }
    let c = chain(&with(vec![idle("10.0.11.10:8080", Some(5.0), None, false)]), &[]);
    let e = c.get(WEB, settings::SERVER_KEEPALIVE).unwrap();
    let Value::Known { seconds, source: Source::Measured(by), .. } = &e.value else { panic!("{e:?}") };
    assert_eq!((*seconds, by.as_str()), (5.0, "probe"));
    // What is no target, or another port of one, says nothing of the servers.
    for address in ["10.0.99.1:8080", "10.0.11.10:9090", "nonsense"] {
        assert_eq!(r1(&chain(&with(vec![idle(address, Some(5.0), None, false)]), &[])), Standing::Unknown);
    }
}

#[test]
fn a_later_plain_probe_does_not_forget_what_was_measured() {
    let mut plain = idle("10.0.11.10:8080", None, None, false);
    plain.at = now() + jiff::SignedDuration::from_secs(9);
    let s = with(vec![idle("10.0.11.10:8080", Some(5.0), None, false), plain]);
    assert_eq!(r1(&chain(&s, &[])), Standing::Violated);
}

#[test]
fn the_one_target_that_closes_soonest_decides_whoever_was_measured_last() {
    let later = |mut o: Observation, s: i64| {
        o.at = now() + jiff::SignedDuration::from_secs(s);
        o
    };
    let short = || idle("10.0.11.10:8080", Some(5.9), None, false);
    let long = || idle("10.0.12.10:8080", None, Some(63.0), false);
    for all in [vec![short(), later(long(), 60)], vec![long(), later(short(), 60)]] {
        let c = chain(&with(all), &[]);
        assert_eq!(r1(&c), Standing::Violated);
        let e = c.get(WEB, settings::SERVER_KEEPALIVE).unwrap();
        let Value::Known { seconds, source: Source::Measured(by), .. } = &e.value else { panic!("{e:?}") };
        assert_eq!(*seconds, 5.9);
        assert_eq!(by.as_str(), "probe of 10.0.11.10:8080, the shortest of 2 targets");
    }
    // One that reuses nothing cannot lose a request so; the other can.
    let each = idle("10.0.12.10:8080", None, None, true);
    assert_eq!(r1(&chain(&with(vec![short(), later(each, 60)]), &[])), Standing::Violated);
    // Two hosts, differently configured, whichever answered last.
    let set = |asked: &str, address: &str, seconds: f64| {
        let value = seconds.to_string();
        let mut h = host(&[("nginx", "keepalive_timeout", &value, Some(seconds), Role::KeepAlive)], "1.24.0");
        (h.asked, h.addresses) = (asked.into(), texts(&[address]));
        h
    };
    let one = || told(set("ssh:web-1", "10.0.11.10", 65.0));
    let two = || told(set("ssh:web-2", "10.0.12.10", 15.0));
    for all in [vec![one(), later(two(), 1)], vec![two(), later(one(), 1)]] {
        assert_eq!(r1(&chain(&with(all), &[])), Standing::Violated);
    }
}

fn host(settings: &[(&str, &str, &str, Option<f64>, Role)], version: &str) -> Host {
    Host {
        asked: "ssh:web-1".into(),
        name: "web-1".into(),
        addresses: texts(&["10.0.11.10"]),
        cores: Some(2),
        load: Some(9.5),
        listening: vec![Listening {
            address: "0.0.0.0".into(),
            port: 8080,
            process: "nginx".into(),
            backlog: 511,
            ..Listening::default()
        }],
        versions: vec![("nginx".into(), version.into())],
        firewall: texts(&["nft input: tcp dport 8080 drop"]),
        settings: settings
            .iter()
            .map(|(server, name, value, seconds, role)| Setting {
                server: (*server).into(),
                name: (*name).into(),
                value: (*value).into(),
                seconds: *seconds,
                role: *role,
                place: "/etc/x.conf".into(),
            })
            .collect(),
        ..Host::default()
    }
}

fn told(h: Host) -> Observation {
    observed(Topic::Host(h.asked.clone()), Fact::Host(Box::new(h)))
}

#[test]
fn what_a_host_has_configured_enters_the_chain_and_a_measurement_goes_before_it() {
    let h = || host(&[("nginx", "keepalive_timeout", "65", Some(65.0), Role::KeepAlive)], "1.24.0");
    let c = chain(&with(vec![told(h())]), &[]);
    let e = c.get(WEB, settings::SERVER_KEEPALIVE).unwrap();
    assert!(matches!(&e.value, Value::Known { seconds: 65.0, source: Source::Configured(_), .. }), "{e:?}");
    assert_eq!(r1(&c), Standing::Holds);
    let mut probe = idle("10.0.11.10:8080", Some(5.0), None, false);
    probe.at = now() - jiff::SignedDuration::from_mins(5);
    assert_eq!(r1(&chain(&with(vec![probe, told(h())]), &[])), Standing::Violated);
}

#[test]
fn the_strip_and_step_six_say_what_a_request_gets() {
    let p = Probe {
        url: "http://shop.example.com/".into(),
        host: "shop.example.com".into(),
        at: now(),
        method: "GET".into(),
        exchanges: vec![Exchange {
            status: Some(502),
            address: "203.0.113.9:80".into(),
            ..Exchange::default()
        }],
        tls: vec![Tls {
            address: "203.0.113.9:443".into(),
            verified: Some(false),
            chain: vec![Cert::default()],
            ..Tls::default()
        }],
        faults: vec![
            Fault::wrong("certificate-expired", "the certificate has expired"),
            Fault::wrong("obs-fold", "folded"),
        ],
        ..Probe::default()
    };
    let s = with(vec![observed(Topic::Probe(p.url.clone()), Fact::Probe(Box::new(p)))]);
    let strip = hops::strip(&s, &[]);
    assert_eq!((strip[0].status.word(), strip[0].word.as_str()), ("bad", "502"), "{:?}", strip[0]);
    for lang in Lang::ALL {
        let procedure = Procedure::load(lang).unwrap();
        let step = procedure.run(6, &s, &Context::bare(now(), now())).unwrap();
        let said = |id: &str, text: &str| {
            let c = step.checks.iter().find(|c| c.id == id).unwrap();
            c.findings.iter().any(|f| f.level == Level::Found && f.text.contains(text))
        };
        assert!(said("deep.curl", "502") && said("deep.curl", "folded"), "{step:#?}");
        assert!(said("deep.tls", "expired") && !said("deep.curl", "expired"));
    }
}

#[test]
fn steps_one_and_three_say_what_a_host_says() {
    let s = with(vec![told(host(&[], "1.24.0"))]);
    let procedure = Procedure::load(Lang::ALL[0]).unwrap();
    let found = |step: u8, id: &str| -> Vec<String> {
        let r = procedure.run(step, &s, &Context::bare(now(), now())).unwrap();
        let c = r.checks.into_iter().find(|c| c.id == id).unwrap();
        c.findings.into_iter().filter(|f| f.level == Level::Found).map(|f| f.text.to_string()).collect()
    };
    // It was measured: nobody noted it.
    let load = found(1, "resources.host");
    assert!(load.iter().any(|t| t == "ssh:web-1: the load is 9.5 on 2 cores"), "{load:?}");
    assert!(
        found(3, "network.host").iter().any(|t| t.contains("dport 8080 drop")),
        "{:?}",
        found(3, "network.host")
    );
}

/// Eight 502 a minute by the targets among 900 requests, and a line of nginx.
fn losing(h: Option<Host>, line: &str) -> Situation {
    let mut shop = Shop::default();
    let minutes = || (0..60).rev().map(minutes_ago);
    for (of, name, v) in [(LB, "RequestCount", 900.0), (WEB, "RequestCount", 900.0)] {
        shop.metrics.push(series(of, name, "Sum", minutes().map(|t| (t, v)).collect()));
    }
    let since = (0..30).rev().map(|m| (minutes_ago(m), 8.0)).collect();
    shop.metrics.push(series(LB, "HTTPCode_Target_5XX_Count", "Sum", since));
    let line = LogLine {
        at: minutes_ago(10),
        group: "/app".into(),
        stream: "".into(),
        id: "".into(),
        text: line.into(),
    };
    shop.more.push(observed(Topic::Tail("/app".into()), Fact::LogLines(vec![line])));
    shop.more.extend(h.map(told));
    let mut s = Situation::new();
    shop.observations().iter().for_each(|o| drop(s.apply(o)));
    s
}

#[test]
fn the_proxy_on_the_host_confirms_or_excludes_its_causes() {
    const CLOSED: &str =
        "[error] 9#9: *4 upstream prematurely closed connection while reading response header from upstream";
    const RACE: &str = "[proxy_http:error] (20014)Internal error: [client 10.0.1.9:1] AH01102: error reading status line from remote server 10.0.0.7:80";
    let node = ("node", "keepAliveTimeout", "5000", Some(5.0), Role::KeepAlive);
    let off = ("nginx", "keepalive", "0", None, Role::Limit);
    let inner = ("apache", "KeepAliveTimeout", "5", Some(5.0), Role::KeepAlive);
    let ttl = ("apache", "ttl", "2", Some(2.0), Role::UpstreamKeepAlive);
    let pooled = ("apache", "proxy-initial-not-pooled", "1", None, Role::Other);
    for (line, h, cause, want) in [
        (CLOSED, Some(host(&[node], "1.29.8")), "nginx-upstream-keepalive-default-change", "confirmed"),
        (CLOSED, Some(host(&[], "1.29.8")), "nginx-upstream-keepalive-default-change", "likely"),
        (CLOSED, Some(host(&[node], "1.24.0")), "nginx-upstream-keepalive-default-change", "ruled out"),
        (CLOSED, Some(host(&[node, off], "1.29.8")), "nginx-upstream-keepalive-default-change", "ruled out"),
        (CLOSED, None, "nginx-upstream-keepalive-default-change", "possible"),
        (RACE, None, "apache-two-tier-keepalive-race", "likely"),
        (RACE, Some(host(&[inner], "1.24.0")), "apache-two-tier-keepalive-race", "confirmed"),
        (RACE, Some(host(&[inner, ttl], "1.24.0")), "apache-two-tier-keepalive-race", "possible"),
        (RACE, Some(host(&[inner, pooled], "1.24.0")), "apache-two-tier-keepalive-race", "possible"),
    ] {
        let d = examine(&losing(h, line), &[]);
        let have = d.of(cause).map_or("absent", |v| v.standing.word()).replace('_', " ");
        assert_eq!(have, want, "{line}: {:#?}", d.of(cause));
    }
}
