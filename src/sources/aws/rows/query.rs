//! Questions to engines that have the rows already: CloudWatch Logs Insights and
//! Athena. Both are asked the same way: a query is started, looked after until
//! it has ended, and its result is read.

use crate::situation::Reason;
use crate::sources::access_log::engine::Progress;
use crate::sources::access_log::push::{self, Counted, Span, Table, Written};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::Question;
use crate::text::SafeText;
use aws_sdk_cloudwatchlogs::types::{QueryStatus, ResultField};
use futures::future::try_join_all;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at a query.
const LOOK: Duration = Duration::from_millis(600);
/// No query is waited for longer; Athena ends its own after 30 minutes.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Minutes are counted by so many hours at once: Insights gives 10,000 lines.
const HOURS: i64 = 12;

/// One row of a result: what each column holds.
type Rows = Vec<Vec<String>>;

fn failed(code: &'static str, detail: impl std::fmt::Display) -> Reason {
    Reason::Failed { code: code.into(), detail: SafeText::capped(detail.to_string(), 300) }
}

/// A pause between looks, or the reason to look no more.
async fn pause(began: Instant, progress: &Progress) -> Result<(), Reason> {
    if progress.stop.load(Ordering::Relaxed) {
        return Err(failed("stopped", "the query was left to itself"));
    }
    if began.elapsed() > LONGEST {
        return Err(Reason::TimedOut { after_ms: u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX) });
    }
    sleep(LOOK).await;
    Ok(())
}

/// Waits out what the service asks for; any other failure is handed on.
async fn patient<T>(
    progress: &Progress,
    mut ask: impl AsyncFnMut() -> Result<T, Reason>,
) -> Result<T, Reason> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(Reason::Throttled { until }) if began.elapsed() < Duration::from_secs(60) => {
                let wait = until.duration_since(Timestamp::now());
                sleep(Duration::try_from(wait).unwrap_or_default()).await;
                pause(began, progress).await?;
            }
            other => return other,
        }
    }
}

/// How the rows of a group are written, by the first of the window.
///
/// # Errors
/// When the group cannot be read, or has no event in the window.
pub async fn row_form(aws: &Aws, group: &str, span: Span) -> Result<Written, Reason> {
    let mut token = None;
    // A page may be empty though there is more.
    for _ in 0..20 {
        let out = aws
            .call(&op::FILTER_LOG_EVENTS, |c| {
                c.logs
                    .filter_log_events()
                    .log_group_name(group)
                    .start_time(span.from.as_millisecond())
                    .end_time(span.until.as_millisecond())
                    .set_next_token(token.clone())
                    .limit(1)
                    .send()
            })
            .await?;
        if let Some(m) = out.events().iter().find_map(|e| e.message()) {
            return Ok(if m.trim_start().starts_with('{') { Written::Json } else { Written::Plain });
        }
        token = out.next_token;
        if token.is_none() {
            break;
        }
    }
    Err(Reason::NotFound { what: format!("a row in {group} from {} to {}", span.from, span.until).into() })
}

