//! `badgate drill`: a small outage on this machine, in the same console.

use super::open::{TRIES, farewell, name_of, theme, wishes};
use super::recorder::{self, Wanted};
use super::{Failure, config, incident_dir, lang, print};
use crate::cli::Drill as Args;
use crate::console::caps::Caps;
use crate::console::keys::Keymap;
use crate::console::msg::{Draft, Durability};
use crate::console::record::{Journal, Recorder};
use crate::console::run::{ConsoleConfig, How, Part, RunError, block_on, run as console};
use crate::console::state::Incident;
use crate::console::theme::Tint;
use crate::diagnosis::Judgement;
use crate::diagnosis::catalogue::Catalogue;
use crate::diagnosis::verdict::Standing;
use crate::journal::{Mode, OpenError, author, free_path, stem};
use crate::procedure::{Context, Procedure, StepResult};
use crate::report::check::Report;
use crate::report::debrief::{Debrief, Did, Moment};
use crate::situation::{Observation, Situation, Want};
use crate::sources::drill::script::{self, Drill};
use crate::sources::drill::{self, HOST, Handle, Wish};
use crate::sources::{Command, Event, Link};
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Drill seconds in a second: ten minutes are an hour.
const PACE: f64 = 6.0;
/// The same for the calm before the onset.
const CALM_PACE: f64 = 40.0;
/// The same without a screen.
const SHORT_PACE: f64 = 20.0;

/// Name and version of the JSON shape.
const SCHEMA: &str = "badgate.drill/1";

/// Lists, plays or tries a drill.
pub fn run(args: &Args, started: Instant) -> Result<u8, Failure> {
    if args.list {
        return Ok(print(list()?.as_bytes(), 0));
    }
    let drill = chosen(args)?;
    if args.headless { headless(args, &drill) } else { play(args, drill, started) }
}

fn chosen(args: &Args) -> Result<Drill, Failure> {
    match (&args.file, &args.name) {
        (Some(path), _) => Drill::load(path),
        (None, Some(name)) => script::named(name),
        (None, None) => script::first(),
    }
    .map_err(Failure::usage)
}

