//! The task that observes one load balancer: it takes commands, plans what to
//! ask from what is known, asks all of it at once within the budget, and asks
//! again when it is due. It never waits for one answer before another, and a
//! failure concerns its own topic only.

mod answers;
mod asking;
mod fronts;
mod hosts;
mod more;
mod open;
mod pace;
mod places;
mod plan;
mod slot;
mod survey;
mod traced;
mod work;

use super::client::{Aws, Place};
use super::found::Outcome;
use super::logs::{Tails, groups};
use super::target::Asked;
use crate::situation::log::worth_following;
use crate::situation::{Fact, Observation, Reason, Situation, Topic};
use crate::sources::{COMMAND_QUEUE, Call, Command, EVENT_QUEUE, Event, Link, Options, Want};
use crate::text::SafeText;
use jiff::Timestamp;
use open::{Opened, Opening, Trouble};
use places::Places;
use plan::{Ask, Focus, Work};
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use survey::{Surveyed, Told};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use work::{Answer, EcsKnown};

/// Events held back while the console takes none; beyond it answers wait.
const HELD: usize = 64;
/// Finished calls that may wait to be told.
const CALLS: usize = 1024;
/// Tries of the search when everything is asked once.
const SEARCHES: u32 = 3;
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
    tokio::spawn(Observer::new(place, options, outbox).run(target, Vec::new(), inbox));
    Link { commands, events }
}

/// As [`start`], for a link that stands already: takes commands from `inbox`,
/// those of `early` first, and tells what it learns in `events`, which other
/// sources may share. Runs until either end of the link is gone.
pub async fn observe(
    target: String,
    options: Options,
    early: Vec<Command>,
    inbox: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
) {
    Observer::new(None, options, events).run(target, early, inbox).await;
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
    /// All places were searched.
    Surveyed(Result<Surveyed, Trouble>),
    /// Places that had failed were searched again.
    Healed(Vec<Told>),
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
    places: Places,
    typed: String,
    asked: Asked,
    state: State,
    searches: u32,
    focus: Focus,
    /// Fold of what was observed, without log lines.
    known: Situation,
    ecs: EcsKnown,
    planned: Arc<Vec<(Ask, Work)>>,
    /// Something was learned or ordered since the plan was made.
    stale: bool,
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
            places: Places::default(),
            typed: String::new(),
            asked: Asked::Nothing,
            state: State::Idle,
            searches: 0,
            focus: Focus::default(),
            known: Situation::new(),
            ecs: EcsKnown::default(),
            planned: Arc::default(),
            stale: true,
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

    async fn run(mut self, target: String, early: Vec<Command>, mut commands: mpsc::Receiver<Command>) {
        self.open(target);
        early.into_iter().for_each(|command| self.obey(command));
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
                Some(event) = self.side.1.recv(), if room => {
                    self.note_places(&event);
                    self.held.push_back(event);
                }
                Some(call) = self.calls.1.recv(), if room => self.held.push_back(Event::Called(call)),
                () = sleep_until(wake) => {}
                () = events.closed(), if self.held.is_empty() => return,
            }
        }
    }

    // -- commands

    fn obey(&mut self, command: Command) {
        self.stale = true;
        match command {
            Command::Open(target) => {
                self.forget_places(None);
                self.open(target);
            }
            Command::Choose(arn) => {
                self.forget_places(Some(&arn));
                self.open(arn.to_string());
            }
            Command::Refresh { id, wants } => self.refresh(id, wants),
            Command::Watch(wants) => self.watch(wants),
            Command::Tail { groups, since } => {
                self.followed = (groups, since);
                self.told_to_follow = true;
                self.follow();
            }
            Command::ReloadCredentials => self.reload(),
            // The cloud is only read here: it has offered nothing.
            Command::Act { .. } | Command::Measure { .. } => {}
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
        if self.several_places() {
            return self.survey();
        }
        self.stale = true;
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
        if self.several_places() {
            self.reload_places();
            if !matches!(self.state, State::Watching) {
                return;
            }
        }
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

    // -- telling

    fn observe(&mut self, observations: Vec<Observation>) {
        if observations.is_empty() {
            return;
        }
        for o in &observations {
            if !matches!(o.topic, Topic::Tail(_)) {
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

/// A little later, so that what began together does not stay together.
fn spread(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + 0.1 * super::jitter())
}
