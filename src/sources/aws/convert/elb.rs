//! Elastic Load Balancing v2.

use super::{free, id, ids, port, time};
use crate::situation::elb::{
    Action, Attributes, Condition, HealthCheck, Listener, LoadBalancer, Rule, TargetGroup, TargetHealth,
    WeightedGroup, Zone,
};
use crate::text::SafeText;
use aws_sdk_elasticloadbalancingv2::types as sdk;

/// A load balancer.
pub fn load_balancer(x: &sdk::LoadBalancer) -> LoadBalancer {
    let state = x.state.as_ref();
    LoadBalancer {
        arn: id(&x.load_balancer_arn),
        name: id(&x.load_balancer_name),
        dns_name: id(&x.dns_name),
        kind: word(x.r#type.as_ref().map(|v| v.as_str())),
        scheme: word(x.scheme.as_ref().map(|v| v.as_str())),
        vpc: id(&x.vpc_id),
        state: word(state.and_then(|s| s.code.as_ref()).map(|v| v.as_str())),
        state_reason: state.map(|s| free(&s.reason)).unwrap_or_default(),
        ip_address_type: word(x.ip_address_type.as_ref().map(|v| v.as_str())),
        security_groups: ids(&x.security_groups),
        zones: x
            .availability_zones
            .iter()
            .flatten()
            .map(|z| Zone { az: id(&z.zone_name), subnet: id(&z.subnet_id) })
            .collect(),
        created: time(&x.created_time),
    }
}

/// A listener. Its certificates are the default one and what is bound to it.
pub fn listener(x: &sdk::Listener) -> Listener {
    Listener {
        arn: id(&x.listener_arn),
        lb: id(&x.load_balancer_arn),
        port: port(x.port).unwrap_or_default(),
        protocol: word(x.protocol.as_ref().map(|v| v.as_str())),
        ssl_policy: id(&x.ssl_policy),
        certificates: x.certificates.iter().flatten().map(|c| id(&c.certificate_arn)).collect(),
        default_actions: x.default_actions.iter().flatten().map(action).collect(),
    }
}

/// A rule of `listener`.
pub fn rule(x: &sdk::Rule, listener: &SafeText) -> Rule {
    Rule {
        arn: id(&x.rule_arn),
        listener: listener.clone(),
        priority: x.priority.as_deref().and_then(|p| p.parse().ok()),
        conditions: x.conditions.iter().flatten().map(condition).collect(),
        actions: x.actions.iter().flatten().map(action).collect(),
    }
}

/// The API repeats a condition in `Values` and in the field's own config; some
/// fields have only the latter.
fn condition(x: &sdk::RuleCondition) -> Condition {
    let mut values: Vec<SafeText> = ids(&x.values);
    if values.is_empty() {
        values.extend(x.host_header_config.iter().flat_map(|c| ids(&c.values)));
        values.extend(x.path_pattern_config.iter().flat_map(|c| ids(&c.values)));
        values.extend(x.http_request_method_config.iter().flat_map(|c| ids(&c.values)));
        values.extend(x.source_ip_config.iter().flat_map(|c| ids(&c.values)));
        values.extend(x.http_header_config.iter().flat_map(|c| {
            let name = c.http_header_name.as_deref().unwrap_or_default();
            let both = c.values.iter().flatten().chain(c.regex_values.iter().flatten());
            both.map(|v| SafeText::from(format!("{name}: {v}"))).collect::<Vec<_>>()
        }));
        values.extend(x.query_string_config.iter().flat_map(|c| {
            let pairs = c.values.iter().flatten().map(|p| match &p.key {
                Some(key) => SafeText::from(format!("{key}={}", p.value.as_deref().unwrap_or("*"))),
                None => id(&p.value),
            });
            pairs.collect::<Vec<_>>()
        }));
    }
    let regex = x
        .regex_values
        .iter()
        .flatten()
        .chain(x.host_header_config.iter().flat_map(|c| c.regex_values.iter().flatten()))
        .chain(x.path_pattern_config.iter().flat_map(|c| c.regex_values.iter().flatten()));
    for r in regex {
        let shown = SafeText::from(format!("~{r}"));
        if !values.contains(&shown) {
            values.push(shown);
        }
    }
    Condition { field: id(&x.field), values }
}

fn action(x: &sdk::Action) -> Action {
    let mut groups: Vec<WeightedGroup> = x
        .forward_config
        .iter()
        .flat_map(|f| f.target_groups.iter().flatten())
        .map(|t| WeightedGroup {
            arn: id(&t.target_group_arn),
            weight: t.weight.map_or(1, |w| u32::try_from(w).unwrap_or_default()),
        })
        .collect();
    if groups.is_empty() && x.target_group_arn.is_some() {
        groups.push(WeightedGroup { arn: id(&x.target_group_arn), weight: 1 });
    }
    let (status, detail) = if let Some(f) = &x.fixed_response_config {
        (f.status_code.as_deref().and_then(|s| s.parse().ok()), free(&f.message_body))
    } else if let Some(r) = &x.redirect_config {
        let status = r.status_code.as_ref().and_then(|s| s.as_str().trim_start_matches("HTTP_").parse().ok());
        (status, redirect(r))
    } else if let Some(o) = &x.authenticate_oidc_config {
        (None, id(&o.issuer))
    } else if let Some(c) = &x.authenticate_cognito_config {
        (None, SafeText::new(c.user_pool_domain().unwrap_or_default()))
    } else {
        (None, SafeText::default())
    };
    Action {
        kind: word(x.r#type.as_ref().map(|v| v.as_str())),
        order: x.order.unwrap_or_default(),
        groups,
        status,
        detail,
    }
}

fn redirect(r: &sdk::RedirectActionConfig) -> SafeText {
    let or = |v: &Option<String>, default: &str| v.clone().unwrap_or_else(|| default.to_string());
    let mut to = format!(
        "{}://{}:{}{}",
        or(&r.protocol, "#{protocol}").to_ascii_lowercase(),
        or(&r.host, "#{host}"),
        or(&r.port, "#{port}"),
        or(&r.path, "/#{path}"),
    );
    match r.query.as_deref() {
        None => to.push_str("?#{query}"),
        Some("") => {}
        Some(q) => {
            to.push('?');
            to.push_str(q);
        }
    }
    SafeText::capped(to, super::FREE_TEXT)
}

/// A target group. The API may list a load balancer once per rule that names it.
pub fn target_group(x: &sdk::TargetGroup) -> TargetGroup {
    let seconds = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok());
    let mut lb_arns: Vec<SafeText> = Vec::new();
    for arn in ids(&x.load_balancer_arns) {
        if !lb_arns.contains(&arn) {
            lb_arns.push(arn);
        }
    }
    TargetGroup {
        arn: id(&x.target_group_arn),
        name: id(&x.target_group_name),
        protocol: word(x.protocol.as_ref().map(|v| v.as_str())),
        protocol_version: id(&x.protocol_version),
        port: port(x.port),
        vpc: id(&x.vpc_id),
        target_type: word(x.target_type.as_ref().map(|v| v.as_str())),
        lb_arns,
        health_check: HealthCheck {
            enabled: x.health_check_enabled,
            protocol: word(x.health_check_protocol.as_ref().map(|v| v.as_str())),
            port: id(&x.health_check_port),
            path: free(&x.health_check_path),
            interval_s: seconds(x.health_check_interval_seconds),
            timeout_s: seconds(x.health_check_timeout_seconds),
            healthy_threshold: seconds(x.healthy_threshold_count),
            unhealthy_threshold: seconds(x.unhealthy_threshold_count),
            matcher: x
                .matcher
                .as_ref()
                .map(|m| if m.http_code.is_some() { id(&m.http_code) } else { id(&m.grpc_code) })
                .unwrap_or_default(),
        },
    }
}

/// One target's health.
pub fn target_health(x: &sdk::TargetHealthDescription) -> TargetHealth {
    let target = x.target.as_ref();
    let health = x.target_health.as_ref();
    let anomaly = x.anomaly_detection.as_ref().and_then(|a| a.result.as_ref());
    let over = x.administrative_override.as_ref().and_then(|o| o.state.as_ref());
    TargetHealth {
        id: target.map(|t| id(&t.id)).unwrap_or_default(),
        port: target.and_then(|t| port(t.port)),
        az: target.map(|t| id(&t.availability_zone)).unwrap_or_default(),
        health_port: x.health_check_port.as_deref().and_then(|p| p.parse().ok()),
        state: word(health.and_then(|h| h.state.as_ref()).map(|v| v.as_str())),
        reason: word(health.and_then(|h| h.reason.as_ref()).map(|v| v.as_str())),
        description: health.map(|h| free(&h.description)).unwrap_or_default(),
        anomaly: word(anomaly.map(|v| v.as_str())),
        // "no_override" is the API's way to say there is none.
        override_state: match over.map(|v| v.as_str()) {
            None | Some("no_override") => SafeText::default(),
            some => word(some),
        },
    }
}

/// Attributes of a load balancer.
pub fn lb_attributes(list: &[sdk::LoadBalancerAttribute]) -> Attributes {
    list.iter().map(|a| (id(&a.key), free(&a.value))).collect()
}

/// Attributes of a target group.
pub fn tg_attributes(list: &[sdk::TargetGroupAttribute]) -> Attributes {
    list.iter().map(|a| (id(&a.key), free(&a.value))).collect()
}

/// Tags by resource ARN.
pub fn tags(list: &[sdk::TagDescription]) -> Vec<(SafeText, Attributes)> {
    let of = |t: &sdk::Tag| (SafeText::new(t.key().unwrap_or_default()), free(&t.value));
    list.iter().map(|d| (id(&d.resource_arn), d.tags.iter().flatten().map(of).collect())).collect()
}

fn word(value: Option<&str>) -> SafeText {
    SafeText::new(value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_keeps_every_field() {
        let x = sdk::LoadBalancer::builder()
            .load_balancer_arn("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/50dc")
            .load_balancer_name("shop")
            .dns_name("shop-1.r.elb.amazonaws.com")
            .r#type(sdk::LoadBalancerTypeEnum::Application)
            .scheme(sdk::LoadBalancerSchemeEnum::InternetFacing)
            .vpc_id("vpc-1")
            .state(
                sdk::LoadBalancerState::builder()
                    .code(sdk::LoadBalancerStateEnum::ActiveImpaired)
                    .reason("no\u{1b}[2J routes")
                    .build(),
            )
            .ip_address_type(sdk::IpAddressType::Ipv4)
            .security_groups("sg-1")
            .availability_zones(
                sdk::AvailabilityZone::builder().zone_name("ra").subnet_id("subnet-1").build(),
            )
            .created_time(aws_smithy_types::DateTime::from_secs(1_700_000_000))
            .build();
        let got = load_balancer(&x);
        assert_eq!(got.kind.as_str(), "application");
        assert_eq!(got.scheme.as_str(), "internet-facing");
        assert_eq!(got.state.as_str(), "active_impaired");
        assert_eq!(got.state_reason.as_str(), "no^[[2J routes");
        assert_eq!(got.dimension(), "app/shop/50dc");
        assert_eq!(got.zones, [Zone { az: "ra".into(), subnet: "subnet-1".into() }]);
        assert_eq!(got.created.unwrap().as_second(), 1_700_000_000);
        assert_eq!(load_balancer(&sdk::LoadBalancer::builder().build()), LoadBalancer::default());
    }

    #[test]
    fn actions_of_every_kind() {
        let tuple = |arn: &str, w| sdk::TargetGroupTuple::builder().target_group_arn(arn).weight(w).build();
        let forward = sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::Forward)
            .target_group_arn("a")
            .forward_config(
                sdk::ForwardActionConfig::builder()
                    .target_groups(tuple("a", 0))
                    .target_groups(tuple("b", 9))
                    .build(),
            )
            .order(2)
            .build();
        let got = action(&forward);
        assert_eq!((got.kind.as_str(), got.order), ("forward", 2));
        let weights: Vec<_> = got.groups.iter().map(|g| (g.arn.as_str(), g.weight)).collect();
        assert_eq!(weights, [("a", 0), ("b", 9)]);
        let single =
            sdk::Action::builder().r#type(sdk::ActionTypeEnum::Forward).target_group_arn("a").build();
        assert_eq!(action(&single).groups, [WeightedGroup { arn: "a".into(), weight: 1 }]);
        let to = sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::Redirect)
            .redirect_config(
                sdk::RedirectActionConfig::builder()
                    .protocol("HTTPS")
                    .port("443")
                    .status_code(sdk::RedirectActionStatusCodeEnum::Http301)
                    .build(),
            )
            .build();
        let got = action(&to);
        assert_eq!((got.status, got.detail.as_str()), (Some(301), "https://#{host}:443/#{path}?#{query}"));
        let fixed = sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::FixedResponse)
            .fixed_response_config(
                sdk::FixedResponseActionConfig::builder().status_code("503").message_body("sorry").build(),
            )
            .build();
        let got = action(&fixed);
        assert_eq!((got.status, got.detail.as_str()), (Some(503), "sorry"));
    }

    #[test]
    fn conditions_of_every_field() {
        let plain = sdk::RuleCondition::builder()
            .field("path-pattern")
            .values("/api/*")
            .path_pattern_config(sdk::PathPatternConditionConfig::builder().values("/api/*").build());
        let host = sdk::RuleCondition::builder().field("host-header").host_header_config(
            sdk::HostHeaderConditionConfig::builder().values("a.example").regex_values("^b").build(),
        );
        let header = sdk::RuleCondition::builder().field("http-header").http_header_config(
            sdk::HttpHeaderConditionConfig::builder().http_header_name("X-A").values("1").values("2").build(),
        );
        let pair = |k: Option<&str>, v: &str| {
            sdk::QueryStringKeyValuePair::builder().set_key(k.map(String::from)).value(v).build()
        };
        let query = sdk::RuleCondition::builder().field("query-string").query_string_config(
            sdk::QueryStringConditionConfig::builder()
                .values(pair(Some("v"), "2"))
                .values(pair(None, "x"))
                .build(),
        );
        let source = sdk::RuleCondition::builder()
            .field("source-ip")
            .source_ip_config(sdk::SourceIpConditionConfig::builder().values("10.0.0.0/8").build());
        let table = [
            (plain, vec!["/api/*"]),
            (host, vec!["a.example", "~^b"]),
            (header, vec!["X-A: 1", "X-A: 2"]),
            (query, vec!["v=2", "x"]),
            (source, vec!["10.0.0.0/8"]),
        ];
        for (x, want) in table {
            let got = condition(&x.build());
            assert_eq!(got.values.iter().map(SafeText::as_str).collect::<Vec<_>>(), want);
        }
        let last = rule(&sdk::Rule::builder().rule_arn("r").priority("default").build(), &"l".into());
        assert_eq!((last.priority, last.listener.as_str()), (None, "l"));
        assert_eq!(rule(&sdk::Rule::builder().priority("30").build(), &"l".into()).priority, Some(30));
    }

    #[test]
    fn a_target_group_and_its_health_check() {
        let x = sdk::TargetGroup::builder()
            .target_group_arn("arn:aws:elasticloadbalancing:r:1:targetgroup/web/73e2")
            .port(8080)
            .protocol(sdk::ProtocolEnum::Http)
            .target_type(sdk::TargetTypeEnum::Ip)
            .load_balancer_arns("lb")
            .load_balancer_arns("lb")
            .health_check_enabled(true)
            .health_check_port("traffic-port")
            .health_check_interval_seconds(30)
            .matcher(sdk::Matcher::builder().grpc_code("12").build())
            .build();
        let got = target_group(&x);
        assert_eq!((got.port, got.target_type.as_str()), (Some(8080), "ip"));
        assert_eq!(got.lb_arns, ["lb"], "listed once, however many rules name it");
        let check = got.health_check;
        assert_eq!((check.enabled, check.interval_s, check.matcher.as_str()), (Some(true), Some(30), "12"));
        assert_eq!(check.timeout_s, None, "what is not said is not known");
    }

    #[test]
    fn health_of_a_target() {
        let row = |state: sdk::TargetHealthStateEnum, reason: Option<&str>, hc: Option<&str>| {
            sdk::TargetHealthDescription::builder()
                .target(
                    sdk::TargetDescription::builder().id("i-1").port(8080).availability_zone("ra").build(),
                )
                .target_health(
                    sdk::TargetHealth::builder()
                        .state(state)
                        .set_reason(reason.map(Into::into))
                        .description("d")
                        .build(),
                )
                .set_health_check_port(hc.map(String::from))
                .build()
        };
        let got =
            target_health(&row(sdk::TargetHealthStateEnum::Unhealthy, Some("Target.Timeout"), Some("9090")));
        assert_eq!((got.state.as_str(), got.reason.as_str()), ("unhealthy", "Target.Timeout"));
        assert_eq!((got.port, got.health_port, got.is_healthy()), (Some(8080), Some(9090), false));
        let got = target_health(&row("a-state-of-tomorrow".into(), None, Some("traffic-port")));
        assert_eq!((got.state.as_str(), got.health_port), ("a-state-of-tomorrow", None));
        assert!(!got.is_healthy());
        let nothing = target_health(&sdk::TargetHealthDescription::builder().build());
        assert!(!nothing.is_healthy() && nothing.state.is_empty());
        let over = sdk::TargetHealthDescription::builder()
            .administrative_override(
                sdk::AdministrativeOverride::builder()
                    .state(sdk::TargetAdministrativeOverrideStateEnum::NoOverride)
                    .build(),
            )
            .build();
        assert!(target_health(&over).override_state.is_empty());
    }
}
