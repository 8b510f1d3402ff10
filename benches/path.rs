//! What it costs to fold a large network and to read it.
#![allow(clippy::field_reassign_with_default, reason = "a bench enlarges parts of a small shop")]

mod large;
#[path = "../tests/world/mod.rs"]
mod world;

use badgate::diagnosis::path::{Network, legs};
use badgate::diagnosis::{hops, series, timeouts};
use badgate::situation::{Fact, Observation, Situation, Topic};
use divan::{Bencher, black_box};
use large::large;
use world::*;

fn main() {
    divan::main();
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
