use std::os::unix::fs::PermissionsExt;

use badgate::journal::{Entry, Kind, ReadError, Reader, Record, Why, parse, read};
use jiff::Timestamp;
use rstest::rstest;
use serde_json::json;

use super::{file_of, record, write};

/// What `record` becomes once written and read: only `logged` is as given.
fn read_back(line: &[u8]) -> Record {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", line);
    let mut all = read(&path).unwrap();
    assert_eq!(all.problems, []);
    assert_eq!(all.records.len(), 1);
    all.records.remove(0)
}

#[test]
fn a_line_is_exactly_what_the_contract_says() {
    let mut r = record(2);
    r.logged = "2026-11-22T01:41:00Z".parse().unwrap();
    let line = String::from_utf8(r.clone().to_line()).unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"v":1,"at":"2026-11-22T01:40:58.197456Z","logged":"2026-11-22T01:41:00.000000Z","by":"yui@bastion","#,
            r#""kind":"mark","data":{"text":"2 ERROR [x] ^[[31mrefused","source":"log"},"crc":"#,
        )
        .to_owned()
            + &line[line.len() - 12..]
    );
    assert!(line.ends_with("\"}\n") && line.matches('\n').count() == 1);
    assert_eq!(read_back(line.as_bytes()), r);
}

#[test]
fn times_are_utc_with_whole_microseconds() {
    let t: Timestamp = "2026-11-22T10:41:00.123456789+09:00".parse().unwrap();
    let r = Record::new(t, "x".into(), Kind::Note, json!({"text": ""}));
    assert!(
        String::from_utf8(r.clone().to_line()).unwrap().contains(r#""at":"2026-11-22T01:41:00.123456Z""#)
    );
    assert_eq!(read_back(&r.clone().to_line()).at, r.at);
}

#[test]
fn unknown_kinds_are_kept_under_their_name() {
    let r = Record::new(super::start(), "x".into(), Kind::from_name("dream"), json!({"a": 1}));
    assert_eq!(read_back(&r.to_line()).kind, Kind::Foreign("dream".into()));
}

#[test]
fn text_written_by_others_is_sanitised_when_read() {
    let line = br#"{"v":1,"at":"2026-11-22T01:41:00Z","logged":"2026-11-22T01:41:00Z","by":"\u001b]0;x","kind":"no\u0007te","data":{"te\u202ext":"a\u001b[2J\nb"}}
"#;
    let r = read_back(line);
    assert_eq!(r.by, "^[]0;x");
    assert_eq!(r.kind, Kind::Foreign("no^Gte".into()));
    assert_eq!(r.data, json!({"te\\u{202e}xt": "a^[[2J\nb"}));
}

/// Cut at every byte: what was whole before the cut is read exactly, and the
/// cut is reported, or the cut was between two lines.
#[test]
fn truncation_at_every_byte_keeps_the_longest_prefix() {
    let short = |n: u64| Record::new(super::start(), "y@b".into(), Kind::Note, json!({"text": n}));
    let all: Vec<Record> = (0..1000).map(short).collect();
    let whole: Vec<u8> = all.iter().flat_map(|r| r.clone().to_line()).collect();
    // Offsets at which a record is complete: at its closing brace.
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "cut.incident.jsonl", &whole);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let mut complete = ends.len();
    // From the end, so that the one file is only ever made shorter.
    for cut in (1..whole.len()).rev() {
        while complete > 0 && ends[complete - 1] > cut {
            complete -= 1;
        }
        // The lines far before a cut are the same bytes for many cuts; they
        // are read again for some of them only, and then from the file.
        let skipped = match complete {
            _ if cut % 1999 == 0 || cut < 1000 => 0,
            n if n > 0 && ends[n - 1] == cut => n - 1,
            n => n,
        };
        let (records, problems) = if skipped == 0 {
            file.set_len(cut as u64).unwrap();
            let got = read(&path).unwrap();
            (got.records, got.problems)
        } else {
            let mut records = Vec::new();
            let mut problems = Vec::new();
            for entry in parse(&path, &whole[ends[skipped - 1] + 1..cut]) {
                match entry {
                    Entry::Record(r) => records.push(r),
                    Entry::Problem(p) => problems.push(p),
                }
            }
            (records, problems)
        };
        assert_eq!(records, all[skipped..complete], "cut at {cut}");
        if whole[cut - 1] == b'\n' {
            assert_eq!(problems, [], "cut at {cut}");
        } else {
            assert_eq!(problems.len(), 1, "cut at {cut}");
            assert_eq!(problems[0].why, Why::Torn);
            assert_eq!(problems[0].kept, whole[cut] == b'\n', "cut at {cut}");
        }
    }
    file.set_len(0).unwrap();
    assert!(matches!(read(&path), Err(ReadError::Empty(_))));
}

