//! Steps 4 and 5: the load balancer and the application.

use crate::shop::*;

// Step 4 -------------------------------------------------------------------

#[test]
fn health_check_settings() {
    let c = run(&shop().situation(), "settings.health");
    says(
        &c,
        Level::Info,
        "web: HTTP /health on port 8080, expects 200, timeout 5 s, every 30 s, healthy after 5, unhealthy after 2",
    );
    says(&c, Level::Ok, "timeout (5 s) is shorter than the interval (30 s)");
    says(&c, Level::Info, "keeps getting requests for up to 60 s");

    let mut tight = shop();
    tight.group.health_check.timeout_s = Some(30);
    let c = run(&tight.situation(), "settings.health");
    says(&c, Level::Found, "timeout (30 s) is not shorter than the interval (30 s)");
    silent(&c, Level::Ok);

    let mut off = shop();
    off.group.health_check.enabled = Some(false);
    says(&run(&off.situation(), "settings.health"), Level::Found, "web: health checks are off");

    let mut moved = shop();
    moved.targets[0].state = "unhealthy".into();
    moved.targets[0].reason = "Target.ResponseCodeMismatch".into();
    moved.targets[0].description = "Health checks failed with these codes: [404]".into();
    says(
        &run(&moved.situation(), "settings.health"),
        Level::Found,
        "web: 1 target(s) answer /health with another status than 200: Health checks failed with these codes: [404]",
    );

    let mut untold = shop();
    untold.group.health_check.interval_s = None;
    let c = run(&untold.situation(), "settings.health");
    says(&c, Level::Unknown, "health check timeout and interval of web");
    silent(&c, Level::Ok);
}

/// An Application Load Balancer does not answer 502 because targets are
/// unhealthy: it fails open, or answers 503 without a usable target.
#[test]
fn routing_never_blames_a_502_on_the_health_check() {
    says(
        &run(&shop().situation(), "settings.routing"),
        Level::Ok,
        "requests go to the 2 healthy of 2 targets",
    );

    let table: &[(&[&str], Level, &str)] = &[
        (&[], Level::Found, "web has no registered target: requests for it get 503"),
        (&["unused", "unused"], Level::Found, "every target of web is unused: requests for it get 503"),
        (
            &["unhealthy", "unhealthy"],
            Level::Found,
            "fails open and sends requests to all of them. A 502 is what happens there",
        ),
        (&["unhealthy", "draining"], Level::Found, "fails open"),
        (&["initial", "initial"], Level::Found, "no target is healthy yet"),
        (&["unavailable", "unavailable"], Level::Unknown, "whether targets of web are healthy"),
        (&["healthy", "unhealthy"], Level::Ok, "requests go to the 1 healthy of 2 targets"),
    ];
    for (states, level, part) in table {
        let mut broken = shop();
        broken.targets =
            states.iter().enumerate().map(|(i, st)| health(["i-a", "i-b"][i], 8080, st, "")).collect();
        let c = run(&broken.situation(), "settings.routing");
        says(&c, *level, part);
        if *level != Level::Ok {
            silent(&c, Level::Ok);
        }
    }
    let mut open = shop();
    open.metrics.push(burst("UnhealthyRoutingRequestCount", 3, 7.0));
    says(
        &run(&open.situation(), "settings.routing"),
        Level::Found,
        "21 requests were sent to unhealthy targets",
    );
}

#[test]
fn timeouts() {
    let s = shop().situation();
    let c = run(&s, "settings.timeouts");
    says(&c, Level::Unknown, "R1");
    says(&c, Level::Ok, "these timeout rules hold:");

    for (noted, level) in [("5s", Level::Found), ("75s", Level::Ok)] {
        let text = format!("measured it\nserver.keepalive = {noted}");
        let notes = [Note { at: minutes_ago(1), by: "yui@bastion".into(), text: SafeText::multiline(text) }];
        let cx = Context { notes: &notes, ..context() };
        let c = run_with(&s, "settings.timeouts", &cx);
        if level == Level::Found {
            says(&c, level, "R1 violated: ");
            says(&c, level, "5 s > shop idle timeout 60 s");
            says(&run_with(&s, "emergency.timeouts", &cx), level, "R1 violated");
        } else {
            silent(&c, Level::Found);
            says(&c, level, "R1");
        }
    }

    let mut shut = shop();
    shut.failed =
        vec![(Topic::LbAttributes(LB.into()), denied("elasticloadbalancing:DescribeLoadBalancerAttributes"))];
    let c = run(&shut.situation(), "settings.timeouts");
    says(&c, Level::Unknown, "needs elasticloadbalancing:DescribeLoadBalancerAttributes");
    assert!(!c.of(Level::Ok).any(|f| f.text.contains("R1") || f.text.contains("R2")));
}

