//! HTTP/1.1 on a socket, as far as a load balancer, its targets and its
//! clients need it: heads, bodies of a known length, and what can go wrong
//! with them. Heads are parsed by `httparse`.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Headers in one head at most.
const HEADERS: usize = 96;

/// A socket with what was read ahead from it.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// A request line or status line, and headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Method of a request; reason phrase of a response.
    pub word: String,
    /// Target of a request, path and query.
    pub target: String,
    /// Status of a response.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes on the wire.
    pub bytes: usize,
}

/// Why no head or body came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The other side closed before a byte came.
    Closed,
    /// The connection ended in the middle, or was reset.
    Cut,
    /// Not HTTP; what is wrong with it.
    Malformed(String),
    /// The head is longer than allowed.
    TooLarge,
}

/// Which kind of head is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
}

impl Head {
    /// A header's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Length of the body that follows; 0 when none is announced.
    pub fn length(&self) -> usize {
        self.get("content-length").and_then(|v| v.trim().parse().ok()).unwrap_or(0)
    }

    /// True when the sender wants the connection to end behind this message.
    pub fn closes(&self) -> bool {
        self.get("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }

    /// The path, without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }
}

impl Wire {
    /// Takes a connected socket.
    pub fn new(stream: TcpStream) -> Wire {
        // Small messages that wait for each other's acknowledgement would
        // measure the delay of acknowledgements, not the servers.
        let _ = stream.set_nodelay(true);
        Wire { stream, ahead: Vec::new() }
    }

    /// The next head, of at most `most` bytes.
    pub async fn head(&mut self, kind: Kind, most: usize) -> Result<Head, Trouble> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|w| w == b"\r\n\r\n") {
                if end + 4 > most {
                    return Err(Trouble::TooLarge);
                }
                let head = parse(kind, &self.ahead[..end + 4])?;
                self.ahead.drain(..end + 4);
                return Ok(head);
            }
            if self.ahead.len() > most {
                return Err(Trouble::TooLarge);
            }
            if self.more().await? == 0 {
                return Err(if self.ahead.is_empty() { Trouble::Closed } else { Trouble::Cut });
            }
        }
    }

    /// A body of this many bytes; its text is not kept beyond `keep` bytes.
    pub async fn body(&mut self, length: usize, keep: usize) -> Result<Vec<u8>, Trouble> {
        let mut left = length;
        let mut kept = Vec::new();
        loop {
            let n = left.min(self.ahead.len());
            let room = keep.saturating_sub(kept.len()).min(n);
            kept.extend_from_slice(&self.ahead[..room]);
            self.ahead.drain(..n);
            left -= n;
            if left == 0 {
                return Ok(kept);
            }
            if self.more().await? == 0 {
                return Err(Trouble::Cut);
            }
        }
    }

    /// Bytes as they come, at most `most`: for what is no HTTP.
    pub async fn raw(&mut self, most: usize) -> Result<Vec<u8>, Trouble> {
        if self.ahead.is_empty() && self.more().await? == 0 {
            return Err(Trouble::Closed);
        }
        let n = self.ahead.len().min(most);
        Ok(self.ahead.drain(..n).collect())
    }

    async fn more(&mut self) -> Result<usize, Trouble> {
        let mut chunk = [0_u8; 4096];
        let n = self.stream.read(&mut chunk).await.map_err(|_| Trouble::Cut)?;
        self.ahead.extend_from_slice(&chunk[..n]);
        Ok(n)
    }

    /// Writes all of it.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Comes back when the other side has closed or reset the connection, and
    /// not before; bytes that come are left where they are.
    pub async fn gone(&self) {
        let mut one = [0_u8; 1];
        match self.stream.peek(&mut one).await {
            Ok(0) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }

    /// True when the other side has closed or reset the connection by now.
    pub fn is_gone(&self) -> bool {
        let mut one = [0_u8; 1];
        let mut read = std::pin::pin!(self.stream.peek(&mut one));
        let waker = futures::task::noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        match std::future::Future::poll(read.as_mut(), &mut cx) {
            std::task::Poll::Pending => false,
            std::task::Poll::Ready(Ok(n)) => n == 0,
            std::task::Poll::Ready(Err(_)) => true,
        }
    }

    /// Ends the connection with a reset instead of an orderly close.
    pub fn reset(self) {
        // SO_LINGER with zero seconds: the kernel answers with RST.
        let _ = self.stream.set_zero_linger();
    }
}

fn parse(kind: Kind, bytes: &[u8]) -> Result<Head, Trouble> {
    let mut room = [httparse::EMPTY_HEADER; HEADERS];
    let wrong = |e: httparse::Error| Trouble::Malformed(e.to_string());
    let mut head = Head { bytes: bytes.len(), ..Head::default() };
    let headers: &[httparse::Header<'_>] = match kind {
        Kind::Request => {
            let mut r = httparse::Request::new(&mut room);
            r.parse(bytes).map_err(wrong)?;
            head.word = r.method.unwrap_or_default().to_owned();
            head.target = r.path.unwrap_or_default().to_owned();
            r.headers
        }
        Kind::Response => {
            let mut r = httparse::Response::new(&mut room);
            r.parse(bytes).map_err(wrong)?;
            head.status = r.code.unwrap_or_default();
            head.word = r.reason.unwrap_or_default().to_owned();
            r.headers
        }
    };
    head.headers = headers
        .iter()
        .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
        .collect();
    Ok(head)
}

/// A response with a body, as bytes.
pub fn response(status: u16, reason: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(value);
        out.push_str("\r\n");
    }
    out.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// The words behind a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Payload Too Large",
        463 => "",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        561 => "Unauthorized",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (Wire, Wire) {
        let l = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = TcpStream::connect(l.local_addr().unwrap()).await.unwrap();
        let (b, _) = l.accept().await.unwrap();
        (Wire::new(a), Wire::new(b))
    }

    #[tokio::test]
    async fn heads_and_bodies_come_one_after_another() {
        let (mut a, mut b) = pair().await;
        a.send(
            b"POST /a?b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzGET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
        let one = b.head(Kind::Request, 1000).await.unwrap();
        assert_eq!((one.word.as_str(), one.path(), one.length()), ("POST", "/a", 3));
        assert_eq!(b.body(3, 2).await.unwrap(), b"xy");
        assert!(b.head(Kind::Request, 1000).await.unwrap().closes());
        assert!(!b.is_gone());
        drop(a);
        b.gone().await;
        assert!(b.is_gone());
        assert_eq!(b.head(Kind::Request, 1000).await, Err(Trouble::Closed));
    }

    #[tokio::test]
    async fn what_is_no_http_says_so() {
        for (sent, want) in [
            (&b"HTTP/1.1 2OO OK\r\n\r\n"[..], "status"),
            (b"HTTP/1.1 200 OK\r\nX: a\r\n", "Cut"),
            (b"HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n", "TooLarge"),
        ] {
            let (mut a, mut b) = pair().await;
            a.send(sent).await.unwrap();
            drop(a);
            let got = format!("{:?}", b.head(Kind::Response, 48).await.unwrap_err());
            assert!(got.contains(want), "{got} lacks {want}");
        }
        let (a, mut b) = pair().await;
        a.reset();
        assert!(b.head(Kind::Response, 48).await.is_err());
    }

    #[test]
    fn responses_are_whole() {
        let r = response(404, reason(404), &[("Server", "x")], b"no");
        assert_eq!(r, b"HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 2\r\n\r\nno");
    }
}
