//! Step 7: what is recorded, and what is still to be done.

use super::logs::{LB_LOGS, unlogged};
use crate::procedure::desk::Desk;
use crate::situation::{Topic, short};
use crate::text::SafeText;

pub(super) fn incident(d: &mut Desk<'_>) {
    let (w, cx) = (d.w, d.cx);
    let Some(i) = cx.incident else {
        d.unknown(w.what_incident(), w.reason_no_incident());
        return;
    };
    if i.trouble.is_empty() {
        let opened = i.opened.map_or_else(|| "-".to_owned(), |t| d.clock(t));
        d.ok(w.incident_is(&i.file, opened, i.notes, i.marks, i.observations), &[]);
    } else {
        d.found(w.incident_trouble(&i.file, &i.trouble), &[]);
    }
    if i.notes == 0 {
        d.info(w.incident_no_notes(), &[]);
    }
    d.by_hand();
}

/// Which steps were run, how they ended, and which were left out.
pub(super) fn steps(d: &mut Desk<'_>) {
    let (w, cx) = (d.w, d.cx);
    let ran: Vec<String> =
        cx.ran.iter().filter(|(id, _)| *id < 7).map(|(id, st)| format!("{id}: {st}")).collect();
    if !ran.is_empty() {
        let mut text = ran;
        text.dedup();
        d.info(w.steps_ran(text.join(", ")), &[]);
    }
    let left: Vec<u8> = (0..7).filter(|id| !cx.ran.iter().any(|(r, _)| r == id)).collect();
    if left.is_empty() {
        d.ok(w.steps_all(), &[]);
    } else {
        let list: Vec<String> = left.iter().map(ToString::to_string).collect();
        d.found(w.steps_left(list.join(", ")), &[]);
    }
}

/// Logs that would have told, and were not kept.
pub(super) fn delivery(d: &mut Desk<'_>) {
    let w = d.w;
    if let Some((a, e)) = d.read_lb(|l| &l.attributes, Topic::LbAttributes) {
        for log in LB_LOGS {
            match a.iter().find(|(k, _)| k.as_str() == format!("{log}.s3.enabled")).map(|(_, v)| v.as_str()) {
                Some("true") => d.ok(w.delivery_on(log), std::slice::from_ref(&e)),
                Some(_) => d.found(w.delivery_off(log), std::slice::from_ref(&e)),
                None if log == "access_logs" => d.unknown(w.what_access_logs(), w.reason_not_told()),
                None => {}
            }
        }
    }
    let bare: Vec<(SafeText, SafeText)> =
        unlogged(d).into_iter().map(|(arn, c)| (arn.clone(), c.clone())).collect();
    for (definition, container) in bare {
        d.found(w.container_unlogged(container, short(&definition)), &[]);
    }
    // Delivery to CloudWatch Logs is set up elsewhere and shows in no attribute.
    d.by_hand();
}
