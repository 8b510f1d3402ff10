//! The command line, and nothing else.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    ExitCode::from(badgate::app::run(std::env::args_os(), started))
}
