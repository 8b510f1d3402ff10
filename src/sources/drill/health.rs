//! Health checks with thresholds, as the load balancer does them: from every
//! node, on connections of their own ("Health checks for Application Load
//! Balancer target groups", Elastic Load Balancing user guide).

use super::alb::{Checked, check};
use super::estate::{ALB_FAILED, Member};
use super::stage::World;
use jiff::Timestamp;
use std::sync::Arc;

/// Checks every member of a group in turn, until the drill ends.
pub async fn run(world: Arc<World>, group: usize) {
    let mut round = 0_usize;
    loop {
        let (interval, work) = {
            let e = world.estate();
            let Some(g) = e.groups.get(group) else { return };
            let h = &g.tg.health_check;
            if h.enabled == Some(false) {
                return;
            }
            let own: Option<u16> = h.port.parse().ok();
            let work: Vec<Task> = g
                .members
                .iter()
                .filter(|m| m.state.as_str() != "draining" && m.state.as_str() != "unused")
                .map(|m| Task {
                    host: m.host,
                    port: own.unwrap_or(m.port),
                    path: h.path.to_string(),
                    codes: h.matcher.to_string(),
                    limit: f64::from(h.timeout_s.unwrap_or(5)),
                })
                .collect();
            (f64::from(h.interval_s.unwrap_or(30)), work)
        };
        for t in work {
            let world = Arc::clone(&world);
            // Nodes take turns; every target is met by each within two rounds.
            let node = (round + t.host) % super::estate::ZONES.len();
            world.clone().spawn(async move {
                let Some(host) = world.hosts.get(t.host).cloned() else { return };
                let out = check(&world, node, &host, t.port, &t.path, t.limit, &t.codes).await;
                settle(&world, group, t.host, &out);
            });
        }
        round += 1;
        world.clock.sleep(interval).await;
        leave(&world, group);
    }
}

struct Task {
    host: usize,
    port: u16,
    path: String,
    codes: String,
    limit: f64,
}

/// Takes in how a check ended.
fn settle(world: &World, group: usize, host: usize, out: &Checked) {
    let mut e = world.estate();
    let Some(g) = e.groups.get_mut(group) else { return };
    let up = g.tg.health_check.healthy_threshold.unwrap_or(5);
    let down = g.tg.health_check.unhealthy_threshold.unwrap_or(2);
    let Some(m) = g.members.iter_mut().find(|m| m.host == host && m.leaves.is_none()) else { return };
    let (reason, text) = match out {
        Checked::Passed => {
            (m.good, m.bad) = (m.good + 1, 0);
            // A new target needs one passed check, one that failed needs several.
            let enough = if m.state.as_str() == "initial" { 1 } else { up };
            if m.state.as_str() != "healthy" && m.good >= enough {
                become_state(m, "healthy", "", "");
            }
            return;
        }
        Checked::Code(code) => {
            ("Target.ResponseCodeMismatch", format!("Health checks failed with these codes: [{code}]"))
        }
        Checked::TimedOut => ("Target.Timeout", "Request timed out".to_owned()),
        Checked::Failed => (ALB_FAILED, "Health checks failed".to_owned()),
    };
    (m.good, m.bad) = (0, m.bad + 1);
    if m.bad >= down {
        become_state(m, "unhealthy", reason, &text);
    }
}

fn become_state(m: &mut Member, state: &str, reason: &str, text: &str) {
    m.state = state.into();
    m.reason = reason.into();
    m.description = text.into();
}

/// Lets targets go whose deregistration delay is over.
fn leave(world: &World, group: usize) {
    let now: Timestamp = world.clock.now();
    let mut gone = Vec::new();
    {
        let mut e = world.estate();
        let Some(g) = e.groups.get_mut(group) else { return };
        g.members.retain(|m| {
            let over = m.leaves.is_some_and(|t| t <= now);
            if over {
                gone.push(m.host);
            }
            !over
        });
    }
    for h in gone {
        world.alb.drop_all(h);
        if let Some(host) = world.hosts.get(h) {
            host.released.send_modify(|n| *n += 1);
        }
    }
}
