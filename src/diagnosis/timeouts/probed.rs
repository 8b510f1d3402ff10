//! What probes measured of idle connections, as timers of the chain: a probe
//! that was sent straight to a target tells how long the servers of its group
//! keep connections.

use super::entries::IDLE;
use super::{Hop, Measured, settings};
use crate::situation::probe::Kept;
use crate::situation::{Datum, GroupState, Situation};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Timers that probes of targets measured, in the order of the addresses; then
/// what hosts have configured for groups nobody measured.
pub(super) fn measured(s: &Situation) -> Vec<Measured> {
    let mut all = by_probes(s);
    let configured = configured(s).filter(|m| !all.iter().any(|p| p.component == m.component));
    // Of several hosts the one that ends connections soonest decides.
    let mut shortest: BTreeMap<SafeText, Measured> = BTreeMap::new();
    for m in configured {
        match shortest.get(&m.component) {
            Some(known) if known.seconds <= m.seconds => {}
            _ => drop(shortest.insert(m.component.clone(), m)),
        }
    }
    all.extend(shortest.into_values());
    all
}

/// Keep-alive of the server that listens on the traffic port, as its host has it
/// configured.
fn configured(s: &Situation) -> impl Iterator<Item = Measured> {
    s.hosts.values().filter_map(Datum::get).flat_map(move |k| {
        let h = &k.value;
        s.active_groups().into_iter().filter_map(move |(_, g)| {
            let tg = g.group.as_ref()?;
            let by_address = || {
                h.addresses.iter().filter_map(|a| a.parse::<IpAddr>().ok()).find_map(|ip| {
                    let ports = h.listening.iter().map(|l| l.port);
                    ports.into_iter().find(|p| has_target(s, g, SocketAddr::new(ip, *p)))
                })
            };
            // An instance that was asked by its id is known by that.
            let mut targets = g.health.value().into_iter().flatten();
            let by_id = targets.find(|t| h.is_target(&t.id)).and_then(|t| t.port.or(tg.port));
            let by_id = by_id.filter(|p| h.listening.iter().any(|l| l.port == *p));
            let on = by_id.or_else(by_address)?;
            let server = server_of(&h.listening.iter().find(|l| l.port == on)?.process)?;
            let setting = h.keepalive_of(server)?;
            Some(Measured {
                hop: Hop::Target,
                component: tg.name.clone(),
                setting: settings::SERVER_KEEPALIVE.into(),
                seconds: setting.seconds?,
                at: k.as_of,
                source: format!(
                    "configured: {} {} on {} ({})",
                    setting.server, setting.name, h.asked, setting.place
                )
                .into(),
            })
        })
    })
}

/// The server whose settings apply, by the name of the process that listens.
fn server_of(process: &str) -> Option<&'static str> {
    Some(match process {
        "nginx" => "nginx",
        "apache2" | "httpd" => "apache",
        "node" => "node",
        "gunicorn" => "gunicorn",
        "uvicorn" => "uvicorn",
        "java" => "tomcat",
        p if p.starts_with("puma") => "puma",
        _ => return None,
    })
}

/// Targets measured of one group, and in all.
const OF_GROUP: usize = 2;
const IN_ALL: usize = 4;
/// A measurement holds for so long.
const HOLDS: SignedDuration = SignedDuration::from_mins(10);

