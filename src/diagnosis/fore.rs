//! What stands in front of a load balancer, arranged for judging: for each of
//! distribution, API, Classic Load Balancer and function its window, counts
//! and failing rows.

use super::case::{Case, Inputs};
use super::series::{self, Onset};
use super::signs::Sign;
use crate::situation::around::{ChangeEvent, Function};
use crate::situation::beside::{AclRule, WebAcl};
use crate::situation::front::{Api, Classic, Distribution, FrontLog, FrontRow};
use crate::situation::metric::{MetricKey, Series};
use crate::situation::{Datum, Reason, Situation, short, short_name};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Failures fewer than this are no incident, nor is a smaller share.
const FEW: f64 = 3.0;
const RARE: f64 = 0.002;
/// Without an onset the last hour is looked at.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Names of a load balancer that records are looked up for.
const NAMES: usize = 4;

/// Which kind of thing a front is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Edge,
    Api,
    Classic,
    Function,
}

fn kind_of(s: &Situation, id: &SafeText) -> Kind {
    let t = s.target.value();
    let is = |f: fn(&crate::situation::ResolvedTarget) -> &SafeText| t.is_some_and(|t| f(t) == id);
    if is(|t| &t.distribution) {
        Kind::Edge
    } else if is(|t| &t.api) {
        Kind::Api
    } else if is(|t| &t.classic) {
        Kind::Classic
    } else {
        Kind::Function
    }
}

fn series_of<'a>(
    s: &'a Situation,
    namespace: &str,
    name: &str,
    stat: &str,
    id: &SafeText,
) -> Option<&'a Series> {
    s.series(&MetricKey {
        namespace: namespace.into(),
        name: name.into(),
        stat: stat.into(),
        subject: id.clone(),
        az: SafeText::default(),
    })
}

/// Requests and failures by minute, as metrics tell them.
struct Counts {
    minutes: Vec<Timestamp>,
    requests: Vec<f64>,
    errors: Vec<f64>,
}

fn counts(s: &Situation, id: &SafeText) -> Option<Counts> {
    let kind = kind_of(s, id);
    let at = |name: &str, namespace: &str, stat: &str| series_of(s, namespace, name, stat, id);
    let rest = s.fronts.apis.get(id).and_then(Datum::value).is_none_or(Api::is_rest);
    let (all, errors, rate) = match kind {
        Kind::Edge => (
            at("Requests", "AWS/CloudFront", "Sum"),
            vec![at("5xxErrorRate", "AWS/CloudFront", "Average")],
            true,
        ),
        Kind::Api => {
            let name = if rest { "5XXError" } else { "5xx" };
            (at("Count", "AWS/ApiGateway", "Sum"), vec![at(name, "AWS/ApiGateway", "Sum")], false)
        }
        Kind::Classic => (
            at("RequestCount", "AWS/ELB", "Sum"),
            vec![
                at("HTTPCode_ELB_5XX", "AWS/ELB", "Sum"),
                at("HTTPCode_Backend_5XX", "AWS/ELB", "Sum"),
                at("SpilloverCount", "AWS/ELB", "Sum"),
            ],
            false,
        ),
        Kind::Function => (
            at("Invocations", "AWS/Lambda", "Sum"),
            vec![at("Errors", "AWS/Lambda", "Sum"), at("Throttles", "AWS/Lambda", "Sum")],
            false,
        ),
    };
    let mut minutes: BTreeSet<Timestamp> = BTreeSet::new();
    for series in all.iter().chain(errors.iter().flatten()) {
        minutes.extend(series.points.iter().map(|p| p.0));
    }
    if minutes.is_empty() {
        return None;
    }
    let mut out = Counts { minutes: Vec::new(), requests: Vec::new(), errors: Vec::new() };
    for t in minutes {
        let n = all.and_then(|x| x.at(t)).filter(|v| v.is_finite()).unwrap_or(0.0);
        let bad: f64 = errors.iter().flatten().filter_map(|x| x.at(t)).filter(|v| v.is_finite()).sum();
        out.minutes.push(t);
        out.requests.push(n);
        // A rate without requests counts nothing.
        out.errors.push(if rate { n * bad / 100.0 } else { bad });
    }
    Some(out)
}

