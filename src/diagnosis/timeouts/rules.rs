//! The order rules between neighbouring timers, each an inequality that a
//! machine can check.

use super::entries::{
    CHECK_INTERVAL, CHECK_TIMEOUT, Chain, DEREGISTRATION, GRACE, IDLE, LONGEST, NLB_IDLE, STOP_TIMEOUT,
    learned,
};
use super::probed;
use super::{Entry, Hop, Measured, Source, Value, number, settings};
use crate::situation::{Reason, Situation};
use crate::text::SafeText;
use serde::Serialize;

/// Which rule. The numbers are this program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum RuleId {
    /// The server keeps idle connections longer than the hop that reuses them.
    R1,
    /// Waits shrink from the client inwards.
    R2,
    /// Neighbouring waits differ clearly.
    R3,
    /// Node.js: headersTimeout above keepAliveTimeout.
    R4,
    /// Longest request, then deregistration delay, then stop grace.
    R5,
    /// Health check timing.
    R6,
    /// Idle connections end before a layer 4 device forgets them.
    R7,
    /// Lambda inside its callers' limits.
    R8,
    /// Azure Application Gateway v2 tries twice.
    R9,
    /// CloudFront completion above read timeout.
    R10,
    /// Healthy proves nothing for R1.
    R11,
}

/// How a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Violated,
    /// A tie, too small a margin, or violated by a value that is only assumed.
    AtRisk,
    Unknown,
    Holds,
    NotApplicable,
}

impl Standing {
    /// A word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Violated => "violated",
            Standing::AtRisk => "at risk",
            Standing::Unknown => "unknown",
            Standing::Holds => "holds",
            Standing::NotApplicable => "n/a",
        }
    }
}

/// One side of an inequality.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Term {
    pub label: SafeText,
    pub seconds: Option<f64>,
    /// Where the number comes from, in words; empty when there is none.
    pub source: SafeText,
}

/// One inequality and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    pub id: RuleId,
    /// ARN of the target group it is about; empty for the load balancer as a whole.
    pub group: SafeText,
    /// Name of that group or of the load balancer.
    pub name: SafeText,
    pub standing: Standing,
    pub left: Term,
    /// `>`, `<`, `<=`, `!=`; empty when not an inequality.
    pub relation: &'static str,
    pub right: Term,
    /// The inequality with both numbers: `web server keep-alive 5 s > shop idle timeout 60 s`.
    pub text: SafeText,
    /// Why it must hold, or why it stands as it does.
    pub why: SafeText,
    /// What is seen when it does not hold.
    pub symptom: SafeText,
    /// What is missing, for `Unknown`.
    pub missing: Option<Reason>,
}

/// Neighbouring waits closer than this race each other, seconds.
const TIE: f64 = 3.0;
/// A keep-alive margin below this is not one, seconds.
const MARGIN: f64 = 1.0;

/// Checks every rule; violated ones first, then by rule and group order.
pub(super) fn check(s: &Situation, c: &Chain, measured: &[Measured]) -> Vec<Rule> {
    let Some(lb) = s.load_balancer() else { return Vec::new() };
    let mut out = Vec::new();
    let whole = |id, why: &str| not_applicable(id, "", &lb.name, why);
    let application = c.get("", IDLE).is_some();
    wait_at_the_front(c, &lb.name, application, &mut out);
    for (arn, state) in s.active_groups() {
        let Some(tg) = &state.group else { continue };
        let g = Group { arn, name: &tg.name };
        if tg.target_type.as_str() == "lambda" {
            out.push(not_applicable(RuleId::R1, arn, &tg.name, "Lambda targets keep no connections"));
            out.push(function(c, &g));
            continue;
        }
        if application {
            let r1 = if probed::closes_each(s, &tg.name) {
                let why = "the server ends every connection after its answer (measured): nothing is reused";
                not_applicable(RuleId::R1, arn, &tg.name, why)
            } else {
                keep_alive(c, &g)
            };
            let healthy = state.health.value().is_some_and(|h| h.iter().any(|t| t.is_healthy()));
            out.push(health_proves_nothing(&r1, &g, healthy));
            out.push(r1);
            wait_inside(c, &g, &mut out);
            out.push(node(c, measured, &g));
        }
        drain(c, &g, &mut out);
        health(c, measured, &g, &mut out);
        out.push(layer4(c, &g, application));
    }
    if !out.iter().any(|r| r.id == RuleId::R8) {
        out.push(whole(RuleId::R8, "no Lambda target"));
    }
    out.push(whole(RuleId::R9, "no Azure Application Gateway on this path"));
    out.push(whole(RuleId::R10, "no CloudFront distribution in view"));
    out.sort_by(|a, b| a.standing.cmp(&b.standing).then(a.id.cmp(&b.id)));
    out
}

