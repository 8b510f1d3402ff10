//! What there is to read: files, folders, patterns, standard input; plain,
//! gzip or Zstandard, told by their first bytes.

use crate::text::SafeText;
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use ruzstd::decoding::StreamingDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Files of one folder tree at most.
const FILES: usize = 1_000_000;
/// Packed bytes read at once.
const PACKED: usize = 64 << 10;
/// A packed file may unpack to so many times its size once it is large: rows
/// of a log come to five to thirty.
const RATIO: u64 = 200;
const LARGE: u64 = 16 << 20;

/// Memory that unpacking a Zstandard file may take: every level up to 19 does
/// with it (RFC 8878 asks decoders for no more).
pub const WINDOW: u64 = 8 << 20;

/// What could not be read, or not wholly; one line each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: SafeText,
    pub what: SafeText,
}

impl Problem {
    pub(crate) fn new(file: &SafeText, what: impl std::fmt::Display) -> Problem {
        Problem { file: file.clone(), what: what.to_string().into() }
    }
}

/// One thing to read.
#[derive(Clone, Debug)]
pub struct Input {
    /// As it is shown.
    pub name: SafeText,
    /// `None`: standard input, or what `afar` opens.
    pub path: Option<PathBuf>,
    /// What lies on another machine.
    pub afar: Option<Arc<dyn Afar>>,
    /// Bytes, as far as known.
    pub size: u64,
    /// Node that wrote it, where the name of the file tells.
    pub node: Vec<u8>,
}

/// Something that is not a file here: an object, a log group.
pub trait Afar: std::fmt::Debug + Send + Sync {
    /// Its bytes from the start. Errors of opening and reading are in words for a person.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// What the first bytes of a file say.
pub(super) fn packing(head: &[u8]) -> Result<Packing, &'static str> {
    match head {
        [0x1f, 0x8b, ..] => Ok(Packing::Gzip),
        // Also a frame that is to be skipped.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Packing::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
            Err("is bzip2; unpack it first: bzip2 -dc FILE | badgate logs -")
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err("is xz; unpack it first: xz -dc FILE | badgate logs -"),
        [b'P', b'K', 3, 4, ..] => Err("is a zip archive; unpack it first: unzip -p FILE | badgate logs -"),
        [b'P', b'A', b'R', b'1', ..] => Err("is Parquet; badgate reads access logs as text or JSON"),
        _ if head.contains(&0) => Err("is binary, no access log"),
        _ => Ok(Packing::Plain),
    }
}

/// Everything the arguments name. Folders are read with all that is below
/// them; links to folders are not followed.
pub fn find(args: &[PathBuf], from: Option<Timestamp>, until: Option<Timestamp>) -> Found {
    let mut found = Found { from, until, ..Found::default() };
    for arg in args {
        if arg.as_os_str() == "-" {
            found.inputs.push(Input { name: "-".into(), path: None, afar: None, size: 0, node: Vec::new() });
            continue;
        }
        match std::fs::metadata(arg) {
            Ok(m) if m.is_dir() => found.folder(arg),
            Ok(m) => found.file(arg, m.len(), true),
            Err(e) => {
                let text = arg.to_string_lossy();
                let pattern = text.contains(['*', '?', '[']).then(|| glob::glob(&text));
                match pattern {
                    Some(Ok(all)) => {
                        let before = found.inputs.len() + found.skipped;
                        for path in all.flatten() {
                            match std::fs::metadata(&path) {
                                Ok(m) if m.is_dir() => found.folder(&path),
                                Ok(m) => found.file(&path, m.len(), false),
                                Err(e) => found.problem(&path, reason(&e)),
                            }
                        }
                        if found.inputs.len() + found.skipped == before {
                            found.problem(arg, "no file fits this pattern");
                        }
                    }
                    Some(Err(e)) => found.problem(arg, format!("is no pattern: {}", e.msg)),
                    None => found.problem(arg, reason(&e)),
                }
            }
        }
    }
    found
}

