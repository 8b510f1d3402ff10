//! What `badgate path` prints for people: 80 columns, no colour.

use super::check::wrap;
use crate::diagnosis::path::{Decision, PathReport, Stage};
use crate::situation::net::Protocol;

/// The evaluation of one path as text.
pub fn to_text(r: &PathReport) -> String {
    let protocol = match r.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp echo",
        Protocol::Icmpv6 => "icmpv6 echo",
        Protocol::All | Protocol::Other(_) => "any protocol",
    };
    let what = match r.port {
        Some(port) => format!("{protocol}/{port}"),
        None if matches!(r.protocol, Protocol::Tcp | Protocol::Udp) => format!("{protocol}, every port"),
        None => protocol.to_owned(),
    };
    let mut out = String::new();
    wrap(&mut out, "", 2, &format!("{} -> {}   {what}   {}", r.from, r.to, r.verdict.word()));
    wrap(&mut out, "  ", 2, &r.why());
    if let Some(share) = r.partial {
        wrap(&mut out, "  ", 2, &format!("{:.1} % of the connections get through", share * 100.0));
    }
    for (title, stages) in [("forward", &r.forward), ("return", &r.back)] {
        if !stages.is_empty() {
            out.push_str(&format!("\n{title}\n"));
            for s in stages {
                stage(&mut out, s);
            }
        }
    }
    if !r.unknown.is_empty() {
        out.push_str("\nnot known\n");
        for u in &r.unknown {
            wrap(&mut out, "  ? ", 4, &format!("{}: {}", u.what, u.reason.phrase()));
        }
    }
    out
}

fn stage(out: &mut String, s: &Stage) {
    let (sign, word) = match s.decision {
        Decision::Allow => ("+", "allow"),
        Decision::Deny => ("x", "deny"),
        Decision::Partial => ("!", "partly"),
        Decision::Unknown => ("?", "unknown"),
        Decision::NotApplicable => ("-", "n/a"),
    };
    wrap(out, &format!("  {sign} {word:<8}{:<15}", s.stage.words()), 27, &s.why);
}
