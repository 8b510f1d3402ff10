//! Keys from the terminal, and the news that it is gone.
//!
//! A thread of its own waits in `poll(2)`, which tells a hang-up whether or not
//! anybody sends SIGHUP (a task runner or a wrapper between us and the session
//! leader may swallow it). After a hang-up the thread ends; it cannot spin, and
//! it never keeps the process from ending.

use super::parse::{Parser, Pending, Typed};
use super::tty::{Tty, timespec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a lone escape waits for the rest of a sequence.
const ESCAPE: Duration = Duration::from_millis(50);
/// How long the rest of a sequence that has begun is waited for.
const REST: Duration = Duration::from_millis(500);
/// How long a paste may pause before it is taken to have ended.
const PASTE: Duration = Duration::from_secs(3);
/// Reads waiting to be taken by the console.
const QUEUE: usize = 256;

/// What the thread tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Typed(Vec<Typed>),
    /// Hang-up, end of file or an error: nothing will be typed any more.
    Gone,
}

/// Starts the thread. `gone` is called once at the end, before the last message,
/// so that a full queue does not hide it.
pub fn start(tty: Tty, gone: impl FnOnce() + Send + 'static) -> std::io::Result<mpsc::Receiver<Input>> {
    let (send, receive) = mpsc::channel(QUEUE);
    std::thread::Builder::new().name("terminal-in".into()).spawn(move || {
        read_keys(&tty, &send);
        gone();
        let _ = send.blocking_send(Input::Gone);
    })?;
    Ok(receive)
}

fn read_keys(tty: &Tty, send: &mpsc::Sender<Input>) {
    let mut parser = Parser::default();
    let mut buf = [0u8; 4096];
    loop {
        let patience = match parser.pending() {
            Pending::Nothing => None,
            Pending::Escape => Some(ESCAPE),
            Pending::Rest => Some(REST),
            Pending::Paste => Some(PASTE),
        };
        let fd = tty.input();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let mut typed = Vec::new();
        match poll(&mut fds, patience.map(timespec).as_ref()) {
            Ok(0) => parser.timeout(&mut typed),
            Ok(_) => {
                let what = fds[0].revents();
                // A hang-up may come with bytes still to be read; the read that
                // finds none ends it.
                if what.contains(PollFlags::IN) {
                    match rustix::io::read(tty.input(), &mut buf[..]) {
                        Ok(0) => return,
                        Ok(n) => parser.feed(&buf[..n], &mut typed),
                        Err(Errno::INTR | Errno::AGAIN) => {}
                        Err(_) => return,
                    }
                } else if what.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                    return;
                }
            }
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !typed.is_empty() && send.blocking_send(Input::Typed(typed)).is_err() {
            return;
        }
    }
}
