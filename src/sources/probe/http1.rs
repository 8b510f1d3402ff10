//! Reads an HTTP/1.1 answer as it is, faults included. A client would repair
//! or refuse what this reports: it is for measuring. Source: RFC 9110, RFC 9112.

use crate::situation::probe::Fault;

/// A header block beyond this is reported: load balancers and proxies refuse
/// answers with larger ones (ALB: 32 KB).
pub const LARGE_HEAD: u64 = 32 * 1024;
/// Nothing is read of a header block beyond this.
const HEAD_STOP: u64 = 256 * 1024;
/// Interim answers before the final one.
const INTERIM_STOP: usize = 16;
/// Longest line that tells the size of a chunk, and longest block of trailers.
const CHUNK_LINE: usize = 4096;
/// Faults of one kind are reported once, and all together no more than these.
const FAULTS: usize = 24;

/// How the end of the body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none: HEAD, 204, 304.
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    /// For a screen: `content-length 120`.
    pub fn words(self) -> String {
        match self {
            Framing::Nothing => "no body".into(),
            Framing::Length(n) => format!("content-length {n}"),
            Framing::Chunked => "chunked".into(),
            Framing::UntilClose => "until close".into(),
        }
    }
}

/// An answer as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status_line: Vec<u8>,
    pub status: Option<u16>,
    /// Names and values as sent, without the blanks around values.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub head_bytes: u64,
    pub interim: Vec<u16>,
    pub framing: Option<Framing>,
    /// The beginning of the body, chunks put together.
    pub body: Vec<u8>,
    pub body_bytes: u64,
    /// The server says it keeps the connection.
    pub keeps: bool,
    pub faults: Vec<Fault>,
    /// Why this is no whole answer; empty when it is, or when it still comes.
    pub failure: String,
}

impl Answer {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v.as_slice())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| v.as_slice())
    }

    /// Comma-separated words of every header of this name, in lower case.
    fn words(&self, name: &str) -> Vec<String> {
        self.all(name)
            .flat_map(|v| v.split(|b| *b == b','))
            .map(|w| String::from_utf8_lossy(w).trim().to_ascii_lowercase())
            .filter(|w| !w.is_empty())
            .collect()
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS && !self.faults.iter().any(|f| f.id == fault.id) {
            self.faults.push(fault);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    StatusLine,
    Header,
    Body(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
    Done,
    Failed,
}

/// What the reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Head,
    Body,
    /// The answer is whole.
    Nothing,
    /// It can never be whole.
    GaveUp,
}

/// Takes the bytes of one answer, in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    state: State,
    line: Vec<u8>,
    /// The request was HEAD: whatever the header says, no body follows.
    head: bool,
    keep: usize,
    trailer_bytes: usize,
    minor: u8,
    extra: u64,
    pub answer: Answer,
}

impl Reader {
    /// `head`: the request was HEAD. `keep`: bytes of the body that are kept.
    pub fn new(head: bool, keep: usize) -> Reader {
        Reader {
            state: State::StatusLine,
            line: Vec::new(),
            head,
            keep,
            trailer_bytes: 0,
            minor: 1,
            extra: 0,
            answer: Answer::default(),
        }
    }

    /// What is still to come.
    pub fn need(&self) -> Need {
        match self.state {
            State::StatusLine | State::Header => Need::Head,
            State::Done => Need::Nothing,
            State::Failed => Need::GaveUp,
            _ => Need::Body,
        }
    }

