//! What all rules look at: the window of the failure, counts within it, the
//! state of every group, signs in the logs. Built once for a diagnosis.

use super::around::Gathered;
use super::path::Leg;
use super::rows::{Rows, Shape};
use super::series::{self, Onset};
use super::signs::{Sign, Signs};
use super::timeouts::Chain;
use crate::situation::around::Certificate;
use crate::situation::elb::{Action, TargetGroup, TargetHealth};
use crate::situation::metric::{MetricKey, Series};
use crate::situation::{GroupState, Reason, Situation};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;

/// What a diagnosis is given besides the situation: parts that are kept up to
/// date elsewhere because they cost more than reading them.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// From [`super::path::legs`].
    pub legs: &'a [Leg],
    /// From [`super::timeouts::chain`].
    pub chain: &'a Chain,
    /// From [`super::series::onset`].
    pub onset: Option<&'a Onset>,
    /// Signs read from the situation's log ring.
    pub signs: &'a Signs,
}

/// Without an onset the last hour is looked at.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const HANDSHAKES: &str = "ClientTLSNegotiationErrorCount";
/// Failures fewer than this are no incident.
const FEW: f64 = 3.0;
/// Nor is a smaller share of the requests than this.
const RARE: f64 = 0.002;

/// Counts of connections and requests the load balancer would not take.
pub(super) const TURNED_AWAY: [&str; 2] = ["RejectedConnectionCount", "TargetControlRequestRejectCount"];

/// Counts of a Network Load Balancer that stand for flows that failed.
pub(super) const NETWORK_FAULTS: [&str; 6] = [
    "TCP_Target_Reset_Count",
    "TCP_ELB_Reset_Count",
    "PortAllocationErrorCount",
    "RejectedFlowCount",
    "SecurityGroupBlockedFlowCount_Inbound_TCP",
    "SecurityGroupBlockedFlowCount_Outbound_TCP",
];

/// One target group in view.
pub(super) struct Group<'a> {
    pub arn: &'a SafeText,
    pub name: SafeText,
    pub state: &'a GroupState,
    pub tg: Option<&'a TargetGroup>,
    /// Requests can be sent to it: a rule forwards to it with a weight above
    /// zero, or the rules are not known.
    pub in_use: bool,
    /// That it is in use is known from the rules, or there is no other group.
    pub certain: bool,
    /// `Err` when target health is not known.
    pub targets: Result<&'a [TargetHealth], Reason>,
    /// When target health was true.
    pub at: Timestamp,
}

impl Group<'_> {
    /// How many targets are in a state whose name begins so.
    pub fn count(&self, state: &str) -> usize {
        self.targets.as_ref().map_or(0, |t| t.iter().filter(|t| t.state.starts_with(state)).count())
    }

    /// How many targets have this reason.
    pub fn reason(&self, reason: &str) -> usize {
        self.targets.as_ref().map_or(0, |t| t.iter().filter(|t| t.reason.as_str() == reason).count())
    }

    pub fn len(&self) -> usize {
        self.targets.as_ref().map_or(0, |t| t.len())
    }

    pub fn is_lambda(&self) -> bool {
        self.tg.is_some_and(|t| t.target_type.as_str() == "lambda")
    }
}

/// The facts, arranged for judging.
pub(super) struct Case<'a> {
    pub s: &'a Situation,
    pub inputs: Inputs<'a>,
    pub lb: SafeText,
    pub now: Timestamp,
    /// Start of the window.
    pub from: Timestamp,
    pub groups: Vec<Group<'a>>,
    pub signs: Vec<Sign>,
    /// 5xx of load balancer and targets in the window stand out.
    pub failing: bool,
    /// A group in use has targets that do not work.
    pub ill: bool,
    /// Why counts are not known, when they are not.
    pub no_metrics: Option<Reason>,
    /// Targets whose health checks time out, by group.
    silent: HashSet<(&'a SafeText, &'a str, Option<u16>)>,
    /// When the failure began: 5xx, or what the load balancer refused itself.
    pub onset: Option<Timestamp>,
    /// Requests the load balancer refused itself stepped up and still come.
    pub refusing: bool,
    /// Handshakes with clients fail in numbers.
    pub unshaken: bool,
    /// A certificate in use is not valid now.
    pub uncertified: bool,
    /// A caller still sends to an address that is not the load balancer's.
    pub misdialled: bool,
    /// Failing rows of the access log; or why they are not known.
    pub rows: Result<Rows<'a>, Reason>,
    pub gathered: Gathered<'a>,
}

