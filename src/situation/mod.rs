//! The vocabulary of an incident and the fold that turns observations into a
//! situation. Pure data: no clock, no I/O, no terminal, no cloud SDK.

pub mod access;
pub mod around;
pub mod beside;
pub mod datum;
pub mod ecs;
pub mod elb;
mod fold;
pub mod front;
pub mod host;
pub mod level;
pub mod log;
pub mod metric;
pub mod net;
pub mod observation;
pub mod probe;
pub mod shape;
pub mod trace;
mod want;

pub use datum::{Datum, Gap, Known, Reason};
pub use fold::{Change, GroupState, LbState, Situation, TargetTrack, VpcState};
pub use observation::{
    Fact, Identity, Observation, ResolvedTarget, Searched, Topic, function_name, short, short_name,
};
pub use want::Want;
