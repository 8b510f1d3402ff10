//! `badgate logs`: counts against an independent reader, every kind of input,
//! every kind of damage, and the command as a user types it.

mod rows;
mod slow;

use badgate::sources::access_log::answer::Answer;
use badgate::sources::access_log::engine::{Outcome, Plan, Progress, find, run};
use badgate::sources::access_log::sketch::ERROR;
use flate2::Compression;
use flate2::write::GzEncoder;
use rows::{Dice, Row, START, odd};
use serde_json::Value;
use slow::Slow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use tempfile::TempDir;

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

fn read(paths: &[&Path], threads: usize) -> Outcome {
    let paths: Vec<PathBuf> = paths.iter().map(|p| p.to_path_buf()).collect();
    let found = find(&paths, None, None);
    let mut out = run(&found.inputs, &Plan { threads, ..Plan::default() }, &Progress::default(), |_| {});
    out.problems.extend(found.problems);
    out
}

fn answer(paths: &[&Path], threads: usize) -> Answer {
    Answer::of(read(paths, threads), 10, 0.0)
}

/// Runs the program, which reads `stdin`.
fn badgate(args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_badgate"))
        .arg("logs")
        .args(args)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    // It may end before all is written.
    let writes = std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    let out = child.wait_with_output().unwrap();
    writes.join().unwrap();
    out
}

fn json_of(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stdout)))
}

