//! What a drill says at its end: the truth, what the player did and when,
//! next to the par of somebody practised. Times are real seconds from the onset.

use crate::sources::drill::HINT;
use crate::sources::drill::script::Drill;
use crate::text::SafeText;
use serde::Serialize;

/// One thing the player did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Real seconds from the onset; negative: before it.
    pub at_s: f64,
    #[serde(flatten)]
    pub what: Did,
}

/// What it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "did", content = "of", rename_all = "snake_case")]
pub enum Did {
    Step(u8),
    Note(SafeText),
    Mark(SafeText),
    /// Id of an action of the drill.
    Action(SafeText),
    /// badgate itself named the truth, confirmed or likely.
    Named(SafeText),
}

/// A time next to its par.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timed {
    /// `None`: it never came to that.
    pub took_s: Option<f64>,
    pub par_s: u32,
}

/// The whole debrief.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Debrief {
    pub drill: String,
    pub title: String,
    pub seed: u64,
    pub truth: String,
    /// The truth in words.
    pub truth_title: SafeText,
    /// First thing the player did after the onset.
    pub detect: Timed,
    /// First note that names the cause.
    pub name: Timed,
    /// The action that cures had its effect.
    pub mitigate: Timed,
    /// When badgate named the truth first.
    pub badgate_named_s: Option<f64>,
    pub steps_run: Vec<u8>,
    /// Steps that find it and were not run.
    pub steps_skipped: Vec<u8>,
    /// Actions in order, and whether each cures.
    pub actions: Vec<(String, bool)>,
    /// Hints asked for.
    pub hints: usize,
    /// Failing and all requests of the last two minutes.
    pub failing: (usize, usize),
    pub good: Vec<String>,
}

impl Debrief {
    /// From what was done. `cured_s`: when the action that cures had its effect.
    pub fn of(
        drill: &Drill,
        seed: u64,
        truth_title: SafeText,
        moments: &[Moment],
        cured_s: Option<f64>,
        failing: (usize, usize),
    ) -> Debrief {
        let after = || moments.iter().filter(|m| m.at_s >= 0.0);
        let own = |m: &&Moment| !matches!(m.what, Did::Named(_));
        let detect = after().filter(own).map(|m| m.at_s).next();
        let mut words: Vec<String> = drill.names.iter().map(|n| n.to_lowercase()).collect();
        words.push(drill.truth.clone());
        words.push(truth_title.to_lowercase());
        let named = after().find_map(|m| match &m.what {
            Did::Note(text) => {
                let text = text.to_lowercase();
                words.iter().any(|w| text.contains(w.as_str())).then_some(m.at_s)
            }
            _ => None,
        });
        let mut steps_run: Vec<u8> = Vec::new();
        for m in after() {
            if let Did::Step(n) = m.what
                && !steps_run.contains(&n)
            {
                steps_run.push(n);
            }
        }
        let steps_skipped = drill.steps.iter().copied().filter(|s| !steps_run.contains(s)).collect();
        let actions = after()
            .filter_map(|m| match &m.what {
                Did::Action(id) if id.as_str() != HINT => {
                    let cures = drill.actions.iter().any(|a| a.id == id.as_str() && a.cures);
                    Some((id.to_string(), cures))
                }
                _ => None,
            })
            .collect();
        let timed = |took_s, par_s| Timed { took_s, par_s };
        Debrief {
            drill: drill.name.clone(),
            title: drill.title.clone(),
            seed,
            truth: drill.truth.clone(),
            truth_title,
            detect: timed(detect, drill.par.detect),
            name: timed(named, drill.par.name),
            mitigate: timed(cured_s, drill.par.mitigate),
            badgate_named_s: after().find(|m| matches!(m.what, Did::Named(_))).map(|m| m.at_s),
            steps_run,
            steps_skipped,
            actions,
            hints: after().filter(|m| matches!(&m.what, Did::Action(id) if id.as_str() == HINT)).count(),
            failing,
            good: drill.good.clone(),
        }
    }

