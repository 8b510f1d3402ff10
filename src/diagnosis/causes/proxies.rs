//! A proxy in front of a server, both behind the load balancer: nginx or
//! Apache on the target. Sources: Apache HTTP Server docs (mod_proxy,
//! mod_proxy_http, core), nginx docs (upstream keepalive, changes 1.29.7).

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::signs::Sign;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::host::{Host, Role};
use crate::situation::{Datum, Known, Reason, Situation};

const T5XX: &str = "HTTPCode_Target_5XX_Count";
const LOG: &str = "error log of the proxy";
/// From this release on nginx keeps connections to upstreams unless told otherwise.
const POOLS: [u32; 3] = [1, 29, 7];
/// How long nginx keeps an idle connection to an upstream unless told otherwise.
const NGINX_POOL_S: f64 = 60.0;

/// Lines of a proxy that name more than that its upstream failed.
pub(super) const PARTICULAR: &[&str] = &[
    "httpd-status-line",
    "httpd-read-error",
    "httpd-status-timeout",
    "httpd-worker-disabled",
    "nginx-big-header",
    "nginx-invalid-header",
    "nginx-no-live-upstreams",
];

/// Lines of a request that was lost on a connection just ended.
pub(super) const RACE: &[&str] = &["httpd-status-line"];
pub(super) const CLOSED: &[&str] = &["nginx-upstream-closed", "nginx-upstream-reset"];
/// Of Apache that waits no longer, or does not ask.
pub(super) const ERRORS: &[&str] =
    &["httpd-status-timeout", "httpd-worker-disabled", "httpd-connect-failed", "httpd-backend-failed"];
/// Of nginx that cannot use an answer, or asks nobody.
pub(super) const UNUSABLE: &[&str] = &["nginx-big-header", "nginx-invalid-header", "nginx-no-live-upstreams"];
/// The share of failures up to which they are rare.
pub(super) const SELDOM: f64 = 0.06;

/// What is known of a proxy, whoever tells it: a load balancer that sends it
/// requests, or its own logs.
pub(super) struct Proxy<'c> {
    pub s: &'c Situation,
    pub signs: &'c [Sign],
    /// Its answers are the bulk of what fails.
    pub passed_on: bool,
    /// Failures are rare among its requests: a race is, an outage is not.
    pub seldom: bool,
}

impl<'c> Proxy<'c> {
    fn of(c: &'c Case<'_>) -> Proxy<'c> {
        let seldom = match (c.count(T5XX), c.requests()) {
            (Some(n), Some(all)) if all > 0.0 => n / all <= SELDOM,
            _ => false,
        };
        Proxy { s: c.s, signs: &c.signs, passed_on: c.mostly(T5XX), seldom }
    }

    fn lines(&self, ids: &'c [&str]) -> impl Iterator<Item = &'c Sign> {
        self.signs.iter().filter(|s| ids.contains(&s.pattern.id.as_str()))
    }

    pub fn count(&self, ids: &[&str]) -> usize {
        self.signs.iter().filter(|s| ids.contains(&s.pattern.id.as_str())).map(|s| s.count).sum()
    }

    fn hosts(&self) -> impl Iterator<Item = &'c Known<Box<Host>>> {
        self.s.hosts.values().filter_map(Datum::get)
    }
}

/// Without a log nothing tells; that is worth saying where targets answer 5xx.
fn lacks_log(c: &Case<'_>, b: &mut Ballot) {
    if c.mostly(T5XX) {
        b.lack_if(LOG, c.no_logs());
    }
}