/// Every single bit of three records: a flip is always reported, and the other
/// records are read.
#[test]
fn every_flipped_bit_is_detected() {
    let whole = file_of(7);
    let all: Vec<Record> = (0..7).map(record).collect();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    let dir = tempfile::tempdir().unwrap();
    for n in [0, 3, 6] {
        let begin = if n == 0 { 0 } else { ends[n - 1] + 1 };
        for bit in begin * 8..(ends[n] + 1) * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let path = write(dir.path(), "flip.incident.jsonl", &bytes);
            let got = read(&path).unwrap();
            assert!(!got.problems.is_empty(), "bit {bit} of record {n} went unseen");
            assert!(
                got.records.iter().all(|r| all.contains(r)),
                "bit {bit} of record {n} gave a false record"
            );
            let others = all.iter().enumerate().filter(|(i, _)| *i != n);
            for (i, other) in others {
                assert!(got.records.contains(other), "bit {bit} of record {n} cost record {i}");
            }
        }
    }
}

#[rstest]
#[case::text(b"hello\n", Why::NotJson("expected value at column 1".into()), false)]
#[case::array(b"[1]\n", Why::NotARecord("it is no JSON object".into()), false)]
#[case::no_version(b"{\"a\":1}\n", Why::NotARecord("it has no `v`".into()), false)]
#[case::bytes(b"\xff\xfe{}\n", Why::NotUtf8, false)]
#[case::cut(b"{\"v\":1,\"at\":\"2026\n", Why::NotJson("it ends in the middle".into()), false)]
#[case::bad_time(
    br#"{"v":1,"at":"yesterday","logged":"2026-11-22T01:41:00Z","by":"x","kind":"note","data":{}}"#,
    Why::NotARecord("`at` is no RFC 3339 time".into()),
    false
)]
#[case::newer(
    br#"{"v":2,"at":"2026-11-22T01:41:00Z","kind":"note","data":{"text":"hi"},"mood":"calm"}"#,
    Why::Newer(2),
    true
)]
#[case::more_members(
    br#"{"v":1,"at":"2026-11-22T01:41:00Z","logged":"2026-11-22T01:41:00Z","by":"x","kind":"note","data":{},"mood":"calm"}"#,
    Why::UnknownMember("mood".into()),
    true
)]
fn foreign_lines_are_reported_and_skipped(#[case] line: &[u8], #[case] why: Why, #[case] kept: bool) {
    let mut bytes = record(0).to_line();
    bytes.extend_from_slice(line);
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend(record(1).to_line());
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", &bytes);
    let got = read(&path).unwrap();
    assert_eq!(got.records.len(), 2 + usize::from(kept));
    assert_eq!(got.problems.len(), 1);
    let problem = &got.problems[0];
    assert_eq!((problem.line, &problem.why, problem.kept), (2, &why, kept));
    assert_eq!(problem.offset, record(0).to_line().len() as u64);
    let text = problem.to_string();
    assert!(text.contains("x.incident.jsonl, line 2") && !text.contains('\n'), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "the file is left as it is");
}

#[test]
fn a_line_without_checksum_is_a_record() {
    let line = br#"{"v":1,"at":"2026-11-22T01:41:00Z","logged":"2026-11-22T01:41:00Z","by":"x","kind":"note","data":{"text":"by hand"}}"#;
    assert_eq!(
        read_back(line.as_slice().iter().chain(b"\r\n").copied().collect::<Vec<_>>().as_slice()).text(),
        Some("by hand")
    );
}

#[test]
fn a_record_glued_to_a_torn_line_is_found() {
    let torn = &record(0).to_line()[..50];
    let mut bytes = record(1).to_line();
    bytes.extend_from_slice(torn);
    bytes.extend(record(2).to_line());
    bytes.extend_from_slice(&[0; 4096]);
    bytes.extend(record(3).to_line());
    let dir = tempfile::tempdir().unwrap();
    let got = read(&write(dir.path(), "x.incident.jsonl", &bytes)).unwrap();
    assert_eq!(got.records, [record(1), record(2), record(3)]);
    assert_eq!(
        got.problems.iter().map(|p| (&p.why, p.line)).collect::<Vec<_>>(),
        [(&Why::Glued(1), 2), (&Why::Glued(1), 3)]
    );
}

