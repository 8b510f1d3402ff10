//! Hosts asked here and through a real `sshd` on loopback.

use crate::real::apache;
use crate::serve::*;
use crate::support::Pty;
use badgate::situation::{Fact, Reason, Topic};
use badgate::sources::host::{Reached, observe};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// An sshd that lets in whoever runs the test, by a key of its own.
struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    _running: Running,
}

fn sshd() -> Option<Sshd> {
    let sshd = find("sshd", "openssh-server")?;
    find("ssh", "openssh-client")?;
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    std::fs::set_permissions(d, std::fs::Permissions::from_mode(0o700)).unwrap();
    for key in ["host", "user"] {
        let done = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(d.join(key))
            .status()
            .unwrap();
        assert!(done.success());
    }
    std::fs::copy(d.join("user.pub"), d.join("authorized")).unwrap();
    let port = free_port();
    let conf = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile {0}/pid\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\nPermitRootLogin yes\n",
        d.display()
    );
    std::fs::write(d.join("sshd_config"), conf).unwrap();
    // Where it puts what it separates; made by its service otherwise.
    let _ = std::fs::create_dir_all("/run/sshd");
    let mut c = Command::new(sshd);
    c.arg("-D").arg("-f").arg(d.join("sshd_config")).arg("-E").arg(d.join("log"));
    let running = Running::start(&mut c, port);
    Some(Sshd { dir, port, _running: running })
}

