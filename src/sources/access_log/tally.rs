//! What one thread counts.

mod merge;
mod names;

use super::blame::{Blame, blame, fault};
use super::groups::{Groups, Key, LARGE, class};
use super::join::Hops;
use super::sketch::Sketch;
use super::tops::{ByHash, Naming, Top};
use super::{Format, Row};
use crate::text::SafeText;
use names::network;
pub(super) use names::template;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

/// Minutes told apart: two weeks. Rows of further minutes are counted only.
pub const MINUTES: usize = 20_160;
/// Targets told apart, and those whose durations are.
const TARGETS: usize = 8_192;
const TIMED: usize = 256;
/// Names in a list up to which its counts are exact.
pub const NAMES: usize = 2_048;
/// Samples kept of a cause, and of lines that could not be read.
pub const SAMPLES: usize = 3;
/// Status pairs told apart; more are one.
const PAIRS: usize = 512;
/// Steps in which a minute's target times are told apart: below 1 ms, 2 ms, 4 ms...
pub const STEPS: usize = 18;
/// A row that is older than its file's newest by more than this came late.
const LATE: i64 = 600_000_000;

/// What counting needs to know.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The load balancer's idle timeout, in seconds.
    pub idle: f64,
    /// The target groups' deregistration delay, in seconds.
    pub deregistration: f64,
    /// Rows answered before, and not before, are passed over; us since 1970.
    pub from: Option<i64>,
    pub until: Option<i64>,
    /// Makes names numbers; the same in all tallies that are to be added.
    pub naming: Naming,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { idle: 60.0, deregistration: 300.0, from: None, until: None, naming: Naming::default() }
    }
}

/// One row in words; the earlier comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    pub at: i64,
    pub text: SafeText,
}

impl Sample {
    /// `2026-05-04T10:25:00.123Z GET /cart to 10.0.1.5:8080: 502 after 0.002 s (0.000 0.001 -1)`.
    /// Queries and addresses of clients are left out.
    pub fn of(r: &Row<'_>) -> Sample {
        let t = |b: &[u8], most: usize| SafeText::capped(b, most);
        let at = jiff::Timestamp::from_microsecond(r.at).map_or(String::new(), |t| format!("{t:.3}"));
        let mut text = at;
        let mut put = |s: String| text.push_str(&s);
        if !r.method.is_empty() {
            put(format!(" {}", t(r.method, 20)));
        }
        if !r.path.is_empty() {
            put(format!(" {}", t(r.path, 120)));
        }
        if !r.target.is_empty() {
            put(format!(" to {}", t(r.target, 80)));
        }
        match (r.lb, r.status) {
            (0, 0) => {
                put(format!(": {}", if r.class.is_empty() { "no status".into() } else { t(r.class, 40) }))
            }
            (0, s) => put(format!(": {s}")),
            (l, 0) => put(format!(": {l}")),
            (l, s) => put(format!(": {l} (target {s})")),
        }
        if r.took >= 0 {
            put(format!(" after {:.3} s", r.took as f64 / 1e6));
        }
        if r.lb > 0 {
            let time = |us: i64| if us < 0 { "-1".into() } else { format!("{:.3}", us as f64 / 1e6) };
            put(format!(" ({})", r.times.map(time).join(" ")));
        }
        if !r.reason.is_empty() {
            put(format!(", {}", t(r.reason, 80)));
        }
        if !r.trace.is_empty() {
            put(format!(" {}", t(r.trace, 80)));
        }
        Sample { at: r.at, text: text.into() }
    }
}

/// The earliest few rows of something.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(pub Vec<Sample>);

impl Samples {
    fn wants(&self, at: i64) -> bool {
        self.0.len() < SAMPLES || self.0.last().is_some_and(|s| at <= s.at)
    }

    pub fn add(&mut self, sample: Sample) {
        self.0.push(sample);
        self.0.sort();
        self.0.truncate(SAMPLES);
    }
}

/// One minute.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    pub rows: u32,
    /// Number of the status pair, and rows that have it.
    pub(super) pairs: Vec<(u16, u32)>,
    /// Target times by step.
    pub(super) steps: [u32; STEPS],
}

/// What is counted of a target.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: Box<[u8]>,
    pub rows: u64,
    /// Rows with a 5xx.
    pub faults: u64,
    pub first: i64,
    pub last: i64,
    /// The newest row without a 5xx.
    pub last_good: i64,
    /// Before, in and after the target.
    pub times: Option<Box<[Sketch; 3]>>,
}

