//! Questions to engines that have the rows already: CloudWatch Logs Insights and
//! Athena. Both are asked the same way: a query is started, looked after until
//! it has ended, and its result is read. A query nobody waits for any more is
//! ended at the service: it would go on to read, and to cost.

use crate::situation::Reason;
use crate::sources::access_log::engine::Progress;
use crate::sources::access_log::push::{self, Counted, Span, Table, Written};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::Question;
use crate::text::SafeText;
use aws_sdk_cloudwatchlogs::types::{QueryStatus, ResultField};
use futures::future::join_all;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two looks at a query.
const LOOK: Duration = Duration::from_millis(600);
/// No query is waited for longer; Athena ends its own after 30 minutes.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Minutes are counted by so many hours at once: Insights gives 10,000 lines.
const HOURS: i64 = 12;
/// How long the service has to say that it ended a query.
const ENDING: Duration = Duration::from_secs(5);
/// The code of a failure that is a person's wish, or follows from another failure.
const STOPPED: &str = "stopped";

/// One row of a result: what each column holds.
type Rows = Vec<Vec<String>>;

fn failed(code: &'static str, detail: impl std::fmt::Display) -> Reason {
    Reason::Failed { code: code.into(), detail: SafeText::capped(detail.to_string(), 300) }
}

/// When to look no more: a person has stopped us, or a query beside this one failed.
#[derive(Clone, Copy)]
struct Halt<'a>(&'a Progress, &'a AtomicBool);

impl Halt<'_> {
    fn now(self) -> bool {
        self.0.stop.load(Ordering::Relaxed) || self.1.load(Ordering::Relaxed)
    }
}

/// A pause between looks, or the reason to look no more.
async fn pause(began: Instant, halt: Halt<'_>) -> Result<(), Reason> {
    if halt.now() {
        return Err(failed(STOPPED, "the query was ended"));
    }
    if began.elapsed() > LONGEST {
        return Err(Reason::TimedOut { after_ms: u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX) });
    }
    sleep(LOOK).await;
    Ok(())
}

/// Why a query gave no rows.
enum Fell {
    /// It has ended.
    Ended(Reason),
    /// For all we know it goes on.
    Running(Reason),
}

impl From<Reason> for Fell {
    fn from(why: Reason) -> Fell {
        Fell::Running(why)
    }
}

/// Hands on what a query came to; one that goes on is ended by `stop`. When
/// that fails too, the query's id is told, so that a person can.
async fn closed<T>(
    got: Result<T, Fell>,
    id: &str,
    stop: impl AsyncFnOnce() -> Result<(), Reason>,
) -> Result<T, Reason> {
    let why = match got {
        Ok(rows) => return Ok(rows),
        Err(Fell::Ended(why)) => return Err(why),
        Err(Fell::Running(why)) => why,
    };
    let left = match timeout(ENDING, stop()).await {
        // It is ours and was there: what cannot be ended has ended by itself.
        Ok(Ok(()) | Err(Reason::NotFound { .. })) => return Err(why),
        Ok(Err(Reason::Failed { code, .. })) if code.starts_with("Invalid") => return Err(why),
        Ok(Err(not)) => not.phrase(),
        Err(_) => "no answer".into(),
    };
    let first = if is_stop(&why) { String::new() } else { format!("{}; ", why.phrase()) };
    Err(failed(STOPPED, format!("{first}query {id} may go on ({left})")))
}

fn is_stop(why: &Reason) -> bool {
    matches!(why, Reason::Failed { code, .. } if code.as_str() == STOPPED)
}

