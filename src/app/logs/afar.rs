//! `badgate logs` of what is not here: S3, CloudWatch Logs, Insights, Athena.

use super::{Stop, bytes};
use crate::app::{Failure, complain};
use crate::cli::{Engine, Logs};
use crate::situation::Reason;
use crate::sources::Options;
use crate::sources::access_log::answer::{Answer, Problem};
use crate::sources::access_log::engine::Input;
use crate::sources::access_log::push::{ATHENA_TB, INSIGHTS_GB, Span, Table, answer};
use crate::sources::access_log::tally::Rules;
use crate::sources::aws::rows::{self, Place, Story};
use crate::sources::aws::{Aws, rows::Athena};
use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// From here on badgate asks before it downloads.
const ASK: u64 = 256 << 20;
/// What badgate reads by itself at most, packed as it is.
const LOCAL: u64 = 20 << 30;
/// Of log groups, which are read a megabyte at a time.
const LOCAL_GROUP: u64 = 2 << 30;
/// A query that costs more, in US dollars, is asked about.
const COST: f64 = 1.0;
/// A piece of an object over a slow line.
const CALL: Duration = Duration::from_secs(60);
/// What an engine has, after Ctrl-C, to end the queries it runs for us.
const ENDING: Duration = Duration::from_secs(10);
/// How far back a log group is read when nobody says.
const BACK: SignedDuration = SignedDuration::from_hours(1);

/// A runtime and who we are in the cloud, for as long as is read.
pub(super) struct Afar {
    runtime: tokio::runtime::Runtime,
    aws: Aws,
    story: Arc<Story>,
}

