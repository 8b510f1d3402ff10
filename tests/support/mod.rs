//! What the integration tests share.
//!
//! * [`lab::Lab`]: the AWS API emulator with a named situation in it (see `tests/lab/README.md`).
//! * [`fake::Fake`]: an HTTP server that answers exactly what a test tells it, and remembers what was asked.
//! * [`pty::Pty`]: a program on a terminal, with its screen.
//!
//! Everything is waited for by condition, with deadlines far beyond what a slow machine needs; nothing sleeps and hopes.
//! Each test program compiles this on its own and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod fake;
pub mod http;
pub mod lab;
pub mod pty;

pub use fake::{Answer, Fake, Seen};
pub use lab::{Call, Lab, round_trips};
pub use pty::Pty;

use std::time::{Duration, Instant};

/// How long anything may take before a test is lost. Never reached unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `ready` gives something, and returns it.
///
/// # Panics
/// After [`PATIENCE`], saying `what` never came.
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The program under test.
pub fn badgate() -> &'static str {
    env!("CARGO_BIN_EXE_badgate")
}

/// Runs it to its end with nothing but this environment, and nobody at its input.
pub fn run(env: &[(String, String)], args: &[&str]) -> std::process::Output {
    std::process::Command::new(badgate())
        .args(args)
        .env_clear()
        .envs(env.iter().cloned())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}