impl Target {
    #[inline]
    fn add(&mut self, r: &Row<'_>, fault: bool) {
        self.rows += 1;
        self.faults += u64::from(fault);
        self.first = self.first.min(r.at);
        self.last = self.last.max(r.at);
        if !fault {
            self.last_good = self.last_good.max(r.at);
        }
        if let Some(times) = &mut self.times {
            for (sketch, us) in times.iter_mut().zip(r.times) {
                sketch.add(us);
            }
        }
    }
}

/// All that is counted. Tallies of parts, added in any order, are the tally of the whole.
#[derive(Clone, Debug)]
pub struct Tally {
    pub rules: Rules,
    pub rows: u64,
    /// Rows outside of the window, and rows a filter left out.
    pub outside: u64,
    pub filtered: u64,
    pub unparsed: u64,
    /// Rows long after others of their file that are newer.
    pub late: u64,
    pub formats: [u64; Format::ALL.len()],
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub(super) pairs: Vec<((u16, u16), u64)>,
    /// Where the minutes stand; rows of the same one mostly follow each other.
    at_minute: HashMap<i64, u32, BuildHasherDefault<super::tops::Same>>,
    pub(super) minutes: Vec<(i64, Minute)>,
    this_minute: (i64, u32),
    /// Rows of minutes beyond what is told apart.
    pub beyond: u64,
    /// Before, in and after the target; then from request to response.
    pub times: [Sketch; 4],
    pub targets: ByHash<Target>,
    timed: usize,
    pub targets_502: Top,
    pub paths: Top,
    /// Among rows with a 5xx.
    pub bad_paths: Top,
    pub bad_agents: Top,
    pub bad_networks: Top,
    pub bad_nodes: Top,
    pub bad_classes: Top,
    pub bad_reasons: Top,
    pub bad_groups: Top,
    pub faults: u64,
    pub(super) causes: BTreeMap<&'static str, (u64, Samples)>,
    pub(super) groups: Groups,
    /// Target times of connections that broke off; durations of 504 and 460.
    pub broken: Sketch,
    pub slow: Sketch,
    pub aborted: Sketch,
    /// Sizes of requests, answered well and broken off, in bytes.
    pub good_sizes: Sketch,
    pub broken_sizes: Sketch,
    /// Large requests answered well.
    pub large_good: u64,
    pub(super) hops: Hops,
    /// Of many rows only minute and statuses are known: somebody else counted them.
    pub(super) partial: bool,
    /// What most requests take in the target, in seconds, where somebody else says so.
    pub(super) usual: Option<f64>,
    /// The newest row of the part being read, and whether the last one was far
    /// ahead of it: one row of a clock that jumped makes those after it no late ones.
    newest: i64,
    ahead: bool,
    scratch: Vec<u8>,
}

impl Tally {
    /// Nothing yet.
    pub fn new(rules: Rules) -> Tally {
        let top = || Top::new(NAMES);
        Tally {
            rules,
            rows: 0,
            outside: 0,
            filtered: 0,
            unparsed: 0,
            late: 0,
            formats: [0; Format::ALL.len()],
            first: None,
            last: None,
            pairs: Vec::new(),
            at_minute: HashMap::default(),
            minutes: Vec::new(),
            this_minute: (i64::MIN, 0),
            beyond: 0,
            times: Default::default(),
            targets: ByHash::default(),
            timed: 0,
            targets_502: Top::new(TARGETS),
            paths: top(),
            bad_paths: top(),
            bad_agents: top(),
            bad_networks: top(),
            bad_nodes: top(),
            bad_classes: top(),
            bad_reasons: top(),
            bad_groups: top(),
            faults: 0,
            causes: BTreeMap::new(),
            groups: Groups::default(),
            broken: Sketch::default(),
            slow: Sketch::default(),
            aborted: Sketch::default(),
            good_sizes: Sketch::default(),
            broken_sizes: Sketch::default(),
            large_good: 0,
            hops: Hops::default(),
            partial: false,
            usual: None,
            newest: i64::MIN,
            ahead: false,
            scratch: Vec::with_capacity(256),
        }
    }