#[test]
fn listeners() {
    let c = run(&shop().situation(), "settings.listeners");
    says(&c, Level::Info, "port 443, HTTPS, certificates: 1, by default: forward web");
    says(&c, Level::Info, "port 443 has 2 rule(s)");
    says(&c, Level::Ok, "1 group(s) are reached by rules");
    silent(&c, Level::Found);

    let with_rules = |rules: Vec<Rule>| {
        let mut x = shop();
        let arn = x.listeners[0].arn.clone();
        x.listeners[0].default_actions = rules.last().unwrap().actions.clone();
        x.more.push(observed(Topic::Rules(arn), Fact::Rules(rules)));
        run(&x.situation(), "settings.listeners")
    };
    let fixed = Action { kind: "fixed-response".into(), status: Some(503), ..Default::default() };
    let c = with_rules(vec![Rule { actions: vec![fixed], ..Default::default() }]);
    says(&c, Level::Found, "port 443, rule default answers 503 by itself");
    says(&c, Level::Found, "no rule sends requests to web");
    let c =
        with_rules(vec![Rule { priority: Some(5), actions: vec![forward(WEB, 0)], ..Default::default() }]);
    says(&c, Level::Found, "port 443, rule 5: every group has weight 0");

    let mut bare = shop();
    bare.listeners[0].certificates.clear();
    says(
        &run(&bare.situation(), "settings.listeners"),
        Level::Found,
        "port 443 speaks TLS and has no certificate",
    );
    let mut none = shop();
    none.listeners.clear();
    says(&run(&none.situation(), "settings.listeners"), Level::Found, "the load balancer has no listener");

    let mut shut = shop();
    let arn = shut.listeners[0].arn.clone();
    shut.more.retain(|o| !matches!(o.topic, Topic::Rules(_)));
    shut.more.push(observed(Topic::Rules(arn), Fact::Unknown(denied("elasticloadbalancing:DescribeRules"))));
    let c = run(&shut.situation(), "settings.listeners");
    says(&c, Level::Unknown, "needs elasticloadbalancing:DescribeRules");
    silent(&c, Level::Ok);
    silent(&c, Level::Found);
}

#[test]
fn certificates() {
    let c = run(&shop().situation(), "settings.certificates");
    says(&c, Level::Unknown, "expiry of certificate certificate/7f on port 443");
    assert!(
        c.manual[0].run.starts_with("openssl s_client -connect shop-1.us-east-1.elb.amazonaws.com:443 "),
        "{}",
        c.manual[0].run
    );
    assert!(
        c.manual[1]
            .run
            .contains("--certificate-arn arn:aws:acm:us-east-1:1:certificate/7f --region us-east-1"),
        "{}",
        c.manual[1].run
    );

    let mut plain = shop();
    plain.listeners[0].protocol = "HTTP".into();
    plain.listeners[0].port = 80;
    let s = plain.situation();
    let c = run(&s, "settings.certificates");
    says(&c, Level::Info, "no listener speaks TLS");
    assert!(c.manual.is_empty());
    says(&run(&s, "deep.tls"), Level::Info, "no TLS on the way");
}

