//! A list of items, each of one or more lines, of which only those on screen
//! are ever formatted. Position is kept by the identity of an item, not by its
//! number: a list that is sorted anew under the reader does not jump.

use super::paint::{Ctx, Seg, Spread, clip, line, put};
use super::{Detail, Reply, Row, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::theme::Role;
use crate::text::SafeText;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Identity of an item.
pub type Key = u64;

/// The identity that follows from the parts an item is known by.
pub fn key(parts: impl Hash) -> Key {
    let mut h = DefaultHasher::new();
    parts.hash(&mut h);
    h.finish()
}

/// The items of a pane, made from the facts for one frame or one key.
pub trait Listing {
    fn len(&self) -> usize;
    /// Identity, the same from frame to frame.
    fn key(&self, i: usize) -> Key;
    /// Depth in the tree, 0 at the top.
    fn level(&self, _i: usize) -> u8 {
        0
    }
    /// The item as drawn in `width` columns, at least one line.
    fn lines(&self, ctx: &Ctx<'_>, i: usize, width: u16) -> Vec<Spread<'_>>;
    /// The item as a fact with its time.
    fn row(&self, i: usize) -> Row;
    /// The text a filter looks at.
    fn text(&self, i: usize) -> String {
        self.row(i).text.to_string()
    }
    /// The item in full.
    fn detail(&self, i: usize) -> Option<Detail>;
    /// Open (true) or closed, for items that have something to open.
    fn unfolded(&self, _i: usize) -> Option<bool> {
        None
    }
}

/// Position, folds and filter of a list.
#[derive(Clone, Debug, Default)]
pub struct ListView {
    pub filter: Option<Filter>,
    selected: Option<Key>,
    /// Where the selected item was last, should it vanish.
    selected_at: usize,
    top: Option<Key>,
    top_at: usize,
    /// Folds a person changed: open or closed.
    folds: BTreeMap<Key, bool>,
}

/// The part of a list that is on screen.
pub struct Window<'l> {
    /// Items with their lines, the first ones from the top.
    items: Vec<(usize, Vec<Spread<'l>>)>,
    selected: Option<usize>,
    /// Numbers of the items in the list as the reader counts them.
    first: usize,
    last: usize,
    total: usize,
    /// Items the filter leaves out.
    hidden: usize,
}

/// The items a filter leaves, by number.
fn kept(list: &dyn Listing, filter: Option<&Filter>) -> Option<Vec<usize>> {
    let filter = filter.filter(|f| f.hides)?;
    let mut out = Vec::new();
    // An item stays when something below it stays.
    let mut child_of: [bool; 8] = [false; 8];
    for i in (0..list.len()).rev() {
        let level = usize::from(list.level(i)).min(6);
        let below = std::mem::take(&mut child_of[level + 1]);
        child_of[level + 2..].fill(false);
        if below || filter.keeps(&list.text(i)) {
            child_of[level] = true;
            out.push(i);
        }
    }
    out.reverse();
    Some(out)
}

impl ListView {
    /// True or false when a person folded this item, else `None`.
    pub fn fold(&self, key: Key) -> Option<bool> {
        self.folds.get(&key).copied()
    }

    fn order(&self, list: &dyn Listing) -> Vec<usize> {
        kept(list, self.filter.as_ref()).unwrap_or_else(|| (0..list.len()).collect())
    }

    /// Number, within `order`, of an item known by key or last place.
    fn find(list: &dyn Listing, order: &[usize], key: Option<Key>, at: usize) -> usize {
        key.and_then(|k| {
            // Most often it is where it was.
            let held = order.get(at).is_some_and(|i| list.key(*i) == k);
            if held { Some(at) } else { order.iter().position(|i| list.key(*i) == k) }
        })
        .unwrap_or(at)
        .min(order.len().saturating_sub(1))
    }

    /// What of the list is seen in `area`.
    pub fn window<'l>(&self, ctx: &Ctx<'_>, list: &'l dyn Listing, area: Rect) -> Window<'l> {
        let order = self.order(list);
        let hidden = list.len() - order.len();
        let mut out =
            Window { items: Vec::new(), selected: None, first: 0, last: 0, total: order.len(), hidden };
        if order.is_empty() || area.is_empty() {
            return out;
        }
        let selected = Self::find(list, &order, self.selected, self.selected_at);
        let top = self.top_for(ctx, list, &order, selected, area);
        let mut rows = usize::from(area.height);
        for (at, i) in order.iter().enumerate().skip(top) {
            let lines = list.lines(ctx, *i, width_of(area));
            let used = lines.len().max(1);
            out.items.push((*i, lines));
            out.last = at + 1;
            if used >= rows {
                if used > rows {
                    out.last = at;
                }
                break;
            }
            rows -= used;
        }
        out.first = top + 1;
        out.last = out.last.max(out.first);
        out.selected = Some(order[selected]);
        out
    }

    /// The first item on screen: where it was, moved as little as shows the
    /// selected item.
    fn top_for(
        &self,
        ctx: &Ctx<'_>,
        list: &dyn Listing,
        order: &[usize],
        selected: usize,
        area: Rect,
    ) -> usize {
        let height = usize::from(area.height);
        let rows = |at: usize| list.lines(ctx, order[at], width_of(area)).len().max(1);
        let top = Self::find(list, order, self.top, self.top_at).min(selected);
        // Up from the selected item: how far up the screen can begin.
        let mut used = rows(selected);
        let mut lowest = selected;
        while lowest > top && used + rows(lowest - 1) <= height {
            lowest -= 1;
            used += rows(lowest);
        }
        let mut top = top.max(lowest);
        // No empty rows below while there are items above.
        let mut below = 0;
        for at in top..order.len() {
            below += rows(at);
            if below >= height {
                return top;
            }
        }
        while top > 0 && below + rows(top - 1) <= height {
            top -= 1;
            below += rows(top);
        }
        top
    }

    fn select(&mut self, ctx: &Ctx<'_>, list: &dyn Listing, order: &[usize], to: usize, area: Rect) {
        let to = to.min(order.len().saturating_sub(1));
        let Some(i) = order.get(to) else { return };
        self.selected = Some(list.key(*i));
        self.selected_at = to;
        let top = self.top_for(ctx, list, order, to, area);
        self.top_at = top;
        self.top = order.get(top).map(|i| list.key(*i));
    }

    /// The selected item's number.
    pub fn selected(&self, list: &dyn Listing) -> Option<usize> {
        let order = self.order(list);
        order.get(Self::find(list, &order, self.selected, self.selected_at)).copied()
    }

    /// Moves, folds, finds. What it does not know is `Ignored`.
    pub fn handle(&mut self, action: Action, ctx: &Ctx<'_>, list: &dyn Listing, area: Rect) -> Reply {
        let order = self.order(list);
        if order.is_empty() {
            return Reply::Ignored;
        }
        let at = Self::find(list, &order, self.selected, self.selected_at);
        let last = order.len() - 1;
        let page = |down: bool| {
            let mut rows = usize::from(area.height).saturating_sub(1).max(1);
            let mut to = at;
            while (down && to < last) || (!down && to > 0) {
                let used = list.lines(ctx, order[to], width_of(area)).len().max(1);
                if used > rows && to != at {
                    break;
                }
                rows = rows.saturating_sub(used);
                to = if down { to + 1 } else { to - 1 };
            }
            to
        };
        let to = match action {
            Action::Down => (at + 1).min(last),
            Action::Up => at.saturating_sub(1),
            Action::PageDown => page(true),
            Action::PageUp => page(false),
            Action::Top => 0,
            Action::Bottom => last,
            Action::NextMatch | Action::PreviousMatch => {
                let Some(filter) = &self.filter else { return Reply::Ignored };
                let hit = |to: &usize| filter.keeps(&list.text(order[*to]));
                let found = if action == Action::NextMatch {
                    (at + 1..order.len()).find(hit)
                } else {
                    (0..at).rev().find(hit)
                };
                match found {
                    Some(to) => to,
                    None => {
                        let way = if action == Action::NextMatch { "below" } else { "above" };
                        return Reply::Say(SafeText::from(format!("no further match {way}")));
                    }
                }
            }
            Action::Open | Action::Right | Action::Left => {
                let i = order[at];
                let Some(open) = list.unfolded(i) else {
                    // From a leaf, left leads to what it belongs to.
                    let level = list.level(i);
                    let parent = (0..at).rev().find(|a| list.level(order[*a]) < level);
                    return match (action, parent) {
                        (Action::Left, Some(to)) => {
                            self.select(ctx, list, &order, to, area);
                            Reply::Handled
                        }
                        _ => Reply::Ignored,
                    };
                };
                let want = match action {
                    Action::Right => true,
                    Action::Left => false,
                    _ => !open,
                };
                self.folds.insert(list.key(i), want);
                at
            }
            _ => return Reply::Ignored,
        };
        self.select(ctx, list, &order, to, area);
        Reply::Handled
    }

    /// Selects the item whose text has most of the words of `what` in it, long
    /// words (ids, names of metrics) before short ones.
    pub fn seek(&mut self, what: &str, ctx: &Ctx<'_>, list: &dyn Listing, area: Rect) {
        let words: Vec<&str> = what
            .split(|c: char| c.is_whitespace() || ",;()".contains(c))
            .map(|w| w.trim_matches([':', '.']))
            .filter(|w| w.len() >= 3)
            .collect();
        let order = self.order(list);
        let score = |i: usize| {
            let text = list.text(i);
            words.iter().filter(|w| text.contains(**w)).map(|w| w.len() * w.len()).sum::<usize>()
        };
        // The first of equals: rows stand worst first.
        let best = order.iter().enumerate().map(|(at, i)| (score(*i), std::cmp::Reverse(at))).max();
        if let Some((hit, std::cmp::Reverse(at))) = best
            && hit > 0
        {
            self.select(ctx, list, &order, at, area);
        }
    }

    /// True once a person has moved in the list.
    pub fn touched(&self) -> bool {
        self.selected.is_some()
    }
}

/// Columns of an item: one is the gutter.
fn width_of(area: Rect) -> u16 {
    area.width.saturating_sub(1)
}

impl Window<'_> {
    /// Draws the items into the empty `area`. The selected one carries the
    /// pointer, and the bar when the pane has the keyboard.
    pub fn draw(&self, ctx: &Ctx<'_>, buf: &mut Buffer, area: Rect, focused: bool, view: &ListView) {
        let mut y = area.y;
        let shows = focused || view.touched();
        for (i, lines) in &self.items {
            let selected = shows && self.selected == Some(*i);
            for spread in lines {
                if y >= area.bottom() {
                    return;
                }
                let row = Rect { y, height: 1, ..area };
                let body = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..row };
                line(ctx, buf, body, spread);
                if selected {
                    let role = if focused { Role::Info } else { Role::Dim };
                    put(ctx, buf, area.x, y, ctx.glyphs.pointer, 1, role);
                    let bar = if focused { Role::Selected } else { Role::SelectedIdle };
                    let row = clip(buf, row);
                    buf.set_style(row, ctx.theme.style(bar));
                }
                y += 1;
            }
        }
    }

    /// `3-12/240` when not everything is seen.
    pub fn place(&self) -> Vec<Seg<'static>> {
        let seen = self.last + 1 - self.first;
        if self.total == 0 || seen >= self.total {
            return Vec::new();
        }
        let text = format!("{}-{}/{}", self.first, self.last, say::count(self.total as u64));
        vec![Seg::new(Role::Dim, text).rank(4).whole()]
    }

    /// The filter in force and what it hides.
    pub fn foot(&self, ctx: &Ctx<'_>, filter: Option<&Filter>) -> Vec<Seg<'static>> {
        filter_words(ctx, filter, self.hidden as u64)
    }
}

/// `/pattern 12 hidden`.
pub fn filter_words(ctx: &Ctx<'_>, filter: Option<&Filter>, hidden: u64) -> Vec<Seg<'static>> {
    let Some(f) = filter else { return Vec::new() };
    let mut out = vec![
        Seg::new(Role::Info, "/").rank(7).whole(),
        Seg::new(Role::Info, ctx.masked(&f.typed).into_owned()).rank(6).min(3).glue(),
    ];
    if f.hides {
        let role = if hidden > 0 { Role::Warn } else { Role::Dim };
        out.push(Seg::new(role, format!("{} hidden", say::count(hidden))).rank(7).whole());
    }
    out
}
