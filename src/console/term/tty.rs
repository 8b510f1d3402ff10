//! The terminal as a file: opening it, its size, its line settings.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::termios::{self, OptionalActions, QueueSelector, Termios};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Both directions of the terminal. Clones share the files.
#[derive(Clone, Debug)]
pub struct Tty {
    input: Arc<OwnedFd>,
    output: Arc<OwnedFd>,
}

impl Tty {
    /// Standard input and output where they are a terminal, else the
    /// controlling terminal (`badgate open < list`).
    pub fn open() -> io::Result<Tty> {
        let own = || -> io::Result<Arc<OwnedFd>> {
            let f = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty")?;
            Ok(Arc::new(OwnedFd::from(f)))
        };
        let stdin = io::stdin();
        let stdout = io::stdout();
        let input = if termios::isatty(&stdin) {
            Arc::new(rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3)?)
        } else {
            own()?
        };
        let output = if termios::isatty(&stdout) {
            Arc::new(rustix::io::fcntl_dupfd_cloexec(stdout.as_fd(), 3)?)
        } else {
            own()?
        };
        Ok(Tty { input, output })
    }

    /// A terminal given by its files (tests).
    pub fn from_files(input: OwnedFd, output: OwnedFd) -> Tty {
        Tty { input: Arc::new(input), output: Arc::new(output) }
    }

    /// Where keys come from.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Columns and rows; `None` when the terminal is gone or does not say.
    pub fn size(&self) -> Option<(u16, u16)> {
        termios::tcgetwinsize(&*self.output).ok().map(|w| (w.ws_col, w.ws_row))
    }

    /// Switches to raw input; gives what was set before.
    pub fn raw(&self) -> io::Result<Termios> {
        let before = termios::tcgetattr(&*self.input)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&*self.input, OptionalActions::Now, &raw)?;
        Ok(before)
    }

    /// Sets what was set before. Keys typed ahead are thrown away: they were
    /// meant for this program, and a shell would run them.
    pub fn cooked(&self, before: &Termios) {
        let _ = termios::tcflush(&*self.input, QueueSelector::IFlush);
        // Not the variant that waits for output to drain: a stopped terminal never drains.
        let _ = termios::tcsetattr(&*self.input, OptionalActions::Now, before);
    }

    /// Writes everything; blocks as long as the terminal does.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<u64> {
        let mut writes = 0;
        while !bytes.is_empty() {
            match rustix::io::write(&*self.output, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    writes += 1;
                }
                Err(rustix::io::Errno::INTR) => {}
                // Somebody set the shared file to non-blocking; wait for room.
                Err(rustix::io::Errno::AGAIN) => self.wait_writable(Duration::from_secs(1)),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(writes)
    }

    /// Writes a few bytes if the terminal takes them within `patience`.
    pub fn write_if_ready(&self, bytes: &[u8], patience: Duration) {
        if self.is_writable(patience) {
            let _ = self.write_all(bytes);
        }
    }

    fn wait_writable(&self, patience: Duration) {
        self.is_writable(patience);
    }

    fn is_writable(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::new(&*self.output, PollFlags::OUT)];
        matches!(poll(&mut fds, Some(&timespec(patience))), Ok(n) if n > 0)
            && fds[0].revents().contains(PollFlags::OUT)
            && !fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
    }
}

/// A duration as the system wants it.
pub(super) fn timespec(d: Duration) -> Timespec {
    Timespec { tv_sec: d.as_secs() as i64, tv_nsec: i64::from(d.subsec_nanos()) }
}
