//! Where everything goes, for every size of terminal.
//!
//! Breakpoints, not proportions: the same size always gives the same screen,
//! and two people in one multiplexer see the same thing.
//!
//! | size | screen |
//! |---|---|
//! | >= 160x24 | four panes side by side, diagnosis, procedure and timeline below, metrics between where there is room |
//! | >= 160x14 | four panes side by side, one line of diagnosis |
//! | >= 100x34 | four panes two by two, the three below |
//! | >= 100x20 | four panes two by two, one line of diagnosis |
//! | else | one pane with tabs, one line of diagnosis; chrome gives way as the rows run out |
//!
//! A pane that has no place on the present screen is shown alone, with tabs,
//! while it has the keyboard.

use super::state::PaneId;
use ratatui::layout::Rect;

/// The rectangles of one frame; all of them within the frame, any may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Incident header, one line.
    pub header: Rect,
    /// Path strip, one line.
    pub strip: Rect,
    /// Names of all panes where only one is shown; empty elsewhere.
    pub tabs: Rect,
    /// The one line of diagnosis of small screens; empty elsewhere.
    pub verdict: Rect,
    /// Panes on screen with their outer rectangle (frame included).
    pub panes: Vec<(PaneId, Rect)>,
    /// Key bar or message line.
    pub bar: Rect,
    /// How panes are framed.
    pub frame: FrameKind,
}

/// How much of a frame a pane has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameKind {
    /// Lines on all four sides.
    #[default]
    Boxed,
    /// A title line above, nothing at the sides or below.
    Ruled,
    /// Nothing: there is not even room for a title.
    Bare,
}

impl Layout {
    /// The outer rectangle of a pane, if it is on screen.
    pub fn pane(&self, id: PaneId) -> Option<Rect> {
        self.panes.iter().find(|p| p.0 == id).map(|p| p.1)
    }

    /// The rectangle within the frame of a pane, empty when it is not on
    /// screen or too small to have an inside.
    pub fn inner(&self, id: PaneId) -> Rect {
        self.pane(id).map_or(Rect::ZERO, |area| inner(area, self.frame))
    }
}

/// What a frame leaves of a rectangle.
pub fn inner(area: Rect, frame: FrameKind) -> Rect {
    let (left, top, right, bottom) = match frame {
        FrameKind::Boxed => (1, 1, 1, 1),
        FrameKind::Ruled => (0, 1, 0, 0),
        FrameKind::Bare => (0, 0, 0, 0),
    };
    if area.width <= left + right || area.height <= top + bottom {
        return Rect { width: 0, height: 0, ..area };
    }
    Rect {
        x: area.x + left,
        y: area.y + top,
        width: area.width - left - right,
        height: area.height - top - bottom,
    }
}

const UPPER: [PaneId; 4] = [PaneId::Health, PaneId::Logs, PaneId::Paths, PaneId::Timeouts];
const LOWER: [PaneId; 3] = [PaneId::Diagnosis, PaneId::Procedure, PaneId::Timeline];

/// Shares of the width, in percent: log lines are the longest.
const UPPER_SHARES: [u16; 4] = [23, 29, 25, 23];
const LOWER_SHARES: [u16; 3] = [42, 25, 33];

/// Lays out a screen of `size` columns and rows.
pub fn compute(size: (u16, u16), focus: PaneId, zoom: bool) -> Layout {
    let (width, height) = size;
    if width == 0 || height == 0 {
        return Layout::default();
    }
    if zoom {
        return single(width, height, focus, FrameKind::Boxed);
    }
    let many = if width >= 160 && height >= 14 {
        Some(wide(width, height))
    } else if width >= 100 && height >= 20 {
        Some(medium(width, height))
    } else {
        None
    };
    match many {
        Some(layout) if layout.pane(focus).is_some() => layout,
        _ => single(width, height, focus, FrameKind::Ruled),
    }
}

/// Takes rows off the top or the bottom of what is left.
struct Rows {
    left: Rect,
}

impl Rows {
    fn new(width: u16, height: u16) -> Rows {
        Rows { left: Rect::new(0, 0, width, height) }
    }

