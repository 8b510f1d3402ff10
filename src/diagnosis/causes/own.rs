//! Servers no cloud tells of: a URL, the logs of what answers there, its hosts,
//! and a probe. The causes are those a load balancer would pass on; what it
//! would count, the access log and the probe tell.

use super::ballot::{Ballot, Closed, Seen};
use super::proxies::{self, Proxy};
use super::witness::Witness;
use super::{RULES, Rule};
use crate::diagnosis::case::Inputs;
use crate::diagnosis::signs::Sign;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::diagnosis::verdict::{Diagnosis, Verdict};
use crate::situation::{Datum, Reason, Situation};
use jiff::{SignedDuration, Timestamp};

/// What is looked at.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Fewer failures than this are no incident.
const FEW: u64 = 3;
/// Rows of an access log fewer than this give no share.
const ENOUGH: u64 = 50;

/// What is known where no cloud is in view.
pub(super) struct Own<'a> {
    s: &'a Situation,
    signs: Vec<Sign>,
    from: Timestamp,
    /// Rows of access logs in the window, and of these with a 5xx.
    rows: (u64, u64),
    lines: u64,
}

impl<'a> Own<'a> {
    /// `None` where the target led to something in a cloud, or is not known yet.
    pub fn new(s: &'a Situation, inputs: &Inputs<'a>) -> Option<Own<'a>> {
        let t = s.target.value()?;
        let found = [&t.lb, &t.distribution, &t.api, &t.classic, &t.function];
        if t.host.is_empty() || found.iter().any(|id| !id.is_empty()) {
            return None;
        }
        let now = s.at?;
        let from = now.checked_sub(HOUR).unwrap_or(now);
        let rows = inputs.signs.answers_since(from);
        Some(Own { s, signs: inputs.signs.since(from), from, rows, lines: inputs.signs.lines() })
    }

    /// The share of failing rows, where there are enough of them.
    fn share(&self) -> Option<f64> {
        (self.rows.0 >= ENOUGH).then(|| self.rows.1 as f64 / self.rows.0 as f64)
    }

    /// Did the probe get an answer that is no 5xx?
    fn answers(&self) -> Option<bool> {
        let all: Vec<u16> = self
            .s
            .probes
            .values()
            .filter_map(Datum::get)
            .filter(|k| k.as_of >= self.from)
            .flat_map(|k| k.value.exchanges.iter().filter_map(|e| e.status))
            .collect();
        (!all.is_empty()).then(|| all.iter().any(|s| *s < 500))
    }

    /// Judges by lines of logs, and by what probes and hosts say.
    pub fn diagnose(&self) -> Diagnosis {
        let witness = Witness::new(self.s, Some(self.from));
        let told: u64 = self
            .signs
            .iter()
            .filter(|s| {
                matches!(s.pattern.server.as_str(), "nginx" | "httpd") && !s.pattern.causes.is_empty()
            })
            .map(|s| s.count as u64)
            .sum();
        // Each such line is a request that was answered with a 5xx.
        let passed_on = told >= FEW && (self.rows.0 < ENOUGH || self.rows.1 > 0);
        let seldom = match (self.share(), self.answers()) {
            (Some(part), _) => part <= proxies::SELDOM,
            (None, Some(works)) => works && told < ENOUGH,
            (None, None) => false,
        };
        let p = Proxy { s: self.s, signs: &self.signs, passed_on, seldom };
        let trouble = passed_on || witness.troubled();
        let mut out = Diagnosis { trouble, from: Some(self.from), ..Diagnosis::default() };
        let mut ranked: Vec<(Verdict, usize)> = Vec::new();
        for (i, r) in RULES.iter().enumerate() {
            let mut ballot = Ballot::default();
            self.judge(r, &p, &mut ballot);
            witness.testify(r.id, None, &mut ballot);
            // What only a load balancer could have done is none of the causes.
            if !ballot.has_pro() {
                continue;
            }
            match ballot.close(r, trouble) {
                Some(Closed::Verdict(v)) => ranked.push((v, i)),
                Some(Closed::Risk(risk)) => out.risks.push(risk),
                None => {}
            }
        }
        super::put_in_order(&mut ranked);
        out.verdicts = ranked.into_iter().map(|(v, _)| v).collect();
        out
    }

    fn judge(&self, r: &Rule, p: &Proxy<'_>, b: &mut Ballot) {
        let met = |ids: &[&str]| p.count(ids) > 0;
        match r.id {
            "apache-two-tier-keepalive-race" if met(proxies::RACE) => proxies::race(p, b),
            "apache-proxy-timeout-or-error-state" if met(proxies::ERRORS) => proxies::error_state(p, b),
            "nginx-upstream-keepalive-default-change" if met(proxies::CLOSED) => proxies::pool(p, b),
            "nginx-upstream-header-or-no-live" if met(proxies::UNUSABLE) => proxies::header(p, b),
            "local-proxy-upstream-failure" => self.upstream(p, b),
            "app-process-down-or-crashing" => {
                for s in self.signs.iter().filter(|s| REFUSED.contains(&s.pattern.id.as_str())) {
                    b.pro(if p.passed_on && !p.seldom { Strong } else { Weak }, Seen::sign(s));
                }
            }
            _ => return,
        }
        if b.has_pro() {
            self.frequency(p, b);
        }
    }

    /// Lines of a proxy that its upstream failed.
    fn upstream(&self, p: &Proxy<'_>, b: &mut Ballot) {
        for s in &self.signs {
            let proxy = matches!(s.pattern.server.as_str(), "nginx" | "httpd");
            let upstream =
                ["upstream", "backend", "remote server", "AH00957"].iter().any(|w| s.sample.contains(w));
            // A line that says more has a cause of its own.
            if proxy && upstream && !proxies::PARTICULAR.contains(&s.pattern.id.as_str()) {
                b.pro(if p.passed_on { Decisive } else { Weak }, Seen::sign(s));
            }
        }
    }

    /// How often it fails, or that nobody says.
    fn frequency(&self, p: &Proxy<'_>, b: &mut Ballot) {
        match self.share() {
            Some(part) => {
                let value =
                    format!("{} of {} rows are 5xx ({:.1} %)", self.rows.1, self.rows.0, part * 100.0);
                b.pro(
                    Weak,
                    Seen::new("rows of the access log", value, "log", self.s.at.unwrap_or(self.from)),
                );
            }
            None if !p.seldom => {
                b.lack("share of failing requests (access log of the proxy)", Reason::NotAsked)
            }
            None => {}
        }
        if self.lines == 0 {
            b.lack("error log of the proxy", Reason::NotAsked);
        }
    }
}

/// Lines that say that nothing listens behind a proxy.
const REFUSED: &[&str] = &["nginx-connect-refused", "httpd-connect-failed", "nginx-unix-missing"];
