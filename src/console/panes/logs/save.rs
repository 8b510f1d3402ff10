//! The lines that are shown, for a file: what was looked at must be as easy to
//! hand on as to read, and must say which lines it holds.

use super::LogsView;
use crate::console::state::State;
use crate::situation::log::LogLine;
use crate::text::SafeText;
use std::collections::BTreeSet;

/// Lines to be written into a file, and what they are.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Lines without a line end: target, groups, filter, range, what is missing.
    pub head: Vec<String>,
    pub lines: Vec<LogLine>,
}

impl LogsView {
    /// What the pane shows, whole; `None` when that is nothing.
    pub fn saved(&self, state: &State) -> Option<Saved> {
        let logs = &state.situation.logs;
        let order = self.order(state);
        let mut lines = Vec::new();
        let mut next = order.first();
        while let Some(seq) = next {
            lines.extend(logs.get(seq).map(|h| h.line.clone()));
            next = order.from(seq + 1);
        }
        let (first, last) = (lines.iter().map(|l| l.at).min()?, lines.iter().map(|l| l.at).max()?);
        let groups: BTreeSet<&SafeText> = lines.iter().map(|l| &l.group).collect();
        let groups: Vec<&str> = groups.into_iter().map(SafeText::as_str).collect();
        let filter = match &self.filter {
            Some(f) if f.hides => format!("{} ({} lines hidden)", f.typed, self.index.hidden()),
            _ => "none".to_owned(),
        };
        let mut head = vec![
            format!("target: {}", state.incident.asked),
            format!("incident: {}", state.incident.name),
            format!("log groups and files: {}", groups.join(", ")),
            format!("filter: {filter}"),
            format!("range: {first:.3} to {last:.3} (UTC), {} lines", lines.len()),
        ];
        if self.hides() && !self.index.is_complete(logs) {
            head.push(format!(
                "not whole: the filter has looked at {} % of the lines",
                self.index.progress(logs)
            ));
        }
        if logs.dropped() > 0 {
            head.push(format!("not whole: {} older lines were let go", logs.dropped()));
        }
        Some(Saved { head, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::msg::Effect;
    use crate::console::update::tests::Sim;

    fn saved(sim: &mut Sim, keys: &str) -> Option<Saved> {
        sim.effects.clear();
        sim.keys(keys);
        sim.effects.drain(..).find_map(|e| if let Effect::SaveLogs(s) = e { Some(s) } else { None })
    }

    #[test]
    fn what_is_shown_is_saved_and_says_what_it_is() {
        let mut sim = Sim::with_target();
        sim.keys("<tab>");
        assert!(saved(&mut sim, "S").is_none(), "there is nothing yet");
        sim.log(&["GET / 200", "GET /a 502", "GET /b 200"]);
        let all = saved(&mut sim, "S").unwrap();
        assert_eq!(all.lines.len(), 3);
        assert!(all.head.iter().any(|l| l == "filter: none"), "{:?}", all.head);
        sim.keys("/502<enter>");
        let some = saved(&mut sim, "S").unwrap();
        assert_eq!(some.lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["GET /a 502"]);
        assert!(some.head.iter().any(|l| l == "filter: 502 (2 lines hidden)"), "{:?}", some.head);
        assert!(some.head.iter().any(|l| l.contains("/app/shop")), "{:?}", some.head);
    }
}
