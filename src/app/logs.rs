//! `badgate logs`: reads access logs and says which cause they speak for.

use super::{Failure, print};
use crate::cli::{Engine, Logs};
use crate::report::logs::{Look, to_json, to_text};
use crate::sources::access_log::answer::Answer;
use crate::sources::access_log::engine::{Plan, Progress, find, run as read};
use crate::sources::access_log::tally::Rules;
use jiff::Timestamp;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A reading this long shows how far it is.
const PATIENCE: Duration = Duration::from_millis(600);
/// Exit code when no row was read.
const NOTHING_SEEN: u8 = 3;

/// Reads and answers. The exit code says whether rows fail.
pub fn run(args: &Logs) -> Result<u8, Failure> {
    if args.engine != Engine::Local {
        return Err(elsewhere(args));
    }
    if let Some(place) = args.remote().next() {
        return Err(Failure::failed(format!(
            "'{place}': this badgate cannot read S3; fetch the files (aws s3 sync {place} DIR) and run: badgate logs DIR"
        )));
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
    let found = find(&args.local(), from, until);
    let plan = Plan {
        rules: Rules {
            idle: args.idle_timeout.as_secs_f64(),
            deregistration: args.deregistration_delay.as_secs_f64(),
            from: from.map(Timestamp::as_microsecond),
            until: until.map(Timestamp::as_microsecond),
            ..Rules::default()
        },
        filter: args.filter.clone(),
        only: args.format,
        template: args.log_format.clone(),
        threads: args.threads,
    };
    let progress = Arc::new(Progress::default());
    stop_on_interrupt(progress.clone());
    let mut bar = Bar::new(started);
    let mut outcome = read(&found.inputs, &plan, &progress, |p| bar.show(p));
    bar.clear();
    outcome.problems.extend(found.problems);
    outcome.problems.sort();
    let answer = Answer::of(outcome, args.top, started.elapsed().as_secs_f64());
    let out = std::io::stdout();
    let text = if args.json {
        // Beside the document, a person may be reading along.
        for p in answer.problems.iter().take(20) {
            super::complain(&format!("badgate: {}: {}", p.file, p.what).into());
        }
        to_json(&answer)
    } else {
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        let tty = out.is_terminal();
        let utf8 =
            ["LC_ALL", "LC_CTYPE", "LANG"].map(env).into_iter().find(|v| !v.is_empty()).is_some_and(|v| {
                let v = v.to_ascii_lowercase();
                v.contains("utf-8") || v.contains("utf8")
            });
        let width = tty.then(crossterm::terminal::size).and_then(Result::ok).map_or(80, |s| usize::from(s.0));
        let look = Look {
            width: width.clamp(40, 200),
            color: tty && env("NO_COLOR").is_empty() && env("TERM") != "dumb",
            ascii: args.ascii || (tty && !utf8),
            skipped: found.skipped,
            samples: 1,
        };
        to_text(&answer, &look)
    };
    let code = match (answer.rows, answer.faults, answer.problems.is_empty()) {
        (0, ..) => NOTHING_SEEN,
        (_, 0, true) => 0,
        _ => 1,
    };
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

fn elsewhere(args: &Logs) -> Failure {
    let name = if args.engine == Engine::Athena { "athena" } else { "insights" };
    Failure::failed(format!("--engine {name} is not in this badgate; --engine local reads files"))
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
