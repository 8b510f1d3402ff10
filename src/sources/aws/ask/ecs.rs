//! ECS. Nothing in a load balancer says which service fills its groups, so
//! services are listed and matched by the target groups they name.

use super::Pages;
use crate::situation::Reason;
use crate::situation::ecs::{Service, Task, TaskDefinition};
use crate::sources::aws::client::Aws;
use crate::sources::aws::convert::{ecs as convert, listed};
use crate::sources::aws::operations::{self as op, Operation};
use crate::text::SafeText;
use futures::future::{join, join_all, try_join_all};
use serde_json::{Value, json};

/// Clusters looked into at most.
pub const CLUSTERS: usize = 40;
/// Services looked at most.
pub const SERVICES: usize = 400;
/// With no more clusters than this their tasks are listed along with their
/// services, before it is known which are ours: that saves a round trip.
const FEW: usize = 4;
/// Services that one `DescribeServices` takes.
const DESCRIBED: usize = 10;
/// Tasks that one `DescribeTasks` takes, and that are kept of a service.
const TASKS: usize = 100;
/// Tasks of a service in one state that are listed at most.
const LISTED: usize = 500;

/// One page of a list; the API's JSON writes names in lower camel case.
async fn page<T: serde::de::DeserializeOwned>(
    aws: &Aws,
    pages: &Pages,
    op: &'static Operation,
    question: Value,
) -> Result<T, Reason> {
    let target = format!("AmazonEC2ContainerServiceV20141113.{}", op.name);
    pages.json_by(aws, op, &target, question, "nextToken").await
}

/// A service by cluster and ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    pub cluster: String,
    pub arn: String,
}

/// The task ARNs of one cluster.
#[derive(Clone, Debug)]
pub struct TaskList {
    pub cluster: String,
    pub arns: Vec<String>,
    /// False when there are more than one page.
    pub whole: bool,
}

/// What there is, by name only.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub services: Vec<ServiceId>,
    /// Tasks of all clusters, where there are few clusters.
    pub tasks: Vec<TaskList>,
    /// What was left out, when there was too much.
    pub cut: Option<SafeText>,
}

/// Lists services, and tasks where there are few clusters.
pub async fn list(aws: &Aws) -> Result<Listing, Reason> {
    let mut clusters = clusters(aws).await?;
    let mut cut = None;
    if clusters.len() > CLUSTERS {
        let n = clusters.len();
        cut = Some(SafeText::from(format!("only {CLUSTERS} of {n} ECS clusters were looked into")));
        clusters.truncate(CLUSTERS);
    }
    let services = try_join_all(clusters.iter().map(|c| services(aws, c)));
    let speculate = if clusters.len() <= FEW { clusters.as_slice() } else { &[] };
    let tasks = join_all(speculate.iter().map(|c| some_tasks(aws, c)));
    let (services, tasks) = join(services, tasks).await;
    let mut services: Vec<ServiceId> = services?.into_iter().flatten().collect();
    if services.len() > SERVICES {
        let n = services.len();
        cut = Some(SafeText::from(format!("only {SERVICES} of {n} ECS services were looked at")));
        services.truncate(SERVICES);
    }
    // A list of tasks that failed is asked for again by service, and says why then.
    Ok(Listing { services, tasks: tasks.into_iter().flatten().collect(), cut })
}

/// The ARNs of all clusters.
pub async fn clusters(aws: &Aws) -> Result<Vec<String>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let out: convert::Clusters = page(aws, &pages, &op::LIST_CLUSTERS, json!({})).await?;
        all.extend(listed(out.cluster_arns, "clusterArns")?);
        if !pages.advance(out.next_token)? {
            return Ok(all);
        }
    }
}

async fn services(aws: &Aws, cluster: &str) -> Result<Vec<ServiceId>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let ask = json!({ "cluster": cluster, "maxResults": 100 });
        let out: convert::Services = page(aws, &pages, &op::LIST_SERVICES, ask).await?;
        let arns = listed(out.service_arns, "serviceArns")?;
        all.extend(arns.into_iter().map(|arn| ServiceId { cluster: cluster.to_string(), arn }));
        if !pages.advance(out.next_token)? || all.len() > SERVICES {
            return Ok(all);
        }
    }
}

/// What ECS means a task to do.
const RUNNING: &str = "RUNNING";
const STOPPED: &str = "STOPPED";

