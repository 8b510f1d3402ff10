//! What is asked, and when.

use super::plan::{self, Ask, Work};
use super::slot::Slot;
use super::work::{self, Before};
use super::{CLUES_AFTER, Done, Observer, Refresh, State};
use crate::sources::Event;
use crate::sources::aws::logs;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Observer {
    /// The plan of what is known now. It is made anew after an answer or a
    /// command, not for every event that is passed on.
    fn plan(&mut self) -> Arc<Vec<(Ask, Work)>> {
        if std::mem::take(&mut self.stale) {
            self.planned = Arc::new(self.make_plan());
        }
        Arc::clone(&self.planned)
    }

    fn make_plan(&self) -> Vec<(Ask, Work)> {
        if !matches!(self.state, State::Watching | State::Searching) {
            return Vec::new();
        }
        let mut plan = plan::plan(&self.known, &self.focus, &self.options);
        if !self.options.live && !self.followed.0.is_empty() {
            let since = self.followed.1;
            let since = since.unwrap_or_else(|| logs::back(self.started, self.options.since));
            plan.push((Ask::Recent, Work::Recent { groups: self.followed.0.clone(), since }));
        }
        plan
    }

    /// Log groups are looked for when all that may name them was answered: each
    /// look costs a dozen calls of a small budget. What hangs is not waited for.
    fn gather_clues(&mut self) {
        if self.focus.clues || !matches!(self.state, State::Watching) {
            return;
        }
        let late = self.found.is_some_and(|at| at.elapsed() >= CLUES_AFTER);
        let plan = self.plan();
        let open = |ask: &Ask| plan::is_clue(ask) && self.slots.get(ask).is_none_or(|slot| !slot.answered);
        if late || !plan.iter().any(|(ask, _)| open(ask)) {
            self.focus.clues = true;
            self.stale = true;
        }
    }

    pub(super) fn ask_what_is_due(&mut self) {
        self.gather_clues();
        let now = Instant::now();
        if matches!(self.state, State::Waiting(at) if at <= now) {
            self.begin();
        }
        self.heal_what_is_due();
        let Some(aws) = self.aws.clone() else { return };
        let plan = self.plan();
        if !plan.is_empty() {
            let planned: BTreeSet<&Ask> = plan.iter().map(|(a, _)| a).collect();
            self.slots.retain(|a, slot| slot.running || planned.contains(a));
        }
        for (ask, work) in plan.iter() {
            let aws = self.whom(work, &aws);
            let slot = self.slots.entry(ask.clone()).or_insert_with(|| Slot::due(now));
            slot.ask(work, now);
            if slot.running || slot.due.is_none_or(|due| due > now) {
                continue;
            }
            self.count += 1;
            slot.begin(self.count);
            let before = Before { ecs: self.ecs.clone(), good: slot.good };
            let work = work.clone();
            let job = async move { Done::Answered(Box::new(work::run(aws, work, before).await)) };
            let job = self.jobs.spawn(job);
            self.asked_by.insert(job.id(), ask.clone());
        }
    }

    /// When there is something to do at the latest.
    pub(super) fn wake(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        if let State::Waiting(at) = self.state {
            return at.min(far);
        }
        if !matches!(self.state, State::Watching | State::Searching) {
            return far;
        }
        let clues = self.found.filter(|_| !self.focus.clues).map(|at| at + CLUES_AFTER);
        let due = self.slots.values().filter(|s| !s.running).filter_map(|s| s.due);
        due.chain(clues).chain(self.heal_at()).fold(far, Instant::min)
    }

    /// Says of each refresh whose questions have all been answered, or have failed.
    pub(super) fn settle(&mut self) {
        if self.refreshes.is_empty() || matches!(self.state, State::Opening | State::Searching) {
            return;
        }
        if matches!(self.state, State::Waiting(_)) && !self.options.live {
            return;
        }
        let plan = self.plan();
        let live = self.options.live;
        let slots = &self.slots;
        let over = |r: &Refresh| {
            plan.iter().all(|(ask, _)| match (ask.want(), slots.get(ask)) {
                (Some(want), _) if !r.wants.contains(&want) => true,
                (Some(_), slot) => slot.is_some_and(|s| s.is_over(r.mark, live)),
                // Whose credentials these are is part of every answer.
                (None, slot) => slot.is_some_and(|s| s.answered),
            })
        };
        let (done, open): (Vec<Refresh>, Vec<Refresh>) =
            std::mem::take(&mut self.refreshes).into_iter().partition(over);
        self.refreshes = open;
        self.held.extend(done.into_iter().map(|r| Event::Done { id: r.id }));
    }
}
