//! Instances asked by Run Command: what is sent, what comes back, and what is
//! said when nothing does.

use super::support::{Answer, Fake, Lab, run};
use super::{Watcher, never_signed, once, place, runtime};
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::aws::ask::hosts::{HostAsk, observe};
use badgate::sources::aws::{Aws, operations as op};
use badgate::sources::host::{Local, is_ours};
use badgate::sources::{Options, Want};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const MANAGED: &str = r#"{"InstanceInformationList":[
    {"InstanceId":"i-1","PingStatus":"Online","PlatformType":"Linux"},
    {"InstanceId":"i-2","PingStatus":"ConnectionLost","PlatformType":"Linux"},
    {"InstanceId":"i-3","PingStatus":"Online","PlatformType":"Windows"}]}"#;
const SENT: &str = r#"{"Command":{"CommandId":"c-1","InstanceIds":["i-1"],"Status":"Pending"}}"#;

fn ask_all(fake: &Fake, options: Options) -> Vec<Observation> {
    let runtime = runtime();
    let (calls, _) = mpsc::channel(64);
    let aws = runtime.block_on(Aws::load_at(Some(place(&fake.endpoint)), options, calls)).unwrap();
    let asks: Vec<HostAsk> = ["i-1", "i-2", "i-3"]
        .iter()
        .map(|id| HostAsk { id: (*id).into(), local: Some(Local::new(8080, "/health", false)) })
        .collect();
    runtime.block_on(observe(&aws, &asks))
}

