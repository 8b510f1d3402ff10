//! Cells to bytes. Remembers what the terminal shows, and where its pen and
//! cursor are, so that a frame is as few bytes as it can be: over a bad link each
//! of them is felt.
//!
//! ratatui's own comparison of buffers is not used. It does not know that a
//! terminal blanks the other half of a wide character that is overwritten, and
//! leaves stale halves behind when lines with such characters move.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::io::Write;
use std::ops::Range;
use unicode_width::UnicodeWidthStr;

/// Blanks in a row from which on erasing is shorter than writing them.
const ERASE_FROM: usize = 8;
/// Bytes painted at once for which a cursor is hidden.
const SEEN_RUNNING: usize = 64;
/// Cells that have not changed and are still written, because going around
/// them takes as many bytes.
const BRIDGE: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

const PLAIN: Pen = Pen { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

impl Pen {
    fn of(cell: &Cell) -> Pen {
        Pen { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }
    }
}

/// What the terminal shows at one place.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    /// Not known.
    Unsure,
    Cell(Cell),
    /// The second half of the wide character to the left.
    Tail,
}

/// Turns buffers into bytes, which gather until [`Encoder::take`].
#[derive(Debug)]
pub struct Encoder {
    out: Vec<u8>,
    width: u16,
    height: u16,
    shown: Vec<Shown>,
    /// `None`: not known, say everything.
    pen: Option<Pen>,
    /// Where the terminal's cursor is, if that is sure.
    cursor: Option<(u16, u16)>,
    cursor_shown: Option<bool>,
}

impl Encoder {
    /// For a terminal of `(columns, rows)`, about which nothing is known yet.
    pub fn new(size: (u16, u16)) -> Encoder {
        let mut e = Encoder {
            out: Vec::new(),
            width: 0,
            height: 0,
            shown: Vec::new(),
            pen: None,
            cursor: None,
            cursor_shown: None,
        };
        e.clear(size);
        e
    }

    /// Clears the screen: the size is new, or somebody else has drawn on it.
    pub fn clear(&mut self, size: (u16, u16)) {
        (self.width, self.height) = size;
        (self.pen, self.cursor, self.cursor_shown) = (None, None, None);
        self.set_pen(PLAIN);
        self.out.extend_from_slice(b"\x1b[2J");
        self.shown.clear();
        self.shown.resize(usize::from(size.0) * usize::from(size.1), Shown::Cell(Cell::EMPTY));
    }

    /// The bytes gathered since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Says what differs between the screen and `next`, which must begin at
    /// (0, 0). `cursor` is where the cursor is to be seen, if anywhere.
    pub fn paint(&mut self, next: &Buffer, cursor: Option<(u16, u16)>) {
        if cursor.is_none() || self.cursor_shown.is_none() {
            self.hide_cursor(self.out.len());
        }
        let before = self.out.len();
        for y in 0..self.height.min(next.area.height) {
            self.row(y, next);
        }
        // Where a terminal has no synchronized output, a cursor that is shown is
        // seen running over the screen with what is painted.
        if self.cursor_shown == Some(true) && self.out.len() - before > SEEN_RUNNING {
            self.hide_cursor(before);
        }
        if let Some((x, y)) = cursor
            && x < self.width
            && y < self.height
        {
            self.go(x, y);
            if self.cursor_shown != Some(true) {
                self.out.extend_from_slice(b"\x1b[?25h");
                self.cursor_shown = Some(true);
            }
        }
    }

    /// As [`Encoder::paint`], for some rows only and with the cursor hidden.
    pub fn paint_rows(&mut self, next: &Buffer, rows: Range<u16>) {
        self.hide_cursor(self.out.len());
        for y in rows.start..rows.end.min(self.height).min(next.area.height) {
            self.row(y, next);
        }
    }

    /// Says it at this place among the bytes gathered, if it needs saying.
    fn hide_cursor(&mut self, at: usize) {
        if self.cursor_shown != Some(false) {
            self.out.splice(at..at, *b"\x1b[?25l");
            self.cursor_shown = Some(false);
        }
    }

