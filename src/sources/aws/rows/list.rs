//! What lies below a place in S3, narrowed to a window by the names of folders
//! and files before anything is opened.

use crate::situation::Reason;
use crate::sources::aws::ask::Pages;
use crate::sources::aws::ask::access::{end_of, hour_of};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::{Question, encode};
use crate::sources::aws::xml::Node;
use futures::StreamExt;
use futures::stream;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::sync::atomic::Ordering;

/// Objects listed at most, and folders looked into.
const OBJECTS: usize = 500_000;
const FOLDERS: usize = 20_000;
/// Folders listed at once.
const AT_ONCE: usize = 8;
/// A file may be filed under a later interval than its rows, at most by this much.
const LATE: SignedDuration = SignedDuration::from_mins(65);

/// `s3://BUCKET/PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub bucket: String,
    /// As typed, without a slash in front.
    pub prefix: String,
}

impl Place {
    /// Reads what was typed.
    ///
    /// # Errors
    /// One clause on what is wrong.
    pub fn parse(url: &str) -> Result<Place, String> {
        let rest = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(fits) {
            return Err(format!("'{url}' names no bucket: write s3://BUCKET/PREFIX"));
        }
        if prefix.contains(['*', '?']) {
            return Err(format!("'{url}' is a pattern; S3 takes prefixes: end it where the star stands"));
        }
        Ok(Place { bucket: bucket.into(), prefix: prefix.into() })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub key: String,
    pub size: u64,
    /// Tells one version from another; with its quotes.
    pub etag: String,
    /// End of the interval by its name, else when it was written.
    pub end: Option<Timestamp>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Newest first.
    pub objects: Vec<Object>,
    /// Files whose names or folders say that they lie outside of the window.
    pub skipped: usize,
    /// There is more than is listed.
    pub more: bool,
}

impl Listed {
    /// Bytes of all objects, packed as they are.
    pub fn size(&self) -> u64 {
        self.objects.iter().map(|o| o.size).sum()
    }
}

/// A stretch of time; open ends are `None`.
type Window = (Option<Timestamp>, Option<Timestamp>);

/// Lists what may hold rows of the window, and the handle on the bucket's own region.
///
/// # Errors
/// When the first folder cannot be listed, or a later one neither.
pub async fn list(
    aws: &Aws,
    place: &Place,
    window: Window,
    progress: &crate::sources::access_log::engine::Progress,
) -> Result<(Aws, Listed), Reason> {
    let mut aws = aws.clone();
    let first = match folder(&aws, &place.bucket, &place.prefix).await {
        Err(Reason::Failed { code, detail }) if elsewhere(&code) => {
            aws = match region_in(&detail) {
                Some(region) => aws.in_region(&region).await?,
                None => aws.global().await?,
            };
            folder(&aws, &place.bucket, &place.prefix).await.map_err(|e| match e {
                Reason::Failed { code, .. } if elsewhere(&code) => Reason::Failed {
                    code,
                    detail: "the bucket is in another region: name it with --region".into(),
                },
                other => other,
            })?
        }
        other => other?,
    };
    let mut out = Listed::default();
    // `s3://b/logs` is the folder where there is one: not its neighbour logs-old/.
    let own = format!("{}/", place.prefix);
    let mut level = if !place.prefix.is_empty() && first.folders.contains(&own) {
        vec![own]
    } else {
        out.take(first.objects, window);
        first.folders
    };
    let mut seen = 0;
    while !level.is_empty() && !progress.stop.load(Ordering::Relaxed) {
        level.retain(|f| {
            let inside = folder_span(f).is_none_or(|span| overlaps(span, window));
            out.skipped += usize::from(!inside);
            inside
        });
        // The newest folder first, should the bound cut the list.
        level.sort_by(|a, b| b.cmp(a));
        seen += level.len();
        if seen > FOLDERS || out.objects.len() > OBJECTS {
            out.more = true;
            break;
        }
        let answers = stream::iter(level.iter().map(|f| folder(&aws, &place.bucket, f)));
        let mut answers = answers.buffered(AT_ONCE);
        let mut next = Vec::new();
        while let Some(answer) = answers.next().await {
            let answer = answer?;
            out.more |= answer.more;
            out.take(answer.objects, window);
            next.extend(answer.folders);
        }
        drop(answers);
        level = next;
    }
    out.objects.sort_by(|a, b| b.end.cmp(&a.end).then(a.key.cmp(&b.key)));
    if out.objects.len() > OBJECTS {
        out.objects.truncate(OBJECTS);
        out.more = true;
    }
    Ok((aws, out))
}

impl Listed {
    fn take(&mut self, objects: Vec<Object>, (from, until): Window) {
        for o in objects {
            // A file holds what came before its end; a file without a stamp was
            // written after all of its rows.
            let early = from.is_some_and(|f| o.end.is_some_and(|end| end + SignedDuration::from_mins(5) < f));
            let late = until.is_some_and(|u| {
                stamped(&o.key).is_some_and(|end| end.checked_sub(LATE).is_ok_and(|s| s > u))
            });
            if early || late {
                self.skipped += 1;
            } else if o.size > 0 && !o.key.ends_with("ELBAccessLogTestFile") {
                self.objects.push(o);
            }
        }
    }
}

/// End of the interval a key is stamped with.
fn stamped(key: &str) -> Option<Timestamp> {
    end_of(key).or_else(|| hour_of(key))
}

/// True for answers that say the bucket is in another region.
fn elsewhere(code: &str) -> bool {
    matches!(
        code,
        "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "HTTP 301"
            | "HTTP 307"
    )
}

/// `the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn region_in(detail: &str) -> Option<String> {
    let region = detail.split("expecting '").nth(1)?.split('\'').next()?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (region.len() > 4 && region.len() < 30 && region.bytes().all(fits)).then(|| region.to_string())
}

