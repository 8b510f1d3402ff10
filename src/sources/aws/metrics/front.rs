//! Series of what stands in front of a load balancer, or without one.
//! Sources: "Viewing CloudFront and edge function metrics", Amazon CloudFront
//! developer guide; "Amazon API Gateway dimensions and metrics"; "Types of
//! metrics for Lambda functions"; "AWS WAF metrics and dimensions"; "Monitoring health checks using CloudWatch"; "CloudWatch metrics for your Network Load
//! Balancer" and "... for your Classic Load Balancer".

use super::Ask;
use crate::situation::beside::WebAcl;
use crate::situation::elb::{LoadBalancer, TargetGroup};
use crate::situation::front::{Api, Distribution};
use crate::situation::function_name;
use crate::situation::metric::MetricKey;
use crate::text::SafeText;

type Dimensions = Vec<(&'static str, String)>;

fn ask(
    namespace: &'static str,
    (name, stat): (&str, &str),
    subject: impl Into<SafeText>,
    dimensions: Dimensions,
) -> Ask {
    let key = MetricKey {
        namespace: namespace.into(),
        name: name.into(),
        stat: stat.into(),
        subject: subject.into(),
        az: SafeText::default(),
    };
    Ask { key, dimensions }
}

const EDGE: [(&str, &str); 10] = [
    ("Requests", "Sum"),
    ("5xxErrorRate", "Average"),
    ("4xxErrorRate", "Average"),
    ("502ErrorRate", "Average"),
    ("503ErrorRate", "Average"),
    ("504ErrorRate", "Average"),
    ("OriginLatency", "p99"),
    ("LambdaExecutionError", "Sum"),
    ("LambdaValidationError", "Sum"),
    ("LambdaLimitExceededErrors", "Sum"),
];
const EDGE_FUNCTION: [(&str, &str); 4] = [
    ("FunctionInvocations", "Sum"),
    ("FunctionValidationErrors", "Sum"),
    ("FunctionExecutionErrors", "Sum"),
    ("FunctionThrottles", "Sum"),
];
const REST: [(&str, &str); 6] = [
    ("Count", "Sum"),
    ("5XXError", "Sum"),
    ("4XXError", "Sum"),
    ("IntegrationLatency", "Maximum"),
    ("IntegrationLatency", "p99"),
    ("Latency", "Maximum"),
];
const HTTP: [(&str, &str); 6] = [
    ("Count", "Sum"),
    ("5xx", "Sum"),
    ("4xx", "Sum"),
    ("IntegrationLatency", "Maximum"),
    ("IntegrationLatency", "p99"),
    ("Latency", "Maximum"),
];
const FUNCTION: [(&str, &str); 6] = [
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
    ("Duration", "Maximum"),
    ("ConcurrentExecutions", "Maximum"),
    ("Url5xxCount", "Sum"),
];
const CLASSIC: [(&str, &str); 11] = [
    ("RequestCount", "Sum"),
    ("HTTPCode_ELB_5XX", "Sum"),
    ("HTTPCode_ELB_4XX", "Sum"),
    ("HTTPCode_Backend_5XX", "Sum"),
    ("HTTPCode_Backend_2XX", "Sum"),
    ("BackendConnectionErrors", "Sum"),
    ("Latency", "Maximum"),
    ("SurgeQueueLength", "Maximum"),
    ("SpilloverCount", "Sum"),
    ("HealthyHostCount", "Minimum"),
    ("UnHealthyHostCount", "Maximum"),
];
const NETWORK: [&str; 14] = [
    "TCP_Target_Reset_Count",
    "TCP_ELB_Reset_Count",
    "TCP_Client_Reset_Count",
    "NewFlowCount",
    "NewFlowCount_TCP",
    "ActiveFlowCount",
    "ProcessedBytes",
    "PortAllocationErrorCount",
    "RejectedFlowCount",
    "SecurityGroupBlockedFlowCount_Inbound_TCP",
    "SecurityGroupBlockedFlowCount_Outbound_TCP",
    "UnhealthyRoutingFlowCount",
    "TargetTLSNegotiationErrorCount",
    "ClientTLSNegotiationErrorCount",
];
const NETWORK_GROUP: [(&str, &str); 3] =
    [("HealthyHostCount", "Maximum"), ("UnHealthyHostCount", "Minimum"), ("UnHealthyHostCount", "Maximum")];

/// Of a distribution and the functions at its edges. Rates are per cent.
pub fn of_distribution(id: &SafeText, d: Option<&Distribution>) -> Vec<Ask> {
    let dims = || vec![("DistributionId", id.to_string()), ("Region", "Global".to_string())];
    let mut out: Vec<Ask> = EDGE.iter().map(|m| ask("AWS/CloudFront", *m, id.clone(), dims())).collect();
    let mut names: Vec<&str> = d
        .into_iter()
        .flat_map(|d| &d.behaviors)
        .flat_map(|b| &b.functions)
        .filter_map(|f| f.1.split(":function/").nth(1))
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let dims = || vec![("FunctionName", name.to_string()), ("Region", "Global".to_string())];
        out.extend(EDGE_FUNCTION.iter().map(|m| ask("AWS/CloudFront", *m, name, dims())));
    }
    out
}

