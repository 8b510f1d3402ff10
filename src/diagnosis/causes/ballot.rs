//! What speaks for and against a cause, and what follows from it.

use super::Rule;
use crate::diagnosis::case::Case;
use crate::diagnosis::fore::{Fore, FrontRows};
use crate::diagnosis::rows::{Rows, Shape};
use crate::diagnosis::signs::Sign;
use crate::diagnosis::verdict::{Evidence, Lack, Next, Polarity, Risk, Standing, Verdict, Weight};
use crate::situation::around::ChangeEvent;
use crate::situation::front::FrontRow;
use crate::situation::{Reason, short};
use crate::text::SafeText;
use jiff::Timestamp;

/// What a fault of the configuration weighs: it settles the matter where the
/// bulk of the failures is of its kind, and is a hint where nothing fails.
pub(super) fn graded(bulk: bool, failing: bool) -> Weight {
    match (bulk, failing) {
        (true, _) => Weight::Decisive,
        (false, true) => Weight::Strong,
        (false, false) => Weight::Weak,
    }
}

/// Collects evidence on one cause.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    evidence: Vec<Evidence>,
    missing: Vec<Lack>,
    /// The evidence is a configuration that shows no trace in this window.
    dormant: bool,
}

/// How a ballot ends.
pub(super) enum Closed {
    Verdict(Verdict),
    Risk(Risk),
}

/// An observation, without which way it speaks.
pub(super) struct Seen {
    pub what: SafeText,
    pub value: SafeText,
    pub source: SafeText,
    pub at: Timestamp,
}

impl Seen {
    pub fn new(
        what: impl Into<SafeText>,
        value: impl Into<SafeText>,
        source: impl Into<SafeText>,
        at: Timestamp,
    ) -> Seen {
        Seen { what: what.into(), value: value.into(), source: source.into(), at }
    }

    /// A count of the load balancer's within the window.
    pub fn metric(c: &Case<'_>, name: &str) -> Seen {
        let value = c.count(name).map_or_else(|| "unknown".into(), |n| c.share(n));
        Seen::new(name, value, "cloudwatch:GetMetricData", c.metrics_at())
    }

    /// Rows of the access log that have one shape.
    pub fn rows(r: &Rows<'_>, shape: Shape, says: &str) -> Seen {
        let sample = r.of(shape).last().map(Rows::sample).unwrap_or_default();
        let value = format!("{:.0} rows {says}, such as {sample}", r.n(shape));
        Seen::new("access log", value, r.source.clone(), r.at)
    }

    /// Failing rows of what stands in front that are of one kind.
    pub fn front_rows(
        what: &'static str,
        r: &FrontRows<'_>,
        holds: impl Fn(&FrontRow) -> bool + Copy,
        says: &str,
    ) -> Seen {
        let part = r.part(holds) * 100.0;
        let value =
            format!("{part:.0} % of {} failing rows {says}, such as {}", r.failing.len(), r.sample(holds));
        Seen::new(what, value, r.source.clone(), r.at)
    }

    /// A change somebody made.
    pub fn change(e: &ChangeEvent) -> Seen {
        let about = e.about.iter().take(2).map(|a| short(a)).collect::<Vec<_>>().join(", ");
        let value = format!("{} by {} on {about}", e.name, e.user);
        Seen::new("change", value, "cloudtrail:LookupEvents", e.at)
    }

    /// Lines of a known kind.
    pub fn sign(s: &Sign) -> Seen {
        let times = if s.count == 1 { "once".into() } else { format!("{} times", s.count) };
        let sample: String = s.sample.chars().take(160).collect();
        let what = format!("log line {} ({times})", s.pattern.id);
        Seen::new(what, sample, format!("log {}", s.group), s.last)
    }
}

impl Ballot {
    pub fn pro(&mut self, weight: Weight, seen: Seen) {
        self.add(Polarity::For, weight, seen);
    }

    pub fn con(&mut self, weight: Weight, seen: Seen) {
        self.add(Polarity::Against, weight, seen);
    }

    fn add(&mut self, polarity: Polarity, weight: Weight, s: Seen) {
        let Seen { what, value, source, at } = s;
        self.evidence.push(Evidence { polarity, weight, what, value, source, at });
    }