impl Afar {
    /// Logs in nowhere yet: credentials are looked for at the first question.
    pub(super) fn new(args: &Logs) -> Result<Afar, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fetch")
            .enable_all()
            .build()
            .map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
        let options = Options {
            profile: args.profile.clone(),
            region: args.region.clone(),
            call_timeout: Some(CALL),
            allow_changes: args.allow_changes,
            ..Options::default()
        };
        let aws = runtime.block_on(async {
            // Nobody reads the call log here; a full queue must not hold a call.
            let (calls, mut unread) = mpsc::channel(64);
            tokio::spawn(async move { while unread.recv().await.is_some() {} });
            Aws::load(options, calls).await
        });
        Ok(Afar { runtime, aws: aws.map_err(|why| told("AWS", &why))?, story: Arc::default() })
    }

    /// Waits for an answer, or for Ctrl-C.
    fn wait<T>(&self, stop: &Stop, what: impl Future<Output = T>) -> Result<T, Failure> {
        let stopped = async {
            while !stop.progress.stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                got = what => Ok(got),
                () = stopped => Err(Failure { code: 130, line: "stopped; nothing was read yet".into() }),
            }
        })
    }

    /// Waits for an engine's answer. After Ctrl-C the engine has a moment to end
    /// the queries it runs for us.
    fn finish<T>(
        &self,
        stop: &Stop,
        what: &str,
        asked: impl Future<Output = Result<T, Reason>>,
    ) -> Result<T, Failure> {
        let mut asked = pin!(asked);
        if let Ok(got) = self.wait(stop, asked.as_mut()) {
            let stopped = stop.progress.stop.load(Ordering::Relaxed);
            return got.map_err(|why| if stopped { ended(what, &why) } else { told(what, &why) });
        }
        complain(&format!("badgate: stopping; {what} is told to end what it runs for us").into());
        match self.runtime.block_on(async { tokio::time::timeout(ENDING, asked).await }) {
            Ok(got) => got.map_err(|why| ended(what, &why)),
            Err(_) => Err(Failure {
                code: 130,
                line: format!("stopped; {what} did not answer: its queries may go on").into(),
            }),
        }
    }

    /// What the arguments that are not files stand for; files left out by
    /// their names are counted into `skipped`.
    pub(super) fn inputs(
        &self,
        args: &Logs,
        (from, until): (Option<Timestamp>, Option<Timestamp>),
        stop: &Stop,
        skipped: &mut usize,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<Input>, Failure> {
        let mut found = Vec::new();
        let mut size = 0;
        for url in args.remote().filter(|u| u.starts_with("s3://")) {
            let place = Place::parse(url).map_err(Failure::usage)?;
            let listed = self.wait(stop, rows::list(&self.aws, &place, (from, until), &stop.progress))?;
            let (aws, listed) = listed.map_err(|why| told(url, &why))?;
            *skipped += listed.skipped;
            size += listed.size();
            if listed.more {
                let what =
                    format!("holds more files than are listed; the newest {} are read", listed.objects.len());
                problems.push(Problem::new(&url.into(), what));
            }
            if listed.objects.is_empty() {
                problems.push(Problem::new(&url.into(), "holds no file of the window"));
            }
            found.push((aws, place, listed.objects));
        }
        let count: usize = found.iter().map(|f| f.2.len()).sum();
        let what = format!("{} in {count} files", bytes(size));
        if size > LOCAL && !args.yes {
            return Err(Failure::usage(format!(
                "{what}: more than the {} that badgate reads by itself; narrow it with --since and --until, ask with --engine athena, or read it all the same with --yes",
                bytes(LOCAL)
            )));
        }
        if size > ASK {
            agree(args, &format!("{what} are to be downloaded"))?;
        }
        let _context = self.runtime.enter();
        let mut out = Vec::new();
        for (aws, place, objects) in found {
            out.extend(rows::objects(&aws, &place.bucket, objects, &stop.progress, &self.story));
        }
        for name in args.groups() {
            let from = from.unwrap_or_else(|| back(until));
            let group = self.wait(stop, rows::groups(&self.aws, name))?.map_err(|why| told(name, &why))?;
            let size = share(&group, from, until.unwrap_or_else(Timestamp::now));
            if size > LOCAL_GROUP && !args.yes {
                return Err(Failure::usage(format!(
                    "log group {name} holds about {} of this window, more than the {} that badgate reads by itself; shorten it with --since and --until, ask with --engine insights, or read it all the same with --yes",
                    bytes(size),
                    bytes(LOCAL_GROUP)
                )));
            }
            out.push(rows::group(&self.aws, name, (from, until), &stop.progress));
        }
        Ok(out)
    }

    /// What was met on the way.
    pub(super) fn notes(&self) -> Vec<Problem> {
        let n = |a: &std::sync::atomic::AtomicU64| a.load(Ordering::Relaxed);
        let mut out = Vec::new();
        let mut say = |n: u64, what: String| {
            if n > 0 {
                out.push(Problem::new(&"S3".into(), what));
            }
        };
        let (slow, again, denied) = (n(&self.story.throttled), n(&self.story.resumed), n(&self.story.denied));
        say(slow, format!("throttled us: pieces waited {slow} times"));
        say(again, format!("{again} pieces broke off and were asked for again from there"));
        say(denied, format!("{denied} pieces of files were denied"));
        out
    }

    /// Idle timeout and deregistration delay, in seconds, of what a TARGET stands
    /// for; what stays unknown is said.
    pub(super) fn waits(&self, typed: &str) -> Result<(Option<f64>, Option<f64>), Failure> {
        let waits = self.runtime.block_on(rows::waits(&self.aws, typed));
        let waits = waits.map_err(|why| match why {
            rows::NoWaits::Line(line) => Failure::usage(format!("--target: {line}")),
            rows::NoWaits::Reason(why) => told("--target", &why),
        })?;
        let say = |what: &str, known: Result<Option<f64>, Reason>| {
            let why = match known {
                Ok(Some(s)) => return Some(s),
                Ok(None) => "it has none".into(),
                Err(why) => why.phrase(),
            };
            let name = &waits.of;
            complain(
                &format!("badgate: the {what} of {name} is not known ({why}); the usual one is taken").into(),
            );
            None
        };
        let idle = say("idle timeout", waits.idle);
        let delay = say("deregistration delay", waits.deregistration);
        Ok((idle, delay))
    }

    /// Puts the question to Insights or Athena.
    pub(super) fn ask(
        &self,
        args: &Logs,
        (from, until): (Option<Timestamp>, Option<Timestamp>),
        rules: Rules,
        stop: &Stop,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let until = until.unwrap_or_else(Timestamp::now);
        let span = Span { from: from.unwrap_or_else(|| back(Some(until))), until };
        if args.filter.is_some() {
            return Err(Failure::usage("--where is known to --engine local only"));
        }
        let only = |what: &str| Failure::usage(format!("--engine {} asks one {what}", engine(args)));
        let (source, counted) = if args.engine == Engine::Insights {
            let names: Vec<&str> = args.groups().collect();
            let [name] = names.as_slice() else {
                return Err(only("log group: badgate logs cwl:NAME --engine insights"));
            };
            let group = self.wait(stop, rows::groups(&self.aws, name))?.map_err(|why| told(name, &why))?;
            let written =
                self.wait(stop, rows::row_form(&self.aws, name, span))?.map_err(|why| told(name, &why))?;
            // Four queries read the window once each.
            let size = share(&group, span.from, until) * 4;
            let cost = size as f64 / 1e9 * INSIGHTS_GB;
            price(args, &format!("Insights will read about {} of {name}", bytes(size)), cost)?;
            let asked = rows::insights(&self.aws, name, span, written, &stop.progress);
            (format!("cwl:{name}"), self.finish(stop, "Insights", asked)?)
        } else {
            let urls: Vec<&str> = args.remote().filter(|u| u.starts_with("s3://")).collect();
            let [url] = urls.as_slice() else {
                return Err(only("place in S3: badgate logs s3://BUCKET/PREFIX --engine athena"));
            };
            let table = table(args, url)?;
            let place = Place::parse(&format!("{}/", table.location)).map_err(Failure::usage)?;
            let listed = self
                .wait(stop, rows::list(&self.aws, &place, (Some(span.from), Some(until)), &stop.progress))?;
            let athena = Athena { table, workgroup: args.workgroup.clone(), output: args.output.clone() };
            match listed {
                Ok((_, listed)) => {
                    let size = listed.size() * 4;
                    // Every query is charged for 10 MB at least.
                    let cost = (size as f64).max(40e6) / 1e12 * ATHENA_TB;
                    price(
                        args,
                        &format!("Athena will read about {} of {}", bytes(size), athena.table.location),
                        cost,
                    )?;
                }
                Err(why) => {
                    complain(&format!("badgate: what it will read is unknown ({})", why.phrase()).into());
                    agree(args, "Athena is to be asked all the same")?;
                }
            }
            if args.allow_changes {
                complain(
                    &format!(
                        "badgate: {}.{} is created where it is missing",
                        athena.table.database, athena.table.name
                    )
                    .into(),
                );
                self.finish(stop, "Athena", rows::created(&self.aws, &athena, &stop.progress))?;
            }
            let asked = rows::athena(&self.aws, &athena, span, &stop.progress);
            let counted = self.finish(stop, "Athena", asked)?;
            (athena.table.location.clone(), counted)
        };
        Ok(answer(engine(args), &source, counted, rules, args.top, started.elapsed().as_secs_f64()))
    }
}

