//! AWS X-Ray: summaries of the traces that failed. Source: AWS X-Ray API
//! reference, `GetTraceSummaries` (`EndTime` at most 6 hours after `StartTime`);
//! "Using filter expressions", AWS X-Ray developer guide.

use super::Pages;
use super::around::word;
use crate::situation::Reason;
use crate::situation::trace::{RootCause, RootKind, TraceKind, Traces};
use crate::sources::aws::client::Aws;
use crate::sources::aws::operations as op;
use crate::sources::aws::plain::Question;
use crate::text::SafeText;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A page holds as many summaries as the service likes; what is beyond so many
/// pages is said to be there and not read.
const PAGES: usize = 5;
/// Kinds kept; of each kind, names and ARNs; services on a way.
const KINDS: usize = 40;
const NAMES: usize = 24;
const WAY: usize = 8;
/// Root causes of one trace.
const ROOTS: usize = 4;
/// The API takes no longer stretch of time.
const LONGEST: SignedDuration = SignedDuration::from_hours(6);
/// 5xx anywhere, and what the caller got as 5xx though no service says so.
const FAILING: &str = "fault = true OR http.status >= 500";

/// Failing traces between two moments; of more than six hours, the last six.
pub async fn traces(aws: &Aws, from: Timestamp, to: Timestamp) -> Result<Traces, Reason> {
    let from = from.max(to.checked_sub(LONGEST).unwrap_or(from));
    let op = &op::GET_TRACE_SUMMARIES;
    let (mut pages, mut all, mut cut) = (Pages::default(), Gathered::default(), false);
    for n in 1..=PAGES {
        let body = pages
            .ask(aws, op, |c, token| {
                let mut body = json!({ "StartTime": from.as_second(), "EndTime": to.as_second(),
                    "FilterExpression": FAILING });
                if let Some(token) = token {
                    body["NextToken"] = token.into();
                }
                let q = Question {
                    method: "POST",
                    path: "/TraceSummaries".into(),
                    headers: vec![("content-type", "application/json".into())],
                    body: body.to_string(),
                    ..Question::default()
                };
                async move { c.plain(op, q).await }
            })
            .await?;
        let page: Value = super::json(&body)?;
        let list = page.get("TraceSummaries").and_then(Value::as_array);
        for t in list.ok_or_else(|| super::lacks("TraceSummaries"))? {
            all.take(t);
        }
        if !pages.advance(page.get("NextToken").and_then(Value::as_str).map(String::from))? {
            break;
        }
        cut = n == PAGES;
    }
    Ok(Traces { from: Some(from), to: Some(to), kinds: all.kinds(&mut cut), cut })
}

/// Traces that are alike: status, who took part, and why without the words of
/// each exception, which often hold ids.
type Key = (Option<u16>, Vec<SafeText>, Vec<(RootKind, Vec<SafeText>, SafeText, SafeText)>);

/// Adds another trace of a kind, which is shown as the newest of its traces was.
fn add(held: &mut TraceKind, mut one: TraceKind) {
    if held.last <= one.last {
        std::mem::swap(held, &mut one);
    }
    held.count += one.count;
    held.first = [held.first, one.first].into_iter().flatten().min();
    held.longest_s = held.longest_s.max(one.longest_s);
    held.throttled |= one.throttled;
    for r in one.resources {
        if held.resources.len() < NAMES && !held.resources.contains(&r) {
            held.resources.push(r);
        }
    }
}

#[derive(Default)]
struct Gathered(BTreeMap<Key, TraceKind>);

impl Gathered {
    fn take(&mut self, t: &Value) {
        let one = kind(t);
        let roots = one.roots.iter();
        let roots = roots.map(|r| (r.kind, r.way.clone(), r.entity.clone(), r.exception.clone())).collect();
        match self.0.entry((one.status, one.services.clone(), roots)) {
            Entry::Vacant(place) => {
                place.insert(one);
            }
            Entry::Occupied(mut held) => add(held.get_mut(), one),
        }
    }

    /// The most frequent; sets `cut` when some are left out.
    fn kinds(self, cut: &mut bool) -> Vec<TraceKind> {
        let mut all: Vec<TraceKind> = self.0.into_values().collect();
        // The order of the keys among those that are as frequent.
        all.sort_by_key(|k| std::cmp::Reverse(k.count));
        *cut |= all.len() > KINDS;
        all.truncate(KINDS);
        all
    }
}

fn list<'a>(v: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    v.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn yes(v: &Value, name: &str) -> bool {
    v.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// When a trace began: its id says it, `1-` and the seconds since 1970 in hex.
fn began(t: &Value, id: &str) -> Option<Timestamp> {
    super::around::moment(t.get("StartTime")).or_else(|| {
        let hex = id.split('-').nth(1)?;
        Timestamp::from_second(i64::from_str_radix(hex, 16).ok()?).ok()
    })
}