    /// For people at 80 columns.
    pub fn to_text(&self) -> String {
        let mut out = format!("drill {} (seed {})\n{}\n\n", self.drill, self.seed, self.title);
        let mut row = |head: &str, text: String| out.push_str(&format!("  {head:<12} {text}\n"));
        row("the truth", format!("{}: {}", self.truth, self.truth_title));
        let against = |t: &Timed, never: &str| match t.took_s {
            Some(s) => {
                let how = if s <= f64::from(t.par_s) { "within par" } else { "par" };
                format!("{} after the onset ({how} {})", span(s), span(f64::from(t.par_s)))
            }
            None => format!("{never} (par {})", span(f64::from(t.par_s))),
        };
        row("detected", against(&self.detect, "nothing was done after the onset"));
        row("named", against(&self.name, "no note names the cause"));
        if let Some(s) = self.badgate_named_s {
            row("", format!("badgate itself named it {} after the onset", span(s)));
        }
        row("mitigated", against(&self.mitigate, "not mitigated"));
        let numbers = |list: &[u8]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let mut steps = if self.steps_run.is_empty() { "none".into() } else { numbers(&self.steps_run) };
        if !self.steps_skipped.is_empty() {
            steps.push_str(&format!("; {} would have shown it", numbers(&self.steps_skipped)));
        }
        row("steps run", steps);
        for (i, (id, cures)) in self.actions.iter().enumerate() {
            let head = if i == 0 { "done" } else { "" };
            row(head, format!("{id}: {}", if *cures { "cures it" } else { "does not cure it" }));
        }
        if self.hints > 0 {
            row("hints", self.hints.to_string());
        }
        let (bad, all) = self.failing;
        row("at the end", format!("{bad} of {all} requests of the last two minutes failed"));
        if !self.good.is_empty() {
            out.push_str("\n  A good response:\n");
            for (i, line) in self.good.iter().enumerate() {
                out.push_str(&format!("  {}. {line}\n", i + 1));
            }
        }
        out
    }
}

/// `48 s`, `2 min 03 s`.
fn span(s: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a drill")]
    let s = s.max(0.0).round() as u64;
    if s < 60 { format!("{s} s") } else { format!("{} min {:02} s", s / 60, s % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::drill::script;

    fn moment(at_s: f64, what: Did) -> Moment {
        Moment { at_s, what }
    }

    #[test]
    fn times_count_from_the_onset_and_stand_next_to_par() {
        let drill = script::named("tidy-network-acl").unwrap();
        let moments = [
            moment(-9.0, Did::Step(0)),
            moment(31.0, Did::Step(3)),
            moment(40.0, Did::Named("nacl-forward-denied".into())),
            moment(50.0, Did::Note("hm, strange".into())),
            moment(61.0, Did::Action("restart".into())),
            moment(80.0, Did::Note("diagnosed: Network ACL rule 90".into())),
            moment(90.0, Did::Action("delete-acl-entry".into())),
        ];
        let d = Debrief::of(&drill, 7, "A network ACL drops packets".into(), &moments, Some(90.5), (0, 300));
        assert_eq!((d.detect.took_s, d.name.took_s, d.mitigate.took_s), (Some(31.0), Some(80.0), Some(90.5)));
        assert_eq!((d.steps_run.as_slice(), d.steps_skipped.len()), (&[3][..], 0));
        assert_eq!(d.actions, [("restart".into(), false), ("delete-acl-entry".into(), true)]);
        let text = d.to_text();
        for part in [
            "31 s after the onset (within par",
            "1 min 20 s",
            "restart: does not cure it",
            "A good response:",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn who_did_nothing_is_told_so() {
        let drill = script::named("tidy-network-acl").unwrap();
        let d = Debrief::of(&drill, 7, "x".into(), &[], None, (12, 90));
        let text = d.to_text();
        for part in ["nothing was done", "not mitigated", "3 would have shown it", "12 of 90"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