#[test]
fn other_settings() {
    let c = run(&shop().situation(), "settings.attributes");
    says(&c, Level::Info, "idle timeout 60 s");
    says(&c, Level::Ok, "access logs are on");
    says(&c, Level::Info, "web: deregistration delay 300 s");

    let mut odd = shop();
    for (k, v) in [
        ("access_logs.s3.enabled", "false"),
        ("routing.http.desync_mitigation_mode", "strictest"),
        ("routing.http.drop_invalid_header_fields.enabled", "true"),
    ] {
        odd.lb_attributes.insert(k.into(), v.into());
    }
    for (k, v) in [
        ("deregistration_delay.timeout_seconds", "0"),
        ("load_balancing.cross_zone.enabled", "false"),
        ("slow_start.duration_seconds", "60"),
        ("stickiness.enabled", "true"),
    ] {
        odd.group_attributes.insert(k.into(), v.into());
    }
    let c = run(&odd.situation(), "settings.attributes");
    for part in ["access logs to S3 are off", "mode is strictest", "web: deregistration delay 0 s"] {
        says(&c, Level::Found, part);
    }
    for part in [
        "invalid names are dropped",
        "cross-zone balancing is off",
        "slow start 60 s",
        "sticky sessions are on",
    ] {
        says(&c, Level::Info, part);
    }

    let mut shut = shop();
    shut.failed =
        vec![(Topic::TgAttributes(WEB.into()), denied("elasticloadbalancing:DescribeTargetGroupAttributes"))];
    shut.lb_attributes.clear();
    let c = run(&shut.situation(), "settings.attributes");
    for part in [
        "target group attributes of web: not known",
        "the idle timeout: not known",
        "whether access logs are on: not known",
    ] {
        says(&c, Level::Unknown, part);
    }
    silent(&c, Level::Ok);
}

// Step 5 -------------------------------------------------------------------

#[test]
fn app_errors() {
    let c = run(&shop().situation(), "app.errors");
    says(&c, Level::Ok, "no target answered 5xx");
    says(&c, Level::Ok, "none of 1 lines since 01:23:51Z is an error line");

    let mut broken = shop();
    broken.metrics.push(burst("HTTPCode_Target_5XX_Count", 4, 9.0));
    broken.more.push(lines(&[
        "ERROR order 1 failed: KeyError",
        "ERROR order 2 failed: KeyError",
        "ERROR cache gone",
    ]));
    let c = run(&broken.situation(), "app.errors");
    says(&c, Level::Found, "targets answered 5xx 36 times");
    says(&c, Level::Found, "2 error line(s) from 01:41:52Z to 01:41:53Z: ERROR order 2");
    silent(&c, Level::Ok);

    let mut mute = shop();
    mute.more.retain(|o| !matches!(o.fact, Fact::LogLines(_)));
    mute.metrics = vec![];
    let c = run(&mute.situation(), "app.errors");
    silent(&c, Level::Ok);
    says(&c, Level::Unknown, "the number of 5xx answers by targets");
}

#[test]
fn latency() {
    for (peak, level, part) in [
        (59.9, Level::Found, "reached 59.90 s at 01:50:00Z, which is the idle timeout of 60 s"),
        (
            0.4,
            Level::Ok,
            "highest response time (Maximum): 0.40 s at 01:50:00Z, below the idle timeout of 60 s",
        ),
    ] {
        let mut shop = shop();
        shop.metrics.push(series(
            LB,
            "TargetResponseTime",
            "Maximum",
            vec![(at_minute(3), peak), (at_minute(2), 0.1)],
        ));
        says(&run(&shop.situation(), "app.latency"), level, part);
    }
    let c = run(&shop().situation(), "app.latency");
    says(&c, Level::Unknown, "the response time of targets");
    let mut untold = shop();
    untold.lb_attributes.clear();
    untold.metrics.push(series(LB, "TargetResponseTime", "p99", vec![(at_minute(3), 59.0)]));
    let c = run(&untold.situation(), "app.latency");
    says(&c, Level::Info, "highest response time (p99): 59.00 s");
    silent(&c, Level::Ok);
}

