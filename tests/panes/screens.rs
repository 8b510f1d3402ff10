//! Snapshots of whole screens.

use crate::broken::{broken, denied, empty, stale};
use crate::support::{drawn, dress, styles, text};
use badgate::console::caps::{Depth, GlyphSet};
use badgate::console::state::{PaneId, State};
use badgate::console::theme::ThemeName;

fn unicode(mut state: State) -> State {
    dress(&mut state, Depth::True, GlyphSet::Unicode, ThemeName::Dark);
    state
}

fn screen(state: State, width: u16, height: u16) -> String {
    text(&drawn(&mut unicode(state), width, height))
}

fn on(mut state: State, focus: PaneId) -> State {
    state.focus = focus;
    state
}

#[test]
fn broken_wide() {
    insta::assert_snapshot!(screen(broken(), 200, 50));
}

#[test]
fn broken_medium() {
    insta::assert_snapshot!(screen(broken(), 120, 40));
}

#[test]
fn broken_160x30() {
    insta::assert_snapshot!(screen(broken(), 160, 30));
}

#[test]
fn broken_small() {
    let all: Vec<String> =
        PaneId::ALL.iter().map(|id| format!("{id:?}\n{}", screen(on(broken(), *id), 80, 24))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn broken_tiny() {
    let all: Vec<String> =
        PaneId::ALL.iter().map(|id| format!("{id:?}\n{}", screen(on(broken(), *id), 40, 10))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

/// Titles and findings of the procedure come in the reader's language.
#[test]
fn japanese_procedure() {
    let mut state = on(broken(), PaneId::Procedure);
    let titles = [
        "\u{6e96}\u{5099}: \u{767a}\u{751f}\u{6642}\u{523b}\u{30fb}\u{898f}\u{6a21}\u{30fb}\u{5f71}\u{97ff}\u{7bc4}\u{56f2}",
        "\u{30b5}\u{30fc}\u{30d0}\u{30fc}\u{30ea}\u{30bd}\u{30fc}\u{30b9}",
        "\u{30b5}\u{30fc}\u{30d0}\u{30fc}\u{30ed}\u{30b0}",
        "\u{30cd}\u{30c3}\u{30c8}\u{30ef}\u{30fc}\u{30af}\u{30fb}\u{30bb}\u{30ad}\u{30e5}\u{30ea}\u{30c6}\u{30a3}",
    ];
    for (step, title) in state.steps.iter_mut().zip(titles) {
        step.title = title.into();
    }
    if let Some(result) = &mut state.steps[3].result {
        result.checks[1].title =
            "\u{30cd}\u{30c3}\u{30c8}\u{30ef}\u{30fc}\u{30af}ACL\u{3068}\u{7d4c}\u{8def}".into();
        result.checks[1].findings[1].text = "\u{30cd}\u{30c3}\u{30c8}\u{30ef}\u{30fc}\u{30af}ACL acl-0f4d1c2b9a8e7d605 \u{306e}\u{30eb}\u{30fc}\u{30eb}90\u{304c}\u{30b5}\u{30d6}\u{30cd}\u{30c3}\u{30c8} subnet-app-a \u{3078}\u{306e} tcp/8080 \u{3092}\u{62d2}\u{5426}\u{3057}\u{3066}\u{3044}\u{307e}\u{3059}".into();
    }
    insta::assert_snapshot!(screen(state, 60, 24));
}

/// Account numbers and addresses are not on a screen that others see.
#[test]
fn privacy_masks_every_pane() {
    for id in PaneId::ALL {
        for (w, h) in [(200, 50), (80, 24)] {
            let mut state = on(broken(), id);
            let open = screen(on(broken(), id), w, h);
            state.privacy = true;
            let shown = screen(state, w, h);
            for secret in ["203.0.113.77", "10.0.11.10", "10.0.1.5", "123456789012"] {
                assert!(!shown.contains(secret), "{id:?} shows {secret}");
            }
            if id == PaneId::Logs {
                assert!(open.contains("203.0.113.77") && shown.contains("*.*.*.77"));
            }
        }
    }
}

#[test]
fn empty_wide() {
    insta::assert_snapshot!(screen(empty(), 200, 50));
}

#[test]
fn denied_wide() {
    insta::assert_snapshot!(screen(denied(), 200, 50));
}

#[test]
fn stale_wide() {
    insta::assert_snapshot!(screen(stale(), 200, 50));
}

#[test]
fn ascii_medium() {
    let mut state = broken();
    dress(&mut state, Depth::Mono, GlyphSet::Ascii, ThemeName::Dark);
    let shown = text(&drawn(&mut state, 120, 40));
    insta::assert_snapshot!(shown);
}

#[test]
fn styles_at_every_depth() {
    for (name, depth, theme) in [
        ("true", Depth::True, ThemeName::Dark),
        ("256", Depth::Ansi256, ThemeName::Dark),
        ("16", Depth::Ansi16, ThemeName::Dark),
        ("mono", Depth::Mono, ThemeName::Dark),
        ("light", Depth::True, ThemeName::Light),
        ("high_contrast", Depth::True, ThemeName::HighContrast),
    ] {
        let mut state = on(broken(), PaneId::Paths);
        dress(&mut state, depth, GlyphSet::Unicode, theme);
        insta::assert_snapshot!(format!("styles_{name}"), styles(&drawn(&mut state, 80, 24)));
    }
}
