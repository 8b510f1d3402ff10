//! Where incident files live and what they are called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::text::SafeText;

/// What every incident file's name ends with.
pub const SUFFIX: &str = ".incident.jsonl";

/// The longest stem made from a target, in bytes.
const MAX_STEM: usize = 80;

/// `$XDG_STATE_HOME/badgate`, else `~/.local/state/badgate`, else the current
/// folder. `env` looks a variable up; a relative XDG path counts as unset, as
/// the XDG base directory specification asks.
pub fn default_dir(env: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let absolute = |name| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return state.join("badgate");
    }
    match absolute("HOME") {
        Some(home) => home.join(".local/state/badgate"),
        None => PathBuf::from("."),
    }
}

/// A file stem from a target and a day, such as `shop-alb-2026-11-22`: ASCII
/// letters, digits, `.`, `_` and `-` only, never a hidden file, at most 91
/// bytes. Of an ARN or URL the telling part is taken.
pub fn stem(target: &str, day: jiff::civil::Date) -> String {
    let telling = if target.starts_with("arn:") {
        target.splitn(6, ':').last().unwrap_or(target)
    } else {
        let bare = target.split_once("://").map_or(target, |(_, rest)| rest);
        let host = bare.split(['?', '#']).next().unwrap_or(bare);
        host.rsplit_once('@').map_or(host, |(_, rest)| rest)
    };
    let mut safe = String::new();
    for c in telling.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
        if safe.len() < MAX_STEM && !(c == '-' && safe.ends_with('-')) {
            safe.push(c);
        }
    }
    let safe = safe.trim_matches(['-', '.']);
    let safe = if safe.is_empty() { "incident" } else { safe };
    format!("{safe}-{day}")
}

/// The first of `STEM`, `STEM-2`, `STEM-3`... in `dir` that does not exist.
/// Open it with [`super::Mode::New`]: another process may be as quick.
pub fn free_path(dir: &Path, stem: &str) -> PathBuf {
    let taken = |p: &Path| p.symlink_metadata().is_ok();
    let first = dir.join(format!("{stem}{SUFFIX}"));
    if !taken(&first) {
        return first;
    }
    let mut n = 2u32;
    loop {
        let path = dir.join(format!("{stem}-{n}{SUFFIX}"));
        if !taken(&path) || n == u32::MAX {
            return path;
        }
        n += 1;
    }
}

/// The stem without `.N` and N, for a file that continues another.
fn split(path: &Path) -> (String, u32) {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(SUFFIX).unwrap_or(&name);
    match stem.rsplit_once('.').map(|(head, n)| (head, n.parse::<u32>())) {
        Some((head, Ok(n))) if n >= 2 && !head.is_empty() => (head.to_owned(), n),
        _ => (stem.to_owned(), 1),
    }
}

/// The file that continues `path` after it was given up: `NAME.2`, then
/// `NAME.3`...
pub fn successor(path: &Path) -> PathBuf {
    let (stem, n) = split(path);
    path.with_file_name(format!("{stem}.{}{SUFFIX}", n.saturating_add(1)))
}

/// The file and those that continue it, as far as they exist, oldest first.
pub fn continued(path: &Path) -> Vec<PathBuf> {
    let mut chain = vec![path.to_path_buf()];
    let mut next = successor(path);
    while next.is_file() {
        let after = successor(&next);
        chain.push(std::mem::replace(&mut next, after));
    }
    chain
}

/// `user@host` for the `by` of what a person does. `env` looks a variable up;
/// without USER and LOGNAME the numeric user id stands in.
pub fn author(env: impl Fn(&str) -> Option<OsString>) -> SafeText {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| env(name).filter(|v| !v.is_empty()))
        .map_or_else(|| name_of(rustix::process::getuid().as_raw()), |v| v.to_string_lossy().into_owned());
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let host = host.split('.').next().filter(|h| !h.is_empty()).unwrap_or("localhost");
    SafeText::capped(format!("{user}@{host}"), 128)
}

/// The name of a user id as the system's file of local users has it, else the
/// number: `su`, `sudo` and task runners leave no name in the environment.
fn name_of(uid: u32) -> String {
    let users = std::fs::read("/etc/passwd").unwrap_or_default();
    name_in(&String::from_utf8_lossy(&users), uid).unwrap_or_else(|| uid.to_string())
}

/// `name:password:uid:...`, a user a line.
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next().filter(|n| !n.is_empty())?;
        (parts.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_environment_has_a_name() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n# a remark\nyui:x:1000:1000::/home/yui:/bin/bash\n:x:7:\n";
        assert_eq!(name_in(users, 1000).as_deref(), Some("yui"));
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!((name_in(users, 7), name_in(users, 100), name_in("", 0)), (None, None, None));
    }

    #[test]
    fn the_default_folder_follows_xdg() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| OsString::from(v))
        };
        assert_eq!(default_dir(env(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")])), Path::new("/s/badgate"));
        assert_eq!(
            default_dir(env(&[("XDG_STATE_HOME", "rel"), ("HOME", "/h")])),
            Path::new("/h/.local/state/badgate")
        );
        assert_eq!(default_dir(env(&[])), Path::new("."));
    }

    #[test]
    fn stems_are_safe_and_telling() {
        let day = jiff::civil::date(2026, 11, 22);
        let table = [
            ("shop-alb", "shop-alb-2026-11-22"),
            ("https://u:pw@shop.example.com/cart?id=7#x", "shop.example.com-cart-2026-11-22"),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/shop/50dc6c495c0c9188",
                "loadbalancer-app-shop-50dc6c495c0c9188-2026-11-22",
            ),
            ("../../etc/passwd", "etc-passwd-2026-11-22"),
            ("\u{1b}]0;x\u{7}", "0-x-2026-11-22"),
            ("\u{65e5}\u{672c}", "incident-2026-11-22"),
            ("", "incident-2026-11-22"),
            (".hidden", "hidden-2026-11-22"),
        ];
        for (target, want) in table {
            assert_eq!(stem(target, day), want);
        }
        assert_eq!(stem(&"x".repeat(500), day).len(), 91);
    }

    #[test]
    fn a_free_path_never_names_an_existing_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let path = free_path(dir.path(), "shop-2026-11-22");
            std::fs::write(&path, b"").unwrap();
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(
            seen,
            [
                "shop-2026-11-22.incident.jsonl",
                "shop-2026-11-22-2.incident.jsonl",
                "shop-2026-11-22-3.incident.jsonl"
            ]
        );
    }

    #[test]
    fn successors_count_up() {
        let next = successor(Path::new("/d/10.0.0.2-2026-11-22.incident.jsonl"));
        assert_eq!(next, Path::new("/d/10.0.0.2-2026-11-22.2.incident.jsonl"));
        assert_eq!(successor(&next), Path::new("/d/10.0.0.2-2026-11-22.3.incident.jsonl"));
    }

    #[test]
    fn the_author_is_somebody() {
        let by = author(|name| (name == "USER").then(|| "yui\u{1b}[31m".into()));
        assert!(by.starts_with("yui^[[31m@") && by.len() > 10, "{by}");
        let by = author(|_| None);
        let name = name_of(rustix::process::getuid().as_raw());
        assert!(!name.is_empty() && by.starts_with(&format!("{name}@")), "{by}");
    }
}