fn list() -> Result<String, Failure> {
    let all = script::all().map_err(Failure::failed)?;
    let wide = all.iter().map(|d| d.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for d in &all {
        let level = ["", "easy", "medium", "hard"].get(usize::from(d.level)).copied().unwrap_or("");
        out.push_str(&format!("{:<wide$}  {level:<6}  {}\n", d.name, d.title));
    }
    Ok(out)
}

/// When the drill's clock starts, so that it shows the wall clock's time when
/// the drill ends: no line of an incident file is ever of the future.
fn start(drill: &Drill, lasts: Duration) -> Timestamp {
    let calm = drill.calm * 60.0 - 45.0;
    let rest = (lasts.as_secs_f64() - calm / CALM_PACE).max(0.0);
    let ahead = calm + rest * PACE - lasts.as_secs_f64();
    #[allow(clippy::cast_possible_truncation, reason = "hours at most")]
    let ahead = SignedDuration::from_millis((ahead * 1000.0) as i64);
    let now = Timestamp::now();
    now.checked_sub(ahead).unwrap_or(now)
}

/// The console on a drill.
fn play(args: &Args, drill: Drill, started: Instant) -> Result<u8, Failure> {
    let config = config(args.config.as_deref())?;
    let keymap = Keymap::new(&config.remap()).map_err(|errors| Failure::usage(errors.join("; ")))?;
    let lang = lang(args.lang, &config);
    let procedure = Procedure::load(lang).map_err(Failure::failed)?;
    let words = Arc::new(Catalogue::load(lang.tag()).map_err(Failure::failed)?);
    let truth = words.get(&drill.truth).map(|c| c.title.clone()).unwrap_or_default();
    let by = author(|name| std::env::var_os(name));
    let begins = start(&drill, args.duration);
    let about = json!({"name": drill.name, "title": drill.title, "story": drill.story, "seed": args.seed, "pace": PACE});
    let (path, journal) = begin(args, &config, &drill, &by, (begins, about))?;
    let caps = Caps::detect(wishes(&args.screen, &config), |name| std::env::var(name).ok());
    let log = Arc::new(Mutex::new(Vec::new()));
    let seed = args.seed;
    let wish = Wish {
        drill: drill.clone(),
        seed,
        pace: PACE,
        calm_pace: CALM_PACE,
        start: begins,
        lasts: args.duration,
    };
    let procedure = Arc::new(procedure);
    let projector = super::film::projector(path.clone(), Arc::clone(&procedure));
    let (notes, at) = (Arc::clone(&log), path.clone());
    let screen = args.screen.clone();
    let ended = block_on(async move {
        let (link, handle) = drill::start(wish).await.map_err(RunError::Start)?;
        let handle = Arc::new(handle);
        let mut coach = Coach {
            inner: journal.recorder,
            log: notes,
            handle: Arc::clone(&handle),
            drill,
            seed,
            truth,
            told: None,
        };
        let told = coach.told();
        let journal = Journal { recorder: Box::new(coach), ..journal };
        let console_config = ConsoleConfig {
            incident: Incident {
                name: name_of(&at),
                path: Some(at.clone()),
                author: by,
                asked: HOST.into(),
                opened: handle.clock.now(),
                onset: None,
            },
            target: HOST.to_owned(),
            caps,
            theme: theme(screen.theme.unwrap_or(config.theme), caps.depth, Tint::None),
            label: SafeText::from("DRILL 6x"),
            faces: std::collections::BTreeMap::new(),
            keymap,
            procedure,
            words,
            following: Vec::new(),
            part: Part::Asks,
            exporter: Some(super::export::beside(&at, config.redact, lang)),
            saver: Some(super::export::save_beside(&at, config.redact)),
            log: at.parent().map(|dir| dir.join("badgate.log")),
            stats: std::env::var_os("BADGATE_STATS").map(PathBuf::from),
            started,
            clock: Some(handle.clock.clone()),
        };
        let ended = console(console_config, link, Some(journal), Some(projector)).await?;
        Ok::<_, RunError>((ended, told))
    })
    .map_err(|e| Failure::failed(format!("cannot start: {e}")))?
    .map_err(Failure::failed)?;
    let (ended, told) = ended;
    if ended.how != How::HangUp
        && let Some(d) = told.lock().unwrap_or_else(PoisonError::into_inner).take()
    {
        print(SafeText::multiline(d.to_text() + "\n").as_bytes(), 0);
    }
    Ok(farewell(&ended, &path))
}

fn begin(
    args: &Args,
    config: &crate::config::Config,
    drill: &Drill,
    by: &SafeText,
    about: (Timestamp, Value),
) -> Result<(PathBuf, Journal), Failure> {
    let mut tries = 0;
    loop {
        let (path, mode) = match &args.incident {
            Some(path) => (path.clone(), Mode::New),
            None => {
                let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
                (free_path(&incident_dir(config), &stem(&format!("drill-{}", drill.name), today)), Mode::New)
            }
        };
        let wanted = Wanted {
            path: path.clone(),
            mode,
            author: by.clone(),
            target: HOST.into(),
            drill: Some(about.clone()),
        };
        match recorder::open_for(wanted, "drill") {
            Err(OpenError::Exists(_)) if args.incident.is_none() && tries < TRIES => tries += 1,
            other => return Ok((path, other.map_err(Failure::failed)?)),
        }
    }
}

type Told = Arc<Mutex<Option<Debrief>>>;

/// Stands between the console and its recorder and remembers what the player did.
struct Coach {
    inner: Box<dyn Recorder>,
    log: Arc<Mutex<Vec<Moment>>>,
    handle: Arc<Handle>,
    drill: Drill,
    seed: u64,
    truth: SafeText,
    told: Option<Told>,
}

impl Coach {
    fn told(&mut self) -> Told {
        Arc::clone(self.told.get_or_insert_with(Arc::default))
    }

    /// Real seconds from the onset.
    fn since_onset(&self, at: Timestamp) -> f64 {
        at.duration_since(self.handle.onset).as_secs_f64() / PACE
    }

    fn moment(&self, draft: &Draft) -> Option<Moment> {
        let text = |name: &str| draft.data.get(name).and_then(Value::as_str).map(SafeText::multiline);
        let what = match draft.kind {
            "step" => Did::Step(u8::try_from(draft.data.get("id")?.as_u64()?).ok()?),
            "note" => Did::Note(text("text")?),
            "mark" => Did::Mark(text("text")?),
            "action" => Did::Action(text("action")?),
            "verdict" => {
                let cause = text("cause")?;
                let stands = text("standing")?;
                let sure = matches!(stands.as_str(), "confirmed" | "likely");
                if cause.as_str() != self.drill.truth || !sure {
                    return None;
                }
                Did::Named(cause)
            }
            _ => return None,
        };
        Some(Moment { at_s: self.since_onset(draft.at), what })
    }

    fn debrief(&self) -> Debrief {
        let moments = self.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cured = self.handle.deeds().cured.map(|t| self.since_onset(t));
        Debrief::of(&self.drill, self.seed, self.truth.clone(), &moments, cured, self.handle.failing(2))
    }
}

impl Coach {
    /// When each phase began, in the time of the file: for a postmortem.
    fn phases(&self, d: &Debrief) -> Value {
        let onset = self.handle.onset;
        let at = |s: f64| onset.checked_add(SignedDuration::from_secs_f64(s * PACE)).ok();
        json!({
            "onset": onset,
            "detected": d.detect.took_s.and_then(at),
            "diagnosed": d.name.took_s.or(d.badgate_named_s).and_then(at),
            "mitigated": d.mitigate.took_s.and_then(at),
        })
    }
}

impl Recorder for Coach {
    fn record(&mut self, draft: Draft) {
        if let Some(m) = self.moment(&draft) {
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push(m);
        }
        if draft.kind == "closed" {
            // The last word before the file is closed.
            let d = self.debrief();
            let text = SafeText::multiline(d.to_text());
            self.inner.record(Draft {
                id: 0,
                at: draft.at,
                by: Some("drill".into()),
                kind: "note",
                data: json!({"text": text, "debrief": d, "phases": self.phases(&d)}),
                durability: Durability::Now,
            });
            *self.told().lock().unwrap_or_else(PoisonError::into_inner) = Some(d);
        }
        self.inner.record(draft);
    }

    fn observed(&mut self, list: Vec<Observation>) {
        self.inner.observed(list);
    }

    fn close(&mut self, within: Duration) -> Result<(), SafeText> {
        self.inner.close(within)
    }
}

/// What a drill without a screen came to.
pub struct Outcome {
    pub situation: Situation,
    pub steps: Vec<StepResult>,
    pub judged: Judgement,
    pub at: Timestamp,
    pub onset: Timestamp,
    pub failing: (usize, usize),
}

impl Outcome {
    /// The first verdict, when it is confirmed or likely.
    pub fn top(&self) -> Option<(&'static str, Standing)> {
        self.judged.diagnosis.top().map(|v| (v.cause, v.standing))
    }

    /// How a cause stands.
    pub fn stands(&self, cause: &str) -> Option<Standing> {
        self.judged.diagnosis.of(cause).map(|v| v.standing)
    }
}

/// Plays a drill at a quick pace up to the moment it is judged at, and judges
/// it as the console would. Its clock begins at `start`. Must be called within
/// a tokio runtime.
///
/// # Errors
/// The system gives no port, or the drill ended early.
pub async fn try_out(
    drill: &Drill,
    seed: u64,
    start: Timestamp,
    pace: f64,
    procedure: &Procedure,
) -> std::io::Result<Outcome> {
    let wish =
        Wish { drill: drill.clone(), seed, pace, calm_pace: pace, start, lasts: Duration::from_secs(3600) };
    let (mut link, handle) = drill::start(wish).await?;
    let ended = || std::io::Error::other("the drill ended before it was judged");
    let mut situation = Situation::new();
    link.commands.send(Command::Open(HOST.to_owned())).await.map_err(|_| ended())?;
    #[allow(clippy::cast_possible_truncation, reason = "minutes")]
    let until = handle.onset + SignedDuration::from_millis((drill.judged_after * 60_000.0) as i64);
    {
        let deadline = handle.clock.sleep_until(until);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => break,
                event = link.events.recv() => fold(&mut situation, event.ok_or_else(ended)?),
            }
        }
    }
    link.commands.send(Command::Refresh { id: 1, wants: Want::ALL.to_vec() }).await.map_err(|_| ended())?;
    settle(&mut link, &mut situation).await.ok_or_else(ended)?;
    let at = handle.clock.now();
    let since = handle.onset;
    let context = Context { started: at, ..Context::bare(at, since) };
    let steps = procedure.run_all(&situation, &context);
    let judged = Judgement::of(&situation, &[]);
    Ok(Outcome { steps, judged, at, onset: handle.onset, failing: handle.failing(3), situation })
}

