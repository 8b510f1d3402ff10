//! Causes at a Classic Load Balancer. Source: "Troubleshoot a Classic Load
//! Balancer: HTTP errors", Classic Load Balancers user guide.

use super::ballot::{Ballot, Seen};
use crate::diagnosis::fore::{Fore, Front, FrontRows};
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::front::FrontRow;
use crate::situation::{Datum, Reason};

const METRICS: &str = "cloudwatch:GetMetricData";
const HEALTH: &str = "elb:DescribeInstanceHealth";
const SPACE: &str = "AWS/ELB";

fn begin<'f, 'a>(f: &'f Front<'a>, b: &mut Ballot) -> Option<&'f Fore<'a>> {
    let c = f.classic.as_ref()?;
    b.lack_of_front(c, "metrics of the load balancer", "rows of the access log");
    Some(c)
}

fn told(r: &FrontRows<'_>, holds: impl Fn(&FrontRow) -> bool + Copy, says: &str) -> Seen {
    Seen::front_rows("access log", r, holds, says)
}

/// By the load balancer itself: the instance's own answer has the same code.
fn own(r: &FrontRow) -> bool {
    r.inner != Some(r.status)
}

pub(super) fn malformed(f: &Front<'_>, b: &mut Ballot) {
    let Some(c) = begin(f, b) else { return };
    let holds = |r: &FrontRow| r.status == 502 && own(r);
    if let Some(r) = c.failing_rows() {
        let part = r.part(holds);
        if part >= 0.5 {
            b.pro(Decisive, told(r, holds, "have 502, though an instance answered"));
        } else if part < 0.05 {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    } else if c.sum(SPACE, "HTTPCode_ELB_5XX", &c.id).is_some_and(|n| n >= 3.0) {
        let calm = c.sum(SPACE, "BackendConnectionErrors", &c.id).is_none_or(|n| n < 1.0)
            && c.sum(SPACE, "SpilloverCount", &c.id).is_none_or(|n| n < 1.0)
            && !f.sick();
        let seen = Seen::new(
            "HTTPCode_ELB_5XX",
            "with no connection error, no spillover, all in service",
            METRICS,
            c.metrics_at(),
        );
        if calm {
            b.pro(Weak, seen);
        }
    }
}

pub(super) fn no_capacity(f: &Front<'_>, b: &mut Ballot) {
    let Some(c) = begin(f, b) else { return };
    let datum = f.s.fronts.instance_health.get(&c.id);
    b.lack_if("instance health", datum.map_or(Some(Reason::NotAsked), Datum::why_unknown));
    let holds = |r: &FrontRow| r.status == 503 && own(r);
    let mut bulk = false;
    if let Some(r) = c.failing_rows() {
        if r.part(holds) >= 0.5 {
            bulk = true;
            b.pro(Strong, told(r, holds, "have 503 by the load balancer"));
        } else if r.part(holds) < 0.05 {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    }
    if let Some(n) = c.sum(SPACE, "SpilloverCount", &c.id).filter(|n| *n >= 1.0) {
        bulk = true;
        b.pro(
            if c.failing { Decisive } else { Strong },
            Seen::new("SpilloverCount", format!("{n:.0}: the surge queue is full"), METRICS, c.metrics_at()),
        );
    }
    if let Some(n) = c.highest(SPACE, "SurgeQueueLength", "Maximum", &c.id).filter(|n| *n >= 500.0) {
        b.pro(
            Strong,
            Seen::new("SurgeQueueLength", format!("up to {n:.0} of 1024"), METRICS, c.metrics_at()),
        );
    }
    if let Some(k) = datum.and_then(Datum::get) {
        let out: Vec<_> = k.value.iter().filter(|i| i.state.as_str() == "OutOfService").collect();
        let all = k.value.len();
        if out.len() == all {
            let why = out.first().map_or(String::new(), |i| format!(": {}", i.description));
            let value = if all == 0 {
                "no instance is registered".into()
            } else {
                format!("none of {all} is in service{why}")
            };
            let logged = c.failing_rows().is_none() || bulk;
            b.pro(
                if logged { Decisive } else { Strong },
                Seen::new("instance health", value, HEALTH, k.as_of),
            );
        } else if !out.is_empty() {
            let value = format!("{} of {all} out of service: {}", out.len(), out[0].description);
            let cross = f.classic_value().and_then(|c| c.cross_zone);
            b.pro(
                if bulk && cross == Some(false) { Strong } else { Weak },
                Seen::new("instance health", value, HEALTH, k.as_of),
            );
        } else {
            b.con(Weak, Seen::new("instance health", format!("all {all} are in service"), HEALTH, k.as_of));
        }
    }
    for e in c.changed(
        &["DeregisterInstances", "StopInstances", "TerminateInstances", "DisableAvailabilityZones"],
        &[],
    ) {
        if b.has_pro() {
            b.pro(Weak, Seen::change(e));
        }
    }
}

pub(super) fn closed(f: &Front<'_>, b: &mut Ballot) {
    let Some(c) = begin(f, b) else { return };
    let idle = f.classic_value().and_then(|x| x.idle_s).map(f64::from);
    if let Some(why) = f.classic_value().and_then(|x| x.gap.clone()) {
        b.lack("idle timeout of the load balancer", why);
    }
    let holds = |r: &FrontRow| r.status == 504 && own(r);
    let mut bulk = false;
    if let Some(r) = c.failing_rows() {
        if r.part(holds) >= 0.5 {
            bulk = true;
            let untimed = r.part(|r| holds(r) && r.untimed) >= 0.25;
            let says = if untimed {
                "have 504 without a time: the instance closed or never answered"
            } else {
                "have 504 after a long wait"
            };
            b.pro(Decisive, told(r, holds, says));
        } else if r.part(holds) < 0.05 {
            b.con(Decisive, told(r, |_| true, "are of other kinds"));
        }
    }
    if let (Some(idle), Some(top)) = (idle, c.highest(SPACE, "Latency", "Maximum", &c.id))
        && top >= idle * 0.95
    {
        let value = format!("up to {top:.1} s, the idle timeout is {idle:.0} s");
        b.pro(if bulk { Strong } else { Weak }, Seen::new("Latency", value, METRICS, c.metrics_at()));
    }
    if let Some(n) = c.sum(SPACE, "BackendConnectionErrors", &c.id).filter(|n| *n >= 3.0) {
        b.pro(
            if bulk { Strong } else { Weak },
            Seen::new("BackendConnectionErrors", format!("{n:.0}"), METRICS, c.metrics_at()),
        );
    }
}
