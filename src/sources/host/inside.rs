//! What a container is asked through ECS Exec: those commands of the list for
//! hosts that mean something inside one. Kernel, firewall and services of the
//! machine below are not the container's, and often not even seen from it.
//!
//! The whole list is one line, because ECS Exec takes a command and no script:
//! `sh -c '...'`. The guard of the cloud client admits exactly this line
//! ([`is_ours`]). No brace is doubled in it: Systems Manager, which carries the
//! session, reads `{{ }}` in parameters as names of its own.

use super::brief::is_mark;
use super::commands::{COMMANDS, Command, SECONDS};
use crate::text::SafeText;
use std::str::FromStr;

/// Those of the list, in its order.
const IDS: [&str; 17] = [
    "clock",
    "name",
    "uptime",
    "pressure",
    "memory",
    "disk",
    "inodes",
    "sockets",
    "listening",
    "counters",
    "versions",
    "processes",
    "nginx",
    "apache",
    "gunicorn",
    "node",
    "logs",
];

/// Bytes of each answer that are taken: a session is a terminal, and slow.
const ANSWER: usize = 16 * 1024;

/// A container, by the names ECS gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Name of the cluster.
    pub cluster: String,
    /// Id of the task: 32 or 36 characters.
    pub task: String,
    /// Needed where a task has several.
    pub container: Option<String>,
}

impl std::fmt::Display for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ecs:{}/{}", self.cluster, self.task)?;
        self.container.iter().try_for_each(|c| write!(f, "/{c}"))
    }
}

impl FromStr for Container {
    type Err = String;

    /// `CLUSTER/TASK[/CONTAINER]`. The error is the rest of a line.
    fn from_str(typed: &str) -> Result<Container, String> {
        let wrong = || {
            let shown = SafeText::capped(typed, 80);
            format!(
                "names '{shown}', which is not CLUSTER/TASK or CLUSTER/TASK/CONTAINER (a task's id has 32 hex digits)"
            )
        };
        let name = |s: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            !s.is_empty() && s.len() <= 255 && s.bytes().all(fits)
        };
        let mut parts = typed.split('/');
        let (Some(cluster), Some(task), container, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        // Older tasks have hyphens in their ids.
        let id = matches!(task.len(), 32 | 36) && task.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !name(cluster) || !id || !container.is_none_or(name) {
            return Err(wrong());
        }
        Ok(Container {
            cluster: cluster.to_owned(),
            task: task.to_ascii_lowercase(),
            container: container.map(str::to_owned),
        })
    }
}

/// The commands, to be shown before they run.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(|c| IDS.contains(&c.id))
}

/// Their names.
pub(super) fn ids() -> Vec<&'static str> {
    IDS.to_vec()
}

/// In single quotes; a quote within is closed around.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The line ECS Exec is given. Each answer stands between two marks as with
/// the script for hosts. The mark is put together only where it runs: the line
/// stands in the list of processes, which is one of the answers.
pub fn line(mark: &str) -> String {
    let part = mark.strip_suffix("==").unwrap_or(mark);
    let mut script = format!(
        "m=\"{part}\"; m=\"$m==\"; LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin; export PATH; \
         a() {{ echo \"$m $1\"; {{ timeout {SECONDS} sh -c \"$2\" 2>&1 </dev/null; echo \"$m=$?\"; }} | head -c {ANSWER}; echo; }}; "
    );
    for c in commands() {
        script.push_str(&format!("a {} {}; ", c.id, quoted(c.run)));
    }
    script.push_str("echo \"$m end\"");
    format!("sh -c {}", quoted(&script))
}

/// Is this the line of [`line`], and nothing besides?
pub fn is_ours(command: &str) -> bool {
    let Some(from) = command.find("==badgate-") else { return false };
    let part = command[from..].split('"').next().unwrap_or_default();
    let mark = format!("{part}==");
    is_mark(&mark) && line(&mark) == command
}

