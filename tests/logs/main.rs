//! Metrics, log groups and tails over the wire, against the API emulator.
//!
//! What no emulator gives (holes, equal lines, endless pages, throttles) is
//! tested where it is handled, against a service in memory.
#![cfg(feature = "aws")]

mod groups;
mod metrics;
#[path = "../support/mod.rs"]
mod support;
mod tail;

use badgate::situation::elb::{LoadBalancer, TargetGroup, Zone};
use badgate::situation::{Fact, Observation};
use badgate::sources::Options;
use badgate::sources::aws::{Aws, Place};
use support::Lab;
use tokio::runtime::Runtime;

/// A runtime of two threads, as the console has.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A handle on the emulator.
pub async fn aws(lab: &Lab, options: Options) -> Aws {
    let place =
        Place { endpoint_url: lab.endpoint.clone(), access_key: "AKIALAB".into(), secret_key: "lab".into() };
    let options = Options { region: Some("us-east-1".into()), ..options };
    let (calls, _) = tokio::sync::mpsc::channel(64);
    Aws::load_at(Some(place), options, calls).await.unwrap()
}

/// The load balancer of the lab's world with that name.
pub fn lb(lab: &Lab, name: &str) -> LoadBalancer {
    let zone = |az: &str| Zone { az: az.into(), subnet: "".into() };
    LoadBalancer {
        arn: lab.names()["load_balancers"][name]["arn"].as_str().unwrap().into(),
        name: name.into(),
        kind: "application".into(),
        zones: vec![zone("us-east-1a"), zone("us-east-1b")],
        ..Default::default()
    }
}

/// The target group of the lab's world with that name.
pub fn group(lab: &Lab, name: &str) -> TargetGroup {
    TargetGroup {
        arn: lab.names()["target_groups"][name].as_str().unwrap().into(),
        name: name.into(),
        target_type: "instance".into(),
        ..Default::default()
    }
}

/// The phrase of the first unknown among these, or nothing.
pub fn unknown(all: &[Observation]) -> String {
    all.iter()
        .find_map(|o| if let Fact::Unknown(r) = &o.fact { Some(r.phrase()) } else { None })
        .unwrap_or_default()
}
