//! From what was typed to the one load balancer it stands for.

use super::ask::{ec2, elb};
use super::client::Aws;
use super::cloudwatch::{self, Metric, Query};
use super::found::{Found, Missing, Outcome};
use super::names::{Names, Resolved};
use super::operations as op;
use super::spot::Spot;
use super::target::{Arn, Asked, Host, elb_dns, is_distribution_id, nearest, other_service};
use crate::situation::elb::{LoadBalancer, TargetGroup};
use crate::situation::{Reason, ResolvedTarget, short};
use crate::sources::{Candidate, Event};
use crate::text::SafeText;
use elb::Which;
use futures::future::{join, join_all};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// DNS names of load balancers that are resolved to compare addresses.
const COMPARED: usize = 300;
/// Look-ups under way at a time.
const PARALLEL: usize = 16;
/// Load balancers whose errors are counted for the picker.
const COUNTED: usize = 250;
/// Seconds of errors that the picker sorts by.
const LATELY: i64 = 15 * 60;

/// What a search has to go by.
#[derive(Debug)]
pub struct Search {
    pub aws: Aws,
    pub typed: SafeText,
    pub asked: Asked,
    /// What the host name led to, when the target has one.
    pub resolved: Option<Resolved>,
    /// Why the host name led nowhere, when it did not.
    pub unresolved: Option<Reason>,
    pub names: Names,
    /// Other profiles that may know what this one does not; empty where one
    /// place is searched.
    pub others: Vec<Arc<Spot>>,
    /// One of several places: whoever reads all the answers says where was searched.
    pub many: bool,
    /// Where candidates go as they become known.
    pub events: mpsc::Sender<Event>,
}

impl Search {
    /// Searches. An error means nobody could say; it may heal.
    pub async fn run(self) -> Result<Outcome, Reason> {
        match &self.asked {
            Asked::Nothing => self.pick().await,
            Asked::LoadBalancer(arn) => {
                Ok(self.one("arn", op::DESCRIBE_LOAD_BALANCERS.id, Found::default(), &arn.text))
            }
            Asked::TargetGroup(arn) => self.by_group(arn).await,
            Asked::Name(name) => self.by_name(name).await,
            Asked::Host { host, .. } => self.by_host(host).await,
            Asked::Distribution(id) => self.by_distribution(id, "id").await,
            Asked::Api { id, stage, .. } => self.by_api(id, stage, "id").await,
            Asked::Function { arn, .. } => self.by_function(arn).await,
            Asked::Classic { name, .. } => self.by_classic(name, "arn").await,
        }
    }

    pub(super) fn one(&self, by: &str, source: &'static str, mut found: Found, arn: &str) -> Outcome {
        let resolved = self.resolved.clone().unwrap_or_default();
        let host = match &self.asked {
            Asked::Host { host, .. } => SafeText::from(host.to_string()),
            _ => SafeText::default(),
        };
        found.source = source;
        found.target = ResolvedTarget {
            asked: self.typed.clone(),
            host,
            names: resolved.names.into_iter().map(SafeText::from).collect(),
            addresses: resolved.addresses.iter().map(|a| SafeText::from(a.to_string())).collect(),
            lb: arn.into(),
            target_group: found.target.target_group,
            matched_by: by.into(),
            distribution: found.target.distribution,
            api: found.target.api,
            classic: found.target.classic,
            function: found.target.function,
        };
        Outcome::One(Box::new(found))
    }

    /// A load balancer that was found, with those of `page` that are its groups.
    fn with_groups(&self, by: &str, lb: LoadBalancer, page: Option<(Vec<TargetGroup>, bool)>) -> Outcome {
        let arn = lb.arn.clone();
        let groups = page.filter(|(_, more)| !more).map(|(all, _)| of_lb(all, &arn));
        self.one(by, op::DESCRIBE_LOAD_BALANCERS.id, Found { lb: Some(lb), groups, ..Found::default() }, &arn)
    }

