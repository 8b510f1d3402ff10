//! The access log of a load balancer: objects in S3, or a log group that it is
//! delivered to.

use super::Pages;
use crate::situation::Reason;
use crate::situation::access::AccessLog;
use crate::situation::elb::Attributes;
use crate::sources::access_log::Reader;
use crate::sources::aws::client::Aws;
use crate::sources::aws::convert::listed;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::{Question, encode, encode_path};
use crate::sources::aws::xml::Node;
use crate::text::SafeText;
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use futures::stream;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::io::{BufRead, BufReader, Read};

/// Bytes of one object that are read, of all objects together, and unpacked.
const OBJECT: u64 = 8 << 20;
const ALL: u64 = 48 << 20;
const UNPACKED: u64 = 256 << 20;
/// Objects read at most.
const OBJECTS: usize = 240;
/// Pages of 1,000 keys of one day.
const PAGES: usize = 8;
/// Objects under way at once.
const AT_ONCE: usize = 6;
/// Pages of a log group that are read.
const EVENT_PAGES: usize = 12;
/// Longest line that is read; the longest field is cut at 8 KB by the writer.
const LINE: usize = 64 << 10;

/// Where the rows are.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Bucket, and the folder that stands before `AWSLogs`.
    Bucket(SafeText, SafeText),
    /// Perhaps delivered to CloudWatch Logs: to be asked.
    Delivery,
}

/// Where a load balancer's attributes say that its rows are.
pub fn place(attributes: &Attributes) -> Place {
    let get = |k: &str| attributes.iter().find(|(name, _)| name.as_str() == k).map(|(_, v)| v.clone());
    let on = get("access_logs.s3.enabled").is_some_and(|v| v.as_str() == "true");
    match get("access_logs.s3.bucket").filter(|b| on && !b.is_empty()) {
        Some(bucket) => Place::Bucket(bucket, get("access_logs.s3.prefix").unwrap_or_default()),
        None => Place::Delivery,
    }
}

/// Reads the rows from `from` on; those around `onset` first where there are many.
pub async fn read(
    aws: &Aws,
    lb: &SafeText,
    place: &Place,
    from: Timestamp,
    onset: Option<Timestamp>,
) -> Result<AccessLog, Reason> {
    match place {
        Place::Bucket(bucket, prefix) => objects(aws, lb, bucket, prefix, from, onset).await,
        Place::Delivery => delivered(aws, lb, from).await,
    }
}

/// One object: key, size, end of its interval.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    key: String,
    size: u64,
    end: Timestamp,
}

async fn objects(
    aws: &Aws,
    lb: &SafeText,
    bucket: &SafeText,
    prefix: &SafeText,
    from: Timestamp,
    onset: Option<Timestamp>,
) -> Result<AccessLog, Reason> {
    let now = Timestamp::now();
    let folders = folders(lb, prefix, from, now).ok_or_else(|| Reason::NotApplicable {
        why: "only access logs of application load balancers are read".into(),
    })?;
    let mut found = Vec::new();
    for (folder, after) in &folders {
        found.extend(list(aws, bucket, folder, after).await?);
    }
    found.retain(|o| o.end >= from);
    let (chosen, mut cut) = choose(found, onset);
    let mut reader = Reader::new(Some(from));
    let mut unpacked = 0;
    let mut read = stream::iter(chosen.into_iter().map(|o| object(aws, bucket, o))).buffered(AT_ONCE);
    let mut gone = 0;
    while let Some(answer) = read.next().await {
        let (key, bytes) = match answer {
            Ok(got) => got,
            // A life-cycle rule may have taken it in between.
            Err(Reason::NotFound { .. }) => {
                gone += 1;
                continue;
            }
            Err(reason) => return Err(reason),
        };
        if unpacked >= UNPACKED {
            cut = format!("rows beyond {} MiB were left out", UNPACKED >> 20);
            break;
        }
        let whole = lines(&key, &bytes, UNPACKED - unpacked, |line, n| {
            unpacked += n;
            reader.line(line);
        });
        if !whole && cut.is_empty() {
            cut = "a large or damaged file was read in part".into();
        }
    }
    if gone > 0 && cut.is_empty() {
        cut = format!("{gone} files were gone before they could be read");
    }
    let folder = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    Ok(reader.finish(format!("s3://{bucket}{folder}").into(), cut.into()))
}

