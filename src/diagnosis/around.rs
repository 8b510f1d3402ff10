//! What surrounds the path, as rules ask for it: changes near the onset and
//! whether they touch the path, series of hosts, targets that are gone.

use super::case::Case;
use super::series;
use super::traced::{self, Traced};
use crate::situation::around::{Activity, ChangeEvent, ScalingGroup};
use crate::situation::beside::Release;
use crate::situation::metric::{MetricKey, Series};
use crate::situation::net::Instance;
use crate::situation::{Datum, Reason, Situation, function_name, short, short_name};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// How long before the onset a change still counts as its neighbour.
pub(super) const NEAR: SignedDuration = SignedDuration::from_mins(15);
/// And after it: minutes of metrics and clocks are not that exact.
const AFTER: SignedDuration = SignedDuration::from_mins(2);

/// A series of a host.
pub(super) struct Level {
    /// Largest value since the onset, and when it was read.
    pub peak: f64,
    pub low: f64,
    /// Median since the onset, and before it.
    pub now: f64,
    pub before: Option<f64>,
    pub at: Timestamp,
}

/// What several rules ask for and takes a while to gather on a path of
/// thousands of targets: made once, when first asked for.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    /// Changes that touch the path.
    changes: OnceCell<Vec<&'a ChangeEvent>>,
    /// Instances that are targets, in order.
    instances: OnceCell<Vec<&'a str>>,
    by_id: OnceCell<HashMap<&'a str, &'a Instance>>,
    /// Traces of requests on the path.
    traced: OnceCell<Option<Traced<'a>>>,
    /// Kinds of series there are: namespace, name, statistic.
    kinds: OnceCell<BTreeSet<(&'a str, &'a str, &'a str)>>,
}

fn median(mut v: Vec<f64>) -> Option<f64> {
    v.sort_by(f64::total_cmp);
    v.get(v.len() / 2).copied()
}

impl<'a> Case<'a> {
    /// When the failure began, if that is known.
    pub fn began(&self) -> Option<Timestamp> {
        self.onset
    }

    /// Is this moment shortly before the onset?
    pub fn near(&self, at: Timestamp) -> bool {
        self.began().is_some_and(|t| near_onset(t, at))
    }

    /// Changes that took effect near the onset and touch the path, newest first.
    pub fn changes(&self) -> Vec<&ChangeEvent> {
        self.changes_at_any_time().iter().copied().filter(|e| self.near(e.at)).collect()
    }

