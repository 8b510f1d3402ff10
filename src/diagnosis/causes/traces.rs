//! What traces say, as evidence for the causes they concern. They only ever
//! speak for a cause: who traces nothing is not cleared by it.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::fore::Front;
use crate::diagnosis::traced::{self, Blame, FEW, Traced};
use crate::diagnosis::verdict::Weight::{Strong, Weak};
use crate::situation::{Reason, Situation};

const SOURCE: &str = "xray:GetTraceSummaries";
/// Requests that ended at API Gateway's limit last so long (29 s), nearly.
const LIMIT_S: f64 = 28.0;

/// Without a load balancer nothing but traces tells of what functions depend on.
pub(super) fn alone(_: &Front<'_>, _: &mut Ballot) {}

/// The traces of the path, read once for a diagnosis.
pub(super) struct Traces<'a> {
    told: Option<Traced<'a>>,
    untold: Option<Reason>,
    /// Answers of the application fail, or requests to functions do.
    suffers: bool,
    balancer: bool,
    api: bool,
}

impl<'a> Traces<'a> {
    pub fn new(s: &'a Situation, case: Option<&Case<'a>>, front: &Front<'_>) -> Traces<'a> {
        let inside = case.is_some_and(Case::suffers_inside);
        Traces {
            told: match case {
                Some(c) => c.traced().cloned(),
                None => traced::traced(s),
            },
            untold: traced::untold(s),
            suffers: inside || case.is_none() && front.failing(),
            balancer: case.is_some_and(|c| c.functions().next().is_some()),
            api: front.api.is_some(),
        }
    }

    /// Adds what they say of one cause.
    pub fn testify(&self, cause: &str, b: &mut Ballot) {
        let who = match cause {
            "dependency-db-unavailable" => Blame::Store,
            "dependency-external-api-slow" => Blame::Remote,
            "app-exception-or-plugin-bug" => Blame::Own,
            "alb-lambda-invoke-error" if self.balancer => Blame::Function,
            "apigw-lambda-function-error" if self.api => Blame::Function,
            "lambda-timeout" => Blame::TimedOut,
            "lambda-throttled" => Blame::Throttled,
            "apigw-integration-timeout" if self.api => return self.at_limit(b),
            _ => return,
        };
        if let Some(told) = &self.told
            && let Some((n, kind, root)) = told.of(&[who])
        {
            let value = format!("{n} of {} failing traces end in {}", told.n, root.phrase());
            let heavy = self.suffers && n >= FEW && n * 2 >= told.n;
            let seen = Seen::new("X-Ray", value, SOURCE, kind.last.unwrap_or(told.at));
            b.pro(if heavy { Strong } else { Weak }, seen);
        }
        // Only for these would traces decide: the others show in logs and metrics.
        if self.suffers && matches!(who, Blame::Store | Blame::Remote) && !b.has_pro() {
            b.lack_if("traces of failing requests", self.untold.clone());
        }
    }

    fn at_limit(&self, b: &mut Ballot) {
        let Some(told) = &self.told else { return };
        let ended = told.kinds.iter().filter(|k| k.status == Some(504) && k.longest_s >= LIMIT_S);
        let n: u32 = ended.clone().map(|k| k.count).sum();
        let Some(k) = ended.max_by_key(|k| k.count) else { return };
        let value = format!("{n} of {} failing traces end with 504 after up to {:.1} s", told.n, k.longest_s);
        let heavy = self.suffers && n >= FEW && n * 2 >= told.n;
        b.pro(
            if heavy { Strong } else { Weak },
            Seen::new("X-Ray", value, SOURCE, k.last.unwrap_or(told.at)),
        );
    }
}
