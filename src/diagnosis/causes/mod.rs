//! One rule for each cause of the catalogue, by hop. A rule only collects what
//! speaks for and against its cause and what is missing; how a cause stands
//! follows from that in one place, [`Ballot::close`].

mod alb;
mod ballot;
mod client;
mod deploy;
mod lambda;
mod network;
mod proxies;
mod target;

use super::case::{Case, Inputs};
use super::timeouts::Measured;
use super::verdict::{Diagnosis, Hop, Next, Standing, Verdict};
use crate::situation::Situation;
use ballot::{Ballot, Closed};

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
    judge: fn(&Case<'_>, &mut Ballot),
}

const fn rule(
    id: &'static str,
    hop: Hop,
    level: Level,
    twins: &'static [&'static str],
    judge: fn(&Case<'_>, &mut Ballot),
) -> Rule {
    Rule { id, hop, level, twins, judge }
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
const INSIDE: &[&str] =
    &["app-exception-or-plugin-bug", "local-proxy-upstream-failure", "dependency-db-unavailable"];

const PROXY: &[&str] = &["local-proxy-upstream-failure", "app-worker-timeout-kill"];

/// Every rule, in the order of the catalogue.
pub const RULES: &[Rule] = &[
    rule("dns-record-wrong-target", Hop::Dns, Level::Root, &[], client::record),
    rule("dns-delegation-or-resolution-failure", Hop::Dns, Level::Root, &[], client::delegation),
    rule("dns-stale-cache-at-caller", Hop::Dns, Level::Root, &[], client::stale),
    rule("client-aborts-before-response", Hop::Client, Level::Mechanism, &[], client::aborts),
    rule("client-request-rejected", Hop::Client, Level::Root, &[], client::rejected),
    rule("alb-no-usable-targets", Hop::Alb, Level::Root, &[], alb::no_targets),
    rule("alb-all-unhealthy-fail-open", Hop::Alb, Level::Effect, &[], alb::fail_open),
    rule("alb-partial-unhealthy-targets", Hop::Alb, Level::Effect, &[], alb::partial),
    rule("alb-healthcheck-misconfigured", Hop::Alb, Level::Root, &[], alb::health_check),
    rule("alb-target-keepalive-shorter", Hop::Alb, Level::Root, ABRUPT, alb::keep_alive),
    rule("alb-target-connection-refused", Hop::Alb, Level::Mechanism, REFUSED, alb::refused),
    rule("alb-target-host-unreachable", Hop::Alb, Level::Mechanism, REFUSED, alb::unreachable),
    rule("alb-target-connect-timeout", Hop::Alb, Level::Mechanism, &[], alb::connect_timeout),
    rule("alb-target-response-timeout", Hop::Alb, Level::Mechanism, SLOW, alb::response_timeout),
    rule("alb-target-response-malformed", Hop::Alb, Level::Root, ABRUPT, alb::malformed),
    rule("alb-target-header-too-large", Hop::Alb, Level::Root, ABRUPT, alb::large_header),
    rule("alb-content-length-mismatch", Hop::Alb, Level::Root, SLOW, alb::short_body),
    rule("alb-deregistration-delay-elapsed", Hop::Alb, Level::Root, &[], alb::deregistration),
    rule("alb-target-tls-failure", Hop::Alb, Level::Root, &[], alb::tls),
    rule("alb-protocol-or-port-mismatch", Hop::Alb, Level::Root, REFUSED, alb::mismatch),
    rule("alb-rule-misrouted", Hop::Alb, Level::Root, &[], alb::misrouted),
    rule("alb-early-close-on-upload", Hop::Alb, Level::Root, ABRUPT, alb::upload),
    rule("alb-capacity-limits", Hop::Alb, Level::Root, &[], alb::capacity),
    rule("alb-waf-or-auth-failure", Hop::Alb, Level::Root, &[], alb::auth),
    rule("sg-target-ingress-missing", Hop::Network, Level::Root, &[], network::target_ingress),
    rule("sg-lb-egress-missing", Hop::Network, Level::Root, &[], network::lb_egress),
    rule("nacl-forward-denied", Hop::Network, Level::Root, &[], network::acl_forward),
    rule("nacl-return-ephemeral-denied", Hop::Network, Level::Root, &[], network::acl_return),
    rule("route-missing-or-blackhole", Hop::Network, Level::Root, &[], network::route),
    rule("host-firewall-blocks", Hop::Network, Level::Root, SILENT, network::host_firewall),
    rule("conntrack-or-mtu-drop", Hop::Network, Level::Root, &[], network::conntrack),
    rule("lb-listener-cert-problem", Hop::Tls, Level::Root, &[], client::certificate),
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
    rule("deploy-regression", Hop::Deploy, Level::Change, &[], deploy::regression),
    rule("infra-config-change", Hop::Deploy, Level::Change, &[], deploy::config_change),
    rule("ungraceful-shutdown-or-scale-in", Hop::Deploy, Level::Root, &[], deploy::ungraceful),
    rule("dependency-db-unavailable", Hop::Dependency, Level::Root, INSIDE, deploy::database),
    rule("dependency-external-api-slow", Hop::Dependency, Level::Root, &[], deploy::external),
    rule("lambda-timeout", Hop::Lambda, Level::Root, FUNCTION, lambda::timeout),
    rule("lambda-throttled", Hop::Lambda, Level::Root, FUNCTION, lambda::throttled),
    rule("alb-lambda-invalid-response", Hop::Lambda, Level::Root, FUNCTION, lambda::invalid_response),
    rule("alb-lambda-invoke-error", Hop::Lambda, Level::Root, FUNCTION, lambda::invoke_error),
    rule("lambda-payload-too-large", Hop::Lambda, Level::Root, FUNCTION, lambda::payload),
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

/// Judges a situation. Empty while no load balancer is in view.
///
/// The order of the verdicts: what is confirmed or likely, then what is
/// possible, unchecked, ruled out. Within the first two, a cause that explains
/// others before them (see [`Level`]), then confirmed before likely, then by
/// how many decisive and strong pieces of evidence speak for it, then in the
/// order of the catalogue. The same situation always gives the same order.
pub fn diagnose(s: &Situation, inputs: &Inputs<'_>) -> Diagnosis {
    let Some(case) = Case::new(s, *inputs) else { return Diagnosis::default() };
    let mut out = Diagnosis { trouble: case.trouble(), from: Some(case.from), ..Diagnosis::default() };
    let calm = !case.trouble() && case.no_metrics.is_none() && case.no_health().is_none();
    let mut ranked: Vec<(Verdict, usize)> = Vec::new();
    for (i, r) in RULES.iter().enumerate() {
        let mut ballot = Ballot::default();
        (r.judge)(&case, &mut ballot);
        match ballot.close(r, case.trouble()) {
            // Where all is seen and all is well, there is nothing to look into.
            Some(Closed::Verdict(v)) if calm && v.standing == Standing::Unchecked => {}
            Some(Closed::Verdict(v)) => ranked.push((v, i)),
            Some(Closed::Risk(risk)) => out.risks.push(risk),
            None => {}
        }
    }
    tell_twins(&mut ranked);
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
    out.verdicts = ranked.into_iter().map(|(v, _)| v).collect();
    out
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
