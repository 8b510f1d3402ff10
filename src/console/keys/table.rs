//! What keys do. [`TABLE`] is the one place that knows: dispatch, help, key
//! bar, palette, man page and the config sample all come from it.

use crate::console::state::PaneId;

/// Everything a key or the palette can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    // The procedure.
    Step(u8),
    // Focus and view.
    FocusNext,
    FocusPrevious,
    FocusLeft,
    FocusDown,
    FocusUp,
    FocusRight,
    Focus(PaneId),
    Zoom,
    Freeze,
    Privacy,
    // Moving within a pane.
    Down,
    Up,
    Left,
    Right,
    PageDown,
    PageUp,
    Top,
    Bottom,
    Open,
    Back,
    // Finding.
    Filter,
    NextMatch,
    PreviousMatch,
    // Writing down.
    Annotate,
    /// A note that a phase of the incident began now; the word it begins with.
    Phase(&'static str),
    Mark,
    Export,
    Copy,
    // Asking.
    Next,
    /// The list of what can be done through the source.
    Act,
    Refresh,
    ReloadCredentials,
    // Logs.
    NextError,
    PreviousError,
    NextMark,
    Wrap,
    Timestamps,
    Pause,
    Since,
    LogGroups,
    // Looking back.
    Time,
    Earlier,
    Later,
    ChangeBack,
    ChangeOn,
    MinuteBack,
    MinuteOn,
    First,
    Last,
    Play,
    Faster,
    Slower,
    Differences,
    // Being one of several.
    People,
    TakeOver,
    SaveLogs,
    // The console.
    Palette,
    Help,
    Calls,
    Meter,
    Redraw,
    Quit,
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In every pane, unless the pane has its own use for the key.
    Everywhere,
    /// In one pane.
    In(PaneId),
    /// While the past is shown, before anything a pane has for the key.
    Past,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub action: Action,
    /// Name in the config file and the palette.
    pub id: &'static str,
    /// Default keys; empty for what only the palette reaches.
    pub keys: &'static [&'static str],
    pub scope: Scope,
    /// One word for the key bar; empty: not shown there.
    pub word: &'static str,
    /// One line for help and palette.
    pub about: &'static str,
}

const fn bind(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, scope: Scope::Everywhere, word, about }
}

const fn logs(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, scope: Scope::In(PaneId::Logs), word, about }
}

const fn past(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, scope: Scope::Past, word, about }
}

