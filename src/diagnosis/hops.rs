//! The path strip: every hop of the request path with one word on its state.
//! Statuses are facts; a hop nobody has looked at is unknown, not fine.

mod dependency;
mod fronts;

use super::fore;
use super::path::{Leg, LegKind, Verdict};
use super::series;
use super::ways;
use crate::situation::elb::{Listener, TargetHealth};
use crate::situation::{GroupState, Situation};
use crate::text::SafeText;
use fronts::{firewall, fronts};
use serde::Serialize;

/// Which hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HopKind {
    Client,
    Dns,
    Waf,
    #[serde(rename = "cloudfront")]
    CloudFront,
    #[serde(rename = "api_gateway")]
    ApiGateway,
    Lambda,
    Alb,
    Nlb,
    Clb,
    Listener,
    TargetGroup,
    Target,
    Dependency,
}

impl HopKind {
    /// A short name for the strip.
    pub fn word(self) -> &'static str {
        match self {
            HopKind::Client => "client",
            HopKind::Dns => "dns",
            HopKind::Waf => "waf",
            HopKind::CloudFront => "cdn",
            HopKind::ApiGateway => "api",
            HopKind::Lambda => "lambda",
            HopKind::Alb => "alb",
            HopKind::Nlb => "nlb",
            HopKind::Clb => "clb",
            HopKind::Listener => "listener",
            HopKind::TargetGroup => "tg",
            HopKind::Target => "target",
            HopKind::Dependency => "dependency",
        }
    }
}

/// How a hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Warn,
    Bad,
    Unknown,
}

impl Status {
    /// `ok`, `warn`, `bad`, `unknown`, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Bad => "bad",
            Status::Unknown => "unknown",
        }
    }
}

/// One hop of the strip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    pub kind: HopKind,
    pub name: SafeText,
    pub status: Status,
    /// Two or three words for the strip: `1/4 healthy`, `502 3.1%`.
    pub word: SafeText,
    /// One sentence: the facts behind the status, or what is missing.
    pub why: SafeText,
}

fn hop(
    kind: HopKind,
    name: impl Into<SafeText>,
    status: Status,
    word: impl Into<SafeText>,
    why: impl Into<SafeText>,
) -> Hop {
    Hop { kind, name: name.into(), status, word: word.into(), why: why.into() }
}

/// Minutes of metrics behind the load balancer's word.
const RECENT: usize = 5;

/// The hops of the load balancer in view, front to back. `legs` are those of
/// [`super::path::legs`] for the same situation.
pub fn strip(s: &Situation, legs: &[Leg]) -> Vec<Hop> {
    let mut out = vec![client(s), named(s, dns(s))];
    out.extend(fronts(s));
    if s.lb_arn().is_some() || out.len() == 2 {
        out.extend(s.lb_arn().and_then(|arn| firewall(s, arn, &SafeText::default())));
        out.push(alb(s));
    } else {
        // Nothing behind is known as a load balancer: the path ends here, but
        // for what traces tell of functions.
        out.extend(dependency::where_traced(s));
        return out;
    }
    out.extend(listeners(s, legs));
    for (arn, state) in s.active_groups() {
        out.push(group(arn, state));
    }
    out.push(worst_target(s));
    out.push(dependency::dependency(s));
    out
}

/// Adds what Route 53 holds of a name with several record sets.
fn named(s: &Situation, mut dns: Hop) -> Hop {
    let Some(story) = ways::stories(s).into_iter().next() else { return dns };
    if matches!(story.status, Status::Bad | Status::Warn) {
        (dns.status, dns.word) = (story.status, story.word);
        if s.target.value().is_some_and(|t| t.host.is_empty()) {
            dns.name = story.host;
        }
    }
    dns.why = SafeText::capped(format!("{}; {}", dns.why, story.text), 1200);
    dns
}

