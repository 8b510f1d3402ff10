//! A program on a pseudo-terminal, with a model of its screen.
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use filedescriptor::{FileDescriptor, POLLIN, POLLOUT, poll, pollfd};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use super::PATIENCE;

/// The program, its terminal and what stands on it. Dropping it ends the program.
pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    master: Option<Master>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

/// Our side of the terminal. portable-pty's own writer is not used: it types a newline and ctrl-d when it is dropped.
struct Master {
    pty: Box<dyn MasterPty + Send>,
    writer: FileDescriptor,
    /// Dropping it tells the reader to let go of its end.
    stop: std::io::PipeWriter,
}

#[derive(Default)]
struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    /// The program's side is closed.
    ended: bool,
    /// The screen model gave up, at this byte.
    failed: Option<String>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Raw(RawFd);

impl AsRawFd for Raw {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// vt100 has no screen below 2x2 that it does not sooner or later panic on.
fn clamped(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n.max(2)).expect("at least 2")
}

#[allow(clippy::disallowed_methods)]
fn new_screen(cols: u16, rows: u16) -> vt100::Parser {
    vt100::Parser::new(clamped(rows), clamped(cols), 0)
}

impl Pty {
    /// Starts the program as leader of a session on a terminal of that size (any: the model of the screen is never
    /// smaller than 2x2, the terminal is what was asked for).
    pub fn spawn(command: CommandBuilder, cols: u16, rows: u16) -> Self {
        let pair = native_pty_system().openpty(size(cols, rows)).expect("a pseudo-terminal");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let fd = Raw(pair.master.as_raw_fd().expect("a descriptor"));
        let writer = FileDescriptor::dup(&fd).expect("a descriptor to write to");
        let from = FileDescriptor::dup(&fd).expect("a descriptor to read from");
        let (stopped, stop) = std::io::pipe().expect("a pipe");
        let shared = Arc::new(Shared::default());
        shared.lock().parser = new_screen(cols, rows);
        let theirs = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name("pty reader".into())
            .spawn(move || read_on(from, &stopped, &theirs))
            .expect("a thread");
        let master = Some(Master { pty: pair.master, writer, stop });
        Self { child, master, shared, reader: Some(reader), status: None }
    }

    /// Starts the program under test with these arguments in this environment (and no other).
    pub fn badgate(args: &[&str], env: &[(String, String)], cols: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(super::badgate());
        command.args(args);
        command.env_clear();
        for (name, value) in env {
            command.env(name, value);
        }
        Self::spawn(command, cols, rows)
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("a process id")
    }

    /// Types.
    ///
    /// # Panics
    /// If the terminal is closed, or the program does not read for [`PATIENCE`].
    pub fn send(&mut self, keys: &str) {
        let master = self.master.as_mut().expect("the terminal is open");
        for piece in keys.as_bytes().chunks(256) {
            let mut wait = [pollfd { fd: master.writer.as_raw_fd(), events: POLLOUT, revents: 0 }];
            poll(&mut wait, Some(PATIENCE)).expect("poll");
            assert!(wait[0].revents & POLLOUT != 0, "the program does not take its input:\n{}", self.dump());
            master.writer.write_all(piece).expect("typing");
        }
    }

    /// The text on the screen, a line a row, without trailing blanks.
    pub fn screen(&self) -> String {
        let state = self.shared.lock();
        check(&state);
        state.parser.screen().contents()
    }

    /// Reads the screen itself: cells, colours, the cursor.
    pub fn with_screen<T>(&self, read: impl FnOnce(&vt100::Screen) -> T) -> T {
        let state = self.shared.lock();
        check(&state);
        read(state.parser.screen())
    }

    /// Every byte the program has written.
    pub fn raw(&self) -> Vec<u8> {
        self.shared.lock().raw.clone()
    }

    /// How many bytes the program has written.
    pub fn written(&self) -> usize {
        self.shared.lock().raw.len()
    }

    /// Waits until the text stands on the screen.
    ///
    /// # Panics
    /// With the screen, after [`PATIENCE`] or as soon as the program has ended without it.
    pub fn wait_for_text(&self, text: &str) {
        self.wait_for(&format!("the text {text:?}"), |s| s.contents().contains(text));
    }

    /// Waits until the text stands on the screen no more.
    pub fn wait_until_gone(&self, text: &str) {
        self.wait_for(&format!("no text {text:?}"), |s| !s.contents().contains(text));
    }

