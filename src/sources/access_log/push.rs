//! The same question, answered by an engine that has the rows already: the text
//! of the queries, and how their results become the same [`Answer`].
//!
//! Counts, statuses by minute, targets and quantiles come from the engine. Rows
//! that fail are fetched as they are, as far as there are not too many of them,
//! and go through the same tables as everywhere: so causes, shapes and samples
//! do not depend on who counted.
//!
//! Sources: "Querying Application Load Balancer logs" and "Partition projection"
//! of the Athena user guide, "Logs Insights query syntax" of the CloudWatch Logs
//! user guide, "Access logs" of the Application Load Balancer user guide.

use super::answer::{Answer, Named, Names, Pair, Problem, Times};
use super::engine::{Outcome, Unreadable};
use super::tally::{Rules, Tally};
use super::{Format, Line, Parser};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Failing rows that are fetched at most; Insights gives no more.
pub const LINES: usize = 10_000;
/// What Athena takes for a terabyte read, and Insights for a gigabyte, in US
/// dollars; the price of most regions. Source: the pricing pages of both.
pub const ATHENA_TB: f64 = 5.0;
pub const INSIGHTS_GB: f64 = 0.005;

/// What an engine has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Minute since 1970, status given, the target's, rows; a status of 0 is none.
    pub minutes: Vec<(i64, u16, u16, u64)>,
    /// Target, status given, rows; most rows first.
    pub targets: Vec<(String, u16, u64)>,
    /// In the target, in seconds.
    pub times: Times,
    /// Failing rows as they were written.
    pub lines: Vec<String>,
    /// Bytes it has read.
    pub scanned: u64,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// Makes one answer of what was counted elsewhere and the rows that were fetched.
pub fn answer(
    engine: &'static str,
    source: &str,
    counted: Counted,
    rules: Rules,
    top: usize,
    seconds: f64,
) -> Answer {
    let mut tally = Tally::new(rules);
    let mut parser = Parser::default();
    let mut unreadable = Vec::new();
    let source = SafeText::capped(source, 200);
    for line in &counted.lines {
        match parser.line(line.as_bytes(), true) {
            Line::Row(format, row) if tally.within(row.at) => tally.take(format, &row, b""),
            Line::Row(..) | Line::Blank => {}
            Line::Unreadable => {
                tally.unparsed += 1;
                if unreadable.len() < 5 {
                    unreadable.push(Unreadable {
                        file: source.clone(),
                        line: SafeText::capped(line.as_bytes(), 160),
                    });
                }
            }
        }
    }
    let fetched = tally.rows;
    // The rest of each kind is known by its number only.
    let mut there: BTreeMap<(i64, u16, u16), u64> = BTreeMap::new();
    for (minute, m) in &tally.minutes {
        for (pair, n) in &m.pairs {
            if let Some(((lb, status), _)) = tally.pairs.get(usize::from(*pair)) {
                *there.entry((*minute, *lb, *status)).or_default() += u64::from(*n);
            }
        }
    }
    for (minute, lb, status, n) in &counted.minutes {
        let rest = n.saturating_sub(there.get(&(*minute, *lb, *status)).copied().unwrap_or(0));
        tally.bulk(*minute, *lb, *status, rest);
    }
    let mut rows_of: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (target, lb, n) in &counted.targets {
        let t = rows_of.entry(target).or_default();
        t.0 += n;
        t.1 += if *lb == 502 { *n } else { 0 };
    }
    for (target, (rows, _)) in &rows_of {
        tally.bulk_target(target.as_bytes(), *rows);
    }
    tally.usual = counted.times.p90;
    let missing = tally.faults.saturating_sub(fetched);
    let files = usize::from(tally.rows > 0);
    let mut notes: Vec<Problem> = counted.notes.iter().map(|n| Problem::new(&source, n)).collect();
    if missing > 0 {
        notes.push(Problem::new(
            &source,
            format!(
                "causes, shapes and names are of {fetched} failing rows; {missing} more were counted only"
            ),
        ));
    }
    let outcome = Outcome {
        tally,
        files,
        bytes: counted.scanned,
        problems: Vec::new(),
        more_problems: 0,
        notes,
        unreadable,
        stopped: false,
    };
    let mut a = Answer::of(outcome, top, seconds);
    let mut bad: Vec<(&str, u64)> = rows_of.iter().map(|(t, n)| (*t, n.1)).filter(|t| t.1 > 0).collect();
    bad.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    a.engine = engine;
    a.targets_502 = Names {
        what: "targets",
        distinct: bad.len(),
        list: bad
            .into_iter()
            .take(top)
            .map(|(name, count)| Named { name: SafeText::capped(name, 160), count, of: None })
            .collect(),
        lost: 0,
    };
    for t in &mut a.targets {
        // Their durations are those of failing rows only.
        t.times = None;
    }
    a.phases = [Times::default(), counted.times.clone(), Times::default(), Times::default()];
    a.target_time = counted.times;
    a
}

