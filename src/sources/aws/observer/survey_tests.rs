use super::*;
use crate::situation::elb::LoadBalancer;
use crate::situation::{Fact, Observation, Topic};
use jiff::Timestamp;

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc";

fn scope(profile: &str, region: &str) -> Scope {
    let some = |s: &str| Some(s.to_owned()).filter(|s| !s.is_empty());
    Scope { profile: some(profile), region: some(region) }
}

fn told(profile: &str, said: Said) -> Told {
    Told { scope: scope(profile, "eu-west-1"), aws: None, said, partial: Vec::new() }
}

fn lb(arn: &str) -> Said {
    let mut found = Found::default();
    found.target.lb = arn.into();
    found.lb = Some(LoadBalancer { arn: arn.into(), name: short(arn).into(), ..LoadBalancer::default() });
    Said::Found(Box::new(found))
}

fn denied() -> Reason {
    Reason::Denied { action: "elasticloadbalancing:DescribeLoadBalancers".into() }
}

fn hung() -> Reason {
    Reason::TimedOut { after_ms: 2000 }
}

fn missing(near: &str) -> Said {
    let near = if near.is_empty() { Vec::new() } else { vec![near.into()] };
    Said::Nothing(Missing { near, ..Missing::here("no load balancer is named shop".into()) })
}

/// A distribution that may not be read, or one that was.
fn distribution(read: bool, lb: &str) -> Said {
    let mut found = Found::default();
    found.target.distribution = "E1A2B3C4D5F6G7".into();
    found.target.lb = lb.into();
    let fact = if read { Fact::Distribution(Box::default()) } else { Fact::Unknown(denied()) };
    found.also.push(Observation {
        at: Timestamp::UNIX_EPOCH,
        source: "t".into(),
        topic: Topic::Distribution("E1A2B3C4D5F6G7".into()),
        fact,
        took_ms: 0,
    });
    Said::Found(Box::new(found))
}

#[test]
fn a_target_is_asked_for_where_it_can_be() {
    let all =
        [scope("a", "eu-west-1"), scope("a", "us-east-1"), scope("b", "eu-west-1"), scope("b", "us-east-1")];
    assert_eq!(scopes(&all, None, false), all);
    assert_eq!(scopes(&all, Some("ap-south-1"), false), [scope("a", "ap-south-1"), scope("b", "ap-south-1")]);
    assert_eq!(scopes(&all, None, true), [scope("a", "eu-west-1"), scope("b", "eu-west-1")]);
    let own = [scope("a", ""), scope("b", "")];
    assert_eq!(scopes(&own, None, false), own);
    assert_eq!(account_of(ARN), Some("123456789012"));
    assert_eq!(account_of("arn:aws:s3:::bucket"), None);
    assert_eq!(account_of("shop"), None);
}

#[test]
fn the_same_thing_found_twice_counts_once_and_the_first_place_has_it() {
    let mut all = [told("a", missing("")), told("b", lb(ARN)), told("c", lb(ARN))];
    assert!(matches!(judge("shop", &mut all), Verdict::One(1)));
    // Whoever knows what stands in front of it knows more.
    let mut all = [told("a", lb(ARN)), told("b", distribution(true, ARN))];
    assert!(matches!(judge("shop.example.com", &mut all), Verdict::One(1)));
}

#[test]
fn two_things_are_a_persons_choice_each_with_its_place() {
    let other = ARN.replace("123456789012", "999999999999");
    let mut all = [told("a", lb(ARN)), told("b", lb(&other)), told("c", Said::Failed(hung()))];
    let Verdict::Several(list) = judge("shop", &mut all) else { panic!("{all:?}") };
    let shown: Vec<(&str, &str)> = list.iter().map(|c| (c.arn.as_str(), c.place.as_str())).collect();
    assert_eq!(shown, [(ARN, "a/eu-west-1"), (other.as_str(), "b/eu-west-1")]);
}

