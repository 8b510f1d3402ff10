use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::journal::Why;

fn t(clock: &str) -> Timestamp {
    format!("2026-11-22T{clock}Z").parse().unwrap()
}

fn rec(clock: &str, by: &str, kind: Kind, data: Value) -> Record {
    Record::new(t(clock), by.into(), kind, data)
}

fn health(clock: &str, state: &str, reason: &str) -> Record {
    let target = json!({"id": "i-0a1", "port": 8080, "state": state, "reason": reason});
    rec(
        clock,
        "elbv2:DescribeTargetHealth",
        Kind::Observed,
        json!({"topic": "target_health", "of": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1", "fact": "target_health",
            "data": [target]}),
    )
}

/// An incident as the console records it.
fn incident() -> Vec<Record> {
    vec![
        rec(
            "01:41:10",
            "yui@bastion",
            Kind::Opened,
            json!({"target": "shop.example.com", "version": "0.1.0", "resumed": false}),
        ),
        rec(
            "01:41:11",
            "sts:GetCallerIdentity",
            Kind::Observed,
            json!({"topic": "identity", "fact": "identity",
            "data": {"account": "123456789012", "region": "eu-west-1"}}),
        ),
        health("01:41:12", "healthy", ""),
        health("01:42:12", "unhealthy", "Target.Timeout"),
        rec(
            "01:43:00",
            "yui@bastion",
            Kind::Step,
            json!({"id": 3, "title": "network", "state": "found 1",
            "checks": [{"id": "network.paths", "title": "paths", "asked": ["ec2:DescribeNetworkAcls"],
                "findings": [{"level": "found", "text": "nacl-app rule 90 denies tcp/8080"}],
                "unknown": [{"what": "flow logs", "reason": "access denied"}], "manual": []}]}),
        ),
        rec(
            "01:44:00",
            "badgate",
            Kind::Verdict,
            json!({"cause": "nacl-denies-target-port", "standing": "possible"}),
        ),
        rec(
            "01:45:00",
            "badgate",
            Kind::Verdict,
            json!({"cause": "nacl-denies-target-port", "standing": "confirmed", "hop": "target",
            "evidence": [{"polarity": "for", "what": "rule 90", "value": "deny tcp/8080", "source": "ec2", "at": "2026-11-22T01:44:59Z"}],
            "next": ["allow 8080 from 10.0.1.0/24"]}),
        ),
        rec("01:46:00", "ken@laptop", Kind::Note, json!({"text": "impact: checkout down for all of Europe"})),
        rec(
            "01:40:31",
            "ken@laptop",
            Kind::Mark,
            json!({"text": "ReplaceNetworkAclEntry by deploy", "source": "cloudtrail", "phase": "onset"}),
        ),
        rec(
            "01:53:00",
            "yui@bastion",
            Kind::Note,
            json!({"text": "mitigated: rule 90 removed\nsecond line"}),
        ),
        rec("01:59:00", "ken@laptop", Kind::Note, json!({"text": "Action: test NACLs in CI"})),
        rec("02:10:00", "yui@bastion", Kind::Note, json!({"text": "calm", "phase": "resolved"})),
        rec(
            "02:11:00",
            "badgate",
            Kind::Gap,
            json!({"what": "log lines", "reason": "the cap was reached", "count": 7}),
        ),
        rec("02:12:00", "yui@bastion", Kind::Closed, json!({})),
    ]
}

fn options(level: Level) -> Options {
    Options {
        file: PathBuf::from("/state/shop-2026-11-22.incident.jsonl"),
        generated: t("09:00:00"),
        lang: Lang::En,
        level,
        filter: Filter::default(),
        problems: vec![Problem {
            file: PathBuf::from("/state/shop-2026-11-22.incident.jsonl"),
            line: 9,
            offset: 1234,
            why: Why::Torn,
            kept: false,
            excerpt: SafeText::default(),
        }],
    }
}

