//! Steps 0 to 3, check by check: a healthy shop, what is broken, what is
//! denied, empty or stale, and the finding that must come of it.

use crate::shop::*;

// Step 0 -------------------------------------------------------------------

#[test]
fn target() {
    let c = run(&shop().situation(), "prepare.target");
    says(&c, Level::Ok, "shop is active");
    says(&c, Level::Info, "account 123456789012, region us-east-1");
    says(&c, Level::Info, "zones us-east-1a, us-east-1b");
    asked(&c, "test");
    silent(&c, Level::Unknown);

    let mut broken = shop();
    broken.lb.state = "active_impaired".into();
    broken.lb.state_reason = "no free addresses".into();
    let c = run(&broken.situation(), "prepare.target");
    says(&c, Level::Found, "shop is active_impaired: no free addresses");
    silent(&c, Level::Ok);

    let mut none = shop();
    none.more.push(observed(
        Topic::Target,
        Fact::Target(ResolvedTarget { asked: "shoop".into(), ..Default::default() }),
    ));
    says(&run(&none.situation(), "prepare.target"), Level::Found, "'shoop' stands for no load balancer");

    let mut shut = shop();
    shut.failed =
        vec![(Topic::LoadBalancer(LB.into()), denied("elasticloadbalancing:DescribeLoadBalancers"))];
    let c = run(&shut.situation(), "prepare.target");
    says(&c, Level::Unknown, "needs elasticloadbalancing:DescribeLoadBalancers");
    asked(&c, "elbv2:DescribeLoadBalancers");
    silent(&c, Level::Ok);
}

#[test]
fn onset() {
    says(&run(&shop().situation(), "prepare.onset"), Level::Ok, "no 5xx answers since 01:23:51Z");

    let mut broken = shop();
    broken.metrics.push(burst("HTTPCode_ELB_502_Count", 12, 37.0));
    broken.more.push(lines(&["ERROR boom"]));
    let c = run(&broken.situation(), "prepare.onset");
    says(&c, Level::Found, "stepped up at 01:41:00Z: from 0 to 37 a minute");
    says(&c, Level::Info, "01:41:52Z ERROR boom");

    let mut steady = shop();
    steady.metrics.push(burst("HTTPCode_ELB_502_Count", 40, 3.0));
    says(&run(&steady.situation(), "prepare.onset"), Level::Info, "without a clear beginning");

    let mut quiet = shop();
    quiet.metrics = vec![];
    let c = run(&quiet.situation(), "prepare.onset");
    says(&c, Level::Unknown, "no requests were counted since 01:23:51Z");
    silent(&c, Level::Ok);

    let mut over = shop();
    let points =
        each_minute(|_| 90.0).into_iter().filter(|p| p.0 >= at_minute(20) && p.0 < at_minute(8)).collect();
    over.metrics.push(series(LB, "HTTPCode_ELB_502_Count", "Sum", points));
    says(&run(&over.situation(), "prepare.onset"), Level::Info, "they fell back at 01:45:00Z");
}

#[test]
fn a_change_of_health_that_was_watched_dates_the_onset_to_the_second() {
    let mut shop = shop();
    let mut ill = shop.targets.clone();
    ill[0].state = "unhealthy".into();
    ill[0].reason = "Target.Timeout".into();
    let later = now() + SignedDuration::from_secs(5);
    shop.more.push(Observation {
        at: later,
        ..observed(Topic::TargetHealth(WEB.into()), Fact::TargetHealth(ill))
    });
    let c = run(&shop.situation(), "prepare.onset");
    says(&c, Level::Info, "i-a:8080 became unhealthy at 01:53:56Z");
}