impl<'a> Case<'a> {
    /// `None` while no load balancer is in view.
    pub fn new(s: &'a Situation, inputs: Inputs<'a>) -> Option<Case<'a>> {
        let (lb, now) = (s.lb_arn()?.clone(), s.at?);
        let hour_ago = now.checked_sub(HOUR).unwrap_or(now);
        let refused = series::step_of(s, &lb, &["HTTPCode_ELB_4XX_Count"]).filter(|o| o.until.is_none());
        let unshaken = series::step_of(s, &lb, &[HANDSHAKES]).filter(|o| o.until.is_none());
        let flows = NETWORK_FAULTS.iter().filter_map(|n| flow_step(s, &lb, n)).map(|o| o.at).min();
        let onset = inputs.onset.or(refused.as_ref()).or(unshaken.as_ref()).map(|o| o.at).or(flows);
        let from = onset.unwrap_or(hour_ago);
        let mut c = Case {
            s,
            inputs,
            lb,
            now,
            from,
            groups: groups(s, now),
            signs: Vec::new(),
            failing: false,
            ill: false,
            no_metrics: None,
            silent: HashSet::new(),
            onset,
            refusing: false,
            unshaken: false,
            uncertified: false,
            misdialled: false,
            rows: Err(Reason::NotAsked),
            gathered: Gathered::default(),
        };
        c.silent = c
            .groups
            .iter()
            .flat_map(|g| g.targets.as_ref().map_or(&[][..], |t| *t).iter().map(move |t| (g, t)))
            .filter(|(g, t)| {
                // A check that only connects fails in one word, whatever became of it.
                let connects = g.tg.is_some_and(|tg| tg.health_check.protocol.as_str() == "TCP");
                t.reason.as_str() == "Target.Timeout"
                    || connects && t.reason.as_str() == "Target.FailedHealthChecks"
            })
            .map(|(g, t)| (g.arn, t.id.as_str(), t.port))
            .collect();
        let idle = lb_idle(s).unwrap_or(60.0);
        c.rows = match s.lb().map(|l| &l.access_log) {
            Some(d) => match d.get() {
                Some(k) => Rows::new(&k.value, k.as_of, &k.source, from, idle).ok_or_else(|| {
                    Reason::NotFound { what: "access log rows of this window: not delivered yet".into() }
                }),
                None => Err(d.why_unknown().unwrap_or(Reason::NotAsked)),
            },
            None => Err(Reason::NotAsked),
        };
        c.uncertified = bound(s).iter().any(|c| certificate_fault(c, now).is_some());
        // A line may be written a little before the minute of the onset is full.
        let early = from.checked_sub(SignedDuration::from_mins(2)).unwrap_or(from);
        c.signs = inputs.signs.since(early);
        c.misdialled = super::causes::client::misdialled(s, &c.signs);
        c.no_metrics = c.metrics_reason();
        let errors = c.errors();
        let rare = c.requests().is_some_and(|all| all > 0.0 && errors.unwrap_or(0.0) / all < RARE);
        // Without counts the rows of the access log tell how much fails.
        let logged = c.no_metrics.as_ref().and(c.rows.as_ref().ok()).is_some_and(|r| {
            let n = r.unplanned();
            n >= FEW && n / (n + r.good).max(1.0) >= RARE
        });
        c.failing = flows.is_some()
            || logged
            || inputs.onset.is_some_and(|o| o.until.is_none())
            || errors.is_some_and(|n| n >= FEW) && !rare;
        c.ill = c.groups.iter().any(|g| {
            g.in_use
                && (g.certain || c.failing)
                && (g.count("unhealthy") > 0 || (g.targets.is_ok() && g.count("unused") == g.len()))
        });
        let all = c.requests().unwrap_or(0.0);
        c.refusing = refused.is_some_and(|o| o.level >= 1.0) && c.refused_4xx() > all * 0.02;
        let failed = c.count(HANDSHAKES).unwrap_or(0.0);
        c.unshaken = failed >= 10.0 && failed > all * 0.2;
        Some(c)
    }

    /// A Network Load Balancer, which speaks no HTTP.
    pub fn is_network(&self) -> bool {
        self.lb.contains(":loadbalancer/net/")
    }

    /// The step of a count of a Network Load Balancer that has not ended.
    pub fn flow_step(&self, name: &str) -> Option<Onset> {
        flow_step(self.s, &self.lb, name)
    }

    /// A count of a Network Load Balancer in the window.
    pub fn flows(&self, name: &str) -> Option<f64> {
        inside(flow_series(self.s, &self.lb, name)?, self.from)
    }

    /// 4xx by the load balancer itself in the window.
    pub fn refused_4xx(&self) -> f64 {
        self.count("HTTPCode_ELB_4XX_Count").unwrap_or(0.0)
    }

    fn metrics_reason(&self) -> Option<Reason> {
        let known = self.s.lb().and_then(|l| l.metrics.value());
        if known.is_none() {
            return Some(self.s.lb().and_then(|l| l.metrics.why_unknown()).unwrap_or(Reason::NotAsked));
        }
        let any = self.s.metrics.keys().any(|k| k.subject == self.lb);
        (!any).then(|| Reason::NotFound { what: "data points in this window".into() })
    }

    /// True when health checks time out on a target this leg leads to.
    pub fn times_out(&self, l: &Leg) -> bool {
        let Some(group) = l.group.as_ref().filter(|_| !self.silent.is_empty()) else { return false };
        l.targets.iter().any(|k| self.silent.contains(&(group, k.id.as_str(), k.port)))
    }

    /// True when something is wrong that a cause could explain.
    pub fn trouble(&self) -> bool {
        self.failing
            || self.ill
            || self.refusing
            || self.unshaken
            || self.uncertified
            || self.misdialled
            || TURNED_AWAY.iter().any(|n| self.many(n))
    }

    /// Answers of the application fail or never come, or functions do.
    pub fn suffers_inside(&self) -> bool {
        let answers = self.mostly("HTTPCode_Target_5XX_Count") || self.mostly("HTTPCode_ELB_504_Count");
        answers || self.failing && self.functions().next().is_some()
    }

    fn series(&self, subject: &SafeText, name: &str, stat: &str) -> Option<&'a Series> {
        self.s.series(&MetricKey::alb(subject.clone(), name, stat))
    }

    /// Requests within the window.
    pub fn requests(&self) -> Option<f64> {
        self.series(&self.lb, "RequestCount", "Sum").and_then(|s| inside(s, self.from))
    }

    /// A count of the load balancer within the window: absent is zero where
    /// requests were counted.
    pub fn count(&self, name: &str) -> Option<f64> {
        let own = self.series(&self.lb, name, "Sum").and_then(|s| inside(s, self.from));
        own.or_else(|| self.requests().map(|_| 0.0))
    }

    /// A count of one target group within the window.
    pub fn group_count(&self, group: &SafeText, name: &str) -> Option<f64> {
        let own = self.series(group, name, "Sum").and_then(|s| inside(s, self.from));
        own.or_else(|| {
            self.series(group, "RequestCount", "Sum").and_then(|s| inside(s, self.from)).map(|_| 0.0)
        })
    }

    /// True when a count stands out in the window.
    pub fn many(&self, name: &str) -> bool {
        self.count(name).is_some_and(|n| n >= FEW)
    }

    /// True when a count is known to be (nearly) nothing.
    pub fn none(&self, name: &str) -> bool {
        self.count(name).is_some_and(|n| n < 1.0)
    }

    /// Responses 5xx by the load balancer.
    pub fn elb_errors(&self) -> Option<f64> {
        let codes = ["500", "502", "503", "504"].map(|c| self.count(&format!("HTTPCode_ELB_{c}_Count")));
        let split = codes.iter().flatten().fold(None, |sum: Option<f64>, n| Some(sum.unwrap_or(0.0) + n));
        match (split, self.count("HTTPCode_ELB_5XX_Count")) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }

    fn errors(&self) -> Option<f64> {
        match (self.elb_errors(), self.count("HTTPCode_Target_5XX_Count")) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        }
    }

    /// True when this is the bulk of the 5xx responses.
    pub fn mostly(&self, name: &str) -> bool {
        match (self.count(name), self.errors()) {
            (Some(n), Some(all)) => n >= FEW && n * 2.0 > all,
            _ => false,
        }
    }

    /// 502 that come one by one over many minutes, a small share of requests.
    pub fn drizzle(&self) -> bool {
        let Some(s) = self.series(&self.lb, "HTTPCode_ELB_502_Count", "Sum") else { return false };
        let hit: Vec<f64> = s.points.iter().filter(|p| p.0 >= self.from && p.1 > 0.0).map(|p| p.1).collect();
        let (Some(sum), Some(all)) = (self.count("HTTPCode_ELB_502_Count"), self.requests()) else {
            return false;
        };
        let highest = hit.iter().copied().fold(0.0, f64::max);
        hit.len() >= 3 && all > 0.0 && sum / all <= 0.03 && highest <= (sum / 4.0).max(3.0)
    }

    /// The largest value of a statistic of the load balancer within the window.
    pub fn highest(&self, name: &str) -> Option<f64> {
        ["Maximum", "p99"].iter().find_map(|stat| {
            let s = self.series(&self.lb, name, stat)?;
            s.points.iter().filter(|p| p.0 >= self.from).map(|p| p.1).max_by(f64::total_cmp)
        })
    }

    /// When the metrics were read.
    pub fn metrics_at(&self) -> Timestamp {
        self.s.lb().and_then(|l| l.metrics.as_of()).unwrap_or(self.now)
    }

    /// Groups that can get requests and are not Lambda functions.
    pub fn servers(&self) -> impl Iterator<Item = &Group<'a>> {
        self.groups.iter().filter(|g| g.in_use && !g.is_lambda())
    }

    /// Groups of Lambda functions that can get requests.
    pub fn functions(&self) -> impl Iterator<Item = &Group<'a>> {
        self.groups.iter().filter(|g| g.in_use && g.is_lambda())
    }

    /// Why target health is not known for a group in use, if so.
    pub fn no_health(&self) -> Option<Reason> {
        if self.groups.is_empty() {
            let why = self.s.lb().and_then(|l| l.groups.why_unknown());
            return Some(why.unwrap_or_else(|| Reason::NotFound { what: "target groups".into() }));
        }
        self.groups.iter().filter(|g| g.in_use).find_map(|g| g.targets.as_ref().err().cloned())
    }

    /// Signs that point to a cause.
    pub fn signs_of(&self, cause: &str) -> impl Iterator<Item = &Sign> {
        self.signs.iter().filter(move |s| s.pattern.causes.iter().any(|c| c.as_str() == cause))
    }

    /// Why there are no logs to look at, if there are none.
    pub fn no_logs(&self) -> Option<Reason> {
        if self.inputs.signs.lines() > 0 {
            return None;
        }
        let tails = self.s.tails.values().find_map(|t| t.why_unknown());
        Some(tails.unwrap_or(Reason::NotAsked))
    }

    /// Why nothing is known from inside of the targets.
    pub fn no_hosts(&self) -> Reason {
        let gap = self.s.hosts.values().find_map(|d| d.gap().map(|g| g.reason.clone()));
        gap.unwrap_or(Reason::NotAsked)
    }

    /// True when the access log shows this shape as the bulk of the faults.
    pub fn rows_mostly(&self, s: Shape) -> bool {
        self.rows.as_ref().is_ok_and(|r| r.mostly(s))
    }

    /// Why rows are not known, when they are not.
    pub fn no_rows(&self) -> Option<Reason> {
        self.rows.as_ref().err().cloned()
    }

    /// `12 of 3400 requests since 01:40Z`.
    pub fn share(&self, n: f64) -> String {
        let since = self.from.strftime("%H:%MZ");
        match self.requests() {
            Some(all) => format!("{n:.0} with {all:.0} requests since {since}"),
            None => format!("{n:.0} since {since}"),
        }
    }
}