struct Group<'a> {
    arn: &'a SafeText,
    name: &'a SafeText,
}

fn term(e: Option<&Entry>, label: &str) -> Term {
    let label = match e {
        Some(e) if e.component.as_str() != label => format!("{} {}", e.component, e.label),
        Some(e) => e.label.to_string(),
        None => label.to_string(),
    };
    let (seconds, source) = match e.map(|e| &e.value) {
        Some(Value::Known { seconds, source, .. }) => (Some(*seconds), source.words()),
        _ => (None, String::new()),
    };
    Term { label: label.into(), seconds, source: source.into() }
}

fn missing(e: Option<&Entry>) -> Option<Reason> {
    match e.map(|e| &e.value) {
        Some(Value::Unknown(r)) => Some(r.clone()),
        Some(Value::Known { .. }) => None,
        None => Some(Reason::NotAsked),
    }
}

fn certain(e: Option<&Entry>) -> bool {
    match e.map(|e| &e.value) {
        Some(Value::Known { source, .. }) => source.is_certain(),
        _ => false,
    }
}

fn text(l: &Term, relation: &str, r: &Term) -> SafeText {
    let side = |t: &Term| match t.seconds {
        Some(s) => format!("{} {} s", t.label, number(s)),
        None => format!("{} ?", t.label),
    };
    format!("{} {relation} {}", side(l), side(r)).into()
}

/// What a comparison needs besides its two entries.
struct Ask<'a> {
    id: RuleId,
    g: &'a Group<'a>,
    relation: &'static str,
    why: &'a str,
    symptom: &'a str,
}

/// Compares two entries: `judge` sees both numbers when both are known.
fn compare(
    ask: &Ask<'_>,
    left: Option<&Entry>,
    right: Option<&Entry>,
    judge: impl Fn(f64, f64) -> Standing,
) -> Rule {
    let (l, r) = (term(left, "left"), term(right, "right"));
    let lacking = missing(left).or_else(|| missing(right));
    let mut why = ask.why.to_string();
    let standing = match (l.seconds, r.seconds) {
        (Some(a), Some(b)) => {
            let found = judge(a, b);
            let sure = certain(left) && certain(right);
            match found {
                Standing::Violated if !sure => {
                    why.push_str(" One side is only assumed: measure it.");
                    Standing::AtRisk
                }
                Standing::Holds if !sure => {
                    why.push_str(" One side is only assumed: measure it.");
                    Standing::Unknown
                }
                other => other,
            }
        }
        _ => Standing::Unknown,
    };
    Rule {
        id: ask.id,
        group: ask.g.arn.clone(),
        name: ask.g.name.clone(),
        standing,
        text: text(&l, ask.relation, &r),
        left: l,
        relation: ask.relation,
        right: r,
        why: why.into(),
        symptom: ask.symptom.into(),
        missing: if standing == Standing::Unknown { lacking } else { None },
    }
}

fn not_applicable(id: RuleId, group: &str, name: &SafeText, why: &str) -> Rule {
    Rule {
        id,
        group: group.into(),
        name: name.clone(),
        standing: Standing::NotApplicable,
        left: Term::default(),
        relation: "",
        right: Term::default(),
        text: SafeText::default(),
        why: why.into(),
        symptom: SafeText::default(),
        missing: None,
    }
}

fn keep_alive(c: &Chain, g: &Group<'_>) -> Rule {
    let ask = Ask {
        id: RuleId::R1,
        g,
        relation: ">",
        why: "The side that reuses connections must be the side that closes them: \
              otherwise its next request meets a connection that is being closed.",
        symptom: "sporadic 502 at a low rate, more of them when traffic is low; a retry succeeds; \
                  nothing in the server's log",
    };
    compare(&ask, c.get(g.arn, settings::SERVER_KEEPALIVE), c.get("", IDLE), |server, idle| {
        if server < idle {
            Standing::Violated
        } else if server - idle < MARGIN {
            Standing::AtRisk
        } else {
            Standing::Holds
        }
    })
}

