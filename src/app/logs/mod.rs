//! `badgate logs`: reads access logs and says which cause they speak for.

#[cfg(feature = "aws")]
mod afar;
mod follow;

use super::{Failure, print};
use crate::cli::{Engine, Logs};
use crate::report::logs::{self as picture, to_json, to_text};
use crate::situation::Situation;
use crate::sources::access_log::answer::Answer;
use crate::sources::access_log::engine::{Plan, Progress, find, run as read};
use crate::sources::access_log::push::Table;
use crate::sources::access_log::tally::Rules;
use jiff::Timestamp;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A reading this long shows how far it is.
const PATIENCE: Duration = Duration::from_millis(600);
/// Exit code when no row was read.
const NOTHING_SEEN: u8 = 3;

/// The way to stop.
struct Stop {
    progress: Arc<Progress>,
}

/// Reads and answers. The exit code says whether rows fail.
pub fn run(args: &Logs) -> Result<u8, Failure> {
    if args.ddl {
        return ddl(args);
    }
    let started = Instant::now();
    let now = Timestamp::now();
    let from = args.since.map(|w| w.at(now));
    let until = args.until.map(|w| w.at(now));
    if let (Some(f), Some(u)) = (from, until)
        && f >= u
    {
        return Err(Failure::usage(format!("--since is {f}, which is not before --until, {u}")));
    }
    let known = match (&args.incident, &args.target) {
        (Some(path), _) => timeouts(path)?,
        (None, Some(typed)) => asked(args, typed)?,
        (None, None) => (None, None),
    };
    let seconds = |given: Option<Duration>, known: Option<f64>, usual: f64| {
        given.map(|d| d.as_secs_f64()).or(known).unwrap_or(usual)
    };
    let usual = Rules::default();
    let plan = Plan {
        rules: Rules {
            idle: seconds(args.idle_timeout, known.0, usual.idle),
            deregistration: seconds(args.deregistration_delay, known.1, usual.deregistration),
            from: from.map(Timestamp::as_microsecond),
            until: until.map(Timestamp::as_microsecond),
            ..usual
        },
        filter: args.filter.clone(),
        only: args.format,
        template: args.log_format.clone(),
        threads: args.threads,
    };
    let stop = Stop { progress: Arc::default() };
    stop_on_interrupt(stop.progress.clone());
    if args.follow {
        return follow::run(args, &plan, &stop);
    }
    if args.engine != Engine::Local {
        return show(args, &elsewhere(args, (from, until), plan.rules, &stop)?, 0);
    }
    let mut found = find(&args.local(), from, until);
    #[cfg(feature = "aws")]
    let afar = if args.remote().next().is_some() {
        let afar = afar::Afar::new(args)?;
        let inputs = afar.inputs(args, (from, until), &stop, &mut found.skipped, &mut found.problems)?;
        found.inputs.splice(0..0, inputs);
        Some(afar)
    } else {
        None
    };
    #[cfg(not(feature = "aws"))]
    if let Some(place) = args.remote().next() {
        return Err(Failure::failed(format!(
            "'{place}': this badgate was built without AWS; fetch the files and run: badgate logs DIR"
        )));
    }
    let mut bar = Bar::new(started);
    let mut outcome = read(&found.inputs, &plan, &stop.progress, |p| bar.show(p));
    bar.clear();
    outcome.problems.append(&mut found.problems);
    outcome.problems.sort();
    #[cfg(feature = "aws")]
    if let Some(afar) = afar {
        outcome.notes.extend(afar.notes());
    }
    let answer = Answer::of(outcome, args.top, started.elapsed().as_secs_f64());
    show(args, &answer, found.skipped)
}

/// Prints the answer.
fn show(args: &Logs, answer: &Answer, skipped: usize) -> Result<u8, Failure> {
    let text = if args.json {
        // Beside the document, a person may be reading along.
        for p in answer.problems.iter().take(20).chain(answer.notes.iter().take(5)) {
            super::complain(&format!("badgate: {}: {}", p.file, p.what).into());
        }
        to_json(answer)
    } else {
        to_text(answer, &picture::Look { skipped, ..Look::now(args) })
    };
    let code = exit_code(answer);
    if answer.rows == 0 && !args.json {
        print(text.as_bytes(), code);
        let why = match (answer.problems.first(), answer.outside + answer.filtered) {
            (Some(p), 0) => format!("{}: {}", p.file, p.what),
            (None, 0) => "there is no row in what was read".into(),
            (_, n) => format!("none of {n} rows lies in the window and fits --where"),
        };
        return Err(Failure { code, line: why.into() });
    }
    Ok(print(text.as_bytes(), code))
}

fn exit_code(answer: &Answer) -> u8 {
    match (answer.rows, answer.faults, answer.problems.is_empty()) {
        (0, ..) => NOTHING_SEEN,
        (_, 0, true) => 0,
        _ => 1,
    }
}

/// How the picture is drawn on what standard output is.
struct Look;