fn kind(t: &Value) -> TraceKind {
    let http = t.get("Http").unwrap_or(&Value::Null);
    let url = word(http, "HttpURL");
    let id = word(t, "Id");
    let began = began(t, &id);
    let mut services: Vec<SafeText> = list(t, "ServiceIds").map(|s| word(s, "Name")).collect();
    services.retain(|s| !s.is_empty());
    services.sort();
    services.dedup();
    services.truncate(NAMES);
    let arns = list(t, "ResourceARNs").map(|r| word(r, "ARN"));
    let resources = arns.chain(list(t, "InstanceIds").map(|i| word(i, "Id")));
    let causes = [
        ("FaultRootCauses", RootKind::Fault),
        ("ErrorRootCauses", RootKind::Error),
        ("ResponseTimeRootCauses", RootKind::Time),
    ];
    let roots = causes.into_iter().flat_map(|(name, kind)| list(t, name).map(move |c| root(kind, c)));
    let seconds = |name: &str| t.get(name).and_then(Value::as_f64).filter(|s| s.is_finite());
    TraceKind {
        count: 1,
        first: began,
        last: began,
        sample: id,
        url: url.split(['?', '#']).next().unwrap_or_default().into(),
        status: http.get("HttpStatus").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()),
        throttled: yes(t, "HasThrottle"),
        longest_s: seconds("ResponseTime").or_else(|| seconds("Duration")).unwrap_or(0.0),
        services,
        resources: resources.filter(|r| !r.is_empty()).take(NAMES).collect(),
        roots: roots.filter(|r| !r.way.is_empty()).take(ROOTS).collect(),
    }
}

fn root(kind: RootKind, c: &Value) -> RootCause {
    let all: Vec<&Value> = list(c, "Services").collect();
    let Some(last) = all.last() else { return RootCause { kind, ..RootCause::default() } };
    let parts: Vec<&Value> = list(last, "EntityPath").collect();
    // The exception nearest the end: what stands before it only passed it on.
    let of = |s: &'_ Value| -> Option<(SafeText, SafeText)> {
        let parts: Vec<&Value> = list(s, "EntityPath").collect();
        let told = parts.iter().rev().find_map(|e| list(e, "Exceptions").last())?;
        Some((word(told, "Name"), word(told, "Message")))
    };
    let (exception, message) = all.iter().rev().find_map(|s| of(s)).unwrap_or_default();
    RootCause {
        kind,
        // The end of a long way is what tells.
        way: all[all.len().saturating_sub(WAY)..].iter().map(|s| word(s, "Name")).collect(),
        service_type: word(last, "Type"),
        inferred: yes(last, "Inferred"),
        entity: parts.last().map(|e| word(e, "Name")).unwrap_or_default(),
        remote: parts.last().is_some_and(|e| yes(e, "Remote")),
        exception,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(id: &str, url: &str, message: &str) -> Value {
        json!({ "Id": id, "ResponseTime": 1.5, "HasFault": true,
            "Http": { "HttpURL": url, "HttpStatus": 500, "HttpMethod": "GET" },
            "ServiceIds": [{ "Name": "orders" }, { "Name": "db" }, { "Name": "orders" }],
            "InstanceIds": [{ "Id": "i-1" }],
            "FaultRootCauses": [{ "Services": [
                { "Name": "orders", "Type": "AWS::EC2::Instance", "EntityPath": [{ "Name": "orders",
                    "Exceptions": [{ "Name": "OperationalError", "Message": message }] }] },
                { "Name": "db", "Type": "Database::SQL", "Inferred": true, "EntityPath": [{ "Name": "db", "Remote": true }] }] }] })
    }

    #[test]
    fn traces_that_fail_alike_are_one_kind() {
        let mut all = Gathered::default();
        all.take(&trace("1-5759e988-a", "http://shop.example.com/cart?user=7", "refused (request 1)"));
        all.take(&trace("1-5759e998-b", "http://shop.example.com/pay?user=8", "refused (request 2)"));
        all.take(&json!({ "Id": "1-5759e990-c", "Http": { "HttpStatus": 502 } }));
        let mut cut = false;
        let kinds = all.kinds(&mut cut);
        assert!(!cut);
        assert_eq!(kinds.iter().map(|k| k.count).collect::<Vec<_>>(), [2, 1]);
        let k = &kinds[0];
        assert_eq!(k.url.as_str(), "http://shop.example.com/pay", "the newest, without its query");
        assert_eq!(
            (k.first, k.last),
            (Timestamp::from_second(0x5759_e988).ok(), Timestamp::from_second(0x5759_e998).ok())
        );
        assert_eq!(k.services, ["db", "orders"]);
        let r = &k.roots[0];
        assert!(r.inferred && r.remote);
        assert_eq!(r.phrase().as_str(), "orders > db (Database::SQL), OperationalError: refused (request 2)");
    }

    #[test]
    fn rubbish_is_no_cause() {
        for t in [
            json!({}),
            json!([]),
            json!({ "FaultRootCauses": [{ "Services": [] }, 7, null] }),
            json!({ "ServiceIds": "x" }),
        ] {
            let k = kind(&t);
            assert!(k.roots.is_empty() && k.services.is_empty() && k.status.is_none(), "{t}");
        }
    }

    #[test]
    fn a_flood_of_kinds_is_cut_and_says_so() {
        let mut all = Gathered::default();
        for n in 0..100 {
            all.take(&json!({ "ServiceIds": [{ "Name": format!("s{n}") }] }));
        }
        let mut cut = false;
        assert_eq!(all.kinds(&mut cut).len(), KINDS);
        assert!(cut);
    }
}
