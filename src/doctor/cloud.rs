//! What the cloud says to these credentials: who they are, how long they last,
//! whether its clock is ours, which endpoints answer, and which permission is
//! missing for what.
//!
//! Judged from calls that a check makes anyway: nothing is asked only to see
//! whether it may be asked, and what was not asked is not called permitted.

use super::{Item, Section, State};
use crate::situation::{Fact, Identity, Observation, Reason, Topic, short};
use crate::sources::Call;
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// An operation that badgate uses.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// `elbv2:DescribeTargetHealth`.
    pub id: &'static str,
    /// IAM action that must be allowed; `None` where none can be refused.
    pub action: Option<&'static str>,
    /// What badgate cannot show without it.
    pub lost: &'static str,
}

/// What was found out.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name of what was looked at; `None` when there was nothing to look at.
    pub target: Option<SafeText>,
    /// The answer to "who am I"; `None` when there was none.
    pub identity: Option<Result<Identity, Reason>>,
    /// Every call that was made.
    pub calls: Vec<Call>,
    /// Why it ended early, in one line.
    pub failure: Option<SafeText>,
    /// `AWS_ENDPOINT_URL`, when set.
    pub endpoint: Option<SafeText>,
    pub now: Timestamp,
}

impl Facts {
    /// Takes from an observation what matters here.
    pub fn learn(&mut self, o: Observation) {
        match (o.topic, o.fact) {
            (_, Fact::Identity(id)) => self.identity = Some(Ok(id)),
            (Topic::Identity, Fact::Unknown(reason)) => self.identity = Some(Err(reason)),
            (_, Fact::Target(t)) => {
                let id = if t.lb.is_empty() { &t.target_group } else { &t.lb };
                self.target = Some(SafeText::from(short(id)));
            }
            _ => {}
        }
    }
}

/// Credentials that end sooner than this are worth a word before an incident.
const SOON: SignedDuration = SignedDuration::from_mins(60);
/// Signatures further off than this are refused (AWS: "Signature Version 4",
/// "RequestTimeTooSkewed" and "SignatureDoesNotMatch ... not within 5 minutes").
const REFUSED: SignedDuration = SignedDuration::from_mins(5);
/// A clock further off than this makes timelines lie.
const WRONG: SignedDuration = SignedDuration::from_secs(5);
/// A median answer slower than this is felt in every step.
const SLOW_MS: u32 = 1000;

/// The cloud sections of the report.
pub fn sections(f: &Facts, needs: &[Need]) -> Vec<Section> {
    let mut first = vec![credentials(f)];
    if let Some(url) = &f.endpoint {
        let found = format!("{url} instead of AWS's own, for every service");
        first.push(Item::new(State::Warn, "AWS_ENDPOINT_URL", found).mend("unset AWS_ENDPOINT_URL"));
    }
    first.push(clock(f));
    first.extend(endpoints(f));
    if let Some(line) = &f.failure {
        first.push(Item::new(State::Bad, "observing", line.clone()));
    }
    let rights = needs.iter().filter_map(|n| right(f, n)).collect();
    let title = match &f.target {
        Some(name) => format!("Permissions, as far as {name} needs them"),
        None => "Permissions".to_owned(),
    };
    vec![
        Section { title: SafeText::from("AWS"), items: first },
        Section { title: SafeText::from(title), items: rights },
    ]
}

fn credentials(f: &Facts) -> Item {
    let what = "credentials";
    match &f.identity {
        None => Item::new(State::Unknown, what, "nobody answered who they belong to"),
        Some(Err(reason @ Reason::Credentials { .. })) => Item::new(State::Bad, what, reason.phrase())
            .mend("aws sso login    (or renew them the way they came)"),
        Some(Err(reason)) => Item::new(State::Bad, what, reason.phrase()),
        Some(Ok(id)) => {
            let profile =
                if id.profile.is_empty() { String::new() } else { format!(", profile {}", id.profile) };
            let who = format!("{} in account {}, region {}{profile}", id.arn, id.account, id.region);
            match id.expires {
                None => Item::new(State::Good, what, format!("{who}; they do not say when they end")),
                Some(end) if end <= f.now => {
                    Item::new(State::Bad, what, format!("{who}; ended at {}", clock_time(end)))
                }
                Some(end) => {
                    let left = end.duration_since(f.now);
                    let state = if left < SOON { State::Warn } else { State::Good };
                    let found = format!("{who}; they end at {}, in {} min", clock_time(end), left.as_mins());
                    Item::new(state, what, found)
                }
            }
        }
    }
}

