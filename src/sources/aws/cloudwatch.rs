//! The two questions CloudWatch is asked, in its JSON protocol
//! (`GraniteServiceVersion20100801`, one of the three its API model names).

use super::ask::Pages;
use super::client::Aws;
use super::operations::{GET_METRIC_DATA, LIST_METRICS};
use crate::situation::Reason;
use crate::text::SafeText;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// One series that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Query {
    id: String,
    metric_stat: MetricStat,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
    period: i64,
    stat: String,
}

/// A metric by its names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Metric {
    pub namespace: String,
    pub metric_name: String,
    pub dimensions: Vec<Dimension>,
}

/// A name and value that tell one series of a metric from another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Dimension {
    pub name: String,
    pub value: String,
}

impl Metric {
    /// A metric with its dimensions, name and value of each.
    pub fn new<N: Into<String>, V: Into<String>>(
        namespace: &str,
        name: &str,
        dimensions: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let dimensions =
            dimensions.into_iter().map(|(n, v)| Dimension { name: n.into(), value: v.into() }).collect();
        Metric { namespace: namespace.into(), metric_name: name.into(), dimensions }
    }
}

impl Query {
    /// `period_s`: seconds a point. `stat`: `Sum`, `Average`, `p99`, ...
    pub fn new(id: String, metric: Metric, period_s: i64, stat: &str) -> Self {
        Query { id, metric_stat: MetricStat { metric, period: period_s, stat: stat.into() } }
    }
}

/// What one page says of one series.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Answer {
    pub id: String,
    /// Seconds since 1970; `None` where it cannot be read.
    #[serde(deserialize_with = "times")]
    pub timestamps: Vec<Option<i64>>,
    /// Not a number where the API says so.
    #[serde(deserialize_with = "numbers")]
    pub values: Vec<f64>,
    pub status_code: Option<String>,
    pub messages: Vec<Message>,
}

/// Why a series is not whole.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Message {
    pub code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DataPage {
    #[serde(default)]
    metric_data_results: Vec<Answer>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricPage {
    #[serde(default)]
    metrics: Vec<Metric>,
    next_token: Option<String>,
}

fn times<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Option<i64>>, D::Error> {
    Ok(Vec::<Value>::deserialize(d)?.iter().map(seconds).collect())
}

/// The JSON protocol writes seconds, with a fraction or without; a time in
/// words is read as well.
fn seconds(v: &Value) -> Option<i64> {
    match v {
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().map(|f| f.floor() as i64)),
        Value::String(s) => s.parse::<Timestamp>().ok().map(|t| t.as_second()),
        _ => None,
    }
}

fn numbers<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
    Ok(Vec::<Value>::deserialize(d)?.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect())
}

/// One page of the points of `queries` in `[from, to)`, and the marker of the next.
pub async fn data(
    aws: &Aws,
    pages: &Pages,
    queries: &[Query],
    (from, to): (i64, i64),
) -> Result<(Vec<Answer>, Option<String>), Reason> {
    let ask = json!({
        "MetricDataQueries": queries,
        "StartTime": from,
        "EndTime": to,
        "ScanBy": "TimestampAscending",
    });
    let page: DataPage =
        pages.json(aws, &GET_METRIC_DATA, "GraniteServiceVersion20100801.GetMetricData", ask).await?;
    Ok((page.metric_data_results, page.next_token.filter(|t| !t.is_empty())))
}

/// One page of the metrics of this name, and the marker of the next.
pub async fn list(
    aws: &Aws,
    pages: &Pages,
    namespace: &str,
    name: &str,
) -> Result<(Vec<Metric>, Option<String>), Reason> {
    let ask = json!({ "Namespace": namespace, "MetricName": name });
    let page: MetricPage =
        pages.json(aws, &LIST_METRICS, "GraniteServiceVersion20100801.ListMetrics", ask).await?;
    Ok((page.metrics, page.next_token.filter(|t| !t.is_empty())))
}

impl Answer {
    /// CloudWatch's word for why the series is not whole; empty when it is.
    pub fn trouble(&self) -> SafeText {
        let code = self.messages.first().and_then(|m| m.code.as_deref());
        match (self.status_code.as_deref(), code) {
            // A service that says nothing of its status has nothing to add.
            (None | Some("Complete"), _) => SafeText::default(),
            (Some(s), None) => SafeText::capped(s, 60),
            (Some(_), Some(code)) => SafeText::capped(code, 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_what_the_api_model_says() {
        let metric = Metric::new("AWS/ApplicationELB", "RequestCount", [("LoadBalancer", "app/shop/50dc")]);
        assert_eq!(
            serde_json::to_value(Query::new("m0".into(), metric, 60, "Sum")).unwrap(),
            json!({
                "Id": "m0",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/ApplicationELB",
                        "MetricName": "RequestCount",
                        "Dimensions": [{"Name": "LoadBalancer", "Value": "app/shop/50dc"}],
                    },
                    "Period": 60,
                    "Stat": "Sum",
                },
            })
        );
    }

    #[test]
    fn odd_points_are_not_taken_for_good_ones() {
        let page: DataPage = serde_json::from_str(
            r#"{"MetricDataResults": [{"Id": "m0", "Timestamps": [1763776800, 1763776860.0, "2026-11-22T01:00:00Z", null],
                "Values": [1, 2.5, "NaN", 4], "StatusCode": "PartialData", "Messages": [{"Code": "Slow", "Value": "x"}]}]}"#,
        )
        .unwrap();
        let a = &page.metric_data_results[0];
        assert_eq!(a.timestamps, [Some(1_763_776_800), Some(1_763_776_860), Some(1_795_309_200), None]);
        assert!(a.values[2].is_nan() && a.values[1] == 2.5);
        assert_eq!(a.trouble(), "Slow");
        assert!(serde_json::from_str::<DataPage>(r#"{"MetricDataResults": "none"}"#).is_err());
    }
}
