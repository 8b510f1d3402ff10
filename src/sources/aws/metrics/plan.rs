//! Which series are asked for.
//!
//! CloudWatch answers only for exactly the dimensions a metric is published
//! with; any other combination gives nothing, which looks like "no errors".
//! So the combinations are written down here. Source: "CloudWatch metrics for
//! your Application Load Balancer", Elastic Load Balancing user guide.

use crate::situation::elb::{LoadBalancer, TargetGroup};
use crate::situation::metric::MetricKey;
use crate::text::SafeText;

/// One query: the series it fills, and the dimensions CloudWatch knows it by.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    pub key: MetricKey,
    pub dimensions: Dimensions,
}

/// Names and values, an exact set.
type Dimensions = Vec<(&'static str, String)>;

const SUM: &str = "Sum";

/// Of the whole load balancer, in sums. The load balancer is who answers with
/// the `ELB` codes; the `Target` codes came from behind it.
const LB_SUMS: [&str; 25] = [
    "HTTPCode_ELB_500_Count",
    "HTTPCode_ELB_502_Count",
    "HTTPCode_ELB_503_Count",
    "HTTPCode_ELB_504_Count",
    "HTTPCode_ELB_5XX_Count",
    "HTTPCode_ELB_4XX_Count",
    "HTTPCode_Target_2XX_Count",
    "HTTPCode_Target_3XX_Count",
    "HTTPCode_Target_4XX_Count",
    "HTTPCode_Target_5XX_Count",
    "RequestCount",
    "TargetConnectionErrorCount",
    "TargetTLSNegotiationErrorCount",
    "UnhealthyRoutingRequestCount",
    "ActiveConnectionCount",
    "NewConnectionCount",
    "RejectedConnectionCount",
    "ClientTLSNegotiationErrorCount",
    "HTTP_Fixed_Response_Count",
    "HTTP_Redirect_Url_Limit_Exceeded_Count",
    "ELBAuthError",
    "ELBAuthFailure",
    "DesyncMitigationMode_NonCompliant_Request_Count",
    "DroppedInvalidHeaderRequestCount",
    "TargetControlRequestRejectCount",
];

/// Per zone: a fault of one zone shows in one series only.
const ZONE_SUMS: [&str; 7] = [
    "HTTPCode_ELB_502_Count",
    "HTTPCode_ELB_503_Count",
    "HTTPCode_ELB_504_Count",
    "HTTPCode_ELB_5XX_Count",
    "HTTPCode_Target_5XX_Count",
    "RequestCount",
    "TargetConnectionErrorCount",
];

/// Of a target group behind this load balancer. None of the `ELB` codes is
/// published per target group.
const GROUP: [(&str, &str); 18] = [
    ("HTTPCode_Target_2XX_Count", SUM),
    ("HTTPCode_Target_4XX_Count", SUM),
    ("HTTPCode_Target_5XX_Count", SUM),
    ("RequestCount", SUM),
    ("RequestCountPerTarget", SUM),
    ("TargetConnectionErrorCount", SUM),
    ("TargetTLSNegotiationErrorCount", SUM),
    ("UnhealthyRoutingRequestCount", SUM),
    ("TargetResponseTime", "p50"),
    ("TargetResponseTime", "p99"),
    ("TargetResponseTime", "Maximum"),
    ("HealthyHostCount", "Maximum"),
    ("UnHealthyHostCount", "Minimum"),
    ("UnHealthyHostCount", "Maximum"),
    ("HealthyStateRouting", "Minimum"),
    ("UnhealthyStateRouting", "Minimum"),
    ("AnomalousHostCount", "Minimum"),
    ("MitigatedHostCount", "Minimum"),
];

/// Of a target group per zone.
const GROUP_ZONE: [(&str, &str); 2] = [("HealthyHostCount", "Maximum"), ("UnHealthyHostCount", "Minimum")];

const RESPONSE_TIME: [&str; 3] = ["p50", "p99", "Maximum"];

/// All queries for one load balancer and its target groups: about 50 for the
/// load balancer in three zones and 24 for each group.
pub fn plan(lb: &LoadBalancer, groups: &[TargetGroup]) -> Vec<Ask> {
    let lb_dim = ("LoadBalancer", lb.dimension().to_string());
    let zones: Vec<&SafeText> = lb.zones.iter().map(|z| &z.az).filter(|az| !az.is_empty()).collect();
    let mut out = Vec::new();
    let mut ask = |subject: &SafeText, name: &str, stat: &str, az: &str, dimensions: Dimensions| {
        let mut key = MetricKey::alb(subject.clone(), name, stat);
        key.az = az.into();
        let mut dimensions = dimensions;
        if !az.is_empty() {
            dimensions.push(("AvailabilityZone", az.to_string()));
        }
        out.push(Ask { key, dimensions });
    };
    for name in LB_SUMS {
        ask(&lb.arn, name, SUM, "", vec![lb_dim.clone()]);
    }
    for stat in RESPONSE_TIME {
        ask(&lb.arn, "TargetResponseTime", stat, "", vec![lb_dim.clone()]);
    }
    for az in &zones {
        for name in ZONE_SUMS {
            ask(&lb.arn, name, SUM, az, vec![lb_dim.clone()]);
        }
    }
    for group in groups {
        let tg_dim = ("TargetGroup", group.dimension().to_string());
        let both = vec![lb_dim.clone(), tg_dim.clone()];
        for (name, stat) in GROUP {
            ask(&group.arn, name, stat, "", both.clone());
        }
        for az in &zones {
            for (name, stat) in GROUP_ZONE {
                ask(&group.arn, name, stat, az, both.clone());
            }
        }
        if group.target_type.as_str() == "lambda" {
            ask(&group.arn, "LambdaUserError", SUM, "", both.clone());
            ask(&group.arn, "LambdaInternalError", SUM, "", vec![tg_dim]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::elb::Zone;
    use std::collections::HashSet;

    fn lb() -> LoadBalancer {
        let zone = |az: &str| Zone { az: az.into(), subnet: "subnet-1".into() };
        LoadBalancer {
            arn: "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop/50dc".into(),
            zones: vec![zone("us-east-1a"), zone("us-east-1c")],
            ..Default::default()
        }
    }

    fn group(name: &str, kind: &str) -> TargetGroup {
        TargetGroup {
            arn: format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{name}/6d0e").into(),
            target_type: kind.into(),
            ..Default::default()
        }
    }

    fn dims(asks: &[Ask], name: &str, stat: &str, subject: &str, az: &str) -> Option<Dimensions> {
        let hit: Vec<&Ask> = asks
            .iter()
            .filter(|a| {
                a.key.name == name && a.key.stat == stat && a.key.subject.contains(subject) && a.key.az == az
            })
            .collect();
        assert!(hit.len() < 2, "asked twice: {name} {stat}");
        hit.first().map(|a| a.dimensions.clone())
    }

    #[test]
    fn dimensions_are_those_the_metrics_are_published_with() {
        let asks = plan(&lb(), &[group("web", "instance"), group("fn", "lambda")]);
        let l = ("LoadBalancer", "app/shop/50dc".to_string());
        let t = ("TargetGroup", "targetgroup/web/6d0e".to_string());
        let az = ("AvailabilityZone", "us-east-1c".to_string());
        let table = [
            ("HTTPCode_ELB_502_Count", "Sum", "app/shop", "", Some(vec![l.clone()])),
            ("HTTPCode_ELB_502_Count", "Sum", "app/shop", "us-east-1c", Some(vec![l.clone(), az.clone()])),
            ("HTTPCode_ELB_502_Count", "Sum", "targetgroup/web", "", None),
            ("HTTPCode_Target_5XX_Count", "Sum", "targetgroup/web", "", Some(vec![l.clone(), t.clone()])),
            ("TargetResponseTime", "p99", "app/shop", "", Some(vec![l.clone()])),
            ("TargetResponseTime", "p99", "targetgroup/web", "", Some(vec![l.clone(), t.clone()])),
            ("HealthyHostCount", "Maximum", "app/shop", "", None),
            ("HealthyHostCount", "Maximum", "targetgroup/web", "", Some(vec![l.clone(), t.clone()])),
            ("UnHealthyHostCount", "Minimum", "targetgroup/web", "us-east-1c", Some(vec![l.clone(), t, az])),
            ("LambdaUserError", "Sum", "targetgroup/web", "", None),
            (
                "LambdaUserError",
                "Sum",
                "targetgroup/fn",
                "",
                Some(vec![l, ("TargetGroup", "targetgroup/fn/6d0e".to_string())]),
            ),
            (
                "LambdaInternalError",
                "Sum",
                "targetgroup/fn",
                "",
                Some(vec![("TargetGroup", "targetgroup/fn/6d0e".to_string())]),
            ),
        ];
        for (name, stat, subject, az, want) in table {
            assert_eq!(dims(&asks, name, stat, subject, az), want, "{name} {stat} {subject} {az}");
        }
    }

    #[test]
    fn nothing_is_asked_twice() {
        let asks = plan(&lb(), &[group("web", "instance"), group("api", "ip")]);
        let keys: HashSet<&MetricKey> = asks.iter().map(|a| &a.key).collect();
        assert_eq!(keys.len(), asks.len());
        assert!(asks.iter().all(|a| a.dimensions.iter().all(|d| !d.1.is_empty())));
    }
}