    /// The load balancer by name, and the first page of all target groups in
    /// the same round trip: with them target health can be asked for next.
    async fn by_name(&self, name: &str) -> Result<Outcome, Reason> {
        // The form of an id says where to look first.
        if is_distribution_id(name) {
            match self.by_distribution(name, "id").await {
                Ok(Outcome::None(_)) => {}
                other => return other,
            }
        }
        let (lb, page) =
            join(elb::load_balancer(&self.aws, Which::Name(name.into())), elb::some_target_groups(&self.aws))
                .await;
        let page = page.ok();
        match lb {
            Ok(lb) => Ok(self.with_groups("name", lb, page)),
            Err(Reason::NotFound { .. }) => {
                let group = page.iter().flat_map(|p| &p.0).find(|g| g.name.as_str() == name).cloned();
                match group {
                    Some(group) => Ok(self.of_group(group, "target group name").await),
                    None => match self.by_other_name(name).await? {
                        Some(outcome) => Ok(outcome),
                        None => self.no_such_name(name).await,
                    },
                }
            }
            Err(reason) => match self.by_their_groups(page, name, "name") {
                Some(outcome) => Ok(outcome),
                None => self.by_other_name(name).await.ok().flatten().ok_or(reason),
            },
        }
    }

    /// Where load balancers cannot be described: the groups' own word for
    /// which of this name they belong to.
    fn by_their_groups(
        &self,
        page: Option<(Vec<TargetGroup>, bool)>,
        name: &str,
        by: &str,
    ) -> Option<Outcome> {
        let (all, more) = page?;
        let (arn, groups) = by_word(all, more, name)?;
        let found = Found { groups, ..Found::default() };
        Some(self.one(by, op::DESCRIBE_TARGET_GROUPS.id, found, &arn))
    }

    async fn no_such_name(&self, name: &str) -> Result<Outcome, Reason> {
        let all = self.all().await?;
        if let Some(lb) = all.iter().find(|lb| lb.name.eq_ignore_ascii_case(name)) {
            return Ok(self.with_groups("name", lb.clone(), None));
        }
        let near = nearest(name, all.iter().map(|lb| lb.name.as_str()));
        let what = format!("no load balancer, target group, distribution, API or function is named {name}");
        Ok(self.none(&what, &all, &near).await)
    }

    async fn by_group(&self, arn: &Arn) -> Result<Outcome, Reason> {
        match elb::target_group(&self.aws, &arn.text).await {
            Ok(group) => Ok(self.of_group(group, "arn").await),
            Err(Reason::NotFound { .. }) => {
                let what = format!("there is no target group {}", short(&arn.text));
                Ok(Outcome::None(self.line(&what, Some(arn)).await))
            }
            Err(reason) => Err(reason),
        }
    }

    async fn of_group(&self, group: TargetGroup, by: &str) -> Outcome {
        match group.lb_arns.as_slice() {
            [] => {
                let what = format!(
                    "target group {} is attached to no load balancer (no listener rule forwards to it)",
                    group.name
                );
                Outcome::None(self.line(&what, None).await)
            }
            [arn] => {
                let arn = arn.clone();
                let target = ResolvedTarget { target_group: group.arn.clone(), ..ResolvedTarget::default() };
                self.one(by, op::DESCRIBE_TARGET_GROUPS.id, Found { target, ..Found::default() }, &arn)
            }
            several => {
                let list = several.iter().map(|arn| from_arn(arn, &self.aws.region())).collect();
                self.offer(list, false).await;
                Outcome::Several
            }
        }
    }

    async fn by_host(&self, host: &Host) -> Result<Outcome, Reason> {
        let resolved = self.resolved.clone().unwrap_or_default();
        let mut names: Vec<String> = Vec::new();
        if let Host::Name(name) = host {
            names.push(name.clone());
        }
        names.extend(resolved.names.iter().cloned());
        for name in &names {
            if let Some(outcome) = self.by_telling_name(name).await? {
                return Ok(outcome);
            }
        }
        // The DNS name as good as says the load balancer's own name.
        if let Some(dns) = names.iter().find_map(|n| elb_dns(n)) {
            let (lb, page) = join(
                elb::load_balancer(&self.aws, Which::Name(dns.lb.clone())),
                elb::some_target_groups(&self.aws),
            )
            .await;
            let page = page.ok();
            match lb {
                Ok(lb) if lb.dns_name.eq_ignore_ascii_case(&dns.dns_name) => {
                    return Ok(self.with_groups("dns name", lb, page));
                }
                Ok(_) | Err(Reason::NotFound { .. }) => {}
                Err(reason) => return self.by_their_groups(page, &dns.lb, "dns name").ok_or(reason),
            }
            if let Some(outcome) = self.by_classic_dns(&dns).await? {
                return Ok(outcome);
            }
            let all = self.all().await?;
            if let Some(lb) = all.iter().find(|lb| lb.dns_name.eq_ignore_ascii_case(&dns.dns_name)) {
                return Ok(self.with_groups("dns name", lb.clone(), page));
            }
            let near = nearest(&dns.lb, all.iter().map(|lb| lb.name.as_str()));
            let what = format!("no load balancer has the DNS name {}", dns.dns_name);
            return Ok(self.none(&what, &all, &near).await);
        }
        if let Some(service) = names.iter().rev().find_map(|n| other_service(n)) {
            let via = names.last().filter(|_| names.len() > 1).map(|n| format!(" ({n})")).unwrap_or_default();
            return Ok(Outcome::None(Missing::told(format!("{host}{via} is {service}"))));
        }
        if let Host::Name(name) = host
            && let Some(outcome) = self.by_records(name).await?
        {
            return Ok(outcome);
        }
        match &self.unresolved {
            None => self.by_addresses(host, &resolved.addresses).await,
            Some(Reason::NotFound { what }) => Ok(Outcome::None(Missing::told(format!(
                "{what} is not there; give the load balancer's name or ARN, or --resolve HOST:PORT:ADDR"
            )))),
            Some(reason) => Err(reason.clone()),
        }
    }

