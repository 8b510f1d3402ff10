//! CloudTrail: who changed what. `LookupEvents` takes two requests a second
//! for a whole account, so the writes of a stretch of time are read first, and
//! only where they are too many the resources of the path one by one.

use super::Pages;
use crate::situation::Reason;
use crate::situation::around::{ChangeEvent, Changes};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::Question;
use crate::text::SafeText;
use jiff::Timestamp;
use serde_json::{Value, json};

const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
/// Pages of 50 that are read of all writes, and of one resource.
const PAGES: usize = 6;
const PAGES_OF_ONE: usize = 2;
/// Resources looked up one by one at most.
const RESOURCES: usize = 12;
/// Ids kept of one event.
const ABOUT: usize = 24;

/// Events worth a mark, by the beginning of their name: newer API versions
/// append a date to it.
const WORTH: &[&str] = &[
    "ModifyLoadBalancerAttributes",
    "ModifyTargetGroup",
    "ModifyListener",
    "ModifyRule",
    "CreateRule",
    "DeleteRule",
    "SetRulePriorities",
    "CreateListener",
    "DeleteListener",
    "DeleteTargetGroup",
    "RegisterTargets",
    "DeregisterTargets",
    "SetSecurityGroups",
    "SetSubnets",
    "SetIpAddressType",
    "AddListenerCertificates",
    "RemoveListenerCertificates",
    "AuthorizeSecurityGroup",
    "RevokeSecurityGroup",
    "ModifySecurityGroupRules",
    "CreateNetworkAcl",
    "ReplaceNetworkAcl",
    "DeleteNetworkAcl",
    "CreateRoute",
    "ReplaceRoute",
    "DeleteRoute",
    "AssociateRouteTable",
    "DisassociateRouteTable",
    "DeleteNatGateway",
    "DetachInternetGateway",
    "RunInstances",
    "TerminateInstances",
    "StopInstances",
    "RebootInstances",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "ModifyVpcPeering",
    "DeleteVpcPeering",
    "UpdateService",
    "RegisterTaskDefinition",
    "StopTask",
    "UpdateAutoScalingGroup",
    "StartInstanceRefresh",
    "SetDesiredCapacity",
    "TerminateInstanceInAutoScalingGroup",
    "SuspendProcesses",
    "DetachLoadBalancerTargetGroups",
    "CreateDeployment",
    "UpdateFunction",
    "UpdateAlias",
    "PutFunctionConcurrency",
    "DeleteFunctionConcurrency",
    "RemovePermission",
    "AddPermission",
    "PublishVersion",
    "UpdateStage",
    "UpdateIntegration",
    "UpdateDistribution",
    "PublishFunction",
    "UpdateOriginRequestPolicy",
    "UpdateCachePolicy",
    "UpdateVpcOrigin",
    "UpdateRestApi",
    "UpdateVpcLink",
    "DeleteVpcLink",
    "PutIntegration",
    "DeleteIntegration",
    "UpdateGatewayResponse",
    "PutGatewayResponse",
    "UpdateApiMapping",
    "UpdateBasePathMapping",
    "DeleteFunction",
    "DeleteAlias",
    "DeleteLoadBalancer",
    "CreateLoadBalancer",
    "ApplySecurityGroups",
    "DeregisterInstances",
    "RegisterInstances",
    "ConfigureHealthCheck",
    "DisableAvailabilityZones",
    "ChangeResourceRecordSets",
    "DeleteHostedZone",
    "DeleteCertificate",
    "ImportCertificate",
    "UpdateWebACL",
    "AssociateWebACL",
    "ModifyDBInstance",
    "RebootDBInstance",
    "StopDBInstance",
    "DeleteDBInstance",
    "FailoverDBCluster",
    "ModifyDBCluster",
    "ModifyDBParameterGroup",
];

