//! Where a check does its work: it reads data through the desk, which notes
//! down what was asked and what could not be learned, so that no check can
//! read an unknown value as a good one without leaving a trace.

use super::context::Context;
use super::load::{Check, Procedure, Words};
use super::patterns::Patterns;
use super::result::{CheckResult, Evidence, Finding, Level, Manual, Missing};
use super::shell::{self, Values};
use super::suspects::{Suspect, suspects};
use crate::diagnosis::timeouts::Measured;
use crate::situation::log::Held;
use crate::situation::{Datum, GroupState, Reason, Situation, Topic, short};
use crate::text::SafeText;
use jiff::Timestamp;
use std::fmt::Display;

/// Items of a list that are named; the rest is counted.
pub(crate) const NAMED: usize = 5;

pub(crate) struct Desk<'a> {
    pub s: &'a Situation,
    pub cx: &'a Context<'a>,
    pub w: &'a Words,
    pub patterns: &'a Patterns,
    check: &'a Check,
    /// What may be read about the load balancer in view is asked under this ARN.
    pub lb: SafeText,
    out: CheckResult,
}

impl<'a> Desk<'a> {
    pub fn new(p: &'a Procedure, check: &'a Check, s: &'a Situation, cx: &'a Context<'a>) -> Self {
        Desk {
            s,
            cx,
            w: &p.words,
            patterns: &p.patterns,
            check,
            lb: s.lb_arn().cloned().unwrap_or_default(),
            out: CheckResult {
                id: check.id.clone(),
                title: check.title.clone(),
                asked: Vec::new(),
                findings: Vec::new(),
                unknown: Vec::new(),
                manual: Vec::new(),
            },
        }
    }

    pub fn finish(self) -> CheckResult {
        self.out
    }

    /// Reads a datum: notes the operation, and the reason when there is no
    /// value or when the newest attempt to get it failed.
    pub fn read<T>(&mut self, d: &'a Datum<T>, topic: &Topic) -> Option<(&'a T, Evidence)> {
        match d.get() {
            Some(known) => {
                self.asked(&known.source);
                if let Some(gap) = d.gap() {
                    let (what, reason) = (self.w.topic(topic), self.w.reason(&gap.reason));
                    let old = self.w.stale(&what, self.clock(known.as_of), &reason);
                    self.note_missing(what, reason, old);
                }
                let what = SafeText::from(topic.to_string());
                Some((&known.value, Evidence { what, source: known.source.clone(), at: known.as_of }))
            }
            None => {
                self.asked(operation(topic));
                let reason = d.why_unknown().unwrap_or(Reason::NotAsked);
                let what = self.w.topic(topic);
                self.missing(what, &reason);
                None
            }
        }
    }

