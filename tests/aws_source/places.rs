//! Several profiles and regions at once.

use super::program::{document, env, line, only_file, run_with, stdout};
use super::support::{Lab, Pty};
use super::{Watcher, live, once};
use badgate::situation::{Fact, Reason, Topic};
use badgate::sources::{Command, Options, Scope};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

pub const NEAR: &str = "us-east-1";
const FAR: &str = "eu-west-1";
/// The account of the emulator's worlds.
const WORLD: &str = "LABWORLD";
pub const ONE: &str = "111111111111";
pub const TWO: &str = "222222222222";

fn in_both(options: Options) -> Options {
    let place = |region: &str| Scope { profile: None, region: Some(region.into()) };
    Options { places: vec![place(NEAR), place(FAR)], ..options }
}

/// A load balancer with nothing behind it; its ARN and DNS name.
pub fn balancer(lab: &Lab, at: (&str, &str), name: &str) -> (String, String) {
    let all = lab.aws_in(at, "ec2", "describe_subnets", &json!({}));
    let ids: Vec<&Value> =
        all["Subnets"].as_array().unwrap().iter().take(2).map(|s| &s["SubnetId"]).collect();
    let made = lab.aws_in(at, "elbv2", "create_load_balancer", &json!({ "Name": name, "Subnets": ids }));
    let lb = &made["LoadBalancers"][0];
    let text = |key: &str| lb[key].as_str().unwrap().to_owned();
    (text("LoadBalancerArn"), text("DNSName"))
}

fn place_gap(w: &Watcher, name: &str) -> Option<Reason> {
    w.gap(|t| *t == Topic::Place(name.into())).map(|g| g.reason)
}

fn opened(w: &Watcher) -> Option<String> {
    w.s.target.value().map(|t| t.lb.to_string())
}

#[test]
fn what_is_in_the_second_region_is_found_and_observed_there() {
    let lab = Lab::start("shop");
    let (arn, _) = balancer(&lab, (FAR, WORLD), "far-alb");
    let mut w = Watcher::open(&lab, "far-alb", in_both(live()));
    assert_eq!(w.until("the target", opened), arn);
    assert_eq!(w.places, [(String::new(), FAR.to_owned())]);
    w.until("the identity", |w| w.s.identity.value().filter(|i| i.region.as_str() == FAR).map(|_| ()));
    w.until("listeners", |w| w.s.lb().and_then(|l| l.listeners.value()).map(|_| ()));
    let asked =
        |op: &str| lab.calls().into_iter().filter(|c| c.op == op).map(|c| c.region).collect::<Vec<_>>();
    assert!(asked("DescribeListeners").iter().all(|r| r == FAR), "{:?}", asked("DescribeListeners"));
    // Where it was looked for is known, and nothing about it is open.
    let seen: Vec<(&str, bool)> =
        w.s.places.iter().map(|(n, d)| (n.as_str(), d.value().is_some_and(|p| p.opened))).collect();
    assert_eq!(seen, [("default/eu-west-1", true), ("default/us-east-1", false)]);
    assert!(w.failed().all(|(t, _)| !matches!(t, Topic::Place(_))));
}

