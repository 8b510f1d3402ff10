//! Logs of what stands in front of load balancers: CloudFront's files in S3 or
//! its delivery, an API's log group, a Classic Load Balancer's files.

use super::Pages;
use super::access::{choose, delivered_group, lines, list, object};
use crate::situation::Reason;
use crate::situation::front::{Api, Classic, Distribution, FrontLog};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::front_log::Reader;
use crate::text::SafeText;
use futures::StreamExt;
use futures::stream;
use jiff::{Timestamp, ToSpan};

/// Bytes unpacked at most.
const UNPACKED: u64 = 128 << 20;
/// Files under way at once.
const AT_ONCE: usize = 6;
/// Pages of one log group.
const PAGES: usize = 12;
/// Stages whose access log is read.
const STAGES: usize = 3;

/// Rows of a distribution. Its files are written several times an hour, up to
/// an hour late and sometimes more.
pub async fn edge(aws: &Aws, d: &Distribution, from: Timestamp) -> Result<FrontLog, Reason> {
    if d.log_bucket.is_empty() {
        let there = aws.global().await?;
        if d.arn.is_empty() {
            return Err(off());
        }
        let group = delivered_group(&there, &d.arn, "ACCESS_LOGS").await?;
        let mut reader = Reader::new(Some(from));
        let cut = events(&there, &group, from, |r: &mut Reader, line, _| r.edge(line), &mut reader).await?;
        return Ok(reader.finish(group.into(), cut.into()));
    }
    let before = match d.log_prefix.as_str() {
        "" => String::new(),
        p if p.ends_with('/') => p.to_string(),
        p => format!("{p}/"),
    };
    let folder = format!("{before}{}.", d.id);
    let hour = from.checked_sub(1.hour()).unwrap_or(from);
    let after = format!("{folder}{}", hour.strftime("%Y-%m-%d-%H"));
    match files(aws, &d.log_bucket, &folder, &after, from, Reader::edge).await {
        // The bucket is in another region, most often in CloudFront's own.
        Err(Reason::Failed { code, .. })
            if matches!(code.as_str(), "PermanentRedirect" | "AuthorizationHeaderMalformed" | "HTTP 301") =>
        {
            files(&aws.global().await?, &d.log_bucket, &folder, &after, from, Reader::edge).await
        }
        other => other,
    }
}

fn off() -> Reason {
    Reason::NotApplicable { why: "access logs are not switched on".into() }
}

async fn files(
    aws: &Aws,
    bucket: &SafeText,
    folder: &str,
    after: &str,
    from: Timestamp,
    take: impl Fn(&mut Reader, &str),
) -> Result<FrontLog, Reason> {
    let (chosen, mut cut) = choose(list(aws, bucket, folder, after).await?, None);
    let mut reader = Reader::new(Some(from));
    let mut unpacked = 0;
    let mut read = stream::iter(chosen.into_iter().map(|o| object(aws, bucket, o))).buffered(AT_ONCE);
    while let Some(answer) = read.next().await {
        let (key, bytes) = match answer {
            Ok(got) => got,
            Err(Reason::NotFound { .. }) => continue,
            Err(reason) => return Err(reason),
        };
        if unpacked >= UNPACKED {
            cut = format!("rows beyond {} MiB were left out", UNPACKED >> 20);
            break;
        }
        let whole = lines(&key, &bytes, UNPACKED - unpacked, |line, n| {
            unpacked += n;
            take(&mut reader, line);
        });
        if !whole && cut.is_empty() {
            cut = "a large or damaged file was read in part".into();
        }
    }
    Ok(reader.finish(format!("s3://{bucket}/{folder}").into(), cut.into()))
}

/// Rows of a Classic Load Balancer.
pub async fn classic(aws: &Aws, c: &Classic, account: &str, from: Timestamp) -> Result<FrontLog, Reason> {
    if c.log_bucket.is_empty() {
        return Err(off());
    }
    if account.is_empty() {
        return Err(Reason::NotAsked);
    }
    let before = if c.log_prefix.is_empty() { String::new() } else { format!("{}/", c.log_prefix) };
    let region = aws.region();
    let now = Timestamp::now();
    let mut whole: Option<FrontLog> = None;
    for day in [from, now] {
        let folder = format!(
            "{before}AWSLogs/{account}/elasticloadbalancing/{region}/{}/{account}_elasticloadbalancing_{region}_{}_",
            day.strftime("%Y/%m/%d"),
            c.name
        );
        let same = whole.is_some() && from.strftime("%d").to_string() == now.strftime("%d").to_string();
        if same {
            break;
        }
        let got = files(aws, &c.log_bucket, &folder, &folder, from, Reader::classic).await?;
        whole = Some(match whole {
            None => got,
            Some(mut first) => {
                first.rows += got.rows;
                first.minutes.extend(got.minutes);
                first.failing.extend(got.failing);
                first.newest = first.newest.max(got.newest);
                first.thinned = first.thinned.max(got.thinned);
                first
            }
        });
    }
    whole.ok_or_else(off)
}

/// Rows of an API's stages.
pub async fn api(aws: &Aws, api: &Api, from: Timestamp) -> Result<FrontLog, Reason> {
    let logged = api.stages.iter().filter(|s| !s.access_log.is_empty());
    let ours: Vec<_> = logged.filter(|s| api.stage.is_empty() || s.name == api.stage).take(STAGES).collect();
    if ours.is_empty() {
        if let Some((_, why)) = api.gaps.iter().find(|g| g.0.as_str() == "stages") {
            return Err(why.clone());
        }
        return Err(off());
    }
    let mut reader = Reader::new(Some(from));
    let mut cut = String::new();
    for s in &ours {
        let take = |r: &mut Reader, line: &str, at| r.api(line, &s.format, at);
        let left = events(aws, &s.access_log, from, take, &mut reader).await?;
        if !left.is_empty() {
            cut = left;
        }
    }
    Ok(reader.finish(ours[0].access_log.clone(), cut.into()))
}

/// Hands on the events of a log group; what was left out, in words.
async fn events(
    aws: &Aws,
    group: &str,
    from: Timestamp,
    take: impl Fn(&mut Reader, &str, Timestamp),
    reader: &mut Reader,
) -> Result<String, Reason> {
    let mut pages = Pages::default();
    for _ in 0..PAGES {
        let out = pages
            .ask(aws, &op::FILTER_LOG_EVENTS, |c, token| {
                c.logs
                    .filter_log_events()
                    .log_group_name(group)
                    .start_time(from.as_millisecond())
                    .set_next_token(token)
                    .send()
            })
            .await?;
        for e in out.events.into_iter().flatten() {
            let at = e.timestamp.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(from);
            take(reader, e.message.as_deref().unwrap_or_default(), at);
        }
        if !pages.advance(out.next_token)? {
            return Ok(String::new());
        }
    }
    Ok(format!("only the first {} rows of the log group were read", reader.rows()))
}