fn flow_series<'a>(s: &'a Situation, lb: &SafeText, name: &str) -> Option<&'a Series> {
    s.series(&MetricKey { namespace: "AWS/NetworkELB".into(), ..MetricKey::alb(lb.clone(), name, "Sum") })
}

/// The step of a count of a Network Load Balancer that has not ended. Minutes
/// without a point while flows are counted had none.
fn flow_step(s: &Situation, lb: &SafeText, name: &str) -> Option<Onset> {
    let own = flow_series(s, lb, name).filter(|x| !x.points.is_empty())?;
    let all = ["NewFlowCount", "ActiveFlowCount", "NewFlowCount_TCP", "ProcessedBytes"];
    let clock = all.iter().find_map(|n| flow_series(s, lb, n).filter(|x| !x.points.is_empty()));
    let mut minutes: Vec<Timestamp> =
        clock.into_iter().chain([own]).flat_map(|x| &x.points).map(|p| p.0).collect();
    minutes.sort_unstable();
    minutes.dedup();
    let known: Vec<f64> = minutes.iter().map(|t| own.at(*t).unwrap_or(0.0)).collect();
    series::step(&minutes, &known, series::whole_until(s.at), name).filter(|o| o.until.is_none())
}

/// Seconds a connection may be silent.
fn lb_idle(s: &Situation) -> Option<f64> {
    Situation::attribute_seconds(&s.lb()?.attributes, "idle_timeout.timeout_seconds")
}