    /// Who owns the addresses? AWS writes the load balancer into its network
    /// interfaces; where they may not be read, the DNS names of all load
    /// balancers are resolved and compared.
    async fn by_addresses(&self, host: &Host, addresses: &[IpAddr]) -> Result<Outcome, Reason> {
        let (inside, outside): (Vec<&IpAddr>, Vec<&IpAddr>) = addresses.iter().partition(|a| is_inside(a));
        let text = |list: Vec<&IpAddr>| -> Vec<SafeText> {
            list.iter().map(|a| SafeText::from(a.to_string())).collect()
        };
        let (inside, outside) = (text(inside), text(outside));
        let cards =
            join(ec2::interfaces_at(&self.aws, &inside), ec2::interfaces_of_public(&self.aws, &outside));
        let (all, (private, public)) = join(self.all(), cards).await;
        let all = all?;
        let cards: Vec<_> = private.into_iter().chain(public).flatten().collect();
        let owners: BTreeSet<&str> =
            cards.iter().filter_map(|c| c.description.as_str().strip_prefix("ELB ")).collect();
        let mut hits: Vec<&LoadBalancer> = all.iter().filter(|lb| owners.contains(lb.dimension())).collect();
        if hits.is_empty() {
            hits = self.same_address(&all, addresses).await;
        }
        match hits.as_slice() {
            [] => {
                let shown: Vec<String> = addresses.iter().take(4).map(ToString::to_string).collect();
                let mut what = format!("{host} ({}) is no load balancer's", shown.join(", "));
                if let Some(card) = cards.first() {
                    let holder = if card.instance.is_empty() { &card.description } else { &card.instance };
                    what = format!("{host} belongs to {} ({holder}), not to a load balancer", card.id);
                }
                Ok(self.none(&what, &all, &[]).await)
            }
            [lb] => Ok(self.with_groups("addresses", (*lb).clone(), None)),
            several => {
                let list = several.iter().map(|lb| candidate(lb, &self.aws.region())).collect();
                self.offer(list, false).await;
                Ok(Outcome::Several)
            }
        }
    }

