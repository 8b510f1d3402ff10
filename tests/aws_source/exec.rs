//! Containers asked by ECS Exec: what is sent, how the session is held by a
//! plugin (one of the test's own, that does what the real one does), and what
//! is said when nothing comes of it.

use super::support::{Answer, Fake, run};
use super::{never_signed, once, place, runtime};
use badgate::situation::host::Host;
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::aws::ask::exec::{Asking, observe};
use badgate::sources::aws::{Aws, operations as op};
use badgate::sources::host::{Container, is_inside};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TASK: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "AAEAATopSecretTokenOfThisSession";

type Change = fn(&mut Value);

fn tasks(change: Change) -> Answer {
    let mut doc = json!({"tasks": [{
        "enableExecuteCommand": true,
        "lastStatus": "RUNNING",
        "containers": [{
            "name": "web",
            "runtimeId": "0123-77",
            "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}],
            "networkInterfaces": [{"privateIpv4Address": "10.0.1.5"}],
        }],
    }], "failures": []});
    change(&mut doc["tasks"][0]);
    Answer::json(&doc.to_string())
}

fn cloud() -> Fake {
    let fake = Fake::start();
    fake.on("DescribeTasks", tasks(|_| {}));
    let session = json!({
        "clusterArn": "arn:aws:ecs:eu-west-1:1:cluster/shop",
        "containerName": "web",
        "interactive": true,
        "session": {"sessionId": "ecs-execute-command-0a1", "streamUrl": "wss://stream.example/x", "tokenValue": TOKEN},
    });
    fake.on("ExecuteCommand", Answer::json(&session.to_string()));
    fake
}

/// A plugin: says its version, notes how it was started, and does `what`.
fn plugin(dir: &Path, version: &str, what: &str) -> PathBuf {
    let path = dir.join("session-manager-plugin");
    let d = dir.display();
    let text = format!(
        "#!/bin/sh\n\
         if [ \"$1\" = --version ]; then echo {version}; exit 0; fi\n\
         printf '%s\\n' \"$@\" > {d}/arguments\n\
         printf '%s' \"$AWS_SSM_START_SESSION_RESPONSE\" > {d}/session\n\
         echo $$ > {d}/pid\n\
         printf '\\nStarting session with SessionId: ecs-execute-command-0a1\\n'\n\
         # What the service would have started in the container.\n\
         wait_for() {{ i=0; while [ ! -s {d}/command ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; }}\n\
         {what}\n"
    );
    // By a process of its own: one started meanwhile would inherit the open
    // file, and what is open for writing cannot be run.
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    path
}

/// Runs what was asked for, on what the container would call a terminal.
const RUNS: &str = "wait_for; sh -c \"$(cat $(dirname $0)/command)\" | sed 's/$/\\r/'; \
    printf '\\n\\nExiting session with sessionId: ecs-execute-command-0a1.\\n\\n'; cat > /dev/null";