#[test]
fn what_is_in_both_is_chosen_and_opened_in_its_place() {
    let lab = Lab::start("shop");
    let (far, _) = balancer(&lab, (FAR, WORLD), "shop-alb");
    let mut w = Watcher::open(&lab, "shop-alb", in_both(live()));
    let list = w.until("candidates", |w| w.candidates.clone().filter(|(_, more)| !more)).0;
    let mut shown: Vec<(String, String)> =
        list.iter().map(|c| (c.place.to_string(), c.name.to_string())).collect();
    shown.sort();
    let both = [("default/eu-west-1", "shop-alb"), ("default/us-east-1", "shop-alb")];
    assert_eq!(shown, both.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(opened(&w).is_none() && w.places.is_empty(), "nothing is opened for a person");
    lab.clear_calls();
    w.send(Command::Choose(far.as_str().into()));
    assert_eq!(w.until("the chosen one", opened), far);
    w.until("listeners", |w| w.s.lb().and_then(|l| l.listeners.value()).map(|_| ()));
    assert_eq!(w.places, [(String::new(), FAR.to_owned())]);
    let elb: Vec<String> =
        lab.calls().into_iter().filter(|c| c.service == "elbv2").map(|c| c.region).collect();
    assert!(!elb.is_empty() && elb.iter().all(|r| r == FAR), "{elb:?}");
    // The other one of the list can still be had.
    let near = list.iter().find(|c| c.arn.as_str() != far).unwrap().arn.clone();
    w.send(Command::Choose(near.clone()));
    w.until("the other one", |w| opened(w).filter(|arn| *arn == near.as_str()));
    assert_eq!(w.places.last(), Some(&(String::new(), NEAR.to_owned())));
}

#[test]
fn a_place_that_fails_is_told_of_while_another_is_opened_and_heals() {
    for (fault, word) in [
        (json!({ "kind": "denied", "svc": "elbv2|sts", "region": FAR }), "denied"),
        (json!({ "kind": "expired", "region": FAR }), "expired"),
        (json!({ "hang": true, "region": FAR }), "hung"),
        (json!({ "kind": "throttle", "svc": "elbv2", "region": FAR }), "throttled"),
    ] {
        let lab = Lab::start("shop");
        lab.fault(&fault);
        let began = Instant::now();
        let mut w = Watcher::open(&lab, "shop-alb", in_both(live()));
        w.until("the target", opened);
        assert!(began.elapsed() < Duration::from_secs(12), "{word}: one place holds up another");
        let why = w.until(word, |w| place_gap(w, "default/eu-west-1"));
        let fits = match word {
            "denied" => matches!(why, Reason::Denied { .. }),
            "expired" => matches!(why, Reason::Credentials { .. }),
            "hung" => matches!(why, Reason::TimedOut { .. }),
            _ => matches!(why, Reason::Throttled { .. } | Reason::TimedOut { .. }),
        };
        assert!(fits, "{word}: {why:?}");
        assert!(place_gap(&w, "default/us-east-1").is_none());
        lab.clear_faults();
        // Where a family of calls is backing off, one answer may still be refused.
        let mut tries = 0;
        while place_gap(&w, "default/eu-west-1").is_some() {
            tries += 1;
            assert!(tries < 20, "{word}: it does not heal: {:?}", w.s.gaps);
            w.send(Command::ReloadCredentials);
            w.during(Duration::from_millis(700));
        }
        assert_eq!(w.places.len(), 1, "{word}: what is open stays open");
    }
}

#[test]
fn what_turns_up_in_a_place_that_failed_is_told_and_not_forced_on_anybody() {
    let lab = Lab::start("shop");
    let (far, _) = balancer(&lab, (FAR, WORLD), "shop-alb");
    lab.fault(&json!({ "kind": "denied", "svc": "elbv2", "region": FAR }));
    let mut w = Watcher::open(&lab, "shop-alb", in_both(live()));
    let near = w.until("the target", opened);
    w.until("the gap", |w| place_gap(w, "default/eu-west-1"));
    lab.clear_faults();
    w.send(Command::ReloadCredentials);
    let told = w.until("a line", |w| w.under.last().cloned());
    assert!(told.contains("shop-alb is in default/eu-west-1 too") && told.contains(&far), "{told}");
    assert_eq!(opened(&w), Some(near));
    w.send(Command::Choose(far.as_str().into()));
    w.until("the other one", |w| opened(w).filter(|arn| *arn == far));
}

#[test]
fn nowhere_is_one_line_that_names_the_places_and_who_did_not_answer() {
    let lab = Lab::start("shop");
    let mut w = Watcher::open(&lab, "shop-abl", in_both(once()));
    let told = w.until("a line", |w| w.no_target.first().cloned());
    for part in ["shop-abl", "in 2 places: default/us-east-1, default/eu-west-1", "nearest: shop-alb"] {
        assert!(told.contains(part), "{told} lacks {part}");
    }
    lab.fault(&json!({ "kind": "denied", "svc": "elbv2", "region": FAR }));
    let mut w = Watcher::open(&lab, "shop-abl", in_both(once()));
    let told = w.until("a line", |w| w.no_target.first().cloned());
    assert!(
        told.contains("not answered by default/eu-west-1 (") && told.contains("in default/us-east-1"),
        "{told}"
    );
}

#[test]
fn what_passes_in_every_place_is_tried_again_until_it_has_passed() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "kind": "unavailable" }));
    let mut w = Watcher::open(&lab, "shop-alb", in_both(live()));
    w.until("both gaps", |w| {
        (place_gap(w, "default/us-east-1").is_some() && place_gap(w, "default/eu-west-1").is_some())
            .then_some(())
    });
    lab.clear_faults();
    w.until("the target", opened);
    w.until("no gap", |w| {
        w.failed().all(|(t, _)| !matches!(t, Topic::Place(_) | Topic::Target)).then_some(())
    });
}

