//! Colours as meanings. Panes name a [`Role`]; what it looks like is decided
//! once at start from the theme, the colour depth of the terminal and the tint
//! of the profile.

use super::caps::Depth;
use ratatui::style::{Color, Modifier, Style};

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Ordinary text.
    Text,
    /// Text that may be overlooked: labels, ages, sources.
    Dim,
    /// Emphasis without judgement: names, group headers.
    Strong,
    /// Pane titles.
    Title,
    /// Title of the pane that has the keyboard.
    TitleFocus,
    /// Pane borders.
    Border,
    /// Border of the pane that has the keyboard.
    BorderFocus,
    /// Works: healthy, allowed, done.
    Good,
    /// Works, but look at it.
    Warn,
    /// Broken.
    Bad,
    /// Not known.
    Unknown,
    /// Under way.
    Busy,
    /// Neutral emphasis: links between things.
    Info,
    /// A key in the key bar.
    Key,
    /// Sparkline bars without judgement.
    Spark,
    /// The selected row of the focused pane, laid over the row's own style.
    Selected,
    /// The selected row of another pane, laid over the row's own style.
    SelectedIdle,
    /// A search hit.
    Match,
    /// The search hit the cursor is on.
    MatchHere,
    /// A row a person marked.
    Mark,
    /// What a person wrote.
    Note,
    /// The freeze and time-travel banner.
    Banner,
    /// What must be seen now: the incident file cannot be written.
    Alarm,
    /// The header line of an ordinary profile.
    Header,
    /// The tint of a profile one must be careful with ("PROD").
    Tint,
    /// The active tab.
    Tab,
}

impl Role {
    /// Every role, for tests and the theme sample.
    pub const ALL: [Role; 26] = [
        Role::Text,
        Role::Dim,
        Role::Strong,
        Role::Title,
        Role::TitleFocus,
        Role::Border,
        Role::BorderFocus,
        Role::Good,
        Role::Warn,
        Role::Bad,
        Role::Unknown,
        Role::Busy,
        Role::Info,
        Role::Key,
        Role::Spark,
        Role::Selected,
        Role::SelectedIdle,
        Role::Match,
        Role::MatchHere,
        Role::Mark,
        Role::Note,
        Role::Banner,
        Role::Alarm,
        Role::Header,
        Role::Tint,
        Role::Tab,
    ];

    /// The roles that carry a verdict; they must be told apart by everybody.
    pub const STATUS: [Role; 4] = [Role::Good, Role::Warn, Role::Bad, Role::Unknown];
}

/// Which set of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeName {
    /// For dark backgrounds; leaves the terminal's own background.
    #[default]
    Dark,
    /// For light backgrounds; leaves the terminal's own background.
    Light,
    /// White on black whatever the terminal, 7:1 and more everywhere.
    HighContrast,
}

impl ThemeName {
    /// The words of the option and the config file.
    pub const WORDS: [&'static str; 3] = ["dark", "light", "high-contrast"];

    /// Reads a word of the option.
    pub fn parse(word: &str) -> Option<ThemeName> {
        Some(match word {
            "dark" => ThemeName::Dark,
            "light" => ThemeName::Light,
            "high-contrast" => ThemeName::HighContrast,
            _ => return None,
        })
    }

    /// A guess from `COLORFGBG` (`15;0`), which some terminals set; dark
    /// where nothing is said.
    pub fn detect(env: &dyn Fn(&str) -> Option<String>) -> ThemeName {
        let value = env("COLORFGBG").unwrap_or_default();
        match value.rsplit(';').next().and_then(|bg| bg.parse::<u8>().ok()) {
            Some(7 | 15) => ThemeName::Light,
            _ => ThemeName::Dark,
        }
    }
}

/// Colour of the header line for profiles that want care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tint {
    /// An ordinary profile.
    #[default]
    None,
    /// White on red.
    Red,
    /// Black on yellow.
    Yellow,
    /// White on blue.
    Blue,
    /// White on purple.
    Purple,
}

impl Tint {
    /// The words of the config file.
    pub const WORDS: [&'static str; 5] = ["none", "red", "yellow", "blue", "purple"];

    /// Reads a word of the config file.
    pub fn parse(word: &str) -> Option<Tint> {
        Some(match word {
            "none" => Tint::None,
            "red" => Tint::Red,
            "yellow" => Tint::Yellow,
            "blue" => Tint::Blue,
            "purple" => Tint::Purple,
            _ => return None,
        })
    }

    /// The tint of a profile nobody configured: red when its name says that
    /// it is production.
    pub fn of_profile(profile: &str) -> Tint {
        let production = profile
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|w| ["prod", "production", "prd", "live"].iter().any(|p| w.eq_ignore_ascii_case(p)));
        if production { Tint::Red } else { Tint::None }
    }
}