fn onset_of(s: &Situation, id: &SafeText) -> Option<Onset> {
    if let Some(c) = counts(s, id) {
        return series::step(&c.minutes, &c.errors, series::whole_until(s.at), "5xx responses");
    }
    let log = s.fronts.logs.get(id).and_then(Datum::value)?;
    let mut by: std::collections::BTreeMap<Timestamp, f64> = std::collections::BTreeMap::new();
    for (t, status, n) in &log.minutes {
        *by.entry(*t).or_default() += if *status >= 500 { f64::from(*n) } else { 0.0 };
    }
    let (minutes, errors): (Vec<_>, Vec<_>) = by.into_iter().unzip();
    series::step(&minutes, &errors, series::whole_until(s.at), "5xx rows")
}

fn since(s: &Situation, minutes: usize) -> Option<Timestamp> {
    s.at?.checked_sub(SignedDuration::from_mins(i64::try_from(minutes).ok()?)).ok()
}

/// Failures and requests of a front in the last minutes.
pub fn recent(s: &Situation, id: &SafeText, minutes: usize) -> Option<(f64, f64)> {
    let (c, from) = (counts(s, id)?, since(s, minutes)?);
    let sum = |v: &[f64]| c.minutes.iter().zip(v).filter(|(t, _)| **t >= from).map(|(_, n)| *n).sum::<f64>();
    Some((sum(&c.errors), sum(&c.requests)))
}

fn recent_of(s: &Situation, namespace: &str, id: &SafeText, names: &[&str], minutes: usize) -> Option<f64> {
    let from = since(s, minutes)?;
    let all: Vec<&Series> = names.iter().filter_map(|n| series_of(s, namespace, n, "Sum", id)).collect();
    (!all.is_empty()).then(|| all.iter().flat_map(|x| &x.points).filter(|p| p.0 >= from).map(|p| p.1).sum())
}

/// Errors and throttles of a function in the last minutes.
pub fn recent_errors(s: &Situation, arn: &SafeText, minutes: usize) -> Option<f64> {
    recent_of(s, "AWS/Lambda", arn, &["Errors", "Throttles"], minutes)
}

/// Flows that a Network Load Balancer or its targets reset in the last minutes.
pub fn recent_resets(s: &Situation, arn: &SafeText, minutes: usize) -> Option<f64> {
    recent_of(s, "AWS/NetworkELB", arn, &["TCP_ELB_Reset_Count", "TCP_Target_Reset_Count"], minutes)
}

/// Requests that a web ACL blocked in the last minutes, and all it saw.
pub fn recent_blocks(s: &Situation, acl: &WebAcl, minutes: usize) -> Option<(f64, f64)> {
    let of = |name| recent_of(s, "AWS/WAFV2", &acl.arn, &[name], minutes);
    let (blocked, allowed) = (of("BlockedRequests"), of("AllowedRequests"));
    (blocked.is_some() || allowed.is_some()).then(|| {
        let n = blocked.unwrap_or(0.0);
        (n, n + allowed.unwrap_or(0.0))
    })
}

/// The rule that blocked most in the last minutes.
pub fn blocking_rule<'a>(s: &Situation, acl: &'a WebAcl, minutes: usize) -> Option<&'a SafeText> {
    let n = |r: &AclRule| {
        let subject = SafeText::from(format!("{} {}", acl.arn, r.metric));
        recent_of(s, "AWS/WAFV2", &subject, &["BlockedRequests"], minutes).unwrap_or(0.0)
    };
    let all = acl.rules.iter().map(|r| (&r.name, n(r))).filter(|(_, n)| *n > 0.0);
    all.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name)
}

/// When the failures of a front began.
pub fn onset(s: &Situation, id: &SafeText) -> Option<Timestamp> {
    onset_of(s, id).map(|o| o.at)
}

/// Is something wrong with it, or may it be? Counts that are not known may
/// hide anything.
pub fn troubled(s: &Situation, id: &SafeText) -> bool {
    let sick = s
        .fronts
        .instance_health
        .get(id)
        .and_then(Datum::value)
        .is_some_and(|all| all.iter().any(|i| i.state.as_str() != "InService"));
    sick || counts(s, id).is_none_or(|c| c.errors.iter().sum::<f64>() >= FEW)
}

/// Exact names that the certificates and rules of a load balancer speak of.
pub fn names_of(s: &Situation, lb: &SafeText) -> Vec<SafeText> {
    let Some(state) = s.lbs.get(lb) else { return Vec::new() };
    let mut out: BTreeSet<SafeText> = BTreeSet::new();
    for l in state.listeners.value().into_iter().flatten() {
        for arn in &l.certificates {
            let cert = s.certificates.get(arn).and_then(Datum::value);
            out.extend(cert.into_iter().flat_map(|c| c.names.iter().chain([&c.domain])).cloned());
        }
    }
    out.retain(|n| n.contains('.') && !n.contains('*'));
    out.into_iter().take(NAMES).collect()
}

