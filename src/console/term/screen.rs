//! From state to bytes: ratatui lays the frame out in memory, the encoder says
//! what differs from what the terminal shows.

use super::encoder::Encoder;
use crate::console::state::State;
use crate::console::{chrome, draw};
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Rect, Size};
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::convert::Infallible;

/// A backend that shows nothing: ratatui wants one to hand out frames.
#[derive(Debug)]
struct Nowhere(Size);

impl Backend for Nowhere {
    type Error = Infallible;
    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, _: I) -> Result<(), Infallible> {
        Ok(())
    }
    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn show_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(Position::ORIGIN)
    }
    fn set_cursor_position<P: Into<Position>>(&mut self, _: P) -> Result<(), Infallible> {
        Ok(())
    }
    fn clear(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn clear_region(&mut self, _: ClearType) -> Result<(), Infallible> {
        Ok(())
    }
    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.0)
    }
    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: self.0, pixels: Size::default() })
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The screen as the terminal shows it, and the frame being built.
#[derive(Debug)]
pub struct Screen {
    size: (u16, u16),
    frames: Terminal<Nowhere>,
    encoder: Encoder,
    stale: bool,
}

impl Screen {
    /// For a terminal of this size.
    pub fn new(size: (u16, u16)) -> Screen {
        Screen { size, frames: frames(size), encoder: Encoder::new(size), stale: false }
    }

    /// The terminal may show something else now: the next frame says everything.
    pub fn forget(&mut self) {
        self.stale = true;
    }

    /// Builds the frame of this state and gives the bytes that lead to it from
    /// what is shown. Empty when nothing differs or there is no room at all.
    pub fn frame(&mut self, state: &State) -> Vec<u8> {
        if state.size != self.size || self.stale {
            self.size = state.size;
            self.stale = false;
            self.frames = frames(self.size);
            self.encoder.clear(self.size);
        }
        if self.size.0 == 0 || self.size.1 == 0 {
            return Vec::new();
        }
        let cursor = draw::draw(state, &mut self.frames.get_frame());
        let buffer = self.frames.current_buffer_mut();
        self.encoder.paint(buffer, cursor);
        buffer.reset();
        self.encoder.take()
    }

    /// As [`Screen::frame`], for the header alone: the rest stays as it is
    /// shown. A whole frame where the terminal is not as it was.
    pub fn clock(&mut self, state: &State) -> Vec<u8> {
        if state.size != self.size || self.stale || self.size.0 == 0 || self.size.1 == 0 {
            return self.frame(state);
        }
        let header = state.layout().header;
        let buffer = self.frames.current_buffer_mut();
        chrome::header(state, buffer, header);
        self.encoder.paint_rows(buffer, header.top()..header.bottom());
        buffer.reset();
        self.encoder.take()
    }
}

fn frames((w, h): (u16, u16)) -> Terminal<Nowhere> {
    let area = Rect::new(0, 0, w, h);
    let options = TerminalOptions { viewport: Viewport::Fixed(area) };
    match Terminal::with_options(Nowhere(area.as_size()), options) {
        Ok(t) => t,
        Err(never) => match never {},
    }
}
