//! One function per question. Each follows every page, and answers with what
//! we know or with the one reason why not.

pub mod access;
pub mod api;
pub mod around;
pub mod caches;
pub mod classic;
pub mod deploys;
pub mod ec2;
pub mod ecs;
pub mod edge;
pub mod elb;
pub mod exec;
pub mod front_log;
pub mod hosts;
pub mod traces;
pub mod trail;
pub mod waf;

use super::client::{Aws, Clients};
use super::operations::Operation;
use super::plain::{Body, Question};
use crate::situation::Reason;
use crate::text::SafeText;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashSet;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// No list is followed further: a marker that never ends must not hold us.
const MOST_PAGES: usize = 500;
/// A list that was begun waits for a pause of its API this often, not longer
/// than this in one go; a list not begun leaves the wait to its caller.
const PAUSES: usize = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An answer that lacks what it always has.
fn lacks(what: &str) -> Reason {
    Reason::Malformed { detail: SafeText::capped(format!("the answer lacks {what}"), 120) }
}

/// The JSON of an answer.
fn json<T: serde::de::DeserializeOwned>(body: &Body) -> Result<T, Reason> {
    serde_json::from_slice(&body.0)
        .map_err(|e| Reason::Malformed { detail: SafeText::capped(format!("not the JSON due: {e}"), 160) })
}

/// The way through the pages of one list.
#[derive(Debug, Default)]
pub struct Pages {
    token: Option<String>,
    seen: HashSet<String>,
}

impl Pages {
    /// What to ask the next page with; `None` for the first.
    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Takes the marker of the page just read; true when there is another.
    /// A marker that was given before would lead round in a circle.
    pub fn advance(&mut self, next: Option<String>) -> Result<bool, Reason> {
        let Some(next) = next.filter(|t| !t.is_empty()) else { return Ok(false) };
        let endless = |what| Err(Reason::Malformed { detail: SafeText::from_static(what) });
        if self.seen.len() >= MOST_PAGES {
            return endless("the list has more than 500 pages");
        }
        if !self.seen.insert(next.clone()) {
            return endless("the pages of the list lead round in a circle");
        }
        self.token = Some(next);
        Ok(true)
    }

    /// Asks for the next page. In the middle of a list a pause of the API is
    /// waited for: starting over would cost more of the budget.
    pub async fn ask<T, E, F, Fut>(&self, aws: &Aws, op: &'static Operation, ask: F) -> Result<T, Reason>
    where
        F: Fn(Arc<Clients>, Option<String>) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let mut pauses = 0;
        loop {
            let answer = aws.call(op, |c| ask(c, self.token())).await;
            let Err(Reason::Throttled { until }) = answer else { return answer };
            let wait = until.duration_since(Timestamp::now());
            let wait = Duration::try_from(wait).unwrap_or_default();
            if self.token.is_none() || pauses >= PAUSES || wait > LONGEST_PAUSE {
                return answer;
            }
            pauses += 1;
            sleep(wait + Duration::from_millis(20)).await;
        }
    }

    /// Asks for the next page of a list in JSON; the marker goes in under
    /// `marker`.
    async fn json_by<T: serde::de::DeserializeOwned>(
        &self,
        aws: &Aws,
        op: &'static Operation,
        target: &str,
        mut question: Value,
        marker: &str,
    ) -> Result<T, Reason> {
        if let Some(token) = self.token() {
            question[marker] = token.into();
        }
        let body = self
            .ask(aws, op, |c, _| {
                let q = Question::json(target, &question);
                async move { c.plain(op, q).await }
            })
            .await?;
        json(&body)
    }

    /// With a `NextToken`, as most services write it.
    pub async fn json<T: serde::de::DeserializeOwned>(
        &self,
        aws: &Aws,
        op: &'static Operation,
        target: &str,
        question: Value,
    ) -> Result<T, Reason> {
        self.json_by(aws, op, target, question, "NextToken").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_and_never_go_round() {
        let mut pages = Pages::default();
        assert_eq!(pages.token(), None);
        assert!(pages.advance(Some("a".into())).unwrap());
        assert!(pages.advance(Some("b".into())).unwrap());
        assert_eq!(pages.token().as_deref(), Some("b"));
        assert_eq!(pages.advance(Some("a".into())).unwrap_err().word(), "unreadable");
        let mut pages = Pages::default();
        assert!(!pages.advance(Some(String::new())).unwrap(), "an empty marker ends the list");
        assert!(!pages.advance(None).unwrap());
        let mut pages = Pages::default();
        let end = (0..=MOST_PAGES).find(|n| pages.advance(Some(n.to_string())).is_err());
        assert_eq!(end, Some(MOST_PAGES));
    }
}
