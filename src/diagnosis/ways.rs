//! How Route 53 answers for a name with several record sets: by weight, by
//! failover, by where the client is, and never with one whose health check
//! fails while another's does not. Source: "Choosing a routing policy" and "How
//! Amazon Route 53 chooses records when health checking is configured",
//! developer guide.

use super::hops::Status;
use super::series;
use crate::situation::front::{Record, Records};
use crate::situation::metric::MetricKey;
use crate::situation::{Datum, Reason, Situation};
use crate::text::SafeText;
use jiff::Timestamp;

/// One record set, and whether Route 53 answers with it at present.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    pub record: &'a Record,
    /// Its part of the answers; `None` where that depends on the client.
    pub share: Option<f64>,
    /// It is answered with at all, as far as is known.
    pub answered: bool,
    /// What its health check says, and in whose words; `None` when it has none
    /// or it is not known.
    pub healthy: Option<(bool, SafeText)>,
    /// It leads to what is in view.
    pub ours: bool,
}

impl Way<'_> {
    /// Its health check is known to fail.
    pub fn ill(&self) -> bool {
        self.healthy.as_ref().is_some_and(|h| !h.0)
    }

    /// Where it leads.
    pub fn to(&self) -> SafeText {
        let mut all = self.record.leads_to().chain(self.record.values.iter().map(SafeText::as_str));
        all.next().unwrap_or("nowhere").into()
    }

    /// `70 % of the answers`, `answers for continent EU`.
    pub fn part(&self) -> String {
        match self.share {
            Some(x) if x >= 0.9995 => "every answer".into(),
            Some(x) => format!("{:.3} % of the answers", x * 100.0).replace(".000", ""),
            None => format!("some answers ({})", self.record.policy()),
        }
    }

    /// `A blue, weight 70 -> shop-blue-1...: 70 % of the answers`.
    pub fn phrase(&self) -> String {
        let r = self.record;
        let mut out = r.kind.to_string();
        if !r.set.is_empty() {
            out.push_str(&format!(" {}", r.set));
        }
        let policy = r.policy();
        if !policy.is_empty() {
            out.push_str(&format!(", {policy}"));
        }
        out.push_str(&format!(" -> {}: ", self.to()));
        out.push_str(&if self.answered { self.part() } else { "not answered with".into() });
        if r.gone == Some(true) {
            out.push_str(", it has no address any more");
        }
        if let Some((false, why)) = &self.healthy {
            out.push_str(&format!(", its health check fails ({why})"));
        }
        out
    }
}

/// The same load balancer or distribution, however its name is written.
pub(super) fn same(a: &str, b: &str) -> bool {
    let bare = |n: &str| {
        let n = n.trim_end_matches('.').to_ascii_lowercase();
        n.strip_prefix("dualstack.").map_or(n.clone(), String::from)
    };
    !a.is_empty() && bare(a) == bare(b)
}

/// What a health check says: its checkers, else its metric.
pub fn check_says(s: &Situation, id: &SafeText) -> Option<(bool, SafeText)> {
    let check = s.beside.checks.get(id).and_then(Datum::value);
    if let Some((c, healthy)) = check.and_then(|c| Some((c, c.healthy()?))) {
        return Some((healthy, c.phrase()));
    }
    let key = MetricKey {
        namespace: "AWS/Route53".into(),
        name: "HealthCheckStatus".into(),
        stat: "Minimum".into(),
        subject: id.clone(),
        az: SafeText::default(),
    };
    let (_, v) = s.series(&key)?.last()?;
    Some((v >= 1.0, format!("HealthCheckStatus of {id} is {v:.0}").into()))
}