/// Certificates bound to the listeners, as far as they were read.
pub(super) fn bound(s: &Situation) -> Vec<&Certificate> {
    let Some(lb) = s.lb() else { return Vec::new() };
    let mut out: Vec<&Certificate> = Vec::new();
    for l in lb.listeners.value().into_iter().flatten() {
        let more = lb.certificates.get(&l.arn).and_then(|d| d.value()).into_iter().flatten();
        for arn in l.certificates.iter().chain(more) {
            let found = s.certificates.get(arn).and_then(|d| d.value());
            out.extend(found.filter(|c| !out.iter().any(|o| o.arn == c.arn)));
        }
    }
    out
}

/// What makes a certificate unusable now, in words.
pub(super) fn certificate_fault(c: &Certificate, now: Timestamp) -> Option<String> {
    let day = |t: Timestamp| t.strftime("%Y-%m-%d %H:%MZ");
    if let Some(t) = c.not_after.filter(|t| *t <= now) {
        return Some(format!("{} expired {}", c.domain, day(t)));
    }
    if let Some(t) = c.not_before.filter(|t| *t > now) {
        return Some(format!("{} is not valid before {}", c.domain, day(t)));
    }
    let dead = ["EXPIRED", "REVOKED", "FAILED", "VALIDATION_TIMED_OUT", "PENDING_VALIDATION", "INACTIVE"];
    dead.contains(&c.status.as_str()).then(|| format!("{} is {}", c.domain, c.status))
}