type Rgb = (u8, u8, u8);

/// One role in one theme. `None` is the terminal's own colour.
#[derive(Clone, Copy, Default)]
struct Ink {
    fg: Option<Rgb>,
    bg: Option<Rgb>,
    /// Colours among the sixteen.
    fg16: Option<u8>,
    bg16: Option<u8>,
    /// Modifiers at every depth with colour.
    mods: Modifier,
    /// Modifiers added at sixteen colours, where there are no soft shades.
    mods16: Modifier,
    /// Modifiers without colour.
    mono: Modifier,
}

const BOLD: Modifier = Modifier::BOLD;
const REV: Modifier = Modifier::REVERSED;
const NONE: Modifier = Modifier::empty();

/// Colour, its nearest of the sixteen, and modifiers.
const fn ink(fg: Option<Rgb>, fg16: Option<u8>, mods: Modifier, mono: Modifier) -> Ink {
    Ink { fg, bg: None, fg16, bg16: None, mods, mods16: NONE, mono }
}

const fn patch(fg: Rgb, bg: Rgb, fg16: u8, bg16: u8, mods: Modifier, mono: Modifier) -> Ink {
    Ink { fg: Some(fg), bg: Some(bg), fg16: Some(fg16), bg16: Some(bg16), mods, mods16: NONE, mono }
}

/// At sixteen colours "bright black" is the background of popular palettes:
/// text that may be overlooked is the terminal's own colour, dimmed.
const fn soft(fg: Rgb) -> Ink {
    Ink {
        fg: Some(fg),
        bg: None,
        fg16: None,
        bg16: None,
        mods: NONE,
        mods16: Modifier::DIM,
        mono: Modifier::DIM,
    }
}

fn dark(role: Role) -> Ink {
    match role {
        Role::Text => Ink::default(),
        Role::Dim => soft((158, 158, 158)),
        Role::Strong => ink(None, None, BOLD, BOLD),
        Role::Title => ink(None, None, BOLD, BOLD),
        Role::TitleFocus => ink(Some((135, 200, 255)), Some(15), BOLD, BOLD.union(REV)),
        Role::Border => soft((128, 128, 128)),
        Role::BorderFocus => ink(Some((135, 200, 255)), Some(15), NONE, NONE),
        Role::Good => ink(Some((70, 205, 190)), Some(6), NONE, NONE),
        Role::Warn => ink(Some((255, 215, 95)), Some(11), NONE, Modifier::UNDERLINED),
        Role::Bad => ink(Some((255, 110, 96)), Some(9), BOLD, BOLD.union(REV)),
        Role::Unknown => ink(Some((203, 166, 247)), Some(13), NONE, Modifier::ITALIC),
        Role::Busy => ink(Some((135, 200, 255)), Some(15), NONE, NONE),
        Role::Key => ink(Some((135, 200, 255)), Some(15), BOLD, BOLD),
        Role::Spark => ink(Some((135, 175, 215)), None, NONE, NONE),
        Role::Selected => Ink { bg: Some((36, 44, 60)), mods16: REV, mono: REV, ..Ink::default() },
        Role::SelectedIdle => Ink::default(),
        Role::Info => ink(Some((135, 200, 255)), Some(15), NONE, NONE),
        Role::Alarm => patch((255, 255, 255), (165, 10, 30), 15, 1, BOLD, REV.union(BOLD)),
        Role::Match => patch((0, 0, 0), (230, 200, 90), 0, 3, NONE, Modifier::UNDERLINED.union(BOLD)),
        Role::MatchHere => patch((0, 0, 0), (255, 160, 90), 0, 15, BOLD, REV.union(BOLD)),
        Role::Mark => ink(Some((255, 175, 215)), Some(13), BOLD, BOLD),
        Role::Note => ink(Some((200, 220, 160)), Some(15), NONE, NONE),
        Role::Banner => patch((0, 0, 0), (255, 215, 95), 0, 11, BOLD, REV.union(BOLD)),
        Role::Header => ink(None, None, BOLD, BOLD),
        Role::Tint => ink(None, None, BOLD, BOLD),
        Role::Tab => patch((0, 0, 0), (135, 200, 255), 0, 7, BOLD, REV.union(BOLD)),
    }
}

