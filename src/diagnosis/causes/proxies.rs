//! A proxy in front of a server, both behind the load balancer: nginx or
//! Apache on the target. Sources: Apache HTTP Server docs (mod_proxy,
//! mod_proxy_http, core), nginx docs (upstream keepalive, changes 1.29.7).

use super::ballot::{Ballot, Seen};
use crate::diagnosis::case::Case;
use crate::diagnosis::signs::Sign;
use crate::diagnosis::verdict::Weight::{Decisive, Strong, Weak};
use crate::situation::host::{Host, Role};
use crate::situation::{Datum, Known, Reason};

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

fn lines<'c>(c: &'c Case<'_>, ids: &'c [&str]) -> impl Iterator<Item = &'c Sign> {
    c.signs.iter().filter(|s| ids.contains(&s.pattern.id.as_str()))
}

fn count(c: &Case<'_>, ids: &[&str]) -> usize {
    lines(c, ids).map(|s| s.count).sum()
}

/// Is the failure rare among the requests? A race is; an outage is not.
fn seldom(c: &Case<'_>) -> bool {
    match (c.count(T5XX), c.requests()) {
        (Some(n), Some(all)) if all > 0.0 => n / all <= 0.06,
        _ => false,
    }
}

fn hosts<'c>(c: &'c Case<'_>) -> impl Iterator<Item = &'c Known<Box<Host>>> {
    c.s.hosts.values().filter_map(Datum::get)
}

/// Without a log nothing tells; that is worth saying where targets answer 5xx.
fn lacks_log(c: &Case<'_>, b: &mut Ballot) {
    if c.mostly(T5XX) {
        b.lack_if(LOG, c.no_logs());
    }
}

pub(super) fn apache_race(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let lost = ["httpd-status-line"];
    let (n, late, refused) = (
        count(c, &lost),
        count(c, &["httpd-status-timeout"]),
        count(c, &["httpd-connect-failed", "httpd-backend-failed", "httpd-worker-disabled"]),
    );
    if n == 0 {
        return lacks_log(c, b);
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let passed_on = c.mostly(T5XX);
    let fits = passed_on && seldom(c) && refused <= n / 2 && late <= n / 2;
    for s in lines(c, &lost) {
        b.pro(if fits { Strong } else { Weak }, Seen::sign(s));
    }
    if fits {
        b.pro(Weak, Seen::metric(c, T5XX));
    }
    for s in lines(c, &["httpd-status-timeout"]).filter(|s| s.count > n) {
        b.con(Strong, Seen::sign(s));
    }
    for s in lines(c, &["httpd-connect-failed", "httpd-worker-disabled"]).filter(|s| s.count > n) {
        b.con(Strong, Seen::sign(s));
    }
    let mut timers = false;
    for k in hosts(c) {
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
    if c.servers().next().is_none() {
        return;
    }
    let own = ["httpd-status-timeout", "httpd-worker-disabled"];
    if count(c, &own) + count(c, &["httpd-connect-failed", "httpd-backend-failed"]) == 0 {
        return lacks_log(c, b);
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let passed_on = c.mostly(T5XX);
    let lost = count(c, &["httpd-status-line"]);
    for s in lines(c, &own) {
        let weight = if passed_on && s.count >= lost { Decisive } else { Weak };
        b.pro(weight, Seen::sign(s));
    }
    for s in lines(c, &["httpd-connect-failed", "httpd-backend-failed"]) {
        b.pro(Weak, Seen::sign(s));
    }
}

pub(super) fn nginx_pool(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let lost = ["nginx-upstream-closed", "nginx-upstream-reset"];
    if count(c, &lost) == 0 {
        return;
    }
    b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    let rare = c.mostly(T5XX) && seldom(c);
    let mut known = false;
    for k in hosts(c) {
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
    for s in lines(c, &lost) {
        b.pro(Weak, Seen::sign(s));
    }
    if !known {
        b.lack("version of nginx and its upstream keepalive", Reason::NotAsked);
    }
}

pub(super) fn nginx_header(c: &Case<'_>, b: &mut Ballot) {
    if c.servers().next().is_none() {
        return;
    }
    let passed_on = c.mostly(T5XX);
    let mut any = false;
    for s in c.signs_of("nginx-upstream-header-or-no-live") {
        any = true;
        let usual = s.before > s.count * 2;
        b.pro(if passed_on && !usual { Decisive } else { Weak }, Seen::sign(s));
    }
    if any {
        b.lack_if("metrics of the load balancer", c.no_metrics.clone());
    } else {
        lacks_log(c, b);
    }
}
