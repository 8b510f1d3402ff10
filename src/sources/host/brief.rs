//! The short list of commands for a run-command service: AWS Systems Manager
//! cuts what a command prints at 24,000 characters ("GetCommandInvocation",
//! `StandardOutputContent`), and its history shows the script to everybody in
//! the account. One plain line a question, therefore, what matters most first.
//!
//! The guard of the cloud client admits exactly these lines ([`is_ours`]):
//! whatever the code above asks for, nothing else is ever sent to a host.

use super::commands::{CLOCK, CONNTRACK, COUNTERS, Command, LOAD, command};

/// What of a target is asked: where it should listen, and where its health is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Local {
    pub port: u16,
    /// Path of the health check; `/` when it holds anything unusual.
    pub path: String,
    pub tls: bool,
}

impl Local {
    /// The path comes from the cloud: what could mean something to a shell, or
    /// is long, is not used.
    pub fn new(port: u16, path: &str, tls: bool) -> Local {
        let path = if is_plain(path) { path } else { "/" };
        Local { port, path: path.to_owned(), tls }
    }

    fn line(&self) -> String {
        let (scheme, lax) = if self.tls { ("https", "k") } else { ("http", "") };
        format!(
            "curl -s{lax} -o /dev/null -m 3 -w '%{{http_code}}' {scheme}://127.0.0.1:{}{}",
            self.port, self.path
        )
    }
}

fn is_plain(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 120
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b))
}

/// Name of the one command that is not the same for all: a request of the
/// host to its own port.
pub const LOCAL: &str = "local";

/// The list. Each answer is capped by its own command.
pub const BRIEF: &[Command] = &[
    CLOCK,
    command("name", "name and processors", "hostname; nproc"),
    LOAD,
    command("memory", "memory and swap", "free -m"),
    command("disk", "disk space", "df -hP -x tmpfs -x devtmpfs | head -n 20"),
    command("inodes", "inodes", "df -iP -x tmpfs -x devtmpfs | head -n 20"),
    command("cpu", "what the processors do", "vmstat 1 2; top -b -n1 | head -n 12 | cut -c1-120"),
    command(
        "listening",
        "who listens where, and how long the queues are",
        "ss -ltnp | head -n 40 | cut -c1-160",
    ),
    command("waiting", "connections the application has not closed", "ss -tan state close-wait | wc -l"),
    COUNTERS,
    CONNTRACK,
    command(
        "allowance",
        "packets beyond what the instance type may",
        "for i in eth0 ens5 ens3; do ethtool -S $i | grep allowance_exceeded; done",
    ),
    command("units", "failed services", "systemctl --failed --no-legend --plain --no-pager | head -n 20"),
    command(
        "services",
        "services that are not well",
        "systemctl status nginx httpd apache2 php-fpm --no-pager -n 0 | grep -E '●|Active:|NRestarts' | head -n 20",
    ),
    command(
        "restarts",
        "services that were restarted",
        "systemctl show '*.service' -p Id,NRestarts,SubState --no-pager | grep -vE '^$|NRestarts=0$|SubState=(running|exited|dead)$' | head -n 200 | cut -c1-80",
    ),
    command(
        "kernel",
        "kernel messages of the last half hour",
        "journalctl -k --since '-30 min' -q --no-pager -o short-iso | grep -iE 'out of memory|oom-kill|table full|SYN flooding|segfault|IN=.*DPT=' | tail -n 15 | cut -c1-240",
    ),
    command(
        "dmesg",
        "kernel messages where there is no journal",
        "dmesg -T | grep -iE 'out of memory|oom-kill|table full|SYN flooding|segfault|IN=.*DPT=' | tail -n 15 | cut -c1-240",
    ),
    command("nft", "firewall rules (nftables)", "nft list ruleset | head -n 80 | cut -c1-160"),
    command(
        "iptables",
        "firewall rules (iptables)",
        "iptables -S | head -n 40 | cut -c1-160; iptables -L -n -v | grep -E 'Chain|DROP|REJECT' | head -n 20 | cut -c1-140",
    ),
    command(
        "versions",
        "versions of servers",
        "nginx -v 2>&1; httpd -v | head -n 1; apache2 -v | head -n 1; haproxy -v | head -n 1; node -v; php-fpm -v | head -n 1",
    ),
    command(
        "processes",
        "command lines of servers",
        "ps -eo pid=,args= -ww | grep -E 'gunicorn|uvicorn|node|puma|java|php-fpm|nginx|httpd|apache2' | head -n 20 | cut -c1-160",
    ),
    command(
        "nginx",
        "configuration of nginx",
        "for f in /etc/nginx/nginx.conf /etc/nginx/conf.d/*.conf /etc/nginx/sites-enabled/*; do test -f \"$f\" && echo \"#badgate $f\" && grep -vE '^ *(#|$)' \"$f\"; done | head -c 3000",
    ),
    command(
        "apache",
        "timeouts of Apache",
        "for f in /etc/httpd/conf/httpd.conf /etc/httpd/conf.d/*.conf /etc/apache2/apache2.conf /etc/apache2/mods-enabled/*.conf /etc/apache2/sites-enabled/*.conf; do test -f \"$f\" && echo \"#badgate $f\" && grep -iE '^ *(keepalive|timeout|proxy|maxrequestworkers|serverlimit)' \"$f\"; done | head -c 3000",
    ),
    command(
        "nginx-log",
        "the newest lines of /var/log/nginx/error.log",
        "tail -n 15 /var/log/nginx/error.log | cut -c1-200",
    ),
    command(
        "httpd-log",
        "the newest lines of /var/log/httpd/error_log",
        "tail -n 15 /var/log/httpd/error_log | cut -c1-200",
    ),
    command(
        "apache-log",
        "the newest lines of /var/log/apache2/error.log",
        "tail -n 15 /var/log/apache2/error.log | cut -c1-200",
    ),
    command(
        "journal",
        "errors of services of the last half hour",
        "journalctl -p err --since '-30 min' -q --no-pager -o short-iso | tail -n 20 | cut -c1-200",
    ),
];

