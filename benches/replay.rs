//! Looking back into an incident of a million entries, being told of what
//! somebody else wrote, and the page of a hundred thousand entries.
//! `BADGATE_BENCH_RSS=1` also prints what is held in memory.

#[path = "../tests/world/mod.rs"]
mod world;

use badgate::app::film::Film;
use badgate::app::recorder::{self, Wanted, record_of};
use badgate::console::msg::Recalled;
use badgate::console::past::{Ask, Shown};
use badgate::journal::{Kind, Mode, Options as JournalOptions, Record, Writer, read};
use badgate::procedure::Lang;
use badgate::report::export::{Filter, Format, Options, export};
use badgate::report::redact::Level;
use badgate::situation::log::LogLine;
use badgate::situation::{Fact, Observation, Topic};
use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use world::{LB, Shop, WEB, health, series};

const ENTRIES: usize = 1_000_000;
const HOURS: i64 = 8;
const LONG: Duration = Duration::from_secs(60);

fn main() {
    divan::main();
}

fn begin() -> Timestamp {
    "2026-11-22T01:00:00Z".parse().unwrap_or_default()
}

/// The moment of entry `n` of `all`.
fn at(n: usize, all: usize) -> Timestamp {
    begin() + SignedDuration::from_millis(n as i64 * HOURS * 3_600_000 / all as i64)
}

fn line(r: Record) -> Vec<u8> {
    Record { logged: r.at, ..r }.to_line()
}

fn seen(at: Timestamp, topic: Topic, fact: Fact) -> Vec<u8> {
    line(record_of(&Observation { at, source: "test".into(), topic, fact, took_ms: 12 }))
}

/// Eight hours: the shop with all its settings, health that comes and goes,
/// metrics by the minute, a note now and then, and log lines one by one.
fn write(path: &Path, entries: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    let mut put = |bytes: &[u8]| file.write_all(bytes).expect("room for the file");
    let opened = json!({"target": "shop", "version": "0.1.0", "resumed": false});
    put(&line(Record::new(begin(), "yui@bastion".into(), Kind::Opened, opened)));
    for o in Shop::default().observations() {
        put(&seen(begin(), o.topic, o.fact));
    }
    for n in 0..entries {
        let t = at(n, entries);
        let bytes = match n % 100 {
            0 => {
                let ill = (n / 10_000) % 2 == 1;
                let state = if ill { ("unhealthy", "Target.Timeout") } else { ("healthy", "") };
                let targets = vec![health("i-a", 8080, state.0, state.1), health("i-b", 8080, "healthy", "")];
                seen(t, Topic::TargetHealth(WEB.into()), Fact::TargetHealth(targets))
            }
            50 if n % 1000 == 50 => {
                // Each answer covers the last half hour.
                let minute = t.as_second() / 60;
                let points = |value: f64| {
                    (minute - 30..minute)
                        .filter_map(|m| Some((Timestamp::from_second(m * 60).ok()?, value)))
                        .collect()
                };
                let ill = if (n / 10_000) % 2 == 1 { 90.0 } else { 0.0 };
                let all = vec![
                    series(LB, "RequestCount", "Sum", points(1000.0)),
                    series(LB, "HTTPCode_ELB_502_Count", "Sum", points(ill)),
                ];
                seen(t, Topic::Metrics(LB.into()), Fact::Metrics(all))
            }
            20 if n % 2000 == 20 => {
                let text = format!("note {n}: targets in 1a answer again, 1c still refuses");
                line(Record::new(t, "yui@bastion".into(), Kind::Note, json!({ "text": text })))
            }
            _ => {
                let text = format!("{n} INFO request served GET /cart/{} 200 {} ms", n % 997, n % 300);
                let l = LogLine {
                    at: t,
                    group: "/app/shop".into(),
                    stream: "web".into(),
                    id: "".into(),
                    text: text.into(),
                };
                seen(t, Topic::Tail("/app/shop".into()), Fact::LogLines(vec![l]))
            }
        };
        put(&bytes);
    }
    file.flush().expect("room for the file");
}

static MILLION: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("million.incident.jsonl");
    write(&path, ENTRIES);
    (dir, path)
});