fn text_of(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Everything that is counted exactly must be what the slow reader says.
fn same(a: &Answer, slow: &Slow) {
    assert_eq!((a.rows, a.unparsed), (slow.rows, slow.unparsed));
    let pairs: std::collections::BTreeMap<_, _> =
        a.pairs.iter().map(|p| ((p.lb, p.target), p.count)).collect();
    assert_eq!(pairs, slow.pairs);
    let minutes: std::collections::BTreeMap<_, _> = a
        .minutes
        .iter()
        .map(|m| (m.at.strftime("%Y-%m-%dT%H:%M").to_string(), [m.rows, m.lb_502, m.lb_503, m.lb_504]))
        .collect();
    assert_eq!(minutes, slow.minutes);
    let mut targets: Vec<(String, u64)> = slow.targets_502.iter().map(|(t, n)| (t.clone(), *n)).collect();
    targets.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    targets.truncate(10);
    let told: Vec<(String, u64)> = a.targets_502.list.iter().map(|t| (t.name.to_string(), t.count)).collect();
    assert_eq!((told, a.targets_502.lost), (targets, 0));
    assert_eq!(a.target_time.count, slow.target_times.len() as u64);
    for (q, told) in [(0.5, a.target_time.p50), (0.9, a.target_time.p90), (0.99, a.target_time.p99)] {
        let (told, real) = (told.unwrap(), slow.quantile(q));
        assert!((told - real).abs() <= real * ERROR + 1e-9, "p{q}: {told} for {real}");
    }
    assert_eq!(a.target_time.max, slow.target_times.last().map(|ms| *ms as f64 / 1000.0));
    let cause = |id: &str| a.causes.iter().find(|c| c.cause == id).map_or(0, |c| c.count);
    for (id, n) in &slow.causes {
        assert_eq!(cause(id), *n, "{id}");
    }
    let after = [
        "alb-target-keepalive-shorter",
        "app-process-down-or-crashing",
        "alb-target-response-malformed",
        "alb-early-close-on-upload",
        "app-worker-timeout-kill",
        "alb-deregistration-delay-elapsed",
    ];
    assert_eq!(after.map(cause).iter().sum::<u64>(), slow.broken, "every broken-off row has a cause");
    let before = ["alb-target-connection-refused", "alb-target-host-unreachable", "alb-target-tls-failure"];
    assert_eq!(before.map(cause).iter().sum::<u64>(), slow.refused);
}

#[test]
fn counts_are_those_of_a_slow_reader_however_the_rows_come() {
    let dir = TempDir::new().unwrap();
    let lines = odd(100_000, 502);
    let all = lines.concat();
    let slow = Slow::read(&all);
    assert!(
        slow.unparsed > 300 && slow.rows > 99_000,
        "the oddities are there: {} {}",
        slow.rows,
        slow.unparsed
    );

    let plain = dir.path().join("alb.log");
    std::fs::write(&plain, &all).unwrap();
    let one = answer(&[&plain], 1);
    same(&one, &slow);
    for threads in [2, 5] {
        let more = answer(&[&plain], threads);
        same(&more, &slow);
        assert_eq!(
            format!("{:?} {:?} {:?}", one.causes, one.shapes, one.tops),
            format!("{:?} {:?} {:?}", more.causes, more.shapes, more.tops)
        );
    }

    let parts = dir.path().join("parts");
    std::fs::create_dir_all(parts.join("deeper")).unwrap();
    for (i, part) in lines.chunks(7_001).enumerate() {
        let path =
            if i % 2 == 0 { parts.join(format!("{i}.log.gz")) } else { parts.join(format!("deeper/{i}.gz")) };
        // Two members in one file.
        let (a, b) = part.split_at(part.len() / 3);
        std::fs::write(path, [gz(&a.concat()), gz(&b.concat())].concat()).unwrap();
    }
    same(&answer(&[&parts], 2), &slow);
    let pattern = parts.join("**/*gz");
    same(&answer(&[&pattern], 3), &slow);

    let few = lines[..20_000].concat();
    let slow = Slow::read(&few);
    let single = dir.path().join("one.gz");
    std::fs::write(&single, gz(&few)).unwrap();
    for threads in [1, 2] {
        same(&answer(&[&single], threads), &slow);
    }
    let zst = dir.path().join("one.zst");
    let (a, b) = few.split_at(lines[..1000].concat().len());
    let frame = |b: &[u8]| ruzstd::encoding::compress_to_vec(b, ruzstd::encoding::CompressionLevel::Fastest);
    std::fs::write(&zst, [frame(a), frame(b)].concat()).unwrap();
    same(&answer(&[&zst], 2), &slow);
}

#[test]
fn the_document_has_the_members_it_promises() {
    let all = odd(3_000, 7).concat();
    let out = badgate(&["-", "--json", "--threads", "2"], &gz(&all));
    assert_eq!(out.status.code(), Some(1), "{}", text_of(&out));
    let doc = json_of(&out);
    let keys: Vec<&String> = doc.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "schema",
            "files",
            "rows",
            "unparsed",
            "window",
            "pairs",
            "targets_502",
            "target_time",
            "per_minute",
            "causes",
            "shapes",
            "engine",
            "seconds"
        ]
    );
    let slow = Slow::read(&all);
    assert_eq!((doc["schema"].as_str(), doc["engine"].as_str()), (Some("badgate.logs/1"), Some("local")));
    assert_eq!((doc["rows"].as_u64(), doc["files"].as_u64()), (Some(slow.rows), Some(1)));
    assert_eq!(doc["per_minute"].as_array().unwrap().len(), slow.minutes.len());
    let bare =
        doc["pairs"].as_array().unwrap().iter().find(|p| p["lb"] == 502 && p["target"].is_null()).unwrap();
    assert_eq!(bare["count"].as_u64(), slow.pairs.get(&(Some(502), None)).copied());
    for c in doc["causes"].as_array().unwrap() {
        assert!(c["count"].as_u64().unwrap() > 0 && !c["samples"].as_array().unwrap().is_empty(), "{c}");
    }
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(!text.contains('\u{1b}') && !text.contains("?q="), "nothing that moves a cursor, no query");
}

