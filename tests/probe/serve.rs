//! Servers on loopback, and the program run against them.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server that hands each connection to a function, each in a thread.
pub struct Serve {
    pub at: SocketAddr,
    /// Connections so far.
    pub seen: Arc<AtomicUsize>,
}

impl Serve {
    pub fn new(each: impl Fn(TcpStream) + Send + Sync + 'static) -> Serve {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let (count, each) = (seen.clone(), Arc::new(each));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let each = each.clone();
                std::thread::spawn(move || each(stream));
            }
        });
        Serve { at, seen }
    }

    /// Answers the first request with these bytes and ends the connection.
    pub fn once(bytes: impl Into<Vec<u8>>) -> Serve {
        let bytes = bytes.into();
        Serve::new(move |mut s| {
            request(&mut s);
            let _ = s.write_all(&bytes);
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.at)
    }
}

/// Reads one request without a body; false when the peer has gone.
pub fn request(s: &mut TcpStream) -> bool {
    let mut all = Vec::new();
    let mut byte = [0u8; 1];
    while !all.ends_with(b"\r\n\r\n") {
        match s.read(&mut byte) {
            Ok(1) => all.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Ends a connection with RST.
pub fn reset(s: TcpStream) {
    let socket = s;
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    drop(socket);
}

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn badgate() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_badgate"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("SSL_") {
            c.env_remove(name);
        }
    }
    c
}

pub fn run(args: &[&str]) -> Ran {
    run_with(args, &[])
}

pub fn run_with(args: &[&str], env: &[(&str, &Path)]) -> Ran {
    let done = badgate().args(args).envs(env.iter().copied()).output().unwrap();
    Ran {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// `badgate probe ... --json`: exit code and document.
pub fn probe(args: &[&str]) -> (i32, Value) {
    probe_with(args, &[])
}

pub fn probe_with(args: &[&str], env: &[(&str, &Path)]) -> (i32, Value) {
    let all: Vec<&str> = ["probe", "--json"].iter().chain(args).copied().collect();
    let ran = run_with(&all, env);
    assert!(ran.err.is_empty(), "{}", ran.err);
    let v: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out));
    assert_eq!(v["schema"], "badgate.probe/1");
    (ran.code, v)
}

/// Ids of the faults of a document.
pub fn ids(v: &Value) -> Vec<String> {
    v["faults"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect()
}

/// Where a program is; says visibly when the test is left out for want of it.
pub fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = places.map(|d| d.join(program)).find(|p| p.is_file());
    if found.is_none() {
        // Past the test harness's capture: a test that did not run must be seen.
        let line = format!("SKIPPED: {program} is not installed (Debian: apt-get install {package})\n");
        let tty = std::fs::OpenOptions::new().write(true).open("/dev/stderr");
        match tty {
            Ok(mut f) => drop(f.write_all(line.as_bytes())),
            Err(_) => eprint!("{line}"),
        }
    }
    found
}

/// A port nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that ends with the test.
pub struct Running(pub Child);

impl Running {
    /// Starts it and waits until the port answers.
    pub fn start(command: &mut Command, port: u16) -> Running {
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut running = Running(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = running.0.try_wait() {
                let mut said = String::new();
                let _ = running.0.stderr.take().unwrap().read_to_string(&mut said);
                panic!("{command:?} ended with {status}: {said}");
            }
            assert!(Instant::now() < deadline, "{command:?} never listened on {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that what it started ends with it.
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
