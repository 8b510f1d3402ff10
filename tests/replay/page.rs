//! The postmortem as a page.

use crate::story::STORY;
use crate::support::badgate;
use badgate::journal::{Kind, Record};
use badgate::text::SafeText;
use regex::Regex;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn export(file: &Path, format: &str, more: &[&str]) -> String {
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

fn on_disk(records: &[Record]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop-2026-11-22.incident.jsonl");
    std::fs::write(&path, records.iter().flat_map(|r| r.clone().to_line()).collect::<Vec<u8>>()).unwrap();
    (dir, path)
}

#[test]
fn every_form_tells_the_same_outage() {
    let (_dir, file) = on_disk(&STORY.records);
    let html = export(&file, "html", &[]);
    let md = export(&file, "md", &[]);
    let json: Value = serde_json::from_str(&export(&file, "json", &[])).unwrap();
    let picture = &json["incident"]["picture"];
    for fact in [
        "nacl-forward-denied",
        "acl-app rule 90 denies tcp/8080",
        "deleted rule 90 of acl-app",
        "checkout fails for everybody",
        "ReplaceNetworkAclEntry by deploy",
        "deregistration delay",
        "11m 30s",
        "i-b:8080",
    ] {
        assert!(html.contains(fact), "the page lacks {fact:?}");
        assert!(md.contains(fact), "the Markdown lacks {fact:?}");
        assert!(json["incident"].to_string().contains(fact), "the JSON lacks {fact:?}");
    }
    // The broken hop, the lane of the group, the curve.
    assert!(html.contains("class=\"hop bad broken\"") && html.contains("broken here"));
    assert!(md.contains("**broken here**"));
    assert_eq!(picture["broken_hop"], "i-b:8080");
    let spans: Vec<(Option<u64>, &str)> = picture["health"][0]["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["healthy"].as_u64(), &s["from"].as_str().unwrap()[11..19]))
        .collect();
    let want = [
        (Some(2), "01:35:01"),
        (Some(1), "01:41:00"),
        (Some(0), "01:41:20"),
        (Some(1), "01:53:00"),
        (Some(2), "01:53:20"),
    ];
    assert_eq!(spans, want);
    assert!(
        md.contains("- health `web`: 0/2 healthy (2026-11-22 01:41:20Z to 2026-11-22 01:53:00Z)"),
        "{md}"
    );
    let most = picture["errors_5xx_per_minute"].as_array().unwrap();
    let most = most.iter().map(|e| e["count"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(most, 146.0);
    assert!(html.contains(">146</text>"));
}

#[test]
fn the_words_of_the_page_are_japanese_where_that_is_wanted() {
    let (_dir, file) = on_disk(&STORY.records);
    let html = export(&file, "html", &["--lang", "ja"]);
    assert!(html.contains("<html lang=\"ja\">"));
    for word in ["ポストモーテム", "検知まで", "ここが壊れている", "タイムアウトの連鎖", "確定"]
    {
        assert!(html.contains(word), "{word}");
    }
    assert!(html.contains("checkout fails for everybody"), "what people wrote stays as they wrote it");
    assert!(export(&file, "md", &["--lang", "ja"]).contains("## リクエストの経路"));
}

/// Everything in which others have a say: names, notes, reasons, findings.
fn with_text(text: &str) -> Vec<Record> {
    let put = |v: &mut Value, name: &str| {
        if let Some(slot) = v.get_mut(name).filter(|s| s.is_string()) {
            *slot = text.into();
        }
    };
    let mut records = STORY.records.clone();
    // Log lines are in no page; without them reading is quick.
    records.retain(|r| !r.is_log());
    for r in &mut records {
        match r.kind {
            Kind::Note | Kind::Mark | Kind::Action => {
                for name in ["text", "source", "undo"] {
                    put(&mut r.data, name);
                }
                r.by = SafeText::new(text);
            }
            Kind::Opened => put(&mut r.data, "target"),
            Kind::Step | Kind::Verdict => {
                put(&mut r.data, "title");
                put(&mut r.data, "text");
                for e in r.data["evidence"].as_array_mut().into_iter().flatten() {
                    ["what", "value", "source"].into_iter().for_each(|n| put(e, n));
                }
                for c in r.data["checks"].as_array_mut().into_iter().flatten() {
                    for f in c["findings"].as_array_mut().into_iter().flatten() {
                        put(f, "text");
                    }
                }
            }
            Kind::Observed => match r.data["fact"].as_str() {
                Some("target_groups") => put(&mut r.data["data"][0], "name"),
                Some("load_balancer") => put(&mut r.data["data"], "name"),
                Some("changes") => {
                    ["name", "user"].into_iter().for_each(|n| put(&mut r.data["data"]["events"][0], n))
                }
                Some("target_health") => {
                    for h in r.data["data"].as_array_mut().into_iter().flatten() {
                        put(h, "description");
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    records
}

#[test]
fn no_text_becomes_part_of_the_page() {
    let harmless = {
        let (_dir, file) = on_disk(&with_text("harmless"));
        export(&file, "html", &[])
    };
    let tags = |html: &str| html.matches('<').count();
    let handler = Regex::new(r"\son[a-z]+\s*=").unwrap();
    let in_tags = Regex::new(r"<[^>]*>").unwrap();
    for hostile in [
        "</title><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</svg><svg onload=alert(1)>",
        "\" onmouseover=\"alert(1)\" x=\"",
        "' onmouseover='alert(1)' x='",
        "<!-- ",
        "]]><script>",
        "</style><style>@import 'https://evil.example/x.css'",
        "<a href=javascript:alert(1)>x</a> https://evil.example/",
        "&lt;script&gt; &#60;script&#62;",
        "\u{202e}gnp.exe\u{1b}[2J\u{0}",
        "<title><textarea><xmp><plaintext>",
    ] {
        let (_dir, file) = on_disk(&with_text(hostile));
        let html = export(&file, "html", &[]);
        assert!(!html.contains(hostile), "{hostile}");
        for bad in ["<script", "<img", "<iframe", "<link", "<a ", "<!--", "<object", "<embed", "<xmp"] {
            assert!(!html.contains(bad), "{hostile}: {bad}");
        }
        assert_eq!(tags(&html), tags(&harmless), "{hostile}");
        let style_end = html.find("</style>").unwrap();
        for tag in in_tags.find_iter(&html[style_end..]) {
            let tag = tag.as_str();
            for bad in ["src=", "href=", "http", "url(", "javascript:"] {
                assert!(!tag.contains(bad), "{hostile}: {bad} in {tag}");
            }
            assert!(!handler.is_match(tag), "{hostile}: {tag}");
        }
        assert!(!html.contains(['\u{1b}', '\u{0}', '\u{202e}']));
    }
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let (_dir, file) = on_disk(&STORY.records);
    let html = export(&file, "html", &[]);
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'"));
    for outside in ["http://", "https://", "//", "@import", "@font-face", "src="] {
        let style = &html[html.find("<style>").unwrap()..html.find("</style>").unwrap()];
        assert!(!style.contains(outside), "{outside} in the style");
    }
    let url = Regex::new(r"url\(([^)]*)\)").unwrap();
    assert!(
        url.captures_iter(&html).all(|c| c[1].starts_with('#')),
        "only what is in the page is referred to"
    );
}

#[test]
fn secrets_are_taken_out_unless_asked_for() {
    let mut records = STORY.records.clone();
    let secret = "AKIAIOSFODNN7EXAMPLE";
    let note = records.iter_mut().find(|r| r.kind == Kind::Note).unwrap();
    note.data["text"] = format!("the key was {secret}").into();
    let (_dir, file) = on_disk(&records);
    assert!(!export(&file, "html", &[]).contains(secret));
    let open = export(&file, "html", &["--redact", "none"]);
    assert!(open.contains(secret) && open.contains("class=\"warning\""));
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file()))
}

/// Width and height of a PNG, and how many bytes it took.
fn png(path: &Path) -> (u32, u32, usize) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let n = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (n(16), n(20), bytes.len())
}

#[test]
fn a_browser_draws_it_in_light_and_dark() {
    let Some(browser) = chromium() else {
        eprintln!("SKIPPED: there is no Chromium here; apt-get install chromium");
        return;
    };
    let (dir, file) = on_disk(&STORY.records);
    let page = dir.path().join("page.html");
    std::fs::write(&page, export(&file, "html", &[])).unwrap();
    let run = |more: &[&str]| {
        let out = Command::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--disable-dev-shm-usage",
            ])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .args(more)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let shot = |name: &str, more: &[&str]| {
        let to = dir.path().join(name);
        let option = format!("--screenshot={}", to.display());
        let mut all = vec!["--window-size=1200,2400", option.as_str()];
        all.extend_from_slice(more);
        run(&all);
        if let Some(keep) = std::env::var_os("BADGATE_SHOTS") {
            std::fs::copy(&to, Path::new(&keep).join(name)).unwrap();
        }
        (png(&to), std::fs::read(&to).unwrap())
    };
    let (light, light_bytes) = shot("light.png", &[]);
    let (dark, dark_bytes) = shot("dark.png", &["--blink-settings=preferredColorScheme=0"]);
    assert_eq!((light.0, light.1), (1200, 2400));
    // A blank page of this size takes a few kilobytes.
    assert!(light.2 > 100_000 && dark.2 > 100_000, "{light:?} {dark:?}");
    assert_ne!(light_bytes, dark_bytes, "dark is not light");
    // What the browser made of it is what was written: nothing was mended.
    let dom = String::from_utf8(run(&["--dump-dom"])).unwrap();
    assert!(dom.contains("<svg") && !dom.contains("<script") && dom.trim_end().ends_with("</html>"));
}
