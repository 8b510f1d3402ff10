//! What a search for the target comes to.

use super::client::Aws;
use crate::situation::elb::{LoadBalancer, TargetGroup};
use crate::situation::{Fact, Observation, Reason, ResolvedTarget, Topic};
use crate::text::SafeText;

/// What the target was found to be, with what was learned on the way.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub target: ResolvedTarget,
    /// Who said so.
    pub source: &'static str,
    pub lb: Option<LoadBalancer>,
    /// All its target groups, when the list that was read is complete.
    pub groups: Option<Vec<TargetGroup>>,
    /// What else was learned on the way.
    pub also: Vec<Observation>,
    /// Who is to be asked from now on, when that is another region or account.
    pub aws: Option<Aws>,
    /// Who is to be asked of a distribution or API by its id, where that may be
    /// somebody else than is asked of what stands behind it.
    pub owners: Vec<(SafeText, Aws)>,
    /// DNS name of the Classic Load Balancer: its name says less.
    pub classic_dns: SafeText,
}

impl Found {
    /// What it is, whoever found it: the same for the same thing.
    pub fn key(&self) -> SafeText {
        let t = &self.target;
        let all = [&t.lb, &self.classic_dns, &t.classic, &t.api, &t.distribution, &t.function];
        all.into_iter().find(|k| !k.is_empty()).cloned().unwrap_or_default()
    }

    /// Nobody has seen it yet: its id was taken as typed, for it may not be read.
    pub fn unseen(&self) -> Option<&Reason> {
        let read = self.also.iter().any(|o| {
            matches!(o.fact, Fact::Distribution(_) | Fact::Api(_) | Fact::Function(_) | Fact::Records(_))
        });
        if self.lb.is_some() || !self.classic_dns.is_empty() || read {
            return None;
        }
        self.also.iter().find_map(|o| match (&o.topic, &o.fact) {
            (Topic::Distribution(_) | Topic::Api(_) | Topic::Function(_), Fact::Unknown(why)) => Some(why),
            _ => None,
        })
    }
}

/// The target is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// What was looked for, without the place: `no load balancer is named shop`.
    pub what: String,
    /// Names like it that are there.
    pub near: Vec<SafeText>,
    /// All of it, with where was searched and what to do, for the one place searched.
    pub line: String,
    /// It is so wherever one looks.
    pub anywhere: bool,
}

impl Missing {
    /// What needs no word about where.
    pub fn told(what: String) -> Missing {
        Missing { anywhere: true, ..Missing::here(what) }
    }

    /// What is so in one of several places.
    pub fn here(what: String) -> Missing {
        Missing { line: what.clone(), what, ..Missing::default() }
    }
}

/// How the search ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    One(Box<Found>),
    /// A person must pick; the list was sent as [`Event::Candidates`].
    Several,
    /// What was searched and what to do.
    None(Missing),
}