fn clock_time(t: Timestamp) -> String {
    t.strftime("%H:%M:%SZ").to_string()
}

/// How far this clock is ahead of the cloud's. Answers carry whole seconds, so
/// half a second is added, and the middle of many counts.
fn skew(calls: &[Call]) -> Option<SignedDuration> {
    let mut all: Vec<i64> = calls
        .iter()
        .filter_map(|c| {
            let answered = c.at.as_millisecond() + i64::from(c.took_ms);
            Some(answered - (c.answered_at?.as_millisecond() + 500))
        })
        .collect();
    all.sort_unstable();
    all.get(all.len() / 2).map(|ms| SignedDuration::from_millis(*ms))
}

fn clock(f: &Facts) -> Item {
    let Some(skew) = skew(&f.calls) else {
        return Item::new(State::Unknown, "clock", "no answer said what time it is");
    };
    let off = skew.abs();
    let word = if skew.is_negative() { "behind" } else { "ahead of" };
    let mend = "timedatectl set-ntp true";
    if off < WRONG {
        return Item::new(State::Good, "clock", "agrees with the cloud's within 5 s");
    }
    let found = format!("{} s {word} the cloud's", off.as_secs());
    if off < REFUSED {
        let found = format!("{found}: times of notes and of log lines do not agree");
        return Item::new(State::Warn, "clock", found).mend(mend);
    }
    Item::new(State::Bad, "clock", format!("{found}: signatures 5 minutes off are refused")).mend(mend)
}

/// One item a service: does its endpoint answer, and how fast.
fn endpoints(f: &Facts) -> Vec<Item> {
    let mut services: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &f.calls {
        let service = call.operation.split(':').next().unwrap_or_default();
        services.entry(service).or_default().push(call);
    }
    let item = |(service, calls): (&str, Vec<&Call>)| {
        let what = format!("{service} endpoint");
        let mut took: Vec<u32> = calls
            .iter()
            .filter(|c| c.answered_at.is_some() || c.failure.is_empty())
            .map(|c| c.took_ms)
            .collect();
        took.sort_unstable();
        match took.get(took.len() / 2) {
            Some(ms) if *ms > SLOW_MS => {
                Item::new(State::Warn, what, format!("answers, but in {ms} ms (middle of {})", took.len()))
            }
            Some(ms) => {
                Item::new(State::Good, what, format!("answers in {ms} ms (middle of {})", took.len()))
            }
            None => {
                let why = calls.first().map(|c| c.failure.clone()).unwrap_or_default();
                Item::new(State::Bad, what, format!("never answered: {why}"))
                    .mend("check the route, the proxy variables (HTTPS_PROXY, NO_PROXY) and VPC endpoints")
            }
        }
    };
    services.into_iter().map(item).collect()
}

/// Codes with which AWS refuses a caller who is known.
/// Source: AWS "Common Errors" of the services' API references.
const DENIED: [&str; 5] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "OperationNotPermitted",
    "AuthorizationError",
];

