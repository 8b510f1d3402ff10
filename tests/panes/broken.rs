//! The broken shop: two of four targets cannot be reached since 01:40:58
//! because a network ACL denies them, the server's keep-alive is too short,
//! and the log is full of it.

use crate::world::{
    LB, Shop, WEB, entry, health, instance, observed, open_acl, route, series, subnet, table,
};
use badgate::console::caps::Caps;
use badgate::console::keys::Keymap;
use badgate::console::state::{
    Entry, EntryKind, Finding, Incident, JournalState, Mark, Phase, Saved, State, StepRun,
};
use badgate::diagnosis::timeouts::{Hop, Measured, settings};
use badgate::procedure::{self, CheckResult, Level, Manual, Missing, StepResult, StepState};
use badgate::situation::log::{LogLine, Tail, TailMode};
use badgate::situation::net::Protocol;
use badgate::situation::{Fact, Identity, Observation, Reason, Topic};
use badgate::text::SafeText;
use jiff::{SignedDuration, Timestamp};

pub const APP: &str = "/app/shop";
pub const NGINX: &str = "/ecs/nginx";

pub fn now() -> Timestamp {
    crate::world::now()
}

pub fn at(clock: &str) -> Timestamp {
    format!("2026-11-22T{clock}Z").parse().unwrap()
}

/// A console that knows nothing yet.
pub fn empty() -> State {
    let incident = Incident {
        name: "shop-2026-11-22".into(),
        path: None,
        author: "yui@bastion".into(),
        asked: "shop-alb".into(),
        opened: now(),
        onset: None,
    };
    let mut state = State::new(now(), incident, Caps::default(), Keymap::default());
    state.steps = steps();
    state.words = badgate::diagnosis::catalogue::Catalogue::load("en").ok().map(std::sync::Arc::new);
    state
}

pub fn steps() -> Vec<StepRun> {
    let titles = [
        "Preparation",
        "Server resources",
        "Server logs",
        "Network and security",
        "Load balancer and CDN settings",
        "Application",
        "Digging deeper",
        "Record and follow up",
        "Emergency actions",
        "Prevention",
    ];
    (0u8..)
        .zip(titles)
        .map(|(key, title)| StepRun { key, title: title.into(), ..StepRun::default() })
        .collect()
}

const IDS: [(&str, &str, &str); 4] = [
    ("i-0a1b2c3d4e5f60718", "subnet-app-a", "10.0.11.10"),
    ("i-0b7c1f9e22aa41d03", "subnet-app-a", "10.0.11.11"),
    ("i-0c55e01bd7f3398ab", "subnet-app-b", "10.0.12.10"),
    ("i-0d90aa73c2e84f1b6", "subnet-app-b", "10.0.12.11"),
];

/// The shop as configured.
pub fn shop() -> Shop {
    let instances = IDS
        .iter()
        .enumerate()
        .map(|(n, (id, net, ip))| {
            let mut i = instance(id, net, &["sg-app"], ip);
            i.name = format!("web-{}", n + 1).into();
            i
        })
        .collect();
    let subnets = vec![
        subnet("subnet-pub-a", "us-east-1a", "10.0.1.0/24"),
        subnet("subnet-pub-b", "us-east-1b", "10.0.2.0/24"),
        subnet("subnet-app-a", "us-east-1a", "10.0.11.0/24"),
        subnet("subnet-app-b", "us-east-1b", "10.0.12.0/24"),
    ];
    let mut shop = Shop { instances, subnets, ..Shop::default() };
    let mut denying = open_acl("acl-0f4d1c2b9a8e7d605", &["subnet-app-a"]);
    denying.entries.insert(0, entry(90, false, false, Protocol::Tcp, "10.0.0.0/16", Some((8080, 8080))));
    shop.acls = vec![
        open_acl("acl-pub", &["subnet-pub-a", "subnet-pub-b"]),
        denying,
        open_acl("acl-app-b", &["subnet-app-b"]),
    ];
    shop.tables[1] = table("rtb-main", true, &[], vec![route("10.0.0.0/16", "local")]);
    shop
}

fn minutes() -> Vec<Timestamp> {
    (0..60).rev().map(|n| at("01:53:00") - SignedDuration::from_mins(n)).collect()
}