/// All there is.
pub const TABLE: &[Binding] = &[
    bind(Action::Step(0), "step-0", &["0"], "", "run step 0: preparation"),
    bind(Action::Step(1), "step-1", &["1"], "", "run step 1 of the procedure"),
    bind(Action::Step(2), "step-2", &["2"], "", "run step 2 of the procedure"),
    bind(Action::Step(3), "step-3", &["3"], "", "run step 3 of the procedure"),
    bind(Action::Step(4), "step-4", &["4"], "", "run step 4 of the procedure"),
    bind(Action::Step(5), "step-5", &["5"], "", "run step 5 of the procedure"),
    bind(Action::Step(6), "step-6", &["6"], "", "run step 6 of the procedure"),
    bind(Action::Step(7), "step-7", &["7"], "", "run step 7 of the procedure"),
    bind(Action::Step(8), "emergency", &["8"], "", "emergency actions: what stops the bleeding"),
    bind(Action::Step(9), "prevention", &["9"], "", "prevention: what keeps it from coming back"),
    bind(Action::Annotate, "annotate", &["a"], "note", "write a note into the incident file"),
    bind(Action::Phase("onset"), "onset", &[], "", "note when it began, for the postmortem"),
    bind(Action::Phase("detected"), "detected", &[], "", "note when it was noticed, for the postmortem"),
    bind(
        Action::Phase("diagnosed"),
        "diagnosed",
        &[],
        "",
        "note that the cause is known, for the postmortem",
    ),
    bind(
        Action::Phase("mitigated"),
        "mitigated",
        &[],
        "",
        "note that users are served again, for the postmortem",
    ),
    bind(Action::Phase("resolved"), "resolved", &[], "", "note that it is over, for the postmortem"),
    bind(
        Action::Mark,
        "mark",
        &["m"],
        "mark",
        "put the selected row into the timeline, at the time it happened",
    ),
    bind(
        Action::Filter,
        "filter",
        &["/"],
        "filter",
        "filter: regular expression, !not, ~fuzzy, where status=5xx",
    ),
    bind(Action::NextMatch, "next-match", &["n"], "", "next match"),
    bind(Action::PreviousMatch, "previous-match", &["N"], "", "previous match"),
    bind(Action::Zoom, "zoom", &["z"], "zoom", "show one pane on the whole screen, and back"),
    bind(
        Action::Freeze,
        "freeze",
        &["f"],
        "freeze",
        "hold the picture still; what comes in meanwhile is kept and counted",
    ),
    bind(Action::Next, "next", &["x"], "", "do what the diagnosis names as next"),
    bind(Action::Act, "act", &["X"], "", "what can be done here: mitigations, where the source offers any"),
    bind(Action::Refresh, "refresh", &["r"], "", "ask everything anew"),
    bind(
        Action::ReloadCredentials,
        "reload-credentials",
        &["R"],
        "",
        "read the credentials anew, after a new login",
    ),
    bind(Action::Export, "export", &["e"], "", "write the postmortem next to the incident file"),
    bind(Action::Copy, "copy", &["y"], "", "copy the selected row to the terminal's clipboard (OSC 52)"),
    bind(Action::Privacy, "privacy", &["p"], "", "mask account numbers and addresses on screen"),
    bind(Action::FocusNext, "focus-next", &["tab"], "pane", "next pane"),
    bind(Action::FocusPrevious, "focus-previous", &["backtab"], "", "previous pane"),
    bind(Action::FocusLeft, "focus-left", &["H"], "", "pane to the left"),
    bind(Action::FocusDown, "focus-down", &["J"], "", "pane below"),
    bind(Action::FocusUp, "focus-up", &["K"], "", "pane above"),
    bind(Action::FocusRight, "focus-right", &["L"], "", "pane to the right"),
    bind(Action::Focus(PaneId::Health), "target-health", &[], "", "go to target health"),
    bind(Action::Focus(PaneId::Logs), "logs", &[], "", "go to the logs"),
    bind(Action::Focus(PaneId::Paths), "security-paths", &[], "", "go to the security paths"),
    bind(Action::Focus(PaneId::Timeouts), "timeout-chain", &[], "", "go to the timeout chain"),
    bind(Action::Focus(PaneId::Diagnosis), "diagnosis", &[], "", "go to the diagnosis"),
    bind(Action::Focus(PaneId::Procedure), "procedure", &[], "", "go to the procedure"),
    bind(Action::Focus(PaneId::Timeline), "timeline", &[], "", "go to the timeline"),
    bind(Action::Focus(PaneId::Metrics), "metrics", &[], "", "go to the metrics"),
    bind(Action::Down, "down", &["j", "down"], "", "down a row"),
    bind(Action::Up, "up", &["k", "up"], "", "up a row"),
    bind(Action::Left, "left", &["h", "left"], "", "scroll left"),
    bind(Action::Right, "right", &["l", "right"], "", "scroll right"),
    bind(Action::PageDown, "page-down", &["pgdn", "ctrl-f"], "", "down a page"),
    bind(Action::PageUp, "page-up", &["pgup"], "", "up a page"),
    bind(Action::Top, "top", &["g", "home"], "", "first row"),
    bind(Action::Bottom, "bottom", &["G", "end"], "", "last row; in the logs: follow again"),
    bind(Action::Open, "open", &["enter"], "", "open the selected row"),
    bind(Action::Back, "back", &["esc"], "", "back: close what is open, clear the filter, leave zoom"),
    logs(Action::NextError, "next-error", &["e"], "error", "next error or 5xx"),
    logs(Action::PreviousError, "previous-error", &["E"], "", "previous error or 5xx"),
    logs(Action::NextMark, "next-mark", &["M"], "", "next marked line"),
    logs(Action::Wrap, "wrap", &["w"], "wrap", "wrap long lines"),
    logs(Action::Timestamps, "timestamps", &["T"], "", "time of each line: clock, full, none"),
    logs(Action::Pause, "pause", &["space"], "pause", "stop following, and follow again"),
    logs(Action::Since, "since", &["s"], "since", "read the log from an earlier time on"),
    logs(Action::LogGroups, "log-groups", &["o"], "groups", "choose the log groups to follow"),
    bind(
        Action::Time,
        "time",
        &["t"],
        "time",
        "look back: every pane as it was at a moment; in the past: type a time to go there",
    ),
    past(Action::Earlier, "earlier", &["left"], "event", "to the event before"),
    past(Action::Later, "later", &["right"], "", "to the next event"),
    past(
        Action::ChangeBack,
        "change-back",
        &["["],
        "change",
        "to the change of a verdict or of target health before",
    ),
    past(Action::ChangeOn, "change-on", &["]"], "", "to the next change of a verdict or of target health"),
    past(Action::MinuteBack, "minute-back", &["{", "shift-left"], "minute", "a minute back"),
    past(Action::MinuteOn, "minute-on", &["}", "shift-right"], "", "a minute on"),
    past(Action::Play, "play", &["space"], "play", "play from here on, and stop"),
    past(Action::Faster, "faster", &["+"], "faster", "play faster, up to 60 times"),
    past(Action::Slower, "slower", &["-"], "", "play slower"),
    past(Action::First, "first-moment", &["<"], "", "to the beginning"),
    past(Action::Last, "last-moment", &[">"], "", "to the end"),
    past(
        Action::Differences,
        "differences",
        &["d"],
        "differences",
        "causes that this badgate judges otherwise than was recorded then",
    ),
    bind(Action::People, "people", &["w"], "", "who else is in this incident, and since when"),
    bind(
        Action::TakeOver,
        "take-over",
        &[],
        "",
        "after `badgate join`: ask the cloud from here on, when the first one has left",
    ),
    logs(
        Action::SaveLogs,
        "save-logs",
        &["S"],
        "",
        "write the lines shown into a file beside the incident file",
    ),
    bind(Action::Palette, "palette", &[":"], "palette", "find any command by its name"),
    bind(Action::Help, "help", &["?"], "help", "all keys"),
    bind(Action::Calls, "calls", &[], "", "calls made to the outside, with duration and request id"),
    bind(
        Action::Meter,
        "meter",
        &[],
        "",
        "show bytes written to the terminal, frames and memory of the logs",
    ),
    bind(Action::Redraw, "redraw", &["ctrl-l"], "", "draw the whole screen anew"),
    bind(Action::Quit, "quit", &["q"], "", "leave; nothing is ever unsaved"),
];
