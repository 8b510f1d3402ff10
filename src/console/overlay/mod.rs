//! What lies on top of the panes and has the keys while it does.

mod draw;
mod list;
mod wrap;

pub use draw::draw;
pub(in crate::console) use draw::{max_scroll, note_cols};
pub use list::FuzzyList;
pub use wrap::wrap_line;

use super::filter::Filter;
use super::keys::{Binding, TABLE};
use super::panes::Detail;
use super::state::PaneId;
use super::textbox::TextBox;
use crate::sources::Candidate;
use crate::text::SafeText;
use std::collections::BTreeSet;

/// The overlay.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys, generated from the binding table.
    Help { scroll: usize },
    /// Calls made to the outside, newest first.
    Calls { scroll: usize },
    /// Any command by its name.
    Palette(FuzzyList),
    /// Which load balancer is meant; the candidates are in `State::candidates`.
    Targets(FuzzyList),
    /// Which log groups to follow; the groups are in the situation.
    Groups { list: FuzzyList, chosen: BTreeSet<SafeText> },
    /// What can be done through the source; the offers are in `State::offers`.
    Acts(FuzzyList),
    /// From when on the log is read; an index into [`SINCE`].
    Since { selected: usize },
    /// A note being written.
    Note(TextBox),
    /// A filter being written.
    Filter(FilterBox),
    /// Nobody asks the cloud any more: go on from here?
    TakeOver {
        why: SafeText,
        /// The person asked for it; else it came by itself, and goes when
        /// somebody else has done it.
        own: bool,
    },
    /// A time to go to, being typed.
    Moment(TextBox),
    /// What would run on hosts, before it does: the step that asks for it.
    Hosts { step: u8, scroll: usize },
    /// A row in full.
    Detail { detail: Detail, scroll: usize },
    /// Leaving with records that are not on disk.
    Leave { waiting: usize },
}

/// A filter being written; it holds in the pane as it is typed.
#[derive(Clone, Debug)]
pub struct FilterBox {
    pub input: TextBox,
    pub pane: PaneId,
    /// Hide other rows, or only show where the matches are.
    pub hides: bool,
    /// What is wrong with the pattern as it stands.
    pub error: Option<SafeText>,
    /// What was in force before, for Esc.
    pub before: Option<Filter>,
    /// How far back in the history of patterns, 0 for the one being typed.
    pub back: usize,
}

/// What the load balancer picker chooses from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// What was typed; empty when nothing was.
    pub asked: SafeText,
    /// Those with the most errors first, then by name.
    pub list: Vec<Candidate>,
    /// More are still being read.
    pub more: bool,
}

impl Candidates {
    /// Sorted for a person to pick from.
    pub fn new(asked: SafeText, mut list: Vec<Candidate>, more: bool) -> Candidates {
        list.sort_by(Candidate::worst_first);
        Candidates { asked, list, more }
    }

    /// What is searched when a person types.
    pub fn labels(&self) -> Vec<String> {
        let label = |c: &Candidate| format!("{} {} {} {}", c.name, c.kind, whence(c), c.dns_name);
        self.list.iter().map(label).collect()
    }
}

/// Where a candidate is: its region, and where several places are searched the
/// profile too.
pub(in crate::console) fn whence(c: &Candidate) -> String {
    match c.place.as_str() {
        "" => c.region.to_string(),
        place if place.ends_with(&format!("/{}", c.region)) => place.to_owned(),
        // Its name has no region, or that of what stands in front.
        place => format!("{}/{}", place.split('/').next().unwrap_or(place), c.region),
    }
}

/// From when on a log can be read anew: minutes and words.
pub const SINCE: [(i64, &str); 8] = [
    (0, "from now on"),
    (1, "1 minute back"),
    (5, "5 minutes back"),
    (15, "15 minutes back"),
    (30, "30 minutes back"),
    (60, "1 hour back"),
    (180, "3 hours back"),
    (720, "12 hours back"),
];

/// What the palette lists: every command, in the order of the table.
pub fn commands() -> Vec<&'static Binding> {
    TABLE.iter().collect()
}

/// What is searched in the palette.
pub fn command_labels() -> Vec<String> {
    TABLE.iter().map(|b| format!("{} {}", b.id, b.about)).collect()
}