/// Changes between two moments. `resources` are names and ids of the path.
pub async fn changes(
    aws: &Aws,
    from: Timestamp,
    to: Timestamp,
    resources: &[SafeText],
) -> Result<Changes, Reason> {
    let writes = json!({ "AttributeKey": "ReadOnly", "AttributeValue": "false" });
    let (mut events, whole) = read(aws, from, to, &writes, PAGES).await?;
    let mut cut = SafeText::default();
    if !whole {
        for name in resources.iter().take(RESOURCES) {
            let of = json!({ "AttributeKey": "ResourceName", "AttributeValue": name.as_str() });
            events.extend(read(aws, from, to, &of, PAGES_OF_ONE).await?.0);
        }
        cut = "the account makes too many changes: the newest, and those of the path's main resources".into();
    }
    events.sort_by(|a, b| b.at.cmp(&a.at).then(a.id.as_str().cmp(b.id.as_str())));
    events.dedup_by(|a, b| a.id == b.id && !a.id.is_empty());
    Ok(Changes { from: Some(from), events, cut })
}

/// The same where CloudFront and Route 53 write theirs as well as here.
pub async fn everywhere(
    aws: &Aws,
    from: Timestamp,
    to: Timestamp,
    resources: &[SafeText],
) -> Result<Changes, Reason> {
    let there = aws.global().await?;
    if there.region() == aws.region() {
        return changes(aws, from, to, resources).await;
    }
    let (here, there) =
        futures::future::join(changes(aws, from, to, resources), changes(&there, from, to, resources)).await;
    let (mut all, more) = (here?, there?);
    all.events.extend(more.events);
    all.events.sort_by(|a, b| b.at.cmp(&a.at).then(a.id.as_str().cmp(b.id.as_str())));
    all.events.dedup_by(|a, b| a.id == b.id && !a.id.is_empty());
    if all.cut.is_empty() {
        all.cut = more.cut;
    }
    Ok(all)
}

async fn read(
    aws: &Aws,
    from: Timestamp,
    to: Timestamp,
    by: &Value,
    most: usize,
) -> Result<(Vec<ChangeEvent>, bool), Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    for _ in 0..most {
        let body = pages
            .ask(aws, &op::LOOKUP_EVENTS, |c, token| {
                let mut ask = json!({
                    "LookupAttributes": [by],
                    "StartTime": from.as_second(),
                    "EndTime": to.as_second(),
                    "MaxResults": 50,
                });
                if let Some(token) = token {
                    ask["NextToken"] = token.into();
                }
                async move { c.plain(&op::LOOKUP_EVENTS, Question::json(TARGET, &ask)).await }
            })
            .await?;
        let doc: Value = super::json(&body)?;
        let events = doc.get("Events").and_then(Value::as_array).ok_or_else(|| super::lacks("Events"))?;
        all.extend(events.iter().filter_map(event));
        if !pages.advance(doc.get("NextToken").and_then(Value::as_str).map(String::from))? {
            return Ok((all, true));
        }
    }
    Ok((all, false))
}

/// An event worth a mark; `None` for others and those without a time.
fn event(e: &Value) -> Option<ChangeEvent> {
    let text = |v: &Value, k: &str| v.get(k).and_then(Value::as_str).unwrap_or_default().to_string();
    let name = text(e, "EventName");
    if !WORTH.iter().any(|w| name.starts_with(w)) {
        return None;
    }
    let raw: Value = serde_json::from_str(&text(e, "CloudTrailEvent")).unwrap_or(Value::Null);
    let at = match e.get("EventTime")? {
        #[allow(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        Value::Number(n) => Timestamp::from_millisecond((n.as_f64()? * 1000.0) as i64).ok()?,
        Value::String(s) => s.parse().ok()?,
        _ => return None,
    };
    let mut about: Vec<SafeText> = Vec::new();
    for r in e.get("Resources").and_then(Value::as_array).into_iter().flatten() {
        mention(&mut about, &text(r, "ResourceName"));
    }
    if let Some(parameters) = raw.get("requestParameters") {
        gather(&mut about, "", parameters, 0);
    }
    let user = match text(e, "Username") {
        u if u.is_empty() => raw.get("userIdentity").map(|i| text(i, "arn")).unwrap_or_default(),
        u => u,
    };
    Some(ChangeEvent {
        at,
        name: SafeText::capped(name, 80),
        service: SafeText::capped(text(e, "EventSource"), 80),
        user: SafeText::capped(user, 120),
        about,
        failed: SafeText::capped(text(&raw, "errorCode"), 80),
        id: SafeText::capped(text(e, "EventId"), 64),
    })
}

