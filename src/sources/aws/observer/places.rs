//! Several profiles and regions at once: all are searched at the same time,
//! and what each of them said is weighed together. A place that fails or hangs
//! is told of, and holds nobody up.

use super::open::{Reading, Trouble};
use super::{Done, Observer, SEARCHES, State, pace, spread};
use crate::situation::{Fact, Observation, Reason, Searched, Topic, short};
use crate::sources::aws::ask::elb::{self, Which};
use crate::sources::aws::client::Aws;
use crate::sources::aws::find::{Found, Missing, Outcome, from_arn};
use crate::sources::aws::operations as op;
use crate::sources::aws::spot::{Spot, Spots};
use crate::sources::aws::target::{Asked, Host};
use crate::sources::{Candidate, Event, Options, Scope};
use crate::text::SafeText;
use futures::StreamExt;
use futures::future::{join, join_all};
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// One place has so long to answer, or this part of the time that a call has
/// where that is less: what is known by then must still be told in time.
const LIMIT: Duration = Duration::from_secs(12);
const PART: f64 = 0.6;
/// Once the target was found, the other places have so long to say otherwise.
const GRACE: Duration = Duration::from_secs(2);
/// Places named in a line.
const NAMED: usize = 6;
/// Names like the one that was typed, in a line.
const NEAR: usize = 4;

/// What one place said.
#[derive(Clone, Debug)]
pub enum Said {
    Found(Box<Found>),
    /// A person must pick.
    Several(Vec<Candidate>),
    Nothing(Missing),
    Failed(Reason),
}

/// One place, and what it said.
#[derive(Clone, Debug)]
pub struct Told {
    pub scope: Scope,
    pub aws: Option<Aws>,
    pub said: Said,
}