    /// Waits until the screen is as wanted.
    pub fn wait_for(&self, what: &str, mut wanted: impl FnMut(&vt100::Screen) -> bool) {
        self.wait(what, PATIENCE, |state| wanted(state.parser.screen()));
    }

    /// Waits until the bytes written so far are as wanted.
    pub fn wait_for_bytes(&self, what: &str, mut wanted: impl FnMut(&[u8]) -> bool) {
        self.wait(what, PATIENCE, |state| wanted(&state.raw));
    }

    fn wait(&self, what: &str, patience: Duration, mut wanted: impl FnMut(&State) -> bool) {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            check(&state);
            if wanted(&state) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended {
                let why = if state.ended { "the program ended" } else { "it never came" };
                let screen = dump(&state);
                drop(state);
                panic!("waiting for {what}: {why}\n{screen}");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Changes the size of the terminal; the program gets SIGWINCH.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        let mut state = self.shared.lock();
        state.parser.set_size(clamped(rows), clamped(cols));
        drop(state);
        self.master.as_ref().expect("the terminal is open").pty.resize(size(cols, rows)).expect("resize");
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid =
            i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("kill");
    }

    /// Closes the terminal under the program, as a lost connection does: nothing is typed, all our descriptors go.
    pub fn close_master(&mut self) {
        let Some(Master { pty, writer, stop }) = self.master.take() else { return };
        drop(stop);
        self.join();
        drop((writer, pty));
    }

    /// Waits for the end of the program, and of what it had to say.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let status = super::eventually("the program to end", || {
            assert!(self.reader.as_ref().is_none_or(|r| !r.is_finished() || self.shared.lock().ended));
            self.child.try_wait().expect("wait")
        });
        self.status = Some(status.clone());
        if self.master.is_some() {
            self.wait("the rest of the output", PATIENCE, |state| state.ended);
        }
        status
    }

    /// Whether the program is still running.
    pub fn running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("wait");
        }
        self.status.is_none()
    }

    /// The screen in a frame, for messages.
    pub fn dump(&self) -> String {
        dump(&self.shared.lock())
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let joined = reader.join();
            assert!(joined.is_ok() || std::thread::panicking(), "the reader of the terminal panicked");
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // portable-pty's kill asks with SIGHUP first; a test wants the end now.
            if let Some(pid) = self.child.process_id().and_then(|p| i32::try_from(p).ok()) {
                let pid = rustix::process::Pid::from_raw(pid);
                pid.map(|p| rustix::process::kill_process(p, rustix::process::Signal::KILL));
            }
            self.child.wait().ok();
        }
        self.close_master();
        self.join();
    }
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn check(state: &State) {
    if let Some(failed) = &state.failed {
        panic!("the model of the screen failed: {failed}");
    }
}

fn dump(state: &State) -> String {
    let screen = state.parser.screen();
    let (_, cols) = screen.size();
    let rule = "-".repeat(usize::from(cols.get()));
    let rows: Vec<String> = screen.rows(0, cols.get()).map(|r| format!("|{r}")).collect();
    let tail = &state.raw[state.raw.len().saturating_sub(400)..];
    format!("+{rule}\n{}\n+{rule}\nlast bytes: {:?}", rows.join("\n"), String::from_utf8_lossy(tail))
}

/// Reads until the program's side closes or `stopped` says so, and keeps the screen up to date.
fn read_on(mut from: FileDescriptor, stopped: &std::io::PipeReader, shared: &Shared) {
    let mut buffer = [0; 65536];
    loop {
        let mut wait = [
            pollfd { fd: from.as_raw_fd(), events: POLLIN, revents: 0 },
            pollfd { fd: stopped.as_raw_fd(), events: POLLIN, revents: 0 },
        ];
        if poll(&mut wait, None).is_err() {
            continue;
        }
        if wait[1].revents != 0 {
            break;
        }
        let n = match from.read(&mut buffer) {
            Ok(n) if n > 0 => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            // EIO is how a terminal says that the other side is gone.
            _ => break,
        };
        let mut state = shared.lock();
        let at = state.raw.len();
        state.raw.extend_from_slice(&buffer[..n]);
        if state.failed.is_none() {
            let fed = catch_unwind(AssertUnwindSafe(|| state.parser.process(&buffer[..n])));
            if let Err(panic) = fed {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
                state.failed = Some(format!("in the {n} bytes from {at}: {text}"));
            }
        }
        drop(state);
        shared.changed.notify_all();
    }
    shared.lock().ended = true;
    shared.changed.notify_all();
}
