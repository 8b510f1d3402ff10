//! The part of the plan about what stands in front of a load balancer, or
//! alone: distributions, APIs, functions, Classic Load Balancers.

use super::plan::{Ask, Plan, Work};
use crate::diagnosis::fore;
use crate::situation::front::{Api, Classic, Distribution, Stage};
use crate::situation::{ResolvedTarget, Situation, Topic};
use crate::sources::aws::metrics;
use crate::text::SafeText;

/// Functions and names that are looked at.
const FUNCTIONS: usize = 10;
const NAMES: usize = 12;
/// Health checks that are read: Route 53 allows five calls a second to all of an account.
const CHECKS: usize = 6;

/// What the target led to besides a load balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Front {
    pub distribution: SafeText,
    pub api: SafeText,
    pub classic: SafeText,
    pub function: SafeText,
    /// Host name asked for.
    pub host: SafeText,
}

impl Front {
    /// As the search found it.
    pub fn of(t: &ResolvedTarget) -> Front {
        Front {
            distribution: t.distribution.clone(),
            api: t.api.clone(),
            classic: t.classic.clone(),
            function: t.function.clone(),
            host: t.host.clone(),
        }
    }

    /// Is there anything at all?
    pub fn any(&self) -> bool {
        [&self.distribution, &self.api, &self.classic, &self.function].iter().any(|x| !x.is_empty())
    }
}

/// Where rows of a log are, with what is needed to read them.
#[derive(Clone, Debug, PartialEq)]
pub enum FrontPlace {
    Edge(Box<Distribution>),
    Api(Box<Api>),
    /// And the account, which is part of the names of its files.
    Classic(Box<Classic>, SafeText),
}

impl Plan {
    pub(super) fn fronts(&mut self, s: &Situation, front: &Front, ssm: bool) {
        let mut names: Vec<SafeText> = Vec::new();
        if front.host.contains('.') && front.host.parse::<std::net::IpAddr>().is_err() {
            names.push(front.host.clone());
        }
        if !front.distribution.is_empty() {
            self.distribution(s, &front.distribution, &mut names);
        }
        if !front.api.is_empty() {
            self.api(s, &front.api);
        }
        if !front.classic.is_empty() {
            self.classic(s, &front.classic, ssm);
        }
        if !front.function.is_empty() {
            let arn = &front.function;
            self.add(Topic::Function(arn.clone()), Work::Function(arn.clone()));
            let asks = metrics::of_function(arn);
            let work = Work::FrontMetrics { id: arn.clone(), asks, global: false };
            self.add(Topic::FrontMetrics(arn.clone()), work);
            if self.changes(s, arn, vec![arn.clone()]) {
                let work = Work::Releases { of: arn.clone(), onset: fore::onset(s, arn) };
                self.add(Topic::Releases(arn.clone()), work);
            }
        }
        if let Some(lb) = s.lb_arn() {
            names.extend(fore::names_of(s, lb));
        }
        names.retain(|n| !n.ends_with(".amazonaws.com") && !n.ends_with(".cloudfront.net"));
        names.sort();
        names.dedup();
        names.truncate(NAMES);
        if !names.is_empty() {
            self.0.push((Ask::Records, Work::Records(names)));
        }
        let mut checks: Vec<&SafeText> = s
            .fronts
            .records
            .values()
            .filter_map(|d| d.value())
            .flat_map(|r| &r.records)
            .map(|r| &r.check)
            .filter(|id| !id.is_empty())
            .collect();
        checks.sort();
        checks.dedup();
        for id in checks.into_iter().take(CHECKS) {
            self.add(Topic::HealthCheck(id.clone()), Work::HealthCheck(id.clone()));
            let work = Work::FrontMetrics { id: id.clone(), asks: metrics::of_check(id), global: true };
            self.add(Topic::FrontMetrics(id.clone()), work);
        }
    }

    /// The web ACL before something, and what it blocks. `acl` is its ARN
    /// where the thing itself says it.
    pub(super) fn firewall(&mut self, s: &Situation, of: &SafeText, acl: &SafeText) {
        self.add(Topic::WebAcl(of.clone()), Work::WebAcl { of: of.clone(), acl: acl.clone() });
        let known = s.beside.acls.get(of).and_then(|d| d.value());
        let Some(a) = known.filter(|a| !a.arn.is_empty() && !a.metric.is_empty()) else { return };
        let work = Work::FrontMetrics { id: a.arn.clone(), asks: metrics::of_acl(a), global: a.is_global() };
        self.add(Topic::FrontMetrics(a.arn.clone()), work);
    }

