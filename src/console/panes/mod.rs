//! The panes: target health, logs, security paths, timeout chain, diagnosis,
//! procedure, timeline, metrics.

use super::filter::Filter;
use super::keys::Action;
use super::state::{PaneId, State};
use crate::situation::log::LogRing;
use crate::text::SafeText;
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws path strip, panes and diagnosis line into the rectangles of
/// [`super::layout::compute`].
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    let _ = (state, frame);
}

/// What a pane makes of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done; nothing more to do.
    Handled,
    /// Not for this pane: the console may use it otherwise.
    Ignored,
    /// Done, and one line tells about it (`no further error`).
    Say(SafeText),
}

/// A row that can be marked into the timeline, copied, or opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When the row happened; a row without a time of its own has the as-of of its data.
    pub at: Timestamp,
    /// Where it comes from: log group, `target health`, `elbv2:DescribeTargetHealth`.
    pub source: SafeText,
    /// The row as one line of text.
    pub text: SafeText,
}

/// What Enter opens: hosted by the console in a scrollable window.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    pub title: SafeText,
    pub lines: Vec<Line<'static>>,
}

/// The view state of a pane and what can be done with it.
pub trait PaneView {
    /// An action while this pane has the focus. `area` is the pane's inner
    /// rectangle, for the height of a page.
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply;

    /// The selected row, for `m` (mark) and `y` (copy).
    fn selected(&self, state: &State) -> Option<Row>;

    /// The selected row in full, for Enter.
    fn detail(&self, state: &State) -> Option<Detail>;

    /// A filter was set or taken away.
    fn set_filter(&mut self, filter: Option<Filter>);

    /// The filter in force.
    fn filter(&self) -> Option<&Filter>;
}

macro_rules! views {
    ($($name:ident),*) => {$(
        /// View state of the pane.
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            filter: Option<Filter>,
        }
        impl PaneView for $name {
            fn handle(&mut self, _: Action, _: Rect, _: &State) -> Reply {
                Reply::Ignored
            }
            fn selected(&self, _: &State) -> Option<Row> {
                None
            }
            fn detail(&self, _: &State) -> Option<Detail> {
                None
            }
            fn set_filter(&mut self, filter: Option<Filter>) {
                self.filter = filter;
            }
            fn filter(&self) -> Option<&Filter> {
                self.filter.as_ref()
            }
        }
    )*};
}
views!(
    HealthView,
    LogsView,
    PathsView,
    TimeoutsView,
    DiagnosisView,
    ProcedureView,
    TimelineView,
    MetricsView
);

impl LogsView {
    /// Brings the view's index up to date with at most `budget` lines of work
    /// (each line looked at costs one). True when there is more to do; the
    /// console calls again from its idle time. Called after every batch of
    /// observations and before a draw; never from `draw`.
    pub fn catch_up(&mut self, logs: &LogRing, budget: usize) -> bool {
        let _ = (logs, budget);
        false
    }
}

/// A name for a pane's title bar and the palette.
pub fn title(id: PaneId) -> &'static str {
    match id {
        PaneId::Health => "Target health",
        PaneId::Logs => "Logs",
        PaneId::Paths => "Security paths",
        PaneId::Timeouts => "Timeout chain",
        PaneId::Diagnosis => "Diagnosis",
        PaneId::Procedure => "Procedure",
        PaneId::Timeline => "Timeline",
        PaneId::Metrics => "Metrics",
    }
}
