//! The timeline: what was seen and what people did, newest first, at the time
//! it happened.

use super::frame::{self, Chrome};
use super::list::{Key, ListView, Listing, key};
use super::paint::{Ctx, KEEP, Seg, Spread};
use super::wrap::wrap_after;
use super::{Detail, PaneView, Reply, Row, detail, say};
use crate::console::filter::Filter;
use crate::console::keys::Action;
use crate::console::layout::FrameKind;
use crate::console::past::Role as Part;
use crate::console::state::{Entry, EntryKind, JournalState, Mark, Saved, State};
use crate::console::theme::Role;
use crate::text::width;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Lines an entry takes at most; Enter shows all of it.
const LINES_SHOWN: usize = 4;

/// Columns by which the lines below the first are set in: under the kind.
const HANG: usize = 9;

/// View state of the pane.
#[derive(Clone, Debug, Default)]
pub struct TimelineView {
    list: ListView,
}

struct Entries<'a> {
    /// Oldest first, as held; shown the other way round.
    entries: &'a [Entry],
    now: Timestamp,
}

fn word(kind: EntryKind) -> (&'static str, Role) {
    match kind {
        EntryKind::Session => ("session", Role::Dim),
        EntryKind::Health => ("health", Role::Warn),
        EntryKind::Config => ("config", Role::Info),
        EntryKind::Lost => ("lost", Role::Unknown),
        EntryKind::Found => ("found", Role::Dim),
        EntryKind::Step => ("step", Role::Info),
        EntryKind::Note => ("note", Role::Note),
        EntryKind::Mark => ("mark", Role::Mark),
        EntryKind::Verdict => ("verdict", Role::Strong),
        EntryKind::Action => ("action", Role::Warn),
        EntryKind::Gap => ("gap", Role::Warn),
    }
}

/// People write `yui@bastion-1`; the host only tells when there is room.
fn person(by: &str) -> &str {
    by.split('@').next().unwrap_or(by)
}

impl Entries<'_> {
    fn entry(&self, i: usize) -> &Entry {
        &self.entries[self.entries.len() - 1 - i]
    }

    /// Sources repeat themselves in the text; people are always named.
    fn by_person(e: &Entry) -> bool {
        matches!(
            e.kind,
            EntryKind::Note | EntryKind::Mark | EntryKind::Action | EntryKind::Step | EntryKind::Session
        )
    }
}

impl Listing for Entries<'_> {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn key(&self, i: usize) -> Key {
        // Entries are never changed nor moved but for one that is told late;
        // its place among equals is part of its identity.
        let e = self.entry(i);
        key((e.at.as_nanosecond(), e.kind, e.by.as_str(), e.text.as_str()))
    }

    fn lines(&self, ctx: &Ctx<'_>, i: usize, columns: u16) -> Vec<Spread<'_>> {
        let e = self.entry(i);
        let (kind, role) = word(e.kind);
        let clock = say::clock(e.at, self.now);
        let mut head = vec![
            Seg::new(Role::Dim, clock).rank(KEEP).min(8),
            Seg::new(role, format!("{kind:<7}")).rank(7).whole(),
        ];
        if Self::by_person(e) {
            head.push(Seg::new(Role::Strong, person(&e.by).to_owned()).rank(5).min(3));
        }
        match e.saved {
            Saved::Yes => {}
            Saved::Pending => head.push(Seg::new(Role::Busy, "saving").rank(8).whole()),
            Saved::No => head.push(Seg::new(Role::Bad, "NOT SAVED").rank(8).whole()),
        }
        let used: usize = head.iter().map(|s| width(&s.text) + 1).sum();
        let columns = usize::from(columns);
        let role = if e.kind == EntryKind::Note { Role::Note } else { Role::Text };
        let room = columns.saturating_sub(used);
        // Beside the head where a few words fit, and on below it.
        let beside = room >= 16;
        let text: &str = &e.text;
        let hang = HANG.min(columns / 4);
        let below = columns.saturating_sub(hang).max(1);
        let mut parts = if beside {
            wrap_after(text, room, below, LINES_SHOWN, ctx.glyphs.ellipsis)
        } else {
            wrap_after(text, below, below, LINES_SHOWN, ctx.glyphs.ellipsis)
        }
        .into_iter();
        if beside {
            head.push(Seg::new(role, parts.next().unwrap_or_default()).rank(6).min(4));
        }
        let mut out = vec![Spread::new(0, head)];
        let hang = u16::try_from(hang).unwrap_or(0);
        out.extend(parts.map(|part| Spread::new(hang, vec![Seg::new(role, part)])));
        out
    }

    fn row(&self, i: usize) -> Row {
        let e = self.entry(i);
        Row { at: e.at, source: e.by.clone(), text: e.text.one_line() }
    }

    fn text(&self, i: usize) -> String {
        let e = self.entry(i);
        format!("{} {} {}", word(e.kind).0, e.by, e.text)
    }

    fn detail(&self, i: usize) -> Option<Detail> {
        let e = self.entry(i);
        let mut d = detail::Builder::new(format!("{} {}", say::clock(e.at, self.now), word(e.kind).0));
        d.pair("at", &e.at.to_string()).pair("by", &e.by);
        let saved = match e.saved {
            Saved::Yes => "in the incident file",
            Saved::Pending => "being written",
            Saved::No => "NOT in the incident file",
        };
        d.pair("saved", saved);
        d.heading("text").text(&e.text);
        Some(d.done())
    }
}