/// Metrics of the last hour: all well until 01:41.
fn metrics() -> Vec<badgate::situation::metric::Series> {
    let began = at("01:41:00");
    let step = |quiet: f64, loud: f64| -> Vec<(Timestamp, f64)> {
        minutes()
            .into_iter()
            .enumerate()
            .map(|(n, t)| (t, if t >= began { loud + (n % 5) as f64 * loud / 20.0 } else { quiet }))
            .collect()
    };
    let only_bad = |loud: f64| step(0.0, loud).into_iter().filter(|p| p.1 > 0.0).collect::<Vec<_>>();
    vec![
        series(LB, "RequestCount", "Sum", step(1310.0, 1290.0)),
        series(LB, "HTTPCode_ELB_502_Count", "Sum", only_bad(40.0)),
        series(LB, "HTTPCode_ELB_5XX_Count", "Sum", only_bad(44.0)),
        series(LB, "HTTPCode_Target_5XX_Count", "Sum", vec![(at("01:22:00"), 1.0)]),
        series(LB, "TargetConnectionErrorCount", "Sum", only_bad(38.0)),
        series(LB, "TargetResponseTime", "p50", step(0.042, 0.055)),
        series(LB, "TargetResponseTime", "p99", step(0.31, 9.8)),
        series(
            WEB,
            "HealthyHostCount",
            "Maximum",
            step(4.0, 2.0).into_iter().map(|p| (p.0, p.1.min(4.0).floor())).collect(),
        ),
    ]
}

fn when(at: Timestamp, topic: Topic, fact: Fact) -> Observation {
    Observation { at, source: "elbv2:DescribeTargetHealth".into(), topic, fact, took_ms: 12 }
}

fn healths(ill: bool) -> Fact {
    let mut all: Vec<_> = IDS
        .iter()
        .enumerate()
        .map(|(n, (id, ..))| {
            let mut t = if ill && n < 2 {
                health(id, 8080, "unhealthy", "Target.Timeout")
            } else {
                health(id, 8080, "healthy", "")
            };
            t.az = if n < 2 { "us-east-1a" } else { "us-east-1b" }.into();
            t
        })
        .collect();
    if ill {
        all[0].description = "Request timed out".into();
        all[1].description = "Request timed out".into();
    }
    Fact::TargetHealth(all)
}

pub fn line(clock: &str, group: &str, text: &str) -> LogLine {
    LogLine {
        at: at(clock),
        group: group.into(),
        stream: "web/1".into(),
        id: SafeText::default(),
        text: text.into(),
    }
}

/// Log lines: access lines, errors, Japanese, one very long, one late.
pub fn lines() -> Vec<LogLine> {
    let mut out = Vec::new();
    for n in 0..40 {
        let clock = format!("01:{:02}:{:02}", 50 + n / 20, (n * 3) % 60);
        out.push(line(
            &clock,
            APP,
            &format!("INFO request served method=GET path=/items/{n} status=200 ms={}", 20 + n * 7 % 90),
        ));
    }
    out.push(line(
        "01:53:40",
        NGINX,
        "[error] 31#31: *9118 upstream timed out (110: Connection timed out) while connecting to upstream, client: 203.0.113.77, server: shop.example.com, request: \"GET /cart HTTP/1.1\", upstream: \"http://10.0.11.10:8080/cart\"",
    ));
    out.push(line("01:53:41", APP, "WARN \u{63a5}\u{7d9a}\u{30d7}\u{30fc}\u{30eb}\u{304c}\u{67af}\u{6e07}\u{3057}\u{3066}\u{3044}\u{307e}\u{3059}: \u{4f7f}\u{7528}\u{4e2d} 50/50\u{3001}\u{5f85}\u{6a5f} 17"));
    out.push(line("01:53:42", APP, "GET /checkout HTTP/1.1\" 502 157 \"-\" \"Mozilla/5.0\""));
    out.push(line("01:53:39", APP, "DEBUG retry 1 of 3 for 10.0.11.10:8080"));
    out.push(line(
        "01:53:44",
        APP,
        &format!("ERROR dump of session state follows {}", "{\"k\":\"0123456789abcdef\"},".repeat(400)),
    ));
    out.push(line("01:53:46", APP, "ERROR \u{6c7a}\u{6e08}\u{30b5}\u{30fc}\u{30d3}\u{30b9}\u{306b}\u{63a5}\u{7d9a}\u{3067}\u{304d}\u{307e}\u{305b}\u{3093}: java.net.ConnectException: Connection refused (Connection refused)"));
    out.push(line("01:53:49", APP, "INFO request served method=GET path=/items/9 status=200 ms=31"));
    out.push(line("01:53:50", NGINX, "GET /cart HTTP/1.1\" 502 559 rt=10.001 uct=10.000"));
    out
}

