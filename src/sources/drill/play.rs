//! What happens on the stage: the story of the file, what the player does, and
//! what the machines report of themselves.

mod fleet;

use super::clock::seconds;
use super::deed::{Deed, Packets};
use super::estate::{
    API, DATABASE, FUNCTION, LB, SCALING, SERVICE, VPC, WEB, all_out, entry, forward, member, path_rule,
    route, tcp,
};
use super::meter::ALB;
use super::script::Platform;
use super::server::{APP, SYSTEM};
use super::stage::World;
use crate::situation::around::ChangeEvent;
use crate::situation::elb::Action;
use crate::situation::net::Destination;
use crate::text::SafeText;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Semaphore;

/// Id of the offer of a hint.
pub const HINT: &str = "hint";

/// Plays the events of the file in their order.
pub async fn story(world: Arc<World>) {
    let mut events = world.drill.events.clone();
    events.sort_by(|a, b| a.at.total_cmp(&b.at));
    for e in events {
        world.clock.sleep_until(world.onset + seconds(e.at * 60.0)).await;
        for d in &e.deeds {
            apply(&world, d);
        }
    }
}

/// The player does something; what is seen of it, or that there is no such thing.
pub fn act(world: &Arc<World>, id: &str) -> Result<SafeText, SafeText> {
    if id == HINT {
        let mut deeds = world.deeds();
        deeds.hints += 1;
        let n = deeds.hints.min(world.drill.hints.len());
        let hint = n.checked_sub(1).and_then(|i| world.drill.hints.get(i));
        return hint.map(|h| format!("hint {n}: {h}").into()).ok_or_else(|| "there is no hint".into());
    }
    let Some(offer) = world.drill.actions.iter().find(|a| a.id == id).cloned() else {
        return Err(format!("there is nothing called '{id}' to do here").into());
    };
    let now = world.clock.now();
    world.deeds().acted.push((now, offer.id.clone()));
    let told = if offer.told.is_empty() { format!("{}: done", offer.title) } else { offer.told.clone() };
    let me = Arc::clone(world);
    world.spawn(async move {
        me.clock.sleep(offer.takes * 60.0).await;
        for d in &offer.deeds {
            apply(&me, d);
        }
        let now = me.clock.now();
        if offer.cures && now >= me.onset {
            me.deeds().cured.get_or_insert(now);
        }
    });
    Ok(told.into())
}

