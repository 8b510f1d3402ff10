//! Which log groups belong to what we look at, and how we know.

use super::api::bare_arn;
use crate::situation::log::{GroupOrigin, LogGroup};
use crate::situation::{Fact, Observation, Reason, Situation, Topic};
use crate::sources::Options;
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations::DESCRIBE_LOG_GROUPS;
use crate::text::SafeText;
use futures::future::join_all;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The tag that names the log groups of a resource, several apart by blanks or commas.
pub const TAG: &str = "badgate:log-group";
/// Names looked for among all groups, at most.
const WORDS: usize = 6;
/// Named groups whose existence is checked one by one, at most.
const CHECKED: usize = 12;
/// Groups listed for their name, at most.
const MATCHES: usize = 30;
/// Pages of a search for one word, at most.
const PAGES: usize = 3;

/// What the situation and the options know about log groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clues {
    /// Names with where they come from, best first, each once.
    pub named: Vec<(SafeText, GroupOrigin)>,
    /// Words to look for in the names of groups, best first.
    pub words: Vec<String>,
}

impl Clues {
    /// Reads options, tags, task definitions and names.
    pub fn gather(s: &Situation, options: &Options) -> Clues {
        let mut clues = Clues::default();
        let mut name = |text: &str, origin| {
            let name = plain_name(&SafeText::from(text));
            if !name.is_empty() && !clues.named.iter().any(|(n, _)| *n == name) {
                clues.named.push((name, origin));
            }
        };
        for text in &options.log_groups {
            name(text, GroupOrigin::Option);
        }
        for text in &options.config_log_groups {
            name(text, GroupOrigin::Config);
        }
        for value in tag_values(s) {
            for text in value.split([' ', ',', ';']) {
                name(text, GroupOrigin::Tag);
            }
        }
        for (_, group) in s.active_groups() {
            for service in group.services.value().into_iter().flatten() {
                let current = service.deployments.iter().map(|d| &d.task_definition);
                for arn in std::iter::once(&service.task_definition).chain(current) {
                    let containers =
                        s.task_definitions.get(arn).and_then(|d| d.value()).map(|d| &d.containers);
                    for c in containers.into_iter().flatten().filter(|c| c.log_driver == "awslogs") {
                        name(&c.log_group, GroupOrigin::TaskDefinition);
                    }
                }
            }
        }
        for api in s.fronts.apis.values().filter_map(|d| d.value()) {
            for group in api.log_groups() {
                name(&group, GroupOrigin::TaskDefinition);
            }
        }
        for f in s.functions.values().filter_map(|d| d.value()) {
            if f.log_group.is_empty() {
                name(&format!("/aws/lambda/{}", f.name), GroupOrigin::TaskDefinition);
            } else {
                name(&f.log_group, GroupOrigin::TaskDefinition);
            }
        }
        clues.words = words(s);
        clues
    }
}

fn tag_values(s: &Situation) -> Vec<SafeText> {
    let mut out = Vec::new();
    let groups = s.active_groups();
    let arns = s.lb_arn().into_iter().chain(groups.iter().map(|(arn, _)| *arn));
    out.extend(arns.filter_map(|arn| s.tags.get(arn)?.get(TAG).cloned()));
    for (_, group) in &groups {
        for target in group.health.value().into_iter().flatten() {
            out.extend(s.instance(&target.id).and_then(|i| i.tags.get(TAG).cloned()));
        }
    }
    out
}

/// Names of the load balancer, its groups and services, without what only says
/// what kind of thing it is.
fn words(s: &Situation) -> Vec<String> {
    let mut names: Vec<&str> = s.load_balancer().map(|lb| lb.name.as_str()).into_iter().collect();
    let groups = s.active_groups();
    for (_, g) in &groups {
        names.extend(g.services.value().into_iter().flatten().map(|s| s.name.as_str()));
    }
    names.extend(groups.iter().filter_map(|(_, g)| g.group.as_ref()).map(|g| g.name.as_str()));
    let mut out: Vec<String> = Vec::new();
    for name in names {
        if let Some(word) = stem(name)
            && !out.contains(&word)
        {
            out.push(word);
        }
    }
    out.truncate(WORDS);
    out
}

