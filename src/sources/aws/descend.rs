//! The rest of the search: distributions, APIs, functions and Classic Load
//! Balancers, and the way down from what stands in front to what is behind it.

use super::ask::elb::Which;
use super::ask::{api, around, classic, edge, elb};
use super::client::Aws;
use super::find::Search;
use super::found::{Found, Outcome};
use super::operations as op;
use super::target::{ElbDns, Host, api_host, elb_dns, is_api_id};
use crate::situation::front::{Api, Classic, Distribution, Records};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::text::SafeText;
use futures::future::{join_all, join3, join4};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::timeout;

/// Names followed one after another at most.
const DEEPEST: usize = 6;
/// A name of an origin is not waited for longer than this.
const NAME: Duration = Duration::from_secs(2);
/// Another profile is not waited for longer than this.
const ELSEWHERE: Duration = Duration::from_secs(4);

fn told(source: &'static str, topic: Topic, fact: Fact) -> Observation {
    Observation { at: Timestamp::now(), source: SafeText::from_static(source), topic, fact, took_ms: 0 }
}

impl Search {
    /// A distribution by id, and what it fetches from.
    pub(super) async fn by_distribution(&self, id: &str, by: &str) -> Result<Outcome, Reason> {
        let mut found = Found::default();
        found.target.distribution = id.into();
        let topic = Topic::Distribution(id.into());
        match edge::distribution(&self.aws, id).await {
            Ok(d) => self.descend_origins(&mut found, d).await,
            Err(Reason::NotFound { .. }) => {
                return Ok(Outcome::None(self.line(&format!("there is no distribution {id}"), None).await));
            }
            // What cannot be read is named and asked again; its metrics and
            // logs may say enough.
            Err(reason) if goes_on(&reason) => {
                found.also.push(told(op::GET_DISTRIBUTION_CONFIG.id, topic, Fact::Unknown(reason)));
            }
            Err(reason) => return Err(reason),
        }
        let lb = found.target.lb.clone();
        Ok(self.one(by, op::GET_DISTRIBUTION_CONFIG.id, found, &lb))
    }

    async fn descend_origins(&self, found: &mut Found, d: Distribution) {
        let names: Vec<SafeText> =
            d.used().into_iter().filter(|o| o.kind.as_str() != "s3").map(|o| o.domain.clone()).collect();
        found.owners.push((d.id.clone(), self.aws.clone()));
        let topic = Topic::Distribution(d.id.clone());
        found.also.push(told(op::GET_DISTRIBUTION_CONFIG.id, topic, Fact::Distribution(Box::new(d))));
        for name in names {
            self.descend_name(found, name.to_string()).await;
            if !found.target.lb.is_empty() || !found.target.api.is_empty() || !found.target.classic.is_empty()
            {
                return;
            }
        }
    }

    /// Follows a host name down as far as this account knows it.
    async fn descend_name(&self, found: &mut Found, first: String) {
        let mut name = first;
        for _ in 0..DEEPEST {
            if let Some((id, region)) = api_host(&name) {
                self.descend_api_host(found, &id, &region).await;
                return;
            }
            if let Some(dns) = elb_dns(&name) {
                self.descend_balancer(found, &dns).await;
                return;
            }
            let resolve = async {
                let host = Host::Name(name.clone());
                timeout(NAME, self.names.resolve(&host, None)).await.ok().and_then(Result::ok)
            };
            let hosts = [SafeText::from(name.as_str())];
            let (records, resolved) = futures::future::join(edge::records(&self.aws, &hosts), resolve).await;
            let mut next = None;
            for (host, answer) in records {
                if let Ok(r) = &answer {
                    next = r.leads_to().next().map(String::from);
                }
                let fact = answer.map_or_else(Fact::Unknown, Fact::Records);
                found.also.push(told(op::LIST_RESOURCE_RECORD_SETS.id, Topic::Records(host), fact));
            }
            let telling = |n: &&String| elb_dns(n).is_some() || api_host(n).is_some();
            let by_dns = resolved.as_ref().and_then(|r| r.names.iter().find(telling)).cloned();
            match by_dns.or(next) {
                Some(next) if next != name => name = next,
                _ => return,
            }
        }
    }

