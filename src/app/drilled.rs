//! The time in an incident file that a drill is played into. Who writes into
//! it from another program must not write the wall clock's time: the drill's
//! clock is behind it, and runs faster.

use crate::journal::{Entry, Kind, Reader};
use crate::sources::drill::clock::{Clock, seconds};
use jiff::Timestamp;
use std::path::Path;

/// A drill that recorded nothing for so many seconds is not played any more:
/// whatever happens in one, its traffic and its metrics go on.
const SILENT_S: f64 = 60.0;

/// The clock of the drill that is being played into this file; `None` for any
/// other incident, for a drill that is over, and for what cannot be read.
pub fn clock(path: &Path) -> Option<Clock> {
    let mut pace = None;
    let mut newest = None;
    let records = Reader::open(path).ok()?.filter_map(|e| match e {
        Entry::Record(r) => Some(r),
        Entry::Problem(_) => None,
    });
    for r in records {
        match r.kind {
            Kind::Opened => pace = pace.or_else(|| r.data.get("drill")?.get("pace")?.as_f64()),
            Kind::Closed => newest = None,
            Kind::Observed => newest = Some((r.at, r.logged)),
            _ => {}
        }
        // Only a drill's file is read to its end: others may be long.
        pace?;
    }
    let (at, logged) = newest?;
    let ago = Timestamp::now().duration_since(logged).as_secs_f64().max(0.0);
    (ago < SILENT_S).then(|| Clock::beside(at + seconds(ago * pace.unwrap_or(1.0)), pace.unwrap_or(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Durability, Mode, Options, Record, Writer};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn file(dir: &Path, about: Value, records: &[(Kind, Timestamp)]) -> std::path::PathBuf {
        let path = dir.join("x.incident.jsonl");
        let writer = Writer::open(&path, Mode::New, Options::default(), Duration::from_secs(10)).unwrap();
        let before = records[0].1;
        let opened = Record::new(before, "me".into(), Kind::Opened, about);
        writer.append(opened, Durability::Now, |_| {});
        for (kind, at) in records {
            writer.append(Record::new(*at, "x".into(), kind.clone(), json!({})), Durability::Now, |_| {});
        }
        writer.close(Duration::from_secs(10)).unwrap();
        path
    }

    #[test]
    fn a_drill_that_is_played_has_its_time_and_nothing_else_has_one() {
        let now = Timestamp::now();
        let past = now.checked_sub(SignedDuration::from_mins(50)).unwrap();
        let drill = json!({"drill": {"name": "x", "pace": 6.0}});
        for (about, records, played) in [
            (drill.clone(), vec![(Kind::Observed, past)], true),
            (drill.clone(), vec![(Kind::Observed, past), (Kind::Note, now)], true),
            (drill.clone(), vec![(Kind::Observed, past), (Kind::Closed, past)], false),
            (drill, vec![(Kind::Note, past)], false),
            (json!({"target": "shop"}), vec![(Kind::Observed, past)], false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = file(dir.path(), about.clone(), &records);
            let at = clock(&path).map(|c| c.now());
            assert_eq!(at.is_some(), played, "{about} {records:?}");
            // Six times what this test has taken; far from the wall clock's time.
            assert!(at.is_none_or(|t| t >= past && t < now - SignedDuration::from_mins(30)), "{at:?}");
        }
        assert!(clock(Path::new("/nowhere")).is_none());
    }
}