#[test]
fn an_endless_line_is_skipped_in_little_memory() {
    let mut bytes = record(0).to_line();
    let long = badgate::journal::MAX_LINE + 12345;
    bytes.extend(std::iter::repeat_n(b'x', long));
    bytes.push(b'\n');
    bytes.extend(record(1).to_line());
    let dir = tempfile::tempdir().unwrap();
    let got = read(&write(dir.path(), "x.incident.jsonl", &bytes)).unwrap();
    assert_eq!(got.records, [record(0), record(1)]);
    assert_eq!(got.problems.len(), 1);
    assert_eq!(got.problems[0].why, Why::TooLong(long as u64));
    assert!(got.problems[0].excerpt.len() < 2000);
}

#[test]
fn what_is_no_incident_file_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(dir.path(), "empty", b"");
    write(dir.path(), "notes.txt", b"buy milk\nbuy eggs\n");
    write(dir.path(), "other.jsonl", b"{\"level\":\"info\"}\n{\"level\":\"warn\"}\n");
    write(dir.path(), "binary", &[0x7f, b'E', b'L', b'F', 0, 1, 2]);
    std::fs::create_dir(at("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let table: [(&str, &[&str]); 7] = [
        ("missing", &["no such incident file", "check the name"]),
        ("empty", &["is empty"]),
        ("notes.txt", &["is no incident file", "line 1", "nothing was read"]),
        ("other.jsonl", &["is no incident file", "it has no `v`"]),
        ("binary", &["is no incident file"]),
        ("folder", &["is a folder", "name the .incident.jsonl file"]),
        ("pipe", &["is no regular file", "copy it"]),
    ];
    for (name, wanted) in table {
        let text = read(&at(name)).unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
        assert!(!text.contains('\n'), "{text}");
        for want in wanted {
            assert!(text.contains(want), "{name}: {text:?} does not say {want:?}");
        }
    }
    // An error of the first line alone does not make a file foreign.
    let mut bytes = b"garbage\n".to_vec();
    bytes.extend(record(0).to_line());
    let got = read(&write(dir.path(), "head", &bytes)).unwrap();
    assert_eq!((got.records.len(), got.problems.len()), (1, 1));
}

#[test]
fn no_permission_is_said() {
    if rustix::process::geteuid().is_root() {
        // Nothing is denied to root; the words are checked all the same.
        let text = ReadError::Denied("f".into()).to_string();
        assert!(text.contains("permission denied"), "{text}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "secret", &file_of(1));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    assert!(matches!(read(&path), Err(ReadError::Denied(_))));
}

#[test]
fn a_chain_is_one_incident_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = write(dir.path(), "shop.incident.jsonl", &file_of(3));
    let link =
        Record::new(super::start(), "x".into(), Kind::Opened, json!({"continues": "shop.incident.jsonl"}));
    let mut bytes = link.clone().to_line();
    bytes.extend(record(2).to_line());
    bytes.extend(record(3).to_line());
    let second = write(dir.path(), "shop.2.incident.jsonl", &bytes);
    write(dir.path(), "shop.3.incident.jsonl", &record(4).to_line());
    let got = read(&first).unwrap();
    assert_eq!(got.files.len(), 3);
    assert_eq!(got.records, [record(0), record(1), record(2), link, record(3), record(4)]);
    assert_eq!(got.problems, []);
    // Opened in the middle, the file says that there is more.
    let got = read(&second).unwrap();
    assert_eq!(got.problems.len(), 1);
    assert_eq!(got.problems[0].why, Why::Continues("shop.incident.jsonl".into()));
}

#[test]
fn streaming_gives_the_same_as_reading() {
    let mut bytes = file_of(50);
    bytes.extend_from_slice(b"junk\n");
    bytes.extend(file_of(3));
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.incident.jsonl", &bytes);
    let all = read(&path).unwrap();
    let mut records = Vec::new();
    let mut problems = Vec::new();
    for entry in Reader::open(&path).unwrap() {
        match entry {
            Entry::Record(r) => records.push(r),
            Entry::Problem(p) => problems.push(p),
        }
    }
    assert_eq!((records, problems), (all.records, all.problems));
    assert_eq!(all.bytes, bytes.len() as u64);
}

#[test]
fn log_lines_are_tallied_for_the_cap() {
    let log =
        Record::new(super::start(), "logs".into(), Kind::Observed, json!({"fact": "log_lines", "data": []}));
    let size = log.clone().to_line().len() as u64;
    let mut bytes = file_of(5);
    bytes.extend(log.clone().to_line());
    bytes.extend(log.to_line());
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(&write(dir.path(), "x.incident.jsonl", &bytes)).unwrap().log_bytes, 2 * size);
}