    fn distribution(&mut self, s: &Situation, id: &SafeText, names: &mut Vec<SafeText>) {
        self.add(Topic::Distribution(id.clone()), Work::Distribution(id.clone()));
        let datum = s.fronts.distributions.get(id);
        let known = datum.and_then(|d| d.value());
        // Which functions there are belongs to the question.
        if known.is_some() || datum.is_some_and(|d| d.gap().is_some()) {
            let asks = metrics::of_distribution(id, known);
            self.add(
                Topic::FrontMetrics(id.clone()),
                Work::FrontMetrics { id: id.clone(), asks, global: true },
            );
        }
        let Some(d) = known else { return };
        if !d.web_acl.is_empty() {
            self.firewall(s, id, &d.web_acl);
        }
        names.extend(d.aliases.iter().cloned());
        names.extend(d.used().into_iter().filter(|o| o.kind.as_str() == "custom").map(|o| o.domain.clone()));
        if d.certificate.contains(":acm:") {
            self.add(Topic::Certificate(d.certificate.clone()), Work::Certificate(d.certificate.clone()));
        }
        let mut about = vec![id.clone(), d.arn.clone()];
        about.extend(d.behaviors.iter().flat_map(|b| &b.functions).map(|f| f.1.clone()));
        if self.changes(s, id, about) {
            // Times and the like change with each look, and are not part of the question.
            let d = Distribution { status: SafeText::default(), modified: None, ..d.clone() };
            let work = Work::FrontLog { place: FrontPlace::Edge(Box::new(d)), onset: fore::onset(s, id) };
            self.add(Topic::FrontLog(id.clone()), work);
        }
    }

    fn api(&mut self, s: &Situation, id: &SafeText) {
        let known = s.fronts.apis.get(id).and_then(|d| d.value());
        let stage = known.map(|a| a.stage.clone()).unwrap_or_default();
        self.add(Topic::Api(id.clone()), Work::Api { id: id.clone(), stage });
        let Some(api) = known else { return };
        let ours = |st: &&Stage| api.stage.is_empty() || st.name == api.stage;
        if let Some(st) = api.stages.iter().filter(ours).find(|st| !st.web_acl.is_empty()) {
            self.firewall(s, id, &st.web_acl);
        }
        let mut asks = metrics::of_api(api);
        let functions = api.functions();
        for arn in functions.iter().take(FUNCTIONS) {
            self.add(Topic::Function((*arn).clone()), Work::Function((*arn).clone()));
            asks.extend(metrics::of_function(arn));
        }
        self.add(Topic::FrontMetrics(id.clone()), Work::FrontMetrics { id: id.clone(), asks, global: false });
        let mut about = vec![id.clone(), api.name.clone()];
        about.extend(functions.into_iter().cloned());
        let invokes = !api.functions().is_empty();
        if self.changes(s, id, about) {
            if invokes {
                let work = Work::Releases { of: id.clone(), onset: fore::onset(s, id) };
                self.add(Topic::Releases(id.clone()), work);
            }
            let place = FrontPlace::Api(Box::new(api.clone()));
            self.add(Topic::FrontLog(id.clone()), Work::FrontLog { place, onset: fore::onset(s, id) });
        }
    }

    fn classic(&mut self, s: &Situation, name: &SafeText, ssm: bool) {
        self.add(Topic::InstanceHealth(name.clone()), Work::InstanceHealth(name.clone()));
        self.add(Topic::Classic(name.clone()), Work::Classic(name.clone()));
        let asks = metrics::of_classic(name);
        self.add(
            Topic::FrontMetrics(name.clone()),
            Work::FrontMetrics { id: name.clone(), asks, global: false },
        );
        let Some(c) = s.fronts.classics.get(name).and_then(|d| d.value()) else { return };
        if !c.vpc.is_empty() {
            self.add(Topic::Instances(c.vpc.clone()), Work::Instances(c.vpc.clone()));
            self.add(Topic::SecurityGroups(c.vpc.clone()), Work::SecurityGroups(c.vpc.clone()));
        }
        let mut about = vec![name.clone()];
        about.extend(c.security_groups.iter().chain(&c.instances).cloned());
        let account = s.identity.value().map(|i| i.account.clone()).unwrap_or_default();
        let identified = s.identity.value().is_some() || s.identity.gap().is_some();
        let troubled = self.changes(s, name, about);
        if troubled {
            let work = Work::Releases { of: name.clone(), onset: fore::onset(s, name) };
            self.add(Topic::Releases(name.clone()), work);
            if ssm {
                self.classic_hosts(s, c);
            }
        }
        if troubled && identified {
            let place = FrontPlace::Classic(Box::new(c.clone()), account);
            self.add(Topic::FrontLog(name.clone()), Work::FrontLog { place, onset: fore::onset(s, name) });
        }
    }

    /// Asks who changed what, when something is wrong; true when it is, or may be.
    fn changes(&mut self, s: &Situation, id: &SafeText, mut resources: Vec<SafeText>) -> bool {
        let metrics = s.fronts.metrics.get(id);
        let told = metrics.is_some_and(|m| m.value().is_some() || m.gap().is_some());
        let open = s.gaps.keys().any(|t| matches!(t, Topic::FrontChanges(x) | Topic::FrontLog(x) if x == id));
        let troubled = told && fore::troubled(s, id);
        if !open && !troubled {
            return false;
        }
        resources.retain(|r| !r.is_empty());
        let work = Work::FrontChanges { id: id.clone(), onset: fore::onset(s, id), resources };
        self.add(Topic::FrontChanges(id.clone()), work);
        true
    }
}