/// Why it is not known what the health checks of these records say, when it is not.
pub fn unchecked(s: &Situation, r: &Records) -> Option<Reason> {
    let ids = r.records.iter().map(|x| &x.check).filter(|id| !id.is_empty());
    ids.filter(|id| check_says(s, id).is_none()).find_map(|id| {
        let Some(d) = s.beside.checks.get(id) else { return Some(Reason::NotAsked) };
        let part = d.value().and_then(|c| c.gaps.first()).map(|g| g.1.clone());
        part.or_else(|| d.why_unknown())
    })
}

/// An alias that is as healthy as the load balancer in view: some group that
/// has targets has no healthy one.
fn without_targets(s: &Situation) -> Option<(bool, SafeText)> {
    let ill = s.active_groups().into_iter().find(|(_, g)| {
        let health = g.health.value();
        health.is_some_and(|all| !all.is_empty() && all.iter().all(|t| t.state.starts_with("unhealthy")))
    })?;
    let name = ill.1.group.as_ref().map_or(ill.0, |g| &g.name);
    Some((false, format!("no target of {name} is healthy").into()))
}

fn is_ours(s: &Situation, r: &Record) -> bool {
    let Some(t) = s.target.value() else { return false };
    let lb = s.load_balancer().map(|l| &l.dns_name);
    let edge = s.fronts.distributions.get(&t.distribution).and_then(Datum::value).map(|d| &d.domain);
    let classic = s.fronts.classics.get(&t.classic).and_then(Datum::value).map(|c| &c.dns_name);
    let names: Vec<&SafeText> = [lb, edge, classic].into_iter().flatten().collect();
    let api = |n: &str| !t.api.is_empty() && n.split('.').next() == Some(t.api.as_str());
    r.leads_to().any(|n| api(n) || names.iter().any(|o| same(n, o)))
}

/// The record sets of a name, in their order.
pub fn ways<'a>(s: &Situation, r: &'a Records) -> Vec<Way<'a>> {
    let mut out: Vec<Way<'a>> = r
        .records
        .iter()
        .map(|x| {
            let ours = is_ours(s, x);
            let told = if x.check.is_empty() { None } else { check_says(s, &x.check) };
            let healthy = match told {
                Some((false, _)) => told,
                told => if x.evaluates && ours { without_targets(s) } else { None }.or(told),
            };
            Way { record: x, share: None, answered: true, healthy, ours }
        })
        .collect();
    let kinds: Vec<SafeText> = out.iter().map(|w| w.record.kind.clone()).collect();
    for (i, kind) in kinds.iter().enumerate() {
        if !kinds[..i].contains(kind) {
            choose(&mut out, kind);
        }
    }
    out
}

