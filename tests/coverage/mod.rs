//! Is every cause held by worlds of every kind? A rule that no plain world
//! reaches may be dead, one without a look-alike may accuse anybody, and one
//! without a world in which its key call is denied may take silence for health.

use super::{Scenario, scenarios};
use badgate::diagnosis::causes::RULES;
use std::collections::{BTreeMap, BTreeSet};

/// Worlds of any kind that each cause needs at least.
const LEAST: usize = 3;

/// What a world holds of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It is named first.
    Plain,
    /// What would tell may not be asked: it stays open, and says what is missing.
    Denied,
    /// It looks like it, and is not.
    LookAlike,
}

/// Kinds that make no sense for a cause, and why.
const EXCEPTIONS: &[(&str, Kind, &str)] = &[];

/// Causes of the catalogue that have no rule yet, by the beginning of their ids.
/// Listed here so that whoever adds the rules adds the worlds.
const WITHOUT_RULES: &[(&str, &str)] =
    &[("azure-", "Azure Application Gateway is not read by any source yet: nothing could be seen")];

fn kind(s: &Scenario, cause: &str) -> Option<Kind> {
    let e = &s.expect;
    let stands = e.stands.get(cause).map(String::as_str);
    let never = e.never.iter().any(|n| n == cause);
    if e.top.iter().any(|t| t == cause) {
        return Some(Kind::Plain);
    }
    if e.missing.contains_key(cause) && (never || matches!(stands, Some("unchecked" | "possible"))) {
        return Some(Kind::Denied);
    }
    (never || stands == Some("ruled_out")).then_some(Kind::LookAlike)
}

#[test]
fn every_cause_has_worlds_of_every_kind() {
    let all = scenarios();
    let mut problems = Vec::new();
    for r in RULES {
        if WITHOUT_RULES.iter().any(|(id, _)| r.id.starts_with(id)) {
            problems.push(format!("{} has a rule: it is none of those without", r.id));
        }
        let mut have: BTreeMap<Kind, usize> = BTreeMap::new();
        for s in &all {
            if let Some(k) = kind(s, r.id) {
                *have.entry(k).or_default() += 1;
            }
        }
        for k in [Kind::Plain, Kind::Denied, Kind::LookAlike] {
            let excused = EXCEPTIONS.iter().any(|(id, of, _)| *id == r.id && *of == k);
            match (have.contains_key(&k), excused) {
                (false, false) => problems.push(format!("{} has no world of the kind {k:?}", r.id)),
                (true, true) => problems.push(format!("{} needs no exception for {k:?}", r.id)),
                _ => {}
            }
        }
        let n: usize = have.values().sum();
        if n < LEAST {
            problems.push(format!("{} has {n} worlds: {have:?}", r.id));
        }
    }
    for (id, _, why) in EXCEPTIONS {
        if !RULES.iter().any(|r| r.id == *id) || why.is_empty() {
            problems.push(format!("the exception of {id} is of no cause, or has no reason"));
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// A world told twice holds a rule once.
#[test]
fn no_world_is_told_twice() {
    let (mut names, mut worlds) = (BTreeSet::new(), BTreeMap::new());
    let mut problems = Vec::new();
    for s in scenarios() {
        if !names.insert(s.name.clone()) {
            problems.push(format!("two worlds are called '{}'", s.name));
        }
        if let Some(other) = worlds.insert(format!("{:?}", s.world), s.name.clone()) {
            problems.push(format!("'{}' is the world of '{other}'", s.name));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
