//! Causes of answers that a target began to give and did not end, or gave in
//! a form the load balancer cannot use.

use super::alb::{CONNECT, E502, E504, HEALTH, T5XX, TLS, begun, health, idle, lacks_metrics};
use super::ballot::{Ballot, Seen};
use crate::diagnosis::around::address;
use crate::diagnosis::case::Case;
use crate::diagnosis::rows::{Rows, Shape};
use crate::diagnosis::timeouts::{RuleId, Standing, settings};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::Reason;
use jiff::SignedDuration;

pub(super) fn keep_alive(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    let r1 = c.inputs.chain.rules.iter().filter(|r| r.id == RuleId::R1);
    let mut fits = c.drizzle() && c.none(CONNECT);
    let steady = c.servers().all(|g| g.count("unhealthy") == 0);
    // The rows tell a connection that was closed while idle from one that
    // broke under a request: at once, anywhere, now and then.
    let told = broken(c);
    if let Some(x) = &told {
        let quick = x.took.1 < 0.5 && x.took.2 < 3.0;
        let seldom = x.rows.share(Shape::Broken) <= 0.06;
        let anywhere = x.one_path().is_none() && !x.uploads() && !x.large_headers();
        let over_time = x.rows.minutes(Shape::Broken) as f64 >= (x.n / 4.0).clamp(2.0, 8.0);
        let stayed = x.gone(c).is_none_or(|part| part < 0.5);
        let says = format!("that broke off after {:.3} s (median)", x.took.1);
        if quick && seldom && anywhere && over_time && stayed {
            fits = c.none(CONNECT) || c.count(CONNECT).is_none();
            b.pro(if steady { Strong } else { Weak }, Seen::rows(x.rows, Shape::Broken, &says));
        } else {
            fits = false;
            b.con(Strong, Seen::rows(x.rows, Shape::Broken, &says));
        }
    }
    let mut measured = false;
    // Without the two timers side by side the pattern alone is a weaker hint
    // when the server is known to keep connections past the usual 60 s.
    let mut timers_fit = false;
    for r in r1 {
        timers_fit |= r.left.seconds.is_none_or(|s| s <= 60.0);
        let seen = Seen::new("idle timers", r.text.clone(), r.left.source.clone(), c.now);
        match r.standing {
            Standing::Violated if fits => b.pro(Decisive, seen),
            Standing::Violated => {
                b.pro(Strong, seen);
                if !c.many(E502) {
                    b.dormant();
                }
            }
            Standing::AtRisk if fits => b.pro(Strong, seen),
            Standing::AtRisk => b.pro(Weak, seen),
            Standing::Holds => {
                measured = true;
                b.con(Decisive, seen);
            }
            Standing::Unknown => {
                b.lack_if(format!("{} of {}", settings::SERVER_KEEPALIVE, r.name), r.missing.clone())
            }
            Standing::NotApplicable => {}
        }
    }
    if fits && !measured {
        let seen = Seen::metric(c, E502);
        b.pro(if steady && timers_fit && c.none(T5XX) { Strong } else { Weak }, seen);
        b.pro(Weak, Seen::metric(c, CONNECT));
    } else if (c.many(E502) && !c.drizzle()) || (c.none(E502) && c.failing) {
        b.con(Strong, Seen::metric(c, E502));
    }
    if c.many(CONNECT) {
        b.con(Strong, Seen::metric(c, CONNECT));
    }
}

/// 502 without connection errors, more than a drizzle, from healthy targets:
/// the connection breaks after the request was sent.
fn breaks_off(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    if c.many(E502) && c.none(CONNECT) && c.none(TLS) {
        b.pro(Weak, Seen::metric(c, E502));
    } else if c.none(E502) && c.failing {
        b.con(Strong, Seen::metric(c, E502));
    }
    if let Ok(rows) = &c.rows
        && c.many(E502)
        && rows.n(Shape::Broken) < 1.0
    {
        let says = "of another kind; none broke off after the request was sent";
        b.con(Strong, Seen::rows(rows, Shape::Refused, says));
    }
    if c.failing {
        b.lack_if("access log rows of the failing requests", c.no_rows());
    }
}

