//! Step 6: watching it happen.

use crate::procedure::desk::Desk;
use crate::situation::Topic;
use crate::situation::log::TailMode;

pub(super) fn tail(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    if s.tails.is_empty() {
        d.asked("logs:StartLiveTail");
        d.unknown(w.what_live_tail(), w.reason_no_log_group());
    }
    for (name, tail) in &s.tails {
        let Some((t, e)) = d.read(tail, &Topic::Tail(name.clone())) else { continue };
        let newest = s.logs.iter().rev().find(|h| h.line.group == *name).map(|h| d.clock(h.line.at));
        let newest = newest.unwrap_or_else(|| "-".to_owned());
        match t.mode {
            TailMode::Live => d.ok(w.tail_is_live(name, newest), &[e]),
            TailMode::File => d.ok(w.tail_is_file(name, newest), &[e]),
            TailMode::Sampled => d.found(w.tail_is_sampled(name, newest), &[e]),
            TailMode::Polled => {
                let why = if t.note.is_empty() { "-" } else { t.note.as_str() };
                d.info(w.tail_is_polled(name, newest, why), &[e]);
            }
        }
    }
    let group = s
        .tails
        .keys()
        .next()
        .cloned()
        .or_else(|| s.log_groups.value().and_then(|g| g.first()).map(|g| g.name.clone()));
    let list = crate::procedure::suspects::suspects(s);
    d.by_hand_for(
        |v| {
            v.set("log_group", group.as_deref().unwrap_or(""));
        },
        &list,
    );
}

pub(super) fn tls(d: &mut Desk<'_>) {
    let w = d.w;
    let listeners = d.read_lb(|l| &l.listeners, Topic::Listeners);
    let groups = d.groups();
    let at_target =
        groups.iter().any(|(_, g)| g.group.as_ref().is_some_and(|g| g.protocol.as_str() == "HTTPS"));
    if let Some((listeners, e)) = listeners
        && !listeners.iter().any(|l| l.protocol.as_str() == "HTTPS")
        && !at_target
    {
        d.info(w.tls_none(), &[e]);
        return;
    }
    d.by_hand();
}