fn light(role: Role) -> Ink {
    match role {
        Role::Text => Ink::default(),
        Role::Dim => soft((95, 95, 95)),
        Role::Strong => ink(None, None, BOLD, BOLD),
        Role::Title => ink(None, None, BOLD, BOLD),
        Role::TitleFocus => ink(Some((0, 80, 170)), Some(4), BOLD, BOLD.union(REV)),
        Role::Border => soft((118, 118, 118)),
        Role::BorderFocus => ink(Some((0, 80, 170)), Some(4), NONE, NONE),
        Role::Good => ink(Some((0, 95, 135)), Some(4), NONE, NONE),
        Role::Warn => ink(Some((140, 75, 0)), Some(5), NONE, Modifier::UNDERLINED),
        Role::Bad => ink(Some((150, 0, 60)), Some(1), BOLD, BOLD.union(REV)),
        Role::Unknown => ink(Some((104, 40, 190)), None, Modifier::ITALIC, Modifier::ITALIC),
        Role::Busy => ink(Some((0, 80, 170)), Some(4), NONE, NONE),
        Role::Key => ink(Some((0, 80, 170)), Some(4), BOLD, BOLD),
        Role::Spark => ink(Some((60, 90, 140)), None, NONE, NONE),
        Role::Selected => Ink { bg: Some((221, 232, 247)), mods16: REV, mono: REV, ..Ink::default() },
        Role::SelectedIdle => Ink::default(),
        Role::Info => ink(Some((0, 80, 170)), Some(4), NONE, NONE),
        Role::Alarm => patch((255, 255, 255), (165, 10, 30), 15, 1, BOLD, REV.union(BOLD)),
        Role::Match => patch((0, 0, 0), (255, 224, 110), 0, 11, NONE, Modifier::UNDERLINED.union(BOLD)),
        Role::MatchHere => patch((0, 0, 0), (255, 170, 90), 15, 4, BOLD, REV.union(BOLD)),
        Role::Mark => ink(Some((150, 0, 100)), Some(5), BOLD, BOLD),
        Role::Note => ink(Some((60, 90, 20)), None, NONE, NONE),
        Role::Banner => patch((0, 0, 0), (255, 205, 70), 0, 11, BOLD, REV.union(BOLD)),
        Role::Header => ink(None, None, BOLD, BOLD),
        Role::Tint => ink(None, None, BOLD, BOLD),
        Role::Tab => patch((255, 255, 255), (0, 80, 170), 15, 4, BOLD, REV.union(BOLD)),
    }
}

/// High contrast paints its own background, so the terminal's does not matter.
fn high_contrast(role: Role) -> Ink {
    const BLACK: Option<Rgb> = Some((0, 0, 0));
    let on_black = |fg: Rgb, fg16: u8, mods: Modifier, mono: Modifier| Ink {
        bg: BLACK,
        bg16: Some(0),
        ..ink(Some(fg), Some(fg16), mods, mono)
    };
    match role {
        Role::Text => on_black((255, 255, 255), 15, NONE, NONE),
        Role::Dim => on_black((208, 208, 208), 7, NONE, NONE),
        Role::Strong | Role::Title | Role::Header | Role::Tint => on_black((255, 255, 255), 15, BOLD, BOLD),
        Role::TitleFocus => patch((0, 0, 0), (255, 255, 255), 0, 15, BOLD, BOLD.union(REV)),
        Role::Border => on_black((190, 190, 190), 7, NONE, NONE),
        Role::BorderFocus => on_black((255, 255, 255), 15, BOLD, BOLD),
        Role::Good => on_black((70, 240, 210), 14, NONE, NONE),
        Role::Warn => on_black((255, 240, 90), 11, BOLD, Modifier::UNDERLINED),
        Role::Bad => patch((255, 255, 255), (160, 0, 0), 15, 1, BOLD, BOLD.union(REV)),
        Role::Unknown => on_black((255, 185, 255), 13, Modifier::ITALIC, Modifier::ITALIC),
        Role::Busy | Role::Info | Role::Key => on_black((255, 255, 255), 15, BOLD, BOLD),
        Role::Spark => on_black((255, 255, 255), 15, NONE, NONE),
        Role::Selected => Ink { mods: REV, mono: REV, ..Ink::default() },
        Role::SelectedIdle => Ink::default(),
        Role::Alarm => patch((255, 255, 255), (160, 0, 0), 15, 1, BOLD, REV.union(BOLD)),
        Role::Match => patch((0, 0, 0), (255, 240, 90), 0, 11, NONE, Modifier::UNDERLINED.union(BOLD)),
        Role::MatchHere => patch((0, 0, 0), (255, 255, 255), 0, 15, BOLD, REV.union(BOLD)),
        Role::Mark => on_black((255, 190, 230), 13, BOLD, BOLD),
        Role::Note => on_black((225, 255, 190), 15, NONE, NONE),
        Role::Banner => patch((0, 0, 0), (255, 240, 90), 0, 11, BOLD, REV.union(BOLD)),
        Role::Tab => patch((0, 0, 0), (255, 255, 255), 0, 15, BOLD, REV.union(BOLD)),
    }
}

