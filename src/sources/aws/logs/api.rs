//! The two questions a tail asks of CloudWatch Logs, as a trait: the state
//! machine above it is tested against a service in memory, with faults no
//! emulator gives.

use crate::situation::Reason;
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::{
    DESCRIBE_LOG_GROUPS, FILTER_LOG_EVENTS, GET_CALLER_IDENTITY, START_LIVE_TAIL,
};
use crate::text::SafeText;
use aws_sdk_cloudwatchlogs::error::DisplayErrorContext;
use aws_sdk_cloudwatchlogs::primitives::event_stream::EventReceiver;
use aws_sdk_cloudwatchlogs::types::StartLiveTailResponseStream;
use aws_sdk_cloudwatchlogs::types::error::StartLiveTailResponseStreamError;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// One event as the service gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    /// The group it came from in the words of a live tail
    /// (`123456789012:/app/shop`); empty from a read, which is of one group.
    pub group: String,
    pub stream: String,
    /// Milliseconds since 1970, by the writer's clock.
    pub at_ms: i64,
    pub message: String,
    /// The event's id; empty from a live tail.
    pub id: String,
}

/// A read of a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Name or ARN.
    pub group: SafeText,
    pub from_ms: i64,
    /// Up to here, or whatever comes.
    pub to_ms: Option<i64>,
    /// Newest events first.
    pub newest_first: bool,
    /// Goes on behind an earlier page.
    pub token: Option<String>,
}

/// One page. An empty page with a token is no end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub events: Vec<Raw>,
    pub token: Option<String>,
}

/// What a live session sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The session stands: what is ingested from now on will come.
    Started,
    /// About once a second, also when there is nothing.
    Events { sampled: bool, events: Vec<Raw> },
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After three hours, as documented.
    Timeout,
    /// Cut, by the network or the service; what was seen of it.
    Cut(String),
}

/// CloudWatch Logs as a tail needs it.
pub trait LogApi: Send + Sync + 'static {
    type Session: LiveSession;

    /// One page of FilterLogEvents.
    fn read(&self, stretch: Stretch) -> impl Future<Output = Result<Page, Reason>> + Send;

    /// Opens a live tail of up to ten groups.
    fn live(&self, groups: Vec<SafeText>) -> impl Future<Output = Result<Self::Session, Reason>> + Send;
}

/// An open live tail.
pub trait LiveSession: Send + 'static {
    /// Waits for the next update. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Update, Ended>> + Send;
}

/// The real service.
#[derive(Debug)]
pub struct AwsLogs {
    aws: Aws,
    /// ARNs by name, as learned.
    arns: Mutex<HashMap<SafeText, String>>,
}

impl AwsLogs {
    pub fn new(aws: Aws) -> Self {
        AwsLogs { aws, arns: Mutex::default() }
    }

    /// Live tail wants ARNs. The list of groups has them; whoever may not read
    /// it may still know the account's number.
    async fn arn(&self, group: &SafeText) -> Result<String, Reason> {
        if group.starts_with("arn:") {
            return Ok(group.to_string());
        }
        let held = self.arns.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned();
        if let Some(arn) = held {
            return Ok(arn);
        }
        let listed = self
            .aws
            .call(&DESCRIBE_LOG_GROUPS, |c| {
                c.logs.describe_log_groups().log_group_name_prefix(group.as_str()).limit(50).send()
            })
            .await;
        let arn = match listed {
            Ok(page) => {
                let found = page.log_groups().iter().find(|g| g.log_group_name() == Some(group.as_str()));
                let arn = found.and_then(|g| g.log_group_arn().or(g.arn())).map(bare_arn);
                let missing = || Reason::NotFound { what: format!("log group {group}").into() };
                arn.ok_or_else(missing)?.to_string()
            }
            Err(Reason::Denied { .. }) => self.guess_arn(group).await?,
            Err(reason) => return Err(reason),
        };
        self.arns.lock().unwrap_or_else(PoisonError::into_inner).insert(group.clone(), arn.clone());
        Ok(arn)
    }