#[test]
fn the_postmortem_has_its_facts_filled_in() {
    let text = postmortem(&incident(), &options(Level::Default)).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn every_format_says_what_it_is_made_of() {
    for format in [Format::Markdown, Format::Html, Format::Json, Format::Csv] {
        let mut o = options(Level::None);
        o.filter.kinds = vec![Kind::Note, Kind::Mark];
        o.filter.from = Some(t("01:00:00"));
        let text = export(&incident(), &o, format).unwrap();
        for want in [
            "shop-2026-11-22.incident.jsonl",
            "01:40:31",
            "02:10:00",
            "from 2026-11-22 01:00:00Z; kinds note, mark",
            "09:00:00",
            "badgate.export/1",
            "not redacted: it may hold",
            "line 9 (byte 1234)",
        ] {
            assert!(text.contains(want), "{format:?} does not say {want:?}:\n{text}");
        }
        let count = if format == Format::Json { "\"records_exported\": 5" } else { "5 of 14" };
        assert!(text.contains(count), "{format:?}");
    }
}

#[test]
fn phases_that_nobody_recorded_are_said_to_be_unknown() {
    let text =
        postmortem(&[rec("01:46:00", "x@y", Kind::Note, json!({"text": "hm"}))], &options(Level::Default))
            .unwrap();
    for phase in incident::PHASES {
        assert!(text.contains(&format!("| {phase} | not recorded | `not recorded` |")), "{phase}:\n{text}");
    }
    assert!(text.contains("- time to resolve: not recorded"));
    assert!(text.contains("No step was run."));
}

#[test]
fn the_onset_comes_from_the_metrics_when_nobody_marked_it() {
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/shop/1";
    let records = onset_records(arn);
    let text = postmortem(&records, &options(Level::Default)).unwrap();
    assert!(text.contains("| onset | 2026-11-22 01:40:00Z |"), "{text}");
    assert!(text.contains("5xx responses went from"), "{text}");
}

/// Twenty quiet minutes and ten bad ones, as the fold wants them.
fn onset_records(arn: &str) -> Vec<Record> {
    use crate::situation::metric::{MetricKey, Series};
    use crate::situation::{Fact, Observation, ResolvedTarget, Topic};
    let series = |name: &str, value: fn(i64) -> f64| Series {
        key: MetricKey::alb(SafeText::new(arn), name, "Sum"),
        points: (0..30).map(|m| (t("01:20:00") + jiff::SignedDuration::from_mins(m), value(m))).collect(),
        period_s: 60,
    };
    let facts = vec![
        (Topic::Target, Fact::Target(ResolvedTarget { lb: arn.into(), ..ResolvedTarget::default() })),
        (
            Topic::Metrics(arn.into()),
            Fact::Metrics(vec![
                series("RequestCount", |_| 1000.0),
                series("HTTPCode_ELB_502_Count", |m| if m < 20 { 0.0 } else { 120.0 }),
            ]),
        ),
    ];
    facts
        .into_iter()
        .map(|(topic, fact)| {
            let o = Observation { at: t("01:50:30"), source: "cloudwatch".into(), topic, fact, took_ms: 1 };
            Record::new(o.at, o.source.clone(), Kind::Observed, serde_json::to_value(&o).unwrap())
        })
        .collect()
}

#[test]
fn nothing_to_export_is_an_error() {
    let mut o = options(Level::Default);
    o.filter.from = Some(t("23:00:00"));
    let error = postmortem(&incident(), &o).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing to export: none of 14 record(s) passes the filter (from 2026-11-22 23:00:00Z)"
    );
}

#[test]
fn json_is_the_whole_incident() {
    let text = export(&incident(), &options(Level::Default), Format::Json).unwrap();
    let v: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(v["schema"], SCHEMA);
    assert_eq!(v["records"].as_array().unwrap().len(), 14);
    assert_eq!(v["records"][0]["data"]["target"], "shop.example.com");
    assert_eq!(
        v["range"],
        json!({"from": "2026-11-22T01:40:31.000000Z", "to": "2026-11-22T02:12:00.000000Z"})
    );
    assert_eq!(v["incident"]["durations"]["time_to_resolve"], "29m 29s");
    assert_eq!(v["incident"]["verdicts"][0]["standing"], "confirmed");
    assert_eq!(v["warning"], Value::Null);
}

/// Reads RFC 4180.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {
                chars.next();
                rows.push(vec![String::new()]);
            }
            c => row.last_mut().unwrap().push(c),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "ends with CRLF");
    rows
}

#[test]
fn csv_can_be_read_back_and_holds_no_formula() {
    let mut records = incident();
    let nasty = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        " =1",
        "\u{ff1d}1",
        "a,b;c",
        "say \"hi\"",
        "two\nlines",
        "-",
    ];
    for text in nasty {
        records.push(rec("03:00:00", text, Kind::Note, json!({ "text": text })));
    }
    let rows = parse_csv(&export(&records, &options(Level::Default), Format::Csv).unwrap());
    assert_eq!(rows[0], ["at", "logged", "by", "kind", "summary", "data"]);
    assert_eq!(rows[1][3], "export");
    assert_eq!(rows[2][3], "problem");
    assert_eq!(rows.len(), 3 + records.len());
    for row in &rows {
        assert_eq!(row.len(), 6);
        for cell in row {
            let first = cell.trim_start().chars().next().unwrap_or('x');
            assert!(!"=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}\t\r".contains(first), "{cell:?}");
        }
    }
    let data: Value = serde_json::from_str(&rows[3][5]).unwrap();
    assert_eq!(data["target"], "shop.example.com");
    assert_eq!(rows[3 + 14 + 8][4], "two\nlines");
    assert_eq!(rows[3 + 14][4], format!("'{}", nasty[0]));
}

