//! The panes: target health, logs, security paths, timeout chain, diagnosis,
//! procedure, timeline, metrics.

mod detail;
mod diagnosis;
mod frame;
mod health;
mod list;
mod logs;
pub mod mask;
mod metrics;
pub(crate) mod paint;
mod paths;
mod procedure;
pub(crate) mod say;
mod spark;
mod strip;
mod tabs;
mod timeline;
mod timeouts;
pub(crate) mod wrap;

pub use diagnosis::{DiagnosisView, next};
pub use health::HealthView;
pub use logs::{LogsView, Saved};
pub use metrics::MetricsView;
pub use paths::PathsView;
pub use procedure::ProcedureView;
pub use timeline::TimelineView;
pub use timeouts::TimeoutsView;

use super::filter::Filter;
use super::keys::Action;
use super::layout::FrameKind;
use super::state::{Mark, PaneId, State};
use super::theme::Role;
use crate::situation::Reason;
use crate::text::SafeText;
use jiff::Timestamp;
use paint::{Ctx, Seg, Spread};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws path strip, tabs, panes and diagnosis line into the rectangles of
/// [`super::layout::compute`].
pub fn draw(state: &State, buf: &mut Buffer) {
    let layout = state.layout();
    if !layout.strip.is_empty() {
        strip::draw(state, layout.strip, buf);
    }
    if !layout.tabs.is_empty() {
        tabs::draw(state, layout.tabs, buf);
    }
    for (id, area) in &layout.panes {
        draw_pane(state, *id, *area, layout.frame, buf);
    }
    if !layout.verdict.is_empty() {
        diagnosis::verdict(state, layout.verdict, buf);
    }
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
    /// Rows elsewhere that `1` to `9` lead to.
    pub jumps: Vec<Jump>,
}

/// A row of another pane.
#[derive(Clone, Debug, PartialEq)]
pub struct Jump {
    pub pane: PaneId,
    /// When it was true.
    pub at: Timestamp,
    /// What is said there; the row with most of these words is meant.
    pub text: SafeText,
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

    /// Selects the row that says most of `what`; stays where it is when none
    /// says any of it.
    fn seek(&mut self, _what: &str, _area: Rect, _state: &State) {}

    /// A filter was set or taken away.
    fn set_filter(&mut self, filter: Option<Filter>);

    /// The filter in force.
    fn filter(&self) -> Option<&Filter>;
}

/// Draws one pane with its frame into a rectangle.
pub fn draw_pane(state: &State, id: PaneId, area: Rect, kind: FrameKind, buf: &mut Buffer) {
    let focused = state.focus == id;
    let v = &state.views;
    match id {
        PaneId::Health => health::draw(state, &v.health, area, kind, focused, buf),
        PaneId::Logs => logs::draw(state, &v.logs, area, kind, focused, buf),
        PaneId::Paths => paths::draw(state, &v.paths, area, kind, focused, buf),
        PaneId::Timeouts => timeouts::draw(state, &v.timeouts, area, kind, focused, buf),
        PaneId::Diagnosis => diagnosis::draw(state, &v.diagnosis, area, kind, focused, buf),
        PaneId::Procedure => procedure::draw(state, &v.procedure, area, kind, focused, buf),
        PaneId::Timeline => timeline::draw(state, &v.timeline, area, kind, focused, buf),
        PaneId::Metrics => metrics::draw(state, &v.metrics, area, kind, focused, buf),
    }
}

/// How bad a mark is, for sorting: what is broken before what is not known.
pub(crate) fn worse(mark: Mark) -> u8 {
    match mark {
        Mark::Good => 0,
        Mark::Info => 1,
        Mark::Unknown => 2,
        Mark::Warn => 3,
        Mark::Bad => 4,
    }
}

/// Why a pane is empty: what went wrong on the way to its facts, or `none`
/// when there really is nothing. `why` is the reason of the pane's own facts.
fn nothing_yet(state: &State, why: Option<Reason>, none: &str) -> (Mark, String) {
    if !state.no_target.is_empty() {
        return (Mark::Bad, state.no_target.to_string());
    }
    let s = state.shown();
    let asked = &state.incident.asked;
    match s.target.why_unknown() {
        Some(Reason::NotAsked) if asked.is_empty() => {
            return (Mark::Unknown, "no target is chosen yet".to_owned());
        }
        Some(Reason::NotAsked) => return (Mark::Unknown, format!("looking for {asked}")),
        Some(r) => {
            let what = if asked.is_empty() { "load balancers" } else { asked.as_str() };
            return (Mark::Unknown, format!("looking for {what}: {}", r.phrase()));
        }
        None => {}
    }
    let Some(lb) = s.lb() else { return (Mark::Unknown, "no load balancer found yet".to_owned()) };
    match (lb.lb.why_unknown(), why) {
        (Some(r), _) => (Mark::Unknown, format!("load balancer: {}", r.phrase())),
        (None, Some(r)) => (Mark::Unknown, r.phrase()),
        (None, None) => (Mark::Info, none.to_owned()),
    }
}

/// Says in an empty pane why it is empty.
fn explain(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, (mark, text): &(Mark, String)) {
    let columns = usize::from(area.width).saturating_sub(3);
    let role = if *mark == Mark::Info { Role::Dim } else { Ctx::role(*mark) };
    let lines = wrap::wrap(&ctx.masked(text), columns, usize::from(area.height), ctx.glyphs.ellipsis);
    for (n, part) in lines.into_iter().enumerate() {
        let y = area.y + u16::try_from(n).unwrap_or(0);
        let row = Rect { y, height: 1, ..area };
        let mut segs = Vec::new();
        if n == 0 {
            segs.push(Seg::new(role, ctx.sign(*mark)).rank(paint::KEEP).min(1));
        }
        segs.push(Seg::new(role, part));
        paint::line(ctx, buf, row, &Spread::new(if n == 0 { 1 } else { 3 }, segs));
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
