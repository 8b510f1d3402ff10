//! The fixed list of commands a host is asked. Nothing in it writes, starts or
//! stops anything; nothing of what a person typed becomes part of it.

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub id: &'static str,
    /// What for, in words.
    pub what: &'static str,
    /// A line for `sh`. Single-quoted text only: it is shown as it runs.
    pub run: &'static str,
}

pub(super) const fn command(id: &'static str, what: &'static str, run: &'static str) -> Command {
    Command { id, what, run }
}

pub(super) const LOAD: Command = command("uptime", "load", "cat /proc/loadavg");
// Asked in the same words whatever carries them.
pub(super) const CLOCK: Command = command("clock", "its clock", "date -u +%s.%N; date +%z");
pub(super) const COUNTERS: Command = command(
    "counters",
    "counters of the kernel",
    "nstat -asz TcpExtListenOverflows TcpExtListenDrops TcpExtTCPTimeouts TcpOutRsts TcpEstabResets",
);

pub(super) const CONNTRACK: Command = command(
    "conntrack",
    "connection tracking",
    "cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max",
);

/// Every command, in the order it runs. `nginx -T` is not among them: it opens,
/// and where it is missing makes, the log files.
pub const COMMANDS: &[Command] = &[
    CLOCK,
    command("name", "name, processors, addresses", "hostname; nproc; hostname -I"),
    LOAD,
    command(
        "pressure",
        "what it waits for",
        "for f in cpu memory io; do echo $f; cat /proc/pressure/$f; done",
    ),
    command("memory", "memory and swap", "cat /proc/meminfo"),
    command("disk", "disk space", "df -P -k"),
    command("inodes", "inodes", "df -P -i"),
    command("sockets", "sockets by state", "ss -Htan | cut -d' ' -f1 | sort | uniq -c"),
    command("listening", "who listens where, and how long the queues are", "ss -Hltnp"),
    COUNTERS,
    CONNTRACK,
    command(
        "kernel",
        "kernel messages of the last half hour",
        "echo \"up $(cat /proc/uptime)\"; { if test -d /run/log/journal -o -d /var/log/journal; \
         then journalctl -k --since -30min -q --no-pager -o cat; else dmesg; fi; } | \
         grep -iE 'out of memory|oom-kill|table full|SYN flooding|segfault|not permitted' | tail -n 30",
    ),
    command("nft", "firewall rules (nftables)", "nft list ruleset"),
    command("iptables", "firewall rules (iptables)", "test -s /proc/net/ip_tables_names && iptables -S"),
    command("units", "failed services", "systemctl --failed --no-legend --plain --no-pager"),
    command(
        "versions",
        "versions of servers",
        "nginx -v; { apache2 -v || httpd -v; } | head -n 1; haproxy -v | head -n 1; node -v; gunicorn --version; puma --version; php-fpm -v | head -n 1",
    ),
    command("processes", "command lines of servers", "ps -eo pid=,args= -ww"),
    command(
        "nginx",
        "configuration of nginx",
        "for f in /etc/nginx/nginx.conf /etc/nginx/conf.d/*.conf /etc/nginx/sites-enabled/* /etc/nginx/default.d/*.conf; \
         do test -f \"$f\" && echo \"#badgate $f\" && cat \"$f\"; done",
    ),
    command(
        "apache",
        "configuration of Apache",
        "for f in /etc/apache2/apache2.conf /etc/apache2/conf-enabled/*.conf /etc/apache2/mods-enabled/*.conf \
         /etc/apache2/sites-enabled/*.conf /etc/httpd/conf/httpd.conf /etc/httpd/conf.d/*.conf; \
         do test -f \"$f\" && echo \"#badgate $f\" && cat \"$f\"; done",
    ),
    command(
        "php-fpm",
        "pools of php-fpm",
        "for f in /etc/php/*/fpm/pool.d/*.conf /etc/php-fpm.d/*.conf; do test -f \"$f\" && echo \"#badgate $f\" && cat \"$f\"; done",
    ),
    command(
        "tomcat",
        "connectors of Tomcat",
        "for f in /etc/tomcat*/server.xml /opt/tomcat*/conf/server.xml /usr/share/tomcat*/conf/server.xml; \
         do test -f \"$f\" && echo \"#badgate $f\" && cat \"$f\"; done",
    ),
    command(
        "puma",
        "configuration of Puma",
        "for p in $(pgrep -f '^puma ' | head -n 4); do f=/proc/$p/cwd/config/puma.rb; test -f $f && echo \"#badgate $f\" && cat $f; done",
    ),
    command(
        "gunicorn",
        "configuration of gunicorn",
        "for p in $(pgrep -f gunicorn | head -n 4); do f=/proc/$p/cwd/gunicorn.conf.py; test -f $f && echo \"#badgate $f\" && cat $f; done",
    ),
    command(
        "node",
        "timeouts set in the programs Node.js runs",
        "for p in $(pgrep -x node | head -n 4); do for f in /proc/$p/cwd/*.js /proc/$p/cwd/src/*.js; do test -f $f && \
         echo \"#badgate $f\" && grep -hE 'keepAliveTimeout|headersTimeout|requestTimeout' $f; done; done",
    ),
    command(
        "files",
        "log files that servers have open",
        "for p in $(ss -Hltnp | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u | head -n 30); do ls -l /proc/$p/fd; done | \
         grep -o '/[^ ]*[._]log$' | sort -u | head -n 12",
    ),
    command(
        "logs",
        "the newest lines of error logs",
        "for f in /var/log/nginx/error.log /var/log/apache2/error.log /var/log/httpd/error_log; \
         do test -r $f && echo \"#badgate $f\" && tail -n 200 $f; done",
    ),
];

