//! Answers into observations: what each file is, whose it is, whether files
//! contradict each other, and what no file tells.

use super::elb::{Attribute, Listener, LoadBalancer, Rule, TargetGroup, TargetHealthDescription};
use super::write::{OBSERVATIONS, WHOSE_GROUP, WHOSE_LB, WHOSE_LIST};
use super::{Answer, Folder, ec2, elb};
use crate::situation::net::{self, Interface};
use crate::situation::{Fact, Observation, Reason, Topic};
use crate::text::SafeText;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Resources of one kind, in the order of the files.
struct Pool<T> {
    /// As in `aws ec2 describe-...`, for the reason when there is no file.
    command: &'static str,
    source: &'static str,
    items: Vec<(SafeText, T)>,
    held: HashMap<SafeText, (usize, SafeText)>,
    /// When the newest file of the kind was true; `None` when there is none.
    at: Option<Timestamp>,
}

impl<T: PartialEq + Clone> Pool<T> {
    fn new(command: &'static str, source: &'static str) -> Pool<T> {
        Pool { command, source, items: Vec::new(), held: HashMap::new(), at: None }
    }

    fn begin(&mut self, at: Timestamp) {
        self.at = self.at.max(Some(at));
    }

    fn add(&mut self, id: SafeText, item: T, file: &SafeText, problems: &mut Vec<SafeText>) {
        if id.is_empty() {
            return problems.push(
                format!("{file}: something without an id; it is no answer of {}", self.command).into(),
            );
        }
        match self.held.get(&id) {
            None => {
                self.held.insert(id.clone(), (self.items.len(), file.clone()));
                self.items.push((id, item));
            }
            Some((at, other)) if self.items.get(*at).is_some_and(|i| i.1 != item) => {
                let line = if other == file {
                    format!("{file} tells two different things about {id}")
                } else {
                    format!("{other} and {file} contradict each other about {id}; keep one of them")
                };
                problems.push(line.into());
            }
            Some(_) => {}
        }
    }

    fn missing(&self) -> Reason {
        Reason::NotFound { what: format!("a file of aws {} in the folder", self.command).into() }
    }

    /// What is told about one subject: the picked items, or that no file is there.
    fn tell(
        &self,
        topic: Topic,
        pick: impl Fn(&T) -> bool,
        fact: impl Fn(Vec<T>) -> Fact,
        now: Timestamp,
    ) -> Observation {
        let fact = match self.at {
            Some(_) => fact(self.items.iter().filter(|i| pick(&i.1)).map(|i| i.1.clone()).collect()),
            None => Fact::Unknown(self.missing()),
        };
        observation(self.at.unwrap_or(now), self.source, topic, fact)
    }
}

fn observation(at: Timestamp, source: &str, topic: Topic, fact: Fact) -> Observation {
    Observation { at, source: source.into(), topic, fact, took_ms: 0 }
}

/// Answers that do not say whose they are, until everything else is read.
enum Orphan {
    Health(Vec<TargetHealthDescription>),
    Attributes(Vec<Attribute>),
}

type Acl = Result<net::NetworkAcl, (SafeText, Reason)>;