    fn top(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.left.height);
        let taken = Rect { height: rows, ..self.left };
        self.left.y += rows;
        self.left.height -= rows;
        taken
    }

    fn bottom(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.left.height);
        self.left.height -= rows;
        Rect { y: self.left.y + self.left.height, height: rows, ..self.left }
    }
}

/// Cuts a rectangle into columns by percent; the last takes what is left.
fn columns<const N: usize>(area: Rect, ids: [PaneId; N], shares: [u16; N]) -> Vec<(PaneId, Rect)> {
    let total: u32 = shares.iter().map(|s| u32::from(*s)).sum();
    let mut seen = 0u32;
    let at = |share: u32| {
        let cells = u32::from(area.width) * share / total.max(1);
        u16::try_from(cells).unwrap_or(area.width)
    };
    ids.into_iter()
        .zip(shares)
        .map(|(id, share)| {
            let from = at(seen);
            seen += u32::from(share);
            (id, Rect { x: area.x + from, width: at(seen) - from, ..area })
        })
        .collect()
}

fn wide(width: u16, height: u16) -> Layout {
    let mut rows = Rows::new(width, height);
    let mut out =
        Layout { header: rows.top(1), strip: rows.top(1), bar: rows.bottom(1), ..Layout::default() };
    if height < 24 {
        out.verdict = rows.bottom(1);
        out.panes = columns(rows.left, UPPER, UPPER_SHARES);
        return out;
    }
    let metrics = metrics_rows(height);
    let lower = (rows.left.height - metrics) * 2 / 5;
    let lower = rows.bottom(lower);
    let metrics = rows.bottom(metrics);
    out.panes = columns(rows.left, UPPER, UPPER_SHARES);
    out.panes.extend(columns(lower, LOWER, LOWER_SHARES));
    if metrics.height > 0 {
        out.panes.push((PaneId::Metrics, metrics));
    }
    out
}

/// Rows of the metrics pane between the upper and the lower panes.
fn metrics_rows(height: u16) -> u16 {
    match height {
        48.. => 5,
        36..48 => 4,
        _ => 0,
    }
}

fn medium(width: u16, height: u16) -> Layout {
    let mut rows = Rows::new(width, height);
    let mut out =
        Layout { header: rows.top(1), strip: rows.top(1), bar: rows.bottom(1), ..Layout::default() };
    let mut below = Vec::new();
    if height >= 34 {
        let lower = rows.bottom(rows.left.height / 4 + 1);
        below = columns(lower, LOWER, [38, 27, 35]);
        if height >= 46 {
            below.push((PaneId::Metrics, rows.bottom(5)));
        }
    } else {
        out.verdict = rows.bottom(1);
    }
    let first = rows.top(rows.left.height.div_ceil(2));
    out.panes = columns(first, [PaneId::Health, PaneId::Logs], [46, 54]);
    out.panes.extend(columns(rows.left, [PaneId::Paths, PaneId::Timeouts], [50, 50]));
    out.panes.extend(below);
    out
}