#[test]
fn a_target_that_names_its_region_is_asked_for_only_there() {
    let lab = Lab::start("shop");
    let (arn, dns) = balancer(&lab, (FAR, WORLD), "far-alb");
    for target in [&arn, &dns] {
        lab.clear_calls();
        let mut w = Watcher::open(&lab, target, in_both(live()));
        assert_eq!(w.until(target, opened), arn);
        let regions: Vec<String> =
            lab.calls().into_iter().filter(|c| c.service == "elbv2").map(|c| c.region).collect();
        assert!(regions.iter().all(|r| r == FAR), "{target}: {regions:?}");
    }
}

#[test]
fn without_a_target_the_list_is_that_of_all_places_and_shows_while_it_grows() {
    let lab = Lab::start("shop");
    let (far, _) = balancer(&lab, (FAR, WORLD), "far-alb");
    lab.fault(&json!({ "op": "DescribeLoadBalancers", "svc": "elbv2", "region": FAR, "delay": 1.5 }));
    let mut w = Watcher::open(&lab, "", in_both(live()));
    let part = w.until("a first list", |w| w.candidates.clone());
    assert!(part.1 && part.0.iter().all(|c| c.place.as_str() == "default/us-east-1"), "{part:?}");
    let list = w.until("the whole list", |w| w.candidates.clone().filter(|(_, more)| !more)).0;
    assert!(
        list.iter().any(|c| c.arn.as_str() == far && c.place.as_str() == "default/eu-west-1"),
        "{list:?}"
    );
    assert!(list.iter().any(|c| c.place.as_str() == "default/us-east-1"), "{list:?}");
    w.send(Command::Choose(far.as_str().into()));
    assert_eq!(w.until("the chosen one", opened), far);
}

// -- the program, with profiles

/// An environment with the profiles `one` and `two`, each of an account.
pub fn two_accounts(lab: &Lab, home: &Path) -> Vec<(String, String)> {
    let profile = |name: &str, account: &str| {
        let key = Lab::key_of(account);
        format!("[profile {name}]\nregion = {NEAR}\naws_access_key_id = {key}\naws_secret_access_key = x\n")
    };
    let file = home.join("aws-config");
    std::fs::write(&file, profile("one", ONE) + &profile("two", TWO)).unwrap();
    std::fs::create_dir_all(home.join("badgate")).unwrap();
    let style = "[profile.two]\nlabel = \"SHOP-PROD\"\ntint = \"red\"\n[profile.one]\nlabel = \"STAGE\"\n";
    std::fs::write(home.join("badgate/config.toml"), style).unwrap();
    let own = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_CONFIG_FILE"];
    let mut env = env(lab, home);
    env.retain(|(k, _)| !own.contains(&k.as_str()));
    env.push(("AWS_CONFIG_FILE".into(), file.display().to_string()));
    env
}