/// Asks `which`, and hands the plugin the command as the service would.
fn ask(fake: &Fake, dir: &Path, plugin: Option<PathBuf>, which: &str, limit: Duration) -> Vec<Observation> {
    let runtime = runtime();
    let (calls, mut noted) = mpsc::channel(64);
    let aws = runtime.block_on(Aws::load_at(Some(place(&fake.endpoint)), once(), calls)).unwrap();
    let container: Container = which.parse().unwrap();
    let asking = Asking { plugin, limit };
    let seen = std::thread::scope(|scope| {
        let work = scope.spawn(|| runtime.block_on(observe(&aws, [&container].into_iter(), &asking)));
        while !work.is_finished() {
            if let Some(sent) = fake.requests_of("ExecuteCommand").first() {
                let body: Value = serde_json::from_slice(&sent.body).unwrap();
                let command = body["command"].as_str().unwrap();
                std::fs::write(dir.join("command.new"), command).unwrap();
                std::fs::rename(dir.join("command.new"), dir.join("command")).unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        work.join().unwrap()
    });
    while let Ok(call) = noted.try_recv() {
        assert!(!format!("{call:?}").contains(TOKEN), "{call:?}");
    }
    for o in &seen {
        assert!(!serde_json::to_string(&o.fact).unwrap().contains(TOKEN), "{o:?}");
    }
    seen
}

fn why(all: &[Observation]) -> String {
    match &all[0].fact {
        Fact::Unknown(r) => r.phrase().to_string(),
        other => panic!("{other:?}"),
    }
}

fn host(all: &[Observation]) -> &Host {
    match &all[0].fact {
        Fact::Host(h) => h,
        other => panic!("{other:?}"),
    }
}

fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn a_container_answers_and_the_token_is_seen_by_the_plugin_alone() {
    let (fake, dir) = (cloud(), tempfile::tempdir().unwrap());
    let name = format!("shop/{TASK}");
    let started = Instant::now();
    let plugin = plugin(dir.path(), "1.2.707.0", RUNS);
    let all = ask(&fake, dir.path(), Some(plugin), &name, Duration::from_secs(60));
    // It would go on to the limit, as its input stays open.
    assert!(started.elapsed() < Duration::from_secs(50));
    assert_eq!(all[0].topic, Topic::Host(format!("ecs:{name}").into()));
    let h = host(&all);
    assert!(h.cores.is_some_and(|n| n > 0) && h.load.is_some() && h.clock_ms.is_some(), "{h:?}");
    assert!(h.memory.is_some_and(|m| m.total_mib > 0) && !h.disks.is_empty(), "{h:?}");
    assert!(h.is_target("10.0.1.5"), "known by the address of its task");
    assert!(h.silent.iter().all(|(_, why)| why.as_str() != "not reached"), "{:?}", h.silent);

    let read = |f: &str| std::fs::read_to_string(dir.path().join(f)).unwrap();
    let arguments = read("arguments");
    let words: Vec<&str> = arguments.lines().collect();
    assert_eq!(words[..4], ["AWS_SSM_START_SESSION_RESPONSE", "us-east-1", "StartSession", ""], "{words:?}");
    let request: Value = serde_json::from_str(words[4]).unwrap();
    assert_eq!(request, json!({"Target": format!("ecs:shop_{TASK}_0123-77")}));
    assert!(words[5].starts_with("http"), "{words:?}");
    assert!(!arguments.contains(TOKEN));
    let session: Value = serde_json::from_str(&read("session")).unwrap();
    assert_eq!(
        (&session["TokenValue"], &session["SessionId"]),
        (&json!(TOKEN), &json!("ecs-execute-command-0a1"))
    );
    assert!(is_gone(&read("pid")), "the plugin has ended with the answer");
    let sent = fake.requests_of("ExecuteCommand");
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert!(sent.len() == 1 && is_inside(body["command"].as_str().unwrap()));
    assert_eq!((&body["container"], &body["interactive"]), (&json!("web"), &json!(true)));
}

#[test]
fn a_session_that_hangs_ends_or_floods_is_bounded_and_named() {
    let table = [
        // What it does, whether it is an answer, and what is said.
        ("exec sleep 600", false, "timed out"),
        ("wait_for; sh -c \"$(cat $(dirname $0)/command)\" | head -c 600; sleep 600", true, ""),
        (
            "wait_for; sh -c \"$(cat $(dirname $0)/command)\" | head -c 600; printf '\\nExiting session with sessionId: x.\\n'",
            true,
            "",
        ),
        ("yes some rubbish", false, "session-manager-plugin: some rub"),
        (
            "echo 'SessionId: x : Unable to start command: Failed to start pty: exec: \"sh\": not found'",
            false,
            "Failed to start pty",
        ),
        ("echo \"Cannot parse $AWS_SSM_START_SESSION_RESPONSE\"; exit 1", false, "kept back"),
        ("echo 'token expired' >&2; exit 1", false, "token expired"),
        ("exit 0", false, "none of them an answer"),
    ];
    for (what, answers, said) in table {
        let (fake, dir) = (cloud(), tempfile::tempdir().unwrap());
        let plugin = plugin(dir.path(), "1.2.707.0", what);
        let all = ask(&fake, dir.path(), Some(plugin), &format!("shop/{TASK}"), Duration::from_secs(4));
        if answers {
            let h = host(&all);
            assert!(h.silent.iter().any(|(_, why)| why.as_str() == "not reached"), "{what}: {h:?}");
            assert!(h.clock_ms.is_some(), "{what}: what came is read: {h:?}");
        } else {
            let why = why(&all);
            assert!(why.contains(said) && !why.contains('\n'), "{what}: {why}");
        }
        assert!(is_gone(&std::fs::read_to_string(dir.path().join("pid")).unwrap()), "{what}");
    }
}

#[test]
fn what_stands_in_the_way_is_said_before_a_session_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let good = plugin(dir.path(), "1.2.707.0", RUNS);
    let one = |change: Change, which: &str| {
        let fake = cloud();
        fake.on("DescribeTasks", tasks(change));
        let all = ask(&fake, dir.path(), Some(good.clone()), which, Duration::from_secs(4));
        assert!(fake.requests_of("ExecuteCommand").is_empty());
        why(&all)
    };
    let which = format!("shop/{TASK}");
    let table: [(Change, &str, &str); 5] = [
        (|t| t["enableExecuteCommand"] = json!(false), &which, "ECS Exec is not enabled"),
        (|t| t["lastStatus"] = json!("DEPROVISIONING"), &which, "DEPROVISIONING, not RUNNING"),
        (
            |t| {
                t["containers"][0]["managedAgents"][0] =
                    json!({"name": "ExecuteCommandAgent", "lastStatus": "STOPPED", "reason": "gone"})
            },
            &which,
            "is STOPPED (gone)",
        ),
        (|t| t["containers"] = json!([{"name": "web"}, {"name": "envoy"}]), &which, "/web or envoy"),
        (|_| {}, &format!("shop/{TASK}/db"), "no such container; it has web"),
    ];
    for (change, which, want) in table {
        let said = one(change, which);
        assert!(said.contains(want), "{want}: {said}");
    }
    // None here, one too old, one that does not say, and a task that is none.
    let fake = cloud();
    for (plugin, want) in [
        (None, "session-manager-plugin is not installed here"),
        (Some(plugin(dir.path(), "1.2.497.0", "exit 1")), "list of processes; update it"),
        (Some(plugin(dir.path(), "unknown", "exit 1")), "of unknown version"),
        (Some(dir.path().join("nowhere")), "cannot run session-manager-plugin"),
    ] {
        let all = ask(&fake, dir.path(), plugin, &which, Duration::from_secs(4));
        assert!(why(&all).contains(want), "{want}: {}", why(&all));
    }
    assert!(fake.requests().is_empty(), "nothing was asked without a plugin that can be used");
    fake.on("DescribeTasks", Answer::json(r#"{"tasks":[],"failures":[{"reason":"MISSING"}]}"#));
    let good = plugin(dir.path(), "1.2.707.0", RUNS);
    let said = why(&ask(&fake, dir.path(), Some(good), &which, Duration::from_secs(4)));
    assert!(said.contains("not found") && said.contains(TASK), "{said}");
}

#[test]
fn what_the_service_answers_is_said_and_nothing_of_a_broken_answer_is_repeated() {
    let table = [
        (
            "ExecuteCommand",
            Answer::denied("ecs", "ecs:ExecuteCommand"),
            "access denied: needs ecs:ExecuteCommand",
        ),
        (
            "DescribeTasks",
            Answer::denied("ecs", "ecs:DescribeTasks"),
            "access denied: needs ecs:DescribeTasks",
        ),
        ("ExecuteCommand", Answer::json(&format!("{{\"session\":\"{TOKEN}\"}}")), "lacks a session"),
        ("ExecuteCommand", Answer::json("{}"), "lacks a session"),
        (
            "ExecuteCommand",
            Answer::json_error(400, "TargetNotConnectedException", "the agent is not there"),
            "TargetNotConnectedException",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let plugin = plugin(dir.path(), "1.2.707.0", RUNS);
    for (operation, answer, want) in table {
        let fake = cloud();
        fake.on(operation, answer);
        let all =
            ask(&fake, dir.path(), Some(plugin.clone()), &format!("shop/{TASK}"), Duration::from_secs(4));
        assert!(why(&all).contains(want), "{operation}: {}", why(&all));
    }
}

#[test]
fn no_command_but_ours_is_ever_signed() {
    let fake = cloud();
    never_signed(
        &fake,
        &op::EXECUTE_COMMAND,
        "AmazonEC2ContainerServiceV20141113",
        &[
            json!({"cluster": "shop", "task": TASK, "interactive": true, "command": "sh"}),
            json!({"cluster": "shop", "task": TASK, "interactive": true}),
        ],
    );
}

#[test]
fn a_container_is_asked_from_the_command_line() {
    let fake = cloud();
    let dir = tempfile::tempdir().unwrap();
    let name = format!("ecs:shop/{TASK}");
    let run = |path: &str| {
        let mut env = fake.env();
        env.push(("PATH".into(), path.into()));
        let out = run(&env, &["host", &name, "--region", "eu-west-1", "--timeout", "3s", "--json"]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(!text.contains(TOKEN));
        (out.status.code(), serde_json::from_str::<Value>(&text).unwrap())
    };
    let (code, doc) = run("/nowhere");
    assert_eq!(code, Some(3));
    let said = doc["hosts"][0]["unknown"].as_str().unwrap();
    assert!(said.contains("not installed here") && said.contains("ssm:ID"), "{said}");
    // One that is there, and hangs.
    plugin(dir.path(), "1.2.707.0", "exec sleep 600");
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let (code, doc) = run(&path);
    assert_eq!((code, &doc["hosts"][0]["asked"]), (Some(3), &json!(name)));
    assert!(doc["hosts"][0]["unknown"].as_str().unwrap().contains("timed out"), "{doc}");
    assert_eq!(fake.requests_of("ExecuteCommand")[0].signed_scope().unwrap().1, "eu-west-1");
}