/// Rows of a front's log in its window.
pub(super) struct FrontRows<'a> {
    pub at: Timestamp,
    pub source: SafeText,
    /// Rows with 5xx, or that only an error page hides.
    pub failing: Vec<&'a FrontRow>,
    /// Rows in the window, failing or not, and how many of them fail.
    pub all: f64,
    pub bad: f64,
}

impl<'a> FrontRows<'a> {
    fn new(log: &'a FrontLog, at: Timestamp, source: &SafeText, from: Timestamp) -> Option<FrontRows<'a>> {
        log.newest.filter(|n| *n >= from)?;
        let minute = from.as_second().div_euclid(60) * 60;
        let inside = || log.minutes.iter().filter(|m| m.0.as_second() >= minute);
        let sum = |it: &mut dyn Iterator<Item = &(Timestamp, u16, u32)>| it.map(|m| f64::from(m.2)).sum();
        Some(FrontRows {
            at,
            source: source.clone(),
            failing: log
                .failing
                .iter()
                .filter(|r| {
                    r.at >= from && (r.status >= 500 || r.result.as_str() == "Error" && r.status != 0)
                })
                .collect(),
            all: sum(&mut inside()),
            bad: sum(&mut inside().filter(|m| m.1 >= 500)),
        })
    }

    /// The part of the failing rows that something holds for.
    pub fn part(&self, holds: impl Fn(&FrontRow) -> bool) -> f64 {
        if self.failing.is_empty() {
            return 0.0;
        }
        self.failing.iter().filter(|r| holds(r)).count() as f64 / self.failing.len() as f64
    }

    /// Enough rows to say something.
    pub fn some(&self) -> bool {
        self.failing.len() >= 3
    }

    /// The quantile of the time such rows took, in seconds.
    pub fn took(&self, q: f64, holds: impl Fn(&FrontRow) -> bool) -> Option<f64> {
        let mut all: Vec<f64> =
            self.failing.iter().filter(|r| holds(r)).filter_map(|r| r.took_s).map(f64::from).collect();
        all.sort_by(f64::total_cmp);
        all.get(((all.len().max(1) - 1) as f64 * q).round() as usize).copied()
    }

    /// `GET /cart: 502 OriginDnsError after 0.131 s`.
    pub fn sample(&self, holds: impl Fn(&FrontRow) -> bool) -> String {
        let Some(r) = self.failing.iter().rev().find(|r| holds(r)) else { return String::new() };
        let took = r.took_s.map_or(String::new(), |t| format!(" after {t:.3} s"));
        let inner = r.inner.map_or(String::new(), |s| format!(" (behind: {s})"));
        let words: Vec<&str> =
            [r.detail.as_str(), r.message.as_str()].into_iter().filter(|w| !w.is_empty()).collect();
        let words = if words.is_empty() { String::new() } else { format!(" {}", words.join(", ")) };
        format!("{} {}: {}{words}{inner}{took}", r.method, r.path, r.status)
    }
}

/// One front.
pub(super) struct Fore<'a> {
    pub s: &'a Situation,
    pub id: SafeText,
    pub now: Timestamp,
    /// Start of the window.
    pub from: Timestamp,
    pub onset: Option<Timestamp>,
    pub failing: bool,
    pub no_metrics: Option<Reason>,
    pub rows: Result<FrontRows<'a>, Reason>,
    pub signs: Vec<Sign>,
    /// Requests and failures within the window, as far as metrics tell.
    pub requests: Option<f64>,
    pub errors: Option<f64>,
}

