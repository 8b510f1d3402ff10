//! Which log groups are found, and what is said when they cannot be.

use crate::support::Lab;
use crate::{aws, runtime, unknown};
use badgate::situation::log::{GroupOrigin, LogGroup};
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::Options;
use badgate::sources::aws::logs::{Clues, groups};
use serde_json::json;

fn clues(named: &[&str], words: &[&str]) -> Clues {
    Clues {
        named: named.iter().map(|n| ((*n).into(), GroupOrigin::Option)).collect(),
        words: words.iter().map(ToString::to_string).collect(),
    }
}

fn ask(lab: &Lab, clues: &Clues) -> Vec<Observation> {
    runtime().block_on(async { groups::ask(&aws(lab, Options::default()).await, clues).await })
}

fn listed(all: &[Observation]) -> Vec<(&str, GroupOrigin)> {
    let list: &[LogGroup] = all
        .iter()
        .find_map(|o| if let Fact::LogGroups(g) = &o.fact { Some(g.as_slice()) } else { None })
        .unwrap_or_default();
    list.iter().map(|g| (g.name.as_str(), g.origin)).collect()
}

#[test]
fn names_that_match_are_found_among_all_groups() {
    let lab = Lab::start("ec2-by-name");
    let want = [("/ec2/api", GroupOrigin::NameMatch), ("/ec2/api/access", GroupOrigin::NameMatch)];
    let all = ask(&lab, &clues(&[], &["api"]));
    assert_eq!(listed(&all), want);
    assert_eq!(lab.calls().len(), 1, "an account with few groups tells all at once");
    assert_eq!(unknown(&all), "");

    // With more groups than a page holds, only what is looked for is asked.
    lab.paging(1, "DescribeLogGroups");
    let all = ask(&lab, &clues(&["/ec2/billing"], &["api"]));
    assert_eq!(listed(&all)[0], ("/ec2/billing", GroupOrigin::Option));
    assert_eq!(listed(&all)[1..], want);
}

#[test]
fn a_named_group_that_does_not_exist_is_said_to_be_missing() {
    for page in [0, 1] {
        let lab = Lab::start("shop");
        lab.paging(page, "DescribeLogGroups");
        let all = ask(&lab, &clues(&["/app/shop", "/app/sho", "/gone"], &[]));
        assert_eq!(listed(&all), [("/app/shop", GroupOrigin::Option)]);
        let missing: Vec<&Topic> =
            all.iter().filter(|o| matches!(o.fact, Fact::Unknown(_))).map(|o| &o.topic).collect();
        assert_eq!(missing, [&Topic::Tail("/app/sho".into()), &Topic::Tail("/gone".into())]);
        assert_eq!(unknown(&all), "not found: log group /app/sho in us-east-1");
    }
}

#[test]
fn without_permission_the_named_groups_stay_and_the_gap_is_named() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "DescribeLogGroups", "kind": "denied" }));
    let all = ask(&lab, &clues(&["/app/shop"], &["shop"]));
    assert_eq!(listed(&all), [("/app/shop", GroupOrigin::Option)]);
    assert_eq!(unknown(&all), "access denied: needs logs:DescribeLogGroups");
    let all = ask(&lab, &clues(&[], &["shop"]));
    assert_eq!(all.len(), 1, "no list is no empty list");
}

#[test]
fn half_an_answer_is_no_empty_list() {
    let lab = Lab::start("shop");
    for fault in [
        json!({ "truncate": true }),
        json!({ "drop": "mid" }),
        json!({ "canned": "", "ctype": "application/x-amz-json-1.1" }),
    ] {
        let mut doc = fault.clone();
        doc["op"] = json!("DescribeLogGroups");
        lab.fault(&doc);
        let all = ask(&lab, &clues(&[], &["shop"]));
        assert!(listed(&all).is_empty() && !unknown(&all).is_empty(), "{fault}");
        lab.clear_faults();
    }
}
