//! Steps 6 and 7, emergency and prevention, and what holds for all of them.

use crate::shop::*;

// Step 6 -------------------------------------------------------------------

#[test]
fn live_tail() {
    for (mode, level, part) in [
        (TailMode::Live, Level::Ok, "/app/shop: live tail, newest line 01:41:52Z"),
        (TailMode::Polled, Level::Info, "not live because: StartLiveTail is denied"),
        (TailMode::Sampled, Level::Found, "the live tail is sampled"),
        (TailMode::File, Level::Ok, "local file"),
    ] {
        let mut shop = shop();
        shop.more.push(observed(
            Topic::Tail("/app/shop".into()),
            Fact::Tail(Tail { mode, note: "StartLiveTail is denied".into() }),
        ));
        let c = run(&shop.situation(), "deep.tail");
        says(&c, level, part);
        assert!(
            c.manual[0].run.starts_with("aws logs tail /app/shop --region us-east-1 --follow"),
            "{}",
            c.manual[0].run
        );
    }
}

#[test]
fn deep_dive_commands_are_filled_in_with_the_target_in_question() {
    let mut broken = shop();
    broken.targets[1].state = "unhealthy".into();
    broken.group.port = Some(80);
    let s = broken.situation();
    let all =
        |check: &str| run(&s, check).manual.iter().map(|m| m.run.to_string()).collect::<Vec<_>>().join("\n");
    let curl = all("deep.curl");
    assert!(curl.contains("-H 'Host: shop-1.us-east-1.elb.amazonaws.com' http://10.0.12.10:8080/"), "{curl}");
    assert!(all("deep.capture").contains("'tcp port 8080'"));
    assert!(all("deep.keepalive").contains("exec 3<>/dev/tcp/10.0.12.10/8080"));
    assert!(all("network.host").contains("nc -vz -w 5 10.0.12.10 8080"));
    assert!(!all("deep.tls").contains("10.0.12.10"), "the target does not speak TLS");
}

// Step 7 -------------------------------------------------------------------

#[test]
fn incident() {
    let s = shop().situation();
    says(&run(&s, "record.incident"), Level::Unknown, "nothing is being recorded; use --incident FILE");

    let mut file = Incident {
        file: "/var/inc/2026-11-22 shop.incident.jsonl".into(),
        opened: Some(minutes_ago(12)),
        notes: 3,
        marks: 1,
        observations: 240,
        trouble: "".into(),
    };
    let c = run_with(&s, "record.incident", &Context { incident: Some(&file), ..context() });
    says(&c, Level::Ok, "opened 01:41:51Z, 3 note(s), 1 mark(s), 240 observation(s)");
    assert_eq!(c.manual[0].run, "badgate export '/var/inc/2026-11-22 shop.incident.jsonl' --format md");

    file.trouble = "no space left on device".into();
    file.notes = 0;
    let c = run_with(&s, "record.incident", &Context { incident: Some(&file), ..context() });
    says(&c, Level::Found, "cannot be written: no space left on device");
    says(&c, Level::Info, "nobody has written a note yet");
    silent(&c, Level::Ok);
}

#[test]
fn steps_that_were_left_out_are_named() {
    let s = shop().situation();
    says(&run(&s, "record.steps"), Level::Found, "not run yet: step 0, 1, 2, 3, 4, 5, 6");
    let ran: Vec<(u8, StepState)> =
        (0..7).map(|i| (i, if i == 3 { StepState::Found(2) } else { StepState::Done })).collect();
    let c = run_with(&s, "record.steps", &Context { ran: &ran, ..context() });
    says(&c, Level::Ok, "every step from 0 to 6 was run");
    says(&c, Level::Info, "3: found 2");
}

#[test]
fn delivery() {
    let s = shop().situation();
    for check in ["record.delivery", "prevention.logging"] {
        says(&run(&s, check), Level::Ok, "access_logs of the load balancer are kept");
    }
    let mut off = shop();
    off.lb_attributes.insert("access_logs.s3.enabled".into(), "false".into());
    off.lb_attributes.insert("connection_logs.s3.enabled".into(), "false".into());
    let c = run(&off.situation(), "record.delivery");
    says(&c, Level::Found, "access_logs of the load balancer are not kept in S3");
    says(&c, Level::Found, "connection_logs of the load balancer are not kept in S3");
}

// Keys 8 and 9 -------------------------------------------------------------