    /// An API of this account, or of that of another profile.
    async fn descend_api_host(&self, found: &mut Found, id: &str, region: &str) {
        let own = self.aws.in_region(region).await.ok();
        if let Some(aws) = &own
            && self.is_api_of(aws, found, id).await
        {
            return;
        }
        for other in &self.others {
            let ask = async { other.aws().await.ok()?.in_region(region).await.ok() };
            let theirs = timeout(ELSEWHERE, ask).await.ok().flatten();
            if let Some(aws) = theirs
                && self.is_api_of(&aws, found, id).await
            {
                return;
            }
        }
        if self.others.is_empty() {
            found.aws = found.aws.take().or(own);
        }
    }

    async fn is_api_of(&self, aws: &Aws, found: &mut Found, id: &str) -> bool {
        let there = self.descend_api(found, aws, id, "").await.is_ok();
        if there {
            // What was found behind it may be elsewhere again.
            found.aws.get_or_insert_with(|| aws.clone());
        }
        there
    }

    async fn descend_balancer(&self, found: &mut Found, dns: &ElbDns) {
        if let Ok(aws) = self.aws.in_region(&dns.region).await
            && self.balancer_of(found, &aws, dns).await
        {
            return;
        }
        // It may be another account's, and that one of the other profiles'.
        let mut asked = join_all(self.others.iter().map(|other| async move {
            let ask = async {
                let aws = other.aws().await.ok()?.in_region(&dns.region).await.ok()?;
                let mut theirs = Found::default();
                self.balancer_of(&mut theirs, &aws, dns).await.then_some((theirs, aws))
            };
            timeout(ELSEWHERE, ask).await.ok().flatten()
        }))
        .await
        .into_iter()
        .flatten();
        if let Some((theirs, aws)) = asked.next() {
            found.target.lb = theirs.target.lb;
            found.target.classic = theirs.target.classic;
            found.classic_dns = theirs.classic_dns;
            found.lb = theirs.lb;
            found.aws = Some(aws);
        }
    }

    /// Looks for the load balancer of this DNS name; true when it is there.
    async fn balancer_of(&self, found: &mut Found, aws: &Aws, dns: &ElbDns) -> bool {
        let same = |name: &str| name.eq_ignore_ascii_case(&dns.dns_name);
        let (v2, old) = futures::future::join(
            elb::load_balancer(aws, Which::Name(dns.lb.clone())),
            classic::classics(aws, Some(&dns.lb)),
        )
        .await;
        if let Ok(lb) = v2
            && same(&lb.dns_name)
        {
            found.aws = Some(aws.clone());
            found.target.lb = lb.arn.clone();
            found.lb = Some(lb);
            true
        } else if let Some(c) = old.ok().and_then(|all| all.into_iter().find(|c| same(&c.dns_name))) {
            found.aws = Some(aws.clone());
            found.target.classic = c.name;
            found.classic_dns = c.dns_name;
            true
        } else {
            false
        }
    }

    /// An API by id, and what it is integrated with.
    pub(super) async fn by_api(&self, id: &str, stage: &str, by: &str) -> Result<Outcome, Reason> {
        let mut found = Found::default();
        match self.descend_api(&mut found, &self.aws, id, stage).await {
            Ok(()) => {}
            Err(Reason::NotFound { .. }) => {
                return Ok(Outcome::None(self.line(&format!("there is no API {id}"), None).await));
            }
            Err(reason) if goes_on(&reason) => {
                found.target.api = id.into();
                found.also.push(told(op::GET_REST_API.id, Topic::Api(id.into()), Fact::Unknown(reason)));
            }
            Err(reason) => return Err(reason),
        }
        let lb = found.target.lb.clone();
        Ok(self.one(by, op::GET_REST_API.id, found, &lb))
    }