fn said(all: &[Observation], id: &str) -> String {
    let topic = Topic::Host(format!("ssm:{id}").into());
    match &all.iter().find(|o| o.topic == topic).unwrap_or_else(|| panic!("nothing of {id}")).fact {
        Fact::Unknown(r) => r.phrase().to_string(),
        Fact::Host(h) => format!("host with {} answers missing", h.silent.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_instances_with_an_agent_are_asked_and_only_our_questions() {
    let fake = Fake::start();
    fake.on("DescribeInstanceInformation", Answer::json(MANAGED));
    fake.on("SendCommand", Answer::json(SENT));
    let under_way = Answer::json(r#"{"Status":"InProgress","StatusDetails":"InProgress"}"#);
    let done = Answer::json(r#"{"Status":"Success","StandardOutputContent":"something\n"}"#);
    fake.on("GetCommandInvocation", done);
    fake.on_times("GetCommandInvocation", 1, under_way);
    fake.on_times("GetCommandInvocation", 2, Answer::json_error(400, "InvocationDoesNotExist", ""));
    let all = ask_all(&fake, once());
    assert!(said(&all, "i-1").starts_with("host with"), "{}", said(&all, "i-1"));
    for id in ["i-2", "i-3"] {
        assert!(said(&all, id).contains("no agent of Systems Manager"), "{}", said(&all, id));
    }
    assert_eq!(fake.requests_of("GetCommandInvocation").len(), 4, "asked until it was done");
    let sent = fake.requests_of("SendCommand");
    assert_eq!(sent.len(), 1);
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(
        (&body["DocumentName"], &body["InstanceIds"]),
        (&json!("AWS-RunShellScript"), &json!(["i-1"]))
    );
    let lines = body["Parameters"]["commands"].as_array().unwrap();
    let lines: Vec<&str> = lines.iter().map(|l| l.as_str().unwrap()).collect();
    assert!(is_ours(&lines), "{lines:?}");
}

#[test]
fn what_fails_is_said_of_each_host_and_never_an_empty_answer() {
    let table = [
        (
            "DescribeInstanceInformation",
            Answer::denied("ssm", "ssm:DescribeInstanceInformation"),
            "access denied",
        ),
        ("SendCommand", Answer::denied("ssm", "ssm:SendCommand"), "access denied: needs ssm:SendCommand"),
        ("SendCommand", Answer::json("{}"), "unreadable answer"),
        ("GetCommandInvocation", Answer::denied("ssm", "ssm:GetCommandInvocation"), "access denied"),
        ("GetCommandInvocation", Answer::json(r#"{"Status":"TimedOut"}"#), "timed out"),
        (
            "GetCommandInvocation",
            Answer::json(r#"{"Status":"Cancelled","StatusDetails":"Undeliverable"}"#),
            "failed: RunCommand",
        ),
        ("GetCommandInvocation", Answer::json("{\"Status\":\"Succ"), "unreadable answer"),
    ];
    for (operation, answer, want) in table {
        let fake = Fake::start();
        fake.on("DescribeInstanceInformation", Answer::json(MANAGED));
        fake.on("SendCommand", Answer::json(SENT));
        fake.on(operation, answer);
        let all = ask_all(&fake, once());
        let got = said(&all, "i-1");
        assert!(got.starts_with(want), "{operation}: {got}");
    }
}

#[test]
fn no_script_but_ours_is_ever_signed() {
    let fake = Fake::start();
    fake.on("*", Answer::json(SENT));
    never_signed(
        &fake,
        &op::SEND_COMMAND,
        "AmazonSSM",
        &[
            json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"], "Parameters": {"commands": ["id"]}}),
            json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"]}),
            json!({"DocumentName": "AWS-RestartEC2Instance", "InstanceIds": ["i-1"]}),
        ],
    );
}

#[test]
fn a_shell_answers_and_nobody_is_asked_unless_told_to() {
    let lab = Lab::start("shop-broken");
    let instances = lab.aws("ec2", "describe_instances", &json!({}));
    let ids: Vec<String> = instances["Reservations"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|r| r["Instances"].as_array().unwrap())
        .map(|i| i["InstanceId"].as_str().unwrap().to_owned())
        .collect();
    let hosts: serde_json::Map<String, Value> = ids.iter().map(|id| (id.clone(), json!(true))).collect();
    lab.control("POST", "state", &json!({ "hosts": hosts }));

    let mut w = Watcher::open(&lab, "shop-alb", once());
    w.refresh(1, &Want::ALL);
    w.until("everything", |w| w.done.contains(&1).then_some(()));
    assert!(w.s.hosts.is_empty());
    assert!(lab.calls().iter().all(|c| c.service != "ssm"), "hosts are asked only when told to");

    let mut w = Watcher::open(&lab, "shop-alb", Options { ssm: true, ..once() });
    w.refresh(1, &Want::ALL);
    w.until("everything", |w| w.done.contains(&1).then_some(()));
    assert!(!w.s.hosts.is_empty());
    for (name, host) in &w.s.hosts {
        let h = host.value().unwrap_or_else(|| panic!("{name}: {host:?}"));
        assert!(h.cores.is_some_and(|n| n > 0) && h.load.is_some(), "{h:?}");
        assert!(!h.disks.is_empty(), "{h:?}");
        assert!(h.clock_ms.is_some(), "{h:?}");
        assert!(ids.iter().any(|id| h.is_target(id)));
    }
}

#[test]
fn an_instance_is_asked_from_the_command_line() {
    let fake = Fake::start();
    let id = "i-0a1b2c3d4e5f60718";
    let managed = MANAGED.replace("i-1", id);
    fake.on("DescribeInstanceInformation", Answer::json(&managed));
    fake.on("SendCommand", Answer::denied("ssm", "ssm:SendCommand"));
    let run = |args: &[&str]| {
        let mut env = fake.env();
        env.push(("PATH".into(), std::env::var("PATH").unwrap()));
        let out = run(&env, args);
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let name = format!("ssm:{id}");
    let (code, text) = run(&["host", "local", &name, "--region", "eu-west-1"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains(&name) && text.contains("access denied: needs ssm:SendCommand"), "{text}");
    assert!(text.contains("local"), "the other is asked all the same: {text}");
    let sent = fake.requests_of("SendCommand");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].signed_scope().unwrap().1, "eu-west-1");
    let body: serde_json::Value = serde_json::from_slice(&sent[0].body).unwrap();
    let lines = body["Parameters"]["commands"].as_array().unwrap();
    let lines: Vec<&str> = lines.iter().map(|l| l.as_str().unwrap()).collect();
    assert!(is_ours(&lines), "{lines:?}");
}