impl<'a> Fore<'a> {
    fn new(s: &'a Situation, inputs: &Inputs<'a>, id: &SafeText) -> Option<Fore<'a>> {
        if id.is_empty() {
            return None;
        }
        let now = s.at?;
        let step = onset_of(s, id);
        let onset = step.as_ref().map(|o| o.at);
        let from = onset.unwrap_or_else(|| now.checked_sub(HOUR).unwrap_or(now));
        let told = counts(s, id);
        let sum = |v: fn(&Counts) -> &Vec<f64>| {
            told.as_ref().map(|c| {
                c.minutes.iter().zip(v(c)).filter(|(t, _)| **t >= from).map(|(_, n)| *n).sum::<f64>()
            })
        };
        let (requests, errors) = (sum(|c| &c.requests), sum(|c| &c.errors));
        let datum = s.fronts.metrics.get(id);
        let no_metrics = match datum.and_then(Datum::value) {
            None => Some(datum.and_then(Datum::why_unknown).unwrap_or(Reason::NotAsked)),
            Some(()) if told.is_none() => {
                Some(Reason::NotFound { what: "data points in this window".into() })
            }
            Some(()) => None,
        };
        let rows = match s.fronts.logs.get(id) {
            Some(d) => match d.get() {
                Some(k) => FrontRows::new(&k.value, k.as_of, &k.source, from).ok_or_else(|| {
                    Reason::NotFound { what: "log rows of this window: not delivered yet".into() }
                }),
                None => Err(d.why_unknown().unwrap_or(Reason::NotAsked)),
            },
            None => Err(Reason::NotAsked),
        };
        let logged = rows.as_ref().ok().filter(|_| told.is_none());
        let (n, all) = match logged {
            Some(r) => (Some(r.bad), Some(r.all)),
            None => (errors, requests),
        };
        let rare = all.is_some_and(|all| all > 0.0 && n.unwrap_or(0.0) / all < RARE);
        let failing = step.is_some_and(|o| o.until.is_none()) || n.is_some_and(|n| n >= FEW) && !rare;
        let early = from.checked_sub(SignedDuration::from_mins(2)).unwrap_or(from);
        let signs = inputs.signs.since(early);
        Some(Fore { s, id: id.clone(), now, from, onset, failing, no_metrics, rows, signs, requests, errors })
    }

    /// A count within the window.
    pub fn sum(&self, namespace: &str, name: &str, id: &SafeText) -> Option<f64> {
        let s = series_of(self.s, namespace, name, "Sum", id)?;
        let mut hit = s.points.iter().filter(|p| p.0 >= self.from && p.1.is_finite()).peekable();
        hit.peek()?;
        Some(hit.map(|p| p.1).sum())
    }

    /// The largest value of a statistic within the window.
    pub fn highest(&self, namespace: &str, name: &str, stat: &str, id: &SafeText) -> Option<f64> {
        let s = series_of(self.s, namespace, name, stat, id)?;
        s.points.iter().filter(|p| p.0 >= self.from && p.1.is_finite()).map(|p| p.1).max_by(f64::total_cmp)
    }

    /// Requests with an error that CloudFront tells as a rate.
    pub fn rated(&self, name: &str) -> Option<f64> {
        let rate = series_of(self.s, "AWS/CloudFront", name, "Average", &self.id)?;
        let all = series_of(self.s, "AWS/CloudFront", "Requests", "Sum", &self.id)?;
        let mut hit = rate.points.iter().filter(|p| p.0 >= self.from && p.1.is_finite()).peekable();
        hit.peek()?;
        Some(hit.map(|p| p.1 / 100.0 * all.at(p.0).unwrap_or(0.0)).sum())
    }

    /// When the metrics were read.
    pub fn metrics_at(&self) -> Timestamp {
        self.s.fronts.metrics.get(&self.id).and_then(Datum::as_of).unwrap_or(self.now)
    }

    /// Rows that were read, while it fails.
    pub fn failing_rows(&self) -> Option<&FrontRows<'a>> {
        self.rows.as_ref().ok().filter(|r| r.some() && self.failing)
    }

    /// Why rows are not known, when they are not.
    pub fn no_rows(&self) -> Option<Reason> {
        self.rows.as_ref().err().cloned()
    }

    /// Signs that point to a cause.
    pub fn signs_of(&self, cause: &str) -> impl Iterator<Item = &Sign> {
        self.signs.iter().filter(move |s| s.pattern.causes.iter().any(|c| c.as_str() == cause))
    }

    /// Changes near the onset that touch this front, by the beginning of their names.
    pub fn changed(&self, names: &[&str], about: &[&str]) -> Vec<&'a ChangeEvent> {
        let Some(onset) = self.onset else { return Vec::new() };
        let list = self.s.fronts.changes.get(&self.id).and_then(Datum::value);
        let near = |e: &ChangeEvent| {
            let before = onset.duration_since(e.at);
            before <= SignedDuration::from_mins(15) && before >= -SignedDuration::from_mins(2)
        };
        let touches = |e: &ChangeEvent| {
            about.is_empty()
                || e.about.iter().any(|x| {
                    about.iter().any(|a| {
                        !a.is_empty()
                            && (*a == x.as_str() || short(x) == *a || short_name(x) == short_name(a))
                    })
                })
        };
        list.into_iter()
            .flat_map(|c| &c.events)
            .filter(|e| e.failed.is_empty() && near(e) && names.iter().any(|n| e.name.starts_with(n)))
            .filter(|e| touches(e))
            .collect()
    }
}

