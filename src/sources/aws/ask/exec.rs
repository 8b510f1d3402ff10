//! What containers say of themselves, asked by ECS Exec: a fixed list of
//! commands that only read ([`crate::sources::host::inside_line`]), run in a
//! session that the system's own `session-manager-plugin` holds.
//! Sources: Amazon ECS API reference, `ExecuteCommand` and `DescribeTasks`;
//! "Monitor Amazon ECS containers with ECS Exec" (the task must have been
//! started with it, and its agent must run).

use crate::situation::{Fact, Observation, Reason, Topic};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::{Body, Question};
use crate::sources::host::{
    Container, LIMIT as OWN_LIMIT, Output, PLUGIN, Session, Trouble, inside_line, mark, read_inside,
    run_session, usable,
};
use crate::text::SafeText;
use futures::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one may take that nobody waits for.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How containers are asked.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// The plugin; `None` where there is none.
    pub plugin: Option<PathBuf>,
    /// For each container's session; as for any host when zero.
    pub limit: Duration,
}

#[derive(Deserialize)]
struct Tasks {
    #[serde(default)]
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Task {
    enable_execute_command: bool,
    last_status: String,
    containers: Vec<Inside>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inside {
    name: String,
    runtime_id: Option<String>,
    managed_agents: Vec<Agent>,
    network_interfaces: Vec<Card>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Agent {
    name: String,
    last_status: String,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Card {
    #[serde(rename = "privateIpv4Address")]
    address: Option<String>,
}

#[derive(Deserialize)]
struct Begun {
    session: Option<Given>,
}

/// Neither shown nor written anywhere.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Given {
    session_id: String,
    stream_url: String,
    token_value: String,
}

/// Asks all of them at once; one observation of each, and its newest log
/// lines. Never fails: one that cannot be asked is an observation too.
pub async fn observe<'a>(
    aws: &Aws,
    asks: impl Iterator<Item = &'a Container>,
    asking: &Asking,
) -> Vec<Observation> {
    let each = asks.map(|c| one(aws, c, asking));
    join_all(each).await.concat()
}

async fn one(aws: &Aws, asked: &Container, asking: &Asking) -> Vec<Observation> {
    let started = Instant::now();
    let name = asked.to_string();
    let (op, told) = match inside(aws, asked, asking).await {
        Ok(told) => (&op::EXECUTE_COMMAND, told),
        Err((op, reason)) => (op, vec![(Topic::Host(name.into()), Fact::Unknown(reason))]),
    };
    let took_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
    let made =
        |(topic, fact)| Observation { at: Timestamp::now(), source: op.id.into(), topic, fact, took_ms };
    told.into_iter().map(made).collect()
}

/// Which question failed, and why.
type Failed = (&'static Operation, Reason);

async fn inside(aws: &Aws, asked: &Container, asking: &Asking) -> Result<Vec<(Topic, Fact)>, Failed> {
    let not = |why: &str| (&op::EXECUTE_COMMAND, Reason::NotApplicable { why: SafeText::capped(why, 240) });
    let Some(plugin) = &asking.plugin else {
        return Err(not(&format!(
            "{PLUGIN} is not installed here, and ECS Exec needs it; its instance may answer to ssm:ID or ssh:NAME"
        )));
    };
    let limit = if asking.limit.is_zero() { OWN_LIMIT } else { asking.limit };
    // Before a session is opened that nobody could use.
    blocking(plugin, |p| usable(&p)).await.map_err(|t| not(&t.to_string()))?;
    let task = task(aws, asked).await.map_err(|r| (&op::DESCRIBE_TASKS, r))?;
    let container = chosen(asked, &task).map_err(|why| not(&why))?;
    let mark = mark();
    let question = json!({
        "cluster": asked.cluster,
        "task": asked.task,
        "container": container.name,
        "command": inside_line(&mark),
        "interactive": true,
    });
    let given = begin(aws, &question).await.map_err(|r| (&op::EXECUTE_COMMAND, r))?;
    let runtime = container.runtime_id.as_deref().unwrap_or_default();
    let endpoint = aws.clients().plain.as_ref().and_then(|p| p.endpoint("SSM")).unwrap_or_default();
    let session = Session {
        id: given.session_id,
        stream_url: given.stream_url,
        token: given.token_value,
        region: aws.region().to_string(),
        profile: aws.options().profile.clone().unwrap_or_default(),
        target: format!("ecs:{}_{}_{runtime}", asked.cluster, asked.task),
        endpoint,
    };
    let marked = mark.clone();
    let ran = blocking(plugin, move |p| run_session(&p, &session, &marked, limit)).await;
    let output: Output = ran.map_err(|trouble| {
        let reason = match trouble {
            Trouble::TimedOut => {
                Reason::TimedOut { after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
            }
            Trouble::Failed(detail) => Reason::Offline { detail: detail.into() },
        };
        (&op::EXECUTE_COMMAND, reason)
    })?;
    let address =
        task.containers.iter().flat_map(|c| &c.network_interfaces).find_map(|n| n.address.as_deref());
    Ok(read_inside(&asked.to_string(), &output, &mark, Timestamp::now(), address.unwrap_or_default()))
}

/// In a thread of its own: a child that hangs holds up nobody else.
async fn blocking<T: Send + 'static>(
    plugin: &Path,
    work: impl FnOnce(PathBuf) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let plugin = plugin.to_owned();
    let done = tokio::task::spawn_blocking(move || work(plugin)).await;
    done.unwrap_or_else(|e| Err(Trouble::Failed(e.to_string())))
}

async fn ask(aws: &Aws, op: &'static Operation, question: &serde_json::Value) -> Result<Body, Reason> {
    let target = format!("AmazonEC2ContainerServiceV20141113.{}", op.name);
    aws.call(op, |c| {
        let q = Question::json(&target, question);
        async move { c.plain(op, q).await }
    })
    .await
}

async fn task(aws: &Aws, asked: &Container) -> Result<Task, Reason> {
    let question = json!({ "cluster": asked.cluster, "tasks": [asked.task] });
    let body = ask(aws, &op::DESCRIBE_TASKS, &question).await?;
    let all: Tasks = super::json(&body)?;
    let what = || SafeText::capped(format!("task {} in cluster {}", asked.task, asked.cluster), 300);
    all.tasks.into_iter().next().ok_or_else(|| Reason::NotFound { what: what() })
}

/// The container that is asked; the error is one line that says what to do.
fn chosen<'t>(asked: &Container, task: &'t Task) -> Result<&'t Inside, String> {
    if !task.enable_execute_command {
        let how = "aws ecs update-service --enable-execute-command --force-new-deployment";
        return Err(format!("ECS Exec is not enabled for this task (new tasks have it after: {how})"));
    }
    if task.last_status != "RUNNING" {
        return Err(format!("the task is {}, not RUNNING", task.last_status));
    }
    let names: Vec<&str> = task.containers.iter().map(|c| c.name.as_str()).collect();
    let one = match (&asked.container, task.containers.as_slice()) {
        (Some(name), all) => all.iter().find(|c| c.name == *name),
        (None, [only]) => Some(only),
        (None, _) => {
            return Err(format!("the task has several containers; name one: {asked}/{}", names.join(" or ")));
        }
    };
    let Some(one) = one else {
        return Err(format!("the task has no such container; it has {}", names.join(", ")));
    };
    let agent = one.managed_agents.iter().find(|a| a.name == "ExecuteCommandAgent");
    match agent {
        Some(a) if a.last_status != "RUNNING" => {
            let why = a.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
            Err(format!("the agent of ECS Exec in {} is {}{why}", one.name, a.last_status))
        }
        // Without one the service says itself what is missing.
        _ => Ok(one),
    }
}

async fn begin(aws: &Aws, question: &serde_json::Value) -> Result<Given, Reason> {
    let body = ask(aws, &op::EXECUTE_COMMAND, question).await?;
    // Not as everywhere: what cannot be read may hold a token, and is not repeated.
    let begun: Option<Begun> = serde_json::from_slice(&body.0).ok();
    let given = begun.and_then(|b| b.session);
    given
        .filter(|g| !g.token_value.is_empty() && !g.stream_url.is_empty())
        .ok_or_else(|| super::lacks("a session"))
}