fn health_proves_nothing(r1: &Rule, g: &Group<'_>, healthy: bool) -> Rule {
    let measured = matches!(r1.standing, Standing::Violated | Standing::Holds) || r1.missing.is_none();
    if measured || !healthy {
        let why = "A passing health check says nothing about R1; R1 is judged by its own numbers.";
        return not_applicable(RuleId::R11, g.arn, g.name, why);
    }
    Rule {
        standing: Standing::Unknown,
        why: "Targets are healthy, and R1 is still open: health checks close their connection every time, \
              so they never meet a stale one."
            .into(),
        symptom: "healthy, but 502".into(),
        missing: r1.missing.clone(),
        ..not_applicable(RuleId::R11, g.arn, g.name, "")
    }
}

fn wait_at_the_front(c: &Chain, lb: &SafeText, application: bool, out: &mut Vec<Rule>) {
    if !application {
        return;
    }
    let none = SafeText::default();
    let g = Group { arn: &none, name: lb };
    let ask = Ask {
        id: RuleId::R2,
        g: &g,
        relation: ">",
        why: "The innermost hop that fails should answer, so that the error says where it failed.",
        symptom: "the client gives up first: 460 in the load balancer's log, no answer to look at",
    };
    let (client, idle) = (c.get("", settings::CLIENT_TIMEOUT), c.get("", IDLE));
    out.push(compare(&ask, client, idle, ladder));
}

/// Outer wait against inner wait.
fn ladder(outer: f64, inner: f64) -> Standing {
    if outer < inner { Standing::Violated } else { Standing::Holds }
}

fn wait_inside(c: &Chain, g: &Group<'_>, out: &mut Vec<Rule>) {
    let idle = c.get("", IDLE);
    let server = c.get(g.arn, settings::SERVER_REQUEST);
    let dependency = c.get("", settings::DEPENDENCY);
    let ask = Ask {
        id: RuleId::R2,
        g,
        relation: ">",
        why: "The innermost hop that fails should answer, so that the error says where it failed.",
        symptom: "504 from the load balancer while the server still works on the request",
    };
    out.push(compare(&ask, idle, server, ladder));
    let inner = Ask { symptom: "the server gives up before its dependency says why", ..ask };
    out.push(compare(&inner, server, dependency, ladder));
    let tie = Ask {
        id: RuleId::R3,
        g,
        relation: "!=",
        why: "Two neighbouring timers of the same length race each other.",
        symptom: "502 and 504 in turns for the same slow route",
    };
    for (a, b) in [(idle, server), (server, dependency)] {
        out.push(compare(
            &tie,
            a,
            b,
            |x, y| {
                if (x - y).abs() < TIE { Standing::AtRisk } else { Standing::Holds }
            },
        ));
    }
}

fn node(c: &Chain, measured: &[Measured], g: &Group<'_>) -> Rule {
    let keep = c.get(g.arn, settings::SERVER_KEEPALIVE);
    let headers = learned(measured, Hop::Target, g.name, settings::SERVER_HEADERS);
    let assumed_node = keep.is_some_and(|e| match &e.value {
        Value::Known { source: Source::Assumed(a), .. } => a.starts_with("Node.js"),
        _ => false,
    });
    if headers.is_none() && !assumed_node {
        return not_applicable(RuleId::R4, g.arn, g.name, "for Node.js servers only; none is known here");
    }
    let how = "node -e 'const s=require(\"http\").createServer();console.log(s.headersTimeout)' and the app's own setting";
    let entry = Entry {
        hop: Hop::Target,
        component: g.name.clone(),
        group: g.arn.clone(),
        setting: settings::SERVER_HEADERS.into(),
        label: "headersTimeout".into(),
        kind: super::Kind::R,
        value: headers.unwrap_or(Value::Unknown(Reason::NeedsMeasuring { how: how.into() })),
    };
    let ask = Ask {
        id: RuleId::R4,
        g,
        relation: ">",
        why: "Old Node.js measures headersTimeout across the idle gap and resets the reused connection.",
        symptom: "resets on reused connections although keepAliveTimeout is long",
    };
    compare(&ask, Some(&entry), keep, |h, k| if h <= k { Standing::Violated } else { Standing::Holds })
}

