//! The postmortem as a page.

use crate::story;
use crate::support::badgate;
use std::process::Command;

fn export(file: &std::path::Path, format: &str, more: &[&str]) -> String {
    let out = Command::new(badgate())
        .args(["export", file.to_str().unwrap(), "--format", format])
        .args(more)
        .env_clear()
        .env("LANG", "C.UTF-8")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn the_page_shows_the_outage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shop-2026-11-22.incident.jsonl");
    std::fs::write(&file, story::STORY.bytes()).unwrap();
    if let Some(to) = std::env::var_os("BADGATE_STORY") {
        std::fs::copy(&file, to).unwrap();
    }
    let html = export(&file, "html", &[]);
    for want in ["<svg", "broken here", "nacl-forward-denied", "shop", "deleted rule 90 of acl-app"] {
        assert!(html.contains(want), "the page lacks {want:?}");
    }
}