    /// Traces of requests on the path; `None` where none are known.
    pub fn traced(&self) -> Option<&Traced<'a>> {
        self.gathered.traced.get_or_init(|| traced::traced(self.s)).as_ref()
    }

    /// Changes that took effect and touch the path, whenever that was, newest first.
    pub fn changes_at_any_time(&self) -> &[&ChangeEvent] {
        self.gathered.changes.get_or_init(|| {
            let all = self.s.lb().and_then(|l| l.changes.value()).map(|c| &c.events);
            let Some(all) = all.filter(|all| !all.is_empty()) else { return Vec::new() };
            let path = path_ids(self.s);
            all.iter().filter(|e| e.failed.is_empty() && touches(e, &path)).collect()
        })
    }

    /// Changes by the beginning of their names.
    pub fn changed(&self, names: &[&str]) -> Vec<&ChangeEvent> {
        let mut all = self.changes();
        all.retain(|e| names.iter().any(|n| e.name.starts_with(n)));
        all
    }

    /// Why changes are not known, if they are not.
    pub fn no_changes(&self) -> Option<Reason> {
        match self.s.lb() {
            Some(l) => l.changes.why_unknown(),
            None => Some(Reason::NotAsked),
        }
    }

    /// Deployments of CodeDeploy near the onset that go to something on the path.
    pub fn releases(&self) -> Vec<(&Release, Timestamp)> {
        let all = releases_of_path(self.s).into_iter();
        all.filter_map(|r| Some((r, r.created.filter(|at| self.near(*at))?))).collect()
    }

    /// Why deployments of CodeDeploy could not be read, if so.
    pub fn no_releases(&self) -> Option<Reason> {
        releases_untold(self.s)
    }

    /// A series of a host within the window and before it.
    pub fn level(&self, namespace: &'static str, name: &str, stat: &str, subject: &str) -> Option<Level> {
        let kinds = self.gathered.kinds.get_or_init(|| {
            let keys = self.s.metrics.keys();
            keys.map(|k| (k.namespace.as_str(), k.name.as_str(), k.stat.as_str())).collect()
        });
        if !kinds.contains(&(namespace, name, stat)) {
            return None;
        }
        let key = MetricKey {
            namespace: namespace.into(),
            name: name.into(),
            stat: stat.into(),
            subject: subject.into(),
            az: SafeText::default(),
        };
        self.level_of(self.s.series(&key)?)
    }

    /// The same of a series at hand.
    pub fn level_of(&self, s: &Series) -> Option<Level> {
        // Series with a point every five minutes may have begun theirs before.
        let from = self.from.checked_sub(SignedDuration::from_mins(1)).unwrap_or(self.from);
        let known = || s.points.iter().filter(|p| p.1.is_finite());
        let values = || known().filter(|p| p.0 >= from).map(|p| p.1);
        Some(Level {
            peak: values().max_by(f64::total_cmp)?,
            low: values().min_by(f64::total_cmp)?,
            now: median(values().collect())?,
            before: median(known().filter(|p| p.0 < from).map(|p| p.1).collect()),
            at: known().next_back()?.0,
        })
    }

    /// Series of one name in a namespace, with their subjects.
    pub fn all_of(&self, namespace: &str, name: &str) -> impl Iterator<Item = (&SafeText, &Series)> {
        self.s
            .metrics
            .iter()
            .filter(move |(k, _)| k.namespace.as_str() == namespace && k.name.as_str() == name)
            .map(|(k, v)| (&k.subject, v))
    }

    /// Why series of hosts are not known, if they are not.
    pub fn no_host_metrics(&self) -> Option<Reason> {
        self.s.lb().map_or(Some(Reason::NotAsked), |l| l.host_metrics.why_unknown())
    }

    /// Ids of the instances that are targets, in order.
    pub fn instances(&self) -> &[&str] {
        self.gathered.instances.get_or_init(|| {
            let known = self.groups.iter().filter(|g| g.in_use && !g.is_lambda());
            let mut all: Vec<&str> = known
                .filter_map(|g| g.targets.as_ref().copied().ok())
                .flatten()
                .map(|t| t.id.as_str())
                .filter(|id| id.starts_with("i-"))
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        })
    }

    /// True for an instance that is a target.
    pub fn is_target(&self, id: &str) -> bool {
        self.instances().binary_search(&id).is_ok()
    }

    /// The instance with this id.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        let known = self.gathered.by_id.get_or_init(|| {
            let all = self.s.vpcs.values().filter_map(|v| v.instances.value()).flatten();
            all.map(|i| (i.id.as_str(), i)).collect()
        });
        known.get(id).copied()
    }

    /// Auto Scaling groups that hold our targets.
    pub fn scaling(&self) -> impl Iterator<Item = &ScalingGroup> {
        self.s.lb().and_then(|l| l.scaling.value()).into_iter().flatten()
    }

    /// Auto Scaling activities that took targets away so long before the onset.
    pub fn removals_within(&self, before: SignedDuration) -> Vec<(&ScalingGroup, &Activity)> {
        let Some(onset) = self.began() else { return Vec::new() };
        let taken = |a: &&Activity| a.what.starts_with("Terminating") || a.what.starts_with("Detaching");
        self.scaling()
            .flat_map(|g| g.activities.iter().filter(taken).map(move |a| (g, a)))
            .filter(|(_, a)| onset.duration_since(a.at) <= before && a.at <= onset + AFTER)
            .collect()
    }

    /// Auto Scaling activities that took targets away near or after the onset.
    pub fn removals(&self) -> Vec<(&ScalingGroup, &Activity)> {
        let mut out = Vec::new();
        for g in self.scaling() {
            for a in &g.activities {
                let taken = a.what.starts_with("Terminating") || a.what.starts_with("Detaching");
                if taken && (self.near(a.at) || a.at >= self.from) {
                    out.push((g, a));
                }
            }
        }
        out
    }

    /// Addresses that may get requests now: targets that are not on their way out.
    pub fn present(&self) -> Option<BTreeSet<IpAddr>> {
        self.servers().next()?;
        let mut out = BTreeSet::new();
        for g in self.servers() {
            for t in g.targets.as_ref().ok()?.iter() {
                if matches!(t.state.as_str(), "draining" | "unused") {
                    continue;
                }
                match t.id.parse() {
                    Ok(ip) => {
                        out.insert(ip);
                    }
                    Err(_) => out.extend(self.instance(&t.id)?.addresses.iter().copied()),
                }
            }
        }
        Some(out)
    }
}