/// Folder and first key of each day in question:
/// `PREFIX/AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_`.
fn folders(lb: &str, prefix: &str, from: Timestamp, to: Timestamp) -> Option<Vec<(String, String)>> {
    let parts: Vec<&str> = lb.splitn(6, ':').collect();
    let [_, _, _, region, account, tail] = parts.as_slice() else { return None };
    let name = tail.strip_prefix("loadbalancer/").filter(|t| t.starts_with("app/"))?.replace('/', ".");
    let before = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let mut out = Vec::new();
    let mut day = from;
    loop {
        let folder = format!(
            "{before}AWSLogs/{account}/elasticloadbalancing/{region}/{}/{account}_elasticloadbalancing_{region}_{name}_",
            day.strftime("%Y/%m/%d")
        );
        let after = format!(
            "{folder}{}",
            if out.is_empty() { from.strftime("%Y%m%dT%H%M").to_string() } else { String::new() }
        );
        out.push((folder, after));
        let next = day.checked_add(24.hours()).ok()?;
        // A file is filed under the day its interval ended.
        let last = to.checked_add(5.minutes()).ok()?;
        let number = |t: Timestamp| t.as_second().div_euclid(86_400);
        if number(next) > number(last) || out.len() >= 3 {
            return Some(out);
        }
        day = next;
    }
}

pub(super) async fn list(aws: &Aws, bucket: &str, folder: &str, after: &str) -> Result<Vec<Object>, Reason> {
    let (mut pages, mut all) = (Pages::default(), Vec::new());
    for _ in 0..PAGES {
        let body = pages
            .ask(aws, &op::LIST_OBJECTS, |c, token| {
                // In the order of their names: the signature covers them so.
                let mut path = String::from("/?");
                if let Some(token) = token {
                    path.push_str(&format!("continuation-token={}&", encode(&token)));
                }
                path.push_str(&format!(
                    "list-type=2&prefix={}&start-after={}",
                    encode(folder),
                    encode(after)
                ));
                let q = Question { bucket: Some(bucket.to_string()), ..Question::get(path) };
                async move { c.plain(&op::LIST_OBJECTS, q).await }
            })
            .await?;
        let root = Node::parse(&body.0).map_err(|what| Reason::Malformed { detail: what.into() })?;
        all.extend(root.all("Contents").filter_map(|o| {
            let key = o.text_of("Key").to_string();
            let end = end_of(&key).or_else(|| hour_of(&key))?;
            Some(Object { size: o.text_of("Size").parse().unwrap_or(0), key, end })
        }));
        if !pages.advance(Some(root.text_of("NextContinuationToken").to_string()))? {
            break;
        }
    }
    Ok(all)
}

/// End of the interval a key is stamped with: `..._20261122T0140Z_...`.
pub(in crate::sources::aws) fn end_of(key: &str) -> Option<Timestamp> {
    let stamp = key
        .rsplit('/')
        .next()?
        .split('_')
        .rev()
        .find(|p| p.len() == 14 && p.ends_with('Z') && p.as_bytes().get(8) == Some(&b'T'))?;
    let (d, t) = stamp.trim_end_matches('Z').split_once('T')?;
    format!("{}-{}-{}T{}:{}:00Z", d.get(..4)?, d.get(4..6)?, d.get(6..8)?, t.get(..2)?, t.get(2..4)?)
        .parse()
        .ok()
}

/// End of the hour a CloudFront file is stamped with: `ID.2026-11-22-01.1a2b3c4d.gz`.
pub(in crate::sources::aws) fn hour_of(key: &str) -> Option<Timestamp> {
    let stamp = key.rsplit('/').next()?.split('.').nth(1)?;
    let (day, hour) = stamp.rsplit_once('-').filter(|_| stamp.len() == 13)?;
    let start: Timestamp = format!("{day}T{hour}:00:00Z").parse().ok()?;
    start.checked_add(1.hour()).ok()
}