fn mention(about: &mut Vec<SafeText>, id: &str) {
    let id = SafeText::capped(id, 200);
    if about.len() < ABOUT && !id.is_empty() && !about.contains(&id) {
        about.push(id);
    }
}

/// Ids and names in the parameters of a request. Other values are left where
/// they are: they may be anybody's secrets.
fn gather(about: &mut Vec<SafeText>, key: &str, v: &Value, depth: usize) {
    const NAMES: &[&str] = &[
        "service",
        "cluster",
        "functionName",
        "autoScalingGroupName",
        "dBInstanceIdentifier",
        "hostedZoneId",
        "loadBalancerName",
        "taskDefinition",
        "family",
        "applicationName",
        "groupName",
        "restApiId",
        "apiId",
        "vpcLinkId",
        "name",
        "id",
    ];
    if depth > 8 {
        return;
    }
    match v {
        Value::String(s) => {
            let id = s.split_once('-').is_some_and(|(kind, rest)| {
                (1..=12).contains(&kind.len())
                    && kind.bytes().all(|b| b.is_ascii_lowercase())
                    && (8..=32).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if id || s.starts_with("arn:") || NAMES.contains(&key) {
                mention(about, s);
            }
        }
        Value::Array(list) => list.iter().for_each(|x| gather(about, key, x, depth + 1)),
        Value::Object(map) => map.iter().for_each(|(k, x)| gather(about, k, x, depth + 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_ids_and_nothing_else_of_its_parameters() {
        let raw = json!({
            "requestParameters": {
                "groupId": "sg-0123456789abcdef0",
                "ipPermissions": {"items": [{"ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}]},
                "environment": {"variables": {"PASSWORD": "hunter2hunter2"}},
                "cluster": "prod",
            },
            "errorCode": "Client.UnauthorizedOperation",
        });
        let e = json!({
            "EventId": "e1", "EventName": "RevokeSecurityGroupIngress", "EventTime": 1_795_312_430.5,
            "EventSource": "ec2.amazonaws.com", "Username": "mika\u{1b}[2J",
            "Resources": [{"ResourceType": "AWS::EC2::SecurityGroup", "ResourceName": "sg-0123456789abcdef0"}],
            "CloudTrailEvent": raw.to_string(),
        });
        let got = event(&e).unwrap();
        let about: Vec<&str> = got.about.iter().map(SafeText::as_str).collect();
        assert_eq!(about, ["sg-0123456789abcdef0", "prod"]);
        assert_eq!(got.failed, "Client.UnauthorizedOperation");
        assert!(!got.user.contains('\u{1b}'), "nothing untrusted passes as it is");
        assert_eq!(got.at.as_second(), 1_795_312_430);
        assert!(!serde_json::to_string(&got).unwrap().contains("hunter2"));
    }

    #[test]
    fn reads_and_odd_events_are_passed_over() {
        assert!(event(&json!({"EventName": "DescribeInstances", "EventTime": 1})).is_none());
        assert!(event(&json!({"EventName": "ModifyRule"})).is_none());
        assert!(event(&json!({"EventName": "ModifyRule", "EventTime": "not a time"})).is_none());
        let dated =
            json!({"EventName": "UpdateFunctionCode20150331v2", "EventTime": 1, "CloudTrailEvent": "{"});
        assert!(event(&dated).is_some());
    }
}