/// What is worth measuring: a few targets of each group that speaks HTTP and
/// whose keep-alive nobody measured lately, as URLs, and for how many seconds:
/// beyond the load balancer's own idle timeout more tells nothing.
pub fn to_measure(s: &Situation) -> (Vec<SafeText>, f64) {
    let idle = s.lb().and_then(|l| Situation::attribute_seconds(&l.attributes, IDLE)).unwrap_or(60.0);
    let fresh = |a: &SocketAddr| {
        let known = s.kept.get(&SafeText::from(a.to_string())).and_then(Datum::as_of);
        known.zip(s.at).is_some_and(|(then, now)| now.duration_since(then) < HOLDS)
    };
    let mut out: Vec<SafeText> = Vec::new();
    for (_, g) in s.active_groups() {
        let Some(tg) = &g.group else { continue };
        let scheme = match tg.protocol.as_str() {
            "HTTP" => "http",
            "HTTPS" => "https",
            _ => continue,
        };
        let path = Some(tg.health_check.path.as_str()).filter(|p| p.starts_with('/')).unwrap_or("/");
        let mut targets: Vec<_> = g.health.value().into_iter().flatten().collect();
        // Those that answer first: a sick one tells of its sickness.
        targets.sort_by_key(|t| !t.is_healthy());
        let mut n = 0;
        for t in targets {
            let Some(port) = t.port.or(tg.port) else { continue };
            let own = t.id.parse::<IpAddr>().ok();
            let Some(ip) = own.or_else(|| s.instance(&t.id)?.addresses.first().copied()) else { continue };
            let at = SocketAddr::new(ip, port);
            if n < OF_GROUP && out.len() < IN_ALL && !fresh(&at) {
                n += 1;
                out.push(format!("{scheme}://{at}{path}").into());
            }
        }
    }
    (out, idle + 3.0)
}

fn by_probes(s: &Situation) -> Vec<Measured> {
    let idle = s
        .lb()
        .and_then(|l| l.attributes.value())
        .map(|a| a.get(IDLE).and_then(|v| v.parse::<f64>().ok()).unwrap_or(60.0));
    let mut groups: BTreeMap<SafeText, Vec<(f64, &Kept, Timestamp)>> = BTreeMap::new();
    for (group, kept, at) in of_targets(s) {
        // A bound is an answer only where it lies beyond what it is compared with.
        let bound = kept.at_least_s.filter(|least| idle.is_some_and(|i| *least > i + 1.0));
        if let Some(seconds) = kept.seconds.or(bound) {
            groups.entry(group).or_default().push((seconds, kept, at));
        }
    }
    let shortest = |(component, all): (SafeText, Vec<(f64, &Kept, Timestamp)>)| {
        // One target that ends connections too soon is enough, whatever was
        // found out of the others since.
        let (seconds, kept, at) = all.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0))?;
        let source = match all.len() {
            1 => "probe".into(),
            n => SafeText::from(format!("probe of {}, the shortest of {n} targets", kept.address)),
        };
        Some(Measured {
            hop: Hop::Target,
            component,
            setting: settings::SERVER_KEEPALIVE.into(),
            seconds,
            at,
            source,
        })
    };
    groups.into_iter().filter_map(shortest).collect()
}

/// All servers of this group that were probed end every connection after its answer.
pub(super) fn closes_each(s: &Situation, group: &str) -> bool {
    let mut all = of_targets(s).filter(|(name, ..)| name.as_str() == group).peekable();
    all.peek().is_some() && all.all(|(_, kept, _)| kept.closes_each)
}

fn of_targets(s: &Situation) -> impl Iterator<Item = (SafeText, &Kept, Timestamp)> {
    s.kept.values().filter_map(Datum::get).filter_map(|k| {
        let address: SocketAddr = k.value.address.parse().ok()?;
        let (_, state) = s.active_groups().into_iter().find(|(_, g)| has_target(s, g, address))?;
        Some((state.group.as_ref()?.name.clone(), &k.value, k.as_of))
    })
}

/// Is this address and port one of the group's targets?
pub(in crate::diagnosis) fn has_target(s: &Situation, g: &GroupState, address: SocketAddr) -> bool {
    let default = g.group.as_ref().and_then(|t| t.port);
    g.health.value().into_iter().flatten().any(|t| {
        let port = t.port.or(default);
        let at = |ip: IpAddr| ip == address.ip();
        let own = t.id.parse::<IpAddr>().is_ok_and(at);
        let instance = || s.instance(&t.id).is_some_and(|i| i.addresses.iter().any(|a| at(*a)));
        port == Some(address.port()) && (own || instance())
    })
}
