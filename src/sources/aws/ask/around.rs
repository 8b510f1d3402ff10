//! What surrounds a path: status checks, Auto Scaling, certificates,
//! databases, functions.

use super::Pages;
use crate::situation::Reason;
use crate::situation::around::{
    Activity, ApplicationCheck, Certificate, Database, Function, InstanceStatus, ScalingGroup,
};
use crate::sources::aws::client::Aws;
use crate::sources::aws::convert::listed;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::{Question, encode};
use crate::sources::aws::xml::Node;
use crate::text::SafeText;
use aws_sdk_ec2::types::{ApplicationStatusDetail, InstanceStatus as Sdk};
use futures::future::{join3, try_join_all};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Instances in one status question.
const STATUSES: usize = 100;
/// Auto Scaling groups looked at most.
const SCALING_GROUPS: usize = 10;

const AUTO_SCALING: &str = "2011-01-01";
const RDS: &str = "2014-10-31";

/// Status checks of instances, running or not.
pub async fn instance_status(aws: &Aws, ids: &[SafeText]) -> Result<Vec<InstanceStatus>, Reason> {
    let parts = ids.chunks(STATUSES).map(|part| {
        let part: Vec<String> = part.iter().map(ToString::to_string).collect();
        async move {
            let out = aws
                .call(&op::DESCRIBE_INSTANCE_STATUS, |c| {
                    c.ec2
                        .describe_instance_status()
                        .set_instance_ids(Some(part.clone()))
                        .include_all_instances(true)
                        .send()
                })
                .await?;
            let list = listed(out.instance_statuses, "instanceStatusSet")?;
            Ok::<_, Reason>(list.iter().map(status).collect::<Vec<_>>())
        }
    });
    let mut all: Vec<InstanceStatus> = try_join_all(parts).await?.into_iter().flatten().collect();
    let failing: Vec<&mut InstanceStatus> =
        all.iter_mut().filter(|s| s.application.as_str() == "impaired").take(STATUSES).collect();
    if !failing.is_empty() {
        why_impaired(aws, failing).await;
    }
    Ok(all)
}

/// Adds which checks of the application fail and how: asked only where one does.
async fn why_impaired(aws: &Aws, mut failing: Vec<&mut InstanceStatus>) {
    let ids: Vec<String> = failing.iter().map(|s| s.id.to_string()).collect();
    let (mut pages, mut told) = (Pages::default(), Vec::new());
    let read = loop {
        let answer = pages
            .ask(aws, &op::DESCRIBE_APPLICATION_STATUS, |c, token| {
                let ask = c.ec2.describe_application_status().set_instance_ids(Some(ids.clone()));
                ask.set_next_token(token).send()
            })
            .await
            .and_then(|out| {
                let list = out.application_statuses.and_then(|s| s.instances);
                told.extend(listed(list, "applicationStatuses")?);
                pages.advance(out.next_token)
            });
        match answer {
            Ok(true) => {}
            Ok(false) => break None,
            Err(reason) => break Some(reason),
        }
    };
    for s in &mut failing {
        s.application_unread.clone_from(&read);
        let own = told.iter().filter(|t| t.instance_id() == Some(s.id.as_str()));
        let details = own.filter_map(|t| t.application_status()).flat_map(|a| a.details());
        s.application_checks = details.filter(|d| fails(d)).map(application_check).collect();
    }
}

fn fails(d: &ApplicationStatusDetail) -> bool {
    d.status().is_some_and(|s| s.as_str() == "failed")
}

fn application_check(d: &ApplicationStatusDetail) -> ApplicationCheck {
    let word = |w: Option<&str>| SafeText::capped(w.unwrap_or_default(), 80);
    let why = d.reason();
    ApplicationCheck {
        id: word(d.application_status_check_id()),
        reason: word(why.and_then(|r| r.code())),
        status_code: why.and_then(|r| r.status_code()),
        since: d.status_since().and_then(|t| Timestamp::from_second(t.secs()).ok()),
    }
}