/// Judges by a load balancer that sends the proxy requests.
fn behind(c: &Case<'_>, b: &mut Ballot, ids: &[&str], judge: fn(&Proxy<'_>, &mut Ballot)) -> bool {
    if c.servers().next().is_none() {
        return false;
    }
    let p = Proxy::of(c);
    if p.count(ids) == 0 {
        lacks_log(c, b);
        return false;
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    judge(&p, b);
    p.passed_on && p.seldom
}

pub(super) fn apache_race(c: &Case<'_>, b: &mut Ballot) {
    if behind(c, b, RACE, race) && fits_race(&Proxy::of(c)) {
        b.pro(Weak, Seen::metric(c, T5XX));
    }
}

fn fits_race(p: &Proxy<'_>) -> bool {
    let (n, late, refused) = (
        p.count(RACE),
        p.count(&["httpd-status-timeout"]),
        p.count(&["httpd-connect-failed", "httpd-backend-failed", "httpd-worker-disabled"]),
    );
    p.passed_on && p.seldom && refused <= n / 2 && late <= n / 2
}

/// Two Apaches: the outer uses a connection the inner is just ending.
pub(super) fn race(p: &Proxy<'_>, b: &mut Ballot) {
    let (n, fits) = (p.count(RACE), fits_race(p));
    for s in p.lines(RACE) {
        b.pro(if fits { Strong } else { Weak }, Seen::sign(s));
    }
    for s in p.lines(&["httpd-status-timeout"]).filter(|s| s.count > n) {
        b.con(Strong, Seen::sign(s));
    }
    for s in p.lines(&["httpd-connect-failed", "httpd-worker-disabled"]).filter(|s| s.count > n) {
        b.con(Strong, Seen::sign(s));
    }
    let mut timers = false;
    for k in p.hosts() {
        let h = &k.value;
        let switched_off = h.settings("apache", "proxy-initial-not-pooled").next().is_some()
            || h.settings("apache", "disablereuse").any(|s| s.value.eq_ignore_ascii_case("on"));
        let Some(inner) = h.settings("apache", "KeepAliveTimeout").find_map(|s| Some((s, s.seconds?))) else {
            continue;
        };
        timers = true;
        let pool = h.settings("apache", "ttl").find_map(|s| s.seconds);
        let source = format!("host {}", h.asked);
        let said = format!(
            "KeepAliveTimeout {} ({}), ProxyPass ttl {}",
            inner.0.value,
            inner.0.place,
            pool.map_or_else(|| "not set".to_owned(), |s| format!("{s} s"))
        );
        let seen = Seen::new("idle timers of the two tiers", said, source, k.as_of);
        if switched_off {
            let said = "connections to the inner server are not used again";
            b.con(Strong, Seen::new("proxy settings", said, format!("host {}", h.asked), k.as_of));
        } else if pool.is_none_or(|p| p >= inner.1) {
            b.pro(if fits { Decisive } else { Weak }, seen);
        } else {
            b.con(Strong, seen);
        }
    }
    if !timers {
        b.lack("KeepAliveTimeout of the inner server, ttl of the outer", Reason::NotAsked);
    }
}

pub(super) fn apache_error_state(c: &Case<'_>, b: &mut Ballot) {
    behind(c, b, ERRORS, error_state);
}

/// Apache gave up waiting for, or asking, what stands behind it.
pub(super) fn error_state(p: &Proxy<'_>, b: &mut Ballot) {
    let lost = p.count(RACE);
    for s in p.lines(&["httpd-status-timeout", "httpd-worker-disabled"]) {
        let weight = if p.passed_on && s.count >= lost { Decisive } else { Weak };
        b.pro(weight, Seen::sign(s));
    }
    for s in p.lines(&["httpd-connect-failed", "httpd-backend-failed"]) {
        b.pro(Weak, Seen::sign(s));
    }
}

pub(super) fn nginx_pool(c: &Case<'_>, b: &mut Ballot) {
    // Without a line of the kind there is nothing to miss either.
    if Proxy::of(c).count(CLOSED) > 0 {
        behind(c, b, CLOSED, pool);
    }
}

/// nginx uses a connection that what stands behind is just ending.
pub(super) fn pool(p: &Proxy<'_>, b: &mut Ballot) {
    let rare = p.passed_on && p.seldom;
    let mut known = false;
    for k in p.hosts() {
        let h = &k.value;
        let Some(version) = h.version("nginx") else { continue };
        known = true;
        let kept = h.settings("nginx", "keepalive").next();
        let off = kept.is_some_and(|s| s.value.as_str() == "0");
        let shown: Vec<String> = version.iter().map(u32::to_string).collect();
        let says = format!(
            "nginx {}, keepalive in upstream: {}",
            shown.join("."),
            kept.map_or("not set", |s| s.value.as_str())
        );
        let seen =
            |text: String| Seen::new("nginx on the target", text, format!("host {}", h.asked), k.as_of);
        if off || (version.as_slice() < &POOLS[..] && kept.is_none()) {
            b.con(Decisive, seen(says));
            continue;
        }
        let pool =
            h.settings("nginx", "upstream keepalive_timeout").find_map(|s| s.seconds).unwrap_or(NGINX_POOL_S);
        // Of whatever stands behind nginx on this host.
        let behind = h
            .settings
            .iter()
            .filter(|s| s.role == Role::KeepAlive && s.server.as_str() != "nginx")
            .filter_map(|s| Some((s, s.seconds?)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        match behind {
            Some((s, seconds)) if seconds <= pool => {
                let says = format!("{says}, kept {pool} s; {} {} {}", s.server, s.name, s.value);
                b.pro(if rare { Decisive } else { Weak }, seen(says));
            }
            Some((s, _)) => {
                b.con(Strong, seen(format!("{says}, kept {pool} s; {} {} {}", s.server, s.name, s.value)))
            }
            None => {
                b.pro(if rare { Strong } else { Weak }, seen(says));
                b.lack("keep-alive of the server behind nginx", Reason::NotAsked);
            }
        }
    }
    for s in p.lines(CLOSED) {
        b.pro(Weak, Seen::sign(s));
    }
    if !known {
        b.lack("version of nginx and its upstream keepalive", Reason::NotAsked);
    }
}

pub(super) fn nginx_header(c: &Case<'_>, b: &mut Ballot) {
    behind(c, b, UNUSABLE, header);
}

/// nginx cannot use the answer, or asks nobody.
pub(super) fn header(p: &Proxy<'_>, b: &mut Ballot) {
    for s in p.lines(UNUSABLE) {
        let usual = s.before > s.count * 2;
        b.pro(if p.passed_on && !usual { Decisive } else { Weak }, Seen::sign(s));
    }
}