/// Of an API; of its stage where one is in view.
pub fn of_api(api: &Api) -> Vec<Ask> {
    let mut dims: Dimensions = match api.is_rest() {
        true => vec![("ApiName", api.name.to_string())],
        false => vec![("ApiId", api.id.to_string())],
    };
    if !api.stage.is_empty() && api.stages.iter().any(|s| s.name == api.stage) {
        dims.push(("Stage", api.stage.to_string()));
    }
    let list = if api.is_rest() { &REST } else { &HTTP };
    list.iter().map(|m| ask("AWS/ApiGateway", *m, api.id.clone(), dims.clone())).collect()
}

/// Of a function.
pub fn of_function(arn: &SafeText) -> Vec<Ask> {
    let name = function_name(arn).unwrap_or(arn).to_string();
    let dims = || vec![("FunctionName", name.clone())];
    FUNCTION.iter().map(|m| ask("AWS/Lambda", *m, arn.clone(), dims())).collect()
}

/// Rules of a web ACL whose blocks are counted.
const ACL_RULES: usize = 20;

/// Of a web ACL as a whole, and the blocks of its rules; the subject of a rule
/// is `ARN METRIC`.
pub fn of_acl(acl: &WebAcl) -> Vec<Ask> {
    // Those of CloudFront have no region among their dimensions.
    let region = acl.arn.split(':').nth(3).unwrap_or_default().to_string();
    let dims = |rule: &str| {
        let mut d = vec![("WebACL", acl.metric.to_string()), ("Rule", rule.to_string())];
        if !acl.is_global() {
            d.push(("Region", region.clone()));
        }
        d
    };
    let mut out = vec![
        ask("AWS/WAFV2", ("BlockedRequests", "Sum"), acl.arn.clone(), dims("ALL")),
        ask("AWS/WAFV2", ("AllowedRequests", "Sum"), acl.arn.clone(), dims("ALL")),
    ];
    let blocking =
        acl.rules.iter().filter(|r| matches!(r.action.as_str(), "block" | "group") && !r.metric.is_empty());
    for r in blocking.take(ACL_RULES) {
        let subject = format!("{} {}", acl.arn, r.metric);
        out.push(ask("AWS/WAFV2", ("BlockedRequests", "Sum"), subject, dims(&r.metric)));
    }
    out
}

/// Of a health check of Route 53: 1 healthy, 0 not. In one region only.
pub fn of_check(id: &SafeText) -> Vec<Ask> {
    let dims = vec![("HealthCheckId", id.to_string())];
    vec![ask("AWS/Route53", ("HealthCheckStatus", "Minimum"), id.clone(), dims)]
}

/// Of a Classic Load Balancer.
pub fn of_classic(name: &SafeText) -> Vec<Ask> {
    let dims = || vec![("LoadBalancerName", name.to_string())];
    CLASSIC.iter().map(|m| ask("AWS/ELB", *m, name.clone(), dims())).collect()
}

/// Of a Network Load Balancer and its groups.
pub(super) fn of_network(lb: &LoadBalancer, groups: &[TargetGroup]) -> Vec<Ask> {
    let of_lb = ("LoadBalancer", lb.dimension().to_string());
    let mut out: Vec<Ask> = NETWORK
        .iter()
        .map(|n| ask("AWS/NetworkELB", (*n, "Sum"), lb.arn.clone(), vec![of_lb.clone()]))
        .collect();
    for g in groups {
        let dims = || vec![of_lb.clone(), ("TargetGroup", g.dimension().to_string())];
        out.extend(NETWORK_GROUP.iter().map(|m| ask("AWS/NetworkELB", *m, g.arn.clone(), dims())));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::front::Stage;

    #[test]
    fn the_two_kinds_of_api_have_names_and_dimensions_of_their_own() {
        let stage = Stage { name: "prod".into(), ..Stage::default() };
        let rest = Api {
            id: "a1".into(),
            name: "orders".into(),
            kind: "REST".into(),
            stage: "prod".into(),
            stages: vec![stage],
            ..Api::default()
        };
        let asks = of_api(&rest);
        assert!(asks.iter().any(|a| a.key.name == "5XXError"));
        assert_eq!(asks[0].dimensions, [("ApiName", "orders".to_string()), ("Stage", "prod".to_string())]);
        let http = Api { kind: "HTTP".into(), stage: "gone".into(), ..rest };
        let asks = of_api(&http);
        assert!(asks.iter().any(|a| a.key.name == "5xx"));
        assert_eq!(
            asks[0].dimensions,
            [("ApiId", "a1".to_string())],
            "a stage that is not there counts nothing"
        );
    }

    #[test]
    fn a_web_acl_of_cloudfront_has_no_region() {
        let rule = |name: &str, action: &str| crate::situation::beside::AclRule {
            name: name.into(),
            metric: format!("{name}-m").into(),
            action: action.into(),
        };
        let acl = WebAcl {
            arn: "arn:aws:wafv2:eu-west-1:1:regional/webacl/shop/8a".into(),
            metric: "shop".into(),
            rules: vec![rule("rate", "block"), rule("seen", "count")],
            ..WebAcl::default()
        };
        let asks = of_acl(&acl);
        assert_eq!(asks.len(), 3, "what only counts blocks nothing");
        assert!(asks[0].dimensions.contains(&("Region", "eu-west-1".to_string())));
        assert_eq!(asks[2].dimensions[1], ("Rule", "rate-m".to_string()));
        let global = WebAcl { arn: "arn:aws:wafv2:us-east-1:1:global/webacl/shop/8a".into(), ..acl };
        assert!(of_acl(&global).iter().all(|a| a.dimensions.len() == 2));
    }
}
