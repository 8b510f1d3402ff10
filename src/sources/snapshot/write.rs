//! Writes a situation as such a folder: one AWS CLI answer a file, and one
//! file of our own for what the CLI has no such answer for.

use super::{ec2, elb};
use crate::situation::{Datum, Fact, Observation, Situation, Topic};
use crate::text::SafeText;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Member of our own beside an answer: when it was true.
pub const AT: &str = "ObservedAt";
/// Members that say what an answer is about, where the CLI's does not.
pub const WHOSE_GROUP: &str = "TargetGroupArn";
pub const WHOSE_LB: &str = "LoadBalancerArn";
pub const WHOSE_LIST: &str = "PrefixListId";
/// What the CLI has no answer for: metrics, logs, ECS, what was denied.
pub const OBSERVATIONS: &str = "Observations";

/// Writes what was observed into a folder, which is made; files of the same
/// names are replaced. Returns how many files were written.
///
/// # Errors
/// What the system says of the folder or a file.
pub fn write(dir: &Path, observations: &[Observation]) -> std::io::Result<usize> {
    let mut s = Situation::new();
    for o in observations {
        s.apply(o);
    }
    std::fs::create_dir_all(dir)?;
    let mut files: Vec<(String, Value)> = Vec::new();
    network(&s, &mut files);
    balancers(&s, &mut files);
    let rest: Vec<&Observation> = observations.iter().filter(|o| !has_form(o)).collect();
    files.push(("Observations".into(), json!({ "schema": "badgate.observations/1", OBSERVATIONS: rest })));
    for (name, value) in &files {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        let path = dir.join(format!("{name}.json"));
        // Whole or not at all: half a file would be taken for a truncated answer.
        let half = dir.join(format!(".{name}.json.part"));
        // Log lines and a network's layout are for their owner, as incident files are.
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&half, &path)?;
    }
    Ok(files.len())
}

/// Whether an observation stands in one of the CLI's files.
fn has_form(o: &Observation) -> bool {
    !matches!(o.fact, Fact::Unknown(_))
        && matches!(
            o.topic,
            Topic::LoadBalancer(_)
                | Topic::LbAttributes(_)
                | Topic::Listeners(_)
                | Topic::Rules(_)
                | Topic::TargetGroups(_)
                | Topic::TgAttributes(_)
                | Topic::LbInterfaces(_)
                | Topic::Subnets(_)
                | Topic::SecurityGroups(_)
                | Topic::NetworkAcls(_)
                | Topic::RouteTables(_)
                | Topic::Instances(_)
                | Topic::Interfaces(_)
                | Topic::PrefixList(_)
        )
}

/// Something whose members the API leaves out where they are empty.
fn plain(x: impl Serialize) -> Value {
    let mut v = serde_json::to_value(x).unwrap_or_default();
    strip(&mut v);
    v
}

