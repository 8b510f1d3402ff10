//! What comes back: searches that end, answers, failures, credentials.

use super::fronts::Front;
use super::open::{Opened, Trouble};
use super::plan::{Ask, Focus};
use super::survey::not_looked_up;
use super::work::{Answer, Side};
use super::{Done, Observer, SEARCHES, State, pace, spread, unknown};
use crate::situation::{Fact, Observation, Reason, Topic, short};
use crate::sources::Want;
use crate::sources::aws::find;
use crate::sources::aws::found::{Found, Outcome};
use crate::sources::aws::operations::{self as op, Family};
use crate::sources::aws::target::Asked;
use crate::text::SafeText;
use jiff::Timestamp;
use std::time::Duration;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

/// Tries of one question when everything is asked once.
const TRIES: u32 = 4;

impl Observer {
    pub(super) fn take(&mut self, done: Result<(Id, Done), JoinError>) {
        self.stale = true;
        let done = match done {
            Ok((id, done)) => {
                self.asked_by.remove(&id);
                done
            }
            Err(e) => return self.broken(&e),
        };
        match done {
            Done::Opened(result) => self.opened(result),
            Done::Searched(result) => self.searched(result),
            Done::Surveyed(result) => self.surveyed(result),
            Done::Healed(told) => self.healed(told),
            Done::Gone(line) => {
                self.no_target(line);
                self.state = State::Idle;
            }
            Done::Answered(answer) => self.answered(*answer),
            Done::Reloaded(result) => self.credentials_reloaded(result),
        }
    }

    /// A question that ended in a panic of ours: a gap like any other.
    fn broken(&mut self, e: &JoinError) {
        if e.is_cancelled() {
            return;
        }
        let reason = Reason::Failed { code: "internal".into(), detail: SafeText::capped(e.to_string(), 200) };
        match self.asked_by.remove(&e.id()) {
            Some(ask) => {
                let observations = match &ask {
                    Ask::Topic(topic) => vec![unknown(topic.clone(), "badgate", reason.clone())],
                    _ => Vec::new(),
                };
                self.answered(Answer { ask, observations, failed: Some(reason), side: Side::Nothing });
            }
            None => {
                self.reloading = false;
                self.searched(Err(reason));
            }
        }
    }

    fn opened(&mut self, result: Result<Box<Opened>, Trouble>) {
        match result {
            Ok(opened) => {
                self.asked = opened.search.asked.clone();
                if let Asked::TargetGroup(arn) = &self.asked {
                    // Its health can be asked for before it is known whose it is.
                    self.focus.target_group = Some(SafeText::from(&arn.text));
                }
                self.aws = Some(opened.aws);
                self.state = State::Searching;
                self.follow();
                let mut search = opened.search;
                search.events = self.side.0.clone();
                self.jobs.spawn(async move { Done::Searched(search.run().await) });
            }
            Err(Trouble::Line(line)) => {
                self.no_target(line);
                self.state = State::Idle;
            }
            Err(Trouble::Reason(reason)) => self.lost(reason),
        }
    }

    fn searched(&mut self, result: Result<Outcome, Reason>) {
        match result {
            Ok(Outcome::One(found)) => self.found(*found),
            Ok(Outcome::Several) => {
                self.focus = Focus::default();
                self.state = State::Idle;
            }
            Ok(Outcome::None(missing)) => {
                self.focus = Focus::default();
                self.no_target(missing.line);
                self.state = State::Idle;
            }
            Err(reason) => self.lost(reason),
        }
    }

    /// Nobody could say what the target is. What may pass is tried again.
    pub(super) fn lost(&mut self, reason: Reason) {
        self.lost_with(reason, None);
    }

