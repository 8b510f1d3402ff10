//! CodeDeploy: deployments of a stretch of time and what they go to.
//! Source: AWS CodeDeploy API reference (2014-10-06), `ListDeployments`,
//! `BatchGetDeployments` (25 ids), `BatchGetDeploymentGroups` (100 names),
//! `ListDeploymentTargets` (of functions, their names).

use super::Pages;
use super::around::{moment, word};
use crate::situation::beside::Release;
use crate::situation::{Reason, function_name};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::Question;
use crate::text::SafeText;
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Pages of 100 that are listed, and deployments looked into.
const PAGES: usize = 3;
const MOST: usize = 50;
/// Deployments in one question.
const BATCH: usize = 25;
/// Deployments to functions whose targets are listed.
const FUNCTIONS: usize = 6;
/// Applications whose deployment groups are read.
const APPLICATIONS: usize = 8;

async fn ask(aws: &Aws, op: &'static Operation, question: Value) -> Result<Value, Reason> {
    let target = target(op);
    let body = aws
        .call(op, |c| {
            let q = Question::json(&target, &question);
            async move { c.plain(op, q).await }
        })
        .await?;
    super::json(&body)
}

fn target(op: &Operation) -> String {
    format!("CodeDeploy_20141006.{}", op.name)
}

/// Deployments created between two moments, newest first. What their groups
/// go to is read where it may be: without that right they are known all the same.
pub async fn releases(aws: &Aws, from: Timestamp, to: Timestamp) -> Result<Vec<Release>, Reason> {
    let range = json!({ "start": from.as_second(), "end": to.as_second() });
    let (mut pages, mut ids) = (Pages::default(), Vec::<String>::new());
    for _ in 0..PAGES {
        let question = json!({ "createTimeRange": range });
        let op = &op::LIST_DEPLOYMENTS;
        let page: Value = pages.json_by(aws, op, &target(op), question, "nextToken").await?;
        let list =
            page.get("deployments").and_then(Value::as_array).ok_or_else(|| super::lacks("deployments"))?;
        ids.extend(list.iter().filter_map(Value::as_str).map(String::from));
        if !pages.advance(page.get("nextToken").and_then(Value::as_str).map(String::from))? {
            break;
        }
    }
    ids.truncate(MOST);
    let parts =
        ids.chunks(BATCH).map(|part| ask(aws, &op::BATCH_GET_DEPLOYMENTS, json!({ "deploymentIds": part })));
    let mut all = Vec::new();
    for doc in try_join_all(parts).await? {
        let list = doc.get("deploymentsInfo").and_then(Value::as_array);
        all.extend(list.ok_or_else(|| super::lacks("deploymentsInfo"))?.iter().map(release));
    }
    groups(aws, &mut all).await;
    functions(aws, &mut all).await;
    all.sort_by(|a, b| b.created.cmp(&a.created).then(a.id.as_str().cmp(b.id.as_str())));
    Ok(all)
}

/// Adds which functions the newest deployments to functions go to: neither
/// they nor their groups say so.
async fn functions(aws: &Aws, all: &mut [Release]) {
    let mut ours: Vec<&mut Release> = all.iter_mut().filter(|r| r.platform.as_str() == "Lambda").collect();
    ours.sort_by_key(|r| std::cmp::Reverse(r.created));
    let asked = ours.into_iter().take(FUNCTIONS).map(|r| async move {
        let question = json!({ "deploymentId": r.id });
        let told = ask(aws, &op::LIST_DEPLOYMENT_TARGETS, question).await.and_then(|d| {
            let list = d.get("targetIds").and_then(Value::as_array).cloned();
            list.ok_or_else(|| super::lacks("targetIds"))
        });
        match told {
            Ok(ids) => r.functions = ids.iter().filter_map(Value::as_str).map(function_of).collect(),
            Err(reason) => r.untold = Some(reason),
        }
    });
    join_all(asked).await;
}

/// Name of a function: targets are told by name, with an alias, or by ARN.
fn function_of(target: &str) -> SafeText {
    let name = function_name(target).unwrap_or_else(|| target.split(':').next().unwrap_or(target));
    SafeText::capped(name, 170)
}

