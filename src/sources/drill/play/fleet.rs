//! What happens to the machines, tasks and releases.

use super::balancer;
use crate::situation::ecs::{Deployment, ServiceEvent};
use crate::sources::drill::deed::Deed;
use crate::sources::drill::estate::{definition, definition_arn, member, task};
use crate::sources::drill::stage::World;
use crate::text::SafeText;
use std::sync::Arc;

pub(super) fn fleet(world: &Arc<World>, deed: &Deed, hosts: &[usize]) {
    let now = world.clock.now();
    match deed {
        Deed::Terminate { graceful, why, .. } => {
            let mut e = world.estate();
            for n in hosts {
                let id = world.hosts[*n].place.instance.clone();
                e.activity(now, format!("Terminating EC2 instance: {id}"), why);
                if let Some(s) = &mut e.scaling {
                    s.desired -= 1;
                    s.instances.retain(|(i, _)| i.as_str() != id);
                }
            }
            drop(e);
            let (me, hosts, graceful) = (Arc::clone(world), hosts.to_vec(), *graceful);
            world.spawn(async move {
                // Out of the group first, and then the end; or the other way round.
                if graceful {
                    balancer(&me, &Deed::Deregister { hosts: Vec::new() }, &hosts);
                    me.clock.sleep(f64::from(me.drill.world.drain)).await;
                }
                for n in &hosts {
                    me.hosts[*n].kill();
                }
                if !graceful {
                    // The load balancer hears of it later.
                    me.clock.sleep(25.0).await;
                }
                let mut e = me.estate();
                for n in &hosts {
                    let id = me.hosts[*n].place.instance.clone();
                    if let Some(i) = e.instances.iter_mut().find(|i| i.id.as_str() == id) {
                        i.state = "terminated".into();
                    }
                    for g in &mut e.groups {
                        g.members.retain(|m| m.host != *n);
                    }
                }
            });
        }
        Deed::Launch { why, .. } => {
            let platform = world.drill.world.platform;
            let mut e = world.estate();
            for n in hosts {
                let p = &world.hosts[*n].place;
                world.hosts[*n].start();
                e.activity(now, format!("Launching a new EC2 instance: {}", p.instance), why);
                if let Some(i) = e.instances.iter_mut().find(|i| i.id.as_str() == p.instance) {
                    i.state = "running".into();
                    i.launched = Some(now);
                }
                if let Some(s) = &mut e.scaling {
                    s.desired += 1;
                    s.instances.push((p.instance.as_str().into(), "InService".into()));
                }
                for g in &mut e.groups {
                    let port = g.tg.port.unwrap_or(world.drill.world.port);
                    g.members.retain(|m| m.host != *n);
                    g.members.push(member(platform, *n, port, "initial"));
                }
            }
        }
        Deed::Deployment { revision, failed } => deployment(world, *revision, *failed),
        Deed::Revision { revision, .. } => {
            let mut e = world.estate();
            for n in hosts {
                let host = &world.hosts[*n];
                host.conduct().revision = *revision;
                let address = host.place.address.to_string();
                for t in e.tasks.iter_mut().filter(|t| t.address.as_str() == address) {
                    t.last_status = "STOPPED".into();
                    t.stopped = Some(now);
                    t.stop_code = "ServiceSchedulerInitiated".into();
                    t.stopped_reason =
                        format!("Scaling activity initiated by (deployment ecs-svc/{revision:04})").into();
                    t.address = SafeText::default();
                }
                e.tasks.push(task(&host.place, *revision, now));
            }
        }
        Deed::Vanish { .. } => {
            let mut e = world.estate();
            for n in hosts {
                let host = &world.hosts[*n];
                host.kill();
                world.alb.drop_all(*n);
                let a = std::net::IpAddr::V4(host.place.address);
                e.interfaces.retain(|i| !i.addresses.contains(&a));
                e.instances.retain(|i| !i.addresses.contains(&a));
            }
        }
        Deed::TaskChurn { reason, .. } => churn(world, hosts, reason),
        _ => {}
    }
}

fn deployment(world: &Arc<World>, revision: u32, failed: bool) {
    let now = world.clock.now();
    let w = &world.drill.world;
    let mut e = world.estate();
    if !e.definitions.iter().any(|d| d.arn == definition_arn(revision)) {
        let image = w.image.rsplit_once(':').map_or(w.image.as_str(), |(name, _)| name);
        e.definitions.push(definition(revision, &format!("{image}:r{revision}"), w.port));
    }
    let Some(s) = &mut e.service else { return };
    for d in &mut s.deployments {
        d.status = "ACTIVE".into();
    }
    s.task_definition = definition_arn(revision);
    s.deployments.insert(
        0,
        Deployment {
            id: format!("ecs-svc/{revision:04}").into(),
            status: "PRIMARY".into(),
            rollout_state: if failed { "FAILED" } else { "IN_PROGRESS" }.into(),
            rollout_reason: format!("ECS deployment ecs-svc/{revision:04} in progress.").into(),
            task_definition: definition_arn(revision),
            desired: s.desired,
            running: 0,
            failed: 0,
            created: Some(now),
            updated: Some(now),
        },
    );
    s.events.insert(
        0,
        ServiceEvent {
            at: now,
            message: format!("(service shop) has begun deployment ecs-svc/{revision:04}.").into(),
        },
    );
}

/// Tasks end and the new ones cannot start: targets leave one by one.
fn churn(world: &Arc<World>, hosts: &[usize], reason: &str) {
    let (me, hosts, reason) = (Arc::clone(world), hosts.to_vec(), reason.to_owned());
    world.go_on("churn", async move {
        for n in hosts {
            me.hosts[n].kill();
            let now = me.clock.now();
            {
                let mut e = me.estate();
                let address = me.hosts[n].place.address.to_string();
                for g in &mut e.groups {
                    g.members.retain(|m| m.host != n);
                }
                for t in e.tasks.iter_mut().filter(|t| t.address.as_str() == address) {
                    t.last_status = "STOPPED".into();
                    t.stopped = Some(now);
                    t.stop_code = "EssentialContainerExited".into();
                    t.stopped_reason = "Essential container in task exited".into();
                    t.exits = vec!["app: exit 1".into()];
                    t.address = SafeText::default();
                }
                if let Some(s) = &mut e.service {
                    s.running -= 1;
                    s.events.insert(0, ServiceEvent { at: now, message: "(service shop) is unable to consistently start tasks successfully. For more information, see the Troubleshooting section.".into() });
                }
                let mut t = task(&me.hosts[n].place, 41, now);
                t.arn = format!("{}f{n}", t.arn).into();
                t.last_status = "STOPPED".into();
                t.stopped = Some(now);
                t.stop_code = "TaskFailedToStart".into();
                t.stopped_reason = reason.as_str().into();
                t.address = SafeText::default();
                e.tasks.push(t);
            }
            me.clock.sleep(40.0).await;
        }
    });
}