/// Everything in front, and the load balancer behind where there is one.
pub(super) struct Front<'a> {
    pub s: &'a Situation,
    pub now: Timestamp,
    pub edge: Option<Fore<'a>>,
    pub api: Option<Fore<'a>>,
    pub classic: Option<Fore<'a>>,
    /// A function asked for by itself.
    pub function: Option<Fore<'a>>,
    pub case: Option<&'a Case<'a>>,
}

impl<'a> Front<'a> {
    /// `None` while nothing was found.
    pub fn new(s: &'a Situation, inputs: &Inputs<'a>, case: Option<&'a Case<'a>>) -> Option<Front<'a>> {
        let t = s.target.value()?;
        Some(Front {
            s,
            now: s.at?,
            edge: Fore::new(s, inputs, &t.distribution),
            api: Fore::new(s, inputs, &t.api),
            classic: Fore::new(s, inputs, &t.classic),
            function: Fore::new(s, inputs, &t.function),
            case,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Fore<'a>> {
        [&self.edge, &self.api, &self.classic, &self.function].into_iter().flatten()
    }

    /// Requests fail at something in front, or an instance of a Classic one does.
    pub fn trouble(&self) -> bool {
        self.all().any(|f| f.failing || self.sick()) || self.expired() || self.astray()
    }

    /// Requests fail at something in front.
    pub fn failing(&self) -> bool {
        self.all().any(|f| f.failing)
    }

    /// Instances of a Classic Load Balancer that are not in service.
    pub fn sick(&self) -> bool {
        self.classic.as_ref().is_some_and(|c| {
            let health = self.s.fronts.instance_health.get(&c.id).and_then(Datum::value);
            health.is_some_and(|all| all.is_empty() || all.iter().any(|i| i.state.as_str() != "InService"))
        })
    }

    /// The certificate for viewers is not usable now.
    pub fn expired(&self) -> bool {
        let cert = self.distribution().and_then(|d| self.s.certificates.get(&d.certificate));
        cert.and_then(Datum::value).is_some_and(|c| super::case::certificate_fault(c, self.now).is_some())
    }

    /// A record leads elsewhere, or Route 53 has turned away from the one that leads here.
    pub fn astray(&self) -> bool {
        super::causes::dns::astray(self.s).is_some()
            || super::ways::stories(self.s).iter().any(|x| x.diverted)
    }

    /// What stands behind failed, and does no more, while the front still does.
    pub fn behind_is_over(&self) -> bool {
        let Some(c) = self.case.filter(|_| self.all().any(|f| f.failing)) else { return false };
        let recent = self.now.checked_sub(SignedDuration::from_mins(8)).unwrap_or(self.now);
        !c.ill
            && c.inputs.onset.is_some_and(|o| o.until.is_some())
            && series::failures_since(self.s, &c.lb, recent).is_some_and(|n| n < 1.0)
    }

    /// All that matters was seen.
    pub fn seen(&self) -> bool {
        self.all().all(|f| f.no_metrics.is_none())
    }

    /// Start of the window: that of the outermost front.
    pub fn from(&self) -> Option<Timestamp> {
        self.all().next().map(|f| f.from)
    }

    pub fn distribution(&self) -> Option<&'a Distribution> {
        self.s.fronts.distributions.get(&self.edge.as_ref()?.id).and_then(Datum::value)
    }

    pub fn api_value(&self) -> Option<&'a Api> {
        self.s.fronts.apis.get(&self.api.as_ref()?.id).and_then(Datum::value)
    }

    pub fn classic_value(&self) -> Option<&'a Classic> {
        self.s.fronts.classics.get(&self.classic.as_ref()?.id).and_then(Datum::value)
    }

    /// The functions behind the API, or the one asked for, with whose window counts.
    pub fn functions(&self) -> Vec<(&Fore<'a>, SafeText, Option<&'a Function>)> {
        let of = |f: &SafeText| self.s.functions.get(f).and_then(Datum::value);
        if let (Some(fore), Some(api)) = (&self.api, self.api_value()) {
            return api.functions().into_iter().map(|a| (fore, a.clone(), of(a))).collect();
        }
        self.function.iter().map(|fore| (fore, fore.id.clone(), of(&fore.id))).collect()
    }
}
