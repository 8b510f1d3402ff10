//! One rule for each cause of the catalogue, by hop. A rule only collects what
//! speaks for and against its cause and what is missing; how a cause stands
//! follows from that in one place, [`Ballot::close`].

mod alb;
mod answers;
mod api;
mod ballot;
mod caches;
mod classic;
pub(super) mod client;
mod deploy;
pub(super) mod dns;
mod edge;
mod lambda;
mod network;
mod nlb;
mod origins;
mod own;
mod proxies;
mod target;
mod traces;
mod witness;

use super::case::{Case, Inputs};
use super::fore::Front;
use super::timeouts::Measured;
use super::verdict::{Diagnosis, Hop, Next, Standing, Verdict};
use crate::situation::Situation;
use ballot::{Ballot, Closed};
use traces::Traces;
use witness::Witness;

/// How near the root a cause is. A cause that explains others goes before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something somebody can mend.
    Root,
    /// How the failure comes about: it has a root of its own.
    Mechanism,
    /// When it came: a change that coincides.
    Change,
    /// What follows from it.
    Effect,
}

/// One cause and how it is judged.
pub struct Rule {
    /// Id of the catalogue.
    pub id: &'static str,
    pub hop: Hop,
    pub level: Level,
    /// Causes that what can be seen from outside does not tell from this one.
    pub twins: &'static [&'static str],
    judge: Judge,
}

