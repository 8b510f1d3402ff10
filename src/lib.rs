//! badgate: a terminal incident console for 502 Bad Gateway.
//!
//! Everything the program knows arrives as an [`situation::Observation`], is
//! folded into a [`situation::Situation`], read by [`diagnosis`] and shown by
//! the console or written by [`report`]. Dependencies point one way:
//! `situation <- diagnosis <- procedure <- console/report`, and
//! `situation <- sources, journal`. Nothing imports the console.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr))]

pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod diagnosis;
pub mod doctor;
pub mod journal;
pub mod procedure;
pub mod report;
pub mod situation;
pub mod sources;
pub mod text;