#[test]
fn emergency() {
    let mut broken = shop();
    broken.targets[0].state = "unhealthy".into();
    let s = broken.situation();
    says(&run(&s, "emergency.health"), Level::Found, "web: 1 of 2 targets are healthy");
    let c = run(&s, "emergency.remove");
    says(&c, Level::Info, "taking out 1 unhealthy target(s) leaves 1");
    assert_eq!(
        c.manual[0].run.as_str(),
        format!(
            "aws elbv2 deregister-targets --region us-east-1 --target-group-arn {WEB} --targets Id=i-a,Port=8080"
        )
    );
    assert!(c.manual[0].changes && c.manual[1].changes && c.manual[1].run.contains("register-targets"));
    let c = run(&s, "emergency.rollback");
    says(&c, Level::Info, "web: not an ECS service");
    assert!(c.manual.is_empty(), "no ECS command where there is no ECS: {:#?}", c.manual);

    broken.targets[1].state = "unhealthy".into();
    says(
        &run(&broken.situation(), "emergency.remove"),
        Level::Info,
        "taking targets out would only turn errors into 503",
    );
    let fine = shop().situation();
    let c = run(&fine, "emergency.remove");
    says(&c, Level::Info, "web: no unhealthy target to take out");
    assert!(c.manual.is_empty());
    says(&run(&fine, "emergency.health"), Level::Ok, "web: 2 of 2 targets are healthy");

    let (shop, mut service, tasks) = ecs_shop();
    service.deployments.push(Deployment {
        status: "ACTIVE".into(),
        task_definition: V1.into(),
        ..Default::default()
    });
    let s = with_ecs(shop, service, tasks);
    let c = run(&s, "emergency.rollback");
    says(&c, Level::Info, "service web: now web:2, before web:1");
    assert_eq!(
        c.manual[0].run.as_str(),
        format!(
            "aws ecs update-service --region us-east-1 --cluster shop --service web --task-definition {V1}"
        )
    );
    let c = run(&s, "emergency.scale");
    assert!(
        c.manual[0].run.ends_with("--cluster shop --service web --desired-count 3"),
        "{}",
        c.manual[0].run
    );
    assert!(!c.manual.iter().any(|m| m.run.contains("autoscaling")), "no instances here");
}

#[test]
fn prevention() {
    let s = shop().situation();
    let c = run(&s, "prevention.spread");
    says(&c, Level::Ok, "shop has nodes in more than one zone");
    says(&c, Level::Ok, "web: 2 healthy target(s) in 2 zone(s)");
    says(&run(&s, "prevention.code"), Level::Ok, "shop carries aws:cloudformation:stack-name=shop");

    let mut thin = shop();
    thin.lb.zones.pop();
    thin.targets.pop();
    thin.more.push(observed(Topic::Tags(LB.into()), Fact::Tags(vec![(LB.into(), Default::default())])));
    let s = thin.situation();
    let c = run(&s, "prevention.spread");
    says(&c, Level::Found, "shop has nodes in one zone only: us-east-1a");
    says(&c, Level::Found, "web: 1 healthy target(s) in 1 zone(s)");
    says(&run(&s, "prevention.code"), Level::Found, "shop carries no tag of an infrastructure-as-code tool");
}

// All of them ---------------------------------------------------------------

/// Whatever is denied, no step is done, and nothing of it is called fine.
#[test]
fn with_every_question_denied_nothing_is_fine() {
    let mut shut = shop();
    let all: Vec<Topic> = shut.observations().into_iter().map(|o| o.topic).collect();
    shut.failed = all.iter().map(|t| (t.clone(), denied("x:Y"))).collect();
    shut.more = all
        .iter()
        .filter(|t| !matches!(t, Topic::Target))
        .map(|t| observed(t.clone(), Fact::Unknown(denied("x:Y"))))
        .collect();
    let s = shut.situation();
    for step in 0..=9 {
        let r = EN.run(step, &s, &context()).unwrap();
        for c in r.checks.iter().filter(|c| !c.id.starts_with("record.")) {
            silent(c, Level::Ok);
            silent(c, Level::Found);
        }
        assert_ne!(r.state, StepState::Done, "step {step}");
    }
}

/// A finding never carries a control character, whatever the cloud says.
#[test]
fn hostile_text_is_shown_in_visible_form() {
    let mut evil = shop();
    evil.targets[0].state = "unhealthy".into();
    evil.targets[0].reason = "Target.ResponseCodeMismatch".into();
    evil.targets[0].description = SafeText::from("\u{1b}]0;x\u{7}[502]\n{what}");
    evil.more.push(lines(&["ERROR \u{1b}[2J\u{202e}evil {reason}"]));
    let s = evil.situation();
    for r in (0..=9).filter_map(|i| EN.run(i, &s, &context())) {
        for f in r.checks.iter().flat_map(|c| &c.findings) {
            assert!(!f.text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{:?}", f.text);
        }
    }
    says(&run(&s, "app.errors"), Level::Found, "{reason}");
}

/// The same facts and the same context give the same result.
#[test]
fn a_step_is_a_function_of_what_it_is_given() {
    let s = shop().situation();
    for step in 0..=9 {
        assert_eq!(EN.run(step, &s, &context()), EN.run(step, &s, &context()));
    }
}

#[test]
fn a_step_comes_back_from_the_incident_file_as_it_was() {
    let mut broken = shop();
    broken.targets[0].state = "unhealthy".into();
    let s = broken.situation();
    for p in [&*EN, &*JA] {
        for r in p.run_all(&s, &context()) {
            let line = serde_json::to_value(&r).unwrap();
            assert_eq!(serde_json::from_value::<badgate::procedure::StepResult>(line).unwrap(), r);
        }
    }
}
