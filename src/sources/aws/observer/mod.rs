//! The task that observes one load balancer: it takes commands, plans what to
//! ask from what is known, asks all of it at once within the budget, and asks
//! again when it is due. It never waits for one answer before another, and a
//! failure concerns its own topic only.

mod answers;
mod asking;
mod open;
mod pace;
mod plan;
mod slot;
mod work;

use super::client::{Aws, Place};
use super::find::Outcome;
use super::logs::{Tails, groups};
use super::target::Asked;
use crate::situation::log::worth_following;
use crate::situation::{Fact, Observation, Reason, Situation, Topic};
use crate::sources::{COMMAND_QUEUE, Call, Command, EVENT_QUEUE, Event, Link, Options, Want};
use crate::text::SafeText;
use jiff::Timestamp;
use open::{Opened, Opening, Trouble};
use plan::{Ask, Focus};
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use work::{Answer, EcsKnown};

/// Events held back while the console takes none; beyond it answers wait.
const HELD: usize = 64;
/// Finished calls that may wait to be told.
const CALLS: usize = 1024;
/// What may name a log group is waited for this long.
const CLUES_AFTER: Duration = Duration::from_secs(4);

/// Starts observing `target` (a load balancer's name, ARN or DNS name, a
/// target group's ARN, a URL or host name; empty: list what there is) on the
/// current tokio runtime. Returns at once; everything else happens in tasks
/// and arrives as events. Dropping the link ends them.
pub fn start(target: String, options: Options) -> Link {
    start_at(None, target, options)
}

/// As [`start`], but asking an emulator when one is given.
pub fn start_at(place: Option<Place>, target: String, options: Options) -> Link {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
    let (outbox, events) = mpsc::channel(EVENT_QUEUE);
    let observer = Observer::new(place, options, outbox);
    tokio::spawn(observer.run(target, inbox));
    Link { commands, events }
}

/// What the observer is doing about its target.
#[derive(Debug)]
enum State {
    /// Configuration is read, names are resolved.
    Opening,
    /// The load balancer is searched for.
    Searching,
    /// It is known what to observe.
    Watching,
    /// A person must choose, or type something else.
    Idle,
    /// It could not be said what the target is; tried again then.
    Waiting(Instant),
}

/// Something that was being done has ended.
#[derive(Debug)]
enum Done {
    Opened(Result<Box<Opened>, Trouble>),
    Searched(Result<Outcome, Reason>),
    /// The load balancer that was asked for by ARN does not exist: the line says so.
    Gone(String),
    Answered(Box<Answer>),
    Reloaded(Result<(), Reason>),
}

#[derive(Debug)]
struct Refresh {
    id: u64,
    wants: BTreeSet<Want>,
    /// Questions begun after this count as answers to it.
    mark: u64,
}

#[derive(Debug)]
struct Observer {
    place: Option<Place>,
    options: Options,
    /// To the console.
    events: mpsc::Sender<Event>,
    /// What is not yet sent.
    held: VecDeque<Event>,
    /// From helpers that speak while they work.
    side: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    calls: (mpsc::Sender<Call>, mpsc::Receiver<Call>),
    jobs: JoinSet<Done>,
    asked_by: HashMap<Id, Ask>,
    aws: Option<Aws>,
    typed: String,
    asked: Asked,
    state: State,
    searches: u32,
    focus: Focus,
    /// Fold of what was observed, without metrics and log lines.
    known: Situation,
    ecs: EcsKnown,
    slots: BTreeMap<Ask, Slot>,
    /// Counts questions, in the order they are begun.
    count: u64,
    refreshes: Vec<Refresh>,
    watched: BTreeSet<Want>,
    reloading: bool,
    reloaded: Option<Instant>,
    started: Timestamp,
    /// When the target was found.
    found: Option<Instant>,
    /// Logs to follow, and from when on.
    followed: (Vec<SafeText>, Option<Timestamp>),
    /// A person chose what is followed; nothing is picked for them.
    told_to_follow: bool,
    tails: Option<Tails>,
}