    async fn guess_arn(&self, group: &SafeText) -> Result<String, Reason> {
        let me = self.aws.call(&GET_CALLER_IDENTITY, |c| c.sts.get_caller_identity().send()).await?;
        let partition = me.arn().and_then(|a| a.split(':').nth(1)).unwrap_or("aws");
        let account = me.account().unwrap_or_default();
        Ok(format!("arn:{partition}:logs:{}:{account}:log-group:{group}", self.aws.region()))
    }
}

/// Without the `:*` that one of the two spellings ends in.
pub fn bare_arn(arn: &str) -> &str {
    arn.strip_suffix(":*").unwrap_or(arn)
}

impl LogApi for AwsLogs {
    type Session = AwsSession;

    async fn read(&self, s: Stretch) -> Result<Page, Reason> {
        let identifier = s.group.starts_with("arn:");
        let out = self
            .aws
            .call(&FILTER_LOG_EVENTS, |c| {
                let ask = c.logs.filter_log_events();
                let ask = if identifier {
                    ask.log_group_identifier(s.group.as_str())
                } else {
                    ask.log_group_name(s.group.as_str())
                };
                ask.start_time(s.from_ms.max(0))
                    .set_end_time(s.to_ms)
                    // Asked for only where it matters: not every endpoint knows it.
                    .set_start_from_head(s.newest_first.then_some(false))
                    .set_next_token(s.token.clone())
                    .send()
            })
            .await?;
        let events = out.events.unwrap_or_default().into_iter().filter_map(|e| {
            Some(Raw {
                group: String::new(),
                stream: e.log_stream_name.unwrap_or_default(),
                at_ms: e.timestamp?,
                message: e.message.unwrap_or_default(),
                id: e.event_id.unwrap_or_default(),
            })
        });
        Ok(Page { events: events.collect(), token: out.next_token.filter(|t| !t.is_empty()) })
    }

    async fn live(&self, groups: Vec<SafeText>) -> Result<AwsSession, Reason> {
        let mut arns = Vec::new();
        for group in &groups {
            arns.push(self.arn(group).await?);
        }
        let out = self
            .aws
            .call(&START_LIVE_TAIL, |c| {
                c.logs.start_live_tail().set_log_group_identifiers(Some(arns.clone())).send()
            })
            .await?;
        Ok(AwsSession { stream: out.response_stream })
    }
}

/// A live tail of the real service.
#[derive(Debug)]
pub struct AwsSession {
    stream: EventReceiver<StartLiveTailResponseStream, StartLiveTailResponseStreamError>,
}

impl LiveSession for AwsSession {
    async fn next(&mut self) -> Result<Update, Ended> {
        loop {
            return match self.stream.recv().await {
                Ok(Some(StartLiveTailResponseStream::SessionStart(_))) => Ok(Update::Started),
                Ok(Some(StartLiveTailResponseStream::SessionUpdate(u))) => {
                    let sampled = u.session_metadata.is_some_and(|m| m.sampled);
                    let events = u.session_results.unwrap_or_default().into_iter().filter_map(|e| {
                        Some(Raw {
                            group: e.log_group_identifier.unwrap_or_default(),
                            stream: e.log_stream_name.unwrap_or_default(),
                            at_ms: e.timestamp?,
                            message: e.message.unwrap_or_default(),
                            id: String::new(),
                        })
                    });
                    Ok(Update::Events { sampled, events: events.collect() })
                }
                // A kind of message this version does not know carries no lines.
                Ok(Some(_)) => continue,
                Ok(None) => Err(Ended::Cut("the service closed it".into())),
                Err(e) => {
                    if e.as_service_error()
                        .is_some_and(StartLiveTailResponseStreamError::is_session_timeout_exception)
                    {
                        Err(Ended::Timeout)
                    } else {
                        Err(Ended::Cut(DisplayErrorContext(&e).to_string()))
                    }
                }
            };
        }
    }
}
