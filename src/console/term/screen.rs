//! From state to bytes: ratatui lays the frame out in memory, the encoder says
//! what differs from what the terminal shows.

use super::encoder::Encoder;
use crate::console::state::State;
use crate::console::{chrome, draw};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The screen as the terminal shows it, and the frame being built.
#[derive(Debug)]
pub struct Screen {
    size: (u16, u16),
    /// Blank between frames.
    buffer: Buffer,
    encoder: Encoder,
    stale: bool,
}

impl Screen {
    /// For a terminal of this size.
    pub fn new(size: (u16, u16)) -> Screen {
        Screen { size, buffer: blank(size), encoder: Encoder::new(size), stale: false }
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
            self.buffer = blank(self.size);
            self.encoder.clear(self.size);
        }
        if self.size.0 == 0 || self.size.1 == 0 {
            return Vec::new();
        }
        let cursor = draw::draw(state, &mut self.buffer);
        self.encoder.paint(&self.buffer, cursor);
        self.buffer.reset();
        self.encoder.take()
    }

    /// As [`Screen::frame`], for the header alone: the rest stays as it is
    /// shown. A whole frame where the terminal is not as it was.
    pub fn clock(&mut self, state: &State) -> Vec<u8> {
        if state.size != self.size || self.stale || self.size.0 == 0 || self.size.1 == 0 {
            return self.frame(state);
        }
        let header = state.layout().header;
        chrome::header(state, &mut self.buffer, header);
        self.encoder.paint_rows(&self.buffer, header.top()..header.bottom());
        self.buffer.reset();
        self.encoder.take()
    }
}

fn blank((w, h): (u16, u16)) -> Buffer {
    Buffer::empty(Rect::new(0, 0, w, h))
}