/// Makes it happen.
pub fn apply(world: &Arc<World>, deed: &Deed) {
    let now = world.clock.now();
    let hosts = world.named(deed.hosts());
    let each = |f: &dyn Fn(&mut super::server::Conduct)| {
        for n in &hosts {
            f(&mut world.hosts[*n].conduct());
        }
    };
    match deed {
        Deed::SgRevoke { .. }
        | Deed::SgAllow { .. }
        | Deed::SgOpenEgress { .. }
        | Deed::AclDeny { .. }
        | Deed::AclDelete { .. }
        | Deed::RouteBlackhole { .. }
        | Deed::RouteDelete { .. } => network(world, deed),
        Deed::Attribute { .. }
        | Deed::Check { .. }
        | Deed::Rule { .. }
        | Deed::RuleDelete { .. }
        | Deed::Deregister { .. }
        | Deed::Register { .. }
        | Deed::CertificateEnds { .. }
        | Deed::IdentityProvider { .. }
        | Deed::Port { .. } => balancer(world, deed, &hosts),
        Deed::Terminate { .. }
        | Deed::Launch { .. }
        | Deed::Deployment { .. }
        | Deed::Revision { .. }
        | Deed::Vanish { .. }
        | Deed::TaskChurn { .. } => fleet::fleet(world, deed, &hosts),
        Deed::Firewall { does, .. } => each(&|c| c.firewall = *does),
        Deed::Stop { log, .. } => {
            for n in &hosts {
                for line in log {
                    let group =
                        if line.starts_with("kernel:") || line.starts_with("systemd") { SYSTEM } else { APP };
                    world.log(group, &world.hosts[*n].place.name, line);
                }
                world.hosts[*n].kill();
            }
        }
        Deed::Start { .. } => hosts.iter().for_each(|n| world.hosts[*n].start()),
        Deed::Crash { id, every, down, log, .. } => {
            for n in hosts {
                crash(world, &format!("{id}-{n}"), n, (*every, *down), log.clone());
            }
        }
        Deed::End { id } => {
            for h in &world.hosts {
                h.conduct().quirks.retain(|(q, _)| q != id);
            }
            world.end(id);
            (0..world.hosts.len()).for_each(|n| world.end(&format!("{id}-{n}")));
        }
        Deed::Quirk { id, quirk, .. } => each(&|c| {
            c.quirks.retain(|(q, _)| q != id);
            c.quirks.push((id.clone(), quirk.clone()));
        }),
        Deed::KeepAlive { seconds, .. } => each(&|c| c.keep_alive = *seconds),
        Deed::Workers { count, .. } => each(&|c| c.workers = Arc::new(Semaphore::new(*count))),
        Deed::Slower { factor, .. } => each(&|c| c.slower = *factor),
        Deed::Cpu { percent, .. } => each(&|c| c.cpu = *percent),
        Deed::Disk { percent, .. } => each(&|c| c.disk = *percent),
        Deed::Memory { percent, minutes, .. } => {
            for n in hosts {
                let (me, to, over) = (Arc::clone(world), *percent, *minutes);
                world.go_on(&format!("memory-{n}"), async move {
                    let from = me.hosts[n].conduct().memory;
                    let steps = (over * 4.0).max(1.0);
                    let mut done = 0.0;
                    while done < steps {
                        done += 1.0;
                        me.clock.sleep(over * 60.0 / steps).await;
                        me.hosts[n].conduct().memory = from + (to - from) * done / steps;
                    }
                });
            }
        }
        Deed::Impair { on, .. } => {
            each(&|c| c.impaired = *on);
            let ids: Vec<SafeText> =
                hosts.iter().map(|n| world.hosts[*n].place.instance.as_str().into()).collect();
            let mut e = world.estate();
            e.impaired.retain(|i| !ids.contains(i));
            if *on {
                e.impaired.extend(ids);
            }
        }
        Deed::Tls { does, .. } => {
            each(&|c| c.handshake = *does);
            // The process was started anew with it.
            for n in &hosts {
                world.alb.drop_all(*n);
            }
        }
        Deed::Database { status, connections, cpu } => {
            if let Some(s) = status {
                world.estate().database.status = s.as_str().into();
            }
            let mut p = world.people();
            if let Some(v) = connections {
                p.database.0 = *v;
            }
            if let Some(v) = cpu {
                p.database.1 = *v;
            }
        }
        Deed::Function { does } => world.set_function(*does),
        Deed::Change { event, service, user, about } => {
            let mut e = world.estate();
            let id = format!("{:08x}-{}", now.as_second(), e.changes.len());
            let about = about.iter().map(|a| SafeText::from(known(a))).collect();
            e.changes.insert(
                0,
                ChangeEvent {
                    at: now,
                    name: event.as_str().into(),
                    service: service.as_str().into(),
                    user: user.as_str().into(),
                    about,
                    failed: SafeText::default(),
                    id: id.into(),
                },
            );
        }
        Deed::Log { id, system, text, every, .. } => {
            let group = if *system { SYSTEM } else { APP };
            for n in hosts {
                let (me, text, every) = (Arc::clone(world), text.clone(), *every);
                let work = async move {
                    let mut i = 0;
                    while let Some(line) = text.get(i % text.len().max(1)) {
                        me.log(group, &me.hosts[n].place.name, line);
                        i += 1;
                        if every <= 0.0 && i >= text.len() {
                            return;
                        }
                        me.clock.sleep(if every > 0.0 { every } else { 0.05 }).await;
                    }
                };
                if id.is_empty() { world.spawn(work) } else { world.go_on(&format!("{id}-{n}"), work) }
            }
        }
        Deed::Traffic { factor } => world.people().factor = *factor,
        Deed::Retries { times } => world.people().retries = *times,
        Deed::Uploads { bytes } => world.people().upload = *bytes,
        Deed::Patience { path, seconds } => {
            let mut p = world.people();
            p.patience.retain(|(held, _)| held != path);
            p.patience.push((path.clone(), *seconds));
        }
        Deed::BadCallers { share, sends } => {
            world.people().bad = (*share > 0.0).then_some((*share, *sends));
        }
    }
}

/// Names that files may use in place of ids.
fn known(name: &str) -> String {
    match name {
        "lb" => LB.into(),
        "web" => WEB.into(),
        "api" => API.into(),
        "service" => SERVICE.into(),
        "function" => FUNCTION.into(),
        "certificate" => super::estate::CERTIFICATE.into(),
        "listener" => super::estate::LISTENER.into(),
        "vpc" => VPC.into(),
        "database" => DATABASE.into(),
        "scaling" => SCALING.into(),
        other => match other.strip_prefix("web-").and_then(|n| n.parse::<usize>().ok()) {
            Some(n) if n > 0 => super::estate::place(n - 1).instance,
            _ => other.into(),
        },
    }
}

/// The process ends again and again.
fn crash(world: &Arc<World>, id: &str, n: usize, (every, down): (f64, f64), log: Vec<String>) {
    let me = Arc::clone(world);
    world.go_on(id, async move {
        let host = Arc::clone(&me.hosts[n]);
        loop {
            for line in &log {
                let group =
                    if line.starts_with("kernel:") || line.starts_with("systemd") { SYSTEM } else { APP };
                me.log(group, &host.place.name, line);
            }
            host.kill();
            me.clock.sleep(down).await;
            host.start();
            me.clock.sleep(every).await;
        }
    });
}

