//! `badgate open [TARGET]`: the console on live data.

use super::recorder::{self, Wanted};
use super::{Failure, config, incident_dir, lang, source};
use crate::cli::{Open, Screen, Target};
use crate::config::{Color, Config, ProfileStyle, Sync, Theme as Palette, Tint as HeaderTint};
use crate::console::caps::{Caps, Choice, Depth, GlyphSet, Wishes};
use crate::console::keys::Keymap;
use crate::console::record::Journal;
use crate::console::run::{ConsoleConfig, Ended, How, Part, RunError, block_on, run as console};
use crate::console::state::{Face, Incident};
use crate::console::theme::{Theme, ThemeName, Tint};
use crate::diagnosis::catalogue::Catalogue;
use crate::journal::{Mode, OpenError, SUFFIX, author, free_path, stem};
use crate::procedure::Procedure;
use crate::sources::drill::clock::Clock;
use crate::text::SafeText;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Names that others may take while this process looks for a free one.
pub(super) const TRIES: u32 = 100;
/// A wait for the disk that is longer is explained.
const SLOW: Duration = Duration::from_millis(400);

/// Opens the console; returns when it was left.
pub fn run(args: &Open, started: Instant) -> Result<u8, Failure> {
    start(args, Part::Asks, started)
}

/// `badgate join FILE`: the console on what somebody else records.
pub fn join(args: &Open, started: Instant) -> Result<u8, Failure> {
    start(args, Part::Follows, started)
}

fn start(args: &Open, part: Part, started: Instant) -> Result<u8, Failure> {
    let config = config(args.observe.config.as_deref())?;
    let keymap = Keymap::new(&config.remap()).map_err(|errors| Failure::usage(errors.join("; ")))?;
    let lang = lang(args.observe.lang, &config);
    let procedure = Procedure::load(lang).map_err(Failure::failed)?;
    let words = Catalogue::load(lang.tag()).map_err(Failure::failed)?;
    let options = args.observe.options(args.target.as_ref(), &config, true);
    let following = options.log_groups.iter().map(SafeText::from).collect();
    let target = args.target.as_ref().map(Target::text).unwrap_or_default().to_owned();
    let by = author(|name| std::env::var_os(name));

    let (path, journal) = begin(args, part, &config, &target, &by)?;
    let clock = if matches!(part, Part::Follows) { super::drilled::clock(&path) } else { None };
    let procedure = Arc::new(procedure);
    let projector = super::film::projector(path.clone(), Arc::clone(&procedure));

    let var = |name: &str| std::env::var(name).ok();
    let caps = Caps::detect(wishes(&args.screen, &config), var);
    let depth = caps.depth;
    let palette = args.screen.theme.unwrap_or(config.theme);
    let face = |profile: Option<&String>| {
        let profile = profile.cloned().or_else(|| var("AWS_PROFILE")).unwrap_or_default();
        let style = config.profile.get(&profile).cloned().unwrap_or_default();
        Face {
            theme: theme(palette, depth, tint(&profile, &style)),
            label: SafeText::capped(&style.label, 16),
        }
    };
    let mut faces: BTreeMap<SafeText, Face> = BTreeMap::new();
    for place in &args.observe.places {
        let name = SafeText::new(place.profile.as_deref().unwrap_or_default());
        faces.insert(name, face(place.profile.as_ref()));
    }
    // Which of several profiles it is, is known when the target was found.
    let first = match faces.len() {
        0 | 1 => faces.pop_first().map_or_else(|| face(None), |(_, f)| f),
        _ => Face { theme: theme(palette, depth, Tint::None), label: SafeText::default() },
    };
    let console_config = ConsoleConfig {
        incident: Incident {
            name: name_of(&path),
            path: Some(path.clone()),
            author: by,
            asked: SafeText::from(target.as_str()),
            opened: clock.as_ref().map_or_else(Timestamp::now, Clock::now),
            onset: None,
        },
        target,
        caps,
        theme: first.theme,
        label: if clock.is_some() { SafeText::from_static("DRILL") } else { first.label },
        faces,
        keymap,
        procedure,
        words: Arc::new(words),
        following,
        part,
        exporter: Some(super::export::beside(&path, config.redact, lang)),
        saver: Some(super::export::save_beside(&path, config.redact)),
        log: path.parent().map(|dir| dir.join("badgate.log")),
        stats: std::env::var_os("BADGATE_STATS").map(PathBuf::from),
        started,
        clock,
    };
    let log_files = args.observe.log_files.clone();
    let ended = block_on(async move {
        let link = source::start(options, log_files).map_err(RunError::Start)?;
        console(console_config, link, Some(journal), Some(projector)).await
    })
    .map_err(|e| Failure::failed(format!("cannot start: {e}")))?
    .map_err(Failure::failed)?;
    Ok(farewell(&ended, &path))
}