/// What is read within the bounds: files around the onset, then the newest.
pub(super) fn choose(mut all: Vec<Object>, onset: Option<Timestamp>) -> (Vec<Object>, String) {
    let near = |o: &Object| {
        onset.is_some_and(|t| {
            let after = o.end.duration_since(t);
            after >= -SignedDuration::from_mins(5) && after <= SignedDuration::from_mins(15)
        })
    };
    all.sort_by(|a, b| near(b).cmp(&near(a)).then(b.end.cmp(&a.end)).then(a.key.cmp(&b.key)));
    let (n, mut bytes) = (all.len(), 0);
    let kept: Vec<Object> = all
        .into_iter()
        .take(OBJECTS)
        .take_while(|o| {
            let fits = bytes < ALL;
            bytes += o.size.min(OBJECT);
            fits
        })
        .collect();
    let cut = if kept.len() < n { format!("{} of {n} files were read", kept.len()) } else { String::new() };
    (kept, cut)
}

pub(super) async fn object(aws: &Aws, bucket: &str, o: Object) -> Result<(String, Vec<u8>), Reason> {
    let path = format!("/{}", encode_path(&o.key));
    let body = aws
        .call(&op::GET_OBJECT, |c| {
            let range = ("range", format!("bytes=0-{}", OBJECT - 1));
            let mut q = Question { bucket: Some(bucket.to_string()), ..Question::get(path.clone()) };
            // A range of an empty object is an error.
            if o.size > OBJECT {
                q.headers.push(range);
            }
            async move { c.plain(&op::GET_OBJECT, q).await }
        })
        .await?;
    Ok((o.key, body.0))
}

/// Hands on each line of a file with its length; false when it ended early.
pub(super) fn lines(key: &str, bytes: &[u8], most: u64, mut take: impl FnMut(&str, u64)) -> bool {
    let packed = bytes.starts_with(&[0x1f, 0x8b]) || key.ends_with(".gz");
    let source: Box<dyn Read + '_> =
        if packed { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) };
    let mut source = BufReader::with_capacity(1 << 16, source.take(most));
    let mut line = Vec::new();
    loop {
        line.clear();
        let got = (&mut source).take(LINE as u64).read_until(b'\n', &mut line);
        match got {
            Ok(0) => return true,
            Ok(n) => take(&String::from_utf8_lossy(&line), n as u64),
            Err(_) => return false,
        }
    }
}

/// Rows of a log group the load balancer delivers to.
async fn delivered(aws: &Aws, lb: &SafeText, from: Timestamp) -> Result<AccessLog, Reason> {
    let group = delivered_group(aws, lb, "ALB_ACCESS_LOGS").await?;
    let mut reader = Reader::new(Some(from));
    let mut pages = Pages::default();
    let mut cut = String::new();
    for n in 1.. {
        let out = pages
            .ask(aws, &op::FILTER_LOG_EVENTS, |c, token| {
                c.logs
                    .filter_log_events()
                    .log_group_name(&group)
                    .start_time(from.as_millisecond())
                    .set_next_token(token)
                    .send()
            })
            .await?;
        for e in out.events.into_iter().flatten() {
            reader.line(e.message.as_deref().unwrap_or_default());
        }
        if !pages.advance(out.next_token)? {
            break;
        }
        if n >= EVENT_PAGES {
            cut = format!("only the first {} rows of the log group were read", reader.rows());
            break;
        }
    }
    Ok(reader.finish(group.into(), cut.into()))
}