impl Answer {
    /// Rows that have this pair of statuses.
    pub fn count_of(&self, lb: u16, target: Option<u16>) -> u64 {
        let is = |p: &&Pair| p.lb == Some(lb) && p.target == target;
        self.pairs.iter().find(is).map_or(0, |p| p.count)
    }
}

/// A stretch of time with both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// A table of Athena over the logs of one account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub database: String,
    pub name: String,
    /// `s3://BUCKET/.../elasticloadbalancing/REGION`, without a slash at the end.
    pub location: String,
}

impl Table {
    /// A table over what `url` leads to.
    ///
    /// # Errors
    /// When names do not fit, or the place holds no day folders of one region.
    pub fn over(url: &str, database: &str, name: &str) -> Result<Table, String> {
        let word = |s: &str| {
            !s.is_empty()
                && s.len() <= 128
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        for (s, what) in [(database, "database"), (name, "table")] {
            if !word(s) {
                return Err(format!("'{s}' is no name of a {what}: small letters, digits and _"));
            }
        }
        let segments: Vec<&str> = url.split('/').collect();
        let at = segments
            .windows(4)
            .position(|w| w[0] == "AWSLogs" && w[2] == "elasticloadbalancing" && !w[3].is_empty());
        let Some(at) = at.filter(|_| url.starts_with("s3://")) else {
            return Err(format!(
                "'{url}': Athena reads one account and region: s3://BUCKET/PREFIX/AWSLogs/ACCOUNT/elasticloadbalancing/REGION/"
            ));
        };
        let location = segments[..at + 4].join("/");
        if location
            .bytes()
            .any(|b| b == b'\'' || b == b'"' || b == b'\\' || b == b'$' || b.is_ascii_control())
        {
            return Err(format!(
                "'{}' has characters that a query must not have",
                SafeText::capped(&location, 120)
            ));
        }
        Ok(Table { database: database.into(), name: name.into(), location })
    }

    /// `"DATABASE"."NAME"`.
    fn full(&self) -> String {
        format!("\"{}\".\"{}\"", self.database, self.name)
    }

    /// Creates the table. Nothing is moved or copied: it is a view onto the
    /// files, and days are found by the pattern of their folders, so that no
    /// partition is ever to be added.
    pub fn ddl(&self) -> String {
        // The first group is the row as it was written.
        let row =
            r"^((\\S+) (\\S+) (\\S+) (\\S+) (\\S+) ([-.0-9]+) ([-.0-9]+) ([-.0-9]+) ([-0-9]+) ([-0-9]+) .*)$";
        format!(
            "CREATE EXTERNAL TABLE IF NOT EXISTS `{}`.`{}` (\n  \
             line string,\n  type string,\n  time string,\n  elb string,\n  client string,\n  target string,\n  \
             request_processing_time double,\n  target_processing_time double,\n  response_processing_time double,\n  \
             elb_status_code string,\n  target_status_code string\n)\n\
             PARTITIONED BY (day string)\n\
             ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'\n\
             WITH SERDEPROPERTIES ('input.regex' = '{row}')\n\
             LOCATION '{loc}/'\n\
             TBLPROPERTIES (\n  'projection.enabled' = 'true',\n  'projection.day.type' = 'date',\n  \
             'projection.day.format' = 'yyyy/MM/dd',\n  'projection.day.range' = '2016/01/01,NOW+1DAYS',\n  \
             'projection.day.interval' = '1',\n  'projection.day.interval.unit' = 'DAYS',\n  \
             'storage.location.template' = '{loc}/${{day}}'\n)",
            self.database,
            self.name,
            loc = self.location
        )
    }

    /// Days and times of a stretch; files lie under the day they were ended in.
    fn within(&self, s: Span) -> String {
        let day = |t: Timestamp| t.strftime("%Y/%m/%d").to_string();
        let last = s.until.checked_add(SignedDuration::from_mins(65)).unwrap_or(s.until);
        format!(
            "day BETWEEN '{}' AND '{}' AND time >= '{}' AND time < '{}'",
            day(s.from),
            day(last),
            iso(s.from),
            iso(s.until)
        )
    }

    /// The four questions: statuses by minute, targets, quantiles, failing rows.
    pub fn questions(&self, s: Span) -> [String; 4] {
        let (table, within) = (self.full(), self.within(s));
        [
            format!(
                "SELECT substr(time, 1, 16), elb_status_code, target_status_code, count(*) FROM {table} \
                 WHERE {within} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ),
            format!(
                "SELECT target, elb_status_code, count(*) FROM {table} WHERE {within} \
                 GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10000"
            ),
            format!(
                "SELECT count(*), approx_percentile(target_processing_time, 0.5), \
                 approx_percentile(target_processing_time, 0.9), approx_percentile(target_processing_time, 0.99), \
                 max(target_processing_time) FROM {table} WHERE {within} AND target_processing_time >= 0"
            ),
            format!(
                "SELECT line FROM {table} WHERE {within} AND (elb_status_code LIKE '5%' OR target_status_code LIKE '5%' \
                 OR elb_status_code = '460') LIMIT {LINES}"
            ),
        ]
    }
}

/// How the rows of a log group are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Fields are found by their names.
    Json,
    /// As in the files in S3.
    Plain,
}

/// The four questions to Insights about an Application Load Balancer's rows.
pub fn insights(written: Written) -> [String; 4] {
    let fields = match written {
        Written::Json => String::new(),
        Written::Plain => r"parse @message /^\S+ (?<time>\S+) \S+ \S+ (?<target_port>\S+) \S+ (?<target_processing_time>\S+) \S+ (?<elb_status_code>\S+) (?<target_status_code>\S+) / | ".to_string(),
    };
    [
        format!(
            "{fields}stats count(*) as n by bin(1m) as minute, elb_status_code, target_status_code | sort minute asc | limit {LINES}"
        ),
        format!("{fields}stats count(*) as n by target_port, elb_status_code | sort n desc | limit {LINES}"),
        format!(
            "{fields}filter target_processing_time >= 0 | stats count(*) as n, pct(target_processing_time, 50) as p50, \
             pct(target_processing_time, 90) as p90, pct(target_processing_time, 99) as p99, max(target_processing_time) as longest"
        ),
        format!(
            "{fields}filter elb_status_code >= 500 or target_status_code >= 500 or elb_status_code = 460 \
             | fields @message | limit {LINES}"
        ),
    ]
}

/// Results of the four questions, row by row, as text.
pub fn counted(results: [Vec<Vec<String>>; 4]) -> Counted {
    let [minutes, targets, times, lines] = results;
    let code = |s: &str| s.trim().parse::<f64>().map_or(0, |n| n as u16);
    let number = |s: &String| s.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let many = |s: &String| number(s).map_or(0, |n| n.max(0.0) as u64);
    let mut out = Counted::default();
    for r in &minutes {
        if let [minute, lb, status, n] = r.as_slice()
            && let Some(at) = minute_of(minute)
        {
            out.minutes.push((at, code(lb), code(status), many(n)));
        }
    }
    for r in &targets {
        if let [target, lb, n] = r.as_slice() {
            let target = if target.is_empty() { "-" } else { target };
            out.targets.push((target.to_string(), code(lb), many(n)));
        }
    }
    if let Some([n, p50, p90, p99, max]) = times.first().map(Vec::as_slice) {
        out.times =
            Times { count: many(n), p50: number(p50), p90: number(p90), p99: number(p99), max: number(max) };
    }
    if minutes.len() >= LINES {
        out.notes.push(format!("gave {LINES} lines of counts and no more: ask for a shorter window"));
    }
    out.lines = lines.into_iter().filter_map(|r| r.into_iter().next()).collect();
    out
}

/// `2026-05-04T10:25` or `2026-05-04 10:25:00.000` as minutes since 1970.
fn minute_of(text: &str) -> Option<i64> {
    let text = text.get(..16)?.replace(' ', "T");
    let at: Timestamp = format!("{text}:00Z").parse().ok()?;
    Some(at.as_second().div_euclid(60))
}

fn iso(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

impl Tally {
    /// Counts rows of which only minute and statuses are known.
    pub(super) fn bulk(&mut self, minute: i64, lb: u16, status: u16, n: u64) {
        if n == 0 {
            return;
        }
        self.partial = true;
        self.rows += n;
        self.formats[Format::Alb as usize] += n;
        let at = minute.saturating_mul(60_000_000);
        self.first = Some(self.first.map_or(at, |f| f.min(at)));
        self.last = Some(self.last.map_or(at, |l| l.max(at)));
        self.faults += if lb >= 500 || status >= 500 { n } else { 0 };
        self.add_pair(minute, (lb, status), n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "s3://my-logs/lb/AWSLogs/123456789012/elasticloadbalancing/eu-west-1/2026/05/04/";

    fn row(second: u32, lb: &str, status: &str, times: &str) -> String {
        format!(
            "h2 2026-05-04T10:25:{second:02}.000000Z app/shop/50dc 203.0.113.9:40000 10.0.1.5:8080 {times} {lb} {status} 80 120 \
             \"GET https://shop.example.com:443/cart HTTP/2.0\" \"curl/8\" TLS_AES_128_GCM_SHA256 TLSv1.3 arn:x \"Root=1-1-1\" \
             \"shop.example.com\" \"arn:c\" 1 2026-05-04T10:25:{second:02}.000000Z \"forward\" \"-\" \"-\" \"10.0.1.5:8080\" \"{status}\" \"-\" \"-\" TID_1"
        )
    }

    #[test]
    fn a_table_is_over_one_region_and_of_plain_names() {
        let t = Table::over(URL, "default", "badgate_alb").unwrap();
        assert_eq!(t.location, "s3://my-logs/lb/AWSLogs/123456789012/elasticloadbalancing/eu-west-1");
        let ddl = t.ddl();
        assert!(ddl.starts_with("CREATE EXTERNAL TABLE IF NOT EXISTS `default`.`badgate_alb`"), "{ddl}");
        assert!(ddl.contains("eu-west-1/${day}'"), "{ddl}");
        assert!(!ddl.contains(';'));
        for (url, db, name) in [
            ("s3://my-logs/", "default", "t"),
            ("s3://my-logs/AWSLogs/1/elasticloadbalancing/", "default", "t"),
            ("/x/AWSLogs/1/elasticloadbalancing/r/", "default", "t"),
            ("s3://b'x/AWSLogs/1/elasticloadbalancing/r/", "default", "t"),
            (URL, "de fault", "t"),
            (URL, "default", "t\"; drop"),
            (URL, "", "t"),
        ] {
            assert!(Table::over(url, db, name).is_err(), "{url} {db} {name}");
        }
    }

    #[test]
    fn the_pattern_of_the_table_takes_real_rows_apart() {
        let ddl = Table::over(URL, "default", "t").unwrap().ddl();
        let pattern = ddl.split("'input.regex' = '").nth(1).unwrap().split('\'').next().unwrap();
        // As Hive reads the literal.
        let regex = regex::Regex::new(&pattern.replace("\\\\", "\\")).unwrap();
        let line = row(1, "502", "-", "0.001 0.002 -1");
        let c = regex.captures(&line).unwrap();
        assert_eq!(c.len(), 12, "one group a column");
        assert_eq!(&c[1], line);
        assert_eq!(
            [&c[3], &c[6], &c[8], &c[10], &c[11]],
            ["2026-05-04T10:25:01.000000Z", "10.0.1.5:8080", "0.002", "502", "-"]
        );
        assert_eq!(ddl.split("PARTITIONED").next().unwrap().matches(" string").count() + 3, 11);
    }

    #[test]
    fn questions_are_selects_within_the_window() {
        let t = Table::over(URL, "default", "t").unwrap();
        let s = Span {
            from: "2026-05-04T10:00:00Z".parse().unwrap(),
            until: "2026-05-04T23:30:00Z".parse().unwrap(),
        };
        for q in t.questions(s) {
            assert!(q.starts_with("SELECT ") && !q.contains(';'), "{q}");
            assert!(q.contains("day BETWEEN '2026/05/04' AND '2026/05/05'"), "{q}");
            assert!(q.contains("time >= '2026-05-04T10:00:00' AND time < '2026-05-04T23:30:00'"), "{q}");
        }
        for q in insights(Written::Json).iter().chain(&insights(Written::Plain)) {
            assert!(q.contains("limit") || q.contains("pct("), "{q}");
        }
    }

    #[test]
    fn counts_of_the_engine_and_causes_of_the_rows_are_one_answer() {
        let lines: Vec<Vec<String>> = (0..6).map(|s| vec![row(s, "502", "-", "0.001 0.002 -1")]).collect();
        let text = |list: &[&[&str]]| -> Vec<Vec<String>> {
            list.iter().map(|r| r.iter().map(|s| (*s).to_string()).collect()).collect()
        };
        let c = counted([
            text(&[
                &["2026-05-04T10:24", "200", "200", "1000"],
                &["2026-05-04 10:25:00.000", "200", "200", "1000"],
                &["2026-05-04T10:25", "502", "-", "9"],
            ]),
            text(&[
                &["10.0.1.5:8080", "200", "1500"],
                &["10.0.1.6:8080", "200", "500"],
                &["10.0.1.5:8080", "502", "9"],
            ]),
            text(&[&["2009", "0.05", "0.2", "0.9", "3.5"]]),
            lines,
        ]);
        let a = answer("athena", "s3://my-logs", c, Rules::default(), 10, 1.0);
        assert_eq!((a.engine, a.rows, a.faults), ("athena", 2009, 9));
        assert_eq!(a.count_of(502, None), 9);
        assert_eq!(a.count_of(200, Some(200)), 2000);
        assert_eq!(a.minutes.iter().map(|m| (m.rows, m.lb_502)).collect::<Vec<_>>(), [(1000, 0), (1009, 9)]);
        assert_eq!((a.targets_502.list[0].name.as_str(), a.targets_502.list[0].count), ("10.0.1.5:8080", 9));
        assert_eq!((a.target_time.p99, a.target_time.count), (Some(0.9), 2009));
        let causes: Vec<(&str, u64)> = a.causes.iter().map(|c| (c.cause, c.count)).collect();
        assert_eq!(causes, [("alb-target-keepalive-shorter", 6)]);
        assert!(a.notes[0].what.contains("3 more were counted only"), "{:?}", a.notes);
        assert!(a.shapes.iter().all(|s| s.shape != "one-path"), "the good rows of a path are not known");
    }
}
