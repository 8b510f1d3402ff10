//! Step 2: what the logs say, and what no log says.

use crate::procedure::desk::Desk;
use crate::situation::log::{Level, TailMode};
use crate::situation::{Reason, Topic};
use crate::text::{SafeText, truncate_with};

/// Columns of a sample line.
const SAMPLE: usize = 140;

pub(super) fn sample(text: &str) -> SafeText {
    SafeText::from(truncate_with(text.trim(), SAMPLE, "...").to_string())
}

pub(super) fn groups(d: &mut Desk<'_>) {
    let (s, w) = (d.s, d.w);
    for (name, tail) in &s.tails {
        let Some((t, e)) = d.read(tail, &Topic::Tail(name.clone())) else { continue };
        let mode = match t.mode {
            TailMode::Live => w.tail_live(),
            TailMode::Sampled => w.tail_sampled(),
            TailMode::Polled => w.tail_polled(),
            TailMode::File => w.tail_file(),
        };
        d.info(w.logs_followed(name, mode), &[e]);
    }
    if s.tails.is_empty() {
        d.unknown(w.what_log_lines(), w.reason_no_log_group());
    }
    if let Some((all, e)) = d.read(&s.log_groups, &Topic::LogGroups) {
        let others: Vec<_> = all.iter().filter(|g| !s.tails.contains_key(&g.name)).map(|g| &g.name).collect();
        if !others.is_empty() {
            let list = d.list(others);
            d.info(w.logs_not_followed(list), &[e]);
        }
    }
}

/// True when a log is being read, so that silence means something.
fn reading(d: &mut Desk<'_>) -> bool {
    let (s, w) = (d.s, d.w);
    let any = s.tails.values().any(|t| t.value().is_some()) || !s.logs.is_empty();
    if !any {
        d.asked("logs:FilterLogEvents");
        let failed = s.tails.values().find_map(|t| t.why_unknown()).filter(|r| *r != Reason::NotAsked);
        match failed {
            Some(reason) => d.missing(w.what_log_lines(), &reason),
            None => d.unknown(w.what_log_lines(), w.reason_no_log_group()),
        }
    }
    any
}

pub(super) fn patterns(d: &mut Desk<'_>) {
    let (w, cx) = (d.w, d.cx);
    if !reading(d) {
        return;
    }
    let lines = d.lines().count();
    if lines == 0 {
        d.unknown(w.what_log_lines(), w.reason_silent(d.clock(cx.since)));
        return;
    }
    let groups = d.patterns.group(d.lines());
    if groups.is_empty() {
        d.ok(w.patterns_none(lines, d.clock(cx.since)), &[]);
    }
    for (p, g) in groups {
        let causes: Vec<&str> = p.causes.iter().map(SafeText::as_str).collect();
        let causes = if causes.is_empty() { "-".to_owned() } else { causes.join(", ") };
        let (first, last) = (d.clock(g.first), d.clock(g.last));
        let text = w.pattern(&p.server, g.count, first, last, causes, sample(&g.sample.line.text));
        let e = crate::procedure::Evidence {
            what: p.id.clone(),
            source: g.sample.line.group.clone(),
            at: g.last,
        };
        d.found(text, &[e]);
    }
    d.note_lines_left_out();
}

pub(super) fn lines(d: &mut Desk<'_>) {
    let (s, w, cx) = (d.s, d.w, d.cx);
    if reading(d) {
        let (mut all, mut errors, mut five) = (0, 0, 0);
        for h in d.lines() {
            all += 1;
            errors += usize::from(h.level == Level::Error);
            five += usize::from(h.status_5xx.is_some());
        }
        d.note_lines_left_out();
        if all > 0 {
            let counted = w.lines_counted(all, d.clock(cx.since), errors, five);
            // An error nobody has given a name to is an error all the same.
            if errors > 0 { d.found(counted, &[]) } else { d.info(counted, &[]) }
        } else {
            d.unknown(w.what_log_lines(), w.reason_silent(d.clock(cx.since)));
        }
        if s.logs.dropped() > 0 {
            d.unknown(w.what_older_lines(), w.reason_dropped(s.logs.dropped()));
        }
        for (name, tail) in &s.tails {
            if tail.value().is_some_and(|t| t.mode == TailMode::Sampled) {
                d.unknown(w.what_lines_of(name), w.reason_sampled());
            }
        }
    }
    for (definition, container) in unlogged(d) {
        d.found(w.container_unlogged(container, crate::situation::short(definition)), &[]);
    }
}

/// Containers whose output goes nowhere we can follow.
pub(super) fn unlogged<'a>(d: &Desk<'a>) -> Vec<(&'a SafeText, &'a SafeText)> {
    d.s.task_definitions
        .values()
        .filter_map(|t| t.value())
        .flat_map(|t| t.containers.iter().map(move |c| (&t.arn, c)))
        .filter(|(_, c)| c.log_driver.is_empty())
        .map(|(arn, c)| (arn, &c.name))
        .collect()
}

/// Logs a load balancer can write, by attribute prefix.
pub(super) const LB_LOGS: [&str; 3] = ["access_logs", "connection_logs", "health_check_logs"];

pub(super) fn balancer(d: &mut Desk<'_>) {
    let w = d.w;
    if let Some((a, e)) = d.read_lb(|l| &l.attributes, Topic::LbAttributes) {
        for log in LB_LOGS {
            let value =
                |tail: &str| a.iter().find(|(k, _)| k.as_str() == format!("{log}.s3.{tail}")).map(|(_, v)| v);
            match value("enabled").map(SafeText::as_str) {
                Some("true") => {
                    let bucket = value("bucket").cloned().unwrap_or_default();
                    let prefix = value("prefix").cloned().unwrap_or_default();
                    let place =
                        if prefix.is_empty() { bucket.to_string() } else { format!("{bucket}/{prefix}") };
                    d.info(w.lb_log_on(log, place), std::slice::from_ref(&e));
                }
                Some(_) => d.info(w.lb_log_off(log), std::slice::from_ref(&e)),
                None => {}
            }
        }
    }
    let bucket = d.s.lb().and_then(|l| l.attributes.value()).and_then(|a| {
        let on = a.iter().any(|(k, v)| k.as_str() == "access_logs.s3.enabled" && v.as_str() == "true");
        a.iter().find(|(k, _)| on && k.as_str() == "access_logs.s3.bucket").map(|(_, v)| format!("s3://{v}/"))
    });
    let list = crate::procedure::suspects::suspects(d.s);
    d.by_hand_for(
        |v| {
            v.set("log_bucket", bucket.as_deref().unwrap_or(""));
        },
        &list,
    );
}
