//! AWS: describe calls in waves, metrics and logs, each answer an observation.
//!
//! [`Aws::call`] is the only way a question leaves: it keeps the budget shared
//! by all panes, sets deadlines and says in one [`crate::situation::Reason`]
//! what went wrong. Below it, in every client, the `guard` refuses to sign what is not a
//! read of [`operations::ALL`].

pub mod ask;
pub mod client;
pub mod cloudwatch;
mod convert;
mod descend;
mod error;
mod find;
mod found;
mod guard;
pub mod limiter;
pub mod logs;
pub mod metrics;
mod names;
mod observer;
pub mod operations;
pub mod path;
pub mod plain;
pub mod rows;
mod spot;
mod target;
mod whole;
mod xml;

pub use client::{Aws, Clients, Place};
pub use observer::{observe, start, start_at};
pub use operations::iam_policy;

/// A number in `[0, 1)` to spread what would otherwise happen at once.
pub(crate) fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // Each RandomState has keys of its own; no dependency and no global state.
    (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}
