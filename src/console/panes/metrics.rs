//! Metrics as sparklines with numbers: errors by emitter, connection errors,
//! response times, healthy hosts. A minute without a point is left empty.

use super::frame::{self, Chrome, Fresh};
use super::list::filter_words;
use super::paint::{Ctx, Seg, Spread, line};
use super::{Detail, PaneView, Reply, Row, detail, say, spark};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::diagnosis::series::{Bad, Spark, Summary, Unit};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Metrics are asked every 30 seconds and are a minute or two old by nature.
const STALE_S: u64 = 150;
/// Narrowest cell of the grid.
const CELL: u16 = 26;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct MetricsView {
    filter: Option<Filter>,
    /// Id and label of the selected series.
    selected: Option<(&'static str, String)>,
    top: usize,
}

/// The series in the order of what helps most; requests last, and response
/// codes nobody got left out.
fn order(summary: &Summary) -> Vec<&Spark> {
    const FIRST: [&str; 7] = ["elb_502", "elb_5xx", "target_5xx", "connect_errors", "p99", "p50", "healthy"];
    let place = |s: &Spark| FIRST.iter().position(|id| *id == s.id).unwrap_or(FIRST.len());
    let mut out: Vec<&Spark> = summary
        .sparks
        .iter()
        .filter(|s| !matches!(s.id, "elb_503" | "elb_504") || s.total.is_some_and(|t| t > 0.0))
        .collect();
    out.sort_by_key(|s| place(s));
    out
}

fn value_words(unit: Unit, v: f64) -> String {
    match unit {
        Unit::Seconds => say::latency(v),
        Unit::Count | Unit::Hosts => say::compact(v),
    }
}

fn max_of(s: &Spark) -> f64 {
    s.values.iter().flatten().copied().fold(0.0, f64::max)
}

/// How a value of a series is to be taken.
fn role_of(s: &Spark, v: f64, max: f64) -> Role {
    match s.bad {
        Bad::Up if s.unit == Unit::Count && v > 0.0 => Role::Bad,
        Bad::Down if v <= 0.0 => Role::Bad,
        Bad::Down if v < max => Role::Warn,
        _ => Role::Spark,
    }
}

/// The newest value: `41`, `1.2s`, or that there is none.
fn now_words(s: &Spark) -> (Role, String) {
    match s.last {
        None => (Role::Unknown, "no data".to_owned()),
        Some((_, v)) => {
            let role = match role_of(s, v, max_of(s)) {
                Role::Spark => Role::Strong,
                other => other,
            };
            (role, value_words(s.unit, v))
        }
    }
}

fn max_words(s: &Spark) -> String {
    if s.last.is_none() { String::new() } else { format!("max {}", value_words(s.unit, max_of(s))) }
}

/// Draws the pane.
pub fn draw(state: &State, view: &MetricsView, area: Rect, kind: FrameKind, focused: bool, buf: &mut Buffer) {
    let ctx = &Ctx::of(state);
    let s = state.shown();
    let mut fresh = Fresh::default();
    if let Some(lb) = s.lb() {
        fresh = fresh.with(&lb.metrics);
    }
    let summary = state.derived.metrics.as_ref();
    let sparks = summary.map(order).unwrap_or_default();
    let sparks: Vec<&Spark> = sparks.into_iter().filter(|x| keeps(view, x)).collect();
    let mut facts = Vec::new();
    if let Some(m) = summary {
        let minutes = m.sparks.first().map_or(0, |s| s.values.len());
        let words = format!("per minute, {minutes} min to {}", m.to.strftime("%H:%M"));
        facts.push(Seg::new(Role::Dim, words).extra());
    }
    if let Some(onset) = &state.derived.onset {
        let words = format!("5xx since {}", onset.at.strftime("%H:%M"));
        facts.push(Seg::new(Role::Bad, format!("{} {words}", ctx.glyphs.bad)).rank(6).whole());
    }
    let all = summary.map_or(0, |m| order(m).len());
    let room = crate::console::layout::inner(area, kind);
    let as_grid = room.width >= 80 && usize::from(room.height) < sparks.len() && room.height >= 2;
    let seen = if as_grid { cells(room.width) } else { usize::from(room.height) };
    let mut place = Vec::new();
    if seen < sparks.len() && summary.is_some_and(|m| m.unknown.is_none()) {
        place.push(Seg::new(Role::Dim, format!("{seen}/{}", sparks.len())).rank(4).whole());
    }
    let chrome = Chrome {
        title: "Metrics",
        facts,
        status: fresh.status(ctx, STALE_S),
        foot: filter_words(ctx, view.filter.as_ref(), (all - sparks.len()) as u64),
        place,
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if inside.is_empty() {
        return;
    }
    let unknown = summary.and_then(|m| m.unknown.clone());
    if sparks.is_empty() || unknown.is_some() {
        super::explain(ctx, buf, inside, &super::nothing_yet(state, unknown, "no metric to show"));
        return;
    }
    let here = selected(view, &sparks);
    if as_grid {
        grid(ctx, buf, inside, &sparks, here.filter(|_| focused));
    } else {
        list(ctx, buf, inside, &sparks, here, focused);
    }
}

fn keeps(view: &MetricsView, s: &Spark) -> bool {
    view.filter.as_ref().is_none_or(|f| !f.hides || f.keeps(&s.label))
}

fn selected(view: &MetricsView, sparks: &[&Spark]) -> Option<usize> {
    match &view.selected {
        None => (!sparks.is_empty()).then_some(0),
        Some((id, label)) => {
            let found = sparks.iter().position(|s| s.id == *id && s.label.as_str() == label);
            Some(found.unwrap_or(0)).filter(|_| !sparks.is_empty())
        }
    }
}

/// Cells that fit side by side.
fn cells(columns: u16) -> usize {
    usize::from(columns / CELL).max(1)
}

/// Cells side by side: a line of words, a graph below it.
fn grid(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, sparks: &[&Spark], here: Option<usize>) {
    let count = sparks.len().min(cells(area.width));
    let start = here.map_or(0, |h| (h + 1).saturating_sub(count));
    let wide = usize::from(area.width) / count;
    for (n, s) in sparks.iter().skip(start).take(count).enumerate() {
        let x = area.x + u16::try_from(n * wide).unwrap_or(0);
        // One column between cells; the last takes what division left over.
        let end = if n + 1 == count { area.right() } else { x + u16::try_from(wide).unwrap_or(CELL) - 1 };
        let cell = Rect { x, width: end.saturating_sub(x), ..area };
        let (role, now) = now_words(s);
        let label_role = if here == Some(start + n) { Role::TitleFocus } else { Role::Text };
        let left = vec![
            Seg::new(label_role, s.label.to_string()).rank(6).min(6),
            Seg::new(role, now).rank(8).whole(),
        ];
        let right = vec![Seg::new(Role::Dim, max_words(s)).extra()];
        line(
            ctx,
            buf,
            Rect { x: cell.x + 1, width: cell.width.saturating_sub(1), ..cell },
            &Spread { indent: 0, left, right },
        );
        let max = max_of(s);
        let graph = Rect {
            x: cell.x + 1,
            y: cell.y + 1,
            width: cell.width.saturating_sub(1),
            height: cell.height.saturating_sub(1),
        };
        spark::draw(ctx, buf, graph, &s.values, max, &|v| role_of(s, v, max));
    }
}

/// One series a line: words, then the graph.
fn list(ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, sparks: &[&Spark], here: Option<usize>, focused: bool) {
    let rows = usize::from(area.height);
    let at = here.unwrap_or(0);
    let top = at.saturating_sub(rows.saturating_sub(1)).min(sparks.len().saturating_sub(rows));
    let words = 38.min(area.width * 3 / 5);
    for (n, s) in sparks.iter().enumerate().skip(top).take(rows) {
        let y = area.y + u16::try_from(n - top).unwrap_or(0);
        let row = Rect { y, height: 1, ..area };
        let (role, now) = now_words(s);
        let left = vec![Seg::new(Role::Text, s.label.to_string()).rank(7).min(6)];
        let right = vec![
            Seg::new(Role::Dim, max_words(s)).extra(),
            Seg::new(role, format!("{now:>8}")).rank(8).whole(),
        ];
        let text = Rect { x: row.x + 1, width: words.saturating_sub(1), ..row };
        line(ctx, buf, text, &Spread { indent: 0, left, right });
        let graph = Rect { x: row.x + words + 1, width: row.width.saturating_sub(words + 1), ..row };
        let max = max_of(s);
        spark::draw(ctx, buf, graph, &s.values, max, &|v| role_of(s, v, max));
        if here == Some(n) && focused {
            super::paint::put(ctx, buf, row.x, y, ctx.glyphs.pointer, 1, Role::Info);
            let row = super::paint::clip(buf, row);
            buf.set_style(row, ctx.theme.style(Role::Selected));
        }
    }
}

impl PaneView for MetricsView {
    fn handle(&mut self, action: Action, _area: Rect, state: &State) -> Reply {
        let Some(summary) = &state.derived.metrics else { return Reply::Ignored };
        let sparks: Vec<&Spark> = order(summary).into_iter().filter(|x| keeps(self, x)).collect();
        let Some(at) = selected(self, &sparks) else { return Reply::Ignored };
        let last = sparks.len() - 1;
        let to = match action {
            Action::Down | Action::Right => (at + 1).min(last),
            Action::Up | Action::Left => at.saturating_sub(1),
            Action::Top | Action::PageUp => 0,
            Action::Bottom | Action::PageDown => last,
            _ => return Reply::Ignored,
        };
        self.selected = sparks.get(to).map(|s| (s.id, s.label.to_string()));
        self.top = to;
        Reply::Handled
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let summary = state.derived.metrics.as_ref()?;
        let sparks: Vec<&Spark> = order(summary).into_iter().filter(|x| keeps(self, x)).collect();
        let s = sparks.get(selected(self, &sparks)?)?;
        let text = match s.last {
            Some((_, v)) => {
                format!("{}: {} (max {})", s.label, value_words(s.unit, v), value_words(s.unit, max_of(s)))
            }
            None => format!("{}: no data", s.label),
        };
        let at = s.last.map_or(summary.to, |(t, _)| t);
        Some(Row { at, source: "cloudwatch:GetMetricData".into(), text: text.into() })
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let summary = state.derived.metrics.as_ref()?;
        let sparks: Vec<&Spark> = order(summary).into_iter().filter(|x| keeps(self, x)).collect();
        let s = sparks.get(selected(self, &sparks)?)?;
        let mut d = detail::Builder::new(format!("{} by minute", s.label));
        if let Some(total) = s.total {
            d.pair("total", &say::count(total.max(0.0) as u64));
        }
        d.pair("max", &value_words(s.unit, max_of(s)));
        d.heading("newest first");
        for (i, v) in s.values.iter().enumerate().rev() {
            let back = jiff::SignedDuration::from_mins(i64::try_from(s.values.len() - 1 - i).unwrap_or(0));
            let at = summary.to.checked_sub(back).unwrap_or(summary.to);
            let words = v.map_or_else(|| "no data point".to_owned(), |v| value_words(s.unit, v));
            d.pair(&at.strftime("%H:%M").to_string(), &words);
        }
        Some(detail::masked(state, d.done()))
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }
}
