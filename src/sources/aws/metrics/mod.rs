//! CloudWatch metrics of a load balancer and its target groups.
//!
//! Series have one point a minute. The first question reaches back far enough
//! to have a baseline, later ones over the last quarter of an hour: points of
//! the newest minutes may still grow (see
//! [`SETTLING_S`](crate::situation::metric::SETTLING_S)) and are read again
//! until they stand.
//!
//! A series that was asked for and has no point is kept as an empty one in the
//! first answer: "nothing was published" is a finding, "not asked" is not one.
//! An incomplete series is left out and named in the gap, so that its missing
//! minutes are never read as quiet ones.
//!
//! Each series asked for is billed as one metric (0.01 USD per thousand): about
//! 75 for one load balancer with one group in three zones, 0.09 USD for an hour
//! of a question every 30 s.

mod front;
mod hosts;
mod plan;

use super::ask::Pages;
use super::client::Aws;
use super::cloudwatch::{self, Answer, Metric, Query};
use super::operations::GET_METRIC_DATA;
use crate::situation::elb::{LoadBalancer, TargetGroup};
use crate::situation::metric::Series;
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::text::SafeText;
use futures::future::join_all;
use jiff::{SignedDuration, Span, Timestamp};
use std::collections::BTreeMap;
use std::time::Instant;

pub use front::{of_acl, of_api, of_check, of_classic, of_distribution, of_function};
pub use hosts::{Hosts, ask as ask_hosts};
pub use plan::{Ask, plan};

/// Seconds per point: what load balancers publish.
const PERIOD_S: i64 = 60;
/// Queries in one call at most.
const QUERIES: usize = 500;
/// Pages of one call at most: three days of 500 series are 22.
const MOST_PAGES: usize = 40;
/// The first question reaches at least this far back, for a baseline.
const BASELINE: SignedDuration = SignedDuration::from_hours(3);
/// And at most this far: minutes are kept longer, but cost a page each.
const LONGEST: SignedDuration = SignedDuration::from_hours(72);
/// What later questions cover.
const AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// The minutes a question is about: `[from, to)`, both at whole minutes. The
/// minute that is under way is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Series without a point are reported as empty ones.
    pub first: bool,
}

impl Window {
    /// For the first question: `since` back from `now`, at least three hours,
    /// at most three days.
    pub fn first(now: Timestamp, since: Option<Span>) -> Window {
        let asked = since
            .and_then(|s| s.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok())
            .unwrap_or(BASELINE)
            .abs();
        Window::back(now, asked.clamp(BASELINE, LONGEST), true)
    }

    /// For every later question.
    pub fn again(now: Timestamp) -> Window {
        Window::back(now, AGAIN, false)
    }

    /// As [`Window::again`], or back to `last` where nothing was learned since
    /// then: an outage of the API leaves no hole in the series.
    pub fn since(now: Timestamp, last: Timestamp) -> Window {
        let missed = now.duration_since(last) + AGAIN;
        Window::back(now, missed.clamp(AGAIN, LONGEST), false)
    }

    fn back(now: Timestamp, reach: SignedDuration, first: bool) -> Window {
        let to = minute(now);
        Window { from: minute(to.checked_sub(reach).unwrap_or(Timestamp::MIN)), to, first }
    }
}

fn minute(t: Timestamp) -> Timestamp {
    let second = t.as_second();
    Timestamp::from_second(second - second.rem_euclid(PERIOD_S)).unwrap_or(t)
}

/// Asks for the metrics of an application or network load balancer. The answer is one
/// [`Fact::Metrics`] with what is known, followed by a [`Fact::Unknown`] where
/// something is missing.
pub async fn ask(aws: &Aws, lb: &LoadBalancer, groups: &[TargetGroup], window: Window) -> Vec<Observation> {
    let topic = Topic::Metrics(lb.arn.clone());
    if lb.kind.as_str() == "network" {
        return collect(aws, &topic, front::of_network(lb, groups), window).await;
    }
    if lb.kind.as_str() != "application" {
        let why = format!("metrics of {} load balancers are not read yet", lb.kind);
        return vec![Observation {
            at: Timestamp::now(),
            source: SafeText::from_static(GET_METRIC_DATA.id),
            topic,
            fact: Fact::Unknown(Reason::NotApplicable { why: why.into() }),
            took_ms: 0,
        }];
    }
    collect(aws, &topic, plan(lb, groups), window).await
}

