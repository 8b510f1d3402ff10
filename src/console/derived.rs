//! What the diagnosis says of the situation, kept until the facts behind it
//! change. Panes draw from here: a frame evaluates nothing.

use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::path::{self, Leg};
use crate::diagnosis::series::{self, Onset, Summary};
use crate::diagnosis::timeouts::{self, Chain, Measured};
use crate::situation::{Change, Observation, Situation};
use crate::sources::Want;

/// Minutes a sparkline looks back.
pub const MINUTES: usize = 60;

/// Everything derived.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// The path strip.
    pub hops: Vec<Hop>,
    /// Network legs, in the order of the security paths pane.
    pub legs: Vec<Leg>,
    pub timeouts: Chain,
    /// `None` while no load balancer is in view.
    pub metrics: Option<Summary>,
    pub onset: Option<Onset>,
}

/// What is out of date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    pub network: bool,
    pub timeouts: bool,
    pub metrics: bool,
    pub strip: bool,
}

impl Stale {
    /// Everything.
    pub const ALL: Stale = Stale { network: true, timeouts: true, metrics: true, strip: true };

    /// Takes in what an observation touches. `changes` are what the fold said of
    /// it; `first` is true for the first answer to its topic.
    pub fn touch(&mut self, o: &Observation, changes: &[Change], first: bool) {
        match Want::of(&o.topic) {
            None => *self = Stale::ALL,
            Some(Want::Logs | Want::LogGroups) => {}
            Some(Want::Health) => {
                self.strip = true;
                // Paths depend on which targets there are, not on how they are;
                // with thousands of targets the difference is felt.
                let moved = changes.iter().any(|c| {
                    matches!(
                        c,
                        Change::TargetGone { .. }
                            | Change::Health { from: None, .. }
                            | Change::Lost { .. }
                            | Change::Found { .. }
                    )
                });
                self.network |= moved || first;
            }
            Some(Want::Config | Want::Network) => {
                (self.network, self.timeouts, self.strip) = (true, true, true);
            }
            Some(Want::Metrics) => (self.metrics, self.strip, self.timeouts) = (true, true, true),
            Some(Want::Ecs) => (self.timeouts, self.strip) = (true, true),
        }
    }
}

impl Derived {
    /// Brings what is stale up to date; true when anything was.
    pub fn settle(&mut self, stale: &mut Stale, s: &Situation, measured: &[Measured]) -> bool {
        let any = *stale != Stale::default();
        if stale.network {
            self.legs = path::legs(s);
        }
        if stale.timeouts {
            self.timeouts = timeouts::chain(s, measured);
        }
        if stale.metrics {
            self.metrics = series::summary(s, MINUTES);
            self.onset = series::onset(s);
        }
        if stale.network || stale.strip || stale.metrics {
            self.hops = hops::strip(s, &self.legs);
        }
        *stale = Stale::default();
        any
    }
}