/// Chooses among the sets of one type as Route 53 does.
fn choose(all: &mut [Way<'_>], kind: &SafeText) {
    let at: Vec<usize> = (0..all.len()).filter(|i| all[*i].record.kind == *kind).collect();
    let well: Vec<usize> = at.iter().copied().filter(|i| !all[*i].ill()).collect();
    let only =
        |all: &mut [Way<'_>], pool: &[usize]| at.iter().for_each(|i| all[*i].answered = pool.contains(i));
    if let [one] = at[..] {
        // A health check has no say where there is no choice.
        all[one].share = Some(1.0);
    } else if at.iter().all(|i| all[*i].record.weight.is_some()) {
        let weight = |all: &[Way<'_>], i: usize| f64::from(all[i].record.weight.unwrap_or(0));
        let heavy = |from: &[usize], all: &[Way<'_>]| -> Vec<usize> {
            from.iter().copied().filter(|i| weight(all, *i) > 0.0).collect()
        };
        // Those with weight 0 come in when none of the others is well.
        let pools = [heavy(&well, all), well.clone(), heavy(&at, all), at.clone()];
        let pool = pools.into_iter().find(|p| !p.is_empty()).unwrap_or_default();
        let sum: f64 = pool.iter().map(|i| weight(all, *i)).sum();
        only(all, &pool);
        for i in &at {
            let part = if sum > 0.0 { weight(all, *i) / sum } else { 1.0 / pool.len().max(1) as f64 };
            all[*i].share = Some(if all[*i].answered { part } else { 0.0 });
        }
    } else if at.iter().all(|i| !all[*i].record.failover.is_empty()) {
        let is = |all: &[Way<'_>], i: &usize| all[*i].record.failover.as_str() == "PRIMARY";
        let first: Vec<usize> = at.iter().copied().filter(|i| is(all, i)).collect();
        let pools: [Vec<usize>; 4] = [
            first.iter().copied().filter(|i| well.contains(i)).collect(),
            well.clone(),
            first.clone(),
            at.clone(),
        ];
        let pool = pools.into_iter().find(|p| !p.is_empty()).unwrap_or_default();
        only(all, &pool);
        for i in &at {
            all[*i].share = Some(if all[*i].answered { 1.0 / pool.len() as f64 } else { 0.0 });
        }
    } else if !well.is_empty() {
        only(all, &well);
    }
}

/// A name of what is in view whose records do not all lead here well.
#[derive(Clone, Debug)]
pub struct Story {
    pub host: SafeText,
    pub at: Timestamp,
    pub status: Status,
    /// Two or three words; empty when there is nothing to be said against it.
    pub word: SafeText,
    pub text: SafeText,
    /// The record that leads here is not answered with, since its health check fails.
    pub diverted: bool,
    /// Answers lead to what is gone.
    pub dead: bool,
}

/// What is to be said of the names in view that Route 53 has several record
/// sets for: that of the target, and those of which a set leads here.
pub fn stories(s: &Situation) -> Vec<Story> {
    let Some(t) = s.target.value() else { return Vec::new() };
    let dry = s.lb_arn().is_some_and(|lb| series::ran_dry(s, lb));
    let mut out = Vec::new();
    for (host, d) in &s.fronts.records {
        let Some(k) = d.get().filter(|k| k.value.records.len() > 1) else { continue };
        let all = ways(s, &k.value);
        let several = all.iter().any(|w| !w.record.set.is_empty());
        let about = *host == t.host || all.iter().any(|w| w.ours);
        if !several || !about {
            continue;
        }
        let phrases: Vec<String> = all.iter().map(Way::phrase).collect();
        let text = format!("{host}: {}", phrases.join("; "));
        let dead = all.iter().find(|w| w.answered && w.share != Some(0.0) && w.record.gone == Some(true));
        let here = all.iter().any(|w| w.ours && w.answered);
        let own = all.iter().find(|w| w.ours);
        let (status, word, diverted) = match (dead, own) {
            (Some(w), _) => {
                let part = w.share.map_or("some".into(), |x| format!("{:.0}%", x * 100.0));
                (Status::Bad, format!("{part} to nowhere"), false)
            }
            (None, Some(w)) if !here && w.ill() => (Status::Bad, "check fails".into(), true),
            (None, Some(w)) if !here => {
                let word = w.record.policy();
                (if dry { Status::Bad } else { Status::Warn }, word, false)
            }
            _ if all.iter().any(Way::ill) => (Status::Warn, "check fails".into(), false),
            _ => (Status::Ok, String::new(), false),
        };
        let (word, text) = (SafeText::capped(word, 24), SafeText::capped(text, 900));
        out.push(Story {
            host: host.clone(),
            at: k.as_of,
            status,
            word,
            text,
            diverted,
            dead: dead.is_some(),
        });
    }
    // The worst first, then the name that was asked for.
    let rank = |x: &Story| match x.status {
        Status::Bad => 0,
        Status::Warn => 1,
        _ => 2,
    };
    out.sort_by_key(|x| (rank(x), x.host != t.host));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::beside::HealthCheck;
    use crate::situation::{Fact, Observation, Topic};

    fn weighted(set: &str, weight: u32, check: &str) -> Record {
        Record { check: check.into(), weight: Some(weight), ..other(set) }
    }

    fn other(set: &str) -> Record {
        Record {
            kind: "A".into(),
            set: set.into(),
            alias: format!("{set}.example.net").into(),
            ..Record::default()
        }
    }

    fn failing(ids: &[&str]) -> Situation {
        let mut s = Situation::new();
        for id in ids {
            let v =
                HealthCheck { id: (*id).into(), reports: Some(16), failing: 16, ..HealthCheck::default() };
            let at = "2026-11-22T02:00:00Z".parse().unwrap();
            let (topic, fact) = (Topic::HealthCheck((*id).into()), Fact::HealthCheck(v));
            s.apply(&Observation { at, source: "test".into(), topic, fact, took_ms: 0 });
        }
        s
    }

    fn shares(s: &Situation, records: Vec<Record>) -> Vec<Option<f64>> {
        let r = Records { records, ..Records::default() };
        ways(s, &r).iter().map(|w| if w.answered { w.share.or(Some(-1.0)) } else { None }).collect()
    }

    #[test]
    fn weights_are_parts_of_those_that_are_well() {
        let three = || vec![weighted("a", 70, "h1"), weighted("b", 30, "h2"), weighted("c", 0, "")];
        assert_eq!(shares(&failing(&[]), three()), [Some(0.7), Some(0.3), None]);
        assert_eq!(shares(&failing(&["h1"]), three()), [None, Some(1.0), None]);
        // All with a weight fail: the one without comes in.
        assert_eq!(shares(&failing(&["h1", "h2"]), three()), [None, None, Some(1.0)]);
        // All fail: Route 53 answers as if none did.
        let two = vec![weighted("a", 75, "h1"), weighted("b", 25, "h2")];
        assert_eq!(shares(&failing(&["h1", "h2"]), two), [Some(0.75), Some(0.25)]);
        let nothing = vec![weighted("a", 0, ""), weighted("b", 0, "")];
        assert_eq!(shares(&failing(&[]), nothing), [Some(0.5), Some(0.5)]);
    }

    #[test]
    fn the_secondary_answers_while_the_primary_fails_and_it_does_not() {
        let pair = || {
            let of = |set: &str, role: &str, check: &str| Record {
                failover: role.into(),
                check: check.into(),
                ..other(set)
            };
            vec![of("a", "PRIMARY", "h1"), of("b", "SECONDARY", "h2")]
        };
        assert_eq!(shares(&failing(&[]), pair()), [Some(1.0), None]);
        assert_eq!(shares(&failing(&["h1"]), pair()), [None, Some(1.0)]);
        assert_eq!(shares(&failing(&["h1", "h2"]), pair()), [Some(1.0), None]);
    }

    #[test]
    fn by_place_a_set_that_fails_is_passed_over() {
        let of = |set: &str, check: &str| Record { region: set.into(), check: check.into(), ..other(set) };
        let both = || vec![of("eu-west-1", "h1"), of("us-east-1", "")];
        assert_eq!(shares(&failing(&[]), both()), [Some(-1.0), Some(-1.0)]);
        assert_eq!(shares(&failing(&["h1"]), both()), [None, Some(-1.0)]);
        // One record alone is answered with, whatever its check says.
        assert_eq!(shares(&failing(&["h1"]), vec![of("eu-west-1", "h1")]), [Some(1.0)]);
    }

    #[test]
    fn a_set_tells_its_weight_and_its_check() {
        let s = failing(&["h1"]);
        let r =
            Records { records: vec![weighted("a", 70, "h1"), weighted("b", 30, "")], ..Records::default() };
        let said: Vec<String> = ways(&s, &r).iter().map(Way::phrase).collect();
        assert_eq!(
            said[0],
            "A a, weight 70 -> a.example.net: not answered with, its health check fails (16 of 16 checkers fail)"
        );
        assert_eq!(said[1], "A b, weight 30 -> b.example.net: every answer");
    }
}
