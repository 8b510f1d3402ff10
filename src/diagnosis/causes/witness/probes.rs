//! What probes met: names, certificates, connections, answers.

use super::hosts::is_housekeeping;
use super::{LARGE, MALFORMED, Place, Stand, Witness, addresses, numbers};
use crate::diagnosis::causes::ballot::{Ballot, Seen};
use crate::diagnosis::verdict::Weight::{self, Decisive, Strong, Weak};
use crate::situation::Known;
use crate::situation::probe::{Exchange, Fault, Probe, Reach, Tls};
use crate::text::SafeText;
use std::net::IpAddr;

impl Witness<'_> {
    // Names.

    pub(super) fn names(&self, b: &mut Ballot) {
        for (k, _) in self.at_front() {
            let Some(d) = &k.value.dns else { continue };
            let own =
                d.answers.iter().any(|a| a.authoritative && a.code == "NXDOMAIN" && a.records.is_empty());
            let mut bad = false;
            for f in k.value.faults.iter().filter(|f| f.id.starts_with("dns-")) {
                let weight = match f.id.as_str() {
                    // Whoever has the zone says so; or nobody else resolves it either.
                    "dns-nxdomain" if chain_end(&k.value).is_some() => continue,
                    "dns-nxdomain" if own => Decisive,
                    "dns-nxdomain" | "dns-servfail" | "dns-no-address" if d.addresses.is_empty() => Decisive,
                    "dns-nxdomain" | "dns-servfail" => Strong,
                    "dns-no-address" | "dns-lame-delegation" | "dns-delegation-differs" if f.wrong => Strong,
                    "dns-resolver-silent" | "dns-authorities-differ" => Weak,
                    _ => continue,
                };
                bad = true;
                b.pro(weight, probe_said(k, f));
            }
            b.learned("answers of the name servers");
            if !bad && !d.addresses.is_empty() {
                let value = format!("{} resolves to {} addresses", k.value.host, d.addresses.len());
                b.con(Strong, Seen::new("name resolution", value, "probe", k.as_of));
            }
        }
    }

    pub(super) fn dangling(&self, b: &mut Ballot) {
        for (k, at) in self.at_front() {
            let p = &k.value;
            if let Some(end) = chain_end(p) {
                let value = format!("{} leads to {end}, which does not exist", p.host);
                b.pro(Decisive, Seen::new("DNS records", value, "probe", k.as_of));
                continue;
            }
            let (Some(d), Some(lb), Some(t)) = (&p.dns, self.s.lb(), self.s.target.value()) else { continue };
            let direct = t.distribution.is_empty() && t.api.is_empty() && t.classic.is_empty();
            let Some(nodes) = lb.interfaces.get().filter(|n| direct && !n.value.is_empty()) else { continue };
            let ours: Vec<IpAddr> = nodes
                .value
                .iter()
                .flat_map(|i| i.public_addresses.iter().chain(&i.addresses))
                .copied()
                .collect();
            let theirs: Vec<IpAddr> = d.addresses.iter().filter_map(|a| a.parse().ok()).collect();
            // Another hop may stand in front by right: what answers says so.
            let through = p.exchanges.iter().any(|e| {
                at.contains(&e.address.as_str())
                    && (!e.who.through.is_empty() || !matches!(e.who.name.as_str(), "" | "nginx" | "apache"))
            });
            if theirs.is_empty() || ours.is_empty() || through {
                continue;
            }
            b.learned("addresses of the public name");
            let hit = theirs.iter().filter(|a| ours.contains(a)).count();
            if hit == 0 {
                let value = format!(
                    "{} resolves to {}, none of which is an address of the load balancer",
                    p.host,
                    d.addresses.first().map_or("", SafeText::as_str)
                );
                b.pro(Strong, Seen::new("addresses of the name", value, "probe", k.as_of));
            } else {
                let value = format!("{hit} of {} addresses are the load balancer's", theirs.len());
                b.con(Strong, Seen::new("addresses of the name", value, "probe", k.as_of));
            }
        }
    }

    pub(super) fn differing(&self, b: &mut Ballot) {
        for (k, _) in self.at_front() {
            for f in &k.value.faults {
                if matches!(f.id.as_str(), "dns-resolvers-differ" | "dns-local-override") {
                    b.pro(Weak, probe_said(k, f));
                }
            }
        }
    }

    // TLS.

    pub(super) fn certificate(&self, b: &mut Ballot) {
        for (k, t, _) in self.handshakes().filter(|(.., p)| *p == Place::Front) {
            match t.verified {
                Some(false) => {
                    // What depends on the roots of this machine is less certain.
                    let plain = ["expired", "not valid yet", "wrong name", "missing intermediate"];
                    let sure = plain.iter().any(|w| t.why.starts_with(w));
                    let weight = if sure { Decisive } else { Strong };
                    b.pro(weight, tls_seen(k, t, t.why.clone()));
                }
                Some(true) => b.con(Strong, tls_seen(k, t, "verifies")),
                None => {}
            }
        }
        for (k, _) in self.at_front() {
            for f in k.value.faults.iter().filter(|f| f.id == "plain-http-on-tls-port") {
                b.pro(Decisive, probe_said(k, f));
            }
        }
    }

    pub(super) fn handshake(&self, b: &mut Ballot) {
        for (k, t, _) in self.handshakes().filter(|(.., p)| *p == Place::Front) {
            if t.version.is_empty() {
                b.pro(Strong, tls_seen(k, t, t.why.clone()));
            } else {
                // What one client can do, older ones may not.
                b.con(Weak, tls_seen(k, t, t.version.clone()));
            }
        }
    }

    pub(super) fn target_tls(&self, b: &mut Ballot) {
        for (k, t, place) in self.handshakes() {
            let Place::Target { group, https: true } = place else { continue };
            // A load balancer does not verify what a target shows: only the
            // handshake counts (AWS docs: Application Load Balancer, target groups).
            if t.version.is_empty() {
                let value = format!("target of {group}: {}", t.why);
                b.pro(Decisive, tls_seen(k, t, value));
            } else {
                b.con(Weak, tls_seen(k, t, format!("target of {group}: {}", t.version)));
            }
        }
    }

    pub(super) fn protocol(&self, b: &mut Ballot) {
        for k in &self.probes {
            for f in k.value.faults.iter().filter(|f| f.id == "plain-http-on-tls-port") {
                let at = addresses(&k.value).find(|a| f.text.starts_with(a));
                if let Some(Place::Target { https: true, .. }) = at.and_then(|a| self.place(&k.value, a)) {
                    b.pro(Decisive, probe_said(k, f));
                }
            }
        }
        for (k, e, place) in self.exchanges() {
            let Place::Target { group, https: false } = place else { continue };
            b.learned("what the target port really answers");
            if let Some(f) = e.faults.iter().find(|f| f.id == "not-http") {
                b.pro(Strong, exchange_seen(k, e, format!("target of {group}: {}", f.text)));
            } else if e.status.is_some() {
                b.con(Strong, exchange_seen(k, e, format!("target of {group} answers over {}", e.protocol)));
            }
        }
        for h in self.targets().filter(|h| !h.h.listening.is_empty()) {
            if h.listeners().next().is_none() {
                let others = h.h.listening.iter().filter(|l| !l.is_loopback());
                let mut list: Vec<u16> = others.map(|l| l.port).filter(|p| *p != 22).collect();
                list.sort_unstable();
                list.dedup();
                if !list.is_empty() {
                    let list: Vec<String> = list.iter().take(6).map(u16::to_string).collect();
                    let value = format!("port {} is not among {}", numbers(&h.ports), list.join(", "));
                    b.pro(Weak, h.seen("listening ports", value));
                }
            }
        }
    }

    // Connections to targets.

    pub(super) fn refused(&self, b: &mut Ballot) {
        self.reach(b, Reach::Refused, Decisive);
        for h in self.targets().filter(|h| !h.h.listening.is_empty()) {
            let mut on = h.listeners().peekable();
            let value = format!("nothing listens on port {}", numbers(&h.ports));
            if on.peek().is_none() {
                b.pro(Decisive, h.seen("listening ports", value));
            } else if on.all(|l| l.is_loopback()) {
                let value = format!("port {} listens on loopback only", numbers(&h.ports));
                b.pro(Decisive, h.seen("listening ports", value));
            }
        }
        // Who listens everywhere, and does not start again and again, refuses nobody.
        let sound = |h: &&Stand<'_>| h.serves() && h.h.units.iter().all(|u| is_housekeeping(&u.name));
        if self.covered
            && self.targets().all(|h| sound(&h))
            && let Some(h) = self.targets().next()
        {
            b.con(
                self.against(b),
                h.seen("listening ports", format!("{} on every target", numbers(&h.ports))),
            );
        }
    }

    pub(super) fn silent(&self, b: &mut Ballot) {
        // A security group need not let in whoever probes.
        self.reach(b, Reach::TimedOut, Weak);
    }

    pub(super) fn reach(&self, b: &mut Ballot, outcome: Reach, weight: Weight) {
        for (k, c, place) in self.connects() {
            let Place::Target { group, .. } = place else { continue };
            let value = format!("target of {group}: {}", c.outcome.word());
            let seen = Seen::new(format!("connection to {}", c.address), value, "probe", k.as_of);
            if c.outcome == outcome {
                b.pro(weight, seen);
            } else if c.outcome == Reach::Open {
                b.con(Weak, seen);
            }
        }
    }

    // Answers of targets.

    pub(super) fn framing(&self, b: &mut Ballot, ids: &[&str]) {
        for (k, e, place) in self.exchanges() {
            // Behind a load balancer its own answer is sound: only the target's tells.
            let Place::Target { group, .. } = place else { continue };
            let mut sound = true;
            for f in e.faults.iter().filter(|f| ids.contains(&f.id.as_str())) {
                sound = false;
                b.pro(
                    if f.wrong { Decisive } else { Weak },
                    exchange_seen(k, e, format!("target of {group}: {}", f.text)),
                );
            }
            if sound && e.status.is_some() && e.failure.is_empty() {
                let value = format!("target of {group}: {} header bytes, sound framing", e.header_bytes);
                b.con(Weak, exchange_seen(k, e, value));
            }
        }
    }

    pub(super) fn slow(&self, b: &mut Ballot) {
        for (k, e, place) in self.exchanges() {
            let Place::Target { group, .. } = place else { continue };
            if e.failure.contains(" within ") && e.status.is_none() {
                b.pro(Strong, exchange_seen(k, e, format!("target of {group}: {}", e.failure)));
            } else if let Some(ms) = e.phases.first_byte_ms {
                b.con(Weak, exchange_seen(k, e, format!("target of {group}: first byte after {ms:.0} ms")));
            }
        }
    }

    pub(super) fn own_error(&self, b: &mut Ballot) {
        for (k, e, place) in self.exchanges() {
            let Place::Target { group, .. } = place else { continue };
            let Some(status) = e.status else { continue };
            let value = format!("target of {group} answers {status}");
            match status {
                500 | 501 | 505..=599 => b.pro(Strong, exchange_seen(k, e, value)),
                502..=504 => {}
                _ => b.con(Weak, exchange_seen(k, e, value)),
            }
        }
    }

    /// A gateway's answer that comes from a target, or that names its maker.
    pub(super) fn proxy(&self, b: &mut Ballot) {
        for (k, e, place) in self.exchanges() {
            let Some(status @ (502 | 504)) = e.status else { continue };
            let by = e.who.name.as_str();
            let value = format!("{status} made by {}", if by.is_empty() { "nobody known" } else { by });
            match place {
                Place::Target { .. } => b.pro(Decisive, exchange_seen(k, e, value)),
                Place::Front if matches!(by, "nginx" | "apache" | "haproxy" | "openresty" | "envoy") => {
                    b.pro(Strong, exchange_seen(k, e, value));
                }
                Place::Front if by == "alb" => b.con(Strong, exchange_seen(k, e, value)),
                _ => {}
            }
        }
    }

    pub(super) fn origin(&self, cause: &str, b: &mut Ballot) {
        for k in &self.probes {
            let p = &k.value;
            let of = addresses(p).next().map_or_else(|| self.place(p, ""), |a| self.place(p, a));
            if of != Some(Place::Origin) {
                continue;
            }
            for f in p.faults.iter().filter(|f| f.wrong) {
                let (of, weight) = match f.id.as_str() {
                    "dns-nxdomain" | "dns-servfail" | "dns-no-address" => ("cf-origin-dns-error", Decisive),
                    "tcp-refused" => ("cf-origin-connect-refused", Decisive),
                    // An origin may let in nobody but the edges.
                    "tcp-timed-out" | "tcp-unreachable" => ("cf-origin-unreachable-timeout", Weak),
                    "certificate-wrong-name" => ("cf-origin-tls-name-mismatch", Strong),
                    "plain-http-on-tls-port" => ("cf-origin-connect-refused", Weak),
                    x if x.starts_with("certificate-") => ("cf-origin-cert-invalid", Decisive),
                    x if MALFORMED.contains(&x) || LARGE.contains(&x) => ("cf-origin-bad-response", Strong),
                    _ => continue,
                };
                if of == cause {
                    b.pro(weight, probe_said(k, f));
                }
            }
            let sound = match cause {
                "cf-origin-dns-error" => p.dns.as_ref().is_some_and(|d| !d.addresses.is_empty()),
                "cf-origin-cert-invalid" | "cf-origin-tls-name-mismatch" => {
                    !p.tls.is_empty() && p.tls.iter().all(|t| t.verified == Some(true))
                }
                "cf-origin-connect-refused" => p.connects.iter().any(|c| c.outcome == Reach::Open),
                _ => false,
            };
            if sound {
                let value = "sound as seen from here";
                b.con(Weak, Seen::new(format!("probe of {}", p.url), value, "probe", k.as_of));
            }
        }
    }
}

/// The last name of a chain of records, where that name does not exist.
fn chain_end(p: &Probe) -> Option<&SafeText> {
    let answers = &p.dns.as_ref()?.answers;
    let gone =
        answers.iter().find(|a| a.code == "NXDOMAIN" && a.records.iter().any(|r| r.kind == "CNAME"))?;
    gone.records.iter().rev().find(|r| r.kind == "CNAME").map(|r| &r.value)
}

fn probe_said(k: &Known<Box<Probe>>, f: &Fault) -> Seen {
    Seen::new(format!("probe of {}", k.value.url), f.text.clone(), "probe", k.as_of)
}

fn tls_seen(k: &Known<Box<Probe>>, t: &Tls, value: impl Into<SafeText>) -> Seen {
    Seen::new(format!("TLS with {}", t.address), value, "probe", k.as_of)
}

fn exchange_seen(k: &Known<Box<Probe>>, e: &Exchange, value: impl Into<SafeText>) -> Seen {
    Seen::new(format!("answer of {}", e.address), value, "probe", k.as_of)
}
