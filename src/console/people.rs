//! Who else is in this incident, as the incident file tells it: who opened it,
//! who wrote lately, who left. Nothing is written for the sake of being seen,
//! so a reader who only looks is known by when they came.

use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Whoever asks the cloud records something at least once a minute; silent for
/// this long, they are taken to be gone.
const SILENT: SignedDuration = SignedDuration::from_secs(90);
/// Somebody who only reads may be silent for this long and still be named.
const READING: SignedDuration = SignedDuration::from_mins(15);
/// People kept at most; those who left first go first.
const KEPT: usize = 64;

/// What somebody does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Asks the cloud (or another source) and records the answers.
    Asks,
    /// Follows the file.
    Follows,
    /// Runs a simulated outage: nobody can take over from it.
    Simulates,
}

impl Part {
    /// What they do, in words.
    pub fn word(self) -> &'static str {
        match self {
            Part::Asks => "asks the cloud",
            Part::Follows => "follows",
            Part::Simulates => "runs the drill",
        }
    }
}

/// One console somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Tells consoles of one person apart; empty where the record does not say.
    pub session: SafeText,
    /// `user@host`.
    pub by: SafeText,
    pub part: Part,
    pub since: Timestamp,
    /// When they last wrote something.
    pub seen: Timestamp,
    /// When they left.
    pub left: Option<Timestamp>,
}

impl Person {
    /// The part of the name before the host.
    pub fn name(&self) -> &str {
        self.by.split('@').next().unwrap_or(&self.by)
    }
}

/// Everybody else.
#[derive(Clone, Debug, Default)]
pub struct People {
    all: Vec<Person>,
    /// When an observation was last recorded by somebody else.
    observed: Option<Timestamp>,
    /// What was known when the person here did not want to take over.
    pub declined: Option<(usize, Option<Timestamp>)>,
}

impl People {
    /// Takes in a record that somebody else wrote.
    pub fn heard(&mut self, at: Timestamp, by: &SafeText, kind: &str, data: &Value) {
        let word = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        match kind {
            "opened" => {
                let part = match word("command") {
                    // A check is over before anybody could speak to it.
                    "check" => return,
                    "join" => Part::Follows,
                    "drill" => Part::Simulates,
                    _ => Part::Asks,
                };
                let session = SafeText::new(word("session"));
                if let Some(known) = self.find(&session, by) {
                    // Took over, or came back.
                    (known.part, known.seen) = (part, known.seen.max(at));
                    return;
                }
                if self.all.len() >= KEPT {
                    let gone = self.all.iter().position(|p| p.left.is_some()).unwrap_or(0);
                    self.all.remove(gone);
                }
                self.all.push(Person { session, by: by.clone(), part, since: at, seen: at, left: None });
            }
            "closed" => {
                let session = SafeText::new(word("session"));
                if let Some(p) = self.find(&session, by) {
                    p.left = Some(at);
                    p.seen = p.seen.max(at);
                }
            }
            // Marks are at the time of their row; verdicts are the program's.
            "note" | "step" | "action" => {
                if let Some(p) = self.find(&SafeText::default(), by) {
                    p.seen = p.seen.max(at);
                }
            }
            _ => {}
        }
    }

    /// Somebody recorded an observation.
    pub fn observed(&mut self, at: Timestamp) {
        self.observed = self.observed.max(Some(at));
    }

    /// Whoever is still here under that session, or that name.
    fn find(&mut self, session: &SafeText, by: &SafeText) -> Option<&mut Person> {
        let here = |p: &&mut Person| p.left.is_none() && p.by == *by;
        if session.is_empty() {
            return self.all.iter_mut().rev().find(here);
        }
        self.all.iter_mut().rev().find(|p| p.left.is_none() && p.session == *session)
    }

    /// Everybody, newest first.
    pub fn all(&self) -> impl Iterator<Item = &Person> {
        self.all.iter().rev()
    }

    /// When somebody was last known to be there.
    pub fn last_seen(&self, p: &Person) -> Timestamp {
        let asks = p.part != Part::Follows && p.left.is_none();
        match self.observed {
            // Of several who ask, the last one to come is the likeliest to live.
            Some(t) if asks && self.asking().is_some_and(|a| a.session == p.session) => p.seen.max(t),
            _ => p.seen,
        }
    }

