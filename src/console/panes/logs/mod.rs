//! Logs: a window onto the ring of lines. Whatever is held, a frame and a key
//! cost what is on screen: positions are serial numbers, filters and searches
//! work in slices between frames.

mod draw;
mod order;
mod save;
mod told;

pub use draw::draw;
use order::{Index, Order};
pub use save::Saved;

use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::state::State;
use crate::situation::log::{Held, Level, LogRing};
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::layout::Rect;
use std::collections::BTreeSet;

/// Lines looked at within one key press; the rest goes on between frames.
const AT_ONCE: usize = 20_000;
/// Columns a horizontal step moves.
const STEP: usize = 16;

/// How the time of a line is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    #[default]
    Clock,
    /// With date and milliseconds.
    Full,
    Off,
}

/// What a jump looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Match,
    /// An error or a 5xx.
    Error,
    Mark,
}

/// A jump that is still looking.
#[derive(Clone, Copy, Debug)]
struct Seek {
    goal: Goal,
    down: bool,
    /// The next line to look at lies beyond this one.
    at: u64,
}

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct LogsView {
    filter: Option<Filter>,
    /// In use while the filter hides lines.
    index: Index,
    no_wrap: bool,
    times: Times,
    /// Columns scrolled to the right.
    across: usize,
    /// `None` while following the end.
    stay: Option<Stay>,
    seek: Option<Seek>,
    /// How the last jump ended, when it found nothing.
    told: &'static str,
    marked: BTreeSet<u64>,
}

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stay {
    selected: u64,
    /// First line on screen.
    top: u64,
    /// Show the selected line with its surroundings rather than at an edge.
    centre: bool,
    /// Lines from here on are new since the reader left the end.
    left_at: u64,
}

impl LogsView {
    fn hides(&self) -> bool {
        self.filter.as_ref().is_some_and(|f| f.hides)
    }

    fn order<'a>(&'a self, state: &'a State) -> Order<'a> {
        self.order_of(&state.situation.logs, state.log_end())
    }

    fn order_of<'a>(&'a self, logs: &'a LogRing, end: u64) -> Order<'a> {
        Order { logs, end, index: self.hides().then_some(&self.index) }
    }

    /// The same view of another stretch of the log, in which lines keep their
    /// serial numbers.
    pub fn in_another(&self, range: std::ops::Range<u64>) -> LogsView {
        LogsView {
            index: Index::unread(),
            stay: self.stay.filter(|s| range.contains(&s.selected)),
            seek: None,
            told: "",
            ..self.clone()
        }
    }

    /// Brings the view's index up to date with at most `budget` lines of work
    /// (each line looked at costs one). True when there is more to do; the
    /// console calls again from its idle time. Called after every batch of
    /// observations and before a draw; never from `draw`.
    pub fn catch_up(&mut self, logs: &LogRing, budget: usize) -> bool {
        let mut left = budget;
        if let Some(filter) = self.filter.as_ref().filter(|f| f.hides) {
            left = self.index.catch_up(logs, filter, left);
        }
        let first = logs.range().start;
        if self.marked.first().is_some_and(|s| *s < first) {
            self.marked = self.marked.split_off(&first);
        }
        if self.seek.is_some() {
            self.seek_on(logs, logs.range().end, &mut left);
        }
        self.is_behind(logs)
    }

    fn is_behind(&self, logs: &LogRing) -> bool {
        self.seek.is_some() || (self.hides() && !self.index.is_complete(logs))
    }

    /// Looks further for what a jump wants.
    fn seek_on(&mut self, logs: &LogRing, end: u64, budget: &mut usize) {
        let Some(mut seek) = self.seek else { return };
        let order = self.order_of(logs, end);
        let mut found = None;
        let mut over = false;
        while *budget > 0 {
            *budget -= 1;
            let next = if seek.down { order.from(seek.at + 1) } else { order.before(seek.at) };
            let Some(seq) = next else {
                // Above there may be lines the index has not looked at yet.
                over = !self.hides() || seek.down || self.index.is_complete(logs);
                break;
            };
            seek.at = seq;
            if logs.get(seq).is_some_and(|h| self.is_goal(seek.goal, h)) {
                found = Some(seq);
                break;
            }
        }
        if let Some(seq) = found {
            self.seek = None;
            self.told = "";
            self.go_to(seq, end);
        } else if over {
            self.seek = None;
            self.told = match (seek.goal, seek.down) {
                (Goal::Match, true) => "no further match below",
                (Goal::Match, false) => "no further match above",
                (Goal::Error, true) => "no further error below",
                (Goal::Error, false) => "no further error above",
                (Goal::Mark, _) => "no further mark",
            };
        } else {
            self.seek = Some(seek);
        }
    }