    /// Something that would tell is not known.
    pub fn lack(&mut self, what: impl Into<SafeText>, reason: Reason) {
        let what = what.into();
        if !self.missing.iter().any(|l| l.what == what) {
            self.missing.push(Lack { what, reason });
        }
    }

    /// The same, when there is a reason.
    pub fn lack_if(&mut self, what: impl Into<SafeText>, reason: Option<Reason>) {
        if let Some(r) = reason {
            self.lack(what, r);
        }
    }

    /// What all causes of something in front lack alike.
    pub fn lack_of_front(&mut self, front: &Fore<'_>, metrics: &'static str, rows: &'static str) {
        self.lack_if(metrics, front.no_metrics.clone());
        if front.failing {
            self.lack_if(rows, front.no_rows());
        }
    }

    /// What was missing is known after all, from elsewhere.
    pub fn learned(&mut self, what: &str) {
        self.missing.retain(|l| l.what.as_str() != what);
    }

    /// What was seen could cause a failure and shows no trace now.
    pub fn dormant(&mut self) {
        self.dormant = true;
    }

    /// True when anything was put forward for the cause.
    pub fn has_pro(&self) -> bool {
        self.best(Polarity::For).is_some()
    }

    fn best(&self, p: Polarity) -> Option<Weight> {
        self.evidence.iter().filter(|e| e.polarity == p).map(|e| e.weight).max()
    }

    /// How the cause stands. Decisive evidence on one side only settles it;
    /// strong evidence makes it likely unless something strong is against it;
    /// what is not known never counts against.
    fn standing(&self) -> Option<(Standing, &'static str)> {
        use Standing::*;
        use Weight::*;
        let (pro, con) = (self.best(Polarity::For), self.best(Polarity::Against));
        let lacking = !self.missing.is_empty();
        Some(match (pro, con) {
            (Some(Decisive), Some(Decisive)) => (Possible, "what was seen contradicts itself"),
            (Some(Decisive), Some(Strong)) => {
                (Likely, "something settles it, and something speaks against it")
            }
            (Some(Decisive), _) => (Confirmed, "only this explains what was seen"),
            (_, Some(Decisive)) => (RuledOut, "something was seen that excludes it"),
            (Some(Strong), Some(Strong)) => (Possible, "strong evidence on both sides"),
            (Some(Strong), _) => (Likely, "it fits better than its neighbours"),
            (Some(Weak), Some(Strong)) if lacking => {
                (Unchecked, "more speaks against it, but not all was seen")
            }
            (Some(Weak), Some(Strong)) => (RuledOut, "more speaks against it than for it"),
            (Some(Weak), _) => (Possible, "it fits, as others do"),
            (None, _) if lacking => (Unchecked, "what would tell is not known"),
            (None, Some(Strong)) => (RuledOut, "something speaks against it and nothing for it"),
            (None, _) => return None,
        })
    }

    /// Ends the collection. Without trouble nothing is a cause: what would be
    /// one is a risk.
    pub fn close(mut self, rule: &Rule, trouble: bool) -> Option<Closed> {
        let (standing, why) = self.standing()?;
        self.evidence.sort_by_key(|e| (e.polarity == Polarity::Against, std::cmp::Reverse(e.weight)));
        let open = matches!(standing, Standing::Confirmed | Standing::Likely | Standing::Possible);
        if open && (self.dormant || !trouble) {
            let heavy = self.best(Polarity::For) >= Some(Weight::Strong);
            return heavy.then(|| {
                Closed::Risk(Risk {
                    cause: rule.id,
                    hop: rule.hop,
                    evidence: self.evidence,
                    why: "it could cause a 502, and shows no trace in this window".into(),
                })
            });
        }
        let mut next = Vec::new();
        match standing {
            Standing::Confirmed => next.push(Next::Mitigate(rule.id)),
            Standing::Likely => next.extend([Next::Check(rule.id), Next::Mitigate(rule.id)]),
            Standing::Possible => next.push(Next::Check(rule.id)),
            Standing::Unchecked | Standing::RuledOut => {}
        }
        if standing != Standing::RuledOut {
            next.extend(self.missing.iter().cloned().map(Next::Learn));
        }
        Some(Closed::Verdict(Verdict {
            cause: rule.id,
            standing,
            hop: rule.hop,
            evidence: self.evidence,
            missing: self.missing,
            twins: Vec::new(),
            next,
            why: why.into(),
        }))
    }
}