    async fn descend_api(&self, found: &mut Found, aws: &Aws, id: &str, stage: &str) -> Result<(), Reason> {
        let api = api::api(aws, id, stage).await?;
        found.target.api = id.into();
        found.owners.push((id.into(), aws.clone()));
        let next = way_on(&api);
        found.also.push(told(op::GET_REST_API.id, Topic::Api(id.into()), Fact::Api(Box::new(api))));
        match next {
            Some(Next::Balancer(arn)) => {
                found.target.lb = arn.clone();
                if let Ok(lb) = elb::load_balancer(aws, Which::Arn(arn)).await {
                    found.lb = Some(lb);
                }
            }
            Some(Next::Name(name)) => Box::pin(self.descend_name(found, name)).await,
            None => {}
        }
        Ok(())
    }

    /// A function by ARN or name.
    pub(super) async fn by_function(&self, arn: &str) -> Result<Outcome, Reason> {
        let mut found = Found::default();
        match around::function(&self.aws, arn).await {
            Ok(f) => {
                found.target.function = f.arn.clone();
                let topic = Topic::Function(f.arn.clone());
                found.also.push(told(op::GET_FUNCTION_CONFIGURATION.id, topic, Fact::Function(f)));
            }
            Err(Reason::NotFound { .. }) => {
                let what = format!("there is no function {}", SafeText::capped(arn, 160));
                return Ok(Outcome::None(self.line(&what, None).await));
            }
            Err(reason) if arn.starts_with("arn:") && goes_on(&reason) => {
                found.target.function = arn.into();
                let topic = Topic::Function(arn.into());
                found.also.push(told(op::GET_FUNCTION_CONFIGURATION.id, topic, Fact::Unknown(reason)));
            }
            Err(reason) => return Err(reason),
        }
        Ok(self.one("function", op::GET_FUNCTION_CONFIGURATION.id, found, ""))
    }

    /// A Classic Load Balancer by name.
    pub(super) async fn by_classic(&self, name: &str, by: &str) -> Result<Outcome, Reason> {
        let all = classic::classics(&self.aws, Some(name)).await?;
        match all.into_iter().next() {
            Some(c) => Ok(self.of_classic(&c, by)),
            None => {
                let what = format!("there is no Classic Load Balancer {name}");
                Ok(Outcome::None(self.line(&what, None).await))
            }
        }
    }

    fn of_classic(&self, c: &Classic, by: &str) -> Outcome {
        let mut found = Found::default();
        found.target.classic = c.name.clone();
        found.classic_dns = c.dns_name.clone();
        self.one(by, op::DESCRIBE_CLASSICS.id, found, "")
    }

    /// The Classic Load Balancer with this DNS name.
    pub(super) async fn by_classic_dns(&self, dns: &ElbDns) -> Result<Option<Outcome>, Reason> {
        // Where Classic ones may not be listed, the others are searched on.
        let all = classic::classics(&self.aws, Some(&dns.lb)).await.unwrap_or_default();
        let same = |all: &[Classic]| {
            all.iter()
                .find(|c| c.dns_name.eq_ignore_ascii_case(&dns.dns_name))
                .map(|c| self.of_classic(c, "dns name"))
        };
        if let Some(found) = same(&all) {
            return Ok(Some(found));
        }
        // The name in front of the number may itself end in one, or there is none.
        let all = classic::classics(&self.aws, None).await.unwrap_or_default();
        Ok(same(&all))
    }