/// Draws the pane.
pub fn draw(
    state: &State,
    view: &TimelineView,
    area: Rect,
    kind: FrameKind,
    focused: bool,
    buf: &mut Buffer,
) {
    let ctx = &Ctx::of(state);
    let entries = &state.timeline[..];
    let list = Entries { entries, now: ctx.now };
    let inside = crate::console::layout::inner(area, kind);
    let window = view.list.window(ctx, &list, inside);
    let unsaved = entries.iter().filter(|e| e.saved == Saved::No).count();
    let mut facts = Vec::new();
    if !entries.is_empty() {
        facts.push(Seg::new(Role::Dim, say::count(entries.len() as u64)).extra());
    }
    if unsaved > 0 {
        facts.push(Seg::new(Role::Bad, format!("{} {unsaved} not saved", ctx.glyphs.bad)).rank(8).whole());
    }
    let status = match &state.journal {
        JournalState::Off if state.role == Part::Replay => {
            vec![Seg::new(Role::Dim, "replay").rank(4).whole()]
        }
        JournalState::Off => vec![Seg::new(Role::Warn, "not recorded").rank(7).whole()],
        JournalState::Recording => vec![Seg::new(Role::Dim, "recorded").rank(4).whole()],
        JournalState::Trouble { waiting, .. } => {
            vec![Seg::new(Role::Alarm, format!("{waiting} waiting")).rank(8).whole()]
        }
    };
    let chrome = Chrome {
        title: "Timeline",
        facts,
        status,
        foot: window.foot(ctx, view.list.filter.as_ref()),
        place: window.place(),
        focused,
    };
    let inside = frame::draw(ctx, buf, area, kind, chrome);
    if entries.is_empty() {
        super::explain(
            ctx,
            buf,
            inside,
            &(Mark::Info, "nothing has happened yet; a writes a note".to_owned()),
        );
    }
    window.draw(ctx, buf, inside, focused, &view.list);
}

impl TimelineView {
    fn entries<'a>(state: &'a State) -> Entries<'a> {
        Entries { entries: &state.timeline[..], now: state.shown_now() }
    }
}

impl PaneView for TimelineView {
    fn handle(&mut self, action: Action, area: Rect, state: &State) -> Reply {
        self.list.handle(action, &Ctx::of(state), &Self::entries(state), area)
    }

    fn selected(&self, state: &State) -> Option<Row> {
        let list = Self::entries(state);
        self.list.selected(&list).map(|i| list.row(i))
    }

    fn detail(&self, state: &State) -> Option<Detail> {
        let list = Self::entries(state);
        self.list.selected(&list).and_then(|i| list.detail(i)).map(|d| detail::masked(state, d))
    }

    fn set_filter(&mut self, filter: Option<Filter>) {
        self.list.filter = filter;
    }

    fn filter(&self) -> Option<&Filter> {
        self.list.filter.as_ref()
    }
}
