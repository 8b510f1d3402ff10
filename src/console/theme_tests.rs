use super::*;

/// The sixteen colours as xterm ships them.
const XTERM16: [Rgb; 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

const THEMES: [ThemeName; 3] = [ThemeName::Dark, ThemeName::Light, ThemeName::HighContrast];
const COLOURED: [Depth; 3] = [Depth::True, Depth::Ansi256, Depth::Ansi16];

fn paint(color: Option<Color>, default: Rgb) -> Rgb {
    match color {
        None => default,
        Some(Color::Rgb(r, g, b)) => (r, g, b),
        Some(Color::Indexed(i)) => palette256(i),
        Some(other) => {
            let i = (0..16u8).find(|i| named(*i) == other).unwrap();
            XTERM16[usize::from(i)]
        }
    }
}

fn linear(c: u8) -> f64 {
    let c = f64::from(c) / 255.0;
    if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

fn luminance((r, g, b): Rgb) -> f64 {
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Backgrounds (and the text colour that comes with them) a theme is for.
fn grounds(name: ThemeName) -> &'static [(Rgb, Rgb)] {
    match name {
        ThemeName::Dark => &[((0, 0, 0), (229, 229, 229)), ((40, 44, 52), (220, 223, 228))],
        ThemeName::Light => &[((255, 255, 255), (0, 0, 0)), ((253, 246, 227), (40, 50, 60))],
        ThemeName::HighContrast => &[((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (0, 0, 0))],
    }
}

/// Foreground and background of a role as seen, on a given ground.
fn seen(theme: &Theme, role: Role, ground: (Rgb, Rgb), selected: bool) -> (Rgb, Rgb) {
    let mut style = theme.style(role);
    if selected {
        style = style.patch(theme.style(Role::Selected));
    }
    let (fg, bg) = (paint(style.fg, ground.1), paint(style.bg, ground.0));
    if style.add_modifier.contains(Modifier::REVERSED) { (bg, fg) } else { (fg, bg) }
}

#[test]
fn roles_are_in_order_of_declaration() {
    for (i, role) in Role::ALL.into_iter().enumerate() {
        assert_eq!(role as usize, i, "{role:?}");
    }
}

#[test]
fn every_role_can_be_read_at_every_depth() {
    for name in THEMES {
        for depth in COLOURED {
            for tint in [Tint::None, Tint::Red, Tint::Yellow, Tint::Blue, Tint::Purple] {
                let theme = Theme::with(name, depth, tint);
                for role in Role::ALL {
                    for ground in grounds(name) {
                        // The sixteen are tested on the ground they were made for.
                        if depth == Depth::Ansi16 && *ground != grounds(name)[0] {
                            continue;
                        }
                        let (fg, bg) = seen(&theme, role, *ground, false);
                        let want = match (name, role) {
                            // The sixteen are the terminal's own; xterm's red is no darker.
                            (ThemeName::HighContrast, _) if depth == Depth::Ansi16 => 4.5,
                            (ThemeName::HighContrast, _) => 7.0,
                            (_, Role::Border) => 3.0,
                            _ => 4.5,
                        };
                        let got = contrast(fg, bg);
                        assert!(
                            got >= want,
                            "{name:?} {depth:?} {tint:?} {role:?} on {ground:?}: {got:.2} < {want}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_selected_row_can_be_read() {
    for name in THEMES {
        for depth in COLOURED {
            let theme = Theme::with(name, depth, Tint::None);
            for role in
                [Role::Text, Role::Dim, Role::Strong, Role::Good, Role::Warn, Role::Bad, Role::Unknown]
            {
                let (fg, bg) = seen(&theme, role, grounds(name)[0], true);
                let got = contrast(fg, bg);
                assert!(got >= 4.0, "{name:?} {depth:?} {role:?}: {got:.2}");
            }
        }
    }
}

/// What people without red (protan) or green (deutan) receptors see.
/// Matrices: Machado, Oliveira and Fernandes 2009, severity 1.0, linear RGB.
fn seen_by(matrix: &[[f64; 3]; 3], c: Rgb) -> [f64; 3] {
    let v = [linear(c.0), linear(c.1), linear(c.2)];
    let mut out = [0.0; 3];
    for (o, row) in out.iter_mut().zip(matrix) {
        *o = row.iter().zip(v).map(|(m, x)| m * x).sum::<f64>().clamp(0.0, 1.0);
    }
    out
}

const PROTAN: [[f64; 3]; 3] =
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
const DEUTAN: [[f64; 3]; 3] =
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];

/// CIE L*a*b* from linear RGB (D65).
fn lab([r, g, b]: [f64; 3]) -> [f64; 3] {
    let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
    let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
    let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[test]
fn no_status_rests_on_red_against_green() {
    for name in THEMES {
        for depth in COLOURED {
            let theme = Theme::with(name, depth, Tint::None);
            for (i, a) in Role::STATUS.into_iter().enumerate() {
                for b in Role::STATUS.into_iter().skip(i + 1) {
                    let ground = grounds(name)[0];
                    for (eye, matrix) in [("protan", &PROTAN), ("deutan", &DEUTAN)] {
                        let far = |x: Rgb, y: Rgb| {
                            let (x, y) = (lab(seen_by(matrix, x)), lab(seen_by(matrix, y)));
                            x.iter().zip(y).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt()
                        };
                        let ((fa, ba), (fb, bb)) =
                            (seen(&theme, a, ground, false), seen(&theme, b, ground, false));
                        let got = far(fa, fb).max(far(ba, bb));
                        assert!(got >= 15.0, "{name:?} {depth:?} {eye}: {a:?} and {b:?} are {got:.1} apart");
                    }
                }
            }
        }
    }
}

#[test]
fn without_colour_nothing_is_coloured_and_statuses_still_differ() {
    for name in THEMES {
        let theme = Theme::with(name, Depth::Mono, Tint::Red);
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
        let mut seen: Vec<Modifier> = Role::STATUS.iter().map(|t| theme.style(*t).add_modifier).collect();
        seen.sort_by_key(|m| m.bits());
        seen.dedup();
        assert_eq!(seen.len(), Role::STATUS.len(), "{name:?}");
        assert!(theme.style(Role::Selected).add_modifier.contains(Modifier::REVERSED));
        assert!(theme.style(Role::Tint).add_modifier.contains(Modifier::REVERSED));
    }
}

#[test]
fn each_depth_uses_only_its_own_colours() {
    for name in THEMES {
        for role in Role::ALL {
            for color in [Depth::True, Depth::Ansi256, Depth::Ansi16].map(|d| {
                let style = Theme::with(name, d, Tint::Blue).style(role);
                (d, [style.fg, style.bg])
            }) {
                for c in color.1.into_iter().flatten() {
                    let fits = match color.0 {
                        Depth::True => matches!(c, Color::Rgb(..)),
                        Depth::Ansi256 => matches!(c, Color::Indexed(16..)),
                        _ => !matches!(c, Color::Rgb(..) | Color::Indexed(_)),
                    };
                    assert!(fits, "{name:?} {role:?}: {c:?}");
                }
            }
        }
    }
}

#[test]
fn nearest_in_the_palette() {
    assert_eq!(nearest256((255, 0, 0)), 196);
    assert_eq!(nearest256((0, 0, 0)), 16);
    assert_eq!(nearest256((255, 255, 255)), 231);
    assert_eq!(nearest256((128, 128, 128)), 244);
    for i in 16..=255u8 {
        assert_eq!(palette256(nearest256(palette256(i))), palette256(i));
    }
}

#[test]
fn background_and_profile_are_guessed() {
    let of = |v: &str| ThemeName::detect(&|_| Some(v.to_owned()));
    assert!(ThemeName::WORDS.iter().all(|w| ThemeName::parse(w).is_some()));
    assert!(Tint::WORDS.iter().all(|w| Tint::parse(w).is_some()));
    assert_eq!(of("15;0"), ThemeName::Dark);
    assert_eq!(of("0;15"), ThemeName::Light);
    assert_eq!(of("0;default;15"), ThemeName::Light);
    assert_eq!(ThemeName::detect(&|_| None), ThemeName::Dark);
    for (profile, tint) in [
        ("prod", Tint::Red),
        ("shop-PROD-admin", Tint::Red),
        ("production", Tint::Red),
        ("product-dev", Tint::None),
        ("reproducer", Tint::None),
        ("", Tint::None),
    ] {
        assert_eq!(Tint::of_profile(profile), tint, "{profile}");
    }
}