/// Ids and names of everything the path is made of.
fn path_ids(s: &Situation) -> BTreeSet<&str> {
    let mut out: BTreeSet<&str> = BTreeSet::new();
    if let Some(arn) = s.lb_arn() {
        out.extend([arn.as_str(), short(arn)]);
        if let Some(acl) = s.beside.acls.get(arn).and_then(|d| d.value()) {
            out.extend([acl.arn.as_str(), acl.name.as_str(), short_name(&acl.arn)]);
        }
    }
    let lb = s.load_balancer();
    out.extend(lb.into_iter().flat_map(|l| &l.security_groups).map(SafeText::as_str));
    let mut subnets: BTreeSet<&str> = BTreeSet::new();
    subnets.extend(lb.into_iter().flat_map(|l| &l.zones).map(|z| z.subnet.as_str()));
    if let Some(l) = s.lb() {
        for x in l.listeners.value().into_iter().flatten() {
            out.insert(x.arn.as_str());
            out.extend(x.certificates.iter().map(SafeText::as_str));
        }
        for r in l.rules.values().filter_map(|d| d.value()).flatten() {
            out.insert(r.arn.as_str());
        }
        for g in l.scaling.value().into_iter().flatten() {
            out.insert(g.name.as_str());
        }
    }
    let mut targets: BTreeSet<&str> = BTreeSet::new();
    for (arn, g) in s.active_groups() {
        out.insert(arn.as_str());
        out.extend(g.group.iter().map(|x| x.name.as_str()));
        targets.extend(g.health.value().into_iter().flatten().map(|t| t.id.as_str()));
        for x in g.services.value().into_iter().flatten() {
            out.extend([x.arn.as_str(), x.name.as_str()]);
            let family = short_name(&x.task_definition).split(':').next().unwrap_or_default();
            out.insert(family);
            out.insert(x.task_definition.as_str());
        }
        targets.extend(g.tracks.keys().map(|k| k.id.as_str()));
    }
    for t in &targets {
        out.insert(t);
        // A function is known by its ARN and by its name.
        out.extend(function_name(t));
    }
    for v in s.vpcs.values() {
        for i in v.instances.value().into_iter().flatten().filter(|i| targets.contains(i.id.as_str())) {
            out.extend(i.groups.iter().chain(&i.interfaces).map(SafeText::as_str));
            subnets.insert(i.subnet.as_str());
        }
        for i in v.interfaces.value().into_iter().flatten() {
            if i.addresses.iter().any(|a| targets.contains(a.to_string().as_str())) {
                out.extend(i.groups.iter().map(SafeText::as_str));
                out.insert(i.id.as_str());
                subnets.insert(i.subnet.as_str());
            }
        }
        for d in v.databases.value().into_iter().flatten() {
            out.extend([d.id.as_str(), d.arn.as_str()]);
            out.extend(d.security_groups.iter().map(SafeText::as_str));
        }
    }
    for c in s.beside.caches.values().filter_map(|d| d.value()).flat_map(|c| &c.clusters) {
        out.extend([c.id.as_str(), c.arn.as_str(), c.group.as_str()]);
        out.extend(c.security_groups.iter().map(SafeText::as_str));
    }
    for v in s.vpcs.values() {
        for a in v.network_acls.value().into_iter().flatten() {
            if a.subnets.iter().any(|x| subnets.contains(x.as_str())) {
                out.insert(a.id.as_str());
            }
        }
        let tables = || v.route_tables.value().into_iter().flatten();
        let own: BTreeSet<&str> = tables().flat_map(|t| &t.subnets).map(SafeText::as_str).collect();
        for t in tables() {
            let named = t.subnets.iter().any(|x| subnets.contains(x.as_str()));
            if named || (t.main && subnets.iter().any(|x| !own.contains(x))) {
                out.insert(t.id.as_str());
                out.extend(t.routes.iter().map(|r| r.target.as_str()).filter(|t| t.contains('-')));
            }
        }
    }
    out.extend(subnets);
    out.remove("");
    out
}

/// Ids and names of the path and of what stands in front of it.
pub(super) fn everything(s: &Situation) -> BTreeSet<&str> {
    let mut out = path_ids(s);
    out.extend(front_ids(s));
    out
}