/// A `ssh` that uses a config of the test's own, in front of the system's.
fn with_config(sshd: &Sshd, key: &str) -> std::path::PathBuf {
    let d = sshd.dir.path();
    let bin = d.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let config = format!(
        "Host web-1\n HostName 127.0.0.1\n Port {}\n IdentityFile {}/{key}\n IdentitiesOnly yes\n UserKnownHostsFile /dev/null\n \
         StrictHostKeyChecking no\n LogLevel ERROR\n",
        sshd.port,
        d.display()
    );
    std::fs::write(d.join("ssh_config"), config).unwrap();
    let ssh = find("ssh", "openssh-client").unwrap();
    let wrapper = format!("#!/bin/sh\nexec {} -F {}/ssh_config \"$@\"\n", ssh.display(), d.display());
    std::fs::write(bin.join("ssh"), wrapper).unwrap();
    std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

/// Runs `badgate check` on an empty folder of answers, with hosts; its JSON.
fn check(path: Option<&Path>, hosts: &[&str]) -> String {
    let mut c = badgate();
    if let Some(p) = path {
        let old = std::env::var("PATH").unwrap();
        c.env("PATH", format!("{}:{old}", p.display()));
    }
    c.args(["host"]);
    for h in hosts {
        c.arg(h);
    }
    c.arg("--json");
    let out = c.output().unwrap();
    String::from_utf8(out.stdout).unwrap() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn a_host_is_asked_through_the_system_s_ssh() {
    let Some(sshd) = sshd() else { return };
    let bin = with_config(&sshd, "user");
    let text = check(Some(&bin), &["ssh:web-1"]);
    let v: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let h = &v["hosts"][0]["host"];
    assert_eq!(h["asked"], "ssh:web-1");
    assert!(h["cores"].as_u64().unwrap() > 0 && h["memory"]["total_mib"].as_u64().unwrap() > 0, "{v:#}");
    assert!(h["listening"].as_array().is_some_and(|l| l.iter().any(|l| l["port"] == sshd.port)), "{v:#}");
    // A key it does not know: no question, one reason.
    std::fs::remove_file(sshd.dir.path().join("authorized")).unwrap();
    let text = check(Some(&bin), &["ssh:web-1"]);
    assert!(text.contains("Permission denied"), "{text}");
}

#[test]
fn a_control_master_is_used_and_a_password_is_never_asked_for() {
    let Some(sshd) = sshd() else { return };
    let bin = with_config(&sshd, "user");
    let d = sshd.dir.path();
    let config = d.join("ssh_config");
    let shared = std::fs::read_to_string(&config).unwrap()
        + &format!(" ControlMaster auto\n ControlPath {}/master\n ControlPersist 60\n", d.display());
    std::fs::write(&config, shared).unwrap();
    let begun = std::time::Instant::now();
    let text = check(Some(&bin), &["ssh:web-1"]);
    assert!(text.contains("\"cores\""), "{text}");
    // The master lives on and holds nothing of ours: waiting for it would take 30 s.
    assert!(d.join("master").exists() && begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    // Nobody new gets in any more, but there is a connection already.
    std::fs::remove_file(d.join("authorized")).unwrap();
    let text = check(Some(&bin), &["ssh:web-1"]);
    assert!(text.contains("\"cores\""), "{text}");
    let ssh = |args: &[&str]| Command::new(bin.join("ssh")).args(args).output().unwrap();
    assert!(ssh(&["-O", "exit", "web-1"]).status.success());

    // On a terminal, where ssh could ask for the password that this server takes.
    let env = [
        ("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())),
        ("HOME", d.display().to_string()),
        ("TERM", "xterm-256color".into()),
        ("LANG", "C.UTF-8".into()),
    ]
    .map(|(k, v)| (k.to_owned(), v));
    let mut pty = Pty::badgate(&["host", "ssh:web-1", "--yes"], &env, 100, 30);
    assert_eq!(pty.wait_exit().exit_code(), 3, "{}", pty.dump());
    let said = String::from_utf8_lossy(&pty.raw()).to_lowercase();
    // It stands in the list of what the server would have taken, and nowhere else.
    assert!(said.contains("permission denied") && !said.contains("password:"), "{}", pty.dump());
}

#[tokio::test]
async fn a_host_that_hangs_or_is_not_there_is_said_to() {
    let all = observe(&Reached::Ssh("nobody.invalid".into()), LONG).await;
    assert_eq!(all[0].topic, Topic::Host("ssh:nobody.invalid".into()));
    assert!(matches!(&all[0].fact, Fact::Unknown(Reason::Offline { .. })), "{:?}", all[0]);
    // Something listens and never speaks.
    let silent = Serve::new(|s| {
        std::thread::sleep(Duration::from_secs(60));
        drop(s);
    });
    let begun = std::time::Instant::now();
    let name = format!("ssh://127.0.0.1:{}", silent.at.port());
    assert!(name.parse::<Reached>().is_err(), "no URL is a name");
    let all = observe(&Reached::Local, Duration::from_millis(1)).await;
    assert!(begun.elapsed() < LONG && all.len() == 1, "{all:?}");
}

#[tokio::test]
async fn settings_of_a_running_server_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let Some(_running) = apache(dir.path(), port, "KeepAliveTimeout 7\n") else { return };
    let all = observe(&Reached::Local, LONG).await;
    let Fact::Host(h) = &all[0].fact else { panic!("{:?}", all[0]) };
    let on = h.listening.iter().find(|l| l.port == port).unwrap_or_else(|| panic!("{h:?}"));
    assert!(on.process.is_empty() || on.process == "apache2", "{on:?}");
    assert!(h.versions.iter().any(|(s, v)| s.as_str() == "apache" && v.starts_with("2.4")), "{h:?}");
    // As Debian configures it.
    if Path::new("/etc/apache2/apache2.conf").exists() {
        assert!(h.settings("apache", "KeepAliveTimeout").any(|s| s.seconds.is_some()), "{h:?}");
    }
}

#[test]
fn a_host_that_prints_rubbish_is_bounded_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let ssh = |script: &str| {
        std::fs::write(dir.path().join("ssh"), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(dir.path().join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        check(Some(dir.path()), &["ssh:web-1"])
    };
    let text = ssh("exec head -c 20000000 /dev/urandom");
    assert!(text.contains("bytes of output, none of them an answer"), "{text}");
    // Whatever stands behind the marks is no answer and no command to a terminal.
    let text = ssh("sed -n 's/.*\\(==badgate-[0-9a-f]*-[0-9a-f]*==\\) *\\([a-z-]*\\).*/\\1 \\2/p' | \
                    while read m; do echo \"$m\"; head -c 3000 /dev/urandom; echo; done");
    let v: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let h = &v["hosts"][0]["host"];
    assert!(h["cores"].is_null() && h["memory"].is_null() && h["load"].is_null(), "{v:#}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'));
}
