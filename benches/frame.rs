//! What a frame costs: time to build it and bytes to say it.
//!
//! The table of bytes per key is printed first, then the timings. Run with
//! `cargo bench --no-default-features --bench frame`.

#[path = "../tests/world/mod.rs"]
mod world;

use badgate::console::caps::{Caps, Depth, GlyphSet};
use badgate::console::filter::Filter;
use badgate::console::keys::{Key, Keymap};
use badgate::console::msg::Msg;
use badgate::console::panes::PaneView;
use badgate::console::state::{Incident, JournalState, State};
use badgate::console::term::Screen;
use badgate::console::theme::Theme;
use badgate::console::update;
use badgate::procedure::{Lang, Procedure};
use badgate::situation::log::LogLine;
use badgate::situation::{Fact, Observation, Topic};
use badgate::sources::Event;
use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    bytes_per_key();
    key_to_frame();
    divan::main();
}

/// The shop on a 256-colour terminal, with so many log lines.
fn console(size: (u16, u16), lines: usize) -> State {
    let incident = Incident {
        name: "shop-2026-11-22".into(),
        path: None,
        author: "yui@bastion".into(),
        asked: "shop".into(),
        opened: world::now(),
        onset: Some(world::minutes_ago(12)),
    };
    let caps = Caps { depth: Depth::Ansi256, glyphs: GlyphSet::Unicode, ..Caps::default() };
    let mut state = State::new(world::now(), incident, caps, Keymap::default());
    state.theme = Theme::new(Depth::Ansi256);
    state.set_procedure(Arc::new(Procedure::load(Lang::En).expect("words")));
    state.journal = JournalState::Recording;
    state.size = size;
    let mut shop = world::Shop::default();
    for t in shop.targets.iter_mut().take(1) {
        t.state = "unhealthy".into();
        t.reason = "Target.Timeout".into();
    }
    update::update(&mut state, Msg::Source(Event::Observed(shop.observations())));
    for from in (0..lines).step_by(1000) {
        update::update(&mut state, batch(from, 1000.min(lines - from)));
    }
    while state.catch_up() {}
    state.settle();
    state
}

fn batch(from: usize, n: usize) -> Msg {
    let line = |i: usize| {
        LogLine {
        at: world::now().checked_add(SignedDuration::from_millis(i as i64)).expect("a time"),
        group: "/app/shop".into(),
        stream: "web/1".into(),
        id: "".into(),
        text: match i % 50 {
            0 => format!("{i} ERROR upstream refused the connection while it was being connected to, path=/cart/{} status=502 ms={} request=0123456789abcdef0123456789abcdef user=anonymous retry=1 pool=50/50", i % 97, i % 211),
            _ => format!("{i} INFO request served method=GET path=/cart/{} status=200 ms={} request=0123456789abcdef0123456789abcdef user=anonymous upstream=10.0.11.10:8080 cache=miss bytes=5120 tls=1.3", i % 97, i % 211),
        }
        .into(),
    }
    };
    Msg::Source(Event::Observed(vec![Observation {
        at: world::now(),
        source: "logs:StartLiveTail".into(),
        topic: Topic::Tail("/app/shop".into()),
        fact: Fact::LogLines((from..from + n).map(line).collect()),
        took_ms: 0,
    }]))
}

fn frame(state: &mut State, screen: &mut Screen) -> usize {
    state.settle();
    screen.frame(state).len()
}

fn press(state: &mut State, keys: &str) {
    for key in Key::sequence(keys).expect("keys") {
        update::update(state, Msg::Key(key));
    }
}

fn median(mut of: Vec<usize>) -> usize {
    of.sort_unstable();
    of[of.len() / 2]
}