#[test]
fn scope() {
    says(&run(&shop().situation(), "prepare.scope"), Level::Ok, "none of 34800 requests");

    let mut broken = shop();
    broken.metrics.push(burst("HTTPCode_ELB_502_Count", 10, 36.0));
    broken.metrics.push(burst("HTTPCode_ELB_504_Count", 10, 4.0));
    broken.metrics.push(burst("HTTPCode_Target_5XX_Count", 10, 18.0));
    let c = run(&broken.situation(), "prepare.scope");
    says(&c, Level::Found, "the load balancer itself answered 502: 360, 504: 40 (1.1 % of requests)");
    says(&c, Level::Found, "targets answered 5xx 180 times (0.5 % of requests)");
    silent(&c, Level::Ok);

    // 503 without a target is not in RequestCount: a share would be nonsense.
    let mut empty = shop();
    empty.metrics = vec![burst("HTTPCode_ELB_503_Count", 10, 50.0)];
    says(&run(&empty.situation(), "prepare.scope"), Level::Found, "503: 500 (- of requests)");

    let mut zone = shop();
    for (az, n) in [("us-east-1a", 50.0), ("us-east-1b", 1.0)] {
        let mut s = burst("HTTPCode_ELB_502_Count", 10, n);
        s.key = MetricKey { az: az.into(), ..s.key };
        zone.metrics.push(s);
    }
    zone.metrics.push(burst("HTTPCode_ELB_502_Count", 10, 51.0));
    says(&run(&zone.situation(), "prepare.scope"), Level::Found, "zone us-east-1a carries 98 %");

    let mut shut = shop();
    shut.failed = vec![(Topic::Metrics(LB.into()), denied("cloudwatch:GetMetricData"))];
    let c = run(&shut.situation(), "prepare.scope");
    says(&c, Level::Unknown, "metrics of shop: not known, access denied: needs cloudwatch:GetMetricData");
    asked(&c, "cloudwatch:GetMetricData");
    silent(&c, Level::Ok);
}

#[test]
fn affected() {
    let c = run(&shop().situation(), "prepare.affected");
    says(&c, Level::Ok, "web: all 2 targets are healthy");
    says(&c, Level::Info, "web serves :443 /api/*, :443");

    let mut broken = shop();
    broken.targets[0].state = "unhealthy".into();
    let c = run(&broken.situation(), "prepare.affected");
    says(&c, Level::Found, "web: 1 of 2 targets are not healthy: i-a:8080 unhealthy");
    says(&c, Level::Found, "all failing targets are in zone us-east-1a");

    let mut empty = shop();
    empty.targets.clear();
    let c = run(&empty.situation(), "prepare.affected");
    says(&c, Level::Found, "web has no registered target: requests for it get 503");
    silent(&c, Level::Ok);

    let mut shut = shop();
    let why = denied("elasticloadbalancing:DescribeTargetHealth");
    shut.failed = vec![(Topic::TargetHealth(WEB.into()), why)];
    let c = run(&shut.situation(), "prepare.affected");
    says(&c, Level::Unknown, "target health of web: not known, access denied");
    silent(&c, Level::Ok);
    silent(&c, Level::Found);
}

#[test]
fn a_value_whose_newest_attempt_failed_is_used_and_called_old() {
    let mut stale = shop();
    let later = now() + SignedDuration::from_secs(5);
    stale.more.push(Observation {
        at: later,
        ..observed(Topic::TargetHealth(WEB.into()), Fact::Unknown(Reason::TimedOut { after_ms: 5000 }))
    });
    let c = run(&stale.situation(), "prepare.affected");
    says(&c, Level::Ok, "all 2 targets are healthy");
    says(
        &c,
        Level::Unknown,
        "target health of web is as of 01:53:51Z; the newest attempt failed: no answer within 5.0 s",
    );
    assert_eq!(c.unknown.len(), 1);
}

