//! The documented runbook: its words, and the checks that carry it out.

mod lang;

pub use lang::Lang;