    /// A name that is no load balancer's or target group's.
    pub(super) async fn by_other_name(&self, name: &str) -> Result<Option<Outcome>, Reason> {
        // The form of an id says whom to ask, even where lists may not be read.
        if is_api_id(name) {
            match self.by_api(name, "", "id").await {
                Ok(Outcome::None(_)) => {}
                other => return other.map(Some),
            }
        }
        let apis = async {
            match api::apis(&self.aws).await {
                Ok(all) => Ok(all
                    .into_iter()
                    .filter(|(id, n)| id.as_str() == name || n.as_str() == name)
                    .map(|(id, _)| id)
                    .collect::<Vec<_>>()),
                Err(reason) => Err(reason),
            }
        };
        let (classics, apis, function) =
            join3(classic::classics(&self.aws, Some(name)), apis, around::function(&self.aws, name)).await;
        let unlisted = match classics {
            Ok(all) => match all.first() {
                Some(c) => return Ok(Some(self.of_classic(c, "name"))),
                None => None,
            },
            Err(reason @ (Reason::Denied { .. } | Reason::Throttled { .. } | Reason::Malformed { .. })) => {
                Some(reason)
            }
            Err(_) => None,
        };
        match apis {
            Ok(ids) if ids.len() == 1 => return self.by_api(&ids[0], "", "name").await.map(Some),
            Ok(ids) if ids.len() > 1 => {
                let ids: Vec<&str> = ids.iter().map(SafeText::as_str).collect();
                let what = format!("several APIs are named {name}: give one of {}", ids.join(", "));
                return Ok(Some(Outcome::None(self.line(&what, None).await)));
            }
            _ => {}
        }
        match function {
            Ok(f) => {
                let mut found = Found::default();
                found.target.function = f.arn.clone();
                let topic = Topic::Function(f.arn.clone());
                found.also.push(told(op::GET_FUNCTION_CONFIGURATION.id, topic, Fact::Function(f)));
                Ok(Some(self.one("function name", op::GET_FUNCTION_CONFIGURATION.id, found, "")))
            }
            // It may be one of those that could not be listed.
            Err(_) => unlisted.map_or(Ok(None), Err),
        }
    }

    /// A name whose form says that it is a distribution's or an API's.
    pub(super) async fn by_telling_name(&self, name: &str) -> Result<Option<Outcome>, Reason> {
        if let Some((id, _)) = api_host(name) {
            return self.by_api(&id, "", "host name").await.map(Some);
        }
        if !name.ends_with(".cloudfront.net") {
            return Ok(None);
        }
        let all = edge::distributions(&self.aws).await?;
        match all.iter().find(|d| d.domain.eq_ignore_ascii_case(name)) {
            Some(d) => self.by_distribution(&d.id, "domain name").await.map(Some),
            None => {
                let what = format!("no distribution has the domain name {name}");
                Ok(Some(Outcome::None(self.line(&what, None).await)))
            }
        }
    }

    /// A host name of the owner's: what Route 53, CloudFront and API Gateway
    /// know of it. What may not be asked is passed over.
    pub(super) async fn by_records(&self, name: &str) -> Result<Option<Outcome>, Reason> {
        let hosts = [SafeText::from(name)];
        let (records, distributions, domains, ()) = join4(
            edge::records(&self.aws, &hosts),
            edge::distributions(&self.aws),
            api::domains(&self.aws),
            async {},
        )
        .await;
        let mut also = Vec::new();
        let mut leads: Vec<String> = Vec::new();
        for (host, answer) in records {
            if let Ok(r) = &answer {
                leads.extend(r.leads_to().map(String::from));
            }
            let fact = answer.map_or_else(Fact::Unknown, Fact::Records);
            also.push(told(op::LIST_RESOURCE_RECORD_SETS.id, Topic::Records(host), fact));
        }
        leads.dedup();
        let same = |a: &SafeText| a.eq_ignore_ascii_case(name);
        let wild = |a: &SafeText| {
            a.strip_prefix("*.").is_some_and(|rest| name.split_once('.').is_some_and(|(_, t)| t == rest))
        };
        let distribution = distributions.unwrap_or_default().into_iter().find(|d| {
            leads.iter().any(|l| d.domain.eq_ignore_ascii_case(l))
                || d.aliases.iter().any(|a| same(a) || wild(a))
        });
        let outcome = if let Some(d) = distribution {
            self.by_distribution(&d.id, "alias").await?
        } else if domains.is_ok_and(|all| all.iter().any(|(n, _)| same(n))) {
            match api::mapped(&self.aws, name).await?.first() {
                Some((id, stage)) => self.by_api(id, stage, "custom domain name").await?,
                None => return Ok(None),
            }
        } else {
            let mut found = Found::default();
            let Some(lead) = leads.first() else {
                return Ok(None);
            };
            self.descend_name(&mut found, lead.clone()).await;
            let t = &found.target;
            if t.lb.is_empty() && t.api.is_empty() && t.classic.is_empty() && !records_lead(&also) {
                return Ok(None);
            }
            let lb = found.target.lb.clone();
            self.one("Route 53 record", op::LIST_RESOURCE_RECORD_SETS.id, found, &lb)
        };
        Ok(Some(match outcome {
            Outcome::One(mut found) => {
                found.also.extend(also);
                Outcome::One(found)
            }
            other => other,
        }))
    }
}