    fn row(&mut self, y: u16, next: &Buffer) {
        let width = self.width.min(next.area.width);
        let from = usize::from(y) * usize::from(next.area.width);
        let cells = &next.content[from..from + usize::from(width)];
        let mut x = 0;
        while x < cells.len() {
            let wide = is_wide(&cells[x]) && x + 1 < cells.len();
            if self.shows(x, y, &cells[x], wide) {
                x += if wide { 2 } else { 1 };
                continue;
            }
            let blanks = self.blanks(x, y, cells);
            if blanks >= ERASE_FROM {
                self.erase(x, y, blanks);
                x += blanks;
                continue;
            }
            self.approach(x, y, cells);
            self.write(x, y, &cells[x], wide);
            x += if wide { 2 } else { 1 };
        }
    }

    fn at(&self, x: usize, y: u16) -> usize {
        usize::from(y) * usize::from(self.width) + x
    }

    fn shows(&self, x: usize, y: u16, cell: &Cell, wide: bool) -> bool {
        let at = self.at(x, y);
        let same = match &self.shown[at] {
            // Blanks look alike in any foreground.
            Shown::Cell(c) => {
                (c.symbol() == cell.symbol() && Pen::of(c) == Pen::of(cell))
                    || (is_blank(c) && is_blank(cell))
            }
            _ => false,
        };
        same && (!wide || self.shown[at + 1] == Shown::Tail)
    }

    /// How many blanks from here on are to be shown, up to the last that is not yet.
    fn blanks(&self, x: usize, y: u16, cells: &[Cell]) -> usize {
        let blank = cells[x..].iter().take_while(|c| is_blank(c)).count();
        (0..blank).rev().find(|i| !self.shows(x + i, y, &cells[x + i], false)).map_or(0, |i| i + 1)
    }

    fn erase(&mut self, x: usize, y: u16, n: usize) {
        self.go(x as u16, y);
        // Erased cells take the background colour, and in some terminals the
        // lines too.
        if self.pen.is_none_or(|p| p.bg != Color::Reset || p.modifier.intersects(DRAWS_ON_BLANKS)) {
            self.set_pen(PLAIN);
        }
        if x + n >= usize::from(self.width) {
            self.out.extend_from_slice(b"\x1b[K");
        } else {
            self.put(format_args!("\x1b[{n}X"));
        }
        for i in x..x + n {
            self.note(i, y, Shown::Cell(Cell::EMPTY));
        }
    }

    /// Gets the cursor to a place, over unchanged cells if these are few.
    fn approach(&mut self, x: usize, y: u16, cells: &[Cell]) {
        if let (Some((cx, cy)), Some(pen)) = (self.cursor, self.pen) {
            let cx = usize::from(cx);
            if cy == y && cx < x && x - cx <= BRIDGE {
                let plain = |c: &Cell| c.symbol().len() == 1 && (Pen::of(c) == pen || is_blank_in(c, pen));
                if cells[cx..x].iter().all(plain)
                    && (cx..x).all(|i| matches!(self.shown[self.at(i, y)], Shown::Cell(_)))
                {
                    for (i, cell) in cells.iter().enumerate().take(x).skip(cx) {
                        self.write(i, y, cell, false);
                    }
                    return;
                }
            }
        }
        self.go(x as u16, y);
    }

    /// Writes one character; the cursor is there already.
    fn write(&mut self, x: usize, y: u16, cell: &Cell, wide: bool) {
        self.go(x as u16, y);
        let pen = Pen::of(cell);
        // A blank looks the same in any foreground.
        if !self.pen.is_some_and(|now| is_blank_in(cell, now)) {
            self.set_pen(pen);
        }
        let whole = !is_wide(cell) || wide;
        // Half a wide character at the right edge cannot be shown.
        let symbol = if whole { cell.symbol() } else { " " };
        self.out.extend_from_slice(symbol.as_bytes());
        // Behind anything but a plain narrow character terminals disagree about
        // where the cursor is; at the right edge it hangs.
        let sure = symbol.len() == 1 || (symbol.chars().count() == 1 && symbol.width() == 1);
        let next = x as u16 + 1;
        self.cursor = (sure && next < self.width).then_some((next, y));
        self.note(x, y, Shown::Cell(cell.clone()));
        if wide {
            self.note(x + 1, y, Shown::Tail);
        }
    }

