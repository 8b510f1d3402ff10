//! Sparklines. A minute without a point is left empty; a minute with zero has
//! a mark of its own: absence is not zero.

use super::paint::{Ctx, put};
use crate::console::glyphs::Bars;
use crate::console::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Eighths of a cell, from empty to full.
const BLOCKS: [&str; 9] =
    [" ", "\u{2581}", "\u{2582}", "\u{2583}", "\u{2584}", "\u{2585}", "\u{2586}", "\u{2587}", "\u{2588}"];
/// Five levels of ASCII.
const LEVELS: [&str; 6] = [" ", "_", ".", "-", "+", "#"];

/// Draws the newest values that fit, the newest at the right edge, over all
/// rows of the area. `role` colours a value.
pub fn draw(
    ctx: &Ctx<'_>,
    buf: &mut Buffer,
    area: Rect,
    values: &[Option<f64>],
    max: f64,
    role: &dyn Fn(f64) -> Role,
) {
    if area.is_empty() {
        return;
    }
    let bars = ctx.glyphs.bars;
    let per_cell = if bars == Bars::Braille { 2 } else { 1 };
    let slots = usize::from(area.width) * per_cell;
    let shown = &values[values.len().saturating_sub(slots)..];
    // Cells are filled from the right edge.
    let cells = shown.len().div_ceil(per_cell);
    let pad = cells * per_cell - shown.len();
    let first = usize::from(area.width) - cells;
    let at = |i: usize| i.checked_sub(pad).and_then(|i| shown.get(i).copied().flatten());
    for cell in 0..cells {
        let x = area.x + u16::try_from(first + cell).unwrap_or(0);
        let pair: Vec<Option<f64>> = (0..per_cell).map(|n| at(cell * per_cell + n)).collect();
        let colour = pair.iter().flatten().copied().max_by(f64::total_cmp).map_or(Role::Dim, role);
        for row in 0..area.height {
            // Rows from the bottom.
            let up = area.height - 1 - row;
            let symbol = match bars {
                Bars::Braille => braille(&pair, max, usize::from(area.height), usize::from(up)),
                Bars::Block => {
                    let level = level(pair[0], max, usize::from(area.height) * 8);
                    BLOCKS[within(level, usize::from(up), 8)].to_owned()
                }
                Bars::Ascii => {
                    let level = level(pair[0], max, usize::from(area.height) * 5);
                    LEVELS[within(level, usize::from(up), 5)].to_owned()
                }
            };
            if symbol != " " {
                put(ctx, buf, x, area.y + row, &symbol, 1, colour);
            }
        }
    }
}

/// Height of a value in `steps`: nothing for none, one for zero, two and more
/// for anything above it.
fn level(value: Option<f64>, max: f64, steps: usize) -> usize {
    let Some(v) = value.filter(|v| v.is_finite()) else { return 0 };
    if v <= 0.0 || max <= 0.0 {
        return 1;
    }
    let top = steps.saturating_sub(2) as f64;
    2 + ((v / max).min(1.0) * top).round() as usize
}

/// How much of a level lies in a cell.
fn within(level: usize, up: usize, per_cell: usize) -> usize {
    level.saturating_sub(up * per_cell).min(per_cell)
}

fn braille(pair: &[Option<f64>], max: f64, rows: usize, up: usize) -> String {
    // Dots of the left and the right column, from the bottom.
    const LEFT: [u32; 4] = [0x40, 0x04, 0x02, 0x01];
    const RIGHT: [u32; 4] = [0x80, 0x20, 0x10, 0x08];
    let mut dots = 0;
    for (value, column) in pair.iter().zip([LEFT, RIGHT]) {
        let filled = within(level(*value, max, rows * 4), up, 4);
        dots |= column[..filled].iter().sum::<u32>();
    }
    if dots == 0 {
        return " ".to_owned();
    }
    char::from_u32(0x2800 + dots).map_or_else(|| " ".to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::caps::Depth;
    use crate::console::glyphs::{ASCII, Glyphs, UNICODE};
    use crate::console::theme::Theme;

    fn drawn(glyphs: Glyphs, width: u16, height: u16, values: &[Option<f64>]) -> Vec<String> {
        let theme = Theme::new(Depth::Mono);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let ctx = Ctx { theme: &theme, glyphs: &glyphs, now, privacy: false, slack: 0 };
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        draw(&ctx, &mut buf, area, values, 8.0, &|_| Role::Spark);
        (0..height).map(|y| (0..width).map(|x| buf[(x, y)].symbol().to_owned()).collect()).collect()
    }

    #[test]
    fn absent_is_not_zero_and_zero_is_not_small() {
        let values = [None, Some(0.0), Some(0.1), Some(4.0), Some(8.0)];
        let blocks = Glyphs { bars: Bars::Block, ..UNICODE };
        assert_eq!(drawn(blocks, 5, 1, &values), [" \u{2581}\u{2582}\u{2585}\u{2588}"]);
        assert_eq!(drawn(ASCII, 5, 1, &values), [" _.+#"]);
        assert_eq!(drawn(ASCII, 5, 2, &values), ["   _#", " _.##"]);
        // Two values a cell, pairs counted from the newest.
        let braille = drawn(UNICODE, 3, 1, &[Some(0.0), Some(0.1), Some(4.0), Some(8.0)]);
        assert_eq!(braille, [" \u{28e0}\u{28fe}"]);
    }

    #[test]
    fn the_newest_stand_at_the_right_edge() {
        let many: Vec<Option<f64>> = (0..100).map(|i| Some(f64::from(i % 9))).collect();
        assert_eq!(drawn(ASCII, 4, 1, &many[..]).len(), 1);
        assert_eq!(drawn(ASCII, 4, 1, &[Some(8.0)]), ["   #"]);
        assert_eq!(drawn(ASCII, 4, 1, &[]), ["    "]);
    }
}