    async fn same_address<'a>(&self, all: &'a [LoadBalancer], wanted: &[IpAddr]) -> Vec<&'a LoadBalancer> {
        let mut hits = Vec::new();
        for part in all.get(..COMPARED).unwrap_or(all).chunks(PARALLEL) {
            let looked = join_all(part.iter().map(|lb| self.addresses_of(lb))).await;
            let same = |got: &Vec<IpAddr>| got.iter().any(|a| wanted.contains(a));
            hits.extend(part.iter().zip(&looked).filter(|(_, got)| same(got)).map(|(lb, _)| lb));
        }
        hits
    }

    async fn addresses_of(&self, lb: &LoadBalancer) -> Vec<IpAddr> {
        let host = Host::Name(lb.dns_name.to_ascii_lowercase());
        self.names.resolve(&host, None).await.unwrap_or_default().addresses
    }

    async fn all(&self) -> Result<Vec<LoadBalancer>, Reason> {
        let mut all = Vec::new();
        elb::load_balancers(&self.aws, Which::All, |page, _| {
            all.extend(page);
            true
        })
        .await?;
        Ok(all)
    }

    /// Lists everything, page by page, then adds the errors of late.
    async fn pick(&self) -> Result<Outcome, Reason> {
        let region = self.aws.region();
        let mut list: Vec<Candidate> = Vec::new();
        let mut lbs: Vec<LoadBalancer> = Vec::new();
        elb::load_balancers(&self.aws, Which::All, |page, more| {
            list.extend(page.iter().map(|lb| candidate(lb, &region)));
            lbs.extend(page);
            if more {
                // Pages come slower than they are shown; a full queue only skips a partial list.
                let part = Event::Candidates { asked: self.typed.clone(), list: list.clone(), more };
                let _ = self.events.try_send(part);
            }
            true
        })
        .await?;
        if list.is_empty() {
            return Ok(Outcome::None(self.line("there is no load balancer", None).await));
        }
        self.offer(list.clone(), false).await;
        if let Ok(errors) = errors(&self.aws, &lbs).await {
            for c in &mut list {
                c.errors = errors.get(&c.arn).copied().or(c.errors);
            }
            list.sort_by(Candidate::worst_first);
            self.offer(list, false).await;
        }
        Ok(Outcome::Several)
    }

    async fn offer(&self, list: Vec<Candidate>, more: bool) {
        // Nobody listens only when everything is being stopped.
        let _ = self.events.send(Event::Candidates { asked: self.typed.clone(), list, more }).await;
    }

    async fn none(&self, what: &str, all: &[LoadBalancer], near: &[&str]) -> Outcome {
        let among = match (all.len(), near) {
            (0, _) => "; there is none at all".to_string(),
            (n, []) => format!("; {n} there: run without TARGET to pick one"),
            (_, near) => format!("; nearest: {}", near.join(", ")),
        };
        let mut missing = self.line(&format!("{what}{among}"), None).await;
        missing.what = what.to_owned();
        missing.near = near.iter().map(SafeText::new).collect();
        Outcome::None(missing)
    }

    /// Adds where was searched, and what else to try.
    pub(super) async fn line(&self, what: &str, arn: Option<&Arn>) -> Missing {
        if self.many {
            return Missing::here(what.to_owned());
        }
        let line = line(&self.aws, what, arn).await;
        Missing { what: what.to_owned(), line, ..Missing::default() }
    }
}

/// `WHAT (account 1234, region r, profile p). Another region or account: ...`
pub async fn line(aws: &Aws, what: &str, arn: Option<&Arn>) -> String {
    let caller = aws.call(&op::GET_CALLER_IDENTITY, |c| c.sts.get_caller_identity().send()).await;
    let account = caller.ok().and_then(|c| c.account).map(SafeText::from);
    let mut place = match &account {
        Some(account) => format!("account {account}, region {}", aws.region()),
        None => format!("region {}", aws.region()),
    };
    if let Some(profile) = &aws.options().profile {
        place += &format!(", profile {}", SafeText::capped(profile, 80));
    }
    if let (Some(arn), Some(account)) = (arn, &account)
        && arn.account != account.as_str()
    {
        return format!(
            "{what} ({place}): it belongs to account {}; use a --profile of that account",
            SafeText::capped(&arn.account, 20)
        );
    }
    format!("{what} ({place}); elsewhere: --region or --profile")
}

fn of_lb(all: Vec<TargetGroup>, arn: &SafeText) -> Vec<TargetGroup> {
    all.into_iter().filter(|g| g.lb_arns.contains(arn)).collect()
}

/// The ARN of the one load balancer of this name that groups speak of.
fn by_word(all: Vec<TargetGroup>, more: bool, name: &str) -> Option<(SafeText, Option<Vec<TargetGroup>>)> {
    let arns: BTreeSet<SafeText> = all
        .iter()
        .flat_map(|g| &g.lb_arns)
        .filter(|a| short(a.as_str()).eq_ignore_ascii_case(name))
        .cloned()
        .collect();
    let arn = arns.first().filter(|_| arns.len() == 1)?.clone();
    let groups = (!more).then(|| of_lb(all, &arn));
    Some((arn, groups))
}

fn is_inside(a: &IpAddr) -> bool {
    match a {
        // Interfaces are found by their IPv6 address whether it is routed or not.
        IpAddr::V6(_) => true,
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && (64..128).contains(&b))
        }
    }
}