    /// Takes down what is shown now; the other half of a wide character that
    /// was there is blanked by the terminal in a way that is its own.
    fn note(&mut self, x: usize, y: u16, now: Shown) {
        let at = self.at(x, y);
        if now != Shown::Tail && self.shown[at] == Shown::Tail && x > 0 {
            self.shown[at - 1] = Shown::Unsure;
        }
        self.shown[at] = now;
        if x + 1 < usize::from(self.width) && self.shown[at + 1] == Shown::Tail {
            self.shown[at + 1] = Shown::Unsure;
        }
    }

    /// Writing to memory does not fail.
    fn put(&mut self, args: std::fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(args);
    }

    fn go(&mut self, x: u16, y: u16) {
        match self.cursor {
            Some(at) if at == (x, y) => return,
            Some((cx, cy)) if cy == y && cx < x => {
                let n = x - cx;
                if n == 1 {
                    self.out.extend_from_slice(b"\x1b[C");
                } else {
                    self.put(format_args!("\x1b[{n}C"));
                }
            }
            Some((_, cy)) if x == 0 && y == cy + 1 => self.out.extend_from_slice(b"\r\n"),
            _ => self.put(format_args!("\x1b[{};{}H", y + 1, x + 1)),
        }
        self.cursor = Some((x, y));
    }

    fn set_pen(&mut self, to: Pen) {
        if self.pen == Some(to) {
            return;
        }
        if to == PLAIN {
            self.out.extend_from_slice(b"\x1b[m");
        } else {
            let mut whole = vec!["0".to_string()];
            changes(PLAIN, to, &mut whole);
            let mut best = whole.join(";");
            if let Some(from) = self.pen {
                let mut delta = Vec::new();
                changes(from, to, &mut delta);
                let delta = delta.join(";");
                if delta.len() <= best.len() {
                    best = delta;
                }
            }
            self.put(format_args!("\x1b[{best}m"));
        }
        self.pen = Some(to);
    }
}

const DRAWS_ON_BLANKS: Modifier = Modifier::REVERSED.union(Modifier::UNDERLINED).union(Modifier::CROSSED_OUT);

fn is_wide(cell: &Cell) -> bool {
    cell.symbol().len() > 1 && cell.symbol().width() > 1
}

fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && cell.bg == Color::Reset && !cell.modifier.intersects(DRAWS_ON_BLANKS)
}

/// A blank that a pen of other foreground draws just the same.
fn is_blank_in(cell: &Cell, pen: Pen) -> bool {
    is_blank(cell) && pen.bg == Color::Reset && !pen.modifier.intersects(DRAWS_ON_BLANKS)
}

/// SGR parameters that lead from one pen to another.
fn changes(from: Pen, to: Pen, out: &mut Vec<String>) {
    const CODES: [(Modifier, &str, &str); 9] = [
        (Modifier::BOLD, "1", "22"),
        (Modifier::DIM, "2", "22"),
        (Modifier::ITALIC, "3", "23"),
        (Modifier::UNDERLINED, "4", "24"),
        (Modifier::SLOW_BLINK, "5", "25"),
        (Modifier::RAPID_BLINK, "6", "25"),
        (Modifier::REVERSED, "7", "27"),
        (Modifier::HIDDEN, "8", "28"),
        (Modifier::CROSSED_OUT, "9", "29"),
    ];
    let mut had = from.modifier;
    for (m, _, off) in CODES {
        if had.contains(m) && !to.modifier.contains(m) {
            out.push(off.into());
            // One code ends both of a pair.
            for (other, _, o) in CODES {
                if o == off {
                    had.remove(other);
                }
            }
        }
    }
    for (m, on, _) in CODES {
        if to.modifier.contains(m) && !had.contains(m) {
            out.push(on.into());
        }
    }
    if from.fg != to.fg {
        out.push(colour(to.fg, 30));
    }
    if from.bg != to.bg {
        out.push(colour(to.bg, 40));
    }
}