/// The log group that logs of this type of a resource are delivered to.
pub(super) async fn delivered_group(aws: &Aws, lb: &SafeText, kind: &str) -> Result<String, Reason> {
    let off = || Reason::NotApplicable { why: "access logs are not switched on".into() };
    let mut sources = Vec::new();
    let mut pages = Pages::default();
    loop {
        let out = pages
            .ask(aws, &op::DESCRIBE_DELIVERY_SOURCES, |c, token| {
                c.logs.describe_delivery_sources().resource_arns(lb.as_str()).set_next_token(token).send()
            })
            .await?;
        sources.extend(
            listed(out.delivery_sources, "deliverySources")?
                .into_iter()
                .filter(|s| s.log_type.as_deref() == Some(kind))
                .filter(|s| s.resource_arns.iter().flatten().any(|a| a == lb.as_str()))
                .filter_map(|s| s.name),
        );
        if !pages.advance(out.next_token)? {
            break;
        }
    }
    if sources.is_empty() {
        return Err(off());
    }
    let out = aws
        .call(&op::DESCRIBE_DELIVERIES, |c| {
            c.logs.describe_deliveries().set_delivery_source_names(Some(sources.clone())).send()
        })
        .await?;
    let deliveries = listed(out.deliveries, "deliveries")?;
    let to_logs = deliveries.iter().find(|d| {
        d.delivery_destination_type.as_ref().is_some_and(|t| t.as_str() == "CWL")
            && d.delivery_source_name.as_ref().is_some_and(|n| sources.contains(n))
    });
    let Some(arn) = to_logs.and_then(|d| d.delivery_destination_arn.as_deref()) else {
        let why = "access logs are delivered, but not to CloudWatch Logs";
        return Err(Reason::NotApplicable { why: why.into() });
    };
    let name = arn.rsplit(':').next().unwrap_or(arn).to_string();
    let out = aws
        .call(&op::GET_DELIVERY_DESTINATION, |c| c.logs.get_delivery_destination().name(&name).send())
        .await?;
    let destination = out.delivery_destination.and_then(|d| d.delivery_destination_configuration);
    let resource = destination.map(|d| d.destination_resource_arn).unwrap_or_default();
    let group = resource.split(":log-group:").nth(1).unwrap_or_default().trim_end_matches(":*").to_string();
    if group.is_empty() {
        return Err(super::lacks("destinationResourceArn"));
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn at(t: &str) -> Timestamp {
        t.parse().unwrap()
    }

    const LB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123:loadbalancer/app/shop/50dc";

    #[test]
    fn keys_are_narrowed_to_the_window() {
        let all = folders(LB, "lb", at("2026-11-21T23:50:00Z"), at("2026-11-22T00:10:00Z")).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0].1,
            "lb/AWSLogs/123/elasticloadbalancing/eu-west-1/2026/11/21/123_elasticloadbalancing_eu-west-1_app.shop.50dc_20261121T2350"
        );
        assert!(all[1].0.contains("/2026/11/22/") && all[1].0 == all[1].1);
        let late = folders(LB, "", at("2026-11-21T23:10:00Z"), at("2026-11-21T23:57:00Z")).unwrap();
        assert_eq!(late.len(), 2, "what ends after midnight is filed under the next day");
        assert!(late[0].0.starts_with("AWSLogs/"));
        assert!(
            folders(
                "arn:aws:elasticloadbalancing:r:1:loadbalancer/net/x/1",
                "",
                at("2026-11-21T23:10:00Z"),
                at("2026-11-21T23:57:00Z")
            )
            .is_none()
        );
        assert!(folders("odd", "", at("2026-11-21T23:10:00Z"), at("2026-11-21T23:57:00Z")).is_none());
    }

    #[test]
    fn the_stamp_is_read_from_the_key() {
        let key = "x/123_elasticloadbalancing_eu-west-1_app.my_shop.50dc_20261122T0140Z_10.0.0.5_3kx9.log.gz";
        assert_eq!(end_of(key), Some(at("2026-11-22T01:40:00Z")));
        assert_eq!(end_of("x/ELBAccessLogTestFile"), None);
        assert_eq!(end_of("x/a_20261399T9940Z_b"), None);
    }

    #[test]
    fn files_around_the_onset_go_first() {
        let o = |t: &str, size: u64| Object { key: t.into(), size, end: at(t) };
        let all: Vec<Object> = (0..60).map(|m| o(&format!("2026-11-22T01:{m:02}:00Z"), 1 << 20)).collect();
        let (kept, cut) = choose(all, Some(at("2026-11-22T01:10:00Z")));
        assert_eq!(kept.len(), 48);
        assert_eq!(kept[0].end, at("2026-11-22T01:25:00Z"));
        assert!(kept.iter().any(|k| k.end == at("2026-11-22T01:05:00Z")));
        assert_eq!(cut, "48 of 60 files were read");
    }

    #[test]
    fn a_packed_file_cut_short_gives_what_is_there() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        for i in 0..5000u64 {
            writeln!(gz, "line {i} {:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
        }
        let whole = gz.finish().unwrap();
        let count = |bytes: &[u8], most: u64| {
            let mut n = 0;
            let done = lines("a.log.gz", bytes, most, |_, _| n += 1);
            (n, done)
        };
        assert_eq!(count(&whole, 1 << 30), (5000, true));
        let (n, done) = count(&whole[..whole.len() / 2], 1 << 30);
        assert!(n > 1000 && n < 5000 && !done, "{n}");
        let (n, _) = count(&whole, 1000);
        assert!(n < 100, "a bomb is not unpacked beyond the bound: {n}");
        assert_eq!(count(b"not gzip", 1 << 20), (0, false));
    }
}
