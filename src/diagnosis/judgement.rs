//! Everything the diagnosis says of a situation, in one piece. The console
//! keeps one and brings up to date what new facts touch; `check` makes one.
//! Both get the same from the same facts.

use super::case::Inputs;
use super::causes;
use super::hops::{self, Hop};
use super::path::{self, Leg};
use super::series::{self, Onset, Summary};
use super::signs::Signs;
use super::timeouts::{self, Chain, Measured};
use super::verdict::Diagnosis;
use crate::situation::{Change, Fact, Observation, Situation, Want};

/// Minutes the summary of the metrics looks back.
pub const MINUTES: usize = 60;

/// What follows from a situation.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// The path strip.
    pub hops: Vec<Hop>,
    /// Network legs, in the order of the security paths pane.
    pub legs: Vec<Leg>,
    pub timeouts: Chain,
    /// `None` while no load balancer is in view.
    pub metrics: Option<Summary>,
    pub onset: Option<Onset>,
    /// Known error lines in the log, as far as it was read.
    pub signs: Signs,
    /// Causes, best first, and risks.
    pub diagnosis: Diagnosis,
}

/// What is out of date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    pub network: bool,
    pub timeouts: bool,
    pub metrics: bool,
    pub strip: bool,
    /// The causes; they follow from everything else.
    pub causes: bool,
}

impl Stale {
    /// Everything.
    pub const ALL: Stale = Stale { network: true, timeouts: true, metrics: true, strip: true, causes: true };

    /// Adds what else is out of date.
    pub fn add(&mut self, other: Stale) {
        self.network |= other.network;
        self.timeouts |= other.timeouts;
        self.metrics |= other.metrics;
        self.strip |= other.strip;
        self.causes |= other.causes;
    }

    /// Takes in what an observation touches. `changes` are what the fold said of
    /// it; `first` is true for the first answer to its topic. Log lines touch
    /// nothing here: [`Judgement::read_logs`] tells when they say something.
    pub fn touch(&mut self, o: &Observation, changes: &[Change], first: bool) {
        let want = Want::of(&o.topic);
        self.causes |= !matches!(o.fact, Fact::LogLines(_));
        match want {
            None | Some(Want::Probe | Want::Hosts) => *self = Stale::ALL,
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
                // Configuration is asked again and again and hardly ever changes;
                // paths are the dear part. The rest tells its age.
                self.network |= first || !changes.is_empty();
                (self.timeouts, self.strip) = (true, true);
            }
            Some(Want::Metrics) => (self.metrics, self.strip, self.timeouts) = (true, true, true),
            Some(Want::Ecs) => (self.timeouts, self.strip) = (true, true),
            // Only the diagnosis reads these.
            Some(Want::Around | Want::Changes | Want::AccessLog) => {}
        }
    }
}

impl Judgement {
    /// Judges a situation from nothing.
    pub fn of(s: &Situation, measured: &[Measured]) -> Judgement {
        let mut j = Judgement::default();
        while j.read_logs(s, usize::MAX).more {}
        let mut stale = Stale::ALL;
        j.settle(&mut stale, s, measured);
        j.judge(&mut stale, s);
        j
    }

    /// Reads at most `lines` of what came into the log since the last time.
    pub fn read_logs(&mut self, s: &Situation, lines: usize) -> ReadOn {
        let before = (self.signs.hits(), self.signs.lines() > 0);
        let more = self.signs.read(&s.logs, lines);
        // That there is a log at all is news too.
        ReadOn { more, news: (self.signs.hits(), self.signs.lines() > 0) != before }
    }

    /// Forgets the signs read: the log is read anew from another moment.
    pub fn forget_logs(&mut self) {
        self.signs = Signs::default();
    }

    /// Brings everything but the causes up to date with what is stale; true
    /// when anything was.
    pub fn settle(&mut self, stale: &mut Stale, s: &Situation, measured: &[Measured]) -> bool {
        let any = stale.network || stale.timeouts || stale.metrics || stale.strip;
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
        *stale = Stale { causes: stale.causes || any, ..Stale::default() };
        any
    }

    /// Judges the causes, if that is due; true when it was. Everything else
    /// must be settled.
    pub fn judge(&mut self, stale: &mut Stale, s: &Situation) -> bool {
        if !std::mem::take(&mut stale.causes) {
            return false;
        }
        let given = Inputs {
            legs: &self.legs,
            chain: &self.timeouts,
            onset: self.onset.as_ref(),
            signs: &self.signs,
        };
        self.diagnosis = causes::diagnose(s, &given);
        true
    }
}

/// How a read of the log went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOn {
    /// There is more to read.
    pub more: bool,
    /// A known error line was among what was read.
    pub news: bool,
}