    fn is_goal(&self, goal: Goal, h: &Held) -> bool {
        match goal {
            Goal::Match => self.filter.as_ref().is_some_and(|f| f.keeps(&h.line.text)),
            Goal::Error => h.level == Level::Error || h.status_5xx.is_some(),
            Goal::Mark => self.marked.contains(&h.seq),
        }
    }

    fn go_to(&mut self, seq: u64, end: u64) {
        let left_at = self.stay.map_or(end, |s| s.left_at);
        self.stay = Some(Stay { selected: seq, top: seq, centre: true, left_at });
    }

    /// The line the cursor is on.
    fn here(&self, order: &Order<'_>) -> Option<u64> {
        match self.stay {
            Some(s) => order.near(s.selected),
            None => order.last(),
        }
    }

    /// Puts the cursor on the first line at or after a time, or the last one.
    pub fn go_to_time(&mut self, at: Timestamp, state: &State) {
        let logs = &state.situation.logs;
        let end = state.log_end();
        // Lines stand in order of arrival, which is all but the order of time.
        let range = logs.range();
        let (mut low, mut high) = (range.start, end.min(range.end));
        while low < high {
            let middle = low + (high - low) / 2;
            if logs.get(middle).is_some_and(|h| h.line.at < at) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let order = self.order_of(logs, end);
        if let Some(seq) = order.near(low) {
            self.go_to(seq, end);
        }
    }

    fn move_to(&mut self, seq: u64, area: Rect, state: &State) {
        let end = state.log_end();
        let mut stay = self.stay.unwrap_or_else(|| {
            let top = draw::viewport(self, state, area).first().map_or(seq, |v| v.seq);
            Stay { selected: seq, top, centre: false, left_at: end }
        });
        stay.selected = seq;
        stay.centre = false;
        self.stay = Some(stay);
        self.keep_top(area, state);
    }

    /// Remembers where the screen begins, so that the next key moves from there.
    fn keep_top(&mut self, area: Rect, state: &State) {
        let top = draw::viewport(self, state, area).first().map(|v| v.seq);
        if let (Some(stay), Some(top)) = (&mut self.stay, top) {
            stay.top = top;
            stay.centre = false;
        }
    }

    fn start_seek(&mut self, goal: Goal, down: bool, area: Rect, state: &State) -> Reply {
        let (logs, end) = (&state.situation.logs, state.log_end());
        let order = self.order_of(logs, end);
        let Some(at) = self.here(&order) else { return Reply::Say("there is no line yet".into()) };
        self.seek = Some(Seek { goal, down, at });
        self.told = "";
        self.seek_on(logs, end, &mut AT_ONCE.clone());
        if self.seek.is_some() {
            return Reply::Handled;
        }
        if !self.told.is_empty() {
            return Reply::Say(SafeText::from_static(self.told));
        }
        self.keep_top(area, state);
        Reply::Handled
    }

    fn page(&self, down: bool, area: Rect, state: &State) -> Option<u64> {
        let order = self.order(state);
        let shown = draw::viewport(self, state, area);
        let (first, last) = (shown.first()?.seq, shown.last()?.seq);
        let here = self.here(&order)?;
        // The line at the edge stays in sight as the place where one was.
        if down {
            if here < last { Some(last) } else { self.far(order, here, true, area) }
        } else if here > first {
            Some(first)
        } else {
            self.far(order, here, false, area)
        }
    }

    fn far(&self, order: Order<'_>, from: u64, down: bool, area: Rect) -> Option<u64> {
        let mut rows = usize::from(area.height).saturating_sub(1).max(1);
        let mut at = from;
        while rows > 0 {
            let next = if down { order.from(at + 1) } else { order.before(at) };
            let Some(seq) = next else { break };
            let used = order.logs.get(seq).map_or(1, |h| draw::height(self, h, area.width));
            if used > rows && at != from {
                break;
            }
            rows = rows.saturating_sub(used);
            at = seq;
        }
        Some(at)
    }
}

impl PaneView for LogsView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        let order = self.order(state);
        let here = self.here(&order);
        // A key about something else ends a search that goes on.
        if !matches!(action, Action::Wrap | Action::Timestamps | Action::Left | Action::Right) {
            self.seek = None;
            self.told = "";
        }
        let order = self.order(state);
        let to = match action {
            Action::Down => match (here, self.stay) {
                (Some(h), Some(_)) => match order.from(h + 1) {
                    Some(next) => Some(next),
                    // Down from the last line is back at the end.
                    None => {
                        self.stay = None;
                        None
                    }
                },
                _ => None,
            },
            Action::Up => here.map(|h| order.before(h).unwrap_or(h)),
            Action::PageDown if self.stay.is_none() => None,
            Action::PageDown => {
                let to = self.page(true, area, state);
                if to == here && to == order.last() {
                    self.stay = None;
                    None
                } else {
                    to
                }
            }
            Action::PageUp => self.page(false, area, state),
            Action::Top => order.first(),
            Action::Bottom => {
                self.stay = None;
                self.told = "";
                None
            }
            Action::Pause if self.stay.is_some() => {
                self.stay = None;
                None
            }
            // Staying where we are is a move to the line the cursor is on.
            Action::Pause => here,
            Action::Wrap => {
                self.no_wrap = !self.no_wrap;
                self.across = 0;
                let way = if self.no_wrap {
                    "long lines are cut; left and right scroll"
                } else {
                    "long lines wrap"
                };
                return Reply::Say(SafeText::from_static(way));
            }
            Action::Timestamps => {
                self.times = match self.times {
                    Times::Clock => Times::Full,
                    Times::Full => Times::Off,
                    Times::Off => Times::Clock,
                };
                None
            }
            Action::Right => {
                if !self.no_wrap {
                    return Reply::Ignored;
                }
                self.across = (self.across + STEP).min(draw::widest(self, state, area));
                None
            }
            Action::Left => {
                if !self.no_wrap {
                    return Reply::Ignored;
                }
                self.across = self.across.saturating_sub(STEP);
                None
            }
            Action::NextMatch | Action::PreviousMatch => {
                if self.filter.is_none() {
                    return Reply::Say("nothing is searched for; / filters and searches".into());
                }
                return self.start_seek(Goal::Match, action == Action::NextMatch, area, state);
            }
            Action::NextError => return self.start_seek(Goal::Error, true, area, state),
            Action::PreviousError => return self.start_seek(Goal::Error, false, area, state),
            Action::NextMark => return self.start_seek(Goal::Mark, true, area, state),
            // The console writes the mark; the line keeps its sign here.
            Action::Mark => {
                self.marked.extend(here);
                return Reply::Ignored;
            }
            _ => return Reply::Ignored,
        };
        if let Some(seq) = to {
            self.move_to(seq, area, state);
        }
        Reply::Handled
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let order = self.order(state);
        let h = order.logs.get(self.here(&order)?)?;
        Some(Row { at: h.line.at, source: h.line.group.clone(), text: h.line.text.clone() })
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let order = self.order(state);
        let h = order.logs.get(self.here(&order)?)?;
        let mut d =
            detail::Builder::new(format!("{} {}", say::clock(h.line.at, state.shown_now()), h.line.group));
        d.pair("at", &h.line.at.to_string()).pair("group", &h.line.group).pair("stream", &h.line.stream);
        d.pair("event id", &h.line.id).pair("level", draw::level_word(h.level));
        d.pair("5xx", &h.status_5xx.map_or(String::new(), |s| s.to_string()));
        d.pair("arrived", if h.late { "late: after a line with a later time" } else { "in order" });
        d.heading("text").text(&h.line.text);
        if let Some(pretty) = pretty(&h.line.text) {
            d.heading("as JSON").text(&pretty);
        }
        Some(detail::masked(state, d.done()))
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
        self.seek = None;
        self.told = "";
        // What was looked at was looked at with other eyes: the next
        // `catch_up` begins anew at the newest line.
        self.index = Index::unread();
        if let Some(stay) = &mut self.stay {
            stay.centre = true;
        }
    }

    fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }
}

/// JSON lines over several lines; `None` for anything else.
fn pretty(text: &str) -> Option<String> {
    let start = text.find('{')?;
    let value: serde_json::Value = serde_json::from_str(&text[start..]).ok()?;
    serde_json::to_string_pretty(&value).ok()
}
