//! What the panes show, size by size and depth by depth.

mod any_size;
mod broken;
mod lists;
mod logs;
mod screens;
mod support;
#[path = "../world/mod.rs"]
mod world;
