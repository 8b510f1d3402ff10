//! The last hop of the strip: what the targets depend on.

use super::{Hop, HopKind, Status, hop};
use crate::diagnosis::traced::{Blame, Traced, traced};
use crate::situation::beside::SERVERLESS;
use crate::situation::{Datum, Situation};
use crate::text::SafeText;

/// Who is outside of the path.
const DEPENDENCIES: &[Blame] = &[Blame::Store, Blame::Remote];

/// Databases and caches that the targets may reach, and what traces say of
/// these and of others.
pub(super) fn dependency(s: &Situation) -> Hop {
    made(s, traced(s).as_ref())
}

/// The same where nothing but traces tells of them; `None` when they blame
/// nobody outside of the path.
pub(super) fn where_traced(s: &Situation) -> Option<Hop> {
    let told = traced(s)?;
    told.of(DEPENDENCIES)?;
    Some(made(s, Some(&told)))
}

fn made(s: &Situation, told: Option<&Traced<'_>>) -> Hop {
    let make = |status, word: String, why: String| hop(HopKind::Dependency, "dependency", status, word, why);
    let databases = s.vpcs.values().filter_map(|v| v.databases.value()).flatten();
    let mut all: Vec<(String, &str)> = databases.map(|d| (d.id.to_string(), d.status.as_str())).collect();
    for c in s.beside.caches.values().filter_map(Datum::value) {
        all.extend(c.clusters.iter().map(|c| {
            // Of what has no nodes, the address is what logs and configuration name.
            let at =
                if c.class.as_str() == SERVERLESS { format!(" ({})", c.endpoint) } else { String::new() };
            (format!("{}{at}", c.id), c.status.as_str())
        }));
        all.extend(c.groups.iter().map(|(id, status, _)| (id.to_string(), status.as_str())));
    }
    let blamed = told.and_then(|t| {
        let (n, _, root) = t.of(DEPENDENCIES)?;
        let why = format!("{n} of {} failing traces end in {}", t.n, root.phrase());
        Some((t.mostly(DEPENDENCIES), SafeText::capped(root.culprit(), 24), why))
    });
    let mut told: Vec<String> = all.iter().map(|(id, status)| format!("{id} {status}")).collect();
    told.extend(blamed.iter().map(|b| b.2.clone()));
    let why = told.join(", ");
    match (all.iter().find(|(_, status)| *status != "available"), blamed) {
        (Some((id, status)), _) => make(Status::Warn, format!("{id} {status}"), why),
        (None, Some((true, culprit, _))) => make(Status::Warn, format!("traces: {culprit}"), why),
        (None, None) if all.is_empty() => {
            let why = "what the targets depend on was not looked at";
            make(Status::Unknown, "not looked at".into(), why.into())
        }
        (None, _) if all.is_empty() => make(Status::Unknown, "some traces".into(), why),
        (None, _) => make(Status::Ok, "available".into(), why),
    }
}
