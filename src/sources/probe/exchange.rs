//! One request over one connection, timed, its answer read as it is.

use super::http1::{Need, Reader};
use super::tcp::{Io, millis};
use super::who;
use crate::situation::probe::{ClosedBy, Exchange, Fault, Phases};
use crate::text::SafeText;
use jiff::Timestamp;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// A body is read to here, and no further.
pub const BODY: u64 = 64 * 1024;
/// A body is drained to here where the connection is to be used on.
pub const DRAIN: u64 = 8 * 1024 * 1024;
/// How long is watched for what comes behind a whole answer.
const BEHIND: Duration = Duration::from_millis(10);
/// Of the body, shown and recorded.
const BODY_SHOWN: usize = 300;
/// Headers that are recorded, and bytes of each value.
const HEADERS: usize = 100;
const VALUE: usize = 500;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// `Host`.
    pub authority: String,
    /// Names and values beside those this program sets.
    pub headers: Vec<(String, String)>,
}

/// This program, as servers see it.
pub const USER_AGENT: &str = concat!("badgate/", env!("CARGO_PKG_VERSION"), " (probe)");

impl Request {
    /// The request as it goes on the wire. Nothing asks for compression: a
    /// small answer must not become a large one.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.authority);
        for (name, value) in self.all_headers() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "DELETE") {
            out.push_str("Content-Length: 0\r\n");
        }
        out.push_str("\r\n");
        out.into_bytes()
    }

    /// Headers but for Host, those given by the person last.
    pub fn all_headers(&self) -> Vec<(&str, &str)> {
        let own = [("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity")];
        let given = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        own.into_iter()
            .filter(|(n, _)| !given(n))
            .chain(self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            .collect()
    }
}

/// An answer with its times and how the connection stands.
pub struct Sent {
    pub reader: Reader,
    pub at: Timestamp,
    pub first_byte: Option<Duration>,
    /// From the first byte to the last.
    pub body: Option<Duration>,
    /// When the last byte of the answer came.
    pub finished: Instant,
    /// The server has ended the connection.
    pub ended: Option<ClosedBy>,
    /// The body was not read to its end.
    pub cut: bool,
}

impl Sent {
    /// The connection can carry another request.
    pub fn reusable(&self) -> bool {
        self.reader.need() == Need::Nothing && self.reader.answer.keeps && self.ended.is_none() && !self.cut
    }

    /// Status, or why there is none, in a word or two.
    pub fn outcome(&self) -> String {
        match (self.reader.answer.failure.as_str(), self.reader.answer.status) {
            ("", Some(status)) => status.to_string(),
            ("", None) => "no answer".into(),
            (failure, _) => failure.into(),
        }
    }
}

/// How much of a body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// To [`BODY`]; then the connection is of no more use.
    Look,
    /// To [`DRAIN`], to use the connection on.
    Drain,
}

/// Sends one request and reads its answer, all within `limit`.
pub async fn send(io: &mut dyn Io, request: &Request, read: Read, limit: Duration) -> Sent {
    let started = Instant::now();
    let deadline = started + limit;
    let stop = if read == Read::Look { BODY } else { DRAIN };
    let mut sent = Sent {
        reader: Reader::new(request.method == "HEAD", BODY as usize),
        at: Timestamp::now(),
        first_byte: None,
        body: None,
        finished: started,
        ended: None,
        cut: false,
    };
    let bytes = request.bytes();
    let write = async {
        io.write_all(&bytes).await?;
        io.flush().await
    };
    // A server may answer and close before it has read everything: what it
    // said is worth more than the error of writing to it.
    let written = match tokio::time::timeout_at(deadline, write).await {
        Ok(done) => done,
        Err(_) => {
            sent.reader.give_up(format!("the request could not be sent within {} s", limit.as_secs_f64()));
            return sent;
        }
    };
    let mut buffer = [0u8; 8192];
    while matches!(sent.reader.need(), Need::Head | Need::Body) {
        if sent.reader.answer.body_bytes >= stop {
            sent.cut = true;
            break;
        }
        match tokio::time::timeout_at(deadline, io.read(&mut buffer)).await {
            Ok(Ok(0)) => {
                sent.ended = Some(ClosedBy::Fin);
                sent.reader.end();
            }
            Ok(Ok(n)) => {
                let now = Instant::now();
                let first = *sent.first_byte.get_or_insert(now - started);
                sent.reader.feed(&buffer[..n]);
                sent.finished = now;
                sent.body = Some((now - started).saturating_sub(first));
            }
            Ok(Err(e)) => ended(&mut sent, &e, written.is_err()),
            Err(_) => sent.reader.give_up(too_late(&sent, limit)),
        }
    }
    if sent.reader.need() == Need::Nothing && !sent.cut && sent.ended.is_none() {
        behind(io, &mut sent, &mut buffer).await;
    }
    sent
}

