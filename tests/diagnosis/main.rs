//! What the diagnosis reads out of a situation: table tests of the documented
//! semantics, one file per part.

#![allow(clippy::field_reassign_with_default, reason = "a test spoils one part of a healthy shop")]

#[path = "../world/mod.rs"]
mod world;

mod hops;
mod legs;
mod measured;
mod nacl;
mod route;
mod series;
mod sg;
mod timeouts;
mod verdicts;
