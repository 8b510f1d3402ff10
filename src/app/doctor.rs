//! `badgate doctor`: gathers the facts that [`crate::doctor`] judges.

use super::{Failure, print};
use crate::cli::Doctor;
#[cfg(not(feature = "aws"))]
use crate::doctor::Item;
use crate::doctor::{Section, State, terminal, to_json, to_text, worst};
#[cfg(feature = "aws")]
use crate::{
    config::Config,
    sources::{Command, Event, Link, Scope, Want},
    text::SafeText,
};
use std::process::{self, Stdio};
#[cfg(feature = "aws")]
use std::time::Duration;

/// Prints the report. Exit code 1 when something will not work.
pub fn run(args: Doctor) -> Result<u8, Failure> {
    if args.iam {
        return policy();
    }
    let facts = terminal::Facts {
        env: std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned())))
            .collect(),
        size: crossterm::terminal::size().ok(),
        tmux_options: inside_tmux().then(options).flatten(),
        tmux_version: inside_tmux().then(|| tmux(&["-V"])).flatten().map(|v| v.trim().to_owned()),
    };
    let mut sections = vec![terminal::section(&facts)];
    sections.extend(cloud(&args)?);
    let text = if args.json { to_json(&sections) } else { to_text(&sections) };
    Ok(print(text.as_bytes(), u8::from(worst(&sections) == State::Bad)))
}

#[cfg(not(feature = "aws"))]
fn cloud(_: &Doctor) -> Result<Vec<Section>, Failure> {
    let item = Item::new(State::Bad, "AWS", "this badgate was built without it (--no-default-features)");
    Ok(vec![Section { title: "AWS".into(), items: vec![item] }])
}

/// Each place in turn: what one of them may says nothing of another.
#[cfg(feature = "aws")]
fn cloud(args: &Doctor) -> Result<Vec<Section>, Failure> {
    let config = super::config(args.observe.config.as_deref())?;
    let several = args.observe.places.len() > 1;
    let mut all = Vec::new();
    for place in &args.observe.places {
        for mut section in cloud_in(args, &config, place)? {
            if several {
                section.title = format!("{} in {}", section.title, place.name()).into();
            }
            all.push(section);
        }
    }
    Ok(all)
}

/// Observes TARGET once, or what there is, and judges the calls that took.
#[cfg(feature = "aws")]
fn cloud_in(args: &Doctor, config: &Config, place: &Scope) -> Result<Vec<Section>, Failure> {
    use crate::doctor::cloud::{Facts, Need, sections};
    let mut options = args.observe.options(args.target.as_ref(), config, false);
    // What is wrong with the target is not the question here.
    options.ssm = false;
    options.profile.clone_from(&place.profile);
    options.region.clone_from(&place.region);
    options.places = Vec::new();
    let target = args.target.as_ref().map(|t| t.text().to_owned()).unwrap_or_default();
    let within = args.observe.timeout;
    let mut facts = crate::console::run::block_on(async move {
        let link = super::source::start(options, Vec::new())?;
        Ok::<_, std::io::Error>(ask(link, target, within).await)
    })
    .and_then(|r| r)
    .map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
    facts.now = jiff::Timestamp::now();
    facts.endpoint = std::env::var_os("AWS_ENDPOINT_URL")
        .filter(|v| !v.is_empty())
        .map(|v| SafeText::from(v.to_string_lossy()));
    let needs: Vec<Need> = crate::sources::aws::operations::ALL
        .iter()
        .map(|op| Need { id: op.id, action: op.action, lost: op.lost })
        .collect();
    return Ok(sections(&facts, &needs));

    async fn ask(mut link: Link, target: String, within: Duration) -> Facts {
        let mut facts = Facts::default();
        let everything = || Command::Refresh { id: 1, wants: Want::ALL.to_vec() };
        let typed = !target.is_empty();
        for command in [Command::Open(target), everything()] {
            if link.commands.send(command).await.is_err() {
                break;
            }
        }
        let deadline = tokio::time::Instant::now() + within;
        loop {
            match tokio::time::timeout_at(deadline, link.events.recv()).await {
                Ok(Some(Event::Called(call))) => facts.calls.push(call),
                Ok(Some(Event::Observed(all))) => all.into_iter().for_each(|o| facts.learn(o)),
                // Any load balancer shows what these credentials may.
                Ok(Some(Event::Candidates { list, more: false, .. })) if !typed && !list.is_empty() => {
                    let _ = link.commands.send(Command::Choose(list[0].arn.clone())).await;
                    let _ = link.commands.send(everything()).await;
                }
                Ok(Some(Event::Candidates { asked, list, more: false })) => {
                    let line = format!("'{asked}' fits {} load balancers: name one", list.len());
                    facts.failure = Some(line.into());
                    break;
                }
                Ok(Some(Event::NoTarget { line })) => {
                    facts.failure = Some(line);
                    break;
                }
                Ok(Some(Event::Done { id: 1 })) if facts.target.is_some() || typed => break,
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    facts.failure =
                        Some(format!("not all was answered within {} s", within.as_secs()).into());
                    break;
                }
            }
        }
        // Calls are told of behind what they brought.
        while let Ok(event) = link.events.try_recv() {
            if let Event::Called(call) = event {
                facts.calls.push(call);
            }
        }
        facts
    }
}

fn inside_tmux() -> bool {
    std::env::var_os("TMUX").is_some_and(|v| !v.is_empty())
}

fn options() -> Option<String> {
    Some(format!("{}\n{}", tmux(&["show-options", "-gA"])?, tmux(&["show-options", "-sA"])?))
}

fn tmux(args: &[&str]) -> Option<String> {
    let out =
        process::Command::new("tmux").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(feature = "aws")]
fn policy() -> Result<u8, Failure> {
    let policy = crate::sources::aws::operations::iam_policy();
    let text = serde_json::to_string_pretty(&policy)
        .map_err(|e| Failure::failed(format!("cannot write the policy: {e}")))?;
    Ok(print((text + "\n").as_bytes(), 0))
}

#[cfg(not(feature = "aws"))]
fn policy() -> Result<u8, Failure> {
    Err(Failure::usage("this badgate was built without AWS (--no-default-features): it needs no policy"))
}