/// The 16 named colours are said in the old way, which every terminal knows.
fn colour(c: Color, base: u8) -> String {
    let named = |n: u8| if n < 8 { (base + n).to_string() } else { (base + 60 + n - 8).to_string() };
    match c {
        Color::Reset => (base + 9).to_string(),
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
        Color::Indexed(n) => format!("{};5;{n}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn buffer(lines: &[(&str, Style)]) -> Buffer {
        let mut b = Buffer::empty(Rect::new(0, 0, 20, 4));
        for (y, (text, style)) in lines.iter().enumerate() {
            b.set_string(0, y as u16, text, *style);
        }
        b
    }

    fn fresh() -> Encoder {
        let mut e = Encoder::new((20, 4));
        e.paint(&buffer(&[]), None);
        e.take();
        e
    }

    fn paint(e: &mut Encoder, b: &Buffer) -> String {
        e.paint(b, None);
        String::from_utf8(e.take()).unwrap()
    }

    #[test]
    fn says_only_what_changes() {
        let red = Style::new().fg(Color::Red);
        let mut e = fresh();
        assert_eq!(paint(&mut e, &buffer(&[("ab", red), ("cd", red)])), "\x1b[1;1H\x1b[31mab\r\ncd");
        assert_eq!(paint(&mut e, &buffer(&[("aX", red), ("cd", Style::new())])), "\x1b[1;2HX\r\n\x1b[mcd");
        assert_eq!(paint(&mut e, &buffer(&[("aX", red), ("cd", Style::new())])), "");
    }

    #[test]
    fn named_colours_are_said_the_old_way() {
        let s = Style::new().fg(Color::LightRed).bg(Color::Indexed(17)).add_modifier(Modifier::BOLD);
        assert_eq!(paint(&mut fresh(), &buffer(&[("x", s)])), "\x1b[1;1H\x1b[1;91;48;5;17mx");
    }

    #[test]
    fn long_blanks_are_erased_and_short_gaps_written() {
        let mut e = fresh();
        let s = Style::new();
        paint(&mut e, &buffer(&[("0123456789abcdefghij", s), ("0123456789abcdefghij", s), ("abcde", s)]));
        let b = buffer(&[("", s), ("01            efghij", s), ("XbcdX", s)]);
        assert_eq!(paint(&mut e, &b), "\x1b[1;1H\x1b[K\x1b[2;3H\x1b[12X\r\nXbcdX");
    }

    #[test]
    fn behind_a_wide_character_the_place_is_said_anew() {
        assert_eq!(paint(&mut fresh(), &buffer(&[("日x", Style::new())])), "\x1b[1;1H日\x1b[1;3Hx");
    }

    #[test]
    fn erased_blanks_of_another_colour_are_not_said_again() {
        let mut e = fresh();
        let dim = Style::new().fg(Color::DarkGray).add_modifier(Modifier::BOLD);
        paint(&mut e, &buffer(&[("0123456789abcdefghij", dim)]));
        let b = buffer(&[("0                  j", dim)]);
        assert_eq!(paint(&mut e, &b), "\x1b[1;2H\x1b[18X");
        assert_eq!(paint(&mut e, &b), "");
    }

    #[test]
    fn the_cursor_is_said_once() {
        let mut e = fresh();
        let b = buffer(&[]);
        e.paint(&b, Some((3, 1)));
        assert_eq!(e.take(), b"\x1b[2;4H\x1b[?25h");
        e.paint(&b, Some((3, 1)));
        assert_eq!(e.take(), b"");
        e.paint(&b, None);
        assert_eq!(e.take(), b"\x1b[?25l");
    }

    #[test]
    fn the_cursor_does_not_run_along_with_what_is_painted() {
        let mut e = fresh();
        let plain = Style::new();
        e.paint(&buffer(&[]), Some((3, 1)));
        e.take();
        e.paint(&buffer(&[("x", plain)]), Some((3, 1)));
        assert_eq!(e.take(), b"\x1b[1;1Hx\x1b[2;4H", "a letter is not worth a blink");
        let line = |c: char| c.to_string().repeat(20);
        let (a, b) = (line('a'), line('b'));
        e.paint(&buffer(&[(&a, plain), (&b, plain), (&a, plain), (&b, plain)]), Some((3, 1)));
        let out = String::from_utf8(e.take()).unwrap();
        assert!(out.starts_with("\x1b[?25l") && out.ends_with("\x1b[2;4H\x1b[?25h"), "{out:?}");
    }

    fn style() -> impl Strategy<Value = Style> {
        let colour = prop_oneof![
            Just(Color::Reset),
            Just(Color::Red),
            Just(Color::White),
            Just(Color::Indexed(99)),
            Just(Color::Rgb(1, 2, 3))
        ];
        (colour.clone(), colour, any::<u16>()).prop_map(|(fg, bg, m)| {
            // Those the reference terminal knows.
            let m = Modifier::from_bits_truncate(m)
                .intersection(Modifier::BOLD | Modifier::ITALIC | Modifier::UNDERLINED | Modifier::REVERSED);
            Style::new().fg(fg).bg(bg).add_modifier(m)
        })
    }

    fn vt_colour(c: Color) -> vt100::Color {
        match c {
            Color::Red => vt100::Color::Idx(1),
            Color::White => vt100::Color::Idx(15),
            Color::Indexed(n) => vt100::Color::Idx(n),
            Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
            _ => vt100::Color::Default,
        }
    }

    proptest! {
        /// Whatever is drawn over whatever, an independent terminal shows it.
        #[test]
        fn a_terminal_shows_what_was_drawn(
            frames in proptest::collection::vec(
                proptest::collection::vec((0u16..30, 0u16..6, "[a-z 日é─]{0,14}", style()), 0..12), 1..5)
        ) {
            let area = Rect::new(0, 0, 30, 6);
            let mut e = Encoder::new((30, 6));
            #[allow(clippy::disallowed_methods, reason = "30x6 is not below 2x2")]
            let mut terminal = vt100::Parser::new(6.try_into().unwrap(), 30.try_into().unwrap(), 0);
            for frame in frames {
                let mut now = Buffer::empty(area);
                for (x, y, text, style) in frame {
                    now.set_string(x, y, text, style);
                }
                e.paint(&now, None);
                terminal.process(&e.take());
                for y in 0..6 {
                    for x in 0..30u16 {
                        let seen = terminal.screen().cell(y, x).unwrap();
                        if seen.is_wide_continuation() {
                            continue;
                        }
                        let cell = &now[(x, y)];
                        let text = if seen.contents().is_empty() { " " } else { seen.contents() };
                        prop_assert_eq!(text, cell.symbol(), "at {},{}", x, y);
                        prop_assert_eq!(seen.bgcolor(), vt_colour(cell.bg));
                        let m = cell.modifier;
                        prop_assert_eq!(seen.inverse(), m.contains(Modifier::REVERSED));
                        prop_assert_eq!(seen.underline(), m.contains(Modifier::UNDERLINED));
                        if cell.symbol() != " " {
                            prop_assert_eq!(seen.fgcolor(), vt_colour(cell.fg));
                            prop_assert_eq!(seen.bold(), m.contains(Modifier::BOLD));
                            prop_assert_eq!(seen.italic(), m.contains(Modifier::ITALIC));
                        }
                    }
                }
            }
        }
    }
}