struct Gathered {
    groups: Pool<net::SecurityGroup>,
    acls: Pool<Acl>,
    tables: Pool<net::RouteTable>,
    subnets: Pool<net::Subnet>,
    interfaces: Pool<Interface>,
    instances: Pool<net::Instance>,
    lists: Pool<net::PrefixList>,
    lbs: Pool<crate::situation::elb::LoadBalancer>,
    listeners: Pool<crate::situation::elb::Listener>,
    rules: Pool<crate::situation::elb::Rule>,
    targets: Pool<crate::situation::elb::TargetGroup>,
    health: BTreeMap<SafeText, (Timestamp, Vec<crate::situation::elb::TargetHealth>)>,
    lb_attributes: BTreeMap<SafeText, (Timestamp, crate::situation::elb::Attributes)>,
    tg_attributes: BTreeMap<SafeText, (Timestamp, crate::situation::elb::Attributes)>,
    others: Vec<Observation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct ListEntry {
    cidr: SafeText,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct GatewayList {
    prefix_list_id: SafeText,
    prefix_list_name: SafeText,
    cidrs: Vec<SafeText>,
}

/// Answers that are known and tell nothing a path or a check needs.
const UNUSED: &[&str] = &[
    "Vpcs",
    "NatGateways",
    "InternetGateways",
    "VpcPeeringConnections",
    "TransitGateways",
    "VpcEndpoints",
    "Addresses",
    "KeyPairs",
    "Volumes",
    "Images",
    "TagDescriptions",
    "DhcpOptions",
    "SecurityGroupRules",
    "EgressOnlyInternetGateways",
    "TransitGatewayAttachments",
    "AvailabilityZones",
    "Regions",
    "FlowLogs",
];

/// Reads all answers into the folder.
pub fn gather(answers: Vec<Answer>, folder: &mut Folder, problems: &mut Vec<SafeText>) {
    let mut g = Gathered {
        groups: Pool::new("ec2 describe-security-groups", "ec2:DescribeSecurityGroups"),
        acls: Pool::new("ec2 describe-network-acls", "ec2:DescribeNetworkAcls"),
        tables: Pool::new("ec2 describe-route-tables", "ec2:DescribeRouteTables"),
        subnets: Pool::new("ec2 describe-subnets", "ec2:DescribeSubnets"),
        interfaces: Pool::new("ec2 describe-network-interfaces", "ec2:DescribeNetworkInterfaces"),
        instances: Pool::new("ec2 describe-instances", "ec2:DescribeInstances"),
        lists: Pool::new("ec2 get-managed-prefix-list-entries", "ec2:GetManagedPrefixListEntries"),
        lbs: Pool::new("elbv2 describe-load-balancers", "elbv2:DescribeLoadBalancers"),
        listeners: Pool::new("elbv2 describe-listeners", "elbv2:DescribeListeners"),
        rules: Pool::new("elbv2 describe-rules", "elbv2:DescribeRules"),
        targets: Pool::new("elbv2 describe-target-groups", "elbv2:DescribeTargetGroups"),
        health: BTreeMap::new(),
        lb_attributes: BTreeMap::new(),
        tg_attributes: BTreeMap::new(),
        others: Vec::new(),
    };
    let mut orphans: Vec<(Answer, Orphan)> = Vec::new();
    for a in answers {
        let token = ["NextToken", "NextMarker"].iter().find_map(|t| a.body.get(*t)?.as_str());
        if token.is_some_and(|t| !t.is_empty()) {
            let line =
                format!("{}: only one page of several; run its command again without --max-items", a.file);
            problems.push(line.into());
            continue;
        }
        let known = g.take(a, &mut orphans, problems);
        match known {
            Ok(()) => folder.files += 1,
            Err(remark) => folder.remarks.push(remark),
        }
    }
    for (a, orphan) in orphans {
        if let Err(line) = g.adopt(&a, orphan) {
            problems.push(format!("{}: {line}", a.file).into());
        }
    }
    g.contradictions(problems);
    folder.observations = g.observations();
}

/// A list under a member of an answer.
fn list<T: DeserializeOwned>(a: &mut Answer, member: &str, problems: &mut Vec<SafeText>) -> Option<Vec<T>> {
    let value = a.body.remove(member)?;
    match serde_json::from_value(value) {
        Ok(list) => Some(list),
        Err(e) => {
            problems.push(format!("{}: {member} is not as the AWS CLI writes it: {e}", a.file).into());
            Some(Vec::new())
        }
    }
}

impl Gathered {
    /// Takes in what one file holds; `Err` is the remark on a file that holds
    /// nothing known.
    fn take(
        &mut self,
        mut a: Answer,
        orphans: &mut Vec<(Answer, Orphan)>,
        problems: &mut Vec<SafeText>,
    ) -> Result<(), SafeText> {
        let mut known = false;
        macro_rules! pool {
            ($member:literal, $pool:ident, $shape:ty, $id:expr) => {
                if let Some(items) = list::<$shape>(&mut a, $member, problems) {
                    known = true;
                    self.$pool.begin(a.at);
                    for item in items {
                        let item = item.read();
                        #[allow(clippy::redundant_closure_call, reason = "a macro's way to name a member")]
                        let id: SafeText = $id(&item);
                        self.$pool.add(id, item, &a.file, problems);
                    }
                }
            };
        }
        pool!("SecurityGroups", groups, ec2::SecurityGroup, |x: &net::SecurityGroup| x.id.clone());
        pool!("RouteTables", tables, ec2::RouteTable, |x: &net::RouteTable| x.id.clone());
        pool!("Subnets", subnets, ec2::Subnet, |x: &net::Subnet| x.id.clone());
        pool!("NetworkInterfaces", interfaces, ec2::NetworkInterface, |x: &Interface| x.id.clone());
        pool!("LoadBalancers", lbs, LoadBalancer, |x: &crate::situation::elb::LoadBalancer| x.arn.clone());
        pool!("Listeners", listeners, Listener, |x: &crate::situation::elb::Listener| x.arn.clone());
        pool!("Rules", rules, Rule, |x: &crate::situation::elb::Rule| x.arn.clone());
        pool!("TargetGroups", targets, TargetGroup, |x: &crate::situation::elb::TargetGroup| x.arn.clone());
        if let Some(items) = list::<serde_json::Map<String, Value>>(&mut a, "NetworkAcls", problems) {
            known = true;
            self.acls.begin(a.at);
            for item in items {
                let word = |name: &str| SafeText::new(item.get(name).and_then(Value::as_str).unwrap_or(""));
                let (id, vpc) = (word("NetworkAclId"), word("VpcId"));
                let read = serde_json::from_value::<ec2::NetworkAcl>(Value::Object(item))
                    .map_err(|e| Reason::Malformed { detail: SafeText::capped(format!("{id}: {e}"), 200) })
                    .and_then(ec2::NetworkAcl::read)
                    .map_err(|why| (vpc, why));
                self.acls.add(id, read, &a.file, problems);
            }
        }
        if let Some(items) = list::<ec2::Reservation>(&mut a, "Reservations", problems) {
            known = true;
            self.instances.begin(a.at);
            for item in items.into_iter().flat_map(|r| r.instances) {
                let item = item.read();
                // A terminated instance stands nowhere any more.
                if !item.vpc.is_empty() {
                    self.instances.add(item.id.clone(), item, &a.file, problems);
                }
            }
        }
        known |= self.prefix_lists(&mut a, problems);
        if let Some(items) = list::<Value>(&mut a, OBSERVATIONS, problems) {
            known = true;
            for (n, item) in items.into_iter().enumerate() {
                match serde_json::from_value(item) {
                    Ok(o) => self.others.push(o),
                    // One of a newer version: what it would tell stays unknown.
                    Err(e) => {
                        let line = format!("{}: observation {} cannot be read: {e}", a.file, n + 1);
                        problems.push(line.into());
                    }
                }
            }
        }
        if let Some(items) = list(&mut a, "TargetHealthDescriptions", problems) {
            orphans.push((a, Orphan::Health(items)));
            return Ok(());
        }
        if let Some(items) = list(&mut a, "Attributes", problems) {
            orphans.push((a, Orphan::Attributes(items)));
            return Ok(());
        }
        if known || UNUSED.iter().any(|u| a.body.contains_key(*u)) {
            return Ok(());
        }
        let members: Vec<&str> = a.body.keys().take(3).map(String::as_str).collect();
        let members = if members.is_empty() { "nothing".to_owned() } else { members.join(", ") };
        Err(SafeText::capped(
            format!("{}: no answer that is known here (it holds {members}); left out", a.file),
            300,
        ))
    }

    fn prefix_lists(&mut self, a: &mut Answer, problems: &mut Vec<SafeText>) -> bool {
        let mut known = false;
        let cidrs = |texts: Vec<SafeText>, file: &SafeText, problems: &mut Vec<SafeText>| {
            let mut out = Vec::new();
            for t in texts {
                match t.parse() {
                    Ok(c) => out.push(c),
                    Err(_) => problems.push(format!("{file}: '{t}' is no CIDR block").into()),
                }
            }
            out
        };
        if let Some(items) = list::<GatewayList>(a, "PrefixLists", problems) {
            known = true;
            for x in items.into_iter().filter(|x| !x.cidrs.is_empty()) {
                self.lists.begin(a.at);
                let cidrs = cidrs(x.cidrs, &a.file, problems);
                let item = net::PrefixList { id: x.prefix_list_id, name: x.prefix_list_name, cidrs };
                self.lists.add(item.id.clone(), item, &a.file, problems);
            }
        }
        if let Some(items) = list::<ListEntry>(a, "Entries", problems) {
            known = true;
            let told = a.body.get(WHOSE_LIST).and_then(Value::as_str).map(SafeText::from);
            match told.or_else(|| list_id(&a.file)) {
                Some(id) => {
                    self.lists.begin(a.at);
                    let cidrs = cidrs(items.into_iter().map(|e| e.cidr).collect(), &a.file, problems);
                    let item = net::PrefixList { id: id.clone(), name: SafeText::default(), cidrs };
                    self.lists.add(id, item, &a.file, problems);
                }
                None => problems.push(
                    format!(
                        "{}: entries of which prefix list? put its id, pl-..., into the file's name",
                        a.file
                    )
                    .into(),
                ),
            }
        }
        known
    }

    /// Finds out whose answer this is.
    fn adopt(&mut self, a: &Answer, orphan: Orphan) -> Result<(), String> {
        match orphan {
            Orphan::Health(list) => {
                let names = self.targets.items.iter().map(|(arn, g)| (arn, &g.name));
                let arn = whose(a, WHOSE_GROUP, "target group", "target health", names)?;
                let list = list.into_iter().map(TargetHealthDescription::read).collect();
                keep(&mut self.health, arn, a.at, list)
            }
            Orphan::Attributes(list) => {
                let of_group = a.body.contains_key(WHOSE_GROUP)
                    || !a.body.contains_key(WHOSE_LB)
                        && list.iter().any(|x| {
                            [
                                "deregistration_delay.",
                                "stickiness.",
                                "slow_start.",
                                "load_balancing.algorithm",
                            ]
                            .iter()
                            .any(|p| x.key.starts_with(p))
                        });
                let list = elb::read_attributes(list);
                if of_group {
                    let names = self.targets.items.iter().map(|(arn, g)| (arn, &g.name));
                    let arn = whose(a, WHOSE_GROUP, "target group", "attributes", names)?;
                    keep(&mut self.tg_attributes, arn, a.at, list)
                } else {
                    let names = self.lbs.items.iter().map(|(arn, l)| (arn, &l.name));
                    let arn = whose(a, WHOSE_LB, "load balancer", "attributes", names)?;
                    keep(&mut self.lb_attributes, arn, a.at, list)
                }
            }
        }
    }

    /// Things each true alone that cannot be true together.
    fn contradictions(&self, problems: &mut Vec<SafeText>) {
        let mut acl_of: BTreeMap<&SafeText, &SafeText> = BTreeMap::new();
        let mut default_of: BTreeMap<&SafeText, &SafeText> = BTreeMap::new();
        let mut twice = |what: &str, subject: &SafeText, a: &SafeText, b: &SafeText| {
            problems.push(
                format!("{subject} has two {what}, {a} and {b}: the files are of different times").into(),
            );
        };
        for acl in self.acls.items.iter().filter_map(|i| i.1.as_ref().ok()) {
            for subnet in &acl.subnets {
                if let Some(other) = acl_of.insert(subnet, &acl.id) {
                    twice("network ACLs", subnet, other, &acl.id);
                }
            }
            if acl.is_default
                && let Some(other) = default_of.insert(&acl.vpc, &acl.id)
            {
                twice("default network ACLs", &acl.vpc, other, &acl.id);
            }
        }
        let mut table_of: BTreeMap<&SafeText, &SafeText> = BTreeMap::new();
        let mut main_of: BTreeMap<&SafeText, &SafeText> = BTreeMap::new();
        for (_, t) in &self.tables.items {
            for subnet in &t.subnets {
                if let Some(other) = table_of.insert(subnet, &t.id) {
                    twice("route tables", subnet, other, &t.id);
                }
            }
            if t.main
                && let Some(other) = main_of.insert(&t.vpc, &t.id)
            {
                twice("main route tables", &t.vpc, other, &t.id);
            }
        }
    }

    fn observations(mut self) -> Vec<Observation> {
        let newest = [
            self.groups.at,
            self.acls.at,
            self.tables.at,
            self.subnets.at,
            self.interfaces.at,
            self.instances.at,
            self.lbs.at,
            self.targets.at,
        ];
        let now = newest.into_iter().flatten().max().unwrap_or(Timestamp::UNIX_EPOCH);
        let others = std::mem::take(&mut self.others);
        let told: BTreeSet<Topic> = others.iter().map(|o| o.topic.clone()).collect();
        let mut out: Vec<Observation> = Vec::new();
        let mut vpcs: BTreeSet<SafeText> = BTreeSet::new();
        vpcs.extend(self.groups.items.iter().map(|x| x.1.vpc.clone()));
        vpcs.extend(self.acls.items.iter().map(|x| match &x.1 {
            Ok(acl) => acl.vpc.clone(),
            Err((vpc, _)) => vpc.clone(),
        }));
        vpcs.extend(self.tables.items.iter().map(|x| x.1.vpc.clone()));
        vpcs.extend(self.subnets.items.iter().map(|x| x.1.vpc.clone()));
        vpcs.extend(self.interfaces.items.iter().map(|x| x.1.vpc.clone()));
        vpcs.extend(self.instances.items.iter().map(|x| x.1.vpc.clone()));
        vpcs.extend(self.lbs.items.iter().map(|x| x.1.vpc.clone()));
        vpcs.remove("");
        for vpc in &vpcs {
            let v = || vpc.clone();
            out.push(self.subnets.tell(Topic::Subnets(v()), |x| x.vpc == *vpc, Fact::Subnets, now));
            out.push(self.groups.tell(
                Topic::SecurityGroups(v()),
                |x| x.vpc == *vpc,
                Fact::SecurityGroups,
                now,
            ));
            out.push(self.tables.tell(Topic::RouteTables(v()), |x| x.vpc == *vpc, Fact::RouteTables, now));
            out.push(self.instances.tell(Topic::Instances(v()), |x| x.vpc == *vpc, Fact::Instances, now));
            out.push(self.interfaces.tell(Topic::Interfaces(v()), |x| x.vpc == *vpc, Fact::Interfaces, now));
            let here = |x: &Acl| match x {
                Ok(acl) => acl.vpc == *vpc,
                Err((of, _)) => of == vpc,
            };
            // With one list unreadable, any subnet's may be the one.
            let all = |list: Vec<Acl>| match list.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(list) => Fact::NetworkAcls(list),
                Err((_, why)) => Fact::Unknown(why),
            };
            out.push(self.acls.tell(Topic::NetworkAcls(v()), here, all, now));
        }
        for (id, list) in &self.lists.items {
            let at = self.lists.at.unwrap_or(now);
            out.push(observation(
                at,
                self.lists.source,
                Topic::PrefixList(id.clone()),
                Fact::PrefixList(list.clone()),
            ));
        }
        for (arn, lb) in &self.lbs.items {
            self.load_balancer(arn, lb, now, &mut out);
        }
        for (arn, _) in &self.targets.items {
            let own = |topic: Topic, what: &str, found: Option<(Timestamp, Fact)>| match found {
                Some((at, fact)) => observation(at, what, topic, fact),
                None => {
                    let what = format!("a file of aws elbv2 {what} for it in the folder");
                    observation(now, "snapshot", topic, Fact::Unknown(Reason::NotFound { what: what.into() }))
                }
            };
            let health = self.health.get(arn).map(|(at, list)| (*at, Fact::TargetHealth(list.clone())));
            out.push(own(Topic::TargetHealth(arn.clone()), "describe-target-health", health));
            let attributes = self.tg_attributes.get(arn).map(|(at, a)| (*at, Fact::Attributes(a.clone())));
            out.push(own(Topic::TgAttributes(arn.clone()), "describe-target-group-attributes", attributes));
        }
        // Why something is not known was told better when it was asked.
        out.retain(|o| !matches!(o.fact, Fact::Unknown(_)) || !told.contains(&o.topic));
        out.extend(others);
        // Facts of one folder are folded oldest first, as they became known.
        out.sort_by_key(|o| o.at);
        out
    }

    fn load_balancer(
        &self,
        arn: &SafeText,
        lb: &crate::situation::elb::LoadBalancer,
        now: Timestamp,
        out: &mut Vec<Observation>,
    ) {
        let id = || arn.clone();
        let at = self.lbs.at.unwrap_or(now);
        out.push(observation(at, self.lbs.source, Topic::LoadBalancer(id()), Fact::LoadBalancer(lb.clone())));
        let fact = match self.lb_attributes.get(arn) {
            Some((_, a)) => Fact::Attributes(a.clone()),
            None => Fact::Unknown(Reason::NotFound {
                what: "a file of aws elbv2 describe-load-balancer-attributes for it in the folder".into(),
            }),
        };
        let at = self.lb_attributes.get(arn).map_or(now, |a| a.0);
        out.push(observation(at, "elbv2:DescribeLoadBalancerAttributes", Topic::LbAttributes(id()), fact));
        out.push(self.listeners.tell(Topic::Listeners(id()), |l| l.lb == *arn, Fact::Listeners, now));
        for (listener, _) in self.listeners.items.iter().filter(|l| l.1.lb == *arn) {
            // Rules are asked for by listener: a listener without one has no file.
            let any = self.rules.items.iter().any(|r| r.1.listener == *listener);
            let topic = Topic::Rules(listener.clone());
            out.push(if any {
                self.rules.tell(topic, |r| r.listener == *listener, Fact::Rules, now)
            } else {
                observation(now, self.rules.source, topic, Fact::Unknown(self.rules.missing()))
            });
        }
        let mine = |g: &crate::situation::elb::TargetGroup| g.lb_arns.contains(arn);
        out.push(self.targets.tell(Topic::TargetGroups(id()), mine, Fact::TargetGroups, now));
        let description = format!("ELB {}", lb.dimension());
        let nodes = |i: &Interface| i.description.as_str() == description;
        out.push(self.interfaces.tell(Topic::LbInterfaces(id()), nodes, Fact::Interfaces, now));
        let why = Reason::NotFound { what: "metrics in the folder".into() };
        out.push(observation(now, "snapshot", Topic::Metrics(id()), Fact::Unknown(why)));
    }
}

fn keep<T: PartialEq>(
    map: &mut BTreeMap<SafeText, (Timestamp, T)>,
    of: SafeText,
    at: Timestamp,
    value: T,
) -> Result<(), String> {
    match map.get(&of) {
        Some((_, held)) if *held != value => Err(format!(
            "another file tells something else about {}; keep one of them",
            crate::situation::short(&of)
        )),
        _ => {
            map.insert(of, (at, value));
            Ok(())
        }
    }
}

/// The ARN an answer is about: told by a member, named by the file, or the
/// only one there is.
fn whose<'a>(
    a: &Answer,
    member: &str,
    kind: &str,
    what: &str,
    names: impl Iterator<Item = (&'a SafeText, &'a SafeText)>,
) -> Result<SafeText, String> {
    if let Some(arn) = a.body.get(member).and_then(Value::as_str) {
        return Ok(arn.into());
    }
    let all: Vec<(&SafeText, &SafeText)> = names.collect();
    let named = all.iter().filter(|(_, name)| has_name(&a.file, name)).max_by_key(|(_, name)| name.len());
    match (named, all.as_slice()) {
        (Some((arn, _)), _) | (None, [(arn, _)]) => Ok((*arn).clone()),
        (None, []) => Err(format!("{what} of what? no file tells of a {kind}")),
        (None, many) => {
            let names: Vec<&str> = many.iter().take(5).map(|m| m.1.as_str()).collect();
            Err(format!(
                "{what} of which {kind}? put its name into the file's name (there are {})",
                names.join(", ")
            ))
        }
    }
}

/// True when a file's name has this name in it, not as a part of a longer word.
fn has_name(file: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !name.is_empty()
        && file.match_indices(name).any(|(at, _)| {
            let before = file[..at].chars().next_back();
            let after = file[at + name.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
                || (!before.is_some_and(part) && !after.is_some_and(part))
        })
}

/// `pl-0123abcd` in a file's name.
fn list_id(file: &str) -> Option<SafeText> {
    let at = file.find("pl-")?;
    let id: String = file[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    (id.len() > 3).then(|| id.into())
}
