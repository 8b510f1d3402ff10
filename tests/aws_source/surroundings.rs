//! Profiles, regions and credentials as the environment has them. Each case
//! runs in a process of its own: the environment belongs to a process.

use super::support::{Lab, PATIENCE};
use badgate::sources::aws;
use badgate::sources::{Event, Options};
use std::process::Command;

/// What the child does: opens TARGET and prints how it ended.
#[test]
#[ignore = "run by the other tests of this file, with an environment"]
fn child() {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let options =
        Options { profile: var("CHILD_PROFILE"), region: var("CHILD_REGION"), ..Options::default() };
    let runtime = super::runtime();
    let mut link = {
        let _inside = runtime.enter();
        aws::start(var("CHILD_TARGET").unwrap_or_default(), options)
    };
    let said = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async {
            while let Some(event) = link.events.recv().await {
                match event {
                    Event::NoTarget { line } => return format!("line: {line}"),
                    Event::Observed(all) => {
                        if let Some(o) = all.iter().find(|o| o.topic.name() == "target health") {
                            return format!("health: {:?}", o.fact);
                        }
                    }
                    _ => {}
                }
            }
            "ended".into()
        })
        .await
        .unwrap_or_else(|_| "nothing".into())
    });
    println!("SAID {said}");
}

fn run(lab: &Lab, without: &[&str], with: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "surroundings::child", "--ignored", "--nocapture"]).env_clear();
    command.envs(lab.env().into_iter().filter(|(k, _)| !without.contains(&k.as_str())));
    command.envs(with.iter().copied());
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let said = text.lines().find_map(|l| l.split_once("SAID ")).map(|l| l.1.to_owned());
    said.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&out.stderr)))
}

#[test]
fn the_environment_says_where_and_as_whom() {
    let lab = Lab::start("shop");
    let said = run(&lab, &[], &[("CHILD_TARGET", "shop-alb")]);
    assert!(said.starts_with("health:"), "{said}");
    assert!(lab.calls().iter().all(|c| c.access_key == "AKIALAB" && c.region == "us-east-1"));
}

#[test]
fn a_profile_says_region_and_keys() {
    let lab = Lab::start("shop");
    let config = lab.home().join("config-file");
    let text =
        "[profile oncall]\nregion = us-east-1\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = x\n";
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let none = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let with =
        [("CHILD_TARGET", "shop-alb"), ("CHILD_PROFILE", "oncall"), ("AWS_CONFIG_FILE", config.as_str())];
    let said = run(&lab, &none, &with);
    assert!(said.starts_with("health:"), "{said}");
    assert!(lab.calls().iter().all(|c| c.access_key == "AKIAPROFILE"));
    let with =
        [("CHILD_TARGET", "shop-alb"), ("CHILD_PROFILE", "nobody"), ("AWS_CONFIG_FILE", config.as_str())];
    let said = run(&lab, &none, &with);
    assert!(said.starts_with("line:") && said.contains("nobody"), "{said}");
    let with = [
        ("CHILD_TARGET", "shop-alb"),
        ("CHILD_PROFILE", "nobody"),
        ("CHILD_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", config.as_str()),
    ];
    let said = run(&lab, &none, &with);
    assert!(
        said.starts_with("line:") && said.contains("nobody"),
        "a region does not make the profile known: {said}"
    );
}

#[test]
fn what_is_missing_is_one_clear_line() {
    let lab = Lab::start("shop");
    /// Variables taken away, variables set, words of the line.
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);
    let table: [Row<'_>; 4] = [
        (&["AWS_REGION"], &[("CHILD_TARGET", "shop-alb")], &["no region", "--region"]),
        (
            &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
            &[("CHILD_TARGET", "shop-alb")],
            &["shop-alb cannot be looked up", "credentials: none found", "--profile"],
        ),
        (
            &[],
            &[("CHILD_TARGET", "shop-alb"), ("CHILD_REGION", "Frankfurt!")],
            &["Frankfurt! is not a region"],
        ),
        (
            &["AWS_ENDPOINT_URL"],
            &[("CHILD_TARGET", "arn:aws:s3:::x"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")],
            &["belongs to s3"],
        ),
    ];
    for (without, with, want) in table {
        let said = run(&lab, without, with);
        for part in want {
            assert!(said.starts_with("line:") && said.contains(part), "{said} lacks {part}");
        }
    }
}
