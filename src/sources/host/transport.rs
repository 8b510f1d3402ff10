//! How a host is reached. The script goes in, what it prints comes out; a
//! transport knows nothing of either, so that others (a cloud's run-command
//! service, a container's exec) can stand beside these.

use crate::text::SafeText;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A host, by how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// The machine this runs on.
    Local,
    /// By the system's own `ssh`: a name of its config, `user@host`, or a host.
    Ssh(String),
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reached::Local => f.write_str("local"),
            Reached::Ssh(name) => write!(f, "ssh:{name}"),
        }
    }
}

impl FromStr for Reached {
    type Err = String;

    /// `local` or `ssh:NAME`. The error is the rest of a line.
    fn from_str(typed: &str) -> Result<Reached, String> {
        let s = typed.trim();
        if s == "local" {
            return Ok(Reached::Local);
        }
        let Some(name) = s.strip_prefix("ssh:") else {
            return Err("is neither 'local' nor 'ssh:NAME'".into());
        };
        // What begins with a hyphen would be an option of ssh.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-@:[]%".contains(&b);
        if name.is_empty() || name.starts_with('-') || name.len() > 255 || !name.bytes().all(fits) {
            return Err(format!("names '{}', which is no host for ssh", SafeText::capped(name, 80)));
        }
        Ok(Reached::Ssh(name.to_owned()))
    }
}

/// Output beyond this is not read.
const OUTPUT: usize = 8 * 1024 * 1024;

/// What a run gave.
#[derive(Debug)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// When the first mark was seen, in seconds since the epoch: for the clock.
    pub first: Option<f64>,
}

/// Why a host could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    TimedOut,
    /// One line: what ssh or the system said.
    Failed(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::TimedOut => f.write_str("took too long"),
            Trouble::Failed(why) => f.write_str(why),
        }
    }
}

impl Reached {
    /// The program and its arguments; the script comes on standard input.
    pub fn command(&self) -> (&'static str, Vec<String>) {
        match self {
            Reached::Local => ("sh", vec!["-s".into()]),
            Reached::Ssh(name) => {
                // Never a question over the screen, never a terminal on the
                // host; everything else (keys, ControlMaster, jump hosts) as
                // the person's own ssh config says.
                let mut args: Vec<String> =
                    ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ForwardX11=no"]
                        .map(str::to_owned)
                        .to_vec();
                args.extend(["--".into(), name.clone(), "sh".into(), "-s".into()]);
                ("ssh", args)
            }
        }
    }

    /// Runs the script there, all of it within `limit`. The work is done in
    /// threads of its own: a child that hangs holds up nobody else.
    pub async fn run(&self, script: &str, mark: &str, limit: Duration) -> Result<Output, Trouble> {
        let (host, script, mark) = (self.clone(), script.to_owned(), mark.to_owned());
        let done = tokio::task::spawn_blocking(move || host.run_here(script, &mark, limit)).await;
        done.unwrap_or_else(|e| Err(Trouble::Failed(e.to_string())))
    }

    /// Starts the shell there; all three of its streams are ours.
    pub(super) fn start(&self) -> Result<(Child, &'static str), Trouble> {
        let (program, args) = self.command();
        let child = Command::new(program)
            .args(args)
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env_remove("SSH_ASKPASS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what hangs ends with everything it started.
            .process_group(0)
            .spawn()
            .map_err(|e| Trouble::Failed(format!("cannot run {program}: {e}")))?;
        Ok((child, program))
    }

    fn run_here(&self, script: String, mark: &str, limit: Duration) -> Result<Output, Trouble> {
        let (child, program) = self.start()?;
        Talk { program, mark, limit, script: Some(script), most: OUTPUT, until: None, secret: &[] }
            .with(child)
    }
}

/// What is said to a child that was started with pipes, and for how long and
/// how much it is listened to.
pub(super) struct Talk<'a> {
    pub program: &'a str,
    /// An answer begins with it.
    pub mark: &'a str,
    pub limit: Duration,
    /// What goes in, which is then closed; without one it stays open to the end.
    pub script: Option<String>,
    /// Bytes that are read at most.
    pub most: usize,
    /// What ends it, for a child that does not end by itself.
    pub until: Option<&'a str>,
    /// What must not be repeated, whoever says it.
    pub secret: &'a [&'a str],
}

