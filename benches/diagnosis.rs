//! What a diagnosis costs on a large stack with 100,000 log lines: all of it
//! anew (under 50 ms), and after one more observation (under 5 ms), as the
//! console does it: fold, bring up to date what it touches, judge.
#![allow(clippy::field_reassign_with_default, reason = "a bench enlarges parts of a small shop")]

mod large;
#[path = "../tests/world/mod.rs"]
mod world;

use badgate::diagnosis::judgement::{Judgement, Stale};
use badgate::diagnosis::signs::Signs;
use badgate::situation::log::LogLine;
use badgate::situation::{Fact, Observation, Situation, Topic};
use divan::{Bencher, black_box};
use large::large;
use world::*;

fn main() {
    divan::main();
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
fn fold_and_diagnose_everything(bencher: Bencher<'_, '_>) {
    let all = large().observations();
    bencher.bench(|| {
        let mut s = Situation::new();
        for o in &all {
            s.apply(black_box(o));
        }
        Judgement::of(&s, &[])
    });
}

#[divan::bench(sample_count = 20)]
fn diagnose_everything_with_100_000_lines(bencher: Bencher<'_, '_>) {
    let s = with_logs();
    bencher.bench(|| Judgement::of(black_box(&s), &[]));
}

#[divan::bench(sample_count = 20)]
fn signs_of_100_000_lines(bencher: Bencher<'_, '_>) {
    let s = with_logs();
    bencher.bench(|| Signs::of(black_box(&s.logs)));
}

/// Causes alone, everything else at hand.
#[divan::bench]
fn judge(bencher: Bencher<'_, '_>) {
    let s = with_logs();
    let j = Judgement::of(&s, &[]);
    bencher
        .with_inputs(|| j.clone())
        .bench_refs(|j| j.judge(&mut Stale { causes: true, ..Stale::default() }, black_box(&s)));
}

/// One observation from its arrival to the verdicts.
fn one(bencher: Bencher<'_, '_>, o: &Observation) {
    let s = with_logs();
    let j = Judgement::of(&s, &[]);
    bencher.with_inputs(|| (s.clone(), j.clone())).bench_refs(|(s, j)| {
        let mut stale = Stale::default();
        let changes = s.apply(black_box(o));
        stale.touch(o, &changes, false);
        stale.causes |= j.read_logs(s, 20_000).news;
        j.settle(&mut stale, s, &[]);
        j.judge(&mut stale, s);
    });
}

fn later(topic: Topic, fact: Fact) -> Observation {
    Observation { at: minutes_ago(-1), ..observed(topic, fact) }
}

#[divan::bench(sample_count = 50)]
fn one_target_health(bencher: Bencher<'_, '_>) {
    let shop = large();
    let mut targets = shop.targets.clone();
    (targets[1].state, targets[1].reason) = ("unhealthy".into(), "Target.Timeout".into());
    one(bencher, &later(Topic::TargetHealth(shop.group.arn.clone()), Fact::TargetHealth(targets)));
}

#[divan::bench(sample_count = 50)]
fn one_answer_of_metrics(bencher: Bencher<'_, '_>) {
    let mut shop = large();
    for s in &mut shop.metrics {
        s.points.push((minutes_ago(-1), 9.0));
    }
    one(bencher, &later(Topic::Metrics(LB.into()), Fact::Metrics(shop.metrics)));
}

#[divan::bench(sample_count = 50)]
fn one_answer_of_network_acls(bencher: Bencher<'_, '_>) {
    let mut shop = large();
    shop.acl("acl-app").entries.pop();
    one(bencher, &later(Topic::NetworkAcls(VPC.into()), Fact::NetworkAcls(shop.acls)));
}

#[divan::bench(sample_count = 50)]
fn one_batch_of_500_log_lines(bencher: Bencher<'_, '_>) {
    let lines = (0..500).map(|i| LogLine {
        at: minutes_ago(0),
        group: "/app/shop".into(),
        stream: "".into(),
        id: "".into(),
        text: if i % 50 == 0 {
            format!("kernel: Out of memory: Killed process {i}")
        } else {
            format!("GET /{i} 200")
        }
        .into(),
    });
    one(bencher, &later(Topic::Tail("/app/shop".into()), Fact::LogLines(lines.collect())));
}
