//! What the load balancer counts and writes down: metrics by the minute, and
//! rows of the access log in the format of the service ("Access logs for your
//! Application Load Balancer", Elastic Load Balancing user guide).

use super::estate::{CERTIFICATE, HOST};
use crate::situation::metric::{MetricKey, Series};
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Rows kept; a drill of an hour at the usual traffic has about ten thousand.
const ROWS: usize = 60_000;
/// Minutes kept.
const MINUTES: usize = 360;

/// A load balancer's or group's ARN, or an id of a host.
type Subject = &'static str;

/// Name of a series within one minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    namespace: &'static str,
    subject: SafeText,
    name: &'static str,
    stat: &'static str,
    az: SafeText,
}

#[derive(Clone, Debug, Default)]
struct Minute {
    values: BTreeMap<Name, f64>,
    /// Seconds until the targets answered, by subject.
    times: BTreeMap<Subject, Vec<f32>>,
}

/// Counts and rows.
#[derive(Debug, Default)]
pub struct Meter {
    minutes: BTreeMap<i64, Minute>,
    rows: VecDeque<(Timestamp, String)>,
}

pub const ALB: &str = "AWS/ApplicationELB";

/// One request as the access log tells it. Seconds; negative where the log says -1.
#[derive(Clone, Debug)]
pub struct Row {
    pub at: Timestamp,
    pub created: Timestamp,
    pub client: String,
    /// `10.20.10.10:8080`; empty: none.
    pub target: String,
    pub times: [f64; 3],
    pub elb: u16,
    /// 0: the target did not answer.
    pub status: u16,
    pub received: usize,
    pub sent: usize,
    pub method: String,
    pub url: String,
    pub agent: String,
    pub group: String,
    pub trace: String,
    /// Empty: an error before rules were looked at.
    pub rule: String,
    pub actions: String,
    pub error: String,
    pub class: String,
    pub class_reason: String,
    pub node: String,
}

impl Row {
    /// The line, as the service writes it.
    pub fn line(&self) -> String {
        let or = |s: &str| if s.is_empty() { "-".to_owned() } else { s.to_owned() };
        let time = |s: f64| if s < 0.0 { "-1".to_owned() } else { format!("{s:.3}") };
        let status = if self.status == 0 { "-".to_owned() } else { self.status.to_string() };
        let host = HOST;
        format!(
            "https {:.6} app/shop/50dc6c495c0c9188 {} {} {} {} {} {} {status} {} {} \"{} https://{host}:443{} HTTP/1.1\" \
             \"{}\" TLS_AES_128_GCM_SHA256 TLSv1.3 {} \"{}\" \"{host}\" \"{CERTIFICATE}\" {} {:.6} \"{}\" \"-\" \"{}\" \
             \"{}\" \"{status}\" \"{}\" \"{}\" TID_{} \"-\" \"-\" \"-\" {}",
            self.at,
            self.client,
            or(&self.target),
            time(self.times[0]),
            time(self.times[1]),
            time(self.times[2]),
            self.elb,
            self.received,
            self.sent,
            or(&self.method),
            self.url,
            self.agent.replace('"', "\\\""),
            or(&self.group),
            or(&self.trace),
            or(&self.rule),
            self.created,
            or(&self.actions),
            or(&self.error),
            or(&self.target),
            or(&self.class),
            or(&self.class_reason),
            self.trace.rsplit('-').next().unwrap_or("0"),
            self.node,
        )
    }
}

impl Meter {
    fn minute(&mut self, at: Timestamp) -> &mut Minute {
        let m = at.as_second().div_euclid(60);
        while self.minutes.len() > MINUTES {
            self.minutes.pop_first();
        }
        self.minutes.entry(m).or_default()
    }

    /// Adds to a count of the load balancer or a group; of a zone as well, if one is named.
    pub fn count(&mut self, at: Timestamp, subject: &str, name: &'static str, az: &str) {
        self.add(at, subject, name, az, 1.0);
    }

    /// The same for more than one.
    pub fn add(&mut self, at: Timestamp, subject: &str, name: &'static str, az: &str, n: f64) {
        let minute = self.minute(at);
        for zone in ["", az].iter().take(if az.is_empty() { 1 } else { 2 }) {
            let key = Name {
                namespace: ALB,
                subject: subject.into(),
                name,
                stat: "Sum",
                az: SafeText::from(*zone),
            };
            *minute.values.entry(key).or_default() += n;
        }
    }

    /// Takes a value of a state, such as CPU use, for a statistic of its minute.
    pub fn state(
        &mut self,
        at: Timestamp,
        namespace: &'static str,
        subject: &str,
        name: &'static str,
        stat: &'static str,
        v: f64,
    ) {
        let key = Name { namespace, subject: subject.into(), name, stat, az: SafeText::default() };
        let held = self.minute(at).values.entry(key).or_insert(v);
        *held = match stat {
            "Maximum" => held.max(v),
            "Minimum" => held.min(v),
            "Sum" => *held + v,
            // A running mean that leans to what is new.
            _ => *held * 0.5 + v * 0.5,
        };
    }

    /// Sums start at what is added first.
    pub fn sum(&mut self, at: Timestamp, namespace: &'static str, subject: &str, name: &'static str, v: f64) {
        let key = Name { namespace, subject: subject.into(), name, stat: "Sum", az: SafeText::default() };
        *self.minute(at).values.entry(key).or_default() += v;
    }