/// Waits out what the service asks for; any other failure is handed on.
async fn patient<T>(halt: Halt<'_>, mut ask: impl AsyncFnMut() -> Result<T, Reason>) -> Result<T, Reason> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(Reason::Throttled { until }) if began.elapsed() < Duration::from_secs(60) => {
                let wait = until.duration_since(Timestamp::now());
                sleep(Duration::try_from(wait).unwrap_or_default()).await;
                pause(began, halt).await?;
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
    let alone = AtomicBool::new(false);
    let halt = Halt(progress, &alone);
    let scanned = AtomicU64::new(0);
    let ask = |query: &str, span: Span, columns: &'static [&'static str]| {
        let (query, scanned) = (query.to_string(), &scanned);
        async move {
            let (rows, bytes) = insight(aws, group, &query, span, halt).await?;
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
    halt: Halt<'_>,
) -> Result<(Vec<Vec<ResultField>>, u64), Reason> {
    let started = patient(halt, async || {
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
    let got = insight_result(aws, &id, halt).await;
    closed(got, &id, async || {
        aws.call(&op::STOP_QUERY, |c| c.logs.stop_query().query_id(&id).send()).await.map(|_| ())
    })
    .await
}

/// What a query of Insights that was started comes to.
async fn insight_result(aws: &Aws, id: &str, halt: Halt<'_>) -> Result<(Vec<Vec<ResultField>>, u64), Fell> {
    let began = Instant::now();
    loop {
        let out = patient(halt, async || {
            aws.call(&op::GET_LOG_QUERY_RESULTS, |c| c.logs.get_query_results().query_id(id).send()).await
        })
        .await?;
        match out.status() {
            Some(QueryStatus::Complete) => {
                let bytes = out.statistics().map_or(0.0, |s| s.bytes_scanned());
                return Ok((out.results.unwrap_or_default(), bytes.max(0.0) as u64));
            }
            Some(QueryStatus::Failed | QueryStatus::Cancelled | QueryStatus::Timeout) => {
                let state = out.status().map_or("", |s| s.as_str());
                return Err(Fell::Ended(failed("Insights", format!("the query ended as {state}"))));
            }
            _ => pause(began, halt).await?,
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
    let alone = AtomicBool::new(false);
    athena.query(aws, &athena.table.ddl(), Halt(progress, &alone)).await.map(|_| ())
}

/// Asks Athena all of it.
///
/// # Errors
/// When a query is refused, fails or is stopped.
pub async fn athena(aws: &Aws, athena: &Athena, span: Span, progress: &Progress) -> Result<Counted, Reason> {
    let questions = athena.table.questions(span);
    let fell = AtomicBool::new(false);
    let halt = Halt(progress, &fell);
    // Each sees to its own end: none is dropped while it runs.
    let results = join_all(questions.iter().map(|q| async {
        let got = athena.query(aws, q, halt).await;
        fell.fetch_or(got.is_err(), Ordering::Relaxed);
        got
    }))
    .await;
    let mut good = Vec::with_capacity(results.len());
    let mut bad: Option<Reason> = None;
    for result in results {
        match result {
            Ok(rows) => good.push(rows),
            // What failed by itself says more than what was ended for it.
            Err(why) if bad.as_ref().is_none_or(|b| rank(&why) > rank(b)) => bad = Some(why),
            Err(_) => {}
        }
    }
    if let Some(why) = bad {
        return Err(why);
    }
    let scanned = good.iter().map(|r| r.1).sum();
    let mut rows = good.into_iter().map(|r| r.0);
    let mut next = || rows.next().unwrap_or_default();
    let mut counted = push::counted([next(), next(), next(), next()]);
    // It has no such bound.
    counted.notes.clear();
    counted.scanned = scanned;
    Ok(counted)
}

/// How much a failure of one of several queries says.
fn rank(why: &Reason) -> u8 {
    match why {
        Reason::Failed { detail, .. } if is_stop(why) => u8::from(detail.contains("may go on")),
        _ => 2,
    }
}

impl Athena {
    async fn ask(
        &self,
        aws: &Aws,
        op: &'static op::Operation,
        question: &Value,
        halt: Halt<'_>,
    ) -> Result<Value, Reason> {
        let body = patient(halt, async || {
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
    async fn query(&self, aws: &Aws, sql: &str, halt: Halt<'_>) -> Result<(Rows, u64), Reason> {
        let mut question = json!({
            "QueryString": sql,
            "QueryExecutionContext": { "Database": self.table.database },
            "WorkGroup": self.workgroup,
        });
        if let Some(output) = &self.output {
            question["ResultConfiguration"] = json!({ "OutputLocation": output });
        }
        let started = self.ask(aws, &op::START_QUERY_EXECUTION, &question, halt).await?;
        let Some(id) = started["QueryExecutionId"].as_str() else {
            return Err(failed("StartQueryExecution", "gave no id"));
        };
        let question = json!({ "QueryExecutionId": id });
        let got = self.end(aws, &question, halt).await;
        let scanned = closed(got, id, async || {
            self.ask(aws, &op::STOP_QUERY_EXECUTION, &question, halt).await.map(|_| ())
        })
        .await?;
        if !sql.starts_with("SELECT") {
            return Ok((Rows::new(), scanned));
        }
        Ok((self.rows(aws, id, halt).await?, scanned))
    }

    /// Waits until a statement has ended: the bytes it read.
    async fn end(&self, aws: &Aws, question: &Value, halt: Halt<'_>) -> Result<u64, Fell> {
        let began = Instant::now();
        loop {
            let out = self.ask(aws, &op::GET_QUERY_EXECUTION, question, halt).await?;
            let done = &out["QueryExecution"];
            match done["Status"]["State"].as_str() {
                Some("SUCCEEDED") => {
                    return Ok(done["Statistics"]["DataScannedInBytes"].as_u64().unwrap_or(0));
                }
                Some("FAILED" | "CANCELLED") => {
                    let why = done["Status"]["StateChangeReason"].as_str().unwrap_or("it was cancelled");
                    if ["TABLE_NOT_FOUND", "does not exist", "SCHEMA_NOT_FOUND"]
                        .iter()
                        .any(|m| why.contains(m))
                    {
                        return Err(Fell::Ended(Reason::NotFound {
                            what: format!(
                                "table {}.{} ({}): --ddl prints what creates it, --allow-changes creates it",
                                self.table.database,
                                self.table.name,
                                SafeText::capped(why, 160)
                            )
                            .into(),
                        }));
                    }
                    return Err(Fell::Ended(failed("Athena", why)));
                }
                _ => pause(began, halt).await?,
            }
        }
    }

    /// All rows of a statement that has ended.
    async fn rows(&self, aws: &Aws, id: &str, halt: Halt<'_>) -> Result<Rows, Reason> {
        let mut rows = Rows::new();
        let mut token: Option<String> = None;
        loop {
            let mut question = json!({ "QueryExecutionId": id, "MaxResults": 1000 });
            if let Some(t) = &token {
                question["NextToken"] = t.as_str().into();
            }
            let out = self.ask(aws, &op::GET_ATHENA_RESULTS, &question, halt).await?;
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
                return Ok(rows);
            }
            token = next;
        }
    }
}