fn happened(clock: &str, by: &str, kind: EntryKind, text: &str) -> Entry {
    Entry { at: at(clock), by: by.into(), kind, text: SafeText::multiline(text), saved: Saved::Yes, id: 0 }
}

fn found(level: Level, text: &str) -> procedure::Finding {
    procedure::Finding { level, text: text.into(), evidence: Vec::new() }
}

fn check(id: &str, title: &str, findings: Vec<procedure::Finding>) -> CheckResult {
    CheckResult {
        id: id.into(),
        title: title.into(),
        asked: vec!["ec2:DescribeNetworkAcls".into()],
        findings,
        unknown: Vec::new(),
        manual: Vec::new(),
    }
}

/// What step 3 found.
pub fn network_step() -> StepResult {
    let mut firewall = check("network.firewall", "Firewall of the host", Vec::new());
    firewall
        .unknown
        .push(Missing { what: "host firewall".into(), reason: "no way to ask the host yet".into() });
    firewall.manual.push(Manual {
        what: "rules in force, on the target".into(),
        run: "sudo nft list ruleset".into(),
        host: "i-0a1b2c3d4e5f60718".into(),
        changes: false,
    });
    let checks = vec![
        check(
            "network.sg",
            "Security groups",
            vec![found(Level::Ok, "8080 is let through from the load balancer")],
        ),
        check(
            "network.paths",
            "Network ACLs and routes",
            vec![
                found(Level::Ok, "routes lead both ways"),
                found(
                    Level::Found,
                    "network ACL acl-0f4d1c2b9a8e7d605 rule 90 denies tcp 8080 into subnet-app-a",
                ),
            ],
        ),
        firewall,
    ];
    StepResult {
        id: 3,
        title: "Network and security".into(),
        state: StepState::of(&checks),
        started: at("01:53:11"),
        finished: at("01:53:12"),
        checks,
    }
}

