//! What each check of the procedure asks and concludes. The words are in
//! `assets/`; here is only which fact leads to which phrase.

mod app;
mod deep;
mod emergency;
mod hosts;
mod logs;
mod network;
mod prepare;
mod prevention;
mod record;
mod resources;
mod settings;

use super::desk::Desk;
use crate::situation::Want;

/// A check at work.
pub(crate) type Run = fn(&mut Desk<'_>);

/// Checks of each step, in the order they are shown. The files of words must
/// have the same.
pub(crate) const TABLE: [(u8, &[(&str, Run)]); 10] = [
    (
        0,
        &[
            ("prepare.target", prepare::target),
            ("prepare.onset", prepare::onset),
            ("prepare.scope", prepare::scope),
            ("prepare.affected", prepare::affected),
            ("prepare.reproduce", by_hand),
        ],
    ),
    (
        1,
        &[
            ("resources.instances", resources::instances),
            ("resources.tasks", resources::tasks),
            ("resources.load", resources::load),
            ("resources.host", resources::host),
            ("resources.limits", hosts::limits),
        ],
    ),
    (
        2,
        &[
            ("logs.groups", logs::groups),
            ("logs.patterns", logs::patterns),
            ("logs.lines", logs::lines),
            ("logs.balancer", logs::balancer),
            ("logs.host", hosts::logs),
        ],
    ),
    (
        3,
        &[
            ("network.paths", network::paths),
            ("network.reasons", network::reasons),
            ("network.zones", network::zones),
            ("network.host", hosts::network),
        ],
    ),
    (
        4,
        &[
            ("settings.health", settings::health),
            ("settings.routing", settings::routing),
            ("settings.timeouts", settings::timeouts),
            ("settings.listeners", settings::listeners),
            ("settings.certificates", settings::certificates),
            ("settings.attributes", settings::attributes),
        ],
    ),
    (
        5,
        &[
            ("app.errors", app::errors),
            ("app.latency", app::latency),
            ("app.deployments", app::deployments),
            ("app.stops", app::stops),
            ("app.changes", app::changes),
            ("app.dependencies", app::dependencies),
        ],
    ),
    (
        6,
        &[
            ("deep.tail", deep::tail),
            ("deep.curl", deep::request),
            ("deep.capture", by_hand),
            ("deep.tls", deep::tls),
            ("deep.keepalive", deep::keepalive),
        ],
    ),
    (
        7,
        &[
            ("record.incident", record::incident),
            ("record.steps", record::steps),
            ("record.delivery", record::delivery),
            ("record.alarms", by_hand),
        ],
    ),
    (
        8,
        &[
            ("emergency.health", emergency::health),
            ("emergency.paths", emergency::paths),
            ("emergency.timeouts", emergency::timeouts),
            ("emergency.remove", emergency::remove),
            ("emergency.rollback", emergency::rollback),
            ("emergency.scale", emergency::scale),
            ("emergency.traffic", by_hand),
        ],
    ),
    (
        9,
        &[
            ("prevention.spread", prevention::spread),
            ("prevention.alarms", by_hand),
            ("prevention.release", by_hand),
            ("prevention.certificates", by_hand),
            ("prevention.capacity", by_hand),
            ("prevention.logging", record::delivery),
            ("prevention.recovery", by_hand),
            ("prevention.code", prevention::code),
            ("prevention.runbook", by_hand),
            ("prevention.drills", by_hand),
        ],
    ),
];

/// What a step needs asked anew.
pub(crate) fn wants(step: u8) -> &'static [Want] {
    use Want::*;
    match step {
        0 => &[Health, Metrics, Config],
        1 => &[Health, Network, Ecs, Metrics, Hosts],
        2 => &[LogGroups, Logs, Config, Ecs, Hosts],
        3 => &[Health, Network, Config, Metrics, Hosts],
        4 => &[Config, Health, Metrics, Ecs],
        5 => &[Ecs, Metrics, Logs, Config],
        6 => &[Health, Config, Ecs, Logs, Probe],
        7 => &[Config, Ecs, LogGroups],
        8 => &[Health, Network, Config, Ecs, Metrics],
        9 => &[Health, Config, Ecs],
        _ => &[],
    }
}

/// A check for which there is no source yet: it gives the commands and takes
/// up their output where somebody noted it.
fn by_hand(d: &mut Desk<'_>) {
    d.by_hand();
}
