//! `badgate drill`.

use super::{Screen, Stop, lang};
use crate::procedure::Lang;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// What the exit code says.
pub const EXIT_CODES: &str = "Exit codes:
  0  the console was left; without a screen: the verdict is the truth
  1  without a screen: the verdict is not the truth
  2  the command line, the config file or the drill's file is wrong";

#[derive(Args, Debug)]
pub struct DrillArgs {
    /// Which drill; --list names them [default: the first of the list]
    name: Option<String>,
    /// Name the drills
    #[arg(long)]
    list: bool,
    /// The same seed tells the same story
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// No screen: play it in short, run every step, compare the verdict with the truth
    #[arg(long)]
    headless: bool,
    /// With --headless: print JSON (schema badgate.drill/1) instead of text
    #[arg(long, requires = "headless")]
    json: bool,
    /// A drill of your own
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    file: Option<PathBuf>,
    /// It ends by itself after this time
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = lasts)]
    duration: Duration,
    /// Incident file to write [default: a new one in the incident folder]
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// Language of the procedure: en, ja [default: LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_name = "LANG", value_parser = lang)]
    lang: Option<Lang>,
    /// Config file [default: $XDG_CONFIG_HOME/badgate/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    screen: Screen,
}

/// `badgate drill`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// `None`: the first of the list.
    pub name: Option<String>,
    pub list: bool,
    pub seed: u64,
    pub headless: bool,
    pub json: bool,
    pub file: Option<PathBuf>,
    pub duration: Duration,
    pub incident: Option<PathBuf>,
    pub lang: Option<Lang>,
    pub config: Option<PathBuf>,
    pub screen: Screen,
}

impl DrillArgs {
    /// Refuses what contradicts itself.
    pub fn checked(self) -> Result<Drill, Stop> {
        if self.list && (self.headless || self.name.is_some()) {
            return Err(Stop::usage("--list stands alone: it names the drills and runs none"));
        }
        Ok(Drill {
            name: self.name,
            list: self.list,
            seed: self.seed,
            headless: self.headless,
            json: self.json,
            file: self.file,
            duration: self.duration,
            incident: self.incident,
            lang: self.lang,
            config: self.config,
            screen: self.screen,
        })
    }
}

fn lasts(s: &str) -> Result<Duration, String> {
    super::duration(s, Duration::from_secs(10), Duration::from_secs(4 * 3600), "10s and 4h")
}
