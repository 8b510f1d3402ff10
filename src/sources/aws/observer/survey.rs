//! The search of several places at the same time, and what they say together.

use super::open::{Reading, Trouble};
use super::pace;
use crate::situation::{Reason, short};
use crate::sources::aws::ask::elb::{self, Which};
use crate::sources::aws::client::Aws;
use crate::sources::aws::find::{self, from_arn};
use crate::sources::aws::found::{Found, Missing, Outcome};
use crate::sources::aws::operations as op;
use crate::sources::aws::spot::{Spot, Spots};
use crate::sources::aws::target::{Asked, Host};
use crate::sources::{Candidate, Event, Options, Scope};
use crate::text::SafeText;
use futures::StreamExt;
use futures::future::join;
use futures::stream::FuturesUnordered;
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
    /// What it had listed before it failed.
    pub partial: Vec<Candidate>,
}

impl Told {
    /// Why it could not say.
    pub fn failure(&self) -> Option<&Reason> {
        match &self.said {
            Said::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    /// What it found was seen, not only taken as typed.
    pub fn sure(&self) -> bool {
        match &self.said {
            Said::Found(found) => found.unseen().is_none(),
            Said::Several(_) => true,
            _ => false,
        }
    }

    /// Keys of what it found.
    pub fn found(&self) -> Vec<SafeText> {
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
            partial: Vec::new(),
        };
        let mut told: Vec<Told> =
            told.into_iter().zip(&scopes).map(|(t, s)| t.unwrap_or_else(|| late(s))).collect();
        for (i, t) in told.iter_mut().enumerate().filter(|(_, t)| t.failure().is_some()) {
            t.partial = growing.of(i);
        }
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
        let told = |aws: Option<Aws>, said| Told { scope: scope.clone(), aws, said, partial: Vec::new() };
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
    fn of(&self, index: usize) -> Vec<Candidate> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&index).cloned().unwrap_or_default()
    }

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
    out.sort_by(Candidate::worst_first);
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
pub fn account_of(typed: &str) -> Option<&str> {
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
pub fn judge(typed: &str, told: &mut [Told]) -> Verdict {
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
            // What a person has seen in the list does not go away again.
            Said::Failed(_) => list.extend(t.partial.iter().cloned()),
            Said::Nothing(_) => {}
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
    match told.iter().find_map(Told::failure) {
        Some(_) if told.iter().all(|t| t.failure().is_some()) => {
            // What passes by itself is worth another try, whatever the others say.
            let why = told.iter().filter_map(Told::failure).max_by_key(|r| pace::may_pass(r));
            Verdict::Lost(why.cloned().unwrap_or(Reason::NotAsked), not_looked_up(typed, &failed(told)))
        }
        _ => Verdict::Nowhere(nowhere(told)),
    }
}

/// `shop cannot be looked up: access denied`, of whatever was typed.
pub fn not_looked_up(typed: &str, why: &str) -> String {
    let what = match typed.trim() {
        "" => "the load balancers",
        typed => typed,
    };
    format!("{} cannot be looked up: {why}", SafeText::capped(what, 160))
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
        c = find::candidate(lb, &region);
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
    let mut groups: Vec<(String, Vec<SafeText>)> = Vec::new();
    for t in told {
        let Some(why) = t.failure().map(Reason::phrase) else { continue };
        // The same trouble everywhere is one trouble.
        match groups.iter_mut().find(|(w, _)| *w == why) {
            Some((_, places)) => places.push(t.scope.name()),
            None => groups.push((why, vec![t.scope.name()])),
        }
    }
    let all: Vec<String> = groups.iter().map(|(why, places)| format!("{} ({why})", named(places))).collect();
    all.join(", ")
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