/// Who judges a cause: whatever stands in view.
#[derive(Clone, Copy)]
enum Judge {
    /// The load balancer.
    Balancer(fn(&Case<'_>, &mut Ballot)),
    /// What stands in front of it, or alone.
    Front(fn(&Front<'_>, &mut Ballot)),
    /// The load balancer where it is behind, else what stands alone.
    Either(fn(&Case<'_>, &mut Ballot), fn(&Front<'_>, &mut Ballot)),
}

const fn front(
    id: &'static str,
    hop: Hop,
    twins: &'static [&'static str],
    judge: fn(&Front<'_>, &mut Ballot),
) -> Rule {
    Rule { id, hop, level: Level::Root, twins, judge: Judge::Front(judge) }
}

const fn either(
    id: &'static str,
    hop: Hop,
    twins: &'static [&'static str],
    balancer: fn(&Case<'_>, &mut Ballot),
    alone: fn(&Front<'_>, &mut Ballot),
) -> Rule {
    Rule { id, hop, level: Level::Root, twins, judge: Judge::Either(balancer, alone) }
}

const fn rule(
    id: &'static str,
    hop: Hop,
    level: Level,
    twins: &'static [&'static str],
    judge: fn(&Case<'_>, &mut Ballot),
) -> Rule {
    Rule { id, hop, level, twins, judge: Judge::Balancer(judge) }
}

const ABRUPT: &[&str] = &[
    "alb-target-keepalive-shorter",
    "alb-target-response-malformed",
    "alb-target-header-too-large",
    "alb-early-close-on-upload",
    "app-worker-timeout-kill",
];
const REFUSED: &[&str] =
    &["alb-target-connection-refused", "alb-target-host-unreachable", "app-process-down-or-crashing"];
const SILENT: &[&str] = &["host-firewall-blocks", "worker-or-connection-pool-exhausted"];
const SLOW: &[&str] = &["alb-target-response-timeout", "alb-content-length-mismatch"];
const FUNCTION: &[&str] = &[
    "lambda-timeout",
    "lambda-throttled",
    "alb-lambda-invalid-response",
    "alb-lambda-invoke-error",
    "lambda-payload-too-large",
];
const CONNECT: &[&str] = &[
    "cf-origin-connect-refused",
    "cf-origin-tls-name-mismatch",
    "cf-origin-cert-invalid",
    "cf-origin-tls-protocol-mismatch",
    "cf-origin-port-or-policy-mismatch",
];
const API: &[&str] = &["apigw-lambda-malformed-response", "apigw-lambda-function-error", "lambda-timeout"];
const INSIDE: &[&str] =
    &["app-exception-or-plugin-bug", "local-proxy-upstream-failure", "dependency-db-unavailable"];

const PROXY: &[&str] = &["local-proxy-upstream-failure", "app-worker-timeout-kill"];

/// Every rule, in the order of the catalogue.
pub const RULES: &[Rule] = &[
    front("dns-record-wrong-target", Hop::Dns, &[], dns::record),
    rule("dns-delegation-or-resolution-failure", Hop::Dns, Level::Root, &[], client::delegation),
    rule("dns-stale-cache-at-caller", Hop::Dns, Level::Root, &[], client::stale),
    rule("client-aborts-before-response", Hop::Client, Level::Mechanism, &[], client::aborts),
    rule("client-request-rejected", Hop::Client, Level::Root, &[], client::rejected),
    front("cf-origin-dns-error", Hop::CloudFront, &[], edge::dns),
    front("cf-origin-connect-refused", Hop::CloudFront, CONNECT, origins::refused),
    front("cf-origin-unreachable-timeout", Hop::CloudFront, &[], origins::unreachable),
    front("cf-origin-tls-name-mismatch", Hop::CloudFront, CONNECT, origins::name),
    front("cf-origin-cert-invalid", Hop::CloudFront, CONNECT, origins::certificate),
    front("cf-origin-tls-protocol-mismatch", Hop::CloudFront, CONNECT, origins::protocol),
    front("cf-origin-port-or-policy-mismatch", Hop::CloudFront, CONNECT, origins::port),
    front("cf-origin-response-timeout", Hop::CloudFront, &[], edge::slow),
    front("cf-origin-keepalive-race", Hop::CloudFront, &[], edge::keep_alive),
    front("cf-origin-bad-response", Hop::CloudFront, &[], edge::bad_response),
    front("cf-edge-function-error", Hop::CloudFront, &[], edge::function),
    front("cf-error-cached", Hop::CloudFront, &[], edge::cached),
    front("cf-capacity-or-limit", Hop::CloudFront, &[], edge::capacity),
    front("apigw-lambda-malformed-response", Hop::ApiGateway, API, api::malformed),
    front("apigw-lambda-function-error", Hop::ApiGateway, API, api::function_error),
    front("apigw-lambda-invoke-rejected", Hop::ApiGateway, &[], api::rejected),
    front("apigw-integration-timeout", Hop::ApiGateway, &[], api::timeout),
    front("apigw-integration-mapping-error", Hop::ApiGateway, &[], api::mapping),
    front("apigw-private-integration-broken", Hop::ApiGateway, &[], api::private),
    rule("alb-no-usable-targets", Hop::Alb, Level::Root, &[], alb::no_targets),
    rule("alb-all-unhealthy-fail-open", Hop::Alb, Level::Effect, &[], alb::fail_open),
    rule("alb-partial-unhealthy-targets", Hop::Alb, Level::Effect, &[], alb::partial),
    rule("alb-healthcheck-misconfigured", Hop::Alb, Level::Root, &[], alb::health_check),
    rule("alb-target-keepalive-shorter", Hop::Alb, Level::Root, ABRUPT, answers::keep_alive),
    rule("alb-target-connection-refused", Hop::Alb, Level::Mechanism, REFUSED, alb::refused),
    rule("alb-target-host-unreachable", Hop::Alb, Level::Mechanism, REFUSED, alb::unreachable),
    rule("alb-target-connect-timeout", Hop::Alb, Level::Mechanism, &[], alb::connect_timeout),
    rule("alb-target-response-timeout", Hop::Alb, Level::Mechanism, SLOW, alb::response_timeout),
    rule("alb-target-response-malformed", Hop::Alb, Level::Root, ABRUPT, answers::malformed),
    rule("alb-target-header-too-large", Hop::Alb, Level::Root, ABRUPT, answers::large_header),
    rule("alb-content-length-mismatch", Hop::Alb, Level::Root, SLOW, answers::short_body),
    rule("alb-deregistration-delay-elapsed", Hop::Alb, Level::Root, &[], answers::deregistration),
    rule("alb-target-tls-failure", Hop::Alb, Level::Root, &[], alb::tls),
    rule("alb-protocol-or-port-mismatch", Hop::Alb, Level::Root, REFUSED, alb::mismatch),
    rule("alb-rule-misrouted", Hop::Alb, Level::Root, &[], alb::misrouted),
    rule("alb-early-close-on-upload", Hop::Alb, Level::Root, ABRUPT, answers::upload),
    rule("alb-capacity-limits", Hop::Alb, Level::Root, &[], alb::capacity),
    rule("alb-waf-or-auth-failure", Hop::Alb, Level::Root, &[], alb::auth),
    rule("nlb-target-reset-or-unhealthy", Hop::Nlb, Level::Root, &[], nlb::reset),
    rule("nlb-idle-timeout-rst", Hop::Nlb, Level::Root, &[], nlb::idle),
    rule("nlb-client-ip-or-port-exhaustion", Hop::Nlb, Level::Root, &[], nlb::exhausted),
    front("clb-malformed-response", Hop::Clb, &[], classic::malformed),
    front("clb-no-capacity-503", Hop::Clb, &[], classic::no_capacity),
    front("clb-backend-close-or-slow-504", Hop::Clb, &[], classic::closed),
    rule("sg-target-ingress-missing", Hop::Network, Level::Root, &[], network::target_ingress),
    rule("sg-lb-egress-missing", Hop::Network, Level::Root, &[], network::lb_egress),
    rule("nacl-forward-denied", Hop::Network, Level::Root, &[], network::acl_forward),
    rule("nacl-return-ephemeral-denied", Hop::Network, Level::Root, &[], network::acl_return),
    rule("route-missing-or-blackhole", Hop::Network, Level::Root, &[], network::route),
    rule("host-firewall-blocks", Hop::Network, Level::Root, SILENT, network::host_firewall),
    rule("conntrack-or-mtu-drop", Hop::Network, Level::Root, &[], network::conntrack),
    either("lb-listener-cert-problem", Hop::Tls, &[], client::certificate, edge::viewers),
    rule("client-tls-handshake-failure", Hop::Tls, Level::Root, &[], client::handshake),
    rule("app-process-down-or-crashing", Hop::Target, Level::Root, REFUSED, target::process_down),
    rule("memory-exhausted-oom", Hop::Target, Level::Root, &[], target::memory),
    rule("cpu-saturated", Hop::Target, Level::Root, &[], target::cpu),
    rule("disk-full", Hop::Target, Level::Root, &[], target::disk),
    rule("worker-or-connection-pool-exhausted", Hop::Target, Level::Root, SILENT, target::pool),
    rule("app-exception-or-plugin-bug", Hop::Target, Level::Root, INSIDE, target::exception),
    rule("app-worker-timeout-kill", Hop::Target, Level::Root, ABRUPT, target::worker_kill),
    rule("host-impaired", Hop::Target, Level::Root, &[], target::host_impaired),
    rule("local-proxy-upstream-failure", Hop::Target, Level::Root, INSIDE, target::local_proxy),
    rule("ecs-task-churn", Hop::Target, Level::Root, &[], target::task_churn),
    Rule {
        level: Level::Change,
        ..either("deploy-regression", Hop::Deploy, &[], deploy::regression, deploy::of_functions)
    },
    rule("infra-config-change", Hop::Deploy, Level::Change, &[], deploy::config_change),
    rule("ungraceful-shutdown-or-scale-in", Hop::Deploy, Level::Root, &[], deploy::ungraceful),
    either("dependency-db-unavailable", Hop::Dependency, INSIDE, deploy::database, traces::alone),
    either("dependency-external-api-slow", Hop::Dependency, &[], deploy::external, traces::alone),
    either("lambda-timeout", Hop::Lambda, FUNCTION, lambda::timeout, api::function_timeout),
    either("lambda-throttled", Hop::Lambda, FUNCTION, lambda::throttled, api::throttled),
    rule("alb-lambda-invalid-response", Hop::Lambda, Level::Root, FUNCTION, lambda::invalid_response),
    rule("alb-lambda-invoke-error", Hop::Lambda, Level::Root, FUNCTION, lambda::invoke_error),
    either("lambda-payload-too-large", Hop::Lambda, FUNCTION, lambda::payload, api::payload),
    rule("apache-two-tier-keepalive-race", Hop::Target, Level::Root, &[], proxies::apache_race),
    rule("apache-proxy-timeout-or-error-state", Hop::Target, Level::Root, &[], proxies::apache_error_state),
    rule("nginx-upstream-keepalive-default-change", Hop::Target, Level::Root, PROXY, proxies::nginx_pool),
    rule("nginx-upstream-header-or-no-live", Hop::Target, Level::Root, &[], proxies::nginx_header),
];

/// The rule of a cause.
pub fn rule_of(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.id == id)
}

/// Judges a situation with everything that can be computed from it.
pub fn examine(s: &Situation, measured: &[Measured]) -> Diagnosis {
    super::Judgement::of(s, measured).diagnosis
}

/// Judges a situation. Empty while nothing is in view: no load balancer, nothing
/// that stands in front of one, and no server that a cloud knows nothing of.
///
/// The order of the verdicts: what is confirmed or likely, then what is
/// possible, unchecked, ruled out. Within the first two, a cause that explains
/// others before them (see [`Level`]), then confirmed before likely, then by
/// how many decisive and strong pieces of evidence speak for it, then in the
/// order of the catalogue. The same situation always gives the same order.
pub fn diagnose(s: &Situation, inputs: &Inputs<'_>) -> Diagnosis {
    let case = Case::new(s, *inputs);
    if case.is_none()
        && let Some(own) = own::Own::new(s, inputs)
    {
        return own.diagnose();
    }
    let Some(front) = Front::new(s, inputs, case.as_ref()) else { return Diagnosis::default() };
    let (before, behind) = (front.trouble(), case.as_ref().is_some_and(Case::trouble));
    // What is over behind is history, not why requests fail in front.
    let behind = behind && !front.behind_is_over();
    let from = front.from().or(case.as_ref().map(|c| c.from));
    let witness = Witness::new(s, from);
    let traces = Traces::new(s, case.as_ref(), &front);
    // A request from here that fails is trouble, however calm the metrics: they
    // come minutes later, and what never arrives is in none of them.
    let met = witness.troubled();
    let mut out = Diagnosis { trouble: before || behind || met, from, ..Diagnosis::default() };
    let seen = case.as_ref().is_none_or(|c| c.no_metrics.is_none() && c.no_health().is_none());
    let calm = !out.trouble && seen && front.seen();
    let mut ranked: Vec<(Verdict, usize)> = Vec::new();
    for (i, r) in RULES.iter().enumerate() {
        let mut ballot = Ballot::default();
        let trouble = match (r.judge, &case) {
            (Judge::Balancer(judge) | Judge::Either(judge, _), Some(case)) if applies(r, case) => {
                judge(case, &mut ballot);
                if let Judge::Either(_, alone) = r.judge {
                    alone(&front, &mut ballot);
                }
                behind || (before && matches!(r.hop, Hop::Lambda | Hop::Tls))
            }
            (Judge::Front(judge) | Judge::Either(_, judge), _) => {
                judge(&front, &mut ballot);
                before || (behind && r.hop == Hop::Dns)
            }
            _ => continue,
        };
        witness.testify(r.id, case.as_ref(), &mut ballot);
        traces.testify(r.id, &mut ballot);
        match ballot.close(r, trouble || met) {
            // Where all is seen and all is well, there is nothing to look into.
            Some(Closed::Verdict(v)) if calm && v.standing == Standing::Unchecked => {}
            Some(Closed::Verdict(v)) => ranked.push((v, i)),
            Some(Closed::Risk(risk)) => out.risks.push(risk),
            None => {}
        }
    }
    put_in_order(&mut ranked);
    out.verdicts = ranked.into_iter().map(|(v, _)| v).collect();
    out
}

/// Twins by name, and what is surest first.
fn put_in_order(ranked: &mut [(Verdict, usize)]) {
    tell_twins(ranked);
    ranked.sort_by_cached_key(|(v, i)| {
        let tier = match v.standing {
            Standing::Confirmed | Standing::Likely => 0,
            Standing::Possible => 1,
            Standing::Unchecked => 2,
            Standing::RuledOut => 3,
        };
        let level = if tier < 2 { RULES[*i].level as u8 } else { 0 };
        (tier, level, v.standing, std::cmp::Reverse(ballot::heft(&v.evidence)), *i)
    });
}

/// Does a cause make sense for this load balancer? One that knows no HTTP
/// has none of the causes of those that do.
fn applies(r: &Rule, c: &Case<'_>) -> bool {
    let network = c.is_network();
    match r.hop {
        Hop::Alb => !network,
        Hop::Nlb => network,
        Hop::Client => !network,
        _ => true,
    }
}

/// Names the causes that stand alike and that nothing seen tells apart, and
/// offers the check that would.
fn tell_twins(ranked: &mut [(Verdict, usize)]) {
    let alike: Vec<(&'static str, Standing)> = ranked.iter().map(|(v, _)| (v.cause, v.standing)).collect();
    for (v, i) in ranked.iter_mut() {
        if !matches!(v.standing, Standing::Likely | Standing::Possible) {
            continue;
        }
        v.twins = RULES[*i]
            .twins
            .iter()
            .copied()
            .filter(|t| *t != v.cause && alike.contains(&(t, v.standing)))
            .collect();
        if !v.twins.is_empty() && !v.next.contains(&Next::Check(v.cause)) {
            v.next.insert(0, Next::Check(v.cause));
        }
    }
}