/// The log of kernel messages, from wherever they were read.
pub(super) const KERNEL: &str = "kernel";
/// Where each of these answers comes from, for the name of its log.
pub(super) const LOGS: [(&str, &str); 6] = [
    ("kernel", KERNEL),
    ("dmesg", KERNEL),
    ("nginx-log", "/var/log/nginx/error.log"),
    ("httpd-log", "/var/log/httpd/error_log"),
    ("apache-log", "/var/log/apache2/error.log"),
    ("journal", "journal"),
];

const FIRST: &str = "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin; export PATH";

/// The lines to run, each answer after a line that names it. `mark` is unlike
/// anything a host says: `==badgate-HEX==`.
pub fn lines(mark: &str, local: Option<&Local>) -> Vec<String> {
    let mut out = vec![FIRST.to_owned()];
    let mut say = |id: &str, run: String| {
        out.push(format!("echo '{mark} {id}'"));
        out.push(run);
    };
    if let Some(local) = local {
        say(LOCAL, local.line());
    }
    for c in BRIEF {
        say(c.id, c.run.to_owned());
    }
    out.push(format!("echo '{mark} end'"));
    out
}

/// A mark nobody can guess.
pub fn mark() -> String {
    format!("==badgate-{:x}{:x}==", std::process::id(), jiff::Timestamp::now().as_nanosecond())
}

/// Are these the lines of [`lines`], and nothing besides?
pub fn is_ours(script: &[&str]) -> bool {
    let Some(mark) = script.get(1).and_then(|l| l.strip_prefix("echo '")?.split(' ').next()) else {
        return false;
    };
    if !is_mark(mark) {
        return false;
    }
    let local = match script.get(2).and_then(|l| local_of(l)) {
        Some(local) => Some(local),
        None if script.get(1).is_some_and(|l| l.ends_with(" local'")) => return false,
        None => None,
    };
    lines(mark, local.as_ref()).iter().map(String::as_str).eq(script.iter().copied())
}

/// Is it of the form of [`mark`], and so nothing to a shell?
pub(super) fn is_mark(mark: &str) -> bool {
    let hex = mark.strip_prefix("==badgate-").and_then(|m| m.strip_suffix("=="));
    hex.is_some_and(|h| !h.is_empty() && h.len() <= 48 && h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Reads the request a host makes to itself back from its line.
fn local_of(line: &str) -> Option<Local> {
    let (head, url) = line.rsplit_once(' ')?;
    let tls = url.starts_with("https://");
    let rest = url.split_once("://127.0.0.1:")?.1;
    let slash = rest.find('/')?;
    let port = rest[..slash].parse().ok()?;
    let local = Local { port, path: rest[slash..].to_owned(), tls };
    (is_plain(&local.path) && local.line().rsplit_once(' ')?.0 == head).then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_only_reads_and_fits_what_is_kept() {
        for c in BRIEF {
            let bare = c.run.replace("2>&1", "");
            for bad in
                [">", "rm ", "mv ", "tee ", "kill ", "restart ", "reload", "stop ", "sudo", "nginx -T", "-w "]
            {
                assert!(!bare.contains(bad), "{}: {bad}", c.id);
            }
            assert!(!c.run.contains('\n') && c.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
        let said: Vec<&str> = BRIEF.iter().map(|c| c.id).collect();
        assert!(LOGS.iter().all(|(id, _)| said.contains(id)));
    }

    #[test]
    fn only_these_lines_are_ours() {
        let mark = mark();
        let local = Local::new(8080, "/health-check/v1.txt", false);
        for script in
            [lines(&mark, Some(&local)), lines(&mark, None), lines(&mark, Some(&Local::new(443, "/", true)))]
        {
            let script: Vec<&str> = script.iter().map(String::as_str).collect();
            assert!(is_ours(&script), "{script:?}");
            for at in 0..script.len() {
                let mut more = script.clone();
                more.insert(at, "id");
                assert!(!is_ours(&more), "a line more at {at}");
                let mut less = script.clone();
                less.remove(at);
                assert!(!is_ours(&less), "a line less at {at}");
                let other = format!("{}; id", script[at]);
                let mut changed = script.clone();
                changed[at] = &other;
                assert!(!is_ours(&changed), "{other}");
            }
        }
        assert!(!is_ours(&[]) && !is_ours(&["id"]));
        let forged = lines("==badgate-$(id)==", None);
        assert!(!is_ours(&forged.iter().map(String::as_str).collect::<Vec<_>>()));
    }

    #[test]
    fn a_path_that_means_something_to_a_shell_is_not_used() {
        for bad in ["/x;id", "/$(id)", "/a b", "/`id`", "x", "", "/'", "/a?b=c&d"] {
            assert_eq!(Local::new(80, bad, false).path, "/", "{bad}");
        }
        assert!(local_of("curl -s -o /dev/null -m 3 -w '%{http_code}' http://127.0.0.1:80/a;id").is_none());
    }
}
