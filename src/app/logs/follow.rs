//! `badgate logs --follow`: the picture of a file, a pipe or standard input that
//! is still being written, drawn anew every second.

use super::{Look, Stop, exit_code, picture};
use crate::app::{Failure, print};
use crate::cli::Logs;
use crate::report::logs::{to_json, to_text};
use crate::sources::access_log::answer::Answer;
use crate::sources::access_log::engine::Plan;
use crate::sources::access_log::live::Live;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two pictures.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at a file that has nothing new.
const LOOK: Duration = Duration::from_millis(200);

/// Where rows come from.
enum Source {
    File { path: PathBuf, file: File, at: u64 },
    Stream(File),
    Stdin,
}

enum Got {
    Bytes(usize),
    Nothing,
    /// It was cut, or is another file by now.
    Anew(&'static str),
    End,
}

/// Follows until Ctrl-C or the end of the stream.
pub(super) fn run(args: &Logs, plan: &Plan, stop: &Stop) -> Result<u8, Failure> {
    let [name] = args.files.as_slice() else {
        return Err(Failure::usage("--follow reads one file, or '-': name one"));
    };
    let shown = name.to_string_lossy().into_owned();
    let mut source = open(&shown)?;
    let mut live = Live::new(&shown, plan);
    let started = Instant::now();
    let tty = io::stdout().is_terminal() && !args.json;
    let look = Look::now(args);
    let mut screen = Screen::new(tty);
    let mut drawn: Option<Instant> = None;
    let mut news = true;
    let mut buf = vec![0; 128 << 10];
    let answer = |live: &Live| Answer::of(live.outcome(), args.top, started.elapsed().as_secs_f64());
    loop {
        let stopped = stop.progress.stop.load(Ordering::Relaxed);
        let got = if stopped {
            Got::End
        } else {
            source.read(&mut buf).map_err(|e| Failure::failed(format!("{shown}: {e}")))?
        };
        match got {
            Got::Bytes(n) => {
                if !live_text(&buf[..n]) {
                    return Err(Failure::failed(format!(
                        "{shown}: is packed or binary; --follow reads rows as they are written"
                    )));
                }
                live.feed(&buf[..n]);
                news = true;
            }
            Got::Anew(why) => {
                live.anew(why);
                news = true;
            }
            Got::Nothing => {}
            Got::End => break,
        }
        let due = drawn.is_none_or(|d| d.elapsed() >= EVERY);
        // The first picture is worth having as soon as what is there was read.
        let first = drawn.is_none() && started.elapsed() < EVERY && matches!(got, Got::Bytes(_));
        if news && due && !first {
            let a = answer(&live);
            let gone = if tty { !screen.draw(&a, args, &shown) } else { !json_line(&a) };
            if gone {
                return Ok(0);
            }
            (drawn, news) = (Some(Instant::now()), false);
        } else if tty && due && screen.resized() {
            screen.draw(&answer(&live), args, &shown);
            drawn = Some(Instant::now());
        }
    }
    live.end();
    drop(screen);
    let a = answer(&live);
    let code = exit_code(&a);
    if tty {
        return Ok(print(to_text(&a, &look).as_bytes(), code));
    }
    json_line(&a);
    Ok(code)
}

/// One document in one line; false when nobody reads any more.
fn json_line(a: &Answer) -> bool {
    let doc: Result<serde_json::Value, _> = serde_json::from_str(&to_json(a));
    let line = doc.map_or_else(|_| String::new(), |d| format!("{d}\n"));
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Rows have no zero bytes, and packed files begin in their own way.
fn live_text(bytes: &[u8]) -> bool {
    !bytes.starts_with(&[0x1f, 0x8b])
        && !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        && !bytes[..bytes.len().min(4096)].contains(&0)
}

fn open(name: &str) -> Result<Source, Failure> {
    if name == "-" {
        return Ok(Source::Stdin);
    }
    let fail = |e: io::Error| Failure::failed(format!("{name}: {e}"));
    // A pipe that nobody writes to yet is opened at once.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(flags).open(name).map_err(fail)?;
    let meta = file.metadata().map_err(fail)?;
    if meta.is_dir() {
        return Err(Failure::usage(format!("{name} is a folder: --follow reads one file")));
    }
    Ok(if meta.is_file() { Source::File { path: name.into(), file, at: 0 } } else { Source::Stream(file) })
}

impl Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<Got> {
        match self {
            Source::File { path, file, at } => {
                let n = file.read(buf)?;
                if n > 0 {
                    *at += n as u64;
                    return Ok(Got::Bytes(n));
                }
                if file.metadata()?.len() < *at {
                    file.seek(SeekFrom::Start(0))?;
                    *at = 0;
                    return Ok(Got::Anew("was cut; read anew from its start"));
                }
                // While logs are rotated there may be no file of this name for a moment.
                let mine = file.metadata()?;
                if let Ok(now) = std::fs::metadata(&*path)
                    && now.is_file()
                    && (now.ino(), now.dev()) != (mine.ino(), mine.dev())
                {
                    // What was written to the old one at the last moment comes first.
                    let n = file.read(buf)?;
                    if n > 0 {
                        *at += n as u64;
                        return Ok(Got::Bytes(n));
                    }
                    *file = File::open(&*path)?;
                    *at = 0;
                    return Ok(Got::Anew("was rotated; the new file is read on"));
                }
                std::thread::sleep(LOOK);
                Ok(Got::Nothing)
            }
            Source::Stream(file) => {
                let n = wait(file.as_fd(), |buf| (&*file).read(buf), buf)?;
                // Writers of a pipe come and go.
                Ok(match n {
                    Some(0) => {
                        std::thread::sleep(LOOK);
                        Got::Nothing
                    }
                    Some(n) => Got::Bytes(n),
                    None => Got::Nothing,
                })
            }
            Source::Stdin => {
                let stdin = io::stdin();
                let n = wait(stdin.as_fd(), |buf| stdin.lock().read(buf), buf)?;
                Ok(n.map_or(Got::Nothing, |n| if n == 0 { Got::End } else { Got::Bytes(n) }))
            }
        }
    }
}

/// Reads when there is something within a moment.
fn wait(
    fd: BorrowedFd<'_>,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    buf: &mut [u8],
) -> io::Result<Option<usize>> {
    let patience = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    if matches!(poll(&mut fds, Some(&patience)), Ok(0) | Err(_)) {
        return Ok(None);
    }
    match read(buf) {
        Ok(n) => Ok(Some(n)),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The terminal while it shows the picture.
struct Screen {
    on: bool,
    size: (u16, u16),
}

impl Screen {
    fn new(tty: bool) -> Screen {
        if tty {
            // The other screen; no cursor.
            let _ = io::stdout().write_all(b"\x1b[?1049h\x1b[?25l");
            let _ = io::stdout().flush();
        }
        Screen { on: tty, size: (0, 0) }
    }

    fn resized(&self) -> bool {
        crossterm::terminal::size().is_ok_and(|s| s != self.size)
    }

    /// False when there is no terminal any more.
    fn draw(&mut self, a: &Answer, args: &Logs, name: &str) -> bool {
        self.size = crossterm::terminal::size().unwrap_or((80, 24));
        let look = picture::Look { samples: 0, brief: true, ..Look::now(args) };
        let rows = usize::from(self.size.1).max(2);
        let text = to_text(a, &look);
        let head = crate::text::SafeText::from(format!("following {name}; Ctrl-C ends it"));
        let head = crate::text::truncate_with(&head, look.width, "~").into_owned();
        let mut frame = format!("\x1b[H{head}\x1b[K\r\n");
        let lines: Vec<&str> = text.lines().collect();
        let room = rows - 1;
        let shown = lines.len().min(room);
        for (i, line) in lines[..shown].iter().enumerate() {
            frame.push_str(line);
            frame.push_str("\x1b[K");
            if i + 1 < shown {
                frame.push_str("\r\n");
            }
        }
        frame.push_str("\x1b[J");
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes()).and_then(|()| out.flush()).is_ok()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.on {
            let _ = io::stdout().write_all(b"\x1b[?25h\x1b[?1049l");
            let _ = io::stdout().flush();
        }
    }
}
