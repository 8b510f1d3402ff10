//! Timers and the order rules between them.

use crate::world::*;
use badgate::diagnosis::timeouts::{
    Chain, Hop, Measured, Rule, RuleId, Source, Standing, Value, chain, settings,
};
use badgate::situation::ecs::{Container, Service, TaskDefinition};
use badgate::situation::{Fact, Reason, Topic};
use rstest::rstest;

fn noted(hop: Hop, setting: &str, seconds: f64) -> Measured {
    Measured { hop, component: "".into(), setting: setting.into(), seconds, at: now(), source: "yui".into() }
}

fn of(shop: &Shop, measured: &[Measured]) -> Chain {
    chain(&shop.situation(), measured)
}

fn rules(c: &Chain, id: RuleId) -> Vec<&Rule> {
    c.rules.iter().filter(|r| r.id == id).collect()
}

fn one(c: &Chain, id: RuleId) -> &Rule {
    let all = rules(c, id);
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0]
}

#[rstest]
#[case(5.0, Standing::Violated)]
#[case(59.9, Standing::Violated)]
#[case(60.0, Standing::AtRisk)]
#[case(60.5, Standing::AtRisk)]
#[case(61.0, Standing::Holds)]
#[case(75.0, Standing::Holds)]
fn r1_the_server_keeps_connections_longer(#[case] server: f64, #[case] standing: Standing) {
    let c = of(&Shop::default(), &[noted(Hop::Target, settings::SERVER_KEEPALIVE, server)]);
    let r = one(&c, RuleId::R1);
    assert_eq!(r.standing, standing);
    assert_eq!((r.left.seconds, r.right.seconds), (Some(server), Some(60.0)));
    if server == 5.0 {
        assert_eq!(r.text.as_str(), "web server keep-alive 5 s > shop idle timeout 60 s");
        assert_eq!(c.rules[0].id, RuleId::R1, "violated rules come first");
    }
}

#[test]
fn r1_is_unknown_until_somebody_measures_and_says_how() {
    let c = of(&Shop::default(), &[]);
    let r = one(&c, RuleId::R1);
    assert_eq!(r.standing, Standing::Unknown);
    let Some(Reason::NeedsMeasuring { how }) = &r.missing else { panic!("{r:#?}") };
    assert!(how.contains("/dev/tcp/10.0.11.10/8080;"), "{how}");
    // Healthy targets prove nothing about it, and that is said.
    assert_eq!(one(&c, RuleId::R11).standing, Standing::Unknown);
    let measured = of(&Shop::default(), &[noted(Hop::Target, settings::SERVER_KEEPALIVE, 75.0)]);
    assert_eq!(one(&measured, RuleId::R11).standing, Standing::NotApplicable);
}

#[test]
fn the_newest_measurement_of_this_component_wins() {
    let at = |seconds, minutes, component: &str| Measured {
        at: minutes_ago(minutes),
        component: component.into(),
        ..noted(Hop::Target, settings::SERVER_KEEPALIVE, seconds)
    };
    let c = of(&Shop::default(), &[at(5.0, 1, "web"), at(75.0, 9, "web"), at(3.0, 0, "api")]);
    assert_eq!(one(&c, RuleId::R1).left.seconds, Some(5.0));
    let nonsense = of(&Shop::default(), &[at(f64::NAN, 0, "web"), at(-1.0, 0, "web")]);
    assert_eq!(one(&nonsense, RuleId::R1).standing, Standing::Unknown);
}

fn ecs(image: &str, stop: Option<i32>) -> Shop {
    let mut shop = Shop::default();
    let service = Service {
        name: "shop".into(),
        arn: "arn:svc".into(),
        task_definition: "arn:td:1".into(),
        target_groups: texts(&[WEB]),
        health_grace_s: Some(60),
        ..Default::default()
    };
    let container =
        Container { name: "app".into(), image: image.into(), stop_timeout_s: stop, ..Default::default() };
    let td = TaskDefinition { arn: "arn:td:1".into(), containers: vec![container], ..Default::default() };
    shop.more = vec![
        observed(Topic::EcsServices(WEB.into()), Fact::EcsServices(vec![service])),
        observed(Topic::TaskDefinition("arn:td:1".into()), Fact::TaskDefinition(td)),
    ];
    shop
}