/// Sum of points at or after `from`; `None` when there is not one.
fn inside(s: &Series, from: Timestamp) -> Option<f64> {
    let mut hit = s.points.iter().filter(|p| p.0 >= from && p.1.is_finite()).peekable();
    hit.peek()?;
    Some(hit.map(|p| p.1).sum())
}

fn groups(s: &Situation, now: Timestamp) -> Vec<Group<'_>> {
    let forwarded = forwarded(s);
    let all = s.active_groups();
    let certain = forwarded.is_some() || all.len() == 1;
    all.into_iter()
        .map(|(arn, state)| Group {
            arn,
            name: state.group.as_ref().map_or_else(|| arn.clone(), |g| g.name.clone()),
            state,
            tg: state.group.as_ref(),
            in_use: forwarded.as_ref().is_none_or(|f| f.contains(&arn)),
            certain,
            targets: match state.health.value() {
                Some(t) => Ok(t.as_slice()),
                None => Err(state.health.why_unknown().unwrap_or(Reason::NotAsked)),
            },
            at: state.health.as_of().unwrap_or(now),
        })
        .collect()
}

/// Groups some action forwards to with a weight above zero; `None` when
/// listeners or rules are not fully known.
fn forwarded(s: &Situation) -> Option<Vec<&SafeText>> {
    let lb = s.lb()?;
    let listeners = lb.listeners.value()?;
    let mut out = Vec::new();
    for l in listeners {
        out.extend(used(&l.default_actions));
        match lb.rules.get(&l.arn).map(|d| d.value()) {
            Some(Some(rules)) => out.extend(rules.iter().flat_map(|r| used(&r.actions))),
            // Rules nobody has read may forward anywhere.
            _ => return None,
        }
    }
    // Actions that name no group at all (an emulator, a redirect) tell nothing.
    if out.is_empty() {
        return None;
    }
    Some(s.active_groups().into_iter().map(|(arn, _)| arn).filter(|arn| out.contains(arn)).collect())
}

/// Groups these actions send requests to.
fn used(actions: &[Action]) -> impl Iterator<Item = &SafeText> {
    actions.iter().flat_map(|a| &a.groups).filter(|g| g.weight > 0).map(|g| &g.arn)
}