/// What [`find`] found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub inputs: Vec<Input>,
    pub problems: Vec<Problem>,
    /// Files whose names say that they lie outside of the window.
    pub skipped: usize,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Found {
    fn problem(&mut self, path: &Path, what: impl std::fmt::Display) {
        let name = SafeText::from(path.to_string_lossy());
        self.problems.push(Problem::new(&name, what));
    }

    fn folder(&mut self, dir: &Path) {
        let entries = match std::fs::read_dir(dir) {
            Ok(e) => e,
            Err(e) => return self.problem(dir, reason(&e)),
        };
        let mut all: Vec<_> = entries.flatten().collect();
        all.sort_by_key(std::fs::DirEntry::file_name);
        for entry in all {
            if self.inputs.len() >= FILES {
                return self.problem(dir, format!("has more than {FILES} files; the rest was left out"));
            }
            let path = entry.path();
            match entry.file_type() {
                Ok(t) if t.is_dir() => self.folder(&path),
                // A pipe in a folder would keep us waiting for ever.
                Ok(t) if t.is_file() || t.is_symlink() => match std::fs::metadata(&path) {
                    Ok(m) if m.is_file() => self.file(&path, m.len(), false),
                    Ok(_) => {}
                    Err(e) => self.problem(&path, reason(&e)),
                },
                Ok(_) => {}
                Err(e) => self.problem(&path, reason(&e)),
            }
        }
    }

    /// `named`: a person asked for this very file.
    fn file(&mut self, path: &Path, size: u64, named: bool) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let (end, node) = stamp(&name);
        if let Some(end) = end.filter(|_| !named) {
            // Files hold the rows of the 5 or 60 minutes before their stamp.
            let slack = jiff::SignedDuration::from_mins(5);
            let hour = jiff::SignedDuration::from_mins(65);
            let early = self.from.is_some_and(|f| end + slack < f);
            let late = self.until.is_some_and(|u| end - hour > u);
            if early || late {
                self.skipped += 1;
                return;
            }
        }
        self.inputs.push(Input {
            name: SafeText::from(path.to_string_lossy()),
            path: Some(path.to_path_buf()),
            afar: None,
            size,
            node,
        });
    }
}

/// End of the interval and node of a load balancer's file:
/// `..._20261122T0140Z_10.0.0.5_3kx9.log.gz`.
pub(crate) fn stamp(name: &str) -> (Option<Timestamp>, Vec<u8>) {
    let parts: Vec<&str> = name.split('_').collect();
    let found = parts.iter().position(|p| {
        p.len() == 14 && p.ends_with('Z') && p.as_bytes().get(8) == Some(&b'T') && p.is_ascii()
    });
    let Some(i) = found else { return (None, Vec::new()) };
    let p = parts[i];
    let end = format!("{}-{}-{}T{}:{}:00Z", &p[..4], &p[4..6], &p[6..8], &p[9..11], &p[11..13]).parse().ok();
    let node =
        parts.get(i + 1).filter(|n| n.parse::<std::net::IpAddr>().is_ok()).map(|n| n.as_bytes().to_vec());
    (end, node.unwrap_or_default())
}

/// A failure in words that help.
pub(super) fn reason(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "no such file or folder".into(),
        io::ErrorKind::PermissionDenied => "may not be read (permission denied)".into(),
        _ => e.to_string(),
    }
}

/// A file that is open, and how it is to be read.
pub(super) struct Opened {
    pub file: Arc<File>,
    pub packing: Packing,
    /// A regular file: parts of it can be read at any place.
    pub regular: bool,
    pub size: u64,
    pub head: Vec<u8>,
}

/// Opens a file and looks at its first bytes.
pub(super) fn open(path: &Path) -> Result<Opened, String> {
    let file = File::open(path).map_err(|e| match e.kind() {
        // It was there when the folder was listed.
        io::ErrorKind::NotFound => "vanished before it was read".into(),
        _ => reason(&e),
    })?;
    let meta = file.metadata().map_err(|e| reason(&e))?;
    if meta.is_dir() {
        return Err("is a folder by now".into());
    }
    let regular = meta.is_file();
    let mut head = Vec::new();
    if regular {
        head.resize(8 << 10, 0);
        let n = file.read_at(&mut head, 0).map_err(|e| reason(&e))?;
        head.truncate(n);
    }
    let packing = packing(&head)?;
    Ok(Opened { file: Arc::new(file), packing, regular, size: meta.len(), head })
}

/// Reads from the start of a stream of unknown packing.
pub(super) fn unpacked<'a>(
    source: impl Read + Send + 'a,
    done: &'a AtomicU64,
) -> Result<Box<dyn Read + Send + 'a>, String> {
    let mut source = BufReader::with_capacity(PACKED, Counting { source, done });
    let head = source.fill_buf().map_err(|e| reason(&e))?;
    // A pipe may give less than the magic number at first; then it is text.
    Ok(match packing(&head[..head.len().min(4096)])? {
        Packing::Plain => Box::new(source),
        Packing::Gzip => Box::new(Bounded::new(MultiGzDecoder::new(source), done)),
        Packing::Zstd => Box::new(Bounded::new(Frames { source: Some(source), frame: None }, done)),
    })
}

/// Something that may keep silent for long: a pipe, a terminal. Waiting for it
/// ends when reading is stopped.
pub(super) struct Patient<'a, R> {
    pub source: R,
    pub stop: &'a AtomicBool,
}