impl Talk<'_> {
    pub(super) fn with(self, mut child: Child) -> Result<Output, Trouble> {
        let Talk { program, mark, limit, script, most, until, secret } = self;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            end(&mut child);
            return Err(Trouble::Failed(format!("cannot talk to {program}")));
        };
        // Closed early, a session would end before it has begun.
        let _open = match script {
            // A shell that has gone says so on standard error.
            Some(script) => {
                std::thread::spawn(move || drop(stdin.write_all(script.as_bytes())));
                None
            }
            None => Some(stdin),
        };
        let (tx, pieces) = mpsc::channel();
        for (is_output, mut from) in [
            (true, Box::new(stdout) as Box<dyn Read + Send>),
            (false, Box::new(stderr) as Box<dyn Read + Send>),
        ] {
            let tx = tx.clone();
            std::thread::spawn(move || {
                let mut buffer = vec![0u8; 16_384];
                while let Ok(n) = from.read(&mut buffer) {
                    if n == 0 || tx.send((is_output, buffer[..n].to_vec())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tx);
        let deadline = Instant::now() + limit;
        let mut out = Output { bytes: Vec::new(), first: None };
        let (mut complaint, mut late) = (Vec::new(), false);
        loop {
            match pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((true, piece)) => {
                    // Only what is new is looked at: rubbish without end must not cost its square.
                    let from = out.bytes.len().saturating_sub(mark.len());
                    out.bytes.extend_from_slice(&piece);
                    if out.first.is_none()
                        && memchr::memmem::find(&out.bytes[from..], mark.as_bytes()).is_some()
                    {
                        out.first = Some(jiff::Timestamp::now().as_nanosecond() as f64 / 1e9);
                    }
                    if out.bytes.len() > most {
                        break;
                    }
                    // Between its last line and its end there may be long nothing.
                    if until.is_some_and(|u| {
                        let from = from.saturating_sub(u.len());
                        memchr::memmem::find(&out.bytes[from..], u.as_bytes()).is_some()
                    }) {
                        break;
                    }
                }
                Ok((false, piece)) if complaint.len() < 4096 => complaint.extend_from_slice(&piece),
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    late = true;
                    break;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        end(&mut child);
        // What it said until then may be most of it.
        if out.first.is_some() {
            return Ok(out);
        }
        if late {
            return Err(Trouble::TimedOut);
        }
        let said = String::from_utf8_lossy(&complaint);
        // What speaks to a terminal complains where it answers.
        let said = match (said.trim().is_empty(), until) {
            (true, Some(_)) => String::from_utf8_lossy(&out.bytes[..out.bytes.len().min(4096)]),
            _ => said,
        };
        // A line may be cut within it: its beginning is enough to know it by.
        let begins = |s: &&str| s.get(..s.len().min(16)).is_some_and(|b| !b.is_empty() && said.contains(b));
        if secret.iter().any(begins) {
            let why =
                format!("{program} failed; what it said is kept back, as it repeats the session's token");
            return Err(Trouble::Failed(why));
        }
        let nothing = match out.bytes.len() {
            0 => "no output".to_owned(),
            n => format!("{n} bytes of output, none of them an answer (does the shell there run commands?)"),
        };
        // What a session says of itself is no complaint.
        let told = |l: &&str| {
            let l = l.trim();
            let own = l.starts_with("Starting session with") || l.starts_with("Exiting session with");
            !(l.is_empty() || until.is_some() && own)
        };
        let last = said.lines().rev().find(told).unwrap_or(&nothing).trim();
        Err(Trouble::Failed(format!("{program}: {}", SafeText::capped(last, 200))))
    }
}

/// Ends a child and what it started, if it still runs, and forgets it.
pub(super) fn end(child: &mut Child) {
    // A moment to end by itself, which it is about to.
    for _ in 0..20 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_by_name_and_no_options_smuggled_in() {
        assert_eq!("local".parse(), Ok(Reached::Local));
        assert_eq!("ssh:ec2-user@10.0.1.5".parse(), Ok(Reached::Ssh("ec2-user@10.0.1.5".into())));
        for bad in ["web-1", "ssh:", "ssh:-oProxyCommand=x", "ssh:a b", "ssh:a;b", "ssh:$(x)", "ssm:i-1"] {
            assert!(bad.parse::<Reached>().is_err(), "{bad}");
        }
        let (_, args) = Reached::Ssh("web-1".into()).command();
        assert!(args.windows(2).any(|w| w == ["-o", "BatchMode=yes"]));
        assert_eq!(args[args.len() - 4..], ["--", "web-1", "sh", "-s"]);
    }
}