fn status(x: &Sdk) -> InstanceStatus {
    let word = |w: Option<&str>| SafeText::capped(w.unwrap_or_default(), 80);
    InstanceStatus {
        id: word(x.instance_id()),
        state: word(x.instance_state().and_then(|s| s.name()).map(|n| n.as_str())),
        system: word(x.system_status().and_then(|s| s.status()).map(|s| s.as_str())),
        instance: word(x.instance_status().and_then(|s| s.status()).map(|s| s.as_str())),
        volumes: word(x.attached_ebs_status().and_then(|s| s.status()).map(|s| s.as_str())),
        application_checks: Vec::new(),
        application_unread: None,
        application: word(x.application_status().and_then(|s| s.status()).map(|s| s.as_str())),
        performance: word(x.performance_status().and_then(|s| s.status()).map(|s| s.as_str())),
        events: x
            .events()
            .iter()
            .map(|e| {
                let code = e.code().map_or("event", |c| c.as_str());
                SafeText::capped(format!("{code}: {}", e.description().unwrap_or_default()), 200)
            })
            .collect(),
    }
}

/// One query answer: the element `OPERATIONResult`.
pub(super) async fn query(
    aws: &Aws,
    op: &'static Operation,
    version: &'static str,
    fields: &[(String, String)],
) -> Result<Node, Reason> {
    let body = aws
        .call(op, |c| {
            let q = Question::form(op.name, version, fields);
            async move { c.plain(op, q).await }
        })
        .await?;
    let mut root = Node::parse(&body.0).map_err(|what| Reason::Malformed { detail: what.into() })?;
    let name = format!("{}Result", op.name);
    let at = root.children.iter().position(|c| c.name == name).ok_or_else(|| super::lacks(&name))?;
    Ok(root.children.swap_remove(at))
}

pub(super) fn text(n: &Node, name: &str) -> SafeText {
    SafeText::capped(n.text_of(name), 1024)
}

pub(super) fn number<T: std::str::FromStr>(n: &Node, name: &str) -> Option<T> {
    n.text_of(name).parse().ok()
}

fn time(n: &Node, name: &str) -> Option<Timestamp> {
    n.text_of(name).parse().ok()
}

/// Auto Scaling groups that fill these target groups or hold these instances,
/// with their latest activities. All groups are listed: one that was emptied
/// holds no instance that would lead to it.
pub async fn scaling(
    aws: &Aws,
    target_groups: &[SafeText],
    instances: &[SafeText],
) -> Result<Vec<ScalingGroup>, Reason> {
    let (mut pages, mut ours) = (Pages::default(), Vec::new());
    loop {
        let mut fields = vec![("MaxRecords".to_string(), "100".to_string())];
        fields.extend(pages.token().map(|t| ("NextToken".to_string(), t)));
        let out = query(aws, &op::DESCRIBE_AUTO_SCALING_GROUPS, AUTO_SCALING, &fields).await?;
        ours.extend(out.members("AutoScalingGroups").map(scaling_group).filter(|g| {
            g.target_groups.iter().any(|t| target_groups.contains(t))
                || g.instances.iter().any(|(id, _)| instances.contains(id))
        }));
        if !pages.advance(Some(out.text_of("NextToken").to_string()))? {
            break;
        }
    }
    ours.truncate(SCALING_GROUPS);
    try_join_all(ours.into_iter().map(|mut g| async move {
        let fields =
            [("AutoScalingGroupName".into(), g.name.to_string()), ("MaxRecords".into(), "50".into())];
        let out = query(aws, &op::DESCRIBE_SCALING_ACTIVITIES, AUTO_SCALING, &fields).await?;
        g.activities = out.members("Activities").filter_map(activity).collect();
        Ok(g)
    }))
    .await
}

fn scaling_group(n: &Node) -> ScalingGroup {
    let list = |name: &str, of: &str| n.members(name).map(|m| text(m, of)).collect();
    ScalingGroup {
        name: text(n, "AutoScalingGroupName"),
        min: number(n, "MinSize").unwrap_or_default(),
        max: number(n, "MaxSize").unwrap_or_default(),
        desired: number(n, "DesiredCapacity").unwrap_or_default(),
        health_check: text(n, "HealthCheckType"),
        grace_s: number(n, "HealthCheckGracePeriod"),
        suspended: list("SuspendedProcesses", "ProcessName"),
        target_groups: n.members("TargetGroupARNs").map(|m| SafeText::capped(m.text.trim(), 300)).collect(),
        instances: n
            .members("Instances")
            .map(|m| (text(m, "InstanceId"), text(m, "LifecycleState")))
            .collect(),
        activities: Vec::new(),
    }
}

fn activity(n: &Node) -> Option<Activity> {
    Some(Activity {
        at: time(n, "StartTime")?,
        ended: time(n, "EndTime"),
        status: text(n, "StatusCode"),
        what: text(n, "Description"),
        cause: text(n, "Cause"),
    })
}

