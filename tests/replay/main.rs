//! Replay, join and the page for those who look: what the console showed comes
//! back, several people write into one file, and the postmortem is a page that
//! no recorded text can break.

#[path = "../support/mod.rs"]
mod support;
#[path = "../world/mod.rs"]
mod world;

mod page;
mod past;
mod story;
mod together;