/// Takes in what is said until the refresh is answered.
async fn settle(link: &mut Link, situation: &mut Situation) -> Option<()> {
    loop {
        match link.events.recv().await? {
            Event::Done { id: 1 } => return Some(()),
            other => fold(situation, other),
        }
    }
}

fn fold(situation: &mut Situation, event: Event) {
    if let Event::Observed(list) = event {
        for o in &list {
            situation.apply(o);
        }
    }
}

/// Without a screen.
fn headless(args: &Args, drill: &Drill) -> Result<u8, Failure> {
    let config = config(args.config.as_deref())?;
    let lang = lang(args.lang, &config);
    let procedure = Procedure::load(lang).map_err(Failure::failed)?;
    let words = Catalogue::load(lang.tag()).map_err(Failure::failed)?;
    let out = block_on(try_out(drill, args.seed, Timestamp::now(), SHORT_PACE, &procedure))
        .and_then(|r| r)
        .map_err(|e| Failure::failed(format!("cannot run the drill: {e}")))?;
    let report = Report::new(HOST, out.at, &out.situation, &out.steps, &out.judged, &words);
    let agree = out.top().is_some_and(|(cause, _)| cause == drill.truth);
    let code = u8::from(!agree);
    let text = if args.json {
        document(args, drill, &out, &report, agree)
    } else {
        told(drill, &out, &report, agree)
    };
    Ok(print(text.as_bytes(), code))
}