#[test]
fn a_command_names_the_real_host_and_is_safe_to_paste() {
    let c = run(&shop().situation(), "prepare.reproduce");
    assert!(
        c.manual[0].run.ends_with("https://shop-1.us-east-1.elb.amazonaws.com/; done"),
        "{}",
        c.manual[0].run
    );
    says(&c, Level::Manual, "1 command(s) to run by hand");

    let mut evil = shop();
    evil.more.push(observed(
        Topic::Target,
        Fact::Target(ResolvedTarget {
            asked: "https://shop.example.com/$(reboot)?a=b&c".into(),
            host: "shop.example.com".into(),
            lb: LB.into(),
            ..Default::default()
        }),
    ));
    let c = run(&evil.situation(), "prepare.reproduce");
    assert!(
        c.manual[0].run.contains(" 'https://shop.example.com/$(reboot)?a=b&c'; done"),
        "{}",
        c.manual[0].run
    );
}

// Step 1 -------------------------------------------------------------------

#[test]
fn instances() {
    let c = run(&shop().situation(), "resources.instances");
    says(&c, Level::Ok, "web: all 2 instances are running");

    let mut broken = shop();
    broken.instances[0].state = "stopped".into();
    broken.instances[0].state_reason = "User initiated".into();
    broken.instances[1].launched = Some(minutes_ago(5));
    let c = run(&broken.situation(), "resources.instances");
    says(&c, Level::Found, "instance i-a is stopped: User initiated");
    says(&c, Level::Info, "instance i-b was launched at 01:48:51Z");
    silent(&c, Level::Ok);

    let mut gone = shop();
    gone.instances.remove(0);
    let c = run(&gone.situation(), "resources.instances");
    says(&c, Level::Unknown, "instance i-a: not known, it is not among the instances of the VPC");
    silent(&c, Level::Ok);

    let mut shut = shop();
    shut.failed = vec![(Topic::Instances(VPC.into()), denied("ec2:DescribeInstances"))];
    let c = run(&shut.situation(), "resources.instances");
    says(&c, Level::Unknown, "needs ec2:DescribeInstances");
    asked(&c, "ec2:DescribeInstances");
    silent(&c, Level::Ok);

    let (shop, service, tasks) = ecs_shop();
    says(
        &run(&with_ecs(shop, service, tasks), "resources.instances"),
        Level::Info,
        "no target is registered by instance id",
    );
}

#[test]
fn tasks() {
    let (shop, service, tasks) = ecs_shop();
    let c = run(&with_ecs(shop.clone(), service.clone(), tasks.clone()), "resources.tasks");
    says(&c, Level::Ok, "service web: all 2 tasks are running");

    let short = Service { running: 1, pending: 1, ..service.clone() };
    let mut killed = tasks.clone();
    killed[0].exits = texts(&["app: exit 137 OutOfMemoryError: Container killed due to memory usage"]);
    let c = run(&with_ecs(shop.clone(), short, killed), "resources.tasks");
    says(&c, Level::Found, "service web: 1 of 2 tasks are running, 1 pending");
    says(&c, Level::Found, "service web: 1 task(s) were killed, out of memory");

    // 137 after an ordered stop is the stop timeout, not memory.
    let mut ordered = tasks;
    ordered[0].exits = texts(&["app: exit 137"]);
    ordered[0].stop_code = "ServiceSchedulerInitiated".into();
    silent(&run(&with_ecs(shop, service, ordered), "resources.tasks"), Level::Found);

    let mut shut = self::shop();
    shut.more.retain(|o| !matches!(o.topic, Topic::EcsServices(_)));
    let c = run(&shut.situation(), "resources.tasks");
    says(&c, Level::Unknown, "ECS services of web: not known, not asked yet");
    asked(&c, "ecs:DescribeServices");
}

#[test]
fn load() {
    let c = run(&shop().situation(), "resources.load");
    says(&c, Level::Unknown, "CPU, memory and disk of the hosts: not known");

    for (value, level) in [(97.0, Level::Found), (40.0, Level::Ok)] {
        let mut shop = shop();
        let mut cpu = series("i-a", "CPUUtilization", "Average", vec![(at_minute(3), value)]);
        cpu.key.namespace = "AWS/EC2".into();
        shop.metrics.push(cpu);
        says(&run(&shop.situation(), "resources.load"), level, "CPUUtilization of i-a peaked at");
    }
}