#[test]
fn an_assumed_default_puts_at_risk_and_never_violates_nor_holds() {
    let c = of(&ecs("public.ecr.aws/docker/library/httpd:2.4", None), &[]);
    let e = c.get(WEB, settings::SERVER_KEEPALIVE).unwrap();
    assert!(matches!(&e.value, Value::Known { source: Source::Assumed(_), .. }), "{e:#?}");
    assert_eq!(one(&c, RuleId::R1).standing, Standing::AtRisk);
    let c = of(&ecs("nginx", None), &[]);
    assert_eq!(one(&c, RuleId::R1).standing, Standing::Unknown);
    let measured = [noted(Hop::Target, settings::SERVER_KEEPALIVE, 75.0)];
    assert_eq!(one(&of(&ecs("httpd", None), &measured), RuleId::R1).standing, Standing::Holds);
}

#[rstest]
#[case(None, "300", Standing::Violated, 30.0)]
#[case(Some(120), "60", Standing::Holds, 120.0)]
#[case(Some(60), "60", Standing::Holds, 60.0)]
fn r5_the_process_outlives_the_drain(
    #[case] stop: Option<i32>,
    #[case] delay: &str,
    #[case] standing: Standing,
    #[case] seconds: f64,
) {
    let mut shop = ecs("app", stop);
    shop.group_attributes = attributes(&[("deregistration_delay.timeout_seconds", delay)]);
    let c = of(&shop, &[]);
    let r = rules(&c, RuleId::R5).into_iter().find(|r| r.left.label.contains("deregistration")).unwrap();
    assert_eq!((r.standing, r.right.seconds), (standing, Some(seconds)), "{r:#?}");
}

#[test]
fn r5_the_longest_request_fits_into_the_drain() {
    let mut shop = Shop::default();
    shop.group_attributes = attributes(&[("deregistration_delay.timeout_seconds", "10")]);
    shop.metrics = vec![series(WEB, "TargetResponseTime", "Maximum", vec![(minutes_ago(3), 42.5)])];
    let c = of(&shop, &[]);
    let r = rules(&c, RuleId::R5).into_iter().find(|r| r.left.seconds == Some(42.5)).unwrap();
    assert_eq!(r.standing, Standing::Violated);
}

#[rstest]
#[case(30, 5, Standing::Holds)]
#[case(5, 5, Standing::Violated)]
#[case(10, 30, Standing::Violated)]
fn r6_a_check_ends_before_the_next(#[case] interval: u32, #[case] timeout: u32, #[case] standing: Standing) {
    let mut shop = Shop::default();
    shop.group.health_check.interval_s = Some(interval);
    shop.group.health_check.timeout_s = Some(timeout);
    assert_eq!(one(&of(&shop, &[]), RuleId::R6).standing, standing);
}

#[test]
fn r6_the_grace_covers_the_start() {
    let late = of(&ecs("app", None), &[noted(Hop::Target, settings::START_UP, 90.0)]);
    assert!(rules(&late, RuleId::R6).iter().any(|r| r.standing == Standing::Violated));
    let early = of(&ecs("app", None), &[noted(Hop::Target, settings::START_UP, 20.0)]);
    assert!(rules(&early, RuleId::R6).iter().all(|r| r.standing == Standing::Holds));
}

#[test]
fn r2_and_r3_waits_shrink_inwards_and_differ() {
    let with = |limit| of(&Shop::default(), &[noted(Hop::Target, settings::SERVER_REQUEST, limit)]);
    let server =
        |c: &Chain, id| rules(c, id).into_iter().find(|r| r.left.label.contains("idle")).unwrap().standing;
    assert_eq!(server(&with(120.0), RuleId::R2), Standing::Violated);
    assert_eq!(server(&with(30.0), RuleId::R2), Standing::Holds);
    assert_eq!(server(&with(60.0), RuleId::R3), Standing::AtRisk);
    assert_eq!(server(&with(58.0), RuleId::R3), Standing::AtRisk);
    assert_eq!(server(&with(50.0), RuleId::R3), Standing::Holds);
}