    /// Takes the next bytes. What comes behind the end of the answer is counted and reported.
    pub fn feed(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match self.state {
                State::Failed => return,
                State::Done => {
                    self.extra += data.len() as u64;
                    self.excess();
                    return;
                }
                State::Body(left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    self.take(&data[..n]);
                    data = &data[n..];
                    let left = left - n as u64;
                    self.state = if left == 0 { State::Done } else { State::Body(left) };
                }
                State::UntilClose => {
                    self.take(data);
                    return;
                }
                State::ChunkData(left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    self.take(&data[..n]);
                    data = &data[n..];
                    let left = left - n as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                }
                _ => data = self.lines(data),
            }
        }
    }

    /// The connection has ended.
    pub fn end(&mut self) {
        let failure = match self.state {
            State::StatusLine if self.line.is_empty() && self.answer.head_bytes == 0 => {
                "closed without an answer".into()
            }
            State::StatusLine | State::Header => {
                format!("closed within the header, after {} bytes", self.answer.head_bytes)
            }
            State::Body(left) => {
                let text = format!(
                    "closed after {} of {} bytes of body",
                    self.answer.body_bytes,
                    self.answer.body_bytes + left
                );
                self.answer.fault(Fault::wrong("early-close", text.as_str()));
                text
            }
            State::ChunkSize | State::ChunkData(_) | State::ChunkEnd | State::Trailer => {
                let text = format!(
                    "closed within a chunked body, after {} bytes and before its last chunk",
                    self.answer.body_bytes
                );
                self.answer.fault(Fault::wrong("early-close", text.as_str()));
                text
            }
            State::UntilClose => {
                self.state = State::Done;
                return;
            }
            State::Done | State::Failed => return,
        };
        self.answer.failure = failure;
        self.state = State::Failed;
    }

    /// Gives up for a reason that is not the answer's own.
    pub fn give_up(&mut self, why: String) {
        if self.state != State::Done {
            self.answer.failure = why;
            self.state = State::Failed;
        }
    }

    /// The first bytes of a line that is not complete, for a word about what came.
    pub fn pending(&self) -> &[u8] {
        &self.line
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.keep.saturating_sub(self.answer.body.len()).min(bytes.len());
        self.answer.body.extend_from_slice(&bytes[..room]);
        self.answer.body_bytes += bytes.len() as u64;
    }

    /// States that are made of lines; returns what is left of the data.
    fn lines<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let end = data.iter().position(|b| *b == b'\n');
        let (piece, rest) = match end {
            Some(at) => data.split_at(at + 1),
            None => (data, &data[data.len()..]),
        };
        let in_head = matches!(self.state, State::StatusLine | State::Header);
        if in_head {
            self.answer.head_bytes += piece.len() as u64;
            if self.answer.head_bytes > HEAD_STOP {
                let text = format!("the header block goes on beyond {} KiB; given up", HEAD_STOP / 1024);
                self.answer.fault(Fault::wrong("header-block-endless", text.as_str()));
                self.fail(text);
                return rest;
            }
        } else if self.line.len() + piece.len() > CHUNK_LINE {
            self.chunk_fault("a line between chunks is longer than 4096 bytes");
            return rest;
        }
        self.line.extend_from_slice(piece);
        if self.state == State::StatusLine && !could_begin(&self.line) {
            let what = foreign(&self.line);
            self.answer.fault(Fault::wrong("not-http", what));
            self.fail(what.into());
            return rest;
        }
        if end.is_some() {
            let mut line = std::mem::take(&mut self.line);
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            } else if in_head {
                self.answer.fault(Fault::wrong(
                    "bare-lf",
                    "a header line ends in LF alone; strict readers refuse it",
                ));
            }
            self.line(&line);
        }
        rest
    }

    fn fail(&mut self, why: String) {
        self.answer.failure = why;
        self.state = State::Failed;
    }

    fn chunk_fault(&mut self, text: &str) {
        self.answer.fault(Fault::wrong("bad-chunk", text));
        self.fail(text.into());
    }

    fn line(&mut self, line: &[u8]) {
        match self.state {
            State::StatusLine => self.status_line(line),
            State::Header if line.is_empty() => self.head_ended(),
            State::Header => self.header(line),
            State::ChunkSize => {
                let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
                let size = std::str::from_utf8(digits)
                    .ok()
                    .filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u64::from_str_radix(d, 16).ok());
                match size {
                    Some(0) => self.state = State::Trailer,
                    Some(n) => self.state = State::ChunkData(n),
                    None => self.chunk_fault("the size of a chunk is no hexadecimal number"),
                }
            }
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => self.chunk_fault("a chunk is longer than its size says"),
            State::Trailer if line.is_empty() => self.state = State::Done,
            State::Trailer => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > CHUNK_LINE {
                    self.chunk_fault("the trailers are longer than 4096 bytes");
                }
            }
            _ => {}
        }
    }

    fn status_line(&mut self, line: &[u8]) {
        if line.is_empty() && self.answer.status_line.is_empty() {
            self.answer
                .fault(Fault::wrong("blank-before-answer", "an empty line comes before the status line"));
            return;
        }
        self.answer.status_line = line.to_vec();
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.splitn(3, ' ');
        let (version, code, reason) = (words.next().unwrap_or_default(), words.next(), words.next());
        let status = code
            .filter(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|c| c.parse::<u16>().ok())
            .filter(|c| (100..600).contains(c));
        self.minor = match version {
            "HTTP/1.1" => 1,
            "HTTP/1.0" => 0,
            other => {
                let text =
                    format!("the status line has the version '{}'", crate::text::SafeText::capped(other, 40));
                self.answer.fault(Fault::wrong("bad-version", text));
                1
            }
        };
        let Some(status) = status else {
            let text = "the status line has no status of three digits";
            self.answer.fault(Fault::wrong("bad-status-line", text));
            self.fail(text.into());
            return;
        };
        if reason.is_none() {
            self.answer.fault(Fault::notice(
                "no-blank-after-status",
                "the status line lacks the blank behind the status",
            ));
        }
        self.answer.status = Some(status);
        self.state = State::Header;
    }

    fn header(&mut self, line: &[u8]) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            let text = "a header is folded over several lines; strict readers refuse it (ALB: 502)";
            self.answer.fault(Fault::wrong("obs-fold", text));
            if let Some((_, value)) = self.answer.headers.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            return;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            self.answer.fault(Fault::wrong("header-without-colon", "a header line has no colon"));
            return;
        };
        let (mut name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.last().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            self.answer.fault(Fault::wrong(
                "blank-before-colon",
                "a header has a blank between its name and the colon",
            ));
            name = name.trim_ascii_end();
        }
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            self.answer.fault(Fault::wrong("bad-header-name", "a header's name holds what no name may hold"));
        }
        if value.iter().any(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
            self.answer
                .fault(Fault::wrong("control-in-header", "a header's value holds a control character"));
        }
        self.answer.headers.push((name.to_vec(), value.to_vec()));
    }

    fn head_ended(&mut self) {
        let status = self.answer.status.unwrap_or(0);
        if self.answer.head_bytes > LARGE_HEAD {
            let text = format!(
                "the header block is {} bytes long, above the 32 KB proxies and load balancers take",
                self.answer.head_bytes
            );
            self.answer.fault(Fault::wrong("header-block-large", text));
        }
        if (100..200).contains(&status) && status != 101 {
            self.answer.interim.push(status);
            if self.answer.interim.len() > INTERIM_STOP {
                self.fail("interim answers without end".into());
                return;
            }
            self.answer.status = None;
            self.answer.status_line.clear();
            self.answer.headers.clear();
            self.answer.head_bytes = 0;
            self.state = State::StatusLine;
            return;
        }
        let framing = self.framing(status);
        self.answer.framing = Some(framing);
        let said = self.answer.words("connection");
        let close = said.iter().any(|w| w == "close");
        let keep = said.iter().any(|w| w == "keep-alive");
        self.answer.keeps =
            framing != Framing::UntilClose && !close && (self.minor >= 1 || keep) && status != 101;
        self.state = match framing {
            Framing::Nothing | Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Body(n),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
    }

    fn framing(&mut self, status: u16) -> Framing {
        let codings = self.answer.words("transfer-encoding");
        let lengths: Vec<String> = self
            .answer
            .all("content-length")
            .flat_map(|v| v.split(|b| *b == b','))
            .map(|v| String::from_utf8_lossy(v).trim().to_owned())
            .collect();
        if status == 204 && (!codings.is_empty() || lengths.iter().any(|l| l != "0")) {
            let text = "a 204 has no body, and yet its header speaks of one";
            self.answer.fault(Fault::wrong("length-on-204", text));
        }
        if !codings.is_empty() && !lengths.is_empty() {
            let text =
                "both Content-Length and Transfer-Encoding are set; proxies disagree about where it ends";
            self.answer.fault(Fault::wrong("length-and-chunked", text));
        }
        let mut length = None;
        if let Some(first) = lengths.first() {
            if lengths.iter().any(|l| l != first) {
                let text = format!("Content-Length is set to different values: {}", lengths.join(", "));
                self.answer.fault(Fault::wrong("conflicting-content-length", text));
            } else if lengths.len() > 1 {
                let text = format!("Content-Length is set {} times", lengths.len());
                self.answer.fault(Fault::wrong("repeated-content-length", text));
            }
            length = Some(first.as_str())
                .filter(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|l| l.parse::<u64>().ok());
            if length.is_none() {
                let shown = crate::text::SafeText::capped(first, 40);
                self.answer.fault(Fault::wrong(
                    "bad-content-length",
                    format!("Content-Length is '{shown}', no length"),
                ));
            }
        }
        if self.head || matches!(status, 101 | 204 | 304) {
            return Framing::Nothing;
        }
        if let Some(last) = codings.last() {
            if self.minor == 0 {
                let text = "an HTTP/1.0 answer is chunked; its readers do not know chunks";
                self.answer.fault(Fault::wrong("chunked-in-1.0", text));
            }
            if last == "chunked" {
                return Framing::Chunked;
            }
            self.answer.fault(Fault::wrong(
                "bad-transfer-encoding",
                "Transfer-Encoding does not end in chunked: only closing ends the body",
            ));
            return Framing::UntilClose;
        }
        length.map_or(Framing::UntilClose, Framing::Length)
    }

    fn excess(&mut self) {
        let n = self.extra;
        let (id, text) = match self.answer.framing {
            Some(Framing::Nothing) => {
                let what = self.answer.status.filter(|_| !self.head).map_or("HEAD".into(), |s| s.to_string());
                ("body-after-no-body", format!("{n} bytes follow an answer to {what} that has no body"))
            }
            _ => ("bytes-after-answer", format!("{n} bytes follow the end of the answer")),
        };
        self.answer.faults.retain(|f| f.id.as_str() != id);
        self.answer.fault(Fault::wrong(id, text));
        // The next reader on this connection would take them for its answer.
        self.answer.keeps = false;
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// Could these first bytes still become a status line?
fn could_begin(line: &[u8]) -> bool {
    let trimmed = match line {
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
        [b'\r'] => return true,
        other => other,
    };
    let n = trimmed.len().min(5);
    trimmed[..n].eq_ignore_ascii_case(&b"HTTP/"[..n])
}

/// What speaks there instead, by its first bytes.
fn foreign(line: &[u8]) -> &'static str {
    match line {
        [0x15 | 0x16, 3, ..] | [0x15 | 0x16] => "what answers speaks TLS; this port wants https",
        [0, 0, _, 4, ..] | [0] => "what answers speaks HTTP/2 at once, without being asked for it",
        [b'S', ..] => "what answers speaks SSH or another protocol, no HTTP",
        _ => "what answers speaks no HTTP/1",
    }
}

#[cfg(test)]
mod tests;