/// What would be markup, were it not for the code around it.
const HOSTILE: [&str; 14] = [
    "[click](http://evil.invalid)",
    "![x](http://evil.invalid/p.png)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "```\n# escaped\n```",
    "`` ` `` ``` [a](b)",
    "`",
    "# heading\n## another\n- [ ] item",
    "http://evil.invalid www.evil.invalid evil@evil.invalid",
    "| a | b |\n|---|---|",
    "</pre></code><a href=\"javascript:alert(1)\">x</a>",
    "\u{1b}]8;;http://evil.invalid\u{7}x\u{202e}",
    "~~~\nx\n~~~",
    "&lt;b&gt; \" onmouseover=\"x",
];

/// Takes code blocks and code spans out of Markdown, as CommonMark reads them.
fn without_code(text: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<usize> = None;
    for line in text.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(n) if ticks >= n && line[ticks..].trim().is_empty() => fence = None,
            Some(_) => {}
            None if ticks >= 3 && !line[ticks..].contains('`') => fence = Some(ticks),
            None => {
                let mut rest = line;
                while let Some(at) = rest.find('`') {
                    out.push_str(&rest[..at]);
                    let n = rest[at..].chars().take_while(|c| *c == '`').count();
                    let body = &rest[at + n..];
                    // The span ends at the next run of just as many.
                    let mut i = 0;
                    let end = loop {
                        let Some(next) = body[i..].find('`') else { break None };
                        let run = body[i + next..].chars().take_while(|c| *c == '`').count();
                        if run == n {
                            break Some(i + next + run);
                        }
                        i += next + run;
                    };
                    let Some(end) = end else { panic!("a code span never ends: {line}") };
                    rest = &body[end..];
                }
                out.push_str(rest);
                out.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a code block never ends");
    out
}

#[test]
fn hostile_text_is_no_markup_in_any_format() {
    let plain = {
        let records: Vec<Record> = hostile_records("harmless");
        without_code(&postmortem(&records, &options(Level::Default)).unwrap())
    };
    for text in HOSTILE {
        let records = hostile_records(text);
        let markdown = postmortem(&records, &options(Level::Default)).unwrap();
        // Outside of code nothing depends on what was recorded.
        assert_eq!(without_code(&markdown), plain, "{text}");
        let html = export(&records, &options(Level::Default), Format::Html).unwrap();
        for bad in ["<script", "<img", "<a ", "</pre></code>", "onerror=alert(1)>"] {
            assert!(!html.contains(bad), "{text}: {html}");
        }
        let tags = |s: &str| s.matches('<').count();
        let harmless = export(&hostile_records("harmless"), &options(Level::Default), Format::Html).unwrap();
        assert_eq!(tags(&html), tags(&harmless), "{text}");
        for format in [Format::Markdown, Format::Html, Format::Json, Format::Csv] {
            let out = export(&records, &options(Level::Default), format).unwrap();
            assert!(!out.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{text}");
        }
    }
}

/// Every place of a record that others can write, filled with `text`.
fn hostile_records(text: &str) -> Vec<Record> {
    let at = "01:00:00";
    vec![
        rec(
            at,
            text,
            Kind::Opened,
            json!({"target": text, "account": text, "region": text, "version": text}),
        ),
        rec(at, text, Kind::Note, json!({ "text": text })),
        rec(at, text, Kind::Note, json!({"text": format!("action: {text}")})),
        rec(at, text, Kind::Note, json!({"text": format!("impact: {text}")})),
        rec(at, text, Kind::Mark, json!({"text": text, "source": text, "phase": "mitigated"})),
        rec(
            at,
            text,
            Kind::Step,
            json!({"id": text, "title": text, "state": text, "findings": [text, {"level": text, "text": text}],
            "unknown": [{"what": text, "reason": text}]}),
        ),
        rec(
            at,
            text,
            Kind::Verdict,
            json!({"cause": text, "standing": text, "hop": text, "next": [text],
            "evidence": [{"polarity": text, "what": text, "value": text, "source": text, "at": text}]}),
        ),
        rec(at, text, Kind::Action, json!({"what": text, "undo": text, "state": text})),
        rec(at, text, Kind::Gap, json!({"what": text, "reason": text})),
        rec(at, text, Kind::from_name(text), json!({ text: text })),
    ]
}

#[test]
fn the_words_of_records_do_not_need_their_members() {
    for kind in ["opened", "observed", "step", "note", "mark", "verdict", "action", "gap", "closed", "dream"]
    {
        for data in [
            json!({}),
            json!(null),
            json!([1]),
            json!({"text": 5}),
            json!({"findings": "x", "checks": 7, "evidence": {}}),
        ] {
            let records = [rec("01:00:00", "x@y", Kind::from_name(kind), data)];
            for format in [Format::Markdown, Format::Html, Format::Json, Format::Csv] {
                assert!(!export(&records, &options(Level::All), format).unwrap().is_empty());
            }
        }
    }
}

#[test]
fn formats_have_names() {
    for (name, format) in
        [("md", Format::Markdown), ("html", Format::Html), ("json", Format::Json), ("csv", Format::Csv)]
    {
        assert_eq!(name.parse::<Format>().unwrap(), format);
        assert_eq!(format.extension(), name);
    }
    assert!("pdf".parse::<Format>().unwrap_err().contains("known: md, html, json, csv"));
}

#[test]
fn the_cause_stays_the_cause_after_it_was_mended() {
    let verdict = |clock: &str, standing: &str, was: &str| {
        rec(
            clock,
            "badgate",
            Kind::Verdict,
            json!({"cause": "nacl-forward-denied", "standing": standing, "hop": "network", "was": was,
                "text": format!("{standing} nacl-forward-denied (was {was})"),
                "evidence": [{"polarity": "for", "what": "path shop to web", "value": "rule 90 denies tcp/8080",
                    "source": "ec2:DescribeNetworkAcls", "at": "2026-11-22T01:40:00Z"}],
                "next": ["Insert an allow with a lower number."]}),
        )
    };
    let mut records = incident();
    records.retain(|r| r.kind != Kind::Verdict);
    records.push(verdict("01:44:00", "likely", ""));
    records.push(verdict("01:45:00", "confirmed", "likely"));
    records.push(verdict("01:59:00", "ruled_out", "confirmed"));
    let all = |format| export(&records, &options(Level::Default), format).unwrap();
    let text = all(Format::Markdown);
    assert!(text.contains("cause: `nacl-forward-denied` (confirmed, ruled out since 01:59:00Z)"), "{text}");
    assert!(text.contains("rule 90 denies tcp/8080"), "{text}");
    assert!(!text.contains("nacl-forward-denied confirmed: confirmed"), "{text}");
    let v: Value = serde_json::from_str(&all(Format::Json)).unwrap();
    assert_eq!(v["incident"]["verdicts"][0]["standing"], "confirmed");
    assert_eq!(v["incident"]["verdicts"][0]["later"]["standing"], "ruled out");
    assert!(all(Format::Html).contains("ruled out since 01:59:00Z"));
}

#[test]
fn the_onset_stays_when_it_is_over_and_an_open_console_has_not_noticed_by_being_opened() {
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/shop/1";
    let mut records = onset_records(arn);
    let later =
        |at: &str, kind: Kind, data: serde_json::Value| Record::new(t(at), "yui@bastion".into(), kind, data);
    records.insert(0, later("01:00:00", Kind::Opened, json!({"target": "shop"})));
    // Half an hour without an error: at the end of the file nothing is wrong any more.
    let quiet = {
        use crate::situation::metric::{MetricKey, Series};
        use crate::situation::{Fact, Observation, Topic};
        let points =
            (0..370).map(|m| (t("01:50:00") + jiff::SignedDuration::from_mins(m), 0.0)).collect::<Vec<_>>();
        let series = |name: &str| Series {
            key: MetricKey::alb(SafeText::new(arn), name, "Sum"),
            points: points.clone(),
            period_s: 60,
        };
        let fact = Fact::Metrics(vec![series("RequestCount"), series("HTTPCode_ELB_502_Count")]);
        let at = t("08:00:30");
        let topic = Topic::Metrics(arn.into());
        let o = Observation { at, source: "cloudwatch".into(), topic, fact, took_ms: 1 };
        Record::new(at, "cloudwatch".into(), Kind::Observed, serde_json::to_value(&o).unwrap())
    };
    records.push(later("01:47:10", Kind::Step, json!({"id": 3, "title": "Network", "state": "done"})));
    records.push(quiet);
    let text = postmortem(&records, &options(Level::Default)).unwrap();
    assert!(text.contains("| onset | 2026-11-22 01:40:00Z |"), "{text}");
    assert!(text.contains("| detected | 2026-11-22 01:47:10Z | `the first step or note"), "{text}");
    assert!(text.contains("- time to detect: 7m 10s"), "{text}");
}

#[test]
fn phases_of_a_drill_come_from_its_debrief() {
    let phases = json!({"onset": t("01:40:00"), "detected": t("01:41:00"), "diagnosed": null, "mitigated": t("01:52:00")});
    let note =
        Record::new(t("02:00:00"), "drill".into(), Kind::Note, json!({"text": "drill x", "phases": phases}));
    let text = postmortem(&[note], &options(Level::Default)).unwrap();
    assert!(text.contains("- time to detect: 1m"), "{text}");
    assert!(text.contains("| mitigated | 2026-11-22 01:52:00Z | `the debrief of the drill`"), "{text}");
}