pub(super) fn malformed(c: &Case<'_>, b: &mut Ballot) {
    breaks_off(c, b);
    for s in c.signs_of("alb-target-response-malformed") {
        b.pro(if c.many(E502) { Strong } else { Weak }, Seen::sign(s));
    }
    let Some(x) = broken(c).filter(|_| c.servers().next().is_some()) else { return };
    if x.deadline().is_some() || x.uploads() || x.large_headers() || vanished(c, &x) {
        b.con(Strong, Seen::rows(x.rows, Shape::Broken, "that have another mark in common"));
    } else if let Some(says) = x.one_path() {
        b.pro(Strong, Seen::rows(x.rows, Shape::Broken, &says));
    } else if x.rows.share(Shape::Broken) >= 0.9 && c.servers().all(|g| g.count("unhealthy") == 0) {
        let says = "that broke off: nearly every request, while health checks pass";
        b.pro(Strong, Seen::rows(x.rows, Shape::Broken, says));
    } else if x.rows.share(Shape::Broken) <= 0.06 {
        b.con(Strong, Seen::rows(x.rows, Shape::Broken, "that broke off, on any path, now and then"));
    }
}

/// Most of the targets that broke off are gone: they were stopped.
fn vanished(c: &Case<'_>, x: &Broken<'_, '_>) -> bool {
    x.gone(c).is_some_and(|part| part >= 0.6)
}

pub(super) fn large_header(c: &Case<'_>, b: &mut Ballot) {
    breaks_off(c, b);
    for s in c.signs_of("alb-target-header-too-large") {
        b.pro(if c.many(E502) { Strong } else { Weak }, Seen::sign(s));
    }
    let Some(x) = broken(c).filter(|_| c.servers().next().is_some()) else { return };
    let size = x.rows.median(Shape::Broken, |r| r.received as f64).unwrap_or(0.0);
    let says = format!("whose request has {size:.0} bytes (median)");
    if x.large_headers() && x.deadline().is_none() {
        b.pro(Strong, Seen::rows(x.rows, Shape::Broken, &says));
    } else {
        b.con(Strong, Seen::rows(x.rows, Shape::Broken, &says));
    }
}

pub(super) fn upload(c: &Case<'_>, b: &mut Ballot) {
    breaks_off(c, b);
    for s in c.signs_of("alb-early-close-on-upload") {
        b.pro(if c.many(E502) { Strong } else { Weak }, Seen::sign(s));
    }
    for s in c.signs.iter().filter(|s| s.pattern.id.as_str() == "nginx-large-body") {
        b.pro(if c.many(E502) { Strong } else { Weak }, Seen::sign(s));
    }
    let Some(x) = broken(c).filter(|_| c.servers().next().is_some()) else { return };
    let size = x.rows.median(Shape::Broken, |r| r.received as f64).unwrap_or(0.0);
    let says = format!("that had sent {size:.0} bytes (median)");
    if x.uploads() {
        b.pro(Strong, Seen::rows(x.rows, Shape::Broken, &says));
    } else {
        b.con(Strong, Seen::rows(x.rows, Shape::Broken, &says));
    }
}

pub(super) fn short_body(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    if c.mostly(E504) && c.none(CONNECT) {
        b.pro(Weak, Seen::metric(c, E504));
    } else if c.none(E504) && c.failing {
        b.con(Strong, Seen::metric(c, E504));
    }
    if let Ok(rows) = &c.rows
        && rows.mostly(Shape::Slow)
    {
        if begun(rows, idle(c)) >= 0.8 {
            b.pro(Strong, Seen::rows(rows, Shape::Slow, "whose answer had begun and never ended"));
        } else {
            b.con(Strong, Seen::rows(rows, Shape::Slow, "whose answer never began"));
        }
    }
    if c.failing {
        b.lack_if("access log rows of the failing requests", c.no_rows());
    }
}