#[test]
fn host_commands_reach_the_failing_instance_and_pasted_output_is_read() {
    let mut broken = shop();
    broken.targets[1].state = "unhealthy".into();
    let s = broken.situation();
    let c = run(&s, "resources.host");
    let runs: Vec<&str> = c.manual.iter().filter(|m| m.host.is_empty()).map(|m| m.run.as_str()).collect();
    assert!(runs.contains(&"free -m") && runs.contains(&"df -hP; df -iP"), "{runs:?}");
    let remote: Vec<&str> = c.manual.iter().map(|m| m.host.as_str()).filter(|h| !h.is_empty()).collect();
    assert_eq!(remote, ["i-b", "i-a"], "the failing one first");
    let ssm = &c.manual.iter().find(|m| m.host.as_str() == "i-b").unwrap().run;
    assert!(
        ssm.contains("aws ssm send-command --region us-east-1 --instance-ids i-b")
            && ssm.contains("free -m; df -hP"),
        "{ssm}"
    );

    let notes = [Note {
        at: minutes_ago(1),
        by: "yui@bastion".into(),
        text: SafeText::multiline(
            "[resources.host]\nFilesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a 9 9 0 100% /var\n",
        ),
    }];
    let c = run_with(&s, "resources.host", &Context { notes: &notes, ..context() });
    says(&c, Level::Manual, "output noted by yui@bastion at 01:52:51Z (2 line(s))");
    says(&c, Level::Found, "by the output yui@bastion noted, /var is 100 % full");
}

#[test]
fn tasks_are_reached_by_ecs_exec() {
    let (shop, service, tasks) = ecs_shop();
    let c = run(&with_ecs(shop, service, tasks), "resources.host");
    let m = c.manual.iter().find(|m| m.host.as_str() == "t1").unwrap();
    assert!(m.run.starts_with("aws ecs execute-command --region us-east-1 --cluster shop --task t1 --container app --interactive"), "{}", m.run);
}

// Step 2 -------------------------------------------------------------------

#[test]
fn log_groups() {
    let mut other = shop();
    other.more.push(observed(
        Topic::LogGroups,
        Fact::LogGroups(vec![
            LogGroup { name: "/app/shop".into(), origin: GroupOrigin::Option, stored_bytes: None },
            LogGroup { name: "/ecs/shop".into(), origin: GroupOrigin::NameMatch, stored_bytes: None },
        ]),
    ));
    let c = run(&other.situation(), "logs.groups");
    says(&c, Level::Info, "following /app/shop (live tail)");
    says(&c, Level::Info, "not followed: /ecs/shop");

    let mut none = shop();
    none.more.retain(|o| !matches!(o.topic, Topic::Tail(_) | Topic::LogGroups));
    none.failed = vec![];
    none.more.push(observed(Topic::LogGroups, Fact::Unknown(denied("logs:DescribeLogGroups"))));
    let c = run(&none.situation(), "logs.groups");
    says(&c, Level::Unknown, "no log is being followed");
    says(&c, Level::Unknown, "needs logs:DescribeLogGroups");

    let mut shut = none;
    shut.more.push(observed(Topic::Tail("/app/shop".into()), Fact::Unknown(denied("logs:FilterLogEvents"))));
    let c = run(&shut.situation(), "logs.patterns");
    says(&c, Level::Unknown, "needs logs:FilterLogEvents");
    silent(&c, Level::Ok);
}