/// `shop` for `shop-alb`, `shop-prod` for `shop-prod-tg-blue`, `webapp` for
/// `k8s-default-webapp-1a2b3c4d5e`.
fn stem(name: &str) -> Option<String> {
    const KINDS: [&str; 24] = [
        "alb",
        "nlb",
        "elb",
        "lb",
        "tg",
        "tgs",
        "targetgroup",
        "target",
        "targets",
        "group",
        "http",
        "https",
        "http2",
        "grpc",
        "ip",
        "instance",
        "ecs",
        "eks",
        "blue",
        "green",
        "public",
        "internal",
        "external",
        "svc",
    ];
    let lower = name.to_lowercase();
    let mut parts: Vec<&str> = lower.split(['-', '_', '.']).filter(|p| !p.is_empty()).collect();
    if parts.len() == 4 && parts[0] == "k8s" {
        // The AWS Load Balancer Controller: k8s, namespace, service, hash.
        parts = vec![parts[2]];
    }
    while parts.len() > 1
        && parts.last().is_some_and(|p| KINDS.contains(p) || p.bytes().all(|b| b.is_ascii_digit()))
    {
        parts.pop();
    }
    let word = parts.join("-");
    (word.len() >= 3 && !KINDS.contains(&word.as_str())).then_some(word)
}

/// How well a group's name fits a word: 0 a part of the path, 1 a part between
/// dashes, 2 anything else; more for groups of AWS's own making.
fn fit(group: &str, word: &str) -> Option<u32> {
    let lower = group.to_lowercase();
    let same = |a: &str| a == word || a.replace(['_', '.'], "-") == word;
    let grade = if lower.split('/').any(same) {
        0
    } else {
        let flat = format!("-{}-", lower.replace(['/', '_', '.'], "-"));
        if flat.contains(&format!("-{word}-")) {
            1
        } else if word.len() > 3 && (lower.contains(word) || flat.contains(word)) {
            2
        } else {
            return None;
        }
    };
    let foreign =
        ["/aws/lambda/", "/aws/rds/", "/aws/vpc", "/aws/codebuild/", "/aws/apigateway/", "flow", "waf"];
    Some(grade * 2 + u32::from(foreign.iter().any(|f| lower.contains(f))))
}

/// What to call a group that was given by name or ARN. An ARN may be of another
/// account and stays one, without `:*`; anything that is neither is kept for
/// the service to judge.
pub fn plain_name(given: &SafeText) -> SafeText {
    let text = given.trim();
    SafeText::from(if text.starts_with("arn:") { bare_arn(text) } else { text })
}

/// Lists the groups: one [`Fact::LogGroups`], best first; for each named group
/// that does not exist a [`Topic::Tail`] that says so; and a [`Fact::Unknown`]
/// when the list may not be read (the named ones are listed all the same).
pub async fn ask(aws: &Aws, clues: &Clues) -> Vec<Observation> {
    let start = std::time::Instant::now();
    let found = look(aws, clues).await;
    let took_ms = u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX);
    let region = aws.region();
    let observe = |topic: Topic, fact: Fact| Observation {
        at: Timestamp::now(),
        source: SafeText::from_static(DESCRIBE_LOG_GROUPS.id),
        topic,
        fact,
        took_ms,
    };
    let (list, missing) = found.sorted(clues);
    let mut out = Vec::new();
    for name in missing {
        let what = SafeText::from(format!("log group {name} in {region}"));
        out.push(observe(Topic::Tail(name), Fact::Unknown(Reason::NotFound { what })));
    }
    if found.gap.is_none() || !list.is_empty() {
        out.push(observe(Topic::LogGroups, Fact::LogGroups(list)));
    }
    out.extend(found.gap.map(|reason| observe(Topic::LogGroups, Fact::Unknown(reason))));
    out
}

/// What the service told of its groups.
#[derive(Debug, Default)]
struct Found {
    /// Groups that exist, with their size.
    groups: BTreeMap<SafeText, Option<u64>>,
    /// Everything was listed: what is not here does not exist.
    whole: bool,
    /// Names that were asked for and are not there.
    absent: Vec<SafeText>,
    gap: Option<Reason>,
}

impl Found {
    /// Groups best first, and named ones that do not exist.
    fn sorted(&self, clues: &Clues) -> (Vec<LogGroup>, Vec<SafeText>) {
        let (mut list, mut missing) = (Vec::new(), Vec::new());
        for (name, origin) in &clues.named {
            let known = self.groups.get(name);
            let is_name = !name.starts_with("arn:");
            if known.is_none() && is_name && (self.whole || self.absent.contains(name)) {
                missing.push(name.clone());
            } else {
                let stored_bytes = known.copied().flatten();
                list.push(LogGroup { name: name.clone(), origin: *origin, stored_bytes });
            }
        }
        let mut matches: Vec<(u32, usize, LogGroup)> = Vec::new();
        for (name, stored_bytes) in &self.groups {
            if list.iter().any(|g: &LogGroup| g.name == *name) {
                continue;
            }
            let best = clues.words.iter().enumerate().filter_map(|(i, w)| Some((fit(name, w)?, i))).min();
            if let Some((grade, i)) = best {
                let group = LogGroup {
                    name: name.clone(),
                    origin: GroupOrigin::NameMatch,
                    stored_bytes: *stored_bytes,
                };
                matches.push((grade, i, group));
            }
        }
        matches.sort_by(|a, b| (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name)));
        list.sort_by_key(|g| g.origin);
        list.extend(matches.into_iter().take(MATCHES).map(|m| m.2));
        (list, missing)
    }

    fn fail(&mut self, reason: Reason) {
        self.gap.get_or_insert(reason);
    }
}