/// What a request from here gets.
fn client(s: &Situation) -> Hop {
    let made = |status, word: String, why: String| hop(HopKind::Client, "client", status, word, why);
    let Some(k) = s.probe() else {
        return made(Status::Unknown, "not probed".into(), "no request was sent from here".into());
    };
    let p = &k.value;
    let answer = p.exchanges.iter().find_map(|e| Some((e, e.status?)));
    let wrong = p.faults.iter().find(|f| f.wrong);
    match answer {
        Some((e, status)) => {
            let by = if e.who.name.is_empty() { String::new() } else { format!(" by {}", e.who.name) };
            let why = format!("{} {} answers {status}{by}, asked from here", p.method, p.url);
            let state = match status {
                500.. => Status::Bad,
                _ if wrong.is_some() => Status::Warn,
                _ => Status::Ok,
            };
            made(state, status.to_string(), wrong.map_or(why.clone(), |f| format!("{why}; {}", f.text)))
        }
        None => {
            let why = wrong.map_or_else(|| "no answer".to_owned(), |f| f.text.to_string());
            made(Status::Bad, "no answer".into(), format!("{} {}: {why}", p.method, p.url))
        }
    }
}

fn dns(s: &Situation) -> Hop {
    let Some(t) = s.target.value() else {
        let why = s.target.why_unknown().map_or(String::new(), |r| r.phrase());
        return hop(HopKind::Dns, "dns", Status::Unknown, "unknown", why);
    };
    if t.host.is_empty() {
        return hop(
            HopKind::Dns,
            "dns",
            Status::Unknown,
            "not asked",
            "the target was not given by host name",
        );
    }
    if t.addresses.is_empty() {
        let why = format!("{} has no address that was seen", t.host);
        return hop(HopKind::Dns, t.host.clone(), Status::Unknown, "no address", why);
    }
    let n = t.addresses.len();
    let why =
        format!("{} resolves to {n} address{}, matched by {}", t.host, plural(n, "", "es"), t.matched_by);
    hop(HopKind::Dns, t.host.clone(), Status::Ok, format!("{n} addr"), why)
}

fn plural(n: usize, one: &'static str, many: &'static str) -> &'static str {
    if n == 1 { one } else { many }
}

fn alb(s: &Situation) -> Hop {
    let Some(state) = s.lb() else {
        return hop(HopKind::Alb, "load balancer", Status::Unknown, "unknown", "no load balancer found yet");
    };
    let Some(lb) = state.lb.value() else {
        let why = state.lb.why_unknown().map_or(String::new(), |r| r.phrase());
        return hop(HopKind::Alb, "load balancer", Status::Unknown, "unknown", why);
    };
    let kind = if lb.kind.as_str() == "network" { HopKind::Nlb } else { HopKind::Alb };
    let make = |status, word: String, why: String| hop(kind, lb.name.clone(), status, word, why);
    match lb.state.as_str() {
        "failed" => return make(Status::Bad, "failed".into(), format!("state failed: {}", lb.state_reason)),
        "active" => {}
        other => {
            let status = if other.is_empty() { Status::Unknown } else { Status::Warn };
            let word = if other.is_empty() { "unknown" } else { other };
            return make(status, word.into(), format!("state {word}: {}", lb.state_reason));
        }
    }
    if kind == HopKind::Nlb {
        return network(s, &lb.arn, &make);
    }
    let Some(m) = series::summary(s, RECENT) else {
        return make(Status::Unknown, "active".into(), "active; no metrics yet".into());
    };
    if let Some(why) = &m.unknown {
        return make(Status::Unknown, "active".into(), format!("active; metrics: {}", why.phrase()));
    }
    let total = |id: &str| m.get(id).and_then(|x| x.total);
    let codes = [("502", "elb_502"), ("503", "elb_503"), ("504", "elb_504")];
    let worst = codes
        .iter()
        .filter_map(|(code, id)| Some((*code, total(id)?)))
        .filter(|(_, n)| *n > 0.0)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let all = total("requests");
    match (worst, total("elb_5xx")) {
        (Some((code, n)), _) => {
            // 503 without a target is not in RequestCount: the share may pass 100.
            let share = all.filter(|a| *a > 0.0).map(|a| (n / a * 100.0).min(100.0));
            let word = share.map_or_else(|| format!("{code} {n:.0}"), |p| format!("{code} {p:.1}%"));
            make(Status::Bad, word, format!("{n:.0} responses {code} by the load balancer in {RECENT} min"))
        }
        (None, Some(n)) if n > 0.0 => make(
            Status::Bad,
            format!("5xx {n:.0}"),
            format!("{n:.0} responses 5xx by the load balancer in {RECENT} min"),
        ),
        (None, None) => make(Status::Unknown, "active".into(), "active; error counts not known".into()),
        _ => {
            let behind = total("target_5xx").filter(|n| *n > 0.0);
            match behind {
                Some(n) => make(
                    Status::Warn,
                    format!("target 5xx {n:.0}"),
                    format!("no 5xx of its own; targets answered {n:.0} times 5xx in {RECENT} min"),
                ),
                None => make(Status::Ok, "no 5xx".into(), format!("active, no 5xx in {RECENT} min")),
            }
        }
    }
}