/// Asks for series under a topic.
pub async fn collect(aws: &Aws, topic: &Topic, asks: Vec<Ask>, window: Window) -> Vec<Observation> {
    let observe = |fact: Fact, took_ms: u32| Observation {
        at: Timestamp::now(),
        source: SafeText::from_static(GET_METRIC_DATA.id),
        topic: topic.clone(),
        fact,
        took_ms,
    };
    let start = Instant::now();
    let pages = join_all(asks.chunks(QUERIES).map(|part| read(aws, part, window))).await;
    let took_ms = u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX);
    let mut series = Vec::new();
    let mut gaps = Gaps::default();
    for (part, answer) in asks.chunks(QUERIES).zip(pages) {
        match answer {
            Ok(results) => gather(part, results, window, &mut series, &mut gaps),
            Err(reason) => gaps.call = gaps.call.or(Some(reason)),
        }
    }
    let gap = gaps.reason(asks.len());
    let mut out = Vec::new();
    if gap.is_none() || !series.is_empty() {
        out.push(observe(Fact::Metrics(series), took_ms));
    }
    out.extend(gap.map(|reason| observe(Fact::Unknown(reason), took_ms)));
    out
}

/// All pages of one call.
async fn read(aws: &Aws, asks: &[Ask], window: Window) -> Result<Vec<Answer>, Reason> {
    let queries: Vec<Query> = asks.iter().enumerate().map(|(i, a)| query(i, a)).collect();
    let span = (window.from.as_second(), window.to.as_second());
    let (mut pages, mut results) = (Pages::default(), Vec::new());
    for _ in 0..MOST_PAGES {
        let (answers, next) = cloudwatch::data(aws, &pages, &queries, span).await?;
        results.extend(answers);
        if !pages.advance(next)? {
            return Ok(results);
        }
    }
    Err(Reason::Malformed { detail: SafeText::from_static("the pages of the metrics have no end") })
}

fn query(i: usize, ask: &Ask) -> Query {
    let dimensions = ask.dimensions.iter().map(|(name, value)| (*name, value.as_str()));
    let metric = Metric::new(&ask.key.namespace, &ask.key.name, dimensions);
    Query::new(format!("m{i}"), metric, PERIOD_S, &ask.key.stat)
}

/// What the answers left open.
#[derive(Debug, Default)]
struct Gaps {
    /// A call that failed whole.
    call: Option<Reason>,
    /// Series without a complete answer, and CloudWatch's word for why.
    series: Vec<(SafeText, SafeText)>,
}

impl Gaps {
    fn reason(self, asked: usize) -> Option<Reason> {
        if self.call.is_some() {
            return self.call;
        }
        let (name, code) = self.series.first()?;
        let n = self.series.len();
        let what =
            if n == 1 { format!("{name} is") } else { format!("{n} of {asked} series ({name}, ..) are") };
        Some(Reason::Failed { code: code.clone(), detail: format!("{what} incomplete").into() })
    }
}