/// One level below a prefix.
struct Level {
    folders: Vec<String>,
    objects: Vec<Object>,
    more: bool,
}

async fn folder(aws: &Aws, bucket: &str, prefix: &str) -> Result<Level, Reason> {
    let mut out = Level { folders: Vec::new(), objects: Vec::new(), more: false };
    let mut pages = Pages::default();
    loop {
        let body = pages
            .ask(aws, &op::LIST_OBJECTS, |c, token| {
                // In the order of their names: the signature covers them so.
                let mut path = String::from("/?");
                if let Some(token) = token {
                    path.push_str(&format!("continuation-token={}&", encode(&token)));
                }
                path.push_str(&format!("delimiter=%2F&list-type=2&prefix={}", encode(prefix)));
                let q = Question { bucket: Some(bucket.to_string()), ..Question::get(path) };
                async move { c.plain(&op::LIST_OBJECTS, q).await }
            })
            .await?;
        let root = Node::parse(&body.0).map_err(|what| Reason::Malformed { detail: what.into() })?;
        out.folders.extend(root.all("CommonPrefixes").map(|p| p.text_of("Prefix").to_string()));
        out.objects.extend(root.all("Contents").map(|o| {
            let key = o.text_of("Key").to_string();
            let written = || o.text_of("LastModified").parse::<Timestamp>().ok();
            Object {
                size: o.text_of("Size").parse().unwrap_or(0),
                etag: o.text_of("ETag").to_string(),
                end: stamped(&key).or_else(written),
                key,
            }
        }));
        if out.objects.len() + out.folders.len() > OBJECTS {
            out.more = true;
            return Ok(out);
        }
        // A folder of more pages than are followed is read as far as they go.
        match pages.advance(Some(root.text_of("NextContinuationToken").to_string())) {
            Ok(true) => {}
            Ok(false) => return Ok(out),
            Err(_) => {
                out.more = true;
                return Ok(out);
            }
        }
    }
}

/// The stretch of time a folder is for: `.../2026/05/04/`, also with names in
/// front as partitions have them (`year=2026/month=05/`).
fn folder_span(folder: &str) -> Option<(Timestamp, Timestamp)> {
    let mut parts: Vec<i16> = Vec::new();
    for segment in folder.split('/') {
        let value = segment.split_once('=').map_or(segment, |(_, v)| v);
        let number = value.parse::<i16>().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit()));
        match (parts.len(), number, value.len()) {
            (0, Some(year @ 2000..2200), 4) => parts.push(year),
            (1, Some(month @ 1..=12), 2) => parts.push(month),
            (2, Some(day @ 1..=31), 2) => parts.push(day),
            (3, Some(hour @ 0..24), 2) => parts.push(hour),
            _ => {}
        }
    }
    let at = |d: Date, hour: i8| d.at(hour, 0, 0, 0).to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp());
    let small = |i: usize| parts.get(i).and_then(|n| i8::try_from(*n).ok());
    let year = *parts.first()?;
    let first = Date::new(year, small(1).unwrap_or(1), small(2).unwrap_or(1)).ok()?;
    let start = at(first, small(3).unwrap_or(0))?;
    let end = match parts.len() {
        1 => at(first.checked_add(1.year()).ok()?, 0)?,
        2 => at(first.checked_add(1.month()).ok()?, 0)?,
        3 => at(first.checked_add(1.day()).ok()?, 0)?,
        _ => start.checked_add(1.hour()).ok()?,
    };
    Some((start, end))
}