/// One page of a cluster's task ARNs, and whether it is all.
async fn task_page(aws: &Aws, cluster: &str, status: &str) -> Result<(Vec<String>, bool), Reason> {
    let ask = json!({ "cluster": cluster, "desiredStatus": status });
    let out: convert::TaskArns = page(aws, &Pages::default(), &op::LIST_TASKS, ask).await?;
    let whole = out.next_token.is_none_or(|t| t.is_empty());
    Ok((listed(out.task_arns, "taskArns")?, whole))
}

async fn some_tasks(aws: &Aws, cluster: &str) -> Option<TaskList> {
    let (running, stopped) = join(task_page(aws, cluster, RUNNING), task_page(aws, cluster, STOPPED)).await;
    let ((mut arns, whole), (stopped, also)) = (running.ok()?, stopped.ok()?);
    arns.extend(stopped);
    Some(TaskList { cluster: cluster.to_string(), arns, whole: whole && also })
}

/// Describes services; those that are gone are left out.
pub async fn describe(aws: &Aws, services: &[ServiceId]) -> Result<Vec<Service>, Reason> {
    let mut sorted: Vec<&ServiceId> = services.iter().collect();
    sorted.sort();
    let parts = sorted
        .chunk_by(|a, b| a.cluster == b.cluster)
        .flat_map(|same| same.chunks(DESCRIBED))
        .map(|part| describe_part(aws, part));
    Ok(try_join_all(parts).await?.into_iter().flatten().collect())
}

async fn describe_part(aws: &Aws, part: &[&ServiceId]) -> Result<Vec<Service>, Reason> {
    let Some(first) = part.first() else { return Ok(Vec::new()) };
    let arns: Vec<&str> = part.iter().map(|s| s.arn.as_str()).collect();
    let ask = json!({ "cluster": first.cluster, "services": arns });
    let out: convert::Described = page(aws, &Pages::default(), &op::DESCRIBE_SERVICES, ask).await?;
    Ok(listed(out.services, "services")?.iter().map(convert::service).collect())
}

/// Describes tasks of one cluster; those that are gone are left out.
pub async fn describe_tasks(aws: &Aws, cluster: &str, arns: &[String]) -> Result<Vec<Task>, Reason> {
    let parts = arns.chunks(TASKS).map(|part| async move {
        let ask = json!({ "cluster": cluster, "tasks": part });
        let out: convert::Tasks = page(aws, &Pages::default(), &op::DESCRIBE_TASKS, ask).await?;
        Ok::<_, Reason>(listed(out.tasks, "tasks")?.iter().map(convert::task).collect::<Vec<_>>())
    });
    Ok(try_join_all(parts).await?.into_iter().flatten().collect())
}

/// All tasks of a service in one state, up to a bound.
async fn task_arns(aws: &Aws, service: &ServiceId, status: &str) -> Result<Vec<String>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    loop {
        let ask = json!({
            "cluster": service.cluster,
            "serviceName": service.arn,
            "desiredStatus": status,
        });
        let out: convert::TaskArns = page(aws, &pages, &op::LIST_TASKS, ask).await?;
        all.extend(listed(out.task_arns, "taskArns")?);
        if !pages.advance(out.next_token)? || all.len() >= LISTED {
            return Ok(all);
        }
    }
}

/// Tasks of a service: the running and the lately stopped ones (ECS keeps
/// those for about an hour), newest first.
pub async fn tasks_of(aws: &Aws, service: &ServiceId) -> Result<Vec<Task>, Reason> {
    let (running, stopped) = join(task_arns(aws, service, RUNNING), task_arns(aws, service, STOPPED)).await;
    let mut arns = running?;
    arns.extend(stopped?);
    Ok(newest(describe_tasks(aws, &service.cluster, &arns).await?))
}

/// Newest first, at most as many as are kept.
pub fn newest(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by_key(|t| std::cmp::Reverse(t.stopped.max(t.started)));
    tasks.truncate(TASKS);
    tasks
}

/// A task definition.
pub async fn task_definition(aws: &Aws, arn: &str) -> Result<TaskDefinition, Reason> {
    let ask = json!({ "taskDefinition": arn });
    let out: convert::Definition = page(aws, &Pages::default(), &op::DESCRIBE_TASK_DEFINITION, ask).await?;
    let lacks = || super::lacks("taskDefinition");
    out.task_definition.as_ref().map(convert::task_definition).ok_or_else(lacks)
}