fn engine(args: &Logs) -> &'static str {
    if args.engine == Engine::Athena { "athena" } else { "insights" }
}

fn table(args: &Logs, url: &str) -> Result<Table, Failure> {
    let (database, name) = args.table.split_once('.').unwrap_or(("default", &args.table));
    Table::over(url, database, name).map_err(Failure::usage)
}

fn back(until: Option<Timestamp>) -> Timestamp {
    let until = until.unwrap_or_else(Timestamp::now);
    until.checked_sub(BACK).unwrap_or(until)
}

/// Bytes of a group that lie in a stretch, as if it had grown evenly.
fn share(group: &rows::Group, from: Timestamp, until: Timestamp) -> u64 {
    let seconds = |a: Timestamp, b: Timestamp| b.duration_since(a).as_secs_f64().max(0.0);
    let Some(created) = group.created else { return group.bytes };
    let whole = seconds(created, Timestamp::now()).max(1.0);
    (group.bytes as f64 * (seconds(from.max(created), until) / whole).min(1.0)) as u64
}

fn price(args: &Logs, what: &str, cost: f64) -> Result<(), Failure> {
    let cost_text =
        if cost < 0.01 { "less than 0.01 USD".to_string() } else { format!("about {cost:.2} USD") };
    let line = format!("{what}, {cost_text} at the list price of most regions");
    if cost > COST {
        return agree(args, &line);
    }
    complain(&format!("badgate: {line}").into());
    Ok(())
}

/// Asks a person; without one, `--yes` must have said so.
fn agree(args: &Logs, what: &str) -> Result<(), Failure> {
    if args.yes {
        complain(&format!("badgate: {what}").into());
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Failure::usage(format!(
            "{what}: say so with --yes, or shorten it with --since and --until"
        )));
    }
    let mut err = std::io::stderr();
    let _ = write!(err, "badgate: {}. Go on? [y/N] ", crate::text::SafeText::from(what));
    let _ = err.flush();
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    if read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure { code: 1, line: "nothing was read".into() })
}

/// A person stopped it.
fn ended(what: &str, why: &Reason) -> Failure {
    let line = match why {
        Reason::Failed { code, detail } if code.as_str() == "stopped" => format!("stopped; {what}: {detail}"),
        other => format!("stopped; {what}: {}", other.phrase()),
    };
    Failure { code: 130, line: line.into() }
}

fn told(what: &str, why: &Reason) -> Failure {
    Failure { code: 3, line: format!("{what}: {}", why.phrase()).into() }
}