impl Told {
    fn failure(&self) -> Option<&Reason> {
        match &self.said {
            Said::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    fn sure(&self) -> bool {
        match &self.said {
            Said::Found(found) => found.unseen().is_none(),
            Said::Several(_) => true,
            _ => false,
        }
    }

    /// Keys of what it found.
    fn found(&self) -> Vec<SafeText> {
        match &self.said {
            Said::Found(found) => vec![found.key()],
            Said::Several(list) => list.iter().map(|c| c.arn.clone()).collect(),
            _ => Vec::new(),
        }
    }
}

/// The search of all places at once.
#[derive(Debug)]
pub struct Survey {
    pub spots: Arc<Spots>,
    pub options: Options,
    pub typed: String,
    /// Only these places.
    pub only: Option<Vec<Scope>>,
    /// Configuration and credentials are read anew first.
    pub renew: bool,
    /// Where lists go while they grow.
    pub events: mpsc::Sender<Event>,
}

/// What it came to.
#[derive(Debug)]
pub struct Surveyed {
    pub asked: Asked,
    pub told: Vec<Told>,
}

/// Lists of places that have answered, while others have not.
#[derive(Debug, Default)]
struct Growing(Mutex<BTreeMap<usize, Vec<Candidate>>>);

impl Survey {
    /// Searches. An error is what was typed, not a place.
    pub async fn run(self) -> Result<Surveyed, Trouble> {
        let mut reading = Reading::of(&self.typed, &self.options)?;
        reading.learn(reading.resolve().await);
        let region = reading.asked.region().or_else(|| reading.led_to());
        let scopes = match &self.only {
            Some(only) => only.clone(),
            None => scopes(&self.options.places, region.as_deref(), is_global(&reading.asked)),
        };
        let limit = limit(&self.options);
        let began = Instant::now();
        let mut end = began + limit;
        let listing = matches!(reading.asked, Asked::Nothing);
        let growing = Growing::default();
        let mut told: Vec<Option<Told>> = vec![None; scopes.len()];
        {
            let (survey, reading, growing, region) = (&self, &reading, &growing, region.as_deref());
            let mut running: FuturesUnordered<_> = scopes
                .iter()
                .enumerate()
                .map(|(i, scope)| async move { (i, survey.ask(i, scope, reading, region, growing).await) })
                .collect();
            loop {
                tokio::select! {
                    biased;
                    next = running.next() => {
                        let Some((i, answer)) = next else { break };
                        if answer.sure() && !listing {
                            end = end.min(Instant::now() + GRACE);
                        }
                        told[i] = Some(answer);
                    }
                    () = sleep_until(end) => break,
                }
            }
        }
        let after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let late = |scope: &Scope| Told {
            scope: scope.clone(),
            aws: None,
            said: Said::Failed(Reason::TimedOut { after_ms }),
        };
        let told = told.into_iter().zip(&scopes).map(|(t, s)| t.unwrap_or_else(|| late(s))).collect();
        Ok(Surveyed { asked: reading.asked, told })
    }

    async fn ask(
        &self,
        index: usize,
        scope: &Scope,
        reading: &Reading,
        region: Option<&str>,
        growing: &Growing,
    ) -> Told {
        let told = |aws: Option<Aws>, said| Told { scope: scope.clone(), aws, said };
        let spot = self.spots.of(scope);
        let aws = async {
            let aws = if self.renew { spot.fresh().await? } else { spot.aws().await? };
            match region {
                Some(region) => aws.in_region(region).await,
                None => Ok(aws),
            }
        };
        let aws = match aws.await {
            Ok(aws) => aws,
            Err(reason) => return told(None, Said::Failed(reason)),
        };
        let said = match self.belongs(&aws, &reading.asked).await {
            Ok(None) => self.search(index, scope, reading, &aws, growing).await,
            Ok(Some(said)) => said,
            Err(reason) => Said::Failed(reason),
        };
        told(Some(aws), said)
    }

    /// An ARN names its account. Credentials of another one need not be asked;
    /// whose they are is not always to be had.
    async fn belongs(&self, aws: &Aws, asked: &Asked) -> Result<Option<Said>, Reason> {
        let Some(account) = account_of(&self.typed) else { return Ok(None) };
        let what = short(self.typed.trim());
        let caller = aws.call(&op::GET_CALLER_IDENTITY, |c| c.sts.get_caller_identity().send()).await;
        match caller.map(|c| c.account.unwrap_or_default()) {
            Ok(own) if own == account => return Ok(None),
            Ok(own) if !own.is_empty() => {
                let what = SafeText::capped(what, 100);
                let what = format!("no credentials of account {account}, which has {what},");
                return Ok(Some(Said::Nothing(Missing::here(what))));
            }
            Err(reason @ (Reason::Credentials { .. } | Reason::Offline { .. })) => return Err(reason),
            _ => {}
        }
        let Asked::LoadBalancer(arn) = asked else { return Ok(None) };
        match elb::load_balancer(aws, Which::Arn(SafeText::from(&arn.text))).await {
            Ok(_) => Ok(None),
            Err(Reason::NotFound { .. }) => {
                let what = format!("there is no load balancer {}", SafeText::capped(short(&arn.text), 100));
                Ok(Some(Said::Nothing(Missing::here(what))))
            }
            Err(reason) => Err(reason),
        }
    }

    async fn search(
        &self,
        index: usize,
        scope: &Scope,
        reading: &Reading,
        aws: &Aws,
        growing: &Growing,
    ) -> Said {
        let (tx, mut rx) = mpsc::channel(16);
        let mut search = reading.search(aws.clone(), &self.typed);
        search.many = true;
        search.others = self.others(scope);
        search.events = tx;
        let listing = matches!(reading.asked, Asked::Nothing);
        let (place, asked) = (scope.name(), search.typed.clone());
        let listen = async {
            let mut newest = Vec::new();
            while let Some(event) = rx.recv().await {
                let Event::Candidates { mut list, .. } = event else { continue };
                list.iter_mut().for_each(|c| c.place = place.clone());
                newest.clone_from(&list);
                if listing {
                    let list = growing.put(index, list);
                    // A full queue only skips a list that is not whole yet.
                    let _ =
                        self.events.try_send(Event::Candidates { asked: asked.clone(), list, more: true });
                }
            }
            newest
        };
        let (outcome, list) = join(search.run(), listen).await;
        match outcome {
            Ok(Outcome::One(found)) => Said::Found(found),
            Ok(Outcome::Several) => Said::Several(list),
            Ok(Outcome::None(missing)) => Said::Nothing(missing),
            Err(reason) => Said::Failed(reason),
        }
    }

    /// The other profiles, for what stands behind something of this one.
    fn others(&self, scope: &Scope) -> Vec<Arc<Spot>> {
        let mut seen = vec![scope.profile.clone()];
        let mut out = Vec::new();
        for other in &self.options.places {
            if !seen.contains(&other.profile) {
                seen.push(other.profile.clone());
                out.push(self.spots.of(other));
            }
        }
        out
    }
}

impl Growing {
    fn put(&self, index: usize, list: Vec<Candidate>) -> Vec<Candidate> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(index, list);
        once(all.values().flatten().cloned())
    }
}

/// Each thing once, the first place first; then by what fails most.
fn once(all: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    for c in all {
        if !out.iter().any(|o| o.arn == c.arn) {
            out.push(c);
        }
    }
    let errors = |c: &Candidate| c.errors.unwrap_or(-1.0);
    out.sort_by(|a, b| errors(b).total_cmp(&errors(a)).then_with(|| a.name.cmp(&b.name)));
    out
}

/// The places that can know a target: one that names its region is nowhere
/// else, and one that is in no region is asked for once with each profile.
fn scopes(places: &[Scope], region: Option<&str>, global: bool) -> Vec<Scope> {
    let mut out: Vec<Scope> = Vec::new();
    for place in places {
        let scope = match region {
            Some(region) => Scope { profile: place.profile.clone(), region: Some(region.to_owned()) },
            None => place.clone(),
        };
        let asked = |o: &Scope| *o == scope || (global && o.profile == scope.profile);
        if !out.iter().any(asked) {
            out.push(scope);
        }
    }
    out
}

fn is_global(asked: &Asked) -> bool {
    match asked {
        Asked::Distribution(_) => true,
        Asked::Host { host: Host::Name(name), .. } => name.ends_with(".cloudfront.net"),
        _ => false,
    }
}

fn limit(options: &Options) -> Duration {
    options.call_timeout.map_or(LIMIT, |call| call.mul_f64(PART).min(LIMIT))
}

/// The account in an ARN.
fn account_of(typed: &str) -> Option<&str> {
    let account = typed.trim().strip_prefix("arn:")?.split(':').nth(3)?;
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

/// What all places say together.
#[derive(Debug)]
pub enum Verdict {
    /// It is one thing, found by the place of this index.
    One(usize),
    /// A person must pick.
    Several(Vec<Candidate>),
    /// It is nowhere, as far as could be asked.
    Nowhere(String),
    /// Nobody could say; why, and all of it in one line.
    Lost(Reason, String),
}

/// Weighs what the places said.
pub fn judge(typed: &str, listing: bool, told: &mut [Told]) -> Verdict {
    if told.iter().any(Told::sure) {
        // What may not be read here was read elsewhere: it is not this one's.
        for t in told.iter_mut() {
            let Said::Found(found) = &t.said else { continue };
            if let Some(why) = found.unseen().cloned() {
                t.said = Said::Failed(why);
            }
        }
    }
    let mut finds: Vec<(SafeText, usize)> = Vec::new();
    let mut list: Vec<Candidate> = Vec::new();
    for (i, t) in told.iter().enumerate() {
        match &t.said {
            Said::Found(found) => {
                let key = found.key();
                match finds.iter_mut().find(|(k, _)| *k == key) {
                    Some((_, first)) if !has_front(told, *first) && has_front(told, i) => *first = i,
                    Some(_) => {}
                    None => finds.push((key, i)),
                }
            }
            Said::Several(more) => list.extend(more.iter().cloned()),
            Said::Nothing(_) | Said::Failed(_) => {}
        }
    }
    if let ([(_, i)], true) = (&finds[..], list.is_empty()) {
        return Verdict::One(*i);
    }
    let found = finds.iter().filter_map(|(_, i)| offer(&told[*i]));
    let list = once(found.collect::<Vec<_>>().into_iter().chain(list));
    if !list.is_empty() {
        return Verdict::Several(list);
    }
    let what = if listing { "the load balancers" } else { typed.trim() };
    match told.iter().find_map(Told::failure) {
        Some(_) if told.iter().all(|t| t.failure().is_some()) => {
            // What passes by itself is worth another try, whatever the others say.
            let why = told.iter().filter_map(Told::failure).max_by_key(|r| pace::may_pass(r));
            let line = format!("{} cannot be looked up: {}", SafeText::capped(what, 160), failed(told));
            Verdict::Lost(why.cloned().unwrap_or(Reason::NotAsked), line)
        }
        _ => Verdict::Nowhere(nowhere(told)),
    }
}

fn has_front(told: &[Told], i: usize) -> bool {
    match told.get(i).map(|t| &t.said) {
        Some(Said::Found(f)) => !f.target.distribution.is_empty() || !f.target.api.is_empty(),
        _ => false,
    }
}

/// What was found, as something to choose. Its id leads back to it.
fn offer(t: &Told) -> Option<Candidate> {
    let Said::Found(found) = &t.said else { return None };
    let region = t.aws.as_ref().map(Aws::region).unwrap_or_default();
    let target = &found.target;
    let mut c = from_arn(&found.key(), &region);
    if let Some(lb) = &found.lb {
        c = crate::sources::aws::find::candidate(lb, &region);
    } else if !target.lb.is_empty() {
    } else if !target.classic.is_empty() {
        c.name = target.classic.clone();
        c.kind = "classic".into();
        c.dns_name = found.classic_dns.clone();
    } else if !target.api.is_empty() {
        c.kind = "API".into();
    } else if !target.distribution.is_empty() {
        c.kind = "distribution".into();
    } else {
        c.name = crate::situation::short_name(&found.key()).into();
        c.kind = "function".into();
    }
    c.place = t.scope.name();
    Some(c)
}

/// `no load balancer is named X in 4 places: a, b, c, d; nearest: Y`.
fn nowhere(told: &[Told]) -> String {
    let mut groups: Vec<(&str, Vec<SafeText>)> = Vec::new();
    let mut near: Vec<&SafeText> = Vec::new();
    if let Some(line) = told.iter().find_map(|t| match &t.said {
        Said::Nothing(missing) if missing.anywhere => Some(missing.what.clone()),
        _ => None,
    }) {
        return line;
    }
    for t in told {
        let Said::Nothing(missing) = &t.said else { continue };
        match groups.iter_mut().find(|(what, _)| *what == missing.what) {
            Some((_, places)) => places.push(t.scope.name()),
            None => groups.push((&missing.what, vec![t.scope.name()])),
        }
        near.extend(&missing.near);
    }
    near.sort();
    near.dedup();
    let parts: Vec<String> = groups
        .iter()
        .map(|(what, places)| match places.as_slice() {
            [one] => format!("{what} in {one}"),
            several => format!("{what} in {} places: {}", several.len(), named(several)),
        })
        .collect();
    let mut line = parts.join("; ");
    if !near.is_empty() {
        let list: Vec<&str> = near.iter().take(NEAR).map(|n| n.as_str()).collect();
        line += &format!("; nearest: {}", list.join(", "));
    }
    if told.iter().any(|t| t.failure().is_some()) {
        line += &format!("; not answered by {}", failed(told));
    }
    line + "; elsewhere: --region or --profile"
}

fn named(all: &[SafeText]) -> String {
    let list: Vec<&str> = all.iter().take(NAMED).map(SafeText::as_str).collect();
    let more = all.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", list.join(", ")) } else { list.join(", ") }
}

/// `prod/eu-west-1 (credentials: expired), ...`: who could not say, and why.
fn failed(told: &[Told]) -> String {
    let all: Vec<SafeText> = told
        .iter()
        .filter_map(|t| Some(format!("{} ({})", t.scope.name(), t.failure()?.phrase()).into()))
        .collect();
    named(&all)
}

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
        let listing = matches!(asked, Asked::Nothing);
        let verdict = judge(&self.typed, listing, &mut all);
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
        let Some(Told { scope, aws, said: Said::Found(found) }) = self.places.told.get(i).cloned() else {
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
        let all: Vec<Observation> = self.places.told.iter().map(|t| self.searched_in(t)).collect();
        let opened = self.aws.as_ref().map(|aws| {
            let scope =
                Scope { profile: aws.options().profile.clone(), region: Some(aws.region().to_string()) };
            (scope, aws.clone())
        });
        let told = |o: &Observation| matches!(&o.fact, Fact::Place(p) if p.opened);
        let mut all = all;
        if let Some((scope, aws)) = opened.filter(|_| !all.iter().any(told)) {
            // What was found leads into a place that was not searched for it.
            let t = Told { scope, aws: Some(aws), said: Said::Nothing(Missing::default()) };
            let name = t.scope.name();
            let own = Topic::Place(name);
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
        let same = |own: &Aws, aws: &Aws| {
            own.options().profile == aws.options().profile && own.region() == aws.region()
        };
        let fact = match &t.said {
            Said::Failed(reason) => Fact::Unknown(reason.clone()),
            _ => Fact::Place(Searched {
                profile: text(t.scope.profile.as_deref()),
                region: t.aws.as_ref().map(Aws::region).unwrap_or_default(),
                found: t.found(),
                opened: matches!((&self.aws, &t.aws), (Some(own), Some(aws)) if same(own, aws)),
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
        let profile = |a: &Aws| a.options().profile.clone();
        let api = self.focus.front.api.clone();
        // CloudFront is the same from every region of the account; an API is not.
        let elsewhere =
            |id: &SafeText, a: &Aws| profile(a) != profile(aws) || (*id == api && a.region() != aws.region());
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
            | Work::FrontMetrics { id, .. }
            | Work::FrontChanges { id, .. } => of(id),
            Work::FrontLog { place: FrontPlace::Edge(d), .. } => of(&d.id),
            Work::FrontLog { place: FrontPlace::Api(a), .. } => of(&a.id),
            // The zone of a public name goes with what it leads to first.
            Work::Records(_) => of(&front.distribution).or_else(|| of(&front.api)),
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

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