#[test]
fn deployments() {
    let (shop, service, tasks) = ecs_shop();
    let c = run(&with_ecs(shop.clone(), service.clone(), tasks.clone()), "app.deployments");
    says(&c, Level::Ok, "service web: no deployment is running, failed, or fits");

    let mut late = shop.clone();
    late.metrics.push(burst("HTTPCode_ELB_502_Count", 12, 37.0));
    let mut moved = service.clone();
    moved.deployments[0].created = Some(minutes_ago(14));
    let c = run(&with_ecs(late.clone(), moved, tasks.clone()), "app.deployments");
    says(&c, Level::Found, "web:2 was deployed at 01:39:51Z, the errors began at 01:41:00Z");
    silent(&c, Level::Ok);

    // A deployment after the errors began did not begin them.
    let mut after = service.clone();
    after.deployments[0].created = Some(minutes_ago(5));
    let c = run(&with_ecs(late, after, tasks.clone()), "app.deployments");
    silent(&c, Level::Found);
    says(&c, Level::Info, "web:2 was deployed at 01:48:51Z");

    let mut failed = service.clone();
    failed.deployments[0].rollout_state = "FAILED".into();
    failed.deployments[0].rollout_reason = "tasks failed to start".into();
    failed.deployments.push(Deployment {
        status: "ACTIVE".into(),
        rollout_state: "IN_PROGRESS".into(),
        task_definition: V1.into(),
        running: 1,
        desired: 2,
        failed: 3,
        ..Default::default()
    });
    failed.events = vec![
        ServiceEvent {
            at: minutes_ago(9),
            message:
                "(service web) (port 8080) is unhealthy in (target-group x) due to (reason Request timed out)"
                    .into(),
        },
        ServiceEvent { at: minutes_ago(9), message: "(service web) has reached a steady state.".into() },
    ];
    let c = run(&with_ecs(shop, failed, tasks), "app.deployments");
    says(&c, Level::Found, "the deployment of web:2 failed: tasks failed to start");
    says(&c, Level::Found, "web:1 is being deployed, 1 of 2 tasks running, 3 failed");
    says(&c, Level::Found, "is unhealthy in (target-group x)");
    assert!(!c.findings.iter().any(|f| f.text.contains("steady state")));
}

#[test]
fn stops() {
    let (shop, service, tasks) = ecs_shop();
    says(
        &run(&with_ecs(shop.clone(), service.clone(), tasks.clone()), "app.stops"),
        Level::Ok,
        "service web: no task stopped",
    );

    let stopped = |code: &str, reason: &str, exits: &[&str]| Task {
        last_status: "STOPPED".into(),
        stopped: Some(minutes_ago(3)),
        stop_code: code.into(),
        stopped_reason: reason.into(),
        exits: texts(exits),
        ..tasks[0].clone()
    };
    let table = [
        (
            stopped("EssentialContainerExited", "Essential container in task exited", &["app: exit 1"]),
            Level::Found,
        ),
        (
            stopped("ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group x)", &[]),
            Level::Found,
        ),
        (
            stopped(
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by (deployment x)",
                &["app: exit 143"],
            ),
            Level::Info,
        ),
    ];
    for (task, level) in table {
        let reason = task.stopped_reason.clone();
        let c = run(&with_ecs(shop.clone(), service.clone(), vec![task]), "app.stops");
        says(&c, level, "task t1 stopped at 01:50:51Z: ");
        says(&c, level, &reason);
        silent(&c, Level::Ok);
    }

    let mut shut = shop.clone();
    shut.more.push(observed(Topic::EcsServices(WEB.into()), Fact::EcsServices(vec![service])));
    shut.more.push(observed(Topic::EcsTasks(SERVICE.into()), Fact::Unknown(denied("ecs:DescribeTasks"))));
    let c = run(&shut.situation(), "app.stops");
    says(&c, Level::Unknown, "needs ecs:DescribeTasks");
    silent(&c, Level::Ok);
}

#[test]
fn changes() {
    let s = shop().situation();
    let c = run(&s, "app.changes");
    says(&c, Level::Unknown, "there was only one look");
    assert!(
        c.manual
            .iter()
            .any(|m| m.run.contains("lookup-events --region us-east-1 --start-time 2026-11-22T01:23:51Z")),
        "{:#?}",
        c.manual
    );

    let c = run_with(&s, "app.changes", &Context { changes: Some(&[]), ..context() });
    says(&c, Level::Info, "no configuration change was seen while watching");
    let seen = [Change::Config { topic: Topic::NetworkAcls(VPC.into()), at: minutes_ago(13) }];
    let c = run_with(&s, "app.changes", &Context { changes: Some(&seen), ..context() });
    says(&c, Level::Found, "network ACLs of vpc-1 changed, seen at 01:40:51Z");

    let mut young = shop();
    young.instances[0].launched = Some(minutes_ago(4));
    says(&run(&young.situation(), "app.changes"), Level::Info, "launched since 01:23:51Z: i-a");
}