/// The connection broke while an answer was awaited.
fn ended(sent: &mut Sent, e: &io::Error, write_failed: bool) {
    let eof = e.kind() == io::ErrorKind::UnexpectedEof;
    let reset = matches!(
        e.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
    );
    sent.ended = Some(if eof { ClosedBy::Fin } else { ClosedBy::Rst });
    if eof {
        // TLS ended without saying so: for a body without a length that may be a cut.
        sent.reader.end();
        sent.reader
            .answer
            .faults
            .push(Fault::notice("no-close-notify", "the connection ended without TLS's close_notify"));
        return;
    }
    let got = sent.reader.answer.head_bytes;
    sent.reader.give_up(match (reset, got) {
        (true, 0) if write_failed => "reset while the request was sent".into(),
        (true, 0) => "reset before the answer".into(),
        (true, _) => format!("reset after {} bytes of the answer", got + sent.reader.answer.body_bytes),
        (false, _) => e.to_string(),
    });
}

fn too_late(sent: &Sent, limit: Duration) -> String {
    let s = limit.as_secs_f64();
    let a = &sent.reader.answer;
    match sent.reader.need() {
        _ if sent.first_byte.is_none() => format!("no answer within {s} s"),
        Need::Head => format!("the header was not complete within {s} s ({} bytes came)", a.head_bytes),
        _ => format!("the body was not complete within {s} s ({} bytes came)", a.body_bytes),
    }
}

/// What comes at once behind a whole answer: bytes that should not be there, or the end.
async fn behind(io: &mut dyn Io, sent: &mut Sent, buffer: &mut [u8]) {
    let deadline = Instant::now() + BEHIND;
    loop {
        match tokio::time::timeout_at(deadline, io.read(buffer)).await {
            Ok(Ok(0)) => sent.ended = Some(ClosedBy::Fin),
            Ok(Ok(n)) => {
                sent.reader.feed(&buffer[..n]);
                continue;
            }
            Ok(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => sent.ended = Some(ClosedBy::Fin),
            Ok(Err(_)) => sent.ended = Some(ClosedBy::Rst),
            Err(_) => {}
        }
        return;
    }
}

/// The answer as it is recorded.
pub fn record(sent: &Sent, address: SafeText, before: Phases) -> Exchange {
    let a = &sent.reader.answer;
    let value = |name: &[u8], v: &[u8]| {
        // A session belongs to whoever holds its cookie.
        if name.eq_ignore_ascii_case(b"set-cookie") {
            let cookie = v.split(|b| *b == b'=').next().unwrap_or_default();
            return SafeText::from(format!("{}=... ({} bytes)", SafeText::capped(cookie, 60), v.len()));
        }
        SafeText::capped(v, VALUE)
    };
    let mut faults = a.faults.clone();
    if sent.ended.is_some() && a.keeps && sent.reader.need() == Need::Nothing {
        faults.push(Fault::notice(
            "unannounced-close",
            "the server closes after the answer without having said Connection: close",
        ));
    }
    let status = a.status;
    let location = a.header("location").filter(|_| status.is_some_and(|s| (300..400).contains(&s)));
    Exchange {
        at: sent.at,
        address,
        protocol: "HTTP/1.1".into(),
        status,
        status_line: SafeText::capped(&a.status_line, 200),
        headers: a
            .headers
            .iter()
            .take(HEADERS)
            .map(|(n, v)| (SafeText::capped(n, 100), value(n, v)))
            .collect(),
        header_bytes: a.head_bytes,
        body_bytes: a.body_bytes,
        body_cut: sent.cut,
        body_head: SafeText::capped(&a.body, BODY_SHOWN),
        framing: a.framing.map(|f| f.words().into()).unwrap_or_default(),
        interim: a.interim.clone(),
        location: location.map(|l| SafeText::capped(l, VALUE)).unwrap_or_default(),
        keeps: a.keeps && sent.ended.is_none(),
        who: who::who(a),
        phases: Phases {
            first_byte_ms: sent.first_byte.map(millis),
            body_ms: sent.body.map(millis),
            ..before
        },
        failure: SafeText::capped(&a.failure, 200),
        faults,
    }
}
