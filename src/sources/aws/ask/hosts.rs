//! What instances say of themselves, asked by Systems Manager Run Command: a
//! fixed list of commands that only read ([`crate::sources::host::BRIEF`]).
//! Source: Systems Manager API reference, `SendCommand` and
//! `GetCommandInvocation` (an invocation is not there at once: the answer is
//! `InvocationDoesNotExist` until it is; output ends after 24,000 characters).

use super::{Pages, json as read};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{self as op, Operation};
use crate::sources::aws::plain::Question;
use crate::sources::host::{Local, Ran, brief_lines, mark, read_brief};
use crate::text::SafeText;
use futures::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// One instance, and what of it is a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAsk {
    /// `i-0abc`.
    pub id: SafeText,
    pub local: Option<Local>,
}

/// How long an instance may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks for an answer: at first, and at most.
const FIRST: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(2);
/// Seconds the agent lets the script run; the least it takes is 30.
const RUNS: u32 = 30;

/// The name of a host asked this way.
pub fn name(id: &str) -> String {
    format!("ssm:{id}")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Managed {
    #[serde(default)]
    instance_information_list: Vec<Agent>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Agent {
    #[serde(default)]
    instance_id: String,
    #[serde(default)]
    ping_status: String,
    #[serde(default)]
    platform_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    command: Option<SentCommand>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SentCommand {
    #[serde(default)]
    command_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invocation {
    #[serde(default)]
    status: String,
    #[serde(default)]
    status_details: String,
    #[serde(default)]
    standard_output_content: String,
}

async fn ask(aws: &Aws, op: &'static Operation, question: &Value) -> Result<Value, Reason> {
    let target = format!("AmazonSSM.{}", op.name);
    let body = aws
        .call(op, |c| {
            let q = Question::json(&target, question);
            async move { c.plain(op, q).await }
        })
        .await?;
    read(&body)
}

/// Asks all of them; one observation of each, and its newest log lines. An
/// instance without the agent is not asked, and says so.
pub async fn observe(aws: &Aws, asks: &[HostAsk]) -> Vec<Observation> {
    let started = Instant::now();
    let unknown = |op: &Operation, id: &SafeText, reason: Reason| Observation {
        at: Timestamp::now(),
        source: op.id.into(),
        topic: Topic::Host(name(id).into()),
        fact: Fact::Unknown(reason),
        took_ms: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
    };
    let ids: BTreeSet<&SafeText> = asks.iter().map(|a| &a.id).collect();
    let managed = match managed(aws, &ids).await {
        Ok(all) => all,
        Err(reason) => {
            let op = &op::DESCRIBE_INSTANCE_INFORMATION;
            return ids.into_iter().map(|id| unknown(op, id, reason.clone())).collect();
        }
    };
    let mut out = Vec::new();
    for id in ids.iter().filter(|id| !managed.contains(id.as_str())) {
        let detail = "no agent of Systems Manager answers there";
        let reason = Reason::NotApplicable { why: detail.into() };
        out.push(unknown(&op::DESCRIBE_INSTANCE_INFORMATION, id, reason));
    }
    // Instances that differ in nothing but their id are asked together.
    let mut by: BTreeMap<Option<&Local>, Vec<&SafeText>> = BTreeMap::new();
    for a in asks.iter().filter(|a| managed.contains(a.id.as_str())) {
        by.entry(a.local.as_ref()).or_default().push(&a.id);
    }
    let answers = by.into_iter().map(|(local, ids)| async move {
        let (sent, mark) = (Timestamp::now(), mark());
        match send(aws, &ids, &brief_lines(&mark, local)).await {
            Err(reason) => ids.iter().map(|id| (*id, Err((&op::SEND_COMMAND, reason.clone())))).collect(),
            Ok(command) => {
                let mark = mark.as_str();
                let command = command.as_str();
                let each = ids.iter().map(|id| async move {
                    let said = invocation(aws, command, id).await;
                    let (op, received) = (&op::GET_COMMAND_INVOCATION, Timestamp::now());
                    let seen = said.map_err(|r| (op, r)).map(|output| {
                        let asked = name(id);
                        let ran = Ran {
                            asked: &asked,
                            source: op.id,
                            output: &output,
                            mark,
                            local,
                            sent,
                            received,
                        };
                        read_brief(&ran)
                    });
                    (*id, seen)
                });
                join_all(each).await
            }
        }
    });
    for (id, seen) in join_all(answers).await.into_iter().flatten() {
        match seen {
            Ok(list) => out.extend(list),
            Err((op, reason)) => out.push(unknown(op, id, reason)),
        }
    }
    out
}

/// Which of these have an agent that answers, and a shell.
async fn managed(aws: &Aws, ids: &BTreeSet<&SafeText>) -> Result<BTreeSet<String>, Reason> {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let question = json!({ "Filters": [{ "Key": "InstanceIds", "Values": ids }], "MaxResults": 50 });
    let (mut pages, mut out) = (Pages::default(), BTreeSet::new());
    loop {
        let target = "AmazonSSM.DescribeInstanceInformation";
        let page: Managed =
            pages.json(aws, &op::DESCRIBE_INSTANCE_INFORMATION, target, question.clone()).await?;
        let able = page.instance_information_list.into_iter();
        let able = able.filter(|a| a.ping_status == "Online" && a.platform_type != "Windows");
        out.extend(able.map(|a| a.instance_id));
        if !pages.advance(page.next_token)? {
            return Ok(out);
        }
    }
}

async fn send(aws: &Aws, ids: &[&SafeText], lines: &[String]) -> Result<String, Reason> {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let question = json!({
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": ids,
        "Comment": "badgate: reads only",
        "TimeoutSeconds": RUNS,
        "Parameters": { "commands": lines, "executionTimeout": [RUNS.to_string()] },
    });
    let said = ask(aws, &op::SEND_COMMAND, &question).await?;
    let sent: Sent = serde_json::from_value(said).map_err(|_| super::lacks("Command"))?;
    sent.command.map(|c| c.command_id).filter(|id| !id.is_empty()).ok_or_else(|| super::lacks("CommandId"))
}

/// What one instance printed.
async fn invocation(aws: &Aws, command: &str, id: &SafeText) -> Result<String, Reason> {
    let question = json!({ "CommandId": command, "InstanceId": id.as_str() });
    let (started, mut pause) = (Instant::now(), FIRST);
    loop {
        match ask(aws, &op::GET_COMMAND_INVOCATION, &question).await {
            Ok(said) => {
                let i: Invocation = serde_json::from_value(said).map_err(|_| super::lacks("Status"))?;
                match i.status.as_str() {
                    "Pending" | "InProgress" | "Delayed" => {}
                    // The last command of the list decides this: what was printed counts.
                    "Success" | "Failed" if !i.standard_output_content.is_empty() => {
                        return Ok(i.standard_output_content);
                    }
                    "TimedOut" => {
                        return Err(Reason::TimedOut { after_ms: u64::from(RUNS) * 1000 });
                    }
                    status => {
                        let detail = format!("{status}: {}", i.status_details);
                        return Err(Reason::Failed {
                            code: "RunCommand".into(),
                            detail: SafeText::capped(detail, 160),
                        });
                    }
                }
            }
            // It is not there at once.
            Err(Reason::NotFound { .. }) => {}
            Err(Reason::Failed { code, .. }) if code.as_str() == "InvocationDoesNotExist" => {}
            Err(Reason::Throttled { until }) => {
                pause = Duration::try_from(until.duration_since(Timestamp::now()))
                    .unwrap_or(LATER)
                    .min(LATER * 2);
            }
            Err(reason) => return Err(reason),
        }
        if started.elapsed() + pause > LIMIT {
            return Err(Reason::TimedOut { after_ms: u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX) });
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LATER);
    }
}