/// Deployments of CodeDeploy that go to something on the path: its target
/// groups, Auto Scaling groups, services, functions, or instances by their tags. Newest first.
pub fn releases_of_path(s: &Situation) -> Vec<&Release> {
    let Some(t) = s.target.value() else { return Vec::new() };
    let Some(all) = releases_of(s).and_then(|d| d.value()) else { return Vec::new() };
    let groups = s.active_groups();
    let mut names: BTreeSet<&str> =
        groups.iter().filter_map(|(_, g)| Some(g.group.as_ref()?.name.as_str())).collect();
    names.insert(t.classic.as_str());
    let scaling = s.lb().and_then(|l| l.scaling.value()).into_iter().flatten();
    let scaling: BTreeSet<&str> = scaling.map(|g| g.name.as_str()).collect();
    let services = groups.iter().filter_map(|(_, g)| g.services.value()).flatten();
    let services: BTreeSet<&str> = services.map(|x| x.name.as_str()).collect();
    let mut ids: BTreeSet<&str> =
        groups.iter().filter_map(|(_, g)| g.health.value()).flatten().map(|t| t.id.as_str()).collect();
    let classic = s.fronts.instance_health.get(&t.classic).and_then(|d| d.value());
    ids.extend(classic.into_iter().flatten().map(|i| i.id.as_str()));
    let tagged = |key: &SafeText, value: &SafeText| {
        ids.iter().filter_map(|id| s.instance(id)).any(|i| {
            i.tags.iter().any(|(k, v)| (key.is_empty() || k == key) && (value.is_empty() || v == value))
        })
    };
    let mut functions: BTreeSet<&str> = ids.iter().filter_map(|id| function_name(id)).collect();
    functions.extend(function_name(&t.function));
    let api = s.fronts.apis.get(&t.api).and_then(|d| d.value());
    functions.extend(api.into_iter().flat_map(|a| a.functions()).filter_map(|f| function_name(f)));
    let one = |list: &[SafeText], of: &BTreeSet<&str>| {
        list.iter().any(|n| !n.is_empty() && of.contains(n.as_str()))
    };
    all.iter()
        .filter(|r| {
            one(&r.balancers, &names)
                || one(&r.scaling_groups, &scaling)
                || one(&r.services, &services)
                || one(&r.functions, &functions)
                || r.tags.iter().any(|(k, v)| !(k.is_empty() && v.is_empty()) && tagged(k, v))
        })
        .collect()
}

/// Deployments of CodeDeploy around the onset, whatever they go to.
fn releases_of(s: &Situation) -> Option<&Datum<Vec<Release>>> {
    let t = s.target.value()?;
    let ids = [&t.lb, &t.classic, &t.api, &t.function];
    ids.into_iter().filter(|id| !id.is_empty()).find_map(|id| s.beside.releases.get(id))
}

/// Why it is not known whether CodeDeploy deployed to the path, if so: they may
/// not be listed, or not what functions they go to.
pub fn releases_untold(s: &Situation) -> Option<Reason> {
    let d = releases_of(s)?;
    let untold = || d.value()?.iter().find_map(|r| r.untold.clone());
    d.gap().map(|g| g.reason.clone()).or_else(untold)
}

/// Is a moment shortly before the onset, or just behind it?
pub(super) fn near_onset(onset: Timestamp, at: Timestamp) -> bool {
    let before = onset.duration_since(at);
    before <= NEAR && before >= -AFTER
}

/// Something that was changed on the path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathChange {
    pub at: Timestamp,
    /// `ModifyListener by mika (shop)`, `CodeDeploy d-1 of shop/web: Succeeded`.
    pub text: SafeText,
    pub source: SafeText,
    /// It is shortly before the onset.
    pub near: bool,
}

/// When the failure began: at the load balancer in view, or else at the
/// foremost of what stands in front that knows it.
pub fn onset(s: &Situation) -> Option<Timestamp> {
    let behind = s.lb_arn().and_then(|lb| series::onset_of(s, lb)).map(|o| o.at);
    behind.or_else(|| {
        let t = s.target.value()?;
        let ids = [&t.distribution, &t.api, &t.classic, &t.function];
        ids.into_iter().filter(|id| !id.is_empty()).find_map(|id| super::fore::onset(s, id))
    })
}

