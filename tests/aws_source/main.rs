//! The AWS source against the API emulator, and against answers that no
//! emulator gives.
//!
//! | file | what it shows |
//! |---|---|
//! | `resolve.rs` | what each form of TARGET leads to, and the one line when it leads nowhere |
//! | `waves.rs` | sequential round trips, the whole picture, pages followed everywhere |
//! | `faults.rs` | each call failing in each way: only its topic suffers, and it heals |
//! | `polling.rs` | refresh, watch, budget with many groups, the end of a link |
//! | `places.rs` | several profiles and regions at once |
//! | `rows.rs` | access logs in S3 and log groups, Insights and Athena |
//! | `path.rs` | the network around two ends, and only that |
//! | `wire.rs` | half answers of every protocol, hosts, what is signed and what is not |
//! | `hosts.rs` | instances asked by Run Command: only our questions, only when told to |
//! | `exec.rs` | containers asked by ECS Exec: only our line, the session's token shown to nobody |
//! | `fronts.rs` | what stands in front: round trips, other accounts, Classic instances asked by Run Command |
//! | `beside.rs` | health checks of records, web ACLs, CodeDeploy, caches |
//! | `odd.rs` | what is odd about an account, each in one line, with what could still be seen |
//! | `surroundings.rs` | profiles, regions and credentials as the environment has them |

mod beside;
mod exec;
mod faults;
mod fronts;
mod hosts;
mod odd;
mod path;
mod places;
mod polling;
mod program;
mod resolve;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod surroundings;
mod waves;
mod wire;

use badgate::situation::{Reason, Situation, Topic};
use badgate::sources::aws::operations::Operation;
use badgate::sources::aws::plain::Question;
use badgate::sources::aws::{self, Aws, Place};
use badgate::sources::{Call, Candidate, Command, Event, Link, Options, Want};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{Fake, Lab, PATIENCE};
use tokio::runtime::Runtime;

/// A running source and everything it said.
pub struct Watcher {
    runtime: Runtime,
    link: Link,
    pub s: Situation,
    /// The newest list of candidates, and whether more were to come.
    pub candidates: Option<(Vec<Candidate>, bool)>,
    pub lists: usize,
    pub no_target: Vec<String>,
    pub done: Vec<u64>,
    pub calls: Vec<Call>,
    /// Profile and region of what was opened, as told.
    pub places: Vec<(String, String)>,
    pub under: Vec<String>,
}

/// Everything is polled, with a deadline that a test can wait for.
pub fn live() -> Options {
    Options {
        live: true,
        region: Some("us-east-1".into()),
        call_timeout: Some(Duration::from_secs(20)),
        ..Options::default()
    }
}

/// Everything is asked once.
pub fn once() -> Options {
    Options { live: false, ..live() }
}

/// The emulator as the place to ask.
pub fn place(endpoint: &str) -> Place {
    Place { endpoint_url: endpoint.into(), access_key: "AKIALAB".into(), secret_key: "lab".into() }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Whether changes are allowed or not, none of these requests leaves the machine.
pub fn never_signed(fake: &Fake, op: &'static Operation, service: &str, bodies: &[Value]) {
    for allow_changes in [false, true] {
        let runtime = runtime();
        let (calls, _) = tokio::sync::mpsc::channel(64);
        let options = Options { allow_changes, ..once() };
        let aws = runtime.block_on(Aws::load_at(Some(place(&fake.endpoint)), options, calls)).unwrap();
        for body in bodies {
            let answer = runtime.block_on(aws.call(op, |c| {
                let q = Question::json(&format!("{service}.{}", op.name), body);
                async move { c.plain(op, q).await }
            }));
            assert!(matches!(&answer, Err(Reason::Failed { .. } | Reason::Denied { .. })), "{answer:?}");
        }
    }
    assert!(fake.requests().is_empty(), "nothing left the machine");
}

impl Watcher {
    pub fn open(lab: &Lab, target: &str, options: Options) -> Self {
        Self::open_at(&lab.endpoint, target, options)
    }

    pub fn open_at(endpoint: &str, target: &str, options: Options) -> Self {
        let runtime = runtime();
        let link = {
            let _inside = runtime.enter();
            aws::start_at(Some(place(endpoint)), target.into(), options)
        };
        Self {
            runtime,
            link,
            s: Situation::new(),
            candidates: None,
            lists: 0,
            no_target: Vec::new(),
            done: Vec::new(),
            calls: Vec::new(),
            places: Vec::new(),
            under: Vec::new(),
        }
    }

    pub fn send(&self, command: Command) {
        self.link.commands.blocking_send(command).expect("the source takes commands");
    }

    pub fn refresh(&self, id: u64, wants: &[Want]) {
        self.send(Command::Refresh { id, wants: wants.to_vec() });
    }

    /// Takes events until `ready` gives something.
    pub fn until<T>(&mut self, what: &str, mut ready: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ready(self) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let next =
                self.runtime.block_on(async { tokio::time::timeout(left, self.link.events.recv()).await });
            match next {
                Ok(Some(event)) => self.take(event),
                Ok(None) => panic!("the source ended while waiting for {what}"),
                Err(_) => panic!("waited for {what}; gaps: {:?}; lines: {:?}", self.s.gaps, self.no_target),
            }
        }
    }

    /// Takes events for so long; for what must *not* happen.
    pub fn during(&mut self, span: Duration) {
        let deadline = Instant::now() + span;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let next =
                self.runtime.block_on(async { tokio::time::timeout(left, self.link.events.recv()).await });
            match next {
                Ok(Some(event)) => self.take(event),
                Ok(None) => panic!("the source ended"),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Observed(all) => {
                for o in all {
                    self.s.apply(&o);
                }
            }
            Event::Candidates { list, more, .. } => {
                self.candidates = Some((list, more));
                self.lists += 1;
            }
            Event::NoTarget { line } => self.no_target.push(line.to_string()),
            Event::Done { id } => self.done.push(id),
            Event::Called(call) => self.calls.push(call),
            Event::Place { profile, region } => self.places.push((profile.to_string(), region.to_string())),
            Event::Under { line } => self.under.push(line.to_string()),
            // The cloud offers nothing to do.
            other => panic!("not of the cloud: {other:?}"),
        }
    }

    /// Asks for everything and waits until all of it was answered or failed.
    pub fn whole_picture(&mut self) {
        self.refresh(1000, &Want::ALL);
        self.until("the whole picture", |w| w.done.contains(&1000).then_some(()));
    }

    /// Names of the topics that the newest attempt left unknown. That access
    /// logs are switched off, say, is no failure.
    pub fn gaps(&self) -> BTreeSet<String> {
        self.failed().map(|(t, _)| t.name().to_string()).collect()
    }

    /// The topics whose newest attempt failed.
    pub fn failed(&self) -> impl Iterator<Item = (&Topic, &badgate::situation::Gap)> {
        self.s.gaps.iter().filter(|(_, g)| !matches!(g.reason, Reason::NotApplicable { .. }))
    }

    pub fn gap(&self, find: impl Fn(&Topic) -> bool) -> Option<badgate::situation::Gap> {
        self.s.gaps.iter().find(|(t, _)| find(t)).map(|(_, g)| g.clone())
    }

    /// The sources that answered a first health question, as a wait condition.
    pub fn health_known(&self) -> Option<()> {
        let groups = self.s.active_groups();
        (!groups.is_empty() && groups.iter().all(|(_, g)| g.health.value().is_some())).then_some(())
    }
}