fn document(args: &Args, drill: &Drill, out: &Outcome, report: &Report, agree: bool) -> String {
    let word = |s: Option<Standing>| s.map_or("absent".to_owned(), |s| s.word().replace(' ', "_"));
    let also: Vec<Value> =
        drill.also.iter().map(|c| json!({"cause": c, "standing": word(out.stands(c))})).collect();
    let report = serde_json::to_value(report).unwrap_or_default();
    let doc = json!({
        "schema": SCHEMA,
        "drill": drill.name,
        "title": drill.title,
        "seed": args.seed,
        "pace": SHORT_PACE,
        "onset": out.onset,
        "at": out.at,
        "truth": {"cause": drill.truth, "standing": word(out.stands(&drill.truth))},
        "top": out.top().map(|(c, s)| json!({"cause": c, "standing": word(Some(s))})),
        "agree": agree,
        "also": also,
        "requests": {"failing": out.failing.0, "all": out.failing.1},
        "situation": report["situation"],
        "steps": report["steps"],
        "verdicts": report["verdicts"],
        "risks": report["risks"],
    });
    serde_json::to_string_pretty(&doc).map(|s| s + "\n").unwrap_or_default()
}

fn told(drill: &Drill, out: &Outcome, report: &Report, agree: bool) -> String {
    let top = out.top().map_or("nothing is named".to_owned(), |(c, s)| format!("{c} ({})", s.word()));
    let word = if agree { "agrees" } else { "does not agree" };
    let (bad, all) = out.failing;
    format!(
        "drill    {}: {}\ntruth    {}\nverdict  {top}: {word}\nrequests {bad} of the last {all} failed\n\n{}",
        drill.name,
        drill.title,
        drill.truth,
        report.to_text()
    )
}