pub const BOTH: [&str; 4] = ["--profile", "one", "--profile", "two"];

#[test]
fn check_finds_what_is_in_the_second_account_and_names_the_first_when_it_fails() {
    let lab = Lab::start("empty");
    let home = tempfile::tempdir().unwrap();
    let env = two_accounts(&lab, home.path());
    let (arn, _) = balancer(&lab, (NEAR, TWO), "inner-alb");
    let check = |target: &str| run_with(&[&["check", target, "--json"][..], &BOTH[..]].concat(), env.clone());
    let doc = document(&check("inner-alb"));
    let hops = doc["situation"]["hops"].to_string();
    assert!(hops.contains("inner-alb"), "{doc:#}");
    let searches = |doc: &Value| {
        let all = doc["situation"]["unknown"].as_array().unwrap().clone();
        all.into_iter().filter(|u| u["what"].as_str().unwrap().starts_with("search of")).collect::<Vec<_>>()
    };
    assert!(searches(&doc).is_empty(), "{doc:#}");
    let owner =
        |op: &str| lab.calls().into_iter().filter(|c| c.op == op).map(|c| c.access_key).collect::<Vec<_>>();
    assert!(!owner("DescribeListeners").is_empty());
    assert!(owner("DescribeListeners").iter().all(|k| *k == Lab::key_of(TWO)));

    // Its ARN names the account: the other profile is not asked for it.
    lab.clear_calls();
    assert!(document(&check(&arn))["situation"]["hops"].to_string().contains("inner-alb"));
    let elb: Vec<_> =
        lab.calls().into_iter().filter(|c| c.service == "elbv2").map(|c| c.access_key).collect();
    assert!(!elb.is_empty() && elb.iter().all(|k| *k == Lab::key_of(TWO)), "{elb:?}");

    lab.fault(&json!({ "kind": "expired", "key": Lab::key_of(ONE) }));
    let doc = document(&check("inner-alb"));
    assert!(doc["situation"]["hops"].to_string().contains("inner-alb"), "{doc:#}");
    let told = searches(&doc);
    assert_eq!(told.len(), 1, "{doc:#}");
    assert_eq!(told[0]["what"], "search of one");
    assert!(told[0]["reason"].as_str().unwrap().contains("expired"), "{doc:#}");

    // In neither, and one of them cannot say.
    let out = check("outer-alb");
    assert_eq!(out.status.code(), Some(3));
    let told = line(&out);
    assert!(told.contains("outer-alb in two") && told.contains("not answered by one ("), "{told}");
    lab.clear_faults();

    // In both: which one is a person's choice.
    balancer(&lab, (NEAR, ONE), "inner-alb");
    let out = check("inner-alb");
    assert_eq!(out.status.code(), Some(2), "{}", stdout(&out));
    let told = line(&out);
    for part in ["inner-alb in one", "inner-alb in two", "--profile"] {
        assert!(told.contains(part), "{told} lacks {part}");
    }
}