/// A Network Load Balancer has no status codes: its resets tell.
fn network(s: &Situation, arn: &SafeText, make: &dyn Fn(Status, String, String) -> Hop) -> Hop {
    let Some(n) = fore::recent_resets(s, arn, RECENT) else {
        let why =
            s.lb().and_then(|l| l.metrics.why_unknown()).map_or("no data points".into(), |r| r.phrase());
        return make(Status::Unknown, "active".into(), format!("active; metrics: {why}"));
    };
    if n < 1.0 {
        return make(Status::Ok, "no resets".into(), format!("active, no resets in {RECENT} min"));
    }
    // Some resets are every day's.
    make(
        Status::Warn,
        format!("resets {n:.0}"),
        format!("{n:.0} flows reset by it or its targets in {RECENT} min"),
    )
}

fn listeners(s: &Situation, legs: &[Leg]) -> Vec<Hop> {
    let Some(state) = s.lb() else { return Vec::new() };
    let Some(list) = state.listeners.value() else {
        let why = state.listeners.why_unknown().map_or(String::new(), |r| r.phrase());
        return vec![hop(HopKind::Listener, "listener", Status::Unknown, "unknown", why)];
    };
    if list.is_empty() {
        return vec![hop(
            HopKind::Listener,
            "listener",
            Status::Bad,
            "none",
            "the load balancer has no listener",
        )];
    }
    list.iter().map(|l| listener(l, legs)).collect()
}

fn listener(l: &Listener, legs: &[Leg]) -> Hop {
    let name = format!(":{}", l.port);
    let make = |status, word: &str, why: String| hop(HopKind::Listener, name.clone(), status, word, why);
    let mine: Vec<&Leg> =
        legs.iter().filter(|x| x.kind == LegKind::Listener && x.port == Some(l.port)).collect();
    let find = |v: Verdict| mine.iter().find(|x| x.verdict == v);
    if let Some(x) = find(Verdict::Blocked) {
        let all = mine.iter().all(|m| m.verdict == Verdict::Blocked);
        let status = if all { Status::Bad } else { Status::Warn };
        return make(status, "blocked", x.why().to_string());
    }
    if let Some(x) = find(Verdict::Partly) {
        return make(Status::Warn, "some clients", x.why().to_string());
    }
    match (find(Verdict::Unknown), find(Verdict::Open)) {
        (None, Some(_)) => {
            make(Status::Ok, &l.protocol, format!("{} on {} is open to clients", l.protocol, l.port))
        }
        (Some(x), _) => make(Status::Unknown, &l.protocol, x.why().to_string()),
        _ => make(Status::Unknown, &l.protocol, "the way to it was not evaluated".into()),
    }
}