/// The plugin says goodbye on the same line as the container speaks: on a line
/// of its own, the last one, this long at most.
const GOODBYE: &[u8] = b"\nExiting session with sessionId";
const LAST: usize = 400;

/// What a terminal made of lines, undone: no carriage returns, and nothing of
/// what the plugin says when the session ends in the middle. After the last
/// mark nothing is read anyway; and an answer may hold the same words (a list
/// of processes does, where somebody looks for them).
pub(super) fn plain(bytes: &[u8], mark: &str) -> Vec<u8> {
    let mut out: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'\r').collect();
    let whole = memchr::memmem::find(&out, format!("{mark} end").as_bytes()).is_some();
    let tail = out.len().saturating_sub(LAST);
    if let Some(at) = memchr::memmem::rfind(&out[tail..], GOODBYE).filter(|_| !whole) {
        out.truncate(tail + at);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::brief::mark;
    use super::*;
    use std::process::Command as Process;

    const M: &str = "==badgate-1==";
    const TASK: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn containers_have_names_and_nothing_else_passes() {
        let c: Container = format!("shop/{TASK}/web-1").parse().unwrap();
        assert_eq!(c.to_string(), format!("ecs:shop/{TASK}/web-1"));
        assert!(format!("shop/{TASK}").parse::<Container>().unwrap().container.is_none());
        for bad in [
            String::new(),
            "shop".into(),
            "shop/short".into(),
            format!("/{TASK}"),
            format!("sh op/{TASK}"),
            format!("shop/{TASK}/"),
            format!("shop/{TASK}/a/b"),
            format!("shop/{TASK}/$(id)"),
            format!("shop/{}x", &TASK[1..]),
        ] {
            let said = bad.parse::<Container>().unwrap_err();
            assert!(said.contains("CLUSTER/TASK") && !said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn only_this_line_is_ours() {
        let mark = mark();
        let good = line(&mark);
        assert!(!good.contains(&mark), "or the list of processes would hold it");
        assert!(is_ours(&good));
        for bad in [
            format!("{good}; id"),
            format!("id; {good}"),
            good.replacen("cat /proc/loadavg", "id", 1),
            good.replacen("==badgate-", "==badgate-$(id)", 1),
            line("==badgate-$(id)=="),
            "sh".into(),
            String::new(),
        ] {
            assert!(!is_ours(&bad), "{bad}");
        }
        assert!(commands().count() == IDS.len(), "each is one of the list that is shown");
        assert!(!good.contains("{{") && !good.contains('\n') && good.len() < 8000, "{} bytes", good.len());
    }

    #[test]
    fn a_shell_runs_it_and_the_answers_come_apart() {
        let mark = mark();
        let out = Process::new("sh").args(["-c", &line(&mark)]).output().unwrap();
        let text = format!(
            "\nStarting session with SessionId: ecs-x\n{}\n\nExiting session with sessionId: ecs-x.\n",
            String::from_utf8_lossy(&out.stdout).replace('\n', "\r\n")
        );
        let a = super::super::Answers::read(&plain(text.as_bytes(), &mark), &mark);
        assert!(a.whole);
        for id in ["clock", "name", "uptime", "memory", "disk"] {
            assert!(!a.of(id).is_empty() && a.code(id).is_some(), "{id}: {text}");
        }
    }

    #[test]
    fn the_goodbye_is_cut_off_and_the_same_words_in_an_answer_are_not() {
        let words = "\r\nExiting session with sessionId: x.\r\n";
        let ended = format!("{M} a\r\none{words}\r\n");
        assert_eq!(plain(ended.as_bytes(), M), format!("{M} a\none").as_bytes());
        let whole = format!("{M} a\r\n7 grep{words}{M}=0\r\n{M} end\r\n");
        assert_eq!(plain(whole.as_bytes(), M), whole.replace('\r', "").as_bytes());
        let long = format!("{M} a{words}{}", "y".repeat(500));
        assert_eq!(plain(long.as_bytes(), M), long.replace('\r', "").as_bytes());
    }
}
