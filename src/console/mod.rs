//! The console: what a person sees and does.
//!
//! One direction of flow. [`run`] is the only place with a clock, a terminal,
//! channels and tasks; it turns what happens into [`Msg`]s. [`update::update`] is
//! pure: `(&mut State, Msg) -> Vec<Effect>`. Drawing reads [`State`] and
//! changes nothing. A replayed file and a drill send the same messages as a
//! cloud does.
//!
//! # Who draws what
//!
//! A frame is drawn by [`draw::draw`], in this order and within the rectangles
//! that [`layout::compute`] gives for `(size, focus, zoom)`:
//!
//! 1. `draw` (chrome): the header line (`layout.header`), the key bar or the
//!    message line (`layout.bar`).
//! 2. [`panes::draw`]: the path strip (`layout.strip`), every pane of
//!    `layout.panes` with frame, title (age and state of its data) and tabs, and
//!    the one line of diagnosis of small screens (`layout.verdict`).
//! 3. `overlay`: help, palette, pickers, note editor, filter line, detail view,
//!    confirmations, on top of all that.
//!
//! # What a pane is
//!
//! A pane owns its view state (selection, scroll, filter, what it needs to draw
//! fast), which lives in [`state::Views`], implements [`panes::PaneView`] and
//! never performs I/O nor reads a clock. `update` moves the view out of the
//! state, calls it with the rest of the state to read, and puts it back, so a
//! view's `Default` must be cheap. The time it shows is [`State::now`], the
//! facts are [`State::shown`] (which a freeze holds still), and what follows from
//! them is in `State::derived`, which is brought up to date between messages and
//! frames ([`State::settle`]), never while drawing; log lines are read from
//! `State::situation.logs` up to [`State::log_end`].
//!
//! Nothing below draws text that is not a [`crate::text::SafeText`] or written
//! in this program, and every rectangle is intersected with the frame: a
//! terminal of 0x0 must not panic.

pub mod caps;
pub mod chrome;
pub mod draw;
pub mod filter;
pub mod glyphs;
pub mod keys;
pub mod layout;
pub mod msg;
pub mod overlay;
pub mod panes;
pub mod past;
pub mod people;
pub mod record;
pub mod run;
pub mod standings;
pub mod state;
pub mod term;
pub mod textbox;
pub mod theme;
pub mod update;

pub use msg::{Effect, Msg};
pub use state::{PaneId, State};