impl Look {
    fn now(args: &Logs) -> picture::Look {
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        let tty = std::io::stdout().is_terminal();
        let utf8 =
            ["LC_ALL", "LC_CTYPE", "LANG"].map(env).into_iter().find(|v| !v.is_empty()).is_some_and(|v| {
                let v = v.to_ascii_lowercase();
                v.contains("utf-8") || v.contains("utf8")
            });
        let width = tty.then(crossterm::terminal::size).and_then(Result::ok).map_or(80, |s| usize::from(s.0));
        picture::Look {
            width: width.clamp(40, 200),
            color: tty && env("NO_COLOR").is_empty() && env("TERM") != "dumb",
            ascii: args.ascii || (tty && !utf8),
            skipped: 0,
            samples: 1,
            brief: false,
        }
    }
}

/// Prints what creates Athena's table.
fn ddl(args: &Logs) -> Result<u8, Failure> {
    let urls: Vec<&str> = args.remote().filter(|u| u.starts_with("s3://")).collect();
    let [url] = urls.as_slice() else {
        return Err(Failure::usage("--ddl is about one place in S3: badgate logs s3://BUCKET/... --ddl"));
    };
    let (database, name) = args.table.split_once('.').unwrap_or(("default", &args.table));
    let table = Table::over(url, database, name).map_err(Failure::usage)?;
    Ok(print(format!("{};\n", table.ddl()).as_bytes(), 0))
}

/// Idle timeout and deregistration delay, in seconds, as an incident knows
/// them: the shortest where there are several.
fn timeouts(path: &Path) -> Result<(Option<f64>, Option<f64>), Failure> {
    let incident = crate::journal::read(path).map_err(Failure::failed)?;
    let mut s = Situation::new();
    for r in incident.records.iter().filter(|r| r.kind == crate::journal::Kind::Observed && !r.is_log()) {
        if let Some(o) = crate::report::export::observation(r) {
            s.apply(&o);
        }
    }
    let least = |all: Vec<f64>| all.into_iter().reduce(f64::min);
    let lbs = s.lbs.values();
    let idle =
        lbs.filter_map(|l| Situation::attribute_seconds(&l.attributes, "idle_timeout.timeout_seconds"));
    let groups = s.groups.values();
    let delay = groups
        .filter_map(|g| Situation::attribute_seconds(&g.attributes, "deregistration_delay.timeout_seconds"));
    Ok((least(idle.collect()), least(delay.collect())))
}

/// The same, as AWS says of a target.
#[cfg(feature = "aws")]
fn asked(args: &Logs, typed: &str) -> Result<(Option<f64>, Option<f64>), Failure> {
    afar::Afar::new(args)?.waits(typed)
}

#[cfg(not(feature = "aws"))]
fn asked(_: &Logs, _: &str) -> Result<(Option<f64>, Option<f64>), Failure> {
    Err(Failure::failed(
        "--target: this badgate was built without AWS; say --idle-timeout and --deregistration-delay",
    ))
}

/// Puts the question to an engine in the cloud.
#[cfg(feature = "aws")]
fn elsewhere(
    args: &Logs,
    window: (Option<Timestamp>, Option<Timestamp>),
    rules: Rules,
    stop: &Stop,
) -> Result<Answer, Failure> {
    afar::Afar::new(args)?.ask(args, window, rules, stop)
}

#[cfg(not(feature = "aws"))]
fn elsewhere(
    _: &Logs,
    _: (Option<Timestamp>, Option<Timestamp>),
    _: Rules,
    _: &Stop,
) -> Result<Answer, Failure> {
    Err(Failure::failed("this badgate was built without AWS: --engine local reads files"))
}

/// `1.2 GB`.
#[cfg(feature = "aws")]
fn bytes(n: u64) -> String {
    match n {
        0..1_000_000 => format!("{} kB", n.div_ceil(1_000)),
        1_000_000..10_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// The first Ctrl-C ends reading and shows what was read; the second ends the program.
fn stop_on_interrupt(progress: Arc<Progress>) {
    // Without this thread Ctrl-C ends the program, as it does everywhere.
    let _ = std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
            else {
                return;
            };
            if signal.recv().await.is_some() {
                progress.stop.store(true, Ordering::Relaxed);
            }
            if signal.recv().await.is_some() {
                std::process::exit(130);
            }
        });
    });
}

/// One line on a terminal's standard error, while reading takes its time.
struct Bar {
    started: Instant,
    shown: Option<Instant>,
    tty: bool,
}

impl Bar {
    fn new(started: Instant) -> Bar {
        Bar { started, shown: None, tty: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, p: &Progress) {
        let after = self.started.elapsed();
        if !self.tty
            || after < PATIENCE
            || self.shown.is_some_and(|s| s.elapsed() < Duration::from_millis(200))
        {
            return;
        }
        self.shown = Some(Instant::now());
        let (done, all) = (p.done.load(Ordering::Relaxed), p.all.load(Ordering::Relaxed));
        let (rows, seconds) = (p.rows.load(Ordering::Relaxed), after.as_secs_f64());
        let rate = done as f64 / seconds;
        let mut line = format!("{} rows, {:.0} MB, {:.0} MB/s", rows, done as f64 / 1e6, rate / 1e6);
        if all > done && rate > 0.0 {
            let left = (all - done) as f64 / rate;
            line = format!("{line}, {:.0} %, {left:.0} s left", done as f64 * 100.0 / all as f64);
        }
        // A screen that went away is nobody's loss.
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}  (Ctrl-C: what was read so far)");
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