#[test]
fn every_cause_that_rows_can_name_is_in_the_catalogue_of_load_balancers() {
    let a = {
        let dir = TempDir::new().unwrap();
        let p = dir.path().join("a");
        std::fs::write(&p, odd(20_000, 9).concat()).unwrap();
        answer(&[&p], 2)
    };
    let words = badgate::diagnosis::catalogue::Catalogue::load("en").unwrap();
    assert!(a.causes.len() >= 8);
    for c in &a.causes {
        assert!(words.get(c.cause).is_some(), "{}", c.cause);
    }
}

fn write_rows(dir: &Path, name: &str, rows: &[Row]) -> PathBuf {
    let path = dir.join(name);
    let text: String = rows.iter().map(|r| r.text(34) + "\n").collect();
    std::fs::write(&path, text).unwrap();
    path
}

/// An hour of good rows on four targets, with `fault` for some of them.
fn hour(mut fault: impl FnMut(usize, &mut Row, &mut Dice)) -> Vec<Row> {
    let mut d = Dice(11);
    (0..7_200)
        .map(|i| {
            let mut r = Row::good(START + i as i64 * 500_000, &format!("10.0.0.{}:80", 1 + d.below(4)));
            r.path = ["/a", "/b", "/c"][d.below(3) as usize].into();
            r.times[1] = 0.02 + d.part() * 0.1;
            fault(i, &mut r, &mut d);
            r
        })
        .collect()
}

fn fail(r: &mut Row, lb: &str, target_time: f64) {
    (r.lb, r.status) = (lb.into(), "-".into());
    (r.times[1], r.times[2]) = (target_time, -1.0);
}

fn says(a: &Answer, shape: &str) -> String {
    a.shapes.iter().find(|s| s.shape == shape).map_or(String::new(), |s| s.why.to_string())
}

#[test]
fn all_rows_together_tell_causes_apart() {
    let dir = TempDir::new().unwrap();
    let cause = |a: &Answer, id: &str| a.causes.iter().find(|c| c.cause == id).map_or(0, |c| c.count);
    let look = |name: &str, rows: Vec<Row>| answer(&[&write_rows(dir.path(), name, &rows)], 2);

    let a = look(
        "worker",
        hour(|i, r, d| {
            if i % 60 == 0 {
                fail(r, "502", 29.99 + d.part() * 0.05)
            }
        }),
    );
    assert_eq!(cause(&a, "app-worker-timeout-kill"), 120, "{:?}", a.causes);
    assert!(says(&a, "time-cluster").contains("at 30.0 s"), "{:?}", a.shapes);

    let a = look(
        "race",
        hour(|i, r, _| {
            if i % 60 == 0 {
                fail(r, "502", 0.002)
            }
        }),
    );
    assert_eq!(cause(&a, "alb-target-keepalive-shorter"), 120, "{:?}", a.causes);
    assert!(says(&a, "closed-while-idle").contains("4 targets"), "{:?}", a.shapes);

    let a = look(
        "path",
        hour(|_, r, _| {
            if r.path == "/b" {
                fail(r, "502", 0.03)
            }
        }),
    );
    assert!(cause(&a, "alb-target-response-malformed") > 2_000, "{:?}", a.causes);
    assert!(says(&a, "one-path").contains("/b"), "{:?}", a.shapes);

    let a = look(
        "crash",
        hour(|i, r, d| {
            if i % 20 == 0 && r.target.contains("0.3:") {
                fail(r, "502", 0.5 + d.part() * 9.0)
            }
        }),
    );
    assert!(cause(&a, "app-process-down-or-crashing") > 50, "{:?}", a.causes);
    assert!(says(&a, "one-target").contains("10.0.0.3:80"), "{:?}", a.shapes);

    let a = look(
        "upload",
        hour(|i, r, _| {
            if i % 60 == 0 {
                r.received = 900_000;
                fail(r, "502", 0.004)
            }
        }),
    );
    assert_eq!(cause(&a, "alb-early-close-on-upload"), 120, "{:?}", a.causes);
    assert!(says(&a, "large-requests").contains("uploads"), "{:?}", a.shapes);

    let a = look(
        "idle",
        hour(|i, r, _| {
            if i % 60 == 0 {
                fail(r, "504", 60.0)
            }
        }),
    );
    assert_eq!(cause(&a, "alb-target-response-timeout"), 120, "{:?}", a.causes);
    assert!(says(&a, "timeout").contains("the idle timeout"), "{:?}", a.shapes);

    // Half way a target is taken out, and what it still worked on is cut off.
    let a = look(
        "gone",
        hour(|i, r, _| {
            if r.target.contains("0.2:") && i >= 3_600 {
                if i < 3_640 { fail(r, "502", 1.5) } else { r.target = "10.0.0.1:80".into() }
            }
        }),
    );
    assert!(cause(&a, "alb-deregistration-delay-elapsed") >= 3, "{:?}", a.causes);
    assert!(says(&a, "target-gone").contains("10.0.0.2:80"), "{:?}", a.shapes);

    let a = look(
        "onset",
        hour(|i, r, _| {
            if (3_000..4_200).contains(&i) && i % 5 == 0 {
                fail(r, "502", 0.002)
            }
        }),
    );
    assert_eq!(a.onset.map(|t| t.to_string()).as_deref(), Some("2026-05-04T10:25:00Z"), "{:?}", a.shapes);
    assert!(says(&a, "onset").contains("until 2026-05-04T10:35Z"), "{:?}", a.shapes);

    // Nights are quiet: half of the minutes have a quarter of the rows.
    let rows: Vec<Row> = hour(|i, r, _| {
        if i % 40 == 0 {
            fail(r, "502", 0.002)
        }
    })
    .into_iter()
    .enumerate()
    .filter(|(i, r)| r.at_us < START + 1_800_000_000 || i % 40 == 0 || i % 4 == 1)
    .map(|x| x.1)
    .collect();
    let a = look("load", rows);
    assert!(!says(&a, "falls-with-load").is_empty(), "{:?}", a.shapes);
}