fn network(world: &Arc<World>, deed: &Deed) {
    let mut e = world.estate();
    match deed {
        Deed::SgRevoke { group, egress, port } => {
            if let Some(g) = e.security_groups.iter_mut().find(|g| g.id.as_str() == group) {
                let port = i32::from(*port);
                let rules = if *egress { &mut g.egress } else { &mut g.ingress };
                let covers = |r: &crate::situation::net::SgRule| {
                    r.from_port.is_none_or(|f| f <= port) && r.to_port.is_none_or(|t| t >= port)
                };
                rules.retain(|r| !covers(r));
                if *egress {
                    rules.push(tcp(443, "0.0.0.0/0"));
                }
            }
        }
        Deed::SgAllow { group, egress, port, peer } => {
            if let Some(g) = e.security_groups.iter_mut().find(|g| g.id.as_str() == group) {
                let rules = if *egress { &mut g.egress } else { &mut g.ingress };
                rules.push(tcp(*port, peer));
            }
        }
        Deed::SgOpenEgress { group } => {
            if let Some(g) = e.security_groups.iter_mut().find(|g| g.id.as_str() == group) {
                g.egress = vec![all_out()];
            }
        }
        Deed::AclDeny { acl, number, egress, from, to, cidr } => {
            if let (Some(a), Ok(net)) = (e.acls.iter_mut().find(|a| a.id.as_str() == acl), cidr.parse()) {
                a.entries.push(entry(*number, *egress, false, net, Some((*from, *to))));
                a.entries.sort_by_key(|x| (x.egress, x.number));
            }
        }
        Deed::AclDelete { acl, number, egress } => {
            if let Some(a) = e.acls.iter_mut().find(|a| a.id.as_str() == acl) {
                a.entries.retain(|x| x.number != *number || x.egress != *egress);
            }
        }
        Deed::RouteBlackhole { table, cidr } => {
            if let (Some(t), Ok(net)) = (e.tables.iter_mut().find(|t| t.id.as_str() == table), cidr.parse()) {
                t.routes.push(route(net, "vpce-0f1re1a11", false));
            }
        }
        Deed::RouteDelete { table, cidr } => {
            if let (Some(t), Ok(net)) = (e.tables.iter_mut().find(|t| t.id.as_str() == table), cidr.parse()) {
                t.routes.retain(|r| r.destination != Destination::Cidr(net));
            }
        }
        _ => {}
    }
}

fn balancer(world: &Arc<World>, deed: &Deed, hosts: &[usize]) {
    let now = world.clock.now();
    let platform = world.drill.world.platform;
    let mut e = world.estate();
    match deed {
        Deed::Attribute { of_group, key, value } => {
            let (key, value) = (SafeText::from(key.as_str()), SafeText::from(value.as_str()));
            if *of_group {
                for g in &mut e.groups {
                    g.attributes.insert(key.clone(), value.clone());
                }
            } else {
                e.lb_attributes.insert(key, value);
            }
        }
        Deed::Check { path, codes } => {
            for g in &mut e.groups {
                g.tg.health_check.path = path.as_str().into();
                g.tg.health_check.matcher = codes.as_str().into();
            }
        }
        Deed::Rule { priority, path, fixed, forward: to } => {
            let actions = match fixed {
                Some(status) => {
                    vec![Action {
                        kind: "fixed-response".into(),
                        order: 1,
                        status: Some(*status),
                        ..Action::default()
                    }]
                }
                None => vec![forward(&known(to))],
            };
            e.rules.retain(|r| r.priority != Some(*priority));
            e.rules.push(path_rule(*priority, path, actions));
            e.rules.sort_by_key(|r| r.priority.unwrap_or(u32::MAX));
        }
        Deed::RuleDelete { priority } => e.rules.retain(|r| r.priority != Some(*priority)),
        Deed::Deregister { .. } => {
            for g in &mut e.groups {
                let delay = super::estate::number(&g.attributes, "deregistration_delay.timeout_seconds");
                for m in g.members.iter_mut().filter(|m| hosts.contains(&m.host) && m.leaves.is_none()) {
                    m.state = "draining".into();
                    m.reason = "Target.DeregistrationInProgress".into();
                    m.description = "Target deregistration is in progress".into();
                    m.leaves = Some(now + seconds(delay.unwrap_or(300.0)));
                }
            }
        }
        Deed::Register { .. } => {
            let port = world.drill.world.port;
            for g in &mut e.groups {
                for n in hosts {
                    g.members.retain(|m| m.host != *n);
                    g.members.push(member(platform, *n, g.tg.port.unwrap_or(port), "initial"));
                }
            }
        }
        Deed::CertificateEnds { minutes } => e.certificate.not_after = Some(now + seconds(minutes * 60.0)),
        Deed::IdentityProvider { up } => e.login_up = *up,
        Deed::Port { port } => {
            (0..world.hosts.len()).for_each(|n| world.alb.drop_all(n));
            for g in &mut e.groups {
                g.tg.port = Some(*port);
                for m in &mut g.members {
                    m.port = *port;
                }
            }
        }
        _ => {}
    }
}

