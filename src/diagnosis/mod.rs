//! Reads a situation and says what it means. Pure: no clock, no I/O, no
//! terminal, no cloud SDK. The console, `check`, the drill and the tests all
//! ask here, so they cannot disagree.

pub mod around;
mod case;
pub mod catalogue;
pub mod causes;
pub mod fore;
pub mod hops;
pub mod judgement;
pub mod path;
mod rows;
pub mod series;
pub mod signs;
pub mod timeouts;
pub mod traced;
pub mod verdict;
pub mod ways;

pub use case::Inputs;
pub use causes::{diagnose, examine};
pub use judgement::Judgement;