/// Asks as little as possible: an account with few groups has told all with
/// its first page.
async fn look(aws: &Aws, clues: &Clues) -> Found {
    let mut found = Found::default();
    match list(aws, None, None, 1).await {
        Ok((groups, whole)) => {
            found.groups.extend(groups);
            found.whole = whole;
        }
        Err(reason) => {
            found.fail(reason);
            return found;
        }
    }
    if found.whole {
        return found;
    }
    let names: Vec<&SafeText> = clues
        .named
        .iter()
        .map(|(n, _)| n)
        .filter(|n| !found.groups.contains_key(*n) && !n.starts_with("arn:"))
        .take(CHECKED)
        .collect();
    let named = join_all(names.iter().map(|n| list(aws, Some(n.as_str()), None, 1)));
    let matching = join_all(clues.words.iter().map(|w| list(aws, None, Some(w), PAGES)));
    let (named, matching) = futures::join!(named, matching);
    for (name, answer) in names.into_iter().zip(named) {
        match answer {
            Ok((groups, _)) => {
                // The list is sorted: a name comes before all it is a prefix of.
                match groups.into_iter().find(|(n, _)| n == name) {
                    Some(group) => {
                        found.groups.insert(group.0, group.1);
                    }
                    None => found.absent.push(name.clone()),
                }
            }
            Err(reason) => found.fail(reason),
        }
    }
    for answer in matching {
        match answer {
            Ok((groups, _)) => found.groups.extend(groups),
            Err(reason) => found.fail(reason),
        }
    }
    found
}

type Listed = Vec<(SafeText, Option<u64>)>;