/// What machines report of themselves, every ten seconds.
pub async fn measure(world: Arc<World>) {
    let mut chance = super::chance::Chance::new(world.seed, "measure");
    loop {
        world.clock.sleep(10.0).await;
        let now = world.clock.now();
        let platform = world.drill.world.platform;
        if platform == Platform::Lambda {
            continue;
        }
        let mut hosts = Vec::new();
        for (n, h) in world.hosts.iter().enumerate() {
            let worked = h.worked.swap(0, Ordering::Relaxed);
            let c = h.conduct();
            #[allow(clippy::cast_precision_loss, reason = "milliseconds of ten seconds")]
            let own = worked as f64 / 10_000.0 * 40.0;
            let base = if h.runs() { 11.0 } else { 2.0 };
            let cpu = (base + own + c.cpu + chance.between(-2.0, 3.0)).clamp(0.5, 100.0);
            hosts.push((
                n,
                cpu,
                c.memory + chance.between(-0.4, 0.4),
                c.disk,
                c.impaired,
                c.firewall == Packets::Drop,
            ));
        }
        let (connections, database_cpu) = world.people().database;
        let (members, ids): (Vec<_>, Vec<bool>) = {
            let e = world.estate();
            let state = |want: &str| -> Vec<(SafeText, f64)> {
                e.groups
                    .iter()
                    .map(|g| {
                        let n = g.members.iter().filter(|m| m.state.as_str() == want).count();
                        #[allow(clippy::cast_precision_loss, reason = "a handful")]
                        (g.tg.arn.clone(), n as f64)
                    })
                    .collect()
            };
            let up = hosts.iter().map(|h| {
                let id = &world.hosts[h.0].place.instance;
                platform == Platform::Ecs
                    || e.instances.iter().any(|i| i.id.as_str() == id && i.state.as_str() == "running")
            });
            (
                vec![("HealthyHostCount", state("healthy")), ("UnHealthyHostCount", state("unhealthy"))],
                up.collect(),
            )
        };
        let mut m = world.meter();
        for (name, list) in members {
            for (arn, n) in list {
                for stat in ["Maximum", "Minimum"] {
                    m.state(now, ALB, &arn, name, stat, n);
                }
            }
        }
        for (n, cpu, memory, disk, impaired, _) in &hosts {
            if !ids[*n] {
                continue;
            }
            let p = &world.hosts[*n].place;
            match platform {
                Platform::Ec2 => {
                    let id = p.instance.as_str();
                    m.state(now, "AWS/EC2", id, "CPUUtilization", "Average", *cpu);
                    m.state(now, "AWS/EC2", id, "CPUUtilization", "Maximum", *cpu);
                    m.state(
                        now,
                        "AWS/EC2",
                        id,
                        "StatusCheckFailed",
                        "Maximum",
                        f64::from(u8::from(*impaired)),
                    );
                    if !impaired {
                        m.state(now, "CWAgent", id, "mem_used_percent", "Average", *memory);
                        m.state(now, "CWAgent", &format!("{id} /"), "disk_used_percent", "Maximum", *disk);
                    }
                }
                Platform::Ecs if *n < world.drill.world.targets => {
                    m.state(now, "AWS/ECS", SERVICE, "CPUUtilization", "Average", *cpu);
                    m.state(now, "AWS/ECS", SERVICE, "CPUUtilization", "Maximum", *cpu);
                    m.state(now, "AWS/ECS", SERVICE, "MemoryUtilization", "Average", *memory);
                    m.state(now, "AWS/ECS", SERVICE, "MemoryUtilization", "Maximum", *memory);
                }
                Platform::Ecs | Platform::Lambda => {}
            }
        }
        let of = |v: f64, chance: &mut super::chance::Chance| (v * chance.between(0.95, 1.05)).max(0.0);
        m.state(now, "AWS/RDS", DATABASE, "DatabaseConnections", "Maximum", of(connections, &mut chance));
        m.state(
            now,
            "AWS/RDS",
            DATABASE,
            "CPUUtilization",
            "Average",
            of(database_cpu, &mut chance).min(100.0),
        );
        m.state(now, "AWS/RDS", DATABASE, "FreeStorageSpace", "Minimum", 61.0e9);
    }
}