/// One pane. The pane itself needs four rows to be of use; chrome takes what
/// is left, in the order of what helps most.
fn single(width: u16, height: u16, focus: PaneId, frame: FrameKind) -> Layout {
    let mut rows = Rows::new(width, height);
    let mut out = Layout::default();
    if height >= 5 {
        out.header = rows.top(1);
    }
    if height >= 12 {
        out.strip = rows.top(1);
    }
    if height >= 8 {
        out.tabs = rows.top(1);
    }
    if height >= 7 {
        out.bar = rows.bottom(1);
    }
    if height >= 6 && focus != PaneId::Diagnosis {
        out.verdict = rows.bottom(1);
    }
    out.frame = match frame {
        _ if rows.left.height < 3 => FrameKind::Bare,
        FrameKind::Boxed if rows.left.height >= 6 && width >= 60 => FrameKind::Boxed,
        _ => FrameKind::Ruled,
    };
    out.panes = vec![(focus, rows.left)];
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rects(l: &Layout) -> Vec<(String, Rect)> {
        let mut all: Vec<(String, Rect)> = [
            ("header", l.header),
            ("strip", l.strip),
            ("tabs", l.tabs),
            ("verdict", l.verdict),
            ("bar", l.bar),
        ]
        .into_iter()
        .map(|(n, r)| (n.to_owned(), r))
        .collect();
        all.extend(l.panes.iter().map(|(id, r)| (format!("{id:?}"), *r)));
        all
    }

    /// Every size, every focus: nothing outside the frame, nothing on top of
    /// anything, no cell of the frame forgotten, the focused pane on screen.
    #[test]
    fn the_screen_is_covered_once() {
        for width in (0..=220).step_by(3).chain([1, 2, 40, 80, 99, 100, 120, 159, 160, 161, 200]) {
            for height in (0..=110u16).chain([200]) {
                for zoom in [false, true] {
                    for focus in PaneId::ALL {
                        let l = compute((width, height), focus, zoom);
                        let mut cells = 0u32;
                        let all = rects(&l);
                        for (i, (name, r)) in all.iter().enumerate() {
                            assert!(
                                r.right() <= width && r.bottom() <= height,
                                "{width}x{height} {name} {r:?}"
                            );
                            cells += r.area();
                            for (other, o) in &all[..i] {
                                assert!(
                                    r.is_empty() || o.is_empty() || !r.intersects(*o),
                                    "{width}x{height}: {name} {r:?} lies on {other} {o:?}"
                                );
                            }
                        }
                        assert_eq!(cells, u32::from(width) * u32::from(height), "{width}x{height} {focus:?}");
                        if width > 0 && height > 0 {
                            assert!(
                                l.pane(focus).is_some_and(|r| r.height > 0),
                                "{width}x{height} {focus:?}"
                            );
                        }
                        for (id, outer) in &l.panes {
                            let inside = l.inner(*id);
                            assert_eq!(inside.intersection(*outer), inside);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn breakpoints() {
        let ids = |w, h| compute((w, h), PaneId::Health, false).panes.iter().map(|p| p.0).collect::<Vec<_>>();
        assert_eq!(ids(200, 50).len(), 8);
        assert_eq!(ids(160, 30), [UPPER.as_slice(), &LOWER].concat());
        assert_eq!(ids(160, 20), UPPER);
        assert_eq!(ids(120, 40), [UPPER.as_slice(), &LOWER].concat());
        assert_eq!(ids(120, 24), UPPER);
        assert_eq!(ids(80, 24), [PaneId::Health]);
        assert_eq!(ids(40, 10), [PaneId::Health]);
        assert_eq!(ids(1, 1), [PaneId::Health]);
        assert!(ids(0, 0).is_empty());

        let side_by_side = compute((160, 50), PaneId::Logs, false);
        let tops: Vec<u16> = UPPER.iter().map(|id| side_by_side.pane(*id).unwrap().y).collect();
        assert_eq!(tops, [2, 2, 2, 2]);
        assert!(UPPER.iter().all(|id| side_by_side.inner(*id).width >= 34));
    }

    #[test]
    fn a_pane_without_a_place_is_shown_alone() {
        let l = compute((120, 24), PaneId::Timeline, false);
        assert_eq!(l.panes.len(), 1);
        assert!(!l.tabs.is_empty());
    }

    #[test]
    fn small_screens_keep_what_helps_most() {
        let l = compute((80, 24), PaneId::Logs, false);
        assert_eq!(l.inner(PaneId::Logs).height, 18);
        assert_eq!(l.inner(PaneId::Logs).width, 80);
        assert!([l.header, l.strip, l.tabs, l.verdict, l.bar].iter().all(|r| r.height == 1));
        let l = compute((40, 10), PaneId::Logs, false);
        assert_eq!(l.inner(PaneId::Logs).height, 5);
        let l = compute((40, 2), PaneId::Logs, false);
        assert_eq!(l.inner(PaneId::Logs).height, 2);
        let zoomed = compute((200, 50), PaneId::Logs, true);
        assert_eq!(zoomed.frame, FrameKind::Boxed);
        assert_eq!(zoomed.inner(PaneId::Logs).width, 198);
    }
}
