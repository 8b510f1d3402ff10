//! Reads a situation and says what it means. Pure: no clock, no I/O, no
//! terminal, no cloud SDK. The console, `check`, the drill and the tests all
//! ask here, so they cannot disagree.

pub mod hops;
pub mod path;
pub mod series;
pub mod timeouts;
