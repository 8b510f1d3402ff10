//! `badgate doctor`: what of this machine, this terminal and these
//! credentials will get in the way at 03:00, and the line that mends it.

pub mod cloud;
pub mod terminal;

use crate::text::SafeText;
use serde::Serialize;

/// How one item stands. Unknown is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Good,
    /// Works, but something is lost.
    Warn,
    /// Will not work.
    Bad,
    /// Could not be found out.
    Unknown,
}

impl State {
    /// A four-column word for the left margin.
    pub fn word(self) -> &'static str {
        match self {
            State::Good => "ok  ",
            State::Warn => "warn",
            State::Bad => "bad ",
            State::Unknown => "?   ",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    pub state: State,
    /// What was looked at: `TERM`, `elasticloadbalancing:DescribeTargetHealth`.
    pub what: SafeText,
    /// What was found, and what is lost by it.
    pub found: SafeText,
    /// The exact line that mends it; empty when there is nothing to mend.
    pub mend: SafeText,
}

impl Item {
    /// An item without a remedy.
    pub fn new(state: State, what: impl Into<SafeText>, found: impl Into<SafeText>) -> Self {
        Item { state, what: what.into(), found: found.into(), mend: SafeText::default() }
    }

    /// The same with the line that mends it.
    pub fn mend(mut self, line: impl Into<SafeText>) -> Self {
        self.mend = line.into();
        self
    }
}

/// Items that belong together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    pub title: SafeText,
    pub items: Vec<Item>,
}

/// The whole report as text for a terminal or a ticket: no colour, 80 columns
/// where the facts allow it.
pub fn to_text(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        out.push_str(&section.title);
        out.push('\n');
        for item in &section.items {
            out.push_str(&format!("  {}  {}: {}\n", item.state.word(), item.what, item.found));
            if !item.mend.is_empty() {
                for line in item.mend.split('\n') {
                    out.push_str(&format!("          {line}\n"));
                }
            }
        }
        out.push('\n');
    }
    out
}

/// Name and version of the JSON shape.
pub const SCHEMA: &str = "badgate.doctor/1";

/// The same for programs: `{schema, sections: [{title, items: [{state, what,
/// found, mend}]}]}`, indented, with a line feed at the end.
pub fn to_json(sections: &[Section]) -> String {
    let doc = serde_json::json!({ "schema": SCHEMA, "sections": sections });
    format!("{doc:#}\n")
}

/// The worst state of all items, which decides the exit code.
pub fn worst(sections: &[Section]) -> State {
    let all = || sections.iter().flat_map(|s| &s.items).map(|i| i.state);
    [State::Bad, State::Unknown, State::Warn]
        .into_iter()
        .find(|want| all().any(|s| s == *want))
        .unwrap_or(State::Good)
}