impl Observer {
    fn new(place: Option<Place>, options: Options, events: mpsc::Sender<Event>) -> Self {
        Self {
            place,
            options,
            events,
            held: VecDeque::new(),
            side: mpsc::channel(HELD),
            calls: mpsc::channel(CALLS),
            jobs: JoinSet::new(),
            asked_by: HashMap::new(),
            aws: None,
            typed: String::new(),
            asked: Asked::Nothing,
            state: State::Idle,
            searches: 0,
            focus: Focus::default(),
            known: Situation::new(),
            ecs: EcsKnown::default(),
            slots: BTreeMap::new(),
            count: 0,
            refreshes: Vec::new(),
            watched: Want::ALL.into(),
            reloading: false,
            reloaded: None,
            started: Timestamp::now(),
            found: None,
            followed: (Vec::new(), None),
            told_to_follow: false,
            tails: None,
        }
    }

    async fn run(mut self, target: String, mut commands: mpsc::Receiver<Command>) {
        self.open(target);
        loop {
            self.ask_what_is_due();
            self.settle();
            let room = self.held.len() < HELD;
            let events = self.events.clone();
            let wake = self.wake();
            tokio::select! {
                biased;
                permit = events.reserve(), if !self.held.is_empty() => {
                    let Ok(permit) = permit else { return };
                    if let Some(event) = self.held.pop_front() {
                        permit.send(event);
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(done) = self.jobs.join_next_with_id(), if room && !self.jobs.is_empty() => self.take(done),
                Some(event) = self.side.1.recv(), if room => self.held.push_back(event),
                Some(call) = self.calls.1.recv(), if room => self.held.push_back(Event::Called(call)),
                () = sleep_until(wake) => {}
                () = events.closed(), if self.held.is_empty() => return,
            }
        }
    }

    // -- commands

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open(target) => self.open(target),
            Command::Choose(arn) => self.open(arn.to_string()),
            Command::Refresh { id, wants } => self.refresh(id, wants),
            Command::Watch(wants) => self.watch(wants),
            Command::Tail { groups, since } => {
                self.followed = (groups, since);
                self.told_to_follow = true;
                self.follow();
            }
            Command::ReloadCredentials => self.reload(),
        }
    }

    fn open(&mut self, target: String) {
        self.jobs = JoinSet::new();
        self.asked_by.clear();
        // What an earlier search still had to say is about something else.
        self.side = mpsc::channel(HELD);
        self.slots.clear();
        self.known = Situation::new();
        self.ecs = EcsKnown::default();
        self.focus = Focus::default();
        self.searches = 0;
        self.reloading = false;
        self.found = None;
        // What a person named is followed at once, whatever there is besides.
        self.followed =
            (self.options.log_groups.iter().map(|g| groups::plain_name(&g.into())).collect(), None);
        self.told_to_follow = !self.followed.0.is_empty();
        self.tails = None;
        self.typed = target;
        self.begin();
    }

    fn begin(&mut self) {
        self.state = State::Opening;
        let opening = Opening {
            place: self.place.clone(),
            options: self.options.clone(),
            typed: self.typed.clone(),
            aws: self.aws.clone(),
            calls: self.calls.0.clone(),
        };
        self.jobs.spawn(async move { Done::Opened(opening.run().await.map(Box::new)) });
    }

    fn refresh(&mut self, id: u64, wants: Vec<Want>) {
        self.count += 1;
        let mark = self.count;
        let wants: BTreeSet<Want> = wants.into_iter().collect();
        if wants.contains(&Want::Ecs) {
            self.ecs.unrelated.clear();
        }
        if let (true, Some(tails)) = (wants.contains(&Want::Logs), &self.tails) {
            tails.try_again();
        }
        let now = Instant::now();
        for (ask, slot) in &mut self.slots {
            if ask.want().is_some_and(|w| wants.contains(&w)) {
                slot.refresh(mark, now, matches!(ask, Ask::Topic(Topic::TaskDefinition(_))));
            }
        }
        if let State::Waiting(at) = &mut self.state {
            *at = now;
        }
        self.refreshes.push(Refresh { id, wants, mark });
    }

