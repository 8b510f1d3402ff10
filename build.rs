//! Chooses the linker of a release build where the choice is felt.

use std::process::Command;

/// Since Rust 1.90 programs for x86-64 Linux are linked by LLVM's linker, which
/// keeps the unwind tables of functions it has thrown away: 5 MB of them here,
/// most from the EC2 SDK. GNU's linker, where the C compiler finds it, does not.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    let told = is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && std::env::var("HOST") == std::env::var("TARGET")
        && std::env::var_os("RUSTC_LINKER").is_none();
    let has = || {
        let asked = Command::new("cc").args(["-fuse-ld=bfd", "-Wl,--version"]).output();
        asked.is_ok_and(|o| o.status.success() && o.stdout.starts_with(b"GNU ld"))
    };
    if told && has() {
        println!("cargo:rustc-link-arg-bins=-fuse-ld=bfd");
    }
}