/// A certificate of ACM.
pub async fn certificate(aws: &Aws, arn: &str) -> Result<Certificate, Reason> {
    let body = aws
        .call(&op::DESCRIBE_CERTIFICATE, |c| {
            let q =
                Question::json("CertificateManager.DescribeCertificate", &json!({ "CertificateArn": arn }));
            async move { c.plain(&op::DESCRIBE_CERTIFICATE, q).await }
        })
        .await?;
    let doc: Value = super::json(&body)?;
    let c = doc.get("Certificate").ok_or_else(|| super::lacks("Certificate"))?;
    let renewal = c.get("RenewalSummary").map(|r| {
        [word(r, "RenewalStatus"), word(r, "RenewalStatusReason")].iter().filter(|t| !t.is_empty()).fold(
            String::new(),
            |mut all, t| {
                if !all.is_empty() {
                    all.push_str(": ");
                }
                all.push_str(t);
                all
            },
        )
    });
    Ok(Certificate {
        arn: arn.into(),
        status: word(c, "Status"),
        domain: word(c, "DomainName"),
        names: c
            .get("SubjectAlternativeNames")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|n| SafeText::capped(n, 253))
            .collect(),
        not_before: moment(c.get("NotBefore")),
        not_after: moment(c.get("NotAfter")),
        kind: word(c, "Type"),
        renewal: renewal.map(SafeText::from).unwrap_or_default(),
    })
}

pub(super) fn word(v: &Value, name: &str) -> SafeText {
    SafeText::capped(v.get(name).and_then(Value::as_str).unwrap_or_default(), 300)
}

/// A time as JSON services write it: seconds since 1970, or a text.
pub(super) fn moment(v: Option<&Value>) -> Option<Timestamp> {
    match v? {
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
        Value::Number(n) => Timestamp::from_millisecond((n.as_f64()? * 1000.0) as i64).ok(),
        // Lambda: 2026-11-22T01:40:00.000+0000
        Value::String(s) => s.parse().ok().or_else(|| s.replace("+0000", "Z").parse().ok()),
        _ => None,
    }
}

/// Databases of the account and region.
pub async fn databases(aws: &Aws) -> Result<Vec<(String, Database)>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let mut fields = vec![("MaxRecords".to_string(), "100".to_string())];
        fields.extend(pages.token().map(|t| ("Marker".to_string(), t)));
        let out = query(aws, &op::DESCRIBE_DB_INSTANCES, RDS, &fields).await?;
        all.extend(out.members("DBInstances").map(database));
        let next = Some(out.text_of("Marker").to_string());
        if !pages.advance(next)? {
            return Ok(all);
        }
    }
}

/// A database and its VPC.
fn database(n: &Node) -> (String, Database) {
    let vpc = n.at(&["DBSubnetGroup", "VpcId"]).map_or(String::new(), |v| v.text.trim().to_string());
    let endpoint = n.child("Endpoint");
    let db = Database {
        id: text(n, "DBInstanceIdentifier"),
        arn: text(n, "DBInstanceArn"),
        status: text(n, "DBInstanceStatus"),
        engine: text(n, "Engine"),
        class: text(n, "DBInstanceClass"),
        host: endpoint.map(|e| text(e, "Address")).unwrap_or_default(),
        port: endpoint.and_then(|e| number(e, "Port")),
        security_groups: n.members("VpcSecurityGroups").map(|g| text(g, "VpcSecurityGroupId")).collect(),
        multi_az: n.text_of("MultiAZ") == "true",
    };
    (vpc, db)
}

