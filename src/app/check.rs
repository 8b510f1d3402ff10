//! `badgate check TARGET`: everything asked once, every step judged, one report.

use super::recorder::record_of;
use super::{Failure, config, lang, oneshot, print, snapshot, source};
use crate::cli::{Check, Target};
use crate::diagnosis::Judgement;
use crate::diagnosis::catalogue::Catalogue;
use crate::diagnosis::verdict::Standing;
use crate::journal::{Durability, Kind, Record, author};
use crate::procedure::{Context, Incident, Procedure};
use crate::report::check::Report;
use crate::report::verdicts::{self, JUDGE};
use crate::situation::{Fact, Observation, Reason, ResolvedTarget, Situation, Topic};
use crate::sources::host;
use crate::sources::probe::{plain, quietly};
use crate::sources::{Candidate, Command, Event, Link, Options, Want, file_tail};
use crate::text::SafeText;
use futures::future::OptionFuture;
use jiff::{SignedDuration, Timestamp};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Exit code when too little could be observed.
const NOTHING_SEEN: u8 = 3;
/// Names shown when TARGET fits several load balancers.
const NAMED: usize = 5;

/// Runs the check; the exit code is the report's.
pub fn run(args: &Check) -> Result<u8, Failure> {
    let config = config(args.observe.config.as_deref())?;
    let lang = lang(args.observe.lang, &config);
    let procedure = Procedure::load(lang).map_err(Failure::failed)?;
    let words = Catalogue::load(lang.tag()).map_err(Failure::failed)?;
    let options = args.observe.options(Some(&args.target), &config, false);
    let target = args.target.text().to_owned();
    let by = author(|name| std::env::var_os(name));
    let writer = oneshot::open(args.incident.as_deref(), &by, &target, "check")?;

    // What may run on somebody's hosts is said before it does.
    if options.ssm && args.snapshot.is_none() && std::io::stderr().is_terminal() {
        super::complain(&SafeText::from_static(
            "badgate: should something be wrong, instances behind the target are asked by Run Command, and tasks by ECS \
             Exec where it is enabled, with commands \
             that only read ('badgate host --list' shows them, '--ssm no' leaves it out)",
        ));
    }
    let started = Timestamp::now();
    let log_files = args.observe.log_files.clone();
    let timeout = args.observe.timeout;
    let asked = target.clone();
    let looked = match &args.snapshot {
        Some(dir) => snapshot::observe(dir, &asked).map(|mut all| {
            all.extend(file_tail::once(&log_files));
            all
        }),
        None => look(options, log_files, asked, timeout),
    };
    let observations = looked.inspect_err(|failure| {
        // A program that asked for the document gets one, beside the line.
        if args.json && failure.code == NOTHING_SEEN {
            let report = Report::unseen(target.as_str(), Timestamp::now(), failure.line.clone());
            print(report.to_json().as_bytes(), failure.code);
        }
    })?;

    let mut situation = Situation::new();
    for o in &observations {
        situation.apply(o);
        if let Some(w) = &writer {
            w.append(record_of(o), Durability::Grouped, |_| {});
        }
    }
    // A folder is judged as of its own time.
    let now = situation.at.filter(|_| args.snapshot.is_some()).unwrap_or_else(Timestamp::now);
    let back = SignedDuration::try_from(args.observe.since).unwrap_or(SignedDuration::from_mins(30));
    let since = now.checked_sub(back).unwrap_or(now);
    let incident = args.incident.as_ref().map(|path| Incident {
        file: SafeText::from(path.to_string_lossy()),
        opened: Some(started),
        observations: observations.len(),
        ..Incident::default()
    });
    let context = Context { started, incident: incident.as_ref(), ..Context::bare(now, since) };
    let steps = procedure.run_all(&situation, &context);
    let judged = Judgement::of(&situation, &[]);
    let report = Report::new(target.as_str(), now, &situation, &steps, &judged, &words);
    if let Some(w) = writer {
        for step in &steps {
            let data = serde_json::to_value(step).unwrap_or_default();
            w.append(Record::new(step.finished, by.clone(), Kind::Step, data), Durability::Now, |_| {});
        }
        for v in judged.diagnosis.verdicts.iter().filter(|v| v.standing <= Standing::Possible) {
            let data = verdicts::record(v, None, Some(&words));
            w.append(Record::new(now, JUDGE.into(), Kind::Verdict, data), Durability::Now, |_| {});
        }
        oneshot::close(w)?;
    }
    let text = if args.json { report.to_json() } else { report.to_text() };
    Ok(print(text.as_bytes(), report.exit_code()))
}

