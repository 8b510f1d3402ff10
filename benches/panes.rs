//! What a frame and a key cost with much held: a million log lines, five
//! thousand targets in fifty groups. A frame at 200x50 and a key should stay
//! under 16 ms together.

#[path = "../tests/world/mod.rs"]
mod world;

use badgate::console::State;
use badgate::console::caps::{Caps, Depth};
use badgate::console::filter::Filter;
use badgate::console::keys::{Action, Keymap};
use badgate::console::panes::{self, PaneView};
use badgate::console::state::{Incident, PaneId};
use badgate::situation::elb::TargetGroup;
use badgate::situation::log::{LogLine, Tail, TailMode};
use badgate::situation::{Fact, Topic};
use badgate::text::SafeText;
use divan::{Bencher, black_box};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use world::{LB, Shop, health, now, observed};

const LINES: usize = 1_000_000;
const GROUPS: usize = 50;
const TARGETS: usize = 100;

fn main() {
    divan::main();
}

fn console() -> State {
    let incident = Incident {
        name: "shop".into(),
        path: None,
        author: "yui@bastion".into(),
        asked: "shop".into(),
        opened: now(),
        onset: None,
    };
    let caps = Caps { depth: Depth::True, ..Caps::default() };
    let mut state = State::new(now(), incident, caps, Keymap::default());
    state.size = (200, 50);
    for o in Shop::default().observations() {
        state.situation.apply(&o);
    }
    state.settle();
    state
}

/// A line of about 200 bytes; one in a hundred is an error.
fn line(n: usize) -> LogLine {
    let level = if n.is_multiple_of(100) { "ERROR" } else { "INFO" };
    let text = format!(
        "{level} request served id={n:08} method=GET path=/items/{} status=200 ms={} {}",
        n % 977,
        n % 300,
        "padding ".repeat(15)
    );
    LogLine {
        at: now(),
        group: "/app/shop".into(),
        stream: SafeText::default(),
        id: SafeText::default(),
        text: text.into(),
    }
}

fn with_lines() -> State {
    let mut state = console();
    let tail = Tail { mode: TailMode::Live, note: SafeText::default() };
    state.situation.apply(&observed(Topic::Tail("/app/shop".into()), Fact::Tail(tail)));
    for n in 0..LINES {
        state.situation.logs.push(line(n));
    }
    state.focus = PaneId::Logs;
    state
}

/// Fifty groups of a hundred targets, some of them ill.
fn with_targets() -> State {
    let mut state = console();
    let groups: Vec<TargetGroup> = (0..GROUPS)
        .map(|n| TargetGroup {
            arn: format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/g{n}/1").into(),
            name: format!("g{n}").into(),
            ..Shop::default().group
        })
        .collect();
    for g in &groups {
        let targets = (0..TARGETS)
            .map(|n| {
                let ill = n % 10 == 0;
                let (s, why) = if ill { ("unhealthy", "Target.Timeout") } else { ("healthy", "") };
                health(&format!("i-{n:017x}"), 8080, s, why)
            })
            .collect();
        state.situation.apply(&observed(Topic::TargetHealth(g.arn.clone()), Fact::TargetHealth(targets)));
    }
    state.situation.apply(&observed(Topic::TargetGroups(LB.into()), Fact::TargetGroups(groups)));
    state.settle();
    state
}

fn press(state: &mut State, action: Action) {
    let id = state.focus;
    let area = state.layout().inner(id);
    macro_rules! lend {
        ($field:ident) => {{
            let mut view = std::mem::take(&mut state.views.$field);
            view.handle(action, area, state);
            state.views.$field = view;
        }};
    }
    match id {
        PaneId::Logs => lend!(logs),
        _ => lend!(health),
    }
}

fn draw(state: &State, buf: &mut Buffer) {
    panes::draw(black_box(state), buf);
}

fn screen() -> Buffer {
    Buffer::empty(Rect::new(0, 0, 200, 50))
}

#[divan::bench]
fn frame_of_a_small_shop(bencher: Bencher) {
    let state = console();
    let mut buf = screen();
    bencher.bench_local(|| draw(&state, &mut buf));
}

#[divan::bench]
fn key_and_frame_among_a_million_lines(bencher: Bencher) {
    let mut state = with_lines();
    let mut buf = screen();
    let mut n = LINES;
    let mut up = true;
    bencher.bench_local(|| {
        // A hundred lines arrive between two keys.
        for _ in 0..100 {
            state.situation.logs.push(line(n));
            n += 1;
        }
        state.catch_up();
        press(&mut state, if up { Action::Up } else { Action::PageDown });
        up = !up;
        draw(&state, &mut buf);
    });
}

#[divan::bench]
fn key_and_frame_among_a_million_filtered_lines(bencher: Bencher) {
    let mut state = with_lines();
    let parsed = Filter::parse("error", true).unwrap_or_default();
    state.views.logs.set_filter(parsed);
    while state.catch_up() {}
    let mut buf = screen();
    let mut n = LINES;
    bencher.bench_local(|| {
        for _ in 0..100 {
            state.situation.logs.push(line(n));
            n += 1;
        }
        state.catch_up();
        press(&mut state, Action::Up);
        draw(&state, &mut buf);
    });
}

/// One slice of a new filter, as the console does between frames.
#[divan::bench]
fn slice_of_a_new_filter(bencher: Bencher) {
    let mut state = with_lines();
    let filters = ["status=50[0-9]", "id=.*77"].map(|p| Filter::parse(p, true).unwrap_or_default());
    let mut which = 0;
    bencher.bench_local(|| {
        state.views.logs.set_filter(filters[which % 2].clone());
        which += 1;
        state.catch_up()
    });
}

/// A jump that finds nothing and looks at as much as one key may.
#[divan::bench]
fn jump_without_a_hit(bencher: Bencher) {
    let mut state = with_lines();
    let parsed = Filter::parse("no such text", false).unwrap_or_default();
    state.views.logs.set_filter(parsed);
    bencher.bench_local(|| press(&mut state, Action::PreviousMatch));
}

#[divan::bench]
fn key_and_frame_among_five_thousand_targets(bencher: Bencher) {
    let mut state = with_targets();
    state.focus = PaneId::Health;
    let mut buf = screen();
    let mut down = true;
    bencher.bench_local(|| {
        press(&mut state, if down { Action::PageDown } else { Action::Down });
        down = !down;
        draw(&state, &mut buf);
    });
}