#[test]
fn log_patterns() {
    says(
        &run(&shop().situation(), "logs.patterns"),
        Level::Ok,
        "none of 1 lines since 01:23:51Z is a known error line",
    );

    let mut broken = shop();
    let refused = "[error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream";
    broken.more.push(lines(&[
        refused,
        "[error] 7#7: *2 connect() failed (111: Connection refused) while connecting to upstream",
        "ok",
    ]));
    let c = run(&broken.situation(), "logs.patterns");
    says(
        &c,
        Level::Found,
        "nginx, 2 line(s) from 01:41:52Z to 01:41:53Z, points to app-process-down-or-crashing: [error] 7#7: *2",
    );
    let e = &c.of(Level::Found).next().unwrap().evidence[0];
    assert_eq!((e.what.as_str(), e.source.as_str()), ("nginx-connect-refused", "/app/shop"));

    let mut mute = shop();
    mute.more.retain(|o| !matches!(o.fact, Fact::LogLines(_)));
    let c = run(&mute.situation(), "logs.patterns");
    says(&c, Level::Unknown, "silence is not health");
    silent(&c, Level::Ok);
}

#[test]
fn log_lines() {
    let mut busy = shop();
    busy.more.push(lines(&["ERROR x", "\"GET / HTTP/1.1\" 502 157"]));
    says(
        &run(&busy.situation(), "logs.lines"),
        Level::Found,
        "3 lines since 01:23:51Z: 2 errors, 1 name a 5xx status",
    );

    let few = Context { lines: 2, ..context() };
    for check in ["logs.lines", "logs.patterns", "app.errors"] {
        says(
            &run_with(&busy.situation(), check, &few),
            Level::Unknown,
            "only the newest 2 lines were looked at",
        );
        silent(&run_with(&busy.situation(), check, &Context { lines: 3, ..context() }), Level::Unknown);
    }

    let mut sampled = shop();
    sampled.more.push(observed(
        Topic::Tail("/app/shop".into()),
        Fact::Tail(Tail { mode: TailMode::Sampled, note: "".into() }),
    ));
    says(
        &run(&sampled.situation(), "logs.lines"),
        Level::Unknown,
        "every line of /app/shop: not known, the live tail is sampled",
    );

    let mut bare = shop();
    let definition = TaskDefinition {
        arn: V2.into(),
        containers: vec![Container { name: "sidecar".into(), ..Default::default() }],
        ..Default::default()
    };
    bare.more.push(observed(Topic::TaskDefinition(V2.into()), Fact::TaskDefinition(definition)));
    let s = bare.situation();
    for check in ["logs.lines", "record.delivery"] {
        says(&run(&s, check), Level::Found, "container sidecar of web:2 has no log driver");
    }
}

#[test]
fn balancer_logs() {
    let c = run(&shop().situation(), "logs.balancer");
    says(&c, Level::Info, "access_logs go to shop-logs");
    assert!(
        c.manual
            .iter()
            .any(|m| m.run.starts_with("aws s3 ls --recursive s3://shop-logs/ --region us-east-1")),
        "{:#?}",
        c.manual
    );

    let mut off = shop();
    off.lb_attributes.insert("access_logs.s3.enabled".into(), "false".into());
    let c = run(&off.situation(), "logs.balancer");
    says(&c, Level::Info, "access_logs to S3 are off");
    assert!(!c.manual.iter().any(|m| m.run.contains("aws s3")), "there is no bucket to list");

    let mut shut = shop();
    shut.failed =
        vec![(Topic::LbAttributes(LB.into()), denied("elasticloadbalancing:DescribeLoadBalancerAttributes"))];
    says(
        &run(&shut.situation(), "logs.balancer"),
        Level::Unknown,
        "load balancer attributes of shop: not known",
    );
}

// Step 3 -------------------------------------------------------------------