fn tint_ink(tint: Tint) -> Option<Ink> {
    let mono = REV.union(BOLD);
    Some(match tint {
        Tint::None => return None,
        Tint::Red => patch((255, 255, 255), (165, 10, 30), 15, 1, BOLD, mono),
        Tint::Yellow => patch((0, 0, 0), (240, 200, 60), 0, 11, BOLD, mono),
        Tint::Blue => patch((255, 255, 255), (0, 30, 130), 15, 4, BOLD, mono),
        Tint::Purple => patch((255, 255, 255), (80, 20, 120), 15, 5, BOLD, mono),
    })
}

/// The colours of this session, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Which set it was made from.
    pub name: ThemeName,
    /// The depth it was made for.
    pub depth: Depth,
    /// True when the profile wants care.
    pub tinted: bool,
    styles: [Style; Role::ALL.len()],
}

impl Theme {
    /// The dark theme without a tint.
    pub fn new(depth: Depth) -> Theme {
        Theme::with(ThemeName::Dark, depth, Tint::None)
    }

    /// Resolves every role once.
    pub fn with(name: ThemeName, depth: Depth, tint: Tint) -> Theme {
        let table = match name {
            ThemeName::Dark => dark,
            ThemeName::Light => light,
            ThemeName::HighContrast => high_contrast,
        };
        let styles = Role::ALL.map(|role| {
            let ink = match (role, tint_ink(tint)) {
                (Role::Tint, Some(ink)) => ink,
                _ => table(role),
            };
            style(ink, depth)
        });
        Theme { name, depth, tinted: tint != Tint::None, styles }
    }

    /// What a role looks like.
    pub fn style(&self, role: Role) -> Style {
        // The order of ALL is the order of declaration; a test holds it so.
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// What an empty cell looks like.
    pub fn base(&self) -> Style {
        self.style(Role::Text)
    }
}

impl Default for Theme {
    fn default() -> Self {
        Theme::new(Depth::Ansi16)
    }
}

fn style(ink: Ink, depth: Depth) -> Style {
    let (fg, bg, mods) = match depth {
        Depth::Mono => (None, None, ink.mono),
        Depth::Ansi16 => (ink.fg16.map(named), ink.bg16.map(named), ink.mods | ink.mods16),
        Depth::Ansi256 => (
            ink.fg.map(|c| Color::Indexed(nearest256(c))),
            ink.bg.map(|c| Color::Indexed(nearest256(c))),
            ink.mods,
        ),
        Depth::True => (ink.fg.map(rgb), ink.bg.map(rgb), ink.mods),
    };
    let mut style = Style::new().add_modifier(mods);
    style.fg = fg;
    style.bg = bg;
    style
}

fn rgb((r, g, b): Rgb) -> Color {
    Color::Rgb(r, g, b)
}

fn named(index: u8) -> Color {
    match index {
        0 => Color::Black,
        1 => Color::Red,
        2 => Color::Green,
        3 => Color::Yellow,
        4 => Color::Blue,
        5 => Color::Magenta,
        6 => Color::Cyan,
        7 => Color::Gray,
        8 => Color::DarkGray,
        9 => Color::LightRed,
        10 => Color::LightGreen,
        11 => Color::LightYellow,
        12 => Color::LightBlue,
        13 => Color::LightMagenta,
        14 => Color::LightCyan,
        _ => Color::White,
    }
}

/// The levels of the 6x6x6 cube of the xterm palette.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The colour of an index from 16 up; below that palettes differ.
fn palette256(index: u8) -> Rgb {
    match index {
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
        _ => {
            let i = usize::from(index.saturating_sub(16));
            (CUBE[i / 36 % 6], CUBE[i / 6 % 6], CUBE[i % 6])
        }
    }
}

/// The nearest index of the fixed part of the xterm palette.
fn nearest256(color: Rgb) -> u8 {
    let far = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    let distance = |i: u8| {
        let p = palette256(i);
        far(p.0, color.0) + far(p.1, color.1) + far(p.2, color.2)
    };
    (16..=255).min_by_key(|i| distance(*i)).unwrap_or(16)
}

#[cfg(test)]
#[path = "theme_tests.rs"]
mod tests;