    /// A new file, or part of one, begins: its order of rows is its own.
    pub fn begin_part(&mut self) {
        self.newest = i64::MIN;
        self.ahead = false;
    }

    /// True when a row of this time is in the window; counts it when it is not.
    pub fn within(&mut self, at: i64) -> bool {
        let inside = self.rules.from.is_none_or(|f| at >= f) && self.rules.until.is_none_or(|u| at < u);
        self.outside += u64::from(!inside);
        inside
    }

    /// Counts a row of the window. `node` wrote the file, where its name tells.
    pub fn take(&mut self, format: Format, r: &Row<'_>, node: &[u8]) {
        self.rows += 1;
        self.formats[format as usize] += 1;
        self.first = Some(self.first.map_or(r.at, |f| f.min(r.at)));
        self.last = Some(self.last.map_or(r.at, |l| l.max(r.at)));
        if r.at > self.newest {
            let far = r.at > self.newest.saturating_add(LATE) && self.newest > i64::MIN;
            if !far || self.ahead {
                self.newest = r.at;
            }
            self.ahead = far && !self.ahead;
        } else {
            self.late += u64::from(r.at < self.newest - LATE);
            self.ahead = false;
        }

        let pair = self.pair((r.lb, r.status));
        let minute = r.at.div_euclid(60_000_000);
        match self.minute(minute) {
            None => self.beyond += 1,
            Some(m) => {
                m.rows = m.rows.saturating_add(1);
                match m.pairs.iter_mut().find(|p| p.0 == pair) {
                    Some(p) => p.1 = p.1.saturating_add(1),
                    None => m.pairs.push((pair, 1)),
                }
                if r.times[1] >= 0 {
                    m.steps[step(r.times[1])] += 1;
                }
            }
        }

        for (sketch, us) in self.times.iter_mut().zip(r.times) {
            sketch.add(us);
        }
        self.times[3].add(total(r));
        let fault = fault(format, r);
        let name = if r.target.is_empty() { b"-" } else { r.target };
        let target = self.rules.naming.of(name);
        self.target(target, name, r, fault);
        template(r.path, &mut self.scratch);
        let path = self.rules.naming.of(&self.scratch);
        self.paths.add(path, &self.scratch, 1);
        if fault {
            self.fault(r, target, path, node);
        } else if r.lb < 400 {
            self.good_sizes.add(r.received as i64);
            self.large_good += u64::from(r.received > LARGE);
        }
        if fault || r.lb >= 400 || r.lb == 0 || !r.reason.is_empty() {
            self.blame(format, r, target, path);
        }
    }

    /// Counts `n` rows of a minute that have these statuses.
    pub(super) fn add_pair(&mut self, minute: i64, statuses: (u16, u16), n: u64) {
        let pair = self.pair(statuses);
        self.pairs[usize::from(pair)].1 += n - 1;
        let few = u32::try_from(n).unwrap_or(u32::MAX);
        match self.minute(minute) {
            None => self.beyond += n,
            Some(m) => {
                m.rows = m.rows.saturating_add(few);
                match m.pairs.iter_mut().find(|p| p.0 == pair) {
                    Some(p) => p.1 = p.1.saturating_add(few),
                    None => m.pairs.push((pair, few)),
                }
            }
        }
    }

    /// Sets how many rows a target had, of which only the failing ones were seen.
    pub(super) fn bulk_target(&mut self, name: &[u8], rows: u64) {
        let number = self.rules.naming.of(name);
        if let Some(t) = self.targets.get_mut(&number) {
            t.rows = t.rows.max(rows);
        } else if self.targets.len() < TARGETS {
            let at = self.first.unwrap_or(0);
            let name = name[..name.len().min(240)].into();
            let (faults, last_good) = (0, i64::MIN);
            self.targets
                .insert(number, Target { name, rows, faults, first: at, last: at, last_good, times: None });
        }
    }

    fn minute(&mut self, at: i64) -> Option<&mut Minute> {
        if self.this_minute.0 != at {
            let next = self.minutes.len();
            let place = match self.at_minute.get(&at) {
                Some(i) => *i,
                None if next >= MINUTES => return None,
                None => {
                    self.minutes.push((at, Minute::default()));
                    self.at_minute.insert(at, next as u32);
                    next as u32
                }
            };
            self.this_minute = (at, place);
        }
        self.minutes.get_mut(self.this_minute.1 as usize).map(|m| &mut m.1)
    }