/// Opens the incident file. Two who open at the same moment find the same name
/// free: the second takes the next.
fn begin(
    args: &Open,
    part: Part,
    config: &Config,
    target: &str,
    by: &SafeText,
) -> Result<(PathBuf, Journal), Failure> {
    let mut tries = 0;
    loop {
        let (path, mode) = incident_file(args, part, config, target)?;
        let command = if matches!(part, Part::Follows) { "join" } else { "open" };
        let wanted = Wanted {
            path: path.clone(),
            mode,
            author: by.clone(),
            target: SafeText::from(target),
            drill: None,
        };
        let slow = tell_if_slow(&path);
        let opened = recorder::open_for(wanted, command);
        drop(slow);
        match opened {
            Err(OpenError::Exists(_)) if mode == Mode::New && tries < TRIES => tries += 1,
            other => return Ok((path, other.map_err(Failure::failed)?)),
        }
    }
}

/// Says on the normal screen what is waited for when a disk does not answer at
/// once; the wait has an end of its own. Dropping what is returned ends it.
fn tell_if_slow(path: &Path) -> Option<mpsc::Sender<()>> {
    let (done, ended) = mpsc::channel::<()>();
    let line = SafeText::from(format!("badgate: waiting for the disk of {} ...", path.display()));
    let told = move || {
        if ended.recv_timeout(SLOW) == Err(mpsc::RecvTimeoutError::Timeout) {
            super::complain(&line);
        }
    };
    std::thread::Builder::new().name("disk-watch".into()).spawn(told).ok().map(|_| done)
}

/// The file to write: the one named, else a new one of the day's name.
fn incident_file(args: &Open, part: Part, config: &Config, target: &str) -> Result<(PathBuf, Mode), Failure> {
    if let Some(path) = &args.incident {
        if path.is_dir() {
            return Err(Failure::usage(format!(
                "--incident {} is a folder; name a file in it, such as {}",
                path.display(),
                path.join(format!("shop{SUFFIX}")).display()
            )));
        }
        // Who joins joins something.
        let mode = if matches!(part, Part::Follows) { Mode::Resume } else { Mode::Either };
        return Ok((path.clone(), mode));
    }
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok((free_path(&incident_dir(config), &stem(target, today)), Mode::New))
}

pub(super) fn name_of(path: &Path) -> SafeText {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    SafeText::from(name.strip_suffix(SUFFIX).unwrap_or(&name))
}

pub(super) fn wishes(screen: &Screen, config: &Config) -> Wishes {
    let depth = match screen.color.unwrap_or(config.color) {
        Color::Auto => Choice::Auto,
        Color::TrueColor => Choice::Is(Depth::True),
        Color::Ansi256 => Choice::Is(Depth::Ansi256),
        Color::Ansi16 => Choice::Is(Depth::Ansi16),
        Color::Never => Choice::Is(Depth::Mono),
    };
    let ascii = screen.ascii || config.ascii;
    let glyphs = if ascii { Choice::Is(GlyphSet::Ascii) } else { Choice::Auto };
    let sync = match screen.sync.unwrap_or(config.sync) {
        Sync::Auto => Choice::Auto,
        Sync::On => Choice::Is(true),
        Sync::Off => Choice::Is(false),
    };
    Wishes { depth, glyphs, sync }
}

fn tint(profile: &str, style: &ProfileStyle) -> Tint {
    match style.tint {
        None => Tint::of_profile(profile),
        Some(HeaderTint::None) => Tint::None,
        Some(HeaderTint::Red) => Tint::Red,
        Some(HeaderTint::Yellow) => Tint::Yellow,
        Some(HeaderTint::Blue) => Tint::Blue,
        Some(HeaderTint::Purple) => Tint::Purple,
    }
}

pub(super) fn theme(palette: Palette, depth: Depth, tint: Tint) -> Theme {
    let name = match palette {
        Palette::Dark => ThemeName::Dark,
        Palette::Light => ThemeName::Light,
        Palette::HighContrast => ThemeName::HighContrast,
    };
    Theme::with(name, depth, tint)
}

/// Says on the normal screen where everything is. Nobody reads it after a
/// hang-up, and writing to a dead terminal could block.
pub(super) fn farewell(ended: &Ended, path: &Path) -> u8 {
    let code = match ended.how {
        How::Quit => 0,
        How::HangUp => 129,
        How::Signal(n) => 128_u8.saturating_add(u8::try_from(n).unwrap_or(0)),
    };
    if ended.how == How::HangUp {
        return code;
    }
    let mut out = std::io::stdout().lock();
    let line = SafeText::from(format!("incident file: {}", path.display()));
    let _ = writeln!(out, "{line}");
    if let Some(unsaved) = &ended.unsaved {
        super::complain(&SafeText::from(format!("badgate: not everything was saved: {unsaved}")));
        return 1;
    }
    code
}