fn right(f: &Facts, need: &Need) -> Option<Item> {
    let action = need.action?;
    let mut calls = f.calls.iter().filter(|c| c.operation.as_str() == need.id).peekable();
    if calls.peek().is_none() {
        return Some(Item::new(State::Unknown, action, "not asked here"));
    }
    let all: Vec<&Call> = calls.collect();
    if all.iter().any(|c| c.failure.is_empty()) {
        return Some(Item::new(State::Good, action, "allowed"));
    }
    let why = all.first().map(|c| c.failure.clone()).unwrap_or_default();
    Some(if DENIED.iter().any(|d| why.as_str() == *d) {
        Item::new(State::Warn, action, format!("denied: no {}", need.lost))
            .mend("badgate doctor --iam    prints the policy")
    } else {
        Item::new(State::Unknown, action, format!("asked, but not answered: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: [Need; 3] = [
        Need {
            id: "elbv2:DescribeTargetHealth",
            action: Some("elasticloadbalancing:DescribeTargetHealth"),
            lost: "health",
        },
        Need { id: "ec2:DescribeNetworkAcls", action: Some("ec2:DescribeNetworkAcls"), lost: "network ACLs" },
        Need { id: "sts:GetCallerIdentity", action: None, lost: "name" },
    ];

    fn now() -> Timestamp {
        "2026-11-22T02:00:00Z".parse().unwrap()
    }

    /// A call whose answer says that it is `off` seconds later than here.
    fn call(operation: &str, failure: &str, off: Option<i64>) -> Call {
        Call {
            at: now(),
            operation: operation.into(),
            took_ms: 40,
            request_id: SafeText::default(),
            failure: failure.into(),
            answered_at: off.map(|s| now() + SignedDuration::from_secs(s)),
        }
    }

    fn items(f: &Facts) -> Vec<(State, String, String)> {
        let all = sections(f, &NEEDS);
        all.iter()
            .flat_map(|s| &s.items)
            .map(|i| (i.state, i.what.to_string(), i.found.to_string()))
            .collect()
    }

    fn one(f: &Facts, what: &str) -> (State, String) {
        let all = items(f);
        let found = all.iter().find(|i| i.1 == what);
        found.map(|i| (i.0, i.2.clone())).unwrap_or_else(|| panic!("no {what} in {all:?}"))
    }

    fn facts(calls: Vec<Call>) -> Facts {
        Facts { calls, now: now(), ..Facts::default() }
    }

    #[test]
    fn each_permission_is_allowed_denied_or_not_known() {
        let f = facts(vec![
            call("elbv2:DescribeTargetHealth", "", Some(0)),
            call("ec2:DescribeNetworkAcls", "UnauthorizedOperation", Some(0)),
        ]);
        assert_eq!(one(&f, "elasticloadbalancing:DescribeTargetHealth").0, State::Good);
        let (state, found) = one(&f, "ec2:DescribeNetworkAcls");
        assert_eq!((state, found.as_str()), (State::Warn, "denied: no network ACLs"));
        assert!(items(&f).iter().all(|i| !i.1.contains("GetCallerIdentity")), "nobody can refuse that");

        let f = facts(vec![call("ec2:DescribeNetworkAcls", "timed out", None)]);
        assert_eq!(one(&f, "ec2:DescribeNetworkAcls").0, State::Unknown, "no answer is no refusal");
        assert_eq!(one(&f, "elasticloadbalancing:DescribeTargetHealth").0, State::Unknown);
        let (state, found) = one(&f, "ec2 endpoint");
        assert_eq!((state, found.as_str()), (State::Bad, "never answered: timed out"));
    }

    #[test]
    fn the_clock_is_compared_with_what_answers_say() {
        for (off, want) in
            [(0, State::Good), (3, State::Good), (-20, State::Warn), (290, State::Warn), (400, State::Bad)]
        {
            let f = facts(vec![call("elbv2:DescribeTargetHealth", "", Some(off)); 3]);
            assert_eq!(one(&f, "clock").0, want, "{off} s");
        }
        assert!(one(&facts(vec![call("elbv2:x", "", Some(-20))]), "clock").1.contains("ahead of"));
        assert_eq!(one(&facts(vec![call("elbv2:x", "timed out", None)]), "clock").0, State::Unknown);
        // One answer from a cache does not decide.
        let mut calls = vec![call("elbv2:x", "", Some(0)); 4];
        calls.push(call("elbv2:x", "", Some(-900)));
        assert_eq!(one(&facts(calls), "clock").0, State::Good);
    }

    #[test]
    fn credentials_say_whose_they_are_and_how_long_they_last() {
        let with = |minutes: Option<i64>| {
            let expires = minutes.map(|m| now() + SignedDuration::from_mins(m));
            let id = Identity {
                account: "123456789012".into(),
                arn: "arn:x".into(),
                expires,
                ..Identity::default()
            };
            one(&Facts { identity: Some(Ok(id)), ..facts(vec![]) }, "credentials")
        };
        assert_eq!(with(None).0, State::Good);
        assert_eq!(with(Some(300)).0, State::Good);
        assert_eq!(with(Some(20)).0, State::Warn);
        assert_eq!(with(Some(-1)).0, State::Bad);
        assert!(with(Some(20)).1.contains("in 20 min"), "{}", with(Some(20)).1);
        assert_eq!(one(&facts(vec![]), "credentials").0, State::Unknown);
    }
}