/// May a folder for this stretch hold rows of the window?
fn overlaps((start, end): (Timestamp, Timestamp), (from, until): Window) -> bool {
    // A file ends up to five minutes after its last row; clocks may differ by as much.
    let slack = SignedDuration::from_mins(5);
    from.is_none_or(|f| end.checked_add(slack).is_ok_and(|e| e >= f))
        && until.is_none_or(|u| start.checked_sub(LATE).is_ok_and(|s| s <= u))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(t: &str) -> Timestamp {
        t.parse().unwrap()
    }

    #[test]
    fn places_are_read_or_refused() {
        let p = Place::parse("s3://my-logs/AWSLogs/1/").unwrap();
        assert_eq!((p.bucket.as_str(), p.prefix.as_str()), ("my-logs", "AWSLogs/1/"));
        assert_eq!(Place::parse("s3://my-logs").unwrap().prefix, "");
        for bad in ["s3://", "s3://My_Logs/x", "s3://a/b", "s3://my-logs/2026/*/x"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn folders_tell_their_time() {
        let span = |f: &str| folder_span(f).map(|(a, b)| (a.to_string(), b.to_string()));
        let some = |a: &str, b: &str| Some((a.to_string(), b.to_string()));
        assert_eq!(
            span("x/AWSLogs/123456789012/elasticloadbalancing/eu-west-1/2026/05/04/"),
            some("2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z")
        );
        assert_eq!(span("a/2026/12/"), some("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"));
        assert_eq!(span("a/2026/"), some("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"));
        assert_eq!(
            span("d/year=2026/month=05/day=04/hour=10/"),
            some("2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z")
        );
        assert_eq!(span("AWSLogs/123456789012/elasticloadbalancing/"), None);
        assert_eq!(span("a/2026/02/31/"), None, "no such day");
    }

    #[test]
    fn the_window_prunes_folders_and_files() {
        let day = folder_span("a/2026/05/04/").unwrap();
        let w = |a: &str, b: &str| (Some(at(a)), Some(at(b)));
        assert!(overlaps(day, w("2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z")));
        assert!(!overlaps(day, w("2026-05-05T10:00:00Z", "2026-05-05T11:00:00Z")));
        assert!(overlaps(day, w("2026-05-03T23:50:00Z", "2026-05-03T23:58:00Z")), "filed under the next day");
        assert!(!overlaps(day, (None, Some(at("2026-05-03T10:00:00Z")))));
        assert!(overlaps(day, (None, None)));
        let o = |key: &str, written: &str| Object {
            key: key.into(),
            size: 1,
            etag: String::new(),
            end: stamped(key).or_else(|| Some(at(written))),
        };
        let mut l = Listed::default();
        l.take(
            vec![
                o("1_elasticloadbalancing_r_app.a.b_20260504T1005Z_1.2.3.4_x.log.gz", "2026-05-04T10:06:00Z"),
                o("1_elasticloadbalancing_r_app.a.b_20260504T0905Z_1.2.3.4_x.log.gz", "2026-05-04T09:06:00Z"),
                o("1_elasticloadbalancing_r_app.a.b_20260504T1305Z_1.2.3.4_x.log.gz", "2026-05-04T13:06:00Z"),
                o("E1.2026-05-04-10.abcd1234.gz", "2026-05-04T12:06:00Z"),
                o("access.log.gz", "2026-05-04T12:06:00Z"),
                o("old.log.gz", "2026-05-03T12:06:00Z"),
            ],
            w("2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z"),
        );
        let keys: Vec<&str> = l.objects.iter().map(|o| o.key.as_str()).collect();
        assert_eq!(keys.len(), 3, "{keys:?}");
        assert_eq!(l.skipped, 3);
    }

    #[test]
    fn the_right_region_is_in_the_answer() {
        assert_eq!(
            region_in("the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
            Some("eu-west-1".into())
        );
        assert_eq!(region_in("expecting 'Evil/..'"), None);
        assert_eq!(region_in("x"), None);
    }
}