/// Asks Insights all of it.
///
/// # Errors
/// When a query is refused, fails or is stopped.
pub async fn insights(
    aws: &Aws,
    group: &str,
    span: Span,
    written: Written,
    progress: &Progress,
) -> Result<Counted, Reason> {
    let [minutes, targets, times, lines] = push::insights(written);
    let scanned = AtomicU64::new(0);
    let ask = |query: &str, span: Span, columns: &'static [&'static str]| {
        let (query, scanned) = (query.to_string(), &scanned);
        async move {
            let (rows, bytes) = insight(aws, group, &query, span, progress).await?;
            scanned.fetch_add(bytes, Ordering::Relaxed);
            Ok::<Rows, Reason>(
                rows.into_iter().map(|r| columns.iter().map(|c| field(&r, c)).collect()).collect(),
            )
        }
    };
    let mut by_minute = Rows::new();
    let mut notes = Vec::new();
    let mut from = span.from;
    while from < span.until {
        let until = from.checked_add(HOURS.hours()).unwrap_or(span.until).min(span.until);
        let part = Span { from, until };
        let rows = ask(&minutes, part, &["bin(1m)", "elb_status_code", "target_status_code", "n"]).await?;
        if rows.len() >= push::LINES {
            notes.push(format!(
                "gave only {} lines of counts from {from} on: the rest is missing",
                rows.len()
            ));
        }
        by_minute.extend(rows);
        from = until;
    }
    let by_target = ask(&targets, span, &["target_port", "elb_status_code", "n"]).await?;
    let quantiles = ask(&times, span, &["n", "p50", "p90", "p99", "longest"]).await?;
    let failing = ask(&lines, span, &["@message"]).await?;
    // The bound of one answer was seen to above.
    let mut counted = push::counted([Rows::new(), by_target, quantiles, failing]);
    counted.minutes = push::counted([by_minute, Rows::new(), Rows::new(), Rows::new()]).minutes;
    counted.scanned = scanned.into_inner();
    counted.notes.extend(notes);
    Ok(counted)
}

fn field(row: &[ResultField], name: &str) -> String {
    row.iter().find(|f| f.field() == Some(name)).and_then(|f| f.value()).unwrap_or_default().to_string()
}

/// One query: its rows, and the bytes it read.
async fn insight(
    aws: &Aws,
    group: &str,
    query: &str,
    span: Span,
    progress: &Progress,
) -> Result<(Vec<Vec<ResultField>>, u64), Reason> {
    let began = Instant::now();
    let started = patient(progress, async || {
        aws.call(&op::START_QUERY, |c| {
            c.logs
                .start_query()
                .log_group_name(group)
                .start_time(span.from.as_second())
                // Both ends are included, in seconds.
                .end_time(span.until.as_second() - 1)
                .query_string(query)
                .send()
        })
        .await
    })
    .await?;
    let Some(id) = started.query_id else { return Err(failed("StartQuery", "gave no id")) };
    loop {
        let out = patient(progress, async || {
            aws.call(&op::GET_LOG_QUERY_RESULTS, |c| c.logs.get_query_results().query_id(&id).send()).await
        })
        .await?;
        match out.status() {
            Some(QueryStatus::Complete) => {
                let bytes = out.statistics().map_or(0.0, |s| s.bytes_scanned());
                return Ok((out.results.unwrap_or_default(), bytes.max(0.0) as u64));
            }
            Some(QueryStatus::Failed | QueryStatus::Cancelled | QueryStatus::Timeout) => {
                let state = out.status().map_or("", |s| s.as_str());
                return Err(failed("Insights", format!("the query ended as {state}")));
            }
            _ => pause(began, progress).await?,
        }
    }
}

/// How Athena is asked.
#[derive(Clone, Debug)]
pub struct Athena {
    pub table: Table,
    pub workgroup: String,
    /// `s3://...`, where results go; `None`: where the workgroup says.
    pub output: Option<String>,
}

/// Creates the table. The handle must be one that may change things.
///
/// # Errors
/// When Athena refuses or fails.
pub async fn created(aws: &Aws, athena: &Athena, progress: &Progress) -> Result<(), Reason> {
    athena.query(aws, &athena.table.ddl(), progress).await.map(|_| ())
}

/// Asks Athena all of it.
///
/// # Errors
/// When a query is refused, fails or is stopped.
pub async fn athena(aws: &Aws, athena: &Athena, span: Span, progress: &Progress) -> Result<Counted, Reason> {
    let questions = athena.table.questions(span);
    let results = try_join_all(questions.iter().map(|q| athena.query(aws, q, progress))).await?;
    let scanned = results.iter().map(|r| r.1).sum();
    let mut rows = results.into_iter().map(|r| r.0);
    let mut next = || rows.next().unwrap_or_default();
    let mut counted = push::counted([next(), next(), next(), next()]);
    // It has no such bound.
    counted.notes.clear();
    counted.scanned = scanned;
    Ok(counted)
}