#[test]
fn what_may_not_be_read_here_was_read_elsewhere() {
    let mut all = [told("a", distribution(false, "")), told("b", distribution(true, ""))];
    assert!(matches!(judge("E1A2B3C4D5F6G7", &mut all), Verdict::One(1)));
    assert_eq!(all[0].failure(), Some(&denied()));
    // With nobody to say better, its id is good enough to go on with.
    let mut all = [told("a", missing("")), told("b", distribution(false, ""))];
    assert!(matches!(judge("E1A2B3C4D5F6G7", &mut all), Verdict::One(1)));
}

#[test]
fn nowhere_is_one_line_with_every_place_and_why_some_did_not_say() {
    let mut all =
        [told("a", missing("shop-2")), told("b", missing("shop-2")), told("c", Said::Failed(denied()))];
    let Verdict::Nowhere(line) = judge("shop", &mut all) else { panic!("{all:?}") };
    assert!(
        line.starts_with(
            "no load balancer is named shop in 2 places: a/eu-west-1, b/eu-west-1; nearest: shop-2;"
        ),
        "{line}"
    );
    assert!(
        line.contains("not answered by c/eu-west-1 (") && line.contains("DescribeLoadBalancers"),
        "{line}"
    );
    assert!(line.ends_with("elsewhere: --region or --profile") && !line.contains('\n'), "{line}");
    let dns = Said::Nothing(Missing::told("shop.example.com is not there".into()));
    let mut all = [told("a", dns.clone()), told("b", dns)];
    let Verdict::Nowhere(line) = judge("shop.example.com", &mut all) else { panic!("{all:?}") };
    assert_eq!(line, "shop.example.com is not there", "what is so anywhere needs no places");
}

#[test]
fn when_nobody_answers_what_may_pass_is_the_reason_to_try_again() {
    let mut all = [told("a", Said::Failed(denied())), told("b", Said::Failed(hung()))];
    let Verdict::Lost(why, line) = judge("shop", &mut all) else { panic!("{all:?}") };
    assert_eq!(why, hung());
    assert!(line.contains("a/eu-west-1 (") && line.contains("b/eu-west-1 ("), "{line}");
    let mut all = [told("a", Said::Failed(hung())), told("b", Said::Failed(hung()))];
    let Verdict::Lost(_, line) = judge("shop", &mut all) else { panic!("{all:?}") };
    assert!(
        line.starts_with("shop cannot be looked up: a/eu-west-1, b/eu-west-1 ("),
        "the same is said once: {line}"
    );
}

#[test]
fn a_list_has_each_thing_once_and_the_most_failing_first() {
    let c = |name: &str, place: &str, errors| Candidate {
        name: name.into(),
        place: place.into(),
        errors,
        ..from_arn(&format!("arn:{name}").into(), &"r".into())
    };
    let all = vec![
        c("calm", "a", Some(0.0)),
        c("loud", "b", Some(9.0)),
        c("calm", "b", Some(0.0)),
        c("new", "b", None),
    ];
    let list = once(all.into_iter());
    let shown: Vec<(&str, &str)> = list.iter().map(|c| (c.name.as_str(), c.place.as_str())).collect();
    assert_eq!(shown, [("loud", "b"), ("calm", "a"), ("new", "b")]);
}

#[test]
fn what_was_listed_before_a_place_failed_can_still_be_chosen() {
    let mut half = told("a", Said::Failed(hung()));
    half.partial = vec![from_arn(&ARN.into(), &"eu-west-1".into())];
    let mut all = [half, told("b", missing(""))];
    let Verdict::Several(list) = judge("", &mut all) else { panic!("{all:?}") };
    assert_eq!(list.len(), 1);
    assert_eq!(all[0].failure(), Some(&hung()), "and that it failed is still told");
}

#[test]
fn the_limit_leaves_time_to_tell() {
    let with = |s| limit(&Options { call_timeout: Some(Duration::from_secs(s)), ..Options::default() });
    assert_eq!(with(5), Duration::from_secs(3));
    assert_eq!(with(300), LIMIT);
    assert_eq!(limit(&Options::default()), LIMIT);
}
