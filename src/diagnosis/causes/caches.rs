//! Caches that the targets may reach, as evidence for the cause that a store
//! is down. Sources: Amazon ElastiCache API reference (`CacheClusterStatus`);
//! "Metrics for Valkey and Redis OSS", Amazon ElastiCache user guide.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::beside::{Caches, WITHOUT_NODES};
use jiff::Timestamp;

const SPACE: &str = "AWS/ElastiCache";
const CLUSTERS: &str = "elasticache:DescribeCacheClusters";
const EVENTS: &str = "elasticache:DescribeEvents";
/// Clients that one node of Redis or Valkey takes at most.
const MOST_CLIENTS: f64 = 65_000.0;

/// Commands a minute that a serverless cache refuses when it is more than an accident.
const REFUSED: f64 = 60.0;

/// Puts forward what is known of the caches; true when there are any.
pub(super) fn caches(c: &Case<'_>, b: &mut Ballot, suffers: bool) -> bool {
    let mut any = false;
    for d in c.s.beside.caches.values() {
        if let Some(k) = d.get() {
            any |= !k.value.clusters.is_empty();
            states(c, b, &k.value, k.as_of, suffers);
            for cluster in &k.value.clusters {
                load(c, b, &cluster.id, suffers);
                throttled(c, b, &cluster.id, suffers);
            }
            for (what, why) in k.value.gaps.iter().filter(|g| suffers && g.0.as_str() == WITHOUT_NODES) {
                b.lack(format!("state of {what}"), why.clone());
            }
        }
        if let Some(gap) = d.gap().filter(|_| suffers) {
            b.lack("state of the caches", gap.reason.clone());
        }
    }
    any
}

fn states(c: &Case<'_>, b: &mut Ballot, all: &Caches, at: Timestamp, suffers: bool) {
    let clusters = all.clusters.iter().map(|x| (format!("cache {}", x.id), &x.status));
    let groups = all.groups.iter().map(|x| (format!("replication group {}", x.0), &x.1));
    for (name, status) in clusters.chain(groups) {
        let weight = match status.as_str() {
            "" | "available" | "snapshotting" => continue,
            "modifying" | "creating" => Strong,
            _ => Decisive,
        };
        b.pro(if suffers { weight } else { Weak }, Seen::new(name, status.clone(), CLUSTERS, at));
    }
    for x in &all.clusters {
        for (node, status) in &x.ill {
            let seen = Seen::new(format!("node {node} of cache {}", x.id), status.clone(), CLUSTERS, at);
            b.pro(if suffers { Strong } else { Weak }, seen);
        }
    }
    // Oldest first: a failover comes after what called for it.
    for (when, id, text) in all.events.iter().rev().filter(|e| c.near(e.0)) {
        let lower = text.to_ascii_lowercase();
        if ["failover", "recover", "reboot", "restart"].iter().any(|w| lower.contains(w)) {
            let seen = Seen::new(format!("event of cache {id}"), text.clone(), EVENTS, *when);
            b.pro(if suffers { Strong } else { Weak }, seen);
        }
    }
}

/// A serverless cache that refuses commands beyond what it is allowed to grow to.
fn throttled(c: &Case<'_>, b: &mut Ballot, id: &str, suffers: bool) {
    let Some(l) = c.level(SPACE, "ThrottledCmds", "Sum", id).filter(|l| l.now >= 1.0) else { return };
    let risen = l.before.is_none_or(|x| l.now >= x * 3.0 + 1.0);
    let value = format!("{:.0} commands a minute refused beyond its limits", l.now);
    let seen = Seen::new(format!("cache {id}"), value, "cloudwatch:GetMetricData", l.at);
    // Some are slowed now and then; one that refuses all the time serves nobody.
    let weight = match (suffers && risen, l.now >= REFUSED) {
        (true, true) => Decisive,
        (true, false) => Strong,
        _ => Weak,
    };
    b.pro(weight, seen);
}

/// What the metrics of one cluster say.
fn load(c: &Case<'_>, b: &mut Ballot, id: &str, suffers: bool) {
    let metric = "cloudwatch:GetMetricData";
    let name = format!("cache {id}");
    let strong = if suffers { Strong } else { Weak };
    if let Some(l) = c.level(SPACE, "CurrConnections", "Maximum", id) {
        let before = l.before.unwrap_or(l.now);
        let value = format!("{:.0} connections, {before:.0} before", l.peak);
        let seen = Seen::new(name.clone(), value, metric, l.at);
        let grown = l.peak >= 100.0 && l.now >= before * 2.0 + 50.0;
        // Nobody is connected any more: it is down, or out of reach.
        let left = before >= 10.0 && l.now <= before * 0.2;
        if l.peak >= MOST_CLIENTS * 0.98 || grown || (left && suffers) {
            b.pro(strong, seen);
        }
    }
    for cpu in ["EngineCPUUtilization", "CPUUtilization"] {
        let Some(l) = c.level(SPACE, cpu, "Average", id).filter(|l| l.now >= 90.0) else { continue };
        let risen = l.before.is_none_or(|x| x < 75.0);
        let seen = Seen::new(name.clone(), format!("{cpu} at {:.0} %", l.now), metric, l.at);
        b.pro(if risen { strong } else { Weak }, seen);
        break;
    }
    let full = c.level(SPACE, "DatabaseMemoryUsagePercentage", "Maximum", id).filter(|l| l.peak >= 99.0);
    let evicted = c.level(SPACE, "Evictions", "Sum", id);
    if let Some(l) = evicted.filter(|l| l.now >= 100.0 && l.now >= l.before.unwrap_or(0.0) * 5.0) {
        let memory = full.as_ref().map_or(String::new(), |f| format!(", memory at {:.0} %", f.peak));
        let value = format!("{:.0} keys a minute thrown out for want of memory{memory}", l.now);
        b.pro(if full.is_some() { strong } else { Weak }, Seen::new(name, value, metric, l.at));
    }
}