    /// As [`Observer::lost`], with a line that says it better.
    pub(super) fn lost_with(&mut self, reason: Reason, line: Option<String>) {
        self.searches += 1;
        let passes = pace::may_pass(&reason);
        let first = self.searches == 1;
        self.observe(vec![unknown(Topic::Target, "badgate", reason.clone())]);
        if self.aws.is_none() {
            self.observe(vec![unknown(Topic::Identity, op::GET_CALLER_IDENTITY.id, reason.clone())]);
        }
        let retry = if self.options.live {
            passes || matches!(reason, Reason::Credentials { .. } | Reason::Denied { .. })
        } else {
            passes && self.searches < SEARCHES
        };
        // A line for what a person must see to; what passes only shows in the panes.
        let say = if self.options.live { first && !passes } else { !retry };
        if say {
            let own = || not_looked_up(&self.typed, &reason.phrase());
            self.no_target(line.unwrap_or_else(own));
        }
        self.state = if retry {
            let base = self.options.every.config;
            let wait = pace::again(&reason, self.searches, base, Timestamp::now());
            State::Waiting(Instant::now() + spread(wait))
        } else {
            State::Idle
        };
        self.renew_credentials(&reason);
    }

    pub(super) fn found(&mut self, found: Found) {
        let arn = found.target.lb.clone();
        self.focus.lb = Some(arn.clone()).filter(|a| !a.is_empty());
        self.focus.front = Front::of(&found.target);
        if let Some(aws) = found.aws {
            self.aws = Some(aws);
        }
        self.note_owners(found.owners);
        if !found.target.target_group.is_empty() {
            self.focus.target_group = Some(found.target.target_group.clone());
        }
        self.state = State::Watching;
        self.found = Some(Instant::now());
        let observe = |topic: Topic, source: &'static str, fact: Fact| Observation {
            at: Timestamp::now(),
            source: SafeText::from_static(source),
            topic,
            fact,
            took_ms: 0,
        };
        let mut all = vec![observe(Topic::Target, found.source, Fact::Target(found.target))];
        if let Some(lb) = found.lb {
            all.push(observe(
                Topic::LoadBalancer(arn.clone()),
                op::DESCRIBE_LOAD_BALANCERS.id,
                Fact::LoadBalancer(lb),
            ));
        }
        if let Some(groups) = found.groups {
            all.push(observe(
                Topic::TargetGroups(arn),
                op::DESCRIBE_TARGET_GROUPS.id,
                Fact::TargetGroups(groups),
            ));
        }
        all.extend(found.also);
        self.also_answered(&all, None);
        self.observe(all);
    }

    fn answered(&mut self, answer: Answer) {
        let Answer { ask, observations, failed, side } = answer;
        match side {
            Side::Nothing => {}
            Side::EcsListing(listing) => {
                self.ecs.listing = Some(listing);
                self.focus.ecs_listed = true;
                if let Some(slot) = self.slots.get_mut(&Ask::EcsServices) {
                    slot.again = slot.running;
                    slot.sooner(Instant::now(), Duration::ZERO);
                }
            }
            Side::EcsUnrelated(services) => {
                self.ecs.unrelated.extend(services);
                self.ecs.looked = true;
            }
        }
        self.reschedule(&ask, failed.as_ref());
        self.also_answered(&observations, Some(&ask));
        self.observe(observations);
        self.follow_unasked();
        if let Some(reason) = &failed {
            self.gone(&ask, reason);
            self.renew_credentials(reason);
        }
    }

    /// The load balancer asked for by ARN is not there: say so in one line.
    fn gone(&mut self, ask: &Ask, reason: &Reason) {
        let (Ask::Topic(Topic::LoadBalancer(lb)), Reason::NotFound { .. }) = (ask, reason) else { return };
        let never_seen = self.known.lbs.get(lb).is_none_or(|l| l.lb.value().is_none());
        let (Asked::LoadBalancer(arn), Some(aws)) = (&self.asked, &self.aws) else { return };
        if never_seen && matches!(self.state, State::Watching) {
            let (aws, arn) = (aws.clone(), arn.clone());
            self.focus = Focus::default();
            self.state = State::Searching;
            self.jobs.spawn(async move {
                let what = format!("there is no load balancer {}", short(&arn.text));
                Done::Gone(find::line(&aws, &what, Some(&arn)).await)
            });
        }
    }

    /// Topics that an answer covers besides the one it was asked for.
    fn also_answered(&mut self, observations: &[Observation], asked: Option<&Ask>) {
        for o in observations {
            let ask = Ask::Topic(o.topic.clone());
            let elsewhere = matches!(o.fact, Fact::Unknown(_)) || matches!(o.topic, Topic::Tail(_));
            if elsewhere || asked == Some(&ask) || self.slots.get(&ask).is_some_and(|s| s.running) {
                continue;
            }
            self.count += 1;
            self.slots.entry(ask.clone()).or_default().begun = self.count;
            self.reschedule(&ask, None);
        }
    }

    fn reschedule(&mut self, ask: &Ask, failed: Option<&Reason>) {
        let interval = self.interval(ask);
        let live = self.options.live;
        let Some(slot) = self.slots.get_mut(ask) else { return };
        let now = Instant::now();
        slot.running = false;
        slot.answered = true;
        slot.failures = if failed.is_some() { slot.failures + 1 } else { 0 };
        if failed.is_none() {
            slot.good = Some(Timestamp::now());
        }
        slot.credentials = matches!(failed, Some(Reason::Credentials { .. }));
        slot.last = Some(now);
        slot.due = match failed {
            _ if slot.again => Some(now),
            // What it says never changes.
            None if matches!(ask, Ask::Topic(Topic::TaskDefinition(_))) => None,
            None if live => Some(now + spread(interval)),
            None => None,
            Some(reason) if live => {
                Some(now + spread(pace::again(reason, slot.failures, interval, Timestamp::now())))
            }
            // Traces are a help, and many accounts have none: nobody waits for them twice.
            Some(_) if matches!(ask, Ask::Topic(Topic::Traces(_))) => None,
            Some(reason) if pace::may_pass(reason) && slot.failures < TRIES => {
                Some(now + pace::again(reason, slot.failures, interval, Timestamp::now()))
            }
            Some(_) => None,
        };
        slot.again = false;
    }

    fn interval(&self, ask: &Ask) -> Duration {
        let want = ask.want();
        let watched = want.is_none_or(|w| self.watched.contains(&w));
        let base = pace::interval(want, &self.options.every, watched);
        let rate = self.aws.as_ref().map_or(1.0, |a| a.limiter().rate(Family::Elb));
        match (ask, want) {
            (Ask::Topic(Topic::TargetHealth(tg)), _) => {
                let asked = self.slots.keys().filter_map(|a| match a {
                    Ask::Topic(Topic::TargetHealth(tg)) => Some(tg),
                    _ => None,
                });
                let (troubled, calm): (Vec<&SafeText>, Vec<&SafeText>) =
                    asked.partition(|g| self.troubled(g));
                let (first, rest) = pace::health(base, troubled.len(), calm.len(), rate);
                if self.troubled(tg) { first } else { rest }
            }
            (Ask::EcsListing, _) => pace::ECS_LISTING,
            (Ask::Hosts | Ask::Inside, _) => pace::HOSTS,
            (_, Some(Want::Config)) => {
                let calls = self.slots.keys().filter(|a| a.want() == Some(Want::Config)).count();
                pace::config(base, calls, rate)
            }
            _ => base,
        }
    }

    /// A group with a target that is not healthy, or not known to be.
    fn troubled(&self, tg: &SafeText) -> bool {
        let health = self.known.groups.get(tg).map(|g| &g.health);
        health.is_none_or(|h| {
            !h.is_current() || h.value().is_none_or(|all| all.iter().any(|t| !t.is_healthy()))
        })
    }

    // -- credentials

    /// Credentials that failed are looked for again by themselves: somebody
    /// may have logged in meanwhile.
    fn renew_credentials(&mut self, reason: &Reason) {
        let lately = self.reloaded.is_some_and(|at| at.elapsed() < pace::CREDENTIALS);
        if self.options.live && matches!(reason, Reason::Credentials { .. }) && !lately && self.aws.is_some()
        {
            self.reload();
        }
    }

    fn credentials_reloaded(&mut self, result: Result<(), Reason>) {
        self.reloading = false;
        if let Err(reason) = result {
            return self.observe(vec![unknown(Topic::Identity, op::GET_CALLER_IDENTITY.id, reason)]);
        }
        if let Some(tails) = &self.tails {
            tails.try_again();
        }
        let now = Instant::now();
        for (ask, slot) in &mut self.slots {
            if slot.credentials || matches!(ask, Ask::Topic(Topic::Identity)) || slot.failures > 0 {
                slot.sooner(now, Duration::ZERO);
            }
        }
        if let State::Waiting(at) = &mut self.state {
            *at = now;
        }
    }
}