    /// Those who are here at `now`, as far as one can tell.
    pub fn here(&self, now: Timestamp) -> Vec<&Person> {
        self.all()
            .filter(|p| p.left.is_none())
            .filter(|p| {
                let silent = now.duration_since(self.last_seen(p));
                silent < if p.part == Part::Follows { READING } else { SILENT }
            })
            .collect()
    }

    /// Whoever asks the cloud and has not said that they left.
    pub fn asking(&self) -> Option<&Person> {
        self.all().find(|p| p.left.is_none() && p.part != Part::Follows)
    }

    /// Why somebody else should ask the cloud from here on; `None` while somebody does.
    pub fn vacant(&self, now: Timestamp) -> Option<SafeText> {
        if let Some(p) = self.asking() {
            let last = self.last_seen(p);
            if p.part == Part::Simulates || now.duration_since(last) < SILENT {
                return None;
            }
            return Some(format!("{} has recorded nothing since {}", p.by, clock(last)).into());
        }
        // The newest of those who left; a simulation has nothing to take over.
        let last = self.all().filter(|p| p.part != Part::Follows).max_by_key(|p| p.left);
        match last {
            Some(p) if p.part == Part::Simulates => None,
            Some(p) => Some(format!("{} left at {}", p.by, p.left.map_or_else(String::new, clock)).into()),
            None => Some("nobody asks the cloud for this incident".into()),
        }
    }

    /// What `vacant` depends on, to know whether it was declined already.
    pub fn state(&self) -> (usize, Option<Timestamp>) {
        let gone = self.all.iter().filter(|p| p.left.is_some()).count();
        (self.all.len() * 1000 + gone, self.observed)
    }
}

fn clock(t: Timestamp) -> String {
    t.strftime("%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn t(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    fn names(p: &People, now: i64) -> Vec<String> {
        p.here(t(now)).iter().map(|p| format!("{} {}", p.name(), p.part.word())).collect()
    }

    #[test]
    fn who_is_here_follows_from_what_they_wrote() {
        let mut p = People::default();
        assert_eq!(p.vacant(t(0)).unwrap(), "nobody asks the cloud for this incident");
        p.heard(t(0), &"yui@bastion".into(), "opened", &json!({"session": "a", "command": "open"}));
        p.heard(t(5), &"ken@laptop".into(), "opened", &json!({"session": "b", "command": "join"}));
        p.heard(t(6), &"ci@host".into(), "opened", &json!({"command": "check"}));
        p.observed(t(60));
        assert_eq!(names(&p, 70), ["ken follows", "yui asks the cloud"]);
        assert_eq!(p.vacant(t(149)), None);
        // Killed: nothing more is recorded.
        assert_eq!(names(&p, 151), ["ken follows"]);
        assert!(p.vacant(t(151)).unwrap().starts_with("yui@bastion has recorded nothing since "));
        // Ken takes over in the same session.
        p.heard(t(160), &"ken@laptop".into(), "opened", &json!({"session": "b", "command": "open"}));
        p.observed(t(161));
        assert_eq!(names(&p, 170), ["ken asks the cloud"]);
        assert_eq!(p.vacant(t(170)), None);
        p.heard(t(180), &"ken@laptop".into(), "closed", &json!({"session": "b", "reason": "left"}));
        // What was recorded last may be Yui's: it is waited for once more.
        assert_eq!(p.vacant(t(181)), None);
        assert!(p.vacant(t(260)).unwrap().starts_with("yui@bastion has recorded nothing"));
    }

    #[test]
    fn one_who_left_is_told_apart_from_one_who_came_back() {
        let mut p = People::default();
        let yui: SafeText = "yui@bastion".into();
        // Records of an older version have no session.
        p.heard(t(0), &yui, "opened", &json!({"target": "shop"}));
        p.heard(t(9), &yui, "closed", &json!({"reason": "left"}));
        assert!(p.vacant(t(10)).unwrap().starts_with("yui@bastion left at "));
        p.heard(t(20), &yui, "opened", &json!({"target": "shop", "resumed": true}));
        p.observed(t(20));
        assert_eq!(p.vacant(t(21)), None);
        assert_eq!(p.all().count(), 2);
    }

    #[test]
    fn a_drill_cannot_be_taken_over() {
        let mut p = People::default();
        p.heard(t(0), &"yui@b".into(), "opened", &json!({"session": "d", "command": "drill"}));
        assert_eq!(p.vacant(t(1000)), None);
        p.heard(t(1001), &"yui@b".into(), "closed", &json!({"session": "d"}));
        assert_eq!(p.vacant(t(1002)), None);
    }
}
