//! The program itself against the emulator: what a person at the keyboard and a
//! script see.

use super::support::{Lab, Pty, badgate};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The environment of somebody who has never used badgate.
pub fn env(lab: &Lab, home: &Path) -> Vec<(String, String)> {
    let home = home.to_string_lossy().into_owned();
    let own = ["HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"].map(|name| (name.to_owned(), home.clone()));
    let rest =
        [("USER", "yui"), ("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8"), ("PATH", "/usr/bin:/bin")];
    let rest = rest.map(|(k, v)| (k.to_owned(), v.to_owned()));
    lab.env().into_iter().chain(own).chain(rest).collect()
}

pub fn run_with(args: &[&str], env: Vec<(String, String)>) -> Output {
    Command::new(badgate()).args(args).env_clear().envs(env).output().unwrap()
}

fn run(lab: &Lab, args: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    run_with(args, env(lab, home.path()))
}

pub fn stdout(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).unwrap()
}

/// The one line a failure is told in.
pub fn line(out: &Output) -> String {
    let text = String::from_utf8(out.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

pub fn document(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", stdout(out)))
}

#[test]
fn check_names_the_blocking_rule_and_says_so_in_its_exit_code() {
    let lab = Lab::start("shop-broken");
    let out = run(&lab, &["check", "shop-alb", "--json"]);
    assert_eq!(out.status.code(), Some(1), "{}", stdout(&out));
    let doc = document(&out);
    assert_eq!(doc["schema"], "badgate.check/1");
    assert_eq!(doc["target"], "shop-alb");
    assert_eq!(doc["steps"].as_array().map(Vec::len), Some(8));
    let first = &doc["verdicts"][0];
    assert_eq!(first["cause"], "nacl-forward-denied", "{first:#}");
    assert!(matches!(first["standing"].as_str(), Some("confirmed" | "likely")), "{first:#}");
    assert!(
        first["evidence"].as_array().is_some_and(|e| e.iter().any(|e| e["polarity"] == "for")),
        "{first:#}"
    );
    assert!(first["next"].as_array().is_some_and(|n| !n.is_empty()), "{first:#}");

    let out = run(&lab, &["check", "shop-alb"]);
    assert_eq!(out.status.code(), Some(1));
    let text = stdout(&out);
    assert!(text.contains("nacl-app-b") && text.contains("3 Network and security"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn check_of_a_healthy_shop_raises_no_alarm() {
    let lab = Lab::start("shop");
    let out = run(&lab, &["check", "shop-alb", "--json"]);
    let doc = document(&out);
    let loud: Vec<&Value> = doc["verdicts"].as_array().unwrap().iter().collect();
    let loud: Vec<_> =
        loud.into_iter().filter(|v| matches!(v["standing"].as_str(), Some("confirmed" | "likely"))).collect();
    assert!(loud.is_empty(), "{loud:#?}");
    assert_eq!(out.status.code(), Some(0), "{doc:#}");
}

#[test]
fn a_denied_call_is_unknown_in_the_document_and_rules_nothing_out() {
    let lab = Lab::start("shop-broken");
    lab.fault(&json!({ "op": "DescribeNetworkAcls", "kind": "denied" }));
    let doc = document(&run(&lab, &["check", "shop-alb", "--json"]));
    let unknown = doc["situation"]["unknown"].as_array().unwrap();
    assert!(
        unknown.iter().any(|u| u["reason"].as_str().is_some_and(|r| r.contains("ec2:DescribeNetworkAcls"))),
        "{unknown:#?}"
    );
    let acl = doc["verdicts"].as_array().unwrap().iter().find(|v| v["cause"] == "nacl-forward-denied");
    assert!(acl.is_none_or(|v| v["standing"] != "ruled_out"), "{acl:#?}");
}

#[test]
fn what_cannot_be_looked_at_is_one_line_and_a_document() {
    let lab = Lab::start("shop");
    let out = run(&lab, &["check", "shop-abl"]);
    assert_eq!(out.status.code(), Some(3));
    let told = line(&out);
    for word in ["shop-abl", "nearest: shop-alb", "123456789012", "us-east-1"] {
        assert!(told.contains(word), "{told}");
    }
    let out = run(&lab, &["check", "shop-alb", "--region", "eu-west-1", "--json"]);
    assert_eq!(out.status.code(), Some(3));
    assert!(line(&out).contains("eu-west-1"));
    let doc = document(&out);
    assert_eq!((&doc["schema"], &doc["verdicts"]), (&json!("badgate.check/1"), &json!([])));
    assert!(doc["situation"]["unknown"][0]["reason"].as_str().unwrap().contains("eu-west-1"), "{doc:#}");

    let home = tempfile::tempdir().unwrap();
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let bare = env(&lab, home.path()).into_iter().filter(|(k, _)| !keys.contains(&k.as_str())).collect();
    let out = run_with(&["check", "shop-alb"], bare);
    assert_eq!(out.status.code(), Some(3));
    assert!(line(&out).contains("credentials: none found"), "{}", line(&out));

    // The SDK ends a program over this one.
    let mut odd = env(&lab, home.path());
    odd.retain(|(k, _)| k != "AWS_ENDPOINT_URL");
    odd.push(("AWS_ENDPOINT_URL".into(), String::new()));
    let out = run_with(&["check", "shop-alb"], odd);
    assert_eq!(out.status.code(), Some(3));
    assert!(line(&out).contains("AWS_ENDPOINT_URL is set to nothing"), "{}", line(&out));
}

#[test]
fn doctor_tells_each_permission_and_the_clock() {
    let lab = Lab::start("shop");
    lab.fault(&json!({ "op": "DescribeNetworkAcls", "kind": "denied" }));
    let out = run(&lab, &["doctor", "shop-alb", "--json"]);
    let doc = document(&out);
    assert_eq!(doc["schema"], "badgate.doctor/1");
    let item = |what: &str| {
        let sections = doc["sections"].as_array().unwrap();
        let items: Vec<&Value> = sections.iter().flat_map(|s| s["items"].as_array().unwrap()).collect();
        items.into_iter().find(|i| i["what"] == what).unwrap_or_else(|| panic!("no {what}: {doc:#}")).clone()
    };
    assert_eq!(item("credentials")["state"], "good");
    assert_eq!(item("clock")["state"], "good");
    assert_eq!(item("elbv2 endpoint")["state"], "good");
    assert_eq!(item("elasticloadbalancing:DescribeTargetHealth")["state"], "good");
    let acl = item("ec2:DescribeNetworkAcls");
    assert_eq!(acl["state"], "warn");
    assert!(acl["found"].as_str().unwrap().starts_with("denied: no "), "{acl}");

    // Without a target any load balancer will do.
    let out = run(&lab, &["doctor"]);
    assert!(stdout(&out).contains("as far as shop-alb needs them"), "{}", stdout(&out));
}

#[test]
fn two_who_open_at_the_same_moment_get_a_file_each() {
    let lab = Lab::start("shop");
    let home = tempfile::tempdir().unwrap();
    let env = env(&lab, home.path());
    let mut all: Vec<Pty> = (0..4).map(|_| Pty::badgate(&["open", "shop-alb"], &env, 80, 24)).collect();
    for pty in &mut all {
        pty.wait_for_text("4/4 healthy");
        pty.send("q");
        assert!(pty.wait_exit().success(), "{}", pty.dump());
    }
    let files = std::fs::read_dir(home.path().join("badgate")).unwrap();
    let names: Vec<_> = files.map(|e| e.unwrap().file_name()).collect();
    assert_eq!(
        names.iter().filter(|n| n.to_string_lossy().ends_with(".incident.jsonl")).count(),
        4,
        "{names:?}"
    );
}

pub fn only_file(home: &Path) -> PathBuf {
    let dir = std::fs::read_dir(home.join("badgate")).unwrap();
    let mut all: Vec<PathBuf> = dir.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some()).collect();
    all.retain(|p| p.to_string_lossy().ends_with(".incident.jsonl"));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_note_and_a_step_survive_kill_9_and_stand_in_the_export() {
    let lab = Lab::start("shop-broken");
    let home = tempfile::tempdir().unwrap();
    let env = env(&lab, home.path());
    let mut pty = Pty::badgate(&["open", "shop-alb"], &env, 200, 50);
    pty.wait_for_text("Target.Timeout");
    pty.send("3");
    pty.wait_for_text("step 3 Network and security: found");
    pty.send("anginx restarted by hand\r");
    pty.wait_for_text("note saved");
    pty.signal(rustix::process::Signal::KILL);
    pty.wait_exit();

    let file = only_file(home.path());
    let out = run_with(&["export", file.to_str().unwrap(), "-o", "-"], env.clone());
    let text = stdout(&out);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let timeline = text.split("## Timeline").nth(1).unwrap_or_else(|| panic!("{text}"));
    assert!(timeline.contains("nginx restarted by hand"), "{timeline}");
    assert!(timeline.contains("step 3 Network and security"), "{timeline}");

    // And they are back on the screen of whoever goes on.
    let mut pty = Pty::badgate(&["open", "shop-alb", "--incident", file.to_str().unwrap()], &env, 200, 50);
    pty.wait_for_text("nginx restarted by hand");
    pty.wait_for_text("step 3 Network and security");
    pty.send("q");
    assert!(pty.wait_exit().success());
}

#[test]
fn without_a_target_one_is_picked_and_the_export_names_it() {
    let lab = Lab::start("shop");
    let home = tempfile::tempdir().unwrap();
    let env = env(&lab, home.path());
    let mut pty = Pty::badgate(&["open"], &env, 80, 24);
    pty.wait_for_text("Which load balancer?");
    pty.wait_for_text("shop-alb");
    pty.send("\r");
    pty.wait_for_text("4/4 healthy");
    pty.send("q");
    assert!(pty.wait_exit().success());
    let file = only_file(home.path());
    let out = run_with(&["export", file.to_str().unwrap(), "-o", "-"], env);
    let text = stdout(&out);
    assert!(text.contains("- target: `shop-alb`"), "{text}");
    assert!(text.contains("closed"), "leaving is recorded: {text}");
}