/// The broken shop, thirteen minutes in.
pub fn broken() -> State {
    let mut state = empty();
    let shop = shop();
    let health = Topic::TargetHealth(WEB.into());
    let identity = Identity {
        account: "123456789012".into(),
        region: "us-east-1".into(),
        profile: "prod".into(),
        ..Identity::default()
    };
    let mut all = shop.observations();
    all.retain(|o| !matches!(o.topic, Topic::TargetHealth(_)));
    for o in &mut all {
        if o.topic == Topic::Target
            && let Fact::Target(t) = &mut o.fact
        {
            t.host = "shop.example.com".into();
            t.addresses = vec!["198.51.100.5".into(), "198.51.100.6".into()];
        }
        o.at = at("01:53:20");
    }
    all.push(observed(Topic::Identity, Fact::Identity(identity)));
    all.push(when(at("01:40:51"), health.clone(), healths(false)));
    all.push(when(at("01:40:58"), health.clone(), healths(true)));
    all.push(when(at("01:53:49"), health, healths(true)));
    all.push(observed(Topic::Metrics(LB.into()), Fact::Metrics(metrics())));
    for group in [APP, NGINX] {
        let tail = Tail { mode: TailMode::Live, note: SafeText::default() };
        all.push(observed(Topic::Tail(group.into()), Fact::Tail(tail)));
    }
    all.push(observed(Topic::Tail(APP.into()), Fact::LogLines(lines())));
    for o in &all {
        state.situation.apply(o);
    }
    state.measured.push(Measured {
        hop: Hop::Target,
        component: "web".into(),
        setting: settings::SERVER_KEEPALIVE.into(),
        seconds: 5.0,
        at: at("01:48:10"),
        source: "probe".into(),
    });
    state.incident.onset = Some(at("01:41:00"));
    state.journal = JournalState::Recording;
    state.steps[0].phase = Phase::Done { at: at("01:42:00"), took_ms: 900 };
    state.steps[0].findings =
        vec![Finding { mark: Mark::Good, text: "Onset 01:41 UTC, 2 of 4 targets concerned".into() }];
    state.steps[2].phase = Phase::Running { since: at("01:53:48"), until: at("01:54:18"), refresh: 4 };
    state.steps[3].phase = Phase::Done { at: at("01:53:12"), took_ms: 480 };
    state.steps[3].result = Some(network_step());
    state.timeline = vec![
        happened(
            "01:40:58",
            "elbv2",
            EntryKind::Health,
            "web i-0a1b2c3d4e5f60718:8080 healthy to unhealthy Target.Timeout",
        ),
        happened(
            "01:40:58",
            "elbv2",
            EntryKind::Health,
            "web i-0b7c1f9e22aa41d03:8080 healthy to unhealthy Target.Timeout",
        ),
        happened("01:42:00", "yui@bastion", EntryKind::Step, "step 0 Preparation: done"),
        happened("01:45:12", "ec2", EntryKind::Config, "network ACLs of vpc-1 changed"),
        happened(
            "01:49:30",
            "ken@laptop",
            EntryKind::Note,
            "\u{6c7a}\u{6e08}\u{30c1}\u{30fc}\u{30e0}\u{306b}\u{9023}\u{7d61}\u{6e08}\u{307f}\u{3002}\n\u{30ed}\u{30fc}\u{30eb}\u{30d0}\u{30c3}\u{30af}\u{306f}\u{307e}\u{3060}\u{3057}\u{306a}\u{3044}\u{3002}",
        ),
        happened("01:53:12", "yui@bastion", EntryKind::Step, "step 3 Network and security: 1 found"),
        happened(
            "01:53:40",
            "yui@bastion",
            EntryKind::Mark,
            "upstream timed out (110: Connection timed out) while connecting to upstream",
        ),
        Entry {
            saved: Saved::Pending,
            id: 9,
            ..happened("01:53:50", "yui@bastion", EntryKind::Note, "asking network team who changed the ACL")
        },
    ];
    state
}

/// The same shop seen with a role that may not look at the network, and with a
/// log group it may not read.
pub fn denied() -> State {
    let mut state = empty();
    let mut shop = shop();
    let may_not = |action: &str| Reason::Denied { action: action.into() };
    shop.failed = vec![
        (Topic::NetworkAcls("vpc-1".into()), may_not("ec2:DescribeNetworkAcls")),
        (Topic::RouteTables("vpc-1".into()), may_not("ec2:DescribeRouteTables")),
        (Topic::TargetHealth(WEB.into()), may_not("elasticloadbalancing:DescribeTargetHealth")),
        (Topic::LbAttributes(LB.into()), may_not("elasticloadbalancing:DescribeLoadBalancerAttributes")),
        (Topic::Metrics(LB.into()), may_not("cloudwatch:GetMetricData")),
    ];
    for o in shop.observations() {
        state.situation.apply(&o);
    }
    let tail = Topic::Tail(APP.into());
    state.situation.apply(&observed(tail, Fact::Unknown(may_not("logs:FilterLogEvents"))));
    state
}

/// The broken shop after the network went away: everything is as last seen.
pub fn stale() -> State {
    let mut state = broken();
    state.now = at("02:07:30");
    let gone = Reason::Offline { detail: "connect: network is unreachable".into() };
    for topic in [
        Topic::TargetHealth(WEB.into()),
        Topic::NetworkAcls("vpc-1".into()),
        Topic::Metrics(LB.into()),
        Topic::Tail(APP.into()),
    ] {
        let o = Observation {
            at: at("01:54:40"),
            source: "aws".into(),
            topic,
            fact: Fact::Unknown(gone.clone()),
            took_ms: 0,
        };
        state.situation.apply(&o);
    }
    state.journal = JournalState::Trouble { line: "the disk is full: free some space".into(), waiting: 3 };
    state
}