#[test]
fn paths() {
    let c = run(&shop().situation(), "network.paths");
    says(&c, Level::Ok, "internet -> shop:443 (clients), shop -> web:8080 (traffic and health check)");
    silent(&c, Level::Found);
    silent(&c, Level::Unknown);

    let mut broken = shop();
    broken.acl("acl-app").entries.push(entry(
        90,
        false,
        false,
        Protocol::Tcp,
        "10.0.0.0/16",
        Some((8080, 8080)),
    ));
    let s = broken.situation();
    for check in ["network.paths", "emergency.paths"] {
        let c = run(&s, check);
        says(
            &c,
            Level::Found,
            "blocked: shop -> web:8080 (traffic and health check): acl-app rule 90 denies tcp/8080",
        );
        says(&c, Level::Found, "concerns i-a:8080, i-b:8080");
    }

    let mut shut = shop();
    shut.failed = vec![(Topic::NetworkAcls(VPC.into()), denied("ec2:DescribeNetworkAcls"))];
    let c = run(&shut.situation(), "network.paths");
    says(&c, Level::Unknown, "needs ec2:DescribeNetworkAcls");
    asked(&c, "ec2:DescribeNetworkAcls");
    silent(&c, Level::Ok);
}

#[test]
fn health_reasons() {
    let c = run(&shop().situation(), "network.reasons");
    says(&c, Level::Ok, "web: no target fails its health check");
    says(&c, Level::Ok, "no connection to a target failed since");

    let table = [
        ("unhealthy", "Target.Timeout", Level::Found, "no answer within 5 s: packets are dropped"),
        ("unhealthy", "Target.FailedHealthChecks", Level::Found, "refused, reset or failed in TLS"),
        ("unhealthy", "Target.ResponseCodeMismatch", Level::Found, "the network is fine"),
        ("unhealthy", "Elb.InternalError", Level::Found, "inside the load balancer"),
        ("unused", "Target.NotInUse", Level::Found, "no rule leads to its group"),
        ("unused", "Target.InvalidState", Level::Found, "stopped or terminated"),
        ("unused", "Target.IpUnusable", Level::Found, "belongs to a load balancer"),
        ("unused", "Target.NotRegistered", Level::Found, "not registered"),
        ("initial", "Elb.RegistrationInProgress", Level::Info, "just registered"),
        ("draining", "Target.DeregistrationInProgress", Level::Info, "in flight only"),
        ("unavailable", "Target.HealthCheckDisabled", Level::Found, "health checks are off"),
        ("unhealthy", "Target.SomethingNew", Level::Found, "Target.SomethingNew on 1 target(s)"),
    ];
    for (state, reason, level, part) in table {
        let mut broken = shop();
        broken.targets[0].state = state.into();
        broken.targets[0].reason = reason.into();
        let c = run(&broken.situation(), "network.reasons");
        says(&c, level, part);
        says(&c, level, "(i-a:8080)");
    }

    let mut errors = shop();
    errors.metrics.push(burst("TargetConnectionErrorCount", 5, 12.0));
    says(
        &run(&errors.situation(), "network.reasons"),
        Level::Found,
        "60 connections to targets failed since",
    );

    let mut quiet = shop();
    quiet.metrics = vec![];
    says(
        &run(&quiet.situation(), "network.reasons"),
        Level::Unknown,
        "the number of failed connections to targets",
    );
}

#[test]
fn zones() {
    says(
        &run(&shop().situation(), "network.zones"),
        Level::Ok,
        "zones of the load balancer (us-east-1a, us-east-1b)",
    );

    let mut outside = shop();
    outside.targets[1].az = "us-east-1c".into();
    let c = run(&outside.situation(), "network.zones");
    says(&c, Level::Found, "web has targets in zone us-east-1c, which is not enabled");
    silent(&c, Level::Ok);

    let mut alone = shop();
    alone.group_attributes.insert("load_balancing.cross_zone.enabled".into(), "false".into());
    alone.targets[1].az = "us-east-1a".into();
    says(&run(&alone.situation(), "network.zones"), Level::Found, "web has no target in zone us-east-1b");
    alone.targets[1].az = "us-east-1b".into();
    alone.targets[1].state = "unhealthy".into();
    says(
        &run(&alone.situation(), "network.zones"),
        Level::Found,
        "web has no healthy target in zone us-east-1b",
    );
}