fn bytes_per_key() {
    println!("bytes per key (median of 40), 256 colours");
    for size in [(200, 50), (80, 24)] {
        let mut state = console(size, 20_000);
        let mut screen = Screen::new(size);
        let first = frame(&mut state, &mut screen);
        println!("  {}x{}: first frame {first} B", size.0, size.1);
        let mut all = Vec::new();
        for (what, begin, keys) in [
            ("down and up in target health", "", ["j", "k"]),
            ("down and up in the logs", "<tab>kkkkk", ["k", "j"]),
            ("a page in the logs", "", ["<pgup>", "<pgdn>"]),
            ("the other pane", "", ["<tab>", "<backtab>"]),
            ("a letter of a note", "a", ["x", "y"]),
            ("a letter of the palette", "<esc>:", ["l", "<backspace>"]),
            ("help and back", "<esc>", ["?", "<esc>"]),
        ] {
            press(&mut state, begin);
            frame(&mut state, &mut screen);
            let some: Vec<usize> = (0..40)
                .map(|i| {
                    press(&mut state, keys[i % 2]);
                    frame(&mut state, &mut screen)
                })
                .collect();
            println!("    {:<30} {:>6} B", what, median(some.clone()));
            all.extend(some);
        }
        println!("    {:<30} {:>6} B", "all of these", median(all));
        press(&mut state, "<esc><esc>");
        frame(&mut state, &mut screen);
        let mut tick = 0;
        for n in 1..=600 {
            let t = world::now().checked_add(SignedDuration::from_secs(n)).expect("a time");
            update::update(&mut state, Msg::Now(t));
            tick += frame(&mut state, &mut screen);
        }
        println!("    {:<30} {:>6} B/s", "nothing but the clock", tick / 600);
    }
}

/// A person moves in the logs with a million lines held and 10,000 lines a
/// second arriving: the time from the key to the finished frame, behind
/// whatever was being done when it came.
fn key_to_frame() {
    for filtered in [false, true] {
        let size = (200, 50);
        let mut state = console(size, 1_000_000);
        if filtered {
            let filter = Filter::parse("error|50[234]", true).expect("a pattern");
            state.views.logs.set_filter(filter);
            while state.catch_up() {}
        }
        press(&mut state, "<tab>kkkk");
        let mut screen = Screen::new(size);
        frame(&mut state, &mut screen);
        let mut took: Vec<Duration> = Vec::new();
        for n in 0..400 {
            let begin = Instant::now();
            // The longest that can be under way when a key comes: a batch of
            // 100 lines with the work it causes, and its frame.
            update::update(&mut state, batch(1_000_000 + n * 100, 100));
            frame(&mut state, &mut screen);
            press(&mut state, if n % 3 == 0 { "<pgup>" } else { "k" });
            frame(&mut state, &mut screen);
            took.push(begin.elapsed());
        }
        took.sort_unstable();
        println!(
            "key to frame, 1,000,000 lines held{}: median {:.2?}, p99 {:.2?}, worst {:.2?}",
            if filtered { ", filtered" } else { "" },
            took[200],
            took[395],
            took[399]
        );
    }
}

#[divan::bench(args = [(200, 50), (80, 24)])]
fn frame_that_changes_nothing(bencher: Bencher, size: (u16, u16)) {
    let mut state = console(size, 10_000);
    let mut screen = Screen::new(size);
    bencher.bench_local(|| frame(&mut state, &mut screen));
}

#[divan::bench(args = [(200, 50), (80, 24)])]
fn frame_behind_a_key(bencher: Bencher, size: (u16, u16)) {
    let mut state = console(size, 10_000);
    let mut screen = Screen::new(size);
    press(&mut state, "<tab>");
    let mut n = 0;
    bencher.bench_local(|| {
        n += 1;
        press(&mut state, if n % 2 == 0 { "k" } else { "j" });
        frame(&mut state, &mut screen)
    });
}

#[divan::bench]
fn whole_screen(bencher: Bencher) {
    let mut state = console((200, 50), 10_000);
    let mut screen = Screen::new((200, 50));
    bencher.bench_local(|| {
        screen.forget();
        frame(&mut state, &mut screen)
    });
}

#[divan::bench(sample_count = 10)]
fn take_a_thousand_lines(bencher: Bencher) {
    let mut state = console((200, 50), 10_000);
    bencher
        .counter(ItemsCount::new(1000_usize))
        .with_inputs(|| batch(10_000, 1000))
        .bench_local_values(|msg| update::update(&mut state, msg));
}
