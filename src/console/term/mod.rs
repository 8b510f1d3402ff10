//! The terminal: taking it and giving it back ([`guard`]), what is written to it
//! ([`encoder`], [`output`]) and what is read from it ([`input`], [`parse`]).
//!
//! The fewest modes are switched on: raw input, the alternate screen and
//! bracketed paste. No mouse, no keyboard protocol, no query: whatever a dropped
//! connection leaves behind, `reset` brings back.

pub mod clipboard;
pub mod encoder;
pub mod guard;
pub mod input;
pub mod output;
pub mod parse;
pub mod screen;
pub mod tty;

pub use encoder::Encoder;
pub use guard::{Guard, install_hooks};
pub use input::Input;
pub use output::{Meter, Output};
pub use screen::Screen;
pub use tty::Tty;
