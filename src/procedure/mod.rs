//! The documented runbook: its words, and the checks that carry it out.
//!
//! A step is a list of checks. A check reads the situation, says what it asked,
//! what it found, what it could not learn and why, and gives the commands for
//! what only a person on the spot can find out. All of it is pure: the same
//! situation and context give the same result. What has to be asked anew before
//! a step is judged, [`Procedure::wants`] tells.
//!
//! The steps follow the usual order of work on a 502 (prepare, server
//! resources, logs, network, load balancer, application, deep dive, record),
//! then what eases an outage and what prevents the next one. Facts about AWS
//! are from the Elastic Load Balancing, Amazon ECS and CloudWatch guides.

mod checks;
mod context;
mod desk;
mod lang;
mod load;
mod measured;
mod metrics;
mod pasted;
mod patterns;
mod phrases;
mod result;
mod shell;
mod suspects;

pub use context::{Context, Incident, Note};
pub use lang::Lang;
pub use load::{Check, On, Only, Procedure, Step, Template, WordsError};
pub use measured::measured;
pub use patterns::{Group, Pattern, Patterns};
pub use result::{CheckResult, Evidence, Finding, Level, Manual, Missing, StepResult, StepState};

use crate::situation::{Situation, Want};

impl Procedure {
    /// What should be asked anew before a step is judged, in no order.
    pub fn wants(&self, step: u8) -> &'static [Want] {
        checks::wants(step)
    }

    /// Judges a step on what is known now. `None` for a key without a step.
    ///
    /// Steps 0, 2 and 5 look at log lines: `cx.lines` bounds how long that takes
    /// (half a microsecond each, measured with lines of 220 bytes).
    pub fn run(&self, step: u8, s: &Situation, cx: &Context<'_>) -> Option<StepResult> {
        let documented = self.step(step)?;
        let (_, table) = checks::TABLE.iter().find(|(id, _)| *id == step)?;
        let results: Vec<CheckResult> = documented
            .checks
            .iter()
            .filter_map(|check| {
                let (_, work) = table.iter().find(|(id, _)| *id == check.id.as_str())?;
                let mut desk = desk::Desk::new(self, check, s, cx);
                work(&mut desk);
                Some(desk.finish())
            })
            .collect();
        Some(StepResult {
            id: step,
            title: documented.title.clone(),
            state: StepState::of(&results),
            started: cx.started,
            finished: cx.now,
            checks: results,
        })
    }

    /// Steps 0 to 7 in order, as `badgate check` runs them: each knows how
    /// those before it ended.
    pub fn run_all(&self, s: &Situation, cx: &Context<'_>) -> Vec<StepResult> {
        let mut results: Vec<StepResult> = Vec::new();
        for step in 0..=7 {
            let ran: Vec<(u8, StepState)> = results.iter().map(|r| (r.id, r.state)).collect();
            let known = Context { ran: &ran, ..cx.clone() };
            results.extend(self.run(step, s, &known));
        }
        results
    }
}

#[cfg(test)]
mod tests;
