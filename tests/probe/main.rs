//! `badgate probe` and what it measures with: against servers of its own on
//! loopback that do what no decent server does, and against the real ones,
//! where they are installed.
mod bounds;
mod chain;
mod dns;
mod faults;
mod hosts;
mod idle;
mod netns;
mod real;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod tls;
#[path = "../world/mod.rs"]
mod world;
