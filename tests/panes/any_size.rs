//! Whatever the size and whatever was pressed: nothing panics, nothing is
//! drawn outside of its rectangle, and what is selected is on screen.

use crate::broken::{APP, broken, denied, empty, line, stale};
use crate::support::{press, set_filter};
use badgate::console::State;
use badgate::console::caps::{Depth, GlyphSet};
use badgate::console::filter::Filter;
use badgate::console::keys::Action;
use badgate::console::panes;
use badgate::console::state::PaneId;
use badgate::console::theme::ThemeName;
use badgate::situation::log::{LogLine, LogRing};
use proptest::prelude::*;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

const ACTIONS: [Action; 18] = [
    Action::Down,
    Action::Up,
    Action::Left,
    Action::Right,
    Action::PageDown,
    Action::PageUp,
    Action::Top,
    Action::Bottom,
    Action::Open,
    Action::NextMatch,
    Action::PreviousMatch,
    Action::NextError,
    Action::PreviousError,
    Action::NextMark,
    Action::Wrap,
    Action::Timestamps,
    Action::Pause,
    Action::Mark,
];

#[derive(Clone, Debug)]
enum Deed {
    Press(PaneId, Action),
    Filter(PaneId, &'static str, bool),
    Resize(u16, u16),
    Lines(usize),
    Focus(PaneId),
    Zoom,
    Privacy,
}

fn deed() -> impl Strategy<Value = Deed> {
    let pane = || prop::sample::select(PaneId::ALL.to_vec());
    prop_oneof![
        8 => (pane(), prop::sample::select(ACTIONS.to_vec())).prop_map(|(p, a)| Deed::Press(p, a)),
        2 => (pane(), prop::sample::select(vec!["", "web", "!err", "50[24]", "zzz"]), any::<bool>())
            .prop_map(|(p, f, h)| Deed::Filter(p, f, h)),
        2 => (0u16..200, 0u16..100).prop_map(|(w, h)| Deed::Resize(w, h)),
        2 => (0usize..80).prop_map(Deed::Lines),
        2 => pane().prop_map(Deed::Focus),
        1 => Just(Deed::Zoom),
        1 => Just(Deed::Privacy),
    ]
}

/// Draws onto a screen with a margin; the margin must stay as it was.
fn draw(state: &State) -> Buffer {
    let (w, h) = state.size;
    let mut buf = Buffer::filled(Rect::new(0, 0, w + 3, h + 2), Cell::new("@"));
    panes::draw(state, &mut buf);
    for y in 0..h + 2 {
        for x in 0..w + 3 {
            if x >= w || y >= h {
                assert_eq!(buf[(x, y)].symbol(), "@", "written at {x},{y} on a screen of {w}x{h}");
            }
        }
    }
    buf
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_size_any_keys(
        which in 0usize..4,
        size in (0u16..200, 0u16..100),
        ascii in any::<bool>(),
        deeds in prop::collection::vec(deed(), 0..30),
    ) {
        let mut state = [broken, denied, empty, stale][which]();
        let glyphs = if ascii { GlyphSet::Ascii } else { GlyphSet::Unicode };
        crate::support::dress(&mut state, Depth::Ansi16, glyphs, ThemeName::Dark);
        state.size = size;
        // A small ring, so that lines are let go under the reader.
        let mut ring = LogRing::new(60, usize::MAX);
        for h in state.situation.logs.iter() {
            ring.push(h.line.clone());
        }
        state.situation.logs = ring;
        state.settle();
        draw(&state);
        for d in deeds {
            match d {
                Deed::Press(id, action) => {
                    press(&mut state, id, action);
                    state.view(id).selected(&state);
                    state.view(id).detail(&state);
                }
                Deed::Filter(id, pattern, hides) => {
                    let parsed = Filter::parse(pattern, hides).unwrap();
                    set_filter(&mut state, id, parsed);
                }
                Deed::Resize(w, h) => state.size = (w, h),
                Deed::Lines(n) => {
                    for i in 0..n {
                        let text = format!("ERROR {i} status=502 {}", "\u{8a9e}x ".repeat(i % 90));
                        state.situation.logs.push(LogLine { ..line("01:53:51", APP, &text) });
                    }
                }
                Deed::Focus(id) => state.focus = id,
                Deed::Zoom => state.zoom = !state.zoom,
                Deed::Privacy => state.privacy = !state.privacy,
            }
            state.views.logs.catch_up(&state.situation.logs, 7);
            draw(&state);
        }
    }
}

/// Each pane writes inside its own rectangle, frame included.
#[test]
fn every_pane_stays_inside() {
    for which in [broken, denied, empty, stale] {
        let mut state = which();
        crate::support::dress(&mut state, Depth::True, GlyphSet::Unicode, ThemeName::Dark);
        state.settle();
        for (w, h) in
            [(200, 50), (160, 24), (120, 40), (100, 20), (80, 24), (41, 11), (40, 10), (7, 7), (3, 3)]
        {
            for focus in PaneId::ALL {
                state.size = (w, h);
                state.focus = focus;
                let layout = state.layout();
                let whole = draw(&state);
                // Drawn alone on an empty screen, a pane gives the same cells.
                for (id, area) in &layout.panes {
                    let mut alone = Buffer::filled(whole.area, Cell::new("@"));
                    panes::draw_pane(&state, *id, *area, layout.frame, &mut alone);
                    for y in 0..whole.area.height {
                        for x in 0..whole.area.width {
                            let inside = area.contains((x, y).into());
                            let written = alone[(x, y)].symbol() != "@";
                            assert!(inside || !written, "{id:?} wrote at {x},{y} outside {area:?}");
                            if inside {
                                assert_eq!(alone[(x, y)], whole[(x, y)], "{id:?} at {x},{y}");
                            }
                        }
                    }
                }
            }
        }
    }
}
