//! What it costs to fold a large network and to read it: 5,000 targets behind
//! one load balancer, 1,000 security groups of 60 rules, 200 ACL entries.
#![allow(clippy::field_reassign_with_default, reason = "a bench enlarges parts of a small shop")]

#[path = "../tests/world/mod.rs"]
mod world;

use badgate::diagnosis::path::{Network, legs};
use badgate::diagnosis::signs::Signs;
use badgate::diagnosis::{Inputs, diagnose, examine, hops, series, timeouts};
use badgate::situation::log::LogLine;
use badgate::situation::net::{Protocol, SecurityGroup};
use badgate::situation::{Fact, Observation, Situation, Topic};
use divan::{Bencher, black_box};
use world::*;

const TARGETS: usize = 5_000;
const GROUPS: usize = 1_000;
const RULES: i32 = 60;
const SUBNETS: usize = 20;

fn main() {
    divan::main();
}

/// 60 rules of which only the last admits the load balancer.
fn security_group(i: usize) -> SecurityGroup {
    let mut ingress: Vec<_> =
        (1..RULES).map(|r| tcp(20_000 + r, &format!("172.16.{}.0/24", (i as i32 + r) % 256))).collect();
    ingress.push(tcp(8080, "sg-alb"));
    group(&format!("sg-{i}"), ingress, vec![all_traffic("0.0.0.0/0")])
}

fn large() -> Shop {
    let mut shop = Shop::default();
    shop.subnets.truncate(2);
    shop.instances.clear();
    shop.targets.clear();
    shop.acl("acl-app").subnets.clear();
    for n in 0..SUBNETS {
        let id = format!("subnet-app-{n}");
        shop.subnets.push(subnet(&id, "us-east-1a", &format!("10.{}.0.0/16", n + 10)));
        shop.acl("acl-app").subnets.push(id.as_str().into());
    }
    // 200 entries, most of them about something else.
    for n in 0..50 {
        for egress in [true, false] {
            let cidr = format!("192.168.{n}.0/24");
            let e = entry(n + 1, egress, false, Protocol::Tcp, &cidr, Some((22, 22)));
            shop.acl("acl-app").entries.push(e.clone());
            shop.acl("acl-pub").entries.push(e);
        }
    }
    for t in shop.tables.iter_mut() {
        t.routes[0] = route("10.0.0.0/8", "local");
    }
    shop.security_groups.extend((0..GROUPS).map(security_group));
    for i in 0..TARGETS {
        let id = format!("i-{i:05}");
        let address = format!("10.{}.{}.{}", 10 + i % SUBNETS, (i / SUBNETS) / 250, (i / SUBNETS) % 250 + 4);
        let sg = format!("sg-{}", i % GROUPS);
        shop.instances.push(instance(&id, &format!("subnet-app-{}", i % SUBNETS), &[&sg], &address));
        let ill = i % 97 == 0;
        let (state, reason) = if ill { ("unhealthy", "Target.Timeout") } else { ("healthy", "") };
        shop.targets.push(health(&id, 8080, state, reason));
    }
    shop.group.health_check.port = "9000".into();
    let points = |v: f64| (0..180).map(|m| (minutes_ago(180 - m), v)).collect();
    shop.metrics = vec![
        series(LB, "RequestCount", "Sum", points(900.0)),
        series(LB, "HTTPCode_ELB_502_Count", "Sum", points(2.0)),
    ];
    shop
}

#[divan::bench]
fn fold_everything(bencher: Bencher<'_, '_>) {
    let all = large().observations();
    bencher.bench(|| {
        let mut s = Situation::new();
        for o in &all {
            s.apply(black_box(o));
        }
        s
    });
}

#[divan::bench]
fn fold_one_target_health(bencher: Bencher<'_, '_>) {
    let shop = large();
    let s = shop.situation();
    let o = Observation {
        at: minutes_ago(-1),
        ..observed(Topic::TargetHealth(shop.group.arn.clone()), Fact::TargetHealth(shop.targets.clone()))
    };
    bencher.with_inputs(|| s.clone()).bench_refs(|s| s.apply(black_box(&o)));
}

#[divan::bench]
fn index_network(bencher: Bencher<'_, '_>) {
    let s = large().situation();
    bencher.bench(|| {
        black_box(Network::of(black_box(&s)));
    });
}

#[divan::bench]
fn all_legs(bencher: Bencher<'_, '_>) {
    let s = large().situation();
    assert!(legs(&s).len() > 2);
    bencher.bench(|| legs(black_box(&s)));
}

#[divan::bench]
fn timeout_chain(bencher: Bencher<'_, '_>) {
    let s = large().situation();
    bencher.bench(|| timeouts::chain(black_box(&s), &[]));
}

#[divan::bench]
fn path_strip(bencher: Bencher<'_, '_>) {
    let s = large().situation();
    let legs = legs(&s);
    bencher.bench(|| hops::strip(black_box(&s), &legs));
}

#[divan::bench]
fn onset(bencher: Bencher<'_, '_>) {
    let s = large().situation();
    bencher.bench(|| series::onset(black_box(&s)));
}

/// 100,000 lines, every tenth an error, every hundredth a known one.
fn with_logs() -> Situation {
    let mut s = large().situation();
    let lines = (0..100_000).map(|i| LogLine {
        at: minutes_ago(30 - i / 4_000),
        group: "/app/shop".into(),
        stream: "".into(),
        id: "".into(),
        text: match i % 100 {
            0 => format!("[error] 9#9: *{i} upstream timed out (110: Connection timed out) while connecting to upstream, client: 10.0.1.5"),
            n if n % 10 == 0 => format!("level=error msg=\"order {i} failed\" err=\"no such sku\" path=/orders/{i}/items"),
            _ => format!("level=info msg=\"request served\" status=200 ms={} path=/items/{i} user_agent=curl", i % 900),
        }
        .into(),
    });
    s.apply(&observed(Topic::Tail("/app/shop".into()), Fact::LogLines(lines.collect())));
    s
}

#[divan::bench(sample_count = 20)]
fn full_diagnosis(bencher: Bencher<'_, '_>) {
    let s = with_logs();
    bencher.bench(|| examine(black_box(&s), &[]));
}

#[divan::bench(sample_count = 20)]
fn signs_of_100_000_lines(bencher: Bencher<'_, '_>) {
    let s = with_logs();
    bencher.bench(|| Signs::of(black_box(&s.logs)));
}

/// One new observation: what is kept up to date elsewhere is given.
#[divan::bench]
fn diagnosis_anew(bencher: Bencher<'_, '_>) {
    let s = with_logs();
    let (legs, chain, onset, signs) =
        (legs(&s), timeouts::chain(&s, &[]), series::onset(&s), Signs::of(&s.logs));
    let inputs = Inputs { legs: &legs, chain: &chain, onset: onset.as_ref(), signs: &signs };
    bencher.bench(|| diagnose(black_box(&s), &inputs));
}
