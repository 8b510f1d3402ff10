//! Several profiles and regions at once: what is kept of them between
//! searches, what is told of each, and how those that failed are asked again.

use super::open::Trouble;
use super::survey::{Said, Survey, Surveyed, Told, Verdict, account_of, judge};
use super::{Done, Observer, SEARCHES, State, pace, spread};
use crate::situation::{Fact, Observation, Reason, Searched, Topic, short};
use crate::sources::aws::client::Aws;
use crate::sources::aws::found::Missing;
use crate::sources::aws::spot::Spots;
use crate::sources::{Event, Scope};
use crate::text::SafeText;
use futures::future::{join, join_all};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// What is kept of the places between searches.
#[derive(Debug, Default)]
pub struct Places {
    spots: Option<Arc<Spots>>,
    /// What each said last.
    told: Vec<Told>,
    /// Where each candidate is.
    whereabouts: BTreeMap<SafeText, Scope>,
    /// The place a person chose.
    chosen: Option<Scope>,
    renew: bool,
    healing: bool,
    /// Failed places are asked again then.
    heal_at: Option<Instant>,
    heals: u32,
    /// The line told last: the same is not told again.
    line: String,
    /// What is asked of somebody else than what stands behind it.
    owners: Vec<(SafeText, Aws)>,
}

impl Observer {
    /// Are there several places to search?
    pub(super) fn several_places(&self) -> bool {
        self.options.places.len() > 1
    }

    /// A new target, in the place where `arn` was offered or in all.
    pub(super) fn forget_places(&mut self, arn: Option<&SafeText>) {
        let chosen = arn.and_then(|arn| self.places.whereabouts.get(arn)).cloned();
        let (spots, whereabouts) = (self.places.spots.take(), std::mem::take(&mut self.places.whereabouts));
        // The others of a list can still be chosen after one of them was.
        let whereabouts = if chosen.is_some() { whereabouts } else { BTreeMap::new() };
        self.places = Places { spots, whereabouts, chosen, ..Places::default() };
    }

    /// Keeps in mind where each candidate is.
    pub(super) fn note_places(&mut self, event: &Event) {
        let Event::Candidates { list, .. } = event else { return };
        for c in list.iter().filter(|c| !c.place.is_empty()) {
            let scope = self.options.places.iter().find(|s| s.name() == c.place).cloned();
            // A target that names its region is searched there, whatever was given.
            let told =
                || self.places.told.iter().find(|t| t.scope.name() == c.place).map(|t| t.scope.clone());
            if let Some(scope) = scope.or_else(told) {
                self.places.whereabouts.insert(c.arn.clone(), scope);
            }
        }
    }

    fn spots(&mut self) -> Arc<Spots> {
        let make = || Arc::new(Spots::new(self.place.clone(), self.options.clone(), self.calls.0.clone()));
        Arc::clone(self.places.spots.get_or_insert_with(make))
    }

    /// Searches all places; on a second try only those that have not answered.
    pub(super) fn survey(&mut self) {
        self.stale = true;
        self.state = State::Opening;
        self.aws = None;
        let open: Vec<Scope> =
            self.places.told.iter().filter(|t| t.failure().is_some()).map(|t| t.scope.clone()).collect();
        let expired = |t: &Told| matches!(t.failure(), Some(Reason::Credentials { .. }));
        let renew = std::mem::take(&mut self.places.renew) || self.places.told.iter().any(expired);
        let only = match &self.places.chosen {
            Some(scope) => Some(vec![scope.clone()]),
            None => (!open.is_empty()).then_some(open),
        };
        let survey = Survey {
            spots: self.spots(),
            options: self.options.clone(),
            typed: self.typed.clone(),
            only,
            renew,
            events: self.side.0.clone(),
        };
        self.jobs.spawn(async move { Done::Surveyed(survey.run().await) });
    }

    pub(super) fn surveyed(&mut self, result: Result<Surveyed, Trouble>) {
        let Surveyed { asked, told } = match result {
            Ok(surveyed) => surveyed,
            Err(Trouble::Line(line)) => {
                self.no_target(line);
                self.state = State::Idle;
                return;
            }
            Err(Trouble::Reason(reason)) => return self.lost(reason),
        };
        // What was said before stands, in the order the places were named.
        let mut all = std::mem::take(&mut self.places.told);
        for t in told {
            match all.iter_mut().find(|o| o.scope == t.scope) {
                Some(old) => *old = t,
                None => all.push(t),
            }
        }
        let verdict = judge(&self.typed, &mut all);
        self.asked = asked;
        self.places.told = all;
        match verdict {
            Verdict::One(i) => self.found_in(i),
            Verdict::Several(list) => {
                self.tell_places();
                let asked = SafeText::capped(self.typed.trim(), 300);
                let event = Event::Candidates { asked, list, more: false };
                self.note_places(&event);
                self.held.push_back(event);
                self.state = State::Idle;
            }
            Verdict::Nowhere(line) => {
                self.tell_places();
                self.nowhere(line);
            }
            Verdict::Lost(reason, line) => {
                self.tell_places();
                self.lost_with(reason, Some(line));
            }
        }
    }