pub(super) fn deregistration(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    lacks_metrics(c, b);
    let Some(onset) = c.began() else {
        if c.failing {
            b.lack("time of the last deregistration", Reason::NotAsked);
        }
        return;
    };
    let x = broken(c);
    for g in c.servers() {
        let delay = c
            .inputs
            .chain
            .get(g.arn, "deregistration_delay.timeout_seconds")
            .and_then(|e| e.value.seconds())
            .unwrap_or(300.0);
        // Long requests that were cut, not short ones that met a dead server.
        let long = x.as_ref().is_some_and(|x| x.took.1 >= (delay * 0.5).clamp(3.0, 30.0));
        let mut removed: Vec<(jiff::Timestamp, Seen)> = Vec::new();
        for (key, track) in g.state.tracks.iter().filter(|(_, t)| t.gone && t.since_exact) {
            let seen = Seen::new(format!("target {}", key.id), "left the group", HEALTH, track.since);
            removed.push((track.since, seen));
        }
        // What was taken out elsewhere ends nothing here, however well the time fits.
        for e in c.changes_at_any_time() {
            let takes = [
                "DeregisterTargets",
                "TerminateInstance",
                "UpdateService",
                "StartInstanceRefresh",
                "CreateDeployment",
            ];
            if takes.iter().any(|n| e.name.starts_with(n)) {
                removed.push((e.at, Seen::change(e)));
            }
        }
        for (group, a) in c.removals_within(SignedDuration::from_secs(delay as i64 + 180)) {
            let what = format!("activity of {}", group.name);
            removed
                .push((a.at, Seen::new(what, a.what.clone(), "autoscaling:DescribeScalingActivities", a.at)));
        }
        for (at, seen) in removed {
            let after = onset.duration_since(at).as_secs_f64();
            let in_time = (delay - 75.0..=delay + 120.0).contains(&after) && after >= -30.0;
            if !in_time || !c.many(E502) {
                continue;
            }
            let value = format!("{}, {after:.0} s before the onset; the delay is {delay:.0} s", seen.value);
            let seen = Seen { value: value.into(), ..seen };
            // A short delay is as near to the change itself.
            b.pro(if long || (delay >= 120.0 && x.is_none()) { Strong } else { Weak }, seen);
        }
        if b.has_pro()
            && let Some(x) = x.as_ref().filter(|_| long)
        {
            let says = format!("that broke off after {:.1} s (median)", x.took.1);
            b.pro(Strong, Seen::rows(x.rows, Shape::Broken, &says));
        }
        let draining = g.count("draining");
        if draining > 0 && c.many(E502) {
            b.pro(Weak, health(g, format!("{draining} draining")));
        }
    }
    if c.none(E502) && c.failing {
        b.con(Strong, Seen::metric(c, E502));
    } else if let Some(x) = x.as_ref().filter(|x| x.took.2 < 2.0) {
        b.con(Strong, Seen::rows(x.rows, Shape::Broken, "that broke off within two seconds"));
    }
    b.lack_if("changes before the onset", c.no_changes());
}

/// Connections that break after the request was sent, and how.
pub(super) struct Broken<'c, 'a> {
    pub rows: &'c Rows<'a>,
    pub n: f64,
    /// Quantiles of their durations, in seconds.
    pub took: (f64, f64, f64),
}

/// The 502 rows of requests that were sent, when they are the bulk of the faults.
pub(super) fn broken<'c, 'a>(c: &'c Case<'a>) -> Option<Broken<'c, 'a>> {
    let rows = c.rows.as_ref().ok().filter(|r| r.mostly(Shape::Broken))?;
    Some(Broken { rows, n: rows.n(Shape::Broken), took: rows.took(Shape::Broken)? })
}

impl Broken<'_, '_> {
    /// They all have one path, and that path always fails.
    pub fn one_path(&self) -> Option<String> {
        let good = self.rows.good_paths();
        let top = self.rows.top(Shape::Broken, |r| &r.path, &good)?;
        let rate = top.rate.unwrap_or(0.0);
        // More paths may share the fault: then the part of the others that fails tells.
        (top.share >= 0.8 && rate >= 0.6 && self.n >= 5.0).then(|| {
            format!(
                "{:.0} % on {}, which fails {:.0} % of the time",
                top.share * 100.0,
                top.name,
                rate * 100.0
            )
        })
    }

    /// They last about the same time, which is somebody's deadline.
    pub fn deadline(&self) -> Option<f64> {
        let (low, mid, high) = self.took;
        (mid >= 4.0 && high - low <= (mid * 0.1).max(1.5) && self.n >= 3.0).then_some(mid)
    }

    /// Large bodies were being sent.
    pub fn uploads(&self) -> bool {
        let floor = (self.rows.log.largest_good.min(1 << 20) as f64).max(64_000.0);
        self.n >= 3.0 && self.rows.part(Shape::Broken, |r| r.received as f64 > floor) >= 0.8
    }

    /// Requests without a body that are large all the same: cookies.
    pub fn large_headers(&self) -> bool {
        let bare = |r: &crate::situation::access::AccessRow| matches!(r.method.as_str(), "GET" | "HEAD");
        self.n >= 3.0
            && self.rows.part(Shape::Broken, |r| !bare(r) || r.received >= 2_500) >= 0.8
            && self.rows.part(Shape::Broken, bare) >= 0.3
            && !self.uploads()
    }

    /// The part of them whose target has gone since.
    pub fn gone(&self, c: &Case<'_>) -> Option<f64> {
        gone(c, self.rows, Shape::Broken)
    }
}

/// The part of rows of a shape whose target gets no requests any more.
pub(super) fn gone(c: &Case<'_>, rows: &Rows<'_>, shape: Shape) -> Option<f64> {
    let present = c.present()?;
    let n = rows.of(shape).filter(|r| address(&r.target).is_some()).count();
    (n >= 3).then(|| rows.part(shape, |r| address(&r.target).is_some_and(|a| !present.contains(&a))))
}