    /// Reads what the load balancer in view has; without one, says that.
    pub fn read_lb<T>(
        &mut self,
        pick: impl Fn(&'a crate::situation::LbState) -> &'a Datum<T>,
        topic: fn(SafeText) -> Topic,
    ) -> Option<(&'a T, Evidence)> {
        match self.s.lb() {
            Some(state) => self.read(pick(state), &topic(self.lb.clone())),
            None => {
                self.asked(operation(&topic(self.lb.clone())));
                let reason = self.s.target.why_unknown().unwrap_or(Reason::NotAsked);
                let what = self.w.topic(&topic(SafeText::default()));
                self.missing(what, &reason);
                None
            }
        }
    }

    /// Something nobody has asked for yet.
    pub fn unasked(&mut self, topic: &Topic) {
        self.asked(operation(topic));
        self.missing(self.w.topic(topic), &Reason::NotAsked);
    }

    /// Log lines of the window, newest first, and no more than there is time for.
    pub fn lines(&self) -> impl Iterator<Item = &'a Held> + use<'a> {
        let since = self.cx.since;
        self.s.logs.iter().rev().take(self.cx.lines).filter(move |h| h.line.at >= since)
    }

    /// Says so when lines of the window were left out.
    pub fn note_lines_left_out(&mut self) {
        let logs = &self.s.logs;
        let oldest = logs.len().checked_sub(self.cx.lines).filter(|n| *n > 0);
        let first_left = oldest.and_then(|n| logs.get(logs.range().start + n as u64 - 1));
        if first_left.is_some_and(|h| h.line.at >= self.cx.since) {
            self.unknown(self.w.what_older_lines(), self.w.reason_only_newest(self.cx.lines));
        }
    }

    /// Timers people measured and noted.
    pub fn measured(&self) -> Vec<Measured> {
        super::measured(self.cx.notes)
    }

    /// The target groups in view; says so when they are not known.
    pub fn groups(&mut self) -> Vec<(&'a SafeText, &'a GroupState)> {
        if self.read_lb(|l| &l.groups, Topic::TargetGroups).is_none() {
            return Vec::new();
        }
        self.s.active_groups()
    }

    pub fn asked(&mut self, operation: impl AsRef<str>) {
        let operation = SafeText::from(operation.as_ref());
        if !operation.is_empty() && !self.out.asked.contains(&operation) {
            self.out.asked.push(operation);
        }
    }

    /// Something this check needed is not known.
    pub fn missing(&mut self, what: SafeText, reason: &Reason) {
        let reason = self.w.reason(reason);
        let text = self.w.unknown(&what, &reason);
        self.note_missing(what, reason, text);
    }

    fn note_missing(&mut self, what: SafeText, reason: SafeText, text: SafeText) {
        let entry = Missing { what, reason };
        if !self.out.unknown.contains(&entry) {
            self.out.unknown.push(entry);
            self.say(Level::Unknown, text, &[]);
        }
    }

    /// Unknown in a sentence of its own.
    pub fn unknown(&mut self, what: SafeText, reason: SafeText) {
        let text = self.w.unknown(&what, &reason);
        self.note_missing(what, reason, text);
    }

    fn say(&mut self, level: Level, text: SafeText, evidence: &[Evidence]) {
        self.out.findings.push(Finding { level, text: text.one_line(), evidence: evidence.to_vec() });
    }

    pub fn ok(&mut self, text: SafeText, evidence: &[Evidence]) {
        self.say(Level::Ok, text, evidence);
    }

    pub fn info(&mut self, text: SafeText, evidence: &[Evidence]) {
        self.say(Level::Info, text, evidence);
    }

    pub fn found(&mut self, text: SafeText, evidence: &[Evidence]) {
        self.say(Level::Found, text, evidence);
    }

    /// The commands of this check; also takes up their output where a person
    /// noted it. `suspects` are the hosts they are for.
    pub fn by_hand_for(&mut self, extra: impl FnOnce(&mut Values), suspects: &[Suspect<'_>]) {
        let mut values = shell::values(self.s, suspects.first());
        let utc = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        values.set("since", &clock_with_date(self.cx.since));
        values.set("since_utc", &utc(self.cx.since)).set("now_utc", &utc(self.cx.now));
        if let Some(i) = self.cx.incident {
            values.set("file", &i.file);
        }
        extra(&mut values);
        let w = self.w;
        let s = self.s;
        let applies = |only| shell::applies(s, only);
        let lines: Vec<Manual> =
            shell::manual(self.check, &values, suspects, applies, |by, host| w.remote(host, by));
        let noted = self.noted();
        let plain = lines.iter().filter(|m| m.host.is_empty()).count();
        if plain > 0 && noted == 0 {
            let text = self.w.by_hand(plain);
            self.say(Level::Manual, text, &[]);
        }
        self.out.manual.extend(lines);
    }

    /// As [`Desk::by_hand_for`], for the targets in question.
    pub fn by_hand(&mut self) {
        let list = suspects(self.s);
        self.by_hand_for(|_| {}, &list);
    }

    /// What people pasted for this check.
    pub fn outputs(&self) -> Vec<(&'a super::Note, &'a str)> {
        let id = self.check.id.as_str();
        self.cx.notes.iter().filter_map(|n| n.output_of(id).map(|o| (n, o))).collect()
    }

    fn noted(&mut self) -> usize {
        let outputs = self.outputs();
        for (note, text) in &outputs {
            let said = self.w.noted(&note.by, self.clock(note.at), text.lines().count());
            let evidence = Evidence { what: self.check.id.clone(), source: "note".into(), at: note.at };
            self.say(Level::Manual, said, &[evidence]);
        }
        outputs.len()
    }

    /// `01:53:12Z`; with the date when it is another day than now.
    pub fn clock(&self, t: Timestamp) -> String {
        if same_day(t, self.cx.now) { t.strftime("%H:%M:%SZ").to_string() } else { clock_with_date(t) }
    }

    /// Names the first few of a list and counts the rest.
    pub fn list<T: Display>(&self, items: impl IntoIterator<Item = T>) -> SafeText {
        let mut named: Vec<String> = Vec::new();
        let mut more = 0;
        for item in items {
            if named.len() < NAMED { named.push(item.to_string()) } else { more += 1 }
        }
        let head = named.join(", ");
        if more == 0 { head.into() } else { self.w.and_more(head, more) }
    }

    /// A target as people name it: `i-0a1:8080`.
    pub fn target(&self, key: &crate::situation::elb::TargetKey) -> String {
        match key.port {
            Some(p) if key.id.contains(':') && !key.id.starts_with("arn:") => format!("[{}]:{p}", key.id),
            Some(p) => format!("{}:{p}", key.id),
            None => short(&key.id).to_owned(),
        }
    }
}

/// Name of a target group: its own, else what its ARN says.
pub(crate) fn group_name<'a>(arn: &'a SafeText, g: &'a GroupState) -> &'a str {
    g.group.as_ref().map(|g| g.name.as_str()).filter(|n| !n.is_empty()).unwrap_or_else(|| short(arn))
}

fn same_day(a: Timestamp, b: Timestamp) -> bool {
    let day = |t: Timestamp| t.as_second().div_euclid(86_400);
    day(a) == day(b)
}

fn clock_with_date(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A number as people read it: `3`, `12.5`.
pub(crate) fn number(v: f64) -> String {
    if v.fract().abs() < 0.05 || v.abs() >= 1000.0 { format!("{v:.0}") } else { format!("{v:.1}") }
}

/// The operation that answers a topic on AWS.
pub(crate) fn operation(topic: &Topic) -> &'static str {
    match topic {
        Topic::Identity => "sts:GetCallerIdentity",
        Topic::Target | Topic::LoadBalancer(_) => "elbv2:DescribeLoadBalancers",
        Topic::LbAttributes(_) => "elbv2:DescribeLoadBalancerAttributes",
        Topic::Listeners(_) => "elbv2:DescribeListeners",
        Topic::Rules(_) => "elbv2:DescribeRules",
        Topic::TargetGroups(_) => "elbv2:DescribeTargetGroups",
        Topic::TgAttributes(_) => "elbv2:DescribeTargetGroupAttributes",
        Topic::Tags(_) => "elbv2:DescribeTags",
        Topic::TargetHealth(_) => "elbv2:DescribeTargetHealth",
        Topic::LbInterfaces(_) | Topic::Interfaces(_) => "ec2:DescribeNetworkInterfaces",
        Topic::Subnets(_) => "ec2:DescribeSubnets",
        Topic::SecurityGroups(_) => "ec2:DescribeSecurityGroups",
        Topic::NetworkAcls(_) => "ec2:DescribeNetworkAcls",
        Topic::RouteTables(_) => "ec2:DescribeRouteTables",
        Topic::Instances(_) => "ec2:DescribeInstances",
        Topic::PrefixList(_) => "ec2:GetManagedPrefixListEntries",
        Topic::Metrics(_) => "cloudwatch:GetMetricData",
        Topic::EcsServices(_) => "ecs:DescribeServices",
        Topic::EcsTasks(_) => "ecs:DescribeTasks",
        Topic::TaskDefinition(_) => "ecs:DescribeTaskDefinition",
        Topic::HostMetrics(_) => "cloudwatch:GetMetricData",
        Topic::Changes(_) => "cloudtrail:LookupEvents",
        Topic::AccessLog(_) => "s3:GetObject",
        Topic::ListenerCertificates(_) => "elbv2:DescribeListenerCertificates",
        Topic::Certificate(_) => "acm:DescribeCertificate",
        Topic::InstanceStatus(_) => "ec2:DescribeInstanceStatus",
        Topic::Scaling(_) => "autoscaling:DescribeAutoScalingGroups",
        Topic::Databases(_) => "rds:DescribeDBInstances",
        Topic::Function(_) => "lambda:GetFunctionConfiguration",
        Topic::Probe(_) => "probe",
        Topic::Host(_) => "host",
        Topic::ListenerAttributes(_) => "elbv2:DescribeListenerAttributes",
        Topic::Distribution(_) => "cloudfront:GetDistributionConfig",
        Topic::Api(_) => "apigateway:GetRestApi",
        Topic::Classic(_) => "elb:DescribeLoadBalancers",
        Topic::InstanceHealth(_) => "elb:DescribeInstanceHealth",
        Topic::Records(_) => "route53:ListResourceRecordSets",
        Topic::FrontMetrics(_) => "cloudwatch:GetMetricData",
        Topic::FrontLog(_) => "s3:GetObject",
        Topic::FrontChanges(_) => "cloudtrail:LookupEvents",
        Topic::HealthCheck(_) => "route53:GetHealthCheckStatus",
        Topic::WebAcl(_) => "wafv2:GetWebACLForResource",
        Topic::Releases(_) => "codedeploy:ListDeployments",
        Topic::Caches(_) => "elasticache:DescribeCacheClusters",
        Topic::Traces(_) => "xray:GetTraceSummaries",
        Topic::Place(_) => "search",
        Topic::LogGroups => "logs:DescribeLogGroups",
        Topic::Tail(_) => "logs:FilterLogEvents",
    }
}
