//! What the diagnosis reads out of a situation: table tests of the documented
//! semantics, one file per part.

#[path = "../world/mod.rs"]
mod world;

mod hops;
mod legs;
mod nacl;
mod route;
mod series;
mod sg;
mod timeouts;
