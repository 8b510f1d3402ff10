//! Reads stretches of a log group over pages, within bounds.

use super::api::{LogApi, Page, Raw, Stretch};
use crate::situation::Reason;
use crate::text::SafeText;

/// Events a first screen is content with.
const SCREEN_EVENTS: usize = 5_000;
/// Pages of a first screen at most. Pages may be empty: a big group is
/// searched piece by piece.
const SCREEN_PAGES: usize = 12;
/// Pages of one read at most; the rest is left for the next.
pub const PAGES: usize = 8;

/// What a read brought.
#[derive(Debug, Default, PartialEq)]
pub struct Got {
    pub events: Vec<Raw>,
    /// First screen: nothing older than this was read, though asked for.
    pub cut_off_ms: Option<i64>,
    /// Ascending read: goes on here.
    pub token: Option<String>,
}

/// The newest events since `since_ms`.
pub async fn screen<A: LogApi>(api: &A, group: &SafeText, since_ms: i64, now_ms: i64) -> Result<Got, Reason> {
    let stretch =
        Stretch { group: group.clone(), from_ms: since_ms, to_ms: None, newest_first: true, token: None };
    match newest(api, stretch).await {
        // An endpoint that does not know the parameter, or refuses it.
        Ok(None) => backwards(api, group, since_ms, now_ms).await,
        Err(Reason::Failed { code, .. })
            if code.contains("InvalidParameter") || code.contains("Validation") =>
        {
            backwards(api, group, since_ms, now_ms).await
        }
        Ok(Some(got)) => Ok(got),
        Err(reason) => Err(reason),
    }
}

/// Newest first; `None` when the answer turns out to be in the other order
/// and is not all there.
async fn newest<A: LogApi>(api: &A, mut stretch: Stretch) -> Result<Option<Got>, Reason> {
    let mut got = Got::default();
    for _ in 0..SCREEN_PAGES {
        let page = api.read(stretch.clone()).await?;
        let ascends = page.events.windows(2).any(|w| w[0].at_ms < w[1].at_ms)
            && !page.events.windows(2).any(|w| w[0].at_ms > w[1].at_ms);
        got.events.extend(page.events);
        match next_token(&stretch, page.token)? {
            None => return Ok(Some(got)),
            Some(_) if ascends => return Ok(None),
            token => stretch.token = token,
        }
        if got.events.len() >= SCREEN_EVENTS {
            break;
        }
    }
    got.cut_off_ms = Some(got.events.iter().map(|e| e.at_ms).min().unwrap_or(i64::MAX));
    Ok(Some(got))
}

/// The same in ascending reads: the last minute, then the minutes before it,
/// then all the rest, until there is a screenful.
async fn backwards<A: LogApi>(api: &A, group: &SafeText, since_ms: i64, now_ms: i64) -> Result<Got, Reason> {
    let mut got = Got::default();
    let mut to_ms = None;
    for back_s in [60, 600, i64::MAX / 1_000_000] {
        let from_ms = (now_ms - back_s * 1000).max(since_ms);
        let stretch = Stretch { group: group.clone(), from_ms, to_ms, newest_first: false, token: None };
        let part = forward(api, stretch, SCREEN_PAGES).await?;
        got.events.extend(part.events);
        if from_ms == since_ms && part.token.is_none() {
            return Ok(got);
        }
        if part.token.is_some() || got.events.len() >= SCREEN_EVENTS {
            got.cut_off_ms = Some(from_ms);
            return Ok(got);
        }
        to_ms = Some(from_ms - 1);
    }
    Ok(got)
}

/// Oldest first, up to `pages` pages; `token` in the result when there are more.
pub async fn forward<A: LogApi>(api: &A, mut stretch: Stretch, pages: usize) -> Result<Got, Reason> {
    let mut got = Got::default();
    for _ in 0..pages {
        let page: Page = api.read(stretch.clone()).await?;
        got.events.extend(page.events);
        let token = next_token(&stretch, page.token)?;
        got.token.clone_from(&token);
        if token.is_none() {
            break;
        }
        stretch.token = token;
    }
    Ok(got)
}

fn next_token(asked: &Stretch, token: Option<String>) -> Result<Option<String>, Reason> {
    if token.is_some() && token == asked.token {
        return Err(Reason::Malformed { detail: SafeText::from_static("a page that leads to itself") });
    }
    Ok(token)
}