fn strip(v: &mut Value) {
    match v {
        Value::Object(members) => {
            members.values_mut().for_each(strip);
            members.retain(|_, x| !x.is_null() && x.as_str() != Some(""));
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Every value of one kind that was seen, in one file, with the time of the oldest.
fn all<'a, T: 'a, W: Serialize>(
    files: &mut Vec<(String, Value)>,
    member: &str,
    data: impl Iterator<Item = &'a Datum<Vec<T>>>,
    form: impl Fn(&T) -> W,
) {
    let (mut list, mut at, mut any) = (Vec::new(), None::<Timestamp>, false);
    for d in data {
        let Some(values) = d.value() else { continue };
        any = true;
        at = match (at, d.as_of()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        for v in values {
            let v = plain(form(v));
            if !list.contains(&v) {
                list.push(v);
            }
        }
    }
    if any {
        files.push((member.to_owned(), answer(at, member, Value::Array(list), None)));
    }
}

fn answer(at: Option<Timestamp>, member: &str, value: Value, whose: Option<(&str, &SafeText)>) -> Value {
    let mut out = Map::new();
    if let Some(at) = at {
        out.insert(AT.into(), at.to_string().into());
    }
    if let Some((name, arn)) = whose {
        out.insert(name.into(), arn.as_str().into());
    }
    out.insert(member.into(), value);
    Value::Object(out)
}

fn network(s: &Situation, files: &mut Vec<(String, Value)>) {
    let vpcs = || s.vpcs.values();
    all(files, "SecurityGroups", vpcs().map(|v| &v.security_groups), ec2::SecurityGroup::write);
    all(files, "NetworkAcls", vpcs().map(|v| &v.network_acls), ec2::NetworkAcl::write);
    all(files, "RouteTables", vpcs().map(|v| &v.route_tables), ec2::RouteTable::write);
    all(files, "Subnets", vpcs().map(|v| &v.subnets), ec2::Subnet::write);
    all(files, "Reservations", vpcs().map(|v| &v.instances), |i| ec2::Reservation {
        instances: vec![ec2::Instance::write(i)],
    });
    let nodes = s.lbs.values().map(|l| &l.interfaces);
    all(files, "NetworkInterfaces", vpcs().map(|v| &v.interfaces).chain(nodes), ec2::NetworkInterface::write);
    for (id, d) in &s.prefix_lists {
        if let Some(list) = d.value() {
            let entries: Vec<Value> = list.cidrs.iter().map(|c| json!({"Cidr": c.to_string()})).collect();
            let value = answer(d.as_of(), "Entries", Value::Array(entries), Some((WHOSE_LIST, id)));
            files.push((format!("PrefixListEntries-{}", file_name(id)), value));
        }
    }
}

fn balancers(s: &Situation, files: &mut Vec<(String, Value)>) {
    let known = s.lbs.values().filter(|l| l.lb.value().is_some());
    let lbs: Vec<Value> =
        known.clone().filter_map(|l| l.lb.value()).map(|lb| plain(elb::LoadBalancer::write(lb))).collect();
    if !lbs.is_empty() {
        let at = known.filter_map(|l| l.lb.as_of()).min();
        files.push(("LoadBalancers".into(), answer(at, "LoadBalancers", Value::Array(lbs), None)));
    }
    all(files, "Listeners", s.lbs.values().map(|l| &l.listeners), elb::Listener::write);
    all(files, "Rules", s.lbs.values().flat_map(|l| l.rules.values()), elb::Rule::write);
    for (arn, l) in &s.lbs {
        if let Some(a) = l.attributes.value() {
            let list = plain(elb::write_attributes(a));
            let name = crate::situation::short(arn);
            let value = answer(l.attributes.as_of(), "Attributes", list, Some((WHOSE_LB, arn)));
            files.push((format!("LoadBalancerAttributes-{}", file_name(name)), value));
        }
    }
    let groups = || s.groups.iter().filter_map(|(arn, g)| Some((arn, g, g.group.as_ref()?)));
    let list: Vec<Value> = groups().map(|(_, _, g)| plain(elb::TargetGroup::write(g))).collect();
    if s.lbs.values().any(|l| l.groups.value().is_some()) {
        let at = groups().filter_map(|(_, g, _)| g.group_as_of).min();
        files.push(("TargetGroups".into(), answer(at, "TargetGroups", Value::Array(list), None)));
    }
    for (arn, state, g) in groups() {
        let name = file_name(&g.name);
        if let Some(a) = state.attributes.value() {
            let value = answer(
                state.attributes.as_of(),
                "Attributes",
                plain(elb::write_attributes(a)),
                Some((WHOSE_GROUP, arn)),
            );
            files.push((format!("TargetGroupAttributes-{name}"), value));
        }
        if let Some(list) = state.health.value() {
            let list: Vec<Value> =
                list.iter().map(|t| plain(elb::TargetHealthDescription::write(t))).collect();
            let value = answer(
                state.health.as_of(),
                "TargetHealthDescriptions",
                Value::Array(list),
                Some((WHOSE_GROUP, arn)),
            );
            files.push((format!("TargetHealth-{name}"), value));
        }
    }
}

/// What of a name can be a file's name anywhere.
fn file_name(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.chars().take(100).map(kept).collect()
}