    fn pair(&mut self, statuses: (u16, u16)) -> u16 {
        if let Some(i) = self.pairs.iter().position(|p| p.0 == statuses) {
            self.pairs[i].1 += 1;
            return i as u16;
        }
        // Forged rows could bring a million of them.
        let statuses = if self.pairs.len() < PAIRS { statuses } else { (0, 0) };
        if let Some(i) = self.pairs.iter().position(|p| p.0 == statuses) {
            self.pairs[i].1 += 1;
            return i as u16;
        }
        self.pairs.push((statuses, 1));
        (self.pairs.len() - 1) as u16
    }

    fn target(&mut self, number: u64, name: &[u8], r: &Row<'_>, fault: bool) {
        if r.lb == 502 {
            self.targets_502.add(number, name, 1);
        }
        if let Some(t) = self.targets.get_mut(&number) {
            return t.add(r, fault);
        }
        if self.targets.len() >= TARGETS {
            return;
        }
        self.timed += 1;
        let mut t = Target {
            name: name[..name.len().min(240)].into(),
            rows: 0,
            faults: 0,
            first: r.at,
            last: r.at,
            last_good: i64::MIN,
            times: (self.timed <= TIMED).then(|| Box::new([(); 3].map(|()| Sketch::coarse()))),
        };
        t.add(r, fault);
        self.targets.insert(number, t);
    }

    fn fault(&mut self, r: &Row<'_>, _target: u64, path: u64, node: &[u8]) {
        self.faults += 1;
        self.bad_paths.add(path, &self.scratch, 1);
        let naming = self.rules.naming.clone();
        let count = |top: &mut Top, name: &[u8]| {
            if !name.is_empty() {
                top.add(naming.of(name), name, 1);
            }
        };
        count(&mut self.bad_agents, r.agent);
        network(r.client, &mut self.scratch);
        let net = std::mem::take(&mut self.scratch);
        count(&mut self.bad_networks, &net);
        self.scratch = net;
        count(&mut self.bad_nodes, if r.node.is_empty() { node } else { r.node });
        count(&mut self.bad_classes, r.class);
        count(&mut self.bad_reasons, r.reason);
        count(&mut self.bad_groups, r.group);
    }

    fn blame(&mut self, format: Format, r: &Row<'_>, target: u64, path: u64) {
        if format == Format::Alb || format == Format::CloudFront {
            self.hops.add(format, r, &self.rules.naming);
        }
        let took = total(r);
        match r.lb {
            504 => self.slow.add(took),
            460 | 499 => self.aborted.add(took),
            _ => {}
        }
        let key = match blame(format, r, self.rules.idle) {
            Blame::None => return,
            Blame::Cause(cause) => {
                let (n, samples) = self.causes.entry(cause).or_default();
                *n += 1;
                if samples.wants(r.at) {
                    samples.add(Sample::of(r));
                }
                return;
            }
            Blame::Broken => {
                self.broken.add(r.times[1]);
                self.broken_sizes.add(r.received as i64);
                Key {
                    refused: false,
                    target,
                    path,
                    class: class(r.times[1].max(0)),
                    large: r.received > LARGE,
                }
            }
            Blame::Refused => Key { refused: true, target, path: 0, class: class(took.max(0)), large: false },
        };
        let naming = &self.rules.naming;
        let coarse = Key { path: 0, class: super::groups::coarse_class(key.class), ..key };
        let group = self.groups.entry(naming.of_any(key), naming.of_any(coarse), key, r.at);
        group.rows += 1;
        group.first = group.first.min(r.at);
        group.last = group.last.max(r.at);
        if group.sample.as_ref().is_none_or(|s| r.at <= s.at) {
            let new = Sample::of(r);
            if group.sample.as_ref().is_none_or(|s| new < *s) {
                group.sample = Some(new);
            }
        }
    }
}

/// From request to response: told, or the three times together.
pub(super) fn total(r: &Row<'_>) -> i64 {
    if r.took >= 0 || r.untimed() { r.took } else { r.times.iter().map(|t| t.max(&0)).sum() }
}

fn step(us: i64) -> usize {
    let ms = (us / 1_000) as u64;
    ((u64::BITS - ms.leading_zeros()) as usize).min(STEPS - 1)
}

#[cfg(test)]
mod tests;