/// Asks the cloud for everything and reads the files, at most `timeout` long.
pub(super) fn look(
    options: Options,
    log_files: Vec<PathBuf>,
    target: String,
    timeout: Duration,
) -> Result<Vec<Observation>, Failure> {
    crate::console::run::block_on(async move {
        // Each file is read once, whole as far as it is read at all, while the
        // cloud answers; a tail would be cut off where the last answer falls.
        let given = !log_files.is_empty();
        let files = tokio::task::spawn_blocking(move || file_tail::once(&log_files));
        let asked = options.probe.then(|| plain::for_target(&target, &options.resolve, timeout)).flatten();
        let asking = host::Asking { limit: timeout.min(host::LIMIT), look: None };
        let hosts: Vec<_> = options
            .hosts
            .iter()
            .cloned()
            .map(|h| tokio::spawn(async move { host::observe_by(&h, &asking).await }))
            .collect();
        let probed =
            asked.map(|ask| tokio::spawn(async move { plain::observe(&ask, timeout, &quietly()).await }));
        let mut observed = observe(source::start(options, Vec::new())?, target.clone(), timeout).await;
        if let Err(why) = &observed
            && (given || !hosts.is_empty())
            && let Some(known) = without_cloud(&target, why)
        {
            super::complain(&format!("badgate: {}; judged by what was given", why.line).into());
            observed = Ok(known);
        }
        if let Ok(all) = &mut observed {
            all.extend(files.await.unwrap_or_default());
            for asked in hosts {
                all.extend(asked.await.unwrap_or_default());
            }
            if let Some(Ok(seen)) = OptionFuture::from(probed).await {
                all.push(seen);
            }
        }
        Ok::<_, std::io::Error>(observed)
    })
    .and_then(|r| r)
    .map_err(|e| Failure::failed(format!("cannot start: {e}")))?
}

/// What stands of a URL or host name that no cloud could be asked of, when a
/// person gave its logs or hosts: they can be judged by themselves.
fn without_cloud(target: &str, why: &Failure) -> Option<Vec<Observation>> {
    let host = match target.parse::<Target>() {
        Ok(Target::Url { host, .. } | Target::Host(host)) if why.code == NOTHING_SEEN => host,
        _ => return None,
    };
    let at = Timestamp::now();
    let made = |topic, fact| Observation {
        at,
        source: SafeText::from_static("command line"),
        topic,
        fact,
        took_ms: 0,
    };
    let found = ResolvedTarget {
        asked: target.into(),
        host: host.into(),
        matched_by: "name".into(),
        ..ResolvedTarget::default()
    };
    let reason = Reason::Failed { code: "AWS".into(), detail: why.line.clone() };
    Some(vec![made(Topic::Target, Fact::Target(found)), made(Topic::Identity, Fact::Unknown(reason))])
}

/// Asks for everything and collects what is said until all was answered or has
/// failed, or `within` is over: then what is known by then is judged.
async fn observe(mut link: Link, target: String, within: Duration) -> Result<Vec<Observation>, Failure> {
    let mut all = Vec::new();
    for command in [Command::Open(target), Command::Refresh { id: 1, wants: Want::ALL.to_vec() }] {
        if link.commands.send(command).await.is_err() {
            return Err(nothing("the source ended before it was asked"));
        }
    }
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let event = match tokio::time::timeout_at(deadline, link.events.recv()).await {
            Ok(Some(event)) => event,
            // Too late or gone: unanswered questions stand in the report as unknown.
            Ok(None) | Err(_) => break,
        };
        match event {
            Event::Observed(list) => all.extend(list),
            Event::NoTarget { line } => return Err(nothing(&line)),
            Event::Candidates { asked, list, more: false } => return Err(several(&asked, &list)),
            Event::Done { id: 1 } => break,
            Event::Candidates { .. }
            | Event::Done { .. }
            | Event::Called(_)
            | Event::Brief { .. }
            | Event::Offers(_)
            | Event::Hosts(_)
            | Event::Under { .. }
            | Event::Acted { .. }
            | Event::Over { .. }
            | Event::Place { .. } => {}
        }
    }
    if all.is_empty() {
        return Err(nothing(&format!("no answer within {} s", within.as_secs())));
    }
    Ok(all)
}

fn nothing(line: &str) -> Failure {
    Failure { code: NOTHING_SEEN, line: SafeText::from(line) }
}

fn several(asked: &SafeText, list: &[Candidate]) -> Failure {
    let of = |c: &Candidate| match c.place.as_str() {
        "" => c.name.to_string(),
        place => format!("{} in {place}", c.name),
    };
    let names: Vec<String> = list.iter().take(NAMED).map(of).collect();
    let what = match list.iter().all(|c| c.place.is_empty()) {
        true => "name one of them",
        false => "name one of them, or one --profile and one --region",
    };
    let rest = list.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    Failure::usage(format!("'{asked}' fits several load balancers: {}{more}; {what}", names.join(", ")))
}