/// Puts the pages of each series together. Over several pages a series is
/// `PartialData` until its last one; only the last word counts.
fn gather(asks: &[Ask], results: Vec<Answer>, window: Window, series: &mut Vec<Series>, gaps: &mut Gaps) {
    #[derive(Default)]
    struct Got {
        points: BTreeMap<Timestamp, f64>,
        status: Option<SafeText>,
        damaged: bool,
    }
    let mut got: Vec<Got> = asks.iter().map(|_| Got::default()).collect();
    for r in results {
        let index = r.id.strip_prefix('m').and_then(|n| n.parse::<usize>().ok());
        let Some(slot) = index.and_then(|i| got.get_mut(i)) else { continue };
        slot.damaged |= r.timestamps.len() != r.values.len();
        for (t, v) in r.timestamps.iter().zip(&r.values) {
            match t.and_then(|t| Timestamp::new(t, 0).ok()) {
                Some(t) if v.is_finite() => {
                    if t >= window.from && t < window.to {
                        slot.points.insert(t, *v);
                    }
                }
                _ => slot.damaged = true,
            }
        }
        slot.status = Some(r.trouble());
    }
    for (ask, got) in asks.iter().zip(got) {
        let name = || ask.key.name.clone();
        match got.status {
            _ if got.damaged => gaps.series.push((name(), SafeText::from_static("unreadable"))),
            None => gaps.series.push((name(), SafeText::from_static("unanswered"))),
            Some(why) if !why.is_empty() => gaps.series.push((name(), why)),
            Some(_) => {
                if window.first || !got.points.is_empty() {
                    let points = got.points.into_iter().collect();
                    series.push(Series { key: ask.key.clone(), period_s: PERIOD_S as u32, points });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::metric::MetricKey;
    use crate::sources::aws::cloudwatch::Message;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_are_whole_minutes_and_leave_out_the_one_under_way() {
        let now = at("2026-11-22T01:53:50.7Z");
        let first = Window::first(now, None);
        assert_eq!((first.from, first.to), (at("2026-11-21T22:53:00Z"), at("2026-11-22T01:53:00Z")));
        let short = Window::first(now, Some(Span::new().minutes(30)));
        assert_eq!(short.from, first.from, "a baseline is read in any case");
        let long = Window::first(now, Some(Span::new().hours(6)));
        assert_eq!(long.from, at("2026-11-21T19:53:00Z"));
        let longest = Window::first(now, Some(Span::new().days(30)));
        assert_eq!(longest.from, at("2026-11-19T01:53:00Z"));
        let again = Window::again(now);
        assert_eq!((again.from, again.to), (at("2026-11-22T01:38:00Z"), at("2026-11-22T01:53:00Z")));
        let after_outage = Window::since(now, at("2026-11-22T01:00:30Z"));
        assert_eq!(after_outage.from, at("2026-11-22T00:44:00Z"));
        assert_eq!(Window::since(now, now).from, again.from);
    }

    fn asks() -> Vec<Ask> {
        let ask = |name: &str| Ask { key: MetricKey::alb("arn", name, "Sum"), dimensions: vec![] };
        vec![ask("A"), ask("B"), ask("C")]
    }

    const COMPLETE: &str = "Complete";
    const PARTIAL: &str = "PartialData";

    fn result(id: &str, points: &[(&str, f64)], status: &str) -> Answer {
        Answer {
            id: id.into(),
            timestamps: points.iter().map(|p| Some(at(p.0).as_second())).collect(),
            values: points.iter().map(|p| p.1).collect(),
            status_code: Some(status.into()),
            messages: Vec::new(),
        }
    }

    fn gathered(results: Vec<Answer>, first: bool) -> (Vec<Series>, Option<Reason>) {
        let window = Window { from: at("2026-11-22T01:00:00Z"), to: at("2026-11-22T02:00:00Z"), first };
        let (mut series, mut gaps) = (Vec::new(), Gaps::default());
        gather(&asks(), results, window, &mut series, &mut gaps);
        (series, gaps.reason(3))
    }

    #[test]
    fn pages_of_a_series_become_one_and_the_last_word_counts() {
        let (series, gap) = gathered(
            vec![
                result("m1", &[("2026-11-22T01:01:00Z", 2.0)], PARTIAL),
                result("m0", &[], COMPLETE),
                result("m2", &[("2026-11-22T01:01:00Z", 7.0)], COMPLETE),
                result("m1", &[("2026-11-22T01:02:00Z", 3.0), ("2026-11-22T01:01:00Z", 2.5)], COMPLETE),
                result("m9", &[("2026-11-22T01:02:00Z", 9.0)], COMPLETE),
                result("x", &[], COMPLETE),
            ],
            true,
        );
        assert_eq!(gap, None);
        let names: Vec<&str> = series.iter().map(|s| s.key.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "C"]);
        assert!(series[0].points.is_empty(), "asked, and nothing published");
        assert_eq!(series[1].points, [(at("2026-11-22T01:01:00Z"), 2.5), (at("2026-11-22T01:02:00Z"), 3.0)]);
    }

    #[test]
    fn what_is_incomplete_is_left_out_and_named() {
        let point = [("2026-11-22T01:01:00Z", 2.0)];
        let (series, gap) = gathered(
            vec![
                result("m0", &point, COMPLETE),
                result("m1", &point, PARTIAL),
                result("m2", &point, "InternalError"),
            ],
            false,
        );
        assert_eq!(series.len(), 1);
        assert_eq!(gap.unwrap().phrase(), "failed: PartialData: 2 of 3 series (B, ..) are incomplete");

        let messages = vec![Message { code: Some("Authentication too complex".into()) }];
        let forbidden = Answer { messages, ..result("m0", &[], "Forbidden") };
        let (series, gap) =
            gathered(vec![forbidden, result("m1", &[], COMPLETE), result("m2", &[], COMPLETE)], false);
        assert!(series.is_empty());
        assert_eq!(gap.unwrap().phrase(), "failed: Authentication too complex: A is incomplete");
    }

    #[test]
    fn an_unanswered_or_damaged_series_is_a_gap() {
        let odd = Answer { values: Vec::new(), ..result("m0", &[("2026-11-22T01:01:00Z", 0.0)], COMPLETE) };
        let nan = result("m1", &[("2026-11-22T01:01:00Z", f64::NAN)], COMPLETE);
        let (series, gap) = gathered(vec![odd, nan], true);
        assert!(series.is_empty());
        assert_eq!(gap.unwrap().phrase(), "failed: unreadable: 3 of 3 series (A, ..) are incomplete");
        let (_, gap) = gathered(vec![result("m0", &[], COMPLETE), result("m1", &[], COMPLETE)], true);
        assert_eq!(gap.unwrap().phrase(), "failed: unanswered: C is incomplete");
    }

    #[test]
    fn later_windows_report_only_what_has_points() {
        let (series, gap) = gathered(
            vec![
                result("m0", &[], COMPLETE),
                result("m1", &[("2026-11-22T01:01:00Z", 0.0)], COMPLETE),
                result("m2", &[("2026-11-22T00:59:00Z", 1.0)], COMPLETE),
            ],
            false,
        );
        assert_eq!(gap, None);
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].key.name, "B");
    }
}