#[test]
fn r4_is_about_node_only() {
    assert_eq!(one(&of(&Shop::default(), &[]), RuleId::R4).standing, Standing::NotApplicable);
    assert_eq!(one(&of(&ecs("node:22", None), &[]), RuleId::R4).standing, Standing::Unknown);
    let both = [
        noted(Hop::Target, settings::SERVER_KEEPALIVE, 65.0),
        noted(Hop::Target, settings::SERVER_HEADERS, 60.0),
    ];
    assert_eq!(one(&of(&Shop::default(), &both), RuleId::R4).standing, Standing::Violated);
}

#[rstest]
#[case("60", Standing::Holds)]
#[case("350", Standing::AtRisk)]
#[case("4000", Standing::AtRisk)]
fn r7_idle_ends_before_devices_forget(#[case] idle: &str, #[case] standing: Standing) {
    let mut shop = Shop::default();
    shop.lb_attributes = attributes(&[("idle_timeout.timeout_seconds", idle)]);
    assert_eq!(one(&of(&shop, &[]), RuleId::R7).standing, standing);
}

#[test]
fn r8_is_about_functions() {
    assert_eq!(one(&of(&Shop::default(), &[]), RuleId::R8).standing, Standing::NotApplicable);
    let mut shop = Shop::default();
    shop.group.target_type = "lambda".into();
    let c = of(
        &shop,
        &[noted(Hop::Target, settings::FUNCTION, 60.0), noted(Hop::Client, settings::CLIENT_TIMEOUT, 30.0)],
    );
    assert_eq!(one(&c, RuleId::R8).standing, Standing::Violated);
    assert_eq!(one(&c, RuleId::R1).standing, Standing::NotApplicable);
}

#[test]
fn rules_of_other_clouds_and_hops_do_not_apply_here() {
    let c = of(&Shop::default(), &[]);
    for id in [RuleId::R9, RuleId::R10] {
        assert_eq!(one(&c, id).standing, Standing::NotApplicable);
    }
}

#[test]
fn values_say_where_they_come_from() {
    let mut shop = Shop::default();
    shop.lb_attributes = attributes(&[("idle_timeout.timeout_seconds", "120")]);
    let c = of(&shop, &[]);
    let value = |setting: &str| c.get("", setting).unwrap().value.clone();
    assert!(matches!(
        value("idle_timeout.timeout_seconds"),
        Value::Known { seconds: 120.0, source: Source::Api(_), at: Some(_) }
    ));
    assert!(matches!(
        value("client_keep_alive.seconds"),
        Value::Known { seconds: 3600.0, source: Source::Default(_), .. }
    ));
    assert!(matches!(value("connect"), Value::Known { seconds: 10.0, source: Source::Fixed(_), at: None }));
    let unhealthy = c.get(WEB, "HealthCheckIntervalSeconds x UnhealthyThresholdCount").unwrap();
    assert_eq!(unhealthy.value.seconds(), Some(60.0));
    let denied = Reason::Denied { action: "elasticloadbalancing:DescribeLoadBalancerAttributes".into() };
    shop.failed.push((Topic::LbAttributes(LB.into()), denied.clone()));
    let c = of(&shop, &[]);
    assert_eq!(c.get("", "idle_timeout.timeout_seconds").unwrap().value, Value::Unknown(denied.clone()));
    let measured = [noted(Hop::Target, settings::SERVER_KEEPALIVE, 5.0)];
    let c = of(&shop, &measured);
    assert_eq!(
        (one(&c, RuleId::R1).standing, one(&c, RuleId::R1).missing.clone()),
        (Standing::Unknown, Some(denied))
    );
}

#[test]
fn an_attribute_nobody_can_read_is_unknown() {
    let mut shop = Shop::default();
    shop.lb_attributes = attributes(&[("idle_timeout.timeout_seconds", "sixty")]);
    let c = of(&shop, &[]);
    let v = &c.get("", "idle_timeout.timeout_seconds").unwrap().value;
    assert!(matches!(v, Value::Unknown(Reason::Malformed { .. })), "{v:?}");
}
