//! The part of the plan about traces.

use super::plan::{Plan, Work};
use crate::diagnosis::around;
use crate::situation::{Situation, Topic};

impl Plan {
    /// Failing traces, once something is wrong. Whether anybody traces is said
    /// by API stages and functions, but not by instances and containers, which
    /// do it by themselves; so it is asked whenever changes are: one call in a
    /// survey, one in two minutes of watching, of at most half an hour of traces
    /// (X-Ray charges for those it scans) and five pages.
    pub(super) fn traces(&mut self, s: &Situation) {
        let wrong = self.0.iter().any(|(_, w)| matches!(w, Work::Changes { .. } | Work::FrontChanges { .. }));
        let Some(t) = s.target.value().filter(|_| wrong) else { return };
        // CloudFront traces nothing: without anything behind it there is nothing to ask about.
        let own = [&t.lb, &t.api, &t.classic, &t.function].into_iter().find(|id| !id.is_empty());
        let Some(of) = own else { return };
        self.add(Topic::Traces(of.clone()), Work::Traces { of: of.clone(), onset: around::onset(s) });
    }
}
