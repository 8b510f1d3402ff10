//! Shapes of `aws elbv2 describe-*` answers, read and written. Source: AWS CLI
//! command reference, output sections.

use super::stamp;
use crate::situation::elb::{self, Attributes, HealthCheck, WeightedGroup, Zone};
use crate::text::SafeText;
use serde::{Deserialize, Serialize};
use serde_json::Value;

fn number<T: TryFrom<i64>>(n: Option<i64>) -> Option<T> {
    n.and_then(|n| T::try_from(n).ok())
}

fn some(t: &SafeText) -> Option<SafeText> {
    (!t.is_empty()).then(|| t.clone())
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoadBalancer {
    load_balancer_arn: SafeText,
    load_balancer_name: SafeText,
    #[serde(rename = "DNSName")]
    dns_name: SafeText,
    r#type: SafeText,
    scheme: SafeText,
    vpc_id: SafeText,
    state: Option<State>,
    ip_address_type: SafeText,
    security_groups: Vec<SafeText>,
    availability_zones: Vec<AvailabilityZone>,
    created_time: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    code: SafeText,
    reason: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AvailabilityZone {
    zone_name: SafeText,
    subnet_id: SafeText,
}

impl LoadBalancer {
    pub fn read(self) -> elb::LoadBalancer {
        let state = self.state.unwrap_or_default();
        elb::LoadBalancer {
            arn: self.load_balancer_arn,
            name: self.load_balancer_name,
            dns_name: self.dns_name,
            kind: self.r#type,
            scheme: self.scheme,
            vpc: self.vpc_id,
            state: state.code,
            state_reason: state.reason,
            ip_address_type: self.ip_address_type,
            security_groups: self.security_groups,
            zones: self
                .availability_zones
                .into_iter()
                .map(|z| Zone { az: z.zone_name, subnet: z.subnet_id })
                .collect(),
            created: self.created_time.as_ref().and_then(stamp),
        }
    }

    pub fn write(x: &elb::LoadBalancer) -> LoadBalancer {
        LoadBalancer {
            load_balancer_arn: x.arn.clone(),
            load_balancer_name: x.name.clone(),
            dns_name: x.dns_name.clone(),
            r#type: x.kind.clone(),
            scheme: x.scheme.clone(),
            vpc_id: x.vpc.clone(),
            state: Some(State { code: x.state.clone(), reason: x.state_reason.clone() }),
            ip_address_type: x.ip_address_type.clone(),
            security_groups: x.security_groups.clone(),
            availability_zones: x
                .zones
                .iter()
                .map(|z| AvailabilityZone { zone_name: z.az.clone(), subnet_id: z.subnet.clone() })
                .collect(),
            created_time: x.created.map(|t| t.to_string().into()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Listener {
    listener_arn: SafeText,
    pub load_balancer_arn: SafeText,
    port: Option<i64>,
    protocol: SafeText,
    ssl_policy: SafeText,
    certificates: Vec<Certificate>,
    default_actions: Vec<Action>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Certificate {
    certificate_arn: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Rule {
    pub rule_arn: SafeText,
    priority: SafeText,
    conditions: Vec<Condition>,
    actions: Vec<Action>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Condition {
    field: SafeText,
    values: Vec<SafeText>,
    host_header_config: Option<Values>,
    path_pattern_config: Option<Values>,
    http_request_method_config: Option<Values>,
    source_ip_config: Option<Values>,
    http_header_config: Option<Header>,
    query_string_config: Option<Pairs>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Values {
    values: Vec<SafeText>,
    regex_values: Vec<SafeText>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Header {
    http_header_name: SafeText,
    values: Vec<SafeText>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Pairs {
    values: Vec<Pair>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Pair {
    key: SafeText,
    value: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Action {
    r#type: SafeText,
    order: i32,
    target_group_arn: SafeText,
    forward_config: Option<Forward>,
    fixed_response_config: Option<Fixed>,
    redirect_config: Option<Redirect>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Forward {
    target_groups: Vec<Tuple>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tuple {
    target_group_arn: SafeText,
    weight: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fixed {
    status_code: SafeText,
    message_body: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Redirect {
    protocol: SafeText,
    host: SafeText,
    port: SafeText,
    path: SafeText,
    status_code: SafeText,
}

impl Action {
    fn read(self) -> elb::Action {
        let mut groups: Vec<WeightedGroup> = self
            .forward_config
            .into_iter()
            .flat_map(|f| f.target_groups)
            .map(|t| WeightedGroup {
                arn: t.target_group_arn,
                weight: t.weight.map_or(1, |w| u32::try_from(w).unwrap_or_default()),
            })
            .collect();
        if groups.is_empty() && !self.target_group_arn.is_empty() {
            groups.push(WeightedGroup { arn: self.target_group_arn, weight: 1 });
        }
        let (status, detail) = match (self.fixed_response_config, self.redirect_config) {
            (Some(f), _) => (f.status_code.parse().ok(), f.message_body),
            (None, Some(r)) => {
                let to = format!("{}://{}:{}{}", r.protocol.to_ascii_lowercase(), r.host, r.port, r.path);
                (r.status_code.trim_start_matches("HTTP_").parse().ok(), SafeText::capped(to, 1024))
            }
            (None, None) => (None, SafeText::default()),
        };
        elb::Action { kind: self.r#type, order: self.order, groups, status, detail }
    }

    fn write(a: &elb::Action) -> Action {
        let status = a.status.map(|s| SafeText::from(s.to_string())).unwrap_or_default();
        let tuple =
            |g: &WeightedGroup| Tuple { target_group_arn: g.arn.clone(), weight: Some(i64::from(g.weight)) };
        let groups: Vec<Tuple> = a.groups.iter().map(tuple).collect();
        Action {
            r#type: a.kind.clone(),
            order: a.order,
            target_group_arn: match a.groups.as_slice() {
                [one] => one.arn.clone(),
                _ => SafeText::default(),
            },
            forward_config: (!groups.is_empty()).then_some(Forward { target_groups: groups }),
            fixed_response_config: (a.kind.as_str() == "fixed-response")
                .then(|| Fixed { status_code: status.clone(), message_body: a.detail.clone() }),
            redirect_config: (a.kind.as_str() == "redirect").then(|| redirect(&a.detail, &status)),
        }
    }
}

/// `https://host:port/path` in its parts.
fn redirect(to: &SafeText, status: &SafeText) -> Redirect {
    let (protocol, rest) = to.split_once("://").unwrap_or(("", to.as_str()));
    let (place, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = place.rsplit_once(':').unwrap_or((place, ""));
    Redirect {
        protocol: protocol.to_ascii_uppercase().into(),
        host: host.into(),
        port: port.into(),
        path: path.into(),
        status_code: SafeText::from(format!("HTTP_{status}")),
    }
}

impl Condition {
    fn read(self) -> elb::Condition {
        let mut values = self.values;
        let plain = [
            self.host_header_config,
            self.path_pattern_config,
            self.http_request_method_config,
            self.source_ip_config,
        ];
        if values.is_empty() {
            values.extend(plain.iter().flatten().flat_map(|c| c.values.iter().cloned()));
            if let Some(h) = &self.http_header_config {
                values
                    .extend(h.values.iter().map(|v| SafeText::from(format!("{}: {v}", h.http_header_name))));
            }
            for p in self.query_string_config.iter().flat_map(|c| &c.values) {
                values.push(if p.key.is_empty() {
                    p.value.clone()
                } else {
                    format!("{}={}", p.key, p.value).into()
                });
            }
        }
        let regex = plain.iter().flatten().flat_map(|c| &c.regex_values);
        values.extend(regex.map(|r| SafeText::from(format!("~{r}"))));
        elb::Condition { field: self.field, values }
    }
}

impl Listener {
    pub fn read(self) -> elb::Listener {
        elb::Listener {
            port: number(self.port).unwrap_or_default(),
            arn: self.listener_arn,
            lb: self.load_balancer_arn,
            protocol: self.protocol,
            ssl_policy: self.ssl_policy,
            certificates: self.certificates.into_iter().map(|c| c.certificate_arn).collect(),
            default_actions: self.default_actions.into_iter().map(Action::read).collect(),
        }
    }

    pub fn write(l: &elb::Listener) -> Listener {
        Listener {
            listener_arn: l.arn.clone(),
            load_balancer_arn: l.lb.clone(),
            port: Some(l.port.into()),
            protocol: l.protocol.clone(),
            ssl_policy: l.ssl_policy.clone(),
            certificates: l.certificates.iter().map(|c| Certificate { certificate_arn: c.clone() }).collect(),
            default_actions: l.default_actions.iter().map(Action::write).collect(),
        }
    }
}

impl Rule {
    /// A rule's ARN holds its listener's: `listener-rule/app/N/ID/LID/RID`.
    pub fn listener(&self) -> SafeText {
        match self.rule_arn.rsplit_once('/') {
            Some((head, _)) => head.replacen(":listener-rule/", ":listener/", 1).into(),
            None => SafeText::default(),
        }
    }

    pub fn read(self) -> elb::Rule {
        elb::Rule {
            listener: self.listener(),
            priority: self.priority.parse().ok(),
            arn: self.rule_arn,
            conditions: self.conditions.into_iter().map(Condition::read).collect(),
            actions: self.actions.into_iter().map(Action::read).collect(),
        }
    }

    pub fn write(r: &elb::Rule) -> Rule {
        let condition = |c: &elb::Condition| Condition {
            field: c.field.clone(),
            values: c.values.clone(),
            ..Condition::default()
        };
        Rule {
            rule_arn: r.arn.clone(),
            priority: r.priority.map_or_else(|| "default".into(), |p| p.to_string().into()),
            conditions: r.conditions.iter().map(condition).collect(),
            actions: r.actions.iter().map(Action::write).collect(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetGroup {
    target_group_arn: SafeText,
    target_group_name: SafeText,
    protocol: SafeText,
    protocol_version: SafeText,
    port: Option<i64>,
    vpc_id: SafeText,
    target_type: SafeText,
    load_balancer_arns: Vec<SafeText>,
    health_check_enabled: Option<bool>,
    health_check_protocol: SafeText,
    health_check_port: SafeText,
    health_check_path: SafeText,
    health_check_interval_seconds: Option<i64>,
    health_check_timeout_seconds: Option<i64>,
    healthy_threshold_count: Option<i64>,
    unhealthy_threshold_count: Option<i64>,
    matcher: Option<Matcher>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Matcher {
    http_code: SafeText,
    grpc_code: SafeText,
}

impl TargetGroup {
    pub fn read(self) -> elb::TargetGroup {
        let matcher = self.matcher.unwrap_or_default();
        let mut lb_arns: Vec<SafeText> = Vec::new();
        for arn in self.load_balancer_arns {
            if !lb_arns.contains(&arn) {
                lb_arns.push(arn);
            }
        }
        elb::TargetGroup {
            arn: self.target_group_arn,
            name: self.target_group_name,
            protocol: self.protocol,
            protocol_version: self.protocol_version,
            port: number(self.port),
            vpc: self.vpc_id,
            target_type: self.target_type,
            lb_arns,
            health_check: HealthCheck {
                enabled: self.health_check_enabled,
                protocol: self.health_check_protocol,
                port: self.health_check_port,
                path: self.health_check_path,
                interval_s: number(self.health_check_interval_seconds),
                timeout_s: number(self.health_check_timeout_seconds),
                healthy_threshold: number(self.healthy_threshold_count),
                unhealthy_threshold: number(self.unhealthy_threshold_count),
                matcher: if matcher.http_code.is_empty() { matcher.grpc_code } else { matcher.http_code },
            },
        }
    }

    pub fn write(g: &elb::TargetGroup) -> TargetGroup {
        let h = &g.health_check;
        let grpc = g.protocol_version.as_str() == "GRPC";
        TargetGroup {
            target_group_arn: g.arn.clone(),
            target_group_name: g.name.clone(),
            protocol: g.protocol.clone(),
            protocol_version: g.protocol_version.clone(),
            port: g.port.map(i64::from),
            vpc_id: g.vpc.clone(),
            target_type: g.target_type.clone(),
            load_balancer_arns: g.lb_arns.clone(),
            health_check_enabled: h.enabled,
            health_check_protocol: h.protocol.clone(),
            health_check_port: h.port.clone(),
            health_check_path: h.path.clone(),
            health_check_interval_seconds: h.interval_s.map(i64::from),
            health_check_timeout_seconds: h.timeout_s.map(i64::from),
            healthy_threshold_count: h.healthy_threshold.map(i64::from),
            unhealthy_threshold_count: h.unhealthy_threshold.map(i64::from),
            matcher: some(&h.matcher).map(|code| {
                if grpc {
                    Matcher { grpc_code: code, ..Matcher::default() }
                } else {
                    Matcher { http_code: code, ..Matcher::default() }
                }
            }),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetHealthDescription {
    target: Option<Target>,
    health_check_port: SafeText,
    target_health: Option<Health>,
    anomaly_detection: Option<Anomaly>,
    administrative_override: Option<Override>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Target {
    id: SafeText,
    port: Option<i64>,
    availability_zone: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Health {
    state: SafeText,
    reason: SafeText,
    description: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Anomaly {
    result: SafeText,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Override {
    state: SafeText,
}

impl TargetHealthDescription {
    pub fn read(self) -> elb::TargetHealth {
        let (target, health) = (self.target.unwrap_or_default(), self.target_health.unwrap_or_default());
        elb::TargetHealth {
            id: target.id,
            port: number(target.port),
            az: target.availability_zone,
            health_port: self.health_check_port.parse().ok(),
            state: health.state,
            reason: health.reason,
            description: health.description,
            anomaly: self.anomaly_detection.map(|a| a.result).unwrap_or_default(),
            // "no_override" is the API's way to say there is none.
            override_state: self
                .administrative_override
                .map(|o| o.state)
                .filter(|s| s.as_str() != "no_override")
                .unwrap_or_default(),
        }
    }

    pub fn write(t: &elb::TargetHealth) -> TargetHealthDescription {
        TargetHealthDescription {
            target: Some(Target {
                id: t.id.clone(),
                port: t.port.map(i64::from),
                availability_zone: t.az.clone(),
            }),
            health_check_port: t.health_port.map(|p| p.to_string().into()).unwrap_or_default(),
            target_health: Some(Health {
                state: t.state.clone(),
                reason: t.reason.clone(),
                description: t.description.clone(),
            }),
            anomaly_detection: some(&t.anomaly).map(|result| Anomaly { result }),
            administrative_override: some(&t.override_state).map(|state| Override { state }),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attribute {
    pub key: SafeText,
    value: SafeText,
}

pub fn read_attributes(list: Vec<Attribute>) -> Attributes {
    list.into_iter().map(|a| (a.key, a.value)).collect()
}

pub fn write_attributes(a: &Attributes) -> Vec<Attribute> {
    a.iter().map(|(key, value)| Attribute { key: key.clone(), value: value.clone() }).collect()
}