    fn found_in(&mut self, i: usize) {
        let Some(Told { scope, aws, said: Said::Found(found), .. }) = self.places.told.get(i).cloned() else {
            return;
        };
        let found = *found;
        let Some(aws) = found.aws.clone().or(aws) else { return };
        self.options.profile.clone_from(&scope.profile);
        self.options.region.clone_from(&scope.region);
        let profile = SafeText::new(aws.options().profile.as_deref().unwrap_or_default());
        // Before any fact: whose they are decides what the header says.
        self.held.push_back(Event::Place { profile, region: aws.region() });
        self.aws = Some(aws);
        self.tell_places();
        self.places.heal_at = self.next_heal();
        self.found(found);
        self.follow();
    }

    /// What each place came to, for those who read it later, and who failed.
    fn tell_places(&mut self) {
        let mut all: Vec<Observation> = self.places.told.iter().map(|t| self.searched_in(t)).collect();
        let told = |o: &Observation| matches!(&o.fact, Fact::Place(p) if p.opened);
        if let Some(aws) = self.aws.clone().filter(|_| !all.iter().any(told)) {
            // What was found leads into a place that was not searched for it.
            let t = Told {
                scope: aws.scope(),
                aws: Some(aws),
                said: Said::Nothing(Missing::default()),
                partial: Vec::new(),
            };
            let own = Topic::Place(t.scope.name());
            let o = self.searched_in(&t);
            match all.iter_mut().find(|o| o.topic == own) {
                Some(slot) => *slot = o,
                None => all.push(o),
            }
        }
        self.observe(all);
    }

    fn searched_in(&self, t: &Told) -> Observation {
        let text = |s: Option<&str>| SafeText::new(s.unwrap_or_default());
        let fact = match &t.said {
            Said::Failed(reason) => Fact::Unknown(reason.clone()),
            _ => Fact::Place(Searched {
                profile: text(t.scope.profile.as_deref()),
                region: t.aws.as_ref().map(Aws::region).unwrap_or_default(),
                found: t.found(),
                opened: matches!((&self.aws, &t.aws), (Some(own), Some(aws)) if own.scope() == aws.scope()),
            }),
        };
        Observation {
            at: Timestamp::now(),
            source: SafeText::from_static("search"),
            topic: Topic::Place(t.scope.name()),
            fact,
            took_ms: 0,
        }
    }

    /// Nowhere, as far as could be asked: places that failed are asked again.
    fn nowhere(&mut self, line: String) {
        self.searches += 1;
        let failures: Vec<&Reason> = self.places.told.iter().filter_map(Told::failure).collect();
        let passing = failures.iter().copied().find(|r| pace::may_pass(r));
        let again = if self.options.live {
            passing.or(failures.first().copied())
        } else {
            passing.filter(|_| self.searches < SEARCHES)
        };
        let wait =
            again.map(|why| pace::again(why, self.searches, self.options.every.config, Timestamp::now()));
        if (self.options.live || wait.is_none()) && line != self.places.line {
            self.no_target(line.clone());
            self.places.line = line;
        }
        self.state = wait.map_or(State::Idle, |wait| State::Waiting(Instant::now() + spread(wait)));
    }

    // -- healing

    /// Credentials are read anew for every place, and those that failed asked again.
    pub(super) fn reload_places(&mut self) {
        match self.state {
            State::Opening | State::Searching => {}
            State::Watching => self.heal(true),
            State::Idle | State::Waiting(_) => {
                self.places.renew = true;
                self.survey();
            }
        }
    }

    fn next_heal(&self) -> Option<Instant> {
        let now = Timestamp::now();
        let config = self.options.every.config;
        let failures = self.places.told.iter().filter_map(Told::failure).filter(|_| self.options.live);
        failures
            .map(|why| pace::again(why, self.places.heals + 1, config, now))
            .min()
            .map(|wait| Instant::now() + spread(wait.max(pace::CREDENTIALS)))
    }

    /// When failed places are to be asked again by themselves.
    pub(super) fn heal_at(&self) -> Option<Instant> {
        self.places.heal_at.filter(|_| matches!(self.state, State::Watching) && !self.places.healing)
    }

    pub(super) fn heal_what_is_due(&mut self) {
        if self.heal_at().is_some_and(|at| at <= Instant::now()) {
            self.heal(false);
        }
    }