/// A function: how it is set up, who may invoke it, what concurrency it has.
/// The latter two are niceties: without the right to read them the function is
/// known all the same.
pub async fn function(aws: &Aws, arn: &str) -> Result<Function, Reason> {
    // The policy of an alias or version is its own.
    let (plain, qualifier) = split(arn);
    let name = encode(&plain);
    let tail = qualifier.as_deref().map(|q| format!("?Qualifier={}", encode(q))).unwrap_or_default();
    let ask = |op: &'static Operation, path: String| async move {
        let body = aws
            .call(op, |c| {
                let q = Question::get(path.clone());
                async move { c.plain(op, q).await }
            })
            .await?;
        super::json::<Value>(&body)
    };
    let (config, policy, concurrency) = join3(
        ask(&op::GET_FUNCTION_CONFIGURATION, format!("/2015-03-31/functions/{name}/configuration{tail}")),
        ask(&op::GET_POLICY, format!("/2015-03-31/functions/{name}/policy{tail}")),
        ask(&op::GET_FUNCTION_CONCURRENCY, format!("/2019-09-30/functions/{name}/concurrency")),
    )
    .await;
    let c = config?;
    let mut gaps: Vec<(SafeText, Reason)> = Vec::new();
    let invokers = match policy {
        Ok(p) => Some(invokers(p.get("Policy").and_then(Value::as_str).unwrap_or_default())),
        // No policy at all: nobody else may invoke it.
        Err(Reason::NotFound { .. }) => Some(Vec::new()),
        Err(Reason::Failed { code, .. }) if code.contains("ResourceNotFound") => Some(Vec::new()),
        Err(reason) => {
            gaps.push(("resource policy".into(), reason));
            None
        }
    };
    if let Err(reason) = &concurrency {
        gaps.push(("reserved concurrency".into(), reason.clone()));
    }
    let small = |v: Option<&Value>| v.and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let own = word(&c, "FunctionArn");
    Ok(Function {
        arn: if arn.starts_with("arn:") || own.is_empty() { arn.into() } else { own },
        name: word(&c, "FunctionName"),
        state: word(&c, "State"),
        state_reason: match word(&c, "StateReasonCode") {
            code if code.is_empty() => word(&c, "StateReason"),
            code => code,
        },
        last_update: word(&c, "LastUpdateStatus"),
        modified: moment(c.get("LastModified")),
        timeout_s: small(c.get("Timeout")),
        memory_mib: small(c.get("MemorySize")),
        reserved: concurrency.ok().and_then(|c| small(c.get("ReservedConcurrentExecutions"))),
        invokers,
        log_group: c.get("LoggingConfig").map(|l| word(l, "LogGroup")).unwrap_or_default(),
        gaps,
    })
}

/// ARN without its qualifier, and the qualifier.
fn split(arn: &str) -> (String, Option<String>) {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        [head @ .., qualifier] if head.len() == 7 => (head.join(":"), Some((*qualifier).to_string())),
        _ => (arn.to_string(), None),
    }
}

/// Principals that the statements of a policy allow.
fn invokers(policy: &str) -> Vec<SafeText> {
    let doc: Value = serde_json::from_str(policy).unwrap_or(Value::Null);
    let mut all = BTreeSet::new();
    for s in doc.get("Statement").and_then(Value::as_array).into_iter().flatten() {
        if s.get("Effect").and_then(Value::as_str) != Some("Allow") {
            continue;
        }
        match s.get("Principal") {
            Some(Value::String(p)) => {
                all.insert(p.clone());
            }
            Some(Value::Object(map)) => {
                for v in map.values() {
                    match v {
                        Value::String(p) => {
                            all.insert(p.clone());
                        }
                        Value::Array(list) => {
                            all.extend(list.iter().filter_map(Value::as_str).map(String::from))
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    all.into_iter().map(|p| SafeText::capped(p, 200)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_who_may_invoke() {
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": "elasticloadbalancing.amazonaws.com"}},
            {"Effect": "Allow", "Principal": {"AWS": ["arn:a", "arn:b"]}},
            {"Effect": "Deny", "Principal": "*"},
        ]});
        let got = invokers(&policy.to_string());
        let got: Vec<&str> = got.iter().map(SafeText::as_str).collect();
        assert_eq!(got, ["arn:a", "arn:b", "elasticloadbalancing.amazonaws.com"]);
        assert!(invokers("not json").is_empty());
    }

    #[test]
    fn a_function_arn_may_carry_a_qualifier() {
        let plain = "arn:aws:lambda:r:1:function:quotes";
        assert_eq!(split(plain), (plain.to_string(), None));
        assert_eq!(
            split("arn:aws:lambda:r:1:function:quotes:live"),
            (plain.to_string(), Some("live".into()))
        );
    }

    #[test]
    fn times_come_as_numbers_and_texts() {
        assert_eq!(moment(Some(&json!(1_795_312_430))).unwrap().as_second(), 1_795_312_430);
        assert_eq!(
            moment(Some(&json!("2026-11-22T01:40:00.000+0000"))).unwrap().to_string(),
            "2026-11-22T01:40:00Z"
        );
        assert!(moment(Some(&json!("soon"))).is_none());
    }
}