#[test]
fn cloudfront_and_the_load_balancer_are_read_as_one_path() {
    let dir = TempDir::new().unwrap();
    write_rows(
        dir.path(),
        "alb.log",
        &hour(|i, r, _| {
            if i % 100 == 0 {
                fail(r, "502", 0.002)
            }
        }),
    );
    let mut edge = String::from(
        "#Version: 1.0\n#Fields: date time x-edge-location sc-status cs-uri-stem time-taken x-edge-detailed-result-type x-edge-result-type c-ip\n",
    );
    let rows = hour(|i, r, _| {
        if i % 100 == 0 {
            fail(r, "502", 0.002)
        }
    });
    for r in rows.iter().step_by(100) {
        let at = rows::stamp(r.at_us);
        edge += &format!(
            "{}\t{}\tSEA\t502\t{}\t0.010\tOriginError\tError\t192.0.2.1\n",
            &at[..10],
            &at[11..19],
            r.path
        );
    }
    for i in 0..30 {
        edge += &format!(
            "2026-05-04\t10:{:02}:30\tSEA\t502\t/elsewhere\t0.010\tOriginDnsError\tError\t192.0.2.1\n",
            i
        );
    }
    std::fs::write(dir.path().join("cf.tsv"), edge).unwrap();
    let a = answer(&[dir.path()], 2);
    let j = a.joined.unwrap();
    assert_eq!((j.edge, j.relayed, j.alone, j.changed), (102, 72, 30, 0));
    assert!(says(&a, "relayed").starts_with("72 of 102"), "{:?}", a.shapes);
    assert!(a.causes.iter().any(|c| c.cause == "cf-origin-dns-error" && c.count == 30), "{:?}", a.causes);
}