#[test]
fn an_origin_in_another_account_is_observed_there_and_the_distribution_in_its_own() {
    let lab = Lab::start("empty");
    let home = tempfile::tempdir().unwrap();
    let env = two_accounts(&lab, home.path());
    let (_, dns) = balancer(&lab, (NEAR, TWO), "inner-alb");
    let origin = json!({ "Id": "alb", "DomainName": dns, "CustomOriginConfig": {
        "HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only" } });
    let behavior = json!({ "TargetOriginId": "alb", "ViewerProtocolPolicy": "allow-all",
        "ForwardedValues": { "QueryString": false, "Cookies": { "Forward": "none" } }, "MinTTL": 0 });
    let made = lab.aws_in(
        (NEAR, ONE),
        "cloudfront",
        "create_distribution",
        &json!({ "DistributionConfig": {
        "CallerReference": "c", "Comment": "", "Enabled": true,
        "Origins": { "Quantity": 1, "Items": [origin] }, "DefaultCacheBehavior": behavior } }),
    );
    let id = made["Distribution"]["Id"].as_str().unwrap().to_owned();

    let out =
        run_with(&[&["check", id.as_str(), "--json", "--no-probe"][..], &BOTH[..]].concat(), env.clone());
    let doc = document(&out);
    let hops = doc["situation"]["hops"].to_string();
    assert!(hops.contains(&id) && hops.contains("inner-alb"), "{doc:#}");
    let calls = lab.calls();
    let keys =
        |op: &str| calls.iter().filter(|c| c.op == op).map(|c| c.access_key.clone()).collect::<Vec<_>>();
    assert!(
        !keys("DescribeListeners").is_empty()
            && keys("DescribeListeners").iter().all(|k| *k == Lab::key_of(TWO))
    );
    // The metrics of each are in its own account.
    let metrics = keys("GetMetricData");
    assert!(metrics.contains(&Lab::key_of(ONE)) && metrics.contains(&Lab::key_of(TWO)), "{metrics:?}");
    // Once it was found, nobody but its owner is asked for the distribution.
    let found =
        calls.iter().filter(|c| c.op == "DescribeListeners").map(|c| c.at_ms).fold(f64::MAX, f64::min);
    let later = calls.iter().filter(|c| c.service == "cloudfront" && c.at_ms > found);
    assert!(later.clone().all(|c| c.access_key == Lab::key_of(ONE)), "{:?}", later.collect::<Vec<_>>());

    // With the one profile there is the distribution, and no more.
    let out = run_with(&["check", &id, "--json", "--no-probe", "--profile", "one"], env);
    let hops = document(&out)["situation"]["hops"].to_string();
    assert!(hops.contains(&id) && !hops.contains("arn:"), "{hops}");
}

#[test]
fn the_console_says_whose_it_is_and_never_before_it_knows() {
    let lab = Lab::start("empty");
    let home = tempfile::tempdir().unwrap();
    let env = two_accounts(&lab, home.path());
    balancer(&lab, (NEAR, ONE), "inner-alb");
    let (arn, _) = balancer(&lab, (NEAR, TWO), "inner-alb");
    let mut pty = Pty::badgate(&[&["open", "inner-alb"][..], &BOTH[..]].concat(), &env, 120, 40);
    pty.wait_for_text("inner-alb fits 2; which one?");
    let screen = pty.dump();
    assert!(screen.contains("one/us-east-1") && screen.contains("two/us-east-1"), "{screen}");
    assert!(!screen.contains("SHOP-PROD") && !screen.contains("STAGE"), "{screen}");
    pty.send("two");
    pty.send("\r");
    pty.wait_for_text("SHOP-PROD");
    pty.wait_for_text("two 2222");
    let screen = pty.dump();
    assert!(!screen.contains("STAGE"), "{screen}");
    pty.send("q");
    assert!(pty.wait_exit().success());

    // What was opened, and where, is in the incident file.
    let text = std::fs::read_to_string(only_file(home.path())).unwrap();
    let rows: Vec<Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let place =
        rows.iter().rev().find(|r| r.to_string().contains("\"place\"") && r.to_string().contains(&arn));
    let place = place.unwrap_or_else(|| panic!("{text}"));
    assert_eq!(place["data"]["data"]["opened"], true, "{place}");
    assert_eq!(place["data"]["data"]["profile"], "two", "{place}");
}

#[test]
fn a_place_in_an_incident_file_is_read_back() {
    let text = r#"{"at":"2026-11-22T01:40:00Z","source":"search","topic":"place","of":"two/eu-west-1",
        "fact":"place","data":{"profile":"two","region":"eu-west-1","found":["arn:x"],"opened":true}}"#;
    let o: badgate::situation::Observation = serde_json::from_str(text).unwrap();
    assert!(matches!(&o.fact, Fact::Place(p) if p.opened && p.found.len() == 1), "{o:?}");
    let again = serde_json::to_string(&o).unwrap();
    assert_eq!(serde_json::from_str::<badgate::situation::Observation>(&again).unwrap(), o);
}