    fn heal(&mut self, renew: bool) {
        if self.places.healing {
            return;
        }
        let failed: Vec<&Told> = self.places.told.iter().filter(|t| t.failure().is_some()).collect();
        let expired = failed.iter().any(|t| matches!(t.failure(), Some(Reason::Credentials { .. })));
        let only: Vec<Scope> = failed.iter().map(|t| t.scope.clone()).collect();
        if only.is_empty() && !renew {
            self.places.heal_at = None;
            return;
        }
        self.places.healing = true;
        self.places.heal_at = None;
        self.places.heals += 1;
        let spots = self.spots();
        let owners: Vec<Aws> = self.places.owners.iter().map(|(_, aws)| aws.clone()).collect();
        let survey = Survey {
            spots: Arc::clone(&spots),
            options: self.options.clone(),
            typed: self.typed.clone(),
            only: Some(only.clone()),
            renew: renew || expired,
            events: self.side.0.clone(),
        };
        self.jobs.spawn(async move {
            let others = async {
                if !renew {
                    return;
                }
                // Each by itself: what fails here shows with the next question.
                let rest = spots.all().into_iter().filter(|s| !only.contains(&s.scope));
                join_all(rest.map(|s| async move { s.fresh().await.is_ok() })).await;
                join_all(owners.iter().map(Aws::reload)).await;
            };
            let ((), surveyed) = join(others, survey.run()).await;
            Done::Healed(surveyed.map(|s| s.told).unwrap_or_default())
        });
    }

    pub(super) fn healed(&mut self, told: Vec<Told>) {
        self.places.healing = false;
        let opened: Vec<SafeText> =
            self.places.told.iter().filter(|t| t.sure()).flat_map(Told::found).collect();
        let mut all = Vec::new();
        for mut t in told {
            if let Said::Found(found) = &t.said
                && let Some(why) = found.unseen().cloned()
            {
                t.said = Said::Failed(why);
            }
            let new: Vec<SafeText> = t.found().into_iter().filter(|k| !opened.contains(k)).collect();
            if let Some(first) = new.first() {
                let line = format!(
                    "{} is in {} too ({}): badgate open {first} with that profile and region shows it",
                    SafeText::capped(self.typed.trim(), 80),
                    t.scope.name(),
                    short(first)
                );
                self.held.push_back(Event::Under { line: line.into() });
                new.iter().for_each(|k| {
                    self.places.whereabouts.insert(k.clone(), t.scope.clone());
                });
            }
            all.push(self.searched_in(&t));
            if let Some(old) = self.places.told.iter_mut().find(|o| o.scope == t.scope) {
                *old = t;
            }
        }
        self.observe(all);
        self.places.heal_at = self.next_heal();
    }

    // -- owners

    /// Keeps whom to ask of what stands in front, where that is not who is
    /// asked of what is behind.
    pub(super) fn note_owners(&mut self, owners: Vec<(SafeText, Aws)>) {
        let Some(aws) = &self.aws else { return };
        let (own, api) = (aws.scope(), self.focus.front.api.clone());
        // CloudFront is the same from every region of the account; an API is not.
        let elsewhere = |id: &SafeText, a: &Aws| match a.scope() {
            its if *id == api => its != own,
            its => its.profile != own.profile,
        };
        self.places.owners = owners.into_iter().filter(|(id, a)| elsewhere(id, a)).collect();
    }

    /// Who is asked this.
    pub(super) fn whom(&self, work: &super::plan::Work, own: &Aws) -> Aws {
        use super::fronts::FrontPlace;
        use super::plan::Work;
        if self.places.owners.is_empty() {
            return own.clone();
        }
        let of = |id: &SafeText| self.places.owners.iter().find(|(k, _)| k == id).map(|(_, aws)| aws);
        let front = &self.focus.front;
        let owner = match work {
            Work::Distribution(id)
            | Work::Api { id, .. }
            | Work::WebAcl { of: id, .. }
            | Work::FrontChanges { id, .. } => of(id),
            // Those of a web ACL or a health check are where these are.
            Work::FrontMetrics { id, .. } => of(id).or_else(|| {
                let mut acls = self.known.beside.acls.iter();
                let acl = acls.find(|(_, d)| d.value().is_some_and(|a| a.arn == *id));
                match (acl, self.known.beside.checks.contains_key(id)) {
                    (Some((before, _)), _) => of(before),
                    (None, true) => of(&front.distribution).or_else(|| of(&front.api)),
                    (None, false) => None,
                }
            }),
            Work::FrontLog { place: FrontPlace::Edge(d), .. } => of(&d.id),
            Work::FrontLog { place: FrontPlace::Api(a), .. } => of(&a.id),
            // The zone of a public name goes with what it leads to first.
            Work::Records(_) | Work::HealthCheck(_) => of(&front.distribution).or_else(|| of(&front.api)),
            Work::Certificate(arn) if self.of_another_account(arn) => {
                of(&front.distribution).or_else(|| of(&front.api))
            }
            Work::Function(arn) => {
                let api = self.known.fronts.apis.get(&front.api).and_then(|d| d.value());
                let its = api.is_some_and(|a| a.functions().contains(&arn));
                if its { of(&front.api) } else { None }
            }
            _ => None,
        };
        owner.unwrap_or(own).clone()
    }

    /// Is this ARN of another account than the load balancer?
    fn of_another_account(&self, arn: &SafeText) -> bool {
        let account = |arn: &SafeText| account_of(arn.as_str()).map(String::from);
        match (account(arn), self.focus.lb.as_ref().and_then(account)) {
            (Some(its), Some(ours)) => its != ours,
            // A Classic Load Balancer has no account in its name.
            _ => true,
        }
    }
}