fn rss(what: &str) {
    if std::env::var_os("BADGATE_BENCH_RSS").is_none() {
        return;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or("VmRSS: unknown");
    println!("{what}: {}", line.split_whitespace().collect::<Vec<_>>().join(" "));
}

fn opened(path: &Path) -> Film {
    let mut film = Film::open(path, None).expect("readable");
    while film.read(10_000).expect("readable") {}
    film
}

fn seek(film: &mut Film, ask: Ask) -> Shown {
    film.seek(&[ask]).expect("readable").expect("a moment")
}

/// Until the first moment can be shown: the whole file folded once, checkpoints kept.
#[divan::bench(sample_count = 2, sample_size = 1)]
fn open_a_million_entries(bencher: Bencher) {
    let path = &MILLION.1;
    rss("before opening");
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| {
        let film = opened(path);
        rss(&format!("opened, {} checkpoints", film.checkpoints()));
        film
    });
}

/// Anywhere in eight hours, as if a time were typed: mean, and the slowest.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn seek_anywhere_in_a_million_entries(bencher: Bencher) {
    let mut film = opened(&MILLION.1);
    // A fixed sequence that goes all over the place.
    let mut n = 12_345_u64;
    bencher.bench_local(|| {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let second = (n >> 33) % (HOURS as u64 * 3600);
        seek(&mut film, Ask::At(begin() + SignedDuration::from_secs(second as i64)))
    });
    rss("after 200 seeks");
}

/// A minute back from the middle, again and again.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn a_minute_back(bencher: Bencher) {
    let mut film = opened(&MILLION.1);
    seek(&mut film, Ask::At(begin() + SignedDuration::from_hours(6)));
    bencher.bench_local(|| seek(&mut film, Ask::By(-60)));
}

/// Event by event, forwards.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn the_next_event(bencher: Bencher) {
    let mut film = opened(&MILLION.1);
    seek(&mut film, Ask::At(begin() + SignedDuration::from_hours(4)));
    bencher.bench_local(|| seek(&mut film, Ask::Event { on: true }));
}

/// From the moment somebody else's note is on disk until this console has it.
#[divan::bench(sample_count = 30, sample_size = 1)]
fn a_note_of_somebody_else(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.incident.jsonl");
    let wanted = |by: &str, mode| Wanted {
        path: path.clone(),
        mode,
        author: by.into(),
        target: "shop".into(),
        drill: None,
    };
    let mut first = recorder::open(wanted("yui@bastion", Mode::New)).expect("a journal");
    let mut second = recorder::open_for(wanted("ken@laptop", Mode::Resume), "join").expect("a journal");
    let writer = Writer::open(&path, Mode::Resume, JournalOptions::default(), LONG).expect("a writer");
    let mut n = 0;
    bencher.bench_local(|| {
        n += 1;
        let text = format!("note {n}");
        let data = json!({ "text": text });
        let note = Record::new(Timestamp::now(), "aoi@desk".into(), Kind::Note, data.clone());
        writer.append_wait(note, LONG).expect("on disk");
        loop {
            let list = second.recalled.blocking_recv().expect("it is followed");
            if list.iter().any(|r| matches!(r, Recalled::Entry { data: d, .. } if *d == data)) {
                break;
            }
        }
    });
    let _ = (first.recorder.close(LONG), second.recorder.close(LONG));
}

/// The page, the Markdown and the JSON of a hundred thousand entries.
#[divan::bench(args = ["html", "md", "json"], sample_count = 3, sample_size = 1)]
fn export_a_hundred_thousand_entries(bencher: Bencher, form: &str) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.incident.jsonl");
    write(&path, 100_000);
    let incident = read(&path).expect("readable");
    let format: Format = form.parse().expect("a format");
    let options = Options {
        file: path,
        generated: begin(),
        level: Level::Default,
        filter: Filter::default(),
        problems: Vec::new(),
        lang: Lang::En,
    };
    bencher
        .counter(ItemsCount::new(incident.records.len()))
        .bench_local(|| export(&incident.records, &options, format).expect("an export").len());
}