/// Changes and deployments on the path and in front of it, joined to the
/// onset, newest first.
pub fn timeline(s: &Situation) -> Vec<PathChange> {
    let onset = onset(s);
    let near = |at: Timestamp| onset.is_some_and(|t| near_onset(t, at));
    let path = everything(s);
    let events = s.lbs.values().filter_map(|l| l.changes.value());
    let events = events.chain(s.fronts.changes.values().filter_map(|d| d.value())).flat_map(|c| &c.events);
    let mut out: Vec<PathChange> = events
        .filter(|e| e.failed.is_empty() && touches(e, &path))
        .map(|e| {
            let about: Vec<&str> = e.about.iter().take(2).map(|a| short(a)).collect();
            let text = format!("{} by {} ({})", e.name, e.user, about.join(", "));
            PathChange {
                at: e.at,
                text: text.into(),
                source: "cloudtrail:LookupEvents".into(),
                near: near(e.at),
            }
        })
        .collect();
    out.extend(releases_of_path(s).into_iter().filter_map(|r| {
        let at = r.created?;
        let text = format!("CodeDeploy {} of {}/{}: {}", r.id, r.application, r.group, r.status);
        Some(PathChange {
            at,
            text: text.into(),
            source: "codedeploy:BatchGetDeployments".into(),
            near: near(at),
        })
    }));
    for f in s.functions.values().filter_map(|d| d.value()) {
        if let Some(at) = f.modified.filter(|at| near(*at)) {
            let text = format!("function {} was updated", f.name);
            let source = "lambda:GetFunctionConfiguration".into();
            out.push(PathChange { at, text: text.into(), source, near: true });
        }
    }
    for (_, g) in s.active_groups() {
        for x in g.services.value().into_iter().flatten() {
            out.extend(x.deployments.iter().filter_map(|d| {
                let at = d.created.filter(|at| near(*at))?;
                let text = format!("deployment of {} began: {}", x.name, short(&d.task_definition));
                Some(PathChange { at, text: text.into(), source: "ecs:DescribeServices".into(), near: true })
            }));
        }
    }
    out.sort_by(|a, b| b.at.cmp(&a.at).then(a.text.as_str().cmp(b.text.as_str())));
    out.dedup();
    out
}

/// Ids and names of what stands in front.
fn front_ids(s: &Situation) -> BTreeSet<&str> {
    let mut out: BTreeSet<&str> = BTreeSet::new();
    let Some(t) = s.target.value() else { return out };
    out.extend([&t.distribution, &t.api, &t.classic, &t.function].map(SafeText::as_str));
    if let Some(d) = s.fronts.distributions.get(&t.distribution).and_then(|d| d.value()) {
        out.extend([d.arn.as_str(), d.web_acl.as_str()]);
        out.extend(d.behaviors.iter().flat_map(|b| &b.functions).map(|f| f.1.as_str()));
    }
    if let Some(a) = s.fronts.apis.get(&t.api).and_then(|d| d.value()) {
        out.insert(a.name.as_str());
        out.extend(a.links.iter().map(|l| l.id.as_str()));
        for f in a.functions() {
            out.insert(f.as_str());
            out.extend(function_name(f));
        }
    }
    if let Some(c) = s.fronts.classics.get(&t.classic).and_then(|d| d.value()) {
        out.extend(c.security_groups.iter().chain(&c.instances).map(SafeText::as_str));
    }
    let named = s.fronts.records.values().filter_map(|d| d.value()).filter(|r| !r.records.is_empty());
    out.extend(named.map(|r| r.zone_id.as_str()));
    out.extend(function_name(&t.function));
    out.remove("");
    out
}

/// Does an event concern anything on the path?
fn touches(e: &ChangeEvent, path: &BTreeSet<&str>) -> bool {
    e.about.iter().any(|id| {
        let id = id.as_str();
        let last = short_name(id);
        let bare = last.split(':').next().unwrap_or(last);
        path.contains(id)
            || (id.starts_with("arn:") && (path.contains(last) || path.contains(bare) || path.contains(short(id))))
            // A listener or rule that is gone still carries its load balancer's name.
            || (id.contains(":listener") && path.contains(short(id)))
    })
}

/// Address of `10.0.1.5:8080` and `[fd00::1]:8080`.
pub(super) fn address(target: &str) -> Option<IpAddr> {
    let host = target.rsplit_once(':')?.0;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