/// How much speaks for a cause: decisive, then strong, then weak pieces.
pub(super) fn heft(evidence: &[Evidence]) -> (usize, usize, usize) {
    let n = |w| evidence.iter().filter(|e| e.polarity == Polarity::For && e.weight == w).count();
    (n(Weight::Decisive), n(Weight::Strong), n(Weight::Weak))
}

#[cfg(test)]
mod tests {
    use super::Weight::{Decisive, Strong, Weak};
    use super::*;
    use crate::diagnosis::causes::RULES;

    fn seen() -> Seen {
        Seen::new("what", "value", "source", Timestamp::UNIX_EPOCH)
    }

    fn stands(pro: Option<Weight>, con: Option<Weight>, lacking: bool) -> Option<Standing> {
        let mut b = Ballot::default();
        if let Some(w) = pro {
            b.pro(w, seen());
        }
        if let Some(w) = con {
            b.con(w, seen());
        }
        if lacking {
            b.lack("something", Reason::NotAsked);
        }
        match b.close(&RULES[0], true)? {
            Closed::Verdict(v) => Some(v.standing),
            Closed::Risk(_) => None,
        }
    }

    #[test]
    fn what_follows_from_what_was_seen() {
        use Standing::*;
        let table = [
            (None, None, None),
            (Some(Weak), None, Some(Possible)),
            (Some(Strong), None, Some(Likely)),
            (Some(Decisive), None, Some(Confirmed)),
            (Some(Decisive), Some(Weak), Some(Confirmed)),
            (Some(Decisive), Some(Strong), Some(Likely)),
            (Some(Decisive), Some(Decisive), Some(Possible)),
            (Some(Strong), Some(Weak), Some(Likely)),
            (Some(Strong), Some(Strong), Some(Possible)),
            (Some(Strong), Some(Decisive), Some(RuledOut)),
            (Some(Weak), Some(Strong), Some(RuledOut)),
            (None, Some(Weak), None),
            (None, Some(Strong), Some(RuledOut)),
            (None, Some(Decisive), Some(RuledOut)),
        ];
        for (pro, con, want) in table {
            assert_eq!(stands(pro, con, false), want, "{pro:?} against {con:?}");
        }
    }

    #[test]
    fn what_is_not_known_never_rules_out_but_only_keeps_open() {
        use Standing::*;
        for (pro, con, want) in [
            (None, None, Unchecked),
            (None, Some(Weak), Unchecked),
            (None, Some(Strong), Unchecked),
            (Some(Weak), Some(Strong), Unchecked),
            (None, Some(Decisive), RuledOut),
            (Some(Weak), None, Possible),
            (Some(Strong), None, Likely),
            (Some(Decisive), None, Confirmed),
        ] {
            assert_eq!(stands(pro, con, true), Some(want), "{pro:?} against {con:?}");
        }
    }

    #[test]
    fn without_trouble_a_cause_is_a_risk_or_nothing() {
        for (weight, risk) in [(Weak, false), (Strong, true), (Decisive, true)] {
            let mut b = Ballot::default();
            b.pro(weight, seen());
            assert_eq!(matches!(b.close(&RULES[0], false), Some(Closed::Risk(_))), risk, "{weight:?}");
        }
        let mut b = Ballot::default();
        b.pro(Decisive, seen());
        b.dormant();
        assert!(matches!(b.close(&RULES[0], true), Some(Closed::Risk(_))));
    }

    #[test]
    fn evidence_for_comes_first_and_heavier_first() {
        let mut b = Ballot::default();
        b.con(Weak, seen());
        b.pro(Weak, seen());
        b.pro(Decisive, seen());
        let Some(Closed::Verdict(v)) = b.close(&RULES[0], true) else { panic!("no verdict") };
        let order: Vec<(Polarity, Weight)> = v.evidence.iter().map(|e| (e.polarity, e.weight)).collect();
        assert_eq!(order, [(Polarity::For, Decisive), (Polarity::For, Weak), (Polarity::Against, Weak)]);
        assert_eq!(heft(&v.evidence), (1, 0, 1));
        assert_eq!(v.next, [Next::Mitigate(RULES[0].id)]);
    }
}