fn group(arn: &SafeText, state: &GroupState) -> Hop {
    let name = state.group.as_ref().map_or_else(|| arn.clone(), |g| g.name.clone());
    let make = |status, word: String, why: String| hop(HopKind::TargetGroup, name.clone(), status, word, why);
    let Some(targets) = state.health.value() else {
        let why = state.health.why_unknown().map_or(String::new(), |r| r.phrase());
        return make(Status::Unknown, "unknown".into(), format!("target health: {why}"));
    };
    let all = targets.len();
    if all == 0 {
        return make(
            Status::Bad,
            "no targets".into(),
            "no target is registered: requests for it get 503".into(),
        );
    }
    let count = |state: &str| targets.iter().filter(|t| t.state.as_str() == state).count();
    let (healthy, unused) = (count("healthy"), count("unused"));
    let word = format!("{healthy}/{all} healthy");
    if healthy == all {
        return make(Status::Ok, word, format!("all {all} targets are healthy"));
    }
    if unused == all {
        return make(Status::Bad, word, "every target is unused: requests for it get 503".into());
    }
    if count("unavailable") == all {
        return make(Status::Unknown, "not checked".into(), "health checks are off or have no result".into());
    }
    if healthy == 0 {
        let ill = targets.iter().filter(|t| t.state.starts_with("unhealthy")).count();
        if ill + unused + count("draining") == all && ill > 0 {
            // The load balancer does not answer 502 for this: it fails open.
            return make(
                Status::Bad,
                word,
                "no healthy target: the load balancer sends requests to all of them all the same (fail open), \
                 and passes on what happens there"
                    .into(),
            );
        }
        return make(Status::Bad, word, format!("none of {all} targets is healthy yet"));
    }
    make(Status::Warn, word, format!("{} of {all} targets not healthy: {}", all - healthy, reasons(targets)))
}

/// `Target.Timeout x3, initial x1`, most frequent first.
fn reasons(targets: &[TargetHealth]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for t in targets.iter().filter(|t| !t.is_healthy()) {
        let r = if t.reason.is_empty() { t.state.as_str() } else { t.reason.as_str() };
        match counts.iter_mut().find(|c| c.0 == r) {
            Some(c) => c.1 += 1,
            None => counts.push((r, 1)),
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let words: Vec<String> = counts.iter().take(3).map(|(r, n)| format!("{r} x{n}")).collect();
    words.join(", ")
}

fn worst_target(s: &Situation) -> Hop {
    let groups = s.active_groups();
    let unknown = groups.iter().any(|(_, g)| g.health.value().is_none()) || groups.is_empty();
    let all: Vec<&TargetHealth> = groups.iter().filter_map(|(_, g)| g.health.value()).flatten().collect();
    let worst = all.iter().max_by_key(|t| badness(t));
    let Some(t) = worst else {
        let why = if unknown { "target health is not known" } else { "no target is registered" };
        let status = if unknown { Status::Unknown } else { Status::Bad };
        return hop(HopKind::Target, "targets", status, if unknown { "unknown" } else { "none" }, why);
    };
    let name = t.port.map_or_else(|| t.id.to_string(), |p| format!("{}:{p}", t.id));
    let word = if t.reason.is_empty() { t.state.clone() } else { t.reason.clone() };
    let same = all.iter().filter(|x| x.state == t.state && x.reason == t.reason).count();
    match badness(t) {
        0 if unknown => hop(
            HopKind::Target,
            "targets",
            Status::Unknown,
            "unknown",
            "target health of a group is not known",
        ),
        0 => hop(
            HopKind::Target,
            "targets",
            Status::Ok,
            "healthy",
            format!("all {} targets are healthy", all.len()),
        ),
        b => {
            let status = match b {
                1 => Status::Unknown,
                2 | 3 => Status::Warn,
                _ => Status::Bad,
            };
            let detail =
                if t.description.is_empty() { String::new() } else { format!(": {}", t.description) };
            hop(
                HopKind::Target,
                name,
                status,
                word,
                format!("{same} of {} targets {}{detail}", all.len(), t.state),
            )
        }
    }
}

/// 0 healthy, 1 cannot tell, 2 warming up or leaving, 4 unhealthy.
fn badness(t: &TargetHealth) -> u8 {
    match t.state.as_str() {
        "healthy" => 0,
        "unavailable" => 1,
        "initial" => 3,
        "draining" | "unused" => 2,
        s if s.starts_with("unhealthy") => 4,
        _ => 1,
    }
}
