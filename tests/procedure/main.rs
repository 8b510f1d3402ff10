//! The procedure on constructed situations, and what `badgate check` makes of it.

#[path = "../world/mod.rs"]
mod world;

mod first;
mod last;
mod report;
mod settings;
mod shop;