    /// Follows the logs that were asked for, as soon as there are clients.
    fn follow(&mut self) {
        let Some(aws) = &self.aws else { return };
        if !self.options.live {
            return; // They are read once, as planned.
        }
        let events = &self.events;
        let tails = self.tails.get_or_insert_with(|| Tails::new(aws.clone(), events.clone()));
        tails.follow(&self.followed.0, self.followed.1);
    }

    /// Follows what is worth it when nobody has said what to follow.
    fn follow_unasked(&mut self) {
        if self.told_to_follow || !self.followed.0.is_empty() {
            return;
        }
        let Some(known) = self.known.log_groups.value() else { return };
        self.followed.0 = worth_following(known);
        if !self.followed.0.is_empty() {
            self.follow();
        }
    }

    fn watch(&mut self, wants: Vec<Want>) {
        let before = std::mem::replace(&mut self.watched, wants.into_iter().collect());
        let now = Instant::now();
        for (ask, slot) in &mut self.slots {
            let Some(want) = ask.want() else { continue };
            if self.watched.contains(&want) && !before.contains(&want) {
                slot.sooner(now, pace::interval(Some(want), &self.options.every, true));
            }
        }
    }

    fn reload(&mut self) {
        self.reloaded = Some(Instant::now());
        match (&self.aws, self.reloading) {
            (Some(aws), false) => {
                let aws = aws.clone();
                self.reloading = true;
                self.jobs.spawn(async move { Done::Reloaded(aws.reload().await) });
            }
            (Some(_), true) => {}
            (None, _) if matches!(self.state, State::Opening) => {}
            (None, _) => self.begin(),
        }
    }

<<<<<<< HEAD
    // -- what came back