/// Bytes of each answer that are taken.
pub const ANSWER: usize = 256 * 1024;
/// Seconds each command may take on the host.
pub const SECONDS: u32 = 5;

/// The whole list as one script for `sh`: each answer between two marks, none
/// longer than [`ANSWER`] or [`SECONDS`]. `mark` is unlike anything a host says.
pub fn script(mark: &str) -> String {
    let mut out = String::from("LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin; export PATH\n");
    for c in COMMANDS {
        // The text is in single quotes; a quote within it is closed around.
        let quoted = c.run.replace('\'', "'\\''");
        out.push_str(&format!(
            "echo '{mark} {id}'\n{{ timeout {SECONDS} sh -c '{quoted}' 2>&1 </dev/null; echo \"{mark}=$?\"; }} | head -c {ANSWER}\necho\n",
            id = c.id
        ));
    }
    out.push_str(&format!("echo '{mark} end'\n"));
    out
}

/// Units whose journal is followed.
const UNITS: &str = "nginx apache2 httpd haproxy php*-fpm tomcat* puma* gunicorn* uvicorn* node*";

/// What follows the logs of a host: files, which must be names [`followed`]
/// has let through, or the journal of the servers' units.
pub fn follow_script(files: &[String]) -> String {
    if files.is_empty() {
        let units: Vec<String> = UNITS.split(' ').map(|u| format!("-u '{u}'")).collect();
        return format!(
            "LC_ALL=C; export LC_ALL; exec journalctl -f -n 0 -q --no-pager -o short-iso-precise {} </dev/null\n",
            units.join(" ")
        );
    }
    let list: Vec<String> = files.iter().map(|f| format!("'{f}'")).collect();
    format!("LC_ALL=C; export LC_ALL; exec tail -v -n 0 -F -- {} </dev/null\n", list.join(" "))
}

/// May a file of this name, as a host said it, be followed? Only plain absolute
/// paths: a name is text from outside and becomes part of a command.
pub fn followed(file: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+@=,-".contains(&b);
    file.starts_with('/') && file.len() <= 200 && file.bytes().all(plain) && !file.contains("/../")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_list_writes() {
        for c in COMMANDS {
            // Words that change something, and redirections to files.
            for bad in [
                ">",
                "rm ",
                "mv ",
                "tee ",
                "kill",
                "restart",
                "reload",
                "stop",
                "sudo",
                "nginx -T",
                "sysctl -w",
                " -i ",
            ] {
                let plain = c.run.replace("df -P -i", "df").replace("oom-kill", "oom");
                assert!(!plain.contains(bad), "{}: {bad}", c.id);
            }
            assert!(c.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", c.id);
        }
        let s = follow_script(&["/var/log/nginx/error.log".into()]) + &follow_script(&[]);
        assert!(s.contains("tail -v -n 0 -F -- '/var/log/nginx/error.log'") && s.contains("journalctl -f"));
        for bad in ["x", "/a b", "/a'b", "/a;rm", "/a/../etc/shadow", "/a\nb", "/$(x)", ""] {
            assert!(!followed(bad), "{bad:?}");
        }
        assert!(followed("/srv/app-1/log/production.log"));
        let s = script("MARK");
        assert_eq!(s.matches("echo 'MARK ").count(), COMMANDS.len() + 1);
    }
}