impl Athena {
    async fn ask(
        &self,
        aws: &Aws,
        op: &'static op::Operation,
        question: &Value,
        progress: &Progress,
    ) -> Result<Value, Reason> {
        let body = patient(progress, async || {
            aws.call(op, |c| {
                let q = Question::json(&format!("AmazonAthena.{}", op.name), question);
                async move { c.plain(op, q).await }
            })
            .await
        })
        .await?;
        serde_json::from_slice(&body.0).map_err(|e| Reason::Malformed {
            detail: SafeText::capped(format!("not the JSON due: {e}"), 160),
        })
    }

    /// One statement: its rows, and the bytes it read.
    async fn query(&self, aws: &Aws, sql: &str, progress: &Progress) -> Result<(Rows, u64), Reason> {
        let began = Instant::now();
        let mut question = json!({
            "QueryString": sql,
            "QueryExecutionContext": { "Database": self.table.database },
            "WorkGroup": self.workgroup,
        });
        if let Some(output) = &self.output {
            question["ResultConfiguration"] = json!({ "OutputLocation": output });
        }
        let started = self.ask(aws, &op::START_QUERY_EXECUTION, &question, progress).await?;
        let Some(id) = started["QueryExecutionId"].as_str() else {
            return Err(failed("StartQueryExecution", "gave no id"));
        };
        let question = json!({ "QueryExecutionId": id });
        let scanned = loop {
            let out = self.ask(aws, &op::GET_QUERY_EXECUTION, &question, progress).await?;
            let done = &out["QueryExecution"];
            match done["Status"]["State"].as_str() {
                Some("SUCCEEDED") => break done["Statistics"]["DataScannedInBytes"].as_u64().unwrap_or(0),
                Some("FAILED" | "CANCELLED") => {
                    let why = done["Status"]["StateChangeReason"].as_str().unwrap_or("it was cancelled");
                    if ["TABLE_NOT_FOUND", "does not exist", "SCHEMA_NOT_FOUND"]
                        .iter()
                        .any(|m| why.contains(m))
                    {
                        return Err(Reason::NotFound {
                            what: format!(
                                "table {}.{} ({}): --ddl prints what creates it, --allow-changes creates it",
                                self.table.database,
                                self.table.name,
                                SafeText::capped(why, 160)
                            )
                            .into(),
                        });
                    }
                    return Err(failed("Athena", why));
                }
                _ => pause(began, progress).await?,
            }
        };
        if !sql.starts_with("SELECT") {
            return Ok((Rows::new(), scanned));
        }
        let mut rows = Rows::new();
        let mut token: Option<String> = None;
        loop {
            let mut question = json!({ "QueryExecutionId": id, "MaxResults": 1000 });
            if let Some(t) = &token {
                question["NextToken"] = t.as_str().into();
            }
            let out = self.ask(aws, &op::GET_ATHENA_RESULTS, &question, progress).await?;
            let Some(list) = out["ResultSet"]["Rows"].as_array() else {
                return Err(failed("GetQueryResults", "gave no rows"));
            };
            // The first row of the first page names the columns.
            for row in list.iter().skip(usize::from(token.is_none())) {
                let cells = row["Data"].as_array().map(Vec::as_slice).unwrap_or_default();
                rows.push(
                    cells
                        .iter()
                        .map(|d| d["VarCharValue"].as_str().unwrap_or_default().to_string())
                        .collect(),
                );
            }
            let next = out["NextToken"].as_str().filter(|t| !t.is_empty()).map(String::from);
            if next.is_none() || next == token || rows.len() > 200_000 {
                return Ok((rows, scanned));
            }
            token = next;
        }
    }
}