#[test]
fn damage_is_counted_named_and_bounded() {
    let dir = TempDir::new().unwrap();
    let p = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let all = odd(4_000, 3).concat();
    let problem = |o: &Outcome| {
        o.problems.iter().map(|p| format!("{}: {}", p.file, p.what)).collect::<Vec<_>>().join("; ")
    };

    let packed = gz(&all);
    let cut = read(&[&p("cut.gz", &packed[..packed.len() / 2])], 2);
    assert!(cut.tally.rows > 500 && problem(&cut).contains("is cut off"), "{}", problem(&cut));
    let mut broken = packed.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 40].fill(0x55);
    let hurt = read(&[&p("hurt.gz", &broken)], 1);
    assert!(hurt.tally.rows > 500 && problem(&hurt).contains("damaged"), "{}", problem(&hurt));

    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b'x'; 24 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let o = read(&[&p("bomb.gz", &bomb)], 2);
    assert!(problem(&o).contains("unpacks to more than"), "{}", problem(&o));

    for (name, bytes, why) in [
        ("empty", b"".to_vec(), "is empty"),
        ("binary", (0..=255u8).cycle().take(9_000).collect(), "binary"),
        ("x.parquet", b"PAR1xxxx".to_vec(), "Parquet"),
        ("x.xz", b"\xfd7zXZ\0".to_vec(), "is xz"),
        ("words", b"this is\nno access log\n".to_vec(), "none of its 2 lines"),
    ] {
        let o = read(&[&p(name, &bytes)], 2);
        assert!(problem(&o).contains(why) && o.tally.rows == 0, "{name}: {}", problem(&o));
    }
    let o = read(&[&p("binary.gz", &gz(&(0..=255u8).cycle().take(9_000).collect::<Vec<u8>>()))], 2);
    assert!(problem(&o).contains("binary"), "{}", problem(&o));

    let good = Row::good(START, "a:1").text(34);
    let long = [good.as_bytes(), b"\n", &vec![b'y'; 10 << 20], b"\n", good.as_bytes()].concat();
    let o = read(&[&p("long", &long)], 2);
    assert_eq!((o.tally.rows, o.tally.unparsed), (2, 1), "{}", problem(&o));
    assert!(problem(&o).contains("1 line longer than 1 MiB passed over"), "{}", problem(&o));

    // Two parts of one file: still one sentence.
    let twice = [&long[..], &vec![b'z'; 10 << 20], b"\n", good.as_bytes()].concat();
    let o = read(&[&p("twice", &twice)], 2);
    assert_eq!(problem(&o).matches("longer than").count(), 1, "{}", problem(&o));
    assert!(problem(&o).contains("2 lines longer than 1 MiB passed over"), "{}", problem(&o));

    let o = read(&[&p("empty.gz", &gz(b""))], 2);
    assert!(o.notes.iter().any(|n| n.what.contains("holds no row")), "{:?}", o.notes);

    // A clock that jumps for a row makes that row odd, not all that follow.
    let days = 86_400_000_000;
    let clock: Vec<String> = (0..2_000i64)
        .map(|i| match i {
            500 => Row::good(START + 900 * days, "a:1").text(34),
            900 => Row::good(START - 20_000 * days, "a:1").text(34),
            _ => Row::good(START + i * 1_000_000, "a:1").text(34),
        })
        .collect();
    let clock = p("clock", clock.join("\n").as_bytes());
    assert_eq!(read(&[&clock], 1).tally.late, 1);
    let out = badgate(&[clock.to_str().unwrap()], b"");
    assert!(text_of(&out).contains("Every minute"), "{}", text_of(&out));
    assert!(text_of(&out).contains("2 rows of 2 minutes more than a day away"), "{}", text_of(&out));

    let crlf = format!("{good}\r\n{good}\r\n\r\n");
    let o = read(&[&p("crlf", crlf.as_bytes())], 1);
    assert_eq!((o.tally.rows, o.tally.unparsed), (2, 0));

    let o = read(&[&dir.path().join("nowhere"), &dir.path().join("no*where")], 1);
    assert!(problem(&o).contains("no such file") && problem(&o).contains("no file fits"), "{}", problem(&o));
}