/// With an answer like this the id itself is still good to go on with.
fn goes_on(reason: &Reason) -> bool {
    !matches!(reason, Reason::NotFound { .. } | Reason::Credentials { .. } | Reason::Offline { .. })
}

/// Does a record of the account lead to a load balancer, there or not?
fn records_lead(also: &[Observation]) -> bool {
    let lead = |r: &Records| r.records.iter().flat_map(|x| x.leads_to()).any(|n| elb_dns(n).is_some());
    also.iter().any(|o| matches!(&o.fact, Fact::Records(r) if lead(r)))
}

enum Next {
    Balancer(SafeText),
    Name(String),
}

/// Where an API sends requests, when that is no function.
fn way_on(api: &Api) -> Option<Next> {
    for i in api.integrations.iter().filter(|i| i.function.is_empty()) {
        if let Some((head, tail)) = i.uri.split_once(":listener/") {
            let lb: Vec<&str> = tail.split('/').take(3).collect();
            return Some(Next::Balancer(format!("{head}:loadbalancer/{}", lb.join("/")).into()));
        }
        if !i.link.is_empty() {
            let link = api.links.iter().find(|l| l.id == i.link);
            let link = link.or(api.links.first().filter(|_| api.links.len() == 1));
            if let Some(arn) = link.and_then(|l| l.targets.first()) {
                return Some(Next::Balancer(arn.clone()));
            }
        }
        if let Some((_, rest)) = i.uri.split_once("://") {
            let host = rest.split(['/', '?', ':']).next().unwrap_or_default().to_ascii_lowercase();
            if host.contains('.') && !host.contains(['$', '{']) {
                return Some(Next::Name(host));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::front::{Integration, VpcLink};

    fn through(uri: &str, link: &str) -> Option<Next> {
        let i = Integration { uri: uri.into(), link: link.into(), ..Integration::default() };
        let nlb = "arn:aws:elasticloadbalancing:r:1:loadbalancer/net/inner/1a";
        let l = VpcLink { id: "l1".into(), targets: vec![nlb.into()], ..VpcLink::default() };
        way_on(&Api { integrations: vec![i], links: vec![l], ..Api::default() })
    }

    #[test]
    fn an_integration_leads_to_a_balancer_or_a_name() {
        let balancer = |n: Option<Next>| match n {
            Some(Next::Balancer(arn)) => arn.to_string(),
            _ => String::new(),
        };
        let listener = "arn:aws:elasticloadbalancing:r:1:listener/app/shop/50dc/aa";
        assert!(balancer(through(listener, "")).ends_with("loadbalancer/app/shop/50dc"));
        assert!(balancer(through("http://inner.example.com/x", "l1")).ends_with("net/inner/1a"));
        assert!(balancer(through("http://inner.example.com/x", "?")).ends_with("net/inner/1a"));
        assert!(
            matches!(through("https://Shop.example.com:8443/x", ""), Some(Next::Name(n)) if n == "shop.example.com")
        );
        assert!(through("https://${stageVariables.host}/x", "").is_none());
    }
}
