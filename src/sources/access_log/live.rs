//! Rows as they are written: the same counting, fed with whatever has come.

use super::engine::{Outcome, Plan, Unreadable};
use super::input::Problem;
use super::lines::{LONGEST, passed_over};
use super::tally::Tally;
use super::{Line, Parser};
use crate::text::SafeText;

/// Lines that could not be read, shown of all.
const SHOWN: usize = 5;

/// A stream that has no end yet.
#[derive(Debug)]
pub struct Live {
    name: SafeText,
    plan: Plan,
    parser: Parser,
    tally: Tally,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    skip: bool,
    long: u64,
    bytes: u64,
    unreadable: Vec<Unreadable>,
    notes: Vec<Problem>,
}

impl Live {
    /// Nothing yet, of what is called `name`.
    pub fn new(name: &str, plan: &Plan) -> Live {
        Live {
            name: SafeText::capped(name, 200),
            parser: Parser::new(plan.only, plan.template.clone()),
            tally: Tally::new(plan.rules.clone()),
            plan: plan.clone(),
            rest: Vec::new(),
            skip: false,
            long: 0,
            bytes: 0,
            unreadable: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Rows counted so far.
    pub fn rows(&self) -> u64 {
        self.tally.rows
    }

    /// Takes what has come, wherever it ends.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let mut rest = std::mem::take(&mut self.rest);
        let mut from = 0;
        while let Some(i) = memchr::memchr(b'\n', &bytes[from..]) {
            let end = from + i;
            if std::mem::take(&mut self.skip) {
                rest.clear();
            } else if rest.is_empty() {
                self.line(&bytes[from..end]);
            } else {
                rest.extend_from_slice(&bytes[from..end]);
                self.line(&rest);
                rest.clear();
            }
            from = end + 1;
        }
        if !self.skip {
            rest.extend_from_slice(&bytes[from..]);
            if rest.len() > LONGEST {
                self.long += 1;
                self.tally.unparsed += 1;
                self.skip = true;
                rest.clear();
            }
        }
        self.rest = rest;
    }

    /// It begins anew: it was cut, or another file has taken its place.
    pub fn anew(&mut self, why: &str) {
        self.rest.clear();
        self.skip = false;
        self.tally.begin_part();
        if self.notes.len() < SHOWN {
            self.notes.push(Problem::new(&self.name, why));
        }
    }

    /// There is no more: a last line without its line feed counts as well.
    pub fn end(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        self.line(&rest);
    }

    fn line(&mut self, line: &[u8]) {
        match self.parser.line(line, self.plan.filter.is_some()) {
            Line::Row(format, row) => {
                if self.tally.within(row.at) {
                    match &self.plan.filter {
                        Some(f) if !f.holds(format, &row, self.plan.rules.idle) => self.tally.filtered += 1,
                        _ => self.tally.take(format, &row, b""),
                    }
                }
            }
            Line::Blank => {}
            Line::Unreadable => {
                self.tally.unparsed += 1;
                if self.unreadable.len() < SHOWN {
                    let line = SafeText::capped(line, 160);
                    self.unreadable.push(Unreadable { file: self.name.clone(), line });
                }
            }
        }
    }

    /// What was counted so far.
    pub fn outcome(&self) -> Outcome {
        let mut problems = Vec::new();
        if self.long > 0 {
            problems.push(Problem::new(&self.name, passed_over(self.long)));
        }
        Outcome {
            tally: self.tally.clone(),
            files: usize::from(self.bytes > 0),
            bytes: self.bytes,
            problems,
            more_problems: 0,
            notes: self.notes.clone(),
            unreadable: self.unreadable.clone(),
            stopped: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(i: usize) -> String {
        format!(
            "203.0.113.9 - - [04/May/2026:10:25:{:02} +0000] \"GET /p/{i} HTTP/1.1\" 502 12 \"-\" \"curl\"\n",
            i % 60
        )
    }

    proptest! {
        #[test]
        fn however_it_comes_it_is_the_same(cuts in prop::collection::vec(1usize..200, 1..60), n in 0usize..30) {
            let text: String = (0..n).map(|i| if i % 7 == 6 { "no row\n".into() } else { row(i) }).collect();
            let mut live = Live::new("x", &Plan::default());
            let (mut from, mut i) = (0, 0);
            while from < text.len() {
                let to = (from + cuts[i % cuts.len()]).min(text.len());
                live.feed(&text.as_bytes()[from..to]);
                (from, i) = (to, i + 1);
            }
            let whole = super::super::engine::stream(text.as_bytes());
            let out = live.outcome();
            prop_assert_eq!((out.tally.rows, out.tally.unparsed), (whole.tally.rows, whole.tally.unparsed));
            prop_assert_eq!(out.unreadable.is_empty(), whole.unreadable.is_empty());
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_a_last_one_counts() {
        let mut live = Live::new("x", &Plan::default());
        for _ in 0..40 {
            live.feed(&vec![b'x'; 100_000]);
        }
        assert!(live.rest.len() <= LONGEST, "{}", live.rest.len());
        live.feed(b"tail\n");
        live.feed(row(1).trim_end().as_bytes());
        assert_eq!(live.rows(), 0);
        live.end();
        assert_eq!((live.rows(), live.long), (1, 1));
    }
}