fn drain(c: &Chain, g: &Group<'_>, out: &mut Vec<Rule>) {
    let delay = c.get(g.arn, DEREGISTRATION);
    let ask = Ask {
        id: RuleId::R5,
        g,
        relation: "<=",
        why: "Requests in flight need a live process: deregister, let them end, and only then stop it.",
        symptom: "a burst of 502 at every deployment or scale-in",
    };
    let at_most = |a: f64, b: f64| if a > b { Standing::Violated } else { Standing::Holds };
    out.push(compare(&ask, c.get(g.arn, LONGEST), delay, at_most));
    let stop = c.get(g.arn, STOP_TIMEOUT).or_else(|| c.get(g.arn, settings::STOP_GRACE));
    out.push(compare(&ask, delay, stop, at_most));
}

fn health(c: &Chain, measured: &[Measured], g: &Group<'_>, out: &mut Vec<Rule>) {
    let (timeout, interval) = (c.get(g.arn, CHECK_TIMEOUT), c.get(g.arn, CHECK_INTERVAL));
    if timeout.is_none() {
        out.push(not_applicable(RuleId::R6, g.arn, g.name, "health checks are off"));
        return;
    }
    let ask = Ask {
        id: RuleId::R6,
        g,
        relation: "<",
        why: "A check must end before the next one starts.",
        symptom: "targets flap between healthy and unhealthy",
    };
    let below = |a: f64, b: f64| if a < b { Standing::Holds } else { Standing::Violated };
    out.push(compare(&ask, timeout, interval, below));
    if let Some(grace) = c.get(g.arn, GRACE) {
        let how = "time from task start to the first healthy check; note it";
        let entry = Entry {
            hop: Hop::Target,
            component: g.name.clone(),
            group: g.arn.clone(),
            setting: settings::START_UP.into(),
            label: "start-up".into(),
            kind: super::Kind::H,
            value: learned(measured, Hop::Target, g.name, settings::START_UP)
                .unwrap_or(Value::Unknown(Reason::NeedsMeasuring { how: how.into() })),
        };
        let ask = Ask {
            relation: ">",
            why: "The platform must not judge a task before it had time to start.",
            symptom: "tasks are started, judged unhealthy and replaced, for ever",
            ..ask
        };
        let above = |a: f64, b: f64| if a > b { Standing::Holds } else { Standing::Violated };
        out.push(compare(&ask, Some(grace), Some(&entry), above));
    }
}

/// What forgets idle TCP flows on a path inside AWS: a Network Load Balancer,
/// a NAT gateway, an instance of the newest types.
const FORGETS_AFTER: f64 = 350.0;

fn layer4(c: &Chain, g: &Group<'_>, application: bool) -> Rule {
    let ask = Ask {
        id: RuleId::R7,
        g,
        relation: "<",
        why: "A device that tracks connections drops idle ones silently; whoever reuses them must end them first.",
        symptom: "the first request after a pause hangs or is reset",
    };
    let limit = |label: &str, value: Value| Entry {
        hop: Hop::Target,
        component: g.name.clone(),
        group: g.arn.clone(),
        setting: "TcpEstablishedTimeout".into(),
        label: label.into(),
        kind: super::Kind::K,
        value,
    };
    if application {
        // The shortest documented tracking time: what stays below it holds everywhere.
        let floor = limit(
            "shortest connection tracking",
            Value::Known {
                seconds: FORGETS_AFTER,
                source: Source::Fixed("AWS docs: EC2 connection tracking".into()),
                at: None,
            },
        );
        return compare(&ask, c.get("", IDLE), Some(&floor), |idle, floor| {
            if idle < floor { Standing::Holds } else { Standing::AtRisk }
        });
    }
    let sysctl = limit(
        "TCP keepalive time",
        Value::Unknown(Reason::NeedsMeasuring {
            how: "on both ends: sysctl net.ipv4.tcp_keepalive_time (7200 unless set), and SO_KEEPALIVE in the app".into(),
        }),
    );
    compare(&ask, Some(&sysctl), c.get("", NLB_IDLE), |a, b| {
        if a < b { Standing::Holds } else { Standing::Violated }
    })
}

fn function(c: &Chain, g: &Group<'_>) -> Rule {
    let ask = Ask {
        id: RuleId::R8,
        g,
        relation: "<",
        why: "The load balancer waits for the function itself; the client does not wait for ever.",
        symptom: "the client gives up while the function runs on and is billed",
    };
    compare(&ask, c.get(g.arn, settings::FUNCTION), c.get("", settings::CLIENT_TIMEOUT), |f, client| {
        if f < client { Standing::Holds } else { Standing::Violated }
    })
}