impl<R: Read + std::os::fd::AsFd> Read for Patient<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let patience = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("stopped"));
            }
            let mut fds = [PollFd::new(&self.source, PollFlags::IN)];
            match poll(&mut fds, Some(&patience)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // What cannot be waited for is read as it is.
                Ok(_) | Err(_) => return self.source.read(buf),
            }
        }
    }
}

/// Counts what is taken from a stream.
struct Counting<'a, R> {
    source: R,
    done: &'a AtomicU64,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buf)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Ends a stream that unpacks to far more than any log does.
struct Bounded<'a, R> {
    source: R,
    done: &'a AtomicU64,
    before: u64,
    out: u64,
}

impl<'a, R> Bounded<'a, R> {
    fn new(source: R, done: &'a AtomicU64) -> Self {
        // The head is in the buffer already, which only makes the bound wider.
        Bounded { source, done, before: done.load(Ordering::Relaxed).saturating_sub(PACKED as u64), out: 0 }
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buf)?;
        self.out += n as u64;
        // Other threads count into `done` as well: that can only let more pass.
        let taken = self.done.load(Ordering::Relaxed).saturating_sub(self.before);
        if self.out > LARGE && self.out / RATIO > taken {
            return Err(io::Error::other(format!(
                "unpacks to more than {RATIO} times its size, as no log does; stopped after {} MiB",
                self.out >> 20
            )));
        }
        Ok(n)
    }
}

/// The frames of a Zstandard file, one after the other.
struct Frames<R: BufRead> {
    source: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let n = frame.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
                self.source = self.frame.take().map(StreamingDecoder::into_inner);
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            let head = source.fill_buf()?;
            if head.is_empty() {
                return Ok(0);
            }
            if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = head {
                let mut frame = [0; 8];
                source.read_exact(&mut frame)?;
                let length = u64::from(u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]));
                io::copy(&mut (&mut source).take(length), &mut io::sink())?;
                self.source = Some(source);
                continue;
            }
            if let Some(window) = window(head).filter(|w| *w > WINDOW) {
                return Err(io::Error::other(format!(
                    "needs {} MiB to be unpacked, and badgate gives it {}; unpack it first: zstd -dc FILE | badgate logs -",
                    window.div_ceil(1 << 20),
                    WINDOW >> 20
                )));
            }
            self.frame = Some(StreamingDecoder::new(source).map_err(|e| io::Error::other(e.to_string()))?);
        }
    }
}

/// The window a Zstandard frame wants, by its header; `None` where the header
/// is not all there. Source: RFC 8878, 3.1.1.1.
fn window(head: &[u8]) -> Option<u64> {
    let descriptor = *head.get(4)?;
    if descriptor & 0x20 == 0 {
        let w = *head.get(5)?;
        let base = 1u64 << (10 + (w >> 3));
        return Some(base + base / 8 * u64::from(w & 7));
    }
    // One segment: the window is the whole content.
    let at = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (size, more) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(head.get(at..at + size)?);
    Some(u64::from_le_bytes(bytes).saturating_add(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_interval_and_node() {
        let (end, node) =
            stamp("123_elasticloadbalancing_eu-west-1_app.my_shop.50dc_20261122T0140Z_10.0.0.5_3kx9.log.gz");
        assert_eq!((end, node), (Some("2026-11-22T01:40:00Z".parse().unwrap()), b"10.0.0.5".to_vec()));
        assert_eq!(stamp("access.log"), (None, Vec::new()));
        assert_eq!(stamp("a_2026139\u{e9}T994Z_b").0, None);
    }

    #[test]
    fn the_window_of_a_frame_is_in_its_header() {
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let of = |rest: &[u8]| window(&[&magic[..], rest].concat());
        assert_eq!(of(&[0, 0x68]), Some(8 << 20), "level 19");
        assert_eq!(of(&[0, 0x88]), Some(128 << 20), "--long");
        assert_eq!(of(&[0x20, 9]), Some(9));
        assert_eq!(of(&[0x60, 1, 0]), Some(257));
        assert_eq!(of(&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0]), Some(1 << 32));
        assert_eq!(of(&[0]), None);
        let frame = [&magic[..], &[0, 0x88, 1, 0, 0]].concat();
        let mut out = Vec::new();
        let error = Frames { source: Some(&frame[..]), frame: None }.read_to_end(&mut out).unwrap_err();
        assert!(error.to_string().contains("needs 128 MiB"), "{error}");
    }

    #[test]
    fn what_is_no_log_is_said() {
        assert_eq!(packing(b""), Ok(Packing::Plain));
        assert_eq!(packing(b"\x1f\x8b\x08"), Ok(Packing::Gzip));
        assert!(packing(b"PAR1").unwrap_err().contains("Parquet"));
        assert!(packing(b"ab\0c").unwrap_err().contains("binary"));
        assert!(packing(b"BZh91").unwrap_err().contains("bzip2"));
    }
}