    /// A target answered after so many seconds.
    pub fn time(&mut self, at: Timestamp, subject: Subject, s: f64) {
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds are enough")]
        self.minute(at).times.entry(subject).or_default().push(s as f32);
    }

    /// Takes a row.
    pub fn row(&mut self, row: &Row) {
        if self.rows.len() == ROWS {
            self.rows.pop_front();
        }
        self.rows.push_back((row.at, row.line()));
    }

    /// Rows answered from `from` up to `to`, in order of writing.
    pub fn rows(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(move |(at, _)| *at >= from && *at < to).map(|(_, l)| l.as_str())
    }

    /// All series of a kind: those of the load balancer, or of what stands behind it.
    pub fn series(&self, of_load_balancer: bool) -> Vec<Series> {
        let mut all: BTreeMap<MetricKey, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for (m, minute) in &self.minutes {
            let Ok(at) = Timestamp::from_second(m * 60) else { continue };
            for (n, v) in minute.values.iter().filter(|(n, _)| (n.namespace == ALB) == of_load_balancer) {
                let key = MetricKey {
                    namespace: n.namespace.into(),
                    name: n.name.into(),
                    stat: n.stat.into(),
                    subject: n.subject.clone(),
                    az: n.az.clone(),
                };
                all.entry(key).or_default().push((at, *v));
            }
            if !of_load_balancer {
                continue;
            }
            for (subject, times) in &minute.times {
                let mut sorted = times.clone();
                sorted.sort_by(f32::total_cmp);
                for (stat, q) in [("p50", 0.5), ("p99", 0.99), ("Maximum", 1.0)] {
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        clippy::cast_precision_loss,
                        reason = "an index within a minute's answers"
                    )]
                    let i = ((sorted.len() - 1) as f64 * q).round() as usize;
                    let key = MetricKey::alb(*subject, "TargetResponseTime", stat);
                    all.entry(key).or_default().push((at, f64::from(sorted[i])));
                }
            }
        }
        all.into_iter().map(|(key, points)| Series { key, period_s: 60, points }).collect()
    }

    /// Failing and all answers of the last `minutes` minutes that are over.
    pub fn share_failing(&self, now: Timestamp, minutes: i64) -> (usize, usize) {
        let from = now.as_second() - minutes * 60;
        let (mut bad, mut all) = (0, 0);
        for (_, line) in self.rows.iter().rev().take_while(|(at, _)| at.as_second() >= from) {
            all += 1;
            let code = line.split(' ').nth(8).and_then(|c| c.parse::<u16>().ok()).unwrap_or(0);
            bad += usize::from(code >= 500 || code == 460 || code == 463);
        }
        (bad, all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::estate::{LB, WEB};
    use super::*;
    use crate::sources::access_log::Reader;

    fn at(t: &str) -> Timestamp {
        format!("2026-11-22T{t}Z").parse().unwrap()
    }

    #[test]
    fn a_row_is_read_back_as_it_was() {
        let row = Row {
            at: at("01:40:00.250"),
            created: at("01:40:00"),
            client: "203.0.113.9:50312".into(),
            target: "10.20.10.10:8080".into(),
            times: [0.0, 0.004, -1.0],
            elb: 502,
            status: 0,
            received: 412,
            sent: 277,
            method: "GET".into(),
            url: "/cart?x=1".into(),
            agent: "say \"hi\"".into(),
            group: WEB.into(),
            trace: "Root=1-67a1-b2".into(),
            rule: "0".into(),
            actions: "forward".into(),
            error: String::new(),
            class: String::new(),
            class_reason: String::new(),
            node: "10.20.0.11".into(),
        };
        let mut r = Reader::new(None);
        r.line(&row.line());
        let log = r.finish("here".into(), "".into());
        assert_eq!((log.rows, log.unreadable), (1, 0), "{}", row.line());
        let f = &log.failing[0];
        assert_eq!((f.elb, f.status, f.took_ms, f.received), (502, None, Some(250), 412));
        assert_eq!(
            (f.target.as_str(), f.path.as_str(), f.group.as_str()),
            ("10.20.10.10:8080", "/cart", WEB)
        );
        assert_eq!((f.request_s, f.response_s), (Some(0.0), None));
        assert_eq!((f.actions.as_str(), f.rule.as_str(), f.domain.as_str()), ("forward", "0", HOST));
    }

    #[test]
    fn minutes_become_series() {
        let mut m = Meter::default();
        for t in ["01:40:01", "01:40:59", "01:42:00"] {
            m.count(at(t), LB, "RequestCount", "a");
            m.time(at(t), LB, 0.5);
        }
        m.state(at("01:40:00"), "AWS/EC2", "i-1", "CPUUtilization", "Maximum", 10.0);
        m.state(at("01:40:30"), "AWS/EC2", "i-1", "CPUUtilization", "Maximum", 40.0);
        let all = m.series(true);
        let of = |name: &str, az: &str, stat: &str| {
            all.iter()
                .find(|s| {
                    s.key.name.as_str() == name && s.key.az.as_str() == az && s.key.stat.as_str() == stat
                })
                .unwrap()
        };
        assert_eq!(of("RequestCount", "", "Sum").points, [(at("01:40:00"), 2.0), (at("01:42:00"), 1.0)]);
        assert_eq!(of("RequestCount", "a", "Sum").points.len(), 2);
        assert_eq!(of("TargetResponseTime", "", "p99").points[0].1, 0.5);
        let hosts = m.series(false);
        assert_eq!(hosts[0].points, [(at("01:40:00"), 40.0)]);
    }
}