#[test]
fn formats_mix_in_a_folder() {
    let dir = TempDir::new().unwrap();
    write_rows(dir.path(), "alb.log", &[Row::good(START, "a:1")]);
    std::fs::write(
        dir.path().join("nginx.log"),
        "203.0.113.9 - - [04/May/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 502 5 \"-\" \"x\"\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("gw.json"), "{\"requestId\":\"1\",\"status\":\"502\",\"requestTime\":\"04/May/2026:10:00:00 +0000\"}\nnot a row\n").unwrap();
    std::fs::write(dir.path().join("none.log"), "").unwrap();
    let a = answer(&[dir.path()], 2);
    assert_eq!((a.rows, a.unparsed, a.files, a.formats.len()), (3, 1, 3, 3));
    assert_eq!(a.unreadable[0].line, "not a row");
    assert!(a.problems.iter().any(|p| p.what == "is empty"));
}

#[test]
fn a_window_and_a_filter_choose_rows() {
    let dir = TempDir::new().unwrap();
    let path = write_rows(
        dir.path(),
        "a.log",
        &hour(|i, r, _| {
            if i % 60 == 0 {
                fail(r, "502", 0.002)
            }
        }),
    );
    let path = path.to_str().unwrap();
    let rows =
        |args: &[&str]| json_of(&badgate(&[&[path, "--json"], args].concat(), b""))["rows"].as_u64().unwrap();
    assert_eq!(rows(&[]), 7_200);
    assert_eq!(rows(&["--since", "2026-05-04T10:30Z"]), 3_600);
    assert_eq!(rows(&["--since", "2026-05-04T10:30Z", "--until", "2026-05-04T10:31Z"]), 120);
    assert_eq!(rows(&["--where", "status=502 and target_time<10ms"]), 120);
    assert_eq!(rows(&["--where", "shape=broken and not path='/none'"]), 120);
    assert_eq!(rows(&["--since", "30m"]), 0, "they are of another day");
    assert_eq!(rows(&["--format", "web"]), 0);

    // Names of a load balancer's files say which can be left closed.
    let named = dir.path().join("d");
    std::fs::create_dir(&named).unwrap();
    for t in ["20260504T1005Z", "20260504T1035Z", "20260504T2335Z"] {
        std::fs::copy(path, named.join(format!("1_elasticloadbalancing_r_app.x.1_{t}_10.0.0.9_x.log")))
            .unwrap();
    }
    let found = find(&[named], "2026-05-04T10:20:00Z".parse().ok(), "2026-05-04T10:40:00Z".parse().ok());
    assert_eq!((found.inputs.len(), found.skipped), (1, 2));
    assert_eq!(found.inputs[0].node, b"10.0.0.9");
}

#[test]
fn reading_can_be_stopped() {
    let dir = TempDir::new().unwrap();
    let path = write_rows(dir.path(), "a.log", &hour(|_, _, _| {}));
    let found = find(&[path], None, None);
    let progress = Progress::default();
    progress.stop.store(true, Ordering::Relaxed);
    let out = run(&found.inputs, &Plan::default(), &progress, |_| {});
    assert!(out.stopped && out.tally.rows == 0);
}

#[test]
fn what_is_typed_wrong_is_told_in_one_line() {
    for (args, why) in [
        (&[][..], "FILE is missing"),
        (&["x", "--where", "statsu=1"], "did you mean 'status'?"),
        (&["x", "--since", "yesterday"], "is no time"),
        (&["x", "--since", "2026-05-04", "--until", "2026-05-03"], "is not before --until"),
        (&["x", "--format", "albx"], "did you mean 'alb'?"),
        (&["x", "--log-format", "$status"], "has no time"),
        (&["-", "-"], "only once"),
        (&["x", "--threads", "0"], "--threads"),
        (&["--follow", "a", "b"], "one file"),
        (&["--follow", "s3://bucket/x"], "of this machine"),
        (&["s3://bucket/prefix", "--ddl"], "one account and region"),
        (&["s3://bucket/AWSLogs/1/elasticloadbalancing/r/", "--ddl", "--table", "a b"], "letters"),
        (&["x", "--ddl"], "one place in S3"),
    ] {
        let out = badgate(args, b"");
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {err}");
        assert!(err.contains(why) && err.lines().count() == 1, "{args:?}: {err}");
    }
    for (args, why) in [(&["/nowhere/at/all"][..], "no such file"), (&["-"], "there is no row")] {
        let out = badgate(args, b"");
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.code() != Some(0) && err.contains(why) && err.lines().count() == 1,
            "{args:?}: {err}"
        );
    }
}

