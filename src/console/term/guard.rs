//! Taking the terminal and giving it back, whatever happens: at the end, on an
//! error, on a stop signal, on a panic. Giving back twice does nothing, and
//! nothing here panics or waits for a terminal that is gone or stopped.

use super::tty::Tty;
use crate::text::SafeText;
use rustix::termios::Termios;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// Alternate screen, bracketed paste, hidden cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?25l";
/// CAN first, to end a sequence that was cut off in the middle; then an end of
/// synchronized output, or the terminal would hold the rest back for a while.
const LEAVE: &[u8] = b"\x18\x1b[?2026l\x1b[?2004l\x1b[m\x1b[?25h\x1b[?1049l";
/// A terminal that takes nothing for this long is not waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is to be given back; one terminal per process.
struct Taken {
    tty: Tty,
    before: Termios,
    /// The thread that draws. A panic elsewhere leaves the screen alone.
    owner: ThreadId,
}

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
/// Reports of panics in other threads, for the console to show.
static REPORTS: Mutex<Vec<SafeText>> = Mutex::new(Vec::new());
static LOG: Mutex<Option<PathBuf>> = Mutex::new(None);
static REPORTED: tokio::sync::Notify = tokio::sync::Notify::const_new();

/// A lock that a panic cannot take away from us.
fn held<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal is ours as long as this lives.
#[derive(Debug)]
pub struct Guard {
    tty: Tty,
}

impl Guard {
    /// Takes the terminal for the calling thread.
    pub fn take(tty: &Tty) -> io::Result<Guard> {
        let guard = Guard { tty: tty.clone() };
        guard.enter()?;
        Ok(guard)
    }

    /// Takes it again after a stop. Retries, since a shell may still be busy
    /// with its own settings.
    pub fn enter(&self) -> io::Result<()> {
        let mut taken = held(&TAKEN);
        if taken.is_some() {
            return Ok(());
        }
        let mut tries = 0;
        let before = loop {
            match self.tty.raw() {
                Ok(before) => break before,
                Err(e) if tries >= 3 => return Err(e),
                Err(_) => tries += 1,
            }
        };
        *taken = Some(Taken { tty: self.tty.clone(), before, owner: std::thread::current().id() });
        self.tty.write_if_ready(ENTER, PATIENCE);
        Ok(())
    }

    /// Takes it again after a stop, asked for or not: whoever stopped us without
    /// asking left the terminal as it was, and others may have set it since.
    /// Keys typed meanwhile are kept, they are for us.
    pub fn again(&self) -> io::Result<()> {
        if let Some(taken) = held(&TAKEN).as_ref() {
            taken.tty.write_if_ready(LEAVE, PATIENCE);
            taken.tty.raw()?;
            taken.tty.write_if_ready(ENTER, PATIENCE);
            return Ok(());
        }
        self.enter()
    }

    /// Gives the terminal back; nothing when it was given back already.
    pub fn leave(&self) {
        leave();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    if let Some(taken) = held(&TAKEN).take() {
        taken.tty.write_if_ready(LEAVE, PATIENCE);
        taken.tty.cooked(&taken.before);
    }
}

/// Where reports of panics are appended.
pub fn log_to(path: &Path) {
    *held(&LOG) = Some(path.to_path_buf());
}

/// Panic and error reports: the terminal is given back first, then the report
/// is printed to the normal screen and appended to the log, sanitised both
/// times. A panic in a thread that does not draw goes to the log alone and is
/// told by [`next_report`]. Installs once per process; later calls do nothing.
pub fn install_hooks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Colours would not survive the sanitiser, and a report is read in logs too.
        let (panic_hook, eyre_hook) = color_eyre::config::HookBuilder::new()
            .theme(color_eyre::config::Theme::new())
            .display_env_section(false)
            .into_hooks();
        // Fails only where somebody has installed one already; theirs will do.
        let _ = eyre_hook.install();
        std::panic::set_hook(Box::new(move |info| {
            let drawing = held(&TAKEN).as_ref().is_none_or(|t| t.owner == std::thread::current().id());
            if drawing {
                leave();
            }
            let report = SafeText::multiline(panic_hook.panic_report(info).to_string());
            let logged = append(&report);
            if drawing {
                let mut err = io::stderr().lock();
                let _ = writeln!(err, "{report}");
                if let Some(path) = logged {
                    let _ =
                        writeln!(err, "\nThis report is also in {}", SafeText::new(path.to_string_lossy()));
                }
            } else {
                let line = panic_line(info);
                held(&REPORTS).push(line);
                REPORTED.notify_one();
            }
        }));
    });
}

fn panic_line(info: &std::panic::PanicHookInfo<'_>) -> SafeText {
    let what = info
        .payload()
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| info.payload().downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    SafeText::capped(what, 200)
}

fn append(report: &SafeText) -> Option<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = held(&LOG).clone()?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path).ok()?;
    writeln!(file, "{} panic\n{report}\n", jiff::Timestamp::now()).ok()?;
    Some(path)
}

/// Waits for a panic in a thread that does not draw; gives one line of it.
pub async fn next_report() -> SafeText {
    loop {
        if let Some(line) = held(&REPORTS).pop() {
            return line;
        }
        REPORTED.notified().await;
    }
}
