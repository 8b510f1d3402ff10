//! What TARGET stands for in a folder.

use crate::situation::{Fact, Topic};
use crate::situation::{Observation, ResolvedTarget, Situation};
use crate::text::SafeText;
use jiff::Timestamp;

/// A load balancer of the folder, for the message when TARGET is none of them.
pub type Seen = SafeText;

/// Finds the load balancer that `asked` names: its name, ARN or DNS name, the
/// ARN or name of one of its target groups, a URL or host name that is its DNS
/// name or that the recorded target was asked by.
///
/// # Errors
/// The names of the load balancers there are.
pub fn resolve(asked: &str, s: &Situation, at: Timestamp) -> Result<Observation, Vec<Seen>> {
    let text = asked.trim();
    let host = text
        .split_once("://")
        .map_or(text, |(_, rest)| rest)
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    let host =
        host.rsplit_once(':').map_or(host, |(h, port)| if port.parse::<u16>().is_ok() { h } else { host });
    let same = |a: &SafeText| {
        let bare = host.strip_prefix("dualstack.").unwrap_or(host);
        !a.is_empty() && a.as_str().trim_end_matches('.').eq_ignore_ascii_case(bare.trim_end_matches('.'))
    };
    let found = |lb: &SafeText, group: SafeText, how: &'static str| {
        let target = ResolvedTarget {
            asked: text.into(),
            lb: lb.clone(),
            target_group: group,
            matched_by: how.into(),
            ..ResolvedTarget::default()
        };
        Observation {
            at,
            source: "snapshot".into(),
            topic: Topic::Target,
            fact: Fact::Target(target),
            took_ms: 0,
        }
    };
    let lbs = || s.lbs.iter().filter_map(|(arn, l)| Some((arn, l.lb.value()?)));
    if let Some((arn, _)) = lbs().find(|(arn, _)| arn.as_str() == text) {
        return Ok(found(arn, SafeText::default(), "arn"));
    }
    if let Some((arn, _)) = lbs().find(|(_, lb)| lb.name.as_str() == text) {
        return Ok(found(arn, SafeText::default(), "name"));
    }
    if let Some((arn, _)) = lbs().find(|(_, lb)| same(&lb.dns_name)) {
        return Ok(found(arn, SafeText::default(), "dns name"));
    }
    let groups = || s.groups.values().filter_map(|g| g.group.as_ref());
    if let Some(g) = groups().find(|g| g.arn.as_str() == text || g.name.as_str() == text)
        && let Some(lb) = g.lb_arns.iter().find(|arn| s.lbs.contains_key(*arn))
    {
        return Ok(found(lb, g.arn.clone(), "target group"));
    }
    if let Some(t) = s.target.value()
        && (t.asked.as_str() == text || same(&t.host) || t.names.iter().any(same))
        && s.lbs.contains_key(&t.lb)
    {
        let target = ResolvedTarget { asked: text.into(), ..t.clone() };
        let mut o = found(&t.lb, SafeText::default(), "recorded");
        o.fact = Fact::Target(target);
        return Ok(o);
    }
    Err(lbs().map(|(_, lb)| lb.name.clone()).collect())
}