/// Adds what the deployment groups say of where they go.
async fn groups(aws: &Aws, all: &mut [Release]) {
    let mut of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for r in all.iter().filter(|r| !r.application.is_empty() && !r.group.is_empty()) {
        of.entry(r.application.as_str()).or_default().insert(r.group.as_str());
    }
    let asked = of.into_iter().take(APPLICATIONS).map(|(app, groups)| {
        let question = json!({ "applicationName": app, "deploymentGroupNames": groups });
        async move { ask(aws, &op::BATCH_GET_DEPLOYMENT_GROUPS, question).await.ok() }
    });
    let told: Vec<Value> = join_all(asked).await.into_iter().flatten().collect();
    let list =
        |d: &Value| d.get("deploymentGroupsInfo").and_then(Value::as_array).cloned().unwrap_or_default();
    for g in told.iter().flat_map(list) {
        let (app, name) = (word(&g, "applicationName"), word(&g, "deploymentGroupName"));
        let mut goes = Release::default();
        where_to(&mut goes, &g);
        for r in all.iter_mut().filter(|r| r.application == app && r.group == name) {
            for (mine, theirs) in [
                (&mut r.balancers, &goes.balancers),
                (&mut r.scaling_groups, &goes.scaling_groups),
                (&mut r.services, &goes.services),
            ] {
                mine.extend(theirs.iter().cloned());
                mine.sort();
                mine.dedup();
            }
            r.tags.extend(goes.tags.iter().cloned());
            r.tags.sort();
            r.tags.dedup();
        }
    }
}

fn items<'a>(v: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    v.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// Load balancers, groups, services and tags, as both a deployment and a
/// deployment group write them.
fn where_to(r: &mut Release, d: &Value) {
    let names = |path: &str| items(d, path).map(|x| word(x, "name")).collect::<Vec<_>>();
    r.balancers = names("/loadBalancerInfo/targetGroupInfoList");
    r.balancers.extend(names("/loadBalancerInfo/elbInfoList"));
    for pair in items(d, "/loadBalancerInfo/targetGroupPairInfoList") {
        r.balancers.extend(items(pair, "/targetGroups").map(|x| word(x, "name")));
    }
    r.scaling_groups = names("/autoScalingGroups");
    let asked = items(d, "/targetInstances/autoScalingGroups").filter_map(Value::as_str);
    r.scaling_groups.extend(asked.map(|n| SafeText::capped(n, 300)));
    r.services = items(d, "/ecsServices").map(|x| word(x, "serviceName")).collect();
    let sets = items(d, "/ec2TagSet/ec2TagSetList").flat_map(|s| s.as_array().into_iter().flatten());
    r.tags = items(d, "/ec2TagFilters").chain(sets).map(|t| (word(t, "Key"), word(t, "Value"))).collect();
    for list in [&mut r.balancers, &mut r.scaling_groups, &mut r.services] {
        list.retain(|n| !n.is_empty());
        list.sort();
        list.dedup();
    }
}

fn release(d: &Value) -> Release {
    let error = d.get("errorInformation").map(|e| [word(e, "code"), word(e, "message")]).unwrap_or_default();
    let error: Vec<&str> = error.iter().map(SafeText::as_str).filter(|t| !t.is_empty()).collect();
    let mut r = Release {
        id: word(d, "deploymentId"),
        application: word(d, "applicationName"),
        group: word(d, "deploymentGroupName"),
        status: word(d, "status"),
        created: moment(d.get("createTime")),
        ended: moment(d.get("completeTime")),
        creator: word(d, "creator"),
        platform: word(d, "computePlatform"),
        error: SafeText::capped(error.join(": "), 300),
        ..Release::default()
    };
    where_to(&mut r, d);
    r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_says_where_it_goes() {
        let r = release(&json!({
            "deploymentId": "d-1", "applicationName": "shop", "deploymentGroupName": "web", "status": "Failed",
            "createTime": 1_795_312_430.5, "creator": "user", "computePlatform": "Server",
            "errorInformation": {"code": "HEALTH_CONSTRAINTS", "message": "too many failed"},
            "loadBalancerInfo": {"targetGroupInfoList": [{"name": "web"}],
                "targetGroupPairInfoList": [{"targetGroups": [{"name": "blue"}, {"name": "green"}]}]},
            "targetInstances": {"autoScalingGroups": ["asg-web"]},
        }));
        assert_eq!(r.balancers.iter().map(SafeText::as_str).collect::<Vec<_>>(), ["blue", "green", "web"]);
        assert_eq!(r.scaling_groups, ["asg-web"]);
        assert_eq!(r.error, "HEALTH_CONSTRAINTS: too many failed");
        assert_eq!(r.created.unwrap().as_second(), 1_795_312_430);
        assert_eq!(r.ended, None);
    }

    #[test]
    fn a_group_names_instances_by_tags() {
        let mut r = Release::default();
        where_to(
            &mut r,
            &json!({"ec2TagFilters": [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}],
                "ec2TagSet": {"ec2TagSetList": [[{"Key": "env", "Value": "prod"}]]},
                "ecsServices": [{"serviceName": "svc", "clusterName": "c"}], "autoScalingGroups": [{"name": "a", "hook": "h"}]}),
        );
        let tags: Vec<(&str, &str)> = r.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(tags, [("role", "web"), ("env", "prod")]);
        assert_eq!((r.services[0].as_str(), r.scaling_groups[0].as_str()), ("svc", "a"));
    }
}
