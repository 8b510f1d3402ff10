//! `badgate host`.

use super::recorder::record_of;
use super::{Failure, oneshot, print};
use crate::cli::{Host, Way};
use crate::journal::{Durability, author};
use crate::report::host::{all_commands, brief_commands, commands, inside_list, to_json, to_text};
use crate::situation::{Fact, Observation, Topic};
use crate::sources::host::{Asking, Container, observe_by};
use crate::text::SafeText;
use std::io::{BufRead, IsTerminal, Write};

/// Asks every host at once.
pub fn run(args: &Host) -> Result<u8, Failure> {
    if args.list {
        return Ok(print(all_commands().as_bytes(), 0));
    }
    if !agreed(args)? {
        super::complain(&SafeText::from("badgate: nothing was run"));
        return Ok(2);
    }
    let by = author(|name| std::env::var_os(name));
    let names: Vec<String> = args.hosts.iter().map(ToString::to_string).collect();
    let writer = oneshot::open(args.incident.as_deref(), &by, &names.join(" "), "host")?;
    let asked = async {
        let asking = Asking { limit: args.timeout, look: args.look };
        let direct = args.hosts.iter().filter_map(|h| match h {
            Way::Direct(host) => Some(observe_by(host, &asking)),
            Way::Ssm(_) | Way::Ecs(_) => None,
        });
        let ids: Vec<&str> = args.hosts.iter().filter_map(instance).collect();
        let inside: Vec<&Container> = args.hosts.iter().filter_map(container).collect();
        let (direct, others) =
            futures::future::join(futures::future::join_all(direct), by_the_cloud(args, &ids, &inside)).await;
        let mut all = direct.concat();
        all.extend(others);
        all
    };
    let seen =
        crate::console::run::block_on(asked).map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    if let Some(w) = writer {
        for o in &seen {
            w.append(record_of(o), Durability::Grouped, |_| {});
        }
        oneshot::close(w)?;
    }
    let silent = seen.iter().any(|o| matches!((&o.topic, &o.fact), (Topic::Host(_), Fact::Unknown(_))));
    // A wide terminal takes more columns; what is piped stays as everywhere.
    let wide = std::io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
    let columns = wide.map_or(80, |(w, _)| usize::from(w)).clamp(80, 200);
    let text = if args.json { to_json(&seen) } else { to_text(&seen, columns) };
    Ok(print(text.as_bytes(), if silent { 3 } else { 0 }))
}

/// The instance, when it is asked by Run Command.
fn instance(host: &Way) -> Option<&str> {
    match host {
        Way::Ssm(id) => Some(id),
        Way::Direct(_) | Way::Ecs(_) => None,
    }
}

/// The container, when it is asked by ECS Exec.
fn container(host: &Way) -> Option<&Container> {
    match host {
        Way::Ecs(container) => Some(container),
        Way::Direct(_) | Way::Ssm(_) => None,
    }
}

/// Asks instances by Systems Manager Run Command and containers by ECS Exec.
/// Never fails: what cannot be asked is an observation too.
#[cfg(feature = "aws")]
async fn by_the_cloud(args: &Host, ids: &[&str], inside: &[&Container]) -> Vec<Observation> {
    use crate::sources::aws::{Aws, ask::exec, ask::hosts};
    if ids.is_empty() && inside.is_empty() {
        return Vec::new();
    }
    let options = crate::sources::Options {
        profile: args.profile.clone(),
        region: args.region.clone(),
        ..crate::sources::Options::default()
    };
    // Nobody reads the call log here; a full queue must not hold a call.
    let (calls, mut unread) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move { while unread.recv().await.is_some() {} });
    match Aws::load(options, calls).await {
        Ok(aws) => {
            let asks: Vec<hosts::HostAsk> =
                ids.iter().map(|id| hosts::HostAsk { id: (*id).into(), local: None }).collect();
            let asking = exec::Asking { plugin: crate::sources::host::found(), limit: args.timeout };
            let instances =
                async { if asks.is_empty() { Vec::new() } else { hosts::observe(&aws, &asks).await } };
            let containers = exec::observe(&aws, inside.iter().copied(), &asking);
            let (mut all, others) = futures::future::join(instances, containers).await;
            all.extend(others);
            all
        }
        Err(why) => unasked(ids, inside, &why),
    }
}

#[cfg(not(feature = "aws"))]
async fn by_the_cloud(_: &Host, ids: &[&str], inside: &[&Container]) -> Vec<Observation> {
    let why = "this badgate was built without AWS; ssh:NAME asks the same";
    unasked(ids, inside, &crate::situation::Reason::NotApplicable { why: why.into() })
}

/// They could not even be tried.
fn unasked(ids: &[&str], inside: &[&Container], why: &crate::situation::Reason) -> Vec<Observation> {
    let instances = ids.iter().map(|id| ("ssm", format!("ssm:{id}")));
    let containers = inside.iter().map(|c| ("ecs", c.to_string()));
    let told = instances.chain(containers).map(|(source, name)| Observation {
        at: jiff::Timestamp::now(),
        source: source.into(),
        topic: Topic::Host(name.into()),
        fact: Fact::Unknown(why.clone()),
        took_ms: 0,
    });
    told.collect()
}

/// Shows what would run and asks, where a person sits in front of it: once, and
/// not when they said that they know.
fn agreed(args: &Host) -> Result<bool, Failure> {
    let (stdin, stderr) = (std::io::stdin(), std::io::stderr());
    if args.yes || !stdin.is_terminal() || !stderr.is_terminal() {
        return Ok(true);
    }
    let names: Vec<String> = args.hosts.iter().map(ToString::to_string).collect();
    let any = |f: fn(&Way) -> bool| args.hosts.iter().any(f);
    // The lists of the ways that are used, and no others.
    let lists = [
        any(|h| matches!(h, Way::Direct(_))).then(commands),
        any(|h| instance(h).is_some()).then(brief_commands),
        any(|h| container(h).is_some()).then(inside_list),
    ];
    let mut text = lists.into_iter().flatten().collect::<Vec<_>>().join("\n");
    if let Some(look) = &args.look {
        text.push_str(&format!("\ncapture (what passes)\n  {}\n", look.command()));
    }
    text.push_str(&format!("\nRun these on {}? [y/N] ", names.join(", ")));
    let asked = stderr.lock().write_all(text.as_bytes()).and_then(|()| {
        let mut line = String::new();
        stdin.lock().read_line(&mut line).map(|_| line)
    });
    let answer = asked.map_err(|e| Failure::failed(format!("cannot ask: {e}; --yes runs them unasked")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