/// Up to `pages` pages of groups by prefix, by a part of the name, or all; and
/// whether that is the end.
async fn list(
    aws: &Aws,
    prefix: Option<&str>,
    part: Option<&str>,
    pages: usize,
) -> Result<(Listed, bool), Reason> {
    let mut out = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..pages {
        let page = aws
            .call(&DESCRIBE_LOG_GROUPS, |c| {
                c.logs
                    .describe_log_groups()
                    .set_log_group_name_prefix(prefix.map(Into::into))
                    .set_log_group_name_pattern(part.map(Into::into))
                    .set_next_token(token.clone())
                    .limit(50)
                    .send()
            })
            .await?;
        for g in page.log_groups.unwrap_or_default() {
            let bytes = g.stored_bytes.and_then(|b| u64::try_from(b).ok());
            out.extend(g.log_group_name.map(|n| (SafeText::from(n), bytes)));
        }
        match page.next_token.filter(|t| !t.is_empty()) {
            None => return Ok((out, true)),
            next => token = next,
        }
    }
    Ok((out, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::situation::ResolvedTarget;
    use crate::situation::ecs::{Container, Service, TaskDefinition};
    use crate::situation::elb::{LoadBalancer, TargetGroup, TargetHealth};
    use crate::situation::net::Instance;

    const LB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop-alb/50dc";
    const TG: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/api-tg/6d0e";

    fn situation() -> Situation {
        let mut s = Situation::new();
        let mut learn = |topic, fact| {
            s.apply(&Observation {
                at: Timestamp::UNIX_EPOCH,
                source: "test".into(),
                topic,
                fact,
                took_ms: 0,
            });
        };
        learn(Topic::Target, Fact::Target(ResolvedTarget { lb: LB.into(), ..Default::default() }));
        let lb = LoadBalancer { arn: LB.into(), name: "shop-alb".into(), ..Default::default() };
        learn(Topic::LoadBalancer(LB.into()), Fact::LoadBalancer(lb));
        let tg = TargetGroup { arn: TG.into(), name: "api-tg".into(), ..Default::default() };
        learn(Topic::TargetGroups(LB.into()), Fact::TargetGroups(vec![tg]));
        let tags = [(TAG.into(), "/app/shop /app/nginx,/app/shop".into())].into_iter().collect();
        learn(Topic::Tags(LB.into()), Fact::Tags(vec![(TG.into(), tags)]));
        let health = TargetHealth { id: "i-1".into(), ..Default::default() };
        learn(Topic::TargetHealth(TG.into()), Fact::TargetHealth(vec![health]));
        let tags = [(TAG.into(), "/host/i-1".into())].into_iter().collect();
        let ours = Instance { id: "i-1".into(), tags, ..Default::default() };
        let tags = [(TAG.into(), "/host/other".into())].into_iter().collect();
        let other = Instance { id: "i-2".into(), tags, ..Default::default() };
        learn(Topic::Instances("vpc".into()), Fact::Instances(vec![ours, other]));
        let service =
            Service { name: "shop-web".into(), task_definition: "td:7".into(), ..Default::default() };
        learn(Topic::EcsServices(TG.into()), Fact::EcsServices(vec![service]));
        let container = |driver: &str, group: &str| Container {
            log_driver: driver.into(),
            log_group: group.into(),
            ..Default::default()
        };
        let containers = vec![
            container("awslogs", "/ecs/shop"),
            container("json-file", ""),
            container("awslogs", "/app/shop"),
        ];
        let td = TaskDefinition { containers, ..Default::default() };
        learn(Topic::TaskDefinition("td:7".into()), Fact::TaskDefinition(td));
        s
    }

    #[test]
    fn clues_come_from_everywhere_best_first_and_once() {
        let options = Options {
            log_groups: vec!["/named".into(), " /ecs/shop ".into()],
            config_log_groups: vec!["/named".into(), "arn:aws:logs:us-east-1:2:log-group:/shared:*".into()],
            ..Default::default()
        };
        let clues = Clues::gather(&situation(), &options);
        let named: Vec<(&str, GroupOrigin)> = clues.named.iter().map(|(n, o)| (n.as_str(), *o)).collect();
        assert_eq!(
            named,
            [
                ("/named", GroupOrigin::Option),
                ("/ecs/shop", GroupOrigin::Option),
                ("arn:aws:logs:us-east-1:2:log-group:/shared", GroupOrigin::Config),
                ("/app/shop", GroupOrigin::Tag),
                ("/app/nginx", GroupOrigin::Tag),
                ("/host/i-1", GroupOrigin::Tag),
            ]
        );
        assert_eq!(clues.words, ["shop", "shop-web", "api"]);
    }

    #[test]
    fn stems_leave_out_what_says_only_the_kind() {
        let table = [
            ("shop-alb", Some("shop")),
            ("shop", Some("shop")),
            ("Shop-Prod-TG-Blue", Some("shop-prod")),
            ("shop-prod-tg-2", Some("shop-prod")),
            ("k8s-default-webapp-1a2b3c4d5e", Some("webapp")),
            ("alb", None),
            ("my-lb", None),
            ("public-alb", None),
            ("web-targets", Some("web")),
        ];
        for (name, want) in table {
            assert_eq!(stem(name).as_deref(), want, "{name}");
        }
    }

    fn names(list: &[LogGroup]) -> Vec<&str> {
        list.iter().map(|g| g.name.as_str()).collect()
    }

    #[test]
    fn names_that_match_come_last_in_order_of_likeness() {
        let all = [
            "/aws/lambda/shop-cleanup",
            "/aws/ecs/containerinsights/shop-cluster/performance",
            "/app/shop",
            "/app/workshops",
            "/app/other",
            "/ecs/shop_web",
            "/app/api",
            "/named",
        ];
        let found = Found {
            groups: all.iter().map(|n| (SafeText::from(*n), Some(7))).collect(),
            whole: true,
            ..Default::default()
        };
        let clues = Clues {
            named: vec![("/gone".into(), GroupOrigin::Option), ("/named".into(), GroupOrigin::Tag)],
            words: vec!["shop".into(), "shop-web".into(), "api".into()],
        };
        let (list, missing) = found.sorted(&clues);
        assert_eq!(missing, ["/gone"]);
        assert_eq!(
            names(&list),
            [
                "/named",
                "/app/shop",
                "/ecs/shop_web",
                "/app/api",
                "/aws/ecs/containerinsights/shop-cluster/performance",
                "/aws/lambda/shop-cleanup",
                "/app/workshops",
            ]
        );
        assert!(list.windows(2).all(|w| w[0].origin <= w[1].origin));
        assert_eq!(list[1].stored_bytes, Some(7));
    }

    #[test]
    fn what_may_not_be_listed_is_believed() {
        let found = Found { gap: Some(Reason::NotAsked), ..Default::default() };
        let clues = Clues { named: vec![("/named".into(), GroupOrigin::Option)], words: vec!["shop".into()] };
        let (list, missing) = found.sorted(&clues);
        assert_eq!(names(&list), ["/named"]);
        assert!(missing.is_empty());
    }
}