    fn take(&mut self, done: Result<(Id, Done), JoinError>) {
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
            Ok(Outcome::None(line)) => {
                self.focus = Focus::default();
                self.no_target(line);
                self.state = State::Idle;
            }
            Err(reason) => self.lost(reason),
        }
    }

    /// Nobody could say what the target is. What may pass is tried again.
    fn lost(&mut self, reason: Reason) {
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
            let what = if self.typed.trim().is_empty() { "the load balancers" } else { self.typed.trim() };
            self.no_target(format!(
                "{} cannot be looked up: {}",
                SafeText::capped(what, 160),
                reason.phrase()
            ));
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

    fn found(&mut self, found: Found) {
        let arn = found.target.lb.clone();
        self.focus.lb = Some(arn.clone());
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
                let what = format!("there is no load balancer {}", crate::situation::short(&arn.text));
                Done::Gone(super::find::line(&aws, &what, Some(&arn)).await)
            });
        }
    }

    /// Topics that an answer covers besides the one it was asked for.
    fn also_answered(&mut self, observations: &[Observation], asked: Option<&Ask>) {
        for o in observations {
            let ask = Ask::Topic(o.topic.clone());
            let failed = match &o.fact {
                Fact::Unknown(_) => continue,
                _ if asked == Some(&ask) || matches!(o.topic, Topic::Tail(_)) => continue,
                _ => None,
            };
            self.count += 1;
            self.slots.entry(ask.clone()).or_default().begun = self.count;
            self.reschedule(&ask, failed);
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

    // -- asking

    fn plan(&self) -> Vec<(Ask, Work)> {
        if !matches!(self.state, State::Watching | State::Searching) {
            return Vec::new();
        }
        let mut plan = plan::plan(&self.known, &self.focus, &self.options);
        if !self.options.live && !self.followed.0.is_empty() {
            let since = self.followed.1;
            let since = since.unwrap_or_else(|| logs::back(self.started, self.options.since));
            plan.push((Ask::Recent, Work::Recent { groups: self.followed.0.clone(), since }));
        }
        plan
    }

    /// Log groups are looked for when all that may name them was answered: each
    /// look costs a dozen calls of a small budget. What hangs is not waited for.
    fn gather_clues(&mut self) {
        if self.focus.clues || !matches!(self.state, State::Watching) {
            return;
        }
        let late = self.found.is_some_and(|at| at.elapsed() >= CLUES_AFTER);
        let open = self
            .plan()
            .iter()
            .any(|(ask, _)| plan::is_clue(ask) && self.slots.get(ask).is_none_or(|slot| !slot.answered));
        self.focus.clues = late || !open;
    }

    fn ask_what_is_due(&mut self) {
        self.gather_clues();
        let now = Instant::now();
        if matches!(self.state, State::Waiting(at) if at <= now) {
            self.begin();
        }
        let Some(aws) = self.aws.clone() else { return };
        let plan = self.plan();
        if !plan.is_empty() {
            let planned: BTreeSet<&Ask> = plan.iter().map(|(a, _)| a).collect();
            self.slots.retain(|a, slot| slot.running || planned.contains(a));
        }
        for (ask, work) in plan {
            let slot = self.slots.entry(ask.clone()).or_insert_with(|| Slot::due(now));
            slot.ask(&work, now);
            if slot.running || slot.due.is_none_or(|due| due > now) {
                continue;
            }
            self.count += 1;
            slot.begin(self.count);
            let (aws, before) = (aws.clone(), Before { ecs: self.ecs.clone(), good: slot.good });
            let job = async move { Done::Answered(Box::new(work::run(aws, work, before).await)) };
            let job = self.jobs.spawn(job);
            self.asked_by.insert(job.id(), ask);
        }
    }

    /// When there is something to do at the latest.
    fn wake(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        if let State::Waiting(at) = self.state {
            return at.min(far);
        }
        if !matches!(self.state, State::Watching | State::Searching) {
            return far;
        }
        let clues = self.found.filter(|_| !self.focus.clues).map(|at| at + CLUES_AFTER);
        let due = self.slots.values().filter(|s| !s.running).filter_map(|s| s.due);
        due.chain(clues).fold(far, Instant::min)
    }

    /// Says of each refresh whose questions have all been answered, or have failed.
    fn settle(&mut self) {
        if self.refreshes.is_empty() || matches!(self.state, State::Opening | State::Searching) {
            return;
        }
        if matches!(self.state, State::Waiting(_)) && !self.options.live {
            return;
        }
        let plan = self.plan();
        let live = self.options.live;
        let slots = &self.slots;
        let over = |r: &Refresh| {
            plan.iter().all(|(ask, _)| match (ask.want(), slots.get(ask)) {
                (Some(want), _) if !r.wants.contains(&want) => true,
                (Some(_), slot) => slot.is_some_and(|s| s.is_over(r.mark, live)),
                // Whose credentials these are is part of every answer.
                (None, slot) => slot.is_some_and(|s| s.answered),
            })
        };
        let (done, open): (Vec<Refresh>, Vec<Refresh>) =
            std::mem::take(&mut self.refreshes).into_iter().partition(over);
        self.refreshes = open;
        self.held.extend(done.into_iter().map(|r| Event::Done { id: r.id }));
    }

=======
>>>>>>> 924a289 (wip4)
    // -- telling

    fn observe(&mut self, observations: Vec<Observation>) {
        if observations.is_empty() {
            return;
        }
        for o in &observations {
            if !matches!(o.topic, Topic::Metrics(_) | Topic::Tail(_)) {
                self.known.apply(o);
            }
        }
        self.held.push_back(Event::Observed(observations));
    }

    fn no_target(&mut self, line: String) {
        self.held.push_back(Event::NoTarget { line: SafeText::capped(line, 600) });
    }
}

fn unknown(topic: Topic, source: &'static str, reason: Reason) -> Observation {
    Observation {
        at: Timestamp::now(),
        source: SafeText::from_static(source),
        topic,
        fact: Fact::Unknown(reason),
        took_ms: 0,
    }
}

/// A little earlier or later, so that what began together does not stay together.
fn spread(wait: Duration) -> Duration {
    wait.mul_f64(0.95 + 0.1 * super::jitter())
}
