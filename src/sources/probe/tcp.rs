//! Connecting, and the ways it ends told apart.

use crate::situation::probe::{Connect, Reach};
use crate::text::SafeText;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Milliseconds since `t`, to a thousandth.
pub fn ms(t: Instant) -> f64 {
    millis(t.elapsed())
}

/// A duration in milliseconds, to a thousandth.
pub fn millis(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}

/// Connects within `limit`; says how it went.
pub async fn connect(to: SocketAddr, limit: Duration) -> (Connect, Option<TcpStream>) {
    let started = Instant::now();
    let done = tokio::time::timeout(limit, TcpStream::connect(to)).await;
    let took_ms = ms(started);
    let made = |outcome, detail: String| Connect {
        address: to.to_string().into(),
        outcome,
        detail: SafeText::from(detail),
        took_ms,
    };
    match done {
        Ok(Ok(stream)) => {
            // Small writes go out at once: what is timed is the server.
            let _ = stream.set_nodelay(true);
            (made(Reach::Open, String::new()), Some(stream))
        }
        Ok(Err(e)) => (made(reach(&e), e.to_string()), None),
        Err(_) => (made(Reach::TimedOut, format!("no answer within {} s", limit.as_secs_f64())), None),
    }
}

fn reach(e: &io::Error) -> Reach {
    match e.kind() {
        io::ErrorKind::ConnectionRefused => Reach::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        // A firewall of this host that rejects.
        | io::ErrorKind::PermissionDenied => Reach::Unreachable,
        io::ErrorKind::TimedOut => Reach::TimedOut,
        _ => Reach::Failed,
    }
}

/// What a connection is to this program, with TLS or without.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The first bytes that were read, kept aside: what a TLS library calls a
/// corrupt message may be plain HTTP.
pub struct Tap<T> {
    inner: T,
    first: Vec<u8>,
}

/// Bytes that are kept.
const FIRST: usize = 64;

impl<T> Tap<T> {
    pub fn new(inner: T) -> Self {
        Tap { inner, first: Vec::new() }
    }
}

impl<T> Tap<T> {
    /// The first bytes that were read.
    pub fn first(&self) -> &[u8] {
        &self.first
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Tap<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let room = FIRST - self.first.len();
        if room > 0 {
            let new = &buf.filled()[before..];
            let n = new.len().min(room);
            self.first.extend_from_slice(&new[..n]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tap<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