#[test]
fn the_picture_fits_its_columns_and_holds_nothing_hostile() {
    let all = odd(20_000, 21).concat();
    let out = badgate(&["-"], &all);
    let text = String::from_utf8(out.stdout).unwrap();
    for part in [
        "rows failed (5xx)",
        "Causes the rows speak for",
        "alb-target-connection-refused",
        "onset",
        "Targets, worst first",
        "5xx by paths",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    for line in text.lines() {
        assert!(badgate::text::width(line) <= 80, "{line}");
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    let out = badgate(&["-", "--ascii"], &all);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(!text.contains(['\u{2588}', '\u{2026}', '\u{2581}']), "{text}");
}

/// Runs `--follow` and hands over its lines of JSON as they come.
fn follow(args: &[&str]) -> (std::process::Child, std::sync::mpsc::Receiver<Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_badgate"))
        .args(["logs", "--follow"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(out).map_while(Result::ok) {
            let _ = tx.send(serde_json::from_str(&line).unwrap());
        }
    });
    (child, rx)
}

/// Waits for a document that has so many rows.
fn until_rows(rx: &std::sync::mpsc::Receiver<Value>, rows: u64) -> Value {
    loop {
        let doc = rx.recv_timeout(std::time::Duration::from_secs(60)).expect("a further document");
        if doc["rows"] == rows {
            return doc;
        }
    }
}

#[test]
fn a_file_is_followed_through_growth_cut_and_rotation() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.log");
    let row = Row::good(START, "a:1").text(34) + "\n";
    std::fs::write(&path, row.repeat(2)).unwrap();
    let (mut child, rx) = follow(&[path.to_str().unwrap()]);
    assert_eq!(until_rows(&rx, 2)["schema"], "badgate.logs/1");
    let append = |text: &str| {
        let mut f = std::fs::File::options().append(true).open(&path).unwrap();
        f.write_all(text.as_bytes()).unwrap();
    };
    // A row that comes in two halves is one row.
    append(&row[..50]);
    append(&format!("{}{row}", &row[50..]));
    until_rows(&rx, 4);
    std::fs::write(&path, &row).unwrap();
    until_rows(&rx, 5);
    std::fs::rename(&path, dir.path().join("a.log.1")).unwrap();
    std::fs::write(&path, row.repeat(2)).unwrap();
    until_rows(&rx, 7);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let last = std::iter::from_fn(|| rx.recv().ok()).last();
    assert_eq!(last.unwrap()["rows"], 7, "the last word comes at the end");
}

#[test]
fn standard_input_is_followed_to_its_end() {
    let (mut child, rx) = follow(&["-"]);
    let mut pipe = child.stdin.take().unwrap();
    let mut bad = Row::good(START, "a:1");
    fail(&mut bad, "502", 0.002);
    pipe.write_all(format!("{}\nno row\n", bad.text(34)).as_bytes()).unwrap();
    until_rows(&rx, 1);
    // The last one lacks its line feed.
    pipe.write_all(bad.text(34).as_bytes()).unwrap();
    drop(pipe);
    let last = until_rows(&rx, 2);
    assert_eq!((&last["unparsed"], &last["per_minute"][0]["lb_502"]), (&Value::from(1), &Value::from(2)));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