/// A load balancer as something to choose.
pub fn candidate(lb: &LoadBalancer, region: &SafeText) -> Candidate {
    Candidate {
        arn: lb.arn.clone(),
        name: lb.name.clone(),
        kind: lb.kind.clone(),
        dns_name: lb.dns_name.clone(),
        region: region.clone(),
        place: SafeText::default(),
        errors: None,
    }
}

/// A load balancer of which no more is known than its ARN.
pub fn from_arn(arn: &SafeText, region: &SafeText) -> Candidate {
    let kind = match arn.split_once(":loadbalancer/").and_then(|(_, d)| d.split('/').next()) {
        Some("app") => "application",
        Some("net") => "network",
        Some("gwy") => "gateway",
        _ => "",
    };
    Candidate {
        arn: arn.clone(),
        name: short(arn.as_str()).into(),
        kind: kind.into(),
        dns_name: SafeText::default(),
        region: region.clone(),
        place: SafeText::default(),
        errors: None,
    }
}

/// 5xx answers of the last quarter of an hour, by load balancer ARN. A load
/// balancer with no point had none to count.
async fn errors(aws: &Aws, lbs: &[LoadBalancer]) -> Result<HashMap<SafeText, f64>, Reason> {
    let lbs: Vec<&LoadBalancer> =
        lbs.iter().filter(|lb| lb.kind.as_str() == "application").take(COUNTED).collect();
    if lbs.is_empty() {
        return Ok(HashMap::new());
    }
    let metrics = ["HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count"];
    let queries: Vec<Query> = lbs
        .iter()
        .enumerate()
        .flat_map(|(i, lb)| {
            metrics.iter().enumerate().map(move |(j, name)| query(format!("q{i}_{j}"), lb, name))
        })
        .collect();
    let end = Timestamp::now().as_second();
    let mut sums: HashMap<SafeText, f64> = lbs.iter().map(|lb| (lb.arn.clone(), 0.0)).collect();
    let mut pages = super::ask::Pages::default();
    loop {
        let (answers, next) = cloudwatch::data(aws, &pages, &queries, (end - LATELY, end)).await?;
        for answer in answers {
            let index = answer.id.get(1..).and_then(|id| id.split('_').next()?.parse::<usize>().ok());
            if let Some(sum) = index.and_then(|i| lbs.get(i)).and_then(|lb| sums.get_mut(&lb.arn)) {
                *sum += answer.values.iter().filter(|v| v.is_finite()).sum::<f64>();
            }
        }
        if !pages.advance(next)? {
            return Ok(sums);
        }
    }
}

fn query(id: String, lb: &LoadBalancer, metric: &str) -> Query {
    let metric = Metric::new("AWS/ApplicationELB", metric, [("LoadBalancer", lb.dimension())]);
    Query::new(id, metric, 300, "Sum")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, lbs: &[&str]) -> TargetGroup {
        TargetGroup {
            name: name.into(),
            lb_arns: lbs.iter().map(SafeText::new).collect(),
            ..TargetGroup::default()
        }
    }

    #[test]
    fn groups_tell_which_load_balancer_a_name_is() {
        let lb = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/50dc";
        let other = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop-2/60dc";
        let all = || vec![group("web", &[lb]), group("api", &[lb, other]), group("x", &[])];
        let (arn, groups) = by_word(all(), false, "shop").unwrap();
        assert_eq!((arn.as_str(), groups.unwrap().len()), (lb, 2));
        assert!(by_word(all(), true, "shop").unwrap().1.is_none(), "a partial list is not taken for all");
        assert!(by_word(all(), false, "sho").is_none());
        let twin = "arn:aws:elasticloadbalancing:r:1:loadbalancer/net/shop/70dc";
        assert!(by_word(vec![group("a", &[lb]), group("b", &[twin])], false, "shop").is_none());
    }

    #[test]
    fn addresses_inside_and_outside() {
        for a in ["10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.9", "2001:db8::1", "fd00::1"] {
            assert!(is_inside(&a.parse().unwrap()), "{a}");
        }
        for a in ["203.0.113.7", "100.128.0.1", "172.32.0.1"] {
            assert!(!is_inside(&a.parse().unwrap()), "{a}");
        }
    }

    #[test]
    fn a_candidate_from_its_arn() {
        let c = from_arn(&"arn:aws:elasticloadbalancing:r:1:loadbalancer/net/edge/0a".into(), &"r".into());
        assert_eq!((c.name.as_str(), c.kind.as_str()), ("edge", "network"));
    }
}
